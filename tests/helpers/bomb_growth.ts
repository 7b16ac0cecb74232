/**
 * What a bomb does to the process that decodes it. Memory is measured for a whole process, so nothing else may
 * run in it.
 *
 * @module
 */
import process from "node:process";
import { HTTPException } from "../../mod.ts";
import { respond } from "./coded_responses.ts";

/** What came of it. */
export interface Growth {
  /** How many bytes were given out, of 1 MiB that were allowed. */
  total: number;
  /** By how many bytes the memory of the process grew meanwhile. */
  grown: number;
  /** Whether the end was an `HTTPException`; `null` where there was no error. */
  isRefused: boolean | null;
}

/** Decodes a bomb, up to 1 MiB of it. */
export async function decodeBomb(coding: string, body: Uint8Array): Promise<Growth> {
  const { conn, response } = await respond(coding, body);
  using _ = conn;
  const before = Deno.memoryUsage().rss;
  let [total, peak] = [0, before];
  const look = () => void (peak = Math.max(peak, Deno.memoryUsage().rss));
  const timer = setInterval(look, 1);
  let isRefused: boolean | null = null;
  try {
    for await (const piece of response.decoded({ maxDecodedBytes: 2 ** 20 })) {
      total += piece.length;
    }
  } catch (error) {
    isRefused = error instanceof HTTPException;
  } finally {
    clearInterval(timer);
    look();
  }
  return { total, grown: peak - before, isRefused };
}

/** The same in a process of its own. Node and Bun have one for each file of tests. */
export async function growthOf(coding: string, body: Uint8Array): Promise<Growth> {
  if (!("deno" in process.versions)) return await decodeBomb(coding, body);
  const { outputOf } = await import("./programs.ts");
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, body);
    const program = `
      const { decodeBomb } = await import(${JSON.stringify(import.meta.url)});
      const body = await Deno.readFile(${JSON.stringify(path)});
      console.log(JSON.stringify(await decodeBomb(${JSON.stringify(coding)}, body)));
    `;
    return JSON.parse(await outputOf(["--allow-read"], program));
  } finally {
    await Deno.remove(path);
  }
}
