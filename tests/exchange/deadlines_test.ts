/**
 * Deadlines: by the clock on the wall, whatever a server drips. After each of them the connection is
 * closed, the error says the phase, and the next request makes a new connection.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type DeadlineKind, Deadlines } from "../../_internal/exchange/deadlines.ts";
import {
  type ExchangeDetails,
  type ExchangePhase,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
} from "../../mod.ts";
import { endless } from "../helpers/bodies.ts";
import { getText } from "../helpers/exchanges.ts";
import { FakeClock } from "../helpers/fake_clock.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { fullListener, hasFullListener } from "../helpers/sockets.ts";
import { TLS_WAYS } from "../helpers/tls_ways.ts";
import { soon } from "../helpers/waiting.ts";
import { delay } from "../servers/child.ts";
import { type Peer, startRaw } from "../servers/raw.ts";
import { CA, CLIENT } from "../tls/mod.ts";

// The class by itself, with a clock of the test's

/** Deadlines, and which of them have passed. */
function watched(): { deadlines: Deadlines; passed: [string, number][] } {
  const passed: [string, number][] = [];
  return {
    deadlines: new Deadlines((name, seconds) => void passed.push([name, seconds])),
    passed,
  };
}

/** What each deadline is called. */
const KINDS: [DeadlineKind, string][] = [
  ["open", "timeout"],
  ["read", "timeout"],
  ["write", "timeout"],
  ["connect", "connect deadline"],
  ["tls", "tls deadline"],
  ["head", "head deadline"],
  ["bodyIdle", "bodyIdle deadline"],
  ["total", "total deadline"],
];

for (const [kind, name] of KINDS) {
  Deno.test(`Deadlines tells of the ${name} when ${kind} has passed while a call waits`, () => {
    using clock = new FakeClock();
    const { deadlines, passed } = watched();
    deadlines.set(kind, 2);
    assertEquals(deadlines.runs(kind), true);
    deadlines.beginWait();
    clock.advance(1998);
    assertEquals(passed, []);
    clock.advance(2);
    assertEquals(passed, [[name, 2]]);
  });
}

Deno.test("Deadlines makes no timer when no deadline is set", () => {
  using clock = new FakeClock();
  const { deadlines } = watched();
  deadlines.beginWait();
  deadlines.restart("read");
  deadlines.clear("read");
  assertEquals(deadlines.runs("read"), false);
  deadlines.endWait();
  deadlines.end(true);
  deadlines.end(false);
  assertEquals(clock.waits, []);
});

Deno.test("set() changes nothing when there are no seconds", () => {
  using clock = new FakeClock();
  const { deadlines } = watched();
  deadlines.beginWait();
  deadlines.set("read", null);
  deadlines.set("read", undefined);
  assertEquals(deadlines.runs("read"), false);
  assertEquals(clock.waits, []);
});

Deno.test("set() makes no timer before a call waits", () => {
  using clock = new FakeClock();
  const { deadlines } = watched();
  deadlines.set("read", 2);
  assertEquals(clock.waits, []);
  deadlines.beginWait();
  assertEquals(clock.waits, [2000]);
});

Deno.test("set() makes a timer while a call waits", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.beginWait();
  deadlines.set("read", 2);
  assertEquals(clock.waits, [2000]);
  clock.advance(2000);
  assertEquals(passed, [["timeout", 2]]);
});

Deno.test("set() counts from the time that is given", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("total", 3, clock.now - 2500);
  deadlines.beginWait();
  assertEquals(clock.waits, [500]);
  clock.advance(500);
  assertEquals(passed, [["total deadline", 3]]);
});

Deno.test("set() of a deadline that has passed makes a timer that fires at once", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("total", 1, clock.now - 5000);
  deadlines.beginWait();
  assertEquals(clock.waits, [0]);
  clock.advance(0);
  assertEquals(passed.length, 1);
});

