import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { HTTPConnection, HTTPSConnection } from "../../mod.ts";
import { interopTest } from "../helpers/interop.ts";
import { getStatusAndText } from "../helpers/exchanges.ts";
import { has } from "../servers/available.ts";
import { until } from "../servers/child.ts";
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

async function report(conn: HTTPConnection): Promise<Report> {
  const { text } = await getStatusAndText(conn, "/report");
  const [protocol, sni, alpn, verify, subject, host] = text.split("|");
  return { protocol, sni, alpn, verify, subject, host };
}

const test = interopTest("nginx", has.nginx);

test("request() sends a GET when the caller trusts the server's CA", async () => {
  await using nginx = await startNginx({ tls: true, files: { "a.txt": "secret\n" } });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  await conn.request("GET", "/a.txt");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason, res.version], [200, "OK", 11]);
  assertEquals(utf8(await res.read()), "secret\n");
});

test("connect() uses the newest protocol, the host's name and ALPN http/1.1 by default", async () => {
  await using nginx = await startNginx({ tls: true, server: REPORT });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const { protocol, sni, alpn, host } = await report(conn);
  assertEquals([protocol, sni, alpn], ["TLSv1.3", "localhost", "http/1.1"]);
  assertEquals(host, `localhost:${nginx.tlsPort}`);
});

test("connect() speaks HTTP/1.1 to a server that offers HTTP/2", async () => {
  await using nginx = await startNginx({ tls: true, tlsListen: "http2", server: REPORT });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  assertEquals((await report(conn)).alpn, "http/1.1");
});

test("connect() speaks TLS 1.2 when the server knows no newer one", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: REPORT,
    protocols: "TLSv1.2",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  assertEquals((await report(conn)).protocol, "TLSv1.2");
});

test("connect() accepts a certificate for an address", async () => {
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

test("connect() refuses a wrong server_hostname", async () => {
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { ...context, server_hostname: "other.example.test" },
  });
  const error = await assertRejects(() => conn.request("GET", "/"), Error);
  assertMatch(messages(error), /not valid for name "other\.example\.test"/);
});

test("request() uses one handshake for many requests", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: "location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const seen = new Set();
  for (let i = 0; i < 10; i++) seen.add((await getStatusAndText(conn, "/")).text);
  assertEquals(seen.size, 1);
});

test("request() makes a new connection when the limit of requests is reached", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: "keepalive_requests 2; location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const seen = [];
  for (let i = 0; i < 5; i++) seen.push((await getStatusAndText(conn, "/")).text);
  const [a, b, c] = new Set(seen);
  assertEquals(seen, [a, a, b, b, c]);
});

test("request() replaces a connection that the server closed while it was idle", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: "keepalive_timeout 50ms; location / { return 200 $connection; }",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const first = await getStatusAndText(conn, "/");
  await until("nginx to close", async () => await nginx.connections() === 0);
  const second = await getStatusAndText(conn, "/");
  assertEquals(second.status, 200);
  assert(first.text !== second.text);
});

test("readinto() reads a large file whole", async () => {
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

test("pipeThrough() takes a DecompressionStream when the answer is gzip", async () => {
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

test("read() ends with the connection when a body has no length", async () => {
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
  assertEquals((await getStatusAndText(conn, "/a.txt")).text, text);
});

test("request() stores a large file by PUT", async () => {
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

test("request() sends a stream chunked, and it comes back chunked", async () => {
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

test("request() sends a POST to an upstream, and its echo comes back", async () => {
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

test("getresponse() gives a 413 for a large body, and the next request works", async () => {
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
  assertEquals((await getStatusAndText(conn, "/a.txt")).text, "a");
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
  assertEquals((await getStatusAndText(conn, "/")).text, "127.0.0.5 localhost http/1.1");
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

test("connect() shows a client certificate when it is asked for one", async () => {
  await using nginx = await startNginx({ tls: true, mtls: true, server: REPORT });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { ...context, ...CLIENT },
  });
  const { verify, subject, alpn } = await report(conn);
  assertEquals([verify, alpn], ["SUCCESS", "http/1.1"]);
  assertStringIncludes(subject, "CN=http-client test client");
});

test("connect() shows a client certificate over TLS 1.2", async () => {
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

test("connect() shows a client certificate when there is a source_address", async () => {
  await using nginx = await startNginx({
    tls: true,
    mtls: true,
    server: "location / { return 200 '$remote_addr $ssl_client_verify'; }",
  });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { ...context, ...CLIENT },
    source_address: ["127.0.0.5", 0],
  });
  assertEquals((await getStatusAndText(conn, "/")).text, "127.0.0.5 SUCCESS");
});

test("connect() shows a client certificate when there is a server_hostname", async () => {
  await using nginx = await startNginx({ tls: WRONG_NAME, mtls: true, server: REPORT });
  await using conn = new HTTPSConnection("127.0.0.1", nginx.tlsPort, {
    context: { ...context, ...CLIENT, server_hostname: "other.example.test" },
  });
  const { verify, sni } = await report(conn);
  assertEquals([verify, sni], ["SUCCESS", "other.example.test"]);
});

test("getresponse() gives a 400 when there is no client certificate", async () => {
  await using nginx = await startNginx({ tls: true, mtls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
  const { status, text } = await getStatusAndText(conn, "/");
  assertEquals(status, 400);
  assertStringIncludes(text, "No required SSL certificate was sent");
});

test("getresponse() gives a 400 when the client certificate is of an unknown CA", async () => {
  await using nginx = await startNginx({ tls: true, mtls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { ...context, ...UNKNOWN_CLIENT },
  });
  const { status, text } = await getStatusAndText(conn, "/");
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
  test(`connect() refuses ${what} before anything is sent`, async () => {
    await using nginx = await startNginx({ tls: pair });
    await using conn = new HTTPSConnection("localhost", nginx.tlsPort, { context });
    const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
    assertMatch(messages(error), reason);
    // Again: the object is still usable, and still refuses.
    await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
    assertEquals(await nginx.access(), []);
    await until("nginx to see the end", async () => await nginx.connections() === 0);
  });

  test(`connect() refuses ${what} when there is a client certificate`, async () => {
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

test("connect() refuses the test CA's certificate when only the system's authorities are trusted", async () => {
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort);
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
  assertMatch(messages(error), /UnknownIssuer|unknown (issuer|CA)/i);
});

test("connect() refuses the certificate when the caller trusts another CA", async () => {
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { caCerts: [UNKNOWN_CA] },
  });
  await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
});

test("connect() says so when the port speaks plain HTTP", async () => {
  await using nginx = await startNginx();
  await using conn = new HTTPSConnection("localhost", nginx.port, { context });
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
  assertMatch(messages(error), /InvalidContentType|plain HTTP|not TLS/i);
});

test("getresponse() gives a 400 when plain HTTP is sent to a TLS port", async () => {
  await using nginx = await startNginx({ tls: true });
  await using conn = new HTTPConnection("127.0.0.1", nginx.tlsPort);
  const { status, text } = await getStatusAndText(conn, "/");
  assertEquals(status, 400);
  assertStringIncludes(text, "The plain HTTP request was sent to HTTPS port");
});
