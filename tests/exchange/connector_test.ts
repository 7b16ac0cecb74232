/**
 * The connector: from a plan to an open connection, and that what fails or comes too late leaves nothing.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { Connection } from "../../_internal/exchange/connection.ts";
import { openConnection, type Plan } from "../../_internal/exchange/connector.ts";
import { type ExchangeStart, Thrown } from "../../_internal/exchange/exchange.ts";
import type { TraceEvent } from "../../_internal/exchange/trace.ts";
import { tunnelTo } from "../../_internal/net/tunnel.ts";
import { type HTTPMessage, ProtocolError, type Transport, TunnelError } from "../../mod.ts";
import { newExchange } from "../helpers/carriers.ts";
import { assertUntouched, factsOf } from "../helpers/facts.ts";
import { FakeClock } from "../helpers/fake_clock.ts";
import { ManualTransport } from "../helpers/manual_transport.ts";
import { dialler, planOver } from "../helpers/plans.ts";
import { microtasks, never, soon, thrown } from "../helpers/waiting.ts";
import { CA, CLIENT } from "../tls/mod.ts";

/** Opens a connection by a plan; whoever opens one ends it when that fails, as here. */
function opening(plan: Plan, start: Partial<ExchangeStart> = {}) {
  const connection = new Connection();
  const exchange = newExchange(start);
  connection.beginOpening(exchange);
  const opened = openConnection(connection, exchange, plan).catch((error) => {
    const reason = exchange.fail(error);
    connection.end(reason);
    throw reason;
  });
  opened.catch(() => {});
  return { connection, exchange, opened };
}

/** The same over a transport in memory. */
function over(
  transport: Transport | Promise<Transport>,
  plan: Partial<Plan> = {},
  start: Partial<ExchangeStart> = {},
) {
  return opening(planOver(dialler(transport).dial, plan), start);
}

/** Records events without their times. */
function recorder() {
  const events: unknown[][] = [];
  return {
    events,
    trace: (event: TraceEvent) => {
      const { time: _, ...rest } = event;
      events.push(Object.values(rest));
    },
  };
}

const TUNNEL = tunnelTo({ host: "origin", port: 443 }, [["A", "b"]]);
const CONNECT = "CONNECT origin:443 HTTP/1.1\r\nA: b\r\nHost: origin:443\r\n\r\n";

async function whenRead(transport: ManualTransport): Promise<void> {
  for (let i = 0; transport.reads.length === 0; i++) {
    assert(i < 1000, "nothing is read");
    await microtasks(1);
  }
}

// Plans

Deno.test("openConnection() rejects a source address with a transport or a unix socket", async () => {
  const dialled = dialler();
  for (const plan of [{}, { custom: null, path: "/socket" }]) {
    const { opened } = opening(planOver(dialled.dial, { source: ["127.0.0.1", 0], ...plan }));
    await assertRejects(
      () => soon(opened),
      TypeError,
      "Cannot connect: a source address is for TCP connections only",
    );
  }
  assertEquals(dialled.count, 0);
});

Deno.test("openConnection() rejects a key that is not in PEM", async () => {
  const dialled = dialler();
  const context = { cert: CLIENT.cert, key: "no key" };
  const { opened } = opening(planOver(dialled.dial, { context }));
  await assertRejects(
    () => soon(opened),
    Deno.errors.InvalidData,
    "Cannot connect to example.com:80: the key of the context is no key in PEM",
  );
  assertEquals(dialled.count, 0);
});

Deno.test("openConnection() takes a key of any kind that is in PEM", async () => {
  for (const kind of ["", "RSA ", "EC "]) {
    const key = `-----BEGIN ${kind}PRIVATE KEY-----\n`;
    const plan = { context: { cert: "", key } };
    const reason = new Error("dialled");
    const { opened } = over(Promise.reject(reason), plan);
    assertStrictEquals(await thrown(opened), reason);
  }
});