Deno.test("wait() sets the timer to the deadline that ends first", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("total", 9);
  deadlines.set("read", 3);
  deadlines.set("head", 5);
  deadlines.beginWait();
  assertEquals(clock.waits, [3000]);
  clock.advance(3000);
  assertEquals(passed, [["timeout", 3]]);
});

Deno.test("set() moves the timer when a deadline ends before all others", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("total", 9);
  deadlines.beginWait();
  deadlines.set("read", 3);
  assertEquals([clock.waits, clock.pending], [[9000, 3000], [true]]);
  clock.advance(3000);
  assertEquals(passed, [["timeout", 3]]);
});

Deno.test("set() leaves the timer when a deadline ends later", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("read", 3);
  deadlines.beginWait();
  deadlines.set("read", 5);
  assertEquals(clock.waits, [3000]);
  clock.advance(4999);
  assertEquals(passed, []);
  assertEquals(clock.waits, [3000, 2000]);
  clock.advance(1);
  assertEquals(passed, [["timeout", 5]]);
});

Deno.test("set() leaves a timer that fires a millisecond too late", () => {
  using clock = new FakeClock();
  const { deadlines } = watched();
  deadlines.set("read", 3);
  deadlines.beginWait();
  deadlines.set("head", 2.999);
  assertEquals(clock.waits, [3000]);
  deadlines.set("head", 2.9985);
  assertEquals(clock.waits, [3000, 2999]);
});

Deno.test("a deadline that ends within a millisecond has passed", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("read", 3);
  deadlines.beginWait();
  deadlines.set("read", 3.001);
  clock.advance(3000);
  assertEquals(passed, [["timeout", 3.001]]);
});

Deno.test("restart() moves a deadline on by its own seconds", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("read", 2);
  deadlines.beginWait();
  clock.advance(1500);
  deadlines.restart("read");
  clock.advance(1999);
  assertEquals(passed, []);
  clock.advance(1);
  assertEquals(passed, [["timeout", 2]]);
});

Deno.test("restart() starts nothing when the deadline does not run", () => {
  using _clock = new FakeClock();
  const { deadlines } = watched();
  deadlines.set("read", 2);
  deadlines.clear("read");
  deadlines.restart("read");
  deadlines.restart("head");
  assertEquals([deadlines.runs("read"), deadlines.runs("head")], [false, false]);
});

Deno.test("clear() ends one deadline, and leaves the others", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("read", 2);
  deadlines.set("total", 5);
  deadlines.beginWait();
  deadlines.clear("read");
  assertEquals([deadlines.runs("read"), deadlines.runs("total")], [false, true]);
  clock.advance(4999);
  assertEquals(passed, []);
  clock.advance(1);
  assertEquals(passed, [["total deadline", 5]]);
});

Deno.test("a timer that finds no deadline makes no other one", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("read", 2);
  deadlines.beginWait();
  deadlines.clear("read");
  clock.advance(2000);
  assertEquals([passed, clock.pending], [[], []]);
  deadlines.set("read", 1);
  assertEquals(clock.waits, [2000, 1000]);
});

Deno.test("nothing is told when a deadline passes while no call waits", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("total", 2);
  deadlines.beginWait();
  deadlines.endWait();
  clock.advance(3000);
  assertEquals(passed, []);
  deadlines.beginWait();
  clock.advance(0);
  assertEquals(passed, [["total deadline", 2]]);
});

Deno.test("the timer keeps the process alive only while a call waits", () => {
  using clock = new FakeClock();
  const { deadlines } = watched();
  deadlines.set("total", 2);
  deadlines.beginWait();
  deadlines.beginWait();
  assertEquals(clock.pending, [true]);
  deadlines.endWait();
  assertEquals(clock.pending, [true]);
  deadlines.endWait();
  assertEquals(clock.pending, [false]);
  deadlines.beginWait();
  assertEquals([clock.pending, clock.waits.length], [[true], 1]);
});

