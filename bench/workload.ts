/**
 * What a workload is made of.
 *
 * @module
 */
import { PARALLEL, type Task } from "./clients/jobs.ts";
import type { Place } from "./cores.ts";
import type { Client } from "./figures.ts";

/** One line of the table: what each client does for it. */
export interface Line {
  way: string;
  tasks: Partial<Record<Client, Task>>;
  /** Ours without an option: the line is about ours with it, beside that. */
  without?: Task;
}

/** Lines that are measured in one go, with fresh processes. */
export interface Workload {
  id: string;
  title: string;
  /** The size of the body that the costs are for, or `null` where they are for a request. */
  bytes: number | null;
  rounds: number;
  /** Where its clients run: see `cores.ts`. */
  place: Place;
  lines: Line[];
}

/** How long the run is to be. */
export interface Extent {
  /** The same number of rounds for all workloads. */
  rounds: number | null;
  /** Three rounds of small sizes. */
  short: boolean;
}

/** The size of the body of a small request. */
export const SMALL = 1024;

/** How often to measure, where nothing else was asked for. */
export function roundsOf({ rounds, short }: Extent, most: number): number {
  return rounds ?? (short ? 3 : most);
}

/** A task, by default to get a small body once. */
export function task(job: Task["job"], more: Partial<Task>): Task {
  return {
    job,
    way: "",
    path: `/bytes/${SMALL}`,
    count: 1,
    size: SMALL,
    tls: false,
    parallel: PARALLEL,
    ...more,
  };
}

/** How many of what the costs are for a task is. */
export function units({ bytes }: Workload, { job, count, parallel, size }: Task): number {
  if (bytes !== null) return size / bytes;
  return job === "parallel" ? count * parallel : count;
}
