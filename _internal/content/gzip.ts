/**
 * gzip (RFC 1952): members, each with a header and a checksum of its own. They are told apart here, as
 * `node:zlib` takes whatever stands behind the last one for another.
 *
 * @module
 */
import { type CodedInput, malformed, type Pace, type Piece } from "./coded_input.ts";
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
  const [, , method, flags] = await take(10);
  if (method !== DEFLATE) throw malformed("gzip", `its method is ${method}`);
  if ((flags & RESERVED) !== 0) throw malformed("gzip", "reserved flags are set");
  if ((flags & FEXTRA) !== 0) {
    const [low, high] = await take(2);
    await take(low | high << 8);
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
  if ((low | high << 8) !== expected) throw malformed("gzip", "its header's checksum is another");
}

/** Four tables of the CRC of a byte, behind which come none to three zeros. */
const TABLES = tables();

function tables(): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ byte >>> 1 : byte >>> 1;
    return byte;
  });
  const all = [first];
  for (let i = 1; i < 4; i++) {
    all.push(all[i - 1].map((crc) => first[crc & 255] ^ crc >>> 8));
  }
  return all;
}

/**
 * The CRC-32 of bytes that follow others.
 *
 * Deno: `zlib.crc32()` gives wrong sums on 2.5, denoland/deno#30636. May go when no 2.5 is supported.
 *
 * @param crc That of the others.
 */
export function crc32(bytes: Uint8Array, crc: number): number {
  const [t0, t1, t2, t3] = TABLES;
  const even = bytes.length & ~3;
  crc = ~crc;
  let at = 0;
  for (; at < even; at += 4) {
    crc ^= bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24;
    crc = t3[crc & 255] ^ t2[crc >>> 8 & 255] ^ t1[crc >>> 16 & 255] ^ t0[crc >>> 24];
  }
  for (; at < bytes.length; at++) crc = t0[(crc ^ bytes[at]) & 255] ^ crc >>> 8;
  return ~crc >>> 0;
}
