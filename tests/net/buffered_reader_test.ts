/**
 * The buffered reader: who owns a buffer and when, what each read is given, and who hears how it ended.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import type { Reader } from "../../mod.ts";
import { BUFFER_SIZE, BufferedReader, FIRST_SIZE } from "../../_internal/net/buffered_reader.ts";
import { microtasks } from "../helpers/waiting.ts";
import { bytes, latin1 } from "../servers/raw.ts";

/** More microtasks than it takes from a read that settles to whoever waits for it. */
const ENOUGH = 10;

/** A source whose reads stay pending until the test settles them. */
class HandSource implements Reader {
  /** The memory that each read was to fill. */
  readonly targets: Uint8Array[] = [];
  #pending: PromiseWithResolvers<number | null> | null = null;

  read(target: Uint8Array): Promise<number | null> {
    assertEquals(this.#pending, null, "A second read was issued while one is out");
    this.targets.push(target);
    this.#pending = Promise.withResolvers();
    return this.#pending.promise;
  }

  /** Fills the memory of the pending read with this text, and says that it has so many bytes. */
  give(text: string, count: { is: unknown } = { is: text.length }): Promise<void> {
    this.targets.at(-1)!.set(bytes(text));
    return this.#settle(({ resolve }) => resolve(count.is as number));
  }

  /** Ends the pending read as the end of the source does. */
  end(): Promise<void> {
    return this.#settle(({ resolve }) => resolve(null));
  }

  /** Rejects the pending read. */
  fail(reason: unknown): Promise<void> {
    return this.#settle(({ reject }) => reject(reason));
  }

  async #settle(how: (pending: PromiseWithResolvers<number | null>) => void): Promise<void> {
    const pending = this.#pending!;
    this.#pending = null;
    how(pending);
    await microtasks(ENOUGH);
  }
}

/** A reader of a source that the test settles by hand. */
function byHand(): { source: HandSource; reader: BufferedReader } {
  const source = new HandSource();
  return { source, reader: new BufferedReader(source) };
}

/** A reader that holds this text, over a source that the test settles by hand. */
async function holding(text: string): Promise<{ source: HandSource; reader: BufferedReader }> {
  const { source, reader } = byHand();
  const filled = reader.fill();
  await source.give(text);
  await filled;
  return { source, reader };
}

/** The same, the buffer being of 64 KiB already. */
async function holdingMore(text: string): Promise<{ source: HandSource; reader: BufferedReader }> {
  const { source, reader } = byHand();
  reader.bytes = new Uint8Array(BUFFER_SIZE);
  const filled = reader.fill();
  await source.give(text);
  await filled;
  return { source, reader };
}

/** What is buffered. */
function buffered({ bytes, start, end }: BufferedReader): string {
  return latin1(bytes.subarray(start, end));
}

/** The buffer that the next reader to be filled gets. */
function nextBuffer(): Uint8Array {
  const { reader } = byHand();
  reader.prefetch();
  return reader.bytes;
}

/** Watches a promise without waiting for it. */
function watch<T>(promise: Promise<T>): { value?: T; reason?: unknown; settled: boolean } {
  const seen: { value?: T; reason?: unknown; settled: boolean } = { settled: false };
  promise.then(
    (value) => Object.assign(seen, { value, settled: true }),
    (reason) => Object.assign(seen, { reason, settled: true }),
  );
  return seen;
}

/** What a promise is rejected with. No watchdog: where nothing else is pending, `deno test` sees that it hangs. */
async function thrown(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (reason) {
    return reason;
  }
  throw new Error("Nothing was thrown");
}

// A new reader

Deno.test("BufferedReader() starts out empty, open and without a read", () => {
  const { source, reader } = byHand();
  assertEquals([reader.start, reader.end, reader.available, reader.bytes.length], [0, 0, 0, 0]);
  assertEquals([reader.received, source.targets.length], [0, 0]);
  assertEquals([reader.ended, reader.ragged, reader.reading, reader.failed], [
    false,
    false,
    false,
    false,
  ]);
});

Deno.test("BufferedReader() is at its end when it has no source", async () => {
  const reader = new BufferedReader(null);
  assertEquals([reader.ended, reader.dry, await reader.fill()], [true, false, 0]);
});

// fill()

Deno.test("fill() resolves with the number of bytes that came, and buffers them", async () => {
  const { source, reader } = byHand();
  const filled = reader.fill();
  await source.give("hello");
  assertEquals([await filled, buffered(reader), reader.available], [5, "hello", 5]);
});

Deno.test("fill() offers the source a buffer of 8 KiB", () => {
  const { source, reader } = byHand();
  reader.fill();
  assertEquals([source.targets[0].length, FIRST_SIZE], [8192, 8192]);
});

