/**
 * The reading part: each call that reads, by framing, by what has come, by how it ends, and by how many
 * microtasks after its begin.
 *
 * @module
 */
import {
  CannotSendRequest,
  type HTTPConnection,
  type HTTPConnectionOptions,
  HTTPException,
  type HTTPResponse,
  IncompleteRead,
} from "../../mod.ts";
import { bytes } from "./bytes.ts";
import { expectAnswer, expectNext, expectNothingLeft } from "./next_request.ts";
import {
  Delivered,
  type Group,
  Marked,
  microtasks,
  pause,
  type Problem,
  settle,
  show,
  Tracked,
  turn,
  type Verdict,
} from "./outcome.ts";
import { again, READING_CALLS, type ReadingCall, type ReadingContext } from "./reading_calls.ts";
import { parseRequests } from "./requests.ts";
import {
  BEHIND,
  BUFFERED,
  type Buffered,
  type Framing,
  FRAMINGS,
  garbage,
  gzipped,
  LARGE,
  type Script,
  SMALL,
} from "./scripts.ts";
import { Aborter, takeRejections } from "./signals.ts";
import { inMemory, overTcp, type Stage } from "./stages.ts";
import type { Peer } from "./transports.ts";

/** Seconds of a deadline; long enough for what comes before the call that it is to end. */
const DEADLINE = 0.04;
/** The bodies, coded. */
const GZIP_SMALL = await gzip(SMALL);
const GZIP_LARGE = await gzip(LARGE);

async function gzip(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const coded = new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(coded).arrayBuffer());
}

/** Who ends it, which decides what the calls may say. */
type By = "closed" | "aborted" | "deadline" | "fin" | "reset" | "garbage" | "reader" | "nobody";

/** A way to end. */
interface End {
  readonly name: string;
  readonly by: By;
  /** Options that it needs. */
  readonly options: HTTPConnectionOptions;
  /** Whether it applies. */
  applies(call: ReadingCall, framing: Framing, buffered: Buffered): boolean;
  act(cell: ReadingCell): void;
}

const always = () => true;
const hasResponse = (call: ReadingCall) => call.name !== "getresponse";

function end(name: string, by: By, act: End["act"], part: Partial<End> = {}): End {
  return { name, by, act, options: {}, applies: always, ...part };
}

/** A deadline: nothing is done, it comes by itself. */
function deadline(name: string, options: HTTPConnectionOptions): End {
  return end(name, "deadline", () => {}, { options });
}

/** A kind of end right after the rest of the response has come. */
function afterTheRest(other: End): End {
  return {
    ...other,
    name: `the rest, ${other.name}`,
    act(cell) {
      cell.complete();
      other.act(cell);
    },
  };
}

const hasReader = { applies: (call: ReadingCall) => call.hasReader };
const closeResponse = end("response.close", "closed", (cell) => cell.response!.close(), {
  applies: hasResponse,
});
const abortRequest = end("abort", "aborted", (cell) => cell.ofRequest.abort());
const closeConnection = end("conn.close", "closed", (cell) => cell.conn.close());

const ENDS: readonly End[] = [
  closeResponse,
  end("response dispose", "closed", (cell) => cell.response![Symbol.dispose](), {
    applies: hasResponse,
  }),
  closeConnection,
  end("conn dispose", "closed", (cell) => cell.conn[Symbol.dispose]()),
  abortRequest,
  end("abort of getresponse", "aborted", (cell) => cell.ofGetresponse.abort()),
  afterTheRest(closeResponse),
  afterTheRest(abortRequest),
  afterTheRest(closeConnection),
  end("FIN", "fin", (cell) => cell.first.end()),
  end("RST", "reset", (cell) => cell.first.fail(cell.reset.error)),
  end("garbage", "garbage", (cell) => cell.first.arrive(cell.garbage()!), {
    applies: (call, { name }, { head }) =>
      (call.name === "getresponse" && head < Infinity) || name.startsWith("chunked"),
  }),
  end("reader.cancel", "reader", (cell) => cell.cancel(), hasReader),
  end("reader.releaseLock", "reader", (cell) => cell.releaseLock(), hasReader),
  end("another read", "nobody", (cell) => cell.readAtOnce(), { applies: hasResponse }),
  end("another request", "nobody", (cell) => cell.requestAtOnce()),
  end("conn.sock = null", "nobody", (cell) => cell.conn.sock = null),
  deadline("timeout", { timeout: DEADLINE }),
  deadline("bodyIdle", { deadlines: { head: DEADLINE, bodyIdle: DEADLINE } }),
  deadline("total", { deadlines: { total: DEADLINE } }),
];

