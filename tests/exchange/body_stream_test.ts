/**
 * A body in pieces: the iterator behind `for await`, and what a web stream that asks for a piece is given.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { Body, type BodySource } from "../../_internal/exchange/body.ts";
import {
  type Asker,
  BodyIterator,
  BodyStream,
  type PieceSource,
} from "../../_internal/exchange/body_stream.ts";
import { IncompleteRead } from "../../errors.ts";
import type { Exchange } from "../../_internal/exchange/exchange.ts";
import { BufferedReader } from "../../_internal/net/buffered_reader.ts";
import { decoderFor } from "../../_internal/wire/body_decoder.ts";
import type { Framing } from "../../_internal/wire/framing.ts";
import { DEFAULT_LIMITS } from "../../_internal/wire/field_section.ts";
import { carried } from "../helpers/carriers.ts";
import { ManualTransport } from "../helpers/manual_transport.ts";
import { microtasks, soon, thrown } from "../helpers/waiting.ts";
import { bytes, latin1 } from "../servers/raw.ts";
import { RECEIVING_STEPS, SENDING_STEPS } from "../../_internal/exchange/states.ts";

type Piece = Uint8Array<ArrayBuffer>;

/** A source of pieces, those of which that are not there at once are given by the test. */
class Pieces implements PieceSource {
  ready: string[] = [];
  readonly waits: PromiseWithResolvers<Piece | null>[] = [];
  leaves = 0;

  now(): Piece | null {
    const text = this.ready.shift();
    return text === undefined ? null : bytes(text) as Piece;
  }

  next(): Promise<Piece | null> {
    const wait = Promise.withResolvers<Piece | null>();
    this.waits.push(wait);
    return wait.promise;
  }

  leave(): void {
    this.leaves++;
  }
}

function iterated(): { pieces: Pieces; iterator: BodyIterator } {
  const pieces = new Pieces();
  return { pieces, iterator: new BodyIterator(pieces) };
}

/** A step as text; `null` for the end. */
async function step(next: Promise<IteratorResult<Piece, undefined>>): Promise<string | null> {
  const { done, value } = await soon(next);
  return done ? null : latin1(value);
}

// The iterator

Deno.test("next() gives a piece that is there, and asks for no other", async () => {
  const { pieces, iterator } = iterated();
  pieces.ready = ["one", "two"];
  assertEquals(await step(iterator.next()), "one");
  assertEquals(await step(iterator.next()), "two");
  assertEquals(pieces.waits.length, 0);
});

Deno.test("next() waits for a piece that is not there", async () => {
  const { pieces, iterator } = iterated();
  const next = iterator.next();
  pieces.waits[0].resolve(bytes("late") as Piece);
  assertEquals(await step(next), "late");
  pieces.ready = ["now"];
  assertEquals(await step(iterator.next()), "now");
});

Deno.test("next() is done at the end, and asks for nothing after it", async () => {
  const { pieces, iterator } = iterated();
  const next = iterator.next();
  pieces.waits[0].resolve(null);
  assertEquals(await soon(next), { done: true, value: undefined });
  pieces.ready = ["never"];
  assertEquals(await step(iterator.next()), null);
  assertEquals([pieces.waits.length, pieces.ready.length], [1, 1]);
});

Deno.test("next() answers in order when several steps are taken at once", async () => {
  const { pieces, iterator } = iterated();
  const steps = [iterator.next(), iterator.next(), iterator.next()];
  assertEquals(pieces.waits.length, 1);
  // What is there by now stands behind the step that waits.
  pieces.ready = ["too early"];
  steps.push(iterator.next());
  const texts: (string | null)[] = [];
  for (const [i, wait] of steps.entries()) {
    await microtasks(4);
    assertEquals(pieces.waits.length, i + 1);
    pieces.waits[i].resolve(bytes(`${i}`) as Piece);
    texts.push(await step(wait));
  }
  assertEquals(texts, ["0", "1", "2", "3"]);
  assertEquals(await step(iterator.next()), "too early");
});