Deno.test("fill() adds to what is buffered", async () => {
  const { source, reader } = await holding("one");
  reader.fill();
  assertEquals(source.targets[1].length, FIRST_SIZE - 3);
  await source.give("two");
  assertEquals(buffered(reader), "onetwo");
});

Deno.test("fill() starts over at the front of the buffer when all of it was consumed", async () => {
  const { source, reader } = await holding("one");
  const { buffer } = reader.bytes;
  reader.start = reader.end;
  reader.fill();
  const [, target] = source.targets;
  assertEquals([target.byteOffset, target.length], [0, FIRST_SIZE]);
  assert(target.buffer === buffer);
  await source.give("two");
  assertEquals([reader.start, buffered(reader)], [0, "two"]);
});

Deno.test("fill() is one read that all callers wait for when it is called while one is out", async () => {
  const { source, reader } = byHand();
  const filled = [reader.fill(), reader.fill()];
  assertEquals(source.targets.length, 1);
  await source.give("abc");
  assertEquals([await Promise.all(filled), reader.received], [[3, 3], 3]);
});

Deno.test("fill() reads again when it is called after the read before it has settled", async () => {
  const { source, reader } = await holding("a");
  const seen = watch(reader.fill());
  await microtasks(ENOUGH);
  assertEquals([source.targets.length, seen.settled], [2, false]);
  await source.give("bc");
  assertEquals([seen.value, reader.received], [2, 3]);
});

Deno.test("fill() resolves with 0 at the end of the source, and reads it no more", async () => {
  const { source, reader } = byHand();
  const filled = reader.fill();
  await source.end();
  assertEquals([await filled, await reader.fill()], [0, 0]);
  assertEquals([reader.ended, reader.ragged, reader.failed], [true, false, false]);
  assertEquals(source.targets.length, 1);
});

Deno.test("fill() throws what the source's read() rejects with, each time", async () => {
  const reason = new RangeError("mine");
  const { source, reader } = byHand();
  const filled = thrown(reader.fill());
  await source.fail(reason);
  assertStrictEquals(await filled, reason);
  assertStrictEquals(await thrown(reader.fill()), reason);
  assertEquals([source.targets.length, reader.failed, reader.ended], [1, true, false]);
});

Deno.test("fill() throws what the source's read() throws synchronously", async () => {
  const reason = new RangeError("mine");
  const reader = new BufferedReader({
    read() {
      throw reason;
    },
  });
  assertStrictEquals(await thrown(reader.fill()), reason);
  assertEquals([reader.failed, reader.reading], [true, false]);
});

Deno.test("fill() throws a reason that is not an error as it is", async () => {
  const { source, reader } = byHand();
  const filled = thrown(reader.fill());
  await source.fail({ name: "UnexpectedEof" });
  assertEquals(await filled, { name: "UnexpectedEof" });
  assertEquals([reader.failed, reader.ended], [true, false]);
});

Deno.test("fill() keeps what is buffered when the source fails", async () => {
  const { source, reader } = await holding("abc");
  const filled = thrown(reader.fill());
  await source.fail(new Error("mine"));
  await filled;
  assertEquals(buffered(reader), "abc");
});

Deno.test("fill() resolves with 0 and sets ragged when the source fails with UnexpectedEof", async () => {
  const { source, reader } = byHand();
  const filled = reader.fill();
  await source.fail(new Deno.errors.UnexpectedEof("no close_notify"));
  assertEquals(await filled, 0);
  assertEquals([reader.ended, reader.ragged, reader.failed], [true, true, false]);
});

Deno.test("fill() accepts as many bytes as it had room for", async () => {
  const { source, reader } = byHand();
  const filled = reader.fill();
  await source.give("", { is: FIRST_SIZE });
  assertEquals([await filled, reader.available], [FIRST_SIZE, FIRST_SIZE]);
});

/** What a broken source may say that it has read into a buffer that has three bytes in it already. */
const BAD_COUNTS: unknown[] = [-1, 1.5, NaN, Infinity, undefined, "3", FIRST_SIZE - 2];

for (const count of BAD_COUNTS) {
  Deno.test(`fill() throws a TypeError when the source gives ${String(count)} (${typeof count}) bytes`, async () => {
    const { source, reader } = await holding("abc");
    const filled = thrown(reader.fill());
    await source.give("", { is: count });
    const error = await filled;
    assertInstanceOf(error, TypeError);
    assert(error.message.includes(`${String(count)} bytes for ${FIRST_SIZE - 3}`), error.message);
    assertEquals([buffered(reader), reader.received, reader.failedWith(error)], ["abc", 3, true]);
  });
}

Deno.test("fill() reads on when the source gives no bytes", async () => {
  const { source, reader } = byHand();
  const seen = watch(reader.fill());
  await source.give("");
  assertEquals([seen.settled, reader.reading], [false, true]);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(source.targets.length, 2);
  await source.give("ab");
  assertEquals([seen.value, buffered(reader)], [2, "ab"]);
});

