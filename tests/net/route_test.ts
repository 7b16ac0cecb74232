/**
 * Where to connect to is apart from what to say. For each option and each way to a server: it takes
 * effect, or it is refused before anything is connected.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPException,
  HTTPSConnection,
  type HTTPSConnectionOptions,
  LineTooLong,
  type TLSContext,
  type TraceEvent,
} from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { type Peer, type RawServer, type Script, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT, type KeyPair, LOCALHOST, UNKNOWN_ISSUER, WRONG_NAME } from "../tls/mod.ts";

/** A deadline that passes while a server is silent. */
const SHORT = 0.03;

/** Fails a test that would wait for ever. */
async function soon<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("Waited in vain")), 1000);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function exchange(conn: HTTPConnection): Promise<string> {
  await conn.request("GET", "/");
  return await (await conn.getresponse()).text();
}

function get(conn: HTTPConnection): Promise<string> {
  return soon(exchange(conn));
}

/** Passes everything on to a port, both ways, after `before`. */
function relayTo(port: number, before: (peer: Peer) => Promise<void>): Script {
  return async (peer) => {
    await before(peer);
    using up = await Deno.connect({ hostname: "127.0.0.1", port });
    const back = (async () => {
      const p = new Uint8Array(65536);
      try {
        for (let n; (n = await up.read(p)) !== null;) await peer.send(p.subarray(0, n));
        await peer.closeWrite();
      } catch {
        // Either side went away.
      }
    })();
    try {
      for (let piece; (piece = await peer.read()) !== null;) await up.write(piece);
      await up.closeWrite();
    } catch {
      up.close(); // Either side went away.
    }
    await back;
  };
}

/** A way to the server at a port of 127.0.0.1, whose name is `localhost`. */
interface Way {
  name: string;
  /** What the connection needs; `options` are added to its own. */
  open: (
    port: number,
    stack: AsyncDisposableStack,
  ) => Promise<(tls: boolean, options: HTTPSConnectionOptions) => HTTPConnection>;
}

function connection(
  tls: boolean,
  host: string,
  port: number,
  options: HTTPSConnectionOptions,
): HTTPConnection {
  return tls
    ? new HTTPSConnection(host, port, options)
    : new HTTPConnection(host, port, options as HTTPConnectionOptions);
}

function simple(name: string, of: (port: number) => HTTPConnectionOptions): Way {
  return {
    name,
    open: (port) =>
      Promise.resolve((tls, options) =>
        connection(tls, "localhost", port, { ...of(port), ...options })
      ),
  };
}

function tunnelled(name: string, of: (port: number) => HTTPConnectionOptions): Way {
  return {
    name,
    async open(port, stack) {
      const proxy = stack.use(
        await startRaw(relayTo(port, async (peer) => {
          await peer.readHead();
          await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
        })),
      );
      return (tls, options) => {
        const conn = connection(tls, "127.0.0.1", proxy.port, { ...of(proxy.port), ...options });
        conn.set_tunnel("localhost", port);
        return conn;
      };
    },
  };
}

const dialled = (port: number): HTTPConnectionOptions => ({
  transport: () => Deno.connect({ hostname: "127.0.0.1", port }),
});

const WAYS: Way[] = [
  simple("TCP", () => ({ address: "127.0.0.1" })),
  simple("a source address", () => ({ address: "127.0.0.1", source_address: ["127.0.0.1", 0] })),
  simple("own transport", dialled),
  {
    name: "a unix socket",
    async open(port, stack) {
      const unix = stack.use(
        await startRaw(relayTo(port, () => Promise.resolve()), { unix: true }),
      );
      return (tls, options) =>
        connection(tls, "localhost", port, { socketPath: unix.path, ...options });
    },
  },
  tunnelled("a tunnel", () => ({})),
  tunnelled("a tunnel from a source address", () => ({ source_address: ["127.0.0.1", 0] })),
  tunnelled("a tunnel over own transport", dialled),
];

/** Answers each request. */
async function answer(peer: Peer): Promise<void> {
  for (;;) {
    await peer.readHead();
    await peer.send(ok());
  }
}

/** A server and a connection to it, by a way. */
async function reach(
  way: Way,
  stack: AsyncDisposableStack,
  script: Script,
  options: HTTPSConnectionOptions,
  pair?: KeyPair,
): Promise<{ conn: HTTPConnection; server: RawServer }> {
  const server = stack.use(
    pair === undefined ? await startRaw(script) : await startRawTls(script, { pair }),
  );
  const connect = await way.open(server.port, stack);
  return { conn: stack.use(connect(pair !== undefined, options)), server };
}

