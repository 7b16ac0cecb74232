/**
 * The tour that other runtimes take, on this one.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { tour } from "./tour.ts";
import { startTourServer } from "./tour_server.ts";

Deno.test("the tour of the runtimes passes here", async () => {
  await using server = await startTourServer();
  const { passed, failed } = await tour({ host: server.hostname, port: server.port });
  assertEquals([failed, passed.length], [[], 17]);
});
