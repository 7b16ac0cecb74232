/**
 * A WebSocket by hand, with a real server (`npm:ws`): the handshake is a request whose answer is 101, and
 * `detach()` hands over the connection. For real use, give its streams to a WebSocket library.
 *
 *     deno run -A examples/websocket.ts
 *
 * @module
 */
import { once } from "node:events";
import { HTTPConnection, LineReader, SWITCHING_PROTOCOLS } from "@denoports/http-client";
import { assertEquals } from "@std/assert";
// @ts-types="npm:@types/ws@8"
import { WebSocketServer } from "npm:ws@8";

const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
await once(server, "listening");
server.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo: ${data}`)));
const { port } = server.address() as { port: number };

// The handshake (RFC 6455, Section 4.1).
using conn = new HTTPConnection("127.0.0.1", port, { timeout: 10 });
const key = crypto.getRandomValues(new Uint8Array(16)).toBase64();
await conn.request("GET", "/chat", null, {
  "Connection": "Upgrade",
  "Upgrade": "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": key,
});
const response = await conn.getresponse();
const proof = new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
const accept = new Uint8Array(await crypto.subtle.digest("SHA-1", proof)).toBase64();
assertEquals(response.status, SWITCHING_PROTOCOLS);
assertEquals(response.getheader("sec-websocket-accept"), accept);

// Frames (RFC 6455, Section 5.2), short ones only.
const { readable, writable } = conn.detach();
const input = new LineReader(readable);
const output = writable.getWriter();

const TEXT = 1;
const CLOSE = 8;

async function send(opcode: number, data: Uint8Array): Promise<void> {
  const mask = crypto.getRandomValues(new Uint8Array(4));
  const masked = data.map((byte, i) => byte ^ mask[i % 4]);
  await output.write(new Uint8Array([0x80 | opcode, 0x80 | data.length, ...mask, ...masked]));
}

async function receive(): Promise<[opcode: number, text: string]> {
  const [first, length] = await input.read(2);
  return [first & 15, new TextDecoder().decode(await input.read(length))];
}

for (const message of ["hello", "wide: ☃"]) {
  await send(TEXT, new TextEncoder().encode(message));
  const [opcode, text] = await receive();
  console.log(text);
  assertEquals([opcode, text], [TEXT, `echo: ${message}`]);
}
await send(CLOSE, new Uint8Array([0x03, 0xe8])); // 1000, a normal end
assertEquals((await receive())[0], CLOSE);
await output.close();

await new Promise((resolve) => server.close(resolve));
