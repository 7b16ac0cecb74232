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
import { postText } from "../helpers/exchanges.ts";
import { answering, ok, over } from "../helpers/fake_transport.ts";
import { soon, turns } from "../helpers/waiting.ts";
import { Child, delay, until } from "../servers/child.ts";
import { type Peer, type RawServer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT } from "../tls/mod.ts";

type Script = (peer: Peer) => Promise<void>;

/** A way to a server: how it listens, and how a connection reaches it. */
interface Way {
  name: string;
  start: (script: Script) => Promise<RawServer>;
  connect: (server: RawServer) => HTTPConnection | Promise<HTTPConnection>;
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
/** CPython's way to talk over something else. */
const SUBCLASS: Way = {
  name: "a subclass's connect()",
  start: startRaw,
  connect({ port }) {
    class Own extends HTTPConnection {
      override async connect() {
        this.sock = await Deno.connect({ hostname: "127.0.0.1", port });
      }
    }
    return new Own("example.com");
  },
};
const SOCK: Way = {
  name: "sock",
  start: startRaw,
  async connect({ port }) {
    const conn = new HTTPConnection("127.0.0.1", port);
    conn.sock = await Deno.connect({ hostname: "127.0.0.1", port });
    return conn;
  },
};
const WAYS: Way[] = [
  TCP,
  NODE,
  OWN,
  SUBCLASS,
  SOCK,
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

function post(conn: HTTPConnection, target: string): Promise<string> {
  return soon(postText(conn, "body", target));
}

/** Lets the system and the event loop tell of what a peer has sent. */
async function told(way: Way): Promise<void> {
  // Deno's TLS servers leave Nagle's algorithm on: what they send unasked may take 40 ms to leave.
  await delay(way.start === startRawTls ? 200 : 5);
  await turns(2);
}

for (const way of WAYS) {
  for (const [name, act] of EVENTS) {
    Deno.test(`request() makes a new connection after ${name} on an idle one (${way.name})`, async () => {
      const done = Promise.withResolvers<void>();
      await using server = await way.start(async (peer) => {
        await peer.readRequest();
        await peer.send(ok());
        if (peer.index > 0) return void await peer.eof();
        await act(peer);
        done.resolve();
        await peer.eof();
      });
      using conn = await way.connect(server);
      assertEquals(await post(conn, "/1"), "ok");
      await done.promise;
      await told(way);
      assertEquals(await post(conn, "/2"), "ok");
      assertEquals(server.peers.map(({ heads }) => heads.length), [1, 1]);
    });

    Deno.test(`request() makes a new connection after ${name} before the first request (${way.name})`, async () => {
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
      using conn = await way.connect(server);
      if (conn.sock === null) await conn.connect();
      await done.promise;
      await told(way);
      assertEquals(await post(conn, "/"), "ok");
      assertEquals(server.accepted, 2);
      assertEquals(server.peers[0].text, "");
    });
  }
}

for (const way of [TCP, NODE, OWN, SUBCLASS, SOCK]) {
  Deno.test(`request() makes a new connection after a reset of an idle one (${way.name})`, async () => {
    const done = Promise.withResolvers<void>();
    await using server = await startRaw(async (peer) => {
      await peer.readRequest();
      await peer.send(ok());
      if (peer.index > 0) return void await peer.eof();
      peer.reset();
      done.resolve();
    }, { resettable: true });
    using conn = await way.connect(server);
    assertEquals(await post(conn, "/1"), "ok");
    await done.promise;
    await told(way);
    assertEquals(await post(conn, "/2"), "ok");
    assertEquals(server.accepted, 2);
  });
}

Deno.test("request() does not take an unsolicited response through a tunnel for its answer", async () => {
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

Deno.test("request() makes a new connection when bytes came behind the response", async () => {
  const first = answering(ok() + ok("evil"));
  const second = answering(ok("good"));
  using conn = new HTTPConnection("example.com", over(first, second));
  assertEquals(await post(conn, "/1"), "ok");
  assertEquals(await post(conn, "/2"), "good");
  assertEquals([first.writes.length, first.closes], [1, 1]);
});

Deno.test("request() makes a new connection after an interim response on an idle one", async () => {
  const first = answering(ok());
  const second = answering(ok("good"));
  using conn = new HTTPConnection("example.com", over(first, second));
  assertEquals(await post(conn, "/1"), "ok");
  first.arrive("HTTP/1.1 102 Processing\r\n\r\n");
  assertEquals(await post(conn, "/2"), "good");
});

Deno.test("request() throws NotConnected when the idle connection has ended and auto_open is off", async () => {
  const fake = answering(ok());
  using conn = new HTTPConnection("example.com", over(fake));
  assertEquals(await post(conn, "/1"), "ok");
  conn.auto_open = false;
  fake.end();
  await assertRejects(() => post(conn, "/2"), NotConnected);
  assertEquals(fake.writes.length, 1);
});

Deno.test("request() uses a silent connection again, and loses no byte", async () => {
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

Deno.test("request() works when a connection was idle for longer than its deadlines", async () => {
  await using server = await startRaw(async (peer) => {
    for (;;) {
      await peer.readRequest();
      await peer.send(ok());
    }
  });
  using conn = new HTTPConnection("127.0.0.1", server.port, {
    timeout: 0.25,
    deadlines: { head: 0.25, bodyIdle: 0.25, total: 0.25 },
  });
  assertEquals(await post(conn, "/1"), "ok");
  await delay(300);
  assertEquals(await post(conn, "/2"), "ok");
  assertEquals(server.accepted, 1);
});

// Nothing is sent twice

for (const way of WAYS) {
  Deno.test(`request() sends a POST once when the connection dies with it (${way.name})`, async () => {
    await using server = await way.start(async (peer) => {
      await peer.readRequest();
      await peer.send(ok());
      await peer.readRequest();
    });
    using conn = await way.connect(server);
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

Deno.test("request() sends a GET once when the connection dies with it", async () => {
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

Deno.test("request() makes a new connection after one that died with a request", async () => {
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

Deno.test("request() does not open its body for a connection that is dead", async () => {
  const first = answering(ok());
  const second = answering(ok("good"));
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

/** Options under which a timer may run. */
const TIMED = [
  "{}",
  "{ timeout: 60 }",
  "{ deadlines: { total: 60 } }",
  "{ timeout: 60, deadlines: { head: 60, bodyIdle: 60, total: 60 } }",
];

/** Responses that a program looks at, and leaves unread. */
const UNREAD: [name: string, answer: string][] = [
  ["a 304", "HTTP/1.1 304 Not Modified\r\n\r\n"],
  ["a body that has come", ok()],
  ["a body that is still to come", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"],
  ["a body until close", "HTTP/1.1 200 OK\r\n\r\npart"],
];

for (const [name, answer] of UNREAD) {
  Deno.test(`HTTPConnection does not keep a process alive when ${name} is unread`, async () => {
    await using server = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send(answer);
      await peer.eof();
    });
    await endsByItself(`
      const all = [${TIMED}].map((options) => new HTTPConnection("127.0.0.1", ${server.port}, options));
      const responses = [];
      for (const one of all) {
        await one.request("GET", "/");
        responses.push(await one.getresponse());
      }
      const conn = { all, responses };`);
  });
}

Deno.test("HTTPConnection does not keep a process alive when nobody waits for an answer", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.eof();
  });
  await endsByItself(`
    const all = [${TIMED}].map((options) => new HTTPConnection("127.0.0.1", ${server.port}, options));
    for (const one of all) {
      await one.request("GET", "/");
      await one.request("POST", "/", "body").catch(() => {});
    }
    const stream = new HTTPConnection("127.0.0.1", ${server.port});
    await stream.request("POST", "/", new Blob(["body"]).stream());
    const conn = { all, stream };`);
});

for (const [name, program, start = (script: Script) => startRaw(script)] of PROCESSES) {
  Deno.test(`HTTPConnection does not keep a process alive when it is idle (${name})`, async () => {
    await using server = await start(async (peer) => {
      await peer.readHead();
      await peer.send(ok());
      await peer.eof();
    });
    await endsByItself(program(server));
  });
}
