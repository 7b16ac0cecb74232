/**
 * Tells which mutants the compiler would refuse. Many are checked at once: each lies beside its module,
 * under a name of its own, and what it imports is the unchanged rest.
 *
 * @module
 */

import { join } from "node:path";
import { apply, type Mutant } from "./mutants.ts";
import { runDeno } from "./processes.ts";

const BATCH = 150;

/** Names in what deno prints, such as `at file:///folder/module.mutant7.ts:12:3`. */
const NAMED = /\.mutant(\d+)\.ts:\d+:\d+/g;
const UNCHANGED = "unchanged";

function fileOf({ module }: Mutant, name: number | string): string {
  return module.replace(/\.ts$/, `.mutant${name}.ts`);
}

/** Checks mutants that can be parsed; a syntax error stops the compiler, so that it is begun anew. */
async function checkAll(folder: string, mutants: Mutant[], sources: Map<string, string>) {
  const bad = new Set<number>();
  const paths = mutants.map((mutant, i) => fileOf(mutant, i));
  for (const [i, mutant] of mutants.entries()) {
    await Deno.writeTextFile(join(folder, paths[i]), apply(sources.get(mutant.module)!, mutant));
  }
  while (true) {
    const left = paths.filter((_, i) => !bad.has(i));
    const { code, output } = await runDeno(folder, ["check", "--quiet", ...left]);
    const named = [...output.matchAll(NAMED)].map(([_, i]) => Number(i));
    const before = bad.size;
    for (const i of named) bad.add(i);
    if (code === 0 || /TS\d+ \[ERROR\]/.test(output)) break;
    if (bad.size === before) throw new Error(`Cannot check the mutants' types: ${output}`);
  }
  for (const path of paths) await Deno.remove(join(folder, path));
  return bad;
}

/** A module under another name must pass, or all of its mutants would be refused for nothing. */
async function checkUnchanged(folder: string, sources: Map<string, string>): Promise<void> {
  const paths: string[] = [];
  for (const [module, source] of sources) {
    const path = fileOf({ module } as Mutant, UNCHANGED);
    await Deno.writeTextFile(join(folder, path), source);
    paths.push(path);
  }
  const { code, output } = await runDeno(folder, ["check", "--quiet", ...paths]);
  if (code !== 0) throw new Error(`Cannot check types, not even without a mutant: ${output}`);
  for (const path of paths) await Deno.remove(join(folder, path));
}

/** Keeps what the compiler says of each mutant. */
export class TypeCheck {
  readonly #folder: string;
  readonly #sources: Map<string, string>;
  readonly #passes = new Map<string, boolean>();
  #ready = false;

  /**
   * @param folder A copy of the project
   * @param sources The modules that are mutated, by their paths
   */
  constructor(folder: string, sources: Map<string, string>) {
    this.#folder = folder;
    this.#sources = sources;
  }

  /**
   * Picks the first mutants that pass the type check.
   *
   * @param mutants The mutants in the order in which they are wanted
   * @param count How many are wanted
   * @returns At most so many, in the same order
   */
  async firstGood(mutants: Mutant[], count: number): Promise<Mutant[]> {
    const good: Mutant[] = [];
    for (let at = 0; at < mutants.length && good.length < count; at += BATCH) {
      const batch = mutants.slice(at, at + Math.min(BATCH, 20 + 2 * (count - good.length)));
      await this.#check(batch.filter(({ id }) => !this.#passes.has(id)));
      good.push(...batch.filter(({ id }) => this.#passes.get(id)));
      at -= BATCH - batch.length;
    }
    return good.slice(0, count);
  }

  async #check(mutants: Mutant[]): Promise<void> {
    if (mutants.length === 0) return;
    if (!this.#ready) await checkUnchanged(this.#folder, this.#sources);
    this.#ready = true;
    const bad = await checkAll(this.#folder, mutants, this.#sources);
    for (const [i, { id }] of mutants.entries()) this.#passes.set(id, !bad.has(i));
  }
}
