import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { HTTPConnection, HTTPMessage, HTTPSConnection, TunnelError } from "../../mod.ts";
import { interopTest } from "../helpers/interop.ts";
import { getStatusAndText } from "../helpers/exchanges.ts";
import { has, squidBasicAuth } from "../servers/available.ts";
import { freePorts, until } from "../servers/child.ts";
import { type Echo, echo, messages, pattern, sha256, utf8 } from "../servers/data.ts";
import { startDenoServe } from "../servers/deno_serve.ts";
import { startNginx } from "../servers/nginx.ts";
import { concat } from "../servers/raw.ts";
import { GOOD_LOGIN, startSquid } from "../servers/squid.ts";
import { CA, CLIENT, WRONG_NAME } from "../tls/mod.ts";

const context = { caCerts: [CA] };

const declare = interopTest("squid", has.squid);

function test(name: string, fn: () => Promise<void>, ready = has.nginx): void {
  declare(name, fn, ready);
}

// Tunnels

test("set_tunnel() reaches an HTTPS server, whose certificate is checked", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: true,
    server: "location / { return 200 '$ssl_server_name $ssl_alpn_protocol $http_host $request'; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const { status, text } = await getStatusAndText(conn, "/path");
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

test("set_tunnel() reaches a plain HTTP server", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    server: "location / { return 200 '$http_host $request'; }",
  });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("localhost", nginx.port);
  assertEquals(
    (await getStatusAndText(conn, "/a")).text,
    `localhost:${nginx.port} GET /a HTTP/1.1`,
  );
});

test("set_tunnel() reaches an IPv6 address", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    ipv6: true,
    server: "location / { return 200 '$http_host $remote_addr'; }",
  });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("::1", nginx.port);
  assertEquals((await getStatusAndText(conn, "/")).text, `[::1]:${nginx.port} ::1`);
});

test("request() uses one tunnel for many requests", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: true,
    server: "location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const seen = new Set();
  for (let i = 0; i < 5; i++) seen.add((await getStatusAndText(conn, "/")).text);
  assertEquals(seen.size, 1);
});

test("request() makes a new tunnel when the connection is a new one", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: true,
    server: "keepalive_requests 1; location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const seen = new Set();
  for (let i = 0; i < 3; i++) seen.add((await getStatusAndText(conn, "/")).text);
  assertEquals(seen.size, 3);
  conn.close();
  await until(
    "squid's log",
    () => proxy.access().filter((line) => line.includes("CONNECT")).length === 3,
  );
});

test("read() gives a large file whole through the tunnel", async () => {
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

test("request() sends a large PUT whole through the tunnel", async () => {
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

test("get_proxy_response_headers() gives null before CONNECT and a message after it", async () => {
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

test("connect() checks the certificate for the tunnel's host, not for the proxy's", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({ tls: WRONG_NAME });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context });
  conn.set_tunnel("localhost", nginx.tlsPort);
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
  assertMatch(messages(error), /not valid for name "localhost"/);
  assertEquals(await nginx.access(), []);
});

test("connect() checks server_hostname instead of the tunnel's host", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({
    tls: WRONG_NAME,
    server: "location / { return 200 $ssl_server_name; }",
  });
  await using conn = new HTTPSConnection("127.0.0.1", proxy.port, {
    context: { ...context, server_hostname: "other.example.test" },
  });
  conn.set_tunnel("localhost", nginx.tlsPort);
  assertEquals((await getStatusAndText(conn, "/")).text, "other.example.test");
});

test("connect() shows a client certificate through the tunnel", async () => {
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
  const { text } = await getStatusAndText(conn, "/");
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
  assertEquals((await getStatusAndText(conn, "/")).text, "ok");
});

// Refusals

test(
  "connect() throws a TunnelError with status, reason and headers when the proxy denies it",
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

test("connect() throws a TunnelError 503 when the target does not answer", async () => {
  const [port] = freePorts(1);
  await using proxy = await startSquid();
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("127.0.0.1", port);
  const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
  assertEquals([error.status, error.reason], [503, "Service Unavailable"]);
  assertMatch(error.headers.get("X-Squid-Error") ?? "", /^ERR_CONNECT_FAIL/);
}, true);

test(
  "connect() throws a TunnelError 407 with its challenge when the login is missing",
  async () => {
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
  },
  squidBasicAuth !== undefined,
);

test("set_tunnel() can log in after a refusal", async () => {
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
  assertEquals((await getStatusAndText(conn, "/")).text, "login: .");
}, has.nginx && squidBasicAuth !== undefined);

// Without a tunnel

test("request() goes through the proxy when the target is in absolute form", async () => {
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

test("request() reaches several origins on one connection to the proxy", async () => {
  await using proxy = await startSquid();
  await using one = await startNginx({ server: "location / { return 200 one; }" });
  await using two = await startNginx({ server: "location / { return 200 two; }" });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.connect();
  const sock = conn.sock;
  assertEquals((await getStatusAndText(conn, `http://localhost:${one.port}/`)).text, "one");
  assertEquals((await getStatusAndText(conn, `http://localhost:${two.port}/`)).text, "two");
  assert(sock !== null && conn.sock === sock);
});

test("read() gives nothing for HEAD in absolute form", async () => {
  await using proxy = await startSquid();
  await using nginx = await startNginx({ files: { "a.txt": "hello" } });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.request("HEAD", `http://localhost:${nginx.port}/a.txt`);
  const res = await conn.getresponse();
  assertEquals(res.getheader("Content-Length"), "5");
  assertEquals((await res.read()).length, 0);
  assertEquals(
    (await getStatusAndText(conn, `http://localhost:${nginx.port}/a.txt`)).text,
    "hello",
  );
});

test("request() sends the body of a POST in absolute form", async () => {
  await using proxy = await startSquid();
  await using upstream = await startDenoServe(echo);
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.request("POST", `http://127.0.0.1:${upstream.port}/form`, ["a=", "b"]);
  const answer = await (await conn.getresponse()).json() as Echo;
  assertEquals([answer.method, answer.path, answer.body], ["POST", "/form", "a=b"]);
}, true);

test("read() gives a chunked answer whole through the proxy", async () => {
  const pieces = Array.from({ length: 30 }, (_, i) => pattern(i * 500));
  await using proxy = await startSquid();
  await using upstream = await startDenoServe(() => new Response(ReadableStream.from(pieces)));
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  await conn.request("GET", `http://127.0.0.1:${upstream.port}/`);
  assertEquals(await (await conn.getresponse()).read(), concat(pieces));
}, true);

test("getresponse() gives the answer when a request in absolute form is denied", async () => {
  await using proxy = await startSquid({ rules: "http_access deny all" });
  await using conn = new HTTPConnection("127.0.0.1", proxy.port);
  assertEquals((await getStatusAndText(conn, "http://localhost/")).status, 403);
}, true);
