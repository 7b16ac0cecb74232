/**
 * Abort signals: on every call and in every phase. The reason is thrown as it is, the connection is
 * closed, the next request makes a new one, and nothing listens to the signal any more.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  type HTTPResponse,
  HTTPSConnection,
} from "../../mod.ts";
import { endless } from "../helpers/bodies.ts";
import { FRAMINGS } from "../helpers/ended_reads.ts";
import { getText } from "../helpers/exchanges.ts";
import { assertUntouched } from "../helpers/facts.ts";
import { answering, FakeTransport, ok, over, TargetTransport } from "../helpers/fake_transport.ts";
import { fullListener, hasFullListener } from "../helpers/sockets.ts";
import { readinto } from "../helpers/split.ts";
import { TLS_WAYS } from "../helpers/tls_ways.ts";
import { microtasks, never, soon, thrown, turns } from "../helpers/waiting.ts";
import { latin1, type Peer, startRaw } from "../servers/raw.ts";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n";

async function getWith(conn: HTTPConnection, signal: AbortSignal): Promise<string> {
  return await getText(conn, "/", { signal });
}

/** Where the first connection is held up, and the call that is aborted there. */
interface Case {
  name: string;
  /** What the first connection does before the abort; after it, the server waits for the end. */
  script: (peer: Peer) => Promise<void>;
  /** Ends with the call that throws. */
  run: (conn: HTTPConnection, signal: AbortSignal) => Promise<unknown>;
  /** Whether the server reads nothing before the abort. */
  deaf?: boolean;
}

const CASES: Case[] = [
  {
    name: "request() throws the signal's reason while an iterable goes out",
    script: () => Promise.resolve(),
    deaf: true,
    run: (conn, signal) => conn.request("POST", "/", endless(), {}, { signal }),
  },
  {
    name: "request() throws the signal's reason while large bytes go out",
    script: () => Promise.resolve(),
    deaf: true,
    run: (conn, signal) => conn.request("POST", "/", new Uint8Array(1 << 24), {}, { signal }),
  },
  {
    name: "endheaders() throws its signal's reason while the body goes out",
    script: () => Promise.resolve(),
    deaf: true,
    run: (conn, signal) => {
      conn.putrequest("POST", "/");
      conn.putheader("Transfer-Encoding", "chunked");
      return conn.endheaders(endless(), { signal, encode_chunked: true });
    },
  },
  {
    name: "send() throws the reason of the signal that endheaders() was given",
    script: () => Promise.resolve(),
    deaf: true,
    run: async (conn, signal) => {
      conn.putrequest("POST", "/");
      conn.putheader("Content-Length", 1 << 24);
      await conn.endheaders(null, { signal });
      await conn.send(new Uint8Array(1 << 24));
    },
  },
  {
    name: "request() throws the signal's reason while it waits for 100",
    script: async (peer) => void await peer.readHead(),
    run: (conn, signal) => conn.request("POST", "/", "body", {}, { signal, expect_continue: true }),
  },
  {
    name: "getresponse() throws the reason of request()'s signal while it waits for the head",
    script: async (peer) => void await peer.readHead(),
    run: getWith,
  },
  {
    name: "getresponse() throws the reason of its signal while it waits for the head",
    script: async (peer) => void await peer.readHead(),
    run: async (conn, signal) => {
      await conn.request("GET", "/");
      await conn.getresponse({ signal });
    },
  },
  {
    name: "getresponse() throws the signal's reason within the head",
    script: async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nContent-");
    },
    run: getWith,
  },
  {
    name: "text() throws the reason of request()'s signal",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(HEAD + "some");
    },
    run: getWith,
  },
  {
    name: "read() throws the reason of getresponse()'s signal",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(HEAD + "some");
    },
    run: async (conn, signal) => {
      await conn.request("GET", "/");
      await (await conn.getresponse({ signal })).read();
    },
  },
  {
    name: "readline() throws the signal's reason",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(HEAD + "some");
    },
    run: async (conn, signal) => {
      await conn.request("GET", "/", null, {}, { signal });
      await (await conn.getresponse()).readline();
    },
  },
  {
    name: "pipeTo() throws the signal's reason",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(HEAD + "some");
    },
    run: async (conn, signal) => {
      await conn.request("GET", "/", null, {}, { signal });
      await (await conn.getresponse()).pipeTo(new WritableStream());
    },
  },
  {
    name: "for await throws the signal's reason",
    script: async (peer) => {
      await peer.readHead();
      await peer.send(HEAD + "some");
    },
    run: async (conn, signal) => {
      await conn.request("GET", "/", null, {}, { signal });
      for await (const _ of await conn.getresponse());
    },
  },
  {
    name: "text() throws the signal's reason within the trailers",
    script: async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n");
    },
    run: getWith,
  },
];

