/**
 * Reading a body: Python's read family over a decoder and a channel, and what happens where the body
 * ends, ends early, or breaks. The public face, with the rules of who may read when, is `response.ts`.
 *
 * @module
 */
import { HTTPException, IncompleteRead, ProtocolError } from "../../errors.ts";
import { type BodyDecoder, ENDED, NEED_MORE } from "../wire/body_decoder.ts";
import type { Channel } from "./channel.ts";
import { messageOf } from "../../headers.ts";
import { BUFFER_SIZE, type Buffered } from "../net/line_reader.ts";
import { leaveLitter } from "./litter.ts";
import { type ResponseTimings, tell } from "./trace.ts";

/** No bytes. */
export const EMPTY: Uint8Array<ArrayBuffer> = new Uint8Array(0);
const LF = 10;
/** From this size on, bytes are read straight from the socket into the user's memory. */
const DIRECT = 16384;
const MIB = 1048576;
/** For less, chunks are not put together. */
const SMALL = 2048;
/** The size of the largest pieces. */
const MOST = 524288;
/** The size of the pieces that a body of unknown length is gathered in. */
const PIECE = 65536;

/** The body of one response. */
export class BodyReader {
  readonly decoder: BodyDecoder;
  /** Whether the body is over: Python's `fp is None`. */
  over = false;
  /** Whether it was closed with some of it left. */
  cut = false;
  #channel: Channel;
  #reader: Buffered;
  /** Whether the connection may serve another request after this body. */
  #keep: boolean;
  /** Whether what follows is no longer HTTP: the connection stays as it is. */
  #tunnel: boolean;
  #chunked: boolean;
  /** Why nothing that follows can be trusted: the body ended early, or its framing broke. */
  #broken: { cause: unknown } | null = null;
  #total = 0;
  /** The size of the next piece that is read straight from the socket; 0 for none. */
  #straight = 0;
  #timings: ResponseTimings;

  constructor(
    channel: Channel,
    decoder: BodyDecoder,
    kind: { chunked: boolean; tunnel: boolean; keep: boolean },
    timings: ResponseTimings,
  ) {
    this.#timings = timings;
    this.#channel = channel;
    this.#reader = channel.reader;
    this.decoder = decoder;
    this.#chunked = kind.chunked;
    this.#tunnel = kind.tunnel;
    this.#keep = kind.keep;
  }

  /** What a stream throws that was closed with some of the body left: it must not look whole. */
  get cutShort(): unknown {
    return this.#channel.explain(new Deno.errors.Interrupted("The response was closed"));
  }

