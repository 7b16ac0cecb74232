/**
 * `trace`: what an exchange tells of itself, in which order and with which numbers; and the times of a
 * response.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  BadStatusLine,
  HTTPConnection,
  type HTTPConnectionOptions,
  type HTTPResponse,
  HTTPSConnection,
  IncompleteRead,
  type ResponseTimings,
  type TraceEvent,
  TunnelError,
} from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { latin1, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { thrown } from "../helpers/waiting.ts";
import { CA, CLIENT } from "../tls/mod.ts";

type Type = TraceEvent["type"];

/** Collects events. */
class Log {
  readonly events: TraceEvent[] = [];
  readonly trace = (event: TraceEvent): void => void this.events.push(event);

  get types(): Type[] {
    return this.events.map(({ type }) => type);
  }

  /** The events of a type. */
  of<T extends Type>(type: T): Extract<TraceEvent, { type: T }>[] {
    return this.events.filter((event) => event.type === type) as Extract<
      TraceEvent,
      { type: T }
    >[];
  }

  /** The types, without those of progress. */
  get steps(): Type[] {
    return this.types.filter((type) => type !== "requestBody" && type !== "responseBody");
  }
}

/** A connection to servers in memory, and what it tells. */
function traced(
  answers: string[],
  options: HTTPConnectionOptions = {},
): { conn: HTTPConnection; log: Log; fake: FakeTransport } {
  const log = new Log();
  const fake = answering(...answers);
  const conn = new HTTPConnection("example.com", { ...over(fake), ...options, trace: log.trace });
  return { conn, log, fake };
}

/** What a connection and a request without troubles tell. */
const OPENED: Type[] = ["connectStart", "connected"];
const EXCHANGED: Type[] = [
  "requestStart",
  "requestHead",
  "requestEnd",
  "responseHead",
  "responseEnd",
];

// The order

Deno.test("trace shows a connection and a GET, to its close", async () => {
  const { conn, log } = traced([ok()]);
  assertEquals(await getText(conn, "/path"), "ok");
  conn.close();
  assertEquals(log.steps, [...OPENED, ...EXCHANGED, "close"]);
});

Deno.test("trace shows a second request on the connection", async () => {
  const { conn, log } = traced([ok(), ok()]);
  using _ = conn;
  await getText(conn, "/path");
  await getText(conn, "/path");
  assertEquals(log.steps, [...OPENED, ...EXCHANGED, ...EXCHANGED]);
  assertEquals(log.of("requestStart").map(({ connectionReused }) => connectionReused), [
    false,
    true,
  ]);
});

Deno.test("trace shows what the events say", async () => {
  const { conn, log, fake } = traced([
    "HTTP/1.1 200 Fine\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok",
  ]);
  using _ = conn;
  await getText(conn, "/path");
  const size = fake.writes.join("").length;
  const said = log.events.map(({ time, ...event }) => {
    assert(typeof time === "number");
    return "headers" in event ? { ...event, headers: event.headers.items() } : event;
  });
  assertEquals(said, [
    { type: "connectStart", host: "example.com", port: 80, path: null },
    { type: "connected", address: null },
    { type: "requestStart", method: "GET", target: "/path", connectionReused: false },
    { type: "requestHead", bytes: size },
    { type: "requestEnd", bytes: size, whole: true },
    {
      type: "responseHead",
      status: 200,
      reason: "Fine",
      headers: [["X-A", "b"], ["Content-Length", "2"]],
    },
    { type: "responseBody", bytes: 2, total: 2 },
    { type: "responseEnd", total: 2 },
  ]);
});

Deno.test("trace gives times of performance.now() in their order", async () => {
  const before = performance.now();
  const { conn, log } = traced(["HTTP/1.1 103 Early Hints\r\n\r\n" + ok()]);
  await getText(conn, "/path");
  conn.close();
  const times = [before, ...log.events.map(({ time }) => time), performance.now()];
  assertEquals(times, times.toSorted((a, b) => a - b));
});

Deno.test("trace shows interim responses between the request and the head", async () => {
  const { conn, log } = traced([
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ok(),
  ]);
  using _ = conn;
  await getText(conn, "/path");
  assertEquals(log.steps.slice(-5), [
    "requestEnd",
    "interim",
    "interim",
    "responseHead",
    "responseEnd",
  ]);
  const [{ status, reason, headers }] = log.of("interim");
  assertEquals([status, reason, headers.get("link")], [103, "Early Hints", "</a>"]);
});

