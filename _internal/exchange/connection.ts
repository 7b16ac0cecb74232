/**
 * A connection: the thing with a transport. It carries one exchange at a time, and one value, its
 * availability, says whether a request may go out on it. Everything that waits for its transport waits
 * here, and gets one reason when the connection ends: no wait depends on the transport to end it.
 *
 * @module
 */
import { errors, ProtocolError, RemoteDisconnected } from "../../errors.ts";
import type { HTTPMessage } from "../../headers.ts";
import { messageOf } from "../../headers.ts";
import { BufferedReader, type Failure } from "../net/buffered_reader.ts";
import { writeError } from "../net/connect_errors.ts";
import {
  CLOSE_ENDS_READS,
  isDenoSocket,
  park,
  ref,
  type SocketAddress,
  type TransportKind,
  turn,
  unref,
} from "../net/platform.ts";
import { HeadReader } from "../net/read_head.ts";
import { closeQuietly, isForeign, type Transport } from "../net/transport.ts";
import { uriHost } from "../wire/authority.ts";
import { decoderFor } from "../wire/body_decoder.ts";
import { checkSame, copyInto } from "../wire/buffered_bytes.ts";
import { DEFAULT_LIMITS, type SectionLimits } from "../wire/field_section.ts";
import { frame, type Framing } from "../wire/framing.ts";
import { plainView } from "../wire/grammar.ts";
import type { Head } from "../wire/response_head.ts";
import { Body, type BodySource, LEFT } from "./body.ts";
import { debugHeaders, debugInterim, debugReply, type DebugSink } from "./debug.ts";
import { type DeadlineKind, Deadlines } from "./deadlines.ts";
import {
  byUser,
  type Carrier,
  Closing,
  DONE,
  type Exchange,
  lost,
  NO_LIMITS,
  Thrown,
  timedOut,
} from "./exchange.ts";
import { type Availability, CONNECTION_STEPS, next, RECEIVING_STEPS, type Step } from "./states.ts";
import { tell, type Trace } from "./trace.ts";

/** What applies to each response on a connection. */
export interface ResponseSettings {
  head: SectionLimits;
  trailers: SectionLimits;
  extensions: number;
  maxInterim: number;
  maxBodyBytes: number;
  /** Whether TLS that ends without `close_notify` is an end like any other. */
  suppressRaggedEofs: boolean;
  onInterim: ((head: Head) => void) | null;
  /** Where debug lines go. */
  debug: DebugSink;
}

/** CPython's limits, and this library's for what CPython does not limit. */
export const DEFAULT_SETTINGS: ResponseSettings = {
  head: DEFAULT_LIMITS,
  trailers: DEFAULT_LIMITS,
  extensions: 65536,
  maxInterim: 100,
  maxBodyBytes: Infinity,
  suppressRaggedEofs: false,
  onInterim: null,
  debug: null,
};

/** After so many milliseconds of rest, the system is asked anew what has come. */
const LONG_IDLE_MS = 3;
/** A transport that wraps another tells within so many turns. */
const PROMPT_TURNS = 3;

/** The final head of a response, and its body. */
export interface Answer {
  head: Head;
  framing: Framing;
  body: Body;
}

/** How a connection has ended. */
interface Ending extends Failure {
  /** Whether the reason is the user's, of the exchange that failed: another one must not write to it. */
  readonly isForeign?: boolean;
}

