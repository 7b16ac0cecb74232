/**
 * Idle connections: what a server does to one while no request is out is noticed by the next request,
 * which goes out on a new one, once. An idle connection does not keep a process alive.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type ExchangeDetails,
  HTTPConnection,
  HTTPSConnection,
  NotConnected,
  RemoteDisconnected,
} from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { Child, until } from "../servers/child.ts";
import { type Peer, type RawServer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT } from "../tls/mod.ts";

type Script = (peer: Peer) => Promise<void>;

/** A way to a server: how it listens, and how a connection reaches it. */
interface Way {
  name: string;
  start: (script: Script) => Promise<RawServer>;
  connect: (server: RawServer) => HTTPConnection;
}

const TCP: Way = {
  name: "TCP",
  start: startRaw,
  connect: ({ port }) => new HTTPConnection("127.0.0.1", port),
};
const NODE: Way = {
  name: "a source address",
  start: startRaw,
  connect: ({ port }) =>
    new HTTPConnection("127.0.0.1", port, { source_address: ["127.0.0.1", 0] }),
};
const OWN: Way = {
  name: "own transport",
  start: startRaw,
  connect: ({ port }) =>
    new HTTPConnection("example.com", {
      transport: () => Deno.connect({ hostname: "127.0.0.1", port }),
    }),
};
const WAYS: Way[] = [
  TCP,
  NODE,
  OWN,
  {
    name: "a unix socket",
    start: (script) => startRaw(script, { unix: true }),
    connect: ({ path }) => new HTTPConnection("localhost", { socketPath: path }),
  },
  {
    name: "Deno's TLS",
    start: startRawTls,
    connect: ({ port }) => new HTTPSConnection("localhost", port, { context: { caCerts: [CA] } }),
  },
  {
    name: "a client certificate",
    start: startRawTls,
    connect: ({ port }) =>
      new HTTPSConnection("localhost", port, { context: { caCerts: [CA], ...CLIENT } }),
  },
  {
    name: "TLS over own transport",
    start: startRawTls,
    connect: ({ port }) =>
      new HTTPSConnection("localhost", port, {
        context: { caCerts: [CA] },
        transport: () => Deno.connect({ hostname: "127.0.0.1", port }),
      }),
  },
];

/** What a server does unasked; the connection stays open unless it is closed. */
const EVENTS: [string, Script][] = [
  ["the end", (peer) => peer.closeWrite()],
  ["an unsolicited response", (peer) => {
    return peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  }],
  ["408 and the end", async (peer) => {
    await peer.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    await peer.closeWrite();
  }],
  ["a single byte", (peer) => peer.send("x")],
];

/** Fails a test that would wait for ever. */
async function soon<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("Waited in vain")), 1000);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function exchange(conn: HTTPConnection, target: string): Promise<string> {
  await conn.request("POST", target, "body");
  return await (await conn.getresponse()).text();
}

function post(conn: HTTPConnection, target: string): Promise<string> {
  return soon(exchange(conn, target));
}

/** Lets the system and the event loop tell of what a peer has sent. */
async function told(way: Way): Promise<void> {
  // Deno's TLS servers leave Nagle's algorithm on: what they send unasked may take 40 ms to leave.
  const ms = way.start === startRawTls ? 20 : 1;
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, ms));
}

for (const way of WAYS) {
  for (const [name, act] of EVENTS) {
    Deno.test(`idle: ${name} on an idle connection, by ${way.name}`, async () => {
      const done = Promise.withResolvers<void>();
      await using server = await way.start(async (peer) => {
        await peer.readRequest();
        await peer.send(ok());
        if (peer.index > 0) return void await peer.eof();
        await act(peer);
        done.resolve();
        await peer.eof();
      });
      using conn = way.connect(server);
      assertEquals(await post(conn, "/1"), "ok");
      await done.promise;
      await told(way);
      assertEquals(await post(conn, "/2"), "ok");
      assertEquals(server.peers.map(({ heads }) => heads.length), [1, 1]);
    });

    Deno.test(`idle: ${name} before the first request, by ${way.name}`, async () => {
      const done = Promise.withResolvers<void>();
      await using server = await way.start(async (peer) => {
        if (peer.index === 0) {
          await act(peer);
          done.resolve();
        } else {
          await peer.readRequest();
          await peer.send(ok());
        }
        await peer.eof();
      });
      using conn = way.connect(server);
      await conn.connect();
      await done.promise;
      await told(way);
      assertEquals(await post(conn, "/"), "ok");
      assertEquals(server.accepted, 2);
      assertEquals(server.peers[0].text, "");
    });
  }
}

