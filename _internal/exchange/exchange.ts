/**
 * An exchange: one request and its response, from the call that starts it to the end of the body. It owns
 * what is true of that exchange alone: how far the request has gone out and the response has come in, the
 * bytes of both, when what happened, which signals end it, and why it failed. It knows neither sockets
 * nor `HTTPResponse`.
 *
 * @module
 */
import { errors } from "../../errors.ts";
import type { ExchangeDetails, ExchangePhase, RetrySafe } from "../../errors.ts";
import { type Deferred, deferred, socketError } from "../net/platform.ts";
import { uriHost } from "../wire/authority.ts";
import { Deadlines } from "./deadlines.ts";
import {
  next,
  type Receiving,
  RECEIVING_STEPS,
  type Sending,
  SENDING_STEPS,
  type Step,
} from "./states.ts";
import { type ResponseTimings, startTimings, tell, type Trace, type Untimed } from "./trace.ts";

/** Seconds for the parts of an exchange; none by default. */
export interface ExchangeLimits {
  /** For each read and each write. */
  readonly timeout?: number | null;
  readonly head?: number;
  readonly bodyIdle?: number;
  readonly total?: number;
}

/** No deadlines. */
export const NO_LIMITS: ExchangeLimits = {};

/** What the connection that carries an exchange is asked, and told. */
export interface Carrier {
  /** What is done where it is not open yet; `null` once it is. */
  readonly opening: "connect" | "tls" | null;
  /** Whom it is, or is to be, connected to; empty where that is not known. */
  readonly destination?: string;
  /** Bytes that have come, from the first exchange on, and were not consumed. */
  readonly received: number;
  readonly unconsumed: number;
  /** Whether it had carried another exchange before. */
  readonly reused: boolean;
  /** Whether a failed write means that nothing of it was accepted: plain sockets of Deno's own. */
  readonly exact: boolean;
  /** Whether an error is one of the user's own transport. */
  throwsFor(error: unknown): boolean;
  /** Nothing may follow the exchange. */
  endReuse(): void;
  /** A send of the exchange has ended. */
  endSending(): void;
  /** Whoever waits for a write of the exchange gets the reason; the write is left to end by itself. */
  leaveWrite(exchange: Exchange, reason: unknown): void;
  /**
   * The exchange failed: it ends with it, and whoever waits for it gets the reason.
   *
   * @param isForeign Whether the reason is the user's, and never written to.
   */
  end(reason: unknown, isForeign?: boolean): void;
  /** The exchange is over. */
  release(exchange: Exchange): void;
}

/** Who began an exchange. */
export interface ExchangeOwner {
  /** It failed; `facts` are told of it. */
  failed(exchange: Exchange, facts: Required<ExchangeDetails>): void;
  /** Both halves are over, whichever way. */
  over(exchange: Exchange): void;
  /** Work on it begins, or has ended, that may go on when it is over: see {@linkcode Exchange.watch}. */
  working(exchange: Exchange, isWorking: boolean): void;
}

/** The body of a response, as its exchange sees it. */
export interface ExchangeBody {
  /** The exchange has failed. */
  cut(): void;
  /** Goes on with a copy of its bytes, if it has come whole. Whether it has. */
  takeBytes(): boolean;
}

/** What matters of a final answer. */
export interface Answered {
  status: number;
  willClose: boolean;
  body: ExchangeBody;
}

/** What code of the user's has thrown: it is passed on as it is, and never written to. */
export class Thrown {
  readonly reason: unknown;

  constructor(reason: unknown) {
    this.reason = reason;
  }
}

/** Calls code of the user's. */
export function byUser<T>(call: () => T): T {
  try {
    return call();
  } catch (reason) {
    throw new Thrown(reason);
  }
}

/** How the body of a request is delimited. */
export type RequestFraming =
  /** There is none, as far as the head says. */
  | "none"
  | "length"
  /** Chunked, by this library. */
  | "chunked"
  /** By a `Transfer-Encoding` of the caller's, who frames what is sent. */
  | "caller";

/** What an exchange begins with. */
export interface ExchangeStart {
  method: string;
  target: string;
  url: string;
  /** Whom it is with; empty and 0 where there is no connection. */
  host?: string;
  port?: number;
  limits?: ExchangeLimits;
  trace?: Trace | null | undefined;
  owner?: ExchangeOwner | null;
}

