/**
 * The chunked transfer coding of a request (RFC 9112, Section 7.1).
 *
 * @module
 */
import { checkFieldName } from "./grammar.ts";
import { encodeLatin1 } from "./latin1.ts";
import { type FieldPairs, fieldText } from "./request_head.ts";

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