Deno.test("the timer that is made anew keeps the process alive", () => {
  using clock = new FakeClock();
  const { deadlines } = watched();
  deadlines.set("total", 9);
  deadlines.beginWait();
  deadlines.endWait();
  deadlines.set("read", 1);
  deadlines.beginWait();
  assertEquals(clock.pending, [true]);
  deadlines.endWait();
  assertEquals(clock.pending, [false]);
});

Deno.test("end() leaves the timer for the next exchange when that is asked for", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  deadlines.set("read", 2);
  deadlines.set("total", 2);
  deadlines.beginWait();
  deadlines.end(true);
  assertEquals([deadlines.runs("read"), deadlines.runs("total")], [false, false]);
  assertEquals(clock.pending, [false]);
  deadlines.set("read", 2);
  deadlines.beginWait();
  assertEquals([clock.waits, clock.pending], [[2000], [true]]);
  deadlines.endWait();
  clock.advance(5000);
  assertEquals(passed.length, 1);
});

Deno.test("end() removes the timer otherwise, and the next deadline makes one", () => {
  using clock = new FakeClock();
  const { deadlines } = watched();
  deadlines.set("read", 2);
  deadlines.beginWait();
  deadlines.end(false);
  assertEquals([deadlines.runs("read"), clock.pending], [false, []]);
  deadlines.set("read", 2);
  assertEquals([clock.waits, clock.pending], [[2000, 2000], [true]]);
});

Deno.test("a deadline of more than a timer can take is waited for in parts", () => {
  using clock = new FakeClock();
  const { deadlines, passed } = watched();
  const longest = 0x7fffffff;
  deadlines.set("total", 2 * longest / 1000);
  deadlines.beginWait();
  assertEquals(clock.waits, [longest]);
  clock.advance(longest);
  assertEquals([passed, clock.waits], [[], [longest, longest]]);
  clock.advance(longest);
  assertEquals(passed.length, 1);
});

// Through the public API

/** A deadline: 50 times what a whole exchange takes, so that it passes on a busy machine, too. */
const SHORT = 0.25;
/**
 * Longer than that, in milliseconds. The timers of one process fire in their order, so a deadline that
 * ran for all of this time would have passed, however busy the machine is.
 */
const LONGER = 300;
/** How long a server that drips waits after each piece: much shorter than the deadline. */
const DRIP = 5;

const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** Sends `text` again and again until the client has gone. */
async function drip(peer: Peer, text: string): Promise<never> {
  for (;;) {
    await peer.send(text);
    await delay(DRIP);
  }
}

async function assertTimedOut(
  run: () => Promise<unknown>,
  phase: ExchangePhase,
): Promise<ExchangeDetails> {
  const error = await assertRejects(() => soon(run()), Deno.errors.TimedOut);
  assertEquals((error as ExchangeDetails).phase, phase);
  return error as ExchangeDetails;
}

/** A server that holds up the first connection, and what becomes of it. */
interface Case {
  name: string;
  options: HTTPConnectionOptions;
  phase: ExchangePhase;
  /** What the first connection does; after it, the server waits for the end. */
  script: (peer: Peer) => Promise<void>;
  /** What throws. */
  run?: (conn: HTTPConnection) => Promise<unknown>;
}

