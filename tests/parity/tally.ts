/**
 * Counts outcomes by kind and by row.
 *
 * @module
 */
import type { Outcome } from "./replay.ts";
import { type RowId, ROWS } from "./rows.ts";

/** The kinds of vectors about responses. */
export const RESPONSE_KINDS: ReadonlySet<string> = new Set([
  "plans",
  "surplus",
  "mixes",
  "cuts",
  "status-lines",
  "field-lines",
  "content-length",
  "transfer-encoding",
  "chunk-framing",
  "interim",
  "versions",
  "truncations",
]);

/** The counts of one kind. */
export interface Count {
  vectors: number;
  plays: number;
  equal: number;
  unexplained: number;
  rows: Map<RowId, number>;
}

/** The counts by kind. */
export function tally(outcomes: Outcome[]): Map<string, Count> {
  const table = new Map<string, Count>();
  for (const { kind, plays, verdict, rows } of outcomes) {
    const count = table.get(kind) ??
      { vectors: 0, plays: 0, equal: 0, unexplained: 0, rows: new Map() };
    table.set(kind, count);
    count.vectors++;
    count.plays += plays;
    if (verdict === "row") count.rows.set(rows[0], (count.rows.get(rows[0]) ?? 0) + 1);
    else count[verdict]++;
  }
  return table;
}

function byRow(rows: Map<RowId, number>): string {
  const ids = (Object.keys(ROWS) as RowId[]).filter((id) => rows.has(id));
  return ids.map((id) => `${id} ${rows.get(id)}`).join(", ");
}

/** The sum of all kinds. */
export function total(table: Map<string, Count>): Count {
  const sum: Count = { vectors: 0, plays: 0, equal: 0, unexplained: 0, rows: new Map() };
  for (const count of table.values()) {
    sum.vectors += count.vectors;
    sum.plays += count.plays;
    sum.equal += count.equal;
    sum.unexplained += count.unexplained;
    for (const [id, n] of count.rows) sum.rows.set(id, (sum.rows.get(id) ?? 0) + n);
  }
  return sum;
}

/** The counts in a few lines of text. */
export function summary(table: Map<string, Count>): string {
  const lines = [...table, ["all", total(table)] as const].map(([kind, count]) => {
    const { vectors, plays, equal, unexplained, rows } = count;
    const differ = vectors - equal - unexplained;
    const parts = [`${vectors} vectors (${plays} plays)`, `${equal} equal`, `${differ} by a row`];
    if (unexplained > 0) parts.push(`${unexplained} UNEXPLAINED`);
    return `${kind}: ${parts.join(", ")}${rows.size > 0 ? `: ${byRow(rows)}` : ""}`;
  });
  return lines.join("\n");
}

/** The counts as a table in Markdown, and one of the rows. */
export function markdown(table: Map<string, Count>): string {
  const line = (cells: unknown[]) => `| ${cells.join(" | ")} |`;
  const counts = [...table, ["**all**", total(table)] as const].map(([kind, count]) => {
    const { vectors, plays, equal, unexplained, rows } = count;
    return line([kind, vectors, plays, equal, byRow(rows) || "-", unexplained]);
  });
  const sum = total(table);
  const rows = (Object.keys(ROWS) as RowId[]).map((id) => {
    const { what, cpython, here, why } = ROWS[id];
    return line([`\`${id}\``, sum.rows.get(id) ?? 0, what, cpython, here, why]);
  });
  return [
    line(["vectors", "count", "plays", "equal", "differ by row", "unexplained"]),
    line(["---", "---:", "---:", "---:", "---", "---:"]),
    ...counts,
    "",
    line(["row", "vectors", "where", "CPython 3.13", "here", "why"]),
    line(["---", "---:", "---", "---", "---", "---"]),
    ...rows,
  ].join("\n");
}
