/**
 * `detach()`: what lies under a connection that switched protocols, with the bytes already read.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  type Detached,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  ImproperConnectionState,
  type Transport,
} from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { tunnelTo } from "../helpers/relay.ts";
import { microtasks, thrown, turns } from "../helpers/waiting.ts";
import { delay } from "../servers/child.ts";
import { bytes, latin1, type Peer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT } from "../tls/mod.ts";

const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n";

/** Switches protocols, and echoes until the client ends its side. */
async function echo(peer: Peer): Promise<void> {
  await peer.readHead();
  await peer.send(SWITCH);
  for (let piece; (piece = await peer.read()) !== null;) await peer.send(piece);
  await peer.send("bye");
}

/** Asks for the echo. */
async function switched(conn: HTTPConnection): Promise<Detached> {
  await conn.request("GET", "/", null, { Connection: "upgrade", Upgrade: "echo" });
  assertEquals((await conn.getresponse()).status, 101);
  return conn.detach();
}

/** All that comes. */
async function drain(readable: ReadableStream<Uint8Array>): Promise<string> {
  return latin1(new Uint8Array(await new Response(readable as BodyInit).arrayBuffer()));
}

/** Sends some text, ends the sending side, and gets everything that comes back. */
async function talk({ readable, writable }: Detached): Promise<string> {
  const writer = writable.getWriter();
  await writer.write(bytes("hello, "));
  await writer.write(bytes("echo. "));
  await writer.close();
  return await drain(readable);
}

// By 101, over each transport

Deno.test("detach() gives both directions and the half-close after 101", async () => {
  await using server = await startRaw(echo);
  using conn = new HTTPConnection("127.0.0.1", server.port);
  assertEquals(await talk(await switched(conn)), "hello, echo. bye");
});

Deno.test("detach() gives both directions after 101 (a source address)", async () => {
  await using server = await startRaw(echo);
  using conn = new HTTPConnection("127.0.0.1", server.port, { source_address: ["127.0.0.1", 0] });
  assertEquals(await talk(await switched(conn)), "hello, echo. bye");
});

Deno.test("detach() gives both directions after 101 (a unix socket)", async () => {
  await using server = await startRaw(echo, { unix: true });
  using conn = new HTTPConnection("localhost", { socketPath: server.path });
  assertEquals(await talk(await switched(conn)), "hello, echo. bye");
});

Deno.test("detach() gives both directions after 101 (own transport)", async () => {
  await using server = await startRaw(echo);
  const { port } = server;
  using conn = new HTTPConnection("example.com", {
    transport: () => Deno.connect({ hostname: "127.0.0.1", port }),
  });
  assertEquals(await talk(await switched(conn)), "hello, echo. bye");
});

/** TLS has no half-close that all peers know: the echo ends at a mark. */
async function echoToMark(peer: Peer): Promise<void> {
  await peer.readHead();
  await peer.send(SWITCH);
  await peer.send(await peer.readUntil("echo. "), "bye");
}

for (
  const [kind, context] of [
    ["Deno's TLS", {}],
    ["a client certificate", CLIENT],
    ["no verification", { verify_mode: "CERT_NONE" as const }],
  ] as const
) {
  Deno.test(`detach() gives both directions after 101 (${kind})`, async () => {
    await using server = await startRawTls(echoToMark);
    using conn = new HTTPSConnection("localhost", server.port, {
      context: { ...context, caCerts: [CA] },
    });
    const { readable, writable } = await switched(conn);
    const writer = writable.getWriter();
    await writer.write(bytes("hello, echo. "));
    assertEquals(await drain(readable), "hello, echo. bye");
    await writer.close();
  });
}

// What was read ahead

Deno.test("buffered has the bytes behind the head, and readable begins with them", async () => {
  const fake = answering(SWITCH + "early ");
  using conn = new HTTPConnection("example.com", over(fake));
  const { buffered, readable } = await switched(conn);
  assertEquals(latin1(buffered), "early ");
  fake.arrive("late");
  fake.end();
  assertEquals(await drain(readable), "early late");
});

