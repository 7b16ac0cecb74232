/**
 * A channel: one connection's life, from the moment that its transport is open. It has the reader, the
 * writer, the deadlines and the byte counts, and it is what a response is read from. It is a
 * `Transport` itself, so that a response class of the user's gets what Python gives it: a socket.
 *
 * @module
 */
import type { ExchangeDetails, ExchangePhase, RetrySafe } from "../../errors.ts";
import { DEFAULT_LIMITS, type SectionLimits } from "../wire/field_section.ts";
import type { Head } from "../wire/response_head.ts";
import { Lifeline } from "./deadlines.ts";
import { Buffered } from "../net/line_reader.ts";
import { type ResponseTimings, startTimings, tell, type Trace } from "./trace.ts";
import { close, rest, type Transport, turn } from "../net/transport.ts";

/** What applies to each response on a channel. */
export interface ResponseSettings {
  head: SectionLimits;
  trailers: SectionLimits;
  extensions: number;
  maxInterim: number;
  maxBodyBytes: number;
  onInterim: ((head: Head) => void) | null;
}

/** Seconds for the parts of an exchange; none by default. */
export interface Waits {
  /** For each read and each write. */
  timeout?: number | null;
  head?: number;
  bodyIdle?: number;
  total?: number;
}

/** After so many milliseconds of rest, the system is asked anew what has come. */
const LONG_MS = 10;

