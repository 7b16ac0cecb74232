/**
 * Transports over `node:net` and `node:tls`, for what Deno's own sockets cannot do: a source address,
 * a client certificate without a stall on the first request, TLS over a unix socket, over TLS or over
 * a transport of the user's, and TLS without verification. About 1.1 times the cost of Deno's own for a
 * small request. Loaded only when it is needed.
 *
 * @module
 */
import net from "node:net";
import { Duplex } from "node:stream";
import tls from "node:tls";
import { explainTls, type TLSContext } from "./tls.ts";
import { ref, unref } from "./platform.ts";
import { closeQuietly, type Route, type Transport } from "./transport.ts";

/** Opens a socket. */
export async function connect(route: Route, signal: AbortSignal): Promise<Transport> {
  if (route.source !== null) {
    // Deno's node:net throws this where nobody can catch it.
    const [address] = route.source;
    const host = `${address.includes(":") ? `[${address}]` : address}:0`;
    const { state } = await Deno.permissions.request({ name: "net", host });
    if (state !== "granted") {
      throw new Deno.errors.NotCapable(`Requires net access to "${host}"`);
    }
  }
  const socket = route.path !== null ? net.connect({ path: route.path }) : net.connect({
    host: route.hostname.replace(/^\[|\]$/g, ""),
    port: route.port,
    ...(route.source === null
      ? {}
      : { localAddress: route.source[0], localPort: route.source[1] || undefined }),
  });
  socket.setNoDelay(true);
  const transport = new NodeTransport(socket);
  const abort = () => socket.destroy();
  signal.addEventListener("abort", abort);
  try {
    await transport.during(once(socket, "connect"));
    return transport;
  } catch (error) {
    transport.close();
    throw signal.aborted ? signal.reason : asDenoError(error);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Does the TLS handshake over a transport. */
export async function secure(
  transport: Transport,
  context: TLSContext,
  hostname: string,
  onbegun: (transport: Transport) => void,
): Promise<Transport> {
  const name = hostname.replace(/^\[|\]$/g, "");
  const below = new Below(transport);
  const socket = tls.connect({
    socket: transport instanceof NodeTransport ? transport.socket : duplexOver(below),
    host: name,
    ...(net.isIP(name) === 0 ? { servername: name } : {}),
    ca: context.caCerts === undefined ? undefined : [...roots(), ...context.caCerts],
    cert: context.cert,
    key: context.key,
    ALPNProtocols: context.alpnProtocols ?? ["http/1.1"],
    rejectUnauthorized: context.verify_mode !== "CERT_NONE",
    ...(context.check_hostname === false ? { checkServerIdentity: () => undefined } : {}),
  });
  const secured = new NodeTransport(socket, below);
  onbegun(secured);
  try {
    await secured.during(once(socket, "secureConnect"));
    return secured;
  } catch (error) {
    secured.close();
    throw explainTls(asDenoError(error), hostname);
  }
}

/** The roots that Node trusts, where they may be read: Deno asks for `--allow-sys=ca`. */
function roots(): readonly string[] {
  try {
    return [...tls.rootCertificates];
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return [];
    throw error;
  }
}

/** Waits for an event; an `error` or a `close` before it is thrown. */
function once(socket: net.Socket, event: string): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const settle = (action: () => void) => () => {
      socket.off(event, onEvent).off("error", onError).off("close", onClose);
      action();
    };
    const onEvent = settle(resolve);
    const onClose = settle(() => reject(new Deno.errors.Interrupted("The socket was closed")));
    const onError = (error: Error) => settle(() => reject(error))();
    socket.on(event, onEvent).on("error", onError).on("close", onClose);
  });
}

/** The classes of Deno's own sockets for the codes of Node's. */
const CLASSES: Record<string, new (message: string, options?: ErrorOptions) => Error> = {
  ECONNREFUSED: Deno.errors.ConnectionRefused,
  ECONNRESET: Deno.errors.ConnectionReset,
  ECONNABORTED: Deno.errors.ConnectionAborted,
  EPIPE: Deno.errors.BrokenPipe,
  ETIMEDOUT: Deno.errors.TimedOut,
  EADDRINUSE: Deno.errors.AddrInUse,
  EADDRNOTAVAIL: Deno.errors.AddrNotAvailable,
  ENOENT: Deno.errors.NotFound,
};

