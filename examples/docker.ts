/**
 * Docker's Engine API over its unix socket: events as lines of JSON, logs from their multiplexed stream,
 * and an attached container, whose connection is handed over after `101 UPGRADED` or `200 OK`. Without
 * arguments it checks itself with a stand-in for the engine.
 *
 *     deno run -A examples/docker.ts
 *     deno run -A examples/docker.ts /var/run/docker.sock                # prints events
 *     deno run -A examples/docker.ts /var/run/docker.sock CONTAINER      # follows the logs
 *
 * @module
 */
import { HTTPConnection, type HTTPResponse, LineReader } from "@denoports/http-client";
import { assertEquals } from "@std/assert";
import { writeAll } from "@std/io/write-all";

/** Each stream has a connection of its own: nothing else can be sent on it until the stream has ended. */
function connect(socketPath: string): HTTPConnection {
  return new HTTPConnection("docker", { socketPath, deadlines: { connect: 5, head: 30 } });
}

/** Throws what the engine says of a request that has failed. */
async function check(response: HTTPResponse, ...expected: number[]): Promise<void> {
  if (expected.includes(response.status)) return;
  const text = new TextDecoder().decode(await response.read(65536));
  response.close();
  throw new Error(`The engine answered ${response.status} ${response.reason}: ${text}`);
}

interface EngineEvent {
  Type: string;
  Action: string;
  Actor: { ID: string };
}

/** The events of the engine as they happen. */
async function* events(socketPath: string, signal?: AbortSignal): AsyncGenerator<EngineEvent> {
  using conn = connect(socketPath);
  await conn.request("GET", "/events", null, {}, { signal });
  const response = await conn.getresponse();
  await check(response, 200);
  const limit = 1 << 20;
  for (let line; (line = await response.readline(limit)).length > 0;) {
    if (line.at(-1) !== 10) throw new Error(`An event is cut off, or over ${limit} bytes`);
    yield JSON.parse(new TextDecoder().decode(line));
  }
}

const STREAMS = ["stdin", "stdout", "stderr"] as const;

/**
 * The output of a container that has no terminal: each piece comes behind a header of eight bytes, the
 * number of its stream, three zeros and the piece's size.
 */
async function* demultiplex(source: ReadableStream<Uint8Array>): AsyncGenerator<
  { stream: typeof STREAMS[number]; data: Uint8Array }
> {
  const reader = new LineReader(source);
  while ((await reader.peek(1)).length > 0) {
    const header = await reader.readexactly(8);
    const stream = STREAMS[header[0]];
    if (stream === undefined) throw new Error("This is no multiplexed stream");
    let left = new DataView(header.buffer, header.byteOffset).getUint32(4);
    while (left > 0) {
      const data = await reader.readexactly(Math.min(left, 65536));
      left -= data.length;
      yield { stream, data };
    }
  }
}

/** The logs of a container, up to now and from now on. */
async function* logs(socketPath: string, id: string, signal?: AbortSignal) {
  using conn = connect(socketPath);
  const target = `/containers/${encodeURIComponent(id)}/logs?stdout=1&stderr=1&follow=1`;
  await conn.request("GET", target, null, {}, { signal });
  const response = await conn.getresponse();
  await check(response, 200);
  // Engines before API 1.42 call both forms raw: there, `Config.Tty` of the container says which it is.
  if (response.getheader("content-type") === "application/vnd.docker.multiplexed-stream") {
    return yield* demultiplex(response);
  }
  for await (const data of response) yield { stream: "stdout" as const, data };
}

/** The two directions of an attached container; disposing of it closes the connection. */
interface Attached extends Disposable {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
}