Deno.test("openConnection() spells names as they are looked up", async () => {
  const { events, trace } = recorder();
  const { opened } = over(new ManualTransport(), { hostname: "b\xfccher.example", trace });
  await soon(opened);
  assertEquals(events[0], ["connectStart", "xn--bcher-kva.example", 80, null]);
});

// Transports of the user's

Deno.test("openConnection() opens a connection over a transport that the user makes", async () => {
  const { events, trace } = recorder();
  const transport = new ManualTransport();
  const { connection, exchange, opened } = over(transport, { trace, port: 8080 });
  assertEquals([connection.opening, connection.availability], ["connect", "opening"]);
  await soon(opened);
  assertStrictEquals(connection.transport, transport);
  assertEquals([connection.kind, connection.exact], ["other", false]);
  assertEquals([connection.opening, connection.availability], [null, "fresh"]);
  assert(exchange.timings.connected! >= exchange.timings.start);
  assertStrictEquals(exchange.timings.secured, null);
  assertEquals(events, [["connectStart", "example.com", 8080, null], ["connected", null]]);
  assertEquals([transport.reads.length, transport.writes.length], [0, 0]);
});

Deno.test("openConnection() throws what the user's function does, as it is", async () => {
  const reason = new Error("theirs");
  for (
    const custom of [() => Promise.reject(reason), () => {
      throw reason;
    }]
  ) {
    const { connection, opened } = opening(planOver(custom));
    assertStrictEquals(await thrown(opened), reason);
    assertUntouched(reason);
    assertEquals(connection.availability, "closed");
  }
});

for (
  const [title, plan, limits, message] of [
    [
      "timeout",
      {},
      { timeout: 0.01 },
      "Cannot connect to example.com:80: the timeout of 0.01 s has passed",
    ],
    [
      "deadlines.connect",
      { deadlines: { connect: 0.01 } },
      { timeout: 50 },
      "Cannot connect to example.com:80: the connect deadline of 0.01 s has passed",
    ],
  ] as const
) {
  Deno.test(`openConnection() ends by ${title}, and closes what comes later`, async () => {
    const late = Promise.withResolvers<Transport>();
    const { connection, opened } = over(late.promise, plan, { limits });
    await assertRejects(() => soon(opened), Deno.errors.TimedOut, message);
    assertEquals(connection.availability, "closed");
    const transport = new ManualTransport();
    late.resolve(transport);
    await microtasks(10);
    assertEquals(transport.closes, 1);
  });
}

Deno.test("openConnection() ends by the total deadline of its exchange", async () => {
  const { opened } = over(never(), {}, { limits: { total: 0.01 } });
  await assertRejects(() => soon(opened), Deno.errors.TimedOut, "total deadline");
});

Deno.test("openConnection() leaves no deadline of its own when the connection is open", async () => {
  const { connection, opened } = over(
    new ManualTransport(),
    { deadlines: { connect: 50 } },
    { limits: { timeout: 50 } },
  );
  await soon(opened);
  assertEquals([connection.deadlines.runs("open"), connection.deadlines.runs("connect")], [
    false,
    false,
  ]);
  connection.close();
});

Deno.test("openConnection() waits within the deadlines of a step only", async () => {
  const late = Promise.withResolvers<Transport>();
  const { connection, opened } = over(
    late.promise,
    { deadlines: { connect: 60 } },
    { limits: { timeout: 50 } },
  );
  await microtasks(4);
  assertEquals([connection.deadlines.runs("open"), connection.deadlines.runs("connect")], [
    true,
    true,
  ]);
  late.resolve(new ManualTransport());
  await soon(opened);
  connection.close();
});

Deno.test("openConnection() leaves no call that waits", async () => {
  using clock = new FakeClock();
  const { exchange, opened } = over(new ManualTransport(), {}, { limits: { total: 1 } });
  await opened;
  assertEquals(clock.pending, [false]);
  clock.advance(2000);
  assertStrictEquals(exchange.failure, null);
});

// The trace

