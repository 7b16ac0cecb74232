import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { Child, until } from "../servers/child.ts";
import { importMap } from "../sweep/sweep.ts";
import { FEWEST, grown, type Sample } from "./flat.ts";

/** The same requests each time. */
const OPTIONS = ["--seconds", "3", "--seed", "7", "--workers", "6"];
/** What there is at first, as a sample. */
const USUAL: Sample = { rss: 100 << 20, heapUsed: 10 << 20, descriptors: 30 };

/** Samples that begin as usual, and of which each next one has so much more. */
function growing(more: Partial<Sample>): Sample[] {
  return Array.from({ length: FEWEST }, (_, i) => ({
    rss: USUAL.rss + i * (more.rss ?? 0),
    heapUsed: USUAL.heapUsed + i * (more.heapUsed ?? 0),
    descriptors: USUAL.descriptors + i * (more.descriptors ?? 0),
  }));
}

// In a process of its own: others open and close descriptors in this one.
Deno.test("a soak of three seconds finds nothing wrong and leaves no descriptor behind", async () => {
  const script = fileURLToPath(new URL("run.ts", import.meta.url));
  await using child = new Child(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-lock", ...importMap(), script, ...OPTIONS],
  });
  await until("the soak to end", () => !child.running);
  assertStringIncludes(child.output, "Nothing wrong, memory and descriptors flat");
  const requests = Number(/(\d[\d,]*) requests/.exec(child.output)?.[1].replaceAll(",", ""));
  assert(requests > 50, child.output);
});

Deno.test("grown() tells of memory and descriptors that grow, and of nothing else", () => {
  assertEquals(grown(growing({})), []);
  assertEquals(grown(growing({ heapUsed: 1 << 20 })).length, 1);
  assertEquals(grown(growing({ rss: 10 << 20, descriptors: 1 })).length, 2);
});