/** A test for each way. */
function each(name: string, test: (way: Way, stack: AsyncDisposableStack) => Promise<void>): void {
  for (const way of WAYS) {
    Deno.test(`route: ${name}, by ${way.name}`, async () => {
      await using stack = new AsyncDisposableStack();
      await test(way, stack);
    });
  }
}

// Options of any connection

each("a request arrives, and Host is what it says", async (way, stack) => {
  const { conn, server } = await reach(way, stack, answer, {});
  assertEquals(await get(conn), "ok");
  assertStringIncludes(server.requests[0], `\r\nHost: localhost:${server.port}\r\n`);
});

each("timeout", async (way, stack) => {
  const { conn } = await reach(way, stack, async (peer) => void await peer.eof(), {
    timeout: SHORT,
  });
  await assertRejects(() => get(conn), Deno.errors.TimedOut, "timeout");
});

for (const kind of ["head", "total"] as const) {
  each(`deadlines.${kind}`, async (way, stack) => {
    const options = { deadlines: { [kind]: SHORT } };
    const { conn } = await reach(way, stack, async (peer) => void await peer.eof(), options);
    await assertRejects(() => get(conn), Deno.errors.TimedOut, `${kind} deadline`);
  });
}

each("deadlines.bodyIdle", async (way, stack) => {
  const options = { deadlines: { bodyIdle: SHORT } };
  const { conn } = await reach(way, stack, async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome");
    await peer.eof();
  }, options);
  await assertRejects(() => get(conn), Deno.errors.TimedOut, "bodyIdle deadline");
});

each("onInformational", async (way, stack) => {
  const shown: number[] = [];
  const { conn } = await reach(way, stack, async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 103 Early Hints\r\n\r\n" + ok());
  }, { onInformational: (status) => shown.push(status) });
  assertEquals(await get(conn), "ok");
  assertEquals(shown, [103]);
});

each("trace", async (way, stack) => {
  const types: TraceEvent["type"][] = [];
  const { conn } = await reach(way, stack, answer, { trace: ({ type }) => types.push(type) });
  assertEquals(await get(conn), "ok");
  conn.close();
  assertEquals(types[0], "connectStart");
  assertEquals(types.includes("tunnelled"), way.name.includes("tunnel"));
  assertEquals(types.at(-1), "close");
});

each("a limit", async (way, stack) => {
  const { conn } = await reach(way, stack, async (peer) => {
    await peer.readHead();
    await peer.send(ok("ok", `A: ${"x".repeat(100)}\r\n`));
  }, { maxLineBytes: 99 });
  await assertRejects(() => get(conn), LineTooLong);
});

each("maxBodyBytes", async (way, stack) => {
  const { conn } = await reach(way, stack, answer, { maxBodyBytes: 1 });
  await assertRejects(() => get(conn), HTTPException);
});

each("blocksize", async (way, stack) => {
  const { conn, server } = await reach(way, stack, async (peer) => {
    const { chunks } = await peer.readRequest();
    await peer.send(ok(JSON.stringify(chunks)));
  }, { blocksize: 3 });
  await conn.request("PUT", "/", new Blob(["12345678"]).stream());
  await (await conn.getresponse()).read();
  const left = [8];
  const read = (p: Uint8Array) => {
    const count = Math.min(left[0], p.length);
    left[0] -= count;
    return Promise.resolve(count === 0 ? null : count);
  };
  await conn.request("PUT", "/", { read });
  assertEquals(await (await conn.getresponse()).text(), "[3,3,2]");
  assert(server.accepted > 0);
});

// TLS

each("caCerts: without the CA it is refused", async (way, stack) => {
  const { conn } = await reach(way, stack, answer, {}, LOCALHOST);
  await assertRejects(() => get(conn), Deno.errors.InvalidData, "not trusted");
});

each("caCerts: with the CA it works", async (way, stack) => {
  const { conn } = await reach(way, stack, answer, { context: { caCerts: [CA] } }, LOCALHOST);
  assertEquals(await get(conn), "ok");
});

each("a certificate for another name is refused", async (way, stack) => {
  const { conn } = await reach(way, stack, answer, { context: { caCerts: [CA] } }, WRONG_NAME);
  await assertRejects(() => get(conn), Deno.errors.InvalidData, "another name");
});

