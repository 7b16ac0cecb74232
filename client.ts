/**
 * `HTTPConnection` and `HTTPSConnection`: requests and responses over one connection at a time.
 *
 * @module
 */
import {
  CannotSendRequest,
  ImproperConnectionState,
  NotConnected,
  ProtocolError,
  RemoteDisconnected,
} from "./errors.ts";
import type { HTTPMessage } from "./headers.ts";
import { HTTPResponse } from "./response.ts";
import { HTTP_PORT, HTTPS_PORT } from "./status.ts";
import { type Channel, Progress, type ResponseSettings, waitsOf } from "./_internal/exchange/channel.ts";
import type { Dial, DialTimings } from "./_internal/exchange/connector.ts";
import { Exchange } from "./_internal/exchange/exchange.ts";
import {
  authorityOf,
  hostField,
  type HostPort,
  splitAddress,
  splitHostPort,
  urlOf,
} from "./_internal/wire/authority.ts";
import { Link } from "./_internal/exchange/link.ts";
import {
  checkOptions,
  type Detached,
  type HTTPConnectionOptions,
  type HTTPSConnectionOptions,
  type PutRequestOptions,
  type RequestOptions,
  type ResponseOptions,
  settingsOf,
} from "./_internal/exchange/options.ts";
import { contentOf, type RequestBody } from "./_internal/exchange/request_body.ts";
import {
  fieldPairs,
  type FieldValue,
  hasField,
  type HeaderFields,
  requestFields,
  RequestHead,
} from "./_internal/wire/request_head.ts";
import { type Event, type State, step, unread } from "./_internal/exchange/states.ts";
import { streamsOf } from "./_internal/net/transport_streams.ts";
import type { TLSContext } from "./_internal/net/tls.ts";
import type { Transport } from "./_internal/net/transport.ts";
import { type ResponseTimings, tell } from "./_internal/exchange/trace.ts";
import { type Tunnel, tunnelTo } from "./_internal/net/tunnel.ts";
import { type Outgoing, outgoing, sendRaw, transmit } from "./_internal/exchange/send_request.ts";

const CANNOT_EXPECT = "Cannot send request: no 100 can be waited for behind an unread response";

/** Makes a connection one over TLS. */
let secureWith: (conn: HTTPConnection, context: TLSContext) => void;

