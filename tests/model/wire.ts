/**
 * The server's side of one connection: records what arrives, and answers by the target of each request.
 *
 * @module
 */
import { type AnswerPlan, PLAIN_ANSWER } from "./plan.ts";
import { type Listener, type Received, RequestParser } from "./parser.ts";
import { bytesOf, responseBody, unasked } from "./texts.ts";
import type { Known, World } from "./world.ts";

/** What a server can do to its client. */
export interface Output {
  push(bytes: Uint8Array<ArrayBuffer>): void;
  end(): void;
  reset(): void;
}

/** An answer, as far as it was given. */
export interface Answer {
  id: number;
  status: number;
  /** Whether the connection must not be used for another request. */
  last: boolean;
  /** How much of the body the answer has, where it is sent whole. */
  size: number;
  /** When the end of the head was sent, and that of the body; 0 before. */
  headAt: number;
  wholeAt: number;
  /** Whether the connection switches protocols with it. */
  switches: boolean;
  /** Whether it was broken off. */
  cut: boolean;
  chunked: boolean;
}

const NO_BODY = [101, 204, 304];

/** The bytes of the final response, and where its head ends. */
function finalResponse(known: Known, plan: AnswerPlan, method: string): [string, number] {
  const bodied = method !== "HEAD" && !NO_BODY.includes(plan.status);
  const tunnel = method === "CONNECT" && plan.status < 300;
  const body = bodied && !tunnel ? responseBody(known.id, plan.size) : "";
  const chunked = plan.framing === "chunked" && plan.status !== 101 && !tunnel;
  const length = plan.framing === "length" || plan.framing === "http10";
  const head = [
    `HTTP/1.${plan.framing === "http10" ? 0 : 1} ${plan.status} Whatever`,
    `X-Id: ${known.id}`,
    ...(plan.close ? ["Connection: close"] : []),
    ...(plan.status === 101 ? ["Connection: Upgrade", "Upgrade: x"] : []),
    ...(length && bodied && !tunnel ? [`Content-Length: ${plan.size}`] : []),
    ...(chunked && plan.status !== 204 ? ["Transfer-Encoding: chunked"] : []),
  ].join("\r\n") + "\r\n\r\n";
  return [head + (chunked && bodied ? inChunks(body, plan.trailers) : body), head.length];
}

function inChunks(body: string, trailers: boolean): string {
  let text = "";
  for (let at = 0, size = 7; at < body.length; at += size, size = size * 3 % 1000 + 1) {
    const chunk = body.slice(at, at + size);
    text += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
  }
  return `${text}0\r\n${trailers ? "X-Trailer: yes\r\n" : ""}\r\n`;
}

/** The server's side of a connection. */
export class Wire implements Listener {
  /** Its number among the case's. */
  readonly number: number;
  readonly answers: Answer[] = [];
  /** Whether the server reads no more. */
  stalled = false;
  /** When the server ended the connection, or reset it; 0 if not. */
  endedAt = 0;
  endedTime = 0;
  /** When the client closed; 0 if not. */
  closedAt = 0;
  readonly parser: RequestParser;
  /** How many bytes the client has not taken of what it was sent, where that is known. */
  unread: () => number = () => 0;
  /** Called when the server reads again or ends. */
  onstate: () => void = () => {};
  #world: World;
  #output: Output;
  #waiting: Received[] = [];
  #answering = false;
  #begun = new Set<Received>();

  /** Answers to `output`. */
  constructor(world: World, output: Output) {
    this.#world = world;
    this.#output = output;
    this.number = world.wires.push(this) - 1;
    this.parser = new RequestParser(this, () => ({ first: world.clock, behind: this.unread() }));
  }

  /** Takes what arrived. */
  receive(bytes: Uint8Array): void {
    this.#world.tick();
    this.parser.feed(bytes);
  }

  /** The answer that is not sent whole yet, or none. */
  get unfinished(): Answer | null {
    const last = this.answers.at(-1);
    return last !== undefined && last.wholeAt === 0 ? last : null;
  }

  /** Reads on. */
  heal(): void {
    this.stalled = false;
    this.onstate();
  }

  /** Sends what nobody asked for. */
  push(what: "answer" | "fin" | "reset"): void {
    const { pushes } = this.#world;
    const clock = this.#world.tick();
    if (this.endedAt !== 0) return;
    if (what !== "answer") return this.#end(what);
    const owner = `push-${pushes.length}`;
    pushes.push({ owner, wire: this.number, clock, time: performance.now() });
    this.#output.push(bytesOf(unasked(owner)));
  }

  onhead(request: Received): void {
    const known = this.#world.known.get(request.id!);
    this.#checkHead(request, known);
    const plan = known?.answer ?? PLAIN_ANSWER;
    const expects = request.fields.has("expect");
    if (plan.when === "head") this.#begin(request);
    else if (expects && !this.stalled) this.#output.push(bytesOf("HTTP/1.1 100 Continue\r\n\r\n"));
  }