Deno.test("buffered is empty when there are no bytes behind the head", async () => {
  using conn = new HTTPConnection(
    "example.com",
    over(answering(SWITCH)),
  );
  const { buffered, transport } = await switched(conn);
  assertEquals(buffered.length, 0);
  transport.close();
});

Deno.test("readable gives more bytes behind the head than fit one buffer", async () => {
  const large = "0123456789".repeat(20_000);
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(SWITCH + large);
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const { readable, writable } = await switched(conn);
  assertEquals((await drain(readable)) === large, true);
  await writable.close();
});

Deno.test("transport reads on behind buffered", async () => {
  const fake = answering(SWITCH + "early ");
  using conn = new HTTPConnection("example.com", over(fake));
  const { transport } = await switched(conn);
  fake.arrive("late");
  const p = new Uint8Array(10);
  const count = await transport.read(p);
  assertEquals(latin1(p.subarray(0, count!)), "late");
  assertEquals(await transport.write(bytes("x")), 1);
  assertEquals(fake.writes.at(-1), "x");
  transport.close();
  assertEquals(fake.closes, 1);
});

Deno.test("buffered does not change when another connection reads", async () => {
  const fake = answering(SWITCH + "mine");
  using conn = new HTTPConnection("example.com", over(fake));
  const { buffered, transport } = await switched(conn);
  using other = new HTTPConnection("example.com", over(new FakeTransport([ok("x".repeat(9000))])));
  await other.request("GET", "/");
  await (await other.getresponse()).read();
  assertEquals(latin1(buffered), "mine");
  transport.close();
});

// Streams

Deno.test("readable gives its bytes to a BYOB reader", async () => {
  const fake = answering(SWITCH + "early ");
  using conn = new HTTPConnection("example.com", over(fake));
  const { readable, writable } = await switched(conn);
  fake.arrive("rest");
  fake.end();
  const reader = readable.getReader({ mode: "byob" });
  let text = "";
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(3));
    if (done) break;
    text += latin1(value);
  }
  assertEquals(text, "early rest");
  reader.releaseLock();
  await writable.close();
});

Deno.test("readable reads nothing until it is asked", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  let reads = 0;
  const { transport } = await switched(conn);
  const read = fake.read.bind(fake);
  fake.read = (p) => {
    reads++;
    return read(p);
  };
  await turns();
  assertEquals(reads, 0);
  transport.close();
});

Deno.test("readable closes the transport when it is cancelled", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  const { readable } = await switched(conn);
  await readable.cancel();
  assertEquals(fake.closes, 1);
});

Deno.test("writable closes the transport when it is aborted", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  const { writable } = await switched(conn);
  await writable.abort();
  assertEquals(fake.closes, 1);
});

Deno.test("detach() closes the transport when both streams are over", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  const { readable, writable } = await switched(conn);
  fake.end();
  assertEquals(await drain(readable), "");
  await writable.close();
  assertEquals(fake.closes, 1);
});

Deno.test("writable ends with closeWrite() when the transport has that", async () => {
  let ended = 0;
  const fake = Object.assign(answering(SWITCH), {
    closeWrite() {
      ended++;
      return Promise.resolve();
    },
  });
  using conn = new HTTPConnection("example.com", over(fake));
  const { readable, writable } = await switched(conn);
  await writable.close();
  assertEquals([ended, fake.closes], [1, 0]);
  fake.arrive("still here");
  fake.end();
  assertEquals(await drain(readable), "still here");
  assertEquals(fake.closes, 1);
});

Deno.test("writable closes a transport without closeWrite() when it ends", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  const { writable } = await switched(conn);
  await writable.close();
  assertEquals(fake.closes, 1);
});

/** What closes the transport under a `readable` that has not come to its end, and what that then throws. */
const CUTS: [name: string, cut: (writable: WritableStream) => Promise<unknown>, message: string][] =
  [
    ["was aborted", (writable) => writable.abort(new Error("mine")), "mine"],
    ["has failed", (writable) => thrown(writable.getWriter().write("no bytes")), ""],
    ["was closed, where there is no closeWrite()", (writable) => writable.close(), "closeWrite"],
  ];

