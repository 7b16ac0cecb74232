/**
 * A Kubernetes watch: the list, then its changes as lines of JSON, without end. It resumes
 * from the last `resourceVersion` when the server ends the watch or the connection breaks, and lists again
 * when that version is gone (410). Without arguments it checks itself.
 *
 *     deno run -A examples/kubernetes_watch.ts
 *     kubectl proxy &
 *     deno run -A examples/kubernetes_watch.ts http://127.0.0.1:8001/api/v1/namespaces/default/pods
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import {
  HTTPConnection,
  type HTTPResponse,
  HTTPSConnection,
  isExchangeError,
} from "@denoports/http-client";
import { assertEquals } from "@std/assert";

interface KubernetesObject {
  metadata: { name: string; resourceVersion: string };
}
interface List {
  metadata: { resourceVersion: string; continue?: string };
  items: KubernetesObject[];
}
type Line =
  | { type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; object: KubernetesObject }
  | { type: "ERROR"; object: { code: number; message: string } };
/** A change; `LISTED` replaces everything that was known before. */
type Change =
  | { type: "LISTED"; objects: KubernetesObject[] }
  | { type: "ADDED" | "MODIFIED" | "DELETED"; object: KubernetesObject };

class StatusError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(`The server answered ${code}: ${message}`);
    this.code = code;
  }
}

interface WatchOptions {
  token?: string;
  signal?: AbortSignal;
  /** Milliseconds before the first new attempt after a failure. */
  backoff?: number;
}

const LF = 10;
const MAX_LINE = 8 << 20;
/** How long the server is to keep a watch, in seconds. */
const WATCH_SECONDS = 300;

async function* watch(url: URL, options: WatchOptions = {}): AsyncGenerator<Change> {
  const { token, signal, backoff = 1000 } = options;
  const Connection = url.protocol === "https:" ? HTTPSConnection : HTTPConnection;
  using conn = new Connection(new URL(url.origin), {
    // The server ends a watch by itself; a connection that is idle for longer than that is dead.
    deadlines: { connect: 10, tls: 10, head: 60, bodyIdle: WATCH_SECONDS + 30 },
    maxBodyBytes: 1 << 30, // of one list or watch
  });
  const get = async (query: Record<string, string>): Promise<HTTPResponse> => {
    const target = `${url.pathname}?${new URLSearchParams(query)}`;
    const headers: Record<string, string> = { "Accept": "application/json" };
    if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
    await conn.request("GET", target, null, headers, { signal });
    const response = await conn.getresponse();
    if (response.ok) return response;
    const message = new TextDecoder().decode(await response.read(65536));
    await response.drain();
    throw new StatusError(response.status, message);
  };

  let version: string | null = null;
  for (let failures = 0;;) {
    const start = performance.now();
    try {
      if (version === null) {
        const objects: KubernetesObject[] = [];
        let list: List | undefined;
        do {
          const more = list?.metadata.continue;
          list = await (await get({ limit: "500", ...(more ? { continue: more } : {}) })).json<
            List
          >();
          objects.push(...list.items);
        } while (list.metadata.continue);
        version = list.metadata.resourceVersion;
        yield { type: "LISTED", objects };
      }
      const response = await get({
        watch: "1",
        allowWatchBookmarks: "true",
        resourceVersion: version,
        timeoutSeconds: String(WATCH_SECONDS),
      });
      for (let line; (line = await response.readline(MAX_LINE)).length > 0;) {
        if (line.at(-1) !== LF) {
          if (line.length === MAX_LINE) throw new Error(`A line has over ${MAX_LINE} bytes`);
          continue; // The connection has broken within the line: the next read throws.
        }
        const event: Line = JSON.parse(new TextDecoder().decode(line));
        if (event.type === "ERROR") {
          response.close();
          throw new StatusError(event.object.code, event.object.message);
        }
        version = event.object.metadata.resourceVersion;
        failures = 0;
        if (event.type !== "BOOKMARK") yield { type: event.type, object: event.object };
      }
      // The server's own end of a watch; one that comes at once is taken for a failure.
      if (performance.now() - start > 1000) continue;
      failures = Math.max(failures, 1);
    } catch (error) {
      if (error instanceof StatusError && error.code === 410) version = null;
      else if (error instanceof StatusError && error.code !== 429 && error.code < 500) throw error;
      else if (!(error instanceof StatusError) && !isExchangeError(error)) throw error;
    }
    // Exponential, up to a minute, and not for all clients at the same time.
    const limit = Math.min(backoff * 2 ** failures++, 60_000);
    const ms = limit / 2 + Math.random() * limit / 2;
    await delay(ms, undefined, { signal }).catch(() => signal!.throwIfAborted());
  }
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const named = (name: string, resourceVersion: string) => ({
    metadata: { name, resourceVersion },
  });
  const event = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
  const list = (resourceVersion: string, items: object[], more = "") =>
    JSON.stringify({ metadata: { resourceVersion, continue: more }, items });
  const modified = event("MODIFIED", named("a", "13"));
  // What each request gets; all on one connection but where the server breaks it.
  const answers: [target: RegExp, chunks: string[], end?: "cut" | "open"][] = [
    [/\?limit=500$/, [list("10", [named("a", "9")], "next")]],
    [/continue=next$/, [list("10", [named("b", "8")])]],
    [/resourceVersion=10&/, [event("ADDED", named("c", "11")), event("BOOKMARK", named("", "12"))]],
    [/resourceVersion=12&/, [modified.slice(0, 9), modified.slice(9), '{"type":"ADD'], "cut"],
    [/resourceVersion=13&/, [event("ERROR", { code: 410, message: "too old" })]],
    [/\?limit=500$/, [list("20", [named("c", "11")])]],
    [/resourceVersion=20&/, [event("DELETED", named("c", "21"))], "open"],
  ];
  await using server = await startRaw(async (peer) => {
    for (;;) {
      const { target } = await peer.readRequest();
      const [expected, chunks, end] = answers.shift()!;
      assertEquals(expected.test(target), true, target);
      await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (const chunk of chunks) {
        await peer.send(`${chunk.length.toString(16)}\r\n${chunk}\r\n`);
      }
      if (end === "cut") return;
      if (end === "open") return void await peer.eof();
      await peer.send("0\r\n\r\n");
    }
  });
  const url = new URL(`http://127.0.0.1:${server.port}/api/v1/pods`);
  const known = new Set<string>();
  const seen: string[] = [];
  for await (const change of watch(url, { backoff: 10 })) {
    if (change.type === "LISTED") {
      known.clear();
      for (const { metadata } of change.objects) known.add(metadata.name);
    } else if (change.type === "DELETED") known.delete(change.object.metadata.name);
    else known.add(change.object.metadata.name);
    seen.push(`${change.type} ${[...known]}`);
    if (change.type === "DELETED") break;
  }
  assertEquals(seen, ["LISTED a,b", "ADDED a,b,c", "MODIFIED a,b,c", "LISTED c", "DELETED "]);
  assertEquals(answers, []);
  console.log("checked: a list in pages, changes, a broken connection, a version that is gone");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  else {
    const token = Deno.env.get("KUBERNETES_TOKEN");
    for await (const change of watch(new URL(Deno.args[0]), { token })) {
      if (change.type === "LISTED") console.log("LISTED", change.objects.length);
      else console.log(change.type, change.object.metadata.name);
    }
  }
}
