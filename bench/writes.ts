/**
 * Times 100 small requests of each kind, one after the other, and fails where one of them waited for a
 * delayed acknowledgement: the peer's system holds an acknowledgement back for 40 ms or more, and
 * Nagle's algorithm holds the second of two small writes back until it comes.
 *
 * The last lines show what that looks like: a head and a body in two writes on a bare socket, which
 * has Nagle's algorithm on, and a fresh `Deno.connectTls`, which has no way to turn it off.
 *
 * The servers are Node's, which turn it off. Those of `Deno.serve` with TLS do not: they hold back their
 * first answer on each connection behind the session tickets, whatever the client does.
 *
 * @module
 */
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { HTTPConnection, HTTPSConnection } from "@denoports/http-client";
import { CA, LOCALHOST } from "../tests/tls/mod.ts";

const HOST = "127.0.0.1";
const COUNT = 100;
/** Milliseconds from which on a request has waited for an acknowledgement. */
const STALLED = 35;

const POST_HEAD = "POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: 5\r\n\r\n";

interface Ports {
  http: number;
  https: number;
}

/** What one series of requests is made with, and how. */
interface Series {
  name: string;
  /** Makes one request, on a connection of its own or on the one of the request before. */
  run: () => Promise<void>;
  end: () => void;
  /** Whether it must not stall. */
  ours: boolean;
}

const KINDS: Record<string, (conn: HTTPConnection) => Promise<void>> = {
  "GET": (conn) => conn.request("GET", "/"),
  "POST": (conn) => conn.request("POST", "/", "a small body"),
  "POST, chunked": (conn) => conn.request("POST", "/", ["a ", "small ", "body"]),
  "POST, chunks 3 ms apart": (conn) => conn.request("POST", "/", late()),
  "POST, step by step": async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 12);
    await conn.endheaders();
    await conn.send("a small ");
    await conn.send("body");
  },
};

/** Pieces that each come too late to share a write with what is before them. */
async function* late(): AsyncGenerator<string> {
  for (const piece of ["a ", "small ", "body"]) {
    await new Promise((resolve) => setTimeout(resolve, 3));
    yield piece;
  }
}

function series(kind: string, tls: boolean, reused: boolean, ports: Ports): Series {
  const open = () =>
    tls
      ? new HTTPSConnection(HOST, ports.https, { context: { caCerts: [CA] } })
      : new HTTPConnection(HOST, ports.http);
  const conn = open();
  return {
    name: `${tls ? "HTTPS" : "HTTP"}, ${reused ? "reused" : "fresh"}, ${kind}`,
    async run() {
      if (!reused) conn.close();
      await KINDS[kind](conn);
      await (await conn.getresponse()).read();
    },
    end: () => conn.close(),
    ours: true,
  };
}

/** A bare socket, for contrast. */
function bare(
  name: string,
  open: () => Promise<Deno.Conn>,
  reused: boolean,
  writes: string[],
): Series {
  const buffer = new Uint8Array(4096);
  let conn: Deno.Conn | null = null;
  return {
    name: `bare ${name}`,
    async run() {
      if (!reused) conn?.close();
      if (!reused || conn === null) conn = await open();
      for (const text of writes) await conn.write(new TextEncoder().encode(text));
      await conn.read(buffer);
    },
    end: () => conn?.close(),
    ours: false,
  };
}

function contrasts({ http, https }: Ports): Series[] {
  const tcp = () => Deno.connect({ hostname: HOST, port: http });
  const tls = () => Deno.connectTls({ hostname: HOST, port: https, caCerts: [CA] });
  return [
    bare("socket, reused, one write", tcp, true, [POST_HEAD + "hello"]),
    bare("socket, reused, two writes", tcp, true, [POST_HEAD, "hello"]),
    bare("connectTls, fresh, one write", tls, false, [POST_HEAD + "hello"]),
  ];
}

/** The milliseconds that each request took, in order of size. */
async function time({ run }: Series): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < COUNT; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b);
}

/** Times a series and prints its line; says whether it is as it should be. */
async function measure(one: Series): Promise<boolean> {
  const stalls = (times: number[]) => times.filter((ms) => ms >= STALLED).length;
  await one.run();
  let times = await time(one);
  // A busy machine can hold up any request, but not the same ones twice.
  if (one.ours && stalls(times) > 0) times = await time(one);
  one.end();
  const [median, max] = [times[COUNT / 2], times[COUNT - 1]].map((ms) => ms.toFixed(2));
  printLine(one.name, median, max, String(stalls(times)));
  return !one.ours || stalls(times) === 0;
}

function printLine(name: string, ...columns: string[]): void {
  console.log(name.padEnd(40) + columns.map((column) => column.padStart(10)).join(""));
}

const answer: RequestListener = (request, response) => {
  request.on("data", () => {}).on("end", () => response.end("ok"));
};

/** Listens, and gives the port. */
function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, HOST, () => resolve((server.address() as AddressInfo).port));
  });
}

async function main(): Promise<number> {
  const http = createServer(answer);
  const https = createTlsServer(LOCALHOST, answer);
  const ports = { http: await listen(http), https: await listen(https) };
  const all: Series[] = [];
  for (const tls of [false, true]) {
    for (const reused of [false, true]) {
      for (const kind of Object.keys(KINDS)) all.push(series(kind, tls, reused, ports));
    }
  }
  printLine(`${COUNT} requests each`, "median ms", "max ms", "stalled");
  let failures = 0;
  for (const one of [...all, ...contrasts(ports)]) if (!await measure(one)) failures++;
  http.close();
  https.close();
  console.log(
    failures === 0
      ? "\nNone of this library's requests waited for an acknowledgement"
      : `\n${failures} series of this library's had requests that waited for an acknowledgement`,
  );
  return failures === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exitCode = await main();
