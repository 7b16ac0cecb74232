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
import { getResponse, getText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { ManualTransport } from "../helpers/manual_transport.ts";
import { microtasks, never, soon, turns } from "../helpers/waiting.ts";
import { latin1, type Peer, type RawServer, startRaw } from "../servers/raw.ts";

const PART = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart";

function connect(server: RawServer, options: HTTPConnectionOptions = {}): HTTPConnection {
  return new HTTPConnection(server.hostname, server.port, { timeout: 60, ...options });
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

const UNDER_WAY: UnderWay[] = [
  {
    title: "getresponse() when no head comes",
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
    title: "getresponse() when half a head has come",
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
    title: "read() when it waits for the rest of a body",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(PART);
    },
    start: async (conn) => {
      const response = await getResponse(conn);
      await response.read(4);
      return { cut: response.read() };
    },
  },
  {
    title: "readinto() when it waits for the rest of a body",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(PART);
    },
    start: async (conn) => {
      const response = await getResponse(conn);
      await response.read(4);
      return { cut: response.readinto(new Uint8Array(100000)) };
    },
  },
  {
    title: "a reader's read() when it waits for the rest of a body",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(PART);
    },
    start: async (conn) => {
      const reader = (await getResponse(conn)).getReader();
      await reader.read();
      return { cut: reader.read() };
    },
  },
  {
    title: "an iterator's next() when it waits for the rest of a body",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(PART);
    },
    start: async (conn) => {
      const pieces = (await getResponse(conn))[Symbol.asyncIterator]();
      await pieces.next();
      return { cut: pieces.next() };
    },
  },
  {
    title: "request() when the server does not read",
    script: () => {},
    start: async (conn, server) => {
      const cut = conn.request("POST", "/", new Uint8Array(32 << 20));
      cut.catch(() => {});
      await server.peer(0);
      return { cut };
    },
  },
  {
    title: "request() when it waits for the source of its body",
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
    title: "request() when the proxy does not answer",
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
    const way = source === null ? "" : " (source_address)";

    Deno.test(`close() ends ${title}; the next request works${way}`, async () => {
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
        assertEquals(await getText(conn, "/again"), "/again");
        assertEquals(server.accepted, 2);
      } finally {
        first.resolve();
        conn.close();
      }
    });
  }
}

// close() while connecting

Deno.test("close() ends request() while transport() is pending, and the next one works", async () => {
  const transports = [never<Transport>(), Promise.resolve(new FakeTransport([ok("second")]))];
  using conn = new HTTPConnection("example.com", { transport: () => transports.shift()! });
  const request = conn.request("GET", "/");
  conn.close();
  await assertRejects(() => request, Deno.errors.Interrupted);
  assertEquals(await getText(conn), "second");
});

Deno.test("close() ends connect() while transport() is pending", async () => {
  using conn = new HTTPConnection("example.com", { transport: () => never<Transport>() });
  const connecting = conn.connect();
  conn.close();
  await assertRejects(() => connecting, Deno.errors.Interrupted);
});

