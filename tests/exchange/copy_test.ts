/**
 * `copyTo()`: a body is read while what came is written.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { HTTPConnection, HTTPResponse, IncompleteRead, type Writer } from "../../mod.ts";
import { getResponse } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { begun } from "../helpers/split.ts";
import { microtasks, soon, thrown, turns } from "../helpers/waiting.ts";
import { bytes, latin1, startRaw } from "../servers/raw.ts";

/** A writer that keeps what it gets. */
class Sink implements Writer {
  text = "";
  writes = 0;
  readonly most: number;

  constructor(most = Infinity) {
    this.most = most;
  }

  write(p: Uint8Array): Promise<number> {
    this.writes++;
    const piece = p.subarray(0, this.most);
    this.text += latin1(piece);
    return Promise.resolve(piece.length);
  }
}

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const FRAMINGS: [name: string, wire: string][] = [
  ["by length", ok("hello world")],
  ["chunked", `${CHUNKED}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`],
  ["until close", "HTTP/1.0 200 OK\r\n\r\nhello world"],
];

for (const [name, wire] of FRAMINGS) {
  for (const most of [Infinity, 3]) {
    Deno.test(`copyTo() copies a body ${name} when a write takes ${most} bytes`, async () => {
      const response = await begun(new FakeTransport([wire], { ended: true }));
      const sink = new Sink(most);
      assertEquals([await response.copyTo(sink), sink.text], [11, "hello world"]);
      assertEquals([response.isclosed(), await response.copyTo(sink)], [true, 0]);
    });
  }
}

Deno.test("copyTo() copies what is left of a body", async () => {
  const response = await begun(new FakeTransport([ok("hello")]));
  await response.read(2);
  const sink = new Sink();
  assertEquals([await response.copyTo(sink), sink.text], [3, "llo"]);
});

Deno.test("copyTo() copies a large body to a file, over a socket, as it is", async () => {
  const body = Uint8Array.from({ length: 5_000_003 }, (_, i) => (i * 7 + (i >> 8)) & 255);
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    await peer.send(body);
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const path = await Deno.makeTempFile();
  const seen: number[] = [];
  {
    using file = await Deno.open(path, { write: true });
    assertEquals(
      await response.copyTo(file, { onProgress: (count) => void seen.push(count) }),
      body.length,
    );
  }
  const copy = await Deno.readFile(path);
  assert(copy.length === body.length && copy.every((byte, i) => byte === body[i]));
  assertEquals([seen.at(-1), seen.every((count, i) => i === 0 || count > seen[i - 1])], [
    body.length,
    true,
  ]);
  await Deno.remove(path);
});

Deno.test("copyTo() writes what came at once, and waits for no more", async () => {
  const transport = new FakeTransport([`${CHUNKED}3\r\none\r\n`]);
  const response = await begun(transport);
  const sink = new Sink();
  const copied = response.copyTo(sink);
  await turns(2);
  assertEquals(sink.text, "one");
  transport.arrive("3\r\ntwo\r\n0\r\n\r\n");
  assertEquals([await soon(copied), sink.text], [6, "onetwo"]);
});

Deno.test("copyTo() reads at most 1 MiB ahead of a writer that waits", async () => {
  let taken = 0;
  const piece = new Uint8Array(65536);
  const head = bytes("HTTP/1.0 200 OK\r\n\r\n");
  let began = false;
  const response = new HTTPResponse(
    new ReadableStream({
      pull(controller) {
        const next = began ? piece.slice() : head;
        began = true;
        taken += next.length;
        controller.enqueue(next);
      },
    }, { highWaterMark: 0 }),
  );
  await response.begin();
  const stuck = Promise.withResolvers<number>();
  const copied = response.copyTo({ write: () => stuck.promise });
  await turns(40);
  assert(taken < 1.5 * 1048576, `${taken} bytes`);
  stuck.reject(new Error("full"));
  await assertRejects(() => copied, Error, "full");
});

