/**
 * The connections of one client: which one the next request goes out on, and what becomes of the others.
 *
 * @module
 */
import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { type Connection, DEFAULT_SETTINGS } from "../../_internal/exchange/connection.ts";
import { Connections } from "../../_internal/exchange/connections.ts";
import type { Plan } from "../../_internal/exchange/connector.ts";
import { type Exchange, type ExchangeStart, Thrown } from "../../_internal/exchange/exchange.ts";
import type { TraceEvent } from "../../_internal/exchange/trace.ts";
import { tunnelTo } from "../../_internal/net/tunnel.ts";
import { HTTPConnection, ProtocolError, type Transport, TunnelError } from "../../mod.ts";
import { newExchange } from "../helpers/carriers.ts";
import { assertUntouched, factsOf } from "../helpers/facts.ts";
import { FakeTransport, over } from "../helpers/fake_transport.ts";
import { ManualTransport } from "../helpers/manual_transport.ts";
import { dialler, planOver } from "../helpers/plans.ts";
import { microtasks, never, soon, thrown, turns } from "../helpers/waiting.ts";
import { bytes, latin1 } from "../servers/raw.ts";
import { SENDING_STEPS } from "../../_internal/exchange/states.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LONG = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok";

function made(count = 2): ManualTransport[] {
  return Array.from({ length: count }, () => new ManualTransport({ accepting: true }));
}

/** Connections over these transports. */
function client(
  transports: (Transport | Promise<Transport>)[],
  plan: Partial<Plan> = {},
  trace: ((event: TraceEvent) => void) | null = null,
  onover: (exchange: Exchange) => void = () => {},
) {
  const dialled = dialler(...transports);
  const connections = new Connections({
    settings: DEFAULT_SETTINGS,
    trace,
    plan: (onproxy) => planOver(dialled.dial, { onproxy, ...plan }),
    onover,
  });
  const exchange = (start: Partial<ExchangeStart> = {}) =>
    newExchange({ method: "GET", owner: connections, ...start });
  return { connections, dialled, exchange };
}

/** Sends a request, and gets an answer. */
async function answer(connection: Connection, exchange: Exchange, text: string) {
  exchange.send(SENDING_STEPS.send);
  await connection.send(exchange, bytes("GET / HTTP/1.1\r\n\r\n"));
  exchange.send(SENDING_STEPS.finish);
  const wait = connection.awaitAnswer(exchange, false);
  (connection.transport as ManualTransport).give(text);
  return await soon(wait);
}

// Before anything is connected

Deno.test("Connections has no connection before one is opened", () => {
  const { connections, exchange } = client([]);
  assertStrictEquals(connections.current, null);
  assertStrictEquals(connections.sock, null);
  assertStrictEquals(connections.lastFailure, null);
  assertStrictEquals(connections.proxyHeaders, null);
  assertEquals(connections.open, false);
  assertStrictEquals(connections.claim(exchange()), null);
  assertStrictEquals(connections.detach(true), null);
  connections.close();
  connections.dispose();
});

// Opening

Deno.test("openFor() opens a connection, which carries the exchange", async () => {
  const [transport] = made();
  const { connections, dialled, exchange } = client([transport]);
  const one = exchange();
  const opening = connections.openFor(one);
  assertEquals(connections.current!.availability, "opening");
  assertEquals([connections.open, connections.sock], [true, null]);
  const connection = await soon(opening);
  assertStrictEquals(connections.current, connection);
  assertEquals([connection.availability, dialled.count], ["busy", 1]);
  assertStrictEquals(connection.exchange, one);
  assertStrictEquals(one.carrier, connection);
  assertStrictEquals(connections.sock, transport);
});

Deno.test("facts() tells of the current connection, and counts the request that is at work", async () => {
  const { connections, exchange } = client(made());
  assertEquals(connections.facts(), { connection: "closed", peer: null, requests: 0 });
  const one = exchange();
  const opening = connections.openFor(one);
  assertEquals(connections.facts().connection, "connect");
  const connection = await soon(opening);
  assertEquals(connections.facts(), { connection: "busy", peer: connection.peer, requests: 1 });
  connections.close();
  assertEquals(connections.facts().connection, "closed");
});

