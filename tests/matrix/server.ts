/**
 * The server of a cell: it does what the table says on the first connection, and answers every request on
 * those that follow.
 *
 * Whatever the transport, a client talks to a socket that can be reset, ended and written to as it is.
 * TLS lies behind it: a server whose bytes are passed on, so that a fault can befall TLS from outside.
 *
 * @module
 */
import { bytes, concat, Peer, type RawServer, startRaw } from "../servers/raw.ts";
import { LOCALHOST } from "../tls/mod.ts";
import { answer } from "../sweep/transports.ts";
import { pause, turn } from "../sweep/outcome.ts";
import type { Cell } from "./table.ts";

/** How long the process is busy, in milliseconds. */
const BUSY_MS = 40;
/** How much of an upload is taken before the fault. */
const UPLOAD_PART = 70_000;

/** Keeps the process busy. */
export function beBusy(): void {
  const end = performance.now() + BUSY_MS;
  while (performance.now() < end);
}

/** What a record of TLS 1.3 has at most, and what it takes beside that, in bytes. */
const RECORD_SIZE = 16384;
const RECORD_OVERHEAD = 22;
/** The size of the alert that ends TLS, in bytes. */
const CLOSE_NOTIFY = 2;

/** What was seen of one connection. */
export interface Seen {
  /** Whether the client has ended it. */
  closed: boolean;
  /** Whether the server has ended it, so that it can see nothing of the client's end. */
  over: boolean;
  /** What came of requests, TLS taken away. */
  inner: Peer | null;
  /** How many bytes of that are those of a CONNECT. */
  offset: number;
}

/** TLS behind a socket. */
class Terminator {
  /** How many bytes have been passed on to the client. */
  forwarded = 0;
  /** Changes what goes to the client; `null` holds the rest back. */
  filter: ((piece: Uint8Array) => Promise<Uint8Array | null>) | null = null;
  readonly #front: Peer;
  readonly #seen: Seen;
  readonly #up: Deno.TcpConn;
  readonly tls: Deno.TlsConn;
  readonly inner: Peer;
  /** Resolves when nothing more is passed on in either direction. */
  readonly ended: Promise<unknown>;
  readonly #passedDown: Promise<void>;
  /** How many bytes at the very end are not passed on to the client. */
  #cut = 0;
  /** After so many bytes, nothing more is taken from the client until `#gate` resolves. */
  #most = Infinity;
  #gate: Promise<void> = Promise.resolve();

