/**
 * `HTTPMessage`, every method of it, and `parse_headers`. The values are CPython 3.13's where it has the
 * method.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  HTTPException,
  HTTPMessage,
  IncompleteRead,
  LineReader,
  LineTooLong,
  parse_headers,
  ProtocolError,
} from "../../mod.ts";
import { SegmentTransport } from "../parity/transports.ts";
import { begun, bytes, type ErrorClass, everyWay, latin1 } from "../helpers/split.ts";

/** A message with duplicates, in mixed case. */
function sample(): HTTPMessage {
  return new HTTPMessage([["A", "1"], ["b", "2"], ["a", "3"]]);
}

const ITEMS: [string, string][] = [["A", "1"], ["b", "2"], ["a", "3"]];

Deno.test("HTTPMessage() is empty when there are no fields", () => {
  const message = new HTTPMessage();
  assertEquals([message.size, message.items(), message.as_string()], [0, [], "\n"]);
});

Deno.test("HTTPMessage() takes any iterable of pairs", () => {
  assertEquals(new HTTPMessage(new Map([["A", "1"]])).items(), [["A", "1"]]);
  assertEquals(new HTTPMessage(new Headers({ a: "1" })).items(), [["a", "1"]]);
  assertEquals(new HTTPMessage(sample()).items(), ITEMS);
});

Deno.test("HTTPMessage() is apart from the one that it was made of", () => {
  const first = sample();
  const second = new HTTPMessage(first);
  first.delete("a");
  assertEquals([first.size, second.size], [1, 3]);
});

Deno.test("size counts repeated fields", () => assertEquals(sample().size, 3));

Deno.test("keys() gives the names in their order and case, repeated ones too", () => {
  assertEquals(sample().keys(), ["A", "b", "a"]);
});

Deno.test("values() gives the values in their order", () => {
  assertEquals(sample().values(), ["1", "2", "3"]);
});

Deno.test("items(), entries() and iteration give the pairs in their order", () => {
  const message = sample();
  assertEquals([message.items(), message.entries(), [...message]], [ITEMS, ITEMS, ITEMS]);
});

Deno.test("items() gives a copy", () => {
  const message = sample();
  message.items().pop();
  message.items()[0][1] = "x";
  message.keys().pop();
  assertEquals(message.items(), ITEMS);
});

Deno.test("forEach() calls with the value, the name and the message", () => {
  const message = sample();
  const calls: unknown[] = [];
  message.forEach((value, name, whole) => calls.push([value, name, whole === message]));
  assertEquals(calls, [["1", "A", true], ["2", "b", true], ["3", "a", true]]);
});

/** A row: what `get` is asked for, and what it gives. */
const GET: [args: [string, unknown?], value: unknown][] = [
  [["A"], "1"],
  [["a"], "1"],
  [["B"], "2"],
  [["c"], null],
  [["c", "d"], "d"],
  [["c", 5], 5],
  [["b", "d"], "2"],
  [[""], null],
  [["ab"], null],
];

for (const [args, value] of GET) {
  Deno.test(`get(${JSON.stringify(args).slice(1, -1)}) gives ${JSON.stringify(value)}`, () => {
    assertEquals(sample().get(...args), value);
  });
}

/** A row: what `get_all` is asked for, and what it gives. */
const GET_ALL: [args: [string, unknown?], value: unknown][] = [
  [["A"], ["1", "3"]],
  [["a"], ["1", "3"]],
  [["B"], ["2"]],
  [["c"], null],
  [["c", "d"], "d"],
  [["c", []], []],
];

for (const [args, value] of GET_ALL) {
  Deno.test(`get_all(${JSON.stringify(args).slice(1, -1)}) gives ${JSON.stringify(value)}`, () => {
    assertEquals(sample().get_all(...args), value);
  });
}

Deno.test("has() ignores the case of letters", () => {
  const message = sample();
  assertEquals(["a", "A", "B", "c", ""].map((name) => message.has(name)), [
    true,
    true,
    true,
    false,
    false,
  ]);
});

