/**
 * A progress bar for the upload and for the download, from the events of `trace`.
 *
 *     deno run -A examples/progress.ts
 *
 * @module
 */
import { HTTPConnection, type TraceEvent } from "@denoports/http-client";
import { assertEquals } from "@std/assert";

/** Prints bars for bodies of a known size. */
function progressBar(uploadSize: number, print: (text: string) => void) {
  let head = 0;
  let size = 0;
  const bar = (sign: string, done: number, of: number) => {
    const width = Math.round(30 * done / of);
    const percent = Math.round(100 * done / of);
    const end = done === of ? "\n" : "";
    print(`\r${sign} [${"#".repeat(width).padEnd(30)}] ${percent} % of ${of} bytes${end}`);
  };
  return (event: TraceEvent): void => {
    if (event.type === "requestHead") head = event.bytes;
    else if (event.type === "requestBody") bar("up  ", event.bytes - head, uploadSize);
    else if (event.type === "responseHead") size = Number(event.headers.get("content-length"));
    else if (event.type === "responseBody") bar("down", event.total, size);
  };
}

async function selfCheck(): Promise<void> {
  let printed = "";
  const print = (text: string) => {
    printed += text;
    Deno.stdout.writeSync(new TextEncoder().encode(text));
  };
  await using server = Deno.serve({ port: 0, onListen() {} }, async (request) => {
    return new Response(await request.bytes());
  });

  const size = 4 << 20;
  function* file() {
    for (let i = 0; i < 64; i++) yield new Uint8Array(size / 64);
  }
  using conn = new HTTPConnection("127.0.0.1", server.addr.port, {
    trace: progressBar(size, print),
  });
  await conn.request("PUT", "/", file(), { "Content-Length": size });
  const response = await conn.getresponse();
  let received = 0;
  for await (const piece of response) received += piece.length;

  assertEquals(received, size);
  for (const sign of ["up  ", "down"]) {
    assertEquals(printed.split(`${sign} [${"#".repeat(30)}] 100 %`).length, 2);
  }
  console.log("checked: both bars reached 100 %");
}

if (import.meta.main) await selfCheck();
