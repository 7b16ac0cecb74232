/**
 * Deadlines: one timer a connection, armed only while a call waits. A deadline that moves on costs a
 * comparison; a timer for each operation costs 15 % of a small request's CPU time, and to make and clear
 * one 1.4 us (`bench/requests.ts`).
 *
 * @module
 */
import { refTimer, unrefTimer } from "../net/platform.ts";

/** The deadlines that can run at the same time. */
export type DeadlineKind =
  /** The `timeout` of connecting, of a read, of a write. */
  | "open"
  | "read"
  | "write"
  | "connect"
  | "tls"
  | "head"
  | "bodyIdle"
  | "total";

/** What a deadline that ran out is called in its error. */
const NAMES: Record<DeadlineKind, string> = {
  open: "timeout",
  read: "timeout",
  write: "timeout",
  connect: "connect deadline",
  tls: "tls deadline",
  head: "head deadline",
  bodyIdle: "bodyIdle deadline",
  total: "total deadline",
};

const KINDS = Object.keys(NAMES) as DeadlineKind[];
/** No deadline runs. */
const NONE = Object.fromEntries(KINDS.map((kind) => [kind, Infinity])) as Record<
  DeadlineKind,
  number
>;

/** A timer takes at most this many milliseconds; one that is too early arms itself again. */
const LONGEST_TIMER = 0x7fffffff;

/** The deadlines of one connection. */
export class Deadlines {
  #onexpired: (name: string, seconds: number, kind: DeadlineKind) => void;
  /** When each deadline ends, as `performance.now()` counts; none before the first is set. */
  #ends: Record<DeadlineKind, number> | null = null;
  /** How many seconds each had. */
  #seconds: Partial<Record<DeadlineKind, number>> = {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  /** How many calls wait. */
  #waits = 0;
  /** Whether the timer keeps the process alive: only while a call waits. */
  #referenced = false;

  /** @param onexpired Told which deadline has passed, while a call waits. */
  constructor(onexpired: (name: string, seconds: number, kind: DeadlineKind) => void) {
    this.#onexpired = onexpired;
  }

  /** Starts a deadline, or moves it on; it ends so many seconds after `from`. */
  set(kind: DeadlineKind, seconds: number | null | undefined, from?: number): void {
    if (seconds === null || seconds === undefined) return;
    const at = (from ?? performance.now()) + seconds * 1000;
    this.#ends ??= { ...NONE };
    this.#ends[kind] = at;
    this.#seconds[kind] = seconds;
    if (this.#waits > 0) this.#watch(at);
  }

  /** Moves a deadline on, where it runs. */
  restart(kind: DeadlineKind): void {
    if (this.runs(kind)) {
      this.#ends![kind] = performance.now() + this.#seconds[kind]! * 1000;
    }
  }

  /** Ends a deadline; the timer is left to find that out by itself. */
  clear(kind: DeadlineKind): void {
    if (this.#ends !== null) this.#ends[kind] = Infinity;
  }

  /** Whether a deadline runs. */
  runs(kind: DeadlineKind): boolean {
    return this.#ends !== null && this.#ends[kind] !== Infinity;
  }

  /** A call begins to wait. */
  beginWait(): void {
    this.#waits++;
    if (this.#ends === null) return;
    const first = this.#first();
    if (first !== null) this.#watch(this.#ends[first]);
  }

  /** It waits no more. */
  endWait(): void {
    if (--this.#waits === 0) this.#reference(false);
  }

  /** Ends all deadlines; `keep` leaves the timer for the next exchange, and nothing else. */
  end(keep: boolean): void {
    if (this.#ends === null) return;
    for (const kind of KINDS) this.#ends[kind] = Infinity;
    if (keep || this.#timer === undefined) return this.#reference(false);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  /** The deadline that ends first. */
  #first(): DeadlineKind | null {
    let first: DeadlineKind | null = null;
    let at = Infinity;
    for (const kind of KINDS) {
      if (this.#ends![kind] < at) [first, at] = [kind, this.#ends![kind]];
    }
    return first;
  }

  /** Sees to it that the timer fires by then. */
  #watch(at: number): void {
    if (at >= this.#timerAt - 1) return this.#reference(true);
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const left = Math.min(Math.max(0, Math.ceil(at - performance.now())), LONGEST_TIMER);
    this.#timer = setTimeout(this.#tick, left);
    this.#referenced = true;
  }

  #reference(wanted: boolean): void {
    if (this.#timer === undefined || wanted === this.#referenced) return;
    this.#referenced = wanted;
    if (wanted) refTimer(this.#timer);
    else unrefTimer(this.#timer);
  }

  #tick = (): void => {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    const first = this.#waits > 0 ? this.#first() : null;
    if (first === null) return;
    const at = this.#ends![first];
    if (at - performance.now() > 1) return this.#watch(at);
    this.#onexpired(NAMES[first], this.#seconds[first]!, first);
  };
}
