/**
 * Checks of the house itself: which module may import which, how large each may grow, and what may
 * not stand in any file.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { projectFiles, publishedModules, readText, ROOT } from "../helpers/project.ts";

/** The most lines of a module, and its floor: imports go down, or stay on the floor. */
const ROOMS: Record<string, { lines: number; floor: number }> = {
  "errors.ts": { lines: 330, floor: 0 },
  "status.ts": { lines: 300, floor: 0 },
  "_internal/wire/latin1.ts": { lines: 50, floor: 0 },
  "_internal/exchange/states.ts": { lines: 110, floor: 0 },
  "_internal/wire/grammar.ts": { lines: 140, floor: 1 },
  "_internal/exchange/deadlines.ts": { lines: 180, floor: 2 },
  "_internal/net/tls.ts": { lines: 80, floor: 2 },
  "_internal/wire/authority.ts": { lines: 110, floor: 2 },
  "_internal/exchange/body_stream.ts": { lines: 80, floor: 2 },
  "_internal/exchange/debug.ts": { lines: 60, floor: 2 },
  "_internal/net/line_reader.ts": { lines: 220, floor: 3 },
  "_internal/wire/field_section.ts": { lines: 265, floor: 4 },
  "_internal/wire/framing.ts": { lines: 110, floor: 4 },
  "_internal/wire/mime_parameters.ts": { lines: 190, floor: 4 },
  "_internal/exchange/request_body.ts": { lines: 220, floor: 4 },
  "_internal/wire/request_head.ts": { lines: 220, floor: 5 },
  "_internal/net/transport.ts": { lines: 200, floor: 4 },
  "_internal/net/transport_streams.ts": { lines: 60, floor: 5 },
  "_internal/net/node_sockets.ts": { lines: 280, floor: 5 },
  "_internal/net/sockets.ts": { lines: 120, floor: 5 },
  "_internal/exchange/litter.ts": { lines: 40, floor: 0 },
  "_internal/wire/response_head.ts": { lines: 210, floor: 5 },
  "_internal/wire/body_decoder.ts": { lines: 260, floor: 6 },
  "_internal/exchange/channel.ts": { lines: 390, floor: 8 },
  "_internal/exchange/watch.ts": { lines: 120, floor: 8 },
  "_internal/exchange/outbox.ts": { lines: 170, floor: 8 },
  "_internal/exchange/trace.ts": { lines: 120, floor: 8 },
  "_internal/content/decoded.ts": { lines: 210, floor: 2 },
  "_internal/content/zstd.ts": { lines: 75, floor: 1 },
  "_internal/exchange/exchange.ts": { lines: 60, floor: 9 },
  "_internal/exchange/body.ts": { lines: 390, floor: 8 },
  "_internal/exchange/stream_face.ts": { lines: 60, floor: 8 },
  "headers.ts": { lines: 380, floor: 7 },
  "_internal/exchange/options.ts": { lines: 240, floor: 8 },
  "_internal/net/tunnel.ts": { lines: 80, floor: 8 },
  "_internal/exchange/send_request.ts": { lines: 280, floor: 8 },
  "response.ts": { lines: 520, floor: 8 },
  "_internal/exchange/connector.ts": { lines: 190, floor: 9 },
  "_internal/exchange/link.ts": { lines: 200, floor: 9 },
  "client.ts": { lines: 650, floor: 10 },
  "mod.ts": { lines: 80, floor: 11 },
};

/** Modules that are larger than their room, by how much, and why that is better than a split. */
const OVER_BUDGET: Record<string, { lines: number; why: string }> = {
  "status.ts": { lines: 310, why: "66 names with a doc comment each, and nothing else" },
  "_internal/net/line_reader.ts": {
    lines: 385,
    why: "the buffer and its public face are one concern: who else knew buffers would be a second",
  },
  "_internal/wire/framing.ts": {
    lines: 145,
    why: "the rule for each field stands by its RFC section",
  },
  "_internal/wire/body_decoder.ts": { lines: 325, why: "four decoders behind one interface" },
  "_internal/exchange/body.ts": {
    lines: 480,
    why: "Python's read family and the pieces of a stream share one account of what was read",
  },
  "headers.ts": { lines: 460, why: "30 public methods, half of it their documentation" },
  "response.ts": { lines: 650, why: "the whole public face, two thirds of it documentation" },
};

const LONGEST_FUNCTION = 60;

/** Packages that a published module may import, besides Node's own. */
const PACKAGES = ["@std/assert", "@std/io", "@std/streams"];

/** Names of registries' hosts, in pieces so that they do not stand here. */
const REGISTRIES = [
  ["crates", "io"],
  ["debian", "org"],
  ["deno", "land"],
  ["esm", "sh"],
  ["jsdelivr", "net"],
  ["jsr", "io"],
  ["npmjs", "com"],
  ["npmjs", "org"],
  ["pypi", "org"],
  ["pythonhosted", "org"],
  ["unpkg", "com"],
].map((pieces) => pieces.join("."));

/** A folder of one machine, such as a home folder, at the start of a path. */
const MACHINE_PATH = new RegExp(
  `(?<![\\w.:/-])/(${["home", "root", "work", "Users"].join("|")})/`,
);

interface Module {
  path: string;
  /** The modules that it imports, as paths from the project's folder. */
  imports: string[];
  /** What it imports otherwise: packages, Node's modules, unknown things. */
  packages: string[];
  functions: { line: number; lines: number }[];
}

