/**
 * The connections of one client: the one that its next request may go out on, and those that it has lent
 * to responses which were not read yet.
 *
 * @module
 */
import type { ExchangeDetails } from "../../errors.ts";
import type { HTTPMessage } from "../../headers.ts";
import { deferred } from "../net/platform.ts";
import type { Transport } from "../net/transport.ts";
import { Connection, type ResponseSettings, spokeFirst } from "./connection.ts";
import { openConnection, type Plan } from "./connector.ts";
import { type Exchange, type ExchangeOwner, Thrown } from "./exchange.ts";
import type { Trace } from "./trace.ts";

/** What applies to all connections of a client. */
export interface ConnectionsOptions {
  settings: ResponseSettings;
  trace: Trace | null;
  /** Where to connect to and how, as of the moment of connecting. */
  plan: (onproxy: Plan["onproxy"]) => Plan;
  /** Told of each exchange that is over. */
  onover: (exchange: Exchange) => void;
}

/**
 * The connections of one client. Its sets are made when something is put into them: most clients never need
 * one, and three empty ones are a tenth of an idle connection's memory (`bench/run.ts --only m`).
 */
export class Connections implements ExchangeOwner {
  /** The facts of the exchange that failed last. */
  lastFailure: Required<ExchangeDetails> | null = null;
  /** The fields of the last proxy's answer to CONNECT. */
  proxyHeaders: HTTPMessage | null = null;
  #options: ConnectionsOptions;
  #current: Connection | null = null;
  /** What the current one waits for while it is opened. */
  #opening: Promise<void> | null = null;
  /** Exchanges whose response took a connection, or its bytes, with it. */
  #lent: Set<Exchange> | null = null;
  /** What stands for bytes that are no request, until nothing more of them can go out. */
  #raw: Set<Exchange> | null = null;
  /** Exchanges that are worked on, be they over or not. */
  #worked: Set<Exchange> | null = null;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  failed(_exchange: Exchange, facts: Required<ExchangeDetails>): void {
    this.lastFailure = facts;
  }

  over(exchange: Exchange): void {
    this.#lent?.delete(exchange);
    this.#raw?.delete(exchange);
    this.#options.onover(exchange);
  }

  working(exchange: Exchange, isWorking: boolean): void {
    if (isWorking) (this.#worked ??= new Set()).add(exchange);
    else this.#worked?.delete(exchange);
  }

  /** Bytes that are no request are to be sent: they end with a close, wherever they are. */
  addRaw(raw: Exchange): void {
    (this.#raw ??= new Set()).add(raw);
  }

  /** The connection that the next request may go out on, that is opened, or that was switched. */
  get current(): Connection | null {
    if (this.#current?.availability === "closed") this.#current = null;
    return this.#current;
  }

  /** What is shown of the current one: how it stands, who is at the other end, what it has carried. */
  facts(): Record<string, unknown> {
    const current = this.#current;
    if (current === null || current.availability === "closed") {
      return { connection: "closed", peer: null, requests: 0 };
    }
    return {
      connection: current.opening ?? current.availability,
      peer: current.peer,
      requests: current.served + (current.exchange === null ? 0 : 1),
    };
  }

  /** Whether there is a connection, or one in the making. */
  get open(): boolean {
    const { current } = this;
    return current !== null && current.availability !== "switched";
  }

  get sock(): Transport | null {
    const { current } = this;
    return current === null || current.opening !== null ? null : current.transport;
  }

  set sock(sock: Transport | null) {
    const { current } = this;
    const { settings, trace } = this.#options;
    // Before the other is left: what is told of that may send already.
    this.#current = sock === null ? null : Connection.over(sock, settings, trace);
    if (current !== null) {
      // As in Python it is not closed: who set it has it, or the response that was not read.
      const { exchange } = current;
      if (exchange?.unread && !exchange.busySending) {
        current.raw?.endWithSends();
        this.#lend(current, exchange);
      } else if (current.opening !== null) current.close();
      else current.abandon();
    }
  }

  /**
   * Gives the connection to an exchange, if a request may go out on it. A response that was not read keeps
   * the connection otherwise, and any other exchange ends with it.
   */
  claim(exchange: Exchange): Connection | null {
    const { current } = this;
    if (current === null || current.opening !== null) return null;
    const before = current.exchange;
    current.free();
    if (!current.mayFollow) {
      this.#giveUp(current);
      return null;
    }
    if (before?.unread) (this.#lent ??= new Set()).add(before);
    begin(current, exchange);
    return current;
  }

  #giveUp(connection: Connection): void {
    this.#current = null;
    const { exchange } = connection;
    // Bytes that are no request, and that are being sent, go out; no others follow them there.
    connection.raw?.endWithSends();
    if (exchange?.unread && !connection.isSwitched) this.#lend(connection, exchange);
    else if (connection.raw === null) connection.close();
  }

  /** Nothing follows an upload that was cut off: bytes would be taken for more of it. */
  leaveCutOff(): void {
    const { current } = this;
    if (current?.exchange?.stopped) this.#giveUp(current);
  }

  /** The response keeps the connection, and nobody else uses it any more. */
  #lend(connection: Connection, exchange: Exchange): void {
    connection.endReuse();
    (this.#lent ??= new Set()).add(exchange);
  }

  /** Opens a connection for an exchange, or waits for the one that is opened, or was set, meanwhile. */
  async openFor(exchange: Exchange): Promise<Connection> {
    while (this.current !== null) {
      if (this.current.opening) {
        await exchange.waitBehind(this.#joinOpening());
      }
      const claimed = this.claim(exchange);
      if (claimed === null) continue;
      // Whatever comes behind bytes that are no request is the user's to read.
      if (exchange.isRaw) return claimed;
      await this.probe(claimed, performance.now());
      if (this.isUsable(claimed, exchange)) return claimed;
    }
    const connection = await this.#open(exchange, exchange.isRaw);
    exchange.check();
    begin(connection, exchange);
    await this.checkUnspoken(connection, exchange);
    return connection;
  }

  /** Looks at a connection that was claimed, at the time `now`; {@linkcode isUsable} tells what was found. */
  probe(connection: Connection, now: number): Promise<void> {
    // What came with the answer of a proxy was read by then: no new connection would be better.
    if (!connection.reused && connection.unconsumed > 0) return Promise.reject(spokeFirst());
    return connection.probe(now);
  }

  /** Whether it is still open, and the server has said nothing unasked on it; it is closed otherwise. */
  isUsable(connection: Connection, exchange: Exchange): boolean {
    exchange.check();
    if (connection.isIntact) return true;
    connection.retire();
    return false;
  }

  /**
   * Looks at a connection that was made for this request.
   *
   * @throws {ProtocolError} When the server has spoken before the request.
   */
  async checkUnspoken(connection: Connection, exchange: Exchange): Promise<void> {
    if (exchange.isRaw) return;
    const spoken = await connection.hasSpoken();
    exchange.check();
    if (spoken) throw spokeFirst();
  }

  /**
   * Opens a connection for the requests to come, or waits for the one that is opened.
   *
   * @param onleft Called when the connection that was there is left, and no other is there yet.
   */
  async connect(attempt: Exchange, onleft?: () => void): Promise<void> {
    const before = this.current;
    if (before !== null && !before.opening) this.#giveUp(before);
    onleft?.();
    // Whoever was told of the end may have connected already.
    const { current } = this;
    try {
      if (current?.opening) return await attempt.waitBehind(this.#joinOpening());
      if (current !== null) return;
      const connection = await this.#open(attempt);
      attempt.check();
      connection.endOpening(attempt);
    } catch (error) {
      throw attempt.fail(error);
    }
  }

  /** Waits for the one that is opened. What it fails with was told of the exchange that opens it. */
  async #joinOpening(): Promise<void> {
    try {
      await this.#opening!;
    } catch (error) {
      throw error instanceof Thrown ? error : new Thrown(error);
    }
  }

  async #open(exchange: Exchange, isRaw = false): Promise<Connection> {
    const { settings, trace, plan } = this.#options;
    const connection = new Connection(settings, trace);
    this.#current = connection;
    connection.beginOpening(exchange, isRaw);
    // Known before it begins, as what a callback of it calls may wait for it.
    const { promise: opening, resolve } = deferred<void>();
    this.#opening = opening;
    resolve(openConnection(connection, exchange, plan(this.#onproxy)));
    try {
      await opening;
      return connection;
    } catch (error) {
      const reason = exchange.fail(error);
      connection.end(reason);
      throw reason;
    }
  }

  #onproxy = (headers: HTTPMessage): void => {
    this.proxyHeaders = headers;
  };

  /** A response that says `close` takes its connection with it. */
  lend(exchange: Exchange): void {
    const { current } = this;
    if (current?.exchange !== exchange || current.availability === "switched") return;
    this.#current = null;
    this.#lend(current, exchange);
  }

  /** Ends the current connection, and what is sent; those that responses took with them stay readable. */
  close(): void {
    const { current } = this;
    // What is told of the end may send anew.
    const raws = [...this.#raw ?? []];
    this.#current = null;
    current?.close();
    for (const raw of raws) raw.close("connection");
  }

  /** Ends all of them. */
  dispose(): void {
    this.close();
    // Each leaves the set as it is over.
    for (const exchange of this.#lent ?? []) exchange.close("connection");
    for (const exchange of this.#worked ?? []) exchange.endWork("connection");
  }

  /** Hands over the connection that was switched, or the fresh one where `fresh` says so. */
  detach(fresh: boolean): { transport: Transport; buffered: Uint8Array } | null {
    const { current } = this;
    const availability = current?.availability;
    if (availability !== "switched" && !(fresh && availability === "fresh")) return null;
    // RFC 9110, Section 7.8: the request is sent whole before the protocol is switched.
    if (current!.exchange?.busySending || current!.raw?.busySending) return null;
    this.#current = null;
    return current!.detach();
  }
}

/** Begins a request, or bytes that are none. */
function begin(connection: Connection, exchange: Exchange): void {
  if (exchange.isRaw) connection.beginRaw(exchange);
  else connection.begin(exchange);
}
