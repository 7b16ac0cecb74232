/**
 * Sending a request over a transport in memory: how many writes there are and of what, what a source that
 * is slow, throws or never settles does to it, and what becomes of it when an answer comes early or a
 * write fails.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { Connection } from "../../_internal/exchange/connection.ts";
import { type Exchange, type ExchangeStart, Thrown } from "../../_internal/exchange/exchange.ts";
import { type Content, OVER, type Pieces } from "../../_internal/exchange/request_body.ts";
import {
  more,
  type Outgoing,
  outgoing,
  sendError,
  sendRequest,
} from "../../_internal/exchange/send_request.ts";
import type { TraceEvent } from "../../_internal/exchange/trace.ts";
import type { TransportKind } from "../../_internal/net/platform.ts";
import { RequestHead } from "../../_internal/wire/request_head.ts";
import { newExchange, Watcher } from "../helpers/carriers.ts";
import { assertUntouched, factsOf } from "../helpers/facts.ts";
import { FakeClock } from "../helpers/fake_clock.ts";
import { ManualTransport } from "../helpers/manual_transport.ts";
import { microtasks, never, soon, thrown, turns } from "../helpers/waiting.ts";
import { bytes, latin1 } from "../servers/raw.ts";
import { RECEIVING_STEPS, SENDING_STEPS } from "../../_internal/exchange/states.ts";

const HEAD = "POST / HTTP/1.1\r\n\r\n";
/** How much is put together for one write. */
const STAGE = 524288;
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const REFUSED = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/** Bytes in memory as a body. */
function inMemory(text: string | Uint8Array<ArrayBuffer>): Content {
  const data = typeof text === "string" ? bytes(text) : text;
  return { kind: "bytes", bytes: data, size: data.length };
}

type Step = IteratorResult<unknown> | Promise<IteratorResult<unknown>>;

/** A source whose steps the test makes, and that records how it was left. */
class Source implements Pieces {
  /** `next`, `return` and `over`, in their order. */
  readonly calls: string[] = [];
  /** The body that it is of. */
  readonly content: Exclude<Content, null>;
  readonly #steps: (() => Step)[];

  constructor(steps: (() => Step)[], size: number | null = null) {
    this.#steps = [...steps];
    this.content = {
      kind: "pieces",
      size,
      readable: false,
      contentType: null,
      pieces: () => {
        this.calls.push("open");
        return this;
      },
    };
  }

  next(): Step {
    this.calls.push("next");
    return this.#steps.shift()?.() ?? { done: true, value: undefined };
  }

  return(): unknown {
    this.calls.push("return");
    return undefined;
  }

  [OVER](): void {
    this.calls.push("over");
  }
}

/** A step that is there at once. */
function now(value: unknown): () => Step {
  return () => ({ done: false, value: typeof value === "string" ? bytes(value) : value });
}

/** A step that takes so many microtasks. */
function after(ticks: number, value: string): () => Step {
  return async () => {
    await microtasks(ticks);
    return { done: false, value: bytes(value) };
  };
}

/** A step that takes a turn of the event loop. */
function slow(value: string): () => Step {
  return async () => {
    await turns(1);
    return { done: false, value: bytes(value) };
  };
}

/** A source of these pieces, each there at once. */
function sourceOf(...pieces: unknown[]): Source {
  return new Source(pieces.map(now));
}

function chunksEnd(): Uint8Array {
  return bytes("0\r\n\r\n");
}

interface Started {
  transport: ManualTransport;
  connection: Connection;
  exchange: Exchange;
  out: Outgoing;
  sent: Promise<void>;
}

/** Begins to send. */
function send(
  out: Partial<Outgoing>,
  { start = {}, kind = "other", accepting = true, prepare }: {
    start?: Partial<ExchangeStart>;
    kind?: TransportKind;
    accepting?: boolean;
    prepare?: (exchange: Exchange, connection: Connection) => void;
  } = {},
): Started {
  const transport = new ManualTransport({ accepting });
  const connection = Connection.over(transport);
  connection.kind = kind;
  const exchange = newExchange(start);
  connection.begin(exchange);
  exchange.framing = out.last ? "chunked" : "none";
  prepare?.(exchange, connection);
  const whole: Outgoing = {
    head: bytes(HEAD),
    content: null,
    last: null,
    expect: false,
    exact: true,
    debug: false,
    ...out,
  };
  const sent = sendRequest(connection, exchange, whole);
  sent.catch(() => {});
  return { transport, connection, exchange, out: whole, sent };
}

/** An answer that refuses the body has come. */
function answer(exchange: Exchange): void {
  if (exchange.receiving === "nothing") exchange.receive(RECEIVING_STEPS.await);
  exchange.answered({ status: 413, willClose: false, body: new Watcher() });
}

/** The writes, each as text. */
function writesOf(transport: ManualTransport): string[] {
  return transport.writes.map(({ text }) => text);
}

/** The sizes of the writes. */
function sizesOf(transport: ManualTransport): number[] {
  return transport.writes.map(({ size }) => size);
}

// What is to be sent

Deno.test("outgoing() has no end of its own when the body is not chunked", () => {
  const head = bytes(HEAD);
  const content = inMemory("body");
  assertEquals(outgoing(head, content, {}, true, false), {
    head,
    content,
    last: null,
    expect: false,
    exact: true,
    debug: false,
  });
  const other = outgoing(head, content, { encode_chunked: false }, false, true);
  assertEquals([other.last, other.exact, other.debug], [null, false, true]);
});

Deno.test("outgoing() ends a chunked body with its trailers", () => {
  const content = inMemory("body");
  const plain = outgoing(bytes(HEAD), content, { encode_chunked: true }, true, false);
  assertEquals(latin1(plain.last!() as Uint8Array), "0\r\n\r\n");
  const trailers = { A: "b" };
  const out = outgoing(bytes(HEAD), content, { encode_chunked: true, trailers }, true, false);
  assertEquals(latin1(out.last!() as Uint8Array), "0\r\nA: b\r\n\r\n");
});

Deno.test("outgoing() makes the trailers of a function when the body is out", async () => {
  let calls = 0;
  const trailers = () => {
    calls++;
    return Promise.resolve({ A: "b" });
  };
  const content = inMemory("body");
  const out = outgoing(bytes(HEAD), content, { encode_chunked: true, trailers }, true, false);
  assertEquals(calls, 0);
  assertEquals(latin1(await out.last!()), "0\r\nA: b\r\n\r\n");
  assertEquals(calls, 1);
});

Deno.test("outgoing() marks what a function for trailers throws as thrown by the user", async () => {
  const reason = new Error("theirs");
  const trailers = () => {
    throw reason;
  };
  const content = inMemory("body");
  const out = outgoing(bytes(HEAD), content, { encode_chunked: true, trailers }, true, false);
  const error = await thrown(out.last!() as Promise<unknown>);
  assertInstanceOf(error, Thrown);
  assertStrictEquals(error.reason, reason);
});

Deno.test("outgoing() marks what trailers are rejected with as thrown by the user", async () => {
  const reason = new Error("theirs");
  const trailers = () => Promise.reject(reason);
  const content = inMemory("body");
  const out = outgoing(bytes(HEAD), content, { encode_chunked: true, trailers }, true, false);
  const error = await thrown(out.last!() as Promise<unknown>);
  assertInstanceOf(error, Thrown);
  assertStrictEquals(error.reason, reason);
});