for (const way of [TCP, NODE, OWN]) {
  Deno.test(`idle: a reset of an idle connection, by ${way.name}`, async () => {
    const done = Promise.withResolvers<void>();
    await using server = await startRaw(async (peer) => {
      await peer.readRequest();
      await peer.send(ok());
      if (peer.index > 0) return void await peer.eof();
      peer.reset();
      done.resolve();
    }, { resettable: true });
    using conn = way.connect(server);
    assertEquals(await post(conn, "/1"), "ok");
    await done.promise;
    await told(way);
    assertEquals(await post(conn, "/2"), "ok");
    assertEquals(server.accepted, 2);
  });
}

Deno.test("idle: an unsolicited response through a tunnel, before the first request", async () => {
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\n\r\n" + (peer.index === 0 ? ok("evil") : ""));
    await peer.readHead();
    await peer.send(ok());
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("example.com", 80);
  let text = "";
  try {
    text = await post(conn, "/");
  } catch {
    // To refuse is fine, too; to take it for the answer is not.
    text = await post(conn, "/");
  }
  assertEquals(text, "ok");
});

Deno.test("idle: bytes behind a response, in one segment with it", async () => {
  const first = new FakeTransport([], { answers: [ok() + ok("evil")] });
  const second = new FakeTransport([], { answers: [ok("good")] });
  using conn = new HTTPConnection("example.com", over(first, second));
  assertEquals(await post(conn, "/1"), "ok");
  assertEquals(await post(conn, "/2"), "good");
  assertEquals([first.writes.length, first.closes], [1, 1]);
});

Deno.test("idle: an interim response on an idle connection retires it, too", async () => {
  const first = new FakeTransport([], { answers: [ok()] });
  const second = new FakeTransport([], { answers: [ok("good")] });
  using conn = new HTTPConnection("example.com", over(first, second));
  assertEquals(await post(conn, "/1"), "ok");
  first.arrive("HTTP/1.1 102 Processing\r\n\r\n");
  assertEquals(await post(conn, "/2"), "good");
});

Deno.test("idle: without auto_open there is no new connection, and nothing is sent", async () => {
  const fake = new FakeTransport([], { answers: [ok()] });
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await post(conn, "/1"), "ok");
  conn.auto_open = false;
  fake.end();
  await assertRejects(() => post(conn, "/2"), NotConnected);
  assertEquals(fake.writes.length, 1);
});

