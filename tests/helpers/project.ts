/**
 * What belongs to the project, for the checks of the project itself.
 *
 * @module
 */

import { existsSync, readdirSync, statSync } from "node:fs";

/** The folder of the project, ending in a slash. */
export const ROOT: URL = new URL("../../", import.meta.url);

const PUBLISHED_MODULE = /^(_internal\/.+|[^/]+)\.ts$/;
const PUBLISHED_TEXT =
  /^((CHANGELOG|README|SECURITY)\.md|LICENSE|deno\.json|examples\/[^/]+\.md|bench\/(README\.md|RESULTS\.md|chart\.svg))$/;
const NOT_OURS = /(^|\/)(\.git|coverage|node_modules|tests\/tmp)(\/|$)/;

/** What git tracks and would track, or `undefined` where there is no git. */
function gitFiles(): string[] | undefined {
  try {
    const { success, stdout } = new Deno.Command("git", {
      args: ["-c", "safe.directory=*", "ls-files", "-zco", "--exclude-standard"],
      cwd: ROOT,
      stderr: "null",
    }).outputSync();
    return success ? new TextDecoder().decode(stdout).split("\0") : undefined;
  } catch {
    return undefined;
  }
}

function isFile(path: string): boolean {
  const url = new URL(path, ROOT);
  return path !== "" && existsSync(url) && statSync(url).isFile();
}

/**
 * Lists the files of the project: what git tracks, and what it would track.
 *
 * @returns Paths from the project's folder, sorted
 */
export function projectFiles(): string[] {
  const paths = gitFiles() ??
    (readdirSync(ROOT, { recursive: true }) as string[]).filter((path) => !NOT_OURS.test(path));
  return [...new Set(paths)].filter(isFile).sort();
}

/**
 * Lists the modules that are published.
 *
 * @returns Paths from the project's folder, sorted
 */
export function publishedModules(): string[] {
  return projectFiles().filter((path) => PUBLISHED_MODULE.test(path));
}

/**
 * Lists all files that are published.
 *
 * @returns Paths from the project's folder, sorted
 */
export function publishedFiles(): string[] {
  return projectFiles().filter((path) => PUBLISHED_MODULE.test(path) || PUBLISHED_TEXT.test(path));
}

/**
 * Reads a file of the project.
 *
 * @param path From the project's folder
 * @returns The text
 */
export function readText(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}
