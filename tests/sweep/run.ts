/**
 * The sweep: `deno task sweep`. Every call that reads or sends, by what has come, by how it ends, and by
 * how many microtasks after its begin.
 *
 * - `--only 'readline / chunked / begin of a line / response.close / 1'` runs one cell, or one group where
 *   the number at the end is left out.
 * - `--begin readline` runs the groups whose name begins so.
 * - `--sample 100` runs each hundredth cell.
 * - `--jobs 1` runs so many processes at the same time.
 * - `--full` runs cells, too, that differ only in how long everything has been at rest.
 * - `--show 20` lists so many failing groups.
 * - `--max-frozen 10` gives up after so many frozen cells.
 *
 * @module
 */
import { type Failure, type Result, sweep } from "./sweep.ts";

/** The value of an option of this process. */
export function option(name: string): string | undefined {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? undefined : Deno.args[at + 1];
}

/** The same as a number. */
export function numberOption(name: string, fallback: number): number {
  const value = Number(option(name) ?? fallback);
  if (!(value >= 1)) throw new TypeError(`Cannot run sweep: --${name} is not a number over 0`);
  return value;
}

/** What has the same key, in the order in which the keys come. */
export function groupBy<T>(list: readonly T[], key: (item: T) => string): [string, T[]][] {
  return [...Map.groupBy(list, key)];
}

/** The failing cells, one line for each group of them and each kind of problem. */
function printFailures(failures: readonly Failure[], most: number): void {
  const each = failures.flatMap((failure) =>
    failure.problems.map((problem) => ({ ...failure, ...problem }))
  );
  const lines = groupBy(each, ({ group, kind }) => `${group}\n${kind}`);
  for (const [, same] of lines.slice(0, most)) {
    const [{ name, kind, detail }] = same;
    const others = same.length > 1 ? ` (and ${same.length - 1} more of its group)` : "";
    console.log(`FAIL ${name}${others}\n     ${kind}: ${detail}`);
  }
  if (lines.length > most) console.log(`... and ${lines.length - most} more groups of cells`);
}

/** How often each kind of problem was found, and where first. */
function printKinds(failures: readonly Failure[]): void {
  const each = failures.flatMap(({ name, problems }) =>
    problems.map(({ kind, detail }) => ({ kind, detail, name }))
  );
  for (const [kind, same] of groupBy(each, (problem) => problem.kind)) {
    console.log(`${String(same.length).padStart(7)} ${kind}, such as '${same[0].name}'`);
  }
}

function printCounts({ groups, failures }: Result): void {
  const failed = new Map(
    groupBy(failures, ({ part, name }) => `${part}: ${name.split(" / ")[0]}`),
  );
  for (const [name, count] of groups) {
    const bad = failed.get(name)?.length ?? 0;
    console.log(`${name}: ${count} groups${bad > 0 ? `, ${bad} cells FAILED` : ""}`);
  }
}

if (import.meta.main) {
  const start = performance.now();
  const result = await sweep({
    sample: numberOption("sample", 1),
    jobs: numberOption("jobs", Math.min(4, navigator.hardwareConcurrency)),
    maxFrozen: numberOption("max-frozen", 40),
    only: option("only") ?? "",
    begin: option("begin") ?? "",
    full: Deno.args.includes("--full"),
  });
  printCounts(result);
  printFailures(result.failures, numberOption("show", 100));
  printKinds(result.failures);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const { cells, failures, givenUp } = result;
  console.log(`${cells} cells in ${seconds} s: ${failures.length} failed`);
  if (givenUp) console.log("Given up: too many cells are frozen");
  const nothing = cells === 0 && failures.length === 0;
  if (nothing) console.log("No cell has that name");
  if (failures.length > 0 || nothing) Deno.exit(1);
}
