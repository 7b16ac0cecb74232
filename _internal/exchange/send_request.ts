/**
 * Sending a request: the head and the pieces of the body in as few writes as there can be, none of which
 * waits for a source that takes its time, while an answer that comes early is noticed.
 *
 * What is staged for the next write, the watch for an early response and the end of the upload are one
 * algorithm: each step asks the exchange whether the rest is still to be sent.
 *
 * @module
 */
import { errors } from "../../errors.ts";
import { chunkLine, chunkParts, CRLF, lastChunk } from "../wire/chunked_encoding.ts";
import { waitOrSeconds } from "../wire/option_check.ts";
import { fieldPairs, type HeaderFields, recycle, type Trailers } from "../wire/request_head.ts";
import { encodeText, type TextEncoding, textEncodingOf } from "../wire/text_encoding.ts";
import { deferred, turn } from "../net/platform.ts";
import { checkSame, concat } from "../wire/buffered_bytes.ts";
import type { Connection } from "./connection.ts";
import { debugNote, debugSend } from "./debug.ts";
import { byUser, type Exchange, Thrown } from "./exchange.ts";
import { type Content, OVER, pieceBytes, type Pieces } from "./request_body.ts";
import { SENDING_STEPS } from "./states.ts";

/**
 * Pieces are put together up to this size: one write for seven of 64 KiB with their framing.
 *
 * @tuning
 */
const STAGE = 524288;
/**
 * The same where the progress is told: after each write.
 *
 * @tuning
 */
const TRACED_STAGE = 131072;
/**
 * A body that comes with the head waits this long for its pieces, so that they share a write.
 *
 * @tuning
 */
const GRACE_MS = 10;
/**
 * How many microtasks a source or a write may take before something else is done meanwhile.
 *
 * @tuning
 */
const PROMPT = 8;
/**
 * After how many empty pieces in a row the event loop has a turn.
 *
 * @tuning
 */
const EMPTY_PIECES = 16;
/**
 * A socket takes so many bytes at once where nothing is left of the request before, and a server that has
 * read the head of this one has made room for the rest.
 *
 * @tuning
 */
const AT_ONCE = 16384;
/** How long an answer is waited for after a write failed: it is there already, or it never comes. */
const REFUSAL_WAIT_MS = 1000;
/** The last chunk without trailers: a 0, and two line ends. */
const LAST_CHUNK_SIZE = 5;

/** Thrown where the rest of the request is not to be sent; never leaves this module. */
const STOPPED = Symbol("stopped");

/** What to send. */
export interface Outgoing {
  head: Uint8Array<ArrayBuffer>;
  content: Content;
  /** Makes what ends a chunked body; `null` where the body is not chunked by this library. */
  last: (() => Uint8Array | Promise<Uint8Array>) | null;
  /** Whether, or for how many seconds, a 100 is waited for before the body. */
  expect: boolean | number;
  /** Whether the body must be as long as its `Content-Length` says, and no other `send()` follows. */
  exact: boolean;
  debug: boolean;
}

/** The options of a request that concern its sending. */
interface SendOptions {
  encode_chunked?: boolean | undefined;
  trailers?: Trailers;
  expect_continue?: boolean | number;
}

const NO_HEAD = new Uint8Array(0);

/** What to send; trailers that cannot be sent are refused here, before anything is. */
export function outgoing(
  head: Uint8Array<ArrayBuffer>,
  content: Content,
  options: SendOptions,
  exact: boolean,
  debug: boolean,
): Outgoing {
  const { expect_continue: expect = false } = options;
  waitOrSeconds("expect_continue", expect);
  const chunked = content !== null && options.encode_chunked === true;
  const { trailers } = options;
  const out = { head, content, last: null, expect, exact, debug };
  if (!chunked && trailers === undefined) return out;
  const given = typeof trailers === "function" ? null : lastChunk(fieldPairs(trailers));
  if (!chunked && (given === null || given.length > LAST_CHUNK_SIZE)) {
    throw new TypeError("Cannot send trailers: the body is not chunked");
  }
  const made = async () => lastChunk(fieldPairs(await callTrailers(trailers)));
  return { ...out, last: chunked ? (given === null ? made : () => given) : null };
}

async function callTrailers(trailers: Trailers | undefined): Promise<HeaderFields> {
  try {
    return await (trailers as () => HeaderFields | Promise<HeaderFields>)();
  } catch (reason) {
    throw new Thrown(reason);
  }
}

/** Bytes that follow the head, as `send()` gives them. */
export function more(content: Content, debug: boolean): Outgoing {
  return { head: NO_HEAD, content, last: null, expect: false, exact: false, debug };
}

