/**
 * Response heads: the status line, the fields, and the interim responses before the final one.
 *
 * @module
 */
import {
  BadStatusLine,
  HTTPException,
  IncompleteRead,
  RemoteDisconnected,
  UnknownProtocol,
} from "../../errors.ts";
import {
  HEAD,
  type ParsedFields,
  parseFieldLines,
  type SectionLimits,
  SectionScanner,
} from "./field_section.ts";
import { DIGIT_0, isBlank, trimOWS } from "./grammar.ts";
import { decodeLatin1 } from "./latin1.ts";
import type { BufferedBytes } from "./buffered_bytes.ts";

/** A response head. */
export interface Head extends ParsedFields {
  version: 10 | 11;
  status: number;
  reason: string;
}

/** What a {@linkcode HeadParser} needs besides the bytes. */
export interface HeadOptions {
  limits: SectionLimits;
  /** At most this many interim responses: `HTTPException`. */
  maxInterim: number;
  /** Called with each interim response. */
  onInterim?: ((head: Head) => void) | null;
  /** Called with each status line as received. */
  onStatusLine?: ((line: string) => void) | null;
}

/** CPython: blanks of any kind stand before, between and behind the parts. Here, SP and HTAB. */
const STATUS_LINE = /^[ \t]*(HTTP\/[^ \t]*)[ \t]+([1-9][0-9][0-9])(?:[ \t]+(.*))?$/s;
/**
 * What no part of a status line may hold (RFC 9112, Section 4): a bare CR is a line end to some peers,
 * which then read other fields.
 */
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const LINE_END = /\r?\n$/;
/** What a status line begins with, after any blanks. */
const NAME_BYTES = Uint8Array.from("HTTP/", (c) => c.charCodeAt(0));

/** A status line's parts; the reason is `null` where it is still to be taken from the section. */
interface StatusLine {
  version: string;
  status: number;
  reason: string | null;
}

/** How nearly all status lines begin. */
const USUAL = "HTTP/1.1 ";
const USUAL_BYTES = Uint8Array.from(USUAL, (c) => c.charCodeAt(0));
const REASON_AT = USUAL.length + 4;
const SP = 32;
const CR = 13;
const DEL = 127;

/**
 * The status of a line as nearly all are, else 0: that it is well-formed is seen without decoding it,
 * so that a head is decoded once; with the expression above, too, it is 4 % of a small request.
 */
function usualStatus(bytes: Uint8Array, start: number, end: number): number {
  for (let i = 0; i < USUAL_BYTES.length; i++) if (bytes[start + i] !== USUAL_BYTES[i]) return 0;
  let status = 0;
  for (let i = start + USUAL_BYTES.length; i < start + REASON_AT - 1; i++) {
    const digit = bytes[i]! - DIGIT_0;
    if (!(digit >= 0 && digit <= 9)) return 0;
    status = status * 10 + digit;
  }
  if (status < 100 || bytes[start + REASON_AT - 1] !== SP) return 0;
  // HTAB, SP, VCHAR and obs-text; the expression judges the rest.
  let i = start + REASON_AT;
  while (i < end && bytes[i]! >= SP && bytes[i] !== DEL) i++;
  if (bytes[i] === CR) i++;
  return i === end - 1 ? status : 0;
}

/** status-line = HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112, Section 4). */
function parseStatusLine(line: string): StatusLine {
  const text = line.replace(LINE_END, "");
  // 3DIGIT (RFC 9110, Section 15); CPython: `+20` and `2_0_0` are accepted there.
  const match = CONTROL.test(text) ? null : STATUS_LINE.exec(text);
  if (match === null) throw new BadStatusLine(line);
  const version = match[1]!;
  const [, , status, reason = ""] = match;
  // HTTP-version = HTTP-name "/" DIGIT "." DIGIT; any other version is known by its name.
  if (version.startsWith("HTTP/1.") && !/^[0-9]$/.test(version.slice(7))) {
    throw new BadStatusLine(line);
  }
  return { version, status: Number(status), reason: trimOWS(reason) };
}

/** Whether what is there of a line may be the beginning of a status line. */
function mayBegin({ bytes, start, end }: BufferedBytes): boolean {
  while (start < end && isBlank(bytes[start]!)) start++;
  const count = Math.min(NAME_BYTES.length, end - start);
  for (let i = 0; i < count; i++) if (bytes[start + i] !== NAME_BYTES[i]) return false;
  return true;
}

