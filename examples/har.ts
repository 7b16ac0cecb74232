/**
 * A record of an exchange in the manner of a HAR file, from `trace` and `timings`.
 *
 *     deno run -A examples/har.ts
 *
 * @module
 */
import { HTTPConnection, type HTTPResponse, type TraceEvent } from "@denoports/http-client";
import { assertEquals } from "@std/assert";

let events: TraceEvent[] = [];
const find = <T extends TraceEvent["type"]>(type: T) =>
  events.find((event) => event.type === type) as Extract<TraceEvent, { type: T }> | undefined;

/** The entry of a response that was read to its end. */
function entry(response: HTTPResponse) {
  const { start, connected, secured, sent, head, end } = response.timings;
  const ms = (from: number | null, to: number | null) => from && to ? to - from : -1;
  return {
    startedDateTime: new Date(performance.timeOrigin + start).toISOString(),
    time: ms(start, end),
    request: { method: find("requestStart")?.method, url: response.url },
    response: {
      status: response.status,
      headers: response.getheaders().map(([name, value]) => ({ name, value })),
      bodySize: find("responseEnd")?.total,
    },
    timings: {
      connect: ms(start, secured ?? connected),
      ssl: ms(connected, secured),
      send: ms(secured ?? connected ?? start, sent),
      wait: ms(sent, head),
      receive: ms(head, end),
    },
  };
}

await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));

using conn = new HTTPConnection("127.0.0.1", server.addr.port, {
  trace: (event) => void events.push(event),
});
const entries = [];
for (const path of ["/first", "/second"]) {
  events = [];
  await conn.request("GET", path);
  const response = await conn.getresponse();
  await response.read();
  entries.push(entry(response));
}
console.log(JSON.stringify({ log: { version: "1.2", entries } }, null, 2));

assertEquals(entries.map(({ request }) => new URL(request.url).pathname), ["/first", "/second"]);
assertEquals(entries.map(({ response }) => response.bodySize), [5, 5]);
// The second request went out on the connection of the first.
assertEquals(entries.map(({ timings }) => timings.connect >= 0), [true, false]);
