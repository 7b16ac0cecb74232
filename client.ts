/**
 * `HTTPConnection` and `HTTPSConnection`: requests and responses over one connection at a time.
 *
 * @module
 */
import {
  CannotSendRequest,
  type ExchangeDetails,
  ImproperConnectionState,
  NotConnected,
  ResponseNotReady,
} from "./errors.ts";
import type { HTTPMessage } from "./headers.ts";
import { awaitsAnswer, HTTPResponse, takeAnswer } from "./response.ts";
import { HTTP_PORT, HTTPS_PORT } from "./status.ts";
import type { Connection } from "./_internal/exchange/connection.ts";
import { Connections } from "./_internal/exchange/connections.ts";
import type { Plan } from "./_internal/exchange/connector.ts";
import { delivered, Exchange, interrupted, Thrown } from "./_internal/exchange/exchange.ts";
import {
  checkOptions,
  checkPutRequestOptions,
  checkRequestOptions,
  checkResponseOptions,
  type Detached,
  type HTTPConnectionOptions,
  type HTTPSConnectionOptions,
  limitsOf,
  NO_OPTIONS,
  type PutRequestOptions,
  type RequestOptions,
  type ResponseOptions,
  SETTABLE,
  settingsOf,
} from "./_internal/exchange/options.ts";
import { contentOf, type RequestBody, requestFields } from "./_internal/exchange/request_body.ts";
import {
  more,
  type Outgoing,
  outgoing,
  sendError,
  sendRequest,
} from "./_internal/exchange/send_request.ts";
import { call, CALL_STEPS, type CallState, type Step } from "./_internal/exchange/states.ts";
import { deferred } from "./_internal/net/platform.ts";
import type { TLSContext } from "./_internal/net/tls.ts";
import { closeQuietly, type Transport } from "./_internal/net/transport.ts";
import { streamsOf } from "./_internal/net/transport_streams.ts";
import { type Tunnel, tunnelTo } from "./_internal/net/tunnel.ts";
import {
  authorityOf,
  hostField,
  type HostPort,
  splitAddress,
  splitHostPort,
  uriHost,
  urlOf,
} from "./_internal/wire/authority.ts";
import { inspectable, showFacts } from "./_internal/wire/inspect.ts";
import {
  type Check,
  check,
  checkTransport,
  level,
  port as checkPort,
  text as checkText,
} from "./_internal/wire/option_check.ts";
import {
  fieldOf,
  fieldPairs,
  type FieldValue,
  hasField,
  type HeaderFields,
  type HTTPVersion,
  RequestHead,
} from "./_internal/wire/request_head.ts";

/** `null`, or what {@linkcode checkTransport} takes. */
const checkSock: Check = (name, sock) => {
  if (sock !== null) checkTransport(name, sock);
};

/** What `new` may be called with; nothing of it is run to find out. */
const checkClass: Check = check("a class", (type) => {
  try {
    Reflect.construct(Object, [], type as new () => object);
    return true;
  } catch {
    return false;
  }
});

/** The arguments behind the host: the port may be left out. */
function portAndOptions<T extends HTTPConnectionOptions>(
  port: number | null | undefined | T,
  options: T,
): [number | null | undefined, T] {
  if (typeof port !== "object" || port === null) return [port, options];
  if (options !== NO_OPTIONS) {
    throw new TypeError(
      "Cannot use port as it must be a number or null before options: got an object",
    );
  }
  return [null, port];
}

/** The scheme of the URLs that a connection is for. */
function schemeOf(overTls: boolean): "https:" | "http:" {
  return overTls ? "https:" : "http:";
}

/** The host and the port of a URL. */
function hostOf(
  url: URL,
  port: number | null | undefined,
  overTls: boolean,
): [host: string, port: number] {
  const scheme = schemeOf(overTls);
  if (url.protocol !== scheme) {
    throw new TypeError(
      `Cannot use URL as host as its scheme must be ${scheme} for this class: got ${url.protocol}`,
    );
  }
  if (typeof port === "number") {
    throw new TypeError("Cannot use port beside a URL, which has its own: got both");
  }
  refuseUser(url, "host");
  // Without a port it means that of its scheme, whatever the default of the class is.
  const standard = overTls ? HTTPS_PORT : HTTP_PORT;
  return [url.hostname, url.port === "" ? standard : Number(url.port)];
}

/** A user and a password of a URL would be lost. */
function refuseUser({ username, password }: URL, use: string): void {
  if (username === "" && password === "") return;
  throw new TypeError(
    `Cannot use URL as ${use} as it has a user or a password: send them in an Authorization field`,
  );
}

/**
 * A property of classes and objects that is checked when it is set; who has set none has that of its class
 * or its base. On the prototype, so that a subclass may have a field of its name.
 */
function inheritable<T>(target: object, name: string, check: Check, value: T): PropertyDescriptor {
  // What is set stands under a symbol, and is inherited as any property is: quicker than to look for it.
  const given = Symbol(name);
  Object.defineProperty(target, given, { value, configurable: true });
  return {
    get(this: { [given]: T }) {
      return this[given];
    },
    set(this: object, value: T) {
      check(name, value);
      Object.defineProperty(this, given, { value, configurable: true });
    },
    enumerable: true,
    configurable: true,
  };
}

