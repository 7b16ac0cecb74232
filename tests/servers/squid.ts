/**
 * squid as a proxy for CONNECT and for requests in absolute form.
 *
 * @module
 */

import { programs, squidBasicAuth } from "./available.ts";
import { accepts, Child, freePorts, retrying, TempDir } from "./child.ts";

/** Options of {@linkcode startSquid}. */
export interface SquidOptions {
  /** Whether clients must log in as user `user` with password `secret`. @default {false} */
  readonly auth?: boolean;
  /** Access rules that come before "allow all", such as `http_access deny CONNECT`. */
  readonly rules?: string;
}

/** A running proxy. */
export interface Proxy extends AsyncDisposable {
  /** The port on `127.0.0.1`. */
  readonly port: number;
  /** One line for each request it has passed on or refused. */
  access(): string[];
}

/** The value of a `Proxy-Authorization` header that squid accepts if `auth` is set. */
export const GOOD_LOGIN: string = `Basic ${btoa("user:secret")}`;

// The password `secret` by `openssl passwd -apr1 -salt saltsalt secret`.
const PASSWORDS = "user:$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0\n";

function config(at: string, port: number, { auth = false, rules = "" }: SquidOptions): string {
  const login = !auth ? "" : `
auth_param basic program ${squidBasicAuth} ${at}/passwords
auth_param basic realm test proxy
auth_param basic children 1 startup=1
acl known proxy_auth REQUIRED
http_access deny !known`;
  return `
http_port 127.0.0.1:${port}
pid_filename ${at}/squid.pid
cache_log ${at}/cache.log
access_log stdio:${at}/access.log
cache_store_log none
netdb_filename none
logfile_rotate 0
coredump_dir ${at}
cache deny all
cache_mem 8 MB
max_filedescriptors 1024
shutdown_lifetime 0 seconds
pinger_enable off
visible_hostname squid.example.test
${login}
${rules}
http_access allow all
`;
}

/** Removes the shared memory of instance `service`, which a killed squid leaves behind. */
async function forget(service: string): Promise<void> {
  try {
    for await (const { name } of Deno.readDir("/dev/shm")) {
      if (name.startsWith(`${service}-`)) await Deno.remove(`/dev/shm/${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function start(options: SquidOptions): Promise<Proxy> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir("squid"));
  const [port] = freePorts(1);
  dir.write("passwords", PASSWORDS);
  // As root, squid becomes another user (`proxy` on Debian) before it opens its files.
  Deno.chmodSync(dir.path, 0o777);
  const file = dir.write("squid.conf", config(dir.path, port, options));
  // A service name of its own: two instances with the same one share memory segments.
  const service = `t${Deno.pid}x${port}`;
  stack.defer(() => forget(service));
  // Asked to end, squid still takes a second or two; it has nothing to save here, and its helper goes with it.
  const child = stack.use(
    new Child(programs.squid!, { args: ["-N", "-n", service, "-f", file], signal: "SIGKILL" }),
  );
  const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
  await child.ready(async () =>
    await exists(`${dir.path}/squid.pid`) && await accepts({ hostname: "127.0.0.1", port })
  );
  const owned = stack.move();
  return {
    port,
    access: () => Deno.readTextFileSync(`${dir.path}/access.log`).split("\n").filter(Boolean),
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

/** Starts squid on a free port of `127.0.0.1`. */
export function startSquid(options: SquidOptions = {}): Promise<Proxy> {
  return retrying(() => start(options));
}
