/**
 * TLS and tunnels to it. Each way of doing TLS is tried: Deno's own sockets, Node's (which are used with
 * a source address), and TLS over a transport of the caller's.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { createPrivateKey } from "node:crypto";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import {
  HTTPConnection,
  HTTPException,
  type HTTPResponse,
  HTTPSConnection,
  type HTTPSConnectionOptions,
  IncompleteRead,
  ProtocolError,
  type TLSContext,
  type TraceEvent,
  TunnelError,
} from "../../mod.ts";
import { getText, postText } from "../helpers/exchanges.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { relay, tunnelTo } from "../helpers/relay.ts";
import { hasIPv6 } from "../helpers/sockets.ts";
import { delay } from "../servers/child.ts";
import { messages } from "../servers/data.ts";
import { type Peer, startRaw } from "../servers/raw.ts";
import { type RawTlsOptions, startRawTls } from "../servers/raw_tls.ts";
import {
  CA,
  CLIENT,
  EXPIRED,
  type KeyPair,
  LOCALHOST,
  UNKNOWN_CA,
  UNKNOWN_CLIENT,
  UNKNOWN_ISSUER,
  WRONG_NAME,
} from "../tls/mod.ts";

const TRUST: TLSContext = { caCerts: [CA] };

/** The ways of doing TLS, by the options that lead to them, and whether a missing `close_notify` shows. */
const WAYS: [way: string, options: (port: number) => HTTPSConnectionOptions, tells: boolean][] = [
  ["Deno's TLS", () => ({}), true],
  ["Node's TLS", () => ({ source_address: ["127.0.0.5", 0] }), false],
  ["TLS over a transport", (port) => ({ transport: () => Deno.connect({ port }) }), false],
];

/** Declares a test for each way of doing TLS. */
function each(
  name: string,
  fn: (options: (port: number) => HTTPSConnectionOptions) => Promise<void>,
): void {
  for (const [way, options] of WAYS) Deno.test(`${name} (${way})`, () => fn(options));
}

/** Answers requests as long as they come. */
async function serve(peer: Peer): Promise<void> {
  for (;;) {
    const { target } = await peer.readRequest();
    await peer.send(ok(`connection ${peer.index}${target}`));
  }
}

/** What a TLS server saw of a client. */
interface Seen {
  name: string | undefined;
  alpn: string | undefined;
  /** The common name of the client's certificate. */
  client: string | undefined;
}

