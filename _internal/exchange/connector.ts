/**
 * The connector: from options to an open connection, through TCP or what stands for it, a tunnel and TLS
 * as need be. What fails or is cut short leaves nothing open.
 *
 * @module
 */
import { ProtocolError, TunnelError } from "../../errors.ts";
import { type HTTPMessage, messageOf } from "../../headers.ts";
import { readHead } from "../net/read_head.ts";
import { forbidden, needsNodeTls, open, openTls, ownTransport, secure } from "../net/sockets.ts";
import type { TLSContext } from "../net/tls.ts";
import { closeQuietly, type Opened, type Route, type Transport } from "../net/transport.ts";
import { isOpened, type Tunnel } from "../net/tunnel.ts";
import { toAscii } from "../wire/authority.ts";
import type { Connection } from "./connection.ts";
import type { DeadlineKind } from "./deadlines.ts";
import { debugHeaders, debugReply, debugSend } from "./debug.ts";
import { byUser, Exchange, Thrown } from "./exchange.ts";
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
  timeout: number | null;
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
export async function openConnection(
  connection: Connection,
  exchange: Exchange,
  plan: Plan,
): Promise<void> {
  await new Connector(connection, exchange, checked(plan)).open();
}

/** Refuses what does not go together, and spells names as they are looked up and shown to TLS. */
function checked(plan: Plan): Plan {
  if (plan.source !== null && (plan.custom !== null || plan.path !== null)) {
    throw new TypeError("Cannot connect: a source address is for TCP connections only");
  }
  // Deno's node:tls leaves out a key that it cannot read.
  const { key } = plan.context ?? {};
  if (key !== undefined && !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) {
    throw new Deno.errors.InvalidData("Cannot connect: the key of the context is no key in PEM");
  }
  return { ...plan, hostname: toAscii(plan.hostname), serverName: toAscii(plan.serverName) };
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
    const connection = this.#connection;
    const { timings } = this.#exchange;
    const { hostname: host, port, path, tunnel, context } = this.#plan;
    this.#tell({ type: "connectStart", host, port, path });
    const { opened, isSecured } = await this.#openPlain();
    connection.attach(opened.transport, opened.kind);
    timings.connected = performance.now();
    this.#tell({ type: "connected", address: addressOf(opened.transport) });
    if (isSecured) timings.secured = timings.connected;
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
  async #step<T extends { transport: Transport }>(
    step: Promise<T>,
    kind: DeadlineKind,
    seconds: number | undefined,
  ): Promise<T> {
    const { deadlines } = this.#connection;
    deadlines.set(kind, seconds);
    deadlines.set("open", this.#plan.timeout);
    deadlines.beginWait();
    try {
      return await this.#connection.during(step, ({ transport }) => closeQuietly(transport));
    } finally {
      deadlines.clear(kind);
      deadlines.clear("open");
      deadlines.endWait();
    }
  }

  /** TCP, or what stands for it; TLS at once where the platform asks for that. */
  async #openPlain(): Promise<{ opened: Opened; isSecured: boolean }> {
    const plan = this.#plan;
    const { context, custom, deadlines, path, serverName } = plan;
    if (custom !== null) {
      const opened = await this.#step(callTransport(custom), "connect", deadlines.connect);
      return { opened, isSecured: false };
    }
    // TLS over anything but TCP of Deno's own is Node's, from the socket up where that can be.
    const nodeTls = context !== null && (needsNodeTls(context) || path !== null);
    const route: Route = { ...plan, nodeTls };
    const controller = new AbortController();
    try {
      const opening = open(route, controller.signal);
      return {
        opened: await this.#step(opening, "connect", deadlines.connect),
        isSecured: false,
      };
    } catch (error) {
      controller.abort(error);
      this.#exchange.check();
      const plain = plan.source === null && path === null && !nodeTls;
      if (
        context === null || plan.tunnel !== null || plan.port !== 443 || !plain || !forbidden(error)
      ) throw error;
      const opening = openTls(route, context, serverName);
      return { opened: await this.#step(opening, "connect", deadlines.connect), isSecured: true };
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
    const asking = new Exchange({ method: "CONNECT", target: "", url: "", limits: seconds });
    await connection.send(asking, bytes);
    connection.beginHeadWait(this.#exchange);
    try {
      const head = await readHead(connection.reader, {
        limits,
        maxInterim: connection.settings.maxInterim,
        onStatusLine: debug ? (line) => debugReply(sink, line) : null,
      }, connection);
      if (debug) debugHeaders(sink, head.fields);
      const headers = messageOf(head.fields, head.defects);
      onproxy(headers);
      if (!isOpened(head.status)) throw new TunnelError(head.status, head.reason, headers);
    } finally {
      connection.endHeadWait();
    }
    this.#tell({ type: "tunnelled", host, port });
  }

  async #startTls(opened: Opened, context: TLSContext): Promise<void> {
    const connection = this.#connection;
    const { serverName, deadlines } = this.#plan;
    // TLS begins with the client: bytes that are there before it are somebody else's.
    if (connection.reader.available > 0) {
      throw new ProtocolError("Cannot use tunnel: the proxy sent bytes ahead of the TLS handshake");
    }
    connection.opening = "tls";
    this.#tell({ type: "tlsStart", serverName });
    const handshake = secure(
      opened,
      context,
      serverName,
      (transport) => connection.hold(transport),
    );
    const secured = await this.#step(handshake, "tls", deadlines.tls);
    connection.attach(secured.transport, secured.kind);
    this.#exchange.timings.secured = performance.now();
    this.#tell({ type: "secured" });
  }
}

/** Calls what the user gave to make a transport. */
async function callTransport(custom: () => Promise<Transport>): Promise<Opened> {
  try {
    return ownTransport(await custom());
  } catch (reason) {
    throw new Thrown(reason);
  }
}

/** The address of the peer, if the transport is a socket. */
function addressOf(transport: Transport): string | null {
  const { remoteAddr } = transport as { remoteAddr?: Deno.Addr };
  if (remoteAddr === undefined) return null;
  return "hostname" in remoteAddr ? remoteAddr.hostname : null;
}
