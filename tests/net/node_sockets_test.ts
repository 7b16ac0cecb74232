/**
 * Transports over Node's sockets: on a socket in memory where that is possible, and on loopback where
 * the socket itself is the subject.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import dns from "node:dns";
import net from "node:net";
import { Duplex } from "node:stream";
import tls from "node:tls";
import { connect, secure as secureOpened } from "../../_internal/net/node_sockets.ts";
import type { TLSContext } from "../../_internal/net/tls.ts";
import type { Route, Transport } from "../../_internal/net/transport.ts";
import { FakeTransport } from "../helpers/fake_transport.ts";
import { hasIPv6 } from "../helpers/sockets.ts";
import { microtasks } from "../helpers/waiting.ts";
import { until } from "../servers/child.ts";
import { bytes, latin1, type Peer, type RawServer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT, LOCALHOST, UNKNOWN_CA, UNKNOWN_ISSUER, WRONG_NAME } from "../tls/mod.ts";

const SIGNAL = new AbortController().signal;
const TRUST: TLSContext = { caCerts: [CA] };
const HOLD = 65536;

/** A route; `changes` are put over it. */
function routeTo({ hostname, port }: { hostname: string; port: number }, changes = {}): Route {
  return { hostname, port, path: null, source: ["127.0.0.1", 0], ...changes };
}

const ROUTE = routeTo({ hostname: "127.0.0.9", port: 7 });

/** Does the handshake over a transport, which is one of the user's unless it is said to be Node's. */
async function secure(
  transport: Transport,
  context: TLSContext,
  hostname: string,
  onbegun: (transport: Transport) => void,
  kind: "node" | "other" = "other",
): Promise<Transport> {
  const opened = { transport, kind, tcp: null };
  return (await secureOpened(opened, context, hostname, onbegun)).transport;
}

/** An error as Node's are. */
function nodeError(code: string): Error {
  return Object.assign(new Error(`mine ${code}`), { code });
}

