/**
 * `node:http` and `node:https` on Deno.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createReadStream, createWriteStream } from "node:fs";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  check,
  checkAnswer,
  type Config,
  type Jobs,
  MOST_PARALLEL,
  pieces,
  POSTED,
  type Task,
} from "./jobs.ts";

const READ: Record<string, (response: IncomingMessage, file: string) => Promise<number>> = {
  "read()": async (response) => {
    const parts = [];
    for await (const piece of response) parts.push(piece);
    return Buffer.concat(parts).length;
  },
  async "for await"(response) {
    let total = 0;
    for await (const piece of response) total += piece.length;
    return total;
  },
  async "pipeTo file"(response, path) {
    const file = createWriteStream(path);
    await pipeline(response, file);
    return file.bytesWritten;
  },
  async "readline"(response) {
    let total = 0;
    for await (const line of createInterface({ input: response })) total += line.length + 1;
    return total;
  },
};

const BODY: Record<string, (size: number, file: string) => Uint8Array | Readable> = {
  "bytes": (size) => new Uint8Array(size),
  "64 KiB pieces": (size) => Readable.from(pieces(size, 65536)),
  "1 KiB pieces": (size) => Readable.from(pieces(size, 1024)),
  "file": (_size, path) => createReadStream(path),
};

/** Reads a small answer by its events, which is the fastest way. */
function drain(response: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    response.on("data", (piece) => parts.push(piece));
    response.on("end", () => resolve(parts.length === 1 ? parts[0] : Buffer.concat(parts)));
    response.on("error", reject);
  });
}

/** The jobs of this client. */
export function jobsOf(config: Config): Jobs {
  const agents = {
    http: new http.Agent({ keepAlive: true, maxSockets: MOST_PARALLEL }),
    https: new https.Agent({ keepAlive: true, ca: config.ca }),
  };
  const exchange = (
    { method = "GET", path, tls = false }: { method?: string; path: string; tls?: boolean },
    body?: Uint8Array | Readable,
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const options = { host: config.host, method, path };
      const headers = body instanceof Uint8Array ? { "Content-Length": body.length } : {};
      const request = tls
        ? https.request({ ...options, port: config.tlsPort, agent: agents.https }, resolve)
        : http.request({ ...options, headers, port: config.port, agent: agents.http }, resolve);
      request.on("error", reject);
      if (body instanceof Readable) body.pipe(request);
      else request.end(body);
    });
  const get = async (task: Task): Promise<void> => {
    check((await drain(await exchange(task))).length, task.size);
  };
  const gets: Jobs["get"] = async (task) => {
    for (let i = 0; i < task.count; i++) await get(task);
  };

  return {
    get: gets,
    // The server closes.
    connect: gets,
    async post({ count }) {
      for (let i = 0; i < count; i++) {
        const response = await exchange({ method: "POST", path: "/" }, POSTED);
        checkAnswer(String(await drain(response)), POSTED.length);
      }
    },
    async parallel(task) {
      for (let i = 0; i < task.count; i++) {
        await Promise.all(Array.from({ length: task.parallel }, () => get(task)));
      }
    },
    async download({ path, size, way }) {
      check(await READ[way](await exchange({ path }), config.download), size);
    },
    async upload({ size, way }) {
      const response = await exchange(
        { method: "PUT", path: "/" },
        BODY[way](size, config.upload),
      );
      checkAnswer(String(await drain(response)), size);
    },
  };
}
