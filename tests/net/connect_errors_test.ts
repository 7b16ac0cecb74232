/**
 * Errors of opening a connection: one class and one wording for each cause, whichever runtime's socket
 * met it.
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
  asDenoError,
  asTlsError,
  connectError,
  shownPeer,
  tlsError,
  writeError,
} from "../../_internal/net/connect_errors.ts";
import {
  BadStatusLine,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  RemoteDisconnected,
  TunnelError,
} from "../../mod.ts";
import { ok } from "../helpers/fake_transport.ts";
import { outputOf } from "../helpers/programs.ts";
import { hasIPv6 } from "../helpers/sockets.ts";
import { type Script, startRaw } from "../servers/raw.ts";
import { CLIENT } from "../tls/mod.ts";

// deno-lint-ignore no-explicit-any -- constructors of errors take different arguments
type ErrorClass = new (...given: any[]) => Error;

/** An error as Node's are. */
function nodeError(code: string, message = "mine", rest = {}): Error {
  return Object.assign(new Error(message), { code, ...rest });
}

const codeOf = (error: unknown) => (error as { code?: string }).code;

// asDenoError()

const CODES: [code: string, constructor: ErrorClass, message: string][] = [
  ["ECONNREFUSED", Deno.errors.ConnectionRefused, "Connection refused (os error 7)"],
  ["ECONNRESET", Deno.errors.ConnectionReset, "Connection reset by peer (os error 7)"],
  ["ECONNABORTED", Deno.errors.ConnectionAborted, "Software caused connection abort (os error 7)"],
  ["EPIPE", Deno.errors.BrokenPipe, "Broken pipe (os error 7)"],
  ["ETIMEDOUT", Deno.errors.TimedOut, "Connection timed out (os error 7)"],
  ["EADDRINUSE", Deno.errors.AddrInUse, "Address already in use (os error 7)"],
  ["EADDRNOTAVAIL", Deno.errors.AddrNotAvailable, "Cannot assign requested address (os error 7)"],
  ["ENOENT", Deno.errors.NotFound, "No such file or directory (os error 7)"],
  ["EACCES", Deno.errors.PermissionDenied, "Permission denied (os error 7)"],
  ["EPERM", Deno.errors.PermissionDenied, "Operation not permitted (os error 7)"],
  ["ENETUNREACH", Deno.errors.NetworkUnreachable, "Network is unreachable (os error 7)"],
  ["EHOSTUNREACH", Error, "No route to host (os error 7)"],
];

for (const [code, constructor, message] of CODES) {
  Deno.test(`asDenoError() gives ${constructor.name} with its code when Node's is ${code}`, () => {
    const reason = nodeError(code, "mine", { errno: -7 });
    const error = asDenoError(reason);
    assertInstanceOf(error, constructor);
    assertEquals([error.message, codeOf(error)], [message, code]);
    assertStrictEquals(error.cause, reason);
  });
}

Deno.test("asDenoError() takes a write that was cancelled for a reset", () => {
  const error = asDenoError(nodeError("ECANCELED", "write ECANCELED", { errno: -125 }));
  assertInstanceOf(error, Deno.errors.ConnectionReset);
  assertEquals([error.message, codeOf(error)], ["Connection reset by peer", "ECONNRESET"]);
});

Deno.test("asDenoError() takes a source address that has the connection already for one in use", () => {
  const error = asDenoError(nodeError("EINVAL", "connect EINVAL", { syscall: "connect" }));
  assertInstanceOf(error, Deno.errors.AddrInUse);
  assertEquals(codeOf(error), "EADDRINUSE");
});

Deno.test("connectError() and tlsError() take a socket that is not connected any more for a reset", () => {
  const reason = Object.assign(new Deno.errors.NotConnected("Transport endpoint"), {
    code: "ENOTCONN",
  });
  for (const told of [connectError(reason, "Cannot a"), tlsError(reason, "Cannot a")]) {
    assertInstanceOf(told, Deno.errors.ConnectionReset);
    assertEquals([told.message, codeOf(told)], [
      "Cannot a: the connection was reset",
      "ECONNRESET",
    ]);
    assertStrictEquals(told.cause, reason);
  }
});

Deno.test("asDenoError() takes an address that cannot be bound for one of another machine", () => {
  const error = asDenoError(nodeError("EINVAL", "bind EINVAL 10.9.9.9", { syscall: "bind" }));
  assertInstanceOf(error, Deno.errors.AddrNotAvailable);
  assertEquals(codeOf(error), "EADDRNOTAVAIL");
});

