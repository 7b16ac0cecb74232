/**
 * What a request is on the wire. The bytes are those that CPython 3.13 sends, unless a comment says
 * otherwise.
 *
 * @module
 */
import {
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  CannotSendRequest,
  type HeaderFields,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPMessage,
  HTTPResponse,
  HTTPSConnection,
  InvalidURL,
  NotConnected,
  type RequestBody,
  type RequestOptions,
  type Transport,
} from "../../mod.ts";
import {
  asyncGeneratorOf,
  generatorOf,
  readerOf,
  slowGeneratorOf,
  streamOf,
} from "../helpers/bodies.ts";
import { getText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { microtasks, never, soon, thrown, turns } from "../helpers/waiting.ts";
import { TempDir } from "../servers/child.ts";
import { bytes, startRaw } from "../servers/raw.ts";

const FIELDS = "Host: example.com\r\nAccept-Encoding: identity\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";

/** What goes over the wire, write by write. */
async function writesOf(
  run: (conn: HTTPConnection) => Promise<void>,
  options: HTTPConnectionOptions = {},
): Promise<string[]> {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", { ...over(transport), ...options });
  await run(conn);
  return transport.writes;
}

/** What goes over the wire for one request. */
async function wireOf(...request: Parameters<HTTPConnection["request"]>): Promise<string> {
  return (await writesOf((conn) => conn.request(...request))).join("");
}

function byteStreamOf(...pieces: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const piece = pieces.shift();
      if (piece !== undefined) return controller.enqueue(bytes(piece));
      controller.close();
      controller.byobRequest?.respond(0);
    },
  });
}

// Without a body

for (const method of ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X-Own"]) {
  Deno.test(`request() sends no Content-Length for ${method} without a body`, async () => {
    assertEquals(await wireOf(method, "/"), `${method} / HTTP/1.1\r\n${FIELDS}\r\n`);
  });
}

for (const method of ["POST", "PUT", "PATCH", "post", "Put"]) {
  Deno.test(`request() sends a Content-Length of 0 for ${method} without a body`, async () => {
    assertEquals(
      await wireOf(method, "/"),
      `${method} / HTTP/1.1\r\n${FIELDS}Content-Length: 0\r\n\r\n`,
    );
  });
}

for (const body of [null, undefined]) {
  Deno.test(`request() sends no body when it is ${body}`, async () => {
    assertEquals(await wireOf("GET", "/", body, null), `GET / HTTP/1.1\r\n${FIELDS}\r\n`);
  });
}

// Bodies

interface Kind {
  title: string;
  /** Made anew for each request. */
  body: () => RequestBody;
  /** What CPython sends after the generated fields. */
  sent: string;
}

const length = (text: string) => `Content-Length: ${text.length}\r\n\r\n${text}`;

const KINDS: Kind[] = [
  { title: "a string", body: () => "caf\xe9", sent: length("caf\xe9") },
  { title: "an empty string", body: () => "", sent: length("") },
  { title: "an ArrayBuffer", body: () => bytes("\0\xff").buffer, sent: length("\0\xff") },
  { title: "an empty ArrayBuffer", body: () => new ArrayBuffer(0), sent: length("") },
  { title: "a Uint8Array", body: () => bytes("\0\xff"), sent: length("\0\xff") },
  { title: "an empty Uint8Array", body: () => new Uint8Array(), sent: length("") },
  { title: "a subarray", body: () => bytes("abcd").subarray(1, 3), sent: length("bc") },
  { title: "a Uint16Array", body: () => new Uint16Array([1, 2]), sent: length("\x01\0\x02\0") },
  {
    title: "a BigInt64Array",
    body: () => new BigInt64Array([-1n]),
    sent: length("\xff".repeat(8)),
  },
  {
    title: "a DataView",
    body: () => new DataView(bytes("abcd").buffer, 1, 2),
    sent: length("bc"),
  },
  // CPython has no Blob: its size is known without reading.
  { title: "a Blob", body: () => new Blob(["a", bytes("\xff")]), sent: length("a\xff") },
  { title: "an empty Blob", body: () => new Blob([]), sent: length("") },
  {
    title: "a Reader",
    body: () => readerOf("hello"),
    sent: `${CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n`,
  },
  { title: "an empty Reader", body: () => readerOf(), sent: `${CHUNKED}\r\n0\r\n\r\n` },
  {
    title: "a ReadableStream of bytes",
    body: () => streamOf(bytes("ab"), bytes("\xff")),
    sent: `${CHUNKED}\r\n2\r\nab\r\n1\r\n\xff\r\n0\r\n\r\n`,
  },
  {
    title: "a ReadableStream of strings",
    body: () => streamOf("ab", "\xe9"),
    sent: `${CHUNKED}\r\n2\r\nab\r\n1\r\n\xe9\r\n0\r\n\r\n`,
  },
  {
    title: "a ReadableStream of type bytes",
    body: () => byteStreamOf("ab", "c"),
    sent: `${CHUNKED}\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n`,
  },
  {
    title: "an empty ReadableStream",
    body: () => streamOf<string>(),
    sent: `${CHUNKED}\r\n0\r\n\r\n`,
  },
  {
    title: "an array of bytes",
    body: () => [bytes("a".repeat(16)), bytes("b")],
    sent: `${CHUNKED}\r\n10\r\n${"a".repeat(16)}\r\n1\r\nb\r\n0\r\n\r\n`,
  },
  {
    title: "an array of strings",
    body: () => ["ab", "\xe9"],
    sent: `${CHUNKED}\r\n2\r\nab\r\n1\r\n\xe9\r\n0\r\n\r\n`,
  },
  {
    title: "an array with empty pieces",
    body: () => ["", "ab", new Uint8Array(), "c", ""],
    sent: `${CHUNKED}\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n`,
  },
  { title: "an empty array", body: () => [], sent: `${CHUNKED}\r\n0\r\n\r\n` },
  {
    title: "a generator",
    body: () => generatorOf<string | Uint8Array>("ab", bytes("\xff")),
    sent: `${CHUNKED}\r\n2\r\nab\r\n1\r\n\xff\r\n0\r\n\r\n`,
  },
  { title: "an empty generator", body: () => generatorOf(), sent: `${CHUNKED}\r\n0\r\n\r\n` },
  {
    title: "an async generator of bytes",
    body: () => asyncGeneratorOf(bytes("ab"), bytes("\xff")),
    sent: `${CHUNKED}\r\n2\r\nab\r\n1\r\n\xff\r\n0\r\n\r\n`,
  },
  {
    title: "an async generator of strings",
    body: () => asyncGeneratorOf("ab", "c"),
    sent: `${CHUNKED}\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n`,
  },
  {
    title: "an empty async generator",
    body: () => asyncGeneratorOf<string>(),
    sent: `${CHUNKED}\r\n0\r\n\r\n`,
  },
];

for (const { title, body, sent } of KINDS) {
  Deno.test(`request() sends ${title}`, async () => {
    assertEquals(await wireOf("POST", "/", body()), `POST / HTTP/1.1\r\n${FIELDS}${sent}`);
  });

  Deno.test(`request() sends head and body in one write when the body is ${title}`, async () => {
    const writes = await writesOf((conn) => conn.request("POST", "/", body()));
    assertEquals(writes, [`POST / HTTP/1.1\r\n${FIELDS}${sent}`]);
  });

  Deno.test(`request() writes the rest after short writes when the body is ${title}`, async () => {
    const transport = new FakeTransport([], { most: 7 });
    using conn = new HTTPConnection("example.com", over(transport));
    await conn.request("POST", "/", body());
    assertEquals(transport.writes.join(""), `POST / HTTP/1.1\r\n${FIELDS}${sent}`);
  });

  Deno.test(`request() sends one write on a reused connection when the body is ${title}`, async () => {
    const transport = answering(ok());
    using conn = new HTTPConnection("example.com", over(transport));
    await getText(conn, "/first");
    await conn.request("POST", "/", body());
    assertEquals(transport.writes.slice(1), [`POST / HTTP/1.1\r\n${FIELDS}${sent}`]);
  });
}

Deno.test("request() sends the Content-Length of a GET with an empty body", async () => {
  assertEquals(
    await wireOf("GET", "/", ""),
    `GET / HTTP/1.1\r\n${FIELDS}Content-Length: 0\r\n\r\n`,
  );
});

Deno.test("request() sends the same bytes when the pieces take their time", async () => {
  assertEquals(
    await wireOf("POST", "/", slowGeneratorOf("ab", "c")),
    `POST / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n`,
  );
});

Deno.test("request() sends the head before a body that does not come", async () => {
  const transport = new FakeTransport();
  const out = Promise.withResolvers<void>();
  transport.onWrite = () => out.resolve();
  using conn = new HTTPConnection("example.com", over(transport));
  const { promise: never, resolve: finish } = Promise.withResolvers<void>();
  const sending = conn.request(
    "POST",
    "/",
    async function* () {
      await never;
      yield "a";
    }(),
  );
  sending.catch(() => {});
  await out.promise;
  assertEquals(transport.writes, [`POST / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n`]);
  finish();
  await sending;
});

