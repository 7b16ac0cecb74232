/**
 * Python's read family over every framing: what each call gives, what it leaves, and when the response
 * is over. The values are those of CPython 3.13.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { HTTPResponse, LineReader, ResponseNotReady } from "../../mod.ts";
import { answering, connectionOver, FakeTransport } from "../helpers/fake_transport.ts";
import { randomFrom } from "../helpers/random.ts";
import { SegmentTransport } from "../parity/transports.ts";
import {
  assertCut,
  begun,
  bytes,
  everyWay,
  everyWayAndBehind,
  latin1,
  pieces,
  readinto,
  shape,
  SHAPES,
  TEXT,
  untilEmpty,
} from "../helpers/split.ts";

const encode = new TextEncoder();

/** A way of reading a body to its end. */
interface Use {
  name: string;
  run: (response: HTTPResponse) => Promise<unknown>;
  /** What it gives for `TEXT`, and for no body. */
  text: unknown;
  empty: unknown;
}

const FOURS = ["alph", "a\nbe", "ta\n\n", "gamm", "a", ""];
const LINES = ["alpha\n", "beta\n", "\n", "gamma"];

const USES: Use[] = [
  { name: "read()", run: (r) => untilEmpty(() => r.read()), text: [TEXT, ""], empty: [""] },
  {
    name: "read(null)",
    run: (r) => untilEmpty(() => r.read(null)),
    text: [TEXT, ""],
    empty: [""],
  },
  { name: "read(-1)", run: (r) => untilEmpty(() => r.read(-1)), text: [TEXT, ""], empty: [""] },
  { name: "read(4)", run: (r) => untilEmpty(() => r.read(4)), text: FOURS, empty: [""] },
  { name: "read(17)", run: (r) => untilEmpty(() => r.read(17)), text: [TEXT, ""], empty: [""] },
  { name: "read(100)", run: (r) => untilEmpty(() => r.read(100)), text: [TEXT, ""], empty: [""] },
  {
    name: "read(0), then read()",
    run: async (r) => [latin1(await r.read(0)), latin1(await r.read())],
    text: ["", TEXT],
    empty: ["", ""],
  },
  {
    name: "readinto() of 4 bytes",
    run: (r) => untilEmpty(() => readinto(r, 4)),
    text: FOURS,
    empty: [""],
  },
  {
    name: "readinto() of 100 bytes",
    run: (r) => untilEmpty(() => readinto(r, 100)),
    text: [TEXT, ""],
    empty: [""],
  },
  {
    name: "readinto() of no bytes, then read()",
    run: async (r) => [await r.readinto(new Uint8Array(0)), latin1(await r.read())],
    text: [0, TEXT],
    empty: [0, ""],
  },
  {
    name: "read1()",
    run: async (r) => (await untilEmpty(() => r.read1())).join(""),
    text: TEXT,
    empty: "",
  },
  {
    name: "read1(0), then read1(3)",
    run: async (r) => {
      const first = latin1(await r.read1(0));
      const rest = await untilEmpty(() => r.read1(3));
      assert(rest.every((piece) => piece.length <= 3), `read1(3) gave ${JSON.stringify(rest)}`);
      return [first, rest.join("")];
    },
    text: ["", TEXT],
    empty: ["", ""],
  },
  {
    name: "readinto1()",
    run: async (r) => {
      const target = new Uint8Array(5);
      let text = "";
      for (let count; (count = await r.readinto1(target)) > 0;) {
        text += latin1(target.subarray(0, count));
      }
      return text;
    },
    text: TEXT,
    empty: "",
  },
  {
    name: "peek(), then read1() of the same",
    run: async (r) => {
      let seen = "";
      for (;;) {
        const next = latin1(await r.peek());
        assertEquals(latin1(await r.peek()), next);
        assertEquals(latin1(await r.read1()), next);
        if (next === "") return seen;
        seen += next;
      }
    },
    text: TEXT,
    empty: "",
  },
  {
    name: "readline()",
    run: (r) => untilEmpty(() => r.readline()),
    text: [...LINES, ""],
    empty: [""],
  },
  {
    name: "readline(-1)",
    run: (r) => untilEmpty(() => r.readline(-1)),
    text: [...LINES, ""],
    empty: [""],
  },
  {
    name: "readline(3)",
    run: (r) => untilEmpty(() => r.readline(3)),
    text: ["alp", "ha\n", "bet", "a\n", "\n", "gam", "ma", ""],
    empty: [""],
  },
  {
    name: "readline(0), then readline()",
    run: async (r) => [latin1(await r.readline(0)), latin1(await r.readline())],
    text: ["", "alpha\n"],
    empty: ["", ""],
  },
  {
    name: "readlines()",
    run: async (r) => (await r.readlines()).map(latin1),
    text: LINES,
    empty: [],
  },
  { name: "lines()", run: (r) => pieces(r.lines()), text: LINES, empty: [] },
  {
    name: "for await",
    run: async (r) => {
      const seen = await pieces(r);
      assert(seen.every((piece) => piece !== ""), "a piece is empty");
      return seen.join("");
    },
    text: TEXT,
    empty: "",
  },
  { name: "text()", run: (r) => r.text(), text: TEXT, empty: "" },
  { name: "bytes()", run: async (r) => latin1(await r.bytes()), text: TEXT, empty: "" },
];

