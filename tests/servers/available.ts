/**
 * Which real servers are installed. Tests for a missing one are reported as ignored, by name.
 *
 * @module
 */

/** Where a program is, or `undefined` where it is not installed. System folders count even outside of `PATH`. */
export function which(program: string): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  for (const folder of [...folders, "/usr/local/sbin", "/usr/sbin", "/sbin", "/opt/homebrew/bin"]) {
    const path = `${folder}/${program}`;
    try {
      if (folder && Deno.statSync(path).isFile) return path;
    } catch {
      // Not there: look on.
    }
  }
  return undefined;
}

const runs = Deno.build.os !== "windows";

/** The path of each server program, or `undefined` where it is not installed. */
export const programs = {
  /** The web server. */
  nginx: runs ? which("nginx") : undefined,
  /** The big proxy. */
  squid: runs ? which("squid") : undefined,
  /** The small proxy. */
  tinyproxy: runs ? which("tinyproxy") : undefined,
  /** The load balancer. */
  haproxy: runs ? which("haproxy") : undefined,
  /** Node itself, not Deno's `node:http`. */
  node: runs ? which("node") : undefined,
  /** Python 3. */
  python: runs ? which("python3") : undefined,
} as const;

/** The helper of squid that checks user names and passwords, or `undefined`. */
export const squidBasicAuth: string | undefined = [
  "/usr/lib/squid/basic_ncsa_auth",
  "/usr/lib64/squid/basic_ncsa_auth",
  "/usr/libexec/squid/basic_ncsa_auth",
].find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** Which servers are installed. */
export const has: { readonly [name in keyof typeof programs]: boolean } = {
  nginx: programs.nginx !== undefined,
  squid: programs.squid !== undefined,
  tinyproxy: programs.tinyproxy !== undefined,
  haproxy: programs.haproxy !== undefined,
  node: programs.node !== undefined,
  python: programs.python !== undefined,
};
