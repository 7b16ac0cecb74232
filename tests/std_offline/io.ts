/**
 * Stand-in for `@std/io`: the part of it that this project imports.
 *
 * @module
 */

const PIECE_SIZE = 32768;

/** A source of bytes that is read into the caller's buffer. */
export interface Reader {
  /** Reads up to `p.byteLength` bytes into `p`: how many came, or `null` at the end. */
  read(p: Uint8Array): Promise<number | null>;
}

/** A source of bytes that is read into the caller's buffer at once. */
export interface ReaderSync {
  /** Reads up to `p.byteLength` bytes into `p`: how many came, or `null` at the end. */
  readSync(p: Uint8Array): number | null;
}

/** A sink of bytes. */
export interface Writer {
  /** Writes bytes from `p`, maybe not all: how many were taken. */
  write(p: Uint8Array): Promise<number>;
}

/** A sink of bytes that takes them at once. */
export interface WriterSync {
  /** Writes bytes from `p`, maybe not all: how many were taken. */
  writeSync(p: Uint8Array): number;
}

/** Something that can be closed. */
export interface Closer {
  /** Closes it. */
  close(): void;
}

/**
 * Reads until the end.
 *
 * @param reader Where to read from
 * @returns All bytes
 */
export async function readAll(reader: Reader): Promise<Uint8Array> {
  let bytes = new Uint8Array(PIECE_SIZE);
  let length = 0;
  while (true) {
    if (length === bytes.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(bytes);
      bytes = larger;
    }
    const count = await reader.read(bytes.subarray(length));
    if (count === null) return bytes.slice(0, length);
    length += count;
  }
}

/**
 * Writes all bytes, in as many writes as it takes.
 *
 * @param writer Where to write to
 * @param data The bytes
 */
export async function writeAll(writer: Writer, data: Uint8Array): Promise<void> {
  let rest = data;
  while (rest.length > 0) rest = rest.subarray(await writer.write(rest));
}
