/**
 * Measures a workload: fresh processes that warm up, and then rounds in each of which every client does
 * its tasks once, in random order.
 *
 * @module
 */
import type { Task } from "./clients/jobs.ts";
import { Contestant } from "./contestants.ts";
import type { Field } from "./field.ts";
import type { Beside, Client, Cost, Row } from "./figures.ts";
import { ratios, shuffled, spread } from "./statistics.ts";
import { type Line, units, type Workload } from "./workload.ts";

/** A workload is given no more rounds after so many milliseconds, if it had the fewest. */
const MOST = 20_000;
const FEWEST = 3;

/** A task of a client, with what it took in each round. */
interface Entrant {
  client: Client;
  task: Task;
  wall: number[];
  cpu: number[];
  server: number[];
}

function nameOf(client: Client, task: Task): string {
  return `${client} ${JSON.stringify(task)}`;
}

/** The tasks of a workload: what several lines share is measured once. */
function entrants(workload: Workload, clients: Client[]): Map<string, Entrant> {
  const all = new Map<string, Entrant>();
  const add = (client: Client, task: Task): void => {
    if (!clients.includes(client)) return;
    all.set(nameOf(client, task), { client, task, wall: [], cpu: [], server: [] });
  };
  for (const { tasks, without } of workload.lines) {
    for (const [client, task] of Object.entries(tasks)) add(client as Client, task);
    if (without !== undefined) add("ours", without);
  }
  return all;
}

/** Runs a task once. */
async function sample(
  contestant: Contestant,
  entrant: Entrant,
  { config, plain, tls }: Field,
): Promise<{ wall: number; cpu: number; server: number }> {
  const { task } = entrant;
  // What is written over costs more than what is new.
  if (task.way.endsWith(" file")) await Deno.remove(config.download).catch(() => {});
  const server = task.tls ? tls : plain;
  const before = await server.cpu();
  const { wall, cpu } = await contestant.run(task);
  return { wall, cpu, server: (await server.cpu() - before) / wall };
}

function costOf({ wall, cpu, server }: Entrant): Cost {
  return { wall: spread(wall), cpu: spread(cpu), server: spread(server).median };
}

function beside(rival: Entrant, ours: Entrant): Beside {
  return {
    ...costOf(rival),
    wallRatio: ratios(rival.wall, ours.wall),
    cpuRatio: ratios(rival.cpu, ours.cpu),
  };
}

/** What came out for one line of the table. */
function rowOf(workload: Workload, line: Line, all: Map<string, Entrant>): Row {
  const { id, title, bytes, rounds } = workload;
  const find = (client: Client, task: Task) => all.get(nameOf(client, task));
  const ours = find("ours", line.tasks.ours!)!;
  const rivals: Row["rivals"] = {};
  for (const [name, task] of Object.entries(line.tasks)) {
    const client = name as Client;
    const rival = find(client, task);
    if (client !== "ours" && rival !== undefined) rivals[client] = beside(rival, ours);
  }
  const option = line.without !== undefined;
  if (line.without !== undefined) rivals.ours = beside(find("ours", line.without)!, ours);
  return { id, title, way: line.way, bytes, rounds, ours: costOf(ours), rivals, option };
}

/** Runs each task for a while, so that what is hot is compiled. */
async function warmUp(
  all: Entrant[],
  contestants: Map<Client, Contestant>,
  most: number,
): Promise<void> {
  for (const { client, task } of all) {
    const end = performance.now() + most;
    do await contestants.get(client)!.run(task); while (performance.now() < end);
  }
}

/**
 * Measures a workload; on a slow machine in fewer rounds, so that a run ends in time. Before, each task
 * runs for `warm` milliseconds, if it is one of big bodies for a fifth of that, and at least once.
 */
export async function measure(workload: Workload, field: Field, warm: number): Promise<Row[]> {
  const all = entrants(workload, field.installed.clients);
  await using stack = new AsyncDisposableStack();
  const contestants = new Map<Client, Contestant>();
  for (const { client } of all.values()) {
    if (contestants.has(client)) continue;
    const { installed, config } = field;
    const contestant = await Contestant.start(client, installed, config, workload.place);
    contestants.set(client, stack.use(contestant));
  }
  await warmUp([...all.values()], contestants, workload.bytes === null ? warm : warm / 5);
  const end = performance.now() + MOST;
  let rounds = 0;
  while (rounds < workload.rounds && (rounds < FEWEST || performance.now() < end)) {
    for (const entrant of shuffled([...all.values()])) {
      const { wall, cpu, server } = await sample(contestants.get(entrant.client)!, entrant, field);
      const per = units(workload, entrant.task);
      entrant.wall.push(wall / per);
      entrant.cpu.push(cpu / per);
      entrant.server.push(server);
    }
    rounds++;
  }
  return workload.lines.map((line) => rowOf({ ...workload, rounds }, line, all));
}
