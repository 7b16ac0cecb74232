/**
 * The calls that read a body, each with what its result says.
 *
 * @module
 */
import type { HTTPConnection, HTTPResponse } from "../../mod.ts";
import { turns } from "../helpers/waiting.ts";
import { bytes } from "./bytes.ts";
import type { Delivered } from "./outcome.ts";

/** What a call has to work with. */
export interface ReadingContext {
  /** The connection. */
  readonly conn: HTTPConnection;
  /** The response, unless the call is the one that gets it. */
  response: HTTPResponse | null;
  /** What has been delivered. */
  readonly delivered: Delivered;
  /** What has been delivered to the second branch of a tee. */
  readonly second: Delivered;
  /** The right body. */
  readonly body: Uint8Array;
  /** The signal of `getresponse()`. */
  readonly signal: AbortSignal | null;
  /** The reader of the stream, if the call has one. */
  reader: ReadableStreamDefaultReader<Uint8Array> | ReadableStreamBYOBReader | null;
  /** Memory that was lent for the time of the call, and must not change after it. */
  lent: Uint8Array | null;
  /** The result says that the body is at its end. */
  atEnd(delivered?: Delivered): void;
  /** Whether the result is all that was asked for, rather than what there was. */
  satisfied: boolean;
}

/** A call that reads. */
export interface ReadingCall {
  /** What it is called. */
  readonly name: string;
  /** Whether the body of the response is coded with gzip. */
  readonly gzip: boolean;
  /** Whether the stream has a reader afterwards, which can cancel or let go. */
  readonly hasReader: boolean;
  /** Whether the stream stays locked by something else. */
  readonly locks: boolean;
  /** Whether it is one of Python's, which account for each byte that came. */
  readonly python: boolean;
  /** Whether it reads up to the end of the body. */
  readonly toEnd: boolean;
  /** Begins it. */
  start(ctx: ReadingContext): Promise<void>;
}

type Start = (ctx: ReadingContext, response: HTTPResponse) => Promise<void>;

function call(name: string, start: Start, kind: Partial<ReadingCall> = {}): ReadingCall {
  const defaults = { gzip: false, hasReader: false, locks: false, python: false, toEnd: false };
  return { name, ...defaults, ...kind, start: (ctx) => start(ctx, ctx.response!) };
}

/** A result of a call that gives nothing only at the end. */
function some(ctx: ReadingContext, view: Uint8Array, satisfied: boolean): void {
  ctx.delivered.take(view);
  ctx.satisfied = satisfied;
  if (view.length === 0) ctx.atEnd();
}

/** A result that is all of the body. */
function whole(ctx: ReadingContext, view: Uint8Array): void {
  ctx.delivered.take(view);
  ctx.satisfied = true;
  ctx.atEnd();
}

const LF = 10;
const isLine = (view: Uint8Array) => view.at(-1) === LF;

async function readinto(ctx: ReadingContext, response: HTTPResponse, size: number): Promise<void> {
  const target = new Uint8Array(size).fill(0x55);
  ctx.lent = target;
  const count = await response.readinto(target);
  some(ctx, target.slice(0, count), count === size);
}

/** Reads all lines of an iterator; what each gives is delivered. */
async function drain(ctx: ReadingContext, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of pieces) ctx.delivered.take(piece);
  ctx.satisfied = true;
  ctx.atEnd();
}

async function step(
  ctx: ReadingContext,
  next: Promise<IteratorResult<Uint8Array> | ReadableStreamReadResult<Uint8Array>>,
): Promise<void> {
  const { done, value } = await next;
  if (value !== undefined) ctx.delivered.take(value);
  ctx.satisfied = true;
  if (done) ctx.atEnd();
}

/** Reads on with a reader that the call left behind. */
export function again(ctx: ReadingContext): Promise<void> {
  const { reader } = ctx;
  if (reader instanceof ReadableStreamBYOBReader) {
    return step(ctx, reader.read(new Uint8Array(65536)));
  }
  return step(ctx, reader!.read());
}

function withReader(size: number | null): Start {
  return (ctx, response) => {
    if (size === null) {
      const reader = response.getReader();
      ctx.reader = reader;
      return step(ctx, reader.read());
    }
    const reader = response.getReader({ mode: "byob" });
    ctx.reader = reader;
    return step(ctx, reader.read(new Uint8Array(size)));
  };
}

async function pipeTo(ctx: ReadingContext, response: HTTPResponse): Promise<void> {
  await response.pipeTo(
    new WritableStream<Uint8Array>({ write: (piece) => ctx.delivered.take(piece) }),
  );
  ctx.satisfied = true;
  ctx.atEnd();
}

/** Copies the body to a target that answers after `wait`. */
function copyTo(wait: () => Promise<void>): Start {
  return async (ctx, response) => {
    let piece = bytes("");
    const write = async (p: Uint8Array) => {
      // Its memory is used again.
      piece = p.slice();
      await wait();
      return piece.length;
    };
    // A write that was out when the call ended counts as none: `partial` has its bytes.
    await response.copyTo({ write }, { onProgress: () => ctx.delivered.take(piece) });
    ctx.satisfied = true;
    ctx.atEnd();
  };
}

