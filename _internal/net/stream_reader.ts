/**
 * A web stream as a `Reader`.
 *
 * @module
 */
import type { Reader } from "@std/io/types";
import { BUFFER_SIZE } from "./buffered_reader.ts";

const EMPTY: Uint8Array = new Uint8Array(0);

/** A web stream as a `Reader`: by a BYOB reader where it has one. */
export class StreamReader implements Reader {
  #byob: ReadableStreamBYOBReader | null = null;
  #plain: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #scratch = new ArrayBuffer(0);
  #rest: Uint8Array = EMPTY;

  constructor(stream: ReadableStream<Uint8Array>) {
    try {
      this.#byob = stream.getReader({ mode: "byob" });
    } catch (error) {
      if (stream.locked) throw error;
      this.#plain = stream.getReader();
    }
  }

  async read(target: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const chunk = this.#byob === null
        ? await this.#readPlain()
        : await this.#readByob(this.#byob);
      if (chunk === null) return null;
      this.#rest = chunk;
    }
    const piece = this.#rest.subarray(0, target.length);
    target.set(piece);
    this.#rest = this.#rest.subarray(piece.length);
    return piece.length;
  }

  async #readPlain(): Promise<Uint8Array | null> {
    const { value, done } = await this.#plain!.read();
    if (done) return null;
    if (value instanceof Uint8Array) return value;
    throw new TypeError("Cannot read stream: got a chunk that is not a Uint8Array");
  }

  async #readByob(reader: ReadableStreamBYOBReader): Promise<Uint8Array | null> {
    if (this.#scratch.byteLength === 0) this.#scratch = new ArrayBuffer(BUFFER_SIZE);
    const { value, done } = await reader.read(new Uint8Array(this.#scratch));
    if (value !== undefined) this.#scratch = value.buffer as ArrayBuffer;
    return done ? null : value!;
  }

  /** Cancels the stream; a pending read ends. */
  cancel(reason?: unknown): void {
    (this.#byob ?? this.#plain)!.cancel(reason).catch(() => {});
  }
}