const CASES: Case[] = [
  {
    name: "deadlines.head throws TimedOut when the server is silent",
    options: { deadlines: { head: SHORT } },
    phase: "head",
    script: async (peer) => void await peer.readHead(),
  },
  {
    name: "deadlines.head throws TimedOut when a status line drips",
    options: { deadlines: { head: SHORT } },
    phase: "head",
    script: async (peer) => {
      await peer.send("HTTP/1.1 200 O");
      await drip(peer, "K");
    },
  },
  {
    name: "deadlines.head throws TimedOut when field lines drip",
    options: { deadlines: { head: SHORT } },
    phase: "head",
    script: async (peer) => {
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
      await drip(peer, "A: b\r\n");
    },
  },
  {
    name: "deadlines.head throws TimedOut when interim responses do not end",
    options: { deadlines: { head: SHORT } },
    phase: "head",
    script: async (peer) => {
      await drip(peer, "HTTP/1.1 102 Processing\r\n\r\n");
    },
  },
  {
    name: "deadlines.bodyIdle throws TimedOut when a body stops",
    options: { deadlines: { bodyIdle: SHORT } },
    phase: "body",
    script: async (peer) => void await peer.send(HEAD + "some"),
  },
  {
    name: "deadlines.bodyIdle throws TimedOut when a chunked body stops within its framing",
    options: { deadlines: { bodyIdle: SHORT } },
    phase: "body",
    script: async (peer) => void await peer.send(CHUNKED + "4\r\nsome\r"),
  },
  {
    name: "deadlines.bodyIdle throws TimedOut when trailers stop",
    options: { deadlines: { bodyIdle: SHORT } },
    phase: "body",
    script: async (peer) => void await peer.send(CHUNKED + "0\r\nA: b\r\n"),
  },
  {
    name: "deadlines.bodyIdle throws TimedOut when a body that is iterated stops",
    options: { deadlines: { bodyIdle: SHORT } },
    phase: "body",
    script: async (peer) => void await peer.send(HEAD + "some"),
    run: async (conn) => {
      await conn.request("GET", "/");
      for await (const _ of await conn.getresponse());
    },
  },
  {
    name: "deadlines.total throws TimedOut when the server is silent",
    options: { deadlines: { total: SHORT } },
    phase: "head",
    script: async (peer) => void await peer.readHead(),
  },
  {
    name: "deadlines.total throws TimedOut when a status line drips",
    options: { deadlines: { total: SHORT } },
    phase: "head",
    script: async (peer) => {
      await peer.send("HTTP/1.1 200 O");
      await drip(peer, "K");
    },
  },
  {
    name: "deadlines.total throws TimedOut when interim responses do not end",
    options: { deadlines: { total: SHORT } },
    phase: "head",
    script: async (peer) => {
      await drip(peer, "HTTP/1.1 103 Early Hints\r\n\r\n");
    },
  },
  {
    name: "deadlines.total throws TimedOut when a body drips",
    options: { deadlines: { total: SHORT } },
    phase: "body",
    script: async (peer) => {
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
      await drip(peer, "x");
    },
  },
  {
    name: "deadlines.total throws TimedOut when a body that is piped drips",
    options: { deadlines: { total: SHORT } },
    phase: "body",
    script: async (peer) => {
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
      await drip(peer, "x");
    },
    run: async (conn) => {
      await conn.request("GET", "/");
      await (await conn.getresponse()).pipeTo(new WritableStream());
    },
  },
  {
    name: "deadlines.total throws TimedOut when chunk extensions drip",
    options: { deadlines: { total: SHORT } },
    phase: "body",
    script: async (peer) => {
      await peer.send(CHUNKED + "1;");
      await drip(peer, "x");
    },
  },
  {
    name: "deadlines.total throws TimedOut when trailers drip",
    options: { deadlines: { total: SHORT } },
    phase: "body",
    script: async (peer) => {
      await peer.send(CHUNKED + "0\r\n");
      await drip(peer, "A: b\r\n");
    },
  },
  {
    name: "deadlines.total throws TimedOut when the server does not read the request",
    options: { deadlines: { total: SHORT } },
    phase: "send",
    script: () => Promise.resolve(),
    run: (conn) => conn.request("POST", "/", endless()),
  },
  {
    name: "deadlines.total throws TimedOut when a 100 does not come",
    options: { deadlines: { total: SHORT } },
    phase: "head",
    script: async (peer) => void await peer.readHead(),
    run: (conn) => conn.request("POST", "/", "body", {}, { expect_continue: true }),
  },
  {
    name: "timeout throws TimedOut when the server is silent",
    options: { timeout: SHORT },
    phase: "head",
    script: async (peer) => void await peer.readHead(),
  },
  {
    name: "timeout throws TimedOut when a body stops",
    options: { timeout: SHORT },
    phase: "body",
    script: async (peer) => void await peer.send(HEAD + "some"),
  },
  {
    name: "timeout throws TimedOut when the server does not read the request",
    options: { timeout: SHORT },
    phase: "send",
    script: () => Promise.resolve(),
    run: (conn) => conn.request("POST", "/", endless()),
  },
  {
    name: "timeout throws TimedOut when a 100 does not come",
    options: { timeout: SHORT },
    phase: "head",
    script: async (peer) => void await peer.readHead(),
    run: (conn) => conn.request("POST", "/", "body", {}, { expect_continue: true }),
  },
];