for (const one of SHAPES) {
  for (const { name, run, text, empty } of USES) {
    // Another response behind this one has to wait until this one is read to its end.
    const ends = !/^readline\(0\)/.test(name);
    Deno.test(`${name} gives the body (${one.name})`, async () => {
      const { keeps } = one;
      await everyWayAndBehind({ ...one, keeps: keeps && ends }, async (response) => {
        assertEquals(await run(response), one.body === "" ? empty : text);
      });
    });
  }
}

const HEADS: [name: string, version: number, closes: boolean, chunked: boolean, length: unknown][] =
  [
    ["Content-Length", 11, false, false, 17],
    ["chunked", 11, false, true, null],
    ["until close", 11, true, false, null],
    ["HTTP/1.0", 10, true, false, null],
    ["HTTP/1.0 keep-alive", 10, false, false, 17],
    ["HEAD", 11, false, false, 0],
    ["204", 11, false, false, 0],
    ["304", 11, false, false, 0],
    ["Content-Length 0", 11, false, false, 0],
  ];

for (const [name, ...expected] of HEADS) {
  Deno.test(`begin() sets version, will_close, chunked and length (${name})`, async () => {
    const { head, tail, method } = shape(name);
    const { version, will_close, chunked, length } = await begun(head + tail, method);
    assertEquals([version, will_close, chunked, length], expected);
  });
}

Deno.test("begin() gives each response a promise of its own once it has begun", async () => {
  const one = await begun(shape("chunked").head);
  const other = await begun(shape("chunked").head);
  const promise = one.begin();
  assert(promise !== other.begin());
  await promise;
});

Deno.test("begin() sets chunked, and length to 0, when the answer to HEAD is chunked", async () => {
  const response = await begun(shape("chunked").head, "HEAD");
  assertEquals([response.chunked, response.length], [true, 0]);
});

Deno.test("text() reads until close when a 205 has no framing fields", async () => {
  const response = await begun("HTTP/1.1 205 Reset Content\r\n\r\nleft");
  assertEquals([response.will_close, await response.text()], [true, "left"]);
});

/** A row: the framing, the call, `isclosed()` after each call, `length` after each call. */
type StateRow = [shape: string, call: string, closed: string, lengths?: number[]];

