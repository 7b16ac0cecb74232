/**
 * Workload (n): how the time grows with the size, in memory. The bytes come one by one where that is
 * said, so that what looks twice at a byte shows. Run as a program it prints its figures as JSON.
 *
 * @module
 */
import { HTTPResponse, type Transport } from "@denoports/http-client";
import { runArgs } from "./contestants.ts";
import type { Growth } from "./figures.ts";
import { spread } from "./statistics.ts";

const KIB = 1024;
const encoder = new TextEncoder();
/** A point is measured until it has taken this long, in milliseconds. */
const ENOUGH = 150;

/** A server's bytes in memory, that come `segment` at a time. */
function inMemory(bytes: Uint8Array, segment: number): Transport {
  let at = 0;
  return {
    read(p) {
      const piece = bytes.subarray(at, at + Math.min(segment, p.length));
      at += piece.length;
      p.set(piece);
      return Promise.resolve(piece.length || null);
    },
    write: (p) => Promise.resolve(p.length),
    close() {},
  };
}

async function begun(bytes: Uint8Array, segment: number): Promise<HTTPResponse> {
  const response = new HTTPResponse(inMemory(bytes, segment), { method: "GET" });
  await response.begin();
  return response;
}

function fields(count: number): string {
  return Array.from({ length: count }, (_, i) => `X-Field-${i}: the value of it\r\n`).join("");
}

/** A case: what is measured at each size, and from which bytes. */
interface Case {
  name: string;
  unit: string;
  sizes: number[];
  bytes: (size: number) => string;
  run: (bytes: Uint8Array) => Promise<unknown>;
}

const STATUS = "HTTP/1.1 200 OK\r\n";
const LENGTH = "Content-Length: 0\r\n\r\n";

const CASES: Case[] = [
  {
    name: "head of many fields, byte by byte",
    unit: "field",
    sizes: [12, 25, 50, 99],
    bytes: (size) => STATUS + fields(size) + LENGTH,
    run: (bytes) => begun(bytes, 1),
  },
  {
    name: "head with a long line, byte by byte",
    unit: "byte",
    sizes: [KIB, 4 * KIB, 16 * KIB, 63 * KIB],
    bytes: (size) => `${STATUS}X-Long: ${"x".repeat(size)}\r\n${LENGTH}`,
    run: (bytes) => begun(bytes, 1),
  },
  {
    name: "readline of a long line, byte by byte",
    unit: "byte",
    sizes: [KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB],
    bytes: (size) => `${STATUS}Content-Length: ${size}\r\n\r\n${"x".repeat(size - 1)}\n`,
    run: async (bytes) => await (await begun(bytes, 1)).readline(),
  },
  {
    name: "chunks of 1 byte, byte by byte",
    unit: "chunk",
    sizes: [KIB, 4 * KIB, 16 * KIB, 64 * KIB],
    bytes: chunked,
    run: async (bytes) => await (await begun(bytes, 1)).read(),
  },
  {
    name: "chunks of 1 byte, 64 KiB at a time",
    unit: "chunk",
    sizes: [KIB, 16 * KIB, 256 * KIB, 1024 * KIB],
    bytes: chunked,
    run: async (bytes) => await (await begun(bytes, 64 * KIB)).read(),
  },
];

function chunked(count: number): string {
  return `${STATUS}Transfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(count)}0\r\n\r\n`;
}

/** The median time of a run, in milliseconds. */
async function timeOf(run: () => Promise<unknown>, enough: number): Promise<number> {
  const least = enough < ENOUGH ? 1 : 3;
  const times: number[] = [];
  for (let total = 0; total < enough || times.length < least;) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
    total += times.at(-1)!;
  }
  return spread(times).median;
}

async function main(enough: number): Promise<void> {
  const all: Growth[] = [];
  for (const { name, unit, sizes, bytes, run } of CASES) {
    const points = [];
    for (const size of [sizes[0], ...sizes]) {
      const data = encoder.encode(bytes(size));
      points.push({ size, ms: await timeOf(() => run(data), enough) });
    }
    // The first point was to warm up.
    all.push({ name, unit, points: points.slice(1) });
  }
  console.log(JSON.stringify(all));
}

/** Measures in a fresh process. */
export async function measureGrowth(short: boolean): Promise<Growth[]> {
  const args = [...await runArgs(), import.meta.url, String(short ? ENOUGH / 10 : ENOUGH)];
  const command = new Deno.Command(Deno.execPath(), { args, stderr: "inherit" });
  const { success, stdout } = await command.output();
  if (!success) throw new Error("growth.ts failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** How much more each byte, field or chunk costs at the greatest size than at the smallest. */
export function factor({ points }: Growth): number {
  const each = points.map(({ size, ms }) => ms / size);
  return each.at(-1)! / each[0];
}

if (import.meta.main) await main(Number(Deno.args[0]));
