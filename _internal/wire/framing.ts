/**
 * Framing: where the body of a response ends, and whether the connection ends with it. One pure
 * function in the numbered steps of RFC 9112, Section 6.3.
 *
 * @module
 */
import { ProtocolError, UnknownTransferEncoding } from "../../errors.ts";
import { parseContentLength, trimOWS } from "./grammar.ts";

/** How the body is delimited. `tunnel`: what follows is no longer HTTP. */
export type Delimiter = "none" | "tunnel" | "length" | "chunked" | "close";

/** The framing of a response. */
export interface Framing {
  delimiter: Delimiter;
  /** The length of the body in bytes where the delimiter is `length` or `none`, else `null`. */
  length: number | null;
  /** Whether the response says that its body is chunked, even if it has none (HEAD). */
  chunked: boolean;
  /** Whether the connection ends with this response. */
  willClose: boolean;
}

/** The values of the fields that matter here; several lines are joined by commas. */
interface FramingFields {
  contentLength: string | null;
  transferEncoding: string | null;
  connection: string;
  keepAlive: boolean;
  proxyConnection: string;
}

/** The first letters of the names below, in lower case. */
const INITIALS = Array.from("ctkp", (letter) => letter.charCodeAt(0));

/** One pass over the fields; the length and the first letter of a name rule nearly all of them out. */
function pick(fields: readonly string[]): FramingFields {
  const picked: FramingFields = {
    contentLength: null,
    transferEncoding: null,
    connection: "",
    keepAlive: false,
    proxyConnection: "",
  };
  for (let i = 0; i < fields.length; i += 2) {
    const length = fields[i]!.length;
    if (length !== 10 && length !== 14 && length !== 16 && length !== 17) continue;
    if (!INITIALS.includes(fields[i]!.charCodeAt(0) | 32)) continue;
    const value = fields[i + 1]!;
    switch (fields[i]!.toLowerCase()) {
      case "content-length":
        picked.contentLength = joined(picked.contentLength, value);
        break;
      case "transfer-encoding":
        picked.transferEncoding = joined(picked.transferEncoding, value);
        break;
      case "connection":
        picked.connection += `${value.toLowerCase()},`;
        break;
      case "keep-alive":
        picked.keepAlive ||= value !== "";
        break;
      case "proxy-connection":
        picked.proxyConnection ||= value.toLowerCase();
    }
  }
  return picked;
}

function joined(before: string | null, value: string): string {
  return before === null ? value : `${before},${value}`;
}

/**
 * Content-Length (RFC 9112, Section 6.3, item 5): a list of the same value collapses, any other
 * malformed one is unrecoverable. CVE-2025-13836 and its like: a number is digits, nothing else.
 */
function agreedLength(list: string | null): number | null {
  if (list === null) return null;
  const one = parseContentLength(list);
  if (one >= 0) return one;
  const lengths = list.split(",").map((value) => parseContentLength(trimOWS(value)));
  if (lengths.every((length) => length >= 0 && length === lengths[0])) return lengths[0]!;
  throw new ProtocolError(
    `Cannot read response: the Content-Length ${JSON.stringify(list)} is not one length`,
  );
}

/**
 * `close` anywhere in the field's lines ends the connection, for either version (RFC 9112,
 * Section 9.3). CPython: looks for a part of the word, not for the list's member; kept, as to close
 * more often is safe. For 1.0 it keeps the connection on `Keep-Alive` in any of three fields.
 */
function closes(version: number, picked: FramingFields): boolean {
  const options = picked.connection;
  if (options.includes("close")) return true;
  if (version > 10) return false;
  return !picked.keepAlive && !options.includes("keep-alive") &&
    !picked.proxyConnection.includes("keep-alive");
}

/**
 * The framing of a response.
 *
 * @throws {ProtocolError} When the fields contradict each other or are malformed.
 * @throws {UnknownTransferEncoding} When `Transfer-Encoding` is neither `chunked` nor `identity` or empty.
 */
export function frame(
  method: string | null,
  status: number,
  version: number,
  fields: readonly string[],
): Framing {
  const picked = pick(fields);
  const encoding = picked.transferEncoding;
  // No coding is applied, and no length goes with it: who says so is not to be trusted with another request.
  const isIdentity = encoding !== null && /^(?:identity)?$/i.test(trimOWS(encoding));
  const willClose = isIdentity || closes(version, picked);
  const chunked = encoding !== null && trimOWS(encoding).toLowerCase() === "chunked";

  // RFC 9112, Section 6.3, item 2: a successful CONNECT is a tunnel, and Content-Length or
  // Transfer-Encoding are ignored; for 204, too.
  if (method === "CONNECT" && status >= 200 && status < 300) {
    return { delimiter: "tunnel", length: 0, chunked: false, willClose };
  }
  // Item 1: no body, whatever the fields say.
  if (method === "HEAD" || status === 204 || status === 304 || (status >= 100 && status < 200)) {
    return { delimiter: status === 101 ? "tunnel" : "none", length: 0, chunked, willClose };
  }
  // Items 3 and 4: Transfer-Encoding overrides Content-Length, and both together are an attack, as is
  // a Transfer-Encoding in HTTP/1.0 (Section 6.1): the connection is not used again.
  if (encoding !== null) {
    if (isIdentity) return { delimiter: "close", length: null, chunked: false, willClose };
    if (!chunked) {
      throw new UnknownTransferEncoding(
        `Cannot read response: unknown transfer encoding ${JSON.stringify(encoding)}`,
      );
    }
    const suspect = picked.contentLength !== null || version < 11;
    return { delimiter: "chunked", length: null, chunked: true, willClose: willClose || suspect };
  }
  // Items 5 and 6.
  const length = agreedLength(picked.contentLength);
  if (length !== null) return { delimiter: "length", length, chunked: false, willClose };
  // Item 8: until the server closes the connection.
  return { delimiter: "close", length: null, chunked: false, willClose: true };
}
