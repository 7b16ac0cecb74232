/**
 * Transports in memory, and the peers behind them.
 *
 * @module
 */
import type { Transport } from "../../mod.ts";
import { bytes, concat } from "./bytes.ts";
import { parseRequests } from "./requests.ts";

/**
 * What becomes of a pending read when the transport is closed: it fails at once, as on a socket; it
 * succeeds later, with its memory written to; or it stays pending for ever.
 */
export type WhenClosed = "fails" | "fills" | "stays";

/** What a transport that succeeds after its close writes into the memory of a read. */
const FILL = 0xee;

/** A pending operation of a transport. */
interface Pending {
  readonly p: Uint8Array;
  readonly resolve: (count: number | null) => void;
  readonly reject: (error: Error) => void;
}

/** The other side of a connection, whatever lies between. */
export interface Peer {
  /** How often the connection was closed from the client's side. */
  readonly closes: number;
  /** Whether the end of what it sends has been announced. */
  readonly ended: boolean;
  /** Whether a read is known to wait for bytes. */
  readonly reading: boolean;
  /** All that it was sent. */
  readonly wire: Uint8Array;
  /** Sends bytes. */
  arrive(data: Uint8Array): void;
  /** Ends what it sends. */
  end(): void;
  /** Breaks the connection off. */
  fail(error: Error): void;
  /** Lets a read that was pending at the close succeed. */
  fillLate(): void;
  /** Whether the connection is closed, as soon as that must show. */
  isClosed(): Promise<boolean>;
}

/** A transport in memory. What it gives, takes and fails with is decided from outside. */
export class MemoryTransport implements Transport, Peer {
  /** How often it was closed. */
  closes = 0;
  /** Whether the end of what it gives has been announced. */
  ended = false;
  /** What it was given to write. */
  readonly written: Uint8Array[] = [];
  /** How many bytes were read from it. */
  given = 0;
  /** Takes a write; the default takes all. */
  take: (p: Uint8Array) => number | Promise<number> = (p) => p.length;
  /** Told after each write. */
  onwritten: () => void = () => {};
  readonly #whenClosed: WhenClosed;
  readonly #waiting: Uint8Array[] = [];
  #failure: Error | null = null;
  #reading: Pending | null = null;
  #late: Pending | null = null;
  readonly #writing = new Set<(error: Error) => void>();

  /**
   * Makes one.
   *
   * @param whenClosed What becomes of a pending read when it is closed
   */
  constructor(whenClosed: WhenClosed = "fails") {
    this.#whenClosed = whenClosed;
  }

  /** Whether a read waits for bytes. */
  get reading(): boolean {
    return this.#reading !== null;
  }

  /** Whether a write waits to be taken. */
  get writing(): boolean {
    return this.#writing.size > 0;
  }

  /** Lets bytes arrive. */
  arrive(data: Uint8Array): void {
    if (data.length > 0) this.#waiting.push(data);
    this.#serve();
  }

  /** Lets the end arrive. */
  end(): void {
    this.ended = true;
    this.#serve();
  }

  /** Lets reads fail, once what has arrived is read. */
  fail(error: Error): void {
    this.#failure = error;
    this.#serve();
  }

  /** Lets pending writes fail. */
  failWrites(error: Error): void {
    for (const reject of this.#writing) reject(error);
    this.#writing.clear();
  }

  /** All that was written to it. */
  get wire(): Uint8Array<ArrayBuffer> {
    return concat(...this.written);
  }

  read(p: Uint8Array): Promise<number | null> {
    if (this.closes > 0) return Promise.reject(new Deno.errors.BadResource("closed (memory)"));
    if (this.#reading !== null) return Promise.reject(new Error("two reads at once (memory)"));
    return new Promise((resolve, reject) => {
      this.#reading = { p, resolve, reject };
      this.#serve();
    });
  }

  async write(p: Uint8Array): Promise<number> {
    if (this.closes > 0) throw new Deno.errors.BadResource("closed (memory)");
    const taken = this.take(p);
    // A write that is taken at once is so at once, as far as the order of bytes is concerned.
    if (typeof taken === "number") return this.#took(p, taken);
    let reject: (error: Error) => void = () => {};
    const broken = new Promise<never>((_, no) => reject = no);
    this.#writing.add(reject);
    try {
      return this.#took(p, await Promise.race([taken, broken]));
    } finally {
      this.#writing.delete(reject);
    }
  }

  close(): void {
    this.closes++;
    if (this.#whenClosed === "stays") return;
    const error = new Deno.errors.Interrupted("closed (memory)");
    this.failWrites(error);
    const reading = this.#reading;
    this.#reading = null;
    if (this.#whenClosed === "fills") this.#late = reading;
    else reading?.reject(error);
  }

  isClosed(): Promise<boolean> {
    return Promise.resolve(this.closes > 0);
  }

  /** Lets a read that was pending at the close succeed now. */
  fillLate(): void {
    this.#late?.p.fill(FILL);
    this.#late?.resolve(this.#late.p.length);
    this.#late = null;
  }

  #took(p: Uint8Array, count: number): number {
    this.written.push(p.slice(0, count));
    this.onwritten();
    return count;
  }

  #serve(): void {
    const reading = this.#reading;
    if (reading === null || this.closes > 0) return;
    const next = this.#waiting[0];
    if (next !== undefined) this.#give(reading, next);
    else if (this.#failure !== null) reading.reject(this.#failure);
    else if (this.ended) reading.resolve(null);
    else return;
    this.#reading = null;
  }

  #give({ p, resolve }: Pending, next: Uint8Array): void {
    const count = Math.min(p.length, next.length);
    p.set(next.subarray(0, count));
    this.given += count;
    if (count === next.length) this.#waiting.shift();
    else this.#waiting[0] = next.subarray(count);
    resolve(count);
  }
}

/** The body of the answer to a request for `target`. */
export function answerBody(target: string): string {
  return `answer to ${target}`;
}

/** An answer to a request for `target`. */
export function answer(target: string, status = "200 OK"): Uint8Array<ArrayBuffer> {
  const body = answerBody(target);
  return bytes(`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
}

/** A peer that is told of what comes. */
export interface Answering extends Peer {
  /** Called after each piece that has come. */
  onwritten: () => void;
}

/**
 * Lets a transport answer each whole request by its own target.
 *
 * @param transport The transport
 * @param skip How many requests are answered otherwise
 */
export function answerAll(transport: Answering, skip = 0): void {
  let answered = skip;
  transport.onwritten = () => {
    const { requests } = parseRequests(transport.wire);
    const whole = requests.filter((request) => request.whole);
    for (; answered < whole.length; answered++) transport.arrive(answer(whole[answered].target));
  };
}
