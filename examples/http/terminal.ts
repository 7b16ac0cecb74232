/**
 * What a person sees: text without control characters, colors, the view of the wire, the progress bar and
 * the waterfall.
 *
 * @module
 */
import type { TraceEvent } from "@denoports/http-client";
import { type Direction, latin1, type Part, type WireListener } from "./wire.ts";

const encoder = new TextEncoder();

/** Writes all of a text to standard error; a standard error that is closed is no reason to stop. */
export function printError(text: string): void {
  try {
    for (let bytes = encoder.encode(text); bytes.length > 0;) {
      bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

const ESCAPES: Record<string, string> = { "\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\" };

/** Text as printable US-ASCII: everything else is escaped, so that it cannot control a terminal. */
export function escaped(text: string): string {
  return text.replace(/[^\x20-\x7e]|\\/gu, (char) => {
    const code = char.codePointAt(0)!;
    return ESCAPES[char] ??
      (code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`);
  });
}

/** A message that may quote the server: its letters are kept, controls and direction marks are escaped. */
export function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, escaped);
}

/** A decoder from body bytes to text that a terminal shows but does not obey. */
export function harmlessDecoder(): (bytes: Uint8Array, last: boolean) => Uint8Array<ArrayBuffer> {
  const decoder = new TextDecoder();
  return (bytes, last) => {
    const text = decoder.decode(bytes, { stream: !last });
    return encoder.encode(text.replace(/(?![\t\n]|\r\n)[\p{Cc}\p{Cf}\u2028\u2029]/gu, escaped));
  };
}

/** Adds a color to a text, or not. */
export type Paint = (color: "cyan" | "green" | "yellow" | "red" | "gray", text: string) => string;

const COLORS = { cyan: 36, green: 32, yellow: 33, red: 31, gray: 90 };

/** How to color: by ANSI escape sequences, or not at all. */
export function painter(enabled: boolean): Paint {
  return (color, text) => enabled ? `\x1b[${COLORS[color]}m${text}\x1b[0m` : text;
}

/** How many bytes of a body are shown. */
const PREVIEW_BYTES = 512;

interface Side {
  shown: number;
  hiddenBytes: number;
  hiddenChunks: number;
}

/**
 * Shows the messages of an exchange: `>` is sent, `<` is received. The CRLF of a line is not shown, any
 * other line ending is; of a body, the first {@linkcode PREVIEW_BYTES} bytes are.
 */
export class WireView implements WireListener {
  readonly #paint: Paint;
  readonly #print: (text: string) => void;
  #sides: Record<Direction, Side> = { sent: newSide(), received: newSide() };

  /** Makes a view that prints to standard error. */
  constructor(paint: Paint, print: (text: string) => void = printError) {
    this.#paint = paint;
    this.#print = print;
  }

  /** Begins an exchange. */
  begin(): void {
    this.#sides = { sent: newSide(), received: newSide() };
  }

  /** Prints a part of a message, or counts it. */
  part(direction: Direction, { kind, bytes }: Part): void {
    const side = this.#sides[direction];
    const hides = side.shown >= PREVIEW_BYTES;
    if (kind === "data") return this.#data(direction, side, bytes);
    if (kind === "chunkSize" && hides) side.hiddenChunks++;
    else if (kind === "excess") {
      this.#note(direction, `${bytes.length} bytes behind the end of the message`);
    } else if (kind === "chunkEnd") {
      if (latin1(bytes) !== "\r\n") this.#line(direction, escaped(latin1(bytes)));
    } else {
      if (kind !== "chunkSize") this.#summary(direction, side);
      this.#line(direction, escaped(latin1(bytes).replace(/\r\n$/, "")));
    }
  }

  /** Ends an exchange: says what of the bodies was not shown. */
  end(): void {
    for (const direction of ["sent", "received"] as const) {
      this.#summary(direction, this.#sides[direction]);
    }
  }

  #data(direction: Direction, side: Side, bytes: Uint8Array): void {
    const preview = bytes.subarray(0, PREVIEW_BYTES - side.shown);
    for (const line of latin1(preview).split(/(?<=\n)/)) {
      if (line !== "") this.#line(direction, escaped(line));
    }
    side.shown += preview.length;
    side.hiddenBytes += bytes.length - preview.length;
  }

  #summary(direction: Direction, side: Side): void {
    const { hiddenBytes, hiddenChunks } = side;
    if (hiddenBytes === 0) return;
    const chunks = hiddenChunks === 0 ? "" : ` and ${hiddenChunks} more chunk headers`;
    this.#note(direction, `${hiddenBytes} more bytes${chunks}`);
    side.hiddenBytes = side.hiddenChunks = 0;
  }

  #line(direction: Direction, text: string): void {
    const [mark, color] = direction === "sent" ? [">", "cyan"] as const : ["<", "green"] as const;
    this.#print(`${this.#paint(color, `${mark} ${text}`.trimEnd())}\n`);
  }

  #note(direction: Direction, text: string): void {
    this.#print(`${this.#paint("gray", `${direction === "sent" ? ">" : "<"} [${text}]`)}\n`);
  }
}

function newSide(): Side {
  return { shown: 0, hiddenBytes: 0, hiddenChunks: 0 };
}

/** A line of a progress bar; without a total there is only a count. */
export function progressLine(done: number, total: number | null, bytesPerSecond: number): string {
  const speed = `${size(bytesPerSecond)}/s`;
  if (total === null || total === 0) return `${size(done)}  ${speed}`;
  const share = Math.min(1, done / total);
  const bar = "#".repeat(Math.round(30 * share)).padEnd(30, ".");
  return `[${bar}] ${Math.floor(100 * share)} % of ${size(total)}  ${speed}`;
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
  return `${unit === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

/** A progress bar on standard error, redrawn ten times a second at most. */
export class ProgressBar {
  readonly #total: number | null;
  readonly #offset: number;
  readonly #start = performance.now();
  #drawn = 0;

  /** Makes a bar; `offset` is what an earlier download has saved. */
  constructor(total: number | null, offset: number) {
    this.#total = total;
    this.#offset = offset;
  }

  /** Shows how many bytes are saved, unless that was done just now. */
  update(done: number): void {
    if (performance.now() - this.#drawn >= 100) this.draw(done);
  }

  /** Shows how many bytes are saved. */
  draw(done: number): void {
    this.#drawn = performance.now();
    const seconds = Math.max(0.001, (this.#drawn - this.#start) / 1000);
    const line = progressLine(done, this.#total, (done - this.#offset) / seconds);
    printError(`\r\x1b[K${line}`);
  }

  /** Leaves the line of the bar, for what is printed next. */
  end(): void {
    if (this.#drawn > 0) printError("\n");
  }
}

/** The steps of an exchange: from which event to which. */
const STEPS: [name: string, from: TraceEvent["type"], to: TraceEvent["type"]][] = [
  ["connect", "connectStart", "connected"],
  ["tunnel", "connected", "tunnelled"],
  ["TLS", "tlsStart", "secured"],
  ["send", "requestStart", "requestEnd"],
  ["wait", "requestEnd", "responseHead"],
  ["receive", "responseHead", "responseEnd"],
];

/** Where the time of an exchange went, as one line for each step. */
export function waterfall(events: readonly TraceEvent[]): string[] {
  const time = (type: string) => events.find((event) => event.type === type)?.time;
  const start = events[0]?.time ?? 0;
  const total = Math.max(0.001, (events.at(-1)?.time ?? 0) - start);
  const lines: string[] = [];
  for (const [name, from, to] of STEPS) {
    const [begin, end] = [time(from), time(to)];
    if (begin === undefined || end === undefined || end < begin) continue;
    const at = Math.min(39, Math.floor(40 * (begin - start) / total));
    const width = Math.max(1, Math.round(40 * (end - begin) / total));
    const bar = (" ".repeat(at) + "=".repeat(width)).slice(0, 40).padEnd(40);
    lines.push(`${name.padEnd(8)}|${bar}| ${(end - begin).toFixed(1).padStart(9)} ms`);
  }
  lines.push(`${"total".padEnd(8)}|${" ".repeat(40)}| ${total.toFixed(1).padStart(9)} ms`);
  return lines;
}
