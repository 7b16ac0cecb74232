/**
 * What a message vector must be answered with here.
 *
 * @module
 */
import type { Explained } from "./explain_response.ts";
import type { RowId } from "./rows.ts";
import type { MessageVector } from "./vectors.ts";

/** Puts a space in the place of each fold. */
function unfolded(value: unknown): unknown {
  if (typeof value === "string") return value.replace(/[ \t]*\r?\n[ \t]+/g, " ");
  return Array.isArray(value) ? value.map(unfolded) : value;
}

/** The answer that a vector must get here. */
export function explainMessage({ raw, expect }: MessageVector): Explained<unknown> {
  const rows: RowId[] = /\n[ \t]/.test(raw) ? ["obs-fold"] : [];
  return { answer: rows.length > 0 ? expect.map(unfolded) : expect, rows };
}
