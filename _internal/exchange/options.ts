/**
 * What users can set, and what of it goes together.
 *
 * @module
 */
import type { HTTPMessage } from "../../headers.ts";
import { messageOf } from "../../headers.ts";
import type { ResponseSettings } from "./connection.ts";
import { DEFAULT_LIMITS } from "../wire/field_section.ts";
import { checkSeconds } from "./deadlines.ts";
import { type ExchangeLimits, NO_LIMITS } from "./exchange.ts";
import type { Trailers } from "../wire/request_head.ts";
import type { TLSContext } from "../net/tls.ts";
import type { Trace } from "./trace.ts";
import type { Transport } from "../net/transport.ts";

/** Deadlines in seconds: bytes that a server sends one at a time do not extend them. */
export interface Deadlines {
  /** To connect, name resolution included. */
  connect?: number;
  /** For the TLS handshake. */
  tls?: number;
  /**
   * From the last byte of the request that was sent, or the first `getresponse()`, to the end of the
   * response's head, interim responses included.
   */
  head?: number;
  /** Between two pieces of the body. */
  bodyIdle?: number;
  /** From the call that starts a request to the end of its response. */
  total?: number;
}

/** Limits of what is taken from a server. */
export interface Limits {
  /**
   * Bytes of a status line, field line, chunk-size line or trailer line: `LineTooLong`.
   *
   * @default {65536}
   */
  maxLineBytes?: number;
  /**
   * Bytes of a response head: `HTTPException`.
   *
   * @default {1048576}
   */
  maxHeaderBytes?: number;
  /**
   * Field lines of a response head, Python's name: `HTTPException`.
   *
   * @default {100}
   */
  max_response_headers?: number;
  /**
   * Interim responses before the final one: `HTTPException`.
   *
   * @default {100}
   */
  maxInterimResponses?: number;
  /**
   * Trailer lines: `HTTPException`.
   *
   * @default {100}
   */
  maxTrailers?: number;
  /**
   * Bytes of chunk extensions, padding and leading zeros of a body: `HTTPException`. The first 256 bytes of
   * each size line are not counted, and every byte of data makes up for one.
   *
   * @default {65536}
   */
  maxChunkExtensionBytes?: number;
  /**
   * Bytes of a body: `HTTPException`. Not limited by default.
   *
   * @default {Infinity}
   */
  maxBodyBytes?: number;
}

/** Options of `HTTPConnection`. */
export interface HTTPConnectionOptions extends Limits {
  /**
   * Seconds that a blocking operation may take: to connect, to shake hands, each read, each write. Time
   * that is spent on a body's source does not count. No limit by default.
   *
   * @default {null}
   */
  timeout?: number | null;
  /** The address to connect from, as host and port; port 0 lets the system choose. */
  source_address?: [host: string, port: number] | null;
  /**
   * The size in bytes of the pieces in which a body that is a `Reader` is read.
   *
   * @default {8192}
   */
  blocksize?: number;
  /** Deadlines for the parts of an exchange. */
  deadlines?: Deadlines;
  /** Called with each interim response (1xx other than 101), in order. */
  onInformational?: (status: number, reason: string, headers: HTTPMessage) => void;
  /** A unix socket to connect to, by its path; the host is still what `Host` says. */
  socketPath?: string;
  /** Where to connect to: a host name or an address, in place of the host; the host is still what `Host` says. */
  address?: string;
  /** Makes what to talk over, in place of a connection of this library's. */
  transport?: () => Promise<Transport>;
  /** Gets each event of the exchanges, from connect to close. */
  trace?: Trace;
}

/** Options of `HTTPSConnection`. */
export interface HTTPSConnectionOptions extends HTTPConnectionOptions {
  /** How TLS is done. */
  context?: TLSContext;
}

/** Options of a request. */
export interface RequestOptions {
  /**
   * Whether the body is to be chunked where a `Transfer-Encoding` field was given.
   *
   * @default {false}
   */
  encode_chunked?: boolean;
  /** Aborts the exchange: the connection is closed, and what waits throws the signal's reason. */
  signal?: AbortSignal | null;
  /**
   * Fields to send after a chunked body, or a function that is called for them when the body is out.
   * The names of fields that are given are announced in a `Trailer` field unless there is one.
   */
  trailers?: Trailers;
  /**
   * Sends `Expect: 100-continue` and waits for the server to say so, or for a final answer, before the
   * body is sent: for ever, or for so many seconds.
   *
   * @default {false}
   */
  expect_continue?: boolean | number;
}

