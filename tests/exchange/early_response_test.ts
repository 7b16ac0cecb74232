/**
 * Early answers: a final answer that comes while the body goes out. One that refuses the request stops
 * the upload, is delivered whole, and ends the connection; any other one lets the body go on
 * (RFC 9110, Section 7.5).
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  BadStatusLine,
  CannotSendRequest,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  RemoteDisconnected,
  type RequestBody,
  type Transport,
} from "../../mod.ts";
import { slowGeneratorOf } from "../helpers/bodies.ts";
import { getText } from "../helpers/exchanges.ts";
import { assertUntouched, factsOf } from "../helpers/facts.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { ManualTransport } from "../helpers/manual_transport.ts";
import { microtasks, never, soon, turns } from "../helpers/waiting.ts";
import { TempDir } from "../servers/child.ts";
import { bytes, latin1, type Peer, type RawServer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT } from "../tls/mod.ts";

const REASON = "too large, ".repeat(1000);
const REFUSAL =
  `HTTP/1.1 413 Content Too Large\r\nContent-Length: ${REASON.length}\r\n\r\n${REASON}`;
const PIECE = new Uint8Array(65536);
/** More than sockets hold. */
const LARGE = 1 << 25;

/** A body, and whether its source was told that no more is taken; `null` where that cannot be told. */
interface Source {
  body: RequestBody;
  cancelled: Promise<void> | null;
}

function streamSource(): Source {
  const { promise, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(PIECE),
    cancel: () => resolve(),
  });
  return { body, cancelled: promise };
}

const SOURCES: [string, () => Source][] = [
  ["bytes", () => ({ body: new Uint8Array(LARGE), cancelled: null })],
  ["a Blob", () => ({ body: new Blob(Array(512).fill(PIECE)), cancelled: null })],
  ["a stream", streamSource],
  ["an iterable", () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    function* pieces() {
      try {
        for (;;) yield PIECE;
      } finally {
        resolve();
      }
    }
    return { body: pieces(), cancelled: promise };
  }],
  ["an async iterable", () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    async function* pieces() {
      try {
        for (;;) {
          await null;
          yield PIECE;
        }
      } finally {
        resolve();
      }
    }
    return { body: pieces(), cancelled: promise };
  }],
  ["a Reader", () => {
    return { body: { read: (p: Uint8Array) => Promise.resolve(p.length) }, cancelled: null };
  }],
];

/** How a server refuses a body. */
const SERVERS: [string, (peer: Peer, held: Promise<void>) => Promise<void>][] = [
  ["that never reads", async (peer, held) => {
    await peer.readHead();
    await peer.send(REFUSAL);
    await held;
  }],
  ["that closes", async (peer) => {
    await peer.readHead();
    await peer.send(REFUSAL);
  }],
  ["that reads some of it and closes", async (peer) => {
    await peer.readHead();
    await peer.readBytes(100_000);
    await peer.send(REFUSAL);
  }],
  ["that reads all of it", async (peer) => {
    await peer.readHead();
    await peer.send(REFUSAL);
    await peer.eof();
  }],
];

/** Sends a body to a server that refuses it, and reads the whole answer. */
async function refuse(conn: HTTPConnection, { body, cancelled }: Source): Promise<void> {
  await soon(conn.request("POST", "/", body));
  const response = await conn.getresponse();
  assertEquals(response.status, 413);
  assertEquals(await response.text(), REASON);
  if (cancelled !== null) await soon(cancelled);
}

for (const [server, script] of SERVERS) {
  for (const [kind, make] of SOURCES) {
    Deno.test(`request() delivers the 413 of a server ${server} when its body is ${kind}`, async () => {
      const held = Promise.withResolvers<void>();
      await using raw = await startRaw((peer) => script(peer, held.promise));
      using conn = new HTTPConnection("127.0.0.1", raw.port);
      try {
        await refuse(conn, make());
      } finally {
        held.resolve();
      }
    });
  }
}

