/**
 * What a run needs: what is installed, the servers, a folder for files.
 *
 * @module
 */
import { statfsSync } from "node:fs";
import { CA } from "../tests/tls/mod.ts";
import type { Config } from "./clients/jobs.ts";
import { findInstalled, type Installed } from "./contestants.ts";
import { type Server, startServer, startTlsServer } from "./servers.ts";
import { BIG } from "./bodies.ts";

/** What workloads are measured on. */
export interface Field extends AsyncDisposable {
  installed: Installed;
  config: Config;
  /** Talks HTTP. */
  plain: Server;
  /** Talks HTTPS. */
  tls: Server;
  /** For files; in memory where there is room for it. */
  folder: string;
}

const MEMORY = "/dev/shm";

function makeFolder(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize > 8 * BIG) return Deno.makeTempDirSync({ dir: MEMORY, prefix: "bench-" });
  } catch {
    // No such file system here.
  }
  return Deno.makeTempDirSync({ prefix: "bench-" });
}

/** Starts the servers and looks for the clients. */
export async function openField(short: boolean): Promise<Field> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(makeFolder(), (path) => Deno.removeSync(path, { recursive: true }));
  Deno.writeFileSync(`${folder}/upload`, new Uint8Array(short ? BIG / 16 : BIG));
  Deno.writeTextFileSync(`${folder}/ca.pem`, CA);
  const installed = await findInstalled();
  const plain = stack.use(await startServer(folder));
  const tls = stack.use(await startTlsServer(folder, CA));
  const config = {
    host: "127.0.0.1",
    port: plain.port,
    tlsPort: tls.port,
    ca: CA,
    caFile: `${folder}/ca.pem`,
    upload: `${folder}/upload`,
    download: `${folder}/download`,
    undici: installed.undici ?? "",
  };
  const owned = stack.move();
  return {
    installed,
    config,
    plain,
    tls,
    folder,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
