/**
 * The exception hierarchy of Python's `http.client`, with the two classes that this library adds
 * ({@linkcode TunnelError}, {@linkcode ProtocolError}). A bad argument is a `TypeError`, a deadline a
 * `Deno.errors.TimedOut`, an abort the signal's reason. Errors of connecting are those of Deno's sockets,
 * with the host and port, or path, and the reason in their message; the platform's own is their `cause`.
 * Other errors of a socket pass through as they are.
 *
 * @module
 */

/**
 * The part of an exchange in which an error arose.
 *
 * @category Errors
 */
export type ExchangePhase = "connect" | "tls" | "send" | "head" | "body";

/**
 * Whether the request can be sent again without the risk that the server acts on it twice:
 * `"yes"` nothing of it reached the server; `"idempotent-only"` it may have been acted on, so only if its
 * method is idempotent (RFC 9110, Section 9.2.2); `"no"` an answer has begun to arrive.
 *
 * @category Errors
 */
export type RetrySafe = "yes" | "idempotent-only" | "no";

/**
 * What is known of an exchange when an error comes out of it. These fields stand on the errors of
 * this library and of Deno's sockets (`Deno.errors.*`). Objects of the user's are never written to: for a
 * signal's reason, and what a body's source, a callback or a transport of one's own throws, they are in
 * `HTTPConnection.lastFailure`.
 *
 * @category Errors
 */
export interface ExchangeDetails {
  /** The part of the exchange in which the error arose. */
  phase?: ExchangePhase;
  /** How many bytes of the request the transport had accepted. */
  requestBytesSent?: number;
  /** How many bytes of the response had arrived. */
  responseBytesReceived?: number;
  /** Whether the request went out on a connection that had served another one. */
  connectionReused?: boolean;
  /** Whether sending the request again is safe. */
  retrySafe?: RetrySafe;
}

/**
 * An error that came out of an exchange, whatever its class.
 *
 * @category Errors
 */
export interface ExchangeError extends Error, Required<ExchangeDetails> {
  /** The host of the server, behind the tunnel where there is one; empty where there is no connection. */
  host: string;
  /** Its port; 0 where there is no connection. */
  port: number;
}

/**
 * Whether an error came out of an exchange, whatever its class: it says then how far the exchange had come,
 * and with whom. Errors of wrong use have none of that, nor have a signal's reason and other objects of the
 * user's: for those see `HTTPConnection.lastFailure`.
 *
 * @param error What was caught.
 * @returns Whether it has the facts of an exchange.
 *
 * @category Errors
 * @example Tell where it failed
 * ```ts
 * import { HTTPConnection, isExchangeError } from "@denoports/http-client";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
 * const { port } = listener.addr;
 * listener.close();
 *
 * using conn = new HTTPConnection("127.0.0.1", port);
 * try {
 *   await conn.request("GET", "/");
 * } catch (error) {
 *   assert(isExchangeError(error));
 *   assertEquals([error.phase, error.host, error.port], ["connect", "127.0.0.1", port]);
 *   assertEquals(error.retrySafe, "yes");
 * }
 * ```
 */
export function isExchangeError(error: unknown): error is ExchangeError {
  return error instanceof Error && FACTS.every((name) => Object.hasOwn(error, name));
}

const FACTS: (keyof ExchangeError)[] = [
  "phase",
  "requestBytesSent",
  "responseBytesReceived",
  "connectionReused",
  "retrySafe",
  "host",
  "port",
];

/** Puts a class's name on its prototype, so that an error's own fields are plain data. */
function named(constructor: { prototype: Error }, name: string): void {
  Object.defineProperty(constructor.prototype, "name", {
    value: name,
    writable: true,
    configurable: true,
  });
}

/**
 * An error of a socket's.
 *
 * @category Errors
 */
export interface SocketError extends Error {
  /** What the platform threw, if anything. */
  cause: unknown;
}

/**
 * The class of an error of a socket.
 *
 * @category Errors
 */
