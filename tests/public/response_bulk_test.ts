/**
 * Bodies that come as fast as they can be read: the stream gives them in larger pieces, read straight
 * from the transport, and all else is as for any body.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { HTTPResponse, IncompleteRead, type Transport } from "../../mod.ts";
import { microtasks } from "../helpers/waiting.ts";

const BUFFER = 65536;
/** The size of its first one. */
const FIRST = 8192;
const MOST = 524288;
const MIB = 1048576;

/** A server that has all of its answer ready: each read is filled, up to `most` bytes of the body. */
class Fast implements Transport {
  /** The sizes of the reads. */
  readonly asked: number[] = [];
  closed = false;
  readonly #head: Uint8Array;
  readonly #size: number;
  readonly #most: () => number;
  #at = -1;

  constructor(head: string, size: number, most: () => number = () => Infinity) {
    this.#head = new TextEncoder().encode(head);
    this.#size = size;
    this.#most = most;
  }

  read(p: Uint8Array): Promise<number | null> {
    if (this.#at < 0) {
      this.#at = 0;
      p.set(this.#head);
      return Promise.resolve(this.#head.length);
    }
    this.asked.push(p.length);
    const count = Math.min(p.length, this.#size - this.#at, this.#most());
    for (let i = 0; i < count; i++) p[i] = byteAt(this.#at + i);
    this.#at += count;
    return Promise.resolve(count === 0 ? null : count);
  }

  write(p: Uint8Array): Promise<number> {
    return Promise.resolve(p.length);
  }

  close(): void {
    this.closed = true;
  }
}

function byteAt(at: number): number {
  return (at * 7 + (at >> 8)) & 255;
}

async function begin(
  size: number,
  { length = size, most }: { length?: number | null; most?: () => number } = {},
): Promise<{ response: HTTPResponse; transport: Fast }> {
  const framing = length === null ? "" : `Content-Length: ${length}\r\n`;
  const transport = new Fast(`HTTP/1.1 200 OK\r\n${framing}\r\n`, size, most);
  const response = new HTTPResponse(transport);
  await response.begin();
  return { response, transport };
}

/** Checks that a piece is what stands at `at`; returns where it ends. */
function check(piece: Uint8Array, at: number): number {
  for (let i = 0; i < piece.length; i++) {
    if (piece[i] !== byteAt(at + i)) throw new Error(`Byte ${at + i} is another one`);
  }
  return at + piece.length;
}

for (const length of [4 * MIB + 3, null]) {
  const framing = length === null ? "until close" : "by length";
  const size = 4 * MIB + 3;

  Deno.test(`pipeTo() gives pieces that grow to 512 KiB (${framing})`, async () => {
    const { response } = await begin(size, { length });
    const sizes: number[] = [];
    let at = 0;
    await response.pipeTo(
      new WritableStream({
        write(piece: Uint8Array) {
          sizes.push(piece.length);
          at = check(piece, at);
        },
      }),
    );
    assertEquals(at, size);
    assertEquals(sizes.slice(0, 5), [FIRST, BUFFER, 2 * BUFFER, 4 * BUFFER, 8 * BUFFER]);
    assertEquals(Math.max(...sizes), MOST);
    assertEquals(response.isclosed(), true);
  });

  Deno.test(`getReader() and read() go on where a piece ended (${framing})`, async () => {
    const { response } = await begin(size, { length });
    let at = 0;
    for (let turn = 0; turn < 3; turn++) {
      const plain = response.getReader();
      for (let i = 0; i < 3; i++) at = check((await plain.read()).value!, at);
      plain.releaseLock();
      const byob = response.getReader({ mode: "byob" });
      at = check((await byob.read(new Uint8Array(1000))).value!, at);
      byob.releaseLock();
      at = check(await response.read(100_000), at);
    }
    at = check(await response.read(), at);
    assertEquals(at, size);
  });

  Deno.test(`getReader() gives small pieces again when the server is slow (${framing})`, async () => {
    let fast = true;
    const { response, transport } = await begin(size, {
      length,
      most: () => fast ? Infinity : 1000,
    });
    const reader = response.getReader();
    let at = 0;
    for (let i = 0; i < 4; i++) at = check((await reader.read()).value!, at);
    fast = false;
    for (let i = 0; i < 6; i++) at = check((await reader.read()).value!, at);
    assertEquals(transport.asked.at(-1), BUFFER);
    assert(transport.asked.at(-7)! > BUFFER);
    await reader.cancel();
    assertEquals(transport.closed, true);
  });
}

Deno.test("getReader() reads nothing ahead of the piece that is asked for", async () => {
  const { response, transport } = await begin(4 * MIB);
  const reader = response.getReader();
  for (let reads = 1; reads <= 5; reads++) {
    await reader.read();
    assertEquals(transport.asked.length, reads);
  }
  await reader.cancel();
});

Deno.test("getReader() ends a piece with the body, not behind it", async () => {
  const { response, transport } = await begin(MIB, { length: MIB - 5 });
  let at = 0;
  for await (const piece of response.pipeThrough(new TransformStream())) at = check(piece, at);
  assertEquals(at, MIB - 5);
  assertEquals(transport.closed, false);
});

for (let early = 0; early < 4; early++) {
  Deno.test(`getReader() throws IncompleteRead when the end comes early, in piece ${early + 1}`, async () => {
    const size = early === 0 ? 10 : FIRST + BUFFER * (2 ** (early - 1) - 1) + 10;
    const { response } = await begin(size, { length: 4 * MIB });
    const reader = response.getReader();
    let at = 0;
    const error = await assertRejects(async () => {
      for (;;) at = check((await reader.read()).value!, at);
    }, IncompleteRead);
    assertEquals(at, size);
    assertEquals(error.expected, 4 * MIB - size);
  });
}

Deno.test("releaseLock() loses no byte and gives none twice at any moment", async () => {
  for (let moment = 0; moment < 30; moment++) {
    const { response } = await begin(MIB);
    const reader = response.getReader();
    let at = 0;
    for (let i = 0; i < 2; i++) at = check((await reader.read()).value!, at);
    const last = reader.read().then(({ value }) => value!, () => new Uint8Array(0));
    await microtasks(moment);
    reader.releaseLock();
    at = check(await last, at);
    await microtasks(50);
    at = check(await response.read(10), at);
    at = check(await response.readline(20), at);
    at = check(await response.read(), at);
    assertEquals(at, MIB, `after ${moment} microtasks`);
  }
});

Deno.test("getReader() takes over the piece of a reader that has let go", async () => {
  for (const mode of [undefined, "byob"] as const) {
    const { response } = await begin(MIB);
    const reader = response.getReader();
    let at = 0;
    for (let i = 0; i < 2; i++) at = check((await reader.read()).value!, at);
    const left = assertRejects(() => reader.read(), TypeError);
    reader.releaseLock();
    await left;
    if (mode === undefined) {
      const next = response.getReader();
      for (let step; !(step = await next.read()).done;) at = check(step.value, at);
    } else {
      const next = response.getReader({ mode });
      for (let step; !(step = await next.read(new Uint8Array(50_000))).done;) {
        at = check(step.value, at);
      }
    }
    assertEquals(at, MIB);
  }
});

Deno.test("close() ends a read of a large piece, rather than let the body look whole", async () => {
  const { response } = await begin(MIB);
  const reader = response.getReader();
  for (let i = 0; i < 2; i++) await reader.read();
  const last = reader.read();
  last.catch(() => {});
  response.close();
  await assertRejects(() => last, Deno.errors.Interrupted);
});

for (
  const [name, call] of [
    ["read(10)", (r) => r.read(10)],
    ["read1(10)", (r) => r.read1(10)],
    ["peek()", (r) => r.peek()],
    ["readline()", (r) => r.readline()],
    ["values()", async (r) => (await r.values({ preventCancel: true }).next()).value],
  ] satisfies [string, (r: HTTPResponse) => Promise<Uint8Array | undefined>][]
) {
  Deno.test(`${name} goes on right behind a stream's read`, async () => {
    const { response } = await begin(4 * MIB);
    let at = 0;
    for (let i = 0; i < 8; i++) {
      const reader = response.getReader();
      at = check((await reader.read()).value!, at);
      reader.releaseLock();
      const end = check((await call(response))!, at);
      if (name !== "peek()") at = end;
    }
    response.close();
  });
}

Deno.test("length counts the pieces down", async () => {
  const { response } = await begin(MIB);
  const reader = response.getReader();
  let left = MIB;
  for (let i = 0; i < 4; i++) {
    left -= (await reader.read()).value!.length;
    assertEquals(response.length, left);
  }
  await reader.cancel();
});

Deno.test("read() gives bytes of the one body only when the memory of others is used again", async () => {
  const size = 4 * MIB + 3;
  /** A body until close that is all of one byte. */
  const read = async (byte: number) => {
    const head = "HTTP/1.1 200 OK\r\n\r\n";
    const response = new HTTPResponse(new Blob([head, new Uint8Array(size).fill(byte)]).stream());
    await response.begin();
    return await response.read();
  };
  const bodies = [await read(1), ...await Promise.all([read(2), read(3)]), await read(4)];
  for (const [i, body] of bodies.entries()) {
    assertEquals(body.length, size);
    assert(body.every((byte) => byte === i + 1));
  }
});