each("check_hostname: false", async (way, stack) => {
  const context = { caCerts: [CA], check_hostname: false };
  const { conn } = await reach(way, stack, answer, { context }, WRONG_NAME);
  assertEquals(await get(conn), "ok");
});

each("check_hostname: false still asks for a trusted issuer", async (way, stack) => {
  const context = { caCerts: [CA], check_hostname: false };
  const { conn } = await reach(way, stack, answer, { context }, UNKNOWN_ISSUER);
  await assertRejects(() => get(conn), Deno.errors.InvalidData, "not trusted");
});

each("verify_mode: CERT_NONE", async (way, stack) => {
  const context = { verify_mode: "CERT_NONE" as const };
  const { conn } = await reach(way, stack, answer, { context }, UNKNOWN_ISSUER);
  assertEquals(await get(conn), "ok");
});

each("server_hostname: it is what the certificate must be for", async (way, stack) => {
  const context = { caCerts: [CA], server_hostname: "other.example.test" };
  const { conn } = await reach(way, stack, answer, { context }, WRONG_NAME);
  assertEquals(await get(conn), "ok");
});

each("server_hostname: the host's certificate is refused then", async (way, stack) => {
  const context = { caCerts: [CA], server_hostname: "other.example.test" };
  const { conn } = await reach(way, stack, answer, { context }, LOCALHOST);
  await assertRejects(() => get(conn), Deno.errors.InvalidData, "another name");
});

/** What the client says first: the names of SNI and ALPN stand in it as they are. */
async function helloOf(
  way: Way,
  stack: AsyncDisposableStack,
  context: TLSContext,
): Promise<string> {
  const server = stack.use(await startRaw(async (peer) => void await peer.read()));
  const connect = await way.open(server.port, stack);
  const conn = stack.use(connect(true, { context }));
  await assertRejects(() => get(conn));
  return server.peers[0].text;
}

each("SNI is the host", async (way, stack) => {
  assertStringIncludes(await helloOf(way, stack, { caCerts: [CA] }), "localhost");
});

each("server_hostname is what SNI says", async (way, stack) => {
  const hello = await helloOf(way, stack, { server_hostname: "other.example.test" });
  assertStringIncludes(hello, "other.example.test");
  assert(!hello.includes("localhost"));
});

each("server_hostname goes with a client certificate", async (way, stack) => {
  const hello = await helloOf(way, stack, { ...CLIENT, server_hostname: "other.example.test" });
  assertStringIncludes(hello, "other.example.test");
});

each("ALPN is http/1.1", async (way, stack) => {
  assertStringIncludes(await helloOf(way, stack, {}), "\x08http/1.1");
});

each("alpnProtocols", async (way, stack) => {
  const hello = await helloOf(way, stack, { alpnProtocols: ["x-one", "x-two"] });
  assertStringIncludes(hello, "\x05x-one\x05x-two");
  assert(!hello.includes("http/1.1"));
});

each("alpnProtocols with a client certificate", async (way, stack) => {
  const hello = await helloOf(way, stack, { ...CLIENT, alpnProtocols: ["x-one"] });
  assertStringIncludes(hello, "\x05x-one");
});

each("deadlines.tls", async (way, stack) => {
  const server = stack.use(await startRaw(async (peer) => void await peer.eof()));
  const connect = await way.open(server.port, stack);
  const conn = stack.use(connect(true, { deadlines: { tls: SHORT } }));
  await assertRejects(() => get(conn), Deno.errors.TimedOut, "tls deadline");
});

// source_address

Deno.test("route: source_address is where the connection comes from", async () => {
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("127.0.0.1", server.port, { source_address: ["127.0.0.5", 0] });
  assertEquals(await get(conn), "ok");
  assertEquals(server.peers[0].remote?.hostname, "127.0.0.5");
});

Deno.test("route: source_address with a port of its own", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("127.0.0.1", server.port, {
    source_address: ["127.0.0.6", port],
  });
  assertEquals(await get(conn), "ok");
  const { hostname, port: from } = server.peers[0].remote!;
  assertEquals([hostname, from], ["127.0.0.6", port]);
});

Deno.test("route: source_address under TLS", async () => {
  await using server = await startRawTls(answer);
  using conn = new HTTPSConnection("localhost", server.port, {
    address: "127.0.0.1",
    source_address: ["127.0.0.5", 0],
    context: { caCerts: [CA] },
  });
  assertEquals(await get(conn), "ok");
  assertEquals(server.peers[0].remote?.hostname, "127.0.0.5");
});

