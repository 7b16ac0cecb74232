/**
 * `LineReader`: lines and pieces through one buffer, over a web stream or a `Reader`.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { IncompleteRead, LineReader, type Reader } from "../../mod.ts";
import { SegmentTransport } from "../parity/transports.ts";
import { bytes, everyWay, latin1, untilEmpty } from "../helpers/split.ts";

const TEXT = "one\r\ntwo\n\nfour";

/** A reader over text, and its source. */
function reading(text: string): LineReader {
  return new LineReader(new SegmentTransport([bytes(text)]));
}

/** A row: what is called until it gives nothing, and what it gives in any delivery. */
const CALLS: [name: string, call: (reader: LineReader) => Promise<Uint8Array>, all: string[]][] = [
  ["readline()", (r) => r.readline(), ["one\r\n", "two\n", "\n", "four", ""]],
  ["readline(-1)", (r) => r.readline(-1), ["one\r\n", "two\n", "\n", "four", ""]],
  ["readline(3)", (r) => r.readline(3), ["one", "\r\n", "two", "\n", "\n", "fou", "r", ""]],
  ["readline(5)", (r) => r.readline(5), ["one\r\n", "two\n", "\n", "four", ""]],
  ["readline(4)", (r) => r.readline(4), ["one\r", "\n", "two\n", "\n", "four", ""]],
  ["read()", (r) => r.read(), [TEXT, ""]],
  ["read(-1)", (r) => r.read(-1), [TEXT, ""]],
  ["read(6)", (r) => r.read(6), ["one\r\nt", "wo\n\nfo", "ur", ""]],
  ["read(14)", (r) => r.read(14), [TEXT, ""]],
  ["read(100)", (r) => r.read(100), [TEXT, ""]],
  ["readinto() of 6 bytes", async (r) => {
    const buffer = new Uint8Array(6);
    return buffer.subarray(0, await r.readinto(buffer));
  }, ["one\r\nt", "wo\n\nfo", "ur", ""]],
];

for (const [name, call, all] of CALLS) {
  Deno.test(`${name} reads everything when it is called until the end, in every delivery`, async () => {
    await everyWay(TEXT, async (transport) => {
      const reader = new LineReader(transport);
      assertEquals(await untilEmpty(() => call(reader)), all);
    });
  });
}

Deno.test("readline(0) and read(0) take nothing and do not wait", async () => {
  const never: Reader = { read: () => Promise.reject(new Error("read")) };
  const reader = new LineReader(never);
  assertEquals((await reader.readline(0)).length + (await reader.read(0)).length, 0);
});

Deno.test("readinto() takes nothing and does not wait when the buffer has no room", async () => {
  const never: Reader = { read: () => Promise.reject(new Error("read")) };
  assertEquals(await new LineReader(never).readinto(new Uint8Array(0)), 0);
});

Deno.test("readinto() does not wait for more when the buffer is full", async () => {
  const inner = new SegmentTransport([bytes("abc")]);
  let reads = 0;
  const reader = new LineReader({
    read: (p) => ++reads === 1 ? inner.read(p) : Promise.reject(new Error("read")),
  });
  const buffer = new Uint8Array(3);
  assertEquals([await reader.readinto(buffer), latin1(buffer)], [3, "abc"]);
});

for (const target of [new ArrayBuffer(3), [0, 0, 0], "abc", null] as unknown[]) {
  Deno.test(`readinto() throws a TypeError when it is given ${Object.prototype.toString.call(target)}`, async () => {
    const reader = reading(TEXT);
    await assertRejects(() => reader.readinto(target as Uint8Array), TypeError, "Uint8Array");
    assertEquals(latin1(await reader.read()), TEXT);
  });
}

for (const how of ["transferred", "has shrunk"]) {
  Deno.test(`readinto() throws a TypeError when its memory ${how} meanwhile, and so does reading on`, async () => {
    const memory = new ArrayBuffer(8, { maxByteLength: 8 });
    const pieces = ["abc", "def", "ghi"];
    let reads = 0;
    const reader = new LineReader({
      read(p) {
        if (++reads === 2 && how === "transferred") memory.transfer();
        else if (reads === 2) memory.resize(4);
        const piece = bytes(pieces.shift()!);
        p.set(piece);
        return Promise.resolve(piece.length);
      },
    });
    const message = "Cannot read: the memory to read into was transferred or has shrunk";
    const buffer = new Uint8Array(memory, 0, 8);
    await assertRejects(() => reader.readinto(buffer), TypeError, message);
    for (const read of [() => reader.readline(), () => reader.read(), () => reader.peek()]) {
      await assertRejects(read, TypeError, message);
    }
  });
}

