/**
 * Plays a case: makes its connections, makes its calls as they are planned, and records how each ends.
 *
 * @module
 */
import {
  CannotSendRequest,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPResponse,
  type TraceEvent,
  type Transport,
} from "../../mod.ts";
import { MemoryTransport } from "./memory.ts";
import {
  type Act,
  type BodyPlan,
  type Call,
  type Case,
  type ConnPlan,
  HELD,
  type HookPoint,
  type Op,
  PLAIN_ANSWER,
  PLAIN_CONN,
  type PutCall,
  type RequestCall,
} from "./plan.ts";
import { type ReadRecord, startReading } from "./reading.ts";
import { bodyOf, isSized, partsOf } from "./sources.ts";
import { TcpServer } from "./tcp.ts";
import { bytesOf, requestPart } from "./texts.ts";
import { type Known, World } from "./world.ts";

/** A call, and how it ended. */
export interface CallRecord {
  what: Call["op"];
  conn: number;
  /** The abort signal it was given, or none. */
  signal: number | null;
  /** Whether nobody looks at its promise. */
  lost: boolean;
  /** The request it belongs to, where that is known. */
  id: number | null;
  called: number;
  /** When it ended; 0 while it has not. */
  settled: number;
  status: "pending" | "resolved" | "rejected" | "unknown";
  error: unknown;
  /** The request that was made last on this object when it was called. */
  current: number | null;
  /** What `lastFailure` was when it was called. */
  failureBefore: unknown;
  failureAfter: unknown;
}

/** A response that was delivered. */
export interface ResponseRecord {
  conn: number;
  response: HTTPResponse;
  /** What it says it is the answer to. */
  owner: string;
  call: CallRecord;
  /** When it was delivered. */
  delivered: number;
  reads: ReadRecord[];
  /** Whether it was closed. */
  closed: boolean;
  /** Whether its own reader cancelled it. */
  cancelled: boolean;
  lines: AsyncIterableIterator<Uint8Array> | null;
  pieces: AsyncIterableIterator<Uint8Array> | null;
}

/** A connection object, and what was seen of it. */
export interface ConnState {
  number: number;
  plan: ConnPlan;
  object: HTTPConnection;
  transports: MemoryTransport[];
  responses: ResponseRecord[];
  /** The request in steps that `send()` belongs to. */
  step: number | null;
  /** When `close()` or dispose was called. */
  closes: number[];
  disposed: number;
  /** When `sock` was set by the case; 0 if not. */
  sockSet: number;
  /** Whether a socket was replaced that nobody but the user closes. */
  replaced: boolean;
  events: { event: TraceEvent; id: number | null; clock: number }[];
  hookCounts: Map<HookPoint, number>;
}

/** What the additions to the interface are called that not every version of the library has. */
interface Additions {
  lastFailure?: unknown;
}

/** For how long nothing happens until nothing will, in milliseconds: with a call that waits, without. */
const QUIET_MEMORY = 10;
const QUIET_IDLE = 1;
const QUIET_TCP = 25;
const TURNS_BEFORE_RELEASE = 3;

/** Ids that a case does not use itself begin here. */
export const PROBES = 900;

/** One turn of the event loop. */
function turn(fast: boolean): Promise<void> {
  return new Promise((go) => void (fast ? setImmediate(go) : setTimeout(go, 0)));
}

