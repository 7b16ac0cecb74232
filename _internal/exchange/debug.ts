/**
 * What `set_debuglevel(1)` prints, in Python's spelling: `send: b'GET / HTTP/1.1\r\n...'`. Nothing is
 * hidden, as in Python: who debugs wants the bytes.
 *
 * @module
 */
import { decodeLatin1 } from "../wire/latin1.ts";
import { byUser } from "./exchange.ts";

/** Takes a line; `null` stands for the console. */
export type DebugSink = ((line: string) => void) | null;

function print(sink: DebugSink, line: string): void {
  if (sink === null) console.log(line);
  else byUser(() => sink(line));
}

/** The escapes that Python's `repr()` has a letter for. */
const LETTERS: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Python's `repr()` of a string of ISO-8859-1; of `bytes` where `prefix` is `"b"`. */
function repr(text: string, prefix: "" | "b"): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  // deno-lint-ignore no-control-regex
  const escaped = text.replace(/[\\\x00-\x1f\x7f-\xa0\xad'"]|[^\x00-\x7f]/g, (c) => {
    if (c === "'" || c === '"') return c === quote ? `\\${c}` : c;
    if (LETTERS[c] !== undefined) return LETTERS[c];
    const code = c.charCodeAt(0);
    if (prefix === "" && code > 0xa0 && code !== 0xad) return c;
    return `\\x${code.toString(16).padStart(2, "0")}`;
  });
  return `${prefix}${quote}${escaped}${quote}`;
}

/** `send: b'...'`. */
export function debugSend(sink: DebugSink, bytes: Uint8Array): void {
  print(sink, `send: ${repr(decodeLatin1(bytes), "b")}`);
}

/** `reply: '...'`. */
export function debugReply(sink: DebugSink, line: string): void {
  print(sink, `reply: ${repr(line, "")}`);
}

/** `header: Name: value`, a line each. */
export function debugHeaders(sink: DebugSink, fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) {
    print(sink, `header: ${fields[i]}: ${fields[i + 1]}`);
  }
}

/** `headers: [b'...', b'\r\n']`, for an interim response that is skipped. */
export function debugInterim(sink: DebugSink, fields: readonly string[]): void {
  const lines: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    lines.push(repr(`${fields[i]}: ${fields[i + 1]}\r\n`, "b"));
  }
  print(sink, `headers: [${[...lines, repr("\r\n", "b")].join(", ")}]`);
}

/** Any other line. */
export function debugNote(sink: DebugSink, note: string): void {
  print(sink, note);
}