Deno.test("outgoing() has no last chunk when there is no body", () => {
  assertStrictEquals(outgoing(bytes(HEAD), null, { encode_chunked: true }, true, false).last, null);
});

Deno.test("outgoing() takes trailers without a field when the body is not chunked", () => {
  const out = outgoing(bytes(HEAD), inMemory("body"), { trailers: {} }, true, false);
  assertStrictEquals(out.last, null);
});

for (const [title, trailers] of [["fields", { A: "b" }], ["a function", () => ({})]] as const) {
  Deno.test(`outgoing() throws a TypeError when trailers are ${title} and the body is not chunked`, () => {
    assertThrows(
      () => outgoing(bytes(HEAD), inMemory("body"), { trailers }, true, false),
      TypeError,
      "Cannot send trailers: the body is not chunked",
    );
    assertThrows(
      () => outgoing(bytes(HEAD), null, { trailers, encode_chunked: true }, true, false),
      TypeError,
    );
  });
}

Deno.test("outgoing() takes true, false or seconds for expect_continue, and nothing else", () => {
  const expectOf = (expect_continue?: unknown) =>
    outgoing(bytes(HEAD), null, { expect_continue: expect_continue as number }, true, false).expect;
  assertEquals([expectOf(), expectOf(true), expectOf(false), expectOf(2)], [false, true, false, 2]);
  for (const wrong of [0, -1, NaN, "1"]) {
    assertThrows(() => expectOf(wrong), TypeError, "Cannot use expect_continue");
  }
});

Deno.test("more() sends bytes without a head, of which more may follow", () => {
  const content = inMemory("body");
  const out = more(content, true);
  assertStrictEquals(out.content, content);
  assertEquals(out.head.length, 0);
  assertEquals([out.last, out.expect, out.exact, out.debug], [null, false, false, true]);
});

// A head alone

Deno.test("sendRequest() sends a head without a body in one write, and the request is whole", async () => {
  const { transport, exchange, sent } = send({});
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD]);
  assertEquals(exchange.sending, "whole");
  assertEquals(transport.reads.length, 0);
});

Deno.test("sendRequest() throws why the exchange has failed, and writes nothing", async () => {
  const reason = new Error("closed");
  const { transport, sent } = send({}, { prepare: (exchange) => exchange.fail(reason) });
  assertStrictEquals(await thrown(sent), reason);
  assertEquals(transport.writes.length, 0);
});

Deno.test("sendRequest() writes nothing when the request was cut off", async () => {
  const { transport, exchange, sent } = send({}, {
    prepare: (exchange) => exchange.send(SENDING_STEPS.cut),
  });
  await soon(sent);
  assertEquals([transport.writes.length, exchange.sending], [0, "cut"]);
});

Deno.test("sendRequest() throws why the exchange failed when that was with the last write", async () => {
  const reason = new Error("theirs");
  const { exchange, sent } = send({}, {
    start: {
      trace: () => {
        exchange.fail(new Thrown(reason));
      },
    },
  });
  assertStrictEquals(await thrown(sent), reason);
  assertEquals(exchange.sending, "cut");
});

Deno.test("sendRequest() fails the exchange when the write of a head fails", async () => {
  const { transport, exchange, sent } = send({}, { kind: "deno", accepting: false });
  const reason = new Deno.errors.ConnectionReset();
  transport.writes[0].reject(reason);
  assertStrictEquals(await thrown(sent), reason);
  assertStrictEquals(exchange.failure!.reason, reason);
  assertEquals(factsOf(reason).phase, "send");
});

Deno.test("sendRequest() leaves the request open when less than the declared length was given", async () => {
  const { exchange, connection, sent } = send({ exact: false }, {
    start: { limits: { head: 50 } },
    prepare: (exchange) => {
      exchange.framing = "length";
      exchange.declared = 5;
    },
  });
  await soon(sent);
  assertEquals(exchange.sending, "going");
  assertEquals(connection.deadlines.runs("head"), false);
});

Deno.test("sendRequest() lets the head's deadline run once the request is whole", async () => {
  const { connection, sent } = send({}, { start: { limits: { head: 50 } } });
  await soon(sent);
  assertEquals(connection.deadlines.runs("head"), true);
  connection.close();
});

Deno.test("sendRequest() ends the head's deadline while more is sent", async () => {
  const { connection, transport, sent } = send({ content: inMemory("more") }, {
    start: { limits: { head: 50 } },
    accepting: false,
    prepare: (exchange, connection) => connection.limitHead(exchange),
  });
  assertEquals(connection.deadlines.runs("head"), false);
  transport.writes[0].accept();
  await soon(sent);
  assertEquals(connection.deadlines.runs("head"), true);
  connection.close();
});

for (const [title, content] of [["a head alone", null], ["a body", inMemory("body")]] as const) {
  Deno.test(`the memory of the head is used again after ${title} when only the runtime has seen it`, async () => {
    const first = new RequestHead("POST", "/").bytes();
    await soon(send({ head: first, content }, { kind: "deno" }).sent);
    assertStrictEquals(new RequestHead("POST", "/").bytes().buffer, first.buffer);
  });

  Deno.test(`the memory of the head is not used again after ${title} when the user's transport has seen it`, async () => {
    const first = new RequestHead("POST", "/").bytes();
    await soon(send({ head: first, content }).sent);
    const heads = [1, 2, 3].map(() => new RequestHead("POST", "/").bytes().buffer);
    assert(!heads.includes(first.buffer));
  });
}

// Bytes in memory

Deno.test("sendRequest() sends a small body in the memory of its head when there is room behind that", async () => {
  const head = new RequestHead("POST", "/").bytes();
  const { transport, sent } = send({ head, content: inMemory("body") }, { kind: "deno" });
  await soon(sent);
  assertEquals(writesOf(transport), [latin1(head) + "body"]);
  assertEquals(latin1(new Uint8Array(head.buffer, head.length, 4)), "body");
});

Deno.test("sendRequest() sends a small body in one write when there is no room behind its head", async () => {
  const text = "x".repeat(2048);
  const head = new RequestHead("POST", "/").bytes();
  const { transport, sent } = send({ head, content: inMemory(text) }, { kind: "deno" });
  await soon(sent);
  assertEquals(writesOf(transport), [latin1(head) + text]);
  assertStrictEquals(new RequestHead("POST", "/").bytes().buffer, head.buffer);
});

/** What makes that an early answer is watched for while a write is out, and what does not. */
const WATCHED: [
  title: string,
  watched: boolean,
  body: string,
  start: Partial<ExchangeStart>,
  kind?: TransportKind,
][] = [
  ["a small body over a socket of Deno's own", false, "x".repeat(16384 - HEAD.length), {}],
  ["a larger body over a socket of Deno's own", true, "x".repeat(16385 - HEAD.length), {}],
  ["a small body over another transport", true, "body", {}, "other"],
  ["a small body of a traced request", true, "body", { trace: () => {} }],
];

