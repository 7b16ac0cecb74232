/**
 * haproxy, which can send `103 Early Hints`.
 *
 * @module
 */

import { LOCALHOST } from "../tls/mod.ts";
import { programs } from "./available.ts";
import { accepts, Child, freePorts, retrying, TempDir } from "./child.ts";

/** Options of {@linkcode startHaproxy}. */
export interface HaproxyOptions {
  /** Lines of the frontend, such as `http-request return status 200`. */
  readonly frontend?: string;
  /** The port on `127.0.0.1` that requests are passed on to. */
  readonly upstream?: number;
}

/** A running haproxy. */
export interface HaproxyServer extends AsyncDisposable {
  /** The plain port on `127.0.0.1`. */
  readonly port: number;
  /** The TLS port on `127.0.0.1`, with the certificate for `localhost`. */
  readonly tlsPort: number;
}

async function start({ frontend = "", upstream }: HaproxyOptions): Promise<HaproxyServer> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir("haproxy"));
  const [port, tlsPort] = freePorts(2);
  dir.write("server.pem", LOCALHOST.cert + LOCALHOST.key);
  const backend = upstream === undefined ? "" : `
  default_backend up
backend up
  server up 127.0.0.1:${upstream}`;
  const file = dir.write(
    "haproxy.cfg",
    `global
  maxconn 100
  hard-stop-after 1s
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:${port}
  bind 127.0.0.1:${tlsPort} ssl crt ${dir.path}/server.pem alpn h2,http/1.1
${frontend}${backend}
`,
  );
  const child = stack.use(new Child(programs.haproxy!, { args: ["-db", "-f", file] }));
  await child.ready(() => accepts({ hostname: "127.0.0.1", port }));
  const owned = stack.move();
  return {
    port,
    tlsPort,
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

/** Starts haproxy on free ports of `127.0.0.1`. */
export function startHaproxy(options: HaproxyOptions = {}): Promise<HaproxyServer> {
  return retrying(() => start(options));
}
