/**
 * `trace`: what an exchange tells of itself, in which order and with which numbers; and the times of a
 * response.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  BadStatusLine,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  IncompleteRead,
  type ResponseTimings,
  type TraceEvent,
  TunnelError,
} from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
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
  const fake = new FakeTransport([], { answers });
  const conn = new HTTPConnection("example.com", { ...over(fake), ...options, trace: log.trace });
  return { conn, log, fake };
}

async function get(conn: HTTPConnection): Promise<string> {
  await conn.request("GET", "/path");
  return await (await conn.getresponse()).text();
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

Deno.test("trace: a connection and a GET, to its close", async () => {
  const { conn, log } = traced([ok()]);
  assertEquals(await get(conn), "ok");
  conn.close();
  assertEquals(log.steps, [...OPENED, ...EXCHANGED, "close"]);
});

Deno.test("trace: a second request on the connection", async () => {
  const { conn, log } = traced([ok(), ok()]);
  using _ = conn;
  await get(conn);
  await get(conn);
  assertEquals(log.steps, [...OPENED, ...EXCHANGED, ...EXCHANGED]);
  assertEquals(log.of("requestStart").map(({ connectionReused }) => connectionReused), [
    false,
    true,
  ]);
});

Deno.test("trace: what the events say", async () => {
  const { conn, log, fake } = traced([
    "HTTP/1.1 200 Fine\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok",
  ]);
  using _ = conn;
  await get(conn);
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

Deno.test("trace: the times do not go back, and are those of performance.now()", async () => {
  const before = performance.now();
  const { conn, log } = traced(["HTTP/1.1 103 Early Hints\r\n\r\n" + ok()]);
  await get(conn);
  conn.close();
  const times = [before, ...log.events.map(({ time }) => time), performance.now()];
  assertEquals(times, times.toSorted((a, b) => a - b));
});

Deno.test("trace: interim responses come between the request and the head", async () => {
  const { conn, log } = traced([
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ok(),
  ]);
  using _ = conn;
  await get(conn);
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

Deno.test("trace: trailers come before the end", async () => {
  const { conn, log } = traced([
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
  ]);
  using _ = conn;
  await get(conn);
  assertEquals(log.steps.slice(-3), ["responseHead", "trailers", "responseEnd"]);
  assertEquals(log.of("trailers")[0].headers.items(), [["X-Sum", "1"]]);
});

Deno.test("trace: no trailers, no event", async () => {
  const { conn, log } = traced([
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  ]);
  using _ = conn;
  await get(conn);
  assertEquals(log.of("trailers"), []);
});

Deno.test("trace: a response that closes: its end, then the close", async () => {
  const { conn, log } = traced([ok("ok", "Connection: close\r\n")]);
  using _ = conn;
  await get(conn);
  assertEquals(log.steps.slice(-2), ["responseEnd", "close"]);
});

Deno.test("trace: close is told once", async () => {
  const { conn, log } = traced([ok()]);
  await get(conn);
  conn.close();
  conn.close();
  assertEquals(log.of("close").length, 1);
});

Deno.test("trace: a bad answer ends with the close", async () => {
  const { conn, log } = traced(["NONSENSE\r\n\r\n"]);
  using _ = conn;
  await assertRejects(() => get(conn), BadStatusLine);
  assertEquals(log.steps, [...OPENED, "requestStart", "requestHead", "requestEnd", "close"]);
});

Deno.test("trace: a short body has no end", async () => {
  const { conn, log, fake } = traced([ok("hello").slice(0, -1)]);
  using _ = conn;
  fake.end();
  await assertRejects(() => get(conn), IncompleteRead);
  assertEquals(log.of("responseEnd"), []);
  assertEquals(log.steps.at(-1), "close");
});

Deno.test("trace: a connection that cannot be made", async () => {
  const log = new Log();
  using conn = new HTTPConnection("example.com", {
    transport: () => Promise.reject(new Error("mine")),
    trace: log.trace,
  });
  await assertRejects(() => get(conn), Error, "mine");
  assertEquals(log.types, ["connectStart"]);
});

Deno.test("trace: connect() tells of the connection, the request of the rest", async () => {
  const { conn, log } = traced([ok()]);
  using _ = conn;
  await conn.connect();
  assertEquals(log.types, OPENED);
  await get(conn);
  assertEquals(log.steps, [...OPENED, ...EXCHANGED]);
});

Deno.test("trace: a retired connection is closed before the new one is begun", async () => {
  const log = new Log();
  const first = new FakeTransport([], { answers: [ok()] });
  const second = new FakeTransport([], { answers: [ok()] });
  using conn = new HTTPConnection("example.com", { ...over(first, second), trace: log.trace });
  await get(conn);
  first.end();
  await get(conn);
  assertEquals(log.steps, [...OPENED, ...EXCHANGED, "close", ...OPENED, ...EXCHANGED]);
});

Deno.test("trace: a response without a body has an end, too", async () => {
  const { conn, log } = traced(["HTTP/1.1 204 No Content\r\n\r\n"]);
  using _ = conn;
  await conn.request("DELETE", "/");
  await (await conn.getresponse()).read();
  assertEquals(log.of("responseEnd").map(({ total }) => total), [0]);
});

// Sockets

Deno.test("trace: TCP: where to, and the address", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ok());
  });
  const log = new Log();
  using conn = new HTTPConnection("localhost", server.port, {
    address: "127.0.0.1",
    trace: log.trace,
  });
  await get(conn);
  const [{ host, port }] = log.of("connectStart");
  assertEquals([host, port], ["127.0.0.1", server.port]);
  assertEquals(log.of("connected")[0].address, "127.0.0.1");
});

Deno.test("trace: a unix socket's path", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ok());
  }, { unix: true });
  const log = new Log();
  using conn = new HTTPConnection("localhost", { socketPath: server.path, trace: log.trace });
  await get(conn);
  assertEquals(log.of("connectStart")[0].path, server.path);
});

for (const [kind, context] of [["Deno's TLS", {}], ["node:tls", CLIENT]] as const) {
  Deno.test(`trace: TLS by ${kind}`, async () => {
    await using server = await startRawTls(async (peer) => {
      await peer.readHead();
      await peer.send(ok());
    });
    const log = new Log();
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { ...context, caCerts: [CA] },
      trace: log.trace,
    });
    await get(conn);
    conn.close();
    assertEquals(log.steps, [...OPENED, "tlsStart", "secured", ...EXCHANGED, "close"]);
    assertEquals(log.of("tlsStart")[0].serverName, "localhost");
  });
}

Deno.test("trace: a tunnel", async () => {
  const { conn, log, fake } = traced([]);
  using _ = conn;
  fake.onWrite = () => fake.arrive(fake.writes.length === 1 ? "HTTP/1.1 200 Yes\r\n\r\n" : ok());
  conn.set_tunnel("origin.example", 81);
  await get(conn);
  assertEquals(log.steps, [...OPENED, "tunnelled", ...EXCHANGED]);
  const [{ host, port }] = log.of("tunnelled");
  assertEquals([host, port], ["origin.example", 81]);
  // The bytes of CONNECT are not the request's.
  assertEquals(log.of("requestEnd")[0].bytes, fake.writes[1].length);
});

Deno.test("trace: a tunnel that is refused", async () => {
  const { conn, log } = traced(["HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"]);
  using _ = conn;
  conn.set_tunnel("origin.example", 81);
  await assertRejects(() => get(conn), TunnelError);
  assertEquals(log.types, [...OPENED, "close"]);
});

// Request bytes

Deno.test("trace: a body by bytes: the head's bytes, then all", async () => {
  const { conn, log, fake } = traced([ok()]);
  using _ = conn;
  await conn.request("POST", "/", "hello");
  const all = fake.writes.join("").length;
  assertEquals(log.of("requestHead").map(({ bytes }) => bytes), [all - 5]);
  assertEquals(log.of("requestBody").map(({ bytes }) => bytes), [all]);
  assertEquals(log.of("requestEnd").map(({ bytes, whole }) => [bytes, whole]), [[all, true]]);
});

Deno.test("trace: a large body: its progress, up to all of it", async () => {
  const { conn, log, fake } = traced([]);
  using _ = conn;
  await conn.request("POST", "/", Array(10).fill(new Uint8Array(100_000)));
  const all = fake.writes.join("").length;
  const progress = log.of("requestBody").map(({ bytes }) => bytes);
  assert(progress.length > 2);
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  assertEquals([progress.at(-1), log.of("requestEnd")[0].bytes], [all, all]);
});

Deno.test("trace: a body of one large piece that is taken in parts: its progress, too", async () => {
  const log = new Log();
  const fake = new FakeTransport([], { most: 100_000 });
  using conn = new HTTPConnection("example.com", { ...over(fake), trace: log.trace });
  await conn.request("POST", "/", new Uint8Array(1_000_000));
  assert(log.of("requestBody").length > 2);
});

Deno.test("trace: expect_continue: the head, the 100, the body", async () => {
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

Deno.test("trace: expect_continue and a final answer: the body is not told of", async () => {
  const { conn, log, fake } = traced(["HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"]);
  using _ = conn;
  await conn.request("POST", "/", "hello", {}, { expect_continue: true });
  await (await conn.getresponse()).read();
  const bytes = fake.writes[0].length;
  assertEquals(log.of("requestHead").map((event) => event.bytes), [bytes]);
  assertEquals(log.of("requestBody"), []);
  assertEquals(log.of("requestEnd").map((event) => [event.bytes, event.whole]), [[bytes, false]]);
});

Deno.test("trace: an early answer: the request's end says that it is not whole", async () => {
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

Deno.test("trace: step by step: the end comes with the last byte", async () => {
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
  Deno.test(`trace: the bytes of a body ${framing} add up to its content`, async () => {
    const { conn, log, fake } = traced([answer]);
    using _ = conn;
    fake.end();
    assertEquals((await get(conn)).length, 100_000);
    const progress = log.of("responseBody");
    assertEquals(progress.reduce((sum, { bytes }) => sum + bytes, 0), 100_000);
    assertEquals(progress.at(-1)?.total, 100_000);
    assertEquals(log.of("responseEnd").map(({ total }) => total), [100_000]);
  });

  Deno.test(`trace: the bytes of a body ${framing}, read into a buffer`, async () => {
    const { conn, log, fake } = traced([answer]);
    using _ = conn;
    fake.end();
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    const buffer = new Uint8Array(30_000);
    while (await response.readinto(buffer) > 0);
    assertEquals(log.of("responseBody").at(-1)?.total, 100_000);
  });

  Deno.test(`trace: the bytes of a body ${framing}, piped`, async () => {
    const { conn, log, fake } = traced([answer]);
    using _ = conn;
    fake.end();
    await conn.request("GET", "/");
    await (await conn.getresponse()).pipeTo(new WritableStream());
    assertEquals(log.of("responseBody").at(-1)?.total, 100_000);
    assertEquals(log.of("responseEnd").length, 1);
  });
}

Deno.test("trace: progress is told while the body comes, not at its end", async () => {
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

Deno.test("trace: read() of a large body tells of its progress, too", async () => {
  const size = 1_000_000;
  const { conn, log, fake } = traced([]);
  using _ = conn;
  fake.arrive(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
  for (let i = 0; i < 100; i++) fake.arrive("x".repeat(size / 100));
  await get(conn);
  assert(log.of("responseBody").length > 2);
});

// Without a listener, and with a bad one

Deno.test("trace: what it throws does not leave the connection half open", async () => {
  const fake = new FakeTransport([], { answers: [ok()] });
  const second = new FakeTransport([], { answers: [ok("second")] });
  let broken = false;
  using conn = new HTTPConnection("example.com", {
    ...over(fake, second),
    trace({ type }) {
      if (broken && type === "close") throw new RangeError("mine");
    },
  });
  await get(conn);
  broken = true;
  try {
    conn.close();
  } catch {
    // It may come out, or not.
  }
  broken = false;
  assertEquals(conn.sock, null);
  assertEquals(await get(conn), "second");
});

// Times

/** The names of the times that are known. */
function known(timings: ResponseTimings): string[] {
  return Object.entries(timings).filter(([_, time]) => time !== null).map(([name]) => name);
}

