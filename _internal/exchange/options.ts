/**
 * What users can set, and what of it goes together.
 *
 * @module
 */
import type { HTTPMessage } from "../../headers.ts";
import { messageOf } from "../../headers.ts";
import { DEFAULT_SETTINGS, type ResponseSettings } from "./connection.ts";
import { DEFAULT_LIMITS } from "../wire/field_section.ts";
import {
  anything,
  callback,
  checkedCopy,
  checkOptionsOf,
  flag,
  type Known,
  limit,
  name,
  oneOf,
  type OptionsOf,
  seconds,
  secondsOrNull,
  secret,
  signal,
  size,
  sourceAddress,
  texts,
} from "../wire/option_check.ts";
import { type ExchangeLimits, NO_LIMITS } from "./exchange.ts";
import type { Trailers } from "../wire/request_head.ts";
import { checkCertificates, type TLSContext } from "../net/tls.ts";
import type { Trace } from "./trace.ts";
import type { Transport } from "../net/transport.ts";

/**
 * Deadlines in seconds: bytes that a server sends one at a time do not extend them.
 *
 * @category Connections
 *
 * @example Wait no longer than that for a server
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * // It accepts connections, and never answers.
 * using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port, {
 *   deadlines: { connect: 5, tls: 5, head: 0.05, bodyIdle: 30, total: 300 },
 * });
 * await conn.request("GET", "/");
 * await assertRejects(() => conn.getresponse(), Deno.errors.TimedOut, "head");
 * ```
 */
export interface Deadlines {
  /** To connect, name resolution included. */
  connect?: number;
  /** For the TLS handshake. */
  tls?: number;
  /**
   * From the last byte of the request that was sent, or the first `getresponse()`, to the end of the
   * response's head, interim responses included.
   */
  head?: number;
  /** Between two pieces of the body. */
  bodyIdle?: number;
  /** From the call that starts a request to the end of its response. */
  total?: number;
}

/**
 * Limits of what is taken from a server.
 *
 * @category Connections
 *
 * @example Take less from a server than by default
 * ```ts
 * import { HTTPConnection, HTTPException } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));
 *
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port, {
 *   maxLineBytes: 8192,
 *   maxHeaderBytes: 32768,
 *   max_response_headers: 50,
 *   maxInterimResponses: 5,
 *   maxTrailers: 10,
 *   maxChunkExtensionBytes: 1024,
 *   maxBodyBytes: 4,
 * });
 * await conn.request("GET", "/");
 * await assertRejects(async () => {
 *   const response = await conn.getresponse();
 *   await response.read();
 * }, HTTPException);
 * ```
 */
export interface Limits {
  /**
   * Bytes of a status line, field line, chunk-size line or trailer line: `LineTooLong`.
   *
   * @default {65536}
   */
  maxLineBytes?: number;
  /**
   * Bytes of a response head, an interim one included, or of a trailer section: `HTTPException`.
   *
   * @default {1048576}
   */
  maxHeaderBytes?: number;
  /**
   * Field lines of a response head, Python's name: `HTTPException`.
   *
   * @default {100}
   */
  max_response_headers?: number;
  /**
   * Interim responses before the final one: `HTTPException`.
   *
   * @default {100}
   */
  maxInterimResponses?: number;
  /**
   * Trailer lines: `HTTPException`.
   *
   * @default {100}
   */
  maxTrailers?: number;
  /**
   * Bytes of chunk extensions, padding and leading zeros of a body: `HTTPException`. The first 256 bytes of
   * each size line are not counted, and every byte of data makes up for one.
   *
   * @default {65536}
   */
  maxChunkExtensionBytes?: number;
  /**
   * Bytes of a body: `HTTPException`. Not limited by default.
   *
   * @default {Infinity}
   */
  maxBodyBytes?: number;
}

