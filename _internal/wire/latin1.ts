/**
 * ISO-8859-1, one byte a character. `TextDecoder("iso-8859-1")` is windows-1252 by the WHATWG's rules
 * and so wrong for 0x80 to 0x9F. `node:buffer` has the real thing, but costs 9 ms to load: US-ASCII,
 * which nearly all heads are, is decoded as the UTF-8 that it is, and the rest byte by byte.
 *
 * @module
 */
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** A character that has no place in ISO-8859-1. */
// deno-lint-ignore no-control-regex
const OUTSIDE = /[^\x00-\xff]/u;
/** As many arguments as a call may have, safely. */
const STEP = 8192;

/** Decodes `bytes[start..end]`. */
export function decodeLatin1(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  const ascii = decoder.decode(bytes.subarray(start, end));
  // Beyond US-ASCII, UTF-8 has fewer characters than bytes, or U+FFFD for what it is not.
  if (ascii.length === end - start && !ascii.includes("\ufffd")) return ascii;
  let text = "";
  for (let at = start; at < end; at += STEP) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + STEP)));
  }
  return text;
}

/**
 * Encodes US-ASCII into `target`, which is as long as `text`: that takes a fifth of the time that new memory
 * does. Returns whether `text` was nothing but US-ASCII.
 */
export function encodeAsciiInto(text: string, target: Uint8Array): boolean {
  const { read, written } = encoder.encodeInto(text, target);
  return read === text.length && written === read;
}

/** Encodes `text`; `what` names it in the error for a character that ISO-8859-1 does not have. */
export function encodeLatin1(text: string, what: string): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(text);
  // Beyond US-ASCII, UTF-8 has more bytes than characters.
  if (bytes.length === text.length) return bytes;
  const outside = OUTSIDE.exec(text);
  if (outside !== null) {
    throw new TypeError(
      `Cannot encode ${what}: ${JSON.stringify(outside[0])} at ${outside.index} is not in ` +
        `ISO-8859-1, encode the text to bytes (TextEncoder) to send it as UTF-8`,
    );
  }
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}
