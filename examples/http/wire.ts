/**
 * The bytes of a connection, both ways: a transport that reports them, and a parser that finds the parts
 * of a message in them. The parser is for display and for archives; the library does the real parsing.
 *
 * @module
 */
import type { Transport } from "@denoports/http-client";

/** Which way bytes go. */
export type Direction = "sent" | "received";

/** What a part of a message is. Lines include their line ending. */
export type PartKind =
  | "startLine"
  | "field"
  | "headEnd"
  | "chunkSize"
  | "chunkEnd"
  | "lastChunk"
  | "trailer"
  | "messageEnd"
  | "data"
  | "excess";

/** A part of a message. `bytes` is valid only during the call; copy it to keep it. */
export interface Part {
  kind: PartKind;
  bytes: Uint8Array;
  /** Whether it belongs to an interim response (1xx other than 101). */
  interim: boolean;
}

/** What is interested in the bytes of an exchange. */
export interface WireListener {
  /** Called for each exchange before its first byte. */
  begin(method: string): void;
  /** Called for bytes as they pass. */
  bytes?(direction: Direction, bytes: Uint8Array): void;
  /** Called for each part of a message. */
  part?(direction: Direction, part: Part): void;
}

/** A transport that reports the bytes that pass through another one. */
export class Tap implements Transport {
  readonly #inner: Transport;
  readonly #report: (direction: Direction, bytes: Uint8Array) => void;
  /** Ends the sending side, if the transport can. */
  readonly closeWrite?: () => Promise<void>;

  /** Wraps a transport. */
  constructor(inner: Transport, report: (direction: Direction, bytes: Uint8Array) => void) {
    this.#inner = inner;
    this.#report = report;
    if (inner.closeWrite !== undefined) this.closeWrite = () => inner.closeWrite!();
  }

  /** Reads, and reports what was read. */
  async read(p: Uint8Array): Promise<number | null> {
    const count = await this.#inner.read(p);
    if (count !== null) this.#report("received", p.subarray(0, count));
    return count;
  }

  /** Writes, and reports what was accepted. */
  async write(p: Uint8Array): Promise<number> {
    const count = await this.#inner.write(p);
    this.#report("sent", p.subarray(0, count));
    return count;
  }

  /** Closes the transport. */
  close(): void {
    this.#inner.close();
  }
}

/** Distributes the bytes of one connection after another to listeners, exchange by exchange. */
export class Wire {
  readonly #listeners: readonly WireListener[];
  #parsers: Record<Direction, MessageParser> | null = null;

  /** Makes a wire with these listeners. */
  constructor(listeners: readonly WireListener[]) {
    this.#listeners = listeners;
  }

  /** Whether anything listens: otherwise no tap is needed. */
  get hasListeners(): boolean {
    return this.#listeners.length > 0;
  }

  /** Begins an exchange. */
  begin(method: string): void {
    this.#parsers = {
      sent: new MessageParser("request", method),
      received: new MessageParser("response", method),
    };
    for (const listener of this.#listeners) listener.begin(method);
  }

