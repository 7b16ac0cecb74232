/**
 * Bodies that end early, or whose framing breaks: what came is given, and a short body never looks
 * whole.
 *
 * CPython: `read()` throws, as here; the other calls end silently.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type HTTPResponse, IncompleteRead, ProtocolError } from "../../mod.ts";
import { FakeTransport } from "../helpers/fake_transport.ts";
import { SegmentTransport } from "../parity/transports.ts";
import {
  assertBroken,
  assertCut,
  begun,
  bytes,
  everyWay,
  latin1,
  pieces,
  readinto,
  shape,
} from "../helpers/split.ts";

/** A body that was cut off after `CAME`. */
interface Cut {
  name: string;
  wire: string;
  /** What is missing, where the framing tells. */
  expected: number | null;
}

const CAME = "alpha\nbeta\n\nga";
const { head: LENGTH } = shape("Content-Length");
const { head: CHUNKED } = shape("chunked");

const LAST = `${CHUNKED}e\r\n${CAME}\r\n0\r\n`;

const CUTS: Cut[] = [
  { name: "Content-Length", wire: LENGTH + CAME, expected: 3 },
  { name: "chunked, within a chunk", wire: `${CHUNKED}11\r\n${CAME}`, expected: null },
  { name: "chunked, after a chunk's data", wire: `${CHUNKED}e\r\n${CAME}`, expected: null },
  { name: "chunked, within the CRLF after it", wire: `${CHUNKED}e\r\n${CAME}\r`, expected: null },
  { name: "chunked, between chunks", wire: `${CHUNKED}e\r\n${CAME}\r\n`, expected: null },
  { name: "chunked, within a size line", wire: `${CHUNKED}e\r\n${CAME}\r\n0`, expected: null },
  { name: "chunked, before its LF", wire: `${CHUNKED}e\r\n${CAME}\r\n0\r`, expected: null },
  { name: "chunked, within an extension", wire: `${CHUNKED}e\r\n${CAME}\r\n0;a`, expected: null },
  { name: "chunked, within the last CRLF", wire: `${LAST}\r`, expected: null },
  { name: "chunked, within a trailer line", wire: `${LAST}Digest: a`, expected: null },
  { name: "chunked, after a trailer line", wire: `${LAST}Digest: abc\r\n`, expected: null },
];

const SIMPLE = CUTS.slice(0, 2);

/** Calls that ask for all, so that what came is in the error. */
const WHOLE: [name: string, call: (response: HTTPResponse) => Promise<unknown>][] = [
  ["read()", (r) => r.read()],
  ["read(-1)", (r) => r.read(-1)],
  ["text()", (r) => r.text()],
  ["json()", (r) => r.json()],
  ["bytes()", (r) => r.bytes()],
];

for (const { name, wire, expected } of CUTS) {
  for (const [method, call] of WHOLE) {
    Deno.test(`${method} throws IncompleteRead with what came, then without (${name})`, async () => {
      await everyWay(wire, async (transport) => {
        const response = await begun(transport);
        await assertCut(() => call(response), CAME, expected);
        await assertCut(() => call(response), "", expected);
      });
    });
  }
}

/** Calls that are repeated, and what they give before they throw. */
const REPEATED: [
  name: string,
  call: (response: HTTPResponse) => Promise<Uint8Array>,
  given: string[],
][] = [
  ["read(7)", (r) => r.read(7), ["alpha\nb", "eta\n\nga"]],
  ["read(5)", (r) => r.read(5), ["alpha", "\nbeta", "\n\nga"]],
  ["read(100)", (r) => r.read(100), [CAME]],
  ["readinto() of 7 bytes", (r) => readinto(r, 7), ["alpha\nb", "eta\n\nga"]],
  ["readinto() of 5 bytes", (r) => readinto(r, 5), ["alpha", "\nbeta", "\n\nga"]],
  ["readinto() of 100 bytes", (r) => readinto(r, 100), [CAME]],
  ["readline()", (r) => r.readline(), ["alpha\n", "beta\n", "\n", "ga"]],
  ["readline(3)", (r) => r.readline(3), ["alp", "ha\n", "bet", "a\n", "\n", "ga"]],
];

for (const { name, wire, expected } of CUTS) {
  for (const [method, call, given] of REPEATED) {
    Deno.test(`${method} gives what came, then throws each time (${name})`, async () => {
      await everyWay(wire, async (transport) => {
        const response = await begun(transport);
        const seen: string[] = [];
        for (const _ of given) seen.push(latin1(await call(response)));
        assertEquals(seen, given);
        await assertCut(() => call(response), "", expected);
        await assertCut(() => call(response), "", expected);
      });
    });
  }
}

