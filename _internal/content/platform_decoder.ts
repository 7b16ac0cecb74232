/**
 * A decoder of `node:zlib`, which Deno has, held to what is asked for: it decodes no more than one piece
 * ahead of its reader, whatever a byte of input stands for. `DecompressionStream` decodes the whole of each
 * input piece into memory first.
 *
 * How much of the input was used tells where the coded content ends. Neither the `end` of the stream nor
 * its silence can be relied on. Deno: 2.9 gives no error for brotli and zstd that were cut off.
 *
 * @module
 */
import { errors } from "../../errors.ts";
import type { Transform } from "node:stream";
import type { CodedInput, Pace, Piece } from "./coded_input.ts";
import { cutOff, malformed } from "./decode_errors.ts";

/** The size of the pieces that content is decoded in. */
const PIECE = 65536;

/** What a decoder of `node:zlib` has beside a stream. */
type ZlibStream = Transform & { bytesWritten: number; reset(): void };

/** The decoders, by what `node:zlib` calls the functions that make them. */
export type DecoderName =
  | "createInflate"
  | "createInflateRaw"
  | "createBrotliDecompress"
  | "createZstdDecompress";

/** The part of `node:zlib` that is used; a runtime may lack some of it. */
export type Zlib =
  & { constants: Record<string, number> }
  & { [name in DecoderName]?: (options: Record<string, unknown>) => ZlibStream };

/** Makes decoders, of which a body may need many. */
export class Decoders {
  #name: DecoderName;
  #coding: string;
  #make: (options: Record<string, unknown>) => ZlibStream;
  #pace: Pace;
  readonly constants: Record<string, number>;

  private constructor(zlib: Zlib, name: DecoderName, coding: string, pace: Pace) {
    this.#name = name;
    this.#coding = coding;
    this.#make = zlib[name]!;
    this.#pace = pace;
    this.constants = zlib.constants;
  }

  /**
   * Finds the decoder of a coding.
   *
   * @throws {Deno.errors.NotSupported} When the platform lacks it.
   */
  static async find(name: DecoderName, coding: string, pace: Pace): Promise<Decoders> {
    // Not with the module: a program that decodes nothing need not load it.
    const zlib = await import("node:zlib").catch(() => undefined);
    return Decoders.of(zlib?.default as unknown as Zlib | undefined, name, coding, pace);
  }

  /**
   * The same in what the platform has for `node:zlib`.
   *
   * @throws {Deno.errors.NotSupported} When the platform lacks it.
   */
  static of(zlib: Zlib | undefined, name: DecoderName, coding: string, pace: Pace): Decoders {
    if (typeof zlib?.[name] === "function") return new Decoders(zlib, name, coding, pace);
    throw lacking(name, coding);
  }

  /** A decoder. */
  open(params?: Record<number, number>): PlatformDecoder {
    let stream: ZlibStream;
    try {
      stream = this.#make({ chunkSize: PIECE, params });
    } catch (cause) {
      // Deno: 2.5 has createZstdDecompress(), which throws. May go when no 2.5 is supported.
      throw lacking(this.#name, this.#coding, cause);
    }
    return new PlatformDecoder(stream, this.#coding, this.#pace);
  }
}

/** The error of a coding that the platform cannot decode: that is not the server's fault. */
function lacking(name: DecoderName, coding: string, cause?: unknown): Error {
  const error = new errors.NotSupported(
    `Cannot decode body as ${coding} needs ${name}() of node:zlib, which this runtime lacks`,
    cause === undefined ? undefined : { cause },
  );
  // Deno 2.5 leaves the cause out.
  if (error.cause !== cause) error.cause = cause;
  return error;
}

/** A decoder at work. */
export class PlatformDecoder {
  #stream: ZlibStream;
  #coding: string;
  #pace: Pace;
  #failure: { cause: unknown } | null = null;
  #wake: () => void = () => {};

  constructor(stream: ZlibStream, coding: string, pace: Pace) {
    this.#stream = stream;
    this.#coding = coding;
    this.#pace = pace;
    // It ends its stream where the coded content ends, and could not be used for what follows.
    const push = stream.push.bind(stream);
    stream.push = (piece: unknown) => piece === null || push(piece);
    stream.on("readable", () => this.#wake());
    stream.on("error", (cause) => {
      this.#failure = { cause };
      this.#wake();
    });
  }

  /** Decodes what `input` has, up to the end of the coded content: what follows is left there. */
  async *decodeAll(input: CodedInput): AsyncGenerator<Piece> {
    for (;;) {
      const slice = await input.some();
      if (slice === null) {
        if (await this.#hasEnded()) return;
        throw cutOff(this.#coding);
      }
      const before = this.#stream.bytesWritten;
      yield* this.decode(slice);
      const used = this.#stream.bytesWritten - before;
      if (used < slice.length) return input.putBack(slice.subarray(used));
    }
  }

  /** Begins anew, for another coded content. */
  reset(): void {
    this.#stream.reset();
  }

  /** Decodes these bytes, or as many of them as are of the coded content. */
  async *decode(bytes: Uint8Array): AsyncGenerator<Piece> {
    let isDone = false;
    // What gave these bytes may have taken its time: the write begins to decode at once.
    const pause = this.#pace();
    if (pause !== undefined) await pause;
    this.#stream.write(bytes, () => {
      isDone = true;
      this.#wake();
    });
    for (;;) {
      const pause = this.#pace();
      if (pause !== undefined) await pause;
      const piece = this.#stream.read() as Uint8Array | null;
      if (piece !== null) yield owned(piece);
      else if (this.#failure !== null) throw this.#malformed(this.#failure.cause);
      else if (isDone) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Whether the coded content is at its end: only then is one more byte not taken. */
  async #hasEnded(): Promise<boolean> {
    const before = this.#stream.bytesWritten;
    try {
      // What it stands for is nobody's content.
      for await (const _ of this.decode(new Uint8Array(1)));
    } catch (error) {
      if (this.#failure === null) throw error;
      return false;
    }
    return this.#stream.bytesWritten === before;
  }

  #malformed(cause: unknown): Error {
    return malformed(this.#coding, cause instanceof Error ? cause.message : String(cause), cause);
  }

  /** Frees what it holds. */
  close(): void {
    this.#stream.destroy();
  }
}

/** A piece as memory of its own: a small one of `node:zlib` is a part of a buffer that is filled on. */
function owned(piece: Uint8Array): Piece {
  const { buffer } = piece;
  if (piece.length < buffer.byteLength) return new Uint8Array(piece);
  return new Uint8Array(buffer as ArrayBuffer);
}
