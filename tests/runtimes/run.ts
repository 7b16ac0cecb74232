/**
 * Runs the tests of the library on other runtimes and on other versions of Deno, such as
 * `deno task runtimes 2.5.0 node@22 bun`, where a number alone is a version of Deno. `--files PATTERN` runs
 * those whose path matches, `--jobs N` that many runtimes at once, `--verbose` prints the counts of each
 * file, `--write` keeps the counts and the features in `results.json` and in the README. Where there is no
 * Deno, modules are transpiled as JSR does for npm; `shim.ts` stands for `Deno` in the tests, and the
 * library does not see it.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { projectFiles, ROOT } from "../helpers/project.ts";
import type { Answer } from "./features.ts";
import { ignoredOn, isLeftOut } from "./ignored.ts";
import { npx, pack } from "./pack.ts";
import type { Counts } from "./shim.ts";
import type { Tour } from "./tour.ts";
import { keep } from "./table.ts";
import { startServers, startTourServer } from "./tour_server.ts";
import { askWorkerd } from "./workerd.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    files: { type: "string", default: "" },
    jobs: { type: "string", default: "1" },
    verbose: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});

/** The test files that can run elsewhere: those of the library itself, over memory and loopback. */
const files = projectFiles().filter((path) =>
  /^tests\/(wire|content|exchange|net|public|parity)\/.*_test\.ts$/.test(path) &&
  new RegExp(values.files).test(path)
);

/** The tests of `tour.ts`. */
const TOUR = "tests/runtimes/tour_test.ts";

/** Seconds that the tests of one file may take. */
const FILE_LIMIT = 300;

const CA_FILE = new URL("tests/tls/ca.pem", ROOT).pathname;

const IMPORT_MAP = "tests/std_offline/import_map.json";

/** Whether a runtime is a version of Deno: a number alone. */
function isDenoVersion(runtime: string): boolean {
  return /^\d/.test(runtime);
}

/** What makes a runtime print where its program is. */
function askPath(runtime: string): string[] {
  if (isDenoVersion(runtime)) return [`deno@${runtime}`, "eval", "console.log(Deno.execPath())"];
  return [runtime, runtime === "bun" ? "-e" : "--eval", "console.log(process.execPath)"];
}

const programs = new Map<string, string>();

/** The program of a runtime: to start it by npx takes a second each time. */
async function programOf(runtime: string): Promise<string> {
  let program = programs.get(runtime);
  if (program === undefined) {
    program = (await npx(askPath(runtime), ".")).trim().split("\n").at(-1)!;
    programs.set(runtime, program);
  }
  return program;
}

