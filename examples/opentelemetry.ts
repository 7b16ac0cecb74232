/**
 * A client span for each exchange, by the OpenTelemetry semantic conventions for HTTP, with the steps of
 * `trace` as its events. The trace context is propagated to the server in a `traceparent` field.
 * `HttpTracer` may be imported; it works with any SDK, and with the exporter that Deno has built in.
 *
 *     deno run -A examples/opentelemetry.ts
 *     deno run -A examples/opentelemetry.ts https://example.com/
 *     OTEL_DENO=true deno run -A examples/opentelemetry.ts https://example.com/   # to a collector
 *
 * @module
 */
import {
  HTTPConnection,
  type HTTPResponse,
  HTTPSConnection,
  IncompleteRead,
  type RequestBody,
  type RequestOptions,
  type TraceEvent,
} from "@denoports/http-client";
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace as traces,
  type Tracer,
} from "npm:@opentelemetry/api@1";
import { AsyncLocalStorageContextManager } from "npm:@opentelemetry/context-async-hooks@2";
import { W3CTraceContextPropagator } from "npm:@opentelemetry/core@2";
import {
  BasicTracerProvider,
  ConsoleSpanExporter,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type SpanExporter,
} from "npm:@opentelemetry/sdk-trace-base@2";
import * as semconv from "npm:@opentelemetry/semantic-conventions@1";

/** The methods that the conventions know; others are recorded as `_OTHER`. */
const METHODS = "CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE".split(" ");

/** Query parameters whose values the conventions ask to redact. */
const SECRET_PARAMETERS = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

/** What of a request is optional. */
export interface TracedRequest extends RequestOptions {
  body?: RequestBody;
  headers?: Record<string, string>;
}

/** Makes the spans of a connection object, one exchange at a time; its `trace` is an option of that. */
export class HttpTracer {
  readonly #tracer: Tracer;
  #span: Span | null = null;
  #address: string | null = null;

  constructor(tracer: Tracer = traces.getTracer("http-client-example")) {
    this.#tracer = tracer;
  }

  /** Records the steps of the exchange that is under way. */
  readonly trace = (event: TraceEvent): void => {
    const { type, time } = event;
    if (type === "connectStart") this.#address = null;
    if (type === "connected") this.#address = event.address;
    // Progress of the bodies would be one event for each piece.
    if (type === "requestBody" || type === "responseBody") return;
    this.#span?.addEvent(type, type === "interim" ? { status: event.status } : {}, time);
    if (type !== "responseHead") return;
    this.#span?.setAttribute(semconv.ATTR_HTTP_RESPONSE_STATUS_CODE, event.status);
    if (event.status >= 400) this.#fail(String(event.status));
  };

  /**
   * Makes a request within a span that lasts until `read` has settled. `read` is to read the response, or
   * to close it; a failure of either is a failure of the span.
   */
  exchange<T>(
    conn: HTTPConnection,
    method: string,
    url: URL,
    read: (response: HTTPResponse) => Promise<T>,
    { body, headers, ...options }: TracedRequest = {},
  ): Promise<T> {
    const known = METHODS.includes(method);
    const attributes = {
      [semconv.ATTR_HTTP_REQUEST_METHOD]: known ? method : "_OTHER",
      ...(known ? {} : { [semconv.ATTR_HTTP_REQUEST_METHOD_ORIGINAL]: method }),
      [semconv.ATTR_SERVER_ADDRESS]: url.hostname.replace(/^\[|\]$/g, ""),
      [semconv.ATTR_SERVER_PORT]: Number(url.port) || (url.protocol === "https:" ? 443 : 80),
      [semconv.ATTR_URL_FULL]: redacted(url),
    };
    const settings = { kind: SpanKind.CLIENT, attributes };
    return this.#tracer.startActiveSpan(known ? method : "HTTP", settings, async (span) => {
      this.#span = span;
      const fields: Record<string, string> = { ...headers };
      propagation.inject(context.active(), fields);
      try {
        await conn.request(method, url, body ?? null, fields, options);
        const response = await conn.getresponse();
        const { version } = response;
        span.setAttribute(semconv.ATTR_NETWORK_PROTOCOL_VERSION, (version / 10).toFixed(1));
        return await read(response);
      } catch (error) {
        this.#fail(error instanceof Error ? error.name : "_OTHER", String(error));
        throw error;
      } finally {
        if (this.#address !== null) {
          span.setAttribute(semconv.ATTR_NETWORK_PEER_ADDRESS, this.#address);
        }
        span.end();
        this.#span = null;
      }
    });
  }

  #fail(type: string, message?: string): void {
    this.#span?.setAttribute(semconv.ATTR_ERROR_TYPE, type);
    this.#span?.setStatus({ code: SpanStatusCode.ERROR, message });
  }
}

