/**
 * `HTTPResponse`: the head of a response, and its body by Python's read family or as a web stream.
 *
 * @module
 */
import { errors, ResponseNotReady } from "./errors.ts";
import { type HTTPMessage, messageOf } from "./headers.ts";
import {
  codingsOf,
  decode,
  DECODED_OPTIONS,
  type DecodedContent,
  type DecodedOptions,
  type PieceIterator,
} from "./_internal/content/decoded.ts";
import { isDecodeError } from "./_internal/content/decode_errors.ts";
import type { Writer } from "@std/io/types";
import { type Body, EMPTY, utf8 } from "./_internal/exchange/body.ts";
import { copyBody } from "./_internal/exchange/copy.ts";
import { type Asker, BodyIterator, BodyStream } from "./_internal/exchange/body_stream.ts";
import { type Answer, Connection } from "./_internal/exchange/connection.ts";
import { delivered, Exchange, interrupted } from "./_internal/exchange/exchange.ts";
import { IS_USED } from "./_internal/exchange/request_body.ts";
import { SENDING_STEPS } from "./_internal/exchange/states.ts";
import type { ResponseTimings } from "./_internal/exchange/trace.ts";
import { bufferedOf, LineReader } from "./_internal/net/line_reader.ts";
import { needCoding, turn } from "./_internal/net/platform.ts";
import { fromStream, type Transport } from "./_internal/net/transport.ts";
import { checkCount, plainView } from "./_internal/wire/grammar.ts";
import { inspectable, showFacts, withoutUserInfo } from "./_internal/wire/inspect.ts";
import {
  callback,
  checkOptionsOf,
  ITERATION,
  level,
  type OptionsOf,
  signal,
  text,
  textOrNull,
} from "./_internal/wire/option_check.ts";

/** The memory that `drain()` reads into. */
const DRAIN_PIECE = 65536;

/**
 * Options of {@linkcode HTTPResponse}.
 *
 * @category Responses
 *
 * @example Read a recorded response
 * ```ts
 * import { HTTPResponse } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const recorded = new Blob(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]).stream();
 * const response = new HTTPResponse(recorded, {
 *   debuglevel: 0,
 *   method: "HEAD",
 *   url: "http://example.com/",
 * });
 * await response.begin();
 * assertEquals(response.geturl(), "http://example.com/");
 * assertEquals(await response.read(), new Uint8Array());
 * ```
 */
export interface HTTPResponseOptions {
  /**
   * Over 0, the status line and the fields are printed as they are read.
   *
   * @default {0}
   */
  debuglevel?: number;
  /** The method of the request: a response to HEAD has no body, one to CONNECT is a tunnel. */
  method?: string | null;
  /**
   * The URL of the resource.
   *
   * @default {""}
   */
  url?: string;
}

/**
 * Options of {@linkcode HTTPResponse.copyTo}.
 *
 * @category Responses
 *
 * @example Show how far a download is
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));
 *
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port);
 * await conn.request("GET", "/");
 * const response = await conn.getresponse();
 * const path = await Deno.makeTempFile();
 * using file = await Deno.open(path, { write: true });
 * const seen: number[] = [];
 * await response.copyTo(file, {
 *   onProgress: (bytes) => seen.push(bytes),
 *   signal: AbortSignal.timeout(60_000),
 * });
 * assertEquals(seen.at(-1), 5);
 * await Deno.remove(path);
 * ```
 */
export interface CopyOptions {
  /** Called after each write with how many bytes have been written so far. */
  onProgress?: (bytes: number) => void;
  /** Aborts the exchange: the connection is closed, and the call throws the signal's reason. */
  signal?: AbortSignal | null;
}

const COPY_OPTIONS: OptionsOf<keyof CopyOptions> = {
  of: "copyTo()",
  known: { onProgress: callback, signal },
  meanings: { progress: "onProgress" },
};

const OPTIONS: OptionsOf<keyof HTTPResponseOptions> = {
  of: "HTTPResponse",
  known: { debuglevel: level, method: textOrNull, url: text },
};

/**
 * Whether `begin()` has only to wait for the answer to this exchange: whoever does so in its place spares a
 * small request an async function.
 */
export let awaitsAnswer: (response: HTTPResponse, exchange: Exchange) => boolean;
/** What `begin()` does with that answer. */
export let takeAnswer: (response: HTTPResponse, answer: Answer) => void;

/** What the web stream of a response asks: one object, where functions of the constructor are four. */
interface StreamSource {
  readonly type: "bytes";
  response: HTTPResponse;
  pull(controller: ReadableStreamController<Uint8Array<ArrayBuffer>>): Promise<void>;
  cancel(): void;
}
let StreamSource: new () => StreamSource;