/** A call's own promise: one that is made of it would be another one for somebody to look at. */
function called(call: () => Promise<void>): Promise<void> {
  try {
    return call();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** A case that is being played. */
export class Player {
  readonly world: World = new World();
  readonly conns: ConnState[] = [];
  readonly calls: CallRecord[] = [];
  /** Each abort of a signal. */
  readonly aborts: { signal: number; reason: unknown; clock: number }[] = [];
  readonly server: TcpServer | null;
  #controllers: AbortController[] = [];
  #case: Case;
  /** How many calls there were before the last step, and the reading that it has begun, if any. */
  #begun = 0;
  #reading: ReadRecord | null = null;
  #unhandled: ((event: PromiseRejectionEvent) => void) | null = null;
  #uncaught = (event: ErrorEvent): void => {
    event.preventDefault();
    this.world.fail("promise5/uncaught", `Thrown where nobody can catch it: ${event.error}`);
  };

  /** Makes what the case needs; nothing is called yet. */
  constructor(plan: Case) {
    this.#case = plan;
    const tcp = plan.conns.some((conn) => conn.way.startsWith("tcp"));
    this.server = tcp ? new TcpServer(this.world) : null;
    for (const conn of plan.conns) this.#connect(conn);
    for (let i = 0; i < 3; i++) this.#controllers.push(new AbortController());
  }

  /** Makes all calls of the case. */
  async play(): Promise<void> {
    this.#unhandled = (event) => {
      event.preventDefault();
      const { reason } = event;
      const text = reason instanceof Error ? reason.stack ?? reason.message : String(reason);
      const kind = reason instanceof CannotSendRequest ? "-state" : "";
      this.world.fail(
        `promise5/unhandled${kind}`,
        `Nobody awaits it: ${text.split("\n", 3).join(" ")}`,
      );
    };
    globalThis.addEventListener("unhandledrejection", this.#unhandled);
    globalThis.addEventListener("error", this.#uncaught);
    for (const op of this.#case.ops) {
      this.#step(op);
      // Nothing at all comes between two calls where it is 0.
      if (op.after !== 0) await this.#pause(op);
    }
  }

  /** Stops listening. */
  async end(): Promise<void> {
    // A promise that nobody awaits may be rejected a little later.
    await this.quiet();
    await turn(false);
    globalThis.removeEventListener("unhandledrejection", this.#unhandled!);
    globalThis.removeEventListener("error", this.#uncaught);
    await this.server?.stop();
  }

  /** Waits until `over()`, or until nothing happens any more; lets go on what is held meanwhile. */
  async quiet(over: () => boolean = () => false): Promise<void> {
    let turns = 0;
    for (let clock = this.world.clock; !over();) {
      await turn(this.server === null && turns < TURNS_BEFORE_RELEASE);
      if (clock !== this.world.clock) [clock, turns] = [this.world.clock, 0];
      else if (++turns >= TURNS_BEFORE_RELEASE && this.world.release()) clock = this.world.clock;
      else if (turns > TURNS_BEFORE_RELEASE && this.world.since() > this.#patience()) return;
    }
  }

  /** For how long nothing happens until it is certain that nothing will, in milliseconds. */
  #patience(): number {
    if (this.server !== null) return QUIET_TCP;
    const waiting = this.calls.some(({ status, lost }) => status === "pending" || lost) ||
      this.conns.some((conn) =>
        conn.responses.some(({ reads }) => reads.some(({ status }) => status === "pending"))
      );
    return waiting ? QUIET_MEMORY : QUIET_IDLE;
  }

  /** Whether a signal was aborted. */
  aborted(signal: number | null): boolean {
    return signal !== null && this.#controllers[signal].signal.aborted;
  }

  /** Waits for real time to pass. */
  async rest(milliseconds: number): Promise<void> {
    await new Promise((go) => setTimeout(go, milliseconds));
  }

  /** A request and its answer, on a world where nothing goes wrong; what it came to. */
  async probe(
    conn: ConnState,
    id: number,
  ): Promise<{ request: CallRecord; get: CallRecord | null }> {
    this.request(plainRequest(conn.number, id), conn);
    const request = this.calls.at(-1)!;
    await this.#settled(request);
    if (request.status !== "resolved") return { request, get: null };
    this.#getresponse(conn, null);
    const get = this.calls.at(-1)!;
    await this.#settled(get);
    return { request, get };
  }

  /** Waits for a call; one that seems not to settle gets some time more. */
  async #settled(call: CallRecord): Promise<void> {
    for (let i = 0; i < 10 && call.settled === 0; i++) {
      await this.quiet(() => call.settled > 0);
      if (call.settled === 0) await this.rest(10);
    }
  }

  /** Closes a connection object. */
  close(conn: ConnState, dispose: boolean): void {
    conn.closes.push(this.world.tick());
    conn.step = null;
    if (dispose) conn.disposed = this.world.clock;
    try {
      if (dispose) conn.object[Symbol.dispose]();
      else conn.object.close();
    } catch (error) {
      // What a callback throws while the connection is closed may come out here.
      this.world.tell(`close() threw ${error}`);
    }
  }

  /** Reads a response of a connection. */
  read(record: ResponseRecord, how: ReadRecord["how"], amount: number): ReadRecord {
    const read = startReading(this.world, record, how, amount);
    record.reads.push(read);
    return read;
  }

  /** Makes a call; what it has begun is waited for, or not, by {@linkcode #pause}. */
  #step(op: Op): void {
    this.#begun = this.calls.length;
    this.#reading = this.#call(op);
  }

  async #pause({ after }: Op): Promise<void> {
    const [begun, read] = [this.#begun, this.#reading];
    if (after === "turn") return await turn(false);
    if (typeof after === "number") {
      for (let i = 0; i < after; i++) await null;
      return;
    }
    const call = this.calls.length > begun ? this.calls[begun] : null;
    await this.quiet(() =>
      read === null ? call === null || call.status !== "pending" : read.settled > 0
    );
  }

  #call(op: Call): ReadRecord | null {
    if (op.op === "abort") this.#abort(op.signal);
    else if (op.op === "rest") {
      this.#track("rest", -1, null, this.rest(op.milliseconds));
    } else return this.#callOn(this.conns[op.conn] ?? this.conns[0], op);
    return null;
  }

  #callOn(conn: ConnState, op: Exclude<Call, { op: "abort" | "rest" }>): ReadRecord | null {
    switch (op.op) {
      case "request":
        this.request(op, conn);
        break;
      case "put":
        this.#put(op, conn);
        break;
      case "end":
        this.#endheaders(op, conn);
        break;
      case "send":
        if (conn.step === op.id) {
          const text = requestPart(op.id, op.part, op.size);
          this.world.known.get(op.id)!.parts.push(text);
          this.#send("send", conn, op.id, text, op.lost);
        }
        break;
      case "raw":
        this.#send("raw", conn, null, requestPart("raw", op.part, op.size), op.lost);
        break;
      case "getresponse":
        this.#getresponse(conn, op.signal, op.closing);
        break;
      case "connect":
        this.#track("connect", conn.number, null, Promise.try(() => conn.object.connect()));
        break;
      case "close":
      case "dispose":
        this.close(conn, op.op === "dispose");
        break;
      case "sock":
        this.#setSock(conn);
        break;
      case "push":
        this.#push(conn, op.what);
        break;
      default:
        return this.#respond(conn, op);
    }
    return null;
  }

  #respond(
    conn: ConnState,
    op: Extract<Call, { op: "read" | "closeResponse" }>,
  ): ReadRecord | null {
    const record = conn.responses.at(-1 - op.back);
    if (record === undefined) return null;
    this.world.tick();
    if (op.op === "read") return this.read(record, op.how, op.amount);
    this.#closeResponse(record);
    return null;
  }

  #closeResponse(record: ResponseRecord): void {
    record.closed = true;
    try {
      record.response.close();
    } catch (error) {
      this.world.tell(`close() of a response threw ${error}`);
    }
  }

  /** Makes a request. */
  request(op: RequestCall, conn: ConnState): void {
    conn.step = null;
    const known = this.#know(op, op.body === null ? [] : partsOf(op.id, op.body), false);
    known.expect = op.expect && op.body !== null;
    known.odd = op.odd;
    known.signal = op.signal;
    const act = () => this.#act(conn, op.body?.act ?? null, op.body?.actId ?? 0);
    const body = op.body === null ? null : bodyOf(this.world, op.id, op.body, act);
    const target = op.method === "CONNECT" ? `c${op.id}.example:443` : `/${op.id}`;
    const signal = op.signal === null ? undefined : this.#controllers[op.signal].signal;
    const promise = called(() =>
      conn.object.request(op.method, target, body, fieldsOf(op, known), {
        signal,
        ...(op.expect ? { expect_continue: true } : {}),
        ...(op.trailers ? { trailers: { "X-Request-Trailer": "yes" } } : {}),
      })
    );
    this.#follow(known, "request", promise, op.lost, () => {
      // Whoever is done with the bytes may use them for something else.
      if (body instanceof Uint8Array) body.fill(0x21);
    });
  }

  #put(op: PutCall, conn: ConnState): void {
    const known = this.#know(op, [], true);
    known.framed = op.length !== null;
    known.outcome = "rejected";
    // Where it is refused, the request before stays the current one.
    try {
      conn.object.putrequest(op.method, `/${op.id}`);
      if (op.close) conn.object.putheader("Connection", "close");
      if (op.length !== null) conn.object.putheader("Content-Length", op.length);
      conn.step = op.id;
      known.outcome = "begun";
    } catch {
      // Refused: nothing was begun.
    }
  }

  #endheaders(op: Extract<Call, { op: "end" }>, conn: ConnState): void {
    if (conn.step !== op.id) return;
    const known = this.world.known.get(op.id)!;
    const text = op.body === null ? null : requestPart(op.id, 0, op.body);
    if (text !== null) known.parts.push(text);
    const signal = op.signal === null ? undefined : this.#controllers[op.signal].signal;
    known.signal = op.signal;
    const body = text === null ? null : bytesOf(text);
    const promise = called(() => conn.object.endheaders(body, { signal }));
    this.#follow(known, "end", promise, op.lost);
  }

  #send(what: "send" | "raw", conn: ConnState, id: number | null, text: string, lost: boolean) {
    const promise = called(() => conn.object.send(bytesOf(text)));
    if (lost) this.#lose(what, conn.number, id);
    else this.#track(what, conn.number, id, promise);
  }

  #follow(
    known: Known,
    what: "request" | "end",
    promise: Promise<void>,
    lost: boolean,
    after: () => void = () => {},
  ): void {
    known.outcome = lost ? "unknown" : "pending";
    if (lost) return this.#lose(what, known.conn, known.id);
    const record = this.#track(what, known.conn, known.id, promise, ({ status }) => {
      known.outcome = status as "resolved" | "rejected";
      after();
    });
    record.signal = known.signal;
  }

  #know(op: RequestCall | PutCall, parts: string[], steps: boolean): Known {
    const known: Known = {
      id: op.id,
      conn: op.conn,
      parts,
      steps,
      framed: true,
      expect: false,
      close: op.close,
      odd: "none",
      declared: op.op === "request" && op.declared !== null,
      answer: op.answer,
      called: this.world.tick(),
      calledTime: performance.now(),
      signal: null,
      asked: false,
      outcome: "pending",
    };
    this.world.known.set(op.id, known);
    return known;
  }

  #getresponse(conn: ConnState, signal: number | null, closing = false): void {
    const options = signal === null ? {} : { signal: this.#controllers[signal].signal };
    for (const known of this.world.known.values()) known.asked ||= known.conn === conn.number;
    const promise = Promise.try(() => conn.object.getresponse(options));
    const call = this.#track("getresponse", conn.number, null, promise, (record, response) => {
      if (!(response instanceof HTTPResponse)) return;
      conn.responses.push({
        conn: conn.number,
        response,
        owner: response.getheader("X-Id", "none"),
        call: record,
        delivered: this.world.clock,
        reads: [],
        closed: false,
        cancelled: false,
        lines: null,
        pieces: null,
      });
      if (closing) this.#closeResponse(conn.responses.at(-1)!);
    });
    call.signal = signal;
  }

  /** Records a call that nobody looks at: not even a handler for its rejection is set. */
  #lose(what: Call["op"], conn: number, id: number | null): void {
    const record = this.#record(what, conn, id);
    record.status = "unknown";
    record.settled = record.called;
    record.lost = true;
  }

  #track<T>(
    what: Call["op"],
    conn: number,
    id: number | null,
    promise: Promise<T>,
    after: (record: CallRecord, value: T | null) => void = () => {},
  ): CallRecord {
    const record = this.#record(what, conn, id);
    const settle = (status: CallRecord["status"], value: T | null, error: unknown) => {
      record.settled = this.world.tick();
      record.status = status;
      record.error = error;
      record.failureAfter = this.#failureOf(conn);
      const how = status === "rejected" ? `rejected: ${error}` : status;
      this.world.tell(`${what}${id === null ? "" : ` ${id}`} on ${conn} ${how}`);
      after(record, value);
    };
    promise.then((value) => settle("resolved", value, null), (e) => settle("rejected", null, e));
    return record;
  }

  #record(what: Call["op"], conn: number, id: number | null): CallRecord {
    const record: CallRecord = {
      what,
      conn,
      id,
      signal: null,
      lost: false,
      called: this.world.tick(),
      settled: 0,
      status: "pending",
      error: null,
      current: this.#currentOf(conn),
      failureBefore: this.#failureOf(conn),
      failureAfter: null,
    };
    this.calls.push(record);
    return record;
  }

  #currentOf(conn: number): number | null {
    const own = [...this.world.known.values()].filter((known) => known.conn === conn);
    return own.at(-1)?.id ?? null;
  }

  #failureOf(conn: number): unknown {
    return (this.conns[conn]?.object as Additions | undefined)?.lastFailure ?? null;
  }

  #abort(signal: number): void {
    this.world.tick();
    const controller = this.#controllers[signal];
    if (controller.signal.aborted) return;
    const reason = this.world.userError(`signal ${signal}`);
    this.aborts.push({ signal, reason, clock: this.world.clock });
    controller.abort(reason);
  }

  #push(conn: ConnState, what: "answer" | "fin" | "reset"): void {
    const { wires } = this.world;
    const wire = this.server === null
      ? conn.transports.at(-1)?.wire
      : wires.findLast((wire) => wire.closedAt === 0);
    if (wire === undefined || wire.closedAt > 0) return;
    if (wire.parser.requests.every((request) => request.whole) && wire.unfinished === null) {
      wire.push(what);
    }
  }

  #setSock(conn: ConnState): void {
    if (this.server !== null) return;
    // Python leaves the one before to whoever set it, or to its unread response.
    for (const transport of conn.transports) transport.owned = false;
    conn.step = null;
    conn.sockSet = this.world.tick();
    conn.object.sock = this.#transportFor(conn);
  }

  #transportFor(conn: ConnState): MemoryTransport {
    const plan = this.world.healthy ? PLAIN_CONN : conn.plan;
    const transport = new MemoryTransport(this.world, plan);
    conn.transports.push(transport);
    return transport;
  }

  async #open(conn: ConnState): Promise<Transport> {
    this.#hook(conn, "opening");
    await this.world.delay(conn.plan.opening);
    this.#hook(conn, "opened");
    if (this.server === null) return this.#transportFor(conn);
    return await Deno.connect({ hostname: "127.0.0.1", port: this.server.port });
  }

  #connect(plan: ConnPlan): void {
    const { way } = plan;
    const open = (): Promise<Transport> => this.#open(state);
    const own = way === "subclass" || way === "tcp-sock";
    const options: HTTPConnectionOptions = {
      timeout: plan.timeout,
      onInformational: () => this.#hook(state, "onInformational"),
      ...(own || way === "tcp" ? {} : { transport: open }),
      ...(plan.traced ? { trace: (event) => this.#trace(state, event) } : {}),
    };
    class Own extends HTTPConnection {
      override async connect(): Promise<void> {
        const opened = await open();
        // Python leaves the one before to whoever set it, or to its unread response.
        if (this.sock !== null) state.replaced = true;
        for (const transport of state.transports) {
          if (transport !== opened && this.sock === transport) transport.owned = false;
        }
        this.sock = opened;
        // The object was disposed of meanwhile: what is set now is the user's to close.
        if (state.disposed > 0 && opened instanceof MemoryTransport) opened.owned = false;
      }
    }
    const host = way === "tcp" ? "127.0.0.1" : "example.com";
    const Class = own ? Own : HTTPConnection;
    const object = new Class(host, way === "tcp" ? this.server!.port : 80, options);
    const state: ConnState = {
      number: this.conns.length,
      plan,
      object,
      transports: [],
      responses: [],
      step: null,
      closes: [],
      disposed: 0,
      sockSet: 0,
      replaced: false,
      events: [],
      hookCounts: new Map(),
    };
    this.conns.push(state);
    if (way === "sock") object.sock = this.#transportFor(state);
  }

  #trace(conn: ConnState, event: TraceEvent): void {
    const id = event.type === "requestStart" ? Number(event.target.replaceAll(/\D/g, "")) : null;
    conn.events.push({ event, id, clock: this.world.clock });
    this.#hook(conn, event.type as HookPoint);
  }

  #hook(conn: ConnState, at: HookPoint): void {
    const nth = conn.hookCounts.get(at) ?? 0;
    conn.hookCounts.set(at, nth + 1);
    for (const hook of conn.plan.hooks) {
      if (hook.at !== at || hook.nth !== nth) continue;
      // Ports of Python code close in their own `connect()`, before they set `sock`.
      const own = conn.plan.way === "subclass" || conn.plan.way === "tcp-sock";
      const inConnect = own && (at === "opening" || at === "opened");
      const [closes, disposed] = [conn.closes.slice(), conn.disposed];
      this.#act(conn, hook.act, hook.id);
      if (inConnect) [conn.closes, conn.disposed] = [closes, disposed];
    }
  }

  /** What a callback of the user's does. */
  #act(conn: ConnState, act: Act | null, id: number): void {
    if (act === null || this.world.healthy) return;
    this.world.tell(`a callback acts: ${act}`);
    if (act === "throw") throw this.world.userError("a callback");
    if (act === "close" || act === "dispose") this.close(conn, act === "dispose");
    else if (act === "abort") this.#controllers.forEach((_, signal) => this.#abort(signal));
    else if (!this.world.known.has(id)) this.request(plainRequest(conn.number, id), conn);
  }
}

