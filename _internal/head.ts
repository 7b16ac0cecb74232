/**
 * Response heads: the status line, interim responses, and the loop that asks the reader for more
 * bytes until a section is whole.
 *
 * @module
 */
import {
  BadStatusLine,
  HTTPException,
  IncompleteRead,
  RemoteDisconnected,
  UnknownProtocol,
} from "../errors.ts";
import {
  HEAD,
  type ParsedFields,
  parseFieldLines,
  type SectionLimits,
  SectionScanner,
} from "./field_lines.ts";
import { decodeLatin1 } from "./latin1.ts";
import type { Buffered } from "./line_reader.ts";

/** A response head. */
export interface Head extends ParsedFields {
  version: 10 | 11;
  status: number;
  reason: string;
}

/** What `readHead` needs besides the bytes. */
export interface HeadOptions {
  limits: SectionLimits;
  /** At most this many interim responses: `HTTPException`. */
  maxInterim: number;
  /** Called with each interim response. */
  onInterim?: (head: Head) => void;
  /** Called with each status line as received. */
  onStatusLine?: (line: string) => void;
}

/**
 * What Python's `str.split()` splits at. RFC 9112, Section 4 allows SP, HTAB, VT, FF and bare CR
 * between the parts of a status line.
 */
// deno-lint-ignore no-control-regex
const BLANKS = /[\t-\r\x1c-\x20\x85\xa0]/;
const STATUS_LINE =
  // deno-lint-ignore no-control-regex
  /^[\t-\r\x1c-\x20\x85\xa0]*([^\t-\r\x1c-\x20\x85\xa0]+)[\t-\r\x1c-\x20\x85\xa0]+([^\t-\r\x1c-\x20\x85\xa0]+)/;

/** status-line = HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112, Section 4). */
function parseStatusLine(line: string): { version: string; status: number; reason: string } {
  const match = STATUS_LINE.exec(line);
  // 3DIGIT (RFC 9110, Section 15); CPython: `+20` and `2_0_0` are accepted there.
  if (match === null || !match[1].startsWith("HTTP/") || !/^[1-9][0-9][0-9]$/.test(match[2])) {
    throw new BadStatusLine(line);
  }
  return {
    version: match[1],
    status: Number(match[2]),
    reason: strip(line.slice(match[0].length)),
  };
}

/** Python's `str.strip()`, in linear time. */
function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.test(text[start])) start++;
  while (end > start && BLANKS.test(text[end - 1])) end--;
  return text.slice(start, end);
}

/** HTTP-version (RFC 9112, Section 2.3). CPython: 0.9 is taken for 1.0, and 1.x for 1.1. */
function parseVersion(version: string): 10 | 11 {
  if (version === "HTTP/1.0" || version === "HTTP/0.9") return 10;
  if (version.startsWith("HTTP/1.")) return 11;
  throw new UnknownProtocol(version);
}

/** Reads one head, of an interim response or of a final one. */
export async function readHead(source: Buffered, options: HeadOptions): Promise<Head> {
  const scanner = new SectionScanner(HEAD, options.limits);
  let line: ReturnType<typeof parseStatusLine> | null = null;
  while (!scanner.scan(source)) {
    if (line === null && scanner.ends.length > 0) {
      const text = decodeLatin1(source.bytes, source.start, source.start + scanner.ends[0]);
      options.onStatusLine?.(text);
      line = parseStatusLine(text);
    }
    if (!scanner.hasMore(source) && !(await source.fill())) {
      if (source.available === 0) throw new RemoteDisconnected();
      throw new IncompleteRead(source.take(source.available));
    }
  }
  const { version, status, reason } = line!;
  const head = {
    version: status === 100 ? 11 as const : parseVersion(version),
    status,
    reason,
  };
  return Object.assign(head, takeSection(source, scanner, 1));
}

/** Consumes a section that was scanned to its end. */
export function takeSection(
  source: Buffered,
  scanner: SectionScanner,
  first: number,
): ParsedFields {
  const size = scanner.ends[scanner.ends.length - 1];
  const text = decodeLatin1(source.bytes, source.start, source.start + size);
  source.start += size;
  const { fields, defects } = parseFieldLines(text, scanner, first);
  return { fields, defects };
}

/**
 * Reads up to the final head. 1xx other than 101 come before it (RFC 9110, Section 15.2).
 * CPython: only 100 is skipped, any number of times; a 103 is taken for the answer.
 */
export async function readFinalHead(source: Buffered, options: HeadOptions): Promise<Head> {
  for (let interim = 0;; interim++) {
    const head = await readHead(source, options);
    if (head.status >= 200 || head.status === 101) return head;
    if (interim === options.maxInterim) {
      throw new HTTPException(
        `Cannot read response: got more than ${options.maxInterim} interim responses`,
      );
    }
    options.onInterim?.(head);
  }
}