Deno.test("openFor() fails the exchange and leaves nothing when the transport cannot be made", async () => {
  const reason = new Error("refused");
  const { connections, exchange } = client([Promise.reject(reason)]);
  const one = exchange();
  assertStrictEquals(await thrown(connections.openFor(one)), reason);
  assertUntouched(reason);
  assertStrictEquals(one.failure!.reason, reason);
  assertStrictEquals(connections.current, null);
  assertEquals(connections.lastFailure!.phase, "connect");
});

Deno.test("openFor() closes what comes after an abort", async () => {
  const [transport] = made();
  const late = Promise.withResolvers<Transport>();
  const { connections, exchange } = client([late.promise]);
  const one = exchange();
  const opening = connections.openFor(one);
  await microtasks(4);
  const reason = new Error("enough");
  one.fail(new Thrown(reason));
  assertStrictEquals(await thrown(opening), reason);
  late.resolve(transport);
  await microtasks(10);
  assertEquals(transport.closes, 1);
  assertStrictEquals(connections.current, null);
});

Deno.test("openFor() throws a ProtocolError when a server of Deno's own sockets has spoken first", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { connections, exchange } = client([], {
    custom: async () => {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
      const peer = await listener.accept();
      await peer.write(bytes("220 ready"));
      peer.close();
      await turns(5);
      return conn;
    },
  });
  const one = exchange();
  await assertRejects(
    () => soon(connections.openFor(one)),
    ProtocolError,
    "Cannot send: the server spoke before the request",
  );
  one.fail(new Error("told"));
  connections.dispose();
});

Deno.test("openFor() waits for the connection that connect() opens", async () => {
  const [transport] = made();
  const { connections, dialled, exchange } = client([transport]);
  const connecting = connections.connect(exchange());
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  await connecting;
  assertEquals(dialled.count, 1);
  assertStrictEquals(connection.exchange, one);
});

Deno.test("openFor() opens another one when the connection that connect() opened is not silent", async () => {
  const [first, second] = made();
  const { connections, dialled, exchange } = client([first, second]);
  connections.connect(exchange());
  const one = exchange();
  const opening = connections.openFor(one);
  while (first.reads.length === 0) await microtasks(1);
  first.end();
  const connection = await soon(opening);
  assertEquals([dialled.count, first.closes], [2, 1]);
  assertStrictEquals(connection.transport, second);
  assertStrictEquals(connection.exchange, one);
});

Deno.test("openFor() throws why the exchange failed while another one opens the connection", async () => {
  const { connections, exchange } = client([never()]);
  const connecting = connections.connect(exchange());
  const one = exchange();
  const opening = connections.openFor(one);
  const reason = new Error("enough");
  one.fail(new Thrown(reason));
  assertStrictEquals(await thrown(opening), reason);
  connections.close();
  assertInstanceOf(await thrown(connecting), Deno.errors.Interrupted);
});

for (const call of ["connect", "openFor"] as const) {
  Deno.test(`${call}() fails when its exchange fails as the transport is there`, async () => {
    let isDone = false;
    for (let ticks = 0; !isDone; ticks++) {
      const [transport] = made();
      const { connections, exchange } = client([transport]);
      const one = exchange();
      const opening = connections[call](one).then(() => isDone = true, (error) => ({ error }));
      await microtasks(ticks);
      connections.close();
      const outcome = await opening;
      // What was opened for an exchange carries it by then, and whoever goes on with it looks at it.
      const isExpected = outcome === true && (one.failure === null || call === "openFor");
      if (!isExpected) assertEquals(outcome, { error: one.failure!.reason }, `after ${ticks}`);
    }
  });
}

Deno.test("connect() opens a connection for the requests to come", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const attempt = exchange();
  await soon(connections.connect(attempt));
  assertEquals(connections.current!.availability, "fresh");
  assertStrictEquals(connections.current!.exchange, null);
  assertStrictEquals(attempt.carrier, null);
  const one = exchange();
  assertStrictEquals(connections.claim(one), connections.current);
  assertStrictEquals(one.carrier, connections.current);
});

Deno.test("connect() joins the connect() before", async () => {
  const [transport] = made();
  const { connections, dialled, exchange } = client([transport]);
  await soon(Promise.all([connections.connect(exchange()), connections.connect(exchange())]));
  assertEquals(dialled.count, 1);
});

