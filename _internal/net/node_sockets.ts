/**
 * Transports over `node:net` and `node:tls`, for what Deno's own sockets cannot do: a source address,
 * a client certificate without a stall on the first request, TLS over a unix socket, over TLS or over
 * a transport of the user's, TLS without verification, and TLS that trusts the caller's certificates alone.
 * About 1.1 times the cost of Deno's own for a small request. Loaded only when it is needed.
 *
 * @module
 */
import { errors } from "../../errors.ts";
import type { LookupAllOptions } from "node:dns";
import type { Socket } from "node:net";
import type { Duplex as DuplexStream } from "node:stream";
import type { SecureContext, TLSSocket } from "node:tls";
import { asDenoError, asTlsError, shownPeer, writeError } from "./connect_errors.ts";
import { checkReadable, identityOf } from "./identity.ts";
import {
  isWorkerd,
  mayConnect,
  ref,
  refuseOnWorkerd,
  type SocketAddress,
  socketError,
  unref,
} from "./platform.ts";
import { HTTP_1_1, type TLSContext } from "./tls.ts";
import {
  type Carried,
  closeQuietly,
  type Opened,
  type Route,
  type Secured,
  type Transport,
} from "./transport.ts";

// A bundle that is not split has this module in it, and loads at once what it imports in any other way.
const { default: dns } = await import("node:dns");
const { default: net } = await import("node:net");
const { Duplex } = await import("node:stream");
const { default: tls } = await import("node:tls");

/**
 * Opens a socket: from a source address to each address of the server's name, until one answers.
 *
 * @throws {Deno.errors.AddrNotAvailable} When it cannot be bound to the source address.
 */
export async function connect(route: Route, signal: AbortSignal): Promise<Transport> {
  const hostname = bare(route.hostname);
  if (route.path !== null) {
    refuseOnWorkerd("unix sockets");
    return await opened(net.connect({ path: route.path }), signal);
  }
  if (route.source === null || (route.source[0] === "" && route.source[1] === 0)) {
    return await opened(net.connect({ host: hostname, port: route.port }), signal);
  }
  refuseOnWorkerd("source_address");
  return await connectFrom(route, route.source, hostname, signal);
}

