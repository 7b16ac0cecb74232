/**
 * A command that makes one HTTP request, as curl does: `deno task http --help` lists its options. It shows
 * the exact bytes both ways, interim responses, trailers and timings; it resumes downloads, pins public
 * keys, goes through proxies and writes HAR and WARC files.
 *
 *     deno run -A examples/http.ts -v https://example.com/
 *
 * Its parts are in `examples/http/`.
 *
 * @module
 */
import {
  type HTTPResponse,
  isExchangeError,
  type RequestBody,
  ResponseNotReady,
  type TraceEvent,
} from "@denoports/http-client";
import type { Exchange } from "./http/archive.ts";
import { type Route, route } from "./http/connection.ts";
import { CommandError, exitCodeOf, failingWith, isCodingError, messageOf } from "./http/failure.ts";
import { HarWriter } from "./http/har.ts";
import { HELP, type Options, parseOptions, type Upload } from "./http/options.ts";
import { Download, type Output, print, standardOutput } from "./http/output.ts";
import { RecordWriter } from "./http/record.ts";
import { escaped, harmless, painter, printError, waterfall, WireView } from "./http/terminal.ts";
import { WarcWriter } from "./http/warc.ts";
import { Wire } from "./http/wire.ts";

const MAX_REDIRECTS = 10;

/** Methods whose requests may be sent again (RFC 9110, Section 9.2.2). */
const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"];

/** Seconds that a body waits for the server's `100 Continue`. */
const CONTINUE_SECONDS = 1;

/** One request of the command: the first, or one that a redirect led to. */
interface Hop {
  url: URL;
  method: string;
  fields: [string, string][];
  upload: Upload | null;
  /** Whether it goes to the origin that the credentials are for. */
  trusted: boolean;
}

/** Runs the command, redirects included. */
class Command implements Disposable {
  readonly #options: Options;
  readonly #stack = new DisposableStack();
  readonly #signal: AbortSignal | null;
  readonly #paint = painter(Deno.stderr.isTerminal() && !Deno.noColor);
  readonly #view: WireView | null;
  readonly #har: HarWriter | null;
  readonly #warc: WarcWriter | null;
  readonly #record: RecordWriter | null;
  readonly #wire: Wire;
  #events: TraceEvent[] = [];
  #route: Route | null = null;
  #origin = "";

  constructor(options: Options) {
    this.#options = options;
    const { timeout, verbose, har, warc, record } = options;
    this.#signal = timeout === null ? null : AbortSignal.timeout(Math.ceil(timeout * 1000));
    this.#view = verbose ? new WireView(this.#paint) : null;
    this.#har = har === null ? null : this.#stack.use(new HarWriter(har));
    this.#warc = warc === null ? null : this.#stack.use(new WarcWriter(warc));
    this.#record = record === null ? null : this.#stack.use(new RecordWriter(record));
    const listeners = [this.#view, this.#har, this.#warc, this.#record];
    this.#wire = new Wire(listeners.filter((listener) => listener !== null));
  }

  async run(): Promise<void> {
    const { url, method, fields, upload, output, resume, location } = this.#options;
    const download = output === null ? null : await Download.open(output, url.href, resume);
    let hop: Hop = {
      url,
      method,
      fields: [...fields, ...download?.fields ?? []],
      upload,
      trusted: true,
    };
    for (let redirects = 0;; redirects++) {
      const next = await this.#exchangeAgain(hop, download, (response) => {
        const next = location ? redirected(hop, response, this.#options) : null;
        if (next !== null && redirects === MAX_REDIRECTS) {
          throw new CommandError(47, `Cannot follow more than ${MAX_REDIRECTS} redirects`);
        }
        return next;
      });
      if (next === null) return;
      this.#note(`redirected to ${next.url.href}`);
      hop = next;
    }
  }

