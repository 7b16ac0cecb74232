/**
 * Medians and quartiles.
 *
 * @module
 */
import type { Spread } from "./figures.ts";

/** The figure below which the share `q` of all lies. */
export function quantile(figures: number[], q: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

/** The median and the quartiles of some figures. */
export function spread(figures: number[]): Spread {
  return {
    low: quantile(figures, 0.25),
    median: quantile(figures, 0.5),
    high: quantile(figures, 0.75),
  };
}

/** The spread of what `a` is over `b`, round by round. */
export function ratios(a: number[], b: number[]): Spread {
  return spread(a.map((figure, i) => figure / b[i]));
}

/** In random order. */
export function shuffled<T>(items: readonly T[]): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all;
}