for (const [kind, make] of SOURCES) {
  Deno.test(`request() delivers the 413 of a server that resets when its body is ${kind}`, async () => {
    await using raw = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
      peer.reset();
    }, { resettable: true });
    using conn = new HTTPConnection("127.0.0.1", raw.port);
    const { body, cancelled } = make();
    await soon(conn.request("POST", "/", body));
    const response = await conn.getresponse();
    assertEquals([response.status, await response.text()], [413, "big"]);
    if (cancelled !== null) await soon(cancelled);
  });
}

Deno.test("request() delivers an early 413 when its body is a file", async () => {
  await using dir = new TempDir("early");
  const path = dir.write("body", "");
  Deno.truncateSync(path, LARGE);
  await using raw = await startRaw((peer) => SERVERS[1][1](peer, Promise.resolve()));
  using conn = new HTTPConnection("127.0.0.1", raw.port);
  using file = Deno.openSync(path);
  await refuse(conn, { body: file, cancelled: null });
  // A read of it may still be out: what is asked of a file is done in order.
  await file.stat();
});

// Other transports

type Script = (peer: Peer) => Promise<void>;

const TRANSPORTS: [
  string,
  (script: Script) => Promise<RawServer>,
  (server: RawServer) => HTTPConnection,
][] = [
  [
    "a source address",
    (script) => startRaw(script),
    ({ port }) => new HTTPConnection("127.0.0.1", port, { source_address: ["127.0.0.1", 0] }),
  ],
  [
    "Deno's TLS",
    (script) => startRawTls(script),
    ({ port }) => new HTTPSConnection("localhost", port, { context: { caCerts: [CA] } }),
  ],
  [
    "a client certificate",
    (script) => startRawTls(script),
    ({ port }) => new HTTPSConnection("localhost", port, { context: { caCerts: [CA], ...CLIENT } }),
  ],
  [
    "a unix socket",
    (script) => startRaw(script, { unix: true }),
    ({ path }) => new HTTPConnection("localhost", { socketPath: path }),
  ],
];

for (const [kind, start, connect] of TRANSPORTS) {
  for (const [server, script] of SERVERS) {
    // After a failed write Deno's node:tls gives up what it had not decrypted, the answer with it.
    if (kind === "a client certificate" && server.includes("closes")) continue;
    Deno.test(`request() delivers the 413 of a server ${server} (${kind})`, async () => {
      const held = Promise.withResolvers<void>();
      await using raw = await start((peer) => script(peer, held.promise));
      using conn = connect(raw);
      try {
        await refuse(conn, streamSource());
      } finally {
        held.resolve();
      }
    });
  }
}

// Which answers stop the upload

