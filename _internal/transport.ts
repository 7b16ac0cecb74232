/**
 * Transports: what an exchange runs over, and how one is opened. TCP, TLS and unix sockets are Deno's
 * own; what those cannot do (a source address, a client certificate behind a tunnel, TLS over anything
 * but TCP) is done by `node:net` and `node:tls` in `node_transport.ts`, loaded only then.
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

/**
 * How TLS is done. Verification is on unless it is switched off here.
 * `caCerts` are trusted beside the roots that Deno trusts.
 */
export interface TLSContext {
  /** Certificates to trust, each in PEM. */
  caCerts?: string[];
  /** The client's certificate chain, in PEM; with `key`. */
  cert?: string;
  /** The client's private key, in PEM; with `cert`. */
  key?: string;
  /**
   * The protocols to offer by ALPN.
   *
   * @default {["http/1.1"]}
   */
  alpnProtocols?: string[];
  /** The name for SNI and verification, where it is not the host. */
  server_hostname?: string;
  /**
   * Whether the certificate must be for the server's name.
   *
   * @default {true}
   */
  check_hostname?: boolean;
  /**
   * Whether the certificate must come from a trusted CA. `"CERT_NONE"` is Python's unverified context:
   * anyone can be the server.
   *
   * @default {"CERT_REQUIRED"}
   */
  verify_mode?: "CERT_REQUIRED" | "CERT_NONE";
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

/** An open transport. */
export interface Opened {
  transport: Transport;
  /** Deno's own TCP connection, if it is one. */
  tcp: Deno.TcpConn | null;
  /** Whether it is a socket of Deno's own. */
  native: boolean;
}

/** Opens a plain transport. */
export async function open(route: Route, signal: AbortSignal): Promise<Opened> {
  if (route.custom !== null) {
    const transport = new GuardedTransport(await route.custom());
    return { transport, tcp: null, native: false };
  }
  if (route.source !== null || route.nodeTls) {
    const node = await import("./node_transport.ts");
    return { transport: await node.connect(route, signal), tcp: null, native: false };
  }
  if (route.path !== null) {
    const conn = await Deno.connect({ transport: "unix", path: route.path });
    return { transport: conn, tcp: null, native: true };
  }
  const tcp = await Deno.connect({ hostname: route.hostname, port: route.port, signal });
  // Nagle's algorithm and a delayed acknowledgement together cost 40 ms.
  tcp.setNoDelay(true);
  return { transport: tcp, tcp, native: true };
}

/** Whether Deno's own sockets cannot do TLS as asked. */
export function needsNodeTls(context: TLSContext): boolean {
  return context.cert !== undefined || context.verify_mode === "CERT_NONE";
}

/** Does the TLS handshake over what was opened. */
export async function secure(
  opened: Opened,
  context: TLSContext,
  hostname: string,
  attach: (end: () => void) => void,
): Promise<Opened> {
  if (opened.tcp === null || needsNodeTls(context)) {
    const node = await import("./node_transport.ts");
    const transport = await node.secure(opened.transport, context, hostname);
    return { transport, tcp: null, native: false };
  }
  try {
    const tls = await Deno.startTls(opened.tcp, {
      hostname: bare(hostname),
      caCerts: context.caCerts ?? [],
      alpnProtocols: context.alpnProtocols ?? ["http/1.1"],
      unsafelyDisableHostnameVerification: context.check_hostname === false,
    } as Deno.StartTlsOptions);
    attach(() => close(tls));
    await handshake(tls, hostname);
    return { transport: tls, tcp: null, native: true };
  } catch (error) {
    close(opened.tcp);
    throw error;
  }
}

/**
 * TLS in one step, where the platform allows no plain connection to the port: Deno Deploy refuses
 * `Deno.connect` to port 443. It is not the usual way, as it leaves Nagle's algorithm on.
 */
export async function openTls(route: Route, context: TLSContext, name: string): Promise<Transport> {
  if (name !== route.hostname) {
    throw new TypeError("Cannot connect: this platform has no server_hostname apart from the host");
  }
  const tls = await Deno.connectTls({
    hostname: route.hostname,
    port: route.port,
    caCerts: context.caCerts ?? [],
    alpnProtocols: context.alpnProtocols ?? ["http/1.1"],
  });
  await handshake(tls, route.hostname);
  return tls;
}

/** Whether an error of `Deno.connect` says that the platform forbids it. */
export function forbidden(error: unknown): boolean {
  return error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotSupported || error instanceof TypeError;
}

async function handshake(tls: Deno.TlsConn, hostname: string): Promise<void> {
  try {
    await tls.handshake();
  } catch (error) {
    close(tls);
    throw explainTls(error, hostname);
  }
}

/** What the messages of the TLS implementations mean, in one line each. */
const TLS_PROBLEMS: [pattern: RegExp, meaning: string][] = [
  [/UnknownIssuer|UNABLE_TO_VERIFY|SELF_SIGNED|unable to verify/, "its issuer is not trusted"],
  [/certificate expired|CERT_HAS_EXPIRED/, "it has expired"],
  [/not valid yet|CERT_NOT_YET_VALID/, "it is not valid yet"],
  [/not valid for (any )?name|ALTNAME_INVALID/, "it is for another name"],
  [/CaUsedAsEndEntity/, "it is a CA's own certificate"],
];

/** An error of a handshake, in words; the original is the cause. */
export function explainTls(error: unknown, hostname: string): unknown {
  if (!(error instanceof Error)) return error;
  const text = `${(error as { code?: string }).code ?? ""} ${error.message}`;
  const found = TLS_PROBLEMS.find(([pattern]) => pattern.test(text));
  const where = `Cannot establish TLS with ${hostname}`;
  if (found !== undefined) {
    const message = `${where}: the certificate was refused, ${found[1]} (${error.message})`;
    return new Deno.errors.InvalidData(message, { cause: error });
  }
  if (/InvalidContentType|wrong version number|packet length/i.test(text)) {
    const message = `${where}: the server does not speak TLS on this port (${error.message})`;
    return new Deno.errors.InvalidData(message, { cause: error });
  }
  if (error instanceof Deno.errors.InvalidData) {
    return new Deno.errors.InvalidData(`${where}: ${error.message}`, { cause: error });
  }
  return error;
}

/** Without the brackets of an IPv6 address, and without its scope. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
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

  constructor(inner: Transport) {
    this.#inner = inner;
  }

  read(p: Uint8Array): Promise<number | null> {
    return this.#guard(() => this.#inner.read(p));
  }

  write(p: Uint8Array): Promise<number> {
    return this.#guard(() => this.#inner.write(p));
  }

  closeWrite(): Promise<void> {
    return this.#guard(async () => await this.#inner.closeWrite?.());
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
