/**
 * Signals that know who listens to them, and rejections that nobody handles.
 *
 * @module
 */
import { Marked } from "./outcome.ts";

/** A signal, its reason, and whether anything still listens to it. */
export class Aborter {
  /** What it will abort with. */
  readonly reason: Marked = new Marked(new Error("no longer wanted"));
  /** The signal. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #listeners = new Set<unknown>();

  /** Makes a signal. */
  constructor() {
    const { signal } = this.#controller;
    this.signal = signal;
    const add = signal.addEventListener.bind(signal) as EventTarget["addEventListener"];
    const remove = signal.removeEventListener.bind(signal) as EventTarget["removeEventListener"];
    signal.addEventListener = (...args: Parameters<EventTarget["addEventListener"]>) => {
      this.#listeners.add(args[1]);
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<EventTarget["removeEventListener"]>) => {
      this.#listeners.delete(args[1]);
      remove(...args);
    };
  }

  /** How many listeners it has. A signal that has aborted has let go of them. */
  get listeners(): number {
    return this.signal.aborted ? 0 : this.#listeners.size;
  }

  /** Aborts. */
  abort(): void {
    this.#controller.abort(this.reason.error);
  }
}

const unhandled: unknown[] = [];

/** Notes rejections that nobody handles, rather than letting them end the process. */
export function watchRejections(): void {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    unhandled.push(event.reason);
  });
}

/** The rejections that nobody has handled since the last time. */
export function takeRejections(): unknown[] {
  return unhandled.splice(0);
}
