/**
 * A server that refuses, misses or resets at any moment of a handshake or after it: each way of doing TLS
 * tells the same, leaves nothing open, and the process goes on.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import type net from "node:net";
import tls from "node:tls";
import { HTTPSConnection, type HTTPSConnectionOptions } from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { ok } from "../helpers/fake_transport.ts";
import { outputOf } from "../helpers/programs.ts";
import { relayTo } from "../helpers/relay.ts";
import { thrown } from "../helpers/waiting.ts";
import { delay } from "../servers/child.ts";
import { messages } from "../servers/data.ts";
import { type Peer, type Script, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT, LOCALHOST, UNKNOWN_CA, UNKNOWN_CLIENT } from "../tls/mod.ts";

type ErrorClass = new (message: string) => Error;

/** The ways of doing TLS: the options that lead to them, and whether the socket is one of Node's at the end. */
const WAYS: [way: string, options: (port: number) => HTTPSConnectionOptions][] = [
  ["Deno's TLS", () => ({ context: { caCerts: [CA] } })],
  ["a client certificate", () => ({ context: { caCerts: [CA], ...CLIENT } })],
  ["pinned certificates", () => ({ context: { caCerts: [CA], load_default_certs: false } })],
  ["a source address", () => ({ context: { caCerts: [CA] }, source_address: ["127.0.0.5", 0] })],
  [
    "a transport",
    (port) => ({
      context: { caCerts: [CA] },
      transport: () => Deno.connect({ hostname: "127.0.0.1", port }),
    }),
  ],
];
/** Those whose handshake leaves nothing when it is given up. */
const CLOSING = WAYS.slice(1);

/** Answers requests as long as they come. */
async function serve(peer: Peer): Promise<void> {
  for (;;) {
    await peer.readRequest();
    await peer.send(ok("fine"));
  }
}

// The handshake

const ALERT = Uint8Array.of(21, 3, 3, 0, 2, 2, 40);
const BEGINNING_OF_A_RECORD = Uint8Array.of(22, 3, 3, 0, 200, 2, 0);

const HANDSHAKES: [what: string, script: Script, constructor: ErrorClass, says: string][] = [
  [
    "ends before a word",
    () => {},
    Deno.errors.UnexpectedEof,
    "the server closed the connection",
  ],
  [
    "ends after the client's hello",
    async (peer) => void await peer.read(),
    Deno.errors.UnexpectedEof,
    "the server closed the connection",
  ],
  [
    "ends within a record",
    async (peer) => {
      await peer.read();
      await peer.send(BEGINNING_OF_A_RECORD);
    },
    Deno.errors.UnexpectedEof,
    "the server closed the connection",
  ],
  [
    "resets after the client's hello",
    async (peer) => {
      await peer.read();
      peer.reset();
    },
    Deno.errors.ConnectionReset,
    "the connection was reset",
  ],
  [
    "resets within a record",
    async (peer) => {
      await peer.read();
      await peer.send(BEGINNING_OF_A_RECORD);
      await delay(20);
      peer.reset();
    },
    Deno.errors.ConnectionReset,
    "the connection was reset",
  ],
  [
    "sends an alert",
    async (peer) => {
      await peer.read();
      await peer.send(ALERT);
      await peer.eof();
    },
    Deno.errors.InvalidData,
    "received fatal alert: HandshakeFailure",
  ],
  [
    "speaks plain HTTP",
    async (peer) => {
      await peer.read();
      await peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
      await peer.eof();
    },
    Deno.errors.InvalidData,
    "the server does not speak TLS on this port",
  ],
];

for (const [way, options] of WAYS) {
  for (const [what, script, constructor, says] of HANDSHAKES) {
    Deno.test(`connect() throws ${constructor.name} when the server ${what} (${way})`, async () => {
      await using bad = await startRaw(script, { resettable: true });
      await using good = await startRawTls(serve);
      using conn = new HTTPSConnection("localhost", bad.port, options(bad.port));
      const error = await assertRejects(() => conn.connect(), constructor);
      const expected = `Cannot establish TLS with localhost:${bad.port}: ${says}`;
      assert(error.message.startsWith(expected), messages(error));
      assertInstanceOf(error.cause, Error);
      const reset = constructor === Deno.errors.ConnectionReset;
      if (reset) assertEquals((error as { code?: string }).code, "ECONNRESET");
      assertEquals([conn.sock, conn.lastFailure?.phase], [null, "tls"]);
      await bad.idle();
      using next = new HTTPSConnection("localhost", good.port, options(good.port));
      assertEquals(await getText(next), "fine");
    });
  }
}

