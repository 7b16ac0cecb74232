/**
 * What of values is shown, and what is hidden.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  inspectable,
  isSecretField,
  showFields,
  showWithoutUserInfo,
  withoutUserInfo,
} from "../../_internal/wire/inspect.ts";

const TEXTS: [text: string, shown: string][] = [
  ["http://user:password@host/path", "http://<hidden>@host/path"],
  ["https://token@host", "https://<hidden>@host"],
  ["http://a:b@c@host/", "http://<hidden>@host/"],
  ["see <http://a:b@host/>; http://c@other", "see <http://<hidden>@host/>; http://<hidden>@other"],
  ["/path/@scope", "/path/@scope"],
  ["http://host/@scope/name", "http://host/@scope/name"],
  ["http://host/?mail=a@b", "http://host/?mail=a@b"],
  ["mailto:a@b", "mailto:a@b"],
  ["", ""],
];

for (const [text, shown] of TEXTS) {
  Deno.test(`withoutUserInfo() of "${text}"`, () => assertEquals(withoutUserInfo(text), shown));
}

Deno.test("isSecretField() holds for what lets others act for the user, in any case", () => {
  for (const name of ["Authorization", "PROXY-AUTHORIZATION", "cookie", "Set-Cookie"]) {
    assertEquals(isSecretField(name), true);
  }
  for (const name of ["WWW-Authenticate", "Cookies", "X-Authorization", "", "__proto__"]) {
    assertEquals(isSecretField(name), false);
  }
});

/** An object of which `shown` is shown. */
class Box {
  readonly fields: string[];
  constructor(...fields: string[]) {
    this.fields = fields;
  }
  static {
    inspectable(this.prototype, "Box", (box, view) => showFields(box, box.fields, view));
  }
}

Deno.test("showFields() is one line where there is room, and many where there is none", () => {
  assertEquals(Deno.inspect(new Box()), "Box {}");
  assertEquals(Deno.inspect(new Box("a", "b", "A", "c")), 'Box { "a": "b", "A": "c" }');
  const long = "x".repeat(60);
  assertEquals(
    Deno.inspect(new Box("a", long, "b", "c")),
    `Box {\n  "a": "${long}",\n  "b": "c"\n}`,
  );
});

Deno.test("showFields() is indented where it is nested", () => {
  const long = "x".repeat(60);
  assertEquals(
    Deno.inspect({ one: { two: new Box("a", long, "b", "c") } }),
    `{\n  one: {\n    two: Box {\n      "a": "${long}",\n      "b": "c"\n    }\n  }\n}`,
  );
});

Deno.test("showFields() counts the fields beyond 100", () => {
  const fields = Array.from({ length: 250 }, () => "n");
  const shown = Deno.inspect(new Box(...fields));
  assertEquals(shown.split("\n").length, 103);
  assertEquals(shown.split("\n").at(-2), "  ... 25 more fields");
});

Deno.test("inspectable() shows a name where the object is too deep", () => {
  const deep = { a: { b: new Box("a", "b") } };
  assertEquals(Deno.inspect(deep, { depth: 1 }).includes("[Box]"), true);
  assertEquals(Deno.inspect(deep, { depth: 2 }).includes('Box { "a": "b" }'), true);
  assertEquals(
    Deno.inspect(deep, { depth: 1, colors: true }).includes("\x1b[36m[Box]\x1b[39m"),
    true,
  );
});

Deno.test("inspectable() shows colours where they are wanted", () => {
  const plain = Deno.inspect(new Box("a", "b", "Cookie", "c"));
  const coloured = Deno.inspect(new Box("a", "b", "Cookie", "c"), { colors: true });
  assertEquals(plain, 'Box { "a": "b", "Cookie": <hidden> }');
  // deno-lint-ignore no-control-regex
  assertEquals([coloured === plain, coloured.replace(/\x1b\[\d+m/g, "")], [false, plain]);
});

Deno.test("inspectable() gives Node the depth that is left, and its own inspect", () => {
  const show = Symbol.for("nodejs.util.inspect.custom");
  const box = new Box("a", "b") as unknown as Record<symbol, (...args: unknown[]) => string>;
  const inspect = (value: unknown) => `'${value}'`;
  assertEquals(box[show](2, {}, inspect), "Box { 'a': 'b' }");
  assertEquals(box[show](0, {}, inspect), "Box { 'a': 'b' }");
  assertEquals(box[show](null, {}, inspect), "Box { 'a': 'b' }");
  assertEquals(box[show](-1, {}, inspect), "[Box]");
});

Deno.test("inspectable() gives the class a name as a tag, and a subclass its own", () => {
  class Own extends Box {}
  assertEquals([String(new Box()), Deno.inspect(new Own("a", "b"))], [
    "[object Box]",
    'Own { "a": "b" }',
  ]);
});

Deno.test("showWithoutUserInfo() changes what is shown, and nothing else", () => {
  const event = { type: "requestStart", target: "http://a:b@host/", reused: false };
  const same = { ...event };
  showWithoutUserInfo(event);
  assertEquals(event, same);
  assertEquals(Deno.inspect(event).includes("a:b"), false);
  assertEquals(Deno.inspect(event).includes("http://<hidden>@host/"), true);
});
