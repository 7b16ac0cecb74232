/**
 * Prints the report of conformance; `report.ts --write` writes it to `REPORT.md`.
 *
 * @module
 */
import { REQUIREMENTS, type Verdict } from "./requirements.ts";

const VERDICTS: Verdict[] = [
  "kept",
  "kept by default",
  "left to the caller",
  "not applicable",
  "not kept",
];

/** The report, as Markdown. */
export function report(): string {
  const counts = VERDICTS.map((verdict) =>
    `${REQUIREMENTS.filter((row) => row.verdict === verdict).length} ${verdict}`
  );
  const rows = REQUIREMENTS.map(({ section, level, what, verdict, note, test: [file, name] }) => {
    const shown = name.replace(/\$\{[^}]*\}?/g, "...").trim();
    const cells = [section, level, what, verdict, note, `\`${file}\`: ${shown}`];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return [
    "# Conformance",
    "",
    "What RFC 9110 and RFC 9112 ask of a client or a user agent, how this library stands to it, and the",
    "test that shows it. Made by `deno task conformance --write` from `requirements.ts`; a test checks",
    "that it is up to date and that each test exists. What a document states without a keyword, as how",
    "the length of a body is found (RFC 9112, Section 6.3), stands as MUST.",
    "",
    `${REQUIREMENTS.length} requirements: ${counts.join(", ")}.`,
    "",
    "| section | level | what | here | by what, or why | test |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

if (import.meta.main) {
  const text = report();
  if (Deno.args.includes("--write")) {
    const path = new URL("REPORT.md", import.meta.url);
    await Deno.writeTextFile(path, text);
    await new Deno.Command(Deno.execPath(), { args: ["fmt", "-q", path.pathname] }).output();
  } else console.log(text);
}