Deno.test("next() does not overtake a step that is left of several", async () => {
  const { pieces, iterator } = iterated();
  const steps = [iterator.next(), iterator.next()];
  pieces.waits[0].resolve(bytes("0") as Piece);
  assertEquals(await step(steps[0]), "0");
  pieces.ready = ["too early"];
  steps.push(iterator.next());
  pieces.waits[1].resolve(bytes("1") as Piece);
  assertEquals(await step(steps[1]), "1");
  await microtasks(4);
  pieces.waits[2].resolve(bytes("2") as Piece);
  assertEquals(await step(steps[2]), "2");
});

Deno.test("next() goes on behind a step that failed", async () => {
  const { pieces, iterator } = iterated();
  const steps = [iterator.next(), iterator.next()];
  const reason = new Error("reset");
  pieces.waits[0].reject(reason);
  assertStrictEquals(await thrown(steps[0]), reason);
  await microtasks(4);
  pieces.waits[1].resolve(bytes("next") as Piece);
  assertEquals(await step(steps[1]), "next");
});

Deno.test("next() is done for the steps behind the end", async () => {
  const { pieces, iterator } = iterated();
  const steps = [iterator.next(), iterator.next()];
  pieces.waits[0].resolve(null);
  assertEquals([await step(steps[0]), await step(steps[1])], [null, null]);
  assertEquals(pieces.waits.length, 1);
});

Deno.test("next() is rejected with what looking for a piece throws", async () => {
  const { pieces, iterator } = iterated();
  const reason = new Error("closed");
  pieces.now = () => {
    throw reason;
  };
  assertStrictEquals(await thrown(iterator.next()), reason);
});

Deno.test("return() leaves the source once, and ends the iteration", async () => {
  const { pieces, iterator } = iterated();
  pieces.ready = ["one"];
  assertEquals(await soon(iterator.return()), { done: true, value: undefined });
  assertEquals(await step(iterator.next()), null);
  await iterator.return();
  assertEquals([pieces.leaves, pieces.ready.length], [1, 1]);
});

Deno.test("return() leaves no source that has ended", async () => {
  const { pieces, iterator } = iterated();
  const next = iterator.next();
  pieces.waits[0].resolve(null);
  await next;
  await iterator.return();
  assertEquals(pieces.leaves, 0);
});

Deno.test("return() ends the steps that wait behind another one", async () => {
  const { pieces, iterator } = iterated();
  const steps = [iterator.next(), iterator.next()];
  await iterator.return();
  pieces.waits[0].resolve(bytes("last") as Piece);
  assertEquals([await step(steps[0]), await step(steps[1])], ["last", null]);
  assertEquals(pieces.waits.length, 1);
});

Deno.test("an iterator is its own iterable", () => {
  const { iterator } = iterated();
  assertStrictEquals(iterator[Symbol.asyncIterator](), iterator);
});

// The stream

/** The size of a connection's buffer. */
const BUFFER = 65536;

class Source implements BodySource {
  readonly transport = new ManualTransport();
  readonly reader = new BufferedReader(this.transport);
  readonly settings = { maxBodyBytes: Infinity, suppressRaggedEofs: false };
  readonly closeEndsReads = true;
  directs = 0;

  constructor() {
    // As it is once a read has filled the first buffer.
    this.reader.bytes = new Uint8Array(BUFFER);
  }

  fill(): Promise<number> {
    return this.reader.fill();
  }

  fillInto(_exchange: Exchange, target: Uint8Array): Promise<number> {
    this.directs++;
    return this.reader.fillInto(target);
  }

  leaveFill(reason: unknown): void {
    this.reader.interrupt({ reason });
  }
}

/** Refuses to give anything before whoever asked is answered: who gets it may read on at once. */
function refuseEarly(controller: ReadableByteStreamController, asker: Asker): void {
  const guard = (target: object, name: string) => {
    const give = Reflect.get(target, name) as (...args: unknown[]) => void;
    const value = (...args: unknown[]) => {
      assert(asker.isAnswered, `${name}() before answer()`);
      give.apply(target, args);
    };
    Object.defineProperty(target, name, { value, configurable: true });
  };
  guard(controller, "enqueue");
  guard(controller, "close");
  const { get } = Object.getOwnPropertyDescriptor(
    ReadableByteStreamController.prototype,
    "byobRequest",
  )!;
  Object.defineProperty(controller, "byobRequest", {
    get() {
      const request = get!.call(controller);
      if (request !== null) guard(request, "respond");
      return request;
    },
    configurable: true,
  });
}

