/**
 * The other end of the examples that go through a proxy: what a proxy does with CONNECT.
 *
 * @module
 */
import type { Peer } from "../tests/servers/raw.ts";

/** Serves one client of a proxy that opens tunnels to this machine, and nowhere else. */
export async function relay(peer: Peer): Promise<void> {
  const head = await peer.readHead();
  const target = /^CONNECT (?:localhost|127\.0\.0\.1):([0-9]+) HTTP\/1\.1\r\n/.exec(head);
  if (target === null) {
    return await peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  }
  const origin = await Deno.connect({ hostname: "127.0.0.1", port: Number(target[1]) });
  await peer.send("HTTP/1.1 200 Connection established\r\nVia: 1.1 relay\r\n\r\n");
  await copyBothWays(peer, origin);
}

/** Copies in both directions until both sides have ended. */
export async function copyBothWays(peer: Peer, origin: Deno.Conn): Promise<void> {
  const back = (async () => {
    for await (const piece of origin.readable) await peer.send(piece);
    await peer.closeWrite();
  })().catch(() => {}); // The client may go first.
  const writer = origin.writable.getWriter();
  for (let piece; (piece = await peer.read()) !== null;) await writer.write(piece);
  await writer.close();
  await back;
}
