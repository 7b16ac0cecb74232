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
import { getText } from "../helpers/exchanges.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { relayTo, tunnelTo } from "../helpers/relay.ts";
import { soon, thrown } from "../helpers/waiting.ts";
import { type Peer, type RawServer, type Script, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT, type KeyPair, LOCALHOST, UNKNOWN_ISSUER, WRONG_NAME } from "../tls/mod.ts";

/** A deadline that passes while a server is silent. */
const SHORT = 0.03;

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
        await startRaw(tunnelTo(port)),
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
        await startRaw(relayTo(port), { unix: true }),
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
    Deno.test(`${name} (${way.name})`, async () => {
      await using stack = new AsyncDisposableStack();
      await test(way, stack);
    });
  }
}

// Options of any connection

each("request() arrives, with Host as the caller gave it", async (way, stack) => {
  const { conn, server } = await reach(way, stack, answer, {});
  assertEquals(await soon(getText(conn)), "ok");
  assertStringIncludes(server.requests[0], `\r\nHost: localhost:${server.port}\r\n`);
});

each("timeout ends a wait for the head", async (way, stack) => {
  const { conn } = await reach(way, stack, async (peer) => void await peer.eof(), {
    timeout: SHORT,
  });
  await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut, "timeout");
});

for (const kind of ["head", "total"] as const) {
  each(`deadlines.${kind} ends a wait for the head`, async (way, stack) => {
    const options = { deadlines: { [kind]: SHORT } };
    const { conn } = await reach(way, stack, async (peer) => void await peer.eof(), options);
    await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut, `${kind} deadline`);
  });
}

each("deadlines.bodyIdle ends a wait for the body", async (way, stack) => {
  const options = { deadlines: { bodyIdle: SHORT } };
  const { conn } = await reach(way, stack, async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome");
    await peer.eof();
  }, options);
  await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut, "bodyIdle deadline");
});

each("onInformational is called for early hints", async (way, stack) => {
  const shown: number[] = [];
  const { conn } = await reach(way, stack, async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 103 Early Hints\r\n\r\n" + ok());
  }, { onInformational: (status) => shown.push(status) });
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals(shown, [103]);
});

each("trace shows the connection from its start to its end", async (way, stack) => {
  const types: TraceEvent["type"][] = [];
  const { conn } = await reach(way, stack, answer, { trace: ({ type }) => types.push(type) });
  assertEquals(await soon(getText(conn)), "ok");
  conn.close();
  assertEquals(types[0], "connectStart");
  assertEquals(types.includes("tunnelled"), way.name.includes("tunnel"));
  assertEquals(types.at(-1), "close");
});

each("maxLineBytes refuses a longer line", async (way, stack) => {
  const { conn } = await reach(way, stack, async (peer) => {
    await peer.readHead();
    await peer.send(ok("ok", `A: ${"x".repeat(100)}\r\n`));
  }, { maxLineBytes: 99 });
  await assertRejects(() => soon(getText(conn)), LineTooLong);
});

each("maxBodyBytes refuses a longer body", async (way, stack) => {
  const { conn } = await reach(way, stack, answer, { maxBodyBytes: 1 });
  await assertRejects(() => soon(getText(conn)), HTTPException);
});