/** Parses a module with deno's own parser. */
function parse(path: string): Module {
  const source = readText(path);
  const module: Module = { path, imports: [], packages: [], functions: [] };
  const addImport = (from: Deno.lint.Node | null): void => {
    if (from === null) return;
    const name = from.type === "Literal" ? String(from.value) : "(computed)";
    if (!/^\.\.?\//.test(name)) module.packages.push(name);
    else module.imports.push(new URL(name, new URL(path, ROOT)).href.slice(ROOT.href.length));
  };
  const addFunction = ({ range }: { range: Deno.lint.Range }): void => {
    const lineAt = (offset: number) => source.slice(0, offset).split("\n").length;
    const line = lineAt(range[0]);
    module.functions.push({ line, lines: lineAt(range[1]) - line + 1 });
  };
  const visitor: Deno.lint.LintVisitor = {
    ImportDeclaration: (node) => addImport(node.source),
    ImportExpression: (node) => addImport(node.source),
    TSImportType: ({ argument }) =>
      addImport(
        argument.type === "TSLiteralType" ? argument.literal as Deno.lint.Literal : argument,
      ),
    ExportAllDeclaration: (node) => addImport(node.source),
    ExportNamedDeclaration: (node) => addImport(node.source),
    FunctionDeclaration: addFunction,
    FunctionExpression: addFunction,
    ArrowFunctionExpression: addFunction,
  };
  const plugin = { name: "house", rules: { read: { create: () => visitor } } };
  Deno.lint.runPlugin(plugin, path, source);
  return module;
}

const modules = publishedModules().map(parse);

function mayImport(name: string): boolean {
  return name.startsWith("node:") ||
    PACKAGES.some((allowed) => name === allowed || name.startsWith(`${allowed}/`));
}

/** Takes out modules that import none of the others, or that none of them imports, until none is left to take. */
function circles(all: Module[]): string[] {
  const paths = all.map((module) => module.path);
  const rest = all.filter(({ path, imports }) =>
    imports.some((name) => paths.includes(name)) &&
    all.some((other) => other.imports.includes(path))
  );
  return rest.length === all.length ? paths : circles(rest);
}

/** The lines of all files of the project that match, as `file:line`. */
function places(pattern: RegExp): string[] {
  return projectFiles().flatMap((path) =>
    readText(path).split("\n").flatMap((line, i) => pattern.test(line) ? [`${path}:${i + 1}`] : [])
  );
}

function lineCount(path: string): number {
  return readText(path).split("\n").length - 1;
}

Deno.test("a published module imports only published modules, Node's own and the @std packages", () => {
  const published = modules.map((module) => module.path);
  const wrong = modules.flatMap(({ path, imports, packages }) => [
    ...imports.filter((name) => !published.includes(name)).map((name) => `${path}: ${name}`),
    ...packages.filter((name) => !mayImport(name)).map((name) => `${path}: ${name}`),
  ]);
  assertEquals(wrong, []);
});

Deno.test("every published module has a room, and every room its module", () => {
  assertEquals(modules.map((module) => module.path).sort(), Object.keys(ROOMS).sort());
});

Deno.test("imports run one way", () => {
  const upward = modules.flatMap(({ path, imports }) =>
    imports.filter((name) => ROOMS[name]?.floor > ROOMS[path]?.floor)
      .map((name) => `${path} -> ${name}`)
  );
  assertEquals(upward, []);
});

Deno.test("no published modules import each other in a circle", () => {
  assertEquals(circles(modules), []);
});

Deno.test("every published module keeps to its room", () => {
  const over = Object.entries(ROOMS)
    .filter(([path]) => modules.some((module) => module.path === path))
    .map(([path, room]) => ({ path, lines: lineCount(path), most: OVER_BUDGET[path] ?? room }))
    .filter(({ lines, most }) => lines > most.lines)
    .map(({ path, lines, most }) => `${path}: ${lines} lines, not ${most.lines}`);
  assertEquals(over, []);
});

Deno.test("a reason to be over the budget is given only where one is needed", () => {
  const idle = Object.keys(OVER_BUDGET).filter((path) => lineCount(path) <= ROOMS[path].lines);
  assertEquals(idle, []);
});

Deno.test(`no published function is over ${LONGEST_FUNCTION} lines`, () => {
  const long = modules.flatMap(({ path, functions }) =>
    functions.filter(({ lines }) => lines > LONGEST_FUNCTION)
      .map(({ line, lines }) => `${path}:${line}: ${lines} lines`)
  );
  assertEquals(long, []);
});

Deno.test("no file names a registry's host", () => {
  const hosts = REGISTRIES.map((host) => host.replace(".", "\\.")).join("|");
  assertEquals(places(new RegExp(`\\b(${hosts})\\b`)), []);
});

Deno.test("no file names a folder of one machine", () => {
  assertEquals(places(MACHINE_PATH), []);
});

Deno.test("the README's two commands run the same version of deno", () => {
  const commands = readText("README.md").matchAll(
    /^npx -y deno@(\d+\.\d+\.\d+) task (demo|test)$/gm,
  );
  const versions = [...commands].map(([_, version, task]) => ({ version, task }));
  assertEquals(versions.map(({ task }) => task).sort(), ["demo", "test"]);
  assertEquals(versions[0].version, versions[1].version);
});

Deno.test("only the README pins the version of deno", () => {
  const pins = places(/\bdeno@v?\d/);
  assert(pins.length > 0);
  assertEquals(pins.filter((place) => !place.startsWith("README.md:")), []);
});
