/**
 * Retries that are safe: each error says whether the request may be sent again (`retrySafe`). The waits
 * grow exponentially, with jitter, unless the server sends `Retry-After`. One signal covers all attempts.
 *
 *     deno run -A examples/retry.ts
 *     deno run -A examples/retry.ts URL       makes a GET request, for at most a minute
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import {
  errors,
  type HeaderFields,
  HTTPConnection,
  type HTTPResponse,
  HTTPSConnection,
  isExchangeError,
  RemoteDisconnected,
  type RequestBody,
} from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";

/** RFC 9110, Section 9.2.2. */
const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"];

/** Options of {@linkcode send}. */
export interface RetryOptions {
  headers?: HeaderFields;
  /** Makes the body, for each attempt anew: a stream can be read only once. */
  body?: () => RequestBody | Promise<RequestBody>;
  /** How many attempts there are at most. @default {5} */
  attempts?: number;
  /** The first wait in milliseconds, before jitter; each of the next is twice as long. @default {200} */
  base?: number;
  /** The longest wait in milliseconds. If the server demands more, there is no retry. @default {20000} */
  cap?: number;
  /** Whether the request is idempotent though its method is not: by an `Idempotency-Key`, say. */
  idempotent?: boolean;
  /** Aborts the attempt that is being made, its response included, or the wait between two of them. */
  signal?: AbortSignal;
}

/** Sends a request, and again where that is safe and may help. */
export async function send(
  conn: HTTPConnection,
  method: string,
  target: string | URL,
  options: RetryOptions = {},
): Promise<HTTPResponse> {
  const { headers, body, attempts = 5, base = 200, cap = 20_000, signal } = options;
  const idempotent = options.idempotent ?? IDEMPOTENT.includes(method);
  for (let attempt = 1;; attempt++) {
    // "Full jitter": clients that failed at the same time do not all retry at the same time.
    let wait = Math.random() * Math.min(cap, base * 2 ** (attempt - 1));
    try {
      await conn.request(method, target, await body?.(), headers, { signal });
      const response = await conn.getresponse();
      if (![429, 503].includes(response.status) || !idempotent || attempt === attempts) {
        return response;
      }
      const demanded = retryAfter(response.getheader("retry-after"));
      if (demanded > cap) return response;
      wait = Math.max(wait, demanded);
      await response.drain().catch(() => response.close()); // The status is all that matters here.
    } catch (error) {
      if (attempt === attempts || !isExchangeError(error)) throw error;
      // A missing permission and a certificate that was refused are permanent.
      if (error instanceof errors.NotCapable || error instanceof errors.InvalidData) throw error;
      const { retrySafe } = error;
      if (retrySafe === "no" || (retrySafe === "idempotent-only" && !idempotent)) throw error;
    }
    await delay(wait, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

/** The wait in milliseconds of a `Retry-After`: seconds or a date (RFC 9110, Section 10.2.3). */
function retryAfter(value: string | null): number {
  if (value === null) return 0;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? 0 : Math.max(0, ms);
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const busy = (after: unknown) =>
    `HTTP/1.1 503 Busy\r\nRetry-After: ${after}\r\nContent-Length: 0\r\n\r\n`;
  await using server = await startRaw(async (peer) => {
    for (;;) {
      const { target } = await peer.readRequest();
      const count = server.requests.filter((head) => head.split(" ")[1] === target).length;
      if (target === "/order" || (target === "/drop" && count === 1)) return;
      if (target === "/maintenance") await peer.send(busy(3600));
      else if (target === "/busy" && count === 1) await peer.send(busy(0));
      else if (target === "/busy" && count === 2) await peer.send(busy(new Date().toUTCString()));
      else await peer.send(OK);
    }
  });
  const received = (path: string) =>
    server.requests.filter((head) => head.split(" ")[1] === path).length;
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: 10 });
  const options = { base: 10 };

  // The connection is closed after the request was read: a GET and a PUT are sent again.
  let bodies = 0;
  const body = () => new Blob([`attempt ${++bodies}`]).stream();
  const response = await send(conn, "PUT", "/drop", { ...options, body });
  assertEquals([await response.text(), received("/drop"), bodies], ["ok", 2, 2]);

  // A POST may have taken effect: the caller has to decide.
  await assertRejects(() => send(conn, "POST", "/order", options), RemoteDisconnected);
  assertEquals(received("/order"), 1);

  // Two waits as demanded; one that is too long.
  assertEquals((await (await send(conn, "GET", "/busy", options)).text()).length, 2);
  assertEquals(received("/busy"), 3);
  using unavailable = await send(conn, "GET", "/maintenance", options);
  assertEquals([unavailable.status, received("/maintenance")], [503, 1]);
  unavailable.close();

  // The signal ends a wait, too.
  const reason = new Error("shutting down");
  const controller = new AbortController();
  using other = new HTTPConnection("127.0.0.1", server.port, {
    trace: ({ type }) =>
      void (type === "responseEnd" && setTimeout(() => controller.abort(reason))),
  });
  const waiting = send(other, "GET", "/maintenance", { cap: 4e6, signal: controller.signal });
  assertEquals(await waiting.catch((error) => error), reason);
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  for (const url of Deno.args.map((arg) => new URL(arg))) {
    const Connection = url.protocol === "https:" ? HTTPSConnection : HTTPConnection;
    using conn = new Connection(url, { timeout: 15 });
    const response = await send(conn, "GET", url, { signal: AbortSignal.timeout(60_000) });
    console.log(response.status, response.reason, (await response.read()).length, "bytes");
  }
}
