/**
 * Heads and trailer sections: {@linkcode SectionScanner} finds where the lines of a section end, on
 * whatever bytes have come so far; {@linkcode parseFieldLines} makes fields of a whole section. Neither
 * awaits, and a section is scanned once however it was cut: the scan goes on where it stopped.
 *
 * @module
 */
import { HTTPException, LineTooLong, ProtocolError } from "../../errors.ts";
import type { BufferedBytes } from "./buffered_bytes.ts";
import { isBlank, TCHAR, trimOWS } from "./grammar.ts";
import { HIDDEN, isSecretField, showLineAs, withoutSecret } from "./inspect.ts";

/**
 * A field line that could not be taken as a field.
 *
 * @category Headers
 */
export interface HeaderDefect {
  /** What is wrong with it. */
  problem: "no-colon" | "illegal-name" | "blank-before-colon" | "stray-fold";
  /** The line as it was received, decoded as ISO-8859-1, without its line end. */
  line: string;
}

/** The limits of a section; each has an exception. */
export interface SectionLimits {
  /** Bytes of one line with its line end: `LineTooLong`. */
  line: number;
  /** Field lines: `HTTPException`. */
  count: number;
  /** Bytes of the whole section: `HTTPException`. */
  bytes: number;
}

/** CPython's limits for lines and fields; and one for the whole, which CPython has not. */
export const DEFAULT_LIMITS: SectionLimits = { line: 65536, count: 100, bytes: 1 << 20 };

/** What a section is called in errors, and whether its lines may end in a bare LF. */
export interface SectionKind {
  line: string;
  fields: string;
  bareLF: boolean;
  /** A head's first line is the status line, which is not a field line. */
  startLine: boolean;
}

/** RFC 9112, Section 2.2: a recipient may take a single LF as a line end in the head. */
export const HEAD: SectionKind = {
  line: "header line",
  fields: "headers",
  bareLF: true,
  startLine: true,
};
/** A bare LF in chunk framing is read in two ways by two peers: CVE-2025-22871. */
export const TRAILERS: SectionKind = {
  line: "trailer line",
  fields: "trailers",
  bareLF: false,
  startLine: false,
};
/** What `parse_headers` reads. */
export const FIELDS: SectionKind = { ...HEAD, startLine: false };

const LF = 10;
const CR = 13;
const COLON = 58;

/** Finds the line ends of one section, and the colons behind the names: one look at each byte. */
export class SectionScanner {
  /** Where each line ends, past its LF, counted from the start of the section. */
  readonly ends: number[] = [];
  /** Where the colon of each line is if it begins with a name and a colon, else -1. */
  readonly colons: number[] = [];
  /** Whether a NUL or a bare CR was seen. */
  suspicious = false;
  #scanned = 0;
  /** The colon of the line that is scanned: 0 while that is in its name. */
  #colon = 0;
  #kind: SectionKind;
  #limits: SectionLimits;

  constructor(kind: SectionKind, limits: SectionLimits) {
    this.#kind = kind;
    this.#limits = limits;
  }

