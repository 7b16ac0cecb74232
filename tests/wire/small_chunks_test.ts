/**
 * Many small chunks at once, by WebAssembly: the same as one after another, whatever they are and
 * wherever a read or a target ends.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DEFAULT_SETTINGS } from "../../_internal/exchange/connection.ts";
import {
  type BodyDecoder,
  decoderFor,
  ENDED,
  NEED_MORE,
} from "../../_internal/wire/body_decoder.ts";
import { concat, WholeBytes } from "../../_internal/wire/buffered_bytes.ts";
import { decodeSmallChunks } from "../../_internal/wire/small_chunks.ts";
import { HTTPException, ProtocolError } from "../../mod.ts";
import { bytes, latin1 } from "../helpers/split.ts";
import { randomFrom } from "../helpers/random.ts";

function chunked(extensions = DEFAULT_SETTINGS.extensions): BodyDecoder {
  return decoderFor({ delimiter: "chunked", length: null, chunked: true, willClose: false }, {
    ...DEFAULT_SETTINGS,
    extensions,
  });
}

/** So little is buffered that each chunk is decoded by itself. */
const FEW = 1024;
/** Enough for many at once. */
const MANY = 10_000;

/** Data of which each byte tells its place, those of all values among them. */
function data(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => (i * 37 + (i >> 8)) & 255);
}

/** A chunk; its size as it is written is the second argument. */
function chunk(
  content: Uint8Array<ArrayBuffer>,
  size = content.length.toString(16),
): Uint8Array<ArrayBuffer> {
  return concat([bytes(`${size}\r\n`), content, bytes("\r\n")]);
}

/** What came of a wire: the content, the error that ended it, and what is left of the wire. */
interface Outcome {
  content: string;
  error: string;
  rest: number;
}

/** Decodes a wire of which so much is buffered at a time, to a target of `room` bytes at a time. */
function decode(wire: Uint8Array, step: number, room: number, decoder = chunked()): Outcome {
  const buffer = new Uint8Array(wire.length);
  const target = new Uint8Array(room);
  const content: Uint8Array<ArrayBuffer>[] = [];
  let start = 0;
  let end = 0;
  const outcome = (error: string): Outcome => ({
    content: latin1(concat(content)),
    error,
    rest: wire.length - start,
  });
  try {
    for (;;) {
      const source = new WholeBytes(buffer, start, end);
      const run = decoder.ready(source);
      start = source.start;
      if (run === ENDED) return outcome("");
      if (run === NEED_MORE) {
        if (end === wire.length) return outcome("cut short");
        const next = Math.min(wire.length, end + step);
        buffer.set(wire.subarray(end, next), end);
        end = next;
        continue;
      }
      const to = decoder.pull(source, target, 0, room);
      start = source.start;
      content.push(target.slice(0, to));
    }
  } catch (error) {
    return outcome(String(error));
  }
}

const LAST = bytes("0\r\n\r\n");

Deno.test("decodeSmallChunks() decodes chunks of many sizes up to 600, to where the target ends", () => {
  for (let size = 1; size <= 600; size += size < 70 ? 1 : 13) {
    const count = Math.ceil(MANY / (size + 6));
    const content = data(count * size);
    const wire = concat(
      Array.from({ length: count }, (_, i) => chunk(content.subarray(i * size, (i + 1) * size))),
    );
    const to = content.length - (size % 7);
    const source = new WholeBytes(wire, 0, wire.length);
    source.start = size.toString(16).length + 2;
    const target = new Uint8Array(content.length + 3);
    const run = decodeSmallChunks(source, size, target, 3, 3 + to)!;
    // What stands behind the last data is not looked at, and 12 bytes for a size line are not always there.
    const isWhole = run.at === 3 + to || wire.length - source.start < 12;
    assert(isWhole, `size ${size}: stopped at ${run.at} of ${3 + to}`);
    assertEquals(latin1(target.subarray(3, run.at)), latin1(content.subarray(0, run.at - 3)));
    assert(target.subarray(run.at).every((byte) => byte === 0), `size ${size}: wrote too far`);
    assertEquals(run.last, size);
  }
});

Deno.test("decodeSmallChunks() decodes in place what begins anywhere in the buffer", () => {
  for (const start of [0, 1, 15, 16, 17, 100]) {
    for (let size = 1; size <= 40; size++) {
      const content = data(200 * size);
      const wire = concat(
        Array.from({ length: 200 }, (_, i) => chunk(content.subarray(i * size, (i + 1) * size))),
      );
      const skip = size.toString(16).length + 2;
      const buffer = concat([new Uint8Array(start), wire.subarray(skip)]);
      const source = new WholeBytes(buffer, start);
      const run = decodeSmallChunks(source, size, buffer, start, buffer.length)!;
      assertEquals(
        latin1(buffer.subarray(start, run.at)),
        latin1(content.subarray(0, run.at - start)),
      );
      assert(content.length - (run.at - start) <= size, "all but the last chunk");
    }
  }
});