async function connectFrom(
  route: Route,
  [from, port]: [host: string, port: number],
  hostname: string,
  signal: AbortSignal,
): Promise<Transport> {
  const source = bare(from);
  const targets = await lookUp(hostname, route.port);
  const sources = source === "" ? ANY : await lookUpSource(source, port);
  let failure: { error: unknown } | null = null;
  for (const target of await allowed(targets, route.port)) {
    if (signal.aborted) throw signal.reason;
    const local = sources.find(({ family }) => family === target.family);
    if (local === undefined) continue;
    try {
      // By its name where it has one address only: permissions are given for names.
      const host = targets.length === 1 ? hostname : target.address;
      return await dial({ ...route, hostname: host }, [local.address, port], signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      // As in CPython, the first one says why.
      failure ??= { error };
    }
  }
  if (failure !== null) throw failure.error;
  throw new errors.AddrNotAvailable(
    `the source address ${source} is of another family than those of the host`,
  );
}

interface Address {
  address: string;
  family: number;
}

/** What stands for any address of this machine's. */
const ANY: Address[] = [{ address: "0.0.0.0", family: 4 }, { address: "::", family: 6 }];

/** The addresses of a host. */
function lookUp(host: string, port: number): Promise<Address[]> {
  const family = net.isIP(host);
  if (family !== 0) return Promise.resolve([{ address: host, family }]);
  // Deno: the port is part of what permission is asked for.
  const options = { all: true, port } as LookupAllOptions;
  return new Promise((resolve, reject) => {
    dns.lookup(host, options, (error, addresses) => {
      if (error === null) resolve(addresses);
      else reject(error.code === "EPERM" ? notCapable(`${host}:${port}`) : error);
    });
  });
}

/** The same of the source address; its name is not the server's. */
async function lookUpSource(source: string, port: number): Promise<Address[]> {
  try {
    return await lookUp(source, port);
  } catch (cause) {
    if (cause instanceof errors.NotCapable) throw cause;
    throw socketError(
      errors.AddrNotAvailable,
      `the name of the source address, ${source}, has no address`,
      cause,
    );
  }
}

/** Those of several addresses that may be connected to: the name alone may be allowed. */
async function allowed(targets: Address[], port: number): Promise<Address[]> {
  if (targets.length < 2) return targets;
  const found = [];
  for (const target of targets) {
    const host = shownPeer(target.address, port);
    if (await mayConnect(host, "query")) found.push(target);
  }
  return found.length > 0 ? found : targets;
}

function notCapable(host: string): Error {
  return new errors.NotCapable(
    `Requires net access to "${host}", run again with the --allow-net flag`,
  );
}

/** Opens a socket that is bound to an address. */
async function dial(
  route: Route,
  [address, port]: [address: string, port: number],
  signal: AbortSignal,
): Promise<Transport> {
  // Deno's node:net throws this where nobody can catch it.
  const host = shownPeer(address, port);
  if (!(await mayConnect(host, "request"))) throw notCapable(host);
  const socket = net.connect({
    host: route.hostname,
    port: route.port,
    localAddress: address,
    localPort: port || undefined,
  });
  return await opened(socket, signal, () => checkBound(socket, address, port));
}

/** Waits until a socket is connected; `check` throws where it is not what was asked for. */
async function opened(
  socket: Socket,
  signal: AbortSignal,
  check?: () => void,
): Promise<Transport> {
  socket.setNoDelay(true);
  const transport = new NodeTransport(socket);
  const abort = () => socket.destroy();
  signal.addEventListener("abort", abort);
  try {
    await transport.during(once(socket, "connect"));
    check?.();
    return transport;
  } catch (error) {
    transport.close();
    throw signal.aborted ? signal.reason : asDenoError(error);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Deno: node:net of 2.7 and before binds to no address, denoland/deno#24153. */
function checkBound({ localAddress, localPort }: Socket, address: string, port: number): void {
  const isAny = ANY.some((any) => any.address === address);
  const isBound = (isAny || (localAddress !== undefined && sameAddress(localAddress, address))) &&
    (port === 0 || localPort === port);
  if (isBound) return;
  throw new errors.AddrNotAvailable(
    `the platform did not use the source address ${shownPeer(address, port)}: it is ${
      shownPeer(localAddress ?? "", localPort ?? 0)
    }`,
  );
}

/** Whether two addresses are one, however they are spelled. */
function sameAddress(a: string, b: string): boolean {
  const spelled = (address: string) => {
    const url = `http://${shownPeer(address.replace(/%.*$/, ""), 1)}`;
    return URL.canParse(url) ? new URL(url).hostname : undefined;
  };
  return a === b || spelled(a) === spelled(b);
}

/** Without the brackets of an IPv6 address. */
function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

/**
 * Does the TLS handshake over what was opened.
 *
 * It is done over a stream even where what was opened is a socket of Node's own. Deno: `node:tls` takes a
 * reset of such a socket for its end (2.9.6), so that a body which lasts until the connection ends would
 * look whole.
 */
export async function secure(
  opened: Opened,
  context: TLSContext,
  hostname: string,
  onbegun: (transport: Transport) => void,
): Promise<Secured> {
  const name = bare(hostname);
  const below = new Below(opened.transport, opened.kind === "other");
  let socket: TLSSocket;
  try {
    socket = isWorkerd() ? overSocket(opened.transport, context, name) : tls.connect({
      socket: duplexOver(below),
      host: name,
      ...(net.isIP(name) === 0 ? { servername: name } : {}),
      secureContext: secureContextOf(context),
      ALPNProtocols: context.alpnProtocols ?? [HTTP_1_1],
      rejectUnauthorized: context.verify_mode !== "CERT_NONE",
      ...(context.check_hostname === false ? { checkServerIdentity: () => undefined } : {}),
    });
  } catch (error) {
    below.close();
    throw error;
  }
  const secured = new NodeTransport(socket, below);
  onbegun(secured);
  try {
    await secured.during(once(socket, "secureConnect"));
    const { alpnProtocol } = socket as { alpnProtocol?: string | false | null };
    return { transport: secured, tcp: null, kind: "node", alpnProtocol: alpnProtocol || null };
  } catch (error) {
    secured.close();
    throw below.failure === null ? asDenoError(error, true) : below.failure.reason;
  }
}

/** What a context may ask for and workerd does not do: it trusts what its configuration says. */
const NOT_ON_WORKERD = [
  "caCerts",
  "cert",
  "load_default_certs",
  "alpnProtocols",
  "check_hostname",
  "verify_mode",
] as const satisfies readonly (keyof TLSContext)[];

/** The values that ask for nothing. */
const BY_DEFAULT: Partial<TLSContext> = {
  load_default_certs: true,
  check_hostname: true,
  verify_mode: "CERT_REQUIRED",
};

/** TLS on workerd: over a socket of its own, and as its configuration says. */
function overSocket(transport: Transport, context: TLSContext, name: string): TLSSocket {
  for (const option of NOT_ON_WORKERD) {
    const value = context[option];
    if (value !== undefined && value !== BY_DEFAULT[option]) refuseOnWorkerd(option);
  }
  if (!(transport instanceof NodeTransport)) refuseOnWorkerd("TLS over a transport");
  return tls.connect({
    socket: (transport as NodeTransport).socket,
    host: name,
    // Even an address: it is what the certificate must be for.
    servername: name,
  });
}

/** A context of Node's that certificates can be added to. */
interface NativeContext {
  addCACert?(pem: string): void;
}

/** What is trusted, and what the client shows. */
function secureContextOf(context: TLSContext): SecureContext {
  const caCerts = context.caCerts ?? [];
  // Deno: one that cannot be read ends the process when node:tls looks at those of the peer.
  checkReadable(caCerts);
  const identity = context.cert === undefined ? {} : identityOf(context);
  if (context.load_default_certs === false) {
    return tls.createSecureContext({ ca: caCerts, ...identity });
  }
  const secureContext = tls.createSecureContext(identity);
  const native = secureContext.context as NativeContext;
  if (caCerts.length > 0 && native.addCACert === undefined) {
    // This needs --allow-sys, and leaves out what --cert and DENO_CERT add.
    return tls.createSecureContext({ ca: [...tls.rootCertificates, ...caCerts], ...identity });
  }
  for (const pem of caCerts) native.addCACert!(pem);
  return secureContext;
}

/** Waits for an event; an `error` or a `close` before it is thrown. */
function once(socket: Socket, event: string): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const settle = (action: () => void) => () => {
      socket.off(event, onEvent).off("error", onError).off("close", onClose);
      action();
    };
    const onEvent = settle(resolve);
    const onClose = settle(() => reject(new errors.Interrupted("The socket was closed")));
    const onError = (error: Error) => settle(() => reject(error))();
    socket.on(event, onEvent).on("error", onError).on("close", onClose);
  });
}

