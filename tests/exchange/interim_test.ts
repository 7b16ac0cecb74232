/**
 * Interim responses: each 1xx but 101 is shown in order, and is nobody's answer.
 *
 * @module
 */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { HTTPConnection, HTTPMessage, ProtocolError, RemoteDisconnected } from "../../mod.ts";
import { getStatusAndText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
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
  const fake = answering(...answers);
  const conn = new HTTPConnection("example.com", {
    ...over(fake),
    onInformational: (status, reason, headers) =>
      void shown.push([status, reason, headers.items()]),
  });
  return { conn, shown, fake };
}

Deno.test("onInformational is called with the fields of a 103, and the response follows", async () => {
  const { conn, shown } = connect(HINTS + ok());
  using _ = conn;
  assertEquals(await getStatusAndText(conn), { status: 200, text: "ok" });
  assertEquals(shown, [
    [103, "Early Hints", [["Link", "</a.css>; rel=preload"], ["link", "</b.js>"]]],
  ]);
});

Deno.test("onInformational is given an HTTPMessage", async () => {
  let headers: HTTPMessage | undefined;
  using conn = new HTTPConnection("example.com", {
    ...over(answering(HINTS + ok())),
    onInformational: (_status, _reason, fields) => headers = fields,
  });
  await getStatusAndText(conn);
  assertInstanceOf(headers, HTTPMessage);
  assertEquals(headers.get_all("LINK"), ["</a.css>; rel=preload", "</b.js>"]);
});

Deno.test("onInformational is called for several in their order", async () => {
  const { conn, shown } = connect(
    PROCESSING + HINTS + CONTINUE + PROCESSING + "HTTP/1.1 199 Odd\r\n\r\n" + ok(),
  );
  using _ = conn;
  assertEquals(await getStatusAndText(conn), { status: 200, text: "ok" });
  assertEquals(shown.map(([status]) => status), [102, 103, 100, 102, 199]);
});

Deno.test("onInformational is called for each response's own", async () => {
  const { conn, shown } = connect(HINTS + ok(), PROCESSING + ok("second"));
  using _ = conn;
  assertEquals(await getStatusAndText(conn), { status: 200, text: "ok" });
  assertEquals(await getStatusAndText(conn), { status: 200, text: "second" });
  assertEquals(shown.map(([status]) => status), [103, 102]);
});

Deno.test("onInformational is called when there is no reason", async () => {
  const { conn, shown } = connect("HTTP/1.1 103\r\n\r\n" + ok());
  using _ = conn;
  assertEquals(await getStatusAndText(conn), { status: 200, text: "ok" });
  assertEquals(shown, [[103, "", []]]);
});

Deno.test("onInformational is called before the final response comes", async () => {
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

Deno.test("onInformational is called when the bytes come one by one", async () => {
  const { conn, shown, fake } = connect();
  using _ = conn;
  for (const byte of PROCESSING + HINTS + ok()) fake.arrive(byte);
  assertEquals(await getStatusAndText(conn), { status: 200, text: "ok" });
  assertEquals(shown.map(([status]) => status), [102, 103]);
});

Deno.test("getresponse() skips interim responses when there is no onInformational", async () => {
  using conn = new HTTPConnection(
    "example.com",
    over(new FakeTransport([HINTS + PROCESSING + ok()])),
  );
  assertEquals(await getStatusAndText(conn), { status: 200, text: "ok" });
});

Deno.test("getresponse() ignores framing fields of an interim response", async () => {
  const { conn } = connect("HTTP/1.1 103 Early Hints\r\nContent-Length: 100\r\n\r\n" + ok());
  using _ = conn;
  assertEquals(await getStatusAndText(conn), { status: 200, text: "ok" });
});

Deno.test("getresponse() ignores Connection: close of an interim response", async () => {
  const { conn, fake } = connect(
    "HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n" + ok(),
    ok(),
  );
  using _ = conn;
  assertEquals(await getStatusAndText(conn), { status: 200, text: "ok" });
  assertEquals(await getStatusAndText(conn), { status: 200, text: "ok" });
  assertEquals(fake.closes, 0);
});

Deno.test("getheader() gives no field of an interim response", async () => {
  const { conn } = connect(HINTS + ok());
  using _ = conn;
  await conn.request("GET", "/");
  assertEquals((await conn.getresponse()).headers.has("link"), false);
});

Deno.test("onInformational is called before the answer to HEAD", async () => {
  const { conn, shown } = connect(HINTS + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  using _ = conn;
  await conn.request("HEAD", "/");
  const response = await conn.getresponse();
  assertEquals([response.status, await response.text(), shown.length], [200, "", 1]);
});

Deno.test("onInformational is called before the answer to CONNECT", async () => {
  const { conn, shown } = connect(PROCESSING + "HTTP/1.1 200 Yes\r\n\r\n");
  using _ = conn;
  await conn.request("CONNECT", "example.com:443");
  assertEquals([(await conn.getresponse()).status, shown.length], [200, 1]);
});

Deno.test("onInformational is not called for 101, which is the final response", async () => {
  const { conn, shown } = connect(
    HINTS + "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\n\r\nbytes",
  );
  using _ = conn;
  await conn.request("GET", "/", null, { Connection: "upgrade", Upgrade: "chat" });
  const response = await conn.getresponse();
  assertEquals([response.status, response.getheader("upgrade")], [101, "chat"]);
  assertEquals(shown.map(([status]) => status), [103]);
});

Deno.test("getresponse() throws when the end comes after an interim response", async () => {
  const { conn, shown, fake } = connect(HINTS);
  using _ = conn;
  fake.end();
  await conn.request("GET", "/");
  await assertRejects(() => conn.getresponse(), RemoteDisconnected);
  assertEquals(shown.length, 1);
});

Deno.test("getresponse() throws when an interim response is malformed", async () => {
  const { conn, shown } = connect("HTTP/1.1 103 Early Hints\r\nLink: a\rb\r\n\r\n" + ok());
  using _ = conn;
  await conn.request("GET", "/");
  await assertRejects(() => conn.getresponse(), ProtocolError);
  assertEquals(shown, []);
});

Deno.test("getresponse() throws what onInformational throws, and closes the connection", async () => {
  const first = answering(HINTS + ok());
  const second = answering(ok("second"));
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
  assertEquals(await getStatusAndText(conn), { status: 200, text: "second" });
});

Deno.test("onInformational is called while a body goes out, which goes on", async () => {
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

Deno.test("request() uses a connection again on which interim responses came", async () => {
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
