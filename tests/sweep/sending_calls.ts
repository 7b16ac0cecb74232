/**
 * The calls that send, each with the body that it should bring to the peer.
 *
 * @module
 */
import type { HTTPConnection, RequestBody, RequestOptions } from "../../mod.ts";
import { bytes, concat } from "./bytes.ts";
import { Tracked } from "./outcome.ts";

/** What a call has to work with. */
export interface SendingContext {
  /** The connection. */
  readonly conn: HTTPConnection;
  /** The signal of the request. */
  readonly signal: AbortSignal;
  /** Where the body's source waits, if it is one that does. */
  readonly source: Gate;
  /** Follows what the call gives back; its failure need not be handled where nobody awaits it. */
  follow(start: () => Promise<unknown>): void;
}

/** A place to wait at until it is opened or broken. */
export class Gate {
  readonly #opened = Promise.withResolvers<void>();
  /** Whether somebody waits there. */
  waiting = false;

  /** Whoever waits goes on. */
  open(): void {
    this.#opened.resolve();
  }

  /** Whoever waits fails. */
  break(error: Error): void {
    this.#opened.promise.catch(() => {});
    this.#opened.reject(error);
  }

  /** Waits. */
  async pass(): Promise<void> {
    this.waiting = true;
    try {
      await this.#opened.promise;
    } finally {
      this.waiting = false;
    }
  }
}

/** A call that sends. */
export interface SendingCall {
  /** What it is called. */
  readonly name: string;
  /** The method of its request. */
  readonly method: string;
  /** The body of its request. */
  readonly body: Uint8Array;
  /** Whether it waits for a 100 before the body. */
  readonly expects: boolean;
  /** Whether its body comes from a source that can wait, or throw. */
  readonly hasSource: boolean;
  /** Whether it has a signal. */
  readonly hasSignal: boolean;
  /** Whether it sends no request at all. */
  readonly connects: boolean;
  /** Whether its promise is left alone. */
  readonly unawaited: boolean;
  /** Whether its body is large. */
  readonly large: boolean;
  /** Begins it. */
  start(ctx: SendingContext): void;
}

const PIECES = ["first piece\n", "second, longer piece\n", "x", "the last piece\n"].map(bytes);
const SMALL = concat(...PIECES);
const LARGE = bytes("0123456789abcdef\n".repeat(20_000));

function call(
  name: string,
  start: SendingCall["start"],
  part: Partial<SendingCall> = {},
): SendingCall {
  const defaults = {
    method: "POST",
    body: SMALL,
    expects: false,
    hasSource: false,
    hasSignal: true,
    connects: false,
    unawaited: false,
    large: false,
  };
  return { name, ...defaults, ...part, start };
}

function request(
  name: string,
  body: (ctx: SendingContext) => RequestBody | null,
  part: Partial<SendingCall> = {},
  options: RequestOptions = {},
): SendingCall {
  return call(name, (ctx) => {
    const { signal } = ctx;
    const content = body(ctx);
    const method = part.method ?? "POST";
    ctx.follow(() => ctx.conn.request(method, "/first", content, {}, { ...options, signal }));
  }, part);
}

async function* pieces({ source }: SendingContext): AsyncGenerator<Uint8Array> {
  yield PIECES[0];
  await source.pass();
  yield* PIECES.slice(1);
}

function* piecesAtOnce(): Generator<Uint8Array> {
  yield* PIECES;
}

function stream(ctx: SendingContext): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces(ctx));
}

function reader(ctx: SendingContext) {
  const from = pieces(ctx);
  return {
    async read(p: Uint8Array): Promise<number | null> {
      const { done, value } = await from.next();
      if (done) return null;
      p.set(value);
      return value.length;
    },
  };
}

/** A head put by hand, with the length of the body. */
function putHead({ conn }: SendingContext, chunked: boolean): void {
  conn.putrequest("POST", "/first");
  if (chunked) conn.putheader("Transfer-Encoding", "chunked");
  else conn.putheader("Content-Length", SMALL.length);
}

function endheaders(ctx: SendingContext): void {
  ctx.follow(() => ctx.conn.endheaders(null, { signal: ctx.signal }));
}

function send(ctx: SendingContext, data: RequestBody): void {
  ctx.follow(() => ctx.conn.send(data));
}

const source = { hasSource: true };

/** The calls. */
export const SENDING_CALLS: readonly SendingCall[] = [
  request("request", () => null, { method: "GET", body: new Uint8Array(0) }),
  request("request string", () => new TextDecoder().decode(SMALL)),
  request("request bytes", () => SMALL.slice()),
  request("request large bytes", () => LARGE, { body: LARGE, large: true }),
  request("request array", () => [...PIECES]),
  request("request generator", piecesAtOnce),
  request("request async generator", pieces, source),
  request("request stream", stream, source),
  request("request Reader", reader, source),
  request("request Blob", () => new Blob([SMALL])),
  request("request, Expect", () => SMALL.slice(), { expects: true }, { expect_continue: true }),
  request("request stream, Expect", stream, { expects: true, hasSource: true }, {
    expect_continue: true,
  }),
  request("request, trailers", () => [...PIECES], {}, { trailers: () => ({ "X-Sum": "1" }) }),
  call("endheaders", (ctx) => {
    putHead(ctx, false);
    ctx.follow(() => ctx.conn.endheaders(SMALL.slice(), { signal: ctx.signal }));
  }),
  call("endheaders, send", (ctx) => {
    putHead(ctx, false);
    endheaders(ctx);
    send(ctx, SMALL.slice());
  }),
  call("endheaders, send stream", (ctx) => {
    putHead(ctx, false);
    endheaders(ctx);
    send(ctx, stream(ctx));
  }, source),
  call("endheaders, two sends at once", (ctx) => {
    putHead(ctx, false);
    endheaders(ctx);
    send(ctx, PIECES[0].slice());
    send(ctx, concat(...PIECES.slice(1)));
  }),
  call("endheaders, send stream and bytes at once", (ctx) => {
    putHead(ctx, false);
    endheaders(ctx);
    send(ctx, ReadableStream.from(PIECES.slice(0, 3)));
    send(ctx, PIECES[3].slice());
  }),
  call("endheaders, send chunks", (ctx) => {
    putHead(ctx, true);
    endheaders(ctx);
    const size = SMALL.length.toString(16);
    send(ctx, concat(bytes(`${size}\r\n`), SMALL, bytes("\r\n")));
    send(ctx, "0\r\n\r\n");
  }),
  call("connect", (ctx) => ctx.follow(() => ctx.conn.connect()), {
    connects: true,
    hasSignal: false,
    body: new Uint8Array(0),
  }),
  request("request bytes, not awaited", () => SMALL.slice(), { unawaited: true }),
  request("request stream, not awaited", stream, { unawaited: true, hasSource: true }),
  call("endheaders and send, not awaited", (ctx) => {
    putHead(ctx, false);
    endheaders(ctx);
    send(ctx, SMALL.slice());
  }, { unawaited: true }),
];

/** Follows a promise that somebody awaits, or lets one alone. */
export function follow(
  start: () => Promise<unknown>,
  unawaited: boolean,
): Tracked | null {
  if (!unawaited) return new Tracked(start);
  start();
  return null;
}
