import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { apply, findMutants, findStringSets, shuffle } from "./mutants.ts";

/** The mutations of a module of one or more lines, as in their ids. */
function mutations(source: string, sets: string[][] = []): string[] {
  return findMutants("a.ts", source, sets).map(({ mutation }) => mutation);
}

/** The texts that the module may become. */
function variants(source: string): string[] {
  return findMutants("a.ts", source, []).map((mutant) => apply(source, mutant));
}

Deno.test("findMutants() negates a condition, and shifts its comparison", () => {
  assertEquals(mutations("if (a < b) { }"), [
    "comparison: a < b -> a <= b",
    "condition: a < b -> !(a < b)",
  ]);
  assertEquals(mutations("while (open) { }"), ["condition: open -> !(open)"]);
  assertEquals(mutations("const x = !open ? a : b;"), ["condition: !open -> (open)"]);
});

Deno.test("findMutants() negates an equality once", () => {
  assertEquals(mutations("if (a === b) { }"), ["comparison: a === b -> a !== b"]);
});

Deno.test("findMutants() swaps logical operators, and negates their operands", () => {
  assertEquals(mutations("const x = a && b;"), [
    "condition: a -> !(a)",
    "logic: a && b -> ((a) || (b))",
    "condition: b -> !(b)",
  ]);
  assertEquals(mutations("const x = a ?? b;"), ["logic: a ?? b -> (a)", "logic: a ?? b -> (b)"]);
  assert(mutations("a ??= b;").includes("logic: a ??= b -> a = b"));
});

Deno.test("findMutants() turns arithmetic around", () => {
  assertEquals(mutations("const x = a + b;"), ["arithmetic: a + b -> a - b"]);
  assertEquals(mutations("const x = a * (b - c);"), [
    "arithmetic: a * (b - c) -> a / (b - c)",
    "arithmetic: b - c -> (b + c)",
  ]);
  assertEquals(mutations("for (;;) n++;"), [
    "arithmetic: n++ -> n--",
    "statement: n++; -> (nothing)",
  ]);
  assert(mutations("n += a;").includes("arithmetic: n += a -> n -= a"));
});

Deno.test("findMutants() changes constants", () => {
  assertEquals(mutations("const x = true;"), ["boolean: true -> false"]);
  assertEquals(mutations("const x = 0;"), ["number: 0 -> 1"]);
  assertEquals(mutations("const x = 3;"), ["number: 3 -> 0", "number: 3 -> 4"]);
  assertEquals(mutations("const x = 1000;"), ["number: 1000 -> 0", "number: 1000 -> 2000"]);
});

Deno.test("findMutants() takes the next string of a set, and empties one that is compared", () => {
  const sets = findStringSets(
    "a.ts",
    'type S = "idle" | "busy" | null;\nconst k = ["x", "y"] as const;',
  );
  assertEquals(sets, [["idle", "busy"], ["x", "y"]]);
  assertEquals(mutations('state = "busy";', sets)[1], 'string: "busy" -> "idle"');
  assertEquals(mutations('const x = "other";', sets), []);
  assert(mutations('const x = a === "other";').includes('string: "other" -> ""'));
  assertEquals(mutations('const x = { "idle": f };', sets), []);
});

Deno.test("findMutants() removes statements, throws, awaits and returns", () => {
  assertEquals(mutations("f(a);"), ["statement: f(a); -> (nothing)"]);
  assertEquals(mutations("throw reason;"), ["throw: throw reason; -> (nothing)"]);
  assertEquals(mutations("const x = await f();"), ["await: await f() -> f()"]);
  assertEquals(mutations("function f() { return; }"), ["return: return; -> (nothing)"]);
  assertEquals(mutations("function f() { return a; }"), [
    "return: return a; -> return null;",
    "return: return a; -> return undefined;",
  ]);
  assertEquals(mutations("for (;;) break;"), ["statement: break; -> (nothing)"]);
});

