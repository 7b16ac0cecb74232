/**
 * Mutants that survive and may: no caller could tell them from the code as it is. Each has the reason,
 * and is found again by what stands in its line, so that code may move.
 *
 * @module
 */

/** A mutant that is judged equivalent. */
export interface Equivalent {
  module: string;
  /** The line of source text, without indentation. */
  text: string;
  /** The end of the mutant's id: `kind: before -> after`. */
  mutation: string;
  /** Why no caller can tell. */
  reason: string;
}

/** All of them, by module. */
export const EQUIVALENT: Equivalent[] = [];
