/**
 * Runs the tests of a mutant, until one of them fails.
 *
 * @module
 */

import { join } from "node:path";
import type { History } from "./history.ts";
import { apply, type Mutant } from "./mutants.ts";
import { runDeno } from "./processes.ts";
import { limitOf, type TestFile, testsOf } from "./test_files.ts";

/** What became of a mutant. */
export interface Verdict {
  mutant: Mutant;
  result: "killed" | "survived" | "timed out" | "equivalent";
  /** The test file that killed it or timed out, how many were run, or that none covers it. */
  by: string;
  milliseconds: number;
}

/** Runs one test file; a failure must come twice, as a busy machine makes tests fail at times. */
async function runTest(file: TestFile, folder: string): Promise<"passed" | "failed" | "timed out"> {
  const args = ["test", "-A", "--no-check", "--fail-fast", file.path];
  const first = await runDeno(folder, args, limitOf(file));
  if (first.code === 0) return "passed";
  if (first.code === null) return "timed out";
  const second = await runDeno(folder, args, limitOf(file));
  return second.code === 0 ? "passed" : "failed";
}

async function judge(tests: TestFile[], folder: string): Promise<Pick<Verdict, "result" | "by">> {
  for (const file of tests) {
    const outcome = await runTest(file, folder);
    if (outcome === "failed") return { result: "killed", by: file.path };
    if (outcome === "timed out") return { result: "timed out", by: file.path };
  }
  const by = tests.length === 0 ? "no test covers it" : `all ${tests.length} test files pass`;
  return { result: "survived", by };
}

/**
 * Runs the tests that cover a mutant.
 *
 * @param mutant The mutant
 * @param files The test files and what they cover
 * @param folder A copy of the project, which is as before afterwards
 * @param history What became of mutants before
 * @returns What became of it
 */
export async function runMutant(
  mutant: Mutant,
  files: TestFile[],
  folder: string,
  history: History,
): Promise<Verdict> {
  const began = performance.now();
  const path = join(folder, mutant.module);
  const source = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, apply(source, mutant));
  const { result, by } = await judge(testsOf(files, mutant, history.killerOf(mutant)), folder);
  await Deno.writeTextFile(path, source);
  return { mutant, result, by, milliseconds: Math.round(performance.now() - began) };
}
