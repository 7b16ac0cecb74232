/**
 * A strict parser of what arrives on a connection: requests one after another, fed in any pieces.
 *
 * @module
 */
import { latin1 } from "./texts.ts";

/** A request as it arrived. */
export interface Received {
  /** Its number, from the target; `null` while it is not known. */
  id: number | null;
  /** When its first byte arrived. */
  first: number;
  /** How many bytes the client had not taken then of what it had been sent. */
  behind: number;
  /** How many bytes of it arrived, head and framing included. */
  bytes: number;
  method: string;
  fields: Map<string, string[]>;
  headWhole: boolean;
  body: string;
  whole: boolean;
}

/** Who is told of what arrives. */
export interface Listener {
  onhead(request: Received): void;
  onbody(request: Received): void;
  onwhole(request: Received): void;
  /** Bytes that are no request, where one should begin, or that break its framing. */
  onjunk(text: string, request: Received | null): void;
}

type Stage = "head" | "length" | "size" | "chunk" | "chunkEnd" | "trailers" | "raw";

const TARGET = /^([A-Z]+) (?:\/(\d+)|c(\d+)\.example:443) /;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\r\n]*)$/;

/** Feeds on the bytes of one connection. */
export class RequestParser {
  /** The requests that have begun, in their order. */
  readonly requests: Received[] = [];
  /** What is not part of a request: after a protocol switch, after broken framing, or raw. */
  raw = "";
  #listener: Listener;
  #begun: () => { first: number; behind: number };
  #stage: Stage = "head";
  #text = "";
  #left = 0;
  #current: Received | null = null;

  /** Tells `listener`; `begun` says how things stand when the first byte of a request arrives. */
  constructor(listener: Listener, begun: () => { first: number; behind: number }) {
    this.#listener = listener;
    this.#begun = begun;
  }

  /** From here on nothing is parsed. */
  switchOver(): void {
    this.#stage = "raw";
    this.raw += this.#text;
    this.#text = "";
  }

  /** Takes bytes that arrived. */
  feed(bytes: Uint8Array): void {
    let text = latin1(bytes);
    while (text.length > 0) text = text.slice(this.#take(text));
    this.#identify();
  }

  /** Takes some of `text`, at least one character; how many. */
  #take(text: string): number {
    switch (this.#stage) {
      case "raw":
        this.raw += text;
        return text.length;
      case "length":
      case "chunk":
        return this.#takeBody(text);
      default:
        return this.#takeLine(text);
    }
  }

  #takeBody(text: string): number {
    const current = this.#current!;
    const count = Math.min(this.#left, text.length);
    current.body += text.slice(0, count);
    current.bytes += count;
    this.#left -= count;
    if (this.#left === 0) {
      if (this.#stage === "chunk") this.#stage = "chunkEnd";
      else this.#finish();
    }
    this.#listener.onbody(current);
    return count;
  }

  /** Takes up to a line end; heads are taken as a whole. */
  #takeLine(text: string): number {
    const current = this.#current ??= this.#begin();
    const end = this.#stage === "head" ? "\r\n\r\n" : "\r\n";
    const before = this.#text.length;
    const joined = this.#text + text;
    const at = joined.indexOf(end, Math.max(0, before - end.length));
    if (at < 0) {
      this.#text = joined;
      current.bytes += text.length;
      return text.length;
    }
    this.#text = "";
    const count = at + end.length - before;
    current.bytes += count;
    this.#line(joined.slice(0, at), current);
    return count;
  }

  #begin(): Received {
    const request: Received = {
      id: null,
      ...this.#begun(),
      bytes: 0,
      method: "",
      fields: new Map(),
      headWhole: false,
      body: "",
      whole: false,
    };
    this.requests.push(request);
    return request;
  }

  #line(line: string, current: Received): void {
    if (this.#stage === "head") return this.#head(line, current);
    if (this.#stage === "trailers") {
      if (line === "") this.#finish();
      else if (!FIELD.test(line)) this.#junk(line);
    } else if (this.#stage === "chunkEnd") {
      if (line !== "") return this.#junk(line);
      this.#stage = "size";
    } else {
      if (!/^[0-9a-fA-F]+$/.test(line)) return this.#junk(line);
      this.#left = parseInt(line, 16);
      this.#stage = this.#left === 0 ? "trailers" : "chunk";
    }
  }

  #head(text: string, current: Received): void {
    const [first, ...lines] = text.split("\r\n");
    const target = TARGET.exec(first);
    if (target === null || !first.endsWith(" HTTP/1.1")) return this.#junk(text + "\r\n\r\n");
    current.method = target[1];
    current.id = Number(target[2] ?? target[3]);
    for (const line of lines) {
      const field = FIELD.exec(line);
      if (field === null) return this.#junk(line);
      const name = field[1].toLowerCase();
      current.fields.set(name, [...current.fields.get(name) ?? [], field[2]]);
    }
    current.headWhole = true;
    this.#frame(current);
  }

  #frame(current: Received): void {
    const codings = current.fields.get("transfer-encoding") ?? [];
    const lengths = current.fields.get("content-length") ?? [];
    this.#left = Number(lengths[0] ?? 0);
    this.#stage = codings.length > 0 ? "size" : this.#left > 0 ? "length" : "head";
    if (Number.isNaN(this.#left) || this.#left < 0) this.#stage = "raw";
    // The body may be framed by nothing: the request is whole then.
    const whole = this.#stage === "head";
    if (whole) this.#finish();
    this.#listener.onhead(current);
    if (whole) this.#listener.onwhole(current);
  }

  #finish(): void {
    const current = this.#current!;
    current.whole = true;
    this.#current = null;
    const bodied = this.#stage !== "head";
    this.#stage = "head";
    if (bodied) this.#listener.onwhole(current);
  }

  #junk(text: string): void {
    const current = this.#current!;
    this.#stage = "raw";
    this.raw += text;
    // Where no request began, these bytes are nobody's.
    if (!current.headWhole && current.id === null) this.requests.pop();
    this.#current = null;
    this.#listener.onjunk(text, current.headWhole ? current : null);
  }

  /** A head that is not whole yet may tell already whose it is. */
  #identify(): void {
    if (this.#stage !== "head" || this.#current === null) return;
    const target = TARGET.exec(this.#text);
    if (target !== null) this.#current.id ??= Number(target[2] ?? target[3]);
    if (/^(<|[A-Z]* ?\/e)/.test(this.#text)) this.#junk(this.#text);
  }
}
