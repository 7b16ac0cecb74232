/**
 * Transports: what an exchange runs over. How one is opened is `sockets.ts`.
 *
 * @module
 */
import type { Reader, Writer } from "@std/io/types";
import {
  CLOSE_ENDS_READS,
  type DenoTcpConn,
  isDenoSocket,
  type TransportKind,
} from "./platform.ts";
import { StreamReader } from "./stream_reader.ts";

/**
 * What an exchange runs over. A `Deno.Conn` is one.
 *
 * @category Connections
 * @example A transport in memory: a server that has already answered
 * ```ts
 * import { HTTPConnection, type Transport } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const answer = new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
 * let sent = false;
 * const transport: Transport = {
 *   read(p) {
 *     if (sent) return Promise.resolve(null);
 *     sent = true;
 *     p.set(answer);
 *     return Promise.resolve(answer.length);
 *   },
 *   write: (p) => Promise.resolve(p.length),
 *   close() {},
 * };
 * using conn = new HTTPConnection("example.com", { transport: () => Promise.resolve(transport) });
 * await conn.request("GET", "/");
 * assertEquals(await (await conn.getresponse()).text(), "hi");
 * ```
 */
export interface Transport extends Reader, Writer {
  /** Reads up to `p.length` bytes into `p`; resolves to their number, or to `null` at the end. */
  read(p: Uint8Array): Promise<number | null>;
  /** Writes bytes of `p`; resolves to how many were accepted, at least one. */
  write(p: Uint8Array): Promise<number>;
  /** Frees the transport; a read or a write that is pending should fail. Called once. */
  close(): void;
  /** Ends the sending side, if the transport can. */
  closeWrite?(): Promise<void>;
}

/** An open transport. */
export interface Opened {
  transport: Transport;
  kind: TransportKind;
  /** Deno's own TCP connection, if it is one that TLS can be begun on. */
  tcp: DenoTcpConn | null;
}

/** Where and how to connect. */
export interface Route {
  hostname: string;
  port: number;
  path: string | null;
  source: [host: string, port: number] | null;
}

/** What was opened, with TLS over it. */
export interface Secured extends Opened {
  /** The protocol that was agreed on by ALPN, if any. */
  alpnProtocol: string | null;
}

/** A transport that may run over one of the user's. */
export interface Carried {
  /** Whether the user's transport has thrown this. */
  isForeign?(error: unknown): boolean;
}

/** Whether an error is one that a transport of the user's has thrown, below one of this library's. */
export function isForeign(transport: Transport & Carried, error: unknown): boolean {
  return transport.isForeign?.(error) ?? false;
}

/** Closes what may be closed already. */
export function closeQuietly(closer: { close(): void; closeWrite?(): Promise<void> }): void {
  try {
    // Deno: in 2.8.3 a read that is pending keeps the socket open, and the peer would not hear of the end.
    if (!CLOSE_ENDS_READS && isDenoSocket(closer)) closer.closeWrite?.().catch(() => {});
    const closing: unknown = closer.close();
    // One of the user's may fail later, too.
    if (closing instanceof Promise) closing.catch(() => {});
  } catch {
    // BadResource: the peer's end or a deadline was there first.
  }
}

/** A stream to read from, as a transport that cannot be written to. */
export function fromStream(stream: ReadableStream<Uint8Array>): Transport {
  const reader = new StreamReader(stream);
  return {
    read: (p) => reader.read(p),
    write: () => Promise.reject(new TypeError("Cannot write: the source is a stream to read from")),
    close: () => reader.cancel(),
  };
}
