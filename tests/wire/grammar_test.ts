import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  checkFieldName,
  checkFieldValue,
  checkHost,
  checkMethod,
  checkTarget,
  isBlank,
  isToken,
  parseContentLength,
  plainView,
  trimOWS,
} from "../../_internal/wire/grammar.ts";
import { InvalidURL } from "../../errors.ts";

const TCHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALL = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code));

/** The characters that a check takes, in the middle of something that it takes. */
function taken(check: (character: string) => unknown): string {
  return ALL.filter((character) => {
    try {
      return check(character) !== false;
    } catch {
      return false;
    }
  }).join("");
}

function characters(from: number, to: number): string {
  return ALL.slice(from, to + 1).join("");
}

const sorted = (text: string) => [...text].sort().join("");

Deno.test("isToken() accepts tchars and nothing else", () => {
  assertEquals(taken((c) => isToken(`a${c}b`)), sorted(TCHARS));
});

Deno.test("isToken() accepts a single character", () => assertEquals(isToken("a"), true));

Deno.test("isToken() refuses the empty string", () => assertEquals(isToken(""), false));

Deno.test("isToken() looks at the given range only", () => {
  assertEquals([isToken(" ab ", 1, 3), isToken(" ab ", 0, 3), isToken(" ab ", 1, 4)], [
    true,
    false,
    false,
  ]);
});

Deno.test("isToken() refuses an empty range", () => assertEquals(isToken("ab", 1, 1), false));

Deno.test("checkMethod() accepts tchars and nothing else", () => {
  assertEquals(taken((c) => checkMethod(`G${c}T`)), sorted(TCHARS));
});

for (const method of ["", " GET", "GET ", "GET /x HTTP/1.1\r\nX: y", 1, null, undefined]) {
  Deno.test(`checkMethod() throws a TypeError when the method is ${JSON.stringify(method)}`, () => {
    assertThrows(() => checkMethod(method as string), TypeError);
  });
}

Deno.test("checkTarget() accepts visible US-ASCII and nothing else", () => {
  assertEquals(taken((c) => checkTarget(`/a${c}b`)), characters(0x21, 0x7e));
});

Deno.test("checkTarget() throws an InvalidURL when there is a control or a space, as CPython does", () => {
  for (const c of characters(0, 0x20) + "\x7f") {
    assertThrows(() => checkTarget(`/a${c}b`), InvalidURL);
  }
});

for (const target of ["/caf\xe9", "/\u20ac", 1, null, undefined]) {
  Deno.test(`checkTarget() throws a TypeError when the target is ${JSON.stringify(target)}`, () => {
    assertThrows(() => checkTarget(target as string), TypeError);
  });
}

Deno.test("checkHost() accepts everything but controls and spaces", () => {
  const all = characters(0, 0x17f);
  const expected = characters(0x21, 0x7e) + all.slice(0x80);
  assertEquals(taken((c) => checkHost(`a${c}b`)), expected);
});

Deno.test("checkHost() throws an InvalidURL when there is a control", () => {
  assertThrows(() => checkHost("a\r\nX: y"), InvalidURL);
});

Deno.test("checkHost() throws a TypeError when the host is not a string", () => {
  assertThrows(() => checkHost(undefined as unknown as string), TypeError);
});

Deno.test("checkFieldName() accepts tchars and nothing else", () => {
  assertEquals(taken((c) => checkFieldName(`X${c}Y`)), sorted(TCHARS));
});

for (const name of ["", " X", "X ", "X:", "X\r\nY", ":path", "caf\xe9", 1, null]) {
  Deno.test(`checkFieldName() throws a TypeError when the name is ${JSON.stringify(name)}`, () => {
    assertThrows(() => checkFieldName(name as string), TypeError);
  });
}

Deno.test("checkFieldValue() accepts everything but controls, and the tab", () => {
  const all = characters(0, 0x17f);
  const expected = "\t" + characters(0x20, 0x7e) + all.slice(0x80);
  assertEquals(taken((c) => checkFieldValue("X", `a${c}b`)), expected);
});

Deno.test("checkFieldValue() accepts the empty string", () => checkFieldValue("X", ""));

for (const value of ["a\r\nY: b", "a\r\n b", "a\n\tb", "a\rb", "\0", "a\r\n", "\n"]) {
  Deno.test(`checkFieldValue() throws a TypeError with the field's name when the value is ${JSON.stringify(value)}`, () => {
    assertThrows(() => checkFieldValue("X-Name", value), TypeError, "X-Name");
  });
}

Deno.test("check*() escape line breaks in their messages", () => {
  const checks = [
    () => checkMethod("a\r\nb"),
    () => checkTarget("a\r\nb"),
    () => checkHost("a\r\nb"),
    () => checkFieldName("a\r\nb"),
    () => checkFieldValue("X", "a\r\nb"),
  ];
  for (const check of checks) {
    assertEquals(/[\r\n]/.test(assertThrows(check, Error).message), false);
  }
});

Deno.test("checkTarget() shortens a long value in its message", () => {
  const error = assertThrows(() => checkTarget("/" + "a".repeat(10000) + " "), InvalidURL);
  assertEquals(error.message.length < 300, true);
});

const LENGTHS: [value: string, length: number][] = [
  ["0", 0],
  ["5", 5],
  ["007", 7],
  ["9007199254740991", Number.MAX_SAFE_INTEGER],
  ["9007199254740992", -1],
  ["99999999999999999999", -1],
  ["", -1],
  ["+5", -1],
  ["-5", -1],
  ["5_0", -1],
  ["0x5", -1],
  ["5.0", -1],
  ["5e1", -1],
  [" 5", -1],
  ["5 ", -1],
  ["5, 5", -1],
  ["5\n", -1],
  ["\u0665", -1],
];

for (const [value, length] of LENGTHS) {
  Deno.test(`parseContentLength(${JSON.stringify(value)}) gives ${length}`, () => {
    assertEquals(parseContentLength(value), length);
  });
}

const TRIMMED: [text: string, trimmed: string][] = [
  ["", ""],
  ["a", "a"],
  [" a ", "a"],
  ["\t a b\t ", "a b"],
  [" \t ", ""],
  ["\xa0a\xa0", "\xa0a\xa0"],
  ["\ra\n", "\ra\n"],
  ["\x0ba\x0c", "\x0ba\x0c"],
];

for (const [text, trimmed] of TRIMMED) {
  Deno.test(`trimOWS(${JSON.stringify(text)}) gives ${JSON.stringify(trimmed)}`, () => {
    assertEquals(trimOWS(text), trimmed);
  });
}

Deno.test("isBlank() accepts the space and the tab, and nothing else", () => {
  assertEquals(taken((c) => isBlank(c.charCodeAt(0))), "\t ");
});

Deno.test("plainView() gives the same memory without the methods of the user's class", () => {
  class Own extends Uint8Array {
    override set(): void {
      throw new Error("called");
    }
  }
  const own = new Own(new ArrayBuffer(10), 2, 5);
  const target = plainView(own);
  target.set([7], 1);
  assertEquals([...own], [0, 7, 0, 0, 0]);
  const plain = new Uint8Array(3);
  assertStrictEquals(plainView(plain), plain);
});