Deno.test("fill() lets timers fire when the source gives no bytes again and again", async () => {
  let fired = false;
  let reads = 0;
  const timer = setTimeout(() => fired = true, 0);
  const reader = new BufferedReader({
    read: () => Promise.resolve(fired || ++reads > 10_000 ? null : 0),
  });
  await reader.fill();
  clearTimeout(timer);
  assertEquals(fired, true);
});

Deno.test("reading is true while a read is out", async () => {
  const { source, reader } = byHand();
  reader.fill();
  assertEquals(reader.reading, true);
  await source.give("a");
  assertEquals(reader.reading, false);
  thrown(reader.fill());
  await source.fail(new Error("mine"));
  assertEquals(reader.reading, false);
});

// Growth

Deno.test("fill() leaves bytes where they are when a quarter of the buffer is free behind them", async () => {
  const end = BUFFER_SIZE * 3 / 4;
  const { source, reader } = await holdingMore("x".repeat(end));
  reader.start = 1000;
  reader.fill();
  assertEquals([source.targets[1].length, reader.start], [BUFFER_SIZE - end, 1000]);
});

Deno.test("fill() moves bytes to the front when less than a quarter of the buffer is free", async () => {
  const end = BUFFER_SIZE * 3 / 4 + 1;
  const { source, reader } = await holdingMore("x".repeat(1000) + "y".repeat(end - 1000));
  const { buffer } = reader.bytes;
  reader.start = 1000;
  const filled = reader.fill();
  assertEquals(source.targets[1].length, BUFFER_SIZE - end + 1000);
  await source.give("z");
  await filled;
  assert(reader.bytes.buffer === buffer);
  assertEquals([reader.start, buffered(reader)], [0, "y".repeat(end - 1000) + "z"]);
});

Deno.test("fill() moves bytes to the front by a single byte when there is no more to gain", async () => {
  const { source, reader } = await holdingMore("x" + "y".repeat(BUFFER_SIZE - 1));
  reader.start = 1;
  reader.fill();
  assertEquals([source.targets[1].length, reader.bytes.length], [1, BUFFER_SIZE]);
});

Deno.test("fill() fills up the buffer before it grows", async () => {
  const { source, reader } = await holdingMore("x".repeat(BUFFER_SIZE - 10));
  reader.fill();
  assertEquals([source.targets[1].length, reader.bytes.length], [10, BUFFER_SIZE]);
});

Deno.test("fill() goes on with 64 KiB when the first buffer was filled and consumed", async () => {
  const { source, reader } = await holding("x".repeat(FIRST_SIZE));
  reader.start = reader.end;
  const filled = reader.fill();
  assertEquals([source.targets[1].length, BUFFER_SIZE], [65536, 65536]);
  await source.give("y");
  await filled;
  assertEquals([reader.start, buffered(reader)], [0, "y"]);
});

Deno.test("fill() hands the first buffer on when it goes on with 64 KiB", async () => {
  const { reader } = await holding("x".repeat(FIRST_SIZE));
  const first = reader.bytes;
  reader.start = reader.end;
  reader.fill();
  assert(nextBuffer() === first);
});

Deno.test("fill() keeps the first buffer while no read has filled it", async () => {
  const { source, reader } = await holding("x".repeat(FIRST_SIZE - 1));
  reader.start = reader.end;
  reader.fill();
  assertEquals(source.targets[1].length, FIRST_SIZE);
});

Deno.test("fill() makes the first buffer grow rather than move its bytes when it is full", async () => {
  const { source, reader } = await holding("x" + "y".repeat(FIRST_SIZE - 1));
  reader.start = 1;
  const filled = reader.fill();
  assertEquals(reader.bytes.length, BUFFER_SIZE);
  await source.give("z");
  await filled;
  assertEquals(buffered(reader), "y".repeat(FIRST_SIZE - 1) + "z");
});

Deno.test("fill() doubles the buffer when it is full", async () => {
  const { source, reader } = await holdingMore("x".repeat(BUFFER_SIZE));
  const filled = reader.fill();
  assertEquals(source.targets[1].length, BUFFER_SIZE);
  await source.give("y");
  await filled;
  assertEquals(reader.bytes.length, 2 * BUFFER_SIZE);
  assertEquals(buffered(reader), "x".repeat(BUFFER_SIZE) + "y");
});

Deno.test("fill() hands the smaller buffer on when it grows", async () => {
  const { reader } = await holdingMore("x".repeat(BUFFER_SIZE));
  const small = reader.bytes;
  reader.fill();
  // The next reader whose first buffer was filled gets it.
  const next = await holding("x".repeat(FIRST_SIZE));
  next.reader.start = next.reader.end;
  next.reader.fill();
  assert(next.reader.bytes === small);
});

Deno.test("full is true when half of a buffer is taken", async () => {
  const { reader } = await holdingMore("x".repeat(BUFFER_SIZE / 2));
  assertEquals(reader.full, true);
  reader.start = 1;
  assertEquals(reader.full, false);
});