/**
 * A connection to an HTTP server, made when the first request is sent and again when a request needs a
 * new one. One request is sent at a time, and its response read before that of the next. No request is
 * ever sent twice.
 *
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
    this.prototype.response_class = HTTPResponse;
    this.prototype.default_port = HTTP_PORT;
    this.prototype.auto_open = 1;
    secureWith = (conn, context) => void (conn.#context = context);
  }

  /** The host, without brackets. */
  host: string;
  /** The port. */
  port: number;
  /** Seconds that a blocking operation may take, or `null`. */
  timeout: number | null;
  /** The address to connect from, or `null`. */
  source_address: [host: string, port: number] | null;
  /** The size in bytes of the pieces in which a body that is a `Reader` is read. */
  blocksize: number;
  /** Over 0, what is sent and read is printed. */
  debuglevel = 0;

  #options: HTTPConnectionOptions;
  #settings: ResponseSettings;
  #hostKnown = { host: "", port: -1, standard: -1, field: "" };
  #context: TLSContext | null = null;
  #state: State = "Idle";
  #link: Link = new Link(() => this.#plan());
  /** The request in the making. */
  #head: RequestHead | null = null;
  /** The request that is out and whose response was not got. */
  #exchange: Exchange | null = null;
  /** The response that is not read to its end. */
  #response: HTTPResponse | null = null;
  /** The last response that took its connection with it. */
  #handed: HTTPResponse | null = null;
  #tunnel: Tunnel | null = null;

  /**
   * Makes a connection object; nothing is connected yet.
   *
   * @param host The host, or `"host:port"`; an IPv6 address with a port in brackets.
   * @param port The port; the default one where it is `null` and the host has none.
   * @param options The other arguments of Python's, and what this library adds.
   * @throws {InvalidURL} When the port is no number, or the host has a control character or a space.
   * @throws {TypeError} When an option makes no sense.
   */
  constructor(host: string, port?: number | null, options?: HTTPConnectionOptions);
  /** The same without a port of its own. */
  constructor(host: string, options?: HTTPConnectionOptions);
  constructor(
    host: string,
    port?: number | null | HTTPConnectionOptions,
    options: HTTPConnectionOptions = {},
  ) {
    if (typeof port === "object" && port !== null) [port, options] = [null, port];
    checkOptions(options, this instanceof HTTPSConnection);
    this.#options = options;
    this.#settings = settingsOf(options);
    this.#link.onrelease = () => this.#over();
    this.timeout = options.timeout ?? null;
    this.source_address = options.source_address ?? null;
    this.blocksize = options.blocksize ?? 8192;
    ({ host: this.host, port: this.port } = splitHostPort(host, port, this.default_port));
  }

  /** What the connection talks over, or `null`. It may be set, to talk over something else. */
  get sock(): Transport | null {
    return this.#link.sock;
  }

  set sock(sock: Transport | null) {
    this.#link.sock = sock;
  }

  /**
   * Connects now, rather than with the first request. A connection that is open is closed before, or left
   * to the response that still needs it.
   *
   * @throws {Deno.errors.TimedOut} When the timeout or a deadline has passed.
   * @throws {TunnelError} When the proxy refuses the tunnel.
   */
  async connect(): Promise<void> {
    this.#link.drop(this.#response !== null);
    if (this.#response !== null) this.#over();
    await this.#link.connect(null);
    // Its deadlines were for connecting only.
    if (this.#exchange === null) this.#link.channel?.rest();
  }

  /** Closes the connection and frees what it has; the next request makes a new one. */
  close(): void {
    const response = this.#response;
    this.#move("close");
    this.#head = this.#exchange = this.#response = null;
    response?.close();
    this.#link.close();
  }

  /** Closes the connection, and a response that has taken one over and was not read to its end. */
  [Symbol.dispose](): void {
    this.close();
    this.#handed?.close();
  }

  /** The same. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this[Symbol.dispose]());
  }

  /**
   * Prints what is sent and read, as Python does, from now on.
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
   * @param port Its port.
   * @default {null}
   * @param headers Fields for the CONNECT request; `Host` is generated where it is not among them.
   * @default {null}
   * @throws {ImproperConnectionState} When the connection is made already (Python: `RuntimeError`).
   * @throws {InvalidURL} When the host or the port is not usable.
   * @throws {TypeError} When a field is not usable.
   */
  set_tunnel(host: string, port: number | null = null, headers: HeaderFields | null = null): void {
    if (this.#link.open) {
      throw new ImproperConnectionState("Cannot set up tunnel: the connection is established");
    }
    const target = splitHostPort(host, port, this.default_port);
    this.#tunnel = tunnelTo(target, fieldPairs(headers));
  }

  /**
   * The fields of the proxy's answer to CONNECT.
   *
   * @returns The fields, or `null` where no CONNECT was answered.
   */
  get_proxy_response_headers(): HTTPMessage | null {
    return this.#link.proxyHeaders;
  }

  /**
   * Sends a request. `Host` and `Accept-Encoding: identity` are generated unless they are given, as is
   * the framing of the body: `Content-Length` where the size is known (0 for PUT, POST and PATCH without
   * a body), else `Transfer-Encoding: chunked`.
   *
   * A request that is refused is not sent in part, and leaves the connection as it was. If the answer
   * comes before the body is out, no more of the body is sent, and `getresponse()` has the answer.
   *
   * @param method The method, sent as given.
   * @param url The request target, sent as given: usually a path.
   * @param body The body.
   * @default {null}
   * @param headers The fields, sent in their order and case after the generated ones.
   * @default {{}}
   * @param options How the body is sent, and what aborts the exchange.
   * @throws {CannotSendRequest} When a request before is not sent, or its response not received; with
   * `expect_continue`, when the response before is not read.
   * @throws {InvalidURL} When the target has a control character or a space.
   * @throws {TypeError} When the method, a field or the body is not usable.
   * @throws {NotConnected} When there is no connection and `auto_open` is off.
   */
  request(
    method: string,
    url: string,
    body: RequestBody | null = null,
    headers: HeaderFields | null = null,
    options: RequestOptions = {},
  ): Promise<void> {
    try {
      const pairs = fieldPairs(headers);
      this.putrequest(method, url, hasField(pairs, "host"), hasField(pairs, "accept-encoding"));
      try {
        const content = contentOf(body, this.blocksize);
        const { fields, encode_chunked } = requestFields(method, content, pairs, options);
        for (const [name, value] of fields) this.putheader(name, value);
        // Encoded and checked once.
        if (content?.kind === "bytes") body = content.bytes as Uint8Array<ArrayBuffer>;
        if (encode_chunked !== options.encode_chunked) options = { ...options, encode_chunked };
      } catch (error) {
        this.#refuse();
        throw error;
      }
      return this.endheaders(body, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Gets the response to the request that was sent.
   *
   * @param options What aborts the exchange.
   * @returns The response; read it to its end before the next one is got.
   * @throws {ResponseNotReady} When no request was sent, or the response before is not read.
   * @throws {RemoteDisconnected} When the server closed the connection without a byte.
   * @throws {HTTPException} When the head is malformed; see {@linkcode HTTPResponse.begin}.
   */
  async getresponse(options: ResponseOptions = {}): Promise<HTTPResponse> {
    this.#move("getresponse");
    const exchange = this.#exchange!;
    let channel: Channel | null = exchange.channel;
    try {
      options.signal?.throwIfAborted();
      channel ??= await exchange.whenOpen();
      if (channel.closed && exchange.response === null) throw new RemoteDisconnected();
      channel.life.listen(options.signal);
      const response = this.#responseOf(exchange, channel);
      await response.begin();
      this.#hand(exchange, channel, response);
      return response;
    } catch (error) {
      const reason = channel === null ? error : channel.fail(error);
      this.#abandon(exchange);
      throw reason;
    }
  }

  /**
   * Begins a request step by step; {@linkcode putheader} and {@linkcode endheaders} follow.
   *
   * @param method The method, sent as given.
   * @param url The request target, sent as given; empty stands for `"/"`.
   * @param skip_host Leaves out the generated `Host`; or both options as an object.
   * @default {false}
   * @param skip_accept_encoding Leaves out `Accept-Encoding: identity`.
   * @default {false}
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
      ({ skip_host = false, skip_accept_encoding = false } = skip_host);
    }
    const next = step(this.#state, "putrequest");
    const head = new RequestHead(method, url || "/");
    if (!skip_host) head.field("Host", authorityOf(head.target) ?? this.#hostField());
    if (!skip_accept_encoding) head.field("Accept-Encoding", "identity");
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
    this.#move("putheader");
    this.#head!.field(header, ...values);
  }

  /**
   * Ends the head, and sends it together with the body.
   *
   * @param message_body The body; its framing must have been put by {@linkcode putheader}.
   * @default {null}
   * @param options How the body is sent, and what aborts the exchange.
   * @throws {CannotSendHeader} When no request was begun.
   * @throws {TypeError} When the body is not usable.
   * @throws {NotConnected} When there is no connection and `auto_open` is off.
   */
  endheaders(
    message_body: RequestBody | null = null,
    options: RequestOptions = {},
  ): Promise<void> {
    try {
      this.#move("endheaders");
      const head = this.#head!;
      this.#head = null;
      try {
        options.signal?.throwIfAborted();
        this.#checkOpen();
        const content = contentOf(message_body, this.blocksize);
        if (options.expect_continue && content !== null) {
          if (unread(this.#state)) throw new CannotSendRequest(CANNOT_EXPECT);
          if (!head.expects) head.field("Expect", "100-continue");
        }
        const out = outgoing(head.bytes(), content, options, this.debuglevel > 0);
        const exchange = new Exchange(
          head.method,
          head.target,
          urlOf(head.target, this.#hostField(), this.#context !== null),
        );
        this.#exchange = exchange;
        return this.#dispatch(exchange, out, options, head.closes);
      } catch (error) {
        this.#refuse();
        throw error;
      }
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends bytes as they are, after {@linkcode endheaders}: what makes up the body, framing included.
   *
   * @param data A body of any kind.
   * @throws {NotConnected} When there is no connection and `auto_open` is off.
   */
  async send(data: RequestBody): Promise<void> {
    const content = contentOf(data, this.blocksize);
    const out = this.#exchange?.channel ?? null;
    // The rest of a request goes where its head went, or nowhere.
    if (out?.closed) throw out.explain(new Deno.errors.Interrupted("The connection was closed"));
    this.#checkOpen();
    const channel = out ?? this.#link.channel ?? await this.#connectFor(null);
    try {
      if (this.#exchange === null) {
        channel.begin(this.#progress(channel.timings), false);
      } else if (channel.life.phase === "head") channel.awaitSend();
      const exchange = this.#exchange;
      const begin = exchange === null || unread(this.#state)
        ? null
        : () => this.#responseOf(exchange, channel).begin();
      await sendRaw(channel, content, this.debuglevel > 0, begin);
      if (this.#exchange?.channel === channel) channel.sentAll();
    } catch (error) {
      throw channel.explain(error, true);
    }
  }

  /**
   * Hands over what lies under the connection, after a 101, a successful CONNECT, or through a tunnel
   * before its first request. The connection is then as new.
   *
   * @returns The transport, and the bytes that were read ahead of it.
   * @throws {ImproperConnectionState} When the connection has not switched protocols.
   */
  detach(): Detached {
    const tunnelled = this.#tunnel !== null && this.#state === "Idle";
    const detached = this.#link.detach(tunnelled && this.#link.channel?.reused === false);
    if (detached === null) {
      throw new ImproperConnectionState("Cannot detach: the connection has not switched protocols");
    }
    return { ...detached, ...streamsOf(detached.transport, detached.buffered) };
  }

  /** Follows the transition table; throws where it has no way. */
  #move(event: Event): void {
    this.#state = step(this.#state, event);
  }

  /** The request was refused: nothing of it was sent, and the connection is as it was. */
  #refuse(): void {
    this.#head = null;
    this.#move("refuse");
  }

  /** The exchange failed; the next request starts afresh. */
  #abandon(exchange: Exchange): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = this.#response = null;
    this.#move("close");
  }

  /** The value of `Host`, made anew only when what it is made of has changed. */
  #hostField(): string {
    const { host, port }: HostPort = this.#tunnel ?? this;
    const known = this.#hostKnown;
    if (known.host !== host || known.port !== port || known.standard !== this.default_port) {
      const field = hostField({ host, port }, this.default_port);
      this.#hostKnown = { host, port, standard: this.default_port, field };
    }
    return this.#hostKnown.field;
  }

  #checkOpen(): void {
    if (this.#link.open || this.auto_open) return;
    throw new NotConnected("Cannot send: there is no connection, and auto_open is off");
  }

  /** The response that was unread is over, or took the connection with it. */
  #over(): void {
    if (this.#response === null) return;
    this.#response = null;
    this.#move("over");
  }

  /** Where to connect to, and how. */
  #plan(): Omit<Dial, "onproxy"> {
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
      timeout: this.timeout,
      deadlines: options.deadlines ?? {},
      settings: this.#settings,
      trace: options.trace ?? null,
      debug: this.debuglevel > 0,
    };
  }

  #responseOf(exchange: Exchange, channel: Channel): HTTPResponse {
    return exchange.response ??= new this.response_class(channel, {
      debuglevel: this.debuglevel,
      method: exchange.method,
      url: exchange.url,
    });
  }

  /** Connects, by a subclass's `connect()` if it has one: Python's way to talk over something else. */
  async #connectFor(
    signal: AbortSignal | null | undefined,
    timings?: DialTimings,
  ): Promise<Channel> {
    if (this.connect === HTTPConnection.prototype.connect) {
      return await this.#link.connect(signal, timings);
    }
    await this.connect();
    if (this.#link.channel !== null) return this.#link.channel;
    throw new NotConnected("Cannot send: connect() has made no connection");
  }

  /** What the request goes out on: the idle channel if it is silent and open, or a new one. */
  async #openFor(exchange: Exchange, signal: AbortSignal | null | undefined): Promise<Channel> {
    const link = this.#link;
    let channel = link.channel;
    const spoke = channel !== null && !channel.reused && channel.reader.available > 0;
    if (channel !== null && !spoke && (channel.reused || channel.waiting)) {
      channel.probe();
      await channel.settle();
      if (this.#exchange !== exchange) {
        throw new Deno.errors.Interrupted("The request was given up");
      }
      if (!channel.silent) {
        link.retire(channel);
        channel = null;
        this.#checkOpen();
      }
    }
    channel ??= await this.#connectFor(signal, exchange.timings);
    channel.waiting = false;
    if (channel.reader.available > 0) {
      throw channel.fail(new ProtocolError("Cannot send: the server spoke before the request"));
    }
    return channel;
  }

  /** Sends a request: on the channel of an unread response, or on one that is looked for. */
  async #dispatch(
    exchange: Exchange,
    out: Outgoing,
    options: RequestOptions,
    closes: boolean,
  ): Promise<void> {
    const behind = unread(this.#state) && this.#link.channel !== null;
    let channel: Channel;
    try {
      channel = behind ? this.#link.channel! : await this.#openFor(exchange, options.signal);
      exchange.open(channel);
    } catch (error) {
      exchange.fail(error);
      this.#abandon(exchange);
      throw error;
    }
    const begin = () => this.#responseOf(exchange, channel).begin();
    try {
      channel.begin(this.#progress(exchange.timings, options.signal), behind);
      if (closes) channel.reusable = false;
      const { trace, reused: connectionReused } = channel;
      const { method, target } = exchange;
      if (trace !== null) tell(trace, { type: "requestStart", method, target, connectionReused });
      const whole = await transmit(channel, out, behind ? null : begin);
      if (!whole) channel.reusable = false;
      exchange.timings.sent = performance.now();
      channel.sentAll();
      if (trace !== null) tell(trace, { type: "requestEnd", bytes: channel.sent, whole });
    } catch (error) {
      const reason = channel.fail(error, true);
      this.#abandon(exchange);
      throw reason;
    }
  }

  #progress(timings: ResponseTimings, signal?: AbortSignal | null): Progress {
    return new Progress(waitsOf(this.timeout, this.#options.deadlines), timings, signal);
  }

  /** The head has come: the connection keeps the response in view, or lets go of it. */
  #hand(exchange: Exchange, channel: Channel, response: HTTPResponse): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = null;
    const { status } = response;
    const switched = status === 101 ||
      (exchange.method === "CONNECT" && status >= 200 && status < 300);
    if (!switched && !response.will_close) {
      this.#response = response;
      return this.#move("head");
    }
    // The socket is the response's from here on, or of who detaches it.
    if (switched) this.#link.keepSwitched(channel);
    else this.#link.leave(channel);
    this.#handed = switched ? null : response;
    this.#move("over");
  }
}

/**
 * A connection to an HTTPS server. Certificates are verified, and `http/1.1` is offered by ALPN, unless
 * `context` says otherwise.
 *
 * @example Trust a CA of your own
 * ```ts ignore
 * import { HTTPSConnection } from "@denoports/http-client";
 *
 * const caCerts = [await Deno.readTextFile("ca.pem")];
 * using conn = new HTTPSConnection("internal.example", { context: { caCerts }, timeout: 10 });
 * await conn.request("GET", "/");
 * console.log(await (await conn.getresponse()).text());
 * ```
 */
export class HTTPSConnection extends HTTPConnection {
  static {
    this.prototype.default_port = HTTPS_PORT;
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
  constructor(host: string, port?: number | null, options?: HTTPSConnectionOptions);
  /** The same without a port of its own. */
  constructor(host: string, options?: HTTPSConnectionOptions);
  constructor(
    host: string,
    port?: number | null | HTTPSConnectionOptions,
    options: HTTPSConnectionOptions = {},
  ) {
    if (typeof port === "object" && port !== null) [port, options] = [null, port];
    super(host, port, options);
    secureWith(this, options.context ?? {});
  }
}
