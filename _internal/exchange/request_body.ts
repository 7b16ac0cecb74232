/**
 * The bodies of requests: what a user may give, as pieces of bytes.
 *
 * @module
 */
import type { Reader } from "@std/io/types";
import { isDenoFile, turn } from "../net/platform.ts";
import {
  type FieldPairs,
  fieldPairs,
  type FieldValue,
  hasField,
  type Trailers,
} from "../wire/request_head.ts";
import { encodeText, textEncodingOf } from "../wire/text_encoding.ts";

/**
 * The body of a request. Text is sent as UTF-8 where the request's `Content-Type` is JSON or has
 * `charset=utf-8`, else as ISO-8859-1. The size of strings, bytes and a `Blob` is known, so they get a
 * `Content-Length`; the others are chunked, a chunk for each of their pieces, or for each read of a byte
 * stream with large ones. A stream of Node's is an async iterable.
 *
 * @category Connections
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
    /** The `Content-Type` of the request, which says how text is encoded. */
    contentType: string | null;
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
 * A body in a form that can be sent. What cannot be is refused here, before anything is sent: text that its
 * encoding lacks, a stream that was read before, anything of another kind.
 *
 * @param blocksize The size of the pieces in which a `Reader` is read.
 * @param contentType The `Content-Type` of the request.
 */
export function contentOf(
  body: RequestBody | null | undefined,
  blocksize: number,
  contentType: string | null = null,
): Content {
  if (body === null || body === undefined) return null;
  if (typeof body === "string") {
    return inMemory(encodeText(body, textEncodingOf(contentType), "the body"));
  }
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return inMemory(viewOf(body));
  const source = sourceOf(body, blocksize);
  return { kind: "pieces", contentType, ...source };
}

function inMemory(bytes: Uint8Array): Content {
  return { kind: "bytes", bytes, size: bytes.length };
}

/** Where pieces come from. */
interface Source {
  size: number | null;
  readable: boolean;
  pieces: () => Pieces;
}

function sourceOf(body: object, blocksize: number): Source {
  if (body instanceof Blob) {
    return { size: body.size, readable: true, pieces: () => streamPieces(body.stream()) };
  }
  const source = (pieces: () => Pieces, readable: boolean) => ({ size: null, readable, pieces });
  if (body instanceof ReadableStream) {
    refuseUsed(body);
    return source(() => streamPieces(body), true);
  }
  refuseKinds(body);
  const { read, [Symbol.asyncIterator]: iterateAsync, [Symbol.iterator]: iterate } =
    body as Partial<
      Reader & AsyncIterable<unknown> & Iterable<unknown>
    >;
  // A stream of Node's has `read`, too, but that is no `Reader`'s: it gives `null` while nothing is there.
  if (typeof iterateAsync === "function") {
    refuseUsedNode(body);
    return source(() => iterateAsync.call(body), false);
  }
  if (typeof read === "function") return source(() => readPieces(body as Reader, blocksize), true);
  if (typeof iterate !== "function") throw unknownKind(body);
  if (Array.isArray(body)) { for (const piece of body) checkPiece(piece); }
  return source(() => iterate.call(body), false);
}

/** The property of a stream that tells whether it was read by other calls than those of streams. */
export const IS_USED: unique symbol = Symbol("isUsed");

/** A stream that was read before has no or half a body: a request that is made again would be an empty one. */
function refuseUsed(stream: ReadableStream<unknown> & { [IS_USED]?: boolean }): void {
  if (stream.locked) throw new TypeError("Cannot send body: the stream is locked");
  let isUsed = stream[IS_USED] ?? false;
  try {
    // The one place where the platform tells.
    new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>);
  } catch {
    isUsed = true;
  }
  if (isUsed) throw new TypeError("Cannot send body: the stream was read or cancelled before");
}

/** What is looked at of a stream of Node's. */
interface NodeReadable {
  pipe?: unknown;
  readableDidRead?: boolean;
  readableEnded?: boolean;
  destroyed?: boolean;
  readable?: boolean;
  listenerCount?(event: string): number;
}

