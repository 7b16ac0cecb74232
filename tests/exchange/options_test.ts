/**
 * Options: which are refused, alone and together, and what the rest of the library makes of them.
 *
 * @module
 */
import { assertEquals, assertStrictEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { DEFAULT_SETTINGS } from "../../_internal/exchange/connection.ts";
import { NO_LIMITS } from "../../_internal/exchange/exchange.ts";
import {
  checkOptions,
  type HTTPSConnectionOptions,
  limitsOf,
  settingsOf,
} from "../../_internal/exchange/options.ts";
import type { Head } from "../../_internal/wire/response_head.ts";
import { CA, CLIENT } from "../tls/mod.ts";

const transport = () => Promise.reject(new Error("not called"));

/** Options that are taken by `HTTPSConnection`. */
const TAKEN: [title: string, options: HTTPSConnectionOptions][] = [
  ["nothing", {}],
  ["a timeout of null", { timeout: null }],
  ["a fraction of a second", { timeout: 0.001 }],
  ["all deadlines", { deadlines: { connect: 1, tls: 1, head: 1, bodyIdle: 1, total: 1 } }],
  ["an undefined deadline", { deadlines: { head: undefined } }],
  ["limits of 1", { maxLineBytes: 1, maxHeaderBytes: 1, max_response_headers: 1, blocksize: 1 }],
  ["limits without end", { maxBodyBytes: Infinity, maxTrailers: Infinity }],
  ["a transport", { transport }],
  ["a unix socket", { socketPath: "/socket" }],
  ["an address and a source address", { address: "::1", source_address: ["::1", 0] }],
  ["a source address", { source_address: ["127.0.0.1", 0] }],
  ["a transport and a source address of null", { transport, source_address: null }],
  ["a CA", { context: { caCerts: [CA] } }],
  ["a certificate and its key", { context: CLIENT }],
];

for (const [title, options] of TAKEN) {
  Deno.test(`checkOptions() takes ${title}`, () => void checkOptions(options, true));
}

const NUMBERS = [
  "maxLineBytes",
  "maxHeaderBytes",
  "max_response_headers",
  "maxInterimResponses",
  "maxTrailers",
  "maxChunkExtensionBytes",
  "maxBodyBytes",
  "blocksize",
] as const;

for (const name of NUMBERS) {
  for (const wrong of [0, 0.5, -1, NaN, "5", null]) {
    Deno.test(`checkOptions() throws a TypeError when ${name} is ${JSON.stringify(wrong)} (${wrong})`, () => {
      assertThrows(
        () => checkOptions({ [name]: wrong }, true),
        TypeError,
        `Cannot use ${name} as it must be a whole number `,
      );
    });
  }
}

/** Options that are refused, and why. */
const REFUSED: [title: string, options: unknown, message: string, tls?: boolean][] = [
  [
    "timeout is 0",
    { timeout: 0 },
    "Cannot use timeout as it must be a positive number of seconds, or null: got 0",
  ],
  [
    "a deadline is negative",
    { deadlines: { head: 1, tls: -1 } },
    "Cannot use deadlines.tls as it must be a positive number of seconds: got -1",
  ],
  [
    "there are a transport and a unix socket",
    { transport, socketPath: "/socket" },
    "Cannot connect: transport and socketPath exclude each other",
  ],
  [
    "there are a unix socket and an address",
    { socketPath: "/socket", address: "::1" },
    "Cannot connect: socketPath and address exclude each other",
  ],
  [
    "there are three ways to connect",
    { socketPath: "/socket", address: "::1", transport },
    "Cannot connect: transport and socketPath and address exclude each other",
  ],
  [
    "there are a transport and a source address",
    { transport, source_address: ["::1", 0] },
    "Cannot connect: transport and source_address exclude each other",
  ],
  [
    "there are a unix socket and a source address",
    { socketPath: "/socket", source_address: ["::1", 0] },
    "Cannot connect: socketPath and source_address exclude each other",
  ],
  [
    "there is a context without TLS",
    { context: {} },
    "Cannot connect: context is for an HTTPSConnection",
    false,
  ],
  [
    "there is a certificate without a key",
    { context: { cert: CLIENT.cert } },
    "Cannot use context: cert and key go together",
  ],
  [
    "there is a key without a certificate",
    { context: { key: CLIENT.key } },
    "Cannot use context: cert and key go together",
  ],
  [
    "a CA is no certificate in PEM",
    { context: { caCerts: [CA, "no certificate"] } },
    "Cannot use context: caCerts has an entry that is no certificate in PEM",
  ],
];

for (const [title, options, message, tls = true] of REFUSED) {
  Deno.test(`checkOptions() throws a TypeError when ${title}`, () => {
    assertThrows(() => checkOptions(options as HTTPSConnectionOptions, tls), TypeError, message);
  });
}

/** A SEQUENCE in DER with so many bytes of content, as a certificate in PEM. */
function sequence(size: number, missing = 0): string {
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  const der = [0x30, ...length, ...Array.from({ length: size - missing }, () => 1)];
  const body = btoa(String.fromCharCode(...der));
  return `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
}

for (const size of [1, 126, 127, 128, 255, 256, 1000]) {
  Deno.test(`checkOptions() takes a certificate of ${size} bytes, and none that is cut off`, () => {
    const options = (pem: string) => ({ context: { caCerts: [pem] } });
    checkOptions(options(sequence(size)), true);
    const cut = () => checkOptions(options(sequence(size, 1)), true);
    assertThrows(cut, TypeError, "no certificate in PEM");
  });
}

/** Keys that are unknown, in the object where somebody wrote them, and what is said to be meant. */
const UNKNOWN: [options: Record<string, unknown>, key: string, meant: string][] = [
  [{ timout: 5 }, "timout", "timeout"],
  [{ timeoutMs: 5000 }, "timeoutMs", "timeout, in seconds"],
  [{ Timeout: 5 }, "Timeout", "timeout"],
  [{ sourceAddress: null }, "sourceAddress", "source_address"],
  [{ blockSize: 1 }, "blockSize", "blocksize"],
  [{ maxResponseHeaders: 1 }, "maxResponseHeaders", "max_response_headers"],
  [{ rejectUnauthorized: false }, "rejectUnauthorized", "context.verify_mode"],
  [{ ca: "pem" }, "ca", "context.caCerts"],
  [{ caCerts: ["pem"] }, "caCerts", "context.caCerts"],
  [{ check_hostname: false }, "check_hostname", "context.check_hostname"],
  [{ key: "pem" }, "key", "context.key"],
  [{ head: 5 }, "head", "deadlines.head"],
  [{ total: 5 }, "total", "deadlines.total"],
  [{ headersTimeout: 5 }, "headersTimeout", "deadlines.head"],
  [{ headers: {} }, "headers", "the headers of request(), its fourth argument"],
  [{ signal: null }, "signal", "signal, an option of request() and getresponse()"],
  [{ port: 80 }, "port", "the port, the second argument"],
  [{ debuglevel: 1 }, "debuglevel", "conn.debuglevel, or set_debuglevel()"],
  [{ proxy: "http://a" }, "proxy", "set_tunnel()"],
  [{ unixSocket: "/a" }, "unixSocket", "socketPath"],
  [{ agent: 1 }, "agent", "one connection object for each connection"],
  [{ bodyTimeout: 1 }, "bodyTimeout", "deadlines.bodyIdle"],
  [{ ciphers: "" }, "ciphers", "context, which has no such option"],
  [{ connectTimeout: 1 }, "connectTimeout", "deadlines.connect"],
  [{ handshakeTimeout: 1 }, "handshakeTimeout", "deadlines.tls"],
  [{ headTimeout: 1 }, "headTimeout", "deadlines.head"],
  [{ host: "a" }, "host", "the host, the first argument"],
  [{ hostname: "a" }, "hostname", "the host, the first argument"],
  [
    { keepAlive: true },
    "keepAlive",
    "nothing: a connection is kept, unless a request has Connection",
  ],
  [{ localAddress: "a" }, "localAddress", "source_address"],
  [{ lookup() {} }, "lookup", "address, or transport"],
  [{ maxHeaderSize: 1 }, "maxHeaderSize", "maxHeaderBytes"],
  [{ maxResponseSize: 1 }, "maxResponseSize", "maxBodyBytes"],
  [{ onHeaders() {} }, "onHeaders", "trace"],
  [{ path: "a" }, "path", "socketPath"],
  [{ read: 1 }, "read", "timeout"],
  [{ requestTimeout: 1 }, "requestTimeout", "deadlines.total"],
  [{ response: 1 }, "response", "deadlines.head"],
  [{ socket: null }, "socket", "transport, or conn.sock"],
  [{ timeoutMillis: 1 }, "timeoutMillis", "timeout, in seconds"],
  [{ timeoutSeconds: 1 }, "timeoutSeconds", "timeout"],
  [{ tls: 1 }, "tls", "deadlines.tls, or context"],
  [{ tunnel: 1 }, "tunnel", "set_tunnel()"],
  [{ context: { cadata: "" } }, "context.cadata", "context.caCerts"],
  [{ context: { cafile: "" } }, "context.cafile", "context.caCerts"],
  [{ context: { certChain: "" } }, "context.certChain", "context.cert"],
  [{ context: { certfile: "" } }, "context.certfile", "context.cert"],
  [{ context: { hostname: "" } }, "context.hostname", "context.server_hostname"],
  [{ context: { keyfile: "" } }, "context.keyfile", "context.key"],
  [{ context: { privateKey: "" } }, "context.privateKey", "context.key"],
  [{ context: { sni: "" } }, "context.sni", "context.server_hostname"],
  [{ deadlines: { header: 5 } }, "deadlines.header", "deadlines.head"],
  [{ deadlines: { body_idle: 5 } }, "deadlines.body_idle", "deadlines.bodyIdle"],
  [{ deadlines: { timeout: 5 } }, "deadlines.timeout", "timeout"],
  [{ deadlines: { body: 5 } }, "deadlines.body", "deadlines.bodyIdle"],
  [{ deadlines: { handshake: 5 } }, "deadlines.handshake", "deadlines.tls"],
  [{ deadlines: { headers: 5 } }, "deadlines.headers", "deadlines.head"],
  [{ deadlines: { idle: 5 } }, "deadlines.idle", "deadlines.bodyIdle"],
  [{ deadlines: { overall: 5 } }, "deadlines.overall", "deadlines.total"],
  [{ deadlines: { read: 5 } }, "deadlines.read", "timeout"],
  [{ deadlines: { response: 5 } }, "deadlines.response", "deadlines.head"],
  [{ deadlines: { write: 5 } }, "deadlines.write", "timeout"],
  [{ context: { ca: "pem" } }, "context.ca", "context.caCerts"],
  [{ context: { checkHostname: false } }, "context.checkHostname", "context.check_hostname"],
  [{ context: { servername: "a" } }, "context.servername", "context.server_hostname"],
  [{ context: { rejectUnauthorized: false } }, "context.rejectUnauthorized", "context.verify_mode"],
  [{ context: { ALPNProtocols: [] } }, "context.ALPNProtocols", "context.alpnProtocols"],
];

for (const [options, key, meant] of UNKNOWN) {
  Deno.test(`checkOptions() throws a TypeError for ${key} that names ${meant}`, () => {
    const error = assertThrows(() => checkOptions(options, true), TypeError);
    assertStringIncludes(error.message, `Cannot use ${key} as it is no option of `);
    assertStringIncludes(error.message, `did you mean ${meant}`);
  });
}

/** What JSON has no way to write. */
function nameless(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** Values that make no sense, and the name that the error has. */
const SENSELESS: [options: Record<string, unknown>, name: string][] = [
  [{ timeout: NaN }, "timeout"],
  [{ timeout: "5" }, "timeout"],
  [{ timeout: -1 }, "timeout"],
  [{ deadlines: null }, "deadlines"],
  [{ deadlines: 5 }, "deadlines"],
  [{ deadlines: { head: null } }, "deadlines.head"],
  [{ deadlines: { head: "5" } }, "deadlines.head"],
  [{ source_address: "127.0.0.1" }, "source_address"],
  [{ source_address: ["127.0.0.1", -1] }, "source_address"],
  [{ blocksize: Infinity }, "blocksize"],
  [{ onInformational: true }, "onInformational"],
  [{ trace: null }, "trace"],
  [{ debug: "console" }, "debug"],
  [{ transport: {} }, "transport"],
  [{ socketPath: "" }, "socketPath"],
  [{ socketPath: 5 }, "socketPath"],
  [{ address: null }, "address"],
  [{ context: null }, "context"],
  [{ context: "pem" }, "context"],
  [{ context: { caCerts: CA } }, "context.caCerts"],
  [{ context: { caCerts: [1] } }, "context.caCerts"],
  [{ context: { cert: 1, key: 1 } }, "context.cert"],
  [{ context: { check_hostname: "false" } }, "context.check_hostname"],
  [{ context: { check_hostname: null } }, "context.check_hostname"],
  [{ context: { verify_mode: "cert_none" } }, "context.verify_mode"],
  [{ context: { verify_mode: 0 } }, "context.verify_mode"],
  [{ context: { server_hostname: null } }, "context.server_hostname"],
  [{ context: { alpnProtocols: "h2" } }, "context.alpnProtocols"],
  [{ context: { suppress_ragged_eofs: 1 } }, "context.suppress_ragged_eofs"],
];

for (const [options, name] of SENSELESS) {
  Deno.test(`checkOptions() throws a TypeError for ${JSON.stringify(options, nameless).slice(0, 80)}`, () => {
    assertThrows(() => checkOptions(options, true), TypeError, `Cannot use ${name} as it must be `);
  });
}

Deno.test("checkOptions() throws a TypeError when a timeout stands where options do", () => {
  const options = 10 as unknown as HTTPSConnectionOptions;
  assertThrows(() => checkOptions(options, false), TypeError, "did you mean { timeout: 10 }");
});

Deno.test("checkOptions() gives a copy that later changes do not reach", () => {
  const deadlines = { head: 1 };
  const context = { server_hostname: "a" };
  const options = { timeout: 1, deadlines, context };
  const copy = checkOptions(options, true);
  Object.assign(options, { timeout: NaN });
  deadlines.head = NaN;
  context.server_hostname = "b";
  assertEquals(copy, { timeout: 1, deadlines: { head: 1 }, context: { server_hostname: "a" } });
});

Deno.test("limitsOf() throws a TypeError for a timeout that no setter has seen", () => {
  assertThrows(() => limitsOf(NaN, undefined), TypeError, "Cannot use timeout");
});

for (const verify_mode of ["CERT_REQUIRED", "CERT_NONE"] as const) {
  Deno.test(`checkOptions() takes ${verify_mode}`, () => {
    const options = { context: { verify_mode } };
    assertEquals(checkOptions(options, true), options);
  });
}

Deno.test("checkOptions() takes a connection without TLS and without a context", () => {
  checkOptions({ timeout: 1 }, false);
});

Deno.test("limitsOf() is nothing without a timeout and deadlines", () => {
  assertStrictEquals(limitsOf(null, undefined), NO_LIMITS);
});

Deno.test("limitsOf() has the timeout and the deadlines", () => {
  assertEquals(limitsOf(5, undefined), { timeout: 5 });
  assertEquals(limitsOf(null, { head: 1 }), { head: 1, timeout: null });
  assertEquals(limitsOf(5, { total: 9 }), { total: 9, timeout: 5 });
});

Deno.test("settingsOf() is the default settings when no option is given", () => {
  assertEquals(settingsOf({}), DEFAULT_SETTINGS);
  assertEquals(settingsOf({ context: {} }), DEFAULT_SETTINGS);
  assertEquals(settingsOf({}), {
    head: { line: 65536, bytes: 1048576, count: 100 },
    trailers: { line: 65536, bytes: 1048576, count: 100 },
    extensions: 65536,
    maxInterim: 100,
    maxBodyBytes: Infinity,
    suppressRaggedEofs: false,
    onInterim: null,
    debug: null,
  });
});

Deno.test("settingsOf() has each limit in its place", () => {
  assertEquals(
    settingsOf({
      maxLineBytes: 1,
      maxHeaderBytes: 2,
      max_response_headers: 3,
      maxInterimResponses: 4,
      maxTrailers: 5,
      maxChunkExtensionBytes: 6,
      maxBodyBytes: 7,
      context: { suppress_ragged_eofs: true },
    }),
    {
      head: { line: 1, bytes: 2, count: 3 },
      trailers: { line: 1, bytes: 2, count: 5 },
      extensions: 6,
      maxInterim: 4,
      maxBodyBytes: 7,
      suppressRaggedEofs: true,
      onInterim: null,
      debug: null,
    },
  );
});

Deno.test("settingsOf() gives onInformational the status, the reason and the fields", () => {
  const seen: unknown[] = [];
  const { onInterim } = settingsOf({
    onInformational: (status, reason, headers) => seen.push(status, reason, headers.get("link")),
  });
  const head = { status: 103, reason: "Early Hints", fields: ["Link", "a"], defects: [] };
  onInterim!(head as unknown as Head);
  assertEquals(seen, [103, "Early Hints", "a"]);
});
