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
import { setImmediate } from "node:timers";
import tls from "node:tls";
import { explainTls, type TLSContext } from "./tls.ts";
import { close, rest, type RestingTransport, type Route, type Transport } from "./transport.ts";

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
  const abort = () => socket.destroy();
  signal.addEventListener("abort", abort);
  try {
    await once(socket, "connect");
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? signal.reason : asDenoError(error);
  } finally {
    signal.removeEventListener("abort", abort);
  }
  return new NodeTransport(socket);
}

/** Does the TLS handshake over a transport. */
export async function secure(
  transport: Transport,
  context: TLSContext,
  hostname: string,
): Promise<Transport> {
  const name = hostname.replace(/^\[|\]$/g, "");
  const socket = tls.connect({
    socket: transport instanceof NodeTransport ? transport.socket : duplexOver(transport),
    host: name,
    ...(net.isIP(name) === 0 ? { servername: name } : {}),
    ca: context.caCerts === undefined ? undefined : [...roots(), ...context.caCerts],
    cert: context.cert,
    key: context.key,
    ALPNProtocols: context.alpnProtocols ?? ["http/1.1"],
    rejectUnauthorized: context.verify_mode !== "CERT_NONE",
    ...(context.check_hostname === false ? { checkServerIdentity: () => undefined } : {}),
  });
  try {
    await once(socket, "secureConnect");
  } catch (error) {
    socket.destroy();
    close(transport);
    throw explainTls(asDenoError(error), hostname);
  }
  return new NodeTransport(socket, transport);
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

/** A socket of Node's as a transport: paused, so that nothing is read ahead of a read. */
class NodeTransport implements RestingTransport {
  readonly socket: net.Socket;
  #below: Transport | null;
  #ended = false;
  #error: unknown = null;
  #wake: (() => void) | null = null;
  /**
   * What was taken from the socket and not yet read: Node's sockets forget what they hold when a write
   * fails, and that may be the answer which says why.
   */
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(socket: net.Socket, below: Transport | null = null) {
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
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        // An end that came before anyone listened is only told to who reads.
        if (this.socket.readableLength === 0) this.socket.read(0);
      });
      this.#wake = null;
    }
  }

  /** Whether the connection is idle, and so must not keep the process alive. */
  idle(idle: boolean): void {
    if (this.#below !== null) rest(this.#below, idle);
    if (idle) this.socket.unref();
    else this.socket.ref();
  }

  turn(): Promise<void> {
    return new Promise((resolve) => void setImmediate(resolve));
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
    return new Promise<number>((resolve, reject) => {
      // The socket may hold the bytes after the call: they are copied, as the caller reuses its own.
      this.socket.write(p.slice(), (error) => {
        if (error) return reject(asDenoError(error));
        resolve(p.length);
      });
    });
  }

  closeWrite(): Promise<void> {
    return new Promise<void>((resolve) => this.socket.end(resolve));
  }

  close(): void {
    this.#error ??= new Deno.errors.Interrupted("The transport was closed");
    this.socket.destroy();
    if (this.#below !== null) close(this.#below);
    this.#wake?.();
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
      close(transport);
      done(error);
    },
  });
}
