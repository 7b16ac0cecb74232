/**
 * What a response vector must be answered with here, and the rows that make it so.
 *
 * @module
 */
import { ModelBody } from "./model_body.ts";
import { modelHead, Refusal } from "./model_head.ts";
import type { RowId } from "./rows.ts";
import type { Call, ResponseAnswer, ResponseVector, Result } from "./vectors.ts";

/** What the answer must be, and why. */
export interface Explained<A> {
  answer: A;
  /** Another one that is as good: where the end of a body comes later than its last byte. */
  otherwise?: A;
  /** The rows that matter, in the order in which they first do. */
  rows: RowId[];
}

/** Runs a call of the model; what it throws is a result. */
function attempt(call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    if (error instanceof Refusal) return error.thrown;
    throw error;
  }
}

/** `getheader` is the same at every moment: the fields decide. */
function getheader(fields: [string, string][], [, name, fallback]: Call): Result {
  const values = fields.filter(([n]) => n.toLowerCase() === String(name).toLowerCase());
  if (values.length > 0) return { v: values.map(([, value]) => value).join(", ") };
  return { v: Array.isArray(fallback) ? fallback.join(", ") : fallback ?? null };
}

/** The answer that a vector must get here. */
export function explainResponse(vector: ResponseVector): Explained<ResponseAnswer> {
  const rows: RowId[] = [];
  const note = (row: RowId) => void (rows.includes(row) || rows.push(row));
  const { answer, ambiguous } = answerTo(vector, note, true);
  if (!ambiguous) return { answer, rows };
  return { answer, otherwise: answerTo(vector, note, false).answer, rows };
}

function answerTo(
  vector: ResponseVector,
  note: (row: RowId) => void,
  endSeen: boolean,
): { answer: ResponseAnswer; ambiguous: boolean } {
  try {
    const head = modelHead(vector.method, vector.bytes, note);
    const body = new ModelBody(vector.method, head, note, endSeen);
    const answer: ResponseAnswer = { head: head.head, out: [], state: "" };
    for (const call of vector.calls) {
      const out = call[0] === "getheader"
        ? getheader(head.head[6], call)
        : attempt(() => body.call(call));
      answer.out!.push(out);
      answer.state += String(body.state);
    }
    if (!body.failed) answer.left = body.length;
    noteReadline(vector, answer, note);
    return { answer, ambiguous: body.ambiguous };
  } catch (error) {
    if (error instanceof Refusal) return { answer: { x: error.thrown }, ambiguous: false };
    throw error;
  }
}

/** CPython's readline(limit) over chunks, seen in its own answer: a line longer than the limit. */
function noteReadline(
  vector: ResponseVector,
  answer: ResponseAnswer,
  note: (row: RowId) => void,
): void {
  if (!answer.head![4] || answer.head![5] !== null) return;
  vector.calls.forEach(([name, limit], i) => {
    const line = vector.expect.out?.[i];
    if (name !== "readline" || typeof limit !== "number" || limit < 0) return;
    if (typeof line === "string" && line.length > limit) note("readline-limit");
  });
}
