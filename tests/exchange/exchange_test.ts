/**
 * An exchange by itself: what it says of its two halves, what ends it, and who is told of that.
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
import {
  byUser,
  Closing,
  delivered,
  type Exchange,
  interrupted,
  NO_LIMITS,
  Thrown,
  timedOut,
} from "../../_internal/exchange/exchange.ts";
import type { TraceEvent } from "../../_internal/exchange/trace.ts";
import type { ExchangePhase } from "../../mod.ts";
import { carried, countedSignal, FakeCarrier, newExchange, Watcher } from "../helpers/carriers.ts";
import { assertUntouched, factsOf } from "../helpers/facts.ts";
import { FakeClock } from "../helpers/fake_clock.ts";
import { microtasks, never, soon, thrown } from "../helpers/waiting.ts";
import { RECEIVING_STEPS, SENDING_STEPS } from "../../_internal/exchange/states.ts";

/** What a promise has come to by now. */
async function stateOf(promise: Promise<unknown>): Promise<string> {
  let state = "pending";
  promise.then(() => state = "fulfilled", () => state = "rejected");
  await microtasks(4);
  return state;
}

function answer(exchange: Exchange, status = 200, willClose = false, body = new Watcher()): void {
  exchange.receive(RECEIVING_STEPS.await);
  exchange.answered({ status, willClose, body });
}

// What it begins with

Deno.test("Exchange has no limits, no trace and no failure when nothing is given", () => {
  const exchange = newExchange();
  assertStrictEquals(exchange.limits, NO_LIMITS);
  assertStrictEquals(exchange.trace, null);
  assertStrictEquals(exchange.failure, null);
  assertStrictEquals(exchange.writeError, null);
  assertStrictEquals(exchange.declared, null);
  assertEquals(exchange.framing, "none");
  assertEquals([exchange.sending, exchange.receiving], ["nothing", "nothing"]);
  assertEquals([exchange.delivered, exchange.closed, exchange.over], [false, false, false]);
  assertEquals([exchange.sent, exchange.given, exchange.received], [0, 0, 0]);
  assertEquals([exchange.willClose, exchange.facts().connectionReused], [false, false]);
});

Deno.test("Exchange keeps what it was begun with", () => {
  const limits = { total: 1 };
  const trace = () => {};
  const exchange = newExchange({ method: "PUT", target: "/a", url: "http://b/a", limits, trace });
  assertEquals([exchange.method, exchange.target, exchange.url], ["PUT", "/a", "http://b/a"]);
  assertStrictEquals(exchange.limits, limits);
  assertStrictEquals(exchange.trace, trace);
});

Deno.test("isRaw is true only for an exchange without a method", () => {
  assertEquals(newExchange({ method: "" }).isRaw, true);
  assertEquals(newExchange({ method: "GET" }).isRaw, false);
});

// Phases

const PHASES: [title: string, phase: ExchangePhase, run: (e: Exchange, c: FakeCarrier) => void][] =
  [
    ["nothing was sent", "send", () => {}],
    ["the body goes out", "send", (e) => e.send(SENDING_STEPS.send)],
    ["a 100 is waited for", "head", (e) => {
      e.send(SENDING_STEPS.send);
      e.send(SENDING_STEPS.wait);
    }],
    ["the request is whole", "head", (e) => {
      e.send(SENDING_STEPS.send);
      e.send(SENDING_STEPS.finish);
    }],
    ["the request was cut off", "head", (e) => e.send(SENDING_STEPS.cut)],
    ["the head is awaited while the body goes out", "send", (e) => {
      e.send(SENDING_STEPS.send);
      e.receive(RECEIVING_STEPS.await);
    }],
    ["the response's body has begun", "body", (e) => {
      e.send(SENDING_STEPS.send);
      answer(e);
    }],
    ["the response is whole, but not the request", "send", (e) => {
      e.send(SENDING_STEPS.send);
      answer(e);
      e.bodyEnded();
    }],
    ["both are whole", "body", (e) => {
      e.send(SENDING_STEPS.send);
      e.send(SENDING_STEPS.finish);
      answer(e);
      e.bodyEnded();
    }],
    ["a write has failed while the body of the response is read", "send", (e) => {
      e.send(SENDING_STEPS.send);
      answer(e);
      e.writeError = { reason: new Error("reset") };
    }],
    ["the connection is being made", "connect", (_, c) => c.opening = "connect"],
    ["TLS is begun", "tls", (_, c) => c.opening = "tls"],
  ];

for (const [title, phase, run] of PHASES) {
  Deno.test(`phase is ${phase} when ${title}`, () => {
    const { exchange, carrier } = carried();
    run(exchange, carrier);
    assertEquals(exchange.phase, phase);
    assertEquals(exchange.facts().phase, phase);
  });
}

Deno.test("phase is connect before the exchange has a connection", () => {
  assertEquals(newExchange().phase, "connect");
});

Deno.test("phase is that of its two halves when the connection was left", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  exchange.leave();
  assertEquals(exchange.phase, "head");
});

// Bytes received

