/**
 * Which call is allowed when. The errors are those of CPython 3.13, unless a comment says otherwise.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  BadStatusLine,
  CannotSendHeader,
  CannotSendRequest,
  HTTPConnection,
  type HTTPResponse,
  NotConnected,
  RemoteDisconnected,
  ResponseNotReady,
} from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";

const FIELDS = "Host: example.com\r\nAccept-Encoding: identity\r\n";
const UNTIL_CLOSE = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

function connOver(...transports: FakeTransport[]): HTTPConnection {
  return new HTTPConnection("example.com", over(...transports));
}

/** A transport that answers each request in turn. */
function answering(...answers: string[]): FakeTransport {
  return new FakeTransport([], { answers });
}

async function get(conn: HTTPConnection, url = "/"): Promise<HTTPResponse> {
  await conn.request("GET", url);
  return await conn.getresponse();
}

async function text(response: HTTPResponse): Promise<string> {
  return new TextDecoder().decode(await response.read());
}

// Calls out of order

Deno.test("request before the response is got is CannotSendRequest", async () => {
  using conn = connOver(answering(ok("one")));
  await conn.request("GET", "/");
  await assertRejects(() => conn.request("GET", "/"), CannotSendRequest);
  assertEquals(await text(await conn.getresponse()), "one");
});

Deno.test("request after putrequest is CannotSendRequest, and the first one goes on", async () => {
  const transport = answering(ok());
  using conn = connOver(transport);
  conn.putrequest("GET", "/first");
  await assertRejects(() => conn.request("GET", "/second"), CannotSendRequest);
  await conn.endheaders();
  assertEquals(transport.writes, [`GET /first HTTP/1.1\r\n${FIELDS}\r\n`]);
});

Deno.test("putrequest twice is CannotSendRequest, and the first one goes on", async () => {
  const transport = answering(ok());
  using conn = connOver(transport);
  conn.putrequest("GET", "/first");
  assertThrows(() => conn.putrequest("GET", "/second"), CannotSendRequest);
  conn.putheader("A", "b");
  await conn.endheaders();
  assertEquals(transport.writes, [`GET /first HTTP/1.1\r\n${FIELDS}A: b\r\n\r\n`]);
});

Deno.test("putrequest before the response is got is CannotSendRequest", async () => {
  using conn = connOver(answering(ok()));
  await conn.request("GET", "/");
  assertThrows(() => conn.putrequest("GET", "/"), CannotSendRequest);
});

Deno.test("putheader before putrequest is CannotSendHeader", () => {
  using conn = connOver();
  assertThrows(() => conn.putheader("A", "b"), CannotSendHeader);
});

Deno.test("putheader after endheaders is CannotSendHeader", async () => {
  using conn = connOver(answering(ok()));
  await conn.request("GET", "/");
  assertThrows(() => conn.putheader("A", "b"), CannotSendHeader);
});

Deno.test("putheader after the response is got is CannotSendHeader", async () => {
  using conn = connOver(answering(ok()));
  await get(conn);
  assertThrows(() => conn.putheader("A", "b"), CannotSendHeader);
});

Deno.test("endheaders before putrequest is CannotSendHeader", async () => {
  using conn = connOver();
  await assertRejects(() => conn.endheaders(), CannotSendHeader);
});

Deno.test("endheaders twice is CannotSendHeader, and nothing is sent twice", async () => {
  const transport = answering(ok());
  using conn = connOver(transport);
  conn.putrequest("GET", "/");
  await conn.endheaders();
  await assertRejects(() => conn.endheaders(), CannotSendHeader);
  assertEquals(transport.writes.length, 1);
});

Deno.test("getresponse before a request is ResponseNotReady", async () => {
  using conn = connOver();
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
});

Deno.test("getresponse before endheaders is ResponseNotReady, and the request goes on", async () => {
  using conn = connOver(answering(ok("one")));
  conn.putrequest("GET", "/");
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
  conn.putheader("A", "b");
  await conn.endheaders();
  assertEquals(await text(await conn.getresponse()), "one");
});

Deno.test("getresponse twice is ResponseNotReady, and the response stays readable", async () => {
  using conn = connOver(answering(ok("one")));
  const response = await get(conn);
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertEquals(await text(response), "one");
});

