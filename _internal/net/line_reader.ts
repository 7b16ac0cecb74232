/**
 * The buffered reader: the only file that knows buffers, and the only one that awaits the socket for
 * reading. {@linkcode Buffered} is what the protocol code works on: it looks at `bytes[start..end]`
 * without awaiting, moves `start`, and asks for a `fill()` when it needs more. {@linkcode LineReader}
 * is its public face, over a web stream or a `Reader`.
 *
 * @module
 */
import type { Reader } from "@std/io/types";
import { LineTooLong } from "../../errors.ts";
import { checkBytes, checkCount } from "../wire/grammar.ts";

/** The size of a connection's buffer. */
export const BUFFER_SIZE = 65536;
const EMPTY: Uint8Array<ArrayBuffer> = new Uint8Array(0);
const LF = 10;

/** How much is copied at once for short lines, and so what a line that is kept keeps at most. */
const BLOCK = 4096;

/** Buffers that no connection needs at the moment: an idle connection holds none. */
const pool: Uint8Array<ArrayBuffer>[] = [];
/** As many as connections are likely to be at work at once: new ones cost a third of 100 small requests. */
const POOL_LIMIT = 128;

/** Bytes from a source, between `start` and `end`. */
export class Buffered {
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  /** How many bytes the source has given in all. */
  received = 0;
  /** Whether the source has ended. */
  ended = false;
  #source: Reader;
  /** Called before and after a `fill()` waits: a deadline runs only while someone waits. */
  onwait: (() => void) | null = null;
  onwake: (() => void) | null = null;
  /** What the read that `prefetch()` issued has come to; `null` while it is out. */
  arrival: "data" | "end" | null = null;
  /** A read that was issued ahead of the need (see `prefetch`); the next `fill()` adopts it. */
  #pending: Promise<number | null> | null = null;
  /** A copy of `bytes[blockStart..blockEnd]` that `takeLine()` gives out in parts. */
  #block: Uint8Array<ArrayBuffer> = EMPTY;
  #blockStart = 0;
  #blockEnd = 0;

  constructor(source: Reader) {
    this.#source = source;
  }

  get available(): number {
    return this.end - this.start;
  }

  /** Reads once. Resolves to `false` when the source has ended. */
  async fill(): Promise<boolean> {
    if (this.ended) return false;
    // Kept while it is out: a buffer that a read writes to is never given back.
    this.#pending ??= this.#read();
    if (this.onwait !== null) this.onwait();
    try {
      const count = await this.#pending;
      if (count === null) return this.#end();
      this.received += count;
      this.end += count;
      return true;
    } catch (error) {
      return this.#end(error);
    } finally {
      this.#pending = null;
      if (this.onwake !== null) this.onwake();
    }
  }

  /** Reads straight into `target`, only while nothing is buffered; 0 when the source has ended. */
  async fillInto(target: Uint8Array): Promise<number> {
    this.#pending = this.#source.read(target);
    if (this.onwait !== null) this.onwait();
    try {
      const count = await this.#pending;
      if (count === null) this.#end();
      else this.received += count;
      return count ?? 0;
    } catch (error) {
      this.#end(error);
      return 0;
    } finally {
      this.#pending = null;
      if (this.onwake !== null) this.onwake();
    }
  }

