/**
 * Responses delivered in every way that a network can cut them: whole, byte by byte, cut in two at
 * every point, and with bytes behind them that must stay unread.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  HTTPResponse,
  IncompleteRead,
  LineReader,
  ProtocolError,
  type Transport,
} from "../../mod.ts";
import { SegmentTransport } from "../parity/transports.ts";
import { bytes, latin1 } from "../servers/raw.ts";

export { bytes, latin1 };

/** The body of the shapes that have one. */
export const TEXT = "alpha\nbeta\n\ngamma";

/** A response, as it is framed. */
export interface Shape {
  name: string;
  /** The method of the request. @default {"GET"} */
  method?: string;
  head: string;
  /** What stands behind the head: the body and its framing. */
  tail: string;
  body: string;
  /** Whether the connection can be used again. */
  keeps: boolean;
}

const CHUNKS = "7\r\nalpha\nb\r\n1\r\ne\r\n9\r\nta\n\ngamma\r\n";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** Every framing. */
export const SHAPES: readonly Shape[] = [
  {
    name: "Content-Length",
    head: "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n",
    tail: TEXT,
    body: TEXT,
    keeps: true,
  },
  { name: "chunked", head: CHUNKED, tail: `${CHUNKS}0\r\n\r\n`, body: TEXT, keeps: true },
  {
    name: "chunked with extensions",
    head: CHUNKED,
    tail: '07;a\r\nalpha\nb\r\n1 ;b="c d"\r\ne\r\n009;e=;f\r\nta\n\ngamma\r\n0;last\r\n\r\n',
    body: TEXT,
    keeps: true,
  },
  {
    name: "chunked with trailers",
    head: CHUNKED,
    tail: `${CHUNKS}0\r\nDigest: abc\r\nX-B: \r\n\r\n`,
    body: TEXT,
    keeps: true,
  },
  { name: "until close", head: "HTTP/1.1 200 OK\r\n\r\n", tail: TEXT, body: TEXT, keeps: false },
  { name: "HTTP/1.0", head: "HTTP/1.0 200 OK\r\n\r\n", tail: TEXT, body: TEXT, keeps: false },
  {
    name: "HTTP/1.0 keep-alive",
    head: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 17\r\n\r\n",
    tail: TEXT,
    body: TEXT,
    keeps: true,
  },
  {
    name: "HEAD",
    method: "HEAD",
    head: "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n",
    tail: "",
    body: "",
    keeps: true,
  },
  { name: "204", head: "HTTP/1.1 204 No Content\r\n\r\n", tail: "", body: "", keeps: true },
  {
    name: "304",
    head: "HTTP/1.1 304 Not Modified\r\nContent-Length: 17\r\n\r\n",
    tail: "",
    body: "",
    keeps: true,
  },
  {
    name: "Content-Length 0",
    head: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    tail: "",
    body: "",
    keeps: true,
  },
];

/** The shape of this name. */
export function shape(name: string): Shape {
  return SHAPES.find((one) => one.name === name)!;
}

/** A way of delivering bytes. */
export interface Way {
  name: string;
  pieces: Uint8Array[];
}

/** Whole, byte by byte, and cut in two at every point. */
export function ways(wire: string): Way[] {
  const all = bytes(wire);
  const single = Array.from(all, (_, i) => all.subarray(i, i + 1));
  const cuts = single.slice(1).map((_, i) => ({
    name: `cut at ${i + 1}`,
    pieces: [all.subarray(0, i + 1), all.subarray(i + 1)],
  }));
  return [{ name: "whole", pieces: [all] }, { name: "byte by byte", pieces: single }, ...cuts];
}

/** Runs a check on each way in which the bytes can be delivered; the failing one is named. */
export async function everyWay(
  wire: string,
  check: (transport: SegmentTransport) => Promise<void>,
): Promise<void> {
  for (const { name, pieces } of ways(wire)) {
    await naming(`delivered ${name}`, () => check(new SegmentTransport(pieces)));
  }
}

async function naming(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (error instanceof Error) error.message = `${name}: ${error.message}`;
    throw error;
  }
}

/** A response whose head was read, over text or over a transport. */
export async function begun(
  source: string | Transport | ReadableStream<Uint8Array> | LineReader,
  method = "GET",
): Promise<HTTPResponse> {
  const from = typeof source === "string" ? new SegmentTransport([bytes(source)]) : source;
  const response = new HTTPResponse(from, { method });
  await response.begin();
  return response;
}

/** What a server could send behind an answer. */
const BEHIND = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnext";

/**
 * Runs a check on a response in every way, then with another response behind it, of which it must
 * leave every byte.
 */
export async function everyWayAndBehind(
  { head, tail, method, keeps }: Shape,
  check: (response: HTTPResponse) => Promise<void>,
): Promise<void> {
  const wire = head + tail;
  await everyWay(wire, async (transport) => await check(await begun(transport, method)));
  if (!keeps) return;
  const [whole, single] = ways(wire + BEHIND);
  for (const { name, pieces } of [whole, single]) {
    await naming(`with bytes behind it, ${name}`, async () => {
      const reader = new LineReader(new SegmentTransport(pieces));
      await check(await begun(reader, method));
      const next = await begun(reader);
      assertEquals([next.status, await next.text()], [404, "next"]);
    });
  }
}

/** Runs a call until it gives nothing; what it gave as text, the last and empty one included. */
export async function untilEmpty(call: () => Promise<Uint8Array>): Promise<string[]> {
  const pieces: string[] = [];
  for (;;) {
    const piece = latin1(await call());
    pieces.push(piece);
    if (piece === "") return pieces;
  }
}

/** `readinto` as a call that gives bytes. */
export async function readinto(response: HTTPResponse, size: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(size);
  return buffer.subarray(0, await response.readinto(buffer));
}

/** All that an iterable of bytes gives, piece by piece. */
export async function pieces(iterable: AsyncIterable<Uint8Array>): Promise<string[]> {
  const texts: string[] = [];
  for await (const piece of iterable) texts.push(latin1(piece));
  return texts;
}

/** All that a reader of a stream gives. */
export async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += latin1(value);
  }
}

/** All that a BYOB reader gives into views of `size` bytes. */
export async function drainInto(
  reader: ReadableStreamBYOBReader,
  size: number,
): Promise<string> {
  let text = "";
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(size));
    if (done) return text;
    text += latin1(value!);
  }
}

/** The class of an error, whatever it is made with. */
// deno-lint-ignore no-explicit-any
export type ErrorClass = new (...args: any[]) => Error;

/** Asserts that a call throws `IncompleteRead` with these fields, because the body ended. */
export async function assertCut(
  call: () => Promise<unknown>,
  partial: string,
  expected: number | null,
): Promise<void> {
  const error = await assertRejects(call, IncompleteRead);
  assertEquals([latin1(error.partial), error.expected], [partial, expected]);
  assertEquals(error.cause, undefined);
}

/** Asserts that a call throws `IncompleteRead` because the framing broke. */
export async function assertBroken(
  call: () => Promise<unknown>,
  partial?: string,
): Promise<IncompleteRead> {
  const error = await assertRejects(call, IncompleteRead);
  assert(error.cause instanceof ProtocolError, `the cause is ${error.cause}`);
  if (partial !== undefined) assertEquals(latin1(error.partial), partial);
  return error;
}
