/**
 * Programs that use the library in a process of their own, with permissions and flags of their own.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { Child, until } from "../servers/child.ts";

/** Where the `@std` packages come from here, they come from there too. */
const CONFIG = import.meta.resolve("@std/assert").startsWith("file:")
  ? ["--no-config", `--import-map=${new URL("../std_offline/import_map.json", import.meta.url)}`]
  : [`--config=${fileURLToPath(new URL("../../deno.json", import.meta.url))}`];

const MOD = new URL("../../mod.ts", import.meta.url).href;

/**
 * Runs a program, in which the library is `http`, until it ends by itself.
 *
 * @param flags Flags and permissions; what it wants more is denied, not asked for.
 * @returns What it printed, errors included.
 */
export async function outputOf(
  flags: readonly string[],
  program: string,
  env: Record<string, string> = {},
): Promise<string> {
  const text = `import * as http from ${JSON.stringify(MOD)};\n${program}`;
  const url = `data:application/typescript,${encodeURIComponent(text)}`;
  await using child = new Child(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--no-check", ...CONFIG, ...flags, url],
    env: { NO_COLOR: "1", ...env },
  });
  await until("the program to end", () => !child.running);
  return child.output.trim();
}
