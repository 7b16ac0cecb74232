/**
 * Reading a response head: whoever wants it waits for bytes until the parser has the final one.
 *
 * @module
 */
import { type Head, type HeadOptions, HeadParser } from "../wire/response_head.ts";
import type { BufferedReader } from "./buffered_reader.ts";

/** What is asked between two reads. */
export interface HeadReading {
  /** Throws where the head is not waited for any longer. */
  check(): void;
  /** A read has brought something. */
  progress(): void;
}

/**
 * Reads up to and including the final head: while {@linkcode next} has none, one more `fill()` of the source
 * is awaited and told of. The loop is the caller's, as an async function for it alone is 2 % of a small
 * request's CPU time (`bench/run.ts --only a`).
 */
export class HeadReader {
  readonly #source: BufferedReader;
  readonly #parser: HeadParser;
  readonly #reading: HeadReading;

  constructor(source: BufferedReader, options: HeadOptions, reading: HeadReading) {
    this.#source = source;
    this.#parser = new HeadParser(options);
    this.#reading = reading;
  }

  /** The final head, or `null` where more bytes are needed. */
  next(): Head | null {
    const head = this.#parser.next(this.#source);
    this.#reading.check();
    return head;
  }

  /**
   * A `fill()` has given so many bytes.
   *
   * @throws {RemoteDisconnected} When the source has ended before a byte has come.
   * @throws {IncompleteRead} When it has ended within the head.
   */
  filled(count: number): void {
    this.#reading.check();
    if (count === 0) throw this.#parser.cut(this.#source);
    this.#reading.progress();
  }
}
