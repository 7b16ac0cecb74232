/**
 * Every golden vector must be answered as CPython answers it, or as a row in `rows.ts` says.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { GROUPS, type Outcome } from "./replay.ts";
import { RESPONSE_KINDS, summary, tally } from "./tally.ts";

const SHOWN = 20;
const outcomes: Outcome[] = [];

function failure(wrong: Outcome[]): string {
  const details = wrong.slice(0, SHOWN).map(({ id, detail }) => `${id} ${detail}`.slice(0, 2000));
  return `${wrong.length} vectors differ without a row:\n${details.join("\n")}`;
}

for (const { name, replay } of GROUPS) {
  Deno.test(`parity with CPython, ${name}`, async () => {
    const mine: Outcome[] = [];
    for await (const outcome of replay()) mine.push(outcome);
    outcomes.push(...mine);
    const wrong = mine.filter(({ verdict }) => verdict === "unexplained");
    assert(wrong.length === 0, failure(wrong));
  });
}

Deno.test("parity with CPython, the counts", () => {
  const table = tally(outcomes);
  console.log(summary(table));
  const count = (response: boolean) =>
    outcomes.filter(({ kind }) => RESPONSE_KINDS.has(kind) === response).length;
  assert(count(true) >= 1500);
  assert(count(false) >= 400);
  assertEquals(new Set(outcomes.map(({ id }) => id)).size, outcomes.length);
});
