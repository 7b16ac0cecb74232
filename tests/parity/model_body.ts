/**
 * What the calls on a body must give here; see `model_head.ts`. The whole body is at hand as text, so
 * this only has to say what a call may take and when the end, a cut or broken framing shows.
 *
 * @module
 */
import { fieldsOf, Lines, type ModelHead, type Note, Refusal } from "./model_head.ts";
import type { RowId } from "./rows.ts";
import type { Call, Result, Thrown } from "./vectors.ts";

const TRAILER_LIMIT = 100;

/** How a body stops giving content, and the row that makes it another stop than CPython's. */
interface Stop {
  kind: "end" | "cut" | "broken" | "limit";
  row?: RowId;
  thrown?: Thrown;
}

/** A body: runs of content (one for each chunk), and what comes after the last one. */
interface Content {
  runs: string[];
  stop: Stop;
}

/** Splits a chunked body. */
function chunked(text: string): Content {
  const runs: string[] = [];
  const lines = new Lines(text);
  for (;;) {
    const step = chunk(lines, runs.length > 0);
    if (step.run) runs.push(step.run);
    if (step.stop !== undefined) return { runs, stop: step.stop };
  }
}

interface Step {
  run?: string;
  stop?: Stop;
}

function broken(row: RowId = "chunk-framing"): Step {
  return { stop: { kind: "broken", row } };
}

function cut(row: RowId = "short-body"): Step {
  return { stop: { kind: "cut", row } };
}

/** The way from the end of a chunk's data through the next size line, and its data. */
function chunk(lines: Lines, after: boolean): Step {
  if (after) {
    const end = lines.text.slice(lines.at, lines.at + 2);
    if (!"\r\n".startsWith(end)) return broken();
    if (end.length < 2) return cut();
    lines.at += 2;
  }
  let line: string | null;
  try {
    line = lines.next();
  } catch (error) {
    return { stop: { kind: "limit", thrown: (error as Refusal).thrown } };
  }
  // CPython: what there is of a size line that is cut off is taken for the size.
  if (line === null) return cut(lines.at < lines.text.length ? "chunked-end" : "short-body");
  const match = /^([0-9A-Fa-f]+)[ \t]*(;[^\r]*)?\r\n$/.exec(line);
  const size = match === null ? NaN : parseInt(match[1], 16);
  if (!Number.isSafeInteger(size)) return broken();
  if (size === 0) return trailers(lines);
  const run = lines.text.slice(lines.at, lines.at + size);
  lines.at += run.length;
  return run.length < size ? { run, ...cut(run === "" ? "short-body" : "partial") } : { run };
}

function trailers(lines: Lines): Step {
  const fields: string[] = [];
  try {
    for (let line; (line = lines.next()) !== "\r\n";) {
      if (line === null) {
        // CPython: the end of the connection is as good as the blank line.
        const none = fields.length === 0 && lines.at === lines.text.length;
        return none ? { stop: { kind: "end" } } : cut("trailers-cut");
      }
      if (!line.endsWith("\r\n")) return broken();
      fields.push(line);
      if (fields.length > TRAILER_LIMIT) {
        return { stop: { kind: "limit", row: "trailers", thrown: { x: "HTTPException" } } };
      }
    }
  } catch (error) {
    return { stop: { kind: "limit", thrown: (error as Refusal).thrown } };
  }
  const rows: RowId[] = [];
  try {
    fieldsOf(fields, (row) => rows.push(row));
    return { stop: { kind: "end" } };
  } catch {
    return broken(rows[rows.length - 1]);
  }
}

/** The response after its head. */
export class ModelBody {
  /** Bit 0: `isclosed()`, bit 1: `closed`. */
  state = 0;
  failed = false;
  #content: Content;
  #run = 0;
  #at = 0;
  #left: number | null;
  #head: boolean;
  #chunked: boolean;
  #sticky: Thrown | null = null;
  /** Whether bytes came after the body. */
  #surplus = false;
  /** Whether it was closed before its end. */
  #interrupted = false;
  /** Whether the answer depends on whether the end had come when it was closed. */
  ambiguous = false;
  readonly #endSeen: boolean;
  readonly #none: boolean;
  #note: Note;

