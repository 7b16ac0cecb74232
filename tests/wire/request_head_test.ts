import { assert, assertEquals, assertThrows } from "@std/assert";
import { chunkLine, chunkParts, lastChunk } from "../../_internal/wire/chunked_encoding.ts";
import {
  fieldPairs,
  type FieldValue,
  hasField,
  type HeaderFields,
  RequestHead,
} from "../../_internal/wire/request_head.ts";
import { InvalidURL } from "../../errors.ts";
import { HTTPMessage } from "../../mod.ts";
import { bytes, latin1 } from "../servers/raw.ts";

function headText(head: RequestHead): string {
  return latin1(head.bytes());
}

// The head

Deno.test("bytes() gives the request line, the fields and an empty line", () => {
  const head = new RequestHead("GET", "/p?q");
  head.field("Host", "a");
  head.field("x-B", "c d");
  assertEquals(headText(head), "GET /p?q HTTP/1.1\r\nHost: a\r\nx-B: c d\r\n\r\n");
});

Deno.test("bytes() ends after the request line and an empty line when there are no fields", () => {
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
  Deno.test(`field() writes a line when the value is ${title}`, () => {
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
  Deno.test(`field() throws a TypeError and adds nothing when the value is ${title}`, () => {
    const head = new RequestHead("GET", "/");
    assertThrows(() => head.field("X-Name", "good", value as string), TypeError, "X-Name");
    assertEquals(headText(head), "GET / HTTP/1.1\r\n\r\n");
  });
}

Deno.test("field() throws a TypeError and adds nothing when the name is not a token", () => {
  const head = new RequestHead("GET", "/");
  assertThrows(() => head.field("X: y\r\nZ", "a"), TypeError);
  assertEquals(headText(head), "GET / HTTP/1.1\r\n\r\n");
});

Deno.test("RequestHead() throws a TypeError when the method is not a token", () => {
  assertThrows(() => new RequestHead("GET /x", "/"), TypeError);
});

Deno.test("RequestHead() throws an InvalidURL when there is a space in the target", () => {
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
  Deno.test(`closes is ${closes} after field("${name}", ${values.map((value) => `"${value}"`).join(", ")})`, () => {
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
  Deno.test(`fieldPairs() takes the fields of ${title}`, () => {
    assertEquals(fieldPairs(headers).map((pair) => [...pair]), pairs);
  });
}

Deno.test("fieldPairs() takes repeated fields of an HTTPMessage", () => {
  const message = new HTTPMessage();
  message.append("B", "1");
  message.append("b", "2");
  assertEquals(fieldPairs(message).map((pair) => [...pair]), [["B", "1"], ["b", "2"]]);
});

Deno.test("fieldPairs() takes the fields of a generator", () => {
  function* fields(): Generator<[string, string]> {
    yield ["A", "1"];
  }
  assertEquals(fieldPairs(fields()), [["A", "1"]]);
});

for (const headers of ["A: b", 1, true]) {
  Deno.test(`fieldPairs() throws a TypeError when given ${JSON.stringify(headers)}`, () => {
    assertThrows(() => fieldPairs(headers as unknown as HeaderFields), TypeError);
  });
}

Deno.test("hasField() ignores the case of letters", () => {
  assertEquals(hasField([["X", "a"], ["CONTENT-length", "1"]], "content-length"), true);
});

Deno.test("hasField() does not match a part of a name", () => {
  assertEquals(hasField([["X-Host", "a"], ["Hosts", "b"]], "host"), false);
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
  Deno.test(`chunkLine(${size}) gives ${JSON.stringify(line)}`, () => {
    assertEquals(latin1(chunkLine(size)), line);
  });
}

Deno.test("chunkParts() gives the size line, the data and a line end", () => {
  assertEquals(chunkParts(bytes("abc")).map(latin1).join(""), "3\r\nabc\r\n");
});

Deno.test("chunkParts() does not copy the data", () => {
  const data = bytes("abc");
  assert(chunkParts(data).includes(data));
});

Deno.test("lastChunk() ends the body when there are no trailers", () => {
  assertEquals(latin1(lastChunk([])), "0\r\n\r\n");
});

Deno.test("lastChunk() puts trailers between the last chunk and the empty line", () => {
  assertEquals(latin1(lastChunk([["A", "b"], ["c", 1]])), "0\r\nA: b\r\nc: 1\r\n\r\n");
});

for (const [name, value] of [["A b", "c"], ["A", "b\r\n\r\nGET / HTTP/1.1"], ["A", "\u20ac"]]) {
  Deno.test(`lastChunk() throws a TypeError when a trailer is ${JSON.stringify(`${name}: ${value}`)}`, () => {
    assertThrows(() => lastChunk([[name, value]]), TypeError);
  });
}