/** How a handshake is given up. */
const ENDS: [how: string, end: (conn: HTTPSConnection, abort: () => void) => void][] = [
  ["is closed", (conn) => conn.close()],
  ["is disposed of", (conn) => conn[Symbol.dispose]()],
  ["is aborted", (_conn, abort) => abort()],
  ["takes too long", () => {}],
];

for (const [how, end] of ENDS) {
  for (const [way, options] of CLOSING) {
    Deno.test(`a handshake that ${how} leaves no socket (${way})`, async () => {
      const greeted = Promise.withResolvers<void>();
      await using silent = await startRaw(async (peer) => {
        await peer.read();
        greeted.resolve();
        await peer.eof();
      });
      const timeout = how === "takes too long" ? 0.1 : null;
      using conn = new HTTPSConnection("localhost", silent.port, {
        ...options(silent.port),
        timeout,
      });
      const controller = new AbortController();
      const requesting = thrown(conn.request("GET", "/", null, {}, { signal: controller.signal }));
      await greeted.promise;
      end(conn, () => controller.abort());
      await requesting;
      await silent.idle();
    });
  }
}

Deno.test("a handshake of Deno's own TLS that is given up keeps its socket until the server ends it", async () => {
  const greeted = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  let ended = false;
  await using silent = await startRaw(async (peer) => {
    await peer.read();
    greeted.resolve();
    await Promise.race([peer.eof().then(() => ended = true), release.promise]);
  });
  using conn = new HTTPSConnection("localhost", silent.port);
  const connecting = thrown(conn.connect());
  await greeted.promise;
  conn.close();
  await connecting;
  // Deno: what does the handshake holds the socket, and nothing ends it. This test may go when it fails.
  await delay(50);
  assertEquals(ended, false);
  release.resolve();
  await silent.idle();
});

for (const [way, options] of WAYS.filter(([, make]) => make(0).transport === undefined)) {
  Deno.test(`a handshake that is given up does not keep the process alive (${way})`, async () => {
    const release = Promise.withResolvers<void>();
    await using silent = await startRaw(() => release.promise);
    const output = await outputOf(
      ["--allow-net=localhost,127.0.0.5"],
      `const options = ${JSON.stringify(options(silent.port))};
      const conn = new http.HTTPSConnection("localhost", ${silent.port}, {
        ...options,
        timeout: 0.1,
      });
      await conn.connect().catch((error) => console.log(error.name));`,
    );
    release.resolve();
    assertEquals(output, "TimedOut");
  });
}

// After the handshake

