/**
 * How a transport is opened and secured: which runtime's sockets do it, what they are asked for, and what
 * is closed when it fails.
 *
 * @module
 */
import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  forbidden,
  needsNodeTls,
  open,
  openTls,
  ownTransport,
  secure,
} from "../../_internal/net/sockets.ts";
import type { TLSContext } from "../../_internal/net/tls.ts";
import type { Opened, Route, Transport } from "../../_internal/net/transport.ts";
import { FakeTransport } from "../helpers/fake_transport.ts";
import { onDeno } from "../helpers/on_deno.ts";
import { thrown } from "../helpers/waiting.ts";
import { bytes, latin1, type Peer, type RawServer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT, WRONG_NAME } from "../tls/mod.ts";

const SIGNAL = new AbortController().signal;
const TRUST: TLSContext = { caCerts: [CA] };

/** A route to a server; `changes` are put over it. */
function routeTo({ hostname, port }: { hostname: string; port: number }, changes = {}): Route {
  return { hostname, port, path: null, source: null, ...changes };
}

/** Sends back what comes. */
async function echo(peer: Peer): Promise<void> {
  for (let piece; (piece = await peer.read()) !== null;) await peer.send(piece);
}

/** Sends a text to a server that echoes, and reads it back. */
async function echoed(transport: Transport): Promise<string> {
  await transport.write(bytes("hello"));
  const target = new Uint8Array(10);
  return latin1(target.subarray(0, await transport.read(target) ?? 0));
}

/** Runs `use` with other functions of `Deno`. */
async function withDeno(changes: Partial<typeof Deno>, use: () => Promise<void>): Promise<void> {
  const before = Object.fromEntries(
    Object.keys(changes).map((key) => [key, Deno[key as keyof typeof Deno]]),
  );
  Object.assign(Deno, changes);
  try {
    await use();
  } finally {
    Object.assign(Deno, before);
  }
}

// ownTransport()

Deno.test("ownTransport() says that a transport of the user's may behave in any way", () => {
  const transport = new FakeTransport();
  assertEquals(ownTransport(transport), { transport, kind: "other", tcp: null });
});

Deno.test("ownTransport() knows a socket of Deno's own", async () => {
  await using server = await startRaw(echo);
  using conn = await Deno.connect({ hostname: server.hostname, port: server.port });
  const { transport, kind, tcp } = ownTransport(conn);
  assertStrictEquals(transport, conn);
  assertEquals([kind, tcp], ["deno", null]);
});

// open()

/** The kinds of routes, with what opens them. */
const ROUTES: [
  what: string,
  unix: boolean,
  route: (server: RawServer) => Route,
  kind: string,
  hasTcp: boolean,
][] = [
  ["Deno's TCP when nothing else is asked for", false, routeTo, "deno", true],
  [
    "Deno's unix sockets when there is a path",
    true,
    (server) => routeTo(server, { path: server.path }),
    "deno",
    false,
  ],
  [
    "Node's TCP when there is a source address",
    false,
    (server) => routeTo(server, { source: ["127.0.0.1", 0] }),
    "node",
    false,
  ],
  [
    "Deno's TCP when the source address leaves all to the system",
    false,
    (server) => routeTo(server, { source: ["", 0] }),
    "deno",
    true,
  ],
];

for (const [what, unix, route, expected, hasTcp] of ROUTES) {
  Deno.test(`open() uses ${what}`, async () => {
    await using server = await startRaw(echo, { unix });
    const { transport, kind, tcp } = await open(route(server), SIGNAL);
    assertEquals([kind, tcp === transport], [expected, hasTcp]);
    assertEquals(await echoed(transport), "hello");
    transport.close();
    await server.idle();
  });
}

