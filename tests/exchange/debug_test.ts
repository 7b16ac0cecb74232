/**
 * What `set_debuglevel(1)` prints. The lines are those of CPython 3.13, unless a comment says otherwise.
 *
 * @module
 */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  debugHeaders,
  debugInterim,
  debugNote,
  debugReply,
  debugSend,
} from "../../_internal/exchange/debug.ts";
import { HTTPConnection, HTTPResponse, type RequestBody } from "../../mod.ts";
import { asyncGeneratorOf, readerOf } from "../helpers/bodies.ts";
import { getText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { thrown } from "../helpers/waiting.ts";
import { bytes } from "../servers/raw.ts";

/** The lines that are printed in the meantime. */
async function printed(run: () => unknown): Promise<string[]> {
  const lines: string[] = [];
  const { log } = console;
  console.log = (...parts: unknown[]) => void lines.push(parts.join(" "));
  try {
    await run();
  } finally {
    console.log = log;
  }
  return lines;
}

const SENT: [title: string, data: string, line: string][] = [
  ["plain text", "GET / HTTP/1.1", "send: b'GET / HTTP/1.1'"],
  ["nothing", "", "send: b''"],
  ["line ends and tabs", "a\r\n\tb", "send: b'a\\r\\n\\tb'"],
  ["a single quote", "it's", `send: b"it's"`],
  ["a double quote", 'a"b', `send: b'a"b'`],
  ["both quotes", `it's"`, `send: b'it\\'s"'`],
  ["a backslash", "a\\b", "send: b'a\\\\b'"],
  ["controls", "\0\x07\x1b\x7f", "send: b'\\x00\\x07\\x1b\\x7f'"],
  ["bytes over 127", "\x80\xa0\xe9\xff", "send: b'\\x80\\xa0\\xe9\\xff'"],
];

for (const [title, data, line] of SENT) {
  Deno.test(`debugSend() spells ${title} as Python does`, async () => {
    assertEquals(await printed(() => debugSend(null, bytes(data))), [line]);
  });
}

const REPLIES: [title: string, line: string, printed: string][] = [
  ["a status line", "HTTP/1.1 200 OK\r\n", "reply: 'HTTP/1.1 200 OK\\r\\n'"],
  ["a bare line feed", "HTTP/1.1 200 OK\n", "reply: 'HTTP/1.1 200 OK\\n'"],
  ["letters of ISO-8859-1", "d\xe9j\xe0 \xa1\xff", "reply: 'd\xe9j\xe0 \xa1\xff'"],
  ["what is not printable", "\x85\xa0\xad\x9f", "reply: '\\x85\\xa0\\xad\\x9f'"],
  ["quotes", "a 'b'", `reply: "a 'b'"`],
];

for (const [title, line, expected] of REPLIES) {
  Deno.test(`debugReply() spells ${title} as Python does`, async () => {
    assertEquals(await printed(() => debugReply(null, line)), [expected]);
  });
}

Deno.test("debugHeaders() prints a line for each field", async () => {
  assertEquals(await printed(() => debugHeaders(null, ["A", "b", "a", "c, d", "Empty", ""])), [
    "header: A: b",
    "header: a: c, d",
    "header: Empty: ",
  ]);
});

Deno.test("debugInterim() prints the fields as one list", async () => {
  assertEquals(await printed(() => debugInterim(null, ["A", "b", "C", "d"])), [
    "headers: [b'A: b\\r\\n', b'C: d\\r\\n', b'\\r\\n']",
  ]);
});

Deno.test("debugInterim() prints a list when there are no fields", async () => {
  assertEquals(await printed(() => debugInterim(null, [])), ["headers: [b'\\r\\n']"]);
});

Deno.test("debugNote() prints the note", async () => {
  assertEquals(await printed(() => debugNote(null, "a note")), ["a note"]);
});

const FIELDS = "Host: example.com\\r\\nAccept-Encoding: identity\\r\\n";
const EMPTY = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const ANSWERED = ["reply: 'HTTP/1.1 200 OK\\r\\n'", "header: Content-Length: 0"];

/** What an exchange prints. */
async function exchange(
  answer: string,
  request: (conn: HTTPConnection) => Promise<void>,
  level = 1,
): Promise<string[]> {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([answer])));
  conn.set_debuglevel(level);
  return await printed(async () => {
    await request(conn);
    await (await conn.getresponse()).read();
  });
}