const STATES: StateRow[] = [
  ["Content-Length", "read()", "11", [0, 0]],
  ["Content-Length", "read(4)", "000011", [13, 9, 5, 1, 0, 0]],
  ["Content-Length", "read(17)", "11", [0, 0]],
  ["Content-Length", "read(100)", "11", [0, 0]],
  ["Content-Length", "read(0)", "0", [17]],
  ["Content-Length", "readinto(4)", "000011", [13, 9, 5, 1, 0, 0]],
  ["Content-Length", "readinto(0)", "0", [17]],
  ["Content-Length", "read1(3)", "0000011", [14, 11, 8, 5, 2, 0, 0]],
  ["Content-Length", "read1(0)", "0", [17]],
  ["Content-Length", "readline()", "00011", [11, 6, 5, 0, 0]],
  ["Content-Length", "readline(3)", "00000011", [14, 11, 8, 6, 5, 2, 0, 0]],
  ["Content-Length", "readline(0)", "0", [17]],
  ["chunked", "read()", "11"],
  ["chunked", "read(4)", "000011"],
  ["chunked", "read(17)", "01"],
  ["chunked", "read(100)", "11"],
  ["chunked", "read(0)", "0"],
  ["chunked", "readinto(4)", "000011"],
  ["chunked", "readinto(0)", "0"],
  ["chunked", "readline()", "00011"],
  ["chunked", "readline(0)", "0"],
  ["until close", "read()", "11"],
  ["until close", "read(4)", "000001"],
  ["until close", "read(17)", "01"],
  ["until close", "read(100)", "01"],
  ["until close", "read(0)", "0"],
  ["until close", "readinto(4)", "000001"],
  ["until close", "readinto(0)", "0"],
  ["until close", "read1(3)", "0000001"],
  ["until close", "read1(0)", "0"],
  ["until close", "readline()", "00001"],
  ["until close", "readline(3)", "00000001"],
  ["until close", "readline(0)", "0"],
  ["HEAD", "read()", "1", [0]],
  ["HEAD", "read(4)", "1", [0]],
  ["HEAD", "read(0)", "1", [0]],
  ["HEAD", "readinto(4)", "1", [0]],
  ["HEAD", "readinto(0)", "1", [0]],
  ["HEAD", "read1(3)", "0", [0]],
  ["HEAD", "read1(0)", "0", [0]],
  ["HEAD", "readline()", "0", [0]],
  ["HEAD", "readline(0)", "0", [0]],
  ["204", "read()", "1", [0]],
  ["204", "read(0)", "1", [0]],
  ["204", "readinto(0)", "1", [0]],
  ["204", "read1(3)", "1", [0]],
  ["204", "read1(0)", "1", [0]],
  ["204", "readline()", "1", [0]],
  ["204", "readline(0)", "1", [0]],
  ["Content-Length 0", "read(4)", "1", [0]],
  ["Content-Length 0", "readline()", "1", [0]],
];

function perform(response: HTTPResponse, call: string): Promise<Uint8Array> {
  const [, name, size] = /^(\w+)\((\d*)\)$/.exec(call)!;
  const limit = size === "" ? undefined : Number(size);
  if (name === "readinto") return readinto(response, limit!);
  return response[name as "read" | "read1" | "readline"](limit);
}

function inOne(wire: string, check: (transport: SegmentTransport) => Promise<void>): Promise<void> {
  return check(new SegmentTransport([bytes(wire)]));
}

for (const [name, call, closed, lengths] of STATES) {
  Deno.test(`${call} moves isclosed() and length (${name})`, async () => {
    const { head, tail, method } = shape(name);
    // read1() gives what one read of the transport has, so it depends on the cut.
    const every = call.startsWith("read1(") ? inOne : everyWay;
    await every(head + tail, async (transport) => {
      const response = await begun(transport, method);
      assertEquals(response.isclosed(), false);
      let states = "";
      const left: (number | null)[] = [];
      for (let count = -1; count !== 0;) {
        count = (await perform(response, call)).length;
        states += Number(response.isclosed());
        left.push(response.length);
        assertEquals(response.closed, false);
      }
      assertEquals([states, left], [closed, lengths ?? left.map(() => null)]);
    });
  });
}