each("blocksize is the size of the chunks that are sent", async (way, stack) => {
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

each("caCerts refuses a server whose CA is not among them", async (way, stack) => {
  const { conn } = await reach(way, stack, answer, {}, LOCALHOST);
  await assertRejects(() => soon(getText(conn)), Deno.errors.InvalidData, "not trusted");
});

each("caCerts accepts a server whose CA is among them", async (way, stack) => {
  const { conn } = await reach(way, stack, answer, { context: { caCerts: [CA] } }, LOCALHOST);
  assertEquals(await soon(getText(conn)), "ok");
});

each("connect() refuses a certificate for another name", async (way, stack) => {
  const { conn } = await reach(way, stack, answer, { context: { caCerts: [CA] } }, WRONG_NAME);
  await assertRejects(() => soon(getText(conn)), Deno.errors.InvalidData, "another name");
});

each("check_hostname accepts a certificate for another name when false", async (way, stack) => {
  const context = { caCerts: [CA], check_hostname: false };
  const { conn } = await reach(way, stack, answer, { context }, WRONG_NAME);
  assertEquals(await soon(getText(conn)), "ok");
});

each("check_hostname does not accept an unknown issuer when false", async (way, stack) => {
  const context = { caCerts: [CA], check_hostname: false };
  const { conn } = await reach(way, stack, answer, { context }, UNKNOWN_ISSUER);
  await assertRejects(() => soon(getText(conn)), Deno.errors.InvalidData, "not trusted");
});

each("verify_mode accepts any certificate when CERT_NONE", async (way, stack) => {
  const context = { verify_mode: "CERT_NONE" as const };
  const { conn } = await reach(way, stack, answer, { context }, UNKNOWN_ISSUER);
  assertEquals(await soon(getText(conn)), "ok");
});

each("server_hostname is the name that the certificate must have", async (way, stack) => {
  const context = { caCerts: [CA], server_hostname: "other.example.test" };
  const { conn } = await reach(way, stack, answer, { context }, WRONG_NAME);
  assertEquals(await soon(getText(conn)), "ok");
});

each("server_hostname refuses a certificate for the host", async (way, stack) => {
  const context = { caCerts: [CA], server_hostname: "other.example.test" };
  const { conn } = await reach(way, stack, answer, { context }, LOCALHOST);
  await assertRejects(() => soon(getText(conn)), Deno.errors.InvalidData, "another name");
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
  await thrown(getText(conn));
  return server.peers[0].text;
}

each("connect() sends the host by SNI", async (way, stack) => {
  assertStringIncludes(await helloOf(way, stack, { caCerts: [CA] }), "localhost");
});

each("server_hostname is sent by SNI", async (way, stack) => {
  const hello = await helloOf(way, stack, { server_hostname: "other.example.test" });
  assertStringIncludes(hello, "other.example.test");
  assert(!hello.includes("localhost"));
});

each("server_hostname is sent by SNI when there is a client certificate", async (way, stack) => {
  const hello = await helloOf(way, stack, { ...CLIENT, server_hostname: "other.example.test" });
  assertStringIncludes(hello, "other.example.test");
});

each("connect() offers http/1.1 by ALPN", async (way, stack) => {
  assertStringIncludes(await helloOf(way, stack, {}), "\x08http/1.1");
});

each("alpnProtocols are offered by ALPN", async (way, stack) => {
  const hello = await helloOf(way, stack, { alpnProtocols: ["x-one", "x-two"] });
  assertStringIncludes(hello, "\x05x-one\x05x-two");
  assert(!hello.includes("http/1.1"));
});

each("alpnProtocols are offered by ALPN when there is a client certificate", async (way, stack) => {
  const hello = await helloOf(way, stack, { ...CLIENT, alpnProtocols: ["x-one"] });
  assertStringIncludes(hello, "\x05x-one");
});

each("deadlines.tls ends a handshake", async (way, stack) => {
  const server = stack.use(await startRaw(async (peer) => void await peer.eof()));
  const connect = await way.open(server.port, stack);
  const conn = stack.use(connect(true, { deadlines: { tls: SHORT } }));
  await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut, "tls deadline");
});

// source_address

Deno.test("source_address is where the connection comes from", async () => {
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("127.0.0.1", server.port, { source_address: ["127.0.0.5", 0] });
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals(server.peers[0].remote?.hostname, "127.0.0.5");
});

Deno.test("source_address is where the connection comes from when it has a port", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("127.0.0.1", server.port, {
    source_address: ["127.0.0.6", port],
  });
  assertEquals(await soon(getText(conn)), "ok");
  const { hostname, port: from } = server.peers[0].remote!;
  assertEquals([hostname, from], ["127.0.0.6", port]);
});

Deno.test("source_address is where a TLS connection comes from", async () => {
  await using server = await startRawTls(answer);
  using conn = new HTTPSConnection("localhost", server.port, {
    address: "127.0.0.1",
    source_address: ["127.0.0.5", 0],
    context: { caCerts: [CA] },
  });
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals(server.peers[0].remote?.hostname, "127.0.0.5");
});

Deno.test("source_address is where the connection to a proxy comes from", async () => {
  await using server = await startRaw(answer);
  await using proxy = await startRaw(tunnelTo(server.port));
  using conn = new HTTPConnection("127.0.0.1", proxy.port, { source_address: ["127.0.0.5", 0] });
  conn.set_tunnel("localhost", server.port);
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals(proxy.peers[0].remote?.hostname, "127.0.0.5");
});

Deno.test("source_address is where the connection comes from when it is set later", async () => {
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("127.0.0.1", server.port);
  conn.source_address = ["127.0.0.5", 0];
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals(server.peers[0].remote?.hostname, "127.0.0.5");
});

for (
  const [name, options] of [
    ["own transport", over(new FakeTransport([], { answers: [ok()] }))],
    ["a unix socket", { socketPath: "/nowhere/at/all" }],
  ] satisfies [string, HTTPConnectionOptions][]
) {
  Deno.test(`source_address throws a TypeError at the next request when it is set beside ${name}`, async () => {
    using conn = new HTTPConnection("example.com", options);
    conn.source_address = ["127.0.0.5", 0];
    await assertRejects(() => soon(getText(conn)), TypeError);
  });
}

// address

Deno.test("address is where to connect to, and Host is the host", async () => {
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("example.com", server.port, { address: "127.0.0.1" });
  assertEquals(await soon(getText(conn)), "ok");
  assertStringIncludes(server.requests[0], `\r\nHost: example.com:${server.port}\r\n`);
});

Deno.test("address is where to connect to when it has a port", async () => {
  await using server = await startRaw(answer);
  using conn = new HTTPConnection("example.com", { address: `127.0.0.1:${server.port}` });
  assertEquals(await soon(getText(conn)), "ok");
  assertStringIncludes(server.requests[0], "\r\nHost: example.com\r\n");
});

for (const address of ["::1", "[::1]"]) {
  Deno.test(`address accepts ${address}`, async () => {
    await using server = await startRaw(answer, { hostname: "::1" });
    using conn = new HTTPConnection("example.com", server.port, { address });
    assertEquals(await soon(getText(conn)), "ok");
  });
}

Deno.test("address, server_hostname and Host are independent of each other", async () => {
  await using server = await startRawTls(answer, { pair: WRONG_NAME });
  using conn = new HTTPSConnection("example.com", server.port, {
    address: "127.0.0.1",
    context: { caCerts: [CA], server_hostname: "other.example.test" },
  });
  await conn.request("GET", "/", null, { Host: "third.example" });
  assertEquals(await (await conn.getresponse()).text(), "ok");
  assertStringIncludes(server.requests[0], "\r\nHost: third.example\r\n");
});

Deno.test("address is where the proxy is", async () => {
  await using server = await startRaw(answer);
  await using proxy = await startRaw(tunnelTo(server.port));
  using conn = new HTTPConnection("proxy.example", proxy.port, { address: "127.0.0.1" });
  conn.set_tunnel("origin.example", 80);
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals(
    proxy.requests[0],
    "CONNECT origin.example:80 HTTP/1.1\r\nHost: origin.example:80\r\n\r\n",
  );
  assertStringIncludes(server.requests[0], "\r\nHost: origin.example\r\n");
});

// socketPath

Deno.test("socketPath reaches a unix socket, and Host is the host", async () => {
  await using server = await startRaw(answer, { unix: true });
  using conn = new HTTPConnection("docker.example", { socketPath: server.path });
  assertEquals(await soon(getText(conn)), "ok");
  assertStringIncludes(server.requests[0], "\r\nHost: docker.example\r\n");
});

Deno.test("set_tunnel() makes a tunnel over a unix socket", async () => {
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
    await answer(peer);
  }, { unix: true });
  using conn = new HTTPConnection("proxy.example", { socketPath: proxy.path });
  conn.set_tunnel("origin.example", 81);
  assertEquals(await soon(getText(conn)), "ok");
  assertStringIncludes(proxy.requests[0], "CONNECT origin.example:81 ");
  assertStringIncludes(proxy.requests[1], "\r\nHost: origin.example:81\r\n");
});