Deno.test("idle: a silent connection serves on, and what was read to see that is not lost", async () => {
  await using server = await startRaw(async (peer) => {
    for (;;) {
      await peer.readRequest();
      await peer.sendSlow(ok(), { size: 5, ms: 0 });
    }
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  for (let i = 0; i < 20; i++) assertEquals(await post(conn, "/"), "ok");
  assertEquals(server.accepted, 1);
});

Deno.test("idle: a connection that is idle has no deadline", async () => {
  await using server = await startRaw(async (peer) => {
    for (;;) {
      await peer.readRequest();
      await peer.send(ok());
    }
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, {
    timeout: 0.03,
    deadlines: { head: 0.03, bodyIdle: 0.03, total: 0.03 },
  });
  assertEquals(await post(conn, "/1"), "ok");
  await new Promise((resolve) => setTimeout(resolve, 60));
  assertEquals(await post(conn, "/2"), "ok");
  assertEquals(server.accepted, 1);
});

// Nothing is sent twice

for (const way of WAYS) {
  Deno.test(`idle: a POST that a dying connection has taken is sent once, by ${way.name}`, async () => {
    await using server = await way.start(async (peer) => {
      await peer.readRequest();
      await peer.send(ok());
      await peer.readRequest();
    });
    using conn = way.connect(server);
    assertEquals(await post(conn, "/1"), "ok");
    const error = await assertRejects(() => post(conn, "/2"), Deno.errors.ConnectionReset);
    const { connectionReused, retrySafe } = error as ExchangeDetails;
    assertEquals({ connectionReused, retrySafe }, {
      connectionReused: true,
      retrySafe: "idempotent-only",
    });
    assertEquals(server.accepted, 1);
    assertEquals(server.requests.filter((head) => head.startsWith("POST /2 ")).length, 1);
  });
}

Deno.test("idle: a GET that a dying connection has taken is sent once, too", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(ok());
    await peer.readRequest();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  assertEquals(await post(conn, "/1"), "ok");
  await assertRejects(async () => {
    await conn.request("GET", "/2");
    await conn.getresponse();
  }, RemoteDisconnected);
  assertEquals(server.accepted, 1);
});

Deno.test("idle: after that the next request has a new connection", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(ok());
    await peer.readRequest();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  assertEquals(await post(conn, "/1"), "ok");
  await assertRejects(() => post(conn, "/2"), RemoteDisconnected);
  assertEquals(await post(conn, "/3"), "ok");
  assertEquals(server.accepted, 2);
});

Deno.test("idle: a body that can be read once is not opened for a connection that is dead", async () => {
  const first = new FakeTransport([], { answers: [ok()] });
  const second = new FakeTransport([], { answers: [ok("good")] });
  using conn = new HTTPConnection("example.com", over(first, second));
  assertEquals(await post(conn, "/1"), "ok");
  first.end();
  let opened = 0;
  const body = {
    *[Symbol.iterator]() {
      opened++;
      yield "body";
    },
  };
  await conn.request("POST", "/2", body);
  assertEquals(await (await conn.getresponse()).text(), "good");
  assertEquals(opened, 1);
  assert(second.writes.join("").includes("4\r\nbody\r\n"));
});

// Processes

const MAP = new URL("../std_offline/import_map.json", import.meta.url).pathname;
const MOD = new URL("../../mod.ts", import.meta.url).href;

/** Runs a program that leaves a connection idle; it is to end by itself. */
async function endsByItself(program: string): Promise<void> {
  await using child = new Child(Deno.execPath(), {
    args: [
      "eval",
      `--import-map=${MAP}`,
      `import { HTTPConnection, HTTPSConnection } from ${JSON.stringify(MOD)};
      ${program}
      globalThis.keep = conn;
      console.log("idle");`,
    ],
  });
  await until("the process to end", () => !child.running, 10000);
  assertEquals(child.output.trim(), "idle");
}

const USE = `
  await conn.request("GET", "/");
  await (await conn.getresponse()).text();`;

const PROCESSES: [string, (server: RawServer) => string, ((s: Script) => Promise<RawServer>)?][] = [
  [
    "TCP with deadlines",
    ({ port }) =>
      `const conn = new HTTPConnection("127.0.0.1", ${port}, {
        timeout: 60, deadlines: { connect: 60, head: 60, bodyIdle: 60, total: 60 } });${USE}`,
  ],
  [
    "a source address",
    ({ port }) =>
      `const conn = new HTTPConnection("127.0.0.1", ${port}, {
        source_address: ["127.0.0.1", 0] });${USE}`,
  ],
  [
    "own transport",
    ({ port }) =>
      `const conn = new HTTPConnection("127.0.0.1", ${port}, {
        transport: () => Deno.connect({ hostname: "127.0.0.1", port: ${port} }) });${USE}`,
  ],
  [
    "Deno's TLS",
    ({ port }) =>
      `const conn = new HTTPSConnection("localhost", ${port}, {
        context: { caCerts: [${JSON.stringify(CA)}] } });${USE}`,
    (script) => startRawTls(script),
  ],
  [
    "a client certificate",
    ({ port }) =>
      `const conn = new HTTPSConnection("localhost", ${port}, {
        context: ${JSON.stringify({ caCerts: [CA], ...CLIENT })} });${USE}`,
    (script) => startRawTls(script),
  ],
  [
    "connect() with a timeout and deadlines",
    ({ port }) =>
      `const conn = new HTTPConnection("127.0.0.1", ${port}, {
        timeout: 60, deadlines: { connect: 60, total: 60 } });
      await conn.connect();`,
  ],
];

for (const [name, program, start = (script: Script) => startRaw(script)] of PROCESSES) {
  Deno.test(`idle: no process is kept alive, by ${name}`, async () => {
    await using server = await start(async (peer) => {
      await peer.readHead();
      await peer.send(ok());
      await peer.eof();
    });
    await endsByItself(program(server));
  });
}