Deno.test("route: source_address to a proxy", async () => {
  await using server = await startRaw(answer);
  await using proxy = await startRaw(relayTo(server.port, async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
  }));
  using conn = new HTTPConnection("127.0.0.1", proxy.port, { source_address: ["127.0.0.5", 0] });
  conn.set_tunnel("localhost", server.port);
  assertEquals(await get(conn), "ok");
  assertEquals(proxy.peers[0].remote?.hostname, "127.0.0.5");
});

Deno.test("route: source_address that is set later", async () => {
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("127.0.0.1", server.port);
  conn.source_address = ["127.0.0.5", 0];
  assertEquals(await get(conn), "ok");
  assertEquals(server.peers[0].remote?.hostname, "127.0.0.5");
});

for (
  const [name, options] of [
    ["own transport", over(new FakeTransport([], { answers: [ok()] }))],
    ["a unix socket", { socketPath: "/nowhere/at/all" }],
  ] satisfies [string, HTTPConnectionOptions][]
) {
  Deno.test(`route: source_address that is set later is refused with ${name}`, async () => {
    using conn = new HTTPConnection("example.com", options);
    conn.source_address = ["127.0.0.5", 0];
    await assertRejects(() => get(conn), TypeError);
  });
}

// address

Deno.test("route: address is where to connect to, Host is the host", async () => {
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("example.com", server.port, { address: "127.0.0.1" });
  assertEquals(await get(conn), "ok");
  assertStringIncludes(server.requests[0], `\r\nHost: example.com:${server.port}\r\n`);
});

Deno.test("route: address with a port of its own", async () => {
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("example.com", { address: `127.0.0.1:${server.port}` });
  assertEquals(await get(conn), "ok");
  assertStringIncludes(server.requests[0], "\r\nHost: example.com\r\n");
});

for (const address of ["::1", "[::1]"]) {
  Deno.test(`route: address ${address}`, async () => {
    await using server = await startRaw(answer, { hostname: "::1" });
    using conn = new HTTPConnection("example.com", server.port, { address });
    assertEquals(await get(conn), "ok");
  });
}

Deno.test("route: address, server_hostname and Host are three", async () => {
  await using server = await startRawTls(answer, { pair: WRONG_NAME });
  using conn = new HTTPSConnection("example.com", server.port, {
    address: "127.0.0.1",
    context: { caCerts: [CA], server_hostname: "other.example.test" },
  });
  await conn.request("GET", "/", null, { Host: "third.example" });
  assertEquals(await (await conn.getresponse()).text(), "ok");
  assertStringIncludes(server.requests[0], "\r\nHost: third.example\r\n");
});

Deno.test("route: address of a proxy", async () => {
  await using server = await startRaw(answer);
  await using proxy = await startRaw(relayTo(server.port, async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
  }));
  using conn = new HTTPConnection("proxy.example", proxy.port, { address: "127.0.0.1" });
  conn.set_tunnel("origin.example", 80);
  assertEquals(await get(conn), "ok");
  assertEquals(
    proxy.requests[0],
    "CONNECT origin.example:80 HTTP/1.1\r\nHost: origin.example:80\r\n\r\n",
  );
  assertStringIncludes(server.requests[0], "\r\nHost: origin.example\r\n");
});

// socketPath

Deno.test("route: socketPath, and Host is the host", async () => {
  await using server = await startRaw(answer, { unix: true });
  using conn = new HTTPConnection("docker.example", { socketPath: server.path });
  assertEquals(await get(conn), "ok");
  assertStringIncludes(server.requests[0], "\r\nHost: docker.example\r\n");
});

Deno.test("route: a tunnel over a unix socket", async () => {
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
    await answer(peer);
  }, { unix: true });
  using conn = new HTTPConnection("proxy.example", { socketPath: proxy.path });
  conn.set_tunnel("origin.example", 81);
  assertEquals(await get(conn), "ok");
  assertStringIncludes(proxy.requests[0], "CONNECT origin.example:81 ");
  assertStringIncludes(proxy.requests[1], "\r\nHost: origin.example:81\r\n");
});

// TLS in TLS

