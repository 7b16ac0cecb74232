/**
 * Retries that are safe: each error says what the server can have done with the request (`retrySafe`). An
 * idempotent one, such as a GET, is also sent again where its response was cut; a POST only where nothing
 * of it reached the server. The waits grow exponentially, with jitter, unless the server sends
 * `Retry-After`. One signal covers all attempts.
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
  HTTPException,
  type HTTPResponse,
  HTTPSConnection,
  IncompleteRead,
  isExchangeError,
  RemoteDisconnected,
  type RequestBody,
} from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";

/** RFC 9110, Section 9.2.2. */
const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"];

/** Failures that another attempt does not change. */
const PERMANENT = [errors.NotCapable, errors.InvalidData, errors.Interrupted];

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

/**
 * Sends a request and passes its response to `use`, again and again where that is safe and may help. If a
 * response is cut while `use` reads it, `use` is called with that of the next attempt, from its beginning.
 */
export async function send<T>(
  conn: HTTPConnection,
  method: string,
  target: string | URL,
  use: (response: HTTPResponse) => T | Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const { headers, body, attempts = 5, base = 200, cap = 20_000, signal } = options;
  const idempotent = options.idempotent ?? IDEMPOTENT.includes(method);
  for (let attempt = 1;; attempt++) {
    // "Full jitter": clients that failed at the same time do not all retry at the same time.
    let wait = Math.random() * Math.min(cap, base * 2 ** (attempt - 1));
    try {
      await conn.request(method, target, await body?.(), headers, { signal });
      const response = await conn.getresponse();
      if (![429, 503].includes(response.status) || !idempotent || attempt === attempts) {
        return await use(response);
      }
      const demanded = retryAfter(response.getheader("retry-after"));
      if (demanded > cap) return await use(response);
      wait = Math.max(wait, demanded);
      await response.drain().catch(() => response.close()); // The status is all that matters here.
    } catch (error) {
      if (attempt === attempts || !isExchangeError(error)) throw error;
      // A missing permission, a refused certificate and a `close()` by the caller are permanent.
      if (PERMANENT.some((kind) => error instanceof kind)) throw error;
      // The server may have acted on the request, so only an idempotent one may be sent again.
      if (error.retrySafe !== "yes" && !idempotent) throw error;
      // "no": a response had begun. Another attempt helps if that was cut; a response that is malformed or
      // over a limit would be so again.
      if (error.retrySafe === "no" && !wasCut(error)) throw error;
    }
    await delay(wait, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

/** Whether the connection failed, or ended before the response did. */
function wasCut(error: unknown): boolean {
  return !(error instanceof HTTPException) || error instanceof IncompleteRead ||
    error instanceof RemoteDisconnected;
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
      if (target === "/cut" && count === 1) return await peer.send(OK.slice(0, -1));
      if (target === "/cut" && count === 2) return await peer.send(OK.slice(0, 20));
      if (target === "/charge") return await peer.send(OK.slice(0, -1));
      if (target === "/malformed") return await peer.send("HTTP/9 what?\r\n\r\n");
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
  const text = (response: HTTPResponse) => response.text();

  // The connection is closed after the request was read: a GET and a PUT are sent again.
  let bodies = 0;
  const body = () => new Blob([`attempt ${++bodies}`]).stream();
  assertEquals(await send(conn, "PUT", "/drop", text, { ...options, body }), "ok");
  assertEquals([received("/drop"), bodies], [2, 2]);

  // The response is cut in its body, then in its head: a GET is sent again.
  assertEquals(await send(conn, "GET", "/cut", text, options), "ok");
  assertEquals(received("/cut"), 3);

  // A POST may have taken effect, whether an answer had begun or not: the caller has to decide.
  await assertRejects(() => send(conn, "POST", "/order", text, options), RemoteDisconnected);
  await assertRejects(() => send(conn, "POST", "/charge", text, options), IncompleteRead);
  assertEquals([received("/order"), received("/charge")], [1, 1]);

  // An answer that is not HTTP is not asked for again.
  await assertRejects(() => send(conn, "GET", "/malformed", text, options), HTTPException);
  assertEquals(received("/malformed"), 1);

  // Two waits as demanded; one that is too long.
  assertEquals(await send(conn, "GET", "/busy", text, options), "ok");
  assertEquals(received("/busy"), 3);
  const status = (response: HTTPResponse) => response.drain().then(() => response.status);
  assertEquals(await send(conn, "GET", "/maintenance", status, options), 503);
  assertEquals(received("/maintenance"), 1);

  // The signal ends a wait, too.
  const reason = new Error("shutting down");
  const controller = new AbortController();
  using other = new HTTPConnection("127.0.0.1", server.port, {
    trace: ({ type }) =>
      void (type === "responseEnd" && setTimeout(() => controller.abort(reason))),
  });
  const patient = { cap: 4e6, signal: controller.signal };
  const waiting = send(other, "GET", "/maintenance", text, patient);
  assertEquals(await waiting.catch((error) => error), reason);
  console.log("checked: attempts made again, attempts not made again, Retry-After, an abort");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  for (const url of Deno.args.map((arg) => new URL(arg))) {
    const Connection = url.protocol === "https:" ? HTTPSConnection : HTTPConnection;
    using conn = new Connection(url, { timeout: 15 });
    const signal = AbortSignal.timeout(60_000);
    await send(conn, "GET", url, async (response) => {
      const { length } = await response.read();
      console.log(response.status, response.reason, length, "bytes");
    }, { signal });
  }
}