/** One request and its response. */
export class Exchange {
  readonly method: string;
  readonly target: string;
  readonly url: string;
  readonly limits: ExchangeLimits;
  readonly trace: Trace | null;
  readonly timings: ResponseTimings = startTimings();
  sending: Sending = "nothing";
  receiving: Receiving = "nothing";
  framing: RequestFraming = "none";
  /** The `Content-Length` of the request. */
  declared: number | null = null;
  /** The `Content-Type` of the request: `send()` encodes text as it says. */
  contentType: string | null = null;
  /** Bytes of the request that the transport has accepted. */
  sent = 0;
  /** Whether both halves are over. */
  over = false;
  /** Whether the server has said that nothing follows. */
  willClose = false;
  /** Why it failed. */
  failure: { readonly reason: unknown } | null = null;
  /** Why a write failed: an answer may still be there to be read. */
  writeError: { readonly reason: unknown } | null = null;
  /** Why a `send()` that waits behind another one is refused; the response goes on. */
  followRefusal: { readonly reason: unknown } | null = null;
  /** The connection that carries it; `null` before, after, and where the body left with its bytes. */
  carrier: Carrier | null = null;
  /** Whether the response was handed over, or why there is none. */
  delivered = false;
  /** Whether it was ended by a close, and not by what befell it. */
  closed = false;
  /** Whether its sending had ended early before it failed, and not by an error of its own. */
  wasStopped = false;
  /** The body of the response, once its head has come. */
  body: ExchangeBody | null = null;
  /** Told the status of each interim response, while a 100 is waited for. */
  oninterim: ((status: number) => void) | null = null;
  /** The send that was begun last; `null` as long as the call that begins the first has not returned. */
  #lastSend: Promise<void> | null = null;
  #onfirst: Deferred<void> | null = null;
  /** How many bytes of the body were given to be sent. */
  given = 0;
  /** Whether nothing follows the sends that were begun. */
  endsWithSends = false;
  /** Whether a write was begun, and whether one is out. */
  #tried = false;
  #writing = false;
  #pendingSends = 0;
  #owner: ExchangeOwner | null;
  #begun = false;
  #receivedBefore = 0;
  #received = 0;
  #reused = false;
  #wasWhole = false;
  #facts: Required<ExchangeDetails> | null = null;
  #signals: AbortSignal[] = NO_SIGNALS;
  #onabort: ((event: Event) => void) | null = null;
  #wake: (() => void) | null = null;
  #onsent: Deferred<void> | null = null;
  /** Whom it is with; empty and 0 where there is no connection. */
  readonly host: string;
  readonly port: number;
  #onend: ((reason: unknown) => void) | null = null;

  constructor(start: ExchangeStart) {
    this.method = start.method;
    this.target = start.target;
    this.url = start.url;
    this.host = start.host ?? "";
    this.port = start.port ?? 0;
    this.limits = start.limits ?? NO_LIMITS;
    this.trace = start.trace ?? null;
    this.#owner = start.owner ?? null;
  }

  /** Whether it stands for bytes that are no request, and that have no answer. */
  get isRaw(): boolean {
    return this.method === "";
  }

  /** Whether a send is under way, or waits for the one before it. */
  get busySending(): boolean {
    return this.#pendingSends > 0;
  }

  /**
   * Whether nothing of the request is missing once what is sent now is out. What a `send()` behind it has
   * given is not out yet, and is a part of it unless the body has an end of its own.
   */
  get endsWithThisSend(): boolean {
    return this.complete && (this.#hasEnd || this.#pendingSends < 2);
  }

  /** Whether the body of the request has an end of its own, which no `send()` moves. */
  get #hasEnd(): boolean {
    return this.framing === "chunked" || this.framing === "none";
  }

  /** Whether the whole request was sent; bytes that follow its own end make nothing of it. */
  get requestComplete(): boolean {
    return this.sending === "whole" || this.#wasWhole;
  }

  /** Whether the response's body has begun, and was not read to its end. */
  get unread(): boolean {
    return this.receiving === "body";
  }