for (const { name, script, run, deaf = false } of CASES) {
  Deno.test(name, async () => {
    const reached = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    await using server = await startRaw(async (peer) => {
      if (peer.index > 0) {
        await peer.readHead();
        await peer.send(ok());
        return;
      }
      await script(peer);
      reached.resolve();
      if (deaf) await aborted.promise;
      await peer.eof();
      closed.resolve();
    });
    using conn = new HTTPConnection("127.0.0.1", server.port);
    const controller = new AbortController();
    const reason = { why: "tired of it" };
    const call = thrown(run(conn, controller.signal));
    await soon(reached.promise);
    controller.abort(reason);
    try {
      assertStrictEquals(await call, reason);
    } finally {
      aborted.resolve();
    }
    await soon(closed.promise);
    assertEquals(await getText(conn), "ok");
    assertEquals(server.accepted, 2);
  });
}

// Before anything is sent

Deno.test("request() opens nothing and leaves the connection usable when its signal was aborted before", async () => {
  const transport = answering(ok());
  using conn = new HTTPConnection("example.com", over(transport));
  const reason = Symbol("reason");
  assertStrictEquals(await thrown(getWith(conn, AbortSignal.abort(reason))), reason);
  assertEquals(transport.writes, []);
  assertEquals(conn.sock, null);
  assertEquals(await getText(conn), "ok");
});

Deno.test("request() does not touch its body when its signal was aborted before", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  let opened = 0;
  const body = {
    *[Symbol.iterator]() {
      opened++;
      yield "x";
    },
  };
  const signal = AbortSignal.abort("why");
  assertStrictEquals(await thrown(conn.request("POST", "/", body, {}, { signal })), "why");
  assertEquals(opened, 0);
});

Deno.test("endheaders() sends nothing when its signal was aborted before", async () => {
  const transport = answering(ok());
  using conn = new HTTPConnection("example.com", over(transport));
  conn.putrequest("GET", "/never");
  const signal = AbortSignal.abort("why");
  assertStrictEquals(await thrown(conn.endheaders(null, { signal })), "why");
  assertEquals(await getText(conn), "ok");
  assertEquals(transport.writes.length, 1);
});

Deno.test("request() leaves an idle connection as it is when its signal was aborted before", async () => {
  const transport = answering(ok(), ok());
  using conn = new HTTPConnection("example.com", over(transport));
  assertEquals(await getText(conn), "ok");
  assertStrictEquals(await thrown(getWith(conn, AbortSignal.abort("why"))), "why");
  assertEquals(await getText(conn), "ok");
});

Deno.test("getresponse() closes the connection when its signal was aborted before", async () => {
  const first = answering(ok());
  const second = answering(ok("second"));
  using conn = new HTTPConnection("example.com", over(first, second));
  await conn.request("GET", "/");
  const signal = AbortSignal.abort("why");
  assertStrictEquals(await thrown(conn.getresponse({ signal })), "why");
  assertEquals(first.closes, 1);
  assertEquals(await getText(conn), "second");
});

Deno.test("getresponse() throws the reason when request()'s signal was aborted before it", async () => {
  const first = new FakeTransport();
  const second = answering(ok("second"));
  using conn = new HTTPConnection("example.com", over(first, second));
  const controller = new AbortController();
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  controller.abort("why");
  assertEquals(first.closes, 1);
  assertStrictEquals(await thrown(conn.getresponse()), "why");
  assertEquals(await getText(conn), "second");
});