/** A request without a body or anything unusual. */
export function plainRequest(conn: number, id: number): RequestCall {
  return {
    op: "request",
    conn,
    id,
    method: "GET",
    body: null,
    declared: null,
    odd: "none",
    expect: false,
    trailers: false,
    close: false,
    signal: null,
    lost: false,
    answer: PLAIN_ANSWER,
  };
}

/** The header fields that a request is given. */
function fieldsOf(op: RequestCall, known: Known): [string, string][] {
  const size = known.parts.reduce((sum, part) => sum + part.length, 0);
  const fields: [string, string][] = [["X-Request", String(op.id)]];
  if (op.close) fields.push(["Connection", "close"]);
  if (op.declared !== null) fields.push(["Content-Length", String(size + op.declared)]);
  if (op.odd === "both") {
    fields.push(["Content-Length", String(size)], ["Transfer-Encoding", "chunked"]);
  } else if (op.odd === "hosts") fields.push(["Host", "a.example"], ["host", "b.example"]);
  else if (op.odd === "length") fields.push(["Content-Length", `+${size}`]);
  else if (op.odd === "encodings") {
    fields.push(["Transfer-Encoding", "chunked"], ["transfer-encoding", "identity"]);
  }
  return fields;
}

/** Whether a body can be given the caller's own `Content-Length`. */
export function canDeclare(body: BodyPlan | null): body is BodyPlan {
  return body !== null && body.end === "end" && (isSized(body) || body.delay !== HELD);
}