/** The `begin()` that this library knows: the one of the class may be replaced. */
const BEGIN = HTTPResponse.prototype.begin;

/** A property that is checked when it is set. On the prototype, so that a subclass may have a field of its name. */
function settable<T>(
  get: (conn: HTTPConnection) => T,
  set: (conn: HTTPConnection, value: T) => void,
): PropertyDescriptor & ThisType<HTTPConnection> {
  return {
    get() {
      return get(this);
    },
    set(value: T) {
      set(this, value);
    },
    enumerable: true,
    configurable: true,
  };
}

/**
 * A connection to an HTTP server, made when the first request is sent and again when a request needs a
 * new one. One request is sent at a time, and its response read before that of the next. No request is
 * ever sent twice. `console.log` shows its state, its peer and what failed last, and no secrets.
 *
 * @category Connections
 * @example Make a request
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));
 *
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port);
 * await conn.request("GET", "/");
 * const response = await conn.getresponse();
 * assertEquals([response.status, response.reason], [200, "OK"]);
 * assertEquals(await response.text(), "hello");
 * ```
 */
export class HTTPConnection implements Disposable, AsyncDisposable {
  /** The class of the responses; on the prototype, to be replaced in a subclass or an instance. */
  declare response_class: typeof HTTPResponse;
  /** The port where none is given. */
  declare default_port: number;
  /** Whether a request connects by itself where there is no connection. */
  declare auto_open: boolean | number;
  static {
    Object.defineProperties(this.prototype, {
      response_class: inheritable(this.prototype, "response_class", checkClass, HTTPResponse),
      default_port: inheritable(this.prototype, "default_port", checkPort, HTTP_PORT),
      auto_open: inheritable(this.prototype, "auto_open", level, 1),
      host: settable((conn) => conn.#host, (conn, host) => {
        // What is illegal in it is told by the request, as the constructor tells it: `InvalidURL`.
        checkText("host", host);
        conn.#host = host;
      }),
      port: settable((conn) => conn.#port, (conn, port) => {
        checkPort("port", port);
        conn.#port = port;
      }),
      timeout: settable((conn) => conn.#timeout, (conn, timeout) => {
        SETTABLE.timeout("timeout", timeout);
        conn.#timeout = timeout;
      }),
      source_address: settable((conn) => conn.#source, (conn, source) => {
        SETTABLE.source_address("source_address", source);
        conn.#source = source;
      }),
      httpVersion: settable((conn) => conn.#version, (conn, version) => {
        SETTABLE.httpVersion("httpVersion", version);
        conn.#version = version;
        const tunnel = conn.#tunnel;
        if (tunnel !== null) conn.#tunnel = tunnelTo(tunnel, tunnel.fields, version);
      }),
      blocksize: settable((conn) => conn.#blocksize, (conn, blocksize) => {
        SETTABLE.blocksize("blocksize", blocksize);
        conn.#blocksize = blocksize;
      }),
      debuglevel: settable(
        (conn) => conn.#debuglevel ?? (conn.constructor as typeof HTTPConnection).debuglevel,
        (conn, debuglevel) => {
          level("debuglevel", debuglevel);
          conn.#debuglevel = debuglevel;
        },
      ),
    });
    inspectable(this.prototype, "HTTPConnection", (conn, view) => {
      return showFacts(conn, #connections in conn ? conn.#facts() : {}, view);
    });
    Object.defineProperty(this, "debuglevel", inheritable(this, "debuglevel", level, 0));
  }

  /**
   * Over 0, what is sent and read is printed for every connection of this class, and of those that extend
   * it, that has set no level of its own.
   *
   * @default {0}
   *
   * @example Print what all connections send and read
   * ```ts
   * import { HTTPConnection } from "@denoports/http-client";
   * import { assertEquals } from "@std/assert";
   *
   * HTTPConnection.debuglevel = 1;
   * assertEquals(new HTTPConnection("example.com").debuglevel, 1);
   * HTTPConnection.debuglevel = 0;
   * ```
   */
  declare static debuglevel: number;
  /** The host, without brackets. */
  declare host: string;
  /** The port. */
  declare port: number;
  /** Seconds that a blocking operation may take, or `null`. */
  declare timeout: number | null;
  /** The address to connect from, or `null`. */
  declare source_address: [host: string, port: number] | null;
  /** The size in bytes of the pieces in which a body that is a `Reader` is read. */
  declare blocksize: number;
  /** The version of the requests: 10 or 11. */
  declare httpVersion: 10 | 11;
  /**
   * Over 0, what is sent and read is printed: to the console, or to the option `debug`. Passwords and
   * cookies are part of it, as in Python. It is the static one until it is set.
   */
  declare debuglevel: number;

  #host: string;
  #port: number;
  #timeout: number | null;
  #source: [host: string, port: number] | null;
  #blocksize: number;
  #version: HTTPVersion;
  #debuglevel: number | null = null;
  #options: HTTPConnectionOptions;
  #hostKnown = { host: "", port: -1, standard: -1, field: "" };
  #context: TLSContext | null;
  #connections: Connections;
  #state: CallState = "Idle";
  /** The request in the making. */
  #head: RequestHead | null = null;
  /** The exchange that was begun last. */
  #exchange: Exchange | null = null;
  /** The same where `send()` may go on with it: not behind a connection that the user has made since. */
  #unended: Exchange | null = null;
  /** Bytes that go out without a request. */
  #raw: Exchange | null = null;
  /** Settles when those have their connection; `null` where none is waited for. */
  #taking: Promise<void> | null = null;
  /**
   * The response that was handed over last, and that is to be read before the next one is got. Once it was
   * read it is nobody's here: an idle connection holds no response.
   */
  #answered: { exchange: Exchange; response: HTTPResponse | null } | null = null;
  /** Why the request was refused that was tried last, unless one has gone out since. */
  #refusal: { readonly reason: unknown } | null = null;
  /** Whether `request()` is at work, which knows the whole body. */
  #isWhole = false;
  #tunnel: Tunnel | null = null;

  /**
   * Makes a connection object; nothing is connected yet.
   *
   * @param host The host, or `"host:port"`; an IPv6 address with a port in brackets. A `URL` gives its host
   * and port (that of its scheme where it has none), and nothing else of it is used.
   * @param port The port; the default one where it is `null` and the host has none.
   * @param options The other arguments of Python's, and what this library adds.
   * @throws {InvalidURL} When the port is no number, or the host has a control character or a space.
   * @throws {TypeError} When an option makes no sense; when a URL is of another scheme than the class, has a
   * user or a password, or comes with a port beside it.
   */
  constructor(host: string | URL, port?: number | null, options?: HTTPConnectionOptions);
  /** The same without a port of its own. */
  constructor(host: string | URL, options?: HTTPConnectionOptions);
  constructor(
    host: string | URL,
    port?: number | null | HTTPConnectionOptions,
    options: HTTPConnectionOptions = NO_OPTIONS,
  ) {
    [port, options] = portAndOptions(port, options);
    const overTls = this instanceof HTTPSConnection;
    if (host instanceof URL) [host, port] = hostOf(host, port, overTls);
    const known = this.#options = checkOptions(options, overTls);
    this.#context = overTls ? (known as HTTPSConnectionOptions).context ?? {} : null;
    this.#connections = new Connections({
      settings: settingsOf(known),
      trace: known.trace ?? null,
      plan: (onproxy) => this.#plan(onproxy),
      onover: (exchange) => {
        if (this.#answered?.exchange === exchange) this.#answered.response = null;
      },
    });
    this.#timeout = known.timeout ?? null;
    this.#source = known.source_address ?? null;
    this.#blocksize = known.blocksize ?? 8192;
    this.#version = known.httpVersion ?? 11;
    ({ host: this.#host, port: this.#port } = splitHostPort(host, port, this.default_port));
  }

  /**
   * What the connection talks over, or `null`. It may be set, to talk over something else: that is then
   * closed by `close()` and by failures, as in Python. What was there before is left to whoever has it,
   * and to a response that was not read; an exchange that runs over it fails.
   */
  get sock(): Transport | null {
    return this.#connections.sock;
  }

  set sock(sock: Transport | null) {
    checkSock("sock", sock);
    this.#connections.sock = sock;
    this.#beginAnew();
  }

  /**
   * The facts of the exchange that failed last: how far it had come, and whether its request may be sent
   * again; `null` before. They are kept until another exchange fails. A call that the state does not allow
   * and a request that is refused do not change them.
   */
  get lastFailure(): Required<ExchangeDetails> | null {
    return this.#connections.lastFailure;
  }

  /**
   * Connects now, rather than with the first request. A connection that is open is closed before, or left
   * to the response that still needs it.
   *
   * @throws {Deno.errors.TimedOut} When the timeout or a deadline has passed.
   * @throws {Deno.errors.ConnectionRefused} When nobody listens.
   * @throws {Deno.errors.NotFound} When the host has no address, or there is no such unix socket.
   * @throws {Deno.errors.NotCapable} When a permission is missing.
   * @throws {Deno.errors.InvalidData} When TLS is refused by either side.
   * @throws {TunnelError} When the proxy refuses the tunnel.
   */
  async connect(): Promise<void> {
    const attempt = this.#withoutRequest();
    try {
      await this.#connections.connect(attempt, () => this.#beginAnew());
    } catch (error) {
      throw delivered(error);
    }
  }

  /**
   * Closes the connection and frees what it has; the next request makes a new one. What waits throws
   * `Deno.errors.Interrupted`. A response that took its connection with it can still be read, as in
   * Python.
   */
  close(): void {
    const exchange = this.#exchange;
    const answered = this.#answered;
    const isCurrent = answered !== null &&
      answered.exchange === this.#connections.current?.exchange;
    this.#move(CALL_STEPS.close);
    this.#head =
      this.#exchange =
      this.#unended =
      this.#raw =
      this.#answered =
      this.#refusal =
      this.#taking =
        null;
    // An exchange that waits for its connection is not on one.
    if (exchange !== null && !exchange.delivered) exchange.close("connection");
    this.#connections.close();
    // A response that took its connection with it stays readable, but no call waits on.
    if (exchange?.busySending) exchange.interruptSending(interrupted("send", "connection"));
    if (isCurrent) answered.response!.close();
    else if (answered?.exchange.over) answered.exchange.endWork("connection");
  }

  /** Closes the connection, and those that responses took with them and that were not read to the end. */
  [Symbol.dispose](): void {
    try {
      this.close();
    } finally {
      this.#connections.dispose();
    }
  }

  /** The same. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this[Symbol.dispose]());
  }

  /**
   * Prints what is sent and read, as Python does, from now on: to the console, or to the option `debug`.
   *
   * @param level Over 0 to print, 0 to stop.
   */
  set_debuglevel(level: number): void {
    this.debuglevel = level;
  }

  /**
   * Talks through a tunnel: the host of this connection is then a proxy, which is asked to CONNECT to
   * `host`. To be called before the connection is made.
   *
   * @param host The host at the other end, or `"host:port"`.
   * @param port Its port. Default: `null`.
   * @param headers Fields for the CONNECT request; `Host` is generated where it is not among them.
   * Default: `null`.
   * @throws {ImproperConnectionState} When the connection is made already (Python: `RuntimeError`).
   * @throws {InvalidURL} When the host or the port is not usable.
   * @throws {TypeError} When a field is not usable.
   */
  set_tunnel(host: string, port: number | null = null, headers: HeaderFields | null = null): void {
    if (this.#connections.open) {
      throw new ImproperConnectionState(
        "Cannot set up tunnel: the connection is established, call close() first",
      );
    }
    if (typeof port === "object" && port !== null) {
      throw new TypeError(
        "Cannot use the port of the tunnel as it must be a number or null: got an object, " +
          "the fields of CONNECT are the third argument",
      );
    }
    const target = splitHostPort(host, port, this.default_port);
    this.#tunnel = tunnelTo(target, fieldPairs(headers), this.httpVersion);
  }

  /**
   * The fields of the proxy's answer to CONNECT.
   *
   * @returns The fields, or `null` where no CONNECT was answered.
   */
  get_proxy_response_headers(): HTTPMessage | null {
    return this.#connections.proxyHeaders;
  }

  /**
   * Sends a request. `Host` and `Accept-Encoding: identity` are generated unless they are given (in
   * HTTP/1.0 they are not), as is
   * the framing of the body: `Content-Length` where the size is known (0 for PUT, POST and PATCH without
   * a body), else `Transfer-Encoding: chunked`.
   *
   * A request that is refused is not sent in part, and leaves the connection as it was. An answer may come
   * before the body is out: one of 400 or above, or a redirection that closes, ends the upload; a success
   * does not. Either way `getresponse()` has the answer, and may be called meanwhile. A server that reads
   * no more of the body until its answer is read is waited for without end unless a deadline is set.
   *
   * @param method The method, sent as given.
   * @param url The request target, sent as given: usually a path. Of a `URL`, the path and the query are
   * sent; its origin must be that of this connection, or of what is behind the tunnel.
   * @param body The body. Default: `null`.
   * @param headers The fields, sent in their order and case after the generated ones.
   * Default: `{}`.
   * @param options How the body is sent, and what aborts the exchange.
   * @throws {CannotSendRequest} When a request before is not sent, or its response not received.
   * @throws {InvalidURL} When the target has a control character or a space.
   * @throws {TypeError} When the method, a field or the body is not usable, or a URL is of another origin.
   * @throws {NotConnected} When there is no connection and `auto_open` is off.
   */
  request(
    method: string,
    url: string | URL,
    body: RequestBody | null = null,
    headers: HeaderFields | null = null,
    options: RequestOptions = NO_OPTIONS,
  ): Promise<void> {
    try {
      checkRequestOptions(options);
      const pairs = fieldPairs(headers);
      const target = url instanceof URL ? this.#targetOf(url) : url;
      this.putrequest(method, target, hasField(pairs, "host"), hasField(pairs, "accept-encoding"));
      try {
        const contentType = body === null ? null : fieldOf(pairs, "content-type");
        const content = contentOf(body, this.blocksize, contentType);
        const { fields, encode_chunked } = requestFields(method, content, pairs, options);
        for (const [name, value] of fields) this.putheader(name, value);
        // Encoded and checked once.
        if (content?.kind === "bytes") body = content.bytes as Uint8Array<ArrayBuffer>;
        if (encode_chunked !== options.encode_chunked) options = { ...options, encode_chunked };
        this.#isWhole = true;
      } catch (error) {
        this.#refuse();
        throw error;
      }
      try {
        const sent = this.endheaders(body, options);
        // That of a subclass is another promise than the one which is handled.
        const isOwn = this.endheaders === HTTPConnection.prototype.endheaders;
        return isOwn ? sent : handled(Promise.resolve(sent));
      } finally {
        this.#isWhole = false;
      }
    } catch (error) {
      this.#refusal = { reason: error };
      return handled(Promise.reject(error));
    }
  }

  /**
   * Gets the response to the request that was sent.
   *
   * @param options What aborts the exchange.
   * @returns The response; read it to its end before the next one is got.
   * @throws {ResponseNotReady} When no request was sent, or the response before is not read; its `cause` is
   * why the last request was refused, if it was.
   * @throws {RemoteDisconnected} When the server closed the connection without a byte.
   * @throws {HTTPException} When the head is malformed; see {@linkcode HTTPResponse.begin}.
   */
  async getresponse(options: ResponseOptions = NO_OPTIONS): Promise<HTTPResponse> {
    checkResponseOptions(options);
    this.#checkResponse();
    try {
      this.#move(CALL_STEPS.getresponse);
    } catch (error) {
      // Whoever did not await the request learns here why there is none.
      if (this.#refusal !== null) (error as Error).cause = this.#refusal.reason;
      throw error;
    }
    const exchange = this.#exchange!;
    try {
      exchange.listen(options.signal);
      // By now a write of it was begun nearly always: then there is nothing to wait for.
      if (exchange.isUnsent) await exchange.whenSent();
      exchange.check();
      const connection = exchange.carrier as Connection;
      const response = this.#makeResponse(connection, exchange);
      if (response.begin !== BEGIN) {
        await this.#beginByUser(response, exchange);
      } else if (awaitsAnswer(response, exchange)) {
        takeAnswer(response, await connection.awaitAnswer(exchange, response.debuglevel > 0));
        // A send that has just ended has to say so: the next request is refused until then.
        if (exchange.busySending) await null;
      } else await response.begin();
      exchange.check();
      exchange.delivered = true;
      // CPython: a response that closes is read whenever one likes.
      if (response.will_close) this.#connections.lend(exchange);
      else if (!connection.isSwitched) {
        this.#answered = { exchange, response: exchange.over ? null : response };
      }
      return response;
    } catch (error) {
      exchange.delivered = true;
      throw delivered(exchange.fail(error));
    } finally {
      if (this.#exchange === exchange) this.#move(CALL_STEPS.over);
    }
  }

  #makeResponse(connection: Connection, { method, url }: Exchange): HTTPResponse {
    const { debuglevel } = this;
    try {
      return new this.response_class(connection, { debuglevel, method, url });
    } catch (reason) {
      throw new Thrown(reason);
    }
  }

  /** A subclass of the user's may throw what it likes, or never return. */
  async #beginByUser(response: HTTPResponse, exchange: Exchange): Promise<void> {
    const ended = deferred<never>();
    const unwatch = exchange.watch((reason) => ended.reject(reason));
    try {
      await Promise.race([response.begin(), ended.promise]);
    } catch (reason) {
      throw exchange.failure?.reason === reason ? reason : new Thrown(reason);
    } finally {
      unwatch();
    }
  }

  /** CPython: the response before must be read first; here, the failure of a request is told once, too. */
  #checkResponse(): void {
    this.#forgetFailed();
    if (this.#answered?.exchange.unread && this.#state === "Request-sent") {
      throw new ResponseNotReady(
        "Cannot get response: read or close the response before the next getresponse()",
      );
    }
    const failed = this.#exchange?.failure ?? null;
    if (this.#state !== "Idle" || failed === null || this.#exchange!.delivered) return;
    this.#exchange!.delivered = true;
    throw delivered(failed.reason);
  }

  /** A request that failed is out no longer: the next one may begin. */
  #forgetFailed(): void {
    if (this.#state === "Request-sent" && this.#exchange!.failure !== null) {
      this.#move(CALL_STEPS.over);
    }
  }

  /**
   * Begins a request step by step; {@linkcode putheader} and {@linkcode endheaders} follow.
   *
   * @param method The method, sent as given.
   * @param url The request target, sent as given; empty stands for `"/"`.
   * @param skip_host Leaves out the generated `Host`; or both options as an object.
   * Default: `false`.
   * @param skip_accept_encoding Leaves out `Accept-Encoding: identity`. Default: `false`.
   * @throws {CannotSendRequest} When a request before is not sent, or its response not received.
   * @throws {InvalidURL} When the target has a control character or a space.
   * @throws {TypeError} When the method is no token, or the target not US-ASCII.
   */
  putrequest(
    method: string,
    url: string,
    skip_host: boolean | PutRequestOptions = false,
    skip_accept_encoding = false,
  ): void {
    if (typeof skip_host === "object") {
      checkPutRequestOptions(skip_host);
      ({ skip_host = false, skip_accept_encoding = false } = skip_host);
    }
    this.#forgetFailed();
    const next = call(CALL_STEPS.putrequest, this.#state);
    const before = this.#exchange;
    if (before?.busySending && !before.stopped) {
      throw new CannotSendRequest(
        "Cannot send request: the body of the one before still goes out, await its promise first",
      );
    }
    const version = this.httpVersion;
    const head = new RequestHead(method, url || "/", version);
    // CPython: HTTP/1.0 knows neither of the two.
    if (version === 11) {
      if (!skip_host) {
        head.field("Host", authorityOf(method, head.target) ?? this.#addressed().field);
      }
      if (!skip_accept_encoding) head.field("Accept-Encoding", "identity");
    }
    this.#state = next;
    this.#head = head;
  }

  /**
   * Adds a field to the request.
   *
   * @param header The field's name.
   * @param values Its value; several are sent on continuation lines (CRLF, tab).
   * @throws {CannotSendHeader} When no request was begun.
   * @throws {TypeError} When the name is no token, or a value has a control character.
   */
  putheader(header: string, ...values: FieldValue[]): void {
    this.#move(CALL_STEPS.putheader);
    this.#head!.field(header, ...values);
  }

  /**
   * Ends the head, and sends it together with the body.
   *
   * @param message_body The body; its framing must have been put by {@linkcode putheader}.
   * Default: `null`.
   * @param options How the body is sent, and what aborts the exchange.
   * @throws {CannotSendHeader} When no request was begun.
   * @throws {TypeError} When the body is not usable.
   * @throws {NotConnected} When there is no connection and `auto_open` is off.
   */
  endheaders(
    message_body: RequestBody | null = null,
    options: RequestOptions = NO_OPTIONS,
  ): Promise<void> {
    try {
      this.#move(CALL_STEPS.endheaders);
      const head = this.#head!;
      this.#head = null;
      try {
        const { exchange, out } = this.#begin(head, message_body, options);
        this.#exchange = this.#unended = exchange;
        this.#raw = this.#refusal = null;
        exchange.beginSend();
        const sent: Promise<void> = this.#dispatch(
          exchange,
          out,
          head.closes,
          () => void handled(sent),
        );
        exchange.setFirstSend(sent);
        return sent;
      } catch (error) {
        this.#refuse();
        throw error instanceof Thrown ? error.reason : error;
      }
    } catch (error) {
      this.#refusal = { reason: error };
      return handled(Promise.reject(error));
    }
  }

  /** The exchange of a request, and what of it is sent; it is refused here if at all. */
  #begin(
    head: RequestHead,
    body: RequestBody | null,
    options: RequestOptions,
  ): { exchange: Exchange; out: Outgoing } {
    const whole = this.#isWhole;
    if (!whole) checkRequestOptions(options);
    if (options.signal?.aborted) throw options.signal.reason;
    this.#checkOpen();
    const content = contentOf(body, this.blocksize, head.contentType);
    if (options.expect_continue && (content !== null || head.version === 10) && !head.expects) {
      head.field("Expect", "100-continue");
    }
    if (options.encode_chunked) head.refuseAt10("chunked bodies: give a Content-Length");
    if (options.trailers !== undefined) head.refuseAt10("trailers");
    const out = outgoing(head.bytes(), content, options, whole, this.debuglevel > 0);
    const { host, port, field } = this.#addressed();
    const timeout = options.timeout === undefined ? this.timeout : options.timeout;
    const exchange = new Exchange({
      method: head.method,
      target: head.target,
      url: urlOf(head.target, field, this.#context !== null),
      host,
      port,
      limits: limitsOf(timeout, this.#options.deadlines),
      trace: this.#options.trace,
      owner: this.#connections,
    });
    exchange.contentType = head.contentType;
    if (head.contentLength !== null) {
      exchange.framing = "length";
      exchange.declared = head.contentLength;
    } else if (head.transferEncoding) exchange.framing = out.last === null ? "caller" : "chunked";
    if (content !== null && content.size !== null) {
      exchange.give(content.size);
      if (whole && !exchange.complete) {
        throw new TypeError(
          `Cannot send body: it has ${content.size} of the ${exchange.declared} bytes of its Content-Length`,
        );
      }
    }
    exchange.listen(options.signal);
    return { exchange, out };
  }

  /**
   * Sends bytes as they are, after {@linkcode endheaders}: what makes up the body, framing included. They
   * follow the head and the `send()` before, awaited or not, and are to be left alone until the promise
   * settles. Without a request, and after a head that announces no body, they go out all the same, and no
   * request follows on that connection. The rest of a declared body goes out where its head went: once that
   * connection is closed, it is dropped, as `requestComplete` tells. What follows `connect()` or `sock =` is not
   * taken for that rest, unless a `send()` of it is under way.
   *
   * @param data A body of any kind.
   * @throws {CannotSendRequest} Between {@linkcode putrequest} and {@linkcode endheaders}.
   * @throws {NotConnected} When there is no connection and `auto_open` is off, or when a body that you frame
   * yourself was sent on a connection that is closed by now.
   * @throws {TypeError} When the data is more than the `Content-Length`; none of it is sent then.
   */
  send(data: RequestBody): Promise<void> {
    try {
      if (this.#state === "Request-started") {
        throw new CannotSendRequest("Cannot send: call endheaders() first");
      }
      const exchange = this.#unended;
      const isPart = exchange !== null && this.#takesMore(exchange);
      const content = contentOf(data, this.blocksize, isPart ? exchange.contentType : null);
      const out = more(content, this.debuglevel > 0);
      if (!isPart) return this.#sendRaw(out);
      if (content !== null && content.size !== null) exchange.give(content.size);
      return this.#follow(exchange, async (before) => {
        await before;
        // Neither a head without framing nor a body that has ended says that there is more.
        if (exchange.framing === "none" || exchange.framing === "chunked") {
          exchange.carrier?.endReuse();
        }
        // By now another request may be out on another connection.
        await sendRequest(exchange.carrier as Connection, exchange, out);
      });
    } catch (error) {
      return handled(Promise.reject(error));
    }
  }

  /** Whether bytes that are sent now belong to an exchange. */
  #takesMore(exchange: Exchange): boolean {
    // The rest of a request goes where its head went, or nowhere.
    if (!exchange.delivered || exchange.failure !== null || !exchange.complete) return true;
    const isCallers = exchange.framing === "caller";
    if (!exchange.over) return isCallers || exchange.busySending;
    if (isCallers && this.#connections.current === null) {
      throw new NotConnected(
        "Cannot send: the connection of the request is closed, begin another request first",
      );
    }
    return false;
  }

  /** What is sent from now on is for the connection that the user makes, and not the rest of a request. */
  #beginAnew(): void {
    const exchange = this.#unended;
    if (exchange === null) return;
    if (exchange.failure === null) {
      const { current } = this.#connections;
      const isOnIt = current !== null && exchange.carrier === current;
      if (exchange.busySending || (isOnIt && !exchange.delivered)) return;
    }
    this.#unended = null;
    exchange.endSending();
  }

  /** Sends something behind what an exchange sends already. */
  #follow(exchange: Exchange, send: (before: Promise<void>) => Promise<void>): Promise<void> {
    const before = exchange.lastSend;
    exchange.beginSend();
    const follow = async () => {
      try {
        exchange.check();
        await send(before);
      } catch (error) {
        queueMicrotask(() => void handled(sent));
        throw delivered(sendError(exchange, error));
      } finally {
        exchange.endSend();
      }
    };
    const sent = follow();
    return exchange.lastSend = sent;
  }

  /** Sends bytes that belong to no request, over whatever there is. */
  #sendRaw(out: Outgoing): Promise<void> {
    this.#checkOpen();
    const known = this.#raw;
    // After a failure the next bytes go out on a new connection, as a request would.
    if (known !== null && !known.over && !known.endsWithSends) return this.#sendMore(known, out);
    const raw = this.#raw = this.#withoutRequest();
    this.#connections.addRaw(raw);
    const sent = this.#sendMore(raw, out);
    // A callback of this may send more, which follows.
    raw.setFirstSend(this.#takeFor(raw));
    return sent;
  }

  /** What stands for connecting alone, or for bytes that are no request. */
  #withoutRequest(): Exchange {
    const { host, port } = this.#peer;
    return new Exchange({
      method: "",
      target: "",
      url: "",
      host,
      port,
      limits: limitsOf(this.timeout, this.#options.deadlines),
      owner: this.#connections,
    });
  }

  #sendMore(raw: Exchange, out: Outgoing): Promise<void> {
    return this.#follow(raw, async (before) => {
      await before;
      await sendRequest(raw.carrier as Connection, raw, out);
    });
  }

  /** Takes a connection for bytes that belong to no request: now, so that what is called next comes behind. */
  async #takeFor(raw: Exchange): Promise<void> {
    this.#connections.leaveCutOff();
    const { current } = this.#connections;
    if (current !== null && current.opening === null) return current.beginRaw(raw);
    const { promise, resolve } = deferred<void>();
    this.#taking = promise;
    try {
      await this.#connectFor(raw);
    } finally {
      resolve();
      if (this.#taking === promise) this.#taking = null;
    }
  }

  /**
   * Hands over what lies under the connection, after a 101, a successful CONNECT, or through a tunnel
   * before its first request. The connection is then as new. No timeout, deadline or signal of this
   * library's applies to what was handed over.
   *
   * @returns The transport, and the bytes that were read ahead of it.
   * @throws {ImproperConnectionState} When the connection has not switched protocols.
   */
  detach(): Detached {
    const detached = this.#connections.detach(this.#tunnel !== null && this.#state === "Idle");
    if (detached === null) {
      throw new ImproperConnectionState(
        "Cannot detach: the connection has not switched protocols, get a 101 or open a tunnel first",
      );
    }
    const { transport, buffered } = detached;
    return {
      ...detached,
      ...streamsOf(transport, buffered),
      [Symbol.dispose]: () => closeQuietly(transport),
    };
  }

  /** What is shown of it: no fields, no options that may be secret. */
  #facts(): Record<string, unknown> {
    const { host, port, timeout, lastFailure } = this;
    const tunnel = this.#tunnel;
    return {
      // CPython takes a user and a password for a part of the host.
      host: String(host).replace(/^.*@/, "<hidden>@"),
      port,
      state: this.#state,
      ...this.#connections.facts(),
      ...(tunnel === null ? {} : { tunnel: `${uriHost(tunnel.host)}:${tunnel.port}` }),
      ...(this.#options.socketPath === undefined ? {} : { socketPath: this.#options.socketPath }),
      ...(this.#options.address === undefined ? {} : { address: this.#options.address }),
      timeout,
      ...(lastFailure === null ? {} : { lastFailure }),
    };
  }

  /** Follows the transition table; throws where it has no way. */
  #move(step: Step<CallState>): void {
    this.#state = call(step, this.#state);
  }

  /** The request was refused: nothing of it was sent, and the connection is as it was. */
  #refuse(): void {
    this.#head = null;
    this.#move(CALL_STEPS.refuse);
  }

  /** What of a URL is sent. */
  #targetOf(url: URL): string {
    const { host, port } = this.#peer;
    const { origin } = new URL(`${schemeOf(this.#context !== null)}//${uriHost(host)}:${port}`);
    if (url.origin !== origin) {
      throw new TypeError(
        `Cannot send request as its URL is of another origin than the connection: ` +
          `got ${url.origin} for ${origin}`,
      );
    }
    refuseUser(url, "target");
    return url.pathname + url.search;
  }

  /** Whom the requests are for. */
  get #peer(): HostPort {
    return this.#tunnel ?? this;
  }

  /** Whom a request is for, and the value of `Host`; made anew only when what it is made of has changed. */
  #addressed(): { host: string; port: number; field: string } {
    const { host, port } = this.#peer;
    const standard = this.default_port;
    const known = this.#hostKnown;
    if (known.host === host && known.port === port && known.standard === standard) return known;
    this.#hostKnown = { host, port, standard, field: hostField({ host, port }, standard) };
    return this.#hostKnown;
  }

  #checkOpen(): void {
    if (this.#connections.current !== null || this.auto_open) return;
    throw new NotConnected(
      "Cannot send: there is no connection, and auto_open is off, call connect() first",
    );
  }

  /** Where to connect to, and how. */
  #plan(onproxy: Plan["onproxy"]): Plan {
    const options = this.#options;
    const at: HostPort = options.address === undefined
      ? this
      : splitAddress(options.address, this.port);
    return {
      hostname: at.host,
      port: at.port,
      path: options.socketPath ?? null,
      source: this.source_address,
      custom: options.transport ?? null,
      context: this.#context,
      serverName: this.#context?.server_hostname ?? this.#tunnel?.host ?? this.host,
      tunnel: this.#tunnel,
      deadlines: options.deadlines ?? {},
      trace: options.trace ?? null,
      debug: this.debuglevel > 0,
      onproxy,
    };
  }

  /**
   * Sends a request, on the connection that is there if it may be used, else on a new one.
   *
   * @param handle Called when it fails: nobody has to await it. Not before, as V8 shows who awaits a promise
   * in the stack of an error only where nobody else waits for it.
   */
  async #dispatch(
    exchange: Exchange,
    out: Outgoing,
    closes: boolean,
    handle: () => void,
  ): Promise<void> {
    try {
      let now = exchange.timings.start;
      if (this.#taking !== null) {
        await exchange.waitBehind(this.#taking);
        now = performance.now();
      }
      let connection = this.#connections.claim(exchange);
      if (connection !== null) await this.#connections.probe(connection, now);
      if (connection === null || !this.#connections.isUsable(connection, exchange)) {
        this.#checkOpen();
        connection = await this.#connectFor(exchange);
      }
      if (closes) connection.endReuse();
      // Bytes that the head does not announce are read as something else by whoever reads on.
      if (exchange.framing === "none" && out.content !== null) connection.endReuse();
      if (exchange.trace !== null) {
        const { method, target } = exchange;
        exchange.tell({
          type: "requestStart",
          method,
          target,
          connectionReused: connection.reused,
        });
      }
      await sendRequest(connection, exchange, out);
      if (exchange.trace !== null) {
        exchange.tell({ type: "requestEnd", bytes: exchange.sent, whole: !exchange.stopped });
      }
    } catch (error) {
      queueMicrotask(handle);
      throw delivered(
        error instanceof NotConnected ? exchange.refuse(error) : sendError(exchange, error),
      );
    } finally {
      exchange.endSend();
    }
  }

  /** Connects, by a subclass's `connect()` if it has one: Python's way to talk over something else. */
  async #connectFor(exchange: Exchange): Promise<Connection> {
    const connections = this.#connections;
    if (this.connect === HTTPConnection.prototype.connect || connections.current?.opening) {
      return await connections.openFor(exchange);
    }
    await exchange.waitBehind(this.#connectByUser());
    const connection = connections.claim(exchange);
    if (connection !== null) {
      await connections.checkUnspoken(connection, exchange);
      return connection;
    }
    throw new NotConnected(
      "Cannot send: connect() has made no connection, call super.connect() or set sock in it",
    );
  }

  async #connectByUser(): Promise<void> {
    try {
      await this.connect();
    } catch (reason) {
      throw new Thrown(reason);
    }
  }
}

