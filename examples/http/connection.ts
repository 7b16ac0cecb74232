/**
 * Opens connections: directly, over a unix socket or through a proxy; with TLS, and with a pinned public key.
 *
 * @module
 */
import { createHash, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { Duplex } from "node:stream";
import tls from "node:tls";
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  type HTTPSConnectionOptions,
  type TraceEvent,
  type Transport,
} from "@denoports/http-client";
import { CommandError, messageOf } from "./failure.ts";
import { credentialsOf, type Options } from "./options.ts";
import type { Wire } from "./wire.ts";

/** A connection to an origin, and what its requests need to know. */
export interface Route {
  conn: HTTPConnection;
  /** Whether the proxy gets the request itself: its target is then the whole URL. */
  viaProxy: boolean;
  /** The fields for the proxy. */
  proxyFields: [string, string][];
}

/**
 * Makes a connection for a URL; it is opened by its first request.
 *
 * @param wire Is told of what is sent and received.
 * @param trace Is told of the events.
 * @param withIdentity Whether the client certificate may be shown.
 * @param signal Ends the opening of the connection.
 */
export function route(
  url: URL,
  options: Options,
  wire: Wire,
  trace: (event: TraceEvent) => void,
  withIdentity: boolean,
  signal: AbortSignal | null,
): Route {
  const secure = url.protocol === "https:";
  const proxy = options.proxy === null ? null : new URL(options.proxy);
  const proxyAuthorization = proxy === null ? null : credentialsOf(proxy);
  const proxyFields: [string, string][] = proxyAuthorization === null
    ? []
    : [["Proxy-Authorization", proxyAuthorization]];
  const shared: HTTPConnectionOptions = {
    trace,
    httpVersion: options.http10 ? 10 : 11,
    ...(options.unix === null ? {} : { socketPath: options.unix }),
  };
  const at = proxy ?? url;
  const host = at.hostname;
  const port = portOf(at);
  const tunnelled = <C extends HTTPConnection>(conn: C): C => {
    if (proxy !== null && secure) conn.set_tunnel(url.hostname, portOf(url), proxyFields);
    return conn;
  };
  let conn: HTTPConnection;
  if (!secure) conn = new HTTPConnection(host, port, shared);
  else if (options.pins.length === 0) {
    conn = tunnelled(
      new HTTPSConnection(host, port, { ...shared, context: contextOf(options, withIdentity) }),
    );
  } else {
    conn = new HTTPConnection(url.hostname, portOf(url), {
      trace,
      httpVersion: shared.httpVersion,
      transport: async () => {
        const carrier = tunnelled(new HTTPConnection(host, port, shared));
        await carrier.connect();
        if (proxy === null) {
          const transport = carrier.sock!;
          carrier.sock = null; // It belongs to the TLS connection from here on.
          return await pinned(transport, url, options, withIdentity, trace, signal);
        }
        const { transport } = carrier.detach();
        return await pinned(transport, url, options, withIdentity, trace, signal);
      },
    });
  }
  // Over a transport of its own it does not know that this is HTTPS.
  if (secure) conn.default_port = 443;
  if (wire.hasListeners) {
    const connect = conn.connect.bind(conn);
    conn.connect = async () => {
      await connect();
      conn.sock = wire.tap(conn.sock!);
    };
  }
  return { conn, viaProxy: proxy !== null && !secure, proxyFields };
}

function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}

function contextOf({ tls }: Options, withIdentity: boolean): HTTPSConnectionOptions["context"] {
  return {
    ...(tls.ca === null ? {} : { caCerts: [tls.ca], load_default_certs: false }),
    ...(tls.cert === null || tls.key === null || !withIdentity
      ? {}
      : { cert: tls.cert, key: tls.key }),
  };
}

/**
 * Does TLS over a transport, and refuses a server with another public key than those of `--pin`. Deno's own
 * TLS does not show the server's certificate, so this is done by `node:tls`. The key is compared before
 * the first byte of the request is sent.
 */
async function pinned(
  carrier: Transport,
  url: URL,
  { tls: files, pins }: Options,
  withIdentity: boolean,
  trace: (event: TraceEvent) => void,
  signal: AbortSignal | null,
): Promise<Transport> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  trace({ type: "tlsStart", serverName: host, time: performance.now() });
  const socket = tls.connect({
    socket: duplexOver(carrier),
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ["http/1.1"],
    ...(files.ca === null ? {} : { ca: [files.ca] }),
    ...(files.cert === null || files.key === null || !withIdentity
      ? {}
      : { cert: files.cert, key: files.key }),
  });
  const abort = () => socket.destroy();
  signal?.addEventListener("abort", abort);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection was closed")));
    });
    const { raw } = socket.getPeerCertificate(true);
    const key = new X509Certificate(raw).publicKey.export({ type: "spki", format: "der" });
    const digest = createHash("sha256").update(key).digest("base64");
    if (!pins.includes(digest)) {
      throw new CommandError(90, `Cannot trust ${url.host}: its public key is sha256//${digest}`);
    }
    trace({ type: "secured", alpnProtocol: socket.alpnProtocol || null, time: performance.now() });
    return new SocketTransport(socket);
  } catch (error) {
    socket.destroy();
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      35,
      `Cannot establish TLS with ${url.host}: ${messageOf(error)}`,
      error,
    );
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** A transport as a Node stream. */
function duplexOver(transport: Transport): Duplex {
  return new Duplex({
    async read() {
      try {
        const buffer = new Uint8Array(65536);
        const count = await transport.read(buffer);
        this.push(count === null ? null : buffer.subarray(0, count));
      } catch (error) {
        this.destroy(error as Error);
      }
    },
    async write(chunk: Uint8Array, _encoding, callback) {
      try {
        for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await transport.write(rest));
        callback();
      } catch (error) {
        callback(error as Error);
      }
    },
    destroy(error, callback) {
      try {
        transport.close();
      } catch {
        // It is closed already.
      }
      callback(error);
    },
  });
}

/** A Node socket as a transport. It is read no further than what its own buffer holds. */
class SocketTransport implements Transport {
  readonly #socket: tls.TLSSocket;
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(socket: tls.TLSSocket) {
    this.#socket = socket;
    // A socket without a listener for errors would end the process.
    socket.on("error", () => {});
    this.#pieces = socket[Symbol.asyncIterator]();
  }

  async read(p: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done) return null;
      this.#rest = value;
    }
    const count = Math.min(p.length, this.#rest.length);
    p.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    return count;
  }

  write(p: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      // The caller may change its bytes once this resolves: by then they are encrypted.
      this.#socket.write(p, (error) => error ? reject(error) : resolve(p.length));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
