/**
 * `node:http`: Deno's own in this process, or real Node as a child.
 *
 * @module
 */

import http from "node:http";
import type { AddressInfo } from "node:net";
import { programs } from "./available.ts";
import { Child, noteServer, TempDir } from "./child.ts";

/** A running server. */
export interface NodeServer extends AsyncDisposable {
  /** The port on `127.0.0.1`. */
  readonly port: number;
}

/** Starts Deno's `node:http` server in this process. */
export async function startDenoNodeHttp(listener: http.RequestListener): Promise<NodeServer> {
  const server = http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const forget = noteServer(() => server.closeAllConnections());
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      forget();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * Starts real Node with a server whose request listener is `listener`, JavaScript source of a function
 * `(request, response) => {}`; it may use `http`, `zlib` and `server`.
 */
export async function startNode(listener: string): Promise<NodeServer> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir("node"));
  const file = dir.write(
    "server.mjs",
    `import http from "node:http";
import zlib from "node:zlib";
void zlib;
let connections = 0;
const server = http.createServer(${listener});
server.on("connection", (socket) => socket.number = connections++);
server.listen(0, "127.0.0.1", () => console.log("port", server.address().port, "ready"));
`,
  );
  const child = stack.use(new Child(programs.node!, { args: [file] }));
  const port = Number(await child.ready(() => /port (\d+) ready/.exec(child.output)?.[1]));
  const owned = stack.move();
  return {
    port,
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}