Deno.test("copyTo() goes on reading when a writer that had it wait with 1 MiB goes on", async () => {
  let left = 3 * 1048576;
  const response = new HTTPResponse(
    new ReadableStream({
      start: (controller) => controller.enqueue(bytes("HTTP/1.0 200 OK\r\n\r\n")),
      pull(controller) {
        if (left === 0) return controller.close();
        left -= 65536;
        controller.enqueue(new Uint8Array(65536));
      },
    }, { highWaterMark: 0 }),
  );
  await response.begin();
  const first = Promise.withResolvers<void>();
  const write = async (piece: Uint8Array): Promise<number> => {
    await first.promise;
    return piece.length;
  };
  const copied = response.copyTo({ write });
  await turns(40);
  first.resolve();
  assertEquals(await soon(copied), 3 * 1048576);
});

Deno.test("copyTo() writes all that came before it throws when a body ends early", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"], {
    ended: true,
  });
  const response = await begun(transport);
  const sink = new Sink(2);
  await assertRejects(() => response.copyTo(sink), IncompleteRead);
  assertEquals(sink.text, "hello");
});

for (
  const [title, write] of [
    ["rejects", (error: Error) => Promise.reject(error)],
    ["throws", (error: Error) => {
      throw error;
    }],
  ] as const
) {
  Deno.test(`copyTo() throws what the target ${title} with, and closes the response`, async () => {
    const response = await begun(
      new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none"]),
    );
    const error = Object.freeze(new Error("disk full"));
    assertStrictEquals(await thrown(soon(response.copyTo({ write: () => write(error) }))), error);
    assertStrictEquals(await thrown(response.read()), error);
  });
}

Deno.test("copyTo() tells of no progress when a write takes nothing", async () => {
  const response = await begun(new FakeTransport([ok("hello")]));
  const sink = new Sink();
  let writes = 0;
  const seen: number[] = [];
  await response.copyTo({
    write: (p) => ++writes % 2 === 1 ? Promise.resolve(0) : sink.write(p.subarray(0, 3)),
  }, { onProgress: (count) => void seen.push(count) });
  assertEquals(seen, [3, 5]);
});

Deno.test("copyTo() throws what the callback throws, and closes the response", async () => {
  const response = await begun(
    new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none"]),
  );
  const error = new Error("mine");
  const copied = response.copyTo(new Sink(), {
    onProgress: () => {
      throw error;
    },
  });
  assertStrictEquals(await thrown(soon(copied)), error);
  assertStrictEquals(await thrown(response.read()), error);
});

Deno.test("copyTo() throws the reason of its signal, before and while it copies", async () => {
  const reason = new Error("enough");
  for (const early of [true, false]) {
    const response = await begun(
      new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none"]),
    );
    const controller = new AbortController();
    if (early) controller.abort(reason);
    const sink = new Sink();
    const copied = response.copyTo(sink, { signal: controller.signal });
    copied.catch(() => {});
    await turns(2);
    controller.abort(reason);
    assertStrictEquals(await thrown(soon(copied)), reason);
    assertEquals(sink.text, early ? "" : "one");
  }
});

Deno.test("copyTo() lets the event loop run while a target takes nothing", async () => {
  const response = await begun(new FakeTransport([ok("hello")]));
  const sink = new Sink();
  let hasTurned = false;
  let refused = 0;
  setTimeout(() => hasTurned = true, 0);
  const copied = response.copyTo({
    write(p) {
      if (hasTurned) return sink.write(p);
      if (++refused > 100_000) throw new Error("The event loop does not run");
      return Promise.resolve(0);
    },
  });
  assertEquals(await soon(copied), 5);
  assert(refused > 0);
});

/** A target that takes `most` bytes and then never answers. */
class Stuck extends Sink {
  override write(p: Uint8Array): Promise<number> {
    if (this.text.length >= this.most) return new Promise(() => {});
    return super.write(p.subarray(0, this.most - this.text.length));
  }
}