Deno.test("get() gives an empty value as it is", () => {
  const message = new HTTPMessage([["A", ""]]);
  assertEquals([message.get("a"), message.get("a", "d"), message.get_all("a"), message.has("a")], [
    "",
    "",
    [""],
    true,
  ]);
});

Deno.test("append() adds a field after the others", () => {
  const message = sample();
  message.append("A", "4");
  assertEquals(message.items(), [...ITEMS, ["A", "4"]]);
});

Deno.test("set() puts one field in the place of the first, and removes the others", () => {
  const message = sample();
  assertEquals(message.set("a", "9") === message, true);
  assertEquals(message.items(), [["a", "9"], ["b", "2"]]);
});

Deno.test("set() adds a field after the others when there is none", () => {
  assertEquals(sample().set("c", "9").items(), [...ITEMS, ["c", "9"]]);
});

Deno.test("delete() removes all fields of the name, and says whether there was one", () => {
  const message = sample();
  assertEquals([message.delete("A"), message.delete("A"), message.delete("none")], [
    true,
    false,
    false,
  ]);
  assertEquals(message.items(), [["b", "2"]]);
});

Deno.test("delete() removes neighbours, too", () => {
  const message = new HTTPMessage([["a", "1"], ["A", "2"], ["a", "3"]]);
  message.delete("a");
  assertEquals(message.size, 0);
});

Deno.test("replace_header() keeps the place and the case of the first one", () => {
  const message = sample();
  message.replace_header("a", "9");
  assertEquals(message.items(), [["A", "9"], ["b", "2"], ["a", "3"]]);
});

Deno.test("replace_header() throws a TypeError when the field is missing", () => {
  assertThrows(() => sample().replace_header("c", "9"), TypeError);
});

Deno.test("append() and set() make strings of other values", () => {
  const message = new HTTPMessage();
  message.append("A", 5 as unknown as string);
  message.set("B", 6 as unknown as string);
  message.replace_header("A", 7 as unknown as string);
  assertEquals(message.items(), [["A", "7"], ["B", "6"]]);
});

/** A row: Content-Type, its type, maintype and subtype. */
const TYPES: [value: string | null, type: string][] = [
  [null, "text/plain"],
  ["text/html", "text/html"],
  ["TEXT/HTML; charset=x", "text/html"],
  ["text/html;charset=utf-8", "text/html"],
  [" text/html ", "text/html"],
  ["text", "text/plain"],
  ["text/", "text/"],
  ["/html", "/html"],
  ["a/b/c", "text/plain"],
  ["", "text/plain"],
  ["; charset=x", "text/plain"],
];

for (const [value, type] of TYPES) {
  Deno.test(`get_content_type() gives ${type} for ${JSON.stringify(value)}`, () => {
    const message = new HTTPMessage(value === null ? [] : [["content-type", value]]);
    const parts = [message.get_content_maintype(), message.get_content_subtype()];
    assertEquals([message.get_content_type(), ...parts], [type, ...type.split("/")]);
  });
}

Deno.test("as_string() gives a line for each field, and an empty one", () => {
  assertEquals(sample().as_string(), "A: 1\nb: 2\na: 3\n\n");
});

Deno.test("as_string() does not fold a long value", () => {
  const value = `${"x".repeat(200)} ${"y".repeat(100)}`;
  assertEquals(new HTTPMessage([["A", value]]).as_string(), `A: ${value}\n\n`);
});

Deno.test("as_string() throws when a value has another field in it", () => {
  assertThrows(() => new HTTPMessage([["A", "b\nC: d"]]).as_string());
});

Deno.test("toString() gives the same as as_string()", () => {
  assertEquals(`${sample()}`, sample().as_string());
});

Deno.test("toHeaders() folds case and joins repeated fields", () => {
  const headers = sample().toHeaders();
  assert(headers instanceof Headers);
  assertEquals([...headers], [["a", "1, 3"], ["b", "2"]]);
});

Deno.test("toHeaders() throws a TypeError when Headers does not take a name", () => {
  assertThrows(() => new HTTPMessage([["a b", "1"]]).toHeaders(), TypeError);
});