/** Calls whose pieces depend on the cut, until they throw. */
const FLOWING: [
  name: string,
  run: (response: HTTPResponse, got: (piece: Uint8Array) => void) => Promise<void>,
][] = [
  ["read1()", async (r, got) => {
    for (;;) got(await r.read1());
  }],
  ["read1(3)", async (r, got) => {
    for (;;) got(await r.read1(3));
  }],
  ["peek() and read1()", async (r, got) => {
    for (;;) {
      const next = latin1(await r.peek());
      const piece = await r.read1();
      assertEquals(latin1(piece), next);
      got(piece);
    }
  }],
  ["for await", async (r, got) => {
    for await (const piece of r) got(piece);
  }],
  ["lines()", async (r, got) => {
    for await (const line of r.lines()) got(line);
  }],
  ["getReader()", async (r, got) => {
    const reader = r.getReader();
    for (let one; !(one = await reader.read()).done;) got(one.value);
  }],
  ["getReader({ mode: 'byob' })", async (r, got) => {
    const reader = r.getReader({ mode: "byob" });
    for (let one; !(one = await reader.read(new Uint8Array(4))).done;) got(one.value);
  }],
  ["pipeTo()", (r, got) => r.pipeTo(new WritableStream({ write: got }))],
];

for (const { name, wire, expected } of CUTS) {
  for (const [method, run] of FLOWING) {
    Deno.test(`${method} gives what came, then throws IncompleteRead (${name})`, async () => {
      await everyWay(wire, async (transport) => {
        const response = await begun(transport);
        let text = "";
        await assertCut(() => run(response, (piece) => text += latin1(piece)), "", expected);
        assertEquals(text, CAME);
      });
    });
  }

  Deno.test(`tee() gives two branches that throw (${name})`, async () => {
    const [one, other] = (await begun(wire)).tee();
    const both = [one, other].map((branch) => assertRejects(() => pieces(branch), IncompleteRead));
    await Promise.all(both);
  });

  Deno.test(`new Response(res).text() throws (${name})`, async () => {
    await assertRejects(async () => await new Response(await begun(wire)).text());
  });
}

for (const { name, wire, expected } of SIMPLE) {
  Deno.test(`readlines() gives the lines that came, and the next call throws (${name})`, async () => {
    await everyWay(wire, async (transport) => {
      const response = await begun(transport);
      const lines = (await response.readlines()).map(latin1);
      assertEquals(lines, ["alpha\n", "beta\n", "\n", "ga"]);
      await assertCut(() => response.readlines(), "", expected);
    });
  });
}

/** Every call there is. */
const NEXT: [name: string, call: (response: HTTPResponse) => Promise<unknown>][] = [
  ...WHOLE,
  ["read(1)", (r) => r.read(1)],
  ["read(0)", (r) => r.read(0)],
  ["readinto()", (r) => r.readinto(new Uint8Array(1))],
  ["readinto() of nothing", (r) => r.readinto(new Uint8Array(0))],
  ["read1()", (r) => r.read1()],
  ["peek()", (r) => r.peek()],
  ["readline()", (r) => r.readline()],
  ["readlines()", (r) => r.readlines()],
  ["lines()", (r) => r.lines().next()],
  ["for await", (r) => pieces(r)],
  ["getReader()", (r) => r.getReader().read()],
  ["getReader({ mode: 'byob' })", (r) => r.getReader({ mode: "byob" }).read(new Uint8Array(4))],
  ["pipeTo()", (r) => r.pipeTo(new WritableStream())],
];

for (const { name, wire, expected } of SIMPLE) {
  for (const [method, call] of NEXT) {
    Deno.test(`${method} throws after a read(n) that came short (${name})`, async () => {
      const response = await begun(wire);
      assertEquals(latin1(await response.read(100)), CAME);
      await assertCut(() => call(response), "", expected);
    });

    Deno.test(`${method} throws after a read() that threw (${name})`, async () => {
      const response = await begun(wire);
      await assertCut(() => response.read(), CAME, expected);
      await assertCut(() => call(response), "", expected);
    });
  }

  Deno.test(`read() closes the transport at an early end (${name})`, async () => {
    const transport = new SegmentTransport([bytes(wire)]);
    const response = await begun(transport);
    await response.read(100);
    assertEquals([transport.closed, response.closed], [true, false]);
  });

  Deno.test(`isclosed() is false after a short read(n), and true after the throw (${name})`, async () => {
    const response = await begun(wire);
    await response.read(100);
    assertEquals(response.isclosed(), false);
    await assertCut(() => response.read(100), "", expected);
    assertEquals(response.isclosed(), true);
  });

  Deno.test(`close() does not end the throwing after an early end (${name})`, async () => {
    const response = await begun(wire);
    await response.read(100);
    response.close();
    await assertCut(() => response.read(), "", expected);
    await assertCut(() => response.readline(), "", expected);
  });

  Deno.test(`pipeTo() aborts its sink with the error (${name})`, async () => {
    let reason: unknown;
    const sink = new WritableStream({ abort: (given) => void (reason = given) });
    await assertRejects(async () => await (await begun(wire)).pipeTo(sink), IncompleteRead);
    assert(reason instanceof IncompleteRead, `the reason is ${reason}`);
  });

  Deno.test(`read() gives exactly what came without an error (${name})`, async () => {
    const response = await begun(wire);
    assertEquals(latin1(await response.read(CAME.length)), CAME);
    await assertCut(() => response.read(1), "", expected);
  });
}

