/**
 * A record of an exchange in the manner of a HAR file, from `trace` and `timings`.
 *
 *     deno run --allow-net examples/har.ts
 *
 * @module
 */
import { HTTPConnection, type HTTPResponse, type TraceEvent } from "@denoports/http-client";
import { assertEquals } from "@std/assert";

let events: TraceEvent[] = [];

/** The entry of a response that was read to its end. */
function entry(response: HTTPResponse) {
  const { start, connected, secured, sent, head, end } = response.timings;
  const find = <T extends TraceEvent["type"]>(type: T) =>
    events.find((event) => event.type === type) as Extract<TraceEvent, { type: T }>;
  const between = (from: number | null, to: number | null) =>
    from === null || to === null ? -1 : Number((to - from).toFixed(3));
  return {
    startedDateTime: new Date(performance.timeOrigin + start).toISOString(),
    time: between(start, end),
    request: { method: find("requestStart").method, url: response.url },
    response: {
      status: response.status,
      statusText: response.reason,
      httpVersion: `HTTP/1.${response.version - 10}`,
      headers: response.getheaders().map(([name, value]) => ({ name, value })),
      bodySize: find("responseEnd").total,
    },
    serverIPAddress: find("connected")?.address,
    timings: {
      connect: between(start, secured ?? connected),
      ssl: between(connected, secured),
      send: between(secured ?? connected ?? start, sent),
      wait: between(sent, head),
      receive: between(head, end),
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
assertEquals(entries[0].serverIPAddress, "127.0.0.1");
// The second request went out on the connection of the first.
assertEquals(entries.map(({ timings }) => timings.connect >= 0), [true, false]);
