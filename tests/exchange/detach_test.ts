/**
 * `detach()`: what lies under a connection that switched protocols, with the bytes already read.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Detached,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  ImproperConnectionState,
  type Transport,
} from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { bytes, latin1, type Peer, type Script, startRaw } from "../servers/raw.ts";
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

/** A proxy: opens the tunnel, and passes everything on to a port, both ways. */
function relayTo(port: number): Script {
  return async (peer) => {
    await peer.readHead();
    using up = await Deno.connect({ hostname: "127.0.0.1", port });
    await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
    const back = (async () => {
      const p = new Uint8Array(65536);
      try {
        for (let n; (n = await up.read(p)) !== null;) await peer.send(p.subarray(0, n));
        await peer.closeWrite();
      } catch {
        // Either side went away.
      }
    })();
    try {
      for (let piece; (piece = await peer.read()) !== null;) await up.write(piece);
      await up.closeWrite();
    } catch {
      up.close(); // Either side went away.
    }
    await back;
  };
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

Deno.test("detach: after 101, both directions and the half-close", async () => {
  await using server = await startRaw(echo);
  using conn = new HTTPConnection("127.0.0.1", server.port);
  assertEquals(await talk(await switched(conn)), "hello, echo. bye");
});

Deno.test("detach: after 101, by a source address", async () => {
  await using server = await startRaw(echo);
  using conn = new HTTPConnection("127.0.0.1", server.port, { source_address: ["127.0.0.1", 0] });
  assertEquals(await talk(await switched(conn)), "hello, echo. bye");
});

Deno.test("detach: after 101, by a unix socket", async () => {
  await using server = await startRaw(echo, { unix: true });
  using conn = new HTTPConnection("localhost", { socketPath: server.path });
  assertEquals(await talk(await switched(conn)), "hello, echo. bye");
});

Deno.test("detach: after 101, by own transport", async () => {
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
  Deno.test(`detach: after 101, by ${kind}`, async () => {
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

Deno.test("detach: bytes behind the head are in `buffered`, and come first in `readable`", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH + "early "] });
  using conn = new HTTPConnection("example.com", over(fake));
  const { buffered, readable } = await switched(conn);
  assertEquals(latin1(buffered), "early ");
  fake.arrive("late");
  fake.end();
  assertEquals(await drain(readable), "early late");
});

Deno.test("detach: without bytes behind the head, `buffered` is empty", async () => {
  using conn = new HTTPConnection(
    "example.com",
    over(new FakeTransport([], { answers: [SWITCH] })),
  );
  const { buffered, transport } = await switched(conn);
  assertEquals(buffered.length, 0);
  transport.close();
});

Deno.test("detach: bytes behind the head, more than one buffer of them", async () => {
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

Deno.test("detach: the transport reads what is behind `buffered`", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH + "early "] });
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

Deno.test("detach: `buffered` does not change when another connection reads", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH + "mine"] });
  using conn = new HTTPConnection("example.com", over(fake));
  const { buffered, transport } = await switched(conn);
  using other = new HTTPConnection("example.com", over(new FakeTransport([ok("x".repeat(9000))])));
  await other.request("GET", "/");
  await (await other.getresponse()).read();
  assertEquals(latin1(buffered), "mine");
  transport.close();
});

// Streams

Deno.test("detach: `readable` gives to a BYOB reader", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH + "early "] });
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

Deno.test("detach: nothing is read until `readable` is asked", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  let reads = 0;
  const { transport } = await switched(conn);
  const read = fake.read.bind(fake);
  fake.read = (p) => {
    reads++;
    return read(p);
  };
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(reads, 0);
  transport.close();
});

Deno.test("detach: to cancel `readable` closes the transport", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  const { readable } = await switched(conn);
  await readable.cancel();
  assertEquals(fake.closes, 1);
});

Deno.test("detach: to abort `writable` closes the transport", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  const { writable } = await switched(conn);
  await writable.abort();
  assertEquals(fake.closes, 1);
});

Deno.test("detach: when both streams are over the transport is closed", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  const { readable, writable } = await switched(conn);
  fake.end();
  assertEquals(await drain(readable), "");
  await writable.close();
  assertEquals(fake.closes, 1);
});

