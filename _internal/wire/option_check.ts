/**
 * Checks of the objects that users give: a key that is unknown, and a value that makes no sense, is refused
 * with the name of what is wrong and of what may have been meant.
 *
 * @module
 */

/** Throws for a value that makes no sense; `undefined` is not asked about. */
export type Check = (name: string, value: unknown) => void;

/** What an object may have, and how each value is checked. */
export type Known<Key extends string = string> = Readonly<Record<Key, Check>>;

/** What is meant by names that are not known: what to write instead, by the name in lower case. */
export type Meanings = Readonly<Record<string, string>>;

/** A user's value for an error message, short and on one line. */
export function show(value: unknown): string {
  let text: string;
  if (typeof value === "string") text = JSON.stringify(value);
  else if (typeof value === "function") text = "a function";
  else if (Array.isArray(value)) text = "an array";
  else if (typeof value === "object" && value !== null) text = "an object";
  else text = String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** The error for a value that makes no sense. */
export function unusable(name: string, wanted: string, got: string): TypeError {
  return new TypeError(`Cannot use ${name} as it must be ${wanted}: got ${got}`);
}

/** A check of any kind. */
export function check(wanted: string, isUsable: (value: unknown) => boolean): Check {
  return (name, value) => {
    if (!isUsable(value)) throw unusable(name, wanted, show(value));
  };
}

/** The same, for what must not be shown. */
function checkSecretly(wanted: string, isUsable: (value: unknown) => boolean): Check {
  return (name, value) => {
    if (isUsable(value)) return;
    throw unusable(name, wanted, value === null ? "null" : `a value of type ${typeof value}`);
  };
}

/** Anything: whoever uses it checks it. */
export const anything: Check = () => {};
export const seconds: Check = check("a positive number of seconds", isPositive);
export const secondsOrNull: Check = check(
  "a positive number of seconds, or null",
  (value) => value === null || isPositive(value),
);
export const waitOrSeconds: Check = check(
  "true, false or a positive number of seconds",
  (value) => typeof value === "boolean" || isPositive(value),
);
/** How many of something are taken from a server. */
export const limit: Check = check(
  "a whole number from 1 on, or Infinity",
  (value) => value === Infinity || isCount(value),
);
/** The same where none may be taken. */
export const amount: Check = check(
  "a number of bytes from 0 on",
  (value) => typeof value === "number" && value >= 0,
);
/** The size of a piece of memory. */
export const size: Check = check("a whole number of bytes from 1 on", isCount);
/** Python takes `True` and `False` as levels, too. */
export const level: Check = check(
  "a number",
  (value) => typeof value === "boolean" || (typeof value === "number" && !Number.isNaN(value)),
);
export const flag: Check = check("true or false", (value) => typeof value === "boolean");
export const callback: Check = check("a function", (value) => typeof value === "function");
export const text: Check = check("a string", (value) => typeof value === "string");
export const textOrNull: Check = check(
  "a string, or null",
  (value) => value === null || typeof value === "string",
);
export const name: Check = check(
  "a string that is not empty",
  (value) => typeof value === "string" && value !== "",
);
export const secret: Check = checkSecretly("a string", (value) => typeof value === "string");
export const texts: Check = checkSecretly(
  "an array of strings",
  (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
);
export const port: Check = check("a whole number from 0 to 65535", isPort);
/** Where to connect from. */
export const sourceAddress: Check = (name, value) => {
  const isUsable = value === null ||
    (Array.isArray(value) && value.length === 2 && typeof value[0] === "string" &&
      isPort(value[1]));
  if (isUsable) return;
  const got = Array.isArray(value) ? `[${value.slice(0, 3).map(show).join(", ")}]` : show(value);
  throw unusable(name, "an array of a host and a port, or null", got);
};
export const signal: Check = check("an AbortSignal, or null", (value) => {
  if (value === null) return true;
  const { aborted, addEventListener } = Object(value) as Partial<AbortSignal>;
  return typeof aborted === "boolean" && typeof addEventListener === "function";
});

/** What to talk over. */
export const checkTransport: Check = check(
  "a transport, with read(), write() and close()",
  (transport) => {
    const { read, write, close } = Object(transport) as Record<string, unknown>;
    return [read, write, close].every((call) => typeof call === "function");
  },
);

/** One of a few values. */
export function oneOf(...values: readonly (string | number)[]): Check {
  const wanted = values.map(show).join(" or ");
  return check(wanted, (value) => values.includes(value as string));
}

function isPositive(value: unknown): boolean {
  return typeof value === "number" && value > 0;
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1;
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65535;
}

/** What an options object belongs to, for the errors about it. */
export interface OptionsOf<Key extends string = string> {
  /** Such as `HTTPConnection`. */
  of: string;
  /** What stands before the name of an option, such as `"context."`. */
  prefix?: string;
  known: Known<Key>;
  meanings?: Meanings;
}

/** The options of `values()`, which are those of any `ReadableStream`. */
export const ITERATION: OptionsOf<keyof ReadableStreamIteratorOptions> = {
  of: "values()",
  known: { preventCancel: flag },
};

/**
 * Refuses an options object that is none, a key that is unknown, and a value that makes no sense.
 *
 * @throws {TypeError} When there is such a thing; it names the key and what may have been meant.
 */
export function checkOptionsOf(options: unknown, schema: OptionsOf): void {
  const { known, of, prefix = "" } = schema;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    if (prefix !== "") throw unusable(prefix.slice(0, -1), "an object", show(options));
    throw new TypeError(
      `Cannot use the options of ${of} as they must be an object: got ${show(options)}`,
    );
  }
  for (const key in options) {
    // What somebody has put on all objects is nobody's option.
    if (key in Object.prototype) continue;
    if (!Object.hasOwn(known, key)) throw unknownKey(key, schema);
  }
  for (const key of Object.keys(known)) {
    const value = (options as Record<string, unknown>)[key];
    if (value !== undefined) known[key]!(prefix + key, value);
  }
}

/** The same; a copy of what is known of it, as what is changed later goes unchecked. */
export function checkedCopy<T extends object>(options: T, schema: OptionsOf): T {
  checkOptionsOf(options, schema);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(schema.known)) {
    const value = options[key as keyof T];
    if (value !== undefined) copy[key] = value;
  }
  return copy as T;
}

function unknownKey(key: string, { of, prefix = "", known, meanings = {} }: OptionsOf): TypeError {
  const meant = meaningOf(key, Object.keys(known), prefix, meanings);
  const hint = meant === null
    ? `those are ${Object.keys(known).map((name) => prefix + name).join(", ")}`
    : `did you mean ${meant}`;
  return new TypeError(`Cannot use ${prefix}${key} as it is no option of ${of}: ${hint}`);
}

/** Spellings apart: case, underscores and dashes. */
function plain(key: string): string {
  return key.toLowerCase().replace(/[_-]/g, "");
}

function meaningOf(
  key: string,
  known: string[],
  prefix: string,
  meanings: Meanings,
): string | null {
  const wanted = plain(key);
  const same = known.find((name) => plain(name) === wanted);
  if (same !== undefined) return prefix + same;
  if (Object.hasOwn(meanings, wanted)) return meanings[wanted]!;
  let nearest: string | null = null;
  // One slip in three letters is still a slip.
  let least = Math.min(3, Math.floor(wanted.length / 3)) + 1;
  for (const name of known) {
    const distance = slips(wanted, plain(name));
    if (distance < least) [nearest, least] = [name, distance];
  }
  return nearest === null ? null : prefix + nearest;
}

/** How many letters are to be put in, taken out or replaced to make `b` of `a` (Levenshtein). */
function slips(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
