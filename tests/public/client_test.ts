/**
 * Connections: how they are made, reused, replaced and tunnelled. Over loopback, or in memory where
 * only the bytes matter.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  BadStatusLine,
  type HeaderFields,
  HTTP_PORT,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPMessage,
  HTTPResponse,
  HTTPS_PORT,
  HTTPSConnection,
  ImproperConnectionState,
  InvalidURL,
  ProtocolError,
  RemoteDisconnected,
  TunnelError,
} from "../../mod.ts";
import { getText, postText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { hasIPv6 } from "../helpers/sockets.ts";
import { freePorts } from "../servers/child.ts";
import { type Peer, type RawServer, startRaw } from "../servers/raw.ts";

/** Answers requests as long as they come; `answer` gets the number of the request, from 0. */
function serve(answer: (count: number) => string = () => ok()): (peer: Peer) => Promise<void> {
  let count = 0;
  return async (peer) => {
    for (;;) {
      await peer.readRequest();
      await peer.send(answer(count++));
    }
  };
}

/** Sends a request and reads its response as text. */
async function exchange(conn: HTTPConnection, method: string, body?: string): Promise<string> {
  await conn.request(method, "/", body);
  return await (await conn.getresponse()).text();
}

function connect(server: RawServer, options?: HTTPConnectionOptions): HTTPConnection {
  return new HTTPConnection(server.hostname, server.port, options);
}

// Made, but not connected

const HOSTS: [args: [string, (number | null)?], host: string, port: number][] = [
  [["example.com"], "example.com", 80],
  [["example.com:8080"], "example.com", 8080],
  [["example.com:"], "example.com", 80],
  [["example.com", 8080], "example.com", 8080],
  [["example.com", null], "example.com", 80],
  [["[::1]"], "::1", 80],
  [["[::1]:81"], "::1", 81],
  [["::1", 81], "::1", 81],
];

for (const [args, host, port] of HOSTS) {
  Deno.test(`HTTPConnection(${JSON.stringify(args).slice(1, -1)}) is for ${host} and ${port}`, () => {
    const conn = new HTTPConnection(...args);
    assertEquals([conn.host, conn.port], [host, port]);
  });
}

for (const host of ["example.com:http", "[::1]:x", "a b", "a\r\nb"]) {
  Deno.test(`HTTPConnection(${JSON.stringify(host)}) throws an InvalidURL`, () => {
    assertThrows(() => new HTTPConnection(host), InvalidURL);
  });
}

Deno.test("HTTPSConnection() takes port 443 by default", () => {
  assertEquals(new HTTPSConnection("example.com").port, HTTPS_PORT);
});

Deno.test("HTTPConnection() takes options in the place of the port", () => {
  const conn = new HTTPConnection("example.com:81", { timeout: 5 });
  assertEquals([conn.port, conn.timeout], [81, 5]);
});

for (const port of [null, undefined]) {
  Deno.test(`HTTPConnection() takes options after a port that is ${port}`, () => {
    const conn = new HTTPConnection("example.com:81", port, { timeout: 5 });
    assertEquals([conn.port, conn.timeout], [81, 5]);
  });
}

Deno.test("HTTPSConnection() takes options in the place of the port", () => {
  const conn = new HTTPSConnection("example.com", { timeout: 5 });
  assertEquals([conn.port, conn.timeout], [443, 5]);
});

Deno.test("HTTPConnection() has Python's defaults", () => {
  const conn = new HTTPConnection("example.com");
  assertEquals(
    [conn.timeout, conn.source_address, conn.blocksize, conn.debuglevel, conn.sock],
    [null, null, 8192, 0, null],
  );
  assertEquals([conn.default_port, Boolean(conn.auto_open)], [HTTP_PORT, true]);
  assertEquals(conn.response_class === HTTPResponse, true);
});

Deno.test("HTTPConnection() has the values of its options", () => {
  const conn = new HTTPConnection("example.com", 80, {
    timeout: 1.5,
    source_address: ["127.0.0.5", 0],
    blocksize: 16,
  });
  assertEquals([conn.timeout, conn.source_address, conn.blocksize], [1.5, ["127.0.0.5", 0], 16]);
});

