/**
 * What a response's head must be answered with here: a plain reading of RFC 9112 and of the rows in
 * `rows.ts`, over whole text and without any care for speed. It shares no code with the library.
 *
 * Where a row makes the answer another one than CPython's, the row is noted. So a vector for which no
 * row is noted must be answered exactly as CPython answers it, and the replay checks that.
 *
 * @module
 */
import type { RowId } from "./rows.ts";
import type { HeadAnswer, Thrown } from "./vectors.ts";

/** Thrown by the model where the library is to throw. */
export class Refusal extends Error {
  constructor(readonly thrown: Thrown) {
    super(thrown.x);
  }
}

/** Notes a row. */
export type Note = (row: RowId) => void;

/** How the body is delimited. */
export type Framing = "none" | "length" | "chunked" | "close";

/** The head, and where the body begins. */
export interface ModelHead {
  head: HeadAnswer;
  framing: Framing;
  length: number;
  body: string;
}

const LINE_LIMIT = 65536;
const FIELD_LIMIT = 100;
const INTERIM_LIMIT = 100;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Reads lines from text. */
export class Lines {
  at = 0;
  constructor(readonly text: string) {}

  /** The next line with its end, or `null` where the text ends within it. */
  next(): string | null {
    const end = this.text.indexOf("\n", this.at);
    const stop = end < 0 ? this.text.length : end + 1;
    if (stop - this.at > LINE_LIMIT) throw new Refusal({ x: "LineTooLong" });
    if (end < 0) return null;
    const line = this.text.slice(this.at, stop);
    this.at = stop;
    return line;
  }
}

/** Whether text may be, or become, a status line. */
export function mayBeginStatusLine(text: string): boolean {
  const start = text.replace(/^[ \t]+/, "").slice(0, 5);
  return "HTTP/".startsWith(start);
}

/** The lines of one head: the status line's parts, and the field lines. */
function section(lines: Lines, note: Note): { status: Status; fields: string[] } {
  const start = lines.at;
  const cut = (): never => {
    if (lines.at === lines.text.length && lines.at === start) {
      throw new Refusal({ x: "RemoteDisconnected", line: "''" });
    }
    note("head-eof");
    throw new Refusal({ x: "IncompleteRead", partial: lines.text.slice(start), expected: null });
  };
  const rest = lines.text.slice(start);
  if (!mayBeginStatusLine(rest)) {
    note("status-line");
    throw new Refusal({ x: "BadStatusLine", line: /^[^\n]*\n?/.exec(rest)![0] });
  }
  const status = statusLine(lines.next() ?? cut(), note);
  const fields: string[] = [];
  for (;;) {
    const line = lines.next() ?? cut();
    if (line === "\r\n" || line === "\n") return { status, fields };
    fields.push(line);
    if (fields.length === FIELD_LIMIT) note("field-count");
    if (fields.length > FIELD_LIMIT) throw new Refusal({ x: "HTTPException" });
  }
}

interface Status {
  version: string;
  code: number;
  reason: string;
}

function statusLine(line: string, note: Note): Status {
  const bad = (row: RowId): never => {
    note(row);
    throw new Refusal({ x: "BadStatusLine", line });
  };
  const text = line.replace(/\r?\n$/, "");
  // deno-lint-ignore no-control-regex
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(text)) bad("status-line");
  if (/[\x85\xa0]/.test(text)) note("status-line");
  const [version, code = "", ...reason] = text.replace(/^[ \t]+/, "").split(/([ \t]+)/)
    .filter((_, i) => i !== 1 && i !== 3);
  if (!/^[1-9]\d\d$/.test(code)) bad("status-digits");
  if (/^HTTP\/1\./.test(version) && !/^HTTP\/1\.\d$/.test(version)) bad("status-line");
  return { version, code: Number(code), reason: trim(reason.join("")) };
}

/** The fields that lines say; those that say none are defects, unless framing could hide in them. */
export function fieldsOf(lines: string[], note: Note): [string, string][] {
  const fields: [string, string][] = [];
  let open = false;
  for (const raw of lines) {
    const line = raw.replace(/\r?\n$/, "");
    if (/[\0\r]/.test(line)) {
      note("nul-cr");
      throw new Refusal({ x: "ProtocolError" });
    }
    if (/^[ \t]/.test(line)) {
      if (open) fold(fields[fields.length - 1], line, note);
      continue;
    }
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0));
    open = TOKEN.test(name);
    if (open) fields.push([name, valueOf(line.slice(colon + 1), note)]);
    else defect(line, note);
  }
  return fields;
}

function valueOf(text: string, note: Note): string {
  if (/[ \t]$/.test(text) && trim(text) !== "") note("field-blanks");
  return trim(text);
}

function isFraming(name: string): boolean {
  return /^(content-length|transfer-encoding)$/i.test(name);
}

function fold(field: [string, string], line: string, note: Note): void {
  note("obs-fold");
  if (isFraming(field[0])) throw new Refusal({ x: "ProtocolError" });
  const before = field[1];
  const after = trim(line);
  field[1] = before === "" || after === "" ? before + after : `${before} ${after}`;
}