Deno.test("received counts what was buffered before the exchange, and not what was consumed", () => {
  const exchange = newExchange();
  const carrier = new FakeCarrier();
  carrier.received = 100;
  carrier.unconsumed = 30;
  exchange.begin(carrier);
  assertEquals(exchange.received, 30);
  carrier.received = 150;
  assertEquals(exchange.received, 80);
});

Deno.test("received is 0 while the connection is opened for it", () => {
  const exchange = newExchange();
  const carrier = new FakeCarrier();
  carrier.received = 100;
  exchange.carrier = carrier;
  assertEquals(exchange.received, 0);
});

Deno.test("received stays as it was when the connection is left", () => {
  const { exchange, carrier } = carried();
  carrier.received = 20;
  exchange.leave();
  carrier.received = 50;
  assertEquals(exchange.received, 20);
});

Deno.test("leave() changes nothing when the connection was left before", () => {
  const { exchange, carrier } = carried();
  carrier.received = 20;
  exchange.leave();
  exchange.leave();
  assertEquals(exchange.received, 20);
});

Deno.test("received stays as it was when the exchange failed", () => {
  const { exchange, carrier } = carried();
  carrier.received = 20;
  exchange.fail(new Error("reset"));
  carrier.received = 50;
  assertEquals(exchange.received, 20);
});

// Whether it may be sent again

/** What befalls a request, and whether it may be sent again. */
interface RetryCase {
  title: string;
  safe: "yes" | "no" | "idempotent-only";
  run: (exchange: Exchange, carrier: FakeCarrier) => void;
}

const RETRIES: RetryCase[] = [
  { title: "no write was begun", safe: "yes", run: () => {} },
  {
    title: "no write was begun and the server has spoken",
    safe: "yes",
    run: (_, carrier) => carrier.received = 5,
  },
  { title: "a write is out", safe: "idempotent-only", run: (exchange) => exchange.beginWrite() },
  {
    title: "a write is out that could be told to have been rejected",
    safe: "idempotent-only",
    run: (exchange, carrier) => {
      carrier.exact = true;
      exchange.beginWrite();
    },
  },
  {
    title: "the first write was rejected, and the transport is exact about it",
    safe: "yes",
    run: (exchange, carrier) => {
      carrier.exact = true;
      exchange.beginWrite();
      exchange.wrote(0);
    },
  },
  {
    title: "the first write was rejected, and the transport is not exact about it",
    safe: "idempotent-only",
    run: (exchange) => {
      exchange.beginWrite();
      exchange.wrote(0);
    },
  },
  {
    title: "the first write was rejected, and the connection was left",
    safe: "idempotent-only",
    run: (exchange, carrier) => {
      carrier.exact = true;
      exchange.beginWrite();
      exchange.wrote(0);
      exchange.leave();
    },
  },
  {
    title: "a byte was accepted",
    safe: "idempotent-only",
    run: (exchange, carrier) => {
      carrier.exact = true;
      exchange.beginWrite();
      exchange.wrote(1);
    },
  },
  {
    title: "a byte was accepted and one was received",
    safe: "no",
    run: (exchange, carrier) => {
      exchange.beginWrite();
      exchange.wrote(1);
      carrier.received = 1;
    },
  },
];

for (const { title, safe, run } of RETRIES) {
  Deno.test(`retrySafe is ${safe} when ${title}`, () => {
    const { exchange, carrier } = carried();
    run(exchange, carrier);
    assertEquals(exchange.facts().retrySafe, safe);
  });
}

Deno.test("facts() has the bytes of both directions and whether the connection was reused", () => {
  const exchange = newExchange();
  const carrier = new FakeCarrier();
  carrier.reused = true;
  exchange.begin(carrier);
  exchange.beginWrite();
  exchange.wrote(7);
  exchange.wrote(2);
  carrier.received = 3;
  assertEquals(exchange.facts(), {
    phase: "send",
    requestBytesSent: 9,
    responseBytesReceived: 3,
    connectionReused: true,
    retrySafe: "no",
  });
});

Deno.test("facts() are those of the moment when the exchange failed", () => {
  const { exchange, carrier } = carried();
  carrier.received = 3;
  exchange.fail(new Error("reset"));
  const facts = exchange.facts();
  exchange.wrote(5);
  exchange.writeError = { reason: null };
  assertEquals(exchange.facts(), facts);
  assertEquals(facts.requestBytesSent, 0);
});

// Failing

Deno.test("fail() ends what is sent and what is received", () => {
  const exchange = newExchange({ method: "POST" });
  exchange.send(SENDING_STEPS.send);
  exchange.receive(RECEIVING_STEPS.await);
  exchange.fail(new Error("mine"));
  assertEquals([exchange.sending, exchange.receiving], ["cut", "cut"]);
});

