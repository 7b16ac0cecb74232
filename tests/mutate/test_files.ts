/**
 * Which test files may kill a mutant, what each of them covers, and in which order they are run.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { ROOT } from "../helpers/project.ts";
import { inCopies } from "./copies.ts";
import type { Mutant } from "./mutants.ts";
import { type Outcome, runDeno } from "./processes.ts";

/** Test files that check the project itself, or need servers that are not ours. */
const NEVER = /^tests\/(interop|mutate|std_offline)[/_]|(house|publish|examples?|docs?)_test\.ts$/;

/** Test files that go over much, and see little that no other sees: they are run last. */
const LAST =
  /^tests\/(fuzz|matrix|model|parity|soak|sweep)[/_]|(fuzz|matrix|model|parity|replay|soak|sweep|worker)_test\.ts$/;

/** A test file that takes longer than this, in milliseconds, is left out. */
const LONGEST = 60_000;

/** A run is given up after so much more than the file takes without a mutant. */
const PATIENCE = { times: 3, milliseconds: 10_000 };

const CACHE = new URL("tests/tmp/mutate/", ROOT);

/** How often code was run, by line. */
interface Hits {
  lines: Record<number, number>;
  functions: Record<number, number>;
}

/** What is known of a test file without a mutant. */
export interface TestFile {
  path: string;
  milliseconds: number;
  /** Why it is left out; `null` where it is not. */
  leftOut: string | null;
  /** What it covers of the published modules, by their paths. */
  modules: Record<string, Hits>;
}

/** Reads one module's part of a report in lcov's format. */
function readHits(record: string): Hits {
  const hits: Hits = { lines: {}, functions: {} };
  for (const [_, line, count] of record.matchAll(/^DA:(\d+),(\d+)/gm)) {
    hits.lines[Number(line)] = Number(count);
  }
  // Names may stand twice, but both lists have one order.
  const counts = [...record.matchAll(/^FNDA:(\d+),/gm)];
  for (const [i, [_, line]] of [...record.matchAll(/^FN:(\d+),/gm)].entries()) {
    hits.functions[Number(line)] = (hits.functions[Number(line)] ?? 0) + Number(counts[i]?.[1]);
  }
  return hits;
}

function readReport(report: string, folder: string, modules: string[]): Record<string, Hits> {
  const records = report.split("end_of_record").flatMap((record) => {
    const path = /^SF:(.*)$/m.exec(record)?.[1].slice(folder.length + 1) ?? "";
    return modules.includes(path) ? [[path, readHits(record)]] : [];
  });
  return Object.fromEntries(records);
}

function why({ code, milliseconds }: Outcome): string | null {
  if (code === null || milliseconds > LONGEST) return `takes over ${LONGEST / 1000} s`;
  return code === 0 ? null : "fails without a mutant";
}

/** Runs a test file to see what it covers; once more if it fails. */
async function measure(path: string, folder: string, modules: string[]): Promise<TestFile> {
  const coverage = join(folder, "coverage");
  const args = ["test", "-A", "--no-check", `--coverage=${coverage}`, path];
  const run = async () => {
    await Deno.remove(coverage, { recursive: true }).catch(() => {});
    return await runDeno(folder, args, LONGEST * 2);
  };
  let outcome = await run();
  if (outcome.code !== 0 && outcome.code !== null) outcome = await run();
  const report = await Deno.readTextFile(join(coverage, "lcov.info")).catch(() => "");
  return {
    path,
    milliseconds: outcome.milliseconds,
    leftOut: why(outcome),
    modules: readReport(report, folder, modules),
  };
}

/** A key that changes with anything that a test file's coverage depends on. */
async function keyOf(folder: string, paths: string[]): Promise<string> {
  const hash = createHash("sha256").update(Deno.version.deno);
  for (const path of paths) {
    hash.update(path).update(await Deno.readFile(join(folder, path)));
  }
  return hash.digest("hex").slice(0, 32);
}

async function readCache(key: string): Promise<TestFile | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(new URL(`${key}.json`, CACHE)));
  } catch {
    return undefined;
  }
}

/**
 * Finds the test files, and what each covers; from the cache where nothing has changed.
 *
 * @param folders Copies of the project
 * @param files The files of the project
 * @param modules The published modules
 * @param tell Told of each file that is measured
 * @returns The test files, those that are left out with the reason
 */
export async function findTestFiles(
  folders: string[],
  files: string[],
  modules: string[],
  tell: (path: string) => void,
): Promise<TestFile[]> {
  const isTest = (path: string) => /^tests\/.*_test\.ts$/.test(path);
  const tests = files.filter((path) => isTest(path) && !NEVER.test(path));
  const helpers = files.filter((path) =>
    /^tests\/.*\.ts$/.test(path) && !/^tests\/mutate\//.test(path) && !isTest(path)
  );
  await Deno.mkdir(CACHE, { recursive: true });
  const found: TestFile[] = [];
  await inCopies(folders, tests, async (path, folder) => {
    const key = await keyOf(folder, [...modules, ...helpers, path]);
    let file = await readCache(key);
    if (file === undefined) {
      tell(path);
      file = await measure(path, folder, modules);
      const kept = JSON.stringify(file);
      if (file.leftOut === null) await Deno.writeTextFile(new URL(`${key}.json`, CACHE), kept);
    }
    found.push(file);
  });
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** Whether a test file runs the function that a mutant stands in, or just the module where there is none. */
function covers({ modules }: TestFile, { module, functions }: Mutant): boolean {
  const hits = modules[module];
  if (hits === undefined) return false;
  const known = functions.find((line) => line in hits.functions);
  return known === undefined || hits.functions[known] > 0;
}

/** How soon a test file is run for a mutant: the module's own tests, those of its layer, the others. */
function rank({ path }: TestFile, { module }: Mutant): number {
  if (LAST.test(path)) return 3;
  const layer = basename(dirname(module));
  const sameLayer = basename(dirname(path)) === layer;
  if (basename(path) === basename(module).replace(/\.ts$/, "_test.ts")) return 0;
  return sameLayer ? 1 : 2;
}

/**
 * Picks the test files that are run for a mutant, in the order in which they are run.
 *
 * @param files What `findTestFiles()` found
 * @param mutant The mutant
 * @param first The file that killed it before, if one did
 * @returns Its tests; those that run its very line before those that only run its function
 */
export function testsOf(files: TestFile[], mutant: Mutant, first: string | null): TestFile[] {
  const isLater = ({ path }: TestFile) => path === first ? 0 : 1;
  const missesLine = ({ modules }: TestFile) =>
    modules[mutant.module].lines[mutant.line] === 0 ? 1 : 0;
  return files.filter((file) => file.leftOut === null && covers(file, mutant)).sort((a, b) =>
    isLater(a) - isLater(b) || rank(a, mutant) - rank(b, mutant) || missesLine(a) - missesLine(b) ||
    a.milliseconds - b.milliseconds
  );
}

/**
 * Says how long a test file may take with a mutant.
 *
 * @param file The test file
 * @returns Milliseconds
 */
export function limitOf({ milliseconds }: TestFile): number {
  return milliseconds * PATIENCE.times + PATIENCE.milliseconds;
}
