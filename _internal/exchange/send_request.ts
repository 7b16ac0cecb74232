/**
 * Sending a request: the head and the pieces of the body in as few writes as there can be, while an
 * early answer is watched for.
 *
 * @module
 */
import type { Channel } from "./channel.ts";
import { checkSeconds } from "./deadlines.ts";
import { debugNote, debugSend } from "./debug.ts";
import { Outbox, PROMPT, STOPPED } from "./outbox.ts";
import { type Content, OVER, pieceBytes, type Pieces } from "./request_body.ts";
import {
  chunkParts,
  fieldPairs,
  type HeaderFields,
  lastChunk,
  recycle,
  type Trailers,
} from "../wire/request_head.ts";
import { tell } from "./trace.ts";
import { Watch } from "./watch.ts";

/** What to send. */
export interface Outgoing {
  head: Uint8Array<ArrayBuffer>;
  content: Content;
  /** Makes what ends a chunked body; `null` where the body is not chunked. */
  last: (() => Uint8Array | Promise<Uint8Array>) | null;
  /** Whether, or for how many seconds, a 100 is waited for before the body. */
  expect: boolean | number;
  debug: boolean;
}

/** The options of a request that concern its sending. */
interface SendOptions {
  encode_chunked?: boolean;
  trailers?: Trailers;
  expect_continue?: boolean | number;
}

const LAST_CHUNK_SIZE = 5;

/** What to send; trailers that cannot be sent are refused here, before anything is. */
export function outgoing(
  head: Uint8Array<ArrayBuffer>,
  content: Content,
  options: SendOptions,
  debug: boolean,
): Outgoing {
  const expect = options.expect_continue ?? false;
  if (typeof expect !== "boolean") checkSeconds("expect_continue", expect);
  const chunked = content !== null && options.encode_chunked === true;
  const { trailers } = options;
  if (!chunked && trailers === undefined) return { head, content, last: null, expect, debug };
  const given = typeof trailers === "function" ? null : lastChunk(fieldPairs(trailers));
  if (!chunked && (given === null || given.length > LAST_CHUNK_SIZE)) {
    throw new TypeError("Cannot send trailers: the body is not chunked");
  }
  const made = async () => lastChunk(fieldPairs(await (trailers as () => HeaderFields)()));
  const last = chunked ? (given === null ? made : () => given) : null;
  return { head, content, last, expect, debug };
}

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
  if (content === null) {
    if (out.debug) debugSend(out.head);
    const { length } = out.head;
    await channel.send(out.head);
    if (channel.native) recycle(out.head);
    const { trace } = channel;
    if (trace !== null) tell(trace, { type: "requestHead", bytes: length });
    return true;
  }
  const watch = new Watch(channel, begin);
  try {
    if (out.expect !== false && begin !== null) {
      if (!(await allowed(channel, out, watch, out.expect))) return false;
      out = { ...out, head: new Uint8Array(0) };
    }
    const whole = await upload(channel, out, watch);
    if (whole && channel.native) recycle(out.head);
    return whole;
  } catch (error) {
    if (await watch.salvage(error)) return false;
    throw error;
  }
}

/** Sends it all, or up to an early answer. `false` if the body did not go out whole. */
async function upload(channel: Channel, out: Outgoing, watch: Watch): Promise<boolean> {
  const content = out.content!;
  if (out.debug && out.head.length > 0) debugSend(out.head);
  const outbox = new Outbox(channel, watch, out.head);
  try {
    if (content.kind === "bytes") {
      const writing = stage(outbox, content.bytes, out);
      if (writing !== null) await writing;
    } else {
      if (out.debug && content.readable) debugNote("reading a readable");
      await sendPieces(outbox, content.pieces(), out, watch);
    }
    if (out.last !== null) {
      const last = out.last();
      await put(outbox, last instanceof Promise ? await outbox.during(last) : last, out.debug);
    }
    await outbox.flush(false);
    return true;
  } catch (error) {
    if (watch.answered) return false;
    if (error !== STOPPED) throw error;
    throw watch.failure?.reason ?? new Deno.errors.Interrupted("The connection was closed");
  }
}

