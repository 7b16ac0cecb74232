/**
 * The bodies of requests: which kinds there are, how each is cut into pieces, and whose size is known.
 *
 * @module
 */
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type Content,
  contentLength,
  contentOf,
  OVER,
  pieceBytes,
  type Pieces,
  type RequestBody,
} from "../../_internal/exchange/request_body.ts";
import { HTTPMessage } from "../../mod.ts";
import { asyncGeneratorOf, generatorOf, readerOf, streamOf } from "../helpers/bodies.ts";
import { soon, thrown, turns } from "../helpers/waiting.ts";
import { bytes, latin1 } from "../servers/raw.ts";

/** The pieces of a body, each as text. */
async function piecesOf(body: RequestBody, blocksize = 8192): Promise<string[]> {
  const content = contentOf(body, blocksize)!;
  if (content.kind === "bytes") return [latin1(content.bytes)];
  const pieces = [];
  const iterator: Pieces = content.pieces();
  for (;;) {
    const { done, value } = await iterator.next();
    if (done) break;
    pieces.push(typeof value === "string" ? value : latin1(pieceBytes(value)));
  }
  iterator[OVER]?.();
  return pieces;
}

// Bodies

const KNOWN: [title: string, body: RequestBody, text: string][] = [
  ["an empty string", "", ""],
  ["a string", "caf\xe9", "caf\xe9"],
  ["an ArrayBuffer", bytes("ab").buffer, "ab"],
  ["an empty Uint8Array", new Uint8Array(), ""],
  ["a Uint8Array", bytes("ab"), "ab"],
  ["a part of a buffer", bytes("abcd").subarray(1, 3), "bc"],
  ["an Int8Array", new Int8Array([-1, 1]), "\xff\x01"],
  ["a Uint16Array", new Uint16Array([1, 2]), "\x01\0\x02\0"],
  ["a part of a Uint16Array", new Uint16Array([1, 2, 3]).subarray(1, 2), "\x02\0"],
  ["a Float64Array", new Float64Array([1]), "\0\0\0\0\0\0\xf0?"],
  ["a DataView", new DataView(bytes("abcd").buffer, 1, 2), "bc"],
];

for (const [title, body, text] of KNOWN) {
  Deno.test(`contentOf() knows the size of ${title}`, () => {
    const content = contentOf(body, 8192);
    assert(content?.kind === "bytes");
    assertEquals(latin1(content.bytes), text);
    assertEquals(contentLength("GET", content), text.length);
  });
}

Deno.test("contentOf() knows the size of a Blob", async () => {
  const blob = new Blob(["ab", "c"]);
  assertEquals(contentLength("POST", contentOf(blob, 8192)), 3);
  assertEquals((await piecesOf(blob)).join(""), "abc");
});

Deno.test("contentLength() is 0 for an empty Blob", () => {
  assertEquals(contentLength("POST", contentOf(new Blob([]), 8192)), 0);
});

const PIECES: [title: string, body: () => RequestBody, pieces: string[]][] = [
  ["an array of bytes", () => [bytes("ab"), bytes("c")], ["ab", "c"]],
  ["an array of strings", () => ["ab", "\xe9"], ["ab", "\xe9"]],
  ["an empty array", () => [], []],
  ["a Set", () => new Set(["a", "b"]), ["a", "b"]],
  ["a generator", () => generatorOf<string | Uint8Array>("a", bytes("\xff")), ["a", "\xff"]],
  ["an async generator", () => asyncGeneratorOf<string | Uint8Array>("a", bytes("\xff")), [
    "a",
    "\xff",
  ]],
  ["a ReadableStream of bytes", () => streamOf(bytes("ab"), bytes("c")), ["ab", "c"]],
  ["a ReadableStream of strings", () => streamOf("ab", "c"), ["ab", "c"]],
  ["an empty ReadableStream", () => streamOf(), []],
  ["a Reader", () => readerOf("ab", "c"), ["ab", "c"]],
  ["a Reader that reads nothing for once", () => readerOf("a", "", "b"), ["a", "b"]],
  ["an empty Reader", () => readerOf(), []],
  ["an array of other views", () => [new Uint16Array([1]) as unknown as Uint8Array], ["\x01\0"]],
  [
    "an array of ArrayBuffers",
    () => [bytes("a").buffer as unknown as Uint8Array],
    ["a"],
  ],
];

for (const [title, body, pieces] of PIECES) {
  Deno.test(`contentOf() gives the pieces of ${title}, whose size is not known`, async () => {
    assertEquals(contentLength("POST", contentOf(body(), 8192)), null);
    assertEquals(await piecesOf(body()), pieces);
  });
}