for (const { name, options, phase, script, run = getText } of CASES) {
  Deno.test(name, async () => {
    let closed = () => {};
    const ended = new Promise<void>((resolve) => closed = resolve);
    const held = Promise.withResolvers<void>();
    await using server = await startRaw(async (peer) => {
      if (peer.index > 0) {
        await peer.readHead();
        await peer.send(ok());
      } else {
        try {
          await script(peer);
          // A server that does not read sees no end either: that test lets it read now.
          if (phase === "send") await held.promise;
          await peer.eof();
        } finally {
          closed();
        }
      }
    });
    using conn = new HTTPConnection("127.0.0.1", server.port, options);
    try {
      await assertTimedOut(() => run(conn), phase);
    } finally {
      held.resolve();
    }
    await soon(ended);
    assertEquals(await getText(conn), "ok");
    assertEquals(server.accepted, 2);
  });
}

// Connecting

for (
  const [kind, options] of [
    ["TCP", {}],
    ["TCP from a source address", { source_address: ["127.0.0.1", 0] }],
  ] satisfies [string, HTTPConnectionOptions][]
) {
  for (
    const [name, limit] of [
      ["deadlines.connect", { deadlines: { connect: SHORT } }],
      ["deadlines.total", { deadlines: { total: SHORT } }],
      ["timeout", { timeout: SHORT }],
    ] satisfies [string, HTTPConnectionOptions][]
  ) {
    Deno.test({
      name: `${name} throws TimedOut when the server does not accept (${kind})`,
      ignore: !hasFullListener,
      async fn() {
        using listener = await fullListener();
        using conn = new HTTPConnection("127.0.0.1", listener.port, { ...options, ...limit });
        const { requestBytesSent, retrySafe } = await assertTimedOut(
          () => getText(conn),
          "connect",
        );
        assertEquals({ requestBytesSent, retrySafe }, { requestBytesSent: 0, retrySafe: "yes" });
      },
    });
  }
}

Deno.test("deadlines.connect throws TimedOut when transport() does not settle", async () => {
  const late = Promise.withResolvers<FakeTransport>();
  const first = new FakeTransport();
  const second = new FakeTransport([], { answers: [ok()] });
  let calls = 0;
  using conn = new HTTPConnection("example.com", {
    transport: () => calls++ === 0 ? late.promise : Promise.resolve(second),
    deadlines: { connect: SHORT },
  });
  await assertTimedOut(() => getText(conn), "connect");
  // What comes too late is closed, and the next request has a transport of its own.
  late.resolve(first);
  await late.promise;
  await null;
  assertEquals(first.closes, 1);
  assertEquals(await getText(conn), "ok");
  assertEquals([first.writes, calls], [[], 2]);
});

Deno.test("deadlines.connect ends when the connection is made", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await delay(LONGER);
    await peer.send(ok());
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { connect: SHORT } });
  assertEquals(await getText(conn), "ok");
});

Deno.test("deadlines.total does not run on after connect()", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ok());
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { total: SHORT } });
  await conn.connect();
  await delay(LONGER);
  assertEquals(await getText(conn), "ok");
  assertEquals(server.accepted, 1);
});

// TLS

