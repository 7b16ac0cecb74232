/**
 * Garbage on purpose. V8 does not count the memory of typed arrays to its own heap, and collects dropped
 * ones when 32 to 64 MiB of them have piled up: that is what a loop over the pieces of a long body then
 * holds, however soon it drops them. What lies on its own heap it collects far more often, and dropped
 * typed arrays with it; so each piece comes with arrays of half its size there. A download of 1 GiB grows
 * the process by 16 to 24 MiB so, by 35 to 140 without, in the same time (medians 673 and 644 ms by
 * `for await`, 612 and 683 by `pipeTo`). They are small, as the last one survives each collection, and
 * what survives makes V8 collect less often.
 *
 * @module
 */

/** So many bytes of a piece come with one array, */
const STEP = 2048;
/** of so many elements of 8 bytes. */
const LENGTH = 128;

/** The last one; exported, so that the compiler cannot tell that nobody needs it. */
export let litter: unknown[] = [];

/** Leaves as much garbage as a piece of `size` bytes needs. */
export function leaveLitter(size: number): void {
  for (let rest = size; rest >= STEP; rest -= STEP) litter = new Array(LENGTH);
}
