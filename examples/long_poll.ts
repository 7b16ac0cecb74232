/**
 * Long polling: the server holds each request until it has something to say. A deadline over the whole
 * exchange ends a request that is held for too long, even if the server sends a byte now and then; a signal
 * ends the loop. Without arguments it checks itself.
 *
 *     deno run -A examples/long_poll.ts
 *     deno run -A examples/long_poll.ts http://127.0.0.1:8080/updates
 *
 * The server answers `GET ?after=CURSOR` with `{ "cursor": "...", "items": [...] }`, or 204 for none.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { HTTPConnection, HTTPSConnection, isExchangeError } from "@denoports/http-client";
import { assertEquals } from "@std/assert";

interface Updates {
  cursor: string;
  items: unknown[];
}

interface PollOptions {
  signal?: AbortSignal;
  /** How long the server may hold a request, in seconds; sent as `Prefer: wait` (RFC 7240, Section 4.3). */
  wait?: number;
  /** How long an exchange may take beyond that, in seconds. */
  grace?: number;
}

/** The updates of a URL, until the signal is aborted, whose reason is thrown then. */
async function* poll(url: URL, options: PollOptions = {}): AsyncGenerator<unknown> {
  const { signal, wait = 30, grace = 10 } = options;
  const Connection = url.protocol === "https:" ? HTTPSConnection : HTTPConnection;
  // One connection for all requests; after a failure the next one opens another.
  using conn = new Connection(new URL(url.origin), {
    deadlines: { connect: 10, tls: 10, total: wait + grace },
    maxBodyBytes: 1 << 20,
  });
  const target = new URL(url);
  for (let failures = 0;;) {
    let updates: Updates | null = null;
    try {
      await conn.request("GET", target, null, { "Prefer": `wait=${wait}` }, { signal });
      const response = await conn.getresponse();
      if (response.status === 200) updates = await response.json<Updates>();
      else if (response.status === 204) failures = 0;
      else if (response.status !== 429 && response.status < 500) {
        throw new Error(`The server answered ${response.status} ${response.reason}`);
      } else failures++;
      await response.drain();
    } catch (error) {
      // A deadline, a lost connection or a broken answer; the reason of an abort is no such error.
      if (!isExchangeError(error)) throw error;
      failures++;
    }
    if (updates !== null) {
      failures = 0;
      // The cursor moves only once an answer was read whole: a lost connection loses no updates.
      target.searchParams.set("after", updates.cursor);
      yield* updates.items;
    }
    if (failures > 0) {
      const limit = Math.min(500 * 2 ** failures, 60_000);
      const ms = limit / 2 + Math.random() * limit / 2;
      await delay(ms, undefined, { signal }).catch(() => signal!.throwIfAborted());
    }
  }
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const held = Promise.withResolvers<void>();
  const json = (updates: Updates) => {
    const text = JSON.stringify(updates);
    return `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
  };
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    if (peer.index === 0) {
      await peer.send(json({ cursor: "1", items: ["a", "b"] }));
      await peer.readRequest(); // on the same connection
      await peer.send("HTTP/1.1 204 No Content\r\n\r\n");
      await peer.readRequest();
      return await peer.sendSlow("HTTP/1.1 200 OK\r\nX: ".padEnd(10_000, "x"), { ms: 20 });
    }
    await peer.send(json({ cursor: "2", items: ["c"] }));
    await peer.readRequest();
    held.resolve(); // It has nothing to say any more.
    await peer.eof();
  });
  const controller = new AbortController();
  const { signal } = controller;
  held.promise.then(() => controller.abort(new Error("no longer wanted")));

  const items: unknown[] = [];
  let end: unknown;
  const url = new URL(`http://127.0.0.1:${server.port}/updates`);
  try {
    for await (const item of poll(url, { signal, wait: 0.3, grace: 0.2 })) items.push(item);
  } catch (error) {
    end = error;
  }
  assertEquals([items, end], [["a", "b", "c"], signal.reason]);
  const targets = server.requests.map((head) => head.split(" ")[1].replace("/updates", ""));
  assertEquals(targets, ["", "?after=1", "?after=1", "?after=1", "?after=2"]);
  assertEquals(server.accepted, 2);
  console.log("checked: three updates, a deadline against a slow answer, an abort");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  else for await (const item of poll(new URL(Deno.args[0]))) console.log(item);
}
