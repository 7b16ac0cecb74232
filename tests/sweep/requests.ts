/**
 * Requests as a server sees them: parsed from the bytes of a connection.
 *
 * @module
 */
import { latin1 } from "../servers/raw.ts";
import { concat } from "./bytes.ts";

/** A request, as far as it has come. */
export interface Received {
  /** Its method. */
  readonly method: string;
  /** Its target. */
  readonly target: string;
  /** Its body, the framing taken out. */
  readonly body: Uint8Array;
  /** Whether all of it has come. */
  readonly whole: boolean;
}

/** What came over a connection. */
export interface ReceivedAll {
  /** The requests, in their order. */
  readonly requests: readonly Received[];
  /** What is no request, or `null`. */
  readonly junk: string | null;
}

const REQUEST_LINE = /^([A-Z]+) (\S+) HTTP\/1\.1\r\n/;
const EMPTY = new Uint8Array(0);

/** A part of the wire that was understood, and where the next one begins. */
interface Part {
  readonly body: Uint8Array;
  readonly whole: boolean;
  readonly end: number;
  readonly junk: string | null;
}

/**
 * Parses what came over a connection.
 *
 * @param wire The bytes
 * @returns The requests, of which the last may be cut off
 */
export function parseRequests(wire: Uint8Array): ReceivedAll {
  const text = latin1(wire);
  const requests: Received[] = [];
  for (let at = 0; at < wire.length;) {
    const rest = text.slice(at, at + 4096);
    const line = REQUEST_LINE.exec(rest);
    const end = text.indexOf("\r\n\r\n", at);
    if (line === null && rest.includes("\r\n")) return { requests, junk: rest.slice(0, 60) };
    if (end < 0) {
      const [method = "", target = ""] = rest.split(" ");
      requests.push({ method, target, body: EMPTY, whole: false });
      break;
    }
    const part = parseBody(wire, text, text.slice(at, end + 2), end + 4);
    const [, method, target] = line!;
    requests.push({ method, target, body: part.body, whole: part.whole });
    if (part.junk !== null) return { requests, junk: part.junk };
    at = part.end;
  }
  return { requests, junk: null };
}

function parseBody(wire: Uint8Array, text: string, head: string, at: number): Part {
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) return parseChunks(wire, text, at);
  const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0);
  const end = Math.min(wire.length, at + length);
  return { body: wire.subarray(at, end), whole: end === at + length, end, junk: null };
}

function parseChunks(wire: Uint8Array, text: string, at: number): Part {
  const pieces: Uint8Array[] = [];
  const part = (whole: boolean, junk: string | null = null): Part => {
    return { body: concat(...pieces), whole, end: whole ? at : wire.length, junk };
  };
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    const line = text.slice(at, lineEnd < 0 ? undefined : lineEnd);
    if (!/^[0-9a-fA-F]*\r?$/.test(line) || line.length > 8) return part(false, line.slice(0, 60));
    if (lineEnd < 0) return part(false);
    const size = parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) return parseTrailers(text, at, pieces);
    pieces.push(wire.subarray(at, at + size));
    at += size;
    if (at + 2 > wire.length) return part(false);
    if (text.slice(at, at + 2) !== "\r\n") return part(false, text.slice(at, at + 60));
    at += 2;
  }
}

function parseTrailers(text: string, at: number, pieces: Uint8Array[]): Part {
  const body = concat(...pieces);
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return { body, whole: false, end: text.length, junk: null };
    const line = text.slice(at, lineEnd);
    at = lineEnd + 2;
    if (line === "") return { body, whole: true, end: at, junk: null };
    if (!/^[\w-]+: /.test(line)) return { body, whole: false, end: at, junk: line.slice(0, 60) };
  }
}
