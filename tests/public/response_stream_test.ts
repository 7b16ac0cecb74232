/**
 * The stream face of a response: that it is a web stream in full, that it goes together with the read
 * family, and that nothing is read ahead of what was asked for.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  BadStatusLine,
  HTTPConnection,
  type HTTPException,
  HTTPResponse,
  IncompleteRead,
  RemoteDisconnected,
  ResponseNotReady,
  type Transport,
} from "../../mod.ts";
import { getResponse } from "../helpers/exchanges.ts";
import { FIRST_SIZE } from "../../_internal/net/buffered_reader.ts";
import { FakeClock } from "../helpers/fake_clock.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { microtasks, soon, thrown } from "../helpers/waiting.ts";
import { SegmentTransport } from "../parity/transports.ts";
import { startRaw } from "../servers/raw.ts";
import {
  begun,
  bytes,
  drain,
  drainInto,
  everyWay,
  everyWayAndBehind,
  latin1,
  pieces,
  readinto,
  shape,
  SHAPES,
  TEXT,
} from "../helpers/split.ts";

const BUFFER = 65536;

/** Ways of reading a body as a stream, all of it as text. */
const FACES: [name: string, run: (response: HTTPResponse) => Promise<string>][] = [
  ["getReader()", (r) => drain(r.getReader())],
  ["getReader({ mode: 'byob' }), 4 bytes", (r) => drainInto(r.getReader({ mode: "byob" }), 4)],
  ["getReader({ mode: 'byob' }), 100 bytes", (r) => drainInto(r.getReader({ mode: "byob" }), 100)],
  ["values()", async (r) => (await pieces(r.values())).join("")],
  ["new Response(res).text()", (r) => new Response(r).text()],
  ["new Response(res).bytes()", async (r) => latin1(await new Response(r).bytes())],
  ["pipeTo()", async (r) => {
    let text = "";
    await r.pipeTo(new WritableStream({ write: (piece) => void (text += latin1(piece)) }));
    return text;
  }],
  ["pipeThrough(TextDecoderStream)", async (r) => {
    return (await Array.fromAsync(r.pipeThrough(new TextDecoderStream()))).join("");
  }],
  ["tee(), both branches", async (r) => {
    const [one, other] = r.tee();
    const texts = await Promise.all([drain(one.getReader()), drain(other.getReader())]);
    assertEquals(texts[0], texts[1]);
    return texts[0];
  }],
  ["tee(), one branch after the other", async (r) => {
    const [one, other] = r.tee();
    const first = await drain(one.getReader());
    assertEquals(await drain(other.getReader()), first);
    return first;
  }],
  ["ReadableStream.from()", (r) => drain(ReadableStream.from<Uint8Array>(r).getReader())],
  ["Array.fromAsync()", async (r) => (await Array.fromAsync(r)).map(latin1).join("")],
  ["body.getReader()", (r) => drain(r.body.getReader())],
];

for (const one of SHAPES) {
  for (const [name, run] of FACES) {
    Deno.test(`${name} gives the body and ends the response (${one.name})`, async () => {
      await everyWayAndBehind(one, async (response) => {
        assertEquals(await run(response), one.body);
        assertEquals(response.isclosed(), true);
      });
    });
  }
}

async function gzip(text: string): Promise<string> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return latin1(await new Response(stream).bytes());
}

for (const name of ["Content-Length", "chunked", "until close"]) {
  Deno.test(`pipeThrough() takes a DecompressionStream (${name})`, async () => {
    const packed = await gzip(TEXT.repeat(20));
    const framed: Record<string, string> = {
      "Content-Length": `Content-Length: ${packed.length}\r\n\r\n${packed}`,
      "chunked": `Transfer-Encoding: chunked\r\n\r\n5\r\n${packed.slice(0, 5)}\r\n` +
        `${(packed.length - 5).toString(16)}\r\n${packed.slice(5)}\r\n0\r\n\r\n`,
      "until close": `\r\n${packed}`,
    };
    await everyWay(`HTTP/1.1 200 OK\r\n${framed[name]}`, async (transport) => {
      const response = await begun(transport);
      const plain = response.pipeThrough(new DecompressionStream("gzip"));
      assertEquals(await new Response(plain).text(), TEXT.repeat(20));
    });
  });
}

const { head: HEAD, tail: TAIL } = shape("Content-Length");
const WIRE = HEAD + TAIL;

Deno.test("HTTPResponse is a ReadableStream", async () => {
  assert(await begun(WIRE) instanceof ReadableStream);
});

Deno.test("new Response(res) has the response itself as its body", async () => {
  const response = await begun(WIRE);
  assertEquals(new Response(response).body === response as unknown, true);
});

Deno.test("getReader() waits for min bytes in BYOB mode", async () => {
  const { head, tail } = shape("chunked");
  const response = await begun(head + tail);
  const reader = response.getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint8Array(12), { min: 10 });
  assert(value!.length >= 10, `got ${value!.length} bytes`);
  assertEquals(latin1(value!) + await drainInto(reader, 4), TEXT);
});

Deno.test("getReader() answers several reads at once in their order", async () => {
  const response = await begun(shape("until close").head + "one");
  const reader = response.getReader({ mode: "byob" });
  const reads = [1, 1, 1].map((size) => reader.read(new Uint8Array(size)));
  const seen = (await Promise.all(reads)).map(({ value }) => latin1(value!));
  assertEquals(seen, ["o", "n", "e"]);
});

Deno.test("lines() answers steps in their order when one is taken from within another", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"]);
  const lines = (await begun(transport)).lines();
  const seen: string[] = [];
  const note = ({ value }: IteratorResult<Uint8Array>) => void seen.push(latin1(value!));
  const first = lines.next();
  const third = first.then((step) => {
    note(step);
    return lines.next().then(note);
  });
  const second = lines.next().then(note);
  transport.arrive("1\n2\n3\n");
  await Promise.all([second, third]);
  assertEquals(seen, ["1\n", "2\n", "3\n"]);
});

for (
  const [name, steps, texts] of [
    ["values()", (response) => response.values(), ["al", "pha\nbeta\n"]],
    ["lines()", (response) => response.lines(), ["alpha\n", "beta\n"]],
  ] as [string, (response: HTTPResponse) => AsyncIterator<Uint8Array>, string[]][]
) {
  Deno.test(`${name} answers a step in its order that trace takes within the one before`, async () => {
    const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nal");
    let second: Promise<IteratorResult<Uint8Array>> | undefined;
    using conn = new HTTPConnection("example.com", {
      ...over(transport),
      trace({ type }) {
        if (type === "responseBody") second ??= iterator.next();
      },
    });
    await conn.request("GET", "/");
    const iterator = steps(await conn.getresponse());
    const first = iterator.next();
    await microtasks(20);
    transport.arrive("pha\nbeta\n");
    assertEquals(latin1((await soon(first)).value!), texts[0]);
    assertEquals(latin1((await soon(second!)).value!), texts[1]);
  });

  Deno.test(`${name} answers a step that trace takes at the end of an empty body`, async () => {
    let second: Promise<IteratorResult<Uint8Array>> | undefined;
    using conn = new HTTPConnection("example.com", {
      ...over(answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
      trace({ type }) {
        if (type === "responseEnd") second = iterator.next();
      },
    });
    await conn.request("GET", "/");
    const iterator = steps(await conn.getresponse());
    assertEquals([(await iterator.next()).done, (await second!).done], [true, true]);
  });
}

Deno.test("lines() answers a step in its order that is taken at any moment behind one that trace has taken", async () => {
  for (let moment = 0; moment < 30; moment++) {
    const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na");
    let second: Promise<unknown> | undefined;
    const seen: string[] = [];
    const note = ({ value }: IteratorResult<Uint8Array>) => void seen.push(latin1(value!));
    using conn = new HTTPConnection("example.com", {
      ...over(transport),
      trace({ type }) {
        if (type === "responseBody") second ??= lines.next().then(note);
      },
    });
    await conn.request("GET", "/");
    const lines = (await conn.getresponse()).lines();
    const first = lines.next().then(note);
    await microtasks(20);
    transport.arrive("a\nbb\ncc\n");
    await microtasks(moment);
    await Promise.all([first, second, lines.next().then(note)]);
    assertEquals(seen, ["aa\n", "bb\n", "cc\n"], `after ${moment} microtasks`);
  }
});

Deno.test("values() answers two steps at once in their order", async () => {
  const transport = new FakeTransport([HEAD]);
  const iterator = (await begun(transport)).values();
  const steps = [iterator.next(), iterator.next()];
  transport.arrive(TAIL);
  const [first, second] = await Promise.all(steps);
  assertEquals([latin1(first.value!), second.done], [TEXT, true]);
});

Deno.test("getReader() gives pieces that stay as they are when more arrives", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\n\r\none"]);
  const response = await begun(transport);
  const reader = response.getReader();
  const { value } = await reader.read();
  transport.arrive("TWO");
  await reader.read();
  assertEquals(latin1(value!), "one");
});