  /** The source has ended, or failed. */
  #end(error?: unknown): false {
    // Python's ssl takes a TLS stream that ends without close_notify for ended: so do we.
    if (error !== undefined && !(error instanceof Deno.errors.UnexpectedEof)) throw error;
    this.ended = true;
    return false;
  }

  /** Whether `fillInto` may be used. */
  get dry(): boolean {
    return this.start === this.end && this.#pending === null && !this.ended;
  }

  /** Issues a read now, so that an answer, an end or a reset shows before anything is written. */
  prefetch(): void {
    if (this.#pending !== null || this.ended) return;
    this.arrival = null;
    this.#pending = this.#read();
    this.#pending.then(
      (count) => void (this.arrival = count === null ? "end" : "data"),
      () => void (this.arrival = "end"),
    );
  }

  /** Waits for the read that `prefetch()` issued, and leaves it to the next `fill()`. */
  async arrived(): Promise<void> {
    try {
      await this.#pending;
    } catch {
      // Whoever adopts it gets the error.
    }
  }

  /** Whether a read is out. */
  get pending(): boolean {
    return this.#pending !== null;
  }

  /** Gives the buffer back while nothing is in it: memory is for connections that read. */
  release(): void {
    if (this.start !== this.end || this.#pending !== null || this.bytes.length === 0) return;
    if (this.bytes.length === BUFFER_SIZE && pool.length < POOL_LIMIT) {
      pool.push(this.bytes as Uint8Array<ArrayBuffer>);
    }
    this.bytes = EMPTY;
    this.start = this.end = 0;
    this.#forgetBlock();
  }

  /** A copy of the next `count` bytes, which are then consumed. */
  take(count: number): Uint8Array<ArrayBuffer> {
    const { bytes, start } = this;
    const piece = new Uint8Array(count);
    // A few bytes are copied faster by a loop.
    if (count <= 32) { for (let i = 0; i < count; i++) piece[i] = bytes[start + i]; }
    else piece.set(bytes.subarray(start, start + count));
    this.start += count;
    return piece;
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
    const lost = this.#block.length === 0;
    if (lost || start < this.#blockStart || end > this.#blockEnd) {
      this.#blockStart = start;
      this.#blockEnd = start + Math.min(content, BLOCK);
      this.#block = this.bytes.slice(start, this.#blockEnd) as Uint8Array<ArrayBuffer>;
    }
    this.start = end;
    const at = start - this.#blockStart;
    return this.#block.subarray(at, at + count);
  }

  /** Puts bytes that were taken back in front. No read may be pending. */
  unread(piece: Uint8Array): void {
    this.#forgetBlock();
    const rest = this.bytes.subarray(this.start, this.end);
    const bytes = new Uint8Array(Math.max(BUFFER_SIZE, piece.length + rest.length));
    bytes.set(piece);
    bytes.set(rest, piece.length);
    this.bytes = bytes;
    this.start = 0;
    this.end = piece.length + rest.length;
  }

  #read(): Promise<number | null> {
    this.#makeRoom();
    const room = this.end === 0 ? this.bytes : this.bytes.subarray(this.end);
    return this.#source.read(room);
  }

  /** The bytes that it was copied from move. */
  #forgetBlock(): void {
    if (this.#blockEnd === 0) return;
    this.#block = EMPTY;
    this.#blockStart = this.#blockEnd = 0;
  }

  /** Moves or grows the buffer so that a read has at least a quarter of it. */
  #makeRoom(): void {
    this.#forgetBlock();
    if (this.start === this.end) {
      this.start = this.end = 0;
      if (this.bytes.length === 0) this.bytes = pool.pop() ?? new Uint8Array(BUFFER_SIZE);
      return;
    }
    const size = this.bytes.length;
    if (size - this.end >= size >> 2) return;
    if (this.start > 0) {
      this.bytes.copyWithin(0, this.start, this.end);
      this.end -= this.start;
      this.start = 0;
    }
    if (this.end === size) {
      // Who needs this much at once has a limit of its own for it (a line, a head).
      const bigger = new Uint8Array(size * 2);
      bigger.set(this.bytes);
      this.bytes = bigger;
    }
  }
}

/** A web stream as a `Reader`: by a BYOB reader where it has one. */
export class StreamReader implements Reader {
  #byob: ReadableStreamBYOBReader | null = null;
  #plain: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #scratch = new ArrayBuffer(0);
  #rest: Uint8Array = EMPTY;

  constructor(stream: ReadableStream<Uint8Array>) {
    try {
      this.#byob = stream.getReader({ mode: "byob" });
    } catch (error) {
      if (stream.locked) throw error;
      this.#plain = stream.getReader();
    }
  }