Deno.test("defects is empty when no line was bad", () => {
  assertEquals(sample().defects, []);
});

/** Names that mean something to JavaScript. */
for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "length"]) {
  Deno.test(`get() takes a field named ${name} like any other`, () => {
    const message = new HTTPMessage();
    assertEquals([message.get(name), message.has(name), message.get_all(name)], [
      null,
      false,
      null,
    ]);
    message.append(name, "1");
    assertEquals([message.get(name), message.keys()], ["1", [name]]);
    assertEquals(message.delete(name), true);
  });
}

const SECTION = "A: 1\r\nb: 2\r\n fold\r\na: 3\r\n\r\n";
const PARSED: [string, string][] = [["A", "1"], ["b", "2 fold"], ["a", "3"]];

Deno.test("parse_headers() stops right before the body when it reads a LineReader", async () => {
  await everyWay(`${SECTION}body\r\n`, async (transport) => {
    const reader = new LineReader(transport);
    assertEquals((await parse_headers(reader)).items(), PARSED);
    assertEquals(latin1(await reader.read()), "body\r\n");
  });
});

Deno.test("parse_headers() reads on after a start line that was read", async () => {
  const reader = new LineReader(new Blob([`HTTP/1.1 200 OK\r\n${SECTION}`]).stream());
  await reader.readline();
  assertEquals((await parse_headers(reader)).items(), PARSED);
});

Deno.test("parse_headers() reads one section after the other", async () => {
  const reader = new LineReader(new Blob([`${SECTION}C: d\r\n\r\n`]).stream());
  await parse_headers(reader);
  assertEquals((await parse_headers(reader)).items(), [["C", "d"]]);
});

/** An object with `readline` and nothing else, which records what it was asked for. */
function lineSource(text: string): {
  readline(limit?: number): Promise<Uint8Array>;
  limits: (number | undefined)[];
  rest(): string;
} {
  const limits: (number | undefined)[] = [];
  return {
    limits,
    rest: () => text,
    readline(limit) {
      limits.push(limit);
      const end = text.indexOf("\n") + 1;
      const line = text.slice(0, Math.min(end === 0 ? text.length : end, limit ?? Infinity));
      text = text.slice(line.length);
      return Promise.resolve(bytes(line));
    },
  };
}

Deno.test("parse_headers() stops right before the body when it reads any object with readline()", async () => {
  const source = lineSource(`${SECTION}body`);
  assertEquals((await parse_headers(source)).items(), PARSED);
  assertEquals(source.rest(), "body");
});

Deno.test("parse_headers() reads a head in the body of a response, and leaves the rest", async () => {
  const response = await begun(`HTTP/1.1 200 OK\r\n\r\n${SECTION}body`);
  assertEquals((await parse_headers(response)).items(), PARSED);
  assertEquals(await response.text(), "body");
});

Deno.test("parse_headers() asks for lines of a limited length", async () => {
  const source = lineSource(SECTION);
  await parse_headers(source);
  assert(source.limits.every((limit) => limit !== undefined && limit <= 65537));
});

Deno.test("parse_headers() puts long lines together that come in parts", async () => {
  const value = "x".repeat(60_000);
  const source = lineSource(`A: ${value}\r\nB: ${value}\r\n\r\nbody`);
  assertEquals((await parse_headers(source)).values(), [value, value]);
  assertEquals(source.rest(), "body");
});

Deno.test("parse_headers() gives no fields when the section is empty", async () => {
  for (const text of ["\r\n", "\n"]) {
    const source = lineSource(`${text}body`);
    assertEquals((await parse_headers(source)).size, 0);
    assertEquals(source.rest(), "body");
  }
});

