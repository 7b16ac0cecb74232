/**
 * The outbox: what of a request waits for the next write, so that there are as few writes as there can
 * be, and none of them waits for a source that takes its time.
 *
 * @module
 */
import type { Channel } from "./channel.ts";
import { chunkLine, CRLF } from "../wire/request_head.ts";
import { tell, type Trace } from "./trace.ts";
import type { Watch } from "./watch.ts";

/** Pieces are put together up to this size: one write for seven of 64 KiB with their framing. */
const STAGE = 524288;
/** The same where the progress is told: after each write. */
const TRACED_STAGE = 131072;
/** A body that comes with the head waits this long for its pieces, so that they share a write. */
const GRACE_MS = 10;
/** How many microtasks a source or a write may take before something else is done meanwhile. */
export const PROMPT = 8;

/** Thrown where the rest of the request is not to be sent; never leaves this library. */
export const STOPPED = new Error("stopped");

/** What is staged for the next write. */
export class Outbox {
  #channel: Channel;
  #watch: Watch;
  #stage: Uint8Array;
  #used: number;
  #most = STAGE;
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
    if (trace !== null) this.#most = TRACED_STAGE;
  }

  /** Stages bytes, or returns a promise where something has to be written for that. */
  add(bytes: Uint8Array): Promise<void> | null {
    if (!this.#hasRoom(bytes.length)) return this.#spill(bytes);
    this.#stage.set(bytes, this.#used);
    this.#used += bytes.length;
    return null;
  }

  /** The same for a chunk of this data (RFC 9112, Section 7.1). */
  addChunk(data: Uint8Array): Promise<void> | null {
    const line = chunkLine(data.length);
    if (!this.#hasRoom(line.length + data.length + 2)) return this.#spillChunk(line, data);
    const stage = this.#stage;
    let at = this.#used;
    for (let i = 0; i < line.length; i++) stage[at++] = line[i];
    stage.set(data, at);
    at += data.length;
    stage[at] = CRLF[0];
    stage[at + 1] = CRLF[1];
    this.#used = at + 2;
    return null;
  }

  /** Writes what is staged; `more` says that it is not the end of the request. */
  async flush(more: boolean): Promise<void> {
    if (this.#used === 0) return;
    const bytes = this.#stage.subarray(0, this.#used);
    this.#used = 0;
    await this.#write(bytes, more);
  }

  /** Waits for what the source gives; what is staged goes out if it takes its time. */
  async during<T>(piece: PromiseLike<T>): Promise<T> {
    const promise = Promise.resolve(piece);
    return await prompt(promise) ? await promise : await this.late(promise);
  }

  /** Waits for a piece of the body that did not come at once. */
  async late<T>(promise: Promise<T>): Promise<T> {
    if (!this.#started && await this.#grace(promise)) return await promise;
    await this.flush(true);
    if (!(await this.#watch.race(promise))) throw STOPPED;
    return await promise;
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    await this.flush(true);
    if (bytes.length >= this.#most / 2) await this.#write(bytes, true);
    else this.add(bytes);
  }

  async #spillChunk(line: Uint8Array, data: Uint8Array): Promise<void> {
    if (data.length < this.#most / 2) {
      await this.flush(true);
      this.addChunk(data);
      return;
    }
    for (const part of [line, data, CRLF]) await this.add(part);
  }

  /** Whether so much more can be staged. */
  #hasRoom(more: number): boolean {
    const size = this.#used + more;
    if (size <= this.#stage.length) return true;
    if (size > this.#most) return false;
    const stage = new Uint8Array(Math.min(this.#most, size * 2));
    stage.set(this.#stage.subarray(0, this.#used));
    this.#stage = stage;
    return true;
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
