/**
 * The buffered reader: the only module that knows buffers, and the only one that reads a transport.
 * Parsers look at `bytes[start..end]` without awaiting, move `start`, and whoever runs them asks for a
 * `fill()` when they need more.
 *
 * A buffer has one owner. While a read is out, it is that read's, whatever becomes of the reader: it goes
 * back to the pool when the read has settled and nothing can look at it any more.
 *
 * @module
 */
import type { Reader } from "@std/io/types";
import { type BufferedBytes, copyOf, targetGone } from "../wire/buffered_bytes.ts";
import { turn } from "./platform.ts";

/** The size of a connection's buffer, once a read has filled the first one. */
export const BUFFER_SIZE = 65536;
/** The size of the first: a small answer needs no more, and 1,000 at once need 8 MiB. */
export const FIRST_SIZE = 8192;
const LF = 10;
const EMPTY: Uint8Array<ArrayBuffer> = new Uint8Array(0);
const NO_BLOCK = EMPTY.buffer;
/** Four times LF. */
const FOUR_LF = 0x0a0a0a0a;

/** How much is copied at once for short lines, and so what a line that is kept keeps at most. */
const BLOCK = 4096;

/** Buffers that no connection needs at the moment: an idle connection holds none. */
const firstBuffers: Uint8Array<ArrayBuffer>[] = [];
const buffers: Uint8Array<ArrayBuffer>[] = [];
/**
 * How many bytes of each size are kept: new buffers cost a third of 100 small requests.
 *
 * @tuning
 */
const POOL_BYTES = 8388608;

/**
 * Lines are short: up to here a loop finds the LF of most of them before `indexOf` would have begun.
 *
 * @tuning
 */
const NEAR = 128;

function recycle(buffer: Uint8Array): void {
  const size = buffer.length;
  if (size !== FIRST_SIZE && size !== BUFFER_SIZE) return;
  const pool = size === FIRST_SIZE ? firstBuffers : buffers;
  if (pool.length < POOL_BYTES / size) pool.push(buffer as Uint8Array<ArrayBuffer>);
}

/** A buffer for at least so many bytes. */
function bufferFor(count: number): Uint8Array<ArrayBuffer> {
  if (count > BUFFER_SIZE) return new Uint8Array(count);
  if (count > FIRST_SIZE) return buffers.pop() ?? new Uint8Array(BUFFER_SIZE);
  return firstBuffers.pop() ?? new Uint8Array(FIRST_SIZE);
}

/** Why there is nothing more to read. */
export interface Failure {
  readonly reason: unknown;
}

/** Bytes from a source, between `start` and `end`. */
export class BufferedReader implements BufferedBytes {
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  /** How many bytes the source has given in all. */
  received = 0;
  /** Whether the source has ended. */
  ended = false;
  /** Whether it ended without the end that its protocol has: TLS without `close_notify`. */
  ragged = false;
  readonly #source: Reader | null;
  /** Whether a read of the source is out. */
  #reading = false;
  /** The caller's memory that this read fills, in place of the buffer. */
  #direct: Uint8Array | null = null;
  /** How much room it had when the read was issued. */
  #directSize = 0;
  /** Whether that caller was interrupted. */
  #isOrphaned = false;
  /** Who waits for it: all share one promise. */
  #waiting: Promise<number> | null = null;
  #resolve: (count: number) => void = () => {};
  #reject: (reason: unknown) => void = () => {};
  /** Why there is nothing more to read: the source failed, or `discard()` was called. */
  #failure: Failure | null = null;
  /** Whether `discard()` was called: what comes is nobody's. */
  #discarded = false;
  /**
   * A copy of `bytes[blockStart..blockEnd]` that `takeLine()` gives out in parts. Its buffer alone, as V8 makes
   * a call of each look at `buffer`: a thirtieth of `readline()` (`bench/run.ts --only g`).
   */
  #block: ArrayBuffer = NO_BLOCK;
  #blockStart = 0;
  #blockEnd = 0;
  /** The same memory as `bytes`, once it is searched. */
  #view: DataView | null = null;

  /** @param source Where the bytes come from; `null` for none but those that are put in by `split`. */
  constructor(source: Reader | null) {
    this.#source = source;
    this.ended = source === null;
  }

  get available(): number {
    return this.end - this.start;
  }

  /** Whether a read of the source is out, and has brought nothing yet. */
  get reading(): boolean {
    return this.#reading;
  }

  /** Whether what a `fill()` or `fillInto()` has given is still waited for. */
  isAwaited(fill: Promise<number> | null): boolean {
    return fill !== null && this.#waiting === fill;
  }

