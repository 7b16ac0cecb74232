/**
 * The server of the soak, a process of its own: TCP, TLS, a unix socket, and a proxy that tunnels to the first two. The
 * target of a request says what is to be done; each answer has the number of its request.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { relay } from "../helpers/relay.ts";
import { concat, Peer } from "../servers/raw.ts";
import { LOCALHOST } from "../tls/mod.ts";
import { contentOf, Digest, digestOf } from "./content.ts";

/** Where the server listens. */
export interface Ports {
  readonly tcp: number;
  readonly tls: number;
  readonly proxy: number;
}

/** After so many requests a connection is closed without a word: what it has received is kept so long. */
const MOST_REQUESTS = 40;
/** The sizes of chunks. */
const CHUNKS = [1, 7, 100, 4096, 8192, 50_000];

/** A head, and what the client asked for. */
interface Asked {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly fields: string;
}

function parseHead(head: string): Asked {
  const [, target] = head.slice(0, head.indexOf("\r\n")).split(" ");
  const { pathname, searchParams } = new URL(target, "http://soak.test");
  return { path: pathname, query: searchParams, fields: head };
}

/** Reads the body of a request, and makes its digest. */
async function digestBody(peer: Peer, { fields }: Asked): Promise<string> {
  const digest = new Digest();
  if (!/\r\ntransfer-encoding: chunked\r\n/i.test(fields)) {
    let left = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(fields)?.[1] ?? 0);
    while (left > 0) {
      const piece = await peer.readBytes(Math.min(left, 65536));
      digest.add(piece);
      left -= piece.length;
    }
  } else for (const chunk of await peer.readChunks()) digest.add(chunk);
  return digest.end();
}

/** A body in chunks of all sizes, with its digest in a trailer. */
function* chunked(body: Uint8Array, seed: number): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  for (let at = 0, i = seed; at < body.length; i++) {
    // Tiny chunks are many.
    const size = body.length > 100_000 ? CHUNKS[3 + i % 3] : CHUNKS[i % CHUNKS.length];
    const data = body.subarray(at, at + size);
    yield concat([encoder.encode(`${data.length.toString(16)}\r\n`), data, CRLF]);
    at += data.length;
  }
  yield encoder.encode(`0\r\nX-Digest: ${digestOf(body)}\r\n\r\n`);
}

const CRLF = new Uint8Array([13, 10]);

/** Answers with a body. Whether the connection stays. */
async function get(peer: Peer, { query }: Asked): Promise<boolean> {
  const [seed, size] = [Number(query.get("seed")), Number(query.get("size"))];
  const framing = query.get("framing");
  const cut = query.has("cut") ? Number(query.get("cut")) : Infinity;
  const content = contentOf(seed, size);
  const isGzip = query.has("gzip");
  const body = isGzip ? gzipSync(content, { level: 1 }) : content;
  let head = "HTTP/1.1 200 OK\r\n";
  if (query.has("interim")) head = `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${head}`;
  head += `X-Id: ${query.get("id")}\r\n`;
  if (isGzip) head += "Content-Encoding: gzip\r\n";
  if (framing === "length") head += `Content-Length: ${body.length}\r\n`;
  if (framing === "chunked") head += "Transfer-Encoding: chunked\r\n";
  await peer.send(`${head}\r\n`);
  let sent = 0;
  const pieces = framing === "chunked" ? chunked(body, seed) : [body];
  for (const piece of pieces) {
    const part = piece.subarray(0, Math.max(0, cut - sent));
    await peer.send(part);
    sent += part.length;
    if (part.length < piece.length) break;
  }
  if (query.has("stall")) await peer.eof();
  return framing !== "close" && cut === Infinity && !query.has("silent");
}

/** Takes a body, and answers with its digest. Whether the connection stays. */
async function post(peer: Peer, asked: Asked): Promise<boolean> {
  const { query, fields } = asked;
  if (/\r\nexpect: 100-continue\r\n/i.test(fields)) {
    await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  const digest = await digestBody(peer, asked);
  const head = `HTTP/1.1 200 OK\r\nX-Id: ${query.get("id")}\r\n`;
  await peer.send(`${head}Content-Length: ${digest.length}\r\n\r\n${digest}`);
  return true;
}

/** Answers before the body has come, and takes no more of it. */
async function refuse(peer: Peer, { query }: Asked): Promise<boolean> {
  const text = `too much for ${query.get("id")}`;
  const head = `HTTP/1.1 413 Content Too Large\r\nX-Id: ${query.get("id")}\r\n`;
  await peer.send(`${head}Connection: close\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
  // To close with bytes unread would be a reset, which may take the answer with it.
  await peer.closeWrite();
  await peer.eof();
  return false;
}

async function serve(peer: Peer): Promise<void> {
  for (let i = 0; i < MOST_REQUESTS; i++) {
    const asked = parseHead(await peer.readHead());
    const answer = asked.path === "/get" ? get : asked.path === "/post" ? post : refuse;
    if (!(await answer(peer, asked))) return;
  }
}

/** Tunnels to a port of this process, by the port that is asked for. */
async function tunnel(peer: Peer, ports: Ports): Promise<void> {
  const head = await peer.readHead();
  await peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
  await relay(peer, /^CONNECT \S+:443 /.test(head) ? ports.tls : ports.tcp);
}

/** Runs a script for each connection; unlike the servers of the tests, it keeps none. */
async function listen(
  listener: Deno.Listener,
  script: (peer: Peer) => Promise<void>,
): Promise<void> {
  for await (const conn of listener) {
    const peer = new Peer(conn, 0);
    script(peer).catch((error) => {
      // A client may go away at any time; what it has sent wrong shows in its own count.
      if (error instanceof TypeError) console.error(error);
    }).finally(() => peer.close());
  }
}

if (import.meta.main) {
  const hostname = "127.0.0.1";
  const tcp = Deno.listen({ hostname, port: 0 });
  const tls = Deno.listenTls({ hostname, port: 0, ...LOCALHOST });
  const proxy = Deno.listen({ hostname, port: 0 });
  const ports: Ports = {
    tcp: tcp.addr.port,
    tls: (tls.addr as Deno.NetAddr).port,
    proxy: proxy.addr.port,
  };
  console.log(JSON.stringify(ports));
  await Promise.all([
    listen(tcp, serve),
    listen(tls, serve),
    listen(proxy, (peer) => tunnel(peer, ports)),
  ]);
}
