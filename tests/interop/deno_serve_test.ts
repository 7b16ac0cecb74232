import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { HTTPConnection, HTTPSConnection } from "../../mod.ts";
import { interopTest } from "../helpers/interop.ts";
import { TempDir, until } from "../servers/child.ts";
import { type Echo, echo, mirror, pattern, sha256, utf8 } from "../servers/data.ts";
import { startDenoServe } from "../servers/deno_serve.ts";
import { concat } from "../servers/raw.ts";
import { CA, LOCALHOST } from "../tls/mod.ts";

const test = interopTest("Deno.serve");

async function readEcho(conn: HTTPConnection): Promise<Echo> {
  return await (await conn.getresponse()).json() as Echo;
}

test("request() sends a GET with a query and fields of the caller's", async () => {
  await using server = await startDenoServe(echo);
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/a/b%20c?x=1&y=2", null, { "X-One": "1", "x-two": "zwei" });
  const { method, path, headers, body } = await readEcho(conn);
  assertEquals([method, path, body], ["GET", "/a/b%20c?x=1&y=2", ""]);
  assertEquals(headers, {
    host: `127.0.0.1:${server.port}`,
    "accept-encoding": "identity",
    "x-one": "1",
    "x-two": "zwei",
  });
});

test("json(), text() and bytes() give the body", async () => {
  await using server = await startDenoServe(() => Response.json({ ü: [1] }));
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/");
  assertEquals(await (await conn.getresponse()).json(), { ü: [1] });
  await conn.request("GET", "/");
  assertEquals(await (await conn.getresponse()).text(), '{"ü":[1]}');
  await conn.request("GET", "/");
  assertEquals(utf8(await (await conn.getresponse()).bytes()), '{"ü":[1]}');
});

for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
  test(`request() says a length of 0 for ${method} without a body only when one is expected`, async () => {
    await using server = await startDenoServe(echo);
    await using conn = new HTTPConnection("127.0.0.1", server.port);
    await conn.request(method, "/");
    const answer = await readEcho(conn);
    assertEquals(answer.method, method);
    const expected = ["POST", "PUT", "PATCH"].includes(method) ? "0" : undefined;
    assertEquals(answer.headers["content-length"], expected);
    assertEquals(answer.headers["transfer-encoding"], undefined);
  });
}

test("request() gets the length of the body but no body when it sends HEAD", async () => {
  await using server = await startDenoServe(() => new Response("twelve bytes"));
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  for (let i = 0; i < 2; i++) {
    await conn.request("HEAD", "/");
    const res = await conn.getresponse();
    assertEquals(res.getheader("content-length"), "12");
    assertEquals((await res.read()).length, 0);
  }
});

const encoder = new TextEncoder();
const SIX = encoder.encode("abcdef");

/** Each kind of body: how it is made, what arrives, and whether its length is known at once. */
const BODIES: Record<string, { make: (dir: TempDir) => unknown; sized: boolean; text?: string }> = {
  "a string, as ISO-8859-1": { make: () => "caf\xe9", sized: true, text: "caf\xe9" },
  "a Uint8Array": { make: () => SIX, sized: true },
  "part of a larger buffer": {
    make: () => new Uint8Array([1, ...SIX, 2]).subarray(1, 7),
    sized: true,
  },
  "a DataView": { make: () => new DataView(SIX.slice().buffer), sized: true },
  "an ArrayBuffer": { make: () => SIX.slice().buffer, sized: true },
  "a Blob": { make: () => new Blob(["abc", SIX.subarray(3)]), sized: true },
  "a Deno.FsFile": { make: (dir) => Deno.openSync(dir.write("six", SIX)), sized: false },
  "an object with read()": {
    make: () => {
      let left = [SIX.subarray(0, 2), SIX.subarray(2)];
      return {
        read(p: Uint8Array): Promise<number | null> {
          const [piece, ...rest] = left;
          left = rest;
          if (piece) p.set(piece);
          return Promise.resolve(piece ? piece.length : null);
        },
      };
    },
    sized: false,
  },
  "a ReadableStream": {
    make: () => ReadableStream.from([SIX.subarray(0, 4), SIX.subarray(4)]),
    sized: false,
  },
  "a byte stream": { make: () => new Blob([SIX]).stream(), sized: false },
  "an array of bytes": { make: () => [SIX.subarray(0, 1), SIX.subarray(1)], sized: false },
  "an array with empty strings": { make: () => ["", "abc", "", "def", ""], sized: false },
  "a generator": {
    make: () =>
      (function* () {
        yield "abc";
        yield SIX.subarray(3);
      })(),
    sized: false,
  },
  "an async generator": {
    make: () =>
      (async function* () {
        yield await Promise.resolve("abc");
        yield SIX.subarray(3);
      })(),
    sized: false,
  },
};