/**
 * Sends a request, or more of one. It is not an error that an answer has come before all of it was out:
 * the exchange then is `cut`.
 *
 * @throws What a write failed with, what the body's source has thrown, or why the exchange failed.
 */
export async function sendRequest(
  connection: Connection,
  exchange: Exchange,
  out: Outgoing,
): Promise<void> {
  if (exchange.followRefusal !== null) throw exchange.followRefusal.reason;
  try {
    exchange.check();
    if (exchange.stopped) return;
    exchange.send(SENDING_STEPS.send);
    connection.unlimitHead();
    const small = out.content === null ? null : withBody(connection, exchange, out);
    if (out.content === null) {
      const { head } = out;
      const { length } = head;
      if (out.debug) debugSend(connection.settings.debug, head);
      await connection.send(exchange, head);
      if (connection.kind === "deno") recycle(head);
      if (exchange.trace !== null) exchange.tell({ type: "requestHead", bytes: length });
    } else if (small !== null) {
      await sendSmall(connection, exchange, small);
    } else await new Upload(connection, exchange, out).run();
    // An early answer had ended the request: what ended the exchange after that is no error of this call.
    if (exchange.wasStopped) return;
    exchange.check();
    // An answer that came with the last bytes leaves the request whole.
    if (exchange.endsWithThisSend) {
      exchange.send(SENDING_STEPS.finish);
      if (exchange.isRaw) return;
      connection.limitHead(exchange);
    }
  } catch (error) {
    // Where an answer is there already, a write that fails only ends the request.
    const isCut = error === STOPPED || (exchange.stopped && error === exchange.writeError?.reason);
    if (isCut && (exchange.failure === null || exchange.wasStopped)) return endCut(exchange);
    throw exchange.fail(error);
  }
}

/**
 * The head and a body so small that a socket takes both at once, so that no early answer is to be watched
 * for: an eighth less of a small POST (`bench/run.ts --only i`). `null` where there is more to it.
 */
function withBody(
  connection: Connection,
  exchange: Exchange,
  { content, debug, exact, expect, head, last }: Outgoing,
): Uint8Array<ArrayBuffer> | null {
  if (content!.kind !== "bytes" || connection.kind !== "deno" || last !== null) return null;
  // What was sent before may still fill the socket.
  if (!exchange.isUnsent) return null;
  if (debug || expect !== false || exchange.trace !== null || (exact && !exchange.complete)) {
    return null;
  }
  const { bytes, size } = content!;
  const total = head.length + size;
  if (total > AT_ONCE || bytes.length !== size) return null;
  // Where there is room behind it: its memory is its own.
  const isInPlace = total <= head.buffer.byteLength;
  const whole = isInPlace ? new Uint8Array(head.buffer, 0, total) : new Uint8Array(total);
  if (!isInPlace) {
    whole.set(head);
    recycle(head);
  }
  whole.set(bytes, head.length);
  return whole;
}

async function sendSmall(
  connection: Connection,
  exchange: Exchange,
  whole: Uint8Array<ArrayBuffer>,
): Promise<void> {
  try {
    await connection.send(exchange, whole);
    recycle(whole);
  } catch (error) {
    if (exchange.failure !== null) throw error;
    await awaitRefusal(connection, exchange, false, error);
  }
}

/**
 * What is to be thrown for an error of sending: it ends the exchange, unless the answer is there already
 * and the error only tells how the upload ended.
 */
export function sendError(exchange: Exchange, error: unknown): unknown {
  const isOver = exchange.stopped || exchange.followRefusal !== null;
  const told = exchange.failure === null && isOver && !(error instanceof Thrown);
  return told ? error : exchange.fail(error);
}

/**
 * No more of the request is sent. Where that is because a write failed, `getresponse()` has an answer all
 * the same; only a caller who has that already is told of the write.
 */
function endCut(exchange: Exchange): void {
  const { writeError } = exchange;
  if (writeError === null || !exchange.delivered) return;
  const { reason } = writeError;
  throw reason instanceof Thrown ? reason.reason : exchange.annotate(reason);
}

/** One request with a body, or more of one. */
class Upload {
  #connection: Connection;
  #exchange: Exchange;
  #out: Outgoing;
  /** What is put together for the next write. */
  #stage: Uint8Array;
  #used: number;
  #most: number;
  /** Whether a write was begun. */
  #started = false;
  #graceEnd = 0;
  /** How text is encoded, once there was some. */
  #encoding: TextEncoding | null = null;
  /** Where the head ends, for the trace; 0 where that was told. */
  #headSize: number;

