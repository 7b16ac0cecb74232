/**
 * The facts that are told of an exchange that failed.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { ExchangeDetails } from "../../mod.ts";

/** All facts; a test must name each of them. */
export type Facts = Required<ExchangeDetails>;

/** The facts that an error carries. */
export function factsOf(error: unknown): Facts {
  const { phase, requestBytesSent, responseBytesReceived, connectionReused, retrySafe } =
    error as Facts;
  return { phase, requestBytesSent, responseBytesReceived, connectionReused, retrySafe };
}

const NAMES = [
  "phase",
  "requestBytesSent",
  "responseBytesReceived",
  "connectionReused",
  "retrySafe",
];

/** Asserts that nothing was written to an object of the user's. */
export function assertUntouched(object: unknown): void {
  const found = NAMES.filter((name) => name in (object as Record<string, unknown>));
  assertEquals(found, [], `Facts were written to ${object}`);
}
