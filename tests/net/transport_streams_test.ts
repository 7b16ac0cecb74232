/**
 * The web streams of a transport that was handed over: both directions, and how either ends.
 *
 * @module
 */
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { Transport } from "../../mod.ts";
import { streamsOf } from "../../_internal/net/transport_streams.ts";
import { FakeTransport } from "../helpers/fake_transport.ts";
import { microtasks, never, soon, thrown, turns } from "../helpers/waiting.ts";
import { bytes, latin1 } from "../servers/raw.ts";

const NOTHING = new Uint8Array(0);

/** A transport that can end its sending side, and counts how often it did. */
class HalfClosing extends FakeTransport {
  halfCloses = 0;

  closeWrite(): Promise<void> {
    this.halfCloses++;
    return Promise.resolve();
  }
}

/** All pieces of a stream, as text. */
async function piecesOf(stream: ReadableStream<Uint8Array>): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of stream) pieces.push(latin1(piece));
  return pieces;
}

Deno.test("readable gives a single byte that was buffered, once", async () => {
  const fake = new FakeTransport(["b"], { ended: true });
  const reader = streamsOf(fake, bytes("a")).readable.getReader();
  const pieces = [await reader.read(), await reader.read(), await reader.read()];
  assertEquals(pieces.map(({ value }) => value && latin1(value)), ["a", "b", undefined]);
});

Deno.test("readable gives what was buffered, then what the transport gives, then its end", async () => {
  const fake = new FakeTransport(["two", "three"], { ended: true });
  const { readable } = streamsOf(fake, bytes("one"));
  assertEquals(await piecesOf(readable), ["one", "two", "three"]);
});

Deno.test("readable does not read the transport before it is read itself", async () => {
  const fake = new FakeTransport(["one"]);
  let reads = 0;
  const read = fake.read.bind(fake);
  fake.read = (p) => {
    reads++;
    return read(p);
  };
  const { readable } = streamsOf(fake, NOTHING);
  await microtasks(10);
  assertEquals(reads, 0);
  const reader = readable.getReader();
  await reader.read();
  await microtasks(10);
  assertEquals(reads, 1);
});

Deno.test("readable reads up to 64 KiB at once", async () => {
  const sizes: number[] = [];
  const fake = new FakeTransport(["one"], { ended: true });
  const read = fake.read.bind(fake);
  fake.read = (p) => {
    sizes.push(p.length);
    return read(p);
  };
  await piecesOf(streamsOf(fake, NOTHING).readable);
  assertEquals(sizes, [65536, 65536]);
});

Deno.test("readable fills the memory of a BYOB reader, up to its end", async () => {
  const fake = new FakeTransport(["abcd"], { ended: true });
  const reader = streamsOf(fake, NOTHING).readable.getReader({ mode: "byob" });
  const pieces: string[] = [];
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(3));
    if (done) break;
    pieces.push(latin1(value));
  }
  assertEquals(pieces, ["abc", "d"]);
});

Deno.test("readable fails with what read() throws, and closes the transport", async () => {
  const reason = new RangeError("mine");
  const fake = new FakeTransport();
  fake.read = () => Promise.reject(reason);
  const { readable } = streamsOf(fake, NOTHING);
  assertStrictEquals(await assertRejects(() => readable.getReader().read()), reason);
  assertEquals(fake.closes, 1);
});

Deno.test("readable leaves the transport open at its end while writable is open", async () => {
  const fake = new HalfClosing([], { ended: true });
  const { readable, writable } = streamsOf(fake, NOTHING);
  await piecesOf(readable);
  assertEquals(fake.closes, 0);
  await writable.getWriter().write(bytes("still"));
  assertEquals(fake.writes, ["still"]);
});

Deno.test("readable closes the transport at its end when writable was closed before", async () => {
  const fake = new HalfClosing(["rest"], { ended: true });
  const { readable, writable } = streamsOf(fake, NOTHING);
  await writable.close();
  assertEquals([fake.halfCloses, fake.closes], [1, 0]);
  assertEquals(await piecesOf(readable), ["rest"]);
  assertEquals(fake.closes, 1);
});

Deno.test("readable closes the transport when it is cancelled", async () => {
  const fake = new FakeTransport();
  await streamsOf(fake, bytes("buffered")).readable.cancel();
  assertEquals(fake.closes, 1);
});

