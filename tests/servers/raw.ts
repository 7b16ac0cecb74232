/**
 * A scripted TCP server: each accepted connection runs an async function that reads and sends exactly what it wants,
 * and everything that came in is recorded.
 *
 * ```ts ignore
 * await using server = await startRaw(async (peer) => {
 *   await peer.readHead();
 *   await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
 *   await peer.eof();
 * });
 * ```
 *
 * When the script returns, its connection is closed. Socket errors end a script silently (the client may go away at any
 * time); any other error, such as a failed assertion, is thrown by the server's disposal, so that the test fails.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import net from "node:net";
import { delay, noteServer, TempDir } from "./child.ts";

/** What a script works on: a socket, however it was made. */
export interface Wire {
  /** Reads into `p`; `null` is the end. */
  read(p: Uint8Array): Promise<number | null>;
  /** Writes some of `p`. */
  write(p: Uint8Array): Promise<number>;
  /** Ends the writing side. */
  closeWrite(): Promise<void>;
  /** Ends both sides. */
  close(): void;
  /** Ends both sides with a TCP reset, where the socket can. */
  reset?(): void;
}

/** A whole request as the server saw it. */
export interface RawRequest {
  /** The request method. */
  readonly method: string;
  /** The request target. */
  readonly target: string;
  /** The field lines in order, name and value as they came. */
  readonly headers: [string, string][];
  /** The head with its blank line, as ISO-8859-1 text. */
  readonly head: string;
  /** The body, chunked coding removed. */
  readonly body: Uint8Array;
  /** The size of each chunk, if the body was chunked. */
  readonly chunks: number[];
  /** The value of the first field `name`, in any case of letters. */
  get(name: string): string | undefined;
}

