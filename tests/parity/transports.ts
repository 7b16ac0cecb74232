/**
 * Transports made of scripted bytes.
 *
 * @module
 */
import type { Transport } from "../../mod.ts";

/** Gives one segment, or a part of it, for each read; then the end. */
export class SegmentTransport implements Transport {
  #segments: Uint8Array[];
  #next = 0;
  closed = false;

  constructor(segments: Uint8Array[]) {
    this.#segments = segments.filter((segment) => segment.length > 0);
  }

  read(target: Uint8Array): Promise<number | null> {
    const segment = this.#segments[this.#next];
    if (segment === undefined) return Promise.resolve(null);
    const piece = segment.subarray(0, target.length);
    target.set(piece);
    if (piece.length === segment.length) this.#next++;
    else this.#segments[this.#next] = segment.subarray(piece.length);
    return Promise.resolve(piece.length);
  }

  write(data: Uint8Array): Promise<number> {
    return Promise.resolve(data.length);
  }

  close(): void {
    this.closed = true;
  }
}

/** Records what is written; what is read waits until it is released. */
export class ScriptedTransport implements Transport {
  sent = "";
  closed = false;
  /** Called after each write. */
  onWrite: (transport: ScriptedTransport) => void = () => {};
  #ready: Uint8Array[] = [];
  #ended = false;
  #wake: () => void = () => {};

  /** Lets these bytes arrive, and the end after them if it is to come. */
  release(bytes: Uint8Array, ended: boolean): void {
    if (bytes.length > 0) this.#ready.push(bytes);
    this.#ended ||= ended;
    this.#wake();
  }

  async read(target: Uint8Array): Promise<number | null> {
    while (this.#ready.length === 0) {
      if (this.closed) throw new Deno.errors.BadResource("the transport is closed");
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const segment = this.#ready[0];
    const piece = segment.subarray(0, target.length);
    target.set(piece);
    if (piece.length === segment.length) this.#ready.shift();
    else this.#ready[0] = segment.subarray(piece.length);
    return piece.length;
  }

  write(data: Uint8Array): Promise<number> {
    if (this.closed) return Promise.reject(new Deno.errors.BadResource("the transport is closed"));
    for (const byte of data) this.sent += String.fromCharCode(byte);
    this.onWrite(this);
    return Promise.resolve(data.length);
  }

  close(): void {
    this.closed = true;
    this.#wake();
  }
}
