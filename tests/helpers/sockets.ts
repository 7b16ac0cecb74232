/**
 * What tests need of this machine's sockets.
 *
 * @module
 */

/** Whether this machine has an IPv6 loopback address. */
export const hasIPv6: boolean = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
})();

/** Whether {@linkcode fullListener} keeps a connection waiting here. */
export const hasFullListener: boolean = Deno.build.os === "linux";

/** A listener of {@linkcode fullListener}. */
export interface FullListener extends Disposable {
  /** Its port at 127.0.0.1. */
  readonly port: number;
}

/** A listener that accepts nobody and whose queue is full: to connect to it takes for ever. */
export async function fullListener(): Promise<FullListener> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const { port } = listener.addr;
  const fill: Deno.Conn[] = [];
  for (let i = 0; i < 2; i++) fill.push(await Deno.connect({ hostname: "127.0.0.1", port }));
  return {
    port,
    [Symbol.dispose]() {
      for (const open of [...fill, listener]) open.close();
    },
  };
}