for (const at of ["connectStart", "connected"]) {
  Deno.test(`openConnection() throws what the trace does at ${at}, as it is`, async () => {
    const reason = new Error("theirs");
    const transport = new ManualTransport();
    const dialled = dialler(transport);
    const { opened } = opening(planOver(dialled.dial, {
      trace: ({ type }) => {
        if (type === at) throw reason;
      },
    }));
    assertStrictEquals(await thrown(opened), reason);
    assertUntouched(reason);
    assertEquals([dialled.count, transport.closes], at === "connected" ? [1, 1] : [0, 0]);
  });
}

Deno.test("openConnection() goes no further when the trace aborts at connected", async () => {
  const reason = new Error("enough");
  const transport = new ManualTransport();
  const all = over(transport, {
    trace: ({ type }) => {
      if (type === "connected") all.exchange.fail(new Thrown(reason));
    },
  });
  assertStrictEquals(await thrown(all.opened), reason);
  assertEquals([transport.closes, all.connection.availability], [1, "closed"]);
});

Deno.test("openConnection() dials nothing when the trace closes the connection at connectStart", async () => {
  const dialled = dialler(new ManualTransport());
  const connection = new Connection();
  const exchange = newExchange();
  connection.beginOpening(exchange);
  const opened = openConnection(
    connection,
    exchange,
    planOver(dialled.dial, { trace: () => connection.close() }),
  );
  assertInstanceOf(await thrown(opened), Deno.errors.Interrupted);
  assertEquals(dialled.count, 0);
});

// Tunnels

Deno.test("openConnection() asks a proxy for a tunnel, and is open when that is made", async () => {
  const { events, trace } = recorder();
  const transport = new ManualTransport({ accepting: true });
  const told: HTTPMessage[] = [];
  const { connection, exchange, opened } = over(transport, {
    trace,
    tunnel: TUNNEL,
    onproxy: (headers) => void told.push(headers),
  });
  await whenRead(transport);
  assertEquals(transport.writes.map(({ text }) => text), [CONNECT]);
  assertEquals(connection.availability, "opening");
  transport.give("HTTP/1.1 200 Connection established\r\nProxy-A: b\r\n\r\n");
  await soon(opened);
  assertEquals(connection.availability, "fresh");
  assertEquals(told.map((headers) => headers.get("proxy-a")), ["b"]);
  assertEquals(events, [
    ["connectStart", "example.com", 80, null],
    ["connected", null],
    ["tunnelled", "origin", 443],
  ]);
  assertEquals([exchange.sent, exchange.isUnsent], [0, true]);
});

