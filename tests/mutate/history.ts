/**
 * Remembers what became of mutants, so that what killed one before is run first, and survivors can be
 * run again alone.
 *
 * @module
 */

import { ROOT } from "../helpers/project.ts";
import type { Mutant } from "./mutants.ts";
import type { Verdict } from "./run_mutant.ts";

const FILE = new URL("tests/tmp/mutate/history.json", ROOT);

type Entry = Pick<Verdict, "result" | "by">;

/** A mutant's name that stays when code around it moves. */
function keyOf({ module, text, mutation }: Mutant): string {
  return `${module} ${text} ${mutation}`;
}

/** What became of mutants in this run and in those before it. */
export class History {
  readonly #entries: Record<string, Entry>;

  constructor(entries: Record<string, Entry> = {}) {
    this.#entries = entries;
  }

  /** Reads what was saved, if anything was. */
  static async read(): Promise<History> {
    try {
      return new History(JSON.parse(await Deno.readTextFile(FILE)));
    } catch {
      return new History();
    }
  }

  /** Saves it for the next run. */
  async save(): Promise<void> {
    await Deno.writeTextFile(FILE, JSON.stringify(this.#entries, null, 1));
  }

  /** Adds what became of a mutant. */
  add({ mutant, result, by }: Verdict): void {
    this.#entries[keyOf(mutant)] = { result, by };
  }

  /** The test file that has killed a mutant. */
  killerOf(mutant: Mutant): string | null {
    const entry = this.#entries[keyOf(mutant)];
    return entry?.result === "killed" ? entry.by : null;
  }

  /** Whether no test killed a mutant when it was run last. */
  isAlive(mutant: Mutant): boolean {
    const result = this.#entries[keyOf(mutant)]?.result;
    return result === "survived" || result === "timed out";
  }
}
