/**
 * A SOCKS5 proxy: `npm:socks` makes the connection, and the exchange runs over it as its `transport`, with
 * TLS or without. The proxy resolves the host's name. Without arguments it checks itself.
 *
 *     deno run -A examples/socks5.ts
 *     deno run -A examples/socks5.ts socks5://user:password@127.0.0.1:1080 https://example.com/
 *
 * @module
 */
import { HTTPConnection, HTTPSConnection, type Transport } from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";
import { SocksClient, SocksClientError } from "npm:socks@2";
import type { Peer } from "../tests/servers/raw.ts";
import { transportOf } from "./node_transport.ts";

const bare = (host: string) => host.replace(/^\[|\]$/g, "");

/** Connects to the host of a URL through a SOCKS5 proxy (RFC 1928, RFC 1929). */
async function connectThrough(proxy: URL, url: URL): Promise<Transport> {
  const { socket } = await SocksClient.createConnection({
    command: "connect",
    proxy: {
      host: bare(proxy.hostname),
      port: Number(proxy.port || 1080),
      type: 5,
      ...(proxy.username === "" ? {} : {
        userId: decodeURIComponent(proxy.username),
        password: decodeURIComponent(proxy.password),
      }),
    },
    destination: {
      host: bare(url.hostname),
      port: Number(url.port || (url.protocol === "https:" ? 443 : 80)),
    },
    timeout: 10_000, // of the whole negotiation, in milliseconds
  });
  socket.setNoDelay(true);
  return transportOf(socket);
}

/** A connection to the origin of a URL through a proxy. */
function connectionThrough(proxy: URL, url: URL, caCerts: string[] = []): HTTPConnection {
  const options = {
    transport: () => connectThrough(proxy, url),
    deadlines: { connect: 15, tls: 10, head: 30 },
    timeout: 30,
  };
  return url.protocol === "https:"
    ? new HTTPSConnection(new URL(url.origin), { ...options, context: { caCerts } })
    : new HTTPConnection(new URL(url.origin), options);
}

/** Serves one client of a SOCKS5 proxy whose only user is `u` with the password `p`. */
async function socksServer(peer: Peer): Promise<void> {
  const string = async () => {
    const [length] = await peer.readBytes(1);
    return new TextDecoder().decode(await peer.readBytes(length));
  };
  const [version, count] = await peer.readBytes(2);
  const methods = await peer.readBytes(count);
  if (version !== 5 || !methods.includes(2)) return await peer.send(new Uint8Array([5, 0xff]));
  await peer.send(new Uint8Array([5, 2]));
  await peer.readBytes(1);
  const isUser = await string() === "u" && await string() === "p";
  await peer.send(new Uint8Array([1, isUser ? 0 : 1]));
  if (!isUser) return;
  const [, command, , type] = await peer.readBytes(4);
  assertEquals([command, type], [1, 3]); // CONNECT, a name
  const hostname = await string();
  const [high, low] = await peer.readBytes(2);
  const allowed = hostname === "localhost";
  await peer.send(new Uint8Array([5, allowed ? 0 : 2, 0, 1, 0, 0, 0, 0, 0, 0]));
  if (!allowed) return;
  const { copyBothWays } = await import("./relay.ts");
  await copyBothWays(peer, await Deno.connect({ hostname: "127.0.0.1", port: high << 8 | low }));
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const { CA, LOCALHOST } = await import("../tests/tls/mod.ts");
  const handler = (request: Request) => new Response(request.body ?? `hello from ${request.url}`);
  const local = { port: 0, hostname: "127.0.0.1", onListen() {} };
  await using plain = Deno.serve(local, handler);
  await using secure = Deno.serve({ ...local, ...LOCALHOST }, handler);
  await using server = await startRaw(socksServer);
  const proxy = new URL(`socks5://u:p@127.0.0.1:${server.port}`);
  for (
    const url of [
      new URL(`http://localhost:${plain.addr.port}/`),
      new URL(`https://localhost:${secure.addr.port}/`),
    ]
  ) {
    using conn = connectionThrough(proxy, url, [CA]);
    await conn.request("GET", url);
    assertEquals(await (await conn.getresponse()).text(), `hello from ${url}`);
    const large = new Uint8Array(1 << 20).fill(7);
    await conn.request("POST", url, large); // on the same connection
    assertEquals(await (await conn.getresponse()).read(), large);
  }
  assertEquals(server.accepted, 2);

  // What the proxy refuses is told as the package tells it.
  const url = new URL("http://elsewhere.example/");
  using elsewhere = connectionThrough(proxy, url);
  const refused = await assertRejects(() => elsewhere.request("GET", url), SocksClientError);
  proxy.password = "wrong";
  using wrong = connectionThrough(proxy, url);
  const denied = await assertRejects(() => wrong.request("GET", url), SocksClientError);
  for (const { message } of [refused, denied]) {
    console.log(`refused, as it should be: ${message}`);
  }
  assertEquals(wrong.lastFailure?.retrySafe, "yes"); // Nothing has reached the origin.
  console.log("checked: HTTP and HTTPS through the proxy, what the proxy refuses");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  else {
    const [proxy, url] = Deno.args.map((arg) => new URL(arg));
    using conn = connectionThrough(proxy, url);
    await conn.request("GET", url);
    const response = await conn.getresponse();
    console.log(response.status, response.reason);
    await response.pipeTo(Deno.stdout.writable, { preventClose: true });
  }
}