/** Lets Node's streams tell what they have to: they do so in the ticks after. */
async function ticks(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A socket of Node's in memory: what arrives is pushed by the test, what is written is recorded. */
class MemorySocket extends Duplex {
  readonly written: string[] = [];
  readonly calls: string[] = [];
  /** Where it is bound to, as `connect()` checks. */
  localAddress?: string;
  localPort?: number;
  /** What ends the writes that are pending; a write ends at once while this is `null`. */
  pending: ((error?: Error) => void)[] | null = null;
  readonly chunks: Uint8Array[] = [];

  constructor() {
    super();
    let asked = 0;
    // A read that spins would let no time limit pass.
    const get = () => {
      if (++asked > 10_000) throw new Error("The socket is asked again and again");
      return Reflect.get(Duplex.prototype, "readableLength", this);
    };
    Object.defineProperty(this, "readableLength", { get });
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.chunks.push(chunk);
    this.written.push(latin1(chunk));
    if (this.pending === null) done();
    else this.pending.push(done);
  }

  override _final(done: () => void): void {
    this.calls.push("end");
    done();
  }

  setNoDelay(on: boolean): void {
    this.calls.push(`setNoDelay ${on}`);
  }

  ref(): void {
    this.calls.push("ref");
  }

  unref(): void {
    this.calls.push("unref");
  }

  /** What this socket was told about the process, since this was asked last. */
  takeRefs(): string[] {
    const refs = this.calls.filter((call) => call.endsWith("ref"));
    const others = this.calls.filter((call) => !call.endsWith("ref"));
    this.calls.splice(0, this.calls.length, ...others);
    return refs;
  }
}

/** Runs `use` while `net.connect()` or `tls.connect()` gives this socket; gives what it was asked for. */
async function connectingTo<T>(
  module: { connect: unknown },
  socket: Duplex,
  use: () => Promise<T>,
): Promise<{ asked: Record<string, unknown>; result: T }> {
  const { connect: before } = module;
  let asked: Record<string, unknown> = {};
  module.connect = (options: Record<string, unknown>) => {
    asked = options;
    return socket;
  };
  try {
    return { result: await use(), asked };
  } finally {
    module.connect = before;
  }
}

/** A transport over a socket in memory. */
async function inMemory(route = ROUTE) {
  const socket = new MemorySocket();
  const { result: transport, asked } = await connectingTo(net, socket, async () => {
    const connecting = connect(route, SIGNAL);
    await until("the socket is opened", () => socket.calls.length > 0);
    [socket.localAddress, socket.localPort] = route.source ?? [];
    socket.emit("connect");
    return await connecting;
  });
  return { socket, transport, asked, refs: socket.takeRefs() };
}

/** Does the handshake over a transport, with a socket in memory for TLS. */
async function securedInMemory(
  below: Transport = new FakeTransport(),
  context: TLSContext = {},
  hostname = "a.example",
) {
  const socket = new MemorySocket();
  setImmediate(() => socket.emit("secureConnect"));
  const { result: transport, asked } = await connectingTo(
    tls,
    socket,
    () => secure(below, context, hostname, () => {}),
  );
  return { socket, transport, asked, refs: socket.takeRefs() };
}

/** Reads once, with room for so many bytes. */
async function readOnce(transport: Transport, room = 100): Promise<string | null> {
  const target = new Uint8Array(room);
  const count = await transport.read(target);
  return count === null ? null : latin1(target.subarray(0, count));
}

/** Sends back what comes. */
async function echo(peer: Peer): Promise<void> {
  for (let piece; (piece = await peer.read()) !== null;) await peer.send(piece);
}

/** Opens a transport to a server on loopback. */
async function connectTo(server: RawServer, changes = {}): Promise<Transport> {
  return await connect(routeTo(server, changes), SIGNAL);
}

// connect()

Deno.test("connect() asks for the host and the port, and switches Nagle's algorithm off", async () => {
  const { socket, asked } = await inMemory();
  assertEquals([asked.host, asked.port], ["127.0.0.9", 7]);
  assertEquals(socket.calls, ["setNoDelay true"]);
});

Deno.test("connect() asks for an IPv6 address without its brackets", async () => {
  const { asked } = await inMemory(
    routeTo({ hostname: "[::1]", port: 7 }, { source: ["[::1]", 0] }),
  );
  assertEquals(asked.host, "::1");
});

Deno.test("connect() asks for the source address and port", async () => {
  const { asked } = await inMemory({ ...ROUTE, source: ["127.0.0.1", 5000] });
  assertEquals(asked, {
    host: "127.0.0.9",
    port: 7,
    localAddress: "127.0.0.1",
    localPort: 5000,
  });
});

Deno.test("connect() leaves the source port to the system when it is 0", async () => {
  const { asked } = await inMemory({ ...ROUTE, source: ["127.0.0.1", 0] });
  assertEquals(asked.localPort, undefined);
});

for (const [address, host] of [["127.0.0.5", "127.0.0.5:0"], ["::1", "[::1]:0"]]) {
  Deno.test(`connect() throws NotCapable when net access to ${host} is refused`, async () => {
    const { request } = Deno.permissions;
    const asked: unknown[] = [];
    Deno.permissions.request = (descriptor) => {
      asked.push(descriptor);
      return Promise.resolve({ state: "denied" } as Deno.PermissionStatus);
    };
    try {
      await assertRejects(
        () => connect({ ...ROUTE, hostname: address, source: [address, 0] }, SIGNAL),
        Deno.errors.NotCapable,
        `Requires net access to "${host}"`,
      );
    } finally {
      Deno.permissions.request = request;
    }
    assertEquals(asked, [{ name: "net", host }]);
  });
}

/** What `connect()` throws when its socket fails with this. */
async function connectFailure(reason: unknown): Promise<unknown> {
  const socket = new MemorySocket();
  const { result } = await connectingTo(net, socket, async () => {
    const failed = assertRejects(() => connect(ROUTE, SIGNAL));
    await until("the socket is opened", () => socket.calls.length > 0);
    socket.emit("error", reason);
    return await failed;
  });
  assertEquals(socket.destroyed, true);
  return result;
}

Deno.test("connect() throws the class of Deno's own sockets for a code of Node's", async () => {
  const reason = nodeError("ECONNREFUSED");
  const error = await connectFailure(reason);
  assertInstanceOf(error, Deno.errors.ConnectionRefused);
  assertStrictEquals(error.cause, reason);
});

for (const reason of [nodeError("EOTHER"), new Error("mine"), { code: "EPIPE" }]) {
  Deno.test(`connect() throws what the socket fails with when that is ${String(reason)}`, async () => {
    assertStrictEquals(await connectFailure(reason), reason);
  });
}

Deno.test("connect() throws Interrupted when the socket is closed by somebody else", async () => {
  const socket = new MemorySocket();
  await connectingTo(net, socket, async () => {
    const failed = assertRejects(
      () => connect(ROUTE, SIGNAL),
      Deno.errors.Interrupted,
      "was closed",
    );
    await until("the socket is opened", () => socket.calls.length > 0);
    socket.destroy();
    await failed;
  });
});

Deno.test("connect() throws the signal's reason and closes the socket when it aborts", async () => {
  const reason = { mine: true };
  const controller = new AbortController();
  const socket = new MemorySocket();
  const connecting = connectingTo(net, socket, async () => {
    try {
      return await connect(ROUTE, controller.signal);
    } catch (error) {
      return error;
    }
  });
  await until("the socket is opened", () => socket.calls.length > 0);
  controller.abort(reason);
  assertStrictEquals((await connecting).result, reason);
  assertEquals(socket.destroyed, true);
});

Deno.test("connect() leaves no listeners but the transport's", async () => {
  const { socket } = await inMemory();
  const fresh = new MemorySocket();
  const added = ["connect", "readable", "end", "close", "error"].map((event) =>
    socket.listenerCount(event) - fresh.listenerCount(event)
  );
  assertEquals(added, [0, 1, 1, 1, 1]);
});

// Source addresses

/** Runs `use` where names have these addresses; tells which names were looked up. */
async function whereNames(
  names: Record<string, string[]>,
  use: () => Promise<void>,
): Promise<string[]> {
  const { lookup } = dns;
  const asked: string[] = [];
  dns.lookup = ((name: string, _options: unknown, done: (...given: unknown[]) => void) => {
    asked.push(name);
    const addresses = names[name]?.map((address) => ({ address, family: net.isIP(address) }));
    const error = addresses === undefined ? nodeError("ENOTFOUND") : null;
    queueMicrotask(() => done(error, addresses));
  }) as typeof dns.lookup;
  try {
    await use();
  } finally {
    dns.lookup = lookup;
  }
  return asked;
}

/** A port of this machine's that nobody listens on. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("connect() tries every address of the server's name", async () => {
  await using server = await startRaw(echo);
  const addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"];
  const asked = await whereNames({ "many.example": addresses }, async () => {
    const route = routeTo({ hostname: "many.example", port: server.port });
    (await connect(route, SIGNAL)).close();
  });
  assertEquals(asked, ["many.example"]);
  assertEquals(server.accepted, 1);
});

/** Runs `use` where net access to these hosts is not granted; tells which were asked about. */
async function whereForbidden(hosts: string[], use: () => Promise<unknown>): Promise<string[]> {
  const { query } = Deno.permissions;
  const asked: string[] = [];
  Deno.permissions.query = (descriptor) => {
    const { host } = descriptor as Deno.NetPermissionDescriptor;
    asked.push(host!);
    const state = hosts.includes(host!) ? "prompt" : "granted";
    return Promise.resolve({ state } as Deno.PermissionStatus);
  };
  try {
    await use();
  } finally {
    Deno.permissions.query = query;
  }
  return asked;
}

/** What `net.connect()` is asked to connect to, one after the other, where nobody listens. */
async function dialled(addresses: string[], forbidden: string[]): Promise<string[]> {
  const { connect: before } = net;
  const port = freePort();
  const hosts: string[] = [];
  Object.assign(net, {
    connect: (options: net.TcpNetConnectOpts) => {
      hosts.push(options.host!);
      return before(options);
    },
  });
  try {
    await whereNames({ "many.example": addresses }, async () => {
      const route = routeTo({ hostname: "many.example", port });
      await whereForbidden(forbidden.map((address) => `${address}:${port}`), async () => {
        await assertRejects(() => connect(route, SIGNAL), Deno.errors.ConnectionRefused);
      });
    });
  } finally {
    Object.assign(net, { connect: before });
  }
  return hosts;
}

Deno.test("connect() tries only those of several addresses that it may connect to", async () => {
  const [a, b, c] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
  assertEquals(await dialled([a, b, c], [a]), [b, c]);
  assertEquals(await dialled([a, b], [b]), [a]);
});

Deno.test("connect() tries all addresses when the name alone is allowed", async () => {
  const addresses = ["127.0.0.2", "127.0.0.3"];
  assertEquals(await dialled(addresses, addresses), addresses);
});

Deno.test("connect() asks for no permission of an address when the name has no other", async () => {
  await whereNames({ "one.example": ["127.0.0.2"] }, async () => {
    const route = routeTo({ hostname: "one.example", port: freePort() });
    const asked = await whereForbidden([], () => assertRejects(() => connect(route, SIGNAL)));
    assertEquals(asked, []);
  });
});

Deno.test("connect() throws the error of the first address when none answers", async () => {
  const port = freePort();
  const mentioned: unknown[] = [];
  await whereNames({ "many.example": ["127.0.0.2", "127.0.0.3"] }, async () => {
    const route = routeTo({ hostname: "many.example", port });
    const error = await assertRejects(
      () => connect(route, SIGNAL),
      Deno.errors.ConnectionRefused,
    );
    mentioned.push((error.cause as { address?: string }).address);
  });
  assertEquals(mentioned, ["127.0.0.2"]);
});

Deno.test("connect() leaves out addresses of another family than the source's", async () => {
  await using server = await startRaw(echo);
  await whereNames({ "both.example": ["::1", "127.0.0.1"] }, async () => {
    const route = routeTo({ hostname: "both.example", port: server.port });
    (await connect(route, SIGNAL)).close();
  });
  assertEquals(server.accepted, 1);
});

Deno.test("connect() throws AddrNotAvailable when no address is of the source's family", async () => {
  await assertRejects(
    () => connect(routeTo({ hostname: "127.0.0.1", port: 7 }, { source: ["::1", 0] }), SIGNAL),
    Deno.errors.AddrNotAvailable,
    "another family",
  );
});

Deno.test("connect() throws the signal's reason when it aborts at the only address", async () => {
  const controller = new AbortController();
  const reason = new Error("mine");
  const socket = new MemorySocket();
  await connectingTo(net, socket, async () => {
    const route = { ...ROUTE, source: ["127.0.0.1", 5000] as [string, number] };
    const connecting = assertRejects(() => connect(route, controller.signal));
    await until("the socket is opened", () => socket.calls.length > 0);
    controller.abort(reason);
    assertStrictEquals(await connecting, reason);
  });
});

Deno.test("connect() tries no other address when the signal aborts", async () => {
  const controller = new AbortController();
  const reason = new Error("mine");
  const socket = new MemorySocket();
  let dialled = 0;
  await whereNames({ "many.example": ["127.0.0.2", "127.0.0.3"] }, async () => {
    const { connect: before } = net;
    (net as { connect: unknown }).connect = () => {
      dialled++;
      return socket;
    };
    try {
      const route = routeTo({ hostname: "many.example", port: 7 });
      const connecting = assertRejects(() => connect(route, controller.signal));
      await until("the socket is opened", () => socket.calls.length > 0);
      controller.abort(reason);
      assertStrictEquals(await connecting, reason);
    } finally {
      net.connect = before;
    }
  });
  assertEquals(dialled, 1);
});

Deno.test("connect() throws the signal's reason when it aborts at the last address, behind one that failed", async () => {
  const controller = new AbortController();
  const reason = new Error("mine");
  const sockets = [new MemorySocket(), new MemorySocket()];
  const [first, last] = sockets;
  await whereNames({ "many.example": ["127.0.0.2", "127.0.0.3"] }, async () => {
    const { connect: before } = net;
    (net as { connect: unknown }).connect = () => sockets.shift();
    try {
      const route = routeTo({ hostname: "many.example", port: 7 });
      const connecting = assertRejects(() => connect(route, controller.signal));
      await until("the first socket is opened", () => first.calls.length > 0);
      first.emit("error", Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
      await until("the last socket is opened", () => last.calls.length > 0);
      controller.abort(reason);
      assertStrictEquals(await connecting, reason);
    } finally {
      net.connect = before;
    }
  });
});

Deno.test("connect() dials nobody when the signal aborts while the name is looked up", async () => {
  const controller = new AbortController();
  const reason = new Error("mine");
  let dialled = 0;
  const socket = new MemorySocket();
  await whereNames({ "a.example": ["127.0.0.2"] }, async () => {
    await connectingTo(net, socket, async () => {
      const connecting = connect(
        routeTo({ hostname: "a.example", port: 7 }),
        controller.signal,
      );
      controller.abort(reason);
      assertStrictEquals(await assertRejects(() => connecting), reason);
      dialled = socket.calls.length;
    });
  });
  assertEquals(dialled, 0);
});

Deno.test("connect() looks the source up when it is a name", async () => {
  await using server = await startRaw(echo);
  const asked = await whereNames({ "here.example": ["::1", "127.0.0.6"] }, async () => {
    (await connect(routeTo(server, { source: ["here.example", 0] }), SIGNAL)).close();
  });
  assertEquals(asked, ["here.example"]);
  assertEquals((await server.peer(0)).remote?.hostname, "127.0.0.6");
});

Deno.test("connect() says that the source address is an unknown name", async () => {
  await whereNames({}, async () => {
    const route = routeTo({ hostname: "127.0.0.1", port: 7 }, { source: ["no.example", 0] });
    const error = await assertRejects(
      () => connect(route, SIGNAL),
      Deno.errors.AddrNotAvailable,
      "the name of the source address, no.example, has no address",
    );
    assertEquals((error.cause as { code?: string }).code, "ENOTFOUND");
  });
});

Deno.test("connect() leaves the source address to the system when it is empty", async () => {
  await using server = await startRaw(echo);
  const port = freePort();
  const transport = await connect(routeTo(server, { source: ["", port] }), SIGNAL);
  const { remote } = await server.peer(0);
  assertEquals([remote?.hostname, remote?.port], ["127.0.0.1", port]);
  transport.close();
});

Deno.test("connect() leaves the source address to the system when the host is of IPv6", async () => {
  await using server = await startRaw(echo, { hostname: "::1" });
  const port = freePort();
  const transport = await connect(routeTo(server, { source: ["", port] }), SIGNAL);
  assertEquals((await server.peer(0)).remote?.port, port);
  const { remoteAddr } = transport as { remoteAddr?: unknown };
  assertEquals(remoteAddr, { hostname: "::1", port: server.port });
  transport.close();
});

for (
  const [what, bound] of [
    ["address", { localAddress: "127.0.0.8", localPort: 5000 }],
    ["port", { localAddress: "127.0.0.1", localPort: 5001 }],
  ] as const
) {
  Deno.test(`connect() throws AddrNotAvailable when the platform uses another source ${what}`, async () => {
    const socket = new MemorySocket();
    await connectingTo(net, socket, async () => {
      const failed = assertRejects(
        () => connect({ ...ROUTE, source: ["127.0.0.1", 5000] }, SIGNAL),
        Deno.errors.AddrNotAvailable,
        "the platform did not use the source address 127.0.0.1:5000",
      );
      await until("the socket is opened", () => socket.calls.length > 0);
      Object.assign(socket, bound);
      socket.emit("connect");
      await failed;
    });
    assertEquals(socket.destroyed, true);
  });
}

/** Runs `use` as if this were workerd. */
async function onWorkerd<T>(use: () => Promise<T>): Promise<T> {
  // Node 20 has no navigator.
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", {
    value: { userAgent: "Cloudflare-Workers" },
    configurable: true,
  });
  try {
    return await use();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, "navigator");
    else Object.defineProperty(globalThis, "navigator", before);
  }
}