const BAD_OPTIONS: [title: string, options: unknown][] = [
  ["timeout 0", { timeout: 0 }],
  ["a negative timeout", { timeout: -1 }],
  ["a timeout that is no number", { timeout: "5" }],
  ["timeout NaN", { timeout: NaN }],
  ["blocksize 0", { blocksize: 0 }],
  ["a blocksize that is no number", { blocksize: "8192" }],
  ["max_response_headers 0", { max_response_headers: 0 }],
  ["a deadline of 0", { deadlines: { connect: 0 } }],
  ["a context for plain HTTP", { context: {} }],
  ["transport and socketPath", { transport: () => {}, socketPath: "/socket" }],
  ["transport and source_address", { transport: () => {}, source_address: ["127.0.0.5", 0] }],
];

for (const [title, options] of BAD_OPTIONS) {
  Deno.test(`HTTPConnection() throws a TypeError when given ${title}`, () => {
    assertThrows(() => new HTTPConnection("a", options as HTTPConnectionOptions), TypeError);
  });
}

Deno.test("HTTPConnection() and putrequest() connect to nothing", async () => {
  await using server = await startRaw(serve());
  using conn = connect(server);
  conn.putrequest("GET", "/");
  assertEquals([conn.sock, server.accepted], [null, 0]);
});

// Connected

Deno.test("request() connects", async () => {
  await using server = await startRaw(serve());
  using conn = connect(server);
  assertEquals(await getText(conn), "ok");
  assertEquals(server.accepted, 1);
});

Deno.test("connect() connects, and request() uses that", async () => {
  await using server = await startRaw(serve());
  using conn = connect(server);
  await conn.connect();
  await server.peer(0);
  assert(conn.sock !== null);
  assertEquals(await getText(conn), "ok");
  assertEquals(server.accepted, 1);
});

Deno.test("connect() closes the old connection when it is called again", async () => {
  await using server = await startRaw(serve());
  using conn = connect(server);
  await conn.connect();
  const old = await server.peer(0);
  await conn.connect();
  assertEquals((await old.eof()).length, 0);
  assertEquals(await getText(conn), "ok");
  assertEquals(server.accepted, 2);
});

Deno.test("connect() leaves an unread response what it needs", async () => {
  await using server = await startRaw(serve((count) => ok(`body ${count}`)));
  using conn = connect(server);
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await conn.connect();
  assertEquals(await response.text(), "body 0");
  assertEquals(await getText(conn), "body 1");
  assertEquals(server.accepted, 2);
});

