/**
 * Deno's `fetch`.
 *
 * @module
 */
import {
  check,
  checkAnswer,
  type Config,
  Counter,
  DOCUMENT,
  FIELDS,
  fileTo,
  type Jobs,
  POSTED,
  rested,
  stream,
  type Task,
} from "./jobs.ts";

const READ: Record<string, (response: Response, file: string) => Promise<number>> = {
  "read()": async (response) => (await response.arrayBuffer()).byteLength,
  async "readinto"(response) {
    const reader = response.body!.getReader({ mode: "byob" });
    let buffer = new ArrayBuffer(65536);
    for (let total = 0;;) {
      const { value, done } = await reader.read(new Uint8Array(buffer));
      if (done) return total;
      total += value.length;
      buffer = value.buffer;
    }
  },
  async "for await"(response) {
    let total = 0;
    for await (const piece of response.body!) total += piece.length;
    return total;
  },
  async "pipeTo null"(response) {
    const counter = new Counter();
    await response.body!.pipeTo(counter);
    return counter.total;
  },
  async "pipeTo file"(response, path) {
    await response.body!.pipeTo((await fileTo(path)).writable);
    return (await Deno.stat(path)).size;
  },
};

const BODY: Record<string, (size: number, file: string) => BodyInit | Promise<BodyInit>> = {
  "bytes": (size) => new Uint8Array(size),
  "64 KiB pieces": (size) => stream(size, 65536),
  "stream of 1 KiB": (size) => stream(size, 1024),
  "file.readable": async (_size, path) => (await Deno.open(path)).readable,
};

/** The jobs of this client. */
export function jobsOf(config: Config): Jobs {
  const client = Deno.createHttpClient({ caCerts: [config.ca] });
  const origin = (tls: boolean) =>
    tls ? `https://${config.host}:${config.tlsPort}` : `http://${config.host}:${config.port}`;
  const get = async ({ path, size, tls, way }: Task) => {
    const headers = way === "10 fields" ? FIELDS : undefined;
    const response = await fetch(origin(tls) + path, { client, headers });
    if (way === "text()") check((await response.text()).length, size);
    else if (way === "json()") check(JSON.stringify(await response.json()).length, size);
    else check((await response.arrayBuffer()).byteLength, size);
  };
  const gets: Jobs["get"] = async (task) => {
    for (let i = 0; i < task.count; i++) await get(task);
  };

  return {
    get: gets,
    rest: (task) => rested(task.count, () => get(task)),
    // The server closes.
    connect: gets,
    async post({ count, way }) {
      const headers = way === "JSON" ? { "Content-Type": "application/json" } : undefined;
      for (let i = 0; i < count; i++) {
        const body = way === "JSON" ? JSON.stringify(DOCUMENT) : POSTED;
        const init = { method: "POST", body, headers, client };
        checkAnswer(await (await fetch(origin(false), init)).text(), body.length);
      }
    },
    async parallel(task) {
      for (let i = 0; i < task.count; i++) {
        await Promise.all(Array.from({ length: task.parallel }, () => get(task)));
      }
    },
    async download({ path, size, way }) {
      const response = await fetch(origin(false) + path, { client });
      check(await READ[way](response, config.download), size);
    },
    async upload({ size, way }) {
      const init = { method: "PUT", body: await BODY[way](size, config.upload), client };
      checkAnswer(await (await fetch(origin(false), init)).text(), size);
    },
  };
}
