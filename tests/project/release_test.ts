/**
 * What a release and its documents promise: versions that agree, and tests that exist.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { readText } from "../helpers/project.ts";
import { mismatches } from "./release_check.ts";

const CONFIG = '{ "version": "1.2.3" }';
const RELEASED = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-31\n\n- New.\n";

Deno.test("mismatches() is empty when tag, configuration and changelog agree", () => {
  assertEquals(mismatches("v1.2.3", CONFIG, RELEASED), []);
});

const WRONG: [what: string, tag: string, changelog: string][] = [
  ["another tag", "v1.2.4", RELEASED],
  ["a tag without a v", "1.2.3", RELEASED],
  ["a changelog without the version", "v1.2.3", RELEASED.replace("1.2.3", "1.2.2")],
  ["a section without a date", "v1.2.3", RELEASED.replace(" - 2026-01-31", "")],
  ["changes that are not released", "v1.2.3", RELEASED.replace("ed]\n", "ed]\n\n- More.\n")],
];

for (const [what, tag, changelog] of WRONG) {
  Deno.test(`mismatches() tells of ${what}`, () => {
    assertEquals(mismatches(tag, CONFIG, changelog).length, 1);
  });
}

Deno.test("SECURITY.md names tests that exist", () => {
  const rows = [...readText("SECURITY.md").matchAll(/\| `(tests\/[^`]+)`: (.*?) *\|$/gm)];
  assert(rows.length > 20, `${rows.length} rows`);
  const missing = rows.filter(([, file, name]) => !readText(file).includes(`"${name}`));
  assertEquals(missing.map(([, file, name]) => `${file}: ${name}`), []);
});