Deno.test("for await gives pieces in memory of their own", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\n\r\none"]);
  const response = await begun(transport);
  const iterator = response.values();
  const { value } = await iterator.next();
  value!.fill(0);
  transport.arrive("two");
  assertEquals(latin1((await iterator.next()).value!), "two");
});

/** Calls that a reader shuts out. */
const READS: [name: string, call: (response: HTTPResponse) => Promise<unknown>][] = [
  ["read()", (r) => r.read()],
  ["read(3)", (r) => r.read(3)],
  ["readinto()", (r) => r.readinto(new Uint8Array(3))],
  ["read1()", (r) => r.read1()],
  ["peek()", (r) => r.peek()],
  ["readline()", (r) => r.readline()],
  ["readlines()", (r) => r.readlines()],
  ["lines()", (r) => r.lines().next()],
  ["text()", (r) => r.text()],
  ["json()", (r) => r.json()],
  ["bytes()", (r) => r.bytes()],
];

for (const [name, call] of READS) {
  Deno.test(`${name} throws a TypeError on a locked stream, and works after releaseLock()`, async () => {
    const response = await begun(HEAD + "[1234567890123456]".slice(0, 16) + "]");
    const reader = response.getReader();
    await assertRejects(() => call(response), TypeError, "locked");
    reader.releaseLock();
    await call(response);
  });
}

Deno.test("values() throws a TypeError when the stream is locked", async () => {
  const response = await begun(WIRE);
  response.getReader();
  assertThrows(() => response.values(), TypeError);
});

Deno.test("for await throws a TypeError when the stream is locked", async () => {
  const response = await begun(WIRE);
  response.getReader();
  await assertRejects(() => pieces(response), TypeError);
});

Deno.test("getReader() throws a TypeError when there is a reader", async () => {
  const response = await begun(WIRE);
  response.getReader();
  assertThrows(() => response.getReader(), TypeError);
});

Deno.test("read() throws a TypeError when the response went into new Response()", async () => {
  const response = await begun(WIRE);
  await new Response(response).text();
  await assertRejects(() => response.read(), TypeError);
});

Deno.test("getReader() throws a TypeError while read() is at work, which gets everything", async () => {
  const transport = new FakeTransport([HEAD]);
  const response = await begun(transport);
  const read = response.read();
  await assertRejects(() => response.getReader().read(), TypeError);
  transport.arrive(TAIL);
  assertEquals(latin1(await read), TEXT);
});

Deno.test("for await throws a TypeError while read() is at work, which gets everything", async () => {
  const transport = new FakeTransport([HEAD]);
  const response = await begun(transport);
  const read = response.read();
  await assertRejects(() => pieces(response.values({ preventCancel: true })), TypeError);
  transport.arrive(TAIL);
  assertEquals(latin1(await read), TEXT);
});

/** Closings of the stream, after which the transport is closed. */
const LEAVINGS: [name: string, leave: (response: HTTPResponse) => Promise<unknown>][] = [
  ["cancel()", (r) => r.cancel()],
  ["cancel() of a reader", (r) => r.getReader().cancel("enough")],
  ["cancel() of a BYOB reader", (r) => r.getReader({ mode: "byob" }).cancel()],
  ["break in for await", async (r) => {
    for await (const _piece of r) break;
  }],
  ["throw in for await", async (r) => {
    const error = new Error("mine");
    const loop = async () => {
      for await (const _piece of r) throw error;
    };
    assertEquals(await assertRejects(loop) === error, true);
  }],
  ["return() of values()", (r) => r.values().return!()],
  ["cancel() of new Response(res).body", (r) => new Response(r).body!.cancel()],
  ["pipeTo() into a sink that fails", (r) => {
    const sink = new WritableStream({ write: () => Promise.reject(new Error("full")) });
    return assertRejects(() => r.pipeTo(sink), Error, "full");
  }],
  ["cancel() of both branches of tee()", async (r) => {
    const [one, other] = r.tee();
    await Promise.all([one.cancel(), other.cancel()]);
  }],
];

for (const [name, leave] of LEAVINGS) {
  Deno.test(`${name} closes the transport`, async () => {
    const transport = new FakeTransport([`${HEAD}alpha`]);
    const response = await begun(transport);
    await leave(response);
    assertEquals([transport.closes, response.isclosed()], [1, true]);
  });
}

Deno.test("cancel() ends a read that waits", async () => {
  const response = await begun(new FakeTransport([HEAD]));
  const read = assertRejects(() => response.read());
  await response.cancel();
  await read;
});

Deno.test("cancel() of a reader ends its read that waits", async () => {
  const transport = new FakeTransport([HEAD]);
  const reader = (await begun(transport)).getReader();
  const read = reader.read();
  await reader.cancel();
  assertEquals(await read, { done: true, value: undefined });
  assertEquals(transport.closes, 1);
});

Deno.test("cancel() of one branch of tee() leaves the other one whole", async () => {
  const [one, other] = (await begun(WIRE)).tee();
  const cancelled = one.cancel();
  assertEquals(await drain(other.getReader()), TEXT);
  await cancelled;
});

Deno.test("values({ preventCancel: true }) leaves the rest to read() after a break", async () => {
  for (const one of SHAPES.filter(({ body }) => body !== "")) {
    await everyWay(one.head + one.tail, async (transport) => {
      const response = await begun(transport);
      let first = "";
      for await (const piece of response.values({ preventCancel: true })) {
        first = latin1(piece);
        break;
      }
      assertEquals(transport.closed && !response.isclosed(), false);
      assertEquals(first + await response.text(), TEXT);
    });
  }
});

Deno.test("values({ preventCancel: true }) leaves the transport open after a break", async () => {
  const transport = new FakeTransport([`${HEAD}alpha`]);
  const response = await begun(transport);
  for await (const _piece of response.values({ preventCancel: true })) break;
  assertEquals([transport.closes, response.closed], [0, false]);
});

Deno.test("lines() leaves the rest to be read after a break", async () => {
  const response = await begun(WIRE);
  for await (const _line of response.lines()) break;
  assertEquals(await response.text(), "beta\n\ngamma");
});

Deno.test("getReader() and the read family take turns without a byte lost", async () => {
  for (const one of SHAPES.filter(({ body }) => body !== "")) {
    await everyWay(one.head + one.tail, async (transport) => {
      const response = await begun(transport);
      let text = latin1(await response.read(2));
      const byob = response.getReader({ mode: "byob" });
      text += latin1((await byob.read(new Uint8Array(3))).value!);
      byob.releaseLock();
      text += latin1(await response.readline());
      const plain = response.getReader();
      const { value } = await plain.read();
      text += value === undefined ? "" : latin1(value);
      plain.releaseLock();
      for await (const piece of response) text += latin1(piece);
      assertEquals(text, TEXT);
    });
  }
});

/** Ways of reading what is left, after a reader has let go. */
const RESTS: [name: string, rest: (response: HTTPResponse) => Promise<string>][] = [
  ["read()", (r) => r.text()],
  ["readinto()", async (r) => latin1(await readinto(r, 100))],
  ["for await", async (r) => (await pieces(r)).join("")],
  ["another reader", (r) => drain(r.getReader())],
  ["a BYOB reader", (r) => drainInto(r.getReader({ mode: "byob" }), 5)],
];

