/**
 * Code for the edge (Deno Deploy, or any `Deno.serve`): a handler that passes requests on to an origin
 * and streams the answers back, with sockets alone: no files, no environment. It shows the origin's early
 * hints in a field, and keeps the order and the case of its fields.
 *
 *     deno run -A examples/edge.ts
 *
 * @module
 */
import { HTTPConnection } from "@denoports/http-client";
import { assertEquals } from "@std/assert";
import { startRaw } from "../tests/servers/raw.ts";

/** Fields of one connection alone (RFC 9110, Section 7.6.1). */
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/** Makes a handler that passes requests on. */
function proxyTo(host: string, port: number): (request: Request) => Promise<Response> {
  return async (request) => {
    const hints: string[] = [];
    const conn = new HTTPConnection(host, port, {
      deadlines: { connect: 5, head: 30 },
      onInformational: (_status, _reason, headers) => hints.push(headers.get("link") ?? ""),
    });
    const { pathname, search } = new URL(request.url);
    const passed = (name: string) => !HOP_BY_HOP.includes(name.toLowerCase());
    try {
      const fields = [...request.headers].filter(([name]) => name !== "host" && passed(name));
      fields.push(["Connection", "close"]); // It ends with the answer.
      await conn.request(request.method, pathname + search, request.body, fields);
      const response = await conn.getresponse();
      const { status, reason: statusText } = response;
      const headers = new Headers(response.getheaders().filter(([name]) => passed(name)));
      if (hints.length > 0) headers.set("X-Hints", hints.join(", "));
      const empty = request.method === "HEAD" || [204, 205, 304].includes(status);
      if (empty) conn.close();
      // The pieces of the body go on as they come; a client that goes ends the connection, too.
      return new Response(empty ? null : response, { status, statusText, headers });
    } catch (error) {
      conn.close();
      return new Response(`${error}\n`, { status: 502 });
    }
  };
}

await using origin = await startRaw(async (peer) => {
  const { method, target, body } = await peer.readRequest();
  await peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
  await peer.send("HTTP/1.1 200 Fine\r\nX-Origin: raw\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const word of [method, target, new TextDecoder().decode(body)]) {
    await peer.send(`${word.length.toString(16)}\r\n${word}\r\n`);
  }
  await peer.send("0\r\n\r\n");
  await peer.eof();
});

await using edge = Deno.serve({ port: 0, onListen() {} }, proxyTo("127.0.0.1", origin.port));

const url = `http://127.0.0.1:${edge.addr.port}/path?q=1`;
const response = await fetch(url, { method: "POST", body: "!" });
const text = await response.text();
console.log(response.status, [...response.headers], text);
assertEquals([response.status, text], [200, "POST/path?q=1!"]);
assertEquals(response.headers.get("x-hints"), "</a.css>");
assertEquals((await fetch(url, { method: "HEAD" })).headers.get("x-origin"), "raw");