/** How far the body is when the target does not answer. */
const STANDS: [name: string, wire: string, ended: boolean][] = [
  ["is still coming", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", false],
  ["has come whole", ok("hello"), false],
  ["has ended early", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", true],
];
const REASON = new Error("enough");

/** What ends a copy, and what it is ended with. */
const ENDS: [
  name: string,
  end: (on: { conn: HTTPConnection; response: HTTPResponse; abort(): void }) => void,
  isRight: (error: unknown) => boolean,
][] = [
  ["its signal", ({ abort }) => abort(), (error) => error === REASON],
  [
    "close() of the response",
    ({ response }) => response.close(),
    (error) => error instanceof Deno.errors.Interrupted && error.message.includes("response"),
  ],
  [
    "close() of the connection",
    ({ conn }) => conn.close(),
    (error) => error instanceof Deno.errors.Interrupted,
  ],
];

/** Ways to read on. */
const AGAIN: ((response: HTTPResponse) => Promise<unknown>)[] = [
  (response) => response.read(),
  (response) => response.readline(),
  (response) => response.copyTo(new Sink()),
  (response) => response.values().next(),
  async (response) => {
    return await response.getReader({ mode: "byob" }).read(new Uint8Array(1));
  },
];

for (const [stand, wire, ended] of STANDS) {
  for (const [name, end, isRight] of ENDS) {
    Deno.test(`copyTo() is ended by ${name} when its target does not answer and the body ${stand}`, async () => {
      using conn = new HTTPConnection("example.com", over(new FakeTransport([wire], { ended })));
      await conn.request("GET", "/");
      const response = await conn.getresponse();
      const controller = new AbortController();
      const sink = new Stuck(2);
      const copied = response.copyTo(sink, { signal: controller.signal });
      copied.catch(() => {});
      await turns(3);
      end({ conn, response, abort: () => controller.abort(REASON) });
      assert(isRight(await thrown(soon(copied))));
      assertEquals([sink.text, latin1(response.partial!)], ["he", "llo"]);
      // Neither a read nor a second copy may look as if this was the end.
      for (const again of AGAIN) await assertRejects(() => again(response));
    });
  }
}

for (const [stand, wire, ended] of STANDS) {
  Deno.test(`copyTo() is ended by the total deadline when its target does not answer and the body ${stand}`, async () => {
    const options = { ...over(new FakeTransport([wire], { ended })), deadlines: { total: 0.05 } };
    using conn = new HTTPConnection("example.com", options);
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    const copied = response.copyTo(new Stuck(2));
    await assertRejects(() => soon(copied), Deno.errors.TimedOut, "total deadline of 0.05 s");
    assertEquals(latin1(response.partial!), "llo");
  });
}

for (const [stand, wire, ended] of STANDS) {
  for (const [name, end, isRight] of ENDS) {
    Deno.test(`copyTo() is ended by ${name} within write() when the body ${stand}`, async () => {
      using conn = new HTTPConnection("example.com", over(new FakeTransport([wire], { ended })));
      await conn.request("GET", "/");
      const response = await conn.getresponse();
      const controller = new AbortController();
      let writes = 0;
      const copied = response.copyTo({
        write() {
          if (++writes === 1) return Promise.resolve(1);
          end({ conn, response, abort: () => controller.abort(REASON) });
          return new Promise(() => {});
        },
      }, { signal: controller.signal });
      assert(isRight(await thrown(soon(copied))));
      assertEquals([writes, latin1(response.partial!)], [2, "ello"]);
    });
  }
}

for (const closes of [true, false]) {
  const which = closes ? "one whose connection closes" : "one before the last";
  Deno.test(`dispose ends the copying of a response that is over: ${which}`, async () => {
    const field = closes ? "Connection: close\r\n" : "";
    const wire = `HTTP/1.1 200 OK\r\n${field}Content-Length: 5\r\n\r\nhello`;
    const transport = answering(wire, wire);
    const conn = new HTTPConnection("example.com", over(transport));
    const first = await getResponse(conn);
    const copied = first.copyTo(new Stuck(2));
    copied.catch(() => {});
    await turns(2);
    if (!closes) assertEquals(await (await getResponse(conn)).text(), "hello");
    conn[Symbol.dispose]();
    await assertRejects(
      () => soon(copied),
      Deno.errors.Interrupted,
      "Cannot read response: the connection was closed",
    );
    await assertRejects(() => first.read(), Deno.errors.Interrupted);
  });
}

Deno.test("copyTo() throws what a write fails with though the server has broken off before", async () => {
  for (const where of ["write", "onProgress"]) {
    const response = await begun(new FakeTransport([STANDS[2][1]], { ended: true }));
    const error = new Error(where);
    const isDue = Promise.withResolvers<void>();
    const copied = response.copyTo({
      async write(p) {
        await isDue.promise;
        if (where === "write") throw error;
        return p.length;
      },
    }, {
      onProgress() {
        throw error;
      },
    });
    copied.catch(() => {});
    await turns(3);
    isDue.resolve();
    assertStrictEquals(await thrown(soon(copied)), error);
  }
});

for (const [stand, wire, ended] of STANDS) {
  for (const fails of [true, false]) {
    const how = fails ? "rejects" : "takes the bytes";
    Deno.test(`copyTo() throws when write() transfers its memory and ${how}, and the body ${stand}`, async () => {
      const response = await begun(new FakeTransport([wire], { ended }));
      const error = new Error("disk full");
      const copied = response.copyTo({
        write(p) {
          const { length } = p;
          (p.buffer as ArrayBuffer).transfer();
          return fails ? Promise.reject(error) : Promise.resolve(length);
        },
      });
      const told = await thrown(soon(copied));
      if (fails) assertStrictEquals(told, error);
      else assertStringIncludes((told as TypeError).message, "transferred the memory");
      await assertRejects(() => response.read());
    });
  }
}

for (const framing of ["Content-Length: 30", "Transfer-Encoding: chunked"]) {
  Deno.test(`copyTo() throws when write() transfers its memory at any moment after a read, with ${framing}`, async () => {
    const piece = (text: string) => framing.startsWith("T") ? `a\r\n${text}\r\n` : text;
    for (let ticks = 0; ticks <= 14; ticks++) {
      const transport = new FakeTransport([
        `HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${piece("a".repeat(10))}`,
      ]);
      const response = await begun(transport);
      const isDue = Promise.withResolvers<void>();
      const copied = response.copyTo({
        async write(p) {
          const { length } = p;
          await turns(3);
          transport.arrive(piece("b".repeat(10)));
          await microtasks(ticks);
          (p.buffer as ArrayBuffer).transfer();
          transport.arrive(piece("c".repeat(10)));
          await isDue.promise;
          return length;
        },
      });
      const told = await thrown(soon(copied)) as TypeError;
      assertStringIncludes(told.message, "transferred the memory", `after ${ticks}`);
      await assertRejects(() => response.read1(), Error, "", `after ${ticks}`);
      isDue.resolve();
    }
  });
}

Deno.test("copyTo() is ended by the bodyIdle deadline, with what came written or told", async () => {
  const options = {
    ...over(new FakeTransport([STANDS[0][1]])),
    deadlines: { bodyIdle: 0.05 },
  };
  using conn = new HTTPConnection("example.com", options);
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const sink = new Sink();
  await assertRejects(() => soon(response.copyTo(sink)), Deno.errors.TimedOut, "bodyIdle");
  assertEquals([sink.text, response.partial], ["hello", null]);
});

Deno.test("copyTo() leaves in partial what came behind the end of its ring and at the start of it", async () => {
  const size = 3 * 1048576;
  const body = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
  let at = 0;
  const response = new HTTPResponse(
    new ReadableStream({
      start: (c) => c.enqueue(bytes(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)),
      pull: (c) => c.enqueue(body.slice(at, at += 65536)),
    }, { highWaterMark: 0 }),
  );
  await response.begin();
  const controller = new AbortController();
  let written = 0;
  let isStuck = false;
  const copied = response.copyTo({
    // Past the middle of the ring, so that what is read behind that begins anew.
    write(piece) {
      isStuck = written >= 700_000;
      if (isStuck) return new Promise(() => {});
      const count = Math.min(piece.length, 100_000);
      written += count;
      return Promise.resolve(count);
    },
  }, { signal: controller.signal });
  copied.catch(() => {});
  while (!isStuck) await turns(1);
  await turns(60);
  controller.abort();
  await thrown(copied);
  const partial = response.partial!;
  assertEquals(partial.length > 1048576 - 700_000, true);
  assertEquals(partial, body.slice(written, written + partial.length));
});

Deno.test("copyTo() waits for a slow target with what came before the server broke off", async () => {
  const response = await begun(new FakeTransport([STANDS[2][1]], { ended: true }));
  const slow = Promise.withResolvers<number>();
  const sink = new Sink();
  let first = true;
  const copied = response.copyTo({
    async write(p) {
      const written = await sink.write(p.subarray(0, 1));
      if (!first) return written;
      first = false;
      return await slow.promise;
    },
  });
  copied.catch(() => {});
  await turns(5);
  assertEquals(sink.text, "h");
  slow.resolve(1);
  await assertRejects(() => soon(copied), IncompleteRead);
  assertEquals([sink.text, response.partial], ["hello", null]);
});

Deno.test("copyTo() is ended by a signal whose reason is undefined", async () => {
  const response = await begun(new FakeTransport([ok("hello")]));
  const controller = new AbortController();
  Object.defineProperty(controller.signal, "reason", { value: undefined });
  const copied = response.copyTo(new Stuck(2), { signal: controller.signal });
  let isOver = false;
  copied.catch(() => isOver = true);
  await turns(2);
  controller.abort();
  await turns(2);
  assert(isOver);
});

Deno.test("copyTo() leaves no listener on its signal, nor on that of the request", async () => {
  const counted = () => {
    const { signal } = new AbortController();
    const own = { signal, listeners: 0 };
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: [never, never]) => {
      own.listeners++;
      addEventListener.call(signal, ...args);
    };
    signal.removeEventListener = (...args: [never, never]) => {
      own.listeners--;
      removeEventListener.call(signal, ...args);
    };
    return own;
  };
  using conn = new HTTPConnection("example.com", over(new FakeTransport([ok("hello")])));
  const [ofRequest, ofCopy] = [counted(), counted()];
  await conn.request("GET", "/", null, {}, { signal: ofRequest.signal });
  const response = await conn.getresponse();
  assertEquals(await response.copyTo(new Sink(), { signal: ofCopy.signal }), 5);
  assertEquals([ofRequest.listeners, ofCopy.listeners], [0, 0]);
});

for (const count of [undefined, -1, 6, 1.5, NaN, "1"]) {
  Deno.test(`copyTo() throws a TypeError when write() gives ${String(count)} for 5 bytes`, async () => {
    const response = await begun(new FakeTransport([ok("hello")]));
    const target = { write: () => Promise.resolve(count as number) };
    await assertRejects(() => response.copyTo(target), TypeError, "write()");
  });
}

for (const target of [null, {}, new WritableStream()]) {
  Deno.test(`copyTo() throws a TypeError and leaves the body when the target is ${Deno.inspect(target)}`, async () => {
    const response = await begun(new FakeTransport([ok("hello")]));
    await assertRejects(() => response.copyTo(target as unknown as Writer), TypeError, "Writer");
    assertEquals(await response.text(), "hello");
  });
}

Deno.test("copyTo() throws a TypeError when another read is at work, and keeps others out", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]);
  const response = await begun(transport);
  const copied = response.copyTo(new Sink());
  await assertRejects(() => response.read(), TypeError, "at work");
  transport.arrive("hello");
  assertEquals(await soon(copied), 5);
});

