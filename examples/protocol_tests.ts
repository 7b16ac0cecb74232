/**
 * Tests how a server handles the protocol: requests that no client library sends, such as two `Host`
 * fields or both framings at once, go out as raw bytes on `conn.sock`, and the answers are read with
 * `HTTPResponse` over a `LineReader`. Prints what the server answered to each. The self-check tests
 * `Deno.serve`, and a naive server whose faults are to be found. Test only servers that are yours.
 *
 *     deno run -A examples/protocol_tests.ts
 *     deno run -A examples/protocol_tests.ts https://staging.example/
 *
 * @module
 */
import {
  errors,
  HTTPConnection,
  HTTPException,
  HTTPResponse,
  HTTPSConnection,
  LineReader,
  RemoteDisconnected,
} from "@denoports/http-client";
import { assert, assertEquals } from "@std/assert";
import { writeAll } from "@std/io/write-all";

/** Milliseconds that one test may take. */
const TIMEOUT = 5000;

/** How many bytes of a body are read. */
const MAX_BODY = 1 << 20;

/** What a server answered: the status of each response, and how the connection ended. */
interface Outcome {
  statuses: number[];
  end: string;
}

/** A test. A well-formed request that asks for the end of the connection follows the first answer. */
interface Test {
  name: string;
  /** The section of RFC 9112. */
  section: string;
  /** The methods of the requests, where they are not all GET. */
  methods?: string[];
  request: string;
  passes: (outcome: Outcome) => boolean;
}

/** The first request is understood, and answered once. */
const accepted = ({ statuses }: Outcome) => isUnderstood(statuses[0]) && statuses.length <= 2;
/** It is an error, or the connection is closed without an answer. */
const refused = ({ statuses: [first], end }: Outcome) =>
  first >= 400 || (!first && end === "closed");
/** Nothing that follows on this connection is taken for a request. */
const refusedAndClosed = (outcome: Outcome) => refused(outcome) && closed(outcome);
const closed = ({ statuses, end }: Outcome) => statuses.length <= 1 && end === "closed";
/** So many requests are answered, the one that follows included. */
const answered = (count: number) => ({ statuses }: Outcome) => {
  return isUnderstood(statuses[0]) && statuses.length === count;
};
const isUnderstood = (status = 400) => ![400, 501, 505].includes(status);

/** The tests of a server at this host and path. */
function testsFor(host: string, path: string): Test[] {
  const lines = (...all: string[]) => all.map((line) => `${line}\r\n`).join("");
  const get = (...fields: string[]) => lines(`GET ${path} HTTP/1.1`, ...fields, "");
  const post = (...fields: string[]) =>
    lines(`POST ${path} HTTP/1.1`, `Host: ${host}`, ...fields, "");
  const Host = `Host: ${host}`;
  const chunked = "Transfer-Encoding: chunked";
  const smuggled = get(Host, "X-Smuggled: yes");
  const test = (
    section: string,
    name: string,
    request: string,
    passes: Test["passes"],
    methods?: string[],
  ): Test => ({ section, name, request, passes, methods });
  return [
    test("3", "a plain request", get(Host), answered(2)),
    test("9.3.2", "three requests in one write", get(Host).repeat(3), answered(4)),
    test(
      "6.3",
      "HEAD, then GET",
      lines(`HEAD ${path} HTTP/1.1`, Host, "") + get(Host),
      answered(3),
      [
        "HEAD",
      ],
    ),
    test("2.2", "an empty line before the request", "\r\n" + get(Host), accepted),
    test("3.2.2", "a target in absolute-form", get(Host).replace(" ", ` http://${host}`), accepted),
    test("7.1.1", "a chunk extension", post(chunked) + "2;a=b\r\nhi\r\n0\r\n\r\n", accepted),
    test("3.2", "no Host", get(), refused),
    test("3.2", "two Host fields", get(Host, "Host: other.example"), refused),
    test("2.3", "a version in lower case", get(Host).replace("HTTP/1.1", "http/1.1"), refused),
    test("5.1", "a blank before the colon", get(Host, "X-Field : 1"), refused),
    test("5.2", "obs-fold (may also be accepted)", get(Host, "X-Field: a", "\tb"), () => true),
    test("2.2", "a bare CR in a field", get(Host, "X-Field: a\rb"), refused),
    test("5.5 of RFC 9110", "a NUL in a field", get(Host, "X-Field: a\0b"), refused),
    test(
      "6.3",
      "two different Content-Length",
      post("Content-Length: 0", `Content-Length: ${smuggled.length}`) + smuggled,
      refusedAndClosed,
    ),
    test("6.3", "Content-Length: +2", post("Content-Length: +2") + "hi", refusedAndClosed),
    test(
      "6.1",
      "both Content-Length and chunked",
      post(`Content-Length: ${5 + smuggled.length}`, chunked) + "0\r\n\r\n" + smuggled,
      closed,
    ),
    test(
      "6.1",
      "Transfer-Encoding: xchunked",
      post("Transfer-Encoding: xchunked") + "0\r\n\r\n" + smuggled,
      refusedAndClosed,
    ),
    test("7.1", "a chunk size that is no number", post(chunked) + "2x\r\nhi\r\n0\r\n\r\n", closed),
    test("7.1", "a chunk size of 2^64", post(chunked) + "10000000000000000\r\nhi\r\n", closed),
    test("7.1", "chunk data longer than its size", post(chunked) + "1\r\nhi\r\n0\r\n\r\n", closed),
  ];
}

