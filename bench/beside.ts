/**
 * This tree beside another one in one run: what each row of the benchmark costs, process CPU first. The
 * control is the other tree itself, of which twice as many processes run: how far one half of them is from
 * all says what a difference has to exceed.
 *
 * Of each process the 10th percentile of its rounds counts. What disturbs this machine only ever adds: the
 * same loop takes up to twice as long for seconds on end.
 *
 * `deno run -A bench/beside.ts FOLDER [rounds] [pattern]`, FOLDER being another checkout, and the pattern a
 * regular expression for the names of rows.
 *
 * @module
 */
import { bodies } from "./bodies.ts";
import type { Task } from "./clients/jobs.ts";
import { runArgs } from "./contestants.ts";
import { type Place, placed } from "./cores.ts";
import { openField } from "./field.ts";
import { LineChild } from "./line_child.ts";
import { requests } from "./requests.ts";
import { quantile, shuffled } from "./statistics.ts";
import type { Workload } from "./workload.ts";

/** How long a task runs before it is measured, in milliseconds: until V8 has compiled what it will. */
const WARM_UP = 1000;
/** Processes of this tree; of the other there are twice as many. Two of the same tree differ, too. */
const PROCESSES = 3;
/** The quantile of a process's rounds that stands for it. */
const QUANTILE = 0.1;

interface Cost {
  wall: number;
  cpu: number;
}

/** A process that runs one of the trees, and what each of its rounds took. */
interface Runner {
  child: LineChild;
  rounds: Cost[];
}

async function start(folder: string, place: Place, told: string): Promise<Runner> {
  // The map of this tree would give the name of the library to this one in both.
  const map = `--import-map=${folder}/tests/std_offline/import_map.json`;
  const flags = (await runArgs()).map((flag) => flag.startsWith("--import-map=") ? map : flag);
  const args = [
    ...flags,
    new URL("./clients/worker.mjs", import.meta.url).pathname,
    "http_client.ts",
    told,
  ];
  const child = new LineChild(folder, ...await placed(place, Deno.execPath(), args));
  await child.line();
  return { child, rounds: [] };
}

async function run({ child }: Runner, task: Task): Promise<Cost> {
  const answer = JSON.parse(await child.ask(JSON.stringify(task)));
  if (answer.error) throw new Error(answer.error);
  return answer;
}

function mean(numbers: number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** A task of this library. */
interface Row {
  name: string;
  task: Task;
  place: Place;
}

function rowsOf({ id, title, lines, place }: Workload): Row[] {
  return lines.filter((line) => line.tasks.ours !== undefined).map((line) => {
    const name = `${id} ${title}${line.way === "" ? "" : `, ${line.way}`}`;
    return { name, task: line.tasks.ours!, place };
  });
}

/** What the processes of a tree take, each its own figure, the least first. */
function figures(runners: Runner[], which: keyof Cost): number[] {
  return runners
    .map(({ rounds }) => quantile(rounds.map((cost) => cost[which]), QUANTILE))
    .toSorted((a, b) => a - b);
}

/** This tree over the other, and what the fastest and the slowest half of the other's processes are. */
function ratios(ours: Runner[], others: Runner[], which: keyof Cost): string[] {
  const all = figures(others, which);
  const over = (some: number[]) => (mean(some) / mean(all)).toFixed(2);
  const control = `${over(all.slice(0, PROCESSES))}–${over(all.slice(PROCESSES))}`;
  return [over(figures(ours, which)), control];
}

async function compare({ name, task, place }: Row, rounds: number, told: string): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const ours: Runner[] = [];
  const others: Runner[] = [];
  for (let i = 0; i < PROCESSES; i++) {
    for (const [some, folder] of [[ours, HERE], [others, OTHER], [others, OTHER]] as const) {
      const runner = await start(folder, place, told);
      stack.use(runner.child);
      some.push(runner);
    }
  }
  const all = [...ours, ...others];
  for (const runner of all) {
    for (let spent = 0; spent < WARM_UP;) spent += (await run(runner, task)).wall;
  }
  for (let i = 0; i < rounds; i++) {
    for (const runner of shuffled(all)) runner.rounds.push(await run(runner, task));
  }
  const cells = [...ratios(ours, others, "cpu"), ...ratios(ours, others, "wall")];
  console.log(`| ${name} | ${cells.join(" | ")} |`);
}

const [OTHER, rounds = "20", pattern = ""] = Deno.args;
if (OTHER === undefined) throw new Error("Give the folder of another checkout");
const HERE = new URL("..", import.meta.url).pathname;
await using field = await openField(false);
const extent = { rounds: null, short: false };
const rows = [...requests(extent), ...bodies(extent)].flatMap(rowsOf)
  .filter(({ name }) => new RegExp(pattern).test(name));
console.log("| row | CPU, this | CPU, control | wall, this | wall, control |");
console.log("| --- | --- | --- | --- | --- |");
for (const row of rows) {
  try {
    await compare(row, Number(rounds), JSON.stringify(field.config));
  } catch (error) {
    // A way that the other tree does not know.
    console.log(`| ${row.name} | ${String(error).split("\n", 1)[0]} |`);
  }
}
