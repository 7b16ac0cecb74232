/**
 * How text in a body is encoded: as its `Content-Type` says, or as ISO-8859-1.
 *
 * @module
 */
import { encodeLatin1 } from "./latin1.ts";
import { charsetName, parseParameters, unquoteValue } from "./mime_parameters.ts";

/** The encodings of text that can be sent as a string. */
export type TextEncoding = "iso-8859-1" | "us-ascii" | "utf-8";

const CHARSETS: ReadonlyMap<string, TextEncoding> = new Map<string, TextEncoding>([
  ["utf-8", "utf-8"],
  ["utf8", "utf-8"],
  ["us-ascii", "us-ascii"],
  ["ascii", "us-ascii"],
  ["iso-8859-1", "iso-8859-1"],
  ["iso_8859-1", "iso-8859-1"],
  ["iso8859-1", "iso-8859-1"],
  ["latin1", "iso-8859-1"],
  ["latin-1", "iso-8859-1"],
]);

const encoder = new TextEncoder();

/**
 * The encoding that a `Content-Type` asks for: UTF-8 where the type is JSON (RFC 8259, Section 8.1), else
 * that of its `charset`, else ISO-8859-1.
 *
 * @throws {TypeError} When the `charset` is another one.
 */
export function textEncodingOf(contentType: string | null): TextEncoding {
  if (contentType === null) return "iso-8859-1";
  const [main, ...parameters] = parseParameters(contentType);
  const charset = parameters.find(([name]) => name.toLowerCase() === "charset")?.[1];
  const name = charset === undefined ? null : charsetName(unquoteValue(charset))?.trim() ?? "";
  const declared = name === null ? "iso-8859-1" : CHARSETS.get(name);
  if (declared === undefined) {
    throw new TypeError(
      `Cannot encode text as charset ${JSON.stringify(name)}: encode it to bytes, or use UTF-8`,
    );
  }
  return /^application\/(.+\+)?json$|\+json$/i.test(main![0].trim()) ? "utf-8" : declared;
}

/**
 * Encodes text.
 *
 * @param what What it is, for the error.
 * @throws {TypeError} When it has a character that the encoding lacks.
 */
export function encodeText(
  text: string,
  encoding: TextEncoding,
  what: string,
): Uint8Array<ArrayBuffer> {
  if (encoding === "iso-8859-1") return encodeLatin1(text, what);
  const bytes = encoder.encode(text);
  if (bytes.length === text.length) return bytes;
  if (encoding === "us-ascii") {
    throw new TypeError(`Cannot encode ${what}: it is not US-ASCII, as its Content-Type says`);
  }
  if (text.isWellFormed()) return bytes;
  throw new TypeError(`Cannot encode ${what} as UTF-8: it has half of a surrogate pair`);
}
