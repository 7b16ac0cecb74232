/**
 * Interim responses: each 1xx but 101 is shown in order, and is nobody's answer.
 *
 * @module
 */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { HTTPConnection, HTTPMessage, ProtocolError, RemoteDisconnected } from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { bytes, startRaw } from "../servers/raw.ts";

const HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.js>\r\n\r\n";
const PROCESSING = "HTTP/1.1 102 Processing\r\n\r\n";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

/** An interim response as it was shown. */
type Shown = [status: number, reason: string, headers: [string, string][]];

/** A connection over a server in memory that sends `answers`, and what it showed. */
function connect(
  ...answers: string[]
): { conn: HTTPConnection; shown: Shown[]; fake: FakeTransport } {
  const shown: Shown[] = [];
  const fake = new FakeTransport([], { answers });
  const conn = new HTTPConnection("example.com", {
    ...over(fake),
    onInformational: (status, reason, headers) =>
      void shown.push([status, reason, headers.items()]),
  });
  return { conn, shown, fake };
}

async function get(conn: HTTPConnection): Promise<[number, string]> {
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  return [response.status, await response.text()];
}

Deno.test("interim: 103 is shown with its fields, and the final response follows", async () => {
  const { conn, shown } = connect(HINTS + ok());
  using _ = conn;
  assertEquals(await get(conn), [200, "ok"]);
  assertEquals(shown, [
    [103, "Early Hints", [["Link", "</a.css>; rel=preload"], ["link", "</b.js>"]]],
  ]);
});

Deno.test("interim: the headers are an HTTPMessage", async () => {
  let headers: HTTPMessage | undefined;
  using conn = new HTTPConnection("example.com", {
    ...over(new FakeTransport([], { answers: [HINTS + ok()] })),
    onInformational: (_status, _reason, fields) => headers = fields,
  });
  await get(conn);
  assertInstanceOf(headers, HTTPMessage);
  assertEquals(headers.get_all("LINK"), ["</a.css>; rel=preload", "</b.js>"]);
});

Deno.test("interim: several are shown in their order", async () => {
  const { conn, shown } = connect(
    PROCESSING + HINTS + CONTINUE + PROCESSING + "HTTP/1.1 199 Odd\r\n\r\n" + ok(),
  );
  using _ = conn;
  assertEquals(await get(conn), [200, "ok"]);
  assertEquals(shown.map(([status]) => status), [102, 103, 100, 102, 199]);
});

Deno.test("interim: those of each response are shown", async () => {
  const { conn, shown } = connect(HINTS + ok(), PROCESSING + ok("second"));
  using _ = conn;
  assertEquals(await get(conn), [200, "ok"]);
  assertEquals(await get(conn), [200, "second"]);
  assertEquals(shown.map(([status]) => status), [103, 102]);
});

Deno.test("interim: without a reason", async () => {
  const { conn, shown } = connect("HTTP/1.1 103\r\n\r\n" + ok());
  using _ = conn;
  assertEquals(await get(conn), [200, "ok"]);
  assertEquals(shown, [[103, "", []]]);
});

Deno.test("interim: shown before the final response comes", async () => {
  const seen = Promise.withResolvers<void>();
  const fake = new FakeTransport([HINTS]);
  using conn = new HTTPConnection("example.com", {
    ...over(fake),
    onInformational: () => seen.resolve(),
  });
  await conn.request("GET", "/");
  const response = conn.getresponse();
  await seen.promise;
  fake.arrive(ok());
  assertEquals((await response).status, 200);
});

Deno.test("interim: byte by byte", async () => {
  const { conn, shown, fake } = connect();
  using _ = conn;
  for (const byte of PROCESSING + HINTS + ok()) fake.arrive(byte);
  assertEquals(await get(conn), [200, "ok"]);
  assertEquals(shown.map(([status]) => status), [102, 103]);
});

Deno.test("interim: they are skipped where nobody asks for them", async () => {
  using conn = new HTTPConnection(
    "example.com",
    over(new FakeTransport([HINTS + PROCESSING + ok()])),
  );
  assertEquals(await get(conn), [200, "ok"]);
});

Deno.test("interim: framing fields in one mean nothing: it has no body", async () => {
  const { conn } = connect("HTTP/1.1 103 Early Hints\r\nContent-Length: 100\r\n\r\n" + ok());
  using _ = conn;
  assertEquals(await get(conn), [200, "ok"]);
});

