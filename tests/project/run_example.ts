/**
 * The programs in `examples/`, and how tests run them.
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

/** Their paths. */
export const EXAMPLES: string[] = projectFiles().filter((path) =>
  /^examples\/[^/]+\.ts$/.test(path) && !PARTS.includes(path)
);

/** Whether a module, or one of the same folder that it imports, comes from npm. */
export function needsNpm(path: string): boolean {
  const text = readText(path);
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const local = [...text.matchAll(/ from "\.\/(.+)"/g)].map(([, name]) => folder + name);
  return /( from |import\()"npm:/.test(text) || local.some(needsNpm);
}

/** Runs a program, and returns what it prints. */
export async function runExample(
  path: string,
  args: string[] = ARGUMENTS[path] ?? [],
  flags: string[] = [],
  env: Record<string, string> = {},
): Promise<string> {
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
    env: { STD_FROM: source, NO_COLOR: "1", ...env },
    stdin: "null",
    signal: end.signal,
  }).output();
  clearTimeout(timer);
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(code === 0, `${path} ended with code ${code}\n${out.slice(-4000)}\n${err.slice(-4000)}`);
  return out;
}
