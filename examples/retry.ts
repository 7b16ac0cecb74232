/**
 * Retries that never act twice: each error says whether sending the request again is safe.
 *
 *     deno run -A examples/retry.ts
 *
 * @module
 */
import {
  type ExchangeDetails,
  HTTPConnection,
  type HTTPResponse,
  RemoteDisconnected,
} from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";
import { startRaw } from "../tests/servers/raw.ts";

const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"];

/** Makes a request, and again where that can't do harm. The body is made anew for each try. */
async function send(conn: HTTPConnection, method: string, url: string): Promise<HTTPResponse> {
  for (let left = 2;; left--) {
    try {
      await conn.request(method, url);
      return await conn.getresponse();
    } catch (error) {
      const { retrySafe, phase } = error as ExchangeDetails;
      console.log(method, `${error}`, { retrySafe, phase });
      const safe = retrySafe === "yes" ||
        (retrySafe === "idempotent-only" && IDEMPOTENT.includes(method));
      if (left === 0 || !safe) throw error;
    }
  }
}

// A server whose connections die under their second request, after it was read.
await using server = await startRaw(async (peer) => {
  await peer.readRequest();
  await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  await peer.readRequest();
});

using conn = new HTTPConnection("127.0.0.1", server.port);
for (const url of ["/first", "/second"]) {
  const response = await send(conn, "GET", url);
  assertEquals((await response.read()).length, 0);
}
assertEquals(server.requests.filter((head) => head.startsWith("GET /second")).length, 2);

// A POST may have had its effect: it is the caller who decides.
await assertRejects(() => send(conn, "POST", "/order"), RemoteDisconnected);
assertEquals(server.requests.filter((head) => head.startsWith("POST")).length, 1);
