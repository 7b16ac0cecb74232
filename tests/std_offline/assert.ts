/**
 * Stand-in for `@std/assert`: the part of it that this project imports. `node:assert` writes the
 * messages.
 *
 * @module
 */

import { AssertionError as NodeAssertionError } from "node:assert";
import { inspect, stripVTControlCharacters } from "node:util";
import { equal } from "./equal.ts";

// deno-lint-ignore no-explicit-any
type Class<T = any> = abstract new (...args: any[]) => T;

/** What a failed assertion throws. */
export class AssertionError extends Error {
  /**
   * Makes one.
   *
   * @param message What went wrong
   * @param options The cause, if any
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

/** A condition as text, with the message of the test behind it. */
function withMessage(text: string, msg?: string): string {
  return msg ? `${text}: ${msg}` : `${text}.`;
}

/** The difference of two values, as `node:assert` shows it. */
function difference(actual: unknown, expected: unknown, operator: string): string {
  const { message } = new NodeAssertionError({ actual, expected, operator });
  if (!message.includes("Skipped lines")) return message;
  return `${message}\nactual: ${inspect(actual)}\nexpected: ${inspect(expected)}`;
}

/**
 * Asserts that a value is truthy.
 *
 * @param expr The value
 * @param msg What to say if not
 */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/**
 * Asserts that a value is falsy.
 *
 * @param expr The value
 * @param msg What to say if not
 */
export function assertFalse(expr: unknown, msg = ""): asserts expr is false {
  if (expr) throw new AssertionError(msg);
}

/**
 * Asserts that two values are deeply equal.
 *
 * @param actual The value
 * @param expected What it should be
 * @param msg What to say if not
 */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  const text = withMessage("Values are not equal", msg);
  throw new AssertionError(`${text}\n${difference(actual, expected, "deepStrictEqual")}`);
}

/**
 * Asserts that two values are not deeply equal.
 *
 * @param actual The value
 * @param expected What it should not be
 * @param msg What to say if it is
 */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  const text = `Expected actual: ${inspect(actual)} not to be: ${inspect(expected)}`;
  throw new AssertionError(withMessage(text, msg));
}

/**
 * Asserts that two values are the same, by `Object.is`.
 *
 * @param actual The value
 * @param expected What it should be
 * @param msg What to say if not
 */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const text = withMessage("Values are not strictly equal", msg);
  throw new AssertionError(`${text}\n${difference(actual, expected, "strictEqual")}`);
}

/**
 * Asserts that a value is neither null nor undefined.
 *
 * @param actual The value
 * @param msg What to say if it is
 */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  const text = `Expected actual: "${actual}" to not be null or undefined`;
  throw new AssertionError(withMessage(text, msg));
}

/**
 * Asserts that a value is an instance of a class.
 *
 * @param actual The value
 * @param expectedType The class
 * @param msg What to say if not
 */
export function assertInstanceOf<T extends Class>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  const was = actual?.constructor?.name ?? String(actual);
  const text = `Expected object to be an instance of "${expectedType.name}" but was "${was}"`;
  throw new AssertionError(withMessage(text, msg));
}

/**
 * Asserts that a string matches a pattern.
 *
 * @param actual The string
 * @param expected The pattern
 * @param msg What to say if not
 */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(
    withMessage(`Expected actual: "${actual}" to match: "${expected}"`, msg),
  );
}

/**
 * Asserts that a string has another one in it.
 *
 * @param actual The string
 * @param expected The part
 * @param msg What to say if not
 */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(
    withMessage(`Expected actual: "${actual}" to contain: "${expected}"`, msg),
  );
}

/**
 * Asserts that a list has all the given items, in any order.
 *
 * @param actual The list
 * @param expected The items
 * @param msg What to say if not
 */
export function assertArrayIncludes<T>(
  actual: ArrayLike<T> & object,
  expected: ArrayLike<T> & object,
  msg?: string,
): void {
  const items = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !items.some((other) => equal(item, other)));
  if (missing.length === 0) return;
  const text = `Expected actual: "${inspect(actual)}" to include: "${inspect(expected)}"`;
  throw new AssertionError(`${withMessage(text, msg)}\nmissing: ${inspect(missing)}`);
}

/** What of `actual` the pattern speaks of. */
function pick(actual: unknown, pattern: unknown): unknown {
  const bothArrays = Array.isArray(actual) && Array.isArray(pattern);
  const bothPlain = Object.prototype.toString.call(pattern) === "[object Object]" &&
    typeof actual === "object" && actual !== null && !Array.isArray(actual);
  if (!bothArrays && !bothPlain) return actual;
  const picked: Record<PropertyKey, unknown> = {};
  for (const key of Reflect.ownKeys(pattern as object)) {
    if (!(key in (actual as object))) continue;
    picked[key] = pick(Reflect.get(actual as object, key), Reflect.get(pattern as object, key));
  }
  return picked;
}