/** How many bytes of the body are in so much of the wire. */
function bodyBytes(script: Script, framing: Framing, wireCount: number): number {
  if (!framing.name.startsWith("chunked")) return wireCount;
  let count = 0;
  for (let i = 0; i + 1 < script.boundaries.length; i++) {
    const [from, to] = [script.boundaries[i], script.boundaries[i + 1]];
    const lineEnd = script.wire.indexOf(10, from) + 1;
    count += Math.max(0, Math.min(wireCount, to - 2) - lineEnd);
  }
  return count;
}

/** What a cell is made of. */
interface Parts {
  readonly call: ReadingCall;
  readonly framing: Framing;
  readonly buffered: Buffered;
  readonly end: End;
  readonly script: Script;
}

/** One cell, while it runs. */
class ReadingCell implements ReadingContext {
  readonly problems: Problem[] = [];
  readonly ofRequest: Aborter = new Aborter();
  readonly ofGetresponse: Aborter = new Aborter();
  readonly reset: Marked = new Marked(new Deno.errors.ConnectionReset("reset (memory)"));
  readonly conn: HTTPConnection;
  /** The peer of the response; there from the set-up on. */
  first!: Peer;
  readonly delivered: Delivered;
  readonly second: Delivered;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
  response: HTTPResponse | null = null;
  reader: ReadingContext["reader"] = null;
  lent: Uint8Array | null = null;
  satisfied = false;
  readonly #stage: Stage;
  readonly #call: ReadingCall;
  readonly #framing: Framing;
  readonly #buffered: Buffered;
  readonly #end: End;
  readonly #script: Script;
  readonly #whole: Uint8Array;
  /** Bytes of head and wire that have come. */
  #arrived = 0;
  /** Whether broken framing has come, so that no more of the script can. */
  #broken = false;
  #ended = false;
  #cancelled = false;
  #others: Tracked[] = [];
  #request: Tracked | null = null;
  /** Whether the second request must not go out behind the response. */
  #early = false;
  #lentCopy: Uint8Array | null = null;

  constructor({ call, framing, buffered, end, script }: Parts, stage: Stage) {
    this.#call = call;
    this.#framing = framing;
    this.#buffered = buffered;
    this.#end = end;
    this.#script = script;
    this.#whole = script.whole;
    const content = call.gzip ? (buffered.large ? LARGE : SMALL) : script.body;
    this.body = call.gzip && script.body.length === 0 ? script.body : content;
    this.delivered = new Delivered(this.body, this.problems);
    this.second = new Delivered(this.body, this.problems);
    this.signal = this.ofGetresponse.signal;
    this.#stage = stage;
    this.conn = stage.conn;
  }

  atEnd(delivered: Delivered = this.delivered): void {
    this.#ended = true;
    if (this.#cancelled || (delivered.count === this.#rightCount && this.#isWhole)) return;
    const detail = `an end after ${delivered.count} of ${this.#rightCount} bytes`;
    this.problems.push({ kind: "short body looks whole", detail });
  }

  /** How many bytes the body has; where only its end tells, as many as came before that. */
  get #rightCount(): number {
    const came = this.#arrived - this.#script.head.length;
    const cut = this.#framing.untilClose && this.first.ended && !this.#call.gzip;
    return cut ? came : this.body.length;
  }

