/**
 * Another version of Deno than the one that runs.
 *
 * @module
 */

/** Runs `use` while `Deno.version` says another version. */
export async function onDeno(version: string, use: () => void | Promise<void>): Promise<void> {
  const { version: before } = Deno;
  const set = (value: typeof before) =>
    Object.defineProperty(Deno, "version", { value, configurable: true });
  set({ ...before, deno: version });
  try {
    await use();
  } finally {
    set(before);
  }
}
