/**
 * The cells of the matrix as groups of one cell, for the children of `tests/sweep/`.
 *
 * @module
 */
import { runTask } from "../sweep/child.ts";
import type { Group } from "../sweep/outcome.ts";
import { type Result, runSuite, type Suite, type SweepOptions } from "../sweep/sweep.ts";
import { runCell } from "./cell.ts";
import { allCells } from "./table.ts";

/** All cells, in the order of {@linkcode allCells}. */
function allGroups(): Group[] {
  return allCells().map((cell) => ({
    part: cell.phase.name,
    name: cell.name,
    ticks: [0],
    slow: true,
    run: async () => ({ problems: await runCell(cell), atRest: false }),
  }));
}

/** How many cells a child runs before it says how far it is. */
const BLOCK = 160;
/** How long a child may say nothing, in milliseconds: a batch of cells that wait for deadlines. */
const SILENCE = 60_000;

/** Runs cells in children. */
export async function runMatrix(options: SweepOptions = {}, block = BLOCK): Promise<Result> {
  const suite: Suite = {
    groups: allGroups(),
    script: new URL(import.meta.url),
    silence: SILENCE,
  };
  return await runSuite(suite, options, block);
}

if (import.meta.main) await runTask(allGroups());
