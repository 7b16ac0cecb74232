/**
 * Bombs: small bodies that decode to huge ones, or to nothing with much work.
 *
 * @module
 */
import zlib from "node:zlib";
import type { Transform } from "node:stream";
import { concat } from "../servers/raw.ts";

const MIB = 1024 * 1024;
const ZEROS = new Uint8Array(MIB);
/** The window of the brotli bomb, and the size of each of its parts. */
const BROTLI_WINDOW = 16 * MIB;

/** A body, and the `Content-Encoding` that it is sent with. */
export interface Bomb {
  coding: string;
  make(): Promise<Uint8Array>;
}

/** So many MiB of zeros, coded piece by piece. */
async function zeros(mib: number, encoder: Transform): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  encoder.on("data", (part: Uint8Array) => parts.push(new Uint8Array(part)));
  const ended = new Promise((resolve) => encoder.on("end", resolve));
  for (let i = 0; i < mib; i++) {
    if (!encoder.write(ZEROS)) await new Promise((resolve) => encoder.once("drain", resolve));
  }
  encoder.end();
  await ended;
  return concat(parts);
}

/** The bytes that `encoder` gives for so many MiB of zeros, flushed. */
async function flushed(mib: number, encoder: Transform & { flush(done: () => void): void }) {
  const parts: Uint8Array[] = [];
  const onpart = (part: Uint8Array) => void parts.push(new Uint8Array(part));
  encoder.on("data", onpart);
  for (let i = 0; i < mib; i++) {
    await new Promise<void>((resolve) => encoder.write(ZEROS, () => resolve()));
  }
  await new Promise<void>((resolve) => encoder.flush(resolve));
  await new Promise((resolve) => setTimeout(resolve, 0));
  encoder.off("data", onpart);
  return concat(parts);
}

/** What brotli makes of the first 16 MiB of zeros, and of each 16 MiB that follow. */
async function codeBrotliParts(): Promise<{ first: Uint8Array; next: Uint8Array }> {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN } = zlib.constants;
  const encoder = zlib.createBrotliCompress({
    params: { [BROTLI_PARAM_QUALITY]: 5, [BROTLI_PARAM_LGWIN]: 24 },
  });
  const first = await flushed(BROTLI_WINDOW / MIB, encoder);
  const next = await flushed(BROTLI_WINDOW / MIB, encoder);
  encoder.destroy();
  return { first, next };
}

let brotliParts: ReturnType<typeof codeBrotliParts> | undefined;

/**
 * Zeros as brotli: what stands for the second 16 MiB stands for all that follow, and to put it down 512 times
 * takes less time than to code 8 GiB.
 */
export async function brotliZeros(mib: number): Promise<Uint8Array> {
  const { first, next } = await (brotliParts ??= codeBrotliParts());
  // An empty last block ends it.
  return concat([first, ...Array(mib * MIB / BROTLI_WINDOW - 1).fill(next), new Uint8Array([3])]);
}

/** The same body so many times. */
function times(count: number, body: Uint8Array): Uint8Array {
  return concat(Array(count).fill(new Uint8Array(body)));
}

const EMPTY = new Uint8Array();
const GZIP_MOST = { level: 9 };

/** The bombs that the library must withstand. */
export const BOMBS: Record<string, Bomb> = {
  "brotli of 8 GiB": { coding: "br", make: () => brotliZeros(8192) },
  "zstd frame of 1,000 MiB": {
    coding: "zstd",
    make: () => zeros(1000, zlib.createZstdCompress()),
  },
  "100,000 empty zstd frames": {
    coding: "zstd",
    make: () => Promise.resolve(times(100_000, zlib.zstdCompressSync(EMPTY))),
  },
  "100,000 empty gzip members": {
    coding: "gzip",
    make: () => Promise.resolve(times(100_000, zlib.gzipSync(EMPTY))),
  },
  "gzip of 256 MiB": { coding: "gzip", make: () => zeros(256, zlib.createGzip(GZIP_MOST)) },
  "gzip of 256 MiB in gzip": {
    coding: "gzip, gzip",
    make: async () => zlib.gzipSync(await zeros(256, zlib.createGzip(GZIP_MOST)), GZIP_MOST),
  },
  "deflate of 256 MiB": {
    coding: "deflate",
    make: () => zeros(256, zlib.createDeflate(GZIP_MOST)),
  },
  "brotli of 8 GiB in brotli in zstd": {
    coding: "br, br, zstd",
    make: async () => zlib.zstdCompressSync(zlib.brotliCompressSync(await brotliZeros(8192))),
  },
};