for (
  const [what, route] of [
    ["unix sockets", { path: "/run/a.sock" }],
    ["source_address", { source: ["127.0.0.1", 0] }],
  ] as const
) {
  Deno.test(`connect() throws NotSupported on workerd when it is asked for ${what}`, async () => {
    await onWorkerd(() =>
      assertRejects(
        () => connect({ ...ROUTE, ...route } as Route, SIGNAL),
        Deno.errors.NotSupported,
        `workerd does not support ${what}`,
      )
    );
  });
}

for (
  const context of [
    { caCerts: [CA] },
    CLIENT,
    { load_default_certs: false },
    { alpnProtocols: ["http/1.1"] },
    { check_hostname: false },
    { verify_mode: "CERT_NONE" },
  ] as TLSContext[]
) {
  const [option] = Object.keys(context);
  Deno.test(`secure() throws NotSupported on workerd when the context has ${option}`, async () => {
    const below = new FakeTransport();
    await onWorkerd(() =>
      assertRejects(
        () => secure(below, context, "a.example", () => {}),
        Deno.errors.NotSupported,
        `workerd does not support ${option}`,
      )
    );
    assertEquals(below.closed, true);
  });
}

Deno.test("secure() throws NotSupported on workerd over a transport of the user's", async () => {
  await onWorkerd(() =>
    assertRejects(
      () => secure(new FakeTransport(), {}, "a.example", () => {}),
      Deno.errors.NotSupported,
      "workerd does not support TLS over a transport",
    )
  );
});