/**
 * A response. The body is read by Python's calls, by `for await`, or as the web stream that it is, mixed
 * freely while the stream is not locked. Nothing is read ahead of what was asked for but what one
 * buffer of 64 KiB holds; a piece of a stream, on a fast connection, is of up to 512 KiB, and
 * {@linkcode HTTPResponse.copyTo} reads up to 1 MiB ahead of what was written.
 *
 * A body that ends early never looks whole: `read()` throws {@linkcode IncompleteRead} at once; the other
 * calls return what came, and the next one throws.
 *
 * `console.log` shows the status, the fields without secrets, and how far the body is.
 *
 * @category Responses
 * @example Read a body in pieces
 * ```ts
 * import { HTTPResponse } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const source = new Blob(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"]).stream();
 * const response = new HTTPResponse(source);
 * await response.begin();
 * const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
 * assertEquals(text(await response.read(2)), "he");
 * assertEquals(text(await response.read()), "llo");
 * ```
 */
export class HTTPResponse extends ReadableStream<Uint8Array<ArrayBuffer>>
  implements Disposable, AsyncDisposable {
  /** The status code, such as `200`. */
  status = 0;
  /** The reason phrase, such as `"OK"`; may be empty. */
  reason = "";
  /** The version of HTTP that the server uses: 10 or 11. */
  version = 0;
  /** Whether the connection ends with this response. */
  will_close = false;
  /** Whether the response says that its body is chunked. */
  chunked = false;
  /** The URL of the resource. */
  url: string;
  /** Over 0, what is read of the head is printed. */
  declare debuglevel: number;

  #debuglevel: number;
  #connection: Connection;
  #exchange: Exchange;
  #headers: HTTPMessage | null = null;
  #trailers: HTTPMessage | null = null;
  #body: Body | null = null;
  #stream: BodyStream | null = null;
  #begun: Promise<void> | null = null;
  /** Whether a call is at work; two at once would mix up their bytes. */
  #busy = false;
  #closed = false;
  /** Whether `decoded()` has the body: what is read beside it would be missing there. */
  #isDecoded = false;

  static {
    // A subclass may read from something else than the connection, or have called `begin()` by itself.
    awaitsAnswer = (response, exchange) =>
      response.#exchange === exchange && response.#begun === null;
    takeAnswer = (response, answer) => response.#take(answer);
    StreamSource = class {
      readonly type = "bytes";
      declare response: HTTPResponse;

      pull(controller: ReadableStreamController<Uint8Array<ArrayBuffer>>): Promise<void> {
        return this.response.#pull(controller as ReadableByteStreamController);
      }

      cancel(): void {
        this.response.#stream?.drop();
        this.response.close();
      }
    };
    inspectable(this.prototype, "HTTPResponse", (response, view) => {
      return showFacts(response, #body in response ? response.#facts() : {}, view);
    });
    Object.defineProperty(this.prototype, "debuglevel", {
      get(this: HTTPResponse) {
        return this.#debuglevel;
      },
      set(this: HTTPResponse, debuglevel: number) {
        level("debuglevel", debuglevel);
        this.#debuglevel = debuglevel;
      },
      enumerable: true,
      configurable: true,
    });
  }

  /**
   * Makes a response; `begin()` reads its head.
   *
   * @param source What to read from. A `LineReader` stands right behind the body once that was read, so
   * that recorded responses can be read one after another.
   * @param options The request's method, and more.
   */
  constructor(
    source: Transport | ReadableStream<Uint8Array> | LineReader,
    options: HTTPResponseOptions = {},
  ) {
    const underlying = new StreamSource();
    super(underlying);
    underlying.response = this;
    // What this library makes is known to be right.
    if (!(source instanceof Connection)) checkOptionsOf(options, OPTIONS);
    this.#debuglevel = options.debuglevel ?? 0;
    this.url = options.url ?? "";
    if (source instanceof Connection) {
      this.#connection = source;
      this.#exchange = source.exchange!;
    } else {
      this.#connection = connectionOver(source);
      this.#exchange = new Exchange({ method: options.method ?? "", target: "", url: this.url });
      this.#connection.begin(this.#exchange);
      this.#exchange.send(SENDING_STEPS.send);
      this.#exchange.send(SENDING_STEPS.finish);
    }
  }

  /**
   * Reads the head. `getresponse()` has called it; it does nothing the second time.
   *
   * @throws {BadStatusLine} When the first line is no status line.
   * @throws {RemoteDisconnected} When the server closed the connection without a byte.
   * @throws {IncompleteRead} When the connection ends within the head.
   * @throws {UnknownProtocol} When the version is not HTTP/1.x.
   * @throws {UnknownTransferEncoding} When the transfer encoding is not `chunked`.
   * @throws {ProtocolError} When the framing is one that RFC 9112 forbids.
   * @throws {LineTooLong} When a line is over the limit.
   * @throws {HTTPException} When there are more fields or interim responses than the limit.
   */
  begin(): Promise<void> {
    if (this.#body !== null) return Promise.resolve();
    return this.#begun ??= this.#begin();
  }

  async #begin(): Promise<void> {
    try {
      this.#take(await this.#connection.awaitAnswer(this.#exchange, this.debuglevel > 0));
    } catch (error) {
      throw delivered(error);
    }
  }

  #take({ head, framing, body }: Answer): void {
    this.status = head.status;
    this.reason = head.reason;
    this.version = head.version;
    this.will_close = framing.willClose;
    this.chunked = framing.chunked;
    this.#headers = messageOf(head.fields, head.defects);
    this.#body = body;
    // A response is kept for longer than what has waited for it.
    this.#begun = null;
  }

  /** What is shown of it. */
  #facts(): Record<string, unknown> {
    const { status, reason, version, will_close } = this;
    const url = withoutUserInfo(String(this.url));
    const body = this.#body;
    if (body === null) {
      const hasFailed = this.#exchange.failure !== null;
      return { state: this.#closed ? "closed" : hasFailed ? "failed" : "not begun", url };
    }
    const { length, trailers } = this;
    return {
      status,
      reason,
      version,
      url,
      state: this.#closed ? "closed" : body.state,
      framing: body.delimiter,
      ...(length === null ? {} : { length }),
      will_close,
      headers: this.#headers,
      ...(trailers !== null && trailers.size > 0 ? { trailers } : {}),
    };
  }

  /**
   * The header fields.
   *
   * @throws {ResponseNotReady} Before `begin()`.
   */
  get headers(): HTTPMessage {
    if (this.#headers === null) {
      throw new ResponseNotReady(
        "Cannot get headers: the response has not begun, call begin() first",
      );
    }
    return this.#headers;
  }

  /** The same as {@linkcode headers}. */
  get msg(): HTTPMessage {
    return this.headers;
  }

  /** The fields after a chunked body, once it has been read to its end; `null` before. */
  get trailers(): HTTPMessage | null {
    const trailers = this.#body?.decoder.trailers;
    if (trailers) this.#trailers ??= messageOf(trailers.fields, trailers.defects);
    return this.#trailers;
  }

  /** When what happened to this response. */
  get timings(): ResponseTimings {
    return { ...this.#exchange.timings };
  }

  /**
   * Whether the whole body of the request was sent. An answer may come before it was, and one of 400 or
   * above ends the upload.
   */
  get requestComplete(): boolean {
    return this.#exchange.requestComplete;
  }

  /**
   * Bytes that a failed read had received and could neither return nor put into an `IncompleteRead`; of
   * `decoded().text()` and `.json()`, those of the content. `null` where there are none.
   */
  get partial(): Uint8Array<ArrayBuffer> | null {
    return this.#body?.partial ?? null;
  }

  /** Whether the status is one of success: 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** How many bytes of the body are left to read; `null` where that is not known. */
  get length(): number | null {
    return this.#body === null ? null : this.#body.decoder.length;
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The stream of the body, which is this object; the name of a web `Response`'s. */
  get body(): this {
    return this;
  }

  /**
   * Whether the response is over: read to its end, broken off or closed.
   *
   * @returns Whether it is.
   */
  isclosed(): boolean {
    if (this.#closed) return true;
    return this.#body === null ? this.#exchange.failure !== null : this.#body.over;
  }

  /**
   * The value of a field, several joined by `", "`.
   *
   * @param name The field's name, in any case.
   * @param fallback What to return where there is none; several values are joined likewise.
   * Default: `null`.
   * @returns The value, or the fallback.
   * @throws {ResponseNotReady} Before `begin()`.
   */
  getheader<T = null>(name: string, fallback: T = null as T): string | T {
    const found: unknown = this.headers.get_all(name) ?? fallback;
    const many = typeof found === "object" && found !== null && Symbol.iterator in found;
    return many ? [...found as Iterable<unknown>].join(", ") : found as T;
  }

  /**
   * The header fields as pairs, in their order.
   *
   * @returns A new array.
   * @throws {ResponseNotReady} Before `begin()`.
   */
  getheaders(): [string, string][] {
    return this.headers.items();
  }

  /** Deprecated in Python: the same as {@linkcode url}. */
  geturl(): string {
    return this.url;
  }

  /** Deprecated in Python: the same as {@linkcode headers}. */
  info(): HTTPMessage {
    return this.headers;
  }

  /** Deprecated in Python: the same as {@linkcode status}. */
  getcode(): number {
    return this.status;
  }

  /**
   * There are no file descriptors on Deno.
   *
   * @throws {Deno.errors.NotSupported} Always.
   */
  fileno(): never {
    throw new errors.NotSupported("Cannot get fileno: Deno's sockets have no file descriptor");
  }

  /**
   * Ends the response. A connection on which the body was not read to its end is closed with it, as
   * what is left of the body would be taken for the next answer. To read on is then an error, as a short
   * body must not look whole.
   */
  close(): void {
    this.#closed = true;
    try {
      if (this.#body === null) this.#exchange.close("response");
      else this.#body.close();
    } catch (error) {
      // A callback that is told of the end of an empty body.
      throw this.#failed(error);
    } finally {
      this.#exchange.endWork("response");
    }
  }

  /** Ends the response, as `close()` does. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Gets a reader of the stream, as the standard has it; while it has the lock, no other call reads.
   *
   * @param options `mode: "byob"` for a reader that reads into memory of yours.
   * @returns The reader.
   * @throws {TypeError} When the stream is locked.
   */
  override getReader(options: { mode: "byob" }): ReadableStreamBYOBReader;
  /** The same for pieces in memory of their own. */
  override getReader(
    options?: { mode?: undefined },
  ): ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  override getReader(
    options?: { mode?: "byob" | undefined },
  ): ReadableStreamBYOBReader | ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> {
    this.#lock();
    const reader = super.getReader(options as { mode: "byob" });
    this.#stream ??= new BodyStream();
    this.#stream.follow(
      reader,
      () => this.#refuseBusy(),
      (controller) => this.#pullNow(controller),
    );
    return reader;
  }

  /**
   * Copies the body to a stream, as the standard has it.
   *
   * @param destination Where it goes.
   * @param options What closes the streams, and a signal.
   * @returns Settles when all of it was written.
   */
  override async pipeTo(
    destination: WritableStream<Uint8Array<ArrayBuffer>>,
    options?: StreamPipeOptions,
  ): Promise<void> {
    this.#lockWhole();
    try {
      await super.pipeTo(destination, options);
    } finally {
      // Its own reader has let go by then, also where it ended early.
      if (!this.locked) this.#stream?.leave();
    }
  }

  /**
   * Sends the body through a transformation, as the standard has it.
   *
   * @typeParam T What it is made into.
   * @param transform The transformation.
   * @param options What closes the streams, and a signal.
   * @returns What comes out of it.
   */
  override pipeThrough<T>(
    transform: ReadableWritablePair<T, Uint8Array<ArrayBuffer>>,
    options?: StreamPipeOptions,
  ): ReadableStream<T> {
    this.#lockWhole();
    return super.pipeThrough(transform, options);
  }

  /**
   * Makes two streams of the body, as the standard has it.
   *
   * @returns The streams.
   */
  override tee(): [
    ReadableStream<Uint8Array<ArrayBuffer>>,
    ReadableStream<Uint8Array<ArrayBuffer>>,
  ] {
    this.#lockWhole();
    const branches = super.tee();
    // They read by readers of their own, which nobody can follow.
    this.#stream?.unblock((controller) => this.#pullNow(controller));
    return branches;
  }

  /** Ends the response, as `close()` does. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /**
   * Reads `amt` bytes of the body, fewer only at its end; all of it without `amt`.
   *
   * @param amt How many bytes. Default: `null`.
   * @returns The bytes; empty at the end of the body.
   * @throws {IncompleteRead} When the body ends early, see {@linkcode HTTPResponse}.
   * @throws {TypeError} When the stream is locked, or another read is at work.
   */
  read(amt?: number | null): Promise<Uint8Array<ArrayBuffer>> {
    try {
      const limit = amt === undefined || amt === null ? Infinity : checkCount(amt);
      const body = this.#enter();
      if (body === null) return Promise.resolve(EMPTY);
      const now = body.gatherNow(limit);
      return now === null ? this.#run(body, (body) => body.gather(limit)) : Promise.resolve(now);
    } catch (error) {
      return Promise.reject(this.#failed(error));
    }
  }

  /**
   * Reads into `b` until it is full or the body has ended.
   *
   * @param b Where the bytes go.
   * @returns How many bytes there were; 0 at the end of the body.
   * @throws {IncompleteRead} When the body ends early, see {@linkcode HTTPResponse}.
   * @throws {TypeError} When the stream is locked, or another read is at work, or when `b` was transferred
   * or has shrunk meanwhile, which ends the exchange.
   */
  readinto(b: Uint8Array): Promise<number> {
    return this.#exclusive((body) => body.readinto(plainView(b)), 0);
  }

  /**
   * Reads what is there, with one read of the socket at most where nothing is buffered: at most `n`
   * bytes, and of a chunked body at most what is left of one chunk.
   *
   * @param n How many bytes at most; no limit if negative. Default: `-1`.
   * @returns The bytes; empty at the end of the body.
   * @throws {IncompleteRead} When the body ends early, see {@linkcode HTTPResponse}.
   */
  read1(n = -1): Promise<Uint8Array<ArrayBuffer>> {
    return this.#unlessHead((body) => body.read1(checkCount(n)), EMPTY);
  }

  /**
   * Reads what is there into `b`, with one read of the socket at most, as {@linkcode read1} does.
   *
   * @param b Where the bytes go.
   * @returns How many bytes there were; 0 at the end of the body, or when `b` is empty.
   * @throws {IncompleteRead} When the body ends early, see {@linkcode HTTPResponse}.
   * @throws {TypeError} When the stream is locked, or another read is at work, or when `b` was transferred
   * or has shrunk meanwhile, which ends the exchange.
   */
  readinto1(b: Uint8Array): Promise<number> {
    return this.#unlessHead((body) => body.readinto1(plainView(b)), 0);
  }

  /**
   * Whether it can be read from.
   *
   * @returns `true` until `close()` is called, also at the end of the body.
   */
  readable(): boolean {
    return !this.#closed;
  }

  /**
   * Whether it can be written to.
   *
   * @returns `false`.
   */
  writable(): boolean {
    return false;
  }

  /**
   * Whether its position can be set.
   *
   * @returns `false`.
   */
  seekable(): boolean {
    return false;
  }

  /**
   * Whether it is a terminal.
   *
   * @returns `false`.
   */
  isatty(): boolean {
    return false;
  }

  /** Does nothing, as there is nothing to write; Python's readers have it. */
  flush(): void {}

  /**
   * Looks at what comes next without consuming it, with one read of the socket at most where nothing is
   * buffered. Nothing beyond the body, nor beyond a chunk, is shown.
   *
   * @param _n Taken for Python's sake: what is buffered is returned, be it more or less.
   * @returns A copy; empty at the end of the body.
   */
  peek(_n = -1): Promise<Uint8Array<ArrayBuffer>> {
    return this.#unlessHead((body) => body.peek(), EMPTY);
  }

  /**
   * Reads up to and including the next LF of the body, or up to its end. A short line may be a part of a
   * block of up to 4 KiB that it shares with those around it: `slice()` copies it out of the block, so
   * that it may be transferred.
   *
   * @param limit At most this many bytes; no limit if negative. Default: `-1`.
   * @returns The line with its line end; empty at the end of the body.
   * @throws {IncompleteRead} When the body ends early, see {@linkcode HTTPResponse}.
   */
  readline(limit = -1): Promise<Uint8Array<ArrayBuffer>> {
    try {
      const most = checkCount(limit);
      const line = this.#lineNow(most);
      if (line !== null) return Promise.resolve(line);
      // CPython: after HEAD there is nothing, and the response is not over by that.
      return this.#isHead
        ? Promise.resolve(EMPTY)
        : this.#run(this.#opened(), (body) => body.line(most));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The next line, or `null` where it has to be waited for, is the end, or the framing is broken. */
  #lineNow(limit: number): Uint8Array<ArrayBuffer> | null {
    try {
      const body = this.#enter();
      return body === null ? EMPTY : body.lineNow(limit);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * Reads lines up to the end of the body.
   *
   * @param hint Stop after the line with which the lines have more bytes than this; no limit if not
   * over 0. Default: `-1`.
   * @returns The lines with their line ends.
   * @throws {IncompleteRead} When the body ends early, see {@linkcode HTTPResponse}.
   */
  readlines(hint = -1): Promise<Uint8Array<ArrayBuffer>[]> {
    // CPython: after HEAD there is nothing, and the response is not over by that.
    return this.#unlessHead((body) => body.lines(hint), []);
  }

  /**
   * The lines of the body, as Python's iteration over a response; each as {@linkcode readline} gives it.
   * Stopping early leaves the rest.
   *
   * @returns An iterable of lines with their line ends.
   *
   * @example Count lines
   * ```ts
   * import { HTTPResponse } from "@denoports/http-client";
   * import { assertEquals } from "@std/assert";
   *
   * const response = new HTTPResponse(new Blob(["HTTP/1.0 200 OK\r\n\r\na\nb\n"]).stream());
   * await response.begin();
   * let count = 0;
   * for await (const _line of response.lines()) count++;
   * assertEquals(count, 2);
   * ```
   */
  lines(): PieceIterator {
    const some = (line: Uint8Array<ArrayBuffer> | null) => line?.length === 0 ? null : line;
    return new BodyIterator({
      now: () => some(this.#lineNow(Infinity)),
      next: async () => some(await this.readline()),
      leave() {},
    });
  }

  /**
   * The pieces of the body as they come, each in memory of its own. Leaving the loop early closes the
   * response, unless `preventCancel` is set.
   *
   * @param options As for any `ReadableStream`.
   * @returns An iterator.
   * @throws {TypeError} When the stream is locked, or an option is unknown or makes no sense.
   */
  override values(
    options?: ReadableStreamIteratorOptions,
  ): PieceIterator {
    if (options !== undefined) checkOptionsOf(options, ITERATION);
    this.#refuseLocked();
    return this.#pieces(options?.preventCancel ?? false, () => this.#refuseLocked());
  }

  /** The pieces of the body; `check` throws where they may not be read. */
  #pieces(
    keep: boolean,
    check: () => void,
  ): PieceIterator {
    const enter = () => {
      check();
      return this.#enterBody();
    };
    // The inherited iterator costs half as much as a whole small request.
    return new BodyIterator({
      now: () => {
        try {
          return enter()?.chunkNow() ?? null;
        } catch (error) {
          throw this.#failed(error);
        }
      },
      next: async () => {
        const body = enter();
        return body === null ? null : await this.#run(body, (body) => body.chunk());
      },
      leave: () => {
        if (!keep) this.close();
      },
    });
  }

  /** The pieces of the body as they come; see {@linkcode values}. */
  override [Symbol.asyncIterator](
    options?: ReadableStreamIteratorOptions,
  ): PieceIterator {
    return this.values(options);
  }

  /**
   * Copies what is left of the body to a file or another `Writer`, which stays open: Python's
   * `shutil.copyfileobj(response, file)`. Reading goes on while what came is written, at most 1 MiB ahead.
   *
   * What came before the server broke off is written before the call throws. A failed write, a signal, a
   * deadline and `close()` end it at once, whatever the target does; {@linkcode partial} then has what no
   * write had taken.
   *
   * @param target Where the bytes go, such as a `Deno.FsFile`.
   * @param options A callback for the progress, and a signal.
   * @returns How many bytes were copied.
   * @throws {IncompleteRead} When the body ends early, see {@linkcode HTTPResponse}.
   * @throws {TypeError} When the stream is locked, or another read is at work.
   *
   * @example Save a body in a file
   * ```ts
   * import { HTTPResponse } from "@denoports/http-client";
   * import { assertEquals } from "@std/assert";
   *
   * const response = new HTTPResponse(new Blob(["HTTP/1.0 200 OK\r\n\r\nhello"]).stream());
   * await response.begin();
   * const path = await Deno.makeTempFile();
   * using file = await Deno.open(path, { write: true });
   * assertEquals(await response.copyTo(file), 5);
   * assertEquals(await Deno.readTextFile(path), "hello");
   * ```
   */
  async copyTo(target: Writer, options: CopyOptions = {}): Promise<number> {
    checkOptionsOf(options, COPY_OPTIONS);
    if (typeof target?.write !== "function") {
      throw new TypeError(
        "Cannot copy response as the target must be a file or a Writer: use pipeTo() for a stream",
      );
    }
    const { onProgress = null, signal } = options;
    return await this.#exclusive(async (body) => {
      this.#exchange.listen(signal);
      const watch = (onend: (reason: unknown) => void) => this.#exchange.watch(onend);
      return await copyBody(body, { target, onProgress, watch });
    }, 0);
  }

  /**
   * The whole body as text, decoded as UTF-8 as a web `Response` does; no `charset` is looked at.
   *
   * @returns The text.
   * @throws {IncompleteRead} When the body ends early.
   */
  async text(): Promise<string> {
    const now = this.read === HTTPResponse.prototype.read ? this.#textNow() : null;
    return now ?? utf8.decode(await this.read());
  }

  /** The rest as text, where it has come whole. */
  #textNow(): string | null {
    try {
      return this.#enter()?.textNow() ?? null;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * The whole body, parsed as JSON.
   *
   * @typeParam T What it is taken for; nothing checks that it is.
   * @returns The value.
   * @throws {IncompleteRead} When the body ends early.
   * @throws {SyntaxError} When it is no JSON.
   */
  async json<T = unknown>(): Promise<T> {
    return JSON.parse(await this.text());
  }

  /**
   * The whole body; a web `Response`'s form of `read()`.
   *
   * @returns The bytes.
   * @throws {IncompleteRead} When the body ends early.
   */
  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.read();
    // A part of something larger is not what was asked for.
    return bytes.length === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
  }

  /**
   * The whole body as a `Blob`, whose type is the `Content-Type`.
   *
   * @returns The blob.
   * @throws {IncompleteRead} When the body ends early.
   */
  async blob(): Promise<Blob> {
    return new Blob([await this.read()], { type: this.getheader("content-type") ?? "" });
  }

  /**
   * Reads what is left of a body that nobody wants, so that the connection can be used again; where more
   * than `limit` bytes are left, the response is closed instead, and its connection with it. A body whose
   * length says so beforehand is not read at all.
   *
   * @param limit How many bytes may be read for that. Default: `65536`.
   * @returns Whether the body has come to its end.
   * @throws {IncompleteRead} When the body ends early.
   * @throws {TypeError} When the stream is locked, or another read is at work.
   */
  async drain(limit: number = 65536): Promise<boolean> {
    let left = checkCount(limit);
    this.#enter();
    const buffer = new Uint8Array(Math.max(1, Math.min(left, DRAIN_PIECE)));
    while ((this.length ?? 0) <= left) {
      if (left === 0 && (await this.peek(1)).length > 0) break;
      const count = await this.readinto(buffer.subarray(0, Math.max(1, left)));
      if (count === 0) return true;
      left -= count;
    }
    this.close();
    return false;
  }

  /**
   * The whole body; a web `Response`'s name for `read()`.
   *
   * @returns The bytes.
   * @throws {IncompleteRead} When the body ends early.
   */
  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.read();
  }

  /**
   * The body with its `Content-Encoding` undone: gzip, deflate in both forms, br, zstd, up to five of
   * them. Nothing is decoded unless this is called, and then only as it is read. What stands behind the
   * coded content is ignored; content that is cut off is an error. A signal and the `total` deadline end it
   * also while only decoding is left to do.
   *
   * @param options The limits of what is decoded.
   * @returns A stream of the content, with `text()` and `json()`.
   * @throws {HTTPException} When a coding is unknown; the stream, when the body is not in that coding,
   * ends within it, or decodes to more than the limit.
   * @throws {Deno.errors.NotSupported} The stream, when the platform lacks what a coding needs.
   * @throws {TypeError} When an option is unknown or no number of bytes, or the stream is locked.
   *
   * @example Read gzipped text
   * ```ts
   * import { HTTPConnection } from "@denoports/http-client";
   * import { assertEquals } from "@std/assert";
   *
   * const gzip = () => new Blob(["hello"]).stream().pipeThrough(new CompressionStream("gzip"));
   * await using server = Deno.serve({ port: 0, onListen() {} }, () => {
   *   return new Response(gzip(), { headers: { "Content-Encoding": "gzip" } });
   * });
   * using conn = new HTTPConnection("127.0.0.1", server.addr.port);
   * await conn.request("GET", "/");
   * const response = await conn.getresponse();
   * assertEquals(await response.decoded({ maxDecodedBytes: 1000 }).text(), "hello");
   * ```
   */
  decoded(options: DecodedOptions = {}): DecodedContent {
    checkOptionsOf(options, DECODED_OPTIONS);
    const codings = codingsOf(this.getheader("content-encoding"));
    this.#refuseLocked();
    const check = this.#exchange.guard();
    const body = this.#opened();
    const wasRead = body.state === "complete";
    const content = decode(
      {
        pieces: this.#pieces(false, () => {}),
        mayBeEmpty: () => wasRead || body.delimiter !== "close",
        close: () => this.close(),
        check: () => {
          // Also once all of the body has come, of which the content was not read to its end.
          if (this.#closed) throw this.#exchange.annotate(interrupted("body", "response"));
          check();
        },
        turn,
        need: needCoding,
        keep: (content) => void (body.partial = content),
        delivered: (error) => {
          if (!isDecodeError(error)) return delivered(error);
          // To read on must not look as if nothing was missing.
          if (body.state === "complete") body.lose(body.partial, error);
          return delivered(this.#exchange.annotate(error));
        },
      },
      codings,
      options,
    );
    this.#isDecoded = true;
    return content;
  }

  /** Whether something of it was read, or it was closed: as the body of a request it would not be whole. */
  get [IS_USED](): boolean {
    return this.#closed || this.#isDecoded || (this.#body?.total ?? 0) > 0;
  }

  #refuseLocked(): void {
    if (this.locked) {
      throw new TypeError(
        "Cannot read response: its stream is locked by a reader, read from that or release it",
      );
    }
    const held = this.#stream?.held ?? 0;
    if (held > 0) {
      throw new TypeError(
        `Cannot read response: its stream holds ${held} bytes that come first, get a reader for them`,
      );
    }
    this.#refuseDecoded();
  }

  #refuseDecoded(): void {
    if (!this.#isDecoded || this.#body?.state !== "open") return;
    throw new TypeError("Cannot read response: decoded() has its body, read what that returned");
  }

  /** The body, once the head was read. */
  #opened(): Body {
    if (this.#body === null) {
      if (this.#exchange.failure !== null) throw delivered(this.#exchange.failure.reason);
      throw new ResponseNotReady("Cannot read response: it has not begun, call begin() first");
    }
    return this.#body;
  }

  /** The body to read from, by one call at a time; `null` where there is nothing to read. */
  #enter(): Body | null {
    this.#refuseLocked();
    return this.#enterBody();
  }

  /** The same for whoever has the body already. */
  #enterBody(): Body | null {
    if (this.#busy) this.#takeOver();
    const body = this.#opened();
    return body.readable ? body : null;
  }

  /** Takes the response over from a reader that is not followed and has let go. */
  #takeOver(): void {
    if (!this.locked) this.#stream?.leave();
    if (this.#busy) throw busyError();
  }

  /** Runs one read, on a response that is neither over nor broken. */
  #exclusive<T>(read: (body: Body) => Promise<T>, nothing: T): Promise<T> {
    try {
      const body = this.#enter();
      return body === null ? Promise.resolve(nothing) : this.#run(body, read);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Begins a read and waits for it. A trace that is called meanwhile, even at its very beginning, cannot read. */
  async #run<T>(body: Body, read: (body: Body) => Promise<T>): Promise<T> {
    this.#busy = true;
    try {
      return await read(body);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#busy = false;
    }
  }

  get #isHead(): boolean {
    return this.#exchange.method === "HEAD";
  }

  /** CPython: after HEAD these calls have nothing, and do not end the response. */
  #unlessHead<T>(read: (body: Body) => Promise<T>, nothing: T): Promise<T> {
    return this.#exclusive(this.#isHead ? () => Promise.resolve(nothing) : read, nothing);
  }

  /** What is to be thrown for an error of a read. */
  #failed(error: unknown): unknown {
    return this.#body === null ? delivered(error) : this.#body.failed(error);
  }

  /**
   * The web stream asks for a piece. The call is over when it has it: who waited for the piece may read on
   * at once.
   */
  #pull(controller: ReadableByteStreamController): Promise<void> {
    try {
      this.#refuseDecoded();
      const stream = this.#stream ??= new BodyStream();
      if (this.#busy) {
        if (stream.pulling !== null) return stream.pulling;
        throw busyError();
      }
      const body = this.#opened();
      const asker = new StreamAsker(this, () => this.#busy = false);
      stream.asker = asker;
      return stream.pulling = this.#give(body, stream, controller, asker);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The same where the stream would not ask by itself. */
  async #pullNow(controller: ReadableByteStreamController): Promise<void> {
    try {
      await this.#pull(controller);
    } catch (error) {
      controller.error(error);
    }
  }

  async #give(
    body: Body,
    stream: BodyStream,
    controller: ReadableByteStreamController,
    asker: StreamAsker,
  ): Promise<void> {
    this.#busy = true;
    try {
      await stream.pull(body, controller, asker);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      // Another one may be at work by now, which what this has given has asked for.
      if (stream.asker === asker) stream.pulling = null;
      if (!asker.isAnswered) this.#busy = false;
    }
  }

  /** Refuses to read the stream while a call reads beside it, which would make it fail for good. */
  #refuseBusy(): void {
    if (this.#busy && !this.#stream?.isAtWork) throw busyError();
  }

  /** Whoever locks the stream takes it over from a reader that has let go. */
  #lock(): void {
    if (!this.locked) this.#stream?.locks();
  }

  /** The same for those whose readers nobody can follow: what they find wrong makes the stream fail. */
  #lockWhole(): void {
    if (this.locked) return;
    this.#refuseBusy();
    this.#stream?.locks();
  }
}

/** Whoever reads the stream of a response. */
class StreamAsker implements Asker {
  isAnswered = false;
  readonly #stream: ReadableStream;
  readonly #onanswer: () => void;

  constructor(stream: ReadableStream, onanswer: () => void) {
    this.#stream = stream;
    this.#onanswer = onanswer;
  }

  get isThere(): boolean {
    return this.#stream.locked;
  }

  answer(): void {
    // By then another call may be at work.
    if (this.isAnswered) return;
    this.isAnswered = true;
    this.#onanswer();
  }
}

function busyError(): TypeError {
  return new TypeError("Cannot read response: another read is at work, await it first");
}

/** A connection that only reads, over what the user gave. */
function connectionOver(source: Transport | ReadableStream<Uint8Array> | LineReader): Connection {
  if (source instanceof LineReader) return Connection.reading(bufferedOf(source));
  return Connection.over(source instanceof ReadableStream ? fromStream(source) : source);
}