  /** Whether that read fills the caller's memory. */
  get readsDirectly(): boolean {
    return this.#direct !== null;
  }

  /** Whether the source failed. */
  get failed(): boolean {
    return this.#failure !== null;
  }

  /** Whether it failed with this error. */
  failedWith(error: unknown): boolean {
    return this.#failure !== null && this.#failure.reason === error;
  }

  /** Whether another `fill()` would make the buffer grow. */
  get full(): boolean {
    return this.available >= BUFFER_SIZE / 2;
  }

  /**
   * Waits for one read of the source; one that is out already is waited for together.
   *
   * @returns How many bytes came; 0 when the source has ended.
   */
  fill(): Promise<number> {
    if (this.#waiting !== null) return this.#waiting;
    if (this.#failure !== null) return Promise.reject(this.#failure.reason);
    if (this.ended) return Promise.resolve(0);
    const waiting = this.#wait();
    if (!this.#reading) this.#read();
    return waiting;
  }

  /** Reads directly into `target`, only while `dry`. Resolves as `fill()` does. */
  fillInto(target: Uint8Array): Promise<number> {
    const waiting = this.#wait();
    this.#direct = target;
    this.#directSize = target.length;
    this.#issue(target);
    return waiting;
  }

  /** Whether `fillInto` may be used. */
  get dry(): boolean {
    return this.start === this.end && !this.#reading && !this.ended && this.#failure === null;
  }

  /**
   * Issues a read now, so that an answer, an end or a reset shows before anything is written. The next
   * `fill()` waits for it.
   */
  prefetch(): void {
    if (!this.#reading && !this.ended && this.#failure === null) this.#read();
  }

  /** Nothing more is read: whoever waits gets the reason of `ending`, and what is buffered is gone. */
  discard(ending: Failure): void {
    if (this.#discarded) return;
    this.#discarded = true;
    this.#failure ??= ending;
    if (this.#waiting !== null) this.#answer(this.#reject, this.#failure.reason);
    // A read that is out owns the buffer, or the caller's memory, until it settles.
    if (!this.#reading) this.#dropBuffer();
    else this.start = this.end;
  }

  /** Whoever waits gets the reason of `ending`; the read that is out is left to the next `fill()`. */
  interrupt(ending: Failure): void {
    this.#isOrphaned = this.#direct !== null;
    if (this.#waiting !== null) this.#answer(this.#reject, ending.reason);
  }

  /** Gives the buffer back while nothing is in it: memory is for connections that read. */
  release(): void {
    if (this.start === this.end && !this.#reading) this.#dropBuffer();
  }

  /** Splits off what is buffered up to `end`: a reader of its own, whose source is at its end. */
  split(end: number): BufferedReader {
    const part = new BufferedReader(null);
    part.bytes = this.bytes.slice(this.start, end);
    part.end = part.bytes.length;
    part.received = part.end;
    this.start = end;
    return part;
  }

  /**
   * The first LF in `bytes[start..end]`, or -1. Four bytes at a time, as a byte each takes twice as long: a
   * tenth of `readline()` (`bench/run.ts --only g`).
   */
  indexOfLF(start: number, end: number): number {
    const { bytes } = this;
    const view = this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const near = Math.min(end, start + NEAR);
    let at = start;
    for (; at <= near - 4; at += 4) {
      const differing = view.getInt32(at) ^ FOUR_LF;
      // Whether one of its bytes is 0: only there subtracting 1 sets the highest bit of one that is below 128.
      if (((differing - 0x01010101) & ~differing & 0x80808080) !== 0) break;
    }
    while (at < near && bytes[at] !== LF) at++;
    return at < near ? at : bytes.subarray(0, end).indexOf(LF, near);
  }

  /** A copy of the next `count` bytes, which are then consumed. */
  take(count: number): Uint8Array<ArrayBuffer> {
    const { start } = this;
    this.start += count;
    return copyOf(this.bytes, start, this.start);
  }

  /**
   * The same for a short line, of which more follow: it is a part of a block of `content` bytes, or of
   * the 4 KiB that lines are copied in. An array of its own for each takes three times as long.
   */
  takeLine(count: number, content: number): Uint8Array<ArrayBuffer> {
    if (count > BLOCK / 4) return this.take(count);
    const { start } = this;
    const end = start + count;
    // A block that its user has transferred is of no length any more.
    const lost = this.#block.byteLength === 0;
    if (lost || start < this.#blockStart || end > this.#blockEnd) {
      this.#blockStart = start;
      this.#blockEnd = start + Math.min(content, BLOCK);
      this.#block = copyOf(this.bytes, start, this.#blockEnd).buffer;
    }
    this.start = end;
    const at = start - this.#blockStart;
    return new Uint8Array(this.#block, at, count);
  }

  /** Puts bytes that were read into other memory in front. No read may be out. */
  unread(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#forgetViews();
    const rest = this.bytes.subarray(this.start, this.end);
    const size = piece.length + rest.length;
    const bytes = bufferFor(size);
    bytes.set(piece);
    bytes.set(rest, piece.length);
    recycle(this.bytes);
    this.bytes = bytes;
    this.start = 0;
    this.end = size;
  }

  #wait(): Promise<number> {
    return this.#waiting = new Promise(this.#listen);
  }

  /** Kept, so that a wait makes no function of its own. */
  #listen = (resolve: (count: number) => void, reject: (reason: unknown) => void): void => {
    this.#resolve = resolve;
    this.#reject = reject;
  };

  #answer<T>(respond: (value: T) => void, value: T): void {
    if (this.#waiting === null) return;
    this.#waiting = null;
    respond(value);
  }

  #read(): void {
    this.#makeRoom();
    this.#issue(this.end === 0 ? this.bytes : this.bytes.subarray(this.end));
  }

  #issue(target: Uint8Array): void {
    this.#reading = true;
    try {
      const read = this.#source!.read(target);
      read.then(this.#onread, this.#onfailure);
    } catch (reason) {
      this.#onfailure(reason);
    }
  }

  #onread = (count: number | null): void => {
    const direct = this.#direct;
    this.#reading = false;
    this.#direct = null;
    if (this.#discarded) return this.#dropBuffer();
    if (count === null) {
      this.ended = true;
      return this.#answer(this.#resolve, 0);
    }
    if (direct !== null && direct.length < this.#directSize) return this.#onfailure(targetGone());
    const room = direct === null ? this.bytes.length - this.end : direct.length;
    if (!(Number.isInteger(count) && count >= 0 && count <= room)) {
      return this.#onfailure(
        new TypeError(`Cannot read transport: it gave ${String(count)} bytes for ${room}`),
      );
    }
    if (count === 0) return void this.#readAgain(direct);
    this.received += count;
    if (direct === null) this.end += count;
    // Whoever gave the memory waits no more: the bytes come first in what is read next.
    else if (this.#isOrphaned) this.unread(direct.subarray(0, count));
    this.#isOrphaned = false;
    this.#answer(this.#resolve, count);
  };

  /** A source that gives nothing, again and again, must not starve the event loop. */
  async #readAgain(direct: Uint8Array | null): Promise<void> {
    this.#reading = true;
    this.#direct = direct;
    await turn();
    if (this.#discarded) return this.#onread(null);
    if (direct !== null) this.#issue(direct);
    else this.#read();
  }

  #onfailure = (reason: unknown): void => {
    this.#reading = false;
    this.#direct = null;
    if (this.#discarded) return this.#dropBuffer();
    // Deno: TLS that ends without close_notify, below a transport of the user's, too. RFC 9112, Section 9.8:
    // whoever reads decides.
    if (reason instanceof Error && reason.name === "UnexpectedEof") {
      this.ended = this.ragged = true;
      return this.#answer(this.#resolve, 0);
    }
    this.#failure = { reason };
    this.#answer(this.#reject, reason);
  };

  #dropBuffer(): void {
    recycle(this.bytes);
    this.bytes = EMPTY;
    this.start = this.end = 0;
    this.#forgetViews();
  }

  /** The bytes that they show are about to move. */
  #forgetViews(): void {
    this.#view = null;
    if (this.#blockEnd === 0) return;
    this.#block = NO_BLOCK;
    this.#blockStart = this.#blockEnd = 0;
  }

  /** Makes room for a read: what is buffered is moved down, and only a full buffer grows. */
  #makeRoom(): void {
    this.#forgetViews();
    const size = this.bytes.length;
    const isFirstFull = size === FIRST_SIZE && this.end === size;
    if (this.start === this.end) {
      this.start = this.end = 0;
      if (size > 0 && !isFirstFull) return;
      recycle(this.bytes);
      this.bytes = bufferFor(isFirstFull ? BUFFER_SIZE : FIRST_SIZE);
      return;
    }
    if (size - this.end >= size >> 2) return;
    if (this.start > 0 && !isFirstFull) {
      this.bytes.copyWithin(0, this.start, this.end);
      this.end -= this.start;
      this.start = 0;
    }
    if (this.end === size) {
      // Who needs this much at once has a limit of its own for it (a line, a head).
      const bigger = bufferFor(size * 2);
      bigger.set(this.bytes);
      recycle(this.bytes);
      this.bytes = bigger;
    }
  }
}