Deno.test("read() and readline() throw the reason when the signal was aborted after the head", async () => {
  const transport = new FakeTransport([HEAD + "some"]);
  using conn = new HTTPConnection("example.com", over(transport));
  const controller = new AbortController();
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  const response = await conn.getresponse();
  controller.abort("why");
  assertEquals(transport.closes, 1);
  assertStrictEquals(await thrown(response.read()), "why");
  assertStrictEquals(await thrown(response.readline()), "why");
});

Deno.test("send() sends nothing when the signal was aborted after endheaders()", async () => {
  const first = new FakeTransport();
  const second = answering(ok("second"));
  using conn = new HTTPConnection("example.com", over(first, second));
  const controller = new AbortController();
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", 5);
  await conn.endheaders(null, { signal: controller.signal });
  controller.abort("why");
  assertStrictEquals(await thrown(conn.send("hello")), "why");
  assertEquals(second.writes, []);
});

// While connecting

Deno.test("request() closes a transport that comes after its signal was aborted", async () => {
  const late = Promise.withResolvers<FakeTransport>();
  using conn = new HTTPConnection("example.com", { transport: () => late.promise });
  const controller = new AbortController();
  const call = thrown(getWith(conn, controller.signal));
  controller.abort("why");
  assertStrictEquals(await call, "why");
  const transport = new FakeTransport();
  late.resolve(transport);
  await late.promise;
  await null;
  assertEquals([transport.closes, transport.writes], [1, []]);
});

for (
  const [kind, options] of [
    ["TCP", {}],
    ["TCP from a source address", { source_address: ["127.0.0.1", 0] }],
  ] satisfies [string, HTTPConnectionOptions][]
) {
  Deno.test({
    name: `request() throws the signal's reason while it connects (${kind})`,
    ignore: !hasFullListener,
    async fn() {
      using listener = await fullListener();
      using conn = new HTTPConnection("127.0.0.1", listener.port, options);
      const controller = new AbortController();
      const reason = new Error("why");
      const call = thrown(getWith(conn, controller.signal));
      await null;
      controller.abort(reason);
      assertStrictEquals(await call, reason);
      assertUntouched(reason);
      assertEquals(conn.lastFailure?.phase, "connect");
    },
  });
}

for (const [kind, options] of TLS_WAYS) {
  Deno.test(`request() throws the signal's reason within the handshake (${kind})`, async () => {
    const hello = Promise.withResolvers<void>();
    await using server = await startRaw(async (peer) => {
      await peer.read();
      hello.resolve();
      await peer.eof();
    });
    using conn = new HTTPSConnection("localhost", server.port, options(server.port));
    const controller = new AbortController();
    const reason = new Error("why");
    const call = thrown(getWith(conn, controller.signal));
    await soon(hello.promise);
    controller.abort(reason);
    assertStrictEquals(await call, reason);
    assertUntouched(reason);
    assertEquals(conn.lastFailure?.phase, "tls");
  });
}

Deno.test("request() throws the signal's reason while the proxy does not answer CONNECT", async () => {
  const asked = Promise.withResolvers<void>();
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    asked.resolve();
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("example.com", 80);
  const controller = new AbortController();
  const call = thrown(getWith(conn, controller.signal));
  await soon(asked.promise);
  controller.abort("why");
  assertStrictEquals(await call, "why");
  await soon(proxy.idle());
});

// Reasons

Deno.test("request() throws an AbortError when the signal is aborted without a reason", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const controller = new AbortController();
  const call = thrown(getWith(conn, controller.signal));
  controller.abort();
  const error = await call;
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "AbortError");
});

Deno.test("getresponse() throws a TimeoutError when the signal is AbortSignal.timeout()", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const error = await thrown(getWith(conn, AbortSignal.timeout(10)));
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "TimeoutError");
});