/** Sections that are refused, by either kind of source. */
const REFUSED: [name: string, text: string, error: ErrorClass][] = [
  ["an end before the blank line", "A: 1\r\n", IncompleteRead],
  ["an end at once", "", IncompleteRead],
  ["101 fields", `${"A: b\r\n".repeat(101)}\r\n`, HTTPException],
  ["a NUL", "A: \0\r\n\r\n", ProtocolError],
  ["a bare CR", "A: b\rc\r\n\r\n", ProtocolError],
  ["a framing field that is spelled so", "Content-Length : 5\r\n\r\n", ProtocolError],
  ["a line of 65537 bytes", `A: ${"x".repeat(65_532)}\r\n\r\n`, LineTooLong],
];

for (const [name, text, error] of REFUSED) {
  Deno.test(`parse_headers() throws ${error.name} when there is ${name}`, async () => {
    const reader = new LineReader(new SegmentTransport([bytes(text)]));
    await assertRejects(() => parse_headers(reader), error);
    await assertRejects(() => parse_headers(lineSource(text)), error);
  });
}

Deno.test("parse_headers() accepts 100 fields and a line of 65536 bytes", async () => {
  const line = `A: ${"x".repeat(65_531)}\r\n`;
  const text = `${line}${"A: b\r\n".repeat(99)}\r\n`;
  assertEquals((await parse_headers(lineSource(text))).size, 100);
});

Deno.test("parse_headers() records what is not a field, and reads on", async () => {
  const message = await parse_headers(lineSource("A: 1\r\nno colon\r\nB: 2\r\n\r\n"));
  assertEquals(message.items(), [["A", "1"], ["B", "2"]]);
  assertEquals(message.defects as unknown[], [{ problem: "no-colon", line: "no colon" }]);
});

Deno.test("parse_headers() throws with what came when a section ends early", async () => {
  const error = await assertRejects(() => parse_headers(lineSource("A: 1\r\nB")), IncompleteRead);
  assertEquals(latin1(error.partial), "A: 1\r\nB");
});

// The calls that change parameters; the vectors of `tests/parity` have CPython's answers to many more.

/** A message with fields around a type. */
function typed(type: string): HTTPMessage {
  return new HTTPMessage([["A", "1"], ["Content-Type", type], ["B", "2"]]);
}

const DISPOSITIONS: [value: string, expected: string][] = [
  ["attachment; filename=x", "attachment"],
  ["  INLINE ;x=1", "inline"],
  ["", ""],
];

for (const [value, expected] of DISPOSITIONS) {
  Deno.test(`get_content_disposition() of "${value}" is "${expected}"`, () => {
    const message = new HTTPMessage([["content-disposition", value]]);
    assertEquals(message.get_content_disposition(), expected);
  });
}

Deno.test("get_content_disposition() is null without the field", () => {
  assertEquals(sample().get_content_disposition(), null);
});

Deno.test("set_param() adds a parameter, and the field goes to the end", () => {
  const message = typed("text/html");
  message.set_param("charset", "utf-8");
  assertEquals(message.items(), [
    ["A", "1"],
    ["B", "2"],
    ["Content-Type", 'text/html; charset="utf-8"'],
  ]);
});

Deno.test("set_param() replaces a parameter, and the field keeps its place with replace", () => {
  const message = typed("text/html; Charset=a; x=1");
  message.set_param("charset", "b", "content-type", true, null, "", true);
  assertEquals(message.items()[1], ["Content-Type", 'text/html; charset="b"; x="1"']);
});

Deno.test("set_param() puts quotes only where they are needed without requote", () => {
  const message = typed("text/html");
  message.set_param("x", "1", "Content-Type", false);
  message.set_param("y", "a/b", "Content-Type", false);
  assertEquals(message.get("content-type"), 'text/html; x=1; y="a/b"');
});

Deno.test("set_param() makes a Content-Type of text/plain, and any other field of the parameter", () => {
  const message = new HTTPMessage();
  message.set_param("charset", "a");
  message.set_param("x", "1", "Other");
  assertEquals(message.items(), [["Content-Type", 'text/plain; charset="a"'], ["Other", 'x="1"']]);
});

Deno.test("set_param() writes the form of RFC 2231 for a charset, and for a triple", () => {
  const message = typed("a/b");
  message.set_param("x", "\xe9", "Content-Type", true, "iso-8859-1", "fr");
  message.set_param("y", ["utf-8", "", "\u20ac"]);
  assertEquals(message.get("content-type"), "a/b; x*=iso-8859-1'fr'%E9; y*=utf-8''%E2%82%AC");
});