Deno.test("readinto() calls no method of a class of the user's", async () => {
  class Own extends Uint8Array {
    override set(): void {
      throw new Error("called");
    }
  }
  const buffer = new Own(40);
  assertEquals(await reading("a".repeat(40)).readinto(buffer), 40);
  assertEquals(latin1(buffer), "a".repeat(40));
});

Deno.test("peek() reads the source when it is asked for a single byte", async () => {
  assertEquals(latin1(await reading("ab").peek(1)), "a");
});

Deno.test("peek(0) does not read the source", async () => {
  const never: Reader = { read: () => Promise.reject(new Error("read")) };
  assertEquals((await new LineReader(never).peek(0)).length, 0);
});

Deno.test("peek() shows what is buffered and consumes nothing", async () => {
  const reader = reading(TEXT);
  assertEquals(latin1(await reader.peek()), TEXT);
  assertEquals(latin1(await reader.peek(3)), "one");
  assertEquals(latin1(await reader.peek(0)), "");
  assertEquals(latin1(await reader.read()), TEXT);
});

Deno.test("peek() reads the source once when nothing is buffered", async () => {
  const reader = new LineReader(new SegmentTransport([bytes("ab"), bytes("cd")]));
  assertEquals(latin1(await reader.peek()), "ab");
  assertEquals(latin1(await reader.peek(4)), "ab");
  assertEquals(latin1(await reader.read()), "abcd");
});

Deno.test("peek() gives nothing at the end", async () => {
  assertEquals((await reading("").peek()).length, 0);
});

Deno.test("peek() gives a copy", async () => {
  const reader = reading("ab");
  (await reader.peek()).fill(0);
  assertEquals(latin1(await reader.read()), "ab");
});

Deno.test("read() gives bytes that later reads leave alone", async () => {
  const reader = new LineReader(new SegmentTransport([bytes("ab"), bytes("cd")]));
  const first = await reader.read(2);
  await reader.read();
  assertEquals(latin1(first), "ab");
});

Deno.test("LineReader reads on where the last call stopped, whatever calls are mixed", async () => {
  await everyWay(TEXT, async (transport) => {
    const reader = new LineReader(transport);
    assertEquals(latin1(await reader.read(1)), "o");
    assertEquals(latin1(await reader.readline()), "ne\r\n");
    const buffer = new Uint8Array(2);
    assertEquals([await reader.readinto(buffer), latin1(buffer)], [2, "tw"]);
    assertEquals(latin1(await reader.peek()).slice(0, 1), "o");
    assertEquals(latin1(await reader.readline()), "o\n");
    assertEquals(latin1(await reader.read()), "\nfour");
  });
});

Deno.test("readline() reads a line that is longer than the buffer", async () => {
  const line = "x".repeat(200_000) + "\n";
  const reader = new LineReader(new Blob([line, "rest"]).stream());
  assertEquals(latin1(await reader.readline()), line);
  assertEquals(latin1(await reader.read()), "rest");
});

Deno.test("readline() reads lines of 1 KB that come in pieces of 7 KB", async () => {
  const line = "y".repeat(999) + "\n";
  const all = bytes(line.repeat(200));
  const segments = Array.from({ length: 29 }, (_, i) => all.subarray(i * 7000, (i + 1) * 7000));
  const reader = new LineReader(new SegmentTransport(segments));
  const lines = await untilEmpty(() => reader.readline());
  assertEquals(lines.length, 201);
  assert(lines.slice(0, 200).every((one) => one === line));
});

Deno.test("LineReader() does not read the source before the first call", () => {
  let reads = 0;
  const reader = new LineReader({
    read: () => {
      reads++;
      return Promise.resolve(null);
    },
  });
  assert(reader instanceof LineReader);
  assertEquals(reads, 0);
});

Deno.test("readline() does not read the source when a line is buffered", async () => {
  let reads = 0;
  const inner = new SegmentTransport([bytes("a\nb\n"), bytes("c")]);
  const reader = new LineReader({
    read: (p) => {
      reads++;
      return inner.read(p);
    },
  });
  await reader.readline();
  await reader.readline();
  assertEquals(reads, 1);
});

