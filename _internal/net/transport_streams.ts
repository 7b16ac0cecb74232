/**
 * The web streams of a transport that was handed over.
 *
 * @module
 */
import { writeAll } from "@std/io/write-all";
import { BUFFER_SIZE } from "./buffered_reader.ts";
import { closeQuietly, type Transport } from "./transport.ts";

/** Both directions of a transport, `buffered` first. */
export function streamsOf(transport: Transport, buffered: Uint8Array): {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
} {
  let readOver = false;
  let writeOver = false;
  const endIfOver = () => {
    if (readOver && writeOver) closeQuietly(transport);
  };
  let rest = buffered;
  const readable = new ReadableStream<Uint8Array>({
    type: "bytes",
    async pull(controller) {
      const piece = rest.length > 0 ? rest : await orClose(transport, readPiece(transport));
      rest = new Uint8Array(0);
      if (piece !== null) return controller.enqueue(piece as Uint8Array<ArrayBuffer>);
      readOver = true;
      endIfOver();
      controller.close();
      (controller as ReadableByteStreamController).byobRequest?.respond(0);
    },
    cancel: () => closeQuietly(transport),
  }, { highWaterMark: 0 });
  const writable = new WritableStream<Uint8Array>({
    write: (piece) => orClose(transport, writeAll(transport, piece)),
    async close() {
      writeOver = true;
      if (transport.closeWrite === undefined || readOver) return closeQuietly(transport);
      await transport.closeWrite();
    },
    abort: () => closeQuietly(transport),
  });
  return { readable, writable };
}

/** A stream that has failed tells its source no more: the transport is closed here. */
async function orClose<T>(transport: Transport, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    closeQuietly(transport);
    throw error;
  }
}

async function readPiece(transport: Transport): Promise<Uint8Array | null> {
  const buffer = new Uint8Array(BUFFER_SIZE);
  const count = await transport.read(buffer);
  return count === null ? null : buffer.subarray(0, count);
}
