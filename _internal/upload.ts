/**
 * Sending a request: the head and the pieces of the body in as few writes as there can be, while an
 * early answer is watched for.
 *
 * @module
 */
import type { Channel } from "./channel.ts";
import { tell } from "./trace.ts";
import { debugNote, debugSend } from "./debug.ts";
import {
  type AnyIterator,
  chunkParts,
  type Content,
  fieldPairs,
  type HeaderFields,
  lastChunk,
  pieceBytes,
} from "./request_writer.ts";

/** Pieces are put together up to this size: one write for a 64 KiB piece with its chunk framing. */
const STAGE = 131072;
/** A body that comes with the head waits this long for its pieces, so that they share a write. */
const GRACE_MS = 2;
/** How many microtasks a source may take for a piece before what is staged goes out. */
const PROMPT = 8;

/** What to send. */
export interface Outgoing {
  head: Uint8Array;
  content: Content;
  /** What ends a chunked body; `null` where the body is not chunked. */
  last: Uint8Array | null;
  /** Whether, or for how many seconds, a 100 is waited for before the body. */
  expect: boolean | number;
  debug: boolean;
}

/** The options of a request that concern its sending. */
interface SendOptions {
  encode_chunked?: boolean;
  trailers?: HeaderFields;
  expect_continue?: boolean | number;
}

const LAST_CHUNK = lastChunk([]);

/** What to send; trailers that cannot be sent are refused here, before anything is. */
export function outgoing(
  head: Uint8Array,
  content: Content,
  options: SendOptions,
  debug: boolean,
): Outgoing {
  const chunked = content !== null && options.encode_chunked === true;
  let last = chunked ? LAST_CHUNK : null;
  if (options.trailers !== undefined) {
    const trailers = fieldPairs(options.trailers);
    if (!chunked && trailers.length > 0) {
      throw new TypeError("Cannot send trailers: the body is not chunked");
    }
    if (chunked) last = lastChunk(trailers);
  }
  return { head, content, last, expect: options.expect_continue ?? false, debug };
}

const EMPTY = new Uint8Array(0);
/** Up to this size a body is copied behind the head, for one write. */
const SMALL = 65536;

/**
 * Sends a request. `false` if the body did not go out whole, as an answer came before.
 *
 * @param begin Reads the head of the response; `null` while the reader is another response's.
 */
export async function transmit(
  channel: Channel,
  out: Outgoing,
  begin: (() => Promise<void>) | null,
): Promise<boolean> {
  const { content } = out;
  const body = content?.kind === "bytes" ? content.bytes : EMPTY;
  if (content !== null && out.expect !== false && begin !== null) {
    return await uploadExpecting(channel, out, new Watch(channel, begin), out.expect);
  }
  const small = content?.kind !== "pieces" && body.length <= SMALL;
  if (!small || out.last !== null) return await upload(channel, out, new Watch(channel, begin));
  if (out.debug) debugSend(out.head);
  let bytes = out.head;
  if (body.length > 0) {
    if (out.debug) debugSend(body);
    bytes = new Uint8Array(out.head.length + body.length);
    bytes.set(out.head);
    bytes.set(body, out.head.length);
  }
  await channel.send(bytes);
  const { trace, sent } = channel;
  if (trace !== null) {
    tell(trace, { type: "requestHead", bytes: out.head.length });
    if (sent > out.head.length) tell(trace, { type: "requestBody", bytes: sent });
  }
  return true;
}

/** Watches for an answer that comes before the request is out. */
class Watch {
  /** Told when a final answer, or a malformed one, has come. */
  onanswer: (() => void) | null = null;
  /** Whether a final answer has come. */
  answered = false;
  /** What was wrong with the answer. */
  failure: { reason: unknown } | null = null;
  #channel: Channel;
  #begin: (() => Promise<void>) | null;

  /**
   * @param begin Reads the head, interim responses included; `null` while the reader is another
   * response's.
   */
  constructor(channel: Channel, begin: (() => Promise<void>) | null) {
    this.#channel = channel;
    this.#begin = begin;
  }