// prefetch()

Deno.test("prefetch() issues a read that the next fill() waits for", async () => {
  const { source, reader } = byHand();
  reader.prefetch();
  assertEquals([source.targets.length, reader.reading], [1, true]);
  const filled = reader.fill();
  await source.give("ab");
  assertEquals([await filled, source.targets.length], [2, 1]);
});

Deno.test("prefetch() buffers bytes that come before the next fill()", async () => {
  const { source, reader } = byHand();
  reader.prefetch();
  await source.give("ab");
  assertEquals([buffered(reader), reader.received], ["ab", 2]);
});

Deno.test("prefetch() does nothing when a read is out", () => {
  const { source, reader } = byHand();
  reader.prefetch();
  reader.prefetch();
  assertEquals(source.targets.length, 1);
});

Deno.test("prefetch() does nothing at the end of the source", async () => {
  const { source, reader } = byHand();
  reader.prefetch();
  await source.end();
  reader.prefetch();
  assertEquals([source.targets.length, reader.ended, await reader.fill()], [1, true, 0]);
});

Deno.test("prefetch() does nothing after the source has failed", async () => {
  const { source, reader } = byHand();
  reader.prefetch();
  await source.fail(new Error("mine"));
  reader.prefetch();
  assertEquals(source.targets.length, 1);
});

Deno.test("prefetch() leaves it to the next fill() to throw what the source failed with", async () => {
  const reason = new RangeError("mine");
  const { source, reader } = byHand();
  reader.prefetch();
  await source.fail(reason);
  assertStrictEquals(await thrown(reader.fill()), reason);
});

Deno.test("prefetch() does not throw what the source's read() throws synchronously", async () => {
  const reason = new RangeError("mine");
  const reader = new BufferedReader({
    read() {
      throw reason;
    },
  });
  reader.prefetch();
  assertStrictEquals(await thrown(reader.fill()), reason);
});

// fillInto()

Deno.test("fillInto() reads into the caller's memory, and buffers nothing", async () => {
  const { source, reader } = byHand();
  const target = new Uint8Array(4);
  const filled = reader.fillInto(target);
  assert(source.targets[0] === target);
  await source.give("abc");
  assertEquals([await filled, latin1(target)], [3, "abc\0"]);
  assertEquals([reader.available, reader.bytes.length, reader.received], [0, 0, 3]);
});

Deno.test("fillInto() accepts as many bytes as the caller's memory has", async () => {
  const { source, reader } = byHand();
  const filled = reader.fillInto(new Uint8Array(3));
  await source.give("abc");
  assertEquals(await filled, 3);
});

Deno.test("fillInto() throws a TypeError when the source gives more than the caller's memory has", async () => {
  const { source, reader } = byHand();
  const filled = assertRejects(
    () => reader.fillInto(new Uint8Array(3)),
    TypeError,
    "4 bytes for 3",
  );
  await source.give("abc", { is: 4 });
  await filled;
});

Deno.test("fillInto() throws a TypeError when the caller's memory is transferred meanwhile", async () => {
  const { source, reader } = byHand();
  const memory = new Uint8Array(3);
  const filled = assertRejects(
    () => reader.fillInto(memory),
    TypeError,
    "Cannot read: the memory to read into was transferred or has shrunk",
  );
  memory.buffer.transfer();
  source.targets[0] = new Uint8Array(3);
  await source.give("abc");
  await filled;
});

Deno.test("fillInto() reads on into the caller's memory when the source gives no bytes", async () => {
  const { source, reader } = byHand();
  const target = new Uint8Array(4);
  const seen = watch(reader.fillInto(target));
  await source.give("");
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert(source.targets[1] === target);
  await source.give("ab");
  assertEquals([seen.value, latin1(target), reader.available], [2, "ab\0\0", 0]);
});

Deno.test("fillInto() throws what the source fails with", async () => {
  const reason = new RangeError("mine");
  const { source, reader } = byHand();
  const filled = thrown(reader.fillInto(new Uint8Array(3)));
  await source.fail(reason);
  assertStrictEquals(await filled, reason);
});

Deno.test("fillInto() resolves with 0 at the end of the source", async () => {
  const { source, reader } = byHand();
  const filled = reader.fillInto(new Uint8Array(3));
  await source.end();
  assertEquals([await filled, reader.ended], [0, true]);
});

Deno.test("fill() reads into the buffer again after fillInto()", async () => {
  const { source, reader } = byHand();
  const target = new Uint8Array(4);
  reader.fillInto(target);
  await source.give("ab");
  const filled = reader.fill();
  await source.give("cdefgh");
  assertEquals([await filled, buffered(reader), latin1(target)], [6, "cdefgh", "ab\0\0"]);
});

