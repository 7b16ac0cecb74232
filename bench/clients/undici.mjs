/**
 * undici, on Deno and on Node.
 *
 * @module
 */
import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { check, MOST_PARALLEL, pieces, POSTED } from "./common.mjs";

/** @import { Config, Jobs } from "./jobs.ts" */

const READ = {
  "read()": async (body) => (await body.arrayBuffer()).byteLength,
  async "for await"(body) {
    let total = 0;
    for await (const piece of body) total += piece.length;
    return total;
  },
  async "pipeTo file"(body, path) {
    const file = createWriteStream(path);
    await pipeline(body, file);
    return file.bytesWritten;
  },
  async "readline"(body) {
    let total = 0;
    for await (const line of createInterface({ input: body })) total += line.length + 1;
    return total;
  },
};

const BODY = {
  "bytes": (size) => new Uint8Array(size),
  "64 KiB pieces": (size) => pieces(size, 65536),
  "1 KiB pieces": (size) => pieces(size, 1024),
  "file": (_size, path) => createReadStream(path),
};

/** @param {Config} config @returns {Promise<Jobs>} the jobs of this client */
export async function jobsOf(config) {
  const { Client, Pool } = await import(config.undici);
  const origin = `http://${config.host}:${config.port}`;
  const plain = new Client(origin);
  const secure = new Client(`https://${config.host}:${config.tlsPort}`, {
    connect: { ca: config.ca },
  });
  const pool = new Pool(origin, { connections: MOST_PARALLEL });
  const get = async (client, { path, size }) => {
    const { body } = await client.request({ method: "GET", path });
    check((await body.arrayBuffer()).byteLength, size);
  };
  const gets = async (task) => {
    for (let i = 0; i < task.count; i++) await get(task.tls ? secure : plain, task);
  };
  const send = async (method, body) => {
    const answer = await plain.request({ method, path: "/", body });
    return Number(await answer.body.text());
  };

  return {
    get: gets,
    // The server closes.
    connect: gets,
    async post({ count }) {
      for (let i = 0; i < count; i++) check(await send("POST", POSTED), POSTED.length);
    },
    async parallel(task) {
      for (let i = 0; i < task.count; i++) {
        await Promise.all(Array.from({ length: task.parallel }, () => get(pool, task)));
      }
    },
    async download({ path, size, way }) {
      const { body } = await plain.request({ method: "GET", path });
      check(await READ[way](body, config.download), size);
    },
    async upload({ size, way }) {
      check(await send("PUT", BODY[way](size, config.upload)), size);
    },
  };
}