/** A server of Node's, which can ask for a client certificate and tells what it saw. */
async function startNodeTls(options: tls.TlsOptions = {}, pair: KeyPair = LOCALHOST) {
  const seen: Seen[] = [];
  const closed: Promise<void>[] = [];
  const server = tls.createServer({ ...pair, ...options }, (socket) => {
    const { alpnProtocol, servername } = socket as unknown as {
      alpnProtocol: string | false | null;
      servername: string | false | null;
    };
    const subject = socket.getPeerCertificate?.()?.subject as { CN?: string } | undefined;
    seen.push({
      name: servername || undefined,
      alpn: alpnProtocol || undefined,
      client: subject?.CN,
    });
    closed.push(new Promise((resolve) => socket.on("close", () => resolve())));
    socket.on("error", () => {});
    socket.on("data", () => void socket.end(ok("node", "Connection: close\r\n")));
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    async [Symbol.asyncDispose](): Promise<void> {
      const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all(closed);
      await stopped;
    },
  };
}

// It works

each("request() works over TLS when the caller trusts the server's CA", async (options) => {
  await using server = await startRawTls(serve);
  using conn = new HTTPSConnection("localhost", server.port, {
    context: TRUST,
    ...options(server.port),
  });
  assertEquals(await getText(conn), "connection 0/");
  assertStringIncludes(server.requests[0], `\r\nHost: localhost:${server.port}\r\n`);
});

each("request() works over TLS when the host is an address", async (options) => {
  await using server = await startRawTls(serve);
  using conn = new HTTPSConnection("127.0.0.1", server.port, {
    context: TRUST,
    ...options(server.port),
  });
  assertEquals(await getText(conn), "connection 0/");
});

Deno.test({
  name: "request() works over TLS when the host is an IPv6 address",
  ignore: !hasIPv6,
  fn: async () => {
    await using server = await startRawTls(serve, { hostname: "::1" });
    using conn = new HTTPSConnection(`[::1]:${server.port}`, { context: TRUST });
    assertEquals(await getText(conn), "connection 0/");
    assertStringIncludes(server.requests[0], `\r\nHost: [::1]:${server.port}\r\n`);
  },
});

Deno.test("request() leaves port 443 out of Host, not port 80", async () => {
  for (const [port, host] of [[443, "example.com"], [80, "example.com:80"]] as const) {
    const conn = new HTTPSConnection("example.com", port);
    const plain = new FakeTransport();
    conn.sock = plain;
    await conn.request("GET", "/");
    assertStringIncludes(plain.sent, `\r\nHost: ${host}\r\n`);
    conn.close();
  }
});

each("request() uses one handshake for many requests", async (options) => {
  await using server = await startRawTls(serve);
  using conn = new HTTPSConnection("localhost", server.port, {
    context: TRUST,
    ...options(server.port),
  });
  for (let i = 0; i < 5; i++) assertEquals(await postText(conn, "a"), "connection 0/");
  assertEquals(server.accepted, 1);
});

each(
  "request() sends a POST in one piece on a fresh and on a reused connection",
  async (options) => {
    const counts: number[] = [];
    await using server = await startRawTls(async (peer) => {
      for (;;) {
        const before = peer.reads.length;
        await peer.readRequest();
        counts.push(peer.reads.length - before);
        await peer.send(ok());
      }
    });
    using conn = new HTTPSConnection("localhost", server.port, {
      context: TRUST,
      ...options(server.port),
    });
    for (let i = 0; i < 3; i++) await postText(conn, "a small body");
    assertEquals(counts, [1, 1, 1]);
  },
);

each(
  "request() replaces a connection that the server closed while it was idle",
  async (options) => {
    await using server = await startRawTls(async (peer) => {
      await peer.readRequest();
      await peer.send(ok(`connection ${peer.index}`));
    });
    using conn = new HTTPSConnection("localhost", server.port, {
      context: TRUST,
      ...options(server.port),
    });
    assertEquals(await postText(conn, "a"), "connection 0");
    await server.idle();
    assertEquals(await postText(conn, "a"), "connection 1");
    assertEquals(server.requests.length, 2);
  },
);

Deno.test("source_address is what the server sees", async () => {
  await using server = await startRawTls(serve);
  using conn = new HTTPSConnection("localhost", server.port, {
    context: TRUST,
    source_address: ["127.0.0.5", 0],
  });
  await getText(conn);
  assertEquals(server.peers[0].remote?.hostname, "127.0.0.5");
});

each("request() and text() carry a large body", async (options) => {
  await using server = await startRawTls(async (peer) => {
    const { body } = await peer.readRequest();
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`, body);
    await peer.eof();
  });
  using conn = new HTTPSConnection("localhost", server.port, {
    context: TRUST,
    ...options(server.port),
  });
  const body = "0123456789abcdef".repeat(1 << 14);
  assertEquals(await postText(conn, body) === body, true);
});

// What is refused

interface Refusal {
  title: string;
  server: RawTlsOptions;
  context: TLSContext;
  says: RegExp;
}

const REFUSALS: Refusal[] = [
  { title: "no CA of the caller's", server: {}, context: {}, says: /issuer is not trusted/ },
  {
    title: "another CA than the server's",
    server: {},
    context: { caCerts: [UNKNOWN_CA] },
    says: /issuer is not trusted/,
  },
  {
    title: "a server of an unknown CA",
    server: { pair: UNKNOWN_ISSUER },
    context: TRUST,
    says: /issuer is not trusted/,
  },
  {
    title: "a certificate for another name",
    server: { pair: WRONG_NAME },
    context: TRUST,
    says: /another name/,
  },
  {
    title: "an expired certificate",
    server: { pair: EXPIRED },
    context: TRUST,
    // Node's TLS does not say what is wrong with it.
    says: /has expired|not trusted/,
  },
  {
    title: "another server_hostname than the certificate's",
    server: {},
    context: { ...TRUST, server_hostname: "other.example.test" },
    says: /another name/,
  },
  {
    title: "an unknown CA and check_hostname is false",
    server: { pair: UNKNOWN_ISSUER },
    context: { ...TRUST, check_hostname: false },
    says: /issuer is not trusted/,
  },
];

for (const { title, server: options, context, says } of REFUSALS) {
  each(`request() throws InvalidData when there is ${title}`, async (way) => {
    await using server = await startRawTls(serve, options);
    using conn = new HTTPSConnection("localhost", server.port, { context, ...way(server.port) });
    const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
    assertMatch(error.message, says);
    assertStringIncludes(error.message, context.server_hostname ?? "localhost");
    assertInstanceOf(error.cause, Error);
    assertEquals([conn.sock, server.requests], [null, []]);
  });
}

Deno.test("connect() says that a certificate has expired", async () => {
  await using server = await startRawTls(serve, { pair: EXPIRED });
  using conn = new HTTPSConnection("localhost", server.port, { context: TRUST });
  await assertRejects(() => conn.connect(), Deno.errors.InvalidData, "has expired");
});

each("request() says that the server speaks no TLS when it speaks plain HTTP", async (options) => {
  await using server = await startRaw(async (peer) => {
    await peer.read();
    await peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    await peer.eof();
  });
  using conn = new HTTPSConnection("localhost", server.port, {
    context: TRUST,
    ...options(server.port),
  });
  const error = await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
  assertStringIncludes(error.message, "does not speak TLS");
  assertInstanceOf(error.cause, Error);
});

each(
  "request() throws when the server closes within the handshake, and the next one works",
  async (o) => {
    await using plain = await startRaw(async (peer) => void await peer.read());
    await using server = await startRawTls(serve);
    using conn = new HTTPSConnection("localhost", plain.port, { context: TRUST, ...o(plain.port) });
    const error = await assertRejects(() => conn.request("GET", "/"), Error);
    assert(!(error instanceof Deno.errors.InvalidData), messages(error));
    assertEquals(conn.sock, null);
    using next = new HTTPSConnection("localhost", server.port, {
      context: TRUST,
      ...o(server.port),
    });
    assertEquals(await getText(next), "connection 0/");
  },
);

Deno.test("request() connects again after a refusal, and is refused again", async () => {
  await using server = await startRawTls(serve, { pair: WRONG_NAME });
  using conn = new HTTPSConnection("localhost", server.port, { context: TRUST });
  await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
  await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData);
  assertEquals(server.accepted, 2);
});

Deno.test("request() throws when plain HTTP is sent to a TLS port", async () => {
  await using server = await startRawTls(serve);
  using conn = new HTTPConnection("localhost", server.port);
  await assertRejects(() => getText(conn), Error);
  assertEquals(conn.sock, null);
});

// Switched off on purpose

each("check_hostname accepts a certificate for another name when false", async (options) => {
  await using server = await startRawTls(serve, { pair: WRONG_NAME });
  using conn = new HTTPSConnection("localhost", server.port, {
    context: { ...TRUST, check_hostname: false },
    ...options(server.port),
  });
  assertEquals(await getText(conn), "connection 0/");
});

for (
  const [title, pair] of [
    ["of an unknown CA", UNKNOWN_ISSUER],
    ["that expired", EXPIRED],
    ["for another name", WRONG_NAME],
  ] as [string, KeyPair][]
) {
  each(`verify_mode accepts a certificate ${title} when CERT_NONE`, async (options) => {
    await using server = await startRawTls(serve, { pair });
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { verify_mode: "CERT_NONE" },
      ...options(server.port),
    });
    assertEquals(await getText(conn), "connection 0/");
  });
}

// Names and protocols

each("connect() sends the host by SNI, and offers http/1.1", async (options) => {
  await using server = await startNodeTls({ ALPNProtocols: ["h2", "http/1.1"] });
  using conn = new HTTPSConnection("localhost", server.port, {
    context: TRUST,
    ...options(server.port),
  });
  assertEquals(await getText(conn), "node");
  assertEquals(server.seen, [{ name: "localhost", alpn: "http/1.1", client: undefined }]);
});

for (const [picked, told] of [["http/1.1", "http/1.1"], [undefined, null]] as const) {
  each(`trace tells what was agreed by ALPN when that is ${told}`, async (options) => {
    await using server = await startNodeTls(
      picked === undefined ? {} : { ALPNProtocols: ["h2", picked] },
    );
    const events: TraceEvent[] = [];
    using conn = new HTTPSConnection("localhost", server.port, {
      context: TRUST,
      ...options(server.port),
      trace: (event) => events.push(event),
    });
    assertEquals(await getText(conn), "node");
    const secured = events.find((event) => event.type === "secured");
    assertEquals(secured?.alpnProtocol, told);
    assertEquals(server.seen[0].alpn, picked);
  });
}

for (const picked of ["h2", "own"]) {
  each(`connect() throws InvalidData when the server picks ${picked} by ALPN`, async (options) => {
    await using server = await startRawTls(serve, { alpnProtocols: [picked] });
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { ...TRUST, alpnProtocols: [picked, "http/1.1"] },
      ...options(server.port),
    });
    await assertRejects(
      () => conn.connect(),
      Deno.errors.InvalidData,
      `Cannot establish TLS with localhost:${server.port}: the server picked "${picked}" by ALPN`,
    );
    await server.idle();
  });
}

each("connect() sends no SNI when the host is an address", async (options) => {
  await using server = await startNodeTls();
  using conn = new HTTPSConnection("127.0.0.1", server.port, {
    context: TRUST,
    ...options(server.port),
  });
  assertEquals(await getText(conn), "node");
  assertEquals(server.seen[0].name, undefined);
});

each("server_hostname is sent and checked instead of the host", async (options) => {
  await using server = await startNodeTls({}, WRONG_NAME);
  using conn = new HTTPSConnection("127.0.0.1", server.port, {
    context: { ...TRUST, server_hostname: "other.example.test" },
    ...options(server.port),
  });
  assertEquals(await getText(conn), "node");
  assertEquals(server.seen[0].name, "other.example.test");
});

Deno.test("server_hostname does not change Host", async () => {
  await using server = await startRawTls(serve, { pair: WRONG_NAME });
  using conn = new HTTPSConnection("127.0.0.1", server.port, {
    context: { ...TRUST, server_hostname: "other.example.test" },
  });
  await getText(conn);
  assertStringIncludes(server.requests[0], `\r\nHost: 127.0.0.1:${server.port}\r\n`);
});

Deno.test("address leaves the host as the server's name", async () => {
  await using server = await startNodeTls({}, WRONG_NAME);
  using conn = new HTTPSConnection("other.example.test", server.port, {
    address: "127.0.0.1",
    context: TRUST,
  });
  assertEquals(await getText(conn), "node");
  assertEquals(server.seen[0].name, "other.example.test");
});

for (const source of [null, ["127.0.0.5", 0]] as ([string, number] | null)[]) {
  Deno.test(`connect() sends a host outside of US-ASCII in its ASCII form, source_address ${source}`, async () => {
    await using server = await startNodeTls();
    using conn = new HTTPSConnection("b\xfccher.example", server.port, {
      address: "127.0.0.1",
      source_address: source,
      context: { ...TRUST, check_hostname: false },
    });
    assertEquals(await getText(conn), "node");
    assertEquals(server.seen[0].name, "xn--bcher-kva.example");
  });
}

// Client certificates

const ASKS: tls.TlsOptions = { ca: CA, requestCert: true };

each("connect() shows a client certificate when it is asked for one", async (options) => {
  await using server = await startNodeTls(ASKS);
  using conn = new HTTPSConnection("localhost", server.port, {
    context: { ...TRUST, ...CLIENT },
    ...options(server.port),
  });
  assertEquals(await getText(conn), "node");
  assertEquals(server.seen, [
    { name: "localhost", alpn: undefined, client: "http-client test client" },
  ]);
});

Deno.test("connect() shows a client certificate together with server_hostname and ALPN", async () => {
  await using server = await startNodeTls({ ...ASKS, ALPNProtocols: ["http/1.1"] }, WRONG_NAME);
  using conn = new HTTPSConnection("127.0.0.1", server.port, {
    context: { ...TRUST, ...CLIENT, server_hostname: "other.example.test" },
  });
  assertEquals(await getText(conn), "node");
  assertEquals(server.seen, [
    { name: "other.example.test", alpn: "http/1.1", client: "http-client test client" },
  ]);
});

Deno.test("connect() refuses an unknown issuer when there is a client certificate", async () => {
  await using server = await startNodeTls(ASKS, UNKNOWN_ISSUER);
  using conn = new HTTPSConnection("localhost", server.port, {
    context: { ...TRUST, ...CLIENT },
  });
  await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData, "not trusted");
});

for (const [title, context] of [["no", {}], ["an unknown", UNKNOWN_CLIENT]] as const) {
  Deno.test(`request() throws when the server wants a client certificate and gets ${title} one`, async () => {
    await using server = await startNodeTls({ ...ASKS, rejectUnauthorized: true });
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { ...TRUST, ...context },
      timeout: 10,
    });
    const error = await assertRejects(() => getText(conn), Error);
    assertEquals(error instanceof Deno.errors.TimedOut, false);
    assertEquals(conn.sock, null);
  });
}

const pem = (base64: string) =>
  `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;

const BAD_CONTEXTS: [title: string, context: TLSContext][] = [
  ["a certificate without its key", { cert: CLIENT.cert }],
  ["a key without its certificate", { key: CLIENT.key }],
  ["a CA that is no PEM", { caCerts: ["garbage"] }],
  ["a CA that is cut off", { caCerts: [CA.slice(0, 200) + "\n-----END CERTIFICATE-----\n"] }],
  ["a CA that is no base64", { caCerts: [pem("!!!!")] }],
  ["a CA that is no DER", { caCerts: [pem("AAAA")] }],
  ["a CA that is nothing", { caCerts: [pem("")] }],
  ["a CA of two of which one cannot be read", { caCerts: [CA + pem("AAAA")] }],
];

for (const [title, context] of BAD_CONTEXTS) {
  Deno.test(`HTTPSConnection() throws a TypeError when the context has ${title}`, () => {
    assertThrows(() => new HTTPSConnection("localhost", { context }), TypeError);
  });
}

for (
  const [title, pair] of [
    ["that is no PEM", { cert: CLIENT.cert, key: "garbage" }],
    ["of another certificate", { cert: CLIENT.cert, key: LOCALHOST.key }],
  ] as const
) {
  Deno.test(`connect() throws and leaves nothing when the client's key is one ${title}`, async () => {
    await using server = await startNodeTls(ASKS);
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { ...TRUST, ...pair },
      timeout: 10,
    });
    const error = await assertRejects(() => conn.connect(), Error);
    assertEquals(error instanceof Deno.errors.TimedOut, false);
    assertEquals([conn.sock, server.seen], [null, []]);
  });
}

Deno.test("connect() shows the certificate of a client whose key is encrypted", async () => {
  await using server = await startNodeTls(ASKS);
  const key = createPrivateKey(CLIENT.key)
    .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" });
  using conn = new HTTPSConnection("localhost", server.port, {
    context: { ...TRUST, cert: CLIENT.cert, key: key as string, password: "secret" },
  });
  assertEquals(await getText(conn), "node");
  assertEquals(server.seen[0].client, "http-client test client");
});

Deno.test("connect() says why the client's key cannot be used, and leaves nothing", async () => {
  await using server = await startNodeTls(ASKS);
  using conn = new HTTPSConnection("localhost", server.port, {
    context: { ...TRUST, cert: CLIENT.cert, key: LOCALHOST.key },
  });
  await assertRejects(
    () => conn.connect(),
    Deno.errors.InvalidData,
    `Cannot establish TLS with localhost:${server.port}: the key of the context is not that of its cert`,
  );
  assertEquals(conn.sock, null);
});

each(
  "connect() throws InvalidData when a CA is none, though it looks like one",
  async (options) => {
    await using server = await startNodeTls();
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { caCerts: [pem("MAA="), CA] },
      ...options(server.port),
    });
    await assertRejects(
      () => conn.connect(),
      Deno.errors.InvalidData,
      "a certificate of caCerts cannot be read",
    );
  },
);

// The end of a body

/** A TLS server whose answer is cut off in the middle: TCP ends without `close_notify`. */
async function startRagged(answer: string) {
  const cut = Promise.withResolvers<void>();
  const server = await startRawTls(async (peer) => {
    await peer.readHead();
    await peer.send(answer);
    await peer.eof();
  });
  const cutter = await startRaw(async (peer) => {
    await Promise.race([relay(peer, server.port), cut.promise]);
  });
  return {
    port: cutter.port,
    cut: cut.resolve,
    async [Symbol.asyncDispose](): Promise<void> {
      await cutter[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The first half of the body of such an answer; its other half is read after the cut. */
async function beginRagged(conn: HTTPSConnection, cut: () => void): Promise<HTTPResponse> {
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals((await response.read(2)).length, 2);
  cut();
  return response;
}

const UNTIL_CLOSE = "HTTP/1.1 200 OK\r\n\r\nbody";

for (const [way, options, tells] of WAYS) {
  if (tells) {
    Deno.test(`read() throws IncompleteRead when a body until close ends without close_notify (${way})`, async () => {
      await using server = await startRagged(UNTIL_CLOSE);
      using conn = new HTTPSConnection("localhost", server.port, {
        context: TRUST,
        ...options(server.port),
      });
      const response = await beginRagged(conn, server.cut);
      const error = await assertRejects(() => response.read(), IncompleteRead);
      assertEquals(new TextDecoder().decode(error.partial), "dy");
    });

    Deno.test(`read(n) gives what came before an end without close_notify, and the next call throws (${way})`, async () => {
      await using server = await startRagged(UNTIL_CLOSE);
      using conn = new HTTPSConnection("localhost", server.port, {
        context: TRUST,
        ...options(server.port),
      });
      const response = await beginRagged(conn, server.cut);
      assertEquals(new TextDecoder().decode(await response.read(100)), "dy");
      await assertRejects(() => response.read(100), IncompleteRead);
    });
  } else {
    Deno.test(`read() gives a body that ends without close_notify as whole (${way})`, async () => {
      await using server = await startRagged(UNTIL_CLOSE);
      using conn = new HTTPSConnection("localhost", server.port, {
        context: TRUST,
        ...options(server.port),
      });
      const response = await beginRagged(conn, server.cut);
      assertEquals(new TextDecoder().decode(await response.read()), "dy");
    });
  }

  Deno.test(`read() gives a body that ends without close_notify when suppress_ragged_eofs is set (${way})`, async () => {
    await using server = await startRagged(UNTIL_CLOSE);
    const given = options(server.port);
    using conn = new HTTPSConnection("localhost", server.port, {
      ...given,
      context: { ...TRUST, ...given.context, suppress_ragged_eofs: true },
    });
    const response = await beginRagged(conn, server.cut);
    assertEquals(new TextDecoder().decode(await response.read()), "dy");
  });
}

each(
  "read() throws IncompleteRead when a body with a length ends without close_notify",
  async (options) => {
    await using server = await startRagged("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nbody");
    using conn = new HTTPSConnection("localhost", server.port, {
      context: TRUST,
      ...options(server.port),
    });
    const response = await beginRagged(conn, server.cut);
    const error = await assertRejects(() => response.read(), IncompleteRead);
    assertEquals(new TextDecoder().decode(error.partial), "dy");
  },
);

each("text() gives a body until close that ends with close_notify", async (options) => {
  await using server = await startRawTls(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\n\r\nbody");
  });
  using conn = new HTTPSConnection("localhost", server.port, {
    context: TRUST,
    ...options(server.port),
  });
  assertEquals(await getText(conn), "body");
});

// close()

each("close() ends a handshake and leaves nothing", async (options) => {
  const greeted = Promise.withResolvers<void>();
  await using silent = await startRaw(async (peer) => {
    await peer.read();
    greeted.resolve();
    await peer.eof();
  });
  using conn = new HTTPSConnection("localhost", silent.port, {
    context: TRUST,
    ...options(silent.port),
  });
  const connecting = conn.connect();
  connecting.catch(() => {});
  await greeted.promise;
  conn.close();
  await assertRejects(() => connecting, Deno.errors.Interrupted);
  // Deno 2.9 keeps a TCP socket in a handshake that was cut off until the server ends it.
  if (conn.source_address !== null) await silent.idle();
});

each("close() ends a read of the body and leaves nothing", async (options) => {
  await using server = await startRawTls(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nbody");
    await peer.eof();
  });
  using conn = new HTTPSConnection("localhost", server.port, {
    context: TRUST,
    ...options(server.port),
  });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await response.read(4);
  const reading = response.read();
  conn.close();
  await assertRejects(() => reading, Deno.errors.Interrupted);
});

// Tunnels

const PROXY_WAYS: [way: string, options: HTTPSConnectionOptions][] = [
  ["Deno's TLS", {}],
  ["Node's TLS", { source_address: ["127.0.0.5", 0] }],
];

for (const [way, options] of PROXY_WAYS) {
  Deno.test(`set_tunnel() reaches an HTTPS server for many requests (${way})`, async () => {
    await using server = await startRawTls(serve);
    await using proxy = await startRaw(tunnelTo(server.port));
    using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context: TRUST, ...options });
    conn.set_tunnel("localhost", 444);
    for (let i = 0; i < 3; i++) assertEquals(await getText(conn), "connection 0/");
    assertEquals([proxy.accepted, proxy.requests], [1, [
      "CONNECT localhost:444 HTTP/1.1\r\nHost: localhost:444\r\n\r\n",
    ]]);
    assertStringIncludes(server.requests[0], "\r\nHost: localhost:444\r\n");
  });

  Deno.test(`set_tunnel() makes the tunnel's host the server's name (${way})`, async () => {
    await using server = await startNodeTls({}, WRONG_NAME);
    await using proxy = await startRaw(tunnelTo(server.port));
    using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context: TRUST, ...options });
    conn.set_tunnel("other.example.test");
    assertEquals(await getText(conn), "node");
    assertEquals(server.seen[0].name, "other.example.test");
  });

  Deno.test(`set_tunnel() does not accept a certificate for the proxy's name (${way})`, async () => {
    await using server = await startRawTls(serve);
    await using proxy = await startRaw(tunnelTo(server.port));
    using conn = new HTTPSConnection("localhost", proxy.port, { context: TRUST, ...options });
    conn.set_tunnel("other.example.test");
    await assertRejects(() => conn.request("GET", "/"), Deno.errors.InvalidData, "another name");
  });

  Deno.test(`set_tunnel() checks server_hostname instead of the tunnel's host (${way})`, async () => {
    await using server = await startNodeTls({}, WRONG_NAME);
    await using proxy = await startRaw(tunnelTo(server.port));
    using conn = new HTTPSConnection("127.0.0.1", proxy.port, {
      context: { ...TRUST, server_hostname: "other.example.test" },
      ...options,
    });
    conn.set_tunnel("10.0.0.1", 443);
    assertEquals(await getText(conn), "node");
    assertEquals(server.seen[0].name, "other.example.test");
  });

  Deno.test(`set_tunnel() shows a client certificate through the tunnel (${way})`, async () => {
    await using server = await startNodeTls(ASKS);
    await using proxy = await startRaw(tunnelTo(server.port));
    using conn = new HTTPSConnection("127.0.0.1", proxy.port, {
      context: { ...TRUST, ...CLIENT },
      ...options,
    });
    conn.set_tunnel("localhost");
    assertEquals(await getText(conn), "node");
    assertEquals(server.seen[0].client, "http-client test client");
  });

  Deno.test(`request() throws a TunnelError before any TLS when the tunnel is refused (${way})`, async () => {
    const after: Promise<Uint8Array>[] = [];
    await using proxy = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 403 Forbidden\r\nX-Why: policy\r\nContent-Length: 0\r\n\r\n");
      after.push(peer.eof());
      await after[0];
    });
    using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context: TRUST, ...options });
    conn.set_tunnel("localhost");
    const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
    assertEquals([error.status, error.reason, error.headers.get("x-why")], [
      403,
      "Forbidden",
      "policy",
    ]);
    assertEquals([(await after[0]).length, conn.sock], [0, null]);
  });

  Deno.test(`request() throws a ProtocolError when the proxy sends bytes ahead of TLS (${way})`, async () => {
    await using proxy = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
      await peer.eof();
    });
    using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context: TRUST, ...options });
    conn.set_tunnel("localhost");
    await assertRejects(() => conn.request("GET", "/"), ProtocolError);
    assertEquals(conn.sock, null);
  });
}

