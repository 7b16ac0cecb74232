/**
 * `timeout`: seconds for each blocking operation.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  type Transport,
} from "../../mod.ts";
import { getResponse, getText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { fullListener, hasFullListener } from "../helpers/sockets.ts";
import { never, soon } from "../helpers/waiting.ts";
import { delay } from "../servers/child.ts";
import { latin1, type Peer, type RawServer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA } from "../tls/mod.ts";

/** Passes in each test that waits for it, but not while anything else goes on: 50 times an exchange. */
const SHORT = 0.15;
/** Never passes. */
const LONG = 60;

const PART = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart";

/** Reads what comes, and says nothing. */
async function silent(peer: Peer): Promise<void> {
  await peer.eof();
}

/** Sends a part of a body, then nothing. */
async function stalls(peer: Peer): Promise<void> {
  await peer.readHead();
  await peer.send(PART);
  await peer.eof();
}

/** How an operation comes to wait for a server. */
interface Stall {
  title: string;
  phase: string;
  /** What the server does with the first connection; `gone` is when the test is over. */
  script: (peer: Peer, gone: Promise<void>) => Promise<void>;
  run: (conn: HTTPConnection) => Promise<unknown>;
}

const STALLS: Stall[] = [
  {
    title: "request() throws TimedOut when the proxy does not answer",
    phase: "connect",
    script: silent,
    run: (conn) => {
      conn.set_tunnel("origin");
      return conn.request("GET", "/");
    },
  },
  {
    title: "getresponse() throws TimedOut when no head comes",
    phase: "head",
    script: silent,
    run: async (conn) => {
      await conn.request("GET", "/");
      await conn.getresponse();
    },
  },
  {
    title: "getresponse() throws TimedOut when the rest of a head does not come",
    phase: "head",
    script: async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nA: ");
      await peer.eof();
    },
    run: async (conn) => {
      await conn.request("GET", "/");
      await conn.getresponse();
    },
  },
  {
    title: "getresponse() throws TimedOut when no response follows 100 Continue",
    phase: "head",
    script: async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
      await peer.eof();
    },
    run: async (conn) => {
      await conn.request("GET", "/");
      await conn.getresponse();
    },
  },
  {
    title: "read() throws TimedOut when a body stops",
    phase: "body",
    script: stalls,
    run: async (conn) => await (await getResponse(conn)).read(),
  },
  {
    title: "read(50) gives what came, then throws TimedOut when a body stops",
    phase: "body",
    script: stalls,
    run: async (conn) => {
      const response = await getResponse(conn);
      assertEquals(latin1(await response.read(50)), "part");
      await response.read(50);
    },
  },
  {
    title: "readinto() throws TimedOut when a body stops",
    phase: "body",
    script: stalls,
    run: async (conn) => {
      const response = await getResponse(conn);
      await response.read(4);
      await response.readinto(new Uint8Array(100000));
    },
  },
  {
    title: "readinto() gives what came, then throws TimedOut when a body stops",
    phase: "body",
    script: stalls,
    run: async (conn) => {
      const response = await getResponse(conn);
      const buffer = new Uint8Array(100000);
      assertEquals(await response.readinto(buffer), 4);
      assertEquals(latin1(buffer.subarray(0, 4)), "part");
      await response.readinto(buffer);
    },
  },
  {
    title: "readline() gives what came, then throws TimedOut when a body stops",
    phase: "body",
    script: stalls,
    run: async (conn) => {
      const response = await getResponse(conn);
      assertEquals(latin1(await response.readline()), "part");
      await response.readline();
    },
  },
  {
    title: "for await throws TimedOut when a body stops",
    phase: "body",
    script: stalls,
    run: async (conn) => {
      // deno-lint-ignore no-empty
      for await (const _ of await getResponse(conn)) {}
    },
  },
  {
    title: "new Response() throws TimedOut when a body stops",
    phase: "body",
    script: stalls,
    run: async (conn) => await new Response(await getResponse(conn)).text(),
  },
  {
    title: "read() throws TimedOut when the next chunk does not come",
    phase: "body",
    script: async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
      await peer.eof();
    },
    run: async (conn) => await (await getResponse(conn)).read(),
  },
  {
    title: "request() throws TimedOut when the server does not read a body",
    phase: "send",
    script: (_, gone) => gone,
    run: (conn) => conn.request("POST", "/", new Uint8Array(32 << 20)),
  },
  {
    title: "request() throws TimedOut when the server does not read a chunked body",
    phase: "send",
    script: (_, gone) => gone,
    run: (conn) =>
      conn.request("POST", "/", Array.from({ length: 512 }, () => new Uint8Array(65536))),
  },
];

