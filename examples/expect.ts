/**
 * An upload as to S3: `Expect: 100-continue` goes out with the head, and the body only when the server
 * wants it. Here the bucket has moved: the first server redirects before a byte of the file was read.
 *
 *     deno run -A examples/expect.ts
 *
 * @module
 */
import { HTTPConnection, TEMPORARY_REDIRECT } from "@denoports/http-client";
import { assertEquals } from "@std/assert";

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  await using bucket = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    const body = await peer.readBytes(1 << 20);
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Size: ${body.length}\r\n\r\n`);
  });
  await using moved = await startRaw(async (peer) => {
    await peer.readHead();
    const location = `http://127.0.0.1:${bucket.port}/file`;
    await peer.send(
      `HTTP/1.1 307 Temporary Redirect\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`,
    );
    await peer.eof();
  });

  let opened = 0;
  async function* file() {
    opened++;
    for (let i = 0; i < 16; i++) yield new Uint8Array(65536);
  }

  let port = moved.port;
  for (;;) {
    using conn = new HTTPConnection("127.0.0.1", port, { timeout: 10 });
    const headers = { "Content-Length": 1 << 20 };
    await conn.request("PUT", "/file", file(), headers, { expect_continue: 5 });
    const response = await conn.getresponse();
    console.log(response.status, response.reason, `the file was opened ${opened} times`);
    if (response.status !== TEMPORARY_REDIRECT) {
      assertEquals([response.status, response.getheader("x-size"), opened], [200, "1048576", 1]);
      break;
    }
    assertEquals(opened, 0);
    port = Number(new URL(response.getheader("location")!).port);
  }
  assertEquals(moved.peers[0].text.includes("\0"), false);
  console.log("checked: a redirect before the body was sent, then the upload");
}

if (import.meta.main) await selfCheck();
