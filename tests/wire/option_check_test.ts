/**
 * Checks of options objects: what is refused, and what the error says was meant.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import * as checks from "../../_internal/wire/option_check.ts";

const { checkedCopy, checkOptionsOf } = checks;

const SCHEMA: checks.OptionsOf = {
  of: "thing()",
  known: { timeout: checks.seconds, maxHeaderBytes: checks.limit, skip_host: checks.flag },
  meanings: { headers: "the second argument" },
};

/** Keys that are unknown, and what is said of them. */
const UNKNOWN: [key: string, hint: string][] = [
  ["timout", "did you mean timeout"],
  ["Timeout", "did you mean timeout"],
  ["time_out", "did you mean timeout"],
  ["TIMEOUT", "did you mean timeout"],
  ["timeouts", "did you mean timeout"],
  ["max_header_bytes", "did you mean maxHeaderBytes"],
  ["maxHeadersBytes", "did you mean maxHeaderBytes"],
  ["skipHost", "did you mean skip_host"],
  ["skip-host", "did you mean skip_host"],
  ["headers", "did you mean the second argument"],
  ["Headers", "did you mean the second argument"],
  ["colour", "those are timeout, maxHeaderBytes, skip_host"],
  ["x", "those are timeout, maxHeaderBytes, skip_host"],
  ["", "those are timeout, maxHeaderBytes, skip_host"],
  ["constructor_", "those are timeout, maxHeaderBytes, skip_host"],
];

for (const [key, hint] of UNKNOWN) {
  for (const value of [1, undefined, null]) {
    Deno.test(`checkOptionsOf() throws a TypeError for the key "${key}" with the value ${value}`, () => {
      assertThrows(
        () => checkOptionsOf({ [key]: value }, SCHEMA),
        TypeError,
        `Cannot use ${key} as it is no option of thing(): ${hint}`,
      );
    });
  }
}

Deno.test("checkOptionsOf() takes what is known, and undefined for it", () => {
  checkOptionsOf({}, SCHEMA);
  checkOptionsOf({ timeout: 1, maxHeaderBytes: undefined, skip_host: false }, SCHEMA);
  checkOptionsOf(Object.create(null), SCHEMA);
});

Deno.test("checkOptionsOf() checks what an object has from its prototype", () => {
  assertThrows(() => checkOptionsOf(Object.create({ timout: 1 }), SCHEMA), TypeError, "timout");
  assertThrows(() => checkOptionsOf(Object.create({ timeout: -1 }), SCHEMA), TypeError, "got -1");
});

Deno.test("checkOptionsOf() does not mind what is on every object", () => {
  const all = Object.prototype as Record<string, unknown>;
  all.everywhere = 1;
  try {
    checkOptionsOf({ timeout: 1 }, SCHEMA);
  } finally {
    delete all.everywhere;
  }
});

for (
  const [wrong, shown] of [
    [null, "null"],
    [5, "5"],
    ["text", '"text"'],
    [[1], "an array"],
    [true, "true"],
    [() => {}, "a function"],
  ] as const
) {
  Deno.test(`checkOptionsOf() throws a TypeError when the options are ${shown}`, () => {
    assertThrows(
      () => checkOptionsOf(wrong, SCHEMA),
      TypeError,
      `Cannot use the options of thing() as they must be an object: got ${shown}`,
    );
    assertThrows(
      () => checkOptionsOf(wrong, { ...SCHEMA, prefix: "inner." }),
      TypeError,
      `Cannot use inner as it must be an object: got ${shown}`,
    );
  });
}

Deno.test("checkOptionsOf() names an option of an inner object with what it stands in", () => {
  const schema = { ...SCHEMA, prefix: "inner." };
  assertThrows(
    () => checkOptionsOf({ timout: 1 }, schema),
    TypeError,
    "Cannot use inner.timout as it is no option of thing(): did you mean inner.timeout",
  );
  assertThrows(
    () => checkOptionsOf({ timeout: NaN }, schema),
    TypeError,
    "Cannot use inner.timeout",
  );
});

Deno.test("checkedCopy() is a copy of what is known", () => {
  const options = { timeout: 1, skip_host: undefined };
  const copy = checkedCopy<Record<string, unknown>>(options, SCHEMA);
  assertEquals([copy, copy === options], [{ timeout: 1 }, false]);
  const inherited = Object.create({ timeout: 2 });
  assertEquals(checkedCopy(inherited, SCHEMA), { timeout: 2 });
});

const signal = new AbortController().signal;
/** Each check, what it takes, and what it refuses. */
const CHECKS: [name: string, check: checks.Check, taken: unknown[], refused: unknown[]][] = [
  ["seconds", checks.seconds, [0.05, 1, Infinity], [0, -1, NaN, "1", null, true, 1n, {}]],
  ["secondsOrNull", checks.secondsOrNull, [0.05, null], [0, -1, NaN, "1", true]],
  ["waitOrSeconds", checks.waitOrSeconds, [true, false, 1], [0, -1, NaN, "1", null]],
  ["limit", checks.limit, [1, 65536, Infinity], [0, 0.5, 1.5, -1, NaN, "5", null, -Infinity]],
  ["size", checks.size, [1, 8192], [0, 0.5, 1.5, -1, NaN, "5", null, Infinity]],
  ["level", checks.level, [0, 1, -1, 2, true, false], [NaN, "1", null, {}]],
  ["flag", checks.flag, [true, false], [0, 1, "false", null]],
  ["callback", checks.callback, [() => {}], [null, {}, "f", 1]],
  ["text", checks.text, ["", "a"], [null, 1, {}, ["a"]]],
  ["textOrNull", checks.textOrNull, ["", "a", null], [1, {}, ["a"]]],
  ["name", checks.name, ["a"], ["", null, 1]],
  ["secret", checks.secret, ["a"], [null, 1, {}]],
  ["texts", checks.texts, [[], ["a"]], ["a", null, [1], [null], new Set(["a"])]],
  ["port", checks.port, [0, 80, 65535], [-1, 65536, 1.5, NaN, "80", null]],
  ["sourceAddress", checks.sourceAddress, [null, ["", 0], ["::1", 80]], [
    [],
    ["a"],
    ["a", "80"],
    ["a", 65536],
    [1, 1],
    ["a", 1, 2],
    "a:1",
    { host: "a", port: 1 },
  ]],
  ["signal", checks.signal, [null, signal], [{}, "abort", new AbortController(), true]],
  ["oneOf", checks.oneOf(10, 11), [10, 11], [12, "10", null, NaN]],
];

for (const [name, check, taken, refused] of CHECKS) {
  Deno.test(`${name}() takes what makes sense`, () => {
    for (const value of taken) check("option", value);
  });

  Deno.test(`${name}() throws a TypeError that names the option for what makes none`, () => {
    for (const value of refused) {
      assertThrows(() => check("option", value), TypeError, "Cannot use option as it must be ");
    }
  });
}

Deno.test("seconds() says what is wanted and what it got", () => {
  const message = "Cannot use timeout as it must be a positive number of seconds: got -1";
  assertThrows(() => checks.seconds("timeout", -1), TypeError, message);
});

Deno.test("secret() and texts() do not show what they got", () => {
  for (const check of [checks.secret, checks.texts]) {
    const error = assertThrows(() => check("key", ["PRIVATE", 1]), TypeError);
    assertEquals(error.message.includes("PRIVATE"), false);
  }
});

Deno.test("show() keeps a long value short", () => {
  assertEquals(checks.show("x".repeat(1000)).length, 83);
});