Deno.test("set_tunnel() asks for port 443 by default", async () => {
  const transport = new FakeTransport(["HTTP/1.1 403 Forbidden\r\n\r\n"]);
  using conn = new HTTPSConnection("proxy", over(transport));
  conn.set_tunnel("origin");
  await assertRejects(() => conn.connect(), TunnelError);
  assertEquals(transport.writes, [
    "CONNECT origin:443 HTTP/1.1\r\nHost: origin:443\r\n\r\n",
  ]);
});

Deno.test("set_tunnel() leaves port 443 out of Host", async () => {
  await using server = await startRawTls(serve);
  await using proxy = await startRaw(tunnelTo(server.port));
  using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context: TRUST });
  conn.set_tunnel("localhost", 443, { "Proxy-Authorization": "Basic x" });
  await getText(conn);
  assertStringIncludes(proxy.requests[0], "\r\nProxy-Authorization: Basic x\r\n");
  assertStringIncludes(server.requests[0], "\r\nHost: localhost\r\n");
  assertEquals(server.requests[0].includes("Proxy-Authorization"), false);
});

Deno.test("get_proxy_response_headers() gives the fields after the tunnel was secured", async () => {
  await using server = await startRawTls(serve);
  await using proxy = await startRaw(
    tunnelTo(server.port, "HTTP/1.1 200 OK\r\nVia: proxy\r\n\r\n"),
  );
  using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context: TRUST });
  conn.set_tunnel("localhost");
  await getText(conn);
  assertEquals(conn.get_proxy_response_headers()?.items(), [["Via", "proxy"]]);
});