for (const [title, watched, body, start, kind = "deno"] of WATCHED) {
  Deno.test(`sendRequest() ${watched ? "watches" : "does not watch"} for an early answer to ${title}`, async () => {
    const { transport, sent } = send({ content: inMemory(body) }, {
      kind,
      start,
      accepting: false,
    });
    await microtasks(20);
    assertEquals(transport.reads.length, watched ? 1 : 0);
    transport.writes[0].accept();
    await soon(sent);
  });
}

Deno.test("sendRequest() watches for an early answer to a small piece behind what was sent", async () => {
  const { transport, connection, exchange, sent } = send({ exact: false }, {
    kind: "deno",
    prepare: (exchange) => exchange.framing = "caller",
  });
  await soon(sent);
  transport.accepting = false;
  const rest = sendRequest(connection, exchange, more(inMemory("rest"), false));
  await microtasks(20);
  assertEquals(transport.reads.length, 1);
  transport.writes[1].accept();
  await soon(rest);
});

Deno.test("sendRequest() refuses a small body whose buffer was transferred over a socket of Deno's own", async () => {
  const content = inMemory("body") as Content & { kind: "bytes" };
  structuredClone(content.bytes.buffer, { transfer: [content.bytes.buffer as ArrayBuffer] });
  const { transport, sent } = send({ content }, { kind: "deno" });
  assertInstanceOf(await thrown(sent), TypeError);
  assertEquals(transport.writes.length, 0);
});

Deno.test("sendRequest() sends head and body in one write, and reads nothing, when they are accepted at once", async () => {
  const { transport, exchange, sent } = send({ content: inMemory("body") });
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD + "body"]);
  assertEquals(exchange.sending, "whole");
  assertEquals(transport.reads.length, 0);
});

Deno.test("sendRequest() puts head and body together up to 512 KiB", async () => {
  const content = inMemory(new Uint8Array(STAGE - HEAD.length));
  const { transport, sent } = send({ content });
  await soon(sent);
  assertEquals(sizesOf(transport), [STAGE]);
});

Deno.test("sendRequest() writes a larger body as it is behind the head", async () => {
  const content = inMemory(new Uint8Array(STAGE - HEAD.length + 1));
  const { transport, sent } = send({ content });
  await soon(sent);
  assertEquals(sizesOf(transport), [HEAD.length, STAGE - HEAD.length + 1]);
});

Deno.test("sendRequest() reads the answer from a write on that may not be the last", async () => {
  const content = inMemory(new Uint8Array(STAGE + 1));
  const { transport, sent } = send({ head: new Uint8Array(), content });
  await soon(sent);
  assertEquals([sizesOf(transport), transport.reads.length], [[STAGE + 1], 1]);
});

Deno.test("sendRequest() puts less together when the progress is traced", async () => {
  const fits = send({ content: inMemory(new Uint8Array(131072 - HEAD.length)) }, {
    start: { trace: () => {} },
  });
  await soon(fits.sent);
  assertEquals(sizesOf(fits.transport), [131072]);
  const larger = send({ content: inMemory(new Uint8Array(131072)) }, {
    start: { trace: () => {} },
  });
  await soon(larger.sent);
  assertEquals(sizesOf(larger.transport), [HEAD.length, 131072]);
});

Deno.test("sendRequest() throws a TypeError when the bytes are not as many as they were", async () => {
  const content: Content = { kind: "bytes", bytes: bytes("abc"), size: 4 };
  const { transport, sent } = send({ content });
  await assertRejects(
    () => soon(sent),
    TypeError,
    "Cannot send body: its buffer was transferred or changed its size",
  );
  assertEquals(transport.writes.length, 0);
});

Deno.test("sendRequest() throws a TypeError when the bytes are transferred while the head goes out", async () => {
  const data = new Uint8Array(STAGE);
  const { transport, sent } = send({ content: inMemory(data) }, { accepting: false });
  await microtasks(4);
  structuredClone(data.buffer, { transfer: [data.buffer] });
  transport.writes[0].accept();
  await assertRejects(() => soon(sent), TypeError);
  assertEquals(sizesOf(transport), [HEAD.length]);
});

Deno.test("sendRequest() writes the rest when a part was accepted", async () => {
  const { transport, sent } = send({ content: inMemory("body") }, { accepting: false });
  await microtasks(4);
  transport.writes[0].accept(5);
  await microtasks(10);
  transport.writes[1].accept();
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD + "body", (HEAD + "body").slice(5)]);
});

Deno.test("sendRequest() writes nothing when there is neither a head nor a byte", async () => {
  const { transport, sent } = send({ head: new Uint8Array(), content: inMemory("") });
  await soon(sent);
  assertEquals(transport.writes.length, 0);
});

// Sources

Deno.test("sendRequest() sends all pieces that are there at once in one write", async () => {
  const source = sourceOf("one", "two", "three");
  const { transport, sent } = send({ content: source.content });
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD + "onetwothree"]);
  assertEquals(source.calls, ["open", "next", "next", "next", "next", "over"]);
});

Deno.test("sendRequest() sends each piece as a chunk", async () => {
  const source = sourceOf("one", "", "0123456789abcdef");
  const { transport, sent } = send({ content: source.content, last: chunksEnd });
  await soon(sent);
  assertEquals(writesOf(transport), [
    HEAD + "3\r\none\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
  ]);
});

Deno.test("sendRequest() leaves out empty pieces, and counts none", async () => {
  const source = sourceOf("", "one", "");
  const { transport, exchange, sent } = send({ content: source.content });
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD + "one"]);
  assertEquals(exchange.given, 3);
});

Deno.test("sendRequest() takes no turn of the event loop for a few empty pieces", async () => {
  let turned = false;
  setImmediate(() => turned = true);
  const some = Array.from({ length: 40 }, (_, i) => i % 2 === 0 ? "" : "a");
  const { sent } = send({ content: sourceOf(...some, ...Array(15).fill(""), "one").content });
  await sent;
  assertEquals(turned, false);
});

Deno.test("sendRequest() sends pieces that take some microtasks in one write", async () => {
  const source = new Source([after(1, "one"), after(4, "two")]);
  const { transport, sent } = send({ content: source.content });
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD + "onetwo"]);
  assertEquals(transport.reads.length, 0);
});

Deno.test("sendRequest() waits no more for pieces when the moment has passed before one is asked for", async () => {
  using clock = new FakeClock();
  const step = Promise.withResolvers<IteratorResult<unknown>>();
  const first = async () => {
    await loops(2);
    return { done: false, value: bytes("one") };
  };
  const second = () => {
    clock.now += 10;
    return step.promise;
  };
  const { transport, sent } = send({ content: new Source([first, second]).content });
  await loops(6);
  assertEquals(writesOf(transport), [HEAD + "one"]);
  step.resolve({ done: false, value: bytes("two") });
  await sent;
  assertEquals(writesOf(transport), [HEAD + "one", "two"]);
});

