/**
 * The report of conformance: each row has a test that exists, and the file is up to date.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { readText } from "../helpers/project.ts";
import { report } from "./report.ts";
import { REQUIREMENTS } from "./requirements.ts";

Deno.test("each requirement names a test that exists", () => {
  const missing = REQUIREMENTS.filter(({ test: [file, name] }) => {
    const source = readText(file);
    return name === "" || !['"', "'", "`"].some((quote) => source.includes(quote + name));
  });
  assertEquals(missing.map(({ section, test }) => `${section}: ${test.join(": ")}`), []);
});

Deno.test("a requirement that is not kept says why", () => {
  const silent = REQUIREMENTS.filter(({ verdict, note }) =>
    note === "" && ["kept by default", "not applicable", "not kept"].includes(verdict)
  );
  assertEquals(silent, []);
});

/** Without what `deno fmt` changes: the width of cells. */
function plain(markdown: string): string {
  return markdown.replace(/[ -]*\|[ -]*/g, "|").replace(/\s+/g, " ").trim();
}

Deno.test("REPORT.md is what report() makes", () => {
  assertEquals(plain(readText("tests/conformance/REPORT.md")), plain(report()));
});