/** Sends a test's bytes on a connection of its own, and reads what the server answers. */
async function run(url: URL, { request, methods = [] }: Test): Promise<Outcome> {
  const type = url.protocol === "https:" ? HTTPSConnection : HTTPConnection;
  using conn = new type(new URL(url.origin), { timeout: TIMEOUT / 1000 });
  await conn.connect();
  const sock = conn.sock!;
  // The deadlines of the connection are for its own calls; this ends the reads of `sock`.
  const timer = setTimeout(() => conn.close(), TIMEOUT);
  const send = (text: string) => {
    return writeAll(sock, Uint8Array.from(text, (char) => char.charCodeAt(0)));
  };
  const statuses: number[] = [];
  try {
    await send(request);
    const reader = new LineReader(sock);
    for (;;) {
      const response = new HTTPResponse(reader, { method: methods[statuses.length] ?? "GET" });
      await response.begin();
      statuses.push(response.status);
      if (!await response.drain(MAX_BODY)) return { statuses, end: "body too long" };
      // A server that has closed the connection does not take it; its answers are read all the same.
      if (statuses.length === 1) await send(lastRequest(url)).catch(() => {});
    }
  } catch (error) {
    return { statuses, end: endOf(error) };
  } finally {
    clearTimeout(timer);
  }
}

function lastRequest(url: URL): string {
  return `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`;
}

/** How a connection ended, by the error of the read behind the last answer. */
function endOf(error: unknown): string {
  const ends = [RemoteDisconnected, errors.ConnectionReset, errors.ConnectionAborted];
  if (ends.some((kind) => error instanceof kind) || error instanceof errors.BrokenPipe) {
    return "closed";
  }
  if (error instanceof HTTPException) return `malformed: ${error.name}`;
  if (error instanceof errors.Interrupted || error instanceof Deno.errors.BadResource) {
    return `open after ${TIMEOUT} ms`;
  }
  throw error;
}

/**
 * Runs all tests one after another; prints a table, and returns the names of those that failed.
 *
 * @param isExpected Says of a name whether it is known that the server fails this test
 */
async function testServer(url: URL, isExpected = (_name: string) => false): Promise<string[]> {
  const failed: string[] = [];
  for (const test of testsFor(url.host, url.pathname)) {
    const outcome = await run(url, test);
    const { statuses, end } = outcome;
    const passes = test.passes(outcome);
    if (!passes) failed.push(test.name);
    const failure = isExpected(test.name) ? "fails, as expected" : "FAILED";
    console.log(
      test.name.padEnd(34),
      [...statuses, end].join(", ").padEnd(30),
      passes ? "ok" : `${failure} (Section ${test.section})`,
    );
  }
  return failed;
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (req) => {
      return new Response(await req.text());
    },
  );
  console.log("Deno.serve");
  // Deno 2.9 accepts a request of HTTP/1.1 without Host.
  const isKnown = (name: string) => name === "no Host";
  const failed = await testServer(new URL(`http://127.0.0.1:${server.addr.port}/`), isKnown);
  assertEquals(failed.filter((name) => !isKnown(name)), []);

  // A server that splits its input at blank lines, and ignores all fields but one.
  await using naive = await startRaw(async (peer) => {
    while (!/^Connection: close\r$/m.test(await peer.readHead())) {
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    await peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
  console.log("\nA naive server");
  const passed = ["a plain request", "three requests in one write", "HEAD, then GET"]
    .concat("an empty line before the request", "a target in absolute-form");
  const isFault = (name: string) => !passed.includes(name);
  const faults = await testServer(new URL(`http://127.0.0.1:${naive.port}/`), isFault);
  for (const name of ["two Host fields", "both Content-Length and chunked", "Content-Length: +2"]) {
    assert(faults.includes(name), name);
  }
  assertEquals(faults.filter((name) => !isFault(name)), []);
  console.log(
    `checked: Deno.serve has no fault but the known one, a naive server has ${faults.length}`,
  );
}

if (import.meta.main) {
  const [url] = Deno.args;
  if (url === undefined) await selfCheck();
  else Deno.exitCode = (await testServer(new URL(url))).length > 0 ? 1 : 0;
}
