/**
 * TLS in TLS: an HTTPS server through a proxy that is reached over HTTPS itself. The proxy sees where
 * to, but neither the request nor, from outside, anybody the CONNECT.
 *
 *     deno run -A examples/tls_in_tls.ts
 *
 * @module
 */
import { HTTPSConnection } from "@denoports/http-client";
import { assert, assertEquals } from "@std/assert";

async function selfCheck(): Promise<void> {
  const { startRawTls } = await import("../tests/servers/raw_tls.ts");
  const { CA, LOCALHOST } = await import("../tests/tls/mod.ts");
  const { relay } = await import("./relay.ts");
  await using proxy = await startRawTls(relay);
  await using origin = Deno.serve({ port: 0, onListen() {}, ...LOCALHOST }, (request) => {
    return new Response(`a secret from ${new URL(request.url).host}`);
  });

  const caCerts = [CA];
  using conn = new HTTPSConnection("localhost", proxy.port, {
    transport: () => Deno.connectTls({ hostname: "localhost", port: proxy.port, caCerts }),
    context: { caCerts },
  });
  conn.set_tunnel("localhost", origin.addr.port);
  await conn.request("GET", "/");
  const text = await (await conn.getresponse()).text();
  console.log(text);

  assertEquals(text, `a secret from localhost:${origin.addr.port}`);
  assert(proxy.peers[0].text.startsWith("CONNECT localhost:"));
  assert(!proxy.peers[0].text.includes("GET /"));
  console.log("checked: the proxy saw the CONNECT, and nothing of the request");
}

if (import.meta.main) await selfCheck();