const EARLY: [answer: string, head: string, stops: boolean][] = [
  ["400", "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n", true],
  ["401", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n", true],
  ["413 that closes", "HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", true],
  ["500", "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n", true],
  ["302 that closes", "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", true],
  ["307 of HTTP/1.0", "HTTP/1.0 307 Temporary Redirect\r\nContent-Length: 2\r\n\r\n", true],
  ["302", "HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\n", false],
  ["200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false],
  ["200 in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n", false],
  ["200 that closes", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", false],
  ["200 until close", "HTTP/1.1 200 OK\r\n\r\n", false],
  ["201", "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n", false],
];

/** A body of which one piece goes out at once, and another one when it is let go. */
function halting(): { body: AsyncGenerator<string>; halted: Promise<void>; go: () => void } {
  const halted = Promise.withResolvers<void>();
  const going = Promise.withResolvers<void>();
  async function* body() {
    yield "one";
    halted.resolve();
    await going.promise;
    yield "two";
  }
  return { body: body(), halted: halted.promise, go: going.resolve };
}

const WHOLE = "\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";

for (const [answer, head, stops] of EARLY) {
  Deno.test(`request() ${stops ? "stops" : "goes on with"} the upload when a ${answer} comes early`, async () => {
    const fake = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(fake, answering(ok("next"))));
    const { body, halted, go } = halting();
    const sent = conn.request("POST", "/", body);
    await halted;
    fake.arrive(head);
    const response = await soon(conn.getresponse());
    assertEquals(response.requestComplete, false);
    if (stops) await soon(sent);
    go();
    await soon(sent);
    assertEquals([fake.sent.endsWith(WHOLE), response.requestComplete], [!stops, !stops]);
    fake.arrive(response.chunked ? "ok\r\n0\r\n\r\n" : "ok");
    if (response.length === null) fake.end();
    assertEquals(await soon(response.text()), "ok");
    assertEquals(fake.closed, stops || response.will_close);
    if (fake.closed) assertEquals(await getText(conn), "next");
  });
}

Deno.test("request() goes on with the upload when the body of an early 200 comes byte by byte", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  const { body, halted, go } = halting();
  const sent = conn.request("POST", "/", body);
  await halted;
  fake.arrive("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
  const response = await soon(conn.getresponse());
  for (const byte of "abc") {
    await turns();
    fake.arrive(byte);
  }
  await turns();
  go();
  await soon(sent);
  assertEquals([fake.sent.endsWith(WHOLE), response.requestComplete], [true, true]);
  assertEquals(await response.text(), "abc");
});

Deno.test("request() sends all of a body to a server that answers while it reads", async () => {
  const pieces = 64;
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nloading\n\r\n");
    const chunks = await peer.readChunks();
    const size = String(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    await peer.send(`${size.length.toString(16)}\r\n${size}\r\n0\r\n\r\n`);
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const body = slowGeneratorOf(...Array(pieces).fill(PIECE));
  await soon(conn.request("POST", "/images/load", body));
  const response = await conn.getresponse();
  assertEquals(await soon(response.text()), `loading\n${pieces * PIECE.length}`);
  assertEquals(response.requestComplete, true);
});

Deno.test("read1() gives the answer to a piece before the next piece goes out", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (;;) {
      const size = await peer.readUntil("\r\n");
      const data = await peer.readUntil("\r\n");
      await peer.send(`${size}${data}`);
      if (size === "0\r\n") return;
    }
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const { readable, writable } = new TransformStream<string, string>();
  const writer = writable.getWriter();
  const sent = conn.request("POST", "/", readable);
  writer.write("hello");
  const response = await soon(conn.getresponse());
  for (const word of ["hello", "full", "duplex"]) {
    if (word !== "hello") writer.write(word);
    assertEquals(latin1(await soon(response.read1())), word);
    assertEquals(response.requestComplete, false);
  }
  writer.close();
  await soon(sent);
  assertEquals(await response.text(), "");
  assertEquals(response.requestComplete, true);
});

Deno.test("request() ends, and the answer is delivered, when the server goes away behind an early 200", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ok("enough"));
    if (peer.index > 0) await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const { body, cancelled } = streamSource();
  await soon(conn.request("POST", "/", body));
  await soon(cancelled!);
  const response = await conn.getresponse();
  assertEquals([await response.text(), response.requestComplete], ["enough", false]);
  assertEquals(await getText(conn), "enough");
});

// What follows

/** First exchanges behind which nothing may follow, as the first request is not whole or the last one. */
const UNFINISHED: [
  name: string,
  answer: string,
  send: (conn: HTTPConnection) => Promise<unknown>,
][] = [
  ["an early 413", REFUSAL, (conn) => conn.request("PUT", "/first", streamSource().body)],
  [
    "an early 401 to step by step",
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
    async (conn) => {
      conn.putrequest("PUT", "/first");
      conn.putheader("Content-Length", LARGE);
      await conn.endheaders();
      await conn.send(new Uint8Array(LARGE));
    },
  ],
  [
    "a 401 in place of 100",
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
    (conn) => conn.request("PUT", "/first", "body", {}, { expect_continue: true }),
  ],
  [
    "a Connection: close of its own",
    ok("one"),
    (conn) => conn.request("GET", "/first", null, { Connection: "close" }),
  ],
  ["a Connection: close of the server's", ok("one", "Connection: close\r\n"), (conn) => {
    return conn.request("GET", "/first");
  }],
  ["a declared length that was not sent", ok("one"), async (conn) => {
    conn.putrequest("PUT", "/first");
    conn.putheader("Content-Length", 100);
    await conn.endheaders();
    await conn.send("GET /first-half HTTP/1.1\r\n");
  }],
];

