/**
 * What errors tell: the class, the phase, the bytes of this request and its response, whether the
 * connection was reused, and whether the request may be sent again.
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
  BadStatusLine,
  type ExchangeDetails,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPException,
  HTTPSConnection,
  IncompleteRead,
  LineTooLong,
  ProtocolError,
  RemoteDisconnected,
  TunnelError,
  UnknownProtocol,
  UnknownTransferEncoding,
} from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { assertUntouched, type Facts, factsOf } from "../helpers/facts.ts";
import { answering, type FakeOptions, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import type { ErrorClass } from "../helpers/split.ts";
import { never, thrown, turns } from "../helpers/waiting.ts";
import { freePorts } from "../servers/child.ts";
import { startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT, EXPIRED, UNKNOWN_ISSUER, WRONG_NAME } from "../tls/mod.ts";

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** What is told where nothing reached the server. */
function unsent(phase: "connect" | "tls"): Facts {
  return {
    phase,
    requestBytesSent: 0,
    responseBytesReceived: 0,
    connectionReused: false,
    retrySafe: "yes",
  };
}

const REQUEST = "GET / HTTP/1.1\r\nHost: example.com\r\nAccept-Encoding: identity\r\n\r\n";

/** A server in memory, and the error of a GET. */
interface Case {
  name: string;
  answer: string;
  options?: HTTPConnectionOptions;
  fake?: FakeOptions;
  error: ErrorClass;
  phase: "head" | "body";
  /** How many bytes of the answer the library has read by then. @default {all} */
  received?: number;
  run?: (conn: HTTPConnection) => Promise<unknown>;
}

const CUT: FakeOptions = { ended: true };

const CASES: Case[] = [
  { name: "no answer", answer: "", fake: CUT, error: RemoteDisconnected, phase: "head" },
  {
    name: "an end within the status line",
    answer: "HTTP/1.1 200",
    fake: CUT,
    error: IncompleteRead,
    phase: "head",
  },
  {
    name: "an end within the fields",
    answer: "HTTP/1.1 200 OK\r\nA: b\r\n",
    fake: CUT,
    error: IncompleteRead,
    phase: "head",
  },
  { name: "a bad status line", answer: "NO\r\n\r\n", error: BadStatusLine, phase: "head" },
  {
    name: "a version that is not known",
    answer: "HTTP/2.0 200 OK\r\n\r\n",
    error: UnknownProtocol,
    phase: "head",
  },
  {
    name: "a transfer encoding that is not known",
    answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    error: UnknownTransferEncoding,
    phase: "head",
  },
  {
    name: "a length that is none",
    answer: "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
    error: ProtocolError,
    phase: "head",
  },
  {
    name: "a line that is too long",
    answer: `HTTP/1.1 200 OK\r\nA: ${"x".repeat(200)}\r\n\r\n`,
    options: { maxLineBytes: 100 },
    error: LineTooLong,
    phase: "head",
  },
  {
    name: "too many fields",
    answer: `HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\n\r\n`,
    options: { max_response_headers: 1 },
    error: HTTPException,
    phase: "head",
  },
  {
    name: "too many interim responses",
    answer: "HTTP/1.1 102 Processing\r\n\r\n".repeat(3),
    options: { maxInterimResponses: 2 },
    error: HTTPException,
    phase: "head",
  },
  {
    name: "an end within a body by length",
    answer: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    fake: CUT,
    error: IncompleteRead,
    phase: "body",
  },
  {
    name: "an end within a chunk",
    answer: CHUNKED + "9\r\nhello",
    fake: CUT,
    error: IncompleteRead,
    phase: "body",
  },
  {
    name: "a chunk size that is none",
    answer: CHUNKED + "5\r\nhello\r\n0x5\r\n",
    error: IncompleteRead,
    phase: "body",
  },
  {
    name: "too many trailers",
    answer: CHUNKED + "0\r\nA: b\r\nA: b\r\n\r\n",
    options: { maxTrailers: 1 },
    error: HTTPException,
    phase: "body",
  },
  {
    name: "a body over the limit",
    answer: ok("hello"),
    options: { maxBodyBytes: 4 },
    error: HTTPException,
    phase: "body",
  },
];

