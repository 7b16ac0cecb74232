/**
 * Transports of one's own: what the library asks of one, and what it bears.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  BadStatusLine,
  HTTPConnection,
  HTTPResponse,
  IncompleteRead,
  RemoteDisconnected,
  type Transport,
} from "../../mod.ts";
import { closeQuietly, fromStream } from "../../_internal/net/transport.ts";
import { getText, postText } from "../helpers/exchanges.ts";
import { assertUntouched } from "../helpers/facts.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { microtasks, never, soon, turns } from "../helpers/waiting.ts";
import { bytes, latin1 } from "../servers/raw.ts";

/** The three methods and no more: a server in memory that answers each write. */
function minimal(answers: string[]): Transport & { closes: number } {
  const waiting: ((count: number) => void)[] = [];
  const ready: Uint8Array[] = [];
  let target: Uint8Array | null = null;
  return {
    closes: 0,
    read(p) {
      const piece = ready.shift();
      if (piece === undefined) {
        target = p;
        return new Promise((resolve) => waiting.push(resolve));
      }
      p.set(piece);
      return Promise.resolve(piece.length);
    },
    write(p) {
      const answer = bytes(answers.shift() ?? "");
      const wake = waiting.shift();
      if (wake === undefined) ready.push(answer);
      else {
        target!.set(answer);
        wake(answer.length);
      }
      return Promise.resolve(p.length);
    },
    close() {
      this.closes++;
    },
  };
}

Deno.test("HTTPConnection works over a transport with read(), write() and close() alone", async () => {
  const transport = minimal([ok(), ok("second")]);
  using conn = new HTTPConnection("example.com", over(transport));
  assertEquals(await soon(getText(conn)), "ok");
  assertEquals(await soon(getText(conn)), "second");
  conn.close();
  assertEquals(transport.closes, 1);
});

Deno.test("transport() is called once for each connection", async () => {
  let opened = 0;
  using conn = new HTTPConnection("example.com", {
    transport() {
      opened++;
      return Promise.resolve(new FakeTransport([], { answers: [ok(), ok()] }));
    },
  });
  assertEquals([await soon(getText(conn)), await soon(getText(conn)), opened], ["ok", "ok", 1]);
  conn.close();
  assertEquals([await soon(getText(conn)), opened], ["ok", 2]);
});

Deno.test("HTTPConnection() does not call transport() before a connection is needed", () => {
  let opened = 0;
  using _ = new HTTPConnection("example.com", {
    transport() {
      opened++;
      return Promise.resolve(new FakeTransport());
    },
  });
  assertEquals(opened, 0);
});

Deno.test("transport() is called once when two calls need a connection at the same time", async () => {
  let opened = 0;
  using conn = new HTTPConnection("example.com", {
    transport() {
      opened++;
      return Promise.resolve(new FakeTransport([], { answers: [ok()] }));
    },
  });
  await Promise.all([conn.connect(), getText(conn)]);
  assertEquals(opened, 1);
});

Deno.test("request() writes the rest when write() takes one byte at a time", async () => {
  const fake = new FakeTransport([], { most: 1 });
  fake.onWrite = () => {
    if (fake.sent.endsWith("\r\n\r\nbody")) fake.arrive(ok());
  };
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await soon(postText(conn, "body")), "ok");
  assert(fake.writes.every((piece) => piece.length === 1));
});

Deno.test("getresponse() reads on when read() gives no bytes", async () => {
  const fake = new FakeTransport([], { answers: [ok()] });
  let reads = 0;
  const read = fake.read.bind(fake);
  fake.read = async (p) => reads++ % 2 === 0 ? (await null, 0) : await read(p);
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await soon(getText(conn)), "ok");
});

Deno.test("text() leaves room for at least one byte in each read()", async () => {
  const sizes: number[] = [];
  const fake = new FakeTransport([ok("x".repeat(300_000))]);
  const read = fake.read.bind(fake);
  fake.read = (p) => {
    sizes.push(p.length);
    return read(p);
  };
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals((await soon(getText(conn))).length, 300_000);
  assert(Math.min(...sizes) > 0);
});

Deno.test("request() leaves the bytes alone while write() is pending", async () => {
  const fake = new FakeTransport([], {});
  const late: string[] = [];
  fake.write = async (p) => {
    await microtasks(20);
    late.push(latin1(p));
    return p.length;
  };
  using conn = new HTTPConnection("example.com", over(fake));
  async function* body() {
    for (const letter of "abc") {
      yield bytes(letter.repeat(100_000));
      await null;
    }
  }
  await conn.request("PUT", "/", body());
  const wire = late.join("");
  for (const letter of "abc") assert(wire.includes(letter.repeat(100_000)), letter);
});

