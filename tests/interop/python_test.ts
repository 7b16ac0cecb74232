import { assert, assertEquals, assertRejects } from "@std/assert";
import { HTTPConnection, IncompleteRead, RemoteDisconnected } from "../../mod.ts";
import { interopTest } from "../helpers/interop.ts";
import { has } from "../servers/available.ts";
import { pattern, sha256, utf8 } from "../servers/data.ts";
import { startPythonFiles, startPythonScript } from "../servers/python_http.ts";

interface Seen {
  method: string;
  path: string;
  headers: [string, string][];
  body: string;
  chunks: number[];
  client: string;
}

const test = interopTest("Python", has.python);

// `python3 -m http.server`

test("read() gives a file of http.server, which closes when it speaks HTTP/1.0", async () => {
  const file = pattern(300_000);
  await using server = await startPythonFiles({ "a.bin": file, "a.html": "<p>hello</p>\n" });
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/a.bin");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason, res.version], [200, "OK", 10]);
  assertEquals([res.length, res.will_close], [file.length, true]);
  assertEquals(await sha256(await res.read()), await sha256(file));
  await conn.request("GET", "/a.html");
  const next = await conn.getresponse();
  assertEquals(next.headers.get_content_type(), "text/html");
  assertEquals(utf8(await next.read()), "<p>hello</p>\n");
});

test("request() keeps the connection to http.server when it speaks HTTP/1.1", async () => {
  await using server = await startPythonFiles({ "a.html": "<p>hello</p>\n" }, "HTTP/1.1");
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.connect();
  const { sock } = conn;
  for (let i = 0; i < 3; i++) {
    await conn.request("GET", "/a.html");
    const res = await conn.getresponse();
    assertEquals([res.version, res.will_close], [11, false]);
    assertEquals(utf8(await res.read()), "<p>hello</p>\n");
  }
  assert(sock !== null && conn.sock === sock);
});

test("read() gives nothing for HEAD to http.server", async () => {
  await using server = await startPythonFiles({ "a.html": "<p>hello</p>\n" });
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("HEAD", "/a.html");
  const res = await conn.getresponse();
  assertEquals(res.getheader("Content-Length"), "13");
  assertEquals((await res.read()).length, 0);
});

test("getresponse() gives the 404 page of http.server", async () => {
  await using server = await startPythonFiles({});
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/parrot.spam");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [404, "File not found"]);
  assert(utf8(await res.read()).includes("Error code: 404"));
});

test("getresponse() gives the 501 of http.server for a method that it does not know", async () => {
  await using server = await startPythonFiles({});
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("POST", "/", "a=b");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [501, "Unsupported method ('POST')"]);
  assert(utf8(await res.read()).includes("Error code: 501"));
});

test("read() gives nothing for a 304 of http.server", async () => {
  await using server = await startPythonFiles({ "a.html": "<p>hello</p>\n" }, "HTTP/1.1");
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/a.html");
  const first = await conn.getresponse();
  const { sock } = conn;
  await first.read();
  await conn.request("GET", "/a.html", null, {
    "If-Modified-Since": first.getheader("Last-Modified")!,
  });
  const res = await conn.getresponse();
  assertEquals(res.status, 304);
  assertEquals((await res.read()).length, 0);
  assert(sock !== null && conn.sock === sock);
});

// A handler on http.server

test("putheader() keeps the order, case and repetition of header fields", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/echo", null, [["X-b", "1"], ["x-A", "2"], ["X-b", "3"]]);
  const { headers } = await (await conn.getresponse()).json() as Seen;
  assertEquals(headers, [
    ["Host", `127.0.0.1:${server.port}`],
    ["Accept-Encoding", "identity"],
    ["X-b", "1"],
    ["x-A", "2"],
    ["X-b", "3"],
  ]);
});

test("request() sends a form by POST", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  const form = new URLSearchParams({ "@number": "12524", "@type": "issue", "@action": "show" });
  await conn.request("POST", "/echo", form.toString(), {
    "Content-type": "application/x-www-form-urlencoded",
    "Accept": "text/plain",
  });
  const seen = await (await conn.getresponse()).json() as Seen;
  assertEquals([seen.method, seen.body], ["POST", form.toString()]);
  assertEquals(
    seen.headers.find(([name]) => name === "Content-Length")?.[1],
    String(form.toString().length),
  );
});

