/**
 * What the clients on Deno and those on Node share.
 *
 * @module
 */

/** How many connections are open at once in the job `parallel`: most often, and at most. */
export const PARALLEL = 100;
export const MOST_PARALLEL = 1000;

/** How long a connection rests before each request of the job `rest`, in milliseconds. */
const REST = 50;

/**
 * Does something so often, with a rest before each time.
 *
 * @param {number} count
 * @param {() => Promise<void>} once
 * @returns {Promise<number>} the milliseconds without the rests
 */
export async function rested(count, once) {
  let spent = 0;
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, REST));
    const start = performance.now();
    await once();
    spent += performance.now() - start;
  }
  return spent;
}

/** What is posted in the job `post`. */
export const POSTED = new Uint8Array(1024);

/**
 * Throws where a job moved another number of bytes than it should have.
 *
 * @param {number} moved
 * @param {number} size
 */
export function check(moved, size) {
  if (moved !== size) throw new Error(`Moved ${moved} bytes, not ${size}`);
}

/**
 * A body in pieces of one size.
 *
 * @param {number} size
 * @param {number} piece
 */
export function* pieces(size, piece) {
  const bytes = new Uint8Array(piece);
  for (let left = size; left > 0; left -= piece) yield bytes.subarray(0, left);
}
