/**
 * Records a session with a server, both directions byte for byte, and replays it in tests without the
 * server. `record()` and `replay()` make values for the option `transport`, and may be imported:
 *
 *     new HTTPConnection(host, port, { transport: record(connect, "session.jsonl") });
 *     new HTTPConnection(host, port, { transport: replay("session.jsonl") });
 *
 * A replay compares what the client sends with the recording, hands out each piece of a response once
 * the bytes that preceded it have been sent, and repeats recorded failures; where both a read and a
 * write failed, their order may differ. Connections are matched by the order in which they are opened.
 * A recording contains cookies and credentials as they were sent.
 *
 *     deno run -A examples/record_replay.ts
 *     deno run -A examples/record_replay.ts https://example.com/ session.jsonl   # records, then replays
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  errors,
  HTTPConnection,
  type SocketErrorName,
  type Transport,
} from "@denoports/http-client";
import { assert, assertEquals, assertRejects } from "@std/assert";

/** Opens a connection: the type of the option `transport`. */
export type Connect = () => Promise<Transport>;

/** One line of a recording. Bytes are written as ISO-8859-1 text, one character for each byte. */
export type Line =
  & { connection: number }
  & (
    | { opened: true }
    | { sent: string }
    | { received: string | null } // null: the peer has closed its side
    | { failed: "connect" | "read" | "write"; name: string; message: string }
  );

/** Records the connections that `connect` opens. An existing file is overwritten. */
export function record(connect: Connect, path: string): Connect {
  Deno.writeTextFileSync(path, "", { mode: 0o600 });
  // Synchronous, so that the lines are in the order of the events, across connections, too.
  const log = (line: Line) => {
    Deno.writeTextFileSync(path, `${JSON.stringify(line)}\n`, { append: true });
  };
  let count = 0;
  return async () => {
    const connection = count++;
    let closed = false;
    const attempt = async <T>(step: "connect" | "read" | "write", action: () => Promise<T>) => {
      try {
        return await action();
      } catch (error) {
        const { name, message } = error as Error;
        if (!closed) log({ connection, failed: step, name, message });
        throw error;
      }
    };
    const inner = await attempt("connect", connect);
    log({ connection, opened: true });
    return {
      closeWrite: () => inner.closeWrite?.() ?? Promise.resolve(),
      async read(p) {
        const n = await attempt("read", () => inner.read(p));
        const received = n === null ? null : latin1(p.subarray(0, n));
        if (!closed) log({ connection, received });
        return n;
      },
      async write(p) {
        // Logged before the write, as the response may arrive before the write has settled.
        log({ connection, sent: latin1(p) });
        for (let n = 0; n < p.length;) {
          n += await attempt("write", () => inner.write(p.subarray(n)));
        }
        return p.length;
      },
      close() {
        closed = true;
        inner.close();
      },
    };
  };
}

/** Replays a recording. `finish()` throws unless all that was recorded as sent has been sent again. */
export function replay(path: string): Connect & { finish(): void } {
  const recorded: Line[][] = [];
  for (const line of Deno.readTextFileSync(path).split("\n").filter(Boolean)) {
    const parsed: Line = JSON.parse(line);
    (recorded[parsed.connection] ??= []).push(parsed);
  }
  const players = recorded.map((lines, i) => new Player(`${path}, connection ${i}`, lines));
  let count = 0;
  const connect = async () => {
    if (count < players.length) return await players[count++].connect();
    throw new Error(`Cannot replay ${path}: it has ${count} connections, and another was opened`);
  };
  return Object.assign(connect, {
    finish: () => players.forEach((player) => player.finish()),
  });
}

/** Takes the place of the server on one recorded connection. */
class Player implements Transport {
  readonly #name: string;
  /** What the client is expected to send. */
  #expected = Buffer.alloc(0);
  /** What the client will read, each with the number of bytes to be sent before it. */
  readonly #incoming: { after: number; bytes: Buffer | null; failure?: Error }[] = [];
  readonly #failures: { connect?: Error; write?: Error } = {};
  #written = 0;
  #closed = false;
  #changed = Promise.withResolvers<void>();

  constructor(name: string, lines: Line[]) {
    this.#name = name;
    const pieces: Buffer[] = [];
    let after = 0;
    for (const line of lines) {
      if ("sent" in line) {
        after += pieces[pieces.push(Buffer.from(line.sent, "latin1")) - 1].length;
      } else if ("received" in line) {
        const bytes = line.received === null ? null : Buffer.from(line.received, "latin1");
        this.#incoming.push({ after, bytes });
      } else if ("failed" in line) {
        const failure = new (errors[line.name as SocketErrorName] ?? Error)(line.message);
        if (line.failed === "read") this.#incoming.push({ after, bytes: null, failure });
        else this.#failures[line.failed] = failure;
      }
    }
    this.#expected = Buffer.concat(pieces);
  }

  connect(): Promise<Transport> {
    const { connect } = this.#failures;
    return connect ? Promise.reject(connect) : Promise.resolve(this);
  }

