/**
 * The stack of an error reaches the line of the caller that waits, wherever the error arose: in a timer, in
 * a callback, in another call. Objects of the user's stay as they are.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPResponse,
  type Transport,
} from "../../mod.ts";
import { getResponse } from "../helpers/exchanges.ts";
import { FakeTransport, over } from "../helpers/fake_transport.ts";
import { never, thrown } from "../helpers/waiting.ts";
import { startRaw } from "../servers/raw.ts";

/** Seconds that are over soon. */
const SHORT = 0.02;
/** A head, and a part of its body. */
const PART = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\none\n";
const CHUNKS = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n";

/** Calls `act` from a function whose name is to be found in the stack. */
async function callerFunction(act: () => Promise<unknown>): Promise<unknown> {
  // As a program would have it: the call is awaited in a function of the user's.
  const result = await act();
  return result;
}

/** What is thrown, which must be an error whose stack has the caller. */
async function assertReaches(act: () => Promise<unknown>, name: string): Promise<void> {
  const error = await thrown(callerFunction(act)) as Error;
  assertEquals([error.name, typeof error.stack], [name, "string"]);
  assertStringIncludes(error.stack!, `${error.message}\n`);
  assertMatch(error.stack!, /at (async )?callerFunction/);
}

type Answered = (response: HTTPResponse) => Promise<unknown>;

/** Reads that wait for more than there is. */
const READS: [name: string, read: Answered][] = [
  ["read()", (response) => response.read()],
  ["read(amt)", async (response) => {
    await response.read(4);
    return await response.read(4);
  }],
  ["bytes()", (response) => response.bytes()],
  ["text()", (response) => response.text()],
  ["json()", (response) => response.json()],
  ["readlines()", async (response) => {
    await response.readlines();
    await response.readlines();
  }],
  ["read1()", async (response) => {
    await response.read1();
    await response.read1();
  }],
  ["peek()", async (response) => {
    await response.read(4);
    await response.peek();
  }],
  ["readline()", async (response) => {
    await response.readline();
    await response.readline();
  }],
  ["readinto()", async (response) => {
    await response.readinto(new Uint8Array(4));
    await response.readinto(new Uint8Array(4));
  }],
  ["a second readinto() after it", async (response) => {
    await response.readinto(new Uint8Array(99));
    await response.readinto(new Uint8Array(99));
  }],
  ["for await", async (response) => {
    for await (const _piece of response);
  }],
  ["for await over lines()", async (response) => {
    for await (const _line of response.lines());
  }],
];

for (const [name, read] of READS) {
  for (const [kind, head] of [["length", PART], ["chunks", CHUNKS]]) {
    Deno.test(`${name} shows its caller when a deadline has passed (${kind})`, async () => {
      using conn = new HTTPConnection("example.com", {
        ...over(new FakeTransport([], { answers: [head] })),
        timeout: SHORT,
      });
      const response = await getResponse(conn);
      await assertReaches(() => read(response), "TimedOut");
    });

    Deno.test(`${name} shows its caller when the connection is closed (${kind})`, async () => {
      using conn = new HTTPConnection("example.com", {
        ...over(new FakeTransport([], { answers: [head] })),
      });
      const response = await getResponse(conn);
      setTimeout(() => conn.close(), 5);
      await assertReaches(() => read(response), "Interrupted");
    });

    Deno.test(`${name} shows its caller when the body ends early (${kind})`, async () => {
      const transport = new FakeTransport([], { answers: [head] });
      using conn = new HTTPConnection("example.com", over(transport));
      const response = await getResponse(conn);
      setTimeout(() => transport.end(), 5);
      await assertReaches(() => read(response), "IncompleteRead");
    });
  }
}

/** A transport that is silent. */
function silent(options: HTTPConnectionOptions = {}): HTTPConnection {
  return new HTTPConnection("example.com", { ...over(new FakeTransport()), ...options });
}

/** A connection whose writes are not taken. */
function stuck(options: HTTPConnectionOptions): HTTPConnection {
  const transport = { read: () => never<null>(), write: () => never<number>(), close() {} };
  return new HTTPConnection("example.com", { ...over(transport), ...options });
}

