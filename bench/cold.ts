/**
 * Workload (l): a fresh process that imports, makes one request and ends, beside some that only import, and
 * one that does nothing.
 *
 * @module
 */
import { runArgs } from "./contestants.ts";
import type { Cold } from "./figures.ts";
import { shuffled, spread } from "./statistics.ts";

const SCRIPTS: Record<string, string> = {
  "this library": "./cold/http_client.ts",
  "fetch": "./cold/fetch.ts",
  "import of this library": "./cold/import.ts",
  "import of node:http": "./cold/import_node_http.ts",
  "bare script": "./cold/bare.ts",
};

/** Milliseconds from the start of a script's process to its end. */
async function once(script: string, port: number): Promise<number> {
  const args = [...await runArgs(), import.meta.resolve(script), String(port)];
  const start = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${script} failed`);
  return performance.now() - start;
}

/** Starts each script once in a round, in random order; the first round fills Deno's caches. */
export async function measureCold(port: number, rounds: number): Promise<Cold[]> {
  const walls = new Map(Object.keys(SCRIPTS).map((name) => [name, [] as number[]]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, script] of shuffled(Object.entries(SCRIPTS))) {
      const wall = await once(script, port);
      if (round > 0) walls.get(name)!.push(wall);
    }
  }
  const bare = walls.get("bare script")!;
  return [...walls].map(([name, wall]) => ({
    name,
    wall: spread(wall),
    over: spread(wall.map((ms, round) => ms - bare[round])),
  }));
}