/** A stream over a body by length, or else a chunked one, whose reader may let go. */
function streamed(length: number | null) {
  const source = new Source();
  const { exchange } = carried();
  exchange.send(SENDING_STEPS.send);
  exchange.send(SENDING_STEPS.finish);
  exchange.receive(RECEIVING_STEPS.await);
  const chunked = length === null;
  const delimiter = chunked ? "chunked" : "length";
  const framing: Framing = { delimiter, length, chunked, willClose: false };
  const limits = { trailers: DEFAULT_LIMITS, extensions: 100 };
  const body = new Body(source, exchange, decoderFor(framing, limits), framing);
  exchange.answered({ status: 200, willClose: false, body });
  const pulls = new BodyStream();
  let gives = 0;
  let pull = (): Promise<void> => Promise.reject(new Error("The stream was never pulled"));
  const stream: ReadableStream<Piece> = new ReadableStream({
    type: "bytes",
    pull: (controller) => give(controller),
  }, { highWaterMark: 0 });
  const give = (controller: ReadableByteStreamController) => {
    pull = () => give(controller);
    const asker = {
      get isThere() {
        return stream.locked;
      },
      isAnswered: false,
      answer() {
        gives++;
        this.isAnswered = true;
      },
    };
    refuseEarly(controller, asker);
    pulls.asker = asker;
    return pulls.pulling = pulls.pull(body, controller, asker).finally(() => {
      if (pulls.asker === asker) pulls.pulling = null;
    });
  };
  /** How often the stream was pulled because it would not have been by itself. */
  let kicks = 0;
  const byob = () => {
    pulls.locks();
    const reader = stream.getReader({ mode: "byob" });
    pulls.follow(reader, () => {}, (controller) => {
      kicks++;
      give(controller);
    });
    return reader;
  };
  return {
    source,
    transport: source.transport,
    body,
    stream,
    pulls,
    byob,
    /** Pulls it as a stream does that asks. */
    pull: () => pull(),
    gives: () => gives,
    kicks: () => kicks,
  };
}

Deno.test("a stream gives a piece as soon as it is there, and its end", async () => {
  const { transport, body, stream } = streamed(5);
  const reader = stream.getReader();
  const first = reader.read();
  await microtasks(10);
  transport.give("abc");
  assertEquals(latin1((await soon(first)).value!), "abc");
  assertEquals(transport.reads.length, 0);
  const second = reader.read();
  await microtasks(10);
  transport.give("de");
  assertEquals(latin1((await soon(second)).value!), "de");
  assertEquals((await soon(reader.read())).done, true);
  assertEquals(body.state, "complete");
});

Deno.test("a stream fails with what cuts the body short", async () => {
  const { transport, stream } = streamed(5);
  const reader = stream.getReader();
  const read = reader.read();
  await microtasks(10);
  const reason = new Deno.errors.ConnectionReset();
  transport.fail(reason);
  assertStrictEquals(await thrown(read), reason);
});

Deno.test("a stream fills the view of a BYOB reader, and keeps the rest", async () => {
  const { transport, body, stream } = streamed(5);
  const reader = stream.getReader({ mode: "byob" });
  const read = reader.read(new Uint8Array(3));
  await microtasks(10);
  transport.give("abcde");
  assertEquals(latin1((await soon(read)).value!), "abc");
  assertEquals(body.decoder.length, 2);
  assertEquals(latin1((await soon(reader.read(new Uint8Array(9)))).value!), "de");
  const last = await soon(reader.read(new Uint8Array(9)));
  assertEquals([last.done, last.value!.length], [true, 0]);
});

