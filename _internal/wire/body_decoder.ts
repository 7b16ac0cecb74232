/**
 * Body decoders: none, length, chunked and until-close behind one interface. They look at buffered
 * bytes and never await; the response asks for more when they say so. Framing is consumed as late as
 * CPython consumes it: a read that is satisfied by the last byte of a chunk leaves what follows it.
 *
 * @module
 */
import { HTTPException, LineTooLong, ProtocolError } from "../../errors.ts";
import type { SectionLimits } from "./field_section.ts";
import { type ParsedFields, SectionScanner, TRAILERS } from "./field_section.ts";
import type { Framing } from "./framing.ts";
import { takeSection } from "./response_head.ts";
import { type BufferedBytes, copyInto, WholeBytes } from "./buffered_bytes.ts";
import { DIGIT_0, isBlank } from "./grammar.ts";
import { type DecodedRun, decodeSmallChunks } from "./small_chunks.ts";

/** `ready()` needs more bytes. */
export const NEED_MORE = 0;
/** `ready()` has seen the end of the body. */
export const ENDED = -1;

/** The limits of a chunked body's framing. */
export interface ChunkLimits {
  trailers: SectionLimits;
  /**
   * Bytes of chunk extensions, padding and leading zeros, without {@linkcode FREE_OVERHEAD} of each size
   * line; every byte of data makes up for one of them: `HTTPException`.
   */
  extensions: number;
}

/** How many bytes of each size line are not counted, so that a feed of small events has no end. */
const FREE_OVERHEAD = 256;

/**
 * Chunks of fewer bytes than this are decoded many at once.
 *
 * @tuning
 */
const SMALL = 512;
/**
 * At least this much must be buffered, framing included, and asked for.
 *
 * @tuning
 */
const MANY = 4096;
/** Two line ends and a size of up to three digits. */
const USUAL_OVERHEAD = 7;
/** CRLF, a plain size of up to six digits, CRLF, and two bytes of what always follows. */
const LONGEST_PLAIN = 12;

/** What a decoder does. */
export interface BodyDecoder {
  /** How many bytes of content are left, where that is known. */
  readonly length: number | null;
  /** Whether the end has been seen. */
  readonly ended: boolean;
  /** The fields after a chunked body, once it has ended. */
  readonly trailers: ParsedFields | null;
  /** What was found wrong for good: by `pull()` after content that it had moved before, or in trailers. */
  readonly broken: unknown;
  /**
   * How many bytes at `source.start` are content: consumes the framing before them.
   * {@linkcode NEED_MORE}, or {@linkcode ENDED}.
   */
  ready(source: BufferedBytes): number;
  /** Accounts for `count` bytes of content that were consumed. */
  took(count: number): void;
  /**
   * Moves buffered content to `target[at..to]`; returns where it stopped. The target may be the buffer
   * itself, from `source.start` on: content only moves down.
   */
  pull(source: BufferedBytes, target: Uint8Array, at: number, to: number): number;
  /** How many bytes from here on are content for sure, buffered or not. */
  ahead(): number;
  /** The source has ended. Returns whether the body may end so. */
  eof(source: BufferedBytes): boolean;
  /** Where the body ends within what is buffered; `null` where its end has not come, or it is broken. */
  endIn(source: BufferedBytes): number | null;
}

/** Moves `count` bytes to `target[at..]`, which may be the same buffer. */
function move(
  bytes: Uint8Array,
  start: number,
  target: Uint8Array,
  at: number,
  count: number,
): void {
  if (target === bytes) bytes.copyWithin(at, start, start + count);
  else copyInto(bytes, start, target, at, count);
}

/** A body of a known length, none included (RFC 9112, Section 6.3, items 1, 2 and 6). */
class LengthDecoder implements BodyDecoder {
  readonly trailers = null;
  readonly broken = null;
  length: number;
  constructor(length: number) {
    this.length = length;
  }
  get ended(): boolean {
    return this.length === 0;
  }
  ready(source: BufferedBytes): number {
    return this.length === 0 ? ENDED : Math.min(this.length, source.available);
  }
  took(count: number): void {
    this.length -= count;
  }
  pull(source: BufferedBytes, target: Uint8Array, at: number, to: number): number {
    const count = Math.min(this.length, source.available, to - at);
    move(source.bytes, source.start, target, at, count);
    source.start += count;
    this.length -= count;
    return at + count;
  }
  ahead(): number {
    return this.length;
  }
  eof(): boolean {
    return this.length === 0;
  }
  endIn({ start, available }: BufferedBytes): number | null {
    return this.length <= available ? start + this.length : null;
  }
}

/** A body that ends with the connection (RFC 9112, Section 6.3, item 8). */
class CloseDecoder implements BodyDecoder {
  readonly trailers = null;
  readonly broken = null;
  readonly length = null;
  ended = false;
  ready(source: BufferedBytes): number {
    return source.available > 0 ? source.available : this.ended ? ENDED : NEED_MORE;
  }
  took(): void {}
  pull(source: BufferedBytes, target: Uint8Array, at: number, to: number): number {
    const count = Math.min(source.available, to - at);
    move(source.bytes, source.start, target, at, count);
    source.start += count;
    return at + count;
  }
  ahead(): number {
    return Infinity;
  }
  eof(): boolean {
    this.ended = true;
    return true;
  }
  endIn(): null {
    return null;
  }
}

