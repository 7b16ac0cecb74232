/**
 * The other end of the benchmark where no C compiler is installed for `server.c`: the same paths, raw
 * sockets, answers that stand ready in memory. Prints its port and runs until its input ends.
 *
 * @module
 */
import process from "node:process";

const BATCH = 262144;
const LINE = 60;
const LF = 10;
const FIELDS = [
  "Server: bench",
  "Date: Thu, 01 Jan 2026 00:00:00 GMT",
  "Content-Type: application/octet-stream",
  "Cache-Control: no-store",
  'ETag: "0123456789abcdef"',
];

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const zeros = new Uint8Array(BATCH);
const lines = new Uint8Array(BATCH - BATCH % LINE).fill(120);
for (let at = LINE - 1; at < lines.length; at += LINE) lines[at] = LF;

/** What a request was, as far as it matters. */
interface Request {
  method: string;
  path: string;
  length: number;
  chunked: boolean;
}

/** Small answers, each made once. */
const ready = new Map<string, Uint8Array>();

/** A connection with what was read of it ahead. */
class Peer {
  #buffer = new Uint8Array(65536);
  #start = 0;
  #end = 0;

  constructor(readonly conn: Deno.Conn) {}

  /** Reads up to and including `end`, as text; `null` at the end of the connection. */
  async until(end: string): Promise<string | null> {
    for (;;) {
      const text = decoder.decode(this.#buffer.subarray(this.#start, this.#end));
      const at = text.indexOf(end);
      if (at >= 0) {
        this.#start += at + end.length;
        return text.slice(0, at);
      }
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
      if (!await this.#fill()) return null;
    }
  }

  async skip(size: number): Promise<void> {
    while (this.#end - this.#start < size) {
      size -= this.#end - this.#start;
      this.#start = this.#end = 0;
      if (!await this.#fill()) throw new Error("The body ended early");
    }
    this.#start += size;
  }

  /** What has come, or comes next, up to `most` bytes; it is there until the next read. */
  async take(most: number): Promise<Uint8Array> {
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
      if (!await this.#fill()) throw new Error("The body ended early");
    }
    const piece = this.#buffer.subarray(this.#start, Math.min(this.#end, this.#start + most));
    this.#start += piece.length;
    return piece;
  }

  async #fill(): Promise<boolean> {
    const count = await this.conn.read(this.#buffer.subarray(this.#end));
    this.#end += count ?? 0;
    return count !== null;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.conn.write(bytes.subarray(at));
  }
}

async function readRequest(peer: Peer): Promise<Request | null> {
  const head = await peer.until("\r\n\r\n");
  if (head === null) return null;
  const [method, path] = head.split(" ", 2);
  if (method === "GET") return { method, path, length: 0, chunked: false };
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  return { method, path, length, chunked: /^transfer-encoding: *chunked/im.test(head) };
}

/** Drops the body of a request, and says how much it was. */
async function drop(peer: Peer, request: Request): Promise<number> {
  if (!request.chunked) {
    await peer.skip(request.length);
    return request.length;
  }
  for (let total = 0;;) {
    const line = await peer.until("\r\n");
    if (line === null) throw new Error("The body ended early");
    const size = parseInt(line, 16);
    await peer.skip(size + 2);
    if (size === 0) return total;
    total += size;
  }
}

function head(framing: string, more: string[] = []): Uint8Array<ArrayBuffer> {
  return encoder.encode(["HTTP/1.1 200 OK", ...FIELDS, ...more, framing, "\r\n"].join("\r\n"));
}

/** The head and the body of a small answer as one piece. */
function whole(body: Uint8Array, more: string[] = []): Uint8Array {
  const first = head(`Content-Length: ${body.length}`, more);
  const all = new Uint8Array(first.length + body.length);
  all.set(first);
  all.set(body, first.length);
  return all;
}

async function sendLong(peer: Peer, size: number, batch: Uint8Array): Promise<void> {
  await peer.write(head(`Content-Length: ${size}`));
  for (let left = size; left > 0; left -= batch.length) await peer.write(batch.subarray(0, left));
}

async function sendChunked(peer: Peer, size: number, chunk: number): Promise<void> {
  const line = encoder.encode(`${chunk.toString(16)}\r\n`);
  const each = line.length + chunk + 2;
  const count = Math.max(1, Math.floor(BATCH / each));
  const batch = new Uint8Array(count * each);
  for (let at = 0; at < batch.length; at += each) {
    batch.set(line, at);
    batch.set([13, 10], at + each - 2);
  }
  await peer.write(head("Transfer-Encoding: chunked"));
  for (let left = Math.floor(size / chunk); left > 0; left -= count) {
    await peer.write(batch.subarray(0, left * each));
  }
  const rest = size % chunk;
  const tail = rest === 0 ? "" : `${rest.toString(16)}\r\n${"\0".repeat(rest)}\r\n`;
  await peer.write(encoder.encode(`${tail}0\r\n\r\n`));
}

function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function numbered(number: number): Uint8Array {
  return whole(encoder.encode(String(number)));
}

function fieldsUpTo(count: number): string[] {
  const names = Array.from({ length: Math.max(0, count - FIELDS.length - 1) }, (_, i) => i + 6);
  return names.map((i) => `X-Field-Number-${i}: the value of field ${i}`);
}

/** Answers a GET; false where the connection is to end. */
async function answer(peer: Peer, path: string): Promise<boolean> {
  const [kind, first = 0, second = 0] = path.slice(1).split("/")
    .map((part, i) => i === 0 ? part : Number(part)) as [string, number?, number?];
  if (kind === "cpu") await peer.write(numbered(cpu()));
  else if (kind === "lines") await sendLong(peer, first, lines);
  else if (kind === "chunked") await sendChunked(peer, first, second);
  else if (kind === "bytes" && first > BATCH) await sendLong(peer, first, zeros);
  else {
    let bytes = ready.get(path);
    if (bytes === undefined) {
      const more = kind === "close" ? ["Connection: close"] : [];
      if (kind === "fields") more.push(...fieldsUpTo(first));
      const body = kind === "json"
        ? encoder.encode(JSON.stringify("x".repeat(first - 2)))
        : zeros.subarray(0, kind === "fields" ? 1024 : first);
      bytes = whole(body, more);
      ready.set(path, bytes);
    }
    await peer.write(bytes);
  }
  return kind !== "close";
}

/** Sends a body back while it comes. */
async function echo(peer: Peer, size: number): Promise<void> {
  await peer.write(head(`Content-Length: ${size}`));
  for (let left = size; left > 0;) {
    const piece = await peer.take(left);
    await peer.write(piece);
    left -= piece.length;
  }
}

async function serve(conn: Deno.Conn): Promise<void> {
  const peer = new Peer(conn);
  for (let request; (request = await readRequest(peer)) !== null;) {
    if (request.path === "/echo") await echo(peer, request.length);
    else if (request.method !== "GET") await peer.write(numbered(await drop(peer, request)));
    else if (!await answer(peer, request.path)) return;
  }
}

async function accept(listener: Deno.TcpListener): Promise<void> {
  for await (const conn of listener) {
    conn.setNoDelay(true);
    serve(conn).catch(() => {}).finally(() => conn.close());
  }
}

if (import.meta.main) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(listener.addr.port);
  accept(listener);
  // The input ends when who started this is done, however that comes.
  for await (const _ of Deno.stdin.readable);
  Deno.exit();
}