/** Starts a read of a reader. */
function startRead(response: HTTPResponse, mode: "default" | "byob"): {
  reader: { releaseLock(): void };
  read: Promise<{ value?: Uint8Array }>;
} {
  if (mode === "default") {
    const reader = response.getReader();
    return { reader, read: reader.read() };
  }
  const reader = response.getReader({ mode });
  return { reader, read: reader.read(new Uint8Array(100)) };
}

/** A response whose body has come after a reader had let go while its read was out. */
async function afterAbandoned(mode: "default" | "byob"): Promise<HTTPResponse> {
  const transport = new FakeTransport([HEAD]);
  const response = await begun(transport);
  const { reader, read } = startRead(response, mode);
  reader.releaseLock();
  await assertRejects(() => read, TypeError);
  transport.arrive(TAIL);
  await microtasks(50);
  return response;
}

for (const size of [1, 3, 100]) {
  Deno.test(`read() loses nothing after a default read that was let go of and a BYOB one of ${size} bytes`, async () => {
    const response = await afterAbandoned("default");
    const byob = response.getReader({ mode: "byob" });
    const { value } = await byob.read(new Uint8Array(size));
    byob.releaseLock();
    assertEquals(latin1(value!) + await response.text(), TEXT);
  });
}

/** What is done in an order: a read that is let go of at once, one that waits for what comes, or bytes come. */
const STEPS = ["let go", "let go, BYOB", "read", "read, BYOB", "come"] as const;

/** All orders of so many steps. */
function* orders(count: number): Generator<(typeof STEPS)[number][]> {
  if (count === 0) return yield [];
  for (const rest of orders(count - 1)) for (const step of STEPS) yield [...rest, step];
}

for (const framing of ["Content-Length", "chunked"] as const) {
  Deno.test(`readers that let go, and others, lose no byte in any order (${framing})`, async () => {
    for (const order of orders(4)) {
      const head = shape(framing).head;
      const transport = new FakeTransport([head]);
      const response = await begun(transport);
      let at = 0;
      const come = (count: number) => {
        const part = TEXT.slice(at, at += count);
        if (part === "") return;
        const last = at >= TEXT.length ? "0\r\n\r\n" : "";
        const chunk = `${part.length.toString(16)}\r\n${part}\r\n${last}`;
        transport.arrive(framing === "chunked" ? chunk : part);
      };
      let text = "";
      for (const step of order) {
        if (step === "come") {
          come(2);
          continue;
        }
        const mode = step.endsWith("BYOB") ? "byob" : undefined;
        const reader = response.getReader({ mode } as { mode: "byob" });
        const read = reader.read(new Uint8Array(4)).then(
          ({ value }) => void (text += latin1(value!)),
          () => {},
        );
        if (step.startsWith("read")) {
          come(1);
          await microtasks(60);
        }
        reader.releaseLock();
        await read;
      }
      await microtasks(60);
      come(TEXT.length);
      await microtasks(60);
      assertEquals(text + await soon(response.text()), TEXT, order.join("; "));
    }
  });
}

Deno.test("a BYOB read that is let go while it is pulled for leaves its bytes to the next", async () => {
  for (let moment = 0; moment < 40; moment++) {
    const transport = new FakeTransport([HEAD]);
    const response = await begun(transport);
    let text = "";
    const start = (size: number) => {
      const reader = response.getReader({ mode: "byob" });
      const read = reader.read(new Uint8Array(size)).then(
        ({ value }) => void (text += latin1(value!)),
        () => {},
      );
      return { reader, read };
    };
    start(4).reader.releaseLock();
    await microtasks(50);
    transport.arrive(TAIL.slice(0, 3));
    await microtasks(50);
    const first = start(1);
    await first.read;
    const second = first.reader.read(new Uint8Array(1)).then(
      ({ value }) => void (text += latin1(value!)),
      () => {},
    );
    await microtasks(moment);
    first.reader.releaseLock();
    await second;
    const third = start(1);
    await third.read;
    third.reader.releaseLock();
    transport.arrive(TAIL.slice(3));
    assertEquals(text + await soon(response.text()), TEXT, `after ${moment} microtasks`);
  }
});

Deno.test("tee() gives all bytes behind a BYOB read that was let go of", async () => {
  const response = await afterAbandoned("byob");
  const [one, two] = response.tee();
  const texts = [drainInto(one.getReader({ mode: "byob" }), 5), drain(two.getReader())];
  assertEquals(await soon(Promise.all(texts)), [TEXT, TEXT]);
});

Deno.test("read() throws a TypeError when bytes that come first are in the stream, and a reader gets them", async () => {
  const transport = new FakeTransport([`${HEAD}alp`]);
  const response = await begun(transport);
  const reader = response.getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint16Array(4));
  assertEquals(value!.byteLength, 2);
  reader.releaseLock();
  for (const read of [() => response.read(), () => response.text(), () => pieces(response)]) {
    await assertRejects(read, TypeError, "its stream holds 1 bytes that come first");
  }
  const next = response.getReader();
  assertEquals(latin1((await next.read()).value!), "p");
});

Deno.test("read() throws a TypeError when a view that was let go of has bytes, and a reader gets them", async () => {
  const transport = new FakeTransport([`${HEAD}alp`]);
  const response = await begun(transport);
  const reader = response.getReader({ mode: "byob" });
  const read = assertRejects(() => reader.read(new Uint8Array(9), { min: 5 }), TypeError);
  await microtasks(50);
  reader.releaseLock();
  await read;
  await assertRejects(() => response.read(), TypeError, "its stream holds 3 bytes that come first");
  transport.arrive(TAIL.slice(3));
  const next = response.getReader();
  assertEquals(latin1((await next.read()).value!), "alp");
});

Deno.test("pipeTo() reads after a reader let go through the releaseLock() of its prototype", async () => {
  const response = await begun(new FakeTransport([`${HEAD}${TAIL}`]));
  const reader = response.getReader();
  ReadableStreamDefaultReader.prototype.releaseLock.call(reader);
  let text = "";
  const sink = new WritableStream<Uint8Array>({ write: (piece) => void (text += latin1(piece)) });
  await soon(response.pipeTo(sink));
  assertEquals(text, TAIL);
});

Deno.test("read() throws a TypeError when a callback calls it while the stream is given a piece", async () => {
  let inner: Promise<unknown> | undefined;
  using conn = new HTTPConnection("example.com", {
    transport: () => Promise.resolve(new FakeTransport([`${HEAD}alpha`])),
    trace({ type }) {
      if (type !== "responseBody" || inner !== undefined) return;
      reader.releaseLock();
      inner = assertRejects(() => response.read(), TypeError, "another read is at work");
    },
  });
  await conn.request("GET", "/");
  const response: HTTPResponse = await conn.getresponse();
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.getReader();
  await assertRejects(() => reader.read(), TypeError);
  await inner;
  await assertRejects(() => response.read(), TypeError, "its stream holds 5 bytes");
  assertEquals(latin1((await response.getReader().read()).value!), "alpha");
});

/** Readers, by what they ask for. */
const ASKING: [name: string, reader: (response: HTTPResponse) => Reading][] = [
  ["default reader", (response) => response.getReader()],
  ["BYOB reader", (response) => {
    const reader = response.getReader({ mode: "byob" });
    const { read } = reader;
    return Object.assign(reader, { read: () => read(new Uint8Array(4)) });
  }],
  ["BYOB reader with a least size", (response) => {
    const reader = response.getReader({ mode: "byob" });
    const { read } = reader;
    return Object.assign(reader, { read: () => read(new Uint8Array(4), { min: 2 }) });
  }],
];
/** A reader that asks for bytes. */
type Reading = Pick<ReadableStreamDefaultReader, "read" | "releaseLock" | "cancel">;

