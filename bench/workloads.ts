/**
 * What is measured: workloads (a) to (k), their rows, and what each client does for a row.
 *
 * @module
 */
import type { Task } from "./clients/jobs.ts";
import { PARALLEL } from "./clients/jobs.ts";
import type { Client } from "./figures.ts";

const MIB = 1024 * 1024;
/** The size of a big body. */
export const BIG = 64 * MIB;
const SMALL = 1024;

/** One line of the table: what each client does for it. */
export interface Line {
  way: string;
  tasks: Partial<Record<Client, Task>>;
  /** This library with an option, beside it without. */
  option?: boolean;
}

/** Lines that are measured in one go, with fresh processes. */
export interface Workload {
  id: string;
  title: string;
  /** The size of the body that the costs are for, or `null` where they are for a request. */
  bytes: number | null;
  rounds: number;
  lines: Line[];
}

/** How long the run is to be. */
export interface Extent {
  rounds: number | null;
  short: boolean;
}

const ALL: Client[] = ["ours", "raw", "fetch", "node", "undici", "undiciNode", "python"];

function task(job: Task["job"], more: Partial<Task>): Task {
  return { job, way: "", path: `/bytes/${SMALL}`, count: 1, size: SMALL, tls: false, ...more };
}

/** A line in which all clients do the same. */
function same(way: string, job: Task["job"], more: Partial<Task>, clients = ALL): Line {
  const each = task(job, more);
  return { way, tasks: Object.fromEntries(clients.map((client) => [client, each])) };
}

/** Which clients have a way like ours to read a body, and what it is called there. */
const READ: Record<string, Client[]> = {
  "read()": ["raw", "fetch", "node", "undici", "undiciNode", "python"],
  "read(65536)": ["raw", "python"],
  "readinto": ["raw", "fetch", "python"],
  "for await": ["raw", "fetch", "node", "undici", "undiciNode"],
  "pipeTo null": ["raw", "fetch"],
  "pipeTo file": ["fetch", "node", "undici", "undiciNode", "python"],
};

const SEND: Record<string, Partial<Record<Client, string>>> = {
  "bytes": {
    raw: "bytes",
    fetch: "bytes",
    node: "bytes",
    undici: "bytes",
    undiciNode: "bytes",
    python: "bytes",
  },
  "64 KiB pieces": {
    raw: "64 KiB pieces",
    fetch: "64 KiB pieces",
    node: "64 KiB pieces",
    undici: "64 KiB pieces",
    undiciNode: "64 KiB pieces",
    python: "64 KiB pieces",
  },
  "1 KiB pieces": {
    raw: "64 KiB pieces",
    fetch: "1 KiB pieces",
    node: "1 KiB pieces",
    undici: "1 KiB pieces",
    undiciNode: "1 KiB pieces",
    python: "1 KiB pieces",
  },
  "file": {
    raw: "64 KiB pieces",
    fetch: "file.readable",
    node: "file",
    undici: "file",
    undiciNode: "file",
    python: "file",
  },
  "file.readable": { raw: "64 KiB pieces", fetch: "file.readable" },
};

/** A download, each way; `most` bounds the size where a client is very slow. */
function download(
  path: (size: number) => string,
  size: number,
  most: (client: Client, way: string) => number = () => Infinity,
): Line[] {
  const of = (client: Client, way: string): Task => {
    const bytes = Math.min(size, most(client, way));
    return task("download", { way: client === "raw" ? "" : way, path: path(bytes), size: bytes });
  };
  return Object.entries(READ).map(([way, rivals]) => ({
    way,
    tasks: Object.fromEntries(
      ["ours" as const, ...rivals].map((client) => [client, of(client, way)]),
    ),
  }));
}

function lineDownload(size: number): Line[] {
  const slow = Math.min(size, 8 * MIB);
  const of = (way: string, bytes = size) =>
    task("download", { way, path: `/lines/${bytes}`, size: bytes });
  // The clients of Node drop the line end, and count it for the last line as well: whole lines only.
  const whole = of("readline", slow - slow % 60);
  return [
    {
      way: "readline",
      tasks: {
        ours: of("readline"),
        raw: of("readline"),
        node: whole,
        undici: whole,
        undiciNode: whole,
        python: of("readline"),
      },
    },
    { way: "lines()", tasks: { ours: of("lines()"), raw: of("readline"), python: of("lines()") } },
  ];
}

