/**
 * Replays the golden vectors and says of each whether this library answers as CPython does, or as a
 * row says, or neither.
 *
 * @module
 */
import * as library from "../../mod.ts";
import { explainDebug } from "./explain_debug.ts";
import { explainMessage } from "./explain_message.ts";
import { explainRequest, explainSession } from "./explain_request.ts";
import { type Explained, explainResponse } from "./explain_response.ts";
import { mayBeginStatusLine } from "./model_head.ts";
import { playDebug } from "./play_debug.ts";
import { playMessage } from "./play_message.ts";
import { playRequest, playSession, type Shape } from "./play_request.ts";
import { type Delivery, playResponse } from "./play_response.ts";
import type { RowId } from "./rows.ts";
import {
  canonical,
  type HostVector,
  load,
  loadDebug,
  loadHosts,
  loadMessages,
  loadRequests,
  loadResponses,
  loadSessions,
  type ResponseAnswer,
  type ResponseVector,
  type StatusVector,
} from "./vectors.ts";

/** What became of a vector. */
export interface Outcome {
  id: string;
  kind: string;
  /** How often it was played: deliveries, or ways of giving header fields. */
  plays: number;
  /** As CPython, by these rows (the first is counted), or neither. */
  verdict: "equal" | "row" | "unexplained";
  rows: RowId[];
  /** What differs, where it is unexplained. */
  detail?: string;
}

/** A group of vectors; one test each. */
export interface Group {
  name: string;
  /** Vectors that are not played are not loaded either. */
  replay: () => AsyncIterable<Outcome>;
}

/** Compares answers; `ours` holds one for each way of playing the vector. */
function judge(
  { id, kind }: { id: string; kind: string },
  cpython: unknown,
  explained: Explained<unknown>,
  ours: Map<string, unknown>,
): Outcome {
  const theirs = canonical(cpython);
  const wanted = canonical(explained.answer);
  const otherwise = explained.otherwise === undefined ? wanted : canonical(explained.otherwise);
  const outcome = { id, kind, plays: ours.size, rows: explained.rows };
  if (wanted !== theirs && explained.rows.length === 0) {
    const detail = `no row is noted\n  wanted  ${wanted}\n  CPython ${theirs}`;
    return { ...outcome, verdict: "unexplained", detail };
  }
  for (const [way, answer] of ours) {
    const got = canonical(answer);
    if (got === wanted || got === otherwise) continue;
    const detail = `(${way}) ${explained.rows.join("+") || "no row"}` +
      `\n  wanted  ${wanted}\n  got     ${got}\n  CPython ${theirs}`;
    return { ...outcome, verdict: "unexplained", detail };
  }
  const equal = wanted === theirs && otherwise === theirs;
  return { ...outcome, verdict: equal ? "equal" : "row" };
}

/** `read1` and `peek` show how the bytes came; everything else must not. */
function deliveries(vector: ResponseVector): Delivery[] {
  if (vector.calls.some(([name]) => name === "read1" || name === "peek")) return ["whole"];
  const ways: Delivery[] = ["whole", "stream", "bytewise"];
  if (!vector.rules.includes("cuts")) return ways;
  return [...ways, ...Array.from({ length: vector.bytes.length - 1 }, (_, i) => i + 1)];
}

/**
 * An answer with the whole of a line that begins no status line: how much of it an error shows depends on
 * what had come when it was refused.
 */
function withWholeLine(ours: ResponseAnswer, wanted: ResponseAnswer): ResponseAnswer {
  const line = ours.x?.line;
  const whole = wanted.x?.line;
  if (!line || mayBeginStatusLine(line) || !whole?.startsWith(line)) return ours;
  return { ...ours, x: { ...ours.x!, line: whole } };
}

async function* responses(file: string): AsyncIterable<Outcome> {
  for (const vector of loadResponses(file)) {
    const ours = new Map<string, unknown>();
    const explained = explainResponse(vector);
    for (const way of deliveries(vector)) {
      const answer = await playResponse(vector, way);
      ours.set(String(way), withWholeLine(answer, explained.answer));
    }
    yield judge(vector, vector.expect, explained, ours);
  }
}

async function* requests(file: string): AsyncIterable<Outcome> {
  const shapes: Shape[] = ["record", "pairs", "map"];
  for (const vector of loadRequests(file)) {
    const ours = new Map<string, unknown>();
    for (const shape of shapes) ours.set(shape, await playRequest(vector, shape));
    yield judge(vector, vector.expect, explainRequest(vector), ours);
  }
}

async function* sessions(): AsyncIterable<Outcome> {
  for (const vector of loadSessions()) {
    const ours = new Map([["session", await playSession(vector)]]);
    yield judge(vector, vector.expect, explainSession(vector), ours);
  }
}

async function* debug(): AsyncIterable<Outcome> {
  for (const vector of loadDebug()) {
    const ours = new Map([["printed", await playDebug(vector)]]);
    const name = { id: vector.id, kind: "debuglevel" };
    yield judge(name, vector.expect, explainDebug(vector), ours);
  }
}

async function* messages(): AsyncIterable<Outcome> {
  for (const vector of loadMessages()) {
    const ours = new Map([["message", await playMessage(vector)]]);
    yield judge({ id: vector.id, kind: "messages" }, vector.expect, explainMessage(vector), ours);
  }
}

function constructed({ scheme, new: [host, port] }: HostVector): unknown {
  const Class = scheme === "https" ? library.HTTPSConnection : library.HTTPConnection;
  try {
    const conn = new Class(host, port);
    return { host: conn.host, port: conn.port };
  } catch (error) {
    return { x: (error as Error).name };
  }
}

/** A constructor's arguments are explained as those of a request's connection are. */
function explainHost({ new: args, expect }: HostVector): Explained<unknown> {
  const made = "x" in expect ? { new: expect } : { out: [], sent: [] };
  const base = { id: "", kind: "", calls: [], answers: [] };
  const { answer, rows } = explainRequest({ ...base, new: args, expect: made });
  return { answer: answer.new ?? expect, rows };
}

async function* hosts(): AsyncIterable<Outcome> {
  for (const vector of loadHosts()) {
    const ours = new Map([["made", constructed(vector)]]);
    yield judge({ id: vector.id, kind: "host-port" }, vector.expect, explainHost(vector), ours);
  }
}

function statusOf({ kind, name, value }: StatusVector): unknown {
  const constants = library as unknown as Record<string, unknown>;
  if (kind === "responses") return library.responses[value];
  if (kind === "constants") return constants[name];
  const status = library.HTTPStatus as Record<string, number>;
  return [status[name], constants[name], library.responses[value]];
}

async function* statuses(): AsyncIterable<Outcome> {
  for (const vector of load<StatusVector>("status")) {
    const { kind, value, phrase } = vector;
    const expect = { responses: phrase, constants: value, status: [value, value, phrase] }[kind];
    const ours = new Map([["constant", statusOf(vector)]]);
    yield judge(vector, expect, { answer: expect, rows: [] }, ours);
  }
}

/** All groups. */
export const GROUPS: Group[] = [
  ...["reads", "mixes", "heads", "framing", "truncations"].map((file) => ({
    name: `responses: ${file}`,
    replay: () => responses(file),
  })),
  ...["requests", "illegal"].map((file) => ({ name: file, replay: () => requests(file) })),
  { name: "connections", replay: sessions },
  { name: "debuglevel", replay: debug },
  { name: "messages", replay: messages },
  { name: "hosts and ports", replay: hosts },
  { name: "status codes", replay: statuses },
];
