/**
 * Proxies in memory that pass bytes on to a server.
 *
 * @module
 */
import type { Peer, Script } from "../servers/raw.ts";

/** What a proxy that agrees answers to CONNECT. */
const AGREED = "HTTP/1.1 200 Connection established\r\n\r\n";

/** Passes bytes on to a port of this machine and back, each direction until its own end. */
export async function relay(peer: Peer, port: number): Promise<void> {
  using up = await Deno.connect({ hostname: "127.0.0.1", port });
  const back = (async () => {
    const p = new Uint8Array(65536);
    try {
      for (let n; (n = await up.read(p)) !== null;) await peer.send(p.subarray(0, n));
      await peer.closeWrite();
    } catch {
      // Either side went away.
    }
  })();
  try {
    for (let piece; (piece = await peer.read()) !== null;) {
      for (let at = 0; at < piece.length;) at += await up.write(piece.subarray(at));
    }
    await up.closeWrite();
  } catch {
    // Either side went away. Deno: in 2.8.3, close() alone is not told where a read is pending.
    up.closeWrite().catch(() => {});
    up.close();
  }
  await back;
}

/** Passes everything on to a port of this machine. */
export function relayTo(port: number): Script {
  return (peer) => relay(peer, port);
}

/** A proxy that answers CONNECT, and leads to `port` whatever it was asked for. */
export function tunnelTo(port: number, answer = AGREED): Script {
  return async (peer) => {
    await peer.readHead();
    await peer.send(answer);
    await relay(peer, port);
  };
}
