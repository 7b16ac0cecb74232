/**
 * The client of a cell: how it connects, what it sends, and how it reads.
 *
 * @module
 */
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  type HTTPResponse,
  HTTPSConnection,
  type Transport,
} from "../../mod.ts";
import { bytes } from "../servers/raw.ts";
import { type Delivered, Tracked } from "../sweep/outcome.ts";
import { CA, CLIENT } from "../tls/mod.ts";
import type { CellServer } from "./server.ts";
import type { Cell, Way } from "./table.ts";

/** A body that is more than the buffers of any connection hold. */
export const UPLOAD: Uint8Array<ArrayBuffer> = (() => {
  const line = bytes("a line of an upload that is more than the system takes at once ....\n");
  const body = new Uint8Array(128 * 65536);
  for (let at = 0; at < body.length; at += line.length) {
    body.set(line.subarray(0, body.length - at), at);
    new DataView(body.buffer).setUint8(at, 97 + (at / line.length) % 23);
  }
  return body;
})();

let uploadText: string | null = null;

function asText(): string {
  return uploadText ??= new TextDecoder().decode(UPLOAD);
}

const PIECE = 65536;

function* pieces(): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < UPLOAD.length; at += PIECE) yield UPLOAD.subarray(at, at + PIECE);
}

async function* slowPieces(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (const piece of pieces()) {
    await null;
    yield piece;
  }
}

/** A transport of the user's: a socket that nobody can tell for one. */
function wrapped(conn: Deno.Conn): Transport {
  return {
    read: (p) => conn.read(p),
    write: (p) => conn.write(p),
    close: () => conn.close(),
  };
}

/** What a connection is made with. */
export interface ClientOptions extends HTTPConnectionOptions {
  /** The user's transport, for the first connection, if it is to be another one. */
  readonly connectFirst?: () => Promise<Deno.Conn>;
}

/** Makes the connection object of a cell. */
export async function connectionTo(
  { transport }: Cell,
  server: CellServer,
  { connectFirst, ...options }: ClientOptions,
): Promise<HTTPConnection> {
  const { port, path } = server.raw;
  const context = { caCerts: [CA] };
  const connect = () => Deno.connect({ hostname: "127.0.0.1", port: server.raw.port });
  let isFirst = true;
  const own = async () => {
    const open = isFirst ? connectFirst ?? connect : connect;
    isFirst = false;
    return wrapped(await open());
  };
  switch (transport.name) {
    case "TCP of Node's":
      return new HTTPConnection("127.0.0.1", port, {
        ...options,
        source_address: ["127.0.0.1", 0],
      });
    case "unix socket":
      return new HTTPConnection("localhost", { ...options, socketPath: path });
    case "TLS":
      return new HTTPSConnection("127.0.0.1", port, { ...options, context });
    case "TLS with a client certificate":
      return new HTTPSConnection("127.0.0.1", port, {
        ...options,
        context: { ...context, ...CLIENT },
      });
    case "TLS without verification":
      return new HTTPSConnection("127.0.0.1", port, {
        ...options,
        context: { verify_mode: "CERT_NONE", check_hostname: false },
      });
    case "tunnel":
      return tunnelled(new HTTPConnection("127.0.0.1", port, options));
    case "TLS in a tunnel":
      return tunnelled(new HTTPSConnection("127.0.0.1", port, { ...options, context }));
    case "TLS of Node's in a tunnel":
      return tunnelled(
        new HTTPSConnection("127.0.0.1", port, { ...options, context: { ...context, ...CLIENT } }),
      );
    case "transport option":
      return new HTTPConnection("127.0.0.1", port, { ...options, transport: own });
    case "TLS over a transport option":
      return new HTTPSConnection("127.0.0.1", port, { ...options, context, transport: own });
    case "conn.sock": {
      const conn = new HTTPConnection("127.0.0.1", port, options);
      conn.sock = await connect();
      return conn;
    }
    default:
      return new HTTPConnection("127.0.0.1", port, options);
  }
}

function tunnelled(conn: HTTPConnection): HTTPConnection {
  conn.set_tunnel("localhost", 443);
  return conn;
}

/** An exchange of a client, as it goes. */
export class Client {
  /** What sends the request, once that was begun. */
  request: Tracked | null = null;
  /** The response, once its head has come. */
  response: HTTPResponse | null = null;
  /** What was handed over after a 101. */
  detached: Transport | null = null;
  readonly #cell: Cell;
  readonly #conn: HTTPConnection;
  readonly #signal: AbortSignal;
  readonly #delivered: Delivered;
  readonly #onresponse: () => void;

  constructor(
    cell: Cell,
    conn: HTTPConnection,
    signal: AbortSignal,
    delivered: Delivered,
    onresponse: () => void,
  ) {
    this.#onresponse = onresponse;
    this.#cell = cell;
    this.#conn = conn;
    this.#signal = signal;
    this.#delivered = delivered;
  }

