/**
 * Says whether a tag, `deno.json` and `CHANGELOG.md` tell of the same version: `release_check.ts v0.1.0`.
 *
 * @module
 */

/** What keeps a tag from being released; empty where nothing does. */
export function mismatches(tag: string, config: string, changelog: string): string[] {
  const { version } = JSON.parse(config) as { version: string };
  const wrong: string[] = [];
  if (tag !== `v${version}`) wrong.push(`The tag is ${tag}, and deno.json has ${version}`);
  const headings = [...changelog.matchAll(/^## \[([^\]]+)\](.*)$/gm)];
  const newest = headings.find(([, name]) => name !== "Unreleased");
  if (newest === undefined || newest[1] !== version) {
    wrong.push(`The newest section of CHANGELOG.md is ${newest?.[1] ?? "missing"}, not ${version}`);
  } else if (!/^ - \d{4}-\d{2}-\d{2}$/.test(newest[2])) {
    wrong.push(`The section of ${version} in CHANGELOG.md has no date`);
  }
  const unreleased = /^## \[Unreleased\]\n([\s\S]*?)(?=^## \[|(?![\s\S]))/m.exec(changelog)?.[1] ??
    "";
  if (unreleased.trim() !== "") wrong.push("CHANGELOG.md tells of changes that are not released");
  return wrong;
}

if (import.meta.main) {
  const read = (name: string) => Deno.readTextFile(new URL(`../../${name}`, import.meta.url));
  const wrong = mismatches(Deno.args[0] ?? "", await read("deno.json"), await read("CHANGELOG.md"));
  for (const line of wrong) console.error(line);
  Deno.exit(wrong.length === 0 ? 0 : 1);
}
