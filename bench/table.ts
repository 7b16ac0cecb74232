/**
 * The table that a run prints.
 *
 * @module
 */
import {
  type Cold,
  type Figures,
  type Growth,
  type Idle,
  NAMES,
  RIVALS,
  type Row,
  type Spread,
  type Verdict,
} from "./figures.ts";

const LABEL = 27;
const OWN = 12;
const COLUMN = 17;

/** A ratio in three digits or so. */
export function ratio(figure: number): string {
  return figure.toFixed(figure < 10 ? 2 : figure < 100 ? 1 : 0);
}

/** A ratio and its quartiles. */
export function ratioWithSpread({ low, median, high }: Spread): string {
  return `${ratio(median)} ${ratio(low)}-${ratio(high)}`;
}

/** A time, given in milliseconds. */
export function time(ms: number): string {
  if (ms < 0.001) return `${(ms * 1e6).toFixed(0)} ns`;
  if (ms < 1) return `${(ms * 1000).toFixed(ms < 0.1 ? 1 : 0)} us`;
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

/** How fast a body went through. */
export function rate(bytes: number, ms: number): string {
  return `${(bytes / 1e6 / (ms / 1000)).toFixed(0)} MB/s`;
}

function line(label: string, own: string, cells: string[]): string {
  const columns = cells.map((cell) => cell.padStart(COLUMN)).join("");
  return `${label.padEnd(LABEL)}${own.padStart(OWN)}${columns}`.trimEnd();
}

function rowLines(row: Row): string[] {
  const cells = (of: "wallRatio" | "cpuRatio") =>
    RIVALS.map((client) => {
      const rival = row.rivals[client];
      return rival === undefined ? "" : ratioWithSpread(rival[of]);
    });
  const { wall, cpu } = row.ours;
  const label = row.way === "" ? "    wall" : `    ${row.way}`;
  const speed = row.bytes === null ? "" : ` ${rate(row.bytes, wall.median)}`;
  return [
    line(label, time(wall.median), cells("wallRatio")),
    line(`      CPU${speed.padStart(LABEL - 11)}`, time(cpu.median), cells("cpuRatio")),
  ];
}

function optionLine(row: Row): string {
  const plain = row.rivals.ours!;
  const less = [plain.wallRatio, plain.cpuRatio].map(ratioWithSpread);
  const text = `${less[0].padStart(COLUMN)} wall${less[1].padStart(COLUMN)} CPU, of it without`;
  return line(`    ${row.way}`, time(row.ours.wall.median), []) + text;
}

/** The head of the table. */
export function tableHead({ machine, versions }: Figures): string {
  const list = (of: Record<string, string>) =>
    Object.entries(of).map(([name, value]) => `${name} ${value}`).join("; ");
  return [
    list(machine),
    list(versions),
    "",
    "How many times as fast as each of the others this library is: the median over all rounds of its",
    "time in a round over ours in that round, and the quartiles. Below 1 the other one is faster. The",
    "second line of a row is the same for the CPU of the process, all threads, user and system.",
    "",
    line("", NAMES.ours, RIVALS.map((client) => NAMES[client])),
  ].join("\n");
}

/** The foot of the table: the goals, the servers, how long it took. */
export function tableFoot(figures: Figures): string {
  const { verdicts, notes, seconds, short } = figures;
  const goals = short
    ? "Goals: not looked at, a short run tells too little"
    : verdictLines(verdicts);
  const rest = [...serverLine(figures), ...notes, `The run took ${seconds} s`];
  return `\n${goals}\n\n${rest.join("\n")}`;
}

/** The rows of one workload. */
export function tableRows(rows: Row[]): string {
  const [{ id, title, bytes, rounds }] = rows;
  const unit = bytes === null ? "a request" : "64 MiB";
  return [
    `(${id}) ${title}: for ${unit}, ${rounds} rounds`,
    ...rows.flatMap((row) => row.option ? [optionLine(row)] : rowLines(row)),
  ].join("\n");
}

/** Fresh processes. */
export function coldLines(cold: Cold[]): string {
  const text = ({ wall: { low, median, high } }: Cold) =>
    `${median.toFixed(1).padStart(7)} ms  ${low.toFixed(1)}-${high.toFixed(1)}`;
  const over = ({ over }: Cold) => over.median === 0 ? "" : `  +${over.median.toFixed(1)} ms`;
  const lines = cold.map((one) => `    ${one.name.padEnd(LABEL)}${text(one)}${over(one)}`);
  return ["(l) import and first request, a fresh process from start to end", ...lines].join("\n");
}

/** Idle connections. */
export function idleLines(idle: Idle[]): string {
  const lines = idle.map(({ name, kib: { low, median, high } }) =>
    `    ${name.padEnd(LABEL)}${median.toFixed(1).padStart(7)} KiB ${low.toFixed(1)}-${
      high.toFixed(1)
    }`
  );
  return ["(m) memory for each of 1,000 idle connections", ...lines].join("\n");
}

/** The time at a size, all of it and for each unit. */
export function growthPoints({ unit, points }: Growth): string[] {
  return points.map(({ size, ms }) => `${size}: ${time(ms)}, ${time(ms / size)} a ${unit}`);
}

/** Time against size. */
export function growthLines(growth: Growth[]): string {
  const lines = growth.flatMap((one) => [
    `    ${one.name}`,
    ...growthPoints(one).map((point) => `      ${point}`),
  ]);
  return ["(n) how the time grows with the size", ...lines].join("\n");
}

/** The goals. */
export function verdictLines(verdicts: Verdict[]): string {
  const missed = verdicts.filter(({ met }) => !met).length;
  const lines = verdicts.map(({ id, goal, figure, met }) =>
    `  (${id}) ${goal.padEnd(48)}${figure.padEnd(20)}${met ? "met" : "MISSED"}`
  );
  return [`Goals: ${verdicts.length - missed} met, ${missed} missed`, ...lines].join("\n");
}

/** How busy the servers were, which tells that they were not what was waited for. */
export function serverLine({ rows }: Pick<Figures, "rows">): string[] {
  let most = { share: 0, where: "" };
  for (const row of rows) {
    for (const client of ["ours", ...RIVALS] as const) {
      const share = (client === "ours" ? row.ours : row.rivals[client])?.server ?? 0;
      const where = `(${row.id}) ${row.way} ${NAMES[client]}`.replaceAll("  ", " ");
      if (share > most.share) most = { share, where };
    }
  }
  if (most.share === 0) return [];
  const { share, where } = most;
  return [`The server used at most ${(share * 100).toFixed(0)} % of a core meanwhile: ${where}`];
}