Deno.test("getresponse() throws the reason when the signal is AbortSignal.any()", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const controller = new AbortController();
  const signal = AbortSignal.any([new AbortController().signal, controller.signal]);
  const call = thrown(getWith(conn, signal));
  controller.abort("why");
  assertStrictEquals(await call, "why");
});

Deno.test("request() throws a frozen reason as it is", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const controller = new AbortController();
  const reason = Object.freeze(new Error("why"));
  const call = thrown(getWith(conn, controller.signal));
  controller.abort(reason);
  assertStrictEquals(await call, reason);
});

Deno.test("getresponse() throws the reason, and lastFailure has the facts", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  const controller = new AbortController();
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  const call = thrown(conn.getresponse());
  controller.abort();
  assertUntouched(await call);
  assertEquals(conn.lastFailure, {
    phase: "head",
    requestBytesSent: transport.writes.join("").length,
    responseBytesReceived: 0,
    connectionReused: false,
    retrySafe: "idempotent-only",
  });
});

// What came before the abort

/** Calls that count, and calls to the end, of a body of which "abc" has come. */
const COUNTED: [name: string, call: (response: HTTPResponse) => Promise<Uint8Array>][] = [
  ["read(50)", (r) => r.read(50)],
  ["readinto()", (r) => readinto(r, 50)],
  ["readline()", (r) => r.readline()],
];
const TO_THE_END: [name: string, call: (response: HTTPResponse) => Promise<unknown>][] = [
  ["read()", (r) => r.read()],
  ["bytes()", (r) => r.bytes()],
  ["text()", (r) => r.text()],
];

/** What ends a body early while a call waits for more of it. */
const CUTTING: [name: string, reason: unknown, cut: (fake: Failing, abort: () => void) => void][] =
  [
    ["the signal is aborted", "why", (_, abort) => abort()],
    ["the transport's read() throws", "why", (fake) => fake.fail("why")],
  ];

for (const [framing, head] of Object.entries(FRAMINGS)) {
  for (const [end, reason, cut] of CUTTING) {
    const begin = async () => {
      const fake = new Failing([head]);
      const controller = new AbortController();
      const conn = new HTTPConnection("example.com", over(fake));
      await conn.request("GET", "/", null, {}, { signal: controller.signal });
      const response = await conn.getresponse();
      return { response, cut: () => cut(fake, () => controller.abort("why")) };
    };

    for (const [name, call] of COUNTED) {
      Deno.test(`${name} gives what came, and the next call throws, when ${end} (${framing})`, async () => {
        const { response, cut } = await begin();
        const first = call(response);
        await turns();
        cut();
        assertEquals(latin1(await soon(first)), "abc");
        assertStrictEquals(await thrown(call(response)), reason);
        assertStrictEquals(await thrown(response.read()), reason);
      });
    }

    for (const [name, call] of TO_THE_END) {
      Deno.test(`${name} throws with what came in partial when ${end} (${framing})`, async () => {
        const { response, cut } = await begin();
        assertEquals(latin1(await response.read(1)), "a");
        const first = call(response);
        await turns();
        cut();
        assertStrictEquals(await thrown(first), reason);
        assertEquals(latin1(response.partial!), "bc");
      });
    }
  }
}

/** A transport whose reads can be made to throw what is no error of this library. */
class Failing extends FakeTransport {
  #fail = Promise.withResolvers<never>();

  constructor(chunks: string[]) {
    super(chunks);
    this.#fail.promise.catch(() => {});
  }

  fail(reason: unknown): void {
    this.#fail.reject(reason);
  }

  override read(p: Uint8Array): Promise<number | null> {
    return Promise.race([super.read(p), this.#fail.promise]);
  }
}

// One signal for several exchanges

const REASONS: [name: string, abort: () => { signal: AbortSignal; abort: () => void }][] = [
  ["an error", () => abortable(new Error("cancelled"))],
  ["a frozen error", () => abortable(Object.freeze(new Error("cancelled")))],
  ["a string", () => abortable("cancelled")],
  ["no reason", () => abortable()],
  ["AbortSignal.timeout()", () => ({ signal: AbortSignal.timeout(10), abort: () => {} })],
];

function abortable(reason?: unknown): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(reason) };
}

