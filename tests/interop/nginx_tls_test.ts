import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { HTTPConnection, HTTPSConnection } from "../../mod.ts";
import { has } from "../servers/available.ts";
import { until, watched } from "../servers/child.ts";
import { type Echo, echo, messages, mirror, pattern, sha256, utf8 } from "../servers/data.ts";
import { startDenoServe } from "../servers/deno_serve.ts";
import { startNginx } from "../servers/nginx.ts";
import { concat } from "../servers/raw.ts";
import {
  CA,
  CLIENT,
  EXPIRED,
  type KeyPair,
  UNKNOWN_CA,
  UNKNOWN_CLIENT,
  UNKNOWN_ISSUER,
  WRONG_NAME,
} from "../tls/mod.ts";

const context = { caCerts: [CA] };

/** What nginx saw of the connection. */
const REPORT = `location /report {
  return 200 '$ssl_protocol|$ssl_server_name|$ssl_alpn_protocol|$ssl_client_verify|$ssl_client_s_dn|$http_host';
}`;

interface Report {
  protocol: string;
  sni: string;
  alpn: string;
  verify: string;
  subject: string;
  host: string;
}

async function get(conn: HTTPConnection, path: string): Promise<{ status: number; text: string }> {
  await conn.request("GET", path);
  const res = await conn.getresponse();
  return { status: res.status, text: utf8(await res.read()) };
}

async function report(conn: HTTPConnection): Promise<Report> {
  const { text } = await get(conn, "/report");
  const [protocol, sni, alpn, verify, subject, host] = text.split("|");
  return { protocol, sni, alpn, verify, subject, host };
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `interop nginx TLS: ${name}`, ignore: !has.nginx, fn: watched(fn) });
}

test("GET with one's own CA", async () => {
  await using nginx = await startNginx({ tls: true, files: { "a.txt": "secret\n" } });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  await conn.request("GET", "/a.txt");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason, res.version], [200, "OK", 11]);
  assertEquals(utf8(await res.read()), "secret\n");
});

test("the newest protocol, the host's name and ALPN http/1.1 are used by default", async () => {
  await using nginx = await startNginx({ tls: true, server: REPORT });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const { protocol, sni, alpn, host } = await report(conn);
  assertEquals([protocol, sni, alpn], ["TLSv1.3", "localhost", "http/1.1"]);
  assertEquals(host, `localhost:${nginx.tlsPort}`);
});

test("a server that offers HTTP/2 speaks HTTP/1.1", async () => {
  await using nginx = await startNginx({ tls: true, tlsListen: "http2", server: REPORT });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  assertEquals((await report(conn)).alpn, "http/1.1");
});

test("TLS 1.2 works", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: REPORT,
    protocols: "TLSv1.2",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  assertEquals((await report(conn)).protocol, "TLSv1.2");
});

test("a certificate for an address is accepted", async () => {
  await using nginx = await startNginx({ tls: true, server: REPORT });
  await using conn = new HTTPSConnection("127.0.0.1", nginx.tlsPort, { context });
  // An address is never sent as the server's name (RFC 6066, Section 3).
  assertEquals((await report(conn)).sni, "");
});

test("server_hostname is sent and checked instead of the host", async () => {
  await using nginx = await startNginx({ tls: WRONG_NAME, server: REPORT });
  await using conn = new HTTPSConnection("127.0.0.1", nginx.tlsPort, {
    context: { ...context, server_hostname: "other.example.test" },
  });
  const { sni, host } = await report(conn);
  assertEquals([sni, host], ["other.example.test", `127.0.0.1:${nginx.tlsPort}`]);
});

test("a wrong server_hostname is refused", async () => {
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { ...context, server_hostname: "other.example.test" },
  });
  const error = await assertRejects(() => conn.request("GET", "/"), Error);
  assertMatch(messages(error), /not valid for name "other\.example\.test"/);
});

test("keep-alive serves many requests by one handshake", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: "location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const seen = new Set();
  for (let i = 0; i < 10; i++) seen.add((await get(conn, "/")).text);
  assertEquals(seen.size, 1);
});

test("keep-alive limit reconnects without the user noticing", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: "keepalive_requests 2; location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const seen = [];
  for (let i = 0; i < 5; i++) seen.push((await get(conn, "/")).text);
  const [a, b, c] = new Set(seen);
  assertEquals(seen, [a, a, b, b, c]);
});

