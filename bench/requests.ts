/**
 * The workloads of small requests: (a), (b), (c), (i), (j), (k) and (o) to (s).
 *
 * @module
 */
import { MOST_PARALLEL, type Task } from "./clients/jobs.ts";
import type { Place } from "./cores.ts";
import type { Client } from "./figures.ts";
import { type Extent, type Line, roundsOf, SMALL, task, type Workload } from "./workload.ts";

const ALL: Client[] = ["ours", "raw", "fetch", "node", "undici", "undiciNode", "python"];

/** A line in which all clients do the same; `paid` is what the raw loop is told that keeps our promises. */
function same(
  way: string,
  job: Task["job"],
  more: Partial<Task>,
  { clients = ALL, paid }: { clients?: Client[]; paid?: string } = {},
): Line {
  const each = task(job, more);
  const tasks: Line["tasks"] = Object.fromEntries(clients.map((client) => [client, each]));
  if (paid !== undefined) tasks.paid = { ...each, way: paid };
  return { way, tasks };
}

/** Our calls that give a small body as something else than bytes. */
function texts(count: number): Line[] {
  const path = `/json/${SMALL}`;
  return ["text()", "json()"].map((way) =>
    same(way, "get", { count, path, way }, { clients: ["ours", "fetch", "paid"] })
  );
}

/** Ours with something, beside ours without it. */
function beside(name: string, way: string, more: Partial<Task>): Line {
  return { way: name, tasks: { ours: task("get", { ...more, way }) }, without: task("get", more) };
}

function options(count: number): Line[] {
  return ["timeout", "deadlines", "trace", "signal"]
    .map((way) => beside(`with ${way}`, way, { count }));
}

/** Ours over what the user gives, beside ours over what it opens itself. */
function transports(count: number): Line[] {
  return [
    beside("transport, a Deno.Conn", "transport", { count }),
    beside("sock =, a Deno.Conn", "sock", { count }),
    beside("TLS over a transport", "transport", { count: Math.ceil(count / 2), tls: true }),
  ];
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
  const of = (
    id: string,
    title: string,
    rounds: number,
    lines: Line[],
    place: Place = "apart",
  ): Workload => {
    return { id, title, bytes: null, rounds: roundsOf(extent, rounds), place, lines };
  };
  const times = (most: number) => extent.short ? Math.ceil(most / 4) : most;
  // Enough of them that the caches, which another client has filled meanwhile, do not count.
  const count = times(1000);
  const everybody: Client[] = ["ours", "raw", "fetch", "node", "undici", "undiciNode"];
  const many = { count: times(4), parallel: MOST_PARALLEL };
  const paid = { paid: "read()" };
  const small = "GET 1 KiB, kept connection";
  return [
    of("a", small, 25, [same("", "get", { count }, paid)]),
    of("a", small, 25, [same("same core", "get", { count }, paid)], "together"),
    of("a", small, 15, texts(count)),
    // With fresh processes, so that (a) itself finds this library no warmer than the others.
    of("a", "the same with options of this library", 21, options(count)),
    of("b", "the same over HTTPS", 15, [
      same("", "get", { count: times(700), tls: true }, paid),
    ]),
    of("c", "GET 1 KiB, a connection each", 15, connections(times(60), times(16))),
    of("i", "POST, kept connection", 15, [
      same("1 KiB", "post", { count }, { paid: "paid" }),
      same("JSON", "post", { count, way: "JSON" }, {
        clients: ["ours", "raw", "fetch"],
        paid: "paid JSON",
      }),
    ]),
    of("j", "100 connections at once, 1 KiB", 21, [same("", "parallel", { count: times(16) })]),
    of("j", "1,000 connections at once, 1 KiB", 7, [
      same("1,000", "parallel", many, { clients: everybody }),
    ]),
    of("k", "a head of 60 fields", 15, [same("", "get", { count, path: "/fields/60" })]),
    of("o", "a request with 10 fields", 15, [
      same("", "get", { count, way: "10 fields" }, {
        clients: ["ours", "raw", "fetch"],
        paid: "read() 10 fields",
      }),
    ]),
    of("p", "over one's own", 15, transports(count)),
    of("r", "GET 1 KiB after a rest of 50 ms", 9, [
      same("", "rest", { count: times(20) }, { clients: ["ours", "raw", "fetch"], ...paid }),
    ]),
  ];
}