for (const [name, make] of REASONS) {
  Deno.test(`lastFailure tells of each exchange when one signal ends two (${name})`, async () => {
    const { signal, abort } = make();
    const origin = new FakeTransport();
    const proxy = new FakeTransport();
    using sent = new HTTPConnection("example.com", over(origin));
    using unsent = new HTTPConnection("proxy", over(proxy));
    unsent.set_tunnel("origin.example", 80);
    await sent.request("POST", "/pay", "amount=1", {}, { signal });
    const both = [
      thrown(sent.getresponse()),
      thrown(unsent.request("POST", "/other", "x", {}, { signal })),
    ];
    abort();
    const [one, other] = await Promise.all(both);
    assertStrictEquals(one, signal.reason);
    assertStrictEquals(other, signal.reason);
    if (typeof signal.reason === "object") assertUntouched(signal.reason);
    assertEquals(sent.lastFailure, {
      phase: "head",
      requestBytesSent: origin.sent.length,
      responseBytesReceived: 0,
      connectionReused: false,
      retrySafe: "idempotent-only",
    });
    assertEquals(unsent.lastFailure, {
      phase: "connect",
      requestBytesSent: 0,
      responseBytesReceived: 0,
      connectionReused: false,
      retrySafe: "yes",
    });
  });
}

// An abort between the head and the return of getresponse()

/** Where the first exchange is ended. */
const MOMENTS: [name: string, ticks: number | "trace" | "onInformational"][] = [
  ["in trace", "trace"],
  ["in onInformational", "onInformational"],
  ...Array.from(
    { length: 25 },
    (_, ticks): [string, number] => [`${ticks} microtasks later`, ticks],
  ),
];

const FINISHES: [
  name: string,
  finish: (conn: HTTPConnection, controller: AbortController) => void,
][] = [
  ["the signal is aborted", (_, controller) => controller.abort("why")],
  ["close() is called", (conn) => conn.close()],
];

for (const [end, finish] of FINISHES) {
  for (const [moment, when] of MOMENTS) {
    Deno.test(`getresponse() gives each later request its own answer when ${end} ${moment}`, async () => {
      const controller = new AbortController();
      const transports: TargetTransport[] = [];
      const now = () => finish(conn, controller);
      const conn: HTTPConnection = new HTTPConnection("example.com", {
        transport() {
          const next = new TargetTransport(
            transports.length === 0 ? ["HTTP/1.1 103 Early Hints\r\n\r\n"] : [],
          );
          transports.push(next);
          return Promise.resolve(next);
        },
        trace: (event) => {
          if (when === "trace" && event.type === "responseHead" && armed) now();
        },
        onInformational: () => {
          if (when === "onInformational") now();
        },
      });
      let armed = true;
      using _ = conn;
      await conn.request("GET", "/first", null, {}, { signal: controller.signal });
      const first = soon(conn.getresponse().then((response) => response.text())).catch((e) => e);
      if (typeof when === "number") {
        await microtasks(when);
        now();
      }
      const got = await first;
      armed = false;
      const expected = got === "/first" || got === "why" || got instanceof Deno.errors.Interrupted;
      assert(expected, `the first call gave ${got}`);
      for (const target of ["/second", "/third", "/fourth"]) {
        await soon(conn.request("POST", target, "x"));
        assertEquals(await soon((await conn.getresponse()).text()), target);
      }
      const seen = transports.flatMap(({ sent }) => sent.match(/\/(first|second|third|fourth)/g));
      assertEquals(seen, ["/first", "/second", "/third", "/fourth"]);
    });
  }
}

Deno.test("request() works when a signal has ended a send()", async () => {
  const stuck = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(stuck, answering(ok("next"))));
  const controller = new AbortController();
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", 8);
  await conn.endheaders(null, { signal: controller.signal });
  stuck.write = () => never();
  const sent = [thrown(conn.send("body")), thrown(conn.send("more"))];
  await turns();
  controller.abort("why");
  assertEquals(await Promise.all(sent), ["why", "why"]);
  assertEquals(await soon(getText(conn)), "next");
});

