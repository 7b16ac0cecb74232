/**
 * The golden vectors, as types, and what is needed to read them. `generate.py` writes them.
 *
 * @module
 */

/** Text of ISO-8859-1, with long repetitions counted: `["GET ", ["x", 500]]`. */
export type Packed = string | (string | [string, number])[];

/** An exception, with the fields that a user can see. */
export interface Thrown {
  x: string;
  partial?: string;
  expected?: number | null;
  line?: string;
  version?: string;
  status?: number;
  reason?: string;
  /** The `cause`, where it is a `ProtocolError`. */
  cause?: string;
}

/** A result of a call: text for bytes, `n` and `b` for `readinto`, `l` for a list. */
export type Result =
  | string
  | null
  | number
  | boolean
  | Thrown
  | { n: number; b: string }
  | { l: string[] }
  | { v: unknown };

/** A call: its name, and its arguments. */
export type Call = [string, ...unknown[]];

/** status, reason, version, will_close, chunked, length, fields. */
export type HeadAnswer = [
  number,
  string,
  number,
  boolean,
  boolean,
  number | null,
  [string, string][],
];

/** What a response vector is answered with. */
export interface ResponseAnswer {
  /** What `begin()` threw. */
  x?: Thrown;
  head?: HeadAnswer;
  /** What each call gave. */
  out?: Result[];
  /** After each call: 1 for `isclosed()`, plus 2 for `closed`. */
  state?: string;
  /** `length` at the end, where no call threw. */
  left?: number | null;
}

/** A response, and the calls made on it. */
export interface ResponseVector {
  id: string;
  kind: string;
  method: string;
  /** ISO-8859-1 text. */
  bytes: string;
  calls: Call[];
  /** Other deliveries with the same answer. */
  rules: ("bytewise" | "cuts")[];
  /** How it was delivered to CPython. */
  delivery: "whole" | "bytewise";
  expect: ResponseAnswer;
}

/** Packed text, whole. */
export function unpack(packed: Packed): string {
  if (typeof packed === "string") return packed;
  return packed.map((part) => typeof part === "string" ? part : part[0].repeat(part[1])).join("");
}

/** The classes of exceptions that have another name here. */
const CLASSES: Record<string, string> = {
  ValueError: "TypeError",
  UnicodeEncodeError: "TypeError",
  UnicodeError: "TypeError",
  KeyError: "TypeError",
  LookupError: "TypeError",
  HeaderParseError: "TypeError",
  // set_tunnel() on a connection that is made: a matter of its state.
  RuntimeError: "ImproperConnectionState",
};

/** CPython's exception as this library names it. */
export function translated(thrown: Record<string, unknown>): Thrown {
  const { x, message, ...fields } = thrown as unknown as Thrown & { message?: string };
  if (x === "OSError") {
    const match = /^Tunnel connection failed: (\d+) ?([^]*)$/.exec(message ?? "");
    if (match !== null) return { x: "TunnelError", status: Number(match[1]), reason: match[2] };
  }
  const result: Thrown = { ...fields, x: CLASSES[x] ?? x };
  if (fields.partial !== undefined) result.partial = unpack(fields.partial);
  if (fields.line !== undefined) result.line = unpack(fields.line);
  return result;
}

function isThrown(value: unknown): value is Thrown {
  return typeof value === "object" && value !== null && "x" in value;
}

/** A recorded result, unpacked and translated. */
export function result(raw: unknown): Result {
  if (isThrown(raw)) return translated(raw as unknown as Record<string, unknown>);
  if (typeof raw === "string" || Array.isArray(raw)) return unpack(raw as Packed);
  if (typeof raw === "object" && raw !== null) {
    if ("n" in raw) {
      const { n, b } = raw as { n: number; b: Packed };
      return { n, b: unpack(b) };
    }
    if ("l" in raw) return { l: (raw as { l: Packed[] }).l.map(unpack) };
  }
  return raw as Result;
}