/** A server that stalls on its first connection, and answers on the others. */
async function startStalling(script: (peer: Peer) => Promise<void>): Promise<RawServer> {
  return await startRaw(async (peer) => {
    if (peer.index === 0) return await script(peer);
    let head = await peer.readHead();
    if (head.startsWith("CONNECT")) {
      await peer.send("HTTP/1.1 200 OK\r\n\r\n");
      head = await peer.readHead();
    }
    await peer.send(ok(head.split(" ")[1]));
  });
}

for (const { title, phase, script, run } of STALLS) {
  for (const source of [null, ["127.0.0.5", 0]] as ([string, number] | null)[]) {
    const way = source === null ? "" : " (source_address)";

    Deno.test(`${title}, and the next request works${way}`, async () => {
      const over = Promise.withResolvers<void>();
      await using server = await startStalling((peer) => script(peer, over.promise));
      using conn = new HTTPConnection("127.0.0.1", server.port, {
        timeout: LONG,
        source_address: source,
      });
      // A machine that is busy with a large body must not time out while it connects.
      if (phase === "send") await conn.connect();
      conn.timeout = SHORT;
      try {
        const error = await assertRejects(() => run(conn), Deno.errors.TimedOut);
        assertStringIncludes(error.message, "timeout");
        assertEquals((error as { phase?: string }).phase, phase);
        assertEquals(conn.sock, null);
      } finally {
        over.resolve();
      }
      conn.timeout = LONG;
      assertEquals(await getText(conn, "/again"), "/again");
      assertEquals(server.accepted, 2);
    });
  }
}

for (
  const [title, answer] of [
    ["that has come whole", ok("one")],
    ["that closes", ok("one", "Connection: close\r\n")],
    ["that is still to come", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no"],
  ] as const
) {
  for (const reads of [false, true]) {
    Deno.test(`request() throws TimedOut when a body is not taken behind a response ${title} and is ${reads ? "" : "not "}read meanwhile`, async () => {
      const stuck = Promise.withResolvers<void>();
      await using server = await startRaw(async (peer) => {
        if (peer.index > 0) return await stuck.promise;
        await peer.readHead();
        await peer.send(answer);
        await stuck.promise;
      });
      using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: SHORT });
      try {
        const first = await getResponse(conn);
        const sending = conn.request("POST", "/", new Uint8Array(64 << 20));
        const timedOut = assertRejects(() => soon(sending), Deno.errors.TimedOut);
        if (reads) await first.read().catch(() => {});
        const error = await timedOut;
        assertEquals((error as { phase?: string }).phase, "send");
      } finally {
        stuck.resolve();
      }
    });
  }
}

Deno.test("timeout closes the connection, which the server sees", async () => {
  await using server = await startRaw(silent);
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: SHORT });
  await assertRejects(() => getResponse(conn), Deno.errors.TimedOut);
  await server.idle();
});

for (const method of ["read", "readline", "bytes", "text"] as const) {
  Deno.test(`${method}() throws after a timeout, rather than let the body look whole`, async () => {
    await using server = await startRaw(stalls);
    using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: SHORT });
    const response = await getResponse(conn);
    await assertRejects(() => response.read(), Deno.errors.TimedOut);
    await assertRejects(() => response[method]());
  });
}

// Connecting

Deno.test("request() throws TimedOut when transport() does not settle, and the next one works", async () => {
  const transports = [never<Transport>(), Promise.resolve(new FakeTransport([ok("second")]))];
  using conn = new HTTPConnection("example.com", {
    transport: () => transports.shift()!,
    timeout: SHORT,
  });
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.TimedOut);
  assertEquals((error as { phase?: string }).phase, "connect");
  assertEquals(await getText(conn), "second");
});

Deno.test("connect() throws TimedOut when transport() does not settle", async () => {
  using conn = new HTTPConnection("example.com", {
    transport: () => never<Transport>(),
    timeout: SHORT,
  });
  await assertRejects(() => conn.connect(), Deno.errors.TimedOut);
});

Deno.test("connect() closes a transport that comes after the timeout", async () => {
  const late = Promise.withResolvers<Transport>();
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", {
    transport: () => late.promise,
    timeout: SHORT,
  });
  await assertRejects(() => conn.connect(), Deno.errors.TimedOut);
  late.resolve(transport);
  await late.promise;
  await null;
  assertEquals([transport.closes, conn.sock], [1, null]);
});

