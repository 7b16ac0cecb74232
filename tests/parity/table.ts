/**
 * Writes the counts into `README.md` beside this file, between two marks.
 *
 *     deno run -A tests/parity/table.ts
 *
 * @module
 */
import { GROUPS, type Outcome } from "./replay.ts";
import { markdown, summary, tally } from "./tally.ts";

const BEGIN = "<!-- counts: begin (written by table.ts) -->";
const END = "<!-- counts: end -->";

const outcomes: Outcome[] = [];
for (const { replay } of GROUPS) {
  for await (const outcome of replay()) outcomes.push(outcome);
}
const table = tally(outcomes);
console.log(summary(table));
const path = new URL("README.md", import.meta.url);
const text = await Deno.readTextFile(path);
const before = text.slice(0, text.indexOf(BEGIN) + BEGIN.length);
const after = text.slice(text.indexOf(END));
await Deno.writeTextFile(path, `${before}\n\n${markdown(table)}\n\n${after}`);
await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", path.pathname] }).output();
