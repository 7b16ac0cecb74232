/**
 * `frame()`: where a body ends and whether the connection ends with it, step by step as in RFC 9112,
 * Section 6.3.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { frame, type Framing } from "../../_internal/wire/framing.ts";
import { ProtocolError, UnknownTransferEncoding } from "../../mod.ts";
import { begun } from "../helpers/split.ts";

/** The framing of a response to GET; fields as text, a line each. */
function framing(lines: string, version = 11, status = 200, method = "GET"): Framing {
  const fields = lines.split("\n").filter((line) => line !== "").flatMap((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+/, "")];
  });
  return frame(method, status, version, fields);
}

const NONE = { delimiter: "none", length: 0, chunked: false, willClose: false };
const CHUNKED = { delimiter: "chunked", length: null, chunked: true, willClose: false };
const CLOSE = { delimiter: "close", length: null, chunked: false, willClose: true };

function length(count: number): Framing {
  return { delimiter: "length", length: count, chunked: false, willClose: false };
}

/** A row: method, status, fields, and the framing. */
const BODILESS: [method: string, status: number, lines: string, framing: unknown][] = [
  ["HEAD", 200, "", NONE],
  ["HEAD", 200, "Content-Length: 5", NONE],
  ["HEAD", 200, "Transfer-Encoding: chunked", { ...NONE, chunked: true }],
  ["HEAD", 200, "Connection: close", { ...NONE, willClose: true }],
  ["GET", 204, "", NONE],
  ["GET", 204, "Content-Length: 5", NONE],
  ["GET", 204, "Transfer-Encoding: chunked", { ...NONE, chunked: true }],
  ["GET", 304, "Content-Length: 5", NONE],
  ["GET", 101, "Content-Length: 5", { ...NONE, delimiter: "tunnel" }],
  ["CONNECT", 200, "", { ...NONE, delimiter: "tunnel" }],
  ["CONNECT", 200, "Content-Length: 5", { ...NONE, delimiter: "tunnel" }],
  ["CONNECT", 299, "Transfer-Encoding: chunked", { ...NONE, delimiter: "tunnel" }],
  // What stands right next to them has a body.
  ["head", 200, "Content-Length: 5", length(5)],
  ["GET", 203, "Content-Length: 5", length(5)],
  ["GET", 205, "Content-Length: 5", length(5)],
  ["GET", 303, "Content-Length: 5", length(5)],
  ["GET", 305, "Content-Length: 5", length(5)],
  ["CONNECT", 300, "Content-Length: 5", length(5)],
  ["CONNECT", 407, "Content-Length: 5", length(5)],
];

for (const [method, status, lines, expected] of BODILESS) {
  const { delimiter } = expected as Framing;
  Deno.test(`frame() gives "${delimiter}" for ${status} to ${method} with ${JSON.stringify(lines)}`, () => {
    assertEquals(framing(lines, 11, status, method) as unknown, expected);
  });
}

Deno.test('frame() gives "close" when there are no framing fields', () => {
  assertEquals(framing("") as unknown, CLOSE);
});

/** Values of Content-Length that are taken. */
const LENGTHS: [lines: string, length: number][] = [
  ["Content-Length: 0", 0],
  ["Content-Length: 5", 5],
  ["Content-Length: 005", 5],
  [`Content-Length: ${"0".repeat(5000)}5`, 5],
  ["Content-Length: 5 ", 5],
  ["Content-Length: 5\t", 5],
  ["CONTENT-LENGTH: 5", 5],
  ["content-length: 5", 5],
  ["Content-Length: 9007199254740991", 9007199254740991],
  // Equal ones are one.
  ["Content-Length: 5\nContent-Length: 5", 5],
  ["Content-Length: 5\nA: b\ncontent-length: 5\nContent-Length: 5", 5],
  ["Content-Length: 5, 5", 5],
  ["Content-Length: 5 ,\t5", 5],
  ["Content-Length: 5,5\nContent-Length: 5", 5],
  ["Content-Length: 5\nContent-Length: 05", 5],
];

