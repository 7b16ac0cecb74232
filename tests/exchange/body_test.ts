/**
 * The body of a response by itself: each reading call, whole and cut short by whatever can do that.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { Body, type BodySource, LEFT } from "../../_internal/exchange/body.ts";
import { type Exchange, Thrown } from "../../_internal/exchange/exchange.ts";
import type { TraceEvent } from "../../_internal/exchange/trace.ts";
import { BufferedReader } from "../../_internal/net/buffered_reader.ts";
import { decoderFor, ENDED } from "../../_internal/wire/body_decoder.ts";
import { DEFAULT_LIMITS } from "../../_internal/wire/field_section.ts";
import type { Framing } from "../../_internal/wire/framing.ts";
import { HTTPException, IncompleteRead, LineTooLong, ProtocolError } from "../../mod.ts";
import { carried, type FakeCarrier } from "../helpers/carriers.ts";
import { factsOf } from "../helpers/facts.ts";
import { ManualTransport } from "../helpers/manual_transport.ts";
import { microtasks, soon, thrown } from "../helpers/waiting.ts";
import { bytes, latin1 } from "../servers/raw.ts";
import { RECEIVING_STEPS, SENDING_STEPS } from "../../_internal/exchange/states.ts";

/** From this size on, bytes are read straight into the caller's memory. */
const DIRECT = 16384;
/** The size of a connection's buffer. */
const BUFFER = 65536;

const FRAMINGS = {
  length: { delimiter: "length", chunked: false, willClose: false },
  chunked: { delimiter: "chunked", chunked: true, length: null, willClose: false },
  close: { delimiter: "close", chunked: false, length: null, willClose: true },
} as const;

interface Options {
  length?: number;
  maxBodyBytes?: number;
  suppressRaggedEofs?: boolean;
  /** Whether the source is a socket that may read into the caller's memory. */
  direct?: boolean;
  trace?: (event: TraceEvent) => void;
}

/** What a body is read from, and what it has asked of it. */
class Source implements BodySource {
  readonly transport = new ManualTransport();
  readonly reader = new BufferedReader(this.transport);
  readonly settings: { maxBodyBytes: number; suppressRaggedEofs: boolean };
  closeEndsReads: boolean;
  fills = 0;
  /** The sizes of reads straight into the caller's memory. */
  readonly directs: number[] = [];

  constructor({ maxBodyBytes, suppressRaggedEofs, direct }: Options) {
    this.settings = {
      maxBodyBytes: maxBodyBytes ?? Infinity,
      suppressRaggedEofs: suppressRaggedEofs ?? false,
    };
    this.closeEndsReads = direct ?? false;
    // As it is once a read has filled the first buffer.
    this.reader.bytes = new Uint8Array(BUFFER);
  }

  fill(): Promise<number> {
    this.fills++;
    return this.reader.fill();
  }

  fillInto(_exchange: Exchange, target: Uint8Array): Promise<number> {
    this.directs.push(target.length);
    return this.reader.fillInto(target);
  }

  leaveFill(reason: unknown): void {
    this.reader.interrupt({ reason });
  }
}

interface Opened {
  body: Body;
  source: Source;
  transport: ManualTransport;
  exchange: Exchange;
  carrier: FakeCarrier;
}

/** A body whose head has come, and of which `buffered` is there. */
async function opened(
  kind: keyof typeof FRAMINGS,
  buffered = "",
  options: Options = {},
): Promise<Opened> {
  const source = new Source(options);
  const { exchange, carrier } = carried({ trace: options.trace });
  carrier.onend = () => source.reader.discard({ reason: carrier.reasons.at(-1) });
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  exchange.receive(RECEIVING_STEPS.await);
  const framing = { length: options.length ?? null, ...FRAMINGS[kind] } as Framing;
  const limits = { trailers: { ...DEFAULT_LIMITS, line: 500 }, extensions: 100 };
  const body = new Body(source, exchange, decoderFor(framing, limits), framing);
  exchange.answered({ status: 200, willClose: framing.willClose, body });
  const { transport } = source;
  if (buffered !== "") await arrive({ source, transport }, buffered);
  return { body, source, transport, exchange, carrier };
}

/** Lets bytes arrive in the buffer, whoever waits. */
async function arrive(
  { source, transport }: Pick<Opened, "source" | "transport">,
  text: string,
): Promise<void> {
  const fill = source.reader.fill();
  transport.give(text);
  await fill;
}

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`;
}

const LAST = "0\r\n\r\n";

/** A body of these bytes in a framing, and how it is opened. */
function framed(kind: keyof typeof FRAMINGS, data: string): [text: string, options: Options] {
  if (kind === "chunked") return [chunk(data) + LAST, {}];
  return [data, kind === "length" ? { length: data.length } : {}];
}

/** The reading calls, each as text; `null` for the end where that is not an empty one. */
const CALLS: Record<string, (body: Body) => Promise<string>> = {
  "readinto()": async (body) => {
    const target = new Uint8Array(100);
    const count = await body.readinto(target);
    return latin1(target.subarray(0, count));
  },
  "gather()": async (body) => latin1(await body.gather(100)),
  "gather(Infinity)": async (body) => latin1(await body.gather(Infinity)),
  "read1()": async (body) => latin1(await body.read1(100)),
  "peek()": async (body) => latin1(await body.peek()),
  "line()": async (body) => latin1(await body.line(100)),
  "lines()": async (body) => (await body.lines(0)).map(latin1).join(""),
  "chunk()": async (body) => latin1(await body.chunk() ?? new Uint8Array()),
  "whenReady()": async (body) => {
    let text = "";
    await body.whenReady((run) => {
      if (run === ENDED) body.end();
      else text = latin1(body.piece(run));
    });
    return text;
  },
};
/** Those that return what came before an end, a reset or an abort. */
const COUNTED = ["readinto()", "gather()", "line()"];
/** Those that read to the end. */
const TO_THE_END = ["gather(Infinity)", "lines()"];

// Whole bodies

for (const [name, call] of Object.entries(CALLS)) {
  for (const kind of ["length", "chunked", "close"] as const) {
    Deno.test(`${name} gives a body by ${kind} that comes in pieces, and then nothing`, async () => {
      const [text, options] = framed(kind, "a\nb");
      const all = await opened(kind, "", options);
      let got = "";
      for (let i = 0, empty = 0; empty < 2 && i < 40; i++) {
        const read = call(all.body);
        await microtasks(10);
        for (let at = 0; at < 40 && all.transport.reads.length > 0; at++) {
          const sent = all.source.reader.received;
          if (sent < text.length) all.transport.give(text[sent]);
          else all.transport.end();
          await microtasks(10);
        }
        const piece = await soon(read);
        if (name === "peek()") {
          if (piece !== "") await all.body.read1(piece.length);
        }
        got += piece;
        empty = piece === "" ? empty + 1 : 0;
      }
      assertEquals(got, "a\nb");
      if (name !== "peek()" || kind === "chunked") {
        assertEquals([all.body.state, all.body.over, all.body.readable], ["complete", true, false]);
        assertEquals([all.exchange.receiving, all.exchange.over], ["whole", true]);
      }
    });
  }

  Deno.test(`${name} gives nothing for a body of no length, and asks for nothing`, async () => {
    const { body, source } = await opened("length", "", { length: 0 });
    assertEquals(await soon(call(body)), "");
    assertEquals(source.transport.reads.length, 0);
  });

  Deno.test(`${name} throws IncompleteRead when the end comes before any byte`, async () => {
    const { body, transport, exchange } = await opened("length", "", { length: 5 });
    const read = call(body);
    await microtasks(4);
    transport.end();
    const error = await thrown(read);
    assertInstanceOf(error, IncompleteRead);
    assertEquals([error.partial.length, error.expected, error.cause], [0, 5, undefined]);
    assertEquals(factsOf(error).phase, "body");
    assertEquals([body.state, body.over, exchange.over], ["cut", true, true]);
    assertInstanceOf(exchange.failure!.reason, IncompleteRead);
    assertInstanceOf(await thrown(call(body)), IncompleteRead);
  });

  Deno.test(`${name} throws the reason when the exchange fails while it waits`, async () => {
    for (const kind of ["length", "chunked", "close"] as const) {
      const { body, exchange } = await opened(kind, "", { length: 5 });
      const read = call(body);
      await microtasks(4);
      const reason = new Error("enough");
      exchange.fail(new Thrown(reason));
      assertStrictEquals(await thrown(read), reason);
      assertEquals([body.state, body.over], ["cut", true]);
      assertStrictEquals(await thrown(call(body)), reason);
      assertStrictEquals(body.partial, null);
    }
  });

  Deno.test(`${name} throws what a read of the transport has failed with`, async () => {
    const { body, transport, exchange } = await opened("length", "", { length: 5 });
    const read = call(body);
    await microtasks(4);
    const reason = new Deno.errors.ConnectionReset("reset");
    transport.fail(reason);
    assertStrictEquals(await thrown(read), reason);
    assertStrictEquals(exchange.failure!.reason, reason);
    assertEquals(factsOf(reason).phase, "body");
  });

  Deno.test(`${name} throws Interrupted when the body is closed while it waits`, async () => {
    const { body } = await opened("length", "", { length: 5 });
    const read = call(body);
    await microtasks(4);
    body.close();
    const error = await thrown(read);
    assertInstanceOf(error, Deno.errors.Interrupted);
    assertEquals(error.message, "Cannot read response: the response was closed");
    assertEquals([body.state, body.over], ["closed", true]);
    assertStrictEquals(await thrown(call(body)), error);
  });

  Deno.test(`${name} throws when a chunk's size is malformed`, async () => {
    const { body, exchange } = await opened("chunked", "x\r\n");
    const error = await thrown(call(body));
    assertInstanceOf(error, IncompleteRead);
    assertInstanceOf(error.cause, ProtocolError);
    assertEquals([error.expected, body.state], [null, "cut"]);
    assertInstanceOf(exchange.failure!.reason, IncompleteRead);
    assertInstanceOf((exchange.failure!.reason as Error).cause, ProtocolError);
    assertInstanceOf(await thrown(call(body)), IncompleteRead);
  });

  Deno.test(`${name} throws when the chunk extensions pass their limit`, async () => {
    const { body, exchange } = await opened("chunked", `1;${"x".repeat(400)}\r\n`);
    const error = await thrown(call(body));
    assertInstanceOf(error, HTTPException);
    assertEquals(error instanceof IncompleteRead, false);
    assertStrictEquals(exchange.failure!.reason, error);
    assertStrictEquals(await thrown(call(body)), error);
  });

  Deno.test(`${name} throws when a trailer is too long`, async () => {
    const { body } = await opened("chunked", `0\r\nA: ${"x".repeat(600)}`);
    assertInstanceOf(await thrown(call(body)), LineTooLong);
    assertEquals(body.state, "cut");
  });

  for (const kind of ["length", "chunked", "close"] as const) {
    Deno.test(`${name} takes as many bytes as maxBodyBytes and no more when the body is by ${kind}`, async () => {
      const [text, options] = framed(kind, "abc\n");
      const fits = await opened(kind, text, { ...options, maxBodyBytes: 4 });
      const read = call(fits.body);
      await microtasks(10);
      if (fits.transport.reads.length > 0) fits.transport.end();
      assertEquals(await soon(read), "abc\n");
      const { body, exchange } = await opened(kind, text, { ...options, maxBodyBytes: 3 });
      const error = await thrown(call(body));
      assertInstanceOf(error, HTTPException);
      assertEquals(error.message, "Cannot read body: got more than 3 bytes");
      assertStrictEquals(exchange.failure!.reason, error);
      assertEquals(body.state, "cut");
      assertStrictEquals(await thrown(call(body)), error);
    });
  }
}

