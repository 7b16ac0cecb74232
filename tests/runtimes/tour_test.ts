/**
 * The tour that other runtimes take, and the features that are tried there, on this one.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { probe } from "./features.ts";
import { tour } from "./tour.ts";
import { startServers, startTourServer } from "./tour_server.ts";

Deno.test("the tour of the runtimes passes here", async () => {
  await using server = await startTourServer();
  const { passed, failed } = await tour({ host: server.hostname, port: server.port });
  assertEquals([failed, passed.length], [[], 17]);
});

Deno.test("every feature that other runtimes may lack works here", async () => {
  await using servers = await startServers();
  const { HTTPS: byDefault, ...answers } = await probe(servers);
  // Nothing has told this process to trust the authority.
  assertMatch(byDefault, /^no: InvalidData: .* its issuer is not trusted/);
  assertEquals(Object.values(answers), Array(9).fill("yes"));
});
