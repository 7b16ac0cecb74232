/**
 * Where a cell takes place: over transports in memory, or over TCP on the loopback interface.
 *
 * @module
 */
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPException,
  IncompleteRead,
} from "../../mod.ts";
import { concat } from "./bytes.ts";
import { pause, turn } from "./outcome.ts";
import {
  answerAll,
  type Answering,
  MemoryTransport,
  type Peer,
  type WhenClosed,
} from "./transports.ts";

/** A connection, and the peers that it has talked to. */
export interface Stage {
  /** The connection. */
  readonly conn: HTTPConnection;
  /** The peers, in the order in which they were connected to. */
  readonly peers: readonly Peer[];
  /** Waits for the first peer to be there. */
  first(): Promise<Peer>;
  /**
   * Whether an error is what a connection that was reset fails with.
   *
   * @param injected The error that was asked for
   * @param inHead Whether it came within the head
   */
  isReset(error: unknown, injected: Error, inHead: boolean): boolean;
  /** Whether the peers are reached over sockets. */
  readonly isRemote: boolean;
  /** Frees what only the stage has. */
  close(): void;
}

/**
 * Transports in memory. The first request is answered from outside, all others by the peer.
 *
 * @param options Options of the connection
 * @param whenClosed What becomes of a pending read of the first transport when it is closed
 */
export function inMemory(options: HTTPConnectionOptions, whenClosed: WhenClosed): Stage {
  const peers: MemoryTransport[] = [];
  const open = () => {
    const transport = new MemoryTransport(peers.length === 0 ? whenClosed : "fails");
    answerAll(transport, peers.length === 0 ? 1 : 0);
    peers.push(transport);
    return Promise.resolve(transport);
  };
  return {
    conn: new HTTPConnection("sweep.test", { ...options, transport: open }),
    peers,
    isRemote: false,
    first: () => Promise.resolve(peers[0]),
    isReset: (error, injected) => error === injected,
    close() {},
  };
}

/** A peer over TCP. */
class TcpPeer implements Answering {
  closes = 0;
  ended = false;
  readonly reading = false;
  onwritten: () => void = () => {};
  readonly #conn: Deno.Conn;
  readonly #received: Uint8Array[] = [];
  #sending: Promise<unknown> = Promise.resolve();
  #broken = false;

  /** @param reads Whether it reads; a connection that is closed with bytes unread is reset. */
  constructor(conn: Deno.Conn, reads: boolean) {
    this.#conn = conn;
    if (reads) this.#receive();
  }

  get wire(): Uint8Array {
    return concat(...this.#received);
  }

  arrive(data: Uint8Array): void {
    this.#queue(async () => {
      for (let at = 0; at < data.length;) at += await this.#conn.write(data.subarray(at));
    });
  }

  end(): void {
    this.ended = true;
    this.#queue(() => this.#conn.closeWrite());
  }

  fail(): void {
    this.#broken = true;
    this.#queue(() => Promise.resolve(this.close()));
  }

  fillLate(): void {}

  async isClosed(): Promise<boolean> {
    for (let i = 0; i < 100 && this.closes === 0 && !this.#broken; i++) {
      await (i < 10 ? turn() : pause(2));
    }
    return this.closes > 0 || this.#broken;
  }

  close(): void {
    try {
      this.#conn.close();
    } catch {
      // It is closed already.
    }
  }

  #queue(action: () => Promise<unknown>): void {
    this.#sending = this.#sending.then(action).catch(() => {});
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(65536);
    try {
      for (let count; (count = await this.#conn.read(buffer)) !== null;) {
        this.#received.push(buffer.slice(0, count));
        this.onwritten();
      }
    } catch {
      // The client has reset it, or this side is closed.
    }
    this.closes++;
  }
}

/**
 * TCP on the loopback interface.
 *
 * @param options Options of the connection
 * @param resets Whether the first peer is to reset its connection
 */
export function overTcp(options: HTTPConnectionOptions, resets: boolean): Stage {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const peers: TcpPeer[] = [];
  const accept = async () => {
    for await (const conn of listener) {
      const peer = new TcpPeer(conn, !(resets && peers.length === 0));
      answerAll(peer, peers.length === 0 ? 1 : 0);
      peers.push(peer);
    }
  };
  accept().catch(() => {});
  return {
    conn: new HTTPConnection("127.0.0.1", listener.addr.port, options),
    peers,
    isRemote: true,
    async first() {
      while (peers.length === 0) await turn();
      return peers[0];
    },
    // A system may tell of the end of the connection before it tells of the reset.
    isReset: (error, _injected, inHead) =>
      error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
      error instanceof Deno.errors.ConnectionAborted || error instanceof IncompleteRead ||
      (inHead && error instanceof HTTPException),
    close() {
      listener.close();
      for (const peer of peers) peer.close();
    },
  };
}
