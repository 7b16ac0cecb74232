/**
 * Tests with real servers.
 *
 * @module
 */
import { watched } from "../servers/child.ts";

/** Declares a test; `ready` says whether what it needs besides the server is installed. */
export type InteropTest = (name: string, fn: () => Promise<void>, ready?: boolean) => void;

/**
 * Makes a function that declares tests with one server. Their names end in the server's, and they are
 * ignored where it is not installed.
 *
 * @param server the server's name
 * @param installed whether it is installed
 */
export function interopTest(server: string, installed = true): InteropTest {
  return (name, fn, ready = true) =>
    Deno.test({ name: `${name} (${server})`, ignore: !installed || !ready, fn: watched(fn) });
}
