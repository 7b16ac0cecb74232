/**
 * Runs one cell, and judges it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Deadlines, type HTTPConnection, IncompleteRead, type Transport } from "../../mod.ts";
import { type FullListener, fullListener } from "../helpers/sockets.ts";
import { expectAnswer } from "../sweep/next_request.ts";
import {
  Delivered,
  pause,
  type Problem,
  type ProblemKind,
  show,
  Tracked,
  turn,
} from "../sweep/outcome.ts";
import { parseRequests } from "../sweep/requests.ts";
import { Aborter, takeRejections } from "../sweep/signals.ts";
import { answerBody } from "../sweep/transports.ts";
import { Client, connectionTo, UPLOAD } from "./client.ts";
import { type Expected, expectedOf, phasesOf } from "./expect.ts";
import { beBusy, CellServer } from "./server.ts";
import { type Cell, EMPTY, staysOpen } from "./table.ts";

/**
 * The deadlines of a cell that a deadline ends, in seconds. Where the machine is too slow, the deadline strikes
 * before the moment of the fault: then a longer one has to do.
 */
const DEADLINES = [0.2, 0.8, 3.2];
/** How late a call may settle, in milliseconds: after the fault, or after its deadline. */
const LATE_MS = 2500;
/** How early a deadline may seem to strike, as clocks are not the same. */
const EARLY_MS = 20;
/** How long a peer may take to see that the client has closed, in milliseconds. */
const CLOSE_MS = 1500;
/** Between two bytes of a slow drip: so much of the deadline, in milliseconds a second. */
const SLOWNESS = 100;
/** How long anything else may take. */
const PATIENCE_MS = 5000;

/** The deadline that ends a cell. */
function deadlineOf({ phase, fault }: Cell, seconds: number): Deadlines {
  const { kind } = phase;
  const isSlow = fault === "slow drip";
  if (fault !== "stall, deadline" && !isSlow) return {};
  if (kind === "connect") return { connect: seconds };
  if (kind === "handshake") return { tls: seconds };
  if (kind === "CONNECT" || kind === "head" || kind === "waiting") return { head: seconds };
  return kind === "body" && !isSlow ? { bodyIdle: seconds } : { total: seconds };
}

/** How long a turn of {@linkcode within} counts, however long it takes, in milliseconds. */
const TURN_MS = 10;

/**
 * Waits for a promise, for so long. Time during which this process did not come to run counts little: a busy
 * machine makes no call late.
 *
 * @returns whether it has settled
 */
async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let isSettled = false;
  const done = promise.then(() => void (isSettled = true));
  for (let left = ms / TURN_MS; left > 0 && !isSettled; left--) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = new Promise<void>((resolve) => timer = setTimeout(resolve, TURN_MS));
    await Promise.race([done, turn]);
    clearTimeout(timer);
  }
  return isSettled;
}

class Run {
  readonly problems: Problem[] = [];
  readonly #cell: Cell;
  readonly #seconds: number;
  readonly #aborter = new Aborter();
  readonly #delivered: Delivered;
  readonly #expected: Expected;
  /** The deadlines; longer ones for the requests that follow. */
  readonly #deadlines: Deadlines = {};

  constructor(cell: Cell, seconds: number) {
    this.#cell = cell;
    this.#seconds = seconds;
    const answer = cell.phase.kind === "upload"
      ? Buffer.from(answerBody("/upload"))
      : cell.phase.kind === "connect" || cell.phase.kind === "CONNECT" ||
          cell.phase.kind === "handshake"
      ? Buffer.from(answerBody("/"))
      : cell.phase.body;
    this.#delivered = new Delivered(answer, this.problems);
    this.#expected = expectedOf(cell, this.#aborter.reason.error);
  }

