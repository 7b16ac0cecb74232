/**
 * What `close()`, `using` and aborted calls leave behind: nothing. The sanitizers of the test runner
 * see each timer and each socket that is left.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CannotSendRequest,
  HTTPConnection,
  type HTTPConnectionOptions,
  type Transport,
} from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { type Peer, type RawServer, startRaw } from "../servers/raw.ts";

const PART = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart";

function connect(server: RawServer, options: HTTPConnectionOptions = {}): HTTPConnection {
  return new HTTPConnection(server.hostname, server.port, { timeout: 60, ...options });
}

async function fetchText(conn: HTTPConnection): Promise<string> {
  await conn.request("GET", "/again");
  return await (await conn.getresponse()).text();
}

/** A promise that is never kept. */
function never<T>(): Promise<T> {
  return new Promise(() => {});
}

// close() while something is under way, over sockets

interface UnderWay {
  title: string;
  /** What the server does with the first connection, before it waits for its end. */
  script: (peer: Peer) => Promise<unknown> | void;
  /** Starts what `close()` cuts off; `cut` is that promise. Resolves when it is under way. */
  start: (conn: HTTPConnection, server: RawServer) => Promise<{ cut: Promise<unknown> }>;
}

/** Resolves when the server has seen the request of its first connection. */
async function seen(server: RawServer): Promise<void> {
  await (await server.peer(0)).readHead().catch(() => {});
}

/** Starts a request and gets its response. */
async function respond(conn: HTTPConnection) {
  await conn.request("GET", "/");
  return await conn.getresponse();
}

const UNDER_WAY: UnderWay[] = [
  {
    title: "the head is waited for",
    script: () => {},
    start: async (conn, server) => {
      await conn.request("GET", "/");
      const cut = conn.getresponse();
      cut.catch(() => {});
      await seen(server);
      return { cut };
    },
  },
  {
    title: "half a head has come",
    script: async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nA: ");
    },
    start: async (conn, server) => {
      await conn.request("GET", "/");
      const cut = conn.getresponse();
      cut.catch(() => {});
      await server.peer(0);
      return { cut };
    },
  },
  {
    title: "read() waits for the rest of a body",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(PART);
    },
    start: async (conn) => {
      const response = await respond(conn);
      await response.read(4);
      return { cut: response.read() };
    },
  },
  {
    title: "readinto() waits for the rest of a body",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(PART);
    },
    start: async (conn) => {
      const response = await respond(conn);
      await response.read(4);
      return { cut: response.readinto(new Uint8Array(100000)) };
    },
  },
  {
    title: "the stream of a body waits",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(PART);
    },
    start: async (conn) => {
      const reader = (await respond(conn)).getReader();
      await reader.read();
      return { cut: reader.read() };
    },
  },
  {
    title: "a body is iterated",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(PART);
    },
    start: async (conn) => {
      const pieces = (await respond(conn))[Symbol.asyncIterator]();
      await pieces.next();
      return { cut: pieces.next() };
    },
  },
  {
    title: "a write waits for a server that does not read",
    script: () => {},
    start: async (conn, server) => {
      const cut = conn.request("POST", "/", new Uint8Array(32 << 20));
      cut.catch(() => {});
      await server.peer(0);
      return { cut };
    },
  },
  {
    title: "an upload waits for its source",
    script: () => {},
    start: async (conn, server) => {
      const cut = conn.request(
        "POST",
        "/",
        async function* () {
          yield "first";
          await never();
        }(),
      );
      cut.catch(() => {});
      await seen(server);
      return { cut };
    },
  },
  {
    title: "the proxy's answer is waited for",
    script: () => {},
    start: async (conn, server) => {
      conn.set_tunnel("origin");
      const cut = conn.request("GET", "/");
      cut.catch(() => {});
      await seen(server);
      return { cut };
    },
  },
];

for (const { title, script, start } of UNDER_WAY) {
  for (const source of [null, ["127.0.0.5", 0]] as ([string, number] | null)[]) {
    const name = source === null ? title : `${title}, with source_address`;

    Deno.test(`close while ${name}: it throws, nothing is left, the next request works`, async () => {
      const first = Promise.withResolvers<void>();
      await using server = await startRaw(async (peer) => {
        if (peer.index === 0) {
          await script(peer);
          await first.promise;
          return;
        }
        let head = await peer.readHead();
        if (head.startsWith("CONNECT")) {
          await peer.send("HTTP/1.1 200 OK\r\n\r\n");
          head = await peer.readHead();
        }
        await peer.send(ok(head.split(" ")[1]));
      });
      const conn = connect(server, { source_address: source });
      try {
        const { cut } = await start(conn, server);
        conn.close();
        await assertRejects(() => cut, Deno.errors.Interrupted);
        assertEquals(conn.sock, null);
        // The server sees the end, and the object is as new.
        const peer = await server.peer(0);
        await peer.eof();
        assertEquals(await fetchText(conn), "/again");
        assertEquals(server.accepted, 2);
      } finally {
        first.resolve();
        conn.close();
      }
    });
  }
}