/** HTTP-version (RFC 9112, Section 2.3). CPython: 0.9 is taken for 1.0, and 1.x for 1.1. */
function parseVersion(version: string): 10 | 11 {
  if (version === "HTTP/1.0" || version === "HTTP/0.9") return 10;
  if (version.startsWith("HTTP/1.")) return 11;
  throw new UnknownProtocol(version);
}

/**
 * Finds the final head in what is buffered. 1xx other than 101 come before it (RFC 9110, Section 15.2).
 * CPython: only 100 is skipped, any number of times; a 103 is taken for the answer.
 */
export class HeadParser {
  #options: HeadOptions;
  #scanner: SectionScanner;
  #line: StatusLine | null = null;
  #interim = 0;

  constructor(options: HeadOptions) {
    this.#options = options;
    this.#scanner = new SectionScanner(HEAD, options.limits);
  }

  /** The final head, or `null` where more bytes are needed. */
  next(source: BufferedBytes): Head | null {
    for (;;) {
      const head = this.#one(source);
      if (head === null || head.status >= 200 || head.status === 101) return head;
      const { maxInterim, onInterim } = this.#options;
      if (++this.#interim > maxInterim) {
        throw new HTTPException(
          `Cannot read response: got more than ${maxInterim} interim responses`,
        );
      }
      onInterim?.(head);
      this.#line = null;
      this.#scanner = new SectionScanner(HEAD, this.#options.limits);
    }
  }

  /** The error for a source that has ended before the final head. */
  cut(source: BufferedBytes): HTTPException {
    if (source.available > 0) {
      const { bytes, start, end } = source;
      source.start = end;
      return new IncompleteRead(bytes.slice(start, end));
    }
    this.#options.onStatusLine?.("");
    return new RemoteDisconnected();
  }

  /** The next head, final or not. */
  #one(source: BufferedBytes): Head | null {
    const scanner = this.#scanner;
    let whole = scanner.scan(source);
    if (this.#line === null) {
      if (scanner.ends.length > 0) {
        // The status line is judged before anything after it.
        this.#line = this.#statusLine(source);
        whole = scanner.scan(source);
      } else if (!mayBegin(source)) throw this.#badBeginning(source);
    }
    if (!whole) return null;
    const { version, status, reason } = this.#line!;
    const known = status === 100 ? 11 : parseVersion(version);
    const text = takeText(source, scanner);
    const { fields, defects } = parseFieldLines(text, scanner, 1);
    return {
      version: known,
      status,
      reason: reason ?? usualReason(text, scanner.ends[0]!),
      fields,
      defects,
    };
  }

  #statusLine({ bytes, start }: BufferedBytes): StatusLine {
    const { onStatusLine } = this.#options;
    const end = start + this.#scanner.ends[0]!;
    const status = onStatusLine ? 0 : usualStatus(bytes, start, end);
    if (status > 0) return { version: "HTTP/1.1", status, reason: null };
    const text = decodeLatin1(bytes, start, end);
    onStatusLine?.(text);
    return parseStatusLine(text);
  }

  /** No line end is waited for: a peer that speaks something else may never send one. */
  #badBeginning({ bytes, start, end }: BufferedBytes): BadStatusLine {
    const text = decodeLatin1(bytes, start, end);
    this.#options.onStatusLine?.(text);
    return new BadStatusLine(text);
  }
}

/** The reason in a line that {@linkcode usualStatus} knows, which ends at `end`. */
function usualReason(text: string, end: number): string {
  return trimOWS(text.slice(REASON_AT, text.charCodeAt(end - 2) === CR ? end - 2 : end - 1));
}

/** Consumes a section that was scanned to its end. */
export function takeSection(
  source: BufferedBytes,
  scanner: SectionScanner,
  first: number,
): ParsedFields {
  return parseFieldLines(takeText(source, scanner), scanner, first);
}

function takeText(source: BufferedBytes, scanner: SectionScanner): string {
  const { bytes, start } = source;
  source.start = start + scanner.ends[scanner.ends.length - 1]!;
  return decodeLatin1(bytes, start, source.start);
}
