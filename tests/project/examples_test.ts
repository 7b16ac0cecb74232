/**
 * Every program in `examples/` runs to its end, and so holds what it asserts. Those that need packages of
 * npm run where `CI` is set; this library's column of the comparison is checked everywhere.
 *
 * @module
 */
import { assert } from "@std/assert";
import { projectFiles, readText, ROOT } from "../helpers/project.ts";
import { stdFrom } from "../std_offline/run.ts";

/** How long an example may take, in milliseconds. */
const LIMIT = 120_000;

/** The arguments of those that have some. */
const ARGUMENTS: Record<string, string[]> = {
  "examples/compare.ts": ["--check"],
  "examples/http.ts": ["--help"],
};

/** No programs but parts of them. */
const PARTS = [
  "examples/compare_clients.ts",
  "examples/node_transport.ts",
  "examples/relay.ts",
  "examples/server.ts",
];

const examples = projectFiles().filter((path) =>
  /^examples\/[^/]+\.ts$/.test(path) && !PARTS.includes(path)
);

/** Whether a module, or one of the same folder that it imports, comes from npm. */
function needsNpm(path: string): boolean {
  const text = readText(path);
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const local = [...text.matchAll(/ from "\.\/(.+)"/g)].map(([, name]) => folder + name);
  return /( from |import\()"npm:/.test(text) || local.some(needsNpm);
}

/** Runs a program; its output is told only if it fails. */
async function run(
  path: string,
  args: string[] = ARGUMENTS[path] ?? [],
  flags: string[] = [],
): Promise<void> {
  const source = await stdFrom();
  const map = new URL("tests/std_offline/import_map.json", ROOT);
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), LIMIT);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-all",
      ...(source === "stand_ins" ? [`--import-map=${map}`] : []),
      ...flags,
      new URL(path, ROOT).href,
      ...args,
    ],
    env: { STD_FROM: source, NO_COLOR: "1" },
    stdin: "null",
    signal: end.signal,
  }).output();
  clearTimeout(timer);
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(code === 0, `${path} ended with code ${code}\n${out.slice(-4000)}\n${err.slice(-4000)}`);
}

for (const path of examples) {
  const npm = needsNpm(path);
  Deno.test({
    name: `${path} runs${npm ? " (with packages of npm)" : ""}`,
    ignore: npm && !Deno.env.get("CI"),
    fn: () => run(path),
  });
}

Deno.test("the comparison says of this library what the pages show, and needs no package of npm", () =>
  run("examples/compare.ts", ["--ours", "--check"], ["--no-npm"]));

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
  const missing = examples.filter((path) => !listed.has(path) && path !== "examples/compare.ts");
  assert(missing.length === 0, `${missing}`);
  assert([...listed].every((path) => examples.includes(path)));
});
