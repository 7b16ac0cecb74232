/**
 * Runs the tests of the library on runtimes other than Deno, such as
 * `deno task runtimes node@22 bun`; `--files TEXT` runs those whose path contains a text, `--verbose`
 * prints the counts of each. Modules are transpiled as JSR does for npm; `shim.ts` stands for `Deno` in
 * the tests, and the library does not see it.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { projectFiles } from "../helpers/project.ts";
import { isLeftOut } from "./ignored.ts";
import { pack } from "./pack.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { files: { type: "string", default: "" }, verbose: { type: "boolean", default: false } },
});

/** The test files that can run elsewhere: those of the library itself, over memory and loopback. */
const files = projectFiles().filter((path) =>
  /^tests\/(wire|content|exchange|net|public|parity)\/.*_test\.ts$/.test(path) &&
  path.includes(values.files) && !isLeftOut(path)
);

interface Counts {
  passed: number;
  ignored: number;
  failed: [name: string, why: string][];
}

/** Runs the tests of one file. */
async function runFile(runtime: string, path: string, folder: string): Promise<Counts> {
  const entry = join(folder, "entry.mjs");
  await Deno.writeTextFile(
    entry,
    `import { runAll } from "./tests/runtimes/shim.js";
import { ignoredOn } from "./tests/runtimes/ignored.js";
await import(${JSON.stringify(`./${path.replace(/\.ts$/, ".js")}`)});
await runAll(ignoredOn(${JSON.stringify(runtime)}, ${JSON.stringify(path)}));
`,
  );
  const command = new Deno.Command("npx", {
    args: ["-y", runtime, entry],
    cwd: folder,
    env: { NO_COLOR: "1" },
  });
  const { stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  const text = decoder.decode(stdout);
  const counts = /^@@(.*)$/m.exec(text)?.[1];
  if (counts !== undefined) return JSON.parse(counts);
  return {
    passed: 0,
    ignored: 0,
    failed: [["(the file)", (text + decoder.decode(stderr)).slice(-900)]],
  };
}

async function runAll(runtime: string, folder: string): Promise<boolean> {
  const all = { passed: 0, failed: 0, ignored: 0 };
  for (const path of files) {
    const { passed, failed, ignored } = await runFile(runtime, path, folder);
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
  await pack(folder);
  for (const runtime of positionals) passed = await runAll(runtime, folder) && passed;
} finally {
  await Deno.remove(folder, { recursive: true });
}
Deno.exit(passed ? 0 : 1);
