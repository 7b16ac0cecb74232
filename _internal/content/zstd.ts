/**
 * Zstandard (RFC 8878), frame by frame. Deno's `node:zlib` decodes one frame, drops what follows it, and
 * gives nothing for a frame that was cut off, without a word: so the frames are found here, and each is
 * decoded by itself once it is whole.
 *
 * @module
 */
import { HTTPException } from "../../errors.ts";

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const DICTIONARY_ID_SIZES = [0, 1, 2, 4];
const CONTENT_SIZE_SIZES = [0, 2, 4, 8];
const RLE = 1;
const RESERVED = 3;

/** Decodes one frame, to at most `limit` bytes. */
export type DecodeFrame = (frame: Uint8Array, limit: number) => Uint8Array;

/** The frames of a body that hold content. */
export function* frames(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const magic = at + 4 <= bytes.length ? view.getUint32(at, true) : truncated();
    const skippable = (magic & 0xfffffff0) >>> 0 === SKIPPABLE;
    if (!skippable && magic !== MAGIC) {
      throw new HTTPException("Cannot decode body: it is not zstd");
    }
    const end = skippable ? skippedEnd(view, at) : frameEnd(view, at + 4);
    if (end > bytes.length) truncated();
    if (!skippable) yield bytes.subarray(at, end);
    at = end;
  }
}

/** RFC 8878, Section 3.1.2. */
function skippedEnd(view: DataView, at: number): number {
  return at + 8 <= view.byteLength ? at + 8 + view.getUint32(at + 4, true) : truncated();
}

/** RFC 8878, Section 3.1.1: a header whose first byte tells its size, blocks, perhaps a checksum. */
function frameEnd(view: DataView, at: number): number {
  const descriptor = at < view.byteLength ? view.getUint8(at) : truncated();
  const single = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  at += 1 + (single ? 0 : 1) + DICTIONARY_ID_SIZES[descriptor & 3] +
    (sizeFlag === 0 && single ? 1 : CONTENT_SIZE_SIZES[sizeFlag]);
  for (let last = false; !last;) {
    if (at + 3 > view.byteLength) truncated();
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const type = (header >> 1) & 3;
    if (type === RESERVED) throw new HTTPException("Cannot decode body: it is not zstd");
    last = (header & 1) === 1;
    at += 3 + (type === RLE ? 1 : header >> 3);
  }
  return at + ((descriptor & 4) === 0 ? 0 : 4);
}

function truncated(): never {
  throw new HTTPException("Cannot decode body: it ends within a zstd frame");
}