for (
  const [code, message] of [
    ["ECONNRESET", "connection reset"],
    ["EPIPE", "broken pipe"],
  ]
) {
  Deno.test(`asDenoError() words ${code} as Deno's TLS does when the socket is one of TLS`, () => {
    assertEquals((asDenoError(nodeError(code, "", { errno: -1 }), true) as Error).message, message);
  });
}

Deno.test("asDenoError() gives InvalidData when the peer has sent an alert", () => {
  const reason = nodeError("ERR_SSL_ALERT", "received fatal alert: CertificateRequired");
  const error = asDenoError(reason, true);
  assertInstanceOf(error, Deno.errors.InvalidData);
  assertEquals([error.message, codeOf(error)], [reason.message, "ERR_SSL_ALERT"]);
});

for (
  const message of [
    "cannot decrypt peer's message",
    "received corrupt message of type InvalidContentType",
    "received unexpected message: got Alert when expecting Handshake",
    "peer misbehaved: TooManyEmptyFragments",
    "peer is incompatible: NoCipherSuitesInCommon",
    "peer sent excess record size",
    "invalid peer certificate: BadEncoding",
  ]
) {
  Deno.test(`asDenoError() gives InvalidData when TLS says ${JSON.stringify(message)}`, () => {
    const error = asDenoError(new Error(message), true);
    assertInstanceOf(error, Deno.errors.InvalidData);
    assertEquals([error.message, (error.cause as Error).message], [message, message]);
  });
}

Deno.test("asDenoError() takes an end within the handshake for an end", () => {
  const message = "Client network socket disconnected before secure TLS connection was established";
  const error = asDenoError(nodeError("ECONNRESET", message), true);
  assertInstanceOf(error, Deno.errors.UnexpectedEof);
  assertEquals(codeOf(error), undefined);
});

for (
  const error of [
    nodeError("EOTHER"),
    nodeError("EINVAL"),
    new Error("mine"),
    new Deno.errors.NotFound("mine"),
    Object.assign(new Deno.errors.ConnectionReset("mine"), { code: "EPIPE" }),
    { code: "EPIPE" },
    "mine",
    undefined,
  ]
) {
  Deno.test(`asDenoError() leaves ${Deno.inspect(error).split("\n")[0]} as it is`, () => {
    assertStrictEquals(asDenoError(error), error);
  });
}

// writeError(), asTlsError()

const UNIX = { remoteAddr: { transport: "unix", path: "/run/socket" } };

for (
  const [said, told] of [["Broken pipe (os error 32)", "Connection reset by peer"], [
    "broken pipe",
    "connection reset",
  ]]
) {
  Deno.test(`writeError() gives ConnectionReset when a socket says "${said}"`, () => {
    const reason = new Deno.errors.BrokenPipe(said);
    const error = writeError(reason, {});
    assertInstanceOf(error, Deno.errors.ConnectionReset);
    assertEquals([error.message, codeOf(error)], [told, "ECONNRESET"]);
    assertStrictEquals(error.cause, reason);
  });
}

Deno.test("writeError() leaves the broken pipe of a unix socket, which knows no resets", () => {
  const reason = new Deno.errors.BrokenPipe("mine");
  assertStrictEquals(writeError(reason, UNIX), reason);
});

Deno.test("writeError() leaves other errors as they are", () => {
  for (const error of [new Deno.errors.ConnectionReset("mine"), new Error("mine"), "mine", null]) {
    assertStrictEquals(writeError(error, {}), error);
  }
});

for (const constructor of [Deno.errors.ConnectionReset, Deno.errors.BrokenPipe]) {
  Deno.test(`asTlsError() words ${constructor.name} below TLS as Deno's TLS does`, () => {
    const reason = new constructor("Mine");
    const error = asTlsError(reason, {});
    assertInstanceOf(error, Deno.errors.ConnectionReset);
    assertEquals([error.message, codeOf(error)], ["connection reset", "ECONNRESET"]);
    assertStrictEquals(error.cause, reason);
  });
}

Deno.test("asTlsError() leaves other errors as they are", () => {
  const reason = new Deno.errors.Interrupted("mine");
  assertStrictEquals(asTlsError(reason, {}), reason);
});

// shownPeer(), connectError()

for (
  const [host, shown] of [["a.example", "a.example:80"], ["::1", "[::1]:80"], ["[::1]", "[::1]:80"]]
) {
  Deno.test(`shownPeer() shows ${host} as ${shown}`, () => {
    assertEquals(shownPeer(host, 80), shown);
  });
}