  /** Starts to watch; called when something was sent and more is to come. */
  start(): void {
    const begin = this.#begin;
    this.#begin = null;
    if (begin !== null) void this.#run(begin);
  }

  async #run(begin: () => Promise<void>): Promise<void> {
    const { reader } = this.#channel;
    reader.prefetch();
    await reader.arrived();
    // An end without an answer is told by the next write, or by who gets the response.
    if (reader.arrival !== "data" && reader.available === 0) return;
    try {
      await begin();
      this.answered = true;
    } catch (reason) {
      this.failure = { reason };
    }
    this.onanswer?.();
  }
}

/** What is staged for the next write. */
class Outbox {
  started = false;
  #channel: Channel;
  #watch: Watch;
  #stage: Uint8Array;
  #used = 0;
  #graceEnd = 0;
  #headSize: number;
  #reported = false;

  constructor(channel: Channel, watch: Watch, head: Uint8Array) {
    this.#channel = channel;
    this.#watch = watch;
    this.#stage = head;
    this.#used = head.length;
    this.#headSize = head.length;
  }

  /** Stages bytes, or returns a promise where something had to be written for that. */
  add(bytes: Uint8Array): Promise<void> | null {
    if (this.#used + bytes.length > this.#stage.length) {
      if (this.#used + bytes.length > STAGE) return this.#spill(bytes);
      this.#grow(this.#used + bytes.length);
    }
    this.#stage.set(bytes, this.#used);
    this.#used += bytes.length;
    return null;
  }

  /** Writes what is staged. */
  async flush(more: boolean): Promise<void> {
    if (this.#used === 0) return;
    const bytes = this.#stage.subarray(0, this.#used);
    this.#used = 0;
    await this.#write(bytes, more);
  }

  /** Waits for a piece of the body; what is staged goes out if the source takes its time. */
  async during<T>(piece: Promise<T>): Promise<T> {
    let settled = false;
    const settle = () => void (settled = true);
    piece.then(settle, settle);
    for (let i = 0; i < PROMPT && !settled; i++) await null;
    if (!settled && !this.started) await this.#grace(piece);
    if (!settled) await this.flush(true);
    return settled ? await piece : await this.#interruptible(piece);
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

  async #grace(piece: Promise<unknown>): Promise<void> {
    const now = performance.now();
    if (this.#graceEnd === 0) this.#graceEnd = now + GRACE_MS;
    if (now >= this.#graceEnd) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#graceEnd - now);
    });
    await Promise.race([piece.catch(() => {}), over]);
    clearTimeout(timer);
  }

  /**
   * The first write goes out before the watch begins: a small request is never held up. A write that is
   * left behind by an early answer ends with the connection.
   */
  async #write(bytes: Uint8Array, more: boolean): Promise<void> {
    this.started = true;
    if (this.#watch.answered) return;
    const write = this.#channel.send(bytes);
    if (more) this.#watch.start();
    await this.#interruptible(write);
    this.#report();
  }

  #report(): void {
    const { trace, sent } = this.#channel;
    if (trace === null) return;
    if (!this.#reported) tell(trace, { type: "requestHead", bytes: this.#headSize });
    this.#reported = true;
    if (sent > this.#headSize) tell(trace, { type: "requestBody", bytes: sent });
  }

  /** Waits for `promise`, an early answer or the end of the connection, whichever is first. */
  #interruptible<T>(promise: Promise<T>): Promise<T> {
    const channel = this.#channel;
    const watch = this.#watch;
    return new Promise<T>((resolve, reject) => {
      const stop = () => reject(STOPPED);
      if (watch.answered || watch.failure !== null || channel.closed) stop();
      watch.onanswer = channel.onclose = stop;
      promise.then(resolve, reject);
    }).finally(() => void (watch.onanswer = channel.onclose = null));
  }
}

/** Thrown within this file where the rest of the body is not to be sent. */
const STOPPED = new Error("stopped");

/** Sends it all, or up to an early answer. `false` if the body did not go out whole. */
async function upload(channel: Channel, out: Outgoing, watch: Watch): Promise<boolean> {
  if (out.debug) debugSend(out.head);
  const outbox = new Outbox(channel, watch, out.head);
  const pieces = iterate(out.content!, out.debug);
  let exhausted = false;
  try {
    for (;;) {
      const next = pieces.next();
      const { done, value } = next instanceof Promise ? await outbox.during(next) : next;
      if (done) break;
      await stage(outbox, pieceBytes(value), out);
      if (watch.answered) throw STOPPED;
    }
    exhausted = true;
    if (out.last !== null) await put(outbox, out.last, out.debug);
    await outbox.flush(false);
    return true;
  } catch (error) {
    if (!exhausted) leave(pieces);
    if (error !== STOPPED) throw error;
    if (watch.answered) return false;
    throw watch.failure?.reason ?? new Deno.errors.Interrupted("The connection was closed");
  }
}

/** One piece, as a chunk if need be; CPython: an empty piece is left out, as it would end the body. */
async function stage(outbox: Outbox, piece: Uint8Array, out: Outgoing): Promise<void> {
  if (piece.length === 0) {
    if (out.debug) debugNote("Zero length chunk ignored");
    return;
  }
  if (out.last === null) return await put(outbox, piece, out.debug);
  const parts = chunkParts(piece);
  if (out.debug) debugSend(joined(parts));
  for (const part of parts) await outbox.add(part);
}

async function put(outbox: Outbox, bytes: Uint8Array, debug: boolean): Promise<void> {
  if (debug) debugSend(bytes);
  await outbox.add(bytes);
}

function joined(parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** The pieces of a body, of one piece if it is bytes. */
function iterate(content: Content & object, debug: boolean): AnyIterator {
  if (content.kind === "bytes") return [content.bytes][Symbol.iterator]();
  if (debug) debugNote("reading a readable");
  return content.pieces();
}

/** Tells the source that no more is taken from it; it may take its time to hear that. */
function leave(pieces: AnyIterator): void {
  try {
    Promise.resolve(pieces.return?.()).catch(() => {});
  } catch {
    // The source's own trouble.
  }
}

/** Raw pieces, as `send()` takes them: no framing. */
export async function sendRaw(channel: Channel, content: Content, debug: boolean): Promise<void> {
  if (content === null) return;
  const pieces = iterate(content, debug);
  for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
    const piece = pieceBytes(next.value);
    if (debug) debugSend(piece);
    await channel.send(piece);
  }
}

/** The errors of a write to a peer that reads no more. */
function isReset(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionAborted;
}

/** How long an answer is waited for after a write failed: it is there already, or it never comes. */
const SALVAGE_MS = 1000;

/**
 * A server that refuses a body answers and resets the connection: the write fails, and the answer can
 * still be read.
 */
export async function salvage(
  channel: Channel,
  error: unknown,
  begin: () => Promise<void>,
): Promise<boolean> {
  if (!isReset(error) || channel.closed) return false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, SALVAGE_MS);
  });
  try {
    channel.reusable = false;
    channel.reader.prefetch();
    await Promise.race([channel.reader.arrived(), late]);
    if (channel.reader.arrival !== "data") return false;
    await begin();
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Sends the head, and the body once the server has asked for it or `seconds` have passed (RFC 9110,
 * Section 10.1.1). After a final answer the body is not even opened.
 */
async function uploadExpecting(
  channel: Channel,
  out: Outgoing,
  watch: Watch,
  seconds: true | number,
): Promise<boolean> {
  if (out.debug) debugSend(out.head);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const { settings } = channel;
  const asked = new Promise<void>((resolve) => {
    channel.settings = {
      ...settings,
      onInterim: (head) => {
        if (head.status === 100) resolve();
        settings.onInterim?.(head);
      },
    };
    watch.onanswer = channel.onclose = resolve;
    if (seconds !== true) timer = setTimeout(resolve, seconds * 1000);
  });
  try {
    await channel.send(out.head);
    watch.start();
    await asked;
  } finally {
    clearTimeout(timer);
    watch.onanswer = channel.onclose = null;
    channel.settings = settings;
  }
  if (watch.answered) return false;
  if (watch.failure !== null) throw watch.failure.reason;
  return await upload(channel, { ...out, head: new Uint8Array(0) }, watch);
}