Deno.test("secure() hands the socket itself to TLS on workerd, not read from before", async () => {
  await onWorkerd(async () => {
    const { socket, transport } = await inMemory({ ...ROUTE, source: null });
    assertEquals([socket.isPaused(), socket.listenerCount("readable")], [true, 0]);
    const context: TLSContext = {
      load_default_certs: true,
      check_hostname: true,
      verify_mode: "CERT_REQUIRED",
    };
    const { asked, transport: secured } = await securedInMemory(transport, context, "[::1]");
    assertEquals(asked, { socket, host: "::1", servername: "::1" });
    secured.close();
  });
});

Deno.test("a transport on workerd takes what comes once it is read from", async () => {
  await onWorkerd(async () => {
    const { socket, transport } = await inMemory({ ...ROUTE, source: null });
    const reading = readOnce(transport);
    socket.push("hello");
    assertEquals(await reading, "hello");
    transport.close();
  });
});

const SPELLINGS = [
  ["::1", "0:0:0:0:0:0:0:1"],
  ["0:0::1", "::1"],
  ["::", "::1"],
  ["fe80:0::1", "fe80::1%lo"],
];

for (const [asked, told] of SPELLINGS) {
  Deno.test(`connect() takes ${told} for the source address ${asked}`, async () => {
    const socket = new MemorySocket();
    await connectingTo(net, socket, async () => {
      const route = { ...ROUTE, hostname: "::9", source: [asked, 0] as [string, number] };
      const connecting = connect(route, SIGNAL);
      await until("the socket is opened", () => socket.calls.length > 0);
      socket.localAddress = told;
      socket.emit("connect");
      (await connecting).close();
    });
  });
}

// read()

Deno.test("read() gives what has arrived", async () => {
  const { socket, transport } = await inMemory();
  socket.push(bytes("abc"));
  assertEquals(await readOnce(transport), "abc");
});

Deno.test("read() waits for what arrives", async () => {
  const { socket, transport } = await inMemory();
  const read = readOnce(transport);
  await ticks();
  socket.push(bytes("abc"));
  assertEquals(await read, "abc");
  const next = readOnce(transport);
  await ticks();
  socket.push(bytes("de"));
  assertEquals(await next, "de");
});

Deno.test("read() keeps what does not fit for the next one", async () => {
  const { socket, transport } = await inMemory();
  socket.push(bytes("abcde"));
  const read = [await readOnce(transport, 2), await readOnce(transport, 2)];
  socket.push(bytes("fg"));
  await ticks();
  assertEquals([...read, await readOnce(transport), await readOnce(transport)], [
    "ab",
    "cd",
    "e",
    "fg",
  ]);
});

Deno.test("read() gives what arrived before the end, then null each time", async () => {
  const { socket, transport } = await inMemory();
  socket.push(bytes("abc"));
  socket.push(null);
  assertEquals(await readOnce(transport), "abc");
  assertEquals([await readOnce(transport), await readOnce(transport)], [null, null]);
});

Deno.test("read() gives null when the end comes while it waits", async () => {
  const { socket, transport } = await inMemory();
  const read = readOnce(transport);
  await ticks();
  socket.push(null);
  assertEquals(await read, null);
});

Deno.test("read() gives null when the end came before anybody read", async () => {
  const { socket, transport } = await inMemory();
  socket.push(null);
  await ticks();
  assertEquals(await readOnce(transport), null);
});

Deno.test("read() gives null when the socket was closed by somebody else without an error", async () => {
  const { socket, transport } = await inMemory();
  const read = readOnce(transport);
  await ticks();
  socket.destroy();
  assertEquals([await read, await readOnce(transport)], [null, null]);
});

Deno.test("read() throws what the socket failed with, in Deno's class, each time", async () => {
  const { socket, transport } = await inMemory();
  const read = assertRejects(
    () => readOnce(transport),
    Deno.errors.ConnectionReset,
    "Connection reset by peer",
  );
  await ticks();
  socket.emit("error", nodeError("ECONNRESET"));
  socket.emit("error", nodeError("EPIPE"));
  const error = await read;
  assertStrictEquals(await assertRejects(() => readOnce(transport)), error);
});

