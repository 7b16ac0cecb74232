/**
 * Every program in `examples/` runs to its end, and so holds what it asserts. Those that need packages of
 * npm run where `CI` is set; this library's column of the comparison is checked everywhere.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { readText } from "../helpers/project.ts";
import { EXAMPLES, needsNpm, runExample } from "./run_example.ts";

/** Those that do not check themselves. */
const UNCHECKED = ["examples/compare.ts", "examples/http.ts"];

for (const path of EXAMPLES) {
  const npm = needsNpm(path);
  const checks = !UNCHECKED.includes(path);
  Deno.test({
    name: `${path} runs${checks ? " and says what it has checked" : ""}${
      npm ? " (with packages of npm)" : ""
    }`,
    ignore: npm && !Deno.env.get("CI"),
    async fn() {
      const lines = (await runExample(path)).trimEnd().split("\n");
      const checked = lines.filter((line) => line.startsWith("checked: "));
      assertEquals(checked, checks ? [lines.at(-1)!] : []);
    },
  });
}

Deno.test("the comparison says of this library what the pages show, and needs no package of npm", async () => {
  await runExample("examples/compare.ts", ["--ours", "--check"], ["--no-npm"]);
});

Deno.test("the lines of a recipe that the index shows stand in its file", () => {
  const recipes = readText("examples/README.md").split(/^(?=\*\*\[)/m).slice(1);
  const shown = recipes.flatMap((text) => {
    const path = `examples/${/^\*\*\[(.+?)\]/.exec(text)![1]}`;
    const block = /^[^`#]*(?:`[^`]+`[^`#]*)*```ts ignore\n([\s\S]*?)```/.exec(text)?.[1] ?? "";
    return block.split("\n").filter((line) => line !== "").map((line) => [path, line]);
  });
  assert(shown.length > 40, `${shown.length} lines`);
  const missing = shown.filter(([path, line]) =>
    !readText(path).split("\n").some((own) => own.trim() === line)
  );
  assert(missing.length === 0, missing.map((one) => one.join(": ")).join("\n"));
});

Deno.test("the index of recipes names every example, and none that is not there", () => {
  const named = [...readText("examples/README.md").matchAll(/^\*\*\[(.+?)\]\((.+?)\)/gm)];
  assert(named.every(([, text, target]) => text === target));
  const listed = new Set(named.map(([, name]) => `examples/${name}`));
  const missing = EXAMPLES.filter((path) => !listed.has(path) && path !== "examples/compare.ts");
  assert(missing.length === 0, `${missing}`);
  assert([...listed].every((path) => EXAMPLES.includes(path)));
});
