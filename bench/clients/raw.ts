/**
 * The limits: bare `Deno.Conn` loops that move the same bytes and know beforehand how many come. As the
 * client `paid` they do what our call promises, too: memory of its own for what is given out, text and
 * JSON, a read that is out before a request is written, so that an answer which nobody asked for shows.
 *
 * @module
 */
import {
  check,
  checkAnswer,
  type Config,
  DOCUMENT,
  FIELDS,
  fileTo,
  type Jobs,
  pieces,
  POSTED,
  rested,
  type Task,
} from "./jobs.ts";

const CRLF2 = "\r\n\r\n";
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const request = encoder.encode.bind(encoder);

async function writeAll(to: Deno.Conn | Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
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

/** Moves what came with the head to `take`, and then each read until `wire` bytes have come. */
async function each(
  conn: Deno.Conn,
  { buffer, at, count, wire }: { buffer: Uint8Array; at: number; count: number; wire: number },
  take: (piece: Uint8Array) => void,
): Promise<void> {
  if (count > at) take(buffer.subarray(at, count));
  for (let total = count - at; total < wire;) {
    const more = await conn.read(buffer);
    if (more === null) throw new Error("The body ended early");
    total += more;
    take(buffer.subarray(0, more));
  }
}

/** What the client `paid` does for a download: what our call promises, but for parsing. */
type Paid = (
  conn: Deno.Conn,
  body: {
    buffer: Uint8Array;
    at: number;
    count: number;
    wire: number;
    size: number;
    isChunked: boolean;
  },
  file: string,
) => Promise<void>;

/** Fills memory of `size` bytes with the body, directly where there is no framing in it. */
async function fillWhole(
  conn: Deno.Conn,
  whole: Uint8Array,
  read: (target: Uint8Array) => Promise<number | null> = (target) => conn.read(target),
): Promise<void> {
  for (let at = 0; at < whole.length;) {
    const count = await read(whole.subarray(at));
    if (count === null) throw new Error("The body ended early");
    at += count;
  }
}

const PAID: Record<string, Paid> = {
  async "read()"(conn, body) {
    const whole = new Uint8Array(body.size);
    if (!body.isChunked) {
      whole.set(body.buffer.subarray(body.at, body.count));
      return await fillWhole(conn, whole.subarray(body.count - body.at));
    }
    let end = 0;
    await each(conn, body, (piece) => {
      const part = piece.subarray(0, whole.length - end);
      whole.set(part, end);
      end += part.length;
    });
  },
  async "read(65536)"(conn, body) {
    let left = body.wire - (body.count - body.at);
    while (left > 0) {
      const piece = new Uint8Array(Math.min(left, 65536));
      await fillWhole(conn, piece);
      left -= piece.length;
    }
  },
  "for await": (conn, body) => each(conn, body, (piece) => void piece.slice()),
  "pipeTo null": (conn, body) => each(conn, body, (piece) => void piece.slice()),
  async "copyTo file"(conn, { buffer, at, count, wire }, path) {
    using file = await fileTo(path);
    let [filling, other] = [new Uint8Array(524288), new Uint8Array(524288)];
    let writing = writeAll(file, buffer.slice(at, count));
    for (let total = count - at; total < wire;) {
      const more = await conn.read(filling);
      if (more === null) throw new Error("The body ended early");
      total += more;
      await writing;
      writing = writeAll(file, filling.subarray(0, more));
      [filling, other] = [other, filling];
    }
    await writing;
  },
};
PAID["pipeTo file"] = PAID["copyTo file"];

/** The jobs of this client. */
export function jobsOf(config: Config): Jobs {
  const buffer = new Uint8Array(65536);
  const field = `Host: ${config.host}:${config.port}\r\nAccept-Encoding: identity`;
  const get = (path: string) => request(`GET ${path} HTTP/1.1\r\n${field}${CRLF2}`);
  const fieldsHead = (path: string) => {
    const more = Object.entries(FIELDS).map(([name, value]) => `\r\n${name}: ${value}`).join("");
    return `GET ${path} HTTP/1.1\r\n${field}${more}${CRLF2}`;
  };
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
  /** One exchange, to learn how long the answer is and where its body begins. */
  const learn = async (
    conn: Deno.Conn,
    head: Uint8Array,
  ): Promise<{ at: number; wire: number }> => {
    await writeAll(conn, head);
    const [at, count] = await first(conn, buffer);
    const length = /content-length: (\d+)/i.exec(decoder.decode(buffer.subarray(0, at)))![1];
    const wire = at + Number(length);
    await skip(conn, buffer, wire - count);
    return { at, wire };
  };
  /** The same with what our calls promise. */
  const payFor = async (
    conn: Deno.Conn,
    head: Uint8Array,
    { at, wire }: { at: number; wire: number },
    way: string,
  ): Promise<void> => {
    const reading = conn.read(buffer);
    await conn.write(head);
    let total = await reading ?? 0;
    while (total < wire) {
      const count = await conn.read(buffer.subarray(total));
      if (count === null) break;
      total += count;
    }
    check(total, wire);
    if (way === "text()") decoder.decode(buffer.subarray(at, wire));
    else if (way === "json()") JSON.parse(decoder.decode(buffer.subarray(at, wire)));
    else buffer.slice(at, wire);
  };
  const exchange = async (
    conn: Deno.Conn,
    head: Uint8Array,
    known: { at: number; wire: number },
    way: string,
  ): Promise<void> => {
    if (way !== "") return await payFor(conn, head, known, way);
    await conn.write(head);
    await skip(conn, buffer, known.wire);
  };

  return {
    async get({ path, count, tls, way }) {
      const conn = await keep(tls ? "tls" : "plain", tls);
      const head = way.endsWith("10 fields") ? request(fieldsHead(path)) : get(path);
      const known = await learn(conn, head);
      const pays = way === "10 fields" ? "" : way.replace(" 10 fields", "");
      for (let i = 1; i < count; i++) await exchange(conn, head, known, pays);
    },
    async rest({ path, count, way }) {
      const conn = await keep("plain");
      const head = get(path);
      const known = await learn(conn, head);
      return await rested(count, () => exchange(conn, head, known, way));
    },
    async connect({ path, count, tls }) {
      const head = get(path);
      for (let i = 0; i < count; i++) {
        using conn = await connect(tls);
        await conn.write(head);
        while (await conn.read(buffer) !== null);
      }
    },
    async post({ count, way }) {
      const conn = await keep("plain");
      const isJson = way.endsWith("JSON");
      const body = isJson ? encoder.encode(JSON.stringify(DOCUMENT)) : POSTED;
      const type = isJson ? "\r\nContent-Type: application/json" : "";
      const head = `POST / HTTP/1.1\r\n${field}${type}\r\nContent-Length: ${body.length}${CRLF2}`;
      const whole = new Uint8Array(head.length + body.length);
      whole.set(request(head));
      whole.set(body, head.length);
      const known = await learn(conn, whole);
      const pays = way.startsWith("paid") ? "text()" : "";
      for (let i = 1; i < count; i++) await exchange(conn, whole, known, pays);
    },
    async parallel({ path, count, parallel }) {
      const head = get(path);
      const names = Array.from({ length: parallel }, (_, i) => `${i}`);
      const conns = await Promise.all(names.map((name) => keep(name)));
      const known = await learn(conns[0], head);
      const one = async (conn: Deno.Conn): Promise<void> => {
        await conn.write(head);
        await skip(conn, buffer, known.wire);
      };
      for (let i = 0; i < count; i++) await Promise.all(conns.map(one));
    },
    async duplex({ size }) {
      const conn = await keep("plain");
      await conn.write(
        request(`POST /echo HTTP/1.1\r\n${field}\r\nContent-Length: ${size}${CRLF2}`),
      );
      const send = async () => {
        for (const piece of pieces(size, 65536)) await writeAll(conn, piece);
      };
      const sent = send();
      const [at, count] = await first(conn, buffer);
      await skip(conn, buffer, size - (count - at));
      await sent;
    },
    async download(task) {
      const conn = await keep("plain");
      await conn.write(get(task.path));
      const [at, count] = await first(conn, buffer);
      const wire = framed(task);
      if (task.way in PAID) {
        const isChunked = task.path.startsWith("/chunked/");
        const body = { buffer, at, count, wire, size: task.size, isChunked };
        return await PAID[task.way](conn, body, config.download);
      }
      await (task.way === "readline" ? splitLines : skip)(conn, buffer, wire - (count - at));
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