const KEPT: [title: string, method: string, answer: string][] = [
  ["a length", "GET", ok("body")],
  ["a length of 0", "GET", ok("")],
  ["chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"],
  ["trailers", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n"],
  ["status 204", "GET", "HTTP/1.1 204 No Content\r\n\r\n"],
  ["status 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"],
  ["a HEAD request", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"],
  [
    "HTTP/1.0 and keep-alive",
    "GET",
    [
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    ].join(""),
  ],
  ["status 404", "GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"],
  ["status 100 before", "GET", `HTTP/1.1 100 Continue\r\n\r\n${ok()}`],
];

for (const [title, method, answer] of KEPT) {
  Deno.test(`request() uses the connection again after a response with ${title}`, async () => {
    await using server = await startRaw(serve(() => answer));
    using conn = connect(server);
    for (let i = 0; i < 3; i++) await exchange(conn, method);
    assertEquals([server.accepted, server.requests.length], [1, 3]);
  });
}

const CLOSED: [title: string, answer: string][] = [
  ["Connection: close", ok("body", "Connection: close\r\n")],
  ["no length", "HTTP/1.1 200 OK\r\n\r\nbody"],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody"],
  ["HTTP/1.0 and no length", "HTTP/1.0 200 OK\r\n\r\nbody"],
];

for (const [title, answer] of CLOSED) {
  Deno.test(`request() makes a new connection after a response with ${title}`, async () => {
    await using server = await startRaw(async (peer) => {
      await peer.readRequest();
      await peer.send(answer);
    });
    using conn = connect(server);
    assertEquals([await getText(conn), await getText(conn)], ["body", "body"]);
    assertEquals(server.accepted, 2);
  });
}

// Connections that end while they are idle

/** Answers one request on each connection, then does something to it. */
function onceThen(end: (peer: Peer) => Promise<void> | void): (peer: Peer) => Promise<void> {
  return async (peer) => {
    await peer.readRequest();
    await peer.send(ok(`connection ${peer.index}`));
    if (peer.index === 0) await end(peer);
    else await peer.eof();
  };
}

for (const method of ["GET", "POST"]) {
  Deno.test(`request() sends a ${method} once, on a new connection, after the server closed`, async () => {
    await using server = await startRaw(onceThen(() => {}));
    using conn = connect(server);
    assertEquals(await exchange(conn, method, "body"), "connection 0");
    await server.idle();
    assertEquals(await exchange(conn, method, "body"), "connection 1");
    assertEquals([server.accepted, server.requests.length], [2, 2]);
  });
}

Deno.test("request() sends a POST once, on a new connection, after the server reset", async () => {
  await using server = await startRaw(onceThen((peer) => peer.reset()), { resettable: true });
  using conn = connect(server);
  assertEquals(await postText(conn, "body"), "connection 0");
  await server.idle();
  assertEquals(await postText(conn, "body"), "connection 1");
  assertEquals([server.accepted, server.requests.length], [2, 2]);
});

Deno.test("request() does not take what a server says unasked for its answer", async () => {
  await using server = await startRaw(
    onceThen((peer) => peer.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")),
  );
  using conn = connect(server);
  assertEquals(await getText(conn), "connection 0");
  await server.idle();
  assertEquals(await getText(conn), "connection 1");
});

Deno.test("request() does not take what came unasked in memory for its answer", async () => {
  const old = answering(ok("one"));
  using conn = new HTTPConnection(
    "example.com",
    over(old, answering(ok("two"))),
  );
  assertEquals(await getText(conn), "one");
  old.arrive(ok("evil"));
  assertEquals(await getText(conn), "two");
  assertEquals([old.closed, old.writes.length], [true, 1]);
});

Deno.test("request() does not take what stands behind a response for its answer", async () => {
  const old = answering(ok("one") + ok("evil"));
  using conn = new HTTPConnection(
    "example.com",
    over(old, answering(ok("two"))),
  );
  assertEquals(await getText(conn), "one");
  assertEquals(await getText(conn), "two");
});

Deno.test("request() sends a POST once when a reused connection dies under it", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(ok());
    await peer.readRequest();
  });
  using conn = connect(server);
  await getText(conn);
  await conn.request("POST", "/", "body");
  const error = await assertRejects(() => conn.getresponse(), RemoteDisconnected);
  assertEquals([error.connectionReused, error.phase, error.responseBytesReceived], [
    true,
    "head",
    0,
  ]);
  assertEquals([server.accepted, server.requests.length], [1, 2]);
});

Deno.test("request() can be called again after its connection died", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    if (peer.index > 0) await peer.send(ok("second"));
  });
  using conn = connect(server);
  await assertRejects(() => getText(conn), RemoteDisconnected);
  assertEquals(await getText(conn), "second");
});

Deno.test("getresponse() throws a Deno.errors.ConnectionReset when it throws RemoteDisconnected", async () => {
  await using server = await startRaw(async (peer) => void await peer.readRequest());
  using conn = connect(server);
  await conn.request("GET", "/");
  await assertRejects(() => conn.getresponse(), Deno.errors.ConnectionReset);
});

// How many writes

Deno.test("request() sends a POST in one piece on a fresh and on a reused connection", async () => {
  const sizes: number[][] = [];
  await using server = await startRaw(async (peer) => {
    for (;;) {
      const before = peer.reads.length;
      await peer.readRequest();
      sizes.push(peer.reads.slice(before));
      await peer.send(ok());
    }
  });
  using conn = connect(server);
  for (let i = 0; i < 3; i++) await postText(conn, "a small body");
  assertEquals(sizes.map((reads) => reads.length), [1, 1, 1]);
});

