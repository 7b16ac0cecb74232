/**
 * A connection pool: at most so many connections for each origin, and a queue in order of arrival for the
 * requests beyond that. A connection goes back to the pool only when its response is over; one whose
 * response was not read to its end, or that failed, is closed, and the next request gets a new one.
 *
 *     deno run -A examples/pool.ts
 *     deno run -A examples/pool.ts URL...     requests all of them, at most two at a time from each origin
 *
 * @module
 */
import {
  type HeaderFields,
  HTTPConnection,
  type HTTPResponse,
  HTTPSConnection,
  type RequestBody,
} from "@denoports/http-client";
import { assert, assertEquals, assertRejects } from "@std/assert";

/** Options of {@linkcode Pool}. */
export interface PoolOptions {
  /** How many connections there may be to one origin. @default {6} */
  max?: number;
  /** After how many seconds without a request a connection is closed. @default {30} */
  idleSeconds?: number;
  /** Makes a connection object for an origin. */
  connect?: (origin: URL) => HTTPConnection;
}

/** What a request has besides its method and its URL. */
export interface PoolRequest {
  headers?: HeaderFields;
  body?: RequestBody | null;
  /** Aborts the request, or the wait for a connection. */
  signal?: AbortSignal;
}

interface Origin {
  readonly idle: Map<HTTPConnection, ReturnType<typeof setTimeout>>;
  readonly busy: Set<HTTPConnection>;
  readonly queue: Set<PromiseWithResolvers<HTTPConnection>>;
}

/** Connections that are shared by many requests; disposing of the pool closes all of them. */
export class Pool implements Disposable {
  readonly #origins = new Map<string, Origin>();
  readonly #options: Required<PoolOptions>;
  #closed = false;

  /** Makes a pool; nothing is connected yet. */
  constructor({ max = 6, idleSeconds = 30, connect = connectTo }: PoolOptions = {}) {
    this.#options = { max, idleSeconds, connect };
  }

  /** Sends a request and passes its response to `use`; the response is closed once that has returned. */
  async request<T>(
    method: string,
    url: URL,
    use: (response: HTTPResponse) => T | Promise<T>,
    { headers = {}, body = null, signal }: PoolRequest = {},
  ): Promise<T> {
    const conn = await this.#acquire(url.origin, signal);
    let succeeded = false;
    try {
      await conn.request(method, url, body, headers, { signal });
      using response = await conn.getresponse();
      const result = await use(response);
      succeeded = response.status !== 101; // A connection that has switched protocols is not reusable.
      return result;
    } finally {
      this.#release(url.origin, conn, succeeded);
    }
  }

  async #acquire(name: string, signal?: AbortSignal): Promise<HTTPConnection> {
    signal?.throwIfAborted();
    if (this.#closed) throw new Error("The pool is closed");
    const origin = this.#origins.get(name) ??
      { idle: new Map(), busy: new Set(), queue: new Set() } satisfies Origin;
    if (origin.busy.size < this.#options.max) {
      // The one that was used last: the others may reach their idle timeout.
      const conn = [...origin.idle.keys()].at(-1) ?? this.#options.connect(new URL(name));
      clearTimeout(origin.idle.get(conn));
      origin.idle.delete(conn);
      origin.busy.add(conn);
      this.#origins.set(name, origin);
      return conn;
    }
    const waiter = Promise.withResolvers<HTTPConnection>();
    const onabort = () => {
      origin.queue.delete(waiter);
      waiter.reject(signal!.reason);
    };
    origin.queue.add(waiter);
    signal?.addEventListener("abort", onabort, { once: true });
    try {
      return await waiter.promise;
    } finally {
      signal?.removeEventListener("abort", onabort);
    }
  }

  #release(name: string, conn: HTTPConnection, succeeded: boolean): void {
    const origin = this.#origins.get(name);
    // A connection object that was disposed of connects again with its next request.
    if (!succeeded || origin === undefined) conn[Symbol.dispose]();
    if (origin === undefined) return; // The pool is closed.
    origin.busy.delete(conn);
    const [waiter] = origin.queue;
    if (waiter !== undefined) {
      origin.queue.delete(waiter);
      origin.busy.add(conn);
      waiter.resolve(conn);
    } else if (conn.sock !== null) {
      const timer = setTimeout(() => {
        origin.idle.delete(conn);
        conn[Symbol.dispose]();
        this.#forget(name, origin);
      }, this.#options.idleSeconds * 1000);
      Deno.unrefTimer(Number(timer)); // It does not keep the process alive.
      origin.idle.set(conn, timer);
    }
    this.#forget(name, origin);
  }

  #forget(name: string, { idle, busy }: Origin): void {
    if (idle.size + busy.size === 0) this.#origins.delete(name);
  }

  /** Closes all connections. Requests under way and those in the queue fail. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const { idle, busy, queue } of this.#origins.values()) {
      for (const waiter of queue) waiter.reject(new Error("The pool is closed"));
      for (const timer of idle.values()) clearTimeout(timer);
      for (const conn of [...idle.keys(), ...busy]) conn[Symbol.dispose]();
    }
    this.#origins.clear();
  }
}

function connectTo(origin: URL): HTTPConnection {
  const Connection = origin.protocol === "https:" ? HTTPSConnection : HTTPConnection;
  return new Connection(origin, { timeout: 30, deadlines: { connect: 10, head: 30 } });
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const gate = Promise.withResolvers<void>();
  await using server = await startRaw(async (peer) => {
    for (;;) {
      const { target } = await peer.readRequest();
      if (target === "/break") return;
      if (target === "/wait") await gate.promise;
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`);
    }
  });
  using pool = new Pool({ max: 2 });
  const url = (path: string) => new URL(path, `http://127.0.0.1:${server.port}`);
  const get = (path: string, signal?: AbortSignal) =>
    pool.request("GET", url(path), (response) => response.text(), { signal });

  // Both connections are busy: the others wait, one of them until it is aborted.
  const held = [get("/wait"), get("/wait")];
  const controller = new AbortController();
  const aborted = assertRejects(
    () => get("/aborted", controller.signal),
    Error,
    "no longer needed",
  );
  const queued = ["/1", "/2", "/3"].map((path) => get(path));
  controller.abort(new Error("no longer needed"));
  await aborted;
  gate.resolve();
  assertEquals(await Promise.all([...held, ...queued]), ["/wait", "/wait", "/1", "/2", "/3"]);
  assertEquals(server.accepted, 2);

  // A connection that fails is replaced, and so is one whose response was not read to its end.
  const rest = [get("/break"), get("/break"), get("/after")];
  const results = await Promise.allSettled(rest);
  assertEquals(results.map(({ status }) => status), ["rejected", "rejected", "fulfilled"]);
  assertEquals(server.accepted, 3);
  assertEquals(await pool.request("GET", url("/unread"), ({ status }) => status), 200);
  assertEquals(await get("/again"), "/again");
  assertEquals(server.accepted, 4);
  assert(!server.requests.some((head) => head.startsWith("GET /aborted")));
  console.log("checked: the limit, the queue, an abort in it, connections replaced and used again");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  using pool = new Pool({ max: 2 });
  await Promise.all(Deno.args.map(async (arg) => {
    const [status, size] = await pool.request("GET", new URL(arg), async (response) => {
      let size = 0;
      for await (const piece of response) size += piece.length;
      return [response.status, size];
    });
    console.log(status, `${size} bytes`, arg);
  }));
}