  constructor(connection: Connection, exchange: Exchange, out: Outgoing) {
    this.#connection = connection;
    this.#exchange = exchange;
    this.#out = out;
    this.#stage = out.head;
    this.#used = this.#headSize = out.head.length;
    this.#most = exchange.trace === null ? STAGE : TRACED_STAGE;
  }

  async run(): Promise<void> {
    const { expect, head } = this.#out;
    try {
      if (expect !== false) await this.#awaitContinue(expect);
      await this.#send();
      if (this.#connection.kind === "deno") recycle(head);
    } catch (error) {
      if (error === STOPPED || this.#exchange.failure !== null) throw error;
      if (this.#exchange.writeError !== null) {
        await awaitRefusal(this.#connection, this.#exchange, this.#out.debug, error);
      }
      throw error;
    }
  }

  /** Stages it all, and writes what does not fit. */
  async #send(): Promise<void> {
    const { content, debug, head, last } = this.#out;
    const { debug: sink } = this.#connection.settings;
    if (this.#exchange.stopped) throw STOPPED;
    if (debug && this.#used > 0) debugSend(sink, head);
    if (content!.kind === "bytes") {
      const { bytes, size } = content!;
      checkSame(bytes, size);
      const writing = this.#put(bytes);
      if (writing !== null) await writing;
    } else {
      if (debug && content!.readable) debugNote(sink, "reading a readable");
      await this.#sendPieces(byUser(() => content!.pieces()), content!.size);
    }
    this.#checkComplete();
    if (last !== null) {
      if (this.#exchange.stopped) throw STOPPED;
      const made = last();
      const bytes = made instanceof Promise ? await this.#during(made) : made;
      if (debug) debugSend(sink, bytes);
      const writing = this.#add(bytes);
      if (writing !== null) await writing;
    }
    await this.#flush(false);
  }

  #checkComplete(): void {
    const { exact } = this.#out;
    const { complete, declared, given } = this.#exchange;
    if (!exact || complete) return;
    throw new TypeError(
      `Cannot send body: it has ${given} of the ${declared} bytes of its Content-Length`,
    );
  }

  /** Sends all pieces of a source; one that is not exhausted is told. */
  async #sendPieces(pieces: Pieces, size: number | null): Promise<void> {
    const exchange = this.#exchange;
    const arrival = new Arrival();
    let total = 0;
    let empty = 0;
    try {
      for (;;) {
        let next = byUser(() => pieces.next());
        if ("then" in next) {
          // A promise and a call less for each piece that is there at once: half of its time.
          arrival.watch(next);
          for (let i = 0; i < PROMPT && arrival.out; i++) await null;
          if (arrival.out) await this.#late(arrival.whenIn());
          next = arrival.taken();
        }
        if (exchange.stopped) throw STOPPED;
        const { done, value } = next;
        if (done) break;
        // What is staged without a write is not awaited: that is half the time of a small piece.
        const piece = typeof value === "string" ? this.#encode(value) : pieceBytes(value);
        total += piece.length;
        if (size !== null && total > size) throw changed(size);
        const writing = this.#put(piece);
        if (writing !== null) {
          await writing;
          if (exchange.stopped) throw STOPPED;
        }
        // A source of nothing, again and again, must not keep all else from running.
        if (piece.length > 0) empty = 0;
        else if (++empty % EMPTY_PIECES === 0) await this.#during(turn());
      }
      if (size !== null && total < size) throw changed(size);
    } catch (error) {
      leave(pieces);
      throw error;
    }
    pieces[OVER]?.();
  }

  /** A piece that is text. */
  #encode(text: string): Uint8Array {
    const { contentType } = this.#out.content as Content & { kind: "pieces" };
    this.#encoding ??= textEncodingOf(contentType);
    return encodeText(text, this.#encoding, "a piece of the body");
  }

  /** One piece, as a chunk if need be; CPython: an empty piece is left out, as it would end the body. */
  #put(piece: Uint8Array): Promise<void> | null {
    const { debug, last } = this.#out;
    if (piece.length === 0) {
      if (debug) debugNote(this.#connection.settings.debug, "Zero length chunk ignored");
      return null;
    }
    // What is of a known size was given with the call.
    if (this.#out.content!.size === null) this.#exchange.give(piece.length);
    if (debug) {
      const sent = last === null ? piece : concat(chunkParts(piece) as Uint8Array<ArrayBuffer>[]);
      debugSend(this.#connection.settings.debug, sent);
    }
    return last === null ? this.#add(piece) : this.#addChunk(piece);
  }

  // Staging

  /** Stages bytes, or returns a promise where something has to be written for that. */
  #add(bytes: Uint8Array): Promise<void> | null {
    if (!this.#hasRoom(bytes.length)) return this.#spill(bytes);
    this.#stage.set(bytes, this.#used);
    this.#used += bytes.length;
    return null;
  }

  /** The same for a chunk of this data (RFC 9112, Section 7.1). */
  #addChunk(data: Uint8Array): Promise<void> | null {
    const line = chunkLine(data.length);
    if (!this.#hasRoom(line.length + data.length + 2)) return this.#spillChunk(line, data);
    const stage = this.#stage;
    let at = this.#used;
    for (let i = 0; i < line.length; i++) stage[at++] = line[i]!;
    stage.set(data, at);
    at += data.length;
    stage[at] = CRLF[0]!;
    stage[at + 1] = CRLF[1]!;
    this.#used = at + 2;
    return null;
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    const { length } = bytes;
    await this.#flush(true);
    if (length >= this.#most / 2) await this.#write(bytes, length, true);
    else this.#addSame(bytes, length);
  }

  async #spillChunk(line: Uint8Array, data: Uint8Array): Promise<void> {
    const { length } = data;
    if (length < this.#most / 2) {
      await this.#flush(true);
      checkSame(data, length);
      this.#addChunk(data);
      return;
    }
    const writing = this.#add(line);
    if (writing !== null) await writing;
    await this.#flush(true);
    await this.#write(data, length, true);
    this.#add(CRLF);
  }

  /** Stages what there is room for, unless it has changed meanwhile. */
  #addSame(bytes: Uint8Array, length: number): void {
    checkSame(bytes, length);
    this.#add(bytes);
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

  // Writing

  /** Writes what is staged; `more` says that it is not the end of the request. */
  async #flush(more: boolean): Promise<void> {
    if (this.#used === 0) return;
    const bytes = this.#stage.subarray(0, this.#used);
    this.#used = 0;
    await this.#write(bytes, bytes.length, more);
    if (more && this.#exchange.stopped) throw STOPPED;
  }

  /**
   * The watch for an early answer begins with the first write that is not the whole request, or that is
   * not done at once. A write that is left behind by an early answer ends with the connection; what is
   * staged is its own until then.
   */
  async #write(bytes: Uint8Array, size: number, more: boolean): Promise<void> {
    const exchange = this.#exchange;
    this.#started = true;
    if (exchange.stopped) throw STOPPED;
    const end = exchange.sent + size;
    const write = this.#connection.send(exchange, bytes, size, this.#ontaken);
    if (more || !(await prompt(write))) {
      this.#watch();
      const isStopped = !(await exchange.until(write));
      // What the transport has accepted by then is out, and may be the end of the request.
      if (isStopped && exchange.sent < end) throw STOPPED;
    }
    await write;
  }

  /** Tells whoever traces that more of the request was accepted. */
  #ontaken = (): void => {
    const exchange = this.#exchange;
    // A write that an answer has overtaken may be taken when another exchange runs.
    if (exchange.trace === null || exchange.stopped || exchange.sent < this.#headSize) return;
    if (this.#headSize > 0) exchange.tell({ type: "requestHead", bytes: this.#headSize });
    if (exchange.sent > this.#headSize) {
      exchange.tell({ type: "requestBody", bytes: exchange.sent });
    }
    this.#headSize = 0;
  };

  // Waiting

  /** Reads the answer from now on, be it early. */
  #watch(): void {
    if (this.#exchange.isRaw) return;
    // Whoever asks for the response is told what is wrong with it.
    this.#connection.receive(this.#exchange, this.#out.debug).catch(() => {});
  }

  /** Waits for what a source gives; what is staged goes out if it takes its time. */
  async #during<T>(piece: Promise<T>): Promise<T> {
    if (!(await prompt(piece))) await this.#late(piece);
    return await piece;
  }

  /** Waits for a piece of the body that did not come at once. */
  async #late(piece: Promise<unknown>): Promise<void> {
    if (!this.#started && await this.#grace(piece)) return;
    await this.#flush(true);
    this.#watch();
    const { deadlines } = this.#connection;
    deadlines.beginWait();
    try {
      if (!(await this.#exchange.until(piece))) throw STOPPED;
    } finally {
      deadlines.endWait();
    }
  }

  /** Waits a moment for a piece. Whether it came. */
  async #grace(piece: Promise<unknown>): Promise<boolean> {
    const now = performance.now();
    if (this.#graceEnd === 0) this.#graceEnd = now + GRACE_MS;
    if (now >= this.#graceEnd) return false;
    let came = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settled = () => void (came = true);
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#graceEnd - now);
    });
    await this.#exchange.until(Promise.race([piece.then(settled, settled), over]));
    clearTimeout(timer);
    if (this.#exchange.stopped) throw STOPPED;
    return came;
  }

  /**
   * Sends the head, and waits until the server has asked for the body or `seconds` have passed (RFC 9110,
   * Section 10.1.1). After a final answer the body is not even opened.
   */
  async #awaitContinue(seconds: boolean | number): Promise<void> {
    const connection = this.#connection;
    const exchange = this.#exchange;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const asked = deferred<void>();
    // The wait is over at that moment, not at that of waking up: a final answer may stand right behind it.
    const goOn = () => {
      if (exchange.sending === "waiting") exchange.send(SENDING_STEPS.send);
      asked.resolve();
    };
    // Set before the head goes out: where the response is waited for already, the 100 may come with it.
    exchange.oninterim = (status) => {
      if (status === 100) goOn();
    };
    if (this.#out.debug) debugSend(this.#connection.settings.debug, this.#out.head);
    exchange.send(SENDING_STEPS.wait);
    try {
      await connection.send(exchange, this.#out.head, undefined, this.#ontaken);
      this.#used = 0;
      this.#watch();
      // A timer takes at most 2^31-1 ms.
      if (typeof seconds === "number") {
        timer = setTimeout(goOn, Math.min(seconds * 1000, 0x7fffffff));
      }
      connection.beginHeadWait(exchange);
      try {
        if (!(await exchange.until(asked.promise))) throw STOPPED;
      } finally {
        connection.endHeadWait();
      }
    } finally {
      clearTimeout(timer);
      exchange.oninterim = null;
    }
  }
}

/**
 * After a write failed: a server that refuses a body answers and resets the connection, and the answer
 * can still be read.
 */
async function awaitRefusal(
  connection: Connection,
  exchange: Exchange,
  debug: boolean,
  error: unknown,
): Promise<never> {
  const reset = error instanceof Thrown ? error.reason : error;
  if (exchange.isRaw || (exchange.body === null && !isReset(reset))) throw error;
  if (exchange.body === null) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, REFUSAL_WAIT_MS);
    });
    const answer = connection.receive(exchange, debug);
    await Promise.race([answer.catch(() => {}), late]);
    clearTimeout(timer);
    if (exchange.body === null) throw error;
  }
  if (!exchange.stopped) exchange.send(SENDING_STEPS.cut);
  throw STOPPED;
}

/** The step of a source, as soon as it is there. */
class Arrival {
  /** Whether it is still out. */
  out = false;
  #step: IteratorResult<unknown> | null = null;
  #failure: Thrown | null = null;
  #oncome: (() => void) | null = null;

  watch(step: PromiseLike<IteratorResult<unknown>>): void {
    this.out = true;
    step.then(this.#onstep, this.#onfailure);
  }

  /** Resolves when it has come, or failed. */
  whenIn(): Promise<void> {
    return new Promise((resolve) => this.#oncome = resolve);
  }

  taken(): IteratorResult<unknown> {
    if (this.#failure !== null) throw this.#failure;
    return this.#step!;
  }

  #onstep = (step: IteratorResult<unknown>): void => {
    this.#step = step;
    this.#come();
  };

  #onfailure = (reason: unknown): void => {
    this.#failure = new Thrown(reason);
    this.#come();
  };

  #come(): void {
    this.out = false;
    this.#oncome?.();
    this.#oncome = null;
  }
}

/** A file that was written to while it was sent, say. */
function changed(size: number): TypeError {
  return new TypeError(`Cannot send body: it has not the ${size} bytes that it had at first`);
}

/** Tells the source that no more is taken from it; it may take its time to hear that. */
function leave(pieces: Pieces): void {
  try {
    Promise.resolve(pieces.return?.()).catch(() => {});
  } catch {
    // The source's own trouble.
  }
}

/** The errors of a write to a peer that reads no more. */
function isReset(error: unknown): boolean {
  return error instanceof errors.ConnectionReset || error instanceof errors.BrokenPipe ||
    error instanceof errors.ConnectionAborted;
}

/** Whether a promise settles within a few microtasks. */
async function prompt(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => void (settled = true);
  promise.then(settle, settle);
  for (let i = 0; i < PROMPT && !settled; i++) await null;
  return settled;
}
