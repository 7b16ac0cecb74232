/**
 * {@linkcode LineReader}: the public face of the buffered reader, over a web stream or a `Reader`.
 *
 * @module
 */
import type { Reader } from "@std/io/types";
import { IncompleteRead } from "../../errors.ts";
import { copyInto, targetGone } from "../wire/buffered_bytes.ts";
import { checkCount, plainView } from "../wire/grammar.ts";
import { BufferedReader } from "./buffered_reader.ts";
import { StreamReader } from "./stream_reader.ts";

/** The buffer of a `LineReader`, for `parse_headers`. */
export let bufferedOf: (reader: LineReader) => BufferedReader;

/**
 * Reads lines and pieces from a web stream or a `Reader` through one buffer, as Python's
 * `BufferedReader` does. It is what {@linkcode parse_headers} takes; after that it stands right
 * before the body.
 *
 * @category Responses
 * @example Read a line, then what follows
 * ```ts
 * import { LineReader } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const reader = new LineReader(new Blob(["one\r\ntwo"]).stream());
 * const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
 * assertEquals(text(await reader.readline()), "one\r\n");
 * assertEquals(text(await reader.read()), "two");
 * ```
 */
export class LineReader {
  #buffered: BufferedReader;
  static {
    bufferedOf = (reader) => reader.#buffered;
  }

  /**
   * Makes a reader.
   *
   * @param source Where the bytes come from; a stream is locked by this.
   */
  constructor(source: ReadableStream<Uint8Array> | Reader) {
    this.#buffered = new BufferedReader(
      source instanceof ReadableStream ? new StreamReader(source) : source,
    );
  }

  /**
   * Reads up to and including the next LF, or up to the end of the source.
   *
   * @param limit At most this many bytes. Default: `Infinity`.
   * @returns The line with its line end; empty at the end of the source.
   */
  async readline(limit: number = Infinity): Promise<Uint8Array> {
    const source = this.#buffered;
    const most = checkCount(limit);
    let scanned = 0;
    for (;;) {
      const stop = Math.min(source.end, source.start + most);
      const at = source.indexOfLF(source.start + scanned, stop);
      if (at >= 0) return source.take(at + 1 - source.start);
      scanned = stop - source.start;
      if (scanned >= most || (await source.fill()) === 0) return source.take(scanned);
    }
  }

  /**
   * Reads `n` bytes, fewer only at the end of the source.
   *
   * @param n How many bytes; all of them without it. Default: `Infinity`.
   * @returns The bytes; empty at the end of the source.
   */
  async read(n: number = Infinity): Promise<Uint8Array> {
    const source = this.#buffered;
    const most = checkCount(n);
    while (source.available < most && await source.fill() > 0);
    return source.take(Math.min(most, source.available));
  }

  /**
   * Reads exactly `n` bytes.
   *
   * @param n How many bytes.
   * @returns The bytes.
   * @throws {IncompleteRead} When the source ends before; what came is its `partial`.
   */
  async readexactly(n: number): Promise<Uint8Array> {
    const bytes = await this.read(n);
    if (bytes.length < n) throw new IncompleteRead(bytes, n - bytes.length);
    return bytes;
  }

  /** The lines that are left, each with its line end, as in Python. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (let line; (line = await this.readline()).length > 0;) yield line;
  }

  /**
   * Reads into `b` until it is full or the source has ended.
   *
   * @param b Where the bytes go.
   * @returns How many bytes there were.
   * @throws {TypeError} When `b` was transferred or has shrunk meanwhile; so does whatever is read on.
   */
  async readinto(b: Uint8Array): Promise<number> {
    const source = this.#buffered;
    const target = plainView(b);
    const { length } = target;
    let count = 0;
    while (count < length) {
      if (target.length < length) source.discard({ reason: targetGone() });
      else {
        const most = Math.min(source.available, length - count);
        copyInto(source.bytes, source.start, target, count, most);
        source.start += most;
        count += most;
      }
      if (count < length && (await source.fill()) === 0) break;
    }
    return count;
  }

  /**
   * Looks at what comes next without consuming it, with one read of the source at most.
   *
   * @param n At most this many bytes. Default: `Infinity`.
   * @returns A copy of what is buffered; empty at the end of the source.
   */
  async peek(n: number = Infinity): Promise<Uint8Array> {
    const source = this.#buffered;
    if (source.available === 0 && n !== 0) await source.fill();
    return source.bytes.slice(
      source.start,
      Math.min(source.end, source.start + checkCount(n)),
    );
  }
}