for (const [name, answer, send] of UNFINISHED) {
  for (const read of [false, true]) {
    Deno.test(`request() makes a new connection after ${name} whose answer was ${read ? "" : "not "}read`, async () => {
      await using server = await startRaw(async (peer) => {
        await peer.readHead();
        await peer.send(peer.index === 0 ? answer : ok("second"));
        await peer.eof();
      });
      using conn = new HTTPConnection("127.0.0.1", server.port);
      await soon(send(conn));
      const first = await soon(conn.getresponse());
      if (read) await first.read();
      await soon(conn.request("POST", "/second", "transfer=1", { Authorization: "secret" }));
      if (!read) assertEquals(await first.text(), answer.split("\r\n\r\n")[1]);
      assertEquals(await (await soon(conn.getresponse())).text(), "second");
      assertEquals(server.accepted, 2);
      assert(!server.peers[0].text.includes("secret"));
    });
  }
}

for (const read of [false, true]) {
  Deno.test(`putrequest() throws CannotSendRequest while the body goes out behind an answer that was ${read ? "" : "not "}read`, async () => {
    // Whether the connection is used again is not what is asked here.
    const fake = answering("", ok("two"));
    using conn = new HTTPConnection("example.com", over(fake, answering(ok("two"))));
    const { body, halted, go } = halting();
    const sent = conn.request("POST", "/", body);
    await halted;
    fake.arrive(ok("one"));
    const response = await soon(conn.getresponse());
    if (read) assertEquals(await response.text(), "one");
    assertThrows(() => conn.putrequest("GET", "/next"), CannotSendRequest);
    await assertRejects(() => conn.request("GET", "/next"), CannotSendRequest);
    go();
    await soon(sent);
    assert(fake.sent.endsWith(WHOLE));
    await conn.request("GET", "/next");
    assertEquals(await response.text(), read ? "" : "one");
    assertEquals(await (await conn.getresponse()).text(), "two");
  });
}

Deno.test("request() makes a new connection after an early answer", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(peer.index === 0 ? REFUSAL : ok());
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await refuse(conn, streamSource());
  assertEquals(await getText(conn), "ok");
  assertEquals(server.peers[1].text.startsWith("GET / HTTP/1.1\r\n"), true);
  assertEquals(server.accepted, 2);
});

Deno.test("text() closes the connection when it has read an early answer", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(REFUSAL);
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await refuse(conn, streamSource());
  await soon(server.idle());
});

Deno.test("text() gives an early answer whole when it is chunked and has trailers", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n");
    await peer.sendSlow("3\r\nbad\r\n0\r\nWhy: so\r\n\r\n");
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await soon(conn.request("POST", "/", streamSource().body));
  const response = await conn.getresponse();
  assertEquals(await response.text(), "bad");
  assertEquals(response.trailers?.items(), [["Why", "so"]]);
});

Deno.test("request() stops the upload when the head of an early answer comes in parts", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.sendSlow("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await soon(conn.request("POST", "/", streamSource().body));
  assertEquals((await conn.getresponse()).status, 413);
});

Deno.test("text() gives an early answer whole when it ends with the connection", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.0 400 No\r\n\r\nbad");
    await peer.closeWrite();
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await soon(conn.request("POST", "/", streamSource().body));
  assertEquals(await (await conn.getresponse()).text(), "bad");
});

Deno.test("request() throws BadStatusLine and closes when an early answer is malformed", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(peer.index === 0 ? "NONSENSE\r\n\r\n" : ok());
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const { body, cancelled } = streamSource();
  await assertRejects(() => soon(conn.request("POST", "/", body)), BadStatusLine);
  await soon(cancelled!);
  assertEquals(await getText(conn), "ok");
});

