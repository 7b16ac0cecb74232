import type { IncomingMessage, ServerResponse } from "node:http";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { HTTPConnection, RemoteDisconnected } from "../../mod.ts";
import { interopTest } from "../helpers/interop.ts";
import { has } from "../servers/available.ts";
import { pattern, utf8 } from "../servers/data.ts";
import { type NodeServer, startDenoNodeHttp, startNode } from "../servers/node_http.ts";
import { concat } from "../servers/raw.ts";

/** The listener of both servers: written once, so it uses nothing from outside. */
function listener(req: IncomingMessage, res: ServerResponse): void {
  const path = req.url ?? "";
  const send = (data: unknown) => res.end(JSON.stringify(data));
  if (path === "/echo") {
    const pieces: Uint8Array[] = [];
    req.on("data", (piece: Uint8Array) => pieces.push(piece));
    req.on("end", () => {
      const body = pieces.map((piece) => String.fromCharCode(...piece)).join("");
      send({ method: req.method, version: req.httpVersion, raw: req.rawHeaders, body });
    });
  } else if (path === "/length") {
    res.writeHead(200, "Fine", { "Content-Length": 5, "X-CaSe": "kept" });
    res.end("hello");
  } else if (path === "/chunked") {
    res.writeHead(200, { "Content-Type": "text/plain" });
    for (let i = 0; i < 100; i++) res.write(`piece ${i}\n`);
    res.end();
  } else if (path === "/trailers") {
    res.writeHead(200, { Trailer: "X-Sum" });
    res.write("with trailers");
    res.addTrailers({ "X-Sum": "1234" });
    res.end();
  } else if (path === "/cookies") {
    res.setHeader("Set-Cookie", ["a=1", "b=2"]);
    res.end("cookies");
  } else if (path === "/none") {
    res.statusCode = 204;
    res.end();
  } else if (path === "/close") {
    res.setHeader("Connection", "close");
    res.end("closing");
  } else if (path === "/until-close") {
    res.removeHeader("Transfer-Encoding");
    res.useChunkedEncodingByDefault = false;
    res.shouldKeepAlive = false;
    res.write("all of ");
    res.end("it");
  } else if (path === "/hints") {
    res.writeEarlyHints({ link: "</style.css>; rel=preload" });
    res.writeProcessing();
    res.end("after the hints");
  } else if (path === "/drop") {
    req.socket.destroy();
  } else {
    res.statusCode = 404;
    res.end("nothing here");
  }
}

interface Seen {
  method: string;
  version: string;
  raw: string[];
  body: string;
}

const SERVERS: [string, boolean, () => Promise<NodeServer>][] = [
  ["Deno's node:http", true, () => startDenoNodeHttp(listener)],
  ["node:http", has.node, () => startNode(String(listener))],
];