// Bodies that are cut short behind some bytes

/** What cuts a body short. */
const CUTS: Record<string, (all: Opened) => unknown> = {
  "the end": ({ transport }) => {
    transport.end();
    return IncompleteRead;
  },
  "a reset": ({ transport }) => {
    const reason = new Deno.errors.ConnectionReset("reset");
    transport.fail(reason);
    return reason;
  },
  "an abort": ({ exchange }) => {
    const reason = new Error("enough");
    exchange.fail(new Thrown(reason));
    return reason;
  },
};

for (const kind of ["length", "chunked"] as const) {
  for (const [how, cut] of Object.entries(CUTS)) {
    for (const name of COUNTED) {
      Deno.test(`${name} gives what came before ${how} of a body by ${kind}, and the next call throws`, async () => {
        const all = await opened(kind, kind === "chunked" ? "5\r\nab" : "ab", { length: 5 });
        const read = CALLS[name](all.body);
        await microtasks(4);
        const expected = cut(all);
        assertEquals(await soon(read), "ab");
        assertEquals(all.body.over, false);
        const error = await thrown(CALLS[name](all.body));
        if (expected === IncompleteRead) assertInstanceOf(error, IncompleteRead);
        else assertStrictEquals(error, expected);
        assertEquals(all.body.over, true);
        assertStrictEquals(all.body.partial, null);
      });
    }

    for (const name of TO_THE_END) {
      Deno.test(`${name} throws with what came when ${how} cuts a body by ${kind} short`, async () => {
        const all = await opened(kind, kind === "chunked" ? "5\r\na\nb" : "a\nb", { length: 5 });
        const read = CALLS[name](all.body);
        await microtasks(4);
        const expected = cut(all);
        if (name === "lines()" && how === "the end") {
          assertEquals(await soon(read), "a\nb");
          assertInstanceOf(await thrown(CALLS[name](all.body)), IncompleteRead);
          return;
        }
        const error = await thrown(read);
        if (expected === IncompleteRead) {
          assertInstanceOf(error, IncompleteRead);
          assertEquals(latin1(error.partial), "a\nb");
          assertEquals(error.expected, kind === "chunked" ? null : 2);
          assertStrictEquals(all.body.partial, null);
        } else {
          assertStrictEquals(error, expected);
          assertEquals(latin1(all.body.partial!), "a\nb");
        }
      });
    }
  }

  for (const name of COUNTED) {
    Deno.test(`${name} throws when a body by ${kind} is closed, though some of it came`, async () => {
      const all = await opened(kind, kind === "chunked" ? "5\r\nab" : "ab", { length: 5 });
      const read = CALLS[name](all.body);
      await microtasks(4);
      all.exchange.close("connection");
      assertInstanceOf(await thrown(read), Deno.errors.Interrupted);
      assertEquals(latin1(all.body.partial!), "ab");
    });
  }
}

for (const name of COUNTED) {
  Deno.test(`${name} throws when the framing breaks behind some bytes, which are in the error`, async () => {
    const all = await opened("chunked", "2\r\nabXX");
    const error = await thrown(CALLS[name](all.body));
    assertInstanceOf(error, IncompleteRead);
    assertEquals(latin1(error.partial), "ab");
    assertInstanceOf(error.cause, ProtocolError);
  });
}

for (const name of COUNTED) {
  Deno.test(`${name} asks for no more bytes when the framing is broken`, async () => {
    const all = await opened("chunked", "2\r\nabXX");
    assertInstanceOf(await thrown(CALLS[name](all.body)), IncompleteRead);
    assertEquals(all.source.fills, 0);
  });
}

for (const name of COUNTED) {
  Deno.test(`${name} throws when a limit is passed behind some bytes, which are kept`, async () => {
    const all = await opened("chunked", chunk("ab") + `1;${"x".repeat(400)}\r\n`);
    const error = await thrown(CALLS[name](all.body));
    assertInstanceOf(error, HTTPException);
    assertEquals(error instanceof IncompleteRead, false);
    assertEquals(latin1(all.body.partial!), "ab");
  });
}

Deno.test("readinto() gives what came before the end when the buffer was empty, and settles nothing", async () => {
  const { body } = await opened("length", "ab", { length: 5 });
  assertEquals(await body.readinto(new Uint8Array(2)), 2);
  assertEquals(body.state, "open");
});

Deno.test("readinto() and gather() of nothing do not throw when the body is cut", async () => {
  const { body, exchange } = await opened("length", "ab", { length: 5 });
  exchange.fail(new Error("reset"));
  assertEquals(await body.readinto(new Uint8Array()), 0);
  assertEquals((await body.gather(0)).length, 0);
});

Deno.test("reason() keeps the bytes of a failed read only when there are some", async () => {
  const { body, exchange } = await opened("length", "ab", { length: 5 });
  const reason = new Error("enough");
  exchange.fail(new Thrown(reason));
  assertStrictEquals(body.reason(bytes("x")), reason);
  assertEquals(latin1(body.partial!), "x");
  assertStrictEquals(body.reason(new Uint8Array()), reason);
  assertEquals(latin1(body.partial!), "x");
});

Deno.test("reason() is an Interrupted with facts when the exchange was handed over", async () => {
  const { body, exchange } = await opened("length", "ab", { length: 5 });
  exchange.detach();
  body.close();
  const error = assertThrows(() => body.readable, Deno.errors.Interrupted);
  assertEquals(error.message, "Cannot read response: the response was closed");
  assertEquals("phase" in error, true);
});

Deno.test("over is false until somebody was told that the body ended early", async () => {
  const { body, transport } = await opened("length", "ab", { length: 5 });
  assertEquals(body.over, false);
  const read = body.gather(5);
  transport.end();
  assertEquals(latin1(await soon(read)), "ab");
  assertEquals([body.state, body.over], ["cut", false]);
  assertThrows(() => body.readable, IncompleteRead);
  assertEquals(body.over, true);
});

Deno.test("failed() ends the exchange by what the user has thrown, and passes on the rest", async () => {
  const { body, exchange } = await opened("length", "ab", { length: 5 });
  const error = new Error("another");
  assertStrictEquals(body.failed(error), error);
  assertStrictEquals(exchange.failure, null);
  const reason = new Error("theirs");
  assertStrictEquals(body.failed(new Thrown(reason)), reason);
  assertStrictEquals(exchange.failure!.reason, reason);
});

// Ragged ends

/** Reads to the end of a body whose TLS ends without close_notify. */
async function ragged(kind: "length" | "close", options: Options): Promise<string> {
  const { body, transport } = await opened(kind, "ab", options);
  const read = CALLS["gather(Infinity)"](body);
  await microtasks(4);
  if (transport.reads.length > 0) transport.fail(new Deno.errors.UnexpectedEof());
  return await soon(read);
}

Deno.test("a body until close is incomplete when TLS ends without close_notify", async () => {
  const error = await assertRejects(() => ragged("close", {}), IncompleteRead);
  assertEquals(latin1(error.partial), "ab");
});

Deno.test("a body until close is whole when ragged ends are suppressed", async () => {
  assertEquals(await ragged("close", { suppressRaggedEofs: true }), "ab");
});

