/**
 * The fault matrix: `deno task matrix`. Each fault, at each moment of an exchange, by each way to read or to
 * send, over each transport.
 *
 * - `--only 'status line / FIN / awaited / TCP'` runs one cell.
 * - `--begin 'status line / FIN'` runs the cells whose name begins so: a phase, or a row.
 * - `--rows 2` runs so many cells of each row.
 * - `--jobs 2` runs so many processes at the same time.
 * - `--excluded` lists what is left out, and why.
 *
 * @module
 */
import { groupBy, numberOption, option } from "../sweep/run.ts";
import type { Failure, Result } from "../sweep/sweep.ts";
import { runMatrix } from "./suite.ts";
import { exclusions, firstOfRows } from "./table.ts";

/** Between two lines that tell how far it is, in milliseconds. */
const PROGRESS_MS = 10_000;

function printFailure({ name, problems }: Failure): void {
  console.log(`FAIL ${name}`);
  for (const { kind, detail } of problems) console.log(`     ${kind}: ${detail}`);
}

/** How many cells of each row have failed. */
function printRows({ failures }: Result): void {
  const rows = groupBy(failures, ({ name }) => name.split(" / ").slice(0, 2).join(" / "));
  for (const [row, { length }] of rows) console.log(`${String(length).padStart(6)} in ${row}`);
}

if (import.meta.main && Deno.args.includes("--excluded")) {
  for (const [reason, count] of exclusions()) console.log(`${String(count).padStart(6)} ${reason}`);
} else if (import.meta.main) {
  const start = performance.now();
  const seconds = () => ((performance.now() - start) / 1000).toFixed(0);
  const rows = option("rows");
  let told = start;
  const result = await runMatrix({
    jobs: numberOption("jobs", Math.min(4, navigator.hardwareConcurrency)),
    only: option("only") ?? "",
    begin: option("begin") ?? "",
    first: rows === undefined ? undefined : firstOfRows(numberOption("rows", 1)),
    onprogress: (cells) => {
      if (performance.now() - told < PROGRESS_MS) return;
      told = performance.now();
      console.log(`${cells} cells in ${seconds()} s`);
    },
    onfailure: printFailure,
  });
  printRows(result);
  const { cells, failures, givenUp } = result;
  console.log(`${cells} cells in ${seconds()} s: ${failures.length} failed`);
  if (givenUp) console.log("Given up: too many cells are frozen");
  if (cells === 0) console.log("No cell has that name");
  if (failures.length > 0 || cells === 0) Deno.exitCode = 1;
}