Deno.test("request() sends a piece before the next one is there", async () => {
  const transport = new FakeTransport();
  const out = Promise.withResolvers<void>();
  transport.onWrite = ({ sent }) => sent.includes("first") && out.resolve();
  using conn = new HTTPConnection("example.com", over(transport));
  const { promise: next, resolve: finish } = Promise.withResolvers<void>();
  const sending = conn.request(
    "POST",
    "/",
    async function* () {
      yield "first";
      await next;
      yield "second";
    }(),
  );
  sending.catch(() => {});
  await out.promise;
  assertStringIncludes(transport.sent, "\r\n5\r\nfirst\r\n");
  finish();
  await sending;
});

async function withFile(text: string, use: (file: Deno.FsFile) => Promise<void>): Promise<void> {
  await using dir = new TempDir("http-client");
  using file = await Deno.open(dir.write("body", bytes(text)));
  await use(file);
}

Deno.test("request() sends a file chunked", async () => {
  await withFile("hello \xff", async (file) => {
    assertEquals(
      await wireOf("PUT", "/", file),
      `PUT / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n7\r\nhello \xff\r\n0\r\n\r\n`,
    );
  });
});

Deno.test("request() sends head and file in one write when the file is small", async () => {
  // The head waits only a moment for the disk, which may be busy: one of several tries is enough.
  const counts: number[] = [];
  for (let i = 0; i < 8 && !counts.includes(1); i++) {
    await withFile("hello", async (file) => {
      counts.push((await writesOf((conn) => conn.request("PUT", "/", file))).length);
    });
  }
  assertEquals(counts.at(-1), 1);
});

Deno.test("request() sends an empty chunked body when a file is empty", async () => {
  await withFile("", async (file) => {
    assertEquals(
      await wireOf("PUT", "/", file),
      `PUT / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n0\r\n\r\n`,
    );
  });
});

Deno.test("request() sends a file from where it stands, and does not close it", async () => {
  await withFile("hello", async (file) => {
    await file.seek(3, Deno.SeekMode.Start);
    assertEquals(
      await wireOf("PUT", "/", file),
      `PUT / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n2\r\nlo\r\n0\r\n\r\n`,
    );
    assertEquals(await file.seek(0, Deno.SeekMode.Current), 5);
  });
});

Deno.test("request() sends a file as it is when there is a Content-Length", async () => {
  await withFile("hello", async (file) => {
    assertEquals(
      await wireOf("PUT", "/", file, { "Content-Length": "5" }),
      `PUT / HTTP/1.1\r\n${FIELDS}Content-Length: 5\r\n\r\nhello`,
    );
  });
});

Deno.test("request() sends chunks of blocksize when the body is a Reader", async () => {
  await withFile("1234567", async (file) => {
    const writes = await writesOf((conn) => conn.request("PUT", "/", file), { blocksize: 3 });
    assertEquals(
      writes.join(""),
      `PUT / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n3\r\n123\r\n3\r\n456\r\n1\r\n7\r\n0\r\n\r\n`,
    );
  });
});

Deno.test("blocksize takes effect with the next request when it is set", async () => {
  const writes = await writesOf(async (conn) => {
    assertEquals(conn.blocksize, 8192);
    conn.blocksize = 4;
    await withFile("12345", (file) => conn.request("PUT", "/", file));
  });
  assertStringIncludes(writes.join(""), "\r\n4\r\n1234\r\n1\r\n5\r\n0\r\n\r\n");
});

Deno.test("request() sends a body of 8 KiB in the head's write", async () => {
  const body = "a".repeat(8192);
  assertEquals(await writesOf((conn) => conn.request("POST", "/", body)), [
    `POST / HTTP/1.1\r\n${FIELDS}Content-Length: 8192\r\n\r\n${body}`,
  ]);
});

Deno.test("request() sends a large body whole, in few writes", async () => {
  const body = "abcdefgh".repeat(1 << 17);
  const writes = await writesOf((conn) => conn.request("POST", "/", body));
  assertEquals(
    writes.join("") === `POST / HTTP/1.1\r\n${FIELDS}Content-Length: ${1 << 20}\r\n\r\n${body}`,
    true,
  );
  assertEquals(writes.length <= 2, true);
});

Deno.test("request() sends small pieces together, each in a chunk of its own", async () => {
  const pieces = Array.from({ length: 10000 }, (_, i) => String(i % 10));
  const writes = await writesOf((conn) => conn.request("POST", "/", pieces));
  assertEquals(
    writes.join("") === `POST / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n` +
        pieces.map((piece) => `1\r\n${piece}\r\n`).join("") + "0\r\n\r\n",
    true,
  );
  assertEquals(writes.length <= 2, true);
});

Deno.test("request() sends the bytes as they were before it resolved", async () => {
  const body = bytes("abc");
  const writes = await writesOf(async (conn) => {
    await conn.request("POST", "/", body);
    body.fill(0);
  });
  assertStringIncludes(writes.join(""), "\r\n\r\nabc");
});

Deno.test("request() sends the response of another connection", async () => {
  const source = new FakeTransport([ok("hello")]);
  using from = new HTTPConnection("example.com", over(source));
  await from.request("GET", "/");
  const response = await from.getresponse();
  const wire = await wireOf("POST", "/", response);
  assertEquals(wire, `POST / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n`);
});

// Framing that the caller chooses

type Framing = [
  title: string,
  body: RequestBody | null,
  headers: HeaderFields,
  options: RequestOptions,
  sent: string,
];