Deno.test("a chunked body may end raggedly right behind its last chunk", async () => {
  const { body, transport } = await opened("chunked", chunk("ab") + "0\r\n");
  const read = CALLS["gather(Infinity)"](body);
  await microtasks(4);
  transport.fail(new Deno.errors.UnexpectedEof());
  assertEquals(await soon(read), "ab");
});

// Closing, and leaving the connection

Deno.test("close() frees the connection when all was read but the end of the framing", async () => {
  const { body, exchange, carrier } = await opened("chunked", chunk("ab") + LAST);
  await body.readinto(new Uint8Array(2));
  assertEquals(body.state, "open");
  body.close();
  assertEquals([body.state, exchange.receiving], ["complete", "whole"]);
  assertEquals(carrier.calls, ["release"]);
});

for (
  const [title, kind, text, options] of [
    ["bytes are left", "length", "ab", { length: 5 }],
    ["all of it is there but unread", "length", "ab", { length: 2 }],
    ["the framing is broken", "chunked", "x\r\n", {}],
    ["its end is the connection's", "close", "", {}],
  ] as const
) {
  Deno.test(`close() ends the connection when ${title}`, async () => {
    const { body, exchange, carrier } = await opened(kind, text, options);
    body.close();
    assertEquals([body.state, exchange.closed], ["closed", true]);
    assertEquals(carrier.calls, ["end"]);
    assertInstanceOf(exchange.failure!.reason, Deno.errors.Interrupted);
    body.close();
    assertEquals(carrier.calls, ["end"]);
  });
}

Deno.test("close() leaves a body that was cut short as it is", async () => {
  const { body, exchange } = await opened("length", "", { length: 5 });
  exchange.fail(new Error("reset"));
  body.close();
  assertEquals(body.state, "cut");
});

Deno.test("takeBytes() reads on from a copy when all of it has come, and leaves what follows", async () => {
  for (const kind of ["length", "chunked"] as const) {
    const [text, options] = framed(kind, "abcdef");
    const { body, source } = await opened(kind, text + "next", options);
    await body.readinto(new Uint8Array(2));
    assertEquals(body.takeBytes(), true);
    assertEquals(latin1(source.reader.take(source.reader.available)), "next");
    source.reader.discard({ reason: new Error("gone") });
    assertEquals(latin1(await body.gather(Infinity)), "cdef");
    assertEquals([body.state, source.fills], ["complete", 0]);
  }
});

Deno.test("readinto1() of nothing takes the end of a chunked body, and reads nothing of another", async () => {
  const chunked = await opened("chunked", "0\r\n\r\n");
  assertEquals(await soon(chunked.body.readinto1(new Uint8Array(0))), 0);
  assertEquals(chunked.body.state, "complete");
  const { body, source } = await opened("length", "", { length: 5 });
  assertEquals(await soon(body.readinto1(new Uint8Array(0))), 0);
  assertEquals([body.state, source.fills], ["open", 0]);
});

Deno.test("leave() ends the wait for the socket, and what comes is for the next call", async () => {
  const { body, transport } = await opened("length", "", { length: 3 });
  const left = body.whenReady(() => {});
  assertEquals(body.leave(), true);
  assertStrictEquals(await thrown(left), LEFT);
  assertEquals(body.state, "open");
  const whole = body.gather(Infinity);
  transport.give("abc");
  assertEquals(latin1(await soon(whole)), "abc");
});

Deno.test("whenReady() does not wait when nobody is waited on, but gives what is there", async () => {
  const { body } = await opened("length", "ab", { length: 3 });
  let runs = 0;
  const take = (run: number) => {
    runs += run;
    body.pull(new Uint8Array(run));
  };
  await body.whenReady(take, () => false);
  assertStrictEquals(await thrown(body.whenReady(take, () => false)), LEFT);
  assertEquals(runs, 2);
});

for (
  const [name, make] of [
    ["was read to its end", async () => {
      const all = await opened("length", "abc", { length: 3 });
      await all.body.gather(Infinity);
      return all;
    }],
    ["has left with its bytes", async () => {
      const all = await opened("length", "abc", { length: 3 });
      all.body.takeBytes();
      return all;
    }],
  ] as [string, () => Promise<Opened>][]
) {
  Deno.test(`leave() ends no wait of the next exchange when the body ${name}`, async () => {
    const { body, source, transport } = await make();
    const next = source.reader.fill();
    assertEquals(body.leave(), true);
    transport.give("next");
    assertEquals(await soon(next), 4);
  });
}

Deno.test("takeBytes() takes nothing when the body has not come whole, or ends with the connection", async () => {
  for (
    const [kind, text, options] of [
      ["length", "ab", { length: 3 }],
      ["chunked", chunk("ab"), {}],
      ["chunked", "x\r\n", {}],
      ["close", "ab", {}],
    ] as const
  ) {
    const { body, source } = await opened(kind, text, options);
    assertEquals(body.takeBytes(), false);
    assertEquals(source.reader.available, text.length);
  }
});

Deno.test("a body that ended early by its own bytes asks the connection for nothing more", async () => {
  const { body, source } = await opened("chunked", chunk("ab") + "0\r\n\r\n");
  body.takeBytes();
  await body.readinto(new Uint8Array(2));
  assertEquals((await body.read1(5)).length, 0);
  assertEquals(source.fills, 0);
});

Deno.test("canEnd is true when the end of the connection leaves the body whole", async () => {
  const ends = async (kind: keyof typeof FRAMINGS, text: string, options: Options = {}) =>
    (await opened(kind, text, options)).body.canEnd;
  assertEquals(await ends("close", ""), true);
  assertEquals(await ends("length", "ab", { length: 2 }), true);
  assertEquals(await ends("length", "a", { length: 2 }), false);
  assertEquals(await ends("chunked", chunk("ab") + LAST), true);
  assertEquals(await ends("chunked", chunk("ab")), false);
  const { body } = await opened("length", "ab", { length: 2 });
  await body.gather(Infinity);
  assertEquals(body.canEnd, true);
});

// What is there at once

Deno.test("gatherNow() gives a body by length that has come whole, and ends it", async () => {
  const { body } = await opened("length", "abc", { length: 3 });
  assertEquals(latin1(body.gatherNow(3)!), "abc");
  assertEquals(body.state, "complete");
});

Deno.test("gatherNow() gives null when there is something to wait for, or more than is asked for", async () => {
  assertStrictEquals((await opened("length", "ab", { length: 3 })).body.gatherNow(9), null);
  assertStrictEquals((await opened("length", "abc", { length: 3 })).body.gatherNow(2), null);
  assertStrictEquals((await opened("chunked", chunk("ab") + LAST)).body.gatherNow(9), null);
  assertStrictEquals((await opened("close", "ab")).body.gatherNow(9), null);
  assertStrictEquals((await opened("chunked", chunk("ab") + LAST)).body.gatherNow(0), null);
});

Deno.test("gatherNow() of nothing gives nothing, and leaves the body open", async () => {
  const { body } = await opened("length", "ab", { length: 3 });
  assertEquals(body.gatherNow(0)!.length, 0);
  assertEquals(body.state, "open");
});

Deno.test("gatherNow() of nothing ends a body of no length", async () => {
  const { body } = await opened("length", "", { length: 0 });
  assertEquals(body.gatherNow(0)!.length, 0);
  assertEquals(body.state, "complete");
});

Deno.test("chunkNow() gives what is buffered, and null where that is nothing", async () => {
  const { body } = await opened("length", "ab", { length: 3 });
  assertEquals(latin1(body.chunkNow()!), "ab");
  assertStrictEquals(body.chunkNow(), null);
  assertEquals(body.state, "open");
});

Deno.test("chunkNow() gives a single byte", async () => {
  const { body } = await opened("length", "a", { length: 3 });
  assertEquals(latin1(body.chunkNow()!), "a");
});

Deno.test("chunkNow() gives null at the end, and for a body that was cut short", async () => {
  const ended = await opened("chunked", LAST);
  assertStrictEquals(ended.body.chunkNow(), null);
  assertEquals(ended.body.state, "open");
  const cut = await opened("length", "ab", { length: 3 });
  cut.exchange.fail(new Error("reset"));
  assertStrictEquals(cut.body.chunkNow(), null);
});

// Python's timing of the end

Deno.test("read1() of nothing ends a body only where nothing is left of its length", async () => {
  const empty = await opened("length", "", { length: 0 });
  assertEquals((await empty.body.read1(0)).length, 0);
  assertEquals(empty.body.state, "complete");
  const some = await opened("length", "ab", { length: 2 });
  assertEquals((await some.body.read1(0)).length, 0);
  assertEquals(some.body.state, "open");
});

Deno.test("read1() of nothing consumes the framing of a chunked body", async () => {
  const { body, source } = await opened("chunked", chunk("ab"));
  assertEquals((await body.read1(0)).length, 0);
  assertEquals(source.reader.available, 4);
});

Deno.test("read1() gives at most so many bytes, and ends a body by length with the last", async () => {
  const { body } = await opened("length", "abc", { length: 3 });
  assertEquals(latin1(await body.read1(2)), "ab");
  assertEquals(body.state, "open");
  assertEquals(latin1(await body.read1(2)), "c");
  assertEquals(body.state, "complete");
});

Deno.test("read1() ends a chunked body when it comes upon the last chunk, and not before", async () => {
  const { body } = await opened("chunked", chunk("ab") + LAST);
  assertEquals(latin1(await body.read1(9)), "ab");
  assertEquals(body.state, "open");
  assertEquals((await body.read1(9)).length, 0);
  assertEquals(body.state, "complete");
});