/** Bytes as text, one character for each byte. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** Text as bytes, one byte for each character. */
export function bytes(text: string | Uint8Array): Uint8Array<ArrayBuffer> {
  if (typeof text !== "string") return new Uint8Array(text);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Puts pieces together. */
export function concat(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Whether `error` only says that the other side went away, or that this side was closed. */
function isSocketError(error: unknown): boolean {
  const { errors } = Deno;
  return [
    errors.BadResource,
    errors.BrokenPipe,
    errors.ConnectionAborted,
    errors.ConnectionReset,
    errors.Interrupted,
    errors.InvalidData, // A TLS alert of the client.
    errors.NotConnected,
    errors.UnexpectedEof,
  ].some((kind) => error instanceof kind);
}

/** One accepted connection, as its script sees it. */
export class Peer {
  readonly #wire: Wire;
  readonly #buffer = new Uint8Array(65536);
  #pieces: Uint8Array[] = [];
  #unread: Uint8Array<ArrayBuffer> = new Uint8Array();
  #closed = false;
  /** Rejected when the server closes the connection. */
  readonly #ended = Promise.withResolvers<never>();

  /** The number of this connection, from 0. */
  readonly index: number;
  /** The client's address, where there is one. */
  readonly remote: Deno.NetAddr | undefined;
  /** The size of each read from the socket: how the client's writes arrived. */
  readonly reads: number[] = [];
  /** The head of each request that was read, as text, blank line included. */
  readonly heads: string[] = [];
  /** How many bytes were sent. */
  sent = 0;

  /** Made by the server. */
  constructor(wire: Wire, index: number, remote?: Deno.NetAddr) {
    this.#wire = wire;
    this.#ended.promise.catch(() => {});
    this.index = index;
    this.remote = remote;
  }

  /** All bytes that came from the client so far, those not yet read by the script included. */
  get received(): Uint8Array<ArrayBuffer> {
    return concat(this.#pieces);
  }

  /** {@linkcode received} as ISO-8859-1 text. */
  get text(): string {
    return latin1(this.received);
  }

  /** Reads once from the socket into the buffer; `false` at the end. */
  async #fill(): Promise<boolean> {
    // Deno: in 2.8, a read that is pending outlives close().
    const count = await Promise.race([this.#wire.read(this.#buffer), this.#ended.promise]);
    if (count === null) return false;
    const piece = this.#buffer.slice(0, count);
    this.reads.push(count);
    this.#pieces.push(piece);
    this.#unread = concat([this.#unread, piece]);
    return true;
  }

  async #need(): Promise<void> {
    if (!await this.#fill()) {
      throw new Deno.errors.UnexpectedEof("The client closed the connection");
    }
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#unread.slice(0, count);
    this.#unread = this.#unread.slice(count);
    return taken;
  }

  /** Reads the next bytes, as many as there are; `null` is the end. */
  async read(): Promise<Uint8Array | null> {
    if (this.#unread.length === 0 && !await this.#fill()) return null;
    return this.#take(this.#unread.length);
  }

  /** Reads exactly `count` bytes. */
  async readBytes(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const pieces = [];
    for (let left = count; left > 0;) {
      if (this.#unread.length === 0) await this.#need();
      const piece = this.#take(left);
      pieces.push(piece);
      left -= piece.length;
    }
    return concat(pieces);
  }

  /** Reads up to and with `mark`, as ISO-8859-1 text. */
  async readUntil(mark: string): Promise<string> {
    for (;;) {
      const at = latin1(this.#unread).indexOf(mark);
      if (at >= 0) return latin1(this.#take(at + mark.length));
      await this.#need();
    }
  }

  /** Reads one request head with its blank line, as ISO-8859-1 text. */
  async readHead(): Promise<string> {
    const head = await this.readUntil("\r\n\r\n");
    this.heads.push(head);
    return head;
  }

  /** Reads a chunked body with its trailer section; gives the data of each chunk. */
  async readChunks(): Promise<Uint8Array[]> {
    const chunks = [];
    for (;;) {
      const size = parseInt(await this.readUntil("\r\n"), 16);
      if (!(size >= 0)) throw new Error("The client sent a bad chunk size");
      if (size === 0) break;
      chunks.push(await this.readBytes(size));
      if (await this.readUntil("\r\n") !== "\r\n") {
        throw new Error("The client sent a bad chunk end");
      }
    }
    while (await this.readUntil("\r\n") !== "\r\n");
    return chunks;
  }

  /** Reads one request with its body. */
  async readRequest(): Promise<RawRequest> {
    const head = await this.readHead();
    const [first, ...lines] = head.slice(0, -4).split("\r\n");
    const [method, target] = first.split(" ");
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    const get = (name: string) =>
      headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
    const chunked = get("transfer-encoding")?.toLowerCase() === "chunked";
    const pieces = chunked
      ? await this.readChunks()
      : [await this.readBytes(Number(get("content-length") ?? 0))];
    const chunks = chunked ? pieces.map((piece) => piece.length) : [];
    return { method, target, headers, head, body: concat(pieces), chunks, get };
  }

  /** Reads everything until the client ends its side, or resets the connection. */
  async eof(): Promise<Uint8Array> {
    const pieces = [];
    try {
      for (let piece; (piece = await this.read()) !== null;) pieces.push(piece);
    } catch (error) {
      if (!isSocketError(error)) throw error;
    }
    return concat(pieces);
  }

  /** Sends each piece by a write of its own. */
  async send(...pieces: (string | Uint8Array)[]): Promise<void> {
    for (const piece of pieces) {
      let rest = bytes(piece);
      while (rest.length > 0) {
        const count = await this.#wire.write(rest);
        this.sent += count;
        rest = rest.subarray(count);
      }
    }
  }

  /** Sends `data` in pieces of `size` bytes, `ms` milliseconds apart. */
  async sendSlow(
    data: string | Uint8Array,
    { size = 1, ms = 1 }: { size?: number; ms?: number } = {},
  ): Promise<void> {
    const all = bytes(data);
    for (let at = 0; at < all.length; at += size) {
      if (at > 0) await delay(ms);
      await this.send(all.subarray(at, at + size));
    }
  }

  /** Ends the sending side: the client reads the end, and can still send. */
  async closeWrite(): Promise<void> {
    await this.#wire.closeWrite();
  }

  /** Closes the connection. The system sends a reset instead of an end if bytes are still unread in the socket. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended.reject(new Deno.errors.Interrupted("The server closed the connection"));
    try {
      this.#wire.close();
    } catch (error) {
      if (!isSocketError(error)) throw error;
    }
  }

  /** Resets the connection. Needs the server's option `resettable`. */
  reset(): void {
    if (!this.#wire.reset) throw new TypeError("Cannot reset: start the server with `resettable`");
    this.#closed = true;
    this.#wire.reset();
  }
}

/** What a server does with each connection. */
export type Script = (peer: Peer) => Promise<void> | void;

/** A running scripted server. */
export interface RawServer extends AsyncDisposable {
  /** The address. */
  readonly hostname: string;
  /** The port; 0 for a unix socket. */
  readonly port: number;
  /** The path of the unix socket; empty for TCP. */
  readonly path: string;
  /** The connections so far, in order. */
  readonly peers: readonly Peer[];
  /** How many connections were accepted. */
  readonly accepted: number;
  /** The heads of all requests that scripts have read, connection by connection. */
  readonly requests: string[];
  /** Waits for connection number `index`, from 0. */
  peer(index: number): Promise<Peer>;
  /** Waits until the scripts of all connections so far have ended. */
  idle(): Promise<void>;
}

/** Options of {@linkcode startRaw}. */
export interface RawOptions {
  /** The address to listen on. @default {"127.0.0.1"} */
  readonly hostname?: string;
  /** Whether to listen on a unix socket in a temporary folder instead. @default {false} */
  readonly unix?: boolean;
  /** Whether scripts may call `reset()`; TCP only. @default {false} */
  readonly resettable?: boolean;
}

/** Collects connections and runs the script on each: all kinds of raw servers share it. */
export class Scripts {
  readonly #script: Script;
  readonly #running: Promise<void>[] = [];
  readonly #failures: unknown[] = [];
  readonly #waiting: (() => void)[] = [];

  /** The connections so far. */
  readonly peers: Peer[] = [];

  /** Runs `script` for each connection. */
  constructor(script: Script) {
    this.#script = script;
  }

  /** Starts the script on a new connection. */
  add(wire: Wire, remote?: Deno.NetAddr): void {
    const peer = new Peer(wire, this.peers.length, remote);
    this.peers.push(peer);
    this.#running.push(this.#run(peer));
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #run(peer: Peer): Promise<void> {
    try {
      await this.#script(peer);
    } catch (error) {
      if (!isSocketError(error)) this.#failures.push(error);
    } finally {
      peer.close();
    }
  }

  /** Waits for connection number `index`. */
  async peer(index: number): Promise<Peer> {
    while (this.peers.length <= index) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.peers[index];
  }

  /** Waits for all scripts. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Closes all connections, waits for all scripts, throws what failed in them. */
  async end(): Promise<void> {
    for (const peer of this.peers) peer.close();
    await this.idle();
    if (this.#failures.length === 1) throw this.#failures[0];
    if (this.#failures.length > 1) {
      throw new AggregateError(this.#failures, "Several scripts failed");
    }
  }
}

/** Makes the server's face for `scripts`. */
export function rawServer(
  scripts: Scripts,
  where: { hostname: string; port: number; path?: string },
  stop: () => void | Promise<void>,
): RawServer {
  const forget = noteServer(() => scripts.peers.forEach((peer) => peer.close()));
  return {
    path: "",
    ...where,
    peers: scripts.peers,
    get accepted() {
      return scripts.peers.length;
    },
    get requests() {
      return scripts.peers.flatMap((peer) => peer.heads);
    },
    peer: (index) => scripts.peer(index),
    idle: () => scripts.idle(),
    async [Symbol.asyncDispose]() {
      forget();
      await stop();
      await scripts.end();
    },
  };
}

/** Accepts until the listener is closed. */
export async function acceptAll(
  listener: { accept(): Promise<Deno.Conn> },
  scripts: Scripts,
): Promise<void> {
  for (;;) {
    let conn: Deno.Conn;
    try {
      conn = await listener.accept();
    } catch (error) {
      if (isSocketError(error)) return;
      throw error;
    }
    (conn as Partial<Deno.TcpConn>).setNoDelay?.(true);
    scripts.add(conn, conn.remoteAddr.transport === "tcp" ? conn.remoteAddr : undefined);
  }
}

/** A paused `node:net` socket as a {@linkcode Wire}: the one kind of socket here that can send a reset. */
class NodeWire implements Wire {
  readonly #socket: net.Socket;
  #queue: Uint8Array[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.pause();
    const wake = () => {
      this.#wake?.();
      this.#wake = undefined;
    };
    socket.on("data", (data) => {
      socket.pause();
      this.#queue.push(data as Uint8Array);
      wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      wake();
    });
    socket.on("error", () => {
      this.#error = new Deno.errors.ConnectionReset("The client reset the connection");
      wake();
    });
    socket.on("close", () => {
      this.#error ??= new Deno.errors.BadResource("The connection is closed");
      wake();
    });
  }

  async read(p: Uint8Array): Promise<number | null> {
    while (this.#queue.length === 0) {
      if (this.#ended) return null;
      if (this.#error) throw this.#error;
      const woken = new Promise<void>((resolve) => this.#wake = resolve);
      this.#socket.resume();
      await woken;
    }
    const piece = this.#queue[0].subarray(0, p.length);
    p.set(piece);
    if (piece.length === this.#queue[0].length) this.#queue.shift();
    else this.#queue[0] = this.#queue[0].subarray(piece.length);
    return piece.length;
  }

  write(p: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      const failed = () => new Deno.errors.BrokenPipe("The connection is closed");
      if (this.#socket.destroyed) reject(failed());
      else this.#socket.write(p, (error) => error ? reject(failed()) : resolve(p.length));
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  close(): void {
    this.#socket.destroySoon();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }
}

async function startResettable(script: Script, hostname: string): Promise<RawServer> {
  const scripts = new Scripts(script);
  const closings: Promise<void>[] = [];
  const server = net.createServer(
    { pauseOnConnect: true, noDelay: true, allowHalfOpen: true },
    (socket) => {
      closings.push(new Promise((resolve) => socket.once("close", () => resolve())));
      const { remoteAddress = "", remotePort = 0 } = socket;
      scripts.add(new NodeWire(socket), {
        transport: "tcp",
        hostname: remoteAddress,
        port: remotePort,
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, hostname, resolve));
  const { port } = server.address() as net.AddressInfo;
  return rawServer(scripts, { hostname, port }, async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const peer of scripts.peers) peer.close();
    await Promise.all(closings);
    await closed;
  });
}

/** Starts a scripted server on a free port. */
export async function startRaw(script: Script, options: RawOptions = {}): Promise<RawServer> {
  const { hostname = "127.0.0.1", unix = false, resettable = false } = options;
  if (resettable) return await startResettable(script, hostname);
  const scripts = new Scripts(script);
  if (unix) {
    const dir = new TempDir("raw");
    const path = `${dir.path}/socket`;
    const listener = Deno.listen({ transport: "unix", path });
    const accepting = acceptAll(listener, scripts);
    return rawServer(scripts, { hostname: "localhost", port: 0, path }, async () => {
      listener.close();
      await accepting;
      await dir[Symbol.asyncDispose]();
    });
  }
  const listener = Deno.listen({ port: 0, hostname });
  const accepting = acceptAll(listener, scripts);
  return rawServer(scripts, { hostname, port: listener.addr.port }, async () => {
    listener.close();
    await accepting;
  });
}