Deno.test("contentOf() reads a Reader in pieces of the given size", async () => {
  const asked: number[] = [];
  const body = {
    read(p: Uint8Array): Promise<number | null> {
      asked.push(p.length);
      return Promise.resolve(asked.length > 2 ? null : p.length);
    },
  };
  await piecesOf(body, 3);
  assertEquals(asked, [3, 3, 3]);
});

Deno.test("contentOf() gives pieces of a Reader in memory of their own", async () => {
  const content = contentOf(readerOf("ab", "cd"), 8192);
  assert(content?.kind === "pieces");
  const pieces = [];
  for await (const piece of { [Symbol.asyncIterator]: content.pieces } as AsyncIterable<unknown>) {
    pieces.push(pieceBytes(piece));
  }
  assertEquals(pieces.map(latin1), ["ab", "cd"]);
});

Deno.test("contentOf() reads a Reader that is iterable too, as CPython does", async () => {
  const body = Object.assign(["not", "these"], readerOf("this"));
  assertEquals(await piecesOf(body), ["this"]);
});

Deno.test("contentOf() takes nothing from a body", () => {
  let taken = 0;
  contentOf({
    *[Symbol.iterator]() {
      taken++;
      yield "a";
    },
  }, 8192);
  assertEquals(taken, 0);
});

Deno.test("contentOf() gives null when there is no body", () => {
  assertEquals([contentOf(null, 8192), contentOf(undefined, 8192)], [null, null]);
});

// What is refused

const formWith = (...names: string[]) => {
  const form = new FormData();
  for (const name of names) form.append(name, "x");
  return form;
};

const REFUSED: [title: string, body: unknown, advice: string][] = [
  ["a number", 1, "String()"],
  ["zero", 0, "String()"],
  ["a bigint", 1n, "String()"],
  ["a boolean", true, "String()"],
  ["false", false, "String()"],
  ["a function", () => {}, "a string, bytes"],
  ["a symbol", Symbol("a"), "a string, bytes"],
  ["a plain object", {}, "JSON.stringify()"],
  ["a plain object with fields", { a: 1 }, "JSON.stringify()"],
  ["an object without a prototype", Object.create(null), "JSON.stringify()"],
  ["a Date", new Date(), "a string, bytes"],
  ["a FormData", formWith("a"), "new Response(form)"],
  ["an empty FormData", formWith(), "new Response(form)"],
  ["a URLSearchParams", new URLSearchParams("a=b"), "params.toString()"],
  ["an empty URLSearchParams", new URLSearchParams(), "params.toString()"],
  ["a Headers", new Headers({ a: "b" }), "a string or bytes"],
  ["an empty Headers", new Headers(), "a string or bytes"],
  ["a Map", new Map([["a", "b"]]), "JSON.stringify()"],
  ["an empty Map", new Map(), "JSON.stringify()"],
  ["an empty HTTPMessage", new HTTPMessage(), "a string or bytes"],
  ["a promise", Promise.resolve("a"), "await"],
  ["a Response", new Response("a"), "its body"],
  ["a Request", new Request("http://a.example/", { method: "POST", body: "a" }), "its body"],
  ["an array with a number", ["a", 1], "Number"],
  ["an array with null", [null], "Null"],
  ["an array of pairs", [["a", "b"]], "Array"],
];

for (const [title, body, advice] of REFUSED) {
  Deno.test(`contentOf() throws a TypeError that says what to do when the body is ${title}`, () => {
    assertThrows(() => contentOf(body as RequestBody, 8192), TypeError, advice);
  });
}

Deno.test("contentOf() throws a TypeError when a string is outside of ISO-8859-1", () => {
  assertThrows(() => contentOf("\u20ac", 8192), TypeError);
});

Deno.test("contentOf() throws a TypeError when a stream is locked", () => {
  const stream = streamOf("a");
  stream.getReader();
  assertThrows(() => contentOf(stream, 8192), TypeError, "locked");
});

const USES: [title: string, use: (stream: ReadableStream<Uint8Array>) => Promise<unknown>][] = [
  ["read", async (stream) => {
    for await (const _ of stream);
  }],
  ["read in part", async (stream) => {
    const reader = stream.getReader();
    await reader.read();
    reader.releaseLock();
  }],
  ["cancelled", (stream) => stream.cancel()],
  ["sent", (stream) => piecesOf(stream)],
];