/** Lets the event loop turn so often, whatever the clock says. */
async function loops(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

Deno.test("sendRequest() waits a moment for the first pieces, which share the head's write", async () => {
  using clock = new FakeClock();
  const steps = ["one", "two"].map((value) => async () => {
    await loops(2);
    clock.advance(4);
    return { done: false, value: bytes(value) };
  });
  const { transport, sent } = send({ content: new Source(steps).content });
  await sent;
  assertEquals(writesOf(transport), [HEAD + "onetwo"]);
  assertEquals(clock.pending, []);
});

Deno.test("sendRequest() sends the head when the first pieces have taken 10 ms together", async () => {
  using clock = new FakeClock();
  const step = Promise.withResolvers<IteratorResult<unknown>>();
  const first = async () => {
    await loops(2);
    clock.advance(6);
    return { done: false, value: bytes("one") };
  };
  const { transport, sent } = send({ content: new Source([first, () => step.promise]).content });
  await loops(5);
  clock.advance(3);
  await loops(2);
  assertEquals(transport.writes.length, 0);
  clock.advance(1);
  await loops(2);
  assertEquals(writesOf(transport), [HEAD + "one"]);
  assertEquals(transport.reads.length, 1);
  step.resolve({ done: false, value: bytes("late") });
  await sent;
  assertEquals(writesOf(transport), [HEAD + "one", "late"]);
});

Deno.test("sendRequest() sends what is staged when a later piece takes its time", async () => {
  const step = Promise.withResolvers<IteratorResult<unknown>>();
  const large = "x".repeat(STAGE / 2);
  const source = new Source([now(large), now(large), now("small"), () => step.promise]);
  const { transport, sent } = send({ content: source.content });
  // A write was begun before: there is no moment to wait for.
  await microtasks(200);
  assertEquals(sizesOf(transport), [HEAD.length + STAGE / 2, STAGE / 2, 5]);
  step.resolve({ done: true, value: undefined });
  await soon(sent);
  assertEquals(transport.writes.length, 3);
});

Deno.test("sendRequest() leaves no deadline to run when a late piece is out and nobody waits", async () => {
  using clock = new FakeClock();
  const step = Promise.withResolvers<IteratorResult<unknown>>();
  const large = "x".repeat(STAGE);
  const source = new Source([now(large), () => step.promise]);
  const { exchange, connection, sent } = send({ content: source.content }, {
    start: { limits: { total: 1 } },
  });
  await microtasks(200);
  step.resolve({ done: true, value: undefined });
  await sent;
  clock.advance(5000);
  assertStrictEquals(exchange.failure, null);
  connection.close();
});

Deno.test("sendRequest() puts pieces together that take some microtasks behind a write", async () => {
  const large = new Uint8Array(STAGE / 2);
  const source = new Source([now(large), now(large), after(2, "a"), after(4, "b")]);
  const { transport, sent } = send({ content: source.content });
  await soon(sent);
  assertEquals(sizesOf(transport), [HEAD.length + STAGE / 2, STAGE / 2, 2]);
});

Deno.test("sendRequest() sends a large chunk behind its size wherever what is staged ends", async () => {
  const chunk = (text: string) => `${text.length.toString(16).toUpperCase()}\r\n${text}\r\n`;
  const first = "a".repeat(STAGE / 2 - 100);
  const large = "c".repeat(STAGE / 2);
  const room = STAGE - HEAD.length - chunk(first).length - "3FFFF\r\n\r\n".length;
  for (let gap = 0; gap < 12; gap++) {
    const second = "b".repeat(room - gap);
    const source = sourceOf(first, second, large);
    const { transport, sent } = send({ content: source.content, last: chunksEnd });
    await soon(sent);
    const wire = HEAD + chunk(first) + chunk(second) + chunk(large) + "0\r\n\r\n";
    assert(writesOf(transport).join("") === wire, `with ${gap} bytes to spare`);
  }
});

Deno.test("sendRequest() begins no write while another one is out", async () => {
  const step = Promise.withResolvers<IteratorResult<unknown>>();
  const source = new Source([() => step.promise]);
  const { transport, sent } = send({ content: source.content }, { accepting: false });
  while (transport.writes.length === 0) await turns(1);
  step.resolve({ done: false, value: bytes("late") });
  await microtasks(50);
  assertEquals(transport.writes.length, 1);
  transport.accepting = true;
  transport.writes[0].accept();
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD, "late"]);
});

Deno.test("sendRequest() stages a piece again when there was no room for it and it is small", async () => {
  const source = sourceOf("x".repeat(300_000), "y".repeat(250_000), "z");
  const { transport, sent } = send({ content: source.content });
  await soon(sent);
  assertEquals(sizesOf(transport), [HEAD.length + 300_000, 250_001]);
  assertEquals(transport.reads.length, 1);
});

Deno.test("sendRequest() writes a piece as it is when there was no room for it and it is large", async () => {
  const source = sourceOf("x".repeat(300_000), "y".repeat(STAGE / 2), "z");
  const { transport, sent } = send({ content: source.content });
  await soon(sent);
  assertEquals(sizesOf(transport), [HEAD.length + 300_000, STAGE / 2, 1]);
});

Deno.test("sendRequest() stages a chunk again when there was no room for it and it is small", async () => {
  const source = sourceOf("x".repeat(300_000), "y".repeat(250_000), "z");
  const { transport, sent } = send({ content: source.content, last: chunksEnd });
  await soon(sent);
  const [first, second] = [
    `493E0\r\n${"x".repeat(300_000)}\r\n`,
    `3D090\r\n${"y".repeat(250_000)}\r\n`,
  ];
  assertEquals(writesOf(transport), [HEAD + first, second + "1\r\nz\r\n0\r\n\r\n"]);
  assertEquals(transport.reads.length, 1);
});

Deno.test("sendRequest() writes a large chunk as it is, its size line with what was staged", async () => {
  const data = "y".repeat(STAGE / 2);
  const source = sourceOf("x".repeat(300_000), data, "z");
  const { transport, sent } = send({ content: source.content, last: chunksEnd });
  await soon(sent);
  const first = `493E0\r\n${"x".repeat(300_000)}\r\n`;
  assertEquals(writesOf(transport), [
    HEAD + first + "40000\r\n",
    data,
    "\r\n1\r\nz\r\n0\r\n\r\n",
  ]);
});

Deno.test("sendRequest() throws a TypeError when a piece is transferred while it waits for room", async () => {
  for (const last of [null, chunksEnd]) {
    const data = new Uint8Array(1000);
    const source = sourceOf(new Uint8Array(STAGE - HEAD.length - 20), data);
    const { transport, sent } = send({ content: source.content, last }, { accepting: false });
    await microtasks(4);
    assertEquals(transport.writes.length, 1);
    structuredClone(data.buffer, { transfer: [data.buffer] });
    transport.writes[0].accept();
    await assertRejects(
      () => soon(sent),
      TypeError,
      "Cannot send body: its buffer was transferred or changed its size",
    );
    assertEquals(transport.writes.length, 1);
    assertEquals(source.calls.at(-1), "return");
  }
});

Deno.test("sendRequest() has sent what was staged as it was when the source uses its memory again", async () => {
  const block = new Uint8Array(1);
  const source = new Source([97, 98, 99].map((byte) => () => {
    block[0] = byte;
    return { done: false, value: block };
  }));
  const { transport, sent } = send({ content: source.content });
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD + "abc"]);
});

Deno.test("sendRequest() throws a TypeError when a source gives more bytes than it had at first", async () => {
  const source = new Source([now("abc"), now("def")], 5);
  const { transport, exchange, sent } = send({ content: source.content });
  await assertRejects(
    () => soon(sent),
    TypeError,
    "Cannot send body: it has not the 5 bytes that it had at first",
  );
  assertEquals(transport.writes.length, 0);
  assertEquals(source.calls.at(-1), "return");
  assert(exchange.failure !== null);
});