Deno.test("connect() throws an error of the socket's, not an HTTPException, when TLS fails", async () => {
  await using server = await startRawTls(serve, { pair: WRONG_NAME });
  using conn = new HTTPSConnection("localhost", server.port, { context: TRUST });
  const error = await assertRejects(() => conn.connect(), Error);
  assertEquals(error instanceof HTTPException, false);
});

// A platform that allows no plain connection to port 443, as Deno Deploy does

/**
 * Runs `use` where `Deno.connect` to port 443 fails with `refusal`, and where `Deno.connectTls` to it
 * leads to `port`; gives how often the latter was called.
 */
async function onPlatform(
  refusal: Error,
  port: number,
  use: () => Promise<void>,
): Promise<number> {
  const { connect, connectTls } = Deno;
  let calls = 0;
  Deno.connect =
    ((options: Deno.ConnectOptions) =>
      options.port === 443 ? Promise.reject(refusal) : connect(options)) as typeof Deno.connect;
  Deno.connectTls = (options) => {
    calls++;
    return connectTls({ ...options, port });
  };
  try {
    await use();
  } finally {
    Object.assign(Deno, { connect, connectTls });
  }
  return calls;
}

const REFUSAL = new Deno.errors.PermissionDenied("plain connections to port 443 are not allowed");