Deno.test("LineReader does not read the source again after its end", async () => {
  let reads = 0;
  const reader = new LineReader({
    read: () => {
      reads++;
      return Promise.resolve(null);
    },
  });
  assertEquals((await reader.read()).length + (await reader.readline()).length, 0);
  assertEquals(reads, 1);
});

Deno.test("LineReader() locks the byte stream that it reads", async () => {
  const stream = new Blob([TEXT]).stream();
  const reader = new LineReader(stream);
  assertEquals(stream.locked, true);
  assertEquals(latin1(await reader.read()), TEXT);
});

Deno.test("readline() reads a stream of chunks", async () => {
  const chunks = ["one\r", "", "\ntwo\n\nfo", "ur"].map(bytes);
  const reader = new LineReader(ReadableStream.from(chunks));
  assertEquals(await untilEmpty(() => reader.readline()), ["one\r\n", "two\n", "\n", "four", ""]);
});

Deno.test("readline() reads a chunk that is larger than the buffer", async () => {
  const big = bytes("z".repeat(150_000));
  const reader = new LineReader(ReadableStream.from([big, bytes("\nend")]));
  assertEquals((await reader.readline()).length, 150_001);
  assertEquals(latin1(await reader.read()), "end");
});

Deno.test("read() throws a TypeError when the stream is one of strings", async () => {
  const stream = ReadableStream.from(["one"]) as unknown as ReadableStream<Uint8Array>;
  await assertRejects(() => new LineReader(stream).read(), TypeError);
});

Deno.test("LineReader() throws a TypeError when the stream is locked", () => {
  const stream = new Blob([TEXT]).stream();
  stream.getReader();
  assertThrows(() => new LineReader(stream), TypeError);
});

Deno.test("readline() throws the source's own error", async () => {
  const error = new Deno.errors.ConnectionReset("reset");
  const reader = new LineReader({ read: () => Promise.reject(error) });
  assertEquals(await assertRejects(() => reader.readline()) === error, true);
});

Deno.test("peek() shows what came before an error of the source", async () => {
  const error = new Deno.errors.ConnectionReset("reset");
  const inner = new SegmentTransport([bytes("abc")]);
  const reader = new LineReader({
    read: async (p) => await inner.read(p) ?? Promise.reject(error),
  });
  await assertRejects(() => reader.readline());
  assertEquals(latin1(await reader.peek()), "abc");
});

/** Sizes that are no integers. */
const BAD: [name: string, call: (reader: LineReader) => Promise<unknown>][] = [
  ["readline(NaN)", (r) => r.readline(NaN)],
  ["readline(1.5)", (r) => r.readline(1.5)],
  ["read(NaN)", (r) => r.read(NaN)],
  ["read(1.5)", (r) => r.read(1.5)],
];

for (const [name, call] of BAD) {
  Deno.test(`${name} throws a TypeError and takes nothing`, async () => {
    const reader = reading(TEXT);
    await assertRejects(() => call(reader), TypeError);
    assertEquals(latin1(await reader.read()), TEXT);
  });
}

Deno.test("readexactly() gives as many bytes as asked for, in every delivery", async () => {
  await everyWay(TEXT, async (transport) => {
    const reader = new LineReader(transport);
    assertEquals(latin1(await reader.readexactly(6)), "one\r\nt");
    assertEquals((await reader.readexactly(0)).length, 0);
    assertEquals(latin1(await reader.readexactly(8)), "wo\n\nfour");
  });
});

Deno.test("readexactly() throws IncompleteRead with what came when the source ends before", async () => {
  const reader = reading(TEXT);
  const error = await assertRejects(() => reader.readexactly(20), IncompleteRead);
  assertEquals([latin1(error.partial), error.expected], [TEXT, 6]);
});

Deno.test("a LineReader gives its lines one by one, each with its end", async () => {
  const reader = reading(TEXT);
  await reader.readline();
  const lines = [];
  for await (const line of reader) lines.push(latin1(line));
  assertEquals(lines, ["two\n", "\n", "four"]);
});

Deno.test("a LineReader can be read on when a loop over its lines is left", async () => {
  const reader = reading(TEXT);
  for await (const line of reader) {
    if (latin1(line) === "two\n") break;
  }
  assertEquals(latin1(await reader.read()), "\nfour");
});
