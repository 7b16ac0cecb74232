/**
 * Requests as bytes: the head, each part of it checked; chunked encoding.
 *
 * @module
 */
import { type Content, contentLength } from "../exchange/request_body.ts";
import { decodeLatin1, encodeAsciiInto, encodeLatin1 } from "./latin1.ts";
import {
  checkFieldName,
  checkFieldValue,
  checkMethod,
  checkTarget,
  isPlainValue,
} from "./grammar.ts";

/** A field value: bytes are sent as they are, a string as ISO-8859-1. */
export type FieldValue = string | number | Uint8Array;

/** Header fields for a request; their order and the case of their names go to the wire as given. */
export type HeaderFields =
  | Record<string, FieldValue>
  | Iterable<readonly [name: string, value: FieldValue]>;

/** Fields for after a body, or what makes them when it is out: a digest, say. */
export type Trailers = HeaderFields | (() => HeaderFields | Promise<HeaderFields>);

/** A request head, line by line, in the making. */
export class RequestHead {
  method: string;
  target: string;
  /** Whether a `Connection: close` was put: no other request may follow (RFC 9112, Section 9.6). */
  closes = false;
  /** Whether an `Expect` was put. */
  expects = false;
  #length = false;
  #text: string;

  constructor(method: string, target: string) {
    checkMethod(method);
    checkTarget(target);
    this.method = method;
    this.target = target;
    this.#text = `${method} ${target} HTTP/1.1\r\n`;
  }

  /** Adds a field; several values are continued on lines of their own, as in Python. */
  field(name: string, ...values: FieldValue[]): void {
    checkFieldName(name);
    const value = values.length === 1
      ? fieldText(name, values[0])
      : values.map((value) => fieldText(name, value)).join("\r\n\t");
    this.#text += `${name}: ${value}\r\n`;
    // CVE-2026-1525: two lengths, whatever the case of their names, are two ends of one body.
    if (name.length === 14 && name.toLowerCase() === "content-length") {
      if (this.#length) {
        throw new TypeError("Cannot send header: a Content-Length is there already");
      }
      this.#length = true;
    }
    if (name.length === 6 && name.toLowerCase() === "expect") this.expects = true;
    if (name.length === 10 && name.toLowerCase() === "connection") {
      this.closes ||= /(^|[,\s])close($|[,\s])/i.test(value);
    }
  }

  /** The whole head with the empty line after it. */
  bytes(): Uint8Array<ArrayBuffer> {
    const text = this.#text + "\r\n";
    const memory = spares.pop() ?? new Uint8Array(SPARE_SIZE);
    const count = encodeAsciiInto(text, memory);
    if (count >= 0) return memory.subarray(0, count);
    spares.push(memory);
    return encodeLatin1(text, "the request head");
  }
}

const SPARE_SIZE = 2048;
/** Memory for heads, with none in it: new memory for each is 5 % of a small request. */
const spares: Uint8Array<ArrayBuffer>[] = [];
const MOST_SPARES = 16;

/** Takes back the memory of a head that was sent, and that nobody else has seen. */
export function recycle({ buffer }: Uint8Array<ArrayBuffer>): void {
  if (buffer.byteLength !== SPARE_SIZE || spares.length === MOST_SPARES) return;
  spares.push(new Uint8Array(buffer));
}

/** A field value as a string of ISO-8859-1, checked. */
function fieldText(name: string, value: FieldValue): string {
  let text: string;
  if (typeof value === "string") text = value;
  else if (value instanceof Uint8Array) text = decodeLatin1(value);
  else if (typeof value === "number" || typeof value === "bigint") text = String(value);
  else throw new TypeError(`Cannot send header ${name}: the value is no string, number or bytes`);
  if (isPlainValue(text)) return text;
  checkFieldValue(name, text);
  if (typeof value === "string") encodeLatin1(text, `header ${name}`);
  return text;
}

/** Header fields as pairs. */
export function fieldPairs(
  headers: HeaderFields | null | undefined,
): FieldPairs {
  if (headers === null || headers === undefined) return [];
  if (typeof headers !== "object") {
    throw new TypeError("Cannot send headers: they are no record, Headers, Map or pairs");
  }
  return Symbol.iterator in headers
    ? [...headers as Iterable<readonly [string, FieldValue]>]
    : Object.entries(headers);
}

/** Names compared in lower case. */
export function hasField(pairs: FieldPairs, name: string): boolean {
  return pairs.some(([other]) => other.length === name.length && other.toLowerCase() === name);
}

/** Fields as pairs. */
type FieldPairs = readonly (readonly [name: string, value: FieldValue])[];

/**
 * The fields of `request()`: those that frame the body unless the user gave them, then the user's in
 * their order. Python's rules, and what the options ask for.
 */
export function requestFields(
  method: string,
  content: Content,
  pairs: FieldPairs,
  options: {
    encode_chunked?: boolean;
    trailers?: Trailers;
  },
): { fields: FieldPairs; encode_chunked: boolean | undefined } {
  const fields: (readonly [string, FieldValue])[] = [];
  let { encode_chunked } = options;
  if (hasField(pairs, "content-length")) encode_chunked = undefined;
  else if (!hasField(pairs, "transfer-encoding")) {
    const length = contentLength(method, content);
    encode_chunked = length === null && content !== null ? true : undefined;
    if (encode_chunked) fields.push(["Transfer-Encoding", "chunked"]);
    else if (length !== null) fields.push(["Content-Length", String(length)]);
  }
  for (const pair of pairs) fields.push(pair);
  if (typeof options.trailers === "object" && !hasField(pairs, "trailer")) {
    const names = fieldPairs(options.trailers).map(([name]) => name);
    if (names.length > 0) fields.push(["Trailer", names.join(", ")]);
  }
  return { fields, encode_chunked };
}

/** The end of a line, and of a chunk's data. */
export const CRLF: Uint8Array = Uint8Array.of(13, 10);

/** The line before a chunk's data: its size in upper-case hexadecimal digits, as Python sends it. */
export function chunkLine(size: number): Uint8Array {
  // Pieces are mostly of one size.
  if (size !== lastSize) {
    lastSize = size;
    lastLine = encodeLatin1(`${size.toString(16).toUpperCase()}\r\n`, "a chunk size");
  }
  return lastLine;
}
let lastSize = -1;
let lastLine = new Uint8Array(0);

/** The parts of a chunk (RFC 9112, Section 7.1), without copying its data. */
export function chunkParts(piece: Uint8Array): Uint8Array[] {
  return [chunkLine(piece.length), piece, CRLF];
}

/** Fields that frame or route must not come late (RFC 9110, Section 6.5.1). */
const NOT_IN_TRAILERS = ["content-length", "transfer-encoding", "host", "trailer"];

/** The last chunk, and the trailer section after it. */
export function lastChunk(trailers: FieldPairs): Uint8Array {
  let text = "0\r\n";
  for (const [name, value] of trailers) {
    checkFieldName(name);
    if (NOT_IN_TRAILERS.includes(name.toLowerCase())) {
      throw new TypeError(`Cannot send trailers: ${name} must not be among them`);
    }
    text += `${name}: ${fieldText(name, value)}\r\n`;
  }
  return encodeLatin1(text + "\r\n", "the trailers");
}