Deno.test("dry is true only when nothing is buffered and the source can be read", async () => {
  const { source, reader } = byHand();
  assertEquals(reader.dry, true);
  reader.fill();
  assertEquals(reader.dry, false, "while a read is out");
  await source.give("ab");
  assertEquals(reader.dry, false, "with bytes in the buffer");
  reader.start = reader.end;
  assertEquals(reader.dry, true, "when they are consumed");
  reader.fill();
  await source.end();
  assertEquals(reader.dry, false, "at the end");
});

Deno.test("dry is false after the source has failed", async () => {
  const { source, reader } = byHand();
  reader.prefetch();
  await source.fail(new Error("mine"));
  assertEquals([reader.dry, reader.failed], [false, true]);
});

Deno.test("failedWith() knows the error that the source failed with", async () => {
  const reason = new RangeError("mine");
  const { source, reader } = byHand();
  assertEquals(reader.failedWith(reason), false);
  assertEquals(reader.failedWith(undefined), false);
  reader.prefetch();
  await source.fail(reason);
  assertEquals(reader.failedWith(reason), true);
  assertEquals(reader.failedWith(new RangeError("mine")), false);
});

// discard()

Deno.test("discard() rejects whoever waits with exactly its reason", async () => {
  const reason = { mine: true };
  const { reader } = byHand();
  const filled = [thrown(reader.fill()), thrown(reader.fill())];
  reader.discard({ reason });
  for (const rejected of filled) assertStrictEquals(await rejected, reason);
});

Deno.test("discard() makes later calls of fill() throw its reason", async () => {
  const reason = new RangeError("mine");
  const { source, reader } = byHand();
  reader.discard({ reason });
  assertStrictEquals(await thrown(reader.fill()), reason);
  assertEquals([reader.failed, reader.failedWith(reason), source.targets.length], [true, true, 0]);
});

Deno.test("discard() keeps the first reason when it is called twice", async () => {
  const { reader } = byHand();
  reader.discard({ reason: "first" });
  reader.discard({ reason: "second" });
  assertEquals(await thrown(reader.fill()), "first");
});

Deno.test("discard() keeps what the source had failed with", async () => {
  const { source, reader } = byHand();
  reader.prefetch();
  await source.fail("first");
  reader.discard({ reason: "second" });
  assertEquals(await thrown(reader.fill()), "first");
});

Deno.test("discard() gives the buffer back once when it is called twice", async () => {
  const { reader } = await holding("secret");
  const { bytes } = reader;
  reader.discard({ reason: "mine" });
  reader.discard({ reason: "mine" });
  assert(nextBuffer() === bytes);
  assert(nextBuffer() !== bytes);
});

Deno.test("discard() forgets what is buffered", async () => {
  const { reader } = await holding("secret");
  reader.discard({ reason: "mine" });
  assertEquals([reader.available, reader.start, reader.bytes.length], [0, 0, 0]);
});

Deno.test("discard() forgets what is buffered when a read is out", async () => {
  const { reader } = await holding("secret");
  thrown(reader.fill());
  reader.discard({ reason: "mine" });
  assertEquals(reader.available, 0);
});

for (
  const [how, settle] of [
    ["succeeds", (source: HandSource) => source.give("late")],
    ["finds the end", (source: HandSource) => source.end()],
    ["fails", (source: HandSource) => source.fail(new Error("late"))],
    [
      "fails with UnexpectedEof",
      (source: HandSource) => source.fail(new Deno.errors.UnexpectedEof("late")),
    ],
  ] as const
) {
  Deno.test(`discard() gives the buffer back when the read that is out ${how}, not before`, async () => {
    const { source, reader } = byHand();
    const filled = thrown(reader.fill());
    const { bytes } = reader;
    reader.discard({ reason: "mine" });
    await filled;
    assert(nextBuffer() !== bytes);
    await settle(source);
    assert(nextBuffer() === bytes);
    assertEquals([reader.bytes.length, reader.available, reader.received], [0, 0, 0]);
    assertEquals([reader.ended, await thrown(reader.fill())], [false, "mine"]);
  });
}

Deno.test("discard() never gives the buffer back when the read that is out never settles", async () => {
  const { reader } = byHand();
  const filled = thrown(reader.fill());
  const { bytes } = reader;
  reader.discard({ reason: "mine" });
  reader.discard({ reason: "again" });
  reader.release();
  await filled;
  assert(nextBuffer() !== bytes);
});

Deno.test("discard() ends the reads of a source that gives no bytes", async () => {
  const { source, reader } = byHand();
  const filled = thrown(reader.fill());
  const { bytes } = reader;
  await source.give("");
  reader.discard({ reason: "mine" });
  await filled;
  assert(nextBuffer() !== bytes);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(source.targets.length, 1);
  assert(nextBuffer() === bytes);
});