for (const [name, cut, message] of CUTS) {
  for (const [when, isWaiting] of [["reads", true], ["is read later", false]] as const) {
    Deno.test(`readable does not look as if it had ended when writable ${name} while it ${when}`, async () => {
      using conn = new HTTPConnection("example.com", over(answering(SWITCH)));
      const { readable, writable } = await switched(conn);
      const reader = readable.getReader();
      const waiting = isWaiting ? thrown(reader.read()) : null;
      await microtasks(20);
      await cut(writable);
      const error = await (waiting ?? thrown(reader.read()));
      assertStringIncludes((error as Error).message, message);
    });
  }
}

Deno.test("writable sends the rest when the transport takes a part", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  const { writable, transport } = await switched(conn);
  const write = fake.write.bind(fake);
  fake.write = (p) => write(p.subarray(0, 2));
  await writable.getWriter().write(bytes("seven__"));
  assertEquals(fake.writes.slice(1), ["se", "ve", "n_", "_"]);
  transport.close();
});

for (const side of ["readable", "writable"] as const) {
  Deno.test(`${side} closes the transport when it breaks`, async () => {
    const fake = answering(SWITCH);
    using conn = new HTTPConnection("example.com", over(fake));
    const detached = await switched(conn);
    const reason = new Deno.errors.ConnectionReset("mine");
    fake.read = () => Promise.reject(reason);
    fake.write = () => Promise.reject(reason);
    await assertRejects(
      () =>
        side === "readable"
          ? drain(detached.readable)
          : detached.writable.getWriter().write(bytes("x")),
      Deno.errors.ConnectionReset,
    );
    assertEquals(fake.closes, 1);
  });
}

Deno.test("readable leaves no socket open when the server resets", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(SWITCH);
    await peer.read();
    peer.reset();
  }, { resettable: true });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  const { readable, writable } = await switched(conn);
  await writable.getWriter().write(bytes("x"));
  await assertRejects(() => drain(readable), Deno.errors.ConnectionReset);
});

// CONNECT

Deno.test("detach() gives the tunnel after CONNECT", async () => {
  const fake = new FakeTransport([], { answers: ["HTTP/1.1 200 Yes\r\n\r\nearly "] });
  using conn = new HTTPConnection("proxy.example", over(fake));
  await conn.request("CONNECT", "example.com:443");
  assertEquals((await conn.getresponse()).status, 200);
  const { buffered, readable } = conn.detach();
  assertEquals(latin1(buffered), "early ");
  fake.arrive("late");
  fake.end();
  assertEquals(await drain(readable), "early late");
});

Deno.test("detach() gives the tunnel after any 2xx to CONNECT, whatever framing it has", async () => {
  const fake = new FakeTransport([], {
    answers: ["HTTP/1.1 204 Yes\r\nContent-Length: 100\r\nConnection: close\r\n\r\nearly"],
  });
  using conn = new HTTPConnection("proxy.example", over(fake));
  await conn.request("CONNECT", "example.com:443");
  const response = await conn.getresponse();
  assertEquals((await response.read()).length, 0);
  const { buffered, transport } = conn.detach();
  assertEquals(latin1(buffered), "early");
  assertEquals(fake.closes, 0);
  transport.close();
});

Deno.test("detach() throws ImproperConnectionState when CONNECT was refused", async () => {
  const fake = new FakeTransport([], {
    answers: ["HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"],
  });
  using conn = new HTTPConnection("proxy.example", over(fake));
  await conn.request("CONNECT", "example.com:443");
  const response = await conn.getresponse();
  assertThrows(() => conn.detach(), ImproperConnectionState);
  assertEquals(await response.text(), "no");
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

// Tunnels

Deno.test("detach() gives a tunnel before its first request", async () => {
  await using proxy = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 200 Yes\r\n\r\nearly ");
    for (let piece; (piece = await peer.read()) !== null;) await peer.send(piece);
  });
  using conn = new HTTPConnection("127.0.0.1", proxy.port);
  conn.set_tunnel("example.com", 25);
  await conn.connect();
  assertEquals(await talk(conn.detach()), "early hello, echo. ");
  assertEquals(proxy.requests, ["CONNECT example.com:25 HTTP/1.1\r\nHost: example.com:25\r\n\r\n"]);
});

