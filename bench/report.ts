/**
 * Makes `bench/RESULTS.md`, `bench/chart.svg` and the README's part from `bench/results.json`.
 *
 * @module
 */
import { chart } from "./chart.ts";
import type { Figures } from "./figures.ts";
import { readmePart, report } from "./markdown.ts";

/** The figures of the run that the report is made from. */
export const RESULTS: URL = new URL("results.json", import.meta.url);
const REPORT = new URL("RESULTS.md", import.meta.url);
const CHART = new URL("chart.svg", import.meta.url);
const README = new URL("../README.md", import.meta.url);
const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

/** As `deno fmt` has it. */
async function format(text: string, kind: "md" | "svg"): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", `--ext=${kind}`, "--line-width=100", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  writer.write(new TextEncoder().encode(text));
  writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("deno fmt failed");
  return new TextDecoder().decode(stdout);
}

/** Puts `part` between the markers, where they are. */
function between(text: string, part: string): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) return text;
  return `${text.slice(0, begin)}${BEGIN}\n\n${part}\n\n${text.slice(end)}`;
}

/** Makes all of it. */
export async function makeReport(): Promise<void> {
  const figures = JSON.parse(await Deno.readTextFile(RESULTS)) as Figures;
  await Deno.writeTextFile(REPORT, await format(report(figures), "md"));
  await Deno.writeTextFile(CHART, await format(chart(figures), "svg"));
  const readme = await Deno.readTextFile(README);
  const changed = between(readme, readmePart(figures));
  if (changed !== readme) await Deno.writeTextFile(README, await format(changed, "md"));
}

if (import.meta.main) await makeReport();
