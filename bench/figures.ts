/**
 * What a run of the benchmark measures, as it is kept in JSON.
 *
 * @module
 */

/** Who is measured. */
export type Client =
  | "ours"
  | "raw"
  | "paid"
  | "fetch"
  | "node"
  | "undici"
  | "undiciNode"
  | "python";

/** What each is called. */
export const NAMES: Record<Client, string> = {
  ours: "this library",
  raw: "raw Deno.Conn",
  paid: "raw, as promised",
  fetch: "fetch",
  node: "node:http",
  undici: "undici",
  undiciNode: "undici on Node",
  python: "CPython",
};

/** All but this library, in the order of the columns. */
export const RIVALS = (Object.keys(NAMES) as Client[]).filter((client) => client !== "ours");

/** A median and the quartiles around it. */
export interface Spread {
  low: number;
  median: number;
  high: number;
}

/** How one client did: milliseconds for one request, or for one whole body. */
export interface Cost {
  wall: Spread;
  cpu: Spread;
  /** The CPU that the server used meanwhile, as a share of the wall time. */
  server: number;
}

/** A client beside this library: in each round its cost over ours, so that more is better for us. */
export interface Beside extends Cost {
  wallRatio: Spread;
  cpuRatio: Spread;
}

/** One line of the table. */
export interface Row {
  /** The workload's letter. */
  id: string;
  /** What the workload is. */
  title: string;
  /** How the body is read or sent, or what else tells the rows of a workload apart. */
  way: string;
  /** The size of the body where it is that, and not the request, that the costs are for. */
  bytes: number | null;
  rounds: number;
  ours: Cost;
  rivals: Partial<Record<Client, Beside>>;
  /** Whether this is ours with an option, and among the rivals ours without it. */
  option: boolean;
}

/** Fresh processes: wall milliseconds from start to end, and over a bare script in the same round. */
export interface Cold {
  name: string;
  wall: Spread;
  over: Spread;
}

/** KiB of memory for each idle connection. */
export interface Idle {
  name: string;
  kib: Spread;
}

/** How the time grows with the size. */
export interface Growth {
  name: string;
  unit: string;
  points: { size: number; ms: number }[];
}

/** Whether a goal is met. */
export interface Verdict {
  id: string;
  goal: string;
  figure: string;
  met: boolean;
}

/** A whole run. */
export interface Figures {
  date: string;
  short: boolean;
  seconds: number;
  machine: Record<string, string>;
  versions: Record<string, string>;
  rows: Row[];
  cold: Cold[];
  idle: Idle[];
  growth: Growth[];
  verdicts: Verdict[];
  notes: string[];
}
