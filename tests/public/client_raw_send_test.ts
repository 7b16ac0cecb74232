/**
 * `send()` without a request: its bytes have a connection at the moment of the call, nothing follows them
 * there, and whatever is called next, or ends them, finds them in their place.
 *
 * @module
 */
import { assertEquals, assertInstanceOf, assertMatch, assertStrictEquals } from "@std/assert";
import { HTTPConnection, HTTPResponse, type Transport } from "../../mod.ts";
import {
  answering,
  connectionOver,
  FakeTransport,
  ok,
  over,
  TargetTransport,
} from "../helpers/fake_transport.ts";
import { ManualTransport } from "../helpers/manual_transport.ts";
import { bytes } from "../helpers/split.ts";
import { microtasks, never, soon, thrown } from "../helpers/waiting.ts";

const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n";

/** Bytes that come one after another, each some microtasks after the one before. */
async function* slowly(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    await microtasks(30);
    yield bytes(part);
  }
}

/** Bytes behind which nothing comes, nor an end. */
async function* quietly(part: string): AsyncGenerator<Uint8Array> {
  yield bytes(part);
  await never();
}

Deno.test("send() fails like the one before it, also once the response was read", async () => {
  const transport = new ManualTransport({ accepting: true });
  using conn = new HTTPConnection("example.com", over(transport));
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", "6");
  await conn.endheaders();
  const answer = conn.getresponse();
  transport.accepting = false;
  const first = thrown(conn.send("ab"));
  await microtasks(20);
  transport.give("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  await (await soon(answer)).read();
  const reason = new Error("not written");
  transport.writes.at(-1)!.reject(reason);
  assertStrictEquals(await soon(first), reason);
  assertStrictEquals(await soon(thrown(conn.send("cd"))), reason);
});

/** Gets a response and leaves it unread, or reads it. */
async function get(conn: HTTPConnection, { read }: { read: boolean }) {
  await conn.request("GET", "/first");
  const response = await conn.getresponse();
  return read ? await response.text() : response;
}

/** What there is when bytes are sent without a request: how it comes to be, and on which connection they go. */
const PLACES: [name: string, begin: (conn: HTTPConnection) => unknown, on: number][] = [
  ["no connection", () => {}, 0],
  ["a connect() that was not awaited", (conn) => void conn.connect(), 0],
  ["a fresh connection", (conn) => conn.connect(), 0],
  ["an idle connection", (conn) => get(conn, { read: true }), 0],
  ["an unread response", (conn) => get(conn, { read: false }), 0],
];

for (const [place, begin, on] of PLACES) {
  for (const [kind, target] of [["GET", null], ["POST", "body"]] as const) {
    Deno.test(`send() is whole, and ${kind} goes out behind it on another connection, on ${place}`, async () => {
      const transports = [new TargetTransport(), new TargetTransport(), new TargetTransport()];
      using conn = connectionOver(...transports);
      const first = await begin(conn);
      const before = transports[on].sent;
      const sent = conn.send(slowly("one", "two", "three"));
      const requested = conn.request(kind, "/second", target === null ? null : slowly(target));
      await soon(Promise.all([sent, requested]));
      assertEquals(transports[on].sent, `${before}onetwothree`);
      if (first instanceof HTTPResponse) assertEquals(await first.text(), "/first");
      assertEquals(await (await soon(conn.getresponse())).text(), "/second");
      assertEquals(transports[on + 1].sent.startsWith(`${kind} /second`), true);
      assertEquals(conn.lastFailure, null);
    });
  }
}

Deno.test("send() goes to a switched connection, and a request behind it to another one", async () => {
  const transports = [answering(SWITCH), new TargetTransport()];
  using conn = connectionOver(...transports);
  await conn.request("GET", "/");
  assertEquals((await conn.getresponse()).status, 101);
  const sent = [conn.send(slowly("one")), conn.send("two")];
  const requested = conn.request("GET", "/second");
  await soon(Promise.all([...sent, requested]));
  assertEquals(transports[0].sent.endsWith("\r\n\r\nonetwo"), true);
  assertEquals(await (await conn.getresponse()).text(), "/second");
  assertEquals(transports[0].closes, 1);
});

Deno.test("send() goes out on a new connection when the one it waits for fails, and so does the request behind it", async () => {
  const reason = new Error("mine");
  const transport = new TargetTransport();
  const made = [Promise.reject(reason), Promise.resolve(transport)];
  using conn = new HTTPConnection("example.com", { transport: () => made.shift()! });
  const sent = thrown(conn.send("raw"));
  const requested = conn.request("GET", "/second");
  assertStrictEquals(await sent, reason);
  await soon(requested);
  assertEquals(await (await conn.getresponse()).text(), "/second");
  assertEquals(transport.sent.startsWith("GET /second"), true);
});

Deno.test("a request behind send() goes out when a connect() of the user's makes the connections", async () => {
  const transports = [new TargetTransport(), new TargetTransport()];
  const made = [...transports];
  class Own extends HTTPConnection {
    override async connect() {
      await microtasks(10);
      this.sock = made.shift()!;
    }
  }
  using conn = new Own("example.com");
  const sent = conn.send("raw");
  const requested = conn.request("GET", "/second");
  await soon(Promise.all([sent, requested]));
  assertEquals(await (await conn.getresponse()).text(), "/second");
  assertEquals(transports[0].sent, "raw");
});

for (const how of ["close()", "dispose", "sock = null"]) {
  for (const place of ["no connection", "an idle connection"]) {
    Deno.test(`${how} ends a send() on ${place} at every moment, and leaves nothing open`, async () => {
      for (let moment = 0; moment < 20; moment++) {
        const transports = [new TargetTransport(), new TargetTransport()];
        const made = [...transports];
        let opened = 0;
        const conn = new HTTPConnection("example.com", {
          transport() {
            opened++;
            return Promise.resolve(made.shift()!);
          },
        });
        if (place !== "no connection") await get(conn, { read: true });
        const sent = conn.send(slowly("raw"));
        const ended = thrown(sent);
        await microtasks(moment);
        if (how === "close()") conn.close();
        else if (how === "dispose") conn[Symbol.dispose]();
        else conn.sock = null;
        assertInstanceOf(await ended, Deno.errors.Interrupted);
        await microtasks(100);
        const closes = transports.reduce((sum, { closes }) => sum + closes, 0);
        // What was there before is left to whoever has it.
        const left = how === "sock = null" ? 1 : 0;
        assertEquals(conn.sock, null, `after ${moment} microtasks`);
        assertEquals(opened - closes <= left, true, `after ${moment} microtasks`);
        assertEquals(conn.lastFailure, null);
      }
    });
  }
}

for (const how of ["close()", "dispose"]) {
  Deno.test(`${how} ends a send() that goes on where a request behind it has another connection`, async () => {
    const stuck = new FakeTransport();
    stuck.write = () => never();
    const conn = connectionOver(stuck, new TargetTransport());
    const sent = thrown(conn.send("raw"));
    await conn.request("GET", "/second");
    if (how === "dispose") conn[Symbol.dispose]();
    else conn.close();
    assertInstanceOf(await sent, Deno.errors.Interrupted);
    assertEquals(stuck.closes, 1);
  });
}

Deno.test("a response reads on, and tells of itself, beside a send() without a request", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: 0.02 });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await conn.send("raw");
  const error = await thrown(response.read());
  assertInstanceOf(error, Deno.errors.TimedOut);
  const { phase, requestBytesSent, responseBytesReceived } = conn.lastFailure!;
  const request = transport.sent.length - "raw".length;
  assertEquals([phase, requestBytesSent, responseBytesReceived], ["body", request, 41]);
});

