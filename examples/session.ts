/**
 * Shows whole exchanges: what goes over the wire (`>` is sent, `<` is received), and what the program
 * gets of it (`=`).
 *
 * - `deno task demo` runs every example session of the page of Python's `http.client` against servers
 *   of its own on this machine, and checks each result.
 * - `deno task demo [-X METHOD] [-d BODY] URL` makes that request.
 *
 * @module
 */
import {
  HTTPConnection,
  type HTTPResponse,
  HTTPSConnection,
  NOT_FOUND,
  responses,
  type Transport,
} from "@denoports/http-client";
import { assertEquals } from "@std/assert";
import type { Site } from "./server.ts";

/** How many lines of a body are shown each time that something of it is sent or received. */
const BODY_LINES = 9;

/** How much of the body of a URL is printed, in bytes. */
const PRINTED_BYTES = 65536;

/** Seconds that any step of a request to a URL may take. */
const TIMEOUT = 30;

// The sessions, in the order of the reference page.

function fourWaysToNameAServer(): void {
  const h1 = new HTTPConnection("www.python.org");
  const h2 = new HTTPConnection("www.python.org:80");
  const h3 = new HTTPConnection("www.python.org", 80);
  const h4 = new HTTPConnection("www.python.org", 80, { timeout: 10 });
  for (const conn of [h1, h2, h3, h4]) print("www.python.org 80", conn.host, conn.port);
}

function reasonOfAStatus(): void {
  print("Not Found", responses[NOT_FOUND]);
}

async function getWithAHost(site: Site): Promise<void> {
  const host = "docs.python.org";
  using conn = await watch(new HTTPSConnection(site.host, site.https, trust(site)));
  await conn.request("GET", "/3/", null, { "Host": host });
  const response = await conn.getresponse();
  print("200 OK", response.status, response.reason);
}

async function getWholeThenInPieces(site: Site): Promise<void> {
  const { FRONT_PAGE } = await import("./server.ts");
  using conn = await watch(new HTTPSConnection(site.host, site.https, trust(site)));
  await conn.request("GET", "/");
  let r1 = await conn.getresponse();
  print("200 OK", r1.status, r1.reason);
  const data1 = await r1.read(); // This returns the entire content.
  print(`${FRONT_PAGE.length} bytes`, data1.length, "bytes");
  // The same connection serves the next request.
  await conn.request("GET", "/");
  r1 = await conn.getresponse();
  const sizes: number[] = [];
  for (let chunk; (chunk = await r1.read(200)).length > 0;) {
    say(new TextDecoder().decode(chunk.subarray(0, 15)) + "...");
    sizes.push(chunk.length);
  }
  print("pieces of 200, 200, 38 bytes", "pieces of", sizes.join(", "), "bytes");
}

async function getAnInvalidPath(site: Site): Promise<void> {
  using conn = await watch(new HTTPSConnection(site.host, site.https, trust(site)));
  await conn.request("GET", "/parrot.spam");
  const r2 = await conn.getresponse();
  print("404 Not Found", r2.status, r2.reason);
  await r2.read();
  conn.close();
}

async function head(site: Site): Promise<void> {
  using conn = await watch(new HTTPSConnection(site.host, site.https, trust(site)));
  await conn.request("HEAD", "/");
  const res = await conn.getresponse();
  print("200 OK", res.status, res.reason);
  const data = await res.read();
  print("0 bytes", data.length, "bytes");
}

async function postAForm(site: Site): Promise<void> {
  const params = new URLSearchParams({ "@number": "12524", "@type": "issue", "@action": "show" });
  const headers = {
    "Content-type": "application/x-www-form-urlencoded",
    "Accept": "text/plain",
  };
  using conn = await watch(new HTTPConnection(site.host, site.http));
  await conn.request("POST", "", params.toString(), headers);
  const response = await conn.getresponse();
  print("302 Found", response.status, response.reason);
  const url = "https://bugs.python.org/issue12524";
  print(`Redirecting to <a href="${url}">${url}</a>`, await response.text());
}

async function put(site: Site): Promise<void> {
  const BODY = "***filecontents***";
  using conn = await watch(new HTTPConnection(site.host, site.http));
  await conn.request("PUT", "/file", BODY);
  const response = await conn.getresponse();
  print("200 OK", response.status, response.reason);
  await response.read();
  await conn.request("GET", "/file");
  print(BODY, await (await conn.getresponse()).text());
}