for (const { name, answer, options = {}, fake = {}, error, phase } of CASES) {
  Deno.test(`${phase === "head" ? "getresponse()" : "text()"} throws ${error.name} with facts when there is ${name}`, async () => {
    const transport = new FakeTransport([], fake);
    transport.onWrite = () => transport.arrive(answer);
    using conn = new HTTPConnection("example.com", { ...over(transport), ...options });
    const reason = await assertRejects(() => getText(conn), error);
    assertEquals(factsOf(reason), {
      phase,
      requestBytesSent: REQUEST.length,
      responseBytesReceived: answer.length,
      connectionReused: false,
      retrySafe: answer === "" ? "idempotent-only" : "no",
    });
    assertEquals(transport.closes, 1);
  });

  Deno.test(`request() makes a new connection after ${name}`, async () => {
    const first = new FakeTransport([], fake);
    first.onWrite = () => first.arrive(answer);
    const second = answering("HTTP/1.1 204 No\r\n\r\n");
    using conn = new HTTPConnection("example.com", { ...over(first, second), ...options });
    await assertRejects(() => getText(conn), error);
    await conn.request("GET", "/");
    assertEquals((await conn.getresponse()).status, 204);
  });
}

// Reused connections: the counts are those of this request

Deno.test("getresponse() counts only the bytes of its own request when a connection is reused", async () => {
  const answers = [ok("a long answer to the first request"), "HTTP/1.1 200 OK\r\nCont"];
  const transport = new FakeTransport([], { answers });
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request("POST", "/", "a long body of the first request");
  await (await conn.getresponse()).read();
  await conn.request("GET", "/");
  transport.end();
  const error = await assertRejects(() => conn.getresponse(), IncompleteRead);
  assertEquals(factsOf(error), {
    phase: "head",
    requestBytesSent: REQUEST.length,
    responseBytesReceived: answers[1].length,
    connectionReused: true,
    retrySafe: "no",
  });
});

Deno.test("getresponse() says that the connection was reused when there is no answer", async () => {
  const transport = answering(ok());
  using conn = new HTTPConnection("example.com", over(transport));
  await getText(conn);
  await conn.request("GET", "/");
  transport.end();
  const error = await assertRejects(() => conn.getresponse(), RemoteDisconnected);
  assertEquals(factsOf(error), {
    phase: "head",
    requestBytesSent: REQUEST.length,
    responseBytesReceived: 0,
    connectionReused: true,
    retrySafe: "idempotent-only",
  });
});

Deno.test("getresponse() counts an interim response as a response that has begun", async () => {
  const transport = new FakeTransport(["HTTP/1.1 102 Processing\r\n\r\n"], { ended: true });
  using conn = new HTTPConnection("example.com", over(transport));
  const error = await assertRejects(() => getText(conn), RemoteDisconnected);
  assertEquals(factsOf(error).responseBytesReceived, 27);
});

Deno.test("read() tells the facts of its own exchange when a request is out behind it", async () => {
  const transport = new FakeTransport(["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"]);
  using conn = new HTTPConnection("example.com", over(transport, new FakeTransport()));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await conn.request("POST", "/behind", "a body");
  transport.end();
  const error = await assertRejects(() => response.read(), IncompleteRead);
  const { phase, requestBytesSent, connectionReused } = factsOf(error);
  assertEquals({ phase, requestBytesSent, connectionReused }, {
    phase: "body",
    requestBytesSent: REQUEST.length,
    connectionReused: false,
  });
});

Deno.test("read() and readline() throw again with the same facts", async () => {
  const transport = new FakeTransport([ok("hello").slice(0, -2)], { ended: true });
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals((await response.read(10)).length, 3);
  const first = await assertRejects(() => response.read(), IncompleteRead);
  const second = await assertRejects(() => response.readline(), IncompleteRead);
  assertEquals(factsOf(first), factsOf(second));
  assertEquals(factsOf(first).phase, "body");
});

// Connecting

Deno.test("request() throws ConnectionRefused with facts when the connection is refused", async () => {
  const [port] = freePorts(1);
  using conn = new HTTPConnection("127.0.0.1", port);
  const error = await assertRejects(() => getText(conn), Deno.errors.ConnectionRefused);
  assertEquals(factsOf(error), unsent("connect"));
});