Deno.test("fail() ends the connection and the body, and tells the owner, when the exchange runs", () => {
  const owner = new Watcher();
  const body = new Watcher();
  const { exchange, carrier } = carried({ owner });
  exchange.send(SENDING_STEPS.send);
  answer(exchange, 200, false, body);
  const error = new Error("reset");
  assertStrictEquals(exchange.fail(error), error);
  assertEquals(carrier.reasons, [error]);
  assertEquals(carrier.calls, ["end"]);
  assertEquals(body.calls, ["cut"]);
  assertEquals(owner.calls.toSorted(), ["failed", "over"]);
  assertEquals([exchange.sending, exchange.receiving], ["cut", "cut"]);
  assertStrictEquals(exchange.failure!.reason, error);
  assertStrictEquals(exchange.carrier, null);
  assertEquals(exchange.over, true);
  assertEquals(exchange.closed, false);
});

Deno.test("fail() puts facts on an error of this library, and gives the same to the owner", () => {
  const owner = new Watcher();
  const { exchange, carrier } = carried({ owner });
  carrier.received = 4;
  exchange.beginWrite();
  exchange.wrote(6);
  const error = new Error("reset");
  exchange.fail(error);
  const facts = {
    phase: "send" as const,
    requestBytesSent: 6,
    responseBytesReceived: 4,
    connectionReused: false,
    retrySafe: "no" as const,
  };
  assertEquals(factsOf(error), facts);
  assertEquals(owner.failures, [facts]);
});

Deno.test("fail() returns the first reason when the exchange has failed before", () => {
  const owner = new Watcher();
  const { exchange, carrier } = carried({ owner });
  const first = new Error("first");
  const second = new Error("second");
  exchange.fail(first);
  assertStrictEquals(exchange.fail(second), first);
  assertStrictEquals(exchange.failure!.reason, first);
  assertEquals(owner.failures.length, 1);
  assertEquals(carrier.reasons, [first]);
  assertUntouched(second);
});

Deno.test("fail() keeps a first reason that is undefined", () => {
  const { exchange } = carried();
  exchange.fail(new Thrown(undefined));
  assertStrictEquals(exchange.fail(new Error("second")), undefined);
});

Deno.test("fail() only unwraps the error when the exchange is over", () => {
  const owner = new Watcher();
  const { exchange } = carried({ owner });
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  answer(exchange);
  exchange.bodyEnded();
  exchange.endIfOver();
  const error = new Error("late");
  assertStrictEquals(exchange.fail(error), error);
  assertStrictEquals(exchange.fail(new Thrown(error)), error);
  assertStrictEquals(exchange.failure, null);
  assertEquals(owner.calls, ["over"]);
  assertUntouched(error);
});

Deno.test("fail() writes nothing to what code of the user's has thrown", () => {
  const owner = new Watcher();
  const { exchange } = carried({ owner });
  const reason = new Error("theirs");
  assertStrictEquals(exchange.fail(new Thrown(reason)), reason);
  assertUntouched(reason);
  assertEquals(owner.failures.length, 1);
});

Deno.test("fail() writes nothing to an error of the user's own transport", () => {
  const { exchange, carrier } = carried();
  const reason = new Error("theirs");
  carrier.theirs = reason;
  assertStrictEquals(exchange.fail(reason), reason);
  assertUntouched(reason);
});

Deno.test("fail() works before there is a connection, a body or an owner", () => {
  const exchange = newExchange();
  const error = new Error("refused");
  assertStrictEquals(exchange.fail(error), error);
  assertEquals(factsOf(error).phase, "connect");
});

Deno.test("fail() has left the connection when that is told of its end", () => {
  const { exchange, carrier } = carried();
  let seen: unknown;
  carrier.onend = () => {
    seen = [exchange.carrier, exchange.failure !== null, exchange.receiving];
    exchange.close("connection");
  };
  const error = new Error("reset");
  exchange.fail(error);
  assertEquals(seen, [null, true, "cut"]);
  assertStrictEquals(exchange.failure!.reason, error);
  assertEquals(exchange.closed, false);
});

Deno.test("check() throws the reason when the exchange has failed, and nothing before", () => {
  const { exchange } = carried();
  exchange.check();
  const reason = new Error("reset");
  exchange.fail(reason);
  assertStrictEquals(assertThrows(() => exchange.check()), reason);
});

// Closing

Deno.test("close() fails the exchange by an Interrupted with facts, and does not tell of a failure", () => {
  const owner = new Watcher();
  const { exchange, carrier } = carried({ owner });
  exchange.close("connection");
  const reason = exchange.failure!.reason;
  assertInstanceOf(reason, Deno.errors.Interrupted);
  assertEquals(reason.message, "Cannot send request: the connection was closed");
  assertEquals(factsOf(reason), exchange.facts());
  assertEquals(carrier.reasons, [reason]);
  assertEquals(owner.calls, ["over"]);
  assertEquals(exchange.closed, true);
});

Deno.test("close() changes nothing when the exchange has failed", () => {
  const { exchange } = carried();
  const error = new Error("reset");
  exchange.fail(error);
  exchange.close("connection");
  assertStrictEquals(exchange.failure!.reason, error);
  assertEquals(exchange.closed, false);
});

Deno.test("close() changes nothing when the exchange is over", () => {
  const { exchange } = carried();
  exchange.detach();
  exchange.close("connection");
  assertStrictEquals(exchange.failure, null);
  assertEquals(exchange.closed, false);
});

// Refusing

