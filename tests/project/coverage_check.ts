/**
 * Fails where the published modules are covered less than they should be. Reads the report that
 * `deno test --coverage` wrote; takes its path.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { publishedModules, ROOT } from "../helpers/project.ts";

/** The least that is enough, in percent. */
const LEAST = { lines: 95, branches: 90 };

type Kind = keyof typeof LEAST;
type Counts = Record<Kind, { hit: number; found: number }>;

const FIELDS: Record<string, [Kind, "hit" | "found"]> = {
  LH: ["lines", "hit"],
  LF: ["lines", "found"],
  BRH: ["branches", "hit"],
  BRF: ["branches", "found"],
};

/** Reads an lcov report into counts by file. */
function readReport(text: string): Map<string, Counts> {
  const report = new Map<string, Counts>();
  let counts: Counts | undefined;
  for (const line of text.split("\n")) {
    const [key, value] = line.split(/:(.*)/s);
    if (key === "SF") {
      counts = { lines: { hit: 0, found: 0 }, branches: { hit: 0, found: 0 } };
      report.set(value, counts);
    }
    if (!(key in FIELDS) || counts === undefined) continue;
    const [kind, field] = FIELDS[key];
    counts[kind][field] = Number(value);
  }
  return report;
}

function percent({ hit, found }: { hit: number; found: number }): number {
  return found === 0 ? 100 : 100 * hit / found;
}

/** Whether the modules together are covered enough. A module without counts has none to miss. */
function isEnough(all: Counts[], kind: Kind): boolean {
  const hit = all.reduce((sum, counts) => sum + counts[kind].hit, 0);
  const found = all.reduce((sum, counts) => sum + counts[kind].found, 0);
  const covered = percent({ hit, found });
  console.log(`${kind}: ${covered.toFixed(1)} % covered, ${LEAST[kind]} % needed`);
  return covered >= LEAST[kind];
}

if (import.meta.main) {
  const report = readReport(Deno.readTextFileSync(Deno.args[0]));
  const all: Counts[] = [];
  for (const path of publishedModules()) {
    const counts = report.get(fileURLToPath(new URL(path, ROOT)));
    if (counts === undefined) continue;
    all.push(counts);
    const [lines, branches] = [percent(counts.lines), percent(counts.branches)];
    console.log(`${path}: lines ${lines.toFixed(1)} %, branches ${branches.toFixed(1)} %`);
  }
  const results = (["lines", "branches"] as const).map((kind) => isEnough(all, kind));
  if (all.length === 0 || results.includes(false)) Deno.exit(1);
}