/**
 * Options of `HTTPConnection`.
 *
 * @category Connections
 *
 * @example Set a timeout for each step, and deadlines for the whole
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));
 *
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port, {
 *   timeout: 10,
 *   deadlines: { total: 60 },
 * });
 * await conn.request("GET", "/");
 * assertEquals(await (await conn.getresponse()).text(), "hello");
 * ```
 *
 * @example Choose the address to connect from, and the one to connect to
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
 * await using server = Deno.serve(options, (request, { remoteAddr }) =>
 *   new Response(`${request.headers.get("host")} from ${remoteAddr.hostname}`)
 * );
 * using conn = new HTTPConnection("example.com", server.addr.port, {
 *   address: "127.0.0.1",
 *   source_address: ["127.0.0.1", 0],
 * });
 * await conn.request("GET", "/");
 * const text = await (await conn.getresponse()).text();
 * assertEquals(text, `example.com:${server.addr.port} from 127.0.0.1`);
 * ```
 *
 * @example Talk to a unix socket
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const socketPath = `${await Deno.makeTempDir()}/server.sock`;
 * await using _server = Deno.serve({ path: socketPath, onListen() {} }, () => new Response("hello"));
 *
 * using conn = new HTTPConnection("localhost", { socketPath });
 * await conn.request("GET", "/");
 * assertEquals(await (await conn.getresponse()).text(), "hello");
 * ```
 *
 * @example Talk over a transport of your own
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const answer = new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
 * let sent = "";
 * using conn = new HTTPConnection("example.com", {
 *   transport: () =>
 *     Promise.resolve({
 *       read(p: Uint8Array) {
 *         p.set(answer);
 *         return Promise.resolve(answer.length);
 *       },
 *       write(p: Uint8Array) {
 *         sent += new TextDecoder().decode(p);
 *         return Promise.resolve(p.length);
 *       },
 *       close() {},
 *     }),
 * });
 * await conn.request("GET", "/");
 * assertEquals(await (await conn.getresponse()).text(), "hello");
 * assertEquals(sent, "GET / HTTP/1.1\r\nHost: example.com\r\nAccept-Encoding: identity\r\n\r\n");
 * ```
 *
 * @example Print or keep what happens
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));
 *
 * const events: string[] = [];
 * const lines: string[] = [];
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port, {
 *   trace: ({ type }) => events.push(type),
 *   debug: (line) => lines.push(line),
 * });
 * conn.set_debuglevel(1);
 * await conn.request("GET", "/");
 * await (await conn.getresponse()).read();
 * assertEquals(events.slice(0, 3), ["connectStart", "connected", "requestStart"]);
 * assertEquals(lines[0], `send: b'GET / HTTP/1.1\\r\\nHost: 127.0.0.1:${server.addr.port}\\r\\n` +
 *   "Accept-Encoding: identity\\r\\n\\r\\n'");
 * ```
 *
 * @example See interim responses
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const served = listener.accept().then(async (peer) => {
 *   await peer.read(new Uint8Array(1000));
 *   await peer.write(new TextEncoder().encode(
 *     "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
 *   ));
 *   peer.close();
 * });
 * const hints: (string | null)[] = [];
 * using conn = new HTTPConnection("127.0.0.1", listener.addr.port, {
 *   onInformational: (_status, _reason, headers) => hints.push(headers.get("link")),
 * });
 * await conn.request("GET", "/");
 * assertEquals((await conn.getresponse()).status, 204);
 * assertEquals(hints, ["</a.css>"]);
 * await served;
 * ```
 *
 * @example Speak HTTP/1.0, and read bodies in larger pieces
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * using conn = new HTTPConnection("example.com", { httpVersion: 10, blocksize: 65536 });
 * assertEquals([conn.httpVersion, conn.blocksize], [10, 65536]);
 * ```
 */