Deno.test("request() never calls write() while another write is pending", async () => {
  const fake = new FakeTransport();
  let out = 0;
  let most = 0;
  fake.write = async (p) => {
    most = Math.max(most, ++out);
    await turns();
    out--;
    return p.length;
  };
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("PUT", "/", Array(5).fill(new Uint8Array(100_000)));
  assertEquals(most, 1);
});

Deno.test("getresponse() never calls read() while another read is pending", async () => {
  const fake = new FakeTransport([], { answers: [ok("x".repeat(100_000)), ok()] });
  let out = 0;
  let most = 0;
  const read = fake.read.bind(fake);
  fake.read = async (p) => {
    most = Math.max(most, ++out);
    try {
      return await read(p);
    } finally {
      out--;
    }
  };
  using conn = new HTTPConnection("example.com", over(fake));
  await soon(getText(conn));
  assertEquals(await soon(postText(conn, "x".repeat(300_000))), "ok");
  assertEquals(most, 1);
});

// Its close()

/** Its `close()` ends no read and no write. */
class Deaf extends FakeTransport {
  override read(p: Uint8Array): Promise<number | null> {
    return this.#quiet(super.read(p));
  }
  override write(p: Uint8Array): Promise<number> {
    return this.#stuck ? never() : super.write(p);
  }
  #stuck = false;
  stick(): this {
    this.#stuck = true;
    return this;
  }
  #quiet<T>(promise: Promise<T>): Promise<T> {
    return promise.catch(() => never<T>());
  }
}

Deno.test("getresponse() throws TimedOut at its deadline when close() does not end a pending read", async () => {
  using conn = new HTTPConnection("example.com", {
    ...over(new Deaf()),
    deadlines: { head: 0.02 },
  });
  await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut);
});

Deno.test("getresponse() throws the signal's reason when close() does not end a pending read", async () => {
  using conn = new HTTPConnection("example.com", over(new Deaf()));
  const controller = new AbortController();
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  const rejected = assertRejects(() => soon(conn.getresponse()), DOMException);
  controller.abort();
  await rejected;
});

Deno.test("request() throws the signal's reason when close() does not end a pending write", async () => {
  using conn = new HTTPConnection("example.com", over(new Deaf().stick()));
  const controller = new AbortController();
  const { signal } = controller;
  const rejected = assertRejects(
    () => soon(conn.request("GET", "/", null, {}, { signal })),
    DOMException,
  );
  await null;
  controller.abort();
  await rejected;
});

Deno.test("close() ends getresponse() when the transport's close() does not end a pending read", async () => {
  using conn = new HTTPConnection("example.com", over(new Deaf()));
  await conn.request("GET", "/");
  const rejected = assertRejects(() => soon(conn.getresponse()), Deno.errors.Interrupted);
  await null;
  conn.close();
  await rejected;
});

Deno.test("text() throws TimedOut at its deadline when close() does not end a pending read", async () => {
  const deaf = new Deaf([ok("hello").slice(0, -1)]);
  using conn = new HTTPConnection("example.com", { ...over(deaf), deadlines: { bodyIdle: 0.02 } });
  await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut);
});

Deno.test("getresponse() swallows the failure of a read that ends after its deadline", async () => {
  let fail = (_: Error) => {};
  const fake = new FakeTransport();
  fake.read = () => new Promise((_, reject) => fail = reject);
  using conn = new HTTPConnection("example.com", { ...over(fake), deadlines: { head: 0.02 } });
  await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut);
  // A rejection that nobody handles would end the tests.
  fail(new Error("late"));
  await turns();
});

Deno.test("getresponse() ignores bytes that come to the last connection after its deadline", async () => {
  let arrive = () => {};
  const first = new FakeTransport();
  first.read = (p) =>
    new Promise((resolve) => {
      arrive = () => {
        p.set(bytes(ok("evil")));
        resolve(ok("evil").length);
      };
    });
  const second = new FakeTransport([]);
  using conn = new HTTPConnection("example.com", {
    ...over(first, second),
    // Long enough for the answer in memory to the second request.
    deadlines: { head: 0.2 },
  });
  await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut);
  await conn.request("GET", "/");
  arrive();
  await null;
  second.arrive(ok("good"));
  assertEquals(await (await conn.getresponse()).text(), "good");
});