Deno.test("connect() waits for the connect() before, and fails with it", async () => {
  const opening = Promise.withResolvers<Transport>();
  const { connections, exchange } = client([opening.promise]);
  const first = connections.connect(exchange());
  const second = connections.connect(exchange());
  let settled = false;
  second.catch(() => settled = true).then(() => settled = true);
  await microtasks(20);
  assertEquals(settled, false);
  const reason = new Error("refused");
  opening.reject(reason);
  assertStrictEquals(await thrown(first), reason);
  assertStrictEquals(await thrown(second), reason);
});

Deno.test("connect() opens a connection after one that has failed", async () => {
  const [transport] = made();
  const reason = new Error("refused");
  const { connections, exchange } = client([Promise.reject(reason), transport]);
  const attempt = exchange();
  assertStrictEquals(await thrown(connections.connect(attempt)), reason);
  assertStrictEquals(attempt.failure!.reason, reason);
  await soon(connections.connect(exchange()));
  assertStrictEquals(connections.sock, transport);
});

Deno.test("connect() closes the connection that is open", async () => {
  const [first, second] = made();
  const { connections, exchange } = client([first, second]);
  await soon(connections.connect(exchange()));
  await soon(connections.connect(exchange()));
  assertEquals([first.closes, second.closes], [1, 0]);
  assertStrictEquals(connections.sock, second);
});

Deno.test("connect() keeps what was set as the transport when the old connection was left", async () => {
  const [first, second, third] = made(3);
  const { connections, dialled, exchange } = client([first, third]);
  await soon(connections.connect(exchange()));
  await soon(connections.connect(exchange(), () => connections.sock = second));
  assertStrictEquals(connections.sock, second);
  assertEquals([dialled.count, second.closes], [1, 0]);
});

Deno.test("connect() leaves the connection to the response that was not read", async () => {
  const [first, second] = made();
  const { connections, exchange } = client([first, second]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  const { body } = await answer(connection, one, LONG);
  await soon(connections.connect(exchange()));
  assertEquals([first.closes, connection.availability], [0, "last"]);
  const read = body.gather(Infinity);
  await microtasks(4);
  first.give("1234567");
  assertEquals(latin1(await soon(read)), "ok1234567");
  assertEquals(first.closes, 1);
});

Deno.test("connect() tells the headers of the proxy, and fails when that refuses", async () => {
  const [transport] = made();
  const tunnel = tunnelTo({ host: "origin", port: 443 }, []);
  const { connections, exchange } = client([transport], { tunnel });
  const attempt = exchange();
  const connecting = connections.connect(attempt);
  while (transport.reads.length === 0) await microtasks(1);
  transport.give("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-A: b\r\n\r\n");
  const error = await thrown(connecting);
  assertInstanceOf(error, TunnelError);
  assertEquals(connections.proxyHeaders!.get("proxy-a"), "b");
  assertEquals([transport.closes, factsOf(error).phase], [1, "connect"]);
});

// Claiming

Deno.test("claim() gives an idle connection", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  await (await answer(connection, one, OK)).body.gather(Infinity);
  const two = exchange();
  assertStrictEquals(connections.claim(two), connection);
  assertStrictEquals(connection.exchange, two);
  assertEquals(transport.closes, 0);
});

Deno.test("claim() gives no connection that is still opened", () => {
  const { connections, exchange } = client([never()]);
  const opening = connections.openFor(exchange());
  opening.catch(() => {});
  const { current } = connections;
  assertStrictEquals(connections.claim(exchange()), null);
  assertStrictEquals(connections.current, current);
  connections.close();
});

Deno.test("claim() frees the connection of a response that has come whole, which stays readable", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  const { body } = await answer(connection, one, OK);
  const two = exchange();
  assertStrictEquals(connections.claim(two), connection);
  assertStrictEquals(connection.exchange, two);
  connections.close();
  assertEquals(latin1(await body.gather(Infinity)), "ok");
});

Deno.test("dispose() ends a response that took its bytes with it", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  const { body } = await answer(connection, one, OK);
  connections.claim(exchange());
  connections.dispose();
  assertInstanceOf(await thrown(body.gather(Infinity)), Deno.errors.Interrupted);
});

Deno.test("claim() leaves the connection to a response that has not come whole", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  await answer(connection, one, LONG);
  const two = exchange();
  assertStrictEquals(connections.claim(two), null);
  assertStrictEquals(connections.current, null);
  assertEquals([connection.availability, transport.closes], ["last", 0]);
  assertStrictEquals(connection.exchange, one);
  assertStrictEquals(two.carrier, null);
  connections.dispose();
  assertEquals(transport.closes, 1);
  assertInstanceOf(one.failure!.reason, Deno.errors.Interrupted);
});

