/**
 * What all parts of a running case share: a clock that counts events, what waits until nothing else
 * happens, the answers that the server is to give, and the broken promises that were found.
 *
 * @module
 */
import { type AnswerPlan, HELD, type OddFields } from "./plan.ts";
import type { Wire } from "./wire.ts";

/** A promise that was found broken: the rule is `promiseN/what`. */
export interface Finding {
  rule: string;
  message: string;
}

/** What the server is to know of a request, and what the checks are to know of it. */
export interface Known {
  id: number;
  conn: number;
  /** The text of the body's parts in order. */
  parts: string[];
  /** Whether each part is sent whole or not at all, as by `send()`, rather than as one body. */
  steps: boolean;
  /** Whether the head says how the body is framed. */
  framed: boolean;
  expect: boolean;
  close: boolean;
  odd: OddFields;
  /** Whether it has a `Content-Length` of the caller's. */
  declared: boolean;
  answer: AnswerPlan;
  /** When it was called. */
  called: number;
  calledTime: number;
  /** The abort signal it was given, or none. */
  signal: number | null;
  /** Whether `getresponse()` was called for it. */
  asked: boolean;
  /** Its own call's end: of `request()` or `endheaders()`. */
  outcome: "begun" | "pending" | "resolved" | "rejected" | "unknown";
}

/** An answer that nobody asked for. */
export interface Push {
  owner: string;
  /** The number of the connection. */
  wire: number;
  clock: number;
  time: number;
}

/** An object that the library may pass on, but not write to. */
export interface UsersObject {
  object: object;
  what: string;
  rule: string;
  /** How many properties it had. */
  keys: number;
}

/** What a running case shares. */
export class World {
  /** Counts what happens; what is later has a higher number. */
  clock = 0;
  /** When something happened last, in milliseconds. */
  lastActivity = performance.now();
  /** Whether nothing goes wrong any more on the user's and the server's side. */
  healthy = false;
  readonly known = new Map<number, Known>();
  readonly wires: Wire[] = [];
  readonly pushes: Push[] = [];
  readonly findings: Finding[] = [];
  /** Objects of the user's, which get no new properties. */
  readonly objects: UsersObject[] = [];
  /** What the calls came to, for who looks at a failure. */
  readonly story: string[] = [];
  readonly #held: (() => void)[] = [];

  /** Counts an event. */
  tick(): number {
    this.lastActivity = performance.now();
    return ++this.clock;
  }

  /** For how long nothing has happened, in milliseconds. */
  since(): number {
    return performance.now() - this.lastActivity;
  }

  /** Records a broken promise. */
  fail(rule: string, message: string): void {
    this.findings.push({ rule, message });
  }

  /** Notes an object of the user's, which nobody may write to. */
  own<T extends object>(object: T, what: string, rule = "promise8/written"): T {
    this.objects.push({ object, what, rule, keys: Reflect.ownKeys(object).length });
    return object;
  }

  /** An error of the user's. */
  userError(what: string): Error {
    return this.own(new Error(`Thrown by ${what}`), `what ${what} threw`);
  }

  /** Adds a line to the story. */
  tell(line: string): void {
    this.story.push(`${String(this.clock).padStart(4)} ${line}`);
  }

  /** Waits so many microtasks, or until nothing else happens. */
  async delay(amount: number): Promise<void> {
    if (amount === HELD && !this.healthy) return await new Promise((go) => this.#held.push(go));
    for (let i = 0; i < amount; i++) await null;
  }

  /** Lets go on what has been held for longest; `false` where nothing is. */
  release(): boolean {
    const go = this.#held.shift();
    if (go === undefined) return false;
    this.tick();
    go();
    return true;
  }

  /** Lets everything that is held go on. */
  releaseAll(): void {
    while (this.release());
  }
}