  onbody(request: Received): void {
    if (this.#planOf(request).when === "early") this.#begin(request);
  }

  onwhole(request: Received): void {
    this.#begin(request);
  }

  onjunk(text: string, request: Received | null): void {
    const before = this.parser.requests.at(-1) ?? null;
    const known = before?.id == null ? undefined : this.#world.known.get(before.id);
    // `send()` without a request, or after a head without framing, goes out as given.
    const raw = /^<((raw|\d+)\.|r?a?w?$|\d*$)/.test(text);
    const own = known !== undefined && text.startsWith(`<${known.id}.`);
    const broken = request !== null;
    if (broken || !raw || own && known.framed && !known.asked) {
      const where = broken ? `in the framing of request ${request.id}` : "where a request begins";
      this.#world.fail("promise2/junk", `wire ${this.number}: ${where}: ${shown(text)}`);
    }
  }

  #planOf(request: Received): AnswerPlan {
    return this.#world.known.get(request.id!)?.answer ?? PLAIN_ANSWER;
  }

  #checkHead(request: Received, known: Known | undefined): void {
    const { fields, id } = request;
    const count = (name: string) => fields.get(name)?.length ?? 0;
    const at = `wire ${this.number}, request ${id}`;
    if (known === undefined) this.#world.fail("promise2/unknown", `${at}: nobody made it`);
    if (count("host") !== 1) this.#world.fail("promise2/head", `${at}: ${count("host")} Host`);
    const codings = count("transfer-encoding"), lengths = count("content-length");
    if (codings + lengths > 1 || fields.get("content-length")?.some((v) => !/^\d+$/.test(v))) {
      this.#world.fail("promise2/head", `${at}: its framing is ${[...fields].join(" ")}`);
    }
  }

  #begin(request: Received): void {
    if (this.#begun.has(request) || request.id === null) return;
    this.#begun.add(request);
    this.#waiting.push(request);
    if (!this.#answering) void this.#answerAll();
  }

  async #answerAll(): Promise<void> {
    this.#answering = true;
    for (let next; (next = this.#waiting.shift()) !== undefined && this.endedAt === 0;) {
      const known = this.#world.known.get(next.id!);
      if (known !== undefined) await this.#answer(next, known);
    }
    this.#answering = false;
  }

  async #answer(request: Received, known: Known): Promise<void> {
    const plan = known.answer;
    const [final, headLength] = finalResponse(known, plan, request.method);
    const interim = plan.interim.map((status) => `HTTP/1.1 ${status} Interim\r\nX-Id: i\r\n\r\n`);
    const text = interim.join("") + final;
    const answer = this.#record(request, known);
    if (!plan.reads && !this.#world.healthy) this.stalled = true;
    const end = plan.cut === "no" ? text.length : Math.floor(text.length * plan.cutAt);
    answer.cut = plan.cut !== "no";
    const step = Math.max(1, Math.ceil(end / plan.pieces));
    for (let at = 0; at < end; at += step) {
      if (plan.delay !== 0) await this.#world.delay(plan.delay);
      if (this.endedAt !== 0) return;
      const clock = this.#world.tick();
      this.#output.push(bytesOf(text.slice(at, Math.min(end, at + step))));
      if (Math.min(end, at + step) >= text.length - final.length + headLength) {
        answer.headAt ||= clock;
      }
    }
    this.#close(answer, plan, end, text.length);
  }

  #record(request: Received, known: Known): Answer {
    const plan = known.answer;
    const tunnel = request.method === "CONNECT" && plan.status < 300;
    const bodied = request.method !== "HEAD" && !NO_BODY.includes(plan.status) && !tunnel;
    const untilClose = plan.framing === "close" && bodied;
    const answer: Answer = {
      id: known.id,
      status: plan.status,
      last: plan.close || plan.framing === "http10" || untilClose || known.close || tunnel ||
        plan.status === 101 || plan.cut !== "no",
      size: bodied ? plan.size : 0,
      headAt: 0,
      wholeAt: 0,
      switches: tunnel || plan.status === 101,
      cut: false,
      chunked: plan.framing === "chunked",
    };
    this.answers.push(answer);
    return answer;
  }

  /** What comes after the bytes of an answer. */
  #close(answer: Answer, plan: AnswerPlan, end: number, whole: number): void {
    if (plan.cut === "fin" || plan.cut === "reset") return this.#end(plan.cut);
    if (end < whole || plan.cut === "stall") return;
    if (answer.switches) this.parser.switchOver();
    // Behind a body until the end of the connection, everything is body.
    if (plan.extra && plan.framing !== "close") this.push("answer");
    if (plan.fin || plan.framing === "close" || plan.framing === "http10") this.#end("fin");
    answer.wholeAt = this.#world.clock;
  }

  #end(how: "fin" | "reset"): void {
    if (this.endedAt !== 0) return;
    this.endedAt = this.#world.tick();
    this.endedTime = performance.now();
    if (how === "fin") this.#output.end();
    else this.#output.reset();
    this.onstate();
  }
}

/** Text on one line, cut short. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}