for (const [name, readerOf] of ASKING) {
  for (const framing of ["Content-Length: 12", "Transfer-Encoding: chunked"]) {
    Deno.test(`a ${name} that trace has let go of loses no byte, and keeps other reads out meanwhile (${framing})`, async () => {
      const transport = answering(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`);
      let inner: Promise<unknown> | undefined;
      using conn = new HTTPConnection("example.com", {
        ...over(transport),
        trace({ type }) {
          if (type !== "responseBody" || inner !== undefined) return;
          reader.releaseLock();
          inner = thrown(response.read1(2));
        },
      });
      await conn.request("GET", "/");
      const response = await conn.getresponse();
      const reader = readerOf(response);
      const refused = thrown(reader.read());
      await microtasks(20);
      transport.arrive(framing.endsWith("12") ? "abcdefghijkl" : "c\r\nabcdefghijkl\r\n0\r\n\r\n");
      assertInstanceOf(await soon(refused), TypeError);
      assertInstanceOf(await inner, TypeError);
      assertEquals(await soon(drain(response.getReader())), "abcdefghijkl");
    });
  }

  for (const [next, nextOf] of ASKING) {
    Deno.test(`a ${next} that trace has take over from a ${name} in the middle of a read gets its bytes`, async () => {
      const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
      let taking: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
      let current: Reading;
      using conn = new HTTPConnection("example.com", {
        ...over(transport),
        trace({ type }) {
          if (type !== "responseBody" || taking !== undefined) return;
          current.releaseLock();
          current = nextOf(response);
          taking = current.read();
        },
      });
      await conn.request("GET", "/");
      const response: HTTPResponse = await conn.getresponse();
      current = readerOf(response);
      const left = thrown(current.read());
      await microtasks(20);
      transport.arrive("abcdefghijkl");
      assertInstanceOf(await soon(left), TypeError);
      let text = latin1((await soon(taking!)).value!);
      for (let step; !(step = await soon(current.read())).done;) text += latin1(step.value);
      assertEquals(text, "abcdefghijkl");
    });
  }

  for (const event of ["responseBody", "responseEnd"]) {
    for (const framing of ["Content-Length: 4", "Transfer-Encoding: chunked"]) {
      Deno.test(`a ${name} that trace cancels at ${event} leaves a body that ends there (${framing})`, async () => {
        const transport = answering(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`);
        let cancelled: Promise<void> | undefined;
        using conn = new HTTPConnection("example.com", {
          ...over(transport),
          trace({ type }) {
            if (type === event) cancelled ??= reader.cancel();
          },
        });
        await conn.request("GET", "/");
        const response = await conn.getresponse();
        const reader = readerOf(response);
        const read = reader.read();
        await microtasks(20);
        transport.arrive(framing.endsWith("4") ? "abcd" : "4\r\nabcd\r\n0\r\n\r\n");
        await soon(read);
        if (cancelled === undefined) await soon(reader.read());
        await soon(cancelled!);
        reader.releaseLock();
        assertEquals([latin1(await soon(response.read())), response.isclosed()], ["", true]);
      });
    }
  }
}

for (const how of ["cancel", "releaseLock"] as const) {
  Deno.test(`${how}() from trace while a large piece is given loses no byte and throws nothing`, async () => {
    const size = 4 * 1024 * 1024;
    await using server = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      // Whoever cancels closes the connection.
      await peer.send(new Uint8Array(size)).catch(() => {});
      await peer.eof();
    });
    let [count, ended]: [number, Promise<unknown> | null] = [0, null];
    using conn = new HTTPConnection("127.0.0.1", server.port, {
      trace(event) {
        if (event.type !== "responseBody" || event.total < 1_000_000 || ended !== null) return;
        ended = Promise.resolve(reader[how]());
      },
    });
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    const reader = response.getReader();
    const all = async (reader: ReadableStreamDefaultReader<Uint8Array>) => {
      for (let step; !(step = await soon(reader.read())).done;) count += step.value.length;
    };
    if (how === "cancel") await all(reader);
    else await assertRejects(() => all(reader), TypeError);
    assert(ended !== null);
    await ended;
    if (how === "cancel") assertEquals(response.isclosed(), true);
    else {
      await all(response.getReader());
      assertEquals(count, size);
    }
  });
}

for (const mode of ["default", "byob"] as const) {
  for (const [name, rest] of RESTS) {
    Deno.test(`${name} loses nothing after releaseLock() while a ${mode} read waited`, async () => {
      assertEquals(await rest(await afterAbandoned(mode)), TEXT);
    });
  }

  Deno.test(`releaseLock() of a ${mode} reader loses no byte and gives none twice at any moment`, async () => {
    for (let moment = 0; moment < 40; moment++) {
      const transport = new FakeTransport([HEAD]);
      const response = await begun(transport);
      const { reader, read } = startRead(response, mode);
      const settled = read.then(({ value }) => latin1(value!), () => "");
      transport.arrive(TAIL);
      await microtasks(moment);
      reader.releaseLock();
      const first = await settled;
      await microtasks(50);
      assertEquals(first + await response.text(), TEXT, `after ${moment} microtasks`);
    }
  });

  Deno.test(`close() ends a BYOB read behind a ${mode} read that was let go of`, async () => {
    const transport = new FakeTransport([HEAD]);
    const response = await begun(transport);
    const { reader, read } = startRead(response, mode);
    reader.releaseLock();
    await assertRejects(() => read, TypeError);
    transport.arrive(TAIL.slice(0, 3));
    await microtasks(50);
    const byob = response.getReader({ mode: "byob" });
    assertEquals(latin1((await byob.read(new Uint8Array(9))).value!), TEXT.slice(0, 3));
    const last = byob.read(new Uint8Array(9));
    await microtasks(50);
    response.close();
    await assertRejects(() => soon(last), Deno.errors.Interrupted);
  });

  for (const after of [0, 1, 2, 3, 5, 10]) {
    Deno.test(`read() reads what a ${mode} read waited for that was let go of, ${after} microtasks after that`, async () => {
      const transport = new FakeTransport([HEAD]);
      const response = await begun(transport);
      const { reader, read } = startRead(response, mode);
      await microtasks(20);
      reader.releaseLock();
      await microtasks(after);
      const text = response.text();
      await assertRejects(() => read, TypeError);
      await assertRejects(() => response.read(), TypeError, "another read is at work");
      transport.arrive(TAIL);
      assertEquals(await text, TEXT);
    });
  }
}

Deno.test("getReader() takes over a read that was let go of", async () => {
  const transport = new FakeTransport([HEAD]);
  const response = await begun(transport);
  const { reader, read } = startRead(response, "default");
  reader.releaseLock();
  const next = drain(response.getReader());
  transport.arrive(TAIL);
  await assertRejects(() => read, TypeError);
  assertEquals(await next, TEXT);
});

/** A transport that answers without end, and counts what is taken from it. */
class Endless implements Transport {
  taken = 0;
  reads = 0;
  closed = false;
  #head: Uint8Array;

  constructor(head: string) {
    this.#head = bytes(head);
  }