Deno.test("refuse() ends the exchange without a failure to tell, and writes nothing to the reason", () => {
  const owner = new Watcher();
  const { controller, listeners } = countedSignal();
  const exchange = newExchange({ owner });
  exchange.listen(controller.signal);
  const reason = new Error("no connection");
  assertStrictEquals(exchange.refuse(reason), reason);
  assertUntouched(reason);
  assertEquals(owner.calls, ["over"]);
  assertEquals(listeners(), 0);
  assertStrictEquals(exchange.failure!.reason, reason);
});

Deno.test("refuse() returns the first reason when the exchange has failed before", () => {
  const exchange = newExchange();
  const first = new Error("first");
  exchange.fail(first);
  assertStrictEquals(exchange.refuse(new Error("second")), first);
});

// Facts on errors

Deno.test("annotate() puts facts on an error, and returns it", () => {
  const { exchange } = carried();
  const error = new Error("reset");
  assertStrictEquals(exchange.annotate(error), error);
  assertEquals(factsOf(error), exchange.facts());
});

Deno.test("annotate() keeps the facts that an error has", () => {
  const error = Object.assign(new Error("reset"), { phase: "tls" });
  carried().exchange.annotate(error);
  assertEquals(error.phase, "tls");
  assertEquals("retrySafe" in error, false);
});

Deno.test("annotate() leaves a frozen error alone", () => {
  const error = Object.freeze(new Error("reset"));
  carried().exchange.annotate(error);
  assertUntouched(error);
});

Deno.test("annotate() leaves alone what is no error", () => {
  const reason = { name: "not an Error" };
  carried().exchange.annotate(reason);
  assertUntouched(reason);
  assertEquals(carried().exchange.annotate(undefined), undefined);
});

// Signals

Deno.test("listen() fails the exchange with the signal's reason as it is when that aborts", () => {
  const owner = new Watcher();
  const { exchange } = carried({ owner });
  const { controller, listeners } = countedSignal();
  exchange.listen(controller.signal);
  assertEquals(listeners(), 1);
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(exchange.failure!.reason, reason);
  assertUntouched(reason);
  assertEquals(owner.failures.length, 1);
  assertEquals(listeners(), 0);
});

Deno.test("listen() adds one listener when a signal is given twice", () => {
  const { exchange } = carried();
  const { controller, listeners } = countedSignal();
  exchange.listen(controller.signal);
  exchange.listen(controller.signal);
  assertEquals(listeners(), 1);
});

Deno.test("listen() hears each of several signals, and leaves all of them at the end", () => {
  const { exchange } = carried();
  const one = countedSignal();
  const two = countedSignal();
  exchange.listen(one.controller.signal);
  exchange.listen(two.controller.signal);
  two.controller.abort("second");
  assertEquals(exchange.failure, { reason: "second" });
  assertEquals([one.listeners(), two.listeners()], [0, 0]);
});

Deno.test("listen() throws the reason of a signal that is aborted, and does not listen", () => {
  const { exchange } = carried();
  const { controller, listeners } = countedSignal();
  const reason = new Error("enough");
  controller.abort(reason);
  const error = assertThrows(() => exchange.listen(controller.signal));
  assert((error as unknown) instanceof Thrown);
  assertStrictEquals((error as unknown as Thrown).reason, reason);
  assertEquals(listeners(), 0);
});

Deno.test("listen() does nothing without a signal", () => {
  const { exchange } = carried();
  exchange.listen(null);
  exchange.listen(undefined);
  assertStrictEquals(exchange.failure, null);
});

Deno.test("listen() leaves the signal alone once both halves are over", () => {
  const { exchange } = carried();
  const { controller, listeners } = countedSignal();
  exchange.listen(controller.signal);
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  answer(exchange);
  assertEquals(listeners(), 1);
  exchange.bodyEnded();
  assertEquals(listeners(), 0);
});

// Waiting

Deno.test("whenSent() waits until the first write begins, however many wait", async () => {
  const { exchange } = carried();
  const waits = [exchange.whenSent(), exchange.whenSent()];
  assertEquals(await stateOf(waits[0]), "pending");
  assertEquals(exchange.isUnsent, true);
  exchange.beginWrite();
  assertEquals(exchange.isUnsent, false);
  await soon(Promise.all(waits));
});

Deno.test("whenSent() resolves at once when a write was begun", async () => {
  const { exchange } = carried();
  exchange.beginWrite();
  assertEquals(await stateOf(exchange.whenSent()), "fulfilled");
});

Deno.test("whenSent() is rejected with the reason when the exchange fails", async () => {
  const { exchange } = carried();
  const wait = exchange.whenSent();
  const reason = new Error("refused");
  exchange.fail(reason);
  assertStrictEquals(await thrown(wait), reason);
});

Deno.test("whenSent() is rejected with the reason when the exchange has failed, though a write was begun", async () => {
  const { exchange } = carried();
  exchange.beginWrite();
  const reason = new Error("refused");
  exchange.fail(reason);
  assertStrictEquals(await thrown(exchange.whenSent()), reason);
});