Deno.test("getresponse after the response is read is ResponseNotReady", async () => {
  using conn = connOver(answering(ok()));
  await (await get(conn)).read();
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
});

Deno.test("connect does not count as a request", async () => {
  using conn = connOver(answering(ok()));
  await conn.connect();
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
});

// Concurrent calls

Deno.test("of two concurrent requests the second is CannotSendRequest", async () => {
  const transport = answering(ok("one"));
  using conn = connOver(transport);
  const [first, second] = await Promise.allSettled([
    conn.request("GET", "/first"),
    conn.request("GET", "/second"),
  ]);
  assertEquals([first.status, second.status], ["fulfilled", "rejected"]);
  assert((second as PromiseRejectedResult).reason instanceof CannotSendRequest);
  assertEquals(transport.writes, [`GET /first HTTP/1.1\r\n${FIELDS}\r\n`]);
  assertEquals(await text(await conn.getresponse()), "one");
});

Deno.test("of two concurrent requests on a reused connection the second is refused", async () => {
  const transport = answering(ok(), ok("two"));
  using conn = connOver(transport);
  await (await get(conn)).read();
  const second = conn.request("GET", "/second");
  await assertRejects(() => conn.request("GET", "/third"), CannotSendRequest);
  await second;
  assertEquals(transport.writes.length, 2);
  assertEquals(await text(await conn.getresponse()), "two");
});

Deno.test("of two concurrent getresponse the second is ResponseNotReady", async () => {
  using conn = connOver(answering(ok("one")));
  await conn.request("GET", "/");
  const first = conn.getresponse();
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertEquals(await text(await first), "one");
});

Deno.test("request while the head is waited for is CannotSendRequest", async () => {
  const transport = new FakeTransport();
  using conn = connOver(transport);
  await conn.request("GET", "/");
  const first = conn.getresponse();
  await assertRejects(() => conn.request("GET", "/"), CannotSendRequest);
  transport.arrive(ok("one"));
  assertEquals(await text(await first), "one");
});

Deno.test("of two concurrent endheaders the second is CannotSendHeader", async () => {
  const transport = answering(ok());
  using conn = connOver(transport);
  conn.putrequest("GET", "/");
  const first = conn.endheaders();
  await assertRejects(() => conn.endheaders(), CannotSendHeader);
  await first;
  assertEquals(transport.writes.length, 1);
});

Deno.test("getresponse may be called while the request is on its way", async () => {
  using conn = connOver(answering(ok("one")));
  const sending = conn.request("POST", "/", "body");
  const response = await conn.getresponse();
  await sending;
  assertEquals(await text(response), "one");
});

Deno.test("connect and request at the same time make one connection", async () => {
  const transport = answering(ok("one"));
  using conn = connOver(transport);
  await Promise.all([conn.connect(), conn.request("GET", "/")]);
  assertEquals(await text(await conn.getresponse()), "one");
});

// A response that is not read yet

Deno.test("a request may be sent while a response is unread", async () => {
  const transport = answering(ok("one"), ok("two"));
  using conn = connOver(transport);
  const first = await get(conn, "/1");
  await conn.request("GET", "/2");
  assertEquals(transport.writes.length, 2);
  assertEquals(await text(first), "one");
  assertEquals(await text(await conn.getresponse()), "two");
});

Deno.test("a request may be sent while the rest of a response is to come", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
  using conn = connOver(transport);
  const first = await get(conn, "/1");
  await conn.request("GET", "/2");
  transport.arrive("on");
  transport.arrive(`e${ok("two")}`);
  assertEquals(await text(first), "one");
  assertEquals(await text(await conn.getresponse()), "two");
});

Deno.test("its response is ResponseNotReady until the one before is read", async () => {
  using conn = connOver(answering(ok("one"), ok("two")));
  const first = await get(conn, "/1");
  await conn.request("GET", "/2");
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertEquals(await text(await first.read(1).then(() => first)), "ne");
  assertEquals(await text(await conn.getresponse()), "two");
});