Deno.test("read() gives what had arrived before the socket failed, then throws", async () => {
  const { socket, transport } = await inMemory();
  socket.push(bytes("answer"));
  await ticks();
  socket.destroy(nodeError("EPIPE"));
  await ticks();
  assertEquals(await readOnce(transport), "answer");
  await assertRejects(() => readOnce(transport), Deno.errors.ConnectionReset);
});

Deno.test("read() leaves what is over 64 KiB to the socket until there is room", async () => {
  const { socket, transport } = await inMemory();
  socket.push(bytes("x".repeat(HOLD - 1)));
  await ticks();
  socket.push(bytes("y"));
  await ticks();
  assertEquals(socket.readableLength, 0);
  socket.push(bytes("z"));
  await ticks();
  assertEquals(socket.readableLength, 1);
  assertEquals((await readOnce(transport, HOLD))?.length, HOLD - 1);
  socket.push(bytes("!"));
  await ticks();
  assertEquals(socket.readableLength, 0);
  const rest = [];
  for (let i = 0; i < 3; i++) rest.push(await readOnce(transport));
  assertEquals(rest, ["y", "z", "!"]);
});

Deno.test("read() takes what was left to the socket when there is room for it", async () => {
  const { socket, transport } = await inMemory();
  socket.push(bytes("x".repeat(HOLD)));
  await ticks();
  socket.push(bytes("z"));
  await ticks();
  assertEquals((await readOnce(transport, HOLD))?.length, HOLD);
  assertEquals(await readOnce(transport), "z");
});

// write(), closeWrite()

Deno.test("write() writes all that it is given", async () => {
  const { socket, transport } = await inMemory();
  assertEquals(await transport.write(bytes("hello")), 5);
  assertEquals(socket.written, ["hello"]);
});

Deno.test("write() waits until the socket has taken the bytes", async () => {
  const { socket, transport } = await inMemory();
  socket.pending = [];
  let written = false;
  const writing = transport.write(bytes("hello")).then((count) => {
    written = true;
    return count;
  });
  await ticks();
  assertEquals(written, false);
  socket.pending[0]();
  assertEquals(await writing, 5);
});

Deno.test("write() leaves the socket a copy, as the caller may use its memory again", async () => {
  const { socket, transport } = await inMemory();
  socket.pending = [];
  const piece = bytes("hello");
  const writing = transport.write(piece);
  piece.fill(0);
  assertEquals(latin1(socket.chunks[0]), "hello");
  socket.pending[0]();
  assertEquals(await writing, 5);
});

Deno.test("write() throws what the socket fails with, in Deno's class, each time", async () => {
  const { socket, transport } = await inMemory();
  socket.pending = [];
  const writing = assertRejects(() => transport.write(bytes("a")), Deno.errors.ConnectionReset);
  socket.pending[0](nodeError("EPIPE"));
  await writing;
  await ticks();
  await assertRejects(() => transport.write(bytes("b")), Deno.errors.ConnectionReset);
  assertEquals(socket.written, ["a"]);
});

Deno.test("write() throws what the socket failed with first", async () => {
  const { socket, transport } = await inMemory();
  socket.pending = [];
  const writing = assertRejects(() => transport.write(bytes("a")), Deno.errors.ConnectionReset);
  socket.emit("error", nodeError("ECONNRESET"));
  socket.pending[0](nodeError("EPIPE"));
  await writing;
});

Deno.test("closeWrite() waits until the socket has ended", async () => {
  const { socket, transport } = await inMemory();
  socket.pending = [];
  const writing = transport.write(bytes("a"));
  let closed = false;
  const closing = transport.closeWrite!().then(() => closed = true);
  await ticks();
  assertEquals(closed, false);
  socket.pending[0]();
  await Promise.all([writing, closing]);
  assert(socket.calls.includes("end"));
});

Deno.test("closeWrite() throws Interrupted when the transport was closed", async () => {
  const { transport } = await inMemory();
  transport.close();
  await assertRejects(() => transport.closeWrite!(), Deno.errors.Interrupted);
});

Deno.test("closeWrite() throws what the socket fails with, in Deno's class", async () => {
  const { socket, transport } = await inMemory();
  socket._final = (done: (error?: Error) => void) => done(nodeError("EPIPE"));
  await assertRejects(() => transport.closeWrite!(), Deno.errors.ConnectionReset);
});

Deno.test("closeWrite() holds the process until it settles", async () => {
  const { socket, transport } = await inMemory();
  const closing = transport.closeWrite!();
  assertEquals(socket.takeRefs(), ["ref"]);
  await closing;
  assertEquals(socket.takeRefs(), ["unref"]);
});

// close()

Deno.test("close() ends a pending read with Interrupted, within microtasks", async () => {
  const { socket, transport } = await inMemory();
  let reason: unknown;
  readOnce(transport).catch((error) => reason = error);
  await ticks();
  transport.close();
  await microtasks(20);
  assertInstanceOf(reason, Deno.errors.Interrupted);
  assertStringIncludes(reason.message, "The transport was closed");
  assertEquals(socket.destroyed, true);
});

Deno.test("close() makes later reads and writes throw Interrupted", async () => {
  const { transport } = await inMemory();
  transport.close();
  await assertRejects(() => readOnce(transport), Deno.errors.Interrupted);
  await assertRejects(() => transport.write(bytes("a")), Deno.errors.Interrupted);
});

Deno.test("close() keeps what the socket had failed with", async () => {
  const { socket, transport } = await inMemory();
  socket.emit("error", nodeError("ECONNRESET"));
  transport.close();
  await assertRejects(() => readOnce(transport), Deno.errors.ConnectionReset);
});

// What holds the process

Deno.test("connect() does not hold the process when nothing follows", async () => {
  assertEquals((await inMemory()).refs, ["ref", "unref"]);
});

Deno.test("secure() does not hold the process when nothing follows", async () => {
  const seen: string[] = [];
  const below = Object.assign(new FakeTransport(), {
    ref: () => void seen.push("ref"),
    unref: () => void seen.push("unref"),
  });
  const { refs } = await securedInMemory(below);
  assertEquals([refs, seen], [["ref", "unref"], ["ref", "unref"]]);
});

Deno.test("read() holds the process until it settles", async () => {
  const { socket, transport } = await inMemory();
  const read = readOnce(transport);
  await ticks();
  assertEquals(socket.takeRefs(), ["ref"]);
  socket.push(bytes("a"));
  await read;
  assertEquals(socket.takeRefs(), ["unref"]);
});