const withCode = (error: Error, code: string) => Object.assign(error, { code });

const CONNECT_ERRORS: [error: Error, constructor: ErrorClass, meaning: string][] = [
  [
    withCode(
      new Deno.errors.ConnectionRefused("Connection refused (os error 111)"),
      "ECONNREFUSED",
    ),
    Deno.errors.ConnectionRefused,
    "the connection was refused",
  ],
  [
    withCode(new Deno.errors.NotFound("No such file or directory (os error 2)"), "ENOENT"),
    Deno.errors.NotFound,
    "there is no such socket",
  ],
  [
    nodeError("EHOSTUNREACH", "No route to host (os error 113)"),
    Error,
    "there is no route to the host",
  ],
  [
    new Deno.errors.NotCapable('Requires net access to "a:1"'),
    Deno.errors.NotCapable,
    'Requires net access to "a:1"',
  ],
  [new TypeError("mine"), TypeError, "mine"],
  [new URIError("invalid host"), URIError, "invalid host"],
  [new Error("mine"), Error, "mine"],
];

for (const [reason, constructor, meaning] of CONNECT_ERRORS) {
  Deno.test(`connectError() says "${meaning}" when the error is ${reason}`, () => {
    const error = connectError(reason, "Cannot connect to a:1");
    assertInstanceOf(error, constructor);
    assertStrictEquals(error.constructor, constructor);
    assertEquals(
      [error.message, codeOf(error)],
      [`Cannot connect to a:1: ${meaning}`, codeOf(reason)],
    );
    assertStrictEquals(error.cause, reason);
  });
}

for (
  const [reason, code] of [
    [new Error("failed to lookup address information: Name or service not known"), "ENOTFOUND"],
    [nodeError("ENOTFOUND", "getaddrinfo ENOTFOUND a.invalid"), "ENOTFOUND"],
    [nodeError("EAI_AGAIN", "getaddrinfo EAI_AGAIN a.invalid"), "EAI_AGAIN"],
  ] as const
) {
  Deno.test(`connectError() gives NotFound when a name cannot be resolved: ${reason.message}`, () => {
    const error = connectError(reason, "Cannot connect to a.invalid:1");
    assertInstanceOf(error, Deno.errors.NotFound);
    assertEquals(
      [error.message, codeOf(error)],
      ["Cannot connect to a.invalid:1: the name of the host has no address", code],
    );
    assertStrictEquals(error.cause, reason);
  });
}

Deno.test("connectError() and tlsError() leave what is no error", () => {
  for (const reason of ["mine", null, undefined, { message: "mine" }]) {
    assertStrictEquals(connectError(reason, "Cannot connect"), reason);
    assertStrictEquals(tlsError(reason, "Cannot establish TLS"), reason);
  }
});

// tlsError()

const invalid = (message: string) => new Deno.errors.InvalidData(message);

