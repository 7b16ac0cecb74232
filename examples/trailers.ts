/**
 * Trailers both ways: fields behind a chunked body, such as a digest of it.
 *
 *     deno run -A examples/trailers.ts
 *
 * @module
 */
import { createHash } from "node:crypto";
import { HTTPConnection } from "@denoports/http-client";
import { assertEquals } from "@std/assert";

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    const body = await peer.readUntil("\r\n\r\n"); // the chunks and the trailers
    await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
  });

  const pieces = ["in one piece, ", "and in another"];
  const digest = createHash("md5").update(pieces.join("")).digest("base64");

  using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("PUT", "/", pieces, {}, { trailers: { "Content-MD5": digest } });
  const response = await conn.getresponse();
  assertEquals(response.trailers, null); // They come after the body.

  const hash = createHash("md5");
  for await (const piece of response) hash.update(piece);
  console.log(response.trailers?.items());
  assertEquals(response.trailers?.get("content-md5"), hash.digest("base64"));
  assertEquals(/^Trailer: .*$/m.exec(server.requests[0])?.[0].trim(), "Trailer: Content-MD5");
  console.log("checked: trailers sent, announced, received");
}

if (import.meta.main) await selfCheck();