/** Calls that wait before there is a body, what they fail with, and how. */
const CALLS: [title: string, name: string, act: () => Promise<unknown>][] = [
  ["getresponse() when the timeout has passed", "TimedOut", async () => {
    using conn = silent({ timeout: SHORT });
    await getResponse(conn);
  }],
  ["getresponse() when deadlines.head has passed", "TimedOut", async () => {
    using conn = silent({ deadlines: { head: SHORT } });
    await getResponse(conn);
  }],
  ["getresponse() when deadlines.total has passed", "TimedOut", async () => {
    using conn = silent({ deadlines: { total: SHORT } });
    await getResponse(conn);
  }],
  ["getresponse() when the connection is closed", "Interrupted", async () => {
    using conn = silent();
    setTimeout(() => conn.close(), 5);
    await getResponse(conn);
  }],
  ["getresponse() when the server ends the connection", "RemoteDisconnected", async () => {
    const transport = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(transport));
    setTimeout(() => transport.end(), 5);
    await getResponse(conn);
  }],
  ["getresponse() when the head is none", "BadStatusLine", async () => {
    using conn = new HTTPConnection("a", over(new FakeTransport([], { answers: ["no head\r\n"] })));
    await getResponse(conn);
  }],
  ["getresponse() of a request that nobody awaited", "TimedOut", async () => {
    using conn = stuck({ timeout: SHORT });
    conn.request("GET", "/");
    await conn.getresponse();
  }],
  ["getresponse() when there is no request", "ResponseNotReady", async () => {
    using conn = silent();
    await conn.getresponse();
  }],
  ["request() when a write is not taken", "TimedOut", async () => {
    using conn = stuck({ timeout: SHORT });
    await conn.request("PUT", "/", new Uint8Array(99));
  }],
  ["request() when it is closed", "Interrupted", async () => {
    using conn = stuck({});
    setTimeout(() => conn.close(), 5);
    await conn.request("PUT", "/", new Uint8Array(99));
  }],
  ["request() when its source gives too much, late", "TypeError", async () => {
    using conn = silent();
    const source = (async function* () {
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield "text";
    })();
    await conn.request("PUT", "/", source, { "Content-Length": "1" });
  }],
  ["request() when an option is unknown", "TypeError", async () => {
    using conn = silent();
    await conn.request("GET", "/", null, {}, { unknown: 1 } as never);
  }],
  ["request() when the transport is not made in time", "TimedOut", async () => {
    using conn = new HTTPConnection("a", {
      transport: () => never<Transport>(),
      deadlines: { connect: SHORT },
    });
    await conn.request("GET", "/");
  }],
  ["connect() when the transport is not made in time", "TimedOut", async () => {
    using conn = new HTTPConnection("example.com", {
      transport: () => never<Transport>(),
      timeout: SHORT,
    });
    await conn.connect();
  }],
  ["connect() when the proxy is silent", "TimedOut", async () => {
    using conn = silent({ timeout: SHORT });
    conn.set_tunnel("origin.example", 443);
    await conn.connect();
  }],
  ["endheaders() when a write is not taken", "TimedOut", async () => {
    using conn = stuck({ timeout: SHORT });
    conn.putrequest("GET", "/");
    await conn.endheaders();
  }],
  ["send() when a write is not taken", "TimedOut", async () => {
    using conn = stuck({ timeout: SHORT });
    await conn.send("text");
  }],
  ["begin() when the source ends", "RemoteDisconnected", async () => {
    const source = new ReadableStream<Uint8Array>({
      pull: (controller) => void setTimeout(() => controller.close(), 5),
    });
    await new HTTPResponse(source).begin();
  }],
];

for (const [title, name, act] of CALLS) {
  Deno.test(`the error of ${title} shows its caller`, () => assertReaches(act, name));
}

Deno.test("the error of getresponse() shows its caller when nobody waits for that", async () => {
  using conn = silent({ timeout: SHORT });
  await conn.request("GET", "/");
  const { promise, resolve } = Promise.withResolvers<unknown>();
  callerFunction(() => conn.getresponse()).catch((error) => resolve(error));
  assertMatch((await promise as Error).stack!, /at (async )?callerFunction/);
});