Deno.test("findMutants() empties catch and finally, and removes optional calls", () => {
  const kinds = mutations("try { } catch { f(); } finally { g(); }");
  assert(kinds.includes("catch: { f(); } -> (nothing)"));
  assert(kinds.includes("finally: { g(); } -> (nothing)"));
  assertEquals(mutations("try { } catch { } finally { }"), []);
  assertEquals(mutations("const x = a?.b();"), ["call: a?.b() -> undefined"]);
  assertEquals(mutations("const x = () => f();"), ["call: f() -> undefined"]);
});

Deno.test("findMutants() leaves types and imports alone", () => {
  assertEquals(
    mutations('import { a } from "busy";\nexport * from "idle";', [["idle", "busy"]]),
    [],
  );
  assertEquals(mutations('type T = "idle" | 1 | true;\nlet x: -1;', [["idle", "busy"]]), []);
  assertEquals(mutations("interface A { b: 1; }\nlet c = d as 2;"), []);
});

Deno.test("findMutants() leaves messages and the console alone", () => {
  assertEquals(mutations("const x = new Error(`Cannot read ${a ? 1 : 2} of it`);"), []);
  assertEquals(mutations('const x = new Error(a ? "it is closed" : "it is open");'), []);
  assertEquals(mutations("console.log(a < b);"), []);
  assertEquals(mutations("const x = `GET ${a < b} HTTP/1.1\\r\\n`;").length, 2);
});

Deno.test("findMutants() leaves out what is marked as tuning", () => {
  assertEquals(mutations("/** A size. @tuning */\nexport const SIZE = 1;\nconst other = 0;"), [
    "number: 0 -> 1",
  ]);
  const source =
    "class A {\n  /**\n   * So many.\n   *\n   * @tuning\n   */\n  #a = 1;\n  #b = 0;\n}";
  assertEquals(mutations(source), ["number: 0 -> 1"]);
  assertEquals(findMutants("_internal/net/tuning.ts", "export const a = 1;", []), []);
});

Deno.test("findMutants() says where a mutant is, and in which functions", () => {
  const source = "class A {\n  async read() {\n    each(() =>\n      b = 0\n    );\n  }\n}\n";
  const mutant = findMutants("_internal/a.ts", source, []).find(({ kind }) => kind === "number")!;
  assertEquals(mutant.id, "_internal/a.ts:4:11 number: 0 -> 1");
  assertEquals(mutant.text, "b = 0");
  assertEquals(mutant.textBefore, "each(() =>");
  assertEquals(mutant.functions, [3, 2]);
});

Deno.test("findMutants() gives each mutant an id of its own", () => {
  const long = "a".repeat(100);
  const ids = findMutants("a.ts", `const x = ${long}1 ?? ${long}2;`, []).map(({ id }) => id);
  assertEquals(ids.length, 2);
  assertNotEquals(ids[0], ids[1]);
});

Deno.test("apply() changes nothing but the mutant's place", () => {
  assertEquals(variants("const é = a + (1);"), [
    "const é = a - (1);",
    "const é = a + (0);",
    "const é = a + (2);",
  ]);
  assertEquals(variants("if (a) f();"), ["if (!(a)) f();", "if (a) {}"]);
  assert(variants("const x = a && b || c;").includes("const x = ((a) || (b)) || c;"));
  assert(variants("const x = (await (a ?? b)).c;").includes("const x = ((a ?? b)).c;"));
});

Deno.test("shuffle() gives the same order for the same seed", () => {
  const things = Array.from({ length: 50 }, (_, i) => i);
  assertEquals(shuffle(things, 1), shuffle(things, 1));
  assertNotEquals(shuffle(things, 1), shuffle(things, 2));
  assertEquals(shuffle(things, 3).sort((a, b) => a - b), things);
  assertEquals(
    shuffle([1, 2, 3, 4, 5, 6], 1),
    [1, 2, 3, 4, 5, 6].map((_, i) => shuffle([1, 2, 3, 4, 5, 6], 1)[i]),
  );
});
