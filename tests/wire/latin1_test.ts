/**
 * ISO-8859-1: each byte is the character of the same code. `TextDecoder("iso-8859-1")` is not that.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { decodeLatin1, encodeLatin1 } from "../../_internal/wire/latin1.ts";

const ALL = Uint8Array.from({ length: 256 }, (_, i) => i);
const CHARACTERS = Array.from(ALL, (byte) => String.fromCharCode(byte)).join("");

Deno.test("decodeLatin1() decodes every byte to the character of its code", () => {
  assertEquals(decodeLatin1(ALL), CHARACTERS);
});

Deno.test("encodeLatin1() encodes every character up to 255 to the byte of its code", () => {
  assertEquals(encodeLatin1(CHARACTERS, "it"), ALL);
});

Deno.test("decodeLatin1() decodes 0x80 to 0x9f differently from windows-1252", () => {
  assertEquals(decodeLatin1(Uint8Array.of(0x80, 0x9f)), "\x80\x9f");
  assertThrows(() => encodeLatin1("\u20ac", "it"), TypeError);
});

Deno.test("decodeLatin1() decodes part of an array when it is given bounds", () => {
  assertEquals(decodeLatin1(ALL, 65, 68), "ABC");
  assertEquals(decodeLatin1(ALL, 254), "\xfe\xff");
  assertEquals(decodeLatin1(ALL, 65, 65), "");
});

Deno.test("decodeLatin1() keeps to the bounds of a view into a larger buffer", () => {
  assertEquals(decodeLatin1(ALL.subarray(65, 68)), "ABC");
  assertEquals(decodeLatin1(ALL.subarray(65, 68), 1, 3), "BC");
});

Deno.test("decodeLatin1() and encodeLatin1() give nothing when given nothing", () => {
  assertEquals(encodeLatin1("", "it").length, 0);
  assertEquals(decodeLatin1(new Uint8Array(0)), "");
});

Deno.test("decodeLatin1() undoes encodeLatin1() when the text is long", () => {
  const text = CHARACTERS.repeat(1000);
  assertEquals(decodeLatin1(encodeLatin1(text, "it")), text);
});

Deno.test("encodeLatin1() encodes into memory of its own", () => {
  const encoded = encodeLatin1("abc", "it");
  assertEquals([encoded.byteOffset, encoded.buffer.byteLength], [0, 3]);
});

/** A row: text that has no place in ISO-8859-1, the character, and where it is. */
const OUTSIDE: [text: string, character: string, index: number][] = [
  ["\u0100", "\u0100", 0],
  ["ab\u20accd\u20ac", "\u20ac", 2],
  ["a\u{1f600}", "\u{1f600}", 1],
  ["\ud800", "\ud800", 0],
  ["\uffff", "\uffff", 0],
];

for (const [text, character, index] of OUTSIDE) {
  Deno.test(`encodeLatin1() throws a TypeError with the character and its place when given ${JSON.stringify(text)}`, () => {
    const error = assertThrows(() => encodeLatin1(text, "the body"), TypeError, "the body");
    assertEquals(error.message.includes(`${JSON.stringify(character)} at ${index}`), true);
  });
}