  read(target: Uint8Array): Promise<number | null> {
    this.reads++;
    target.fill(120);
    target.set(this.#head.subarray(0, target.length));
    this.#head = this.#head.subarray(target.length);
    this.taken += target.length;
    return Promise.resolve(target.length);
  }

  write(data: Uint8Array): Promise<number> {
    return Promise.resolve(data.length);
  }

  close(): void {
    this.closed = true;
  }
}

const ENDLESS_HEADS: Record<string, string> = {
  "Content-Length": "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n",
  "chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
  "until close": "HTTP/1.1 200 OK\r\n\r\n",
};

/** What is asked for; gives how many bytes came of it. */
const ASKED: [name: string, ask: (response: HTTPResponse) => Promise<number>][] = [
  ["begin()", () => Promise.resolve(0)],
  ["read(10)", async (r) => (await r.read(10)).length],
  ["read(200000)", async (r) => (await r.read(200_000)).length],
  ["readinto() of 100 bytes", (r) => r.readinto(new Uint8Array(100))],
  ["readinto() of 100000 bytes", (r) => r.readinto(new Uint8Array(100_000))],
  ["read1()", async (r) => (await r.read1()).length],
  ["peek()", async (r) => (await r.peek()).length * 0],
  ["readline(1000)", async (r) => (await r.readline(1000)).length],
  ["five steps of for await", async (r) => {
    let count = 0;
    const iterator = r.values();
    for (let i = 0; i < 5; i++) count += (await iterator.next()).value!.length;
    return count;
  }],
  ["five reads of a reader", async (r) => {
    let count = 0;
    const reader = r.getReader();
    for (let i = 0; i < 5; i++) count += (await reader.read()).value!.length;
    return count;
  }],
  ["five reads of a BYOB reader", async (r) => {
    let count = 0;
    const reader = r.getReader({ mode: "byob" });
    for (let i = 0; i < 5; i++) count += (await reader.read(new Uint8Array(100))).value!.length;
    return count;
  }],
  ["pipeTo() into a sink that is stuck after three pieces", async (r) => {
    let count = 0;
    let writes = 0;
    const { promise: stuck, resolve: free } = Promise.withResolvers<void>();
    const { promise: third, resolve: wrote } = Promise.withResolvers<void>();
    const abort = new AbortController();
    const sink = new WritableStream<Uint8Array>({
      write(piece) {
        count += piece.length;
        if (++writes < 3) return;
        wrote();
        return stuck;
      },
    });
    const pipe = assertRejects(() => r.pipeTo(sink, { signal: abort.signal, preventCancel: true }));
    await third;
    await microtasks(100);
    const given = count;
    abort.abort();
    free();
    await pipe;
    return given;
  }],
  ["a read of one branch of tee()", async (r) => {
    const [one] = r.tee();
    return (await one.getReader().read()).value!.length;
  }],
];

for (const [framing, head] of Object.entries(ENDLESS_HEADS)) {
  for (const [name, ask] of ASKED) {
    Deno.test(`${name} takes no more than the buffer ahead (${framing})`, async () => {
      const transport = new Endless(head);
      const given = await ask(await begun(transport));
      await microtasks(100);
      const ahead = transport.taken - head.length - given;
      assert(ahead <= BUFFER, `${ahead} bytes were taken ahead`);
    });
  }
}

/** What asks for nothing. */
const SILENT: [name: string, start: (response: HTTPResponse) => unknown][] = [
  ["getReader()", (r) => r.getReader()],
  ["getReader({ mode: 'byob' })", (r) => r.getReader({ mode: "byob" })],
  ["tee()", (r) => r.tee()],
  ["new Response(res)", (r) => new Response(r)],
  ["values()", (r) => r.values()],
  ["lines()", (r) => r.lines()],
];

for (const [name, start] of SILENT) {
  Deno.test(`${name} alone reads nothing from the transport`, async () => {
    const transport = new Endless("HTTP/1.1 200 OK\r\n\r\n");
    const response = await begun(transport);
    const before = transport.reads;
    start(response);
    await microtasks(100);
    assertEquals(transport.reads - before, 0);
  });
}

Deno.test("begin() reads the transport once when the head is there at once", async () => {
  const transport = new Endless("HTTP/1.1 200 OK\r\n\r\n");
  await begun(transport);
  assertEquals(transport.reads, 1);
});

Deno.test("readinto() never shows its memory to a transport of one's own", async () => {
  const body = bytes("y".repeat(300_000));
  const inner = new SegmentTransport([
    bytes(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`),
    body,
  ]);
  let shown = 0;
  const buffer = new Uint8Array(body.length);
  const response = await begun({
    read: (p: Uint8Array) => {
      if (p.buffer === buffer.buffer) shown++;
      return inner.read(p);
    },
    write: (p) => inner.write(p),
    close: () => inner.close(),
  });
  assertEquals(await response.readinto(buffer), body.length);
  assertEquals([shown, buffer], [0, body]);
});

Deno.test("readinto() reads straight into large memory from a socket of Deno's", async () => {
  const body = bytes("y".repeat(300_000));
  const read = Promise.withResolvers<void>();
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    await read.promise;
    await peer.send(body);
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.connect();
  const socket = conn.sock!;
  const buffer = new Uint8Array(body.length);
  const own = socket.read.bind(socket);
  let shown = 0;
  socket.read = (p) => {
    if (p.buffer === buffer.buffer) shown++;
    return own(p);
  };
  const response = await getResponse(conn);
  read.resolve();
  assertEquals(await response.readinto(buffer), body.length);
  assertEquals(buffer, body);
  // Deno: 2.8 does not end a pending read by a close, so there it is never shown.
  assertEquals(shown > 0, !/^2\.8\./.test(Deno.version.deno));
});

Deno.test("HTTPResponse() reads a byte stream", async () => {
  assertEquals(await (await begun(new Blob([WIRE]).stream())).text(), TEXT);
});

Deno.test("HTTPResponse() reads a stream of chunks", async () => {
  const stream = ReadableStream.from([bytes(WIRE.slice(0, 50)), bytes(WIRE.slice(50))]);
  assertEquals(await (await begun(stream)).text(), TEXT);
});

Deno.test("HTTPResponse() throws a TypeError when the stream is one of anything else", async () => {
  const stream = ReadableStream.from([WIRE]) as unknown as ReadableStream<Uint8Array>;
  await assertRejects(() => begun(stream), TypeError);
});

Deno.test("close() cancels the stream that is the source", async () => {
  let cancelled = 0;
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes(HEAD)),
    cancel: () => void cancelled++,
  });
  (await begun(stream)).close();
  await microtasks(10);
  assertEquals(cancelled, 1);
});

/** A response of a BYOB reader that has let go while it waited; nothing has come. */
async function letGo(
  view = new Uint8Array(6),
  min = 1,
): Promise<
  { response: HTTPResponse; transport: FakeTransport; come: (text: string) => Promise<void> }
> {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]);
  const response = await begun(transport);
  const reader = response.getReader({ mode: "byob" });
  const read = assertRejects(() => reader.read(view, { min }), TypeError);
  await microtasks(20);
  const come = async (text: string) => {
    transport.arrive(text);
    await microtasks(50);
  };
  if (min > 1) await come("abcde");
  reader.releaseLock();
  await read;
  await microtasks(20);
  return { response, transport, come };
}

Deno.test("a view with a least size gets what came when its reader had asked for nothing", async () => {
  const { response, come } = await letGo();
  const reader = response.getReader({ mode: "byob" });
  await come("abc");
  const read = reader.read(new Uint8Array(6), { min: 6 });
  await come("defghi");
  assertEquals(latin1((await soon(read)).value!), "abcdef");
  reader.releaseLock();
  assertEquals(await response.text(), "ghi");
});

for (const how of ["a default reader", "a BYOB reader", "tee()", "pipeTo()"]) {
  Deno.test(`${how} gets what was not enough for a view at once`, async () => {
    const { response } = await letGo(new Uint8Array(6), 6);
    await assertRejects(() => response.read(), TypeError, "its stream holds 5 bytes");
    let got: Uint8Array | undefined;
    if (how === "pipeTo()") {
      const arrived = Promise.withResolvers<Uint8Array>();
      response.pipeTo(new WritableStream({ write: (piece) => arrived.resolve(piece) })).catch(
        () => {},
      );
      got = await soon(arrived.promise);
    } else if (how === "a BYOB reader") {
      const reader = response.getReader({ mode: "byob" });
      got = (await soon(reader.read(new Uint8Array(9)))).value;
    } else {
      const stream = how === "tee()" ? response.tee()[0] : response;
      got = (await soon(stream.getReader().read())).value;
    }
    assertEquals(latin1(got!), "abcde");
  });
}

Deno.test("a read that is refused takes no bytes of the next one", async () => {
  const { response, come } = await letGo();
  const reader = response.getReader({ mode: "byob" });
  const { buffer } = new WebAssembly.Memory({ initial: 1 });
  const first = reader.read(new Uint8Array(4));
  await assertRejects(() =>
    reader.read(new Uint8Array(buffer as unknown as ArrayBuffer), { min: 20 })
  );
  const second = reader.read(new Uint8Array(4));
  await come("abcdefghi");
  assertEquals([latin1((await first).value!), latin1((await second).value!)], ["abcd", "efgh"]);
});

Deno.test("a view with a least size gets the end behind one that was let go", async () => {
  const { response, come } = await letGo();
  await come("abcdef");
  const reader = response.getReader({ mode: "byob" });
  const read = reader.read(new Uint8Array(20), { min: 20 });
  await come("g");
  await come("hi");
  const { done, value } = await soon(read);
  assertEquals([done, latin1(value!)], [true, "abcdefghi"]);
  reader.releaseLock();
  assertEquals(await response.text(), "");
});

Deno.test("a stream reads on after a BYOB reader that has let go at once, and a read()", async () => {
  const { response, come } = await letGo();
  await come("abcdefghi");
  const reader = response.getReader({ mode: "byob" });
  const read = assertRejects(() => reader.read(new Uint8Array(3)), TypeError);
  reader.releaseLock();
  assertEquals(latin1(await response.read(5)), "abcde");
  await read;
  await microtasks(50);
  assertEquals(latin1((await soon(response.getReader().read())).value!), "fghi");
});

Deno.test("read() says that the response was closed, not that bytes are held, after cancel()", async () => {
  const transport = new FakeTransport([`${HEAD}abc`]);
  const response = await begun(transport);
  const reader = response.getReader({ mode: "byob" });
  reader.read(new Uint8Array(9), { min: 6 });
  await microtasks(50);
  await reader.cancel();
  reader.releaseLock();
  await microtasks(50);
  await assertRejects(() => response.read(), Deno.errors.Interrupted);
});

Deno.test("a least size that is no whole number is one less, as the standard has it", async () => {
  const response = await begun(new FakeTransport([HEAD + TAIL]));
  const reader = response.getReader({ mode: "byob" });
  const { value } = await soon(reader.read(new Uint16Array(2), { min: 1.5 }));
  assertEquals(value!.length, 2);
});

/** A function that gives a value, once. */
function once<T>(value: T): () => T {
  let calls = 0;
  return () => {
    if (++calls > 1) throw new Error("It was called again");
    return value;
  };
}

for (
  const [name, min, count] of [
    ["a text", "3", 3],
    ["an object", { valueOf: once(2) }, 2],
    ["a boolean", true, 1],
  ] as const
) {
  Deno.test(`a least size that is ${name} is converted, as the standard has it`, async () => {
    const transport = new FakeTransport([HEAD]);
    const response = await begun(transport);
    const read = response.getReader({ mode: "byob" })
      .read(new Uint8Array(count), { min: min as number });
    for (const character of TAIL.slice(0, count)) {
      await microtasks(20);
      transport.arrive(character);
    }
    assertEquals(latin1((await soon(read)).value!), TAIL.slice(0, count));
  });
}

Deno.test("a least size is read once, and what its getter throws is thrown", async () => {
  const response = await begun(new FakeTransport([HEAD + TAIL]));
  const reader = response.getReader({ mode: "byob" });
  let gets = 0;
  const options = {
    get min() {
      if (++gets > 1) throw new Error("mine");
      return 2;
    },
  };
  assertEquals(
    latin1((await soon(reader.read(new Uint8Array(2), options))).value!),
    TEXT.slice(0, 2),
  );
  await assertRejects(() => reader.read(new Uint8Array(2), options), Error, "mine");
  assertEquals(latin1((await soon(reader.read(new Uint8Array(3)))).value!), TEXT.slice(2, 5));
});

for (const name of ["chunked", "until close"]) {
  const { head, tail } = shape(name);
  for (const mode of [undefined, "byob"] as const) {
    Deno.test(`cancel() at any moment around the end leaves no error of the stream's (${name}, ${mode ?? "default"})`, async () => {
      for (let after = 0; after < 20; after++) {
        const transport = new FakeTransport([head]);
        const response = await begun(transport);
        const reader = mode ? response.getReader({ mode }) : response.getReader();
        const read = () =>
          mode
            ? (reader as ReadableStreamBYOBReader).read(new Uint8Array(99))
            : (reader as ReadableStreamDefaultReader).read();
        const first = read();
        transport.arrive(tail.slice(0, TEXT.length));
        await soon(first);
        const last = read().catch(() => {});
        await microtasks(20);
        transport.arrive(tail.slice(TEXT.length));
        transport.end();
        await microtasks(after);
        await Promise.all([reader.cancel(), last]);
        await microtasks(20);
        reader.releaseLock();
        const error = await response.read().then(
          (rest) => assertEquals(latin1(rest), ""),
          (error) => error,
        );
        if (error !== undefined) assertInstanceOf(error, Deno.errors.Interrupted);
      }
    });
  }
}

/** Ways in which a body ends too early, and the error that tells. */
const EARLY_ENDS: [name: string, end: (transport: FakeTransport, abort: () => void) => void][] = [
  ["the end", (transport) => transport.end()],
  ["an abort", (_, abort) => abort()],
];

for (const [name, end] of EARLY_ENDS) {
  for (
    const [of, view, options, kept] of [
      ["a view with a least size", new Uint8Array(8), { min: 5 }, "abc"],
      ["a view of two bytes each", new Uint16Array(4), undefined, "c"],
    ] as const
  ) {
    Deno.test(`what ${of} had received is in the error, or in partial, when ${name} cuts the body short`, async () => {
      const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
      using conn = new HTTPConnection("example.com", over(transport));
      const controller = new AbortController();
      await conn.request("GET", "/", null, {}, { signal: controller.signal });
      const response = await conn.getresponse();
      const reader = response.getReader({ mode: "byob" });
      if (options === undefined) {
        assertEquals((await soon(reader.read(new Uint16Array(4)))).value!.length, 1);
      }
      const read = thrown(reader.read(view.slice(), options));
      await microtasks(20);
      end(transport, () => controller.abort());
      const error = await read;
      const partial = error instanceof IncompleteRead ? error.partial : response.partial;
      assertEquals(latin1(partial!), kept);
    });
  }
}

/** Reads of the stream that would fail it for good beside another call, and how each of them begins. */
const READS_OF_STREAM: [name: string, read: (response: HTTPResponse) => unknown][] = [
  ["a reader", (response) => {
    const reader = response.getReader();
    return reader.read().finally(() => reader.releaseLock());
  }],
  ["a BYOB reader", (response) => {
    const reader = response.getReader({ mode: "byob" });
    return reader.read(new Uint8Array(9)).finally(() => reader.releaseLock());
  }],
  ["pipeTo()", (response) => response.pipeTo(new WritableStream())],
  ["pipeThrough()", (response) => response.pipeThrough(new TransformStream())],
  ["tee()", (response) => response.tee()],
];

for (const [name, read] of READS_OF_STREAM) {
  Deno.test(`${name} is refused beside a call that reads, and the stream gives the rest later`, async () => {
    const transport = new FakeTransport([HEAD]);
    const response = await begun(transport);
    const first = response.read(2);
    await assertRejects(async () => await read(response), TypeError, "another read is at work");
    transport.arrive(TAIL);
    assertEquals(latin1(await first), TEXT.slice(0, 2));
    assertEquals(await drain(response.getReader()), TEXT.slice(2));
  });
}

for (const [when, isThere] of [["has come", true], ["comes later", false]] as const) {
  Deno.test(`read() gets what was read directly from the socket for a reader that has let go, and that ${when}`, async () => {
    const size = 5 * BUFFER;
    const body = "0123456789abcdef".repeat(size / 16);
    for (let after = 0; after < 20; after++) {
      const transport = new FakeTransport([`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`]);
      const response = await begun(transport);
      const reader = response.getReader();
      let got = "";
      // Both buffers, each of them full: the next read goes to memory of its own.
      const filled = FIRST_SIZE + BUFFER;
      transport.arrive(body.slice(0, filled));
      while (got.length < filled) got += latin1((await soon(reader.read())).value!);
      const last = reader.read().then(({ value }) => void (got += latin1(value!)), () => {});
      await microtasks(20);
      if (isThere) transport.arrive(body.slice(filled, filled + 2 * BUFFER));
      await microtasks(after);
      reader.releaseLock();
      // Where it had come the moment before, it may be on its way to the reader.
      const read = response.read().catch(async () => {
        await microtasks(20);
        return await response.read();
      });
      await last;
      transport.arrive(body.slice(isThere ? filled + 2 * BUFFER : filled));
      assertEquals(got + latin1(await soon(read)), body);
    }
  });
}

Deno.test("bytes that come for an upload's answer while its reader lets go are the next call's", async () => {
  for (let after = 0; after < 20; after++) {
    const transport = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(transport));
    conn.request(
      "POST",
      "/",
      (async function* () {
        yield bytes("piece");
        await new Promise(() => {});
      })(),
    ).catch(() => {});
    transport.arrive("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    const response = await conn.getresponse();
    const reader = response.getReader();
    let got = "";
    const first = reader.read().then(({ value }) => void (got += latin1(value!)), () => {});
    await microtasks(20);
    transport.arrive("abc");
    await microtasks(after);
    reader.releaseLock();
    const second = response.read(9);
    await first;
    await microtasks(20);
    for (const more of ["def", "ghi"]) {
      await assertRejects(() => response.read(), TypeError, "another read is at work");
      transport.arrive(more);
      await microtasks(20);
    }
    assertEquals(got + latin1(await soon(second)), "abcdefghi");
  }
});

Deno.test("a reader that had asked for nothing leaves a call that reads alone when it lets go", async () => {
  const transport = new FakeTransport([HEAD + TAIL.slice(0, 2)]);
  const response = await begun(transport);
  const first = response.getReader();
  await first.read();
  first.releaseLock();
  const read = response.read();
  response.getReader().releaseLock();
  await microtasks(20);
  await assertRejects(() => response.read1(), TypeError, "another read is at work");
  transport.arrive(TAIL.slice(2));
  assertEquals(latin1(await soon(read)), TEXT.slice(2));
});

Deno.test("a reader is refused beside a call that was begun right behind a piece, and the stream goes on", async () => {
  const transport = new FakeTransport([HEAD]);
  const response = await begun(transport);
  const reader = response.getReader();
  const calls = reader.read().then(({ value }) => {
    reader.releaseLock();
    const read = response.read(2);
    const second = response.getReader();
    const refused = thrown(second.read()).finally(() => second.releaseLock());
    return [Promise.resolve(value!), read, refused] as const;
  });
  transport.arrive(TAIL.slice(0, 2));
  const [piece, read, refused] = await calls;
  assertInstanceOf(await refused, TypeError);
  await microtasks(20);
  transport.arrive(TAIL.slice(2));
  const got = latin1(await piece) + latin1(await read);
  assertEquals(got + await drain(response.getReader()), TEXT);
});

Deno.test("read() behind a cancel() is told that the response was closed, and not that a read is at work", async () => {
  const response = await begun(new FakeTransport([HEAD]));
  // Nobody follows when it lets go.
  const reader = new ReadableStreamDefaultReader(response);
  const read = reader.read();
  await microtasks(20);
  const cancelled = reader.cancel();
  reader.releaseLock();
  await assertRejects(() => response.read(), Deno.errors.Interrupted);
  await Promise.all([read, cancelled]);
});

Deno.test("a reader that lets go leaves the deadline of the call behind it", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: 0.05 });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const reader = response.getReader();
  const left = thrown(reader.read());
  await microtasks(20);
  reader.releaseLock();
  const read = response.read();
  await left;
  await assertRejects(() => soon(read), Deno.errors.TimedOut);
});