  async read(p: Uint8Array): Promise<number | null> {
    while (!this.#closed) {
      const [next] = this.#incoming;
      if (next === undefined || next.after > this.#written) await this.#changed.promise;
      else if (next.failure) throw next.failure;
      else if (next.bytes === null) return null;
      else {
        const n = next.bytes.copy(p);
        next.bytes = next.bytes.subarray(n);
        if (next.bytes.length === 0) this.#incoming.shift();
        return n;
      }
    }
    throw new errors.Interrupted("The connection is closed");
  }

  async write(p: Uint8Array): Promise<number> {
    const expected = this.#expected.subarray(this.#written, this.#written + p.length);
    const different = expected.findIndex((byte, i) => byte !== p[i]);
    if (different >= 0) throw this.#difference(this.#written + different, p.subarray(different));
    if (expected.length > 0) {
      this.#written += expected.length;
      this.#wake();
      return expected.length;
    }
    if (this.#failures.write) throw this.#failures.write;
    if (this.#incoming.length === 0) throw this.#difference(this.#written, p);
    // The recorded client stopped here for what it received, such as a 413: the write stays pending.
    while (!this.#closed) await this.#changed.promise;
    throw new errors.Interrupted("The connection is closed");
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  finish(): void {
    if (this.#written < this.#expected.length && !this.#failures.write) {
      throw this.#difference(this.#written, new Uint8Array());
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** An error that shows the lines around the first difference. */
  #difference(at: number, actual: Uint8Array): Error {
    const lineStart = this.#expected.subarray(0, at).lastIndexOf("\n") + 1;
    const before = this.#expected.subarray(Math.max(lineStart, at - 60), at).toString("latin1");
    const show = (rest: Uint8Array) => {
      return rest.length === 0
        ? "nothing more"
        : JSON.stringify(before + latin1(rest.subarray(0, 60)));
    };
    return new Error(
      `Cannot replay ${this.#name}: what is sent differs from the recording at byte ${at}\n` +
        `  recorded: ${show(this.#expected.subarray(at))}\n  sent now: ${show(actual)}`,
    );
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** Makes one request, from the recording if there is one. */
async function fetchOnce(url: URL, path: string): Promise<void> {
  const isRecorded = await Deno.stat(path).then(() => true, () => false);
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const overTls = url.protocol === "https:";
  const port = Number(url.port || (overTls ? 443 : 80));
  // TLS is below the recorder, which so records the bytes of HTTP.
  const connect = () => {
    return overTls
      ? Deno.connectTls({ hostname, port, alpnProtocols: ["http/1.1"] })
      : Deno.connect({ hostname, port });
  };
  const transport = isRecorded ? replay(path) : record(connect, path);
  using conn = new HTTPConnection(hostname, port, { transport, timeout: 30 });
  await conn.request("GET", url.pathname + url.search, null, { "Host": url.host });
  const response = await conn.getresponse();
  let size = 0;
  for await (const piece of response) size += piece.length;
  console.log(
    isRecorded ? "replayed" : "recorded",
    response.status,
    response.reason,
    size,
    "bytes",
  );
}

/** Several exchanges on two connections; returns what the program has seen of them. */
async function session(transport: Connect, form = "a=1"): Promise<unknown[]> {
  const seen: unknown[] = [];
  const exchange = async (conn: HTTPConnection, ...args: Parameters<typeof conn.request>) => {
    await conn.request(...args);
    const response = await conn.getresponse();
    seen.push([response.status, response.getheaders(), await response.text()]);
  };
  using first = new HTTPConnection("service.test", { transport, timeout: 10 });
  await exchange(first, "GET", "/");
  await exchange(first, "GET", "/stream");
  await exchange(first, "POST", "/form", form, { "Content-Type": "text/plain" });
  await exchange(first, "GET", "/missing");
  using second = new HTTPConnection("service.test", { transport, timeout: 10 });
  await exchange(second, "PUT", "/upload", [new Uint8Array(100_000), "\u00ff\0end"]);
  return seen;
}

async function selfCheck(): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".jsonl" });
  try {
    let recorded: unknown[];
    {
      await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
      const { port } = server.addr;
      recorded = await session(record(() => Deno.connect({ hostname: "127.0.0.1", port }), path));
    }
    // The server is gone. The same session gives the same results.
    const played = replay(path);
    assertEquals(await session(played), recorded);
    played.finish();

    // A client that sends something else is told where.
    const error = await assertRejects(() => session(replay(path), "a=2"), Error);
    console.log(`refused, as it should be: ${error.message}`);
    assert(error.message.includes('recorded: "a=1'), error.message);
    assert(error.message.includes('sent now: "a=2'), error.message);
    const { size } = await Deno.stat(path);
    console.log(`${recorded.length} exchanges in a recording of ${size} bytes`);
  } finally {
    await Deno.remove(path);
  }
  console.log("checked: a session recorded, replayed, and refused where it differs");
}

/** The server of the self-check. */
async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const body = await request.bytes();
  switch (pathname) {
    case "/":
      return new Response("hello", { headers: { "Set-Cookie": "id=1" } });
    case "/stream":
      return new Response(ReadableStream.from(["one, ", "two"].map((s) => Buffer.from(s))));
    case "/form":
    case "/upload":
      return new Response(`${body.length} bytes, the last one is ${body.at(-1)}`, { status: 201 });
    default:
      return new Response("not here", { status: 404 });
  }
}

if (import.meta.main) {
  const [url, path] = Deno.args;
  if (url === undefined) await selfCheck();
  else if (path !== undefined) await fetchOnce(new URL(url), path);
  else throw new TypeError("Cannot record: give a URL and the path of the recording");
}