// close() while connecting

Deno.test("close while connecting: the request throws, the next one connects", async () => {
  const transports = [never<Transport>(), Promise.resolve(new FakeTransport([ok("second")]))];
  using conn = new HTTPConnection("example.com", { transport: () => transports.shift()! });
  const request = conn.request("GET", "/");
  conn.close();
  await assertRejects(() => request, Deno.errors.Interrupted);
  assertEquals(await fetchText(conn), "second");
});

Deno.test("close while connecting: connect throws", async () => {
  using conn = new HTTPConnection("example.com", { transport: () => never<Transport>() });
  const connecting = conn.connect();
  conn.close();
  await assertRejects(() => connecting, Deno.errors.Interrupted);
});

Deno.test("close while connecting: a transport that comes too late is closed", async () => {
  const late = Promise.withResolvers<Transport>();
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", { transport: () => late.promise });
  const connecting = conn.connect();
  conn.close();
  await assertRejects(() => connecting, Deno.errors.Interrupted);
  late.resolve(transport);
  await late.promise;
  await null;
  assertEquals([transport.closes, transport.writes, conn.sock], [1, [], null]);
});

Deno.test("close while connecting: an error that comes too late is nobody's", async () => {
  const late = Promise.withResolvers<Transport>();
  using conn = new HTTPConnection("example.com", { transport: () => late.promise });
  const connecting = conn.connect();
  conn.close();
  await assertRejects(() => connecting, Deno.errors.Interrupted);
  late.reject(new Error("too late"));
  await late.promise.catch(() => {});
});

Deno.test("close right after a request began leaves nothing, over sockets", async () => {
  await using server = await startRaw(async (peer) => void await peer.eof());
  using conn = connect(server);
  const request = conn.request("GET", "/");
  conn.close();
  await assertRejects(() => request, Deno.errors.Interrupted);
});

Deno.test("a request that begins right after close makes its own connection", async () => {
  const late = Promise.withResolvers<Transport>();
  const transports = [late.promise, Promise.resolve(new FakeTransport([ok("second")]))];
  using conn = new HTTPConnection("example.com", { transport: () => transports.shift()! });
  const first = conn.request("GET", "/1");
  conn.close();
  const second = conn.request("GET", "/2");
  const old = new FakeTransport();
  late.resolve(old);
  await assertRejects(() => first, Deno.errors.Interrupted);
  await second;
  assertEquals(await (await conn.getresponse()).text(), "second");
  assertEquals(old.closes, 1);
});

// close() in memory

Deno.test("close while the head is waited for, before the event loop turns", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request("GET", "/");
  const getting = conn.getresponse();
  conn.close();
  await assertRejects(() => getting, Deno.errors.Interrupted);
  assertEquals(transport.closes, 1);
});

Deno.test("close while a read waits, over a transport whose close does not end reads", async () => {
  const transport: Transport = {
    read: () => never(),
    write: (p) => Promise.resolve(p.length),
    close() {},
  };
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request("GET", "/");
  const getting = conn.getresponse();
  await null;
  conn.close();
  await assertRejects(() => getting, Deno.errors.Interrupted);
});

Deno.test("close while a write waits, over a transport whose close does not end writes", async () => {
  const writing = Promise.withResolvers<void>();
  const transport: Transport = {
    read: () => never(),
    write: () => {
      writing.resolve();
      return never();
    },
    close() {},
  };
  using conn = new HTTPConnection("example.com", over(transport));
  const request = conn.request("GET", "/");
  await writing.promise;
  conn.close();
  await assertRejects(() => request, Deno.errors.Interrupted);
});

Deno.test("close while a sent body waits for its source tells the source", async () => {
  const sent = Promise.withResolvers<void>();
  const transport = new FakeTransport();
  transport.onWrite = () => sent.resolve();
  using conn = new HTTPConnection("example.com", over(transport));
  let cancelled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: () => never(),
    cancel: () => void cancelled++,
  });
  const request = conn.request("POST", "/", body);
  await sent.promise;
  conn.close();
  await assertRejects(() => request, Deno.errors.Interrupted);
  assertEquals(cancelled, 1);
});