/** An error of Node's as one of Deno's classes; the original is the cause. */
function asDenoError(error: unknown): unknown {
  const code = (error as { code?: string }).code;
  const constructor = code === undefined ? undefined : CLASSES[code];
  if (constructor === undefined || !(error instanceof Error)) return error;
  return new constructor(error.message, { cause: error });
}

/** How much is taken from a socket ahead of a read. */
const HOLD = 65536;

/**
 * A socket of Node's as a transport: paused, so that nothing is read ahead of a read but what the socket
 * holds. It keeps the process alive only while an operation is pending. Its listeners are there from the
 * beginning to the end, as an `error` that nobody listens to ends the process.
 */
class NodeTransport implements Transport {
  readonly socket: net.Socket;
  #below: Below | null;
  #ended = false;
  #error: unknown = null;
  #wake: (() => void) | null = null;
  /** How many operations are pending; one more once it was handed over. */
  #pending = 0;
  /**
   * What was taken from the socket and not yet read: Node's sockets forget what they hold when a write
   * fails, and that may be the answer which says why.
   */
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(socket: net.Socket, below: Below | null = null) {
    this.socket = socket;
    this.#below = below;
    const wake = () => this.#wake?.();
    socket.on("readable", () => {
      this.#hold();
      wake();
    });
    const end = () => {
      this.#ended = true;
      wake();
    };
    socket.on("end", end).on("close", end);
    socket.on("error", (error) => {
      this.#error ??= asDenoError(error);
      wake();
    });
  }

  async read(p: Uint8Array): Promise<number | null> {
    for (;;) {
      this.#hold();
      const first = this.#held[0];
      if (first !== undefined) {
        const piece = first.subarray(0, p.length);
        p.set(piece);
        this.#heldBytes -= piece.length;
        if (piece.length === first.length) this.#held.shift();
        else this.#held[0] = first.subarray(piece.length);
        return piece.length;
      }
      if (this.#error !== null) throw this.#error;
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
    this.ref();
    try {
      return await operation;
    } finally {
      this.unref();
    }
  }

  /** An operation begins, or the transport is handed over. */
  ref(): void {
    if (this.#pending++ > 0) return;
    this.socket.ref();
    this.#below?.ref();
  }

  /** The contrary. */
  unref(): void {
    if (--this.#pending > 0) return;
    this.socket.unref();
    this.#below?.unref();
  }

  /** Takes what the socket has, up to a buffer's size. */
  #hold(): void {
    while (this.#heldBytes < HOLD && this.socket.readableLength > 0) {
      const chunk: Uint8Array | null = this.socket.read();
      if (chunk === null) return;
      this.#held.push(chunk);
      this.#heldBytes += chunk.length;
    }
  }

  write(p: Uint8Array): Promise<number> {
    if (this.#error !== null) return Promise.reject(this.#error);
    const size = p.length;
    return this.during(
      new Promise<number>((resolve, reject) => {
        // The socket may hold the bytes after the call: they are copied, as the caller reuses its own.
        this.socket.write(p.slice(), (error) => {
          if (error) return reject(this.#error ?? asDenoError(error));
          resolve(size);
        });
      }),
    );
  }

  closeWrite(): Promise<void> {
    if (this.#error !== null) return Promise.reject(this.#error);
    return this.during(
      new Promise<void>((resolve, reject) => {
        this.socket.end((error?: Error | null) => error ? reject(asDenoError(error)) : resolve());
      }),
    );
  }

  close(): void {
    this.#error ??= new Deno.errors.Interrupted("The transport was closed");
    this.socket.destroy();
    this.#below?.close();
    this.#wake?.();
  }
}

/** What lies below TLS: it is closed by either end of the socket over it, and once. */
class Below implements Transport {
  readonly transport: Transport;
  #closed = false;

  constructor(transport: Transport) {
    this.transport = transport;
    if (transport.closeWrite !== undefined) this.closeWrite = () => transport.closeWrite!();
  }

  closeWrite?: () => Promise<void>;

  read(p: Uint8Array): Promise<number | null> {
    return this.transport.read(p);
  }

  write(p: Uint8Array): Promise<number> {
    return this.transport.write(p);
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
function duplexOver(transport: Transport): Duplex {
  const buffer = new Uint8Array(65536);
  return new Duplex({
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
}