Deno.test("a third request is CannotSendRequest while the second is unanswered", async () => {
  const transport = answering(ok("one"), ok("two"));
  using conn = connOver(transport);
  const first = await get(conn, "/1");
  await conn.request("GET", "/2");
  await assertRejects(() => conn.request("GET", "/3"), CannotSendRequest);
  assertEquals(transport.writes.length, 2);
  assertEquals(await text(first), "one");
  assertEquals(await text(await conn.getresponse()), "two");
});

Deno.test("a request may be put step by step while a response is read", async () => {
  const transport = answering(ok("one"), ok("two"));
  using conn = connOver(transport);
  const first = await get(conn, "/1");
  conn.putrequest("GET", "/2");
  assertEquals(await text(first), "one");
  conn.putheader("A", "b");
  await conn.endheaders();
  assertEquals(transport.writes[1], `GET /2 HTTP/1.1\r\n${FIELDS}A: b\r\n\r\n`);
  assertEquals(await text(await conn.getresponse()), "two");
});

Deno.test("a refused request leaves the unread response readable", async () => {
  using conn = connOver(answering(ok("one"), ok("two")));
  const first = await get(conn, "/1");
  await assertRejects(() => conn.request("GET", "/ "));
  assertEquals(await text(first), "one");
  assertEquals(await text(await get(conn, "/2")), "two");
});

