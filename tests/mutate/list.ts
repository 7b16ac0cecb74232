/**
 * Writes the mutants of modules as JSON. It is run by `deno test`, as the parser is only there:
 * `deno test -A tests/mutate/list.ts -- OUT MODULE...`, from the project's folder.
 *
 * @module
 */

import { publishedModules } from "../helpers/project.ts";
import { findMutants, findStringSets } from "./mutants.ts";

Deno.test("lists the mutants", async () => {
  const [out, ...modules] = Deno.args;
  const sources = new Map<string, string>();
  for (const path of publishedModules()) sources.set(path, await Deno.readTextFile(path));
  const sets = [...sources].flatMap(([path, source]) => findStringSets(path, source));
  const mutants = modules.flatMap((path) => findMutants(path, sources.get(path)!, sets));
  await Deno.writeTextFile(out, JSON.stringify(mutants));
});