  async read(target: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const chunk = this.#byob === null
        ? await this.#readPlain()
        : await this.#readByob(this.#byob);
      if (chunk === null) return null;
      this.#rest = chunk;
    }
    const piece = this.#rest.subarray(0, target.length);
    target.set(piece);
    this.#rest = this.#rest.subarray(piece.length);
    return piece.length;
  }

  async #readPlain(): Promise<Uint8Array | null> {
    const { value, done } = await this.#plain!.read();
    if (done) return null;
    if (value instanceof Uint8Array) return value;
    throw new TypeError("Cannot read stream: got a chunk that is not a Uint8Array");
  }

  async #readByob(reader: ReadableStreamBYOBReader): Promise<Uint8Array | null> {
    if (this.#scratch.byteLength === 0) this.#scratch = new ArrayBuffer(BUFFER_SIZE);
    const { value, done } = await reader.read(new Uint8Array(this.#scratch));
    if (value !== undefined) this.#scratch = value.buffer as ArrayBuffer;
    return done ? null : value!;
  }

  /** Cancels the stream; a pending read ends. */
  cancel(reason?: unknown): void {
    (this.#byob ?? this.#plain)!.cancel(reason).catch(() => {});
  }
}

/** The buffer of a `LineReader`, for `parse_headers`. */
export let bufferedOf: (reader: LineReader) => Buffered;

/**
 * Reads lines and pieces from a web stream or a `Reader` through one buffer, as Python's
 * `BufferedReader` does. It is what {@linkcode parse_headers} takes; after that it stands right
 * before the body.
 *
 * @example Read a line, then what follows
 * ```ts
 * import { LineReader } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const reader = new LineReader(new Blob(["one\r\ntwo"]).stream());
 * const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
 * assertEquals(text(await reader.readline()), "one\r\n");
 * assertEquals(text(await reader.read()), "two");
 * ```
 */
export class LineReader {
  #buffered: Buffered;
  static {
    bufferedOf = (reader) => reader.#buffered;
  }

  /**
   * Makes a reader.
   *
   * @param source Where the bytes come from; a stream is locked by this.
   */
  constructor(source: ReadableStream<Uint8Array> | Reader) {
    this.#buffered = new Buffered(
      source instanceof ReadableStream ? new StreamReader(source) : source,
    );
  }

  /**
   * Reads up to and including the next LF, or up to the end of the source.
   *
   * @param limit At most this many bytes.
   * @default {Infinity}
   * @returns The line with its line end; empty at the end of the source.
   */
  async readline(limit: number = Infinity): Promise<Uint8Array> {
    const source = this.#buffered;
    const most = checkCount(limit);
    let scanned = 0;
    for (;;) {
      const stop = Math.min(source.end, source.start + most);
      const at = source.bytes.subarray(0, stop).indexOf(LF, source.start + scanned);
      if (at >= 0) return source.take(at + 1 - source.start);
      scanned = stop - source.start;
      if (scanned >= most || !(await source.fill())) return source.take(scanned);
    }
  }

  /**
   * Reads `n` bytes, fewer only at the end of the source.
   *
   * @param n How many bytes; all of them without it.
   * @default {Infinity}
   * @returns The bytes; empty at the end of the source.
   */
  async read(n: number = Infinity): Promise<Uint8Array> {
    const source = this.#buffered;
    const most = checkCount(n);
    while (source.available < most && await source.fill());
    return source.take(Math.min(most, source.available));
  }

  /**
   * Reads into `b` until it is full or the source has ended.
   *
   * @param b Where the bytes go.
   * @returns How many bytes there were.
   */
  async readinto(b: Uint8Array): Promise<number> {
    const source = this.#buffered;
    checkBytes(b);
    let count = 0;
    while (count < b.length) {
      const piece = source.bytes.subarray(source.start, source.end).subarray(0, b.length - count);
      b.set(piece, count);
      source.start += piece.length;
      count += piece.length;
      if (count < b.length && !(await source.fill())) break;
    }
    return count;
  }

  /**
   * Looks at what comes next without consuming it, with one read of the source at most.
   *
   * @param n At most this many bytes.
   * @default {Infinity}
   * @returns A copy of what is buffered; empty at the end of the source.
   */
  async peek(n: number = Infinity): Promise<Uint8Array> {
    const source = this.#buffered;
    if (source.available === 0 && n !== 0) await source.fill();
    return source.bytes.slice(
      source.start,
      Math.min(source.end, source.start + checkCount(n)),
    );
  }
}

/** Throws for a line that is longer than `limit`. */
export function checkLine(length: number, limit: number, what: string): void {
  if (length > limit) throw new LineTooLong(what, limit);
}
