/**
 * Undoing content codings: from the coded pieces of a body to those of its content, and no further than
 * the limit.
 *
 * @module
 */
import { LimitedBytesTransformStream } from "@std/streams/limited-bytes-transform-stream";
import { CodedInput, type Pace, type Piece } from "./coded_input.ts";
import { cutOff, decodeError } from "./decode_errors.ts";
import { gunzip } from "./gzip.ts";
import { type DecoderName, Decoders } from "./platform_decoder.ts";
import { unzstd } from "./zstd.ts";

/** How a coding is undone, and how far. */
export interface Decoding {
  /** Bytes that it may give. */
  maxBytes: number;
  /** Bytes of memory that a zstd frame may ask for. */
  maxWindow: number;
  /** Pauses, where others are to have their turn. */
  pace: Pace;
  /** Throws where the platform cannot undo it. */
  need: (coding: string) => void;
}

/** One coding undone. */
export async function* undo(
  pieces: AsyncIterable<Piece>,
  coding: string,
  decoding: Decoding,
  mayBeEmpty: () => boolean,
  layer: { isEmpty: boolean },
): AsyncGenerator<Piece> {
  const input = new CodedInput(pieces, decoding.pace);
  try {
    if (await input.isOver()) {
      layer.isEmpty = mayBeEmpty();
      if (layer.isEmpty) return;
      throw cutOff(coding);
    }
    decoding.need(coding);
    yield* limited(decodedBy(coding, input, decoding), decoding.maxBytes);
    await input.drain();
  } finally {
    await input.leave();
  }
}

function decodedBy(
  coding: string,
  input: CodedInput,
  { maxWindow, pace }: Decoding,
): AsyncIterable<Piece> {
  switch (coding) {
    case "br":
      return content(input, "createBrotliDecompress", coding, pace);
    case "zstd":
      return unzstd(input, pace, maxWindow);
    case "deflate":
      return inflate(input, pace);
    default:
      return gunzip(input, pace);
  }
}

/** RFC 9110, Section 8.4.1.2: some send raw deflate in place of zlib's form. */
async function* inflate(input: CodedInput, pace: Pace): AsyncGenerator<Piece> {
  const start = await input.upTo(2);
  input.putBack(start);
  yield* content(input, isZlib(start) ? "createInflate" : "createInflateRaw", "deflate", pace);
}

/** Whether a body begins with zlib's header (RFC 1950): a method of 8, and a check of 31. */
function isZlib([method = 0, flags = 0]: Uint8Array): boolean {
  return (method & 15) === 8 && (method << 8 | flags) % 31 === 0;
}

/** What a decoder gives for a body that is one coded content. */
async function* content(
  input: CodedInput,
  name: DecoderName,
  coding: string,
  pace: Pace,
): AsyncGenerator<Piece> {
  const decoder = (await Decoders.find(name, coding, pace)).open();
  try {
    yield* decoder.decodeAll(input);
  } finally {
    decoder.close();
  }
}

/** The same pieces, up to the limit. They go through one by one: a pipe would ask for one ahead. */
export async function* limited(
  pieces: AsyncIterable<Piece>,
  maxDecodedBytes: number,
): AsyncGenerator<Piece> {
  const meter = new LimitedBytesTransformStream(maxDecodedBytes, { error: true });
  const writer = meter.writable.getWriter();
  const reader = meter.readable.getReader();
  for await (const piece of pieces) {
    if (piece.length === 0) continue;
    // What it throws is told by the read.
    writer.write(piece).catch(() => {});
    try {
      await reader.read();
    } catch (cause) {
      throw decodeError(
        `Cannot decode body as it has more than maxDecodedBytes, ${maxDecodedBytes}`,
        cause,
      );
    }
    yield piece;
  }
}
