/**
 * Limits: what is exactly at each of them is taken, what is one over is refused with the class that
 * `examples/LIMITS.md` names.
 *
 * @module
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  HTTPConnection,
  HTTPException,
  type HTTPResponse,
  type Limits,
  LineTooLong,
  TunnelError,
} from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { latin1 } from "../servers/raw.ts";

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

type Pieces = (answer: string) => string[];

/** How an answer arrives. */
const WAYS: [string, Pieces][] = [
  ["at once", (answer) => [answer]],
  ["byte by byte", (answer) => [...answer]],
];

/** The body of an answer that arrives in these pieces. */
async function bodyOf(answer: string[], limits: Limits): Promise<string> {
  using conn = new HTTPConnection("example.com", { ...over(new FakeTransport(answer)), ...limits });
  return await getText(conn);
}

/** An answer of a size, and the limit that it is at or over. */
interface Case {
  name: string;
  limit: keyof Limits;
  /** An answer that needs a limit of exactly `size`. */
  answer: (size: number) => string;
  size: number;
  error: typeof HTTPException | typeof LineTooLong;
  /** The body of the answer. @default {"ok"} */
  body?: string;
}

/** Text of a length. */
const x = (length: number) => "x".repeat(length);
/** What of each size line is not counted. */
const FREE = 256;

const CASES: Case[] = [
  {
    name: "a status line",
    limit: "maxLineBytes",
    size: 100,
    answer: (size) => `HTTP/1.1 200 ${x(size - 15)}\r\nContent-Length: 2\r\n\r\nok`,
    error: LineTooLong,
  },
  {
    name: "a field line",
    limit: "maxLineBytes",
    size: 100,
    answer: (size) => ok("ok", `A: ${x(size - 5)}\r\n`),
    error: LineTooLong,
  },
  {
    name: "a field line of an interim response",
    limit: "maxLineBytes",
    size: 100,
    answer: (size) => `HTTP/1.1 103 Early Hints\r\nA: ${x(size - 5)}\r\n\r\n` + ok(),
    error: LineTooLong,
  },
  {
    name: "a chunk-size line",
    limit: "maxLineBytes",
    size: 100,
    answer: (size) => CHUNKED + `2;${x(size - 4)}\r\nok\r\n0\r\n\r\n`,
    error: LineTooLong,
  },
  {
    name: "the last chunk's line",
    limit: "maxLineBytes",
    size: 100,
    answer: (size) => CHUNKED + `2\r\nok\r\n0;${x(size - 4)}\r\n\r\n`,
    error: LineTooLong,
  },
  {
    name: "a trailer line",
    limit: "maxLineBytes",
    size: 100,
    answer: (size) => CHUNKED + `2\r\nok\r\n0\r\nA: ${x(size - 5)}\r\n\r\n`,
    error: LineTooLong,
  },
  {
    name: "the fields of a response",
    limit: "max_response_headers",
    size: 10,
    answer: (size) => ok("ok", "A: b\r\n".repeat(size - 1)),
    error: HTTPException,
  },
  {
    name: "the fields of an interim response",
    limit: "max_response_headers",
    size: 10,
    answer: (size) => `HTTP/1.1 103 Early Hints\r\n${"A: b\r\n".repeat(size)}\r\n` + ok(),
    error: HTTPException,
  },
  {
    name: "lines that are not fields",
    limit: "max_response_headers",
    size: 10,
    answer: (size) => ok("ok", "no colon\r\n".repeat(size - 1)),
    error: HTTPException,
  },
  {
    name: "a head",
    limit: "maxHeaderBytes",
    size: 500,
    answer: (size) => ok("ok", `A: ${x(size - ok("").length - 5)}\r\n`),
    error: HTTPException,
  },
  {
    name: "an interim response",
    limit: "maxHeaderBytes",
    size: 500,
    answer: (size) => `HTTP/1.1 103 Early Hints\r\nA: ${x(size - 33)}\r\n\r\n` + ok(),
    error: HTTPException,
  },
  {
    name: "a trailer section",
    limit: "maxHeaderBytes",
    size: 500,
    answer: (size) => CHUNKED + `2\r\nok\r\n0\r\nA: ${x(size - 7)}\r\n\r\n`,
    error: HTTPException,
  },
  {
    name: "interim responses of one kind",
    limit: "maxInterimResponses",
    size: 10,
    answer: (size) => "HTTP/1.1 102 Processing\r\n\r\n".repeat(size) + ok(),
    error: HTTPException,
  },
  {
    name: "interim responses of all kinds",
    limit: "maxInterimResponses",
    size: 10,
    answer: (size) =>
      Array.from({ length: size }, (_, i) => `HTTP/1.1 ${[100, 102, 103][i % 3]} X\r\n\r\n`)
        .join("") + ok(),
    error: HTTPException,
  },
  {
    name: "trailers",
    limit: "maxTrailers",
    size: 10,
    answer: (size) => CHUNKED + `2\r\nok\r\n0\r\n${"A: b\r\n".repeat(size)}\r\n`,
    error: HTTPException,
  },
  {
    name: "the extensions of one chunk",
    limit: "maxChunkExtensionBytes",
    size: 10,
    answer: (size) => CHUNKED + `2;${x(FREE + size - 1)}\r\nok\r\n0\r\n\r\n`,
    error: HTTPException,
  },
  {
    name: "the extensions of many chunks",
    limit: "maxChunkExtensionBytes",
    size: 40,
    // Each of the five gives six bytes too many, and data for one of them.
    answer: (size) => {
      const last = `0;${x(FREE + size - 1 - 25)}\r\n\r\n`;
      return CHUNKED + `1;${x(FREE + 5)}\r\nx\r\n`.repeat(5) + last;
    },
    error: HTTPException,
    body: x(5),
  },
  {
    name: "the extensions of the last chunk",
    limit: "maxChunkExtensionBytes",
    size: 10,
    answer: (size) => CHUNKED + `2\r\nok\r\n0;${x(FREE + size - 1)}\r\n\r\n`,
    error: HTTPException,
  },
  {
    name: "a body by length",
    limit: "maxBodyBytes",
    size: 10,
    answer: (size) => ok(x(size)),
    error: HTTPException,
    body: x(10),
  },
  {
    name: "a chunked body, its framing not counted",
    limit: "maxBodyBytes",
    size: 10,
    answer: (size) => CHUNKED + "1;ext\r\nx\r\n".repeat(size) + "0\r\nA: b\r\n\r\n",
    error: HTTPException,
    body: x(10),
  },
];

