/**
 * Waiting in tests: with a watchdog, for a number of turns, or for ever.
 *
 * @module
 */

/** How long {@linkcode soon} waits, in milliseconds: much longer than anything that is not stuck takes. */
const PATIENCE = 10_000;

/** What {@linkcode soon} throws; no test expects it, so whatever does not settle fails its test. */
export class NotSettled extends Error {
  override name = "NotSettled";
}

/**
 * Waits for a promise that must settle, and fails the test instead of letting it hang.
 *
 * @param promise what must settle
 * @param what says in the error's message what is waited for
 * @returns what the promise resolves with
 * @throws {NotSettled} when the promise is still pending after ten seconds
 */
export async function soon<T>(promise: Promise<T>, what = "the promise"): Promise<T> {
  // Made here, so that its stack shows the test.
  const error = new NotSettled(
    `Waited ${PATIENCE / 1000} seconds for ${what}: it is still pending`,
  );
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error), PATIENCE);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Waits for a promise that must be rejected.
 *
 * @returns what it was rejected with, which need not be an error
 */
export async function thrown(promise: Promise<unknown>): Promise<unknown> {
  let result: unknown;
  try {
    result = await soon(promise);
  } catch (reason) {
    if (reason instanceof NotSettled) throw reason;
    return reason;
  }
  throw new Error(`Nothing was thrown, but got ${String(result)}`);
}

/** A promise that stays pending. */
export function never<T>(): Promise<T> {
  return new Promise(() => {});
}

/** Lets so many microtasks run. */
export async function microtasks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await null;
}

/** Lets the event loop turn so many times: what is ready, such as bytes on a socket, is seen to. */
export async function turns(count = 1): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}