export interface HTTPConnectionOptions extends Limits {
  /**
   * Seconds that a blocking operation may take: to connect, to shake hands, each read, each write. Time
   * that is spent on a body's source does not count. No limit by default.
   *
   * @default {null}
   */
  timeout?: number | null;
  /**
   * The address to connect from, as host and port. An empty host and port 0 let the system choose; a name is
   * looked up.
   */
  source_address?: [host: string, port: number] | null;
  /**
   * The size in bytes of the pieces in which a body that is a `Reader` is read.
   *
   * @default {8192}
   */
  blocksize?: number;
  /** Deadlines for the parts of an exchange. */
  deadlines?: Deadlines;
  /** Called with each interim response (1xx other than 101), in order. */
  onInformational?: (status: number, reason: string, headers: HTTPMessage) => void;
  /**
   * The version of the requests, that of a tunnel's CONNECT included: 10 for HTTP/1.0, 11 for HTTP/1.1
   * (Python: `_http_vsn`). With 10 neither `Host` nor `Accept-Encoding` is generated, and a chunked body,
   * trailers and `Expect` are a `TypeError`.
   *
   * @default {11}
   */
  httpVersion?: 10 | 11;
  /** A unix socket to connect to, by its path; the host is still what `Host` says. */
  socketPath?: string;
  /** Where to connect to: a host name or an address, in place of the host; the host is still what `Host` says. */
  address?: string;
  /** Makes what to talk over, in place of a connection of this library's. */
  transport?: () => Promise<Transport>;
  /** Gets each event of the exchanges, from connect to close. */
  trace?: Trace;
  /**
   * Takes the lines that are printed at a `debuglevel` over 0, in place of the console. They show all, as in
   * Python: passwords and cookies, too. What it throws fails the exchange.
   */
  debug?: (line: string) => void;
}

/**
 * Options of `HTTPSConnection`.
 *
 * @category Connections
 *
 * @example Trust a CA of your own
 * ```ts
 * import { HTTPSConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const context = { caCerts: [await Deno.readTextFile("tests/tls/ca.pem")] };
 * using conn = new HTTPSConnection("service.internal", { context });
 * assertEquals(conn.port, 443);
 * ```
 */
export interface HTTPSConnectionOptions extends HTTPConnectionOptions {
  /** How TLS is done. */
  context?: TLSContext;
}

/**
 * Options of a request.
 *
 * @category Connections
 *
 * @example Limit one request, and end it by a signal
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * // It accepts connections, and never answers.
 * using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port);
 * await conn.request("GET", "/", null, {}, { timeout: 0.05 });
 * await assertRejects(() => conn.getresponse(), Deno.errors.TimedOut);
 *
 * const controller = new AbortController();
 * await conn.request("GET", "/", null, {}, { signal: controller.signal });
 * controller.abort(new Error("enough"));
 * await assertRejects(() => conn.getresponse(), Error, "enough");
 * ```
 *
 * @example Send trailers behind a chunked body
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const received = listener.accept().then(async (peer) => {
 *   const text = await new Response(peer.readable).text();
 *   return text.slice(text.indexOf("\r\n\r\n") + 4);
 * });
 * {
 *   using conn = new HTTPConnection("127.0.0.1", listener.addr.port);
 *   const headers = { "Transfer-Encoding": "chunked" };
 *   const options = { encode_chunked: true, trailers: { "X-Sum": "13" } };
 *   await conn.request("POST", "/", ["hello"], headers, options);
 * }
 * assertEquals(await received, "5\r\nhello\r\n0\r\nX-Sum: 13\r\n\r\n");
 * ```
 *
 * @example Ask before a large body is sent
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve(
 *   { port: 0, onListen() {} },
 *   async (request) => new Response(`${(await request.bytes()).length} bytes`),
 * );
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port);
 * // A server that says nothing is sent the body after 5 seconds.
 * await conn.request("PUT", "/", new Uint8Array(100_000), {}, { expect_continue: 5 });
 * assertEquals(await (await conn.getresponse()).text(), "100000 bytes");
 * ```
 */
export interface RequestOptions {
  /**
   * Whether the body is to be chunked where a `Transfer-Encoding` field was given.
   *
   * @default {false}
   */
  encode_chunked?: boolean | undefined;
  /** Aborts the exchange: the connection is closed, and what waits throws the signal's reason. */
  signal?: AbortSignal | null;
  /**
   * Fields to send after a chunked body, or a function that is called for them when the body is out.
   * The names of fields that are given are announced in a `Trailer` field unless there is one.
   */
  trailers?: Trailers;
  /**
   * Sends `Expect: 100-continue` and waits for the server to say so, or for a final answer, before the
   * body is sent: for ever, or for so many seconds.
   *
   * @default {false}
   */
  expect_continue?: boolean | number;
  /**
   * Seconds that each read, each write and connecting may take in this exchange, in place of the
   * connection's `timeout`; `null` for no limit.
   */
  timeout?: number | null;
}

