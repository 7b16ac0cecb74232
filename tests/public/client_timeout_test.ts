/**
 * `timeout`: seconds for each blocking operation. Each test waits for a timeout that must come, so they
 * are short; `LONG` is one that must not come.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  type HTTPResponse,
  HTTPSConnection,
  type Transport,
} from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { delay } from "../servers/child.ts";
import { type Peer, type RawServer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA } from "../tls/mod.ts";

const SHORT = 0.03;
const LONG = 60;

const PART = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart";

function never<T>(): Promise<T> {
  return new Promise(() => {});
}

async function fetchText(conn: HTTPConnection): Promise<string> {
  await conn.request("GET", "/again");
  return await (await conn.getresponse()).text();
}

async function respond(conn: HTTPConnection): Promise<HTTPResponse> {
  await conn.request("GET", "/");
  return await conn.getresponse();
}

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
    title: "the proxy's answer",
    phase: "connect",
    script: silent,
    run: (conn) => {
      conn.set_tunnel("origin");
      return conn.request("GET", "/");
    },
  },
  {
    title: "the head",
    phase: "head",
    script: silent,
    run: async (conn) => {
      await conn.request("GET", "/");
      await conn.getresponse();
    },
  },
  {
    title: "the rest of a head",
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
    title: "a final response after 100 Continue",
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
    title: "a body, by read()",
    phase: "body",
    script: stalls,
    run: async (conn) => await (await respond(conn)).read(),
  },
  {
    title: "a body, by read(amt)",
    phase: "body",
    script: stalls,
    run: async (conn) => await (await respond(conn)).read(50),
  },
  {
    title: "a body, by readinto()",
    phase: "body",
    script: stalls,
    run: async (conn) => {
      const response = await respond(conn);
      await response.read(4);
      await response.readinto(new Uint8Array(100000));
    },
  },
  {
    title: "a body, by readline()",
    phase: "body",
    script: stalls,
    run: async (conn) => await (await respond(conn)).readline(),
  },
  {
    title: "a body, by for await",
    phase: "body",
    script: stalls,
    run: async (conn) => {
      // deno-lint-ignore no-empty
      for await (const _ of await respond(conn)) {}
    },
  },
  {
    title: "a body, by new Response()",
    phase: "body",
    script: stalls,
    run: async (conn) => await new Response(await respond(conn)).text(),
  },
  {
    title: "a chunk",
    phase: "body",
    script: async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
      await peer.eof();
    },
    run: async (conn) => await (await respond(conn)).read(),
  },
  {
    title: "a server that reads no body",
    phase: "send",
    script: (_, gone) => gone,
    run: (conn) => conn.request("POST", "/", new Uint8Array(32 << 20)),
  },
  {
    title: "a server that reads no chunked body",
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
    const way = source === null ? "" : ", with source_address";

    Deno.test(`a wait for ${title} times out and closes, the next request works${way}`, async () => {
      const over = Promise.withResolvers<void>();
      await using server = await startStalling((peer) => script(peer, over.promise));
      using conn = new HTTPConnection("127.0.0.1", server.port, {
        timeout: SHORT,
        source_address: source,
      });
      try {
        const error = await assertRejects(() => run(conn), Deno.errors.TimedOut);
        assertStringIncludes(error.message, "timeout");
        assertEquals((error as { phase?: string }).phase, phase);
        assertEquals(conn.sock, null);
      } finally {
        over.resolve();
      }
      conn.timeout = LONG;
      assertEquals(await fetchText(conn), "/again");
      assertEquals(server.accepted, 2);
    });
  }
}

Deno.test("the server sees the end when a timeout has passed", async () => {
  await using server = await startRaw(silent);
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: SHORT });
  await assertRejects(() => respond(conn), Deno.errors.TimedOut);
  await server.idle();
});

for (const method of ["read", "readline", "bytes", "text"] as const) {
  Deno.test(`a body that timed out does not look whole to ${method}()`, async () => {
    await using server = await startRaw(stalls);
    using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: SHORT });
    const response = await respond(conn);
    await assertRejects(() => response.read(), Deno.errors.TimedOut);
    await assertRejects(() => response[method]());
  });
}

// Connecting

Deno.test("a transport that is never there times out, the next request works", async () => {
  const transports = [never<Transport>(), Promise.resolve(new FakeTransport([ok("second")]))];
  using conn = new HTTPConnection("example.com", {
    transport: () => transports.shift()!,
    timeout: SHORT,
  });
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.TimedOut);
  assertEquals((error as { phase?: string }).phase, "connect");
  assertEquals(await fetchText(conn), "second");
});

Deno.test("connect() times out as a request does", async () => {
  using conn = new HTTPConnection("example.com", {
    transport: () => never<Transport>(),
    timeout: SHORT,
  });
  await assertRejects(() => conn.connect(), Deno.errors.TimedOut);
});

Deno.test("a transport that comes after the timeout is closed", async () => {
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
    name: `a listener whose queue is full times out, source_address ${source}`,
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 0 });
      using _first = await Deno.connect({ port: listener.addr.port });
      using conn = new HTTPConnection("127.0.0.1", listener.addr.port, {
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
  Deno.test(`a handshake that is not answered times out (${way})`, async () => {
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

  Deno.test(`a head that does not come times out, the next request works (${way})`, async () => {
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
    await assertRejects(() => respond(conn), Deno.errors.TimedOut);
    conn.timeout = LONG;
    assertEquals(await fetchText(conn), "second");
  });

  Deno.test(`a server that reads no body times out (${way})`, async () => {
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

Deno.test("a write that is never accepted times out", async () => {
  const transport: Transport = { read: () => never(), write: () => never(), close() {} };
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.TimedOut);
  assertEquals((error as { phase?: string }).phase, "send");
});

Deno.test("send() without a request times out", async () => {
  const transport: Transport = { read: () => never(), write: () => never(), close() {} };
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  await assertRejects(() => conn.send("raw"), Deno.errors.TimedOut);
});

Deno.test("send() after endheaders times out", async () => {
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

Deno.test("a second response times out as the first one would", async () => {
  const transport = new FakeTransport([], { answers: [ok()] });
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  await fetchText(conn);
  await assertRejects(() => fetchText(conn), Deno.errors.TimedOut);
  assertEquals(transport.closes, 1);
});

Deno.test("a response that owns its connection times out", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart"]);
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  const response = await respond(conn);
  await assertRejects(() => response.read(), Deno.errors.TimedOut);
  assertEquals(transport.closes, 1);
});

// What it does not limit

Deno.test("a connection that is idle for longer than the timeout is kept", async () => {
  const transport = new FakeTransport([], { answers: [ok(), ok()] });
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  await fetchText(conn);
  await delay(SHORT * 2000);
  assertEquals(await fetchText(conn), "ok");
});

Deno.test("a caller may take longer than the timeout between two reads", async () => {
  const transport = new FakeTransport([PART]);
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  const response = await respond(conn);
  await response.read(4);
  await delay(SHORT * 2000);
  transport.arrive("x".repeat(96));
  assertEquals((await response.read()).length, 96);
});

Deno.test("a caller may take longer than the timeout to get the response", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: SHORT });
  await conn.request("GET", "/");
  await delay(SHORT * 2000);
  transport.arrive(ok("late"));
  assertEquals(await (await conn.getresponse()).text(), "late");
});

Deno.test("the source of a body may take longer than the timeout", async () => {
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

Deno.test("each read has the whole timeout, as in CPython", async () => {
  const timeout = 0.4;
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.sendSlow(ok("12345678"), { size: 10, ms: timeout * 1000 / 4 });
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout });
  const start = performance.now();
  assertEquals(await fetchText(conn), "12345678");
  assert(performance.now() - start > timeout * 1000, "The server was too fast to tell");
});

Deno.test("no timer is left when all went well", async () => {
  await using server = await startRaw(async (peer) => {
    for (;;) {
      await peer.readHead();
      await peer.send(ok());
    }
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: LONG });
  assertEquals([await fetchText(conn), await fetchText(conn)], ["ok", "ok"]);
});

Deno.test("no timer is left by an idle connection that its caller has forgotten to close", async () => {
  const transport = new FakeTransport([], { answers: [ok()] });
  const conn = new HTTPConnection("example.com", { ...over(transport), timeout: LONG });
  assertEquals(await fetchText(conn), "ok");
});

Deno.test("timeout can be set, and taken away, at any time", async () => {
  const transport = new FakeTransport([], { answers: [ok()] });
  using conn = new HTTPConnection("example.com", over(transport));
  assertEquals(conn.timeout, null);
  await fetchText(conn);
  conn.timeout = SHORT;
  await assertRejects(() => fetchText(conn), Deno.errors.TimedOut);
});
