/**
 * Preloaded into a program, this records every connection that it opens with Deno's sockets, by the recipe
 * `examples/record_replay.ts`, into the file that `RECORDING` names.
 *
 * @module
 */
import { record } from "../../examples/record_replay.ts";

const inner = { connect: Deno.connect, connectTls: Deno.connectTls, startTls: Deno.startTls };
let next: Deno.Conn;
const recorder = record(() => {
  const conn = next;
  return Promise.resolve({
    read: conn.read.bind(conn),
    write: conn.write.bind(conn),
    closeWrite: conn.closeWrite.bind(conn),
    close: conn.close.bind(conn),
  });
}, Deno.env.get("RECORDING")!);

/** The same socket, whose calls are recorded. */
async function recorded<T extends Deno.Conn>(conn: T): Promise<T> {
  next = conn;
  return Object.assign(conn, await recorder());
}

Object.assign(Deno, {
  connect: async (options: Deno.ConnectOptions) => recorded(await inner.connect(options)),
  connectTls: async (options: Deno.ConnectTlsOptions) => recorded(await inner.connectTls(options)),
  startTls: async (conn: Deno.TcpConn, options: Deno.StartTlsOptions) =>
    recorded(await inner.startTls(conn, options)),
});