const FRAMINGS: Framing[] = [
  [
    "keeps an iterable from being chunked when there is a Content-Length",
    ["ab", "c"],
    { "Content-Length": "3" },
    {},
    "Content-Length: 3\r\n\r\nabc",
  ],
  [
    "follows Content-Length rather than encode_chunked",
    ["ab", "c"],
    { "content-length": "3" },
    { encode_chunked: true },
    "content-length: 3\r\n\r\nabc",
  ],
  [
    "takes a number for Content-Length",
    ["abc"],
    { "Content-Length": 3 },
    {},
    "Content-Length: 3\r\n\r\nabc",
  ],
  [
    "leaves chunking to the caller when there is a Transfer-Encoding",
    ["1\r\na\r\n", "0\r\n\r\n"],
    { "Transfer-Encoding": "chunked" },
    {},
    "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
  ],
  [
    "chunks an iterable when there are Transfer-Encoding and encode_chunked",
    ["ab", "c"],
    { "Transfer-Encoding": "chunked" },
    { encode_chunked: true },
    "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
  ],
  [
    "chunks a string when there are Transfer-Encoding and encode_chunked",
    "abc",
    { "transfer-encoding": "gzip, chunked" },
    { encode_chunked: true },
    "transfer-encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  ],
  [
    "ends an empty string when there are Transfer-Encoding and encode_chunked",
    "",
    { "Transfer-Encoding": "chunked" },
    { encode_chunked: true },
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  [
    "sends no chunk when there are Transfer-Encoding and encode_chunked without a body",
    null,
    { "Transfer-Encoding": "chunked" },
    { encode_chunked: true },
    "Transfer-Encoding: chunked\r\n\r\n",
  ],
  [
    "does not chunk a string when there is encode_chunked alone",
    "abc",
    {},
    { encode_chunked: true },
    "Content-Length: 3\r\n\r\nabc",
  ],
  [
    "does not chunk when there is encode_chunked alone, and no body",
    null,
    {},
    { encode_chunked: true },
    "Content-Length: 0\r\n\r\n",
  ],
  [
    "chunks an iterable when encode_chunked is false",
    ["abc"],
    {},
    { encode_chunked: false },
    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  ],
  [
    "follows Content-Length rather than encode_chunked",
    ["abc"],
    { "Content-Length": "3" },
    { encode_chunked: true },
    "Content-Length: 3\r\n\r\nabc",
  ],
];

for (const [title, body, headers, options, sent] of FRAMINGS) {
  Deno.test(`request() ${title}`, async () => {
    assertEquals(
      await wireOf("POST", "/", body, headers, options),
      `POST / HTTP/1.1\r\n${FIELDS}${sent}`,
    );
  });
}

Deno.test("request() sends trailers behind a chunked body", async () => {
  assertEquals(
    await wireOf("POST", "/", ["a"], { Trailer: "X-Sum" }, { trailers: { "X-Sum": "1" } }),
    `POST / HTTP/1.1\r\n${FIELDS}${CHUNKED}Trailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n`,
  );
});

// Fields

const message = new HTTPMessage();
for (const [name, value] of [["x-B", "1"], ["X-a", "2"], ["x-b", "3"]]) message.append(name, value);

const HEADERS: [title: string, headers: HeaderFields, sent: string][] = [
  ["a record", { "x-B": "1", "X-a": "2" }, "x-B: 1\r\nX-a: 2\r\n"],
  [
    "Headers, which lower and sort names",
    new Headers({ "x-B": "1", "X-a": "2" }),
    [
      "x-a: 2\r\n",
      "x-b: 1\r\n",
    ].join(""),
  ],
  ["a Map", new Map([["x-B", "1"], ["X-a", "2"]]), "x-B: 1\r\nX-a: 2\r\n"],
  [
    "pairs, repeated ones too",
    [["x-B", "1"], ["X-a", "2"], ["x-b", "3"]],
    [
      "x-B: 1\r\n",
      "X-a: 2\r\n",
      "x-b: 3\r\n",
    ].join(""),
  ],
  ["an HTTPMessage", message, "x-B: 1\r\nX-a: 2\r\nx-b: 3\r\n"],
  ["a generator of pairs", generatorOf<[string, string]>(["x-B", "1"]), "x-B: 1\r\n"],
  ["a record without a prototype", Object.assign(Object.create(null), { A: "b" }), "A: b\r\n"],
  ["numbers and bytes", { A: 1, B: bytes("\xff") }, "A: 1\r\nB: \xff\r\n"],
  ["values outside of US-ASCII", { A: "caf\xe9" }, "A: caf\xe9\r\n"],
  ["empty values and tabs", { A: "", B: "a\tb" }, "A: \r\nB: a\tb\r\n"],
];

for (const [title, headers, sent] of HEADERS) {
  Deno.test(`request() keeps the order and case of fields from ${title}`, async () => {
    assertEquals(
      await wireOf("GET", "/", null, headers),
      `GET / HTTP/1.1\r\n${FIELDS}${sent}\r\n`,
    );
  });
}

Deno.test("request() sends its own framing before the caller's fields", async () => {
  assertEquals(
    await wireOf("POST", "/", "abc", { "X-A": "1" }),
    `POST / HTTP/1.1\r\n${FIELDS}Content-Length: 3\r\nX-A: 1\r\n\r\nabc`,
  );
});

Deno.test("request() sends the caller's Host where it was put", async () => {
  assertEquals(
    await wireOf("GET", "/", null, { "X-A": "1", hOST: "other" }),
    "GET / HTTP/1.1\r\nAccept-Encoding: identity\r\nX-A: 1\r\nhOST: other\r\n\r\n",
  );
});

Deno.test("request() sends the caller's Host rather than that of the target", async () => {
  assertEquals(
    await wireOf("GET", "http://target/", null, { Host: "other" }),
    "GET http://target/ HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: other\r\n\r\n",
  );
});

Deno.test("request() sends the caller's Accept-Encoding", async () => {
  assertEquals(
    await wireOf("GET", "/", null, { "ACCEPT-encoding": "gzip" }),
    "GET / HTTP/1.1\r\nHost: example.com\r\nACCEPT-encoding: gzip\r\n\r\n",
  );
});

// Targets

const TARGETS: [url: string, target: string, host: string][] = [
  ["/p?q#f", "/p?q#f", "example.com"],
  ["", "/", "example.com"],
  ["*", "*", "example.com"],
  ["relative", "relative", "example.com"],
  ["//other/x", "//other/x", "example.com"],
  ["/%20%0d%0a", "/%20%0d%0a", "example.com"],
  ["http://other/x", "http://other/x", "other"],
  ["https://other:81", "https://other:81", "other:81"],
  ["http://[::1]:81/", "http://[::1]:81/", "[::1]:81"],
  ["ftp://other/", "ftp://other/", "example.com"],
  ["http:///x", "http:///x", "example.com"],
  // CPython sends the user information in Host too, which RFC 9110, Section 4.2.4 forbids.
  ["http://user:secret@other/", "http://user:secret@other/", "other"],
];

for (const [url, target, host] of TARGETS) {
  Deno.test(`request() sends the target ${JSON.stringify(url)} with Host: ${host}`, async () => {
    assertEquals(
      await wireOf("GET", url),
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nAccept-Encoding: identity\r\n\r\n`,
    );
  });
}

const SITES: [host: string, port: number | undefined, field: string][] = [
  ["h", undefined, "h"],
  ["h", 80, "h"],
  ["h:81", undefined, "h:81"],
  ["h", 443, "h:443"],
  ["h:", undefined, "h"],
  ["127.0.0.1", 81, "127.0.0.1:81"],
  ["[::1]", undefined, "[::1]"],
  ["[::1]:81", undefined, "[::1]:81"],
  ["::1", 81, "[::1]:81"],
  ["fe80::1%eth0", 80, "[fe80::1]"],
  ["b\xfccher.example", 81, "xn--bcher-kva.example:81"],
];

for (const [host, port, field] of SITES) {
  Deno.test(`request() sends Host: ${field} for ${host} and port ${port}`, async () => {
    const transport = new FakeTransport();
    using conn = new HTTPConnection(host, port, over(transport));
    await conn.request("GET", "/");
    assertEquals(
      transport.sent,
      `GET / HTTP/1.1\r\nHost: ${field}\r\nAccept-Encoding: identity\r\n\r\n`,
    );
  });
}

Deno.test("request() leaves the default port of a subclass out of Host", async () => {
  class Own extends HTTPConnection {
    static {
      this.prototype.default_port = 8000;
    }
  }
  const transport = new FakeTransport();
  using conn = new Own("h", over(transport));
  assertEquals(conn.port, 8000);
  await conn.request("GET", "/");
  assertStringIncludes(transport.sent, "\r\nHost: h\r\n");
});

// Step by step

type Steps = [title: string, run: (conn: HTTPConnection) => Promise<void>, sent: string];

const STEPS: Steps[] = [
  ["endheaders() sends the request line and the generated fields", async (conn) => {
    conn.putrequest("GET", "/");
    await conn.endheaders();
  }, `GET / HTTP/1.1\r\n${FIELDS}\r\n`],
  ["putrequest() generates no Host when skip_host is true", async (conn) => {
    conn.putrequest("GET", "/", true);
    await conn.endheaders();
  }, "GET / HTTP/1.1\r\nAccept-Encoding: identity\r\n\r\n"],
  ["putrequest() generates no Accept-Encoding when skip_accept_encoding is true", async (conn) => {
    conn.putrequest("GET", "/", false, true);
    await conn.endheaders();
  }, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"],
  ["putrequest() takes both flags as an object", async (conn) => {
    conn.putrequest("GET", "/", { skip_host: true, skip_accept_encoding: true });
    await conn.endheaders();
  }, "GET / HTTP/1.1\r\n\r\n"],
  ["putrequest() takes an empty object of flags", async (conn) => {
    conn.putrequest("GET", "/", {});
    await conn.endheaders();
  }, `GET / HTTP/1.1\r\n${FIELDS}\r\n`],
  ["putrequest() takes an empty target for /", async (conn) => {
    conn.putrequest("GET", "");
    await conn.endheaders();
  }, `GET / HTTP/1.1\r\n${FIELDS}\r\n`],
  ["putheader() sends one field when it is given several values", async (conn) => {
    conn.putrequest("GET", "/", true, true);
    conn.putheader("X", "a", bytes("b"), 3);
    conn.putheader("Y");
    await conn.endheaders();
  }, "GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\t3\r\nY: \r\n\r\n"],
  ["putheader() sends a Host in place of the one that skip_host leaves out", async (conn) => {
    conn.putrequest("GET", "/", true);
    conn.putheader("Host", "other");
    await conn.endheaders();
  }, "GET / HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: other\r\n\r\n"],
  ["endheaders() generates no framing", async (conn) => {
    conn.putrequest("POST", "/");
    await conn.endheaders();
  }, `POST / HTTP/1.1\r\n${FIELDS}\r\n`],
  ["endheaders() sends a body of bytes", async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 3);
    await conn.endheaders(bytes("abc"));
  }, `POST / HTTP/1.1\r\n${FIELDS}Content-Length: 3\r\n\r\nabc`],
  ["endheaders() does not chunk an iterable by itself", async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", "3");
    await conn.endheaders([bytes("ab"), bytes("c")]);
  }, `POST / HTTP/1.1\r\n${FIELDS}Content-Length: 3\r\n\r\nabc`],
  ["endheaders() sends bytes as one chunk when encode_chunked is set", async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Transfer-Encoding", "chunked");
    await conn.endheaders(bytes("abc"), { encode_chunked: true });
  }, `POST / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n3\r\nabc\r\n0\r\n\r\n`],
  ["endheaders() sends each piece as a chunk when encode_chunked is set", async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Transfer-Encoding", "chunked");
    await conn.endheaders(generatorOf(bytes("ab"), bytes(""), bytes("c")), {
      encode_chunked: true,
    });
  }, `POST / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n`],
  ["send() sends every kind of body after endheaders()", async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 9);
    await conn.endheaders();
    await conn.send(bytes("abc"));
    await conn.send([bytes("d"), bytes("e")]);
    await conn.send(readerOf("fg"));
    // CPython refuses a string here.
    await conn.send("\xe9");
    await conn.send(streamOf(bytes("h")));
  }, `POST / HTTP/1.1\r\n${FIELDS}Content-Length: 9\r\n\r\nabcdefg\xe9h`],
  ["send() adds no framing", async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Transfer-Encoding", "chunked");
    await conn.endheaders();
    await conn.send("1\r\na\r\n");
    await conn.send("0\r\n\r\n");
  }, `POST / HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n1\r\na\r\n0\r\n\r\n`],
];

for (const [title, run, sent] of STEPS) {
  Deno.test(title, async () => {
    assertEquals((await writesOf(run)).join(""), sent);
  });
}

Deno.test("endheaders() is the first to send or connect", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  conn.putrequest("GET", "/");
  conn.putheader("A", "b");
  assertEquals([transport.writes, conn.sock], [[], null]);
  await conn.endheaders();
  assertEquals(transport.writes.length, 1);
});

Deno.test("endheaders() sends head and body in one write", async () => {
  const writes = await writesOf(async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", "3");
    await conn.endheaders("abc");
  });
  assertEquals(writes.length, 1);
});

Deno.test("send() writes the rest after short writes", async () => {
  const transport = new FakeTransport([], { most: 2 });
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.send("abcde");
  assertEquals(transport.writes, ["ab", "cd", "e"]);
});

Deno.test("request() throws when a transport accepts nothing, rather than try for ever", async () => {
  const endless = new Error("the loop is endless");
  let writes = 0;
  const transport: Transport = {
    read: () => never(),
    write: () => ++writes > 100 ? Promise.reject(endless) : Promise.resolve(0),
    close() {},
  };
  using conn = new HTTPConnection("example.com", over(transport));
  const error = await assertRejects(() => conn.request("GET", "/"), Error);
  assertNotEquals(error, endless);
});

Deno.test("send() connects by itself, as in CPython", async () => {
  assertEquals(await writesOf((conn) => conn.send("raw")), ["raw"]);
});

// What is refused

/** Asserts that a call is refused, that nothing of it is sent, and that the next one is as usual. */
async function assertRefused(
  run: (conn: HTTPConnection) => unknown,
  errorClass: new (...args: never[]) => Error,
): Promise<void> {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  await assertRejects(
    async () => await run(conn),
    errorClass as unknown as new (...args: unknown[]) => Error,
  );
  assertEquals(transport.writes, []);
  await conn.request("GET", "/after");
  assertEquals(transport.sent, `GET /after HTTP/1.1\r\n${FIELDS}\r\n`);
}

const SMUGGLED = "\r\nX: y\r\n\r\nDELETE / HTTP/1.1\r\nHost: example.com\r\n\r\n";

const METHODS: unknown[] = [
  "",
  "GET ",
  " GET",
  "G ET",
  "GET\r",
  "GET\n",
  "GET\0",
  "GET\t",
  "GET / HTTP/1.1" + SMUGGLED,
  "G\xc9T",
  "GET:",
  null,
  undefined,
  1,
];

for (const method of METHODS) {
  Deno.test(`request() throws a TypeError when the method is ${JSON.stringify(method)?.slice(0, 30)}`, async () => {
    await assertRefused((conn) => conn.request(method as string, "/"), TypeError);
  });
}

const BAD_TARGETS = [
  "/a b",
  "/\r",
  "/\n",
  "/\0",
  "/\t",
  "/\x7f",
  " /",
  "/ HTTP/1.1" + SMUGGLED,
  "http://other\r\n/",
  "http://o ther/",
];

for (const url of BAD_TARGETS) {
  Deno.test(`request() throws an InvalidURL when the target is ${JSON.stringify(url).slice(0, 30)}`, async () => {
    await assertRefused((conn) => conn.request("GET", url), InvalidURL);
  });
}

for (const url of ["/caf\xe9", "/\u20ac", "http://b\xfccher.example/"]) {
  Deno.test(`request() throws a TypeError when the target is ${JSON.stringify(url)}`, async () => {
    await assertRefused((conn) => conn.request("GET", url), TypeError);
  });
}

const BAD_FIELDS: [name: unknown, value: unknown][] = [
  ["", "a"],
  ["A B", "a"],
  [" A", "a"],
  ["A ", "a"],
  ["A:", "a"],
  ["A\r\nX", "a"],
  ["A: b" + SMUGGLED, "a"],
  ["A\0", "a"],
  ["A\t", "a"],
  ["caf\xe9", "a"],
  [":method", "a"],
  [1, "a"],
  ["A", "b\r\nX: y"],
  ["A", "b\nX: y"],
  ["A", "b\rX: y"],
  ["A", "b" + SMUGGLED],
  ["A", "b\r\n"],
  ["A", "\n"],
  ["A", "b\0"],
  ["A", "b\x0b"],
  ["A", "b\x7f"],
  ["A", "\u20ac"],
  // \u0a0d and \u010a end in the bytes of CR and LF.
  ["A", "b\u0a0d\u010aX: y"],
  ["A", bytes("b\r\nX: y")],
  ["A", null],
  ["A", undefined],
  ["A", { toString: () => "b" }],
  // CPython sends a fold; RFC 9112, Section 5.2 forbids to.
  ["A", "b\r\n c"],
];

for (const [name, value] of BAD_FIELDS) {
  const shown = [name, value].map((part) => `${JSON.stringify(part)}`.slice(0, 40)).join(": ");
  const pairs = [["Good", "1"], [name, value]] as HeaderFields;

  Deno.test(`request() throws a TypeError when a field is ${shown}`, async () => {
    await assertRefused((conn) => conn.request("GET", "/", null, pairs), TypeError);
  });

  Deno.test(`putheader() throws a TypeError and adds nothing when the field is ${shown}`, async () => {
    const writes = await writesOf(async (conn) => {
      conn.putrequest("GET", "/", true, true);
      assertThrows(() => conn.putheader(name as string, "good", value as string), TypeError);
      conn.putheader("B", "c");
      await conn.endheaders();
    });
    assertEquals(writes, ["GET / HTTP/1.1\r\nB: c\r\n\r\n"]);
  });

  Deno.test(`set_tunnel() throws a TypeError when a field is ${shown}`, async () => {
    await assertRefused((conn) => conn.set_tunnel("origin", 443, pairs), TypeError);
  });

  Deno.test(`request() throws a TypeError before it opens its body when a trailer is ${shown}`, async () => {
    let opened = false;
    const body = function* () {
      opened = true;
      yield "a";
    }();
    await assertRefused(
      (conn) => conn.request("POST", "/", body, {}, { trailers: pairs }),
      TypeError,
    );
    assertEquals(opened, false);
  });
}

/** Fields that say where the request ends, or for whom it is: no two readers may disagree. */
const AMBIGUOUS: [title: string, body: RequestBody | null, headers: [string, string][]][] = [
  ["Content-Length and Transfer-Encoding", "0\r\n\r\n", [
    ["Content-Length", "5"],
    ["Transfer-Encoding", "chunked"],
  ]],
  ["Transfer-Encoding and Content-Length", ["abc"], [
    ["transfer-encoding", "chunked"],
    ["content-length", "3"],
  ]],
  ["both without a body", null, [["Content-Length", "0"], ["Transfer-Encoding", "chunked"]]],
  ["two Content-Length", "abc", [["Content-Length", "3"], ["content-length", "3"]]],
  ["two Transfer-Encoding", ["abc"], [
    ["Transfer-Encoding", "chunked"],
    ["TRANSFER-ENCODING", "identity"],
  ]],
  ["two Host", null, [["Host", "a.example"], ["host", "b.example"]]],
  ...["asd", "-1", "+1", "1, 1", "", "0x1", "1.0", "1e0", "1_0", "9007199254740993"].map((
    value,
  ): [string, RequestBody, [string, string][]] => [
    `a Content-Length of ${JSON.stringify(value)}`,
    "a",
    [["Content-Length", value]],
  ]),
];

for (const [title, body, headers] of AMBIGUOUS) {
  Deno.test(`request() throws a TypeError when it has ${title}`, async () => {
    await assertRefused((conn) => conn.request("POST", "/", body, headers), TypeError);
  });

  Deno.test(`putheader() throws a TypeError and adds nothing when that makes ${title}`, async () => {
    const [last, ...before] = headers.toReversed();
    const writes = await writesOf(async (conn) => {
      conn.putrequest("GET", "/", true, true);
      for (const [name, value] of before) conn.putheader(name, value);
      assertThrows(() => conn.putheader(...last), TypeError);
      await conn.endheaders();
    });
    const fields = before.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    assertEquals(writes.join(""), `GET / HTTP/1.1\r\n${fields}\r\n`);
  });
}

Deno.test("putheader() throws a TypeError when it adds a Host to the generated one", async () => {
  const writes = await writesOf(async (conn) => {
    conn.putrequest("GET", "/");
    assertThrows(() => conn.putheader("Host", "other"), TypeError);
    await conn.endheaders();
  });
  assertEquals(writes.join(""), `GET / HTTP/1.1\r\n${FIELDS}\r\n`);
});

/** Bodies whose size is known before a byte of them is sent: three bytes. */
const SIZED: [title: string, body: () => RequestBody][] = [
  ["a string", () => "abc"],
  ["a Uint8Array", () => bytes("abc")],
  ["an ArrayBuffer", () => bytes("abc").buffer],
  ["a DataView", () => new DataView(bytes("abc").buffer)],
  ["a Blob", () => new Blob(["abc"])],
];

for (const [title, body] of SIZED) {
  for (const declared of ["0", "2", "4", "100000"]) {
    Deno.test(`request() throws a TypeError when Content-Length is ${declared} and the body is 3 bytes of ${title}`, async () => {
      await assertRefused(
        (conn) => conn.request("POST", "/", body(), { "Content-Length": declared }),
        TypeError,
      );
    });
  }
}

/** Bodies whose size shows while they are read: three bytes. */
const UNSIZED: [title: string, body: () => RequestBody][] = [
  ["an array", () => ["a", "bc"]],
  ["a generator", () => generatorOf("a", "bc")],
  ["an async generator", () => slowGeneratorOf("a", "bc")],
  ["a stream", () => streamOf(bytes("a"), bytes("bc"))],
  ["a Reader", () => readerOf("a", "bc")],
];

for (const [title, body] of UNSIZED) {
  for (const declared of [2, 4]) {
    Deno.test(`request() throws a TypeError and nothing follows when Content-Length is ${declared} and ${title} gives 3 bytes`, async () => {
      const first = new FakeTransport();
      const second = answering(ok("second"));
      using conn = new HTTPConnection("example.com", over(first, second));
      await assertRejects(
        () => conn.request("POST", "/", body(), { "Content-Length": declared }),
        TypeError,
      );
      assertEquals(first.closes, 1);
      // Never more than was declared: that would be the next request.
      const sent = first.sent.slice(first.sent.indexOf("\r\n\r\n") + 4);
      assertEquals("abc".slice(0, declared).startsWith(sent), true, sent);
      assertEquals(await getText(conn), "second");
    });
  }
}

for (
  const [title, change] of [
    ["transferred", (buffer: ArrayBuffer) => void structuredClone(buffer, { transfer: [buffer] })],
    ["shrunk", (buffer: ArrayBuffer) => buffer.resize(1)],
  ] as const
) {
  Deno.test(`request() throws a TypeError when its body is ${title} before it is written`, async () => {
    const first = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(first, answering(ok("second"))));
    const buffer = new ArrayBuffer(3, { maxByteLength: 8 });
    const sent = conn.request("POST", "/", new Uint8Array(buffer));
    change(buffer);
    await assertRejects(() => sent, TypeError);
    assertEquals(first.closes, 1);
    assertEquals(await getText(conn), "second");
  });

  Deno.test(`send() throws a TypeError when its bytes are ${title} before they are written`, async () => {
    const first = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(first, answering(ok("second"))));
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 3);
    const head = conn.endheaders();
    const buffer = new ArrayBuffer(3, { maxByteLength: 8 });
    const sent = conn.send(new Uint8Array(buffer));
    change(buffer);
    await head;
    await assertRejects(() => sent, TypeError);
    assertEquals(await getText(conn), "second");
  });
}

// Calls that are not awaited

const SMUGGLED_HEAD = "DELETE /admin HTTP/1.1\r\nHost: x\r\n\r\n";

/** How a transport takes what is written. */
const TAKING: [name: string, most: number, ticks: number][] = [
  ["whole", Infinity, 0],
  ["whole, and late", Infinity, 20],
  ["byte by byte", 1, 0],
  ["in pieces, and late", 7, 5],
];

for (const [taking, most, ticks] of TAKING) {
  for (const kept of [false, true]) {
    const place = `a ${kept ? "kept" : "new"} connection that takes it ${taking}`;

    Deno.test(`send() follows the head and the send() before it when nothing is awaited, on ${place}`, async () => {
      const transport = new FakeTransport([], { most, answers: kept ? [ok()] : [] });
      const write = transport.write.bind(transport);
      transport.write = async (p) => {
        await microtasks(ticks);
        return await write(p);
      };
      using conn = new HTTPConnection("example.com", over(transport));
      if (kept) {
        const first = conn.request("GET", "/warm");
        if (most < 100) transport.arrive(ok());
        await first;
        await (await conn.getresponse()).read();
      }
      const before = transport.sent.length;
      conn.putrequest("PUT", "/file");
      conn.putheader("Content-Length", SMUGGLED_HEAD.length + 6);
      const calls = [
        conn.endheaders(),
        conn.send(SMUGGLED_HEAD),
        conn.send(slowGeneratorOf("a", "b")),
        conn.send(bytes("c")),
        conn.send(["d", "e"]),
        conn.send("f"),
      ];
      await Promise.all(calls);
      assertEquals(
        transport.sent.slice(before),
        `PUT /file HTTP/1.1\r\n${FIELDS}Content-Length: ${SMUGGLED_HEAD.length + 6}\r\n\r\n` +
          `${SMUGGLED_HEAD}abcdef`,
      );
    });
  }
}

Deno.test("send() throws CannotSendRequest between putrequest() and endheaders(), and the request goes on", async () => {
  const writes = await writesOf(async (conn) => {
    conn.putrequest("PUT", "/");
    await assertRejects(() => conn.send("early"), CannotSendRequest);
    conn.putheader("Content-Length", 4);
    await conn.endheaders();
    await conn.send("late");
  });
  assertEquals(writes.join(""), `PUT / HTTP/1.1\r\n${FIELDS}Content-Length: 4\r\n\r\nlate`);
});

Deno.test("close() ends every send() that waits", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  conn.putrequest("PUT", "/");
  conn.putheader("Content-Length", 8);
  await conn.endheaders();
  transport.write = () => never();
  const calls = [conn.send("body"), conn.send("more")];
  await turns();
  conn.close();
  for (const call of calls) await assertRejects(() => soon(call), Deno.errors.Interrupted);
});

for (
  const [title, begin] of [
    ["without a request", () => Promise.resolve()],
    ["after a head that announces no body", (conn: HTTPConnection) => {
      conn.putrequest("POST", "/");
      return conn.endheaders();
    }],
  ] as const
) {
  Deno.test(`send() sends raw bytes, and nothing follows, ${title}`, async () => {
    const first = new FakeTransport([ok("first")]);
    using conn = new HTTPConnection("example.com", over(first, answering(ok("second"))));
    await begin(conn);
    await conn.send("raw");
    assertEquals(first.sent.endsWith("raw"), true);
    if (first.sent !== "raw") assertEquals(await (await conn.getresponse()).text(), "first");
    assertEquals(await getText(conn), "second");
    assertEquals([first.closes, first.sent.endsWith("raw")], [1, true]);
  });
}

// Step by step, under a Content-Length

/** Begins a request that declares five bytes. */
async function declareFive(conn: HTTPConnection): Promise<void> {
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", 5);
  await conn.endheaders();
}

Deno.test("send() throws a TypeError and sends nothing of it when it is more than was declared", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  await declareFive(conn);
  await conn.send("abc");
  const before = transport.sent;
  await assertRejects(() => conn.send("def"), TypeError);
  assertEquals(transport.sent, before);
  await conn.send("de");
  transport.arrive(ok());
  const response = await conn.getresponse();
  assertEquals([await response.text(), response.requestComplete], ["ok", true]);
  assertEquals(transport.sent, `${before}de`);
});

Deno.test("requestComplete is false, and nothing follows, when send() gave less than was declared", async () => {
  const first = answering(ok("one"));
  using conn = new HTTPConnection("example.com", over(first, answering(ok("two"))));
  await declareFive(conn);
  await conn.send("abc");
  const response = await conn.getresponse();
  assertEquals([await response.text(), response.requestComplete], ["one", false]);
  assertEquals(await getText(conn), "two");
  assertEquals([first.writes.length, first.closes], [2, 1]);
});

Deno.test("send() takes the rest of a declared body nowhere after detach()", async () => {
  const first = answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n");
  const second = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(first, second));
  await declareFive(conn);
  await conn.getresponse();
  const before = first.sent;
  using _detached = conn.detach();
  await conn.send("abc");
  assertEquals([first.sent, second.sent], [before, ""]);
});

/** Answers that come before a request is whole, and whether its connection goes on. */
const EARLY: [name: string, answer: string, isKept: boolean][] = [
  ["413", "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno", false],
  ["413 without a body", "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", false],
  ["200 that closes", ok("ok", "Connection: close\r\n"), false],
  ["200", ok(), true],
];

for (const [name, answer, isKept] of EARLY) {
  Deno.test(`send() never takes the rest of a declared body to another connection behind a ${name}`, async () => {
    const first = answering(answer);
    using conn = new HTTPConnection("example.com", over(first));
    await declareFive(conn);
    await conn.send("abc");
    const response = await conn.getresponse();
    await response.read();
    const before = first.sent;
    await conn.send("de");
    assertEquals(first.sent, isKept ? `${before}de` : before);
    assertEquals(response.requestComplete, isKept);
  });
}

for (
  const [name, answer] of [
    ["a 200 that closes", ok("ok", "Connection: close\r\n")],
    ["a 413 that closes", "HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"],
  ]
) {
  Deno.test(`send() refuses more of a body that the caller frames behind ${name}`, async () => {
    const second = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(answering(answer), second));
    conn.putrequest("POST", "/");
    conn.putheader("Transfer-Encoding", "chunked");
    await conn.endheaders("3\r\nabc\r\n");
    await (await conn.getresponse()).read();
    await assertRejects(() => conn.send("0\r\n\r\n"), NotConnected);
    await assertRejects(() => conn.send("0\r\n\r\n"), NotConnected);
    assertEquals(second.sent, "");
  });
}

/** Ways of the user's to another connection, behind which bytes are no rest of a request. */
const MAKING: [name: string, make: (conn: HTTPConnection, transport: Transport) => unknown][] = [
  ["connect()", (conn) => conn.connect()],
  ["connect() that is not awaited", (conn) => void conn.connect()],
  ["sock =", (conn, transport) => conn.sock = transport],
];

for (const [name, make] of MAKING) {
  for (const field of ["Content-Length", "Transfer-Encoding"]) {
    Deno.test(`send() goes out raw behind ${name} when a body framed by ${field} was not completed`, async () => {
      const second = new FakeTransport();
      const first = answering(ok("ok", "Connection: close\r\n"));
      using conn = new HTTPConnection("example.com", over(first, second));
      conn.putrequest("POST", "/");
      conn.putheader(field, field === "Content-Length" ? 5 : "chunked");
      await conn.endheaders("abc");
      await (await conn.getresponse()).read();
      await make(conn, second);
      await conn.send("raw bytes");
      assertEquals(second.sent, "raw bytes");
    });
  }
}

for (const [name, make] of MAKING) {
  for (const isTold of [true, false]) {
    const told = isTold ? "was told" : "getresponse() is to tell";
    Deno.test(`send() goes out raw behind ${name} when the request before has failed, as ${told}`, async () => {
      const [first, second] = [new FakeTransport(), new FakeTransport()];
      first.write = () => Promise.reject(new Error("mine"));
      using conn = new HTTPConnection("example.com", over(first, second));
      await assertRejects(() => conn.request("GET", "/"), Error, "mine");
      if (isTold) await assertRejects(() => conn.getresponse(), Error, "mine");
      await make(conn, second);
      await conn.send("raw bytes");
      if (!isTold) await assertRejects(() => conn.getresponse(), Error, "mine");
      await conn.send(", and more");
      assertEquals(second.sent, "raw bytes, and more");
    });
  }

  Deno.test(`send() goes out raw behind ${name} when the response before was not got`, async () => {
    const second = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(new FakeTransport(), second));
    await conn.request("GET", "/");
    await make(conn, second);
    await conn.send("raw bytes");
    assertEquals(second.sent, "raw bytes");
    await assertRejects(() => conn.getresponse(), Deno.errors.Interrupted);
  });
}

const UNENDED: [what: string, begin: (conn: HTTPConnection) => Promise<unknown>][] = [
  ["the response was not got", (conn) => conn.request("GET", "/")],
  ["a body was not completed", async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 5);
    await conn.endheaders("abc");
    await (await conn.getresponse()).read();
  }],
];

for (const [what, begin] of UNENDED) {
  Deno.test(`send() goes out raw when transport() calls it within connect(), and ${what}`, async () => {
    const transports = [answering(ok()), new FakeTransport()];
    const made = [...transports];
    let sent: Promise<void> | null = null;
    using conn = new HTTPConnection("example.com", {
      transport: () => {
        if (made.length === 1) sent = conn.send("raw bytes");
        return Promise.resolve(made.shift()!);
      },
    });
    await begin(conn);
    await conn.connect();
    await soon(sent!);
    assertEquals(transports[1].sent, "raw bytes");
  });
}

for (const [name, make] of MAKING) {
  Deno.test(`send() goes out raw behind ${name} when the head before has come, but was not got`, async () => {
    const [first, second] = [new FakeTransport(), new FakeTransport()];
    using conn = new HTTPConnection("example.com", over(first, second));
    let go = () => {};
    const gate = new Promise<void>((resolve) => go = resolve);
    const sent = conn.request("POST", "/", {
      async *[Symbol.asyncIterator]() {
        yield bytes("abc");
        await gate;
      },
    });
    while (first.sent === "") await turns(1);
    first.arrive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    await turns(2);
    go();
    await sent;
    const before = first.sent;
    await make(conn, second);
    await conn.send("raw bytes");
    assertEquals([first.sent, second.sent], [before, "raw bytes"]);
    first.arrive("k");
    assertEquals(await (await conn.getresponse()).text(), "ok");
  });
}

Deno.test("a request that is begun as connect() closes the connection takes its own body", async () => {
  const transports = [answering(ok()), new FakeTransport()];
  let isBegun = false;
  let begun: Promise<void> | null = null;
  using conn = new HTTPConnection("example.com", {
    ...over(...transports),
    trace: ({ type }) => {
      if (type !== "close" || isBegun) return;
      isBegun = true;
      conn.putrequest("POST", "/second");
      conn.putheader("Content-Length", 5);
      begun = conn.endheaders("123");
    },
  });
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", 5);
  await conn.endheaders("abc");
  await (await conn.getresponse()).read();
  await conn.connect();
  await begun!;
  await conn.send("45");
  await assertRejects(() => conn.send("6789"), TypeError);
  assertEquals(transports[1].sent.endsWith("\r\n\r\n12345"), true);
});

Deno.test("a request that is begun as sock = ends what was opened goes out over what was set", async () => {
  const [proxy, mine] = [new FakeTransport(), answering(ok("mine"))];
  let sent: Promise<void> | null = null;
  using conn = new HTTPConnection("proxy.example", {
    ...over(proxy),
    trace: ({ type }) => {
      if (type === "close") sent ??= conn.request("GET", "/");
    },
  });
  conn.set_tunnel("origin.example");
  const connecting = thrown(conn.connect());
  await microtasks(20);
  conn.sock = mine;
  await connecting;
  await soon(sent!);
  assertEquals(await (await conn.getresponse()).text(), "mine");
});

for (const same of [true, false]) {
  Deno.test(`sock = ${same ? "the same" : "another"} leaves the transport open when a body was not completed`, async () => {
    const transport = answering(ok());
    using conn = new HTTPConnection("example.com", over(transport));
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 5);
    await conn.endheaders("abc");
    await (await conn.getresponse()).read();
    conn.sock = same ? transport : new FakeTransport();
    assertEquals(transport.closes, 0);
  });
}

for (const [name, make] of MAKING) {
  Deno.test(`getresponse() tells what ${name} has done to a request whose response was not got`, async () => {
    const second = answering(ok("two"));
    using conn = new HTTPConnection("example.com", over(new FakeTransport(), second));
    await conn.request("GET", "/");
    await make(conn, second);
    await assertRejects(() => soon(conn.getresponse()), Deno.errors.Interrupted);
    assertEquals(await getText(conn), "two");
  });
}

// `sock =` fails it, as its doc comment says.
for (const [name, make] of MAKING.filter(([name]) => name !== "sock =")) {
  Deno.test(`${name} leaves a send() to its end that is under way, and its response`, async () => {
    const transport = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(transport, new FakeTransport()));
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 5);
    await conn.endheaders("abc");
    transport.arrive("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
    const response = await conn.getresponse();
    const before = transport.sent;
    const sent = conn.send("de");
    await make(conn, new FakeTransport());
    await soon(sent);
    assertEquals(transport.sent, `${before}de`);
    assertEquals([await response.text(), response.requestComplete], ["body", true]);
  });
}

for (const [name, make] of MAKING) {
  Deno.test(`send() goes out raw behind ${name} when the response before is unread, which reads on`, async () => {
    const transport = new FakeTransport();
    const second = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(transport, second));
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 5);
    await conn.endheaders("abc");
    transport.arrive("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo");
    const response = await conn.getresponse();
    const before = transport.sent;
    await make(conn, second);
    await conn.send("raw bytes");
    assertEquals([transport.sent, second.sent], [before, "raw bytes"]);
    transport.arrive("dy");
    assertEquals([await response.text(), response.requestComplete], ["body", false]);
    assertEquals(transport.closes, 1);
  });
}

Deno.test("send() sends more of a body that the caller frames where its head went, behind a response", async () => {
  const transport = answering("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
  using conn = new HTTPConnection("example.com", over(transport));
  conn.putrequest("POST", "/");
  conn.putheader("Transfer-Encoding", "chunked");
  await conn.endheaders("3\r\nabc\r\n");
  await (await conn.getresponse()).read();
  const before = transport.sent;
  await conn.send("0\r\n\r\n");
  assertEquals(transport.sent, `${before}0\r\n\r\n`);
});

Deno.test("send() goes out on a connection of its own when an upload was cut off on the last one", async () => {
  const transports = [new FakeTransport(), new FakeTransport()];
  const made = [...transports];
  using conn = new HTTPConnection("example.com", {
    transport: () => Promise.resolve(made.shift()!),
  });
  const sent = conn.request("POST", "/", {
    async *[Symbol.asyncIterator]() {
      yield bytes("part");
      await never();
    },
  });
  sent.catch(() => {});
  transports[0].arrive("HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nhel");
  const response = await conn.getresponse();
  await sent;
  await conn.send("GET / HTTP/1.1\r\n\r\n");
  assertEquals(transports[0].writes.join("").includes("GET"), false);
  assertEquals(transports[1].writes, ["GET / HTTP/1.1\r\n\r\n"]);
  transports[0].arrive("lo");
  assertEquals(await response.text(), "hello");
});

Deno.test("send() of raw bytes throws the reason of a signal that ends the response before, and writes nothing to it", async () => {
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    await over;
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const controller = new AbortController();
  await conn.request("GET", "/", null, null, { signal: controller.signal });
  const response = await conn.getresponse();
  assertEquals((await response.read(3)).length, 3);
  // More than the socket takes, of a server that reads no more.
  const waiting = [conn.send(new Uint8Array(64 << 20)), conn.send("more")].map((sent) =>
    thrown(sent)
  );
  await turns(2);
  const reason = new Error("mine");
  controller.abort(reason);
  for (const error of await Promise.all(waiting)) assertStrictEquals(error, reason);
  assertEquals(Object.keys(reason), []);
  end();
});

Deno.test("close() ends request() and send() that wait behind an answer which took the connection, and leaves that", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  transport.write = () => never();
  const waiting = [conn.request("GET", "/")];
  await microtasks(20);
  waiting.push(conn.send("more"));
  const failures = waiting.map((sent) => thrown(sent));
  transport.arrive("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
  const response = await conn.getresponse();
  conn.close();
  for (const error of await soon(Promise.all(failures))) {
    assertInstanceOf(error, Deno.errors.Interrupted);
  }
  transport.end();
  assertEquals(await response.text(), "hello");
});

Deno.test("send() follows its own head, though another request is out on another connection by then", async () => {
  const transports = [new FakeTransport(), new FakeTransport()];
  const made = [...transports];
  using conn = new HTTPConnection("example.com", {
    transport: () => Promise.resolve(made.shift()!),
  });
  const held = Promise.withResolvers<void>();
  const write = transports[0].write.bind(transports[0]);
  transports[0].write = async (piece) => {
    await held.promise;
    return await write(piece);
  };
  const first = conn.request("GET", "/1");
  await microtasks(20);
  const more = conn.send("more");
  transports[0].arrive("HTTP/1.1 413 No\r\nContent-Length: 5\r\n\r\nhello");
  const response = await conn.getresponse();
  await conn.request("GET", "/2");
  held.resolve();
  await Promise.all([first, more]);
  assertEquals(transports[0].writes.join("").endsWith("\r\n\r\nmore"), true);
  assertEquals(transports[1].writes.length, 1);
  assertEquals(await response.text(), "hello");
});

Deno.test("requestComplete stays true when bytes behind a whole request cannot be sent", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  using conn = new HTTPConnection("example.com", { ...over(transport), timeout: 0.02 });
  await conn.request("GET", "/");
  transport.write = () => new Promise(() => {});
  const answered = conn.getresponse();
  const sent = conn.send("more");
  sent.catch(() => {});
  const response = await answered;
  await assertRejects(() => sent, Deno.errors.TimedOut);
  assertEquals(response.requestComplete, true);
});

Deno.test("requestComplete is not true before the last send() is out, whenever the response is closed", async () => {
  for (let count = 0; count < 40; count++) {
    const transport = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(transport));
    await declareFive(conn);
    transport.arrive(ok());
    const sends = [conn.send("abc"), conn.send("de")];
    const getting = conn.getresponse();
    await microtasks(count);
    const response = await getting;
    response.close();
    await Promise.allSettled(sends);
    const isWhole = transport.sent.endsWith("abcde");
    assertEquals(response.requestComplete && !isWhole, false);
  }
});

for (const [title, body] of [["bytes", "abc"], ["an iterable", ["a", "bc"]]] as const) {
  Deno.test(`requestComplete is true when the body of ${title} was sent`, async () => {
    using conn = new HTTPConnection("example.com", over(answering(ok())));
    await conn.request("POST", "/", body);
    const response = await conn.getresponse();
    assertEquals(response.requestComplete, true);
    await response.read();
    assertEquals(response.requestComplete, true);
  });
}

for (const host of ["a b", "a\r\nX: y", "a\0", "a\x7f", "a\t", "\n"]) {
  Deno.test(`HTTPConnection(${JSON.stringify(host)}) throws an InvalidURL`, () => {
    assertThrows(() => new HTTPConnection(host), InvalidURL);
  });

  Deno.test(`HTTPSConnection(${JSON.stringify(host)}, 443) throws an InvalidURL`, () => {
    assertThrows(() => new HTTPSConnection(host, 443), InvalidURL);
  });

  Deno.test(`set_tunnel(${JSON.stringify(host)}, 443) throws an InvalidURL`, async () => {
    await assertRefused((conn) => conn.set_tunnel(host, 443), InvalidURL);
  });
}

Deno.test("request() throws when host was set to something illegal", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  conn.host = "a\r\nX: y";
  await assertRejects(() => conn.request("GET", "/"), Error);
  assertEquals(transport.writes, []);
});

Deno.test("putrequest() leaves the connection free when it refuses the method", async () => {
  await assertRefused((conn) => conn.putrequest("GET /", "/"), TypeError);
});

Deno.test("putrequest() leaves the connection free when it refuses the target", async () => {
  await assertRefused((conn) => conn.putrequest("GET", "/ "), InvalidURL);
});

// HTTP/1.0

const OLD = { httpVersion: 10 } as const;

Deno.test("httpVersion 10 makes requests of HTTP/1.0, without Host and Accept-Encoding", async () => {
  const writes = await writesOf((conn) => conn.request("POST", "/", "abc", { A: "b" }), OLD);
  assertEquals(writes.join(""), "POST / HTTP/1.0\r\nContent-Length: 3\r\nA: b\r\n\r\nabc");
});

Deno.test("httpVersion 10 sends the Host that it is given", async () => {
  const writes = await writesOf((conn) => conn.request("GET", "/", null, { Host: "a" }), OLD);
  assertEquals(writes.join(""), "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
});

Deno.test("httpVersion can be set, for requests and tunnels to come", async () => {
  const transport = new FakeTransport([], { answers: ["HTTP/1.0 200 OK\r\n\r\n"] });
  using conn = new HTTPConnection("proxy.example", over(transport));
  assertEquals(conn.httpVersion, 11);
  conn.set_tunnel("origin.example", 443, { A: "b" });
  conn.httpVersion = 10;
  await conn.request("GET", "/");
  assertEquals(
    transport.sent,
    "CONNECT origin.example:443 HTTP/1.0\r\nA: b\r\n\r\nGET / HTTP/1.0\r\n\r\n",
  );
});

Deno.test("httpVersion can be a field of a subclass", async () => {
  class Old extends HTTPConnection {
    override httpVersion = 10 as const;
  }
  const transport = new FakeTransport();
  using conn = new Old("example.com", over(transport));
  await conn.request("GET", "/");
  assertEquals(transport.sent, "GET / HTTP/1.0\r\n\r\n");
});

for (const version of [9, 12, "1.0", null, NaN]) {
  Deno.test(`httpVersion throws a TypeError when it is ${version}`, () => {
    const options = { httpVersion: version } as unknown as HTTPConnectionOptions;
    assertThrows(() => new HTTPConnection("a", options), TypeError, "httpVersion");
    const conn = new HTTPConnection("a");
    assertThrows(() => conn.httpVersion = version as 10, TypeError, "httpVersion");
    assertEquals(conn.httpVersion, 11);
  });
}

const NOT_IN_10: [title: string, run: (conn: HTTPConnection) => unknown][] = [
  ["an iterable body", (conn) => conn.request("POST", "/", ["a"])],
  ["a Transfer-Encoding", (conn) => {
    return conn.request("POST", "/", "a", { "Transfer-Encoding": "chunked" });
  }],
  ["trailers", (conn) => conn.request("POST", "/", "a", {}, { trailers: { A: "b" } })],
  ["expect_continue", (conn) => conn.request("POST", "/", "a", {}, { expect_continue: true })],
  ["expect_continue and no body", (conn) => {
    return conn.request("POST", "/", null, {}, { expect_continue: true });
  }],
  ["an Expect", (conn) => conn.request("POST", "/", "a", { Expect: "100-continue" })],
  ["endheaders() with encode_chunked", (conn) => {
    conn.putrequest("POST", "/");
    return conn.endheaders(["a"], { encode_chunked: true });
  }],
];

for (const [title, run] of NOT_IN_10) {
  Deno.test(`request() of HTTP/1.0 throws a TypeError and sends nothing when it has ${title}`, async () => {
    const transport = new FakeTransport();
    using conn = new HTTPConnection("example.com", { ...over(transport), ...OLD });
    await assertRejects(async () => void await run(conn), TypeError, "HTTP/1.0");
    await conn.request("GET", "/");
    assertEquals(transport.sent, "GET / HTTP/1.0\r\n\r\n");
  });
}

Deno.test("request() of HTTP/1.0 sends an iterable of a Content-Length that it is given", async () => {
  const writes = await writesOf((conn) => {
    return conn.request("POST", "/", ["a", "b"], { "Content-Length": 2 });
  }, OLD);
  assertEquals(writes.join(""), "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab");
});

for (
  const [headers, got] of [[[1], "1"], [["ab"], '"ab"'], [[null], "null"]] as [unknown, string][]
) {
  Deno.test(`request() throws a TypeError when the fields are ${JSON.stringify(headers)}`, async () => {
    await assertRefused(
      (conn) => conn.request("GET", "/", null, headers as HeaderFields),
      TypeError,
    );
    using conn = new HTTPConnection("a");
    await assertRejects(
      () => conn.request("GET", "/", null, headers as HeaderFields),
      TypeError,
      got,
    );
  });
}

// Text

const JSON_TYPE = { "Content-Type": "application/json" };
const UTF8 = "J\xc3\xb6rg";

Deno.test("request() sends a string as UTF-8 with the length of its bytes when the type is JSON", async () => {
  const wire = await wireOf("POST", "/", "Jörg", JSON_TYPE);
  assertStringIncludes(wire, "Content-Length: 5\r\n");
  assertStringIncludes(wire, `\r\n\r\n${UTF8}`);
});

Deno.test("request() sends a string as ISO-8859-1 when the type says nothing else", async () => {
  const wire = await wireOf("POST", "/", "Jörg", { "Content-Type": "text/plain" });
  assertStringIncludes(wire, "Content-Length: 4\r\n");
  assertStringIncludes(wire, "\r\n\r\nJ\xf6rg");
});

for (
  const fields of [
    [["content-type", "text/plain; charset=utf-8"]],
    { "Content-Type": bytes("application/json") },
    new Map([["CONTENT-TYPE", "application/problem+json"]]),
  ] as HeaderFields[]
) {
  Deno.test(`request() sends a string as UTF-8 when the fields are ${Deno.inspect(fields)}`, async () => {
    assertStringIncludes(await wireOf("PUT", "/", "Jörg", fields), `\r\n\r\n${UTF8}`);
  });
}

Deno.test("request() sends the text of an iterable as the type says", async () => {
  const wire = await wireOf("POST", "/", ["Jö", "rg"], JSON_TYPE);
  assertStringIncludes(wire, "\r\n\r\n3\r\nJ\xc3\xb6\r\n2\r\nrg\r\n0\r\n\r\n");
});

Deno.test("endheaders() and send() send strings as the type says", async () => {
  const [head, ...parts] = await writesOf(async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Content-Type", "application/json");
    conn.putheader("Content-Length", 10);
    await conn.endheaders("Jörg");
    await conn.send("Jörg");
  });
  assertEquals([head.endsWith(`\r\n\r\n${UTF8}`), parts], [true, [UTF8]]);
});

Deno.test("send() sends a string as ISO-8859-1 when the request before it was one of JSON", async () => {
  const transport = answering(ok());
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request("POST", "/", "Jörg", JSON_TYPE);
  await (await conn.getresponse()).read();
  await conn.send("ö");
  assertEquals(transport.writes.at(-1), "\xf6");
});

Deno.test("request() throws a TypeError and sends nothing when the type names a charset that it lacks", async () => {
  await assertRefused(
    (conn) => conn.request("POST", "/", "a", { "Content-Type": "text/plain; charset=koi8-r" }),
    TypeError,
  );
});

Deno.test("request() sends bytes and no body whatever charset the type names", async () => {
  const fields = { "Content-Type": "text/plain; charset=koi8-r" };
  assertStringIncludes(await wireOf("POST", "/", bytes("\xc1"), fields), "\r\n\r\n\xc1");
  assertStringIncludes(await wireOf("POST", "/", null, fields), "koi8-r\r\n\r\n");
});

// Sources

const RESPONSE_USES: [title: string, use: (response: HTTPResponse) => unknown][] = [
  ["read", (response) => response.read()],
  ["read in part", (response) => response.read(1)],
  ["closed", (response) => response.close()],
  ["given to decoded()", (response) => response.decoded()],
];

for (const [title, use] of RESPONSE_USES) {
  Deno.test(`request() throws a TypeError when its body is a response that was ${title}`, async () => {
    const response = new HTTPResponse(new FakeTransport([ok("hello")]));
    await response.begin();
    await use(response);
    await assertRefused((conn) => conn.request("POST", "/", response), TypeError);
  });
}

const EMPTY_SOURCES: [title: string, body: () => RequestBody][] = [
  ["an async generator of empty bytes", async function* () {
    for (;;) yield await Promise.resolve(new Uint8Array());
  }],
  ["a generator of empty strings", function* () {
    for (;;) yield "";
  }],
  ["a stream of empty bytes", () => {
    return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array()) });
  }],
];

for (const [title, body] of EMPTY_SOURCES) {
  Deno.test(`request() ends at its deadline when its body is ${title} without end`, async () => {
    const options = { ...over(new FakeTransport()), deadlines: { total: 0.02 } };
    using conn = new HTTPConnection("example.com", options);
    await assertRejects(() => conn.request("POST", "/", body()), Deno.errors.TimedOut);
    // The turn of the event loop that it was taking.
    await turns(1);
  });
}

Deno.test("request() sends a response, also one without a body", async () => {
  for (const body of ["hello", ""]) {
    const response = new HTTPResponse(new FakeTransport([ok(body)]));
    await response.begin();
    await response.read(0);
    const chunks = body === "" ? "" : `${body.length}\r\n${body}\r\n`;
    assertStringIncludes(await wireOf("POST", "/", response), `\r\n\r\n${chunks}0\r\n\r\n`);
  }
});

Deno.test("request() ends at its deadline when a Reader gives 0 for ever", async () => {
  let reads = 0;
  const body = {
    read: () => {
      reads++;
      return Promise.resolve(0);
    },
  };
  using conn = new HTTPConnection("example.com", {
    ...over(new FakeTransport()),
    deadlines: { total: 0.02 },
  });
  await assertRejects(() => conn.request("POST", "/", body), Deno.errors.TimedOut);
  await turns(2);
  const seen = reads;
  await turns(3);
  assertEquals(reads, seen);
});

Deno.test("request() throws a TypeError when a Reader gives no count", async () => {
  const body = { read: () => Promise.resolve({} as number) };
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  await assertRejects(() => conn.request("POST", "/", body), TypeError, "read()");
});

const BAD_BODIES: [title: string, body: () => unknown][] = [
  ["a string outside of ISO-8859-1", () => "\u20ac"],
  ["a number", () => 1],
  ["a plain object", () => ({})],
  ["a boolean", () => true],
  ["a locked stream", () => {
    const stream = streamOf("a");
    stream.getReader();
    return stream;
  }],
];

for (const [title, body] of BAD_BODIES) {
  Deno.test(`request() throws a TypeError when the body is ${title}`, async () => {
    await assertRefused((conn) => conn.request("POST", "/", body() as string), TypeError);
  });

  Deno.test(`endheaders() throws a TypeError when the body is ${title}`, async () => {
    await assertRefused((conn) => {
      conn.putrequest("POST", "/");
      return conn.endheaders(body() as string);
    }, TypeError);
  });

  Deno.test(`send() throws a TypeError when the body is ${title}`, async () => {
    await assertRefused((conn) => conn.send(body() as string), TypeError);
  });
}

Deno.test("request() names ISO-8859-1 when a string is outside of it", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const error = await assertRejects(() => conn.request("POST", "/", "a\u20ac"), TypeError);
  assertStringIncludes(error.message, "ISO-8859-1");
});

Deno.test("request() throws a TypeError when the header fields are of a wrong kind", async () => {
  await assertRefused(
    (conn) => conn.request("GET", "/", null, "A: b" as unknown as HeaderFields),
    TypeError,
  );
});

for (const piece of ["\u20ac", 1, null, {}]) {
  Deno.test(`request() throws a TypeError and does not end the body when a piece is ${JSON.stringify(piece)}`, async () => {
    const transport = new FakeTransport();
    const next = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(transport, next));
    const pieces = generatorOf("good", piece, "never") as Generator<string>;
    await assertRejects(() => conn.request("POST", "/", pieces), TypeError);
    assertEquals(/never|\r\n0\r\n\r\n/.test(transport.sent), false);
    assertEquals(transport.closed, true);
    await conn.request("GET", "/");
    assertEquals(next.sent, `GET / HTTP/1.1\r\n${FIELDS}\r\n`);
  });
}

const SOURCES: [title: string, body: (trouble: Error) => RequestBody][] = [
  ["a generator", function* (trouble: Error): Generator<string> {
    yield "good";
    throw trouble;
  }],
  ["an async generator", async function* (trouble: Error): AsyncGenerator<string> {
    yield "good";
    throw await Promise.resolve(trouble);
  }],
  ["a stream", (trouble) =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(bytes("good"));
      },
      pull: () => Promise.reject(trouble),
    })],
  ["a Reader", (trouble) => ({ read: () => Promise.reject(trouble) })],
];

for (const [title, body] of SOURCES) {
  Deno.test(`request() throws the error of ${title} and closes the connection`, async () => {
    const transport = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(transport));
    const trouble = new Error("trouble");
    assertEquals(await assertRejects(() => conn.request("POST", "/", body(trouble))), trouble);
    assertEquals(transport.sent.endsWith("0\r\n\r\n"), false);
    assertEquals([transport.closed, conn.sock], [true, null]);
  });
}

Deno.test("request() ends a generator whose rest is not wanted", async () => {
  let told = false;
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  const body = function* () {
    try {
      yield "\u20ac";
    } finally {
      told = true;
    }
  }();
  await assertRejects(() => conn.request("POST", "/", body), TypeError);
  assertEquals(told, true);
});

Deno.test("send() without a request goes out on a new connection after one that failed", async () => {
  const broken = new FakeTransport();
  const reason = new Error("mine");
  broken.write = () => Promise.reject(reason);
  const next = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(broken, next));
  assertStrictEquals(await assertRejects(() => conn.send("first")), reason);
  await conn.send("second");
  assertEquals([broken.closes, next.writes], [1, ["second"]]);
});
