/**
 * The figures of a run as Markdown.
 *
 * @module
 */
import { type Figures, NAMES, RIVALS, type Row, type Spread } from "./figures.ts";
import { growthPoints, rate, ratio, serverLine, time } from "./table.ts";

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function pairs(of: Record<string, string>): string[][] {
  return Object.entries(of);
}

/** A ratio with its quartiles. */
function cell(spread: Spread | undefined): string {
  if (spread === undefined) return "";
  const { low, median, high } = spread;
  return `**${ratio(median)}** (${ratio(low)}–${ratio(high)})`;
}

/** The clients that took part. */
function present({ rows }: Figures): typeof RIVALS {
  return RIVALS.filter((client) => rows.some((row) => row.rivals[client] !== undefined));
}

/** What a row is about. */
export function labelOf({ id, title, way }: Row): string {
  return `(${id}) ${title}${way === "" ? "" : `, ${way}`}`;
}

function own(row: Row): string {
  const { median } = row.ours.wall;
  return row.bytes === null ? time(median) : `${time(median)}, ${rate(row.bytes, median)}`;
}

function ratioTable(figures: Figures, of: "wallRatio" | "cpuRatio"): string {
  const clients = present(figures);
  const rows = figures.rows.filter(({ option }) => !option).map((row) => [
    labelOf(row),
    of === "wallRatio" ? own(row) : time(row.ours.cpu.median),
    ...clients.map((client) => cell(row.rivals[client]?.[of])),
  ]);
  return table(["", NAMES.ours, ...clients.map((client) => NAMES[client])], rows);
}

function optionTable({ rows }: Figures): string {
  const head = ["", "wall", "CPU"];
  const cells = rows.filter(({ option }) => option).map(({ id, way, rivals }) => {
    const { wallRatio, cpuRatio } = rivals.ours!;
    return [`(${id}) ${way}`, cell(wallRatio), cell(cpuRatio)];
  });
  return table(head, cells);
}

function coldTable({ cold }: Figures): string {
  const figure = ({ low, median, high }: Spread) =>
    `${median.toFixed(1)} (${low.toFixed(1)}–${high.toFixed(1)})`;
  const rows = cold.map(({ name, wall, over }) => [name, figure(wall), figure(over)]);
  return table(["", "ms from start to end", "ms over the bare script"], rows);
}

function idleTable({ idle }: Figures): string {
  const rows = idle.map(({ name, kib: { low, median, high } }) => [
    name,
    `${median.toFixed(1)} (${low.toFixed(1)}–${high.toFixed(1)})`,
  ]);
  return table(["", "KiB for each"], rows);
}

function growthTable({ growth }: Figures): string {
  const rows = growth.map((one) => [one.name, growthPoints(one).join("<br>")]);
  return table(["", "size: time"], rows);
}

function goalTable({ verdicts }: Figures): string {
  const rows = verdicts.map(({ id, goal, figure, met }) => [
    `(${id}) ${goal}`,
    figure,
    met ? "met" : "**missed**",
  ]);
  return table(["goal", "figure", ""], rows);
}

/** The whole report. */
export function report(figures: Figures): string {
  const { date, seconds, short, machine, versions, notes } = figures;
  return `# Results of the benchmark

Made by \`deno task bench --write\` on ${date}, in one run of ${seconds} s${
    short ? " (short: it tells too little)" : ""
  }; do not edit.

${table(["", ""], [...pairs(machine), ...pairs(versions)])}

Each client runs in a process of its own, the server in another; in each round every client does its
tasks once, in random order. A figure is the median over all rounds of a client's time over ours in
the same round, with the quartiles behind it: how many times as fast as that client this library is.
Below 1 that client is faster. \`raw Deno.Conn\` is a bare loop that moves the same bytes and knows
beforehand how many come: it does not parse. \`raw, as promised\` does what our call promises, too
(memory of its own for what is given out, a read that is out before a request is written, text, JSON,
a file), and is the limit that can be reached.

![Chart](chart.svg)

## Wall time

${ratioTable(figures, "wallRatio")}

## CPU of the client's process

All threads, user and system.

${ratioTable(figures, "cpuRatio")}

## What is not used costs nothing

The cost without an option, or over what this library opens itself, over the cost with it: below 1 it
costs something.

${optionTable(figures)}

## Cold start

(l) \`import\` and the first request, in a fresh process.

${coldTable(figures)}

## Idle connections

(m) Memory for each of 1,000 idle connections, after a request on each.

${idleTable(figures)}

## How the cost grows

(n) In memory, so that nothing but this library counts.

${growthTable(figures)}

## Goals

${goalTable(figures)}

## The server

${[...serverLine(figures), ...notes].map((line) => `${line}.`).join("\n")}
`;
}

/** The rows of the README, by workload and way: those where others are faster are among them. */
const IN_README = [
  ["a", ""],
  ["b", ""],
  ["d", "read()"],
  ["e", "for await"],
  ["h", "bytes"],
];
/** Its columns beside this library. */
const RIVALS_IN_README: typeof RIVALS = ["fetch", "node", "undici", "python", "paid"];

/** The part of it that stands in the README. */
export function readmePart(figures: Figures): string {
  const measured = present(figures);
  const clients = RIVALS_IN_README.filter((client) => measured.includes(client));
  const rows = IN_README.flatMap(([id, way]) => {
    const row = figures.rows.find((one) => one.id === id && one.way === way);
    if (row === undefined) return [];
    const cells = clients.map((client) => {
      const found = row.rivals[client]?.wallRatio.median;
      return found === undefined ? "" : ratio(found);
    });
    return [[labelOf(row).slice(4), own(row), ...cells]];
  });
  const { Processor, Cores } = figures.machine;
  const { Deno, Node, CPython } = figures.versions;
  const on = [`Deno ${Deno}`, Node && `Node ${Node}`, CPython && `CPython ${CPython}`];
  return `![How fast this library and others are](bench/chart.svg)

The first column is our median on loopback. The others show our speed
relative to that client: 2 is twice as fast, and below 1 that client is faster.

${table(["", NAMES.ours, ...clients.map((client) => NAMES[client])], rows)}

\`raw, as promised\` is a loop over a bare \`Deno.Conn\` that does no more than our call promises: the
best that could be reached. Measured on ${Processor}, ${Cores} cores, with ${
    on.filter(Boolean).join(", ")
  }. [All figures](bench/RESULTS.md) list further cases, including more that we lose;
\`deno task bench\` measures them on your machine.`;
}