  #problem(kind: ProblemKind, detail: string): void {
    this.problems.push({ kind, detail });
  }

  async run(): Promise<void> {
    const cell = this.#cell;
    await using server = await CellServer.start(cell, {
      friendly: this.#isNeverReached,
      slowness: this.#seconds * SLOWNESS,
    });
    using full = this.#isStalledConnect ? await fullListener() : null;
    const conn = await this.#connection(server, full);
    try {
      const client = new Client(
        cell,
        conn,
        this.#aborter.signal,
        this.#delivered,
        server.answered.resolve,
      );
      const start = performance.now();
      const call = new Tracked(() => client.run());
      if (!(await this.#befall(client, conn, server, call))) return;
      if (await this.#settle(call)) this.#judgeTime(call, start);
      await this.#judge(client, conn, call, server);
      server.settled.resolve();
      await this.#judgeClose(server);
      await this.#serveNext(client, conn, server, full);
      await this.#judgeUpload(client, server);
    } finally {
      server.settled.resolve();
      conn[Symbol.dispose]();
    }
    await this.#judgeRest(server);
  }

  /** Whether it is a deadline that ends the exchange. */
  get isByDeadline(): boolean {
    return this.#expected.deadline;
  }

  get #isStalledConnect(): boolean {
    const { phase, fault, transport } = this.#cell;
    const silent = ["stall, timeout", "stall, deadline", "abort", "close", "dispose"];
    return phase.kind === "connect" && silent.includes(fault) && !transport.users;
  }

  /** Whether the first connection is never made. */
  get #isNeverReached(): boolean {
    return this.#cell.phase.kind === "connect" && this.#cell.fault !== "busy";
  }

  async #connection(server: CellServer, full: FullListener | null): Promise<HTTPConnection> {
    const cell = this.#cell;
    const isUsers = cell.phase.kind === "connect" && cell.transport.users;
    const conn = await connectionTo(cell, server, {
      timeout: cell.fault === "stall, timeout" ? this.#seconds : null,
      deadlines: Object.assign(this.#deadlines, deadlineOf(cell, this.#seconds)),
      ...(isUsers ? { connectFirst: () => new Promise<never>(() => {}) } : {}),
    });
    if (full !== null) conn.port = full.port;
    else if (this.#isNeverReached && !isUsers) conn.port = closedPort();
    return conn;
  }

  /** Lets the fault befall the exchange. Whether it has come to that. */
  async #befall(
    client: Client,
    conn: HTTPConnection,
    server: CellServer,
    call: Tracked,
  ): Promise<boolean> {
    const { phase, fault } = this.#cell;
    if (this.#isNeverReached) {
      await pause(10);
    } else {
      const moment = phase.kind === "idle"
        ? call.done
        : phase.kind === "connect"
        ? server.raw.peer(0)
        : server.reached;
      await within(Promise.race([moment, call.done]), PATIENCE_MS);
      if (server.reachedAt === 0 && !call.settled && phase.kind !== "connect") {
        this.#problem("never settles", "the moment of the fault does not come");
        return false;
      }
    }
    if (fault === "busy") beBusy();
    if (phase.kind === "idle") {
      await within(call.done, PATIENCE_MS);
      server.proceed.resolve();
      await within(server.reached, PATIENCE_MS);
    }
    // What the server has sent by then is read.
    const isCalm = fault === "abort" || fault === "close" || fault === "dispose";
    if (isCalm && phase.kind !== "idle") await this.#calm(client);
    if (fault === "abort") this.#aborter.abort();
    if (fault === "close") conn.close();
    if (fault === "dispose") conn[Symbol.dispose]();
    server.proceed.resolve();
    return true;
  }

  /** Waits until the client has seen what the server had sent. */
  async #calm(client: Client): Promise<void> {
    const isBody = this.#cell.phase.kind === "body";
    for (let left = PATIENCE_MS / 2; left > 0 && isBody && client.response === null; left--) {
      await pause(2);
    }
    for (let i = 0; i < 3; i++) await pause(2);
  }

  async #settle(call: Tracked): Promise<boolean> {
    const { deadline } = this.#expected;
    const most = LATE_MS + (deadline ? this.#seconds * 1000 : 0);
    if (await within(call.done, most)) return true;
    this.#problem("never settles", `pending ${most} ms after the fault`);
    return false;
  }

  #judgeTime(call: Tracked, start: number): void {
    if (!this.#expected.deadline || call.state !== "rejected") return;
    if (performance.now() - start < this.#seconds * 1000 - EARLY_MS) {
      this.#problem("wrong error", "the deadline has struck too early");
    }
  }

  async #judge(
    client: Client,
    conn: HTTPConnection,
    call: Tracked,
    server: CellServer,
  ): Promise<void> {
    if (!call.settled) return;
    const expected = this.#expected;
    const partial = this.#judgeError(client, call);
    this.#judgeBytes(client, call, partial, server);
    this.#judgeFacts(conn, call, server);
    if (this.#aborter.reason.change !== null) {
      this.#problem("object of the user's modified", this.#aborter.reason.change);
    }
    if (this.#aborter.listeners > 0) this.#problem("listener left behind", "the signal's");
    // Nobody's request is left pending when its answer has failed.
    const { request } = client;
    if (request === null || expected.error === null) return;
    if (!(await within(request.done, LATE_MS))) {
      this.#problem("never settles", "what sends the request");
    }
  }

  /** What the error is; the bytes that are told of in it. */
  #judgeError(client: Client, call: Tracked): Uint8Array {
    const { error: wanted, is } = this.#expected;
    if (call.state === "resolved") {
      if (wanted !== null) this.#problem("wrong error", `none, in place of ${wanted}`);
      return EMPTY;
    }
    const { error } = call;
    if (wanted === null) this.#problem("wrong error", show(error));
    else if (!is(error)) this.#problem("wrong error", `${show(error)}, in place of ${wanted}`);
    if (error instanceof IncompleteRead) return error.partial;
    return client.response?.partial ?? EMPTY;
  }

  #judgeBytes(client: Client, call: Tracked, partial: Uint8Array, server: CellServer): void {
    const { phase, way, fault, transport } = this.#cell;
    const delivered = this.#delivered;
    if (call.state === "resolved") {
      // Where the end of the connection is the end of the body, what has come by then is all of it.
      const isCut = phase.untilClose || phase.kind === "detached";
      const ends = ["FIN", "half-close", "no close_notify"].includes(fault);
      const right = isCut && ends ? phase.content : null;
      if (right === null ? !delivered.all : delivered.count !== right) {
        this.#problem("short body looks whole", `${delivered.count} bytes`);
      }
      return;
    }
    if (phase.kind !== "body" || client.response === null || server.reachedAt === 0) return;
    delivered.look(partial, "partial");
    // The standard drops what a stream has queued when it fails.
    const isStream = way === "getReader" || way === "byob" || way === "pipeTo";
    const told = delivered.count + partial.length;
    if (this.#expected.all && !isStream && told !== phase.content) {
      this.#problem("bytes lost", `${phase.content} bytes came, ${told} were told of`);
    }
    const isCertain = fault !== "slow drip" && !transport.users;
    if (isCertain && told > phase.content) {
      this.#problem("wrong bytes", `${phase.content} bytes came, ${told} were told of`);
    }
  }

  #judgeFacts(conn: HTTPConnection, call: Tracked, server: CellServer): void {
    const { phase, fault, transport } = this.#cell;
    if (phase.kind === "detached") return;
    const facts = conn.lastFailure;
    const phases = phasesOf(this.#cell, this.#expected);
    const told = facts?.phase ?? null;
    if (!phases.includes(told)) {
      return this.#problem("wrong error", `the phase ${told}, in place of ${phases.join(" or ")}`);
    }
    if (facts === null) return;
    const own = call.error as { phase?: string };
    const isUsers = fault === "abort" || transport.users;
    if (isUsers && fault === "abort" && "phase" in own) {
      this.#problem("object of the user's modified", "a reason has a phase");
    }
    if (!isUsers && own.phase !== told) {
      this.#problem("wrong error", `the error's phase ${own.phase}, that of lastFailure ${told}`);
    }
    if (facts.connectionReused) this.#problem("wrong error", "connectionReused");
    const isOpen = ["connect", "CONNECT", "handshake"].includes(phase.kind);
    const answered = phase.before.length > 0 && !isOpen;
    // What was sent may not have been read by then, or `node:tls` drops it with its error.
    const isEither = ["slow drip", "garbage", "abort", "broken record"].includes(fault);
    const safe = isOpen
      ? ["yes"]
      : isEither
      ? ["no", "idempotent-only"]
      : answered
      ? ["no"]
      : ["idempotent-only"];
    if (!safe.includes(facts.retrySafe)) {
      this.#problem(
        "wrong error",
        `retrySafe ${facts.retrySafe}, in place of ${safe.join(" or ")}`,
      );
    }
    const seen = server.seen.at(0);
    if (phase.kind !== "head" && phase.kind !== "body") return;
    if (!seen?.inner) return this.#problem("wrong error", "no request has come");
    const came = seen.inner.reads.reduce((sum, count) => sum + count, -seen.offset);
    if (facts.requestBytesSent !== came) {
      this.#problem("wrong error", `requestBytesSent ${facts.requestBytesSent}: ${came} came`);
    }
    const sure = fault.startsWith("stall") || fault === "FIN" || fault === "half-close" ||
      fault === "no close_notify";
    if (sure && facts.responseBytesReceived !== phase.before.length) {
      const detail = `responseBytesReceived ${facts.responseBytesReceived}`;
      this.#problem("wrong error", `${detail}: ${phase.before.length} were sent`);
    }
  }

  /** After a failure the connection is closed at once, as far as the server can see that. */
  async #judgeClose(server: CellServer): Promise<void> {
    if (this.#expected.error === null || this.#isNeverReached) return;
    if (this.#cell.phase.kind === "detached" || staysOpen(this.#cell) !== null) return;
    await this.#expectClosed(server, 0, "the exchange has failed");
  }

  async #expectClosed(server: CellServer, index: number, when: string): Promise<void> {
    const seen = server.seen.at(index);
    // A deadline that is too short may have struck before.
    if (seen === undefined) return;
    for (let left = CLOSE_MS / 5; left > 0 && !seen.closed && !seen.over; left--) await pause(5);
    if (!seen.closed && !seen.over) {
      this.#problem("left open", `connection ${index + 1}: ${when}`);
    }
  }

  /** Lets the requests that follow take their time. */
  #lengthen(conn: HTTPConnection): void {
    conn.timeout = null;
    for (const name of Object.keys(this.#deadlines) as (keyof Deadlines)[]) {
      this.#deadlines[name] = PATIENCE_MS / 1000;
    }
  }

  /** The same object serves the next request, over a connection that nothing is wrong with. */
  async #serveNext(
    client: Client,
    conn: HTTPConnection,
    server: CellServer,
    full: FullListener | null,
  ): Promise<void> {
    const { phase, fault } = this.#cell;
    if (full !== null || (this.#isNeverReached && !this.#cell.transport.users)) {
      conn.port = server.raw.port;
    }
    this.#lengthen(conn);
    closeQuietly(client.detached);
    const accepted = server.seen.length;
    // What befell an idle connection is seen when the system was asked.
    if (phase.kind === "idle" && fault !== "busy") {
      for (let i = 0; i < 10; i++) await pause(2);
    }
    let next = await this.#requestNext(conn);
    // The deadlines of the cell may hold for this request, too.
    const isLate = () => this.#expected.deadline && next.error instanceof Deno.errors.TimedOut;
    for (let tries = 3; tries > 0 && isLate(); tries--) {
      await pause(50);
      next = await this.#requestNext(conn);
    }
    if (this.#isUnseenEnd(conn, next.error)) next = await this.#requestNext(conn);
    if (!next.settled) this.#problem("stuck connection", "the next request never settles");
    else if (next.state === "rejected") {
      this.#problem("stuck connection", `the next request: ${show(next.error)}`);
    } else if (next.value !== null) this.#problem("wrong answer", next.value!);
    const isBad = this.#expected.error !== null || (phase.kind === "idle" && fault !== "abort");
    if (isBad && server.seen.length === accepted) {
      this.#problem("wrong answer", "the next request went out on the same connection");
    }
  }

  async #requestNext(conn: HTTPConnection): Promise<Tracked<string | null>> {
    const next = new Tracked(async () => {
      await conn.request("GET", "/next");
      return await expectAnswer(conn, "/next");
    });
    await within(next.done, PATIENCE_MS);
    return next;
  }

  /**
   * Whether the end of an idle connection had not reached the process when the next request looked: that
   * cannot be seen, and the error says so.
   */
  #isUnseenEnd(conn: HTTPConnection, error: unknown): boolean {
    const { phase } = this.#cell;
    const facts = conn.lastFailure;
    return phase.kind === "idle" && error instanceof Deno.errors.ConnectionReset &&
      facts !== null && facts.connectionReused && facts.responseBytesReceived === 0 &&
      facts.retrySafe === "idempotent-only";
  }

  /** What the server got of the body. */
  #judgeUpload(client: Client, server: CellServer): void {
    const { phase, fault } = this.#cell;
    if (phase.kind !== "upload") return;
    const seen = server.seen.at(0);
    if (!seen?.inner) return this.#problem("wrong request on the wire", "there is none");
    const { requests, junk } = parseRequests(seen.inner.received.subarray(seen.offset));
    const [first] = requests;
    if (junk !== null) this.#problem("wrong request on the wire", junk);
    if (first === undefined || first.target !== "/upload") {
      return this.#problem("wrong request on the wire", `${first?.target}`);
    }
    const right = Buffer.from(UPLOAD.buffer, 0, first.body.length);
    if (first.body.length > UPLOAD.length || !right.equals(first.body)) {
      this.#problem("wrong request on the wire", `its body, ${first.body.length} bytes`);
    }
    const isWhole = fault === "drip" || fault === "busy";
    if (isWhole && !first.whole) this.#problem("wrong request on the wire", "it is not whole");
    if (isWhole && client.response !== null && !client.response.requestComplete) {
      this.#problem("wrong request on the wire", "requestComplete is false");
    }
  }

  /** After dispose nothing is left. */
  async #judgeRest(server: CellServer): Promise<void> {
    this.#delivered.recheck();
    for (const index of server.seen.keys()) {
      if (index === 0 && staysOpen(this.#cell) !== null) continue;
      await this.#expectClosed(server, index, "the connection was disposed of");
    }
    await turn();
    for (const reason of takeRejections()) this.#problem("unhandled rejection", show(reason));
  }
}

/** Closes what may have been closed by its end. */
function closeQuietly(transport: Transport | null): void {
  try {
    transport?.close();
  } catch {
    // BadResource: its readable was told of an error.
  }
}

/** A port that nobody listens at. */
function closedPort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/**
 * Runs one cell.
 *
 * @param cell The cell
 * @returns What is wrong
 */
export async function runCell(cell: Cell): Promise<readonly Problem[]> {
  let problems: readonly Problem[] = [];
  for (const seconds of DEADLINES) {
    const run = new Run(cell, seconds);
    await run.run();
    problems = run.problems;
    if (problems.length === 0 || !run.isByDeadline) break;
  }
  return problems;
}