Deno.test("route: TLS in TLS: an HTTPS proxy, and an HTTPS origin through it", async () => {
  await using server = await startRawTls(answer);
  await using proxy = await startRawTls(relayTo(server.port, async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
  }));
  const { port } = proxy;
  using conn = new HTTPSConnection("proxy.example", port, {
    transport: () => Deno.connectTls({ hostname: "localhost", port, caCerts: [CA] }),
    context: { caCerts: [CA] },
  });
  conn.set_tunnel("localhost", server.port);
  assertEquals(await get(conn), "ok");
  assertEquals(await get(conn), "ok");
  assertEquals(server.accepted, 1);
});

Deno.test("route: TLS in TLS: the origin's certificate is verified", async () => {
  await using server = await startRawTls(answer, { pair: WRONG_NAME });
  await using proxy = await startRawTls(relayTo(server.port, async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
  }));
  const { port } = proxy;
  using conn = new HTTPSConnection("proxy.example", port, {
    transport: () => Deno.connectTls({ hostname: "localhost", port, caCerts: [CA] }),
    context: { caCerts: [CA] },
  });
  conn.set_tunnel("localhost", server.port);
  await assertRejects(() => get(conn), Deno.errors.InvalidData, "another name");
});

Deno.test("route: a large answer and a large body through TLS in TLS", async () => {
  const size = 300_000;
  await using server = await startRawTls(async (peer) => {
    const { body } = await peer.readRequest();
    await peer.send(ok("x".repeat(body.length)));
    await peer.eof();
  });
  await using proxy = await startRawTls(relayTo(server.port, async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
  }));
  const { port } = proxy;
  using conn = new HTTPSConnection("proxy.example", port, {
    transport: () => Deno.connectTls({ hostname: "localhost", port, caCerts: [CA] }),
    context: { caCerts: [CA] },
  });
  conn.set_tunnel("localhost", server.port);
  await conn.request("PUT", "/", new Uint8Array(size));
  assertEquals((await (await conn.getresponse()).read()).length, size);
});

// Refused

const NOT_TOGETHER: [string, HTTPSConnectionOptions][] = [
  ["transport and socketPath", { ...over(), socketPath: "/x" }],
  ["transport and address", { ...over(), address: "127.0.0.1" }],
  ["address and socketPath", { address: "127.0.0.1", socketPath: "/x" }],
  ["transport and source_address", { ...over(), source_address: ["127.0.0.1", 0] }],
  ["socketPath and source_address", { socketPath: "/x", source_address: ["127.0.0.1", 0] }],
  ["a certificate without a key", { context: { cert: CLIENT.cert } }],
  ["a key without a certificate", { context: { key: CLIENT.key } }],
  ["a CA that is no certificate", { context: { caCerts: ["nonsense"] } }],
];

for (const [name, options] of NOT_TOGETHER) {
  Deno.test(`route: ${name} is refused at once`, () => {
    assertThrows(() => new HTTPSConnection("example.com", options), TypeError);
  });
}

Deno.test("route: a context without TLS is refused at once", () => {
  const options = { context: {} } as HTTPConnectionOptions;
  assertThrows(() => new HTTPConnection("example.com", options), TypeError);
});

/** Contexts that cannot be used; they must not be dropped in silence. */
const BAD_CONTEXTS: [string, TLSContext][] = [
  ["a key that is none", { cert: CLIENT.cert, key: "nonsense" }],
  ["a certificate that is none", { cert: "nonsense", key: CLIENT.key }],
  ["a key of another certificate", { cert: CLIENT.cert, key: LOCALHOST.key }],
];

for (const [name, context] of BAD_CONTEXTS) {
  Deno.test(`route: ${name} throws, and nothing is sent`, async () => {
    await using server = await startRawTls(answer);
    await assertRejects(async () => {
      using conn = new HTTPSConnection("localhost", server.port, {
        context: { ...context, caCerts: [CA] },
      });
      await get(conn);
    });
    assertEquals(server.requests, []);
  });
}

Deno.test("route: a connection that is made keeps its way until it ends", async () => {
  await using first = await startRaw(answer);
  await using second = await startRaw(answer);
  using conn = new HTTPConnection("127.0.0.1", first.port);
  assertEquals(await get(conn), "ok");
  conn.port = second.port;
  assertEquals(await get(conn), "ok");
  assertEquals([first.requests.length, second.requests.length], [2, 0]);
  conn.close();
  assertEquals(await get(conn), "ok");
  assertEquals([first.requests.length, second.requests.length], [2, 1]);
});
