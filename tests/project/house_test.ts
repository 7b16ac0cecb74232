/**
 * Checks of the project itself: which module may import which, what the layers must not contain, and
 * what may not stand in any file.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  projectFiles,
  publishedFiles,
  publishedModules,
  readText,
  ROOT,
} from "../helpers/project.ts";

/**
 * The layers, from the top: a module imports from the layers below its own, or from its own folder.
 * Two that stand side by side do not import each other. An import of types alone counts, too.
 */
const LAYERS: readonly (readonly string[])[] = [
  ["mod.ts"],
  ["client.ts"],
  ["response.ts"],
  ["_internal/exchange/"],
  ["headers.ts"],
  ["_internal/net/", "_internal/content/"],
  ["_internal/wire/"],
  ["status.ts", "errors.ts"],
];

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
  /** The lines with an `async` function, an `await`, a `for await` or an `await using`. */
  asyncLines: number[];
  /** Every name in its code: of a value, a type, a property or a parameter. */
  names: Set<string>;
}

/** Parses a module with deno's own parser. */
function parse(path: string): Module {
  const source = readText(path);
  const module: Module = { path, imports: [], packages: [], asyncLines: [], names: new Set() };
  const addImport = (from: Deno.lint.Node | null): void => {
    if (from === null) return;
    const name = from.type === "Literal" ? String(from.value) : "(computed)";
    if (!/^\.\.?\//.test(name)) module.packages.push(name);
    else module.imports.push(new URL(name, new URL(path, ROOT)).href.slice(ROOT.href.length));
  };
  const addAsync = ({ range }: { range: Deno.lint.Range }): void => {
    module.asyncLines.push(source.slice(0, range[0]).split("\n").length);
  };
  const checkFunction = (node: { async: boolean; range: Deno.lint.Range }): void => {
    if (node.async) addAsync(node);
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
    FunctionDeclaration: checkFunction,
    FunctionExpression: checkFunction,
    ArrowFunctionExpression: checkFunction,
    AwaitExpression: addAsync,
    ForOfStatement: (node) => {
      if (node.await) addAsync(node);
    },
    VariableDeclaration: (node) => {
      if (node.kind === "await using") addAsync(node);
    },
    Identifier: ({ name }) => void module.names.add(name),
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

/** Where a module stands: the entry of `LAYERS` that it belongs to, and its layer counted from the top. */
function placeOf(path: string): { entry: string; layer: number } {
  const isAt = (entry: string) => entry.endsWith("/") ? path.startsWith(entry) : path === entry;
  const layer = LAYERS.findIndex((entries) => entries.some(isAt));
  return { entry: LAYERS[layer]?.find(isAt) ?? "none", layer };
}

/** Whether an import points down, or stays within a folder. */
function isAllowed(from: string, to: string): boolean {
  const [importer, imported] = [placeOf(from), placeOf(to)];
  return imported.layer > importer.layer || imported.entry === importer.entry;
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

Deno.test("a published module imports only published modules, Node's own and the @std packages", () => {
  const published = modules.map((module) => module.path);
  const wrong = modules.flatMap(({ path, imports, packages }) => [
    ...imports.filter((name) => !published.includes(name)).map((name) => `${path}: ${name}`),
    ...packages.filter((name) => !mayImport(name)).map((name) => `${path}: ${name}`),
  ]);
  assertEquals(wrong, []);
});

Deno.test("every published module belongs to a layer, and every layer has a module", () => {
  assertEquals(modules.filter(({ path }) => placeOf(path).layer < 0).map(({ path }) => path), []);
  const inhabited = new Set(modules.map(({ path }) => placeOf(path).entry));
  assertEquals([...inhabited].sort(), LAYERS.flat().sort());
});

Deno.test("a published module imports only from lower layers or its own folder", () => {
  const wrong = modules.flatMap(({ path, imports }) =>
    imports.filter((name) => !isAllowed(path, name)).map((name) => `${path} -> ${name}`)
  );
  assertEquals(wrong, []);
});

Deno.test("no published modules import each other in a circle", () => {
  assertEquals(circles(modules), []);
});

Deno.test("the wire layer neither awaits nor imports Node's modules", () => {
  const wire = modules.filter(({ path }) => path.startsWith("_internal/wire/"));
  const wrong = wire.flatMap(({ path, asyncLines, packages }) => [
    ...asyncLines.map((line) => `${path}:${line}: async or await`),
    ...packages.filter((name) => name.startsWith("node:")).map((name) => `${path}: ${name}`),
  ]);
  assertEquals(wrong, []);
});

Deno.test("no module below response.ts knows HTTPResponse", () => {
  const { layer } = placeOf("response.ts");
  const below = modules.filter(({ path }) => placeOf(path).layer > layer);
  const wrong = below.filter(({ names }) => names.has("HTTPResponse")).map(({ path }) => path);
  assertEquals(wrong, []);
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

// The README, and the pages that it leads to

const README_AND_PAGES = publishedFiles().filter((path) =>
  /^(README|examples\/\w+)\.md$/.test(path)
);

/** The text of a page without what stands in blocks of code. */
function prose(path: string): string {
  return readText(path).replace(/^```[^]*?^```$/gm, "");
}

/** The name that a heading has in a link, as GitHub makes it. */
function anchorOf(heading: string): string {
  return heading.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");
}

interface Link {
  from: string;
  /** From the project's folder; a folder ends in a slash. */
  to: string;
  anchor: string;
}

/** The relative links of a page. */
function linksOf(from: string): Link[] {
  const found = prose(from).matchAll(/\]\(([^)\s]+)\)/g);
  return [...found].map(([, target]) => target).filter((target) => !/^[a-z]+:/.test(target)).map(
    (target) => {
      const { href, hash } = new URL(target, new URL(from, ROOT));
      const to = href.slice(ROOT.href.length).replace(/#.*$/, "");
      return { from, to, anchor: hash.slice(1) };
    },
  );
}

Deno.test("the links of the published pages lead to files and headings that are there", () => {
  const files = projectFiles();
  const pages = publishedFiles().filter((path) => path.endsWith(".md"));
  const wrong = pages.flatMap(linksOf).filter(({ to, anchor }) => {
    if (!files.includes(to)) return true;
    if (anchor === "") return false;
    const headings = [...prose(to).matchAll(/^#+ (.+)$/gm)];
    return !headings.some(([, heading]) => anchorOf(heading) === anchor);
  });
  assertEquals(wrong, []);
});

Deno.test("what is shown on the package's page links only to files that are published", () => {
  const published = publishedFiles();
  const shown = ["README.md", "SECURITY.md", "CHANGELOG.md"];
  assertEquals(shown.flatMap(linksOf).filter(({ to }) => !published.includes(to)), []);
});

Deno.test("a cell of a table in the README and its pages has fewer than 15 words", () => {
  const wrong = README_AND_PAGES.flatMap((path) =>
    prose(path).split("\n").filter((line) => line.startsWith("|")).flatMap((line) =>
      line.split(" | ").filter((cell) => cell.match(/[^\s|]+/g)?.length! > 14)
    ).map((cell) => `${path}: ${cell}`)
  );
  assertEquals(wrong, []);
});