Deno.test("open() switches Nagle's algorithm off", async () => {
  const calls: unknown[] = [];
  const conn = { setNoDelay: (on: boolean) => void calls.push(on) } as Deno.TcpConn;
  const connect = ((options: unknown) => {
    calls.push(options);
    return Promise.resolve(conn);
  }) as typeof Deno.connect;
  await withDeno({ connect }, async () => {
    const opened = await open(routeTo({ hostname: "a.example", port: 7 }), SIGNAL);
    assertEquals(opened, { transport: conn, tcp: conn, kind: "deno" });
  });
  assertEquals(calls, [{ hostname: "a.example", port: 7, signal: SIGNAL }, true]);
});

Deno.test("open() refuses a source address when Deno takes it and does not use it", async () => {
  await using server = await startRaw(echo);
  await onDeno("2.7.3", async () => {
    const error = await thrown(open(routeTo(server, { source: ["127.0.0.1", 0] }), SIGNAL));
    assertInstanceOf(error, Deno.errors.NotSupported);
    assertEquals(
      error.message,
      "source_address needs Deno 2.7.4 or later, and this is 2.7.3",
    );
  });
  assertEquals(server.accepted, 0);
});

Deno.test("open() throws what the platform throws", async () => {
  const reason = new Deno.errors.ConnectionRefused("mine");
  await withDeno({ connect: (): Promise<never> => Promise.reject(reason) }, async () => {
    const error = await assertRejects(() => open(routeTo({ hostname: "a", port: 7 }), SIGNAL));
    assertStrictEquals(error, reason);
  });
});

// needsNodeTls(), forbidden()

const CONTEXTS: [what: string, context: TLSContext, needed: boolean][] = [
  ["an empty context", {}, false],
  ["certificates to trust", TRUST, false],
  ["no check of the name", { check_hostname: false }, false],
  ["a client certificate", CLIENT, true],
  ["no verification", { verify_mode: "CERT_NONE" }, true],
  ["verification", { verify_mode: "CERT_REQUIRED" }, false],
  ["no default certificates", { load_default_certs: false }, true],
  ["the default certificates", { load_default_certs: true }, false],
];

for (const [what, context, needed] of CONTEXTS) {
  Deno.test(`needsNodeTls() is ${needed} when it is given ${what}`, () => {
    assertEquals(needsNodeTls(context), needed);
  });
}

const ERRORS: [error: unknown, is: boolean][] = [
  [new Deno.errors.PermissionDenied("x"), true],
  [new Deno.errors.NotSupported("x"), true],
  [new Deno.errors.NotCapable("x"), true],
  [new TypeError("x"), true],
  [new Deno.errors.ConnectionRefused("x"), false],
  [new Error("x"), false],
  [undefined, false],
];

for (const [error, is] of ERRORS) {
  Deno.test(`forbidden() is ${is} when the error is ${error}`, () => {
    assertEquals(forbidden(error), is);
  });
}

// secure()

/** A TCP connection that was opened to a server. */
async function openedTo(server: RawServer): Promise<Opened> {
  return await open(routeTo(server), SIGNAL);
}

Deno.test("secure() makes TLS over Deno's TCP", async () => {
  await using server = await startRawTls(echo);
  const begun: Transport[] = [];
  const opened = await secure(
    await openedTo(server),
    TRUST,
    "localhost",
    (transport) => begun.push(transport),
  );
  assertEquals([opened.kind, opened.tcp], ["deno", null]);
  assertStrictEquals(begun[0], opened.transport);
  assertEquals(await echoed(opened.transport), "hello");
  opened.transport.close();
  await server.idle();
});

for (
  const [what, context] of [
    ["a client certificate", { ...TRUST, ...CLIENT }],
    ["no verification", { verify_mode: "CERT_NONE" }],
  ] as [string, TLSContext][]
) {
  Deno.test(`secure() makes TLS by Node's when there is ${what}`, async () => {
    await using server = await startRawTls(echo);
    const { transport, kind, tcp } = await secure(
      await open(routeTo(server), SIGNAL),
      context,
      "localhost",
      () => {},
    );
    assertEquals([kind, tcp, await echoed(transport)], ["node", null, "hello"]);
    transport.close();
    await server.idle();
  });
}