/** A turn of the event loop that asks the system what has come; `setImmediate` does not. */
function poll(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** No deadlines. */
const NO_WAITS: Waits = {};

/** What of a connection's options limits the time of an exchange. */
export function waitsOf(timeout: number | null, deadlines: Waits | undefined): Waits {
  return timeout === null && deadlines === undefined ? NO_WAITS : { ...deadlines, timeout };
}

/** How far an exchange has come. */
export class Progress {
  readonly waits: Waits;
  readonly timings: ResponseTimings;
  readonly signal: AbortSignal | null | undefined;
  /** When its total deadline ends, as `performance.now()` counts. */
  readonly totalEnd: number;
  /** Bytes of the request that the transport has accepted. */
  sent = 0;
  /** Whether the request is on its way. */
  sending = false;
  /** Whether a write was begun. */
  tried = false;
  /** What the reader had received before. */
  receivedBefore = 0;

  constructor(waits: Waits, timings: ResponseTimings, signal?: AbortSignal | null) {
    this.waits = waits;
    this.timings = timings;
    this.signal = signal;
    this.totalEnd = given(waits.total) ? timings.start + waits.total! * 1000 : Infinity;
  }
}

function given(seconds: number | null | undefined): boolean {
  return seconds !== null && seconds !== undefined;
}

/** CPython's limits, and this library's for what CPython does not limit. */
export const DEFAULT_SETTINGS: ResponseSettings = {
  head: DEFAULT_LIMITS,
  trailers: DEFAULT_LIMITS,
  extensions: 65536,
  maxInterim: 100,
  maxBodyBytes: Infinity,
  onInterim: null,
};

/** One connection. */
export class Channel implements Transport {
  readonly transport: Transport;
  readonly reader: Buffered;
  readonly life: Lifeline;
  settings: ResponseSettings = DEFAULT_SETTINGS;
  /** Told when more of the request was accepted. */
  onsent: (() => void) | null = null;
  /** Told when the connection ends, whoever ended it. */
  onclose: (() => void) | null = null;
  /** Whether the connection has served a request before the current one. */
  reused = false;
  /** Whether the transport is Deno's own, which tells of what has come within microtasks. */
  native = false;
  /** Whether the transport is the user's, or TLS over it. */
  foreign = false;
  /** Whether a failed write means that nothing was accepted: plain sockets of Deno's own. */
  exact = false;
  /** Whether it was made before the request that it is looked at for. */
  waiting = false;
  /** Whether the next request may go out on it. */
  reusable = true;
  closed = false;
  /** Told once when the response is over: `true` when the connection is free again. */
  onrelease: ((free: boolean) => void) | null = null;
  /** Gets the events of the exchange. */
  trace: Trace | null = null;
  /** The exchange whose response is read, or comes next. */
  #current: Progress = new Progress(NO_WAITS, startTimings());
  #restingSince = 0;
  /** Whether the head's deadline runs. */
  #headRuns = false;
  /** Whether a read is waited for. */
  #waiting = false;
  /** The exchange that was begun behind it. */
  #next: Progress | null = null;

  constructor(transport: Transport, life: Lifeline = new Lifeline()) {
    this.transport = transport;
    this.life = life;
    this.reader = new Buffered(transport);
    life.attach(() => this.close());
  }

  set phase(phase: ExchangePhase) {
    this.life.phase = phase;
  }

  /** The exchange that sends, or has sent last. */
  get #sender(): Progress {
    return this.#next ?? this.#current;
  }

  /** Bytes of the request that the transport has accepted. */
  get sent(): number {
    return this.#sender.sent;
  }

  /** Whether a request is on its way. */
  get sending(): boolean {
    return this.#sender.sending;
  }

  /** When what happened to the current exchange. */
  get timings(): ResponseTimings {
    return this.#current.timings;
  }

  /** Begins an exchange; `behind` says that the response before it is not read yet. */
  begin(progress: Progress, behind: boolean): void {
    progress.sending = true;
    if (!this.native) rest(this.transport, false);
    if (behind) this.#next = progress;
    else this.#adopt(progress, "send");
    this.life.listen(progress.signal);
  }

  #adopt(progress: Progress, phase: ExchangePhase): void {
    this.#current = progress;
    this.#headRuns = false;
    progress.receivedBefore = this.reader.received - this.reader.available;
    this.phase = phase;
    const { waits } = progress;
    const timed = waits !== NO_WAITS;
    this.reader.onwait = timed ? this.#onwait : null;
    this.reader.onwake = timed ? this.#onwake : null;
    this.life.listen(progress.signal);
    if (progress.totalEnd !== Infinity) {
      this.life.set("total", Math.max(0, progress.totalEnd - performance.now()) / 1000);
    }
  }

  /** The request is out; with an early answer, the head has come already. */
  sentAll(): void {
    this.#sender.sending = false;
    if (this.#next !== null || this.life.phase !== "send") return;
    this.phase = "head";
    // Who reads the head already waits for it from now on.
    if (!this.#waiting) return;
    this.awaitHead();
    this.#onwait();
  }

  /** More of the request is sent; no deadline of the head's runs meanwhile. */
  awaitSend(): void {
    this.life.clear("head");
    this.life.clear("read");
    this.#headRuns = false;
    this.phase = "send";
  }

  /** The request is out, and the head is waited for. */
  awaitHead(): void {
    this.phase = "head";
    if (this.#headRuns) return;
    this.#headRuns = true;
    this.life.set("head", this.#current.waits.head);
  }

  /** Seconds for a head, if they are limited. */
  get headSeconds(): number | undefined {
    return this.#current.waits.head;
  }

  /** The head has come. */
  awaitBody(): void {
    this.life.clear("head");
    this.#headRuns = false;
    this.phase = "body";
  }

  /**
   * Begins to look whether an idle connection is still silent and open: a read is issued, and what the
   * system has already is there within three microtasks on Deno's own sockets. The read becomes the
   * next `fill()`, so that nothing is lost. CVE-2026-6733: bytes that nobody asked for are nobody's
   * answer.
   */
  probe(): void {
    this.reader.prefetch();
  }

  /** Whether it is, as far as it has shown: see `probe()`. */
  get silent(): boolean {
    const { reader } = this;
    return !this.closed && reader.available === 0 && !reader.ended && reader.arrival === null;
  }

  /**
   * Waits until what was there at `probe()` must have shown. Microtasks do for a socket of Deno's own
   * that was read from before; the others are told by the event loop.
   */
  async settle(): Promise<void> {
    for (let i = 0; i < 3 && this.silent; i++) await null;
    // Who was idle for long may have been so without a turn of the event loop: then nothing shows.
    const long = Math.abs(Date.now() - this.#restingSince) > LONG_MS;
    const polls = !this.reused || this.foreign ? 3 : long ? 1 : 0;
    for (let i = 0; i < polls && this.silent; i++) await poll();
    if (this.silent && !this.native) await turn(this.transport);
  }

  /** Writes all of `bytes`. */
  async send(bytes: Uint8Array): Promise<void> {
    const progress = this.#sender;
    for (let at = 0; at < bytes.length;) {
      const piece = at === 0 ? bytes : bytes.subarray(at);
      progress.tried = true;
      this.life.set("write", progress.waits.timeout);
      const count = await this.transport.write(piece);
      // CPython's `sendall` cannot meet it; an endless loop would be the other way to meet it.
      if (!(count > 0)) throw new Deno.errors.WriteZero("Cannot send: the transport took nothing");
      at += count;
      progress.sent += count;
      this.onsent?.();
    }
    this.life.clear("write");
  }

  /**
   * What is to be thrown for `error`: its true reason, with what is known of the exchange.
   *
   * @param sending Whether it is an error of sending, which may be that of the exchange behind.
   */
  explain(error: unknown, sending = false): unknown {
    const reason = this.life.death === null ? error : this.life.death.reason;
    const behind = sending && this.#next !== null;
    const progress = behind ? this.#next! : this.#current;
    const received = behind ? 0 : this.reader.received - progress.receivedBefore;
    annotate(reason, {
      phase: behind ? "send" : this.life.phase,
      requestBytesSent: progress.sent,
      responseBytesReceived: received,
      connectionReused: this.reused || behind,
      retrySafe: this.#retrySafe(progress, received),
    });
    return reason;
  }

  /** Ends the connection for `error`, and says what is to be thrown. */
  fail(error: unknown, sending = false): unknown {
    const reason = this.explain(error, sending);
    this.close();
    return reason;
  }

  /** The response is over. The connection goes back to its owner, or ends. */
  release(keep: boolean): void {
    const free = keep && this.reusable && !this.closed && !this.reader.ended;
    if (!free) return this.close();
    this.reused = true;
    this.#pause();
    const next = this.#next;
    this.#next = null;
    if (next !== null) {
      this.#adopt(next, "send");
      if (!next.sending) this.awaitHead();
    } else this.rest();
    this.onrelease?.(true);
  }

  /**
   * The connection is idle: it holds no buffer, and does not keep the process alive. A transport that is
   * told of what comes by the event loop is read from already.
   */
  rest(): void {
    this.#pause();
    this.#restingSince = Date.now();
    if (rest(this.transport, true) && this.reused) this.reader.prefetch();
    else this.reader.release();
  }

  /** No deadline runs. A timer stays only with a socket of Deno's own, which must be closed anyway. */
  #pause(): void {
    if (this.native) this.life.pause();
    else this.life.stop();
  }

  /** Takes the transport out of this library's hands. */
  detach(): { transport: Transport; buffered: Uint8Array } {
    this.life.stop();
    this.closed = true;
    const buffered = this.reader.take(this.reader.available);
    this.reader.release();
    return { transport: this.transport, buffered };
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.life.stop();
    close(this.transport);
    if (this.trace !== null) tell(this.trace, { type: "close" });
    this.reader.start = this.reader.end;
    this.reader.release();
    this.onrelease?.(false);
    this.onclose?.();
  }

  /** For a response class that reads by itself: what is buffered comes first. */
  async read(p: Uint8Array): Promise<number | null> {
    const { reader } = this;
    if (reader.available === 0 && !(await reader.fill())) return null;
    const count = Math.min(p.length, reader.available);
    p.set(reader.bytes.subarray(reader.start, reader.start + count));
    reader.start += count;
    return count;
  }

  async write(p: Uint8Array): Promise<number> {
    await this.send(p);
    return p.length;
  }

  #onwait = (): void => {
    this.#waiting = true;
    // While the request goes out, nobody waits for the answer.
    if (this.sending && this.life.phase === "send") return;
    const { timeout, bodyIdle } = this.#current.waits;
    this.life.set("read", timeout);
    if (this.life.phase === "body") this.life.set("bodyIdle", bodyIdle);
  };

  #onwake = (): void => {
    this.#waiting = false;
    this.life.clear("read");
    this.life.clear("bodyIdle");
  };

  #retrySafe(progress: Progress, received: number): RetrySafe {
    if (progress.sent === 0 && (this.exact || !progress.tried)) return "yes";
    return received > 0 ? "no" : "idempotent-only";
  }
}

/** Puts what is known of the exchange on an error, unless it is frozen. */
export function annotate(error: unknown, details: ExchangeDetails): void {
  if (error instanceof Error && Object.isExtensible(error)) Object.assign(error, details);
}
