/**
 * What was seen on other runtimes, and the README's table of it.
 *
 * @module
 */
import { ROOT } from "../helpers/project.ts";
import type { Answer } from "./features.ts";

/** What was seen on one of them. */
export interface Seen {
  /** Its name and version, such as `Node 22.1.0`. */
  title: string;
  passed: number;
  failed: number;
  ignored: number;
  features: Record<string, Answer>;
}

const RESULTS = new URL("tests/runtimes/results.json", ROOT);
const README = new URL("README.md", ROOT);
const PART = /(<!-- runtimes:begin -->\n)[\s\S]*?(\n<!-- runtimes:end -->)/;

/** Deno first, and the older version before the newer. */
function inOrder(all: Seen[]): Seen[] {
  const names = ["Deno", "Node", "Bun", "workerd"];
  const rank = ({ title }: Seen) => {
    const [name, version] = title.split(" ");
    return [names.indexOf(name), ...version.split(/[.-]/).map(Number)];
  };
  return all.sort((one, other) => {
    const [a, b] = [rank(one), rank(other)];
    const i = a.findIndex((part, index) => part !== b[index]);
    return i < 0 ? 0 : a[i] - b[i];
  });
}

/** What was seen so far. */
export function seen(): Seen[] {
  try {
    return JSON.parse(Deno.readTextFileSync(RESULTS));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The table: a row for each runtime, a column for each feature that not all have. */
export function table(all: Seen[]): string {
  const features = Object.keys(all[0]?.features ?? {});
  const cell = (answer: Answer = "no") => answer.replace(/:.*/s, "");
  const rows = [
    ["", "tests passed", "left out", ...features],
    ["---", "---", "---", ...features.map(() => "---")],
    ...all.map(({ title, passed, ignored, features: answers }) => [
      title,
      passed.toLocaleString("en"),
      String(ignored),
      ...features.map((name) => cell(answers[name])),
    ]),
  ];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row, at) =>
    `| ${row.map((text, i) => text.padEnd(widths[i], at === 1 ? "-" : " ")).join(" | ")} |`
  ).join("\n");
}

/** The README with this table in its place. */
export function withTable(readme: string, all: Seen[]): string {
  return readme.replace(PART, (_, begin, end) => `${begin}\n${table(all)}\n${end}`);
}

/** Keeps what was seen on a runtime, in place of what was seen there before. */
export function keep({ features, ...counts }: Seen): void {
  // Why something fails names ports and files of that run.
  const short = Object.entries(features).map((
    [name, answer],
  ) => [name, answer.replace(/:.*/s, "")]);
  const one: Seen = { ...counts, features: Object.fromEntries(short) };
  const all = inOrder([...seen().filter(({ title }) => title !== one.title), one]);
  Deno.writeTextFileSync(RESULTS, `${JSON.stringify(all, null, 2)}\n`);
  Deno.writeTextFileSync(README, withTable(Deno.readTextFileSync(README), all));
}
