/**
 * Content codings undone, on request only (RFC 9110, Section 8.4): as the content is asked for, a piece at a
 * time, and no further than the limit.
 *
 * @module
 */
import { HTTPException } from "../../errors.ts";
import { concat } from "../wire/buffered_bytes.ts";
import { amount, checkOptionsOf, ITERATION, type OptionsOf } from "../wire/option_check.ts";
import type { Pace, Piece } from "./coded_input.ts";
import type { Decoding, undo } from "./undo.ts";

/**
 * Options of `HTTPResponse.decoded()`.
 *
 * @category Responses
 *
 * @example Hold what a body may decode to
 * ```ts
 * import { HTTPConnection, HTTPException } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * // 1 MB of zeros, compressed to about 1 KB.
 * const zeros = new Blob([new Uint8Array(1_000_000)]).stream();
 * const body = await new Response(zeros.pipeThrough(new CompressionStream("gzip"))).bytes();
 * await using server = Deno.serve(
 *   { port: 0, onListen() {} },
 *   () => new Response(body, { headers: { "Content-Encoding": "gzip" } }),
 * );
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port);
 * await conn.request("GET", "/", null, { "Accept-Encoding": "gzip" });
 * const response = await conn.getresponse();
 * const decoded = response.decoded({ maxDecodedBytes: 65536, maxZstdWindowBytes: 1048576 });
 * await assertRejects(() => decoded.bytes(), HTTPException);
 * ```
 */
export interface DecodedOptions {
  /**
   * Bytes that any of the codings may give: `HTTPException`. A small body can decode to a huge one. A body
   * without a coding is held to it only if it is given.
   *
   * @default {104857600}
   */
  maxDecodedBytes?: number;
  /**
   * Bytes of memory that a zstd frame may ask for to be decoded, its window: `HTTPException`. The default is
   * the most that a server may use (RFC 9659).
   *
   * @default {8388608}
   */
  maxZstdWindowBytes?: number;
}

/** What `decoded()` knows of options. */
export const DECODED_OPTIONS: OptionsOf<keyof DecodedOptions> = {
  of: "decoded()",
  known: { maxDecodedBytes: amount, maxZstdWindowBytes: amount },
  meanings: { limit: "maxDecodedBytes", maxbodybytes: "maxDecodedBytes" },
};

/** 100 MiB: more than nearly all that is sent in a content coding, and memory that any machine has. */
const MAX_DECODED_BYTES = 100 * 1024 * 1024;
/** RFC 9659, Section 3. */
const MAX_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024;
/** More codings than this are no content but an attack. */
const MAX_CODINGS = 5;
/**
 * How many milliseconds decoding may take before the event loop has its turn. What follows may take as long as
 * one piece takes at most: 40 ms, where brotli fills a window of 16 MiB (`bench/bombs.ts`).
 *
 * @tuning
 */
const SHIFT_MS = 4;

/** What decoding needs to know of the response. */
export interface CodedBody {
  /** The body as sent. */
  pieces: AsyncIterable<Piece>;
  /** Whether nothing at all may have been sent, as after HEAD: how the body is delimited tells that it is whole. */
  mayBeEmpty: () => boolean;
  /** Ends the body, where the stream is cancelled. */
  close: () => void;
  /** Throws where a signal or a deadline ends the exchange, also after all of the body has come. */
  check: () => void;
  /** Lets the event loop have its turn. */
  turn: () => Promise<void>;
  /** Throws where the platform cannot undo a coding. */
  need: (coding: string) => void;
  /** An error as it is thrown to a caller. */
  delivered: <T>(error: T) => T;
  /** Keeps the content that a call has got before it failed. */
  keep: (content: Piece) => void;
}

/**
 * The pieces of a body or of its content, one by one. To leave a loop over it ends the response.
 *
 * @category Responses
 */
export interface PieceIterator
  extends AsyncIterableIterator<Uint8Array<ArrayBuffer>>, AsyncDisposable {
  /** Itself. */
  [Symbol.asyncIterator](): PieceIterator;
}

/**
 * The content of a response, with its codings undone.
 *
 * @category Responses
 * @example Read the content of a response that was compressed
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const gzip = () => new Blob(["hello"]).stream().pipeThrough(new CompressionStream("gzip"));
 * await using server = Deno.serve({ port: 0, onListen() {} }, () => {
 *   return new Response(gzip(), { headers: { "Content-Encoding": "gzip" } });
 * });
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port);
 * await conn.request("GET", "/");
 * const content = (await conn.getresponse()).decoded();
 * assertEquals(new TextDecoder().decode(await content.bytes()), "hello");
 * ```
 */
export class DecodedContent extends ReadableStream<Uint8Array<ArrayBuffer>> {
  readonly #delivered: <T>(error: T) => T;
  readonly #keep: (content: Piece) => void;