/** How much is taken from a socket ahead of a read. */
const HOLD = 65536;

/**
 * A socket of Node's as a transport: paused, so that nothing is read ahead of a read but what the socket
 * holds. It keeps the process alive only while an operation is pending. Its listeners are there from the
 * beginning to the end, as an `error` that nobody listens to ends the process.
 */
class NodeTransport implements Transport, Carried {
  readonly socket: Socket;
  #below: Below | null;
  #listens = false;
  #ended = false;
  #failure: { readonly reason: unknown } | null = null;
  #wake: (() => void) | null = null;
  /** How many operations are pending. */
  #pending = 0;
  /** How many more `ref()` there were than `unref()`. */
  #references = 0;
  #isHolding = false;
  /**
   * What was taken from the socket and not yet read: Node's sockets forget what they hold when a write
   * fails, and that may be the answer which says why.
   */
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(socket: Socket, below: Below | null = null) {
    this.socket = socket;
    this.#below = below;
    // workerd: TLS cannot be done over a socket that is being read.
    if (isWorkerd()) socket.pause();
    else this.#listen();
    const wake = () => this.#wake?.();
    const end = () => {
      this.#ended = true;
      wake();
    };
    socket.on("end", end).on("close", end);
    socket.on("error", (error) => {
      this.#fail(error);
      wake();
    });
  }

  /** Begins to take what comes. */
  #listen(): void {
    if (this.#listens) return;
    this.#listens = true;
    this.socket.on("readable", () => {
      this.#takeHeld();
      this.#wake?.();
    });
  }