interface RawResponse {
  id: string;
  kind: string;
  method: string;
  bytes: Packed;
  calls: Call[];
  rules?: ("bytewise" | "cuts")[];
  delivery?: "bytewise";
  expect: RawAnswer;
  head?: RawHead;
  cut?: [number, RawAnswer][];
}

type RawHead = [number, Packed, number, boolean, boolean, number | null, [string, Packed][]];

interface RawAnswer {
  x?: Record<string, unknown>;
  head?: RawHead | "same";
  out?: unknown[];
  state?: string;
  left?: number | null;
}

function head(raw: RawHead): HeadAnswer {
  const [status, reason, version, close, chunked, length, fields] = raw;
  const pairs = fields.map(([name, value]) => [name, unpack(value)] as [string, string]);
  return [status, unpack(reason), version, close, chunked, length, pairs];
}

function answer(raw: RawAnswer, whole?: RawHead): ResponseAnswer {
  if (raw.x !== undefined) return { x: translated(raw.x) };
  const known = raw.head === "same" ? whole! : raw.head as RawHead;
  const decoded: ResponseAnswer = {
    head: head(known),
    out: raw.out!.map(result),
    state: raw.state,
  };
  if (raw.left !== undefined) decoded.left = raw.left;
  return decoded;
}

/** The lines of a file of vectors. */
function* lines(name: string): Iterable<unknown> {
  const text = Deno.readTextFileSync(new URL(`vectors/${name}.jsonl`, import.meta.url));
  for (const line of text.trimEnd().split("\n")) yield JSON.parse(line);
}

/** The vectors of a file. */
export function load<T>(name: string): T[] {
  return [...lines(name)] as T[];
}

/** Response vectors; the answers to a base that is cut off follow it. */
function loadRaw(name: string): RawResponse[] {
  const vectors: RawResponse[] = [];
  for (const line of lines(name)) {
    if (!Array.isArray(line)) vectors.push(line as RawResponse);
    else (vectors[vectors.length - 1].cut ??= []).push(line as [number, RawAnswer]);
  }
  return vectors;
}

/** The response vectors of a file; a truncated base becomes one for each byte. */
export function loadResponses(name: string): ResponseVector[] {
  return loadRaw(name).flatMap((raw): ResponseVector[] => {
    const { id, kind, method, calls, rules = [] } = raw;
    const delivery: ResponseVector["delivery"] = raw.delivery ?? "whole";
    const bytes = unpack(raw.bytes);
    const common = { kind, method, calls, rules, delivery };
    if (raw.cut === undefined) return [{ ...common, id, bytes, expect: answer(raw.expect) }];
    return raw.cut.map(([count, expect]) => ({
      ...common,
      id: `${id}@${count}`,
      bytes: bytes.slice(0, count),
      expect: answer(expect, raw.head),
    }));
  });
}

/** What calls on a connection are answered with. */
export interface ConnectionAnswer {
  /** What the constructor threw. */
  new?: Thrown;
  out?: Result[];
  /** What was written on each connection. */
  sent?: string[];
}

interface RawConnection {
  new?: Record<string, unknown>;
  out?: unknown[];
  sent?: Packed[];
}

/** An answer about connections, unpacked and translated. */
export function connectionAnswer(raw: RawConnection): ConnectionAnswer {
  if (raw.new !== undefined) return { new: translated(raw.new) };
  return { out: raw.out!.map(result), sent: raw.sent!.map(unpack) };
}

/** Calls on a connection to a server that answers as scripted. */
export interface RequestVector {
  id: string;
  kind: string;
  /** The constructor's arguments. */
  new: [string, (number | null)?];
  scheme?: "https";
  calls: Call[];
  /** What the server sends on each connection. */
  answers: string[];
  auto_open?: boolean;
  blocksize?: number;
  expect: ConnectionAnswer;
  /** CPython's answer to something near; see `generate.py`. */
  twin?: ConnectionAnswer;
  /** The calls that the twin is without. */
  refused?: number[];
  /** The host in whose place the twin has one in US-ASCII. */
  wide?: string;
}