for (const { name, limit, size, answer, error, body = "ok" } of CASES) {
  for (const [how, pieces] of WAYS) {
    Deno.test(`${limit} accepts ${name} at the limit, ${how}`, async () => {
      assertEquals(await bodyOf(pieces(answer(size)), { [limit]: size }), body);
    });

    Deno.test(`${limit} refuses ${name} one over the limit, ${how}`, async () => {
      const thrown = await assertRejects(
        () => bodyOf(pieces(answer(size + 1)), { [limit]: size }),
        error,
      );
      assertEquals((thrown as Error).constructor, error);
    });
  }

  Deno.test(`${limit} closes the connection for ${name} one over the limit`, async () => {
    const first = new FakeTransport([answer(size + 1)]);
    const second = new FakeTransport(["HTTP/1.1 204 No\r\n\r\n"]);
    using conn = new HTTPConnection("example.com", { ...over(first, second), [limit]: size });
    await conn.request("GET", "/");
    await assertRejects(async () => await (await conn.getresponse()).read(), error);
    assertEquals(first.closes, 1);
    await conn.request("GET", "/");
    assertEquals((await conn.getresponse()).status, 204);
  });
}

// What ends nowhere is given up at the limit, not at the end of memory

const ENDLESS: [string, Limits, string, typeof HTTPException | typeof LineTooLong][] = [
  ["a status line", { maxLineBytes: 1000 }, "HTTP/1.1 200 ", LineTooLong],
  ["a field line", { maxLineBytes: 1000 }, "HTTP/1.1 200 OK\r\nA: ", LineTooLong],
  ["a chunk-size line", { maxLineBytes: 1000 }, CHUNKED + "1;", LineTooLong],
  ["a trailer line", { maxLineBytes: 1000 }, CHUNKED + "0\r\nA: ", LineTooLong],
  ["a head", { maxHeaderBytes: 1000 }, "HTTP/1.1 200 OK\r\nA: ", HTTPException],
];

