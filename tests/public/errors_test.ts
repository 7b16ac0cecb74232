/**
 * The exceptions: Python's tree, their names and fields, and the two bases of `RemoteDisconnected`.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import * as http from "../../mod.ts";
import {
  BadStatusLine,
  CannotSendHeader,
  CannotSendRequest,
  HTTPConnection,
  HTTPException,
  HTTPMessage,
  ImproperConnectionState,
  IncompleteRead,
  InvalidURL,
  isExchangeError,
  LineTooLong,
  NotConnected,
  ProtocolError,
  RemoteDisconnected,
  ResponseNotReady,
  TunnelError,
  UnimplementedFileMode,
  UnknownProtocol,
  UnknownTransferEncoding,
} from "../../mod.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { bytes, type ErrorClass } from "../helpers/split.ts";
import { thrown } from "../helpers/waiting.ts";

/** A row: an error, its class, and the classes of this library above it. */
const TREE: [error: HTTPException, own: ErrorClass, bases: ErrorClass[]][] = [
  [new HTTPException("x"), HTTPException, []],
  [new NotConnected("x"), NotConnected, []],
  [new InvalidURL("x"), InvalidURL, []],
  [new UnknownProtocol("HTTP/3"), UnknownProtocol, []],
  [new UnknownTransferEncoding("x"), UnknownTransferEncoding, []],
  [new UnimplementedFileMode("x"), UnimplementedFileMode, []],
  [new IncompleteRead(bytes("ab"), 3), IncompleteRead, []],
  [new ImproperConnectionState("x"), ImproperConnectionState, []],
  [new CannotSendRequest("x"), CannotSendRequest, [ImproperConnectionState]],
  [new CannotSendHeader("x"), CannotSendHeader, [ImproperConnectionState]],
  [new ResponseNotReady("x"), ResponseNotReady, [ImproperConnectionState]],
  [new BadStatusLine("x"), BadStatusLine, []],
  [new RemoteDisconnected(), RemoteDisconnected, [BadStatusLine]],
  [new LineTooLong("header line"), LineTooLong, []],
  [new TunnelError(407, "No", new HTTPMessage()), TunnelError, []],
  [new ProtocolError("x"), ProtocolError, []],
];

const CLASSES = TREE.map(([, own]) => own);

for (const [error, own, bases] of TREE) {
  Deno.test(`${own.name} is an instance of its bases, and of no other class`, () => {
    const expected = [...new Set([HTTPException as ErrorClass, own, ...bases])];
    const found = CLASSES.filter((one) => error instanceof one);
    assertEquals(found.map(({ name }) => name).sort(), expected.map(({ name }) => name).sort());
    assert(error instanceof Error);
  });

  Deno.test(`${own.name} has its name on the prototype, and in its text`, () => {
    assertEquals([error.name, Object.hasOwn(error, "name")], [own.name, false]);
    assertEquals(Object.hasOwn(own.prototype, "name"), true);
    assertEquals(`${error}`, `${own.name}: ${error.message}`);
    assertEquals(error.constructor, own);
    assertMatch(error.stack!, new RegExp(`^(Error|${own.name})`));
  });

  Deno.test(`${own.name} does not show its name among the fields`, () => {
    assertEquals(Object.keys(error).includes("name"), false);
    assertEquals(Object.keys(own.prototype), []);
  });
}

Deno.test("mod.ts exports no exception that is not in the tree", () => {
  const exported = [...new Set<unknown>(Object.values(http))]
    .filter((one) => typeof one === "function" && one.prototype instanceof Error)
    .map((one) => (one as ErrorClass).name);
  assertEquals([...exported].sort(), CLASSES.map(({ name }) => name).sort());
});

Deno.test("error is HTTPException, as in Python", () => {
  assertStrictEquals(http.error, HTTPException);
});

Deno.test("RemoteDisconnected is a Deno.errors.ConnectionReset", () => {
  assert(new RemoteDisconnected() instanceof Deno.errors.ConnectionReset);
});

Deno.test("HTTPException is no Deno.errors.ConnectionReset, but for RemoteDisconnected", () => {
  const found = TREE.filter(([error]) => error instanceof Deno.errors.ConnectionReset);
  assertEquals(found.map(([, own]) => own.name), ["RemoteDisconnected"]);
});

Deno.test("HTTPException does not match a Deno.errors.ConnectionReset", () => {
  const reset: unknown = new Deno.errors.ConnectionReset("x");
  assertEquals(CLASSES.filter((one) => reset instanceof one), []);
});

for (
  const value of [null, undefined, 5, "x", {}, new Error("x"), HTTPException.prototype.message]
) {
  Deno.test(`HTTPException does not match ${typeof value} ${String(value)}`, () => {
    assertEquals((value as unknown) instanceof HTTPException, false);
  });
}

Deno.test("HTTPException tells a subclass of the user's from its base", () => {
  class Mine extends BadStatusLine {}
  assert(new Mine("x") instanceof BadStatusLine);
  assert(new Mine("x") instanceof HTTPException);
  assertEquals(new BadStatusLine("x") instanceof Mine, false);
  assertEquals((new RemoteDisconnected() as unknown) instanceof Mine, false);
});

Deno.test("RemoteDisconnected hands both bases on to a subclass", () => {
  class Mine extends RemoteDisconnected {}
  const error: unknown = new Mine();
  assert(error instanceof RemoteDisconnected);
  assert(error instanceof BadStatusLine);
  assert(error instanceof HTTPException);
  assert(error instanceof Deno.errors.ConnectionReset);
});