for (const [title, use] of USES) {
  Deno.test(`contentOf() throws a TypeError when a stream was ${title} before`, async () => {
    const stream = streamOf(bytes("a"), bytes("b"));
    await use(stream);
    assertThrows(() => contentOf(stream, 8192), TypeError, "before");
  });
}

Deno.test("contentOf() accepts a stream that has ended or failed, and was not read", async () => {
  assertEquals(await piecesOf(new Blob([]).stream()), []);
  const trouble = new Error("trouble");
  const failed = new ReadableStream<Uint8Array>({ start: (c) => c.error(trouble) });
  assertEquals(await assertRejects(() => piecesOf(failed)), trouble);
});

Deno.test("contentOf() takes what has pipe() and nothing else of a stream of Node's", async () => {
  const body = Object.assign(asyncGeneratorOf("a", "b"), { pipe() {} });
  assertEquals(await piecesOf(body), ["a", "b"]);
});

Deno.test("contentOf() takes an iterable without pipe(), whatever other properties of a stream it has", async () => {
  const body = Object.assign(asyncGeneratorOf("a", "b"), { readableDidRead: true });
  assertEquals(await piecesOf(body), ["a", "b"]);
});

Deno.test("contentOf() takes a stream of Node's for an async iterable", async () => {
  const through = new PassThrough();
  through.end("hello");
  const streams: [Readable, string][] = [
    [Readable.from([bytes("a"), bytes("b")]), "ab"],
    [through, "hello"],
    [Readable.from([]), ""],
  ];
  for (const [stream, text] of streams) {
    assertEquals((await piecesOf(stream as AsyncIterable<Uint8Array>)).join(""), text);
  }
});

const NODE_USES: [title: string, use: (stream: Readable) => unknown][] = [
  ["given to another reader", (stream) => stream.on("readable", () => stream.read())],
  ["read to its end", async (stream) => {
    for await (const _ of stream);
  }],
  ["read in part", async (stream) => {
    stream.read();
    await once(stream, "readable");
    stream.read();
  }],
  ["destroyed", (stream) => stream.destroy()],
];

for (const [title, use] of NODE_USES) {
  Deno.test(`contentOf() throws a TypeError when a stream of Node's was ${title}`, async () => {
    const stream = Readable.from([bytes("a"), bytes("b"), bytes("c")]);
    await use(stream);
    assertThrows(() => contentOf(stream as AsyncIterable<Uint8Array>, 8192), TypeError);
    stream.destroy();
  });
}

Deno.test("contentOf() throws a TypeError when somebody listens to a stream of Node's that nobody has read yet", () => {
  const stream = Readable.from([bytes("a")]);
  stream.on("readable", () => {});
  assertEquals(stream.readableDidRead, false);
  assertThrows(() => contentOf(stream as AsyncIterable<Uint8Array>, 8192), TypeError, "somebody");
  stream.destroy();
});

for (const count of [undefined, -1, 1.5, NaN, 9, "3", true, {}]) {
  Deno.test(`pieces() throws a TypeError when a Reader gives ${String(count)} for 8 bytes`, async () => {
    const reader = { read: () => Promise.resolve(count as number) };
    await assertRejects(() => piecesOf(reader, 8), TypeError, "read()");
  });
}

Deno.test("pieces() lets the event loop run while a Reader gives 0, until it is left", async () => {
  let reads = 0;
  const read = () => {
    reads++;
    return Promise.resolve(0);
  };
  const content = contentOf({ read }, 8);
  assert(content?.kind === "pieces");
  const pieces = content.pieces();
  const next = pieces.next();
  await turns(3);
  pieces.return!();
  assertEquals((await next).done, true);
  const seen = reads;
  await turns(3);
  assertEquals([seen > 0, reads], [true, seen]);
});

Deno.test("pieces() cancels and unlocks a stream that is left early", async () => {
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(bytes("a")),
    cancel: () => void (cancelled = true),
  });
  const content = contentOf(stream, 8192);
  assert(content?.kind === "pieces");
  const pieces = content.pieces();
  await pieces.next();
  await pieces.return!();
  assertEquals([cancelled, stream.locked], [true, false]);
});

Deno.test("pieces() unlocks a stream that has failed", async () => {
  for (const type of ["bytes", undefined] as const) {
    const source = {
      type,
      pull() {
        throw new Error("mine");
      },
    } as UnderlyingSource<Uint8Array<ArrayBuffer>>;
    const stream = new ReadableStream(source);
    const content = contentOf(stream, 8192);
    assert(content?.kind === "pieces");
    const pieces = content.pieces();
    await thrown(Promise.resolve(pieces.next()));
    await thrown(Promise.resolve(pieces.return!()));
    assertEquals(stream.locked, false);
  }
});