for (const debug of [false, true]) {
  Deno.test(`openConnection() prints ${debug ? "" : "nothing of "}what is said to a proxy when debug is ${debug}`, async () => {
    const { log } = console;
    const lines: string[] = [];
    console.log = (...parts: unknown[]) => void lines.push(parts.join(" "));
    try {
      const transport = new ManualTransport({ accepting: true });
      const { opened } = over(transport, { tunnel: TUNNEL, debug });
      await whenRead(transport);
      transport.give("HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
      await soon(opened);
    } finally {
      console.log = log;
    }
    const expected = [
      "send: b'CONNECT origin:443 HTTP/1.1\\r\\nA: b\\r\\nHost: origin:443\\r\\n\\r\\n'",
      "reply: 'HTTP/1.1 200 OK\\r\\n'",
      "header: A: b",
    ];
    assertEquals(lines, debug ? expected : []);
  });
}

Deno.test("openConnection() leaves what comes behind the proxy's answer in the buffer", async () => {
  const transport = new ManualTransport({ accepting: true });
  const { connection, opened } = over(transport, { tunnel: TUNNEL });
  await whenRead(transport);
  transport.give("HTTP/1.1 200 OK\r\n\r\nearly");
  await soon(opened);
  assertEquals(connection.unconsumed, 5);
});

Deno.test("openConnection() skips interim responses of a proxy, as many as the settings say", async () => {
  const transport = new ManualTransport({ accepting: true });
  const { opened } = over(transport, { tunnel: TUNNEL });
  await whenRead(transport);
  transport.give("HTTP/1.1 102 Processing\r\n\r\n".repeat(100) + "HTTP/1.1 200 OK\r\n\r\n");
  await soon(opened);
});

Deno.test("openConnection() throws a TunnelError when the proxy refuses", async () => {
  for (const status of [300, 404, 407, 502]) {
    const transport = new ManualTransport({ accepting: true });
    const told: HTTPMessage[] = [];
    const { connection, opened } = over(transport, {
      tunnel: TUNNEL,
      onproxy: (headers) => void told.push(headers),
    });
    await whenRead(transport);
    transport.give(`HTTP/1.1 ${status} No\r\nA: b\r\n\r\n`);
    const error = await thrown(opened);
    assertInstanceOf(error, TunnelError);
    assertEquals([error.status, error.reason, error.headers.get("a")], [status, "No", "b"]);
    assertEquals([told.length, transport.closes], [1, 1]);
    assertEquals(connection.availability, "closed");
  }
});

Deno.test("openConnection() throws when the proxy goes away", async () => {
  const transport = new ManualTransport({ accepting: true });
  const { opened } = over(transport, { tunnel: TUNNEL });
  await whenRead(transport);
  transport.end();
  assertInstanceOf(await thrown(opened), Deno.errors.ConnectionReset);
  assertEquals(transport.closes, 1);
});

Deno.test("openConnection() throws when the proxy cannot be written to", async () => {
  const transport = new ManualTransport();
  const { opened } = over(transport, { tunnel: TUNNEL });
  while (transport.writes.length === 0) await microtasks(1);
  const reason = new Error("theirs");
  transport.writes[0].reject(reason);
  assertStrictEquals(await thrown(opened), reason);
});

for (const limits of [{ head: 0.01 }, { timeout: 0.01 }, { total: 0.01 }]) {
  const [name] = Object.keys(limits);
  Deno.test(`openConnection() ends by ${name} when the proxy does not answer`, async () => {
    const transport = new ManualTransport({ accepting: true });
    const { opened } = over(transport, { tunnel: TUNNEL }, { limits });
    assertInstanceOf(await thrown(opened), Deno.errors.TimedOut);
    assertEquals(transport.closes, 1);
  });
}

Deno.test("openConnection() ends the head's deadline with the proxy's answer", async () => {
  const transport = new ManualTransport({ accepting: true });
  const { connection, opened } = over(transport, { tunnel: TUNNEL }, { limits: { head: 50 } });
  await whenRead(transport);
  assertEquals(connection.deadlines.runs("head"), true);
  transport.give("HTTP/1.1 200 OK\r\n\r\n");
  await soon(opened);
  assertEquals(connection.deadlines.runs("head"), false);
  connection.close();
});

Deno.test("openConnection() throws a ProtocolError when the proxy sends bytes ahead of TLS", async () => {
  const { events, trace } = recorder();
  const transport = new ManualTransport({ accepting: true });
  const { opened } = over(transport, { tunnel: TUNNEL, context: {}, trace });
  await whenRead(transport);
  transport.give("HTTP/1.1 200 OK\r\n\r\n\x16");
  await assertRejects(
    () => soon(opened),
    ProtocolError,
    "Cannot open tunnel to origin:443 through the proxy: the proxy sent bytes ahead of the TLS handshake",
  );
  assertEquals(events.at(-1), ["tunnelled", "origin", 443]);
  assertEquals(transport.closes, 1);
});

// TLS

Deno.test("openConnection() begins TLS over a transport of the user's, and ends it by deadlines.tls", async () => {
  const { events, trace } = recorder();
  const transport = new ManualTransport({ accepting: true });
  const { connection, exchange, opened } = over(transport, {
    context: { caCerts: [CA] },
    serverName: "b\xfccher.example",
    trace,
    deadlines: { tls: 0.05 },
  });
  const phases: string[] = [];
  const watch = setInterval(() => phases.push(exchange.phase), 5);
  const error = await thrown(opened);
  clearInterval(watch);
  assertInstanceOf(error, Deno.errors.TimedOut);
  assert(
    error.message.startsWith(
      "Cannot establish TLS with xn--bcher-kva.example:80: the tls deadline",
    ),
  );
  assertEquals(events.at(-1), ["tlsStart", "xn--bcher-kva.example"]);
  assertEquals(phases.includes("tls"), true);
  assertEquals(connection.availability, "closed");
  assertStrictEquals(exchange.timings.secured, null);
});

// Sockets

/** Opens a connection to a listener at loopback. */
async function toLoopback(plan: Partial<Plan>, custom: boolean) {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const dial = custom ? () => Deno.connect({ hostname: "127.0.0.1", port }) : null;
  const accepting = listener.accept();
  const { connection, opened } = opening(planOver(dial, { hostname: "127.0.0.1", port, ...plan }));
  await soon(opened);
  (await accepting).close();
  const { kind, exact } = connection;
  connection.close();
  return { kind, exact };
}

Deno.test("a failed write over TCP that this library opened was not accepted", async () => {
  const { events, trace } = recorder();
  assertEquals(await toLoopback({ trace }, false), { kind: "deno", exact: true });
  assertEquals(events[1], ["connected", "127.0.0.1"]);
});

Deno.test("a failed write over TCP that the user opened may have been accepted", async () => {
  assertEquals(await toLoopback({}, true), { kind: "deno", exact: false });
});

Deno.test("openConnection() throws the error of a socket that is refused", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const { connection, opened } = opening(planOver(null, { hostname: "127.0.0.1", port }));
  assertInstanceOf(await thrown(opened), Deno.errors.ConnectionRefused);
  assertEquals(connection.availability, "closed");
});

