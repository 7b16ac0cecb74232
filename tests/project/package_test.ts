/**
 * What each entry point of the package loads.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { gzipSync } from "node:zlib";
import { readText, ROOT } from "../helpers/project.ts";
import { stdFrom } from "../std_offline/run.ts";

/** The modules that are loaded with an entry point: imports of types alone load none, `import()` none yet. */
function loaded(entry: string): { modules: Set<string>; packages: Set<string> } {
  const modules = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (modules.has(path)) return;
    modules.add(path);
    for (const [, clause, name] of readText(path).matchAll(STATIC)) {
      const isOfTypes = /^type\b/.test(clause) ||
        (/^\{[\s\S]*\}$/.test(clause.trim()) &&
          names(clause).every((name) => name.startsWith("type ")));
      if (isOfTypes) continue;
      if (!name.startsWith(".")) packages.add(name);
      else visit(new URL(name, new URL(path, ROOT)).href.slice(ROOT.href.length));
    }
  };
  visit(entry);
  return { modules, packages };
}

const STATIC = /^(?:import|export)\s+([^;"]*?)\s+from\s+"([^"]+)"/gm;

function names(clause: string): string[] {
  return clause.trim().slice(1, -1).split(",").map((name) => name.trim()).filter((name) =>
    name !== ""
  );
}

const { exports } = JSON.parse(readText("deno.json")) as { exports: Record<string, string> };

Deno.test("the package has an entry point for each thing that is wanted alone", () => {
  assertEquals(exports, {
    ".": "./mod.ts",
    "./errors": "./errors.ts",
    "./headers": "./headers.ts",
    "./status": "./status.ts",
  });
});

for (const name of ["./errors", "./status"]) {
  Deno.test(`${name} loads one module`, () => {
    assertEquals(loaded(exports[name].slice(2)).modules.size, 1);
  });
}

Deno.test("./headers loads nothing that knows connections, and no package", () => {
  const { modules, packages } = loaded("headers.ts");
  const above = [...modules].filter((path) => path.startsWith("_internal/exchange/"));
  assertEquals([above, [...packages]], [[], []]);
  assert(modules.size < 15, `${modules.size} modules`);
});

Deno.test("importing the package loads no module of Node's, no decoder and no package but @std/io", () => {
  const { modules, packages } = loaded("mod.ts");
  for (
    const path of [
      "_internal/net/node_sockets.ts",
      "_internal/net/identity.ts",
      "_internal/content/undo.ts",
    ]
  ) {
    assertEquals(modules.has(path), false, path);
    assert(readText(path).length > 0);
  }
  assertEquals([...packages].filter((name) => !name.startsWith("@std/io")), []);
});

Deno.test("the entry points give what the package gives", async () => {
  const whole = await import("@denoports/http-client") as Record<string, unknown>;
  const parts: Record<string, unknown>[] = [
    await import("@denoports/http-client/errors"),
    await import("@denoports/http-client/headers"),
    await import("@denoports/http-client/status"),
  ];
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) {
      if (name !== "messageOf") assert(whole[name] === value, name);
    }
  }
});

/** An entry point as one minified file, with what it loads later. */
async function bundled(entry: string): Promise<Uint8Array> {
  const map = new URL("tests/std_offline/import_map.json", ROOT);
  const file = await Deno.makeTempFile({ suffix: ".js" });
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--minify",
      "--platform=deno",
      ...(await stdFrom() === "stand_ins" ? [`--import-map=${map}`] : []),
      `--output=${file}`,
      new URL(entry, ROOT).href,
    ],
  }).output();
  const bytes = await Deno.readFile(file);
  await Deno.remove(file);
  assert(success, new TextDecoder().decode(stderr));
  return bytes;
}

/** The most that each may be, in KiB: minified, and that by gzip. What grows beyond has a reason, or goes. */
const SIZES: Record<string, [minified: number, gzip: number, modules: number]> = {
  ".": [160.4, 57, 50],
  "./headers": [24, 9.1, 14],
  "./errors": [3.2, 1.4, 1],
  "./status": [6, 2.5, 1],
};

