/**
 * The bodies of requests: what a user may give, as pieces of bytes.
 *
 * @module
 */
import type { Reader } from "@std/io/types";
import { encodeLatin1 } from "../wire/latin1.ts";
import {
  type FieldPairs,
  fieldPairs,
  type FieldValue,
  hasField,
  type Trailers,
} from "../wire/request_head.ts";

/**
 * The body of a request. A `string` is sent as ISO-8859-1. The size of strings, bytes and a `Blob` is
 * known, so they get a `Content-Length`; the others are chunked, a chunk for each of their pieces.
 */
export type RequestBody =
  | string
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | ReadableStream<Uint8Array | string>
  | Reader
  | Iterable<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>;

/** A body in a form that can be sent. */
export type Content =
  | {
    kind: "bytes";
    bytes: Uint8Array;
    /** How many there were when the body was given: its buffer may shrink, or be transferred. */
    size: number;
  }
  | {
    kind: "pieces";
    size: number | null;
    /** Whether it is read from, rather than iterated over. */
    readable: boolean;
    pieces: () => Pieces;
  }
  | null;

/** The pieces of what the user gave; each step may be asynchronous. */
export interface Pieces {
  next(): IteratorResult<unknown> | PromiseLike<IteratorResult<unknown>>;
  /** No more is taken, though there is more. */
  return?(): unknown;
  /** There are no more. By a symbol, as it is no method of an iterator of the user's. */
  [OVER]?(): void;
}

/** The name of the method that is told of the end. */
export const OVER: unique symbol = Symbol("over");

/** The bytes of any buffer or view. */
function viewOf(body: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(body)
    ? new Uint8Array(body.buffer, body.byteOffset, body.byteLength)
    : new Uint8Array(body);
}

/**
 * A body in a form that can be sent; a string that is not ISO-8859-1 and a body of no known kind are
 * refused here, before anything is sent.
 *
 * @param blocksize The size of the pieces in which a `Reader` is read.
 */
export function contentOf(body: RequestBody | null | undefined, blocksize: number): Content {
  if (body === null || body === undefined) return null;
  if (typeof body === "string") return inMemory(encodeLatin1(body, "the body"));
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return inMemory(viewOf(body));
  if (body instanceof Blob) {
    return pieces(() => streamPieces(body.stream()), true, body.size);
  }
  if (body instanceof ReadableStream) {
    if (body.locked) throw new TypeError("Cannot send body: the stream is locked");
    return pieces(() => streamPieces(body), true);
  }
  if (typeof (body as Reader).read === "function") {
    return pieces(() => readPieces(body as Reader, blocksize), true);
  }
  const iterable = body as Partial<Iterable<unknown> & AsyncIterable<unknown>>;
  if (typeof iterable[Symbol.asyncIterator] === "function") {
    return pieces(() => iterable[Symbol.asyncIterator]!(), false);
  }
  if (typeof iterable[Symbol.iterator] === "function") {
    return pieces(() => iterable[Symbol.iterator]!(), false);
  }
  throw new TypeError(
    "Cannot send body: it is no string, bytes, Blob, stream, Reader or iterable of bytes",
  );
}

function inMemory(bytes: Uint8Array): Content {
  return { kind: "bytes", bytes, size: bytes.length };
}

function pieces(open: () => Pieces, readable: boolean, size: number | null = null): Content {
  return { kind: "pieces", size, readable, pieces: open };
}

/** A stream piece by piece; leaving early cancels it. */
function streamPieces(stream: ReadableStream<unknown>): Pieces {
  const reader = stream.getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<unknown>>,
    [OVER]: () => reader.releaseLock(),
    async return() {
      await reader.cancel();
      reader.releaseLock();
    },
  };
}