export type SocketErrorClass = new (message?: string, options?: ErrorOptions) => SocketError;

/**
 * The names of the errors of sockets.
 *
 * @category Errors
 */
export type SocketErrorName =
  | "AddrInUse"
  | "AddrNotAvailable"
  | "BrokenPipe"
  | "ConnectionAborted"
  | "ConnectionRefused"
  | "ConnectionReset"
  | "Interrupted"
  | "InvalidData"
  | "NetworkUnreachable"
  | "NotCapable"
  | "NotConnected"
  | "NotFound"
  | "NotSupported"
  | "PermissionDenied"
  | "TimedOut"
  | "UnexpectedEof"
  | "WriteZero";

/** The names at run time: the compiler sees that none is missing. */
const SOCKET_ERRORS: Record<SocketErrorName, true> = {
  AddrInUse: true,
  AddrNotAvailable: true,
  BrokenPipe: true,
  ConnectionAborted: true,
  ConnectionRefused: true,
  ConnectionReset: true,
  Interrupted: true,
  InvalidData: true,
  NetworkUnreachable: true,
  NotCapable: true,
  NotConnected: true,
  NotFound: true,
  NotSupported: true,
  PermissionDenied: true,
  TimedOut: true,
  UnexpectedEof: true,
  WriteZero: true,
};

/** The classes of a runtime that has none: each is an `Error` of its name. */
function ownErrors(): Record<SocketErrorName, SocketErrorClass> {
  const own = {} as Record<SocketErrorName, SocketErrorClass>;
  for (const name of Object.keys(SOCKET_ERRORS) as SocketErrorName[]) {
    own[name] = class extends Error {
      static {
        named(this, name);
      }
    } as SocketErrorClass;
  }
  return own;
}

/**
 * The classes of the errors of sockets: `Deno.errors` on Deno, and classes of the same names on a runtime
 * without it. `instanceof` works by these everywhere.
 *
 * @category Errors
 * @example Tell a deadline from a refusal, on any runtime
 * ```ts
 * import { errors, HTTPConnection } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
 * const { port } = listener.addr as Deno.NetAddr;
 * listener.close();
 * using conn = new HTTPConnection("127.0.0.1", port);
 * await assertRejects(() => conn.request("GET", "/"), errors.ConnectionRefused);
 * ```
 */
export const errors: Readonly<Record<SocketErrorName, SocketErrorClass>> =
  (globalThis as unknown as { Deno?: { errors?: Record<SocketErrorName, SocketErrorClass> } })
    .Deno?.errors ?? ownErrors();

const ordinaryHasInstance = Function.prototype[Symbol.hasInstance];

/**
 * The base class of the other exceptions.
 *
 * @category Errors
 * @example Catch whatever the server did wrong
 * ```ts
 * import { HTTPException, UnknownProtocol } from "@denoports/http-client";
 * import { assert } from "@std/assert";
 *
 * assert(new UnknownProtocol("HTTP/3") instanceof HTTPException);
 * ```
 */
export class HTTPException extends Error implements ExchangeDetails {
  static {
    named(this, "HTTPException");
  }
  /** The part of the exchange in which the error arose. */
  declare phase?: ExchangePhase;
  /** How many bytes of the request the transport had accepted. */
  declare requestBytesSent?: number;
  /** How many bytes of the response had arrived. */
  declare responseBytesReceived?: number;
  /** Whether the request went out on a connection that had served another one. */
  declare connectionReused?: boolean;
  /** Whether sending the request again is safe. */
  declare retrySafe?: RetrySafe;

