/**
 * The connector: from options to an open connection, through TCP or what stands for it, a tunnel and TLS
 * as need be. What fails or is cut short leaves nothing open.
 *
 * @module
 */
import {
  errors,
  HTTPException,
  ProtocolError,
  RemoteDisconnected,
  TunnelError,
} from "../../errors.ts";
import { type HTTPMessage, messageOf } from "../../headers.ts";
import { HeadReader } from "../net/read_head.ts";
import { connectError, shownPeer, tlsError } from "../net/connect_errors.ts";
import type { SocketAddress } from "../net/platform.ts";
import { forbidden, open, openTls, ownTransport, secure } from "../net/sockets.ts";
import { HTTP_1_1, type TLSContext } from "../net/tls.ts";
import { closeQuietly, type Opened, type Secured, type Transport } from "../net/transport.ts";
import { isOpened, type Tunnel } from "../net/tunnel.ts";
import { toAscii } from "../wire/authority.ts";
import { checkTransport } from "../wire/option_check.ts";
import type { Connection } from "./connection.ts";
import type { DeadlineKind } from "./deadlines.ts";
import { debugHeaders, debugReply, debugSend } from "./debug.ts";
import { byUser, Exchange, NO_LIMITS, Thrown } from "./exchange.ts";
import type { Deadlines } from "./options.ts";
import { tell, type Trace, type Untimed } from "./trace.ts";

/** Where to connect to, and how. */
export interface Plan {
  hostname: string;
  port: number;
  /** The path of a unix socket. */
  path: string | null;
  source: [host: string, port: number] | null;
  /** Makes what to talk over. */
  custom: (() => Promise<Transport>) | null;
  /** How TLS is done; `null` for none. */
  context: TLSContext | null;
  /** The name that the certificate must be for. */
  serverName: string;
  tunnel: Tunnel | null;
  deadlines: Deadlines;
  debug: boolean;
  trace: Trace | null;
  /** Told what a proxy answered. */
  onproxy: (headers: HTTPMessage) => void;
}

/**
 * Opens a connection for an exchange.
 *
 * @throws {TunnelError} When the proxy refuses the tunnel.
 */
export function openConnection(
  connection: Connection,
  exchange: Exchange,
  plan: Plan,
): Promise<void> {
  return new Connector(connection, exchange, plan).open();
}

/** Refuses what does not go together, and spells names as they are looked up and shown to TLS. */
function prepare(plan: Plan): void {
  if (plan.source !== null && (plan.custom !== null || plan.path !== null)) {
    throw new TypeError("Cannot connect: a source address is for TCP connections only");
  }
  // Deno's node:tls leaves out a key that it cannot read.
  const { key } = plan.context ?? {};
  if (key !== undefined && !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) {
    throw new errors.InvalidData(
      `Cannot connect to ${
        shownPeer(plan.hostname, plan.port)
      }: the key of the context is no key in PEM`,
    );
  }
  plan.hostname = toAscii(plan.hostname);
  plan.serverName = toAscii(plan.serverName);
}

class Connector {
  #connection: Connection;
  #exchange: Exchange;
  #plan: Plan;

  constructor(connection: Connection, exchange: Exchange, plan: Plan) {
    this.#connection = connection;
    this.#exchange = exchange;
    this.#plan = plan;
  }

  async open(): Promise<void> {
    prepare(this.#plan);
    const connection = this.#connection;
    const { timings } = this.#exchange;
    const { hostname: host, port, path, trace, tunnel, context } = this.#plan;
    if (trace !== null) this.#tell({ type: "connectStart", host, port, path });
    connection.destination = this.#target;
    const { opened, secured } = await this.#openPlain();
    connection.attach(opened.transport, opened.kind);
    timings.connected = performance.now();
    if (trace !== null) this.#tell({ type: "connected", address: addressOf(opened.transport) });
    if (secured !== null) this.#endTls(secured, timings.connected);
    else {
      if (tunnel !== null) await this.#openTunnel(tunnel);
      if (context !== null) await this.#startTls(opened, context);
    }
    connection.exact = connection.kind === "deno" && context === null && this.#plan.custom === null;
    connection.opened();
  }

  #tell(event: Untimed): void {
    const { trace } = this.#plan;
    if (trace === null) return;
    byUser(() => tell(trace, event));
    this.#exchange.check();
  }

