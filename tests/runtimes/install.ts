/**
 * Installs the package in a new project as JSR hands it to npm, transpiled and with declarations,
 * type-checks a program of the project by `tsc`, and runs it on Node and on Bun; then the same from a
 * vendored copy on Deno. `deno run -A tests/runtimes/install.ts`.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";
import { publishedModules, readText, ROOT } from "../helpers/project.ts";
import { npx, pack } from "./pack.ts";
import { startTourServer } from "./tour_server.ts";

const STAND_INS = "tests/std_offline";

/** Runs a program; throws what it has printed where it fails. */
async function run(name: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(name, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`${name} ${args.join(" ")}\n${out}\n${err}`);
  return out;
}

/** What `@std` stands for where there is none. */
async function standIns(): Promise<Record<string, string>> {
  const map = JSON.parse(await Deno.readTextFile(new URL(`${STAND_INS}/import_map.json`, ROOT)));
  const { imports } = map as { imports: Record<string, string> };
  return Object.fromEntries(
    Object.entries(imports).filter(([name]) => name.startsWith("@std/"))
      .map(([name, target]) => [name, join(STAND_INS, target)]),
  );
}

/** Copies the modules of the package and what they import, with their imports as `to` gives them. */
async function copySources(folder: string, to: (from: string, name: string) => string) {
  const std = await standIns();
  const paths = new Set([...publishedModules(), ...Object.values(std)]);
  for (const path of paths) {
    const text = readText(path).replace(
      /(^(?:import|export)\b[^"';]*"|\bfrom\s*"|\bimport\s*\(?\s*")([^"]+)"/gm,
      (_, before, name) => {
        const target = std[name];
        if (target === undefined) return `${before}${name}"`;
        const way = relative(dirname(path), target);
        return `${before}${to(path, way.startsWith(".") ? way : `./${way}`)}"`;
      },
    );
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeTextFile(join(folder, path), text);
  }
  return paths;
}

/** The package as a folder of npm's: `packed` has its modules. */
async function install(project: string, packed: string): Promise<void> {
  const target = join(project, "node_modules", "@denoports", "http-client");
  const sources = join(project, "sources");
  const paths = await copySources(sources, (_, name) => name);
  await run("npm", ["install", "--silent", "typescript@5", "@types/node@22"], project);
  await run("npx", [
    "tsc",
    "--declaration",
    "--emitDeclarationOnly",
    "--allowImportingTsExtensions",
    "--rewriteRelativeImportExtensions",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "--lib",
    "esnext,dom,dom.iterable,dom.asynciterable",
    "--rootDir",
    sources,
    "--outDir",
    target,
    join(sources, "mod.ts"),
    join(sources, "errors.ts"),
    join(sources, "headers.ts"),
    join(sources, "status.ts"),
  ], project);
  for (const path of paths) {
    const name = path.replace(/\.ts$/, ".js");
    await Deno.mkdir(dirname(join(target, name)), { recursive: true });
    await Deno.copyFile(join(packed, name), join(target, name));
    const types = join(target, path.replace(/\.ts$/, ".d.ts"));
    // What is loaded on demand has declarations as well; a module without any has no types to give.
    const text = await Deno.readTextFile(types).catch(() => null);
    if (text !== null) {
      await Deno.writeTextFile(types, text.replace(/(["'])(\.[^"']+)\.ts\1/g, "$1$2.js$1"));
    }
  }
  await Deno.remove(sources, { recursive: true });
  const { exports } = JSON.parse(readText("deno.json")) as { exports: Record<string, string> };
  const entries = Object.entries(exports).map(([name, path]) => {
    const file = path.replace(/\.ts$/, "");
    return [name, { types: `${file}.d.ts`, default: `${file}.js` }];
  });
  await Deno.writeTextFile(
    join(target, "package.json"),
    JSON.stringify({
      name: "@denoports/http-client",
      version: "0.0.0",
      type: "module",
      exports: Object.fromEntries(entries),
    }),
  );
}

/** A program of the project: it takes the tour, and ends with what failed. */
function program(argv: string, exit: string): string {
  const tour = readText("tests/runtimes/tour.ts")
    .replace('"../../mod.ts"', '"@denoports/http-client"')
    .replace('"../../errors.ts"', '"@denoports/http-client/errors"');
  return `${tour}
import { HTTPMessage } from "@denoports/http-client/headers";
import { NOT_FOUND } from "@denoports/http-client/status";

const status: 404 = NOT_FOUND;
const [host = "", port = ""] = ${argv};
const { passed, failed } = await tour({ host, port: Number(port) });
console.log(\`\${passed.length} passed\`, failed, status, new HTTPMessage().keys());
if (failed.length > 0) ${exit}(1);
`;
}

async function main(): Promise<void> {
  await using server = await startTourServer();
  const address = [server.hostname, String(server.port)];
  const folder = await Deno.makeTempDir();
  try {
    const [packed, project, vendored] = ["packed", "project", "vendored"]
      .map((name) => join(folder, name));
    await Promise.all([packed, project, vendored].map((path) => Deno.mkdir(path)));
    await pack(packed);
    await Deno.writeTextFile(join(project, "package.json"), '{"type":"module","private":true}');
    await install(project, packed);
    await Deno.writeTextFile(
      join(project, "main.ts"),
      `import process from "node:process";\n${program("process.argv.slice(2)", "process.exit")}`,
    );
    const options = ["--module", "nodenext", "--target", "es2022", "--strict", "--outDir", "dist"];
    const lib = ["--lib", "esnext,dom,dom.iterable,dom.asynciterable"];
    await run("npx", ["tsc", ...options, ...lib, "--types", "node", "main.ts"], project);
    console.log("tsc: passed");
    for (const runtime of ["node@20", "node@22", "node@latest", "bun"]) {
      const out = await npx([runtime, "dist/main.js", ...address], project);
      console.log(`${runtime}: ${out.trim()}`);
    }
    await copySources(vendored, (_, name) => name);
    await Deno.writeTextFile(
      join(vendored, "main.ts"),
      program("Deno.args", "Deno.exit"),
    );
    await Deno.writeTextFile(
      join(vendored, "deno.json"),
      JSON.stringify({
        imports: Object.fromEntries(
          ["", "/errors", "/headers", "/status"].map((name) => [
            `@denoports/http-client${name}`,
            `./${name === "" ? "mod" : name.slice(1)}.ts`,
          ]),
        ),
        compilerOptions: { noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
      }),
    );
    await run(Deno.execPath(), ["check", "main.ts"], vendored);
    const out = await run(
      Deno.execPath(),
      ["run", "--allow-net", "main.ts", ...address],
      vendored,
    );
    console.log(`vendored on Deno, with stricter types: ${out.trim()}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

await main();