Deno.test("secure() makes TLS by Node's when there is a client certificate over Deno's TCP", async () => {
  await using server = await startRawTls(echo);
  const opened = await openedTo(server);
  const { transport, kind } = await secure(opened, { ...TRUST, ...CLIENT }, "localhost", () => {});
  assertEquals([kind, await echoed(transport)], ["node", "hello"]);
  transport.close();
  await server.idle();
});

Deno.test("secure() makes TLS by Node's over a transport of the user's", async () => {
  await using server = await startRawTls(echo);
  const conn = await Deno.connect({ hostname: server.hostname, port: server.port });
  const { transport, kind, tcp } = await secure(
    ownTransport(conn),
    TRUST,
    "localhost",
    () => {},
  );
  assertEquals([kind, tcp, await echoed(transport)], ["node", null, "hello"]);
  transport.close();
  await server.idle();
});

/** A TCP connection in memory, and a TLS connection over it whose handshake is `handshake`. */
function fakeTls(handshake: () => Promise<unknown> = () => Promise.resolve({})) {
  const asked: unknown[] = [];
  const [tcp, tls] = [new FakeTransport(), Object.assign(new FakeTransport(), { handshake })];
  const startTls = ((conn: unknown, options: unknown) => {
    asked.push(conn === tcp, options);
    return Promise.resolve(tls);
  }) as unknown as typeof Deno.startTls;
  const opened: Opened = { transport: tcp, kind: "deno", tcp: tcp as unknown as Deno.TcpConn };
  return { asked, tcp, tls, startTls, opened };
}

for (
  const [what, context] of [
    ["a client certificate", { ...TRUST, ...CLIENT }],
    ["no verification", { verify_mode: "CERT_NONE" }],
    ["nothing but caCerts", { ...TRUST, load_default_certs: false }],
  ] as [string, TLSContext][]
) {
  Deno.test(`secure() refuses ${what} and closes when Deno's node:tls cannot do it`, async () => {
    const transport = new FakeTransport();
    const opened: Opened = { transport, tcp: null, kind: "deno" };
    await onDeno("2.7.12", async () => {
      const error = await thrown(secure(opened, context, "localhost", () => {}));
      assertInstanceOf(error, Deno.errors.NotSupported);
      assertStringIncludes(error.message, "needs Deno 2.7.13 or later, and this is 2.7.12");
    });
    assertEquals(transport.closes, 1);
  });
}

Deno.test("secure() refuses load_default_certs and closes when Deno would trust them all the same", async () => {
  const transport = new FakeTransport();
  const opened: Opened = { transport, tcp: null, kind: "deno" };
  await onDeno("2.7.14", async () => {
    const context = { ...TRUST, load_default_certs: false };
    const error = await thrown(secure(opened, context, "localhost", () => {}));
    assertInstanceOf(error, Deno.errors.NotSupported);
    assertEquals(
      error.message,
      "load_default_certs needs Deno 2.8.0 or later, and this is 2.7.14",
    );
  });
  assertEquals(transport.closes, 1);
});

Deno.test("secure() offers HTTP/1.1, trusts no more than Deno does and checks the name by default", async () => {
  const { asked, startTls, opened } = fakeTls();
  await withDeno({ startTls }, async () => {
    await secure(opened, {}, "a.example", () => {});
  });
  assertEquals(asked, [true, {
    hostname: "a.example",
    caCerts: [],
    alpnProtocols: ["http/1.1"],
    unsafelyDisableHostnameVerification: false,
  }]);
});

Deno.test("secure() passes the context on", async () => {
  const { asked, startTls, opened } = fakeTls();
  const context = { caCerts: ["pem"], alpnProtocols: ["a", "b"], check_hostname: false };
  await withDeno({ startTls }, async () => {
    await secure(opened, context, "a.example", () => {});
  });
  assertEquals(asked[1], {
    hostname: "a.example",
    caCerts: ["pem"],
    alpnProtocols: ["a", "b"],
    unsafelyDisableHostnameVerification: true,
  });
});

