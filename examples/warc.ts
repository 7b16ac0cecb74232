/**
 * Archives a crawl as a WARC/1.1 file with the exact bytes of each request and response: a `warcinfo`
 * record, then a `response` and a `request` record for each URL, each record gzipped on its own if the
 * name ends in `.gz`. The self-check reads the file back with the reader of `npm:warcio`.
 *
 *     deno run -A examples/warc.ts
 *     deno run -A examples/warc.ts crawl.warc.gz https://example.com/ https://example.com/about
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import {
  errors,
  HTTPConnection,
  HTTPResponse,
  HTTPSConnection,
  LineReader,
  type Transport,
  type Writer,
} from "@denoports/http-client";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { writeAll } from "@std/io/write-all";
import { WARCParser, type WARCRecord } from "npm:warcio@2";

/** How much of one response is kept, in bytes; what is longer is marked as truncated. */
const MAX_RESPONSE = 64 << 20;

/** Writes the records of a WARC file. */
export class WarcWriter {
  readonly #target: Writer;
  readonly #gzip: boolean;
  readonly #infoId = recordId();

  constructor(target: Writer, { gzip = false } = {}) {
    this.#target = target;
    this.#gzip = gzip;
  }

  /** Writes the record that describes the file; to be called first. */
  async info(fields: Record<string, string>): Promise<void> {
    const block = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    await this.#write({
      "WARC-Type": "warcinfo",
      "WARC-Record-ID": this.#infoId,
      "WARC-Date": new Date().toISOString(),
      "Content-Type": "application/warc-fields",
    }, new TextEncoder().encode(block));
  }

  /** Writes the two records of one exchange. */
  async exchange({ url, date, address, request, response, payload, truncated }: Exchange) {
    const [requestId, responseId] = [recordId(), recordId()];
    const common = {
      "WARC-Warcinfo-ID": this.#infoId,
      "WARC-Target-URI": url,
      "WARC-Date": date.toISOString(),
      ...(address === null ? {} : { "WARC-IP-Address": address }),
    };
    await this.#write({
      "WARC-Type": "response",
      "WARC-Record-ID": responseId,
      ...common,
      // WARC/1.1 defines the payload of HTTP as the entity-body: without its transfer coding.
      "WARC-Payload-Digest": digest(payload),
      ...(truncated === null ? {} : { "WARC-Truncated": truncated }),
      "Content-Type": "application/http;msgtype=response",
    }, response);
    await this.#write({
      "WARC-Type": "request",
      "WARC-Record-ID": requestId,
      ...common,
      "WARC-Concurrent-To": responseId,
      "Content-Type": "application/http;msgtype=request",
    }, request);
  }

  async #write(fields: Record<string, string>, block: Uint8Array): Promise<void> {
    const all = { ...fields, "WARC-Block-Digest": digest(block), "Content-Length": block.length };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const record = Buffer.concat([
      new TextEncoder().encode(`WARC/1.1\r\n${lines}\r\n`),
      block,
      new TextEncoder().encode("\r\n\r\n"),
    ]);
    await writeAll(this.#target, this.#gzip ? gzipSync(record) : record);
  }
}

/** One request and its response, as they were on the wire. */
interface Exchange {
  url: string;
  date: Date;
  address: string | null;
  request: Uint8Array;
  response: Uint8Array;
  payload: Uint8Array;
  truncated: "length" | "time" | "disconnect" | "unspecified" | null;
}

/** Fetches URLs one after another, and keeps the connection from one to the next of the same origin. */
export class Crawler implements Disposable {
  #conn: HTTPConnection | null = null;
  #origin = "";
  #address: string | null = null;
  #sent: Uint8Array[] = [];
  #received: Uint8Array[] = [];