Deno.test("a stream keeps a piece for the next reader when the one that asked has let go", async () => {
  const { transport, body, stream } = streamed(5);
  const reader = stream.getReader();
  const read = thrown(reader.read());
  await microtasks(10);
  reader.releaseLock();
  await read;
  transport.give("abc");
  await microtasks(10);
  assertEquals(body.decoder.length, 5);
  const { value } = await soon(stream.getReader().read());
  assertEquals(latin1(value!), "abc");
});

Deno.test("a stream gives the next reader a piece when a BYOB reader has let go", async () => {
  const { transport, body, stream } = streamed(5);
  const reader = stream.getReader({ mode: "byob" });
  const read = thrown(reader.read(new Uint8Array(2)));
  await microtasks(10);
  reader.releaseLock();
  await read;
  transport.give("abc");
  await microtasks(10);
  assertEquals(body.decoder.length, 5);
  const next = stream.getReader();
  assertEquals(latin1((await soon(next.read())).value!), "abc");
  const last = next.read();
  await microtasks(10);
  transport.give("de");
  assertEquals(latin1((await soon(last)).value!), "de");
});

Deno.test("a stream fills views again once the one that was let go is out of the way", async () => {
  const { transport, stream, body } = streamed(20);
  const byob = stream.getReader({ mode: "byob" });
  const read = thrown(byob.read(new Uint8Array(2)));
  await microtasks(10);
  byob.releaseLock();
  await read;
  transport.give("abc");
  await microtasks(10);
  const reader = stream.getReader();
  assertEquals(latin1((await soon(reader.read())).value!), "abc");
  reader.releaseLock();
  const next = stream.getReader({ mode: "byob" }).read(new Uint8Array(2));
  await microtasks(10);
  transport.give("defg");
  assertEquals(latin1((await soon(next)).value!), "de");
  // Into the view and no further: the rest was not queued in the stream.
  assertEquals(body.decoder.length, 15);
});

/** A stream of which a BYOB reader has let go while it waited for a view of so many bytes. */
async function abandoned(length: number, { size = 2, min = 1 } = {}) {
  const all = streamed(length);
  const reader = all.byob();
  const read = thrown(reader.read(new Uint8Array(size), { min }));
  await microtasks(10);
  const letGo = async () => {
    reader.releaseLock();
    await read;
  };
  return { ...all, letGo };
}

Deno.test("held is what a view that is not full has got, until a reader gets it", async () => {
  const { transport, stream, pulls, letGo } = await abandoned(9, { size: 7, min: 5 });
  assertEquals(pulls.held, 0);
  transport.give("abc");
  await microtasks(10);
  assertEquals(pulls.held, 3);
  await letGo();
  assertEquals(pulls.held, 3);
  pulls.locks();
  assertEquals(pulls.held, 3);
  const reader = stream.getReader();
  const next = reader.read();
  transport.give("d");
  assertEquals(latin1((await soon(next)).value!), "abc");
  assertEquals(pulls.held, 0);
  assertEquals(latin1((await soon(reader.read())).value!), "d");
});

Deno.test("what a view has not got is given to the next reader at once", async () => {
  const { transport, byob, pulls, letGo } = await abandoned(9, { size: 7, min: 5 });
  transport.give("abcd");
  await microtasks(10);
  await letGo();
  transport.give("e");
  await microtasks(20);
  assertEquals(pulls.held, 4);
  assertEquals(latin1((await soon(byob().read(new Uint8Array(3)))).value!), "abc");
  assertEquals(pulls.held, 1);
});

Deno.test("what a view has not got is kept when the next one is larger, and needs more", async () => {
  const { transport, byob, letGo } = await abandoned(9, { size: 4, min: 4 });
  transport.give("ab");
  await microtasks(10);
  await letGo();
  const read = byob().read(new Uint8Array(9), { min: 9 });
  await microtasks(20);
  transport.give("cdefghi");
  assertEquals(latin1((await soon(read)).value!), "abcdefghi");
});

Deno.test("a view that needs more than has come gets what there is at the end", async () => {
  const { transport, body, byob, pulls } = streamed(3);
  const reader = byob();
  const read = reader.read(new Uint8Array(9), { min: 5 });
  await microtasks(10);
  transport.give("abc");
  const { done, value } = await soon(read);
  assertEquals([done, latin1(value!), pulls.held, body.state], [true, "abc", 0, "complete"]);
});

