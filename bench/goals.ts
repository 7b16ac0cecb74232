/**
 * The goals, and whether a run meets them.
 *
 * @module
 */
import { type Client, type Figures, NAMES, type Row, type Verdict } from "./figures.ts";
import { factor } from "./growth.ts";
import { ratio, ratioWithSpread } from "./table.ts";

/** This library is to be so many times as fast as another. */
type Goal = [id: string, way: string, than: Client, times: number];

const GOALS: Goal[] = [
  ["a", "", "raw", 0.82],
  ["a", "", "fetch", 1.3],
  ["a", "", "node", 1],
  ["a", "", "undici", 1],
  ["a", "", "undiciNode", 1],
  ["a", "same core", "raw", 0.65],
  ["a", "same core", "fetch", 1.7],
  ["a", "same core", "undici", 1],
  ["a", "same core", "undiciNode", 1],
  ["b", "", "raw", 0.78],
  ["b", "", "fetch", 1.23],
  ["c", "HTTP", "raw", 0.75],
  ["c", "HTTPS", "raw", 0.85],
  ["d", "read()", "paid", 0.95],
  ["d", "for await", "paid", 1],
  ["d", "readinto", "raw", 0.9],
  ["d", "copyTo file", "paid", 0.9],
  ["d", "copyTo file", "fetch", 1],
  ["e", "read()", "paid", 0.95],
  ["e", "read()", "fetch", 1],
  ["e", "for await", "paid", 1],
  ["e", "readinto", "raw", 0.9],
  ["e", "copyTo file", "paid", 0.9],
  ["e", "copyTo file", "fetch", 1],
  ["f", "readinto", "raw", 0.7],
  ["f", "for await", "paid", 1],
  ["g", "readline", "python", 3],
  ["g", "lines()", "python", 3],
  ["h", "1 KiB pieces", "raw", 0.6],
  ["i", "1 KiB", "raw", 0.82],
  ["i", "1 KiB", "fetch", 1.3],
  ["j", "", "raw", 0.68],
  ["j", "", "fetch", 2.2],
  ["j", "1,000", "raw", 0.68],
  ["j", "1,000", "fetch", 2.2],
];

/** What of ours is to be no slower than another way of ours, by so much. */
const OWN_GOALS: [id: string, way: string, than: string, times: number][] = [
  ["h", "file.readable", "file", 0.9],
];

/** Of the time without: an option, and what the user gives to talk over. */
const OPTION = 0.95;
const OWN_TRANSPORT = 1 / 1.5;

/** Milliseconds of a request after a rest. */
const RESTED = 1.6;
/** Milliseconds over fetch, in a fresh process. */
const COLD = 4;
/** KiB of an idle connection. */
const IDLE = 6;
/** How much more each may cost at the greatest size than at the smallest: square would be 8 and more. */
const LINEAR = 3;

function rowOf({ rows }: Figures, id: string, way: string): Row | undefined {
  return rows.find((row) => row.id === id && row.way === way);
}

function ratioVerdicts(figures: Figures): Verdict[] {
  return GOALS.flatMap(([id, way, than, times]) => {
    const found = rowOf(figures, id, way)?.rivals[than]?.wallRatio;
    if (found === undefined) return [];
    const goal = `${way === "" ? "" : `${way}: `}${times} x ${NAMES[than]}`;
    return [{ id, goal, figure: ratioWithSpread(found), met: found.median >= times }];
  });
}

function ownVerdicts(figures: Figures): Verdict[] {
  return OWN_GOALS.flatMap(([id, way, than, times]) => {
    const [ours, other] = [way, than].map((one) => rowOf(figures, id, one)?.ours.wall.median);
    if (ours === undefined || other === undefined) return [];
    const goal = `${way}: ${times} x ${than}`;
    return [{ id, goal, figure: ratio(other / ours), met: other / ours >= times }];
  });
}

function optionVerdicts({ rows }: Figures): Verdict[] {
  return rows.filter(({ option }) => option).map(({ id, way, rivals }) => {
    const times = id === "p" ? OWN_TRANSPORT : OPTION;
    const { wallRatio } = rivals.ours!;
    const goal = `${way}: ${ratio(times)} x without`;
    return { id, goal, figure: ratioWithSpread(wallRatio), met: wallRatio.median >= times };
  });
}

function fieldsVerdict(figures: Figures): Verdict[] {
  const few = rowOf(figures, "a", "")?.rivals.fetch?.wallRatio;
  const many = rowOf(figures, "k", "")?.rivals.fetch?.wallRatio;
  if (few === undefined || many === undefined) return [];
  const goal = `${ratio(few.median)} x fetch, as (a)`;
  return [{ id: "k", goal, figure: ratioWithSpread(many), met: many.median >= few.median }];
}

function absoluteVerdicts(figures: Figures): Verdict[] {
  const { cold, idle, growth } = figures;
  const verdicts: Verdict[] = [];
  const rested = rowOf(figures, "r", "")?.ours.wall.median;
  if (rested !== undefined) {
    const figure = `${rested.toFixed(2)} ms`;
    verdicts.push({ id: "r", goal: `at most ${RESTED} ms`, figure, met: rested <= RESTED });
  }
  const [first, fetched] = [NAMES.ours, NAMES.fetch]
    .map((of) => cold.find(({ name }) => name === of)?.over.median);
  if (first !== undefined && fetched !== undefined) {
    const over = first - fetched;
    const goal = `at most ${COLD} ms over fetch`;
    verdicts.push({ id: "l", goal, figure: `${over.toFixed(1)} ms`, met: over <= COLD });
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
  return [
    ...ratioVerdicts(figures),
    ...ownVerdicts(figures),
    ...optionVerdicts(figures),
    ...fieldsVerdict(figures),
    ...absoluteVerdicts(figures),
  ].toSorted((a, b) => a.id.localeCompare(b.id));
}
