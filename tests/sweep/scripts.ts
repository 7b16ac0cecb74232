/**
 * Responses for the reading part: by framing, and by how much of them has come when the call begins.
 *
 * @module
 */
import { bytes, concat } from "./bytes.ts";
import type { WhenClosed } from "./transports.ts";

/** A response, and where in it things are. */
export interface Script {
  /** Its head. */
  readonly head: Uint8Array;
  /** What follows its head, up to its end. */
  readonly wire: Uint8Array;
  /** Both together. */
  readonly whole: Uint8Array;
  /** The body, the framing taken out. */
  readonly body: Uint8Array;
  /** Where in `wire` broken framing can stand; none where there is no framing to break. */
  readonly boundaries: readonly number[];
  /** How much of `wire` has come, by what that is called. */
  readonly marks: Readonly<Record<string, number>>;
}

/** A kind of response. */
export interface Framing {
  /** What it is called. */
  readonly name: string;
  /** The method of its request. */
  readonly method: string;
  /** Whether the response takes its connection with it. */
  readonly willClose: boolean;
  /** Whether the end of the connection is the end of the body. */
  readonly untilClose: boolean;
  /** What becomes of a pending read when the transport is closed. */
  readonly whenClosed: WhenClosed;
  /** Makes the response. */
  script(body: Uint8Array, large: boolean): Script;
}

const LINES = ["a", "bcd", "the third line", "", "another one of these lines", "x".repeat(40)];

/** A body of some lines, which is JSON too. */
export const SMALL: Uint8Array<ArrayBuffer> = bytes(
  "[" + LINES.map((line, i) => JSON.stringify(`${i} ${line}`)).join(",\n") + "]\n",
);

/** A body that takes several buffers. */
export const LARGE: Uint8Array<ArrayBuffer> = bytes("[" + longLines() + '\n"end"]\n');

/** Lines that no coding makes much smaller, and that no two places have in common. */
function longLines(): string {
  let text = "";
  let seed = 1;
  while (text.length < 300_000) {
    seed = (seed * 48271) % 0x7fffffff;
    text += `"${seed.toString(36)} ${(seed * 7919 % 0x7fffffff).toString(36)}",\n`;
  }
  return text;
}

/** How many bytes of a large body have come, where not all have. */
const LARGE_PART = 150_000;
/** How many bytes of a small body make up the begin of its first line. */
const BEGIN = 3;
/** How many make up some of its lines and a part of the next. */
const PART = 20;

const HEAD_FIELDS = "X-Sweep: yes\r\n";

function head(version: string, status: string, fields: string): Uint8Array {
  return bytes(`HTTP/${version} ${status}\r\n${HEAD_FIELDS}${fields}\r\n`);
}

/** What has come of a body that has no framing within. */
function plainMarks(body: Uint8Array, large: boolean): Record<string, number> {
  if (large) return { "part of a large body": LARGE_PART, "large body": body.length };
  const marks: Record<string, number> = { "head only": 0 };
  if (body.length === 0) return marks;
  return {
    ...marks,
    "begin of a line": BEGIN,
    "part of body": PART,
    "all but the last byte": body.length - 1,
    "whole body": body.length,
  };
}

function plain(version: string, status: string, fields: string, body: Uint8Array, large: boolean) {
  const marks = plainMarks(body, large);
  return { ...together(head(version, status, fields), body), body, boundaries: [], marks };
}

function together(head: Uint8Array, wire: Uint8Array) {
  return { head, wire, whole: concat(head, wire) };
}

/** Sizes of the first chunks; what is left is the last one. */
const SMALL_CHUNKS = [BEGIN, 0x14, 7, 1];
const LARGE_CHUNK = 10_000;

function chunkSizes(total: number, large: boolean): number[] {
  const sizes: number[] = [];
  for (let left = total, i = 0; left > 0; left -= sizes[i++]) {
    sizes.push(Math.min(left, large ? LARGE_CHUNK : SMALL_CHUNKS[i] ?? left));
  }
  return sizes;
}

/** A chunked body, and where each chunk of it begins. */
function chunked(body: Uint8Array, large: boolean, trailers: string): Script {
  const parts: Uint8Array[] = [];
  const boundaries: number[] = [];
  let size = 0;
  const put = (part: Uint8Array) => {
    parts.push(part);
    size += part.length;
  };
  let at = 0;
  for (const count of chunkSizes(body.length, large)) {
    boundaries.push(size);
    put(bytes(count.toString(16) + "\r\n"));
    put(body.subarray(at, at += count));
    put(bytes("\r\n"));
  }
  boundaries.push(size);
  put(bytes("0\r\n"));
  const trailersAt = size;
  put(bytes(trailers + "\r\n"));
  const marks = large
    ? { "part of a large body": LARGE_PART, "large body": size }
    : chunkMarks(boundaries, trailersAt, size, trailers !== "");
  const fields = "Transfer-Encoding: chunked\r\n";
  return { ...together(head("1.1", "200 OK", fields), concat(...parts)), body, boundaries, marks };
}