Deno.test("readinto() leaves the end of a chunked body when the buffer is full before it", async () => {
  const { body, source } = await opened("chunked", chunk("ab") + LAST);
  assertEquals(await body.readinto(new Uint8Array(2)), 2);
  assertEquals([body.state, source.reader.available], ["open", 2 + LAST.length]);
  assertEquals(await body.readinto(new Uint8Array(2)), 0);
  assertEquals(body.state, "complete");
});

Deno.test("readinto() ends a chunked body when it had room for more", async () => {
  const { body } = await opened("chunked", chunk("ab") + LAST);
  assertEquals(await body.readinto(new Uint8Array(3)), 2);
  assertEquals(body.state, "complete");
});

Deno.test("readinto() of nothing consumes the framing of a chunked body", async () => {
  const { body, source } = await opened("chunked", chunk("ab"));
  assertEquals(await body.readinto(new Uint8Array()), 0);
  assertEquals(source.reader.available, 4);
  const ended = await opened("chunked", LAST);
  assertEquals(await ended.body.readinto(new Uint8Array()), 0);
  assertEquals(ended.body.state, "complete");
});

Deno.test("readinto() of nothing waits for the framing of a chunked body", async () => {
  const { body, transport } = await opened("chunked");
  const read = body.readinto(new Uint8Array());
  await microtasks(4);
  transport.give(chunk("ab"));
  assertEquals(await soon(read), 0);
  assertEquals(body.state, "open");
});

Deno.test("readinto() of nothing asks for nothing when the body is by length", async () => {
  const { body, transport } = await opened("length", "", { length: 3 });
  assertEquals(await soon(body.readinto(new Uint8Array())), 0);
  assertEquals([transport.reads.length, body.state], [0, "open"]);
});

Deno.test("a body until close is over when a read has got nothing, or has read to the end", async () => {
  const counted = await opened("close", "ab");
  const read = counted.body.gather(5);
  await microtasks(4);
  counted.transport.end();
  assertEquals(latin1(await soon(read)), "ab");
  assertEquals(counted.body.state, "open");
  assertEquals((await counted.body.gather(5)).length, 0);
  assertEquals(counted.body.state, "complete");
  const whole = await opened("close", "ab");
  const all = whole.body.gather(Infinity);
  await microtasks(4);
  whole.transport.end();
  assertEquals(latin1(await soon(all)), "ab");
  assertEquals(whole.body.state, "complete");
});

Deno.test("a read of nothing does not end a body until close", async () => {
  const { body, transport } = await opened("close", "ab");
  const read = body.gather(5);
  await microtasks(4);
  transport.end();
  await read;
  assertEquals((await body.gather(0)).length, 0);
  assertEquals((await body.read1(0)).length, 0);
  assertEquals(await body.readinto(new Uint8Array()), 0);
  assertEquals(body.state, "open");
});

Deno.test("peek() consumes nothing, and does not wait when something is there", async () => {
  const { body, source } = await opened("length", "ab", { length: 3 });
  const first = await body.peek();
  assertEquals(latin1(first), "ab");
  first[0] = 0;
  assertEquals(latin1(await body.peek()), "ab");
  assertEquals([source.fills, source.reader.available], [0, 2]);
});

Deno.test("peek() gives only what belongs to the body", async () => {
  const { body } = await opened("length", "abcd", { length: 2 });
  assertEquals(latin1(await body.peek()), "ab");
});

Deno.test("peek() tells the end of a chunked body once", async () => {
  const told: string[] = [];
  const { body } = await opened("chunked", "0\r\n\r\n", {
    trace: ({ type }) => void told.push(type),
  });
  for (let i = 0; i < 3; i++) assertEquals((await body.peek()).length, 0);
  assertEquals(told.filter((type) => type === "responseEnd").length, 1);
});

Deno.test("peek() at the end of a body ends a chunked one, and no other", async () => {
  const chunked = await opened("chunked", LAST);
  assertEquals((await chunked.body.peek()).length, 0);
  assertEquals(chunked.body.state, "complete");
  const other = await opened("length", "", { length: 0 });
  assertEquals((await other.body.peek()).length, 0);
  assertEquals(other.body.state, "open");
});

Deno.test("end() ends an open body, and no other", async () => {
  const { body, exchange } = await opened("length", "", { length: 0 });
  body.end();
  assertEquals([body.state, exchange.over], ["complete", true]);
  const cut = await opened("length", "", { length: 5 });
  cut.exchange.fail(new Error("reset"));
  cut.body.end();
  assertEquals(cut.body.state, "cut");
});

// Large bodies

/** Text in which each part differs from the others. */
function text(size: number): string {
  let all = "";
  for (let i = 0; all.length < size; i++) all += `${i},`;
  return all.slice(0, size);
}

const LARGE = text(1_300_000);

/** Whether bytes are those of a text. */
function isText(data: Uint8Array, text: string): boolean {
  return data.length === text.length && data.every((byte, i) => byte === text.charCodeAt(i));
}

/** Reads while bytes arrive in pieces of so many. */
async function fed<T>(all: Opened, wire: string, size: number, read: Promise<T>): Promise<T> {
  const data = new TextEncoder().encode(wire);
  let at = all.source.reader.received;
  await microtasks(10);
  while (all.transport.reads.length > 0) {
    const [{ target }] = all.transport.reads;
    const piece = data.subarray(at, at + Math.min(size, target.length));
    if (piece.length === 0) all.transport.end();
    else all.transport.give(piece);
    at += piece.length;
    await microtasks(12);
  }
  return await soon(read);
}

for (const kind of ["length", "chunked", "close"] as const) {
  for (const direct of [false, true]) {
    Deno.test(
      `gather() gives a large body by ${kind} as it is ${direct ? "over a socket" : ""}`.trim(),
      async () => {
        const data = LARGE;
        const [wire, options] = kind === "chunked"
          ? [data.match(/[^]{1,70000}/g)!.map(chunk).join("") + LAST, {}]
          : framed(kind, data);
        const all = await opened(kind, "", { ...options, direct });
        const got = await fed(all, wire, 1 << 20, all.body.gather(Infinity));
        assert(isText(got, data));
        assertEquals(got.byteLength, got.buffer.byteLength);
        assertEquals(all.body.state, "complete");
        assertEquals(all.source.directs.length > 0, direct);
      },
    );
  }

  Deno.test(`gather() takes as much of a body by ${kind} as is asked for`, async () => {
    const data = LARGE.slice(0, 300_000);
    const [wire, options] = kind === "chunked"
      ? [data.match(/[^]{1,70000}/g)!.map(chunk).join("") + LAST, {}]
      : framed(kind, data);
    const all = await opened(kind, "", options);
    const got = await fed(all, wire, 50_000, all.body.gather(200_000));
    assert(isText(got, data.slice(0, 200_000)));
    assertEquals(all.body.state, "open");
  });
}

Deno.test("gather() does not take memory for a length that is only promised", async () => {
  const all = await opened("length", "", { length: 1 << 40 });
  const read = all.body.gather(Infinity);
  await microtasks(4);
  all.transport.give("some");
  await microtasks(4);
  all.transport.end();
  const error = await thrown(read);
  assertInstanceOf(error, IncompleteRead);
  assertEquals(latin1(error.partial), "some");
  assertEquals(error.partial.buffer.byteLength, 4);
});

// Straight reads into the caller's memory

Deno.test("readinto() reads straight into the caller's memory when a socket may and much is wanted", async () => {
  const { body, source, transport } = await opened("length", "", { length: 20_000, direct: true });
  const target = new Uint8Array(DIRECT);
  const read = body.readinto(target);
  assertEquals(source.directs, [DIRECT]);
  assertStrictEquals(transport.reads[0].target.buffer, target.buffer);
  transport.give(text(DIRECT));
  assertEquals(await soon(read), DIRECT);
  assertEquals(latin1(target), text(DIRECT));
  assertEquals([body.decoder.length, source.fills], [20_000 - DIRECT, 0]);
});

for (
  const [title, size, length, direct] of [
    ["less is wanted", DIRECT - 1, 20_000, true],
    ["less is left of the body", DIRECT, DIRECT - 1, true],
    ["the transport does not end its reads at its close", DIRECT, 20_000, false],
  ] as const
) {
  Deno.test(`readinto() reads into the buffer when ${title}`, async () => {
    const { body, source, transport } = await opened("length", "", { length, direct });
    const read = body.readinto(new Uint8Array(size));
    assertEquals([source.directs.length, source.fills], [0, 1]);
    transport.end();
    await thrown(read);
  });
}

Deno.test("readinto() takes what is buffered first, and the rest straight", async () => {
  const { body, source, transport } = await opened("length", "ab", {
    length: 40_000,
    direct: true,
  });
  const target = new Uint8Array(DIRECT + 2);
  const read = body.readinto(target);
  assertEquals(source.directs, [DIRECT]);
  transport.give("c".repeat(10));
  await microtasks(8);
  assertEquals(source.directs, [DIRECT]);
  assertEquals(source.fills, 1);
  transport.give("d".repeat(DIRECT - 10));
  assertEquals(await soon(read), DIRECT + 2);
  assertEquals(latin1(target), "ab" + "c".repeat(10) + "d".repeat(DIRECT - 10));
});

