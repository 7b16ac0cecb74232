/**
 * Runs a deno command: `run.ts test -A` is `deno test -A`. Where JSR does not answer, the command gets
 * an import map that puts the stand-ins of this folder in the place of the `@std` packages.
 *
 * `run.ts ask` prints the answer, `jsr` or `stand_ins`. Set as `STD_FROM` it is not asked again.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };

/** Where the `@std` packages come from. */
export type Source = "jsr" | "stand_ins";

/** How long JSR may take to hand out what is not in the cache yet, in milliseconds. */
const PATIENCE = 10_000;

/** Nothing can listen there: `deno lint` has no import map, and would wait for JSR. */
const NOWHERE = "http://127.0.0.1:0/";

const IMPORT_MAP = new URL("import_map.json", import.meta.url);
const WITH_IMPORT_MAP = ["bench", "check", "doc", "run", "test"];

/** Asks by loading what `deno.json` imports from JSR: at once where that is in the cache. */
async function ask(): Promise<Source> {
  const specifiers = Object.values(config.imports).filter((to) => to.startsWith("jsr:"));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", "--no-config", "--no-lock", ...specifiers],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  const { success } = await child.status;
  clearTimeout(timer);
  return success ? "jsr" : "stand_ins";
}

/**
 * Says where the `@std` packages come from on this machine.
 *
 * @returns What `STD_FROM` says, else whether JSR answers
 */
export async function stdFrom(): Promise<Source> {
  const known = Deno.env.get("STD_FROM");
  return known === "jsr" || known === "stand_ins" ? known : await ask();
}

/**
 * Runs a deno command with the `@std` packages in reach, its input and output as this process's.
 *
 * @param command The subcommand, such as `test`
 * @param args Its arguments
 * @returns The exit code
 */
export async function deno(command: string, ...args: string[]): Promise<number> {
  const source = await stdFrom();
  const mapped = source === "stand_ins" && WITH_IMPORT_MAP.includes(command);
  const child = new Deno.Command(Deno.execPath(), {
    args: [command, ...(mapped ? [`--import-map=${IMPORT_MAP}`] : []), ...args],
    env: { STD_FROM: source, ...(source === "stand_ins" ? { JSR_URL: NOWHERE } : {}) },
  }).spawn();
  return (await child.status).code;
}

if (import.meta.main) {
  const [command, ...args] = Deno.args;
  if (command === undefined) throw new TypeError("Cannot run deno: no command is given");
  if (command === "ask") console.log(await stdFrom());
  else Deno.exit(await deno(command, ...args));
}