Deno.test("discard() leaves nothing of one connection for the next to see", async () => {
  const { source, reader } = await holding("public");
  thrown(reader.fill());
  reader.discard({ reason: "mine" });
  const other = byHand();
  const filled = other.reader.fill();
  await source.give("secret");
  await other.source.give("other");
  await filled;
  assertEquals(buffered(other.reader), "other");
});

// interrupt()

Deno.test("interrupt() rejects whoever waits with exactly its reason", async () => {
  const reason = { mine: true };
  const { reader } = byHand();
  const filled = thrown(reader.fill());
  reader.interrupt({ reason });
  assertStrictEquals(await filled, reason);
  assertEquals([reader.failed, reader.reading], [false, true]);
});

Deno.test("interrupt() leaves the read that is out to the next fill()", async () => {
  const { source, reader } = byHand();
  const filled = thrown(reader.fill());
  reader.interrupt({ reason: "mine" });
  await filled;
  const next = reader.fill();
  await source.give("ab");
  assertEquals([await next, source.targets.length, buffered(reader)], [2, 1, "ab"]);
});

Deno.test("interrupt() has the read into a caller's memory come first in what is read next", async () => {
  const { source, reader } = byHand();
  const filled = thrown(reader.fillInto(new Uint8Array(4)));
  reader.interrupt({ reason: "mine" });
  await filled;
  await source.give("ab");
  assertEquals([buffered(reader), reader.received], ["ab", 2]);
});

Deno.test("interrupt() concerns only the read that is out: the next one is its caller's alone", async () => {
  const { source, reader } = byHand();
  const left = thrown(reader.fillInto(new Uint8Array(4)));
  reader.interrupt({ reason: "mine" });
  await left;
  await source.give("ab");
  reader.take(2);
  const target = new Uint8Array(4);
  const filled = reader.fillInto(target);
  await source.give("cd");
  assertEquals([await filled, latin1(target.subarray(0, 2)), buffered(reader)], [2, "cd", ""]);
});

Deno.test("interrupt() does nothing when nobody waits", async () => {
  const { source, reader } = await holding("a");
  reader.interrupt({ reason: "mine" });
  const filled = reader.fill();
  await source.give("b");
  assertEquals([await filled, buffered(reader)], [1, "ab"]);
});

// release() and the pool

Deno.test("release() gives the buffer to the next reader when nothing is in it", async () => {
  const { reader } = await holding("abc");
  const { bytes } = reader;
  reader.start = reader.end;
  reader.release();
  assertEquals([reader.bytes.length, reader.start, reader.end], [0, 0, 0]);
  assert(nextBuffer() === bytes);
});

Deno.test("release() keeps the buffer when bytes are in it", async () => {
  const { reader } = await holding("abc");
  const { bytes } = reader;
  reader.release();
  assert(reader.bytes === bytes);
  assert(nextBuffer() !== bytes);
});

Deno.test("release() keeps the buffer when a read is out", async () => {
  const { source, reader } = byHand();
  reader.fill();
  const { bytes } = reader;
  reader.release();
  assert(nextBuffer() !== bytes);
  await source.give("abc");
  assertEquals(buffered(reader), "abc");
});

Deno.test("fill() takes a buffer anew after release()", async () => {
  const { source, reader } = await holding("abc");
  reader.start = reader.end;
  reader.release();
  const filled = reader.fill();
  await source.give("de");
  assertEquals([await filled, buffered(reader), reader.bytes.length], [2, "de", FIRST_SIZE]);
});

Deno.test("release() throws a buffer away when it has grown", async () => {
  const { source, reader } = await holdingMore("x".repeat(BUFFER_SIZE));
  const filled = reader.fill();
  await source.give("y");
  await filled;
  reader.start = reader.end;
  reader.release();
  assertEquals([reader.bytes.length, nextBuffer().length], [0, FIRST_SIZE]);
});

Deno.test("release() throws buffers away when many are kept already", async () => {
  const many = 1500;
  const readers = await Promise.all(Array.from({ length: many }, () => holding("x")));
  const buffers = new Set(readers.map(({ reader }) => reader.bytes));
  assertEquals(buffers.size, many);
  for (const { reader } of readers) {
    reader.start = reader.end;
    reader.release();
  }
  const again = Array.from({ length: many }, nextBuffer).filter((buffer) => buffers.has(buffer));
  assert(again.length > 1 && again.length < many, `${again.length} were kept`);
});

// split(), take(), unread()

Deno.test("split() moves what is buffered to a reader at its end", async () => {
  const { reader } = await holding("-onetwo");
  reader.start = 1;
  const part = reader.split(4);
  assertEquals([buffered(part), buffered(reader)], ["one", "two"]);
  assertEquals([part.start, part.received, part.ended, part.failed], [0, 3, true, false]);
  assertEquals([await part.fill(), buffered(part)], [0, "one"]);
});

