/**
 * Trailers, of responses and of requests.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type HeaderFields,
  HTTPConnection,
  HTTPMessage,
  type HTTPResponse,
  IncompleteRead,
  type RequestBody,
} from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { never, soon, turns } from "../helpers/waiting.ts";
import { latin1, startRaw } from "../servers/raw.ts";

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n";
const BODY = "5\r\nhello\r\n0\r\n";
const TRAILERS = "Digest: abc\r\nX-Two: 1\r\nx-two: 2\r\n\r\n";

/** A response that arrives in these chunks. */
async function answered(
  ...chunks: string[]
): Promise<{ conn: HTTPConnection; response: HTTPResponse }> {
  const conn = new HTTPConnection("example.com", over(new FakeTransport(chunks)));
  await conn.request("GET", "/");
  return { conn, response: await conn.getresponse() };
}

// Responses

const READS: [string, (response: HTTPResponse) => Promise<unknown>][] = [
  ["read()", (response) => response.read()],
  ["text()", (response) => response.text()],
  ["bytes()", (response) => response.bytes()],
  ["readinto()", async (response) => {
    while (await response.readinto(new Uint8Array(3)) > 0);
  }],
  ["read1()", async (response) => {
    while ((await response.read1()).length > 0);
  }],
  ["readlines()", (response) => response.readlines()],
  ["peek() and read()", async (response) => {
    await response.peek();
    await response.read();
  }],
  ["for await", async (response) => {
    for await (const _ of response);
  }],
  ["lines()", async (response) => {
    for await (const _ of response.lines());
  }],
  ["pipeTo()", (response) => response.pipeTo(new WritableStream())],
  ["a BYOB reader", async (response) => {
    const reader = response.getReader({ mode: "byob" });
    while (!(await reader.read(new Uint8Array(3))).done);
    reader.releaseLock();
  }],
  ["new Response()", (response) => new Response(response).text()],
];

for (const [name, read] of READS) {
  Deno.test(`trailers has the fields after ${name}`, async () => {
    const { conn, response } = await answered(CHUNKED + BODY + TRAILERS);
    using _ = conn;
    assertEquals(response.trailers, null);
    await read(response);
    assertEquals(response.trailers?.items(), [["Digest", "abc"], ["X-Two", "1"], ["x-two", "2"]]);
  });
}

Deno.test("trailers has the fields when they come byte by byte", async () => {
  const { conn, response } = await answered(...CHUNKED + BODY + TRAILERS);
  using _ = conn;
  assertEquals(await response.text(), "hello");
  assertEquals(response.trailers?.get_all("X-TWO"), ["1", "2"]);
});

Deno.test("trailers is the same HTTPMessage each time", async () => {
  const { conn, response } = await answered(CHUNKED + BODY + TRAILERS);
  using _ = conn;
  await response.read();
  assert(response.trailers instanceof HTTPMessage);
  assert(response.trailers === response.trailers);
});

Deno.test("trailers is null while the body is not read to its end", async () => {
  const { conn, response } = await answered(CHUNKED + BODY, TRAILERS);
  using _ = conn;
  await response.read(5);
  assertEquals(response.trailers, null);
});

Deno.test("trailers is empty after a chunked body without any", async () => {
  const { conn, response } = await answered(CHUNKED + BODY + "\r\n");
  using _ = conn;
  await response.read();
  assertEquals(response.trailers?.items(), []);
});

Deno.test("trailers is null after a body by length", async () => {
  const { conn, response } = await answered(ok());
  using _ = conn;
  await response.read();
  assertEquals(response.trailers, null);
});

Deno.test("trailers is null after close()", async () => {
  const { conn, response } = await answered(CHUNKED + BODY.slice(0, 5));
  using _ = conn;
  response.close();
  assertEquals(response.trailers, null);
});

Deno.test("headers does not have the trailers", async () => {
  const { conn, response } = await answered(CHUNKED + BODY + TRAILERS);
  using _ = conn;
  await response.read();
  assertEquals(response.headers.keys(), ["Transfer-Encoding", "Trailer"]);
});

Deno.test("trailers keeps framing fields, which change nothing", async () => {
  const fake = new FakeTransport([], {
    answers: [CHUNKED + BODY + "Content-Length: 100\r\nConnection: close\r\n\r\n", ok("second")],
  });
  using conn = new HTTPConnection("example.com", over(fake));
  for (const expected of ["hello", "second"]) {
    assertEquals(await getText(conn), expected);
  }
  assertEquals(fake.closes, 0);
});