Deno.test("claim() closes a connection whose exchange has no response", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  await soon(connections.openFor(one));
  assertStrictEquals(connections.claim(exchange()), null);
  assertEquals(transport.closes, 1);
  assertInstanceOf(one.failure!.reason, Deno.errors.Interrupted);
});

Deno.test("claim() closes a connection that has switched protocols", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  await answer(connection, one, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
  assertEquals(connections.open, false);
  assertStrictEquals(connections.claim(exchange()), null);
  assertEquals(transport.closes, 1);
});

/** Whether a connection that was claimed may be used. */
async function isUsable(
  connections: Connections,
  claimed: Connection,
  exchange: Exchange,
): Promise<boolean> {
  await connections.probe(claimed, performance.now());
  return connections.isUsable(claimed, exchange);
}

Deno.test("claim() forgets a connection that was closed", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  await soon(connections.connect(exchange()));
  connections.current!.close();
  assertStrictEquals(connections.claim(exchange()), null);
  assertStrictEquals(connections.current, null);
  assertStrictEquals(connections.sock, null);
});

Deno.test("isUsable() is true for a connection that is silent", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  await soon(connections.connect(exchange()));
  const one = exchange();
  const connection = connections.claim(one)!;
  assertEquals(await soon(isUsable(connections, connection, one)), true);
  assertStrictEquals(connection.exchange, one);
});

Deno.test("isUsable() gives up a connection that has ended or spoken, and leaves the exchange", async () => {
  for (const how of ["end", "give"] as const) {
    const [transport] = made();
    const { connections, exchange } = client([transport]);
    await soon(connections.connect(exchange()));
    const one = exchange();
    const connection = connections.claim(one)!;
    const usable = isUsable(connections, connection, one);
    transport[how]("unasked");
    assertEquals(await soon(usable), false);
    assertStrictEquals(connections.current, null);
    assertEquals([transport.closes, one.failure, one.carrier], [1, null, null]);
  }
});

Deno.test("isUsable() throws why the exchange failed meanwhile", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  await soon(connections.connect(exchange()));
  const one = exchange();
  const usable = isUsable(connections, connections.claim(one)!, one);
  const reason = new Error("enough");
  one.fail(new Thrown(reason));
  assertStrictEquals(await thrown(usable), reason);
});

Deno.test("isUsable() throws a ProtocolError when the proxy has answered for the origin", async () => {
  const [transport] = made();
  const tunnel = tunnelTo({ host: "origin", port: 80 }, []);
  const { connections, exchange } = client([transport], { tunnel });
  const connecting = connections.connect(exchange());
  while (transport.reads.length === 0) await microtasks(1);
  transport.give("HTTP/1.1 200 OK\r\n\r\nH");
  await soon(connecting);
  const one = exchange();
  await assertRejects(
    () => soon(isUsable(connections, connections.claim(one)!, one)),
    ProtocolError,
    "the server spoke before the request",
  );
});

Deno.test("checkUnspoken() asks nothing of a connection for bytes that are no request", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const raw = exchange({ method: "" });
  connections.sock = transport;
  const connection = connections.current!;
  const fill = connection.reader.fill();
  transport.give("220 ready");
  await fill;
  await soon(connections.checkUnspoken(connection, raw));
  await assertRejects(
    () => soon(connections.checkUnspoken(connection, exchange())),
    ProtocolError,
  );
});

Deno.test("checkUnspoken() throws why the exchange failed", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  connections.sock = transport;
  const one = exchange();
  const check = connections.checkUnspoken(connections.current!, one);
  const reason = new Error("enough");
  one.fail(new Thrown(reason));
  assertStrictEquals(await thrown(check), reason);
});

// sock

Deno.test("sock makes a connection of a transport that is set", () => {
  const [transport] = made();
  const { connections, exchange } = client([]);
  connections.sock = transport;
  assertStrictEquals(connections.sock, transport);
  assertEquals(connections.open, true);
  assertStrictEquals(connections.claim(exchange()), connections.current);
  connections.close();
  assertEquals(transport.closes, 1);
  assertStrictEquals(connections.sock, null);
});