/** Runs a command until it ends or takes too long; all that it has printed. */
async function printed(
  name: string,
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  const command = new Deno.Command(name, {
    args,
    cwd,
    env: { NO_COLOR: "1", ...env },
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
async function runFileOnDeno(version: string, path: string, folder: string): Promise<Counts> {
  const entry = join(folder, "entry_test.ts");
  await Deno.writeTextFile(
    entry,
    `const { test } = Deno;
const ignored = [${ignoredOn(version, path).join(", ")}];
// What it is called with here: a name first, or an object that has it.
const define = (first, ...rest) => {
  const name = first.name ?? first;
  if (ignored.some((pattern) => pattern.test(name))) test.ignore(name, () => {});
  else test(first, ...rest);
};
Object.defineProperty(Deno, "test", { value: define });
await import(${JSON.stringify(new URL(path, ROOT).href)});
`,
  );
  // Before 2.8, the settings of the tests are unknown.
  const options = ["--no-config", "--no-lock", "--no-check", "-A", `--import-map=${IMPORT_MAP}`];
  const program = await programOf(version);
  const text = await printed(program, ["test", ...options, entry], new URL(ROOT).pathname);
  const closing = /^(?:ok|FAILED) \| (\d+) passed.*$/m.exec(text);
  const count = (what: string) => Number(closing?.[0].match(`\\| (\\d+) ${what}`)?.[1] ?? 0);
  const names = [...text.matchAll(/^(.+) \.\.\. FAILED/gm)].map(([, name]) => name);
  const isGreen = closing !== null && count("failed") === 0;
  const failed = isGreen ? [] : names.length === 0 ? ["(the file)"] : names;
  return {
    passed: Number(closing?.[1] ?? 0),
    ignored: count("ignored"),
    failed: failed.map((name, i) => [name, i === 0 ? excerpt(text) : ""]),
  };
}

/** What tells of failures: the part behind the names of the tests, or the end. */
function excerpt(text: string): string {
  const at = text.indexOf("\n ERRORS ");
  return at < 0 ? text.slice(-900) : text.slice(at, at + 1800);
}

/** The source text of a program that loads a file of tests. */
function loading(path: string, ignored: RegExp[]): string {
  return `import { finish, runAll } from "./tests/runtimes/shim.js";
const ignored = [${ignored.join(", ")}];
const load = () => import(${JSON.stringify(`./${path.replace(/\.ts$/, ".js")}`)});
`;
}

/**
 * Takes the tour on workerd: by the sockets of `node:net`, which it has by `nodejs_compat`, and by its own.
 */
async function tourOnWorkerd(folder: string): Promise<Counts> {
  const all: Counts = { passed: 0, ignored: 0, failed: [] };
  for (const way of ["node:net", "cloudflare:sockets"] as const) {
    await using server = await startTourServer();
    const { hostname, port } = server;
    const isOwn = way === "cloudflare:sockets";
    const options = isOwn ? "{ transport: () => openSocket(host, port) }" : "{}";
    const entry = `import { tour } from "./tests/runtimes/tour.js";
${isOwn ? 'import { openSocket } from "./tests/runtimes/cloudflare_sockets.js";' : ""}
const [host, port] = ${JSON.stringify([hostname, port])};
export default {
  fetch: async () => Response.json(await tour({ host, port, options: ${options} })),
};
`;
    const { passed, failed } = JSON.parse(
      await askWorkerd({ folder, entry, node: !isOwn }),
    ) as Tour;
    const ignored = isOwn ? failed.filter(([name]) => name === "gzip") : [];
    all.passed += passed.length;
    all.ignored += ignored.length;
    for (const [name, why] of failed) {
      if (!ignored.some(([other]) => other === name)) all.failed.push([`${name} (${way})`, why]);
    }
  }
  return all;
}

/** Runs the tests of one file where there is no Deno. */
async function runFile(runtime: string, path: string, folder: string): Promise<Counts> {
  const entry = join(folder, "entry.mjs");
  const source = loading(path, ignoredOn(runtime, path));
  await Deno.writeTextFile(entry, `${source}await load();\nfinish(await runAll(ignored));\n`);
  const text = await printed(await programOf(runtime), [entry], folder);
  const counts = /^@@(.*)$/m.exec(text)?.[1];
  if (counts !== undefined) return JSON.parse(counts);
  return { passed: 0, ignored: 0, failed: [["(the file)", text.slice(-900)]] };
}

/** Runs the tests of one file on workerd. */
async function runFileOnWorkerd(path: string, folder: string): Promise<Counts> {
  const source = loading(path, ignoredOn("workerd", path));
  const entry = `${source}export default {
  async fetch() {
    await load();
    return Response.json(await runAll(ignored));
  },
};
`;
  const text = await askWorkerd({ folder, entry, node: true });
  try {
    return JSON.parse(text);
  } catch {
    return { passed: 0, ignored: 0, failed: [["(the file)", text.slice(-900)]] };
  }
}

/** Tries on a runtime what not every one can do. */
async function featuresOf(runtime: string, folder: string): Promise<Record<string, Answer>> {
  await using servers = await startServers();
  const where = JSON.stringify(servers);
  if (runtime === "workerd") {
    const entry = `import { probe } from "./tests/runtimes/features.js";
export default { fetch: async () => Response.json(await probe(${where})) };
`;
    return JSON.parse(await askWorkerd({ folder, entry, node: true }));
  }
  const isDeno = isDenoVersion(runtime);
  const module = isDeno
    ? new URL("tests/runtimes/features.ts", ROOT).href
    : "./tests/runtimes/features.js";
  const entry = join(folder, "features.mjs");
  await Deno.writeTextFile(
    entry,
    `import { probe } from ${JSON.stringify(module)};
console.log("@@" + JSON.stringify(await probe(${where})));
`,
  );
  const flags = ["--no-config", "--no-lock", "--no-check", "-A", `--import-map=${IMPORT_MAP}`];
  const args = isDeno ? ["run", ...flags, entry] : [entry];
  const text = await printed(
    await programOf(runtime),
    args,
    isDeno ? new URL(ROOT).pathname : folder,
    { DENO_CERT: CA_FILE, NODE_EXTRA_CA_CERTS: CA_FILE },
  );
  const answers = /^@@(.*)$/m.exec(text)?.[1];
  if (answers === undefined) throw new Error(`${runtime} has not tried the features: ${text}`);
  return JSON.parse(answers);
}

/** The name and the version of a runtime. */
async function titleOf(runtime: string): Promise<string> {
  if (isDenoVersion(runtime)) return `Deno ${runtime}`;
  const args = runtime === "workerd"
    ? ["npx", "-y", "workerd", "--version"]
    : [await programOf(runtime), "--version"];
  const version = /\d[\d.-]*/.exec(await printed(args[0], args.slice(1), "."))![0];
  const name = /^[a-z]+/.exec(runtime)![0];
  return `${name === "workerd" ? name : name[0].toUpperCase() + name.slice(1)} ${version}`;
}

/** Whether a file is run on a runtime. */
function runsOn(runtime: string, path: string): boolean {
  if (isDenoVersion(runtime)) return true;
  // It cannot listen.
  const isInMemory = /^tests\/(parity|wire)\//.test(path);
  if (runtime === "workerd") return path === TOUR || isInMemory && !isLeftOut(path);
  return !isLeftOut(path);
}

async function runOn(runtime: string, path: string, folder: string): Promise<Counts> {
  if (isDenoVersion(runtime)) return await runFileOnDeno(runtime, path, folder);
  if (runtime !== "workerd") return await runFile(runtime, path, folder);
  return path === TOUR ? await tourOnWorkerd(folder) : await runFileOnWorkerd(path, folder);
}

/** Runs all tests on a runtime; what is to be printed, and whether all passed. */
async function runAll(runtime: string): Promise<{ lines: string[]; passed: boolean }> {
  const all = { passed: 0, failed: 0, ignored: 0 };
  const lines: string[] = [];
  const folder = await Deno.makeTempDir();
  try {
    // Modules of workerd do not know their own URL; its files are below /bundle.
    const base = runtime === "workerd" ? "file:///bundle/" : undefined;
    if (!isDenoVersion(runtime)) await pack(folder, base);
    for (const path of [...files, TOUR].filter((path) => runsOn(runtime, path))) {
      const { passed, failed, ignored } = await runOn(runtime, path, folder);
      all.passed += passed;
      all.failed += failed.length;
      all.ignored += ignored;
      if (values.verbose || failed.length > 0) {
        lines.push(
          `${runtime} ${path}: ${passed} passed, ${failed.length} failed, ${ignored} ignored`,
        );
      }
      lines.push(
        ...failed.map(([name, why]) => `  ${name}\n    ${why.replaceAll("\n", "\n    ")}`),
      );
    }
    const features = await featuresOf(runtime, folder);
    lines.push(
      ...Object.entries(features).map(([name, answer]) => `${runtime} ${name}: ${answer}`),
    );
    if (values.write) keep({ title: await titleOf(runtime), ...all, features });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  lines.push(`${runtime}: ${all.passed} passed, ${all.failed} failed, ${all.ignored} ignored`);
  return { lines, passed: all.failed === 0 };
}

/** As many runtimes at once as `--jobs` says. */
async function runEach(): Promise<boolean> {
  let allPassed = true;
  const left = [...positionals];
  await Promise.all(Array.from({ length: Number(values.jobs) }, async () => {
    for (let runtime; (runtime = left.shift()) !== undefined;) {
      const { lines, passed } = await runAll(runtime);
      console.log(lines.join("\n"));
      allPassed &&= passed;
    }
  }));
  return allPassed;
}

Deno.exit(await runEach() ? 0 : 1);
