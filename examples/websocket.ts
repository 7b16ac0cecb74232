/**
 * A WebSocket by hand (RFC 6455): the handshake is a request whose answer is 101, and `detach()` hands over
 * the connection. Messages in fragments, control frames between them, limits, and the closing handshake
 * are all here; extensions are not. Without arguments it talks to a server of `npm:ws`.
 *
 *     deno run -A examples/websocket.ts
 *     deno run -A examples/websocket.ts wss://echo.example/ hello
 *
 * @module
 */
import { once } from "node:events";
import {
  type Detached,
  HTTPConnection,
  HTTPSConnection,
  LineReader,
  SWITCHING_PROTOCOLS,
} from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";
// @ts-types="npm:@types/ws@8"
import { type RawData, WebSocketServer } from "npm:ws@8";

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];
const [NORMAL, PROTOCOL_ERROR, NO_STATUS, INVALID_DATA, TOO_BIG] = [1000, 1002, 1005, 1007, 1009];

/** How long the closing handshake may take, in milliseconds. */
const CLOSE_TIMEOUT = 5000;

/** A failure that the peer is told of by a close frame with this code. */
class WebSocketError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const acceptOf = async (key: string) => {
  const proof = new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  return new Uint8Array(await crypto.subtle.digest("SHA-1", proof)).toBase64();
};

/** Opens a WebSocket: the handshake of Section 4.1. */
async function open(url: URL, maxMessageBytes = 1 << 20): Promise<WebSocketClient> {
  const secure = url.protocol === "wss:";
  const Connection = secure ? HTTPSConnection : HTTPConnection;
  const origin = new URL(`${secure ? "https" : "http"}://${url.host}`);
  using conn = new Connection(origin, { timeout: 30, deadlines: { connect: 10, head: 10 } });
  const key = crypto.getRandomValues(new Uint8Array(16)).toBase64();
  await conn.request("GET", url.pathname + url.search, null, {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": key,
  });
  const response = await conn.getresponse();
  const { status, headers } = response;
  const options = (response.getheader("connection") ?? "").toLowerCase().split(/\s*,\s*/);
  const isRight = status === SWITCHING_PROTOCOLS && options.includes("upgrade") &&
    headers.get("upgrade")?.toLowerCase() === "websocket" &&
    response.getheader("sec-websocket-accept") === await acceptOf(key) &&
    // Neither was offered, so the server must not pick one.
    !headers.has("sec-websocket-extensions") && !headers.has("sec-websocket-protocol");
  if (!isRight) throw new Error(`The handshake has failed: ${status} ${response.reason}`);
  return new WebSocketClient(conn.detach(), maxMessageBytes);
}