Deno.test("request() goes on with the upload after interim responses", async () => {
  const INTERIM = "HTTP/1.1 102 Processing\r\n\r\n";
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(INTERIM);
    let size = 0;
    for (let i = 0; i < 100; i++) {
      size += (await peer.readBytes(PIECE.length)).length;
      await peer.send(INTERIM);
    }
    await peer.send(ok(String(size)));
  });
  let shown = 0;
  using conn = new HTTPConnection("127.0.0.1", server.port, {
    onInformational: () => shown++,
    maxInterimResponses: 1000,
  });
  await conn.request("POST", "/", Array(100).fill(PIECE), { "Content-Length": 100 * PIECE.length });
  assertEquals(await (await conn.getresponse()).text(), String(100 * PIECE.length));
  assertEquals(shown, 101);
});

Deno.test("request() stops the upload when an early answer comes behind interim ones", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    await peer.readBytes(100_000);
    await peer.send(REFUSAL);
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await refuse(conn, streamSource());
});

Deno.test("request() sends the body whole when the answer comes with the last piece", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  async function* body() {
    yield "one";
    await null;
    yield "two";
    fake.arrive(ok());
  }
  await conn.request("POST", "/", body());
  assertEquals(await (await conn.getresponse()).text(), "ok");
  assert(fake.writes.join("").includes("3\r\none\r\n3\r\ntwo\r\n"));
});

Deno.test("getresponse() gives an early answer while the body goes out", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.readBytes(100_000);
    await peer.send(REFUSAL);
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const sent = conn.request("POST", "/", streamSource().body);
  const response = await soon(conn.getresponse());
  assertEquals(await response.text(), REASON);
  await soon(sent);
});

Deno.test("send() ends when an early answer comes", async () => {
  const held = Promise.withResolvers<void>();
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(REFUSAL);
    await held.promise;
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", LARGE);
  await conn.endheaders();
  try {
    await soon(conn.send(new Uint8Array(LARGE)));
    const response = await conn.getresponse();
    assertEquals([response.status, await response.text()], [413, REASON]);
  } finally {
    held.resolve();
  }
});

// A server that goes away while the body's source is quiet

/** Bodies that give one piece, and then nothing for ever. */
const QUIET: [name: string, body: () => RequestBody][] = [
  ["a stream", () => {
    let given = false;
    return new ReadableStream<Uint8Array>({
      pull(controller) {
        if (given) return never<void>();
        given = true;
        controller.enqueue(PIECE.subarray(0, 5));
      },
    });
  }],
  ["an async generator", () =>
    (async function* () {
      yield "piece";
      await never<void>();
    })()],
  ["a Reader", () => {
    let reads = 0;
    return { read: () => reads++ === 0 ? Promise.resolve(5) : never<number>() };
  }],
];

const WAYS_TO_GO: [name: string, go: (peer: Peer) => Promise<void> | void][] = [
  ["closes", (peer) => peer.close()],
  ["half-closes", (peer) => peer.closeWrite()],
  ["resets", (peer) => peer.reset()],
];

const PATIENT: [name: string, options: HTTPConnectionOptions][] = [
  ["no deadline", {}],
  ["a timeout", { timeout: 60 }],
  ["deadlines", { deadlines: { head: 60, total: 60 } }],
];

for (const [source, body] of QUIET) {
  for (const [how, go] of WAYS_TO_GO) {
    for (const [deadline, options] of PATIENT) {
      Deno.test(`request() throws when the server ${how} while ${source} is quiet (${deadline})`, async () => {
        await using server = await startRaw(async (peer) => {
          await peer.readHead();
          if (peer.index > 0) return await peer.send(ok());
          await peer.readUntil("\r\n5\r\n".slice(2));
          await go(peer);
          await peer.eof();
        }, { resettable: true });
        using conn = new HTTPConnection("127.0.0.1", server.port, options);
        // RemoteDisconnected is a ConnectionReset, too.
        const error = await assertRejects(
          () => soon(conn.request("POST", "/", body())),
          how === "resets" ? Deno.errors.ConnectionReset : RemoteDisconnected,
        );
        assertEquals(factsOf(error).requestBytesSent > 0, true);
        assertEquals(await soon(getText(conn)), "ok");
      });
    }
  }
}

