/**
 * Runs a block of groups, and says on its output what it is at, so that a parent process can tell a
 * frozen cell from one that works: a process that spins in microtasks cannot watch itself.
 *
 * @module
 */
import { allGroups } from "./groups.ts";
import type { Group, Problem, Verdict } from "./outcome.ts";
import { watchRejections } from "./signals.ts";

/** Which cells a child runs. */
export interface Task {
  /** The first group. */
  readonly from: number;
  /** The group behind the last one. */
  readonly to: number;
  /** Each so-manyth cell is run. */
  readonly sample: number;
  /** For so many groups at first, it runs and names one cell at a time. */
  readonly careful: number;
  /** Only cells of these groups, if there are any. */
  readonly only: string;
  /** Only groups whose name begins so. */
  readonly begin: string;
  /** Whether cells are run, too, before which everything had come to rest. */
  readonly full: boolean;
}

/** What a child says, one JSON value a line. */
export type Message =
  | { readonly at: "group"; readonly group: number; readonly ran: number }
  | { readonly at: "cell"; readonly group: number; readonly ticks: number }
  | {
    readonly at: "problem";
    readonly group: number;
    readonly ticks: number;
    readonly problems: readonly Problem[];
  }
  | { readonly at: "end"; readonly ran: number };

const encoder = new TextEncoder();

function say(message: Message): void {
  const line = encoder.encode(JSON.stringify(message) + "\n");
  for (let at = 0; at < line.length;) at += Deno.stdout.writeSync(line.subarray(at));
}

/** After so many cells in a row in which all was at rest, more microtasks make no difference. */
const AT_REST = 4;
/** How many groups that wait for a clock run at the same time. */
export const TOGETHER = 32;

/** The name of one cell. */
export function cellName(group: Group, ticks: number): string {
  return `${group.name} / ${ticks}`;
}

/** Whether a cell, or some cell of a group, is meant by `--only`. */
export function isMeant(only: string, group: Group, ticks?: number): boolean {
  if (only === "") return true;
  if (ticks !== undefined) return only === group.name || only === cellName(group, ticks);
  return group.ticks.some((each) => isMeant(only, group, each));
}

class Child {
  #ran = 0;
  readonly #task: Task;
  readonly #groups: readonly Group[];
  /** The number of the first cell of each group. */
  readonly #first: number[] = [];

  constructor(task: Task, groups: readonly Group[]) {
    this.#task = task;
    this.#groups = groups;
    let cells = 0;
    for (const group of this.#groups) {
      this.#first.push(cells);
      cells += group.ticks.length;
    }
  }

  async run(): Promise<void> {
    const { from, to } = this.#task;
    for (let index = from; index < to;) {
      say({ at: "group", group: index, ran: this.#ran });
      const careful = index < from + this.#task.careful;
      if (careful || !this.#groups[index].slow) await this.#runGroup(index++, careful);
      else {
        let end = index;
        while (end < Math.min(to, index + TOGETHER) && this.#groups[end].slow) end++;
        const batch = Array.from(
          { length: end - index },
          (_, i) => this.#runGroup(index + i, false),
        );
        await Promise.all(batch);
        index = end;
      }
    }
    say({ at: "end", ran: this.#ran });
  }

  async #runGroup(index: number, careful: boolean): Promise<void> {
    const group = this.#groups[index];
    const { only, begin, sample, full } = this.#task;
    if (!group.name.startsWith(begin)) return;
    let resting = 0;
    for (const [i, ticks] of group.ticks.entries()) {
      if ((this.#first[index] + i) % sample !== 0 || !isMeant(only, group, ticks)) continue;
      if (careful) say({ at: "cell", group: index, ticks });
      const { problems, atRest } = await this.#runCell(group, ticks);
      if (problems.length > 0) say({ at: "problem", group: index, ticks, problems });
      resting = atRest ? resting + 1 : 0;
      if (resting >= AT_REST && !full) return;
    }
  }

  async #runCell(group: Group, ticks: number): Promise<Verdict> {
    this.#ran++;
    try {
      return await group.run(ticks);
    } catch (error) {
      const detail = String(error instanceof Error ? error.stack : error);
      return { problems: [{ kind: "crashed", detail }], atRest: false };
    }
  }
}

/**
 * Runs the task that this process was given.
 *
 * @param groups All groups
 */
export async function runTask(groups: readonly Group[]): Promise<void> {
  watchRejections();
  await new Child(JSON.parse(Deno.args[0]) as Task, groups).run();
}

if (import.meta.main) await runTask(allGroups());