Deno.test("readinto() takes a single byte that comes straight", async () => {
  const { body, transport } = await opened("length", "", { length: DIRECT, direct: true });
  const target = new Uint8Array(DIRECT);
  const read = body.readinto(target);
  transport.give("a");
  await microtasks(8);
  transport.give("b".repeat(DIRECT - 1));
  assertEquals(await soon(read), DIRECT);
  assertEquals(latin1(target), "a" + "b".repeat(DIRECT - 1));
});

Deno.test("readinto() reads no further straight than the body goes", async () => {
  const { body, source, transport } = await opened("length", "", { length: DIRECT, direct: true });
  const read = body.readinto(new Uint8Array(2 * DIRECT));
  assertEquals(source.directs, [DIRECT]);
  transport.give("x".repeat(DIRECT));
  assertEquals(await soon(read), DIRECT);
  assertEquals(body.state, "complete");
});

Deno.test("readinto() gives what came straight before the end, and the next call throws", async () => {
  const { body, transport } = await opened("length", "", { length: 40_000, direct: true });
  const read = body.readinto(new Uint8Array(40_000));
  transport.give("x".repeat(20_000));
  await microtasks(8);
  transport.end();
  assertEquals(await soon(read), 20_000);
  const error = await thrown(body.readinto(new Uint8Array(1)));
  assertInstanceOf(error, IncompleteRead);
  assertEquals(error.expected, 20_000);
});

Deno.test("readinto() throws when the end comes to a straight read", async () => {
  const { body, transport } = await opened("length", "", { length: 40_000, direct: true });
  const read = body.readinto(new Uint8Array(40_000));
  transport.end();
  assertInstanceOf(await thrown(read), IncompleteRead);
});

Deno.test("readinto() throws when a straight read fails", async () => {
  const { body, transport } = await opened("length", "", { length: 40_000, direct: true });
  const read = body.readinto(new Uint8Array(40_000));
  const reason = new Deno.errors.ConnectionReset();
  transport.fail(reason);
  assertStrictEquals(await thrown(read), reason);
});

Deno.test("readinto() counts what a straight read brings for the limit", async () => {
  const { body, transport } = await opened("length", "", {
    length: 40_000,
    direct: true,
    maxBodyBytes: 19_999,
  });
  const read = body.readinto(new Uint8Array(40_000));
  transport.give("x".repeat(20_000));
  assertInstanceOf(await thrown(read), HTTPException);
});

// Lines

Deno.test("lineNow() gives a line that is buffered whole, and null otherwise", async () => {
  const { body } = await opened("length", "one\ntwo", { length: 20 });
  assertEquals(latin1(body.lineNow(100)!), "one\n");
  assertStrictEquals(body.lineNow(100), null);
  assertEquals(latin1(await body.read1(9)), "two");
});

Deno.test("lineNow() finds the end of a line wherever that is", async () => {
  for (const size of [0, 1, 126, 127, 128, 129, 300, 2000]) {
    const line = "x".repeat(size) + "\n";
    const { body } = await opened("length", line + "rest\n", { length: size + 6 });
    assertEquals(latin1(body.lineNow(Infinity)!), line, `${size}`);
    assertEquals(latin1(body.lineNow(Infinity)!), "rest\n");
    assertEquals(body.state, "complete");
  }
});

Deno.test("lineNow() gives null when the line is longer than the limit, or the limit is 0", async () => {
  for (const size of [3, 200]) {
    const { body } = await opened("length", "x".repeat(size) + "\n", { length: 999 });
    assertStrictEquals(body.lineNow(size), null);
    assertStrictEquals(body.lineNow(0), null);
    assertEquals(body.lineNow(size + 1)!.length, size + 1);
  }
});

Deno.test("lineNow() looks for the end of a line within the body only", async () => {
  const { body } = await opened("length", "ab\n", { length: 2 });
  assertStrictEquals(body.lineNow(9), null);
  const chunked = await opened("chunked", chunk("ab") + chunk("c\n"));
  assertStrictEquals(chunked.body.lineNow(9), null);
});

Deno.test("lineNow() gives null when the body is at its end, or was cut short", async () => {
  const ended = await opened("chunked", LAST);
  assertStrictEquals(ended.body.lineNow(9), null);
  const cut = await opened("length", "a\n", { length: 9 });
  cut.exchange.fail(new Error("reset"));
  assertStrictEquals(cut.body.lineNow(9), null);
});

Deno.test("lineNow() gives null, and tells nothing yet, when broken framing was come upon", async () => {
  const { body, exchange } = await opened("chunked", "2\r\na\nXX");
  const target = new Uint8Array(9);
  body.decoder.ready({ bytes: new Uint8Array(), start: 0, end: 0, available: 0 });
  assertInstanceOf(await thrown(body.readinto(target)), IncompleteRead);
  assertStrictEquals(body.lineNow(9), null);
  assert(exchange.failure !== null);
});

Deno.test("line() puts a line together that comes in pieces", async () => {
  const all = await opened("chunked", "");
  const wire = chunk("on") + chunk("e") + chunk("\ntwo") + LAST;
  assertEquals(latin1(await fed(all, wire, 1, all.body.line(100))), "one\n");
});

Deno.test("line() gives at most so many bytes", async () => {
  const { body } = await opened("length", "abc\ndef", { length: 7 });
  assertEquals(latin1(await body.line(2)), "ab");
  assertEquals(latin1(await body.line(2)), "c\n");
  assertEquals(latin1(await body.line(3)), "def");
  assertEquals(body.state, "complete");
});

Deno.test("line() gives at most so many bytes of a line that comes in pieces", async () => {
  const { body, transport } = await opened("length", "ab", { length: 9 });
  const read = body.line(4);
  await microtasks(4);
  transport.give("cdef");
  assertEquals(latin1(await soon(read)), "abcd");
});

Deno.test("line() of nothing gives nothing, and ends only a body of no length", async () => {
  const some = await opened("length", "a\n", { length: 2 });
  assertEquals((await some.body.line(0)).length, 0);
  assertEquals(some.body.state, "open");
  const empty = await opened("length", "", { length: 0 });
  await empty.body.line(0);
  assertEquals(empty.body.state, "complete");
  const chunked = await opened("chunked", chunk("a\n"));
  assertEquals((await chunked.body.line(0)).length, 0);
  assertEquals(chunked.source.reader.available, chunk("a\n").length);
});

Deno.test("line() ends a chunked body when it comes upon its end", async () => {
  const { body } = await opened("chunked", chunk("ab") + LAST);
  assertEquals(latin1(await body.line(9)), "ab");
  assertEquals(body.state, "complete");
});

Deno.test("lines() ends with the line that makes more bytes than the hint", async () => {
  const of = async (hint: number) =>
    (await (await opened("length", "ab\ncd\nef\n", { length: 9 })).body.lines(hint)).map(latin1);
  assertEquals(await of(0), ["ab\n", "cd\n", "ef\n"]);
  assertEquals(await of(-1), ["ab\n", "cd\n", "ef\n"]);
  assertEquals(await of(1), ["ab\n"]);
  assertEquals(await of(2), ["ab\n"]);
  assertEquals(await of(3), ["ab\n", "cd\n"]);
  assertEquals(await of(6), ["ab\n", "cd\n", "ef\n"]);
});

Deno.test("lines() throws with all that it had when the framing breaks", async () => {
  const { body } = await opened("chunked", chunk("a\nb\nc") + "X\r\n");
  const error = await thrown(body.lines(0));
  assertInstanceOf(error, IncompleteRead);
  assertEquals(latin1(error.partial), "a\nb\nc");
  assertInstanceOf(error.cause, ProtocolError);
});

Deno.test("lines() keeps all that it had, the part of a line too, when it is closed", async () => {
  const { body } = await opened("chunked", chunk("a\nb\n") + "9\r\nc");
  const lines = body.lines(0);
  await microtasks(20);
  body.close();
  assertInstanceOf(await thrown(lines), Deno.errors.Interrupted);
  assertEquals(latin1(body.partial!), "a\nb\nc");
});

Deno.test("lines() ends the exchange with what a callback throws, and loses nothing that it had", async () => {
  const reason = new Error("mine");
  let pieces = 0;
  const { body, exchange } = await opened("length", "a\nb\nc\n", {
    length: 6,
    trace({ type }) {
      if (type === "responseBody" && ++pieces === 2) throw reason;
    },
  });
  assertStrictEquals(await thrown(body.lines(0)), reason);
  assertStrictEquals(exchange.failure?.reason, reason);
  assertEquals(latin1(body.partial!), "a\n");
  assertStrictEquals(await thrown(body.gather(Infinity)), reason);
});

Deno.test("line() gives each long line in memory of its own", async () => {
  const { body, transport } = await opened("close");
  const lines = [];
  for (const [letter, size] of [["a", 2000], ["b", 1500]] as const) {
    const line = body.line(Infinity);
    await microtasks(20);
    transport.give(`${letter.repeat(size)}\n`);
    lines.push(await soon(line));
  }
  assertEquals(lines.map(latin1), [`${"a".repeat(2000)}\n`, `${"b".repeat(1500)}\n`]);
});

Deno.test("lines() gives no lines when the body ended before", async () => {
  const { body } = await opened("length", "", { length: 0 });
  assertEquals(await body.lines(0), []);
  assertEquals(await body.lines(0), []);
});

Deno.test("lines() throws at once when the body ended early before a line", async () => {
  const { body, transport } = await opened("length", "", { length: 5 });
  const read = body.lines(0);
  await microtasks(4);
  transport.end();
  const error = await thrown(read);
  assertInstanceOf(error, IncompleteRead);
  assertEquals(error.partial.length, 0);
});