Deno.test("decodeSmallChunks() gives 0 as the last size where no chunk was begun", () => {
  const plain = concat(Array.from({ length: 9 }, () => chunk(data(7))));
  decodeSmallChunks(new WholeBytes(plain, 3), 7, new Uint8Array(99), 0, 99);
  const odd = bytes("abc\r\n7;a\r\nabcdefg\r\n");
  const run = decodeSmallChunks(new WholeBytes(odd), 3, new Uint8Array(99), 0, 99)!;
  assertEquals([run.at, run.last], [3, 0]);
});

Deno.test("decodeSmallChunks() decodes what a target that was full has left of a run", () => {
  const size = 100;
  const count = 300;
  const wire = concat(Array.from({ length: count }, () => chunk(data(size))));
  const source = new WholeBytes(wire);
  const target = new Uint8Array(count * size);
  const decoder = chunked();
  const { set } = Uint8Array.prototype;
  // Each run is copied to the two pages of the module's memory once.
  let copies = 0;
  Uint8Array.prototype.set = function (...args) {
    if (this.length === 131_072) copies++;
    set.apply(this, args);
  };
  try {
    // The first chunk is decoded by itself: its size says whether others are worth the copy.
    const half = decoder.pull(source, target, 0, target.length / 2);
    assertEquals([half, copies], [target.length / 2, 1]);
    assertEquals(decoder.pull(source, target, half, target.length), target.length);
  } finally {
    Uint8Array.prototype.set = set;
  }
  assertEquals(copies, 2);
});

Deno.test("decodeSmallChunks() takes 64 KiB of a larger buffer at a time", () => {
  const content = data(20_000 * 7);
  const wire = concat(
    Array.from({ length: 20_000 }, (_, i) => chunk(content.subarray(i * 7, (i + 1) * 7))),
  );
  const source = new WholeBytes(wire, 3);
  const target = new Uint8Array(content.length);
  let at = 0;
  let steps = 0;
  for (let left = 7; source.available > 20; steps++) {
    const run = decodeSmallChunks(source, left, target, at, target.length)!;
    assert(run.at > at);
    ({ at, left } = run);
    if (left === 0 && source.available > 20) {
      assertEquals(latin1(wire.subarray(source.start, source.start + 5)), "\r\n7\r\n");
      source.start += 5;
      left = 7;
    }
  }
  assertEquals(steps, Math.ceil(wire.length / 65_536));
  assertEquals(latin1(target.subarray(0, at)), latin1(content.subarray(0, at)));
});

Deno.test("pull() gives the same of small chunks many at once as one after another", () => {
  const random = randomFrom(1);
  for (let round = 0; round < 80; round++) {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const most = 1 + random(round % 3 === 0 ? 700 : 60);
    for (let size = 0; size < 3 * MANY;) {
      // Now and then one that is larger, or written in another way.
      const length = random(200) === 0 ? 1 + random(9000) : 1 + random(most);
      const written = length.toString(16);
      const odd = [
        written.toUpperCase(),
        `00${written}`,
        `00000${written}`,
        `${written};a=b`,
        written,
      ];
      parts.push(chunk(data(length), odd[random(40) === 0 ? random(4) : 4]));
      size += length;
    }
    const wire = concat([...parts, LAST, bytes("next")]);
    const one = decode(wire, 1 + random(FEW), 1 + random(FEW));
    const many = decode(wire, MANY + random(MANY), MANY + random(MANY));
    assertEquals(many, one, `round ${round}`);
    assertEquals([one.error, one.rest], ["", 4]);
  }
});

Deno.test("pull() finds the same fault behind small chunks many at once as one after another", () => {
  const head = concat(Array.from({ length: 1000 }, () => chunk(data(10))));
  const tail = concat(Array.from({ length: 1000 }, () => chunk(data(10))));
  const faults: string[] = [
    "\r\n",
    "\n",
    "\r",
    "x\r\n",
    "0x5\r\n",
    "-5\r\n",
    "+5\r\n",
    "5\n",
    "5\r\r\n",
    " 5\r\n",
  ];
  for (let byte = 0; byte < 256; byte++) {
    const character = String.fromCharCode(byte);
    faults.push(`${character}\r\n`, `1${character}\r\n`, `5\r${character}`);
  }
  faults.push(
    "fffffff\r\n",
    "1fffffff\r\n",
    "ffffffffff\r\n",
    "20000000000000\r\n",
    "12345678901234567\r\n",
  );
  for (const fault of faults) {
    const wire = concat([head, bytes(fault), tail, LAST]);
    assertEquals(decode(wire, MANY, MANY), decode(wire, FEW, FEW), JSON.stringify(fault));
  }
  for (const behind of ["\n\n", "\r\r", "ab", "\r5"]) {
    const wire = concat([head, bytes(`3\r\nabc${behind}`), tail, LAST]);
    const many = decode(wire, MANY, MANY);
    assertEquals(many, decode(wire, FEW, FEW), JSON.stringify(behind));
    assertEquals(many.error.startsWith("ProtocolError"), true);
  }
});