Deno.test("split() copies, so that the buffer can be used again", async () => {
  const { source, reader } = await holding("one");
  const part = reader.split(3);
  reader.fill();
  await source.give("two");
  assertEquals(buffered(part), "one");
});

Deno.test("split() gives an empty reader when nothing is buffered", () => {
  const part = byHand().reader.split(0);
  assertEquals([part.available, part.ended], [0, true]);
});

for (const count of [1, 32, 33, 1000, 0]) {
  Deno.test(`take() gives a copy of ${count} bytes and consumes them`, async () => {
    const text = Array.from({ length: count }, (_, i) => String.fromCharCode(65 + i % 50)).join("");
    const { reader } = await holding(`-${text}rest`);
    reader.start = 1;
    const piece = reader.take(count);
    assertEquals([latin1(piece), buffered(reader)], [text, "rest"]);
    reader.bytes.fill(0);
    assertEquals(latin1(piece), text);
  });
}

Deno.test("unread() puts bytes in front of what is buffered", async () => {
  const { source, reader } = await holding("-rest");
  reader.start = 1;
  reader.unread(bytes("first,"));
  assertEquals([reader.start, buffered(reader), reader.received], [0, "first,rest", 5]);
  assertEquals(reader.bytes.length, FIRST_SIZE);
  const filled = reader.fill();
  await source.give("!");
  await filled;
  assertEquals(buffered(reader), "first,rest!");
});

Deno.test("unread() does nothing when there are no bytes", async () => {
  const { reader } = await holding("rest");
  const before = reader.bytes;
  reader.unread(new Uint8Array(0));
  assert(reader.bytes === before);
  assertEquals(buffered(reader), "rest");
});

Deno.test("unread() puts a single byte back", async () => {
  const { reader } = await holding("est");
  reader.unread(bytes("r"));
  assertEquals(buffered(reader), "rest");
});

Deno.test("unread() copies the bytes", async () => {
  const { reader } = await holding("rest");
  const piece = bytes("first,");
  reader.unread(piece);
  piece.fill(0);
  assertEquals(buffered(reader), "first,rest");
});

Deno.test("unread() makes a buffer that is large enough when there are many bytes", async () => {
  const { reader } = await holding("rest");
  reader.unread(bytes("x".repeat(100_000)));
  assertEquals(buffered(reader), "x".repeat(100_000) + "rest");
});

Deno.test("unread() hands its old buffer on", async () => {
  const { reader } = await holding("rest");
  const { bytes: old } = reader;
  reader.unread(bytes("a"));
  assert(nextBuffer() === old);
});

// takeLine()

/** A reader that holds so many lines of ten bytes. */
async function lines(count: number) {
  return await holdingMore(Array.from({ length: count }, (_, i) => `line ${1000 + i}\n`).join(""));
}

Deno.test("takeLine() gives the next bytes and consumes them", async () => {
  const { reader } = await lines(3);
  const taken = [reader.takeLine(10, 30), reader.takeLine(10, 20)].map(latin1);
  assertEquals([taken, buffered(reader)], [["line 1000\n", "line 1001\n"], "line 1002\n"]);
});

Deno.test("takeLine() gives parts of one block of the content", async () => {
  const { reader } = await lines(3);
  const taken = [reader.takeLine(10, 30), reader.takeLine(10, 20), reader.takeLine(10, 10)];
  assertEquals(new Set(taken.map(({ buffer }) => buffer)).size, 1);
  assertEquals(taken[0].buffer.byteLength, 30);
});

Deno.test("takeLine() copies 4 KiB at once, and goes on with the next block", async () => {
  const { reader } = await lines(1000);
  const taken = Array.from({ length: 1000 }, (_, i) => reader.takeLine(10, 10_000 - i * 10));
  assertEquals(taken.map(latin1).at(-1), "line 1999\n");
  assertEquals(taken.map(latin1)[409], "line 1409\n");
  // 409 lines are whole in a block; the one that is not begins the next.
  assertEquals(taken.map(({ byteOffset }) => byteOffset).indexOf(0, 1), 409);
  assertEquals(taken[0].buffer.byteLength, 4096);
  assertEquals(new Set(taken.map(({ buffer }) => buffer)).size, 3);
});

Deno.test("takeLine() takes a line from a block that it fills to the last byte", async () => {
  const { reader } = await lines(2);
  const first = reader.takeLine(10, 20);
  assert(reader.takeLine(10, 10).buffer === first.buffer);
});

Deno.test("takeLine() takes a line of 1 KiB from a block", async () => {
  const { reader } = await holding("x".repeat(5000));
  assertEquals(reader.takeLine(1024, 5000).buffer.byteLength, 4096);
});

Deno.test("takeLine() gives a line of over 1 KiB an array of its own", async () => {
  const { reader } = await holding("x".repeat(1025) + "rest");
  const line = reader.takeLine(1025, 1029);
  assertEquals([latin1(line), line.buffer.byteLength], ["x".repeat(1025), 1025]);
  assertEquals(buffered(reader), "rest");
});

