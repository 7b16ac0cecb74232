import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { HTTPConnection, HTTPMessage, HTTPSConnection, TunnelError } from "../../mod.ts";
import { has, squidBasicAuth } from "../servers/available.ts";
import { freePorts, until, watched } from "../servers/child.ts";
import { type Echo, echo, messages, pattern, sha256, utf8 } from "../servers/data.ts";
import { startDenoServe } from "../servers/deno_serve.ts";
import { startNginx } from "../servers/nginx.ts";
import { concat } from "../servers/raw.ts";
import { GOOD_LOGIN, startSquid } from "../servers/squid.ts";
import { CA, CLIENT, WRONG_NAME } from "../tls/mod.ts";

const context = { caCerts: [CA] };

async function get(conn: HTTPConnection, path: string): Promise<{ status: number; text: string }> {
  await conn.request("GET", path);
  const res = await conn.getresponse();
  return { status: res.status, text: utf8(await res.read()) };
}

function test(name: string, fn: () => Promise<void>, ready = has.nginx): void {
  Deno.test({ name: `interop squid: ${name}`, ignore: !has.squid || !ready, fn: watched(fn) });
}

// Tunnels

test("a tunnel to HTTPS checks the certificate with one's own CA", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: true,
    server: "location / { return 200 '$ssl_server_name $ssl_alpn_protocol $http_host $request'; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const { status, text } = await get(conn, "/path");
  assertEquals(status, 200);
  assertEquals(text, `localhost http/1.1 localhost:${nginx.tlsPort} GET /path HTTP/1.1`);
  conn.close();
  const [line] = await until("squid's log", () => {
    const lines = proxy.access().filter((line) => line.includes("CONNECT"));
    return lines.length > 0 && lines;
  });
  assertStringIncludes(line, `TCP_TUNNEL/200`);
  assertStringIncludes(line, `CONNECT localhost:${nginx.tlsPort}`);
});

test("a tunnel to plain HTTP works", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    server: "location / { return 200 '$http_host $request'; }",
  });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("localhost", nginx.port);
  assertEquals((await get(conn, "/a")).text, `localhost:${nginx.port} GET /a HTTP/1.1`);
});

test("a tunnel to an IPv6 address works", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    ipv6: true,
    server: "location / { return 200 '$http_host $remote_addr'; }",
  });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("::1", nginx.port);
  assertEquals((await get(conn, "/")).text, `[::1]:${nginx.port} ::1`);
});

test("one tunnel serves many requests", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: true,
    server: "location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const seen = new Set();
  for (let i = 0; i < 5; i++) seen.add((await get(conn, "/")).text);
  assertEquals(seen.size, 1);
});

test("a new connection makes a new tunnel", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: true,
    server: "keepalive_requests 1; location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const seen = new Set();
  for (let i = 0; i < 3; i++) seen.add((await get(conn, "/")).text);
  assertEquals(seen.size, 3);
  conn.close();
  await until(
    "squid's log",
    () => proxy.access().filter((line) => line.includes("CONNECT")).length === 3,
  );
});

test("a large file comes whole through the tunnel", async () => {
  const file = pattern(8 << 20);
  await using proxy = await startSquid();
  await using nginx = await startNginx({ tls: true, files: { big: file } });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  await conn.request("GET", "/big");
  const pieces = [];
  for await (const piece of await conn.getresponse()) pieces.push(piece);
  assertEquals(await sha256(concat(pieces)), await sha256(file));
});

test("a large PUT goes whole through the tunnel", async () => {
  const file = pattern(4 << 20);
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: true,
    server: "dav_methods PUT; client_max_body_size 0;",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  await conn.request("PUT", "/copy", file);
  assertEquals((await conn.getresponse()).status, 201);
  assertEquals(await sha256(await Deno.readFile(`${nginx.root}/copy`)), await sha256(file));
});

test("the proxy's header fields are null before CONNECT and a message after it", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  assertEquals(conn.get_proxy_response_headers(), null);
  await conn.connect();
  const headers = conn.get_proxy_response_headers();
  assert(headers instanceof HTTPMessage);
  // squid sends none with its 200.
  assertEquals([...headers.keys()], []);
});

test("the certificate is checked against the tunnel's host, not the proxy's", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({ tls: WRONG_NAME });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
  assertMatch(messages(error), /not valid for name "localhost"/);
  assertEquals(await nginx.access(), []);
});

test("server_hostname is checked instead of the tunnel's host", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: WRONG_NAME,
    server: "location / { return 200 $ssl_server_name; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, {
    context: { ...context, server_hostname: "other.example.test" },
  });
  conn.set_tunnel("localhost", nginx.tlsPort);
  assertEquals((await get(conn, "/")).text, "other.example.test");
});

test("a client certificate reaches the server through the tunnel", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: true,
    mtls: true,
    server: "location / { return 200 '$ssl_client_verify $ssl_client_s_dn'; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, {
    context: { ...context, ...CLIENT },
  });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const { text } = await get(conn, "/");
  assertMatch(text, /^SUCCESS CN=http-client test client/);
});

