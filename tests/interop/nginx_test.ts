import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { HTTPConnection, HTTPException, RemoteDisconnected } from "../../mod.ts";
import { interopTest } from "../helpers/interop.ts";
import { has } from "../servers/available.ts";
import { until } from "../servers/child.ts";
import { compress, type Echo, echo, mirror, pattern, sha256, utf8 } from "../servers/data.ts";
import { startDenoServe } from "../servers/deno_serve.ts";
import { type NginxOptions, type NginxServer, startNginx } from "../servers/nginx.ts";
import { concat } from "../servers/raw.ts";

const LINES = Array.from({ length: 200 }, (_, i) => `line ${i}\n`).join("");
const COUNT = "add_header X-Connection $connection always;";

/** An nginx that passes `/up/` on to `handler`, unbuffered in both directions. */
async function withUpstream(
  handler: Deno.ServeHandler<Deno.Addr>,
  options: NginxOptions = {},
): Promise<NginxServer & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await startDenoServe(handler));
  const nginx = stack.use(
    await startNginx({
      ...options,
      server: `${options.server ?? ""}
        location /up/ {
          proxy_pass http://127.0.0.1:${upstream.port}/;
          proxy_http_version 1.1;
          proxy_buffering off;
          proxy_request_buffering off;
          proxy_set_header Host $http_host;
        }`,
    }),
  );
  const owned = stack.move();
  return Object.assign(nginx, { [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

/** Asks for `path` and reads the whole answer. */
async function getWithHeaders(
  conn: HTTPConnection,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string; header: (name: string) => string | null | undefined }> {
  await conn.request("GET", path, null, headers);
  const res = await conn.getresponse();
  const text = utf8(await res.read());
  return { status: res.status, text, header: (name) => res.getheader(name) };
}

const test = interopTest("nginx", has.nginx);

// Answers and their heads

test("getresponse() gives status, reason, version, header fields and body of a GET", async () => {
  await using nginx = await startNginx({ files: { "a.txt": "hello, world\n" } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.txt");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason, res.version], [200, "OK", 11]);
  assertEquals(res.getheader("content-length"), "13");
  assertEquals(res.getheader("CONTENT-TYPE"), "text/plain");
  assertEquals(utf8(await res.read()), "hello, world\n");
  assertEquals((await res.read()).length, 0);
  assert(res.isclosed());
});

test("getheaders() keeps the order, case and repetition of header fields", async () => {
  await using nginx = await startNginx({
    server: `location / {
      add_header x-LOWER-Upper 1; add_header Set-Cookie "a=1; Path=/"; add_header Set-Cookie b=2;
      return 200 ok;
    }`,
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/");
  const res = await conn.getresponse();
  assertEquals(utf8(await res.read()), "ok");
  assertEquals(res.getheaders().slice(-3), [
    ["x-LOWER-Upper", "1"],
    ["Set-Cookie", "a=1; Path=/"],
    ["Set-Cookie", "b=2"],
  ]);
  assertEquals(res.getheader("set-cookie"), "a=1; Path=/, b=2");
  assertEquals(res.headers.get_all("SET-COOKIE"), ["a=1; Path=/", "b=2"]);
});

test("read() gives nothing for HEAD with a Content-Length, and the connection serves on", async () => {
  await using nginx = await startNginx({ files: { "a.txt": LINES }, server: COUNT });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("HEAD", "/a.txt");
  const head = await conn.getresponse();
  assertEquals(head.status, 200);
  assertEquals(head.getheader("Content-Length"), String(LINES.length));
  assertEquals((await head.read()).length, 0);
  const after = await getWithHeaders(conn, "/a.txt");
  assertEquals(after.text, LINES);
  assertEquals(after.header("X-Connection"), head.getheader("X-Connection"));
});

test("read() gives nothing for HEAD of a chunked answer, and the connection serves on", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": LINES },
    server: `${COUNT} gzip on; gzip_min_length 1;`,
    http: "gzip_types text/plain;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("HEAD", "/a.txt", null, { "Accept-Encoding": "gzip" });
  const head = await conn.getresponse();
  assertEquals(head.getheader("Content-Encoding"), "gzip");
  assertEquals(head.getheader("Content-Length") ?? null, null);
  assertEquals((await head.read()).length, 0);
  const after = await getWithHeaders(conn, "/a.txt");
  assertEquals(after.text, LINES);
  assertEquals(after.header("X-Connection"), head.getheader("X-Connection"));
});

test("getresponse() gives a 404 like any other answer, and the connection stays", async () => {
  await using nginx = await startNginx({ files: { "a.txt": "a" }, server: COUNT });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/parrot.spam");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [404, "Not Found"]);
  assertStringIncludes(utf8(await res.read()), "404 Not Found");
  const after = await getWithHeaders(conn, "/a.txt");
  assertEquals(after.text, "a");
  assertEquals(after.header("X-Connection"), res.getheader("X-Connection"));
});

test("getresponse() gives a 405 for a POST, whose body is not taken for the next request", async () => {
  await using nginx = await startNginx({ files: { "a.txt": "a" } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("POST", "/a.txt", "GET /parrot.spam HTTP/1.1\r\n\r\n");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [405, "Not Allowed"]);
  await res.read();
  assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
  assertEquals((await nginx.access()).map((line) => line.split(" ").at(-1)), ["405", "200"]);
});

test("read() gives nothing for 204, and the connection stays", async () => {
  await using nginx = await startNginx({
    server: `${COUNT} location /none { return 204; } location / { return 200 next; }`,
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/none");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [204, "No Content"]);
  assertEquals((await res.read()).length, 0);
  const after = await getWithHeaders(conn, "/");
  assertEquals(after.text, "next");
  assertEquals(after.header("X-Connection"), res.getheader("X-Connection"));
});

test("getresponse() does not follow a 302", async () => {
  await using nginx = await startNginx({
    server: "location /from { return 302 /to; } location /to { return 200 there; }",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const { status, header } = await getWithHeaders(conn, "/from");
  assertEquals(status, 302);
  assertMatch(header("Location") ?? "", /\/to$/);
  assertEquals((await nginx.access()).length, 1);
});

test("read() gives nothing for a 304 to If-None-Match, and the connection stays", async () => {
  await using nginx = await startNginx({ files: { "a.txt": LINES }, server: COUNT });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const first = await getWithHeaders(conn, "/a.txt");
  await conn.request("GET", "/a.txt", null, { "If-None-Match": first.header("ETag")! });
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [304, "Not Modified"]);
  assertEquals((await res.read()).length, 0);
  const after = await getWithHeaders(conn, "/a.txt");
  assertEquals(after.text, LINES);
  assertEquals(after.header("X-Connection"), first.header("X-Connection"));
});

test("read() gives the range when a request asks for one", async () => {
  await using nginx = await startNginx({ files: { "a.bin": pattern(10_000) } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.bin", null, { Range: "bytes=1000-1999" });
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [206, "Partial Content"]);
  assertEquals(res.getheader("Content-Range"), "bytes 1000-1999/10000");
  assertEquals(await res.read(), pattern(10_000).subarray(1000, 2000));
});

test("read() gives one multipart body when a request asks for several ranges", async () => {
  await using nginx = await startNginx({ files: { "a.txt": LINES } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.txt", null, { Range: "bytes=0-5,7-12" });
  const res = await conn.getresponse();
  assertEquals(res.status, 206);
  assertEquals(res.headers.get_content_type(), "multipart/byteranges");
  const body = utf8(await res.read());
  assertStringIncludes(body, "line 0");
  assertStringIncludes(body, "line 1");
  assertEquals(String(body.length), res.getheader("Content-Length"));
});

test("getresponse() gives a 416 when the range is outside of the file", async () => {
  await using nginx = await startNginx({ files: { "a.txt": "short" } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const { status, header } = await getWithHeaders(conn, "/a.txt", { Range: "bytes=1000-" });
  assertEquals(status, 416);
  assertEquals(header("Content-Range"), "bytes */5");
});

// Ways to read

test("read() gives pieces of the given size until an empty one", async () => {
  await using nginx = await startNginx({ files: { "a.txt": LINES } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.txt");
  const res = await conn.getresponse();
  const pieces = [];
  for (let piece; (piece = await res.read(200)).length > 0;) pieces.push(piece);
  assertEquals(
    pieces.slice(0, -1).map((piece) => piece.length),
    Array(pieces.length - 1).fill(200),
  );
  assertEquals(utf8(concat(pieces)), LINES);
});

test("readline() and lines() give the lines of a file", async () => {
  await using nginx = await startNginx({ files: { "a.txt": LINES } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.txt");
  const res = await conn.getresponse();
  assertEquals(utf8(await res.readline()), "line 0\n");
  const rest = [];
  for await (const line of res.lines()) rest.push(utf8(line));
  assertEquals(rest.length, 199);
  assertEquals(rest.join(""), LINES.slice("line 0\n".length));
});

test("readinto() reads a large file whole", async () => {
  const file = pattern(8 << 20);
  await using nginx = await startNginx({ files: { big: file } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/big");
  const res = await conn.getresponse();
  assertEquals(res.length, file.length);
  const whole = new Uint8Array(file.length);
  let at = 0;
  for (let n; (n = await res.readinto(whole.subarray(at, at + 100_000))) > 0;) at += n;
  assertEquals(at, file.length);
  assertEquals(await sha256(whole), await sha256(file));
});

test("for await reads a large file whole", async () => {
  const file = pattern(8 << 20);
  await using nginx = await startNginx({ files: { big: file } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/big");
  const pieces = [];
  for await (const piece of await conn.getresponse()) pieces.push(piece);
  assertEquals(await sha256(concat(pieces)), await sha256(file));
});

test("pipeTo() copies a large file whole", async () => {
  const file = pattern(4 << 20);
  await using nginx = await startNginx({ files: { big: file } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/big");
  const res = await conn.getresponse();
  const path = `${nginx.root}/copy`;
  const copy = await Deno.open(path, { write: true, create: true });
  await res.pipeTo(copy.writable);
  assertEquals(await sha256(await Deno.readFile(path)), await sha256(file));
});

test("read() reads a large file whole", async () => {
  const file = pattern(8 << 20);
  await using nginx = await startNginx({ files: { big: file } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/big");
  const res = await conn.getresponse();
  assertEquals(await sha256(await res.read()), await sha256(file));
});

test("tee() gives the body twice", async () => {
  await using nginx = await startNginx({ files: { "a.txt": LINES } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.txt");
  const [left, right] = (await conn.getresponse()).tee();
  const texts = await Promise.all([new Response(left).text(), new Response(right).text()]);
  assertEquals(texts, [LINES, LINES]);
});

test("new Response() takes the body", async () => {
  await using nginx = await startNginx({ files: { "a.json": '{"a": [1, 2]}' } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.json");
  assertEquals(await new Response(await conn.getresponse()).json(), { a: [1, 2] });
});

test("request() makes a new connection when a body was left in the middle", async () => {
  await using nginx = await startNginx({ files: { big: pattern(8 << 20), a: "a" }, server: COUNT });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/big");
  const res = await conn.getresponse();
  for await (const piece of res) {
    assert(piece.length > 0);
    break;
  }
  await until("nginx to see the end", async () => await nginx.connections() === 0);
  const after = await getWithHeaders(conn, "/a");
  assertEquals(after.text, "a");
  assert(after.header("X-Connection") !== res.getheader("X-Connection"));
});

// Codings

test("request() does not ask for gzip by itself", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": LINES },
    server: `gzip on; gzip_min_length 1; add_header X-Asked $http_accept_encoding;`,
    http: "gzip_types text/plain;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const { text, header } = await getWithHeaders(conn, "/a.txt");
  assertEquals(header("X-Asked"), "identity");
  assertEquals(header("Content-Encoding") ?? null, null);
  assertEquals(text, LINES);
});

test("pipeThrough() takes a DecompressionStream when the answer is gzip", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": LINES.repeat(100) },
    server: `${COUNT} gzip on; gzip_min_length 1;`,
    http: "gzip_types text/plain;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.txt", null, { "Accept-Encoding": "gzip" });
  const res = await conn.getresponse();
  assertEquals(res.getheader("Content-Encoding"), "gzip");
  assert(res.chunked);
  const text = await new Response(res.pipeThrough(new DecompressionStream("gzip"))).text();
  assertEquals(text, LINES.repeat(100));
  const after = await getWithHeaders(conn, "/a.txt");
  assertEquals(after.header("X-Connection"), res.getheader("X-Connection"));
});

test("read() gives a gzip body as it came", async () => {
  const packed = await compress(new TextEncoder().encode(LINES), "gzip");
  await using nginx = await startNginx({
    files: { "a.txt": LINES, "a.txt.gz": packed },
    server: "gzip_static on;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.txt", null, { "Accept-Encoding": "gzip" });
  const res = await conn.getresponse();
  assertEquals(res.getheader("Content-Encoding"), "gzip");
  assertEquals(res.length, packed.length);
  assertEquals(await res.read(), packed);
});

test("read() gives a chunked body of an upstream whole, and the connection stays", async () => {
  const pieces = Array.from({ length: 50 }, (_, i) => pattern(1 + i * 37));
  await using nginx = await withUpstream(
    () => new Response(ReadableStream.from(pieces)),
    { server: COUNT },
  );
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/up/");
  const res = await conn.getresponse();
  assert(res.chunked);
  assertEquals(await res.read(), concat(pieces));
  const after = await getWithHeaders(conn, "/parrot.spam");
  assertEquals(after.status, 404);
  assertEquals(after.header("X-Connection"), res.getheader("X-Connection"));
});

test("readline() gives a line of a chunked body before the rest is sent", async () => {
  const gate = Promise.withResolvers<void>();
  await using nginx = await withUpstream(() =>
    new Response(ReadableStream.from((async function* () {
      yield new TextEncoder().encode("first\n");
      await gate.promise;
      yield new TextEncoder().encode("second\n");
    })()))
  );
  await using conn = new HTTPConnection("127.0.0.1", nginx.port, { timeout: 20 });
  await conn.request("GET", "/up/");
  const res = await conn.getresponse();
  assertEquals(utf8(await res.readline()), "first\n");
  gate.resolve();
  assertEquals(utf8(await res.read()), "second\n");
});

test("request() is not disturbed by the trailers of the answer before", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": LINES },
    server: `${COUNT} add_trailer X-Sum 1234; add_trailer X-More "$request_uri";`,
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.txt");
  const res = await conn.getresponse();
  assert(res.chunked);
  assertEquals(utf8(await res.read()), LINES);
  const after = await getWithHeaders(conn, "/a.txt");
  assertEquals(after.text, LINES);
  assertEquals(after.header("X-Connection"), res.getheader("X-Connection"));
});

test("request() makes a new connection when a body without a length has ended the last one", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": LINES },
    server: `${COUNT} gzip on; gzip_min_length 1; chunked_transfer_encoding off;`,
    http: "gzip_types text/plain;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/a.txt", null, { "Accept-Encoding": "gzip" });
  const res = await conn.getresponse();
  assert(res.will_close);
  assert(!res.chunked);
  assertEquals(res.length, null);
  const text = await new Response(res.pipeThrough(new DecompressionStream("gzip"))).text();
  assertEquals(text, LINES);
  const after = await getWithHeaders(conn, "/a.txt");
  assertEquals(after.text, LINES);
  assert(after.header("X-Connection") !== res.getheader("X-Connection"));
});

// Connections

test("request() uses one connection for many requests", async () => {
  await using nginx = await startNginx({ files: { "a.txt": "a" }, server: COUNT });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const seen = new Set();
  for (let i = 0; i < 20; i++) {
    seen.add((await getWithHeaders(conn, "/a.txt")).header("X-Connection"));
  }
  assertEquals(seen.size, 1);
  assertEquals((await nginx.access()).length, 20);
});

test("request() makes a new connection when the limit of requests is reached", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": "a" },
    server: `${COUNT} keepalive_requests 3;`,
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const seen = [];
  for (let i = 0; i < 10; i++) {
    const { text, header } = await getWithHeaders(conn, "/a.txt");
    assertEquals(text, "a");
    seen.push(header("X-Connection"));
  }
  const [a, b, c, d] = new Set(seen);
  assertEquals(seen, [a, a, a, b, b, b, c, c, c, d]);
  assertEquals((await nginx.access()).length, 10);
});

test("request() replaces a connection that the server closed while it was idle", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": "a" },
    server: `${COUNT} keepalive_timeout 50ms;`,
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const first = await getWithHeaders(conn, "/a.txt");
  await until("nginx to close", async () => await nginx.connections() === 0);
  const second = await getWithHeaders(conn, "/a.txt");
  assertEquals(second.text, "a");
  assert(first.header("X-Connection") !== second.header("X-Connection"));
  assertEquals((await nginx.access()).length, 2);
});

test("request() sends a POST once when the idle connection is gone", async () => {
  await using nginx = await withUpstream(echo, { server: "keepalive_timeout 50ms;" });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await getWithHeaders(conn, "/up/");
  await until("nginx to close", async () => await nginx.connections() === 0);
  await conn.request("POST", "/up/order", "one");
  const answer = await (await conn.getresponse()).json() as Echo;
  assertEquals([answer.method, answer.body], ["POST", "one"]);
  assertEquals((await nginx.access()).filter((line) => line.includes("POST")).length, 1);
});

test("request() makes a connection each time when there is no keep-alive", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": "a" },
    server: `${COUNT} keepalive_timeout 0;`,
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const seen = new Set();
  for (let i = 0; i < 4; i++) {
    await conn.request("GET", "/a.txt");
    const res = await conn.getresponse();
    assert(res.will_close);
    assertEquals(utf8(await res.read()), "a");
    seen.add(res.getheader("X-Connection"));
  }
  assertEquals(seen.size, 4);
});

test("read() gives an answer that closes after the next request was sent", async () => {
  await using nginx = await startNginx({
    files: { big: pattern(1 << 20), a: "a" },
    server: `${COUNT} keepalive_timeout 0;`,
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/big");
  const first = await conn.getresponse();
  await conn.request("GET", "/a");
  const second = await conn.getresponse();
  assertEquals(utf8(await second.read()), "a");
  assertEquals(await sha256(await first.read()), await sha256(pattern(1 << 20)));
});

test("getresponse() throws RemoteDisconnected when the server closes, and the next request works", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": "a" },
    server: "location /drop { return 444; }",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/drop");
  const error = await assertRejects(() => conn.getresponse(), RemoteDisconnected);
  assert(error instanceof Deno.errors.ConnectionReset);
  assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
});

test("HTTPConnection works twenty times at the same time", async () => {
  await using nginx = await startNginx({ files: { big: pattern(300_000) }, server: COUNT });
  const expected = await sha256(pattern(300_000));
  const seen = await Promise.all(Array.from({ length: 20 }, async () => {
    await using conn = new HTTPConnection("127.0.0.1", nginx.port);
    const numbers = new Set();
    for (let i = 0; i < 3; i++) {
      await conn.request("GET", "/big");
      const res = await conn.getresponse();
      assertEquals(await sha256(await res.read()), expected);
      numbers.add(res.getheader("X-Connection"));
    }
    assertEquals(numbers.size, 1);
    return [...numbers][0];
  }));
  assertEquals(new Set(seen).size, 20);
});

test("close() frees the connection at once and leaves the object usable", async () => {
  await using nginx = await startNginx({ files: { "a.txt": "a" } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await getWithHeaders(conn, "/a.txt");
  conn.close();
  await until("nginx to see the end", async () => await nginx.connections() === 0);
  assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
});

test("close() of an unread response that closes frees its connection", async () => {
  await using nginx = await startNginx({
    files: { big: pattern(8 << 20) },
    server: "keepalive_timeout 0;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/big");
  const res = await conn.getresponse();
  assert(res.will_close);
  res.close();
  await until("nginx to see the end", async () => await nginx.connections() === 0);
});

test("getresponse() closes the connection at a timeout, and the next request works", async () => {
  const gate = Promise.withResolvers<void>();
  await using nginx = await withUpstream(async () => {
    await gate.promise;
    return new Response("late");
  }, { files: { "a.txt": "a" } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port, { timeout: 0.2 });
  await conn.request("GET", "/up/");
  await assertRejects(() => conn.getresponse(), Deno.errors.TimedOut);
  await until("nginx to see the end", async () => await nginx.connections() === 0);
  gate.resolve();
  conn.timeout = 20;
  assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
});

test("source_address is what the server sees", async () => {
  await using nginx = await startNginx({ server: "location / { return 200 $remote_addr; }" });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port, {
    source_address: ["127.0.0.5", 0],
  });
  assertEquals((await getWithHeaders(conn, "/")).text, "127.0.0.5");
});

test("socketPath reaches a server on a unix socket", async () => {
  await using nginx = await startNginx({
    files: { big: pattern(1 << 20) },
    server: "location /host { return 200 $http_host; }",
  });
  await using conn = new HTTPConnection("localhost", { socketPath: nginx.socketPath });
  assertEquals((await getWithHeaders(conn, "/host")).text, "localhost");
  await conn.request("GET", "/big");
  const res = await conn.getresponse();
  assertEquals(await sha256(await res.read()), await sha256(pattern(1 << 20)));
});

test("HTTPConnection() takes an IPv6 address, which has brackets in Host", async () => {
  await using nginx = await startNginx({
    ipv6: true,
    server: "location / { return 200 '$http_host $remote_addr'; }",
  });
  await using conn = new HTTPConnection(`[::1]:${nginx.port}`);
  assertEquals((await getWithHeaders(conn, "/")).text, `[::1]:${nginx.port} ::1`);
});

test("HTTPConnection() looks a host name up, and sends it in Host", async () => {
  await using nginx = await startNginx({ server: "location / { return 200 $http_host; }" });
  await using conn = new HTTPConnection("localhost", nginx.port);
  assertEquals((await getWithHeaders(conn, "/")).text, `localhost:${nginx.port}`);
});

test("request() sends the caller's Host", async () => {
  await using nginx = await startNginx({ server: "location / { return 200 $http_host; }" });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  assertEquals(
    (await getWithHeaders(conn, "/", { host: "shop.example.test" })).text,
    "shop.example.test",
  );
});

test("request() takes Host from a target in absolute form", async () => {
  await using nginx = await startNginx({ server: "location / { return 200 '$http_host $uri'; }" });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const { text } = await getWithHeaders(conn, "http://shop.example.test:8080/path");
  assertEquals(text, "shop.example.test:8080 /path");
});

// Requests with bodies

test("request() sends a POST to an upstream, and its echo comes back", async () => {
  await using nginx = await withUpstream(echo);
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("POST", "/up/form?x=1", "name=caf\xe9&a=b", {
    "Content-Type": "application/x-www-form-urlencoded",
  });
  const answer = await (await conn.getresponse()).json() as Echo;
  assertEquals([answer.method, answer.path], ["POST", "/form?x=1"]);
  assertEquals(answer.body, "name=caf\xe9&a=b");
  assertEquals(answer.headers["content-length"], "13");
  assertEquals(answer.headers["content-type"], "application/x-www-form-urlencoded");
});

test("request() sends a large POST, which comes back whole", async () => {
  const body = pattern(2 << 20);
  await using nginx = await withUpstream(mirror, { server: "client_max_body_size 0;" });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("POST", "/up/", body);
  const res = await conn.getresponse();
  assertEquals(res.getheader("X-Length"), String(2 << 20));
  assertEquals(await sha256(await res.read()), await sha256(body));
});

test("request() sends a stream chunked, and so it is passed on", async () => {
  const pieces = Array.from({ length: 40 }, (_, i) => pattern(i * 100));
  await using nginx = await withUpstream(mirror);
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("POST", "/up/", ReadableStream.from(pieces));
  const res = await conn.getresponse();
  assertEquals([res.getheader("X-Length"), res.getheader("X-Coding")], ["none", "chunked"]);
  assertEquals(await res.read(), concat(pieces));
});

test("request() stores a file by PUT", async () => {
  const file = pattern(3 << 20);
  await using nginx = await startNginx({
    files: { source: file },
    server: "dav_methods PUT DELETE; client_max_body_size 0;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  using source = await Deno.open(`${nginx.root}/source`);
  await conn.request("PUT", "/copy", source);
  const put = await conn.getresponse();
  assertEquals([put.status, put.reason], [201, "Created"]);
  await put.read();
  assertEquals(await sha256(await Deno.readFile(`${nginx.root}/copy`)), await sha256(file));
  await conn.request("DELETE", "/copy");
  assertEquals((await conn.getresponse()).status, 204);
});

test("request() stores an async iterable by PUT", async () => {
  await using nginx = await startNginx({ server: "dav_methods PUT;" });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  async function* numbers() {
    for (let i = 0; i < 1000; i++) yield await Promise.resolve(`number ${i}\n`);
  }
  await conn.request("PUT", "/numbers", numbers());
  const put = await conn.getresponse();
  assertEquals(put.status, 201);
  const expected = Array.from({ length: 1000 }, (_, i) => `number ${i}\n`).join("");
  assertEquals(await Deno.readTextFile(`${nginx.root}/numbers`), expected);
});

test("request() says Content-Length: 0 when a PUT has no body", async () => {
  await using nginx = await startNginx({ server: "dav_methods PUT;" });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("PUT", "/empty");
  assertEquals((await conn.getresponse()).status, 201);
  assertEquals((await Deno.stat(`${nginx.root}/empty`)).size, 0);
});

test("getresponse() skips 100 Continue", async () => {
  await using nginx = await startNginx({ server: "dav_methods PUT;" });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("PUT", "/a", "content", { Expect: "100-continue" });
  const res = await conn.getresponse();
  assertEquals(res.status, 201);
  await res.read();
  assertEquals((await getWithHeaders(conn, "/a")).text, "content");
});

test("putrequest(), putheader() and endheaders() make a request step by step", async () => {
  await using nginx = await withUpstream(echo);
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  conn.putrequest("POST", "/up/steps");
  conn.putheader("Content-Length", 10);
  conn.putheader("X-Step", "by step");
  await conn.endheaders();
  await conn.send("01234");
  await conn.send(new TextEncoder().encode("56789"));
  const answer = await (await conn.getresponse()).json() as Echo;
  assertEquals([answer.method, answer.body], ["POST", "0123456789"]);
  assertEquals(answer.headers["x-step"], "by step");
  assertEquals(answer.headers["accept-encoding"], "identity");
});

// Refusals

test("getresponse() gives a 413 for a small body, and the next request works", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": "a" },
    server: "client_max_body_size 1k; dav_methods PUT;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("PUT", "/b", pattern(5000));
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [413, "Request Entity Too Large"]);
  assertStringIncludes(utf8(await res.read()), "413");
  assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
});

test("getresponse() gives a 413 for a large body, and the next request works", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": "a" },
    server: "client_max_body_size 1k; dav_methods PUT;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("PUT", "/b", pattern(8 << 20));
  const res = await conn.getresponse();
  assertEquals(res.status, 413);
  assertStringIncludes(utf8(await res.read()), "413");
  assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
});

test("getresponse() gives the 413 of a server that closes at once", async () => {
  await using nginx = await startNginx({
    files: { "a.txt": "a" },
    server: "client_max_body_size 1k; dav_methods PUT; lingering_close off;",
  });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("PUT", "/b", pattern(8 << 20));
  const res = await conn.getresponse();
  assertEquals(res.status, 413);
  res.close();
  assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
});

test("getresponse() gives a 414 for a long target, and the next request works", async () => {
  await using nginx = await startNginx({ files: { "a.txt": "a" } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const { status } = await getWithHeaders(conn, `/${"long".repeat(10_000)}`);
  assertEquals(status, 414);
  assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
});

test("getresponse() gives a 400 for a field that is too large, and the next request works", async () => {
  await using nginx = await startNginx({ files: { "a.txt": "a" } });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  const { status, text } = await getWithHeaders(conn, "/", { "X-Large": "x".repeat(40_000) });
  assertEquals(status, 400);
  assertStringIncludes(text, "Request Header Or Cookie Too Large");
  assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
});

test("getresponse() gives the 502 of a gateway", async () => {
  await using nginx = await startNginx({ server: "location / { proxy_pass http://127.0.0.1:1; }" });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  assertEquals((await getWithHeaders(conn, "/")).status, 502);
});

test("read() never gives a body that the upstream cut short as if it were whole", async () => {
  await using nginx = await withUpstream(() =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(pattern(1000));
        },
        pull(controller) {
          controller.error(new Error("cut"));
        },
      }, { highWaterMark: 0 }),
    )
  );
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  await conn.request("GET", "/up/");
  const res = await conn.getresponse();
  assertEquals(res.status, 200);
  await assertRejects(() => res.read(), HTTPException);
});

test("request() throws ConnectionRefused when the server is gone", async () => {
  let port: number;
  {
    await using nginx = await startNginx({ files: { "a.txt": "a" } });
    port = nginx.port;
    await using conn = new HTTPConnection("127.0.0.1", port);
    assertEquals((await getWithHeaders(conn, "/a.txt")).text, "a");
  }
  await using conn = new HTTPConnection("127.0.0.1", port);
  await assertRejects(() => conn.request("GET", "/"), Deno.errors.ConnectionRefused);
});
