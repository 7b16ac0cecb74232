/**
 * The bodies of the soak: each is known by where it begins in a block of bytes, and how long it is.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { pattern } from "../servers/data.ts";

/** The most that a body has. */
export const LARGEST = 2 * 1024 * 1024;
/** How far apart bodies begin. */
const STARTS = 65536;

const block = pattern(LARGEST + STARTS);

/** A body. */
export function contentOf(seed: number, size: number): Uint8Array<ArrayBuffer> {
  return block.subarray(seed % STARTS, seed % STARTS + size);
}

/** The SHA-256 of bytes that come in pieces. */
export class Digest {
  /** How many bytes there were. */
  size = 0;
  readonly #hash = createHash("sha256");

  /** Adds a piece. */
  add(piece: Uint8Array): void {
    this.size += piece.length;
    this.#hash.update(piece);
  }

  /** The digest of all of them, and their number. */
  end(): string {
    return `${this.#hash.digest("hex")} ${this.size}`;
  }
}

/** The digest of one piece. */
export function digestOf(data: Uint8Array): string {
  const digest = new Digest();
  digest.add(data);
  return digest.end();
}
