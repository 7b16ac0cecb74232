/**
 * Whether what a process takes stays the same.
 *
 * @module
 */

/** What the process had at a moment. */
export interface Sample {
  /** Resident memory, in bytes. */
  readonly rss: number;
  /** The heap that is in use behind a collection, in bytes. */
  readonly heapUsed: number;
  /** Open descriptors; 0 where the system does not tell. */
  readonly descriptors: number;
}

const MIB = 1048576;
/** What may be more in the last third than in the first: a part of it, and so much. */
const SLACK: Readonly<Record<keyof Sample, { part: number; more: number }>> = {
  rss: { part: 0.1, more: 32 * MIB },
  heapUsed: { part: 0.1, more: 3 * MIB },
  descriptors: { part: 0, more: 10 },
};
/** Fewer samples than this tell nothing. */
export const FEWEST = 30;

const { gc } = globalThis as unknown as { gc?: () => void };

/** What there is now, behind a collection. */
export function sample(): Sample {
  gc?.();
  const { rss, heapUsed } = Deno.memoryUsage();
  return { rss, heapUsed, descriptors: descriptors() };
}

/** How many descriptors this process has open. */
export function descriptors(): number {
  if (Deno.build.os !== "linux") return 0;
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/**
 * Compares the last third of the samples with the first.
 *
 * @param samples those behind the warm-up
 * @returns what has grown, in words; nothing where all is flat, or where there are too few samples to tell
 */
export function grown(samples: readonly Sample[]): string[] {
  if (samples.length < FEWEST) return [];
  const third = Math.floor(samples.length / 3);
  const names = Object.keys(SLACK) as (keyof Sample)[];
  return names.flatMap((name) => {
    const of = (part: readonly Sample[]) => median(part.map((sample) => sample[name]));
    const [first, last] = [of(samples.slice(0, third)), of(samples.slice(-third))];
    const { part, more } = SLACK[name];
    if (last <= first * (1 + part) + more) return [];
    return [`${name} has grown from ${first} to ${last}`];
  });
}
