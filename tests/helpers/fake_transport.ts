/**
 * A server in memory: a list of chunks to be read, and a record of each write.
 *
 * @module
 */
import { HTTPConnection, type HTTPConnectionOptions, type Transport } from "../../mod.ts";
import { ScriptedTransport } from "../parity/transports.ts";
import { bytes, latin1 } from "../servers/raw.ts";

const REQUEST_LINE = /^[A-Za-z]+ \S+ HTTP\/1\.[01]\r\n/;

/** Options of {@linkcode FakeTransport}. */
export interface FakeOptions {
  /** Whether the end comes after the chunks, rather than silence. @default {false} */
  readonly ended?: boolean;
  /** How many bytes a write accepts at most. @default {Infinity} */
  readonly most?: number;
  /** What to send when a request line is written: the first text for the first one, and so on. */
  readonly answers?: readonly string[];
}

/** A transport whose chunks are there from the start, that answers requests, and that records writes. */
export class FakeTransport extends ScriptedTransport {
  /** Each write as it was accepted, one character for each byte. */
  readonly writes: string[] = [];
  /** How often it was closed. */
  closes = 0;
  readonly #most: number;
  readonly #answers: string[];

  constructor(chunks: readonly string[] = [], options: FakeOptions = {}) {
    super();
    this.#most = options.most ?? Infinity;
    this.#answers = [...options.answers ?? []];
    for (const chunk of chunks) this.release(bytes(chunk), false);
    if (options.ended) this.end();
  }

  /** Lets a chunk arrive. */
  arrive(chunk: string): void {
    this.release(bytes(chunk), false);
  }

  /** Lets the end arrive. */
  end(): void {
    this.release(new Uint8Array(), true);
  }

  override write(data: Uint8Array): Promise<number> {
    const piece = data.subarray(0, this.#most);
    if (!this.closed) {
      this.writes.push(latin1(piece));
      if (REQUEST_LINE.test(this.writes.at(-1)!) && this.#answers.length > 0) {
        this.arrive(this.#answers.shift()!);
      }
    }
    return super.write(piece);
  }

  override close(): void {
    this.closes++;
    super.close();
  }
}

/** Options that make a connection use these transports, one after the other. */
export function over(...transports: Transport[]): HTTPConnectionOptions {
  const left = [...transports];
  return {
    transport: () => {
      const next = left.shift();
      if (next === undefined) throw new Error("The connection was opened once too often");
      return Promise.resolve(next);
    },
  };
}

/** A transport that answers the first request with the first of these, and so on. */
export function answering(...answers: string[]): FakeTransport {
  return new FakeTransport([], { answers });
}

/** A connection to `example.com` over these transports, one after the other. */
export function connectionOver(...transports: Transport[]): HTTPConnection {
  return new HTTPConnection("example.com", over(...transports));
}

/** A response with a length. */
export function ok(body = "ok", head = ""): string {
  return `HTTP/1.1 200 OK\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** A transport that answers each request with its target as the body, and takes any pieces for that. */
export class TargetTransport extends FakeTransport {
  #seen = 0;

  override async write(data: Uint8Array): Promise<number> {
    const count = await super.write(data);
    const heads = [...this.sent.matchAll(/[A-Z]+ (\S+) HTTP\/1\.1\r\n(?:[^\r]+\r\n)*\r\n/g)];
    for (const [, target] of heads.slice(this.#seen)) this.arrive(ok(target));
    this.#seen = heads.length;
    return count;
  }
}