for (const stale of [false, true]) {
  Deno.test(`a part of an element at the end is an error, and no body that looks whole${stale ? ", behind a view that was let go" : ""}`, async () => {
    const all = stale ? await abandoned(3) : streamed(3);
    if ("letGo" in all) await (all as Awaited<ReturnType<typeof abandoned>>).letGo();
    const { transport, body, byob } = all;
    const reader = byob();
    const read = reader.read(new Uint16Array(1));
    await microtasks(10);
    transport.give("abc");
    assertEquals((await soon(read)).value!.length, 1);
    const error = await thrown(reader.read(new Uint16Array(1)));
    assertInstanceOf(error, TypeError);
    assertStrictEquals(assertThrows(() => body.readable), error);
  });
}

Deno.test("held is what a view of larger elements has got when it needs several", async () => {
  const { transport, pulls, byob } = streamed(9);
  const read = byob().read(new Uint16Array(4), { min: 2 });
  await microtasks(10);
  transport.give("abc");
  await microtasks(20);
  assertEquals(pulls.held, 3);
  transport.give("de");
  assertEquals((await soon(read)).value!.length, 2);
  assertEquals(pulls.held, 1);
});

Deno.test("held is what a view has got behind one that was answered from the stream's queue", async () => {
  const { transport, pulls, byob } = streamed(9);
  const reader = byob();
  const first = reader.read(new Uint16Array(2));
  await microtasks(10);
  transport.give("abc");
  await soon(first);
  assertEquals(latin1((await soon(reader.read(new Uint8Array(4)))).value!), "c");
  const read = reader.read(new Uint8Array(9), { min: 5 });
  await microtasks(10);
  transport.give("def");
  await microtasks(20);
  assertEquals(pulls.held, 3);
  transport.give("ghi");
  assertEquals(latin1((await soon(read)).value!), "defghi");
});

Deno.test("held is 0 when the stream has failed with bytes in a view", async () => {
  const { transport, pulls, byob } = streamed(9);
  const read = thrown(byob().read(new Uint8Array(9), { min: 5 }));
  await microtasks(10);
  transport.give("abc");
  await microtasks(20);
  transport.fail(new Deno.errors.ConnectionReset());
  await read;
  await microtasks(20);
  assertEquals(pulls.held, 0);
});

Deno.test("held is 0 when a view has got as much as it needs", async () => {
  const { transport, pulls, letGo } = await abandoned(9, { size: 7, min: 3 });
  transport.give("abc");
  await microtasks(20);
  assertEquals(pulls.held, 0);
  await letGo().catch(() => {});
  assertEquals(pulls.held, 0);
});

Deno.test("a BYOB read behind a view that was let go is pulled for, and gets no more than it takes", async () => {
  const { transport, body, byob, kicks, letGo } = await abandoned(9);
  await letGo();
  transport.give("abcdef");
  await microtasks(20);
  const reader = byob();
  const reads = [reader.read(new Uint8Array(3)), reader.read(new Uint8Array(2))];
  assertEquals(latin1((await soon(reads[0])).value!), "abc");
  assertEquals(latin1((await soon(reads[1])).value!), "de");
  assertEquals([kicks(), body.decoder.length], [1, 4]);
});

Deno.test("a BYOB read is not pulled for when the stream pulls by itself", async () => {
  const { transport, byob, kicks } = streamed(9);
  const reader = byob();
  const read = reader.read(new Uint8Array(3));
  await microtasks(30);
  transport.give("abc");
  assertEquals(latin1((await soon(read)).value!), "abc");
  assertEquals(kicks(), 0);
});

Deno.test("a BYOB read behind a view that was let go is pulled for at once, as that waits no more", async () => {
  const { transport, byob, kicks, letGo } = await abandoned(9);
  await letGo();
  const read = byob().read(new Uint8Array(3));
  await microtasks(30);
  assertEquals(kicks(), 1);
  transport.give("abc");
  assertEquals(latin1((await soon(read)).value!), "abc");
  await microtasks(30);
  assertEquals([kicks(), transport.reads.length], [1, 0]);
});

