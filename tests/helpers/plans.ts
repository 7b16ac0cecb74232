/**
 * Plans of connections over transports in memory.
 *
 * @module
 */
import type { Plan } from "../../_internal/exchange/connector.ts";
import type { Transport } from "../../mod.ts";

/** A plan to talk over what `custom` makes, and nothing else. */
export function planOver(custom: Plan["custom"], plan: Partial<Plan> = {}): Plan {
  return {
    hostname: "example.com",
    port: 80,
    path: null,
    source: null,
    custom,
    context: null,
    serverName: "example.com",
    tunnel: null,
    deadlines: {},
    debug: false,
    trace: null,
    onproxy: () => {},
    ...plan,
  };
}

/** What gives these transports, one after the other, and counts how many it has given. */
export function dialler(...transports: (Transport | Promise<Transport>)[]) {
  const dialled = {
    count: 0,
    dial: async (): Promise<Transport> => {
      const next = transports[dialled.count++];
      if (next === undefined) throw new Error("The connection was opened once too often");
      return await next;
    },
  };
  return dialled;
}
