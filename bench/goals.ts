/**
 * The goals, and whether a run meets them.
 *
 * @module
 */
import {
  type Client,
  type Figures,
  NAMES,
  type Row,
  type Spread,
  type Verdict,
} from "./figures.ts";
import { factor } from "./growth.ts";
import { ratio, ratioWithSpread } from "./table.ts";

/** This library is to be so many times as fast as another. */
type Goal = [id: string, way: string, than: Client, times: number];

const GOALS: Goal[] = [
  ["a", "", "raw", 0.8],
  ["a", "", "fetch", 1.6],
  ["a", "", "node", 1.4],
  ["a", "", "undici", 1.4],
  ["a", "", "python", 1.25],
  ["b", "", "fetch", 1.4],
  ["c", "HTTP", "fetch", 1],
  ["c", "HTTPS", "fetch", 1],
  ["d", "readinto", "raw", 0.8],
  ["d", "for await", "fetch", 1.2],
  ["d", "read()", "fetch", 1.2],
  ["d", "pipeTo file", "fetch", 1],
  ["e", "readinto", "raw", 0.8],
  ["e", "for await", "fetch", 3],
  ["f", "readinto", "raw", 0.4],
  ["f", "for await", "raw", 0.35],
  ["f", "for await", "fetch", 50],
  ["f", "readinto", "python", 5],
  ["g", "readline", "python", 3],
  ["h", "bytes", "raw", 0.9],
  ["h", "64 KiB pieces", "fetch", 1.3],
  ["h", "1 KiB pieces", "fetch", 3],
  ["h", "file", "fetch", 1.5],
  ["j", "", "fetch", 1.3],
];

/** Milliseconds over a bare script. */
const COLD = 25;
/** KiB of an idle connection. */
const IDLE = 80;
/** How much more each may cost at the greatest size than at the smallest: square would be 8 and more. */
const LINEAR = 3;

function find({ rows }: Figures, id: string, way: string, than: Client): Spread | undefined {
  return rows.find((row: Row) => row.id === id && row.way === way)?.rivals[than]?.wallRatio;
}

function ratioVerdicts(figures: Figures): Verdict[] {
  return GOALS.flatMap(([id, way, than, times]) => {
    const found = find(figures, id, way, than);
    if (found === undefined) return [];
    const goal = `${way === "" ? "" : `${way}: `}${times} x ${NAMES[than]}`;
    return [{ id, goal, figure: ratioWithSpread(found), met: found.median >= times }];
  });
}

function fieldsVerdict(figures: Figures): Verdict[] {
  const few = find(figures, "a", "", "fetch");
  const many = find(figures, "k", "", "fetch");
  if (few === undefined || many === undefined) return [];
  const goal = `${ratio(few.median)} x fetch, as (a)`;
  return [{ id: "k", goal, figure: ratioWithSpread(many), met: many.median >= few.median }];
}

function absoluteVerdicts({ cold, idle, growth }: Figures): Verdict[] {
  const verdicts: Verdict[] = [];
  const first = cold.find(({ name }) => name === NAMES.ours);
  if (first !== undefined) {
    const { median } = first.over;
    const goal = `at most ${COLD} ms over a bare script`;
    verdicts.push({ id: "l", goal, figure: `${median.toFixed(1)} ms`, met: median <= COLD });
  }
  const kept = idle.find(({ name }) => name === NAMES.ours);
  if (kept !== undefined) {
    const { median } = kept.kib;
    const goal = `at most ${IDLE} KiB for an idle connection`;
    verdicts.push({ id: "m", goal, figure: `${median.toFixed(1)} KiB`, met: median <= IDLE });
  }
  for (const one of growth) {
    const grown = factor(one);
    const goal = `${one.name}: linear`;
    const figure = `x ${ratio(grown)} a ${one.unit}`;
    verdicts.push({ id: "n", goal, figure, met: grown <= LINEAR });
  }
  return verdicts;
}

/** Which goals a run meets; those that it did not measure are left out. */
export function verdictsOf(figures: Figures): Verdict[] {
  return [...ratioVerdicts(figures), ...fieldsVerdict(figures), ...absoluteVerdicts(figures)]
    .toSorted((a, b) => a.id.localeCompare(b.id));
}