const LF = 10;
const CR = 13;

/** Where a chunked decoder stands. */
type ChunkState = "size" | "data" | "crlf" | "trailers" | "ended";

/** chunked-body = *chunk last-chunk trailer-section CRLF (RFC 9112, Section 7.1). */
class ChunkedDecoder implements BodyDecoder {
  readonly length = null;
  trailers: ParsedFields | null = null;
  broken: unknown = null;
  #state: ChunkState = "size";
  /** Bytes left in the chunk. */
  #left = 0;
  /** The size of the chunk that was begun last. */
  #last = 0;
  /**
   * How many more bytes are decoded one chunk at a time before many are tried at once again: as many as the
   * last try copied in vain. Otherwise each size line that is not plain would cost a copy of all that is
   * buffered.
   */
  #backoff = 0;
  /** How many bytes of the size line have been looked at. */
  #scanned = 0;
  /** How much of the overhead was not made up for by data. */
  #overhead = 0;
  #scanner: SectionScanner | null = null;
  #limits: ChunkLimits;

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
  }

  get ended(): boolean {
    return this.#state === "ended";
  }

  ready(source: BufferedBytes): number {
    if (this.broken !== null) throw this.broken;
    for (;;) {
      switch (this.#state) {
        case "data":
          if (this.#left > 0) return Math.min(this.#left, source.available);
          this.#state = "crlf";
          break;
        case "crlf":
          if (!this.#dataEnd(source)) return NEED_MORE;
          break;
        case "size":
          if (!this.#sizeLine(source)) return NEED_MORE;
          break;
        case "trailers":
          if (!this.#trailerSection(source)) return NEED_MORE;
          break;
        case "ended":
          return ENDED;
      }
    }
  }

  took(count: number): void {
    this.#left -= count;
    this.#makeUp(count);
  }

  #makeUp(count: number): void {
    if (this.#overhead > 0) this.#overhead = Math.max(0, this.#overhead - count);
  }

  /** A whole run of chunks at a time: one piece per chunk costs eight times as much for small ones. */
  pull(source: BufferedBytes, target: Uint8Array, at: number, to: number): number {
    try {
      while (at < to && this.ready(source) > 0) at = this.#run(source, target, at, to);
    } catch (error) {
      this.broken = error;
    }
    return at;
  }

  /** Data, and while more is wanted what follows it, as far as that is plain chunks. */
  #run(source: BufferedBytes, target: Uint8Array, at: number, to: number): number {
    const run = this.#runMany(source, target, at, to);
    if (run === null) {
      const most = this.#backoff > 0 ? Math.min(to, at + this.#backoff) : to;
      const end = this.#runOneByOne(source, target, at, most);
      this.#backoff -= end - at;
      return end;
    }
    this.#left = run.left;
    this.#last = run.last || this.#last;
    this.#backoff = run.unused;
    this.#makeUp(run.at - at);
    return run.at;
  }

  /** Many small chunks; `null` where there are none, where it would not pay, or without WebAssembly. */
  #runMany(
    source: BufferedBytes,
    target: Uint8Array,
    at: number,
    to: number,
  ): DecodedRun | null {
    const last = this.#last;
    const room = to - at;
    if (this.#backoff > 0 || last >= SMALL || source.available < MANY || room < MANY) return null;
    // As much as fits if the chunks that follow are like the last one.
    const most = Math.ceil(room / last) * (last + USUAL_OVERHEAD);
    return decodeSmallChunks(source, this.#left, target, at, to, most);
  }

  /**
   * Data, and while more is wanted what begins nearly all chunks: CRLF, a plain size of up to six digits
   * and CRLF, all of it buffered. In one loop it takes a third off small chunks; any other framing is
   * left to `ready()`.
   */
  #runOneByOne(source: BufferedBytes, target: Uint8Array, at: number, to: number): number {
    const { bytes, end } = source;
    const from = at;
    let { start } = source;
    let left = this.#left;
    let last = this.#last;
    for (;;) {
      const count = Math.min(left, end - start, to - at);
      move(bytes, start, target, at, count);
      start += count;
      at += count;
      left -= count;
      if (left > 0 || at === to || end - start < LONGEST_PLAIN) break;
      if (bytes[start] !== CR || bytes[start + 1] !== LF) break;
      let size = 0;
      let i = start + 2;
      for (let digit; i < start + 8 && (digit = HEX[bytes[i]!]!) < 16; i++) {
        size = size * 16 + digit;
      }
      if (size === 0 || bytes[i] !== CR || bytes[i + 1] !== LF) break;
      start = i + 2;
      left = last = size;
    }
    source.start = start;
    this.#left = left;
    this.#last = last;
    this.#makeUp(at - from);
    return at;
  }

  ahead(): number {
    return this.#state === "data" ? this.#left : 0;
  }

  /** CPython: an end right after the last chunk's line is accepted; one within the trailers is not. */
  eof(source: BufferedBytes): boolean {
    if (this.#state !== "trailers") return this.#state === "ended";
    if (source.available > 0) return false;
    this.trailers ??= { fields: [], defects: [] };
    this.#state = "ended";
    return true;
  }

  /** Runs a copy of this decoder over what is buffered: framing is consumed only as it is read. */
  endIn({ bytes, start, end }: BufferedBytes): number | null {
    if (this.broken !== null) return null;
    const copy = new ChunkedDecoder(this.#limits);
    copy.#state = this.#state;
    copy.#left = this.#left;
    copy.#overhead = this.#overhead;
    const rest = new WholeBytes(bytes, start, end);
    try {
      for (let run; (run = copy.ready(rest)) !== ENDED; rest.start += run, copy.took(run)) {
        if (run === NEED_MORE) return null;
      }
      return rest.start;
    } catch {
      // The read that comes upon it tells what is wrong.
      return null;
    }
  }

  /** CRLF after the data. CVE-2025-43859: what stands there is looked at, not skipped. */
  #dataEnd(source: BufferedBytes): boolean {
    const { bytes, start } = source;
    if (source.available > 0 && bytes[start] !== CR) throw badChunk("data is not followed by CRLF");
    if (source.available < 2) return false;
    if (bytes[start + 1] !== LF) throw badChunk("data is not followed by CRLF");
    source.start = start + 2;
    this.#state = "size";
    return true;
  }

  /** chunk-size [ chunk-ext ] CRLF, where chunk-size = 1*HEXDIG. */
  #sizeLine(source: BufferedBytes): boolean {
    const { bytes, start, end } = source;
    let i = start + this.#scanned;
    while (i < end && bytes[i] !== LF) i++;
    this.#scanned = i - start;
    const { line: limit } = this.#limits.trailers;
    if (i === end ? this.#scanned > limit : this.#scanned >= limit) {
      throw new LineTooLong("chunk size", limit);
    }
    if (i === end) return false;
    if (i === start || bytes[i - 1] !== CR) throw badChunk("size line does not end in CRLF");
    this.#parseSize(bytes, start, i - 1);
    source.start = i + 1;
    this.#scanned = 0;
    this.#state = this.#left === 0 ? "trailers" : "data";
    return true;
  }

  #parseSize(bytes: Uint8Array, start: number, end: number): void {
    let size = 0;
    let i = start;
    for (let digit; i < end && (digit = HEX[bytes[i]!]!) < 16; i++) size = size * 16 + digit;
    // CVE-2022-32213 and its like: 0x5, +5, 5_0, an empty size and an overflow are no sizes.
    if (i === start || !Number.isSafeInteger(size)) throw badChunk("size is not 1*HEXDIG");
    let zeros = start;
    while (zeros < i - 1 && bytes[zeros] === DIGIT_0) zeros++;
    const digits = i - zeros;
    while (i < end && isBlank(bytes[i]!)) i++;
    if (i < end && bytes[i] !== SEMICOLON) throw badChunk("size is not 1*HEXDIG");
    // CVE-2021-22959 and its like: a bare CR in an extension ends the line for some peers.
    for (; i < end; i++) if (bytes[i] === CR) throw badChunk("extension has a bare CR");
    this.#overhead += Math.max(0, end - start - digits - FREE_OVERHEAD);
    if (this.#overhead > this.#limits.extensions) {
      throw new HTTPException(
        `Cannot read chunk extensions: got more than ${this.#limits.extensions} bytes`,
      );
    }
    this.#left = this.#last = size;
  }

  #trailerSection(source: BufferedBytes): boolean {
    this.#scanner ??= new SectionScanner(TRAILERS, this.#limits.trailers);
    try {
      if (!this.#scanner.scan(source)) return false;
      this.trailers = takeSection(source, this.#scanner, 0);
    } catch (error) {
      // What was scanned is consumed, and cannot be found wrong a second time.
      throw this.broken = error;
    }
    this.#state = "ended";
    return true;
  }
}

const SEMICOLON = 59;
/** The value of each hexadecimal digit, 255 for all other bytes. */
const HEX = new Uint8Array(256).fill(255);
for (let i = 0; i < 16; i++) {
  const digit = i.toString(16);
  HEX[digit.charCodeAt(0)] = HEX[digit.toUpperCase().charCodeAt(0)] = i;
}

function badChunk(what: string): ProtocolError {
  return new ProtocolError(`Cannot read chunk: the ${what}`);
}

/** The decoder for a framing. */
export function decoderFor(framing: Framing, limits: ChunkLimits): BodyDecoder {
  switch (framing.delimiter) {
    case "chunked":
      return new ChunkedDecoder(limits);
    case "close":
      return new CloseDecoder();
    default:
      return new LengthDecoder(framing.length ?? 0);
  }
}