Deno.test("IncompleteRead() has partial and expected", () => {
  const { partial, expected } = new IncompleteRead(bytes("ab"), 3);
  assertEquals([[...partial], expected], [[97, 98], 3]);
});

Deno.test("IncompleteRead() has null for expected when that is not given", () => {
  assertEquals(new IncompleteRead(bytes("ab")).expected, null);
});

Deno.test("IncompleteRead() says how much there is and is missing", () => {
  assertMatch(new IncompleteRead(bytes("ab"), 3).message, /2 bytes read, 3 more expected/);
  assertEquals(new IncompleteRead(bytes("ab")).message.includes("more"), false);
});

Deno.test("IncompleteRead() keeps its cause", () => {
  const cause = new ProtocolError("x");
  assertEquals(new IncompleteRead(bytes(""), null, { cause }).cause === cause, true);
});

Deno.test("HTTPException() and its plain kinds keep a cause", () => {
  const cause = new Error("x");
  assertEquals(new HTTPException("y", { cause }).cause === cause, true);
  assertEquals(new ProtocolError("y", { cause }).cause === cause, true);
});

Deno.test("BadStatusLine() has the line, and two quotes for an empty one, as Python has", () => {
  assertEquals([new BadStatusLine("x\r\n").line, new BadStatusLine("").line], ["x\r\n", "''"]);
});

Deno.test("RemoteDisconnected() has the line of an empty one, and a message of its own", () => {
  assertEquals(new RemoteDisconnected().line, "''");
  assertEquals([new RemoteDisconnected("m").line, new RemoteDisconnected("m").message], [
    "''",
    "m",
  ]);
});

Deno.test("UnknownProtocol() has the version", () => {
  assertEquals(new UnknownProtocol("HTTP/3").version, "HTTP/3");
});

Deno.test("LineTooLong() names the kind of line and the limit", () => {
  assertMatch(new LineTooLong("chunk size").message, /chunk size.* 65536 bytes/);
  assertMatch(new LineTooLong("chunk size", 10).message, / 10 bytes/);
});

Deno.test("TunnelError() has status, reason and headers", () => {
  const headers = new HTTPMessage([["A", "b"]]);
  const error = new TunnelError(407, "No", headers);
  assertEquals([error.status, error.reason, error.headers === headers], [407, "No", true]);
  assertMatch(error.message, /407 No$/);
});

Deno.test("TunnelError() does not end in a blank when there is no reason", () => {
  assertMatch(new TunnelError(502, "", new HTTPMessage()).message, /502$/);
});

for (const [error, own] of TREE.filter(([{ message }]) => message !== "x")) {
  Deno.test(`${own.name}() has a message in sentence case, without a period`, () => {
    assertMatch(error.message, /^[A-Z].*[^.]$/);
  });
}

Deno.test("HTTPException can be caught by its base", () => {
  const error = assertThrows(() => {
    throw new CannotSendHeader("x");
  }, ImproperConnectionState);
  assertEquals(error.message, "x");
});

Deno.test("HTTPException has no facts when nothing is known of the exchange", () => {
  const { phase, requestBytesSent, retrySafe } = new HTTPException("x");
  assertEquals([phase, requestBytesSent, retrySafe], [undefined, undefined, undefined]);
  assertEquals(Object.keys(new HTTPException("x")), []);
});

Deno.test("isExchangeError() is true of what ends an exchange, which says with whom it was", async () => {
  const endings: [answer: string, type: ErrorClass][] = [
    ["SSH-2.0\r\n", BadStatusLine],
    ["HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", HTTPException],
    ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", IncompleteRead],
    ["", RemoteDisconnected],
  ];
  for (const [answer, type] of endings) {
    const transport = new FakeTransport([answer], { ended: true });
    using conn = new HTTPConnection("a.example", 8080, over(transport));
    const error = await thrown((async () => {
      await conn.request("GET", "/");
      await (await conn.getresponse()).read();
    })());
    assert(error instanceof type && isExchangeError(error), String(error));
    assertEquals([error.host, error.port], ["a.example", 8080]);
    assertEquals(error.retrySafe === "yes", false);
  }
});

Deno.test("isExchangeError() is true of an error of connecting", async () => {
  const options = { transport: () => new Promise<never>(() => {}), timeout: 0.01 };
  using conn = new HTTPConnection("b.example", options);
  const error = await thrown(conn.request("GET", "/"));
  assert(isExchangeError(error));
  assertEquals([error.phase, error.host, error.port], ["connect", "b.example", 80]);
});

Deno.test("isExchangeError() knows the host behind a tunnel", async () => {
  const transport = new FakeTransport(["HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"]);
  using conn = new HTTPConnection("proxy.example", 3128, over(transport));
  conn.set_tunnel("a.example", 443);
  const error = await thrown(conn.request("GET", "/"));
  assert(error instanceof TunnelError && isExchangeError(error));
  assertEquals([error.host, error.port], ["a.example", 443]);
});

Deno.test("isExchangeError() is false of wrong use, of what the user made and of what is no error", async () => {
  using conn = new HTTPConnection("a.example", over(answering(ok())));
  const reason = new Error("enough");
  const { signal } = new AbortController();
  Object.defineProperties(signal, { aborted: { value: true }, reason: { value: reason } });
  for (
    const error of [
      await thrown(conn.getresponse()),
      await thrown(conn.request("GET", "/ /")),
      await thrown(conn.request("GET", "/", null, {}, { signal })),
      new HTTPException("x"),
      new Error("x"),
      { phase: "head" },
      null,
      undefined,
      "text",
    ]
  ) assertEquals(isExchangeError(error), false, String(error));
});