Deno.test("pieces() unlocks a stream that was sent", async () => {
  const stream = streamOf("a");
  await piecesOf(stream);
  assertEquals(stream.locked, false);
});

/** Bytes of which no two pieces are alike. */
function patterned(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
}

/** A byte stream of chunks of these sizes; `isTidy` answers the read that is out when it closes. */
function byteStreamOf(sizes: number[], isTidy: boolean): ReadableStream<Uint8Array<ArrayBuffer>> {
  const all = patterned(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  let next = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (next < sizes.length) {
        const size = sizes[next++];
        controller.enqueue(all.slice(at, at += size));
        return;
      }
      controller.close();
      if (isTidy) controller.byobRequest?.respond(0);
    },
  });
}

const MANY = 70_000;
const CHUNKS: [name: string, sizes: number[]][] = [
  ["no chunk", []],
  ["a small chunk", [5]],
  ["small chunks", [5, 1, 8191, 100]],
  ["a large chunk", [MANY]],
  ["large chunks", [65536, 65536, 8192, 300_000, 262144, MANY]],
  ["large chunks and then small ones", [MANY, MANY, 3, MANY, 1]],
];

for (const [name, sizes] of CHUNKS) {
  for (const isTidy of [true, false]) {
    const how = isTidy ? "" : ", and whose source leaves the last read without an answer";
    Deno.test(`pieces() gives all of a byte stream that has ${name}${how}`, async () => {
      const stream = byteStreamOf(sizes, isTidy);
      const joined = (await soon(piecesOf(stream))).join("");
      assertEquals(joined, latin1(patterned(joined.length)));
      assertEquals(joined.length, sizes.reduce((sum, size) => sum + size, 0));
      assertEquals(stream.locked, false);
    });
  }
}

Deno.test("pieces() leaves a piece of a byte stream as it is until the next one is asked for", async () => {
  const sizes = Array.from({ length: 9 }, () => MANY);
  const content = contentOf(byteStreamOf(sizes, true), 8192);
  assert(content?.kind === "pieces");
  const pieces = content.pieces();
  const whole = patterned(9 * MANY);
  let at = 0;
  for (let step; !(step = await pieces.next()).done;) {
    const piece = step.value as Uint8Array;
    // The next read comes meanwhile.
    await turns(1);
    assertEquals(latin1(piece), latin1(whole.subarray(at, at += piece.length)));
  }
  assertEquals(at, whole.length);
});

Deno.test("pieces() does not take the rest of a large chunk for a small one", async () => {
  const content = contentOf(byteStreamOf([65536 + 5, MANY, 5, MANY], true), 8192);
  assert(content?.kind === "pieces");
  const pieces = content.pieces();
  const read: [size: number, memory: number][] = [];
  for (let step; !(step = await pieces.next()).done;) {
    const piece = step.value as Uint8Array;
    read.push([piece.length, piece.buffer.byteLength]);
  }
  // A chunk that is small, on the other hand, is the last one that memory is given for.
  assertEquals(read, [[65536, 65536], [5, 131072], [MANY, 131072], [5, 131072], [MANY, MANY]]);
});

Deno.test("pieces() cancels and unlocks a byte stream that is left early, large chunks or small", async () => {
  for (const size of [5, MANY]) {
    let cancelled = false;
    const stream = new ReadableStream({
      type: "bytes",
      pull: (controller) => controller.enqueue(new Uint8Array(size)),
      cancel: () => void (cancelled = true),
    });
    const content = contentOf(stream, 8192);
    assert(content?.kind === "pieces");
    const pieces = content.pieces();
    await pieces.next();
    await pieces.return!();
    assertEquals([cancelled, stream.locked], [true, false]);
  }
});

Deno.test("pieces() throws what a byte stream fails with, behind the chunks before", async () => {
  for (const size of [5, MANY]) {
    const error = new Error("mine");
    let pulls = 0;
    const stream = new ReadableStream({
      type: "bytes",
      pull(controller) {
        if (++pulls > 2) throw error;
        controller.enqueue(new Uint8Array(size));
      },
    });
    const content = contentOf(stream, 8192);
    assert(content?.kind === "pieces");
    const pieces = content.pieces();
    let total = 0;
    const readOn = async () => {
      for (;;) total += pieceBytes((await pieces.next()).value).length;
    };
    assertStrictEquals(await thrown(readOn()), error);
    assertEquals(total, 2 * size);
  }
});