Deno.test("set_debuglevel() prints what is sent, the status line and the fields", async () => {
  assertEquals(
    await exchange(
      "HTTP/1.1 404 Not Found\r\nA: b\r\na: c, d\r\nX: caf\xe9\r\nContent-Length: 0\r\n\r\n",
      (conn) => conn.request("GET", "/it's"),
    ),
    [
      `send: b"GET /it's HTTP/1.1\\r\\n${FIELDS}\\r\\n"`,
      "reply: 'HTTP/1.1 404 Not Found\\r\\n'",
      "header: A: b",
      "header: a: c, d",
      "header: X: caf\xe9",
      "header: Content-Length: 0",
    ],
  );
});

Deno.test("set_debuglevel() prints a body on a line of its own, though it shares the head's write", async () => {
  assertEquals(await exchange(EMPTY, (conn) => conn.request("POST", "/", "a\0\\\xff'\n")), [
    `send: b'POST / HTTP/1.1\\r\\n${FIELDS}Content-Length: 6\\r\\n\\r\\n'`,
    `send: b"a\\x00\\\\\\xff'\\n"`,
    ...ANSWERED,
  ]);
});

Deno.test("set_debuglevel() prints each chunk of a body", async () => {
  const lines = await exchange(EMPTY, (conn) => conn.request("POST", "/", ["ab", "", "c"]));
  // CPython prints one line more before, with the Python object's repr().
  assertEquals(lines.filter((line) => !line.startsWith("Unable to determine size")), [
    `send: b'POST / HTTP/1.1\\r\\n${FIELDS}Transfer-Encoding: chunked\\r\\n\\r\\n'`,
    "send: b'2\\r\\nab\\r\\n'",
    "Zero length chunk ignored",
    "send: b'1\\r\\nc\\r\\n'",
    "send: b'0\\r\\n\\r\\n'",
    ...ANSWERED,
  ]);
});

Deno.test("set_debuglevel() prints that a Reader is read", async () => {
  const pieces = [bytes("abc")];
  const reader = {
    read(p: Uint8Array): Promise<number | null> {
      const piece = pieces.shift();
      if (piece !== undefined) p.set(piece);
      return Promise.resolve(piece?.length ?? null);
    },
  };
  const lines = await exchange(EMPTY, (conn) => conn.request("POST", "/", reader));
  assertEquals(lines.filter((line) => !line.startsWith("Unable to determine size")), [
    `send: b'POST / HTTP/1.1\\r\\n${FIELDS}Transfer-Encoding: chunked\\r\\n\\r\\n'`,
    "reading a readable",
    "send: b'3\\r\\nabc\\r\\n'",
    "send: b'0\\r\\n\\r\\n'",
    ...ANSWERED,
  ]);
});

Deno.test("set_debuglevel() does not print that an iterable is read", async () => {
  const lines = await exchange(EMPTY, (conn) => conn.request("POST", "/", ["ab"]));
  assertEquals(lines.includes("reading a readable"), false);
});

const READABLES: [title: string, body: () => RequestBody, isReadable: boolean][] = [
  ["a Blob", () => new Blob(["a"]), true],
  ["a stream", () => new Blob(["a"]).stream(), true],
  ["a Reader", () => readerOf("a"), true],
  ["an iterable", () => ["a"], false],
  ["an async iterable", () => asyncGeneratorOf("a"), false],
];

for (const [title, body, isReadable] of READABLES) {
  Deno.test(`request() prints ${isReadable ? "" : "not "}that it reads when the body is ${title}`, async () => {
    using conn = new HTTPConnection("example.com", over(new FakeTransport()));
    conn.set_debuglevel(1);
    const lines = await printed(() => conn.request("POST", "/", body()));
    assertEquals(lines.includes("reading a readable"), isReadable);
  });
}