Deno.test("trailers reports a line that is not a field as a defect", async () => {
  const { conn, response } = await answered(CHUNKED + BODY + "no colon\r\nA: b\r\n\r\n");
  using _ = conn;
  await response.read();
  assertEquals(response.trailers?.items(), [["A", "b"]]);
  assertEquals(response.trailers?.defects.map(({ problem }) => problem), ["no-colon"]);
});

Deno.test("read() throws when a trailer ends in a bare LF", async () => {
  const { conn, response } = await answered(CHUNKED + BODY + "A: b\n\r\n");
  using _ = conn;
  await assertRejects(() => response.read(), IncompleteRead);
  assertEquals(response.trailers, null);
});

Deno.test("text() throws IncompleteRead when the end comes within the trailers", async () => {
  const fake = new FakeTransport([CHUNKED + BODY + "A: b\r\nC"], { ended: true });
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const error = await assertRejects(() => response.text(), IncompleteRead);
  assertEquals(latin1(error.partial), "hello");
  assertEquals(response.trailers, null);
});

Deno.test("trailers is empty when the end comes right after the last chunk", async () => {
  const fake = new FakeTransport([CHUNKED + BODY], { ended: true });
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals(await response.text(), "hello");
  assertEquals(response.trailers?.items(), []);
});

Deno.test("request() uses the connection again after trailers", async () => {
  const fake = answering(CHUNKED + BODY + TRAILERS, ok("second"));
  using conn = new HTTPConnection("example.com", over(fake));
  for (const expected of ["hello", "second"]) {
    assertEquals(await getText(conn), expected);
  }
});

// Requests

/** What goes over the wire for one request with trailers. */
async function wireOf(
  body: RequestBody | null,
  trailers: HeaderFields,
  headers: HeaderFields = {},
  more: { encode_chunked?: boolean } = {},
): Promise<string> {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("PUT", "/", body, headers, { trailers, ...more });
  return fake.writes.join("");
}

Deno.test("request() sends trailers in their order and case", async () => {
  const wire = await wireOf(["one", "two"], [["X-B", "1"], ["x-a", 2], ["X-B", "3"]]);
  assertStringIncludes(
    wire,
    "\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\n\r\n",
  );
});

Deno.test("request() announces trailers in Trailer", async () => {
  const head = (await wireOf(["one"], { "X-A": "1", "X-B": "2" })).split("\r\n\r\n")[0];
  assertEquals(head.split("\r\n").filter((line) => /^trailer:/i.test(line)), [
    "Trailer: X-A, X-B",
  ]);
});

Deno.test("request() announces trailers once when the caller does", async () => {
  const head = (await wireOf(["one"], { "X-A": "1" }, { trailer: "x-a" })).split("\r\n\r\n")[0];
  assertEquals(head.split("\r\n").filter((line) => /^trailer:/i.test(line)), ["trailer: x-a"]);
});

Deno.test("request() sends the same without trailers as with an empty list", async () => {
  assertEquals(await wireOf(["one"], {}), await wireOf(["one"], []));
  assertEquals((await wireOf(["one"], {})).includes("Trailer"), false);
});

Deno.test("request() sends trailers when the caller gives Transfer-Encoding", async () => {
  const wire = await wireOf(["one"], { "X-A": "1" }, { "Transfer-Encoding": "chunked" }, {
    encode_chunked: true,
  });
  assert(wire.endsWith("\r\n\r\n3\r\none\r\n0\r\nX-A: 1\r\n\r\n"));
});

Deno.test("endheaders() sends trailers", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  conn.putrequest("PUT", "/");
  conn.putheader("Transfer-Encoding", "chunked");
  await conn.endheaders(["one"], { encode_chunked: true, trailers: { "X-A": "1" } });
  assert(fake.writes.join("").endsWith("3\r\none\r\n0\r\nX-A: 1\r\n\r\n"));
});

Deno.test("request() sends trailers when the body has no piece", async () => {
  assert((await wireOf([], { "X-A": "1" })).endsWith("\r\n\r\n0\r\nX-A: 1\r\n\r\n"));
});

Deno.test("request() sends trailers that arrive at a server", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.readUntil("\r\n0\r\n");
    await peer.send(ok(await peer.readUntil("\r\n\r\n")));
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("PUT", "/", [new Uint8Array(200_000)], {}, { trailers: { Digest: "abc" } });
  assertEquals(await (await conn.getresponse()).text(), "Digest: abc\r\n\r\n");
});

// Trailers that are made when the body is out: a digest of it, say

