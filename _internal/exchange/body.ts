/**
 * The body of a response: Python's read family over a decoder and a reader. One value says how it stands;
 * every call asks it, and asks again after each `await`. Between the question and what is taken from the
 * buffer there is never an `await`. The public face, with the rules of who may read when, is
 * `response.ts`.
 *
 * @module
 */
import { HTTPException, IncompleteRead, ProtocolError } from "../../errors.ts";
import { messageOf } from "../../headers.ts";
import { BUFFER_SIZE, type BufferedReader } from "../net/buffered_reader.ts";
import { type BodyDecoder, ENDED, NEED_MORE } from "../wire/body_decoder.ts";
import { concat, copyInto, copyOf, targetGone, WholeBytes } from "../wire/buffered_bytes.ts";
import type { Delimiter, Framing } from "../wire/framing.ts";
import { delivered, type Exchange, interrupted, Thrown } from "./exchange.ts";
import { BODY_STEPS, type BodyState, next, type Step } from "./states.ts";

/** No bytes. */
export const EMPTY: Uint8Array<ArrayBuffer> = new Uint8Array(0);
/** What a wait for the socket ends with when its reader has let go; no caller of the library sees it. */
export const LEFT: unique symbol = Symbol("left");
/** `#ready()` has found that the body is not open any longer. */
const NOT_OPEN = -2;
const MIB = 1048576;
/**
 * From this size on, bytes are read directly from the socket into the user's memory.
 *
 * @tuning
 */
const DIRECT = 16384;
/**
 * The size of the largest pieces, and of the largest reads of chunks with their framing.
 *
 * @tuning
 */
const MOST = 524288;
/**
 * The size of the pieces that a body of unknown length is gathered in.
 *
 * @tuning
 */
const PIECE = 65536;

type Bytes = Uint8Array<ArrayBuffer>;

/** As a web `Response` decodes. */
export const utf8: TextDecoder = new TextDecoder();

/** What a body is read from. */
export interface BodySource {
  readonly reader: BufferedReader;
  readonly settings: { readonly maxBodyBytes: number; readonly suppressRaggedEofs: boolean };
  /** Whether a read directly into the caller's memory ends when the source is closed. */
  readonly closeEndsReads: boolean;
  /** Waits for bytes, on behalf of a call; 0 when the source has ended. */
  fill(exchange: Exchange): Promise<number>;
  /** The same directly into `target`. */
  fillInto(exchange: Exchange, target: Uint8Array): Promise<number>;
  /** Whoever waits for bytes waits no more, and gets `reason`; what comes is for the next one. */
  leaveFill(reason: unknown): void;
}

/** The body of one response. */
export class Body {
  state: BodyState = "open";
  readonly decoder: BodyDecoder;
  /** What ends it. */
  readonly delimiter: Delimiter;
  /** How many bytes were given out. */
  total = 0;
  /** What a failed read had received and could neither return nor put into its error. */
  partial: Bytes | null = null;
  /** Why a read has failed, where nothing else had ended the body: what came before is as good as ever. */
  readFailure: { readonly reason: unknown } | null = null;
  readonly #source: BodySource;
  readonly #exchange: Exchange;
  readonly #chunked: boolean;
  /** The connection's, until the body leaves it with its bytes. */
  #reader: BufferedReader;
  /** Where a line is put together that is not buffered whole. */
  #gathered: Gathered | null = null;
  /** Why nothing that follows can be trusted: the body ended early, or its framing broke. */
  #broken: { cause: unknown } | null = null;
  /** Whether that was told. */
  #told = false;
  /** Whether the trace is told of its end. */
  #isEnding = false;
  /** Why bytes of it that were read have reached nobody, though it had come whole. */
  #lost: { readonly reason: unknown } | null = null;
  /** Whether a limit was passed, or a callback threw: what came with it is not delivered. */
  #refused = false;
  /** The size of the next piece that is read directly from the socket; 0 for none. */
  #largeSize = 0;
  /** Whether such a read is out, or what it has brought is not taken yet. */
  #isReadingLarge = false;
  /** Memory for the next such piece, or for chunks with their framing, that nobody else has. */
  #spare: Bytes | null = null;