  /** Scans what is new in the buffer. `true` when the blank line that ends the section was seen. */
  scan(source: BufferedBytes): boolean {
    const { bytes, start, end } = source;
    let from = this.ends.length === 0 ? 0 : this.ends[this.ends.length - 1]!;
    let colon = this.#colon;
    let i = start + this.#scanned;
    for (; i < end; i++) {
      if (colon === 0) {
        while (i < end && TCHAR[bytes[i]!] === 1) i++;
        if (i === end) break;
        colon = bytes[i] === COLON && i - start > from ? i - start : -1;
      }
      while (i < end && bytes[i]! > CR) i++;
      if (i === end) break;
      const byte = bytes[i];
      if (byte === LF) {
        const next = i + 1 - start;
        const blank = next - from === 1 || (next - from === 2 && bytes[i - 1] === CR);
        if (!this.#kind.bareLF && (next - from === 1 || bytes[i - 1] !== CR)) {
          throw new ProtocolError(`Cannot read ${this.#kind.line}: it ends in a bare LF`);
        }
        this.#check(next - from, next);
        const fields = this.ends.length - (this.#kind.startLine ? 1 : 0);
        this.ends.push(next);
        this.colons.push(colon);
        from = next;
        colon = this.#colon = 0;
        if (blank && fields >= 0) {
          this.#scanned = next;
          return true;
        }
        if (fields >= this.#limits.count) {
          throw new HTTPException(
            `Cannot read ${this.#kind.fields}: got more than ${this.#limits.count}`,
          );
        }
        if (fields < 0) {
          // The status line is judged before anything after it.
          this.#scanned = next;
          return false;
        }
      } else if (byte === CR) {
        if (i + 1 === end) break; // whether it is bare shows with the next byte
        if (bytes[i + 1] !== LF) this.suspicious = true;
      } else if (byte === 0) this.suspicious = true;
    }
    this.#colon = colon;
    this.#scanned = i - start;
    this.#check(this.#scanned - from, this.#scanned);
    return false;
  }

  /** Whether bytes wait in the buffer that this scanner has not looked at. */
  hasMore(source: BufferedBytes): boolean {
    return source.start + this.#scanned < source.end;
  }

  #check(line: number, section: number): void {
    if (line > this.#limits.line) {
      const what = this.ends.length === 0 && this.#kind.startLine ? "status line" : this.#kind.line;
      throw new LineTooLong(what, this.#limits.line);
    }
    if (section > this.#limits.bytes) {
      throw new HTTPException(
        `Cannot read ${this.#kind.fields}: got more than ${this.#limits.bytes} bytes`,
      );
    }
  }
}

/** What a section says: names and values alternate in `fields`. */
export interface ParsedFields {
  fields: string[];
  defects: HeaderDefect[];
}

/**
 * Makes fields of a section.
 *
 * field-line = field-name ":" OWS field-value OWS (RFC 9112, Section 5).
 * CPython: blanks after the value stay in it. They are no part of it (RFC 9110, Section 5.5).
 *
 * @param text The section, decoded as ISO-8859-1.
 * @param scanner Its line ends and colons.
 * @param first The index of the first field line.
 */
export function parseFieldLines(
  text: string,
  scanner: SectionScanner,
  first: number,
): ParsedFields {
  const parser = new FieldParser();
  const ends = scanner.ends;
  const last = ends.length - (endsBlank(text, ends) ? 1 : 0);
  for (let i = first; i < last; i++) {
    const start = i === 0 ? 0 : ends[i - 1]!;
    let end = ends[i]!;
    if (text.charCodeAt(end - 1) === LF) end--;
    if (end > start && text.charCodeAt(end - 1) === CR) end--;
    if (scanner.suspicious) checkBytes(text.slice(start, end));
    parser.line(text, start, end, scanner.colons[i]!);
  }
  return parser;
}

/** Whether the last line is the blank one. */
function endsBlank(text: string, ends: number[]): boolean {
  const count = ends.length;
  if (count === 0) return false;
  const size = ends[count - 1]! - (count === 1 ? 0 : ends[count - 2]!);
  return size === 1 || (size === 2 && text.charCodeAt(ends[count - 1]! - 2) === CR);
}

/** The fields so far, and what a fold would continue. */
class FieldParser implements ParsedFields {
  fields: string[] = [];
  defects: HeaderDefect[] = [];
  /** Whether the last line was a field, and so can be continued. */
  #open = false;
  /** Whether the last line was no field, but has a secret: a fold would continue it. */
  #secret = false;

  /** One line, without its line end. */
  line(text: string, start: number, end: number, colon: number): void {
    if (colon < 0) return this.#odd(text.slice(start, end));
    let from = colon + 1;
    while (from < end && isBlank(text.charCodeAt(from))) from++;
    while (end > from && isBlank(text.charCodeAt(end - 1))) end--;
    this.fields.push(text.slice(start, colon), text.slice(from, end));
    this.#open = true;
    this.#secret = false;
  }

  /** One that does not begin with a name and a colon. */
  #odd(line: string): void {
    if (line !== "" && isBlank(line.charCodeAt(0))) return this.#fold(line);
    const colon = line.indexOf(":");
    if (colon < 0) return this.#defect("no-colon", line);
    const blank = colon > 0 && isBlank(line.charCodeAt(colon - 1));
    this.#defect(blank ? "blank-before-colon" : "illegal-name", line);
  }

  /** obs-fold (RFC 9112, Section 5.2): a user agent puts one SP in its place. */
  #fold(line: string): void {
    if (!this.#open) return this.#defect("stray-fold", line);
    const fields = this.fields;
    const name = fields[fields.length - 2]!;
    if (isFraming(name)) {
      throw new ProtocolError(`Cannot read header ${name}: it is folded`);
    }
    const before = fields[fields.length - 1];
    const more = trimOWS(line);
    fields[fields.length - 1] = before === "" || more === "" ? before + more : `${before} ${more}`;
  }

  /** A line that is no field: recorded, unless a laxer peer could read framing in it. */
  #defect(problem: HeaderDefect["problem"], line: string): void {
    this.#open = false;
    const colon = line.indexOf(":");
    const name = (colon < 0 ? line : line.slice(0, colon)).replace(/[^A-Za-z-]+/g, "");
    if (isFraming(name) || (colon < 0 && /^(content-length|transfer-encoding)/i.test(name))) {
      throw new ProtocolError(`Cannot read headers: ${JSON.stringify(line)} is not a field line`);
    }
    const defect: HeaderDefect = { problem, line };
    const continuesSecret = problem === "stray-fold" && this.#secret;
    const shown = continuesSecret ? HIDDEN : withoutSecret(line);
    this.#secret = shown !== line;
    if (this.#secret) showLineAs(defect, shown);
    this.defects.push(defect);
  }
}

/** Whether a field of this name says where the message ends (RFC 9112, Section 6.3). */
function isFraming(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === "content-length" || lower === "transfer-encoding";
}

/** RFC 9110, Section 5.5: NUL and bare CR make a field value dangerous; CVE-2022-35256. */
function checkBytes(line: string): void {
  if (line.includes("\0") || line.includes("\r")) {
    const colon = line.indexOf(":");
    const shown = isSecretField(line.slice(0, colon).trim()) ? line.slice(0, colon) : line;
    throw new ProtocolError(`Cannot read headers: ${JSON.stringify(shown)} has a NUL or a bare CR`);
  }
}