Deno.test("until() gives true when the promise is fulfilled", async () => {
  assertEquals(await soon(carried().exchange.until(Promise.resolve(false))), true);
});

Deno.test("until() is rejected when the promise is", async () => {
  const reason = new Error("theirs");
  assertStrictEquals(await thrown(carried().exchange.until(Promise.reject(reason))), reason);
});

Deno.test("until() gives false at once when the request is stopped already", async () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.cut);
  assertEquals(await soon(exchange.until(never())), false);
});

Deno.test("until() gives false when the request is stopped meanwhile", async () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  const wait = exchange.until(never());
  assertEquals(await stateOf(wait), "pending");
  exchange.send(SENDING_STEPS.cut);
  assertEquals(await soon(wait), false);
});

Deno.test("until() goes on waiting when a step does not stop the request", async () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  const wait = exchange.until(never());
  exchange.send(SENDING_STEPS.finish);
  assertEquals(await stateOf(wait), "pending");
});

Deno.test("until() gives false when the exchange fails", async () => {
  const { exchange } = carried();
  const wait = exchange.until(never());
  exchange.fail(new Error("reset"));
  assertEquals(await soon(wait), false);
});

// Sending

Deno.test("send() notes when the request was out only once it is", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  assertStrictEquals(exchange.timings.sent, null);
  exchange.send(SENDING_STEPS.wait);
  assertStrictEquals(exchange.timings.sent, null);
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  assert(exchange.timings.sent! >= exchange.timings.start);
});

Deno.test("send() notes when the request was out where it is cut off", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.cut);
  assert(exchange.timings.sent! >= exchange.timings.start);
});

Deno.test("send() ends the reuse of the connection only when the request is cut off", () => {
  const { exchange, carrier } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  assertEquals(carrier.calls, []);
  const other = carried();
  other.exchange.send(SENDING_STEPS.send);
  other.exchange.send(SENDING_STEPS.cut);
  assertEquals(other.carrier.calls, ["endReuse"]);
  assertEquals(other.exchange.stopped, true);
});

Deno.test("send() cuts off an exchange that nothing carries", () => {
  const exchange = newExchange();
  exchange.send(SENDING_STEPS.cut);
  assertEquals(exchange.stopped, true);
});

Deno.test("lose() cuts the request off with the reason while it goes out", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  const reason = new Error("gone");
  exchange.lose(reason);
  assertStrictEquals(exchange.writeError!.reason, reason);
  assertEquals(exchange.sending, "cut");
});

Deno.test("lose() cuts the request off while a 100 is waited for", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.wait);
  exchange.lose(new Error("gone"));
  assertEquals(exchange.sending, "cut");
});

Deno.test("lose() keeps the error of a write that failed before", () => {
  const { exchange } = carried();
  const first = new Error("reset");
  exchange.send(SENDING_STEPS.send);
  exchange.writeError = { reason: first };
  exchange.lose(new Error("gone"));
  assertStrictEquals(exchange.writeError.reason, first);
});

Deno.test("lose() changes nothing when the request is whole", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  exchange.lose(new Error("gone"));
  assertStrictEquals(exchange.writeError, null);
  assertEquals(exchange.sending, "whole");
});

Deno.test("interruptSending() refuses what is to follow a request that is whole, with facts, and leaves its response", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.beginSend();
  exchange.send(SENDING_STEPS.finish);
  const reason = new Deno.errors.Interrupted("gone");
  exchange.interruptSending(reason);
  assertStrictEquals(exchange.followRefusal!.reason, reason);
  assertEquals(factsOf(reason).requestBytesSent, 0);
  assertEquals([exchange.sending, exchange.failure, exchange.writeError], ["whole", null, null]);
});

Deno.test("interruptSending() cuts off what is being sent", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.beginSend();
  const reason = new Deno.errors.Interrupted("gone");
  exchange.interruptSending(reason);
  assertStrictEquals(exchange.writeError!.reason, reason);
  assertStrictEquals(exchange.followRefusal!.reason, reason);
  assertEquals([exchange.sending, factsOf(reason).phase], ["cut", "send"]);
});

/** An exchange that is over, whose one send is `sent`. */
function ended(sent: Promise<void>, writeError: unknown = null): Exchange {
  const { exchange } = carried();
  exchange.setFirstSend(sent);
  exchange.send(SENDING_STEPS.send);
  if (writeError === null) exchange.send(SENDING_STEPS.finish);
  else exchange.lose(writeError);
  exchange.receive(RECEIVING_STEPS.await);
  exchange.receive(RECEIVING_STEPS.head);
  exchange.bodyEnded();
  assertEquals(exchange.over, true);
  return exchange;
}

Deno.test("lastSend is kept when the exchange is over and a write of it failed", () => {
  const sent = Promise.resolve();
  assertStrictEquals(ended(sent, new Error("reset")).lastSend, sent);
});

Deno.test("lastSend keeps nothing of the sends when the exchange is over and all went well", async () => {
  const sent = Promise.resolve();
  const { lastSend } = ended(sent);
  assert(lastSend !== sent);
  await lastSend;
});

