/**
 * The sending part: each call that sends, by what the peer does, by how it ends, and by how many
 * microtasks after its begin.
 *
 * @module
 */
import {
  CannotSendRequest,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPException,
  type HTTPResponse,
  ResponseNotReady,
} from "../../mod.ts";
import { bytes, isPrefix } from "./bytes.ts";
import { expectAnswer, expectNext, expectNothingLeft } from "./next_request.ts";
import {
  type Group,
  Marked,
  microtasks,
  type Problem,
  settle,
  show,
  Tracked,
  turn,
  type Verdict,
} from "./outcome.ts";
import { parseRequests, type Received } from "./requests.ts";
import {
  follow,
  Gate,
  SENDING_CALLS,
  type SendingCall,
  type SendingContext,
} from "./sending_calls.ts";
import { Aborter } from "./signals.ts";
import { answer, answerAll, answerBody, MemoryTransport } from "./transports.ts";

const DEADLINE = 0.04;

/** What the peer of the first request does. */
interface PeerState {
  readonly name: string;
  /** How many bytes it takes before it stalls. */
  readonly takes: number;
  /** How many bytes a write takes at most. */
  readonly most: number;
  /** What it answers as soon as the head has come, if anything. */
  readonly early: "200 OK" | "413 Content Too Large" | "100" | null;
  /** What it does once it has taken what it takes, rather than to stall. */
  readonly then: "stalls" | "closes" | "fails";
  /** Whether the connection is not made yet. */
  readonly dialling: boolean;
  /** Whether the source of the body waits after its first piece. */
  readonly quiet: boolean;
}

function state(name: string, part: Partial<PeerState> = {}): PeerState {
  const defaults = { takes: Infinity, most: Infinity, early: null, dialling: false, quiet: false };
  return { name, then: "stalls", ...defaults, ...part };
}

/** Enough for any head here, and a part of the body. */
const HEAD_AND_MORE = 160;

const STATES: readonly PeerState[] = [
  state("takes all"),
  state("takes a few bytes", { most: 7 }),
  state("stalls at once", { takes: 0 }),
  state("stalls within the head", { takes: 10 }),
  state("stalls within the body", { takes: HEAD_AND_MORE }),
  state("source is quiet", { quiet: true }),
  state("answers 200 early", { takes: HEAD_AND_MORE, early: "200 OK" }),
  state("answers 413 early", { takes: HEAD_AND_MORE, early: "413 Content Too Large" }),
  state("answers 413, source is quiet", { early: "413 Content Too Large", quiet: true }),
  state("asks for the body", { early: "100" }),
  state("closes", { takes: HEAD_AND_MORE, then: "closes" }),
  state("write error", { takes: 10, then: "fails" }),
  state("write error at once", { takes: 0, then: "fails" }),
  state("dialling", { dialling: true }),
];

/** Who ends it. */
type By = "closed" | "aborted" | "deadline" | "fin" | "reset" | "source" | "sock" | "nobody";

/** A way to end. */
interface End {
  readonly name: string;
  readonly by: By;
  readonly options: HTTPConnectionOptions;
  /** Whether `getresponse()` is called right behind the call. */
  readonly gets: boolean;
  applies(call: SendingCall, peer: PeerState): boolean;
  act(cell: SendingCell): void;
}

function end(name: string, by: By, act: End["act"], part: Partial<End> = {}): End {
  return { name, by, act, options: {}, gets: false, applies: () => true, ...part };
}

/** The same while `getresponse()` waits. */
function whileGetting(other: End): End {
  const applies: End["applies"] = (call, peer) => !call.connects && other.applies(call, peer);
  return { ...other, name: `${other.name} while getting`, gets: true, applies };
}

const connected = { applies: (_call: SendingCall, { dialling }: PeerState) => !dialling };
const close = end("conn.close", "closed", (cell) => cell.conn.close());
const dispose = end("conn dispose", "closed", (cell) => cell.conn[Symbol.dispose]());
const abort = end("abort", "aborted", (cell) => cell.ofRequest.abort(), {
  applies: ({ hasSignal }) => hasSignal,
});
const fin = end("FIN", "fin", (cell) => cell.finish(), connected);
const reset = end("RST", "reset", (cell) => cell.breakOff(), connected);
const sourceFails = end("source throws", "source", (cell) => {
  cell.source.break(cell.ofSource.error);
}, { applies: ({ hasSource }, { quiet }) => hasSource && quiet });

