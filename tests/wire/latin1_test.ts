/**
 * ISO-8859-1: each byte is the character of the same code. `TextDecoder("iso-8859-1")` is not that.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { decodeLatin1, encodeLatin1 } from "../../_internal/wire/latin1.ts";

const ALL = Uint8Array.from({ length: 256 }, (_, i) => i);
const CHARACTERS = Array.from(ALL, (byte) => String.fromCharCode(byte)).join("");

Deno.test("every byte decodes to the character of its code", () => {
  assertEquals(decodeLatin1(ALL), CHARACTERS);
});

Deno.test("every character up to 255 encodes to the byte of its code", () => {
  assertEquals(encodeLatin1(CHARACTERS, "it"), ALL);
});

Deno.test("0x80 to 0x9f are not those of windows-1252", () => {
  assertEquals(decodeLatin1(Uint8Array.of(0x80, 0x9f)), "\x80\x9f");
  assertThrows(() => encodeLatin1("\u20ac", "it"), TypeError);
});

Deno.test("a part of an array is decoded", () => {
  assertEquals(decodeLatin1(ALL, 65, 68), "ABC");
  assertEquals(decodeLatin1(ALL, 254), "\xfe\xff");
  assertEquals(decodeLatin1(ALL, 65, 65), "");
});

Deno.test("a view into a larger buffer is decoded by its own bounds", () => {
  assertEquals(decodeLatin1(ALL.subarray(65, 68)), "ABC");
  assertEquals(decodeLatin1(ALL.subarray(65, 68), 1, 3), "BC");
});

Deno.test("nothing encodes to nothing, and back", () => {
  assertEquals(encodeLatin1("", "it").length, 0);
  assertEquals(decodeLatin1(new Uint8Array(0)), "");
});

Deno.test("a long text comes back as it went", () => {
  const text = CHARACTERS.repeat(1000);
  assertEquals(decodeLatin1(encodeLatin1(text, "it")), text);
});

Deno.test("what is encoded is in memory of its own", () => {
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
  Deno.test(`${JSON.stringify(text)} is a TypeError that names the character and its place`, () => {
    const error = assertThrows(() => encodeLatin1(text, "the body"), TypeError, "the body");
    assertEquals(error.message.includes(`${JSON.stringify(character)} at ${index}`), true);
  });
}