Deno.test("a BYOB reader that has let go before it was pulled for is pulled for no more", async () => {
  const { transport, body, byob, kicks, letGo, stream } = await abandoned(9);
  await letGo();
  transport.give("abc");
  await microtasks(20);
  const reader = byob();
  const read = thrown(reader.read(new Uint8Array(3)));
  reader.releaseLock();
  await read;
  byob();
  await microtasks(30);
  assertEquals([kicks(), body.decoder.length, stream.locked], [0, 9, true]);
});

Deno.test("a BYOB reader that asks for nothing is given nothing, behind a view that was let go", async () => {
  const { transport, body, byob, pulls, letGo } = await abandoned(9);
  await letGo();
  byob();
  transport.give("abc");
  await microtasks(30);
  assertEquals([pulls.held, body.decoder.length], [0, 9]);
});

for (
  const [title, view, min] of [
    ["no bytes", new Uint8Array(0), 1],
    ["a least of 0", new Uint8Array(2), 0],
    ["a least of more than it takes", new Uint8Array(2), 3],
    ["a least of more than its one byte", new Uint8Array(1), 2],
  ] as const
) {
  Deno.test(`a BYOB read of ${title} is refused, and the next one is given its bytes`, async () => {
    const { transport, byob, letGo } = await abandoned(9);
    await letGo();
    transport.give("abcd");
    await microtasks(20);
    const reader = byob();
    await thrown(reader.read(view, { min }));
    assertEquals(latin1((await soon(reader.read(new Uint8Array(3)))).value!), "abc");
  });
}

Deno.test("a BYOB read behind a view that was let go takes its size in bytes", async () => {
  const { transport, byob, body, letGo } = await abandoned(9);
  await letGo();
  transport.give("abcdefg");
  await microtasks(20);
  const { value } = await soon(byob().read(new Uint16Array(2)));
  assertEquals([value!.length, body.decoder.length], [2, 5]);
});

Deno.test("a BYOB read into a DataView behind a view that was let go waits for its least", async () => {
  const { transport, byob, letGo } = await abandoned(9);
  await letGo();
  transport.give("a");
  await microtasks(20);
  const read = byob().read(new DataView(new ArrayBuffer(4)), { min: 2 });
  await microtasks(20);
  transport.give("b");
  assertEquals((await soon(read)).value!.byteLength, 2);
});

Deno.test("a stream keeps the end for the next reader when the one that asked has let go", async () => {
  const { body, stream } = streamed(0);
  const reader = stream.getReader();
  const read = thrown(reader.read());
  reader.releaseLock();
  await read;
  await microtasks(10);
  assertEquals((await soon(stream.getReader().read())).done, true);
  assertEquals(body.state, "complete");
});

/** A stream of which the last piece has filled the buffer. */
async function fast() {
  const all = streamed(20 * BUFFER);
  const reader = all.stream.getReader();
  const read = reader.read();
  await microtasks(10);
  all.transport.give("x".repeat(BUFFER));
  assertEquals((await soon(read)).value!.length, BUFFER);
  return { ...all, reader };
}

Deno.test("a stream reads large pieces straight from the socket, one after the other", async () => {
  const { source, transport, body, reader } = await fast();
  for (const [times, left] of [[2, 17], [4, 13]]) {
    const read = reader.read();
    await microtasks(10);
    assertEquals(source.directs, times / 2);
    transport.give(new Uint8Array(times * BUFFER));
    const { value } = await soon(read);
    assertEquals([value!.length, body.decoder.length], [times * BUFFER, left * BUFFER]);
    await microtasks(10);
    assertEquals(transport.reads.length, 0);
  }
});

Deno.test("a reader that was given a large piece, and asks for nothing, is given no other", async () => {
  const { transport, body, stream, pulls, pull, reader: first } = await fast();
  first.releaseLock();
  const reader = stream.getReader();
  pulls.follow(reader, () => {}, () => {});
  const read = reader.read();
  await microtasks(10);
  transport.give("large");
  assertEquals(latin1((await soon(read)).value!), "large");
  await microtasks(10);
  const { length } = body.decoder;
  pull();
  await microtasks(10);
  transport.give("unasked");
  await microtasks(10);
  assertEquals(body.decoder.length, length);
});