// Where it connects from and to

Deno.test("source_address is what the server sees", async () => {
  await using server = await startRaw(serve());
  using conn = connect(server, { source_address: ["127.0.0.5", 0] });
  assertEquals(await getText(conn), "ok");
  assertEquals(server.peers[0].remote?.hostname, "127.0.0.5");
});

Deno.test("source_address is what the server sees, port included", async () => {
  const [port] = freePorts(1, "127.0.0.5");
  await using server = await startRaw(serve());
  using conn = connect(server, { source_address: ["127.0.0.5", port] });
  assertEquals(await getText(conn), "ok");
  const { hostname, port: seen } = server.peers[0].remote!;
  assertEquals([hostname, seen], ["127.0.0.5", port]);
});

Deno.test("source_address takes effect with the next connection when it is set", async () => {
  await using server = await startRaw(serve());
  using conn = connect(server);
  conn.source_address = ["127.0.0.6", 0];
  await getText(conn);
  assertEquals(server.peers[0].remote?.hostname, "127.0.0.6");
});

Deno.test("request() reuses and replaces a connection with source_address as any other", async () => {
  await using server = await startRaw(async (peer) => {
    for (let i = 0; i < 2; i++) {
      await peer.readRequest();
      await peer.send(ok(`connection ${peer.index}`));
    }
  });
  using conn = connect(server, { source_address: ["127.0.0.5", 0] });
  const texts = [await getText(conn), await getText(conn)];
  await server.idle();
  texts.push(await postText(conn, "body"));
  assertEquals(texts, ["connection 0", "connection 0", "connection 1"]);
  assertEquals(server.requests.length, 3);
});

Deno.test("request() sends head and body in one piece when there is a source_address", async () => {
  await using server = await startRaw(serve());
  using conn = connect(server, { source_address: ["127.0.0.5", 0] });
  await postText(conn, "a small body");
  assertEquals(server.peers[0].reads.length, 1);
});

Deno.test("request() throws when the source_address is not this machine's", async () => {
  await using server = await startRaw(serve());
  using conn = connect(server, { source_address: ["203.0.113.1", 0] });
  await assertRejects(() => conn.request("GET", "/"), Error);
  assertEquals(server.accepted, 0);
  conn.source_address = null;
  assertEquals(await getText(conn), "ok");
});

for (const source of [null, ["127.0.0.5", 0]] as ([string, number] | null)[]) {
  Deno.test(`request() throws ConnectionRefused when nobody listens, source_address ${source}`, async () => {
    const [port] = freePorts(1);
    using conn = new HTTPConnection("127.0.0.1", port, { source_address: source });
    await assertRejects(() => conn.request("GET", "/"), Deno.errors.ConnectionRefused);
    await using server = await startRaw(serve());
    conn.port = server.port;
    assertEquals(await getText(conn), "ok");
  });
}

Deno.test({
  name: "HTTPConnection() takes an IPv6 address, which has brackets in Host",
  ignore: !hasIPv6,
  fn: async () => {
    await using server = await startRaw(serve(), { hostname: "::1" });
    using conn = new HTTPConnection(`[::1]:${server.port}`);
    assertEquals(await getText(conn), "ok");
    assertStringIncludes(server.requests[0], `\r\nHost: [::1]:${server.port}\r\n`);
  },
});

Deno.test({
  name: "source_address takes an IPv6 address",
  ignore: !hasIPv6,
  fn: async () => {
    await using server = await startRaw(serve(), { hostname: "::1" });
    using conn = new HTTPConnection("::1", server.port, { source_address: ["::1", 0] });
    assertEquals(await getText(conn), "ok");
    assertEquals(server.peers[0].remote?.hostname, "::1");
  },
});

Deno.test("request() looks a host name up", async () => {
  await using server = await startRaw(serve());
  using conn = new HTTPConnection("localhost", server.port);
  assertEquals(await getText(conn), "ok");
  assertStringIncludes(server.requests[0], `\r\nHost: localhost:${server.port}\r\n`);
});