/** One connection. */
export class Connection implements Transport, Carrier, BodySource {
  availability: Availability = "opening";
  /** What is done while it is opened. */
  opening: "connect" | "tls" | null = "connect";
  /** Whom this library connects it to, as errors name it; empty where the user does. */
  destination = "";
  /** What it runs over, once it is open. */
  transport: Transport = UNOPENED;
  kind: TransportKind = "other";
  reader: BufferedReader = new BufferedReader(null);
  readonly deadlines: Deadlines;
  readonly settings: ResponseSettings;
  /** The exchange that it carries. */
  exchange: Exchange | null = null;
  /** What stands for bytes that are no request, and that nothing follows. */
  raw: Exchange | null = null;
  /** How many exchanges it has carried. */
  served = 0;
  /** Whether a failed write means that nothing of it was accepted. */
  exact = false;
  readonly #trace: Trace | null;
  /** Ends the wait for the step of opening that is at work. */
  #rejectStep: ((reason: unknown) => void) | null = null;
  #resolveWrite: (count: number | PromiseLike<number>) => void = ignore;
  #rejectWrite: (reason: unknown) => void = ignore;
  /** Whose write is out, if any, and of how many bytes. */
  #writer: Exchange | null = null;
  #writeSize = 0;
  /** What is to be written whole, as long as somebody waits for that. */
  #unwritten: Uint8Array | null = null;
  /** Why it ended, once it has. */
  #ending: Ending | null = null;
  #idleSince = 0;
  /** The final answer to the exchange, once its head is waited for. */
  #answer: Promise<Answer> | null = null;
  /** How many calls wait for it, where there are deadlines. */
  #headWaits = 0;
  /** How many wait for bytes of a body, where there are deadlines. */
  #fillWaits = 0;
  /** Whether a call has asked for the answer. */
  #isAwaited = false;
  /** What the call that was the last to wait for bytes of a body waits for, or has waited for. */
  #awaitedFill: Promise<number> | null = null;
  /** Whether a read is out that nobody waits for, yet or any more. */
  #isLeft = false;
  /** Whether a send of the exchange has ended. */
  #isSent = false;
  /** Whether the transport lets the process end. */
  #isUnreferenced = false;
  /** Whether the exchange has deadlines. */
  #timed = false;
  /** Whether nobody else reads on from its reader. */
  #ownsReader = true;

  constructor(settings: ResponseSettings = DEFAULT_SETTINGS, trace: Trace | null = null) {
    this.settings = settings;
    this.#trace = trace;
    this.deadlines = new Deadlines((...expired) => this.#expire(...expired));
  }

  /** A connection over a transport that is there. */
  static over(
    transport: Transport,
    settings: ResponseSettings = DEFAULT_SETTINGS,
    trace: Trace | null = null,
  ): Connection {
    const connection = new Connection(settings, trace);
    connection.attach(transport, isDenoSocket(transport) ? "deno" : "other");
    connection.opened();
    return connection;
  }

  /** A connection that only reads responses, from what a reader has. */
  static reading(reader: BufferedReader): Connection {
    const connection = new Connection();
    connection.reader = reader;
    connection.#ownsReader = false;
    connection.opened();
    return connection;
  }

  // Opening

  /** Its transport is there, or TLS over it is; one that comes after the end is closed. */
  attach(transport: Transport, kind: TransportKind): void {
    this.hold(transport);
    this.kind = kind;
    this.reader = new BufferedReader(transport);
  }

  /** What is to be closed at the end, from now on. */
  hold(transport: Transport): void {
    if (this.availability === "closed") {
      closeQuietly(transport);
      throw this.#ending!.reason;
    }
    this.transport = transport;
  }

  /**
   * Requests may go out.
   *
   * @throws Why it has ended, if it has.
   */
  opened(): void {
    if (this.availability === "closed") throw this.#ending!.reason;
    this.opening = null;
    this.#move(CONNECTION_STEPS.open);
    this.#idleSince = performance.now();
  }

  /**
   * Waits for a step of opening it, of which there is one at a time, or for its end; what comes too late is
   * discarded.
   *
   * @param discard Gets what has come after the end.
   */
  during<T>(step: Promise<T>, discard: (late: T) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.availability === "closed") reject(this.#ending!.reason);
      else this.#rejectStep = reject;
      const endWait = () => {
        if (this.#rejectStep !== reject) return false;
        this.#rejectStep = null;
        return true;
      };
      step.then((value) => {
        if (endWait()) resolve(value);
        else discard(value);
      }, (reason) => {
        if (endWait()) reject(reason);
      });
    });
  }