Deno.test("writable writes each piece, all of it", async () => {
  const fake = new FakeTransport([], { most: 2 });
  const writer = streamsOf(fake, NOTHING).writable.getWriter();
  await writer.write(bytes("abcde"));
  await writer.write(bytes("f"));
  assertEquals(fake.writes, ["ab", "cd", "e", "f"]);
  assertEquals(fake.closes, 0);
});

Deno.test("writable fails with what write() throws, and closes the transport", async () => {
  const reason = new RangeError("mine");
  const fake = new FakeTransport();
  fake.write = () => Promise.reject(reason);
  const writer = streamsOf(fake, NOTHING).writable.getWriter();
  const closed = assertRejects(() => writer.closed);
  assertStrictEquals(await assertRejects(() => writer.write(bytes("a"))), reason);
  await closed;
  assertEquals(fake.closes, 1);
});

Deno.test("writable ends the sending side only when it is closed", async () => {
  const fake = new HalfClosing();
  await streamsOf(fake, NOTHING).writable.close();
  assertEquals([fake.halfCloses, fake.closes], [1, 0]);
});

Deno.test("writable waits for the end of the sending side when it is closed", async () => {
  const ended = Promise.withResolvers<void>();
  const fake = new HalfClosing();
  fake.closeWrite = () => ended.promise;
  let closed = false;
  const closing = streamsOf(fake, NOTHING).writable.close().then(() => closed = true);
  await microtasks(20);
  assertEquals(closed, false);
  ended.resolve();
  await closing;
});

Deno.test("writable fails when the sending side cannot be ended", async () => {
  const reason = new RangeError("mine");
  const fake = new HalfClosing();
  fake.closeWrite = () => Promise.reject(reason);
  const { writable } = streamsOf(fake, NOTHING);
  assertStrictEquals(await assertRejects(() => writable.close()), reason);
});

Deno.test("writable closes the transport when it is closed and there is no closeWrite()", async () => {
  const fake = new FakeTransport();
  await streamsOf(fake, NOTHING).writable.close();
  assertEquals(fake.closes, 1);
});

Deno.test("writable closes the transport when it is closed after the end of readable", async () => {
  const fake = new HalfClosing([], { ended: true });
  const { readable, writable } = streamsOf(fake, NOTHING);
  await piecesOf(readable);
  await writable.close();
  assertEquals([fake.halfCloses, fake.closes], [0, 1]);
});

Deno.test("writable closes the transport when it is aborted", async () => {
  const fake = new HalfClosing();
  await streamsOf(fake, NOTHING).writable.abort();
  assertEquals([fake.halfCloses, fake.closes], [0, 1]);
});

Deno.test("writable swallows what close() throws", async () => {
  const transport: Transport = {
    read: () => Promise.resolve(null),
    write: (p) => Promise.resolve(p.length),
    close() {
      throw new Deno.errors.BadResource("closed already");
    },
  };
  await streamsOf(transport, NOTHING).writable.close();
});

Deno.test("writable closes the transport when it is aborted, though a write is out", async () => {
  const fake = new FakeTransport();
  fake.write = () => never();
  const writer = streamsOf(fake, NOTHING).writable.getWriter();
  const reason = new Error("mine");
  const written = thrown(writer.write(bytes("abc")));
  await microtasks(10);
  await soon(writer.abort(reason));
  assertStrictEquals(await written, reason);
  assertEquals(fake.closes, 1);
});

Deno.test("readable reads again when the transport gives no bytes", async () => {
  const fake = new FakeTransport(["abc"], { ended: true });
  const read = fake.read.bind(fake);
  let reads = 0;
  fake.read = (p) => ++reads < 3 ? Promise.resolve(0) : read(p);
  assertEquals(await piecesOf(streamsOf(fake, NOTHING).readable), ["abc"]);
});

Deno.test("readable leaves what was buffered to whoever has that, too", async () => {
  const buffered = bytes("one");
  const fake = new FakeTransport([], { ended: true });
  assertEquals(await piecesOf(streamsOf(fake, buffered).readable), ["one"]);
  assertEquals(latin1(buffered), "one");
});

Deno.test("readable asks no more for bytes when it was cancelled and the transport gives none", async () => {
  const fake = new FakeTransport();
  let reads = 0;
  fake.read = () => {
    reads++;
    return Promise.resolve(0);
  };
  const reader = streamsOf(fake, NOTHING).readable.getReader();
  const read = reader.read();
  await turns(3);
  await reader.cancel();
  await read;
  await turns(3);
  const before = reads;
  await turns(10);
  assertEquals([reads, fake.closes], [before, 1]);
});
