/**
 * The traffic of the soak: connections of all kinds, and what is done over each. Every body is checked by its
 * digest, those that are sent by the server, those that are read here.
 *
 * @module
 */
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  type HTTPResponse,
  HTTPSConnection,
  IncompleteRead,
} from "../../mod.ts";
import { randomFrom } from "../helpers/random.ts";
import { CA, CLIENT } from "../tls/mod.ts";
import { contentOf, Digest, digestOf, LARGEST } from "./content.ts";
import type { Ports } from "./server.ts";

/** What has gone over the wire, and how it ended. */
export interface Tally {
  requests: number;
  /** Bytes of bodies, both ways. */
  bytes: number;
  /** Bodies or answers that were wrong, and errors that nothing had given cause for. */
  wrong: number;
  /** How often errors of a class came, by the class and what was being done. */
  readonly errors: Map<string, number>;
  /** How often something was done. */
  readonly actions: Map<string, number>;
  /** What was wrong, for the first few times. */
  readonly details: string[];
}

/** How many details are kept. */
const DETAILS = 10;
/** Sizes of bodies: most are small. */
const SIZES = [0, 1, 100, 1024, 1024, 8000, 8192, 65536, 65537, 200_000, 700_000, LARGEST];

/** A kind of connection. */
interface Kind {
  readonly name: string;
  make(ports: Ports, options: HTTPConnectionOptions): HTTPConnection;
}

const context = { caCerts: [CA] };
const certified = { ...context, ...CLIENT };

function tunnelled(conn: HTTPConnection, port: number): HTTPConnection {
  conn.set_tunnel("localhost", port);
  return conn;
}

/** The kinds of connections. */
const KINDS: readonly Kind[] = [
  { name: "TCP", make: ({ tcp }, options) => new HTTPConnection("127.0.0.1", tcp, options) },
  {
    name: "TLS",
    make: ({ tls }, options) => new HTTPSConnection("127.0.0.1", tls, { ...options, context }),
  },
  {
    name: "TLS of Node's",
    make: ({ tls }, options) =>
      new HTTPSConnection("127.0.0.1", tls, { ...options, context: certified }),
  },
  {
    name: "tunnel",
    make: ({ proxy }, options) => tunnelled(new HTTPConnection("127.0.0.1", proxy, options), 80),
  },
  {
    name: "TLS in a tunnel",
    make: ({ proxy }, options) =>
      tunnelled(new HTTPSConnection("127.0.0.1", proxy, { ...options, context }), 443),
  },
  {
    name: "TCP of Node's",
    make: ({ tcp }, options) =>
      new HTTPConnection("127.0.0.1", tcp, { ...options, source_address: ["127.0.0.1", 0] }),
  },
];

/** Makes one request by each kind of connection: what a runtime opens once, and keeps, is open then. */
export async function warmUp(ports: Ports): Promise<void> {
  for (const kind of KINDS) {
    using conn = kind.make(ports, {});
    await conn.request("GET", "/get?id=0&size=10&framing=length");
    await (await conn.getresponse()).read();
  }
}

/** Thrown for what is wrong, whatever the library thinks of it. */
class Wrong extends Error {}

/** Deadlines that nothing meets unless it is stuck, in seconds. */
const STUCK = 30;

/** One who makes requests, over one connection object after another. */
export class Worker {
  readonly #random: (below: number) => number;
  readonly #ports: Ports;
  readonly #tally: Tally;
  #conn!: HTTPConnection;
  #kind!: Kind;
  #id = 0;
  /** The target of the last request, and how its answer is read, to say what was wrong. */
  #last = "";
  #reading = 0;

  constructor(seed: number, ports: Ports, tally: Tally) {
    this.#random = randomFrom(seed);
    this.#ports = ports;
    this.#tally = tally;
  }

