/**
 * Python's `http.client` for Deno: the low-level HTTP/1.1 client that shows the whole exchange. Nothing
 * hidden, nothing resent, nothing guessed.
 *
 * What has a counterpart in Python is spelled as in Python; Python's keyword arguments are the keys of a
 * trailing options object, and every method that does I/O returns a promise.
 *
 * @example Make a request
 * ```ts
 * import { HTTPConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));
 *
 * using conn = new HTTPConnection("127.0.0.1", server.addr.port, { timeout: 10 });
 * await conn.request("GET", "/", null, { Accept: "text/plain" });
 * const response = await conn.getresponse();
 * assertEquals(response.status, 200);
 * assertEquals(await response.text(), "hello");
 * ```
 *
 * @module
 */
export {
  type Deadlines,
  type Detached,
  type FieldValue,
  type HeaderFields,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  type HTTPSConnectionOptions,
  type Limits,
  type PutRequestOptions,
  type RequestBody,
  type RequestOptions,
  type ResponseOptions,
  type TLSContext,
  type Trace,
  type TraceEvent,
  type Transport,
} from "./client.ts";
export {
  type DecodedOptions,
  HTTPResponse,
  type HTTPResponseOptions,
  type ResponseTimings,
} from "./response.ts";
export {
  type EncodedValue,
  type HeaderDefect,
  HTTPMessage,
  type LineSource,
  type ParameterValue,
  parse_headers,
} from "./headers.ts";
export { LineReader } from "./_internal/line_reader.ts";
export {
  BadStatusLine,
  CannotSendHeader,
  CannotSendRequest,
  type ExchangeDetails,
  type ExchangePhase,
  HTTPException,
  ImproperConnectionState,
  IncompleteRead,
  InvalidURL,
  LineTooLong,
  NotConnected,
  ProtocolError,
  type ProxyHeaders,
  RemoteDisconnected,
  ResponseNotReady,
  type RetrySafe,
  TunnelError,
  UnimplementedFileMode,
  UnknownProtocol,
  UnknownTransferEncoding,
} from "./errors.ts";
export type { Reader, Writer } from "@std/io/types";
export * from "./status.ts";
