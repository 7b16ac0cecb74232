/**
 * Python's `http.client` for Deno, Node and Bun: a low-level HTTP/1.1 client that sends what you wrote,
 * shows what came back, and never sends a request twice.
 *
 * It is for people who need the wire: proxies and tunnels, Docker's socket, uploads with
 * `Expect: 100-continue`, crawlers, protocol tests, and Python code that you are porting. To call an API,
 * to follow redirects or to have connections pooled for you, `fetch` is enough.
 *
 * ## Requests and responses
 *
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));
 *
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port, { timeout: 10 });
 * await conn.request("GET", "/", null, { "Accept": "text/plain" });
 * const response = await conn.getresponse();
 * assertEquals([response.status, response.reason], [200, "OK"]);
 * assertEquals(response.headers.get("content-length"), "5");
 * assertEquals(await response.text(), "hello");
 * ```
 *
 * Use {@linkcode HTTPSConnection} for TLS. The host may be a `URL`, and so may the target.
 *
 * ## Streams
 *
 * A response is a `ReadableStream`, and also has Python's methods to read it. A request body can be a
 * string, bytes, a file, a stream, or any iterable of bytes or strings.
 *
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, (request) => {
 *   return new Response(request.body);
 * });
 *
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port);
 * await conn.request("POST", "/", ["one\n", "two\n"]); // a chunk for each
 * const lines: string[] = [];
 * for await (const line of (await conn.getresponse()).lines()) {
 *   lines.push(new TextDecoder().decode(line));
 * }
 * assertEquals(lines, ["one\n", "two\n"]);
 * ```
 *
 * ## Errors
 *
 * The classes are Python's. {@linkcode isExchangeError} tells whether an error comes from an exchange.
 * Such an error says how far the exchange got and whether it is safe to send the request again.
 *
 * ```ts
 * import { HTTPConnection, isExchangeError } from "@denoports/http-client";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
 * const { port } = listener.addr;
 * listener.close(); // nobody listens there now
 *
 * using conn = new HTTPConnection("127.0.0.1", port);
 * try {
 *   await conn.request("POST", "/orders", "one");
 * } catch (error) {
 *   assert(isExchangeError(error));
 *   assertEquals([error.phase, error.retrySafe], ["connect", "yes"]);
 * }
 * ```
 *
 * ## Differences from Python
 *
 * - Every method that does I/O returns a promise. Keyword arguments become keys of an options object,
 *   which is the last argument.
 * - A loop over a response gives pieces of the body; `response.lines()` gives lines.
 * - Header fields are read with `headers.get()` and `headers.has()`, not with `[]` and `in`.
 * - Framing that RFC 9112 forbids is refused, and a body that was cut short never looks complete.
 * - Bytes that arrive on an idle connection are never taken for the next answer.
 *
 * ## Where it runs
 *
 * Deno 2.5.0 or later, Node 20 or later, Bun, and workerd with `nodejs_compat`. On an older Deno, some
 * features are refused with an error that says so: decoding br and zstd needs 2.7, `source_address` needs
 * 2.7.4, a client certificate, `CERT_NONE` and TLS over anything but TCP need 2.7.13, and
 * `load_default_certs: false` needs 2.8. workerd refuses unix sockets, `source_address`, TLS over a
 * transport, and all keys of `context` except `server_hostname` and `suppress_ragged_eofs`.
 *
 * ## Limits
 *
 * A head may have 100 fields, lines of 64 KiB and 1 MiB in all; `decoded()` gives at most 100 MiB. All
 * these are options: see {@linkcode Limits} and {@linkcode DecodedOptions}. There is no limit on a body
 * (`maxBodyBytes`) and no timeout unless you set one (`timeout`, {@linkcode Deadlines}).
 *
 * ## Further reading
 *
 * The README has a tour and leads to pages on requests, responses, connections, errors, limits, the
 * differences from Python, and a comparison with `fetch`, undici and `node:http`. Start with the two
 * classes {@linkcode HTTPConnection} and {@linkcode HTTPResponse}.
 *
 * @module
 */
export { HTTPConnection, HTTPSConnection } from "./client.ts";
export { type CopyOptions, HTTPResponse, type HTTPResponseOptions } from "./response.ts";
export { HTTPMessage, type LineSource, parse_headers } from "./headers.ts";
export type {
  Deadlines,
  Detached,
  HTTPConnectionOptions,
  HTTPSConnectionOptions,
  Limits,
  PutRequestOptions,
  RequestOptions,
  ResponseOptions,
} from "./_internal/exchange/options.ts";
export type { RequestBody } from "./_internal/exchange/request_body.ts";
export type { FieldValue, HeaderFields, Trailers } from "./_internal/wire/request_head.ts";
export type { TLSContext } from "./_internal/net/tls.ts";
export type { Transport } from "./_internal/net/transport.ts";
export type { ResponseTimings, Trace, TraceEvent } from "./_internal/exchange/trace.ts";
export type { DecodedContent, DecodedOptions, PieceIterator } from "./_internal/content/decoded.ts";
export type { HeaderDefect } from "./_internal/wire/field_section.ts";
export type { EncodedValue, ParameterValue } from "./_internal/wire/mime_parameters.ts";
export { LineReader } from "./_internal/net/line_reader.ts";
export {
  BadStatusLine,
  CannotSendHeader,
  CannotSendRequest,
  error,
  errors,
  type ExchangeDetails,
  type ExchangeError,
  type ExchangePhase,
  HTTPException,
  ImproperConnectionState,
  IncompleteRead,
  InvalidURL,
  isExchangeError,
  LineTooLong,
  NotConnected,
  ProtocolError,
  type ProxyHeaders,
  RemoteDisconnected,
  ResponseNotReady,
  type RetrySafe,
  type SocketError,
  type SocketErrorClass,
  type SocketErrorName,
  TunnelError,
  UnimplementedFileMode,
  UnknownProtocol,
  UnknownTransferEncoding,
} from "./errors.ts";
export type { Reader, Writer } from "@std/io/types";
export * from "./status.ts";
