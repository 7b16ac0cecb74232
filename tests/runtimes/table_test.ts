/**
 * The README's table of runtimes.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { readText } from "../helpers/project.ts";
import { type Seen, seen, table, withTable } from "./table.ts";

const ONE: Seen = {
  title: "Deno 2.5.0",
  passed: 1234,
  failed: 0,
  ignored: 5,
  features: { one: "yes", two: "refused", three: "no: it cannot" },
};

Deno.test("table() has a row for each runtime, and says how far each feature goes", () => {
  assertEquals(table([ONE]).split("\n").map((line) => line.split("|").map((cell) => cell.trim())), [
    ["", "", "tests passed", "left out", "one", "two", "three", ""],
    ["", "----------", "------------", "--------", "---", "-------", "-----", ""],
    ["", "Deno 2.5.0", "1,234", "5", "yes", "refused", "no", ""],
  ]);
});

Deno.test("the README shows what was seen on other runtimes, where all tests passed", () => {
  const readme = readText("README.md");
  assert(seen().length > 0);
  assertEquals(withTable(readme, seen()), readme);
  assertEquals(seen().filter(({ failed }) => failed > 0), []);
});