Deno.test("interim: `Connection: close` in one says nothing of the final response", async () => {
  const { conn, fake } = connect(
    "HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n" + ok(),
    ok(),
  );
  using _ = conn;
  assertEquals(await get(conn), [200, "ok"]);
  assertEquals(await get(conn), [200, "ok"]);
  assertEquals(fake.closes, 0);
});

Deno.test("interim: fields of one are not those of the final response", async () => {
  const { conn } = connect(HINTS + ok());
  using _ = conn;
  await conn.request("GET", "/");
  assertEquals((await conn.getresponse()).headers.has("link"), false);
});

Deno.test("interim: before the answer to HEAD", async () => {
  const { conn, shown } = connect(HINTS + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  using _ = conn;
  await conn.request("HEAD", "/");
  const response = await conn.getresponse();
  assertEquals([response.status, await response.text(), shown.length], [200, "", 1]);
});

Deno.test("interim: before the answer to CONNECT", async () => {
  const { conn, shown } = connect(PROCESSING + "HTTP/1.1 200 Yes\r\n\r\n");
  using _ = conn;
  await conn.request("CONNECT", "example.com:443");
  assertEquals([(await conn.getresponse()).status, shown.length], [200, 1]);
});

Deno.test("interim: 101 is the final response, and is not shown", async () => {
  const { conn, shown } = connect(
    HINTS + "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\n\r\nbytes",
  );
  using _ = conn;
  await conn.request("GET", "/", null, { Connection: "upgrade", Upgrade: "chat" });
  const response = await conn.getresponse();
  assertEquals([response.status, response.getheader("upgrade")], [101, "chat"]);
  assertEquals(shown.map(([status]) => status), [103]);
});

Deno.test("interim: the end after one is no response", async () => {
  const { conn, shown, fake } = connect(HINTS);
  using _ = conn;
  fake.end();
  await conn.request("GET", "/");
  await assertRejects(() => conn.getresponse(), RemoteDisconnected);
  assertEquals(shown.length, 1);
});

Deno.test("interim: a malformed one ends the exchange", async () => {
  const { conn, shown } = connect("HTTP/1.1 103 Early Hints\r\nLink: a\rb\r\n\r\n" + ok());
  using _ = conn;
  await conn.request("GET", "/");
  await assertRejects(() => conn.getresponse(), ProtocolError);
  assertEquals(shown, []);
});

Deno.test("interim: what onInformational throws comes out, and the connection is closed", async () => {
  const first = new FakeTransport([], { answers: [HINTS + ok()] });
  const second = new FakeTransport([], { answers: [ok("second")] });
  let broken = true;
  using conn = new HTTPConnection("example.com", {
    ...over(first, second),
    onInformational() {
      if (broken) throw new RangeError("mine");
    },
  });
  await conn.request("GET", "/");
  await assertRejects(() => conn.getresponse(), RangeError, "mine");
  assertEquals(first.closes, 1);
  broken = false;
  assertEquals(await get(conn), [200, "second"]);
});

Deno.test("interim: while a body goes out, which it does not stop", async () => {
  const seen = Promise.withResolvers<void>();
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(CONTINUE, PROCESSING);
    const chunks = await peer.readChunks();
    await peer.send(HINTS, ok(String(chunks.length)));
  });
  const shown: number[] = [];
  using conn = new HTTPConnection("127.0.0.1", server.port, {
    onInformational(status) {
      shown.push(status);
      if (status === 102) seen.resolve();
    },
  });
  async function* body() {
    yield "one";
    await seen.promise;
    yield "two";
    yield new Uint8Array(200_000);
  }
  await conn.request("POST", "/", body());
  const response = await conn.getresponse();
  assertEquals(await response.text(), "3");
  assertEquals(shown, [100, 102, 103]);
});

Deno.test("interim: a connection on which some came serves on", async () => {
  await using server = await startRaw(async (peer) => {
    for (let i = 0; i < 3; i++) {
      await peer.readRequest();
      await peer.send(CONTINUE + HINTS + ok());
    }
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  for (let i = 0; i < 3; i++) {
    await conn.request("POST", "/", bytes("x".repeat(100_000)));
    assertEquals(await (await conn.getresponse()).text(), "ok");
  }
  assertEquals(server.accepted, 1);
});
