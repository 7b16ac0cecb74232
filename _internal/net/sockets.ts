/**
 * Sockets: TCP, TLS and unix sockets are Deno's own; what those cannot do (a source address, a client
 * certificate, TLS over anything but TCP) is done by `node:net` and `node:tls` in `node_transport.ts`,
 * loaded only then.
 *
 * @module
 */
import { explainTls, type TLSContext } from "./tls.ts";
import { close, GuardedTransport, type Route, type Transport } from "./transport.ts";

/** An open transport. */
export interface Opened {
  transport: Transport;
  /** Deno's own TCP connection, if it is one. */
  tcp: Deno.TcpConn | null;
  /** Whether it is a socket of Deno's own. */
  native: boolean;
}

/** Opens a plain transport. */
export async function open(route: Route, signal: AbortSignal): Promise<Opened> {
  if (route.custom !== null) {
    const transport = new GuardedTransport(await route.custom());
    return { transport, tcp: null, native: false };
  }
  if (route.source !== null || route.nodeTls) {
    const node = await import("./node_sockets.ts");
    return { transport: await node.connect(route, signal), tcp: null, native: false };
  }
  if (route.path !== null) {
    const conn = await Deno.connect({ transport: "unix", path: route.path });
    return { transport: conn, tcp: null, native: true };
  }
  const tcp = await Deno.connect({ hostname: route.hostname, port: route.port, signal });
  // Nagle's algorithm and a delayed acknowledgement together cost 40 ms.
  tcp.setNoDelay(true);
  return { transport: tcp, tcp, native: true };
}

/** Whether Deno's own sockets cannot do TLS as asked. */
export function needsNodeTls(context: TLSContext): boolean {
  return context.cert !== undefined || context.verify_mode === "CERT_NONE";
}

/** Does the TLS handshake over what was opened. */
export async function secure(
  opened: Opened,
  context: TLSContext,
  hostname: string,
  attach: (end: () => void) => void,
): Promise<Opened> {
  if (opened.tcp === null || needsNodeTls(context)) {
    const node = await import("./node_sockets.ts");
    const transport = await node.secure(opened.transport, context, hostname);
    return { transport, tcp: null, native: false };
  }
  try {
    const tls = await Deno.startTls(opened.tcp, {
      hostname: bare(hostname),
      caCerts: context.caCerts ?? [],
      alpnProtocols: context.alpnProtocols ?? ["http/1.1"],
      unsafelyDisableHostnameVerification: context.check_hostname === false,
    } as Deno.StartTlsOptions);
    attach(() => close(tls));
    await handshake(tls, hostname);
    return { transport: tls, tcp: null, native: true };
  } catch (error) {
    close(opened.tcp);
    throw error;
  }
}

/**
 * TLS in one step, where the platform allows no plain connection to the port: Deno Deploy refuses
 * `Deno.connect` to port 443. It is not the usual way, as it leaves Nagle's algorithm on.
 */
export async function openTls(route: Route, context: TLSContext, name: string): Promise<Opened> {
  if (name !== route.hostname || context.check_hostname === false) {
    throw new TypeError(
      "Cannot connect: this platform has no server_hostname apart from the host, nor check_hostname",
    );
  }
  const tls = await Deno.connectTls({
    hostname: route.hostname,
    port: route.port,
    caCerts: context.caCerts ?? [],
    alpnProtocols: context.alpnProtocols ?? ["http/1.1"],
  });
  await handshake(tls, route.hostname);
  return { transport: tls, tcp: null, native: true };
}

/** Whether an error of `Deno.connect` says that the platform forbids it. */
export function forbidden(error: unknown): boolean {
  return error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotSupported || error instanceof TypeError;
}

async function handshake(tls: Deno.TlsConn, hostname: string): Promise<void> {
  try {
    await tls.handshake();
  } catch (error) {
    close(tls);
    throw explainTls(error, hostname);
  }
}

/** Without the brackets of an IPv6 address, and without its scope. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
}