Deno.test("detach: a transport with closeWrite() is ended by that", async () => {
  let ended = 0;
  const fake = Object.assign(new FakeTransport([], { answers: [SWITCH] }), {
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

Deno.test("detach: a transport without closeWrite() is closed in its place", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  const { writable } = await switched(conn);
  await writable.close();
  assertEquals(fake.closes, 1);
});

Deno.test("detach: a write that is taken in parts arrives whole", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  const { writable, transport } = await switched(conn);
  const write = fake.write.bind(fake);
  fake.write = (p) => write(p.subarray(0, 2));
  await writable.getWriter().write(bytes("seven__"));
  assertEquals(fake.writes.slice(1), ["se", "ve", "n_", "_"]);
  transport.close();
});

for (const side of ["readable", "writable"] as const) {
  Deno.test(`detach: where ${side} breaks the transport is closed`, async () => {
    const fake = new FakeTransport([], { answers: [SWITCH] });
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

Deno.test("detach: a reset leaves no socket open", async () => {
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

Deno.test("detach: after CONNECT", async () => {
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

Deno.test("detach: after any 2xx to CONNECT, whatever framing it has", async () => {
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

Deno.test("detach: not after a CONNECT that was refused", async () => {
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

Deno.test("detach: a tunnel before its first request", async () => {
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
  Deno.test(`detach: a tunnel before its first request, by ${kind}: no byte is lost`, async () => {
    await using proxy = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
      for (let piece; (piece = await peer.read()) !== null;) await peer.send(piece);
    });
    using conn = new HTTPConnection("127.0.0.1", proxy.port, options(proxy.port));
    conn.set_tunnel("example.com", 25);
    await conn.connect();
    // The connection may rest for a while.
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(await talk(conn.detach()), "hello, echo. ");
  });
}

Deno.test("detach: a tunnel before its first request: bytes that came while it rested", async () => {
  for (const source_address of [null, ["127.0.0.1", 0] as [string, number]]) {
    const said = Promise.withResolvers<void>();
    await using proxy = await startRaw(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 Yes\r\n\r\n");
      await new Promise((resolve) => setTimeout(resolve, 5));
      await peer.send("220 ready ");
      said.resolve();
      for (let piece; (piece = await peer.read()) !== null;) await peer.send(piece);
    });
    using conn = new HTTPConnection("127.0.0.1", proxy.port, { source_address });
    conn.set_tunnel("example.com", 25);
    await conn.connect();
    await said.promise;
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(await talk(conn.detach()), "220 ready hello, echo. ");
  }
});

Deno.test("detach: TLS with a client certificate through a tunnel: no byte is lost", async () => {
  await using server = await startRawTls(async (peer) => {
    await peer.send("220 ready ", await peer.readUntil("echo. "), "bye");
  });
  await using proxy = await startRaw(relayTo(server.port));
  using conn = new HTTPSConnection("127.0.0.1", proxy.port, {
    context: { caCerts: [CA], ...CLIENT },
  });
  conn.set_tunnel("localhost", 443);
  await conn.connect();
  await new Promise((resolve) => setTimeout(resolve, 5));
  const { readable, writable } = conn.detach();
  const writer = writable.getWriter();
  await writer.write(bytes("hello, echo. "));
  assertEquals(await drain(readable), "220 ready hello, echo. bye");
  await writer.close();
});

Deno.test("detach: TLS through a tunnel before its first request", async () => {
  await using server = await startRawTls(async (peer) => {
    await peer.send(await peer.readUntil("echo. "), "bye");
  });
  await using proxy = await startRaw(relayTo(server.port));
  using conn = new HTTPSConnection("127.0.0.1", proxy.port, { context: { caCerts: [CA] } });
  conn.set_tunnel("localhost", 443);
  await conn.connect();
  const { readable, writable } = conn.detach();
  const writer = writable.getWriter();
  await writer.write(bytes("hello, echo. "));
  assertEquals(await drain(readable), "hello, echo. bye");
  await writer.close();
});

Deno.test("detach: not a tunnel that is not connected", () => {
  using conn = new HTTPConnection("proxy.example", over());
  conn.set_tunnel("example.com", 25);
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

Deno.test("detach: not a tunnel while a request is in the making", async () => {
  const fake = new FakeTransport(["HTTP/1.1 200 Yes\r\n\r\n"]);
  using conn = new HTTPConnection("proxy.example", over(fake));
  conn.set_tunnel("example.com", 25);
  await conn.connect();
  conn.putrequest("GET", "/");
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

Deno.test("detach: not a tunnel after its first request", async () => {
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

Deno.test("detach: not a new connection", () => {
  using conn = new HTTPConnection("example.com");
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

Deno.test("detach: not after an answer that is none of these", async () => {
  using conn = new HTTPConnection("example.com", over(new FakeTransport([], { answers: [ok()] })));
  await conn.request("GET", "/");
  await (await conn.getresponse()).read();
  assertThrows(() => conn.detach(), ImproperConnectionState);
});

Deno.test("detach: once", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  const { transport } = await switched(conn);
  assertThrows(() => conn.detach(), ImproperConnectionState);
  transport.close();
});

Deno.test("detach: close() of the connection and of the response leave what was handed over", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const { transport } = conn.detach();
  response.close();
  conn.close();
  assertEquals(fake.closes, 0);
  transport.close();
});

Deno.test("detach: close() without it closes the connection that switched", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  const conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  await conn.getresponse();
  conn.close();
  assertEquals(fake.closes, 1);
});

Deno.test("detach: the connection is then as new", async () => {
  const first = new FakeTransport([], { answers: [SWITCH] });
  const second = new FakeTransport([], { answers: [ok()] });
  using conn = new HTTPConnection("example.com", over(first, second));
  const { transport } = await switched(conn);
  assertEquals(conn.sock, null);
  await conn.request("GET", "/");
  assertEquals(await (await conn.getresponse()).text(), "ok");
  transport.close();
});

Deno.test("detach: a request without it makes a new connection, and closes the one that switched", async () => {
  const first = new FakeTransport([], { answers: [SWITCH] });
  const second = new FakeTransport([], { answers: [ok()] });
  using conn = new HTTPConnection("example.com", over(first, second));
  await conn.request("GET", "/");
  await conn.getresponse();
  await conn.request("GET", "/");
  assertEquals(await (await conn.getresponse()).text(), "ok");
  assertEquals([first.closes, first.writes.length], [1, 1]);
});

Deno.test("detach: deadlines and the timeout end with it", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", {
    ...over(fake),
    timeout: 0.02,
    deadlines: { head: 0.02, bodyIdle: 0.02, total: 0.02 },
  });
  const { readable, transport } = await switched(conn);
  const reader = readable.getReader();
  const read = reader.read();
  await new Promise((resolve) => setTimeout(resolve, 50));
  fake.arrive("late");
  assertEquals(latin1((await read).value!), "late");
  transport.close();
});

Deno.test("detach: a signal ends with it", async () => {
  const controller = new AbortController();
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  await conn.getresponse();
  const { transport } = conn.detach();
  controller.abort();
  assertEquals(fake.closes, 0);
  transport.close();
});

Deno.test("detach: a 101 to a request whose body still goes out", async () => {
  const asked = Promise.withResolvers<void>();
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  async function* body() {
    yield "one";
    asked.resolve();
    await new Promise(() => {});
  }
  const sent = conn.request("POST", "/", body());
  await asked.promise;
  fake.arrive(SWITCH + "early ");
  await sent;
  assertEquals((await conn.getresponse()).status, 101);
  const { readable } = conn.detach();
  fake.arrive("late");
  fake.end();
  assertEquals(await drain(readable), "early late");
});

Deno.test("detach: the transport is of the public kind", async () => {
  const fake = new FakeTransport([], { answers: [SWITCH] });
  using conn = new HTTPConnection("example.com", over(fake));
  const transport: Transport = (await switched(conn)).transport;
  assert(typeof transport.read === "function" && typeof transport.write === "function");
  // It serves another connection as well as any transport.
  fake.arrive(ok("again"));
  using other = new HTTPConnection("example.com", over(transport));
  await other.request("GET", "/");
  assertEquals(await (await other.getresponse()).text(), "again");
});
