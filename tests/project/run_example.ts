/**
 * The programs in `examples/`, and how tests run them.
 *
 * @module
 */
import { cpSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { assert } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { projectFiles, readText, ROOT } from "../helpers/project.ts";
import { TempDir } from "../servers/child.ts";
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
  return await run([...flags, new URL(path, ROOT).href, ...args], { env });
}

/** Runs `deno run` with these arguments, and returns what it prints. */
async function run(args: string[], options: Deno.CommandOptions): Promise<string> {
  const source = await stdFrom();
  const map = new URL("tests/std_offline/import_map.json", ROOT);
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), LIMIT);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    ...options,
    args: [
      "run",
      "--quiet",
      "--allow-all",
      ...(source === "stand_ins" ? [`--import-map=${map}`] : []),
      ...args,
    ],
    env: { STD_FROM: source, NO_COLOR: "1", ...options.env },
    stdin: "null",
    signal: end.signal,
  }).output();
  clearTimeout(timer);
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  const command = args.join(" ");
  assert(
    code === 0,
    `${command} ended with code ${code}\n${out.slice(-4000)}\n${err.slice(-4000)}`,
  );
  return out;
}

/** What the index of recipes says of one. */
export interface Entry {
  /** Its arguments, as in `URL [FILE]`; none if it takes none. */
  usage: string;
  /** What a copy of it needs besides its own file, in the same folder. */
  needs: string[];
}

/** The entries of the index of recipes, by the path of the recipe. */
export function entries(): Map<string, Entry> {
  const [, ...recipes] = readText("examples/README.md").split(/^## Compared/m)[0].split(/^\*\*\[/m);
  return new Map(recipes.map((text) => {
    const path = `examples/${text.slice(0, text.indexOf("]"))}`;
    const usage = /^`deno run -A .*?(\S+\.ts) (.+)`$/m.exec(text);
    assert(usage === null || usage[1] === path, `${path}: ${usage?.[0]}`);
    const needs = [...text.matchAll(/\bNeeds\s+(?:the\s+folder\s+)?`(.+?)\/?`/g)].map(([, name]) =>
      name
    );
    return [path, { usage: usage?.[2] ?? "", needs }];
  }));
}

/** Recipes that were copied out of the project, each to a folder of its own. */
export class Copies implements AsyncDisposable {
  readonly #dir: TempDir;
  /** Without them, what the `deno.json` of the library says would win over the import map of the stand-ins. */
  readonly #flags: string[];

  private constructor(dir: TempDir, flags: string[]) {
    this.#dir = dir;
    this.#flags = flags;
  }

  /** Copies recipes, each with what the index says that it needs and with nothing else. */
  static async make(paths: string[]): Promise<Copies> {
    const dir = await new TempDir("recipes");
    const imports = { "@denoports/http-client": new URL("mod.ts", ROOT).href, ...config.imports };
    dir.write("deno.json", JSON.stringify({ imports, lock: false, nodeModulesDir: "none" }));
    const index = entries();
    for (const path of paths) {
      const folder = dir.folder(nameOf(path));
      for (const name of [`${nameOf(path)}.ts`, ...index.get(path)!.needs]) {
        cpSync(new URL(`examples/${name}`, ROOT), `${folder}/${name}`, { recursive: true });
      }
    }
    return new Copies(dir, await stdFrom() === "stand_ins" ? ["--no-config"] : []);
  }

  /** The folder of a copy. */
  folder(path: string): string {
    return `${this.#dir.path}/${nameOf(path)}`;
  }

  /** Runs a copy in its folder. */
  run(path: string, args: string[]): Promise<string> {
    return run([...this.#flags, `${nameOf(path)}.ts`, ...args], {
      cwd: this.folder(path),
      env: { "no_proxy": "127.0.0.1" },
    });
  }

  /** Imports all of these copies in one process; returns what failed. */
  async load(paths: string[]): Promise<string> {
    const script = this.#dir.write(
      "load.ts",
      "for (const url of Deno.args) await import(url).catch((error) => console.log(`${url}: ${error}`));",
    );
    const files = paths.map((path) => `${this.folder(path)}/${nameOf(path)}.ts`);
    return await run(
      [...this.#flags, script, ...files.map((file) => pathToFileURL(file).href)],
      {},
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dir[Symbol.asyncDispose]();
  }
}

/** `retry` of `examples/retry.ts`. */
function nameOf(path: string): string {
  return path.slice("examples/".length, -".ts".length);
}
