import { assert, assertEquals } from "@std/assert";
import type { Problem } from "../sweep/outcome.ts";
import type { Failure } from "../sweep/sweep.ts";
import { runCell } from "./cell.ts";
import { runMatrix } from "./suite.ts";
import { allCells, exclusions, FAULTS, firstOfRows, PHASES } from "./table.ts";

/** How many cells of each row are run; all of them by `deno task matrix`. */
const OF_EACH_ROW = 1;
/** Of those, one in so many is run in this process, too, where leaks are noticed. */
const SANITIZED = 12;

function told({ name, problems }: { name: string; problems: readonly Problem[] }): string {
  return `${name}: ${problems.map(({ kind, detail }) => `${kind} (${detail})`).join(", ")}`;
}

// First in other processes, so that a frozen cell is a failure and not a hang.
Deno.test("a cell of each row of the matrix finds nothing", async () => {
  const first = firstOfRows(OF_EACH_ROW);
  const { cells, failures } = await runMatrix({ first, maxFrozen: 1 }, Math.ceil(first / 2));
  assertEquals(failures.map((failure: Failure) => told(failure)), []);
  assertEquals(cells, first);
});

Deno.test("cells of the matrix leave no operation or resource behind", async () => {
  const cells = allCells().slice(0, firstOfRows(OF_EACH_ROW)).filter((_, i) => i % SANITIZED === 0);
  const failures = await Promise.all(
    cells.map(async (cell) => ({ name: cell.name, problems: await runCell(cell) })),
  );
  assertEquals(failures.filter(({ problems }) => problems.length > 0).map(told), []);
});

Deno.test("every phase and every fault of the matrix has cells, each with a name of its own", () => {
  const cells = allCells();
  assertEquals(new Set(cells.map(({ name }) => name)).size, cells.length);
  assertEquals(new Set(cells.map(({ phase }) => phase)).size, PHASES.length);
  assertEquals(new Set(cells.map(({ fault }) => fault)).size, FAULTS.length);
});

Deno.test("what the matrix leaves out has a reason", () => {
  for (const [reason, count] of exclusions()) assert(reason.length > 10 && count > 0, reason);
});