Deno.test("request() throws ConnectionRefused with facts when it is refused from a source address", async () => {
  const [port] = freePorts(1);
  using conn = new HTTPConnection("127.0.0.1", port, { source_address: ["127.0.0.1", 0] });
  const error = await assertRejects(() => getText(conn), Deno.errors.ConnectionRefused);
  assertEquals(factsOf(error), unsent("connect"));
});

Deno.test("request() throws with facts when the source address is not this machine's", async () => {
  const [port] = freePorts(1);
  using conn = new HTTPConnection("127.0.0.1", port, { source_address: ["192.0.2.1", 0] });
  const error = await assertRejects(() => getText(conn));
  assertEquals(factsOf(error), unsent("connect"));
});

Deno.test("request() throws NotFound with facts when there is no unix socket", async () => {
  using conn = new HTTPConnection("localhost", { socketPath: "/nowhere/at/all" });
  const error = await assertRejects(() => getText(conn), Deno.errors.NotFound);
  assertEquals(factsOf(error), unsent("connect"));
});

for (
  const [kind, options] of [
    ["", {}],
    [" (a source address)", { source_address: ["127.0.0.1", 0] }],
  ] satisfies [string, HTTPConnectionOptions][]
) {
  Deno.test(`request() throws with facts when a name does not resolve${kind}`, async () => {
    // A label may have 63 characters: no resolver is asked.
    using conn = new HTTPConnection(`${"x".repeat(64)}.invalid`, 80, options);
    const error = await assertRejects(() => getText(conn));
    assertEquals(factsOf(error), unsent("connect"));
  });
}

Deno.test("request() throws what transport() is rejected with, and leaves it as it is", async () => {
  const reason = new RangeError("mine");
  using conn = new HTTPConnection("example.com", { transport: () => Promise.reject(reason) });
  assertStrictEquals(await assertRejects(() => getText(conn)), reason);
  assertUntouched(reason);
  assertEquals(conn.lastFailure, unsent("connect"));
});

Deno.test("connect() throws ConnectionRefused with facts", async () => {
  const [port] = freePorts(1);
  using conn = new HTTPConnection("127.0.0.1", port);
  const error = await assertRejects(() => conn.connect(), Deno.errors.ConnectionRefused);
  assertEquals(factsOf(error), unsent("connect"));
});

// TLS

const CONTEXTS = [
  ["Deno's TLS", { caCerts: [CA] }],
  ["node:tls", { caCerts: [CA], ...CLIENT }],
] as const;

for (const [kind, { ...context }] of CONTEXTS) {
  for (
    const [name, pair] of [
      ["an issuer that is not trusted", UNKNOWN_ISSUER],
      ["a certificate for another name", WRONG_NAME],
      ["a certificate that has expired", EXPIRED],
    ] as const
  ) {
    Deno.test(`request() throws InvalidData with facts when there is ${name} (${kind})`, async () => {
      await using server = await startRawTls(async (peer) => void await peer.eof(), { pair });
      using conn = new HTTPSConnection("localhost", server.port, {
        context: { ...context, caCerts: [CA] },
      });
      const error = await assertRejects(() => getText(conn), Deno.errors.InvalidData);
      assertEquals(factsOf(error), unsent("tls"));
      assert(error.cause instanceof Error);
    });
  }

  Deno.test(`request() throws InvalidData with facts when the server does not speak TLS (${kind})`, async () => {
    await using server = await startRaw(async (peer) => {
      await peer.read();
      await peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
      await peer.eof();
    });
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { ...context, caCerts: [CA] },
    });
    const error = await assertRejects(() => getText(conn), Deno.errors.InvalidData);
    assertEquals(factsOf(error), unsent("tls"));
  });

  Deno.test(`request() throws with facts when the server ends the handshake (${kind})`, async () => {
    await using server = await startRaw(async (peer) => void await peer.read());
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { ...context, caCerts: [CA] },
    });
    const error = await assertRejects(() => getText(conn));
    assertEquals(factsOf(error), unsent("tls"));
  });

  Deno.test(`request() throws ConnectionReset with facts when the handshake is reset (${kind})`, async () => {
    await using server = await startRaw(async (peer) => {
      await peer.read();
      peer.reset();
    }, { resettable: true });
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { ...context, caCerts: [CA] },
    });
    const error = await assertRejects(() => getText(conn), Deno.errors.ConnectionReset);
    assertEquals(factsOf(error), unsent("tls"));
  });
}

// Tunnels