  /** The other end as text, if the transport is a socket of the platform's that tells. */
  get peer(): string | null {
    if (this.kind === "other") return null;
    const { remoteAddr } = this.transport as { remoteAddr?: SocketAddress };
    if (remoteAddr === undefined) return null;
    if ("path" in remoteAddr) return remoteAddr.path;
    return "hostname" in remoteAddr ? `${uriHost(remoteAddr.hostname)}:${remoteAddr.port}` : null;
  }

  // Availability

  /** Whether a request may go out: asked by everything that sends one. */
  get mayFollow(): boolean {
    return this.availability === "idle" || this.availability === "fresh";
  }

  /** Whether it speaks another protocol by now. */
  get isSwitched(): boolean {
    return this.availability === "switched";
  }

  /**
   * Frees the connection of a response that nobody has read, if all of it has come: the response takes
   * its bytes with it.
   */
  free(): void {
    const { exchange } = this;
    if (this.availability !== "busy" || !exchange?.unread || exchange.sending !== "whole") return;
    if (exchange.busySending || !exchange.body!.takeBytes()) return;
    exchange.leave();
    this.#release();
  }

  /** An exchange begins. */
  begin(exchange: Exchange): void {
    this.#move(CONNECTION_STEPS.begin);
    this.exchange = exchange;
    this.#answer = null;
    this.#isAwaited = this.#isLeft = this.#isSent = false;
    exchange.begin(this);
    this.#limit(exchange);
  }

  /** An exchange waits for the connection to be opened, or bytes that are no request do. */
  beginOpening(exchange: Exchange, isRaw = false): void {
    if (isRaw) this.raw = exchange;
    else this.exchange = exchange;
    exchange.carrier = this;
    this.#limit(exchange);
  }

  /** It was opened for requests to come; one that has waited for it may have begun by now. */
  endOpening(attempt: Exchange): void {
    attempt.leave();
    if (this.exchange !== attempt) return;
    this.exchange = null;
    this.deadlines.end(this.kind === "deno");
  }

  #limit({ limits, timings }: Exchange): void {
    this.#timed = limits !== NO_LIMITS;
    if (this.#timed) this.deadlines.set("total", limits.total, timings.start);
  }

  /** Carries bytes that are no request, beside a response that is still read: nothing follows them. */
  beginRaw(raw: Exchange): void {
    this.endReuse();
    this.raw = raw;
    raw.begin(this);
    if (this.exchange === null) this.#limit(raw);
    else this.#timed ||= raw.limits !== NO_LIMITS;
  }

  /**
   * Looks at an idle connection: a read is issued, and shows what has reached the process. The next `fill()`
   * waits for it, so that nothing is lost. {@linkcode isIntact} tells what was found.
   *
   * @param now The time, as `performance.now()` gives it: a request has asked for it already.
   */
  probe(now: number): Promise<void> {
    const rest = now - this.#idleSince;
    const isLongIdle = rest < 0 || rest > LONG_IDLE_MS;
    this.reader.prefetch();
    const prompt = afterPromptMicrotasks();
    return this.kind === "deno" && !isLongIdle ? prompt : this.#probeLonger(prompt, isLongIdle);
  }

