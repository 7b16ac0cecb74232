/**
 * What every runtime must be able to do, against a server elsewhere: it needs nothing but the package, so
 * it runs where nothing can listen, and from a package that was installed.
 *
 * @module
 */
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPException,
  IncompleteRead,
  RemoteDisconnected,
} from "../../mod.ts";
import { errors } from "../../errors.ts";

/** Where the server is, and how to get there. */
export interface TourOptions {
  host: string;
  port: number;
  /** Options of all connections, such as `transport`. */
  options?: HTTPConnectionOptions;
}

function equal(actual: unknown, expected: unknown): void {
  const [a, b] = [actual, expected].map((value) => JSON.stringify(value));
  if (a !== b) throw new Error(`It is ${a} and should be ${b}`);
}

async function fails(
  promise: Promise<unknown>,
  is: (error: unknown) => boolean,
): Promise<void> {
  const error = await promise.then(() => undefined, (reason) => reason ?? "nothing");
  if (!is(error)) throw new Error(`It threw ${error}`, { cause: error });
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

type Connect = (options?: HTTPConnectionOptions) => HTTPConnection;

const STEPS: Record<string, (connect: Connect) => Promise<void>> = {
  async "two requests on one connection"(connect) {
    using conn = connect();
    for (const count of ["1", "2"]) {
      await conn.request("GET", "/length");
      const response = await conn.getresponse();
      equal([response.status, response.reason, response.version], [200, "OK", 11]);
      equal(response.getheader("x-request"), count);
      equal(await response.text(), "hello");
    }
  },
  async "chunks and trailers"(connect) {
    using conn = connect();
    await conn.request("GET", "/chunked");
    const response = await conn.getresponse();
    let all = "";
    for await (const piece of response) all += text(piece);
    equal(all, "one,two,three");
    equal((await response.trailers)?.get("x-sum"), "13");
  },
  async "lines"(connect) {
    using conn = connect();
    await conn.request("GET", "/chunked");
    const response = await conn.getresponse();
    equal(text(await response.read(4)), "one,");
    equal(text(await response.readline()), "two,three");
  },
  async "a web stream"(connect) {
    using conn = connect();
    await conn.request("GET", "/large");
    const response = await conn.getresponse();
    let size = 0;
    await response.pipeTo(new WritableStream({ write: (piece) => void (size += piece.length) }));
    equal(size, 1_000_000);
  },
  async "HEAD"(connect) {
    using conn = connect();
    await conn.request("HEAD", "/length");
    const response = await conn.getresponse();
    equal([response.length, await response.text()], [0, ""]);
  },
  async "a body of bytes"(connect) {
    using conn = connect();
    await conn.request("POST", "/echo", new Uint8Array(100_000).fill(65));
    equal((await (await conn.getresponse()).text()).length, 100_000);
  },
  async "a body of pieces"(connect) {
    using conn = connect();
    async function* pieces() {
      for (const word of ["one,", "two"]) yield await Promise.resolve(word);
    }
    await conn.request("POST", "/echo", pieces());
    equal(await (await conn.getresponse()).text(), "one,two");
  },
  async "Expect: 100-continue"(connect) {
    using conn = connect();
    await conn.request("PUT", "/continue", "body", {}, { expect_continue: 5 });
    equal(await (await conn.getresponse()).text(), "body");
  },
  async "gzip"(connect) {
    using conn = connect();
    await conn.request("GET", "/gzip");
    equal(await (await conn.getresponse()).decoded().text(), "hello".repeat(1000));
  },
  async "timeout"(connect) {
    using conn = connect({ timeout: 0.1 });
    await conn.request("GET", "/silent");
    await fails(conn.getresponse(), (error) => error instanceof errors.TimedOut);
  },
  async "a signal"(connect) {
    using conn = connect();
    const reason = new Error("enough");
    const controller = new AbortController();
    await conn.request("GET", "/silent", null, {}, { signal: controller.signal });
    const response = conn.getresponse();
    controller.abort(reason);
    await fails(response, (error) => error === reason);
  },
  async "close() within a call"(connect) {
    using conn = connect();
    await conn.request("GET", "/silent");
    const response = conn.getresponse();
    conn.close();
    await fails(response, (error) => error instanceof errors.Interrupted);
  },
  async "a body that is cut off"(connect) {
    using conn = connect();
    await conn.request("GET", "/cut");
    const response = await conn.getresponse();
    await fails(
      response.read(),
      (error) => error instanceof IncompleteRead && text(error.partial) === "hello",
    );
  },
  async "a server that goes away"(connect) {
    using conn = connect();
    await conn.request("GET", "/gone");
    await fails(
      conn.getresponse(),
      (error) => error instanceof RemoteDisconnected && error instanceof errors.ConnectionReset,
    );
  },
  async "no HTTP"(connect) {
    using conn = connect();
    await conn.request("GET", "/nonsense");
    await fails(conn.getresponse(), (error) => error instanceof HTTPException);
  },
  async "a connection that the server closed while it was idle"(connect) {
    using conn = connect();
    await conn.request("GET", "/closes");
    await (await conn.getresponse()).read();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await conn.request("GET", "/length");
    equal(await (await conn.getresponse()).text(), "hello");
  },
  async "detach()"(connect) {
    using conn = connect();
    await conn.request("GET", "/upgrade", null, { connection: "Upgrade", upgrade: "echo" });
    const response = await conn.getresponse();
    equal(response.status, 101);
    const { readable, writable } = conn.detach();
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode("ping"));
    await writer.close();
    equal(await new Response(readable).text(), "ping");
  },
};

/** What became of its steps. */
export interface Tour {
  passed: string[];
  failed: [name: string, why: string][];
}

/** Goes through all of it; what failed with why, by name. */
export async function tour(
  { host, port, options: all }: TourOptions,
): Promise<Tour> {
  const passed: string[] = [];
  const failed: [string, string][] = [];
  for (const [name, step] of Object.entries(STEPS)) {
    try {
      await step((options) => new HTTPConnection(host, port, { timeout: 10, ...all, ...options }));
      passed.push(name);
    } catch (error) {
      failed.push([name, String(error)]);
    }
  }
  return { passed, failed };
}
