/**
 * Responses with a coded body, over a transport in memory.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import zlib from "node:zlib";
import { type DecodedOptions, HTTPConnection, type HTTPResponse } from "../../mod.ts";
import { bytes, concat } from "../servers/raw.ts";
import { FakeTransport, over } from "./fake_transport.ts";
import { randomFrom } from "./random.ts";
import { soon } from "./waiting.ts";

export const TEXT = "alpha, beta, gamma. ".repeat(500);
export const CONTENT = bytes(TEXT);

const random = randomFrom(1);

/** Not compressible. */
export const NOISE = new Uint8Array(50_000).map(() => random(256));
/** More than what is read ahead. */
export const LARGE = concat(Array.from({ length: 10 }, () => NOISE));

export type Coder = (content: Uint8Array) => Uint8Array;

export const gzip: Coder = (content) => zlib.gzipSync(content);
export const deflate: Coder = (content) => zlib.deflateSync(content);
export const raw: Coder = (content) => zlib.deflateRawSync(content);
export const br: Coder = (content) =>
  zlib.brotliCompressSync(content, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } });
export const zstd: Coder = (content) => zlib.zstdCompressSync(content);

/** Each coding, by its name in the field. */
export const CODINGS: [name: string, field: string, code: Coder][] = [
  ["gzip", "gzip", gzip],
  ["x-gzip", "x-gzip", gzip],
  ["deflate, zlib's form", "deflate", deflate],
  ["deflate, raw", "deflate", raw],
  ["br", "br", br],
  ["zstd", "zstd", zstd],
];

/** What decodes to much more than its size. */
export const ZEROS = new Uint8Array(10_000_000);

/** How the body arrives. */
export interface Sent {
  method?: string;
  /** The lengths of the pieces; the whole by default. */
  size?: number;
  /** The length that the head promises. @default {the body's} */
  length?: number;
  chunked?: boolean;
  /** Whether the body ends with the connection. */
  untilClose?: boolean;
}

/** A response with a coded body. */
export async function respond(
  field: string | null,
  body: Uint8Array,
  { method = "GET", size = body.length, length = body.length, chunked = false, untilClose = false }:
    Sent = {},
): Promise<{ conn: HTTPConnection; response: HTTPResponse; fake: FakeTransport }> {
  const fake = new FakeTransport();
  const coding = field === null ? "" : `Content-Encoding: ${field}\r\n`;
  const framing = chunked ? "Transfer-Encoding: chunked\r\n" : `Content-Length: ${length}\r\n`;
  fake.arrive(`HTTP/1.1 200 OK\r\n${coding}${untilClose ? "" : framing}\r\n`);
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    if (chunked) fake.arrive(`${piece.length.toString(16)}\r\n`);
    fake.release(piece.slice(), false);
    if (chunked) fake.arrive("\r\n");
  }
  if (chunked) fake.arrive("0\r\nX-Sum: 1\r\n\r\n");
  fake.end();
  const conn = new HTTPConnection("example.com", over(fake));
  await conn.request(method, "/");
  return { conn, response: await conn.getresponse(), fake };
}

/** The whole content. */
export async function contentOf(
  response: HTTPResponse,
  options?: DecodedOptions,
): Promise<Uint8Array> {
  return concat(await soon(Array.fromAsync(response.decoded(options))));
}

/** The content of a response with this body. */
export async function decode(
  field: string | null,
  body: Uint8Array,
  sent?: Sent,
): Promise<Uint8Array> {
  const { conn, response } = await respond(field, body, sent);
  using _ = conn;
  return await contentOf(response);
}

/** Compares bytes without showing all of them. */
export function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assertEquals(actual.length, expected.length);
  assert(actual.every((byte, i) => byte === expected[i]), "The bytes differ");
}