// Sources with troubles of their own

Deno.test("request() leaves a source that never gives a piece", async () => {
  const left = Promise.withResolvers<void>();
  const body = {
    [Symbol.asyncIterator]: () => ({
      next: () => never<IteratorResult<Uint8Array>>(),
      return() {
        left.resolve();
        return Promise.resolve({ done: true as const, value: undefined });
      },
    }),
  };
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(REFUSAL);
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await refuse(conn, { body, cancelled: left.promise });
});

for (
  const [name, leave] of [
    ["throws", () => {
      throw new Error("mine");
    }],
    ["rejects", () => Promise.reject(new Error("mine"))],
    ["never settles", () => never<never>()],
  ] satisfies [string, () => Promise<IteratorResult<Uint8Array>>][]
) {
  Deno.test(`request() ends when return() of the source ${name}`, async () => {
    const body = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false, value: PIECE }),
        return: leave,
      }),
    };
    await using server = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send(REFUSAL);
      await peer.eof();
    });
    using conn = new HTTPConnection("127.0.0.1", server.port);
    await refuse(conn, { body, cancelled: null });
  });
}

Deno.test("request() throws what its source throws, and closes the connection", async () => {
  const reason = new RangeError("mine");
  function* body() {
    yield PIECE;
    yield PIECE;
    yield PIECE;
    throw reason;
  }
  await using server = await startRaw(async (peer) => {
    if (peer.index === 0) return void await peer.eof();
    await peer.readHead();
    await peer.send(ok());
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const error = await assertRejects(() => soon(conn.request("POST", "/", body())));
  assertStrictEquals(error, reason);
  assertUntouched(error);
  assertEquals(conn.lastFailure?.phase, "send");
  await soon(server.idle());
  assert(!server.peers[0].text.endsWith("0\r\n\r\n"));
  assertEquals(await getText(conn), "ok");
});

// Bodies of one write

/** Takes so many bytes, answers, and takes no more. */
class Narrow extends FakeTransport {
  #left: number;
  constructor(room: number) {
    super();
    this.#left = room;
  }
  override write(p: Uint8Array): Promise<number> {
    if (this.#left === 0) {
      this.arrive(REFUSAL);
      return never<number>();
    }
    const piece = p.subarray(0, this.#left);
    this.#left -= piece.length;
    return super.write(piece);
  }
}

for (
  const [name, body] of [
    ["bytes", new Uint8Array(20_000)],
    ["pieces", [new Uint8Array(20_000), "end"]],
    ["a Blob", new Blob([new Uint8Array(20_000)])],
  ] satisfies [string, RequestBody][]
) {
  Deno.test(`request() delivers an early answer when only a part of ${name} was taken`, async () => {
    using conn = new HTTPConnection("example.com", over(new Narrow(1000)));
    await refuse(conn, { body, cancelled: null });
  });
}

Deno.test("request() delivers an early answer when only a part of the head was taken", async () => {
  using conn = new HTTPConnection("example.com", over(new Narrow(10)));
  await refuse(conn, { body: "body", cancelled: null });
});

Deno.test("request() swallows the failure of a write that an early answer has overtaken", async () => {
  // A rejection that nobody handles would end the tests.
  let fail = (_: Error) => {};
  class Stuck extends FakeTransport {
    #writes = 0;
    override write(p: Uint8Array): Promise<number> {
      if (this.#writes++ === 0) return super.write(p);
      this.arrive(REFUSAL);
      return new Promise((_, reject) => fail = reject);
    }
  }
  using conn = new HTTPConnection("example.com", over(new Stuck()));
  await refuse(conn, { body: Array(10).fill(PIECE), cancelled: null });
  fail(new Deno.errors.BrokenPipe("late"));
  await turns();
});

// Answers and writes that are told of at nearly the same time

Deno.test("an answer is delivered when the write of a large head fails right behind it", async () => {
  for (let ticks = 4; ticks < 25; ticks++) {
    const transport = new ManualTransport();
    using conn = new HTTPConnection("example.com", over(transport));
    const sent = conn.request("GET", "/").catch((error) => error);
    await microtasks(40);
    const response = conn.getresponse();
    await microtasks(20);
    transport.give("HTTP/1.1 431 No\r\nContent-Length: 2\r\n\r\nno");
    await microtasks(ticks);
    transport.writes[0].reject(new Deno.errors.ConnectionReset("reset"));
    const { status, requestComplete } = await soon(response);
    assertEquals([status, requestComplete], [431, false], `after ${ticks} microtasks`);
    await soon(sent);
  }
});

Deno.test("an answer is delivered when the server refuses a large head and closes", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.read();
    await turns(5);
    await peer.send("HTTP/1.1 431 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    peer.close();
  });
  for (let i = 0; i < 5; i++) {
    using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: 10 });
    conn.request("GET", "/", null, { X: "x".repeat(8_000_000) });
    const response = await conn.getresponse();
    assertEquals([response.status, await response.text()], [431, "no"]);
  }
});