Deno.test("a reader that lets go leaves no deadline running", async () => {
  using clock = new FakeClock();
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: 1 });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const reader = response.getReader();
  const left = thrown(reader.read());
  await microtasks(20);
  reader.releaseLock();
  await left;
  await microtasks(20);
  clock.advance(2000);
  await microtasks(20);
  transport.arrive("ok");
  assertEquals(await response.text(), "ok");
});

Deno.test("an upload hears that its server has gone behind a reader of the answer that has let go", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  const sent = thrown(conn.request(
    "POST",
    "/",
    (async function* () {
      yield bytes("piece");
      await new Promise(() => {});
    })(),
  ));
  transport.arrive("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
  const reader = (await conn.getresponse()).getReader();
  const left = thrown(reader.read());
  await microtasks(20);
  reader.releaseLock();
  await left;
  transport.end();
  assertInstanceOf(await sent, RemoteDisconnected);
});

for (
  const [framing, part, rest] of [
    ["a part of a size line", "2", "\r\nho\r\n0\r\n\r\n"],
    ["a size line", "2\r\n", "ho\r\n0\r\n\r\n"],
    ["an extension", "2;x=1", "\r\nho\r\n0\r\n\r\n"],
  ]
) {
  for (const [when, isLater] of [["at once", false], ["later", true]] as const) {
    Deno.test(`a reader that lets go right behind ${framing} waits no more, and read() reads ${when}`, async () => {
      for (let after = 0; after < 10; after++) {
        using clock = new FakeClock();
        const transport = answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        using conn = new HTTPConnection("example.com", { ...over(transport), timeout: 1 });
        await conn.request("GET", "/");
        const response = await conn.getresponse();
        const reader = response.getReader();
        const left = thrown(reader.read());
        await microtasks(20);
        transport.arrive(part);
        await microtasks(after);
        reader.releaseLock();
        if (isLater) {
          await left;
          await microtasks(20);
          clock.advance(2000);
          await microtasks(20);
        }
        const text = response.text();
        await left;
        transport.arrive(rest);
        assertEquals(await soon(text), "ho");
      }
    });
  }
}