/** The request vectors of a file. */
export function loadRequests(name: string): RequestVector[] {
  type Raw = Omit<RequestVector, "expect" | "twin" | "answers"> & {
    expect: RawConnection;
    twin?: RawConnection;
    answers?: Packed[][];
  };
  return load<Raw>(name).map((raw) => {
    const answers = raw.answers ?? [["HTTP/1.1 200 OK\r\n\r\n"]];
    const vector: RequestVector = {
      ...raw,
      answers: answers.map((one) => one.map(unpack).join("")),
      expect: connectionAnswer(raw.expect),
      twin: undefined,
    };
    if (raw.twin !== undefined) vector.twin = connectionAnswer(raw.twin);
    return vector;
  });
}

/** One of a script's answers; whether the connection ends after it. */
export interface Scripted {
  text: string;
  ended: boolean;
}

/** Several exchanges on one connection object. */
export interface SessionVector {
  id: string;
  kind: string;
  calls: Call[];
  script: Scripted[];
  expect: ConnectionAnswer;
  /** CPython's answer where `close()` comes before call `forced`. */
  twin?: ConnectionAnswer;
  forced?: number;
}

/** What `set_debuglevel(1)` prints during a session. */
export interface DebugVector {
  id: string;
  calls: Call[];
  script: Scripted[];
  expect: string[];
}

type RawScript = [Packed, string?][];

function scriptOf(raw: RawScript): Scripted[] {
  return raw.map(([packed, ended]) => ({ text: unpack(packed), ended: ended !== undefined }));
}

/** The vectors about several exchanges. */
export function loadSessions(): SessionVector[] {
  type Raw = Omit<SessionVector, "expect" | "twin" | "script"> & {
    expect: RawConnection;
    twin?: RawConnection;
    script: RawScript;
  };
  return load<Raw>("connections").map((raw) => ({
    ...raw,
    script: scriptOf(raw.script),
    expect: connectionAnswer(raw.expect),
    twin: raw.twin === undefined ? undefined : connectionAnswer(raw.twin),
  }));
}

/** The vectors about what is printed. */
export function loadDebug(): DebugVector[] {
  return load<{ id: string; calls: Call[]; script: RawScript; expect: Packed[] }>("debuglevel")
    .map((raw) => ({ ...raw, script: scriptOf(raw.script), expect: raw.expect.map(unpack) }));
}

/** Calls on the fields of a message. */
export interface MessageVector {
  id: string;
  /** The field lines. */
  raw: string;
  calls: Call[];
  expect: unknown[];
}

/** Python's tuples are arrays here. */
function untupled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(untupled);
  if (typeof value !== "object" || value === null) return value;
  if ("t" in value) return (value as { t: unknown[] }).t.map(untupled);
  return "x" in value ? translated(value as Record<string, unknown>) : value;
}

/** The vectors about messages. */
export function loadMessages(): MessageVector[] {
  return load<MessageVector & { raw: Packed }>("messages").map((raw) => ({
    ...raw,
    raw: unpack(raw.raw),
    calls: raw.calls.map(([name, ...args]) => [name, ...args.map(untupled)] as Call),
    expect: raw.expect.map(untupled),
  }));
}

/** What a constructor makes of a host and a port. */
export interface HostVector {
  id: string;
  scheme: "http" | "https";
  new: [string, (number | null)?];
  expect: { host: string; port: number } | { x: string };
}

/** The vectors about hosts and ports. */
export function loadHosts(): HostVector[] {
  return load<HostVector>("hosts").map((raw) => ({
    ...raw,
    expect: "x" in raw.expect ? translated({ ...raw.expect }) : raw.expect,
  }));
}

/** A member of HTTPStatus, an entry of `responses`, or a constant. */
export interface StatusVector {
  id: string;
  kind: "status" | "responses" | "constants";
  name: string;
  value: number;
  canonical: string;
  phrase: string;
}

/** JSON with sorted keys: equal text for equal answers. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v) => {
    if (typeof v !== "object" || v === null || Array.isArray(v)) return v;
    return Object.fromEntries(Object.entries(v).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

/** Bytes of ISO-8859-1 text. */
export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** ISO-8859-1 text of bytes. */
export function toText(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return text;
}