Deno.test("request() looks a host name outside of US-ASCII up in its ASCII form, as CPython does", async () => {
  await using server = await startRaw(serve());
  // A fullwidth letter: UTS 46 maps it to `l`.
  using conn = new HTTPConnection("\uff4cocalhost", server.port);
  assertEquals(await getText(conn), "ok");
  assertStringIncludes(server.requests[0], `\r\nHost: localhost:${server.port}\r\n`);
});

Deno.test("socketPath reaches a unix socket, and Host is the host", async () => {
  await using server = await startRaw(serve(), { unix: true });
  using conn = new HTTPConnection("docker", { socketPath: server.path });
  assertEquals(await getText(conn), "ok");
  assertStringIncludes(server.requests[0], "\r\nHost: docker\r\n");
});

Deno.test("port takes effect with the next connection when it is set", async () => {
  await using one = await startRaw(serve(() => ok("one")));
  await using two = await startRaw(serve(() => ok("two")));
  using conn = connect(one);
  assertEquals(await getText(conn), "one");
  conn.close();
  conn.port = two.port;
  assertEquals(await getText(conn), "two");
  assertStringIncludes(two.requests[0], `\r\nHost: 127.0.0.1:${two.port}\r\n`);
});

Deno.test("HTTPConnection does not share anything with another one", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(ok(`connection ${peer.index}`));
    await peer.eof();
  });
  using one = connect(server);
  using two = connect(server);
  await one.request("GET", "/");
  await server.peer(0);
  await two.request("GET", "/");
  assertEquals(await (await two.getresponse()).text(), "connection 1");
  assertEquals(await (await one.getresponse()).text(), "connection 0");
});

// sock and response_class

Deno.test("sock is what the connection talks over", async () => {
  await using server = await startRaw(serve());
  using conn = connect(server);
  await conn.connect();
  await conn.sock!.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  const buffer = new Uint8Array(100);
  const count = await conn.sock!.read(buffer);
  assertStringIncludes(new TextDecoder().decode(buffer.subarray(0, count!)), "200 OK");
});

Deno.test("sock can be set to talk over something else", async () => {
  const transport = answering(ok("mine"));
  using conn = new HTTPConnection("example.com");
  conn.sock = transport;
  assertEquals(conn.sock, transport);
  assertEquals(await getText(conn), "mine");
  conn.close();
  assertEquals([transport.closes, conn.sock], [1, null]);
});

Deno.test("response_class makes the responses of a class, or of one connection", async () => {
  class Own extends HTTPResponse {}
  class OwnConnection extends HTTPConnection {
    static {
      this.prototype.response_class = Own;
    }
  }
  using one = new OwnConnection("example.com", over(new FakeTransport([ok()])));
  using two = new HTTPConnection("example.com", over(new FakeTransport([ok()])));
  two.response_class = Own;
  for (const conn of [one, two]) {
    await conn.request("GET", "/");
    assertInstanceOf(await conn.getresponse(), Own);
  }
  assertEquals(new HTTPConnection("example.com").response_class === HTTPResponse, true);
});

Deno.test("response_class is given the method, the URL and the debug level", async () => {
  const seen: unknown[] = [];
  using conn = new HTTPConnection("example.com", over(new FakeTransport([ok()])));
  conn.response_class = class extends HTTPResponse {
    constructor(...args: ConstructorParameters<typeof HTTPResponse>) {
      super(...args);
      seen.push(args[1]?.method, args[1]?.url, args[1]?.debuglevel);
    }
  };
  await conn.request("OPTIONS", "/path");
  await conn.getresponse();
  assertEquals(seen, ["OPTIONS", "http://example.com/path", 0]);
});

// Tunnels

const ESTABLISHED = "HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n";

interface TunnelCase {
  args: [host: string, port?: number | null, headers?: HeaderFields | null];
  connect: string;
  host: string;
}