test("a connection that the server closed while idle is replaced", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: "keepalive_timeout 50ms; location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const first = await get(conn, "/");
  await until("nginx to close", async () => await nginx.connections() === 0);
  const second = await get(conn, "/");
  assertEquals(second.status, 200);
  assert(first.text !== second.text);
});

test("a large file arrives whole by readinto", async () => {
  const file = pattern(8 << 20);
  await using nginx = await startNginx({ tls: true, files: { big: file } });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  await conn.request("GET", "/big");
  const res = await conn.getresponse();
  const whole = new Uint8Array(file.length);
  let at = 0;
  for (let n; (n = await res.readinto(whole.subarray(at, at + 100_000))) > 0;) at += n;
  assertEquals(at, file.length);
  assertEquals(await sha256(whole), await sha256(file));
});

test("gzip goes through DecompressionStream", async () => {
  const text = "the same again and again\n".repeat(1000);
  await using nginx = await startNginx({
    tls: true,
    files: { "a.txt": text },
    server: "gzip on; gzip_min_length 1;",
    http: "gzip_types text/plain;",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  await conn.request("GET", "/a.txt", null, { "Accept-Encoding": "gzip" });
  const res = await conn.getresponse();
  assertEquals(res.getheader("Content-Encoding"), "gzip");
  assertEquals(await new Response(res.pipeThrough(new DecompressionStream("gzip"))).text(), text);
});

test("a body without length ends with the connection", async () => {
  const text = "the same again and again\n".repeat(1000);
  await using nginx = await startNginx({
    tls: true,
    files: { "a.txt": text },
    server: "gzip on; gzip_min_length 1; chunked_transfer_encoding off;",
    http: "gzip_types text/plain;",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  await conn.request("GET", "/a.txt", null, { "Accept-Encoding": "gzip" });
  const res = await conn.getresponse();
  assert(res.will_close);
  assertEquals(await new Response(res.pipeThrough(new DecompressionStream("gzip"))).text(), text);
  assertEquals((await get(conn, "/a.txt")).text, text);
});

test("a large PUT is stored", async () => {
  const file = pattern(8 << 20);
  await using nginx = await startNginx({
    tls: true,
    server: "dav_methods PUT; client_max_body_size 0;",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  await conn.request("PUT", "/copy", file);
  assertEquals((await conn.getresponse()).status, 201);
  assertEquals(await sha256(await Deno.readFile(`${nginx.root}/copy`)), await sha256(file));
});

test("a stream is sent chunked and comes back chunked", async () => {
  const pieces = Array.from({ length: 40 }, (_, i) => pattern(i * 100));
  await using upstream = await startDenoServe(mirror);
  await using nginx = await startNginx({
    tls: true,
    server: `location / {
      proxy_pass http://127.0.0.1:${upstream.port};
      proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
    }`,
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  await conn.request("POST", "/", ReadableStream.from(pieces));
  const res = await conn.getresponse();
  assert(res.chunked);
  assertEquals(await res.read(), concat(pieces));
});

test("POST reaches an upstream and its echo comes back", async () => {
  await using upstream = await startDenoServe(echo);
  await using nginx = await startNginx({
    tls: true,
    server: `location / { proxy_pass http://127.0.0.1:${upstream.port}; }`,
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  await conn.request("POST", "/form", "a=b", { "Content-Type": "text/plain" });
  const answer = await (await conn.getresponse()).json() as Echo;
  assertEquals([answer.method, answer.path, answer.body], ["POST", "/form", "a=b"]);
});

test("413 for a large body is an answer, the next request works", async () => {
  await using nginx = await startNginx({
    tls: true,
    files: { "a.txt": "a" },
    server: "client_max_body_size 1k; dav_methods PUT;",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  await conn.request("PUT", "/b", pattern(4 << 20));
  const res = await conn.getresponse();
  assertEquals(res.status, 413);
  assertStringIncludes(utf8(await res.read()), "413");
  assertEquals((await get(conn, "/a.txt")).text, "a");
});

test("source_address is what the server sees", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: "location / { return 200 '$remote_addr $ssl_server_name $ssl_alpn_protocol'; }",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context,
    source_address: ["127.0.0.5", 0],
  });
  assertEquals((await get(conn, "/")).text, "127.0.0.5 localhost http/1.1");
});

test("source_address does not weaken the checks", async () => {
  await using nginx = await startNginx({ tls: UNKNOWN_ISSUER });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context,
    source_address: ["127.0.0.5", 0],
  });
  await assertRejects(() => conn.request("GET", "/"), Error);
  assertEquals(await nginx.access(), []);
});

// Client certificates

test("a client certificate is shown when asked for", async () => {
  await using nginx = await startNginx({ tls: true, mtls: true, server: REPORT });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { ...context, ...CLIENT },
  });
  const { verify, subject, alpn } = await report(conn);
  assertEquals([verify, alpn], ["SUCCESS", "http/1.1"]);
  assertStringIncludes(subject, "CN=http-client test client");
});

test("a client certificate works by TLS 1.2 too", async () => {
  await using nginx = await startNginx({
    tls: true,
    mtls: true,
    server: REPORT,
    protocols: "TLSv1.2",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { ...context, ...CLIENT },
  });
  const { protocol, verify } = await report(conn);
  assertEquals([protocol, verify], ["TLSv1.2", "SUCCESS"]);
});

test("a client certificate works together with source_address", async () => {
  await using nginx = await startNginx({
    tls: true,
    mtls: true,
    server: "location / { return 200 '$remote_addr $ssl_client_verify'; }",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { ...context, ...CLIENT },
    source_address: ["127.0.0.5", 0],
  });
  assertEquals((await get(conn, "/")).text, "127.0.0.5 SUCCESS");
});

test("a client certificate works together with server_hostname", async () => {
  await using nginx = await startNginx({ tls: WRONG_NAME, mtls: true, server: REPORT });
  await using conn = new HTTPSConnection("127.0.0.1", nginx.tlsPort, {
    context: { ...context, ...CLIENT, server_hostname: "other.example.test" },
  });
  const { verify, sni } = await report(conn);
  assertEquals([verify, sni], ["SUCCESS", "other.example.test"]);
});

test("a missing client certificate is nginx's 400", async () => {
  await using nginx = await startNginx({ tls: true, mtls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const { status, text } = await get(conn, "/");
  assertEquals(status, 400);
  assertStringIncludes(text, "No required SSL certificate was sent");
});

test("a client certificate of an unknown CA is nginx's 400", async () => {
  await using nginx = await startNginx({ tls: true, mtls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { ...context, ...UNKNOWN_CLIENT },
  });
  const { status, text } = await get(conn, "/");
  assertEquals(status, 400);
  assertStringIncludes(text, "The SSL certificate error");
});

// Refusals

// With a client certificate it is another TLS implementation, whose wording differs.
const REFUSED: [string, KeyPair, RegExp, RegExp][] = [
  ["an unknown CA", UNKNOWN_ISSUER, /UnknownIssuer/, /not trusted/],
  ["a wrong name", WRONG_NAME, /not valid for name "localhost"/, /another name/],
  // There an expired certificate is not told apart from one that nobody knows.
  ["an expired certificate", EXPIRED, /expired/, /expired|not trusted/],
];

for (const [what, pair, reason, otherReason] of REFUSED) {
  test(`${what} is refused before anything is sent`, async () => {
    await using nginx = await startNginx({ tls: pair });
    await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
    const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
    assertMatch(messages(error), reason);
    // Again: the object is still usable, and still refuses.
    await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
    assertEquals(await nginx.access(), []);
    await until("nginx to see the end", async () => await nginx.connections() === 0);
  });

  test(`${what} is refused with a client certificate, too`, async () => {
    await using nginx = await startNginx({ tls: pair });
    await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
      context: { ...context, ...CLIENT },
    });
    const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
    assertMatch(messages(error), otherReason);
    assertEquals(await nginx.access(), []);
    await until("nginx to see the end", async () => await nginx.connections() === 0);
  });
}

test("the system's authorities do not know the test CA", async () => {
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort);
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
  assertMatch(messages(error), /UnknownIssuer|unknown (issuer|CA)/i);
});

test("another CA than the server's does not help", async () => {
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { caCerts: [UNKNOWN_CA] },
  });
  await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
});

test("HTTPS to a plain HTTP port is a clear error", async () => {
  await using nginx = await startNginx();
  await using conn = new HTTPSConnection("localhost", nginx.port, { context });
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
  assertMatch(messages(error), /InvalidContentType|plain HTTP|not TLS/i);
});

test("plain HTTP to a TLS port is nginx's 400", async () => {
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPConnection("127.0.0.1", nginx.tlsPort);
  const { status, text } = await get(conn, "/");
  assertEquals(status, 400);
  assertStringIncludes(text, "The plain HTTP request was sent to HTTPS port");
});