Deno.test("close() has a transport that comes too late closed", async () => {
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

Deno.test("close() has an error that comes too late swallowed", async () => {
  const late = Promise.withResolvers<Transport>();
  using conn = new HTTPConnection("example.com", { transport: () => late.promise });
  const connecting = conn.connect();
  conn.close();
  await assertRejects(() => connecting, Deno.errors.Interrupted);
  late.reject(new Error("too late"));
  await late.promise.catch(() => {});
});

Deno.test("close() ends a request over sockets that has just begun", async () => {
  await using server = await startRaw(async (peer) => void await peer.eof());
  using conn = connect(server);
  const request = conn.request("GET", "/");
  conn.close();
  await assertRejects(() => request, Deno.errors.Interrupted);
});

Deno.test("request() makes its own connection when it begins right after close()", async () => {
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

Deno.test("close() ends getresponse() before the event loop turns", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request("GET", "/");
  const getting = conn.getresponse();
  conn.close();
  await assertRejects(() => getting, Deno.errors.Interrupted);
  assertEquals(transport.closes, 1);
});

Deno.test("close() ends getresponse() when the transport's close() does not end reads", async () => {
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

Deno.test("close() ends request() when the transport's close() does not end writes", async () => {
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

Deno.test("close() cancels the source of a body that is waited for", async () => {
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

Deno.test("close() ends request() when the source of its body calls it, and the next one works", async () => {
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
  assertEquals(await getText(conn), "second");
});

Deno.test("request() throws CannotSendRequest within the source of a body, which goes on", async () => {
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

Deno.test("close() ends the read that watches an idle connection", async () => {
  const transport = answering(ok(), ok());
  const conn = new HTTPConnection("example.com", over(transport));
  await getText(conn);
  // The second request looks whether the connection is silent: that read is still out.
  await conn.request("GET", "/");
  conn.close();
  assertEquals(transport.closes, 1);
});

Deno.test("close() swallows what the transport's close() throws", async () => {
  const transport = new FakeTransport();
  transport.close = () => {
    throw new Deno.errors.BadResource("gone");
  };
  const conn = new HTTPConnection("example.com", over(transport));
  await conn.connect();
  conn.close();
  assertEquals(conn.sock, null);
});

Deno.test("close() closes the connection of a response that was dropped unread", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(PART);
    await peer.eof();
  });
  const conn = connect(server);
  await getResponse(conn);
  conn.close();
  await (await server.peer(0)).eof();
});

Deno.test("cancel() closes the connection", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(PART);
    await peer.eof();
  });
  using conn = connect(server);
  await (await getResponse(conn)).cancel();
  await server.idle();
  assertEquals(conn.sock, null);
});

Deno.test("new Response() throws when close() cuts its body off", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([PART])));
  const text = new Response(await getResponse(conn)).text();
  text.catch(() => {});
  conn.close();
  await assertRejects(() => text);
});

Deno.test("read() of a reader throws after close() when the body was cut off", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([PART])));
  const reader = (await getResponse(conn)).getReader();
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

Deno.test("using does nothing when there is no connection", () => {
  using conn = new HTTPConnection("example.com");
  assertEquals(conn.sock, null);
});

Deno.test("HTTPConnection can be used after its block", async () => {
  const conn = new HTTPConnection(
    "example.com",
    over(new FakeTransport([ok("one")]), new FakeTransport([ok("two")])),
  );
  {
    using inner = conn;
    assertEquals(await getText(inner), "one");
  }
  assertEquals(await getText(conn), "two");
  conn.close();
});

// Signals, as far as they end a connection

Deno.test("getresponse() throws the signal's reason, and the next request works", async () => {
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
  assertEquals(await getText(conn), "second");
});

Deno.test("request() sends nothing when its signal was aborted before", async () => {
  const transport = answering(ok("sent"));
  using conn = new HTTPConnection("example.com", over(transport));
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  assertEquals(await assertRejects(() => conn.request("GET", "/", null, {}, { signal })), reason);
  assertEquals(transport.writes, []);
  assertEquals(await getText(conn), "sent");
});

Deno.test("request() forgets its signal when its exchange is over", async () => {
  const controller = new AbortController();
  const transport = answering(ok("one"), ok("two"));
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  await (await conn.getresponse()).read();
  controller.abort();
  assertEquals(await getText(conn), "two");
  assert(!transport.closed);
});

for (let ticks = 0; ticks < 10; ticks++) {
  Deno.test(`request() keeps its deadlines when it is made ${ticks} microtasks after connect()`, async () => {
    const transport = new FakeTransport();
    transport.write = never;
    const conn = new HTTPConnection("example.com", { ...over(transport), timeout: 0.05 });
    const connected = conn.connect();
    await microtasks(ticks);
    await assertRejects(() => soon(conn.request("POST", "/", "body")), Deno.errors.TimedOut);
    await connected;
    assertEquals([transport.closes, conn.sock], [1, null]);
  });
}

Deno.test("connect() leaves no connection behind that a callback has begun when the one before ended", async () => {
  const transports: FakeTransport[] = [];
  const requests: Promise<void>[] = [];
  const conn = new HTTPConnection("example.com", {
    transport() {
      const transport = answering(ok());
      transports.push(transport);
      return Promise.resolve(transport);
    },
    trace({ type }) {
      if (type === "close" && requests.length === 0) requests.push(conn.request("GET", "/"));
    },
  });
  await conn.connect();
  await conn.connect();
  await requests[0];
  assertEquals(await (await conn.getresponse()).text(), "ok");
  conn[Symbol.dispose]();
  assertEquals(transports.map(({ closes }) => closes), [1, 1]);
});

// close() of what follows a request on a connection that its response keeps

for (let count = 0; count <= 40; count++) {
  Deno.test(`close() ends a send() that follows a request whose response keeps the connection, ${count} microtasks later`, async () => {
    const transport = new ManualTransport();
    using conn = new HTTPConnection("example.com", {
      transport: () => Promise.resolve(transport),
    });
    const body = async function* () {
      yield new Uint8Array(12);
    };
    const sent = conn.request("POST", "/", body(), {}, { encode_chunked: true });
    while (transport.reads.length === 0) await turns(1);
    transport.give("HTTP/1.0 200 OK\r\n\r\npart");
    const response = await soon(conn.getresponse());
    const followed = conn.send("behind").then(() => "sent", (error) => error.name);
    transport.writes[0].accept();
    await microtasks(count);
    conn.close();
    assert(["sent", "Interrupted"].includes(await soon(followed)));
    await soon(sent.catch(() => {}));
    // The response keeps its connection.
    assertEquals(latin1(await response.read(4)), "part");
    response.close();
  });
}