function chunkMarks(boundaries: number[], trailersAt: number, size: number, trailers: boolean) {
  const marks: Record<string, number> = {
    "head only": 0,
    "begin of a line": boundaries[1],
    "part of a chunk": boundaries[1] + 4 + 10,
    "part of a chunk-size line": boundaries[1] + 1,
    "part of body": boundaries[3],
    "no last chunk": boundaries[boundaries.length - 1],
    "whole body": size,
  };
  if (trailers) marks["part of the trailers"] = trailersAt + 5;
  return marks;
}

function framing(name: string, part: Partial<Framing> & Pick<Framing, "script">): Framing {
  const defaults = { method: "GET", willClose: false, untilClose: false };
  return { name, whenClosed: "fails", ...defaults, ...part };
}

const byLength: Framing["script"] = (body, large) =>
  plain("1.1", "200 OK", `Content-Length: ${body.length}\r\n`, body, large);
const untilClose: Framing["script"] = (body, large) => plain("1.1", "200 OK", "", body, large);
const inChunks: Framing["script"] = (body, large) => chunked(body, large, "");
const closing = { willClose: true, untilClose: true };

/** The kinds of responses. */
export const FRAMINGS: readonly Framing[] = [
  framing("length", { script: byLength }),
  framing("chunked", { script: inChunks }),
  framing("chunked with trailers", {
    script: (body, large) => chunked(body, large, "X-Sum: 1\r\nX-Other: 2\r\n"),
  }),
  framing("until close", { script: untilClose, ...closing }),
  framing("HTTP/1.0", {
    willClose: true,
    script: (body, large) =>
      plain("1.0", "200 OK", `Content-Length: ${body.length}\r\n`, body, large),
  }),
  framing("204", {
    script: () => plain("1.1", "204 No Content", "", new Uint8Array(0), false),
  }),
  framing("HEAD", {
    method: "HEAD",
    script: () => plain("1.1", "200 OK", "Content-Length: 60\r\n", new Uint8Array(0), false),
  }),
  framing("empty", {
    script: () => plain("1.1", "200 OK", "Content-Length: 0\r\n", new Uint8Array(0), false),
  }),
  // A pooled buffer must not go back while such a transport can still write into it.
  framing("length, reads fill late", { whenClosed: "fills", script: byLength }),
  framing("chunked, reads fill late", { whenClosed: "fills", script: inChunks }),
  framing("until close, reads fill late", { whenClosed: "fills", script: untilClose, ...closing }),
  framing("length, reads stay pending", { whenClosed: "stays", script: byLength }),
  framing("chunked, reads stay pending", { whenClosed: "stays", script: inChunks }),
];

/** How much of a response has come, and what it is called. */
export interface Buffered {
  /** What it is called. */
  readonly name: string;
  /** Whether the body is the large one. */
  readonly large: boolean;
  /** Bytes of the head that have come; all of them where it is `Infinity`. */
  readonly head: number;
  /** Which mark of the script has been reached. */
  readonly mark: string;
  /** Whether bytes came behind the body. */
  readonly behind: boolean;
  /** Whether the end of the connection came, too. */
  readonly ended: boolean;
}

function buffered(name: string, part: Partial<Buffered> = {}): Buffered {
  return { name, large: false, head: Infinity, mark: name, behind: false, ended: false, ...part };
}

/** How much of a response has come. */
export const BUFFERED: readonly Buffered[] = [
  buffered("nothing", { head: 0, mark: "head only" }),
  buffered("part of the head", { head: 23, mark: "head only" }),
  buffered("head only"),
  buffered("begin of a line"),
  buffered("part of a chunk"),
  buffered("part of a chunk-size line"),
  buffered("part of body"),
  buffered("all but the last byte"),
  buffered("no last chunk"),
  buffered("part of the trailers"),
  buffered("whole body"),
  buffered("whole body and its end", { mark: "whole body", ended: true }),
  buffered("whole body and bytes behind", { mark: "whole body", behind: true }),
  buffered("part of a large body", { large: true }),
  buffered("large body", { large: true }),
];

/** What comes behind a body without being asked for. */
export const BEHIND: Uint8Array<ArrayBuffer> = bytes(
  "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
);

/** The same response with `Content-Encoding: gzip`. */
export function gzipped(script: Script): Script {
  const { head, wire } = script;
  const end = bytes("Content-Encoding: gzip\r\n\r\n");
  return { ...script, ...together(concat(head.subarray(0, head.length - 2), end), wire) };
}

/** What a peer sends that breaks the framing where `from` bytes of the script have come. */
export function garbage(script: Script, from: number): Uint8Array | null {
  const boundary = script.boundaries.find((at) => at >= from);
  if (boundary !== undefined) {
    return concat(script.wire.subarray(from, boundary), bytes("!!\r\n\r\n"));
  }
  return null;
}
