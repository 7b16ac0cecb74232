/**
 * The workloads of small requests: (a), (b), (c), (i), (j) and (k).
 *
 * @module
 */
import type { Task } from "./clients/jobs.ts";
import type { Client } from "./figures.ts";
import { type Extent, type Line, roundsOf, SMALL, task, type Workload } from "./workload.ts";

const ALL: Client[] = ["ours", "raw", "fetch", "node", "undici", "undiciNode", "python"];

/** A line in which all clients do the same. */
function same(way: string, job: Task["job"], more: Partial<Task>): Line {
  const each = task(job, more);
  return { way, tasks: Object.fromEntries(ALL.map((client) => [client, each])) };
}

function options(count: number): Line[] {
  const without = task("get", { count });
  return ["timeout", "deadlines", "trace", "signal"].map((way) => ({
    way: `with ${way}`,
    tasks: { ours: task("get", { count, way }) },
    without,
  }));
}

/** A connection for each request; the server closes. */
function connections(plain: number, tls: number): Line[] {
  const path = `/close/${SMALL}`;
  return [
    same("HTTP", "connect", { path, count: plain }),
    same("HTTPS", "connect", { path, count: tls, tls: true }),
  ];
}

/** The workloads. */
export function requests(extent: Extent): Workload[] {
  const of = (id: string, title: string, rounds: number, ...lines: Line[]): Workload => ({
    id,
    title,
    bytes: null,
    rounds: roundsOf(extent, rounds),
    apart: true,
    lines,
  });
  const times = (most: number) => extent.short ? Math.ceil(most / 4) : most;
  // Enough of them that the caches, which another client has filled meanwhile, do not count.
  const count = times(1000);
  return [
    of("a", "GET 1 KiB, kept connection", 25, same("", "get", { count })),
    // With fresh processes, so that (a) itself finds this library no warmer than the others.
    of("a", "the same with options of this library", 21, ...options(count)),
    of("b", "the same over HTTPS", 15, same("", "get", { count: times(700), tls: true })),
    of("c", "GET 1 KiB, a connection each", 15, ...connections(times(60), times(16))),
    of("i", "POST 1 KiB, kept connection", 15, same("", "post", { count })),
    of("j", "100 connections at once, 1 KiB", 21, same("", "parallel", { count: times(16) })),
    of("k", "a head of 60 fields", 15, same("", "get", { count, path: "/fields/60" })),
  ];
}
