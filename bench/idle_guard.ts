/**
 * The idle guard: how often an answer that nobody asked for, and that came while the program was busy, is
 * taken for the next one (never), and what it costs to look.
 *
 * `deno run -A bench/idle_guard.ts [tries]`; where JSR does not answer, by `tests/std_offline/run.ts run`.
 *
 * @module
 */
import { HTTPConnection, HTTPSConnection } from "../mod.ts";
import { CA } from "../tests/tls/mod.ts";

/** How long the program is busy, and when the server speaks unasked, in milliseconds. */
const BUSY_MS = 30;
const UNASKED_MS = 8;
const EVIL = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
const GOOD = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";

/** A server in a thread of its own: `/evil` is answered twice, the second time unasked. */
const SERVER = `
  const text = new TextEncoder();
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  async function serve(listener) {
    for await (const conn of listener) {
      conn.setNoDelay?.(true);
      (async () => {
        const p = new Uint8Array(4096);
        for (let n; (n = await conn.read(p)) !== null;) {
          const request = new TextDecoder().decode(p.subarray(0, n));
          await conn.write(text.encode(${JSON.stringify(GOOD)}));
          if (!request.includes(" /evil ")) continue;
          await pause(${UNASKED_MS});
          await conn.write(text.encode(${JSON.stringify(EVIL)}));
        }
      })().catch(() => {});
    }
  }
  self.onmessage = ({ data: { cert, key } }) => {
    const plain = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const tls = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
    serve(plain);
    serve(tls);
    self.postMessage({ plain: plain.addr.port, tls: tls.addr.port });
  };
`;

interface Ports {
  plain: number;
  tls: number;
}

async function startServer(): Promise<{ ports: Ports; stop: () => void }> {
  const file = (name: string) =>
    Deno.readTextFileSync(new URL(`../tests/tls/${name}`, import.meta.url));
  const url = URL.createObjectURL(new Blob([SERVER], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  const ports = await new Promise<Ports>((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage({ cert: file("localhost.pem"), key: file("localhost.key") });
  });
  return { ports, stop: () => worker.terminate() };
}

/** The ways to a server. */
const WAYS: Record<string, (ports: Ports) => HTTPConnection> = {
  "TCP": ({ plain }) => new HTTPConnection("127.0.0.1", plain),
  "transport": ({ plain }) =>
    new HTTPConnection("127.0.0.1", plain, {
      transport: () => Deno.connect({ hostname: "127.0.0.1", port: plain }),
    }),
  "node sockets": ({ plain }) =>
    new HTTPConnection("127.0.0.1", plain, { source_address: ["127.0.0.1", 0] }),
  "TLS": ({ tls }) => new HTTPSConnection("localhost", tls, { context: { caCerts: [CA] } }),
};

async function get(conn: HTTPConnection, target: string): Promise<string> {
  await conn.request("GET", target);
  return await (await conn.getresponse()).text();
}

function beBusy(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1];
}

/** The local port of a socket. */
function portOf(conn: HTTPConnection): number {
  const sock = conn.sock as { localAddr?: Deno.NetAddr; socket?: { localPort?: number } };
  return sock.localAddr?.port ?? sock.socket?.localPort ?? 0;
}

/** How many bytes the system holds for a local port that the process has not read; Linux tells. */
function waiting(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  for (const line of Deno.readTextFileSync("/proc/net/tcp").split("\n")) {
    const [, local, , , queues] = line.trim().split(/\s+/);
    if (local?.endsWith(`:${hex}`)) return parseInt(queues.split(":")[1], 16);
  }
  return 0;
}

/**
 * How many unasked answers were taken for the next one, of those that were in the socket when the next
 * request was made; others say nothing of the guard.
 */
async function countPoisoned(
  make: () => HTTPConnection,
  tries: number,
): Promise<{ poisoned: number; arrived: number }> {
  let poisoned = 0;
  let arrived = 0;
  for (let i = 0; i < tries; i++) {
    using conn = make();
    await get(conn, "/evil");
    const port = portOf(conn);
    beBusy(BUSY_MS);
    for (let more = 0; more < 20 && waiting(port) === 0; more++) beBusy(5);
    const isThere = waiting(port) > 0;
    const got = await get(conn, "/next");
    if (!isThere) continue;
    arrived++;
    if (got !== "good") poisoned++;
  }
  return { poisoned, arrived };
}

/** The median of a request in milliseconds, after a rest or right behind the one before. */
async function timeRequests(conn: HTTPConnection, restMs: number, count: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
    const start = performance.now();
    await get(conn, "/");
    times.push(performance.now() - start);
  }
  return median(times);
}

if (import.meta.main) {
  const tries = Number(Deno.args[0] ?? 2000);
  const { ports, stop } = await startServer();
  for (const [name, connect] of Object.entries(WAYS)) {
    const { poisoned, arrived } = await countPoisoned(() => connect(ports), tries);
    using conn = connect(ports);
    await timeRequests(conn, 0, 200);
    const atOnce = await timeRequests(conn, 0, 1000);
    const rested = await timeRequests(conn, 20, 100);
    console.log(
      `${name}: ${poisoned} of ${arrived} poisoned; a request ${atOnce.toFixed(3)} ms, ` +
        `after a rest of 20 ms ${rested.toFixed(3)} ms`,
    );
  }
  stop();
}
