/**
 * Dialling: from a host and options to a channel, through TCP, a tunnel and TLS as need be.
 *
 * @module
 */
import type { HTTPMessage } from "../../headers.ts";
import { Channel, Progress, type ResponseSettings } from "./channel.ts";
import { toAscii } from "../wire/authority.ts";
import type { Lifeline } from "./deadlines.ts";
import type { Deadlines } from "./options.ts";
import { forbidden, needsNodeTls, open, type Opened, openTls, secure } from "../net/sockets.ts";
import type { TLSContext } from "../net/tls.ts";
import { close, type Route, type Transport } from "../net/transport.ts";
import { type ResponseTimings, tell, type Trace } from "./trace.ts";
import { checkSilent, openTunnel, type Tunnel } from "../net/tunnel.ts";

/** Where to, and how. */
export interface Dial {
  hostname: string;
  port: number;
  path: string | null;
  source: [host: string, port: number] | null;
  custom: (() => Promise<Transport>) | null;
  /** How TLS is done; `null` for none. */
  context: TLSContext | null;
  /** The name that the certificate must be for. */
  serverName: string;
  tunnel: Tunnel | null;
  timeout: number | null;
  deadlines: Deadlines;
  settings: ResponseSettings;
  debug: boolean;
  trace: Trace | null;
  /** Told what a proxy answered. */
  onproxy: (headers: HTTPMessage) => void;
}

/** When a connection was made: for the exchange that it was made for. */
export type DialTimings = Pick<ResponseTimings, "connected" | "secured">;

/** Opens a connection. What fails or is cut short leaves nothing open. */
export async function dial(dial: Dial, life: Lifeline, timings: DialTimings): Promise<Channel> {
  if (dial.source !== null && (dial.custom !== null || dial.path !== null)) {
    throw new TypeError("Cannot connect: a source address is for TCP connections only");
  }
  // Deno's node:tls leaves out a key that it cannot read.
  if (
    dial.context?.key !== undefined && !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(dial.context.key)
  ) {
    throw new Deno.errors.InvalidData("Cannot connect: the key of the context is no key in PEM");
  }
  // A name is looked up, and shown to TLS, as it stands in `Host`.
  dial = { ...dial, hostname: toAscii(dial.hostname), serverName: toAscii(dial.serverName) };
  const { trace } = dial;
  const { hostname: host, port, path } = dial;
  if (trace !== null) tell(trace, { type: "connectStart", host, port, path });
  const opened = await openPlain(dial, life);
  timings.connected = performance.now();
  if (trace !== null) tell(trace, { type: "connected", address: addressOf(opened.transport) });
  if (opened instanceof Channel) {
    timings.secured = timings.connected;
    return opened;
  }
  let channel = channelOver(opened, dial, life);
  try {
    if (life.death !== null) throw life.death.reason;
    if (dial.tunnel !== null) {
      const waits = { timeout: dial.timeout, head: dial.deadlines.head };
      channel.begin(new Progress(waits, channel.timings), false);
      life.phase = "connect";
      dial.onproxy(await openTunnel(channel, dial.tunnel, dial.debug));
      const { host, port } = dial.tunnel;
      if (trace !== null) tell(trace, { type: "tunnelled", host, port });
    }
    if (dial.context !== null) {
      channel = await startTls(dial, opened, channel, life);
      timings.secured = performance.now();
    }
    return channel;
  } catch (error) {
    throw channel.fail(error);
  }
}

/** TCP, or what stands for it; TLS at once where the platform asks for that. */
async function openPlain(dial: Dial, life: Lifeline): Promise<Opened | Channel> {
  const controller = new AbortController();
  life.phase = "connect";
  life.attach(() => controller.abort(life.death!.reason));
  life.set("connect", dial.deadlines.connect);
  life.set("open", dial.timeout);
  // TLS over anything but TCP of Deno's own is Node's, from the socket up where that can be.
  const nodeTls = dial.context !== null && (needsNodeTls(dial.context) || dial.path !== null);
  const route: Route = { ...dial, nodeTls };
  try {
    const opened = await cancellable(open(route, controller.signal), controller.signal);
    life.clear("connect");
    life.clear("open");
    return opened;
  } catch (error) {
    const { context } = dial;
    const plain = dial.custom === null && dial.source === null && dial.path === null && !nodeTls;
    if (
      context !== null && dial.tunnel === null && dial.port === 443 && plain && forbidden(error)
    ) {
      const opened = await cancellable(
        openTls(route, context, dial.serverName),
        controller.signal,
      );
      return channelOver(opened, dial, life);
    }
    throw error;
  }
}

async function startTls(
  dial: Dial,
  opened: Opened,
  plain: Channel,
  life: Lifeline,
): Promise<Channel> {
  checkSilent(plain);
  life.phase = "tls";
  life.set("tls", dial.deadlines.tls);
  life.set("open", dial.timeout);
  if (dial.trace !== null) tell(dial.trace, { type: "tlsStart", serverName: dial.serverName });
  const secured = await secure(
    opened,
    dial.context!,
    dial.serverName,
    (end) => life.attach(end),
  );
  life.clear("tls");
  life.clear("open");
  if (dial.trace !== null) tell(dial.trace, { type: "secured" });
  return channelOver(secured, dial, life);
}

function channelOver(opened: Opened, dial: Dial, life: Lifeline): Channel {
  const channel = new Channel(opened.transport, life);
  channel.settings = dial.settings;
  channel.native = opened.native;
  channel.foreign = dial.custom !== null;
  channel.exact = opened.native && dial.context === null;
  channel.trace = dial.trace;
  return channel;
}

/** The address of the peer, if the transport is a socket. */
function addressOf(transport: Transport): string | null {
  const { remoteAddr } = transport as { remoteAddr?: Deno.Addr };
  if (remoteAddr === undefined) return null;
  return "hostname" in remoteAddr ? remoteAddr.hostname : null;
}

/** Not every way to connect takes a signal: what comes too late is closed. */
function cancellable<T extends { transport: Transport }>(
  attempt: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    attempt.then((opened) => {
      if (signal.aborted) close(opened.transport);
      else resolve(opened);
    }, reject);
  });
}
