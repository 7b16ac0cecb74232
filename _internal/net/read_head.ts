/**
 * Reading a response head: the loop that asks for more bytes until the parser has the final one.
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
 * Reads up to and including the final head.
 *
 * @throws {RemoteDisconnected} When the source ends before a byte has come.
 * @throws {IncompleteRead} When it ends within the head.
 */
export async function readHead(
  reader: BufferedReader,
  options: HeadOptions,
  reading: HeadReading,
): Promise<Head> {
  const parser = new HeadParser(options);
  for (;;) {
    const head = parser.next(reader);
    reading.check();
    if (head !== null) return head;
    const count = await reader.fill();
    reading.check();
    if (count === 0) throw parser.cut(reader);
    reading.progress();
  }
}