  constructor(front: Peer, up: Deno.TcpConn, tls: Deno.TlsConn, seen: Seen) {
    this.#front = front;
    this.#seen = seen;
    this.#up = up;
    this.tls = tls;
    this.inner = new Peer(tls, front.index);
    this.#passedDown = this.#passDown();
    this.ended = Promise.all([this.#passUp(), this.#passedDown]);
  }

  /**
   * Takes so many bytes from the client, and nothing more until the promise resolves. The system makes more room
   * for who reads fast, so the limit has to be known before.
   */
  hold(most: number, until: Promise<void>): void {
    this.#most = most;
    this.#gate = until;
  }

  async #passUp(): Promise<void> {
    let passed = 0;
    try {
      for (let piece; (piece = await this.#front.read()) !== null;) {
        if (passed > this.#most) await this.#gate;
        passed += piece.length;
        for (let at = 0; at < piece.length;) at += await this.#up.write(piece.subarray(at));
      }
      await this.#up.closeWrite();
    } catch {
      // Either side went away.
    }
    this.#seen.closed = true;
  }

  async #passDown(): Promise<void> {
    const buffer = new Uint8Array(65536);
    let held = new Uint8Array(0);
    try {
      for (let count; (count = await this.#up.read(buffer)) !== null;) {
        let piece: Uint8Array | null = buffer.subarray(0, count);
        if (this.filter !== null) piece = await this.filter(piece);
        if (piece === null) return;
        if (this.#cut > 0) {
          const all = concat([held, piece]);
          const end = Math.max(0, all.length - this.#cut);
          held = all.slice(end);
          piece = all.subarray(0, end);
        }
        await this.#front.send(piece);
        this.forwarded += piece.length;
      }
      await this.#front.closeWrite();
    } catch {
      // Either side went away.
    }
  }

  /** Ends what goes to the client right behind all that was sent, without the alert that ends TLS. */
  async endWithoutNotify(): Promise<void> {
    this.#cut = CLOSE_NOTIFY + RECORD_OVERHEAD;
    await this.tls.closeWrite();
    await this.#passedDown;
  }

  /** How many bytes have been passed on, once the tickets have that TLS sends of its own accord. */
  async quiet(): Promise<number> {
    for (let turns = 0, before = -1; turns < 3; before = this.forwarded) {
      await pause(2);
      turns = this.forwarded === before ? turns + 1 : 0;
    }
    return this.forwarded;
  }

  /** Waits until so many bytes that were sent within TLS have been passed on, behind those of before. */
  async flushed(before: number, size: number): Promise<void> {
    const records = Math.ceil(size / RECORD_SIZE);
    while (this.forwarded - before < size + records * RECORD_OVERHEAD) {
      if (this.#seen.closed) return;
      await pause(1);
    }
    // On a busy machine tickets may have come since, which were not among those of before.
    await this.quiet();
  }

  close(): void {
    for (const conn of [this.#up, this.tls]) {
      try {
        conn.close();
      } catch {
        // It is closed already.
      }
    }
  }
}

/** Options of {@linkcode CellServer}. */
export interface CellServerOptions {
  /** Whether it does nothing wrong. */
  readonly friendly: boolean;
  /** Between two bytes of a slow drip, and two reads of a slow upload, in milliseconds. */
  readonly slowness: number;
}

/** The server of a cell. */
export class CellServer implements AsyncDisposable {
  /** What was seen of each connection. */
  readonly seen: Seen[] = [];
  /** The moment of the fault has come, and the server has done its part. */
  readonly reached: Promise<void>;
  /** The client's part is over: what the server has held back may go on. */
  readonly settled: PromiseWithResolvers<void> = Promise.withResolvers();
  /** The client has the head of the response. */
  readonly answered: PromiseWithResolvers<void> = Promise.withResolvers();
  /** What of the exchange has to come before the fault has come: the client says so. */
  readonly proceed: PromiseWithResolvers<void> = Promise.withResolvers();
  #reach: () => void;
  /** When the server had done its part; 0 before. */
  reachedAt = 0;
  readonly #cell: Cell;
  readonly #tls: Deno.TlsListener | null;
  #terminating: Promise<unknown> = Promise.resolve();
  readonly #terminators = new Map<Peer, Terminator>();
  raw!: RawServer;
  /** Whether the first connection is to be treated as any other. */
  readonly #friendly: boolean;

  readonly #slowness: number;

  private constructor(cell: Cell, { friendly, slowness }: CellServerOptions) {
    this.#cell = cell;
    this.#friendly = friendly;
    this.#slowness = slowness;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.reached = promise;
    this.#reach = () => {
      this.reachedAt ||= performance.now();
      resolve();
    };
    this.#tls = cell.transport.tls === null
      ? null
      : Deno.listenTls({ port: 0, hostname: "127.0.0.1", ...LOCALHOST });
  }

  /** Starts one. */
  static async start(cell: Cell, options: CellServerOptions): Promise<CellServer> {
    const server = new CellServer(cell, options);
    const unix = cell.transport.name === "unix socket";
    server.raw = await startRaw((peer) => server.#serve(peer), { unix, resettable: !unix });
    return server;
  }

  async #serve(front: Peer): Promise<void> {
    const seen: Seen = { closed: false, over: false, inner: null, offset: 0 };
    this.seen.push(seen);
    try {
      if (front.index === 0 && !this.#friendly) await this.#first(front, seen);
      else await this.#answerAll(await this.#open(front, seen));
    } finally {
      if (front.index === 0) this.#reach();
      if (!this.#terminators.has(front)) seen.closed = true;
    }
  }

  /** Agrees to a tunnel, where there is one. */
  async #agree(front: Peer, seen: Seen): Promise<void> {
    if (!this.#cell.transport.tunnel) return;
    const { length } = await front.readHead();
    await front.send("HTTP/1.1 200 Connection established\r\n\r\n");
    if (this.#cell.transport.tls === null) seen.offset = length;
  }

  /** Agrees to a tunnel, and does the handshake, as need be. */
  async #open(front: Peer, seen: Seen): Promise<Peer> {
    const { tls } = this.#cell.transport;
    await this.#agree(front, seen);
    const inner = tls === null ? front : (await this.#terminate(front, seen)).inner;
    seen.inner = inner;
    return inner;
  }

  /** Puts TLS behind a socket, one at a time: who connects is who is accepted. */
  async #terminate(front: Peer, seen: Seen): Promise<Terminator> {
    const before = this.#terminating;
    const made = (async () => {
      await before;
      const { port } = this.#tls!.addr as Deno.NetAddr;
      const [up, tls] = await Promise.all([
        Deno.connect({ hostname: "127.0.0.1", port }),
        this.#tls!.accept(),
      ]);
      const terminator = new Terminator(front, up, tls, seen);
      this.#terminators.set(front, terminator);
      return terminator;
    })();
    this.#terminating = made.catch(() => {});
    return await made;
  }

  async #answerAll(peer: Peer): Promise<void> {
    for (;;) {
      const { target } = await peer.readRequest();
      await peer.send(answer(target));
    }
  }

  async #first(front: Peer, seen: Seen): Promise<void> {
    const { phase, transport } = this.#cell;
    const { kind } = phase;
    if (kind === "connect") {
      if (this.#cell.fault === "busy") beBusy();
      return await this.#answerAll(await this.#open(front, seen));
    }
    if (kind === "CONNECT") return await this.#answerConnect(front, seen);
    await this.#agree(front, seen);
    if (kind === "handshake") return await this.#handshake(front, seen);
    let terminator: Terminator | null = null;
    if (transport.tls !== null) terminator = await this.#terminate(front, seen);
    const inner = seen.inner = terminator?.inner ?? front;
    if (kind === "upload") return await this.#upload(front, inner, terminator, seen);
    if (kind === "waiting") await inner.readHead();
    else await inner.readRequest();
    const before = await terminator?.quiet() ?? 0;
    await inner.send(phase.before);
    await terminator?.flushed(before, phase.before.length);
    if (kind === "idle") await this.proceed.promise;
    await this.#fault(front, inner, terminator, seen);
    await this.#goOn(inner, terminator);
  }

  /** After the fault: who is still there is served, and looked at until it goes away. */
  async #goOn(inner: Peer, terminator: Terminator | null): Promise<void> {
    const { fault, phase } = this.#cell;
    const isFine = fault === "drip" || fault === "busy" ||
      (phase.kind === "idle" && fault === "abort");
    const mayFollow = isFine && !phase.untilClose && phase.kind !== "detached";
    if (mayFollow) await this.#answerAll(inner);
    else await inner.eof();
    await terminator?.ended;
  }

  /** The fault itself, behind what was sent by then. */
  async #fault(
    front: Peer,
    inner: Peer,
    terminator: Terminator | null,
    seen: Seen,
    rest = this.#cell.phase.rest,
  ): Promise<void> {
    const { fault, phase } = this.#cell;
    const before = terminator?.forwarded ?? 0;
    // What breaks a connection may overtake what was sent before.
    const overtakes = fault === "RST" || fault === "broken record";
    if (overtakes && phase.kind === "body") await this.answered.promise;
    switch (fault) {
      case "FIN":
        await this.#end(front, terminator);
        // What is passed on by then has been sent: the socket is closed as a whole.
        seen.over = true;
        front.close();
        break;
      case "half-close":
        await this.#end(front, terminator);
        break;
      case "no close_notify":
        await terminator!.endWithoutNotify();
        break;
      case "RST":
        // Behind bytes that have arrived, or the reset would take them with it.
        await pause(3);
        seen.over = true;
        front.reset();
        break;
      case "drip":
      case "slow drip":
        if (fault === "slow drip") this.#reach();
        await this.#drip(inner, rest);
        if (phase.untilClose || phase.kind === "detached") await this.#end(front, terminator);
        break;
      case "garbage":
        await inner.send(bytes(phase.garbage!));
        await terminator?.flushed(before, phase.garbage!.length);
        break;
      case "broken record":
        await front.send(new Uint8Array(64).fill(0xff));
        break;
      case "busy":
        beBusy();
        await inner.send(rest);
        // The end comes at once behind it.
        if (phase.untilClose || phase.kind === "detached") {
          await (terminator?.tls ?? front).closeWrite();
        }
        await terminator?.flushed(before, rest.length);
        if (phase.kind === "idle") {
          // No read is pending there, so it does not show before the next request looks.
          await this.#end(front, terminator);
          for (let i = 0; i < 3; i++) await pause(2);
        }
        beBusy();
        break;
    }
    this.#reach();
    if (fault !== "close" || !phase.untilClose) return;
    // The response has taken the connection with it, and can be read on.
    await this.proceed.promise;
    await inner.send(rest);
    await this.#end(front, terminator);
  }

  /** Ends the sending side, as it should be. */
  async #end(front: Peer, terminator: Terminator | null): Promise<void> {
    if (terminator === null) return await front.closeWrite();
    const forwarded = await terminator.quiet();
    await terminator.tls.closeWrite();
    await terminator.flushed(forwarded, CLOSE_NOTIFY);
  }

  /** Sends it in many pieces. */
  async #drip(peer: Peer, rest: Uint8Array): Promise<void> {
    const slow = this.#cell.fault === "slow drip";
    const size = slow ? 1 : Math.ceil(rest.length / 200);
    for (let at = 0; at < rest.length; at += size) {
      await peer.send(rest.subarray(at, at + size));
      await (slow ? pause(this.#slowness) : turn());
    }
  }

  async #answerConnect(front: Peer, seen: Seen): Promise<void> {
    const { phase, fault } = this.#cell;
    seen.offset = (await front.readHead()).length;
    await front.send(phase.before);
    if (fault === "FIN" || fault === "half-close") {
      await front.closeWrite();
      if (fault === "FIN") {
        seen.over = true;
        front.close();
      }
      this.#reach();
    } else await this.#fault(front, front, null, seen);
    if (fault !== "drip" && fault !== "busy") await front.eof();
    else if (this.#cell.transport.tls === null) await this.#answerAll(seen.inner = front);
    else {
      const terminator = await this.#terminate(front, seen);
      await this.#answerAll(seen.inner = terminator.inner);
    }
    seen.closed = true;
  }

  /** The fault comes when the client has said hello, or in the middle of what is answered to that. */
  async #handshake(front: Peer, seen: Seen): Promise<void> {
    const { fault, phase } = this.#cell;
    const isHalf = phase.before.length > 0;
    const terminator = await this.#terminate(front, seen);
    let isFirst = true;
    terminator.filter = async (piece) => {
      if (!isFirst) return fault === "drip" ? await this.#dripRaw(front, terminator, piece) : piece;
      isFirst = false;
      const half = isHalf ? piece.length >> 1 : 0;
      await front.send(piece.subarray(0, half));
      terminator.forwarded += half;
      return await this.#faultRaw(front, terminator, piece.slice(half), seen);
    };
    seen.inner = terminator.inner;
    await Promise.race([this.#answerAll(terminator.inner).catch(() => {}), this.settled.promise]);
    await terminator.ended;
  }

  async #dripRaw(front: Peer, terminator: Terminator, piece: Uint8Array): Promise<Uint8Array> {
    await this.#drip(front, piece);
    terminator.forwarded += piece.length;
    return new Uint8Array(0);
  }

  /** A fault below TLS; what is to be sent all the same, or `null` for nothing more. */
  async #faultRaw(
    front: Peer,
    terminator: Terminator,
    rest: Uint8Array,
    seen: Seen,
  ): Promise<Uint8Array | null> {
    const { fault, phase } = this.#cell;
    let piece: Uint8Array | null = null;
    if (fault === "FIN" || fault === "half-close") {
      await front.closeWrite();
      if (fault === "FIN") {
        seen.over = true;
        front.close();
      }
    } else if (fault === "RST") {
      await pause(3);
      seen.over = true;
      front.reset();
    } else if (fault === "garbage") await front.send(bytes(phase.garbage!));
    else if (fault === "busy") {
      beBusy();
      piece = rest;
    } else if (fault === "drip") piece = await this.#dripRaw(front, terminator, rest);
    else if (fault === "slow drip") {
      this.#reach();
      await this.#drip(front, rest);
    }
    this.#reach();
    return piece;
  }

  async #upload(
    front: Peer,
    inner: Peer,
    terminator: Terminator | null,
    seen: Seen,
  ): Promise<void> {
    const { fault } = this.#cell;
    const reads = ["half-close", "garbage", "no close_notify", "drip", "busy"].includes(fault);
    if (!reads) terminator?.hold(2 * UPLOAD_PART, this.settled.promise);
    await inner.readHead();
    await inner.readBytes(UPLOAD_PART);
    if (fault === "drip" || fault === "busy") {
      if (fault === "busy") beBusy();
      this.#reach();
      // The whole of it was recorded, wherever its head ends.
      await this.#takeUpload(inner);
      await inner.send(answer("/upload"));
      await this.#answerAll(inner);
      return;
    }
    if (fault === "slow drip") {
      this.#reach();
      await this.#takeSlowly(inner);
    } else {
      await this.#fault(front, inner, terminator, seen);
      if (!reads) await this.settled.promise;
    }
    await inner.eof();
    await terminator?.ended;
  }

  /** Reads until the request has come whole; what came is in `received`. */
  async #takeUpload(inner: Peer): Promise<void> {
    const drip = this.#cell.fault === "drip";
    const chunked = this.#cell.phase.name === "upload chunked";
    let size = inner.reads.reduce((sum, count) => sum + count, 0);
    for (let last: Uint8Array | null = new Uint8Array(0);;) {
      if (chunked ? endsWith(last, "0\r\n\r\n") : size >= contentEnd(inner)) break;
      const before: Uint8Array = last.subarray(-5);
      const reads: number = inner.reads.length;
      last = await inner.read();
      if (last === null) return;
      size += inner.reads.slice(reads).reduce((sum, count) => sum + count, 0);
      last = concat([before, last]);
      if (drip) await turn();
    }
  }

  async #takeSlowly(inner: Peer): Promise<void> {
    let isSlow = true;
    this.settled.promise.then(() => isSlow = false);
    while (await inner.read() !== null) {
      if (isSlow) await pause(this.#slowness);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.settled.resolve();
    this.answered.resolve();
    this.proceed.resolve();
    this.#tls?.close();
    const terminators = [...this.#terminators.values()];
    for (const terminator of terminators) terminator.close();
    await this.raw[Symbol.asyncDispose]();
    await Promise.all(terminators.map(({ ended }) => ended));
  }
}

function endsWith(data: Uint8Array, end: string): boolean {
  return new TextDecoder().decode(data.subarray(-end.length)) === end;
}

/** Where the last request on a connection ends, by its `Content-Length`. */
function contentEnd({ heads }: Peer): number {
  const sizes = heads.reduce((sum, head) => sum + head.length, 0);
  return sizes + Number(/content-length: (\d+)/i.exec(heads[heads.length - 1])![1]);
}
