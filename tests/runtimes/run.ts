/**
 * Runs the tests of the library on other runtimes and on other versions of Deno, such as
 * `deno task runtimes 2.5.0 node@22 bun`, where a number alone is a version of Deno; `--files TEXT` runs
 * those whose path contains a text, `--verbose` prints the counts of each. Where there is no Deno, modules are transpiled as JSR does for
 * npm; `shim.ts` stands for `Deno` in the tests, and the library does not see it.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { projectFiles, ROOT } from "../helpers/project.ts";
import { ignoredOn, isLeftOut } from "./ignored.ts";
import { pack } from "./pack.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { files: { type: "string", default: "" }, verbose: { type: "boolean", default: false } },
});

/** The test files that can run elsewhere: those of the library itself, over memory and loopback. */
const files = projectFiles().filter((path) =>
  /^tests\/(wire|content|exchange|net|public|parity)\/.*_test\.ts$/.test(path) &&
  path.includes(values.files)
);

/** Seconds that the tests of one file may take. */
const FILE_LIMIT = 60;

const IMPORT_MAP = "tests/std_offline/import_map.json";

interface Counts {
  passed: number;
  ignored: number;
  failed: [name: string, why: string][];
}

/** Whether a runtime is a version of Deno: a number alone. */
function isDenoVersion(runtime: string): boolean {
  return /^\d/.test(runtime);
}

/** Runs a command until it ends or takes too long; all that it has printed. */
async function printed(name: string, args: string[], cwd: string): Promise<string> {
  const command = new Deno.Command(name, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
    detached: true,
  });
  const child = command.spawn();
  // With all that it has started.
  const timer = setTimeout(() => Deno.kill(-child.pid, "SIGKILL"), FILE_LIMIT * 1000);
  const { stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return decoder.decode(stdout) + decoder.decode(stderr);
}

/** Runs the tests of one file on a version of Deno. */
async function runFileOnDeno(version: string, path: string): Promise<Counts> {
  // Before 2.8, the settings of the tests are unknown.
  const options = ["--no-config", "--no-lock", "--no-check", "-A", `--import-map=${IMPORT_MAP}`];
  const ignored = ignoredOn(version, path);
  const filter = ignored.length === 0 ? [] : [`--filter=/^(?!.*(${patterns(ignored)}))/s`];
  const text = await printed(
    "npx",
    ["-y", `deno@${version}`, "test", ...options, ...filter, path],
    new URL(ROOT).pathname,
  );
  const count = (what: string) => Number(text.match(`\\| (\\d+) ${what}`)?.[1] ?? 0);
  const isOver = /^(ok|FAILED) \| \d+ passed/m.test(text);
  const names = [...text.matchAll(/^(.+) \.\.\. FAILED/gm)].map(([, name]) => name);
  const failed = isOver && count("failed") === 0 ? [] : names.length === 0 ? ["(the file)"] : names;
  return {
    passed: Number(/^(?:ok|FAILED) \| (\d+) passed/m.exec(text)?.[1] ?? 0),
    ignored: count("ignored") + count("filtered out"),
    failed: failed.map((name, i) => [name, i === 0 ? excerpt(text) : ""]),
  };
}

/** One pattern for all of them. */
function patterns(all: RegExp[]): string {
  return all.map(({ source }) => source.replace(/^\^/, "")).join("|");
}

/** What tells of failures: the part behind the names of the tests, or the end. */
function excerpt(text: string): string {
  const at = text.indexOf("\n ERRORS ");
  return at < 0 ? text.slice(-900) : text.slice(at, at + 1800);
}

/** Runs the tests of one file where there is no Deno. */
async function runFile(runtime: string, path: string, folder: string): Promise<Counts> {
  const entry = join(folder, "entry.mjs");
  await Deno.writeTextFile(
    entry,
    `import { runAll } from "./tests/runtimes/shim.js";
import { ignoredOn } from "./tests/runtimes/ignored.js";
await import(${JSON.stringify(`./${path.replace(/\.ts$/, ".js")}`)});
const ignored = ignoredOn(${JSON.stringify(runtime)}, ${JSON.stringify(path)});
await runAll((name) => ignored.some((pattern) => pattern.test(name)));
`,
  );
  const text = await printed("npx", ["-y", runtime, entry], folder);
  const counts = /^@@(.*)$/m.exec(text)?.[1];
  if (counts !== undefined) return JSON.parse(counts);
  return { passed: 0, ignored: 0, failed: [["(the file)", text.slice(-900)]] };
}

async function runAll(runtime: string, folder: string): Promise<boolean> {
  const all = { passed: 0, failed: 0, ignored: 0 };
  const isDeno = isDenoVersion(runtime);
  for (const path of files) {
    if (!isDeno && isLeftOut(path)) continue;
    const { passed, failed, ignored } = isDeno
      ? await runFileOnDeno(runtime, path)
      : await runFile(runtime, path, folder);
    all.passed += passed;
    all.failed += failed.length;
    all.ignored += ignored;
    if (values.verbose || failed.length > 0) {
      console.log(
        `${runtime} ${path}: ${passed} passed, ${failed.length} failed, ${ignored} ignored`,
      );
    }
    for (const [name, why] of failed) {
      console.log(`  ${name}\n    ${why.replaceAll("\n", "\n    ")}`);
    }
  }
  console.log(`${runtime}: ${all.passed} passed, ${all.failed} failed, ${all.ignored} ignored`);
  return all.failed === 0;
}

const folder = await Deno.makeTempDir();
let passed = true;
try {
  if (positionals.some((runtime) => !isDenoVersion(runtime))) await pack(folder);
  for (const runtime of positionals) passed = await runAll(runtime, folder) && passed;
} finally {
  await Deno.remove(folder, { recursive: true });
}
Deno.exit(passed ? 0 : 1);