  /** Makes a request; throws if no response came. A response that broke off is marked as truncated. */
  async fetch(url: URL): Promise<Exchange> {
    const conn = this.#connectionFor(url);
    const date = new Date();
    let truncated: Exchange["truncated"] = null;
    [this.#sent, this.#received] = [[], []];
    await conn.request("GET", url, null, { "User-Agent": "warc-example" });
    const response = await conn.getresponse();
    try {
      let size = 0;
      for await (const piece of response) {
        size += piece.length;
        if (size <= MAX_RESPONSE) continue;
        truncated = "length";
        break; // closes the connection
      }
    } catch (error) {
      truncated = error instanceof errors.TimedOut ? "time" : "disconnect";
    }
    const request = Buffer.concat(this.#sent);
    const parts = await finalResponse(Buffer.concat(this.#received));
    const { href } = Object.assign(new URL(url), { hash: "" });
    return { url: href, date, address: this.#address, request, ...parts, truncated };
  }

  #connectionFor(url: URL): HTTPConnection {
    if (this.#conn !== null && this.#origin === url.origin) return this.#conn;
    this.#conn?.[Symbol.dispose]();
    const type = url.protocol === "https:" ? HTTPSConnection : HTTPConnection;
    const conn = new type(new URL(url.origin), {
      timeout: 30,
      deadlines: { head: 60, total: 600 },
      maxHeaderBytes: 65536,
      maxInterimResponses: 10,
      trace: (event) => {
        if (event.type === "connected") this.#address = event.address;
      },
    });
    // Every connection that is opened, by a request, too, is observed above TLS.
    const connect = conn.connect.bind(conn);
    conn.connect = async () => {
      await connect();
      conn.sock = this.#observe(conn.sock!);
    };
    this.#origin = url.origin;
    return this.#conn = conn;
  }

  #observe(inner: Transport): Transport {
    return {
      read: async (p) => {
        const n = await inner.read(p);
        if (n !== null) this.#received.push(p.slice(0, n));
        return n;
      },
      write: async (p) => {
        const n = await inner.write(p);
        this.#sent.push(p.slice(0, n));
        return n;
      },
      close: () => inner.close(),
    };
  }

  [Symbol.dispose](): void {
    this.#conn?.[Symbol.dispose]();
  }
}

/** What of the received bytes is the final response, and its payload, as far as it came. */
async function finalResponse(received: Buffer<ArrayBuffer>) {
  const start = received.subarray(0, 1 << 20).toString("latin1");
  const [interim] = /^(?:HTTP\/1\.\d 1(?!01)\d\d[^]*?\r?\n\r?\n)*/.exec(start)!;
  const rest = received.subarray(interim.length);
  const reader = new LineReader(new Blob([rest]).stream());
  const parsed = new HTTPResponse(reader, { method: "GET" });
  const pieces: Uint8Array[] = [];
  await parsed.begin();
  try {
    for await (const piece of parsed) pieces.push(piece);
  } catch {
    return { response: rest, payload: Buffer.concat(pieces) }; // truncated
  }
  // Bytes that a server sends after a response are no part of it.
  const surplus = (await reader.read()).length;
  return { response: rest.subarray(0, rest.length - surplus), payload: Buffer.concat(pieces) };
}

function recordId(): string {
  return `<urn:uuid:${crypto.randomUUID()}>`;
}

/** SHA-1 in base32: the form that the indexes of web archives use. */
function digest(bytes: Uint8Array): string {
  const bits = Array.from(
    createHash("sha1").update(bytes).digest(),
    (byte) => byte.toString(2).padStart(8, "0"),
  ).join("");
  const digits = bits.match(/.{5}/g)!.map((five) => {
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[parseInt(five, 2)];
  });
  return `sha1:${digits.join("")}`;
}

/** Archives URLs in a new file. One that gives no response is reported and left out. */
export async function crawl(path: string, urls: string[]): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  const writer = new WarcWriter(file, { gzip: path.endsWith(".gz") });
  await writer.info({
    software: "@denoports/http-client, examples/warc.ts",
    format: "WARC File Format 1.1",
  });
  using crawler = new Crawler();
  for (const url of urls) {
    try {
      const exchange = await crawler.fetch(new URL(url));
      await writer.exchange(exchange);
      const { response, truncated } = exchange;
      console.log(`${url} ${response.length} bytes${truncated ? `, truncated: ${truncated}` : ""}`);
    } catch (error) {
      console.error(url, `${error}`);
    }
  }
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
  const answers = [
    "HTTP/1.1 200 OK\r\nX-B: 1\r\nx-a:  2\r\nContent-Length: 6\r\n\r\n<html>",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "HTTP/1.1 404 Not here\r\nContent-Length: 100\r\n\r\nit breaks off",
  ];
  await using server = await startRaw(async (peer) => {
    for (const answer of answers) {
      await peer.readHead();
      await peer.send(early + answer);
    }
  });
  const origin = `http://127.0.0.1:${server.port}`;
  const urls = ["/", "/chunked?q=1", "/cut"].map((path) => origin + path);
  const folder = await Deno.makeTempDir();
  try {
    console.log("each third response is truncated, as it should be");
    for (const name of ["crawl.warc", "crawl.warc.gz"]) {
      await crawl(`${folder}/${name}`, urls);
      const first = server.requests.slice(-urls.length);
      await verify(`${folder}/${name}`, urls, first, answers);
    }
    assertEquals(server.accepted, 2); // one connection for each crawl
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log("checked: two archives read back by warcio, with the bytes of the wire");
}

/** Reads a file back: the blocks are the bytes of the wire, and the digests and references are right. */
async function verify(path: string, urls: string[], requests: string[], responses: string[]) {
  using file = await Deno.open(path);
  const records: { record: WARCRecord; text: string }[] = [];
  for await (const record of new WARCParser(file.readable, { parseHttp: false })) {
    const block = await record.readFully(false);
    assertEquals(record.warcBlockDigest, digest(block));
    records.push({ record, text: new TextDecoder().decode(block) });
  }
  const of = (type: string) => records.filter(({ record }) => record.warcType === type);
  assertEquals(records[0].record.warcType, "warcinfo");
  assertStringIncludes(records[0].text, "format: WARC File Format 1.1\r\n");
  assertEquals(of("request").map(({ text }) => text), requests);
  assertEquals(of("response").map(({ text }) => text), responses);
  assertEquals(of("response").map(({ record }) => record.warcTargetURI), urls);
  assertEquals(
    of("request").map(({ record }) => record.warcHeader("WARC-Concurrent-To")),
    of("response").map(({ record }) => record.warcHeader("WARC-Record-ID")),
  );
  const truncated = of("response").map(({ record }) => record.warcHeader("WARC-Truncated"));
  assertEquals(truncated.map((reason) => reason ?? null), [null, null, "disconnect"]);

  // The reader's own parser of HTTP finds the payloads.
  using again = await Deno.open(path);
  const payloads: string[] = [];
  for await (const record of new WARCParser(again.readable)) {
    if (record.warcType !== "response") continue;
    const payload = await record.readFully(true);
    assertEquals(record.warcPayloadDigest, digest(payload));
    payloads.push(new TextDecoder().decode(payload));
  }
  assertEquals(payloads, ["<html>", "hello", "it breaks off"]);
}

if (import.meta.main) {
  const [path, ...urls] = Deno.args;
  if (path === undefined) await selfCheck();
  else {
    assert(urls.length > 0, "give the name of the file, then the URLs");
    await crawl(path, urls);
  }
}
