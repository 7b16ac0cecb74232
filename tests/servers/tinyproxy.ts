/**
 * tinyproxy as a proxy for CONNECT and for requests in absolute form.
 *
 * @module
 */

import { programs } from "./available.ts";
import { accepts, Child, freePorts, retrying, TempDir } from "./child.ts";

/** Options of {@linkcode startTinyproxy}. */
export interface TinyproxyOptions {
  /** More lines of the configuration, such as `BasicAuth user secret` or `ConnectPort 443`. */
  readonly lines?: string;
}

/** A running proxy. */
export interface Tinyproxy extends AsyncDisposable {
  /** The port on `127.0.0.1`. */
  readonly port: number;
  /** Its log. */
  log(): string;
}

async function start(options: TinyproxyOptions): Promise<Tinyproxy> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir("tinyproxy"));
  const [port] = freePorts(1);
  const file = dir.write(
    "tinyproxy.conf",
    `Port ${port}
Listen 127.0.0.1
Timeout 30
MaxClients 20
LogFile "${dir.path}/log"
LogLevel Connect
${options.lines ?? ""}
`,
  );
  const child = stack.use(new Child(programs.tinyproxy!, { args: ["-d", "-c", file] }));
  await child.ready(() => accepts({ hostname: "127.0.0.1", port }));
  const owned = stack.move();
  return {
    port,
    log: () => Deno.readTextFileSync(`${dir.path}/log`),
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

/** Starts tinyproxy on a free port of `127.0.0.1`. */
export function startTinyproxy(options: TinyproxyOptions = {}): Promise<Tinyproxy> {
  return retrying(() => start(options));
}
