/**
 * Plays a session with `set_debuglevel(1)` and catches what is printed.
 *
 * @module
 */
import { playSession } from "./play_request.ts";
import type { DebugVector } from "./vectors.ts";

/** The lines that this library prints. */
export async function playDebug(vector: DebugVector): Promise<string[]> {
  const printed: string[] = [];
  const { log } = console;
  console.log = (...args: unknown[]) => void printed.push(args.map(String).join(" "));
  try {
    await playSession({ ...vector, expect: {} }, 1);
  } finally {
    console.log = log;
  }
  return printed.join("\n").split("\n").filter((line, i, all) => line !== "" || i < all.length - 1);
}