Deno.test("set_debuglevel() prints what send() sends", async () => {
  assertEquals(
    await exchange(EMPTY, async (conn) => {
      conn.putrequest("POST", "/");
      conn.putheader("Content-Length", "4");
      await conn.endheaders("ab");
      await conn.send("cd");
    }),
    [
      `send: b'POST / HTTP/1.1\\r\\n${FIELDS}Content-Length: 4\\r\\n\\r\\n'`,
      "send: b'ab'",
      "send: b'cd'",
      ...ANSWERED,
    ],
  );
});

Deno.test("set_debuglevel() prints the fields of 100 Continue as a list", async () => {
  assertEquals(
    await exchange(`HTTP/1.1 100 Continue\r\nA: b\r\n\r\n${EMPTY}`, (conn) => {
      return conn.request("GET", "/");
    }),
    [
      `send: b'GET / HTTP/1.1\\r\\n${FIELDS}\\r\\n'`,
      "reply: 'HTTP/1.1 100 Continue\\r\\n'",
      "headers: [b'A: b\\r\\n', b'\\r\\n']",
      ...ANSWERED,
    ],
  );
});

Deno.test("set_debuglevel() prints the CONNECT request and the proxy's fields", async () => {
  const transport = answering("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", EMPTY);
  using conn = new HTTPConnection("proxy", 3128, over(transport));
  conn.set_debuglevel(1);
  conn.set_tunnel("origin", 443);
  const lines = await printed(async () => {
    await conn.request("GET", "/");
    await conn.getresponse();
  });
  assertEquals(lines[0], "send: b'CONNECT origin:443 HTTP/1.1\\r\\nHost: origin:443\\r\\n\\r\\n'");
  assert(lines.includes("header: Via: x"));
  assert(
    lines.some((line) => line.startsWith("send: b'GET / HTTP/1.1\\r\\nHost: origin:443\\r\\n")),
  );
});

for (const level of [0, -1]) {
  Deno.test(`set_debuglevel() prints nothing when the level is ${level}`, async () => {
    assertEquals(await exchange(EMPTY, (conn) => conn.request("POST", "/", ["a"]), level), []);
  });
}

Deno.test("set_debuglevel() prints everything when the level is any over 0", async () => {
  const lines = await exchange(EMPTY, (conn) => conn.request("GET", "/"), 5);
  assertEquals(lines, [`send: b'GET / HTTP/1.1\\r\\n${FIELDS}\\r\\n'`, ...ANSWERED]);
});

Deno.test("debuglevel is 0 at first, and then what was set", () => {
  using conn = new HTTPConnection("example.com");
  assertEquals(conn.debuglevel, 0);
  conn.set_debuglevel(2);
  assertEquals(conn.debuglevel, 2);
});

Deno.test("getresponse() hands the level on to the response", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([EMPTY])));
  conn.set_debuglevel(3);
  await printed(async () => {
    await conn.request("GET", "/");
    assertEquals((await conn.getresponse()).debuglevel, 3);
  });
});

Deno.test("set_debuglevel() takes effect with the next exchange", async () => {
  const transport = answering(ok(), ok(), ok());
  using conn = new HTTPConnection("example.com", over(transport));
  const counts = [];
  for (const level of [0, 1, 0]) {
    conn.set_debuglevel(level);
    const lines = await printed(() => getText(conn));
    counts.push(lines.length);
  }
  assertEquals(counts, [0, 3, 0]);
});

Deno.test("begin() prints by the level of a response without a connection", async () => {
  const response = new HTTPResponse(new FakeTransport([EMPTY]), { debuglevel: 1 });
  assertEquals(await printed(() => response.begin()), ANSWERED);
  response.close();
});

Deno.test("set_debuglevel() does not change what is sent", async () => {
  const wires = [];
  for (const level of [0, 1]) {
    const transport = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(transport));
    conn.set_debuglevel(level);
    await printed(() => conn.request("POST", "/", ["ab", "", "c"]));
    wires.push(transport.writes);
  }
  assertEquals(wires[0], wires[1]);
});

// The level of a class, and where the lines go