function deadline(name: string, options: HTTPConnectionOptions, applies: End["applies"]): End {
  return end(name, "deadline", () => {}, { options, applies });
}

const ENDS: readonly End[] = [
  close,
  dispose,
  abort,
  fin,
  reset,
  sourceFails,
  ...[close, dispose, abort, fin, reset, sourceFails].map(whileGetting),
  whileGetting(end("abort of getresponse", "aborted", (cell) => cell.ofGetresponse.abort())),
  end("another request", "nobody", (cell) => cell.requestAtOnce(), {
    applies: ({ connects }) => !connects,
  }),
  end("conn.sock = null", "sock", (cell) => cell.dropSock(), connected),
  end("nothing", "nobody", () => {}),
  whileGetting(end("nothing", "nobody", () => {})),
  // A write that is pending runs into it; one that is not leaves nothing to wait for.
  deadline("timeout", { timeout: DEADLINE }, ({ connects, expects }, peer) => {
    return !connects && !expects && peer.takes <= HEAD_AND_MORE && peer.then === "stalls";
  }),
  whileGetting(
    deadline("total", { deadlines: { total: DEADLINE } }, (_call, { dialling }) => !dialling),
  ),
];

/** One cell, while it runs. */
class SendingCell implements SendingContext {
  readonly conn: HTTPConnection;
  readonly source: Gate = new Gate();
  readonly problems: Problem[] = [];
  readonly ofRequest: Aborter = new Aborter();
  readonly ofGetresponse: Aborter = new Aborter();
  readonly ofSource: Marked = new Marked(new Error("the source has failed"));
  readonly ofRead: Marked = new Marked(new Deno.errors.ConnectionReset("reset (memory)"));
  readonly ofWrite: Marked = new Marked(new Deno.errors.BrokenPipe("broken (memory)"));
  readonly #call: SendingCall;
  readonly #peer: PeerState;
  readonly #end: End;
  readonly #transports: MemoryTransport[] = [];
  readonly #dialled: Gate = new Gate();
  readonly #unstalled: Gate = new Gate();
  readonly #calls: Tracked[] = [];
  #left: number;
  #onopen: (transport: MemoryTransport) => void = () => {};
  /** Whether the exchange may go on in spite of its end. */
  #outlives = false;
  #free = false;
  #answered = 0;
  #continued = false;
  #getting: Tracked<HTTPResponse> | null = null;
  #other: Tracked | null = null;

