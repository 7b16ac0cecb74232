/**
 * Bodies of requests, in the kinds that come piece by piece.
 *
 * @module
 */
import { bytes } from "../servers/raw.ts";
import { turns } from "./waiting.ts";

/** A generator of these pieces. */
export function* generatorOf<T>(...pieces: T[]): Generator<T> {
  yield* pieces;
}

/** An async generator of these pieces, a microtask apart. */
export async function* asyncGeneratorOf<T>(...pieces: T[]): AsyncGenerator<T> {
  for (const piece of pieces) {
    await null;
    yield piece;
  }
}

/** An async generator of these pieces, a turn of the event loop apart. */
export async function* slowGeneratorOf<T>(...pieces: T[]): AsyncGenerator<T> {
  for (const piece of pieces) {
    await turns();
    yield piece;
  }
}

/** A web stream of these pieces. */
export function streamOf<T>(...pieces: T[]): ReadableStream<T> {
  return ReadableStream.from(pieces);
}

/** A `Reader` that gives one of these texts for each read, one byte for each character. */
export function readerOf(...texts: string[]): { read(p: Uint8Array): Promise<number | null> } {
  return {
    read(p) {
      const text = texts.shift();
      if (text === undefined) return Promise.resolve(null);
      p.set(bytes(text));
      return Promise.resolve(text.length);
    },
  };
}

/** More bytes than any socket's buffers take: 125 MiB, in pieces of 64 KiB. */
export function* endless(): Generator<Uint8Array> {
  const piece = new Uint8Array(65536);
  for (let i = 0; i < 2000; i++) yield piece;
}