Deno.test("write() holds the process until it settles", async () => {
  const { socket, transport } = await inMemory();
  socket.pending = [];
  const writing = transport.write(bytes("a"));
  assertEquals(socket.takeRefs(), ["ref"]);
  socket.pending[0]();
  await writing;
  assertEquals(socket.takeRefs(), ["unref"]);
});

Deno.test("write() does not let the process end while a read is pending", async () => {
  const { socket, transport } = await inMemory();
  const read = readOnce(transport);
  await ticks();
  socket.takeRefs();
  await transport.write(bytes("a"));
  assertEquals(socket.takeRefs(), []);
  socket.push(bytes("a"));
  await read;
  assertEquals(socket.takeRefs(), ["unref"]);
});

Deno.test("ref() holds the process beyond the operations, until unref()", async () => {
  const { socket, transport } = await inMemory();
  const holder = transport as Transport & { ref(): void; unref(): void };
  holder.ref();
  await transport.write(bytes("a"));
  assertEquals(socket.takeRefs(), ["ref"]);
  holder.unref();
  assertEquals(socket.takeRefs(), ["unref"]);
});

Deno.test("unref() lets the process end while a read is pending, and ref() takes that back", async () => {
  const { socket, transport } = await inMemory();
  const holder = transport as Transport & { ref(): void; unref(): void };
  const read = readOnce(transport);
  await ticks();
  assertEquals(socket.takeRefs(), ["ref"]);
  holder.unref();
  assertEquals(socket.takeRefs(), ["unref"]);
  holder.ref();
  assertEquals(socket.takeRefs(), ["ref"]);
  socket.push(bytes("a"));
  await read;
  assertEquals(socket.takeRefs(), ["unref"]);
});

Deno.test("ref() holds nothing when it takes back an unref() whose read is over", async () => {
  const { socket, transport } = await inMemory();
  const holder = transport as Transport & { ref(): void; unref(): void };
  const read = readOnce(transport);
  await ticks();
  holder.unref();
  socket.push(bytes("a"));
  await read;
  holder.ref();
  assertEquals(socket.takeRefs(), ["ref", "unref"]);
});

// TLS

Deno.test("secure() asks for the name, HTTP/1.1, and verification by default", async () => {
  const { asked } = await securedInMemory();
  const { socket, secureContext: _, ...options } = asked;
  assertInstanceOf(socket, Duplex);
  assertEquals(options, {
    host: "a.example",
    servername: "a.example",
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: true,
  });
});

Deno.test("secure() passes the context on", async () => {
  const { asked } = await securedInMemory(undefined, {
    alpnProtocols: ["a"],
    verify_mode: "CERT_NONE",
    check_hostname: false,
  });
  assertEquals([asked.ALPNProtocols, asked.rejectUnauthorized], [["a"], false]);
  assertEquals((asked.checkServerIdentity as () => unknown)(), undefined);
});

/** Runs `use` where contexts of Node's are made by this; gives what they were asked for. */
async function withContexts(
  make: (options: tls.SecureContextOptions) => tls.SecureContext,
  use: () => Promise<unknown>,
): Promise<tls.SecureContextOptions[]> {
  const { createSecureContext } = tls;
  const asked: tls.SecureContextOptions[] = [];
  tls.createSecureContext = (options = {}) => {
    asked.push(options);
    return make(options);
  };
  try {
    await use();
  } finally {
    tls.createSecureContext = createSecureContext;
  }
  return asked;
}

Deno.test("secure() adds the caller's certificates to the default ones", async () => {
  const added: string[] = [];
  const context = { context: { addCACert: (pem: string) => added.push(pem) } };
  const asked = await withContexts(
    () => context,
    () => securedInMemory(undefined, { caCerts: [CA, UNKNOWN_CA] }),
  );
  assertEquals([asked, added], [[{}], [CA, UNKNOWN_CA]]);
});

Deno.test("secure() reads the default certificates where none can be added to them", async () => {
  const asked = await withContexts(
    () => ({ context: {} }),
    () => securedInMemory(undefined, { caCerts: [CA] }),
  );
  const ca = asked[1].ca as string[];
  assertEquals([ca.length, ca.at(-1)], [tls.rootCertificates.length + 1, CA]);
});

Deno.test("secure() trusts the caller's certificates alone when load_default_certs is false", async () => {
  for (const caCerts of [[CA], undefined]) {
    const asked = await withContexts(
      () => ({ context: {} }),
      () => securedInMemory(undefined, { caCerts, load_default_certs: false, ...CLIENT }),
    );
    assertEquals(asked.map(({ ca, cert }) => [ca, cert]), [[caCerts ?? [], CLIENT.cert]]);
  }
});

for (const [host, name] of [["127.0.0.1", "127.0.0.1"], ["[::1]", "::1"]]) {
  Deno.test(`secure() sends no server name when the host is ${host}`, async () => {
    const { asked } = await securedInMemory(undefined, {}, host);
    assertEquals([asked.host, "servername" in asked], [name, false]);
  });
}

Deno.test("secure() tells what to close before the handshake is over", async () => {
  const socket = new MemorySocket();
  const below = new FakeTransport();
  await connectingTo(tls, socket, async () => {
    await assertRejects(
      () => secure(below, {}, "a.example", (transport) => transport.close()),
      Deno.errors.Interrupted,
    );
  });
  assertEquals([socket.destroyed, below.closed], [true, true]);
});

Deno.test("secure() closes everything when the handshake fails", async () => {
  const socket = new MemorySocket();
  const below = new FakeTransport();
  const reason = nodeError("CERT_HAS_EXPIRED");
  setImmediate(() => socket.emit("error", reason));
  await connectingTo(tls, socket, async () => {
    assertStrictEquals(
      await assertRejects(() => secure(below, {}, "a.example", () => {})),
      reason,
    );
  });
  assertEquals([socket.destroyed, below.closes], [true, 1]);
});

Deno.test("secure() throws Deno's class when the connection is reset within the handshake", async () => {
  const socket = new MemorySocket();
  setImmediate(() => socket.emit("error", nodeError("ECONNRESET")));
  await connectingTo(
    tls,
    socket,
    () =>
      assertRejects(
        () => secure(new FakeTransport(), {}, "a.example", () => {}),
        Deno.errors.ConnectionReset,
        "connection reset",
      ),
  );
});

Deno.test("close() closes what TLS runs over, even when that throws", async () => {
  const below = new FakeTransport();
  const close = below.close.bind(below);
  below.close = () => {
    close();
    throw new Error("mine");
  };
  const { socket, transport } = await securedInMemory(below);
  transport.close();
  assertEquals([socket.destroyed, below.closes], [true, 1]);
});