Deno.test("busySending is true while a send is under way or waits", () => {
  const { exchange } = carried();
  assertEquals(exchange.busySending, false);
  exchange.beginSend();
  exchange.beginSend();
  assertEquals(exchange.busySending, true);
  exchange.endSend();
  assertEquals(exchange.busySending, true);
  exchange.endSend();
  assertEquals(exchange.busySending, false);
});

Deno.test("give() throws a TypeError and counts nothing when it is more than the declared length", () => {
  const { exchange } = carried();
  exchange.framing = "length";
  exchange.declared = 5;
  exchange.give(3);
  assertThrows(
    () => exchange.give(3),
    TypeError,
    "Cannot send body: it has more than the 5 bytes of its Content-Length",
  );
  assertEquals(exchange.given, 3);
  assertEquals(exchange.complete, false);
  exchange.give(2);
  assertEquals(exchange.complete, true);
});

Deno.test("give() takes any number of bytes when no length is declared", () => {
  const { exchange } = carried();
  exchange.framing = "chunked";
  exchange.give(1e9);
  assertEquals(exchange.given, 1e9);
  assertEquals(exchange.complete, true);
});

Deno.test("wrote() adds up what was accepted", () => {
  const { exchange } = carried();
  exchange.wrote(3);
  exchange.wrote(4);
  assertEquals(exchange.sent, 7);
});

// Answers

/** How far the request has gone, an answer, and whether that stops the request. */
const ANSWERS: [sending: string, status: number, willClose: boolean, stopped: boolean][] = [
  ["going", 200, false, false],
  ["going", 200, true, false],
  ["going", 299, true, false],
  ["going", 300, true, true],
  ["going", 300, false, false],
  ["going", 399, true, true],
  ["going", 399, false, false],
  ["going", 400, false, true],
  ["going", 599, false, true],
  ["waiting", 200, false, true],
  ["waiting", 404, false, true],
  ["whole", 404, true, false],
  ["nothing", 404, true, false],
];

for (const [sending, status, willClose, stopped] of ANSWERS) {
  const does = stopped ? "stops" : "does not stop";
  const closes = willClose ? "that closes " : "";
  Deno.test(`answered() ${does} a request that is ${sending} when ${status} ${closes}comes`, () => {
    const { exchange } = carried();
    if (sending !== "nothing") exchange.send(SENDING_STEPS.send);
    if (sending === "waiting") exchange.send(SENDING_STEPS.wait);
    if (sending === "whole") exchange.send(SENDING_STEPS.finish);
    answer(exchange, status, willClose);
    assertEquals(exchange.stopped, stopped);
    assertEquals(exchange.willClose, willClose);
    assertEquals(exchange.unread, true);
  });
}

Deno.test("fail() cuts off a request that waits for a 100", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.wait);
  exchange.fail(new Error("enough"));
  assertEquals([exchange.sending, exchange.stopped], ["cut", true]);
});

Deno.test("answered() notes the body and the time", () => {
  const { exchange } = carried();
  const body = new Watcher();
  assertStrictEquals(exchange.body, null);
  assertStrictEquals(exchange.timings.head, null);
  answer(exchange, 200, false, body);
  assertStrictEquals(exchange.body, body);
  assert(exchange.timings.head! >= exchange.timings.start);
});

Deno.test("bodyEnded() notes the end and the time", () => {
  const { exchange } = carried();
  answer(exchange);
  assertStrictEquals(exchange.timings.end, null);
  exchange.bodyEnded();
  assertEquals(exchange.receiving, "whole");
  assertEquals(exchange.unread, false);
  assert(exchange.timings.end! >= exchange.timings.start);
});

// Its end

/** A request that was sent, and whose response was read to its end. */
function read(start: { owner?: Watcher } = {}) {
  const all = carried(start);
  all.exchange.send(SENDING_STEPS.send);
  answer(all.exchange);
  all.exchange.bodyEnded();
  return all;
}

Deno.test("settle() frees the connection and tells the owner when both halves are whole", () => {
  const owner = new Watcher();
  const { exchange, carrier } = read({ owner });
  exchange.send(SENDING_STEPS.finish);
  exchange.endIfOver();
  assertEquals(exchange.over, true);
  assertEquals(carrier.calls, ["release"]);
  assertEquals(owner.calls, ["over"]);
});

Deno.test("endIfOver() lets go of the body, so that an idle connection holds none", () => {
  const { exchange } = read();
  exchange.send(SENDING_STEPS.finish);
  assert(exchange.body !== null);
  exchange.endIfOver();
  assertStrictEquals(exchange.body, null);
});

Deno.test("endIfOver() ends the exchange once", () => {
  const owner = new Watcher();
  const { exchange, carrier } = read({ owner });
  exchange.send(SENDING_STEPS.finish);
  exchange.endIfOver();
  exchange.endIfOver();
  exchange.detach();
  assertEquals(carrier.calls, ["release"]);
  assertEquals(owner.calls, ["over"]);
});

Deno.test("settle() waits for the end of the response", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  exchange.endIfOver();
  assertEquals(exchange.over, false);
  answer(exchange);
  exchange.endIfOver();
  assertEquals(exchange.over, false);
});

