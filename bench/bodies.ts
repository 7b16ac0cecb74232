/**
 * The workloads of big bodies: (d), (e), (f), (g), (h) and (q).
 *
 * @module
 */
import type { Task } from "./clients/jobs.ts";
import type { Client } from "./figures.ts";
import { type Extent, type Line, roundsOf, task, type Workload } from "./workload.ts";

const MIB = 1024 * 1024;
/** The size of a big body. */
export const BIG = 64 * MIB;

/** How this library reads a body, and who has a way like it. */
const READ: Record<string, Client[]> = {
  "read()": ["raw", "paid", "fetch", "node", "undici", "undiciNode", "python"],
  "read(65536)": ["raw", "paid", "python"],
  "readinto": ["raw", "fetch", "python"],
  "for await": ["raw", "paid", "fetch", "node", "undici", "undiciNode"],
  "pipeTo null": ["raw", "paid", "fetch"],
  "pipeTo file": ["paid", "fetch", "node", "undici", "undiciNode", "python"],
  "copyTo file": ["paid", "fetch"],
};

/** What a client without `copyTo()` does in its place. */
function wayOf(client: Client, way: string): string {
  if (client === "raw") return "";
  return client === "fetch" && way === "copyTo file" ? "pipeTo file" : way;
}

/** How this library is given a body, who has a way like it, and what it is called there. */
const SEND: Record<string, Partial<Record<Client, string>>> = {
  "bytes": everywhere("bytes"),
  "64 KiB pieces": everywhere("64 KiB pieces"),
  // What fetch takes is a stream; the others are given an iterable.
  "1 KiB pieces": { ...everywhere("1 KiB pieces"), raw: "64 KiB pieces", fetch: "stream of 1 KiB" },
  "stream of 1 KiB": { raw: "64 KiB pieces", fetch: "stream of 1 KiB" },
  "file": { ...everywhere("file"), raw: "64 KiB pieces", fetch: "file.readable" },
  "file.readable": { raw: "64 KiB pieces", fetch: "file.readable" },
};

function everywhere(way: string): Record<Exclude<Client, "ours" | "paid">, string> {
  return { raw: way, fetch: way, node: way, undici: way, undiciNode: way, python: way };
}

/** A download, each way; `part` of the size is enough where a client is very slow. */
function download(
  path: (size: number) => string,
  size: number,
  part: (client: Client, way: string) => number = () => 1,
): Line[] {
  const of = (client: Client, way: string): Task => {
    const bytes = size * part(client, way);
    return task("download", { way: wayOf(client, way), path: path(bytes), size: bytes });
  };
  return Object.entries(READ).map(([way, rivals]) => {
    const clients: Client[] = ["ours", ...rivals];
    return { way, tasks: Object.fromEntries(clients.map((client) => [client, of(client, way)])) };
  });
}

/** Some clients are so slow with chunks, small ones or on the way to a file, that they get fewer. */
function fewChunks(chunk: number): (client: Client, way: string) => number {
  return (client, way) => {
    if (client === "ours" || client === "raw" || client === "paid") return 1;
    if (way === "pipeTo file" && client === "undiciNode") return 1 / 64;
    if (chunk >= 8192) return 1;
    return client === "fetch" && way !== "read()" ? 1 / 64 : 1 / 8;
  };
}

function lines(size: number): Line[] {
  const of = (way: string, bytes = size): Task =>
    task("download", { way, path: `/lines/${bytes}`, size: bytes });
  // Node's readline drops the line ends, and counts one more behind a last line without: whole lines.
  const some = Math.min(size, 8 * MIB);
  const whole = of("readline", some - some % 60);
  const [ours, python] = [of("readline"), of("readline")];
  return [
    {
      way: "readline",
      tasks: { ours, raw: of("readline"), node: whole, undici: whole, undiciNode: whole, python },
    },
    { way: "lines()", tasks: { ours: of("lines()"), raw: of("readline"), python: of("lines()") } },
  ];
}

function upload(size: number): Line[] {
  const of = (way: string): Task =>
    task("upload", { way, size: way.includes("1 KiB") ? Math.min(size, 16 * MIB) : size });
  return Object.entries(SEND).map(([way, rivals]) => ({
    way,
    tasks: Object.fromEntries(
      Object.entries({ ours: way, ...rivals }).map(([client, name]) => [client, of(name)]),
    ),
  }));
}

/** A body that the server sends back while it comes. */
function duplex(size: number): Line {
  const each = task("duplex", { size });
  return { way: "", tasks: { ours: each, raw: each } };
}

/** The workloads. */
export function bodies(extent: Extent): Workload[] {
  const size = extent.short ? BIG / 16 : BIG;
  const of = (id: string, title: string, rounds: number, lines: Line[]): Workload => ({
    id,
    title,
    bytes: BIG,
    rounds: roundsOf(extent, rounds),
    // What sends a file has a thread that reads it meanwhile, and needs a processor for it.
    place: id === "h" ? "free" : "apart",
    lines,
  });
  const chunked = (chunk: number): Line[] =>
    download((bytes) => `/chunked/${bytes}/${chunk}`, size, fewChunks(chunk));
  return [
    of("d", "64 MiB by length", 15, download((bytes) => `/bytes/${bytes}`, size)),
    of("e", "64 MiB in chunks of 8 KiB", 15, chunked(8192)),
    of("f", "64 MiB in chunks of 100 B", 15, chunked(100)),
    of("g", "64 MiB of 60-byte lines", 7, lines(size)),
    of("h", "upload of 64 MiB", 15, upload(size)),
    of("q", "64 MiB both ways at once", 9, [duplex(size / 4)]),
  ];
}