/** A server in memory: its answer is there before the write returns that it answers. */
function instant(answer: string): Transport {
  const answers: Uint8Array[] = [];
  let wake: (() => void) | null = null;
  return {
    read(target) {
      return new Promise((resolve) => {
        wake = () => {
          const first = answers.shift();
          if (first === undefined) return;
          target.set(first);
          resolve(first.length);
        };
        wake();
      });
    },
    write(piece) {
      answers.push(bytes(answer));
      wake?.();
      return Promise.resolve(piece.length);
    },
    close() {},
  };
}

for (const status of ["200 OK", "404 Not Found"]) {
  const answer = `HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nok`;

  Deno.test(`a request that nobody awaits is followed by others on its connection (${status})`, async () => {
    using conn = new HTTPConnection("example.com", over(instant(answer)));
    for (let i = 0; i < 3; i++) {
      conn.request("GET", "/");
      const response = await conn.getresponse();
      assertEquals([await response.text(), response.requestComplete], ["ok", true]);
    }
  });

  Deno.test(`a request that nobody awaits is followed by others when writes are told of late (${status})`, async () => {
    for (let layers = 1; layers < 5; layers++) {
      const transports = [1, 2, 3].map(() => {
        const transport = instant(answer);
        for (let i = 0; i < layers; i++) {
          const write = transport.write;
          transport.write = async (piece) => await write(piece);
        }
        return transport;
      });
      using conn = new HTTPConnection("example.com", over(...transports));
      for (let i = 0; i < 3; i++) {
        conn.request("GET", "/");
        assertEquals(await (await conn.getresponse()).text(), "ok", `${layers} layers`);
      }
    }
  });
}

for (const timeout of [null, 30]) {
  for (
    const [when, ticks] of [["before", -1], ["behind", 0], ["2 microtasks behind", 2]] as const
  ) {
    Deno.test(`request() resolves when its last write is accepted ${when} a refusal, and the next request closes its connection (timeout ${timeout})`, async () => {
      const [first, second] = [new ManualTransport(), new ManualTransport({ accepting: true })];
      using conn = new HTTPConnection("example.com", { ...over(first, second), timeout });
      const sent = conn.request("POST", "/", "hello");
      await turns(1);
      const answer = conn.getresponse();
      const followed = answer.then(async (response) => {
        assertEquals(await response.text(), "no");
        return await conn.request("GET", "/second");
      });
      await turns(1);
      const accept = () => first.writes.at(-1)!.accept();
      if (ticks < 0) accept();
      first.give("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
      await microtasks(Math.max(0, ticks));
      if (ticks >= 0) accept();
      await soon(sent);
      await soon(followed);
      assertEquals((await answer).status, 404);
    });
  }
}