for (const [lines, count] of LENGTHS) {
  Deno.test(`frame() gives a length of ${count} for ${JSON.stringify(lines.slice(0, 60))}`, () => {
    assertEquals(framing(lines), length(count));
  });
}

/** Values of Content-Length that are refused. CPython takes most of them, or reads until close. */
const NO_LENGTHS = [
  "Content-Length:",
  "Content-Length: +5",
  "Content-Length: -5",
  "Content-Length: -0",
  "Content-Length: 5_0",
  "Content-Length: 0x5",
  "Content-Length: 5.0",
  "Content-Length: 5e0",
  "Content-Length: 5 5",
  "Content-Length: 5;",
  "Content-Length: five",
  "Content-Length: \xb2",
  "Content-Length: \xa05",
  "Content-Length: 5\x0b",
  "Content-Length: 5\x85",
  "Content-Length: NaN",
  "Content-Length: Infinity",
  "Content-Length: 9007199254740992",
  "Content-Length: 99999999999999999999999999",
  "Content-Length: 5\nContent-Length: 6",
  "Content-Length: 5\nContent-Length: 5\nContent-Length: 6",
  "Content-Length: 5, 6",
  "Content-Length: 5,",
  "Content-Length: ,5",
  "Content-Length: 5,,5",
  "Content-Length: 5\nContent-Length:",
  "Content-Length: 5\nContent-Length: +5",
];

for (const lines of NO_LENGTHS) {
  Deno.test(`frame() throws a ProtocolError when the fields are ${JSON.stringify(lines)}`, () => {
    assertThrows(() => framing(lines), ProtocolError);
  });
}

/** Spellings of Transfer-Encoding that are exactly `chunked`. */
for (const value of ["chunked", "Chunked", "CHUNKED", "chunked ", "chunked\t"]) {
  Deno.test(`frame() gives "chunked" for Transfer-Encoding: ${JSON.stringify(value)}`, () => {
    assertEquals(framing(`Transfer-Encoding: ${value}`) as unknown, CHUNKED);
  });
}

/** Transfer codings that are not exactly that. CPython gives the framing's bytes as the body. */
const CODINGS = [
  "Transfer-Encoding: gzip",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: chunked, gzip",
  "Transfer-Encoding: chunked, chunked",
  "Transfer-Encoding: chunked,",
  "Transfer-Encoding: ,chunked",
  "Transfer-Encoding: chunked;a=b",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: chunkedx",
  "Transfer-Encoding: chun ked",
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: \x0bchunked",
  "Transfer-Encoding: chunked\x0b",
  "Transfer-Encoding: \xa0chunked",
  "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\nTransfer-Encoding: identity",
  "Transfer-Encoding: gzip\nTransfer-Encoding: chunked",
];

for (const lines of CODINGS) {
  Deno.test(`frame() throws an UnknownTransferEncoding when the fields are ${JSON.stringify(lines)}`, () => {
    assertThrows(() => framing(lines), UnknownTransferEncoding);
  });
}

/** Transfer-Encoding and Content-Length together: chunked wins, and the connection is over. */
const BOTH = [
  "Content-Length: 5\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\nContent-Length: 5",
  "Transfer-Encoding: chunked\nContent-Length: nonsense",
  "Transfer-Encoding: chunked\nContent-Length: 0\nConnection: keep-alive",
];

for (const lines of BOTH) {
  Deno.test(`frame() gives "chunked" and closes for ${JSON.stringify(lines)}`, () => {
    assertEquals(framing(lines) as unknown, { ...CHUNKED, willClose: true });
  });
}

/** No coding is applied: until close, as RFC 9112, Section 6.3, item 4 has it, and never reused. */
const IDENTITIES = [
  "Transfer-Encoding:",
  "Transfer-Encoding: \t",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: Identity ",
  "Content-Length: 5\nTransfer-Encoding: identity",
  "Content-Length: 5\nTransfer-Encoding:",
  "Connection: keep-alive\nTransfer-Encoding: identity",
];

