/**
 * Two ways through a proxy: `set_tunnel()` for requests, and a CONNECT of one's own for any protocol.
 *
 *     deno run -A examples/tunnel.ts
 *
 * @module
 */
import { HTTPConnection, LineReader, TunnelError } from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const { relay } = await import("./relay.ts");
  await using proxy = await startRaw(relay);
  await using origin = Deno.serve({ port: 0, onListen() {} }, (request) => {
    return new Response(`you asked for ${request.headers.get("host")}`);
  });
  const mail = await startRaw(async (peer) => {
    await peer.send("220 mail.example ESMTP\r\n");
    await peer.readUntil("QUIT\r\n");
    await peer.send("221 Bye\r\n");
  });
  await using _mail = mail;

  // Requests to a server behind the proxy.
  {
    using conn = new HTTPConnection("127.0.0.1", proxy.port);
    conn.set_tunnel("localhost", origin.addr.port, { "Proxy-Authorization": "Basic dTpw" });
    await conn.request("GET", "/");
    console.log(await (await conn.getresponse()).text());
    assertEquals(conn.get_proxy_response_headers()?.get("via"), "1.1 relay");
  }

  // Another protocol than HTTP: what the server says first may come along with the proxy's answer.
  {
    using conn = new HTTPConnection("127.0.0.1", proxy.port);
    const target = `localhost:${mail.port}`;
    await conn.request("CONNECT", target, null, { "Host": target });
    const response = await conn.getresponse();
    assertEquals([response.status, response.reason], [200, "Connection established"]);

    const { readable, writable } = conn.detach();
    const lines = new LineReader(readable);
    const line = async () => new TextDecoder().decode(await lines.readline()).trimEnd();
    assertEquals(await line(), "220 mail.example ESMTP");
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode("QUIT\r\n"));
    assertEquals(await line(), "221 Bye");
    await writer.close();
  }

  // What the proxy does not allow.
  {
    using conn = new HTTPConnection("127.0.0.1", proxy.port);
    conn.set_tunnel("elsewhere.example", 80);
    const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
    assertEquals([error.status, error.reason], [403, "Forbidden"]);
  }
  console.log("checked: a request and another protocol through the proxy, a refusal");
}

if (import.meta.main) await selfCheck();