for (const [name, limits, start, error] of ENDLESS) {
  Deno.test(`${Object.keys(limits)} refuses ${name} without an end after little more than the limit`, async () => {
    const fake = new FakeTransport([start]);
    let read = 0;
    const inner = fake.read.bind(fake);
    fake.read = async (p) => {
      fake.arrive(x(500));
      const count = await inner(p);
      read += count ?? 0;
      return count;
    };
    using conn = new HTTPConnection("example.com", { ...over(fake), ...limits });
    await conn.request("GET", "/");
    await assertRejects(async () => await (await conn.getresponse()).read(), error);
    assertEquals(read < 3000, true);
  });
}

// Defaults

const DEFAULTS: [
  string,
  (size: number) => string,
  number,
  typeof HTTPException | typeof LineTooLong,
][] = [
  ["maxLineBytes", (size) => ok("ok", `A: ${x(size - 5)}\r\n`), 65536, LineTooLong],
  ["max_response_headers", (size) => ok("ok", "A: b\r\n".repeat(size - 1)), 100, HTTPException],
  [
    "maxHeaderBytes",
    (size) => {
      const rest = size - ok("").length - 32 * 32_000;
      return ok("ok", `A: ${x(32_000 - 5)}\r\n`.repeat(32) + `B: ${x(rest - 5)}\r\n`);
    },
    1 << 20,
    HTTPException,
  ],
  [
    "maxInterimResponses",
    (size) => "HTTP/1.1 102 Processing\r\n\r\n".repeat(size) + ok(),
    100,
    HTTPException,
  ],
  [
    "maxTrailers",
    (size) => CHUNKED + `2\r\nok\r\n0\r\n${"A: b\r\n".repeat(size)}\r\n`,
    100,
    HTTPException,
  ],
  [
    "maxChunkExtensionBytes",
    (size) => {
      // The data of the first chunk makes up for one.
      const chunks = `1;${x(FREE + size / 2 - 1)}\r\no\r\n1;${x(FREE + size / 2)}\r\nk\r\n`;
      return `${CHUNKED}${chunks}0\r\n\r\n`;
    },
    65536,
    HTTPException,
  ],
];

for (const [name, answer, size, error] of DEFAULTS) {
  Deno.test(`${name} is ${size} by default`, async () => {
    assertEquals(await bodyOf([answer(size)], {}), "ok");
    await assertRejects(() => bodyOf([answer(size + 2)], {}), error);
  });
}

Deno.test("maxBodyBytes is no limit by default", async () => {
  assertEquals((await bodyOf([ok(x(3_000_000))], {})).length, 3_000_000);
});

// maxBodyBytes and every way to read

const READS: [string, (response: HTTPResponse) => Promise<unknown>][] = [
  ["read()", (response) => response.read()],
  ["read(3), again and again", async (response) => {
    while ((await response.read(3)).length > 0);
  }],
  ["readinto()", (response) => response.readinto(new Uint8Array(100))],
  ["readinto() of large memory", (response) => response.readinto(new Uint8Array(100_000))],
  ["read1()", async (response) => {
    while ((await response.read1()).length > 0);
  }],
  ["peek()", (response) => response.peek()],
  ["readline()", async (response) => {
    while ((await response.readline()).length > 0);
  }],
  ["readlines()", (response) => response.readlines()],
  ["lines()", (response) => Array.fromAsync(response.lines())],
  ["text()", (response) => response.text()],
  ["json()", (response) => response.json()],
  ["bytes()", (response) => response.bytes()],
  ["for await", async (response) => {
    for await (const _ of response);
  }],
  ["a reader", async (response) => {
    const reader = response.getReader();
    while (!(await reader.read()).done);
  }],
  ["a BYOB reader", async (response) => {
    const reader = response.getReader({ mode: "byob" });
    while (!(await reader.read(new Uint8Array(4))).done);
  }],
  ["pipeTo()", (response) => response.pipeTo(new WritableStream())],
  ["tee()", (response) => Promise.all(response.tee().map((branch) => Array.fromAsync(branch)))],
  ["new Response()", (response) => new Response(response).text()],
  ["decoded()", (response) => Array.fromAsync(response.decoded())],
];

