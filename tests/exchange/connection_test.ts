/**
 * A connection by itself, over transports in memory: when a request may follow, what is written and
 * read, and that whoever waits gets one reason when it ends.
 *
 * @module
 */
import { clearImmediate, setImmediate } from "node:timers";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type Answer,
  Connection,
  DEFAULT_SETTINGS,
  type ResponseSettings,
} from "../../_internal/exchange/connection.ts";
import {
  type Exchange,
  type ExchangeStart,
  NO_LIMITS,
  Thrown,
} from "../../_internal/exchange/exchange.ts";
import type { TraceEvent } from "../../_internal/exchange/trace.ts";
import { BufferedReader } from "../../_internal/net/buffered_reader.ts";
import { CLOSE_ENDS_READS, type TransportKind } from "../../_internal/net/platform.ts";
import { BadStatusLine, ProtocolError, RemoteDisconnected } from "../../mod.ts";
import { newExchange } from "../helpers/carriers.ts";
import { assertUntouched, factsOf } from "../helpers/facts.ts";
import { FakeClock } from "../helpers/fake_clock.ts";
import { ManualTransport } from "../helpers/manual_transport.ts";
import { microtasks, soon, thrown } from "../helpers/waiting.ts";
import { bytes, latin1 } from "../servers/raw.ts";
import { SENDING_STEPS } from "../../_internal/exchange/states.ts";

const LIMITS = { timeout: 50, head: 60, bodyIdle: 70, total: 80 };

/** A connection over a transport in memory, and an exchange that it carries. */
function begun(
  start: Partial<ExchangeStart> = {},
  { settings, kind }: { settings?: Partial<ResponseSettings>; kind?: TransportKind } = {},
) {
  const transport = new ManualTransport({ accepting: true });
  const connection = Connection.over(transport, { ...DEFAULT_SETTINGS, ...settings });
  if (kind !== undefined) connection.kind = kind;
  const exchange = newExchange({ method: "GET", ...start });
  connection.begin(exchange);
  return { transport, connection, exchange };
}

/** Sends a request without a body. */
async function sendWhole(connection: Connection, exchange: Exchange): Promise<void> {
  exchange.send(SENDING_STEPS.send);
  await connection.send(exchange, bytes("GET / HTTP/1.1\r\n\r\n"));
  exchange.send(SENDING_STEPS.finish);
}

/** The same, and gets an answer. */
async function answered(
  text: string,
  start: Partial<ExchangeStart> = {},
  how: Parameters<typeof begun>[1] = {},
) {
  const all = begun(start, how);
  await sendWhole(all.connection, all.exchange);
  const wait = all.connection.awaitAnswer(all.exchange, false);
  all.transport.give(text);
  return { ...all, answer: await soon(wait) };
}

function head(fields = "", status = "200 OK"): string {
  return `HTTP/1.1 ${status}\r\n${fields}\r\n`;
}

const OK = head("Content-Length: 2\r\n") + "ok";

// Opening

Deno.test("Connection cannot carry a request while it is opened", () => {
  const connection = new Connection();
  assertEquals(connection.availability, "opening");
  assertEquals(connection.opening, "connect");
  assertEquals(connection.mayFollow, false);
});

Deno.test("over() makes a fresh connection of a transport that is there", () => {
  const transport = new ManualTransport();
  const settings = { ...DEFAULT_SETTINGS };
  const connection = Connection.over(transport, settings);
  assertEquals(connection.availability, "fresh");
  assertStrictEquals(connection.opening, null);
  assertStrictEquals(connection.transport, transport);
  assertStrictEquals(connection.settings, settings);
  assertEquals(connection.kind, "other");
  assertEquals([connection.mayFollow, connection.reused, connection.exact], [true, false, false]);
  assertEquals(transport.reads.length, 0);
});

Deno.test("over() knows a socket of Deno's own", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  (await listener.accept()).close();
  const connection = Connection.over(conn);
  assertEquals(connection.kind, "deno");
  connection.close();
});

Deno.test("attach() closes a transport that comes after the end, and throws why it ended", () => {
  const connection = new Connection();
  const reason = new Error("given up");
  connection.end(reason);
  const transport = new ManualTransport();
  assertStrictEquals(assertThrows(() => connection.attach(transport, "other")), reason);
  assertEquals(transport.closes, 1);
});

Deno.test("hold() says what is closed at the end", () => {
  const plain = new ManualTransport();
  const secured = new ManualTransport();
  const connection = new Connection();
  connection.attach(plain, "deno");
  connection.hold(secured);
  assertEquals(connection.kind, "deno");
  connection.end(new Error("given up"));
  assertEquals([plain.closes, secured.closes], [0, 1]);
});

Deno.test("during() gives what the step does", async () => {
  const connection = new Connection();
  const late: number[] = [];
  assertEquals(await soon(connection.during(Promise.resolve(5), (n) => late.push(n))), 5);
  const reason = new Error("refused");
  assertStrictEquals(
    await thrown(connection.during(Promise.reject(reason), () => late.push(0))),
    reason,
  );
  assertEquals(late, []);
});

Deno.test("during() is rejected at the end of the connection, and discards what comes later", async () => {
  const connection = new Connection();
  const step = Promise.withResolvers<string>();
  const late: string[] = [];
  const wait = connection.during(step.promise, (value) => late.push(value));
  const reason = new Error("given up");
  connection.end(reason);
  assertStrictEquals(await thrown(wait), reason);
  assertEquals(late, []);
  step.resolve("late");
  await microtasks(4);
  assertEquals(late, ["late"]);
});

Deno.test("during() is rejected at once after the end, and discards what comes", async () => {
  const connection = new Connection();
  const reason = new Error("given up");
  connection.end(reason);
  const late: string[] = [];
  const wait = connection.during(Promise.resolve("late"), (value) => late.push(value));
  assertStrictEquals(await thrown(wait), reason);
  assertEquals(late, ["late"]);
});

Deno.test("during() lets a step fail after the end", async () => {
  const connection = new Connection();
  const step = Promise.withResolvers<string>();
  const wait = connection.during(step.promise, () => {});
  const reason = new Error("given up");
  connection.end(reason);
  step.reject(new Error("late"));
  assertStrictEquals(await thrown(wait), reason);
});

Deno.test("beginOpening() shows in the phase, and endOpening() ends that", () => {
  const connection = new Connection();
  const exchange = newExchange({ limits: LIMITS });
  connection.beginOpening(exchange);
  assertStrictEquals(connection.exchange, exchange);
  assertStrictEquals(exchange.carrier, connection);
  assertEquals(connection.deadlines.runs("total"), true);
  assertEquals(exchange.phase, "connect");
  connection.opening = "tls";
  assertEquals(exchange.phase, "tls");
  connection.attach(new ManualTransport(), "other");
  connection.opened();
  connection.endOpening(exchange);
  assertStrictEquals(connection.exchange, null);
  assertStrictEquals(exchange.carrier, null);
  assertEquals(connection.deadlines.runs("total"), false);
  assertEquals(connection.availability, "fresh");
  connection.close();
});

Deno.test("endOpening() keeps the timer of a socket of Deno's own for the first exchange, and no other", () => {
  for (const kind of ["deno", "other"] as const) {
    using clock = new FakeClock();
    const connection = new Connection();
    const attempt = newExchange({ limits: LIMITS });
    connection.beginOpening(attempt);
    connection.attach(new ManualTransport(), kind);
    connection.deadlines.beginWait();
    connection.opened();
    connection.deadlines.endWait();
    connection.endOpening(attempt);
    assertEquals(clock.pending, kind === "deno" ? [false] : []);
  }
});

Deno.test("endOpening() leaves the exchange alone that has begun by then", () => {
  const connection = new Connection();
  const attempt = newExchange();
  connection.beginOpening(attempt);
  connection.attach(new ManualTransport(), "other");
  connection.opened();
  const exchange = newExchange({ limits: LIMITS });
  connection.begin(exchange);
  connection.endOpening(attempt);
  assertStrictEquals(connection.exchange, exchange);
  assertStrictEquals(exchange.carrier, connection);
  assertStrictEquals(attempt.carrier, null);
  assertEquals(connection.deadlines.runs("total"), true);
  connection.close();
});

// Beginning

Deno.test("begin() makes the connection busy, and begins the exchange", () => {
  const { connection, exchange } = begun();
  assertEquals(connection.availability, "busy");
  assertEquals(connection.mayFollow, false);
  assertStrictEquals(connection.exchange, exchange);
  assertStrictEquals(exchange.carrier, connection);
});

Deno.test("begin() counts the total deadline from the start of the exchange", async () => {
  const connection = Connection.over(new ManualTransport());
  const exchange = newExchange({ limits: { total: 100 } });
  exchange.timings.start -= 100_000;
  connection.begin(exchange);
  assertInstanceOf(await thrown(connection.fill(exchange)), Deno.errors.TimedOut);
});

Deno.test("begin() sets no deadline when the exchange has no limits", () => {
  const { connection } = begun({ limits: NO_LIMITS });
  assertEquals(connection.deadlines.runs("total"), false);
});

Deno.test("begin() sets no deadline when only others are limited", () => {
  const { connection } = begun({ limits: { timeout: 5 } });
  assertEquals(connection.deadlines.runs("total"), false);
});

Deno.test("beginRaw() carries bytes that are no request, and nothing follows", () => {
  const connection = Connection.over(new ManualTransport());
  const raw = newExchange({ method: "", limits: LIMITS });
  connection.beginRaw(raw);
  assertEquals(connection.availability, "last");
  assertStrictEquals(connection.raw, raw);
  assertStrictEquals(raw.carrier, connection);
  assertEquals(connection.deadlines.runs("total"), true);
  connection.close();
});