  async #probeLonger(prompt: Promise<void>, isLongIdle: boolean): Promise<void> {
    await prompt;
    if (this.kind !== "deno") {
      for (let i = 0; i < PROMPT_TURNS && this.isIntact; i++) await turn();
    }
    // Who was busy for long may have been so without the event loop: then nothing shows.
    if (isLongIdle && this.isIntact) await park();
  }

  /**
   * Whether it was still open when it was probed, and the server had said nothing on it. CVE-2026-6733:
   * unsolicited bytes are no answer to the next request.
   */
  get isIntact(): boolean {
    return this.reader.available === 0 && this.reader.reading;
  }

  /** Whether the server has spoken of its own accord on a connection that was just made for a request. */
  async hasSpoken(): Promise<boolean> {
    if (this.kind === "deno") {
      this.reader.prefetch();
      await afterPromptMicrotasks();
    }
    return this.reader.available > 0;
  }

  endReuse(): void {
    this.#move(CONNECTION_STEPS["end of reuse"]);
  }

  /** Gives it up for another one, as it is dead or has spoken unasked. */
  retire(): void {
    const { exchange, raw } = this;
    this.exchange = this.raw = null;
    exchange?.leave();
    raw?.leave();
    this.close();
  }

  release(exchange: Exchange): void {
    if (this.exchange === exchange) this.#release();
    if (this.raw === exchange) {
      this.raw = null;
      if (this.exchange === null || this.isSwitched) this.close();
    }
  }

  #release(): void {
    const { exchange, raw, reader } = this;
    this.exchange = null;
    this.#answer = null;
    this.#isLeft = false;
    this.#reference();
    this.served++;
    if (raw !== null) {
      this.deadlines.clear("total");
      return this.#limit(raw);
    }
    this.deadlines.end(this.kind === "deno");
    // A read that is out would be pending on an idle connection.
    if (exchange?.sending !== "whole" || reader.ended || reader.failed || reader.reading) {
      this.endReuse();
    }
    if (this.availability === "last") return this.close();
    this.#move(CONNECTION_STEPS.release);
    this.#idleSince = exchange?.timings.end ?? performance.now();
    reader.release();
  }

  /** Takes the transport out of this library's hands, with what was read ahead. */
  detach(): { transport: Transport; buffered: Uint8Array } {
    const { transport, reader, exchange, raw } = this;
    this.#move(CONNECTION_STEPS.detach);
    this.exchange = this.raw = null;
    exchange?.detach();
    raw?.detach();
    this.deadlines.end(false);
    const buffered = reader.take(reader.available);
    reader.release();
    this.#restoreReference();
    return { transport, buffered };
  }

  /** Leaves the transport to whoever has it: its exchange fails, and nothing is closed. */
  abandon(): void {
    const { exchange, raw } = this;
    this.#move(CONNECTION_STEPS.detach);
    this.raw = null;
    exchange?.close("connection");
    raw?.close("connection");
    this.#stop(new Closing("send", "connection", ""));
    this.#restoreReference();
  }

  /** The transport is the user's: it keeps the process alive as any other does. */
  #restoreReference(): void {
    this.#isLeft = false;
    if (this.kind === "node") ref(this.transport);
    else this.#reference();
  }

  /** Ends it, and what it carries. */
  close(): void {
    const { exchange, raw } = this;
    this.raw = null;
    exchange?.close("connection");
    raw?.close("connection");
    this.#end(new Closing(this.opening ?? "send", "connection", this.destination));
  }

  end(reason: unknown, isForeign = false): void {
    this.#end({ reason, isForeign });
  }

  #end(ending: Ending): void {
    if (this.availability === "closed" || this.availability === "detached") return;
    this.#move(CONNECTION_STEPS.close);
    this.#stop(ending);
    closeQuietly(this.transport);
    if (this.#trace !== null && this.transport !== UNOPENED) tellClose(this.#trace);
  }

  /** Whoever waits gets the reason, and nothing is left behind. */
  #stop(ending: Ending): void {
    const { exchange, raw } = this;
    this.#ending = ending;
    this.exchange = this.raw = null;
    // Where one of two fails, the other gets an error of its own.
    if (exchange !== null && raw?.failure) exchange.fail(this.#endBeside(exchange));
    if (!raw?.busySending) raw?.detach();
    else if (exchange?.closed) raw.close("connection");
    else raw.fail(exchange === null ? this.#endReason : this.#endBeside(raw));
    this.deadlines.end(false);
    if (this.#ownsReader) this.reader.discard(ending);
    else this.reader.interrupt(ending);
    if (this.#writer !== null) this.leaveWrite(this.#writer, this.#endReason);
    this.#rejectStep?.(ending.reason);
    this.#rejectStep = null;
  }

  /** What an exchange that waits is told. */
  get #endReason(): unknown {
    const { reason, isForeign = false } = this.#ending!;
    return isForeign ? new Thrown(reason) : reason;
  }

  /** What one is told that did not fail, but whose connection ended with another. */
  #endBeside({ phase }: Exchange): unknown {
    const { reason, isForeign } = this.#ending!;
    return isForeign ? new Thrown(reason) : lost(phase, reason);
  }

  #move(step: Step<Availability>): void {
    this.availability = next(step, this.availability);
  }

  #expire(name: string, seconds: number, kind: DeadlineKind): void {
    const writer = kind === "write" ? this.#writer : null;
    const exchange = writer ?? this.exchange ?? this.raw;
    exchange?.fail(timedOut(exchange.phase, name, seconds, this.destination));
  }

  // What an exchange asks

  get received(): number {
    return this.reader.received;
  }

  get unconsumed(): number {
    return this.reader.available;
  }

  get reused(): boolean {
    return this.served > 0;
  }

  get closeEndsReads(): boolean {
    return this.kind === "deno" && CLOSE_ENDS_READS;
  }

  throwsFor(error: unknown): boolean {
    return isForeign(this.transport, error) ||
      (this.kind === "other" && this.reader.failedWith(error));
  }

  // Writing

  /**
   * Writes all of `bytes`.
   *
   * @param size How many there were when they were given.
   * @param ontaken Told when more of them were accepted.
   * @throws {TypeError} When they were transferred or became fewer meanwhile.
   */
  send(
    exchange: Exchange,
    bytes: Uint8Array,
    size: number = bytes.length,
    ontaken?: () => void,
  ): Promise<unknown> {
    // Most are out with one write: the loop as an async function is 5 % of a small request's CPU time
    // (`bench/run.ts --only a`).
    if (this.#timed || ontaken !== undefined || size === 0 || bytes.length !== size) {
      return this.#sendAll(exchange, bytes, size, 0, ontaken);
    }
    return this.#write(exchange, bytes, true);
  }

  /** The same where `at` of them are out. */
  async #sendAll(
    exchange: Exchange,
    bytes: Uint8Array,
    size: number,
    at: number,
    ontaken?: () => void,
  ): Promise<number> {
    const timed = this.#timed;
    if (timed) this.deadlines.beginWait();
    try {
      while (at < size) {
        checkSame(bytes, size);
        if (timed) this.deadlines.set("write", exchange.limits.timeout);
        at += await this.#write(exchange, at === 0 ? bytes : bytes.subarray(at));
        exchange.check();
        if (timed) this.deadlines.restart("read");
        ontaken?.();
      }
      return at;
    } finally {
      if (timed) {
        this.deadlines.clear("write");
        this.deadlines.endWait();
      }
    }
  }

  /**
   * One write, or the end of the connection. One is out at a time.
   *
   * @param isWhole Whether what it leaves is written, too, before the promise settles.
   */
  #write(exchange: Exchange, piece: Uint8Array, isWhole = false): Promise<number> {
    // Only a socket of Deno's own keeps the process alive for writes alone.
    if (this.kind !== "deno" && this.availability !== "closed") this.#reference();
    if (this.availability === "closed") return Promise.reject(this.#endReason);
    if (this.#writer !== null) {
      return Promise.reject(
        new TypeError("Cannot send: another write is at work, await it first"),
      );
    }
    if (exchange.isUnsent && this.reader.available > 0 && !exchange.isRaw) {
      return Promise.reject(spokeFirst());
    }
    this.#writer = exchange;
    this.#writeSize = piece.length;
    this.#unwritten = isWhole ? piece : null;
    exchange.beginWrite();
    const write = new Promise(this.#listen);
    this.#issue(piece).then(this.#onwrote, this.#onwriteError);
    return write;
  }

  /** Kept, so that a write makes no function of its own. */
  #listen = (
    resolve: (count: number | PromiseLike<number>) => void,
    reject: (reason: unknown) => void,
  ): void => {
    this.#resolveWrite = resolve;
    this.#rejectWrite = reject;
  };

  #onwrote = (count: number): void => {
    // CPython's `sendall` cannot meet it; an endless loop would be the other way to meet it.
    if (!(count > 0 && count <= this.#writeSize)) {
      return this.#failWrite(
        new errors.WriteZero("Cannot send: the transport took nothing"),
      );
    }
    const bytes = this.#unwritten;
    const size = this.#writeSize;
    const writer = this.#endWrite();
    writer.wrote(count);
    const isRest = bytes !== null && count < size;
    this.#resolveWrite(isRest ? this.#sendAll(writer, bytes, size, count) : count);
  };

  #onwriteError = (reason: unknown): void => {
    if (this.kind === "other" || isForeign(this.transport, reason)) reason = new Thrown(reason);
    else if (this.kind === "deno") reason = writeError(reason, this.transport);
    this.#failWrite(reason);
  };

  #endWrite(): Exchange {
    const writer = this.#writer!;
    this.#writer = this.#unwritten = null;
    if (this.#isLeft) this.#unreference();
    return writer;
  }

  #failWrite(error: unknown): void {
    const writer = this.#endWrite();
    writer.wrote(0);
    writer.writeError ??= { reason: error };
    this.#rejectWrite(error);
  }

  leaveWrite(exchange: Exchange, reason: unknown): void {
    if (this.#writer !== exchange) return;
    this.#unwritten = null;
    this.#rejectWrite(reason);
  }

  #issue(piece: Uint8Array): Promise<number> {
    try {
      return Promise.resolve(this.transport.write(piece));
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  // Reading

  /** Waits for bytes of a body, on behalf of a call. Resolves as the reader's `fill()` does. */
  fill(exchange: Exchange): Promise<number> {
    return this.#timed ? this.#within(exchange, () => this.#fill()) : this.#fill();
  }

  /** The same directly into the caller's memory. */
  fillInto(exchange: Exchange, target: Uint8Array): Promise<number> {
    const read = () => {
      this.#beginWait();
      return this.#awaitedFill = this.reader.fillInto(target);
    };
    return this.#timed ? this.#within(exchange, read) : read();
  }

  async #within(exchange: Exchange, read: () => Promise<number>): Promise<number> {
    const { deadlines } = this;
    this.#fillWaits++;
    deadlines.set("read", exchange.limits.timeout);
    deadlines.set("bodyIdle", exchange.limits.bodyIdle);
    deadlines.beginWait();
    try {
      return await read();
    } finally {
      // One that was left ends when the next has begun.
      if (--this.#fillWaits === 0) {
        deadlines.clear("read");
        deadlines.clear("bodyIdle");
      }
      deadlines.endWait();
    }
  }

  leaveFill(reason: unknown): void {
    this.reader.interrupt({ reason });
    this.#leaveRead();
  }

  #fill(): Promise<number> {
    this.#beginWait();
    return this.#awaitedFill = this.reader.fill();
  }

  /** A call begins to wait for what is read. */
  #beginWait(): void {
    this.#isLeft = false;
    this.#reference();
  }

  /** A read that nobody waits for, yet or any more, does not keep the process alive. */
  #leaveRead(): void {
    const isHeadAwaited = this.#isAwaited && this.exchange?.body === null;
    if (isHeadAwaited || this.reader.isAwaited(this.#awaitedFill)) return;
    this.#isLeft = true;
    if (this.#writer === null) this.#unreference();
  }

  /** Waits for the final head, on behalf of a call. */
  awaitAnswer(exchange: Exchange, debug: boolean): Promise<Answer> {
    if (exchange.failure !== null) return Promise.reject(exchange.failure.reason);
    const answer = this.receive(exchange, debug);
    this.#isAwaited = true;
    // Where the head is there, the read that is out watches the server.
    if (exchange.body === null) this.#beginWait();
    return this.#timed ? this.#withinHeadLimits(exchange, answer) : answer;
  }

  async #withinHeadLimits(exchange: Exchange, answer: Promise<Answer>): Promise<Answer> {
    this.beginHeadWait(exchange);
    try {
      return await answer;
    } finally {
      this.endHeadWait();
    }
  }

  /** A call begins to wait for the head. */
  beginHeadWait(exchange: Exchange): void {
    this.#headWaits++;
    this.limitHead(exchange);
    this.deadlines.set("read", exchange.limits.timeout);
    this.deadlines.beginWait();
  }

  /** It waits no more. */
  endHeadWait(): void {
    if (--this.#headWaits === 0) {
      this.deadlines.clear("read");
      this.deadlines.clear("head");
    }
    this.deadlines.endWait();
  }

  /** The head's deadline begins, once. */
  limitHead(exchange: Exchange): void {
    if (!this.#timed || this.deadlines.runs("head") || exchange.body !== null) return;
    this.deadlines.set("head", exchange.limits.head);
  }

  /** More of the request is to come: the head's deadline ends, unless a call waits for the head. */
  unlimitHead(): void {
    if (this.#timed && this.#headWaits === 0) this.deadlines.clear("head");
  }

  /** The final answer; its head is read once, whoever asks first. */
  receive(exchange: Exchange, debug: boolean): Promise<Answer> {
    return this.#answer ??= this.#receive(exchange, debug);
  }

  async #receive(exchange: Exchange, debug: boolean): Promise<Answer> {
    const { settings, reader } = this;
    try {
      exchange.receive(RECEIVING_STEPS.await);
      const reading = new HeadReader(reader, {
        limits: settings.head,
        maxInterim: settings.maxInterim,
        onStatusLine: debug ? (line) => debugReply(settings.debug, line) : null,
        onInterim: (head) => this.#interim(exchange, head, debug),
      }, this);
      let head = reading.next();
      while (head === null) {
        reading.filled(await reader.fill());
        head = reading.next();
      }
      // A write that was accepted before the answer came ends the request first.
      if (exchange.busySending) await null;
      this.check();
      const framing = frame(exchange.method, head.status, head.version, head.fields);
      if (debug) debugHeaders(settings.debug, head.fields);
      const body = new Body(this, exchange, decoderFor(framing, settings), framing);
      exchange.answered({ status: head.status, willClose: framing.willClose, body });
      if (framing.delimiter === "tunnel") this.#move(CONNECTION_STEPS.switch);
      else if (framing.willClose) this.endReuse();
      if (exchange.trace !== null) {
        exchange.tell({ type: "responseHead", ...shown(head) });
        exchange.check();
      }
      if (exchange.sending === "going" && !this.isSwitched) this.#watch(exchange, body);
      return { head, framing, body };
    } catch (error) {
      throw exchange.fail(exchange.writeError?.reason ?? error);
    }
  }

  /** Asked between two reads of a head. */
  check(): void {
    if (this.availability === "closed") throw this.#endReason;
  }

  /** A read has brought something. */
  progress(): void {
    if (this.#timed) this.deadlines.restart("read");
  }

  #interim(exchange: Exchange, head: Head, debug: boolean): void {
    if (debug) debugInterim(this.settings.debug, head.fields);
    if (exchange.trace !== null) exchange.tell({ type: "interim", ...shown(head) });
    exchange.oninterim?.(head.status);
    const { onInterim } = this.settings;
    if (onInterim !== null) byUser(() => onInterim(head));
  }

  /**
   * While the body of a request goes out behind its answer, a server that goes away is to be noticed
   * though the body's source gives nothing and nobody reads: the buffer is filled, but not grown.
   */
  async #watch(exchange: Exchange, body: Body): Promise<void> {
    const { reader } = this;
    while (exchange.sending === "going" && this.exchange === exchange && !reader.full) {
      try {
        const fill = reader.fill();
        this.#leaveRead();
        if (await fill > 0) continue;
        // The server may have said all that it has to say, and read on.
        if (!body.canEnd) exchange.lose(new RemoteDisconnected(LOST));
        return;
      } catch (reason) {
        if (reason === LEFT) continue;
        return exchange.lose(this.throwsFor(reason) ? new Thrown(reason) : reason);
      }
    }
  }

  // For a response class that reads by itself: what is buffered comes first.

  async read(p: Uint8Array): Promise<number | null> {
    const { reader } = this;
    if (reader.available === 0 && (await this.#fill()) === 0) return null;
    const target = plainView(p);
    const count = Math.min(target.length, reader.available);
    copyInto(reader.bytes, reader.start, target, 0, count);
    reader.start += count;
    return count;
  }

  async write(p: Uint8Array): Promise<number> {
    const { exchange } = this;
    if (exchange === null) throw this.#ending === null ? notConnected() : this.#ending.reason;
    try {
      await this.send(exchange, p);
    } catch (error) {
      throw error instanceof Thrown ? error.reason : error;
    }
    return p.length;
  }

  /**
   * A part of the request is out, or all of it. Whoever awaits that asks for the answer some microtasks later:
   * until then the read that is out is not left. Leaving it and taking it back is 2 to 5 % of a small request's
   * CPU time over a socket.
   */
  endSending(): void {
    this.#isSent = true;
    afterPromptMicrotasks().then(this.#leaveUnawaitedRead);
  }

  /** Kept, so that a request makes no function of its own. */
  #leaveUnawaitedRead = (): void => {
    // By then it may carry another one, which is not out yet.
    if (this.exchange === null || !this.#isSent) return;
    // Between two reads of a head none is out.
    if (this.#answer !== null || this.reader.reading) this.#leaveRead();
  };

  #unreference(): void {
    if (this.#isUnreferenced) return;
    this.#isUnreferenced = true;
    this.#refer(unref);
  }

  #reference(): void {
    if (!this.#isUnreferenced) return;
    this.#isUnreferenced = false;
    this.#refer(ref);
  }

  /** A transport of the user's may throw what it likes. */
  #refer(set: (transport: object) => void): void {
    try {
      set(this.transport);
    } catch (reason) {
      (this.exchange ?? this.raw)?.fail(new Thrown(reason));
    }
  }
}

function ignore(): void {}

/**
 * A socket of Deno's own tells within three microtasks what has come (`bench/idle_guard.ts`): these are two,
 * and whoever waits for them has the third. An `await` for each allocates more.
 */
function afterPromptMicrotasks(): Promise<void> {
  return DONE.then(ignore).then(ignore);
}

const LOST = "Cannot send request: the server has closed the connection";

/** What there is before a connection is open. */
const UNOPENED: Transport = {
  read: () => Promise.resolve(null),
  write: () => Promise.reject(notConnected()),
  close() {},
};

/** What is thrown for a request where bytes came that answer none. */
export function spokeFirst(): ProtocolError {
  return new ProtocolError("Cannot send: the server spoke before the request");
}

function notConnected(): Error {
  return new errors.NotConnected("Cannot send: there is no connection");
}

/** What an event shows of a head. */
function shown(head: Head): { status: number; reason: string; headers: HTTPMessage } {
  const { status, reason, fields, defects } = head;
  return { status, reason, headers: messageOf(fields, defects) };
}

/** The end of a connection is told when all is done: what is thrown by then is nobody's. */
function tellClose(trace: Trace): void {
  try {
    tell(trace, { type: "close" });
  } catch {
    // See `TraceEvent`.
  }
}
