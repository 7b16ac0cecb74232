/**
 * A web stream as a `Reader`: byte streams, streams of chunks, and what is no stream of bytes.
 *
 * @module
 */
import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { StreamReader } from "../../_internal/net/stream_reader.ts";
import { streamOf } from "../helpers/bodies.ts";
import { bytes, latin1 } from "../servers/raw.ts";

/** A byte stream of these texts, one for each pull. */
function byteStreamOf(...texts: string[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const text = texts.shift();
      if (text !== undefined) return controller.enqueue(bytes(text));
      controller.close();
      (controller as ReadableByteStreamController).byobRequest?.respond(0);
    },
  });
}

/** Each kind of stream. */
const KINDS: [kind: string, make: (...texts: string[]) => ReadableStream<Uint8Array>][] = [
  ["a byte stream", byteStreamOf],
  ["a stream of chunks", (...texts) => streamOf(...texts.map(bytes))],
];

/** Reads once, with room for so many bytes. */
async function readOnce(reader: StreamReader, room: number): Promise<string | null> {
  const target = new Uint8Array(room);
  const count = await reader.read(target);
  return count === null ? null : latin1(target.subarray(0, count));
}

for (const [kind, make] of KINDS) {
  Deno.test(`read() gives the bytes of ${kind} as they come, then null`, async () => {
    const reader = new StreamReader(make("one", "two"));
    const read = [await readOnce(reader, 10), await readOnce(reader, 10)];
    assertEquals(read, ["one", "two"]);
    assertEquals([await readOnce(reader, 10), await readOnce(reader, 10)], [null, null]);
  });

  Deno.test(`read() keeps what does not fit when it reads ${kind}`, async () => {
    const reader = new StreamReader(make("abcdef", "g"));
    const read = [];
    for (let piece; (piece = await readOnce(reader, 4)) !== null;) read.push(piece);
    assertEquals(read, ["abcd", "ef", "g"]);
  });

  Deno.test(`read() leaves the caller's memory alone behind what it read from ${kind}`, async () => {
    const target = bytes("..........");
    await new StreamReader(make("abc")).read(target);
    assertEquals(latin1(target), "abc.......");
  });

  Deno.test(`StreamReader() locks ${kind}`, () => {
    const stream = make("one");
    new StreamReader(stream);
    assertEquals(stream.locked, true);
  });

  Deno.test(`StreamReader() throws a TypeError when it is given ${kind} that is locked`, () => {
    const stream = make("one");
    stream.getReader();
    assertThrows(() => new StreamReader(stream), TypeError);
  });
}

Deno.test("read() skips empty chunks", async () => {
  const reader = new StreamReader(streamOf(bytes(""), bytes(""), bytes("one")));
  assertEquals(await readOnce(reader, 10), "one");
});

for (const chunk of ["text", new ArrayBuffer(3), [1, 2, 3], null]) {
  Deno.test(`read() throws a TypeError when a chunk is ${Object.prototype.toString.call(chunk)}`, async () => {
    const reader = new StreamReader(streamOf<unknown>(chunk) as ReadableStream<Uint8Array>);
    await assertRejects(() => readOnce(reader, 10), TypeError, "not a Uint8Array");
  });
}

Deno.test("read() throws what the stream failed with, each time", async () => {
  const reason = new RangeError("mine");
  const reader = new StreamReader(new ReadableStream({ pull: () => Promise.reject(reason) }));
  for (let i = 0; i < 2; i++) {
    assertStrictEquals(await assertRejects(() => readOnce(reader, 10)), reason);
  }
});

/** A byte stream that fills the memory it is given, and records it. */
function recorded(views: ArrayBufferView[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const { view } = (controller as ReadableByteStreamController).byobRequest!;
      views.push(view!);
      (view as Uint8Array).set(bytes("ab"));
      (controller as ReadableByteStreamController).byobRequest!.respond(2);
    },
  });
}

Deno.test("read() lets a byte stream fill 64 KiB at once, whatever room the caller has", async () => {
  const sizes: number[] = [];
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const request = (controller as ReadableByteStreamController).byobRequest!;
      sizes.push(request.view!.byteLength);
      (request.view as Uint8Array).set(bytes("ab"));
      request.respond(2);
    },
  });
  const reader = new StreamReader(stream);
  assertEquals([await readOnce(reader, 1), await readOnce(reader, 1), await readOnce(reader, 1)], [
    "a",
    "b",
    "a",
  ]);
  assertEquals(sizes, [65536, 65536]);
});

Deno.test("read() uses one buffer for all reads of a byte stream", async () => {
  const views: ArrayBufferView[] = [];
  const reader = new StreamReader(recorded(views));
  let allocated = 0;
  const { ArrayBuffer } = globalThis;
  globalThis.ArrayBuffer = class extends ArrayBuffer {
    constructor(size: number) {
      super(size);
      allocated++;
    }
  } as unknown as typeof ArrayBuffer;
  try {
    for (let i = 0; i < 5; i++) await readOnce(reader, 10);
  } finally {
    globalThis.ArrayBuffer = ArrayBuffer;
  }
  assertEquals([views.length, allocated], [5, 1]);
});

/** A stream that gives nothing and can be cancelled. */
function cancellable(
  type: "bytes" | undefined,
  cancel: (reason: unknown) => void,
): ReadableStream<Uint8Array> {
  return new ReadableStream(
    (type === undefined ? { cancel } : { type, cancel }) as UnderlyingSource<Uint8Array>,
  );
}

for (const type of ["bytes", undefined] as const) {
  Deno.test(`cancel() cancels a stream of type ${type} with its reason`, async () => {
    const cancelled = Promise.withResolvers<unknown>();
    const stream = cancellable(type, (reason) => cancelled.resolve(reason));
    const reader = new StreamReader(stream);
    const read = readOnce(reader, 10);
    reader.cancel("mine");
    assertEquals([await cancelled.promise, await read], ["mine", null]);
  });

  Deno.test(`cancel() swallows what cancelling a stream of type ${type} throws`, async () => {
    const cancelled = Promise.withResolvers<void>();
    const stream = cancellable(type, () => {
      cancelled.resolve();
      throw new RangeError("mine");
    });
    new StreamReader(stream).cancel();
    await cancelled.promise;
    // A rejection that nobody handles would end the tests.
    await new Promise((resolve) => setTimeout(resolve, 0));
  });
}