/**
 * Options of `getresponse()`.
 *
 * @category Connections
 *
 * @example Wait for a response no longer than a signal allows
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertRejects } from "@std/assert";
 *
 * // It accepts connections, and never answers.
 * using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port);
 * await conn.request("GET", "/");
 * const controller = new AbortController();
 * const responding = conn.getresponse({ signal: controller.signal });
 * controller.abort(new Error("enough"));
 * await assertRejects(() => responding, Error, "enough");
 * ```
 */
export interface ResponseOptions {
  /** Aborts the exchange: the connection is closed, and what waits throws the signal's reason. */
  signal?: AbortSignal | null;
}

/**
 * What `putrequest()` leaves out, as an object instead of two positions.
 *
 * @category Connections
 *
 * @example Send exactly the fields that you put
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const received = listener.accept().then((peer) => new Response(peer.readable).text());
 * {
 *   using conn = new HTTPConnection("127.0.0.1", listener.addr.port);
 *   conn.putrequest("GET", "/", { skip_host: true, skip_accept_encoding: true });
 *   conn.putheader("host", "example.com");
 *   await conn.endheaders();
 * }
 * assertEquals(await received, "GET / HTTP/1.1\r\nhost: example.com\r\n\r\n");
 * ```
 */
export interface PutRequestOptions {
  /**
   * Leaves out the generated `Host`.
   *
   * @default {false}
   */
  skip_host?: boolean;
  /**
   * Leaves out `Accept-Encoding: identity`.
   *
   * @default {false}
   */
  skip_accept_encoding?: boolean;
}

/**
 * What a connection that switched protocols hands over.
 *
 * @category Connections
 */
export interface Detached extends Disposable {
  /** The transport; what was read ahead of it is in `buffered` only. */
  transport: Transport;
  /** Bytes that came behind the response's head. */
  buffered: Uint8Array;
  /** What the peer sends, `buffered` first. Cancelling it closes the transport. */
  readable: ReadableStream<Uint8Array>;
  /** What goes to the peer. Closing it ends the sending side, aborting it closes the transport. */
  writable: WritableStream<Uint8Array>;
  /** Closes the transport, unless it is closed. */
  [Symbol.dispose](): void;
}

const DEADLINES: OptionsOf<keyof Deadlines> = {
  of: "deadlines",
  prefix: "deadlines.",
  known: { connect: seconds, tls: seconds, head: seconds, bodyIdle: seconds, total: seconds },
  meanings: {
    body: "deadlines.bodyIdle",
    handshake: "deadlines.tls",
    header: "deadlines.head",
    headers: "deadlines.head",
    idle: "deadlines.bodyIdle",
    overall: "deadlines.total",
    read: "timeout",
    response: "deadlines.head",
    timeout: "timeout",
    write: "timeout",
  },
};

const CONTEXT: OptionsOf<keyof TLSContext> = {
  of: "context",
  prefix: "context.",
  known: {
    caCerts: texts,
    cert: secret,
    key: secret,
    alpnProtocols: texts,
    server_hostname: name,
    check_hostname: flag,
    verify_mode: oneOf("CERT_REQUIRED", "CERT_NONE"),
    suppress_ragged_eofs: flag,
    load_default_certs: flag,
    password: secret,
    passphrase: secret,
  },
  meanings: {
    ca: "context.caCerts",
    cadata: "context.caCerts",
    cafile: "context.caCerts",
    certchain: "context.cert",
    certfile: "context.cert",
    hostname: "context.server_hostname",
    keyfile: "context.key",
    passphrase: "context.password",
    privatekey: "context.key",
    rejectunauthorized: 'context.verify_mode, "CERT_NONE" for false',
    servername: "context.server_hostname",
    sni: "context.server_hostname",
  },
};