/** `readlines(hint)` stops after the line with which there are more bytes than the hint. */
const HINTS: [hint: number, lines: number][] = [
  [-1, 4],
  [0, 4],
  [1, 1],
  [5, 1],
  [6, 2],
  [7, 2],
  [10, 2],
  [11, 3],
  [12, 4],
  [100, 4],
];

for (const name of ["Content-Length", "chunked", "until close"]) {
  for (const [hint, count] of HINTS) {
    Deno.test(`readlines(${hint}) gives ${count} lines and leaves the rest (${name})`, async () => {
      const { head, tail } = shape(name);
      const response = await begun(head + tail);
      assertEquals((await response.readlines(hint)).map(latin1), LINES.slice(0, count));
      assertEquals(latin1(await response.read()), LINES.slice(count).join(""));
    });
  }
}

Deno.test("read1() gives at most what is left of one chunk", async () => {
  const { head, tail } = shape("chunked");
  const response = await begun(head + tail);
  const seen = await untilEmpty(() => response.read1());
  assertEquals(seen, ["alpha\nb", "e", "ta\n\ngamma", ""]);
});

Deno.test("read1() gives what is there without waiting for more", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"]);
  const response = await begun(transport);
  assertEquals(latin1(await response.read1()), "abc");
  transport.arrive("def");
  assertEquals(latin1(await response.read1()), "def");
});

Deno.test("peek() shows nothing of what stands behind the body", async () => {
  const response = await begun(
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 404 X\r\n\r\n",
  );
  assertEquals(latin1(await response.peek()), "ab");
});

Deno.test("peek() shows nothing beyond the chunk", async () => {
  const { head, tail } = shape("chunked");
  assertEquals(latin1(await (await begun(head + tail)).peek()), "alpha\nb");
});

for (const [name, closed] of [["chunked", true], ["until close", false]] as const) {
  Deno.test(`peek() leaves isclosed() ${closed} at the end (${name})`, async () => {
    const { head, tail } = shape(name);
    const response = await begun(head + tail);
    await response.read(17);
    assertEquals([latin1(await response.peek()), response.isclosed()], ["", closed]);
  });
}

Deno.test("peek() gives a copy", async () => {
  const response = await begun("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
  (await response.peek()).fill(0);
  assertEquals(await response.text(), "ab");
});

for (const name of ["read", "read1", "readline"] as const) {
  Deno.test(`${name}() gives bytes that stay as they are when more arrives`, async () => {
    const transport = new FakeTransport(["HTTP/1.1 200 OK\r\n\r\none\n"]);
    const response = await begun(transport);
    const first = name === "readline" ? await response.readline() : await response[name](4);
    transport.arrive("TWO\n");
    await response.readline();
    assertEquals(latin1(first), "one\n");
  });
}

Deno.test("text() ends without the connection's end when there is a Content-Length", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]);
  assertEquals(await (await begun(transport)).text(), "ok");
});

Deno.test("text() ends without the connection's end when the body is chunked", async () => {
  const { head, tail } = shape("chunked with trailers");
  assertEquals(await (await begun(new FakeTransport([head + tail]))).text(), TEXT);
});

Deno.test("read() does not wait for what follows when it has reached the end of a chunk", async () => {
  const { head } = shape("chunked");
  const response = await begun(new FakeTransport([`${head}3\r\nabc`]));
  assertEquals(latin1(await response.read(3)), "abc");
});

Deno.test("read() reads a body in 2000 chunks of one byte", async () => {
  const { head } = shape("chunked");
  const response = await begun(`${head}${"1\r\nx\r\n".repeat(2000)}0\r\n\r\n`);
  assertEquals((await response.read()).length, 2000);
});

Deno.test("readline() reads a line that is longer than the buffer", async () => {
  const line = "x".repeat(150_000) + "\n";
  const response = await begun(`HTTP/1.1 200 OK\r\n\r\n${line}rest`);
  assertEquals(latin1(await response.readline()), line);
  assertEquals(await response.text(), "rest");
});