/** Options of `getresponse()`. */
export interface ResponseOptions {
  /** Aborts the exchange: the connection is closed, and what waits throws the signal's reason. */
  signal?: AbortSignal | null;
}

/** What `putrequest()` leaves out, as an object instead of two positions. */
export interface PutRequestOptions {
  /**
   * Leaves out the generated `Host`.
   *
   * @default {false}
   */
  skip_host?: boolean;
  /**
   * Leaves out `Accept-Encoding: identity`.
   *
   * @default {false}
   */
  skip_accept_encoding?: boolean;
}

/** What a connection that switched protocols hands over. */
export interface Detached {
  /** The transport; what was read ahead of it is in `buffered` only. */
  transport: Transport;
  /** Bytes that came behind the response's head. */
  buffered: Uint8Array;
  /** What the peer sends, `buffered` first. Cancelling it closes the transport. */
  readable: ReadableStream<Uint8Array>;
  /** What goes to the peer. Closing it ends the sending side, aborting it closes the transport. */
  writable: WritableStream<Uint8Array>;
}

const LIMIT_NAMES = [
  "maxLineBytes",
  "maxHeaderBytes",
  "max_response_headers",
  "maxInterimResponses",
  "maxTrailers",
  "maxChunkExtensionBytes",
  "maxBodyBytes",
  "blocksize",
] as const;

/** Refuses options that make no sense, or not together: no option is ignored. */
export function checkOptions(options: HTTPSConnectionOptions, tls: boolean): void {
  checkSeconds("timeout", options.timeout);
  for (const [name, seconds] of Object.entries(options.deadlines ?? {})) {
    checkSeconds(`deadlines.${name}`, seconds);
  }
  for (const name of LIMIT_NAMES) {
    const value = options[name];
    if (value !== undefined && !(typeof value === "number" && value >= 1)) {
      throw new TypeError(`Cannot use ${name} ${String(value)}: it is not a number over 0`);
    }
  }
  const ways = (["transport", "socketPath", "address"] as const)
    .filter((name) => options[name] !== undefined);
  if (ways.length > 1) {
    throw new TypeError(`Cannot connect: ${ways.join(" and ")} exclude each other`);
  }
  if (options.source_address && ways.length === 1 && ways[0] !== "address") {
    throw new TypeError(`Cannot connect: ${ways[0]} and source_address exclude each other`);
  }
  if (!tls && options.context !== undefined) {
    throw new TypeError("Cannot connect: context is for an HTTPSConnection");
  }
  checkContext(options.context ?? {});
}

function checkContext(context: TLSContext): void {
  if ((context.cert === undefined) !== (context.key === undefined)) {
    throw new TypeError("Cannot use context: cert and key go together");
  }
  // Deno ignores a CA that it cannot read.
  for (const pem of context.caCerts ?? []) {
    if (!/-----BEGIN CERTIFICATE-----/.test(pem)) {
      throw new TypeError("Cannot use context: caCerts has an entry that is no certificate in PEM");
    }
  }
}

/** What of a connection's options limits the time of an exchange. */
export function limitsOf(
  timeout: number | null,
  deadlines: Deadlines | undefined,
): ExchangeLimits {
  return timeout === null && deadlines === undefined ? NO_LIMITS : { ...deadlines, timeout };
}

/** What applies to the responses of a connection. */
export function settingsOf(options: HTTPSConnectionOptions): ResponseSettings {
  const { onInformational } = options;
  const line = options.maxLineBytes ?? DEFAULT_LIMITS.line;
  const bytes = options.maxHeaderBytes ?? DEFAULT_LIMITS.bytes;
  return {
    head: { line, bytes, count: options.max_response_headers ?? DEFAULT_LIMITS.count },
    trailers: { line, bytes, count: options.maxTrailers ?? DEFAULT_LIMITS.count },
    extensions: options.maxChunkExtensionBytes ?? 65536,
    maxInterim: options.maxInterimResponses ?? 100,
    maxBodyBytes: options.maxBodyBytes ?? Infinity,
    suppressRaggedEofs: options.context?.suppress_ragged_eofs ?? false,
    onInterim: onInformational === undefined
      ? null
      : (head) => onInformational(head.status, head.reason, messageOf(head.fields, head.defects)),
  };
}