  /** Throws where the body was found broken before. */
  rethrow(): void {
    if (this.#broken === null) return;
    this.over = true;
    throw this.#incomplete(EMPTY);
  }

  /** Ends the body where it stands. The connection survives only if nothing is left of it. */
  close(): void {
    if (this.over) return;
    if (this.#atEnd()) return this.#finish();
    this.over = this.cut = true;
    this.#channel.close();
  }

  /** Fills `target`; returns how many bytes there were. */
  async readinto(target: Uint8Array): Promise<number> {
    const count = await this.#into(target, 0, target.length);
    if (this.#mustThrow(count, target.length)) throw this.#incomplete(target.slice(0, count));
    this.#settle(count, target.length);
    return count;
  }

  /** What `gather` gives where nothing is to be waited for: a body that has come whole. */
  gatherNow(limit: number): Uint8Array<ArrayBuffer> | null {
    if (limit === 0 && !this.#chunked) return this.#nothing();
    const known = this.decoder.length;
    if (known === null || known > this.#reader.available || known > limit) return null;
    const piece = this.#take(known);
    this.#settle(known, limit);
    return piece;
  }

  /** Reads up to `limit` bytes. Memory grows with what came, not with what a length promises. */
  async gather(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    const known = this.decoder.length;
    const whole = known === null
      ? await this.#gatherParts(limit)
      : await this.#gatherKnown(Math.min(known, limit));
    if (this.#mustThrow(whole.length, limit)) throw this.#incomplete(whole);
    if (limit <= MOST) leaveLitter(whole.length);
    this.#settle(whole.length, limit);
    return whole;
  }

  /**
   * Into one array that grows in few and large steps: what has come is copied into memory that is not
   * touched yet and so takes none, where parts would be copied whole.
   */
  async #gatherKnown(most: number): Promise<Uint8Array<ArrayBuffer>> {
    let whole = new Uint8Array(Math.min(most, PIECE));
    let size = 0;
    for (;;) {
      size = await this.#into(whole, size, whole.length);
      if (size < whole.length || size === most) break;
      const times = size < MIB ? 16 : size < 64 * MIB ? 64 : 4;
      const bigger = new Uint8Array(Math.min(most, whole.length * times));
      bigger.set(whole);
      whole = bigger;
    }
    return size === whole.length ? whole : whole.slice(0, size);
  }

  async #gatherParts(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    const reader = this.#reader;
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    for (;;) {
      const room = Math.max(PIECE, Math.min(size, MIB), reader.available);
      const part = new Uint8Array(Math.min(limit - size, room));
      const count = await this.#into(part, 0, part.length);
      if (count > 0) parts.push(count === part.length ? part : part.subarray(0, count));
      size += count;
      if (count < part.length || size === limit) break;
    }
    return concat(parts, size);
  }

  /** What is there, at most `n` bytes. */
  async read1(n: number): Promise<Uint8Array<ArrayBuffer>> {
    if (n === 0 && !this.#chunked) return this.#nothing();
    const run = await this.ready();
    const count = run === ENDED ? 0 : Math.min(run, n);
    const piece = this.#take(count);
    this.#settle(count, run === ENDED ? 1 : count);
    return piece;
  }

  /** A copy of what is there. */
  async peek(): Promise<Uint8Array<ArrayBuffer>> {
    const run = await this.ready();
    const { bytes, start } = this.#reader;
    if (run !== ENDED && this.#total + run > this.#channel.settings.maxBodyBytes) this.#count(run);
    if (run !== ENDED) return bytes.slice(start, start + run) as Uint8Array<ArrayBuffer>;
    // CPython: a look at the end of a chunked body ends it, at that of another one does not.
    if (this.#chunked) this.#finish();
    return EMPTY;
  }

  /** What `line` gives where the whole line is buffered. */
  lineNow(limit: number): Uint8Array<ArrayBuffer> | null {
    const reader = this.#reader;
    if (limit === 0 || this.decoder.broken !== null) return null;
    const run = this.decoder.ready(reader);
    if (run <= 0) return null;
    const { bytes, start } = reader;
    const end = start + Math.min(run, limit);
    // Lines are short: a loop finds the LF of most of them before `indexOf` would have begun.
    const near = Math.min(end, start + 128);
    let at = start;
    while (at < near && bytes[at] !== LF) at++;
    if (at === near) at = near === end ? -1 : bytes.subarray(0, end).indexOf(LF, near);
    if (at < 0) return null;
    const count = at + 1 - start;
    this.decoder.took(count);
    this.#count(count);
    const line = reader.takeLine(count, run);
    if (this.decoder.ended) this.#settle(count, count);
    return line;
  }

  /** Up to and including the next LF, at most `limit` bytes. */
  async line(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    const reader = this.#reader;
    if (limit === 0) return this.#chunked ? EMPTY : this.#nothing();
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    while (size < limit) {
      const run = await this.#lineRun(parts, size);
      if (run === ENDED) break;
      const most = Math.min(run, limit - size);
      const at = reader.bytes.subarray(0, reader.start + most).indexOf(LF, reader.start);
      const count = at < 0 ? most : at + 1 - reader.start;
      parts.push(this.#take(count));
      size += count;
      if (at >= 0) break;
    }
    this.#settle(size, size === 0 ? 1 : size);
    return concat(parts, size);
  }

  /** The next piece: what is buffered, the chunk framing taken out of the whole of it. */
  async chunk(): Promise<Uint8Array<ArrayBuffer> | null> {
    const run = await this.ready();
    if (run !== ENDED) return this.piece(run);
    this.#finish();
    return null;
  }

  /** What `chunk` gives where something is buffered. */
  chunkNow(): Uint8Array<ArrayBuffer> | null {
    let run: number;
    try {
      run = this.decoder.ready(this.#reader);
    } catch {
      return null;
    }
    return run > 0 ? this.piece(run) : null;
  }

  /** The piece of which `ready()` has said that `run` bytes of it are there. */
  piece(run: number): Uint8Array<ArrayBuffer> {
    if (!this.#chunked) {
      if (run === BUFFER_SIZE) this.#straight = 2 * BUFFER_SIZE;
      const piece = this.#take(run);
      leaveLitter(run);
      if (this.decoder.length === 0) this.#finish();
      return piece;
    }
    const { available } = this.#reader;
    leaveLitter(available);
    if (this.decoder.small) return this.#together(available).slice();
    const target = new Uint8Array(available);
    return target.subarray(0, this.pull(target));
  }

  /** Takes up to `most` buffered bytes of small chunks; what is given is a part of the buffer. */
  #together(most: number): Uint8Array<ArrayBuffer> {
    const { bytes, start, end } = this.#reader;
    const to = this.decoder.pull(this.#reader, bytes, start, Math.min(end, start + most));
    this.#count(to - start);
    return bytes.subarray(start, to) as Uint8Array<ArrayBuffer>;
  }

  /** Moves what is buffered to `target[at..to]`; returns where it stopped. */
  #move(target: Uint8Array, at: number, to: number): number {
    if (!this.decoder.small || to - at < SMALL) {
      const end = this.decoder.pull(this.#reader, target, at, to);
      if (end > at) this.#count(end - at);
      return end;
    }
    const piece = this.#together(to - at);
    target.set(piece, at);
    return at + piece.length;
  }

  /**
   * Whether the next piece is to be read straight from the socket: the last ones have come as fast as
   * they could be read.
   */
  get straightNext(): boolean {
    const size = this.#straight;
    return size > 0 && !this.over && this.#reader.dry && this.decoder.ahead() >= size;
  }

  /**
   * A larger piece, read straight from the socket; empty at its end. {@linkcode passed} or
   * {@linkcode unread} must follow. Fewer pieces are fewer writes: a file is written in half the time.
   */
  async straight(): Promise<Uint8Array<ArrayBuffer>> {
    const size = this.#straight;
    const target = new Uint8Array(size);
    const count = await this.#reader.fillInto(target);
    if (count === size) this.#straight = Math.min(2 * size, MOST);
    else if (count < size / 2) this.#straight = size > 2 * BUFFER_SIZE ? size / 2 : 0;
    leaveLitter(count);
    return target.subarray(0, count);
  }

  /** Accounts for what {@linkcode straight} gave. */
  passed(piece: Uint8Array): void {
    this.decoder.took(piece.length);
    this.#count(piece.length);
    if (this.decoder.length === 0) this.#finish();
  }

  /** Puts what {@linkcode straight} gave in front of what comes next. */
  unread(piece: Uint8Array): void {
    this.#reader.unread(piece);
  }

  /** Moves what is buffered into `target`; `ready()` must have said that there is something. */
  pull(target: Uint8Array): number {
    const count = this.#move(target, 0, target.length);
    if (this.decoder.length === 0) this.#finish();
    return count;
  }

  /** Waits for content: how many bytes of it are buffered in one run, or `ENDED`. */
  async ready(): Promise<number> {
    const reader = this.#reader;
    const { decoder } = this;
    try {
      for (;;) {
        const run = decoder.ready(reader);
        if (run !== NEED_MORE) return run;
        if (!(await reader.fill()) && !decoder.eof(reader)) {
          this.#break(undefined);
          throw this.#incomplete(EMPTY);
        }
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#break(error);
      throw this.#incomplete(EMPTY);
    }
  }

  /** The body is over: the connection is free, or ends, or is a tunnel and stays as it is. */
  end(): void {
    if (!this.over) this.#finish();
  }

  #finish(): void {
    this.over = true;
    const { trace } = this.#channel;
    this.#timings.end = performance.now();
    if (trace !== null) {
      const { trailers } = this.decoder;
      if (trailers !== null && trailers.fields.length > 0) {
        tell(trace, { type: "trailers", headers: messageOf(trailers.fields, trailers.defects) });
      }
      tell(trace, { type: "responseEnd", total: this.#total });
    }
    if (!this.#tunnel) this.#channel.release(this.#keep);
  }

  #break(cause: unknown): void {
    this.#broken = { cause };
    this.#channel.close();
  }

  #incomplete(partial: Uint8Array): unknown {
    const { cause } = this.#broken!;
    const options = cause === undefined ? undefined : { cause };
    const expected = this.decoder.length;
    return this.#channel.explain(new IncompleteRead(partial, expected, options));
  }

  /** A framing error throws at once; an early end only if nothing came, or if all was asked for. */
  #mustThrow(count: number, asked: number): boolean {
    if (this.#broken === null) return false;
    return this.#broken.cause !== undefined || asked === Infinity || (count === 0 && asked > 0);
  }

  /** Whether the body is at its end, as far as that shows without waiting. */
  #atEnd(): boolean {
    try {
      return this.decoder.ready(this.#reader) === ENDED;
    } catch {
      return false;
    }
  }

  /**
   * After a read that got `count` of `asked` bytes. CPython's timing, which `isclosed()` shows: a body
   * by length is over with its last byte, a chunked one when its end was read, one until close when a
   * read got nothing.
   */
  #settle(count: number, asked: number): void {
    if (this.#broken !== null) return;
    const { decoder } = this;
    const over = decoder.length === 0 || (this.#chunked && decoder.ended) ||
      (decoder.ended && (asked === Infinity || (count === 0 && asked > 0)));
    if (over) this.#finish();
    else if (decoder.ended) this.#channel.close();
  }

  #count(bytes: number): void {
    const { maxBodyBytes } = this.#channel.settings;
    this.#total += bytes;
    if (this.#total > maxBodyBytes) {
      throw new HTTPException(`Cannot read body: got more than ${maxBodyBytes} bytes`);
    }
    const { trace } = this.#channel;
    if (trace !== null && bytes > 0) {
      tell(trace, { type: "responseBody", bytes, total: this.#total });
    }
  }

  #nothing(): Uint8Array<ArrayBuffer> {
    this.#settle(0, 0);
    return EMPTY;
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    if (count === 0) return EMPTY;
    this.decoder.took(count);
    this.#count(count);
    return this.#reader.take(count);
  }

  /** Fills `target[at..to]`; stops early at the end of the body, or where it broke. */
  async #into(target: Uint8Array, at: number, to: number): Promise<number> {
    const reader = this.#reader;
    const { decoder } = this;
    if (at === to) {
      if (this.#chunked) await this.ready();
      return at;
    }
    for (;;) {
      at = this.#move(target, at, to);
      if (at === to || decoder.ended || this.#brokenFraming()) break;
      if (to - at >= DIRECT && reader.dry && decoder.ahead() >= DIRECT) {
        const room = target.subarray(at, Math.min(to, at + decoder.ahead()));
        const count = await reader.fillInto(room);
        decoder.took(count);
        at += count;
        if (count > 0) this.#count(count);
        if (!reader.ended) continue;
      } else if (await reader.fill()) continue;
      if (!decoder.eof(reader)) {
        this.#break(undefined);
        break;
      }
    }
    return at;
  }

  /** Whether `pull()` came upon broken framing; a limit that was passed is thrown. */
  #brokenFraming(): boolean {
    const { broken } = this.decoder;
    if (broken === null) return false;
    if (!(broken instanceof ProtocolError)) throw broken;
    this.#break(broken);
    return true;
  }

  /** `ready()` for a line of which `parts` have come: they are returned if the body ends early now. */
  async #lineRun(parts: Uint8Array<ArrayBuffer>[], size: number): Promise<number> {
    try {
      return await this.ready();
    } catch (error) {
      if (this.#broken === null) throw error;
      if (this.#mustThrow(size, 1)) throw this.#incomplete(concat(parts, size));
      return ENDED;
    }
  }
}

/** One array of several. */
function concat(parts: Uint8Array<ArrayBuffer>[], size: number): Uint8Array<ArrayBuffer> {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
