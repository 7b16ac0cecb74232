/**
 * What a message vector must be answered with here.
 *
 * @module
 */
import type { Explained } from "./explain_response.ts";
import type { RowId } from "./rows.ts";
import type { MessageVector } from "./vectors.ts";

/** Puts a space in the place of each fold, and leaves out the blanks behind a value. */
function asHere(value: unknown): unknown {
  if (typeof value === "string") {
    return value.replace(/[ \t]*\r?\n[ \t]+/g, " ").replace(/[ \t]+$/gm, "");
  }
  return Array.isArray(value) ? value.map(asHere) : value;
}

/** The answer that a vector must get here. */
export function explainMessage({ raw, expect }: MessageVector): Explained<unknown> {
  const rows: RowId[] = [];
  if (/\n[ \t]/.test(raw)) rows.push("obs-fold");
  if (/[ \t]\r?\n(?![ \t])/.test(raw)) rows.push("field-blanks");
  return { answer: rows.length > 0 ? expect.map(asHere) : expect, rows };
}