  /** Whether the whole response has come. */
  get #isWhole(): boolean {
    if (this.#framing.untilClose) return this.first.ended;
    return this.#arrived >= this.#whole.length;
  }

  #arrive(upTo: number): void {
    const from = this.#arrived;
    if (upTo <= from || this.#broken) return;
    this.#arrived = upTo;
    this.first.arrive(this.#whole.subarray(from, upTo));
  }

  /** Lets the rest of the response come. */
  complete(): void {
    this.#arrive(this.#whole.length);
    if (this.#framing.willClose) this.first.end();
  }

  /** What breaks the framing where it stands. */
  garbage(): Uint8Array | null {
    const { length } = this.#script.head;
    this.#broken = true;
    if (this.#arrived === 0) return bytes("\x01garbage\r\n\r\n");
    if (this.#arrived < length) return bytes(": \0\r\n\r\n");
    return garbage(this.#script, this.#arrived - length);
  }

  cancel(): void {
    this.#cancelled = true;
    this.#others.push(new Tracked(() => this.reader!.cancel()));
  }

  releaseLock(): void {
    this.reader!.releaseLock();
    this.reader = null;
  }

  /** Another read, while the first may be at work. */
  readAtOnce(): void {
    if (this.#call.name === "close") return;
    if (this.reader !== null) return void this.#others.push(new Tracked(() => again(this)));
    const { response } = this;
    this.#others.push(
      new Tracked(async () => {
        const view = await response!.read(5);
        this.delivered.take(view);
        // The end may be read before the call which has read the rest hands that over.
      }),
    );
  }

  requestAtOnce(): void {
    const { willClose } = this.#framing;
    this.#early = !this.#isWhole || this.#buffered.behind || willClose;
    this.#request = new Tracked(() => this.conn.request("GET", "/second"));
  }

  /** Sends the request, lets a part of the response come, and gets it. */
  async #setUp(): Promise<void> {
    const { signal } = this.ofRequest;
    await this.conn.request(this.#framing.method, "/first", null, {}, { signal });
    this.first = await this.#stage.first();
    const { head, mark, behind, ended } = this.#buffered;
    const { length } = this.#script.head;
    this.#arrive(Math.min(head, length + this.#script.marks[mark]));
    if (behind) this.first.arrive(BEHIND);
    if (ended) this.first.end();
    if (hasResponse(this.#call)) {
      this.response = await this.conn.getresponse({ signal: this.signal });
    }
  }

  async run(ticks: number): Promise<Verdict> {
    const setUp = new Tracked(() => this.#setUp());
    if (!(await settle([setUp])) || setUp.state === "rejected") {
      // A deadline may strike too early on a busy machine: then there is nothing to see.
      if (!(setUp.error instanceof Deno.errors.TimedOut)) {
        const detail = setUp.settled ? show(setUp.error) : "the set-up never settles";
        this.problems.push({ kind: "stuck connection", detail: `set-up: ${detail}` });
      }
      return this.#verdict(true);
    }
    if (this.#end.by === "deadline") await pause(ticks);
    const call = new Tracked(() => this.#call.start(this));
    if (this.#end.by !== "deadline") await microtasks(ticks);
    const atRest = call.settled || this.first.reading;
    const whole = call.state === "resolved" && this.response?.isclosed() === true &&
      this.delivered.all && this.#call.python;
    await this.#finish(call, whole);
    return this.#verdict(atRest);
  }

  /** From the end of the call's time on. */
  async #finish(call: Tracked, whole: boolean): Promise<void> {
    try {
      this.#end.act(this);
    } catch (error) {
      this.problems.push({ kind: "threw synchronously", detail: show(error) });
    }
    if (!this.#mustSettle()) {
      for (let i = 0; i < 3; i++) await turn();
      this.complete();
    }
    if (!(await settle([call, ...this.#others]))) {
      const detail = call.settled ? "what the end did" : "the call";
      this.problems.push({ kind: "never settles", detail });
    }
    this.#lentCopy = this.lent?.slice() ?? null;
    if (call.settled) this.#judge(call);
    this.#judgeOthers();
    await this.#readOn(call, whole);
    await this.#judgeClose();
    await this.#serveOthers();
    this.#judgeWire();
    this.#recheck();
  }

  /** Whether the end is one that the call cannot outlive. */
  #mustSettle(): boolean {
    const { by, name } = this.#end;
    if (by === "nobody") return name === "conn.sock = null" && !hasResponse(this.#call);
    if (name === "reader.releaseLock") return false;
    return !this.#outlives;
  }

  /** CPython: a response that took its connection with it outlives the connection's `close()`. */
  get #outlives(): boolean {
    return this.#end.name.endsWith("conn.close") && this.#framing.willClose;
  }

  #judge(call: Tracked): void {
    if (call.state === "rejected") return this.#judgeError(call.error, "the call");
    const { by } = this.#end;
    if (this.satisfied || this.delivered.count === this.#rightCount) return;
    if (this.#call.toEnd && by !== "fin") {
      const detail = `${this.delivered.count} of ${this.body.length} bytes, as if they were all`;
      this.problems.push({ kind: "short body looks whole", detail });
    } else if (by === "closed" || by === "nobody") {
      const detail = `${this.delivered.count} bytes, though more were asked for`;
      this.problems.push({ kind: "short result", detail });
    }
  }

  #judgeError(error: unknown, what: string): void {
    const right = this.#rightErrors().some((is) => is(error));
    if (!right) this.problems.push({ kind: "wrong error", detail: `${what}: ${show(error)}` });
    const ofBody = this.response !== null && !this.#call.gzip;
    if (error instanceof IncompleteRead && ofBody) {
      this.delivered.look(error.partial, "partial");
    }
    if (this.reset.change !== null) {
      const detail = `an error of the transport: ${this.reset.change}`;
      this.problems.push({ kind: "object of the user's modified", detail });
    }
  }

  /** What the call may reject with. */
  #rightErrors(): ((error: unknown) => boolean)[] {
    const isIncomplete = (error: unknown) => error instanceof IncompleteRead;
    const isInterrupted = (error: unknown) => error instanceof Deno.errors.Interrupted;
    const { by, name } = this.#end;
    const headIsCut = !hasResponse(this.#call) && this.#buffered.head < Infinity;
    // After the call `close` every error is about that.
    const errors = this.#call.name === "close" ? [isInterrupted] : [];
    if (this.#call.gzip) errors.push((error) => error instanceof HTTPException);
    // Two reads at once: the one that comes while the other is at work is refused.
    if (name === "another read") errors.push((error) => error instanceof TypeError);
    switch (by) {
      case "closed":
        return this.#outlives && hasResponse(this.#call) ? errors : [...errors, isInterrupted];
      case "aborted":
        return [...errors, (error) => {
          return error === this.ofRequest.reason.error || error === this.ofGetresponse.reason.error;
        }];
      case "deadline":
        return [...errors, (error) => error instanceof Deno.errors.TimedOut];
      case "fin":
        return [...errors, isIncomplete, (error) => headIsCut && error instanceof HTTPException];
      case "reset":
        return [...errors, (error) => this.#stage.isReset(error, this.reset.error, headIsCut)];
      case "garbage":
        return [...errors, isIncomplete, (error) => headIsCut && error instanceof HTTPException];
      case "reader":
        return name === "reader.cancel" ? errors : [(error) => error instanceof TypeError];
      case "nobody":
        return name === "conn.sock = null" && !hasResponse(this.#call)
          ? [(error) => error instanceof Error]
          : errors;
    }
  }

  /** What else was begun by the end. */
  #judgeOthers(): void {
    for (const other of this.#others) {
      if (other.state !== "rejected" || other.error instanceof TypeError) continue;
      if (this.#call.name === "close" || this.#call.gzip) continue;
      this.problems.push({ kind: "wrong error", detail: `at once: ${show(other.error)}` });
    }
  }

  /** Reads on where the call has left off: to the end of the body, or to the error. */
  async #readOn(call: Tracked, whole: boolean): Promise<void> {
    const { response } = this;
    if (response === null) return;
    if (!this.#mustSettle() || this.#end.by === "nobody") this.complete();
    if (this.#cancelled) {
      this.reader!.releaseLock();
      this.reader = null;
    }
    const partial = this.#partialOf(call);
    if (response.locked && this.reader === null) return this.#judgeLoss(call, partial);
    // A stream that its own reader has cancelled is done, and may say so to later calls.
    const on = new Tracked(() => this.#readToEnd(response));
    const patience = this.#end.by === "deadline" ? 10 : 4;
    if (!(await settle([on], patience))) {
      this.problems.push({ kind: "never settles", detail: "reading on" });
    }
    this.#judgeReadingOn(on, whole);
    this.#judgeLoss(on.state === "rejected" ? on : call, partial ?? this.#partialOf(on));
  }

  async #readToEnd(response: HTTPResponse): Promise<void> {
    if (this.#end.name === "reader.releaseLock") this.reader = response.getReader();
    this.#ended = false;
    if (this.reader !== null) {
      while (!this.#ended) await again(this);
      return;
    }
    const rest = await response.read();
    if (this.#call.gzip) return;
    this.delivered.take(rest);
    this.atEnd();
  }

  #judgeReadingOn(on: Tracked, whole: boolean): void {
    if (on.state !== "rejected") return;
    const isInterrupted = on.error instanceof Deno.errors.Interrupted;
    const goesOn = this.#end.by === "nobody" || this.#outlives ||
      this.#end.name === "reader.releaseLock";
    if (whole) {
      const detail = `reading on: ${show(on.error)}`;
      this.problems.push({ kind: "no end after a whole body", detail });
    } else if (goesOn && this.#call.name !== "close" && !this.#call.gzip) {
      this.problems.push({ kind: "wrong error", detail: `reading on: ${show(on.error)}` });
    } else if (!isInterrupted && !this.#cancelled && !goesOn) {
      this.#judgeError(on.error, "reading on");
    }
  }

  /** The bytes that came with a failure. */
  #partialOf(call: Tracked): Uint8Array | null {
    if (call.state !== "rejected") return null;
    if (call.error instanceof IncompleteRead) return call.error.partial;
    const { partial } = this.response as { partial?: Uint8Array | null };
    return partial ?? new Uint8Array(0);
  }

  /** No byte that came before the peer's end is lost to Python's calls. */
  #judgeLoss(last: Tracked, partial: Uint8Array | null): void {
    const { by } = this.#end;
    if (partial === null || !this.#call.python || this.#call.gzip) return;
    this.delivered.look(partial, "partial");
    // A reset of a real connection may take bytes with it.
    if (!(by === "fin" || (by === "reset" && last.error === this.reset.error))) return;
    if (last.state !== "rejected") return;
    const wire = this.#arrived - this.#script.head.length;
    const came = bodyBytes(this.#script, this.#framing, Math.max(0, wire));
    const told = this.delivered.count + partial.length;
    if (told === came) return;
    const detail = `${came} bytes came, ${told} were delivered or in partial`;
    this.problems.push({ kind: "bytes lost", detail });
  }

  /** A transport whose exchange ended badly is closed by then. */
  async #judgeClose(): Promise<void> {
    const { by, name } = this.#end;
    if (by === "nobody" || name === "reader.releaseLock" || this.#isWhole) return;
    if (await this.first.isClosed()) return;
    this.problems.push({ kind: "left open", detail: "the exchange ended badly" });
  }

  /** The requests that follow get their own answers. */
  async #serveOthers(): Promise<void> {
    const { conn, response } = this;
    if (!this.#mustSettle() && response !== null && !response.isclosed()) response.close();
    if (this.#request !== null) await this.#serveSecond();
    // What a peer does to an idle connection shows after a turn of the event loop, which is made after a rest.
    if (this.#stage.isRemote && (this.#end.by === "fin" || this.#end.by === "reset")) {
      await pause(15);
    }
    const between = () => this.first.fillLate();
    await expectNext(conn, this.problems, between, this.#end.by === "deadline");
    const own = this.#end.name === "conn.sock = null" ? this.first : null;
    const aborters = [this.ofRequest, this.ofGetresponse];
    await expectNothingLeft(conn, this.#stage.peers, aborters, this.problems, own);
  }

  async #serveSecond(): Promise<void> {
    const request = this.#request!;
    const settled = await settle([request]);
    // While its own response is waited for, a connection takes no other request.
    if (request.error instanceof CannotSendRequest && !hasResponse(this.#call)) return;
    if (!settled || request.state === "rejected") {
      const detail = settled ? show(request.error) : "it never settles";
      this.problems.push({ kind: "stuck connection", detail: `the request at once: ${detail}` });
      return;
    }
    const second = new Tracked(() => expectAnswer(this.conn, "/second"));
    if (!(await settle([second])) || second.state === "rejected") {
      const detail = second.settled ? show(second.error) : "it never settles";
      this.problems.push({ kind: "stuck connection", detail: `the answer to /second: ${detail}` });
    } else if (second.value !== null) {
      this.problems.push({ kind: "wrong answer", detail: second.value! });
    }
  }

  #judgeWire(): void {
    this.#stage.peers.forEach((transport, i) => {
      const { requests, junk } = parseRequests(transport.wire);
      const targets = requests.map(({ target }) => target);
      const detail = `transport ${i + 1}: ${targets.join(" ")} ${junk ?? ""}`;
      const behind = transport === this.first && this.#early && targets.includes("/second");
      if (junk !== null || behind || requests.some(({ whole }) => !whole)) {
        this.problems.push({ kind: "wrong request on the wire", detail });
      }
    });
  }

  #recheck(): void {
    this.delivered.recheck();
    this.second.recheck();
    const copy = this.#lentCopy;
    if (copy !== null && this.lent!.some((byte, i) => byte !== copy[i])) {
      const detail = "memory of the caller's was written to after the call";
      this.problems.push({ kind: "wrong bytes", detail });
    }
  }

  #verdict(atRest: boolean): Verdict {
    takeRejections();
    return { problems: this.problems, atRest };
  }
}

/** Whether a cell of these exists. */
function exists(call: ReadingCall, framing: Framing, buffered: Buffered, end: End): boolean {
  if (buffered.head < Infinity && hasResponse(call)) return false;
  if (buffered.behind && framing.untilClose) return false;
  if (framing.whenClosed !== "fails" && !differs(buffered, end)) return false;
  if (end.by === "garbage" && (buffered.ended || buffered.mark === "whole body")) return false;
  if (end.by === "garbage" && buffered.mark === "part of the trailers") return false;
  if (end.by === "garbage" && buffered.name === "large body") return false;
  // Where the end of the connection is the end of the body, what has come by then is all of it.
  const endsEarly = framing.untilClose && end.by === "fin";
  if (endsEarly && (call.name === "json" || call.gzip)) return false;
  // A field line takes what is no line end: the head is another one, but not broken.
  if (end.by === "garbage" && buffered.head < Infinity && framing.name === "204") return false;
  return end.applies(call, framing, buffered);
}

/** Whether it matters what becomes of a read that is pending when the transport is closed. */
function differs(buffered: Buffered, { by }: End): boolean {
  const reads = ["nothing", "head only", "begin of a line", "part of body", "part of a large body"];
  return reads.includes(buffered.name) && ["closed", "aborted", "deadline"].includes(by);
}

const scripts = new Map<string, Script>();

function scriptOf(call: ReadingCall, framing: Framing, large: boolean): Script {
  const key = `${framing.name} ${call.gzip} ${large}`;
  const known = scripts.get(key);
  if (known !== undefined) return known;
  const body = call.gzip ? (large ? GZIP_LARGE : GZIP_SMALL) : large ? LARGE : SMALL;
  const plain = framing.script(body, large);
  const script = call.gzip ? gzipped(plain) : plain;
  scripts.set(key, script);
  return script;
}

/** How many microtasks pass before the end comes. */
const TICKS: readonly number[] = Array.from({ length: 41 }, (_, i) => i);
/** A large body is slow, and its calls differ in the first microtasks only. */
const FEW_TICKS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 27, 40];
/** How many milliseconds pass before the call, where a deadline ends it. */
const PAUSES: readonly number[] = [0];

/** The cells that take place over TCP: what differs there is what the sockets do. */
const TCP_TICKS: readonly number[] = [0, 1, 2, 3, 5, 9];
const TCP_FRAMINGS: readonly string[] = ["length", "chunked", "until close"];
const TCP_BUFFERED: readonly string[] = [
  "nothing",
  "head only",
  "begin of a line",
  "part of body",
  "whole body",
];

function* allParts(): Generator<Parts> {
  for (const call of READING_CALLS) {
    for (const framing of FRAMINGS) {
      for (const buffered of BUFFERED) {
        const script = scriptOf(call, framing, buffered.large);
        if (!(buffered.mark in script.marks)) continue;
        for (const end of ENDS) {
          if (exists(call, framing, buffered, end)) {
            yield { call, framing, buffered, end, script };
          }
        }
      }
    }
  }
}

async function runOn(stage: Stage, parts: Parts, ticks: number): Promise<Verdict> {
  try {
    return await new ReadingCell(parts, stage).run(ticks);
  } finally {
    stage.close();
  }
}

function memoryGroup(parts: Parts, name: string): Group {
  const { buffered, end, framing } = parts;
  const slow = end.by === "deadline";
  return {
    part: "reading",
    name,
    ticks: slow ? PAUSES : buffered.large ? FEW_TICKS : TICKS,
    slow,
    run: (ticks) => runOn(inMemory(end.options, framing.whenClosed), parts, ticks),
  };
}

function tcpGroup(parts: Parts, name: string): Group {
  const { options, by } = parts.end;
  return {
    part: "tcp",
    name: `tcp ${name}`,
    ticks: TCP_TICKS,
    slow: true,
    run: (ticks) => runOn(overTcp(options, by === "reset"), parts, ticks),
  };
}

/** All groups of the reading part. */
export function readingGroups(): Group[] {
  const memory: Group[] = [];
  const tcp: Group[] = [];
  for (const parts of allParts()) {
    const { call, framing, buffered, end } = parts;
    const name = [call.name, framing.name, buffered.name, end.name].join(" / ");
    memory.push(memoryGroup(parts, name));
    if (!TCP_FRAMINGS.includes(framing.name) || !TCP_BUFFERED.includes(buffered.name)) continue;
    // Over TCP a reset may look like an end, which is what ends such a body.
    if (end.by === "reset" && (framing.untilClose || call.name.startsWith("readlines"))) continue;
    // The standard leaves the read of a BYOB reader waiting behind one that let go: see examples/LIMITS.md.
    if (end.name === "reader.releaseLock" && call.name.startsWith("BYOB")) continue;
    if (end.by !== "deadline" && !call.gzip) tcp.push(tcpGroup(parts, name));
  }
  return [...memory, ...tcp];
}
