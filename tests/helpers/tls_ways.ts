/**
 * The ways in which the library does TLS.
 *
 * @module
 */
import type { HTTPSConnectionOptions } from "../../mod.ts";
import { CA, CLIENT } from "../tls/mod.ts";

/** Each way by its name, with the options that lead to it for a server at a port of 127.0.0.1. */
export const TLS_WAYS: readonly [
  name: string,
  options: (port: number) => HTTPSConnectionOptions,
][] = [
  ["Deno's TLS", () => ({ context: { caCerts: [CA] } })],
  ["TLS with a client certificate", () => ({ context: { caCerts: [CA], ...CLIENT } })],
  [
    "TLS over own transport",
    (port) => ({
      context: { caCerts: [CA] },
      transport: () => Deno.connect({ hostname: "127.0.0.1", port }),
    }),
  ],
];