/**
 * Asserts that an object has at least the given properties, deeply.
 *
 * @param actual The object
 * @param expected The properties
 * @param msg What to say if not
 */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  assertEquals(pick(actual, expected), pick(expected, expected), msg);
}

/**
 * Asserts that one value is greater than another.
 *
 * @param actual The value
 * @param expected What it should be greater than
 * @param msg What to say if not
 */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (actual > expected) return;
  throw new AssertionError(msg ?? `Expect ${inspect(actual)} > ${inspect(expected)}`);
}

/**
 * Asserts that one value is greater than another, or equal.
 *
 * @param actual The value
 * @param expected What it should at least be
 * @param msg What to say if not
 */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual >= expected) return;
  throw new AssertionError(msg ?? `Expect ${inspect(actual)} >= ${inspect(expected)}`);
}

/**
 * Asserts that one value is less than another.
 *
 * @param actual The value
 * @param expected What it should be less than
 * @param msg What to say if not
 */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (actual < expected) return;
  throw new AssertionError(msg ?? `Expect ${inspect(actual)} < ${inspect(expected)}`);
}

/**
 * Asserts that one value is less than another, or equal.
 *
 * @param actual The value
 * @param expected What it should at most be
 * @param msg What to say if not
 */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual <= expected) return;
  throw new AssertionError(msg ?? `Expect ${inspect(actual)} <= ${inspect(expected)}`);
}

/** Asserts the class of what was thrown, and that its message has a text in it. */
function checkThrown(error: unknown, errorClass: Class, msgIncludes = "", msg?: string): void {
  if (!(error instanceof Error)) {
    throw new AssertionError(withMessage("A non-Error object was thrown", msg));
  }
  if (!(error instanceof errorClass)) {
    const was = (error as Error).constructor?.name;
    const text = `Expected error to be instance of "${errorClass.name}", but was "${was}"`;
    throw new AssertionError(withMessage(text, msg), { cause: error });
  }
  const message = stripVTControlCharacters((error as Error).message);
  if (message.includes(stripVTControlCharacters(msgIncludes))) return;
  const text = `Expected error message to include ${JSON.stringify(msgIncludes)}, but got ` +
    JSON.stringify(message);
  throw new AssertionError(withMessage(text, msg), { cause: error });
}

/**
 * Asserts that a function throws.
 *
 * @param fn The function
 * @param msg What to say if not
 * @returns What it threw
 */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/**
 * Asserts that a function throws an error of a class.
 *
 * @param fn The function
 * @param ErrorClass The class
 * @param msgIncludes A part of the error's message
 * @param msg What to say if not
 * @returns The error
 */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const text = typeof classOrMsg === "string" ? classOrMsg : msg;
  try {
    fn();
  } catch (error) {
    if (typeof classOrMsg === "function") checkThrown(error, classOrMsg, msgIncludes, msg);
    return error;
  }
  throw new AssertionError(withMessage("Expected function to throw", text));
}

/** Starts the function, which must neither throw at once nor return something else. */
function promiseOf(fn: () => PromiseLike<unknown>, msg?: string): PromiseLike<unknown> {
  try {
    const promise: unknown = fn();
    if (typeof (promise as PromiseLike<unknown> | null)?.then === "function") {
      return promise as PromiseLike<unknown>;
    }
  } catch (error) {
    const text = withMessage("Function throws when expected to reject", msg);
    throw new AssertionError(text, { cause: error });
  }
  throw new AssertionError(withMessage("Function throws when expected to reject", msg));
}

/**
 * Asserts that a function returns a promise that rejects.
 *
 * @param fn The function
 * @param msg What to say if not
 * @returns What it rejected with
 */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/**
 * Asserts that a function returns a promise that rejects with an error of a class.
 *
 * @param fn The function
 * @param ErrorClass The class
 * @param msgIncludes A part of the error's message
 * @param msg What to say if not
 * @returns The error
 */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const text = typeof classOrMsg === "string" ? classOrMsg : msg;
  const promise = promiseOf(fn, text);
  try {
    await promise;
  } catch (error) {
    if (typeof classOrMsg === "function") checkThrown(error, classOrMsg, msgIncludes, msg);
    return error;
  }
  throw new AssertionError(withMessage("Expected function to reject", text));
}

/**
 * Fails.
 *
 * @param msg Why
 */
export function fail(msg?: string): never {
  throw new AssertionError(withMessage("Failed assertion", msg));
}

/**
 * Fails, in a place that should never be reached.
 *
 * @param msg Why
 */
export function unreachable(msg?: string): never {
  throw new AssertionError(withMessage("Unreachable", msg));
}