for (let count = 0; count < 12; count++) {
  Deno.test(`a body never looks whole when trace throws at its end and close() comes ${count} microtasks into a copy`, async () => {
    const reason = new Error("theirs");
    const transport = new FakeTransport([ok("hello"), ok("next")]);
    using conn = new HTTPConnection("example.com", {
      ...over(transport, new FakeTransport([ok("next")])),
      trace: ({ type }) => {
        if (type === "responseEnd" && !isThrown) {
          isThrown = true;
          throw reason;
        }
      },
    });
    let isThrown = false;
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    const copied = thrown(response.copyTo(new Sink()));
    await microtasks(count);
    try {
      response.close();
    } catch (error) {
      assertStrictEquals(error, reason);
    }
    const error = await copied;
    assert(error === reason || error instanceof Deno.errors.Interrupted, String(error));
    await thrown(response.read());
    await conn.request("GET", "/next");
    assertEquals(await (await conn.getresponse()).text(), "next");
  });
}

for (let count = 0; count < 12; count++) {
  Deno.test(`no byte is lost without a word when close() comes ${count} microtasks into a copy`, async () => {
    using conn = new HTTPConnection("example.com", over(answering(ok("hello"))));
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    const sink = new Sink();
    const copied = response.copyTo(sink).then(() => null, (error) => error);
    await microtasks(count);
    response.close();
    const error = await copied;
    const rest = await response.read().then(() => null, (error) => error);
    if (error !== null) assertInstanceOf(error, Deno.errors.Interrupted);
    if (rest === null) assertEquals(sink.text, "hello");
    else assertInstanceOf(rest, Deno.errors.Interrupted);
  });
}