for (const given of [null, {}, { read() {}, write() {} }, "socket"]) {
  Deno.test(`openConnection() throws a TypeError when transport() gives ${Deno.inspect(given)}`, async () => {
    const custom = () => Promise.resolve(given as unknown as Transport);
    const error = await thrown(opening(planOver(null, { custom })).opened);
    assertInstanceOf(error, TypeError);
    assertStringIncludes(error.message, "what transport() gives");
  });
}

// Platforms that forbid plain connections to port 443

/** A TLS connection that was made in one step. */
class OneStep extends ManualTransport {
  handshake(): Promise<Deno.TlsHandshakeInfo> {
    return Promise.resolve({ alpnProtocol: null });
  }
}

/** Runs with other functions of Deno's to connect. */
async function withDeno(
  functions: { connect: unknown; connectTls?: unknown },
  run: () => Promise<void>,
): Promise<void> {
  const { connect, connectTls } = Deno;
  Object.assign(Deno, functions);
  try {
    await run();
  } finally {
    Object.assign(Deno, { connect, connectTls });
  }
}

/** Runs where `Deno.connect` fails with an error; tells what `Deno.connectTls` was called with. */
async function whereForbidden(
  error: Error,
  run: (calls: unknown[]) => Promise<void>,
): Promise<void> {
  const calls: unknown[] = [];
  const connectTls = (options: unknown) => {
    calls.push(options);
    return Promise.resolve(new OneStep());
  };
  await withDeno({ connect: () => Promise.reject(error), connectTls }, () => run(calls));
}

const SECURE = { port: 443, context: { caCerts: [CA] } };

Deno.test("openConnection() does TCP and TLS in one step when the platform forbids plain connections", async () => {
  const { NotCapable, NotSupported, PermissionDenied } = Deno.errors;
  for (const error of [new NotSupported(), new PermissionDenied(), new NotCapable()]) {
    await whereForbidden(error, async (calls) => {
      const { events, trace } = recorder();
      const { connection, exchange, opened } = opening(planOver(null, { ...SECURE, trace }));
      await soon(opened);
      assertEquals(calls.length, 1);
      assertEquals([connection.kind, connection.exact], ["deno", false]);
      assertEquals(exchange.timings.secured, exchange.timings.connected);
      assert(exchange.timings.secured !== null);
      assertEquals(events.map(([type]) => type), ["connectStart", "connected", "secured"]);
    });
  }
});