  constructor(
    source: BodySource,
    exchange: Exchange,
    decoder: BodyDecoder,
    framing: Framing,
  ) {
    this.#source = source;
    this.#exchange = exchange;
    this.#reader = source.reader;
    this.decoder = decoder;
    this.#chunked = framing.chunked;
    this.delimiter = framing.delimiter;
  }

  /** Python's `isclosed()`: a body that was cut short is over when that was told, or it would look whole. */
  get over(): boolean {
    return this.state === "cut" ? this.#told : this.state !== "open";
  }

  /**
   * Whether there is something to read, or to be told: `false` for a body that was read to its end.
   *
   * @throws What has cut it short.
   */
  get readable(): boolean {
    if (this.state === "open") return true;
    if (this.#isRead) return false;
    throw this.reason(EMPTY);
  }

  /** Whether it was read to its end, and nothing of it was lost. */
  get #isRead(): boolean {
    return this.state === "complete" && this.#lost === null;
  }

  /**
   * Bytes that were read have reached nobody: to read on must not look as if nothing was missing.
   *
   * @param bytes What they were, where that is known.
   */
  lose(bytes: Bytes | null, reason: unknown): void {
    this.partial = bytes;
    this.#lost = { reason };
  }

  /**
   * Why it cannot be read on.
   *
   * @param partial What the call had received.
   */
  reason(partial: Bytes): unknown {
    this.#told = true;
    if (this.#lost !== null) return delivered(this.#lost.reason);
    if (this.#broken !== null) {
      const { cause } = this.#broken;
      const options = cause === undefined ? undefined : { cause };
      const error = new IncompleteRead(partial, this.decoder.length, options);
      return this.#exchange.annotate(error);
    }
    if (partial.length > 0) this.partial = partial;
    if (this.#exchange.failure !== null) return delivered(this.#exchange.failure.reason);
    return this.#exchange.annotate(interrupted("body", "response"));
  }

  /** Whether it is cut short by nothing but its early end. */
  get #endedEarly(): boolean {
    return this.#broken !== null && this.#broken.cause === undefined;
  }

  /** The same error with the bytes of calls before that are part of the one which fails. */
  withPartial(error: unknown, before: Bytes[]): unknown {
    if (before.every(({ length }) => length === 0)) return error;
    const last = error instanceof IncompleteRead ? error.partial as Bytes : this.partial ?? EMPTY;
    const parts = [...before, last];
    return this.reason(concat(parts));
  }

  /** What is to be thrown for an error of a read: what a callback has thrown ends the exchange. */
  failed(error: unknown): unknown {
    return delivered(error instanceof Thrown ? this.#exchange.fail(error) : error);
  }

  /** Whether the end of the connection, here and now, leaves it whole. */
  get canEnd(): boolean {
    return this.delimiter === "close" || this.decoder.endIn(this.#reader) !== null;
  }

  // What ends it

  /** Ends it where it stands. The connection survives only if nothing is left of it. */
  close(): void {
    if (this.state !== "open") return;
    if (this.#atEnd()) return this.#finish();
    this.#move(BODY_STEPS.close);
    this.#exchange.close("response");
  }

  /** Its exchange has failed. */
  cut(): void {
    this.#move(BODY_STEPS.cut);
  }

  /** It has come whole: it is read from a copy of its bytes from now on. Whether it has. */
  takeBytes(): boolean {
    const end = this.decoder.endIn(this.#reader);
    if (end === null) return false;
    this.#reader = this.#reader.split(end);
    return true;
  }

  #move(step: Step<BodyState>): void {
    this.state = next(step, this.state);
    // A response may be kept for long.
    this.#spare = null;
  }

  #finish(): void {
    if (this.state !== "open") return;
    const exchange = this.#exchange;
    // Told before it counts as complete: where a callback throws, the next call must not look like the end.
    if (exchange.trace !== null) {
      // The callback may close it, or read on.
      if (this.#isEnding) return;
      this.#isEnding = true;
      try {
        this.#tellEnd();
      } catch (error) {
        // At once: who closes it before the call that is at work hears of this must not find it open.
        this.#failReading(error);
        throw error;
      }
      if (this.state !== "open") return;
    }
    this.#move(BODY_STEPS.end);
    exchange.bodyEnded();
  }

  #tellEnd(): void {
    const { trailers } = this.decoder;
    if (trailers !== null && trailers.fields.length > 0) {
      const headers = messageOf(trailers.fields, trailers.defects);
      this.#exchange.tell({ type: "trailers", headers });
    }
    this.#exchange.tell({ type: "responseEnd", total: this.total });
  }

  /** It ended early, or its framing broke. */
  #break(cause: unknown): void {
    if (this.state !== "open") return;
    this.#broken = { cause };
    this.#refused = cause !== undefined;
    const options = cause === undefined ? undefined : { cause };
    this.#failReading(new IncompleteRead(EMPTY, this.decoder.length, options));
  }

  /** A limit was passed, a callback threw, or the framing broke. */
  #refuse(error: unknown): void {
    if (error instanceof ProtocolError) return this.#break(error);
    this.#refused = true;
    this.#failReading(error);
  }

  #failReading(error: unknown): void {
    if (this.#exchange.failure === null) {
      this.readFailure = { reason: error instanceof Thrown ? error.reason : error };
    }
    this.#exchange.fail(error);
  }

