/**
 * Watching for an answer while a request is still being sent.
 *
 * @module
 */
import type { Channel } from "./channel.ts";

/** How long an answer is waited for after a write failed: it is there already, or it never comes. */
const SALVAGE_MS = 1000;

/** Watches one request. */
export class Watch {
  /** Told when a final answer has come, or a malformed one. */
  onanswer: (() => void) | null = null;
  /** Whether a final answer has come. */
  answered = false;
  /** What was wrong with the answer. */
  failure: { reason: unknown } | null = null;
  #channel: Channel;
  #begin: (() => Promise<void>) | null;
  #running: Promise<void> | null = null;

  /**
   * @param begin Reads the head, interim responses included; `null` while the reader is another
   * response's.
   */
  constructor(channel: Channel, begin: (() => Promise<void>) | null) {
    this.#channel = channel;
    this.#begin = begin;
  }

  /** Whether the rest of the request is not to be sent. */
  get stopped(): boolean {
    return this.answered || this.failure !== null || this.#channel.closed;
  }

  /** Starts to watch, once something was sent and more is to come. */
  start(): void {
    this.#running ??= this.#watch(false);
  }

  /** Starts to wait: what ends without an answer is a failure, too, and the deadlines of a head run. */
  wait(): void {
    this.#running ??= this.#watch(true);
  }

  /**
   * Waits for the promise, an early answer or the end of the connection, whichever is first. `false`
   * where the rest of the request is not to be sent; the promise is then left behind.
   */
  async race(promise: Promise<unknown>): Promise<boolean> {
    const channel = this.#channel;
    if (this.stopped) {
      promise.catch(() => {});
      return false;
    }
    try {
      return await new Promise<boolean>((resolve, reject) => {
        const stop = () => resolve(false);
        this.onanswer = channel.onclose = stop;
        promise.then(() => resolve(true), reject);
      });
    } finally {
      this.onanswer = channel.onclose = null;
    }
  }

  /**
   * After a write failed: a server that refuses a body answers and resets the connection, and the
   * answer can still be read. Whether there is one.
   */
  async salvage(error: unknown): Promise<boolean> {
    if (this.answered) return true;
    if (!isReset(error) || this.#channel.closed) return false;
    this.start();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SALVAGE_MS);
    });
    await Promise.race([this.#running, late]);
    clearTimeout(timer);
    return this.answered;
  }

  async #watch(waiting: boolean): Promise<void> {
    if (this.#begin === null) return;
    const { reader } = this.#channel;
    if (!waiting) {
      reader.prefetch();
      await reader.arrived();
      // An end without an answer is told by the next write, or by who gets the response.
      if (reader.arrival !== "data" && reader.available === 0) return;
    }
    try {
      await this.#begin();
      this.answered = true;
    } catch (reason) {
      this.failure = { reason };
    }
    this.onanswer?.();
  }
}

/** The errors of a write to a peer that reads no more. */
function isReset(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionAborted;
}