for (
  const [kind, options] of [
    ["a source address", () => ({ source_address: ["127.0.0.1", 0] })],
    [
      "own transport",
      (port) => ({ transport: () => Deno.connect({ hostname: "127.0.0.1", port }) }),
    ],
  ] satisfies [string, (port: number) => HTTPConnectionOptions][]
) {
  Deno.test(`detach() loses no byte of a tunnel before its first request (${kind})`, async () => {
    await using proxy = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
      for (let piece; (piece = await peer.read()) !== null;) await peer.send(piece);
    });
    using conn = new HTTPConnection("127.0.0.1", proxy.port, options(proxy.port));
    conn.set_tunnel("example.com", 25);
    await conn.connect();
    // The connection may rest for a while.
    await turns(5);
    assertEquals(await talk(conn.detach()), "hello, echo. ");
  });
}

Deno.test("detach() gives bytes that came while a tunnel rested", async () => {
  for (const source_address of [null, ["127.0.0.1", 0] as [string, number]]) {
    const said = Promise.withResolvers<void>();
    await using proxy = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
      await turns(5);
      await peer.send("220 ready ");
      said.resolve();
      for (let piece; (piece = await peer.read()) !== null;) await peer.send(piece);
    });
    using conn = new HTTPConnection("127.0.0.1", proxy.port, { source_address });
    conn.set_tunnel("example.com", 25);
    await conn.connect();
    await said.promise;
    await turns(5);
    assertEquals(await talk(conn.detach()), "220 ready hello, echo. ");
  }
});

Deno.test("detach() loses no byte of TLS with a client certificate through a tunnel", async () => {
  await using server = await startRawTls(async (peer) => {
    await peer.send("220 ready ", await peer.readUntil("echo. "), "bye");
  });
  await using proxy = await startRaw(tunnelTo(server.port));
  using conn = new HTTPSConnection("127.0.0.1", proxy.port, {
    context: { caCerts: [CA], ...CLIENT },
  });
  conn.set_tunnel("localhost", 443);
  await conn.connect();
  await turns(5);
  const { readable, writable } = conn.detach();
  const writer = writable.getWriter();
  await writer.write(bytes("hello, echo. "));
  assertEquals(await drain(readable), "220 ready hello, echo. bye");
  await writer.close();
});

Deno.test("detach() gives TLS through a tunnel before its first request", async () => {
  await using server = await startRawTls(async (peer) => {
    await peer.send(await peer.readUntil("echo. "), "bye");
  });
  await using proxy = await startRaw(tunnelTo(server.port));
  using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context: { caCerts: [CA] } });
  conn.set_tunnel("localhost", 443);
  await conn.connect();
  const { readable, writable } = conn.detach();
  const writer = writable.getWriter();
  await writer.write(bytes("hello, echo. "));
  assertEquals(await drain(readable), "hello, echo. bye");
  await writer.close();
});