/** Stages, and where that is full sends, all pieces of a source; one that is not exhausted is told. */
async function sendPieces(
  outbox: Outbox,
  pieces: Pieces,
  out: Outgoing,
  watch: Watch,
): Promise<void> {
  const arrival = new Arrival();
  try {
    for (;;) {
      let next = pieces.next();
      if ("then" in next) {
        // As `during()` does it, but without a promise and a call for each piece: half of its time.
        arrival.watch(next);
        for (let i = 0; i < PROMPT && arrival.out; i++) await null;
        next = arrival.out ? await outbox.late(Promise.resolve(next)) : arrival.taken();
      }
      const { done, value } = next;
      if (done) break;
      // What is staged without a write is not awaited: that is half the time of a small piece.
      const writing = stage(outbox, pieceBytes(value), out);
      if (writing !== null) await writing;
      if (watch.stopped) throw STOPPED;
    }
  } catch (error) {
    leave(pieces);
    throw error;
  }
  pieces[OVER]?.();
}

/** One piece, as a chunk if need be; CPython: an empty piece is left out, as it would end the body. */
function stage(outbox: Outbox, piece: Uint8Array, out: Outgoing): Promise<void> | null {
  if (piece.length === 0) {
    if (out.debug) debugNote("Zero length chunk ignored");
    return null;
  }
  if (out.last === null) return put(outbox, piece, out.debug);
  if (out.debug) debugSend(joined(chunkParts(piece)));
  return outbox.addChunk(piece);
}

/** The step of a source, as soon as it is there. */
class Arrival {
  /** Whether it is still out. */
  out = false;
  #step: IteratorResult<unknown> | null = null;
  #failure: { reason: unknown } | null = null;

  watch(step: PromiseLike<IteratorResult<unknown>>): void {
    this.out = true;
    step.then(this.#onstep, this.#onfailure);
  }

  taken(): IteratorResult<unknown> {
    if (this.#failure !== null) throw this.#failure.reason;
    return this.#step!;
  }

  #onstep = (step: IteratorResult<unknown>): void => {
    this.#step = step;
    this.out = false;
  };

  #onfailure = (reason: unknown): void => {
    this.#failure = { reason };
    this.out = false;
  };
}

function put(outbox: Outbox, bytes: Uint8Array, debug: boolean): Promise<void> | null {
  if (debug) debugSend(bytes);
  return outbox.add(bytes);
}

function joined(parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Tells the source that no more is taken from it; it may take its time to hear that. */
function leave(pieces: Pieces): void {
  try {
    Promise.resolve(pieces.return?.()).catch(() => {});
  } catch {
    // The source's own trouble.
  }
}

/**
 * Raw pieces, as `send()` takes them: no framing. An early answer ends them, too.
 *
 * @param begin Reads the head of the response, if there is one to come.
 */
export async function sendRaw(
  channel: Channel,
  content: Content,
  debug: boolean,
  begin: (() => Promise<void>) | null,
): Promise<void> {
  if (content === null) return;
  const watch = new Watch(channel, begin);
  const out: Outgoing = { head: new Uint8Array(0), content, last: null, expect: false, debug };
  try {
    if (!(await upload(channel, out, watch))) channel.reusable = false;
  } catch (error) {
    if (!(await watch.salvage(error))) throw error;
    channel.reusable = false;
  }
}

/**
 * Sends the head, and waits until the server has asked for the body or `seconds` have passed (RFC 9110,
 * Section 10.1.1). `false` after a final answer: the body is then not even opened.
 */
async function allowed(
  channel: Channel,
  out: Outgoing,
  watch: Watch,
  seconds: boolean | number,
): Promise<boolean> {
  if (out.debug) debugSend(out.head);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const { settings, trace } = channel;
  const asked = new Promise<void>((resolve) => {
    channel.settings = {
      ...settings,
      onInterim: (head) => {
        if (head.status === 100) resolve();
        settings.onInterim?.(head);
      },
    };
    // A timer takes at most 2^31-1 ms.
    if (typeof seconds === "number") {
      timer = setTimeout(resolve, Math.min(seconds * 1000, 0x7fffffff));
    }
  });
  try {
    await channel.send(out.head);
    if (trace !== null) tell(trace, { type: "requestHead", bytes: out.head.length });
    channel.awaitHead();
    watch.wait();
    await watch.race(asked);
  } finally {
    clearTimeout(timer);
    channel.settings = settings;
  }
  if (watch.answered) return false;
  if (watch.failure !== null) throw watch.failure.reason;
  if (channel.closed) throw new Deno.errors.Interrupted("The connection was closed");
  channel.awaitSend();
  return true;
}