const TUNNELS: TunnelCase[] = [
  {
    args: ["origin"],
    connect: "CONNECT origin:80 HTTP/1.1\r\nHost: origin:80\r\n",
    host: "origin",
  },
  {
    args: ["origin", 8080],
    connect: "CONNECT origin:8080 HTTP/1.1\r\nHost: origin:8080\r\n",
    host: "origin:8080",
  },
  {
    args: ["origin:81", null],
    connect: "CONNECT origin:81 HTTP/1.1\r\nHost: origin:81\r\n",
    host: "origin:81",
  },
  {
    args: ["origin:"],
    connect: "CONNECT origin:80 HTTP/1.1\r\nHost: origin:80\r\n",
    host: "origin",
  },
  // CPython 3.13.0 leaves the brackets out of this Host.
  {
    args: ["::1", 81],
    connect: "CONNECT [::1]:81 HTTP/1.1\r\nHost: [::1]:81\r\n",
    host: "[::1]:81",
  },
  {
    args: ["[::1]:81"],
    connect: "CONNECT [::1]:81 HTTP/1.1\r\nHost: [::1]:81\r\n",
    host: "[::1]:81",
  },
  { args: ["[::1]"], connect: "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n", host: "[::1]" },
  {
    args: ["B\xfccher.example", 81],
    connect: "CONNECT xn--bcher-kva.example:81 HTTP/1.1\r\nHost: xn--bcher-kva.example:81\r\n",
    host: "xn--bcher-kva.example:81",
  },
  {
    args: ["origin", 443, { "Proxy-Authorization": "Basic x", a: 5 }],
    connect: "CONNECT origin:443 HTTP/1.1\r\nProxy-Authorization: Basic x\r\na: 5\r\n" +
      "Host: origin:443\r\n",
    host: "origin:443",
  },
  {
    args: ["origin", 443, new Map([["HOST", "other"]])],
    connect: "CONNECT origin:443 HTTP/1.1\r\nHOST: other\r\n",
    host: "origin:443",
  },
  {
    args: ["origin", 443, null],
    connect: "CONNECT origin:443 HTTP/1.1\r\nHost: origin:443\r\n",
    host: "origin:443",
  },
];

for (const { args, connect, host } of TUNNELS) {
  const [name, port, headers] = args;
  const shown = JSON.stringify([name, port, headers && [...new Headers(headers as HeadersInit)]]);
  Deno.test(`set_tunnel(${shown.slice(1, -1)}) asks the proxy as CPython does`, async () => {
    const transport = answering(ESTABLISHED, ok("origin"));
    using conn = new HTTPConnection("proxy", 3128, over(transport));
    conn.set_tunnel(...args);
    assertEquals(await getText(conn), "origin");
    assertEquals(transport.writes, [
      `${connect}\r\n`,
      `GET / HTTP/1.1\r\nHost: ${host}\r\nAccept-Encoding: identity\r\n\r\n`,
    ]);
  });
}

Deno.test("set_tunnel() sends all requests to the proxy", async () => {
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ESTABLISHED);
    await serve(() => ok("origin"))(peer);
  });
  using conn = connect(proxy);
  conn.set_tunnel("origin.example", 80);
  assertEquals([await getText(conn), await getText(conn)], ["origin", "origin"]);
  assertEquals(proxy.accepted, 1);
  assertEquals(proxy.requests.map((head) => head.split(" ")[0]), ["CONNECT", "GET", "GET"]);
});

Deno.test("set_tunnel() asks for the tunnel again on each new connection", async () => {
  const transports = [1, 2].map(() => answering(ESTABLISHED, ok()));
  using conn = new HTTPConnection("proxy", over(...transports));
  conn.set_tunnel("origin");
  await getText(conn);
  conn.close();
  await getText(conn);
  assertEquals(transports.map(({ writes }) => writes[0].split(" ")[0]), ["CONNECT", "CONNECT"]);
});

Deno.test("connect() opens the tunnel", async () => {
  const transport = answering(ESTABLISHED);
  using conn = new HTTPConnection("proxy", over(transport));
  conn.set_tunnel("origin");
  await conn.connect();
  assertEquals(transport.writes.length, 1);
});

Deno.test("source_address is where the connection to the proxy comes from", async () => {
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ESTABLISHED);
    await serve()(peer);
  });
  using conn = connect(proxy, { source_address: ["127.0.0.5", 0] });
  conn.set_tunnel("origin.example", 80);
  assertEquals(await getText(conn), "ok");
  assertEquals(proxy.peers[0].remote?.hostname, "127.0.0.5");
});