  /**
   * `RemoteDisconnected` has two bases, as in Python; its prototype chain is that of
   * `Deno.errors.ConnectionReset`, so the check for the other base is made here.
   *
   * @param value The value to look at.
   * @returns Whether it is an instance of this class.
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return ordinaryHasInstance.call(this, value) ||
      ((this as unknown === HTTPException || this as unknown === BadStatusLine) &&
        ordinaryHasInstance.call(RemoteDisconnected, value));
  }
}

/**
 * There is no connection, and `auto_open` does not allow to make one.
 *
 * @category Errors
 * @example Forbid that a request connects by itself
 * ```ts
 * import { HTTPConnection, NotConnected } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * const conn = new HTTPConnection("example.com");
 * conn.auto_open = false;
 * await assertRejects(() => conn.request("GET", "/"), NotConnected);
 * ```
 */
export class NotConnected extends HTTPException {
  static {
    named(this, "NotConnected");
  }
}

/**
 * The host, the port or the request target is not usable in a request.
 *
 * @category Errors
 * @example Give a port that is no number
 * ```ts
 * import { HTTPConnection, InvalidURL } from "@denoports/http-client";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => new HTTPConnection("example.com:http"), InvalidURL);
 * ```
 */
export class InvalidURL extends HTTPException {
  static {
    named(this, "InvalidURL");
  }
}

/**
 * The server answered with a version of HTTP other than 1.x.
 *
 * @category Errors
 * @example Read an answer in another version of HTTP
 * ```ts
 * import { HTTPResponse, UnknownProtocol } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * const source = new Blob(["HTTP/2.0 200 OK\r\n\r\n"]).stream();
 * await assertRejects(() => new HTTPResponse(source).begin(), UnknownProtocol);
 * ```
 */
export class UnknownProtocol extends HTTPException {
  static {
    named(this, "UnknownProtocol");
  }
  /** The version as the server spelled it, such as `"HTTP/2.0"`. */
  readonly version: string;

  /**
   * Makes an error.
   *
   * @param version The version as the server spelled it.
   */
  constructor(version: string) {
    super(`Cannot read response: unknown protocol ${JSON.stringify(version)}`);
    this.version = version;
  }
}

/**
 * The response has a `Transfer-Encoding` other than exactly `chunked` (RFC 9112, Section 6.1).
 *
 * @category Errors
 * @example Read an answer in a coding that is not known
 * ```ts
 * import { HTTPResponse, UnknownTransferEncoding } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * const source = new Blob(["HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\n"]).stream();
 * await assertRejects(() => new HTTPResponse(source).begin(), UnknownTransferEncoding);
 * ```
 */
export class UnknownTransferEncoding extends HTTPException {
  static {
    named(this, "UnknownTransferEncoding");
  }
}

/**
 * Kept for ports of Python code; neither Python nor this library throws it.
 *
 * @category Errors
 * @example Catch it with all others of this library
 * ```ts
 * import { HTTPException, UnimplementedFileMode } from "@denoports/http-client";
 * import { assert } from "@std/assert";
 *
 * assert(new UnimplementedFileMode("x") instanceof HTTPException);
 * ```
 */
export class UnimplementedFileMode extends HTTPException {
  static {
    named(this, "UnimplementedFileMode");
  }
}

/**
 * The connection ended, or its framing broke, before the whole message had arrived.
 * Where the framing broke, `cause` is the {@linkcode ProtocolError}.
 *
 * @category Errors
 * @example Keep what came of a body that was cut off
 * ```ts
 * import { HTTPResponse, IncompleteRead } from "@denoports/http-client";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const source = new Blob(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"]).stream();
 * const response = new HTTPResponse(source);
 * await response.begin();
 * const error = await assertRejects(() => response.read(), IncompleteRead);
 * assertEquals([new TextDecoder().decode(error.partial), error.expected], ["hello", 4]);
 * ```
 */
export class IncompleteRead extends HTTPException {
  static {
    named(this, "IncompleteRead");
  }
  /** The bytes that the failing call had read. */
  readonly partial: Uint8Array;
  /** How many more bytes were expected, or `null` where the framing does not tell. */
  readonly expected: number | null;

