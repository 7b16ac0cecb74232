/**
 * HAR 1.2 entries of exchanges: request and response fields in their order as sent, sizes, timings,
 * cookies, posted data and content. `HarObserver` and `harEntry()` may be imported. The self-check
 * validates the file with `npm:har-validator`.
 *
 *     deno run -A examples/har.ts
 *     deno run -A examples/har.ts https://example.com/ > example.har
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  HTTPConnection,
  type HTTPResponse,
  HTTPSConnection,
  LineReader,
  parse_headers,
  type TraceEvent,
} from "@denoports/http-client";
import { assert, assertEquals } from "@std/assert";
import type { Cookie as HarCookie, Entry, Har, PostData } from "npm:@types/har-format@1";
import { har as validate } from "npm:har-validator@5";
import { Cookie } from "npm:tough-cookie@5";

type Events = { [T in TraceEvent["type"]]?: Extract<TraceEvent, { type: T }> };

/** Observes the exchanges of one connection object; its `trace` is an option of that. */
export class HarObserver {
  /** The latest event of each type in the exchange that was begun last. */
  events: Events = {};
  /** The head of its request, as sent. */
  head: Uint8Array = new Uint8Array();
  /** Tells the connections apart. */
  connection = 0;
  /** The address of the server, if it is known. */
  address: string | null = null;
  #sent: Uint8Array[] = [];

