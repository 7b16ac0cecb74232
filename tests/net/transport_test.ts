/**
 * Transports of one's own: what the library asks of one, and what it bears.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type ExchangeDetails,
  HTTPConnection,
  HTTPResponse,
  IncompleteRead,
  RemoteDisconnected,
  type Transport,
} from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { bytes, latin1 } from "../servers/raw.ts";

/** Fails a test that would wait for ever. */
async function soon<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("Waited in vain")), 1000);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function exchange(conn: HTTPConnection, body: string | null = null): Promise<string> {
  await conn.request(body === null ? "GET" : "POST", "/", body);
  return await (await conn.getresponse()).text();
}

function get(conn: HTTPConnection): Promise<string> {
  return soon(exchange(conn));
}

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

Deno.test("transport: read, write and close are enough", async () => {
  const transport = minimal([ok(), ok("second")]);
  using conn = new HTTPConnection("example.com", over(transport));
  assertEquals(await get(conn), "ok");
  assertEquals(await get(conn), "second");
  conn.close();
  assertEquals(transport.closes, 1);
});

Deno.test("transport: one is opened for each connection", async () => {
  let opened = 0;
  using conn = new HTTPConnection("example.com", {
    transport() {
      opened++;
      return Promise.resolve(new FakeTransport([], { answers: [ok(), ok()] }));
    },
  });
  assertEquals([await get(conn), await get(conn), opened], ["ok", "ok", 1]);
  conn.close();
  assertEquals([await get(conn), opened], ["ok", 2]);
});

Deno.test("transport: it is not opened before it is needed", () => {
  let opened = 0;
  using _ = new HTTPConnection("example.com", {
    transport() {
      opened++;
      return Promise.resolve(new FakeTransport());
    },
  });
  assertEquals(opened, 0);
});

Deno.test("transport: requests at the same time do not open two", async () => {
  let opened = 0;
  using conn = new HTTPConnection("example.com", {
    transport() {
      opened++;
      return Promise.resolve(new FakeTransport([], { answers: [ok()] }));
    },
  });
  await Promise.all([conn.connect(), exchange(conn)]);
  assertEquals(opened, 1);
});

Deno.test("transport: a write that is taken byte by byte", async () => {
  const fake = new FakeTransport([], { most: 1 });
  fake.onWrite = () => {
    if (fake.sent.endsWith("\r\n\r\nbody")) fake.arrive(ok());
  };
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await soon(exchange(conn, "body")), "ok");
  assert(fake.writes.every((piece) => piece.length === 1));
});

Deno.test("transport: reads of no byte are not the end", async () => {
  const fake = new FakeTransport([], { answers: [ok()] });
  let reads = 0;
  const read = fake.read.bind(fake);
  fake.read = async (p) => reads++ % 2 === 0 ? (await null, 0) : await read(p);
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await get(conn), "ok");
});

Deno.test("transport: there is room for something in each read", async () => {
  const sizes: number[] = [];
  const fake = new FakeTransport([ok("x".repeat(300_000))]);
  const read = fake.read.bind(fake);
  fake.read = (p) => {
    sizes.push(p.length);
    return read(p);
  };
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals((await get(conn)).length, 300_000);
  assert(Math.min(...sizes) > 0);
});

