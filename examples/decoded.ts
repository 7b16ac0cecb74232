/**
 * The body is the bytes as sent, with a digest that fits them; `decoded()` undoes the codings on request.
 *
 *     deno run -A examples/decoded.ts
 *
 * @module
 */
import { HTTPConnection, HTTPException } from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";

async function selfCheck(): Promise<void> {
  const text = "All work and no play makes Jack a dull boy.\n".repeat(1000);
  const gzipped = await new Response(
    new Blob([text]).stream().pipeThrough(new CompressionStream("gzip")),
  ).bytes();

  await using server = Deno.serve({ port: 0, onListen() {} }, () => {
    return new Response(gzipped, { headers: { "Content-Encoding": "gzip" } });
  });

  using conn = new HTTPConnection("127.0.0.1", server.addr.port);
  async function get() {
    await conn.request("GET", "/", null, { "Accept-Encoding": "gzip, br" });
    return await conn.getresponse();
  }

  const asSent = await (await get()).read();
  assertEquals(asSent, gzipped);

  const content = await new Response((await get()).decoded()).text();
  assertEquals(content, text);
  console.log(`${asSent.length} bytes were sent, they decode to ${content.length}`);

  // A bomb is stopped.
  const limited = (await get()).decoded({ maxDecodedBytes: 10_000 });
  const error = await assertRejects(() => new Response(limited).text(), HTTPException);
  console.log(`refused, as it should be: ${error.message}`);
  console.log("checked: the bytes as sent, the decoded content, the limit on it");
}

if (import.meta.main) await selfCheck();
