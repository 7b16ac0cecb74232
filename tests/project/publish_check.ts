/**
 * Sees whether JSR would take the package, and with exactly the files that it should have. What is
 * published must also pass a type check that is stricter than the project's own.
 *
 * Where JSR does not answer, a copy of the project is looked at, and `links` puts the stand-ins of
 * `std_offline` in the place of the `@std` packages.
 *
 * @module
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import {
  projectFiles,
  publishedFiles,
  publishedModules,
  readText,
  ROOT,
} from "../helpers/project.ts";
import { type Source, stdFrom } from "../std_offline/run.ts";

const STAND_INS = "tests/std_offline/";

/** Those who vendor the modules check them with their own options; many have these switched on. */
const STRICTER = { noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true };

/** The lowest version in a range: `^0.225` is `0.225.0`. */
function lowest(specifier: string): string {
  const numbers = specifier.slice(specifier.lastIndexOf("^") + 1).split(".");
  return [...numbers, "0", "0"].slice(0, 3).join(".");
}

function copy(from: string, to: string): void {
  Deno.mkdirSync(dirname(to), { recursive: true });
  Deno.copyFileSync(new URL(from, ROOT), to);
}

/** Lays out a stand-in as a package of its own. */
function writePackage(folder: string, name: string, specifier: string): void {
  const { imports } = JSON.parse(readText(`${STAND_INS}import_map.json`));
  const exports = Object.keys(imports)
    .filter((key) => key === name || key.startsWith(`${name}/`))
    .map((key) => [`.${key.slice(name.length)}`, imports[key]]);
  for (const path of projectFiles()) {
    if (path.startsWith(STAND_INS)) copy(path, `${folder}/${path.slice(STAND_INS.length)}`);
  }
  const config = { name, version: lowest(specifier), exports: Object.fromEntries(exports) };
  Deno.writeTextFileSync(`${folder}/deno.json`, JSON.stringify(config));
}

/** Copies files of the project, linked to the stand-ins unless JSR has the packages. */
function copyProject(root: string, paths: string[], source: Source, stricter = {}): string {
  for (const path of paths) copy(path, `${root}/${path}`);
  const config = JSON.parse(readText("deno.json"));
  config.compilerOptions = { ...config.compilerOptions, ...stricter };
  if (source === "stand_ins") {
    config.links = Object.entries<string>(config.imports).map(([name, specifier]) => {
      writePackage(`${dirname(root)}/${name}`, name, specifier);
      return `../${name}`;
    });
  }
  Deno.writeTextFileSync(`${root}/deno.json`, JSON.stringify(config));
  return root;
}

/** Runs the rehearsal: its exit code, and the files that would go out. */
function rehearse(root: string): { code: number; files: string[] } {
  const { code, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty"],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).outputSync();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  console.log(text);
  const names = [...text.matchAll(/^ +(file:\S+) \(/gm)].map((match) => fileURLToPath(match[1]));
  const prefix = `${Deno.realPathSync(root)}/`;
  return { code, files: names.map((name) => name.replace(prefix, "")).sort() };
}

function report(code: number, files: string[]): number {
  const expected = publishedFiles();
  const extra = files.filter((file) => !expected.includes(file));
  const missing = expected.filter((file) => !files.includes(file));
  if (extra.length > 0) console.error(`Published, but should not be: ${extra.join(", ")}`);
  if (missing.length > 0) console.error(`Not published, but should be: ${missing.join(", ")}`);
  return code || (extra.length + missing.length > 0 ? 1 : 0);
}

/** Checks the types of all published modules, also of those that are loaded later. */
function checkTypes(root: string): number {
  const { code } = new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", ...publishedModules()],
    cwd: root,
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync();
  const options = Object.keys(STRICTER).join(" and ");
  const verdict = code === 0 ? "type-checks" : "does not type-check";
  console.log(`What is published ${verdict} under ${options}`);
  return code;
}

if (import.meta.main) {
  const folder = Deno.makeTempDirSync();
  try {
    const source = await stdFrom();
    const root = source === "jsr"
      ? fileURLToPath(ROOT)
      : copyProject(`${folder}/package`, projectFiles(), source);
    const { code, files } = rehearse(root);
    const published = copyProject(`${folder}/published`, publishedFiles(), source, STRICTER);
    Deno.exitCode = Math.max(report(code, files), checkTypes(published));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