/** The same of a stream of Node's. */
function refuseUsedNode(body: NodeReadable): void {
  if (typeof body.pipe !== "function") return;
  // Who listens to this takes what comes, and has taken it when the body is sent.
  const isTaken = (body.listenerCount?.("readable") ?? 0) > 0;
  if (body.readableDidRead === true || body.readableEnded === true || isTaken) {
    throw new TypeError("Cannot send body: the stream was read before, or somebody else reads it");
  }
  if (body.destroyed === true || body.readable === false) {
    throw new TypeError("Cannot send body: the stream was destroyed or cannot be read");
  }
}

/** What to write in place of kinds that are iterable, but not over a body, or that have no bytes. */
const ADVICE: Record<string, string> = {
  FormData: "send the body and the Content-Type of new Response(form)",
  URLSearchParams: "send params.toString(), with Content-Type: application/x-www-form-urlencoded",
  Headers: "send a string or bytes",
  HTTPMessage: "send a string or bytes",
  Map: "send JSON.stringify() of its entries, or a URLSearchParams of it as a string",
  Promise: "await it",
  Request: "send its body",
  Response: "send its body",
  Number: "send String() of it",
  BigInt: "send String() of it",
  Boolean: "send String() of it",
  Object: "send JSON.stringify() of it; headers and options are the arguments behind the body",
};

/** What a value is: the name of its class. */
function kindOf(body: unknown): string {
  return Object.prototype.toString.call(body).slice(8, -1);
}

/** Kinds that can be iterated over and would be sent as something else, or as nothing if they are empty. */
function refuseKinds(body: object): void {
  switch (kindOf(body)) {
    case "FormData":
    case "URLSearchParams":
    case "Headers":
    case "HTTPMessage":
    case "Map":
      throw unknownKind(body);
  }
}

function unknownKind(body: unknown): TypeError {
  const kind = kindOf(body);
  const advice = ADVICE[kind] ?? "send a string, bytes, a Blob, a stream, a Reader or an iterable";
  return new TypeError(`Cannot send body of type ${kind}: ${advice}`);
}

/** A stream piece by piece; leaving early cancels it. */
function streamPieces(stream: ReadableStream<unknown>): Pieces {
  const reader = byteReaderOf(stream);
  return reader === null ? chunkPieces(stream) : new BytePieces(stream, reader);
}

/** A stream's reader that fills memory it is given; only byte streams have one. */
function byteReaderOf(stream: ReadableStream<unknown>): ReadableStreamBYOBReader | null {
  try {
    return stream.getReader({ mode: "byob" });
  } catch {
    return null;
  }
}

/** A stream in the chunks that it has. */
function chunkPieces(stream: ReadableStream<unknown>): Pieces {
  const reader = stream.getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<unknown>>,
    [OVER]: () => reader.releaseLock(),
    return: () => cancelled(reader),
  };
}

/**
 * The least that a byte stream is asked for at once.
 *
 * @tuning
 */
const LEAST_READ = 65536;
/**
 * The most.
 *
 * @tuning
 */
const MOST_READ = 262144;
/**
 * Streams of smaller chunks are read as they are: memory of one's own for each costs more than it saves.
 *
 * @tuning
 */
const SMALL_CHUNK = 8192;

/**
 * A byte stream in large pieces, each there until the next one is asked for, and the next read while the
 * last one is sent: a file by its `readable` goes out as fast as the file itself
 * (`bench/run.ts --only h`).
 */
class BytePieces implements Pieces {
  readonly #stream: ReadableStream<unknown>;
  readonly #reader: ReadableStreamBYOBReader;
  /** The stream in its own chunks, once those have turned out to be small. */
  #chunks: Pieces | null = null;
  #size = LEAST_READ;
  /** Whether the last read has filled its memory. */
  #wasFull = false;
  /** What is given out, and may be read into once the next piece is asked for. */
  #given: ArrayBuffer | null = null;
  #ahead: Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> | null = null;
  #isClosed = false;
  #resolve: (step: IteratorResult<unknown>) => void = () => {};

  constructor(stream: ReadableStream<unknown>, reader: ReadableStreamBYOBReader) {
    this.#stream = stream;
    this.#reader = reader;
    // A source that closes without an answer to the read that is out leaves it open for ever.
    reader.closed.then(() => {
      this.#isClosed = true;
      this.#endSoon();
    }, () => {});
  }

