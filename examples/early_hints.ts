/**
 * Shows interim responses: a page's style sheet can be fetched while the server still makes the page.
 *
 *     deno run -A examples/early_hints.ts
 *
 * @module
 */
import { HTTPConnection } from "@denoports/http-client";
import { assertEquals } from "@std/assert";

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
    await peer.send("HTTP/1.1 103 Early Hints\r\nLink: </font.woff2>; rel=preload\r\n\r\n");
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>");
  });

  const links: (string | null)[] = [];
  using conn = new HTTPConnection("127.0.0.1", server.port, {
    onInformational(status, reason, headers) {
      console.log(status, reason, headers.get("link"));
      if (status === 103) links.push(headers.get("link"));
    },
  });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  console.log(response.status, await response.text());

  assertEquals(links, ["</style.css>; rel=preload", "</font.woff2>; rel=preload"]);
  console.log("checked: two interim responses, then the final one");
}

if (import.meta.main) await selfCheck();