  /**
   * Whether a call must throw that got `count` bytes: a call that counts delivers what came before an
   * end, a reset, a deadline or an abort, and the next call throws.
   */
  #mustThrow(count: number, toTheEnd: boolean): boolean {
    if (this.state === "open" || this.state === "complete") return false;
    return toTheEnd || count === 0 || this.#refused || this.#exchange.closed;
  }

  // Reading

  /** Fills `target`; returns how many bytes there were. */
  async readinto(target: Uint8Array): Promise<number> {
    // Read now: the memory may be transferred while this waits.
    const { length } = target;
    const count = await this.#into(target, 0, length);
    if (this.#isGone(target, length)) throw this.reason(EMPTY);
    if (this.#mustThrow(count, false) && length > 0) throw this.reason(target.slice(0, count));
    this.#endIfOver(count, length);
    return count;
  }

  /** What `gather` gives where nothing is to be waited for: a body that has come whole. */
  gatherNow(limit: number): Bytes | null {
    if (limit === 0 && !this.#chunked) return this.#nothing();
    const known = this.decoder.length;
    if (known === null || known > this.#reader.available || known > limit) return null;
    const piece = this.#take(known);
    this.#endIfOver(known, limit);
    return piece;
  }

  /**
   * The rest as text, of a body that has come whole: decoded where it is, which spares a copy. Text of a
   * small request takes less than its bytes (`bench/run.ts --only a`).
   */
  textNow(): string | null {
    const known = this.decoder.length;
    const { available, bytes, start } = this.#reader;
    if (known === null || known > available) return null;
    const text = utf8.decode(bytes.subarray(start, start + known));
    this.#reader.start += known;
    this.decoder.took(known);
    this.#count(known);
    this.#endIfOver(known, known);
    return text;
  }

  /** Reads up to `limit` bytes. Memory grows with what came, not with what a length promises. */
  async gather(limit: number): Promise<Bytes> {
    const known = this.decoder.length;
    const whole = known === null
      ? await this.#gatherParts(limit)
      : await this.#gatherKnown(Math.min(known, limit));
    if (this.#mustThrow(whole.length, limit === Infinity) && limit > 0) throw this.reason(whole);
    this.#endIfOver(whole.length, limit);
    return whole;
  }

  /**
   * Into one array that grows in few and large steps: what has come is copied into memory that is not
   * touched yet and so takes none, where parts would be copied whole.
   */
  async #gatherKnown(most: number): Promise<Bytes> {
    let whole = new Uint8Array(Math.min(most, PIECE));
    let size = 0;
    for (;;) {
      size = await this.#into(whole, size, whole.length);
      if (size < whole.length || size === most) break;
      const bigger = new Uint8Array(Math.min(most, whole.length * growthAt(size)));
      bigger.set(whole);
      whole = bigger;
    }
    return size === whole.length ? whole : whole.slice(0, size);
  }

  async #gatherParts(limit: number): Promise<Bytes> {
    const parts: Bytes[] = [];
    let size = 0;
    for (;;) {
      // What is buffered is enough for a body that has come whole; a count is best filled in one array.
      const { available } = this.#reader;
      const least = limit === Infinity && available > 0 ? available : PIECE;
      const room = Math.max(least, available, Math.min(size, MIB));
      const part = memoryFor(Math.min(limit - size, room));
      const count = await this.#into(part, 0, part.length);
      if (count > 0) parts.push(count === part.length ? part : part.subarray(0, count));
      size += count;
      if (count < part.length || size === limit) break;
    }
    return joined(parts);
  }

  /** What is there, at most `n` bytes. */
  async read1(n: number): Promise<Bytes> {
    if (n === 0 && !this.#chunked) return this.#nothing();
    for (;;) {
      const run = this.#ready();
      if (run === NOT_OPEN) throw this.reason(EMPTY);
      if (run === NEED_MORE) {
        await this.#more();
        continue;
      }
      const count = run === ENDED ? 0 : Math.min(run, n);
      const piece = this.#take(count);
      this.#endIfOver(count, run === ENDED ? 1 : count);
      return piece;
    }
  }

  /** The same into `target`; returns how many bytes there were. */
  async readinto1(target: Uint8Array): Promise<number> {
    const { length } = target;
    if (length === 0 && !this.#chunked) return this.#nothing().length;
    let count = 0;
    await this.whenReady((run) => {
      if (run === ENDED) return this.#endIfOver(0, 1);
      if (this.#isGone(target, length)) throw this.reason(EMPTY);
      count = this.#moveTo(target, 0, Math.min(run, length));
      this.#endIfOver(count, count);
    });
    return count;
  }

  /** A copy of what is there. */
  async peek(): Promise<Bytes> {
    for (;;) {
      const run = this.#ready();
      if (run === NOT_OPEN) throw this.reason(EMPTY);
      if (run === NEED_MORE) {
        await this.#more();
        continue;
      }
      if (run === ENDED) {
        // CPython: a look at the end of a chunked body ends it, at that of another one does not.
        if (this.#chunked) this.#finish();
        return EMPTY;
      }
      const { bytes, start } = this.#reader;
      if (this.total + run > this.#source.settings.maxBodyBytes) this.#count(run);
      return copyOf(bytes, start, start + run);
    }
  }

  /** What `line` gives where the whole line is buffered. */
  lineNow(limit: number): Bytes | null {
    const run = this.#ready();
    if (run <= 0) return null;
    const reader = this.#reader;
    const { start } = reader;
    const at = reader.indexOfLF(start, start + Math.min(run, limit));
    if (at < 0) return null;
    const count = at + 1 - start;
    const line = reader.takeLine(count, run);
    this.decoder.took(count);
    this.#count(count);
    if (this.decoder.ended) this.#endIfOver(count, count);
    return line;
  }

  /**
   * Reads what is there into `target`, which is not empty, with one read of the socket at most where nothing
   * is buffered; 0 at the end. Chunks are read with their framing into memory that nobody else has, as it
   * decides where the body ends. Larger reads than those of the buffer make that four fifths of the time
   * (`bench/run.ts --only e,f`).
   */
  async some(target: Bytes): Promise<number> {
    const { length } = target;
    for (;;) {
      if (this.#isGone(target, length)) throw this.reason(EMPTY);
      const run = this.#ready();
      if (run === NOT_OPEN) throw this.reason(EMPTY);
      if (run > 0) return this.pull(target);
      if (run === ENDED) {
        this.#finish();
        return 0;
      }
      const room = this.#framedRoom(length) ?? this.#roomIn(target, 0, length);
      let count: number;
      try {
        count = await this.#fill(room);
      } catch (error) {
        this.#sourceFailed(error);
        continue;
      }
      if (count === 0) this.#eof();
      else if (room !== null && target.length >= length) {
        const size = this.#decode(room.subarray(0, count), target);
        if (size > 0) return size;
      }
    }
  }

  /** Memory for chunks with their framing, whose content is to fit `length` bytes; `null` where that may not be. */
  #framedRoom(length: number): Bytes | null {
    if (!this.#chunked || !this.#mayReadDirectly(length)) return null;
    if (this.#spare?.length !== MOST) this.#spare = new Uint8Array(MOST);
    return this.#spare.subarray(0, length);
  }

  /** Up to and including the next LF, at most `limit` bytes. */
  async line(limit: number): Promise<Bytes> {
    if (limit === 0) return this.#chunked ? EMPTY : this.#nothing();
    const line = this.#gathered ??= new Gathered();
    line.size = 0;
    while (line.size < limit) {
      const run = this.#ready();
      if (run === ENDED || run === NOT_OPEN) break;
      if (run === NEED_MORE) await this.#more();
      else if (this.#takeToLf(line, Math.min(run, limit - line.size))) break;
    }
    const { size } = line;
    const bytes = line.take();
    if (this.#mustThrow(size, false)) throw this.reason(bytes);
    this.#endIfOver(size, size === 0 ? 1 : size);
    return bytes;
  }

  /** Takes up to and including the next LF of what is there, at most `most` bytes; whether there was one. */
  #takeToLf(line: Gathered, most: number): boolean {
    const reader = this.#reader;
    const { bytes, start } = reader;
    const at = reader.indexOfLF(start, start + most);
    const count = at < 0 ? most : at + 1 - start;
    line.add(bytes, start, count);
    reader.start += count;
    this.decoder.took(count);
    this.#count(count);
    return at >= 0;
  }

  /**
   * Lines up to the end, or up to the one with which they have more than `hint` bytes. Where the body ends
   * early behind some of them, the next call tells; anything else that cuts it short is told now.
   */
  async lines(hint: number): Promise<Bytes[]> {
    const lines: Bytes[] = [];
    let size = 0;
    for (;;) {
      let line: Bytes;
      try {
        line = this.lineNow(Infinity) ??
          (this.state === "complete" ? EMPTY : await this.line(Infinity));
      } catch (error) {
        if (lines.length > 0 && this.#endedEarly) return lines;
        // What a callback has thrown ends the exchange before anything is told of it.
        throw this.withPartial(this.failed(error), lines);
      }
      if (line.length === 0) return lines;
      lines.push(line);
      size += line.length;
      if (hint > 0 && size > hint) return lines;
    }
  }

  // Pieces, for iteration and for the web stream

  /** The next piece: what is buffered, the chunk framing taken out of the whole of it. */
  async chunk(): Promise<Bytes | null> {
    for (;;) {
      const run = this.#ready();
      if (run === NOT_OPEN) throw this.reason(EMPTY);
      if (run > 0) return this.piece(run);
      if (run === ENDED) {
        this.#finish();
        return null;
      }
      await this.#more();
    }
  }

  /** What `chunk` gives where something is buffered. */
  chunkNow(): Bytes | null {
    const run = this.#ready();
    return run > 0 ? this.piece(run) : null;
  }

  /**
   * Waits for content and gives it to `take` as soon as it is there, or tells it that the body has ended.
   *
   * @param take Gets how many bytes of content are buffered in one run, or `ENDED`.
   * @param isWaiting Whether it is to be waited on, asked each time; it ends with `LEFT` otherwise.
   */
  async whenReady(take: (run: number) => void, isWaiting?: () => boolean): Promise<void> {
    for (;;) {
      const run = this.#ready();
      if (run === NOT_OPEN) throw this.reason(EMPTY);
      if (run !== NEED_MORE) return take(run);
      if (isWaiting?.() === false) throw LEFT;
      await this.#more();
    }
  }

  /** The piece of which `run` bytes are there. */
  piece(run: number): Bytes {
    if (!this.#chunked) {
      if (run === BUFFER_SIZE) this.#largeSize = 2 * BUFFER_SIZE;
      const piece = this.#take(run);
      if (this.decoder.length === 0) this.#finish();
      return piece;
    }
    const { bytes, start, end } = this.#reader;
    // The buffer was filled: there was more than it holds.
    if (end === BUFFER_SIZE) this.#largeSize = 2 * BUFFER_SIZE;
    const stop = this.decoder.pull(this.#reader, bytes, start, end);
    // The trace may read on, or close the response, and the buffer holds something else by then.
    const piece = copyOf(bytes, start, stop);
    if (stop > start) this.#count(stop - start);
    return piece;
  }

  /**
   * Whether the next piece is to be read directly from the socket: the last ones have come as fast as
   * they could be read.
   */
  get readsLargeNext(): boolean {
    const { decoder } = this;
    const size = this.#largeSize;
    if (size === 0 || this.state !== "open" || !this.#reader.dry) return false;
    return this.#chunked ? !decoder.ended && decoder.broken === null : decoder.ahead() >= size;
  }

  /**
   * Bytes of a larger piece, read directly from the socket; none at its end. {@linkcode decodeLarge} or
   * {@linkcode unread} must follow at once. Fewer pieces are fewer writes: a file is written in half the
   * time (`bench/run.ts --only d,e`).
   */
  async readLarge(take: (read: Bytes) => void): Promise<void> {
    const size = this.#largeSize;
    const target = this.#spare?.length === size ? this.#spare : new Uint8Array(size);
    this.#spare = null;
    this.#isReadingLarge = true;
    try {
      let count = 0;
      try {
        count = await this.#source.fillInto(this.#exchange, target);
      } catch (error) {
        this.#sourceFailed(error);
      }
      if (this.state !== "open") throw this.reason(EMPTY);
      this.#largeSize = sizeAfter(size, count);
      take(target.subarray(0, count));
    } finally {
      this.#isReadingLarge = false;
    }
  }

  /** The content of what {@linkcode readLarge} gave, which may be none; chunk framing is taken out in place. */
  decodeLarge(read: Bytes): Bytes {
    const piece = read.subarray(0, this.#decode(read, read));
    const { length } = piece;
    // As in `piece()`, but with a lower bound: it costs more to copy so much.
    if (2 * length >= piece.buffer.byteLength) return piece;
    const { buffer } = piece;
    if (buffer.byteLength === this.#largeSize) this.#spare = new Uint8Array(buffer);
    return copyOf(piece, 0, length);
  }

  /** Moves the content of what was read directly to the front of `target`, which may be the same memory. */
  #decode(read: Uint8Array, target: Uint8Array): number {
    if (!this.#chunked) {
      this.#tookDirectly(read.length);
      if (this.decoder.length === 0) this.#finish();
      return read.length;
    }
    const source = new WholeBytes(read);
    const end = this.decoder.pull(source, target, 0, read.length);
    if (this.state === "open") {
      this.#reader.unread(read.subarray(source.start));
      this.#count(end);
    }
    return end;
  }

  /** Puts what {@linkcode readLarge} gave in front of what comes next. */
  unread(piece: Uint8Array): void {
    this.#reader.unread(piece);
  }

  /**
   * Whoever waits in {@linkcode whenReady} or {@linkcode readLarge} lets go, and gets `LEFT`.
   *
   * @returns Whether others may read at once: not where a large read has come, but was not taken yet.
   */
  leave(): boolean {
    if (this.#isReadingLarge && !this.#reader.readsDirectly) return false;
    // Otherwise nothing is waited for, and the connection may carry another exchange by now.
    const isCarried = this.state === "open" && this.#reader === this.#source.reader;
    if (isCarried) this.#source.leaveFill(LEFT);
    return true;
  }

  /** Moves what is buffered into `target`, of which there must be something. */
  pull(target: Uint8Array): number {
    const count = this.#moveTo(target, 0, target.length);
    if (this.decoder.length === 0) this.#finish();
    return count;
  }

  /** Its end was read. */
  end(): void {
    if (this.state === "open") this.#finish();
  }

  // Steps

  /**
   * How many bytes of content are buffered in one run; or `NEED_MORE`, `ENDED`, or `NOT_OPEN` for a body
   * that is not open, or is found broken now.
   */
  #ready(): number {
    if (this.state !== "open") return this.#isRead ? ENDED : NOT_OPEN;
    try {
      return this.decoder.ready(this.#reader);
    } catch (error) {
      this.#refuse(error);
      return NOT_OPEN;
    }
  }

  /** Waits for bytes, or for what ends the body: the caller looks again. */
  async #more(): Promise<void> {
    try {
      if (await this.#fill() > 0) return;
    } catch (error) {
      return this.#sourceFailed(error);
    }
    this.#eof();
  }

  /** One read of the source, into the buffer or straight into `room`. */
  #fill(room: Uint8Array | null = null): Promise<number> {
    if (room !== null) return this.#source.fillInto(this.#exchange, room);
    const own = this.#reader !== this.#source.reader;
    return own ? this.#reader.fill() : this.#source.fill(this.#exchange);
  }

  /** A read of the source has failed, which ends the exchange. */
  #sourceFailed(error: unknown): void {
    if (error === LEFT) throw error;
    this.#failReading(error);
  }

  /** The source has ended. */
  #eof(): void {
    const ragged = this.#reader.ragged && !this.#source.settings.suppressRaggedEofs;
    if ((ragged && this.delimiter === "close") || !this.decoder.eof(this.#reader)) {
      this.#break(undefined);
    }
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
  #endIfOver(count: number, asked: number): void {
    const { decoder } = this;
    const over = decoder.length === 0 || (this.#chunked && decoder.ended) ||
      (decoder.ended && (asked === Infinity || (count === 0 && asked > 0)));
    if (over) this.#finish();
  }

  #count(bytes: number): void {
    const { maxBodyBytes } = this.#source.settings;
    this.total += bytes;
    if (this.total > maxBodyBytes) {
      const error = new HTTPException(`Cannot read body: got more than ${maxBodyBytes} bytes`);
      this.#refuse(error);
      throw error;
    }
    const exchange = this.#exchange;
    if (exchange.trace !== null && bytes > 0) {
      exchange.tell({ type: "responseBody", bytes, total: this.total });
    }
  }

  #nothing(): Bytes {
    this.#endIfOver(0, 0);
    return EMPTY;
  }

  #take(count: number): Bytes {
    if (count === 0) return EMPTY;
    const piece = this.#reader.take(count);
    this.decoder.took(count);
    this.#count(count);
    return piece;
  }

  /** Moves what is buffered to `target[at..to]`; returns where it stopped. */
  #moveTo(target: Uint8Array, at: number, to: number): number {
    const end = this.decoder.pull(this.#reader, target, at, to);
    if (end > at) this.#count(end - at);
    return end;
  }

  /** Fills `target[at..to]`; stops early at the end of the body, or where it is not open any longer. */
  async #into(target: Uint8Array, at: number, to: number): Promise<number> {
    const { decoder } = this;
    if (at === to && !this.#chunked) return at;
    while (this.state === "open") {
      // CPython: to read nothing of a chunked body consumes the framing before the next data.
      if (at === to && this.#ready() !== NEED_MORE) break;
      if (this.#isGone(target, to)) break;
      at = this.#moveTo(target, at, to);
      if ((at === to && to > 0) || decoder.ended) break;
      if (decoder.broken !== null) {
        this.#refuse(decoder.broken);
        break;
      }
      const room = this.#roomIn(target, at, to);
      let count: number;
      try {
        count = await this.#fill(room);
      } catch (error) {
        this.#sourceFailed(error);
        break;
      }
      if (count === 0) this.#eof();
      else if (room !== null) {
        this.#tookDirectly(count);
        at += count;
        if (at === to) break;
      }
    }
    return at;
  }

  /**
   * Whether a target has no longer the room that it had. What was moved there before is gone with its memory,
   * so the rest must not look like the whole.
   */
  #isGone(target: Uint8Array, length: number): boolean {
    if (target.length >= length) return false;
    const error = targetGone();
    this.#refuse(error);
    if (this.state === "complete") this.lose(null, error);
    return true;
  }

  /** That read has brought `count` bytes, which are the caller's, whatever has happened meanwhile. */
  #tookDirectly(count: number): void {
    this.decoder.took(count);
    if (this.state === "open") this.#count(count);
  }

  /** What of `target[at..to]` the socket may read content into; `null` where it may not, or that would not pay. */
  #roomIn(target: Uint8Array, at: number, to: number): Uint8Array | null {
    const ahead = this.decoder.ahead();
    if (ahead < DIRECT || !this.#mayReadDirectly(to - at)) return null;
    return target.subarray(at, Math.min(to, at + ahead));
  }

  /**
   * Whether the socket may read past the buffer, into `size` bytes of other memory: only where `close()` ends
   * such a read.
   */
  #mayReadDirectly(size: number): boolean {
    return size >= DIRECT && this.#reader.dry && this.#source.closeEndsReads;
  }
}

/**
 * Blocks of 1 MiB that held parts of earlier bodies, reused until V8 collects them: the page faults of new
 * memory cost as much as the read itself (`bench/run.ts --only e`).
 */
let copiedParts: WeakRef<Bytes[]> | null = null;

function memoryFor(size: number): Bytes {
  const copied = size === MIB ? copiedParts?.deref()?.pop() : undefined;
  return copied ?? new Uint8Array(size);
}

/** Joins parts that nobody else refers to, whose memory is then free for other bodies. */
function joined(parts: readonly Bytes[]): Bytes {
  if (parts.length === 1) return exact(parts[0]!);
  const whole = concat(parts);
  copiedParts = new WeakRef(parts.filter(({ length }) => length === MIB));
  return whole;
}

/** The same bytes in a buffer that holds nothing else, as callers look at `buffer`. */
function exact(bytes: Bytes): Bytes {
  const { length } = bytes;
  return length === bytes.buffer.byteLength ? bytes : copyOf(bytes, 0, length);
}

/**
 * How many times as large the array is that takes the place of one of `size` bytes.
 *
 * @tuning
 */
function growthAt(size: number): number {
  return size < MIB ? 16 : size < 64 * MIB ? 64 : 4;
}

/**
 * The size of the next large piece, after one of `size` bytes was filled with `count`; 0 for none.
 *
 * @tuning
 */
function sizeAfter(size: number, count: number): number {
  if (count === size) return Math.min(2 * size, MOST);
  if (count >= size / 2) return size;
  if (size > 2 * BUFFER_SIZE) return size / 2;
  // What is left behind a full buffer may be all that the window had room for: read alone, it stays small.
  return count < DIRECT ? 0 : size;
}

/**
 * What is no longer is a part of a block that it shares with others.
 *
 * @tuning
 */
const SHORT = 1024;
/**
 * The size of such a block.
 *
 * @tuning
 */
const BLOCK = 4096;
/**
 * Bytes put together run by run, and given out as one: an array for each run would take a hundred times the
 * memory of a small one, and one of its own for each short line ten times.
 */
class Gathered {
  size = 0;
  #bytes: Bytes = EMPTY;
  #block: Bytes = EMPTY;
  #used = 0;

  add(source: Uint8Array, start: number, count: number): void {
    const size = this.size + count;
    if (size > this.#bytes.length) {
      // The first run is often the whole line.
      const bigger = new Uint8Array(Math.max(SHORT, this.size === 0 ? size : 2 * size));
      bigger.set(this.#bytes.subarray(0, this.size));
      this.#bytes = bigger;
    }
    copyInto(source, start, this.#bytes, this.size, count);
    this.size = size;
  }

  take(): Bytes {
    const { size } = this;
    if (size === 0) return EMPTY;
    if (size > SHORT) {
      const bytes = this.#bytes;
      this.#bytes = EMPTY;
      return size === bytes.length ? bytes : bytes.slice(0, size);
    }
    // A block that its user has transferred is of no length any more.
    if (this.#used + size > this.#block.length) {
      this.#block = new Uint8Array(BLOCK);
      this.#used = 0;
    }
    const line = this.#block.subarray(this.#used, this.#used += size);
    line.set(this.#bytes.subarray(0, size));
    return line;
  }
}
