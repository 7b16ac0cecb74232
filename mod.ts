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
