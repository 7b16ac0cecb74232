/**
 * Options objects of every call, and what is set on a connection later: what is unknown or makes no sense
 * is refused, and nothing has happened by then.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { HTTPConnection, HTTPResponse, HTTPSConnection } from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";

/** Calls with an options object, and what the object is called in an error. */
const CALLS: [
  name: string,
  call: (conn: HTTPConnection, options: never) => Promise<unknown>,
  of: string,
][] = [
  ["request()", (conn, options) => conn.request("GET", "/", null, {}, options), "a request"],
  ["endheaders()", (conn, options) => {
    conn.putrequest("GET", "/");
    return conn.endheaders(null, options);
  }, "a request"],
  ["getresponse()", (conn, options) => conn.getresponse(options), "getresponse()"],
];

for (const [name, call, of] of CALLS) {
  Deno.test(`${name} rejects with a TypeError for an option that is unknown`, async () => {
    const transport = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(transport));
    const promise = call(conn, { sginal: null } as never);
    await assertRejects(
      () => promise,
      TypeError,
      `Cannot use sginal as it is no option of ${of}: did you mean signal`,
    );
    assertEquals([transport.writes, conn.lastFailure], [[], null]);
  });

  for (const wrong of [null, 5, "text", []]) {
    Deno.test(`${name} rejects with a TypeError when the options are ${JSON.stringify(wrong)}`, async () => {
      using conn = new HTTPConnection("example.com", over(new FakeTransport()));
      const promise = call(conn, wrong as never);
      await assertRejects(() => promise, TypeError, "must be an object");
    });
  }

  Deno.test(`${name} rejects with a TypeError for a signal that is none`, async () => {
    using conn = new HTTPConnection("example.com", over(new FakeTransport()));
    const promise = call(conn, { signal: new AbortController() } as never);
    await assertRejects(() => promise, TypeError, "Cannot use signal as it must be an AbortSignal");
  });

  Deno.test(`${name} leaves the connection as it was when it refuses an option`, async () => {
    using conn = new HTTPConnection("example.com", over(answering(ok())));
    const promise = call(conn, { unknown: 1 } as never);
    await assertRejects(() => promise, TypeError);
    assertEquals(await getText(conn), "ok");
  });
}

Deno.test("request() rejects with a TypeError that says where the headers go", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const options = { headers: { A: "b" } } as never;
  await assertRejects(
    () => conn.request("GET", "/", null, {}, options),
    TypeError,
    "did you mean the headers of request(), its fourth argument",
  );
});

Deno.test("request() rejects with a TypeError that names trailers when the option is trailer", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const options = { trailer: { A: "b" } } as never;
  await assertRejects(
    () => conn.request("POST", "/", "", {}, options),
    TypeError,
    "did you mean trailers",
  );
});

for (const encode_chunked of ["true", 1, null]) {
  Deno.test(`request() rejects with a TypeError when encode_chunked is ${JSON.stringify(encode_chunked)}`, async () => {
    using conn = new HTTPConnection("example.com", over(new FakeTransport()));
    await assertRejects(
      () => conn.request("POST", "/", "body", {}, { encode_chunked } as never),
      TypeError,
      "Cannot use encode_chunked as it must be true or false",
    );
  });
}

Deno.test("putrequest() throws a TypeError for an option that is unknown, or none", async () => {
  using conn = new HTTPConnection("example.com", over(answering(ok())));
  const putrequest = (options: unknown) => () => conn.putrequest("GET", "/", options as never);
  assertThrows(putrequest({ skipHost: true }), TypeError, "did you mean skip_host");
  assertThrows(putrequest({ skip_host: "no" }), TypeError, "Cannot use skip_host");
  assertThrows(putrequest(null), TypeError, "must be an object: got null");
  assertEquals(await getText(conn), "ok");
});

Deno.test("HTTPConnection() and HTTPSConnection() throw a TypeError for an option that is unknown", () => {
  for (const type of [HTTPConnection, HTTPSConnection]) {
    const options = { timout: 5 } as never;
    const message = `Cannot use timout as it is no option of ${type.name}: did you mean timeout`;
    assertThrows(() => new type("example.com", options), TypeError, message);
    assertThrows(() => new type("example.com", 80, options), TypeError, message);
    assertThrows(() => new type("example.com", 80, null as never), TypeError, "got null");
  }
});

Deno.test("HTTPConnection() throws a TypeError for options in two places", () => {
  const make = () => new HTTPConnection("example.com", { timeout: 5 } as never, { blocksize: 1 });
  assertThrows(make, TypeError, "Cannot use port as it must be a number or null before options");
});

Deno.test("HTTPResponse() throws a TypeError for an option that is unknown or makes no sense", () => {
  const make = (options: unknown) => () => new HTTPResponse(new FakeTransport(), options as never);
  assertThrows(make({ debugLevel: 1 }), TypeError, "did you mean debuglevel");
  assertThrows(make({ method: 5 }), TypeError, "Cannot use method");
  assertThrows(make({ url: null }), TypeError, "Cannot use url");
  assertThrows(make(null), TypeError, "must be an object: got null");
});

Deno.test("decoded() throws a TypeError for an option that is unknown", async () => {
  using conn = new HTTPConnection("example.com", over(answering(ok())));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const options = { maxBytes: 5 } as never;
  assertThrows(() => response.decoded(options), TypeError, "Cannot use maxBytes");
  assertEquals(await response.text(), "ok");
});

Deno.test("set_tunnel() throws a TypeError that says where the fields go", () => {
  using conn = new HTTPConnection("example.com");
  const port = { headers: { A: "b" } } as never;
  assertThrows(() => conn.set_tunnel("a", port), TypeError, "the third argument");
});

