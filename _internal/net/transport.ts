/**
 * Transports: what an exchange runs over. How one is opened is `sockets.ts`.
 *
 * @module
 */
import type { Reader, Writer } from "@std/io/types";
import { StreamReader } from "./line_reader.ts";

/**
 * What an exchange runs over. A `Deno.Conn` is one.
 *
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

/** A transport that would keep the process alive while nobody needs it. */
export interface RestingTransport extends Transport {
  /** Told when the connection is idle, and when it no longer is. */
  idle(idle: boolean): void;
  /** Waits for the turn of the event loop in which it is told of what has come. */
  turn(): Promise<void>;
}

/** Tells a transport that the connection is idle, or no longer. Whether it is one that is told. */
export function rest(transport: Transport, idle: boolean): boolean {
  const { idle: tell } = transport as Partial<RestingTransport>;
  tell?.call(transport, idle);
  return tell !== undefined;
}

/** Where and how to connect. */
export interface Route {
  hostname: string;
  port: number;
  path: string | null;
  source: [host: string, port: number] | null;
  custom: (() => Promise<Transport>) | null;
  /** Whether TLS follows that Deno's own sockets cannot do. */
  nodeTls: boolean;
}

/** Waits for that turn, where the transport has one. */
export async function turn(transport: Transport): Promise<void> {
  await (transport as Partial<RestingTransport>).turn?.();
}

/** Closes what may be closed already. */
export function close(closer: { close(): void }): void {
  try {
    closer.close();
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

/** A transport of the user's: `close()` ends what is pending, whether or not the user's own does. */
export class GuardedTransport implements Transport {
  #inner: Transport;
  #pending = new Set<(error: Error) => void>();
  #closed = false;

  /** Only where the user's own can. */
  closeWrite?: () => Promise<void>;

  constructor(inner: Transport) {
    this.#inner = inner;
    if (inner.closeWrite !== undefined) {
      this.closeWrite = () => this.#guard(() => inner.closeWrite!());
    }
  }

  read(p: Uint8Array): Promise<number | null> {
    return this.#guard(() => this.#inner.read(p));
  }

  write(p: Uint8Array): Promise<number> {
    return this.#guard(() => this.#inner.write(p));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const reject of this.#pending) {
      reject(new Deno.errors.Interrupted("The transport was closed"));
    }
    this.#pending.clear();
    this.#inner.close();
  }

  #guard<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Deno.errors.BadResource("The transport is closed"));
    return new Promise<T>((resolve, reject) => {
      this.#pending.add(reject);
      const settle = () => this.#pending.delete(reject);
      Promise.try(operation).finally(settle).then(resolve, reject);
    });
  }
}