Deno.test("drop() ends what is at work", async () => {
  const { stream, pulls } = streamed(5);
  stream.getReader().read().catch(() => {});
  await microtasks(10);
  assertEquals(pulls.isAtWork, true);
  pulls.drop();
  assertEquals(pulls.isAtWork, false);
});

Deno.test("a stream gives a straight piece of one byte", async () => {
  const { source, transport, body, reader } = await fast();
  const read = reader.read();
  await microtasks(10);
  assertEquals(source.directs, 1);
  transport.give("y");
  assertEquals(latin1((await soon(read)).value!), "y");
  assertEquals(body.decoder.length, 19 * BUFFER - 1);
});

Deno.test("a stream fills the view of a BYOB reader though pieces come fast", async () => {
  const { source, transport, stream, reader } = await fast();
  reader.releaseLock();
  const byob = stream.getReader({ mode: "byob" });
  const read = byob.read(new Uint8Array(10));
  await microtasks(10);
  assertEquals(source.directs, 0);
  transport.give("y".repeat(20));
  assertEquals((await soon(read)).value!.length, 10);
});

Deno.test("a stream keeps a straight piece for the next reader when the one that asked has let go", async () => {
  const { transport, body, stream, reader } = await fast();
  const read = thrown(reader.read());
  await microtasks(10);
  reader.releaseLock();
  await read;
  transport.give("straight");
  await microtasks(10);
  assertEquals(body.decoder.length, 19 * BUFFER);
  assertEquals(latin1((await soon(stream.getReader().read())).value!), "straight");
});

Deno.test("a straight piece fills the view of a BYOB reader that follows, and no more", async () => {
  const { transport, body, byob, pulls, reader } = await fast();
  const read = thrown(reader.read());
  await microtasks(10);
  reader.releaseLock();
  await read;
  const next = byob().read(new Uint8Array(3));
  transport.give("straight");
  assertEquals(latin1((await soon(next)).value!), "str");
  assertEquals([pulls.held, body.decoder.length], [0, 19 * BUFFER - 3]);
});

Deno.test("a stream fails when the end comes to a straight read", async () => {
  const { transport, reader } = await fast();
  const read = reader.read();
  await microtasks(10);
  transport.end();
  const error = await thrown(read);
  assert(error instanceof Error);
  assertEquals(error.name, "IncompleteRead");
});

Deno.test("a stream asks whether its reader is there once for each piece, when that is there", async () => {
  const { transport, stream, gives } = streamed(5);
  const read = stream.getReader().read();
  await microtasks(10);
  assertEquals(gives(), 0);
  transport.give("abc");
  await soon(read);
  assertEquals(gives(), 1);
});

/** A chunk of so many bytes, each of the same letter. */
function chunk(letter: string, size: number): string {
  return `${size.toString(16)}\r\n${letter.repeat(size)}\r\n`;
}

/** A stream of chunks, of which the last piece has filled the buffer. */
async function fastChunks() {
  const all = streamed(null);
  const reader = all.stream.getReader();
  const read = reader.read();
  await microtasks(10);
  // 6 bytes of size line; CRLF behind the data is still to come.
  all.transport.give(chunk("x", 65536 - 6).slice(0, 65536));
  assertEquals((await soon(read)).value!.length, 65536 - 6);
  return { ...all, reader };
}

Deno.test("a stream joins chunks that come fast in larger pieces, read directly", async () => {
  const { source, transport, reader } = await fastChunks();
  const read = reader.read();
  await microtasks(10);
  assertEquals(transport.reads[0].target.length, 131072);
  transport.give("\r\n" + chunk("a", 50_000) + chunk("b", 7) + chunk("c", 60_000));
  assertEquals(
    latin1((await soon(read)).value!),
    "a".repeat(50_000) + "b".repeat(7) + "c".repeat(60_000),
  );
  assertEquals(source.directs, 1);
});

