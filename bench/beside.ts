/**
 * This tree beside another one, and beside a copy of that one (the control, whose ratio is noise), in one
 * run: what each row of the benchmark costs, process CPU first.
 *
 * `deno run -A bench/beside.ts FOLDER [rounds] [pattern]`, FOLDER being another checkout, and the pattern a
 * regular expression for the names of rows.
 *
 * @module
 */
import { bodies } from "./bodies.ts";
import type { Task } from "./clients/jobs.ts";
import { runArgs } from "./contestants.ts";
import { placed } from "./cores.ts";
import { openField } from "./field.ts";
import { LineChild } from "./line_child.ts";
import { requests } from "./requests.ts";
import { shuffled } from "./statistics.ts";
import type { Workload } from "./workload.ts";

/** How long a task runs before it is measured, in milliseconds: until V8 has compiled what it will. */
const WARM_UP = 1000;
/** Processes of each tree, whose mean counts: two of the same tree differ by up to 30 %. */
const PROCESSES = 3;

interface Tree {
  name: "this" | "other" | "control";
  child: LineChild;
}

async function start(name: Tree["name"], folder: string, told: string): Promise<Tree> {
  // The map of this tree would give the name of the library to this one in all three.
  const map = `--import-map=${folder}/tests/std_offline/import_map.json`;
  const flags = (await runArgs()).map((flag) => flag.startsWith("--import-map=") ? map : flag);
  const args = [
    ...flags,
    new URL("./clients/worker.mjs", import.meta.url).pathname,
    "http_client.ts",
    told,
  ];
  const child = new LineChild(name, ...await placed("apart", Deno.execPath(), args));
  await child.line();
  return { name, child };
}

async function run({ child }: Tree, task: Task): Promise<{ wall: number; cpu: number }> {
  const answer = JSON.parse(await child.ask(JSON.stringify(task)));
  if (answer.error) throw new Error(answer.error);
  return answer;
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

/** The tasks of this library, each once. */
function tasksOf({ id, title, lines }: Workload): [name: string, task: Task][] {
  return lines.filter((line) => line.tasks.ours !== undefined).map((line) => [
    `${id} ${title}${line.way === "" ? "" : `, ${line.way}`}`,
    line.tasks.ours!,
  ]);
}

const [folder, rounds = "15", pattern = ""] = Deno.args;
if (folder === undefined) throw new Error("Give the folder of another checkout");
await using field = await openField(false);
const told = JSON.stringify(field.config);
const here = new URL("..", import.meta.url).pathname;
const extent = { rounds: null, short: false };
const rows = [...requests(extent), ...bodies(extent)].flatMap(tasksOf)
  .filter(([name]) => new RegExp(pattern).test(name));
console.log("| row | CPU, control | CPU, this | wall, control | wall, this |");
console.log("| --- | --- | --- | --- | --- |");
for (const [name, task] of rows) {
  try {
    await compare(name, task);
  } catch (error) {
    // A way that the other tree does not know.
    console.log(`| ${name} | ${String(error).split("\n", 1)[0]} |`);
  }
}

async function compare(name: string, task: Task): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const trees: Tree[] = [];
  for (let i = 0; i < PROCESSES; i++) {
    for (const [who, where] of [["this", here], ["other", folder], ["control", folder]] as const) {
      const tree = await start(who, where, told);
      stack.use(tree.child);
      trees.push(tree);
    }
  }
  for (const tree of trees) {
    for (let spent = 0; spent < WARM_UP;) spent += (await run(tree, task)).wall;
  }
  const taken: Record<string, { wall: number; cpu: number }>[] = [];
  for (let round = 0; round < Number(rounds); round++) {
    const sums = {
      this: { wall: 0, cpu: 0 },
      other: { wall: 0, cpu: 0 },
      control: { wall: 0, cpu: 0 },
    };
    for (const tree of shuffled(trees)) {
      const { wall, cpu } = await run(tree, task);
      sums[tree.name].wall += wall;
      sums[tree.name].cpu += cpu;
    }
    taken.push(sums);
  }
  const ratio = (which: "wall" | "cpu", name: string) =>
    median(taken.map((sums) => sums[name][which] / sums.other[which])).toFixed(2);
  const cells = (["cpu", "wall"] as const)
    .flatMap((which) => [ratio(which, "control"), ratio(which, "this")]);
  console.log(`| ${name} | ${cells.join(" | ")} |`);
}
