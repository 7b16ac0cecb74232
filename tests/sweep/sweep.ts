/**
 * Runs the cells in child processes, with a watchdog: a cell that does not go on is frozen, which is a
 * failure as any other.
 *
 * @module
 */
import { cellName, isMeant, type Message, type Task, TOGETHER } from "./child.ts";
import { allGroups } from "./groups.ts";
import type { Group, Problem } from "./outcome.ts";

/** What to run. */
export interface SweepOptions {
  /** Each so-manyth cell. @default {1} */
  readonly sample?: number;
  /** The name of one cell or of a group; all of them where it is empty. @default {""} */
  readonly only?: string;
  /** How many child processes run at the same time. @default {2} */
  readonly jobs?: number;
  /** Whether cells are run, too, before which everything had come to rest. @default {false} */
  readonly full?: boolean;
  /** Only groups whose name begins so. @default {""} */
  readonly begin?: string;
  /** Only so many groups, from the first one on. @default {Infinity} */
  readonly first?: number;
  /** After so many frozen cells it is given up. @default {40} */
  readonly maxFrozen?: number;
  /** Told of each failing cell. */
  readonly onfailure?: (failure: Failure) => void;
  /** Told how many cells were run by then. */
  readonly onprogress?: (cells: number) => void;
}

/** A cell that failed. */
export interface Failure {
  /** Which part of the sweep it belongs to. */
  readonly part: string;
  /** Its name, to replay it by. */
  readonly name: string;
  /** The name of its group. */
  readonly group: string;
  /** What is wrong. */
  readonly problems: readonly Problem[];
}

/** What a sweep has found. */
export interface Result {
  /** How many cells were run. */
  readonly cells: number;
  /** How many groups they belong to, by the part of the sweep and the call. */
  readonly groups: ReadonlyMap<string, number>;
  /** The cells that failed. */
  readonly failures: readonly Failure[];
  /** Whether it was given up before its end. */
  readonly givenUp: boolean;
}

/** The cells to choose from, and how they are run. */
export interface Suite {
  /** All groups, in the order in which a child has them. */
  readonly groups: readonly Group[];
  /** The module that a child runs: it calls `runTask()` with the same groups. */
  readonly script: URL;
  /** How long a child may say nothing, in milliseconds. */
  readonly silence: number;
}

/** How long it may take to begin. */
const START = 30_000;
/** How many groups a child is given at a time, where all of their cells are run. */
const BLOCK = 1200;
/** And at most, where few of them are: to start a child takes as long as hundreds of cells. */
const LARGEST_BLOCK = 20_000;

/** The import map that this process runs with, if it is the one of the stand-ins. */
export function importMap(): string[] {
  const std = import.meta.resolve("@std/io/types");
  return std.startsWith("file:") ? [`--import-map=${new URL("import_map.json", std)}`] : [];
}

/** Where a child was when it ended. */
interface Ending {
  /** The group and the cell that it was at, if it did not come to its end. */
  readonly group: number;
  readonly ticks: number | null;
  /** Why it did not come to its end. */
  readonly how: "done" | "lingers" | "frozen" | "crashed";
  readonly detail: string;
}

type OnProblem = (message: Extract<Message, { at: "problem" }>) => void;

/** A child that has run all of its cells has to end by itself. */
const lingering: Problem = {
  kind: "left open",
  detail: "all cells of the process were run, and something keeps it alive; it ran this one last",
};

/** Runs one child, and watches it. */
class Watched {
  #at: { group: number; ticks: number | null };
  #done = false;
  #ran = 0;
  #heard = performance.now();
  #begun = false;
  #frozen = false;
  readonly #task: Task;
  readonly #suite: Suite;
  readonly #onproblem: OnProblem;

  constructor(task: Task, suite: Suite, onproblem: OnProblem) {
    this.#suite = suite;
    this.#at = { group: task.from, ticks: null };
    this.#onproblem = onproblem;
    this.#task = task;
  }

  /** How many cells it has run. */
  get ran(): number {
    return this.#ran;
  }

  async run(): Promise<Ending> {
    const { script, silence } = this.#suite;
    await using child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", "--no-lock", ...importMap(), script.pathname],
        JSON.stringify(this.#task),
      ],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const watchdog = setInterval(() => {
      if (performance.now() - this.#heard < (this.#begun ? silence : START)) return;
      this.#frozen = true;
      clearInterval(watchdog);
      child.kill("SIGKILL");
    }, 100);
    try {
      const [errors, status] = await Promise.all([
        new Response(child.stderr).text(),
        child.status,
        this.#listen(child.stdout),
      ]);
      const how = this.#ending(status);
      const detail = how === "crashed"
        ? `exit code ${status.code}: ${errors.slice(-400)}`
        : "no microtask, timer or event came through any more";
      return { ...this.#at, how, detail };
    } finally {
      clearInterval(watchdog);
    }
  }

  #ending(status: Deno.CommandStatus): Ending["how"] {
    if (this.#frozen) return this.#done ? "lingers" : "frozen";
    return this.#done && status.success ? "done" : "crashed";
  }

  async #listen(output: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const piece of output) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#hear(JSON.parse(line) as Message);
      this.#heard = performance.now();
      this.#begun = true;
    }
  }

