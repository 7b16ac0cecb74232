/**
 * Bytes as text.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Base64 of the pieces put together. */
export function encodeBase64(pieces: Uint8Array[]): string {
  return Buffer.concat(pieces).toString("base64");
}

/** Base32 without padding (RFC 4648, Section 6), as the digests in WARC files have it. */
export function encodeBase32(bytes: Uint8Array): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.match(/.{1,5}/g)?.map((five) => alphabet[parseInt(five.padEnd(5, "0"), 2)])
    .join("") ?? "";
}