Deno.test("sock leaves the transport before to the user, and fails what runs over it", async () => {
  const [first, second] = made();
  const { connections, exchange } = client([first]);
  const one = exchange();
  await soon(connections.openFor(one));
  connections.sock = second;
  assertEquals(first.closes, 0);
  assertInstanceOf(one.failure!.reason, Deno.errors.Interrupted);
  assertStrictEquals(connections.sock, second);
});

Deno.test("sock leaves the transport before to the response that was not read", async () => {
  const [first, second] = made();
  const { connections, exchange } = client([first]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  const { body } = await answer(connection, one, LONG);
  connections.sock = second;
  assertStrictEquals(one.failure, null);
  assertEquals(connection.availability, "last");
  const read = body.gather(Infinity);
  await microtasks(4);
  first.give("1234567");
  assertEquals(latin1(await soon(read)), "ok1234567");
});

Deno.test("sock fails a response that was not read while its request still goes out", async () => {
  const [first, second] = made();
  const { connections, exchange } = client([first]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  one.beginSend();
  await answer(connection, one, LONG);
  connections.sock = second;
  assertInstanceOf(one.failure!.reason, Deno.errors.Interrupted);
  assertEquals(first.closes, 0);
});

Deno.test("sock closes the connection that is still opened", async () => {
  const [late, second] = made();
  const opening = Promise.withResolvers<Transport>();
  const { connections, exchange } = client([opening.promise]);
  const one = exchange();
  const wait = connections.openFor(one);
  await microtasks(4);
  connections.sock = second;
  assertInstanceOf(await thrown(wait), Deno.errors.Interrupted);
  opening.resolve(late);
  await microtasks(10);
  assertEquals([late.closes, second.closes], [1, 0]);
  assertStrictEquals(connections.sock, second);
});

Deno.test("sock leaves no connection when it is set to null", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  await soon(connections.connect(exchange()));
  connections.sock = null;
  assertStrictEquals(connections.current, null);
  assertStrictEquals(connections.sock, null);
  assertEquals(transport.closes, 0);
});

Deno.test("sock leaves the connection to the response that was not read when it is set to null", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  await answer(connection, one, LONG);
  connections.sock = null;
  assertStrictEquals(connections.current, null);
  assertStrictEquals(connections.sock, null);
  connections.close();
  assertEquals([transport.closes, one.failure], [0, null]);
  connections.dispose();
  assertEquals(transport.closes, 1);
});

Deno.test("sock is what the next connection runs over when that is opened anew", async () => {
  const [first, second] = made();
  const { connections, exchange } = client([second]);
  connections.sock = first;
  connections.current!.close();
  await soon(connections.connect(exchange()));
  assertStrictEquals(connections.sock, second);
});

Deno.test("openFor() takes the transport that was set while a request looked for its connection", async () => {
  const [first, second] = made();
  const { connections, exchange } = client([first]);
  connections.sock = second;
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  assertStrictEquals(connection.transport, second);
  assertStrictEquals(connections.current, connection);
  connections.close();
  assertEquals([first.closes, second.closes], [0, 1]);
});

Deno.test("sock leaves no transport open whenever it is set during a request on a connection that has ended", async () => {
  for (let count = 0; count < 30; count++) {
    const set = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(new FakeTransport()));
    conn.sock = new FakeTransport([], { ended: true });
    const sent = conn.request("GET", "/");
    await microtasks(count);
    conn.sock = set;
    await Promise.allSettled([sent]);
    conn.close();
    assertEquals(set.closes, 1);
  }
});

// Lending, closing, handing over

Deno.test("lend() leaves the connection to the response of its exchange", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  await answer(connection, one, LONG);
  connections.lend(one);
  assertStrictEquals(connections.current, null);
  assertStrictEquals(connections.sock, null);
  connections.close();
  assertEquals([transport.closes, connection.availability], [0, "last"]);
  connections.dispose();
  assertEquals(transport.closes, 1);
});

Deno.test("dispose() has nothing to do with a response that has ended since it was lent its connection", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  await answer(connection, one, LONG);
  connections.lend(one);
  one.fail(new Error("enough"));
  let closes = 0;
  one.close = () => void closes++;
  connections.dispose();
  assertEquals(closes, 0);
});

