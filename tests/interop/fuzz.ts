/**
 * Feeds broken responses to the library: `deno task fuzz --seconds N --seed S`. Any bytes, in any cut,
 * must give a response or an `HTTPException`, the same whole and cut, without a hang, another error, or
 * more memory than the limits allow.
 *
 * @module
 */
import { HTTPException, HTTPResponse, type Transport } from "../../mod.ts";

/** A seeded source of numbers from 0 up to 1 (mulberry32). */
export type Random = () => number;

/** Makes one. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)];

const STATUS = [
  "HTTP/1.1 200 OK",
  "HTTP/1.1 200 ",
  "HTTP/1.0 404 Not Found",
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 304 Not Modified",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK",
  "HTTP/1.1 101 Switching Protocols",
  "HTTP/2 200",
  "ICY 200 OK",
  "HTTP/1.1 2_0",
];
const FIELDS = [
  "Content-Length: 5",
  "Content-Length: 0",
  "Content-Length: 100000",
  "Content-Length: 9007199254740993",
  "Content-Length: +5",
  "Content-Length : 5",
  "Transfer-Encoding: chunked",
  "transfer-encoding: gzip, chunked",
  "Transfer-Encoding : chunked",
  "Connection: close",
  "Connection: keep-alive",
  "X: a\r\n b",
  "X: \0",
  "X: a\rb",
  "no colon",
  ": empty",
  "Set-Cookie: a=b; c",
  `Long: ${"x".repeat(300)}`,
];
const BODIES = [
  "hello",
  "hello\r\nworld\n",
  "5\r\nhello\r\n0\r\n\r\n",
  "5;a=b\r\nhello\r\n3 \r\nabc\r\n0\r\nT: v\r\n\r\n",
  "1\r\na\r\n1\r\nb\r\n1\r\n\n\r\n0\r\n\r\n",
  "ffffffffffffffff\r\nx",
  "5\nhello\n0\n\n",
  "0x5\r\nhello\r\n0\r\n\r\n",
  "",
  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
];
/** Pieces that mutations put in. */
const BITS = ["\r", "\n", "\r\n", "\0", " ", "\t", ":", ";", "0", "\xff", "\r\n\r\n", "chunked"];

/** A response, as text of one character a byte, mutated more or less. */
export function makeResponse(random: Random): string {
  let text = pick(random, STATUS) + pick(random, ["\r\n", "\r\n", "\r\n", "\n", ""]);
  for (let count = Math.floor(random() * 5); count > 0; count--) {
    text += pick(random, FIELDS) + pick(random, ["\r\n", "\r\n", "\r\n", "\n"]);
  }
  text += "\r\n" + pick(random, BODIES);
  if (random() < 0.1) text += "x".repeat(Math.floor(random() * 70000));
  for (let count = random() < 0.5 ? 0 : Math.floor(random() * 6); count > 0; count--) {
    const at = Math.floor(random() * (text.length + 1));
    const kind = random();
    if (kind < 0.3) text = text.slice(0, at) + text.slice(at + 1);
    else if (kind < 0.7) text = text.slice(0, at) + pick(random, BITS) + text.slice(at);
    else if (kind < 0.9) {
      text = text.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) +
        text.slice(at + 1);
    } else text = text.slice(0, at);
  }
  return text;
}

/** A transport that gives `bytes` in pieces that end at `cuts`, and then its end. */
class Scripted implements Transport {
  largestRead = 0;
  #bytes: Uint8Array;
  #cuts: number[];
  #at = 0;

  constructor(bytes: Uint8Array, cuts: number[]) {
    this.#bytes = bytes;
    this.#cuts = cuts;
  }