// Pieces

Deno.test("chunk() gives what is buffered in one piece, the framing of small chunks taken out", async () => {
  const { body } = await opened(
    "chunked",
    chunk("one") + chunk("two") + chunk("three") + "5\r\nfo",
  );
  assertEquals(latin1((await body.chunk())!), "onetwothreefo");
});

Deno.test("chunk() ends a body by length with its last piece", async () => {
  const { body } = await opened("length", "abc", { length: 3 });
  assertEquals(latin1((await body.chunk())!), "abc");
  assertEquals(body.state, "complete");
});

Deno.test("chunk() gives memory of its own", async () => {
  for (const size of [3, 5000]) {
    const data = "x".repeat(size);
    const { body, source } = await opened("chunked", chunk(data) + chunk(data));
    const first = (await body.chunk())!;
    assert(first.buffer !== source.reader.bytes.buffer);
    assertEquals(latin1(first), data + data);
    // Small chunks are known by the ones before them.
    await arrive({ source, transport: source.transport }, chunk("abc"));
    const second = (await body.chunk())!;
    assert(second.buffer !== source.reader.bytes.buffer);
    assertEquals(latin1(second), "abc");
  }
});

Deno.test("readinto() takes the framing out of many small chunks", async () => {
  const data = text(6000);
  const wire = data.match(/[^]{1,7}/g)!.map(chunk).join("");
  const { body, source } = await opened("chunked", wire);
  const target = new Uint8Array(9000);
  // The first piece shows that chunks are small.
  assertEquals(await body.readinto(target.subarray(0, 100)), 100);
  assertEquals(await body.readinto(target.subarray(100, 4000)), 3900);
  assertEquals(await body.readinto(target.subarray(4000, 4100)), 100);
  const rest = body.readinto(target.subarray(4100, 9000));
  await microtasks(4);
  source.transport.give(LAST);
  assertEquals(await soon(rest), 1900);
  assertEquals(latin1(target.subarray(0, 6000)), data);
});

Deno.test("readinto() counts small chunks for the limit", async () => {
  const wire = chunk("abcdefg").repeat(1000);
  const { body } = await opened("chunked", wire, { maxBodyBytes: 5000 });
  await body.readinto(new Uint8Array(100));
  assertInstanceOf(await thrown(body.readinto(new Uint8Array(7000))), HTTPException);
});

Deno.test("pull() moves what is buffered, and ends a body by length with the last byte", async () => {
  const { body } = await opened("length", "abc", { length: 3 });
  const target = new Uint8Array(2);
  assertEquals([body.pull(target), latin1(target)], [2, "ab"]);
  assertEquals(body.state, "open");
  assertEquals(body.pull(target), 1);
  assertEquals(body.state, "complete");
});

// Straight reads of pieces

/** A body of which the last piece has filled the buffer. */
async function fast(length: number): Promise<Opened> {
  const all = await opened("length", "x".repeat(BUFFER), { length: BUFFER + length });
  assertEquals(all.body.readsLargeNext, false);
  assertEquals((await all.body.chunk())!.length, BUFFER);
  return all;
}

Deno.test("readsLargeNext is true once a piece has filled the buffer and enough is left", async () => {
  assertEquals((await fast(2 * BUFFER)).body.readsLargeNext, true);
  assertEquals((await fast(2 * BUFFER - 1)).body.readsLargeNext, false);
});

Deno.test("readsLargeNext is false when the last piece has not filled the buffer", async () => {
  const { body } = await opened("length", "x".repeat(BUFFER - 1), { length: 10 * BUFFER });
  await body.chunk();
  assertEquals(body.readsLargeNext, false);
});

Deno.test("readsLargeNext is false when something is buffered, and when the body is not open", async () => {
  const buffered = await fast(4 * BUFFER);
  await arrive(buffered, "y");
  assertEquals(buffered.body.readsLargeNext, false);
  const cut = await fast(4 * BUFFER);
  cut.exchange.fail(new Error("reset"));
  assertEquals(cut.body.readsLargeNext, false);
});

/** The sizes that are asked for when each read brings so much. */
async function sizes(...counts: number[]): Promise<number[]> {
  const { body, source, transport } = await fast(100 * BUFFER);
  for (const count of counts) {
    if (!body.readsLargeNext) return [...source.directs, 0];
    const reading = body.readLarge((piece) => {
      assertEquals(piece.length, count);
      body.decodeLarge(piece);
    });
    transport.give(new Uint8Array(count));
    await soon(reading);
  }
  return body.readsLargeNext ? source.directs : [...source.directs, 0];
}

Deno.test("readLarge() asks for more when it gets all of it, up to 512 KiB", async () => {
  const [k128, k256, k512] = [2, 4, 8].map((times) => times * BUFFER);
  assertEquals(await sizes(k128, k256, k512, k512), [k128, k256, k512, k512]);
});

Deno.test("readLarge() asks for less when it gets less than half, and for none at last", async () => {
  const [k128, k256] = [2, 4].map((times) => times * BUFFER);
  assertEquals(await sizes(k128, 1000, 1000), [k128, k256, k128, 0]);
  assertEquals(await sizes(k128, k128, 1000), [k128, k256, k256]);
});

Deno.test("readLarge() asks for as much again when it gets the rest of a window", async () => {
  const [k128, k256] = [2, 4].map((times) => times * BUFFER);
  assertEquals(await sizes(k128, 1000, 16384, 16383), [k128, k256, k128, k128, 0]);
});

/** Reads a large piece of so many bytes, and tells into which memory. */
async function large(
  { body, transport }: Opened,
  count: number,
): Promise<{ piece: Uint8Array; memory: ArrayBufferLike }> {
  let piece = new Uint8Array();
  const reading = body.readLarge((read) => void (piece = body.decodeLarge(read)));
  const memory = transport.reads[0].target.buffer;
  transport.give(new Uint8Array(count).fill(121));
  await soon(reading);
  return { piece, memory };
}

Deno.test("readLarge() reads into the memory of a piece that was copied", async () => {
  const all = await fast(100 * BUFFER);
  const sizes = [2 * BUFFER, 1000, 20000, 70000, 2 * BUFFER];
  const reads = [];
  for (const size of sizes) reads.push(await large(all, size));
  assertEquals(reads.map(({ piece }) => piece.length), sizes);
  assertEquals(reads.every(({ piece }) => piece.every((byte) => byte === 121)), true);
  const memories = reads.map(({ memory }) => memory);
  // 128, 256, and three times 128 KiB: the fourth is in the memory of the third, and given out.
  assertEquals(memories.map((memory) => memories.indexOf(memory)), [0, 1, 2, 2, 4]);
});

Deno.test("readLarge() keeps no memory of a piece that was given out", async () => {
  const all = await fast(100 * BUFFER);
  const first = await large(all, BUFFER);
  const second = await large(all, BUFFER);
  assertEquals([first.piece.length, second.piece.length], [BUFFER, BUFFER]);
  assertEquals(first.memory === second.memory, false);
});

Deno.test("decodeLarge() accounts for a piece, and ends the body with the last one", async () => {
  const { body, transport } = await fast(2 * BUFFER);
  const reading = body.readLarge((piece) => body.decodeLarge(piece));
  transport.give("y".repeat(2 * BUFFER));
  await soon(reading);
  assertEquals([body.decoder.length, body.state], [0, "complete"]);
});

Deno.test("decodeLarge() copies a piece only where its memory is much larger", async () => {
  for (const [size, isCopied] of [[50, false], [49, true]] as const) {
    const { body } = await opened("length", "", { length: 1000 });
    const memory = new Uint8Array(100);
    const piece = body.decodeLarge(memory.subarray(0, size));
    assertEquals([piece.length, piece.buffer !== memory.buffer], [size, isCopied]);
  }
});

Deno.test("close() within the trace's last event leaves a body complete", async () => {
  const all: Opened = await opened("length", "abc", {
    length: 3,
    trace: ({ type }) => {
      if (type === "responseEnd") all.body.close();
    },
  });
  assertEquals((await all.body.gather(Infinity)).length, 3);
  assertEquals(all.body.state, "complete");
});

Deno.test("a body is cut when its exchange fails within the trace's last event", async () => {
  const reason = new Error("enough");
  const all: Opened = await opened("length", "abc", {
    length: 3,
    trace: ({ type }) => {
      if (type === "responseEnd") all.exchange.fail(new Thrown(reason));
    },
  });
  assertEquals(latin1(await all.body.gather(Infinity)), "abc");
  assertEquals(all.body.state, "cut");
  assertStrictEquals(await thrown(all.body.gather(Infinity)), reason);
});

for (const [title, many] of [["small chunks", 1000], ["few chunks", 3]] as const) {
  for (const how of ["transferred", "has shrunk"]) {
    Deno.test(`readinto() throws a TypeError when its target ${how} meanwhile and ${title} come`, async () => {
      const { body, transport } = await opened("chunked", chunk("aaa").repeat(2));
      const memory = new ArrayBuffer(5000, { maxByteLength: 5000 });
      const reading = body.readinto(new Uint8Array(memory));
      if (how === "transferred") memory.transfer();
      else memory.resize(4);
      transport.give(chunk("bbb").repeat(many));
      const error = await thrown(soon(reading));
      assertInstanceOf(error, TypeError);
      assertEquals(
        error.message,
        "Cannot read: the memory to read into was transferred or has shrunk",
      );
      // What was moved there is gone: the rest is not to look like the whole.
      assertStrictEquals(await thrown(body.gather(Infinity)), error);
    });
  }
}