Deno.test("readinto() keeps to the bounds of a view", async () => {
  const { head, tail } = shape("Content-Length");
  const response = await begun(head + tail);
  const memory = new Uint8Array(8).fill(46);
  assertEquals(await response.readinto(memory.subarray(2, 6)), 4);
  assertEquals(latin1(memory), "..alph..");
});

Deno.test("readinto() fills a large buffer when nothing is buffered", async () => {
  const body = "0123456789".repeat(20_000);
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`;
  const response = await begun(new SegmentTransport([bytes(head), bytes(body)]));
  assertEquals(latin1(await readinto(response, body.length)), body);
  assertEquals([response.length, response.isclosed()], [0, true]);
});

Deno.test("readinto() reads on when a transport gives no bytes", async () => {
  const body = "x".repeat(40_000);
  const inner = new SegmentTransport([
    bytes(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`),
    bytes(body),
  ]);
  let reads = 0;
  const transport = {
    read: (p: Uint8Array) => reads++ % 2 === 1 ? Promise.resolve(0) : inner.read(p),
    write: (p: Uint8Array) => inner.write(p),
    close: () => inner.close(),
  };
  const response = await begun(transport);
  assertEquals(latin1(await readinto(response, body.length)), body);
});

Deno.test("read() takes no memory ahead of the data when Content-Length is huge", async () => {
  const response = await begun("HTTP/1.1 200 OK\r\nContent-Length: 9007199254740991\r\n\r\nabc");
  await assertCut(() => response.read(), "abc", 9007199254740988);
});

const TYPED = "HTTP/1.1 200 OK\r\n\r\n";

Deno.test("json() parses the body", async () => {
  assertEquals(await (await begun(`${TYPED}{"a": [1, null]}`)).json(), { a: [1, null] });
});

Deno.test("json() throws a SyntaxError when the body is not JSON", async () => {
  await assertRejects(async () => await (await begun(`${TYPED}{`)).json(), SyntaxError);
});

Deno.test("text() reads by the read() of a subclass", async () => {
  class Own extends HTTPResponse {
    override async read(amt?: number | null): Promise<Uint8Array<ArrayBuffer>> {
      return bytes(latin1(await super.read(amt)).toUpperCase());
    }
  }
  const response = new Own(
    new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"]),
  );
  await response.begin();
  assertEquals(await response.text(), "HELLO");
});

Deno.test("text() decodes UTF-8, whatever the cut", async () => {
  const wire = latin1(encode.encode(`${TYPED}Grüße, 世界`));
  await everyWay(wire, async (transport) => {
    assertEquals(await (await begun(transport)).text(), "Grüße, 世界");
  });
});

Deno.test("HTTPResponse reads on where the last call stopped, whatever calls are mixed", async () => {
  for (const one of SHAPES.filter(({ body }) => body !== "")) {
    await everyWayAndBehind(one, async (response) => {
      assertEquals(latin1(await response.read(2)), "al");
      assertEquals((await response.readlines(1)).map(latin1), ["pha\n"]);
      assertEquals(latin1(await readinto(response, 3)), "bet");
      assertEquals(latin1(await response.peek()).slice(0, 1), "a");
      assertEquals(latin1(await response.read1(1)), "a");
      assertEquals(latin1(await response.readline()), "\n");
      for await (const line of response.lines()) {
        assertEquals(latin1(line), "\n");
        break;
      }
      assertEquals(latin1(await response.read(0)), "");
      assertEquals(await response.text(), "gamma");
      assertEquals(response.isclosed(), true);
    });
  }
});

