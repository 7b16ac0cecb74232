/**
 * Which call is allowed when. The errors are those of CPython 3.13, unless a comment says otherwise.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  BadStatusLine,
  CannotSendHeader,
  CannotSendRequest,
  HTTPConnection,
  IncompleteRead,
  NotConnected,
  RemoteDisconnected,
  ResponseNotReady,
} from "../../mod.ts";
import { getResponse, getText } from "../helpers/exchanges.ts";
import { answering, connectionOver, FakeTransport, ok, over } from "../helpers/fake_transport.ts";

const FIELDS = "Host: example.com\r\nAccept-Encoding: identity\r\n";
const UNTIL_CLOSE = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

// Calls out of order

Deno.test("request() throws CannotSendRequest when the response was not fetched", async () => {
  using conn = connectionOver(answering(ok("one")));
  await conn.request("GET", "/");
  await assertRejects(() => conn.request("GET", "/"), CannotSendRequest);
  assertEquals(await (await conn.getresponse()).text(), "one");
});

Deno.test("request() throws CannotSendRequest after putrequest(), and the first one goes on", async () => {
  const transport = answering(ok());
  using conn = connectionOver(transport);
  conn.putrequest("GET", "/first");
  await assertRejects(() => conn.request("GET", "/second"), CannotSendRequest);
  await conn.endheaders();
  assertEquals(transport.writes, [`GET /first HTTP/1.1\r\n${FIELDS}\r\n`]);
});

Deno.test("putrequest() throws CannotSendRequest when it is called twice, and the first one goes on", async () => {
  const transport = answering(ok());
  using conn = connectionOver(transport);
  conn.putrequest("GET", "/first");
  assertThrows(() => conn.putrequest("GET", "/second"), CannotSendRequest);
  conn.putheader("A", "b");
  await conn.endheaders();
  assertEquals(transport.writes, [`GET /first HTTP/1.1\r\n${FIELDS}A: b\r\n\r\n`]);
});

Deno.test("putrequest() throws CannotSendRequest when the response was not fetched", async () => {
  using conn = connectionOver(answering(ok()));
  await conn.request("GET", "/");
  assertThrows(() => conn.putrequest("GET", "/"), CannotSendRequest);
});

Deno.test("putheader() throws CannotSendHeader before putrequest()", () => {
  using conn = connectionOver();
  assertThrows(() => conn.putheader("A", "b"), CannotSendHeader);
});

Deno.test("putheader() throws CannotSendHeader after the request was sent", async () => {
  using conn = connectionOver(answering(ok()));
  await conn.request("GET", "/");
  assertThrows(() => conn.putheader("A", "b"), CannotSendHeader);
});

Deno.test("putheader() throws CannotSendHeader after getresponse()", async () => {
  using conn = connectionOver(answering(ok()));
  await getResponse(conn);
  assertThrows(() => conn.putheader("A", "b"), CannotSendHeader);
});

Deno.test("endheaders() throws CannotSendHeader before putrequest()", async () => {
  using conn = connectionOver();
  await assertRejects(() => conn.endheaders(), CannotSendHeader);
});

Deno.test("endheaders() throws CannotSendHeader when it is called twice, and sends nothing more", async () => {
  const transport = answering(ok());
  using conn = connectionOver(transport);
  conn.putrequest("GET", "/");
  await conn.endheaders();
  await assertRejects(() => conn.endheaders(), CannotSendHeader);
  assertEquals(transport.writes.length, 1);
});

Deno.test("getresponse() throws ResponseNotReady before a request", async () => {
  using conn = connectionOver();
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
});

Deno.test("getresponse() throws ResponseNotReady before endheaders(), and the request goes on", async () => {
  using conn = connectionOver(answering(ok("one")));
  conn.putrequest("GET", "/");
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
  conn.putheader("A", "b");
  await conn.endheaders();
  assertEquals(await (await conn.getresponse()).text(), "one");
});

Deno.test("getresponse() throws ResponseNotReady when it is called twice, and the response stays", async () => {
  using conn = connectionOver(answering(ok("one")));
  const response = await getResponse(conn);
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertEquals(await response.text(), "one");
});

Deno.test("getresponse() throws ResponseNotReady after the response was read", async () => {
  using conn = connectionOver(answering(ok()));
  await (await getResponse(conn)).read();
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
});

Deno.test("getresponse() throws ResponseNotReady after connect()", async () => {
  using conn = connectionOver(answering(ok()));
  await conn.connect();
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
});

// Concurrent calls

Deno.test("request() throws CannotSendRequest when another is on its way", async () => {
  const transport = answering(ok("one"));
  using conn = connectionOver(transport);
  const [first, second] = await Promise.allSettled([
    conn.request("GET", "/first"),
    conn.request("GET", "/second"),
  ]);
  assertEquals([first.status, second.status], ["fulfilled", "rejected"]);
  assert((second as PromiseRejectedResult).reason instanceof CannotSendRequest);
  assertEquals(transport.writes, [`GET /first HTTP/1.1\r\n${FIELDS}\r\n`]);
  assertEquals(await (await conn.getresponse()).text(), "one");
});

Deno.test("request() throws CannotSendRequest when another is on its way on a reused connection", async () => {
  const transport = answering(ok(), ok("two"));
  using conn = connectionOver(transport);
  await (await getResponse(conn)).read();
  const second = conn.request("GET", "/second");
  await assertRejects(() => conn.request("GET", "/third"), CannotSendRequest);
  await second;
  assertEquals(transport.writes.length, 2);
  assertEquals(await (await conn.getresponse()).text(), "two");
});

Deno.test("getresponse() throws ResponseNotReady while another waits", async () => {
  using conn = connectionOver(answering(ok("one")));
  await conn.request("GET", "/");
  const first = conn.getresponse();
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertEquals(await (await first).text(), "one");
});

Deno.test("request() throws CannotSendRequest while getresponse() waits", async () => {
  const transport = new FakeTransport();
  using conn = connectionOver(transport);
  await conn.request("GET", "/");
  const first = conn.getresponse();
  await assertRejects(() => conn.request("GET", "/"), CannotSendRequest);
  transport.arrive(ok("one"));
  assertEquals(await (await first).text(), "one");
});

Deno.test("endheaders() throws CannotSendHeader while another is on its way", async () => {
  const transport = answering(ok());
  using conn = connectionOver(transport);
  conn.putrequest("GET", "/");
  const first = conn.endheaders();
  await assertRejects(() => conn.endheaders(), CannotSendHeader);
  await first;
  assertEquals(transport.writes.length, 1);
});

Deno.test("getresponse() waits for a request that is on its way", async () => {
  using conn = connectionOver(answering(ok("one")));
  const sending = conn.request("POST", "/", "body");
  const response = await conn.getresponse();
  await sending;
  assertEquals(await response.text(), "one");
});

Deno.test("connect() and request() make one connection when they are called at the same time", async () => {
  const transport = answering(ok("one"));
  using conn = connectionOver(transport);
  await Promise.all([conn.connect(), conn.request("GET", "/")]);
  assertEquals(await (await conn.getresponse()).text(), "one");
});

// A response that is not read yet

Deno.test("request() sends while a response is unread", async () => {
  const transport = answering(ok("one"), ok("two"));
  using conn = connectionOver(transport);
  const first = await getResponse(conn, "/1");
  await conn.request("GET", "/2");
  assertEquals(transport.writes.length, 2);
  assertEquals(await first.text(), "one");
  assertEquals(await (await conn.getresponse()).text(), "two");
});

Deno.test("request() makes a new connection when the rest of a response is to come", async () => {
  const old = answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
  const next = answering(ok("two"));
  using conn = connectionOver(old, next);
  const first = await getResponse(conn, "/1");
  await conn.request("GET", "/2");
  assertEquals([old.writes.length, next.writes.length], [1, 1]);
  assertEquals(conn.sock, next);
  old.arrive("on");
  old.arrive("e");
  assertEquals(await first.text(), "one");
  assertEquals(await (await conn.getresponse()).text(), "two");
  // No request may go out on it any more.
  assertEquals([old.closes, next.closes], [1, 0]);
});

Deno.test("request() makes a new connection when bytes came behind an unread response", async () => {
  const old = answering(ok("one") + ok("evil"));
  using conn = connectionOver(old, answering(ok("two")));
  const first = await getResponse(conn, "/1");
  await conn.request("GET", "/2");
  assertEquals(old.writes.length, 1);
  assertEquals(await first.text(), "one");
  assertEquals(await (await conn.getresponse()).text(), "two");
});

Deno.test("getresponse() throws ResponseNotReady until the response before is read", async () => {
  using conn = connectionOver(answering(ok("one"), ok("two")));
  const first = await getResponse(conn, "/1");
  await conn.request("GET", "/2");
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertEquals(await first.read(1).then(() => first.text()), "ne");
  assertEquals(await (await conn.getresponse()).text(), "two");
});

Deno.test("request() throws CannotSendRequest when two responses are to come", async () => {
  const transport = answering(ok("one"), ok("two"));
  using conn = connectionOver(transport);
  const first = await getResponse(conn, "/1");
  await conn.request("GET", "/2");
  await assertRejects(() => conn.request("GET", "/3"), CannotSendRequest);
  assertEquals(transport.writes.length, 2);
  assertEquals(await first.text(), "one");
  assertEquals(await (await conn.getresponse()).text(), "two");
});

Deno.test("putrequest() and endheaders() work while a response is read", async () => {
  const transport = answering(ok("one"), ok("two"));
  using conn = connectionOver(transport);
  const first = await getResponse(conn, "/1");
  conn.putrequest("GET", "/2");
  assertEquals(await first.text(), "one");
  conn.putheader("A", "b");
  await conn.endheaders();
  assertEquals(transport.writes[1], `GET /2 HTTP/1.1\r\n${FIELDS}A: b\r\n\r\n`);
  assertEquals(await (await conn.getresponse()).text(), "two");
});

Deno.test("request() leaves the unread response readable when it is refused", async () => {
  using conn = connectionOver(answering(ok("one"), ok("two")));
  const first = await getResponse(conn, "/1");
  await assertRejects(() => conn.request("GET", "/ "));
  assertEquals(await first.text(), "one");
  assertEquals(await getText(conn, "/2"), "two");
});

const BODILESS: [method: string, answer: string][] = [
  ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
  ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"],
  ["GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
];

for (const [method, answer] of BODILESS) {
  Deno.test(`getresponse() waits until an empty response is read, too: ${method}, ${answer.slice(9, 15)}`, async () => {
    const transport = answering(answer, ok("two"));
    using conn = connectionOver(transport);
    await conn.request(method, "/1");
    const first = await conn.getresponse();
    assertEquals(first.isclosed(), false);
    await conn.request("GET", "/2");
    await assertRejects(() => conn.getresponse(), ResponseNotReady);
    assertEquals(await first.text(), "");
    assertEquals(first.isclosed(), true);
    assertEquals(await (await conn.getresponse()).text(), "two");
    assertEquals(transport.writes.length, 2);
  });
}

for (const what of ["sock =", "connect()"]) {
  Deno.test(`request() works behind a getresponse() that fails when ${what} is called as the connection is closed`, async () => {
    const [first, second] = [new FakeTransport(), answering(ok("two"))];
    using conn = new HTTPConnection("example.com", {
      ...over(first, second),
      trace: ({ type }) => {
        if (type !== "close" || second.closes > 0) return;
        if (what === "sock =") conn.sock = second;
        else void conn.connect();
      },
    });
    await conn.request("GET", "/one");
    await assertRejects(
      () => conn.getresponse({ signal: AbortSignal.abort(new Error("why")) }),
      Error,
      "why",
    );
    assertEquals(await getText(conn), "two");
    conn.close();
  });
}

Deno.test("getresponse() works when the response before ended early", async () => {
  const broken = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  using conn = connectionOver(broken, answering(ok("two"), ok("three")));
  const first = await getResponse(conn, "/1");
  await conn.request("GET", "/2");
  broken.end();
  await assertRejects(() => first.read(), IncompleteRead);
  assertEquals(await (await conn.getresponse()).text(), "two");
  assertEquals(await getText(conn, "/3"), "three");
});

Deno.test("close() of an unread response retires the connection", async () => {
  const old = answering(ok("one"));
  // CPython keeps it: the next response begins in the middle of the old body.
  using conn = connectionOver(old, answering(ok("two")));
  const first = await getResponse(conn, "/1");
  first.close();
  assertEquals(old.closed, true);
  assertEquals(await getText(conn, "/2"), "two");
});

for (
  const [title, answers] of [
    ["had come whole", [[ok("one"), ok("two"), ok("three")]]],
    ["was still coming", [["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no"], [
      ok("two"),
      ok("three"),
    ]]],
  ] as const
) {
  Deno.test(`getresponse() works when the response before was closed that ${title}`, async () => {
    const transports = answers.map((texts) => answering(...texts));
    using conn = connectionOver(...transports);
    const first = await getResponse(conn, "/1");
    await conn.request("GET", "/2");
    first.close();
    await assertRejects(() => first.read(), Deno.errors.Interrupted);
    assertEquals(await (await conn.getresponse()).text(), "two");
    assertEquals(await getText(conn, "/3"), "three");
    assertEquals(transports.at(-1)!.closed, false);
  });
}

// A response that owns the connection

Deno.test("getresponse() hands the transport to a response that closes", async () => {
  const transport = new FakeTransport([`${UNTIL_CLOSE}body`], { ended: true });
  using conn = connectionOver(transport);
  const response = await getResponse(conn);
  assertEquals([response.will_close, conn.sock, transport.closed], [true, null, false]);
  assertEquals(await response.text(), "body");
  assertEquals(transport.closes, 1);
});

Deno.test("read() gives a response that closes after the next one was read", async () => {
  const old = new FakeTransport([`${UNTIL_CLOSE}body`], { ended: true });
  using conn = connectionOver(old, answering(ok("two")));
  const first = await getResponse(conn, "/1");
  assertEquals(await getText(conn, "/2"), "two");
  assertEquals(await first.text(), "body");
});

Deno.test("close() leaves a response that closes to its reader", async () => {
  using conn = connectionOver(new FakeTransport([`${UNTIL_CLOSE}body`], { ended: true }));
  const response = await getResponse(conn);
  conn.close();
  assertEquals(await response.text(), "body");
});

Deno.test("close() of a response that closes closes the transport", async () => {
  const transport = new FakeTransport([`${UNTIL_CLOSE}body`]);
  using conn = connectionOver(transport);
  (await getResponse(conn)).close();
  assertEquals(transport.closes, 1);
});

Deno.test("close() closes a response that does not own the connection", async () => {
  const transport = answering(ok("one"));
  using conn = connectionOver(transport);
  const response = await getResponse(conn);
  conn.close();
  assertEquals([response.closed, transport.closes], [true, 1]);
});

Deno.test("read() closes the transport of a response that closes and has a length", async () => {
  const transport = answering(ok("one", "Connection: close\r\n"));
  using conn = connectionOver(transport, answering(ok("two")));
  assertEquals(await getText(conn), "one");
  assertEquals(transport.closes, 1);
  assertEquals(await getText(conn), "two");
});

Deno.test("read() closes the transport of an empty response that closes", async () => {
  const transport = answering(ok("", "Connection: close\r\n"));
  using conn = connectionOver(transport);
  await (await getResponse(conn)).read();
  assertEquals(transport.closes, 1);
});

Deno.test("request() makes a new connection when the last one said Connection: close", async () => {
  const old = answering(ok("one"));
  using conn = connectionOver(old, answering(ok("two")));
  await conn.request("GET", "/1", null, { Connection: "close" });
  assertEquals(await (await conn.getresponse()).text(), "one");
  assertEquals(await getText(conn, "/2"), "two");
  assertEquals(old.closed, true);
});

// close() in each state

const UNDER_WAY: [title: string, run: (conn: HTTPConnection) => Promise<void> | void][] = [
  ["it is new", () => {}],
  ["connect() was called", (conn) => conn.connect()],
  ["putrequest() was called", (conn) => conn.putrequest("GET", "/lost")],
  ["a request was sent", (conn) => conn.request("GET", "/lost")],
  ["a response is unread", async (conn) => void await getResponse(conn, "/lost")],
  ["a response was read", async (conn) => void await (await getResponse(conn)).read()],
  ["a request was begun behind an unread response", async (conn) => {
    await getResponse(conn, "/lost");
    conn.putrequest("GET", "/lost");
  }],
  ["a request was sent behind an unread response", async (conn) => {
    await getResponse(conn, "/lost");
    await conn.request("GET", "/lost");
  }],
];

for (const [title, run] of UNDER_WAY) {
  Deno.test(`close() leaves an idle connection when ${title}`, async () => {
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
    assertEquals(await getText(conn), "new");
    conn.close();
  });
}

Deno.test("close() may be called any number of times", async () => {
  const transport = answering(ok());
  const conn = connectionOver(transport);
  await getResponse(conn);
  conn.close();
  conn.close();
  conn.close();
  assertEquals(transport.closes, 1);
});

Deno.test("getresponse() gives the new response when close() has cut off the one before", async () => {
  const old = new FakeTransport();
  const next = new FakeTransport();
  using conn = connectionOver(old, next);
  await conn.request("GET", "/1");
  const lost = conn.getresponse();
  conn.close();
  await conn.request("GET", "/2");
  await assertRejects(() => lost, Deno.errors.Interrupted);
  next.arrive(ok("two"));
  assertEquals(await (await conn.getresponse()).text(), "two");
});

// After a failure

const BROKEN: [title: string, answer: string, error: new (...args: never[]) => Error][] = [
  ["the server closes without an answer", "", RemoteDisconnected],
  ["the answer is no HTTP", "SSH-2.0-x\r\n\r\n", BadStatusLine],
  ["the head is cut off", "HTTP/1.1 200 OK\r\nA: b", Error],
  ["the framing is broken", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Error],
];

for (const [title, answer, error] of BROKEN) {
  Deno.test(`request() makes a new connection when ${title}`, async () => {
    const broken = new FakeTransport(answer === "" ? [] : [answer], { ended: true });
    using conn = connectionOver(broken, answering(ok("two")));
    await conn.request("GET", "/1");
    await assertRejects(
      () => conn.getresponse(),
      error as unknown as new (...args: unknown[]) => Error,
    );
    assertEquals([broken.closes, conn.sock], [1, null]);
    assertEquals(await getText(conn, "/2"), "two");
  });
}

Deno.test("request() connects again when connecting has failed", async () => {
  const trouble = new Error("trouble");
  let tries = 0;
  using conn = new HTTPConnection("example.com", {
    transport: () =>
      ++tries === 1 ? Promise.reject(trouble) : Promise.resolve(answering(ok("two"))),
  });
  assertEquals(await assertRejects(() => conn.request("GET", "/1")), trouble);
  assertEquals(await getText(conn, "/2"), "two");
});

Deno.test("getresponse() tells once why connecting has failed, then throws ResponseNotReady", async () => {
  const trouble = new Error("trouble");
  using conn = new HTTPConnection("example.com", { transport: () => Promise.reject(trouble) });
  assertEquals(await assertRejects(() => conn.request("GET", "/")), trouble);
  assertEquals(await assertRejects(() => conn.getresponse()), trouble);
  await assertRejects(() => conn.getresponse(), ResponseNotReady);
});

Deno.test("getresponse() tells why a request has failed that nobody awaited", async () => {
  const trouble = new Error("trouble");
  const broken = new FakeTransport();
  broken.write = () => Promise.reject(trouble);
  using conn = connectionOver(broken, answering(ok("two")));
  conn.request("GET", "/1");
  assertEquals(await assertRejects(() => conn.getresponse()), trouble);
  assertEquals(await getText(conn, "/2"), "two");
});

Deno.test("request() makes a new connection when a write has failed", async () => {
  const trouble = new Error("trouble");
  const broken = new FakeTransport();
  broken.write = () => Promise.reject(trouble);
  using conn = connectionOver(broken, answering(ok("two")));
  assertEquals(await assertRejects(() => conn.request("GET", "/1")), trouble);
  assertEquals(broken.closes, 1);
  assertEquals(await getText(conn, "/2"), "two");
});

Deno.test("request() keeps the open connection when it is refused", async () => {
  const transport = answering(ok("one"), ok("two"));
  using conn = connectionOver(transport);
  assertEquals(await getText(conn, "/1"), "one");
  await assertRejects(() => conn.request("POST", "/", "\u20ac"), TypeError);
  assertEquals(transport.closed, false);
  assertEquals(await getText(conn, "/2"), "two");
  assertEquals(transport.writes.length, 2);
});

// auto_open

Deno.test("auto_open is on by default", () => {
  using conn = connectionOver();
  assertEquals(Boolean(conn.auto_open), true);
});

for (const off of [0, false]) {
  Deno.test(`request() throws NotConnected when auto_open is ${off} and there is no connection`, async () => {
    using conn = connectionOver();
    conn.auto_open = off;
    await assertRejects(() => conn.request("GET", "/"), NotConnected);
  });
}

Deno.test("send() throws NotConnected when auto_open is off and there is no connection", async () => {
  using conn = connectionOver();
  conn.auto_open = 0;
  await assertRejects(() => conn.send("a"), NotConnected);
});

Deno.test("endheaders() throws NotConnected when auto_open is off and there is no connection", async () => {
  using conn = connectionOver();
  conn.auto_open = 0;
  conn.putrequest("GET", "/");
  await assertRejects(() => conn.endheaders(), NotConnected);
});

Deno.test("request() works after connect() when auto_open is off", async () => {
  using conn = connectionOver(answering(ok("one")));
  conn.auto_open = 0;
  await assertRejects(() => conn.request("GET", "/"), NotConnected);
  await conn.connect();
  assertEquals(await getText(conn), "one");
});

Deno.test("request() throws NotConnected when auto_open is off and the connection has ended", async () => {
  const transport = answering(ok("one"));
  using conn = connectionOver(transport);
  await conn.connect();
  conn.auto_open = 0;
  await (await getResponse(conn)).read();
  transport.end();
  await assertRejects(() => conn.request("GET", "/"), NotConnected);
});

Deno.test("request() works after another connect() when auto_open is off", async () => {
  const transport = answering(ok("one"));
  using conn = connectionOver(transport, answering(ok("two")));
  await conn.connect();
  conn.auto_open = 0;
  await (await getResponse(conn)).read();
  transport.end();
  await assertRejects(() => conn.request("GET", "/"), NotConnected);
  await conn.connect();
  assertEquals(await getText(conn), "two");
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

Deno.test("getresponse() tells why the request that nobody awaited was refused", async () => {
  using conn = connectionOver(answering(ok(), ok()));
  conn.request("GET", "/", null, { "Bad Name": "x" });
  const error = await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertInstanceOf(error.cause, TypeError);
  conn.putrequest("PUT", "/");
  conn.putheader("Content-Length", 1);
  conn.endheaders(null, { unknown: 1 } as never);
  const other = await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertInstanceOf(other.cause, TypeError);
});

Deno.test("getresponse() tells of no refusal once a request has gone out, or close() was called", async () => {
  using conn = connectionOver(answering(ok()));
  conn.request("GET", "/ /");
  await conn.request("GET", "/");
  assertEquals(await (await conn.getresponse()).text(), "ok");
  const error = await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertEquals(error.cause, undefined);
  conn.request("GET", "/ /");
  conn.close();
  const closed = await assertRejects(() => conn.getresponse(), ResponseNotReady);
  assertEquals(closed.cause, undefined);
});