Deno.test("a body does not look whole when readinto() has lost its bytes, closed and transferred at any moment", async () => {
  const kept: boolean[] = [];
  for (let count = 0; count < 20; count++) {
    const { body, transport } = await opened("length", "", { length: 5 });
    const memory = new ArrayBuffer(5);
    const reading = thrown(body.readinto(new Uint8Array(memory))).catch(() => null);
    transport.give("hello");
    await microtasks(count);
    body.close();
    memory.transfer();
    const error = await reading;
    if (body.state !== "complete") continue;
    kept.push(error === null);
    if (error === null) assertEquals(body.readable, false);
    else assertStrictEquals(assertThrows(() => body.readable), error);
  }
  // Both have happened: all was read before, and what was read is lost.
  assertEquals(new Set(kept).size, 2);
});

for (const how of ["transferred", "has shrunk"]) {
  Deno.test(`readinto1() throws a TypeError when its target ${how} meanwhile`, async () => {
    const { body, transport } = await opened("chunked", "");
    const memory = new ArrayBuffer(8, { maxByteLength: 8 });
    const reading = body.readinto1(new Uint8Array(memory));
    if (how === "transferred") memory.transfer();
    else memory.resize(4);
    transport.give(chunk("hello") + chunk("world") + LAST);
    const error = await thrown(soon(reading));
    assertInstanceOf(error, TypeError);
    assertEquals(
      error.message,
      "Cannot read: the memory to read into was transferred or has shrunk",
    );
    assertStrictEquals(await thrown(body.gather(Infinity)), error);
  });
}

Deno.test("readinto1() ends a body until close when it comes upon its end", async () => {
  const { body, transport } = await opened("close", "abc");
  assertEquals(await body.readinto1(new Uint8Array(9)), 3);
  assertEquals(body.state, "open");
  const last = body.readinto1(new Uint8Array(9));
  transport.end();
  assertEquals([await soon(last), body.state], [0, "complete"]);
});

Deno.test("readinto1() gives 0 at the end of a body whose target was transferred meanwhile", async () => {
  const { body, transport } = await opened("chunked", "");
  const memory = new ArrayBuffer(8);
  const reading = body.readinto1(new Uint8Array(memory));
  memory.transfer();
  transport.give(LAST);
  assertEquals([await soon(reading), body.state], [0, "complete"]);
});

Deno.test("decodeLarge() tells no trace of content where there is only framing", async () => {
  const types: string[] = [];
  const { body } = await opened("chunked", "", { trace: ({ type }) => types.push(type) });
  assertEquals(body.decodeLarge(bytes("5\r\n")).length, 0);
  assertEquals(types.includes("responseBody"), false);
});

for (const limit of [Infinity, 40]) {
  Deno.test(`gather() gives ${limit} bytes at most of chunks in memory that holds nothing else`, async () => {
    const { body, transport } = await opened("chunked", chunk("a").repeat(30));
    const reading = body.gather(limit);
    transport.give(chunk("b").repeat(30) + LAST);
    const whole = await soon(reading);
    const { buffer, length } = whole;
    assertEquals([length, buffer.byteLength], [Math.min(limit, 60), Math.min(limit, 60)]);
  });
}

for (const size of [14, 1000]) {
  Deno.test(`piece() gives ${size} bytes of a chunk in memory that holds nothing else`, async () => {
    const { body } = await opened("chunked", chunk("a".repeat(size)));
    const piece = await body.chunk();
    assertEquals([piece!.length, piece!.buffer.byteLength], [size, size]);
  });
}

Deno.test("piece() counts what it gives of chunks that are tiny, and keeps little more memory", async () => {
  const { body, transport } = await opened("chunked", chunk("a").repeat(50));
  const first = await body.chunk();
  assertEquals([first!.length, body.total, first!.buffer.byteLength], [50, 50, 50]);
  let size = 0;
  const reading = body.whenReady((run) => void (size = body.piece(run).length));
  transport.give(chunk("b").repeat(50) + LAST);
  await soon(reading);
  assertEquals([size, body.total], [50, 100]);
});

Deno.test("decodeLarge() counts for the limit", async () => {
  const { body, transport } = await opened("length", "x".repeat(BUFFER), {
    length: 10 * BUFFER,
    maxBodyBytes: BUFFER + 1,
  });
  await body.chunk();
  const reading = body.readLarge((piece) => body.decodeLarge(piece));
  transport.give("yy");
  assertInstanceOf(await thrown(reading), HTTPException);
});

Deno.test("unread() puts a piece in front of what comes next", async () => {
  const { body, transport } = await fast(2 * BUFFER);
  const reading = body.readLarge((piece) => body.unread(piece));
  transport.give("abc");
  await soon(reading);
  assertEquals(latin1((await body.chunk())!), "abc");
  assertEquals(body.decoder.length, 2 * BUFFER - 3);
});

Deno.test("readLarge() gives nothing at the end of the source, and the next call finds that", async () => {
  const { body, transport } = await fast(2 * BUFFER);
  let given: number | null = null;
  const reading = body.readLarge((piece) => given = piece.length);
  transport.end();
  await soon(reading);
  assertEquals(given, 0);
  assertInstanceOf(await thrown(body.chunk()), IncompleteRead);
});

Deno.test("readLarge() throws when the read fails, or the body is not open any longer", async () => {
  const failed = await fast(2 * BUFFER);
  const reading = failed.body.readLarge(() => assert(false));
  const reason = new Deno.errors.ConnectionReset();
  failed.transport.fail(reason);
  assertStrictEquals(await thrown(reading), reason);
  const closed = await fast(2 * BUFFER);
  const other = closed.body.readLarge(() => assert(false));
  closed.body.close();
  assertInstanceOf(await thrown(other), Deno.errors.Interrupted);
});

// The trace

/** The events of reading a body, without their times. */
function recorder() {
  const events: unknown[] = [];
  return {
    events,
    trace: (event: TraceEvent) => {
      const { time: _, ...rest } = event;
      if (rest.type === "trailers") events.push(["trailers", [...rest.headers]]);
      else events.push(Object.values(rest));
    },
  };
}

Deno.test("the trace tells of each piece with the total, and of the end", async () => {
  const { events, trace } = recorder();
  const { body } = await opened("length", "abc", { length: 3, trace });
  await body.read1(2);
  await body.read1(2);
  assertEquals(events, [
    ["responseBody", 2, 2],
    ["responseBody", 1, 3],
    ["responseEnd", 3],
  ]);
});

Deno.test("the trace tells of the trailers before the end when there are any", async () => {
  const { events, trace } = recorder();
  const { body } = await opened("chunked", chunk("ab") + "0\r\nA: b\r\n\r\n", { trace });
  await body.gather(Infinity);
  assertEquals(events, [
    ["responseBody", 2, 2],
    ["trailers", [["A", "b"]]],
    ["responseEnd", 2],
  ]);
  const other = recorder();
  const { body: plain } = await opened("chunked", LAST, { trace: other.trace });
  await plain.gather(Infinity);
  assertEquals(other.events, [["responseEnd", 0]]);
});

Deno.test("the trace tells of no piece of no bytes", async () => {
  const { events, trace } = recorder();
  const { body, transport } = await opened("chunked", "", { trace });
  const read = body.gather(5);
  await microtasks(4);
  transport.give("2\r\n");
  await microtasks(4);
  transport.give("ab\r\n0\r\n\r\n");
  await soon(read);
  assertEquals(events, [["responseBody", 2, 2], ["responseEnd", 2]]);
});

Deno.test("the trace tells of no piece of no bytes when chunks are small and much is wanted", async () => {
  const { events, trace } = recorder();
  const { body, transport } = await opened("chunked", chunk("abc"), { trace });
  await body.readinto(new Uint8Array(3));
  const read = body.readinto(new Uint8Array(5000));
  await microtasks(4);
  transport.give(chunk("de") + LAST);
  assertEquals(await soon(read), 2);
  assertEquals(events, [
    ["responseBody", 3, 3],
    ["responseBody", 2, 5],
    ["responseEnd", 5],
  ]);
});

Deno.test("a body is not complete when the trace throws at its end", async () => {
  const reason = new Error("theirs");
  const { body, exchange } = await opened("length", "abc", {
    length: 3,
    trace: ({ type }) => {
      if (type === "responseEnd") throw reason;
    },
  });
  const error = await thrown(body.gather(Infinity));
  assertInstanceOf(error, Thrown);
  assertStrictEquals(error.reason, reason);
  assertEquals([body.state, exchange.over], ["cut", true]);
  assertStrictEquals(body.failed(error), reason);
});

Deno.test("close() finds a body ended when the trace has thrown and its reader does not know yet", async () => {
  const reason = new Error("theirs");
  const { body, exchange } = await opened("length", "abc", {
    length: 3,
    trace: ({ type }) => {
      if (type === "responseEnd") throw reason;
    },
  });
  await thrown(body.gather(Infinity));
  body.close();
  assertEquals([body.state, exchange.over], ["cut", true]);
  assertStrictEquals(await thrown(body.gather(Infinity)), reason);
});