async function readSomehow(response: HTTPResponse, below: (n: number) => number): Promise<string> {
  switch (below(7)) {
    case 0:
      return latin1(await response.read(1 + below(6)));
    case 1:
      return latin1(await readinto(response, 1 + below(6)));
    case 2:
      return latin1(await response.read1(1 + below(6)));
    case 3:
      return latin1(await response.readline(1 + below(9)));
    case 4:
      return (await response.readlines(1)).map(latin1).join("");
    case 5: {
      const { value } = await response.values({ preventCancel: true }).next();
      return value === undefined ? "" : latin1(value);
    }
    default: {
      const reader = response.getReader();
      const { value } = await reader.read();
      reader.releaseLock();
      return value === undefined ? "" : latin1(value);
    }
  }
}

for (const one of SHAPES.filter(({ body }) => body !== "")) {
  Deno.test(`HTTPResponse gives every byte once in 300 random mixes of calls (${one.name})`, async () => {
    for (let seed = 0; seed < 300; seed++) {
      const below = randomFrom(seed);
      const all = bytes(one.head + one.tail);
      const segments: Uint8Array[] = [];
      for (let at = 0; at < all.length;) segments.push(all.subarray(at, at += 1 + below(9)));
      const response = await begun(new SegmentTransport(segments));
      let text = "";
      for (let piece = "x"; piece !== "";) text += piece = await readSomehow(response, below);
      assertEquals(text, TEXT, `seed ${seed}`);
    }
  });
}

/** Every way of reading on. */
const READING_ON: [name: string, call: (response: HTTPResponse) => Promise<unknown>][] = [
  ["read()", (r) => r.read()],
  ["read(3)", (r) => r.read(3)],
  ["readinto()", (r) => r.readinto(new Uint8Array(3))],
  ["readline()", (r) => r.readline()],
  ["readlines()", (r) => r.readlines()],
  ["read1()", (r) => r.read1()],
  ["peek()", (r) => r.peek()],
  ["bytes()", (r) => r.bytes()],
  ["text()", (r) => r.text()],
  ["json()", (r) => r.json()],
  ["lines()", (r) => r.lines().next()],
  ["for await", (r) => pieces(r)],
  ["getReader()", (r) => r.getReader().read()],
  ["getReader({ mode: 'byob' })", (r) => r.getReader({ mode: "byob" }).read(new Uint8Array(4))],
  ["pipeTo()", (r) => r.pipeTo(new WritableStream())],
];

// CPython: nothing, as if the body had been read.
for (const name of ["Content-Length", "chunked", "until close"]) {
  const { head, tail } = shape(name);

  for (const [method, call] of READING_ON) {
    Deno.test(`${method} throws Interrupted after close() before the end (${name})`, async () => {
      const transport = new SegmentTransport([bytes(head + tail)]);
      const response = await begun(transport);
      response.close();
      assertEquals([transport.closed, response.isclosed(), response.closed], [true, true, true]);
      await assertRejects(() => call(response), Deno.errors.Interrupted);
      if (!response.locked) await assertRejects(() => response.read(), Deno.errors.Interrupted);
    });

    Deno.test(`${method} throws Interrupted after a part and close() (${name})`, async () => {
      const response = await begun(head + tail);
      assertEquals(latin1(await response.read(3)), "alp");
      response.close();
      await assertRejects(() => call(response), Deno.errors.Interrupted);
    });
  }
}

for (const name of ["Content-Length", "chunked"]) {
  Deno.test(`read() gives nothing after the end and close() (${name})`, async () => {
    const { head, tail } = shape(name);
    const response = await begun(head + tail);
    assertEquals(await response.text(), TEXT);
    response.close();
    assertEquals((await response.read()).length, 0);
    assertEquals((await response.readline()).length, 0);
    assertEquals(await response.readinto(new Uint8Array(3)), 0);
    assertEquals(await pieces(response), []);
  });
}

Deno.test("close() after the end leaves the transport open", async () => {
  const { head, tail } = shape("Content-Length");
  const transport = new FakeTransport([head + tail]);
  const response = await begun(transport);
  await response.read();
  response.close();
  assertEquals([transport.closes, response.closed], [0, true]);
});