const BODIES: [string, string][] = [
  ["by length", ok('"34567890\n"')],
  ["chunked", CHUNKED + '5\r\n"3456\r\n6\r\n7890\n"\r\n0\r\n\r\n'],
  ["until close", 'HTTP/1.1 200 OK\r\n\r\n"34567890\n"'],
];

for (const [framing, answer] of BODIES) {
  for (const [name, read] of READS) {
    // A look at a chunked body shows what is left of one chunk, which is under the limit here.
    if (name === "peek()" && framing === "chunked") continue;
    Deno.test(`maxBodyBytes holds for ${name} of a body ${framing}`, async () => {
      const transport = () => Promise.resolve(new FakeTransport([answer], { ended: true }));
      using over = new HTTPConnection("example.com", { transport, maxBodyBytes: 10 });
      await over.request("GET", "/");
      const response = await over.getresponse();
      await assertRejects(() => read(response), HTTPException);
    });
  }
}

Deno.test("read() gives what is within maxBodyBytes before it throws", async () => {
  const fake = new FakeTransport([CHUNKED + "5\r\n12345\r\n"]);
  using conn = new HTTPConnection("example.com", { ...over(fake), maxBodyBytes: 5 });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals(latin1(await response.read(5)), "12345");
  fake.arrive("1\r\n6\r\n");
  await assertRejects(() => response.read(1), HTTPException);
  await assertRejects(() => response.read(), HTTPException);
});

Deno.test("maxBodyBytes is for each response", async () => {
  const fake = answering(ok("12345"), ok("12345"));
  using conn = new HTTPConnection("example.com", { ...over(fake), maxBodyBytes: 5 });
  for (let i = 0; i < 2; i++) {
    assertEquals(await getText(conn), "12345");
  }
});

// Elsewhere

Deno.test("max_response_headers holds for the answer to CONNECT", async () => {
  const answer = `HTTP/1.1 403 No\r\n${"A: b\r\n".repeat(11)}\r\n`;
  for (const [limit, error] of [[10, HTTPException], [11, TunnelError]] as const) {
    using conn = new HTTPConnection("proxy.example", {
      ...over(answering(answer)),
      max_response_headers: limit,
    });
    conn.set_tunnel("example.com", 80);
    const thrown = await assertRejects(() => conn.connect(), error);
    assertEquals((thrown as Error).constructor, error);
  }
});

Deno.test("examples/LIMITS.md names every limit of a connection with its default", () => {
  const text = Deno.readTextFileSync(new URL("../../examples/LIMITS.md", import.meta.url));
  const rows = [...text.matchAll(/^\| `(\w+)` +\| (\S+|no limit) +\| `(\w+)` +\|$/gm)];
  const shown = Object.fromEntries(rows.map(([, ...cells]) => [cells[0], cells.slice(1)]));
  const known = DEFAULTS.map(([name, , size, error]) => [name, [String(size), error.name]]);
  assertEquals(shown, {
    ...Object.fromEntries(known),
    maxBodyBytes: ["no limit", "HTTPException"],
  });
});

const NAMES: (keyof Limits)[] = [
  "maxLineBytes",
  "maxHeaderBytes",
  "max_response_headers",
  "maxInterimResponses",
  "maxTrailers",
  "maxChunkExtensionBytes",
  "maxBodyBytes",
];

for (const name of NAMES) {
  Deno.test(`HTTPConnection() throws a TypeError when ${name} is not a number over 0`, () => {
    for (const value of [-1, NaN, "5", null, true]) {
      const limits = { [name]: value } as Limits;
      assertThrows(() => new HTTPConnection("example.com", limits), TypeError, name);
    }
  });
}