// What a signal leaves alone

Deno.test("request() works when the last signal was aborted after its response's end", async () => {
  const transport = answering(ok(), ok("second"));
  using conn = new HTTPConnection("example.com", over(transport));
  const controller = new AbortController();
  assertEquals(await getWith(conn, controller.signal), "ok");
  controller.abort("late");
  assertEquals(await getText(conn), "second");
});

Deno.test("getresponse() works when the signal of the request before is aborted", async () => {
  const transport = answering(ok());
  using conn = new HTTPConnection("example.com", over(transport));
  const controller = new AbortController();
  assertEquals(await getWith(conn, controller.signal), "ok");
  await conn.request("GET", "/");
  controller.abort("late");
  transport.arrive(ok("second"));
  assertEquals(await (await conn.getresponse()).text(), "second");
});

Deno.test("getresponse() throws the reason of either signal when there are two", async () => {
  for (const which of [0, 1]) {
    using conn = new HTTPConnection("example.com", over(new FakeTransport()));
    const controllers = [new AbortController(), new AbortController()];
    await conn.request("GET", "/", null, {}, { signal: controllers[0].signal });
    const call = thrown(conn.getresponse({ signal: controllers[1].signal }));
    controllers[which].abort(which);
    assertStrictEquals(await call, which);
  }
});

Deno.test("getresponse() throws the reason when the response before was read meanwhile", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"]);
  using conn = new HTTPConnection("example.com", over(transport, new FakeTransport()));
  await conn.request("GET", "/1");
  const response = await conn.getresponse();
  const controller = new AbortController();
  await conn.request("GET", "/2", null, {}, { signal: controller.signal });
  transport.arrive("ok");
  assertEquals(await response.text(), "ok");
  const call = thrown(conn.getresponse());
  controller.abort("why");
  assertStrictEquals(await call, "why");
});

Deno.test("read() throws the reason when a request is out behind the response", async () => {
  const transport = new FakeTransport([HEAD]);
  const behind = answering(ok());
  using conn = new HTTPConnection("example.com", over(transport, behind));
  const controller = new AbortController();
  await conn.request("GET", "/1", null, {}, { signal: controller.signal });
  const response = await conn.getresponse();
  await conn.request("GET", "/2");
  controller.abort("why");
  assertStrictEquals(await thrown(response.read()), "why");
  assertEquals([transport.closed, behind.closed], [true, false]);
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("request() throws the reason when onInformational aborts the signal", async () => {
  const controller = new AbortController();
  const transport = new FakeTransport(["HTTP/1.1 103 Early Hints\r\n\r\n" + ok()]);
  using conn = new HTTPConnection("example.com", {
    ...over(transport),
    onInformational: () => controller.abort("why"),
  });
  assertStrictEquals(await thrown(getWith(conn, controller.signal)), "why");
  assertEquals(transport.closes, 1);
});

Deno.test("request() throws the reason when its source aborts the signal, and ends the source", async () => {
  const controller = new AbortController();
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  let left = false;
  async function* body() {
    try {
      yield "one";
      controller.abort("why");
      await null;
      yield "two";
      yield "three";
    } finally {
      left = true;
    }
  }
  const { signal } = controller;
  assertStrictEquals(await thrown(conn.request("POST", "/", body(), {}, { signal })), "why");
  assert(left);
  assert(!transport.writes.join("").includes("three"));
});

Deno.test("request() cancels the stream of its body when the signal is aborted", async () => {
  const asked = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    pull: () => asked.resolve(),
    cancel: () => cancelled.resolve(),
  }, { highWaterMark: 0 });
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const controller = new AbortController();
  const call = thrown(conn.request("POST", "/", body, {}, { signal: controller.signal }));
  await soon(asked.promise);
  controller.abort("why");
  assertStrictEquals(await call, "why");
  await soon(cancelled.promise);
});

