import { assert, assertEquals } from "@std/assert";
import { FEWEST, grown, type Sample } from "./flat.ts";
import { soak } from "./run.ts";

/** The same requests each time. */
const SEED = 7;
const WORKERS = 6;
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

Deno.test("a soak of three seconds finds nothing wrong and leaves no descriptor behind", async () => {
  const { tally, problems } = await soak(3, SEED, WORKERS, () => {});
  assertEquals(problems, []);
  assert(tally.requests > 50, `only ${tally.requests} requests were made`);
  assert(tally.bytes > 0);
});

Deno.test("grown() tells of memory and descriptors that grow, and of nothing else", () => {
  assertEquals(grown(growing({})), []);
  assertEquals(grown(growing({ heapUsed: 1 << 20 })).length, 1);
  assertEquals(grown(growing({ rss: 10 << 20, descriptors: 1 })).length, 2);
});
