/**
 * nginx, started with a configuration made for the test.
 *
 * @module
 */

import { CA, type KeyPair, LOCALHOST } from "../tls/mod.ts";
import { programs } from "./available.ts";
import { accepts, Child, freePorts, retrying, TempDir, until } from "./child.ts";

/** Options of {@linkcode startNginx}. */
export interface NginxOptions {
  /** The files of the document root: path to content. */
  readonly files?: Record<string, string | Uint8Array>;
  /** Directives of the `server` block, for example `location` blocks. */
  readonly server?: string;
  /** Directives of the `http` block. */
  readonly http?: string;
  /** Whether there is a TLS listener too (`tlsPort`), or the certificate it shows. @default {false} */
  readonly tls?: boolean | KeyPair;
  /** The TLS versions it speaks. @default {"TLSv1.2 TLSv1.3"} */
  readonly protocols?: string;
  /** More parameters of the TLS `listen` directive, such as `http2`. */
  readonly tlsListen?: string;
  /** Whether the TLS listener demands a client certificate that the test CA signed. @default {false} */
  readonly mtls?: boolean;
  /** Whether to listen on `[::1]` too, at the same port. @default {false} */
  readonly ipv6?: boolean;
}

/** A running nginx. */
export interface NginxServer extends AsyncDisposable {
  /** The plain listener's port on `127.0.0.1`. */
  readonly port: number;
  /** The TLS listener's port on `127.0.0.1`; 0 without TLS. */
  readonly tlsPort: number;
  /** The unix socket it listens on, too. */
  readonly socketPath: string;
  /** The document root's path. */
  readonly root: string;
  /** What it wrote to its error log. */
  errors(): string;
  /** One line for each request it has answered so far: connection number, request line, status. */
  access(): Promise<string[]>;
  /** How many client connections are open, the one that asks not counted. */
  connections(): Promise<number>;
}

function config(dir: TempDir, port: number, tlsPort: number, options: NginxOptions): string {
  const { tls = false, mtls = false, ipv6 = false } = options;
  const at = dir.path;
  const listen = [`127.0.0.1:${port}`, `unix:${at}/socket`];
  if (ipv6) listen.push(`[::1]:${port}`);
  if (tls) listen.push(`127.0.0.1:${tlsPort} ssl ${options.tlsListen ?? ""}`);
  const ssl = !tls ? "" : `
    ssl_certificate ${at}/server.pem;
    ssl_certificate_key ${at}/server.key;
    ssl_protocols ${options.protocols ?? "TLSv1.2 TLSv1.3"};`;
  const verify = !mtls ? "" : `
    ssl_client_certificate ${at}/ca.pem;
    ssl_verify_client on;`;
  return `
daemon off;
master_process off;
worker_processes 1;
pid ${at}/nginx.pid;
error_log ${at}/error.log info;
events { worker_connections 128; }
http {
  client_body_temp_path ${at}/body;
  proxy_temp_path ${at}/proxy;
  fastcgi_temp_path ${at}/fastcgi;
  uwsgi_temp_path ${at}/uwsgi;
  scgi_temp_path ${at}/scgi;
  log_format brief '$connection $connection_requests "$request" $status';
  access_log ${at}/access.log brief;
  default_type application/octet-stream;
  types { text/plain txt; text/html html; application/json json; }
  lingering_timeout 1s;
${options.http ?? ""}
  server {
${listen.map((address) => `    listen ${address};`).join("\n")}
    server_name localhost;
    root ${at}/root;
    location = /__status { stub_status; access_log off; }
    location = /__mark { return 204; }
${ssl}${verify}
${options.server ?? ""}
  }
}
`;
}

/** Asks for `path` without the library under test; gives the whole answer. */
async function ask(port: number, path: string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode(`GET ${path} HTTP/1.0\r\n\r\n`));
  let text = "";
  for await (const piece of conn.readable) text += new TextDecoder().decode(piece);
  return text;
}

async function start(options: NginxOptions): Promise<NginxServer> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir("nginx"));
  const [port, tlsPort] = freePorts(2);
  const root = dir.folder("root");
  for (const [path, content] of Object.entries(options.files ?? {})) {
    dir.write(`root/${path}`, content);
  }
  if (options.tls) {
    const pair = options.tls === true ? LOCALHOST : options.tls;
    dir.write("server.pem", pair.cert);
    dir.write("server.key", pair.key);
    dir.write("ca.pem", CA);
  }
  dir.write("access.log", "");
  dir.write("error.log", "");
  const file = dir.write("nginx.conf", config(dir, port, tlsPort, options));
  const child = stack.use(
    new Child(programs.nginx!, {
      args: ["-e", `${dir.path}/error.log`, "-p", dir.path, "-c", file],
    }),
  );
  const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
  try {
    // The pid file comes after all listeners: whoever answers is this nginx, not another owner of the port.
    await child.ready(async () =>
      await exists(`${dir.path}/nginx.pid`) && await accepts({ hostname: "127.0.0.1", port })
    );
  } catch (error) {
    const log = Deno.readTextFileSync(`${dir.path}/error.log`);
    throw new Error(`${(error as Error).message}\n${log}`, { cause: error });
  }
  const owned = stack.move();
  let marks = 0;
  const read = (name: string) => Deno.readTextFileSync(`${dir.path}/${name}`);
  return {
    port,
    tlsPort: options.tls ? tlsPort : 0,
    socketPath: `${dir.path}/socket`,
    root,
    errors: () => read("error.log"),
    async access() {
      // A line is written after its answer: when this request is in the log, so are those before it.
      const mark = `/__mark?${++marks}`;
      await ask(port, mark);
      const lines = () => read("access.log").split("\n").filter((line) => line !== "");
      await until("nginx's log", () => lines().some((line) => line.includes(`${mark} `)));
      return lines().filter((line) => !line.includes("/__mark?"));
    },
    async connections() {
      return Number(/Active connections: (\d+)/.exec(await ask(port, "/__status"))?.[1]) - 1;
    },
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

/** Starts nginx on free ports of `127.0.0.1` and on a unix socket. */
export function startNginx(options: NginxOptions = {}): Promise<NginxServer> {
  return retrying(() => start(options));
}
