/**
 * Request heads as bytes, each part of them checked.
 *
 * @module
 */
import { decodeLatin1, encodeAsciiInto, encodeLatin1 } from "./latin1.ts";
import { show } from "./option_check.ts";
import {
  checkFieldName,
  checkFieldValue,
  checkMethod,
  checkTarget,
  isPlainValue,
  parseContentLength,
} from "./grammar.ts";

/**
 * A field value: bytes are sent as they are, a string as ISO-8859-1.
 *
 * @category Headers
 */
export type FieldValue = string | number | Uint8Array;

/**
 * Header fields for a request; their order and the case of their names go to the wire as given.
 *
 * @category Headers
 */
export type HeaderFields =
  | Record<string, FieldValue>
  | Iterable<readonly [name: string, value: FieldValue]>;

/**
 * Fields for after a body, or what makes them when it is out: a digest, say.
 *
 * @category Headers
 */
export type Trailers = HeaderFields | (() => HeaderFields | Promise<HeaderFields>);

/** The versions that a request can be of: HTTP/1.0 and HTTP/1.1. */
export type HTTPVersion = 10 | 11;

/** A request head, line by line, in the making. */
export class RequestHead {
  method: string;
  target: string;
  version: HTTPVersion;
  /** Whether a `Connection: close` was put: no other request may follow (RFC 9112, Section 9.6). */
  closes = false;
  /** Whether an `Expect` was put. */
  expects = false;
  /** The `Content-Length` that was put. */
  contentLength: number | null = null;
  /** The first `Content-Type` that was put. */
  contentType: string | null = null;
  /** Whether a `Transfer-Encoding` was put. */
  transferEncoding = false;
  #host = false;
  #text: string;

  constructor(method: string, target: string, version: HTTPVersion = 11) {
    checkMethod(method);
    checkTarget(target);
    this.method = method;
    this.target = target;
    this.version = version;
    this.#text = `${method} ${target} HTTP/1.${version === 11 ? "1" : "0"}\r\n`;
  }

  /** Adds a field; several values are continued on lines of their own, as in Python. */
  field(name: string, ...values: FieldValue[]): void {
    checkFieldName(name);
    const value = values.length === 1
      ? fieldText(name, values[0]!)
      : values.map((value) => fieldText(name, value)).join("\r\n\t");
    switch (name.length) {
      case 4:
      case 14:
      case 17: {
        const lower = name.toLowerCase();
        if (lower === "host" || lower === "content-length" || lower === "transfer-encoding") {
          this.#once(name, lower, value);
        }
        break;
      }
      case 6:
        if (name.toLowerCase() === "expect") {
          this.refuseAt10("Expect");
          this.expects = true;
        }
        break;
      case 12:
        if (name.toLowerCase() === "content-type") this.contentType ??= value;
        break;
      case 10:
        if (name.toLowerCase() === "connection") {
          this.closes ||= /(^|[,\s])close($|[,\s])/i.test(value);
        }
    }
    this.#text += `${name}: ${value}\r\n`;
  }

  /**
   * A field that says where the request ends, or whom it is for. Two of them are an attack on whoever
   * reads the other one, so that a request has one at most. RFC 9112, Section 3.2 (`Host`), Section 6.2 (a
   * `Content-Length` must not be sent with a `Transfer-Encoding`); CVE-2026-1525: two lengths are two ends
   * of one body.
   */
  #once(name: string, lower: string, value: string): void {
    const there = lower === "host"
      ? this.#host
      : lower === "content-length"
      ? this.contentLength !== null
      : this.transferEncoding;
    if (there) throw new TypeError(`Cannot send header ${name}: there is one already`);
    if (lower === "host") return void (this.#host = true);
    if (lower === "transfer-encoding") this.refuseAt10("Transfer-Encoding: give a Content-Length");
    if (this.contentLength !== null || this.transferEncoding) {
      throw new TypeError(
        "Cannot send header: Content-Length and Transfer-Encoding exclude each other",
      );
    }
    if (lower === "transfer-encoding") return void (this.transferEncoding = true);
    const length = parseContentLength(value);
    if (length < 0) {
      throw new TypeError(
        `Cannot send header ${name}: ${JSON.stringify(value)} is not a whole number of bytes`,
      );
    }
    this.contentLength = length;
  }

  /**
   * RFC 9112, Section 6.1: a client must not send `Transfer-Encoding` in HTTP/1.0; RFC 9110, Section 10.1.1:
   * nor `Expect`. Its server would take chunks for the body.
   */
  refuseAt10(what: string): void {
    if (this.version === 10) throw new TypeError(`Cannot send request: HTTP/1.0 has no ${what}`);
  }

  /** The whole head with the empty line after it. */
  bytes(): Uint8Array<ArrayBuffer> {
    const text = this.#text + "\r\n";
    const { length } = text;
    if (length > SPARE_SIZE) return encodeLatin1(text, "the request head");
    const memory = spares.pop() ?? new ArrayBuffer(SPARE_SIZE);
    const bytes = new Uint8Array(memory, 0, length);
    if (encodeAsciiInto(text, bytes)) return bytes;
    spares.push(memory);
    return encodeLatin1(text, "the request head");
  }
}

const SPARE_SIZE = 2048;
/** Memory for heads, with none in it: new memory for each is 5 % of a small request. */
const spares: ArrayBuffer[] = [];
/**
 * Enough for 1,024 connections that send at once: 2 MiB.
 *
 * @tuning
 */
const MOST_SPARES = 1024;

/** Takes back the memory of a head that was sent, and that nobody else has seen. */
export function recycle({ buffer }: Uint8Array<ArrayBuffer>): void {
  if (buffer.byteLength !== SPARE_SIZE || spares.length === MOST_SPARES) return;
  spares.push(buffer);
}

/** A field value as a string of ISO-8859-1, checked. */
export function fieldText(name: string, value: FieldValue): string {
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
  if (!(Symbol.iterator in headers)) return Object.entries(headers);
  const pairs = [...headers as Iterable<readonly [string, FieldValue]>];
  for (const pair of pairs) {
    if (typeof pair !== "object" || pair === null) {
      throw new TypeError(
        `Cannot send headers as each must be a pair of a name and a value: got ${show(pair)}`,
      );
    }
  }
  return pairs;
}

/** Names compared in lower case. */
export function hasField(pairs: FieldPairs, name: string): boolean {
  // Not `some()`: a small request asks four times, and makes a function for each.
  for (const [other] of pairs) if (isName(other, name)) return true;
  return false;
}

/** The first field of a name, which is in lower case; `null` for none. */
export function fieldOf(pairs: FieldPairs, name: string): string | null {
  const pair = pairs.find(([other]) => isName(other, name));
  return pair === undefined ? null : fieldText(pair[0], pair[1]);
}

function isName(name: string, lower: string): boolean {
  return name.length === lower.length && name.toLowerCase() === lower;
}

/** Fields as pairs. */
export type FieldPairs = readonly (readonly [name: string, value: FieldValue])[];