/** Attaches to a container. Closing `writable` ends its input, and its output still comes. */
async function attach(socketPath: string, id: string): Promise<Attached> {
  const conn = connect(socketPath);
  try {
    await conn.connect();
    const sock = conn.sock!;
    const target = `/containers/${
      encodeURIComponent(id)
    }/attach?stream=1&stdin=1&stdout=1&stderr=1`;
    await conn.request("POST", target, null, { "Connection": "Upgrade", "Upgrade": "tcp" });
    const response = await conn.getresponse();
    await check(response, 101, 200);
    if (response.status === 101) return conn.detach();
    // Older engines, and proxies that drop `Upgrade`: the body lasts until the connection ends, and the
    // input goes over the same connection, beside it.
    const writable = new WritableStream<Uint8Array>({
      write: (piece) => writeAll(sock, piece),
      close: () => sock.closeWrite?.(),
      abort: () => response.close(),
    });
    return { readable: response, writable, [Symbol.dispose]: () => conn[Symbol.dispose]() };
  } catch (error) {
    conn[Symbol.dispose]();
    throw error;
  }
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const encode = (text: string) => new TextEncoder().encode(text);
  const frame = (stream: number, text: string) =>
    new Uint8Array([stream, 0, 0, 0, 0, 0, 0, text.length, ...encode(text)]);
  await using engine = await startRaw(async (peer) => {
    const { target } = await peer.readRequest();
    const [, , id] = target.split(/[/?]/);
    const type = (form: string) => `Content-Type: application/vnd.docker.${form}-stream\r\n`;
    if (target.startsWith("/events")) {
      await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const lines = ["create", "start"].map((Action) => {
        return `${JSON.stringify({ Type: "container", Action, Actor: { ID: "x" } })}\n`;
      }).join("");
      for (const part of [lines.slice(0, 20), lines.slice(20)]) { // a line in two chunks
        await peer.send(`${part.length.toString(16)}\r\n${part}\r\n`);
      }
      await peer.eof();
    } else if (target.includes("/logs")) {
      await peer.send(`HTTP/1.1 200 OK\r\n${type("multiplexed")}Connection: close\r\n\r\n`);
      await peer.send(frame(1, "out\n"), frame(2, "err\n").subarray(0, 5));
      await peer.send(frame(2, "err\n").subarray(5));
    } else if (id === "none") {
      await peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such");
    } else {
      await peer.send(
        id === "new"
          ? `HTTP/1.1 101 UPGRADED\r\n${type("raw")}Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n`
          : `HTTP/1.1 200 OK\r\n${type("raw")}\r\n`,
      );
      await peer.send("READY\n"); // It runs `tr a-z A-Z`.
      for (let piece; (piece = await peer.read()) !== null;) {
        await peer.send(new TextDecoder().decode(piece).toUpperCase());
      }
      await peer.send("BYE\n");
    }
  }, { unix: true });

  const actions = [];
  for await (const { Action } of events(engine.path)) {
    actions.push(Action);
    if (actions.length === 2) break; // The connection is closed by this.
  }
  assertEquals(actions, ["create", "start"]);

  const output = await Array.fromAsync(logs(engine.path, "x"));
  assertEquals(output, [
    { stream: "stdout", data: encode("out\n") },
    { stream: "stderr", data: encode("err\n") },
  ]);

  for (const id of ["new", "old"]) {
    using container = await attach(engine.path, id);
    const lines = new LineReader(container.readable);
    const line = async () => new TextDecoder().decode(await lines.readline(1000));
    const writer = container.writable.getWriter();
    assertEquals(await line(), "READY\n");
    for (const word of ["one", "two"]) {
      await writer.write(encode(`${word}\n`));
      assertEquals(await line(), `${word.toUpperCase()}\n`); // while the input is still open
    }
    await writer.close();
    assertEquals([await line(), await line()], ["BYE\n", ""]);
    console.log(id, "engine: attached, both directions worked at once");
  }
  const refused = await attach(engine.path, "none").catch((error: Error) => error.message);
  assertEquals(refused, "The engine answered 404 Not Found: no such");
  console.log(
    "checked: events, logs, attaching after a 101 and after a 200, an error of the engine",
  );
}

if (import.meta.main) {
  const [socketPath, id] = Deno.args;
  if (socketPath === undefined) await selfCheck();
  else if (id === undefined) { for await (const event of events(socketPath)) console.log(event); }
  else {
    for await (const { stream, data } of logs(socketPath, id)) {
      await writeAll(stream === "stderr" ? Deno.stderr : Deno.stdout, data);
    }
  }
}