Deno.test("connect() does TLS in one step when port 443 allows TLS only", async () => {
  await using server = await startRawTls(serve);
  const calls = await onPlatform(REFUSAL, server.port, async () => {
    using conn = new HTTPSConnection("localhost", { context: TRUST });
    assertEquals([await getText(conn), await getText(conn)], [
      "connection 0/",
      "connection 0/",
    ]);
  });
  assertEquals(calls, 1);
});

for (const refusal of [REFUSAL, new Deno.errors.NotCapable("not this port")]) {
  Deno.test(`connect() shows a client certificate when port 443 allows TLS only: ${refusal.name}`, async () => {
    await using server = await startNodeTls(ASKS);
    const calls = await onPlatform(refusal, server.port, async () => {
      using conn = new HTTPSConnection("localhost", { context: { ...TRUST, ...CLIENT } });
      assertEquals(await getText(conn), "node");
    });
    assertEquals([calls, server.seen[0].client], [1, "http-client test client"]);
  });
}

Deno.test("connect() says why the client's key cannot be used when port 443 allows TLS only", async () => {
  const calls = await onPlatform(REFUSAL, 1, async () => {
    const context = { cert: CLIENT.cert, key: LOCALHOST.key };
    using conn = new HTTPSConnection("localhost", { context });
    await assertRejects(() => conn.connect(), Deno.errors.InvalidData, "is not that of its cert");
  });
  assertEquals(calls, 0);
});