for (const [kind, options] of TLS_WAYS) {
  Deno.test(`deadlines.tls throws TimedOut when the server is silent (${kind})`, async () => {
    await using server = await startRaw(async (peer) => void await peer.eof());
    using conn = new HTTPSConnection("localhost", server.port, {
      ...options(server.port),
      deadlines: { tls: SHORT },
    });
    const { retrySafe } = await assertTimedOut(() => getText(conn), "tls");
    assertEquals(retrySafe, "yes");
  });

  // Deno keeps the socket of a TLS connection that is closed within its handshake until the peer ends it.
  if (kind === "Deno's TLS") continue;
  Deno.test(`deadlines.tls closes the socket (${kind})`, async () => {
    await using server = await startRaw(async (peer) => void await peer.eof());
    using conn = new HTTPSConnection("localhost", server.port, {
      ...options(server.port),
      deadlines: { tls: SHORT },
    });
    await assertTimedOut(() => getText(conn), "tls");
    await soon(server.idle());
  });

  Deno.test(`deadlines.tls throws TimedOut when a handshake drips (${kind})`, async () => {
    await using server = await startRaw(async (peer) => {
      await peer.read();
      // The start of a record of 16 KiB, and some of it.
      await peer.send("\x16\x03\x03\x3f\xff");
      await drip(peer, "\x02");
    });
    using conn = new HTTPSConnection("localhost", server.port, {
      ...options(server.port),
      deadlines: { tls: SHORT },
    });
    await assertTimedOut(() => getText(conn), "tls");
  });
}

Deno.test("deadlines.total throws TimedOut when a handshake does not come", async () => {
  await using server = await startRaw(async (peer) => void await peer.eof());
  using conn = new HTTPSConnection("localhost", server.port, {
    context: { caCerts: [CA], ...CLIENT },
    deadlines: { total: SHORT },
  });
  await assertTimedOut(() => getText(conn), "tls");
});

// Tunnels

Deno.test("deadlines.head throws TimedOut when the proxy's answer to CONNECT drips", async () => {
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 O");
    await drip(peer, "K");
  });
  using conn = new HTTPConnection("127.0.0.1", proxy.port, { deadlines: { head: SHORT } });
  conn.set_tunnel("example.com", 80);
  const error = await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut);
  const { requestBytesSent, retrySafe } = error as ExchangeDetails;
  assertEquals({ requestBytesSent, retrySafe }, { requestBytesSent: 0, retrySafe: "yes" });
  await soon(proxy.idle());
});

Deno.test("deadlines.total throws TimedOut when the proxy does not answer CONNECT", async () => {
  await using proxy = await startRaw(async (peer) => void await peer.eof());
  using conn = new HTTPConnection("127.0.0.1", proxy.port, { deadlines: { total: SHORT } });
  conn.set_tunnel("example.com", 80);
  await assertRejects(() => soon(getText(conn)), Deno.errors.TimedOut);
  await soon(proxy.idle());
});

// What a deadline leaves alone

Deno.test("deadlines.head ends with the head, and the body may take longer", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    await delay(LONGER);
    await peer.send("ok");
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { head: SHORT } });
  assertEquals(await getText(conn), "ok");
});

/** Two pieces with more than a deadline between them. */
async function* slowBody(): AsyncGenerator<string> {
  yield "one";
  await delay(LONGER);
  yield "two";
}

Deno.test("deadlines.head begins with the end of the request", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(ok());
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { head: SHORT } });
  await conn.request("POST", "/", slowBody());
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("deadlines.head does not begin when an interim response comes while the body goes out", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    await peer.readChunks();
    await peer.send(ok());
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { head: SHORT } });
  await conn.request("POST", "/", slowBody(), {}, { expect_continue: true });
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("timeout does not run while the source of a body takes its time", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(ok());
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: SHORT });
  await conn.request("POST", "/", slowBody());
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("deadlines.head does not run between endheaders() and send()", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(ok());
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { head: SHORT } });
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", 4);
  await conn.endheaders();
  await delay(LONGER);
  await conn.send("body");
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