Deno.test("connect() shows its caller when a socket is refused", async () => {
  const server = await startRaw(() => {});
  const { port } = server;
  await server[Symbol.asyncDispose]();
  await assertReaches(async () => {
    using conn = new HTTPConnection("127.0.0.1", port);
    await conn.connect();
  }, "ConnectionRefused");
});

Deno.test("a deadline shows nothing of the timer that has found it", async () => {
  using conn = silent({ timeout: SHORT });
  const { stack } = await thrown(getResponse(conn)) as Error;
  assertEquals(/timers|#tick|#expire/.test(stack!), false);
});

Deno.test("an error of a close shows who closed, and who waited", async () => {
  using conn = silent();
  setTimeout(function closingFunction() {
    conn.close();
  }, 5);
  const { stack } = await thrown(callerFunction(() => getResponse(conn))) as Error;
  assertStringIncludes(stack!, "closingFunction");
  assertStringIncludes(stack!, "at async callerFunction");
});

Deno.test("an error that two callers get shows the one who got it last", async () => {
  using conn = stuck({ timeout: SHORT });
  const first = await thrown(
    (async function firstCaller() {
      await conn.request("GET", "/");
    })(),
  ) as Error;
  assertStringIncludes(first.stack!, "firstCaller");
  const second = await thrown(
    (async function secondCaller() {
      await conn.getresponse();
    })(),
  ) as Error;
  assertEquals(second, first);
  assertStringIncludes(second.stack!, "secondCaller");
});

/** Ways for an error of the user's to come out of a call. */
const FOREIGN: [title: string, act: (reason: Error) => Promise<unknown>][] = [
  ["a signal's reason", async (reason) => {
    using conn = silent();
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 5);
    await getResponse(conn, "/", { signal: controller.signal });
  }],
  ["what transport() throws", async (reason) => {
    using conn = new HTTPConnection("a", { transport: () => Promise.reject(reason) });
    await conn.connect();
  }],
  ["what a read of a transport throws", async (reason) => {
    const read = () => Promise.reject(reason);
    const write = (p: Uint8Array) => Promise.resolve(p.length);
    using conn = new HTTPConnection("a", over({ read, write, close() {} }));
    await getResponse(conn);
  }],
  ["what a write of a transport throws", async (reason) => {
    const write = () => Promise.reject(reason);
    using conn = new HTTPConnection("a", over({ read: () => never(), write, close() {} }));
    await conn.request("GET", "/");
  }],
  ["what the source of a body throws", async (reason) => {
    using conn = silent();
    await conn.request(
      "PUT",
      "/",
      (async function* () {
        yield await Promise.reject(reason);
      })(),
    );
  }],
  ["what trace throws", async (reason) => {
    using conn = silent({
      trace: () => {
        throw reason;
      },
    });
    await conn.request("GET", "/");
  }],
];

for (const [title, act] of FOREIGN) {
  Deno.test(`the stack of ${title} is left as it is`, async () => {
    const reason = new Error("the user's");
    const { stack } = reason;
    assertEquals(await thrown(callerFunction(() => act(reason))), reason);
    assertEquals([reason.stack, Object.keys(reason)], [stack, []]);
  });
}

Deno.test("a request that fails and that nobody awaits is no unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const listen = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(event.reason);
  };
  addEventListener("unhandledrejection", listen);
  try {
    const transport = () => Promise.reject(new Error("no transport"));
    using conn = new HTTPConnection("a", { transport });
    conn.request("GET", "/");
    await turns();
    conn.putrequest("GET", "/");
    conn.endheaders();
    conn.send("late");
    conn.send("later");
    await turns();
    using closed = new HTTPConnection("a");
    closed.auto_open = 0;
    closed.request("GET", "/");
    closed.send("text");
    using slow = stuck({ timeout: SHORT });
    slow.request("GET", "/");
    await thrown(slow.getresponse());
    await turns();
  } finally {
    removeEventListener("unhandledrejection", listen);
  }
  assertEquals(unhandled, []);
});

/** Lets a few turns of the event loop pass, in which a rejection would be told. */
async function turns(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve));
}
