/**
 * Copying a body to a file or another `Writer`: reading goes on while what came is written.
 *
 * @module
 */
import type { Writer } from "@std/io/types";
import { turn } from "../net/platform.ts";
import { concat } from "../wire/buffered_bytes.ts";
import type { Body } from "./body.ts";
import { byUser, Thrown } from "./exchange.ts";

/**
 * How much is read ahead of what was written.
 *
 * @tuning
 */
const SIZE = 1 << 20;
/**
 * The most that is written at once: the rest of the memory is read into meanwhile.
 *
 * @tuning
 */
const MOST = SIZE / 2;

/** What a body is copied by. */
export interface CopySettings {
  /** Where it goes. */
  readonly target: Writer;
  /** Called after each write with how many bytes have been written. */
  readonly onProgress: ((bytes: number) => void) | null;
  /** Has the function called that ends the copying, until what it returns is called. */
  readonly watch: (onend: (reason: unknown) => void) => () => void;
}

/**
 * Copies what is left of a body.
 *
 * The memory is a ring: one read fills what is free of it while one write empties what is filled, each in
 * one run up to its end.
 *
 * @returns How many bytes there were.
 */
export function copyBody(body: Body, settings: CopySettings): Promise<number> {
  return new Copy(body, settings).run();
}

class Copy {
  readonly #body: Body;
  readonly #settings: CopySettings;
  readonly #ring = new Uint8Array(SIZE);
  /** How many bytes have been read and written, which tell where in the ring to go on. */
  #read = 0;
  #written = 0;
  /** The read that is out. */
  #reading: Promise<void> | null = null;
  #isWriting = false;
  /** Whether there is nothing more to read, and why if not for the end. */
  #isOver = false;
  #readFailure: { readonly reason: unknown } | null = null;
  /** Why it ends with bytes that are not written. */
  #end: { readonly reason: unknown } | null = null;
  #wake: () => void = () => {};
  /** Whether something has changed since it was last looked at. */
  #hasChanged = false;

  constructor(body: Body, settings: CopySettings) {
    this.#body = body;
    this.#settings = settings;
  }

  async run(): Promise<number> {
    const unwatch = this.#settings.watch((reason) => this.#stop(reason));
    try {
      while (this.#end === null) {
        this.#hasChanged = false;
        // The target may transfer the memory at any time, also before its write has ended.
        if (this.#ring.length === 0) {
          this.#fail(
            new TypeError(
              "Cannot copy response as write() has transferred the memory it was given",
            ),
          );
          break;
        }
        if (this.#reading === null && !this.#isOver) this.#beginRead();
        if (!this.#isWriting && this.#written < this.#read) this.#beginWrite();
        if (this.#reading === null && !this.#isWriting) break;
        // The target may end it while it is called.
        if (!this.#hasChanged) await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      unwatch();
    }
    if (this.#end !== null) {
      await this.#reading;
      const { reason } = this.#end;
      if (this.#read > this.#written) this.#body.lose(this.#unwritten(), reason);
      throw reason;
    }
    if (this.#readFailure !== null) throw this.#readFailure.reason;
    return this.#written;
  }

  /** It is not to go on, whatever the target does: a write that is out is left behind. */
  #stop(reason: unknown): void {
    // What came before the server ended it is still to be written.
    const { readFailure } = this.#body;
    if (readFailure !== null && readFailure.reason === reason) return;
    this.#end ??= { reason };
    this.#change();
  }

  #change(): void {
    this.#hasChanged = true;
    this.#wake();
  }

  /** The bytes that no write has taken; `null` where the target has transferred their memory. */
  #unwritten(): Uint8Array<ArrayBuffer> | null {
    if (this.#ring.length === 0) return null;
    const at = this.#written % SIZE;
    const count = this.#read - this.#written;
    const first = this.#ring.subarray(at, at + count);
    return concat([first, this.#ring.subarray(0, count - first.length)]);
  }

  /** Reads into what is free, as far as that is in one run. */
  #beginRead(): void {
    const free = SIZE - (this.#read - this.#written);
    if (free === 0) return;
    const at = this.#read % SIZE;
    const room = this.#ring.subarray(at, Math.min(SIZE, at + free));
    this.#reading = this.#fill(room);
  }

  async #fill(room: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      const count = await this.#body.some(room);
      this.#read += count;
      this.#isOver = count === 0;
    } catch (reason) {
      this.#isOver = true;
      this.#readFailure = { reason };
    }
    this.#reading = null;
    this.#change();
  }

  /** Writes what is filled, as far as that is in one run. */
  #beginWrite(): void {
    const at = this.#written % SIZE;
    const filled = Math.min(this.#read - this.#written, SIZE - at, MOST);
    this.#isWriting = true;
    this.#empty(this.#ring.subarray(at, at + filled));
  }

  async #empty(bytes: Uint8Array): Promise<void> {
    const { target, onProgress } = this.#settings;
    const { length } = bytes;
    try {
      const given = await byUser(() => target.write(bytes));
      const count = checkWritten(given, length);
      if (count === 0) await turn();
      // What is written once the copying has ended, or the memory is gone, was told as unwritten.
      if (this.#end === null && this.#ring.length > 0) {
        this.#written += count;
        if (count > 0 && onProgress !== null) byUser(() => onProgress(this.#written));
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#isWriting = false;
    this.#change();
  }

  /** What was read ahead is lost: the rest is not read. It is told also where the server had broken off. */
  #fail(error: unknown): void {
    const thrown = error instanceof Thrown ? error : new Thrown(error);
    this.#body.failed(thrown);
    this.#end ??= thrown;
  }
}

/** What `write()` gave. */
function checkWritten(count: unknown, most: number): number {
  if (Number.isInteger(count) && (count as number) >= 0 && (count as number) <= most) {
    return count as number;
  }
  throw new TypeError(
    `Cannot copy response as write() must give a number of bytes up to ${most}: got ${
      String(count)
    }`,
  );
}