for (const source of [null, ["127.0.0.5", 0]] as ([string, number] | null)[]) {
  Deno.test({
    name: `request() throws TimedOut when the listener's queue is full, source_address ${source}`,
    ignore: !hasFullListener,
    fn: async () => {
      using listener = await fullListener();
      using conn = new HTTPConnection("127.0.0.1", listener.port, {
        timeout: SHORT,
        source_address: source,
      });
      const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.TimedOut);
      assertEquals((error as { phase?: string }).phase, "connect");
    },
  });
}

// TLS

const TLS_WAYS: [way: string, options: (port: number) => HTTPConnectionOptions][] = [
  ["Deno's TLS", () => ({})],
  ["Node's TLS", () => ({ source_address: ["127.0.0.5", 0] })],
  ["TLS over a transport", (port) => ({ transport: () => Deno.connect({ port }) })],
];

for (const [way, options] of TLS_WAYS) {
  Deno.test(`request() throws TimedOut when a handshake is not answered (${way})`, async () => {
    await using server = await startRaw(silent);
    using conn = new HTTPSConnection("localhost", server.port, {
      timeout: SHORT,
      ...options(server.port),
    });
    const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.TimedOut);
    assertEquals((error as { phase?: string }).phase, "tls");
    assertEquals(conn.sock, null);
    // Deno 2.9 keeps a TCP socket in a handshake that was cut off until the server ends it.
    if (way !== "Deno's TLS") await server.idle();
  });

  Deno.test(`getresponse() throws TimedOut when no head comes, and the next request works (${way})`, async () => {
    await using server = await startRawTls(async (peer) => {
      await peer.readHead();
      if (peer.index === 0) await peer.eof();
      else await peer.send(ok("second"));
    });
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { caCerts: [CA] },
      timeout: LONG,
      ...options(server.port),
    });
    await conn.connect();
    conn.timeout = SHORT;
    await assertRejects(() => getResponse(conn), Deno.errors.TimedOut);
    conn.timeout = LONG;
    assertEquals(await getText(conn), "second");
  });

  Deno.test(`request() throws TimedOut when the server does not read a body (${way})`, async () => {
    const over = Promise.withResolvers<void>();
    await using server = await startRawTls(async (peer) => {
      await peer.readHead();
      await over.promise;
    });
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { caCerts: [CA] },
      timeout: LONG,
      ...options(server.port),
    });
    await conn.connect();
    conn.timeout = SHORT;
    const body = Array.from({ length: 256 }, () => new Uint8Array(65536));
    await assertRejects(() => conn.request("POST", "/", body), Deno.errors.TimedOut);
    over.resolve();
  });
}

// In memory

Deno.test("request() throws TimedOut when a write does not settle", async () => {
  const transport: Transport = { read: () => never(), write: () => never(), close() {} };
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.TimedOut);
  assertEquals((error as { phase?: string }).phase, "send");
});

Deno.test("send() throws TimedOut when there is no request and a write does not settle", async () => {
  const transport: Transport = { read: () => never(), write: () => never(), close() {} };
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  await assertRejects(() => conn.send("raw"), Deno.errors.TimedOut);
});

Deno.test("send() throws TimedOut after endheaders() when a write does not settle", async () => {
  let writes = 0;
  const transport: Transport = {
    read: () => never(),
    write: (p) => writes++ === 0 ? Promise.resolve(p.length) : never(),
    close() {},
  };
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  conn.putrequest("POST", "/");
  await conn.endheaders();
  await assertRejects(() => conn.send("body"), Deno.errors.TimedOut);
});

Deno.test("getresponse() throws TimedOut when a second response does not come", async () => {
  const transport = answering(ok());
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  await getText(conn);
  await assertRejects(() => getText(conn), Deno.errors.TimedOut);
  assertEquals(transport.closes, 1);
});

Deno.test("read() throws TimedOut when the response owns its connection", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart"]);
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  const response = await getResponse(conn);
  await assertRejects(() => response.read(), Deno.errors.TimedOut);
  assertEquals(transport.closes, 1);
});

// What it does not limit

Deno.test("timeout does not end a connection that is idle for longer", async () => {
  const transport = answering(ok(), ok());
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  await getText(conn);
  await delay(SHORT * 2000);
  assertEquals(await getText(conn), "ok");
});

Deno.test("timeout does not run between two reads", async () => {
  const transport = new FakeTransport([PART]);
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  const response = await getResponse(conn);
  await response.read(4);
  await delay(SHORT * 2000);
  transport.arrive("x".repeat(96));
  assertEquals((await response.read()).length, 96);
});

Deno.test("timeout does not run between request() and getresponse()", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  await conn.request("GET", "/");
  await delay(SHORT * 2000);
  transport.arrive(ok("late"));
  assertEquals(await (await conn.getresponse()).text(), "late");
});