Deno.test("request() throws a TunnelError with facts when the proxy refuses", async () => {
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n");
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("example.com", 80);
  const error = await assertRejects(() => getText(conn), TunnelError);
  assertEquals(factsOf(error), unsent("connect"));
  await proxy.idle();
});

Deno.test("request() throws RemoteDisconnected with facts when the proxy closes", async () => {
  await using proxy = await startRaw(async (peer) => void await peer.readHead());
  using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("example.com", 80);
  const error = await assertRejects(() => getText(conn), RemoteDisconnected);
  assertEquals(factsOf(error), unsent("connect"));
});

Deno.test("request() throws with facts when a handshake through a tunnel fails", async () => {
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\n\r\n");
    await peer.read();
  });
  using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context: { caCerts: [CA] } });
  conn.set_tunnel("localhost", 443);
  const error = await assertRejects(() => getText(conn));
  assertEquals(factsOf(error), unsent("tls"));
});

// Sending

Deno.test("request() throws with facts when the server resets while the body goes out", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.readBytes(1000);
    peer.reset();
  }, { resettable: true });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const error = await assertRejects(() => conn.request("POST", "/", new Uint8Array(1 << 25)));
  assert(
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe,
    String(error),
  );
  const { requestBytesSent, ...rest } = factsOf(error);
  assert(requestBytesSent > 1000 && requestBytesSent < 1 << 25, String(requestBytesSent));
  assertEquals(rest, {
    phase: "send",
    responseBytesReceived: 0,
    connectionReused: false,
    retrySafe: "idempotent-only",
  });
});

Deno.test("request() throws with facts when the server resets after an interim response", async () => {
  const seen = Promise.withResolvers<void>();
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 102 Processing\r\n\r\n");
    await seen.promise;
    peer.reset();
  }, { resettable: true });
  using conn = new HTTPConnection("127.0.0.1", server.port, {
    onInformational: () => seen.resolve(),
  });
  const error = await assertRejects(() => conn.request("POST", "/", new Uint8Array(1 << 25)));
  assertEquals(factsOf(error).phase, "send");
});

/** Writes that fail; what they were given has arrived nevertheless. */
class Treacherous extends FakeTransport {
  readonly reason = new Deno.errors.NotConnected("mine");
  override async write(p: Uint8Array): Promise<number> {
    await super.write(p);
    throw this.reason;
  }
}

Deno.test("request() says that a request whose write failed may have arrived", async () => {
  const transport = new Treacherous();
  using conn = new HTTPConnection("example.com", over(transport));
  const error = await assertRejects(() => conn.request("POST", "/", "body"));
  assertStrictEquals(error, transport.reason);
  assertUntouched(error);
  const { phase, retrySafe } = conn.lastFailure!;
  assertEquals({ phase, retrySafe }, { phase: "send", retrySafe: "idempotent-only" });
});

Deno.test("request() says that a request whose write was aborted may have arrived", async () => {
  class Endless extends FakeTransport {
    override write(p: Uint8Array): Promise<number> {
      super.write(p);
      return never();
    }
  }
  using conn = new HTTPConnection("example.com", over(new Endless()));
  const controller = new AbortController();
  const sent = conn.request("POST", "/", "body", {}, { signal: controller.signal });
  const rejected = assertRejects(() => sent, DOMException);
  await turns();
  controller.abort();
  assertUntouched(await rejected);
  assertEquals(conn.lastFailure?.retrySafe, "idempotent-only");
});

Deno.test("send() throws the transport's error, and leaves it as it is", async () => {
  let broken = false;
  const reason = new Deno.errors.BrokenPipe("mine");
  class Breaking extends FakeTransport {
    override write(p: Uint8Array): Promise<number> {
      return broken ? Promise.reject(reason) : super.write(p);
    }
  }
  using conn = new HTTPConnection("example.com", over(new Breaking()));
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", 4);
  await conn.endheaders();
  broken = true;
  assertStrictEquals(await assertRejects(() => conn.send("body")), reason);
  assertUntouched(reason);
  const { phase, requestBytesSent, retrySafe } = conn.lastFailure!;
  assertEquals({ phase, retrySafe }, { phase: "send", retrySafe: "idempotent-only" });
  assert(requestBytesSent > 0);
});

