/**
 * Garbage on purpose. V8 collects dropped arrays when 32 to 64 MiB of them have piled up, as it does not
 * count their memory to its own heap; that is what a loop over the pieces of a long body then holds.
 * It collects far more often what lies on its own heap, and dropped arrays with it: so each piece comes
 * with arrays of half its size there. A download of 1 GiB by `for await` holds 20 MiB so, in place of
 * 90, at no cost in time that could be measured. They are small, as one of them survives each
 * collection: what survives makes V8 collect less often.
 *
 * @module
 */

/** The size of a piece that comes with one array. */
const STEP = 4096;
/** The array's length; 8 bytes each. */
const LENGTH = STEP / 2 / 8;

/** The last one. It is exported, so that the compiler cannot tell that nobody needs it. */
export let litter: unknown[] = [];

/** Leaves as much garbage as a piece of `size` bytes needs. */
export function leaveLitter(size: number): void {
  for (let rest = size; rest >= STEP; rest -= STEP) litter = new Array(LENGTH);
}