Deno.test("close() closes the transport once when it is called twice", async () => {
  const transport = new FakeTransport([shape("Content-Length").head]);
  const response = await begun(transport);
  response.close();
  response.close();
  assertEquals(transport.closes, 1);
});

Deno.test("close() ends a read that waits", async () => {
  const transport = new FakeTransport([shape("Content-Length").head]);
  const response = await begun(transport);
  const read = assertRejects(() => response.read());
  response.close();
  await read;
});

Deno.test("text() closes the transport at the end of a body when will_close is true", async () => {
  const transport = new FakeTransport([
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokmore",
  ]);
  assertEquals(await (await begun(transport)).text(), "ok");
  assertEquals(transport.closes, 1);
});

Deno.test("text() leaves the transport open at the end of a body that keeps it", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]);
  assertEquals(await (await begun(transport)).text(), "ok");
  assertEquals(transport.closes, 0);
});

Deno.test("read() throws a TypeError while another reads, which gets everything", async () => {
  const transport = new FakeTransport([shape("Content-Length").head]);
  const response = await begun(transport);
  const first = response.read();
  await assertRejects(() => response.read(3), TypeError);
  await assertRejects(() => response.readline(), TypeError);
  await assertRejects(() => response.readinto(new Uint8Array(3)), TypeError);
  transport.arrive(TEXT);
  assertEquals(latin1(await first), TEXT);
});

Deno.test("read() throws the transport's own error, and again from the next call", async () => {
  const reset = new Deno.errors.ConnectionReset("reset");
  const inner = new SegmentTransport([bytes(shape("Content-Length").head + "al")]);
  const response = await begun({
    read: async (p: Uint8Array) => await inner.read(p) ?? Promise.reject(reset),
    write: (p) => inner.write(p),
    close: () => inner.close(),
  });
  assertEquals(latin1(await response.read(2)), "al");
  assert(await assertRejects(() => response.read(2)) === reset);
  assert(await assertRejects(() => response.readline()) === reset);
  assertEquals([inner.closed, response.isclosed()], [true, true]);
});

/** Sizes that are no integers, and buffers that are no bytes. */
const BAD: [name: string, call: (response: HTTPResponse) => Promise<unknown>][] = [
  ["read1(NaN)", (r) => r.read1(NaN)],
  ["read1(1.5)", (r) => r.read1(1.5)],
  ["readline(NaN)", (r) => r.readline(NaN)],
  ["readline(1.5)", (r) => r.readline(1.5)],
  ["readinto(ArrayBuffer)", (r) => r.readinto(new ArrayBuffer(4) as unknown as Uint8Array)],
  ["readinto(Uint16Array)", (r) => r.readinto(new Uint16Array(2) as unknown as Uint8Array)],
];

for (const [name, call] of BAD) {
  Deno.test(`${name} throws a TypeError and takes nothing`, async () => {
    const { head, tail } = shape("Content-Length");
    const response = await begun(head + tail);
    await assertRejects(() => call(response), TypeError);
    assertEquals(await response.text(), TEXT);
  });
}