  /**
   * Makes an error.
   *
   * @param partial The bytes that had been read.
   * @param expected How many more bytes were expected, or `null`.
   * @param options The `cause`.
   */
  constructor(partial: Uint8Array, expected: number | null = null, options?: ErrorOptions) {
    const more = expected === null ? "" : `, ${expected} more expected`;
    super(`Cannot read to the end: ${partial.length} bytes read${more}`, options);
    this.partial = partial;
    this.expected = expected;
  }
}

/**
 * The base class of the exceptions for a call that the connection's state does not allow.
 *
 * @category Errors
 * @example Take over a connection that has not switched protocols
 * ```ts
 * import { HTTPConnection, ImproperConnectionState } from "@denoports/http-client";
 * import { assertThrows } from "@std/assert";
 *
 * const conn = new HTTPConnection("example.com");
 * assertThrows(() => conn.detach(), ImproperConnectionState);
 * ```
 */
export class ImproperConnectionState extends HTTPException {
  static {
    named(this, "ImproperConnectionState");
  }
}

/**
 * A request cannot be started: the one before is not sent, or its response not received.
 *
 * @category Errors
 * @example Begin a request while another one is begun
 * ```ts
 * import { CannotSendRequest, HTTPConnection } from "@denoports/http-client";
 * import { assertThrows } from "@std/assert";
 *
 * const conn = new HTTPConnection("example.com");
 * conn.putrequest("GET", "/first");
 * assertThrows(() => conn.putrequest("GET", "/second"), CannotSendRequest);
 * ```
 */
export class CannotSendRequest extends ImproperConnectionState {
  static {
    named(this, "CannotSendRequest");
  }
}

/**
 * A header can only be put after `putrequest()` and before `endheaders()`.
 *
 * @category Errors
 * @example Put a field before the request is begun
 * ```ts
 * import { CannotSendHeader, HTTPConnection } from "@denoports/http-client";
 * import { assertThrows } from "@std/assert";
 *
 * const conn = new HTTPConnection("example.com");
 * assertThrows(() => conn.putheader("Accept", "text/plain"), CannotSendHeader);
 * ```
 */
export class CannotSendHeader extends ImproperConnectionState {
  static {
    named(this, "CannotSendHeader");
  }
}

/**
 * There is no response to get: no request was sent, or the response before is not read.
 *
 * @category Errors
 * @example Ask for a response without a request
 * ```ts
 * import { HTTPConnection, ResponseNotReady } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * const conn = new HTTPConnection("example.com");
 * await assertRejects(() => conn.getresponse(), ResponseNotReady);
 * ```
 */
export class ResponseNotReady extends ImproperConnectionState {
  static {
    named(this, "ResponseNotReady");
  }
}

/**
 * The server's first line is not a status line that can be understood (RFC 9112, Section 4).
 *
 * @category Errors
 * @example Talk to a server that speaks another protocol
 * ```ts
 * import { BadStatusLine, HTTPResponse } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * const source = new Blob(["SSH-2.0-OpenSSH_9.9\r\n"]).stream();
 * await assertRejects(() => new HTTPResponse(source).begin(), BadStatusLine);
 * ```
 */
export class BadStatusLine extends HTTPException {
  static {
    named(this, "BadStatusLine");
  }
  /** The line as it was received, decoded as ISO-8859-1; `"''"` for an empty one, as in Python. */
  readonly line: string;

  /**
   * Makes an error.
   *
   * @param line The line as it was received.
   * @param message The message, if it is not the usual one.
   */
  constructor(line: string, message?: string) {
    super(message ?? `Cannot read status line: got ${JSON.stringify(line)}`);
    this.line = line === "" ? "''" : line;
  }
}

/**
 * The server sent a line that is longer than the limit.
 *
 * @category Errors
 * @example Read a field that is too long
 * ```ts
 * import { HTTPResponse, LineTooLong } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * const field = `X-Long: ${"x".repeat(70_000)}\r\n`;
 * const source = new Blob([`HTTP/1.1 200 OK\r\n${field}\r\n`]).stream();
 * await assertRejects(() => new HTTPResponse(source).begin(), LineTooLong);
 * ```
 */
export class LineTooLong extends HTTPException {
  static {
    named(this, "LineTooLong");
  }

