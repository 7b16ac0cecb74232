import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type AnyIterator,
  chunkLine,
  chunkParts,
  type Content,
  contentLength,
  contentOf,
  fieldPairs,
  type FieldValue,
  hasField,
  type HeaderFields,
  lastChunk,
  pieceBytes,
  type RequestBody,
  RequestHead,
} from "../_internal/request_writer.ts";
import { InvalidURL } from "../errors.ts";
import { HTTPMessage } from "../mod.ts";
import { bytes, latin1 } from "./servers/raw.ts";

function headText(head: RequestHead): string {
  return latin1(head.bytes());
}

/** The pieces of a body, each as text. */
async function piecesOf(body: RequestBody, blocksize = 8192): Promise<string[]> {
  const content = contentOf(body, blocksize)!;
  if (content.kind === "bytes") return [latin1(content.bytes)];
  const pieces = [];
  const iterator: AnyIterator = content.pieces();
  for (;;) {
    const { done, value } = await iterator.next();
    if (done) return pieces;
    pieces.push(latin1(pieceBytes(value)));
  }
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

// The head

Deno.test("a head is the request line, the fields and an empty line", () => {
  const head = new RequestHead("GET", "/p?q");
  head.field("Host", "a");
  head.field("x-B", "c d");
  assertEquals(headText(head), "GET /p?q HTTP/1.1\r\nHost: a\r\nx-B: c d\r\n\r\n");
});

Deno.test("a head without fields ends at once", () => {
  assertEquals(headText(new RequestHead("GET", "/")), "GET / HTTP/1.1\r\n\r\n");
});

const VALUES: [title: string, values: FieldValue[], line: string][] = [
  ["a string", ["abc"], "X: abc"],
  ["an empty string", [""], "X: "],
  ["no value", [], "X: "],
  ["a number", [42], "X: 42"],
  ["a negative number", [-1], "X: -1"],
  ["a bigint", [9007199254740993n as unknown as number], "X: 9007199254740993"],
  ["bytes", [bytes("\xe9\xff")], "X: \xe9\xff"],
  ["a string of ISO-8859-1", ["caf\xe9"], "X: caf\xe9"],
  ["a tab within", ["a\tb"], "X: a\tb"],
  ["blanks around", [" a "], "X:  a "],
  ["several values", ["a", bytes("b"), 3], "X: a\r\n\tb\r\n\t3"],
];

for (const [title, values, line] of VALUES) {
  Deno.test(`a field with ${title} is a line`, () => {
    const head = new RequestHead("GET", "/");
    head.field("X", ...values);
    assertEquals(headText(head), `GET / HTTP/1.1\r\n${line}\r\n\r\n`);
  });
}

const BAD_VALUES: [title: string, value: unknown][] = [
  ["a line break", "a\r\nY: b"],
  ["a line break in bytes", bytes("a\r\nY: b")],
  ["a NUL in bytes", bytes("\0")],
  ["a character outside of ISO-8859-1", "\u20ac"],
  ["null", null],
  ["undefined", undefined],
  ["an object", {}],
  ["a boolean", true],
  ["an array", ["a"]],
];

for (const [title, value] of BAD_VALUES) {
  Deno.test(`a field with ${title} is refused, and the head stays as it was`, () => {
    const head = new RequestHead("GET", "/");
    assertThrows(() => head.field("X-Name", "good", value as string), TypeError, "X-Name");
    assertEquals(headText(head), "GET / HTTP/1.1\r\n\r\n");
  });
}

Deno.test("a bad field name is refused, and the head stays as it was", () => {
  const head = new RequestHead("GET", "/");
  assertThrows(() => head.field("X: y\r\nZ", "a"), TypeError);
  assertEquals(headText(head), "GET / HTTP/1.1\r\n\r\n");
});

Deno.test("a bad method is refused", () => {
  assertThrows(() => new RequestHead("GET /x", "/"), TypeError);
});

Deno.test("a bad target is refused", () => {
  assertThrows(() => new RequestHead("GET", "/a b"), InvalidURL);
});

const CLOSES: [name: string, values: string[], closes: boolean][] = [
  ["Connection", ["close"], true],
  ["connection", ["Close"], true],
  ["CONNECTION", ["keep-alive, close"], true],
  ["Connection", ["upgrade,close"], true],
  ["Connection", ["upgrade", "close"], true],
  ["Connection", ["keep-alive"], false],
  ["Connection", ["closed"], false],
  ["Connection", ["x-close"], false],
  ["X-Connection", ["close"], false],
  ["Expect", ["close"], false],
];

for (const [name, values, closes] of CLOSES) {
  Deno.test(`a head with ${name}: ${values.join(" / ")} ${closes ? "closes" : "stays open"}`, () => {
    const head = new RequestHead("GET", "/");
    head.field(name, ...values);
    assertEquals(head.closes, closes);
  });
}

// Header fields

const PAIRS: [title: string, headers: HeaderFields | null | undefined, pairs: unknown[]][] = [
  ["null", null, []],
  ["undefined", undefined, []],
  ["a record", { b: "1", A: 2 }, [["b", "1"], ["A", 2]]],
  ["an empty record", {}, []],
  ["pairs", [["b", "1"], ["b", "2"]], [["b", "1"], ["b", "2"]]],
  ["a Map", new Map([["B", "1"], ["a", "2"]]), [["B", "1"], ["a", "2"]]],
  ["Headers, which sort and lower their names", new Headers({ B: "1", a: "2" }), [
    ["a", "2"],
    ["b", "1"],
  ]],
];

for (const [title, headers, pairs] of PAIRS) {
  Deno.test(`fields are taken from ${title}`, () => {
    assertEquals(fieldPairs(headers).map((pair) => [...pair]), pairs);
  });
}

Deno.test("fields are taken from an HTTPMessage, repeated ones too", () => {
  const message = new HTTPMessage();
  message.append("B", "1");
  message.append("b", "2");
  assertEquals(fieldPairs(message).map((pair) => [...pair]), [["B", "1"], ["b", "2"]]);
});

Deno.test("fields are taken from a generator", () => {
  function* fields(): Generator<[string, string]> {
    yield ["A", "1"];
  }
  assertEquals(fieldPairs(fields()), [["A", "1"]]);
});

for (const headers of ["A: b", 1, true]) {
  Deno.test(`fields are not taken from ${JSON.stringify(headers)}`, () => {
    assertThrows(() => fieldPairs(headers as unknown as HeaderFields), TypeError);
  });
}

Deno.test("a field is found in any case of letters", () => {
  assertEquals(hasField([["X", "a"], ["CONTENT-length", "1"]], "content-length"), true);
});

Deno.test("a field is not found by a part of its name", () => {
  assertEquals(hasField([["X-Host", "a"], ["Hosts", "b"]], "host"), false);
});

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

// Chunks

const CHUNK_LINES: [size: number, line: string][] = [
  [1, "1\r\n"],
  [10, "A\r\n"],
  [16, "10\r\n"],
  [255, "FF\r\n"],
  [65536, "10000\r\n"],
  [Number.MAX_SAFE_INTEGER, "1FFFFFFFFFFFFF\r\n"],
];

for (const [size, line] of CHUNK_LINES) {
  Deno.test(`the line of a chunk of ${size} bytes is ${JSON.stringify(line)}`, () => {
    assertEquals(latin1(chunkLine(size)), line);
  });
}

Deno.test("a chunk is its line, its data and a line end", () => {
  assertEquals(chunkParts(bytes("abc")).map(latin1).join(""), "3\r\nabc\r\n");
});

Deno.test("a chunk's data is not copied", () => {
  const data = bytes("abc");
  assert(chunkParts(data).includes(data));
});

Deno.test("the last chunk ends the body", () => {
  assertEquals(latin1(lastChunk([])), "0\r\n\r\n");
});

Deno.test("trailers stand between the last chunk and the empty line", () => {
  assertEquals(latin1(lastChunk([["A", "b"], ["c", 1]])), "0\r\nA: b\r\nc: 1\r\n\r\n");
});

for (const [name, value] of [["A b", "c"], ["A", "b\r\n\r\nGET / HTTP/1.1"], ["A", "\u20ac"]]) {
  Deno.test(`the trailer ${JSON.stringify(`${name}: ${value}`)} is refused`, () => {
    assertThrows(() => lastChunk([[name, value]]), TypeError);
  });
}