const ENDINGS: [string, (conn: HTTPConnection) => Promise<unknown>, string][] = [
  ["close()", async (conn) => {
    await soon(getText(conn));
    conn.close();
    conn.close();
  }, ok()],
  ["a response that closes, and close()", async (conn) => {
    await soon(getText(conn));
    conn.close();
  }, ok("ok", "Connection: close\r\n")],
  [
    "a bad answer",
    (conn) => assertRejects(() => soon(getText(conn)), BadStatusLine),
    "NONSENSE\r\n\r\n",
  ],
  ["response.close() and close()", async (conn) => {
    await conn.request("GET", "/");
    (await conn.getresponse()).close();
    conn.close();
  }, ok("hello").slice(0, -1)],
  ["a loop that was left", async (conn) => {
    await conn.request("GET", "/");
    for await (const _ of await conn.getresponse()) break;
  }, ok("hello").slice(0, -1)],
  ["a stream that was cancelled", async (conn) => {
    await conn.request("GET", "/");
    await (await conn.getresponse()).cancel();
  }, ok("hello").slice(0, -1)],
];

for (const [name, run, answer] of ENDINGS) {
  Deno.test(`HTTPConnection closes its transport once after ${name}`, async () => {
    const fake = new FakeTransport([], { answers: [answer] });
    const conn = new HTTPConnection("example.com", over(fake));
    await run(conn);
    assertEquals(fake.closes, 1);
  });
}

Deno.test("close() swallows what the transport's close() throws", async () => {
  const fake = new FakeTransport([], { answers: [ok()] });
  fake.close = () => {
    throw new Error("mine");
  };
  const conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await soon(getText(conn)), "ok");
  conn.close();
  assertEquals(conn.sock, null);
});

Deno.test("text() does not read again after the end", async () => {
  const fake = new FakeTransport(["HTTP/1.1 200 OK\r\n\r\nall"], { ended: true });
  let ends = 0;
  const read = fake.read.bind(fake);
  fake.read = async (p) => {
    const count = await read(p);
    if (count === null) ends++;
    return count;
  };
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await soon(getText(conn)), "all");
  assertEquals(ends, 1);
});

// Its errors

Deno.test("request() throws what transport() is rejected with, and calls it again next time", async () => {
  const reason = new RangeError("mine");
  let opened = 0;
  using conn = new HTTPConnection("example.com", {
    transport() {
      if (opened++ === 0) return Promise.reject(reason);
      return Promise.resolve(new FakeTransport([], { answers: [ok()] }));
    },
  });
  assertStrictEquals(await assertRejects(() => soon(getText(conn))), reason);
  assertEquals(await soon(getText(conn)), "ok");
});

Deno.test("request() throws what transport() throws", async () => {
  const reason = new RangeError("mine");
  using conn = new HTTPConnection("example.com", {
    transport() {
      throw reason;
    },
  });
  assertStrictEquals(await assertRejects(() => soon(getText(conn))), reason);
});

Deno.test("getresponse() throws what read() throws, and leaves it as it is", async () => {
  const reason = new RangeError("mine");
  const fake = new FakeTransport();
  fake.read = () => {
    throw reason;
  };
  using conn = new HTTPConnection("example.com", over(fake));
  assertStrictEquals(await assertRejects(() => soon(getText(conn))), reason);
  assertUntouched(reason);
  assertEquals(conn.lastFailure?.phase, "head");
});

Deno.test("getresponse() throws RemoteDisconnected when the end comes before any byte", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([], { ended: true })));
  await assertRejects(() => soon(getText(conn)), RemoteDisconnected);
});

Deno.test("text() throws IncompleteRead when the end comes within the body", async () => {
  const fake = new FakeTransport([ok("hello").slice(0, -1)], { ended: true });
  using conn = new HTTPConnection("example.com", over(fake));
  const error = await assertRejects(() => soon(getText(conn)), IncompleteRead);
  assertEquals([latin1(error.partial), error.expected], ["hell", 1]);
});

Deno.test("text() throws IncompleteRead when a body until close ends with UnexpectedEof", async () => {
  const fake = new FakeTransport(["HTTP/1.1 200 OK\r\n\r\nall"]);
  const read = fake.read.bind(fake);
  let reads = 0;
  fake.read = (p) => reads++ === 0 ? read(p) : Promise.reject(new Deno.errors.UnexpectedEof("x"));
  using conn = new HTTPConnection("example.com", over(fake));
  const error = await assertRejects(() => soon(getText(conn)), IncompleteRead);
  assertEquals(latin1(error.partial), "all");
});

// Given another way

Deno.test("sock uses a transport that is set", async () => {
  const fake = new FakeTransport([], { answers: [ok(), ok()] });
  using conn = new HTTPConnection("example.com");
  conn.sock = fake;
  assertStrictEquals(conn.sock, fake);
  assertEquals([await soon(getText(conn)), await soon(getText(conn))], ["ok", "ok"]);
});

