/**
 * What a response has given out is the user's: later reads never change it, though lines share memory
 * and chunks are put together within the buffer. Every mix of calls gives the body, in order.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { HTTPResponse } from "../../mod.ts";
import { randomFrom } from "../helpers/random.ts";
import { bytes } from "../servers/raw.ts";

const SIZE = 300_000;

/** Lines of up to `most` bytes, no two alike. */
function makeBody(random: (below: number) => number, most: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(SIZE);
  for (let at = 0; at < SIZE;) {
    const end = Math.min(SIZE, at + 1 + random(most));
    for (; at < end; at++) body[at] = 11 + (at * 7 + (at >> 7)) % 240;
    body[at - 1] = 10;
  }
  return body;
}

/** The body in chunks of up to `most` bytes. */
function chunked(body: Uint8Array, random: (below: number) => number, most: number): Uint8Array[] {
  const parts: Uint8Array[] = [bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")];
  for (let at = 0; at < body.length;) {
    const piece = body.subarray(at, at + 1 + random(most));
    parts.push(bytes(`${piece.length.toString(16)}\r\n`), piece, bytes("\r\n"));
    at += piece.length;
  }
  return [...parts, bytes("0\r\n\r\n")];
}

function byLength(body: Uint8Array): Uint8Array[] {
  return [bytes(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), body];
}

/** A response over bytes that come in segments of up to `most` bytes. */
async function respond(
  parts: Uint8Array[],
  random: (below: number) => number,
  most: number,
): Promise<HTTPResponse> {
  const wire = new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  let at = 0;
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at === wire.length) return controller.close();
      const segment = wire.slice(at, at + 1 + random(most));
      at += segment.length;
      controller.enqueue(segment);
    },
  }, { highWaterMark: 0 });
  const response = new HTTPResponse(source);
  await response.begin();
  return response;
}

type Piece = Uint8Array<ArrayBuffer>;

/** Ways to read on; each gives what it has read. */
const CALLS: ((response: HTTPResponse, random: (below: number) => number) => Promise<Piece[]>)[] = [
  async (r) => [await r.readline()],
  async (r, random) => [await r.readline(1 + random(80))],
  async (r, random) => [await r.read(1 + random(3000))],
  async (r, random) => [await r.read1(1 + random(3000))],
  async (r, random) => {
    const target = new Uint8Array(1 + random(30_000));
    return [target.subarray(0, await r.readinto(target))];
  },
  async (r, random) => {
    const pieces: Piece[] = [];
    for await (const line of r.lines()) if (pieces.push(line) > random(50)) break;
    return pieces;
  },
  async (r, random) => {
    const pieces: Piece[] = [];
    for await (const piece of r.values({ preventCancel: true })) {
      if (pieces.push(piece) > random(3)) break;
    }
    return pieces;
  },
  async (r) => {
    const reader = r.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    return value === undefined ? [] : [value];
  },
  async (r, random) => {
    const reader = r.getReader({ mode: "byob" });
    const { value } = await reader.read(new Uint8Array(1 + random(5000)));
    reader.releaseLock();
    return value === undefined ? [] : [value];
  },
  async (r) => {
    await r.peek();
    return [];
  },
];

const FRAMINGS: [string, (b: Uint8Array, random: (below: number) => number) => Uint8Array[]][] = [
  ["by length", byLength],
  ["in chunks of up to 30 bytes", (body, random) => chunked(body, random, 30)],
  ["in chunks of up to 5000 bytes", (body, random) => chunked(body, random, 5000)],
  ["in chunks of up to 100000 bytes", (body, random) => chunked(body, random, 100_000)],
];

for (const [framing, frame] of FRAMINGS) {
  for (const segment of [100_000, 700]) {
    Deno.test(`HTTPResponse gives bytes that no later call changes, ${framing}, in segments of up to ${segment}`, async () => {
      for (let seed = 1; seed <= 6; seed++) {
        const random = randomFrom(seed * 7919);
        const body = makeBody(random, 120);
        const response = await respond(frame(body, random), random, segment);
        const kept: Piece[] = [];
        let size = 0;
        for (let calls = 0; size < SIZE; calls++) {
          assert(calls < 100_000, "The calls have come to a halt");
          for (const piece of await CALLS[random(CALLS.length)](response, random)) {
            kept.push(piece);
            size += piece.length;
          }
        }
        assertEquals(joined(kept), body);
        assertEquals((await response.read()).length, 0);
        assertEquals(response.isclosed(), true);
      }
    });
  }
}

