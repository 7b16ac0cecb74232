/**
 * A server on the loopback interface, which answers as the one in memory does.
 *
 * @module
 */
import { type Output, Wire } from "./wire.ts";
import type { World } from "./world.ts";

/** Closes what may be closed already. */
function close(closer: { close(): void }): void {
  try {
    closer.close();
  } catch {
    // The peer was first.
  }
}

/** Writes in order, without anybody waiting for it. */
class SocketOutput implements Output {
  #socket: Deno.TcpConn;
  #last: Promise<unknown> = Promise.resolve();

  constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  push(bytes: Uint8Array<ArrayBuffer>): void {
    this.#then(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
    });
  }

  end(): void {
    this.#then(() => this.#socket.closeWrite());
  }

  reset(): void {
    this.#then(() => close(this.#socket));
  }

  #then(step: () => unknown): void {
    this.#last = this.#last.then(step).catch(() => {});
  }
}

/** The server. */
export class TcpServer {
  readonly port: number;
  #listener: Deno.TcpListener;
  #sockets = new Set<Deno.TcpConn>();
  #work: Promise<unknown>[] = [];

  /** Listens, and tells `world` of each connection. */
  constructor(world: World) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#work.push(this.#accept(world));
  }

  /** How many clients have not closed their connection. */
  get open(): number {
    return this.#sockets.size;
  }

  /**
   * Waits until all clients have closed their connections, or for so many milliseconds. What counts is the time
   * in which this process has run: on a machine that stands still for that long, no close can be seen.
   */
  async untilClosed(milliseconds: number): Promise<void> {
    for (let waited = 0; this.open > 0 && waited < milliseconds; waited += 5) {
      await new Promise((go) => setTimeout(go, 5));
    }
  }

  /** Ends it, and all connections. */
  async stop(): Promise<void> {
    close(this.#listener);
    for (const socket of this.#sockets) close(socket);
    await Promise.all(this.#work);
  }

  async #accept(world: World): Promise<void> {
    try {
      for await (const socket of this.#listener) {
        socket.setNoDelay(true);
        this.#sockets.add(socket);
        this.#work.push(this.#serve(world, socket));
      }
    } catch {
      // Stopped.
    }
  }

  async #serve(world: World, socket: Deno.TcpConn): Promise<void> {
    const wire = new Wire(world, new SocketOutput(socket));
    const buffer = new Uint8Array(65536);
    try {
      for (;;) {
        // Whether the client has closed is only seen by reading: a stalled server drops what it reads.
        const count = await socket.read(buffer);
        if (count === null) break;
        wire.receive(buffer.subarray(0, count));
      }
    } catch {
      // Reset, or stopped.
    }
    wire.closedAt = world.tick();
    this.#sockets.delete(socket);
    close(socket);
  }
}