Deno.test("trace shows trailers before the end", async () => {
  const { conn, log } = traced([
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
  ]);
  using _ = conn;
  await getText(conn, "/path");
  assertEquals(log.steps.slice(-3), ["responseHead", "trailers", "responseEnd"]);
  assertEquals(log.of("trailers")[0].headers.items(), [["X-Sum", "1"]]);
});

Deno.test("trace shows no trailers when there are none", async () => {
  const { conn, log } = traced([
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  ]);
  using _ = conn;
  await getText(conn, "/path");
  assertEquals(log.of("trailers"), []);
});

Deno.test("trace shows the end of a response that closes, then the close", async () => {
  const { conn, log } = traced([ok("ok", "Connection: close\r\n")]);
  using _ = conn;
  await getText(conn, "/path");
  assertEquals(log.steps.slice(-2), ["responseEnd", "close"]);
});

Deno.test("trace shows close once", async () => {
  const { conn, log } = traced([ok()]);
  await getText(conn, "/path");
  conn.close();
  conn.close();
  assertEquals(log.of("close").length, 1);
});

Deno.test("trace shows the close after a bad answer", async () => {
  const { conn, log } = traced(["NONSENSE\r\n\r\n"]);
  using _ = conn;
  await assertRejects(() => getText(conn, "/path"), BadStatusLine);
  assertEquals(log.steps, [...OPENED, "requestStart", "requestHead", "requestEnd", "close"]);
});

Deno.test("trace shows no end of a short body", async () => {
  const { conn, log, fake } = traced([ok("hello").slice(0, -1)]);
  using _ = conn;
  fake.end();
  await assertRejects(() => getText(conn, "/path"), IncompleteRead);
  assertEquals(log.of("responseEnd"), []);
  assertEquals(log.steps.at(-1), "close");
});

Deno.test("trace shows no connection that cannot be made", async () => {
  const log = new Log();
  using conn = new HTTPConnection("example.com", {
    transport: () => Promise.reject(new Error("mine")),
    trace: log.trace,
  });
  await assertRejects(() => getText(conn, "/path"), Error, "mine");
  assertEquals(log.types, ["connectStart"]);
});

Deno.test("trace shows the connection at connect(), the rest at request()", async () => {
  const { conn, log } = traced([ok()]);
  using _ = conn;
  await conn.connect();
  assertEquals(log.types, OPENED);
  await getText(conn, "/path");
  assertEquals(log.steps, [...OPENED, ...EXCHANGED]);
});

Deno.test("trace shows the close of a retired connection before the new one", async () => {
  const log = new Log();
  const first = answering(ok());
  const second = answering(ok());
  using conn = new HTTPConnection("example.com", { ...over(first, second), trace: log.trace });
  await getText(conn, "/path");
  first.end();
  await getText(conn, "/path");
  assertEquals(log.steps, [...OPENED, ...EXCHANGED, "close", ...OPENED, ...EXCHANGED]);
});

Deno.test("trace shows the end of a response without a body", async () => {
  const { conn, log } = traced(["HTTP/1.1 204 No Content\r\n\r\n"]);
  using _ = conn;
  await conn.request("DELETE", "/");
  await (await conn.getresponse()).read();
  assertEquals(log.of("responseEnd").map(({ total }) => total), [0]);
});

// Sockets

Deno.test("trace shows where TCP goes to, and the address", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ok());
  });
  const log = new Log();
  using conn = new HTTPConnection("localhost", server.port, {
    address: "127.0.0.1",
    trace: log.trace,
  });
  await getText(conn, "/path");
  const [{ host, port }] = log.of("connectStart");
  assertEquals([host, port], ["127.0.0.1", server.port]);
  assertEquals(log.of("connected")[0].address, "127.0.0.1");
});

Deno.test("trace shows the path of a unix socket", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ok());
  }, { unix: true });
  const log = new Log();
  using conn = new HTTPConnection("localhost", { socketPath: server.path, trace: log.trace });
  await getText(conn, "/path");
  assertEquals(log.of("connectStart")[0].path, server.path);
});

