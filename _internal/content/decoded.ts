/**
 * Content codings undone, on request only (RFC 9110, Section 8.4). The decoders are Node's, which Deno
 * has: they take a gzip of several members, which `DecompressionStream` does not.
 *
 * @module
 */
import { HTTPException } from "../../errors.ts";
import { frames } from "./zstd.ts";

/** Options of `HTTPResponse.decoded()`. */
export interface DecodedOptions {
  /**
   * Bytes that any of the codings may give: `HTTPException`. A small body can decode to a huge one.
   *
   * @default {1073741824}
   */
  maxDecodedBytes?: number;
}

/** More codings than this are no content but an attack. */
const MAX_CODINGS = 5;
const GIB = 1 << 30;

/** A piece of content. */
type Piece = Uint8Array<ArrayBuffer>;

/** The codings of a `Content-Encoding`, in the order in which they are undone. */
export function codingsOf(field: string | null): string[] {
  const codings = (field ?? "").split(",").map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== "" && coding !== "identity").reverse();
  if (codings.length > MAX_CODINGS) {
    throw new HTTPException(`Cannot decode body: got more than ${MAX_CODINGS} content codings`);
  }
  const unknown = codings.find((coding) => !KNOWN.includes(coding));
  if (unknown !== undefined) {
    throw new HTTPException(
      `Cannot decode body: unknown content coding ${JSON.stringify(unknown)}`,
    );
  }
  return codings;
}

const KNOWN = ["gzip", "x-gzip", "deflate", "br", "zstd"];

/**
 * The body with its codings undone.
 *
 * @param close Ends the body, where the stream is cancelled.
 */
export function decode(
  body: AsyncIterable<Piece>,
  codings: string[],
  options: DecodedOptions,
  close: () => void,
): ReadableStream<Piece> {
  const limit = options.maxDecodedBytes ?? GIB;
  if (typeof limit !== "number" || !(limit >= 0)) {
    throw new TypeError(`Cannot decode body: maxDecodedBytes ${limit} is not a number of bytes`);
  }
  let pieces = body;
  for (const coding of codings) pieces = undo(pieces, coding, limit);
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream<Piece>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      close();
      await iterator.return?.();
    },
  }, { highWaterMark: 0 });
}

/** One coding undone. A body without a byte has none (an answer to HEAD, say). */
async function* undo(
  pieces: AsyncIterable<Piece>,
  coding: string,
  limit: number,
): AsyncGenerator<Piece> {
  const source = pieces[Symbol.asyncIterator]();
  let failure: { reason: unknown } | null = null;
  try {
    const first = await source.next();
    if (first.done) return;
    if (coding === "br") return yield* brotli(first.value, source, limit);
    if (coding === "zstd") return yield* zstd(first.value, source, limit);
    const { Readable } = await import("node:stream");
    const decoder = await decoderFor(coding, first.value);
    const input = Readable.from(chain(first.value, source, (reason) => failure = { reason }));
    input.on("error", (error) => decoder.destroy(error));
    input.pipe(decoder);
    let total = 0;
    for await (const piece of decoder) {
      total += piece.length;
      if (total > limit) throw tooMuch(limit);
      // A copy: Node's pieces are parts of a pool.
      yield new Uint8Array(piece);
    }
  } catch (error) {
    if (failure !== null) throw (failure as { reason: unknown }).reason;
    if (error instanceof Error && "phase" in error) throw error;
    if (error instanceof HTTPException) throw error;
    throw new HTTPException(`Cannot decode body: it is not ${coding}`, { cause: error });
  } finally {
    await source.return?.();
  }
}

/** The first piece and those after it; what the source throws is kept as it is. */
async function* chain(
  first: Piece,
  source: AsyncIterator<Piece>,
  onfailure: (reason: unknown) => void,
): AsyncGenerator<Piece> {
  yield first;
  try {
    for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
  } catch (reason) {
    onfailure(reason);
    throw reason;
  }
}

/** Deno's own decoder, which tells of a body that was cut off; Node's does not. */
async function* brotli(
  first: Piece,
  source: AsyncIterator<Piece>,
  limit: number,
): AsyncGenerator<Piece> {
  let failure: { reason: unknown } | null = null;
  const input = ReadableStream.from(chain(first, source, (reason) => failure = { reason }));
  let total = 0;
  try {
    for await (const piece of input.pipeThrough(new DecompressionStream("brotli"))) {
      total += piece.length;
      if (total > limit) throw tooMuch(limit);
      yield piece;
    }
  } catch (error) {
    throw failure === null ? error : (failure as { reason: unknown }).reason;
  }
}

/** Frame by frame, each once it is whole: see `zstd.ts`. */
async function* zstd(
  first: Piece,
  source: AsyncIterator<Piece>,
  limit: number,
): AsyncGenerator<Piece> {
  const { zstdDecompressSync } = await import("node:zlib");
  if (typeof zstdDecompressSync !== "function") {
    throw new HTTPException("Cannot decode body: this platform has no zstd");
  }
  const pieces = [first];
  let size = first.length;
  for (let next = await source.next(); !next.done; next = await source.next()) {
    pieces.push(next.value);
    size += next.value.length;
    if (size > limit) throw tooMuch(limit);
  }
  const body = new Uint8Array(await new Blob(pieces).arrayBuffer());
  let total = 0;
  for (const frame of frames(body)) {
    let piece: Uint8Array;
    try {
      piece = zstdDecompressSync(frame, { maxOutputLength: Math.max(1, limit - total) });
    } catch (error) {
      throw (error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE" ? tooMuch(limit) : error;
    }
    total += piece.length;
    if (total > limit) throw tooMuch(limit);
    if (piece.length > 0) yield new Uint8Array(piece);
  }
}

function tooMuch(limit: number): HTTPException {
  return new HTTPException(`Cannot decode body: got more than ${limit} bytes`);
}

async function decoderFor(coding: string, first: Piece) {
  const zlib = await import("node:zlib");
  switch (coding) {
    case "deflate":
      // RFC 9110, Section 8.4.1.2: some send raw deflate in place of zlib's form.
      return isZlib(first) ? zlib.createInflate() : zlib.createInflateRaw();
    default:
      return zlib.createGunzip();
  }
}

/** Whether a body begins with zlib's header (RFC 1950): a method of 8, and a check of 31. */
function isZlib(bytes: Uint8Array): boolean {
  const check = bytes.length < 2 ? 0 : ((bytes[0] << 8) | bytes[1]) % 31;
  return (bytes[0] & 15) === 8 && check === 0;
}