Deno.test("takeLine() gives copies", async () => {
  const { reader } = await lines(2);
  const line = reader.takeLine(10, 20);
  reader.bytes.fill(0);
  assertEquals([latin1(line), latin1(reader.takeLine(10, 10))], ["line 1000\n", "line 1001\n"]);
});

Deno.test("takeLine() copies again when the caller has transferred the block", async () => {
  const { reader } = await lines(2);
  structuredClone(0, { transfer: [reader.takeLine(10, 20).buffer] });
  assertEquals(latin1(reader.takeLine(10, 10)), "line 1001\n");
});

Deno.test("takeLine() gives what came last when the buffer was filled again", async () => {
  const { source, reader } = await holding("a");
  assertEquals(latin1(reader.takeLine(1, 1)), "a");
  reader.fill();
  await source.give("b");
  assertEquals(latin1(reader.takeLine(1, 1)), "b");
});

Deno.test("takeLine() gives what came last when the buffer was released between", async () => {
  const { source, reader } = await holding("abcd");
  assertEquals(latin1(reader.takeLine(2, 4)), "ab");
  reader.start = reader.end;
  reader.release();
  reader.fill();
  await source.give("efgh");
  assertEquals(latin1(reader.takeLine(2, 4)), "ef");
});

Deno.test("takeLine() gives bytes that were put back", async () => {
  const { reader } = await holding("abcd");
  assertEquals(latin1(reader.takeLine(2, 4)), "ab");
  reader.unread(bytes("xy"));
  assertEquals([latin1(reader.takeLine(2, 4)), latin1(reader.takeLine(2, 2))], ["xy", "cd"]);
});

Deno.test("takeLine() gives bytes of the block again when start was put back", async () => {
  const { reader } = await holding("a");
  const first = reader.takeLine(1, 1);
  reader.start = 0;
  const again = reader.takeLine(1, 1);
  assertEquals(latin1(again), "a");
  assert(again.buffer === first.buffer);
});

Deno.test("takeLine() copies again when start was put back to before the block", async () => {
  const { reader } = await holding("abcdef");
  reader.start = 2;
  assertEquals(latin1(reader.takeLine(2, 4)), "cd");
  reader.start = 0;
  assertEquals(latin1(reader.takeLine(2, 6)), "ab");
});

// indexOfLF()

Deno.test("indexOfLF() finds the first LF at each distance, from each start", async () => {
  const { reader } = await holding("x".repeat(300));
  for (let start = 0; start < 4; start++) {
    for (let at = start; at < 300; at++) {
      reader.bytes[at] = reader.bytes[299] = 10;
      assertEquals(reader.indexOfLF(start, 300), at);
      if (at < 299) reader.bytes[at] = 120;
    }
  }
});

Deno.test("indexOfLF() looks no further than the end", async () => {
  const { reader } = await holding("x".repeat(200) + "\n");
  for (let start = 0; start <= 200; start++) assertEquals(reader.indexOfLF(start, 200), -1);
  for (let end = 0; end < 8; end++) {
    reader.bytes[end] = 10;
    assertEquals(reader.indexOfLF(0, end), -1);
    reader.bytes[end] = 120;
  }
});

Deno.test("indexOfLF() tells LF from each other byte, whichever stands beside it", async () => {
  const { reader } = await holding("x".repeat(8));
  for (let byte = 0; byte < 256; byte++) {
    reader.bytes.fill(byte, 0, 8);
    assertEquals(reader.indexOfLF(0, 8), byte === 10 ? 0 : -1);
    for (let at = 0; at < 8; at++) {
      reader.bytes.fill(byte, 0, 8);
      reader.bytes[at] = 10;
      assertEquals(reader.indexOfLF(0, 8), byte === 10 ? 0 : at);
    }
  }
});

Deno.test("indexOfLF() looks at what came last when the buffer was released between", async () => {
  const { source, reader } = await holding("abcd");
  assertEquals(reader.indexOfLF(0, 4), -1);
  reader.start = reader.end;
  reader.release();
  reader.bytes = new Uint8Array(BUFFER_SIZE);
  reader.fill();
  await source.give("ef\ngh");
  assertEquals(reader.indexOfLF(0, 5), 2);
});

Deno.test("indexOfLF() looks at bytes that were put back", async () => {
  const { reader } = await holding("abcd");
  assertEquals(reader.indexOfLF(0, 4), -1);
  reader.unread(bytes("xy\n"));
  assertEquals(reader.indexOfLF(0, 7), 2);
});

Deno.test("indexOfLF() looks at a part that was split off", async () => {
  const { reader } = await holding("abcd\nefgh");
  assertEquals(reader.indexOfLF(0, 9), 4);
  reader.start = 2;
  assertEquals(reader.split(9).indexOfLF(0, 7), 2);
});
