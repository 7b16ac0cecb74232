/**
 * A part of other examples: a socket of `node:net` or `node:tls` as what a connection talks over.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { Transport } from "@denoports/http-client";

/** A connected socket as a transport. Reading pauses the socket as long as nobody reads from it. */
export function transportOf(socket: Socket): Transport {
  const pieces: AsyncIterator<Uint8Array> = socket[Symbol.asyncIterator]();
  let rest = new Uint8Array(0);
  // A failure is thrown by the reads and writes that are pending, or that follow.
  socket.on("error", () => {});
  return {
    async read(p) {
      if (rest.length === 0) {
        const { done, value } = await pieces.next();
        if (done) return null;
        rest = new Uint8Array(value);
      }
      const count = Math.min(p.length, rest.length);
      p.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      return count;
    },
    write: (p) =>
      new Promise((resolve, reject) => {
        // The socket may keep the bytes for longer than the call lasts: it gets a copy.
        socket.write(p.slice(), (error) => error ? reject(error) : resolve(p.length));
      }),
    closeWrite: () => new Promise((resolve) => socket.end(resolve)),
    close: () => void socket.destroy(),
  };
}