Deno.test("close() sets no lastFailure when bytes without a request went out beside a response", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  const conn = connectionOver(transport);
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await conn.send("raw");
  conn.close();
  assertInstanceOf(await thrown(response.read()), Deno.errors.Interrupted);
  assertEquals(conn.lastFailure, null);
});

Deno.test("send() goes on when the response beside it has come to its end", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  using conn = connectionOver(transport);
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const sent = conn.send(slowly("one", "two"));
  transport.arrive("lo");
  assertEquals(await response.text(), "hello");
  await soon(sent);
  await conn.send("three");
  assertEquals([transport.sent.endsWith("onetwothree"), transport.closes], [true, 0]);
});

Deno.test("send() is timed out when the response beside it has come to its end", async () => {
  const transport = answering(ok("hello"));
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: 0.02 });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  transport.write = () => never();
  const sent = thrown(conn.send("raw"));
  assertEquals(await response.text(), "hello");
  assertInstanceOf(await sent, Deno.errors.TimedOut);
});

Deno.test("send() whose source is quiet ends when the response beside it fails", async () => {
  const controller = new AbortController();
  using conn = connectionOver(answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"));
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  await conn.getresponse();
  const sent = thrown(conn.send(quietly("one")));
  await microtasks(50);
  const reason = new Error("mine");
  controller.abort(reason);
  assertStrictEquals(await sent, reason);
  assertEquals(conn.lastFailure!.phase, "body");
});

for (const how of ["connect()", "sock ="]) {
  Deno.test(`send() goes to what ${how} has made while other bytes still go out beside a response`, async () => {
    const first = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    const second = new FakeTransport();
    using conn = connectionOver(first, second);
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    const sent = conn.send(slowly("one", "two"));
    await microtasks(10);
    if (how === "sock =") conn.sock = second;
    else await conn.connect();
    await conn.send("three");
    await soon(sent);
    assertEquals([first.sent.endsWith("onetwo"), second.sent], [true, "three"]);
    first.arrive("lo");
    assertEquals(await response.text(), "hello");
    assertEquals(first.closes, 1);
  });
}

Deno.test("connect() at any moment leaves a send() to its end", async () => {
  for (let moment = 0; moment < 30; moment++) {
    const transports = [new FakeTransport(), new FakeTransport()];
    using conn = connectionOver(...transports);
    const sent = conn.send(slowly("raw"));
    await microtasks(moment);
    await conn.connect();
    await soon(sent);
    assertEquals(transports.map(({ sent }) => sent).join(), "raw,", `after ${moment} microtasks`);
  }
});

Deno.test("send() whose source is quiet ends when the response beside it is closed, and that is no failure", async () => {
  using conn = connectionOver(answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const sent = thrown(conn.send(quietly("one")));
  await microtasks(50);
  response.close();
  assertInstanceOf(await sent, Deno.errors.Interrupted);
  assertEquals(conn.lastFailure, null);
});

Deno.test("close() ends a send() that waits for a connect() of the user's, and a request behind it", async () => {
  let stuck = true;
  class Own extends HTTPConnection {
    override async connect() {
      if (stuck) await never();
      this.sock = new TargetTransport();
    }
  }
  using conn = new Own("example.com");
  const sent = thrown(conn.send("raw"));
  const requested = thrown(conn.request("GET", "/first"));
  await microtasks(50);
  conn.close();
  assertInstanceOf(await sent, Deno.errors.Interrupted);
  assertInstanceOf(await requested, Deno.errors.Interrupted);
  stuck = false;
  await conn.request("GET", "/second");
  assertEquals(await (await conn.getresponse()).text(), "/second");
});

for (const behind of ["send()", "connect()"]) {
  Deno.test(`a request fails by its own timeout while it waits behind ${behind}`, async () => {
    using conn = new HTTPConnection("example.com", {
      transport: () => never<Transport>(),
      deadlines: { total: 60 },
    });
    const first = thrown(behind === "send()" ? conn.send("raw") : conn.connect());
    const error = await thrown(conn.request("GET", "/", null, {}, { timeout: 0.02 }));
    assertInstanceOf(error, Deno.errors.TimedOut);
    assertMatch(error.message, /example\.com:80/);
    conn.close();
    assertInstanceOf(await first, Deno.errors.Interrupted);
  });
}

Deno.test("detach() throws while bytes go out that the switched connection was given", async () => {
  using conn = connectionOver(answering(SWITCH));
  await conn.request("GET", "/");
  await conn.getresponse();
  const sent = conn.send(slowly("raw"));
  let error: unknown;
  try {
    conn.detach();
  } catch (reason) {
    error = reason;
  }
  assertEquals((error as Error).name, "ImproperConnectionState");
  await soon(sent);
  conn.detach().transport.close();
});

Deno.test("send() goes out on a new connection after detach()", async () => {
  const next = new FakeTransport();
  using conn = connectionOver(answering(SWITCH), next);
  await conn.request("GET", "/");
  await conn.getresponse();
  await conn.send("one");
  const { transport } = conn.detach();
  await conn.send("two");
  assertEquals(next.sent, "two");
  transport.close();
});

// Calls of a callback while a connection is opened

for (const callback of ["connectStart", "transport()"]) {
  Deno.test(`send() follows its head when ${callback} calls it`, async () => {
    const transport = new TargetTransport();
    let more: Promise<void> | undefined;
    const call = () => more = conn.send("hello");
    using conn: HTTPConnection = new HTTPConnection("example.com", {
      transport() {
        if (callback === "transport()") call();
        return Promise.resolve(transport);
      },
      trace({ type }) {
        if (type === callback) call();
      },
    });
    conn.putrequest("POST", "/second");
    conn.putheader("Content-Length", 5);
    const head = conn.endheaders();
    await soon(Promise.all([head, more]));
    assertEquals(transport.sent.endsWith("Content-Length: 5\r\n\r\nhello"), true);
    assertEquals(await (await conn.getresponse()).text(), "/second");
  });

  Deno.test(`send() fails with its head, and ends no process, when ${callback} calls it and the connection fails`, async () => {
    const reason = new Error("mine");
    let more: Promise<unknown> | undefined;
    const call = () => more = thrown(conn.send("hello"));
    using conn: HTTPConnection = new HTTPConnection("example.com", {
      transport() {
        if (callback === "transport()") call();
        return Promise.reject(reason);
      },
      trace({ type }) {
        if (type === callback) call();
      },
    });
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 5);
    assertStrictEquals(await thrown(conn.endheaders()), reason);
    assertStrictEquals(await more, reason);
  });
}

Deno.test("connect() waits for the connection when connectStart calls it", async () => {
  const transport = new TargetTransport();
  let inner: Promise<unknown> | undefined;
  using conn: HTTPConnection = new HTTPConnection("example.com", {
    ...over(transport),
    trace({ type }) {
      if (type === "connectStart") inner = conn.connect().then(() => conn.sock);
    },
  });
  await conn.connect();
  assertStrictEquals(await inner, transport);
});

/** What a callback does within `send()` without a request, and what then stands on each connection. */
const WITHIN: [name: string, call: (conn: HTTPConnection) => void, wires: string[]][] = [
  ["send()", (conn) => void conn.send("inner"), ["outerinner"]],
  ["request()", (conn) => void conn.request("GET", "/inner"), ["outer", "GET /inner"]],
  ["connect()", (conn) => void conn.connect(), ["outer"]],
  ["close() and send()", (conn) => {
    conn.close();
    conn.send("inner");
  }, ["inner"]],
  ["close() and request()", (conn) => {
    conn.close();
    conn.request("GET", "/inner");
  }, ["GET /inner"]],
];

for (const [name, call, wires] of WITHIN) {
  for (const callback of ["connectStart", "transport()"]) {
    Deno.test(`${name} within ${callback} of a send() comes behind it`, async () => {
      const transports: TargetTransport[] = [];
      let called = false;
      const within = () => {
        if (called) return;
        called = true;
        call(conn);
      };
      using conn: HTTPConnection = new HTTPConnection("example.com", {
        transport() {
          const transport = new TargetTransport();
          if (callback === "transport()") within();
          transports.push(transport);
          return Promise.resolve(transport);
        },
        trace({ type }) {
          if (type === callback) within();
        },
      });
      const sent = conn.send("outer").then(() => true, () => false);
      assertEquals(await soon(sent), !name.startsWith("close()"));
      await microtasks(200);
      const used = transports.map(({ sent }) => sent.split(" HTTP/1.1")[0]).filter((text) =>
        text !== ""
      );
      assertEquals(used, wires);
    });
  }
}

Deno.test("send() that is called when close() tells of its end goes out on a new connection", async () => {
  const transports = [new TargetTransport(), new TargetTransport()];
  let sent: Promise<void> | undefined;
  using conn: HTTPConnection = new HTTPConnection("example.com", {
    ...over(...transports),
    trace({ type }) {
      if (type === "close") sent ??= conn.send("raw");
    },
  });
  await conn.connect();
  conn.close();
  await soon(sent!);
  assertEquals(transports[1].sent, "raw");
});

Deno.test("send() behind a connect() that was not awaited reads nothing of what comes", async () => {
  const transport = new FakeTransport(["banner"]);
  let reads = 0;
  const read = transport.read.bind(transport);
  transport.read = (p) => {
    reads++;
    return read(p);
  };
  using conn = connectionOver(transport);
  conn.connect();
  await conn.send("raw");
  assertEquals([reads, transport.sent], [0, "raw"]);
});

Deno.test("a send() that is timed out beside a response, and that response, tell each of itself", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: 0.02 });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  transport.write = () => never();
  const error = await thrown(conn.send("raw")) as Error & { requestBytesSent: number };
  assertInstanceOf(error, Deno.errors.TimedOut);
  assertEquals(error.requestBytesSent, 0);
  const other = await thrown(response.read()) as Error & { phase: string };
  assertInstanceOf(other, Deno.errors.ConnectionAborted);
  assertEquals([other.phase, other.cause], ["body", error]);
});

Deno.test("a send() beside a response that fails gets an error of its own", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  using conn = connectionOver(transport);
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const sent = thrown(conn.send(quietly("one")));
  await microtasks(50);
  transport.end();
  const error = await thrown(response.read());
  const other = await sent as Error & { phase: string };
  assertInstanceOf(other, Deno.errors.ConnectionAborted);
  assertEquals([other.phase, (other.cause as Error).name], ["send", (error as Error).name]);
});

Deno.test("send() is timed out beside a response whose request had no timeout", async () => {
  class Stuck extends FakeTransport {
    override write(data: Uint8Array): Promise<number> {
      return this.sent === "" ? super.write(data) : never();
    }
  }
  const transport = new Stuck([], { answers: ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"] });
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: 0.02 });
  await conn.request("GET", "/", null, {}, { timeout: null });
  await conn.getresponse();
  assertInstanceOf(await thrown(conn.send("raw")), Deno.errors.TimedOut);
});