for (const [kind, context] of [["Deno's TLS", {}], ["node:tls", CLIENT]] as const) {
  Deno.test(`trace shows TLS (${kind})`, async () => {
    await using server = await startRawTls(async (peer) => {
      await peer.readHead();
      await peer.send(ok());
    });
    const log = new Log();
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { ...context, caCerts: [CA] },
      trace: log.trace,
    });
    await getText(conn, "/path");
    conn.close();
    assertEquals(log.steps, [...OPENED, "tlsStart", "secured", ...EXCHANGED, "close"]);
    assertEquals(log.of("tlsStart")[0].serverName, "localhost");
  });
}

Deno.test("trace shows a tunnel", async () => {
  const { conn, log, fake } = traced([]);
  using _ = conn;
  fake.onWrite = () => fake.arrive(fake.writes.length === 1 ? "HTTP/1.1 200 Yes\r\n\r\n" : ok());
  conn.set_tunnel("origin.example", 81);
  await getText(conn, "/path");
  assertEquals(log.steps, [...OPENED, "tunnelled", ...EXCHANGED]);
  const [{ host, port }] = log.of("tunnelled");
  assertEquals([host, port], ["origin.example", 81]);
  // The bytes of CONNECT are not the request's.
  assertEquals(log.of("requestEnd")[0].bytes, fake.writes[1].length);
});

Deno.test("trace shows a tunnel that is refused", async () => {
  const { conn, log } = traced(["HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"]);
  using _ = conn;
  conn.set_tunnel("origin.example", 81);
  await assertRejects(() => getText(conn, "/path"), TunnelError);
  assertEquals(log.types, [...OPENED, "close"]);
});

// Request bytes

Deno.test("trace shows the bytes of the head, then all of a body of bytes", async () => {
  const { conn, log, fake } = traced([ok()]);
  using _ = conn;
  await conn.request("POST", "/", "hello");
  const all = fake.writes.join("").length;
  assertEquals(log.of("requestHead").map(({ bytes }) => bytes), [all - 5]);
  assertEquals(log.of("requestBody").map(({ bytes }) => bytes), [all]);
  assertEquals(log.of("requestEnd").map(({ bytes, whole }) => [bytes, whole]), [[all, true]]);
});

Deno.test("trace shows the progress of a large body, up to all of it", async () => {
  const { conn, log, fake } = traced([]);
  using _ = conn;
  await conn.request("POST", "/", Array(10).fill(new Uint8Array(100_000)));
  const all = fake.writes.join("").length;
  const progress = log.of("requestBody").map(({ bytes }) => bytes);
  assert(progress.length > 2);
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  assertEquals([progress.at(-1), log.of("requestEnd")[0].bytes], [all, all]);
});

Deno.test("trace shows the progress of one large piece that is taken in parts", async () => {
  const log = new Log();
  const fake = new FakeTransport([], { most: 100_000 });
  using conn = new HTTPConnection("example.com", { ...over(fake), trace: log.trace });
  await conn.request("POST", "/", new Uint8Array(1_000_000));
  assert(log.of("requestBody").length > 2);
});

Deno.test("trace shows the head, the 100 and the body when expect_continue is set", async () => {
  const { conn, log, fake } = traced(["HTTP/1.1 100 Continue\r\n\r\n"]);
  using _ = conn;
  await conn.request("POST", "/", "hello", {}, { expect_continue: true });
  const head = fake.writes[0].length;
  assertEquals(log.types.slice(2), [
    "requestStart",
    "requestHead",
    "interim",
    "requestBody",
    "requestEnd",
  ]);
  assertEquals(log.of("requestHead")[0].bytes, head);
  assertEquals(log.of("requestBody")[0].bytes, head + 5);
});

Deno.test("trace shows no body when a final answer comes in place of 100", async () => {
  const { conn, log, fake } = traced(["HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"]);
  using _ = conn;
  await conn.request("POST", "/", "hello", {}, { expect_continue: true });
  await (await conn.getresponse()).read();
  const bytes = fake.writes[0].length;
  assertEquals(log.of("requestHead").map((event) => event.bytes), [bytes]);
  assertEquals(log.of("requestBody"), []);
  assertEquals(log.of("requestEnd").map((event) => [event.bytes, event.whole]), [[bytes, false]]);
});

