/**
 * The other end of `memory.ts`, in a process of its own: raw sockets and one buffer, so that it is
 * never what is waited for. It prints its port and runs until its input ends.
 *
 * `GET /length/N` and `GET /chunked/N` answer with N bytes, `POST /` takes a chunked body.
 *
 * @module
 */

/** What a body is made of, zeros: the end of a chunked one shows in its last bytes alone. */
const PIECE = 65536;
/** How much is written or read at once. */
const BATCH = 4 * PIECE;

const zeros = new Uint8Array(BATCH);
const chunks = chunked(BATCH);

/** As many bytes in chunks of `PIECE`. */
function chunked(size: number): Uint8Array<ArrayBuffer> {
  const line = `${PIECE.toString(16)}\r\n`;
  const each = line.length + PIECE + 2;
  const all = new Uint8Array(each * (size / PIECE));
  for (let at = 0; at < all.length; at += each) {
    all.set(new TextEncoder().encode(line), at);
    all.set([13, 10], at + each - 2);
  }
  return all;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

async function send(conn: Deno.Conn, framing: string, size: number): Promise<void> {
  const field = framing === "length" ? `Content-Length: ${size}` : "Transfer-Encoding: chunked";
  await writeAll(conn, new TextEncoder().encode(`HTTP/1.1 200 OK\r\n${field}\r\n\r\n`));
  const batch = framing === "length" ? zeros : chunks;
  for (let left = size; left > 0; left -= BATCH) await writeAll(conn, batch);
  if (framing !== "length") await writeAll(conn, new TextEncoder().encode("0\r\n\r\n"));
}

/** Whether a chunked body ends here. */
function ends(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(-5)) === "0\r\n\r\n";
}

/** Takes requests, one after the other. The client sends no head in two pieces. */
async function serve(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(BATCH);
  for (let count; (count = await conn.read(buffer)) !== null;) {
    const head = new TextDecoder().decode(buffer.subarray(0, Math.min(count, 256)));
    const [_, method, framing, size] = /^(GET|POST) \/(\w*)\/?(\d*) /.exec(head)!;
    if (method === "GET") {
      await send(conn, framing, Number(size));
      continue;
    }
    let total = count;
    // The last bytes of a body may come in a read of their own.
    let tail = buffer.slice(Math.max(0, count - 5), count);
    while (!ends(tail)) {
      const more = await conn.read(buffer);
      if (more === null) return;
      total += more;
      tail = Uint8Array.from([...tail, ...buffer.subarray(Math.max(0, more - 5), more)]).slice(-5);
    }
    const text = `HTTP/1.1 200 OK\r\nContent-Length: ${String(total).length}\r\n\r\n${total}`;
    await writeAll(conn, new TextEncoder().encode(text));
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