Deno.test("close() ends a handshake when port 443 allows TLS only", async () => {
  const greeted = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await using silent = await startRaw(async (peer) => {
    await peer.read();
    greeted.resolve();
    await release.promise;
  });
  await onPlatform(REFUSAL, silent.port, async () => {
    using conn = new HTTPSConnection("localhost");
    const connecting = assertRejects(() => conn.connect(), Deno.errors.Interrupted);
    await greeted.promise;
    conn.close();
    await connecting;
  });
  release.resolve();
});

Deno.test("connect() throws InvalidData when the server picks h2 and port 443 allows TLS only", async () => {
  await using server = await startRawTls(serve, { alpnProtocols: ["h2"] });
  await onPlatform(REFUSAL, server.port, async () => {
    const context = { ...TRUST, alpnProtocols: ["h2", "http/1.1"] };
    using conn = new HTTPSConnection("localhost", { context });
    await assertRejects(() => conn.connect(), Deno.errors.InvalidData, 'picked "h2" by ALPN');
  });
});

Deno.test("connect() checks the certificate when port 443 allows TLS only", async () => {
  await using server = await startRawTls(serve, { pair: WRONG_NAME });
  await onPlatform(REFUSAL, server.port, async () => {
    using conn = new HTTPSConnection("localhost", { context: TRUST });
    await assertRejects(() => conn.connect(), Deno.errors.InvalidData, "another name");
  });
});