/** What TLS implementations say, and what it means. */
const EXPLANATIONS: [error: Error, meaning: string][] = [
  [invalid("invalid peer certificate: UnknownIssuer"), "refused, its issuer is not trusted ("],
  [nodeError("DEPTH_ZERO_SELF_SIGNED_CERT"), "refused, its issuer is not trusted ("],
  [
    nodeError("UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
    "refused, its issuer is not trusted, or it has expired (",
  ],
  [
    new Error("unable to verify the first certificate"),
    "refused, its issuer is not trusted, or it has expired (",
  ],
  [
    new Error("unable to get local issuer certificate"),
    "refused, its issuer is not trusted, or it has expired (",
  ],
  [invalid("invalid peer certificate: certificate expired: ..."), "refused, it has expired ("],
  [nodeError("CERT_HAS_EXPIRED"), "refused, it has expired ("],
  [
    invalid("invalid peer certificate: certificate not valid yet"),
    "refused, it is not valid yet (",
  ],
  [nodeError("CERT_NOT_YET_VALID"), "refused, it is not valid yet ("],
  [invalid('certificate not valid for name "a"'), "refused, it is for another name ("],
  [invalid("certificate not valid for any name"), "refused, it is for another name ("],
  [nodeError("ERR_TLS_CERT_ALTNAME_INVALID"), "refused, it is for another name ("],
  [
    invalid("invalid peer certificate: CaUsedAsEndEntity"),
    "refused, it is a CA's own certificate (",
  ],
  [
    invalid("received corrupt message of type InvalidContentType"),
    "does not speak TLS on this port (",
  ],
  [new Error("ssl: wrong version number"), "does not speak TLS on this port ("],
  [new Error("SSL: PACKET LENGTH too long"), "does not speak TLS on this port ("],
  [invalid("received fatal alert: HandshakeFailure"), "a.example:443: received fatal alert"],
];

const ACTION = "Cannot establish TLS with a.example:443";

for (const [reason, meaning] of EXPLANATIONS) {
  const said = `${codeOf(reason) ?? ""} ${reason.message}`.trim();
  Deno.test(`tlsError() says what it means when the error is "${said}"`, () => {
    const error = tlsError(reason, ACTION);
    assertInstanceOf(error, Deno.errors.InvalidData);
    assert(error.message.startsWith(`${ACTION}: `), error.message);
    assert(error.message.includes(meaning), error.message);
    assert(error.message.includes(reason.message), error.message);
    assertEquals(codeOf(error), codeOf(reason));
    assertStrictEquals(error.cause, reason);
  });
}

for (
  const [reason, constructor, meaning] of [
    [
      new Deno.errors.UnexpectedEof("mine"),
      Deno.errors.UnexpectedEof,
      "the server closed the connection",
    ],
    [
      new Deno.errors.ConnectionReset("mine"),
      Deno.errors.ConnectionReset,
      "the connection was reset",
    ],
    [new Deno.errors.BrokenPipe("mine"), Deno.errors.ConnectionReset, "the connection was reset"],
    [new TypeError("mine"), TypeError, "mine"],
    [new Error("mine"), Error, "mine"],
  ] as const
) {
  Deno.test(`tlsError() gives ${constructor.name} when the error is ${reason}`, () => {
    const error = tlsError(reason, ACTION);
    assertInstanceOf(error, constructor);
    assertEquals(error.message, `${ACTION}: ${meaning}`);
    assertStrictEquals(error.cause, reason);
  });
}

// Over loopback: what a user of the library gets

/** A port of this machine's that nobody listens on. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

const PORT = freePort();
const FROM: HTTPConnectionOptions = { source_address: ["127.0.0.1", 0] };

const REFUSALS: [
  what: string,
  conn: () => HTTPConnection,
  constructor: ErrorClass,
  message: string,
  code: string,
][] = [
  [
    "nobody listens",
    () => new HTTPConnection("127.0.0.1", PORT),
    Deno.errors.ConnectionRefused,
    `Cannot connect to 127.0.0.1:${PORT}: the connection was refused`,
    "ECONNREFUSED",
  ],
  [
    "nobody listens, from a source address",
    () => new HTTPConnection("127.0.0.1", PORT, FROM),
    Deno.errors.ConnectionRefused,
    `Cannot connect to 127.0.0.1:${PORT} from 127.0.0.1: the connection was refused`,
    "ECONNREFUSED",
  ],
  [
    "nobody listens, from any source address",
    () => new HTTPConnection("127.0.0.1", PORT, { source_address: ["", 0] }),
    Deno.errors.ConnectionRefused,
    `Cannot connect to 127.0.0.1:${PORT}: the connection was refused`,
    "ECONNREFUSED",
  ],
  [
    "nobody listens, over TLS with a client certificate",
    () => new HTTPSConnection("127.0.0.1", PORT, { context: CLIENT }),
    Deno.errors.ConnectionRefused,
    `Cannot connect to 127.0.0.1:${PORT}: the connection was refused`,
    "ECONNREFUSED",
  ],
  [
    "nobody listens at an IPv6 address",
    () => new HTTPConnection("[::1]", PORT),
    Deno.errors.ConnectionRefused,
    `Cannot connect to [::1]:${PORT}: the connection was refused`,
    "ECONNREFUSED",
  ],
  [
    "nobody listens at the address",
    () => new HTTPConnection("a.example", { address: `127.0.0.1:${PORT}` }),
    Deno.errors.ConnectionRefused,
    `Cannot connect to 127.0.0.1:${PORT}: the connection was refused`,
    "ECONNREFUSED",
  ],
  [
    "the name is unknown",
    () => new HTTPConnection("no-such-host.invalid", 81),
    Deno.errors.NotFound,
    "Cannot connect to no-such-host.invalid:81: the name of the host has no address",
    "ENOTFOUND",
  ],
  [
    "the name is unknown, from a source address",
    () => new HTTPConnection("no-such-host.invalid", 81, FROM),
    Deno.errors.NotFound,
    "Cannot connect to no-such-host.invalid:81 from 127.0.0.1: the name of the host has no address",
    "ENOTFOUND",
  ],
  [
    "the source address is another machine's",
    () => new HTTPConnection("127.0.0.1", PORT, { source_address: ["10.99.99.99", 0] }),
    Deno.errors.AddrNotAvailable,
    `Cannot connect to 127.0.0.1:${PORT} from 10.99.99.99: the source address is none of this machine's`,
    "EADDRNOTAVAIL",
  ],
  [
    "there is no such unix socket",
    () => new HTTPConnection("docker", { socketPath: "/no/such.sock" }),
    Deno.errors.NotFound,
    "Cannot connect to /no/such.sock: there is no such socket",
    "ENOENT",
  ],
  [
    "there is no such unix socket, over TLS",
    () => new HTTPSConnection("docker", { socketPath: "/no/such.sock" }),
    Deno.errors.NotFound,
    "Cannot connect to /no/such.sock: there is no such socket",
    "ENOENT",
  ],
  [
    "the proxy does not listen",
    () => {
      const conn = new HTTPSConnection("127.0.0.1", PORT);
      conn.set_tunnel("origin.example", 8443);
      return conn;
    },
    Deno.errors.ConnectionRefused,
    `Cannot connect to the proxy 127.0.0.1:${PORT} for origin.example:8443: the connection was refused`,
    "ECONNREFUSED",
  ],
];

for (const [what, make, constructor, message, code] of REFUSALS) {
  Deno.test({
    name: `request() says where it could not connect to when ${what}`,
    ignore: message.includes("[::1]") && !hasIPv6,
    fn: async () => {
      using conn = make();
      const error = await assertRejects(() => conn.request("GET", "/"), constructor);
      assertEquals([error.message, codeOf(error)], [message, code]);
      assertInstanceOf(error.cause, Error);
      assertEquals((error as { phase?: string }).phase, "connect");
    },
  });
}

/** What a proxy does with a CONNECT, and what is told of it. */
const PROXIES: [what: string, script: Script, constructor: ErrorClass, why: string][] = [
  [
    "refuses",
    async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 407 Not You\r\n\r\n");
    },
    TunnelError,
    "the proxy answered 407 Not You",
  ],
  [
    "closes",
    async (peer) => void await peer.readHead(),
    RemoteDisconnected,
    "it closed the connection without an answer",
  ],
  [
    "resets",
    async (peer) => {
      await peer.readHead();
      peer.reset();
    },
    Deno.errors.ConnectionReset,
    "the connection was reset",
  ],
  [
    "speaks no HTTP",
    async (peer) => {
      await peer.readHead();
      await peer.send("SSH-2.0\r\n");
    },
    BadStatusLine,
    "cannot read status line: got",
  ],
];