/** Runs with a level for a class, which is as before afterwards. */
async function atLevel(
  type: typeof HTTPConnection,
  level: number,
  run: () => unknown,
): Promise<string[]> {
  const before = type.debuglevel;
  type.debuglevel = level;
  try {
    return await printed(run);
  } finally {
    type.debuglevel = before;
  }
}

/** A subclass, for tests that set its level. */
function subclass(): typeof HTTPConnection {
  return class extends HTTPConnection {};
}

Deno.test("HTTPConnection.debuglevel prints for every connection, of subclasses, too", async () => {
  for (const type of [HTTPConnection, subclass()]) {
    const lines = await atLevel(HTTPConnection, 1, async () => {
      using conn = new type("example.com", over(answering(ok())));
      assertEquals(conn.debuglevel, 1);
      await getText(conn);
    });
    assert(lines.some((line) => line.startsWith("send: b'GET / HTTP/1.1")));
    assert(lines.some((line) => line.startsWith("reply: 'HTTP/1.1 200 OK")));
  }
});

Deno.test("HTTPConnection.debuglevel reaches connections that were made before", async () => {
  using conn = new HTTPConnection("example.com", over(answering(ok())));
  const lines = await atLevel(HTTPConnection, 1, () => getText(conn));
  assert(lines.length > 0);
});

Deno.test("HTTPConnection.debuglevel does not change a connection that has a level of its own", async () => {
  using conn = new HTTPConnection("example.com", over(answering(ok())));
  conn.set_debuglevel(0);
  assertEquals(await atLevel(HTTPConnection, 1, () => getText(conn)), []);
});

Deno.test("debuglevel of a subclass is its own, and that of its subclasses", async () => {
  const Base = subclass();
  class Leaf extends Base {}
  await atLevel(Base, 2, () => {
    const levels = [HTTPConnection, Base, Leaf].map((type) => new type("a").debuglevel);
    assertEquals(levels, [0, 2, 2]);
  });
  class Static extends HTTPConnection {
    static override debuglevel = 3;
  }
  assertEquals(new Static("a").debuglevel, 3);
});

Deno.test("debug takes the lines in place of the console, and as they would be there", async () => {
  const exchange = async (debug?: (line: string) => void) => {
    const answer = ok("x", "A: b\r\n");
    using conn = new HTTPConnection("example.com", {
      ...over(
        new FakeTransport([], {
          answers: [
            "HTTP/1.1 200 OK\r\nProxy: yes\r\n\r\n",
            `HTTP/1.1 100 Continue\r\n\r\n${answer}`,
          ],
        }),
      ),
      ...(debug === undefined ? {} : { debug }),
    });
    conn.set_debuglevel(1);
    conn.set_tunnel("origin.example", 80);
    await conn.request("PUT", "/", ["ab", "", "c"], { Authorization: "shown" });
    await (await conn.getresponse()).read();
  };
  const wanted = await printed(() => exchange());
  const lines: string[] = [];
  const rest = await printed(() => exchange((line) => void lines.push(line)));
  assertEquals([lines, rest], [wanted, []]);
  // As in Python, nothing is hidden.
  assert(lines.some((line) => line.includes("Authorization: shown")));
});

Deno.test("debug gets nothing while the level is 0", async () => {
  const lines: string[] = [];
  using conn = new HTTPConnection("example.com", {
    ...over(answering(ok())),
    debug: (line) => void lines.push(line),
  });
  await getText(conn);
  assertEquals(lines, []);
});

for (const prefix of ["send:", "reply:", "header:"]) {
  Deno.test(`what debug throws at "${prefix}" fails the exchange, and is not changed`, async () => {
    const reason = Object.freeze(new Error("by the user"));
    using conn = new HTTPConnection("example.com", {
      ...over(answering(ok()), answering(ok())),
      debug(line) {
        if (line.startsWith(prefix)) throw reason;
      },
    });
    conn.set_debuglevel(1);
    assertStrictEquals(await thrown(getText(conn)), reason);
    conn.set_debuglevel(0);
    assertEquals(await getText(conn), "ok");
  });
}