Deno.test("sendRequest() throws a TypeError when a source gives fewer bytes than it had at first", async () => {
  const source = new Source([now("abc")], 5);
  const { sent } = send({ content: source.content });
  await assertRejects(() => soon(sent), TypeError, "it has not the 5 bytes");
});

Deno.test("sendRequest() sends a source that gives as many bytes as it had at first, and counts them once", async () => {
  const source = new Source([now("abc"), now("de")], 5);
  const { transport, exchange, sent } = send({ content: source.content });
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD + "abcde"]);
  assertEquals(exchange.given, 0);
});

Deno.test("sendRequest() throws a TypeError when a source gives fewer bytes than were declared", async () => {
  const source = sourceOf("abc");
  const { transport, sent } = send({ content: source.content }, {
    prepare: (exchange) => {
      exchange.framing = "length";
      exchange.declared = 5;
    },
  });
  await assertRejects(
    () => soon(sent),
    TypeError,
    "Cannot send body: it has 3 of the 5 bytes of its Content-Length",
  );
  assertEquals(transport.writes.length, 0);
});

Deno.test("sendRequest() throws a TypeError when a source gives more bytes than were declared", async () => {
  const source = sourceOf("abc", "def");
  const { transport, sent } = send({ content: source.content }, {
    prepare: (exchange) => {
      exchange.framing = "length";
      exchange.declared = 5;
    },
  });
  await assertRejects(() => soon(sent), TypeError, "more than the 5 bytes");
  assertEquals(transport.writes.length, 0);
  assertEquals(source.calls.at(-1), "return");
});

Deno.test("sendRequest() lets more follow when the body need not be whole", async () => {
  const { transport, exchange, sent } = send({ content: sourceOf("abc").content, exact: false }, {
    prepare: (exchange) => {
      exchange.framing = "length";
      exchange.declared = 5;
    },
  });
  await soon(sent);
  assertEquals([exchange.sending, transport.sent], ["going", HEAD + "abc"]);
});

Deno.test("sendRequest() throws a TypeError when a piece is no bytes, and leaves the source", async () => {
  const source = sourceOf("abc", 5);
  const { sent } = send({ content: source.content });
  await assertRejects(() => soon(sent), TypeError, "got a piece that is no string or bytes");
  assertEquals(source.calls.at(-1), "return");
});

const THROWING: [title: string, step: (reason: unknown) => Step][] = [
  ["throws", (reason) => {
    throw reason;
  }],
  ["is rejected at once", (reason) => Promise.reject(reason)],
  ["is rejected after a turn", async (reason) => {
    await turns(1);
    throw reason;
  }],
];

for (const [title, step] of THROWING) {
  Deno.test(`sendRequest() throws what a source does that ${title}, and writes nothing to it`, async () => {
    const owner = new Watcher();
    const reason = new Error("theirs");
    const source = new Source([now("one"), () => step(reason)]);
    const { exchange, sent } = send({ content: source.content }, { start: { owner } });
    assertStrictEquals(await thrown(sent), reason);
    assertUntouched(reason);
    assertStrictEquals(exchange.failure!.reason, reason);
    assertEquals(owner.failures.length, 1);
    assertEquals(source.calls.at(-1), "return");
  });
}

Deno.test("sendRequest() throws what opening a source does", async () => {
  const reason = new Error("theirs");
  const source = sourceOf();
  source.content.kind === "pieces" && (source.content.pieces = () => {
    throw reason;
  });
  const { sent } = send({ content: source.content });
  assertStrictEquals(await thrown(sent), reason);
  assertUntouched(reason);
});

Deno.test("sendRequest() throws what a later step does after one that was late", async () => {
  const reason = new Error("theirs");
  const source = new Source([slow("one"), slow("two"), () => Promise.reject(reason)]);
  const { sent } = send({ content: source.content });
  assertStrictEquals(await thrown(sent), reason);
});

Deno.test("sendRequest() does not wait for return() of a source, nor hear what it throws", async () => {
  for (const left of [() => never(), () => Promise.reject(new Error("late"))]) {
    const source = sourceOf("one", 5);
    source.return = left;
    await assertRejects(() => soon(send({ content: source.content }).sent), TypeError);
  }
  const source = sourceOf("one", 5);
  source.return = () => {
    throw new Error("at once");
  };
  await assertRejects(
    () => soon(send({ content: source.content }).sent),
    TypeError,
    "got a piece that is no",
  );
});

Deno.test("sendRequest() leaves a source that has no return()", async () => {
  const pieces: Pieces = { next: () => ({ done: false, value: 5 }) };
  const content: Content = {
    kind: "pieces",
    size: null,
    readable: false,
    contentType: null,
    pieces: () => pieces,
  };
  await assertRejects(() => soon(send({ content }).sent), TypeError);
});

// The end of a chunked body

Deno.test("sendRequest() waits for room for the last chunk", async () => {
  // With its line and its CRLF, two bytes less than fit.
  const data = new Uint8Array(STAGE - HEAD.length - 11);
  const { transport, exchange, sent } = send({
    content: sourceOf(data).content,
    last: chunksEnd,
  }, { accepting: false });
  await microtasks(100);
  assertEquals(sizesOf(transport), [STAGE - 2]);
  assertEquals(exchange.sending, "going");
  transport.accepting = true;
  transport.writes[0].accept();
  await soon(sent);
  assertEquals(writesOf(transport).slice(1), ["0\r\n\r\n"]);
  assertEquals(exchange.sending, "whole");
});

Deno.test("sendRequest() waits for trailers that are made asynchronously", async () => {
  const last = async () => {
    await turns(1);
    return bytes("0\r\nA: b\r\n\r\n");
  };
  const { transport, sent } = send({ content: sourceOf("x").content, last });
  await soon(sent);
  assertEquals(transport.sent, HEAD + "1\r\nx\r\n0\r\nA: b\r\n\r\n");
});

Deno.test("sendRequest() sends the body while trailers that are late are made", async () => {
  const made = Promise.withResolvers<Uint8Array>();
  const { transport, sent } = send({ content: sourceOf("x").content, last: () => made.promise });
  while (transport.writes.length === 0) await turns(1);
  assertEquals(writesOf(transport), [HEAD + "1\r\nx\r\n"]);
  made.resolve(chunksEnd());
  await soon(sent);
  assertEquals(writesOf(transport).at(-1), "0\r\n\r\n");
});

Deno.test("sendRequest() does not end the body when the trailers fail", async () => {
  const reason = new Error("theirs");
  const { transport, exchange, sent } = send({
    content: sourceOf("x").content,
    last: () => Promise.reject(new Thrown(reason)),
  });
  assertStrictEquals(await thrown(sent), reason);
  assertEquals(transport.sent.includes("0\r\n"), false);
  assertStrictEquals(exchange.failure!.reason, reason);
});

// Early answers

/** Sends a first piece, and has a source that waits. */
async function uploading(options: Parameters<typeof send>[1] = {}) {
  const step = Promise.withResolvers<IteratorResult<unknown>>();
  const source = new Source([now("x".repeat(STAGE)), () => step.promise]);
  const all = send({ content: source.content }, options);
  await microtasks(100);
  return { ...all, source, step };
}

