/**
 * What every client of the benchmark can be asked to do.
 *
 * @module
 */
import { check, pieces } from "./common.mjs";

export { check, MOST_PARALLEL, PARALLEL, pieces, POSTED, rested } from "./common.mjs";

/** A task; which of the fields count depends on the job. */
export interface Task {
  /** The job. */
  job: "get" | "rest" | "connect" | "post" | "parallel" | "duplex" | "download" | "upload";
  /** How the body is read or sent, or which options are set. */
  way: string;
  /** What to get. */
  path: string;
  /** How often. */
  count: number;
  /** The bytes of a body. */
  size: number;
  /** Whether over TLS. */
  tls: boolean;
  /** How many connections are used at once. */
  parallel: number;
}

/** What a client is told when it starts. */
export interface Config {
  /** The address of the servers. */
  host: string;
  /** The port of the plain server. */
  port: number;
  /** The port of the server that talks TLS. */
  tlsPort: number;
  /** The certificate of the authority that signed the server's. */
  ca: string;
  /** The same as a file. */
  caFile: string;
  /** A file to send. */
  upload: string;
  /** A file to write. */
  download: string;
  /** Where undici is. */
  undici: string;
}

/** The jobs that a client can do, by their names. */
export type Jobs = Partial<
  Record<
    Task["job"],
    /** Gives the milliseconds that count, where that is not the time from its start to its end. */
    (task: Task) => Promise<void | number>
  >
>;

/** What is posted as JSON. */
export const DOCUMENT = {
  name: "x".repeat(900),
  tags: ["a", "b"],
  count: 42,
  nested: { ok: true },
};

/** Fields of a request that has many. */
export const FIELDS: Record<string, string> = {
  "Accept": "application/json, text/plain, */*",
  "Accept-Language": "en-GB,en;q=0.9",
  "Authorization": "Bearer 0123456789abcdef0123456789abcdef",
  "Cache-Control": "no-cache",
  "If-None-Match": '"0123456789abcdef"',
  "Referer": "http://example.com/some/page",
  "User-Agent": "bench/1.0 (a client of the benchmark)",
  "X-Forwarded-For": "192.0.2.1",
  "X-Request-Id": "0123456789abcdef",
  "X-Trace-Id": "fedcba9876543210",
};

/** A body in pieces of one size, as a web stream. */
export function stream(size: number, piece: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const source = pieces(size, piece);
  return new ReadableStream({
    pull(controller) {
      const { value, done } = source.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

/** A stream to pipe to that counts. */
export class Counter extends WritableStream<Uint8Array> {
  /** How many bytes came. */
  total = 0;

  constructor() {
    super({ write: (piece) => void (this.total += piece.length) });
  }
}

/** A new file, to pipe to. */
export function fileTo(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { write: true, create: true, truncate: true });
}

/** What the server says that it got. */
export function checkAnswer(text: string, size: number): void {
  check(Number(text), size);
}