  /** Makes requests until it is told to stop. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const kind = this.#kind = this.#pick(KINDS);
      using conn = kind.make(this.#ports, { deadlines: { total: STUCK } });
      this.#conn = conn;
      const count = 1 + this.#random(60);
      for (let i = 0; i < count && !isOver(); i++) await this.#act();
    }
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random(list.length)];
  }

  async #act(): Promise<void> {
    const actions: [name: string, weight: number, act: () => Promise<void>][] = [
      ["download", 12, () => this.#download()],
      ["upload", 8, () => this.#upload()],
      ["gzip", 3, () => this.#gzip()],
      ["early answer", 2, () => this.#refused()],
      ["cut", 2, () => this.#cut()],
      ["abort", 2, () => this.#abort()],
      ["close", 1, () => this.#close()],
      ["deadline", 1, () => this.#deadline()],
      ["unread", 1, () => this.#unread()],
      ["reconnect", 2, () => this.#reconnect()],
    ];
    let at = this.#random(actions.reduce((sum, [, weight]) => sum + weight, 0));
    const [name, , act] = actions.find(([, weight]) => (at -= weight) < 0)!;
    const { actions: counts } = this.#tally;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    try {
      await act();
    } catch (error) {
      this.#failed(name, error);
    }
  }

  /** An error that no action has expected. */
  #failed(action: string, error: unknown): void {
    const { name, message } = error as Error;
    this.#count(action, name);
    // A server may close an idle connection at the moment at which the next request goes out.
    const reset = error instanceof Deno.errors.ConnectionReset ||
      error instanceof Deno.errors.BrokenPipe;
    const { lastFailure } = this.#conn;
    if (reset && lastFailure?.connectionReused && lastFailure.responseBytesReceived === 0) return;
    this.#tally.wrong++;
    if (this.#tally.details.length < DETAILS) {
      const what = `${action} over ${this.#kind.name}, ${this.#last}, reading ${this.#reading}`;
      this.#tally.details.push(`${what}: ${name}: ${message}`);
    }
    this.#conn.close();
  }

  #count(action: string, name: string): void {
    const { errors } = this.#tally;
    const key = `${name} (${action})`;
    errors.set(key, (errors.get(key) ?? 0) + 1);
  }

  /** An error of the kind that was caused. */
  #expect(action: string, error: unknown, is: (error: unknown) => boolean): void {
    if (error instanceof Wrong || !is(error)) throw error;
    this.#count(action, (error as Error).name);
  }

  #target(path: string, query: Record<string, string | number>): { target: string; id: string } {
    this.#tally.requests++;
    const id = String(this.#id++);
    const params = new URLSearchParams({ id });
    for (const [name, value] of Object.entries(query)) params.set(name, String(value));
    this.#last = `${path}?${params}`;
    return { target: `${path}?${params}`, id };
  }

  /** Gets the answer to a request of this number. */
  async #answer(id: string): Promise<HTTPResponse> {
    const response = await this.#conn.getresponse();
    if (response.getheader("x-id") !== id) throw new Wrong(`the answer to another request`);
    return response;
  }

  async #get(query: Record<string, string | number>, signal?: AbortSignal): Promise<HTTPResponse> {
    const { target, id } = this.#target("/get", query);
    const request = this.#conn.request("GET", target, null, null, { signal });
    if (this.#random(2) === 0) await request;
    return await this.#answer(id);
  }

  #content(): { seed: number; size: number } {
    return { seed: this.#random(65536), size: this.#pick(SIZES) };
  }

  async #download(): Promise<void> {
    const content = this.#content();
    const framing = this.#pick(["length", "length", "chunked", "chunked", "close"]);
    const interim: Record<string, number> = this.#random(4) === 0 ? { interim: 1 } : {};
    const response = await this.#get({ ...content, framing, ...interim });
    await this.#check(response, content);
    if (framing !== "chunked") return;
    const told = response.trailers?.get("x-digest");
    if (told !== digestOf(contentOf(content.seed, content.size))) throw new Wrong("the trailer");
  }

  async #check(
    response: AsyncIterable<Uint8Array> | HTTPResponse,
    { seed, size }: { seed: number; size: number },
  ): Promise<void> {
    const digest = new Digest();
    await this.#read(response, digest);
    this.#tally.bytes += digest.size;
    const told = digest.end();
    const right = digestOf(contentOf(seed, size));
    if (told !== right) throw new Wrong(`a body: ${told} in place of ${right}`);
  }

  /** Reads a body to its end, in one of many ways. */
  async #read(source: AsyncIterable<Uint8Array> | HTTPResponse, digest: Digest): Promise<void> {
    if (!("readinto" in source)) {
      for await (const piece of source) digest.add(piece);
      return;
    }
    switch (this.#reading = this.#random(7)) {
      case 0:
        return digest.add(await source.read());
      case 1: {
        const memory = new Uint8Array(1 + this.#random(100_000));
        for (let n; (n = await source.readinto(memory)) > 0;) digest.add(memory.subarray(0, n));
        return;
      }
      case 2: {
        const size = 1000 + this.#random(100_000);
        for (let piece; (piece = await source.read(size)).length > 0;) digest.add(piece);
        return;
      }
      case 3:
        for await (const line of source.lines()) digest.add(line);
        return;
      case 4:
        return await source.pipeTo(new WritableStream({ write: (piece) => digest.add(piece) }));
      case 5: {
        const reader = source.getReader();
        for (let step; !(step = await reader.read()).done;) digest.add(step.value);
        return;
      }
      default:
        for await (const piece of source) digest.add(piece);
    }
  }

  async #upload(): Promise<void> {
    const { seed, size } = this.#content();
    const content = contentOf(seed, size);
    const { target, id } = this.#target("/post", {});
    const expect_continue = this.#random(4) === 0;
    const chunked = this.#random(2) === 0;
    const headers: Record<string, string> = chunked
      ? { "Transfer-Encoding": "chunked" }
      : { "Content-Length": String(size) };
    const options = { encode_chunked: chunked, expect_continue };
    const piece = 1000 + this.#random(100_000);
    const pieces = function* () {
      for (let at = 0; at < size; at += piece) yield content.subarray(at, at + piece);
    };
    const body = this.#pick([
      () => content,
      () => ReadableStream.from(pieces()),
      () => pieces(),
      () => slow(pieces()),
      () => new Blob([content]),
    ])();
    const request = this.#random(5) === 0 && !chunked
      ? this.#steps(target, pieces(), size)
      : this.#conn.request("POST", target, body, headers, options);
    // That of several calls together is a promise of this program's, which somebody has to look at.
    request.catch(() => {});
    if (this.#random(2) === 0) await request;
    const response = await this.#answer(id);
    const told = await response.text();
    await request;
    this.#tally.bytes += size;
    const right = digestOf(content);
    if (told !== right) throw new Wrong(`the server got ${told} in place of ${right}`);
    if (!response.requestComplete) throw new Wrong("requestComplete is false");
  }

  async #steps(target: string, pieces: Iterable<Uint8Array>, size: number): Promise<void> {
    const conn = this.#conn;
    conn.putrequest("POST", target);
    conn.putheader("Content-Length", String(size));
    const sends = [conn.endheaders()];
    for (const piece of pieces) sends.push(conn.send(piece));
    await Promise.all(sends);
  }

  async #gzip(): Promise<void> {
    const content = this.#content();
    const framing = this.#pick(["length", "chunked"]);
    const response = await this.#get({ ...content, framing, gzip: 1 });
    await this.#check(response.decoded(), content);
  }

  /** An answer that comes before the body is out, and that ends the upload. */
  async #refused(): Promise<void> {
    const { target, id } = this.#target("/refuse", {});
    const request = this.#conn.request("POST", target, contentOf(1, LARGEST));
    // What ends the upload is told by the answer.
    request.catch(() => {});
    const response = await this.#answer(id);
    const text = await response.text();
    if (response.status !== 413 || text !== `too much for ${id}`) throw new Wrong(text);
  }

  /** A body that the server cuts short. */
  async #cut(): Promise<void> {
    const seed = this.#random(65536);
    const size = 1000 + this.#random(100_000);
    const framing = this.#pick(["length", "chunked"]);
    const response = await this.#get({ seed, size, framing, cut: this.#random(size) });
    const digest = new Digest();
    try {
      await this.#read(response, digest);
    } catch (error) {
      return this.#expect("cut", error, (error) => error instanceof IncompleteRead);
    }
    throw new Wrong(`a body that was cut looks whole: ${digest.size} of ${size} bytes`);
  }

  /** An exchange that is aborted while its body comes. */
  async #abort(): Promise<void> {
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    reason.name = "Reason";
    const query = { seed: 1, size: 100_000, framing: "length", cut: 50_000, stall: 1 };
    const response = await this.#get(query, controller.signal);
    const reading = this.#read(response, new Digest());
    await Promise.resolve();
    controller.abort(reason);
    try {
      await reading;
    } catch (error) {
      return this.#expect("abort", error, (error) => error === reason);
    }
    throw new Wrong("a body whose exchange was aborted looks whole");
  }

  /** A response that is closed while its body comes. */
  async #close(): Promise<void> {
    const query = { seed: 1, size: 100_000, framing: "chunked", cut: 50_000, stall: 1 };
    const response = await this.#get(query);
    await response.read(1000);
    const reading = this.#read(response, new Digest());
    await Promise.resolve();
    if (this.#random(2) === 0) response.close();
    else this.#conn.close();
    try {
      await reading;
    } catch (error) {
      return this.#expect("close", error, (error) => error instanceof Deno.errors.Interrupted);
    }
    throw new Wrong("a body that was closed looks whole");
  }

  /** A body that does not come in time. */
  async #deadline(): Promise<void> {
    const conn = this.#conn;
    conn.timeout = 0.2;
    try {
      const response = await this.#get({
        seed: 1,
        size: 1000,
        framing: "length",
        cut: 500,
        stall: 1,
      });
      await this.#read(response, new Digest());
    } catch (error) {
      return this.#expect("deadline", error, (error) => error instanceof Deno.errors.TimedOut);
    } finally {
      conn.timeout = null;
    }
    throw new Wrong("a body that did not come looks whole");
  }

  /** A response that is closed unread, whatever of it has come. */
  async #unread(): Promise<void> {
    const response = await this.#get({ ...this.#content(), framing: "chunked" });
    response.close();
  }

  /** A server that closes the connection without a word, once it is idle. */
  async #reconnect(): Promise<void> {
    const content = this.#content();
    const response = await this.#get({ ...content, framing: "length", silent: 1 });
    await this.#check(response, content);
    if (this.#random(2) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The same pieces, a turn of the event loop apart now and then. */
async function* slow<T>(pieces: Iterable<T>): AsyncGenerator<T> {
  let i = 0;
  for (const piece of pieces) {
    if (i++ % 8 === 7) await new Promise((resolve) => setTimeout(resolve, 0));
    yield piece;
  }
}