Deno.test("settle() waits for the rest of a request that goes on", () => {
  const { exchange } = read();
  exchange.endIfOver();
  assertEquals(exchange.over, false);
});

Deno.test("endIfOver() does not wait for the rest of a request when the server has said close", () => {
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  answer(exchange, 200, true);
  exchange.bodyEnded();
  exchange.endIfOver();
  assertEquals(exchange.over, true);
});

Deno.test("endIfOver() does not wait for a request that was cut off", () => {
  const { exchange } = read();
  exchange.send(SENDING_STEPS.cut);
  exchange.endIfOver();
  assertEquals(exchange.over, true);
});

Deno.test("endSend() ends the exchange with the last send", () => {
  const { exchange } = carried();
  exchange.beginSend();
  exchange.beginSend();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  answer(exchange);
  exchange.bodyEnded();
  exchange.endIfOver();
  assertEquals(exchange.over, false);
  exchange.endSend();
  assertEquals(exchange.over, false);
  exchange.endSend();
  assertEquals(exchange.over, true);
});

Deno.test("endSend() tells the connection, unless what was sent is no request", () => {
  for (const [method, calls] of [["POST", ["endSending"]], ["", []]] as const) {
    const { exchange, carrier } = carried({ method });
    exchange.beginSend();
    exchange.send(SENDING_STEPS.send);
    exchange.endSend();
    assertEquals(carrier.calls, calls as unknown as string[]);
  }
});

Deno.test("detach() ends the exchange, and does not release the connection", () => {
  const owner = new Watcher();
  const { exchange, carrier } = carried({ owner });
  carrier.received = 9;
  exchange.detach();
  assertEquals(exchange.over, true);
  assertEquals(carrier.calls, []);
  assertEquals(owner.calls, ["over"]);
  assertEquals(exchange.received, 9);
});

// The rest

Deno.test("tell() gives an event with its time to the trace", () => {
  const events: TraceEvent[] = [];
  const { exchange } = carried({ trace: (event) => events.push(event) });
  exchange.tell({ type: "responseEnd", total: 3 });
  const [event] = events;
  assert(event.time >= exchange.timings.start);
  assertEquals({ ...event, time: 0 }, { type: "responseEnd", total: 3, time: 0 });
});

Deno.test("tell() marks what a trace throws as thrown by the user", () => {
  const reason = new Error("theirs");
  const { exchange } = carried({
    trace: () => {
      throw reason;
    },
  });
  const error = assertThrows(() => exchange.tell({ type: "close" })) as unknown;
  assert(error instanceof Thrown);
  assertStrictEquals(error.reason, reason);
});

Deno.test("tell() does nothing without a trace", () => {
  carried().exchange.tell({ type: "close" });
});

Deno.test("guard() gives what does nothing while no signal was aborted and no deadline has passed", () => {
  const { exchange } = carried();
  exchange.listen(new AbortController().signal);
  exchange.guard()();
  assertEquals(exchange.failure, null);
});

Deno.test("guard() gives what throws the reason of a signal, also when the exchange is over", () => {
  const { exchange } = carried();
  const controller = new AbortController();
  exchange.listen(controller.signal);
  const check = exchange.guard();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  answer(exchange);
  exchange.bodyEnded();
  assert(exchange.over);
  check();
  const reason = new Error("No more");
  controller.abort(reason);
  assertStrictEquals(assertThrows(check), reason);
  assertUntouched(reason);
  assertEquals(exchange.failure, null);
});

Deno.test("byUser() returns what the call does", () => {
  assertEquals(byUser(() => 5), 5);
});

const MESSAGES: [ExchangePhase, string][] = [
  ["connect", "Cannot connect"],
  ["tls", "Cannot establish TLS"],
  ["send", "Cannot send request"],
  ["head", "Cannot get response"],
  ["body", "Cannot read response"],
];

for (const [phase, message] of MESSAGES) {
  Deno.test(`interrupted() and timedOut() say ${message} when the phase is ${phase}`, async () => {
    await assertRejects(
      () => Promise.reject(interrupted(phase, "response")),
      Deno.errors.Interrupted,
      `${message}: the response was closed`,
    );
    await assertRejects(
      () => Promise.reject(timedOut(phase, "head deadline", 2)),
      Deno.errors.TimedOut,
      `${message}: the head deadline of 2 s has passed (phase ${phase})`,
    );
  });
}

for (const [phase, message] of MESSAGES) {
  Deno.test(`timedOut() says once with whom when the phase is ${phase}`, () => {
    const { message: text } = timedOut(phase, "timeout", 2, "example.com:80");
    const [first, last] = phase === "connect"
      ? [" to example.com:80", ""]
      : phase === "tls"
      ? [" with example.com:80", ""]
      : ["", ", example.com:80"];
    assertEquals(text, `${message}${first}: the timeout of 2 s has passed (phase ${phase}${last})`);
  });
}