for (const [name, [minified, gzip, count]] of Object.entries(SIZES)) {
  Deno.test(`${name} loads no more than ${count} modules`, () => {
    const { size } = loaded(exports[name].slice(2)).modules;
    assert(size <= count && size > 0.8 * count, `${size} modules`);
  });

  Deno.test({
    name: `${name} is ${minified} KiB at most, ${gzip} by gzip (with a package of npm)`,
    ignore: !Deno.env.get("CI"),
    fn: async () => {
      const bytes = await bundled(exports[name].slice(2));
      const sizes = [bytes.length, gzipSync(bytes).length].map((size) => size / 1024);
      assert(sizes[0] <= minified && sizes[1] <= gzip, `${sizes.map((size) => size.toFixed(1))}`);
      assert(sizes[0] > 0.75 * minified, "The limit is too large");
    },
  });
}

Deno.test({
  name:
    "a bundle in one file loads no module of Node's before it is needed (with a package of npm)",
  ignore: !Deno.env.get("CI"),
  fn: async () => {
    const text = new TextDecoder().decode(await bundled("mod.ts"));
    assert(/\bimport\("node:net"\)/.test(text));
    assertEquals(text.match(/\b(?:from|import) ?"node:[^"]*"/g), null);
  },
});

Deno.test({
  name: "the WebAssembly module is the one built from its text (with a package of npm)",
  ignore: !Deno.env.get("CI"),
  fn: async () => {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-config",
        "--allow-all",
        new URL("tests/project/build_wasm.ts", ROOT).href,
        "--check",
      ],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  },
});

/** What `deno doc` tells of a symbol, as far as it is looked at. */
interface Declaration {
  kind: string;
  jsDoc?: { tags?: { kind: string; doc?: string }[] };
  def?: { properties?: { name: string }[] };
}

/** The public symbols with their doc comments. */
async function documented(): Promise<{ name: string; declarations: Declaration[] }[]> {
  const map = new URL("tests/std_offline/import_map.json", ROOT);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "doc",
      "--json",
      ...(await stdFrom() === "stand_ins" ? [`--import-map=${map}`] : []),
      new URL("mod.ts", ROOT).href,
    ],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
  return (Object.values(nodes) as { symbols: { name: string; declarations: Declaration[] }[] }[])
    .flatMap(({ symbols }) => symbols);
}

Deno.test("every public class and function has an example with a title, and every symbol a category", async () => {
  const symbols = await documented();
  assert(symbols.length > 100);
  const wrong = symbols.flatMap(({ name, declarations }) =>
    declarations.flatMap(({ kind, jsDoc }) => {
      const tags = jsDoc?.tags ?? [];
      const isShown = tags.some(({ kind, doc }) =>
        kind === "example" && /^\w[^\n]*\n\s*```ts\n/.test(doc ?? "")
      );
      // `@std/io` has its own.
      if (kind === "reference" || ["Reader", "Writer"].includes(name)) return [];
      return [
        ...(/class|function/.test(kind) && !isShown ? [`${name}: no example`] : []),
        ...(tags.some(({ kind }) => kind === "category") ? [] : [`${name}: no category`]),
      ];
    })
  );
  assertEquals(wrong, []);
});

Deno.test("every option stands in an example with a title", async () => {
  const options = (await documented()).flatMap(({ name, declarations }) =>
    declarations.filter(({ kind }) =>
      kind === "interface" && /(Options|^Deadlines|^Limits|Context)$/.test(name)
    ).flatMap(({ jsDoc, def }) => {
      const examples = (jsDoc?.tags ?? []).filter(({ kind }) => kind === "example")
        .map(({ doc }) => doc ?? "").join("\n");
      return (def?.properties ?? []).map((property) => ({
        name: `${name}.${property.name}`,
        isShown: new RegExp(`\\b${property.name}\\b`).test(examples),
      }));
    })
  );
  assert(options.length > 45, `${options.length} options`);
  assertEquals(options.filter(({ isShown }) => !isShown).map(({ name }) => name), []);
});

Deno.test("the page about connections has every event of a trace, with all that it has", () => {
  const source = readText("_internal/exchange/trace.ts");
  const events = [...source.matchAll(/\| \{ type: "(\w+)"(.*) \}$/gm)].map(([, type, fields]) => [
    type,
    [...fields.matchAll(/; (\w+):/g)].map(([, name]) => name),
  ]);
  assert(events.length > 10);
  const rows = [...readText("examples/CONNECTIONS.md").matchAll(/^\| `(\w+)` +\| (.+?) +\|$/gm)]
    .map(([, type, text]) => [type, [...text.matchAll(/`(\w+)`/g)].map(([, name]) => name)]);
  const types = events.map(([type]) => type);
  assertEquals(rows.filter(([type]) => types.includes(type)), events);
});
