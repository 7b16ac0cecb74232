/**
 * Tests the tests: `deno task mutate` changes the published modules in many small ways, one at a time,
 * runs the tests that cover each change, and tells which changes no test has noticed.
 *
 *     deno task mutate --files _internal/net,_internal/exchange --count 300 --seed 1,2,3
 *
 * `--list` prints all mutants and runs none, `--only TEXT` runs those whose id contains a text,
 * `--again` those that were alive at the end of the last run that had them, `--recheck` also those that
 * are judged equivalent; `--jobs N` runs so many side by side.
 * It ends with code 1 where less than 95 % were killed.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { projectFiles, publishedModules } from "../helpers/project.ts";
import { stdFrom } from "../std_offline/run.ts";
import { inCopies, makeCopies, removeCopies } from "./copies.ts";
import { EQUIVALENT, type Equivalent } from "./equivalent.ts";
import { History } from "./history.ts";
import { type Mutant, shuffle } from "./mutants.ts";
import { killAll, runDeno } from "./processes.ts";
import { runMutant, type Verdict } from "./run_mutant.ts";
import { findTestFiles, type TestFile } from "./test_files.ts";
import { TypeCheck } from "./type_check.ts";

const LEAST_PERCENT = 95;

/** What was asked for. */
interface Options {
  files: string[];
  count: number;
  seeds: number[];
  list: boolean;
  only: string[];
  again: boolean;
  recheck: boolean;
  jobs: number;
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      files: { type: "string", default: "_internal/exchange,_internal/net" },
      count: { type: "string", default: "300" },
      seed: { type: "string", default: "1" },
      list: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      again: { type: "boolean", default: false },
      recheck: { type: "boolean", default: false },
      jobs: { type: "string", default: "2" },
    },
  });
  return {
    files: values.files.split(","),
    count: wholeNumber("--count", values.count),
    seeds: values.seed.split(",").map((seed) => wholeNumber("--seed", seed)),
    list: values.list,
    only: values.only,
    again: values.again,
    recheck: values.recheck,
    jobs: wholeNumber("--jobs", values.jobs),
  };
}

function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) {
    throw new TypeError(`Cannot use ${name} as it must be a positive whole number: got ${text}`);
  }
  return Number(text);
}

/** Whether a path is one of the files, or in one of the folders, that are asked for. */
function isWanted(path: string, prefixes: string[]): boolean {
  return prefixes.some((prefix) => path === prefix || path.startsWith(prefix.replace(/\/?$/, "/")));
}

/** Lists the mutants, by way of a `deno test` in which the parser can be used. */
async function listMutants(folder: string, modules: string[]): Promise<Mutant[]> {
  const out = join(folder, "mutants.json");
  const args = ["test", "-A", "--no-check", "tests/mutate/list.ts", "--", out, ...modules];
  const { code, output } = await runDeno(folder, args);
  if (code !== 0) throw new Error(`Cannot list the mutants: ${output}`);
  return JSON.parse(await Deno.readTextFile(out));
}

function isMutant({ module, text, textBefore, mutation }: Equivalent, mutant: Mutant): boolean {
  return module === mutant.module && text === mutant.text && mutation === mutant.mutation &&
    (textBefore === undefined || textBefore === mutant.textBefore);
}

