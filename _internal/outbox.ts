/**
 * The outbox: what of a request waits for the next write, so that there are as few writes as there can
 * be, and none of them waits for a source that takes its time.
 *
 * @module
 */
import type { Channel } from "./channel.ts";
import { tell, type Trace } from "./trace.ts";
import type { Watch } from "./watch.ts";

/** Pieces are put together up to this size: one write for a 64 KiB piece with its chunk framing. */
const STAGE = 131072;
/** A body that comes with the head waits this long for its pieces, so that they share a write. */
const GRACE_MS = 10;
/** How many microtasks a source or a write may take before something else is done meanwhile. */
const PROMPT = 8;

/** Thrown where the rest of the request is not to be sent; never leaves this library. */
export const STOPPED = new Error("stopped");

/** What is staged for the next write. */
export class Outbox {
  #channel: Channel;
  #watch: Watch;
  #stage: Uint8Array;
  #used: number;
  #started = false;
  #graceEnd = 0;
  /** Where the head ends, for the trace; 0 where it is out already. */
  #headSize: number;

  constructor(channel: Channel, watch: Watch, head: Uint8Array) {
    this.#channel = channel;
    this.#watch = watch;
    this.#stage = head;
    this.#used = this.#headSize = head.length;
    const { trace } = channel;
    channel.onsent = trace === null ? null : () => this.#report(trace);
  }

  /** Stages bytes, or returns a promise where something has to be written for that. */
  add(bytes: Uint8Array): Promise<void> | null {
    if (this.#used + bytes.length > this.#stage.length) {
      if (this.#used + bytes.length > STAGE) return this.#spill(bytes);
      this.#grow(this.#used + bytes.length);
    }
    this.#stage.set(bytes, this.#used);
    this.#used += bytes.length;
    return null;
  }

  /** Writes what is staged; `more` says that it is not the end of the request. */
  async flush(more: boolean): Promise<void> {
    if (this.#used === 0) return;
    const bytes = this.#stage.subarray(0, this.#used);
    this.#used = 0;
    await this.#write(bytes, more);
  }

  /** Waits for a piece of the body; what is staged goes out if the source takes its time. */
  async during<T>(piece: PromiseLike<T>): Promise<T> {
    const promise = Promise.resolve(piece);
    let settled = false;
    const settle = () => void (settled = true);
    promise.then(settle, settle);
    for (let i = 0; i < PROMPT && !settled; i++) await null;
    if (settled) return await promise;
    if (!this.#started && await this.#grace(promise)) return await promise;
    await this.flush(true);
    if (!(await this.#watch.race(promise))) throw STOPPED;
    return await promise;
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    await this.flush(true);
    if (bytes.length >= STAGE / 2) await this.#write(bytes, true);
    else this.add(bytes);
  }

  #grow(size: number): void {
    const stage = new Uint8Array(Math.max(Math.min(STAGE, size * 2), size));
    stage.set(this.#stage.subarray(0, this.#used));
    this.#stage = stage;
  }

  /** Waits a moment for a piece. Whether it came. */
  async #grace(piece: Promise<unknown>): Promise<boolean> {
    const now = performance.now();
    if (this.#graceEnd === 0) this.#graceEnd = now + GRACE_MS;
    if (now >= this.#graceEnd) return false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const over = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, this.#graceEnd - now, false);
    });
    const came = piece.then(() => true, () => true);
    const whether = await Promise.race([came, over]);
    clearTimeout(timer);
    return whether;
  }

  /**
   * The watch begins with the first write that is not the whole request, or that is not done at once. A
   * write that is left behind by an early answer ends with the connection.
   */
  async #write(bytes: Uint8Array, more: boolean): Promise<void> {
    this.#started = true;
    if (this.#watch.stopped) throw STOPPED;
    const write = this.#channel.send(bytes);
    if (more || !(await prompt(write))) {
      this.#watch.start();
      if (!(await this.#watch.race(write))) throw STOPPED;
    }
    await write;
  }

  #report(trace: Trace): void {
    const { sent } = this.#channel;
    if (sent < this.#headSize) return;
    if (this.#headSize > 0) tell(trace, { type: "requestHead", bytes: this.#headSize });
    if (sent > this.#headSize) tell(trace, { type: "requestBody", bytes: sent });
    this.#headSize = 0;
  }
}

/** Whether a promise settles within a few microtasks. */
async function prompt(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => void (settled = true);
  promise.then(settle, settle);
  for (let i = 0; i < PROMPT && !settled; i++) await null;
  return settled;
}
