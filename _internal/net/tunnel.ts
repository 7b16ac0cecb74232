/**
 * CONNECT (RFC 9110, Section 9.3.6): the request to a proxy.
 *
 * @module
 */
import { type HostPort, uriHost } from "../wire/authority.ts";
import { type FieldPairs, hasField, type HTTPVersion, RequestHead } from "../wire/request_head.ts";

/** Where a tunnel leads, and what is said to the proxy. */
export interface Tunnel extends HostPort {
  head: RequestHead;
  /** The fields that the user gave. */
  fields: FieldPairs;
}

/** Makes the request; what is not allowed in it is refused here, before anything is sent. */
export function tunnelTo(
  target: HostPort,
  fields: FieldPairs,
  version: HTTPVersion = 11,
): Tunnel {
  const authority = `${uriHost(target.host)}:${target.port}`;
  const head = new RequestHead("CONNECT", authority, version);
  for (const [name, value] of fields) head.field(name, value);
  if (version === 11 && !hasField(fields, "host")) head.field("Host", authority);
  return { host: target.host, port: target.port, head, fields };
}

/** Whether a proxy has opened the tunnel. */
export function isOpened(status: number): boolean {
  return status >= 200 && status <= 299;
}