Deno.test("openFor() waits for the connection that is opened now, not for one that was given up before", async () => {
  const [first, second] = [Promise.withResolvers<Transport>(), Promise.withResolvers<Transport>()];
  const { connections, exchange } = client([first.promise, second.promise]);
  const given = connections.openFor(exchange());
  given.catch(() => {});
  await microtasks(4);
  connections.close();
  const opening = connections.openFor(exchange());
  await microtasks(4);
  const [late, transport] = made(2);
  first.resolve(late);
  await microtasks(20);
  let isOpen = false;
  const joining = connections.connect(exchange({ method: "" })).then(() => isOpen = true);
  await microtasks(20);
  assertEquals(isOpen, false);
  second.resolve(transport);
  await soon(Promise.all([opening, joining]));
});

Deno.test("lend() changes nothing for an exchange that the connection does not carry", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const connection = await soon(connections.openFor(exchange()));
  connections.lend(exchange());
  assertStrictEquals(connections.current, connection);
  assertEquals(connection.availability, "busy");
});

Deno.test("lend() keeps a connection that has switched protocols", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  await answer(connection, one, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
  connections.lend(one);
  assertStrictEquals(connections.current, connection);
});

Deno.test("close() ends the connection that is opened", async () => {
  const [transport] = made();
  const opening = Promise.withResolvers<Transport>();
  const { connections, exchange } = client([opening.promise]);
  const one = exchange();
  const wait = connections.openFor(one);
  await microtasks(4);
  connections.close();
  const error = await thrown(wait);
  assertInstanceOf(error, Deno.errors.Interrupted);
  assertEquals(error.message, "Cannot connect to example.com:80: the connection was closed");
  opening.resolve(transport);
  await microtasks(10);
  assertEquals(transport.closes, 1);
  assertStrictEquals(connections.lastFailure, null);
});

Deno.test("dispose() ends the current connection, too", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  await soon(connections.connect(exchange()));
  connections.dispose();
  assertEquals(transport.closes, 1);
  assertStrictEquals(connections.current, null);
});

Deno.test("lastFailure has the facts of the exchange that failed last", async () => {
  const [first, second] = made();
  const { connections, exchange } = client([first, second]);
  const one = exchange();
  await soon(connections.openFor(one));
  one.fail(new Error("reset"));
  const facts = connections.lastFailure!;
  assertEquals(facts, one.facts());
  const two = exchange();
  const connection = await soon(connections.openFor(two));
  assertStrictEquals(connections.lastFailure, facts);
  await connection.send(two, bytes("GET"));
  two.fail(new Error("reset"));
  assertEquals(connections.lastFailure!.requestBytesSent, 3);
});

Deno.test("detach() hands over a connection that has switched protocols", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  await answer(connection, one, "HTTP/1.1 101 Switching Protocols\r\n\r\nearly");
  const detached = connections.detach(false)!;
  assertStrictEquals(detached.transport, transport);
  assertEquals(latin1(detached.buffered), "early");
  assertStrictEquals(connections.current, null);
  assertStrictEquals(connections.sock, null);
  connections.dispose();
  assertEquals(transport.closes, 0);
});

Deno.test("detach() hands over a fresh connection only when that is asked for", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  await soon(connections.connect(exchange()));
  assertStrictEquals(connections.detach(false), null);
  assertStrictEquals(connections.sock, transport);
  assertStrictEquals(connections.detach(true)!.transport, transport);
});

Deno.test("detach() hands over no connection that is busy", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  await soon(connections.openFor(exchange()));
  assertStrictEquals(connections.detach(true), null);
  assertStrictEquals(connections.sock, transport);
});

Deno.test("detach() hands over nothing while the request still goes out", async () => {
  const [transport] = made();
  const { connections, exchange } = client([transport]);
  const one = exchange();
  const connection = await soon(connections.openFor(one));
  one.beginSend();
  await answer(connection, one, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
  assertStrictEquals(connections.detach(false), null);
  assertStrictEquals(connections.current, connection);
});

Deno.test("the trace of a client is told when a connection is closed", async () => {
  const [transport] = made();
  const events: string[] = [];
  const trace = ({ type }: TraceEvent) => void events.push(type);
  const { connections, exchange } = client([transport], {}, trace);
  await soon(connections.connect(exchange()));
  connections.close();
  assertEquals(events, ["close"]);
  connections.sock = made(1)[0];
  connections.close();
  assertEquals(events, ["close", "close"]);
});

Deno.test("over() tells of the exchange", () => {
  const told: Exchange[] = [];
  const { connections, exchange } = client([], {}, null, (over) => told.push(over));
  const one = exchange();
  connections.over(one);
  assertEquals(told.length, 1);
  assertStrictEquals(told[0], one);
});
