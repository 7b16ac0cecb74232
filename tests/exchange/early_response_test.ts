/**
 * Early answers: a final answer that comes while the body goes out stops the upload, is delivered
 * whole, and ends the connection.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { BadStatusLine, HTTPConnection, HTTPSConnection, type RequestBody } from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { assertUntouched } from "../helpers/facts.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { never, soon, turns } from "../helpers/waiting.ts";
import { TempDir } from "../servers/child.ts";
import { type Peer, type RawServer, startRaw } from "../servers/raw.ts";
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

// What follows

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
