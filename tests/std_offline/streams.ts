/**
 * Stand-in for `@std/streams`: the part of it that this project imports.
 *
 * @module
 */

async function collect<T>(stream: ReadableStream<T>): Promise<T[]> {
  const chunks: T[] = [];
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
  }
  return chunks;
}

/**
 * Collects a stream of bytes.
 *
 * @param stream The stream
 * @returns All bytes
 */
export async function toBytes(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await toArrayBuffer(stream));
}

/**
 * Collects a stream of bytes.
 *
 * @param readableStream The stream
 * @returns A buffer of exactly the bytes
 */
export async function toArrayBuffer(
  readableStream: ReadableStream<Uint8Array>,
): Promise<ArrayBuffer> {
  const chunks = await collect(readableStream);
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let length = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, length);
    length += chunk.length;
  }
  return bytes.buffer;
}

/**
 * Collects a stream of strings, or of UTF-8.
 *
 * @param stream The stream
 * @returns The text
 */
export async function toText(
  stream: ReadableStream<string> | ReadableStream<Uint8Array>,
): Promise<string> {
  const decoder = new TextDecoder();
  const chunks = await collect<string | Uint8Array>(stream);
  const texts = chunks.map((chunk) =>
    typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true })
  );
  return texts.join("") + decoder.decode();
}

/**
 * Collects a stream of JSON, as strings or as UTF-8.
 *
 * @param stream The stream
 * @returns The value
 */
export async function toJson(
  stream: ReadableStream<string> | ReadableStream<Uint8Array>,
): Promise<unknown> {
  return JSON.parse(await toText(stream));
}

/** Passes pieces on as long as they have no more bytes than `size` together. */
export class LimitedBytesTransformStream extends TransformStream<Uint8Array, Uint8Array> {
  /**
   * @param size How many bytes pass
   * @param options Whether it is an error when there are more, or just the end
   */
  constructor(size: number, options: { error?: boolean } = {}) {
    let left = size;
    super({
      transform(piece, controller) {
        left -= piece.byteLength;
        if (left >= 0) return controller.enqueue(piece);
        if (!options.error) return controller.terminate();
        throw new RangeError(`Exceeded byte size limit of '${size}'`);
      },
    });
  }
}
