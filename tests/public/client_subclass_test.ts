/**
 * Subclasses of the user's, whose methods may throw what they like, never return, or return promises of their
 * own.
 *
 * @module
 */
import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import {
  HTTPConnection,
  HTTPResponse,
  type HTTPResponseOptions,
  type Transport,
} from "../../mod.ts";
import { answering, connectionOver, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { microtasks, never, thrown, turns } from "../helpers/waiting.ts";

Deno.test("request() is timed out while a connect() of the user's does not return", async () => {
  class Own extends HTTPConnection {
    override connect(): Promise<void> {
      return never();
    }
  }
  for (const options of [{ timeout: 0.02 }, { deadlines: { total: 0.02 } }]) {
    using conn = new Own("example.com", options);
    assertInstanceOf(await thrown(conn.request("GET", "/")), Deno.errors.TimedOut);
  }
});

Deno.test("request() that nobody awaits ends no process when endheaders() is the user's", async () => {
  class Own extends HTTPConnection {
    override async endheaders(...all: Parameters<HTTPConnection["endheaders"]>): Promise<void> {
      await super.endheaders(...all);
    }
  }
  const reason = new Error("mine");
  using conn = new Own("example.com", { transport: () => Promise.reject(reason) });
  conn.request("GET", "/");
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertStrictEquals(await thrown(conn.getresponse()), reason);
});

Deno.test("getresponse() throws what begin() of the user's throws, and does not write to it", async () => {
  const reason = new Error("mine");
  class Own extends HTTPResponse {
    override async begin(): Promise<void> {
      await super.begin();
      throw reason;
    }
  }
  using conn = connectionOver(answering(ok()));
  conn.response_class = Own;
  await conn.request("GET", "/");
  assertStrictEquals(await thrown(conn.getresponse()), reason);
  assertEquals(Object.keys(reason), []);
});

Deno.test("getresponse() throws this library's error, with its facts, through a begin() of the user's", async () => {
  class Own extends HTTPResponse {
    override async begin(): Promise<void> {
      await super.begin();
    }
  }
  using conn = connectionOver(new FakeTransport(["nonsense\r\n"]));
  conn.response_class = Own;
  await conn.request("GET", "/");
  const error = await thrown(conn.getresponse()) as Error & { phase: string };
  assertEquals([error.name, error.phase], ["BadStatusLine", "head"]);
});

Deno.test("getresponse() reads from what the response of the user's reads from", async () => {
  let reads = 0;
  class Own extends HTTPResponse {
    constructor(source: Transport, options: HTTPResponseOptions) {
      super({
        read(p: Uint8Array) {
          reads++;
          return source.read(p);
        },
        write: (p: Uint8Array) => source.write(p),
        close: () => source.close(),
      }, options);
    }
  }
  using conn = connectionOver(answering(ok("hello")));
  conn.response_class = Own as typeof HTTPResponse;
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals([response.status, await response.text(), reads > 0], [200, "hello", true]);
});

Deno.test("getresponse() gives the fields that a begin() of the response's constructor has read", async () => {
  class Own extends HTTPResponse {
    readonly first = this.begin().then(() => this.headers);
  }
  using conn = connectionOver(answering(ok("hello")));
  conn.response_class = Own;
  await conn.request("GET", "/");
  const response = await conn.getresponse() as Own;
  assertStrictEquals(await response.first, response.headers);
  assertEquals(await response.text(), "hello");
});

Deno.test("getresponse() tells alone what a begin() of the response's constructor fails with", async () => {
  class Own extends HTTPResponse {
    constructor(source: Transport, options: HTTPResponseOptions) {
      super(source, options);
      this.begin();
    }
  }
  using conn = connectionOver(new FakeTransport(["nonsense\r\n"]));
  conn.response_class = Own as typeof HTTPResponse;
  await conn.request("GET", "/");
  assertEquals((await thrown(conn.getresponse()) as Error).name, "BadStatusLine");
  // A rejection that nobody has handled would end the process in this turn.
  await turns(1);
});

Deno.test("getresponse() calls a begin() that HTTPResponse was given", async () => {
  const { begin } = HTTPResponse.prototype;
  let calls = 0;
  HTTPResponse.prototype.begin = function () {
    calls++;
    return begin.call(this);
  };
  try {
    using conn = connectionOver(answering(ok("hello")));
    await conn.request("GET", "/");
    assertEquals(await (await conn.getresponse()).text(), "hello");
  } finally {
    HTTPResponse.prototype.begin = begin;
  }
  assertEquals(calls, 1);
});

for (const how of ["close()", "dispose", "abort()", "total"]) {
  Deno.test(`${how} ends getresponse() when begin() of the user's does not return`, async () => {
    class Own extends HTTPResponse {
      override begin(): Promise<void> {
        return never();
      }
    }
    const controller = new AbortController();
    const conn = new HTTPConnection("example.com", {
      ...over(answering(ok())),
      ...(how === "total" ? { deadlines: { total: 0.02 } } : {}),
    });
    conn.response_class = Own;
    await conn.request("GET", "/", null, {}, { signal: controller.signal });
    const error = thrown(conn.getresponse());
    await microtasks(20);
    if (how === "close()") conn.close();
    else if (how === "dispose") conn[Symbol.dispose]();
    else if (how === "abort()") controller.abort("why");
    const classes = { "abort()": null, "total": Deno.errors.TimedOut } as Record<string, unknown>;
    if (how === "abort()") assertEquals(await error, "why");
    else {
      assertInstanceOf(
        await error,
        (classes[how] ?? Deno.errors.Interrupted) as typeof Deno.errors.Interrupted,
      );
    }
    conn[Symbol.dispose]();
  });
}

Deno.test("dispose closes what responses took with them, though close() of one throws", async () => {
  const reason = new Error("mine");
  class Own extends HTTPResponse {
    override close(): void {
      super.close();
      throw reason;
    }
  }
  const cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n";
  const transports = [
    answering(`${cut}Connection: close\r\n\r\nhel`),
    answering(`${cut}\r\nhel`),
  ];
  const conn = connectionOver(...transports);
  await conn.request("GET", "/");
  await conn.getresponse();
  conn.response_class = Own;
  await conn.request("GET", "/");
  await conn.getresponse();
  assertStrictEquals(assertThrows(() => conn[Symbol.dispose]()), reason);
  assertEquals(transports.map(({ closes }) => closes), [1, 1]);
});
