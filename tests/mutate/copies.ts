/**
 * Copies of the project that mutants are made in, so that the project itself can be worked on meanwhile.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { projectFiles, ROOT } from "../helpers/project.ts";

/**
 * Copies the project to folders of its own.
 *
 * @param count How many copies
 * @returns The folders
 */
export async function makeCopies(count: number): Promise<string[]> {
  const folders: string[] = [];
  const files = projectFiles();
  for (let i = 0; i < count; i++) {
    const folder = await Deno.makeTempDir({ prefix: "mutate_" });
    folders.push(await Deno.realPath(folder));
    for (const path of files) {
      await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
      await Deno.copyFile(new URL(path, ROOT), join(folder, path));
    }
  }
  return folders;
}

/**
 * Removes the copies.
 *
 * @param folders What `makeCopies()` returned
 */
export function removeCopies(folders: string[]): void {
  for (const folder of folders.splice(0)) Deno.removeSync(folder, { recursive: true });
}

/**
 * Does jobs side by side, one at a time in each copy.
 *
 * @param folders The copies
 * @param jobs What to do, begun in this order
 * @param work Does one job
 */
export async function inCopies<T>(
  folders: string[],
  jobs: Iterable<T>,
  work: (job: T, folder: string) => Promise<void>,
): Promise<void> {
  const queue = [...jobs];
  await Promise.all(folders.map(async (folder) => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) await work(job, folder);
  }));
}
