import { assert, assertEquals } from "@std/assert";
import { allGroups } from "./groups.ts";
import { type Failure, sweep } from "./sweep.ts";

/** Of so many cells one is run; a number that shares no factor with those of the tables. */
const SAMPLE = 397;

function told({ name, problems }: Failure): string {
  return `${name}: ${problems.map(({ kind, detail }) => `${kind} (${detail})`).join(", ")}`;
}

Deno.test("a sample of the sweep finds nothing", async () => {
  const { cells, failures, givenUp } = await sweep({ sample: SAMPLE, maxFrozen: 1 });
  assertEquals(failures.slice(0, 20).map(told), []);
  assert(!givenUp);
  assert(cells > 1000, `only ${cells} cells were run`);
});

Deno.test("every group of the sweep has a name of its own", () => {
  const names = allGroups().map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
});
