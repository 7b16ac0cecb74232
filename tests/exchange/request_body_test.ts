/**
 * The bodies of requests: which kinds there are, how each is cut into pieces, and whose size is known.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Content,
  contentLength,
  contentOf,
  OVER,
  pieceBytes,
  type Pieces,
  type RequestBody,
} from "../../_internal/exchange/request_body.ts";
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
    pieces.push(latin1(pieceBytes(value)));
  }
  iterator[OVER]?.();
  return pieces;
}

/** A `Reader` that gives these texts, one for each read. */
function readerOf(...texts: string[]): { read(p: Uint8Array): Promise<number | null> } {
  return {
    read(p) {
      const text = texts.shift();
      if (text === undefined) return Promise.resolve(null);
      p.set(bytes(text));
      return Promise.resolve(text.length);
    },
  };
}

function streamOf(...chunks: (string | Uint8Array)[]): ReadableStream<string | Uint8Array> {
  return ReadableStream.from(chunks);
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
  Deno.test(`the bytes of ${title} are a body of known size`, () => {
    const content = contentOf(body, 8192);
    assert(content?.kind === "bytes");
    assertEquals(latin1(content.bytes), text);
    assertEquals(contentLength("GET", content), text.length);
  });
}

Deno.test("a Blob is a body of known size", async () => {
  const blob = new Blob(["ab", "c"]);
  assertEquals(contentLength("POST", contentOf(blob, 8192)), 3);
  assertEquals((await piecesOf(blob)).join(""), "abc");
});

Deno.test("an empty Blob has a size of 0", () => {
  assertEquals(contentLength("POST", contentOf(new Blob([]), 8192)), 0);
});

function* generator(): Generator<string | Uint8Array> {
  yield "a";
  yield bytes("\xff");
}

async function* asyncGenerator(): AsyncGenerator<string | Uint8Array> {
  yield "a";
  await null;
  yield bytes("\xff");
}

const PIECES: [title: string, body: () => RequestBody, pieces: string[]][] = [
  ["an array of bytes", () => [bytes("ab"), bytes("c")], ["ab", "c"]],
  ["an array of strings", () => ["ab", "\xe9"], ["ab", "\xe9"]],
  ["an empty array", () => [], []],
  ["a Set", () => new Set(["a", "b"]), ["a", "b"]],
  ["a generator", generator, ["a", "\xff"]],
  ["an async generator", asyncGenerator, ["a", "\xff"]],
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
  Deno.test(`${title} is a body of unknown size, piece by piece`, async () => {
    assertEquals(contentLength("POST", contentOf(body(), 8192)), null);
    assertEquals(await piecesOf(body()), pieces);
  });
}

Deno.test("a Reader is read in pieces of the given size", async () => {
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

Deno.test("the pieces of a Reader do not share their memory", async () => {
  const content = contentOf(readerOf("ab", "cd"), 8192);
  assert(content?.kind === "pieces");
  const pieces = [];
  for await (const piece of { [Symbol.asyncIterator]: content.pieces } as AsyncIterable<unknown>) {
    pieces.push(pieceBytes(piece));
  }
  assertEquals(pieces.map(latin1), ["ab", "cd"]);
});

Deno.test("a Reader wins over an iterable, as in CPython", async () => {
  const body = Object.assign(["not", "these"], readerOf("this"));
  assertEquals(await piecesOf(body), ["this"]);
});

Deno.test("nothing is taken from a body before it is sent", () => {
  let taken = 0;
  contentOf({
    *[Symbol.iterator]() {
      taken++;
      yield "a";
    },
  }, 8192);
  assertEquals(taken, 0);
});

Deno.test("no body is no content", () => {
  assertEquals([contentOf(null, 8192), contentOf(undefined, 8192)], [null, null]);
});

for (const body of [1, true, {}, () => {}, Symbol("a")]) {
  Deno.test(`${String(body)} is no body`, () => {
    assertThrows(() => contentOf(body as unknown as RequestBody, 8192), TypeError);
  });
}

Deno.test("a string outside of ISO-8859-1 is no body", () => {
  assertThrows(() => contentOf("\u20ac", 8192), TypeError);
});

Deno.test("a locked stream is no body", () => {
  const stream = streamOf("a");
  stream.getReader();
  assertThrows(() => contentOf(stream, 8192), TypeError, "locked");
});

Deno.test("leaving a stream early cancels and unlocks it", async () => {
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

Deno.test("a stream that was sent is unlocked", async () => {
  const stream = streamOf("a");
  await piecesOf(stream);
  assertEquals(stream.locked, false);
});

Deno.test("an iterator's own fields are its own", async () => {
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

Deno.test("an error of the source comes through", async () => {
  const trouble = new Error("trouble");
  const body = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(trouble) }),
  };
  assertEquals(await assertRejects(() => piecesOf(body as AsyncIterable<string>)), trouble);
});

for (const piece of [1, null, undefined, {}, ["a"], "\u20ac"]) {
  Deno.test(`${JSON.stringify(piece)} is no piece of a body`, () => {
    assertThrows(() => pieceBytes(piece), TypeError);
  });
}

Deno.test("a piece of bytes is not copied", () => {
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
  Deno.test(`the length of no body is ${length} for ${method}`, () => {
    assertEquals(contentLength(method, null), length);
  });
}

Deno.test("the length of an empty body is 0 for any method", () => {
  const empty: Content = contentOf("", 8192);
  assertEquals(["GET", "HEAD", "POST"].map((method) => contentLength(method, empty)), [0, 0, 0]);
});

// Files

for (const [blocksize, size] of [[8192, 1_000_003], [1000, 262_144], [300_000, 700_000], [5, 0]]) {
  Deno.test(`a file of ${size} bytes comes in pieces of ${blocksize}`, async () => {
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

Deno.test("a file that cannot be read is an error of the source", async () => {
  const path = await Deno.makeTempFile();
  using file = await Deno.open(path, { write: true, read: false });
  const { pieces } = contentOf(file, 8192) as Extract<Content, { kind: "pieces" }>;
  await assertRejects(async () => void await pieces().next());
  await Deno.remove(path);
});