Deno.test("timeout of connecting ends with the handshake when port 443 allows TLS only", async () => {
  // Enough for a handshake on a busy machine.
  const timeout = 0.5;
  await using server = await startRawTls(serve);
  await onPlatform(REFUSAL, server.port, async () => {
    using conn = new HTTPSConnection("localhost", { context: TRUST, timeout });
    await conn.connect();
    await delay(timeout * 1000 + 50);
    assertEquals(await getText(conn), "connection 0/");
  });
});

Deno.test("connect() refuses another server_hostname when port 443 allows TLS only", async () => {
  await using server = await startRawTls(serve);
  const calls = await onPlatform(REFUSAL, server.port, async () => {
    const context = { ...TRUST, server_hostname: "other.example.test" };
    using conn = new HTTPSConnection("localhost", { context });
    await assertRejects(() => conn.connect(), TypeError, "server_hostname");
  });
  assertEquals(calls, 0);
});

Deno.test("check_hostname is heeded or refused when port 443 allows TLS only", async () => {
  await using server = await startRawTls(serve, { pair: WRONG_NAME });
  await onPlatform(REFUSAL, server.port, async () => {
    using conn = new HTTPSConnection("localhost", { context: { ...TRUST, check_hostname: false } });
    try {
      assertEquals(await getText(conn), "connection 0/");
    } catch (error) {
      assertInstanceOf(error, TypeError);
    }
  });
});

