/**
 * Reads that are ended by an abort, a close or dispose while they run: they settle at once, with bytes of
 * the body or an error, and never freeze the process.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { FRAMINGS, type Told } from "../helpers/ended_reads.ts";

const WORKER = new URL("../helpers/ended_reads_worker.ts", import.meta.url);

/** How long a case may take, in milliseconds: on a busy machine its worker is slow to start. */
const PATIENCE = 60_000;

/** Runs the cases of a framing in a worker of their own, and checks each. */
function run(framing: string, check: (told: Exclude<Told, "over" | { begun: string }>) => void) {
  return new Promise<void>((resolve, reject) => {
    const worker = new Worker(WORKER, { type: "module", name: framing });
    let last = "the start";
    const finish = (error?: Error) => {
      clearTimeout(timer);
      worker.terminate();
      if (error === undefined) resolve();
      else reject(error);
    };
    const stuck = () => finish(new Error(`Nothing was told for ${PATIENCE} ms after: ${last}`));
    let timer = setTimeout(stuck, PATIENCE);
    worker.onerror = (event) => {
      event.preventDefault();
      finish(new Error(event.message));
    };
    worker.onmessage = ({ data }: MessageEvent<Told>) => {
      clearTimeout(timer);
      timer = setTimeout(stuck, PATIENCE);
      if (data === "over") return finish();
      if ("begun" in data) return void (last = data.begun);
      try {
        check(data);
      } catch (error) {
        finish(error as Error);
      }
    };
  });
}

for (const framing of Object.keys(FRAMINGS)) {
  Deno.test(`every read settles with bytes of the body or an error when it is ended in any microtask (${framing})`, async () => {
    let count = 0;
    await run(framing, ({ name, bytes, error }) => {
      count++;
      assert("abc".startsWith(bytes), `${name}: it gave ${JSON.stringify(bytes)}`);
      // A call that counts may have given what had come, before the end or because of it.
      if (error === null) assertEquals(bytes, "abc", name);
      else if (name.includes("an abort")) assertEquals(error, "Error: enough", name);
      else assert(error.startsWith("Interrupted: "), `${name}: it threw ${error}`);
    });
    assert(count > 300);
  });
}