Deno.test("sock is held to the deadlines when it is set", async () => {
  using conn = new HTTPConnection("example.com", { deadlines: { head: 0.02 } });
  conn.sock = new Deaf();
  await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut);
});

Deno.test("HTTPResponse() reads from a transport", async () => {
  const fake = new FakeTransport([ok()]);
  const response = new HTTPResponse(fake);
  await response.begin();
  assertEquals(await response.text(), "ok");
  response.close();
});

// In memory, both ways

/** Two transports, each of which reads what the other writes. */
function pair(): [Transport, Transport] {
  const there = new TransformStream<Uint8Array, Uint8Array>();
  const back = new TransformStream<Uint8Array, Uint8Array>();
  const over = (readable: ReadableStream<Uint8Array>, writable: WritableStream<Uint8Array>) => {
    const reader = readable.getReader();
    const writer = writable.getWriter();
    let rest: Uint8Array = new Uint8Array();
    const transport: Transport = {
      async read(p) {
        if (rest.length === 0) {
          const { value, done } = await reader.read();
          if (done) return null;
          rest = value;
        }
        const piece = rest.subarray(0, p.length);
        p.set(piece);
        rest = rest.subarray(piece.length);
        return piece.length;
      },
      async write(p) {
        await writer.write(p.slice());
        return p.length;
      },
      closeWrite: () => writer.close(),
      close() {
        reader.cancel().catch(() => {});
        writer.close().catch(() => {});
      },
    };
    return transport;
  };
  return [over(back.readable, there.writable), over(there.readable, back.writable)];
}

Deno.test("request() and getresponse() work over web streams with a peer in memory", async () => {
  const [client, server] = pair();
  const serve = (async () => {
    const p = new Uint8Array(65536);
    let text = "";
    for (let count; (count = await server.read(p)) !== null;) {
      text += latin1(p.subarray(0, count));
      if (!text.endsWith("0\r\n\r\n")) continue;
      await server.write(bytes(ok(String(text.length))));
      text = "";
    }
  })();
  const conn = new HTTPConnection("example.com", over(client));
  for (let i = 0; i < 3; i++) {
    await conn.request("PUT", "/", ["x".repeat(50_000), "y".repeat(50_000)]);
    assert(Number(await (await conn.getresponse()).text()) > 100_000);
  }
  conn.close();
  await soon(serve);
});

Deno.test("detach() gives both directions after 101, over web streams in memory", async () => {
  const [client, server] = pair();
  const serve = (async () => {
    const p = new Uint8Array(65536);
    await server.read(p);
    await server.write(bytes("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
    for (let count; (count = await server.read(p)) !== null;) {
      await server.write(p.slice(0, count));
    }
    await server.closeWrite!();
  })();
  using conn = new HTTPConnection("example.com", over(client));
  await conn.request("GET", "/");
  await conn.getresponse();
  const { readable, writable } = conn.detach();
  const text = new Response(readable as BodyInit).text();
  const writer = writable.getWriter();
  await writer.write(bytes("hello"));
  await writer.close();
  assertEquals(await soon(text), "hello");
  await soon(serve);
});

// closeQuietly(), fromStream()

Deno.test("closeQuietly() closes, and swallows what close() throws", () => {
  let closes = 0;
  closeQuietly({
    close() {
      closes++;
      throw new Deno.errors.BadResource("closed already");
    },
  });
  assertEquals(closes, 1);
});

Deno.test("fromStream() reads the stream", async () => {
  const transport = fromStream(new Blob(["abc"]).stream());
  const target = new Uint8Array(2);
  const read = [await transport.read(target), await transport.read(target)];
  assertEquals([...read, await transport.read(target), latin1(target)], [2, 1, null, "cb"]);
});

Deno.test("fromStream() throws a TypeError when it is written to", async () => {
  const transport = fromStream(new Blob(["abc"]).stream());
  await assertRejects(() => transport.write(bytes("a")), TypeError, "Cannot write");
});

Deno.test("fromStream() cancels the stream when it is closed", async () => {
  const cancelled = Promise.withResolvers<void>();
  const stream = new ReadableStream<Uint8Array>({ cancel: () => cancelled.resolve() });
  fromStream(stream).close();
  await cancelled.promise;
});

Deno.test("closeQuietly() swallows what close() is rejected with", async () => {
  closeQuietly({ close: () => Promise.reject(new Error("mine")) });
  await new Promise((resolve) => setTimeout(resolve, 0));
});