async function stepByStep(site: Site): Promise<void> {
  using conn = await watch(new HTTPConnection(site.host, site.http));
  conn.putrequest("POST", "/upload", { skip_accept_encoding: true });
  conn.putheader("Content-Type", "text/plain");
  conn.putheader("Content-Length", 12);
  await conn.endheaders();
  await conn.send("Hello, ");
  await conn.send("wire!");
  const response = await conn.getresponse();
  print("200 OK", response.status, response.reason);
  print("length 12: Hello, wire!", await response.text());
}

async function uploadAnIterable(site: Site): Promise<void> {
  function* pieces() {
    yield "one, ";
    yield "two, ";
    yield "three";
  }
  using conn = await watch(new HTTPConnection(site.host, site.http));
  await conn.request("POST", "/upload", pieces());
  const response = await conn.getresponse();
  print("200 OK", response.status, response.reason);
  print("chunked: one, two, three", await response.text());
}

async function uploadAFile(site: Site): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "a file, read in blocks of 16 bytes");
    using file = await Deno.open(path);
    using conn = await watch(new HTTPConnection(site.host, site.http, { blocksize: 16 }));
    await conn.request("POST", "/upload", file);
    const response = await conn.getresponse();
    print("200 OK", response.status, response.reason);
    print("chunked: a file, read in blocks of 16 bytes", await response.text());
  } finally {
    await Deno.remove(path);
  }
}

async function tunnel(site: Site): Promise<void> {
  using conn = new HTTPSConnection(site.host, site.proxy, trust(site));
  conn.set_tunnel("localhost", site.https);
  conn.set_debuglevel(1); // What is said to the proxy is printed in Python's way.
  await watch(conn);
  conn.set_debuglevel(0);
  await conn.request("HEAD", "/index.html");
  const response = await conn.getresponse();
  print("200 OK", response.status, response.reason);
  print("1.1 embedded-proxy", conn.get_proxy_response_headers()?.get("Via"));
}

const SESSIONS: [title: string, run: (site: Site) => void | Promise<void>][] = [
  ["Four ways to name the same server", fourWaysToNameAServer],
  ["The reason that belongs to a status", reasonOfAStatus],
  ["GET over HTTPS, with a Host of its own", getWithAHost],
  ["GET: the whole body, then again in pieces of 200 bytes", getWholeThenInPieces],
  ["GET: an invalid path", getAnInvalidPath],
  ["HEAD: never a body", head],
  ["POST: a form", postAForm],
  ["PUT, then GET on the same connection", put],
  ["Step by step: putrequest, putheader, endheaders, send", stepByStep],
  ["POST: chunks from an iterable", uploadAnIterable],
  ["POST: chunks from a file", uploadAFile],
  ["HEAD over HTTPS, through a CONNECT tunnel", tunnel],
];

/** Trusts the site's own authority, which nobody else does. */
function trust(site: Site): { context: { caCerts: string[] } } {
  return { context: { caCerts: [site.ca] } };
}

/** Prints values as Python's `print()` does. */
function say(...values: unknown[]): void {
  console.log("%c= %s", "font-weight: bold", values.join(" "));
}

/** Prints values, and checks that they read as expected. */
function print(expected: string, ...values: unknown[]): void {
  say(...values);
  assertEquals(values.join(" "), expected);
}

// What goes over the wire.

/** Connects, and shows from then on what the connection sends and receives. */
async function watch<C extends HTTPConnection>(conn: C, bodyLines = BODY_LINES): Promise<C> {
  await conn.connect();
  conn.sock = new Wiretap(conn.sock!, bodyLines);
  return conn;
}

/** A transport that shows what goes through another one. */
class Wiretap implements Transport {
  #sock: Transport;
  #bodyLines: number;
  #mark = "";
  #head: string | null = "";

  constructor(sock: Transport, bodyLines: number) {
    this.#sock = sock;
    this.#bodyLines = bodyLines;
  }

  async read(p: Uint8Array): Promise<number | null> {
    const count = await this.#sock.read(p);
    if (count !== null) this.#show("<", p.subarray(0, count));
    return count;
  }

  async write(p: Uint8Array): Promise<number> {
    const count = await this.#sock.write(p);
    this.#show(">", p.subarray(0, count));
    return count;
  }

  close(): void {
    this.#sock.close();
  }