/** All pieces as one array. */
function joined(pieces: Piece[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

Deno.test("readline() keeps a block of 4 KiB at most, and slice() stands alone", async () => {
  const random = randomFrom(1);
  const response = await respond(byLength(makeBody(random, 120)), random, 100_000);
  for (let i = 0; i < 1000; i++) {
    const line = await response.readline();
    assert(line.buffer.byteLength <= 4096);
    assertEquals(line.slice().buffer.byteLength, line.length);
  }
  response.close();
});

Deno.test("lines() gives lines that can be written to without effect on others", async () => {
  const random = randomFrom(2);
  const body = makeBody(random, 120);
  const response = await respond(byLength(body), random, 100_000);
  let at = 0;
  for await (const line of response.lines()) {
    assertEquals(line, body.slice(at, at + line.length));
    at += line.length;
    line.fill(0);
  }
  assertEquals(at, SIZE);
});

Deno.test("readline() reads on when a line was transferred", async () => {
  const random = randomFrom(3);
  const body = makeBody(random, 120);
  const response = await respond(byLength(body), random, 100_000);
  let at = 0;
  for (let i = 0; at < SIZE; i++) {
    const line = await response.readline();
    assertEquals(line, body.slice(at, at + line.length));
    at += line.length;
    if (i % 7 === 0) structuredClone(line, { transfer: [line.buffer] });
  }
});

Deno.test("readlines() shares memory among the short lines of a body in tiny chunks", async () => {
  const wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
    "1\r\na\r\n1\r\n\n\r\n".repeat(10_000) + "0\r\n\r\n";
  const response = new HTTPResponse(new Blob([bytes(wire)]).stream());
  await response.begin();
  const lines = await response.readlines();
  assertEquals(lines.length, 10_000);
  assert(lines.every((line) => line.length === 2 && line[0] === 97 && line[1] === 10));
  assert(new Set(lines.map(({ buffer }) => buffer)).size < 100);
});

Deno.test("readline() gives lines that stay as they are when the memory of one is transferred", async () => {
  const wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
    "1\r\na\r\n1\r\n\n\r\n".repeat(3) + "0\r\n\r\n";
  const response = new HTTPResponse(new Blob([bytes(wire)]).stream());
  await response.begin();
  for (let i = 0; i < 3; i++) {
    const line = await response.readline();
    assertEquals([...line], [97, 10]);
    structuredClone(line.buffer, { transfer: [line.buffer] });
  }
});

const TINY = 300_000;
const MIB = 1048576;

/** Ways to read one line of a body that has no LF. */
const OF_ONE_LINE: [name: string, read: (response: HTTPResponse) => Promise<Uint8Array>][] = [
  ["readline()", (response) => response.readline()],
  ["readlines()", async (response) => (await response.readlines())[0]],
  ["lines()", async (response) => (await Array.fromAsync(response.lines()))[0]],
];

for (const [name, read] of OF_ONE_LINE) {
  Deno.test(`${name} needs memory like the body when its chunks are of one byte`, async () => {
    const block = bytes("1\r\na\r\n".repeat(TINY / 50));
    const parts = [
      bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
      bytes("0\r\n\r\n"),
    ];
    parts.splice(1, 0, ...Array(50).fill(block));
    let most = 0;
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        // What is still referred to is counted, be there garbage or not.
        most = Math.max(most, Deno.memoryUsage().heapUsed);
        const part = parts.shift();
        if (part === undefined) controller.close();
        else controller.enqueue(part.slice());
      },
    }, { highWaterMark: 0 });
    const response = new HTTPResponse(source);
    await response.begin();
    const before = Deno.memoryUsage().heapUsed;
    assertEquals((await read(response)).length, TINY);
    // An array for each chunk takes 60 MiB and more.
    assert(most - before < 32 * MIB, `${Math.round((most - before) / MIB)} MiB`);
  });
}