Deno.test("beginRaw() leaves the deadlines to the response that is still read", () => {
  const { connection, exchange } = begun({ limits: { total: 100 } });
  connection.beginRaw(newExchange({ method: "", limits: LIMITS }));
  assertStrictEquals(connection.exchange, exchange);
  assertEquals(connection.deadlines.runs("total"), true);
  connection.close();
});

Deno.test("end() is the end of bytes without a request that nobody sends any more", () => {
  const connection = Connection.over(new ManualTransport());
  const idle = newExchange({ method: "" });
  connection.beginRaw(idle);
  connection.end(new Error("mine"));
  assertEquals([idle.over, idle.failure, connection.raw], [true, null, null]);
});

// Releasing

Deno.test("release() makes the connection idle when the exchange is whole", async () => {
  const { connection, exchange, answer } = await answered(OK);
  assertEquals(latin1(await answer.body.gather(Infinity)), "ok");
  assertEquals(exchange.over, true);
  assertEquals(connection.availability, "idle");
  assertStrictEquals(connection.exchange, null);
  assertEquals([connection.mayFollow, connection.reused, connection.served], [true, true, 1]);
  assertEquals(connection.reader.bytes.length, 0);
});

Deno.test("release() is for the exchange that the connection carries", () => {
  const { connection } = begun();
  connection.release(newExchange());
  assertEquals(connection.availability, "busy");
  assertEquals(connection.served, 0);
});

Deno.test("release() ends the deadlines of the exchange", async () => {
  const { connection, answer } = await answered(OK, { limits: LIMITS });
  assertEquals(connection.deadlines.runs("total"), true);
  await answer.body.gather(Infinity);
  assertEquals(connection.deadlines.runs("total"), false);
  connection.close();
});

Deno.test("release() keeps the timer of a socket of Deno's own for the next exchange, and no other", async () => {
  for (const kind of ["deno", "other"] as const) {
    using clock = new FakeClock();
    const { connection, transport, exchange } = begun({ limits: { timeout: 1 } }, { kind });
    await sendWhole(connection, exchange);
    const wait = connection.awaitAnswer(exchange, false);
    transport.give(OK);
    await (await wait).body.gather(Infinity);
    assertEquals(connection.availability, "idle");
    assertEquals(clock.pending, kind === "deno" ? [false] : []);
  }
});

/** What stands against another request, though the response was read. */
const CLOSING: [
  title: string,
  run: (all: Awaited<ReturnType<typeof answered>>) => Promise<void>,
][] = [
  ["the request was not whole", (all) => {
    all.exchange.sending = "cut";
    return Promise.resolve();
  }],
  ["nothing may follow", ({ connection }) => {
    connection.endReuse();
    return Promise.resolve();
  }],
  ["the peer has ended the connection", async ({ connection, transport }) => {
    const fill = connection.reader.fill();
    transport.end();
    await fill;
  }],
  ["the transport has failed", async ({ connection, transport }) => {
    const fill = connection.reader.fill();
    transport.fail(new Error("reset"));
    await thrown(fill);
  }],
  ["a read is still out", ({ connection }) => {
    connection.reader.prefetch();
    return Promise.resolve();
  }],
];

for (const [title, run] of CLOSING) {
  Deno.test(`release() closes the connection when ${title}`, async () => {
    const all = await answered(OK);
    await run(all);
    await all.answer.body.gather(Infinity);
    assertEquals(all.connection.availability, "closed");
    assertEquals(all.transport.closes, 1);
  });
}

// Freeing

/** Bodies that have come, and whether that was all of them. */
const BODIES: [title: string, text: string, free: boolean, body: string][] = [
  ["a body by length is there", head("Content-Length: 4\r\n") + "body", true, "body"],
  ["a part of a body by length is there", head("Content-Length: 4\r\n") + "bod", false, ""],
  [
    "a chunked body is there",
    head("Transfer-Encoding: chunked\r\n") + "4\r\nbody\r\n0\r\n\r\n",
    true,
    "body",
  ],
  [
    "a chunked body with trailers is there",
    head("Transfer-Encoding: chunked\r\n") + "4\r\nbody\r\n0\r\nA: b\r\n\r\n",
    true,
    "body",
  ],
  [
    "the trailers of a chunked body are missing",
    head("Transfer-Encoding: chunked\r\n") + "4\r\nbody\r\n0\r\nA: b\r\n",
    false,
    "",
  ],
  ["there is no body", head("", "204 No Content"), true, ""],
];

for (const [title, text, free, body] of BODIES) {
  Deno.test(`free() ${free ? "frees" : "keeps"} the connection when ${title}`, async () => {
    const { connection, exchange, answer } = await answered(text);
    connection.free();
    assertEquals(connection.availability, free ? "idle" : "busy");
    assertStrictEquals(connection.exchange, free ? null : exchange);
    assertStrictEquals(exchange.carrier, free ? null : connection);
    assertEquals(connection.served, free ? 1 : 0);
    if (free) assertEquals(latin1(await answer.body.gather(Infinity)), body);
  });
}

Deno.test("free() leaves what stands behind the body in the connection", async () => {
  const { connection, answer } = await answered(OK + "HTTP/1.1");
  connection.free();
  assertEquals(connection.unconsumed, 8);
  assertEquals(latin1(await answer.body.gather(Infinity)), "ok");
  assertEquals(connection.unconsumed, 8);
});

Deno.test("free() keeps a connection whose request is not whole", async () => {
  const { connection, exchange } = await answered(OK);
  exchange.sending = "cut";
  connection.free();
  assertEquals(connection.availability, "busy");
});

Deno.test("free() keeps a connection on which a send is still to come", async () => {
  const { connection, exchange } = await answered(OK);
  exchange.beginSend();
  connection.free();
  assertEquals(connection.availability, "busy");
});

Deno.test("free() keeps a connection after which nothing may follow", async () => {
  const { connection } = await answered(OK);
  connection.endReuse();
  connection.free();
  assertEquals(connection.availability, "last");
});

Deno.test("free() keeps a connection whose answer has not come", async () => {
  const { connection, exchange } = begun();
  await sendWhole(connection, exchange);
  connection.free();
  assertEquals(connection.availability, "busy");
});

Deno.test("free() leaves an idle connection as it is", () => {
  const connection = Connection.over(new ManualTransport());
  connection.free();
  assertEquals(connection.availability, "fresh");
});

// The idle guard

/** A connection over a transport, as if it had rested for so long. */
function rested(
  transport: ManualTransport,
  kind: TransportKind = "other",
): Connection {
  const connection = Connection.over(transport);
  connection.kind = kind;
  return connection;
}

/** Probes a connection that has rested for so many milliseconds. */
function atRest(kind: TransportKind, ms: number): Promise<boolean> {
  using clock = new FakeClock();
  return isIntact(rested(new ManualTransport(), kind), clock.now + ms);
}

/** What a probe has found. */
async function isIntact(connection: Connection, now = performance.now()): Promise<boolean> {
  await connection.probe(now);
  return connection.isIntact;
}

for (const kind of ["deno", "node", "other"] as const) {
  Deno.test(`probe() finds it intact when a transport of kind ${kind} has nothing`, async () => {
    const transport = new ManualTransport();
    assertEquals(await soon(isIntact(rested(transport, kind))), true);
    assertEquals(transport.reads.length, 1);
  });

  Deno.test(`probe() does not find it intact when a transport of kind ${kind} has bytes`, async () => {
    const transport = new ManualTransport();
    const silent = isIntact(rested(transport, kind));
    transport.give("HTTP");
    assertEquals(await soon(silent), false);
  });

  Deno.test(`probe() does not find it intact when a transport of kind ${kind} has ended`, async () => {
    const transport = new ManualTransport();
    const silent = isIntact(rested(transport, kind));
    transport.end();
    assertEquals(await soon(silent), false);
  });

  Deno.test(`probe() does not find it intact when a transport of kind ${kind} was reset`, async () => {
    const transport = new ManualTransport();
    const silent = isIntact(rested(transport, kind));
    transport.fail(new Deno.errors.ConnectionReset());
    assertEquals(await soon(silent), false);
  });

  const waits = kind !== "deno";
  Deno.test(`probe() ${waits ? "waits" : "does not wait"} for the event loop when the kind is ${kind}`, async () => {
    assertEquals(await turns(() => soon(atRest(kind, 0))), waits);
  });
}

Deno.test("probe() does not find it intact when bytes are buffered already", async () => {
  const transport = new ManualTransport();
  const connection = rested(transport);
  const fill = connection.reader.fill();
  transport.give("late");
  await fill;
  assertEquals(await soon(isIntact(connection)), false);
});

Deno.test("probe() sees what a transport of the user's tells after a turn of the event loop", async () => {
  const transport = new ManualTransport();
  const silent = isIntact(rested(transport));
  setImmediate(() => transport.give("late"));
  assertEquals(await soon(silent), false);
});

/** A transport whose read brings something after so many microtasks. */
class Late extends ManualTransport {
  readonly #ticks: number;

  constructor(ticks: number) {
    super();
    this.#ticks = ticks;
  }