for (
  const [host, name] of [
    ["[::1]", "::1"],
    ["::1", "::1"],
    ["[fe80::1%25eth0]", "fe80::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["127.0.0.1", "127.0.0.1"],
  ]
) {
  Deno.test(`secure() checks the certificate for ${name} when the host is ${host}`, async () => {
    const { asked, startTls, opened } = fakeTls();
    await withDeno({ startTls }, async () => {
      await secure(opened, {}, host, () => {});
    });
    assertEquals((asked[1] as { hostname: string }).hostname, name);
  });
}

Deno.test("secure() tells what to close before the handshake begins", async () => {
  const order: string[] = [];
  const { startTls, opened } = fakeTls(() => {
    order.push("handshake");
    return Promise.resolve({});
  });
  await withDeno({ startTls }, async () => {
    await secure(opened, {}, "a.example", () => order.push("begun"));
  });
  assertEquals(order, ["begun", "handshake"]);
});

Deno.test("secure() waits for the handshake", async () => {
  const handshake = Promise.withResolvers<unknown>();
  const { startTls, opened } = fakeTls(() => handshake.promise);
  await withDeno({ startTls }, async () => {
    let secured = false;
    const securing = secure(opened, {}, "a.example", () => {}).then(() => secured = true);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals(secured, false);
    handshake.resolve({});
    await securing;
  });
});

Deno.test("secure() tells of no protocol when the platform tells of none", async () => {
  const { startTls, opened } = fakeTls(() => Promise.resolve({}));
  await withDeno({ startTls }, async () => {
    assertStrictEquals((await secure(opened, {}, "a.example", () => {})).alpnProtocol, null);
  });
});

Deno.test("secure() closes the connection when the handshake fails", async () => {
  const reason = new Deno.errors.InvalidData("invalid peer certificate: UnknownIssuer");
  const { tcp, tls, startTls, opened } = fakeTls(() => Promise.reject(reason));
  await withDeno({ startTls }, async () => {
    const error = await assertRejects(() => secure(opened, {}, "a.example", () => {}));
    assertStrictEquals(error, reason);
  });
  assertEquals([tls.closes, tcp.closes], [1, 1]);
});

Deno.test("secure() closes the connection and throws what startTls() throws", async () => {
  const reason = new TypeError("mine");
  const { tcp, opened } = fakeTls();
  await withDeno({ startTls: () => Promise.reject(reason) }, async () => {
    assertStrictEquals(await assertRejects(() => secure(opened, {}, "a", () => {})), reason);
  });
  assertEquals(tcp.closes, 1);
});

Deno.test("secure() leaves the connection open when it succeeds", async () => {
  const { tcp, tls, startTls, opened } = fakeTls();
  await withDeno({ startTls }, async () => {
    await secure(opened, {}, "a.example", () => {});
  });
  assertEquals([tls.closes, tcp.closes], [0, 0]);
});

// openTls()

/** A TLS connection in memory that `connectTls()` gives, and what was asked of it. */
function fakeConnectTls(handshake: () => Promise<unknown> = () => Promise.resolve({})) {
  const asked: unknown[] = [];
  const tls = Object.assign(new FakeTransport(), { handshake });
  const connectTls = ((options: unknown) => {
    asked.push(options);
    return Promise.resolve(tls);
  }) as unknown as typeof Deno.connectTls;
  return { asked, tls, connectTls };
}

const ROUTE = routeTo({ hostname: "a.example", port: 443 });

Deno.test("openTls() makes TLS in one step", async () => {
  const { asked, tls, connectTls } = fakeConnectTls();
  await withDeno({ connectTls }, async () => {
    const { transport, tcp, kind } = await openTls(ROUTE, {}, "a.example", () => {});
    assertStrictEquals(transport, tls as unknown as Transport);
    assertEquals([tcp, kind, tls.closes], [null, "deno", 0]);
  });
  assertEquals(asked, [{
    hostname: "a.example",
    port: 443,
    caCerts: [],
    alpnProtocols: ["http/1.1"],
  }]);
});

Deno.test("openTls() passes the context on", async () => {
  const { asked, connectTls } = fakeConnectTls();
  const context: TLSContext = { caCerts: ["pem"], alpnProtocols: ["a"], check_hostname: true };
  await withDeno({ connectTls }, async () => {
    await openTls(ROUTE, context, "a.example", () => {});
  });
  assertEquals(asked, [{
    hostname: "a.example",
    port: 443,
    caCerts: ["pem"],
    alpnProtocols: ["a"],
  }]);
});

for (
  const [what, context, name, says] of [
    ["another server_hostname", {}, "b.example", "no server_hostname"],
    ["no check of the name", { check_hostname: false }, "a.example", "no server_hostname"],
    ["no verification", { verify_mode: "CERT_NONE" }, "a.example", "neither verify_mode"],
    ["no default CA", { load_default_certs: false }, "a.example", "nor load_default_certs"],
  ] as [string, TLSContext, string, string][]
) {
  Deno.test(`openTls() throws a TypeError and connects to nobody when there is ${what}`, async () => {
    const { asked, connectTls } = fakeConnectTls();
    await withDeno({ connectTls }, async () => {
      await assertRejects(() => openTls(ROUTE, context, name, () => {}), TypeError, says);
    });
    assertEquals(asked, []);
  });
}

Deno.test("openTls() blames a certificate to trust that the platform cannot read", async () => {
  const unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
  const told = new Deno.errors.InvalidData("invalid peer certificate: BadEncoding");
  await withDeno({ connectTls: () => Promise.reject(told) }, async () => {
    const error = await thrown(openTls(ROUTE, { caCerts: [unreadable] }, "a.example", () => {}));
    assertInstanceOf(error, Deno.errors.InvalidData);
    assertEquals(error.message, "a certificate of caCerts cannot be read");
    // Those that can be read are not to blame.
    assertStrictEquals(
      await thrown(openTls(ROUTE, { caCerts: [CA] }, "a.example", () => {})),
      told,
    );
  });
});

Deno.test("openTls() blames such a certificate when that shows in the handshake", async () => {
  const unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
  const told = new Deno.errors.InvalidData("invalid peer certificate: BadEncoding");
  const { connectTls } = fakeConnectTls(() => Promise.reject(told));
  await withDeno({ connectTls }, async () => {
    const error = await thrown(openTls(ROUTE, { caCerts: [unreadable] }, "a.example", () => {}));
    assertEquals((error as Error).message, "a certificate of caCerts cannot be read");
  });
});

Deno.test("openTls() blames no certificate for another error", async () => {
  const error = new Deno.errors.InvalidData("mine");
  const unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
  const connectTls = () => Promise.reject(error);
  await withDeno({ connectTls }, async () => {
    const opening = openTls(ROUTE, { caCerts: [unreadable] }, "a.example", () => {});
    assertStrictEquals(await thrown(opening), error);
  });
});

Deno.test("openTls() closes the connection when the handshake fails", async () => {
  await using server = await startRawTls(echo, { pair: WRONG_NAME });
  const { connectTls } = Deno;
  const tls: Deno.TlsConn[] = [];
  const recording = async (options: Deno.ConnectTlsOptions) => {
    tls.push(await connectTls({ ...options, port: server.port }));
    return tls[0];
  };
  await withDeno({ connectTls: recording }, async () => {
    await assertRejects(
      () => openTls(routeTo({ hostname: "localhost", port: 443 }), TRUST, "localhost", () => {}),
      Deno.errors.InvalidData,
      "not valid for name",
    );
  });
  // The sanitizers see to it that it was closed.
  assertEquals(tls.length, 1);
});