/** What other libraries call what is here, and what stands elsewhere. */
const CONNECTION_MEANINGS: Record<string, string> = {
  ...prefixed(DEADLINES),
  ...prefixed(CONTEXT),
  ...DEADLINES.meanings,
  ...CONTEXT.meanings,
  agent: "one connection object for each connection",
  bodytimeout: "deadlines.bodyIdle",
  ciphers: "context, which has no such option",
  connecttimeout: "deadlines.connect",
  debuglevel: "conn.debuglevel, or set_debuglevel()",
  handshaketimeout: "deadlines.tls",
  headers: "the headers of request(), its fourth argument",
  headerstimeout: "deadlines.head",
  headtimeout: "deadlines.head",
  host: "the host, the first argument",
  hostname: "the host, the first argument",
  keepalive: "nothing: a connection is kept, unless a request has Connection: close",
  localaddress: "source_address",
  lookup: "address, or transport",
  maxheadersize: "maxHeaderBytes",
  maxresponsesize: "maxBodyBytes",
  onheaders: "trace",
  path: "socketPath",
  port: "the port, the second argument",
  proxy: "set_tunnel()",
  read: "timeout",
  requesttimeout: "deadlines.total",
  response: "deadlines.head",
  signal: "signal, an option of request() and getresponse()",
  socket: "transport, or conn.sock",
  timeoutms: "timeout, in seconds",
  timeoutmillis: "timeout, in seconds",
  timeoutseconds: "timeout",
  tls: "deadlines.tls, or context",
  tunnel: "set_tunnel()",
  unixsocket: "socketPath",
};

/** Each option by its name, as one that stands in an object within the options. */
function prefixed({ known, prefix }: OptionsOf): Record<string, string> {
  return Object.fromEntries(
    Object.keys(known).map((key) => [key.toLowerCase().replace(/_/g, ""), prefix + key]),
  );
}

const CONNECTION: Known<keyof HTTPSConnectionOptions> = {
  timeout: secondsOrNull,
  source_address: sourceAddress,
  blocksize: size,
  httpVersion: oneOf(10, 11),
  deadlines: (_name, value) => checkOptionsOf(value, DEADLINES),
  onInformational: callback,
  socketPath: name,
  address: name,
  transport: callback,
  trace: callback,
  debug: callback,
  context: (_name, value) => checkContext(value as TLSContext),
  maxLineBytes: limit,
  maxHeaderBytes: limit,
  max_response_headers: limit,
  maxInterimResponses: limit,
  maxTrailers: limit,
  maxChunkExtensionBytes: limit,
  maxBodyBytes: limit,
};

const HTTP: OptionsOf = {
  of: "HTTPConnection",
  known: CONNECTION,
  meanings: CONNECTION_MEANINGS,
};
const HTTPS: OptionsOf = { ...HTTP, of: "HTTPSConnection" };

/** What is set on a connection later is checked as the option of that name. */
export const SETTABLE: Known<"timeout" | "source_address" | "blocksize" | "httpVersion"> =
  CONNECTION;

/**
 * Refuses options that make no sense, or not together: no option is ignored.
 *
 * @returns A copy: what is changed later goes unchecked.
 */
export function checkOptions(
  options: HTTPSConnectionOptions,
  tls: boolean,
): HTTPSConnectionOptions {
  if (options === NO_OPTIONS) return options;
  if (typeof options === "number") {
    throw new TypeError(
      `Cannot use the options of ${
        (tls ? HTTPS : HTTP).of
      } as they must be an object: got ${options}, did you mean { timeout: ${options} }`,
    );
  }
  if (!tls && options?.context !== undefined) {
    throw new TypeError("Cannot connect: context is for an HTTPSConnection");
  }
  const copy = checkedCopy(options, tls ? HTTPS : HTTP);
  const ways = (["transport", "socketPath", "address"] as const)
    .filter((name) => copy[name] !== undefined);
  if (ways.length > 1) {
    throw new TypeError(`Cannot connect: ${ways.join(" and ")} exclude each other`);
  }
  if (copy.source_address && ways.length === 1 && ways[0] !== "address") {
    throw new TypeError(`Cannot connect: ${ways[0]} and source_address exclude each other`);
  }
  if (copy.deadlines !== undefined) copy.deadlines = checkedCopy(copy.deadlines, DEADLINES);
  if (copy.context !== undefined) copy.context = checkedCopy(copy.context, CONTEXT);
  return copy;
}

