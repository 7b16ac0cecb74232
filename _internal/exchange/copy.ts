/**
 * Copying a body to a file or another `Writer`: reading goes on while what came is written.
 *
 * @module
 */
import type { Writer } from "@std/io/types";
import { turn } from "../net/platform.ts";
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

/**
 * Copies what is left of a body.
 *
 * The memory is a ring: one read fills what is free of it while one write empties what is filled, each in
 * one run up to its end.
 *
 * @param onProgress Called after each write with how many bytes have been written.
 * @returns How many bytes there were.
 */
export async function copyBody(
  body: Body,
  target: Writer,
  onProgress: ((bytes: number) => void) | null,
): Promise<number> {
  return await new Copy(body, target, onProgress).run();
}

class Copy {
  readonly #body: Body;
  readonly #target: Writer;
  readonly #onProgress: ((bytes: number) => void) | null;
  readonly #ring = new Uint8Array(SIZE);
  /** How many bytes have been read and written, which tell where in the ring to go on. */
  #read = 0;
  #written = 0;
  /** What the read is that is out, and the write. */
  #reading: Promise<void> | null = null;
  #writing: Promise<void> | null = null;
  #isOver = false;
  #readFailure: { readonly reason: unknown } | null = null;
  #writeFailure: { readonly reason: unknown } | null = null;

  constructor(body: Body, target: Writer, onProgress: ((bytes: number) => void) | null) {
    this.#body = body;
    this.#target = target;
    this.#onProgress = onProgress;
  }

  async run(): Promise<number> {
    for (;;) {
      if (this.#writeFailure !== null) break;
      if (this.#reading === null && !this.#isOver) this.#beginRead();
      if (this.#writing === null && this.#written < this.#read) this.#beginWrite();
      const pending = [this.#reading, this.#writing].filter((step) => step !== null);
      if (pending.length === 0) break;
      await Promise.race(pending);
    }
    if (this.#writeFailure !== null) {
      // What was read ahead is lost: to read on must not look whole.
      const reason = this.#body.failed(this.#writeFailure.reason);
      await this.#reading;
      throw reason;
    }
    // All that had come was written.
    if (this.#readFailure !== null) throw this.#readFailure.reason;
    return this.#written;
  }

  /** Reads into what is free, as far as that is in one run. */
  #beginRead(): void {
    const free = SIZE - (this.#read - this.#written);
    if (free === 0) return;
    const at = this.#read % SIZE;
    const room = this.#ring.subarray(at, Math.min(SIZE, at + free));
    this.#reading = this.#fill(room);
  }

  async #fill(room: Uint8Array): Promise<void> {
    try {
      const count = await this.#body.some(room);
      this.#read += count;
      this.#isOver = count === 0;
    } catch (reason) {
      this.#isOver = true;
      this.#readFailure = { reason };
    } finally {
      this.#reading = null;
    }
  }

  /** Writes what is filled, as far as that is in one run. */
  #beginWrite(): void {
    const at = this.#written % SIZE;
    const filled = Math.min(this.#read - this.#written, SIZE - at, MOST);
    this.#writing = this.#empty(this.#ring.subarray(at, at + filled));
  }

  async #empty(bytes: Uint8Array): Promise<void> {
    try {
      const count = checkWritten(await byUser(() => this.#target.write(bytes)), bytes.length);
      if (count === 0) await turn();
      this.#written += count;
      if (count > 0 && this.#onProgress !== null) byUser(() => this.#onProgress!(this.#written));
    } catch (reason) {
      this.#writeFailure = { reason: reason instanceof Thrown ? reason : new Thrown(reason) };
    } finally {
      this.#writing = null;
    }
  }
}

/** What `write()` gave. */
function checkWritten(count: unknown, most: number): number {
  if (Number.isInteger(count) && count as number >= 0 && count as number <= most) {
    return count as number;
  }
  throw new TypeError(
    `Cannot copy response as write() must give a number of bytes up to ${most}: got ${
      String(count)
    }`,
  );
}