Deno.test("read() holds the process by what TLS runs over, too", async () => {
  const refs: string[] = [];
  const below = Object.assign(new FakeTransport(), {
    ref: () => void refs.push("ref"),
    unref: () => void refs.push("unref"),
  });
  const { socket, transport } = await securedInMemory(below);
  refs.splice(0);
  const read = readOnce(transport);
  await ticks();
  assertEquals(refs, ["ref"]);
  socket.push(bytes("a"));
  await read;
  assertEquals(refs, ["ref", "unref"]);
});

// A transport as a stream of Node's

/** The stream that TLS is given over a transport. */
async function duplexOver(below: Transport): Promise<Duplex> {
  const { asked } = await securedInMemory(below);
  return asked.socket as Duplex;
}

/** Waits for an event. */
function event(stream: Duplex, name: string): Promise<unknown> {
  return new Promise((resolve) => stream.once(name, resolve));
}

Deno.test("secure() reads a transport in pieces of up to 64 KiB, to its end", async () => {
  const sizes: number[] = [];
  const below = new FakeTransport(["one", "two"], { ended: true });
  const read = below.read.bind(below);
  below.read = (p) => {
    if (sizes.push(p.length) > 100) throw new Error("The transport is read again and again");
    return read(p);
  };
  const duplex = await duplexOver(below);
  const pieces: Uint8Array[] = [];
  duplex.on("data", (piece) => {
    if (pieces.push(piece) > 100) throw new Error("The transport gives more and more");
  });
  await event(duplex, "end");
  assertEquals(pieces.map(latin1), ["one", "two"]);
  assertEquals(sizes[0], 65536);
  duplex.destroy();
});

Deno.test("secure() passes on what a transport's read() fails with", async () => {
  const reason = new RangeError("mine");
  const below = new FakeTransport();
  below.read = () => Promise.reject(reason);
  const duplex = await duplexOver(below);
  const failed = event(duplex, "error");
  duplex.resume();
  assertStrictEquals(await failed, reason);
  assertEquals(below.closes, 1);
});

Deno.test("secure() writes all to a transport that takes a few bytes at a time", async () => {
  const below = new FakeTransport([], { most: 2 });
  below.onWrite = () => {
    if (below.writes.length > 100) throw new Error("The transport is written again and again");
  };
  const duplex = await duplexOver(below);
  await new Promise<void>((resolve) => duplex.write(bytes("abcde"), () => resolve()));
  assertEquals(below.writes, ["ab", "cd", "e"]);
  duplex.destroy();
});

Deno.test("secure() passes on what a transport's write() fails with", async () => {
  const reason = new RangeError("mine");
  const below = new FakeTransport();
  below.write = () => Promise.reject(reason);
  const duplex = await duplexOver(below);
  const failed = event(duplex, "error");
  duplex.write(bytes("a"));
  assertStrictEquals(await failed, reason);
});

Deno.test("secure() throws what a transport failed with first", async () => {
  const reason = new Deno.errors.ConnectionReset("first");
  const below = new FakeTransport();
  const read = Promise.withResolvers<never>();
  read.promise.catch(() => {});
  below.read = () => read.promise;
  below.write = () => {
    read.reject(reason);
    return Promise.reject(new Deno.errors.BrokenPipe("second"));
  };
  assertStrictEquals(
    await assertRejects(() => secure(below, TRUST, "localhost", () => {})),
    reason,
  );
});

Deno.test("secure() ends the sending side of a transport that can", async () => {
  let halfCloses = 0;
  const below = Object.assign(new FakeTransport(), {
    closeWrite() {
      halfCloses++;
      return Promise.resolve();
    },
  });
  const duplex = await duplexOver(below);
  await new Promise<void>((resolve) => duplex.end(() => resolve()));
  assertEquals([halfCloses, below.closes], [1, 0]);
  duplex.destroy();
});

for (
  const [what, closeWrite] of [
    ["cannot", undefined],
    ["fails to", () => Promise.reject(new Error("mine"))],
  ] as const
) {
  Deno.test(`secure() bears a transport that ${what} end its sending side`, async () => {
    const below = Object.assign(new FakeTransport(), { closeWrite });
    const duplex = await duplexOver(below);
    let failed = false;
    duplex.on("error", () => failed = true);
    await new Promise<void>((resolve) => duplex.end(() => resolve()));
    assertEquals(failed, false);
    duplex.destroy();
  });
}

Deno.test("secure() closes a transport, quietly, when its stream is destroyed", async () => {
  const below = new FakeTransport();
  const close = below.close.bind(below);
  below.close = () => {
    close();
    throw new Error("mine");
  };
  const duplex = await duplexOver(below);
  const failed = event(duplex, "error");
  const closed = event(duplex, "close");
  const reason = new RangeError("theirs");
  duplex.destroy(reason);
  assertStrictEquals(await failed, reason);
  await closed;
  assertEquals(below.closes, 1);
});

// On loopback

Deno.test("connect() comes from the source address", async () => {
  await using server = await startRaw(echo);
  const transport = await connectTo(server, { source: ["127.0.0.5", 0] });
  assertEquals((await server.peer(0)).remote?.hostname, "127.0.0.5");
  transport.close();
});

Deno.test({
  name: "connect() reaches an IPv6 address in brackets",
  ignore: !hasIPv6,
  fn: async () => {
    await using server = await startRaw(echo, { hostname: "::1" });
    const route = routeTo({ hostname: "[::1]", port: server.port }, { source: ["::1", 0] });
    const transport = await connect(route, SIGNAL);
    await transport.write(bytes("a"));
    assertEquals(await readOnce(transport), "a");
    transport.close();
  },
});

Deno.test("connect() throws ConnectionRefused when nobody listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assertRejects(
    () => connect(routeTo({ hostname: "127.0.0.1", port }), SIGNAL),
    Deno.errors.ConnectionRefused,
  );
});

Deno.test("connect() leaves the open socket alone when the signal aborts later", async () => {
  const controller = new AbortController();
  await using server = await startRaw(echo);
  const transport = await connect(routeTo(server), controller.signal);
  controller.abort();
  await transport.write(bytes("a"));
  assertEquals(await readOnce(transport), "a");
  transport.close();
});

