/**
 * What of the tests is not run on other runtimes, by name, and why.
 *
 * @module
 */

/** Tests whose names match do not run there. */
type Ignored = [runtimes: RegExp, file: string, name: RegExp, why: string];

const IGNORED: Ignored[] = [];

/** Files that test Deno itself: its sockets, its TLS, its way to show objects. */
const LEFT_OUT: [file: string, why: string][] = [];

/** Whether a file is not run at all. */
export function isLeftOut(path: string): boolean {
  return LEFT_OUT.some(([file]) => path.endsWith(file));
}

/** Which tests of a file are not run on a runtime, such as `node@22`. */
export function ignoredOn(runtime: string, path: string): (name: string) => boolean {
  const rows = IGNORED.filter(([runtimes, file]) => runtimes.test(runtime) && path.endsWith(file));
  return (name) => rows.some(([, , pattern]) => pattern.test(name));
}
