/**
 * The server over TLS where `server.c` can't be built with OpenSSL: Node's, which unlike Deno's own turns
 * Nagle's algorithm off, so that no first answer waits for an acknowledgement. Of the paths it has those
 * that are used over TLS: `/bytes/N`, `/close/N` and `/cpu`.
 *
 * @module
 */
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { LOCALHOST } from "../tests/tls/mod.ts";

const server = createServer(LOCALHOST, (request, response) => {
  const [kind, size] = request.url!.slice(1).split("/");
  if (kind === "close") response.setHeader("Connection", "close");
  const { user, system } = process.cpuUsage();
  const body = kind === "cpu" ? String(user + system) : new Uint8Array(Number(size));
  response.setHeader("Content-Length", body.length);
  response.end(body);
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
// The input ends when who started this is done, however that comes.
process.stdin.on("data", () => {}).on("end", () => process.exit());