for (const name of ["readinto()", "gather()", "gather(Infinity)", "line()", "lines()"]) {
  Deno.test(`${name} throws when the trace closes the body at a piece`, async () => {
    const all: Opened = await opened("length", "a\nb", {
      length: 9,
      trace: ({ type }) => {
        if (type === "responseBody") all.body.close();
      },
    });
    assertInstanceOf(await thrown(CALLS[name](all.body)), Deno.errors.Interrupted);
  });

  Deno.test(`${name} throws when the trace closes the body at a straight piece`, async () => {
    const all: Opened = await opened("length", "", {
      length: 40_000,
      direct: true,
      trace: ({ type }) => {
        if (type === "responseBody") all.body.close();
      },
    });
    const read = all.body.gather(Infinity);
    await microtasks(2);
    all.transport.give("x".repeat(17_000));
    assertInstanceOf(await thrown(read), Deno.errors.Interrupted);
  });
}

Deno.test("a straight read that ends after the body was closed is the caller's, and is not traced", async () => {
  const { events, trace } = recorder();
  const { body, source, transport, exchange } = await opened("length", "", {
    length: 40_000,
    direct: true,
    trace,
  });
  source.reader.discard = () => {};
  const target = new Uint8Array(40_000);
  const read = body.readinto(target);
  exchange.fail(new Thrown(new Error("enough")));
  transport.give("x".repeat(20_000));
  assertEquals(await soon(read), 20_000);
  assertEquals(events, []);
});

for (
  const [what, end] of [["ends", (t: ManualTransport) => t.end()], [
    "fails",
    (t: ManualTransport) => t.fail(new Error("gone")),
  ]] as const
) {
  Deno.test(`some() throws when the source ${what} within a read straight into the caller's memory`, async () => {
    const { body, transport } = await opened("length", "", { length: 40_000, direct: true });
    const reading = thrown(body.some(new Uint8Array(DIRECT)));
    await microtasks(20);
    end(transport);
    assertInstanceOf(await soon(reading), Error);
    assertEquals(body.state, "cut");
  });
}

Deno.test("some() gives a single byte that was read straight into the caller's memory", async () => {
  const { body, transport } = await opened("length", "", { length: 40_000, direct: true });
  const reading = body.some(new Uint8Array(DIRECT));
  await microtasks(20);
  transport.give("x");
  assertEquals(await soon(reading), 1);
});

/** Reads by `some()` to the end of the body, in memory of `room` bytes. */
async function readSome(body: Body, room: number): Promise<string[]> {
  const parts: string[] = [];
  const target = new Uint8Array(room);
  for (let count; (count = await soon(body.some(target))) > 0;) {
    parts.push(latin1(target.subarray(0, count)));
  }
  return parts;
}

Deno.test("some() reads chunks with their framing, and gives only what is in them", async () => {
  const { body, source, transport } = await opened("chunked", "", { direct: true });
  const target = new Uint8Array(DIRECT);
  const parts: string[] = [];
  const direct: boolean[] = [];
  // A chunk that is cut off goes on with the next read, and so does a size line.
  for (
    const text of [
      `${chunk("abc")}${chunk("defg")}5\r\nhi`,
      "jkl\r\n1",
      `0\r\n${"m".repeat(16)}\r\n${LAST}`,
    ]
  ) {
    const reading = body.some(target);
    await microtasks(20);
    direct.push(source.reader.readsDirectly);
    transport.give(text);
    parts.push(latin1(target.subarray(0, await soon(reading))));
  }
  // The size line that was begun is in the buffer.
  assertEquals(direct, [true, true, false]);
  assertEquals(parts, ["abcdefghi", "jkl", "m".repeat(16)]);
  assertEquals([await soon(body.some(target)), body.state, body.total], [0, "complete", 28]);
});

Deno.test("some() reads framing into memory that its caller does not have", async () => {
  const { body, transport } = await opened("chunked", "", { direct: true });
  const target = new Uint8Array(DIRECT).fill(46);
  const reading = body.some(target);
  await microtasks(20);
  transport.give(`${chunk("abc")}${chunk("defg")}${LAST}`);
  const size = await soon(reading);
  assertEquals(latin1(target.subarray(0, size)), "abcdefg");
  assert(target.subarray(size).every((byte) => byte === 46));
});

for (const direct of [true, false]) {
  const where = direct ? "memory of its own" : "the buffer";
  Deno.test(`some() throws a TypeError when its caller's memory is gone by the time chunks are in ${where}`, async () => {
    const { body, transport } = await opened("chunked", "", { direct });
    const target = new Uint8Array(DIRECT);
    const reading = thrown(body.some(target));
    await microtasks(20);
    target.buffer.transfer();
    transport.give(chunk("abc") + LAST);
    assertInstanceOf(await soon(reading), TypeError);
    assertEquals(body.state, "cut");
    assertInstanceOf(await soon(thrown(body.some(new Uint8Array(DIRECT)))), TypeError);
  });
}

Deno.test("some() waits on where a read has brought nothing but framing", async () => {
  const { body, transport } = await opened("chunked", "", { direct: true });
  const target = new Uint8Array(DIRECT);
  const reading = body.some(target);
  for (const text of ["5;a=b\r\n", "hello"]) {
    await microtasks(20);
    transport.give(text);
  }
  assertEquals([await soon(reading), latin1(target.subarray(0, 5))], [5, "hello"]);
});

Deno.test("some() leaves what stands behind the last chunk", async () => {
  const { body, source, transport } = await opened("chunked", "", { direct: true });
  const target = new Uint8Array(DIRECT);
  const reading = body.some(target);
  await microtasks(20);
  transport.give(`${chunk("abc")}${LAST}HTTP/1.1 200 OK\r\n`);
  assertEquals([await soon(reading), await soon(body.some(target))], [3, 0]);
  const { reader } = source;
  assertEquals(latin1(reader.bytes.subarray(reader.start, reader.end)), "HTTP/1.1 200 OK\r\n");
});

Deno.test("some() throws behind the content that stands before a size line that is none", async () => {
  const { body, transport } = await opened("chunked", "", { direct: true });
  const target = new Uint8Array(DIRECT);
  const reading = body.some(target);
  await microtasks(20);
  transport.give(`${chunk("abc")}x\r\nabc`);
  assertEquals(await soon(reading), 3);
  const error = await soon(thrown(body.some(target)));
  assertInstanceOf((error as Error).cause, ProtocolError);
  assertEquals(body.state, "cut");
});

Deno.test("some() throws at more than the limit in chunks", async () => {
  const { body, transport } = await opened("chunked", "", { direct: true, maxBodyBytes: 50 });
  const reading = thrown(body.some(new Uint8Array(DIRECT)));
  await microtasks(20);
  transport.give(chunk("a".repeat(51)));
  assertInstanceOf(await soon(reading), HTTPException);
  assertEquals(body.state, "cut");
});

Deno.test("some() reads chunks into the buffer where its memory is small, or close() ends no read", async () => {
  for (const [room, direct] of [[DIRECT - 1, true], [DIRECT, false]] as const) {
    const { body, source, transport } = await opened("chunked", "", { direct });
    const reading = readSome(body, room);
    await microtasks(20);
    assertEquals(source.reader.readsDirectly, false);
    transport.give(chunk("abc") + LAST);
    assertEquals(await soon(reading), ["abc"]);
  }
});

Deno.test("some() counts nothing that comes when the body was ended meanwhile", async () => {
  const { events, trace } = recorder();
  const { body, source, transport, exchange } = await opened("chunked", "", {
    direct: true,
    trace,
  });
  source.reader.discard = () => {};
  const reading = body.some(new Uint8Array(DIRECT));
  exchange.fail(new Thrown(new Error("enough")));
  transport.give(`${chunk("abc")}5`);
  assertEquals(await soon(reading), 3);
  assertEquals([events, body.total, source.reader.available], [[], 0, 0]);
});

/** What each call gives of these two chunks, all of which is buffered. */
const TAKING: [
  name: string,
  take: (body: Body) => Promise<Uint8Array> | Uint8Array | null,
  string,
][] = [
  ["chunk", async (body) => (await body.chunk())!, "line\nmore"],
  ["chunkNow", (body) => body.chunkNow(), "line\nmore"],
  ["read1", (body) => body.read1(100), "line\nmo"],
  ["gather", (body) => body.gather(Infinity), "line\nmore"],
  ["gather of a count", (body) => body.gather(8), "line\nmor"],
  ["line", (body) => body.line(Infinity), "line\n"],
  ["lineNow", (body) => body.lineNow(Infinity), "line\n"],
  ["readinto", (body) => filled(8, (target) => body.readinto(target)), "line\nmor"],
  ["readinto1", (body) => filled(8, (target) => body.readinto1(target)), "line\nmo"],
  ["some", (body) => filled(9, (target) => body.some(target)), "line\nmore"],
];

/** What a call fills a target with. */
async function filled(
  size: number,
  fill: (target: Uint8Array<ArrayBuffer>) => Promise<number>,
): Promise<Uint8Array> {
  const target = new Uint8Array(size);
  return target.subarray(0, await fill(target));
}

for (const [name, take, text] of TAKING) {
  Deno.test(`${name}() has its bytes out of the buffer when the trace is told of them`, async () => {
    const told: number[] = [];
    const { body, source } = await opened("chunked", chunk("line\nmo") + chunk("re") + LAST, {
      trace(event) {
        // Whoever is told may read on, or close: what was taken is overwritten, or another response's.
        if (event.type !== "responseBody") return;
        told.push(event.bytes);
        source.reader.bytes.fill(46, 0, source.reader.start);
      },
    });
    assertEquals(latin1((await take(body))!), text);
    assert(told.length > 0);
  });
}
