/**
 * The server of `tour.ts`.
 *
 * @module
 */
import { concat, latin1, type Peer, type RawServer, startRaw } from "../servers/raw.ts";

const OK = "HTTP/1.1 200 OK\r\n";

function answer(body: string, fields = ""): string {
  return `${OK}Content-Length: ${body.length}\r\n${fields}\r\n${body}`;
}

async function gzipped(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
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
    const body = await gzipped("hello".repeat(1000));
    await peer.send(`${OK}Content-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`, body);
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

/** Starts it on a free port. */
export function startTourServer(): Promise<RawServer> {
  return startRaw(async (peer) => {
    while (await serve(peer));
    peer.close();
  });
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