  /** What it is at, derived from its two halves; for a failed write it is `send`. */
  get phase(): ExchangePhase {
    if (this.writeError !== null) return "send";
    if (this.receiving === "body") return "body";
    if (this.carrier === null) return this.#begun ? this.#doing : "connect";
    return this.carrier.opening ?? this.#doing;
  }

  get #doing(): ExchangePhase {
    if (this.sending === "nothing" || this.sending === "going") return "send";
    return this.receiving === "whole" ? "body" : "head";
  }

  /** Bytes of the response that have come. */
  get received(): number {
    if (this.carrier === null || !this.#begun) return this.#received;
    return this.carrier.received - this.#receivedBefore;
  }

  /** What is known of it; once it has failed, of that moment. */
  facts(): Required<ExchangeDetails> {
    return this.#facts ?? {
      phase: this.phase,
      requestBytesSent: this.sent,
      responseBytesReceived: this.received,
      connectionReused: this.#reused,
      retrySafe: this.#retrySafe,
    };
  }

  get #retrySafe(): RetrySafe {
    // A write that is out may have been accepted, though nobody told of it.
    const rejected = this.#tried && !this.#writing && (this.carrier?.exact ?? false);
    if (this.sent === 0 && (!this.#tried || rejected)) return "yes";
    return this.received > 0 ? "no" : "idempotent-only";
  }

  /** It is refused before a byte of it was sent: that is not a failure. */
  refuse(reason: unknown): unknown {
    if (this.failure === null) this.#fail(reason, true);
    return this.failure!.reason;
  }

  /** Waits until it goes out: the answer to it may be waited for then. */
  whenSent(): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure.reason);
    if (this.#tried) return DONE;
    this.#onsent ??= deferred<void>();
    return this.#onsent.promise;
  }

  /** It is carried by `carrier` from now on. */
  begin(carrier: Carrier): void {
    this.carrier = carrier;
    this.#begun = true;
    this.#reused = carrier.reused;
    this.#receivedBefore = carrier.received - carrier.unconsumed;
  }

  /** The connection turned out to be dead, or was handed over: it is carried by none. */
  leave(): void {
    this.#received = this.received;
    this.carrier = null;
  }

  /** Its connection was handed over to the user: it is over. */
  detach(): void {
    this.leave();
    this.#end();
  }

  /** Lets a signal end it; one that is aborted already throws. */
  listen(signal: AbortSignal | null | undefined): void {
    if (signal === null || signal === undefined || this.#signals.includes(signal)) return;
    if (signal.aborted) throw new Thrown(signal.reason);
    const onabort = this.#onabort ?? this.#failByAbort();
    this.#onabort = onabort;
    signal.addEventListener("abort", onabort);
    this.#signals = [...this.#signals, signal];
  }

  /**
   * V8 takes a function that is written right where it is assigned to a property for one that lives long: it
   * and all that it sees would be kept until the next collection of everything.
   */
  #failByAbort(): (event: Event) => void {
    return ({ target }) => void this.fail(new Thrown((target as AbortSignal).reason));
  }

  /**
   * For work that goes on after the last byte has come, when nothing else watches it: a function that throws
   * where a signal that it listens to was aborted, or its `total` deadline has passed.
   */
  guard(): () => void {
    const signals = this.#signals;
    const { total } = this.limits;
    const end = this.timings.start + (total ?? Infinity) * 1000;
    return () => {
      for (const signal of signals) {
        if (signal.aborted) throw this.fail(new Thrown(signal.reason));
      }
      if (performance.now() < end) return;
      throw this.annotate(this.fail(timedOut(this.phase, "total deadline", total!)));
    };
  }

  /**
   * For work that waits for something of the user's, also when the last byte has come: `onend` is told why
   * it has to end, which is a failure, a signal, the `total` deadline, or a close.
   *
   * @returns Ends the watch.
   */
  watch(onend: (reason: unknown) => void): () => void {
    const signals = this.#signals;
    const onabort = ({ target }: Event) => onend((target as AbortSignal).reason);
    for (const signal of signals) signal.addEventListener("abort", onabort);
    const deadlines = new Deadlines((name, seconds) => {
      const error = this.annotate(timedOut("body", name, seconds));
      this.fail(error);
      onend(error);
    });
    deadlines.set("total", this.limits.total, this.timings.start);
    deadlines.beginWait();
    this.#onend = onend;
    this.#owner?.working(this, true);
    return () => {
      this.#onend = null;
      this.#owner?.working(this, false);
      deadlines.end(false);
      for (const signal of signals) signal.removeEventListener("abort", onabort);
    };
  }

  /** Ends what {@linkcode watch} watches over: what is named was closed. */
  endWork(what: string): void {
    this.#onend?.(this.annotate(interrupted("body", what)));
  }

  /** Throws where it has failed: to be asked after each `await`. */
  check(): void {
    if (this.failure !== null) throw this.failure.reason;
  }

  /**
   * It fails, if it is not over: the connection that carries it ends, and whoever waits gets the reason.
   * The first reason counts.
   *
   * @returns What is to be thrown.
   */
  fail(error: unknown): unknown {
    if (this.failure !== null) return this.failure.reason;
    const thrown = error instanceof Thrown;
    const reason = thrown ? error.reason : error;
    if (this.over) return reason;
    const foreign = thrown || (this.carrier?.throwsFor(error) ?? false);
    this.#fail(reason, foreign);
    this.#owner?.failed(this, this.facts());
    return reason;
  }

  /** It is ended by a close of what is named: nothing has befallen it, but whoever waits gets an error. */
  close(what: string): void {
    if (this.failure !== null || this.over) return;
    this.closed = true;
    this.#fail(interrupted(this.phase, what, this.carrier?.destination), false);
  }

  #fail(reason: unknown, foreign: boolean): void {
    const { carrier } = this;
    this.#facts = this.facts();
    if (!foreign) this.annotate(reason);
    this.failure = { reason };
    this.#received = this.#facts.responseBytesReceived;
    this.wasStopped = this.stopped && this.writeError === null;
    this.sending = next(SENDING_STEPS.cut, this.sending);
    this.receiving = next(RECEIVING_STEPS.cut, this.receiving);
    this.carrier = null;
    this.body?.cut();
    carrier?.end(reason, foreign);
    this.#wake?.();
    this.#onsent?.reject(reason);
    this.#onend?.(reason);
    this.#end();
  }

  /**
   * Sends nothing more, while the response keeps the connection: cuts off what is being sent, and refuses every
   * `send()` that waits behind it, even if the request is complete by then.
   */
  interruptSending(reason: unknown): void {
    this.lose(reason);
    this.followRefusal = { reason: this.annotate(reason) };
  }

  /** The connection is lost to the request, while its answer has begun: no more of it can be sent. */
  lose(reason: unknown): void {
    if (this.sending !== "going" && this.sending !== "waiting") return;
    const { carrier } = this;
    this.writeError ??= { reason };
    this.send(SENDING_STEPS.cut);
    carrier?.leaveWrite(this, reason);
  }

  /** Puts what is known of it on an error of this library. */
  annotate<T>(error: T): T {
    annotate(error, this.facts(), this.host, this.port);
    return error;
  }

  // Sending

  /** A step of the request. */
  send(step: Step<Sending>): void {
    this.sending = next(step, this.sending);
    if (this.sending === "going" || this.sending === "waiting") return;
    this.timings.sent = performance.now();
    if (this.sending === "whole" && this.#hasEnd) this.#wasWhole = true;
    if (this.sending === "cut") {
      this.carrier?.endReuse();
      this.#wake?.();
    }
  }

  /** Whether the rest of the request is not to be sent. */
  get stopped(): boolean {
    return this.sending === "cut";
  }

  /** A send begins, or is put behind the one before it. */
  beginSend(): void {
    this.#pendingSends++;
  }

  /** The send that the next one follows. */
  get lastSend(): Promise<void> {
    if (this.#lastSend !== null) return this.#lastSend;
    // A callback of the call that begins the first may send more, before that has returned its promise.
    this.#onfirst ??= deferred<void>();
    // What follows may have failed by itself, and wait for it no more.
    this.#onfirst.promise.catch(() => {});
    return this.#onfirst.promise;
  }

  set lastSend(sent: Promise<void>) {
    this.#lastSend = sent;
  }

  /** The call that begins the first send has returned its promise. */
  setFirstSend(sent: Promise<void>): void {
    if (this.#onfirst === null) this.#lastSend = sent;
    else this.#onfirst.resolve(sent);
  }

  /** Nothing follows what was sent, be it whole or not. */
  endSending(): void {
    if (this.sending === "going") this.send(SENDING_STEPS.cut);
    this.endIfOver();
  }

  /** Nothing follows the sends that were begun: it is over with the last of them. */
  endWithSends(): void {
    this.endsWithSends = true;
    this.endIfOver();
  }

  /** It has ended. */
  endSend(): void {
    this.#pendingSends--;
    if (!this.isRaw) this.carrier?.endSending();
    this.endIfOver();
  }

  /**
   * Notes that so many bytes of the body are to be sent.
   *
   * @throws {TypeError} When they are more than the `Content-Length`.
   */
  give(bytes: number): void {
    const { declared } = this;
    if (this.framing === "length" && this.given + bytes > declared!) {
      throw new TypeError(
        `Cannot send body: it has more than the ${declared} bytes of its Content-Length`,
      );
    }
    this.given += bytes;
  }

  /** Whether nothing is missing once what was given is out. */
  get complete(): boolean {
    return this.framing !== "length" || this.given === this.declared;
  }

  /** A write begins; `wrote` or a failure follows. */
  beginWrite(): void {
    this.#tried = this.#writing = true;
    this.#onsent?.resolve();
  }

  /** Whether no write was begun: what has come by now is no answer to it. */
  get isUnsent(): boolean {
    return !this.#tried;
  }

  /** The transport has accepted so many bytes, or has failed to. */
  wrote(count: number): void {
    this.#writing = false;
    this.sent += count;
  }

  /**
   * Waits for what the sender needs, an end of the upload or a failure, whichever is first.
   *
   * @returns Whether the promise was fulfilled; it is left behind otherwise.
   */
  until(promise: PromiseLike<unknown>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      // See `#failByAbort`.
      const wake = () => resolve(false);
      this.#wake = wake;
      if (this.stopped) wake();
      promise.then(() => resolve(true), reject);
    });
  }

  /**
   * Waits for what another exchange does first, while its own deadlines run.
   *
   * @throws Why it has failed meanwhile, or what the promise was rejected with.
   */
  async waitBehind(promise: Promise<void>): Promise<void> {
    const destination = `${uriHost(this.host)}:${this.port}`;
    const deadlines = new Deadlines((name, seconds) =>
      void this.fail(timedOut(this.phase, name, seconds, destination))
    );
    deadlines.set("open", this.limits.timeout);
    deadlines.set("total", this.limits.total, this.timings.start);
    deadlines.beginWait();
    try {
      await this.until(promise);
    } finally {
      deadlines.end(false);
    }
    this.check();
  }

  // Receiving

  /** A step of the response. */
  receive(step: Step<Receiving>): void {
    this.receiving = next(step, this.receiving);
  }

  /**
   * The final head has come. RFC 9110, Section 7.5: an answer of 400 or above ends the upload, as does a
   * redirection that closes; a success never does. Where a 100 was waited for, any answer does.
   */
  answered({ status, willClose, body }: Answered): void {
    this.receive(RECEIVING_STEPS.head);
    this.body = body;
    this.willClose = willClose;
    this.timings.head = performance.now();
    const refused = status >= 400 || (status >= 300 && willClose);
    if (this.sending === "waiting" || (this.sending === "going" && refused)) {
      this.send(SENDING_STEPS.cut);
    }
  }

  /** The body was read to its end. */
  bodyEnded(): void {
    this.receive(RECEIVING_STEPS.end);
    this.timings.end = performance.now();
    this.endIfOver();
  }

  /** It is over, if both halves are. */
  endIfOver(): void {
    if (this.over || this.#pendingSends > 0) return;
    if (this.endsWithSends) return this.#end();
    if (this.receiving !== "whole") return;
    // What the caller sends step by step may still be completed, unless the server has said `close`.
    if (this.sending === "going" && !this.willClose) return;
    this.#end();
  }

  #end(): void {
    if (this.over) return;
    this.over = true;
    // What the caller sends step by step and has not completed goes nowhere any more.
    if (this.sending === "going") this.sending = next(SENDING_STEPS.cut, this.sending);
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#onabort!);
    this.#signals = NO_SIGNALS;
    // What a `send()` behind a failed one is told is kept.
    if (this.#lastSend !== null && this.writeError === null) this.#lastSend = DONE;
    // Whoever has the response has its body: an idle connection holds neither.
    if (this.failure === null) this.body = null;
    this.carrier?.release(this);
    this.#owner?.over(this);
  }

  /** Tells whoever traces. */
  tell(event: Untimed): void {
    const { trace } = this;
    if (trace !== null) byUser(() => tell(trace, event));
  }
}

/** What has happened already. */
export const DONE: Promise<void> = Promise.resolve();
const NO_SIGNALS: AbortSignal[] = [];

/** Puts facts on an error, unless it is frozen or has those of another exchange. */
function annotate(error: unknown, facts: ExchangeDetails, host: string, port: number): void {
  if (!(error instanceof Error) || !Object.isExtensible(error) || "phase" in error) return;
  Object.assign(error, facts, { host, port });
  OWN.set(error, null);
}

/** A frame of the runtime's own code, which some versions put at the end. */
const RUNTIME = /\((?:ext|node):/;

/** Errors that are not the user's, with the stacks that they were made with once that was asked. */
const OWN = new WeakMap<object, string | null>();

/**
 * An error that is thrown to a caller. What arose in a timer, in a callback or in another call knows nothing
 * of the caller who waits: those frames are put behind its own. Objects of the user's stay as they are.
 */
export function delivered<T>(error: T): T {
  if (!(error instanceof Error)) return error;
  let made = OWN.get(error);
  if (made === undefined) return error;
  if (made === null) OWN.set(error, made = String(error.stack));
  const here: { stack?: unknown } = {};
  Error.captureStackTrace(here, delivered);
  if (typeof here.stack !== "string") return error;
  const own = new Set(made.split("\n"));
  const isShown = (frame: string) => !own.has(frame) && !RUNTIME.test(frame);
  const frames = here.stack.split("\n").slice(1).filter(isShown);
  // Where it ends two calls, nobody may be waiting for one of them: show who waits for the other.
  if (frames.length < 2) return error;
  Reflect.set(error, "stack", [made, ...frames].join("\n"));
  return error;
}

const ACTIONS: Record<ExchangePhase, string> = {
  connect: "Cannot connect",
  tls: "Cannot establish TLS",
  send: "Cannot send request",
  head: "Cannot get response",
  body: "Cannot read response",
};

/** What could not be done; while a connection is opened, with whom. */
function actionOf(phase: ExchangePhase, destination: string): string {
  if (destination === "") return ACTIONS[phase];
  if (phase === "connect") return `${ACTIONS.connect} to ${destination}`;
  return phase === "tls" ? `${ACTIONS.tls} with ${destination}` : ACTIONS[phase];
}

/** The error of whoever waits for what is closed. */
export function interrupted(phase: ExchangePhase, what: string, destination = ""): Error {
  return new errors.Interrupted(`${actionOf(phase, destination)}: the ${what} was closed`);
}

/** The error of one whose connection ended by the failure of another. */
export function lost(phase: ExchangePhase, cause: unknown): Error {
  const message = `${ACTIONS[phase]}: the connection has failed`;
  return socketError(errors.ConnectionAborted, message, cause);
}

/**
 * That something was closed. The error is made when somebody is told: its stack is 5 % of a new connection
 * (`bench/run.ts --only c`).
 */
export class Closing {
  readonly #phase: ExchangePhase;
  readonly #what: string;
  readonly #destination: string;
  #error: Error | null = null;

  constructor(phase: ExchangePhase, what: string, destination: string) {
    this.#phase = phase;
    this.#what = what;
    this.#destination = destination;
  }

  get reason(): unknown {
    return this.#error ??= interrupted(this.#phase, this.#what, this.#destination);
  }
}

/** The error of whoever waits for what takes too long. */
export function timedOut(
  phase: ExchangePhase,
  name: string,
  seconds: number,
  destination = "",
): Error {
  const isNamed = destination === "" || phase === "connect" || phase === "tls";
  const where = isNamed ? `phase ${phase}` : `phase ${phase}, ${destination}`;
  const error = new errors.TimedOut(
    `${actionOf(phase, destination)}: the ${name} of ${seconds} s has passed (${where})`,
  );
  // It arose in a timer, whose frames tell nobody anything: see `delivered`.
  error.stack = `${error.name}: ${error.message}`;
  return error;
}