/** What may be set later, and what of it makes no sense. */
const LATER: [name: string, good: unknown, wrong: unknown[]][] = [
  ["timeout", 5, [NaN, 0, -1, "5", undefined, true]],
  ["source_address", ["127.0.0.1", 0], ["127.0.0.1", ["a"], undefined]],
  ["blocksize", 1, [0, NaN, "1", Infinity, null, undefined]],
  ["debuglevel", 1, ["x", NaN, null, undefined]],
  ["host", "other.example", [5, null, undefined]],
  ["port", 81, [NaN, -1, 65536, "81", null, undefined]],
  ["sock", null, [5, {}, "socket", undefined, { read() {}, write() {} }]],
];

for (const [name, good, wrong] of LATER) {
  Deno.test(`${name} throws a TypeError and stays when it is set to what makes no sense`, () => {
    using conn = new HTTPConnection("example.com");
    const any = conn as unknown as Record<string, unknown>;
    any[name] = good;
    for (const value of wrong) {
      assertThrows(() => any[name] = value, TypeError, `Cannot use ${name} as it must be `);
    }
    assertEquals(any[name], good);
  });
}

Deno.test("set_debuglevel() throws a TypeError when the level is no number", () => {
  using conn = new HTTPConnection("example.com");
  assertThrows(() => conn.set_debuglevel("x" as never), TypeError, "Cannot use debuglevel");
});

Deno.test("HTTPConnection.debuglevel throws a TypeError when it is set to no number", () => {
  assertThrows(() => HTTPConnection.debuglevel = "x" as never, TypeError, "Cannot use debuglevel");
  assertEquals(HTTPConnection.debuglevel, 0);
});

Deno.test("a subclass may have fields of the names that are checked", async () => {
  class Own extends HTTPConnection {
    override timeout = 5;
    override debuglevel = 0;
    override blocksize = 1;
  }
  using conn = new Own("example.com", over(answering(ok())));
  assertEquals([conn.timeout, conn.debuglevel, conn.blocksize], [5, 0, 1]);
  assertEquals(await getText(conn), "ok");
});

Deno.test("request() rejects with a TypeError when a field of a subclass makes no sense", async () => {
  class Own extends HTTPConnection {
    override timeout = NaN;
  }
  const transport = new FakeTransport();
  using conn = new Own("example.com", over(transport));
  await assertRejects(() => conn.request("GET", "/"), TypeError, "Cannot use timeout");
  assertEquals(transport.writes, []);
});

Deno.test("an option that is changed after the connection was made has no effect", async () => {
  const options = { ...over(answering(ok())), timeout: 5 };
  using conn = new HTTPConnection("example.com", options);
  Object.assign(options, { timeout: NaN, transport: null, trace: 5 });
  assertEquals(conn.timeout, 5);
  assertEquals(await getText(conn), "ok");
  assert(conn.lastFailure === null);
});

/** What a subclass or an instance may replace. */
const INHERITED: [
  name: "auto_open" | "response_class" | "default_port",
  good: unknown,
  wrong: unknown[],
][] = [
  ["auto_open", false, ["no", null, NaN]],
  ["response_class", class extends HTTPResponse {}, [null, "HTTPResponse", () => {}, {}]],
  ["default_port", 8080, ["8080", -1, 65536, null]],
];

for (const [name, good, wrong] of INHERITED) {
  Deno.test(`${name} throws a TypeError when it is set to what makes no sense, and keeps its value`, () => {
    class Own extends HTTPConnection {}
    for (const target of [new HTTPConnection("example.com"), Own.prototype]) {
      Object.assign(target, { [name]: good });
      for (const value of wrong) {
        const set = () => Object.assign(target, { [name]: value });
        assertThrows(set, TypeError, `Cannot use ${name} as it must be`);
        assertEquals(target[name] === good, true);
      }
    }
  });

  Deno.test(`${name} set on a class holds for its instances and for no others`, () => {
    class Own extends HTTPConnection {
      static {
        Object.assign(this.prototype, { [name]: good });
      }
    }
    const own = new Own("example.com");
    assertEquals(own[name] === good, true);
    assertEquals(new HTTPConnection("example.com")[name] === good, false);
    const first = new HTTPConnection("example.com")[name];
    Object.assign(own, { [name]: first });
    assertEquals([own[name] === first, new Own("example.com")[name] === good], [true, true]);
  });
}

Deno.test("debuglevel of a response throws a TypeError when it is set to what makes no sense", () => {
  const response = new HTTPResponse(new FakeTransport(), { debuglevel: 1 });
  for (const value of ["1", null, NaN]) {
    const set = () => Object.assign(response, { debuglevel: value });
    assertThrows(set, TypeError, "Cannot use debuglevel as it must be a number");
  }
  assertEquals(response.debuglevel, 1);
  response.debuglevel = 0;
  assertEquals(response.debuglevel, 0);
});

for (const way of ["values", Symbol.asyncIterator] as const) {
  Deno.test(`${String(way)}() throws a TypeError for an option that is unknown or makes no sense`, async () => {
    using conn = new HTTPConnection("example.com", over(answering(ok())));
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    const pieces = (options: unknown) => () => response[way](options as never);
    assertThrows(pieces({ preventcancel: true }), TypeError, "did you mean preventCancel");
    assertThrows(pieces({ preventCancel: 1 }), TypeError, "Cannot use preventCancel");
    assertThrows(pieces(null), TypeError, "must be an object: got null");
    const decoded = response.decoded();
    const decodedPieces = (options: unknown) => () => decoded[way](options as never);
    assertThrows(decodedPieces({ preventcancel: true }), TypeError, "did you mean preventCancel");
    assertThrows(decodedPieces(null), TypeError, "must be an object: got null");
    assertEquals(await decoded.text(), "ok");
  });
}
