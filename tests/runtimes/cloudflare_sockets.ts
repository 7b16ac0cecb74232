/**
 * A transport over the sockets of workerd, which Cloudflare's workers have.
 *
 * @module
 */
import type { Transport } from "../../mod.ts";

interface Socket {
  readonly opened: Promise<unknown>;
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array>;
  close(): Promise<void>;
}

interface Sockets {
  connect(address: { hostname: string; port: number }, options: { allowHalfOpen: boolean }): Socket;
}

/** Opens a connection; for `HTTPConnectionOptions.transport`. */
export async function openSocket(hostname: string, port: number): Promise<Transport> {
  // A name that only workerd knows.
  const name = "cloudflare:sockets";
  const { connect } = await import(name) as Sockets;
  const socket = connect({ hostname, port }, { allowHalfOpen: true });
  await socket.opened;
  const reader = socket.readable.getReader({ mode: "byob" });
  const writer = socket.writable.getWriter();
  return {
    async read(p) {
      // The stream takes the memory that it is given.
      const { value, done } = await reader.read(new Uint8Array(p.length));
      if (done || value === undefined) return null;
      p.set(value);
      return value.length;
    },
    async write(p) {
      await writer.write(p.slice());
      return p.length;
    },
    closeWrite: () => writer.close(),
    close() {
      reader.cancel().catch(() => {});
      socket.close().catch(() => {});
    },
  };
}