Deno.test("read() throws the transport's error, and leaves it as it is", async () => {
  const reason = new RangeError("mine");
  class Breaking extends FakeTransport {
    override read(p: Uint8Array): Promise<number | null> {
      return this.writes.length > 0 && this.#reads++ > 0 ? Promise.reject(reason) : super.read(p);
    }
    #reads = 0;
  }
  using conn = new HTTPConnection("example.com", over(new Breaking([ok("hello").slice(0, -1)])));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertStrictEquals(await assertRejects(() => response.read()), reason);
  assertUntouched(reason);
  const { phase, retrySafe } = conn.lastFailure!;
  assertEquals({ phase, retrySafe }, { phase: "body", retrySafe: "no" });
});

Deno.test("read() throws ConnectionReset with facts when the server resets", async () => {
  const got = Promise.withResolvers<void>();
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    await got.promise;
    peer.reset();
  }, { resettable: true });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  assertEquals((await response.read(5)).length, 5);
  got.resolve();
  const error = await assertRejects(() => response.read(), Deno.errors.ConnectionReset);
  assertEquals(factsOf(error).phase, "body");
  assertEquals(factsOf(error).retrySafe, "no");
});

Deno.test("request() throws a frozen error as it is", async () => {
  const reason = Object.freeze(new RangeError("mine"));
  using conn = new HTTPConnection("example.com", { transport: () => Promise.reject(reason) });
  assertStrictEquals(await assertRejects(() => getText(conn)), reason);
});

Deno.test("request() throws a reason that is not an Error as it is", async () => {
  using conn = new HTTPConnection("example.com", { transport: () => Promise.reject("mine") });
  assertEquals(await thrown(getText(conn)), "mine");
});

Deno.test("Response.text() throws IncompleteRead with facts when it reads a response", async () => {
  const transport = new FakeTransport([ok("hello").slice(0, -1)], { ended: true });
  using conn = new HTTPConnection("example.com", over(transport));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const error = await assertRejects(() => new Response(response).text());
  assertInstanceOf(error, IncompleteRead);
  assertEquals(factsOf(error).phase, "body");
});

Deno.test("request() throws a TypeError without facts when an argument is bad", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  const error = await assertRejects(() => conn.request("GE T", "/"), TypeError);
  assertEquals((error as ExchangeDetails).phase, undefined);
});

Deno.test("lastFailure tells of the last exchange when a source throws the same error again", async () => {
  const reason = new RangeError("mine");
  const body = () => ({
    [Symbol.iterator](): Iterator<string> {
      throw reason;
    },
  });
  const first = answering(ok());
  const second = answering(ok());
  using conn = new HTTPConnection("example.com", over(first, second));
  await getText(conn);
  await assertRejects(() => conn.request("POST", "/", body()), RangeError);
  assertEquals(conn.lastFailure?.connectionReused, true);
  await assertRejects(() => conn.request("POST", "/", body()), RangeError);
  assertEquals(conn.lastFailure?.connectionReused, false);
  assertUntouched(reason);
});

// The facts of the exchange that failed last

/** The facts of a failure while the head of the first exchange is waited for. */
function inHead(requestBytesSent: number): Facts {
  return {
    phase: "head",
    requestBytesSent,
    responseBytesReceived: 0,
    connectionReused: false,
    retrySafe: "idempotent-only",
  };
}

Deno.test("lastFailure is null before a failure, and kept until the next one", async () => {
  const ended = new FakeTransport([], { ended: true });
  using conn = new HTTPConnection(
    "example.com",
    over(
      answering(ok(), ok("two", "Connection: close\r\n")),
      ended,
      answering(ok(), "NONSENSE\r\n"),
    ),
  );
  assertEquals(conn.lastFailure, null);
  await getText(conn);
  assertEquals(conn.lastFailure, null);
  await getText(conn);
  const error = await assertRejects(() => getText(conn), RemoteDisconnected);
  const first = conn.lastFailure;
  assertEquals(first, inHead(REQUEST.length));
  assertEquals(factsOf(error), first);
  await getText(conn);
  assertEquals(conn.lastFailure, first);
  await assertRejects(() => getText(conn), BadStatusLine);
  assertEquals(conn.lastFailure, {
    phase: "head",
    requestBytesSent: REQUEST.length,
    responseBytesReceived: 10,
    connectionReused: true,
    retrySafe: "no",
  });
});

