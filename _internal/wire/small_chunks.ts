/**
 * The decoder of small chunks: a WebAssembly module that takes the framing out of a run of them. In
 * JavaScript each chunk of 100 bytes costs 80 ns, here 20, the copies to and from the module's memory
 * included (`bench/run.ts --only f`). It is made when it is first needed, and where that is not possible
 * (workerd, `--jitless`) the caller decodes one chunk at a time.
 *
 * @module
 */
import type { BufferedBytes } from "./buffered_bytes.ts";

/** How a run was decoded. */
export interface DecodedRun {
  /** Where what was decoded ends in the target. */
  at: number;
  /** How many bytes of the chunk are left. */
  left: number;
  /** The size of the chunk that was begun last; 0 where none was. */
  last: number;
  /** How many bytes were copied to be decoded, and were not. */
  unused: number;
}

/** The module, and views of its memory. */
interface Decoder {
  decode(end: number, to: number): number;
  state: Int32Array;
  bytes: Uint8Array;
}

/** Where the bytes begin in the memory. */
const FIRST = 16;
/** How many are decoded at once, at most: the two pages of the module hold them and what stands before. */
const MOST = 65536;

/** Saved, as one that a user overrides would see the memory that all bodies share, in the middle of decoding. */
const { set } = Uint8Array.prototype;

/** `undefined` before it was asked for, `null` where there is no WebAssembly. */
let decoder: Decoder | null | undefined;

/**
 * Decodes buffered bytes to `target[at..to]`, as far as they are plain chunks; `left` bytes of one are to
 * come first. The target may be the buffer itself, from `source.start` on.
 *
 * @param most How many bytes to look at, at most.
 * @returns How far it came, or `null` where there is no WebAssembly.
 */
export function decodeSmallChunks(
  source: BufferedBytes,
  left: number,
  target: Uint8Array,
  at: number,
  to: number,
  most = Infinity,
): DecodedRun | null {
  decoder = decoder === undefined ? makeDecoder() : decoder;
  if (decoder === null) return null;
  const { bytes, state } = decoder;
  const { start } = source;
  const count = Math.min(source.available, MOST, most);
  bytes.set(source.bytes.subarray(start, start + count), FIRST);
  state[0] = FIRST;
  state[1] = left;
  state[2] = 0;
  const end = decoder.decode(FIRST + count, FIRST + Math.min(to - at, MOST));
  const used = state[0]! - FIRST;
  set.call(target, bytes.subarray(FIRST, end), at);
  source.start = start + used;
  return { at: at + end - FIRST, left: state[1]!, last: state[2]!, unused: count - used };
}

function makeDecoder(): Decoder | null {
  try {
    const binary = Uint8Array.from(atob(BINARY), (character) => character.charCodeAt(0));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary));
    const { buffer } = exports.memory as WebAssembly.Memory;
    return {
      decode: exports.decode as Decoder["decode"],
      state: new Int32Array(buffer, 0, 3),
      bytes: new Uint8Array(buffer),
    };
  } catch {
    return null;
  }
}

/** `small_chunks.wat` as a binary, in base64. */
const BINARY =
  "AGFzbQEAAAABBwFgAn9/AX8DAgEABQMBAAIHEwIGbWVtb3J5AgAGZGVjb2RlAAAKgwMBgAMCCH8Be0EAKAIAIQJBBC" +
  "gCACEDQRAhBAJAA0AgAyEFIAUgACACa0sEQCAAIAJrIQULIAUgASAEa0sEQCABIARrIQULQQAhBiAFQRBPBEAgBUEQ" +
  "ayEHIAIgB2r9AAQAIQoDQCAEIAZqIAIgBmr9AAQA/QsEACAGQRBqIQYgBiAHSQ0ACyAEIAdqIAr9CwQABQJAA0AgBi" +
  "AFRg0BIAQgBmogAiAGai0AADoAACAGQQFqIQYMAAsLCyACIAVqIQIgBCAFaiEEIAMgBWshAyADDQEgBCABRg0BIAAg" +
  "AmtBDEkNASACLwEAQY0URw0BQQAhCCACQQJqIQYgAkEIaiEHAkADQCAGLQAAQTBrIQkgCUEJSwRAIAYtAABBIHJB1w" +
  "BrIQkgCUEKSA0CIAlBD0oNAgsgCEEEdCAJciEIIAZBAWohBiAGIAdJDQALCyAIRQ0BIAYvAQBBjRRHDQEgBkECaiEC" +
  "IAghA0EIIAg2AgAMAAsLQQAgAjYCAEEEIAM2AgAgBAs=";