Deno.test("timings: of a first response, in their order", async () => {
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

Deno.test("timings: of a second response, without those of the connection", async () => {
  const { conn } = traced([ok(), ok()]);
  using _ = conn;
  await get(conn);
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await response.read();
  assertEquals(known(response.timings), ["start", "sent", "head", "end"]);
});

Deno.test("timings: after connect(), without those of the connection", async () => {
  const { conn } = traced([ok()]);
  using _ = conn;
  await conn.connect();
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals(known(response.timings), ["start", "sent", "head"]);
});

Deno.test("timings: of TLS", async () => {
  await using server = await startRawTls(async (peer) => {
    await peer.readHead();
    await peer.send(ok());
  });
  using conn = new HTTPSConnection("localhost", server.port, { context: { caCerts: [CA] } });
  await conn.request("GET", "/");
  const { connected, secured, sent } = (await conn.getresponse()).timings;
  assert(connected! <= secured! && secured! <= sent!);
});

Deno.test("timings: the end is there when the body was read, and does not move", async () => {
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

Deno.test("timings: there without a trace", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([], { answers: [ok()] })));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await response.read();
  assert(response.timings.end !== null);
});

Deno.test("timings: a copy", async () => {
  const { conn } = traced([ok()]);
  using _ = conn;
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  response.timings.start = -1;
  assert(response.timings.start > 0);
});

Deno.test("timings: of each of two responses, when the second request goes out early", async () => {
  const { conn, fake } = traced([]);
  using _ = conn;
  fake.arrive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  await conn.request("GET", "/1");
  const first = await conn.getresponse();
  await conn.request("GET", "/2");
  fake.arrive("ok" + ok());
  await first.read();
  const second = await conn.getresponse();
  await second.read();
  assert(first.timings.start < second.timings.start);
  assertEquals(known(first.timings), ["start", "connected", "sent", "head", "end"]);
  assertEquals(known(second.timings), ["start", "sent", "head", "end"]);
});
