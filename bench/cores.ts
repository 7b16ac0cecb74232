/**
 * Which processors the two ends run on. A small request is mostly waiting for the other end to wake up:
 * that takes 20 us where both happen to share a processor and 90 us where they do not; and a large body
 * comes at half the speed where they share one. The system puts them now here, now there. So the server
 * keeps to the last processor, and the clients to the first or to that, as the row says; those of
 * uploads run where they like. All that where `taskset` is installed and there are two.
 *
 * @module
 */

const CORES = navigator.hardwareConcurrency;

/**
 * Where a client runs: `apart` from the server, `together` with it on one processor, or `free` where the
 * system puts it.
 */
export type Place = "apart" | "together" | "free";

const LAST = String(CORES - 1);
const PLACES = { apart: "0", together: LAST, server: LAST };

async function hasTaskset(): Promise<boolean> {
  if (CORES < 2) return false;
  try {
    const command = new Deno.Command("taskset", { args: ["-c", "0", "true"], stderr: "null" });
    return (await command.output()).success;
  } catch {
    return false;
  }
}

let found: Promise<boolean> | undefined;

/** Whether a process can be kept to a processor. */
export function canPlace(): Promise<boolean> {
  return found ??= hasTaskset();
}

/** A command that runs where it belongs. */
export async function placed(
  place: Place | "server",
  command: string,
  args: string[],
): Promise<[command: string, args: string[]]> {
  if (place === "free" || !await canPlace()) return [command, args];
  return ["taskset", ["-c", PLACES[place], command, ...args]];
}