  /** `endSeen` says whether the end is seen with the last byte of content. */
  constructor(method: string, head: ModelHead, note: Note, endSeen = true) {
    this.#endSeen = endSeen;
    this.#none = head.framing === "none";
    this.#head = method === "HEAD";
    this.#note = note;
    this.#chunked = head.framing === "chunked";
    this.#left = head.head[5];
    if (head.framing === "chunked") this.#content = chunked(head.body);
    else if (head.framing === "close") this.#content = plain(head.body, { kind: "end" });
    else {
      const body = head.body.slice(0, head.length);
      const kind = body.length < head.length ? "cut" : "end";
      this.#content = plain(body, { kind, row: "short-body" });
      this.#surplus = head.body.length > head.length;
    }
  }

  get length(): number | null {
    return this.#left;
  }

  /** One call. */
  call([name, ...args]: Call): Result {
    const size = args[0] as number | undefined;
    if (name === "close") {
      this.#close();
      return null;
    }
    if (name === "readinto") {
      const b = this.#guard(() => this.#sized(size!), "");
      return { n: b.length, b };
    }
    if (name === "read") {
      if ((size ?? 0) < 0 && this.state === 0) this.#note("read-minus");
      const all = size === undefined || size === null || size < 0;
      return this.#guard(() => this.#sized(all ? Infinity : size), "");
    }
    if (name === "iter") return this.#pieces();
    if (name === "lines") return { l: this.#all() };
    if (name === "readlines") return { l: this.#all(size) };
    if (this.#head) return this.#guard(() => "", "");
    if (name === "readline") return this.#line(size);
    if (name === "read1") return this.#guard(() => this.#once(size ?? -1), "");
    if (name === "peek") return this.#guard(() => this.#look(), "");
    throw new Error(`No such call: ${name}`);
  }

  #line(size?: number): string {
    if (this.#head) return this.#guard(() => "", "");
    const limit = size === undefined || size < 0 ? Infinity : size;
    return this.#guard(() => this.#upToLF(limit), "");
  }

  #close(): void {
    const over = this.#head || this.#none || this.#left === 0;
    if (this.state === 0 && !over && this.#sticky === null) {
      const atEnd = this.#chunked && this.#rest() === "" && this.#content.stop.kind === "end";
      if (atEnd) this.ambiguous = true;
      this.#interrupted = !atEnd || !this.#endSeen;
    }
    this.state = 3;
  }

  /** After the end nothing comes; after a failure it comes again. */
  #guard<T>(read: () => T, nothing: T): T {
    if (this.#interrupted) {
      this.#note("read-closed");
      this.failed = true;
      throw new Refusal({ x: "Interrupted" });
    }
    if (this.state >= 2 && this.#sticky === null) return nothing;
    if (this.#sticky !== null) {
      this.#note(this.#content.stop.kind === "cut" ? "short-body" : "error-state");
      this.#fail(this.#sticky);
    }
    if (this.state === 1) return nothing;
    return read();
  }

  #fail(thrown: Thrown): never {
    const next = thrown.partial === undefined ? thrown : { ...thrown, partial: "" };
    if (this.#sticky === null) {
      this.#sticky = thrown.x === "IncompleteRead" ? { ...next, expected: this.#left } : thrown;
    }
    // What a failure leaves: CPython goes on reading from the middle of what broke.
    if (this.#chunked) this.#note("error-state");
    this.failed = true;
    this.state |= 1;
    throw new Refusal(thrown);
  }

  #incomplete(partial: string): Thrown {
    const thrown: Thrown = { x: "IncompleteRead", partial, expected: this.#left };
    if (this.#content.stop.kind === "broken") thrown.cause = "ProtocolError";
    return thrown;
  }

  /** What is left of the current run; goes to the next one where it is used up. */
  #rest(): string {
    const { runs } = this.#content;
    if (this.#run < runs.length && this.#at === runs[this.#run].length && this.#at > 0) {
      this.#run++;
      this.#at = 0;
    }
    return (runs[this.#run] ?? "").slice(this.#at);
  }

  #take(count: number): string {
    const piece = (this.#content.runs[this.#run] ?? "").slice(this.#at, this.#at + count);
    this.#at += piece.length;
    if (this.#left !== null) this.#left -= piece.length;
    return piece;
  }

  /** The end of the content was met with `got` in hand; throws, unless what came is to be returned. */
  #stopped(got: string, asked: number): void {
    const { stop } = this.#content;
    if (stop.kind === "end") return;
    // CPython: `partial` is without the unfinished chunk for read() only; the other calls end silently.
    const row = stop.row === "partial" && asked !== Infinity ? "short-body" : stop.row;
    if (row !== undefined && (this.#chunked || asked !== Infinity)) this.#note(row);
    if (stop.kind === "limit") return this.#fail(stop.thrown!);
    const thrown = this.#incomplete(got);
    if (stop.kind === "broken" || asked === Infinity || (got === "" && asked > 0)) {
      this.#fail(thrown);
    }
    this.#sticky = this.#incomplete("");
  }

  /** read, readinto. */
  #sized(asked: number): string {
    let got = "";
    if (asked === 0 && this.#chunked) {
      if (this.#rest() === "") this.#empty(0);
      return "";
    }
    while (got.length < asked) {
      const rest = this.#rest();
      if (rest === "") {
        if (this.#left !== 0) this.#stopped(got, asked);
        break;
      }
      got += this.#take(asked - got.length);
    }
    this.#settle(got, asked);
    return got;
  }

  /** Nothing is left where a call looks for content. */
  #empty(asked: number): void {
    const { stop } = this.#content;
    if (stop.kind === "cut" && asked === 0) this.#fail(this.#incomplete(""));
    this.#stopped("", asked);
    this.#settle("", asked);
  }

  /** CPython's moment of closing. */
  #settle(got: string, asked: number): void {
    if (this.#sticky !== null) return;
    if (this.#left !== null) {
      if (this.#left === 0) this.state |= 1;
    } else if (this.#chunked) {
      const { runs, stop } = this.#content;
      const over = this.#run >= runs.length && stop.kind === "end";
      if (over && (got.length < asked || asked === 0)) this.state |= 1;
    } else if (asked === Infinity || (got === "" && asked > 0)) this.state |= 1;
  }

  #once(n: number): string {
    if (n === 0 && !this.#chunked) {
      this.#settle("", 0);
      return "";
    }
    const rest = this.#rest();
    if (rest === "") {
      if (this.#left !== 0) this.#empty(1);
      else this.#settle("", 0);
      return "";
    }
    const piece = this.#take(n < 0 ? rest.length : n);
    this.#settle(piece, piece.length);
    return piece;
  }

  #look(): string {
    if (this.#surplus) this.#note("peek-beyond");
    const rest = this.#rest();
    if (rest !== "") return rest;
    if (this.#left === 0) return "";
    const { stop } = this.#content;
    if (stop.kind !== "end") this.#empty(1);
    else if (this.#chunked) this.state |= 1;
    return "";
  }

  #upToLF(limit: number): string {
    if (limit === 0) {
      if (!this.#chunked) this.#settle("", 0);
      return "";
    }
    let got = "";
    while (got.length < limit && !got.endsWith("\n")) {
      const rest = this.#rest();
      if (rest === "") {
        if (this.#left !== 0) this.#stopped(got, limit === Infinity ? 1 : limit);
        break;
      }
      const end = rest.indexOf("\n") + 1;
      got += this.#take(Math.min(end === 0 ? rest.length : end, limit - got.length));
    }
    const whole = got.length === limit || got.endsWith("\n");
    this.#settle(got, whole ? got.length : got === "" ? 1 : got.length + 1);
    return got;
  }

  /** What iteration gives in all. What came before a failure was given out already. */
  #pieces(): string {
    if (this.#head && this.state === 0) this.#note("iteration");
    let got = "";
    this.#guard(() => {
      for (let rest; (rest = this.#rest()) !== "";) got += this.#take(rest.length);
      if (this.#content.stop.kind !== "end") this.#empty(Infinity);
      this.state |= 1;
    }, undefined);
    return got;
  }

  /** A line; where the body was cut off behind others, it is the next call that tells. */
  #lineBehind(lines: string[]): string {
    try {
      return this.#line();
    } catch (error) {
      if (lines.length === 0 || !(error instanceof Refusal)) throw error;
      if (this.#content.stop.kind === "cut") return "";
      const { thrown } = error;
      if (thrown.partial === undefined) throw error;
      throw new Refusal({ ...thrown, partial: lines.join("") + thrown.partial });
    }
  }

  /** All lines, or those up to a hint. */
  #all(hint: number = -1): string[] {
    const lines: string[] = [];
    let size = 0;
    for (;;) {
      const line = this.#lineBehind(lines);
      if (line === "") return lines;
      lines.push(line);
      size += line.length;
      if (hint > 0 && size > hint) return lines;
    }
  }
}

function plain(body: string, stop: Stop): Content {
  return { runs: body === "" ? [] : [body], stop };
}