Deno.test("request() calls a function for trailers once, after the last piece", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  const order: string[] = [];
  function* body() {
    for (const piece of ["one", "two"]) {
      order.push(piece);
      yield piece;
    }
  }
  const trailers = () => {
    order.push("trailers");
    return { "X-Sum": String(order.length) };
  };
  await conn.request("PUT", "/", body(), {}, { trailers });
  assertEquals(order, ["one", "two", "trailers"]);
  assert(fake.writes.join("").endsWith("3\r\ntwo\r\n0\r\nX-Sum: 3\r\n\r\n"));
});

Deno.test("request() waits for an async function for trailers", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  const trailers = () => turns().then((): HeaderFields => ({ "X-Sum": "1" }));
  await conn.request("PUT", "/", ["one"], {}, { trailers });
  assert(fake.writes.join("").endsWith("3\r\none\r\n0\r\nX-Sum: 1\r\n\r\n"));
});

Deno.test("request() throws what the function for trailers throws, and does not end the body", async () => {
  const reason = new RangeError("mine");
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  const trailers = () => {
    throw reason;
  };
  const error = await assertRejects(() => conn.request("PUT", "/", ["one"], {}, { trailers }));
  assert(error === reason);
  assertEquals(fake.closes, 1);
  assert(!fake.writes.join("").includes("\r\n0\r\n"));
});

Deno.test("request() throws a TypeError when the function for trailers gives bad ones", async () => {
  const fields: HeaderFields[] = [{ "X A": "1" }, { "X-A": "1\r\nEvil: 1" }, { Host: "evil" }];
  for (const bad of fields) {
    const fake = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(fake));
    const trailers = () => bad;
    await assertRejects(() => conn.request("PUT", "/", ["one"], {}, { trailers }), TypeError);
    assertEquals(fake.closes, 1);
    assert(!fake.writes.join("").includes("\r\n0\r\n"));
  }
});

Deno.test("request() throws a TypeError when there is a function for trailers but no chunking", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  const trailers = () => ({});
  await assertRejects(() => conn.request("PUT", "/", "body", {}, { trailers }), TypeError);
  assertEquals(fake.writes, []);
});

Deno.test("request() throws the signal's reason when the function for trailers does not settle", async () => {
  const asked = Promise.withResolvers<void>();
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  const controller = new AbortController();
  const trailers = () => {
    asked.resolve();
    return never<HeaderFields>();
  };
  const { signal } = controller;
  const rejected = assertRejects(
    () => conn.request("PUT", "/", ["one"], {}, { trailers, signal }),
    DOMException,
  );
  await asked.promise;
  controller.abort();
  await soon(rejected);
});

Deno.test("request() does not call the function for trailers after an early answer", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  let asked = 0;
  async function* body() {
    yield "one";
    fake.arrive("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    await never();
  }
  const trailers = () => {
    asked++;
    return {};
  };
  await conn.request("PUT", "/", body(), {}, { trailers });
  assertEquals([(await conn.getresponse()).status, asked], [413, 0]);
});

/** Trailers that cannot be sent. */
const REFUSED: [string, RequestBody | null, HeaderFields, HeaderFields?][] = [
  ["with a body of bytes", "body", { "X-A": "1" }],
  ["with a Blob", new Blob(["body"]), { "X-A": "1" }],
  ["without a body", null, { "X-A": "1" }],
  ["with a Content-Length of the user's", ["body"], { "X-A": "1" }, { "Content-Length": 4 }],
  ["with a name that is no token", ["body"], { "X A": "1" }],
  ["with an empty name", ["body"], { "": "1" }],
  ["with CR LF in a value", ["body"], { "X-A": "1\r\nEvil: 1" }],
  ["with a NUL in a value", ["body"], { "X-A": "\0" }],
  ["with a character outside of ISO-8859-1", ["body"], { "X-A": "\u20ac" }],
  // RFC 9110, Section 6.5.1: fields for framing, routing and request modifiers are no trailers.
  ["with Content-Length among them", ["body"], { "Content-Length": "4" }],
  ["with Transfer-Encoding among them", ["body"], { "transfer-encoding": "chunked" }],
  ["with Host among them", ["body"], { Host: "evil.example" }],
  ["with Trailer among them", ["body"], { Trailer: "X" }],
];

for (const [name, body, trailers, headers = {}] of REFUSED) {
  Deno.test(`request() throws a TypeError before anything is sent when trailers come ${name}`, async () => {
    const fake = answering(ok());
    using conn = new HTTPConnection("example.com", over(fake));
    await assertRejects(
      () => conn.request("PUT", "/", body, headers, { trailers }),
      TypeError,
    );
    assertEquals(fake.writes, []);
    // The connection is as it was.
    assertEquals(await getText(conn), "ok");
  });
}