/** The frames of Section 5 over a connection that was handed over. */
class WebSocketClient implements Disposable {
  /** The code and the reason of the peer's close frame; 1006 where the connection ended without one. */
  closed: { code: number; reason: string } = { code: 1006, reason: "" };
  readonly #detached: Detached;
  readonly #input: LineReader;
  readonly #output: WritableStreamDefaultWriter<Uint8Array>;
  readonly #maxMessageBytes: number;
  #closeSent = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(detached: Detached, maxMessageBytes: number) {
    this.#detached = detached;
    this.#input = new LineReader(detached.readable);
    this.#output = detached.writable.getWriter();
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Sends a message in one frame. The promise is fulfilled once it was written: await it for backpressure. */
  async send(message: string | Uint8Array): Promise<void> {
    if (this.#closeSent) throw new Error("Cannot send: the WebSocket is closing");
    const isText = typeof message === "string";
    await this.#send(isText ? TEXT : BINARY, isText ? new TextEncoder().encode(message) : message);
  }

  /** Begins the closing handshake; the loop over {@linkcode messages} ends when the peer completes it. */
  async close(code = NORMAL, reason = ""): Promise<void> {
    if (this.#closeSent) return;
    const text = new TextEncoder().encode(reason);
    if (text.length > 123) throw new TypeError("Cannot close: the reason has over 123 bytes");
    const sent = this.#send(CLOSE, new Uint8Array([code >> 8, code & 255, ...text]));
    this.#closeSent = true;
    // The connection is closed even if the peer never answers.
    this.#timer = setTimeout(() => this.#detached[Symbol.dispose](), CLOSE_TIMEOUT);
    await sent;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#detached[Symbol.dispose]();
  }

  /** A frame of a client is masked, with a new key each (Section 5.3). */
  async #send(opcode: number, data: Uint8Array): Promise<void> {
    const { length } = data;
    const extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
    const head = 2 + extra + 4;
    const frame = new Uint8Array(head + length);
    const view = new DataView(frame.buffer);
    frame[0] = 0x80 | opcode;
    frame[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
    if (extra === 2) view.setUint16(2, length);
    else if (extra === 8) view.setBigUint64(2, BigInt(length));
    const mask = crypto.getRandomValues(frame.subarray(head - 4, head));
    for (let i = 0; i < length; i++) frame[head + i] = data[i] ^ mask[i & 3];
    await this.#output.write(frame);
  }

  async #receive(room: number): Promise<{ fin: boolean; opcode: number; data: Uint8Array }> {
    const [first, second] = await this.#input.readexactly(2);
    const [fin, opcode] = [first >= 0x80, first & 15];
    const fail = (message: string) => {
      throw new WebSocketError(PROTOCOL_ERROR, message);
    };
    if ((first & 0x70) !== 0) fail("A reserved bit is set");
    if (second >= 0x80) fail("A frame of a server is masked");
    if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) fail("Unknown opcode");
    let length = second;
    if (opcode >= CLOSE && (!fin || length > 125)) fail("A control frame is long or in fragments");
    if (length >= 126) {
      const { buffer, byteOffset } = await this.#input.readexactly(length === 126 ? 2 : 8);
      const view = new DataView(buffer, byteOffset);
      length = length === 126 ? view.getUint16(0) : Number(view.getBigUint64(0));
    }
    if (opcode < CLOSE && length > room) throw new WebSocketError(TOO_BIG, "A message is too big");
    return { fin, opcode, data: await this.#input.readexactly(length) };
  }

  /** The messages, until the closing handshake is done. Pings are answered while it is read. */
  async *messages(): AsyncGenerator<string | Uint8Array> {
    try {
      let parts: Uint8Array[] = [];
      let [type, size] = [CONTINUATION, 0];
      for (;;) {
        const { fin, opcode, data } = await this.#receive(this.#maxMessageBytes - size);
        if (opcode === PING) await this.#send(PONG, data);
        else if (opcode === CLOSE) return await this.#endByPeer(data);
        if (opcode >= CLOSE) continue;
        if ((opcode === CONTINUATION) !== (type !== CONTINUATION)) {
          throw new WebSocketError(PROTOCOL_ERROR, "The fragments are out of order");
        }
        if (opcode !== CONTINUATION) type = opcode;
        // Empty fragments add nothing to the size, so their number is limited, too.
        if (parts.push(data) > 10_000) throw new WebSocketError(TOO_BIG, "Too many fragments");
        size += data.length;
        if (!fin) continue;
        const message = await new Blob(parts as Uint8Array<ArrayBuffer>[]).bytes();
        yield type === TEXT ? utf8(message) : message;
        [parts, type, size] = [[], CONTINUATION, 0];
      }
    } catch (error) {
      if (error instanceof WebSocketError) await this.close(error.code).catch(() => {});
      throw error;
    } finally {
      this[Symbol.dispose]();
    }
  }

  /** The peer's close frame is answered by one with its code; it ends the connection then (Section 7). */
  async #endByPeer(data: Uint8Array): Promise<void> {
    if (data.length === 1) throw new WebSocketError(PROTOCOL_ERROR, "Half of a code");
    const code = data.length === 0 ? NO_STATUS : data[0] << 8 | data[1];
    const isValid = code >= 3000 && code < 5000 || code >= 1000 && code <= 1014 && code !== 1004 &&
        code !== 1006 && (code !== NO_STATUS || data.length === 0);
    if (!isValid) throw new WebSocketError(PROTOCOL_ERROR, `${code} must not be sent`);
    this.closed = { code, reason: utf8(data.subarray(2)) };
    await this.close(code === NO_STATUS ? NORMAL : code);
    // The server closes the connection first; anything else that it sends is ignored.
    await this.#input.peek(1).catch(() => {});
  }
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new WebSocketError(INVALID_DATA, "Text is not in UTF-8");
  }
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const ended = Promise.withResolvers<number>();
  server.on("connection", (socket) => {
    socket.on("close", (code) => ended.resolve(code));
    socket.on("message", (data: RawData, isBinary: boolean) => {
      const bytes = data as Uint8Array;
      socket.send(bytes.subarray(0, 1), { binary: isBinary, fin: false });
      socket.ping("still there?");
      socket.send(bytes.subarray(1), { binary: isBinary, fin: true });
    });
  });
  const url = new URL(`ws://127.0.0.1:${(server.address() as { port: number }).port}/chat`);
  {
    using socket = await open(url);
    const sent = ["hello", "wide: ☃", new Uint8Array(300).fill(1), "x".repeat(70_000)];
    await socket.send(sent[0]);
    const received = [];
    for await (const message of socket.messages()) {
      received.push(message);
      if (received.length < sent.length) await socket.send(sent[received.length]);
      else await socket.close(NORMAL, "done");
    }
    assertEquals(received, sent);
    assertEquals([socket.closed, await ended.promise], [{ code: NORMAL, reason: "done" }, NORMAL]);
    console.log(`${received.length} messages came back`);
  }
  server.close();

  // What a server must not do.
  const frames = [[0x81, 0x81], [0xc1, 0], [0x80, 0], [0x01, 0, 0x81, 0], [0x81, 1, 0xff]]
    .concat([[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0], [0x88, 2, 3, 0xee], [0x09, 0]]);
  const codes: number[] = [];
  await using bad = await startRaw(async (peer) => {
    const accept = await acceptOf((await peer.readRequest()).get("sec-websocket-key")!);
    const proof = peer.index < frames.length ? accept : "AAAA";
    await peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n");
    await peer.send(`Upgrade: websocket\r\nSec-WebSocket-Accept: ${proof}\r\n\r\n`);
    if (peer.index >= frames.length) return void await peer.eof();
    await peer.send(new Uint8Array(frames[peer.index]));
    const frame = await peer.eof();
    codes.push((frame[6] ^ frame[2]) << 8 | frame[7] ^ frame[3]);
  });
  for (const _frame of frames) {
    using socket = await open(new URL(`ws://127.0.0.1:${bad.port}/`));
    await assertRejects(() => Array.fromAsync(socket.messages()), WebSocketError);
  }
  await assertRejects(() => open(new URL(`ws://127.0.0.1:${bad.port}/`)), Error, "handshake");
  await bad.idle();
  assertEquals(codes, [1002, 1002, 1002, 1002, 1007, 1009, 1002, 1002]);
  console.log("checked: messages both ways, the closing handshake, what a server must not do");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  else {
    const [url, message = "hello"] = Deno.args;
    using socket = await open(new URL(url));
    await socket.send(message);
    for await (const answer of socket.messages()) {
      console.log(answer);
      await socket.close();
    }
  }
}