  /**
   * Makes one request; once more on a new connection where the server has closed the one that was kept
   * from the request before, and where sending it again is safe.
   */
  async #exchangeAgain(
    hop: Hop,
    download: Download | null,
    follow: (response: HTTPResponse) => Hop | null,
  ): Promise<Hop | null> {
    try {
      return await this.#exchange(hop, download, follow);
    } catch (error) {
      const mayRepeat = isExchangeError(error) && error.connectionReused &&
        (error.retrySafe === "yes" ||
          (error.retrySafe === "idempotent-only" && IDEMPOTENT.includes(hop.method)));
      if (!mayRepeat || hop.upload?.kind === "stdin") throw error;
      this.#note("the server closed the connection: the request is sent again on a new one");
      return await this.#exchange(hop, download, follow);
    }
  }

  /** Makes one request, and takes the body of its response unless that is a redirect to follow. */
  async #exchange(
    hop: Hop,
    download: Download | null,
    follow: (response: HTTPResponse) => Hop | null,
  ): Promise<Hop | null> {
    const exchange: Exchange = {
      url: hop.url.href,
      method: hop.method,
      events: this.#events = [],
      start: performance.now(),
      response: null,
      error: null,
      requestBody: hop.upload?.kind === "bytes" ? hop.upload.bytes : null,
    };
    this.#record?.announce(hop.method, hop.url.href);
    this.#wire.begin(hop.method);
    try {
      using stack = new DisposableStack();
      const { sent, answer } = await this.#send(hop, stack);
      const response = exchange.response = stack.use(await answer);
      if (this.#options.include) await print(headOf(response));
      const next = follow(response);
      if (next === null) await this.#take(response, download);
      // Left unread where it is long: the connection is closed then.
      else await response.drain();
      await sent;
      if (!response.requestComplete) {
        this.#note("the server responded before the whole body was sent");
      }
      return next;
    } catch (error) {
      exchange.error = error;
      throw error;
    } finally {
      this.#view?.end();
      for (const archive of [this.#har, this.#warc, this.#record]) archive?.add(exchange);
      if (this.#options.verbose) { for (const line of waterfall(this.#events)) this.#note(line); }
    }
  }

  /**
   * Sends a request. The response is waited for meanwhile: a server may respond before it has read the
   * whole body.
   */
  async #send(
    hop: Hop,
    stack: DisposableStack,
  ): Promise<{ sent: Promise<void>; answer: Promise<HTTPResponse> }> {
    const { conn, viaProxy, proxyFields } = this.#connect(hop);
    const { body, size } = await bodyOf(hop.upload, stack);
    const fields = [...hop.fields];
    const has = (wanted: string) => fields.some(([name]) => name.toLowerCase() === wanted);
    // A request of HTTP/1.0 has no generated one, but servers of many names need it.
    if (this.#options.http10 && !has("host")) fields.unshift(["Host", hop.url.host]);
    if (viaProxy) fields.push(...proxyFields);
    const { expect, trailers } = this.#options;
    const chunked = body !== null && trailers.length > 0;
    const framed = has("content-length") || has("transfer-encoding");
    if (size !== null && !chunked && !framed) fields.push(["Content-Length", String(size)]);
    const target = hop.url.pathname + hop.url.search;
    const sent = conn.request(
      hop.method,
      viaProxy ? hop.url.origin + target : target,
      chunked && body instanceof Uint8Array ? [body] : body,
      fields.map(([name, value]) => [name, bytesOf(value)] as const),
      {
        signal: this.#signal,
        ...(expect && body !== null ? { expect_continue: CONTINUE_SECONDS } : {}),
        ...(chunked
          ? { trailers: trailers.map(([name, value]) => [name, bytesOf(value)] as const) }
          : {}),
      },
    );
    const answer = conn.getresponse({ signal: this.#signal }).catch(async (error) => {
      // A request that was refused has its reason in the other promise.
      if (error instanceof ResponseNotReady) await sent;
      throw error;
    });
    return { sent, answer };
  }

  /**
   * The connection for a request: that of the request before, if it is to the same origin. The server may
   * close that at any time, so a request that cannot be sent again gets a new one.
   */
  #connect({ url, method, trusted }: Hop): Route {
    const mayReuse = this.#origin === url.origin && IDEMPOTENT.includes(method);
    if (this.#route !== null && mayReuse) return this.#route;
    this.#route?.conn[Symbol.dispose]();
    const trace = (event: TraceEvent) => this.#trace(event);
    this.#route = route(url, this.#options, this.#wire, trace, trusted, this.#signal);
    this.#origin = url.origin;
    return this.#route;
  }

  #trace(event: TraceEvent): void {
    // There is one of these for each piece of a body: the last one is enough.
    if (event.type === this.#events.at(-1)?.type) this.#events.pop();
    this.#events.push(event);
    switch (event.type) {
      case "connectStart": {
        const { host, port, path } = event;
        return this.#note(`connecting to ${path ?? `${host}, port ${port}`}`);
      }
      case "connected":
        return event.address === null ? undefined : this.#note(`connected to ${event.address}`);
      case "tunnelled":
        return this.#note(`tunnel to ${event.host}, port ${event.port}, is open`);
      case "secured":
        return this.#note(`TLS is established, ALPN: ${event.alpnProtocol ?? "none"}`);
      case "interim":
        return this.#note(`interim response ${event.status} ${event.reason}`);
      case "trailers":
        if (!this.#options.showTrailers) return;
        for (const [name, value] of event.headers) {
          printError(`${escaped(name)}: ${escaped(value)}\n`);
        }
    }
  }

  /** Takes the body of the final response. */
  async #take(response: HTTPResponse, download: Download | null): Promise<void> {
    if (this.#options.fail && response.status >= 400) {
      throw new CommandError(
        22,
        `The server responded with ${response.status} ${response.reason}`.trimEnd(),
      );
    }
    const output: Output | null = download === null
      ? standardOutput()
      : await download.start(response, Deno.stderr.isTerminal() && !this.#options.verbose);
    if (output === null) return this.#note("the file is complete already");
    using target = output;
    for await (const piece of this.#content(response)) {
      this.#har?.content(piece);
      await target.write(piece);
    }
    await target.end();
  }

  /** The pieces of a body, decompressed if that is wanted. */
  async *#content(response: HTTPResponse): AsyncGenerator<Uint8Array> {
    if (!this.#options.compressed) return yield* response;
    try {
      yield* response.decoded();
    } catch (error) {
      if (!isCodingError(error)) throw error;
      throw new CommandError(61, messageOf(error), error);
    }
  }

  #note(text: string): void {
    if (this.#options.verbose) printError(`${this.#paint("yellow", `* ${harmless(text)}`)}\n`);
  }

  [Symbol.dispose](): void {
    this.#route?.conn[Symbol.dispose]();
    this.#stack.dispose();
  }
}

/** The body of a request, made anew for each, and its size where that is known. */
async function bodyOf(
  upload: Upload | null,
  stack: DisposableStack,
): Promise<{ body: RequestBody | null; size: number | null }> {
  if (upload === null) return { body: null, size: null };
  if (upload.kind === "bytes") return { body: upload.bytes, size: upload.bytes.length };
  if (upload.kind === "stdin") return { body: Deno.stdin.readable, size: null };
  const { path } = upload;
  return await failingWith(26, `Cannot read ${path}`, async () => {
    const file = stack.use(await Deno.open(path));
    const { isFile, size } = await file.stat();
    return { body: file, size: isFile ? size : null };
  });
}

/** The value of a field in UTF-8. */
function bytesOf(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

/** The head of a response, safe to print. */
function headOf(response: HTTPResponse): string {
  const { version, status, reason } = response;
  const lines = response.getheaders().map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.${version % 10} ${status} ${reason}`.trimEnd(), ...lines, ""]
    .map((line) => `${escaped(line)}\n`).join("");
}

/** Fields that are for the first origin only. */
const CREDENTIALS = ["authorization", "cookie", "host", "proxy-authorization"];

/** The request that a redirect leads to, or `null` where the response is none (RFC 9110, Section 15.4). */
function redirected(hop: Hop, response: HTTPResponse, options: Options): Hop | null {
  const { status } = response;
  const location = response.headers.get("location");
  if (![301, 302, 303, 307, 308].includes(status) || location === null) return null;
  const url = URL.parse(location, hop.url);
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new CommandError(1, `Cannot follow the redirect to ${JSON.stringify(location)}`);
  }
  if (options.pins.length > 0 && url.protocol !== "https:") {
    throw new CommandError(90, `Cannot follow the redirect to ${url.href}: --pin needs https`);
  }
  url.username = url.password = "";
  const trusted = hop.trusted && url.origin === hop.url.origin;
  let { method, fields, upload } = hop;
  if (!trusted) fields = fields.filter(([name]) => !CREDENTIALS.includes(name.toLowerCase()));
  const becomesGet = status === 303 ? method !== "HEAD" : status <= 302 && method === "POST";
  if (becomesGet) {
    [method, upload] = ["GET", null];
    fields = fields.filter(([name]) => !/^(content-|transfer-encoding$)/i.test(name));
  } else if (upload?.kind === "stdin") {
    throw new CommandError(65, "Cannot follow the redirect: standard input cannot be sent again");
  }
  return { url, method, fields, upload, trusted };
}

/** Runs the command line; gives the exit code. */
async function main(args: string[]): Promise<number> {
  let options: Options | null = null;
  try {
    if (args.length === 0) {
      printError(HELP);
      return 2;
    }
    options = await parseOptions(args);
    if (options === null) {
      await print(HELP);
      return 0;
    }
    using command = new Command(options);
    await command.run();
    return 0;
  } catch (error) {
    const code = exitCodeOf(error, options?.unix != null);
    const hint = code === 2 ? "; --help shows the usage" : "";
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    const message = isLate
      ? `${options?.url.host} took longer than --timeout ${options?.timeout}`
      : messageOf(error);
    printError(`http: (${code}) ${harmless(message)}${hint}\n`);
    return code;
  }
}

if (import.meta.main) {
  // A task runs in the project's folder; paths are meant from where it was called.
  Deno.chdir(Deno.env.get("INIT_CWD") ?? ".");
  // Standard input may still be open: nothing of it is wanted any more.
  Deno.exit(await main(Deno.args));
}