  /** Waits for a step of opening, within its deadlines; what comes too late is closed. */
  #step<T extends { transport: Transport }>(
    step: Promise<T>,
    kind: DeadlineKind,
    seconds: number | undefined,
  ): Promise<T> {
    const opened = this.#connection.during(step, closeTransport);
    const timed = seconds !== undefined || this.#exchange.limits !== NO_LIMITS;
    return timed ? this.#within(opened, kind, seconds) : opened;
  }

  async #within<T>(step: Promise<T>, kind: DeadlineKind, seconds: number | undefined): Promise<T> {
    const { deadlines } = this.#connection;
    deadlines.set(kind, seconds);
    deadlines.set("open", this.#exchange.limits.timeout);
    deadlines.beginWait();
    try {
      return await step;
    } finally {
      deadlines.clear(kind);
      deadlines.clear("open");
      deadlines.endWait();
    }
  }

  /** Whom to connect to, as errors name it. */
  get #target(): string {
    const { hostname, path, port, source, tunnel } = this.#plan;
    let target = path ?? shownPeer(hostname, port);
    if (source !== null && (source[0] !== "" || source[1] !== 0)) {
      target += ` from ${source[1] === 0 ? source[0] : shownPeer(...source)}`;
    }
    return tunnel === null
      ? target
      : `the proxy ${target} for ${shownPeer(tunnel.host, tunnel.port)}`;
  }

  /** With whom TLS is spoken, as errors name it. */
  get #tlsPeer(): string {
    const { custom, hostname, path, port, serverName, tunnel } = this.#plan;
    const server = shownPeer(serverName, tunnel?.port ?? port);
    if (custom !== null) return server;
    const way = path ?? shownPeer(hostname, port);
    if (tunnel !== null) return `${server} through the proxy ${way}`;
    return way === server ? server : `${server} at ${way}`;
  }

  /** TCP, or what stands for it; TLS at once where the platform asks for that. */
  async #openPlain(): Promise<{ opened: Opened; secured: Secured | null }> {
    const plan = this.#plan;
    const { context, custom, deadlines, path } = plan;
    if (custom !== null) {
      const opened = await this.#step(callTransport(custom), "connect", deadlines.connect);
      return { opened, secured: null };
    }
    const controller = new AbortController();
    try {
      const opening = open(plan, controller.signal);
      return { opened: await this.#step(opening, "connect", deadlines.connect), secured: null };
    } catch (error) {
      controller.abort(error);
      this.#exchange.check();
      const plain = plan.source === null && path === null && plan.tunnel === null;
      if (context === null || plan.port !== 443 || !plain || !forbidden(error)) {
        throw connectError(error, `Cannot connect to ${this.#target}`);
      }
      const secured = await this.#openTls(context);
      return { opened: secured, secured };
    }
  }

  /** TCP and TLS in one step. */
  async #openTls(context: TLSContext): Promise<Secured> {
    let isBegun = false;
    const opening = openTls(this.#plan, context, this.#plan.serverName, (transport) => {
      isBegun = true;
      this.#connection.hold(transport);
    });
    try {
      return await this.#step(opening, "connect", this.#plan.deadlines.connect);
    } catch (error) {
      this.#exchange.check();
      if (isBegun) this.#connection.opening = "tls";
      throw isBegun
        ? tlsError(error, `Cannot establish TLS with ${this.#tlsPeer}`)
        : connectError(error, `Cannot connect to ${this.#target}`);
    }
  }

  /** Asks a proxy for a tunnel. What it sends behind its answer comes before any answer of the origin's. */
  async #openTunnel({ host, port, head: request }: Tunnel): Promise<void> {
    const connection = this.#connection;
    const { debug, onproxy } = this.#plan;
    const { debug: sink, head: limits } = connection.settings;
    const bytes = request.bytes();
    if (debug) debugSend(sink, bytes);
    // Its bytes are not those of the request that is to follow.
    const { limits: seconds } = this.#exchange;
    const about = { method: "CONNECT", target: "", url: "", host, port };
    const asking = new Exchange({ ...about, limits: seconds });
    try {
      await connection.send(asking, bytes);
    } catch (error) {
      throw this.#tunnelError(error);
    }
    connection.beginHeadWait(this.#exchange);
    try {
      const { reader } = connection;
      const reading = new HeadReader(reader, {
        limits,
        maxInterim: connection.settings.maxInterim,
        onStatusLine: debug ? (line) => debugReply(sink, line) : null,
      }, connection);
      let head = reading.next();
      while (head === null) {
        reading.filled(await reader.fill());
        head = reading.next();
      }
      if (debug) debugHeaders(sink, head.fields);
      const headers = messageOf(head.fields, head.defects);
      onproxy(headers);
      if (!isOpened(head.status)) throw new TunnelError(head.status, head.reason, headers);
    } catch (error) {
      throw this.#tunnelError(error);
    } finally {
      connection.endHeadWait();
    }
    this.#tell({ type: "tunnelled", host, port });
  }

  /** An error of asking a proxy, with the names of both ends; the user's are left alone. */
  #tunnelError(error: unknown): unknown {
    const { custom, hostname, path, port, tunnel } = this.#plan;
    this.#exchange.check();
    if (!(error instanceof Error) || this.#connection.throwsFor(error)) return error;
    const proxy = custom === null ? ` ${path ?? shownPeer(hostname, port)}` : "";
    const target = shownPeer(tunnel!.host, tunnel!.port);
    const action = `Cannot open tunnel to ${target} through the proxy${proxy}`;
    if (!(error instanceof HTTPException)) return connectError(error, action);
    const why = error instanceof RemoteDisconnected
      ? "it closed the connection without an answer"
      : error.message.replace("Cannot open tunnel: ", "").replace(/^Cannot/, "cannot");
    const message = `${action}: ${why}`;
    // It was made here, of fields that its class alone knows.
    if (error.stack !== undefined) error.stack = error.stack.replace(error.message, () => message);
    error.message = message;
    return error;
  }

  async #startTls(opened: Opened, context: TLSContext): Promise<void> {
    const connection = this.#connection;
    const { serverName, deadlines } = this.#plan;
    // TLS begins with the client: bytes that are there before it are somebody else's.
    if (connection.reader.available > 0) {
      throw this.#tunnelError(
        new ProtocolError("Cannot open tunnel: the proxy sent bytes ahead of the TLS handshake"),
      );
    }
    connection.opening = "tls";
    connection.destination = this.#tlsPeer;
    this.#tell({ type: "tlsStart", serverName });
    const handshake = secure(
      opened,
      context,
      serverName,
      (transport) => connection.hold(transport),
    );
    let secured: Secured;
    try {
      secured = await this.#step(handshake, "tls", deadlines.tls);
    } catch (error) {
      this.#exchange.check();
      if (connection.throwsFor(error)) throw new Thrown(error);
      throw tlsError(error, `Cannot establish TLS with ${this.#tlsPeer}`);
    }
    connection.attach(secured.transport, secured.kind);
    this.#endTls(secured, performance.now());
  }

  /**
   * TLS is there: RFC 7301, Section 3.2 lets the server pick from what was offered, and this library speaks
   * HTTP/1.1 alone.
   */
  #endTls({ alpnProtocol }: Secured, time: number): void {
    if (alpnProtocol !== null && alpnProtocol !== HTTP_1_1) {
      throw new errors.InvalidData(
        `Cannot establish TLS with ${this.#tlsPeer}: the server picked ${
          JSON.stringify(alpnProtocol)
        } by ALPN, and only ${JSON.stringify(HTTP_1_1)} is spoken here`,
      );
    }
    this.#exchange.timings.secured = time;
    this.#tell({ type: "secured", alpnProtocol });
  }
}

function closeTransport({ transport }: { transport: Transport }): void {
  closeQuietly(transport);
}

/** Calls what the user gave to make a transport. */
async function callTransport(custom: () => Promise<Transport>): Promise<Opened> {
  try {
    const transport = await custom();
    checkTransport("what transport() gives", transport);
    return ownTransport(transport);
  } catch (reason) {
    throw new Thrown(reason);
  }
}

/** The address of the peer, if the transport is a socket. */
function addressOf(transport: Transport): string | null {
  const { remoteAddr } = transport as { remoteAddr?: SocketAddress };
  if (remoteAddr === undefined) return null;
  return "hostname" in remoteAddr ? remoteAddr.hostname : null;
}