  /** Made by `HTTPResponse.decoded()`. */
  constructor(
    source: UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>,
    { delivered, keep }: Pick<CodedBody, "delivered" | "keep">,
  ) {
    // Nothing is decoded before it is asked for.
    super(source, { highWaterMark: 0 });
    this.#delivered = delivered;
    this.#keep = keep;
  }

  /**
   * The whole content as text, decoded as UTF-8. Where that fails, what had come of the content is in
   * `response.partial`.
   *
   * @returns The text.
   * @throws {TypeError} When the stream is locked.
   */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.#whole());
  }

  /**
   * The whole content, parsed as JSON.
   *
   * @typeParam T What it is taken for; nothing checks that it is.
   * @returns The value.
   * @throws {SyntaxError} When it is no JSON.
   * @throws {TypeError} When the stream is locked.
   */
  async json<T = unknown>(): Promise<T> {
    return JSON.parse(await this.text());
  }

  /**
   * The whole content.
   *
   * @returns The bytes.
   * @throws {TypeError} When the stream is locked.
   */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#whole();
  }

  async #whole(): Promise<Piece> {
    const pieces: Piece[] = [];
    try {
      for await (const piece of this) pieces.push(piece);
    } catch (error) {
      if (pieces.length > 0) this.#keep(concat(pieces));
      throw error;
    }
    return concat(pieces);
  }

  /**
   * The pieces of the content.
   *
   * @param options As for any `ReadableStream`.
   * @returns An iterator.
   * @throws {TypeError} When the stream is locked, or an option is unknown or makes no sense.
   */
  override values(
    options?: ReadableStreamIteratorOptions,
  ): PieceIterator {
    if (options !== undefined) checkOptionsOf(options, ITERATION);
    const pieces = super.values(options);
    const told = this.#delivered;
    return {
      async next() {
        try {
          return await pieces.next();
        } catch (error) {
          throw told(error);
        }
      },
      return: (value) => pieces.return!(value),
      [Symbol.asyncIterator]() {
        return this;
      },
      async [Symbol.asyncDispose]() {
        await pieces.return!();
      },
    };
  }

  /** The pieces of the content; see {@linkcode values}. */
  override [Symbol.asyncIterator](
    options?: ReadableStreamIteratorOptions,
  ): PieceIterator {
    return this.values(options);
  }
}

const KNOWN = ["gzip", "x-gzip", "deflate", "br", "zstd"];

/** The codings of a `Content-Encoding`, in the order in which they are undone. */
export function codingsOf(field: string | null): string[] {
  const codings = (field ?? "").split(",").map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== "" && coding !== "identity").reverse();
  if (codings.length > MAX_CODINGS) {
    throw new HTTPException(
      `Cannot decode body as it has more than ${MAX_CODINGS} content codings: got ${codings.length}`,
    );
  }
  const unknown = codings.find((coding) => !KNOWN.includes(coding));
  if (unknown !== undefined) {
    throw new HTTPException(
      `Cannot decode body as its content coding is unknown: got ${JSON.stringify(unknown)}`,
    );
  }
  return codings;
}

/** The body with its codings undone. */
export function decode(
  body: CodedBody,
  codings: string[],
  options: DecodedOptions,
): DecodedContent {
  const decoding: Decoding = {
    maxBytes: options.maxDecodedBytes ?? MAX_DECODED_BYTES,
    maxWindow: options.maxZstdWindowBytes ?? MAX_ZSTD_WINDOW_BYTES,
    pace: paceOf(body),
    need: body.need,
  };
  let { pieces, mayBeEmpty } = body;
  for (const coding of codings) {
    const layer = { isEmpty: false };
    pieces = undone(pieces, coding, decoding, mayBeEmpty, layer);
    // Where nothing was sent, there is nothing within it either.
    mayBeEmpty = () => layer.isEmpty;
  }
  if (codings.length === 0 && options.maxDecodedBytes !== undefined) {
    pieces = limitedTo(options.maxDecodedBytes, pieces);
  }
  const iterator = pieces[Symbol.asyncIterator]();
  return new DecodedContent({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      body.close();
      await iterator.return?.();
    },
  }, body);
}

/** Decoding works in shifts: between two of them all else has its turn. */
function paceOf({ check, turn }: CodedBody): Pace {
  let began = performance.now();
  return () => {
    check();
    if (performance.now() - began < SHIFT_MS) return undefined;
    return turn().then(() => {
      began = performance.now();
      check();
    });
  };
}

/** One coding undone. What that takes is loaded when it is needed: it is 7 ms of a cold start. */
async function* undone(...coded: Parameters<typeof undo>): AsyncGenerator<Piece> {
  yield* (await import("./undo.ts")).undo(...coded);
}

/** The same pieces, up to the limit. */
async function* limitedTo(limit: number, pieces: AsyncIterable<Piece>): AsyncGenerator<Piece> {
  yield* (await import("./undo.ts")).limited(pieces, limit);
}