Deno.test("get_proxy_response_headers() gives null before the proxy has answered", () => {
  const conn = new HTTPConnection("proxy");
  conn.set_tunnel("origin");
  assertEquals(conn.get_proxy_response_headers(), null);
});

Deno.test("get_proxy_response_headers() gives null when there is no tunnel", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([ok()])));
  await getText(conn);
  assertEquals(conn.get_proxy_response_headers(), null);
});

Deno.test("get_proxy_response_headers() gives the fields of the proxy's answer", async () => {
  using conn = new HTTPConnection("proxy", over(new FakeTransport([ESTABLISHED, ok()])));
  conn.set_tunnel("origin");
  await conn.connect();
  const headers = conn.get_proxy_response_headers();
  assertInstanceOf(headers, HTTPMessage);
  assertEquals(headers.items(), [["Via", "proxy"]]);
});

const REFUSAL = "HTTP/1.1 407 Auth Required\r\nProxy-Authenticate: Basic\r\nX: a\r\nX: b\r\n" +
  "Content-Length: 4\r\n\r\nbody";

Deno.test("request() throws a TunnelError with status, reason and fields when the proxy refuses", async () => {
  const transport = new FakeTransport([REFUSAL]);
  using conn = new HTTPConnection("proxy", over(transport));
  conn.set_tunnel("origin");
  const error = await assertRejects(() => conn.request("GET", "/"), TunnelError);
  assertEquals([error.status, error.reason], [407, "Auth Required"]);
  assertEquals(error.headers.get("proxy-authenticate"), "Basic");
  assertEquals(error.headers.get_all("x"), ["a", "b"]);
  assertStringIncludes(error.message, "407 Auth Required");
  assertEquals(transport.writes.length, 1);
});

Deno.test("connect() closes the connection when the proxy refuses", async () => {
  const transport = new FakeTransport([REFUSAL]);
  using conn = new HTTPConnection("proxy", over(transport));
  conn.set_tunnel("origin");
  await assertRejects(() => conn.connect(), TunnelError);
  assertEquals([transport.closes, conn.sock], [1, null]);
});

Deno.test("get_proxy_response_headers() gives the fields of a refusal", async () => {
  using conn = new HTTPConnection("proxy", over(new FakeTransport([REFUSAL])));
  conn.set_tunnel("origin");
  await assertRejects(() => conn.connect(), TunnelError);
  assertEquals(conn.get_proxy_response_headers()?.get("X"), "a");
});

Deno.test("set_tunnel() can be called again after a refusal", async () => {
  const second = answering(ESTABLISHED, ok("origin"));
  using conn = new HTTPConnection("proxy", over(new FakeTransport([REFUSAL]), second));
  conn.set_tunnel("origin");
  await assertRejects(() => conn.request("GET", "/"), TunnelError);
  conn.set_tunnel("origin", 80, { "Proxy-Authorization": "Basic x" });
  assertEquals(await getText(conn), "origin");
  assertStringIncludes(second.writes[0], "\r\nProxy-Authorization: Basic x\r\n");
});

