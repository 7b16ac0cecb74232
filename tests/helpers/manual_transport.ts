/**
 * A transport whose every read and write waits until the test says how it ends.
 *
 * @module
 */
import type { Transport } from "../../mod.ts";
import { bytes, latin1 } from "../servers/raw.ts";

/** A read that waits. */
export interface PendingRead {
  /** The memory that it is to fill. */
  readonly target: Uint8Array;
  readonly resolve: (count: number | null) => void;
  readonly reject: (reason: unknown) => void;
}

/** A write that was begun. */
export interface PendingWrite {
  /** How many bytes were to be written. */
  readonly size: number;
  /** What was to be written, one character for each byte. */
  readonly text: string;
  /** Accepts all of it, or so many bytes. */
  readonly accept: (count?: number) => void;
  readonly reject: (reason: unknown) => void;
}

/** Nothing happens by itself, not even at `close()`. */
export class ManualTransport implements Transport {
  /** The reads that wait. */
  readonly reads: PendingRead[] = [];
  /** All writes, those that have ended included. */
  readonly writes: PendingWrite[] = [];
  /** How often it was closed. */
  closes = 0;
  /** Calls of `ref()` and `unref()`. */
  readonly refs: string[] = [];
  /** Whether writes are accepted at once. */
  accepting: boolean;

  constructor({ accepting = false }: { accepting?: boolean } = {}) {
    this.accepting = accepting;
  }

  /** What was written, whether accepted or not. */
  get sent(): string {
    return this.writes.map(({ text }) => text).join("");
  }

  read(target: Uint8Array): Promise<number | null> {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    this.reads.push({ target, resolve, reject });
    return promise;
  }

  write(data: Uint8Array): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const { length } = data;
    const copy = data.slice();
    this.writes.push({
      size: length,
      get text() {
        return latin1(copy);
      },
      accept: (count = length) => resolve(count),
      reject,
    });
    if (this.accepting) resolve(length);
    return promise;
  }

  close(): void {
    this.closes++;
  }

  ref(): void {
    this.refs.push("ref");
  }

  unref(): void {
    this.refs.push("unref");
  }

  /** Gives bytes to the read that waits. */
  give(data: string | Uint8Array): void {
    const { target, resolve } = this.#next();
    target.set(typeof data === "string" ? bytes(data) : data);
    resolve(data.length);
  }

  /** The read that waits finds the end. */
  end(): void {
    this.#next().resolve(null);
  }

  /** The read that waits fails. */
  fail(reason: unknown): void {
    this.#next().reject(reason);
  }

  #next(): PendingRead {
    const read = this.reads.shift();
    if (read === undefined) throw new Error("No read waits");
    return read;
  }
}