  /** The first failure counts; what lies below TLS has failed before TLS says so. */
  #fail(error: unknown): unknown {
    const below = this.#below;
    this.#failure ??= below?.failure ??
      { reason: writeError(asDenoError(error, below !== null), this.socket) };
    return this.#failure.reason;
  }

  isForeign(error: unknown): boolean {
    const below = this.#below;
    return below !== null && below.isForeign && below.failure !== null &&
      below.failure.reason === error;
  }

  async read(p: Uint8Array): Promise<number | null> {
    this.#listen();
    for (;;) {
      this.#takeHeld();
      const first = this.#held[0];
      if (first !== undefined) {
        const piece = first.subarray(0, p.length);
        p.set(piece);
        this.#heldBytes -= piece.length;
        if (piece.length === first.length) this.#held.shift();
        else this.#held[0] = first.subarray(piece.length);
        return piece.length;
      }
      if (this.#failure !== null) throw this.#failure.reason;
      if (this.#ended || this.socket.readableEnded) return null;
      await this.during(
        new Promise<void>((resolve) => {
          this.#wake = resolve;
          // An end that came before anyone listened is only told to who reads.
          if (this.socket.readableLength === 0) this.socket.read(0);
        }),
      );
      this.#wake = null;
    }
  }

  /** Keeps the process alive while something is pending. */
  async during<T>(operation: Promise<T>): Promise<T> {
    this.#pending++;
    this.#hold();
    try {
      return await operation;
    } finally {
      this.#pending--;
      this.#hold();
    }
  }

  /** It holds the process whatever is pending, or the `unref()` before is taken back. */
  ref(): void {
    this.#references++;
    this.#hold();
  }

  /** The `ref()` before is taken back, or it does not hold the process whatever is pending. */
  unref(): void {
    this.#references--;
    this.#hold();
  }

  /** Holds the process or lets it end, where that has changed. */
  #hold(): void {
    const references = this.#references;
    const isHolding = references >= 0 && this.#pending + references > 0;
    if (isHolding === this.#isHolding) return;
    this.#isHolding = isHolding;
    for (const each of [this.socket, this.#below]) {
      if (isHolding) each?.ref();
      else each?.unref();
    }
  }

  /** Takes what the socket has, up to a buffer's size. */
  #takeHeld(): void {
    while (this.#heldBytes < HOLD && this.socket.readableLength > 0) {
      const chunk: Uint8Array | null = this.socket.read();
      if (chunk === null) return;
      this.#held.push(chunk);
      this.#heldBytes += chunk.length;
    }
  }

  write(p: Uint8Array): Promise<number> {
    if (this.#failure !== null) return Promise.reject(this.#failure.reason);
    const size = p.length;
    return this.during(
      new Promise<number>((resolve, reject) => {
        // The socket may hold the bytes after the call: they are copied, as the caller reuses its own.
        this.socket.write(p.slice(), (error) => {
          // Deno: node:tls says of a write that it was done, though the stream below has failed.
          // Node 20: the same of one that close() ended.
          const isDone = !error && !this.#below?.failure &&
            !(this.socket.destroyed && this.#failure !== null);
          if (isDone) return resolve(size);
          reject(this.#fail(error));
        });
      }),
    );
  }

  closeWrite(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure.reason);
    return this.during(
      new Promise<void>((resolve, reject) => {
        this.socket.end((error?: Error | null) => error ? reject(this.#fail(error)) : resolve());
      }),
    );
  }

  /** The other end, as Deno's sockets tell it. */
  get remoteAddr(): SocketAddress | undefined {
    const { remoteAddress: hostname, remotePort: port } = this.socket;
    return hostname === undefined || port === undefined ? undefined : { hostname, port };
  }

  close(): void {
    this.#failure ??= { reason: new errors.Interrupted("The transport was closed") };
    this.socket.destroy();
    this.#below?.close();
    this.#wake?.();
  }
}

/** What lies below TLS: it is closed by either end of the socket over it, and once. */
class Below implements Transport {
  readonly transport: Transport;
  /** Whether it is one of the user's: what it throws is passed on as it is. */
  readonly isForeign: boolean;
  /** What it has thrown first. */
  failure: { readonly reason: unknown } | null = null;
  #closed = false;

  constructor(transport: Transport, isForeign: boolean) {
    this.transport = transport;
    this.isForeign = isForeign;
    if (transport.closeWrite !== undefined) this.closeWrite = () => transport.closeWrite!();
  }

  closeWrite?: () => Promise<void>;

  async read(p: Uint8Array): Promise<number | null> {
    try {
      return await this.transport.read(p);
    } catch (reason) {
      throw this.#fail(reason);
    }
  }

  async write(p: Uint8Array): Promise<number> {
    try {
      return await this.transport.write(p);
    } catch (reason) {
      throw this.#fail(reason);
    }
  }

  /** Notes what was thrown; a stream of Node's can only fail with an error. */
  #fail(reason: unknown): Error {
    // What is closed on purpose rejects what is pending.
    if (!this.#closed) {
      this.failure ??= {
        reason: this.isForeign ? reason : asTlsError(reason, this.transport),
      };
    }
    return reason instanceof Error ? reason : new Error("The transport failed", { cause: reason });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeQuietly(this.transport);
  }

  ref(): void {
    ref(this.transport);
  }

  unref(): void {
    unref(this.transport);
  }
}

/** A transport as a stream of Node's, for TLS over it. */
function duplexOver(transport: Transport): DuplexStream {
  const buffer = new Uint8Array(65536);
  const stream = new Duplex({
    async read() {
      try {
        const count = await transport.read(buffer);
        this.push(count === null ? null : buffer.slice(0, count));
      } catch (error) {
        this.destroy(error as Error);
      }
    },
    async write(chunk: Uint8Array, _encoding, done) {
      try {
        for (let at = 0; at < chunk.length;) at += await transport.write(chunk.subarray(at));
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    async final(done) {
      try {
        await transport.closeWrite?.();
        done();
      } catch {
        done();
      }
    },
    destroy(error, done) {
      transport.close();
      done(error);
    },
  });
  // TLS tells of its errors, but listens no more once it was closed.
  return stream.on("error", () => {});
}
