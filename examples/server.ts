/**
 * The servers that the demo talks to, all on loopback: one site over HTTP and over HTTPS, and a proxy
 * that opens CONNECT tunnels to that site.
 *
 * @module
 */
import { CA, LOCALHOST } from "../tests/tls/mod.ts";

const HOST = "127.0.0.1";

/** The page at `/`. */
export const FRONT_PAGE = `<!doctype html>
<!--[if you can read this, it came over the wire]-->
<html lang="en">
  <head>
    <title>Welcome to the embedded server</title>
  </head>
  <body>
    <h1>Welcome</h1>
    <p>This page plays the part of the page that the reference reads from www.python.org.</p>
    <p>It is longer than 200 bytes, so that reading it in pieces of 200 bytes takes a few.</p>
    <p>It has nothing to say beyond that.</p>
  </body>
</html>
`;

/** Where the servers listen. */
export interface Site extends AsyncDisposable {
  /** The address of all of them. */
  readonly host: string;
  /** The port of the site over HTTP. */
  readonly http: number;
  /** The port of the site over HTTPS. */
  readonly https: number;
  /** The port of the proxy. */
  readonly proxy: number;
  /** The authority that signed the certificate of the site, in PEM. */
  readonly ca: string;
}

/** Starts the servers; disposing of the result stops them. */
export function startSite(): Site {
  const files = new Map<string, string>();
  const handler = (request: Request) => answer(request, files);
  const options = { hostname: HOST, port: 0, onListen() {} };
  const http = Deno.serve(options, handler);
  const https = Deno.serve({ ...options, ...LOCALHOST }, handler);
  const proxy = startProxy(https.addr.port);
  return {
    host: HOST,
    http: http.addr.port,
    https: https.addr.port,
    proxy: proxy.port,
    ca: CA,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await Promise.all([http.shutdown(), https.shutdown()]);
    },
  };
}

/** What the site answers. */
async function answer(request: Request, files: Map<string, string>): Promise<Response> {
  const { pathname } = new URL(request.url);
  switch (`${request.method} ${pathname}`) {
    case "GET /":
    case "HEAD /":
      return html(200, FRONT_PAGE);
    case "GET /3/":
      return html(200, "<!doctype html>\n<title>3.13 Documentation</title>\n");
    case "HEAD /index.html":
      return html(200, "<!doctype html>\n<title>Behind the proxy</title>\n");
    case "POST /":
      return redirectToIssue(new URLSearchParams(await request.text()));
    case "POST /upload":
      return await report(request);
    case "PUT /file":
      files.set(pathname, await request.text());
      return html(200, `Saved ${pathname}\n`);
    case "GET /file":
      return html(200, files.get(pathname) ?? "");
    default:
      await request.body?.cancel();
      return html(404, "<!doctype html>\n<title>404 Not Found</title>\n");
  }
}

function html(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(text, { status, headers: { "Content-Type": "text/html", ...headers } });
}

/** What an issue tracker says to a form that asks for an issue. */
function redirectToIssue(form: URLSearchParams): Response {
  const url = `https://bugs.python.org/${form.get("@type")}${form.get("@number")}`;
  return html(302, `Redirecting to <a href="${url}">${url}</a>`, { Location: url });
}

/** Says what arrived, and how. */
async function report(request: Request): Promise<Response> {
  const framing = request.headers.get("transfer-encoding") ??
    `length ${request.headers.get("content-length")}`;
  return new Response(`${framing}: ${await request.text()}`);
}

/** Starts a proxy that opens tunnels to one port of this machine, and nowhere else. */
function startProxy(allowed: number): AsyncDisposable & { port: number } {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  const open = new Set<Deno.Conn>();
  const running = (async () => {
    const tunnels: Promise<void>[] = [];
    for await (const client of listener) {
      open.add(client);
      tunnels.push(tunnel(client, allowed, open).catch(() => {}));
    }
    await Promise.all(tunnels);
  })();
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) close(conn);
      await running;
    },
  };
}

/** Serves one client of the proxy, from its CONNECT to the end of the tunnel. */
async function tunnel(client: Deno.Conn, allowed: number, open: Set<Deno.Conn>): Promise<void> {
  const send = (text: string) => client.write(new TextEncoder().encode(text));
  try {
    const head = await readHead(client);
    const port = Number(/^CONNECT [^ ]*:([0-9]+) HTTP\/1\.1\r\n/.exec(head)?.[1]);
    if (port !== allowed) {
      await send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    const server = await Deno.connect({ hostname: HOST, port });
    open.add(server);
    await send("HTTP/1.1 200 Connection established\r\nVia: 1.1 embedded-proxy\r\n\r\n");
    await Promise.all([
      client.readable.pipeTo(server.writable),
      server.readable.pipeTo(client.writable),
    ]);
  } finally {
    close(client);
  }
}

/** Reads up to an empty line. */
async function readHead(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(4096);
  let head = "";
  while (!head.endsWith("\r\n\r\n")) {
    const count = await conn.read(buffer);
    if (count === null) break;
    head += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return head;
}

/** Closes what its stream may have closed already. */
function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