/** Calls that are refused, so that nothing has failed. */
const REFUSED: [name: string, call: (conn: HTTPConnection) => unknown][] = [
  ["getresponse() is called too early", (conn) => conn.getresponse()],
  ["putheader() is called too early", (conn) => conn.putheader("A", "b")],
  ["request() has a bad method", (conn) => conn.request("GE T", "/")],
  ["request() has a bad length", (conn) => {
    return conn.request("POST", "/", "abc", { "Content-Length": "2" });
  }],
  [
    "request() has two Host",
    (conn) => conn.request("GET", "/", null, [["Host", "a"], ["Host", "b"]]),
  ],
  ["request()'s signal is aborted already", (conn) => {
    return conn.request("GET", "/", null, {}, { signal: AbortSignal.abort() });
  }],
  ["auto_open is off", (conn) => {
    conn.auto_open = 0;
    return conn.request("GET", "/");
  }],
  ["detach() has nothing to hand over", (conn) => conn.detach()],
];

for (const [name, call] of REFUSED) {
  Deno.test(`lastFailure stays null when ${name}`, async () => {
    using conn = new HTTPConnection("example.com", over(answering(ok())));
    await assertRejects(async () => void await call(conn));
    assertEquals(conn.lastFailure, null);
    conn.auto_open = 1;
    assertEquals(await getText(conn), "ok");
  });
}

Deno.test("lastFailure stays null when a request is closed by close()", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport()));
  await conn.request("GET", "/");
  const call = assertRejects(() => conn.getresponse(), Deno.errors.Interrupted);
  conn.close();
  assertEquals(factsOf(await call), inHead(REQUEST.length));
  assertEquals(conn.lastFailure, null);
});

/** What code of the user's may be that throws, and how it comes to throw it. */
const THROWERS: [name: string, run: (reason: unknown) => Promise<HTTPConnection>][] = [
  ["transport()", async (reason) => {
    const conn = new HTTPConnection("example.com", { transport: () => Promise.reject(reason) });
    await thrown(getText(conn));
    return conn;
  }],
  ["a transport's write()", async (reason) => {
    const transport = new FakeTransport();
    transport.write = () => Promise.reject(reason);
    const conn = new HTTPConnection("example.com", over(transport));
    await thrown(getText(conn));
    return conn;
  }],
  ["a transport's read()", async (reason) => {
    const transport = new FakeTransport();
    transport.read = () => Promise.reject(reason);
    const conn = new HTTPConnection("example.com", over(transport));
    await thrown(getText(conn));
    return conn;
  }],
  ["a body's source", async (reason) => {
    const conn = new HTTPConnection("example.com", over(new FakeTransport()));
    const source = new ReadableStream<string>({ pull: (controller) => controller.error(reason) });
    await thrown(conn.request("POST", "/", source));
    return conn;
  }],
  ["trailers", async (reason) => {
    const conn = new HTTPConnection("example.com", over(new FakeTransport()));
    const trailers = () => Promise.reject(reason);
    await thrown(conn.request("POST", "/", ["a"], {}, { trailers }));
    return conn;
  }],
  ["trace", async (reason) => {
    const trace = () => {
      throw reason;
    };
    const conn = new HTTPConnection("example.com", { ...over(new FakeTransport()), trace });
    await thrown(getText(conn));
    return conn;
  }],
  ["onInformational", async (reason) => {
    const conn = new HTTPConnection("example.com", {
      ...over(new FakeTransport(["HTTP/1.1 103 Early Hints\r\n\r\n"])),
      onInformational() {
        throw reason;
      },
    });
    await thrown(getText(conn));
    return conn;
  }],
  ["a subclass's connect()", async (reason) => {
    class Own extends HTTPConnection {
      override connect(): Promise<void> {
        return Promise.reject(reason);
      }
    }
    const conn = new Own("example.com");
    await thrown(getText(conn));
    return conn;
  }],
];

for (const [name, run] of THROWERS) {
  Deno.test(`lastFailure has the facts when ${name} throws, and what it throws has none`, async () => {
    // The same object for two exchanges, and one that looks like an error of this library.
    for (const reason of [new RangeError("mine"), new RemoteDisconnected("mine"), { mine: true }]) {
      for (let i = 0; i < 2; i++) {
        using conn = await run(reason);
        assertUntouched(reason);
        assert(conn.lastFailure !== null);
      }
    }
  });
}
