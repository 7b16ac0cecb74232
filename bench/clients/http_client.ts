/**
 * This library.
 *
 * @module
 */
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  type HTTPResponse,
  HTTPSConnection,
  type RequestBody,
} from "@denoports/http-client";
import {
  check,
  checkAnswer,
  type Config,
  Counter,
  fileTo,
  type Jobs,
  PARALLEL,
  pieces,
  POSTED,
  stream,
} from "./jobs.ts";

/** Options that cost something only where they are given. */
const OPTIONS: Record<string, HTTPConnectionOptions> = {
  "timeout": { timeout: 10 },
  "deadlines": { deadlines: { head: 10, bodyIdle: 10, total: 30 } },
  "trace": { trace() {} },
};

const READ: Record<string, (response: HTTPResponse, file: string) => Promise<number>> = {
  "read()": async (response) => (await response.read()).length,
  async "read(65536)"(response) {
    let total = 0;
    for (let count; (count = (await response.read(65536)).length) > 0;) total += count;
    return total;
  },
  async "readinto"(response) {
    const buffer = new Uint8Array(65536);
    let total = 0;
    for (let count; (count = await response.readinto(buffer)) > 0;) total += count;
    return total;
  },
  async "for await"(response) {
    let total = 0;
    for await (const piece of response) total += piece.length;
    return total;
  },
  async "pipeTo null"(response) {
    const counter = new Counter();
    await response.pipeTo(counter);
    return counter.total;
  },
  async "pipeTo file"(response, path) {
    await response.pipeTo((await fileTo(path)).writable);
    return (await Deno.stat(path)).size;
  },
  async "readline"(response) {
    let total = 0;
    for (let line; (line = await response.readline()).length > 0;) total += line.length;
    return total;
  },
  async "lines()"(response) {
    let total = 0;
    for await (const line of response.lines()) total += line.length;
    return total;
  },
};

const BODY: Record<string, (size: number, file: string) => RequestBody | Promise<RequestBody>> = {
  "bytes": (size) => new Uint8Array(size),
  "64 KiB pieces": (size) => stream(size, 65536),
  "1 KiB pieces": (size) => pieces(size, 1024),
  "stream of 1 KiB": (size) => stream(size, 1024),
  "file": (_size, path) => Deno.open(path),
  "file.readable": async (_size, path) => (await Deno.open(path)).readable,
};

async function get(
  conn: HTTPConnection,
  path: string,
  size: number,
  options?: { signal: AbortSignal },
): Promise<void> {
  await (options === undefined
    ? conn.request("GET", path)
    : conn.request("GET", path, null, {}, options));
  check((await (await conn.getresponse()).read()).length, size);
}

/** The jobs of this client. */
export function jobsOf(config: Config): Jobs {
  const kept = new Map<string, HTTPConnection>();
  const connect = (tls: boolean, way = ""): HTTPConnection =>
    tls
      ? new HTTPSConnection(config.host, config.tlsPort, { context: { caCerts: [config.ca] } })
      : new HTTPConnection(config.host, config.port, OPTIONS[way] ?? {});
  const keep = (tls: boolean, way = ""): HTTPConnection => {
    const name = `${tls} ${way}`;
    if (!kept.has(name)) kept.set(name, connect(tls, way));
    return kept.get(name)!;
  };
  const connections = Array.from({ length: PARALLEL }, () => connect(false));

  return {
    async get({ path, count, size, tls, way }) {
      const conn = keep(tls, way);
      const options = way === "signal" ? { signal: new AbortController().signal } : undefined;
      for (let i = 0; i < count; i++) await get(conn, path, size, options);
    },
    async connect({ path, count, size, tls }) {
      for (let i = 0; i < count; i++) {
        using conn = connect(tls);
        await get(conn, path, size);
      }
    },
    async post({ count }) {
      const conn = keep(false);
      for (let i = 0; i < count; i++) {
        await conn.request("POST", "/", POSTED);
        checkAnswer(await (await conn.getresponse()).text(), POSTED.length);
      }
    },
    async parallel({ path, count, size }) {
      for (let i = 0; i < count; i++) {
        await Promise.all(connections.map((conn) => get(conn, path, size)));
      }
    },
    async download({ path, size, way }) {
      const conn = keep(false);
      await conn.request("GET", path);
      check(await READ[way](await conn.getresponse(), config.download), size);
    },
    async upload({ size, way }) {
      const conn = keep(false);
      const body = await BODY[way](size, config.upload);
      try {
        await conn.request("PUT", "/", body);
        checkAnswer(await (await conn.getresponse()).text(), size);
      } finally {
        if (body instanceof Deno.FsFile) body.close();
      }
    },
  };
}
