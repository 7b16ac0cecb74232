/**
 * Sockets: TCP, TLS and unix sockets are Deno's own; what those cannot do (a source address, a client
 * certificate, TLS without the default certificates or over anything but TCP) is done by `node:net` and
 * `node:tls` in `node_sockets.ts`, loaded only then. Where there is no Deno, those do all of it.
 *
 * @module
 */
import { errors } from "../../errors.ts";
import type { Identity } from "./identity.ts";
import { deno, type DenoTlsConn, isDenoSocket, needDeno } from "./platform.ts";
import { HTTP_1_1, type TLSContext } from "./tls.ts";
import {
  closeQuietly,
  type Opened,
  type Route,
  type Secured,
  type Transport,
} from "./transport.ts";

/** What the user made to talk over. */
export function ownTransport(transport: Transport): Opened {
  return { transport, kind: isDenoSocket(transport) ? "deno" : "other", tcp: null };
}

/** Opens a plain transport. */
export async function open(route: Route, signal: AbortSignal): Promise<Opened> {
  if (deno === undefined || bindsTo(route.source)) {
    // Its node:net takes the address and does not use it.
    if (bindsTo(route.source)) needDeno("2.7.4", "source_address");
    const node = await import("./node_sockets.ts");
    return { transport: await node.connect(route, signal), tcp: null, kind: "node" };
  }
  if (route.path !== null) {
    const conn = await deno.connect({ transport: "unix", path: route.path });
    return { transport: conn, tcp: null, kind: "deno" };
  }
  const tcp = await deno.connect({ hostname: route.hostname, port: route.port, signal });
  // Nagle's algorithm and a delayed acknowledgement together cost 40 ms.
  tcp.setNoDelay(true);
  return { transport: tcp, tcp, kind: "deno" };
}

/** Whether a source address asks for anything: `["", 0]` leaves all to the system, as in Python. */
function bindsTo(source: Route["source"]): boolean {
  return source !== null && (source[0] !== "" || source[1] !== 0);
}

/** What is done by `node:tls`, in the words of its user. */
const NODE_TLS = "TLS with cert, verify_mode or load_default_certs, or over anything but TCP,";

/** Whether Deno's own sockets cannot do TLS as asked. */
export function needsNodeTls(context: TLSContext): boolean {
  return context.cert !== undefined || context.verify_mode === "CERT_NONE" ||
    context.load_default_certs === false;
}

/**
 * Does the TLS handshake over what was opened.
 *
 * @param onbegun Gets what is to be closed to end it.
 */
export async function secure(
  opened: Opened,
  context: TLSContext,
  hostname: string,
  onbegun: (transport: Transport) => void,
): Promise<Secured> {
  if (opened.tcp === null || needsNodeTls(context)) {
    try {
      needDeno("2.7.13", NODE_TLS);
      // Before, its node:tls trusts the default certificates all the same.
      if (context.load_default_certs === false) needDeno("2.8.0", "load_default_certs");
    } catch (error) {
      closeQuietly(opened.transport);
      throw error;
    }
    const node = await import("./node_sockets.ts");
    return await node.secure(opened, context, hostname, onbegun);
  }
  try {
    const tls = await deno!.startTls(opened.tcp, {
      hostname: bare(hostname),
      caCerts: context.caCerts ?? [],
      alpnProtocols: context.alpnProtocols ?? [HTTP_1_1],
      unsafelyDisableHostnameVerification: context.check_hostname === false,
    });
    onbegun(tls);
    return await handshake(tls);
  } catch (error) {
    closeQuietly(opened.tcp);
    await checkBlame(error, context);
    throw error;
  }
}

/**
 * TLS in one step, where the platform allows no plain connection to the port: Deno Deploy refuses
 * `Deno.connect` to port 443. It is not the usual way, as it leaves Nagle's algorithm on.
 *
 * @param onbegun Gets what is to be closed to end the handshake.
 */
export async function openTls(
  route: Route,
  context: TLSContext,
  name: string,
  onbegun: (transport: Transport) => void,
): Promise<Secured> {
  if (name !== route.hostname || context.check_hostname === false) {
    throw new TypeError(
      "this platform has no server_hostname apart from the host, nor check_hostname",
    );
  }
  if (context.verify_mode === "CERT_NONE" || context.load_default_certs === false) {
    throw new TypeError(
      "this platform has neither verify_mode nor load_default_certs",
    );
  }
  let identity: Partial<Identity> = {};
  if (context.cert !== undefined) identity = (await import("./identity.ts")).identityOf(context);
  try {
    const tls = await deno!.connectTls({
      hostname: route.hostname,
      port: route.port,
      caCerts: context.caCerts ?? [],
      alpnProtocols: context.alpnProtocols ?? [HTTP_1_1],
      ...identity,
    });
    onbegun(tls);
    return await handshake(tls);
  } catch (error) {
    await checkBlame(error, context);
    throw error;
  }
}

/** Deno: a certificate to trust that cannot be read is told as if it were the server's. */
async function checkBlame(error: unknown, { caCerts }: TLSContext): Promise<void> {
  if (caCerts === undefined || !(error instanceof Error)) return;
  if (!error.message.includes("BadEncoding")) return;
  (await import("./identity.ts")).checkReadable(caCerts);
}

/** Whether an error of `Deno.connect` says that the platform forbids it. */
export function forbidden(error: unknown): boolean {
  return error instanceof errors.PermissionDenied || error instanceof errors.NotCapable ||
    error instanceof errors.NotSupported || error instanceof TypeError;
}

async function handshake(tls: DenoTlsConn): Promise<Secured> {
  try {
    const { alpnProtocol } = await tls.handshake();
    return { transport: tls, tcp: null, kind: "deno", alpnProtocol: alpnProtocol ?? null };
  } catch (error) {
    closeQuietly(tls);
    throw error;
  }
}

/** Without the brackets of an IPv6 address, and without its scope. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
}
