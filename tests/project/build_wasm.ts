/**
 * Makes the binary of the WebAssembly module in `_internal/wire/` from its text: `deno task wasm`. Needs the
 * npm registry.
 *
 * @module
 */
// deno-lint-ignore no-import-prefix
import wabt from "npm:wabt@1.0.37";

const TEXT = new URL("../../_internal/wire/small_chunks.wat", import.meta.url);
const MODULE = new URL("../../_internal/wire/small_chunks.ts", import.meta.url);
const BINARY = /(?<=const BINARY =\n)[^;]*/;
/** How much of the binary stands in a line. */
const LINE = 90;

/** The source of the module with the binary of the text in it. */
async function built(): Promise<string> {
  const { parseWat } = await wabt();
  const parsed = parseWat("small_chunks.wat", await Deno.readTextFile(TEXT), { simd: true });
  const { buffer } = parsed.toBinary({});
  parsed.destroy();
  const base64 = btoa(String.fromCharCode(...buffer));
  const lines = base64.match(new RegExp(`.{1,${LINE}}`, "g"))!.map((line) => `  "${line}"`);
  return (await Deno.readTextFile(MODULE)).replace(BINARY, lines.join(" +\n"));
}

if (import.meta.main) {
  if (Deno.args[0] === "--check") {
    if (await built() === await Deno.readTextFile(MODULE)) Deno.exit(0);
    console.error("small_chunks.ts does not match small_chunks.wat: run deno task wasm");
    Deno.exit(1);
  }
  await Deno.writeTextFile(MODULE, await built());
}