/** A promise that nobody has to await: `getresponse()` tells its failure. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

function ignore(): void {}

/**
 * A connection to an HTTPS server. Certificates are verified, and `http/1.1` is offered by ALPN, unless
 * `context` says otherwise.
 *
 * @category Connections
 * @example Trust a CA of your own
 * ```ts
 * import { HTTPSConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const [ca, cert, key] = await Promise.all(
 *   ["ca.pem", "localhost.pem", "localhost.key"].map((name) =>
 *     Deno.readTextFile(`tests/tls/${name}`)
 *   ),
 * );
 * const options = { port: 0, cert, key, onListen() {} };
 * await using server = Deno.serve(options, () => new Response("hello"));
 *
 * using conn = new HTTPSConnection("localhost", server.addr.port, {
 *   context: { caCerts: [ca] },
 *   timeout: 10,
 * });
 * await conn.request("GET", "/");
 * assertEquals(await (await conn.getresponse()).text(), "hello");
 * ```
 */
export class HTTPSConnection extends HTTPConnection {
  static {
    this.prototype.default_port = HTTPS_PORT;
    Object.defineProperty(this.prototype, Symbol.toStringTag, {
      value: "HTTPSConnection",
      configurable: true,
    });
  }

  /**
   * Makes a connection object; nothing is connected yet.
   *
   * @param host The host, or `"host:port"`; an IPv6 address with a port in brackets.
   * @param port The port; 443 where it is `null` and the host has none.
   * @param options The other arguments of Python's, and what this library adds.
   * @throws {InvalidURL} When the port is no number, or the host has a control character or a space.
   * @throws {TypeError} When an option makes no sense.
   */
  constructor(host: string | URL, port?: number | null, options?: HTTPSConnectionOptions);
  /** The same without a port of its own. */
  constructor(host: string | URL, options?: HTTPSConnectionOptions);
  constructor(
    host: string | URL,
    port?: number | null | HTTPSConnectionOptions,
    options: HTTPSConnectionOptions = NO_OPTIONS,
  ) {
    [port, options] = portAndOptions(port, options);
    super(host, port, options);
  }
}
