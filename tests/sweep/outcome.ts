/**
 * What a cell of the sweep observes: calls that settle or do not, bytes that are right or not, errors.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** What can be wrong with a cell. */
export type ProblemKind =
  | "frozen"
  | "crashed"
  | "never settles"
  | "wrong bytes"
  | "short body looks whole"
  | "short result"
  | "wrong error"
  | "object of the user's modified"
  | "bytes lost"
  | "no end after a whole body"
  | "stuck connection"
  | "wrong answer"
  | "wrong request on the wire"
  | "left open"
  | "closed twice"
  | "listener left behind"
  | "unhandled rejection"
  | "threw synchronously";

/** One thing that is wrong with a cell. */
export interface Problem {
  /** What kind it is, to count by. */
  readonly kind: ProblemKind;
  /** What was seen. */
  readonly detail: string;
}

/** How the run of a cell ended. */
export interface Verdict {
  /** What is wrong; nothing, where all is well. */
  readonly problems: readonly Problem[];
  /**
   * Whether everything had come to rest before the end came: the call had settled, or waited for the
   * peer. More microtasks then make no difference.
   */
  readonly atRest: boolean;
}

/** Cells that differ only in how many microtasks pass before the end comes. */
export interface Group {
  /** Which part of the sweep it belongs to. */
  readonly part: string;
  /** Its name, without the number of microtasks. */
  readonly name: string;
  /** The numbers of microtasks. */
  readonly ticks: readonly number[];
  /** Whether it waits for a clock, so that many of them are best run at the same time. */
  readonly slow: boolean;
  /** Runs one cell. */
  run(ticks: number): Promise<Verdict>;
}

/** A promise whose state can be looked at. */
export class Tracked<T = unknown> {
  /** What has become of it so far. */
  state: "pending" | "resolved" | "rejected" = "pending";
  /** What it resolved to. */
  value: T | undefined;
  /** What it rejected with. */
  error: unknown;
  /** Resolves when it has settled, either way. */
  readonly done: Promise<void>;

  /**
   * Follows a promise.
   *
   * @param start Makes the promise; what it throws counts as a rejection.
   */
  constructor(start: () => PromiseLike<T>) {
    let promise: PromiseLike<T>;
    try {
      promise = start();
    } catch (error) {
      promise = Promise.reject(error);
    }
    this.done = Promise.resolve(promise.then((value) => {
      this.state = "resolved";
      this.value = value;
    }, (error) => {
      this.state = "rejected";
      this.error = error;
    }));
  }

  /** Whether it has settled. */
  get settled(): boolean {
    return this.state !== "pending";
  }
}

/** A turn of the event loop. Timers of Deno's cost a millisecond each, these do not. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A pause by the clock. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Lets so many microtasks pass. */
export async function microtasks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await null;
}

/** Turns of the event loop within which a call has to settle, where nothing but memory is involved. */
const TURNS = 10;
/** Turns that ask the system what has come, which the others do not. */
const POLLS = 10;
/** Pauses that follow, for what is done by threads, such as decoding. */
const PAUSES = 25;

/**
 * Waits until all of the calls have settled, for a bounded number of turns of the event loop.
 *
 * @param calls The calls
 * @param patience How many milliseconds each of the last pauses takes
 * @returns Whether they have
 */
export async function settle(calls: readonly Tracked[], patience = 4): Promise<boolean> {
  const open = () => calls.some((call) => !call.settled);
  // Always a turn or two, so that what a call sets off without waiting for it shows.
  await turn();
  for (let i = 0; i < TURNS && open(); i++) await turn();
  for (let i = 0; i < POLLS && open(); i++) await pause(0);
  for (let i = 0; i < PAUSES && open(); i++) await pause(patience);
  return !open();
}

/** What an error looks like in a report. */
export function show(error: unknown): string {
  if (!(error instanceof Error)) return `${typeof error} ${String(error).slice(0, 80)}`;
  return `${error.name}: ${error.message.slice(0, 140)}`;
}

/** An error of the user's, such as the reason of a signal, and whether it is still as it was. */
export class Marked {
  /** The error. */
  readonly error: Error;
  readonly #before: string;

  /**
   * Makes one.
   *
   * @param error The error
   */
  constructor(error: Error) {
    this.error = error;
    this.#before = ownKeys(error);
  }

  /** What was added to it, or `null`. */
  get change(): string | null {
    const now = ownKeys(this.error);
    return now === this.#before ? null : `${this.#before} has become ${now}`;
  }
}

function ownKeys(object: object): string {
  return Reflect.ownKeys(object).map(String).sort().join(" ");
}

/** Bytes that calls have delivered, held against those of the right body as they come. */
export class Delivered {
  /** How many there are. */
  count = 0;
  readonly #right: Uint8Array;
  readonly #problems: Problem[];
  /** What was handed out, to see whether it is still the same later. */
  readonly #views: { view: Uint8Array; at: number }[] = [];

  /**
   * Begins with none.
   *
   * @param right The right body
   * @param problems Where to report
   */
  constructor(right: Uint8Array, problems: Problem[]) {
    this.#right = right;
    this.#problems = problems;
  }

  /** Whether every byte of the body is among them. */
  get all(): boolean {
    return this.count === this.#right.length;
  }

  /** Counts bytes that were delivered. */
  take(view: Uint8Array): void {
    this.look(view, "delivered");
    this.#views.push({ view, at: this.count });
    this.count += view.length;
  }

  /** Compares bytes with those that come next, without counting them. */
  look(view: Uint8Array, what: string): void {
    const wrong = difference(view, this.#right, this.count);
    if (wrong !== null) this.#problems.push({ kind: "wrong bytes", detail: `${what}: ${wrong}` });
  }

  /** Looks again at all that was delivered: it belongs to who got it. */
  recheck(): void {
    for (const { view, at } of this.#views) {
      const wrong = difference(view, this.#right, at);
      if (wrong === null) continue;
      this.#problems.push({ kind: "wrong bytes", detail: `changed after delivery: ${wrong}` });
      return;
    }
  }
}

/** Where bytes differ from a part of others, or `null`. */
function difference(view: Uint8Array, right: Uint8Array, at: number): string | null {
  if (at + view.length > right.length) {
    return `${at + view.length} bytes of a body that has ${right.length}`;
  }
  // A loop in JavaScript takes most of a large cell's time.
  const whole = Buffer.from(right.buffer, right.byteOffset + at, view.length);
  if (whole.equals(view)) return null;
  for (let i = 0; i < view.length; i++) {
    if (view[i] === right[at + i]) continue;
    const seen = [...view.subarray(i, i + 8)].map((byte) => byte.toString(16).padStart(2, "0"));
    return `${seen.join(" ")} at ${at + i}, where ${
      JSON.stringify(text(right, at + i, 8))
    } belongs`;
  }
  return null;
}

function text(bytes: Uint8Array, at: number, count: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + count));
}