  constructor(call: SendingCall, peer: PeerState, end: End) {
    this.#call = call;
    this.#peer = peer;
    this.#end = end;
    this.#left = peer.takes;
    if (!peer.quiet) this.source.open();
    const { options } = end;
    this.conn = new HTTPConnection("sweep.test", { ...options, transport: () => this.#open() });
  }

  get signal(): AbortSignal {
    return this.ofRequest.signal;
  }

  follow(start: () => Promise<unknown>): void {
    const tracked = follow(start, this.#call.unawaited);
    if (tracked !== null) this.#calls.push(tracked);
  }

  async #open(): Promise<MemoryTransport> {
    const transport = new MemoryTransport();
    this.#transports.push(transport);
    if (transport !== this.#transports[0]) answerAll(transport);
    else {
      transport.take = (p) => this.#take(p);
      transport.onwritten = () => this.#onwritten();
      this.#onopen(transport);
      if (this.#peer.dialling) await this.#dialled.pass();
    }
    return transport;
  }

  #take(p: Uint8Array): number | Promise<number> {
    if (this.#free) return p.length;
    const count = Math.min(p.length, this.#left, this.#peer.most);
    this.#left -= count;
    if (count > 0) return count;
    if (this.#peer.then === "stalls") return this.#unstalled.pass().then(() => p.length);
    const [transport] = this.#transports;
    if (this.#peer.then === "closes") transport.end();
    // A connection that cannot be written to any more does not stay open to read from.
    else setImmediate(() => transport.fail(this.ofRead.error));
    return Promise.reject(this.ofWrite.error);
  }

  /** The peer of the first request: what it answers when. */
  #onwritten(): void {
    const [transport] = this.#transports;
    const { wire } = transport;
    if (!this.#call.large || this.#answered === 0) this.#answerEarly(transport, wire);
    if (this.#call.large && wire.length < this.#call.body.length) return;
    const whole = parseRequests(wire).requests.filter(({ whole }) => whole);
    // A request that was answered early is not answered again.
    for (; this.#answered < whole.length; this.#answered++) {
      transport.arrive(answer(whole[this.#answered].target));
      // What it does to the first request it does to no other, which may follow on the same connection.
      this.#left = Infinity;
    }
  }

  #answerEarly(transport: MemoryTransport, wire: Uint8Array): void {
    const { early } = this.#peer;
    if (this.#answered > 0 || this.#continued || !headIsWhole(wire)) return;
    if (early === "100") this.#continue();
    else if (early !== null) {
      this.#answered++;
      transport.arrive(answer("/first", early));
    }
  }

  #continue(): void {
    if (!this.#call.expects || this.#continued) return;
    this.#continued = true;
    this.#transports[0].arrive(bytes("HTTP/1.1 100 Continue\r\n\r\n"));
  }

  /** The peer closes the connection. */
  finish(): void {
    this.#onPeer((transport) => {
      transport.end();
      // What was written to a connection that is closed comes back as a reset, a turn later.
      setImmediate(() => this.#breakWrites(transport));
    });
  }

  /** The connection is reset. */
  breakOff(): void {
    this.#onPeer((transport) => {
      transport.fail(this.ofRead.error);
      this.#breakWrites(transport);
    });
  }

  /** Does something to the first connection, as soon as there is one. */
  #onPeer(action: (transport: MemoryTransport) => void): void {
    const [transport] = this.#transports;
    if (transport === undefined) this.#onopen = action;
    else action(transport);
  }

  /** Sets `sock`. While there is none, no exchange runs over it that could fail. */
  dropSock(): void {
    this.#outlives = this.conn.sock === null;
    this.conn.sock = null;
  }

  #breakWrites(transport: MemoryTransport): void {
    transport.take = () => Promise.reject(this.ofWrite.error);
    transport.failWrites(this.ofWrite.error);
  }

  requestAtOnce(): void {
    this.#other = new Tracked(() => this.conn.request("POST", "/other", "other"));
  }

  /** The peer does all that it is waited for. */
  #complete(): void {
    this.#free = true;
    this.#left = Infinity;
    this.#dialled.open();
    this.#unstalled.open();
    this.source.open();
    const [transport] = this.#transports;
    if (transport !== undefined && headIsWhole(transport.wire)) this.#continue();
  }

  async run(ticks: number): Promise<Verdict> {
    try {
      this.#call.start(this);
    } catch (error) {
      this.problems.push({ kind: "threw synchronously", detail: show(error) });
    }
    const { signal } = this.ofGetresponse;
    if (this.#end.gets) this.#getting = new Tracked(() => this.conn.getresponse({ signal }));
    await microtasks(ticks);
    const [transport] = this.#transports;
    const settled = this.#calls.every((call) => call.settled) && !this.#call.unawaited;
    const stalled = transport?.writing === true || this.source.waiting || this.#dialled.waiting;
    await this.#finish();
    return { problems: this.problems, atRest: settled || stalled };
  }

  async #finish(): Promise<void> {
    const cutOff = this.#received();
    try {
      this.#end.act(this);
    } catch (error) {
      this.problems.push({ kind: "threw synchronously", detail: show(error) });
    }
    if (this.#end.by === "nobody" || this.#outlives) await this.#goOn();
    await this.#expectSettled();
    this.#judgeCalls();
    await this.#judgeAnswer(cutOff);
    // What was dialled after the end must not be used, and not be left open either.
    this.#dialled.open();
    for (let i = 0; i < 3; i++) await turn();
    await expectNext(this.conn, this.problems, () => {}, this.#end.by === "deadline");
    this.#judgeWire();
    const own = this.#end.by === "sock" ? this.#transports[0] : null;
    const aborters = [this.ofRequest, this.ofGetresponse];
    await expectNothingLeft(this.conn, this.#transports, aborters, this.problems, own ?? null);
    this.#judgeUsersErrors();
  }

  /** Lets the exchange come to its end by itself. */
  async #goOn(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      await turn();
      this.#complete();
    }
  }

  async #expectSettled(): Promise<void> {
    const patience = this.#end.by === "deadline" ? 10 : 4;
    const getting = this.#getting === null ? [] : [this.#getting];
    const others = this.#other === null ? [] : [this.#other];
    if (await settle([...this.#calls, ...getting, ...others], patience)) return;
    const open = this.#calls.filter(({ settled }) => !settled).length;
    const detail = `${open} of ${this.#calls.length} calls, getresponse: ${this.#getting?.state}`;
    this.problems.push({ kind: "never settles", detail });
  }

  /** What has come of the first request. */
  #received(): Received | null {
    const [transport] = this.#transports;
    return transport === undefined ? null : parseRequests(transport.wire).requests[0] ?? null;
  }

  #judgeCalls(): void {
    for (const [i, call] of this.#calls.entries()) {
      if (call.state === "rejected") this.#judgeError(call.error, `call ${i + 1}`);
    }
    const sent = this.#calls.length > 0 && this.#calls.every(({ state }) => state === "resolved");
    if (sent && !this.#call.connects) this.#judgeSent();
    const { error } = this.#other ?? {};
    if (error !== undefined && !(error instanceof CannotSendRequest)) {
      this.problems.push({ kind: "wrong error", detail: `another request: ${show(error)}` });
    }
  }

  /** All calls say that it was sent. */
  #judgeSent(): void {
    if (this.#received()?.whole || this.#mayBeCut) return;
    const detail = "every call resolved, and the request is not whole";
    this.problems.push({ kind: "short body looks whole", detail });
  }

  /** Whether an answer may have ended the upload. */
  get #mayBeCut(): boolean {
    const { by } = this.#end;
    const broken = by === "fin" || by === "reset" || this.#peer.then !== "stalls";
    return this.#peer.early?.startsWith("413") === true ||
      (this.#answered > 0 && (this.#call.expects || broken));
  }

  #judgeError(error: unknown, what: string): void {
    if (this.#rightErrors().some((is) => is(error))) return;
    this.problems.push({ kind: "wrong error", detail: `${what}: ${show(error)}` });
  }

  /** What a call may reject with. */
  #rightErrors(): ((error: unknown) => boolean)[] {
    const { by } = this.#end;
    const errors: ((error: unknown) => boolean)[] = [];
    if (this.#peer.then !== "stalls" || by === "fin" || by === "reset") {
      errors.push((error) => error instanceof HTTPException);
      errors.push((error) => error === this.ofWrite.error || error === this.ofRead.error);
    }
    if (by === "closed") errors.push((error) => error instanceof Deno.errors.Interrupted);
    if (by === "deadline") errors.push((error) => error instanceof Deno.errors.TimedOut);
    if (by === "source") errors.push((error) => error === this.ofSource.error);
    if (by === "sock") errors.push((error) => error instanceof Error);
    if (by === "aborted") {
      errors.push((error) => {
        return error === this.ofRequest.reason.error || error === this.ofGetresponse.reason.error;
      });
    }
    return errors;
  }

  /** The answer to the first request, or why there is none. */
  async #judgeAnswer(cutOff: Received | null): Promise<void> {
    if (this.#call.connects) return;
    const failed = this.#calls.some(({ state }) => state === "rejected");
    // The other request was taken as this one had failed by then: the next answer is its own.
    if (this.#other?.state === "resolved" && this.#getting === null) {
      return await this.#serveOther();
    }
    // Who has heard of the failure may go straight on to the next request, unless an answer is there.
    const early = this.#answered > 0;
    if (failed && this.#getting === null && !early) return;
    if (this.#end.by === "closed" && this.#getting === null) return;
    const { signal } = this.ofGetresponse;
    const getting = this.#getting ?? new Tracked(() => this.conn.getresponse({ signal }));
    if (!(await settle([getting], this.#end.by === "deadline" ? 10 : 4))) {
      this.problems.push({ kind: "never settles", detail: "getresponse() after the end" });
    } else if (getting.state === "rejected") {
      if (failed && getting.error instanceof ResponseNotReady) return;
      this.#judgeNoAnswer(getting.error, cutOff);
    } else await this.#judgeResponse(getting.value!);
  }

  #judgeNoAnswer(error: unknown, cutOff: Received | null): void {
    const { by } = this.#end;
    if (by === "nobody" && this.#peer.then === "stalls") {
      const detail = `getresponse(): ${show(error)}, ${cutOff?.whole}`;
      this.problems.push({ kind: "stuck connection", detail });
    } else this.#judgeError(error, "getresponse()");
  }

  async #judgeResponse(response: HTTPResponse): Promise<void> {
    const text = new Tracked(() => response.text());
    if (!(await settle([text], this.#end.by === "deadline" ? 10 : 4))) {
      this.problems.push({ kind: "never settles", detail: "reading the answer" });
    } else if (text.state === "rejected") {
      if (!(text.error instanceof Deno.errors.Interrupted)) this.#judgeError(text.error, "text()");
    } else if (text.value !== answerBody("/first")) {
      const detail = `/first got ${JSON.stringify(String(text.value).slice(0, 60))}`;
      this.problems.push({ kind: "wrong answer", detail });
    }
    await this.#serveOther();
  }

  /** Another request that was taken gets its answer, too. */
  async #serveOther(): Promise<void> {
    if (this.#other?.state !== "resolved") return;
    const answered = new Tracked(() => expectAnswer(this.conn, "/other"));
    await settle([answered]);
    const detail = answered.state === "rejected"
      ? show(answered.error)
      : answered.settled
      ? answered.value ?? null
      : "it never settles";
    if (detail !== null) {
      this.problems.push({ kind: "stuck connection", detail: `/other: ${detail}` });
    }
  }

  /** Each connection has seen whole requests, in their order, of which only the last may be cut. */
  #judgeWire(): void {
    this.#transports.forEach((transport, i) => {
      const { requests, junk } = parseRequests(transport.wire);
      const at = `transport ${i + 1}`;
      if (junk !== null) this.#wrongWire(`${at}: ${JSON.stringify(junk)} is no request`);
      requests.forEach((request, j) => {
        if (!request.whole && j < requests.length - 1) {
          this.#wrongWire(`${at}: a request behind ${request.target}, which is not whole`);
        }
        this.#judgeRequest(request, at);
      });
    });
  }

  #judgeRequest({ target, body, whole }: Received, at: string): void {
    if (target !== "/first") return;
    const right = this.#call.body;
    const isRight = whole ? body.length === right.length : true;
    if (!isRight || !isPrefix(body, right)) {
      const text = new TextDecoder().decode(body.subarray(0, 60));
      this.#wrongWire(`${at}: the body of /first is ${JSON.stringify(text)}`);
    }
  }

  #wrongWire(detail: string): void {
    this.problems.push({ kind: "wrong request on the wire", detail });
  }

  #judgeUsersErrors(): void {
    for (const { change } of [this.ofSource, this.ofRead, this.ofWrite]) {
      if (change === null) continue;
      this.problems.push({ kind: "object of the user's modified", detail: `an error: ${change}` });
    }
  }
}

function headIsWhole(wire: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(wire.subarray(0, 4096)).includes("\r\n\r\n");
}

/** Whether a cell of these exists. */
function exists(call: SendingCall, peer: PeerState, end: End): boolean {
  if (peer.quiet && !call.hasSource) return false;
  // A body that waits for a 100 is not asked for where its source is said to be quiet.
  if (peer.quiet && call.expects) return false;
  if (peer.early === "100" && !call.expects) return false;
  if (call.connects && !(peer.dialling || peer.name === "takes all")) return false;
  if (call.large && (peer.most < 100 || peer.quiet)) return false;
  return end.applies(call, peer);
}

const TICKS: readonly number[] = Array.from({ length: 41 }, (_, i) => i);
const AT_ONCE: readonly number[] = [0];

/** All groups of the sending part. */
export function sendingGroups(): Group[] {
  const groups: Group[] = [];
  for (const call of SENDING_CALLS) {
    for (const peer of STATES) {
      for (const end of ENDS.filter((end) => exists(call, peer, end))) {
        const slow = end.by === "deadline";
        groups.push({
          part: "sending",
          name: [call.name, peer.name, end.name].join(" / "),
          ticks: slow ? AT_ONCE : TICKS,
          slow,
          run: (ticks) => new SendingCell(call, peer, end).run(ticks),
        });
      }
    }
  }
  return groups;
}
