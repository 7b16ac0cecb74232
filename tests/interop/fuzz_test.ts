import { assertEquals } from "@std/assert";
import { fuzzCase } from "./fuzz.ts";

/** The ordinary run; more by `deno task fuzz`. */
const CASES = 5000;

Deno.test(`HTTPResponse gives a response or an HTTPException, whole and cut alike, for ${CASES} broken ones`, async () => {
  const problems: string[] = [];
  for (let seed = 1; seed <= CASES; seed++) {
    const problem = await fuzzCase(seed);
    if (problem !== null) problems.push(`seed ${seed}: ${problem}`);
  }
  assertEquals(problems, []);
});