Deno.test("pieces() gives a file by its readable in larger pieces than its own", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, patterned(1_000_003));
  const file = await Deno.open(path);
  const pieces = await piecesOf(file.readable);
  assertEquals(pieces.join(""), latin1(patterned(1_000_003)));
  assert(pieces.some((piece) => piece.length > 65536));
  await Deno.remove(path);
});

Deno.test("pieces() leaves the fields of an iterator alone", async () => {
  const body = {
    over: false,
    left: ["a", "b"],
    next() {
      const value = this.left.shift();
      this.over = value === undefined;
      return { done: this.over, value: value! };
    },
    [Symbol.iterator]() {
      return this;
    },
  };
  assertEquals(await piecesOf(body as Iterable<string>), ["a", "b"]);
  assertEquals(body.over, true);
});

Deno.test("pieces() throws the source's own error", async () => {
  const trouble = new Error("trouble");
  const body = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(trouble) }),
  };
  assertEquals(await assertRejects(() => piecesOf(body as AsyncIterable<string>)), trouble);
});

for (const piece of [1, null, undefined, {}, ["a"]]) {
  Deno.test(`pieceBytes() throws a TypeError when a piece is ${JSON.stringify(piece)}`, () => {
    assertThrows(() => pieceBytes(piece), TypeError);
  });
}

Deno.test("pieceBytes() does not copy bytes", () => {
  const piece = bytes("abc");
  assert(pieceBytes(piece) === piece);
});

// Content-Length

const WITHOUT_BODY: [method: string, length: number | null][] = [
  ["GET", null],
  ["HEAD", null],
  ["DELETE", null],
  ["OPTIONS", null],
  ["TRACE", null],
  ["CONNECT", null],
  ["PUTS", null],
  ["POST", 0],
  ["PUT", 0],
  ["PATCH", 0],
  ["post", 0],
  ["Put", 0],
];

for (const [method, length] of WITHOUT_BODY) {
  Deno.test(`contentLength() is ${length} for ${method} without a body`, () => {
    assertEquals(contentLength(method, null), length);
  });
}

Deno.test("contentLength() is 0 for an empty body of any method", () => {
  const empty: Content = contentOf("", 8192);
  assertEquals(["GET", "HEAD", "POST"].map((method) => contentLength(method, empty)), [0, 0, 0]);
});

// Files

for (const [blocksize, size] of [[8192, 1_000_003], [1000, 262_144], [300_000, 700_000], [5, 0]]) {
  Deno.test(`contentOf() gives a file of ${size} bytes in pieces of ${blocksize}`, async () => {
    const path = await Deno.makeTempFile();
    const content = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
    await Deno.writeFile(path, content);
    using file = await Deno.open(path);
    const { pieces } = contentOf(file, blocksize) as Extract<Content, { kind: "pieces" }>;
    const iterator = pieces();
    const sizes: number[] = [];
    let at = 0;
    for (let step; !(step = await iterator.next()).done;) {
      const piece = pieceBytes(step.value);
      assertEquals(piece, content.subarray(at, at + piece.length));
      sizes.push(piece.length);
      at += piece.length;
    }
    const count = Math.ceil(size / blocksize);
    const last = size - blocksize * (count - 1);
    assertEquals(sizes, Array.from({ length: count }, (_, i) => i < count - 1 ? blocksize : last));
    assertEquals((await iterator.next()).done, true);
    await Deno.remove(path);
  });
}

Deno.test("pieces() leaves nothing unhandled when a file fails behind the last piece that was taken", async () => {
  using file = await Deno.open(new URL(import.meta.url));
  let reads = 0;
  const read = (p: Uint8Array) => {
    p.fill(1);
    return ++reads === 1 ? Promise.resolve(p.length) : Promise.reject(new Error("gone"));
  };
  Object.defineProperty(file, "read", { value: read });
  const content = contentOf(file, 8192);
  assert(content?.kind === "pieces");
  assertEquals((await content.pieces().next()).done, false);
  await turns(2);
  assertEquals(reads, 2);
});

Deno.test("pieces() throws the error of a file that cannot be read", async () => {
  const path = await Deno.makeTempFile();
  using file = await Deno.open(path, { write: true, read: false });
  const { pieces } = contentOf(file, 8192) as Extract<Content, { kind: "pieces" }>;
  await assertRejects(async () => void await pieces().next());
  await Deno.remove(path);
});