  readonly trace = (event: TraceEvent): void => {
    const { type } = event;
    if (type === "connectStart") this.connection++;
    if (type === "connectStart" || (type === "requestStart" && event.connectionReused)) {
      this.events = {};
    }
    if (type === "connected") this.address = event.address;
    if (type === "requestStart") this.#sent = [];
    if (type === "requestHead") {
      this.head = Buffer.concat(this.#sent).subarray(0, event.bytes);
    }
    Object.assign(this.events, { [type]: event });
  };

  /** Observes what `conn` sends, above TLS. */
  attach(conn: HTTPConnection): void {
    const connect = conn.connect.bind(conn);
    conn.connect = async () => {
      await connect();
      const inner = conn.sock!;
      conn.sock = {
        read: (p) => inner.read(p),
        write: async (p) => {
          const n = await inner.write(p);
          // Up to the end of the head; of the body no more than shares a write with it.
          if (this.events.requestHead === undefined) this.#sent.push(p.slice(0, n));
          return n;
        },
        close: () => inner.close(),
      };
    };
  }
}

/** What else of an exchange goes into its entry. */
export interface HarBodies {
  /** The body of the request, if it is to be part of the entry. */
  postData?: string | Uint8Array;
  /** The content of the response, decoded; without it the entry has its size at most. */
  content?: Uint8Array;
}

/** The entry of the exchange that was observed last, once its response is over. */
export async function harEntry(
  { events, head, connection, address }: HarObserver,
  response: HTTPResponse,
  { postData, content }: HarBodies = {},
): Promise<Entry> {
  const { connectStart, connected, tunnelled, tlsStart, secured } = events;
  const { requestStart, requestHead, requestEnd, responseHead, responseEnd } = events;
  assert(requestStart && requestHead && responseHead, "the response has begun");

  // An early answer may precede the end of the upload, which HAR cannot express: `send` ends with it.
  const sent = Math.min(requestEnd?.time ?? Infinity, responseHead.time);
  const ready = (secured ?? tunnelled ?? connected ?? requestStart).time;
  const timings = {
    blocked: -1,
    dns: -1, // part of `connect`
    connect: connectStart ? ready - connectStart.time : -1, // with TLS, as HAR has it
    ssl: secured && tlsStart ? secured.time - tlsStart.time : -1,
    send: sent - requestStart.time,
    wait: responseHead.time - sent,
    receive: (responseEnd?.time ?? response.timings.end ?? responseHead.time) - responseHead.time,
  };
  const { connect, send, wait, receive } = timings;

  const lines = new LineReader(new Blob([head.slice()]).stream());
  const [method, , version] = new TextDecoder().decode(await lines.readline()).trim().split(" ");
  const fields = await parse_headers(lines);
  const url = new URL(response.url);
  const isChunked = fields.has("transfer-encoding");
  const bodySize = response.status === 304 ? 0 : responseEnd?.total ?? -1;
  return {
    startedDateTime: new Date(performance.timeOrigin + (connectStart ?? requestStart).time)
      .toISOString(),
    time: Math.max(connect, 0) + send + wait + receive,
    request: {
      method,
      url: response.url,
      httpVersion: version,
      headers: fields.items().map(([name, value]) => ({ name, value })),
      cookies: (fields.get("cookie") ?? "").split(";").flatMap(cookie),
      queryString: [...url.searchParams].map(([name, value]) => ({ name, value })),
      headersSize: requestHead.bytes,
      // The trace counts the framing of chunks, too.
      bodySize: isChunked ? -1 : (requestEnd ?? requestHead).bytes - requestHead.bytes,
      ...(postData === undefined
        ? {}
        : { postData: posted(postData, fields.get("content-type") ?? "") }),
    },
    response: {
      status: response.status,
      statusText: response.reason,
      httpVersion: `HTTP/${(response.version / 10).toFixed(1)}`,
      headers: response.getheaders().map(([name, value]) => ({ name, value })),
      cookies: (response.headers.get_all("set-cookie") ?? []).flatMap(cookie),
      content: contentOf(content, bodySize, response.getheader("content-type", "x-unknown")),
      redirectURL: response.getheader("location", ""),
      headersSize: -1, // not known
      bodySize,
    },
    cache: {},
    timings,
    ...(address === null ? {} : { serverIPAddress: address }),
    connection: String(connection),
  };
}

/** The cookie of a `Set-Cookie` field, or a pair of a `Cookie` field; none if it is malformed. */
function cookie(text: string): HarCookie[] {
  const parsed = Cookie.parse(text);
  if (!parsed) return [];
  const { key, value, path, domain, expires, httpOnly, secure } = parsed;
  return [{
    name: key,
    value,
    ...(path ? { path } : {}),
    ...(domain ? { domain } : {}),
    ...(expires instanceof Date ? { expires: expires.toISOString() } : {}),
    httpOnly,
    secure,
  }];
}

/** The data of a request: parameters of a form, or text. HAR 1.2 has no form for other bytes. */
function posted(data: string | Uint8Array, mimeType: string): PostData {
  const text = typeof data === "string" ? data : textOf(data);
  if (text === null) return { mimeType, text: "", comment: `${data.length} bytes, not text` };
  if (!mimeType.startsWith("application/x-www-form-urlencoded")) return { mimeType, text };
  const params = [...new URLSearchParams(text)].map(([name, value]) => ({ name, value }));
  return { mimeType, params };
}

function contentOf(content: Uint8Array | undefined, bodySize: number, mimeType: string) {
  if (content === undefined) return { size: Math.max(bodySize, 0), mimeType };
  const compression = bodySize < 0 ? {} : { compression: content.length - bodySize };
  const text = textOf(content);
  const data = text === null
    ? { text: Buffer.from(content).toString("base64"), encoding: "base64" }
    : { text };
  return { size: content.length, ...compression, mimeType, ...data };
}

/** Bytes as text, if they are UTF-8. */
function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A HAR file. */
export function harFile(entries: Entry[]): Har {
  const creator = { name: "@denoports/http-client, examples/har.ts", version: "1" };
  return { log: { version: "1.2", creator, entries } };
}

/** Makes a request, and returns its entry with the content decoded. */
async function exchange(
  conn: HTTPConnection,
  observer: HarObserver,
  [method, url, body, headers]: [string, string, string?, Record<string, string>?],
): Promise<Entry> {
  await conn.request(method, url, body ?? null, headers ?? {});
  const response = await conn.getresponse();
  const content = await new Response(response.decoded({ maxDecodedBytes: 16 << 20 })).bytes();
  return await harEntry(observer, response, { postData: body, content });
}

async function fetchOnce(url: URL): Promise<void> {
  const observer = new HarObserver();
  const type = url.protocol === "https:" ? HTTPSConnection : HTTPConnection;
  using conn = new type(new URL(url.origin), { timeout: 30, trace: observer.trace });
  observer.attach(conn);
  const headers = { "Accept-Encoding": "gzip, br" };
  const entry = await exchange(conn, observer, ["GET", url.pathname + url.search, , headers]);
  console.log(JSON.stringify(harFile([entry]), null, 2));
}

async function selfCheck(): Promise<void> {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  const observer = new HarObserver();
  using conn = new HTTPConnection("127.0.0.1", server.addr.port, { trace: observer.trace });
  observer.attach(conn);
  const form = { "Content-Type": "application/x-www-form-urlencoded", "cookie": "a=1; b=2" };
  const entries = [
    await exchange(conn, observer, ["GET", "/page?q=1&q=2", , { "Accept-Encoding": "gzip" }]),
    await exchange(conn, observer, ["POST", "/form", "name=a+b&x=%C3%A9", form]),
    await exchange(conn, observer, ["GET", "/image"]),
  ];
  const har = harFile(entries);
  await validate(har);

  const [page, posting, image] = entries;
  const host = { name: "Host", value: `127.0.0.1:${server.addr.port}` };
  assertEquals(page.request.headers, [host, { name: "Accept-Encoding", value: "gzip" }]);
  assertEquals(page.request.queryString.map(({ value }) => value), ["1", "2"]);
  assertEquals([page.response.content.text, page.response.content.size], ["a".repeat(999), 999]);
  assertEquals(page.response.bodySize, 999 - page.response.content.compression!);
  assertEquals(page.response.cookies[0].expires, "2037-01-01T00:00:00.000Z");
  assertEquals(posting.request.cookies.map(({ name }) => name), ["a", "b"]);
  assertEquals(posting.request.postData?.params?.at(1), { name: "x", value: "\u00e9" });
  assertEquals([posting.request.bodySize, posting.response.status], [17, 303]);
  assertEquals(posting.response.redirectURL, "/page");
  assertEquals([image.response.content.encoding, image.response.content.text], ["base64", "iVD/"]);
  // One connection, and only the first exchange waited for it.
  assertEquals(entries.map(({ connection }) => connection), ["1", "1", "1"]);
  assertEquals(entries.map(({ timings }) => timings.connect! >= 0), [true, false, false]);
  for (const { time, timings: { connect, send, wait, receive } } of entries) {
    assert(send! >= 0 && wait >= 0 && receive >= 0);
    assertEquals(time, Math.max(connect!, 0) + send! + wait + receive);
  }
  console.log("checked: the entries of three exchanges, by har-validator and field by field");
}

/** The server of the self-check. */
async function answer(request: Request): Promise<Response> {
  switch (new URL(request.url).pathname) {
    case "/page": {
      const body = new Blob(["a".repeat(999)]).stream().pipeThrough(new CompressionStream("gzip"));
      const expires = "Thu, 01 Jan 2037 00:00:00 GMT";
      return new Response(body, {
        headers: { "Content-Encoding": "gzip", "Set-Cookie": `id=1; Expires=${expires}; HttpOnly` },
      });
    }
    case "/form":
      await request.body?.cancel();
      return new Response(null, { status: 303, headers: { "Location": "/page" } });
    default:
      return new Response(new Uint8Array([0x89, 0x50, 0xff]), {
        headers: { "Content-Type": "image/png" },
      });
  }
}

if (import.meta.main) {
  const [url] = Deno.args;
  if (url === undefined) await selfCheck();
  else await fetchOnce(new URL(url));
}