  next(): PromiseLike<IteratorResult<unknown>> {
    if (this.#chunks !== null) return this.#chunks.next() as Promise<IteratorResult<unknown>>;
    const read = this.#ahead ?? this.#read(new ArrayBuffer(this.#size));
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      if (this.#isClosed) this.#endSoon();
      read.then((step) => resolve(this.#take(step)), reject);
    });
  }

  /** Ends with what is closed, unless the read that is out has its bytes by then. */
  #endSoon(): void {
    const resolve = this.#resolve;
    queueMicrotask(() => queueMicrotask(() => resolve(DONE)));
  }

  #take(
    { done, value }: ReadableStreamReadResult<Uint8Array<ArrayBuffer>>,
  ): IteratorResult<unknown> {
    if (done) return DONE;
    // What is left of a chunk that was larger than the memory says nothing of the chunks.
    const isSmall = value.length < SMALL_CHUNK && !this.#wasFull;
    this.#wasFull = value.length === value.buffer.byteLength;
    if (isSmall) {
      this.#reader.releaseLock();
      this.#chunks = chunkPieces(this.#stream);
    } else {
      if (this.#wasFull) this.#size = Math.min(this.#size * 2, MOST_READ);
      const free = this.#given?.byteLength === this.#size ? this.#given : null;
      this.#ahead = this.#read(free ?? new ArrayBuffer(this.#size));
      this.#given = value.buffer;
    }
    return { done: false, value };
  }

  #read(buffer: ArrayBuffer): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> {
    const read = this.#reader.read(new Uint8Array(buffer));
    // Told by who awaits it, if anybody does.
    read.catch(() => {});
    return read;
  }

  [OVER](): void {
    if (this.#chunks !== null) this.#chunks[OVER]!();
    else this.#reader.releaseLock();
  }

  async return(): Promise<void> {
    if (this.#chunks !== null) return void await this.#chunks.return!();
    await cancelled(this.#reader);
  }
}

/** Cancels a stream and lets go of it, though it has failed. */
async function cancelled(
  reader: ReadableStreamDefaultReader<unknown> | ReadableStreamBYOBReader,
): Promise<void> {
  try {
    await reader.cancel();
  } finally {
    reader.releaseLock();
  }
}

/** A `Reader` in pieces of `blocksize` bytes. */
function readPieces(reader: Reader, blocksize: number): Pieces {
  if (isDenoFile(reader)) return new FilePieces(reader, blocksize);
  let isOver = false;
  return {
    async next() {
      const block = new Uint8Array(blocksize);
      for (;;) {
        const count = checkReadCount(await reader.read(block), blocksize);
        if (count === null || isOver) return DONE;
        if (count > 0) return { done: false, value: block.subarray(0, count) };
        // One that has nothing for now must not keep everything else from running.
        await turn();
      }
    },
    return: () => void (isOver = true),
  };
}

/** What `read()` gave; anything but a count would be taken for the end of the body, or for bytes. */
function checkReadCount(count: unknown, most: number): number | null {
  if (
    count === null || (Number.isInteger(count) && count as number >= 0 && count as number <= most)
  ) {
    return count as number | null;
  }
  throw new TypeError(
    `Cannot send body: its read() must give a number of bytes up to ${most}, or null: got ${
      String(count)
    }`,
  );
}

const DONE: IteratorResult<unknown> = { done: true, value: undefined };
/**
 * The size of a step in which a file is read.
 *
 * @tuning
 */
const FILE_STEP = 262144;

/**
 * A file in pieces of `blocksize` bytes, each there until the next one is asked for. It is read in larger
 * steps, as each costs a thread's turn, and the next step while the last one is sent: that is half the
 * time.
 */
class FilePieces implements Pieces {
  #file: Reader;
  #blocksize: number;
  /** What is given out, and what is read into meanwhile. */
  #block: Uint8Array;
  #other: Uint8Array;
  #at = 0;
  #end = 0;
  #ahead: Promise<number | null>;

  constructor(file: Reader, blocksize: number) {
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

/** A piece of a body that is no text, as bytes. */
export function pieceBytes(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  checkPiece(piece);
  return viewOf(piece as ArrayBuffer | ArrayBufferView);
}

function checkPiece(piece: unknown): void {
  if (typeof piece === "string" || piece instanceof ArrayBuffer || ArrayBuffer.isView(piece)) {
    return;
  }
  throw new TypeError(
    `Cannot send body: got a piece that is no string or bytes, but ${kindOf(piece)}`,
  );
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
  options: { encode_chunked?: boolean | undefined; trailers?: Trailers },
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