/** Prints, over the line before where the output is a terminal. */
function progress(text: string): void {
  const line = Deno.stdout.isTerminal() ? `\r\x1b[K${text}` : text && `${text}\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(line));
}

/** Prints a line that stays. */
function sayOnce(text: string): void {
  progress("");
  console.log(text);
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "-" : `${(100 * part / whole).toFixed(1)} %`;
}

function count(verdicts: Verdict[], result: Verdict["result"]): number {
  return verdicts.filter((verdict) => verdict.result === result).length;
}

function tally(verdicts: Verdict[]): string {
  return (["killed", "survived", "equivalent", "timed out"] as const)
    .map((result) => `${count(verdicts, result)} ${result}`).join(", ");
}

/** Runs the mutants, and tells how far it is. */
async function runAll(
  mutants: Mutant[],
  files: TestFile[],
  folders: string[],
  history: History,
  options: Options,
): Promise<Map<string, Verdict>> {
  const verdicts = new Map<string, Verdict>();
  const began = performance.now();
  const every = Deno.stdout.isTerminal() ? 1 : 20;
  await inCopies(folders, mutants, async (mutant, folder) => {
    const known = !options.recheck && EQUIVALENT.some((entry) => isMutant(entry, mutant));
    const verdict: Verdict = known
      ? { mutant, result: "equivalent", by: "judged equivalent", milliseconds: 0 }
      : await runMutant(mutant, files, folder, history);
    verdicts.set(mutant.id, verdict);
    if (!known) history.add(verdict);
    if (verdict.result === "survived") sayOnce(`survived: ${mutant.id}`);
    if (verdicts.size % every === 0 || verdicts.size === mutants.length) {
      const seconds = Math.round((performance.now() - began) / 1000);
      progress(
        `${verdicts.size} of ${mutants.length} in ${seconds} s: ${tally([...verdicts.values()])}`,
      );
    }
  });
  console.log();
  return verdicts;
}

function printEach(title: string, verdicts: Verdict[]): void {
  if (verdicts.length === 0) return;
  console.log(`\n${title}:`);
  for (const { mutant, by } of verdicts) {
    console.log(`  ${mutant.id}\n      ${mutant.text}\n      (${by})`);
  }
}

/** Prints one seed's result; timed out ones are apart, neither killed nor survivors. */
function isEnough(title: string, verdicts: Verdict[]): boolean {
  const killed = count(verdicts, "killed");
  const survived = count(verdicts, "survived");
  const equivalent = count(verdicts, "equivalent");
  console.log(
    `${title}: ${verdicts.length} mutants, ${tally(verdicts)}; ` +
      `${percent(killed, killed + survived + equivalent)} killed, ` +
      `${percent(killed, killed + survived)} of those not judged equivalent`,
  );
  return killed >= LEAST_PERCENT / 100 * (killed + survived);
}

/** Entries for mutants that are not there any more, or that a test has killed. */
function printStale(mutants: Mutant[], modules: string[], verdicts: Verdict[]): void {
  for (const entry of EQUIVALENT.filter(({ module }) => modules.includes(module))) {
    const place = `${entry.module}, "${entry.text}", ${entry.mutation}`;
    if (!mutants.some((mutant) => isMutant(entry, mutant))) {
      console.log(`Stale in equivalent.ts, no such mutant: ${place}`);
    }
    if (verdicts.some(({ mutant, result }) => result === "killed" && isMutant(entry, mutant))) {
      console.log(`Wrong in equivalent.ts, a test kills it: ${place}`);
    }
  }
}

/** Picks each seed's mutants, all of which pass the type check. */
async function pick(
  mutants: Mutant[],
  types: TypeCheck,
  history: History,
  { again, only, seeds, count }: Options,
): Promise<Map<string, Mutant[]>> {
  const picks = new Map<string, Mutant[]>();
  if (again || only.length > 0) {
    const named = mutants.filter((mutant) =>
      (again && history.isAlive(mutant)) || only.some((text) => mutant.id.includes(text))
    );
    picks.set("these", await types.firstGood(named, named.length));
    return picks;
  }
  for (const seed of seeds) {
    picks.set(`seed ${seed}`, await types.firstGood(shuffle(mutants, seed), count));
  }
  return picks;
}

function report(verdicts: Map<string, Verdict>, picks: Map<string, Mutant[]>): boolean {
  const all = [...verdicts.values()];
  printEach("Timed out", all.filter(({ result }) => result === "timed out"));
  printEach("Survived", all.filter(({ result }) => result === "survived"));
  console.log();
  const enough = [...picks].map(([title, mutants]) =>
    isEnough(title, mutants.map(({ id }) => verdicts.get(id)!))
  );
  return enough.every((each) => each);
}

/** Does it all in copies of the project. */
async function mutate(folders: string[], options: Options): Promise<boolean> {
  const [folder] = folders;
  const published = publishedModules();
  const modules = published.filter((path) => isWanted(path, options.files));
  if (modules.length === 0) throw new TypeError(`Cannot find modules in ${options.files}`);
  const mutants = await listMutants(folder, modules);
  if (options.list) {
    for (const { id } of mutants) console.log(id);
    return true;
  }
  const files = await findTestFiles(
    folders,
    projectFiles(),
    published,
    (path) => progress(`measures what ${path} covers`),
  );
  for (const { path, leftOut } of files) {
    if (leftOut !== null) console.log(`Left out: ${path} ${leftOut}`);
  }
  const sources = new Map<string, string>();
  for (const path of modules) sources.set(path, await Deno.readTextFile(join(folder, path)));
  const history = await History.read();
  const picks = await pick(mutants, new TypeCheck(folder, sources), history, options);
  const picked = new Map([...picks.values()].flat().map((mutant) => [mutant.id, mutant]));
  console.log(`${mutants.length} mutants of ${modules.length} modules, ${picked.size} picked`);
  const verdicts = await runAll([...picked.values()], files, folders, history, options);
  await history.save();
  const enough = report(verdicts, picks);
  printStale(mutants, modules, [...verdicts.values()]);
  return enough;
}

if (import.meta.main) {
  const options = readOptions(Deno.args);
  Deno.env.set("STD_FROM", await stdFrom());
  const folders: string[] = [];
  Deno.addSignalListener("SIGINT", () => {
    killAll();
    removeCopies(folders);
    Deno.exit(130);
  });
  try {
    folders.push(...await makeCopies(options.jobs));
    Deno.exitCode = await mutate(folders, options) ? 0 : 1;
  } finally {
    killAll();
    removeCopies(folders);
  }
}