for (const [what, script, constructor, why] of PROXIES) {
  Deno.test(`request() names the proxy and the target when the proxy ${what}`, async () => {
    await using proxy = await startRaw(script, { resettable: true });
    using conn = new HTTPSConnection("127.0.0.1", proxy.port);
    conn.set_tunnel("origin.example", 8443);
    const error = await assertRejects(() => conn.request("GET", "/"), constructor);
    const where = `origin.example:8443 through the proxy 127.0.0.1:${proxy.port}`;
    const message = `Cannot open tunnel to ${where}: ${why}`;
    assert(error.message.startsWith(message), error.message);
    assert(error.stack!.includes(message), error.stack);
  });
}

Deno.test("request() names the path of a proxy behind a unix socket", async () => {
  await using proxy = await startRaw(async (peer) => void await peer.readHead(), { unix: true });
  using conn = new HTTPSConnection("proxy", { socketPath: proxy.path });
  conn.set_tunnel("origin.example", 8443);
  await assertRejects(
    () => conn.request("GET", "/"),
    RemoteDisconnected,
    `Cannot open tunnel to origin.example:8443 through the proxy ${proxy.path}: it closed`,
  );
});

Deno.test("request() leaves what the user's transport throws in a tunnel as it is", async () => {
  for (const call of ["read", "write"] as const) {
    const reason = new Error("mine");
    const transport = {
      read: () => call === "read" ? Promise.reject(reason) : new Promise<never>(() => {}),
      write: (p: Uint8Array) =>
        call === "write" ? Promise.reject(reason) : Promise.resolve(p.length),
      close() {},
    };
    using conn = new HTTPConnection("proxy", { transport: () => Promise.resolve(transport) });
    conn.set_tunnel("origin.example");
    assertStrictEquals(await assertRejects(() => conn.request("GET", "/")), reason);
    assertEquals([reason.message, Object.keys(reason)], ["mine", []]);
  }
});