for (const lines of IDENTITIES) {
  for (const version of [10, 11]) {
    Deno.test(`frame() gives "close" for ${JSON.stringify(lines)} of HTTP/1.${version - 10}`, () => {
      assertEquals(
        framing(lines, version) as unknown,
        { delimiter: "close", length: null, chunked: false, willClose: true },
      );
    });
  }
}

for (const [method, status] of [["HEAD", 200], ["GET", 204], ["GET", 304]] as const) {
  Deno.test(`frame() closes when a response to ${method} with ${status} says identity`, () => {
    const { delimiter, willClose } = frame(method, status, 11, ["Transfer-Encoding", "identity"]);
    assertEquals([delimiter, willClose], ["none", true]);
  });
}

Deno.test('frame() gives "chunked" and closes when HTTP/1.0 has Transfer-Encoding', () => {
  const lines = "Transfer-Encoding: chunked\nConnection: keep-alive";
  assertEquals(framing(lines, 10) as unknown, { ...CHUNKED, willClose: true });
});

/** A row: fields, whether HTTP/1.1 closes, whether HTTP/1.0 does. As CPython, but where it says so. */
const CLOSING: [lines: string, closes11: boolean, closes10: boolean][] = [
  ["", false, true],
  ["Connection: close", true, true],
  ["Connection: Close", true, true],
  ["Connection: closed", true, true],
  ["Connection: upgrade, close", true, true],
  ["Connection: keep-alive", false, false],
  ["Connection: Keep-Alive", false, false],
  ["Connection: upgrade", false, true],
  ["Connection:", false, true],
  ["Keep-Alive: timeout=5", false, false],
  ["Keep-Alive:", false, true],
  ["Proxy-Connection: keep-alive", false, false],
  ["Proxy-Connection: close", false, true],
  // CPython: the first line of several counts, and in HTTP/1.0 keep-alive beats close.
  ["Connection: upgrade\nConnection: close", true, true],
  ["Connection: x\nConnection: keep-alive", false, false],
  ["Connection: keep-alive, close", true, true],
  ["Connection: close\nKeep-Alive: 5", true, true],
];

for (const [lines, closes11, closes10] of CLOSING) {
  const kept = [closes11, closes10].map((closes) => closes ? "closes" : "keeps");
  Deno.test(`frame() ${kept[0]} HTTP/1.1 and ${kept[1]} HTTP/1.0 when the fields are ${JSON.stringify(lines)}`, () => {
    const all = `Content-Length: 0\n${lines}`;
    assertEquals([framing(all, 11).willClose, framing(all, 10).willClose], [closes11, closes10]);
  });
}

Deno.test("frame() ignores fields whose names have the length of a framing field's", () => {
  const lines = "Content-Lengtx: 5\nTransfer-Encodinx: gzip\nConnectiox: close\nContent-Length: 3";
  assertEquals(framing(lines), length(3));
});

/** What a response shows of it. */
const SHOWN: [name: string, head: string, body: string, shown: unknown[]][] = [
  [
    "equal lengths",
    "Content-Length: 2\r\nContent-Length: 2",
    "okBEHIND",
    [false, false, 2, "ok"],
  ],
  [
    "both framings",
    "Content-Length: 9\r\nTransfer-Encoding: chunked",
    "2\r\nok\r\n0\r\n\r\nBEHIND",
    [true, true, null, "ok"],
  ],
  ["no framing", "A: b", "ok", [false, true, null, "ok"]],
];

for (const [name, head, body, shown] of SHOWN) {
  Deno.test(`HTTPResponse shows the framing of a response with ${name}`, async () => {
    const response = await begun(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${body}`);
    const { chunked, will_close, length } = response;
    assertEquals([chunked, will_close, length, await response.text()], shown);
  });
}