  /**
   * Makes an error.
   *
   * @param line_type What was read, such as `"header line"`.
   * @param limit The limit in bytes.
   */
  constructor(line_type: string, limit = 65536) {
    super(`Cannot read ${line_type}: got more than ${limit} bytes`);
  }
}

/**
 * The server closed the connection without an answer. It is both a {@linkcode BadStatusLine} and a
 * `Deno.errors.ConnectionReset`: `instanceof` holds for either.
 *
 * @category Errors
 * @example Tell a dead connection from a bad answer
 * ```ts
 * import { BadStatusLine, RemoteDisconnected } from "@denoports/http-client";
 * import { assert } from "@std/assert";
 *
 * const error = new RemoteDisconnected();
 * assert(error instanceof BadStatusLine);
 * assert(error instanceof Deno.errors.ConnectionReset);
 * ```
 */
export class RemoteDisconnected extends BadStatusLine {
  static {
    named(this, "RemoteDisconnected");
    Object.setPrototypeOf(this.prototype, errors.ConnectionReset.prototype);
  }

  /**
   * Makes an error.
   *
   * @param message The message, if it is not the usual one.
   */
  constructor(message = "Cannot read response: the server closed the connection without one") {
    super("", message);
  }
}

/**
 * What of an `HTTPMessage` a {@linkcode TunnelError} shows; the object is one.
 *
 * @category Errors
 */
export interface ProxyHeaders extends Iterable<[string, string]> {
  /** The first value of a field, or `null`. */
  get(name: string): string | null;
  /** All values of a field, or `null`. */
  get_all(name: string): string[] | null;
  /** Whether there is such a field. */
  has(name: string): boolean;
  /** The fields as pairs, in their order. */
  items(): [string, string][];
}

/**
 * What a proxy answered to a `CONNECT` that it refused. Python throws an `OSError` here.
 *
 * @category Errors
 * @example See why a proxy refuses
 * ```ts
 * import { HTTPSConnection, TunnelError } from "@denoports/http-client";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const proxy = Deno.listen({ port: 0, hostname: "127.0.0.1" });
 * const refusing = (async () => {
 *   using peer = await proxy.accept();
 *   await peer.read(new Uint8Array(1024));
 *   const answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
 *   await peer.write(new TextEncoder().encode(answer));
 * })();
 *
 * using conn = new HTTPSConnection("127.0.0.1", proxy.addr.port);
 * conn.set_tunnel("example.com");
 * const error = await assertRejects(() => conn.connect(), TunnelError);
 * assertEquals(error.status, 407);
 * await refusing;
 * proxy.close();
 * ```
 */
export class TunnelError extends HTTPException {
  static {
    named(this, "TunnelError");
  }
  /** The proxy's status code, such as `407`. */
  readonly status: number;
  /** The proxy's reason phrase. */
  readonly reason: string;
  /** The proxy's header fields, in their order. */
  readonly headers: ProxyHeaders;

  /**
   * Makes an error.
   *
   * @param status The proxy's status code.
   * @param reason The proxy's reason phrase.
   * @param headers The proxy's header fields.
   */
  constructor(status: number, reason: string, headers: ProxyHeaders) {
    super(`Cannot open tunnel: the proxy answered ${status} ${reason}`.trimEnd());
    this.status = status;
    this.reason = reason;
    this.headers = headers;
  }
}

/**
 * The peer's framing is one that RFC 9112 forbids, so where the message ends is not known.
 *
 * @category Errors
 * @example Refuse framing that could be read in two ways
 * ```ts
 * import { HTTPResponse, ProtocolError } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * const head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n";
 * const source = new Blob([head]).stream();
 * await assertRejects(() => new HTTPResponse(source).begin(), ProtocolError);
 * ```
 */
export class ProtocolError extends HTTPException {
  static {
    named(this, "ProtocolError");
  }
}

// CPython: the old name of the base class, kept for code that catches it.
export { HTTPException as error };