  /** A head is shown once it is whole, a body as it comes. */
  #show(mark: string, bytes: Uint8Array): void {
    if (mark !== this.#mark) [this.#mark, this.#head] = [mark, ""];
    let text = visible(new TextDecoder().decode(bytes));
    while (this.#head !== null) {
      const head: string = this.#head + text;
      const end = head.indexOf("\r\n\r\n") + 4;
      this.#head = head;
      if (end < 4) return;
      showLines(mark, head.slice(0, end), Infinity);
      text = head.slice(end);
      // Interim responses come before the head of the final one.
      this.#head = /^HTTP\/1\.1 1\d\d /.test(head) ? "" : null;
    }
    if (this.#bodyLines > 0 && text !== "") showLines(mark, text, this.#bodyLines);
  }
}

function showLines(mark: string, text: string, most: number): void {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const css = mark === ">" ? "color: cyan" : "color: green";
  for (const line of lines.slice(0, most)) console.log("%c%s %s", css, mark, line.trimEnd());
  if (lines.length > most) console.log(`${mark} ... and ${lines.length - most} more lines`);
}

/** Text without control characters, which could do anything to a terminal. */
function visible(text: string): string {
  return text.replace(/[^\P{Cc}\r\n\t]/gu, (c) => `\\x${c.charCodeAt(0).toString(16)}`);
}

// The two ways to run this.

/** Runs all sessions; says whether all of them did what the reference page says. */
async function runSessions(): Promise<boolean> {
  const { startSite } = await import("./server.ts");
  const start = performance.now();
  await using site = startSite();
  const failed: string[] = [];
  for (const [i, [title, run]] of SESSIONS.entries()) {
    console.log("%c\n--- %d. %s", "font-weight: bold", i + 1, title);
    try {
      await run(site);
    } catch (error) {
      failed.push(title);
      console.log("%cFAILED: %o", "color: red", error);
    }
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(2);
  console.log(
    failed.length === 0
      ? `\nchecked: ${SESSIONS.length} sessions in ${seconds} s, each as the reference page says`
      : `\nFAILED: ${failed.length} of ${SESSIONS.length} sessions: ${failed.join("; ")}`,
  );
  return failed.length === 0;
}

/** Makes one request, and shows it with its times. */
async function fetchUrl(method: string, url: URL, body: Uint8Array | null): Promise<void> {
  const start = performance.now();
  const took = () => `${(performance.now() - start).toFixed(1)} ms`;
  const options = { timeout: TIMEOUT };
  using conn = url.protocol === "https:"
    ? new HTTPSConnection(url.host, options)
    : new HTTPConnection(url.host, options);
  await watch(conn, 0);
  const connected = took();
  await conn.request(method, url.pathname + url.search, body, { "User-Agent": "http-client-demo" });
  const response = await conn.getresponse();
  const answered = took();
  const count = await printBody(response);
  say(response.status, response.reason);
  say(`${count} bytes of body`);
  say(`connected after ${connected}, answered after ${answered}, done after ${took()}`);
}

/** Prints a body up to a limit; gives its size as far as it was read. */
async function printBody(response: HTTPResponse): Promise<string> {
  const bytes = await response.read(PRINTED_BYTES);
  if (bytes.length === 0) return "0";
  const more = (await response.peek(1)).length > 0;
  try {
    const charset = response.headers.get_content_charset() ?? "utf-8";
    const text = new TextDecoder(charset, { fatal: true }).decode(bytes, { stream: true });
    console.log(visible(text).trimEnd());
  } catch {
    console.log(`(no text: ${response.getheader("Content-Type", "no Content-Type")})`);
  }
  return more ? `the first ${bytes.length}` : String(bytes.length);
}

async function main(args: string[]): Promise<number> {
  const options: Record<string, string> = {};
  while (args.length > 1 && /^-[Xd]$/.test(args[0])) {
    const [name, value] = args.splice(0, 2);
    options[name] = value;
  }
  if (args.length === 0) return await runSessions() ? 0 : 1;
  const url = URL.parse(args[0]);
  if (args.length > 1 || url === null || !/^https?:$/.test(url.protocol)) {
    console.error("Usage: deno task demo [[-X METHOD] [-d BODY] http(s)://HOST/PATH]");
    return 2;
  }
  const body = options["-d"] === undefined ? null : new TextEncoder().encode(options["-d"]);
  try {
    await fetchUrl(options["-X"] ?? (body === null ? "GET" : "POST"), url, body);
    return 0;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.error(`${error.name}: ${error.message}`);
    return 1;
  }
}

if (import.meta.main) Deno.exitCode = await main([...Deno.args]);