test("source_address is what the proxy sees", async () => {
  await using proxy = await startSquid({
    rules: "acl me src 127.0.0.5\nhttp_access deny !me",
  });
  await using nginx = await startNginx({ tls: true, server: "location / { return 200 ok; }" });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, {
    context,
    source_address: ["127.0.0.5", 0],
  });
  conn.set_tunnel("localhost", nginx.tlsPort);
  assertEquals((await get(conn, "/")).text, "ok");
});

// Refusals

test(
  "a tunnel that the proxy denies is a TunnelError with status, reason and headers",
  async () => {
    await using proxy = await startSquid({ rules: "http_access deny CONNECT" });
    await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
    conn.set_tunnel("localhost", 443);
    const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
    assertEquals([error.status, error.reason], [403, "Forbidden"]);
    assertMatch(error.headers.get("X-Squid-Error") ?? "", /^ERR_ACCESS_DENIED/);
    assertMatch(messages(error), /403 Forbidden/);
  },
  true,
);

test("a target that does not answer is a TunnelError 503", async () => {
  const [port] = freePorts(1);
  await using proxy = await startSquid();
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("127.0.0.1", port);
  const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
  assertEquals([error.status, error.reason], [503, "Service Unavailable"]);
  assertMatch(error.headers.get("X-Squid-Error") ?? "", /^ERR_CONNECT_FAIL/);
}, true);

test("a missing login is a TunnelError 407 with its challenge", async () => {
  await using proxy = await startSquid({ auth: true });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", 443);
  const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
  assertEquals([error.status, error.reason], [407, "Proxy Authentication Required"]);
  assertEquals(error.headers.get("Proxy-Authenticate"), 'Basic realm="test proxy"');
  assertEquals(
    conn.get_proxy_response_headers()?.get("Proxy-Authenticate"),
    'Basic realm="test proxy"',
  );
}, squidBasicAuth !== undefined);

test("after a refusal the same object can log in", async () => {
  await using proxy = await startSquid({ auth: true });
  await using nginx = await startNginx({
    tls: true,
    server: "location / { return 200 'login: $http_proxy_authorization.'; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  await assertRejects(() => conn.request("GET", "/"), TunnelError);
  conn.set_tunnel("localhost", nginx.tlsPort, { "Proxy-Authorization": GOOD_LOGIN });
  // The login is for the proxy's eyes only.
  assertEquals((await get(conn, "/")).text, "login: .");
}, has.nginx && squidBasicAuth !== undefined);

// Without a tunnel

test("GET in absolute form goes through the proxy", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    server: "location / { return 200 '$http_host $request_uri'; }",
  });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.request("GET", `http://localhost:${nginx.port}/path?a=b`);
  const res = await conn.getresponse();
  assertEquals(utf8(await res.read()), `localhost:${nginx.port} /path?a=b`);
  assertMatch(res.getheader("Via") ?? "", /squid\.example\.test/);
});

test("one connection to the proxy serves several origins", async () => {
  await using proxy = await startSquid();
  await using one = await startNginx({ server: "location / { return 200 one; }" });
  await using two = await startNginx({ server: "location / { return 200 two; }" });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.connect();
  const sock = conn.sock;
  assertEquals((await get(conn, `http://localhost:${one.port}/`)).text, "one");
  assertEquals((await get(conn, `http://localhost:${two.port}/`)).text, "two");
  assert(sock !== null && conn.sock === sock);
});

test("HEAD in absolute form has no body", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({ files: { "a.txt": "hello" } });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.request("HEAD", `http://localhost:${nginx.port}/a.txt`);
  const res = await conn.getresponse();
  assertEquals(res.getheader("Content-Length"), "5");
  assertEquals((await res.read()).length, 0);
  assertEquals((await get(conn, `http://localhost:${nginx.port}/a.txt`)).text, "hello");
});

test("POST in absolute form brings its body", async () => {
  await using proxy = await startSquid();
  await using upstream = await startDenoServe(echo);
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.request("POST", `http://127.0.0.1:${upstream.port}/form`, ["a=", "b"]);
  const answer = await (await conn.getresponse()).json() as Echo;
  assertEquals([answer.method, answer.path, answer.body], ["POST", "/form", "a=b"]);
}, true);

test("a chunked answer comes whole through the proxy", async () => {
  const pieces = Array.from({ length: 30 }, (_, i) => pattern(i * 500));
  await using proxy = await startSquid();
  await using upstream = await startDenoServe(() => new Response(ReadableStream.from(pieces)));
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.request("GET", `http://127.0.0.1:${upstream.port}/`);
  assertEquals(await (await conn.getresponse()).read(), concat(pieces));
}, true);

test("a denied request in absolute form is an answer", async () => {
  await using proxy = await startSquid({ rules: "http_access deny all" });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  assertEquals((await get(conn, "http://localhost/")).status, 403);
}, true);
