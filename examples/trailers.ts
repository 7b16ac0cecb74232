/**
 * Trailers both ways: a digest that is known only after the last byte of a streamed body.
 *
 *     deno run --allow-net --allow-read examples/trailers.ts
 *
 * @module
 */
import { createHash } from "node:crypto";
import { HTTPConnection } from "@denoports/http-client";
import { assertEquals } from "@std/assert";
import { startRaw } from "../tests/servers/raw.ts";

await using server = await startRaw(async (peer) => {
  await peer.readHead();
  const body = await peer.readUntil("\r\n\r\n"); // the chunks and the trailers
  await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
});

const digest: [name: string, value: string] = ["Content-MD5", ""];
async function* pieces() {
  const hash = createHash("md5");
  for (const piece of ["streamed, ", "and never held as a whole"]) {
    hash.update(piece);
    yield piece;
  }
  digest[1] = hash.digest("base64");
}

using conn = new HTTPConnection("127.0.0.1", server.port);
await conn.request("PUT", "/", pieces(), { "Trailer": "Content-MD5" }, { trailers: [digest] });
const response = await conn.getresponse();
assertEquals(response.trailers, null); // They come after the body.

const hash = createHash("md5");
for await (const piece of response) hash.update(piece);
console.log("sent:", digest, "received:", response.trailers?.items());
assertEquals(response.trailers?.get("content-md5"), hash.digest("base64"));