Deno.test("what trace throws is thrown by a BYOB read that has kept bytes, and nothing looks whole behind it", async () => {
  const mine = new Error("mine");
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab");
  let total = 0;
  using conn = new HTTPConnection("example.com", {
    ...over(transport),
    trace(event) {
      if (event.type === "responseBody" && (total = event.total) > 2) throw mine;
    },
  });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const reader = response.getReader({ mode: "byob" });
  const read = thrown(reader.read(new Uint8Array(6), { min: 5 }));
  await microtasks(20);
  transport.arrive("cd");
  assertEquals([await read === mine, total], [true, 4]);
  reader.releaseLock();
  assertEquals([latin1(response.partial!), conn.lastFailure!.phase, transport.closes], [
    "ab",
    "body",
    1,
  ]);
  transport.arrive("ef");
  assertEquals(await thrown(response.read()) === mine, true);
});

Deno.test("pipeTo() that is aborted leaves the response to the next call when it must not cancel it", async () => {
  const transport = new FakeTransport([HEAD]);
  const response = await begun(transport);
  const controller = new AbortController();
  const piped = response.pipeTo(new WritableStream(), {
    signal: controller.signal,
    preventCancel: true,
  });
  await microtasks(20);
  controller.abort();
  await thrown(piped);
  const text = response.text();
  transport.arrive(TAIL);
  assertEquals(await soon(text), TEXT);
});

Deno.test("a read behind cancel() and a view that was let go leaves no error of the stream's", async () => {
  const { head, tail, body } = shape("chunked");
  const transport = new FakeTransport([head]);
  const response = await begun(transport);
  const byob = response.getReader({ mode: "byob" });
  const left = thrown(byob.read(new Uint8Array(9)));
  await microtasks(20);
  byob.releaseLock();
  await left;
  transport.arrive(tail);
  assertEquals(latin1(await response.read(body.length)), body);
  const reader = response.getReader();
  await reader.cancel();
  assertEquals((await soon(reader.read())).done, true);
  await microtasks(50);
  reader.releaseLock();
  assertEquals(latin1(await response.read()), "");
});

