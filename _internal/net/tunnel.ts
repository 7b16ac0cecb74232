/**
 * CONNECT (RFC 9110, Section 9.3.6): the request to a proxy, and its answer.
 *
 * @module
 */
import { ProtocolError, TunnelError } from "../../errors.ts";
import { type HTTPMessage, messageOf } from "../../headers.ts";
import type { Channel } from "../exchange/channel.ts";
import { debugHeaders, debugReply, debugSend } from "../exchange/debug.ts";
import { readFinalHead } from "../wire/response_head.ts";
import { type HostPort, uriHost } from "../wire/authority.ts";
import { type FieldValue, hasField, RequestHead } from "../wire/request_head.ts";

/** Where a tunnel leads, and what is said to the proxy. */
export interface Tunnel extends HostPort {
  head: RequestHead;
}

/** Makes the request; what is not allowed in it is refused here, before anything is sent. */
export function tunnelTo(
  target: HostPort,
  headers: readonly (readonly [string, FieldValue])[],
): Tunnel {
  const authority = `${uriHost(target.host)}:${target.port}`;
  const head = new RequestHead("CONNECT", authority);
  for (const [name, value] of headers) head.field(name, value);
  if (!hasField(headers, "host")) head.field("Host", authority);
  return { ...target, head };
}

/**
 * Opens the tunnel. What a proxy sends behind its answer comes before any answer of the origin's.
 *
 * @throws {TunnelError} When the proxy refuses.
 */
export async function openTunnel(
  channel: Channel,
  tunnel: Tunnel,
  debug: boolean,
): Promise<HTTPMessage> {
  const request = tunnel.head.bytes();
  if (debug) debugSend(request);
  await channel.send(request);
  channel.life.set("head", channel.headSeconds);
  const head = await readFinalHead(channel.reader, {
    limits: channel.settings.head,
    maxInterim: channel.settings.maxInterim,
    onStatusLine: debug ? debugReply : undefined,
  });
  if (debug) debugHeaders(head.fields);
  const headers = messageOf(head.fields, head.defects);
  if (head.status < 200 || head.status > 299) {
    throw new TunnelError(head.status, head.reason, headers);
  }
  channel.life.clear("head");
  return headers;
}

/** TLS begins with the client: bytes that are there before it are somebody else's. */
export function checkSilent(channel: Channel): void {
  if (channel.reader.available > 0) {
    throw new ProtocolError("Cannot use tunnel: the proxy sent bytes ahead of the TLS handshake");
  }
}