function upload(size: number): Line[] {
  const of = (way: string) =>
    task("upload", { way, size: way === "1 KiB pieces" ? Math.min(size, 16 * MIB) : size });
  return Object.entries(SEND).map(([way, rivals]) => ({
    way,
    tasks: {
      ours: of(way),
      ...Object.fromEntries(Object.entries(rivals).map(([client, name]) => [client, of(name)])),
    },
  }));
}

/** Some clients are so slow with chunks, small ones or on the way to a file, that they get fewer. */
function fewChunks(chunk: number): (client: Client, way: string) => number {
  return (client, way) => {
    if (client === "ours" || client === "raw") return Infinity;
    if (way === "pipeTo file" && client === "undiciNode") return MIB;
    if (chunk >= 8192) return Infinity;
    return client === "fetch" && way !== "read()" && way !== "readinto" ? MIB : 8 * MIB;
  };
}

function options(count: number): Line[] {
  return ["timeout", "deadlines", "trace", "signal"].map((way) => ({
    way: `with ${way}`,
    tasks: { ours: task("get", { count, way }) },
    option: true,
  }));
}

/** All workloads. */
export function workloads({ rounds, short }: Extent): Workload[] {
  const times = (most: number) => rounds ?? (short ? 3 : most);
  const count = (most: number) => short ? Math.ceil(most / 4) : most;
  const size = short ? BIG / 16 : BIG;
  const get = count(300);
  const pair = (job: Task["job"], plain: number, tls: number): Line[] => [
    same("HTTP", job, { path: `/close/${SMALL}`, count: plain }),
    same("HTTPS", job, { path: `/close/${SMALL}`, count: tls, tls: true }),
  ];
  const big = { bytes: BIG, rounds: times(11) };
  return [
    {
      id: "a",
      title: "GET 1 KiB, kept connection",
      bytes: null,
      rounds: times(31),
      lines: [same("", "get", { count: get }), ...options(get)],
    },
    {
      id: "b",
      title: "the same over HTTPS",
      bytes: null,
      rounds: times(21),
      lines: [same("", "get", { count: count(200), tls: true })],
    },
    {
      id: "c",
      title: "GET 1 KiB, a connection each",
      bytes: null,
      rounds: times(15),
      lines: pair("connect", count(60), count(16)),
    },
    {
      id: "d",
      title: "64 MiB by length",
      ...big,
      lines: download((bytes) => `/bytes/${bytes}`, size),
    },
    {
      id: "e",
      title: "64 MiB in chunks of 8 KiB",
      ...big,
      lines: download((bytes) => `/chunked/${bytes}/8192`, size, fewChunks(8192)),
    },
    {
      id: "f",
      title: "64 MiB in chunks of 100 B",
      ...big,
      lines: download((bytes) => `/chunked/${bytes}/100`, size, fewChunks(100)),
    },
    {
      id: "g",
      title: "64 MiB of 60-byte lines",
      ...big,
      rounds: times(5),
      lines: lineDownload(size),
    },
    { id: "h", title: "upload of 64 MiB", ...big, lines: upload(size) },
    {
      id: "i",
      title: "POST 1 KiB, kept connection",
      bytes: null,
      rounds: times(21),
      lines: [same("", "post", { count: get })],
    },
    {
      id: "j",
      title: "100 connections at once, 1 KiB",
      bytes: null,
      rounds: times(21),
      lines: [same("", "parallel", { count: count(8) })],
    },
    {
      id: "k",
      title: "a head of 60 fields",
      bytes: null,
      rounds: times(21),
      lines: [same("", "get", { count: get, path: "/fields/60" })],
    },
  ];
}

/** How many of what the costs are for a task is. */
export function units({ bytes }: Workload, { job, count, size }: Task): number {
  if (bytes !== null) return size / bytes;
  return job === "parallel" ? count * PARALLEL : count;
}
