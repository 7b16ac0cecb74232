import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { HTTPConnection, HTTPSConnection, TunnelError } from "../../mod.ts";
import { interopTest } from "../helpers/interop.ts";
import { has } from "../servers/available.ts";
import { freePorts } from "../servers/child.ts";
import { pattern, sha256, utf8 } from "../servers/data.ts";
import { startNginx } from "../servers/nginx.ts";
import { startTinyproxy } from "../servers/tinyproxy.ts";
import { CA } from "../tls/mod.ts";

const context = { caCerts: [CA] };

const declare = interopTest("tinyproxy", has.tinyproxy);

function test(name: string, fn: () => Promise<void>, ready = has.nginx): void {
  declare(name, fn, ready);
}

test("set_tunnel() reaches an HTTPS server when the proxy answers as HTTP/1.0", async () => {
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

test("get_proxy_response_headers() gives the proxy's header fields", async () => {
  await using proxy = await startTinyproxy();
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  await conn.connect();
  assertMatch(conn.get_proxy_response_headers()?.get("Proxy-Agent") ?? "", /^tinyproxy\//);
});

test("connect() throws a TunnelError 407 with its challenge, and works with a login", async () => {
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

test("connect() throws a TunnelError 403 when the proxy does not allow the port", async () => {
  await using proxy = await startTinyproxy({ lines: "ConnectPort 443" });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", 444);
  const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
  assertEquals(error.status, 403);
}, true);

test("connect() throws a TunnelError 500 when the target does not answer", async () => {
  const [port] = freePorts(1);
  await using proxy = await startTinyproxy();
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("127.0.0.1", port);
  const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
  assertEquals([error.status, error.reason], [500, "Unable to connect"]);
}, true);

test("request() goes through the proxy when the target is in absolute form", async () => {
  await using proxy = await startTinyproxy();
  await using nginx = await startNginx({ files: { "a.txt": "hello" } });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.request("GET", `http://localhost:${nginx.port}/a.txt`);
  const res = await conn.getresponse();
  assertEquals(utf8(await res.read()), "hello");
  assert(res.getheader("Via") !== null);
});