const BODILESS: [method: string, answer: string][] = [
  ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
  ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"],
  ["GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
];

for (const [method, answer] of BODILESS) {
  Deno.test(`a response without a body is to be read too: ${method}, ${answer.slice(9, 15)}`, async () => {
    const transport = answering(answer, ok("two"));
    using conn = connOver(transport);
    await conn.request(method, "/1");
    const first = await conn.getresponse();
    assertEquals(first.isclosed(), false);
    await conn.request("GET", "/2");
    await assertRejects(() => conn.getresponse(), ResponseNotReady);
    assertEquals(await text(first), "");
    assertEquals(first.isclosed(), true);
    assertEquals(await text(await conn.getresponse()), "two");
    assertEquals(transport.writes.length, 2);
  });
}

Deno.test("when an unread response ends early, the request behind it fails, the next works", async () => {
  const broken = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  using conn = connOver(broken, answering(ok("three")));
  const first = await get(conn, "/1");
  await conn.request("GET", "/2");
  broken.end();
  await assertRejects(() => first.read());
  await assertRejects(() => conn.getresponse(), RemoteDisconnected);
  assertEquals(await text(await get(conn, "/3")), "three");
});

Deno.test("closing an unread response retires the connection", async () => {
  const old = answering(ok("one"));
  // CPython keeps it: the next response begins in the middle of the old body.
  using conn = connOver(old, answering(ok("two")));
  const first = await get(conn, "/1");
  first.close();
  assertEquals(old.closed, true);
  assertEquals(await text(await get(conn, "/2")), "two");
});

Deno.test("closing an unread response fails the request behind it, the next works", async () => {
  using conn = connOver(answering(ok("one"), ok("two")), answering(ok("three")));
  const first = await get(conn, "/1");
  await conn.request("GET", "/2");
  first.close();
  await assertRejects(() => conn.getresponse(), RemoteDisconnected);
  assertEquals(await text(await get(conn, "/3")), "three");
});

// A response that owns the connection

Deno.test("a response that closes owns the transport until it is read", async () => {
  const transport = new FakeTransport([`${UNTIL_CLOSE}body`], { ended: true });
  using conn = connOver(transport);
  const response = await get(conn);
  assertEquals([response.will_close, conn.sock, transport.closed], [true, null, false]);
  assertEquals(await text(response), "body");
  assertEquals(transport.closes, 1);
});

Deno.test("a response that closes is read after the next request was answered", async () => {
  const old = new FakeTransport([`${UNTIL_CLOSE}body`], { ended: true });
  using conn = connOver(old, answering(ok("two")));
  const first = await get(conn, "/1");
  assertEquals(await text(await get(conn, "/2")), "two");
  assertEquals(await text(first), "body");
});

Deno.test("close does not take a response that closes from its reader", async () => {
  using conn = connOver(new FakeTransport([`${UNTIL_CLOSE}body`], { ended: true }));
  const response = await get(conn);
  conn.close();
  assertEquals(await text(response), "body");
});

Deno.test("closing a response that closes frees the transport", async () => {
  const transport = new FakeTransport([`${UNTIL_CLOSE}body`]);
  using conn = connOver(transport);
  (await get(conn)).close();
  assertEquals(transport.closes, 1);
});

Deno.test("close closes a response that does not own the connection", async () => {
  const transport = answering(ok("one"));
  using conn = connOver(transport);
  const response = await get(conn);
  conn.close();
  assertEquals([response.closed, transport.closes], [true, 1]);
});

Deno.test("a response with a length that closes frees the transport when it is read", async () => {
  const transport = answering(ok("one", "Connection: close\r\n"));
  using conn = connOver(transport, answering(ok("two")));
  assertEquals(await text(await get(conn)), "one");
  assertEquals(transport.closes, 1);
  assertEquals(await text(await get(conn)), "two");
});

Deno.test("an empty response that closes frees the transport at once", async () => {
  const transport = answering(ok("", "Connection: close\r\n"));
  using conn = connOver(transport);
  await (await get(conn)).read();
  assertEquals(transport.closes, 1);
});

Deno.test("a request that says Connection: close is the last on its connection", async () => {
  const old = answering(ok("one"));
  using conn = connOver(old, answering(ok("two")));
  await conn.request("GET", "/1", null, { Connection: "close" });
  assertEquals(await text(await conn.getresponse()), "one");
  assertEquals(await text(await get(conn, "/2")), "two");
  assertEquals(old.closed, true);
});

// close() in each state

const UNDER_WAY: [title: string, run: (conn: HTTPConnection) => Promise<void> | void][] = [
  ["at first", () => {}],
  ["connected", (conn) => conn.connect()],
  ["after putrequest", (conn) => conn.putrequest("GET", "/lost")],
  ["after a request", (conn) => conn.request("GET", "/lost")],
  ["with an unread response", async (conn) => void await get(conn, "/lost")],
  ["with a response that was read", async (conn) => void await (await get(conn)).read()],
  ["with a request begun behind an unread response", async (conn) => {
    await get(conn, "/lost");
    conn.putrequest("GET", "/lost");
  }],
  ["with a request sent behind an unread response", async (conn) => {
    await get(conn, "/lost");
    await conn.request("GET", "/lost");
  }],
];

for (const [title, run] of UNDER_WAY) {
  Deno.test(`close ${title} leaves an idle connection`, async () => {
    const old = answering(ok("lost"), ok("lost"));
    const used = [old, answering(ok("new"))];
    const conn = new HTTPConnection("example.com", {
      transport: () => Promise.resolve(used.shift()!),
    });
    await run(conn);
    conn.close();
    assertEquals(conn.sock, null);
    assertThrows(() => conn.putheader("A", "b"), CannotSendHeader);
    await assertRejects(() => conn.getresponse(), ResponseNotReady);
    if (used.length === 2) used.shift();
    else assertEquals(old.closes, 1);
    assertEquals(await text(await get(conn)), "new");
    conn.close();
  });
}

Deno.test("close may be called any number of times", async () => {
  const transport = answering(ok());
  const conn = connOver(transport);
  await get(conn);
  conn.close();
  conn.close();
  conn.close();
  assertEquals(transport.closes, 1);
});

Deno.test("a request that close has cut off does not disturb the next one", async () => {
  const old = new FakeTransport();
  const next = new FakeTransport();
  using conn = connOver(old, next);
  await conn.request("GET", "/1");
  const lost = conn.getresponse();
  conn.close();
  await conn.request("GET", "/2");
  await assertRejects(() => lost, Deno.errors.Interrupted);
  next.arrive(ok("two"));
  assertEquals(await text(await conn.getresponse()), "two");
});

// After a failure

const BROKEN: [title: string, answer: string, error: new (...args: never[]) => Error][] = [
  ["the server closes without an answer", "", RemoteDisconnected],
  ["the answer is no HTTP", "SSH-2.0-x\r\n\r\n", BadStatusLine],
  ["the head is cut off", "HTTP/1.1 200 OK\r\nA: b", Error],
  ["the framing is broken", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Error],
];

for (const [title, answer, error] of BROKEN) {
  Deno.test(`when ${title}, the next request makes a new connection`, async () => {
    const broken = new FakeTransport(answer === "" ? [] : [answer], { ended: true });
    using conn = connOver(broken, answering(ok("two")));
    await conn.request("GET", "/1");
    await assertRejects(
      () => conn.getresponse(),
      error as unknown as new (...args: unknown[]) => Error,
    );
    assertEquals([broken.closes, conn.sock], [1, null]);
    assertEquals(await text(await get(conn, "/2")), "two");
  });
}

Deno.test("when connecting fails, the next request tries again", async () => {
  const trouble = new Error("trouble");
  let tries = 0;
  using conn = new HTTPConnection("example.com", {
    transport: () =>
      ++tries === 1 ? Promise.reject(trouble) : Promise.resolve(answering(ok("two"))),
  });
  assertEquals(await assertRejects(() => conn.request("GET", "/1")), trouble);
  assertEquals(await text(await get(conn, "/2")), "two");
});

Deno.test("when connecting fails, getresponse is ResponseNotReady", async () => {
  using conn = new HTTPConnection("example.com", {
    transport: () => Promise.reject(new Error("trouble")),
  });
  await assertRejects(() => conn.request("GET", "/"));
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
});

Deno.test("when writing fails, the next request makes a new connection", async () => {
  const trouble = new Error("trouble");
  const broken = new FakeTransport();
  broken.write = () => Promise.reject(trouble);
  using conn = connOver(broken, answering(ok("two")));
  assertEquals(await assertRejects(() => conn.request("GET", "/1")), trouble);
  assertEquals(broken.closes, 1);
  assertEquals(await text(await get(conn, "/2")), "two");
});

Deno.test("a refused request keeps the open connection", async () => {
  const transport = answering(ok("one"), ok("two"));
  using conn = connOver(transport);
  assertEquals(await text(await get(conn, "/1")), "one");
  await assertRejects(() => conn.request("POST", "/", "\u20ac"), TypeError);
  assertEquals(transport.closed, false);
  assertEquals(await text(await get(conn, "/2")), "two");
  assertEquals(transport.writes.length, 2);
});

// auto_open

Deno.test("auto_open is on at first", () => {
  using conn = connOver();
  assertEquals(Boolean(conn.auto_open), true);
});

for (const off of [0, false]) {
  Deno.test(`with auto_open ${off} a request without a connection is NotConnected`, async () => {
    using conn = connOver();
    conn.auto_open = off;
    await assertRejects(() => conn.request("GET", "/"), NotConnected);
  });
}

Deno.test("with auto_open off, send without a connection is NotConnected", async () => {
  using conn = connOver();
  conn.auto_open = 0;
  await assertRejects(() => conn.send("a"), NotConnected);
});

Deno.test("with auto_open off, endheaders without a connection is NotConnected", async () => {
  using conn = connOver();
  conn.auto_open = 0;
  conn.putrequest("GET", "/");
  await assertRejects(() => conn.endheaders(), NotConnected);
});

Deno.test("with auto_open off, a request works after connect", async () => {
  using conn = connOver(answering(ok("one")));
  conn.auto_open = 0;
  await assertRejects(() => conn.request("GET", "/"), NotConnected);
  await conn.connect();
  assertEquals(await text(await get(conn)), "one");
});

Deno.test("with auto_open off, a connection that ended while idle is NotConnected", async () => {
  const transport = answering(ok("one"));
  using conn = connOver(transport);
  await conn.connect();
  conn.auto_open = 0;
  await (await get(conn)).read();
  transport.end();
  await assertRejects(() => conn.request("GET", "/"), NotConnected);
});

Deno.test("with auto_open off, a request works again after another connect", async () => {
  const transport = answering(ok("one"));
  using conn = connOver(transport, answering(ok("two")));
  await conn.connect();
  conn.auto_open = 0;
  await (await get(conn)).read();
  transport.end();
  await assertRejects(() => conn.request("GET", "/"), NotConnected);
  await conn.connect();
  assertEquals(await text(await get(conn)), "two");
});

Deno.test("auto_open can be switched off for a whole class", async () => {
  class Manual extends HTTPConnection {
    static {
      this.prototype.auto_open = false;
    }
  }
  using conn = new Manual("example.com", over(answering(ok())));
  await assertRejects(() => conn.request("GET", "/"), NotConnected);
});