/** A URL as it may be recorded. */
function redacted(url: URL): string {
  const copy = new URL(url);
  copy.username = copy.password = "";
  for (const name of SECRET_PARAMETERS) {
    if (copy.searchParams.has(name)) copy.searchParams.set(name, "REDACTED");
  }
  return copy.href;
}

/** Installs the SDK: what a service does once, at its start. */
function install(exporter: SpanExporter): void {
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  traces.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
}

async function fetchOnce(url: URL): Promise<void> {
  if (Deno.env.get("OTEL_DENO") !== "true") install(new ConsoleSpanExporter());
  const type = url.protocol === "https:" ? HTTPSConnection : HTTPConnection;
  const tracer = new HttpTracer();
  using conn = new type(new URL(url.origin), { timeout: 30, trace: tracer.trace });
  await tracer.exchange(conn, "GET", url, (response) => response.copyTo(Deno.stdout));
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const exporter = new InMemorySpanExporter();
  install(exporter);
  const answers: Record<string, string> = {
    "/": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/missing": "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "/cut": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\ncut",
  };
  await using server = await startRaw(async (peer) => {
    for (let path = ""; path !== "/cut";) {
      const { target } = await peer.readRequest();
      path = target.split("?")[0];
      await peer.send(answers[path]);
    }
  });
  const origin = `http://127.0.0.1:${server.port}`;
  const tracer = new HttpTracer();
  using conn = new HTTPConnection(new URL(origin), { trace: tracer.trace, timeout: 10 });
  const get = (path: string, method = "GET") => {
    return tracer.exchange(conn, method, new URL(path, origin), (response) => response.text());
  };
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const refusing = new URL(`http://127.0.0.1:${listener.addr.port}/`);
  listener.close();
  const parent = await traces.getTracer("service").startActiveSpan("job", async (span) => {
    assertEquals(await get("/?sig=secret"), "ok");
    await get("/missing", "PURGE");
    await assertRejects(() => get("/cut"), IncompleteRead);
    using other = new HTTPConnection(refusing, { trace: tracer.trace });
    const refused = tracer.exchange(other, "GET", refusing, (response) => response.text());
    await assertRejects(() => refused, Deno.errors.ConnectionRefused);
    span.end();
    return span.spanContext();
  });

  const spans = exporter.getFinishedSpans().filter(({ kind }) => kind === SpanKind.CLIENT);
  const common = { "server.address": "127.0.0.1", "server.port": server.port };
  const reached = { "network.protocol.version": "1.1", "network.peer.address": "127.0.0.1" };
  assertEquals(spans[0].attributes, {
    "http.request.method": "GET",
    ...common,
    "url.full": `${origin}/?sig=REDACTED`,
    "http.response.status_code": 200,
    ...reached,
  });
  assertEquals(spans[1].attributes["http.request.method_original"], "PURGE");
  assertEquals(
    spans.map(({ attributes }) => attributes["error.type"]),
    [undefined, "404", "IncompleteRead", "ConnectionRefused"],
  );
  assertEquals(
    spans.map(({ name, status }) => [name, status.code === SpanStatusCode.ERROR]),
    [["GET", false], ["HTTP", true], ["GET", true], ["GET", true]],
  );
  assertEquals(
    spans[0].events.map(({ name }) => name),
    ["connectStart", "connected", "requestStart", "requestHead", "requestEnd"]
      .concat("responseHead", "responseEnd"),
  );
  // The spans are children of the caller's, and the server was told of them.
  for (const { parentSpanContext } of spans) assertEquals(parentSpanContext?.spanId, parent.spanId);
  server.requests.forEach((head, i) => {
    const { traceId, spanId } = spans[i].spanContext();
    assertEquals(traceId, parent.traceId);
    assert(head.includes(`\r\ntraceparent: 00-${traceId}-${spanId}-01\r\n`), head);
  });
  console.log(
    "checked: four spans with their attributes and events, three of them with an error",
  );
}

if (import.meta.main) {
  const [url] = Deno.args;
  if (url === undefined) await selfCheck();
  else await fetchOnce(new URL(url));
}