for (
  const [title, plan] of [
    ["there is no TLS", { ...SECURE, context: null }],
    ["the port is another one", { ...SECURE, port: 444 }],
    ["there is a unix socket", { ...SECURE, path: "/none" }],
    ["there is a tunnel", { ...SECURE, tunnel: TUNNEL }],
  ] as const
) {
  Deno.test(`openConnection() throws what the platform says when ${title}`, async () => {
    const error = new Deno.errors.PermissionDenied();
    await whereForbidden(error, async (calls) => {
      const told = await thrown(opening(planOver(null, plan)).opened);
      assertInstanceOf(told, Deno.errors.PermissionDenied);
      assertStrictEquals(told.cause, error);
      assertEquals(calls.length, 0);
    });
  });
}

Deno.test("openConnection() goes no other way when the platform has another error", async () => {
  const error = new Deno.errors.ConnectionRefused();
  await whereForbidden(error, async (calls) => {
    const told = await thrown(opening(planOver(null, SECURE)).opened);
    assertInstanceOf(told, Deno.errors.ConnectionRefused);
    assertStrictEquals(told.cause, error);
    assertEquals(calls.length, 0);
  });
});

Deno.test("openConnection() ends by deadlines.connect when Deno.connect does not settle, and aborts it", async () => {
  const signals: AbortSignal[] = [];
  const connect = ({ signal }: { signal: AbortSignal }) => {
    signals.push(signal);
    return never();
  };
  await withDeno({ connect }, async () => {
    const { opened } = opening(planOver(null, { deadlines: { connect: 0.01, tls: 50 } }));
    await assertRejects(() => soon(opened), Deno.errors.TimedOut, "the connect deadline of 0.01 s");
    assertEquals(signals.map(({ aborted }) => aborted), [true]);
  });
});

Deno.test("openConnection() ends by deadlines.connect when TLS in one step does not settle", async () => {
  const connect = () => Promise.reject(new Deno.errors.NotSupported());
  await withDeno({ connect, connectTls: () => never() }, async () => {
    const { opened } = opening(
      planOver(null, { ...SECURE, deadlines: { connect: 0.01, tls: 50 } }),
    );
    await assertRejects(() => soon(opened), Deno.errors.TimedOut, "the connect deadline of 0.01 s");
  });
});

Deno.test("openConnection() tells apart what fails when TLS is made in one step", async () => {
  const connect = () => Promise.reject(new Deno.errors.NotSupported());
  class Refusing extends OneStep {
    override handshake(): Promise<Deno.TlsHandshakeInfo> {
      return Promise.reject(new Deno.errors.InvalidData("unknown issuer"));
    }
  }
  const ways: [connectTls: () => Promise<unknown>, phase: string, message: string][] = [
    [() => Promise.resolve(new Refusing()), "tls", "Cannot establish TLS with example.com:443"],
    [
      () => Promise.reject(new Deno.errors.ConnectionRefused("refused")),
      "connect",
      "Cannot connect to example.com:443",
    ],
  ];
  for (const [connectTls, phase, message] of ways) {
    await withDeno({ connect, connectTls }, async () => {
      const { opened } = opening(planOver(null, SECURE));
      const error = await thrown(opened);
      assertInstanceOf(error, Error);
      assertStringIncludes(error.message, message);
      assertEquals(factsOf(error).phase, phase);
    });
  }
});

Deno.test("openConnection() takes no reason of an abort for what the platform says", async () => {
  let calls = 0;
  const connectTls = () => {
    calls++;
    return Promise.resolve(new OneStep());
  };
  await withDeno({ connect: () => never(), connectTls }, async () => {
    const { exchange, opened } = opening(planOver(null, SECURE));
    await microtasks(4);
    const reason = new TypeError("enough");
    exchange.fail(new Thrown(reason));
    assertStrictEquals(await thrown(opened), reason);
    assertEquals(calls, 0);
  });
});
