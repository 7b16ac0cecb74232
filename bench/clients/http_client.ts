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
  DOCUMENT,
  FIELDS,
  fileTo,
  type Jobs,
  pieces,
  POSTED,
  rested,
  stream,
  type Task,
} from "./jobs.ts";

/** Options that cost something only where they are given. */
const OPTIONS: Record<string, (port: number) => HTTPConnectionOptions> = {
  "timeout": () => ({ timeout: 10 }),
  "deadlines": () => ({ deadlines: { head: 10, bodyIdle: 10, total: 30 } }),
  "trace": () => ({ trace() {} }),
  "transport": (port) => ({ transport: () => Deno.connect({ hostname: "127.0.0.1", port }) }),
};

/** How a small answer is read; its size as a body. */
const SMALL: Record<string, (response: HTTPResponse) => Promise<number>> = {
  "text()": async (response) => (await response.text()).length,
  "json()": async (response) => JSON.stringify(await response.json()).length,
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
  async "copyTo file"(response, path) {
    using file = await fileTo(path);
    return await response.copyTo(file);
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
  { path, size, way }: Task,
  options?: { signal: AbortSignal },
): Promise<void> {
  await (way === "10 fields"
    ? conn.request("GET", path, null, FIELDS)
    : options === undefined
    ? conn.request("GET", path)
    : conn.request("GET", path, null, {}, options));
  const response = await conn.getresponse();
  check(way in SMALL ? await SMALL[way](response) : (await response.read()).length, size);
}

/** The jobs of this client. */
export function jobsOf(config: Config): Jobs {
  const kept = new Map<string, HTTPConnection>();
  const connect = (tls: boolean, way = ""): HTTPConnection => {
    const { ca, host, port, tlsPort } = config;
    const options = OPTIONS[way]?.(tls ? tlsPort : port) ?? {};
    return tls
      ? new HTTPSConnection(host, tlsPort, { ...options, context: { caCerts: [ca] } })
      : new HTTPConnection(host, port, options);
  };
  const keep = async (tls: boolean, way = ""): Promise<HTTPConnection> => {
    const name = `${tls} ${way}`;
    const found = kept.get(name);
    if (found !== undefined) return found;
    const conn = connect(tls, way);
    kept.set(name, conn);
    if (way === "sock") {
      conn.sock = await Deno.connect({ hostname: config.host, port: config.port });
    }
    return conn;
  };
  const many: HTTPConnection[] = [];

  return {
    async get(task) {
      const { count, tls, way } = task;
      const conn = await keep(tls, way);
      const options = way === "signal" ? { signal: new AbortController().signal } : undefined;
      for (let i = 0; i < count; i++) await get(conn, task, options);
    },
    async rest(task) {
      const conn = await keep(task.tls, task.way);
      return await rested(task.count, () => get(conn, task));
    },
    async connect(task) {
      for (let i = 0; i < task.count; i++) {
        using conn = connect(task.tls);
        await get(conn, task);
      }
    },
    async post({ count, way }) {
      const conn = await keep(false);
      const type = { "Content-Type": "application/json" };
      for (let i = 0; i < count; i++) {
        let size = POSTED.length;
        if (way === "JSON") {
          const text = JSON.stringify(DOCUMENT);
          size = text.length;
          await conn.request("POST", "/", text, type);
        } else await conn.request("POST", "/", POSTED);
        checkAnswer(await (await conn.getresponse()).text(), size);
      }
    },
    async parallel(task) {
      while (many.length < task.parallel) many.push(connect(false));
      const used = many.slice(0, task.parallel);
      for (let i = 0; i < task.count; i++) await Promise.all(used.map((conn) => get(conn, task)));
    },
    async duplex({ size }) {
      const conn = await keep(false);
      const length = { "Content-Length": size };
      const sent = conn.request("POST", "/echo", pieces(size, 65536), length);
      check(await READ["for await"](await conn.getresponse(), config.download), size);
      await sent;
    },
    async download({ path, size, way }) {
      const conn = await keep(false);
      await conn.request("GET", path);
      check(await READ[way](await conn.getresponse(), config.download), size);
    },
    async upload({ size, way }) {
      const conn = await keep(false);
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
