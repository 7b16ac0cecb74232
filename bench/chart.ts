/**
 * The figures of a run as a chart: one panel for each of some workloads, one bar for each client.
 *
 * @module
 */
import { type Client, type Figures, NAMES, type Row } from "./figures.ts";
import { rate } from "./table.ts";

/** Which rows, and what stands over them. */
const PANELS: [id: string, way: string, title: string][] = [
  ["a", "", "GET 1 KiB, kept connection"],
  ["b", "", "the same over HTTPS"],
  ["j", "", "100 connections at once"],
  ["d", "for await", "64 MiB by length"],
  ["e", "for await", "64 MiB in chunks of 8 KiB"],
  ["f", "for await", "64 MiB in chunks of 100 B"],
  ["h", "bytes", "upload of 64 MiB"],
  ["h", "1 KiB pieces", "upload in pieces of 1 KiB"],
];

const COLUMNS = 2;
const WIDTH = 430;
const BAR = 14;
const GAP = 5;
const NAME = 110;
const VALUE = 95;
const TITLE = 26;
const MARGIN = 14;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 13px }
  .name { text-anchor: end }
  .value { fill: #57606a }
  .other { fill: #b6bec7 }
  .raw { fill: none; stroke: #8c959f }
  .ours { fill: #1a7f64 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .value { fill: #9198a1 }
    .other { fill: #57606a }
    .ours { fill: #2fbf98 }
  }`;

interface Bar {
  client: Client;
  /** Requests or bytes in a second. */
  speed: number;
  label: string;
}

function barsOf(row: Row): Bar[] {
  const costs = Object.entries({ ...row.rivals, ours: row.ours });
  const bars = costs.map(([client, { wall: { median } }]) => ({
    client: client as Client,
    speed: (row.bytes ?? 1) / median,
    label: row.bytes === null
      ? `${Math.round(1000 / median).toLocaleString("en")}/s`
      : rate(row.bytes, median),
  }));
  return bars.toSorted((a, b) => b.speed - a.speed);
}

function barElement({ client, speed, label }: Bar, most: number, y: number): string {
  const width = Math.max(1, (WIDTH - NAME - VALUE) * speed / most);
  const kind = client === "ours" || client === "raw" ? client : "other";
  const middle = y + BAR - 3;
  const bold = client === "ours" ? ` font-weight="600"` : "";
  return [
    `<text class="name" x="${NAME - 6}" y="${middle}"${bold}>${NAMES[client]}</text>`,
    `<rect class="${kind}" x="${NAME}" y="${y}" width="${width.toFixed(1)}" height="${BAR}"/>`,
    `<text class="value" x="${(NAME + width + 6).toFixed(1)}" y="${middle}">${label}</text>`,
  ].join("\n");
}

function panel(title: string, bars: Bar[], x: number, y: number): string {
  const most = Math.max(...bars.map(({ speed }) => speed));
  const elements = bars.map((bar, i) => barElement(bar, most, TITLE + i * (BAR + GAP)));
  return [
    `<g transform="translate(${x} ${y})">`,
    `<text class="title" x="${NAME}" y="14">${title}</text>`,
    ...elements,
    "</g>",
  ].join("\n");
}

/** The chart, an SVG. */
export function chart({ rows, machine, versions }: Figures): string {
  const panels = PANELS.flatMap(([id, way, title]) => {
    const row = rows.find((one) => one.id === id && one.way === way);
    return row === undefined ? [] : [{ title, bars: barsOf(row) }];
  });
  const each = Math.max(0, ...panels.map(({ bars }) => bars.length));
  const height = TITLE + each * (BAR + GAP) + MARGIN;
  const lines = Math.ceil(panels.length / COLUMNS);
  const size = [COLUMNS * WIDTH + MARGIN, lines * height + 2 * MARGIN + 12];
  const drawn = panels.map(({ title, bars }, i) =>
    panel(title, bars, i % COLUMNS * WIDTH, MARGIN + Math.floor(i / COLUMNS) * height)
  );
  const foot = `${machine.Processor}, ${machine.Cores} cores, loopback; Deno ${versions.Deno}; ` +
    "longer is better";
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.join(" ")}" role="img">`,
    "<title>Requests and bytes in a second, this library beside others</title>",
    `<style>${STYLE}\n</style>`,
    ...drawn,
    `<text class="value" x="${NAME}" y="${size[1] - MARGIN}">${foot}</text>`,
    "</svg>",
    "",
  ].join("\n");
}