const TUNNEL_ANSWERS: [title: string, answer: string][] = [
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"],
  ["no fields", "HTTP/1.1 200 OK\r\n\r\n"],
  ["another 2xx", "HTTP/1.1 201 Created\r\n\r\n"],
  ["an interim response before", `HTTP/1.1 100 Continue\r\n\r\n${ESTABLISHED}`],
  ["framing fields, which count for nothing", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
  ["Connection: close, which counts for nothing", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"],
];

for (const [title, answer] of TUNNEL_ANSWERS) {
  Deno.test(`set_tunnel() takes an answer with ${title}`, async () => {
    const transport = answering(answer, ok("one"), ok("two"));
    using conn = new HTTPConnection("proxy", over(transport));
    conn.set_tunnel("origin");
    assertEquals([await getText(conn), await getText(conn)], ["one", "two"]);
  });
}

Deno.test("request() throws RemoteDisconnected when the proxy closes", async () => {
  const transport = new FakeTransport([], { ended: true });
  using conn = new HTTPConnection("proxy", over(transport));
  conn.set_tunnel("origin");
  await assertRejects(() => conn.request("GET", "/"), RemoteDisconnected);
  assertEquals(transport.closes, 1);
});

Deno.test("request() throws BadStatusLine when the proxy does not speak HTTP", async () => {
  const transport = new FakeTransport(["SOCKS?\r\n\r\n"]);
  using conn = new HTTPConnection("proxy", over(transport));
  conn.set_tunnel("origin");
  await assertRejects(() => conn.request("GET", "/"), BadStatusLine);
  assertEquals(transport.closes, 1);
});

Deno.test("request() throws a ProtocolError when the proxy has answered for the origin", async () => {
  const transport = new FakeTransport([ESTABLISHED + ok("evil")]);
  using conn = new HTTPConnection("proxy", over(transport));
  conn.set_tunnel("origin");
  await conn.connect();
  await assertRejects(() => conn.request("GET", "/"), ProtocolError);
  assertEquals([transport.writes.length, transport.closes], [1, 1]);
});

Deno.test("request() throws a ProtocolError when the proxy answers for the origin right away", async () => {
  const transport = new FakeTransport([ESTABLISHED + ok("evil")]);
  using conn = new HTTPConnection("proxy", over(transport));
  conn.set_tunnel("origin");
  await assertRejects(() => conn.request("GET", "/"), ProtocolError);
  assertEquals([transport.writes.length, transport.closes], [1, 1]);
});

Deno.test("set_tunnel() throws ImproperConnectionState when there is a connection", async () => {
  using conn = new HTTPConnection("proxy", over(new FakeTransport([ok()])));
  await conn.connect();
  assertThrows(() => conn.set_tunnel("origin"), ImproperConnectionState);
});

Deno.test("set_tunnel() throws ImproperConnectionState while the connection is made", async () => {
  using conn = new HTTPConnection("proxy", over(new FakeTransport([ok()])));
  const connecting = conn.connect();
  assertThrows(() => conn.set_tunnel("origin"), ImproperConnectionState);
  await connecting;
});

Deno.test("set_tunnel() works after close()", async () => {
  const second = answering(ESTABLISHED, ok("origin"));
  using conn = new HTTPConnection("proxy", over(new FakeTransport([ok()]), second));
  await conn.connect();
  conn.close();
  conn.set_tunnel("origin");
  assertEquals(await getText(conn), "origin");
});

Deno.test("set_tunnel() replaces the last tunnel and its fields", async () => {
  const transport = answering(ESTABLISHED, ok());
  using conn = new HTTPConnection("proxy", over(transport));
  conn.set_tunnel("first", 81, { A: "b" });
  conn.set_tunnel("second", 82);
  await getText(conn);
  assertEquals(transport.writes[0], "CONNECT second:82 HTTP/1.1\r\nHost: second:82\r\n\r\n");
});

for (const host of ["origin:x", "[::1]:http"]) {
  Deno.test(`set_tunnel(${JSON.stringify(host)}) throws an InvalidURL`, () => {
    assertThrows(() => new HTTPConnection("proxy").set_tunnel(host), InvalidURL);
  });
}

Deno.test("request() takes Host from a target in absolute form within a tunnel", async () => {
  const transport = answering(ESTABLISHED, ok());
  using conn = new HTTPConnection("proxy", over(transport));
  conn.set_tunnel("origin");
  await conn.request("GET", "http://absolute/");
  assertStringIncludes(transport.writes[1], "\r\nHost: absolute\r\n");
});

// Many at once

Deno.test("HTTPConnection gets its own answers when there are twenty at once", async () => {
  await using server = await startRaw(async (peer) => {
    const { target } = await peer.readRequest();
    await server.peer(19);
    await peer.send(ok(target));
  });
  const texts = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    using conn = connect(server);
    await conn.request("GET", `/${i}`);
    return await (await conn.getresponse()).text();
  }));
  assertEquals(texts, texts.map((_, i) => `/${i}`));
});
