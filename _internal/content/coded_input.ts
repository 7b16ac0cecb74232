/**
 * The coded bytes that a decoder reads, whatever pieces they come in.
 *
 * @module
 */
import { cutOff } from "./decode_errors.ts";

/** A piece of a body. */
export type Piece = Uint8Array<ArrayBuffer>;

/** At most this much is given to a decoder at once. */
const SLICE = 65536;
const NOTHING: Piece = new Uint8Array(0);

/** Called often: it throws where decoding is to end, and lets the event loop have its turn. */
export type Pace = () => Promise<void> | undefined;

/** Reads a body in the slices that a format asks for. */
export class CodedInput {
  #pieces: AsyncIterator<Piece>;
  #pace: Pace;
  #rest: Piece = NOTHING;
  #ended = false;

  constructor(pieces: AsyncIterable<Piece>, pace: Pace) {
    this.#pieces = pieces[Symbol.asyncIterator]();
    this.#pace = pace;
  }

  /** How many bytes there are that need not be waited for. */
  get available(): number {
    return this.#rest.length;
  }

  /** Whether nothing comes any more. */
  async isOver(): Promise<boolean> {
    const bytes = await this.some(1);
    if (bytes !== null) this.putBack(bytes);
    return bytes === null;
  }

  /** What comes next, at most `most` bytes, one at least; `null` at the end. */
  async some(most = SLICE): Promise<Piece | null> {
    while (this.#rest.length === 0) {
      if (this.#ended) return null;
      await this.#pace();
      const { done, value } = await this.#pieces.next();
      if (done) this.#ended = true;
      else this.#rest = value;
    }
    const slice = this.#rest.subarray(0, Math.min(most, SLICE));
    this.#rest = this.#rest.subarray(slice.length);
    return slice;
  }

  /** Puts the last bytes back that it gave. */
  putBack(bytes: Piece): void {
    const rest = this.#rest;
    if (bytes.length === 0) return;
    if (rest.length === 0) this.#rest = bytes;
    else if (bytes.buffer === rest.buffer && bytes.byteOffset + bytes.length === rest.byteOffset) {
      this.#rest = new Uint8Array(rest.buffer, bytes.byteOffset, bytes.length + rest.length);
    } else this.#rest = joined(bytes, rest);
  }

  /** The next `count` bytes, or fewer at the end. */
  async upTo(count: number): Promise<Piece> {
    if (this.#rest.length >= count) {
      const bytes = this.#rest.subarray(0, count);
      this.#rest = this.#rest.subarray(count);
      return bytes;
    }
    const bytes = new Uint8Array(count);
    let size = 0;
    while (size < count) {
      const part = await this.some(count - size);
      if (part === null) return bytes.subarray(0, size);
      bytes.set(part, size);
      size += part.length;
    }
    return bytes;
  }

  /** The next `count` bytes, which must be there. */
  async exactly(count: number, coding: string): Promise<Piece> {
    const bytes = await this.upTo(count);
    if (bytes.length < count) throw cutOff(coding);
    return bytes;
  }

  /** Reads to the end of the body: what stands behind the coded content is nobody's. */
  async drain(): Promise<void> {
    while (await this.some() !== null);
  }

  /** Ends the body where it stands. */
  async leave(): Promise<void> {
    await this.#pieces.return?.();
  }
}

/** Two pieces in one. */
function joined(first: Piece, second: Piece): Piece {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
