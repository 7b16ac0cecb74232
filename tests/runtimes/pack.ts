/**
 * Makes of the project what a runtime without TypeScript runs: each module transpiled for itself, as JSR
 * hands packages to npm, with the stand-ins of the tests in place of `@std`.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";
import { projectFiles, publishedModules, ROOT } from "../helpers/project.ts";

/** Runs a program of npm's; throws what it has printed where it fails. */
export async function npx(args: string[], cwd: string): Promise<string> {
  const command = new Deno.Command("npx", { args: ["-y", ...args], cwd });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr) + decoder.decode(stdout));
  return decoder.decode(stdout);
}

const ESBUILD = "esbuild@0.25";
const SHIM = "tests/runtimes/shim.js";

/** An import of a module that was transpiled, and a URL of one. */
const IMPORTS =
  /(^(?:import|export)\b[^"';]*"|\bfrom\s*"|\bimport\s*\(?\s*"|\bnew URL\(\s*")([^"]+)"/gm;

/** Where a module asks for its own URL, and does not just name it. */
const OWN_URL = /(?<!["'`])\bimport\.meta\.url\b(?!["'`])/g;

/**
 * Transpiles the project into a folder; the names of its modules stay, but for their ends.
 *
 * @param base The URL of the folder, where the runtime does not tell modules their own.
 */
export async function pack(folder: string, base?: string): Promise<void> {
  const here = new URL(ROOT).pathname;
  const paths = projectFiles();
  const modules = paths.filter((path) => path.endsWith(".ts"));
  for (const path of paths) {
    if (path.endsWith(".ts") || path.startsWith("bench/")) continue;
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.copyFile(join(here, path), join(folder, path));
  }
  const options = ["--format=esm", "--target=es2022", "--log-level=error", "--charset=utf8"];
  await npx([ESBUILD, ...modules, `--outdir=${folder}`, `--outbase=${here}`, ...options], here);
  const { imports } = JSON.parse(
    await Deno.readTextFile(new URL("../std_offline/import_map.json", import.meta.url)),
  ) as { imports: Record<string, string> };
  const published = new Set(publishedModules());
  for (const path of modules) {
    const file = join(folder, path.replace(/\.ts$/, ".js"));
    const from = dirname(path);
    const to = (target: string) => {
      const way = relative(from, target);
      return way.startsWith(".") ? way : `./${way}`;
    };
    const text = (await Deno.readTextFile(file)).replace(IMPORTS, (_, before, name: string) => {
      const target = imports[name];
      if (target !== undefined) name = to(join("tests/std_offline", target));
      return `${before}${name.startsWith(".") ? name.replace(/\.ts$/, ".js") : name}"`;
    });
    const own = base === undefined ? text : text.replace(
      OWN_URL,
      JSON.stringify(base + path.replace(/\.ts$/, ".js")),
    );
    const needsDeno = !published.has(path) && path !== "tests/runtimes/shim.ts" &&
      /\bDeno\b/.test(text);
    const head = needsDeno ? `import { Deno } from ${JSON.stringify(to(SHIM))};\n` : "";
    await Deno.writeTextFile(file, head + own);
  }
  await Deno.writeTextFile(
    join(folder, "package.json"),
    JSON.stringify({
      name: "@denoports/http-client",
      type: "module",
      exports: { ".": "./mod.js" },
    }),
  );
}
