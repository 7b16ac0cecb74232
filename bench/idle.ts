/**
 * Workload (m): the memory of 1,000 idle connections. `idle.ts KIND PORT`, in a fresh process with
 * `gc()`, makes an exchange on each of 1,000 connections, closes them, notes the memory in use (RSS),
 * does it again, and prints how much more each idle connection holds, in KiB.
 *
 * @module
 */
import { HTTPConnection } from "@denoports/http-client";
import { runArgs } from "./contestants.ts";
import type { Idle } from "./figures.ts";
import { spread } from "./statistics.ts";

const COUNT = 1000;
const PATH = "/bytes/1024";

/** Opens a connection, makes an exchange, and gives what is left idle. */
const KINDS: Record<string, (port: number) => Promise<Disposable>> = {
  async "this library"(port) {
    const conn = new HTTPConnection("127.0.0.1", port);
    await conn.request("GET", PATH);
    await (await conn.getresponse()).read();
    return conn;
  },
  async "raw Deno.Conn"(port) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode(`GET ${PATH} HTTP/1.1\r\n\r\n`));
    await conn.read(shared);
    return conn;
  },
};

const shared = new Uint8Array(65536);

async function open(kind: string, port: number): Promise<Disposable[]> {
  const all: Disposable[] = [];
  while (all.length < COUNT) all.push(await KINDS[kind](port));
  return all;
}

async function memory(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    (globalThis as { gc?: () => void }).gc?.();
  }
  return Deno.memoryUsage().rss / 1024;
}

async function main(kind: string, port: number): Promise<void> {
  for (const conn of await open(kind, port)) conn[Symbol.dispose]();
  const before = await memory();
  const all = await open(kind, port);
  console.log((await memory() - before) / COUNT);
  for (const conn of all) conn[Symbol.dispose]();
}

/** Runs the program once for each kind in each round. */
export async function measureIdle(port: number, rounds: number): Promise<Idle[]> {
  const figures = new Map(Object.keys(KINDS).map((name) => [name, [] as number[]]));
  const flags = await runArgs("--v8-flags=--expose-gc");
  for (let round = 0; round < rounds; round++) {
    for (const [name, kib] of figures) {
      const args = [...flags, import.meta.url, name, String(port)];
      const command = new Deno.Command(Deno.execPath(), { args, stderr: "inherit" });
      const { success, stdout } = await command.output();
      if (!success) throw new Error(`${name} failed`);
      kib.push(Number(new TextDecoder().decode(stdout)));
    }
  }
  return [...figures].map(([name, kib]) => ({ name, kib: spread(kib) }));
}

if (import.meta.main) await main(Deno.args[0], Number(Deno.args[1]));
