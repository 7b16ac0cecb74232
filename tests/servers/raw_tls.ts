/**
 * The scripted server of `raw.ts` over TLS.
 *
 * @module
 */

import { type KeyPair, LOCALHOST } from "../tls/mod.ts";
import { acceptAll, type RawServer, rawServer, type Script, Scripts } from "./raw.ts";

/** Options of {@linkcode startRawTls}. */
export interface RawTlsOptions {
  /** The address to listen on. @default {"127.0.0.1"} */
  readonly hostname?: string;
  /** The certificate and its key. @default {LOCALHOST} */
  readonly pair?: KeyPair;
  /** The ALPN protocols to offer. */
  readonly alpnProtocols?: string[];
}

/** Starts a scripted TLS server on a free port. */
// deno-lint-ignore require-await -- the same face as `startRaw`
export async function startRawTls(script: Script, options: RawTlsOptions = {}): Promise<RawServer> {
  const { hostname = "127.0.0.1", pair = LOCALHOST, alpnProtocols } = options;
  const scripts = new Scripts(script);
  const listener = Deno.listenTls({ port: 0, hostname, ...pair, alpnProtocols });
  const accepting = acceptAll(listener, scripts);
  return rawServer(scripts, { hostname, port: listener.addr.port }, async () => {
    listener.close();
    await accepting;
  });
}
