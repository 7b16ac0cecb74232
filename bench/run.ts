/**
 * Measures this library beside its rivals, and prints one table of one run.
 *
 * - `--json`: keeps the figures in `bench/out/results.json`
 * - `--write`: keeps them in `bench/results.json`, and makes the report and the chart from them
 * - `--only a,d`: some workloads only, by their letters
 * - `--rounds N`: so many rounds of each
 * - `--short`: three rounds of small sizes, to see that it works
 *
 * It fails only where something broke, never by a figure.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { bodies } from "./bodies.ts";
import { measureCold } from "./cold.ts";
import { canPlace } from "./cores.ts";
import { type Field, openField } from "./field.ts";
import type { Figures } from "./figures.ts";
import { verdictsOf } from "./goals.ts";
import { measureGrowth } from "./growth.ts";
import { measureIdle } from "./idle.ts";
import { machine } from "./machine.ts";
import { measure } from "./measure.ts";
import { makeReport, RESULTS } from "./report.ts";
import * as table from "./table.ts";
import { requests } from "./requests.ts";

/**
 * How long a task of small requests is run to warm up, in milliseconds: after 20,000 of them V8 has
 * compiled what is hot. Before that a request costs twice as much.
 */
const WARM = 1500;
const OUT = new URL("out/", import.meta.url);

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    json: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string" },
    short: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
const { short } = options;
const rounds = options.rounds === undefined ? null : Number(options.rounds);

function wanted(id: string): boolean {
  return options.only === undefined || options.only.split(",").includes(id);
}

/** Runs a part of the benchmark; one that breaks is noted, and the rest goes on. */
async function part(figures: Figures, id: string, run: () => Promise<string>): Promise<void> {
  if (!wanted(id)) return;
  try {
    console.log(await run());
  } catch (error) {
    console.error(error);
    figures.notes.push(`(${id}) broke`);
    Deno.exitCode = 1;
  }
}

async function measureAll(field: Field, figures: Figures): Promise<void> {
  const { port } = field.plain;
  const workloads = [...requests({ rounds, short }), ...bodies({ rounds, short })];
  for (const workload of workloads.toSorted((a, b) => a.id.localeCompare(b.id))) {
    await part(figures, workload.id, async () => {
      const rows = await measure(workload, field, short ? 1 : WARM);
      figures.rows.push(...rows);
      return table.tableRows(rows);
    });
  }
  await part(figures, "l", async () => {
    figures.cold = await measureCold(port, rounds ?? (short ? 3 : 21));
    return table.coldLines(figures.cold);
  });
  await part(figures, "m", async () => {
    figures.idle = await measureIdle(port, rounds ?? (short ? 1 : 5));
    return table.idleLines(figures.idle);
  });
  await part(figures, "n", async () => {
    figures.growth = await measureGrowth(short);
    return table.growthLines(figures.growth);
  });
}

/** Four digits are more than any figure here is good for; quartiles share a line. */
function keep(figures: Figures, file: URL): void {
  const short = (_: string, value: unknown) =>
    typeof value === "number" ? Number(value.toPrecision(4)) : value;
  const text = JSON.stringify(figures, short, 2);
  const lines = text.replaceAll(
    /\{\s+("low": \S+)\s+("median": \S+)\s+("high": \S+)\s+\}/g,
    "{ $1 $2 $3 }",
  );
  Deno.writeTextFileSync(file, `${lines}\n`);
}

async function main(): Promise<void> {
  const begin = performance.now();
  await using field = await openField(short);
  const { versions, notes } = field.installed;
  const figures: Figures = {
    date: new Date().toISOString().slice(0, 10),
    short,
    seconds: 0,
    machine: machine(await canPlace()),
    versions: { ...versions, Servers: `${field.plain.kind}, ${field.tls.kind}` },
    rows: [],
    cold: [],
    idle: [],
    growth: [],
    verdicts: [],
    notes,
  };
  console.log(table.tableHead(figures));
  await measureAll(field, figures);
  figures.verdicts = verdictsOf(figures);
  figures.seconds = Math.round((performance.now() - begin) / 1000);
  console.log(table.tableFoot(figures));
  if (options.json) {
    Deno.mkdirSync(OUT, { recursive: true });
    keep(figures, new URL("results.json", OUT));
  }
  if (options.write) {
    keep(figures, RESULTS);
    await makeReport();
  }
}

await main();
