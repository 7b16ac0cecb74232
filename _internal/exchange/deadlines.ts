/**
 * What can end an exchange from outside of it: deadlines and abort signals. One timer a connection,
 * armed lazily, that stays over the exchanges: a deadline that moves on costs a comparison. A timer for
 * each operation costs 15 % of a small request's CPU time, and to make and clear one 1.4 us.
 *
 * @module
 */
import type { ExchangePhase } from "../../errors.ts";

/** The deadlines that can run at the same time. */
export type DeadlineKind =
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
const NONE = Object.fromEntries(KINDS.map((kind) => [kind, Infinity])) as Deadlines;

/** When each deadline ends. */
type Deadlines = Record<DeadlineKind, number>;

/** A reason to end, wrapped so that any value can be one. */
export interface Death {
  reason: unknown;
}

/** The deadlines and signals of one connection, and what they end. */
export class Lifeline {
  /** Why the connection was ended, if it was. */
  death: Death | null = null;
  /** What the exchange is at, for the deadline's error. */
  phase: ExchangePhase = "connect";
  #end: (() => void) | null = null;
  /** When each deadline ends, and how many seconds it had; none before the first is set. */
  #due: Deadlines | null = null;
  #seconds: Partial<Record<DeadlineKind, number>> = {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  /** Whether the timer keeps the process alive. */
  #awake = true;
  #signals: AbortSignal[] = [];
  #onabort = (event: Event): void => this.kill((event.target as AbortSignal).reason);

  /** Says what is ended: an attempt to connect, later a transport. */
  attach(end: () => void): void {
    this.#end = end;
    if (this.death !== null) end();
  }

  /** Ends it for `reason`; only the first counts. */
  kill(reason: unknown): void {
    if (this.death !== null) return;
    this.death = { reason };
    this.stop();
    this.#end?.();
  }

  /** Lets a signal end it until `stop()`; one that is aborted already throws its reason. */
  listen(signal: AbortSignal | null | undefined): void {
    if (signal === null || signal === undefined || this.#signals.includes(signal)) return;
    signal.throwIfAborted();
    signal.addEventListener("abort", this.#onabort);
    this.#signals.push(signal);
  }

  /** Starts a deadline, or moves it on. */
  set(kind: DeadlineKind, seconds: number | null | undefined): void {
    if (seconds === null || seconds === undefined || this.death !== null) return;
    const at = performance.now() + seconds * 1000;
    this.#due ??= { ...NONE };
    this.#due[kind] = at;
    this.#seconds[kind] = seconds;
    if (at < this.#timerAt - 1) this.#arm(at);
    else if (!this.#awake) this.#wake();
  }

  /** Ends a deadline; the timer is left to find that out by itself. */
  clear(kind: DeadlineKind): void {
    if (this.#due !== null) this.#due[kind] = Infinity;
  }

  /**
   * Ends all deadlines and forgets the signals. The timer is left for the next exchange: it keeps
   * nothing alive until then.
   */
  pause(): void {
    if (this.#signals.length > 0) this.#forget();
    if (this.#due === null) return;
    Object.assign(this.#due, NONE);
    if (this.#timer === undefined || !this.#awake) return;
    this.#awake = false;
    Deno.unrefTimer(this.#timer);
  }

  /** The same, for good: nothing is left behind. */
  stop(): void {
    this.pause();
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  #forget(): void {
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#onabort);
    this.#signals.length = 0;
  }

  #arm(at: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    // A timer takes at most 2^31-1 ms, and one that is too early arms itself again.
    const left = Math.min(Math.max(0, Math.ceil(at - performance.now())), 0x7fffffff);
    this.#timer = setTimeout(this.#tick, left);
    this.#awake = true;
  }

  #wake(): void {
    this.#awake = true;
    if (this.#timer !== undefined) Deno.refTimer(this.#timer);
  }

  #tick = (): void => {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    let first: DeadlineKind | null = null;
    let at = Infinity;
    for (const kind of KINDS) {
      const due = this.#due![kind];
      if (due < at) [first, at] = [kind, due];
    }
    if (first === null) return;
    if (at - performance.now() > 1) return this.#arm(at);
    const seconds = this.#seconds[first];
    this.kill(
      new Deno.errors.TimedOut(
        `Cannot go on (phase ${this.phase}): the ${NAMES[first]} of ${seconds} s has passed`,
      ),
    );
  };
}

/** Checks a number of seconds that a user gave. */
export function checkSeconds(name: string, seconds: number | null | undefined): void {
  if (seconds === null || seconds === undefined) return;
  if (typeof seconds !== "number" || !(seconds > 0)) {
    throw new TypeError(
      `Cannot use ${name} ${String(seconds)}: it is not a number of seconds over 0`,
    );
  }
}
