/**
 * What this project relies on in the `@std` packages, which the stand-ins have to do as well: these
 * tests pass with either.
 *
 * @module
 */

import {
  assertArrayIncludes,
  assertEquals,
  AssertionError,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { readAll } from "@std/io/read-all";
import type { Reader, Writer } from "@std/io/types";
import { writeAll } from "@std/io/write-all";
import { LimitedBytesTransformStream } from "@std/streams/limited-bytes-transform-stream";
import { toArrayBuffer } from "@std/streams/to-array-buffer";
import { toBytes } from "@std/streams/to-bytes";
import { toJson } from "@std/streams/to-json";
import { toText } from "@std/streams/to-text";

function fails(assertion: () => unknown): void {
  assertThrows(assertion, AssertionError);
}

function raise(error: Error): never {
  throw error;
}

Deno.test("assertEquals() compares deeply", () => {
  assertEquals({ a: [1, new Map([["b", new Set([2])]])] }, {
    a: [1, new Map([["b", new Set([2])]])],
  });
  fails(() => assertEquals({ a: [1, 2] }, { a: [1, 3] }));
});

Deno.test("assertEquals() tells bytes apart", () => {
  assertEquals(new Uint8Array([1, 2]), new Uint8Array([0, 1, 2]).subarray(1));
  fails(() => assertEquals(new Uint8Array([1, 2]), new Uint8Array([1, 3])));
  fails(() => assertEquals(new Uint8Array([1]), new Uint8Array([1, 2])));
});

Deno.test("assertEquals() tells a missing property from an undefined one", () => {
  assertNotEquals<unknown>({ a: undefined }, {});
});

Deno.test("assertEquals() takes 0 for -0, and NaN for itself", () => {
  assertEquals([0, NaN], [-0, NaN]);
});

Deno.test("assertEquals() tells classes apart", () => {
  assertNotEquals<unknown>(new Uint8Array([1]), [1]);
});

Deno.test("assertEquals() ends on a cycle", () => {
  const [a, b]: unknown[][] = [[], []];
  a.push(a);
  b.push(b);
  assertEquals(a, b);
});

Deno.test("assertStrictEquals() wants the same object", () => {
  fails(() => assertStrictEquals([], []));
});

Deno.test("assertObjectMatch() ignores what is not asked for", () => {
  assertObjectMatch({ a: 1, b: { c: 2, d: 3 } }, { b: { c: 2 } });
  fails(() => assertObjectMatch({ a: 1 }, { b: undefined }));
});

Deno.test("assertArrayIncludes() compares deeply, in any order", () => {
  assertArrayIncludes([[1], [2]], [[2]]);
  fails(() => assertArrayIncludes([[1]], [[2]]));
});

Deno.test("assertThrows() returns the error", () => {
  const error = new RangeError("too far");
  assertStrictEquals(assertThrows(() => raise(error), RangeError, "far"), error);
});

Deno.test("assertThrows() wants the class and the text", () => {
  fails(() => assertThrows(() => raise(new RangeError("far")), TypeError));
  fails(() => assertThrows(() => raise(new RangeError("far")), RangeError, "near"));
  fails(() => assertThrows(() => 1));
});

Deno.test("assertRejects() returns the error", async () => {
  const error = new RangeError("too far");
  assertStrictEquals(await assertRejects(() => Promise.reject(error), RangeError, "far"), error);
});

Deno.test("assertRejects() wants a promise that rejects", async () => {
  await assertRejects(() => assertRejects(() => Promise.resolve(1)), AssertionError);
  await assertRejects(() => assertRejects(() => raise(new Error("at once"))), AssertionError);
});

Deno.test("assertEquals() says in its message what the test says", () => {
  const error = assertThrows(() => assertEquals(1, 2, "the status"), AssertionError);
  assertMatch(error.message, /the status/);
});

Deno.test("writeAll() goes on after a short write", async () => {
  const written: number[] = [];
  const writer: Writer = {
    write: (p) => Promise.resolve(written.push(p[0]) && 1),
  };
  await writeAll(writer, new Uint8Array([1, 2, 3]));
  assertEquals(written, [1, 2, 3]);
});

Deno.test("readAll() reads until the end", async () => {
  const sizes = [32768, 7];
  const reader: Reader = {
    read: (p) => {
      const size = sizes.shift();
      if (size === undefined) return Promise.resolve(null);
      p.fill(size & 0xff, 0, size);
      return Promise.resolve(size);
    },
  };
  const bytes = await readAll(reader);
  assertEquals([bytes.length, bytes[32767], bytes[32774]], [32775, 0, 7]);
});

for (const error of [false, true]) {
  Deno.test(`LimitedBytesTransformStream passes as many bytes as its size (error: ${error})`, async () => {
    const stream = ReadableStream.from([new Uint8Array(2), new Uint8Array(3)])
      .pipeThrough(new LimitedBytesTransformStream(5, { error }));
    assertEquals((await toBytes(stream)).length, 5);
  });
}

Deno.test("LimitedBytesTransformStream throws a RangeError at a byte more, when it is to", async () => {
  const stream = ReadableStream.from([new Uint8Array(2), new Uint8Array(4)])
    .pipeThrough(new LimitedBytesTransformStream(5, { error: true }));
  await assertRejects(() => toBytes(stream), RangeError);
});

Deno.test("LimitedBytesTransformStream ends before the piece with a byte more by default", async () => {
  const stream = ReadableStream.from([new Uint8Array(2), new Uint8Array(4)])
    .pipeThrough(new LimitedBytesTransformStream(5));
  assertEquals((await toBytes(stream)).length, 2);
});

Deno.test("toText() decodes a character that is cut in two", async () => {
  const stream = ReadableStream.from([new Uint8Array([0xc3]), new Uint8Array([0xa9])]);
  assertEquals(await toText(stream), "\u00e9");
});

Deno.test("toText() takes strings", async () => {
  assertEquals(await toText(ReadableStream.from(["a", "b"])), "ab");
});

Deno.test("toJson() parses", async () => {
  assertEquals(await toJson(ReadableStream.from(['{"a":', "1}"])), { a: 1 });
});

Deno.test("toBytes() and toArrayBuffer() collect exactly the bytes", async () => {
  const stream = () => ReadableStream.from([new Uint8Array([1, 2]), new Uint8Array([3])]);
  assertEquals(await toBytes(stream()), new Uint8Array([1, 2, 3]));
  assertEquals((await toArrayBuffer(stream())).byteLength, 3);
});
