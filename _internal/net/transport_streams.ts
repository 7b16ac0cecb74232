/**
 * The web streams of a transport that was handed over.
 *
 * @module
 */
import { writeAll } from "@std/io/write-all";
import { errors } from "../../errors.ts";
import { BUFFER_SIZE } from "./buffered_reader.ts";
import { deferred, turn } from "./platform.ts";
import { closeQuietly, type Transport } from "./transport.ts";

/** Both directions of a transport, `buffered` first. */
export function streamsOf(transport: Transport, buffered: Uint8Array): {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
} {
  let readOver = false;
  let writeOver = false;
  let isClosed = false;
  /** Why one of the two has failed: the other must not look as if it had ended. */
  let failure: { readonly reason: unknown } | null = null;
  const close = () => {
    if (!isClosed) closeQuietly(transport);
    isClosed = true;
  };
  const fail = (reason: unknown) => {
    if (!isClosed) failure = { reason };
    close();
  };
  /** A stream that has failed tells its source no more: the transport is closed here. */
  const orClose = async <T>(operation: Promise<T>): Promise<T> => {
    try {
      return await operation;
    } catch (error) {
      fail(error);
      throw failure === null ? error : failure.reason;
    }
  };
  const endIfOver = () => {
    if (readOver && writeOver) close();
  };
  const readPiece = async (): Promise<Uint8Array | null> => {
    const buffer = new Uint8Array(BUFFER_SIZE);
    while (!isClosed) {
      const count = await transport.read(buffer);
      if (count === null) break;
      if (count > 0) return buffer.subarray(0, count);
      // One that gives nothing, again and again, must not starve the event loop.
      await turn();
    }
    if (failure !== null) throw failure.reason;
    return null;
  };
  // What a stream gives out is transferred.
  let rest = buffered.slice();
  const readable = new ReadableStream<Uint8Array>({
    type: "bytes",
    async pull(controller) {
      const piece = rest.length > 0 ? rest : await orClose(readPiece());
      rest = new Uint8Array(0);
      if (piece !== null) return controller.enqueue(piece as Uint8Array<ArrayBuffer>);
      readOver = true;
      endIfOver();
      controller.close();
      (controller as ReadableByteStreamController).byobRequest?.respond(0);
    },
    cancel: close,
  }, { highWaterMark: 0 });
  const aborted = deferred<never>();
  aborted.promise.catch(() => {});
  const writable = new WritableStream<Uint8Array>({
    start({ signal }) {
      // The standard calls `abort` only when a write that is out has ended.
      signal.addEventListener("abort", () => {
        fail(signal.reason);
        aborted.reject(signal.reason);
      });
    },
    write: (piece) => orClose(Promise.race([writeAll(transport, piece), aborted.promise])),
    async close() {
      writeOver = true;
      if (readOver) return close();
      if (transport.closeWrite !== undefined) return await transport.closeWrite();
      fail(new errors.Interrupted("Cannot read: the transport has no closeWrite() and was closed"));
    },
    abort: fail,
  });
  return { readable, writable };
}