Deno.test("timeout does not run while the source of a body is waited for", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  await conn.request(
    "POST",
    "/",
    async function* () {
      yield "a";
      await delay(SHORT * 2000);
      yield "b";
    }(),
  );
  assert(transport.sent.endsWith("1\r\nb\r\n0\r\n\r\n"));
});

Deno.test("timeout is for each read, as in CPython", async () => {
  const timeout = 0.4;
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.sendSlow(ok("12345678"), { size: 3, ms: timeout * 1000 / 8 });
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout });
  const start = performance.now();
  assertEquals(await getText(conn), "12345678");
  assert(performance.now() - start > timeout * 1000, "The server was too fast to tell");
});

Deno.test("timeout leaves no timer after two exchanges", async () => {
  await using server = await startRaw(async (peer) => {
    for (;;) {
      await peer.readHead();
      await peer.send(ok());
    }
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: LONG });
  assertEquals([await getText(conn), await getText(conn)], ["ok", "ok"]);
});

Deno.test("timeout leaves no timer when the caller forgets to close an idle connection", async () => {
  const transport = answering(ok());
  const conn = new HTTPConnection("example.com", { ...over(transport), timeout: LONG });
  assertEquals(await getText(conn), "ok");
});

Deno.test("timeout leaves no timer when the caller forgets to close what connect() has made", async () => {
  const conn = new HTTPConnection("example.com", { ...over(answering(ok())), timeout: LONG });
  await conn.connect();
  assert(conn.sock !== null);
});

Deno.test("timeout takes effect with the next call when it is set", async () => {
  const transport = answering(ok());
  using conn = new HTTPConnection("example.com", over(transport));
  assertEquals(conn.timeout, null);
  await getText(conn);
  conn.timeout = SHORT;
  await assertRejects(() => getText(conn), Deno.errors.TimedOut);
});

// The timeout of one request

Deno.test("a request's own timeout ends a wait for the head when the connection has none", async () => {
  await using server = await startRaw(silent);
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/", null, {}, { timeout: 0.01 });
  await assertRejects(
    () => soon(conn.getresponse()),
    Deno.errors.TimedOut,
    "the timeout of 0.01 s has passed",
  );
});

Deno.test("a request's own timeout ends a wait for the body", async () => {
  await using server = await startRaw(stalls);
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: LONG });
  await conn.request("GET", "/", null, {}, { timeout: 0.05 });
  const response = await conn.getresponse();
  await assertRejects(() => soon(response.read()), Deno.errors.TimedOut, "timeout of 0.05 s");
});

Deno.test("a request's own timeout ends connecting", async () => {
  using conn = new HTTPConnection("a.example", { transport: () => never<Transport>() });
  await assertRejects(
    () => soon(conn.request("GET", "/", null, {}, { timeout: 0.01 })),
    Deno.errors.TimedOut,
    "Cannot connect to a.example:80: the timeout of 0.01 s has passed",
  );
});

Deno.test("a request's own timeout of null takes that of the connection away", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("a.example", { ...over(transport), timeout: 0.01 });
  await conn.request("GET", "/", null, {}, { timeout: null });
  const response = conn.getresponse();
  await delay(30);
  transport.arrive(ok());
  assertEquals(await (await response).text(), "ok");
});

Deno.test("a request's own timeout is not that of the next request, nor of the connection", async () => {
  const transport = answering(ok());
  using conn = new HTTPConnection("a.example", { ...over(transport), timeout: LONG });
  await conn.request("GET", "/", null, {}, { timeout: 0.01 });
  await (await conn.getresponse()).read();
  assertEquals(conn.timeout, LONG);
  await conn.request("GET", "/");
  const response = conn.getresponse();
  await delay(30);
  transport.arrive(ok("late"));
  assertEquals(await (await response).text(), "late");
});

for (const timeout of [0, -1, NaN, "5"]) {
  Deno.test(`request() rejects and sends nothing when its timeout is ${JSON.stringify(timeout)}`, async () => {
    const transport = answering(ok());
    using conn = new HTTPConnection("a.example", over(transport));
    const sent = conn.request("GET", "/", null, {}, { timeout } as never);
    await assertRejects(() => sent, Error, "Cannot use timeout");
    assertEquals(transport.sent, "");
  });
}

Deno.test("endheaders() takes a timeout, too", async () => {
  using conn = new HTTPConnection("a.example", over(new FakeTransport()));
  conn.putrequest("GET", "/");
  await conn.endheaders(null, { timeout: 0.01 });
  await assertRejects(() => soon(conn.getresponse()), Deno.errors.TimedOut);
});
