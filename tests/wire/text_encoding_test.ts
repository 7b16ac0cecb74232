/**
 * How text in a body is encoded, by its `Content-Type`.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import {
  encodeText,
  type TextEncoding,
  textEncodingOf,
} from "../../_internal/wire/text_encoding.ts";

const ENCODINGS: [contentType: string | null, encoding: TextEncoding][] = [
  [null, "iso-8859-1"],
  ["", "iso-8859-1"],
  ["text/plain", "iso-8859-1"],
  ["application/json", "utf-8"],
  ["Application/JSON", "utf-8"],
  [" application/json ; a=b", "utf-8"],
  ["application/problem+json", "utf-8"],
  ["application/vnd.api+JSON; charset=utf-8", "utf-8"],
  ["application/json; charset=iso-8859-1", "utf-8"],
  ["application/json5", "iso-8859-1"],
  ["application/jsonp", "iso-8859-1"],
  ["text/plain; a=application/json", "iso-8859-1"],
  ["text/plain; charset=utf-8", "utf-8"],
  ["text/plain;charset=UTF-8", "utf-8"],
  ['text/plain; Charset="utf-8"; x=y', "utf-8"],
  ["text/plain; charset=utf8", "utf-8"],
  ['text/plain; x="; charset=utf-8"', "iso-8859-1"],
  ["text/plain; charset=ISO-8859-1", "iso-8859-1"],
  ["text/plain; charset=latin1", "iso-8859-1"],
  ["text/plain; charset=US-ASCII", "us-ascii"],
];

for (const [contentType, encoding] of ENCODINGS) {
  Deno.test(`textEncodingOf(${JSON.stringify(contentType)}) is ${encoding}`, () => {
    assertEquals(textEncodingOf(contentType), encoding);
  });
}

for (
  const contentType of [
    "text/plain; charset=utf-16",
    "text/plain; charset=windows-1252",
    "text/plain; charset=",
    "text/plain; charset=constructor",
    "application/json; charset=shift_jis",
  ]
) {
  Deno.test(`textEncodingOf(${JSON.stringify(contentType)}) throws a TypeError`, () => {
    assertThrows(() => textEncodingOf(contentType), TypeError, "charset");
  });
}

const ENCODED: [text: string, encoding: TextEncoding, bytes: number[]][] = [
  ["aé", "iso-8859-1", [0x61, 0xe9]],
  ["aé", "utf-8", [0x61, 0xc3, 0xa9]],
  ["€", "utf-8", [0xe2, 0x82, 0xac]],
  ["😀", "utf-8", [0xf0, 0x9f, 0x98, 0x80]],
  ["az~", "us-ascii", [0x61, 0x7a, 0x7e]],
  ["", "utf-8", []],
];

for (const [text, encoding, bytes] of ENCODED) {
  Deno.test(`encodeText() encodes ${JSON.stringify(text)} as ${encoding}`, () => {
    assertEquals([...encodeText(text, encoding, "it")], bytes);
  });
}

const UNFIT: [text: string, encoding: TextEncoding][] = [
  ["€", "iso-8859-1"],
  ["é", "us-ascii"],
  ["\ud83d", "utf-8"],
  ["a\ude00b", "utf-8"],
];

for (const [text, encoding] of UNFIT) {
  Deno.test(`encodeText() throws a TypeError when ${JSON.stringify(text)} is to be ${encoding}`, () => {
    assertThrows(() => encodeText(text, encoding, "the text"), TypeError, "the text");
  });
}