Deno.test("close within the source of a body ends the request, the next one works", async () => {
  const old = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(old, new FakeTransport([ok("second")])));
  const body = async function* () {
    yield "a";
    await null;
    conn.close();
    yield "b";
  };
  await assertRejects(() => conn.request("POST", "/", body()), Deno.errors.Interrupted);
  assertEquals([old.closes, old.sent.includes("0\r\n\r\n")], [1, false]);
  assertEquals(await fetchText(conn), "second");
});

Deno.test("a request within the source of a body is refused, the body goes on", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request(
    "POST",
    "/",
    async function* () {
      yield "a";
      await assertRejects(() => conn.request("GET", "/"), CannotSendRequest);
      yield "b";
    }(),
  );
  assert(transport.sent.endsWith("\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n"));
});

Deno.test("close ends the read that watches an idle connection", async () => {
  const transport = new FakeTransport([], { answers: [ok(), ok()] });
  const conn = new HTTPConnection("example.com", over(transport));
  await fetchText(conn);
  // The second request looks whether the connection is silent: that read is still out.
  await conn.request("GET", "/");
  conn.close();
  assertEquals(transport.closes, 1);
});

Deno.test("a transport whose close throws does not disturb close", async () => {
  const transport = new FakeTransport();
  transport.close = () => {
    throw new Deno.errors.BadResource("gone");
  };
  const conn = new HTTPConnection("example.com", over(transport));
  await conn.connect();
  conn.close();
  assertEquals(conn.sock, null);
});

Deno.test("a response that is dropped unread is freed by close", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(PART);
    await peer.eof();
  });
  const conn = connect(server);
  await respond(conn);
  conn.close();
  await (await server.peer(0)).eof();
});

Deno.test("cancelling the stream of a response closes the connection", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(PART);
    await peer.eof();
  });
  using conn = connect(server);
  await (await respond(conn)).cancel();
  await server.idle();
  assertEquals(conn.sock, null);
});

Deno.test("a body that close cuts off does not look whole to new Response()", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([PART])));
  const text = new Response(await respond(conn)).text();
  text.catch(() => {});
  conn.close();
  await assertRejects(() => text);
});

Deno.test("a body that was closed before its stream is read does not look whole", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([PART])));
  const reader = (await respond(conn)).getReader();
  await reader.read();
  conn.close();
  await assertRejects(() => reader.read());
});

// using

Deno.test("using closes the connection", async () => {
  const transport = new FakeTransport();
  {
    using conn = new HTTPConnection("example.com", over(transport));
    await conn.connect();
    assertEquals(transport.closes, 0);
  }
  assertEquals(transport.closes, 1);
});

Deno.test("await using closes the connection", async () => {
  const transport = new FakeTransport();
  {
    await using conn = new HTTPConnection("example.com", over(transport));
    await conn.connect();
    assertEquals(transport.closes, 0);
  }
  assertEquals(transport.closes, 1);
});

Deno.test("using closes the connection when the block throws", async () => {
  const transport = new FakeTransport();
  await assertRejects(async () => {
    using conn = new HTTPConnection("example.com", over(transport));
    await conn.connect();
    throw new Error("trouble");
  });
  assertEquals(transport.closes, 1);
});

Deno.test("using a connection that never connected does nothing", () => {
  using conn = new HTTPConnection("example.com");
  assertEquals(conn.sock, null);
});

Deno.test("a connection may be used after its block", async () => {
  const conn = new HTTPConnection(
    "example.com",
    over(new FakeTransport([ok("one")]), new FakeTransport([ok("two")])),
  );
  {
    using inner = conn;
    assertEquals(await fetchText(inner), "one");
  }
  assertEquals(await fetchText(conn), "two");
  conn.close();
});

// Signals, as far as they end a connection

Deno.test("an aborted request throws the signal's reason, and the next one works", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  using conn = new HTTPConnection(
    "example.com",
    over(new FakeTransport(), new FakeTransport([ok("second")])),
  );
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  const getting = conn.getresponse();
  controller.abort(reason);
  assertEquals(await assertRejects(() => getting), reason);
  assertEquals(await fetchText(conn), "second");
});

Deno.test("a signal that is aborted already keeps the request from being sent", async () => {
  const transport = new FakeTransport([], { answers: [ok("sent")] });
  using conn = new HTTPConnection("example.com", over(transport));
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  assertEquals(await assertRejects(() => conn.request("GET", "/", null, {}, { signal })), reason);
  assertEquals(transport.writes, []);
  assertEquals(await fetchText(conn), "sent");
});

Deno.test("a signal is forgotten when its exchange is over", async () => {
  const controller = new AbortController();
  const transport = new FakeTransport([], { answers: [ok("one"), ok("two")] });
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  await (await conn.getresponse()).read();
  controller.abort();
  assertEquals(await fetchText(conn), "two");
  assert(!transport.closed);
});