/** Reads with a size in a worker, which can be ended if the call never comes back. */
async function readInWorker(size: string): Promise<string> {
  const { head, tail } = shape("Content-Length");
  const code = `
    import { HTTPResponse } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url).href)};
    const response = new HTTPResponse(new Blob([${JSON.stringify(head + tail)}]).stream());
    await response.begin();
    const name = await response.read(${size}).then(() => "nothing", (error) => error.name);
    postMessage(name + ", then " + await response.text().catch(String));
  `;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(code)}`, { type: "module" });
  const { promise, resolve } = Promise.withResolvers<string>();
  const deadline = setTimeout(() => resolve("no answer"), 60_000);
  worker.onmessage = ({ data }) => resolve(data);
  try {
    return await promise;
  } finally {
    clearTimeout(deadline);
    worker.terminate();
  }
}

for (const size of ["NaN", "1.5", '"2"']) {
  Deno.test(`read(${size}) throws a TypeError and takes nothing`, async () => {
    assertEquals(await readInWorker(size), `TypeError, then ${TEXT}`);
  });
}

Deno.test("read() throws a ResponseNotReady when begin() was not called", async () => {
  const { head, tail } = shape("Content-Length");
  const response = new HTTPResponse(new SegmentTransport([bytes(head + tail)]));
  await assertRejects(() => response.read(), ResponseNotReady);
  await response.begin();
  assertEquals(await response.text(), TEXT);
});

Deno.test("begin() reads the next response on the same channel where the last one ended", async () => {
  const wires = SHAPES.filter(({ keeps }) => keeps).map(({ head, tail }) => head + tail);
  const reader = new LineReader(new SegmentTransport([bytes(wires.join(""))]));
  const texts: string[] = [];
  for (const { method } of SHAPES.filter(({ keeps }) => keeps)) {
    texts.push(await (await begun(reader, method)).text());
  }
  assertEquals(texts, SHAPES.filter(({ keeps }) => keeps).map(({ body }) => body));
});

Deno.test("trailers is null before the end, and has the fields after it", async () => {
  const { head, tail } = shape("chunked with trailers");
  const response = await begun(head + tail);
  await response.read(17);
  assertEquals(response.trailers, null);
  await response.read();
  assertEquals(response.trailers?.items(), [["Digest", "abc"], ["X-B", ""]]);
});

Deno.test("trailers is empty when a chunked body has none", async () => {
  const { head, tail } = shape("chunked");
  const response = await begun(head + tail);
  await response.read();
  assertEquals(response.trailers?.size, 0);
});

Deno.test("trailers is null when the body is not chunked", async () => {
  const response = await begun(TYPED + TEXT);
  await response.read();
  assertEquals(response.trailers, null);
});

// The rest of a reader's calls

const BODY = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

Deno.test("readinto1() gives what is there, as one read of the transport has it", async () => {
  const transport = new FakeTransport([BODY.slice(0, -3), BODY.slice(-3)]);
  const response = await begun(transport);
  const target = new Uint8Array(9);
  assertEquals([await response.readinto1(target), latin1(target.subarray(0, 2))], [2, "he"]);
  assertEquals([await response.readinto1(target), latin1(target.subarray(0, 3))], [3, "llo"]);
  assertEquals(await response.readinto1(target), 0);
});

Deno.test("readinto1() of no memory gives 0 and leaves the body", async () => {
  const response = await begun(new FakeTransport([BODY]));
  assertEquals(await response.readinto1(new Uint8Array()), 0);
  assertEquals(await response.text(), "hello");
});

Deno.test("readinto1() throws a TypeError when it is given no Uint8Array", async () => {
  const response = await begun(new FakeTransport([BODY]));
  await assertRejects(() => response.readinto1([] as unknown as Uint8Array), TypeError);
  assertEquals(await response.text(), "hello");
});

Deno.test("readable() is true until close() is called, also at the end of the body", async () => {
  const response = await begun(new FakeTransport([BODY]));
  assertEquals(response.readable(), true);
  await response.read();
  assertEquals([response.isclosed(), response.readable()], [true, true]);
  response.close();
  assertEquals(response.readable(), false);
});

Deno.test("writable(), seekable() and isatty() are false, and flush() does nothing", async () => {
  const response = await begun(new FakeTransport([BODY]));
  response.flush();
  assertEquals([response.writable(), response.seekable(), response.isatty()], [
    false,
    false,
    false,
  ]);
  assertEquals(await response.text(), "hello");
});

for (const where of ["a reader", "another read", "decoded()"]) {
  Deno.test(`drain() throws a TypeError beside ${where}, however long the body is`, async () => {
    const transport = answering(`HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc`);
    using conn = connectionOver(transport);
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    if (where === "a reader") response.getReader();
    else if (where === "another read") response.read().catch(() => {});
    else response.decoded();
    await assertRejects(() => response.drain(10), TypeError);
    assertEquals(response.isclosed(), false);
  });
}