Deno.test("connect() refuses plain HTTP when port 443 allows TLS only", async () => {
  await using server = await startRawTls(serve);
  const calls = await onPlatform(REFUSAL, server.port, async () => {
    using conn = new HTTPConnection("localhost", 443);
    const error = await assertRejects(() => conn.connect(), Deno.errors.PermissionDenied);
    assertStrictEquals(error.cause, REFUSAL);
  });
  assertEquals(calls, 0);
});

Deno.test("connect() does not ask again when port 443 refuses the connection", async () => {
  const refused = new Deno.errors.ConnectionRefused("refused");
  const calls = await onPlatform(refused, 1, async () => {
    using conn = new HTTPSConnection("localhost", { context: TRUST });
    const error = await assertRejects(() => conn.connect(), Deno.errors.ConnectionRefused);
    assertStrictEquals(error.cause, refused);
  });
  assertEquals(calls, 0);
});

for (const trouble of [new TypeError("mine"), new Deno.errors.PermissionDenied("mine")]) {
  Deno.test(`connect() throws what transport() is rejected with when that is a ${trouble.name}`, async () => {
    const calls = await onPlatform(REFUSAL, 1, async () => {
      using conn = new HTTPSConnection("localhost", { transport: () => Promise.reject(trouble) });
      assertEquals(await assertRejects(() => conn.connect()), trouble);
    });
    assertEquals(calls, 0);
  });
}

Deno.test("connect() does not go another way when the source_address cannot be used", async () => {
  const calls = await onPlatform(REFUSAL, 1, async () => {
    using conn = new HTTPSConnection("127.0.0.1", { source_address: ["not an address", 0] });
    await assertRejects(() => conn.connect());
  });
  assertEquals(calls, 0);
});