Deno.test("detach() throws ImproperConnectionState when a tunnel is not connected", () => {
  using conn = new HTTPConnection("proxy.example", over());
  conn.set_tunnel("example.com", 25);
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

Deno.test("detach() throws ImproperConnectionState when a request is being made in a tunnel", async () => {
  const fake = new FakeTransport(["HTTP/1.1 200 Yes\r\n\r\n"]);
  using conn = new HTTPConnection("proxy.example", over(fake));
  conn.set_tunnel("example.com", 25);
  await conn.connect();
  conn.putrequest("GET", "/");
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

Deno.test("detach() throws ImproperConnectionState when a tunnel had its first request", async () => {
  const fake = new FakeTransport(["HTTP/1.1 200 Yes\r\n\r\n"]);
  using conn = new HTTPConnection("proxy.example", over(fake));
  conn.set_tunnel("example.com", 25);
  await conn.connect();
  fake.arrive("");
  const sent = conn.request("GET", "/");
  await sent;
  fake.arrive(ok());
  assertEquals(await (await conn.getresponse()).text(), "ok");
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

// When not, and what remains

Deno.test("detach() throws ImproperConnectionState when the connection is new", () => {
  using conn = new HTTPConnection("example.com");
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

Deno.test("detach() throws ImproperConnectionState when the answer did not switch", async () => {
  using conn = new HTTPConnection("example.com", over(answering(ok())));
  await conn.request("GET", "/");
  await (await conn.getresponse()).read();
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

Deno.test("detach() throws ImproperConnectionState when it is called twice", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  const { transport } = await switched(conn);
  assertThrows(() => conn.detach(), ImproperConnectionState);
  transport.close();
});

Deno.test("close() leaves what detach() handed over", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const { transport } = conn.detach();
  response.close();
  conn.close();
  assertEquals(fake.closes, 0);
  transport.close();
});

Deno.test("close() closes the connection that switched when detach() was not called", async () => {
  const fake = answering(SWITCH);
  const conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  await conn.getresponse();
  conn.close();
  assertEquals(fake.closes, 1);
});

Deno.test("request() makes a new connection after detach()", async () => {
  const first = answering(SWITCH);
  const second = answering(ok());
  using conn = new HTTPConnection("example.com", over(first, second));
  const { transport } = await switched(conn);
  assertEquals(conn.sock, null);
  assertEquals(await getText(conn), "ok");
  transport.close();
});

Deno.test("request() closes the connection that switched when detach() was not called", async () => {
  const first = answering(SWITCH);
  const second = answering(ok());
  using conn = new HTTPConnection("example.com", over(first, second));
  await conn.request("GET", "/");
  await conn.getresponse();
  assertEquals(await getText(conn), "ok");
  assertEquals([first.closes, first.writes.length], [1, 1]);
});

Deno.test("detach() ends deadlines and the timeout", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", {
    ...over(fake),
    timeout: 0.2,
    deadlines: { head: 0.2, bodyIdle: 0.2, total: 0.2 },
  });
  const { readable, transport } = await switched(conn);
  const reader = readable.getReader();
  const read = reader.read();
  await delay(250);
  fake.arrive("late");
  assertEquals(latin1((await read).value!), "late");
  transport.close();
});

Deno.test("detach() ends the effect of a signal", async () => {
  const controller = new AbortController();
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  await conn.getresponse();
  const { transport } = conn.detach();
  controller.abort();
  assertEquals(fake.closes, 0);
  transport.close();
});

Deno.test("detach() works after a 101 that came while the body went out", async () => {
  const asked = Promise.withResolvers<void>();
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  const rest = Promise.withResolvers<string>();
  async function* body() {
    yield "one";
    asked.resolve();
    yield await rest.promise;
  }
  const sent = conn.request("POST", "/", body());
  await asked.promise;
  fake.arrive(SWITCH + "early ");
  assertEquals((await conn.getresponse()).status, 101);
  // RFC 9110, Section 7.8: the request is sent whole before the protocol is another one.
  assertThrows(() => conn.detach(), ImproperConnectionState);
  rest.resolve("two");
  await sent;
  assert(fake.sent.endsWith("\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  const { readable } = conn.detach();
  fake.arrive("late");
  fake.end();
  assertEquals(await drain(readable), "early late");
});

Deno.test("detach() gives a transport that serves another connection", async () => {
  const fake = answering(SWITCH);
  using conn = new HTTPConnection("example.com", over(fake));
  const transport: Transport = (await switched(conn)).transport;
  assert(typeof transport.read === "function" && typeof transport.write === "function");
  // It serves another connection as well as any transport.
  fake.arrive(ok("again"));
  using other = new HTTPConnection("example.com", over(transport));
  assertEquals(await getText(other), "again");
});

Deno.test("what detach() gives closes the transport when it is disposed of, and once", async () => {
  const transport = new FakeTransport([SWITCH]);
  using conn = new HTTPConnection("a.example", over(transport));
  {
    using detached = await switched(conn);
    assertEquals([detached.buffered.length, transport.closes], [0, 0]);
  }
  assertEquals(transport.closes, 1);
});

Deno.test("what detach() gives throws nothing when it is disposed of after its transport was closed", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(SWITCH);
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  using detached = await switched(conn);
  detached.transport.close();
});
