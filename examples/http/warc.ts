/**
 * Appends exchanges to a WARC 1.1 file: a `request` and a `response` record with the bytes that went over
 * the wire. Interim responses are left out, as readers of WARC files take the first head for the response.
 * Blocks go to temporary files first, as the length of a record stands before it.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { addressOf, dateOf, type Exchange, openPrivate, writeAllSync } from "./archive.ts";
import { encodeBase32 } from "./base64.ts";
import { exitCodeOf } from "./failure.ts";
import type { Direction, Part, WireListener } from "./wire.ts";

/** The block of a record while it grows, in a temporary file. */
class Block implements Disposable {
  readonly #path = Deno.makeTempFileSync({ prefix: "warc-" });
  readonly #file = Deno.openSync(this.#path, { read: true, write: true, truncate: true });
  readonly #digest: Hash = createHash("sha1");
  length = 0;

  add(bytes: Uint8Array): void {
    writeAllSync(this.#file, bytes);
    this.#digest.update(bytes);
    this.length += bytes.length;
  }

  /** Its digest; nothing can be added afterwards. */
  digest(): string {
    return `sha1:${encodeBase32(this.#digest.digest())}`;
  }

  copyTo(target: Deno.FsFile): void {
    this.#file.seekSync(0, Deno.SeekMode.Start);
    const buffer = new Uint8Array(65536);
    for (let count; (count = this.#file.readSync(buffer)) !== null;) {
      writeAllSync(target, buffer.subarray(0, count));
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
    Deno.removeSync(this.#path);
  }
}

/** Writes the records of exchanges. */
export class WarcWriter implements WireListener, Disposable {
  readonly #file: Deno.FsFile;
  #blocks: Record<Direction, Block> | null = null;

  /** Opens the file, and begins with a `warcinfo` record. */
  constructor(path: string) {
    this.#file = openPrivate(path, true);
    const info =
      "software: examples/http.ts of @denoports/http-client\r\nformat: WARC File Format 1.1\r\n";
    using block = new Block();
    block.add(new TextEncoder().encode(info));
    this.#record(block, {
      "WARC-Type": "warcinfo",
      "WARC-Record-ID": newId(),
      "WARC-Date": new Date().toISOString(),
      "Content-Type": "application/warc-fields",
    });
  }

  /** Begins an exchange. */
  begin(): void {
    this.#drop();
    this.#blocks = { sent: new Block(), received: new Block() };
  }

  /** Takes the bytes of the request and of the final response. */
  part(direction: Direction, { kind, bytes, interim }: Part): void {
    if (!interim && kind !== "excess") this.#blocks?.[direction].add(bytes);
  }

  /** Writes the records of an exchange that is over. */
  add(exchange: Exchange): void {
    if (this.#blocks === null) return;
    const { sent, received } = this.#blocks;
    const [requestId, responseId] = [newId(), newId()];
    const address = addressOf(exchange);
    const common = {
      "WARC-Target-URI": exchange.url,
      "WARC-Date": dateOf(exchange),
      ...(address === null ? {} : { "WARC-IP-Address": address }),
    };
    if (received.length > 0) {
      this.#record(received, {
        "WARC-Type": "response",
        "WARC-Record-ID": responseId,
        ...common,
        ...(exchange.error === null ? {} : { "WARC-Truncated": truncation(exchange.error) }),
        "Content-Type": "application/http; msgtype=response",
      });
    }
    if (sent.length > 0) {
      this.#record(sent, {
        "WARC-Type": "request",
        "WARC-Record-ID": requestId,
        ...common,
        ...(received.length > 0 ? { "WARC-Concurrent-To": responseId } : {}),
        "Content-Type": "application/http; msgtype=request",
      });
    }
    this.#drop();
  }

  #record(block: Block, fields: Record<string, string>): void {
    const all = {
      ...fields,
      "WARC-Block-Digest": block.digest(),
      "Content-Length": String(block.length),
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    writeAllSync(this.#file, `WARC/1.1\r\n${lines.join("")}\r\n`);
    block.copyTo(this.#file);
    writeAllSync(this.#file, "\r\n\r\n");
  }

  #drop(): void {
    this.#blocks?.sent[Symbol.dispose]();
    this.#blocks?.received[Symbol.dispose]();
    this.#blocks = null;
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#drop();
    this.#file.close();
  }
}

function newId(): string {
  return `<urn:uuid:${crypto.randomUUID()}>`;
}

/** Why a block is shorter than it should be, in the words of WARC. */
function truncation(error: unknown): string {
  const code = exitCodeOf(error);
  return code === 28 ? "time" : code === 56 ? "disconnect" : "unspecified";
}