Deno.test("sendRequest() ends when the answer refuses the body, and leaves the source", async () => {
  const { transport, exchange, source, sent } = await uploading();
  assertEquals(transport.reads.length, 1);
  transport.give(REFUSED);
  await soon(sent);
  assertEquals([exchange.sending, exchange.receiving], ["cut", "body"]);
  assertStrictEquals(exchange.failure, null);
  assertEquals(source.calls.at(-1), "return");
});

Deno.test("sendRequest() goes on when the answer is a success", async () => {
  const { transport, exchange, step, sent } = await uploading();
  transport.give(OK);
  await microtasks(10);
  step.resolve({ done: false, value: bytes("rest") });
  await soon(sent);
  assertEquals(exchange.sending, "whole");
  assertEquals(transport.writes.at(-1)!.text, "rest");
});

Deno.test("sendRequest() ends when the answer comes while a write is out", async () => {
  const { transport, exchange, sent } = send({ content: inMemory("body") }, { accepting: false });
  await microtasks(100);
  assertEquals(transport.reads.length, 1);
  transport.give(REFUSED);
  await soon(sent);
  assertEquals(exchange.sending, "cut");
  transport.writes[0].accept();
  await microtasks(10);
  assertEquals(transport.writes.length, 1);
});

Deno.test("sendRequest() tells the trace of nothing that is accepted when the answer has ended the request", async () => {
  const events: string[] = [];
  const trace = ({ type }: TraceEvent) => void events.push(type);
  const { transport, exchange, sent } = send({ content: inMemory("body") }, {
    accepting: false,
    start: { trace },
  });
  await microtasks(100);
  transport.give(REFUSED);
  await soon(sent);
  assertEquals(exchange.sending, "cut");
  transport.writes[0].accept();
  await turns(1);
  assertEquals(events.filter((type) => type.startsWith("request")), []);
});

Deno.test("sendRequest() writes no more when the answer came while the source was quick", async () => {
  const { transport, exchange, source, step, sent } = await uploading();
  transport.give(REFUSED);
  step.resolve({ done: false, value: bytes("rest") });
  await soon(sent);
  assertEquals(exchange.sending, "cut");
  assertEquals(transport.sent.endsWith("rest"), false);
  assertEquals(source.calls.at(-1), "return");
});

Deno.test("sendRequest() begins no write after the answer, at whichever microtask that comes", async () => {
  const data = new Uint8Array(STAGE);
  for (let ticks = 0; ticks < 16; ticks++) {
    for (
      const out of [
        { content: inMemory(data) },
        { content: sourceOf(data).content, last: chunksEnd },
      ]
    ) {
      const { transport, exchange, sent } = send(out, { accepting: false });
      await microtasks(4);
      transport.writes[0].accept();
      await microtasks(ticks);
      const { length } = transport.writes;
      answer(exchange);
      await soon(sent);
      assertEquals(transport.writes.length, length, `after ${ticks} microtasks`);
    }
  }
});

Deno.test("sendRequest() does not make trailers when the answer has refused the body", async () => {
  let made = 0;
  const step = Promise.withResolvers<IteratorResult<unknown>>();
  const source = new Source([now("x".repeat(STAGE)), () => step.promise]);
  const { transport, sent } = send({
    content: source.content,
    last: () => {
      made++;
      return chunksEnd();
    },
  });
  await microtasks(100);
  transport.give(REFUSED);
  await soon(sent);
  assertEquals(made, 0);
});

for (const [name, size, writes] of [["small", 4, 1], ["large", STAGE, 2]] as const) {
  Deno.test(`sendRequest() keeps a request whole when the answer came with the last bytes (${name})`, async () => {
    for (let ticks = 0; ticks < 10; ticks++) {
      const content = inMemory("x".repeat(size));
      const { transport, exchange, sent } = send({ content }, { accepting: false });
      await microtasks(100);
      if (writes === 2) transport.writes[0].accept();
      await microtasks(100);
      assertEquals(transport.writes.length, writes);
      transport.writes[writes - 1].accept();
      if (ticks > 0) await microtasks(ticks);
      transport.give(REFUSED);
      await soon(sent);
      assertEquals(exchange.sending, "whole", `after ${ticks} microtasks`);
    }
  });
}

Deno.test("sendRequest() makes no trailers when the answer came with the data", async () => {
  for (let ticks = 0; ticks < 4; ticks++) {
    let made = 0;
    const last = () => {
      made++;
      return chunksEnd();
    };
    const content = inMemory("x".repeat(STAGE));
    const { transport, exchange, sent } = send({ content, last }, { accepting: false });
    await microtasks(100);
    transport.writes[0].accept();
    await microtasks(100);
    if (ticks % 2 === 0) transport.writes[1].accept();
    transport.give(REFUSED);
    await microtasks(ticks);
    if (ticks % 2 === 1) transport.writes[1].accept();
    await soon(sent);
    assertEquals([exchange.sending, made], ["cut", 0], `after ${ticks} microtasks`);
  }
});

Deno.test("sendRequest() does not look at a piece again when the answer came with the one before", async () => {
  const next = bytes("y".repeat(STAGE / 4));
  const source = sourceOf("x".repeat(STAGE - 100), next);
  const { transport, exchange, sent } = send({ content: source.content }, { accepting: false });
  await microtasks(100);
  transport.writes[0].accept();
  transport.give(REFUSED);
  // The user of a piece may do with it what it likes once the request is over.
  next.buffer.transfer();
  await soon(sent);
  assertEquals(exchange.sending, "cut");
});

Deno.test("sendRequest() asks a source for no more when the answer came with a write", async () => {
  const source = new Source([now("x".repeat(STAGE)), now("y".repeat(STAGE)), now("z")]);
  const { transport, exchange, sent } = send({ content: source.content }, { accepting: false });
  await microtasks(100);
  transport.writes[0].accept();
  await microtasks(100);
  transport.writes[1].accept();
  transport.give(REFUSED);
  await soon(sent);
  assertEquals([exchange.sending, source.calls], ["cut", ["open", "next", "return"]]);
});

Deno.test("sendRequest() reads no answer when the bytes belong to no request", async () => {
  const step = Promise.withResolvers<IteratorResult<unknown>>();
  const source = new Source([now("x".repeat(STAGE)), () => step.promise]);
  const { transport, sent } = send({ content: source.content }, { start: { method: "" } });
  await microtasks(100);
  assertEquals([transport.writes.length, transport.reads.length], [2, 0]);
  step.resolve({ done: true, value: undefined });
  await soon(sent);
});

Deno.test("sendRequest() ends when the exchange fails while its source is quiet", async () => {
  const { exchange, source, sent } = await uploading();
  const reason = new Error("enough");
  exchange.fail(new Thrown(reason));
  assertStrictEquals(await thrown(sent), reason);
  assertEquals(source.calls.at(-1), "return");
});

Deno.test("sendRequest() ends when the exchange fails in the moment that it waits for the first piece", async () => {
  const source = new Source([() => never()]);
  const { transport, exchange, sent } = send({ content: source.content });
  await microtasks(20);
  const reason = new Error("enough");
  exchange.fail(new Thrown(reason));
  assertStrictEquals(await thrown(sent), reason);
  assertEquals(transport.writes.length, 0);
});

