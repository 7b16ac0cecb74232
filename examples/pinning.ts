/**
 * Pinning: a server needs not only a certificate of a trusted authority, but also a known key. To trust one
 * authority alone takes options only: `caCerts` and `load_default_certs: false`. A pin of the server's own
 * key needs its certificate, which `node:tls` exposes and Deno's sockets do not; the connection then talks
 * over a socket of `node:tls`. Without arguments it checks itself.
 *
 *     deno run -A examples/pinning.ts
 *     deno run -A examples/pinning.ts https://example.com/          # prints the pin of its key
 *     deno run -A examples/pinning.ts https://example.com/ PIN...   # makes a request
 *
 * Always have a second pin, of a backup key: otherwise a lost key locks out every client. Deno's
 * `node:tls` does not tell a connection that was cut off from one that was ended, so do not rely on the
 * completeness of a body that has neither a `Content-Length` nor chunks.
 *
 * @module
 */
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { isIP } from "node:net";
import tls from "node:tls";
import {
  HTTPSConnection,
  type HTTPSConnectionOptions,
  type Transport,
} from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";
import { transportOf } from "./node_transport.ts";

/** The SHA-256 of a certificate's public key, in the form of RFC 7469, Section 2.4. */
function pinOf(certificate: X509Certificate): string {
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}

class PinError extends Error {
  override name = "PinError";
}

interface Pinning {
  /** The keys that are accepted. */
  pins: string[];
  /** Authorities to trust alone, in PEM; without them, those that Deno trusts. */
  caCerts?: string[];
}

/** Connects, verifies the certificate as usual, and its key, before anything is sent. */
async function connectPinned(
  host: string,
  port: number,
  { pins, caCerts }: Pinning,
  signal: AbortSignal,
): Promise<Transport> {
  const socket = tls.connect({
    host,
    port,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(caCerts === undefined ? {} : { ca: caCerts }),
    ALPNProtocols: ["http/1.1"],
  });
  socket.on("error", () => {});
  try {
    await once(socket, "secureConnect", {
      signal: AbortSignal.any([signal, AbortSignal.timeout(15_000)]),
    });
    const pin = pinOf(socket.getPeerX509Certificate()!);
    if (!pins.includes(pin)) throw new PinError(`${host} has a key that is not pinned: ${pin}`);
    socket.setNoDelay(true);
    return transportOf(socket);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** The options that still have a meaning: the connection is made here. */
type PinnedOptions = Omit<
  HTTPSConnectionOptions,
  "address" | "context" | "socketPath" | "source_address" | "transport"
>;

/** A connection to a server whose key is pinned; always a direct one, whatever `set_tunnel()` says. */
class PinnedConnection extends HTTPSConnection {
  readonly #pinning: Pinning;
  #attempt = new AbortController();

  constructor(host: URL, pinning: Pinning, options: PinnedOptions = {}) {
    super(host, options);
    this.#pinning = pinning;
  }

  override async connect(): Promise<void> {
    const { signal } = this.#attempt = new AbortController();
    const transport = await connectPinned(this.host, this.port, this.#pinning, signal);
    if (signal.aborted) transport.close();
    else this.sock = transport; // TLS is in it: no other handshake follows.
  }

  override close(): void {
    this.#attempt.abort();
    super.close();
  }
}

async function selfCheck(): Promise<void> {
  const { CA, LOCALHOST, UNKNOWN_CA, UNKNOWN_ISSUER } = await import("../tests/tls/mod.ts");
  const local = { port: 0, hostname: "127.0.0.1", onListen() {} };
  const handler = (request: Request) => new Response(request.url);
  await using good = Deno.serve({ ...local, ...LOCALHOST }, handler);
  await using other = Deno.serve({ ...local, ...UNKNOWN_ISSUER }, handler);
  const urlOf = (server: typeof good) => new URL(`https://localhost:${server.addr.port}/`);
  const pin = pinOf(new X509Certificate(LOCALHOST.cert));

  // One authority, and no other.
  const context = { caCerts: [CA], load_default_certs: false };
  for (const [server, expected] of [[good, "200"], [other, "InvalidData"]] as const) {
    using conn = new HTTPSConnection(urlOf(server), { context, timeout: 10 });
    const get = async () => {
      await conn.request("GET", "/");
      return String((await conn.getresponse()).status);
    };
    assertEquals(await get().catch((error: Error) => error.name), expected);
  }

  // The server's own key.
  const url = urlOf(good);
  {
    const pins = [pin, "the pin of a backup key"];
    using conn = new PinnedConnection(url, { pins, caCerts: [CA] });
    for (const _request of [1, 2]) { // on one connection
      await conn.request("GET", url);
      assertEquals(await (await conn.getresponse()).text(), url.href);
    }
  }
  // Another key, though its authority is trusted; the right key, though its authority is not.
  using conn = new PinnedConnection(urlOf(other), { pins: [pin], caCerts: [UNKNOWN_CA] });
  const error = await assertRejects(() => conn.request("GET", "/"), PinError);
  console.log(`refused, as it should be: ${error.message}`);
  using untrusted = new PinnedConnection(url, { pins: [pin], caCerts: [UNKNOWN_CA] });
  await assertRejects(() => untrusted.request("GET", "/"));
  console.log(
    "checked: one authority alone, a pinned key, another key, an authority that is not trusted",
  );
}

if (import.meta.main) {
  const [arg, ...pins] = Deno.args;
  if (arg === undefined) await selfCheck();
  else {
    const url = new URL(arg);
    using conn = new PinnedConnection(new URL(url.origin), { pins });
    try {
      await conn.request("GET", url);
      const response = await conn.getresponse();
      console.log(response.status, response.reason);
      await response.pipeTo(Deno.stdout.writable, { preventClose: true });
    } catch (error) {
      if (!(error instanceof PinError)) throw error;
      console.error(error.message);
      Deno.exitCode = 1;
    }
  }
}