for (
  const [framing, ends] of [["none", true], ["chunked", true], ["length", false], [
    "caller",
    false,
  ]] as const
) {
  Deno.test(`endsWithThisSend is ${ends} when another send() waits and the framing is ${framing}`, () => {
    const exchange = newExchange();
    exchange.framing = framing;
    exchange.declared = 3;
    exchange.give(3);
    exchange.beginSend();
    assertEquals(exchange.endsWithThisSend, true);
    exchange.beginSend();
    assertEquals(exchange.endsWithThisSend, ends);
  });
}

Deno.test("watch() tells the owner when the work begins and when it is over", () => {
  const owner = new Watcher();
  const exchange = newExchange({ owner });
  const end = exchange.watch(() => {});
  assertEquals(owner.calls, ["working true"]);
  end();
  assertEquals(owner.calls, ["working true", "working false"]);
});

Deno.test("watch() fails the exchange, and tells who works, when the total deadline has passed", () => {
  using clock = new FakeClock();
  const exchange = newExchange({ limits: { total: 5 } });
  const told: unknown[] = [];
  const end = exchange.watch((reason) => told.push(reason));
  clock.advance(5000);
  const { reason } = exchange.failure!;
  assertInstanceOf(reason, Deno.errors.TimedOut);
  assertStringIncludes(
    reason.message,
    "Cannot read response: the total deadline of 5 s has passed",
  );
  assertStrictEquals(told.at(-1), reason);
  end();
});

Deno.test("watch() leaves no timer when the work is over", () => {
  using clock = new FakeClock();
  const exchange = newExchange({ limits: { total: 5 } });
  const end = exchange.watch(() => {});
  assertEquals(clock.pending, [true]);
  end();
  assertEquals(clock.pending, []);
});

Deno.test("delivered() puts the frames of who delivers an error behind its own, the nearest first", () => {
  const exchange = newExchange();
  const error = exchange.annotate(new Error("late"));
  const made = error.stack!.split("\n").length;
  const deliver = () => delivered(error);
  deliver();
  const frames = error.stack!.split("\n").slice(made);
  assertMatch(frames[0], /at deliver \(/);
});

Deno.test("Closing gives all that wait the same error", () => {
  const closing = new Closing("head", "connection", "example.com:80");
  const { reason } = closing;
  assertInstanceOf(reason, Deno.errors.Interrupted);
  assertStrictEquals(closing.reason, reason);
});

Deno.test("endSending() ends an exchange whose response was read", () => {
  const { exchange } = carried();
  exchange.framing = "length";
  exchange.declared = 5;
  exchange.send(SENDING_STEPS.send);
  exchange.receive(RECEIVING_STEPS.await);
  exchange.answered({ status: 200, willClose: false, body: new Watcher() });
  exchange.bodyEnded();
  assertEquals(exchange.over, false);
  exchange.endSending();
  assertEquals([exchange.over, exchange.sending, exchange.failure], [true, "cut", null]);
});

Deno.test("endWithSends() ends an exchange with the last of its sends", () => {
  const owner = new Watcher();
  const exchange = newExchange({ method: "", owner });
  exchange.beginSend();
  exchange.beginSend();
  exchange.endWithSends();
  exchange.endSend();
  assertEquals(exchange.over, false);
  exchange.endSend();
  assertEquals([exchange.over, exchange.failure], [true, null]);
});

Deno.test("endWithSends() ends an exchange at once where nothing is sent", () => {
  const exchange = newExchange({ method: "" });
  assertEquals(exchange.endsWithSends, false);
  exchange.endWithSends();
  assertEquals([exchange.over, exchange.endsWithSends], [true, true]);
});

Deno.test("lastSend is that of the head, for who asks before the call that sends it has returned", async () => {
  const exchange = newExchange();
  const head = Promise.withResolvers<void>();
  const before = exchange.lastSend;
  exchange.setFirstSend(head.promise);
  assertEquals(await stateOf(before), "pending");
  head.resolve();
  await soon(before);
});

Deno.test("lastSend is the send that a callback has begun, when the head's is known after it", () => {
  const exchange = newExchange();
  const head = exchange.lastSend;
  const sent = head.then(() => {});
  exchange.lastSend = sent;
  exchange.setFirstSend(Promise.resolve());
  assertStrictEquals(exchange.lastSend, sent);
});

Deno.test("lastSend that nobody waits for ends no process when the head fails", async () => {
  const exchange = newExchange();
  const before = exchange.lastSend;
  const reason = new Error("mine");
  exchange.setFirstSend(Promise.reject(reason));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertStrictEquals(await thrown(before), reason);
});

for (const how of ["resolves", "rejects"] as const) {
  Deno.test(`waitBehind() leaves no timer behind when what it waits for ${how}`, async () => {
    using clock = new FakeClock();
    const { exchange } = carried({ limits: { timeout: 5, total: 9 } });
    const before = Promise.withResolvers<void>();
    const waiting = exchange.waitBehind(before.promise).catch((error) => error);
    assertEquals(clock.pending, [true]);
    const reason = new Error("before");
    if (how === "resolves") before.resolve();
    else before.reject(reason);
    assertStrictEquals(await waiting, how === "resolves" ? undefined : reason);
    assertEquals(clock.pending, []);
  });
}