Deno.test("read() throws ConnectionReset when the server resets the connection", async () => {
  const script = async (peer: Peer) => {
    await peer.read();
    peer.reset();
  };
  await using server = await startRaw(script, { resettable: true });
  const transport = await connectTo(server);
  await transport.write(bytes("a"));
  await assertRejects(() => readOnce(transport), Deno.errors.ConnectionReset);
  transport.close();
});

Deno.test("read() gives all of 1 MB that a server sends, then null", async () => {
  await using server = await startRaw((peer) => peer.send(new Uint8Array(1_000_000)));
  const transport = await connectTo(server);
  let total = 0;
  const target = new Uint8Array(30_000);
  for (let count; (count = await transport.read(target)) !== null;) total += count;
  assertEquals(total, 1_000_000);
  transport.close();
});

Deno.test("closeWrite() ends the sending side only", async () => {
  await using server = await startRaw(async (peer) => {
    assertEquals(latin1(await peer.eof()), "hello");
    await peer.send("late");
  });
  const transport = await connectTo(server);
  await transport.write(bytes("hello"));
  await transport.closeWrite!();
  assertEquals([await readOnce(transport), await readOnce(transport)], ["late", null]);
  transport.close();
});

Deno.test("close() ends a read and a write that are pending on a real socket", async () => {
  await using server = await startRaw((peer) => peer.readUntil("never").then(() => {}));
  const transport = await connectTo(server);
  const reading = assertRejects(() => readOnce(transport), Deno.errors.Interrupted);
  await ticks();
  transport.close();
  await reading;
});

Deno.test("close() ends a write that the server does not take", async () => {
  const release = Promise.withResolvers<void>();
  await using server = await startRaw(() => release.promise);
  const transport = await connectTo(server);
  const writing = assertRejects(
    () => transport.write(new Uint8Array(50_000_000)),
    Deno.errors.Interrupted,
  );
  await ticks();
  transport.close();
  await writing;
  release.resolve();
  await server.idle();
});

/** Runs a program that uses a connection to this server; gives what it prints until it ends by itself. */
async function runWith(server: RawServer, program: string): Promise<string> {
  const path = new URL("../../_internal/net/node_sockets.ts", import.meta.url).href;
  const route = JSON.stringify(routeTo(server));
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-check",
      "--ext=ts",
      `import { connect } from ${JSON.stringify(path)};
      const transport = await connect(${route}, new AbortController().signal);
      const late = setTimeout(() => { console.log("held"); Deno.exit(1); }, 5000);
      Deno.unrefTimer(late);
      const p = new Uint8Array(10);
      ${program}`,
    ],
  }).output();
  return new TextDecoder().decode(stdout);
}

Deno.test("connect() gives a transport that does not hold the process while nobody reads", async () => {
  await using server = await startRaw(echo);
  const program = `await transport.write(p);
    console.log(await transport.read(p));`;
  assertEquals(await runWith(server, program), "10\n");
});

/** Each way from TCP to TLS. */
const OVER: [
  what: string,
  open: (server: RawServer) => Promise<Transport>,
  kind: "node" | "other",
][] = [
  ["a socket of Node's", connectTo, "node"],
  [
    "a transport of the user's",
    ({ hostname, port }) => Deno.connect({ hostname, port }),
    "other",
  ],
];

for (const [what, openTo, kind] of OVER) {
  Deno.test(`secure() carries bytes both ways over ${what}`, async () => {
    await using server = await startRawTls(echo);
    const transport = await secure(await openTo(server), TRUST, "localhost", () => {}, kind);
    await transport.write(bytes("hello"));
    assertEquals(await readOnce(transport), "hello");
    await transport.closeWrite!();
    assertEquals(await readOnce(transport), null);
    transport.close();
  });

  for (
    const [trouble, pair, meaning] of [
      ["another name", WRONG_NAME, "ERR_TLS_CERT_ALTNAME_INVALID"],
      ["an unknown issuer", UNKNOWN_ISSUER, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ] as const
  ) {
    Deno.test(`secure() refuses a certificate of ${trouble} over ${what}`, async () => {
      await using server = await startRawTls(echo, { pair });
      const below = await openTo(server);
      const error = await assertRejects(
        () => secure(below, TRUST, "localhost", () => {}, kind),
        Error,
      );
      assertEquals((error as { code?: string }).code, meaning);
    });

    Deno.test(`secure() accepts a certificate of ${trouble} with CERT_NONE over ${what}`, async () => {
      await using server = await startRawTls(echo, { pair });
      const context: TLSContext = { verify_mode: "CERT_NONE" };
      const transport = await secure(await openTo(server), context, "localhost", () => {}, kind);
      await transport.write(bytes("a"));
      assertEquals(await readOnce(transport), "a");
      transport.close();
    });
  }
}

Deno.test("secure() accepts another name when check_hostname is false", async () => {
  await using server = await startRawTls(echo, { pair: WRONG_NAME });
  const context: TLSContext = { ...TRUST, check_hostname: false };
  const transport = await secure(await connectTo(server), context, "localhost", () => {});
  transport.close();
});

Deno.test("secure() shows the client's certificate", async () => {
  const seen = Promise.withResolvers<string>();
  const closed = Promise.withResolvers<void>();
  const server = tls.createServer(
    { ...LOCALHOST, ca: CA, requestCert: true },
    (socket) => {
      seen.resolve((socket.getPeerCertificate().subject as { CN: string }).CN);
      socket.on("error", () => {}).on("close", () => closed.resolve()).resume();
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const below = await connect(routeTo({ hostname: "127.0.0.1", port }), SIGNAL);
  const transport = await secure(below, { ...TRUST, ...CLIENT }, "localhost", () => {});
  assertEquals(await seen.promise, "http-client test client");
  transport.close();
  await closed.promise;
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

Deno.test("close() closes a transport under TLS once", async () => {
  await using server = await startRawTls(echo);
  const conn = await Deno.connect({ hostname: server.hostname, port: server.port });
  let closes = 0;
  const below: Transport = {
    read: (p) => conn.read(p),
    write: (p) => conn.write(p),
    close() {
      closes++;
      if (closes === 1) conn.close();
    },
  };
  const transport = await secure(below, TRUST, "localhost", () => {});
  transport.close();
  await server.idle();
  await ticks();
  assertEquals(closes, 1);
});

Deno.test("read() listens to the socket once, however often it is called", async () => {
  const { socket, transport } = await inMemory();
  for (const text of ["a", "b", "c"]) {
    const reading = transport.read(new Uint8Array(10));
    socket.push(bytes(text));
    assertEquals(await reading, 1);
  }
  assertEquals(socket.listenerCount("readable"), 1);
  transport.close();
});