Deno.test("sendRequest() lets the total deadline end it while its source is quiet", async () => {
  const source = new Source([() => never()]);
  const { sent } = send({ content: source.content }, { start: { limits: { total: 0.05 } } });
  assertInstanceOf(await thrown(sent), Deno.errors.TimedOut);
});

Deno.test("sendRequest() does not let the timeout run while only its source is waited for", async () => {
  const { connection, sent, step } = await uploading({ start: { limits: { timeout: 50 } } });
  const { deadlines } = connection;
  assertEquals([deadlines.runs("read"), deadlines.runs("write"), deadlines.runs("head")], [
    false,
    false,
    false,
  ]);
  step.resolve({ done: true, value: undefined });
  await soon(sent);
  connection.close();
});

// Waiting for a 100

Deno.test("sendRequest() sends the head, and the body after a 100", async () => {
  const source = sourceOf("body");
  const { transport, exchange, sent } = send({ content: source.content, expect: true });
  await microtasks(20);
  assertEquals(writesOf(transport), [HEAD]);
  assertEquals([exchange.sending, exchange.phase], ["waiting", "head"]);
  assertEquals(source.calls, []);
  transport.give(CONTINUE);
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD, "body"]);
  assertEquals(exchange.sending, "whole");
  assertStrictEquals(exchange.oninterim, null);
});

Deno.test("sendRequest() goes on waiting when another interim response comes", async () => {
  const { transport, exchange, sent } = send({ content: inMemory("body"), expect: true });
  await microtasks(20);
  transport.give("HTTP/1.1 103 Early Hints\r\n\r\n");
  await microtasks(20);
  assertEquals(exchange.sending, "waiting");
  transport.give(CONTINUE);
  await soon(sent);
});

Deno.test("sendRequest() sends no body when a final answer comes in place of a 100", async () => {
  const source = sourceOf("body");
  const { transport, exchange, sent } = send({ content: source.content, expect: 5 });
  await microtasks(20);
  transport.give(OK);
  await soon(sent);
  assertEquals([exchange.sending, transport.sent], ["cut", HEAD]);
  assertEquals(source.calls, []);
  assertStrictEquals(exchange.oninterim, null);
});

Deno.test("sendRequest() does not open the body when a 100 and a refusal come at once", async () => {
  const source = sourceOf("body");
  const { transport, exchange, sent } = send({ content: source.content, expect: true });
  await microtasks(20);
  transport.give(CONTINUE + REFUSED);
  await soon(sent);
  assertEquals([exchange.sending, transport.sent, source.calls], ["cut", HEAD, []]);
});

Deno.test("sendRequest() does not open the body when a refusal comes right behind a 100", async () => {
  for (let ticks = 0; ticks < 10; ticks++) {
    const source = sourceOf("body");
    const opened: boolean[] = [];
    const pieces = () => {
      opened.push(all.exchange.stopped);
      return source;
    };
    const content = { ...source.content, pieces } as Content;
    const all: Started = send({ content, expect: true });
    await microtasks(20);
    all.transport.give(CONTINUE);
    if (ticks > 0) await microtasks(ticks);
    answer(all.exchange);
    await soon(all.sent);
    assertEquals(opened.includes(true), false, `after ${ticks} microtasks`);
  }
});

Deno.test("sendRequest() sends the body when the seconds have passed", async () => {
  const { transport, sent } = send({ content: inMemory("body"), expect: 0.01 });
  await soon(sent);
  assertEquals(writesOf(transport), [HEAD, "body"]);
});

Deno.test("sendRequest() takes more seconds than a timer can", async () => {
  const { transport, exchange, sent } = send({ content: inMemory("body"), expect: 1e9 });
  await turns(3);
  assertEquals(exchange.sending, "waiting");
  await microtasks(20);
  transport.give(CONTINUE);
  await soon(sent);
});

Deno.test("sendRequest() lets the head's deadline run while a 100 is waited for, and not for the body", async () => {
  const step = Promise.withResolvers<IteratorResult<unknown>>();
  const source = new Source([() => step.promise]);
  const { transport, connection, sent } = send({ content: source.content, expect: true }, {
    start: { limits: { head: 50, timeout: 50 } },
  });
  await microtasks(20);
  const { deadlines } = connection;
  assertEquals([deadlines.runs("head"), deadlines.runs("read")], [true, true]);
  transport.give(CONTINUE);
  await microtasks(20);
  assertEquals([deadlines.runs("head"), deadlines.runs("read")], [false, false]);
  step.resolve({ done: true, value: undefined });
  await soon(sent);
  connection.close();
});

Deno.test("sendRequest() throws why the exchange failed while a 100 was waited for", async () => {
  const source = sourceOf("body");
  const { exchange, sent } = send({ content: source.content, expect: 5 });
  await microtasks(20);
  const reason = new Error("enough");
  exchange.fail(new Thrown(reason));
  assertStrictEquals(await thrown(sent), reason);
  assertEquals(source.calls, []);
});

Deno.test("sendRequest() fails when the head before a 100 cannot be written", async () => {
  const { transport, exchange, sent } = send({ content: inMemory("body"), expect: true }, {
    kind: "node",
    accepting: false,
  });
  const reason = new Error("broken");
  transport.writes[0].reject(reason);
  assertStrictEquals(await thrown(sent), reason);
  assertStrictEquals(exchange.oninterim, null);
});

// Writes that fail