test("request() sends a chunk for each item of an iterable, and none for an empty one", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("POST", "/echo", ["one", "", "three", new Uint8Array(20)]);
  const seen = await (await conn.getresponse()).json() as Seen;
  assertEquals(seen.chunks, [3, 5, 20]);
  assertEquals(seen.body, "onethree" + "\0".repeat(20));
});

test("putheader() sends one field when it is given several values", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  conn.putrequest("GET", "/echo");
  conn.putheader("X-Many", "one", 2, new TextEncoder().encode("three"));
  await conn.endheaders();
  const seen = await (await conn.getresponse()).json() as Seen;
  const value = seen.headers.find(([name]) => name === "X-Many")?.[1];
  assertEquals(value?.split(/\r\n\t/), ["one", "2", "three"]);
});

test("read() gives a body whose chunks have extensions", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/chunked?n=500");
  const res = await conn.getresponse();
  assert(res.chunked);
  const expected = Array.from({ length: 500 }, (_, i) => `chunk ${i}\n`).join("");
  assertEquals(utf8(await res.read()), expected);
});

test("request() is not disturbed by the trailers of the answer before", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  const seen = new Set();
  for (let i = 0; i < 2; i++) {
    await conn.request("GET", "/trailers");
    const res = await conn.getresponse();
    assertEquals(utf8(await res.read()), "hello");
    assertEquals(res.getheader("X-Sum") ?? null, null);
    seen.add(res.getheader("X-Connection"));
  }
  assertEquals(seen.size, 1);
});

test("read() ends with the connection when a body has no length", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  for (let i = 0; i < 2; i++) {
    await conn.request("GET", "/close");
    const res = await conn.getresponse();
    assertEquals([res.length, res.will_close, res.chunked], [null, true, false]);
    assertEquals(utf8(await res.read()), "until the end\n".repeat(1000));
    assertEquals(res.getheader("X-Connection"), String(i));
  }
});

test("request() makes a connection each time when the server speaks HTTP/1.0", async () => {
  await using server = await startPythonScript("HTTP/1.0");
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  for (let i = 0; i < 2; i++) {
    await conn.request("GET", "/status/200");
    const res = await conn.getresponse();
    assertEquals([res.version, res.will_close], [10, true]);
    assertEquals(utf8(await res.read()), "status 200");
    assertEquals(res.getheader("X-Connection"), String(i));
  }
});

test("read() reads statuses with and without a body on one connection", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  const seen = [];
  for (const status of [200, 204, 304, 404, 500, 299]) {
    await conn.request("GET", `/status/${status}`);
    const res = await conn.getresponse();
    seen.push([res.status, utf8(await res.read()), res.getheader("X-Connection")]);
  }
  assertEquals(seen, [
    [200, "status 200", "0"],
    [204, "", "0"],
    [304, "", "0"],
    [404, "status 404", "0"],
    [500, "status 500", "0"],
    [299, "status 299", "0"],
  ]);
});

test("getresponse() skips 103 and 102", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/hints");
  const res = await conn.getresponse();
  assertEquals([res.status, res.getheader("Link") ?? null], [200, null]);
  assertEquals(utf8(await res.read()), "after the hints");
});

test("getheader() and reason give ISO-8859-1", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/latin1");
  const res = await conn.getresponse();
  assertEquals([res.reason, res.getheader("X-City")], ["Sch\xf6n", "M\xfcnchen"]);
});

test("putheader() sends a value as ISO-8859-1", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/echo", null, { "X-City": "M\xfcnchen" });
  const seen = await (await conn.getresponse()).json() as Seen;
  assertEquals(seen.headers.find(([name]) => name === "X-City")?.[1], "M\xfcnchen");
});

test("read() throws IncompleteRead when a body is short, and the next request works", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/short");
  const res = await conn.getresponse();
  const error = await assertRejects(() => res.read(), IncompleteRead);
  assertEquals([utf8(error.partial), error.expected], ["only this", 91]);
  await conn.request("GET", "/status/200");
  assertEquals(utf8(await (await conn.getresponse()).read()), "status 200");
});

test("getresponse() throws RemoteDisconnected when the server closes, and the next request works", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/drop");
  await assertRejects(() => conn.getresponse(), RemoteDisconnected);
  await conn.request("GET", "/status/200");
  assertEquals(utf8(await (await conn.getresponse()).read()), "status 200");
});

test("source_address is what the server sees", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port, {
    source_address: ["127.0.0.5", 0],
  });
  await conn.request("GET", "/echo");
  const seen = await (await conn.getresponse()).json() as Seen;
  assertEquals(seen.client, "127.0.0.5");
});