for (const [method, call] of NEXT.filter(([method]) => !/0|nothing/.test(method))) {
  Deno.test(`${method} throws at once when not a byte of the body came`, async () => {
    await assertCut(async () => await call(await begun(LENGTH)), "", 17);
  });
}

Deno.test("read() takes the end of the connection for the end of the body (until close)", async () => {
  await everyWay(`HTTP/1.1 200 OK\r\n\r\n${CAME}`, async (transport) => {
    const response = await begun(transport);
    assertEquals(latin1(await response.read(100)), CAME);
    assertEquals(latin1(await response.read(100)), "");
  });
});

Deno.test("read() throws with all of a body of 100 KB that was cut", async () => {
  const body = "z".repeat(100_000);
  const response = await begun(`HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n${body}`);
  await assertCut(() => response.read(), body, 1);
});

Deno.test("read() throws with two chunks when the second one was cut", async () => {
  const response = await begun(`${CHUNKED}3\r\nabc\r\n5\r\nde`);
  await assertCut(() => response.read(), "abcde", null);
});

/** Ends of a chunked body right after its last chunk, that are accepted as CPython does. */
const ACCEPTED: [name: string, tail: string][] = [
  ["after the last chunk's line", "0\r\n"],
  ["after the last chunk's line with an extension", "0;a=b\r\n"],
];

for (const [name, tail] of ACCEPTED) {
  Deno.test(`read() accepts the end of the connection ${name}`, async () => {
    await everyWay(`${CHUNKED}3\r\nabc\r\n${tail}`, async (transport) => {
      const response = await begun(transport);
      assertEquals(latin1(await response.read()), "abc");
      assertEquals([response.isclosed(), response.trailers?.size], [true, 0]);
    });
  });
}

Deno.test("text() closes the connection when that ended before the last line", async () => {
  const transport = new FakeTransport([`${CHUNKED}3\r\nabc\r\n0\r\n`], { ended: true });
  assertEquals(await (await begun(transport)).text(), "abc");
  assertEquals(transport.closes, 1);
});

/** Broken framing behind the chunk "abc". */
const BROKEN: [name: string, tail: string][] = [
  ["data that is not followed by CRLF", "3\r\nabcXX"],
  ["a size that is none", "3\r\nabc\r\nz\r\n"],
  ["a NUL in a trailer", "3\r\nabc\r\n0\r\nA: \0\r\n\r\n"],
];

for (const [name, tail] of BROKEN) {
  Deno.test(`read() throws IncompleteRead because of a ProtocolError when there is ${name}`, async () => {
    await everyWay(CHUNKED + tail, async (transport) => {
      const response = await begun(transport);
      await assertBroken(() => response.read(), "abc");
      assertEquals([transport.closed, response.isclosed()], [true, true]);
    });
  });

  Deno.test(`read() gives what precedes ${name}, then throws each time`, async () => {
    await everyWay(CHUNKED + tail, async (transport) => {
      const response = await begun(transport);
      assertEquals(latin1(await response.read(3)), "abc");
      await assertBroken(() => response.read(3), "");
      await assertBroken(() => response.readline(), "");
    });
  });

  Deno.test(`read() throws with what came when it asks beyond ${name}`, async () => {
    await everyWay(CHUNKED + tail, async (transport) => {
      await assertBroken(async () => await (await begun(transport)).read(100), "abc");
    });
  });

  Deno.test(`readinto() throws with what came when it asks beyond ${name}`, async () => {
    await everyWay(CHUNKED + tail, async (transport) => {
      const response = await begun(transport);
      await assertBroken(() => response.readinto(new Uint8Array(100)), "abc");
    });
  });

  Deno.test(`readline() throws with what came when there is ${name}`, async () => {
    await everyWay(CHUNKED + tail, async (transport) => {
      const response = await begun(transport);
      await assertBroken(() => response.readline(), "abc");
    });
  });

  for (const [method, run] of FLOWING.filter(([method]) => method !== "lines()")) {
    Deno.test(`${method} gives what precedes ${name}, then throws`, async () => {
      await everyWay(CHUNKED + tail, async (transport) => {
        const response = await begun(transport);
        let text = "";
        await assertBroken(() => run(response, (piece) => text += latin1(piece)), "");
        assertEquals(text, "abc");
      });
    });
  }
}

Deno.test("read() does not throw a ProtocolError by itself", async () => {
  const response = await begun(`${CHUNKED}z\r\n`);
  const error = await assertRejects(() => response.read(), IncompleteRead);
  assertEquals(error instanceof ProtocolError, false);
});

Deno.test("pipeThrough() does not end as if a truncated gzip body were whole", async () => {
  const stream = new Blob(["alpha ".repeat(50)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  const packed = latin1(await new Response(stream).bytes());
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${packed.length}\r\n\r\n`;
  const response = await begun(head + packed.slice(0, -4));
  const plain = response.pipeThrough(new DecompressionStream("gzip"));
  await assertRejects(() => new Response(plain).text());
});