Deno.test("transport: what it was given to write is not changed while it writes", async () => {
  const fake = new FakeTransport([], {});
  const late: string[] = [];
  fake.write = async (p) => {
    for (let i = 0; i < 20; i++) await null;
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

Deno.test("transport: two writes are never out at once", async () => {
  const fake = new FakeTransport();
  let out = 0;
  let most = 0;
  fake.write = async (p) => {
    most = Math.max(most, ++out);
    await new Promise((resolve) => setTimeout(resolve, 0));
    out--;
    return p.length;
  };
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("PUT", "/", Array(5).fill(new Uint8Array(100_000)));
  assertEquals(most, 1);
});

Deno.test("transport: two reads are never out at once", async () => {
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
  await get(conn);
  assertEquals(await soon(exchange(conn, "x".repeat(300_000))), "ok");
  assertEquals(most, 1);
});

// Its close()

/** Its `close()` ends no read and no write. */
class Deaf extends FakeTransport {
  override read(p: Uint8Array): Promise<number | null> {
    return this.#quiet(super.read(p));
  }
  override write(p: Uint8Array): Promise<number> {
    return this.#stuck ? new Promise(() => {}) : super.write(p);
  }
  #stuck = false;
  stick(): this {
    this.#stuck = true;
    return this;
  }
  #quiet<T>(promise: Promise<T>): Promise<T> {
    return promise.catch(() => new Promise<T>(() => {}));
  }
}

Deno.test("transport: a deadline ends a read that close() does not end", async () => {
  using conn = new HTTPConnection("example.com", {
    ...over(new Deaf()),
    deadlines: { head: 0.02 },
  });
  await assertRejects(() => get(conn), Deno.errors.TimedOut);
});

Deno.test("transport: a signal ends a read that close() does not end", async () => {
  using conn = new HTTPConnection("example.com", over(new Deaf()));
  const controller = new AbortController();
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  const rejected = assertRejects(() => soon(conn.getresponse()), DOMException);
  controller.abort();
  await rejected;
});

Deno.test("transport: a signal ends a write that close() does not end", async () => {
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

Deno.test("transport: close() of the connection ends a read that the transport's does not end", async () => {
  using conn = new HTTPConnection("example.com", over(new Deaf()));
  await conn.request("GET", "/");
  const rejected = assertRejects(() => soon(conn.getresponse()));
  await null;
  conn.close();
  await rejected;
});

Deno.test("transport: a deadline ends the body's read that close() does not end", async () => {
  const deaf = new Deaf([ok("hello").slice(0, -1)]);
  using conn = new HTTPConnection("example.com", { ...over(deaf), deadlines: { bodyIdle: 0.02 } });
  await assertRejects(() => get(conn), Deno.errors.TimedOut);
});

Deno.test("transport: a read that ends after close() harms nobody", async () => {
  let fail = (_: Error) => {};
  const fake = new FakeTransport();
  fake.read = () => new Promise((_, reject) => fail = reject);
  using conn = new HTTPConnection("example.com", { ...over(fake), deadlines: { head: 0.02 } });
  await assertRejects(() => get(conn), Deno.errors.TimedOut);
  // A rejection that nobody handles would end the tests.
  fail(new Error("late"));
  await new Promise((resolve) => setTimeout(resolve, 0));
});

Deno.test("transport: bytes that come after a deadline are not in the next answer", async () => {
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
    deadlines: { head: 0.02 },
  });
  await assertRejects(() => get(conn), Deno.errors.TimedOut);
  await conn.request("GET", "/");
  arrive();
  await null;
  second.arrive(ok("good"));
  assertEquals(await (await conn.getresponse()).text(), "good");
});

const ENDINGS: [string, (conn: HTTPConnection) => Promise<unknown>, string][] = [
  ["close()", async (conn) => {
    await get(conn);
    conn.close();
    conn.close();
  }, ok()],
  ["a response that closes, and close()", async (conn) => {
    await get(conn);
    conn.close();
  }, ok("ok", "Connection: close\r\n")],
  ["a bad answer", (conn) => assertRejects(() => get(conn)), "NONSENSE\r\n\r\n"],
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
  Deno.test(`transport: it is closed once: ${name}`, async () => {
    const fake = new FakeTransport([], { answers: [answer] });
    const conn = new HTTPConnection("example.com", over(fake));
    await run(conn);
    assertEquals(fake.closes, 1);
  });
}

Deno.test("transport: a close() that throws is borne", async () => {
  const fake = new FakeTransport([], { answers: [ok()] });
  fake.close = () => {
    throw new Error("mine");
  };
  const conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await get(conn), "ok");
  conn.close();
  assertEquals(conn.sock, null);
});

Deno.test("transport: read after the end is not asked for", async () => {
  const fake = new FakeTransport(["HTTP/1.1 200 OK\r\n\r\nall"], { ended: true });
  let ends = 0;
  const read = fake.read.bind(fake);
  fake.read = async (p) => {
    const count = await read(p);
    if (count === null) ends++;
    return count;
  };
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await get(conn), "all");
  assertEquals(ends, 1);
});

// Its errors

Deno.test("transport: one that cannot be opened: its error, and the next request tries again", async () => {
  const reason = new RangeError("mine");
  let opened = 0;
  using conn = new HTTPConnection("example.com", {
    transport() {
      if (opened++ === 0) return Promise.reject(reason);
      return Promise.resolve(new FakeTransport([], { answers: [ok()] }));
    },
  });
  assertStrictEquals(await assertRejects(() => get(conn)), reason);
  assertEquals(await get(conn), "ok");
});

Deno.test("transport: one whose opening throws at once", async () => {
  const reason = new RangeError("mine");
  using conn = new HTTPConnection("example.com", {
    transport() {
      throw reason;
    },
  });
  assertStrictEquals(await assertRejects(() => get(conn)), reason);
});

Deno.test("transport: a read that throws at once", async () => {
  const reason = new RangeError("mine");
  const fake = new FakeTransport();
  fake.read = () => {
    throw reason;
  };
  using conn = new HTTPConnection("example.com", over(fake));
  assertStrictEquals(await assertRejects(() => get(conn)), reason);
  assertEquals((reason as ExchangeDetails).phase, "head");
});

Deno.test("transport: the end before anything is a RemoteDisconnected", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([], { ended: true })));
  await assertRejects(() => get(conn), RemoteDisconnected);
});

Deno.test("transport: the end within the body is an IncompleteRead", async () => {
  const fake = new FakeTransport([ok("hello").slice(0, -1)], { ended: true });
  using conn = new HTTPConnection("example.com", over(fake));
  const error = await assertRejects(() => get(conn), IncompleteRead);
  assertEquals([latin1(error.partial), error.expected], ["hell", 1]);
});

Deno.test("transport: UnexpectedEof is an end, as TLS has it", async () => {
  const fake = new FakeTransport(["HTTP/1.1 200 OK\r\n\r\nall"]);
  const read = fake.read.bind(fake);
  let reads = 0;
  fake.read = (p) => reads++ === 0 ? read(p) : Promise.reject(new Deno.errors.UnexpectedEof("x"));
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await get(conn), "all");
});

// Given another way

Deno.test("transport: `sock` is set", async () => {
  const fake = new FakeTransport([], { answers: [ok(), ok()] });
  using conn = new HTTPConnection("example.com");
  conn.sock = fake;
  assertStrictEquals(conn.sock, fake);
  assertEquals([await get(conn), await get(conn)], ["ok", "ok"]);
});

Deno.test("transport: deadlines hold for a `sock` that is set", async () => {
  using conn = new HTTPConnection("example.com", { deadlines: { head: 0.02 } });
  conn.sock = new Deaf();
  await assertRejects(() => get(conn), Deno.errors.TimedOut);
});

Deno.test("transport: `new HTTPResponse()` reads from one", async () => {
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

Deno.test("transport: over web streams, with a peer in memory", async () => {
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

Deno.test("transport: in memory, after 101, both directions", async () => {
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
