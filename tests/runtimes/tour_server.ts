/**
 * The server of `tour.ts`.
 *
 * @module
 */
import zlib from "node:zlib";
import { concat, latin1, type Peer, type RawServer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT } from "../tls/mod.ts";

const OK = "HTTP/1.1 200 OK\r\n";

function answer(body: string, fields = ""): string {
  return `${OK}Content-Length: ${body.length}\r\n${fields}\r\n${body}`;
}

const HELLO = "hello".repeat(1000);

async function sendCoded(peer: Peer, coding: string, body: Uint8Array): Promise<void> {
  await peer.send(
    `${OK}Content-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`,
    body,
  );
}

/** How each target is answered; `false` where the connection is over. */
const TARGETS: Record<string, (peer: Peer, isHead: boolean) => Promise<boolean | void>> = {
  async "/length"(peer, isHead) {
    const whole = answer("hello", `X-Request: ${peer.heads.length}\r\n`);
    await peer.send(isHead ? whole.slice(0, -"hello".length) : whole);
  },
  async "/chunked"(peer) {
    await peer.send(
      `${OK}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n`,
      "4\r\none,\r\n4\r\ntwo,\r\n5\r\nthree\r\n0\r\nX-Sum: 13\r\n\r\n",
    );
  },
  async "/large"(peer) {
    await peer.send(`${OK}Content-Length: 1000000\r\n\r\n`, new Uint8Array(1_000_000));
  },
  async "/gzip"(peer) {
    await sendCoded(peer, "gzip", zlib.gzipSync(HELLO));
  },
  async "/br"(peer) {
    await sendCoded(peer, "br", zlib.brotliCompressSync(HELLO));
  },
  async "/zstd"(peer) {
    await sendCoded(peer, "zstd", zlib.zstdCompressSync(HELLO));
  },
  async "/remote"(peer) {
    await peer.send(answer(peer.remote!.hostname));
  },
  async "/silent"(peer) {
    await peer.eof();
    return false;
  },
  async "/cut"(peer) {
    await peer.send(`${OK}Content-Length: 10\r\n\r\nhello`);
    return false;
  },
  "/gone": () => Promise.resolve(false),
  async "/nonsense"(peer) {
    await peer.send("SSH-2.0-OpenSSH_9.9\r\n");
    return false;
  },
  async "/closes"(peer) {
    await peer.send(answer("last"));
    return false;
  },
  async "/upgrade"(peer) {
    await peer.send(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
    );
    await peer.send(await peer.eof());
    return false;
  },
};

async function serveAll(peer: Peer): Promise<void> {
  while (await serve(peer));
  peer.close();
}

/** Starts it on a free port. */
export function startTourServer(): Promise<RawServer> {
  return startRaw(serveAll);
}

/** Where the servers are, and what they are to be trusted by. It is told to other runtimes as JSON. */
export interface Servers {
  plain: { hostname: string; port: number };
  tls: { port: number };
  unix: { path: string };
  ca: string;
  client: { cert: string; key: string };
}

/** Starts it in the clear, over TLS and on a unix socket. */
export async function startServers(): Promise<Servers & AsyncDisposable> {
  await using started = new AsyncDisposableStack();
  const plain = started.use(await startTourServer());
  const tls = started.use(await startRawTls(serveAll));
  const unix = started.use(await startRaw(serveAll, { unix: true }));
  const running = started.move();
  return {
    plain: { hostname: plain.hostname, port: plain.port },
    tls: { port: tls.port },
    unix: { path: unix.path },
    ca: CA,
    client: CLIENT,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Answers one request; whether another one may follow. */
async function serve(peer: Peer): Promise<boolean> {
  const head = await peer.readHead().catch(() => null);
  if (head === null) return false;
  const [, method, target] = /^(\S+) (\S+)/.exec(head)!;
  if (target !== "/echo" && target !== "/continue") {
    return await TARGETS[target](peer, method === "HEAD") !== false;
  }
  if (target === "/continue") await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  const body = length === undefined
    ? concat(await peer.readChunks())
    : await peer.readBytes(Number(length));
  await peer.send(answer(latin1(body)));
  return true;
}