Deno.test("trace shows that the request is not whole when an answer comes early", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    await peer.eof();
  });
  const log = new Log();
  using conn = new HTTPConnection("127.0.0.1", server.port, { trace: log.trace });
  function* endless() {
    for (;;) yield new Uint8Array(65536);
  }
  await conn.request("POST", "/", endless());
  await (await conn.getresponse()).read();
  assertEquals(log.of("requestEnd").map(({ whole }) => whole), [false]);
  assertEquals(log.steps.slice(-2), ["responseEnd", "close"]);
});

/** Requests of each kind, read to the end. */
const KINDS: [name: string, send: (conn: HTTPConnection) => Promise<void>][] = [
  ["a GET", (conn) => conn.request("GET", "/")],
  ["a POST of bytes", (conn) => conn.request("POST", "/", "hello")],
  ["a POST of pieces", (conn) => conn.request("POST", "/", ["hel", "lo"])],
  [
    "a POST with trailers",
    (conn) => conn.request("POST", "/", ["a"], {}, { trailers: { A: "b" } }),
  ],
  ["a POST step by step", async (conn) => {
    conn.putrequest("POST", "/");
    conn.putheader("Content-Length", 5);
    await conn.endheaders();
    await conn.send("hello");
  }],
];

for (const [before, sendBefore] of KINDS) {
  for (const [name, send] of KINDS) {
    for (const read of [true, false]) {
      Deno.test(`trace shows of ${name} what is its own behind ${before}${read ? "" : " that is unread"}`, async () => {
        const told = async (...sends: typeof send[]) => {
          const { conn, log } = traced([ok(), ok(), ok()]);
          using _ = conn;
          let events: TraceEvent[] = [];
          let last;
          for (const one of sends) {
            const from = log.events.length;
            await one(conn);
            await last?.text();
            last = await conn.getresponse();
            if (read) await last.read();
            events = log.events.slice(from);
          }
          return events.filter(({ type }) => type.startsWith("request")).map((event) => ({
            ...event,
            time: 0,
          }));
        };
        const [, first] = KINDS[0];
        assertEquals(await told(sendBefore, send), await told(first, send));
      });
    }
  }
}

Deno.test("trace shows the end of a request made step by step with its last byte", async () => {
  const { conn, log, fake } = traced([]);
  using _ = conn;
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", 5);
  await conn.endheaders("hello");
  assertEquals(log.of("requestEnd").map(({ bytes }) => bytes), [fake.writes.join("").length]);
});

// Response bytes

for (
  const [framing, answer] of [
    ["by length", ok("x".repeat(100_000))],
    [
      "chunked",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
      `2710\r\n${"x".repeat(10_000)}\r\n`.repeat(10) + "0\r\n\r\n",
    ],
    ["until close", "HTTP/1.1 200 OK\r\n\r\n" + "x".repeat(100_000)],
  ] as const
) {
  Deno.test(`trace shows bytes of a body ${framing} that add up to its content`, async () => {
    const { conn, log, fake } = traced([answer]);
    using _ = conn;
    fake.end();
    assertEquals((await getText(conn, "/path")).length, 100_000);
    const progress = log.of("responseBody");
    assertEquals(progress.reduce((sum, { bytes }) => sum + bytes, 0), 100_000);
    assertEquals(progress.at(-1)?.total, 100_000);
    assertEquals(log.of("responseEnd").map(({ total }) => total), [100_000]);
  });

  Deno.test(`trace shows the bytes of a body ${framing} that readinto() reads`, async () => {
    const { conn, log, fake } = traced([answer]);
    using _ = conn;
    fake.end();
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    const buffer = new Uint8Array(30_000);
    while (await response.readinto(buffer) > 0);
    assertEquals(log.of("responseBody").at(-1)?.total, 100_000);
  });

  Deno.test(`trace shows the bytes of a body ${framing} that is piped`, async () => {
    const { conn, log, fake } = traced([answer]);
    using _ = conn;
    fake.end();
    await conn.request("GET", "/");
    await (await conn.getresponse()).pipeTo(new WritableStream());
    assertEquals(log.of("responseBody").at(-1)?.total, 100_000);
    assertEquals(log.of("responseEnd").length, 1);
  });
}