for (
  const [phase, secure, says] of [
    [
      "head",
      false,
      "Cannot get response: the timeout of 0.05 s has passed (phase head, 127.0.0.1:",
    ],
    ["tls", true, "Cannot establish TLS with 127.0.0.1:"],
  ] as const
) {
  Deno.test(`timeout in phase ${phase} says who did not answer`, async () => {
    await using silent = await startRaw(async (peer) => void await peer.eof());
    const { port } = silent;
    using conn = secure
      ? new HTTPSConnection("127.0.0.1", port, { timeout: 0.05, context: CLIENT })
      : new HTTPConnection("127.0.0.1", port, { timeout: 0.05 });
    const answer = async () => {
      await conn.request("GET", "/");
      await conn.getresponse();
    };
    const error = await assertRejects(answer, Deno.errors.TimedOut);
    assert(error.message.startsWith(`${says}${port}`), error.message);
  });
}

Deno.test("close() while it connects says whom to", async () => {
  using conn = new HTTPConnection("127.0.0.1", PORT);
  const connecting = assertRejects(() => conn.connect(), Deno.errors.Interrupted);
  conn.close();
  assertEquals(
    (await connecting).message,
    `Cannot connect to 127.0.0.1:${PORT}: the connection was closed`,
  );
});

// Permissions that are missing

const DENIED: [what: string, conn: string, flags: string[], message: string][] = [
  [
    "the host",
    `new http.HTTPConnection("localhost", ${PORT})`,
    ["--allow-net=127.0.0.1"],
    `Cannot connect to localhost:${PORT}: Requires net access to "localhost:${PORT}"`,
  ],
  [
    "the host, over TLS with a client certificate",
    `new http.HTTPSConnection("localhost", 443, { context: ${JSON.stringify(CLIENT)} })`,
    ["--allow-net=127.0.0.1"],
    'Cannot connect to localhost:443: Requires net access to "localhost:443"',
  ],
  [
    "the host, from a source address",
    `new http.HTTPConnection("localhost", ${PORT}, { source_address: ["127.0.0.1", 0] })`,
    ["--allow-net=127.0.0.1"],
    `Cannot connect to localhost:${PORT} from 127.0.0.1: Requires net access to "localhost:${PORT}"`,
  ],
  [
    "the source address",
    `new http.HTTPConnection("localhost", ${PORT}, { source_address: ["127.0.0.5", 0] })`,
    ["--allow-net=localhost"],
    `Cannot connect to localhost:${PORT} from 127.0.0.5: Requires net access to "127.0.0.5:0"`,
  ],
  [
    "the name of the source address",
    `new http.HTTPConnection("localhost", ${PORT}, { source_address: ["source.example", 0] })`,
    ["--allow-net=localhost"],
    `Cannot connect to localhost:${PORT} from source.example: Requires net access to "source.example:0"`,
  ],
  [
    "any source address",
    `new http.HTTPConnection("localhost", ${PORT}, { source_address: ["", 5000] })`,
    ["--allow-net=localhost"],
    `Cannot connect to localhost:${PORT} from :5000: Requires net access to "0.0.0.0:5000"`,
  ],
  [
    "a unix socket",
    'new http.HTTPConnection("docker", { socketPath: "/no/such.sock" })',
    [],
    'Cannot connect to /no/such.sock: Requires read access to "/no/such.sock"',
  ],
];

for (const [what, conn, flags, message] of DENIED) {
  Deno.test(`request() throws NotCapable when ${what} may not be used`, async () => {
    const output = await outputOf(
      flags,
      `const conn = ${conn};
      await conn.request("GET", "/").catch((error) => console.log(String(error)));
      conn.close();`,
    );
    assert(output.startsWith(`NotCapable: ${message}`), output);
  });
}

Deno.test("request() goes from a source address to a host that is allowed by its name", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(ok("fine"));
  });
  const output = await outputOf(
    [`--allow-net=localhost:${server.port},127.0.0.5:0`],
    `const conn = new http.HTTPConnection("localhost", ${server.port}, {
      source_address: ["127.0.0.5", 0],
    });
    await conn.request("GET", "/");
    console.log(await (await conn.getresponse()).text());
    conn.close();`,
  );
  assertEquals(output, "fine");
});