Deno.test("request() does not open its body when the signal is aborted before the 100", async () => {
  const transport = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(transport));
  let opened = 0;
  const body = {
    *[Symbol.iterator]() {
      opened++;
      yield "x";
    },
  };
  const controller = new AbortController();
  const options = { signal: controller.signal, expect_continue: true };
  const call = thrown(conn.request("POST", "/", body, {}, options));
  while (transport.writes.length === 0) await null;
  controller.abort("why");
  assertStrictEquals(await call, "why");
  assertEquals(opened, 0);
});

// Listeners

/** A signal that counts who listens to it. */
function counted(): { controller: AbortController; listeners: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  const set = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: unknown, options?: unknown) => {
    set.add(listener);
    add(type as "abort", listener as () => void, options as AddEventListenerOptions);
  };
  signal.removeEventListener = (type: string, listener: unknown) => {
    set.delete(listener);
    remove(type as "abort", listener as () => void);
  };
  return { controller, listeners: () => set.size };
}

const ENDINGS: [string, string, (conn: HTTPConnection, signal: AbortSignal) => Promise<unknown>][] =
  [
    ["a response was read", ok(), getWith],
    ["a response without a body was read", ok(""), getWith],
    ["a response that closes was read", ok("ok", "Connection: close\r\n"), getWith],
    ["a bad status line", "NONSENSE\r\n\r\n", (conn, signal) => thrown(getWith(conn, signal))],
    ["conn.close()", HEAD, async (conn, signal) => {
      await conn.request("GET", "/", null, {}, { signal });
      await conn.getresponse({ signal });
      conn.close();
    }],
    ["response.close()", HEAD, async (conn, signal) => {
      await conn.request("GET", "/", null, {}, { signal });
      (await conn.getresponse()).close();
    }],
    ["detach()", "HTTP/1.1 101 Switching Protocols\r\n\r\n", async (conn, signal) => {
      await conn.request("GET", "/", null, {}, { signal });
      await conn.getresponse();
      conn.detach().transport.close();
    }],
  ];

for (const [name, answer, run] of ENDINGS) {
  Deno.test(`request() removes its listener after ${name}`, async () => {
    using conn = new HTTPConnection(
      "example.com",
      over(answering(answer)),
    );
    const { controller, listeners } = counted();
    await run(conn, controller.signal);
    assertEquals(listeners(), 0);
  });
}

Deno.test("request() removes its listener when the connection could not be made", async () => {
  using conn = new HTTPConnection("example.com", {
    transport: () => Promise.reject(new Deno.errors.ConnectionRefused("no")),
  });
  const { controller, listeners } = counted();
  await assertRejects(() => getWith(conn, controller.signal), Deno.errors.ConnectionRefused);
  assertEquals(listeners(), 0);
});

Deno.test("request() removes its listener when the signal was aborted", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const { controller, listeners } = counted();
  const call = thrown(getWith(conn, controller.signal));
  controller.abort("why");
  await call;
  assertEquals(listeners(), 0);
});

Deno.test("request() has one listener at most when one signal serves a hundred requests", async () => {
  const answers = Array.from({ length: 100 }, () => ok());
  using conn = new HTTPConnection("example.com", over(answering(...answers)));
  const { controller, listeners } = counted();
  for (let i = 0; i < 100; i++) {
    await conn.request("GET", "/", null, {}, { signal: controller.signal });
    const response = await conn.getresponse({ signal: controller.signal });
    assertEquals(listeners(), 1);
    await response.read();
  }
  assertEquals(listeners(), 0);
});

Deno.test("connect() throws the signal's reason as it is when it joins a request that is aborted", async () => {
  const controller = new AbortController();
  const reason = new Error("mine");
  using conn = new HTTPConnection("example.com", { transport: never });
  const aborted = conn.request("GET", "/", null, {}, { signal: controller.signal });
  const joined = conn.connect();
  controller.abort(reason);
  assertStrictEquals(await thrown(aborted), reason);
  assertStrictEquals(await thrown(joined), reason);
  assertUntouched(reason);
});