// TLS in TLS

Deno.test("set_tunnel() reaches an HTTPS server through an HTTPS proxy", async () => {
  await using server = await startRawTls(answer);
  await using proxy = await startRawTls(tunnelTo(server.port));
  const { port } = proxy;
  using conn = new HTTPSConnection("proxy.example", port, {
    transport: () => Deno.connectTls({ hostname: "localhost", port, caCerts: [CA] }),
    context: { caCerts: [CA] },
  });
  conn.set_tunnel("localhost", server.port);
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals(server.accepted, 1);
});

Deno.test("set_tunnel() checks the server's certificate through an HTTPS proxy", async () => {
  await using server = await startRawTls(answer, { pair: WRONG_NAME });
  await using proxy = await startRawTls(tunnelTo(server.port));
  const { port } = proxy;
  using conn = new HTTPSConnection("proxy.example", port, {
    transport: () => Deno.connectTls({ hostname: "localhost", port, caCerts: [CA] }),
    context: { caCerts: [CA] },
  });
  conn.set_tunnel("localhost", server.port);
  await assertRejects(() => soon(getText(conn)), Deno.errors.InvalidData, "another name");
});

Deno.test("request() and read() carry large bodies through an HTTPS proxy", async () => {
  const size = 300_000;
  await using server = await startRawTls(async (peer) => {
    const { body } = await peer.readRequest();
    await peer.send(ok("x".repeat(body.length)));
    await peer.eof();
  });
  await using proxy = await startRawTls(tunnelTo(server.port));
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
  Deno.test(`HTTPSConnection() throws a TypeError when given ${name}`, () => {
    assertThrows(() => new HTTPSConnection("example.com", options), TypeError);
  });
}

Deno.test("HTTPConnection() throws a TypeError when given a context", () => {
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
  Deno.test(`connect() throws and sends nothing when the context has ${name}`, async () => {
    await using server = await startRawTls(answer);
    await assertRejects(async () => {
      using conn = new HTTPSConnection("localhost", server.port, {
        context: { ...context, caCerts: [CA] },
      });
      await soon(getText(conn));
    });
    assertEquals(server.requests, []);
  });
}

Deno.test("port takes effect with the next connection when it is set", async () => {
  await using first = await startRaw(answer);
  await using second = await startRaw(answer);
  using conn = new HTTPConnection("127.0.0.1", first.port);
  assertEquals(await soon(getText(conn)), "ok");
  conn.port = second.port;
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals([first.requests.length, second.requests.length], [2, 0]);
  conn.close();
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals([first.requests.length, second.requests.length], [2, 1]);
});