for (const cut of [1, 3, 8, 9, 10]) {
  Deno.test(`a stream reads on after a large piece that ends ${cut} bytes into what is no data`, async () => {
    const { body, transport, reader } = await fastChunks();
    const wire = `\r\n${chunk("a", 9)}${chunk("b", 3)}0\r\nA: b\r\n\r\nHTTP/1.1 200 OK`;
    const at = 14 + cut;
    const first = reader.read();
    await microtasks(10);
    transport.give(wire.slice(0, at));
    let text = latin1((await soon(first)).value!);
    const second = reader.read();
    await microtasks(10);
    transport.give(wire.slice(at));
    for (let step = await soon(second); !step.done; step = await soon(reader.read())) {
      text += latin1(step.value);
    }
    assertEquals(text, "a".repeat(9) + "bbb");
    assertEquals(body.decoder.trailers!.fields, ["A", "b"]);
  });
}

Deno.test("a stream waits on where a large read has brought no data", async () => {
  const { transport, reader, gives } = await fastChunks();
  const read = reader.read();
  await microtasks(10);
  transport.give("\r\n5\r");
  await microtasks(10);
  assertEquals(gives(), 1);
  transport.give("\nhello\r\n");
  assertEquals(latin1((await soon(read)).value!), "hello");
});

Deno.test("a stream gives the data before broken framing in a large read, and fails then", async () => {
  const { transport, reader } = await fastChunks();
  const read = reader.read();
  await microtasks(10);
  transport.give(`\r\n${chunk("a", 5)}no size\r\n`);
  assertEquals(latin1((await soon(read)).value!), "aaaaa");
  assertInstanceOf(await thrown(reader.read()), IncompleteRead);
});

Deno.test("what a large read of chunks brings is kept when the reader has let go", async () => {
  const { body, transport, reader, stream } = await fastChunks();
  const read = reader.read();
  await microtasks(10);
  reader.releaseLock();
  await thrown(read);
  transport.give(`\r\n${chunk("a", 5)}`);
  await microtasks(10);
  assertEquals([stream.locked, latin1(await soon(body.read1(9)))], [false, "aaaaa"]);
});

Deno.test("what a large read of chunks brings is read on by nobody when the reader has let go", async () => {
  const { transport, reader } = await fastChunks();
  const read = thrown(reader.read());
  await microtasks(10);
  reader.releaseLock();
  await read;
  transport.give("\r\n5");
  await microtasks(10);
  assertEquals(transport.reads.length, 0);
});

Deno.test("a stream gives pieces that keep hardly more memory than they have, whatever the framing", async () => {
  const { transport, reader } = await fastChunks();
  // 256 bytes of each size line are free.
  const padded = `1;${"e".repeat(250)}\r\na\r\n`;
  const read = reader.read();
  await microtasks(10);
  transport.give(`\r\n${padded.repeat(500)}`);
  const piece = (await soon(read)).value!;
  assertEquals(latin1(piece), "a".repeat(500));
  assert(piece.buffer.byteLength < 1000, `${piece.buffer.byteLength} bytes`);
});

for (const [what, wire] of [["end", "0\r\n\r\n"], ["break", "no size\r\n"]]) {
  Deno.test(`a stream reads no more after a large read that has the ${what} of the body`, async () => {
    const { transport, reader } = await fastChunks();
    const read = reader.read();
    await microtasks(10);
    transport.give(`\r\n${chunk("a", 100_000)}${wire}`);
    assertEquals((await soon(read)).value!.length, 100_000);
    const last = reader.read();
    if (what === "end") assertEquals((await soon(last)).done, true);
    else assertInstanceOf(await thrown(soon(last)), IncompleteRead);
    assertEquals(transport.reads.length, 0);
  });
}

Deno.test("an iterator leaves its source when it is disposed of, and once", async () => {
  const { pieces, iterator } = iterated();
  await iterator[Symbol.asyncDispose]();
  await iterator[Symbol.asyncDispose]();
  assertEquals(pieces.leaves, 1);
  assertEquals(await iterator.next(), { done: true, value: undefined });
});
