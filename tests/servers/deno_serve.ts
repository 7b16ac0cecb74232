/**
 * `Deno.serve` in this process.
 *
 * @module
 */

import { noteServer } from "./child.ts";

/** Options of {@linkcode startDenoServe}. */
export interface DenoServeOptions {
  /** The address to listen on. @default {"127.0.0.1"} */
  readonly hostname?: string;
  /** The path of a unix socket to listen on instead. */
  readonly path?: string;
  /** The certificate, PEM: makes it an HTTPS server. */
  readonly cert?: string;
  /** The private key, PEM. */
  readonly key?: string;
}

/** A running server. */
export interface DenoServer extends AsyncDisposable {
  /** The address. */
  readonly hostname: string;
  /** The port; 0 for a unix socket. */
  readonly port: number;
}

/** Starts `Deno.serve` on a free port. */
export async function startDenoServe(
  handler: Deno.ServeHandler<Deno.Addr>,
  options: DenoServeOptions = {},
): Promise<DenoServer> {
  const abort = new AbortController();
  const listening = Promise.withResolvers<Deno.Addr>();
  const common = {
    signal: abort.signal,
    onListen: (addr: Deno.Addr) => listening.resolve(addr),
    onError: () => new Response("Internal Server Error", { status: 500 }),
  };
  const { hostname = "127.0.0.1", path, cert, key } = options;
  // deno-lint-ignore no-explicit-any -- the overloads differ in the address type only
  const serve = Deno.serve as any as (options: unknown, handler: unknown) => Deno.HttpServer;
  const server = path !== undefined
    ? serve({ ...common, path }, handler)
    : cert !== undefined
    ? serve({ ...common, port: 0, hostname, cert, key }, handler)
    : serve({ ...common, port: 0, hostname }, handler);
  const addr = await listening.promise;
  const forget = noteServer(() => abort.abort());
  return {
    hostname,
    port: addr.transport === "tcp" ? addr.port : 0,
    async [Symbol.asyncDispose]() {
      forget();
      abort.abort();
      await server.finished;
    },
  };
}
