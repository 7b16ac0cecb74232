/**
 * A clock and timers that stand still until the test moves them on.
 *
 * @module
 */

interface FakeTimer {
  at: number;
  callback: () => void;
  /** Whether it keeps the process alive. */
  referenced: boolean;
}

/** Takes the place of `performance.now()` and of the timers until it is disposed. */
export class FakeClock implements Disposable {
  /** The time, in milliseconds. */
  now = 1000;
  /** For how long each timer was to wait when it was made. */
  readonly waits: number[] = [];
  readonly #timers = new Map<number, FakeTimer>();
  readonly #restore: () => void;

  constructor() {
    const { setTimeout, clearTimeout, performance } = globalThis;
    const { now } = performance;
    const { refTimer, unrefTimer } = Deno;
    this.#restore = () => {
      Object.assign(globalThis, { setTimeout, clearTimeout });
      performance.now = now;
      Object.assign(Deno, { refTimer, unrefTimer });
    };
    Object.assign(globalThis, {
      setTimeout: (callback: () => void, ms: number) => this.#add(callback, ms),
      clearTimeout: (id: number | undefined) => void this.#timers.delete(id ?? -1),
    });
    performance.now = () => this.now;
    Object.assign(Deno, {
      refTimer: (id: number) => this.#reference(id, true),
      unrefTimer: (id: number) => this.#reference(id, false),
    });
  }

  #add(callback: () => void, ms: number): number {
    this.waits.push(ms);
    const id = this.waits.length;
    this.#timers.set(id, { at: this.now + ms, callback, referenced: true });
    return id;
  }

  #reference(id: number, referenced: boolean): void {
    const timer = this.#timers.get(id);
    if (timer === undefined) throw new Error(`There is no timer ${id}`);
    if (timer.referenced === referenced) throw new Error(`Timer ${id} is that already`);
    timer.referenced = referenced;
  }

  /** The timers that have not fired: whether each keeps the process alive. */
  get pending(): boolean[] {
    return Array.from(this.#timers.values(), ({ referenced }) => referenced);
  }

  /** Moves on, and fires what is due in its order. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= until)
        .sort(([, a], [, b]) => a.at - b.at);
      if (due.length === 0) break;
      const [id, { at, callback }] = due[0];
      this.#timers.delete(id);
      this.now = Math.max(this.now, at);
      callback();
    }
    this.now = until;
  }

  [Symbol.dispose](): void {
    this.#restore();
  }
}