async function tee(ctx: ReadingContext, response: HTTPResponse): Promise<void> {
  const branches = response.tee();
  const read = async (branch: ReadableStream<Uint8Array>, delivered: Delivered) => {
    for await (const piece of branch) delivered.take(piece);
    ctx.atEnd(delivered);
  };
  const results = await Promise.allSettled([
    read(branches[0], ctx.delivered),
    read(branches[1], ctx.second),
  ]);
  ctx.satisfied = true;
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

async function json(ctx: ReadingContext, response: HTTPResponse): Promise<void> {
  if (ctx.body.length === 0) return whole(ctx, await response.bytes());
  const value = JSON.stringify(await response.json());
  const right = JSON.stringify(JSON.parse(new TextDecoder().decode(ctx.body)));
  whole(ctx, value === right ? ctx.body : bytes(value));
}

async function decoded(ctx: ReadingContext, response: HTTPResponse): Promise<void> {
  ctx.reader = response.decoded().getReader();
  await step(ctx, ctx.reader.read());
}

async function decodedAll(ctx: ReadingContext, response: HTTPResponse): Promise<void> {
  await drain(ctx, response.decoded());
}

async function readlines(ctx: ReadingContext, response: HTTPResponse, hint?: number) {
  const lines = await response.readlines(hint);
  for (const line of lines) ctx.delivered.take(line);
  ctx.satisfied = hint !== undefined && lines.length > 0 && isLine(lines.at(-1)!);
  // Without a hint, the end follows; the next call tells whether it came too early.
  if (lines.length === 0) ctx.atEnd();
}

const python = { python: true };
const pythonToEnd = { python: true, toEnd: true };
const reader = { hasReader: true, locks: true };

/** The calls. */
export const READING_CALLS: readonly ReadingCall[] = [
  call("read()", async (ctx, response) => whole(ctx, await response.read()), pythonToEnd),
  call("read(2)", async (ctx, response) => {
    const view = await response.read(2);
    some(ctx, view, view.length === 2);
  }, python),
  call("read(50)", async (ctx, response) => {
    const view = await response.read(50);
    some(ctx, view, view.length === 50);
  }, python),
  call("read(200000)", async (ctx, response) => {
    const view = await response.read(200_000);
    some(ctx, view, view.length === 200_000);
  }, python),
  call("readinto small", (ctx, response) => readinto(ctx, response, 50), python),
  call("readinto large", (ctx, response) => readinto(ctx, response, 200_000), python),
  call("read1", async (ctx, response) => some(ctx, await response.read1(), true), python),
  call("read1(2)", async (ctx, response) => some(ctx, await response.read1(2), true), python),
  call("peek", async (ctx, response) => {
    const view = await response.peek();
    ctx.delivered.look(view, "shown");
    ctx.satisfied = true;
    if (view.length === 0) ctx.atEnd();
  }),
  call("readline", async (ctx, response) => {
    const line = await response.readline();
    some(ctx, line, isLine(line));
  }, python),
  call("readline(30)", async (ctx, response) => {
    const line = await response.readline(30);
    some(ctx, line, isLine(line) || line.length === 30);
  }, python),
  call("readlines", (ctx, response) => readlines(ctx, response), pythonToEnd),
  call("readlines(10)", (ctx, response) => readlines(ctx, response, 10), python),
  call("lines().next()", async (ctx, response) => {
    const { done, value } = await response.lines().next();
    if (!done) some(ctx, value, isLine(value));
    else ctx.atEnd();
  }, python),
  call("for await lines", (ctx, response) => drain(ctx, response.lines()), { python: true }),
  call("values().next()", (ctx, response) => step(ctx, response.values().next())),
  call("for await", (ctx, response) => drain(ctx, response)),
  call("reader.read()", withReader(null), reader),
  call("BYOB small", withReader(50), reader),
  call("BYOB large", withReader(200_000), reader),
  call("pipeTo", pipeTo, { locks: true }),
  call("copyTo", copyTo(() => Promise.resolve()), python),
  call("copyTo slow", copyTo(() => turns()), python),
  call("tee", tee, { locks: true }),
  call("text", async (ctx, response) => whole(ctx, bytes(await response.text())), pythonToEnd),
  call("json", json, { toEnd: true }),
  call("bytes", async (ctx, response) => whole(ctx, await response.bytes()), pythonToEnd),
  call("decoded", decoded, { locks: true }),
  call("decoded, gzip", decoded, { gzip: true, locks: true }),
  call("for await decoded, gzip", decodedAll, { gzip: true, locks: true }),
  call("new Response().text()", async (ctx, response) => {
    whole(ctx, bytes(await new Response(response).text()));
  }, { locks: true }),
  call("getresponse", async (ctx) => {
    ctx.response = await ctx.conn.getresponse({ signal: ctx.signal });
    ctx.satisfied = true;
  }),
  call("close", (ctx, response) => {
    response.close();
    ctx.satisfied = true;
    return Promise.resolve();
  }),
];