  /** Makes the request as the cell says, and reads its answer. */
  async run(): Promise<void> {
    const { phase, way } = this.#cell;
    const conn = this.#conn;
    switch (phase.kind) {
      case "upload":
      case "waiting":
        return await this.#upload();
      case "detached":
        return await this.#switch();
    }
    if (way === "connect()") await conn.connect();
    if (way === "step by step") {
      conn.putrequest("GET", "/");
      conn.putheader("X-Way", way);
      this.request = new Tracked(() => conn.endheaders(null, { signal: this.#signal }));
    } else {
      this.request = new Tracked(() =>
        conn.request("GET", "/", null, null, { signal: this.#signal })
      );
    }
    if (way !== "not awaited") await whenDone(this.request);
    const response = this.response = await conn.getresponse();
    this.#onresponse();
    await readBy(way, response, (piece) => this.#delivered.take(piece));
  }

  /** Sends the body, and gets its answer. */
  async #upload(): Promise<void> {
    const { phase, way } = this.#cell;
    const conn = this.#conn;
    const isAwaited = way.endsWith(", awaited");
    const send = way.startsWith("send()") ? this.#steps(isAwaited) : this.#whole();
    this.request = new Tracked(() => send);
    if (isAwaited) await whenDone(this.request);
    this.response = await conn.getresponse();
    const body = await this.response.read();
    if (phase.kind === "upload") this.#delivered.take(body);
  }

  #whole(): Promise<void> {
    const { phase, way } = this.#cell;
    const chunked = phase.name === "upload chunked";
    const kind = way.slice(0, way.indexOf(","));
    const body = kind === "bytes"
      ? UPLOAD
      : kind === "string"
      ? asText()
      : kind === "stream"
      ? ReadableStream.from(pieces())
      : slowPieces();
    const headers: Record<string, string> = chunked
      ? { "Transfer-Encoding": "chunked" }
      : { "Content-Length": String(UPLOAD.length) };
    return this.#conn.request("POST", "/upload", body, headers, {
      encode_chunked: chunked,
      signal: this.#signal,
      expect_continue: phase.kind === "waiting",
    });
  }

  async #steps(isAwaited: boolean): Promise<void> {
    const conn = this.#conn;
    const chunked = this.#cell.phase.name === "upload chunked";
    conn.putrequest("POST", "/upload");
    if (chunked) conn.putheader("Transfer-Encoding", "chunked");
    else conn.putheader("Content-Length", String(UPLOAD.length));
    const steps: Promise<void>[] = [];
    const step = async (send: Promise<void>) => {
      steps.push(send);
      if (isAwaited) await send;
    };
    await step(conn.endheaders(null, { signal: this.#signal }));
    for (const piece of pieces()) {
      if (chunked) await step(conn.send(`${piece.length.toString(16)}\r\n`));
      await step(conn.send(piece));
      if (chunked) await step(conn.send("\r\n"));
    }
    if (chunked) await step(conn.send("0\r\n\r\n"));
    await Promise.all(steps);
  }

  /** Switches protocols, and reads what comes then. */
  async #switch(): Promise<void> {
    const conn = this.#conn;
    await conn.request("GET", "/", null, { Connection: "upgrade", Upgrade: "lines" });
    await conn.getresponse();
    const { transport, buffered, readable } = conn.detach();
    this.detached = transport;
    if (this.#cell.way === "readable") {
      for await (const piece of readable) this.#delivered.take(piece);
      return;
    }
    this.#delivered.take(buffered);
    const p = new Uint8Array(1000);
    for (let count; (count = await transport.read(p)) !== null;) {
      this.#delivered.take(p.slice(0, count));
    }
  }
}

async function whenDone(tracked: Tracked): Promise<void> {
  await tracked.done;
  if (tracked.state === "rejected") throw tracked.error;
}

/** Reads a body to its end by one kind of call. */
async function readBy(
  way: Way,
  response: HTTPResponse,
  take: (piece: Uint8Array) => void,
): Promise<void> {
  const until = async (read: () => Promise<Uint8Array>) => {
    for (let piece; (piece = await read()).length > 0;) take(piece);
  };
  const intoMemory = async (size: number) => {
    const memory = new Uint8Array(size);
    for (let count; (count = await response.readinto(memory)) > 0;) take(memory.slice(0, count));
  };
  switch (way) {
    case "read(n)":
      return await until(() => response.read(64));
    case "read1":
      return await until(() => response.read1());
    case "readinto":
      return await intoMemory(50);
    case "readinto of much":
      return await intoMemory(65536);
    case "readline":
      return await until(() => response.readline());
    case "readlines":
      for (const line of await response.readlines()) take(line);
      // The end may have come early: the next call tells.
      return await until(() => response.readline());
    case "lines":
      for await (const line of response.lines()) take(line);
      return;
    case "for await":
      for await (const piece of response) take(piece);
      return;
    case "getReader": {
      const reader = response.getReader();
      for (let step; !(step = await reader.read()).done;) take(step.value);
      return;
    }
    case "byob": {
      const reader = response.getReader({ mode: "byob" });
      let memory = new Uint8Array(100);
      for (;;) {
        const { done, value } = await reader.read(memory);
        if (done) return;
        take(value.slice());
        memory = new Uint8Array(value.buffer);
      }
    }
    case "pipeTo":
      return await response.pipeTo(new WritableStream({ write: (piece) => take(piece) }));
    case "text":
      return take(new TextEncoder().encode(await response.text()));
    default:
      return take(await response.read());
  }
}