for (const [server, ready, start] of SERVERS) {
  const test = (name: string, fn: (conn: HTTPConnection) => Promise<void>): void => {
    interopTest(server, ready)(name, async () => {
      await using running = await start();
      await using conn = new HTTPConnection("127.0.0.1", running.port);
      await fn(conn);
    });
  };

  test("read() gives a body with a length", async (conn) => {
    await conn.request("GET", "/length");
    const res = await conn.getresponse();
    assertEquals([res.status, res.length, res.will_close], [200, 5, false]);
    assertEquals(utf8(await res.read()), "hello");
  });

  test("getheaders() keeps the case of header fields, and reason is the server's", async (conn) => {
    await conn.request("GET", "/length");
    const res = await conn.getresponse();
    assertEquals(res.reason, "Fine");
    assertEquals(res.getheaders()[1], ["X-CaSe", "kept"]);
  });

  test("read() gives a chunked body, and the connection stays", async (conn) => {
    const expected = Array.from({ length: 100 }, (_, i) => `piece ${i}\n`).join("");
    await conn.request("GET", "/chunked");
    const { sock } = conn;
    for (let i = 0; i < 3; i++) {
      if (i > 0) await conn.request("GET", "/chunked");
      const res = await conn.getresponse();
      assert(res.chunked);
      assertEquals(utf8(await res.read()), expected);
    }
    assert(sock !== null && conn.sock === sock);
  });

  test("lines() gives the lines of a chunked body", async (conn) => {
    await conn.request("GET", "/chunked");
    const res = await conn.getresponse();
    assertEquals((await res.readlines()).length, 100);
  });

  test("request() is not disturbed by the trailers of the answer before", async (conn) => {
    await conn.request("GET", "/trailers");
    const { sock } = conn;
    assertEquals(utf8(await (await conn.getresponse()).read()), "with trailers");
    await conn.request("GET", "/length");
    assertEquals(utf8(await (await conn.getresponse()).read()), "hello");
    assert(sock !== null && conn.sock === sock);
  });

  test("getheaders() keeps repeated header fields", async (conn) => {
    await conn.request("GET", "/cookies");
    const res = await conn.getresponse();
    assertEquals(res.headers.get_all("set-cookie"), ["a=1", "b=2"]);
    assertEquals(utf8(await res.read()), "cookies");
  });

  test("read() reads a 204, a HEAD and a GET in turn on one connection", async (conn) => {
    const lengths = [];
    for (const [method, path] of [["GET", "/none"], ["HEAD", "/length"], ["GET", "/length"]]) {
      await conn.request(method, path);
      const res = await conn.getresponse();
      lengths.push([res.status, (await res.read()).length]);
    }
    assertEquals(lengths, [[204, 0], [200, 0], [200, 5]]);
  });

  test("request() makes a new connection after Connection: close", async (conn) => {
    for (let i = 0; i < 3; i++) {
      await conn.request("GET", "/close");
      const res = await conn.getresponse();
      assert(res.will_close);
      assertEquals(utf8(await res.read()), "closing");
    }
  });

  test("read() ends with the connection when a body has no length", async (conn) => {
    await conn.request("GET", "/until-close");
    const res = await conn.getresponse();
    assertEquals([res.chunked, res.length, res.will_close], [false, null, true]);
    assertEquals(utf8(await res.read()), "all of it");
  });

  test("getresponse() skips 103 and 102", async (conn) => {
    await conn.request("GET", "/hints");
    const res = await conn.getresponse();
    assertEquals(res.status, 200);
    assertEquals(utf8(await res.read()), "after the hints");
  });

  test("getresponse() gives a 404", async (conn) => {
    await conn.request("GET", "/parrot.spam");
    const res = await conn.getresponse();
    assertEquals([res.status, res.reason], [404, "Not Found"]);
    assertEquals(utf8(await res.read()), "nothing here");
  });

  test("getresponse() throws RemoteDisconnected when the server closes, and then it works", async (conn) => {
    await conn.request("GET", "/drop");
    await assertRejects(() => conn.getresponse(), RemoteDisconnected);
    await conn.request("GET", "/length");
    assertEquals(utf8(await (await conn.getresponse()).read()), "hello");
  });

  test("putheader() keeps the order and case of request header fields", async (conn) => {
    await conn.request("GET", "/echo", null, [
      ["X-Zebra", "1"],
      ["x-lower", "2"],
      ["X-Zebra", "3"],
    ]);
    const { raw } = await (await conn.getresponse()).json() as Seen;
    assertEquals(raw.slice(0, 1), ["Host"]);
    assertEquals(raw.slice(2), [
      ...["Accept-Encoding", "identity"],
      ...["X-Zebra", "1", "x-lower", "2", "X-Zebra", "3"],
    ]);
  });

  test("request() sends a POST with a length", async (conn) => {
    await conn.request("POST", "/echo", pattern(1000));
    const seen = await (await conn.getresponse()).json() as Seen;
    assertEquals([seen.method, seen.version], ["POST", "1.1"]);
    assertEquals(seen.body, String.fromCharCode(...pattern(1000)));
  });

  test("request() sends a chunked POST", async (conn) => {
    const pieces = Array.from({ length: 20 }, (_, i) => pattern(i * 10));
    await conn.request("POST", "/echo", ReadableStream.from(pieces));
    const seen = await (await conn.getresponse()).json() as Seen;
    assertEquals(seen.body, String.fromCharCode(...concat(pieces)));
  });

  test("request() waits for 100 Continue when expect_continue is set", async (conn) => {
    await conn.request("POST", "/echo", "go on", { Expect: "100-continue" });
    const res = await conn.getresponse();
    assertEquals(res.status, 200);
    assertEquals((await res.json() as Seen).body, "go on");
  });
}
