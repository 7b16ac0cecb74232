/**
 * Every program in `examples/` runs to its end, and so holds what it asserts, and a copy of each recipe
 * works without the rest of the project. Those that need packages of npm run where `CI` is set; this
 * library's column of the comparison is checked everywhere.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { readText } from "../helpers/project.ts";
import { Copies, entries, EXAMPLES, needsNpm, runExample } from "./run_example.ts";

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

/** The recipes, without those that cannot run here. */
const RECIPES = EXAMPLES.filter((path) =>
  path !== "examples/compare.ts" && (!needsNpm(path) || Deno.env.get("CI") !== undefined)
);

Deno.test("a recipe loads in a folder with only the files that the index names", async () => {
  await using copies = await Copies.make(RECIPES);
  assertEquals(await copies.load(RECIPES), "");
});

/** Those that are loaded, but not run for a URL, and why. */
const NOT_RUN: Record<string, string> = {
  "examples/kubernetes_watch.ts": "it never ends by itself",
  "examples/long_poll.ts": "it never ends by itself",
  "examples/protocol_tests.ts": "it fails where the server has faults",
  "examples/sse.ts": "it fails where no events are served",
};

/** The arguments that a usage asks for; `null` if it asks for anything but files and a URL. */
async function argumentsOf(usage: string, url: string, folder: string): Promise<string[] | null> {
  const words = usage.replace(/ ?\[.*?\]/g, "").replaceAll("...", "").trim().split(" ");
  const values: Record<string, string> = { "URL": url, "FILE": `${folder}/file` };
  for (const name of ["ARCHIVE", "RECORDING"]) values[name] = `${folder}/new`;
  if (!words.every((word) => word in values)) return null;
  await Deno.writeTextFile(values["FILE"], "content");
  return words.map((word) => values[word]);
}

Deno.test("a copied recipe does its job for a URL", async () => {
  const requested = new Set<string>();
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      requested.add(new URL(request.url).pathname);
      await request.body?.cancel();
      return new Response("hello");
    },
  );
  await using copies = await Copies.make(RECIPES);
  const index = entries();
  const ran: string[] = [];
  await Promise.all(RECIPES.map(async (path) => {
    const url = `http://127.0.0.1:${server.addr.port}/${path}`;
    const args = await argumentsOf(index.get(path)!.usage, url, copies.folder(path));
    if (args === null || path in NOT_RUN) return;
    ran.push(path);
    await copies.run(path, args);
  }));
  assert(ran.length > 9, `${ran}`);
  assertEquals(ran.filter((path) => !requested.has(`/${path}`)), []);
});

Deno.test("the index shows the arguments of each recipe that takes some", () => {
  const index = entries();
  for (const [path, { usage }] of index) {
    assertEquals(usage !== "", readText(path).includes("Deno.args"), path);
  }
});

Deno.test("the index names the recipes that take no arguments", () => {
  const [start] = readText("examples/README.md").split("\n## ");
  const list = /These take no arguments([^:]*:[^.]*(?:\.ts`[^.]*)*)\./.exec(start)![1];
  const named = [...list.matchAll(/`(.+?)`/g)].map(([, name]) => `examples/${name}`);
  const without = [...entries()].filter(([, { usage }]) => usage === "").map(([path]) => path);
  assertEquals(named, without.sort());
});