  #hear(message: Message): void {
    switch (message.at) {
      case "group":
        this.#at = { group: message.group, ticks: null };
        this.#ran = message.ran;
        break;
      case "cell":
        this.#at = { group: message.group, ticks: message.ticks };
        break;
      case "problem":
        this.#onproblem(message);
        break;
      case "end":
        this.#done = true;
        this.#ran = message.ran;
    }
  }
}

/** A sweep, while it runs. */
class Sweep {
  readonly failures: Failure[] = [];
  readonly #failed = new Set<string>();
  cells = 0;
  frozen = 0;
  readonly #suite: Suite;
  readonly #groups: readonly Group[];
  readonly #options: SweepOptions;

  constructor(suite: Suite, options: SweepOptions) {
    this.#suite = suite;
    this.#groups = suite.groups;
    this.#options = options;
  }

  get givenUp(): boolean {
    return this.frozen >= (this.#options.maxFrozen ?? 40);
  }

  /** Runs a block of groups, with a new child behind each cell that ended the one before. */
  async runBlock(from: number, to: number): Promise<void> {
    let careful = 0;
    while (from < to && !this.givenUp) {
      const ending = await this.#runChild({ ...this.#taskOf(from, to), careful });
      if (ending.how === "done") return;
      if (ending.how === "lingers") return this.#fail(ending.group, null, [lingering]);
      // Which cell it was shows when they are run one by one; the rest of its group is left out.
      if (ending.group >= from + careful) {
        [from, careful] = [ending.group, this.#groups[ending.group].slow ? TOGETHER : 1];
        continue;
      }
      this.#fail(ending.group, ending.ticks, [{
        kind: ending.how === "frozen" ? "frozen" : "crashed",
        detail: ending.detail,
      }]);
      this.frozen++;
      [from, careful] = [ending.group + 1, Math.max(0, careful - (ending.group + 1 - from))];
    }
  }

  #taskOf(from: number, to: number): Omit<Task, "careful"> {
    const { sample = 1, only = "", begin = "", full = false } = this.#options;
    return { from, to, sample, only, begin, full };
  }

  async #runChild(task: Task): Promise<Ending> {
    const watched = new Watched(task, this.#suite, ({ group, ticks, problems }) => {
      this.#fail(group, ticks, problems);
    });
    const ending = await watched.run();
    this.cells += watched.ran;
    this.#options.onprogress?.(this.cells);
    return ending;
  }

  #fail(index: number, ticks: number | null, problems: readonly Problem[]): void {
    const group = this.#groups[index];
    const isOne = ticks === null || group.ticks.length === 1;
    const name = isOne ? group.name : cellName(group, ticks);
    // A group that is run again, cell by cell, tells of the same cells again.
    if (this.#failed.has(name)) return;
    this.#failed.add(name);
    const failure = { part: group.part, name, group: group.name, problems };
    this.failures.push(failure);
    this.#options.onfailure?.(failure);
  }
}

/** Failures in the order of the tables, whichever process has found them. */
function inOrder(failures: readonly Failure[], groups: readonly Group[]): Failure[] {
  const places = new Map(groups.map(({ name }, index) => [name, index]));
  return failures.toSorted((a, b) => places.get(a.group)! - places.get(b.group)!);
}

/** The name of what a group is counted under. */
function countedAs({ part, name }: Group): string {
  return `${part}: ${name.split(" / ")[0]}`;
}

/**
 * Runs the sweep, or a part of it.
 *
 * @param options What to run
 * @returns What was found
 */
export async function sweep(options: SweepOptions = {}): Promise<Result> {
  const script = new URL("child.ts", import.meta.url);
  return await runSuite({ groups: allGroups(), script, silence: 3000 }, options);
}

/**
 * Runs a suite, or a part of it.
 *
 * @param suite The cells to choose from
 * @param options What to run
 * @param block How many groups a child is given at a time
 * @returns What was found
 */
export async function runSuite(
  suite: Suite,
  options: SweepOptions = {},
  block = Math.min(BLOCK * (options.sample ?? 1), LARGEST_BLOCK),
): Promise<Result> {
  const { groups } = suite;
  const { only = "", begin = "", jobs = 2, first = Infinity } = options;
  const meant = (group: Group, index: number) =>
    index < first && isMeant(only, group) && group.name.startsWith(begin);
  const run = new Sweep(suite, options);
  const blocks: { from: number; to: number; count: number }[] = [];
  const counts = new Map<string, number>();
  groups.forEach((group, index) => {
    if (!meant(group, index)) return;
    counts.set(countedAs(group), (counts.get(countedAs(group)) ?? 0) + 1);
    const last = blocks.at(-1);
    // A child passes over those that are not meant.
    if (last === undefined || last.count === block) {
      blocks.push({ from: index, to: index + 1, count: 1 });
    } else {
      last.to = index + 1;
      last.count++;
    }
  });
  const work = async () => {
    for (let next = blocks.shift(); next !== undefined; next = blocks.shift()) {
      await run.runBlock(next.from, next.to);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  const { cells, givenUp } = run;
  return { cells, groups: counts, failures: inOrder(run.failures, groups), givenUp };
}
