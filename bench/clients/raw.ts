/**
 * The limit: bare `Deno.Conn` loops that move the same bytes and know beforehand how many come.
 *
 * @module
 */
import { check, checkAnswer, type Config, type Jobs, PARALLEL, POSTED, type Task } from "./jobs.ts";

const CRLF2 = "\r\n\r\n";
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const request = encoder.encode.bind(encoder);

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** Reads `wire` bytes and drops them. */
async function skip(conn: Deno.Conn, buffer: Uint8Array, wire: number): Promise<void> {
  let total = 0;
  while (total < wire) {
    const count = await conn.read(buffer);
    if (count === null) break;
    total += count;
  }
  check(total, wire);
}

/** How many bytes a body takes on the wire; `/chunked/N/S` tells the size of its chunks. */
function framed({ path, size }: Task): number {
  const chunk = Number(/^\/chunked\/\d+\/(\d+)/.exec(path)?.[1] ?? 0);
  if (chunk === 0) return size;
  const each = (data: number) => data === 0 ? 0 : data.toString(16).length + data + 4;
  return Math.floor(size / chunk) * each(chunk) + each(size % chunk) + 5;
}

/** Reads the first read of an answer, and gives where its body begins and how much came. */
async function first(conn: Deno.Conn, buffer: Uint8Array): Promise<[head: number, count: number]> {
  const count = await conn.read(buffer) ?? 0;
  const at = decoder.decode(buffer.subarray(0, Math.min(count, 8192))).indexOf(CRLF2);
  if (at < 0) throw new Error("The head did not come in one piece");
  return [at + 4, count];
}

/** 60-byte lines, each copied, without any check. */
async function splitLines(conn: Deno.Conn, buffer: Uint8Array, wire: number): Promise<void> {
  let end = 0;
  for (let total = 0; total < wire;) {
    const count = await conn.read(buffer.subarray(end));
    if (count === null) throw new Error("The body ended early");
    total += count;
    end += count;
    let start = 0;
    for (let i = start; i < end; i++) {
      if (buffer[i] !== 10) continue;
      buffer.slice(start, i + 1);
      start = i + 1;
    }
    buffer.copyWithin(0, start, end);
    end -= start;
  }
}

/** The jobs of this client. */
export function jobsOf(config: Config): Jobs {
  const buffer = new Uint8Array(65536);
  const field = `Host: ${config.host}:${config.port}\r\nAccept-Encoding: identity`;
  const get = (path: string) => request(`GET ${path} HTTP/1.1\r\n${field}${CRLF2}`);
  const kept = new Map<string, Promise<Deno.Conn>>();
  const connect = async (tls: boolean): Promise<Deno.Conn> => {
    const port = tls ? config.tlsPort : config.port;
    const conn = await Deno.connect({ hostname: config.host, port });
    conn.setNoDelay(true);
    return tls ? await Deno.startTls(conn, { hostname: config.host, caCerts: [config.ca] }) : conn;
  };
  const keep = (name: string, tls = false): Promise<Deno.Conn> => {
    if (!kept.has(name)) kept.set(name, connect(tls));
    return kept.get(name)!;
  };
  /** One exchange, to learn how long the answer is. */
  const learn = async (conn: Deno.Conn, head: Uint8Array): Promise<number> => {
    await writeAll(conn, head);
    const [at, count] = await first(conn, buffer);
    const length = /content-length: (\d+)/i.exec(decoder.decode(buffer.subarray(0, at)))![1];
    const wire = at + Number(length);
    await skip(conn, buffer, wire - count);
    return wire;
  };

  return {
    async get({ path, count, tls }) {
      const conn = await keep(tls ? "tls" : "plain", tls);
      const head = get(path);
      const wire = await learn(conn, head);
      for (let i = 1; i < count; i++) {
        await conn.write(head);
        await skip(conn, buffer, wire);
      }
    },
    async connect({ path, count, tls }) {
      const head = get(path);
      for (let i = 0; i < count; i++) {
        using conn = await connect(tls);
        await conn.write(head);
        while (await conn.read(buffer) !== null);
      }
    },
    async post({ count }) {
      const conn = await keep("plain");
      const head = `POST / HTTP/1.1\r\n${field}\r\nContent-Length: ${POSTED.length}${CRLF2}`;
      const whole = new Uint8Array(head.length + POSTED.length);
      whole.set(request(head));
      whole.set(POSTED, head.length);
      const wire = await learn(conn, whole);
      for (let i = 1; i < count; i++) {
        await conn.write(whole);
        await skip(conn, buffer, wire);
      }
    },
    async parallel({ path, count }) {
      const head = get(path);
      const conns = await Promise.all(Array.from({ length: PARALLEL }, (_, i) => keep(`${i}`)));
      const wire = await learn(conns[0], head);
      const one = async (conn: Deno.Conn): Promise<void> => {
        await conn.write(head);
        await skip(conn, buffer, wire);
      };
      for (let i = 0; i < count; i++) await Promise.all(conns.map(one));
    },
    async download(task) {
      const conn = await keep("plain");
      await conn.write(get(task.path));
      const [at, count] = await first(conn, buffer);
      const wire = framed(task) - (count - at);
      await (task.way === "readline" ? splitLines : skip)(conn, buffer, wire);
    },
    async upload({ size, way }) {
      const conn = await keep("plain");
      await conn.write(request(`PUT / HTTP/1.1\r\n${field}\r\nContent-Length: ${size}${CRLF2}`));
      const piece = new Uint8Array(way === "bytes" ? size : 65536);
      for (let left = size; left > 0; left -= piece.length) await writeAll(conn, piece);
      const [at, count] = await first(conn, buffer);
      checkAnswer(decoder.decode(buffer.subarray(at, count)), size);
    },
  };
}