/** A `Reader` in pieces of `blocksize` bytes. */
function readPieces(reader: Reader, blocksize: number): Pieces {
  if (reader instanceof Deno.FsFile) return new FilePieces(reader, blocksize);
  return {
    async next() {
      const block = new Uint8Array(blocksize);
      let count = 0;
      while (count === 0) count = await reader.read(block) ?? -1;
      return count < 0 ? DONE : { done: false, value: block.subarray(0, count) };
    },
  };
}

const DONE: IteratorResult<unknown> = { done: true, value: undefined };
const FILE_STEP = 262144;

/**
 * A file in pieces of `blocksize` bytes, each there until the next one is asked for. It is read in larger
 * steps, as each costs a thread's turn, and the next step while the last one is sent: that is half the
 * time.
 */
class FilePieces implements Pieces {
  #file: Deno.FsFile;
  #blocksize: number;
  /** What is given out, and what is read into meanwhile. */
  #block: Uint8Array;
  #other: Uint8Array;
  #at = 0;
  #end = 0;
  #ahead: Promise<number | null>;

  constructor(file: Deno.FsFile, blocksize: number) {
    const size = blocksize * Math.max(1, Math.floor(FILE_STEP / blocksize));
    this.#file = file;
    this.#blocksize = blocksize;
    this.#block = new Uint8Array(size);
    this.#other = new Uint8Array(size);
    this.#ahead = this.#read();
  }

  next(): IteratorResult<unknown> | Promise<IteratorResult<unknown>> {
    if (this.#at === this.#end) return this.#turn();
    const start = this.#at;
    this.#at = Math.min(this.#end, start + this.#blocksize);
    return { done: false, value: this.#block.subarray(start, this.#at) };
  }

  async #turn(): Promise<IteratorResult<unknown>> {
    const count = await this.#ahead;
    if (count === null) return DONE;
    [this.#block, this.#other] = [this.#other, this.#block];
    [this.#at, this.#end] = [0, count];
    this.#ahead = this.#read();
    return this.next();
  }

  #read(): Promise<number | null> {
    const count = this.#file.read(this.#other);
    // Told by who awaits it, if anybody does.
    count.catch(() => {});
    return count;
  }
}

/** A piece of a body as bytes. */
export function pieceBytes(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  if (typeof piece === "string") return encodeLatin1(piece, "a piece of the body");
  if (piece instanceof ArrayBuffer || ArrayBuffer.isView(piece)) return viewOf(piece);
  throw new TypeError("Cannot send body: got a piece that is no string or bytes");
}

/** The methods that expect a body: without one, they say so by a length of 0. */
const EXPECTS_BODY = ["PATCH", "POST", "PUT"];

/** The size of a body where it is known without reading; Python's rules. */
export function contentLength(method: string, content: Content): number | null {
  if (content === null) return EXPECTS_BODY.includes(method.toUpperCase()) ? 0 : null;
  return content.size;
}

/**
 * The fields of `request()`: those that frame the body unless the user gave them, then the user's in
 * their order. Python's rules, and what the options ask for.
 */
export function requestFields(
  method: string,
  content: Content,
  pairs: FieldPairs,
  options: { encode_chunked?: boolean; trailers?: Trailers },
): { fields: FieldPairs; encode_chunked: boolean | undefined } {
  const fields: (readonly [string, FieldValue])[] = [];
  let { encode_chunked } = options;
  if (hasField(pairs, "content-length")) encode_chunked = undefined;
  else if (!hasField(pairs, "transfer-encoding")) {
    const length = contentLength(method, content);
    encode_chunked = length === null && content !== null ? true : undefined;
    if (encode_chunked) fields.push(["Transfer-Encoding", "chunked"]);
    else if (length !== null) fields.push(["Content-Length", String(length)]);
  }
  for (const pair of pairs) fields.push(pair);
  if (typeof options.trailers === "object" && !hasField(pairs, "trailer")) {
    const names = fieldPairs(options.trailers).map(([name]) => name);
    if (names.length > 0) fields.push(["Trailer", names.join(", ")]);
  }
  return { fields, encode_chunked };
}
