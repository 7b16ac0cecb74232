/**
 * Records the bytes of exchanges as JSON lines: one for the start of each exchange, one for each piece that
 * went over the wire, one for the end.
 *
 * ```json
 * {"type":"exchange","version":1,"method":"GET","url":"http://127.0.0.1/"}
 * {"type":"sent","ms":0.1,"base64":"R0VU..."}
 * {"type":"received","ms":2.5,"base64":"SFRU..."}
 * {"type":"end","ms":2.9,"error":null}
 * ```
 *
 * @module
 */
import { type Exchange, openPrivate, writeAllSync } from "./archive.ts";
import { encodeBase64 } from "./base64.ts";
import { messageOf } from "./failure.ts";
import type { Direction, WireListener } from "./wire.ts";

/** Writes a record while the exchange goes on. */
export class RecordWriter implements WireListener, Disposable {
  readonly #file: Deno.FsFile;
  #start = 0;

  /** Opens the file. */
  constructor(path: string) {
    this.#file = openPrivate(path);
  }

  /** Called with the URL before the exchange begins. */
  announce(method: string, url: string): void {
    this.#start = performance.now();
    this.#line({ type: "exchange", version: 1, method, url });
  }

  /** Nothing to do: {@linkcode announce} has the URL as well. */
  begin(): void {}

  /** Writes bytes as they pass. */
  bytes(direction: Direction, bytes: Uint8Array): void {
    this.#line({ type: direction, ms: this.#elapsed, base64: encodeBase64([bytes]) });
  }

  /** Ends the record of an exchange. */
  add({ error }: Exchange): void {
    this.#line({
      type: "end",
      ms: this.#elapsed,
      error: error === null ? null : messageOf(error),
    });
  }

  get #elapsed(): number {
    return Math.round((performance.now() - this.#start) * 10) / 10;
  }

  #line(value: unknown): void {
    writeAllSync(this.#file, `${JSON.stringify(value)}\n`);
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}
