/**
 * Server-sent events with `npm:eventsource-parser`: reconnects as the HTML standard says, with
 * `Last-Event-ID`, after the time of the stream's `retry` field. Without arguments it checks itself.
 *
 *     deno run -A examples/sse.ts
 *     deno run -A examples/sse.ts https://example.com/events
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { HTTPConnection, HTTPSConnection, isExchangeError } from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";
import type { EventSourceMessage } from "npm:eventsource-parser@3";
import { EventSourceParserStream } from "npm:eventsource-parser@3/stream";

/** What a server may ask for as the time before a reconnection, in milliseconds. */
const MIN_RETRY = 100;
const MAX_RETRY = 60_000;
/** Characters of one event. */
const MAX_EVENT = 1 << 20;

/** Field values are bytes, a character each; an event's ID is sent in UTF-8. */
function utf8Field(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}

/**
 * The events of a URL, over as many connections as it takes, until the server answers 204. Any other
 * status than 200, another media type and an event over the limit are errors and end it.
 */
async function* eventsOf(
  url: URL,
  { signal, idle = 60 }: { signal?: AbortSignal; idle?: number } = {},
): AsyncGenerator<EventSourceMessage> {
  let lastEventId = "";
  let retry = 3000;
  let failures = 0;
  const Connection = url.protocol === "https:" ? HTTPSConnection : HTTPConnection;
  // A server sends comments to keep a stream alive, so one that is idle for long is dead.
  using conn = new Connection(new URL(url.origin), {
    deadlines: { connect: 10, tls: 10, head: 30, bodyIdle: idle },
  });
  for (;;) {
    try {
      const headers: Record<string, string> = { "Accept": "text/event-stream" };
      if (lastEventId !== "") headers["Last-Event-ID"] = utf8Field(lastEventId);
      await conn.request("GET", url, null, headers, { signal });
      const response = await conn.getresponse();
      if (response.status === 204) return;
      const type = response.headers.get_content_type();
      if (response.status !== 200 || type !== "text/event-stream") {
        throw new Error(`No event stream: ${response.status} ${response.reason}, ${type}`);
      }
      const events = response.pipeThrough(new TextDecoderStream()).pipeThrough(
        new EventSourceParserStream({
          onRetry: (ms) => retry = Math.min(Math.max(ms, MIN_RETRY), MAX_RETRY),
          maxBufferSize: MAX_EVENT,
        }),
      );
      for await (const event of events) {
        failures = 0;
        lastEventId = event.id ?? lastEventId;
        yield event;
      }
    } catch (error) {
      // A network failure is retried; an abort and an answer that is no event stream are not.
      if (!isExchangeError(error)) throw error;
      failures++;
    }
    conn.close();
    const ms = Math.min(retry * 2 ** failures, MAX_RETRY);
    await delay(ms, undefined, { signal }).catch(() => signal!.throwIfAborted());
  }
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n";
    const snowman = new TextEncoder().encode("event: weather\ndata: ☃\nid: ☃1\n\n");
    if (peer.index === 0) {
      await peer.send(`${head}\r\nretry: 1\n\n: alive\n\ndata: one\ndata: two\nid: 1\n\n`);
    } else if (peer.index === 1) { // cut off within an event
      await peer.send(`${head}Content-Length: 1000\r\n\r\n`, snowman.subarray(0, 22));
      await peer.send(snowman.subarray(22), "data: never\n");
    } else if (peer.index === 2) {
      await peer.send("HTTP/1.1 204 No Content\r\n\r\n");
    } else if (peer.index === 3) { // an event without an end
      await peer.send(`${head}\r\n`);
      for (;;) await peer.send("data: ".padEnd(65536, "x"));
    } else {
      await peer.send(`${head}\r\ndata: last\n\n`);
      await peer.eof();
    }
  });
  const url = new URL(`http://127.0.0.1:${server.port}/events`);
  const events = await Array.fromAsync(eventsOf(url));
  assertEquals(events.map(({ event, data, id }) => [event, data, id]), [
    [undefined, "one\ntwo", "1"],
    ["weather", "☃", "☃1"],
  ]);
  const ids = server.requests.map((head) => /^Last-Event-ID: (.*)\r$/m.exec(head)?.[1]);
  assertEquals(ids, [undefined, "1", utf8Field("☃1")]);

  await assertRejects(() => Array.fromAsync(eventsOf(url)), Error, "max");

  const controller = new AbortController();
  const reason = new Error("enough");
  const aborted = (async () => {
    for await (const _event of eventsOf(url, controller)) controller.abort(reason);
  })();
  assertEquals(await aborted.catch((error) => error), reason);
  console.log("checked: events, reconnections with Last-Event-ID, the limit, an abort");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  else for await (const event of eventsOf(new URL(Deno.args[0]))) console.log(event);
}