function defect(line: string, note: Note): void {
  note("field-line");
  // What a laxer reader could make of it: the letters and dashes, up to the colon if there is one.
  const letters = line.split(":", 1)[0].replace(/[^A-Za-z-]/g, "");
  const hidden = line.includes(":") ? isFraming(letters) : /^(content-length|transfer-encoding)/i
    .test(letters);
  if (hidden) throw new Refusal({ x: "ProtocolError" });
}

/** Reads up to the final head. */
export function modelHead(method: string, text: string, note: Note): ModelHead {
  const lines = new Lines(text);
  for (let interim = 0;; interim++) {
    const { status, fields: raw } = section(lines, note);
    const { code, reason } = status;
    if (code !== 100 && !/^HTTP\/(1\.|0\.9$)/.test(status.version)) {
      throw new Refusal({ x: "UnknownProtocol", version: status.version });
    }
    if (code !== 100 && code < 200 && code !== 101) note("interim");
    const fields = fieldsOf(raw, note);
    if (code < 200 && code !== 101) {
      if (interim < INTERIM_LIMIT) continue;
      note("interim");
      throw new Refusal({ x: "HTTPException" });
    }
    const version = /^HTTP\/(1\.0|0\.9)$/.test(status.version) ? 10 : 11;
    const framed = frame({ method, code, version, fields }, note);
    const { close, chunked, framing, length } = framed;
    const known = framing === "length" || framing === "none" ? length : null;
    return {
      head: [code, reason, version, close, chunked, known, fields],
      framing,
      length,
      body: text.slice(lines.at),
    };
  }
}

interface Facts {
  method: string;
  code: number;
  version: number;
  fields: [string, string][];
}

function all(fields: [string, string][], name: string): string[] {
  return fields.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value);
}

/** Whether the connection ends: `close` in any Connection line, or an HTTP/1.0 that does not say not. */
function closes({ version, fields }: Facts, note: Note): boolean {
  const connection = all(fields, "connection").map((value) => value.toLowerCase());
  const has = (part: string) => connection.some((value) => value.includes(part));
  const first = connection[0] ?? "";
  if (connection.length > 1 || (version === 10 && has("close"))) {
    const here = has("close") || (version === 10 && !has("keep-alive"));
    const cpython = version === 11 ? first.includes("close") : !first.includes("keep-alive");
    if (here !== cpython || version === 10) note("connection-lines");
  }
  if (has("close")) return true;
  if (version === 11) return false;
  const proxy = all(fields, "proxy-connection").some((v) => v.toLowerCase().includes("keep-alive"));
  const keep = all(fields, "keep-alive").some((v) => v !== "");
  return !(keep || proxy || has("keep-alive"));
}

function trim(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, "");
}

interface Framed {
  close: boolean;
  chunked: boolean;
  framing: Framing;
  length: number;
}

/** RFC 9112, Section 6.3. */
function frame(facts: Facts, note: Note): Framed {
  const { method, code, fields } = facts;
  const codings = all(fields, "transfer-encoding");
  const coding = trim(codings.join(",")).toLowerCase();
  const identity = codings.length > 0 && (coding === "" || coding === "identity");
  const close = closes(facts, note) || identity;
  const none = { close, framing: "none" as const, length: 0 };
  if (method === "HEAD" || code === 204 || code === 304 || code < 200) {
    if (codings.length > 0) note("no-body");
    return { ...none, chunked: coding === "chunked" };
  }
  if (method === "CONNECT" && code < 300) {
    note("no-body");
    return { ...none, chunked: false };
  }
  if (codings.length === 0) return byLength(facts, close, note);
  if (coding !== "chunked" || codings[0].toLowerCase() !== "chunked") note("coding");
  if (identity) {
    return { close: true, chunked: false, framing: "close", length: 0 };
  }
  if (coding !== "chunked") throw new Refusal({ x: "UnknownTransferEncoding" });
  const both = all(fields, "content-length").length > 0;
  if (both) note("coding-and-length");
  if (facts.version === 10) note("coding-old");
  return {
    close: close || both || facts.version === 10,
    chunked: true,
    framing: "chunked",
    length: 0,
  };
}

function byLength({ fields }: Facts, close: boolean, note: Note): Framed {
  const lines = all(fields, "content-length");
  if (lines.length === 0) return { close: true, chunked: false, framing: "close", length: 0 };
  const values = lines.join(",").split(",").map(trim);
  if (values.length > 1) note("length-several");
  const lengths = new Set(values.map((v) => /^[0-9]+$/.test(v) ? Number(v) : NaN));
  const [length] = lengths;
  const unfit = [...lengths].some((n) => !Number.isSafeInteger(n));
  if (unfit) note("length-digits");
  if (unfit || lengths.size > 1) throw new Refusal({ x: "ProtocolError" });
  // CPython takes no number of more than 4300 digits, leading zeros or not.
  if (values[0].length > 4300) note("length-digits");
  return { close, chunked: false, framing: "length", length };
}
