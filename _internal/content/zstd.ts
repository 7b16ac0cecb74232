/**
 * Zstandard (RFC 8878): frames, each of blocks. Where they end is found here, as `node:zlib` decodes one
 * frame, drops what follows it in the same piece, and does not tell of one that was cut off.
 *
 * @module
 */
import type { CodedInput, Pace, Piece } from "./coded_input.ts";
import { cutOff, decodeError, malformed } from "./decode_errors.ts";
import { Decoders, type PlatformDecoder } from "./platform_decoder.ts";

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const DICTIONARY_ID_SIZES = [0, 1, 2, 4];
const CONTENT_SIZE_SIZES = [0, 2, 4, 8];
const RLE = 1;
const RESERVED = 3;
/** Blocks are given to the decoder together, up to about this size. */
const BATCH = 65536;
/** The largest window that `node:zlib` decodes unless it is told otherwise. */
const USUAL_WINDOW = 2 ** 27;
const LARGEST_WINDOW_LOG = 31;

/**
 * Decodes zstd of one frame or more; content comes as soon as the block with it.
 *
 * @param maxWindow The bytes of memory that a frame may ask for.
 */
export async function* unzstd(
  input: CodedInput,
  pace: Pace,
  maxWindow: number,
): AsyncGenerator<Piece> {
  const decoders = await Decoders.find("createZstdDecompress", "zstd", pace);
  const decoder = decoders.open(windowParams(maxWindow, decoders.constants));
  const batch = new Batch();
  try {
    for (let isFirst = true;; isFirst = false) {
      const magic = await frameMagic(input, isFirst);
      if (magic === null) return;
      if (isSkippable(numberIn(magic))) await skipFrame(input);
      else yield* decodeFrame(magic, input, decoder, batch, maxWindow);
    }
  } finally {
    decoder.close();
  }
}

function windowParams(
  maxWindow: number,
  { ZSTD_d_windowLogMax }: Record<string, number>,
): Record<number, number> | undefined {
  if (maxWindow <= USUAL_WINDOW) return undefined;
  const log = Math.min(Math.ceil(Math.log2(maxWindow)), LARGEST_WINDOW_LOG);
  return { [ZSTD_d_windowLogMax!]: log };
}

/** The first bytes of a frame; `null` where none follows. What begins otherwise is to be ignored. */
async function frameMagic(input: CodedInput, isFirst: boolean): Promise<Piece | null> {
  const bytes = await input.upTo(4);
  if (bytes.length === 4) {
    const magic = numberIn(bytes);
    if (magic === MAGIC || isSkippable(magic)) return bytes;
  } else if (bytes.length > 0 && isCutMagic(bytes)) throw cutOff("zstd");
  if (isFirst) throw malformed("zstd", "it does not begin as zstd does");
  return null;
}

function isSkippable(magic: number): boolean {
  return (magic & 0xfffffff0) >>> 0 === SKIPPABLE;
}

/** Whether these bytes, fewer than four, are the first of a frame. */
function isCutMagic(bytes: Uint8Array): boolean {
  const begins = (magic: number, mask: number) =>
    bytes.every((byte, i) => (i === 0 ? byte & mask : byte) === (magic >>> 8 * i & 255));
  return begins(MAGIC, 0xff) || begins(SKIPPABLE, 0xf0);
}

/** RFC 8878, Section 3.1.2. */
async function skipFrame(input: CodedInput): Promise<void> {
  let left = numberIn(await input.exactly(4, "zstd"));
  while (left > 0) {
    const part = await input.some(left);
    if (part === null) throw cutOff("zstd");
    left -= part.length;
  }
}

/** RFC 8878, Section 3.1.1: a header, blocks, perhaps a checksum. */
async function* decodeFrame(
  magic: Piece,
  input: CodedInput,
  decoder: PlatformDecoder,
  batch: Batch,
  maxWindow: number,
): AsyncGenerator<Piece> {
  batch.add(magic);
  const hasChecksum = await frameHeader(input, maxWindow, batch);
  for (let isLast = false; !isLast;) {
    // What is there is decoded before more of it is waited for.
    if (batch.isFull || input.available < 3) yield* decoder.decode(batch.take());
    const blockHeader = await input.exactly(3, "zstd");
    const value = numberIn(blockHeader);
    const type = value >> 1 & 3;
    if (type === RESERVED) throw malformed("zstd", "a block has the reserved type");
    isLast = (value & 1) === 1;
    batch.add(blockHeader);
    for (let left = type === RLE ? 1 : value >> 3; left > 0;) {
      if (batch.isFull) yield* decoder.decode(batch.take());
      const part = await input.some(left);
      if (part === null) throw cutOff("zstd");
      left -= part.length;
      batch.add(part);
    }
  }
  if (hasChecksum) {
    if (input.available < 4) yield* decoder.decode(batch.take());
    batch.add(await input.exactly(4, "zstd"));
  }
  yield* decoder.decode(batch.take());
}

/** Parts of a frame that are given to the decoder together. */
class Batch {
  // One part more fits in when it is not full yet.
  #bytes = new Uint8Array(2 * BATCH);
  #size = 0;

  get isFull(): boolean {
    return this.#size >= BATCH;
  }

  add(part: Uint8Array): void {
    this.#bytes.set(part, this.#size);
    this.#size += part.length;
  }

  /** What was added; it is overwritten when more is. */
  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#size);
    this.#size = 0;
    return bytes;
  }
}

/** RFC 8878, Section 3.1.1.1: the first byte tells the size of the rest; whether a checksum follows. */
async function frameHeader(
  input: CodedInput,
  maxWindow: number,
  batch: Batch,
): Promise<boolean> {
  const first = await input.exactly(1, "zstd");
  const descriptor = first[0]!;
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionarySize = DICTIONARY_ID_SIZES[descriptor & 3]!;
  const sizeFlag = descriptor >> 6;
  const contentSize = sizeFlag === 0 && isSingle ? 1 : CONTENT_SIZE_SIZES[sizeFlag]!;
  const windowSize = isSingle ? 0 : 1;
  const rest = await input.exactly(windowSize + dictionarySize + contentSize, "zstd");
  const content = rest.subarray(windowSize + dictionarySize);
  // RFC 8878, Section 3.1.1.1.4: two bytes begin at 256.
  const window = isSingle ? numberIn(content) + (contentSize === 2 ? 256 : 0) : windowOf(rest[0]!);
  if (window > maxWindow) {
    throw decodeError(
      `Cannot decode body as its zstd window is over maxZstdWindowBytes, ${maxWindow}: got ${window}`,
    );
  }
  if (numberIn(rest.subarray(windowSize, windowSize + dictionarySize)) !== 0) {
    throw decodeError("Cannot decode body as its zstd needs a dictionary");
  }
  batch.add(first);
  batch.add(rest);
  return (descriptor & 4) !== 0;
}

/** RFC 8878, Section 3.1.1.1.2. */
function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 7);
}

/** The little-endian number of these bytes. */
function numberIn(bytes: Uint8Array): number {
  return bytes.reduceRight((number, byte) => number * 256 + byte, 0);
}