  override async read(): Promise<number> {
    for (let i = 0; i < this.#ticks; i++) await null;
    return 1;
  }
}

Deno.test("probe() and hasSpoken() see what a socket of Deno's own tells within three microtasks", async () => {
  assertEquals(await soon(isIntact(rested(new Late(2), "deno"))), false);
  assertEquals(await soon(rested(new Late(2), "deno").hasSpoken()), true);
});

Deno.test("probe() sees what a transport that wraps another tells within three turns", async () => {
  const transport = new ManualTransport();
  const silent = isIntact(rested(transport));
  setImmediate(() => setImmediate(() => setImmediate(() => transport.give("late"))));
  assertEquals(await soon(silent), false);
});

Deno.test("probe() leaves its read to the next one who reads", async () => {
  const transport = new ManualTransport();
  const connection = rested(transport);
  assertEquals(await soon(isIntact(connection)), true);
  const fill = connection.reader.fill();
  assertEquals(transport.reads.length, 1);
  transport.give("one");
  assertEquals(await soon(fill), 3);
});

/** Whether the event loop turns before what is run has ended. */
async function turns(run: () => Promise<unknown>): Promise<boolean> {
  let turned = false;
  const immediate = setImmediate(() => turned = true);
  await run();
  clearImmediate(immediate);
  return turned;
}

/** Whether the guard of a socket of Deno's own lets the event loop turn after a rest of so long. */
function looksAnew(ms: number): Promise<boolean> {
  return turns(() => soon(atRest("deno", ms)));
}

Deno.test("probe() asks the system anew when the connection has rested for long", async () => {
  assertEquals(await looksAnew(3.1), true);
});

Deno.test("probe() does not ask the system anew after a short rest", async () => {
  assertEquals([await looksAnew(0), await looksAnew(3)], [false, false]);
});

Deno.test("probe() asks the system anew when the request was begun before the connection came to rest", async () => {
  assertEquals(await looksAnew(-0.1), true);
});

Deno.test("probe() asks the system anew of a transport of the user's after a long rest alone", async () => {
  const { setTimeout } = globalThis;
  let timers = 0;
  const counting = (...args: Parameters<typeof setTimeout>) => {
    timers++;
    return setTimeout(...args);
  };
  Object.assign(globalThis, { setTimeout: counting });
  try {
    await atRest("other", 3);
    assertEquals(timers, 0);
    await atRest("other", 3.1);
    assertEquals(timers, 1);
  } finally {
    Object.assign(globalThis, { setTimeout });
  }
});

Deno.test("probe() takes the rest from the end of the body before", async () => {
  using clock = new FakeClock();
  const { connection, transport, exchange } = begun({}, { kind: "deno" });
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(OK);
  const { body } = await wait;
  clock.now += 1000;
  await body.gather(Infinity);
  assertEquals(await turns(() => isIntact(connection, clock.now + 3)), false);
});

Deno.test("probe() takes the rest from when the connection was freed of a body that had come", async () => {
  using clock = new FakeClock();
  const { connection, transport, exchange } = begun({}, { kind: "deno" });
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(OK);
  await wait;
  clock.now += 1000;
  connection.free();
  assertEquals(await turns(() => isIntact(connection, clock.now + 3)), false);
});

Deno.test("hasSpoken() is true when bytes are buffered", async () => {
  const transport = new ManualTransport();
  const connection = rested(transport);
  const fill = connection.reader.fill();
  transport.give("HTTP");
  await fill;
  assertEquals(await soon(connection.hasSpoken()), true);
});

Deno.test("hasSpoken() looks what a socket of Deno's own has", async () => {
  const transport = new ManualTransport();
  const spoken = rested(transport, "deno").hasSpoken();
  transport.give("HTTP");
  assertEquals(await soon(spoken), true);
});

Deno.test("hasSpoken() is false when a socket of Deno's own has nothing, or has ended", async () => {
  assertEquals(await soon(rested(new ManualTransport(), "deno").hasSpoken()), false);
  const transport = new ManualTransport();
  const spoken = rested(transport, "deno").hasSpoken();
  transport.end();
  assertEquals(await soon(spoken), false);
});

Deno.test("hasSpoken() does not read from other transports", async () => {
  const transport = new ManualTransport();
  assertEquals(await soon(rested(transport).hasSpoken()), false);
  assertEquals(transport.reads.length, 0);
});

// Ending

Deno.test("retire() closes the connection, and leaves the exchange to another one", () => {
  const { connection, transport, exchange } = begun();
  connection.retire();
  assertEquals(connection.availability, "closed");
  assertEquals(transport.closes, 1);
  assertStrictEquals(exchange.failure, null);
  assertStrictEquals(exchange.carrier, null);
});

Deno.test("retire() closes a connection that carries nothing", () => {
  const transport = new ManualTransport();
  const connection = Connection.over(transport);
  connection.retire();
  assertEquals(transport.closes, 1);
});

Deno.test("close() fails the exchange, and closes the transport once", () => {
  const { connection, transport, exchange } = begun();
  connection.close();
  connection.close();
  assertEquals(connection.availability, "closed");
  assertEquals(transport.closes, 1);
  const reason = exchange.failure!.reason;
  assertInstanceOf(reason, Deno.errors.Interrupted);
  assertEquals(reason.message, "Cannot send request: the connection was closed");
  assertEquals(exchange.closed, true);
});

Deno.test("close() says what was done when nothing is carried", async () => {
  const connection = new Connection();
  const wait = connection.during(new Promise(() => {}), () => {});
  connection.close();
  await assertRejects(
    () => soon(wait),
    Deno.errors.Interrupted,
    "Cannot connect: the connection was closed",
  );
  const other = Connection.over(new ManualTransport());
  const later = other.during(new Promise(() => {}), () => {});
  other.close();
  await assertRejects(
    () => soon(later),
    Deno.errors.Interrupted,
    "Cannot send request: the connection was closed",
  );
});

Deno.test("end() gives one reason to whoever reads, writes or waits", async () => {
  const { connection, transport, exchange } = begun();
  transport.accepting = false;
  const waits = [
    connection.send(exchange, bytes("GET")),
    connection.fill(exchange),
    connection.during(new Promise(() => {}), () => {}),
  ];
  const reason = new Error("given up");
  connection.end(reason);
  for (const wait of waits) assertStrictEquals(await thrown(wait), reason);
  assertEquals(transport.closes, 1);
  assertStrictEquals(connection.exchange, null);
});

Deno.test("end() keeps the first reason", async () => {
  const { connection, exchange } = begun();
  const first = new Error("first");
  connection.end(first);
  connection.end(new Error("second"));
  assertStrictEquals(await thrown(connection.send(exchange, bytes("x"))), first);
  assertStrictEquals(await thrown(connection.fill(exchange)), first);
});

Deno.test("end() ends the deadlines", () => {
  const { connection } = begun({ limits: LIMITS });
  connection.end(new Error("given up"));
  assertEquals(connection.deadlines.runs("total"), false);
});

Deno.test("end() closes a transport whose close() throws", () => {
  const transport = new ManualTransport();
  transport.close = () => {
    throw new Deno.errors.BadResource();
  };
  const connection = Connection.over(transport);
  connection.end(new Error("given up"));
  assertEquals(connection.availability, "closed");
});

Deno.test("end() tells the trace when there was a transport", () => {
  const events: TraceEvent[] = [];
  const trace = (event: TraceEvent) => void events.push(event);
  Connection.over(new ManualTransport(), DEFAULT_SETTINGS, trace).close();
  assertEquals(events.map(({ type }) => type), ["close"]);
  new Connection(DEFAULT_SETTINGS, trace).close();
  assertEquals(events.length, 1);
});

Deno.test("end() does not let a trace throw", () => {
  const connection = Connection.over(new ManualTransport(), DEFAULT_SETTINGS, () => {
    throw new Error("theirs");
  });
  connection.close();
  assertEquals(connection.availability, "closed");
});

Deno.test("detach() hands over the transport and what was read ahead, and closes nothing", async () => {
  const { connection, transport, exchange } = await answered(
    head("Upgrade: x\r\n", "101 Switching Protocols") + "early",
  );
  const detached = connection.detach();
  assertStrictEquals(detached.transport, transport);
  assertEquals(latin1(detached.buffered), "early");
  assertEquals(connection.availability, "detached");
  assertEquals([transport.closes, exchange.over], [0, true]);
  assertStrictEquals(connection.exchange, null);
  assertEquals(connection.reader.bytes.length, 0);
  connection.end(new Error("late"));
  assertEquals(transport.closes, 0);
  assertStrictEquals(exchange.failure, null);
});

Deno.test("detach() ends the deadlines", async () => {
  const { connection } = await answered(head("", "101 Switching Protocols"), { limits: LIMITS });
  connection.detach();
  assertEquals(connection.deadlines.runs("total"), false);
});

Deno.test("abandon() fails the exchange, and leaves the transport open", async () => {
  const { connection, transport, exchange } = begun();
  transport.accepting = false;
  const write = connection.send(exchange, bytes("GET"));
  connection.abandon();
  const reason = exchange.failure!.reason;
  assertInstanceOf(reason, Deno.errors.Interrupted);
  await assertRejects(
    () => soon(write),
    Deno.errors.Interrupted,
    "Cannot send request: the connection was closed",
  );
  assertEquals(transport.closes, 0);
  assertEquals(connection.availability, "detached");
});

Deno.test("a deadline that runs out fails the exchange with its phase", async () => {
  const { connection, transport, exchange } = begun({ limits: { head: 0.01 } });
  await sendWhole(connection, exchange);
  const error = await thrown(connection.awaitAnswer(exchange, false));
  assertInstanceOf(error, Deno.errors.TimedOut);
  assertEquals(
    error.message,
    "Cannot get response: the head deadline of 0.01 s has passed (phase head)",
  );
  assertEquals(factsOf(error).phase, "head");
  assertEquals(transport.closes, 1);
});

// What an exchange asks

Deno.test("closeEndsReads is true only for sockets of Deno's own", () => {
  const connection = Connection.over(new ManualTransport());
  assertEquals(connection.closeEndsReads, false);
  connection.kind = "node";
  assertEquals(connection.closeEndsReads, false);
  connection.kind = "deno";
  assertEquals(connection.closeEndsReads, CLOSE_ENDS_READS);
});

Deno.test("throwsFor() is true for what a transport of the user's has thrown, and for nothing else", async () => {
  const { connection, transport, exchange } = begun();
  const reason = new Error("theirs");
  assertEquals(connection.throwsFor(reason), false);
  const fill = connection.fill(exchange);
  transport.fail(reason);
  await thrown(fill);
  assertEquals(connection.throwsFor(reason), true);
  assertEquals(connection.throwsFor(new Error("another")), false);
  connection.kind = "deno";
  assertEquals(connection.throwsFor(reason), false);
});

Deno.test("received and unconsumed are the reader's", async () => {
  const { connection, transport, exchange } = begun();
  const fill = connection.fill(exchange);
  transport.give("five!");
  await fill;
  connection.reader.take(2);
  assertEquals([connection.received, connection.unconsumed], [5, 3]);
});

// Writing

Deno.test("send() writes until all of it was accepted", async () => {
  const { connection, transport, exchange } = begun();
  transport.accepting = false;
  let told = 0;
  const sending = connection.send(exchange, bytes("abcdef"), undefined, () => told++);
  transport.writes[0].accept(1);
  await microtasks(8);
  assertEquals([transport.writes[1].text, told, exchange.sent], ["bcdef", 1, 1]);
  transport.writes[1].accept(2);
  await microtasks(8);
  assertEquals([transport.writes[2].text, told, exchange.sent], ["def", 2, 3]);
  transport.writes[2].accept();
  await soon(sending);
  assertEquals([transport.writes.length, told, exchange.sent], [3, 3, 6]);
});

for (const count of [2, 5]) {
  Deno.test(`send() writes on when a write without deadlines takes ${count} of 6 bytes`, async () => {
    const { connection, transport, exchange } = begun();
    transport.accepting = false;
    const sending = connection.send(exchange, bytes("abcdef"));
    transport.writes[0].accept(count);
    await microtasks(8);
    assertEquals([transport.writes[1].text, exchange.sent], ["abcdef".slice(count), count]);
    transport.writes[1].accept();
    await soon(sending);
    assertEquals([transport.writes.length, exchange.sent], [2, 6]);
  });
}

Deno.test("send() writes nothing more when nobody waits for the write that has ended", async () => {
  const { connection, transport, exchange } = begun();
  exchange.send(SENDING_STEPS.send);
  transport.accepting = false;
  const sending = connection.send(exchange, bytes("abcdef"));
  const reason = new Error("lost");
  exchange.lose(reason);
  assertStrictEquals(await thrown(sending), reason);
  transport.writes[0].accept(2);
  await microtasks(8);
  assertEquals([transport.writes.length, exchange.sent], [1, 2]);
});

Deno.test("send() writes nothing when there are no bytes", async () => {
  const { connection, transport, exchange } = begun();
  await soon(connection.send(exchange, new Uint8Array()));
  assertEquals(transport.writes.length, 0);
});

Deno.test("send() throws a TypeError before it writes when the bytes became fewer", async () => {
  const { connection, transport, exchange } = begun();
  await assertRejects(
    () => soon(connection.send(exchange, bytes("abc"), 5)),
    TypeError,
    "Cannot send body: its buffer was transferred or changed its size",
  );
  assertEquals(transport.writes.length, 0);
});

Deno.test("send() throws a TypeError when the buffer is transferred between two writes", async () => {
  const { connection, transport, exchange } = begun();
  transport.accepting = false;
  const data = bytes("abcdef");
  const sending = connection.send(exchange, data);
  structuredClone(data.buffer, { transfer: [data.buffer] });
  transport.writes[0].accept(2);
  await assertRejects(() => soon(sending), TypeError);
  assertEquals(transport.writes.length, 1);
});

Deno.test("send() writes again behind a write that has failed", async () => {
  const { connection, transport, exchange } = begun();
  transport.accepting = false;
  const first = connection.send(exchange, bytes("abc"));
  const reason = new Error("mine");
  transport.writes[0].reject(reason);
  await thrown(first);
  const second = connection.send(exchange, bytes("def"));
  transport.writes[1].accept();
  await soon(second);
  connection.close();
});

for (const written of [undefined, null, 3]) {
  Deno.test(`send() takes what a transport gives at once that is no promise: ${written}`, async () => {
    const { connection, transport, exchange } = begun();
    transport.write = () => written as unknown as Promise<number>;
    const sending = connection.send(exchange, bytes("abc"));
    if (written === 3) await soon(sending);
    else await assertRejects(() => soon(sending), Deno.errors.WriteZero);
    connection.close();
  });
}

for (const count of [0, -1, NaN, 4]) {
  Deno.test(`send() throws WriteZero when the transport says that it took ${count} of 3 bytes`, async () => {
    const { connection, transport, exchange } = begun();
    transport.accepting = false;
    const sending = connection.send(exchange, bytes("abc"));
    transport.writes[0].accept(count);
    const error = await assertRejects(
      () => soon(sending),
      Deno.errors.WriteZero,
      "Cannot send: the transport took nothing",
    );
    assertStrictEquals(exchange.writeError!.reason, error);
    assertEquals(exchange.sent, 0);
  });
}

Deno.test("send() throws the error of a socket as it is", async () => {
  const { connection, transport, exchange } = begun({}, { kind: "deno" });
  transport.accepting = false;
  const sending = connection.send(exchange, bytes("abc"));
  const reason = new Deno.errors.ConnectionReset();
  transport.writes[0].reject(reason);
  assertStrictEquals(await thrown(sending), reason);
  assertStrictEquals(exchange.writeError!.reason, reason);
  assertEquals(exchange.phase, "send");
});

Deno.test("send() throws ConnectionReset when a socket says that its pipe is broken", async () => {
  const { connection, transport, exchange } = begun({}, { kind: "deno" });
  transport.accepting = false;
  const sending = connection.send(exchange, bytes("abc"));
  const reason = new Deno.errors.BrokenPipe();
  transport.writes[0].reject(reason);
  const error = await thrown(sending);
  assertInstanceOf(error, Deno.errors.ConnectionReset);
  assertStrictEquals(error.cause, reason);
});

Deno.test("send() marks the error of a user's transport as the user's", async () => {
  const { connection, transport, exchange } = begun();
  transport.accepting = false;
  const sending = connection.send(exchange, bytes("abc"));
  const reason = new Error("theirs");
  transport.writes[0].reject(reason);
  const error = await thrown(sending);
  assertInstanceOf(error, Thrown);
  assertStrictEquals(error.reason, reason);
  assertUntouched(reason);
});

Deno.test("send() is rejected when write() throws", async () => {
  const { connection, transport, exchange } = begun({}, { kind: "node" });
  const reason = new Error("broken");
  transport.write = () => {
    throw reason;
  };
  assertStrictEquals(await thrown(connection.send(exchange, bytes("abc"))), reason);
});

Deno.test("send() keeps the error of the first write that failed", async () => {
  const { connection, transport, exchange } = begun({}, { kind: "deno" });
  transport.accepting = false;
  const first = new Error("first");
  exchange.writeError = { reason: first };
  const sending = connection.send(exchange, bytes("abc"));
  transport.writes[0].reject(new Error("second"));
  await thrown(sending);
  assertStrictEquals(exchange.writeError.reason, first);
});

Deno.test("a write that failed is known not to have been accepted when the connection is exact", async () => {
  const { connection, transport, exchange } = begun({}, { kind: "deno" });
  connection.exact = true;
  transport.accepting = false;
  const sending = connection.send(exchange, bytes("abc"));
  assertEquals(exchange.facts().retrySafe, "idempotent-only");
  transport.writes[0].reject(new Deno.errors.BrokenPipe());
  await thrown(sending);
  assertEquals(exchange.facts().retrySafe, "yes");
});

Deno.test("send() throws why the exchange failed when a write is done after that", async () => {
  const { connection, transport, exchange } = begun();
  transport.accepting = false;
  let told = 0;
  const sending = connection.send(exchange, bytes("abc"), undefined, () => told++);
  transport.writes[0].accept(1);
  const reason = new Error("enough");
  exchange.fail(new Thrown(reason));
  const error = await thrown(sending);
  assertInstanceOf(error, Thrown);
  assertStrictEquals(error.reason, reason);
  assertEquals([transport.writes.length, told], [1, 0]);
});

for (let count = 0; count < 8; count++) {
  Deno.test(`send() tells of no write once its exchange has failed, ${count} microtasks after the write`, async () => {
    const { connection, transport, exchange } = begun();
    transport.accepting = false;
    const failed: boolean[] = [];
    const sending = connection.send(exchange, bytes("abc"), undefined, () => {
      failed.push(exchange.failure !== null);
    });
    sending.catch(() => {});
    transport.writes[0].accept(3);
    await microtasks(count);
    exchange.fail(new Error("enough"));
    await sending.catch(() => {});
    assert(!failed.includes(true));
  });
}

Deno.test("write() throws what the user has thrown as it is", async () => {
  const { connection, exchange } = begun();
  const writing = connection.write(bytes("abc"));
  const reason = new Error("enough");
  exchange.fail(new Thrown(reason));
  assertStrictEquals(await thrown(writing), reason);
  assertEquals(Object.keys(reason), []);
});

Deno.test("send() throws a ProtocolError when the server spoke before the request", async () => {
  const { connection, transport, exchange } = begun();
  const fill = connection.fill(exchange);
  transport.give("H");
  await fill;
  await assertRejects(
    () => soon(connection.send(exchange, bytes("GET"))),
    ProtocolError,
    "Cannot send: the server spoke before the request",
  );
  assertEquals(transport.writes.length, 0);
  assertEquals(exchange.isUnsent, true);
});

Deno.test("send() goes on when the server speaks after the first write", async () => {
  const { connection, transport, exchange } = begun();
  await connection.send(exchange, bytes("GET"));
  const fill = connection.fill(exchange);
  transport.give("HTTP");
  await fill;
  await soon(connection.send(exchange, bytes("more")));
  assertEquals(transport.sent, "GETmore");
});

Deno.test("send() writes bytes that are no request whatever the server has said", async () => {
  const { connection, transport, exchange } = begun({ method: "" });
  const fill = connection.fill(exchange);
  transport.give("220 ready");
  await fill;
  await soon(connection.send(exchange, bytes("EHLO")));
  assertEquals(transport.sent, "EHLO");
});

Deno.test("send() is rejected with the reason when the connection has ended", async () => {
  const { connection, transport, exchange } = begun();
  const reason = new Error("given up");
  connection.end(reason);
  assertStrictEquals(await thrown(connection.send(exchange, bytes("x"))), reason);
  assertEquals(transport.writes.length, 0);
});

Deno.test("send() lets the write deadline run for each write, and no longer", async () => {
  const { connection, transport, exchange } = begun({ limits: LIMITS });
  transport.accepting = false;
  const sending = connection.send(exchange, bytes("abc"));
  assertEquals(connection.deadlines.runs("write"), true);
  transport.writes[0].accept();
  await soon(sending);
  assertEquals(connection.deadlines.runs("write"), false);
  connection.close();
});

Deno.test("send() fails by the timeout when a write is not accepted", async () => {
  const { connection, transport, exchange } = begun({ limits: { timeout: 0.01 } });
  transport.accepting = false;
  const error = await thrown(connection.send(exchange, bytes("abc")));
  assertInstanceOf(error, Deno.errors.TimedOut);
  assertEquals(
    error.message,
    "Cannot send request: the timeout of 0.01 s has passed (phase send)",
  );
});

// Reading

Deno.test("fill() lets the deadlines of a read run while it waits", async () => {
  const { connection, transport, exchange } = begun({ limits: LIMITS });
  const fill = connection.fill(exchange);
  const { deadlines } = connection;
  assertEquals([deadlines.runs("read"), deadlines.runs("bodyIdle")], [true, true]);
  transport.give("abc");
  assertEquals(await soon(fill), 3);
  assertEquals([deadlines.runs("read"), deadlines.runs("bodyIdle")], [false, false]);
  connection.close();
});

Deno.test("fill() sets no deadline without limits", async () => {
  const { connection, transport, exchange } = begun();
  const fill = connection.fill(exchange);
  assertEquals(connection.deadlines.runs("read"), false);
  transport.end();
  assertEquals(await soon(fill), 0);
});

for (const limits of [{ timeout: 0.01 }, { bodyIdle: 0.01 }, { total: 0.01 }]) {
  const [name] = Object.keys(limits);
  Deno.test(`fill() and fillInto() fail by ${name} when nothing comes`, async () => {
    for (const into of [false, true]) {
      const { connection, exchange } = begun({ limits });
      const wait = into
        ? connection.fillInto(exchange, new Uint8Array(5))
        : connection.fill(exchange);
      assertInstanceOf(await thrown(wait), Deno.errors.TimedOut);
    }
  });
}

Deno.test("fillInto() reads into the caller's memory", async () => {
  for (const limits of [undefined, LIMITS]) {
    const { connection, transport, exchange } = begun({ limits });
    const target = new Uint8Array(5);
    const wait = connection.fillInto(exchange, target);
    assertEquals(connection.deadlines.runs("bodyIdle"), limits !== undefined);
    assertStrictEquals(transport.reads[0].target, target);
    transport.give("abc");
    assertEquals(await soon(wait), 3);
    assertEquals(connection.unconsumed, 0);
    connection.close();
  }
});

Deno.test("read() gives what is buffered first, then what comes, then null", async () => {
  const { connection, transport } = begun();
  const target = new Uint8Array(3);
  const first = connection.read(target);
  transport.give("abcde");
  assertEquals([await soon(first), latin1(target)], [3, "abc"]);
  assertEquals([await soon(connection.read(target)), latin1(target)], [2, "dec"]);
  const last = connection.read(target);
  transport.end();
  assertEquals(await soon(last), null);
});

Deno.test("read() calls no method of a class of the user's", async () => {
  class Own extends Uint8Array {
    override set(): void {
      throw new Error("called");
    }
  }
  const { connection, transport } = begun();
  const target = new Own(40);
  const read = connection.read(target);
  transport.give("a".repeat(40));
  assertEquals([await soon(read), latin1(target)], [40, "a".repeat(40)]);
});

Deno.test("write() sends on behalf of the exchange that is carried", async () => {
  const { connection, transport, exchange } = begun();
  assertEquals(await soon(connection.write(bytes("abc"))), 3);
  assertEquals([transport.sent, exchange.sent], ["abc", 3]);
});

Deno.test("write() throws why the connection has ended", async () => {
  const { connection, transport } = begun();
  const reason = new Error("given up");
  connection.end(reason);
  assertStrictEquals(await thrown(connection.write(bytes("abc"))), reason);
  assertEquals(transport.writes.length, 0);
});

/** What waits for the transport, and comes to its end. */
const WAITS: [title: string, run: (all: ReturnType<typeof begun>) => Promise<unknown>][] = [
  ["send()", ({ connection, exchange }) => connection.send(exchange, bytes("abc"))],
  ["fill()", ({ connection, exchange, transport }) => {
    const fill = connection.fill(exchange);
    transport.give("abc");
    return fill;
  }],
  ["fillInto()", ({ connection, exchange, transport }) => {
    const fill = connection.fillInto(exchange, new Uint8Array(9));
    transport.give("abc");
    return fill;
  }],
  ["awaitAnswer()", async ({ connection, exchange, transport }) => {
    await sendWhole(connection, exchange);
    const wait = connection.awaitAnswer(exchange, false);
    transport.give(OK);
    return await wait;
  }],
];

for (const [title, run] of WAITS) {
  Deno.test(`${title} leaves no timer that holds the process, nor a deadline that passes later`, async () => {
    using clock = new FakeClock();
    const all = begun({ limits: { timeout: 1, head: 2, bodyIdle: 2, total: 9 } });
    await run(all);
    assertEquals(clock.pending, [false]);
    clock.advance(20_000);
    assertStrictEquals(all.exchange.failure, null);
    assertEquals(clock.pending, []);
  });

  Deno.test(`${title} makes no timer when there are no limits`, async () => {
    using clock = new FakeClock();
    await run(begun());
    assertEquals(clock.waits, []);
  });
}

Deno.test("what comes of a head moves the timeout on", async () => {
  using clock = new FakeClock();
  const { connection, exchange, transport } = begun({ limits: { timeout: 1 } });
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  for (const piece of ["HTTP/1.1 200 O", "K\r\nContent-", "Length: 0\r\n", "\r\n"]) {
    clock.advance(900);
    transport.give(piece);
    await microtasks(10);
  }
  assertEquals((await wait).head.status, 200);
});

Deno.test("what is written moves the timeout of a head that is waited for on", async () => {
  using clock = new FakeClock();
  const { connection, exchange, transport } = begun({ limits: { timeout: 1 } });
  connection.awaitAnswer(exchange, false).catch(() => {});
  for (let i = 0; i < 3; i++) {
    clock.advance(900);
    await connection.send(exchange, bytes("abc"));
  }
  assertStrictEquals(exchange.failure, null);
  transport.accepting = false;
  clock.advance(1000);
  assertInstanceOf(exchange.failure!.reason, Deno.errors.TimedOut);
});

Deno.test("each write has the whole timeout", async () => {
  using clock = new FakeClock();
  const { connection, exchange, transport } = begun({ limits: { timeout: 1 } });
  transport.accepting = false;
  const sending = connection.send(exchange, bytes("abc"));
  for (let i = 0; i < 3; i++) {
    clock.advance(900);
    transport.writes[i].accept(1);
    await microtasks(10);
  }
  await sending;
  assertStrictEquals(exchange.failure, null);
});

// What keeps the process alive

/** Microtasks after which whoever has awaited a request has asked for its answer. */
const TO_ASK = 3;

/** A request that is out, whose answer is read though nobody waits for it. */
async function sentAndReceiving() {
  const all = begun();
  await sendWhole(all.connection, all.exchange);
  all.connection.receive(all.exchange, false).catch(() => {});
  all.connection.endSending();
  return all;
}

/** The same after a while. */
async function unawaited() {
  const all = await sentAndReceiving();
  await microtasks(TO_ASK);
  return all;
}

Deno.test("endSending() lets the process end while a head is read that nobody waits for", async () => {
  const { connection, transport, exchange } = await unawaited();
  assertEquals(transport.refs, ["unref"]);
  const wait = connection.awaitAnswer(exchange, false);
  assertEquals(transport.refs, ["unref", "ref"]);
  connection.awaitAnswer(exchange, false);
  transport.give(OK);
  await soon(wait);
  assertEquals(transport.refs, ["unref", "ref"]);
});

Deno.test("endSending() lets the process end while the read that was issued before the request is out", async () => {
  const { connection, transport, exchange } = begun();
  await connection.hasSpoken();
  await connection.probe(performance.now());
  await sendWhole(connection, exchange);
  connection.endSending();
  await microtasks(TO_ASK);
  assertEquals(transport.refs, ["unref"]);
  const wait = connection.awaitAnswer(exchange, false);
  assertEquals(transport.refs, ["unref", "ref"]);
  transport.give(OK);
  await soon(wait);
});

Deno.test("endSending() changes nothing when no head is read, or a call waits for it", async () => {
  const { connection, transport, exchange } = begun();
  await sendWhole(connection, exchange);
  connection.endSending();
  await microtasks(TO_ASK);
  assertEquals(transport.refs, []);
  const wait = connection.awaitAnswer(exchange, false);
  connection.endSending();
  await microtasks(TO_ASK);
  assertEquals(transport.refs, []);
  transport.give(OK);
  await soon(wait);
});

for (let ticks = 0; ticks < TO_ASK; ticks++) {
  Deno.test(`endSending() leaves a read alone whose head is asked for after ${ticks} microtasks`, async () => {
    const { connection, transport, exchange } = begun();
    await sendWhole(connection, exchange);
    connection.receive(exchange, false).catch(() => {});
    connection.endSending();
    for (let i = 0; i < ticks; i++) await null;
    const wait = connection.awaitAnswer(exchange, false);
    await microtasks(10);
    assertEquals(transport.refs, []);
    transport.give(OK);
    await soon(wait);
  });
}

for (const how of ["abandon", "detach", "close"] as const) {
  Deno.test(`endSending() leaves a transport alone on which ${how}() is called right after it`, async () => {
    const { connection, transport } = await sentAndReceiving();
    connection[how]();
    await microtasks(10);
    assertEquals(transport.refs, []);
  });
}

Deno.test("endSending() leaves the read of no other exchange that has begun meanwhile", async () => {
  const { connection, transport, answer } = await answered(OK);
  connection.endSending();
  await answer.body.gather(Infinity);
  const next = newExchange({ method: "GET" });
  connection.begin(next);
  const probe = connection.probe(performance.now());
  await microtasks(10);
  await probe;
  assertEquals([transport.reads.length, transport.refs], [1, []]);
  connection.close();
});

for (let ticks = 0; ticks < 8; ticks++) {
  Deno.test(`endSending() lets the process end when a read of a head ends ${ticks} microtasks later, and another one follows`, async () => {
    const all = begun();
    await sendWhole(all.connection, all.exchange);
    all.connection.receive(all.exchange, false).catch(() => {});
    all.connection.endSending();
    for (let i = 0; i < ticks; i++) await null;
    all.transport.give("HTTP/1.1 100 Continue\r\n\r\n");
    await microtasks(20);
    assertEquals([all.transport.reads.length, all.transport.refs], [1, ["unref"]]);
    all.connection.close();
  });
}

/** Has calls of `ref()` or `unref()` throw. */
function refuse(transport: ManualTransport, how: "ref" | "unref"): Error {
  const reason = new Error("of the user's");
  Object.assign(transport, {
    [how]() {
      throw reason;
    },
  });
  return reason;
}

Deno.test("endSending() fails the exchange with what the transport's unref() throws", async () => {
  const { connection, transport, exchange } = begun();
  const reason = refuse(transport, "unref");
  await sendWhole(connection, exchange);
  const answer = thrown(connection.receive(exchange, false));
  connection.endSending();
  await microtasks(10);
  assertStrictEquals(exchange.failure?.reason, reason);
  assertStrictEquals(await answer, reason);
  assertEquals(Object.keys(reason), []);
});

Deno.test("awaitAnswer() fails with what the transport's ref() throws", async () => {
  const { connection, transport, exchange } = await unawaited();
  const reason = refuse(transport, "ref");
  assertStrictEquals(await thrown(connection.awaitAnswer(exchange, false)), reason);
  assertEquals([Object.keys(reason), transport.closes], [[], 1]);
});

Deno.test("a write whose end leaves the connection ends though the transport's unref() throws", async () => {
  const { connection, transport, exchange } = await duplex(head("Content-Length: 5\r\n"), {
    kind: "node",
  });
  transport.accepting = false;
  const sent = connection.send(exchange, bytes("more"));
  const reason = refuse(transport, "unref");
  transport.writes.at(-1)!.accept();
  assertEquals(await soon(sent), 4);
  assertStrictEquals(exchange.failure?.reason, reason);
});

Deno.test("send() leaves a transport alone that was closed", async () => {
  const { connection, transport, exchange } = await unawaited();
  connection.close();
  await thrown(connection.send(exchange, bytes("more")));
  assertEquals(transport.refs, ["unref"]);
});

Deno.test("send() writes nothing when the transport's ref() throws", async () => {
  const { connection, transport, exchange } = await unawaited();
  const reason = refuse(transport, "ref");
  const { length } = transport.writes;
  const error = await thrown(connection.send(exchange, bytes("more")));
  assertStrictEquals(error instanceof Thrown ? error.reason : error, reason);
  assertEquals([transport.writes.length, exchange.failure?.reason], [length, reason]);
});

Deno.test("endSending() is asked anew for each exchange", async () => {
  const { connection, transport, answer } = await answered(OK);
  await answer.body.gather(Infinity);
  const next = newExchange({ method: "GET" });
  connection.begin(next);
  await sendWhole(connection, next);
  connection.receive(next, false).catch(() => {});
  connection.endSending();
  await microtasks(TO_ASK);
  assertEquals(transport.refs, ["unref"]);
  connection.close();
});

Deno.test("leaveFill() lets the process end, and the next call that waits keeps it alive", async () => {
  const { connection, transport, exchange } = await answered(head("Content-Length: 5\r\n"));
  const left = connection.fill(exchange);
  const reason = new Error("left");
  connection.leaveFill(reason);
  assertStrictEquals(await thrown(left), reason);
  assertEquals(transport.refs, ["unref"]);
  const fill = connection.fill(exchange);
  assertEquals(transport.refs, ["unref", "ref"]);
  transport.give("abc");
  assertEquals(await soon(fill), 3);
  connection.leaveFill(reason);
  const into = connection.fillInto(exchange, new Uint8Array(2));
  assertEquals(transport.refs, ["unref", "ref", "unref", "ref"]);
  connection.close();
  await thrown(into);
});

for (const [kind, refs] of [["deno", "unref"], ["node", "unref,ref,unref"]] as const) {
  Deno.test(`send() keeps the process alive as long as it writes, behind a wait that was left (${kind})`, async () => {
    const { connection, transport, exchange } = await answered(head("Content-Length: 5\r\n"));
    connection.kind = kind;
    const left = connection.fill(exchange);
    connection.leaveFill(new Error("left"));
    await thrown(left);
    for (const ends of [true, false]) {
      transport.accepting = false;
      const sent = connection.send(exchange, bytes("more"));
      assertEquals(transport.refs.at(-1), kind === "deno" ? "unref" : "ref");
      const write = transport.writes.at(-1)!;
      if (ends) write.accept();
      else write.reject(new Error("mine"));
      await sent.catch(() => {});
      assertEquals(transport.refs.at(-1), "unref");
      if (ends) assertEquals(transport.refs.join(), refs);
    }
    connection.close();
  });
}

Deno.test("leaveFill() lets the process end only when the write that is out has ended", async () => {
  const { connection, transport, exchange } = await answered(head("Content-Length: 5\r\n"));
  transport.accepting = false;
  const sent = connection.send(exchange, bytes("more"));
  const left = connection.fill(exchange);
  connection.leaveFill(new Error("left"));
  await thrown(left);
  assertEquals(transport.refs, []);
  transport.writes.at(-1)!.accept();
  await sent;
  assertEquals(transport.refs, ["unref"]);
  connection.close();
});

/** A connection whose last body was read to its end by what had come when a wait for it had been left. */
async function leftAndRead(kind: TransportKind) {
  const { connection, transport, exchange, answer } = await answered(head("Content-Length: 5\r\n"));
  connection.kind = kind;
  const left = connection.fill(exchange);
  connection.leaveFill(new Error("left"));
  await thrown(left);
  transport.give("hello");
  await microtasks(10);
  await answer.body.gather(Infinity);
  return { connection, transport };
}

Deno.test("begin() forgets that a wait was left in the exchange before", async () => {
  const { connection, transport } = await leftAndRead("node");
  const next = newExchange({ method: "GET" });
  connection.begin(next);
  next.send(SENDING_STEPS.send);
  transport.accepting = false;
  const sent = connection.send(next, bytes("GET / HTTP/1.1\r\n\r\n"));
  const wait = connection.awaitAnswer(next, false);
  transport.writes.at(-1)!.accept();
  await sent;
  assertEquals(transport.refs.at(-1), "ref");
  transport.give(OK);
  await soon(wait);
});

Deno.test("release() forgets that a wait was left: what is sent behind it leaves the process alive", async () => {
  const { connection, transport } = await leftAndRead("deno");
  const raw = newExchange({ method: "" });
  connection.beginRaw(raw);
  raw.send(SENDING_STEPS.send);
  await connection.send(raw, bytes("raw"));
  assertEquals(transport.refs, ["unref", "ref"]);
  connection.close();
});

Deno.test("endSending() lets the process end when the head has come, and nobody waits for the body", async () => {
  const { connection, transport, exchange } = await duplex(
    head("Content-Length: 10\r\n") + "hello",
  );
  exchange.send(SENDING_STEPS.finish);
  connection.endSending();
  await microtasks(TO_ASK);
  assertEquals(transport.refs, ["unref"]);
  connection.close();
});

Deno.test("endSending() lets the process end when a call had what it waited for", async () => {
  const { connection, transport, exchange } = await duplex(
    head("Content-Length: 10\r\n") + "hello",
  );
  const fill = connection.fill(exchange);
  transport.give("wo");
  await soon(fill);
  await microtasks(10);
  exchange.send(SENDING_STEPS.finish);
  connection.endSending();
  await microtasks(TO_ASK);
  assertEquals(transport.refs.at(-1), "unref");
  connection.close();
});

for (
  const [name, wait] of [
    ["fill()", ({ connection, exchange }) => connection.fill(exchange)],
    ["read()", ({ connection }) => connection.read(new Uint8Array(9))],
  ] as [string, (all: Awaited<ReturnType<typeof duplex>>) => Promise<unknown>][]
) {
  Deno.test(`endSending() leaves the process alive while a call waits for the body by ${name}`, async () => {
    const all = await duplex(head("Content-Length: 10\r\n") + "hello");
    all.connection.reader.take(5);
    const waiting = thrown(wait(all));
    all.exchange.send(SENDING_STEPS.finish);
    all.connection.endSending();
    await microtasks(TO_ASK);
    assertEquals(all.transport.refs.at(-1), "ref");
    all.connection.close();
    await waiting;
  });
}

Deno.test("endSending() leaves the process alive while a call reads directly into its memory", async () => {
  const { connection, transport, exchange } = await answered(head("Content-Length: 5\r\n"));
  const waiting = thrown(connection.fillInto(exchange, new Uint8Array(5)));
  connection.endSending();
  await microtasks(TO_ASK);
  assertEquals(transport.refs, []);
  connection.close();
  await waiting;
});

Deno.test("abandon() leaves the transport alone when a write ends behind it", async () => {
  const { connection, transport, exchange } = await answered(head("Content-Length: 5\r\n"));
  connection.kind = "node";
  const left = connection.fill(exchange);
  connection.leaveFill(new Error("left"));
  await thrown(left);
  transport.accepting = false;
  const sent = thrown(connection.send(exchange, bytes("more")));
  connection.abandon();
  await sent;
  transport.writes.at(-1)!.accept();
  await microtasks(10);
  assertEquals(transport.refs.at(-1), "ref");
});

Deno.test("a write leaves the process alive while a call waits for the body", async () => {
  const { connection, transport, exchange } = await answered(head("Content-Length: 5\r\n"));
  const left = connection.fill(exchange);
  connection.leaveFill(new Error("left"));
  await thrown(left);
  const fill = connection.fill(exchange);
  await connection.send(exchange, bytes("more"));
  assertEquals(transport.refs, ["unref", "ref"]);
  connection.close();
  await thrown(fill);
});

Deno.test("release() keeps the process alive again", async () => {
  const { connection, transport, exchange } = await unawaited();
  transport.give(OK);
  await microtasks(10);
  exchange.bodyEnded();
  exchange.endIfOver();
  assertEquals([connection.availability, transport.refs], ["idle", ["unref", "ref"]]);
});

Deno.test("abandon() and detach() hand the transport back as it was", async () => {
  const unreferenced = await unawaited();
  unreferenced.connection.abandon();
  assertEquals(unreferenced.transport.refs, ["unref", "ref"]);
  const untouched = begun();
  untouched.connection.abandon();
  assertEquals(untouched.transport.refs, []);
  const detached = begun();
  detached.connection.detach();
  assertEquals(detached.transport.refs, []);
});

Deno.test("abandon() and detach() let a socket of Node's keep the process alive", () => {
  for (const how of ["abandon", "detach"] as const) {
    const { connection, transport } = begun({}, { kind: "node" });
    connection[how]();
    assertEquals(transport.refs, ["ref"]);
  }
});

Deno.test("reading() reads what a reader has, and leaves the reader at its end", async () => {
  const transport = new ManualTransport();
  const reader = new BufferedReader(transport);
  const connection = Connection.reading(reader);
  assertEquals(connection.availability, "fresh");
  assertStrictEquals(connection.reader, reader);
  const exchange = newExchange({ method: "GET" });
  connection.begin(exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(head("Content-Length: 4\r\n") + "bo");
  await soon(wait);
  const fill = connection.fill(exchange);
  const reason = new Error("given up");
  connection.end(reason);
  assertStrictEquals(await thrown(fill), reason);
  assertEquals(latin1(reader.take(reader.available)), "bo");
  const next = reader.fill();
  transport.give("dy");
  assertEquals(await soon(next), 2);
});

// The head

Deno.test("receive() reads the head once, whoever asks", async () => {
  const { connection, transport, exchange } = begun();
  await sendWhole(connection, exchange);
  const one = connection.receive(exchange, false);
  assertEquals(exchange.receiving, "head");
  assertStrictEquals(connection.receive(exchange, false), one);
  transport.give(OK);
  const answer: Answer = await soon(one);
  assertEquals([answer.head.status, answer.framing.delimiter], [200, "length"]);
  assertStrictEquals(exchange.body, answer.body);
  assertStrictEquals(connection.receive(exchange, false), one);
});

Deno.test("receive() reads a head of its own for the next exchange", async () => {
  const { connection, transport, answer } = await answered(OK);
  await answer.body.gather(Infinity);
  const next = newExchange({ method: "GET" });
  connection.begin(next);
  await sendWhole(connection, next);
  const wait = connection.awaitAnswer(next, false);
  transport.give(head("Content-Length: 0\r\n", "404 Not Found"));
  assertEquals((await soon(wait)).head.status, 404);
});

Deno.test("receive() takes a head that comes in pieces", async () => {
  const { connection, transport, exchange } = begun();
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give("HTTP/1.1 200 O");
  await microtasks(8);
  transport.give("K\r\nContent-Length: 0\r\n\r\n");
  assertEquals((await soon(wait)).head.reason, "OK");
});

Deno.test("receive() fails the exchange when the head is malformed", async () => {
  const { connection, transport, exchange } = begun();
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give("SMTP ready\r\n");
  const error = await thrown(wait);
  assertInstanceOf(error, BadStatusLine);
  assertStrictEquals(exchange.failure!.reason, error);
  assertEquals(factsOf(error).phase, "head");
  assertEquals(transport.closes, 1);
});

Deno.test("receive() fails the exchange when the server ends the connection", async () => {
  const { connection, transport, exchange } = begun();
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.end();
  assertInstanceOf(await thrown(wait), RemoteDisconnected);
});

Deno.test("receive() gives the error of the write when one has failed and no answer comes", async () => {
  const { connection, transport, exchange } = begun();
  exchange.send(SENDING_STEPS.send);
  const reason = new Deno.errors.BrokenPipe();
  exchange.writeError = { reason };
  const wait = connection.receive(exchange, false);
  transport.end();
  assertStrictEquals(await thrown(wait), reason);
});

Deno.test("awaitAnswer() throws when the exchange has failed, and reads nothing", async () => {
  const { connection, transport, exchange } = begun();
  const reason = new Error("reset");
  exchange.fail(reason);
  assertStrictEquals(await thrown(connection.awaitAnswer(exchange, false)), reason);
  assertEquals(transport.reads.length, 0);
});

Deno.test("receive() lets nothing follow when the server says close", async () => {
  const { connection } = await answered(head("Connection: close\r\nContent-Length: 0\r\n"));
  assertEquals(connection.availability, "last");
});

Deno.test("receive() leaves the connection busy when the server does not say close", async () => {
  const { connection } = await answered(OK);
  assertEquals([connection.availability, connection.isSwitched], ["busy", false]);
});

Deno.test("receive() switches the connection when the answer is a 101", async () => {
  const { connection } = await answered(head("Upgrade: x\r\n", "101 Switching Protocols"));
  assertEquals([connection.availability, connection.isSwitched], ["switched", true]);
});

Deno.test("receive() switches the connection when a CONNECT succeeds", async () => {
  const { connection } = await answered(head(), { method: "CONNECT" });
  assertEquals(connection.isSwitched, true);
});

Deno.test("receive() tells each interim response, in order", async () => {
  const told: number[] = [];
  const statuses: number[] = [];
  const { connection, transport, exchange } = begun({}, {
    settings: { onInterim: ({ status }) => void told.push(status) },
  });
  exchange.oninterim = (status) => void statuses.push(status);
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(head("", "100 Continue") + head("Link: a\r\n", "103 Early Hints") + OK);
  await soon(wait);
  assertEquals(told, [100, 103]);
  assertEquals(statuses, [100, 103]);
});

Deno.test("receive() throws what the user's interim callback does, as it is", async () => {
  const reason = new Error("theirs");
  const { connection, transport, exchange } = begun({}, {
    settings: {
      onInterim: () => {
        throw reason;
      },
    },
  });
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(head("", "103 Early Hints") + OK);
  assertStrictEquals(await thrown(wait), reason);
  assertUntouched(reason);
});

Deno.test("receive() takes at most as many interim responses as the settings say", async () => {
  const { connection, transport, exchange } = begun({}, { settings: { maxInterim: 1 } });
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(head("", "103 Early Hints").repeat(2) + OK);
  assertInstanceOf(await thrown(wait), Error);
});

Deno.test("receive() traces interim responses and the head", async () => {
  const events: TraceEvent[] = [];
  const { connection, transport, exchange } = begun({ trace: (event) => void events.push(event) });
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(head("A: b\r\n", "103 Early Hints") + OK);
  await soon(wait);
  assertEquals(
    events.map((event) =>
      "status" in event ? [event.type, event.status, event.reason] : event.type
    ),
    [["interim", 103, "Early Hints"], ["responseHead", 200, "OK"]],
  );
  const [interim] = events;
  assert(interim.type === "interim");
  assertEquals(interim.headers.get("a"), "b");
});

Deno.test("receive() throws when the trace closes the connection at the head", async () => {
  const { connection, transport, exchange } = begun({
    trace: ({ type }) => {
      if (type === "responseHead") connection.close();
    },
  });
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(OK);
  assertInstanceOf(await thrown(wait), Deno.errors.Interrupted);
});

Deno.test("the head's deadline runs while a call waits for the head, and ends with the last of them", () => {
  const { connection, exchange } = begun({ limits: LIMITS });
  const { deadlines } = connection;
  connection.beginHeadWait(exchange);
  connection.beginHeadWait(exchange);
  assertEquals([deadlines.runs("head"), deadlines.runs("read")], [true, true]);
  connection.unlimitHead();
  assertEquals(deadlines.runs("head"), true);
  connection.endHeadWait();
  assertEquals([deadlines.runs("head"), deadlines.runs("read")], [true, true]);
  connection.endHeadWait();
  assertEquals([deadlines.runs("head"), deadlines.runs("read")], [false, false]);
  connection.close();
});

Deno.test("limitHead() begins the head's deadline, and unlimitHead() ends it when nobody waits", () => {
  const { connection, exchange } = begun({ limits: LIMITS });
  connection.limitHead(exchange);
  assertEquals(connection.deadlines.runs("head"), true);
  connection.unlimitHead();
  assertEquals(connection.deadlines.runs("head"), false);
});

Deno.test("limitHead() does nothing when the head is there", async () => {
  const { connection, exchange } = await answered(OK, { limits: LIMITS });
  connection.limitHead(exchange);
  assertEquals(connection.deadlines.runs("head"), false);
  connection.close();
});

Deno.test("limitHead() does not begin anew when the deadline runs", async () => {
  const { connection, exchange } = begun({ limits: { head: 0.02 } });
  await sendWhole(connection, exchange);
  connection.limitHead(exchange);
  const wait = connection.awaitAnswer(exchange, false);
  const { deadlines } = connection;
  const set = deadlines.set.bind(deadlines);
  const kinds: string[] = [];
  deadlines.set = (kind, ...rest) => {
    kinds.push(kind);
    set(kind, ...rest);
  };
  connection.limitHead(exchange);
  assertEquals(kinds, []);
  assertInstanceOf(await thrown(wait), Deno.errors.TimedOut);
});

// A server that goes away while the body goes out

/** A request whose body goes out behind its answer. */
async function duplex(text: string, how: Parameters<typeof begun>[1] = {}) {
  const all = begun({ method: "POST" }, how);
  all.exchange.send(SENDING_STEPS.send);
  await all.connection.send(all.exchange, bytes("POST / HTTP/1.1\r\n\r\n"));
  const wait = all.connection.awaitAnswer(all.exchange, false);
  all.transport.give(text);
  return { ...all, answer: await soon(wait) };
}

const LONG = head("Content-Length: 100000\r\n");

Deno.test("a server that goes away behind its answer cuts off the body that goes out", async () => {
  const { transport, exchange } = await duplex(LONG + "some");
  assertEquals(transport.reads.length, 1);
  transport.end();
  await microtasks(8);
  assertEquals(exchange.sending, "cut");
  assertInstanceOf(exchange.writeError!.reason, RemoteDisconnected);
  assertEquals(
    (exchange.writeError!.reason as Error).message,
    "Cannot send request: the server has closed the connection",
  );
});

Deno.test("a server that ends its answer and the connection lets the body go on", async () => {
  const { transport, exchange } = await duplex(OK);
  transport.end();
  await microtasks(8);
  assertEquals(exchange.sending, "going");
  assertStrictEquals(exchange.writeError, null);
});

Deno.test("a reset behind the answer cuts off the body that goes out", async () => {
  const { transport, exchange } = await duplex(LONG, { kind: "deno" });
  const reason = new Deno.errors.ConnectionReset();
  transport.fail(reason);
  await microtasks(8);
  assertEquals(exchange.sending, "cut");
  assertStrictEquals(exchange.writeError!.reason, reason);
});

Deno.test("an error of the user's transport behind the answer stays the user's", async () => {
  const { transport, exchange } = await duplex(LONG);
  const reason = new Error("theirs");
  transport.fail(reason);
  await microtasks(8);
  assertInstanceOf(exchange.writeError!.reason, Thrown);
  assertStrictEquals(exchange.writeError!.reason.reason, reason);
});

Deno.test("what comes behind the answer is read ahead until the buffer is half full", async () => {
  const { transport, connection } = await duplex(LONG);
  for (let i = 0; i < 4; i++) {
    assertEquals(transport.reads.length, 1);
    transport.give("x".repeat(8192));
    await microtasks(8);
  }
  assertEquals([connection.unconsumed, transport.reads.length], [32768, 0]);
});

Deno.test("nothing is read ahead when the request is whole", async () => {
  const { transport } = await answered(LONG);
  assertEquals(transport.reads.length, 0);
});

Deno.test("nothing is read ahead when the connection has switched", async () => {
  const { transport } = await duplex(head("", "101 Switching Protocols"));
  assertEquals(transport.reads.length, 0);
});

Deno.test("nothing more is read ahead once the body is out", async () => {
  const { transport, exchange } = await duplex(LONG);
  exchange.send(SENDING_STEPS.finish);
  transport.give("more");
  await microtasks(8);
  assertEquals(transport.reads.length, 0);
});

Deno.test("write() throws a TypeError while another one is at work, which goes on", async () => {
  const transport = new ManualTransport();
  const connection = Connection.over(transport);
  connection.begin(newExchange());
  const first = connection.write(bytes("one"));
  assertInstanceOf(await thrown(connection.write(bytes("two"))), TypeError);
  transport.writes[0].accept();
  assertEquals(await soon(first), 3);
  assertEquals(transport.sent, "one");
});

Deno.test("peer is the path of a unix socket, and null where that is a transport of the user's", () => {
  const transport = Object.assign(new ManualTransport(), {
    remoteAddr: { transport: "unix", path: "/run/socket" },
  });
  const connection = Connection.over(transport);
  assertEquals(connection.peer, null);
  connection.kind = "deno";
  assertEquals(connection.peer, "/run/socket");
});

Deno.test("peer is null where a socket does not tell its address", () => {
  const connection = Connection.over(new ManualTransport());
  connection.kind = "node";
  assertEquals(connection.peer, null);
});

Deno.test("closeEndsReads is false for a reader of the user's: nothing is read directly into the caller's memory", () => {
  const reader = new BufferedReader(new ManualTransport());
  assertEquals(Connection.reading(reader).closeEndsReads, false);
});

Deno.test("beginRaw() leaves the response beside it its limits", async () => {
  const { connection, transport, exchange } = begun({ limits: LIMITS });
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(head("Content-Length: 5\r\n"));
  await soon(wait);
  connection.beginRaw(newExchange({ method: "" }));
  const fill = thrown(connection.fill(exchange));
  assertEquals(connection.deadlines.runs("read"), true);
  connection.close();
  await fill;
});

Deno.test("release() leaves bytes beside the response nothing of its limits", async () => {
  const { connection, transport, exchange } = begun({ limits: LIMITS });
  await sendWhole(connection, exchange);
  const wait = connection.awaitAnswer(exchange, false);
  transport.give(head("Content-Length: 5\r\n") + "hello");
  const { body } = await soon(wait);
  connection.beginRaw(newExchange({ method: "" }));
  assertEquals(connection.deadlines.runs("total"), true);
  assertEquals(latin1(await soon(body.gather(Infinity))), "hello");
  assertEquals([connection.exchange, connection.deadlines.runs("total")], [null, false]);
  connection.close();
});

Deno.test("a server is watched while the body goes out without keeping the process alive", async () => {
  const { connection, transport } = await duplex(head("Content-Length: 10\r\n") + "hello");
  assertEquals([transport.refs, connection.reader.reading], [["unref"], true]);
  connection.close();
});

Deno.test("a server is watched by a socket of Node's that keeps the process alive while it writes", async () => {
  const { connection, transport, exchange } = await duplex(head("Content-Length: 10\r\n"), {
    kind: "node",
  });
  transport.accepting = false;
  const sent = connection.send(exchange, bytes("more"));
  transport.give("he");
  await microtasks(10);
  assertEquals(transport.refs.at(-1), "ref");
  transport.writes.at(-1)!.accept();
  await sent;
  assertEquals(transport.refs.at(-1), "unref");
  connection.close();
});

Deno.test("awaitAnswer() keeps the process alive when a write ends meanwhile", async () => {
  const { connection, transport, exchange } = begun({}, { kind: "node" });
  await connection.probe(performance.now());
  await sendWhole(connection, exchange);
  connection.endSending();
  await microtasks(TO_ASK);
  assertEquals(transport.refs.at(-1), "unref");
  const wait = connection.awaitAnswer(exchange, false);
  await connection.send(exchange, bytes("more"));
  assertEquals(transport.refs.at(-1), "ref");
  transport.give(OK);
  await soon(wait);
});

Deno.test("opened() throws why the connection has ended meanwhile", () => {
  const connection = new Connection();
  const reason = new Error("given up");
  connection.end(reason);
  assertStrictEquals(assertThrows(() => connection.opened()), reason);
});

Deno.test("awaitAnswer() does not keep the process alive when the head is there", async () => {
  const { connection, transport, exchange } = await duplex(
    head("Content-Length: 10\r\n") + "hello",
  );
  await soon(connection.awaitAnswer(exchange, false));
  assertEquals([transport.refs, connection.reader.reading], [["unref"], true]);
  connection.close();
});