for (const interim of ["100 Continue", "102 Processing"]) {
  Deno.test(`timeout does not run after ${interim} while the body goes out`, async () => {
    await using server = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send(`HTTP/1.1 ${interim}\r\n\r\n`);
      await peer.readChunks();
      await peer.send(ok());
    });
    using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: SHORT });
    const expect_continue = interim.startsWith("100");
    await conn.request("POST", "/", slowBody(), {}, { expect_continue });
    assertEquals(await (await conn.getresponse()).text(), "ok");
  });
}

Deno.test("timeout does not run on after the seconds of expect_continue", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(ok());
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: SHORT });
  await conn.request("POST", "/", slowBody(), {}, { expect_continue: SHORT / 5 });
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("deadlines.bodyIdle begins anew with each piece", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n");
    await peer.sendSlow("x".repeat(60), { ms: DRIP });
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { bodyIdle: SHORT } });
  assertEquals((await getText(conn)).length, 60);
});

Deno.test("deadlines.bodyIdle does not run while nobody reads", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ok("hello"));
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { bodyIdle: SHORT } });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals((await response.read(2)).length, 2);
  await delay(LONGER);
  assertEquals((await response.read()).length, 3);
});

Deno.test("deadlines.bodyIdle holds when a request is out behind the response", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]);
  using conn = new HTTPConnection("example.com", {
    ...over(transport, new FakeTransport()),
    deadlines: { bodyIdle: SHORT },
  });
  await conn.request("GET", "/1");
  const response = await conn.getresponse();
  await conn.request("GET", "/2");
  await assertTimedOut(() => response.read(), "body");
});

Deno.test("deadlines.total of a request outlives the unread response before it", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"]);
  using conn = new HTTPConnection("example.com", {
    ...over(transport, new FakeTransport()),
    deadlines: { total: SHORT },
  });
  await conn.request("GET", "/1");
  const response = await conn.getresponse();
  await conn.request("GET", "/2");
  transport.arrive("ok");
  assertEquals(await response.text(), "ok");
  await assertTimedOut(() => conn.getresponse(), "head");
});

Deno.test("deadlines.total ends with the response", async () => {
  await using server = await startRaw(async (peer) => {
    for (;;) {
      await peer.readHead();
      await peer.send(ok());
    }
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { total: SHORT } });
  assertEquals(await getText(conn), "ok");
  await delay(LONGER);
  assertEquals(await getText(conn), "ok");
  assertEquals(server.accepted, 1);
});

Deno.test("deadlines.total has passed when a response lay unread for so long", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(HEAD);
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { total: SHORT } });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await delay(LONGER);
  await assertTimedOut(() => response.read(), "body");
  await soon(server.idle());
});

Deno.test("timeout begins anew with each read", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.sendSlow(ok("x".repeat(30)), { ms: DRIP });
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { timeout: SHORT });
  assertEquals((await getText(conn)).length, 30);
});

Deno.test("deadlines.head of one exchange does not end a later one", async () => {
  await using server = await startRaw(async (peer) => {
    if (peer.index === 0) return void await peer.eof();
    await peer.readHead();
    await delay(SHORT * 1000 / 5);
    await peer.send(ok());
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, { deadlines: { head: SHORT } });
  await assertTimedOut(() => getText(conn), "head");
  assertEquals(await getText(conn), "ok");
});

Deno.test("read() and readline() throw the same again after a deadline", async () => {
  const transport = new FakeTransport([HEAD + "some"]);
  using conn = new HTTPConnection("example.com", {
    ...over(transport),
    deadlines: { bodyIdle: SHORT },
  });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await assertTimedOut(() => response.read(), "body");
  await assertTimedOut(() => response.readline(), "body");
  assert(response.isclosed());
});

for (const [name, value] of [["0", 0], ["-1", -1], ["NaN", NaN], ["a string", "1"]] as const) {
  Deno.test(`deadlines throws a TypeError when head is ${name}`, async () => {
    const deadlines = { head: value as number };
    await assertRejects(
      async () => void await new HTTPConnection("example.com", { deadlines }).connect(),
      TypeError,
    );
  });
}