for (const wrong of [5, true, {}, undefined]) {
  Deno.test(`set_param() throws a TypeError and changes nothing for a value that is ${wrong}`, () => {
    const message = typed("a/b");
    assertThrows(() => message.set_param("x", wrong as never), TypeError, "Cannot set parameter x");
    assertEquals(message.items(), typed("a/b").items());
  });
}

for (const charset of ["no-such-charset", "koi8-r", "utf-16le"]) {
  Deno.test(`set_param() throws a TypeError for a text that it cannot write in ${charset}`, () => {
    const message = typed("a/b");
    const set = () => message.set_param("x", "\u20ac", "Content-Type", true, charset);
    assertThrows(set, TypeError, `Cannot encode parameter in ${charset}`);
  });
}

Deno.test("set_param() writes US-ASCII in any charset that extends it", () => {
  const message = typed("a/b");
  message.set_param("x", "a b", "Content-Type", true, "koi8-r");
  assertEquals(message.get("content-type"), "a/b; x*=koi8-r''a%20b");
});

Deno.test("del_param() removes a parameter in any case, and nothing without one", () => {
  const message = typed("text/html; Charset=a; x=1");
  message.del_param("charset");
  assertEquals(message.get("content-type"), 'text/html; x="1"');
  const { items } = sample();
  const before = sample();
  before.del_param("charset");
  assertEquals(before.items(), items.call(sample()));
});

Deno.test("set_type() keeps the parameters and sets MIME-Version", () => {
  const message = typed("text/html; charset=a");
  message.set_type("application/json");
  assertEquals(message.items().slice(2), [
    ["MIME-Version", "1.0"],
    ["Content-Type", 'application/json; charset="a"'],
  ]);
});

for (const wrong of ["text", "a/b/c", ""]) {
  Deno.test(`set_type("${wrong}") throws a TypeError and changes nothing`, () => {
    const message = typed("a/b");
    assertThrows(
      () => message.set_type(wrong),
      TypeError,
      "Cannot set type as it must have one slash",
    );
    assertEquals(message.items(), typed("a/b").items());
  });
}

Deno.test("set_boundary() sets it where it is, and the field keeps its place", () => {
  const message = typed("multipart/mixed; Boundary=a; x=1");
  message.set_boundary("b c");
  assertEquals(message.items()[1], ["Content-Type", 'multipart/mixed; boundary="b c"; x="1"']);
});

Deno.test("set_boundary() keeps a parameter in the form of RFC 2231", () => {
  const message = typed("multipart/mixed; x*=utf-8''%e2%82%ac");
  message.set_boundary("b");
  assertEquals(message.get_param("x"), ["utf-8", "", "\xe2\x82\xac"]);
  assertEquals(message.get_boundary(), "b");
});

Deno.test("set_boundary() throws a TypeError without a Content-Type", () => {
  assertThrows(() => sample().set_boundary("b"), TypeError, "there is no Content-Type");
});

Deno.test("as_bytes() is the text in ISO-8859-1, in lines as long as they are", () => {
  const message = new HTTPMessage([["A", "\xe9".repeat(200)], ["B", "x y ".repeat(50)]]);
  assertEquals(latin1(message.as_bytes()), message.as_string());
});

Deno.test("as_bytes() throws a TypeError for what cannot be written", () => {
  const throws = (value: string) =>
    assertThrows(() => new HTTPMessage([["A", value]]).as_bytes(), TypeError);
  throws("\u20ac");
  throws("a\r\nB: c");
});

Deno.test("raw_items() gives the pairs as they were when it was called", () => {
  const message = sample();
  const items = message.raw_items();
  message.delete("a");
  assertEquals([...items], ITEMS);
});

Deno.test("toJSON() gives the pairs, and a copy of them", () => {
  const message = sample();
  message.toJSON().pop();
  assertEquals(message.toJSON(), ITEMS);
});