for (const [name, { make, sized, text = "abcdef" }] of Object.entries(BODIES)) {
  test(`request() sends ${name} ${sized ? "with its length" : "chunked"}`, async () => {
    await using dir = new TempDir("body");
    await using server = await startDenoServe(echo);
    await using conn = new HTTPConnection("127.0.0.1", server.port);
    const body = make(dir) as string;
    await conn.request("POST", "/", body);
    const answer = await readEcho(conn);
    assertEquals(answer.body, text);
    assertEquals(answer.headers["content-length"], sized ? String(text.length) : undefined);
    assertEquals(answer.headers["transfer-encoding"], sized ? undefined : "chunked");
    if ((body as unknown) instanceof Deno.FsFile) (body as unknown as Deno.FsFile).close();
  });

  test(`request() sends ${name} with the caller's Content-Length`, async () => {
    await using dir = new TempDir("body");
    await using server = await startDenoServe(echo);
    await using conn = new HTTPConnection("127.0.0.1", server.port);
    const body = make(dir) as string;
    await conn.request("POST", "/", body, { "Content-Length": String(text.length) });
    const answer = await readEcho(conn);
    assertEquals(answer.body, text);
    assertEquals(answer.headers["content-length"], String(text.length));
    assertEquals(answer.headers["transfer-encoding"], undefined);
    if ((body as unknown) instanceof Deno.FsFile) (body as unknown as Deno.FsFile).close();
  });
}

test("request() frames the body when encode_chunked is set and Transfer-Encoding says chunked", async () => {
  await using server = await startDenoServe(echo);
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("POST", "/", "abcdef", { "Transfer-Encoding": "chunked" }, {
    encode_chunked: true,
  });
  const answer = await readEcho(conn);
  assertEquals(answer.body, "abcdef");
  assertEquals(answer.headers["content-length"], undefined);
});

test("request() sends chunks of the caller's making as they are", async () => {
  await using server = await startDenoServe(echo);
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("POST", "/", "6;x=y\r\nabcdef\r\n0\r\n\r\n", {
    "Transfer-Encoding": "chunked",
  });
  assertEquals((await readEcho(conn)).body, "abcdef");
});

test("send() sends a body piece by piece after endheaders()", async () => {
  await using server = await startDenoServe(echo);
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  conn.putrequest("PUT", "/steps", true, true);
  conn.putheader("Host", "steps.example.test");
  conn.putheader("Content-Length", "6");
  await conn.endheaders();
  await conn.send("abc");
  await conn.send(new Blob(["def"]));
  const answer = await readEcho(conn);
  assertEquals([answer.method, answer.path, answer.body], ["PUT", "/steps", "abcdef"]);
  assertEquals(answer.headers, { host: "steps.example.test", "content-length": "6" });
});

test("endheaders() sends a chunked body", async () => {
  await using server = await startDenoServe(echo);
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  conn.putrequest("POST", "/steps");
  conn.putheader("Transfer-Encoding", "chunked");
  await conn.endheaders(["abc", "", "def"], { encode_chunked: true });
  assertEquals((await readEcho(conn)).body, "abcdef");
});

test("request() uses one connection for many requests", async () => {
  const ports = new Set<number>();
  await using server = await startDenoServe((_, info) => {
    ports.add((info.remoteAddr as Deno.NetAddr).port);
    return new Response("x".repeat(1000));
  });
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  for (let i = 0; i < 50; i++) {
    await conn.request("GET", `/${i}`);
    assertEquals((await (await conn.getresponse()).read()).length, 1000);
  }
  assertEquals(ports.size, 1);
});

test("request() and read() carry a large body whole", async () => {
  const body = pattern(4 << 20);
  await using server = await startDenoServe(async (request) =>
    new Response(await request.arrayBuffer())
  );
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("POST", "/", body);
  const res = await conn.getresponse();
  assertEquals(res.length, body.length);
  assertEquals(await sha256(await res.read()), await sha256(body));
});

test("for await gives the pieces of a streamed answer while more are to come", async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using server = await startDenoServe(() =>
    new Response(ReadableStream.from((async function* () {
      yield encoder.encode("one");
      await gates[0].promise;
      yield encoder.encode("two");
      await gates[1].promise;
    })()))
  );
  await using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: 20 });
  await conn.request("GET", "/");
  const res = await conn.getresponse();
  const pieces: string[] = [];
  for await (const piece of res) {
    pieces.push(utf8(piece));
    gates[pieces.length - 1].resolve();
  }
  assertEquals(pieces, ["one", "two"]);
});

test("readline() reads an event stream line by line", async () => {
  await using server = await startDenoServe(() =>
    new Response(
      ReadableStream.from(["data: on", "e\n\ndata: two\n", "\nda", "ta: three"])
        .pipeThrough(new TextEncoderStream()),
      { headers: { "Content-Type": "text/event-stream" } },
    )
  );
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/");
  const lines = [];
  for await (const line of (await conn.getresponse()).lines()) lines.push(utf8(line));
  assertEquals(lines, ["data: one\n", "\n", "data: two\n", "\n", "data: three"]);
});