Deno.test("a reader that lets go right behind a large read of nothing but framing waits no more", async () => {
  const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  // Both buffers are filled by one chunk: the next read goes to memory of its own.
  const filled = FIRST_SIZE + BUFFER;
  const size = (filled - "11ff9\r\n".length).toString(16);
  for (let after = 0; after < 10; after++) {
    const transport = new FakeTransport([head]);
    const response = await begun(transport);
    const reader = response.getReader();
    const data = "x".repeat(parseInt(size, 16));
    transport.arrive(`${size}\r\n${data}`);
    for (let got = 0; got < data.length;) got += (await soon(reader.read())).value!.length;
    const last = thrown(reader.read());
    await microtasks(20);
    transport.arrive("\r\n");
    await microtasks(after);
    reader.releaseLock();
    await last;
    await microtasks(20);
    const rest = response.text();
    transport.arrive("2\r\nho\r\n0\r\n\r\n");
    assertEquals(await soon(rest), "ho");
  }
});

/** Whoever has the lock behind a reader that has let go, all of whose bytes come later. */
const HOLDERS: [name: string, read: (response: HTTPResponse) => Promise<string>][] = [
  ["a reader", (response) => drain(response.getReader())],
  ["a BYOB reader", (response) => drainInto(response.getReader({ mode: "byob" }), 4)],
  ["pipeTo()", async (response) => {
    let text = "";
    await response.pipeTo(new WritableStream({ write: (piece) => void (text += latin1(piece)) }));
    return text;
  }],
  ["tee()", async (response) => {
    const [one, other] = response.tee();
    const texts = await Promise.all([drain(one.getReader()), drain(other.getReader())]);
    return texts[0];
  }],
];

for (const [name, read] of HOLDERS) {
  for (const mode of ["default", "byob"] as const) {
    Deno.test(`a ${mode} reader that lets go once more takes nothing from ${name}`, async () => {
      const transport = new FakeTransport([HEAD]);
      const response = await begun(transport);
      const { reader, read: left } = startRead(response, mode);
      await microtasks(20);
      reader.releaseLock();
      await thrown(left);
      const text = read(response);
      await microtasks(20);
      reader.releaseLock();
      await microtasks(20);
      transport.arrive(TAIL);
      assertEquals(await soon(text), TEXT);
    });
  }
}

Deno.test("read() reads on behind a reader that is not followed, and has let go", async () => {
  const transport = new FakeTransport([HEAD]);
  const response = await begun(transport);
  const reader = new ReadableStreamDefaultReader(response);
  const left = thrown(reader.read());
  await microtasks(20);
  reader.releaseLock();
  await left;
  const text = response.text();
  transport.arrive(TAIL);
  assertEquals(await soon(text), TEXT);
});

Deno.test("a reader that lets go of a response that is over leaves the next exchange alone", async () => {
  for (let after = 0; after < 10; after++) {
    const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    using conn = new HTTPConnection("example.com", over(transport));
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    const reader = response.getReader();
    await reader.read();
    const last = reader.read();
    await microtasks(after);
    await conn.request("GET", "/next");
    const next = conn.getresponse();
    reader.releaseLock();
    await last.catch(() => {});
    await microtasks(20);
    transport.arrive(ok("two"));
    assertEquals(await (await soon(next)).text(), "two");
  }
});

Deno.test("cancel() drops the bytes that a reader has left behind", async () => {
  const response = await begun(new FakeTransport([`${HEAD}abc`]));
  const reader = response.getReader({ mode: "byob" });
  const left = thrown(reader.read(new Uint8Array(9), { min: 6 }));
  await microtasks(50);
  reader.releaseLock();
  await left;
  await assertRejects(() => response.read(), TypeError, "holds 3 bytes");
  await response.cancel();
  await assertRejects(() => response.read(), Deno.errors.Interrupted);
});

Deno.test("the calls of a reader can be replaced, and be as they were again", async () => {
  const response = await begun(WIRE);
  const reader = response.getReader();
  const calls: string[] = [];
  const { read, releaseLock } = reader;
  reader.read = () => {
    calls.push("read");
    return read();
  };
  reader.releaseLock = () => {
    calls.push("releaseLock");
    releaseLock();
  };
  assertEquals(latin1((await reader.read()).value!), TEXT);
  reader.releaseLock();
  assertEquals([calls, response.locked], [["read", "releaseLock"], false]);
  assertEquals(Reflect.deleteProperty(reader, "read"), true);
});

/** A response of which two bytes were read, and half an element is left in the stream's own queue. */
async function halfElement() {
  const transport = new FakeTransport([HEAD]);
  const response = await begun(transport);
  // This library follows no reader that was made by its constructor.
  const first = new ReadableStreamBYOBReader(response);
  const pair = first.read(new Uint16Array(2));
  await microtasks(20);
  transport.arrive(TAIL.slice(0, 3));
  assertEquals((await soon(pair)).value!.length, 1);
  first.releaseLock();
  return { transport, response };
}

/** The same with that half in the view of a reader that has let go. */
async function halfInView() {
  const { transport, response } = await halfElement();
  const reader = response.getReader({ mode: "byob" });
  const left = thrown(reader.read(new Uint8Array(9), { min: 5 }));
  await microtasks(20);
  reader.releaseLock();
  await left;
  return { transport, response };
}

Deno.test("a byte that the standard had put into a view that was let go of is held, and a reader gets it", async () => {
  const { transport, response } = await halfInView();
  await assertRejects(() => response.read(), TypeError, "holds 1 bytes");
  transport.arrive(TAIL.slice(3));
  assertEquals(await drain(response.getReader()), TEXT.slice(2));
});

Deno.test("a byte in a view that was let go of is held no more when a reader has got it", async () => {
  const { transport, response } = await halfInView();
  const reader = response.getReader();
  transport.arrive(TAIL.slice(3, 5));
  let got = "";
  while (got.length < 3) got += latin1((await soon(reader.read())).value!);
  reader.releaseLock();
  // This library follows no reader that was made by its constructor.
  const unfollowed = new ReadableStreamBYOBReader(response);
  const waits = thrown(unfollowed.read(new Uint8Array(9)));
  await microtasks(20);
  unfollowed.releaseLock();
  await waits;
  transport.arrive(TAIL.slice(5));
  assertEquals(got + latin1(await soon(response.read())), TEXT.slice(2));
});

Deno.test("a read behind another one fills no view in part, and what it had received is in the error", async () => {
  const transport = new FakeTransport([HEAD]);
  const response = await begun(transport);
  const reader = response.getReader({ mode: "byob" });
  const first = reader.read(new Uint8Array(2));
  const second = thrown(reader.read(new Uint8Array(9), { min: 5 }));
  await microtasks(20);
  transport.arrive("ab");
  assertEquals(latin1((await soon(first)).value!), "ab");
  await microtasks(20);
  transport.arrive("cd");
  await microtasks(20);
  transport.end();
  const error = await second;
  assertInstanceOf(error, IncompleteRead);
  assertEquals(latin1(error.partial as Uint8Array), "cd");
});

Deno.test("a byte that the standard puts into a view counts, and the bytes behind that view are whole", async () => {
  const { transport, response } = await halfElement();
  const reader = response.getReader({ mode: "byob" });
  const read = reader.read(new Uint8Array(4), { min: 3 });
  await microtasks(20);
  transport.arrive(TAIL.slice(3));
  let got = latin1((await soon(read)).value!);
  got += latin1((await soon(reader.read(new Uint8Array(4), { min: 3 }))).value!);
  assertEquals(got + await drainInto(reader, 9), TEXT.slice(2));
});

for (
  const [name, begin, error] of [
    ["has not begun", () => Promise.resolve(), ResponseNotReady],
    ["is malformed", (response) => thrown(response.begin()), BadStatusLine],
  ] as [string, (response: HTTPResponse) => Promise<unknown>, typeof HTTPException][]
) {
  Deno.test(`a reader and pipeTo() tell why a response cannot be read that ${name}`, async () => {
    const responses = [1, 2].map(() => new HTTPResponse(new FakeTransport(["garbage\r\n\r\n"])));
    for (const response of responses) await begin(response);
    const reader = responses[0].getReader();
    assertInstanceOf(await thrown(reader.read()), error);
    reader.releaseLock();
    assertInstanceOf(await thrown(responses[1].pipeTo(new WritableStream())), error);
  });
}
