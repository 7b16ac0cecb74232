/**
 * What the parsers work on: bytes that have come, between `start` and `end` of a buffer. A parser looks
 * at them, moves `start` past what it has consumed, and says so where it needs more. It never waits.
 *
 * @module
 */

/** Bytes that have come and were not consumed. */
export interface BufferedBytes {
  /** The buffer. */
  readonly bytes: Uint8Array;
  /** Where the bytes begin; a parser moves it on. */
  start: number;
  /** Where they end. */
  readonly end: number;
  /** How many there are. */
  readonly available: number;
}

/** Bytes that are all there. */
export class WholeBytes implements BufferedBytes {
  readonly bytes: Uint8Array;
  start: number;
  readonly end: number;

  /** Wraps `bytes[start..end]`, without a copy. */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  get available(): number {
    return this.end - this.start;
  }
}

/**
 * So few bytes are copied faster by a loop.
 *
 * @tuning
 */
const FEW = 32;

/** Copies `count` bytes from `source[start..]` to `target[at..]`, which is other memory. */
export function copyInto(
  source: Uint8Array,
  start: number,
  target: Uint8Array,
  at: number,
  count: number,
): void {
  if (count > FEW) target.set(source.subarray(start, start + count), at);
  else for (let i = 0; i < count; i++) target[at + i] = source[start + i]!;
}

/** What is thrown where a user's memory cannot take what was read for it. */
export function targetGone(): TypeError {
  return new TypeError("Cannot read: the memory to read into was transferred or has shrunk");
}

/**
 * Refuses to send bytes that are not what they were.
 *
 * @throws {TypeError} When there are not `length` of them any more.
 */
export function checkSame(bytes: Uint8Array, length: number): void {
  if (bytes.length === length) return;
  throw new TypeError("Cannot send body: its buffer was transferred or changed its size");
}

/**
 * A copy of `bytes[start..end]` in memory of its own. V8 clears the memory of an array that is made with a
 * length, but not that of one that is made from another array: this saves a fifth of a copy of 64 KiB, and
 * a third of one of 1 KiB (`bench/run.ts --only a,d`).
 */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> {
  const count = end - start;
  if (count > FEW) return new Uint8Array(bytes.subarray(start, end));
  const copy = new Uint8Array(count);
  copyInto(bytes, start, copy, 0, count);
  return copy;
}

/** One array of several; the only one is given as it is. */
export function concat(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
