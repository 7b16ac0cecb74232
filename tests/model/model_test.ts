import { assertEquals } from "@std/assert";
import { children, counted, explain } from "./run.ts";
import { makeCase } from "./generate.ts";
import { runCase } from "./model.ts";

/** The first seed and the number of cases; more of them by `deno task model`. */
const FIRST = 1;
const SEQUENCES = 250;
/** Those that are played in this process, too. */
const SANITIZED = 60;

// First in another process, so that a frozen case is a failure and not a hang.
Deno.test("the model finds no promise broken by random sequences of calls", async () => {
  await using runner = children();
  for (let seed = FIRST; seed < FIRST + SEQUENCES; seed++) {
    const outcome = await runner.ask({ seed });
    const [finding] = counted(outcome, []);
    if (finding === undefined) continue;
    throw new Error((await explain(runner, makeCase(seed), finding, outcome)).join("\n"));
  }
});

Deno.test("the model leaves no operation or resource of the library behind", async () => {
  for (let seed = FIRST; seed < FIRST + SANITIZED; seed++) {
    assertEquals((await runCase(makeCase(seed))).findings, [], `seed ${seed}`);
  }
});