  read(p: Uint8Array): Promise<number | null> {
    this.largestRead = Math.max(this.largestRead, p.length);
    if (this.#at === this.#bytes.length) return Promise.resolve(null);
    const cut = this.#cuts.find((cut) => cut > this.#at) ?? this.#bytes.length;
    const piece = this.#bytes.subarray(this.#at, Math.min(cut, this.#at + p.length));
    p.set(piece);
    this.#at += piece.length;
    return Promise.resolve(piece.length);
  }

  write(p: Uint8Array): Promise<number> {
    return Promise.resolve(p.length);
  }

  close(): void {}
}

/** A read call, by name and number. */
type Call = ["read" | "readinto" | "readline" | "readlines" | "all" | "iterate", number];

function makeCalls(random: Random): Call[] {
  const names = ["read", "readinto", "readline", "readlines", "all"] as const;
  const calls: Call[] = [];
  for (let count = Math.floor(random() * 4); count > 0; count--) {
    calls.push([pick(random, names), Math.floor(random() * 12)]);
  }
  return [...calls, pick<Call>(random, [["all", 0], ["iterate", 0], ["all", 0]])];
}

const text = (bytes: Uint8Array) => String.fromCharCode(...bytes.subarray(0, 40)) + bytes.length;

async function perform(response: HTTPResponse, [name, size]: Call): Promise<string> {
  switch (name) {
    case "read":
      return text(await response.read(size));
    case "readinto": {
      const target = new Uint8Array(size);
      return text(target.subarray(0, await response.readinto(target)));
    }
    case "readline":
      return text(await response.readline(size));
    case "readlines":
      return (await response.readlines(size)).map(text).join();
    case "all":
      return text(await response.read());
    case "iterate": {
      const pieces: Uint8Array[] = [];
      for await (const piece of response) pieces.push(piece);
      return text(new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer()));
    }
  }
}

/** What a response and a list of calls on it give, as text. */
async function outcome(transport: Scripted, method: string, calls: Call[]): Promise<string> {
  const results: string[] = [];
  const attempt = async (action: () => Promise<string>) => {
    try {
      results.push(await action());
    } catch (error) {
      if (!(error instanceof HTTPException)) throw error;
      const { partial } = error as { partial?: Uint8Array };
      // What a stream gave before it broke depends on the cut.
      results.push(`${error.name} ${partial === undefined ? "" : text(partial)}`);
    }
  };
  const response = new HTTPResponse(transport, { method });
  await attempt(async () => {
    await response.begin();
    const { status, reason, version, will_close, headers } = response;
    return JSON.stringify([status, reason, version, will_close, [...headers], headers.defects]);
  });
  if (response.status === 0) return results.join("\n");
  for (const call of calls) await attempt(() => perform(response, call));
  response.close();
  return results.join("\n");
}

/** No read asks for more than the buffer, which grows to a head's limit at most. */
const LARGEST_READ = 2 << 20;
const HANG_MS = 10000;

/** One case. Returns what is wrong with it, or `null`. */
export async function fuzzCase(seed: number): Promise<string | null> {
  const random = seeded(seed);
  const response = makeResponse(random);
  const bytes = Uint8Array.from(response, (c) => c.charCodeAt(0));
  const method = pick(random, ["GET", "GET", "GET", "HEAD", "CONNECT"]);
  const calls = makeCalls(random);
  const step = random() < 0.3 ? 1 : 1 + Math.floor(random() * 50);
  const cuts: number[] = [];
  for (let at = step; at < bytes.length; at += random() < 0.5 ? step : 1) cuts.push(at);
  const whole = new Scripted(bytes, []);
  const cut = new Scripted(bytes, bytes.length > 2000 ? cuts.filter((_, i) => i % 97 === 0) : cuts);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it hangs")), HANG_MS);
  });
  try {
    const run = async () => {
      const one = await outcome(whole, method, calls);
      const other = await outcome(cut, method, calls);
      return one === other ? null : `whole and cut differ:\n${one}\n---\n${other}`;
    };
    const problem = await Promise.race([run(), hang]);
    if (problem !== null) return `${problem}\n${JSON.stringify([response, method, calls])}`;
    const largest = Math.max(whole.largestRead, cut.largestRead);
    return largest > LARGEST_READ ? `a read of ${largest} bytes` : null;
  } catch (error) {
    return `${(error as Error).stack}\n${JSON.stringify([response, method, calls])}`;
  } finally {
    clearTimeout(timer);
  }
}

/** The value of an option of the command line. */
function option(name: string, fallback: number): number {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(Deno.args[at + 1]);
}

if (import.meta.main) {
  const end = performance.now() + option("seconds", 10) * 1000;
  const first = option("seed", 1);
  let seed = first;
  let found = 0;
  for (; performance.now() < end; seed++) {
    const problem = await fuzzCase(seed);
    if (problem === null) continue;
    found++;
    console.log(`seed ${seed}: ${problem}`);
  }
  console.log(`${seed - first} cases from seed ${first}, ${found} problems`);
  if (found > 0) Deno.exit(1);
}
