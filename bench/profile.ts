/**
 * Says where the time goes: `profile.ts d "for await" [client]` runs that row of the table for some
 * seconds under V8's profiler, and prints the functions by the time that they took themselves.
 *
 * @module
 */
import type { Client } from "./figures.ts";
import { bodies } from "./bodies.ts";
import { openField } from "./field.ts";
import { Contestant } from "./contestants.ts";
import { requests } from "./requests.ts";

const SECONDS = 3;
const TOP = 25;

/** The part of a profile that counts here. */
interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
}

/** The time that each function took itself, as shares, the greatest first. */
function selfTimes({ nodes, samples, timeDeltas }: Profile): [name: string, share: number][] {
  const names = new Map(nodes.map(({ id, callFrame }) => {
    const { functionName, url, lineNumber } = callFrame;
    return [id, `${functionName || "(anonymous)"} ${url.split("/").at(-1)}:${lineNumber + 1}`];
  }));
  const times = new Map<string, number>();
  let all = 0;
  samples.forEach((id, i) => {
    const name = names.get(id)!;
    if (name.startsWith("(idle)")) return;
    times.set(name, (times.get(name) ?? 0) + timeDeltas[i]);
    all += timeDeltas[i];
  });
  return [...times].map(([name, time]): [string, number] => [name, time / all])
    .toSorted((a, b) => b[1] - a[1]);
}

async function main([id, way = "", client = "ours"]: string[]): Promise<void> {
  const extent = { rounds: 1, short: false };
  const task = [...requests(extent), ...bodies(extent)]
    .flatMap((workload) => workload.id === id ? workload.lines : [])
    .find((line) => line.way === way)?.tasks[client as Client];
  if (task === undefined) throw new TypeError(`Cannot profile ${id} ${way}: no such row`);
  await using field = await openField(false);
  const folder = `${field.folder}/profile`;
  const contestant = await Contestant.start(
    client as Client,
    field.installed,
    field.config,
    "free",
    "--cpu-prof",
    `--cpu-prof-dir=${folder}`,
  );
  let count = 0;
  for (const end = performance.now() + SECONDS * 1000; performance.now() < end; count++) {
    await contestant.run(task);
  }
  await contestant[Symbol.asyncDispose]();
  const [file] = [...Deno.readDirSync(folder)];
  const profile = JSON.parse(Deno.readTextFileSync(`${folder}/${file.name}`)) as Profile;
  console.log(`(${id}) ${way}, ${client}, ${count} times: shares of the time that was not idle`);
  for (const [name, share] of selfTimes(profile).slice(0, TOP)) {
    console.log(`${(share * 100).toFixed(1).padStart(6)} %  ${name}`);
  }
}

if (import.meta.main) await main(Deno.args);