  /** A transport whose bytes are reported. */
  tap(transport: Transport): Transport {
    return new Tap(transport, (direction, bytes) => {
      for (const listener of this.#listeners) listener.bytes?.(direction, bytes);
      for (const part of this.#parsers?.[direction].feed(bytes) ?? []) {
        for (const listener of this.#listeners) listener.part?.(direction, part);
      }
    });
  }
}

/** A longer line is not parsed any more; the library refuses it as well. */
const MAX_LINE_BYTES = 65536;
const LF = 10;

type State = "line" | "data" | "rest" | "over";

/** Finds the parts of one message; interim responses come before the head of the final one. */
export class MessageParser {
  readonly #kind: "request" | "response";
  readonly #method: string;
  #state: State = "line";
  /** What the next line is. */
  #line: "startLine" | "field" | "chunkSize" | "chunkEnd" | "trailer" = "startLine";
  #pending = new Uint8Array(0);
  #left = 0;
  #status = 0;
  #length: number | null = null;
  #chunked = false;

  /** Makes a parser; a response to HEAD has no body. */
  constructor(kind: "request" | "response", method: string) {
    this.#kind = kind;
    this.#method = method;
  }

  /** Takes the next bytes and yields the parts in them. */
  *feed(bytes: Uint8Array): Generator<Part> {
    while (bytes.length > 0) {
      if (this.#state !== "line") {
        const count = this.#state === "data" ? Math.min(this.#left, bytes.length) : bytes.length;
        yield this.#part(this.#state === "over" ? "excess" : "data", bytes.subarray(0, count));
        bytes = bytes.subarray(count);
        if (this.#state === "data" && (this.#left -= count) === 0) this.#endData();
        continue;
      }
      const end = bytes.indexOf(LF) + 1;
      const piece = end === 0 ? bytes : bytes.subarray(0, end);
      bytes = bytes.subarray(piece.length);
      const line = this.#pending.length === 0 ? piece : joined(this.#pending, piece);
      if (end === 0 && line.length <= MAX_LINE_BYTES) {
        this.#pending = line.slice();
        continue;
      }
      this.#pending = new Uint8Array(0);
      if (end === 0) {
        this.#state = "rest";
        yield this.#part("data", line);
      } else yield this.#endLine(line);
    }
  }

  #part(kind: PartKind, bytes: Uint8Array): Part {
    return { kind, bytes, interim: this.#isInterim };
  }

  get #isInterim(): boolean {
    return this.#status >= 100 && this.#status < 200 && this.#status !== 101;
  }

  #endData(): void {
    if (this.#chunked) [this.#state, this.#line] = ["line", "chunkEnd"];
    else this.#state = "over";
  }

  #endLine(line: Uint8Array): Part {
    const text = latin1(line).replace(/\r?\n$/, "");
    switch (this.#line) {
      case "startLine":
        this.#status = this.#kind === "response" ? Number(text.split(" ")[1]) : 0;
        [this.#line, this.#length, this.#chunked] = ["field", null, false];
        return this.#part("startLine", line);
      case "field": {
        if (text !== "") {
          this.#noteField(text);
          return this.#part("field", line);
        }
        const part = this.#part("headEnd", line);
        this.#endHead();
        return part;
      }
      case "chunkSize":
        this.#left = /^[0-9a-f]+/i.test(text) ? parseInt(text, 16) : 0;
        if (this.#left > 0) {
          this.#state = "data";
          return this.#part("chunkSize", line);
        }
        this.#line = "trailer";
        return this.#part("lastChunk", line);
      case "chunkEnd":
        this.#line = "chunkSize";
        return this.#part("chunkEnd", line);
      case "trailer":
        if (text !== "") return this.#part("trailer", line);
        this.#state = "over";
        return this.#part("messageEnd", line);
    }
  }

  #noteField(text: string): void {
    const [, name, value] = /^([^:\s]+):[ \t]*(.*?)[ \t]*$/.exec(text) ?? [];
    if (/^content-length$/i.test(name) && /^[0-9]+$/.test(value)) this.#length = Number(value);
    if (/^transfer-encoding$/i.test(name)) this.#chunked = /^chunked$/i.test(value);
  }

  /** Finds the framing of the body (RFC 9112, Section 6.3). */
  #endHead(): void {
    if (this.#isInterim) {
      this.#line = "startLine";
      return;
    }
    const hasNoBody = this.#kind === "response" &&
      (this.#method === "HEAD" || this.#status === 204 || this.#status === 304);
    if (hasNoBody) this.#state = "over";
    else if (this.#chunked) this.#line = "chunkSize";
    else if (this.#length !== null) {
      this.#left = this.#length;
      this.#state = this.#left > 0 ? "data" : "over";
    } else this.#state = this.#kind === "response" ? "rest" : "over";
  }
}

/** Bytes as text, one character for each byte. */
export function latin1(bytes: Uint8Array): string {
  // The label "latin1" means windows-1252 on the web, which changes the bytes 80 to 9F.
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}
