/**
 * gzip (RFC 1952): members, each with a header and a checksum of its own. They are told apart here, as
 * `node:zlib` takes whatever stands behind the last one for another.
 *
 * @module
 */
import type { CodedInput, Pace, Piece } from "./coded_input.ts";
import { malformed } from "./decode_errors.ts";
import { Decoders } from "./platform_decoder.ts";

const ID1 = 0x1f;
const ID2 = 0x8b;
const DEFLATE = 8;
/** FLG, RFC 1952, Section 2.3.1. */
const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;
const RESERVED = 0xe0;

/** Decodes gzip of one member or more. */
export async function* gunzip(input: CodedInput, pace: Pace): AsyncGenerator<Piece> {
  const decoders = await Decoders.find("createInflateRaw", "gzip", pace);
  // One for all members: a body may have a hundred thousand of them.
  const inflate = decoders.open();
  try {
    for (let isFirst = true; await beginsMember(input, isFirst); isFirst = false) {
      if (!isFirst) inflate.reset();
      await skipHeader(input);
      let crc = 0;
      let size = 0;
      for await (const piece of inflate.decodeAll(input)) {
        crc = crc32(piece, crc);
        size = (size + piece.length) >>> 0;
        yield piece;
      }
      const trailer = await input.exactly(8, "gzip");
      const view = new DataView(trailer.buffer, trailer.byteOffset);
      if (view.getUint32(0, true) !== crc) throw malformed("gzip", "its checksum is another");
      if (view.getUint32(4, true) !== size) throw malformed("gzip", "its size is another");
    }
  } finally {
    inflate.close();
  }
}

/** Whether a member comes next. What follows the first, and begins otherwise, is to be ignored. */
async function beginsMember(input: CodedInput, isFirst: boolean): Promise<boolean> {
  const id = await input.upTo(2);
  // A lone ID1 is a member that was cut off, not something that somebody appended.
  const begins = (id.length < 2 || id[1] === ID2) && id[0] === ID1;
  input.putBack(id);
  if (!begins && isFirst) throw malformed("gzip", "it does not begin as gzip does");
  return begins;
}

/** RFC 1952, Section 2.3. */
async function skipHeader(input: CodedInput): Promise<void> {
  let crc = 0;
  const take = async (count: number) => {
    const bytes = await input.exactly(count, "gzip");
    crc = crc32(bytes, crc);
    return bytes;
  };
  const fixed = await take(10);
  const method = fixed[2];
  const flags = fixed[3]!;
  if (method !== DEFLATE) throw malformed("gzip", `its method is ${method}`);
  if ((flags & RESERVED) !== 0) throw malformed("gzip", "reserved flags are set");
  if ((flags & FEXTRA) !== 0) {
    const [low, high] = await take(2);
    await take(low! | high! << 8);
  }
  for (const flag of [FNAME, FCOMMENT]) {
    while ((flags & flag) !== 0) {
      const part = await input.some() ?? await input.exactly(1, "gzip");
      const end = part.indexOf(0) + 1;
      const own = end === 0 ? part : part.subarray(0, end);
      input.putBack(part.subarray(own.length));
      crc = crc32(own, crc);
      if (end > 0) break;
    }
  }
  const expected = crc & 0xffff;
  if ((flags & FHCRC) === 0) return;
  const [low, high] = await take(2);
  if ((low! | high! << 8) !== expected) throw malformed("gzip", "its header's checksum is another");
}

/** Eight tables, one behind the other: the CRC of a byte behind which come none to seven zeros. */
const TABLE = crcTable();

function crcTable(): Int32Array {
  const table = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ crc >>> 1 : crc >>> 1;
    table[byte] = crc;
  }
  for (let i = 256; i < table.length; i++) {
    table[i] = table[table[i - 256]! & 255]! ^ table[i - 256]! >>> 8;
  }
  return table;
}

/**
 * The CRC-32 of bytes that follow others; eight bytes in one step are twice as fast as four.
 *
 * Deno: `zlib.crc32()` gives wrong sums on 2.5, denoland/deno#30636. May go when no 2.5 is supported.
 *
 * @param crc That of the others.
 */
export function crc32(bytes: Uint8Array, crc: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const even = bytes.length & ~7;
  crc = ~crc;
  let at = 0;
  for (; at < even; at += 8) {
    const low = crc ^ view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    crc = TABLE[1792 + (low & 255)]! ^ TABLE[1536 + (low >>> 8 & 255)]! ^
      TABLE[1280 + (low >>> 16 & 255)]! ^ TABLE[1024 + (low >>> 24)]! ^
      TABLE[768 + (high & 255)]! ^ TABLE[512 + (high >>> 8 & 255)]! ^
      TABLE[256 + (high >>> 16 & 255)]! ^ TABLE[high >>> 24]!;
  }
  for (; at < bytes.length; at++) crc = TABLE[(crc ^ bytes[at]!) & 255]! ^ crc >>> 8;
  return ~crc >>> 0;
}
