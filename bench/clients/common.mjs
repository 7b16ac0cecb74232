/**
 * What the clients on Deno and those on Node share.
 *
 * @module
 */

/** How many connections are open at once in the job `parallel`. */
export const PARALLEL = 100;

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