test("cancel() ends the server's stream", async () => {
  const cancelled = Promise.withResolvers<void>();
  await using server = await startDenoServe(() =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(pattern(10_000)),
        cancel: () => cancelled.resolve(),
      }),
    )
  );
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/");
  const res = await conn.getresponse();
  assertEquals((await res.read(100)).length, 100);
  await res.cancel();
  await cancelled.promise;
});

test("read() makes the server wait when nobody reads on", async () => {
  let sent = 0;
  await using server = await startDenoServe(() =>
    new Response(
      new ReadableStream({
        pull(controller) {
          sent += 65536;
          if (sent > 256 << 20) controller.close();
          else controller.enqueue(new Uint8Array(65536));
        },
      }, { highWaterMark: 0 }),
    )
  );
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/");
  const res = await conn.getresponse();
  assertEquals((await res.read(1)).length, 1);
  // The server goes on until the system's buffers are full: wait until it has stopped.
  let [before, quiet] = [0, 0];
  await until("the server to stop", () => {
    quiet = before === sent ? quiet + 1 : 0;
    before = sent;
    return quiet > 20;
  });
  assertGreater(sent, 0);
  assertLess(sent, 64 << 20);
  await res.cancel();
});

test("request() sends the first piece before the second one is made", async () => {
  const seen = Promise.withResolvers<void>();
  await using server = await startDenoServe(async (request) => {
    const pieces = [];
    for await (const piece of request.body!) {
      pieces.push(piece);
      seen.resolve();
    }
    return new Response(concat(pieces));
  });
  await using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: 20 });
  async function* body() {
    yield "first ";
    await seen.promise;
    yield "second";
  }
  await conn.request("POST", "/", body());
  assertEquals(await (await conn.getresponse()).text(), "first second");
});

test("request() takes the response of another connection as its body", async () => {
  const file = pattern(1 << 20);
  await using source = await startDenoServe(() => new Response(file));
  await using target = await startDenoServe(mirror);
  await using from = new HTTPConnection("127.0.0.1", source.port);
  await using to = new HTTPConnection("127.0.0.1", target.port);
  await from.request("GET", "/");
  await to.request("PUT", "/", await from.getresponse(), {
    "Content-Length": String(file.length),
  });
  const res = await to.getresponse();
  assertEquals(res.getheader("X-Length"), String(file.length));
  assertEquals(await sha256(await res.read()), await sha256(file));
});

test("pipeThrough() takes a DecompressionStream when the answer is gzip", async () => {
  await using server = await startDenoServe(() =>
    new Response(
      ReadableStream.from(["zipped ", "text"]).pipeThrough(new TextEncoderStream())
        .pipeThrough(new CompressionStream("gzip")),
      { headers: { "Content-Encoding": "gzip" } },
    )
  );
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/");
  const res = await conn.getresponse();
  assertEquals(
    await new Response(res.pipeThrough(new DecompressionStream("gzip"))).text(),
    "zipped text",
  );
});

test("getresponse() gives a 500 when the handler throws", async () => {
  await using server = await startDenoServe(() => {
    throw new Error("on purpose");
  });
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [500, "Internal Server Error"]);
});

test("HTTPSConnection reaches a server over TLS", async () => {
  await using server = await startDenoServe(echo, LOCALHOST);
  await using conn = new HTTPSConnection("localhost", server.port, { context: { caCerts: [CA] } });
  for (let i = 0; i < 3; i++) {
    await conn.request("POST", `/${i}`, `body ${i}`);
    const { path, body } = await readEcho(conn);
    assertEquals([path, body], [`/${i}`, `body ${i}`]);
  }
});

test("HTTPSConnection reaches a server over TLS and IPv6", async () => {
  await using server = await startDenoServe(echo, { ...LOCALHOST, hostname: "::1" });
  await using conn = new HTTPSConnection("::1", server.port, { context: { caCerts: [CA] } });
  await conn.request("GET", "/");
  assertEquals((await readEcho(conn)).headers.host, `[::1]:${server.port}`);
});

test("socketPath reaches a server on a unix socket", async () => {
  await using dir = new TempDir("unix");
  const socketPath = `${dir.path}/socket`;
  await using _server = await startDenoServe(echo, { path: socketPath });
  await using conn = new HTTPConnection("localhost", { socketPath });
  await conn.request("POST", "/a", "abc");
  const { path, body, headers } = await readEcho(conn);
  assertEquals([path, body, headers.host], ["/a", "abc", "localhost"]);
  assert(conn.sock !== null);
}, Deno.build.os !== "windows");
