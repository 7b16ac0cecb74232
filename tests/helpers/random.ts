/**
 * Random numbers that are the same in each run.
 *
 * @module
 */

/**
 * A source of random numbers.
 *
 * @param seed the same seed gives the same numbers
 * @returns gives an integer from 0 up to, but not including, the one that it is called with
 */
export function randomFrom(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