/** Runs with timers that fire at once; returns for how long they were to wait. */
async function withQuickTimers(run: () => Promise<void>): Promise<number[]> {
  const { setTimeout } = globalThis;
  const waits: number[] = [];
  globalThis.setTimeout = ((callback: () => void, ms = 0) => {
    // The watchdog of `soon()` is not meant.
    if (ms === 10_000) return setTimeout(callback, ms);
    waits.push(ms);
    return setTimeout(callback, 0);
  }) as typeof setTimeout;
  try {
    await run();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  return waits;
}

const RESETS = [
  Deno.errors.ConnectionReset,
  Deno.errors.BrokenPipe,
  Deno.errors.ConnectionAborted,
];

for (const kind of ["deno", "other"] as const) {
  for (const Reset of RESETS) {
    Deno.test(`sendRequest() reads the answer when a write over ${kind} fails with ${Reset.name}`, async () => {
      const { transport, exchange, sent } = send({ content: inMemory("body") }, {
        kind,
        accepting: false,
      });
      await microtasks(2);
      transport.writes[0].reject(new Reset());
      await microtasks(20);
      transport.give(REFUSED);
      await soon(sent);
      assertEquals([exchange.sending, exchange.receiving], ["cut", "body"]);
      assertStrictEquals(exchange.failure, null);
    });
  }
}

Deno.test("sendRequest() does not wait for an answer when a write fails in another way", async () => {
  const waits = await withQuickTimers(async () => {
    const { transport, exchange, sent } = send({ content: inMemory("body") }, {
      kind: "node",
      accepting: false,
    });
    await microtasks(2);
    const reason = new Error("broken");
    transport.writes[0].reject(reason);
    assertStrictEquals(await thrown(sent), reason);
    assertStrictEquals(exchange.failure!.reason, reason);
  });
  assertEquals(waits, []);
});

Deno.test("sendRequest() throws the error of the write when the server ends without an answer", async () => {
  const { transport, exchange, sent } = send({ content: inMemory("body") }, {
    kind: "deno",
    accepting: false,
  });
  await microtasks(2);
  const reason = new Deno.errors.ConnectionReset();
  transport.writes[0].reject(reason);
  await microtasks(20);
  transport.end();
  assertStrictEquals(await thrown(sent), reason);
  assertEquals(factsOf(reason).phase, "send");
  assertStrictEquals(exchange.failure!.reason, reason);
});

Deno.test("sendRequest() waits a second for the answer after a write failed", async () => {
  const reason = new Deno.errors.ConnectionReset();
  const waits = await withQuickTimers(async () => {
    const { transport, sent } = send({ content: inMemory("body") }, {
      kind: "deno",
      accepting: false,
    });
    await microtasks(2);
    transport.writes[0].reject(reason);
    assertStrictEquals(await thrown(sent), reason);
  });
  assertEquals(waits, [1000]);
});

for (const delivered of [false, true]) {
  Deno.test(`sendRequest() ${delivered ? "tells" : "does not tell"} of a write that failed behind an answer that was ${delivered ? "" : "not "}handed over`, async () => {
    const { transport, exchange, step, sent } = await uploading({ kind: "node" });
    transport.give("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    await microtasks(20);
    exchange.delivered = delivered;
    transport.accepting = false;
    step.resolve({ done: false, value: bytes("rest") });
    await microtasks(20);
    await turns(1);
    const reason = new Error("broken");
    transport.writes.at(-1)!.reject(reason);
    if (delivered) {
      assertStrictEquals(await thrown(sent), reason);
      assertEquals(factsOf(reason).phase, "send");
    } else await soon(sent);
    assertStrictEquals(exchange.failure, null);
    assertEquals(exchange.sending, "cut");
  });
}

Deno.test("sendRequest() throws the error of a user's transport as it is behind an answer that was handed over", async () => {
  const { transport, exchange, step, sent } = await uploading();
  transport.give("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  await microtasks(20);
  exchange.delivered = true;
  transport.accepting = false;
  step.resolve({ done: false, value: bytes("rest") });
  await turns(1);
  const reason = new Error("theirs");
  transport.writes.at(-1)!.reject(reason);
  assertStrictEquals(await thrown(sent), reason);
  assertUntouched(reason);
});

Deno.test("sendError() fails the exchange when no answer is there", () => {
  const { exchange } = send({});
  const error = new Error("broken");
  assertStrictEquals(sendError(exchange, error), error);
  assertStrictEquals(exchange.failure!.reason, error);
});

Deno.test("sendError() leaves the exchange alone when the upload was cut off", () => {
  const exchange = newExchange();
  exchange.send(SENDING_STEPS.cut);
  const error = new Error("broken");
  assertStrictEquals(sendError(exchange, error), error);
  assertStrictEquals(exchange.failure, null);
});

Deno.test("sendError() fails the exchange by what the user has thrown, though the upload was cut off", () => {
  const exchange = newExchange();
  exchange.send(SENDING_STEPS.cut);
  const reason = new Error("theirs");
  assertStrictEquals(sendError(exchange, new Thrown(reason)), reason);
  assertStrictEquals(exchange.failure!.reason, reason);
});

Deno.test("sendError() gives the first reason when the exchange has failed", () => {
  const exchange = newExchange();
  const first = new Error("first");
  exchange.fail(first);
  assertStrictEquals(sendError(exchange, new Error("second")), first);
});

// The trace

/** The events of sending, without their times. */
async function eventsOf(out: Partial<Outgoing>, parts: number[] = []): Promise<unknown[]> {
  const events: unknown[] = [];
  const trace = (event: TraceEvent) => {
    if ("bytes" in event) events.push([event.type, event.bytes]);
  };
  const { transport, sent } = send(out, { start: { trace }, accepting: false });
  let done = false;
  sent.then(() => done = true);
  for (let seen = 0; !done; await turns(1)) {
    for (; seen < transport.writes.length; seen++) transport.writes[seen].accept(parts.shift());
    if (transport.reads.length > 0 && out.expect) transport.give(CONTINUE);
  }
  return events;
}

const SIZE = HEAD.length;

Deno.test("the trace tells of a head without a body", async () => {
  assertEquals(await eventsOf({}), [["requestHead", SIZE]]);
});

Deno.test("the trace tells of head and body when they share a write", async () => {
  assertEquals(await eventsOf({ content: inMemory("body") }), [
    ["requestHead", SIZE],
    ["requestBody", SIZE + 4],
  ]);
});

Deno.test("the trace tells of the head once all of it was accepted", async () => {
  assertEquals(await eventsOf({ content: inMemory("body") }, [3, SIZE - 3, 1]), [
    ["requestHead", SIZE],
    ["requestBody", SIZE + 1],
    ["requestBody", SIZE + 4],
  ]);
});

Deno.test("the trace tells of the head that waits for a 100, and then of the body", async () => {
  assertEquals(await eventsOf({ content: inMemory("body"), expect: true }), [
    ["requestHead", SIZE],
    ["requestBody", SIZE + 4],
  ]);
});

Deno.test("sendRequest() waits for a 100 for so many seconds, and at most as long as a timer can", async () => {
  const waits = await withQuickTimers(async () => {
    await soon(send({ content: inMemory("body"), expect: 3 }).sent);
    await soon(send({ content: inMemory("body"), expect: 1e9 }).sent);
  });
  assertEquals(waits, [3000, 0x7fffffff]);
});

// Debugging

/** What sending prints. */
async function printed(out: Partial<Outgoing>): Promise<string[]> {
  const { log } = console;
  const lines: string[] = [];
  console.log = (...parts: unknown[]) => void lines.push(parts.join(" "));
  try {
    await soon(send({ ...out, debug: true }).sent);
  } finally {
    console.log = log;
  }
  return lines;
}

const SENT_HEAD = "send: b'POST / HTTP/1.1\\r\\n\\r\\n'";

Deno.test("sendRequest() prints the head, and bytes of a body", async () => {
  assertEquals(await printed({}), [SENT_HEAD]);
  assertEquals(await printed({ content: inMemory("body") }), [SENT_HEAD, "send: b'body'"]);
  assertEquals(await printed({ head: new Uint8Array(), content: inMemory("body") }), [
    "send: b'body'",
  ]);
});

Deno.test("sendRequest() prints each chunk, the empty ones that it leaves out, and the last", async () => {
  const source = sourceOf("ab", "");
  assertEquals(await printed({ content: source.content, last: chunksEnd }), [
    SENT_HEAD,
    "send: b'2\\r\\nab\\r\\n'",
    "Zero length chunk ignored",
    "send: b'0\\r\\n\\r\\n'",
  ]);
});

Deno.test("sendRequest() prints that it reads what is read from", async () => {
  const { content } = sourceOf("ab");
  const readable = { ...content, readable: true } as Content;
  assertEquals(await printed({ content: readable }), [
    SENT_HEAD,
    "reading a readable",
    "send: b'ab'",
  ]);
});

Deno.test("sendRequest() prints the head that waits for a 100 once", async () => {
  const lines = await printed({ content: inMemory("body"), expect: 0.01 });
  assertEquals(lines, [SENT_HEAD, "send: b'body'"]);
});