Deno.test("pull() ends at the same byte where a run of small chunks is cut anywhere", () => {
  const wire = concat([...Array.from({ length: 900 }, (_, i) => chunk(data(1 + i % 20))), LAST]);
  for (let cut = wire.length - 100; cut < wire.length; cut++) {
    const part = wire.subarray(0, cut);
    assertEquals(decode(part, MANY, MANY), decode(part, FEW, FEW), `cut at ${cut}`);
  }
});

Deno.test("ahead() is the whole of a large chunk behind small ones", () => {
  for (const size of [2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, 2 ** 53 - 1]) {
    const few = concat(Array.from({ length: 2000 }, () => chunk(data(3))));
    const wire = concat([few, bytes(`${size.toString(16)}\r\n`), new Uint8Array(3 * MANY)]);
    const decoder = chunked();
    const source = new WholeBytes(wire);
    const target = new Uint8Array(MANY);
    let count = 0;
    while (count < 6000 + MANY) {
      assert(decoder.ready(source) > 0);
      count += decoder.pull(source, target, 0, Math.min(MANY, 6000 + MANY - count));
    }
    assertEquals(decoder.ahead(), size - MANY);
  }
});

Deno.test("pull() makes up for extensions by small chunks that are decoded many at once", () => {
  const extension = `3;${"x".repeat(400)}`;
  const plain = concat(Array.from({ length: 3000 }, () => chunk(data(3))));
  const odd = chunk(data(3), extension);
  const enough = concat([odd, plain, odd, plain, odd, plain, LAST]);
  assertEquals(decode(enough, 2 * MANY, 2 * MANY, chunked(200)).error, "");
  const tooMany = concat([plain, odd, odd, plain, LAST]);
  assertEquals(
    decode(tooMany, 2 * MANY, 2 * MANY, chunked(200)).error,
    String(new HTTPException("Cannot read chunk extensions: got more than 200 bytes")),
  );
});

/**
 * How many bytes the `set()` of the prototype copies while something runs: those that go into the module, and
 * those of chunks that are decoded by themselves. What comes out of the module is not counted.
 */
function bytesCopied(run: () => void): number {
  const { set } = Uint8Array.prototype;
  let copied = 0;
  Uint8Array.prototype.set = function (from, at) {
    copied += from.length;
    set.call(this, from, at);
  };
  try {
    run();
  } finally {
    Uint8Array.prototype.set = set;
  }
  return copied;
}

for (const size of ["1;a", "0000001", "1 ", "001"]) {
  for (const room of [MANY, 200_000]) {
    Deno.test(`pull() copies at most twice what it decodes when each size line is ${JSON.stringify(size)}, ${room} bytes at a time`, () => {
      const wire = concat([...Array.from({ length: 20_000 }, () => chunk(data(1), size)), LAST]);
      const source = new WholeBytes(wire);
      const decoder = chunked();
      const target = new Uint8Array(room);
      let content = 0;
      const copied = bytesCopied(() => {
        while (decoder.ready(source) > 0) content += decoder.pull(source, target, 0, room);
      });
      assertEquals(content, 20_000);
      assert(copied < 2 * wire.length, `${copied} bytes`);
    });
  }
}

Deno.test("pull() copies little more than it decodes when little is asked for at a time", () => {
  const wire = concat([...Array.from({ length: 600 }, () => chunk(data(100))), LAST]);
  const source = new WholeBytes(wire);
  const decoder = chunked();
  const target = new Uint8Array(4096);
  const copied = bytesCopied(() => {
    while (decoder.ready(source) > 0) decoder.pull(source, target, 0, target.length);
  });
  assert(copied < 1.5 * wire.length, `${copied} bytes`);
});

Deno.test("pull() keeps what is wrong behind small chunks for ready()", () => {
  const wire = concat([...Array.from({ length: 2000 }, () => chunk(data(3))), bytes("zz\r\n")]);
  const decoder = chunked();
  const source = new WholeBytes(wire);
  const target = new Uint8Array(MANY);
  decoder.ready(source);
  assertEquals(decoder.pull(source, target, 0, MANY), 6000);
  assertThrows(() => decoder.ready(source), ProtocolError);
});
