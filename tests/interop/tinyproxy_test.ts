import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { HTTPConnection, HTTPSConnection, TunnelError } from "../../mod.ts";
import { has } from "../servers/available.ts";
import { freePorts, watched } from "../servers/child.ts";
import { pattern, sha256, utf8 } from "../servers/data.ts";
import { startNginx } from "../servers/nginx.ts";
import { startTinyproxy } from "../servers/tinyproxy.ts";
import { CA } from "../tls/mod.ts";

const context = { caCerts: [CA] };

function test(name: string, fn: () => Promise<void>, ready = has.nginx): void {
  Deno.test({
    name: `interop tinyproxy: ${name}`,
    ignore: !has.tinyproxy || !ready,
    fn: watched(fn),
  });
}

test("a tunnel to HTTPS works with a proxy that answers as HTTP/1.0", async () => {
  const file = pattern(1 << 20);
  await using proxy = await startTinyproxy();
  await using nginx = await startNginx({ tls: true, files: { big: file } });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  for (let i = 0; i < 2; i++) {
    await conn.request("GET", "/big");
    const res = await conn.getresponse();
    assertEquals([res.status, res.version], [200, 11]);
    assertEquals(await sha256(await res.read()), await sha256(file));
  }
  assertEquals(proxy.log().match(/CONNECT localhost/g)?.length, 1);
});

test("the proxy's header fields can be read", async () => {
  await using proxy = await startTinyproxy();
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  await conn.connect();
  assertMatch(conn.get_proxy_response_headers()?.get("Proxy-Agent") ?? "", /^tinyproxy\//);
});

test("a missing login is a TunnelError 407 with its challenge, then the login works", async () => {
  await using proxy = await startTinyproxy({ lines: "BasicAuth user secret" });
  await using nginx = await startNginx({ tls: true, server: "location / { return 200 ok; }" });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
  assertEquals([error.status, error.reason], [407, "Proxy Authentication Required"]);
  assertMatch(error.headers.get("proxy-authenticate") ?? "", /^Basic realm=/);
  conn.set_tunnel("localhost", nginx.tlsPort, {
    "Proxy-Authorization": `Basic ${btoa("user:secret")}`,
  });
  await conn.request("GET", "/");
  assertEquals(utf8(await (await conn.getresponse()).read()), "ok");
});

test("a port that the proxy does not allow is a TunnelError 403", async () => {
  await using proxy = await startTinyproxy({ lines: "ConnectPort 443" });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", 444);
  const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
  assertEquals(error.status, 403);
}, true);

test("a target that does not answer is a TunnelError 500", async () => {
  const [port] = freePorts(1);
  await using proxy = await startTinyproxy();
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("127.0.0.1", port);
  const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
  assertEquals([error.status, error.reason], [500, "Unable to connect"]);
}, true);

test("GET in absolute form goes through the proxy", async () => {
  await using proxy = await startTinyproxy();
  await using nginx = await startNginx({ files: { "a.txt": "hello" } });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.request("GET", `http://localhost:${nginx.port}/a.txt`);
  const res = await conn.getresponse();
  assertEquals(utf8(await res.read()), "hello");
  assert(res.getheader("Via") !== null);
});