Deno.test("trace shows progress while the body comes, not at its end", async () => {
  const { conn, log, fake } = traced([ok("hello").slice(0, -2)]);
  using _ = conn;
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await response.read(3);
  assertEquals(log.of("responseBody").map(({ bytes }) => bytes), [3]);
  fake.arrive("lo");
  await response.read();
  assertEquals(log.of("responseBody").map(({ bytes, total }) => [bytes, total]), [[3, 3], [2, 5]]);
});

Deno.test("trace shows the progress of a large body that is read at once", async () => {
  const size = 1_000_000;
  const { conn, log, fake } = traced([]);
  using _ = conn;
  fake.arrive(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
  for (let i = 0; i < 100; i++) fake.arrive("x".repeat(size / 100));
  await getText(conn, "/path");
  assert(log.of("responseBody").length > 2);
});

/** Calls that put what they give together in steps, each telling of its bytes. */
const READS: Record<string, (response: HTTPResponse) => Promise<string>> = {
  "read()": async (response) => latin1(await response.read()),
  "read(11)": async (response) => latin1(await response.read(11)),
  "readinto()": async (response) => {
    const target = new Uint8Array(11);
    return latin1(target.subarray(0, await response.readinto(target)));
  },
  "readline()": async (response) => latin1(await response.readline()),
  "readlines()": async (response) => (await response.readlines()).map(latin1).join(""),
  "text()": (response) => response.text(),
  "copyTo()": async (response) => {
    let text = "";
    await response.copyTo({
      write(bytes) {
        text += latin1(bytes);
        return Promise.resolve(bytes.length);
      },
    });
    return text;
  },
};
/** Calls of a listener. */
const NESTED: Record<string, (response: HTTPResponse) => Promise<Uint8Array>> = {
  "readline()": (response) => response.readline(),
  "read(2)": (response) => response.read(2),
  "read1()": (response) => response.read1(),
};

for (const [name, read] of Object.entries(READS)) {
  for (const [nested, readNested] of Object.entries(NESTED)) {
    Deno.test(`${nested} is refused when trace calls it within ${name}`, async () => {
      const chunks = ["AAA", "BB", "B\n", "CCC\n"].map((data) => `${data.length}\r\n${data}\r\n`);
      const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
      let response: HTTPResponse | null = null;
      const errors: Promise<unknown>[] = [];
      using conn = new HTTPConnection("example.com", {
        ...over(answering(`${head}${chunks.join("")}0\r\n\r\n`)),
        trace({ type }) {
          if (type === "responseBody") errors.push(thrown(readNested(response!)));
        },
      });
      await conn.request("GET", "/");
      response = await conn.getresponse();
      assertEquals(await read(response), name === "readline()" ? "AAABBB\n" : "AAABBB\nCCC\n");
      assert(errors.length > 0);
      for (const error of errors) {
        assertStringIncludes((await error as TypeError).message, "another read is at work");
      }
    });
  }
}

// Without a listener, and with a bad one

Deno.test("request() throws what trace throws, and does not leave the connection half open", async () => {
  const fake = answering(ok());
  const second = answering(ok("second"));
  let broken = false;
  using conn = new HTTPConnection("example.com", {
    ...over(fake, second),
    trace({ type }) {
      if (broken && type === "close") throw new RangeError("mine");
    },
  });
  await getText(conn, "/path");
  broken = true;
  try {
    conn.close();
  } catch {
    // It may come out, or not.
  }
  broken = false;
  assertEquals(conn.sock, null);
  assertEquals(await getText(conn, "/path"), "second");
});

// Times

/** The names of the times that are known. */
function known(timings: ResponseTimings): string[] {
  return Object.entries(timings).filter(([_, time]) => time !== null).map(([name]) => name);
}

Deno.test("timings has the times of a first response in their order", async () => {
  const before = performance.now();
  const { conn } = traced([ok()]);
  using _ = conn;
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await response.read();
  const { start, connected, sent, head, end } = response.timings;
  const times = [before, start, connected!, sent!, head!, end!, performance.now()];
  assertEquals(times, times.toSorted((a, b) => a - b));
  assertEquals(known(response.timings), ["start", "connected", "sent", "head", "end"]);
});

Deno.test("timings of a second response has none of the connection", async () => {
  const { conn } = traced([ok(), ok()]);
  using _ = conn;
  await getText(conn, "/path");
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await response.read();
  assertEquals(known(response.timings), ["start", "sent", "head", "end"]);
});

Deno.test("timings after connect() has none of the connection", async () => {
  const { conn } = traced([ok()]);
  using _ = conn;
  await conn.connect();
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals(known(response.timings), ["start", "sent", "head"]);
});

Deno.test("timings has the time of TLS", async () => {
  await using server = await startRawTls(async (peer) => {
    await peer.readHead();
    await peer.send(ok());
  });
  using conn = new HTTPSConnection("localhost", server.port, { context: { caCerts: [CA] } });
  await conn.request("GET", "/");
  const { connected, secured, sent } = (await conn.getresponse()).timings;
  assert(connected! <= secured! && secured! <= sent!);
});

Deno.test("timings has the end when the body was read, and keeps it", async () => {
  const { conn } = traced([ok()]);
  using _ = conn;
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals(response.timings.end, null);
  await response.read();
  const { end } = response.timings;
  assert(end !== null);
  await response.read();
  assertEquals(response.timings.end, end);
});

Deno.test("timings is there without a trace", async () => {
  using conn = new HTTPConnection("example.com", over(answering(ok())));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await response.read();
  assert(response.timings.end !== null);
});

Deno.test("timings is a copy", async () => {
  const { conn } = traced([ok()]);
  using _ = conn;
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  response.timings.start = -1;
  assert(response.timings.start > 0);
});

Deno.test("timings are each response's own when the second request goes out early", async () => {
  const { conn } = traced([ok(), ok()]);
  using _ = conn;
  await conn.request("GET", "/1");
  const first = await conn.getresponse();
  await conn.request("GET", "/2");
  await first.read();
  const second = await conn.getresponse();
  await second.read();
  assert(first.timings.start < second.timings.start);
  assertEquals(known(first.timings), ["start", "connected", "sent", "head", "end"]);
  assertEquals(known(second.timings), ["start", "sent", "head", "end"]);
});

for (const how of ["close", "dispose", "read"] as const) {
  Deno.test(`responseEnd is told once when trace calls ${how}() on it`, async () => {
    let response: HTTPResponse | null = null;
    let ends = 0;
    using conn = new HTTPConnection("example.com", {
      ...over(answering(ok("hello"), ok("again"))),
      trace({ type }) {
        if (type !== "responseEnd" || response === null) return;
        ends++;
        if (how === "close") response.close();
        else if (how === "dispose") response[Symbol.dispose]();
        else response.read().catch(() => {});
      },
    });
    await conn.request("GET", "/");
    response = await conn.getresponse();
    assertEquals(latin1(await response.read()), "hello");
    assertEquals(ends, 1);
    assertEquals(latin1(await response.read()), "");
    await conn.request("GET", "/");
    assertEquals(await (await conn.getresponse()).text(), "again");
  });
}

Deno.test("read() does not look like the end when trace has thrown on responseEnd before", async () => {
  const reason = new Error("mine");
  using conn = new HTTPConnection("example.com", {
    ...over(answering(ok("hello"))),
    trace({ type }) {
      if (type === "responseEnd") throw reason;
    },
  });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertStrictEquals(await thrown(response.read()), reason);
  assertStrictEquals(await thrown(response.read()), reason);
});

Deno.test("close() of a response throws what a callback throws at its end, and the next request works", async () => {
  const empty = "HTTP/1.1 304 Not Modified\r\n\r\n";
  const transports = [answering(empty), answering(ok())];
  const reason = new Error("mine");
  let isCalm = false;
  using conn = new HTTPConnection("example.com", {
    transport: () => Promise.resolve(transports.shift()!),
    trace({ type }) {
      if (type === "responseEnd" && !isCalm) throw reason;
    },
  });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertStrictEquals(assertThrows(() => response.close()), reason);
  isCalm = true;
  await conn.request("GET", "/");
  assertEquals((await conn.getresponse()).status, 200);
});

Deno.test("text() does not look like the end of the body when a callback has thrown at it", async () => {
  const reason = new Error("mine");
  using conn = new HTTPConnection("example.com", {
    ...over(answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")),
    trace({ type }) {
      if (type === "responseEnd") throw reason;
    },
  });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  for (let i = 0; i < 2; i++) assertStrictEquals(await thrown(response.text()), reason);
});