/** A TLS server whose connections go through a proxy that can cut them off or reset them. */
async function startCut(script: Script, cut: (peer: Peer, port: number) => Promise<void>) {
  const server = await startRawTls(script);
  const cutter = await startRaw((peer) => cut(peer, server.port), { resettable: true });
  return {
    port: cutter.port,
    async [Symbol.asyncDispose](): Promise<void> {
      await cutter[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

for (const [way, options] of WAYS) {
  Deno.test(`read() throws ConnectionReset when a body until close ends by a reset (${way})`, async () => {
    const read = Promise.withResolvers<void>();
    await using server = await startCut(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\n\r\nhalf");
      await peer.eof();
    }, async (peer, port) => {
      await Promise.race([relayTo(port)(peer), read.promise]);
      peer.reset();
    });
    using conn = new HTTPSConnection("localhost", server.port, options(server.port));
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    assertEquals((await response.read(4)).length, 4);
    read.resolve();
    const error = await assertRejects(() => response.read(), Deno.errors.ConnectionReset);
    assertEquals(error.message, "connection reset");
    assertEquals((error as { code?: string }).code, "ECONNRESET");
    assertEquals(conn.lastFailure?.phase, "body");
  });

  Deno.test(`request() throws ConnectionReset when the server resets while it sends (${way})`, async () => {
    const over = Promise.withResolvers<void>();
    await using server = await startCut(async (peer) => {
      await peer.readHead();
      // Nothing more is read: the rest of the request fills what lies between.
      await over.promise;
    }, async (peer, port) => {
      await Promise.race([relayTo(port)(peer), delay(300)]);
      peer.reset();
    });
    using conn = new HTTPSConnection("localhost", server.port, options(server.port));
    const error = await assertRejects(
      () => conn.request("PUT", "/", new Uint8Array(30_000_000)),
      Deno.errors.ConnectionReset,
    );
    over.resolve();
    assertEquals((error as { code?: string }).code, "ECONNRESET");
    const { phase, requestBytesSent } = conn.lastFailure!;
    assertEquals(phase, "send");
    assert(requestBytesSent < 30_000_000, `${requestBytesSent} bytes are said to be sent`);
  });
}

for (const given of [new Error("mine"), "mine", { mine: true }, undefined]) {
  for (const call of ["read", "write"] as const) {
    Deno.test(`connect() throws what ${call}() of a transport below TLS does: ${String(given)}`, async () => {
      const transport = {
        read: () => call === "read" ? Promise.reject(given) : new Promise<never>(() => {}),
        write: (p: Uint8Array) =>
          call === "write" ? Promise.reject(given) : Promise.resolve(p.length),
        close() {},
      };
      using conn = new HTTPSConnection("localhost", {
        transport: () => Promise.resolve(transport),
      });
      const before = Deno.inspect(given);
      assertEquals(await thrown(conn.connect()), given);
      assertEquals(Deno.inspect(given).split("\n")[0], before.split("\n")[0]);
      if (given instanceof Error) assertEquals(Object.keys(given), []);
      assertEquals(conn.lastFailure?.phase, "tls");
    });
  }
}

// Client certificates that the server refuses: TLS 1.3 says so after the handshake

/** Makes a request and prints what becomes of it, a moment after. */
const REQUEST = `
  let said;
  try {
    await conn.request("GET", "/");
    said = "status " + (await conn.getresponse()).status;
  } catch (error) {
    said = error.name + ": " + error.message;
  }
  conn.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  console.log(said);`;

for (
  const [what, options] of [
    ["of another CA", { context: { caCerts: [CA], ...UNKNOWN_CLIENT } }],
    ["that is missing", { context: { caCerts: [CA], load_default_certs: false } }],
    ["that is missing, with Deno's TLS", { context: { caCerts: [CA] } }],
  ] as const
) {
  Deno.test(`a client certificate ${what} that the server refuses does not end the process`, async () => {
    const server = tls.createServer({
      ...LOCALHOST,
      ca: CA,
      requestCert: true,
      rejectUnauthorized: true,
    }, (socket) => void socket.on("error", () => {}).end());
    server.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as net.AddressInfo;
    const text = `
      const conn = new http.HTTPSConnection("localhost", ${port}, ${JSON.stringify(options)});
      ${REQUEST}`;
    const outputs = await Promise.all(
      Array.from({ length: 4 }, () => outputOf(["--allow-net=localhost"], text)),
    );
    await new Promise<void>((resolve) => server.close(() => resolve()));
    for (const output of outputs) {
      assert(
        /^(InvalidData|ConnectionReset|RemoteDisconnected|UnexpectedEof): /.test(output),
        output,
      );
    }
  });
}

// What is trusted

/** A program that connects to a server in each of the ways, with this context. */
function connecting(port: number, context: object): string {
  return `
    const context = ${JSON.stringify(context)}, port = ${port};
    const transport = () => Deno.connect({ hostname: "localhost", port });
    for (const more of [
      { context },
      { context: { ...context, ...${JSON.stringify(CLIENT)} } },
      { context, source_address: ["127.0.0.5", 0] },
      { context, transport },
    ]) {
      const conn = new http.HTTPSConnection("localhost", port, more);
      console.log(await conn.connect().then(() => "trusted", (error) => error.message));
      conn.close();
    }`;
}

const NET = ["--allow-net=localhost,127.0.0.5"];

Deno.test("caCerts are trusted beside the default certificates, whatever may be read", async () => {
  await using server = await startRawTls(serve);
  await using ca = await pemFile(CA);
  const text = connecting(server.port, { caCerts: [UNKNOWN_CA] });
  const output = await outputOf(NET, text, { DENO_CERT: ca.path });
  assertEquals(output.split("\n"), ["trusted", "trusted", "trusted", "trusted"]);
});

Deno.test("load_default_certs: false trusts caCerts alone", async () => {
  await using server = await startRawTls(serve);
  await using ca = await pemFile(CA);
  const context = { caCerts: [UNKNOWN_CA], load_default_certs: false };
  const text = connecting(server.port, context);
  const output = await outputOf(NET, text, { DENO_CERT: ca.path });
  assertEquals(
    output.split("\n").map((line) => line.includes("its issuer is not trusted")),
    [true, true, true, true],
  );
});

Deno.test("--unsafely-ignore-certificate-errors holds for Deno's own TLS alone", async () => {
  await using server = await startRawTls(serve);
  const text = connecting(server.port, {});
  const output = await outputOf([...NET, "--unsafely-ignore-certificate-errors"], text);
  const lines = output.split("\n").filter((line) => !line.startsWith("DANGER"));
  assertEquals(
    lines.map((line) => line === "trusted" || line.includes("its issuer is not trusted")),
    [true, true, true, true],
  );
  assertEquals(lines.map((line) => line === "trusted"), [true, false, false, false]);
});

/** A file with this certificate. */
async function pemFile(pem: string) {
  const path = await Deno.makeTempFile({ suffix: ".pem" });
  await Deno.writeTextFile(path, pem);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}