function checkContext(context: TLSContext): void {
  checkOptionsOf(context, CONTEXT);
  if ((context.cert === undefined) !== (context.key === undefined)) {
    throw new TypeError("Cannot use context: cert and key go together");
  }
  checkCertificates(context.caCerts ?? []);
}

const REQUEST_MEANINGS: Record<string, string> = {
  abortsignal: "signal",
  body: "the body, the third argument",
  chunked: "encode_chunked",
  deadline: "deadlines, an option of the connection",
  deadlines: "deadlines, an option of the connection",
  expect: "expect_continue",
  headers: "the headers of request(), its fourth argument",
  host: "skip_host, an option of putrequest(), or a Host field",
  method: "the method, the first argument",
  timeout: "timeout, an option of request() and of the connection",
  timeoutms: "timeout, in seconds",
  trailer: "trailers",
  url: "the target, the second argument",
};

const REQUEST: OptionsOf<keyof RequestOptions> = {
  of: "a request",
  known: {
    encode_chunked: flag,
    signal,
    // Checked with the body: see `outgoing`.
    trailers: anything,
    expect_continue: anything,
    timeout: secondsOrNull,
  },
  meanings: REQUEST_MEANINGS,
};

const RESPONSE: OptionsOf<keyof ResponseOptions> = {
  of: "getresponse()",
  known: { signal },
  meanings: REQUEST_MEANINGS,
};

const PUTREQUEST: OptionsOf<keyof PutRequestOptions> = {
  of: "putrequest()",
  known: { skip_host: flag, skip_accept_encoding: flag },
  meanings: { ...REQUEST_MEANINGS, headers: "putheader()", body: "endheaders()" },
};

/** No options: nothing to check. */
export const NO_OPTIONS: Readonly<Record<never, never>> = Object.freeze({});

/** Refuses options of a request that make no sense. */
export function checkRequestOptions(options: RequestOptions): void {
  if (options !== NO_OPTIONS) checkOptionsOf(options, REQUEST);
}

/** Refuses options of `getresponse()` that make no sense. */
export function checkResponseOptions(options: ResponseOptions): void {
  if (options !== NO_OPTIONS) checkOptionsOf(options, RESPONSE);
}

/** Refuses options of `putrequest()` that make no sense. */
export function checkPutRequestOptions(options: PutRequestOptions): void {
  checkOptionsOf(options, PUTREQUEST);
}

/** What of a connection's options limits the time of an exchange. */
export function limitsOf(
  timeout: number | null,
  deadlines: Deadlines | undefined,
): ExchangeLimits {
  if (timeout === null && deadlines === undefined) return NO_LIMITS;
  // A field of a subclass is set by no setter.
  if (timeout !== null) seconds("timeout", timeout);
  return { ...deadlines, timeout };
}

/** What applies to the responses of a connection. */
export function settingsOf(options: HTTPSConnectionOptions): ResponseSettings {
  if (options === NO_OPTIONS) return DEFAULT_SETTINGS;
  const { onInformational } = options;
  const line = options.maxLineBytes ?? DEFAULT_LIMITS.line;
  const bytes = options.maxHeaderBytes ?? DEFAULT_LIMITS.bytes;
  return {
    head: { line, bytes, count: options.max_response_headers ?? DEFAULT_LIMITS.count },
    trailers: { line, bytes, count: options.maxTrailers ?? DEFAULT_LIMITS.count },
    extensions: options.maxChunkExtensionBytes ?? DEFAULT_SETTINGS.extensions,
    maxInterim: options.maxInterimResponses ?? DEFAULT_SETTINGS.maxInterim,
    maxBodyBytes: options.maxBodyBytes ?? DEFAULT_SETTINGS.maxBodyBytes,
    suppressRaggedEofs: options.context?.suppress_ragged_eofs ?? false,
    onInterim: onInformational === undefined
      ? null
      : (head) => onInformational(head.status, head.reason, messageOf(head.fields, head.defects)),
    debug: options.debug ?? null,
  };
}
