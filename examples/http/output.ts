/**
 * Where the body goes: standard output or a file, which an interrupted download leaves resumable.
 *
 * @module
 */
import type { HTTPResponse } from "@denoports/http-client";
import { CommandError, failingWith } from "./failure.ts";
import { harmlessDecoder, ProgressBar } from "./terminal.ts";

/** Where the pieces of a body go. */
export interface Output extends Disposable {
  /** Writes all of a piece. */
  write(piece: Uint8Array): Promise<void>;
  /** Called once the whole body is written. */
  end(): Promise<void>;
}

async function writeAll(
  target: { write(p: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  while (bytes.length > 0) bytes = bytes.subarray(await target.write(bytes));
}

/** Writes text or bytes to standard output. */
export async function print(content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await failingWith(23, "Cannot write to standard output", () => writeAll(Deno.stdout, bytes));
}

/** Standard output: bytes as they are, but a terminal gets text without control characters. */
export function standardOutput(isTerminal = Deno.stdout.isTerminal()): Output {
  const toText = isTerminal ? harmlessDecoder() : null;
  return {
    write: (piece) => print(toText?.(piece, false) ?? piece),
    end: () => toText === null ? Promise.resolve() : print(toText(new Uint8Array(), true)),
    [Symbol.dispose]() {},
  };
}

/** What is known of a download that was not finished; stands beside the file while it is incomplete. */
interface Unfinished {
  url: string;
  /** An entity tag or a date: what `If-Range` compares (RFC 9110, Section 13.1.5). */
  validator: string;
}

/** A file that a download is saved in, and the state that is kept beside it while it is incomplete. */
export class Download {
  readonly #path: string;
  readonly #url: string;
  /** How many bytes an earlier download has saved; 0 to start from the beginning. */
  #offset = 0;
  #validator: string | null = null;

  private constructor(path: string, url: string) {
    this.#path = path;
    this.#url = url;
  }

  /** Looks at the file, and for `resume` at what an earlier download has left. */
  static async open(path: string, url: string, resume: boolean): Promise<Download> {
    const download = new Download(path, url);
    if (resume) await download.#readState();
    return download;
  }

  get #statePath(): string {
    return `${this.#path}.unfinished`;
  }

  /** Without a validator of the same resource the rest could be that of another version. */
  async #readState(): Promise<void> {
    try {
      const { size } = await Deno.stat(this.#path);
      const state: Unfinished = JSON.parse(await Deno.readTextFile(this.#statePath));
      if (state.url !== this.#url || typeof state.validator !== "string") return;
      [this.#offset, this.#validator] = [size, state.validator];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return;
      throw new CommandError(26, `Cannot resume ${this.#path}: ${error}`, error);
    }
  }

  /** The fields that ask for the rest. */
  get fields(): [string, string][] {
    if (this.#offset === 0 || this.#validator === null) return [];
    return [["Range", `bytes=${this.#offset}-`], ["If-Range", this.#validator]];
  }

  /**
   * Prepares the file for the body of a response.
   *
   * @returns Where the body goes; `null` where the file is complete already.
   * @throws {CommandError} When the response is not the rest of the file; that is left as it is.
   */
  async start(response: HTTPResponse, showProgress: boolean): Promise<Output | null> {
    const offset = this.#start(response);
    if (offset === null) {
      await this.#removeState();
      return null;
    }
    const { length } = response;
    const total = length === null ? null : offset + length;
    const validator = validatorOf(response);
    const file = await failingWith(23, `Cannot write ${this.#path}`, async () => {
      const file = await Deno.open(this.#path, { write: true, create: true });
      if (validator === null) await this.#removeState();
      else {
        const state: Unfinished = { url: this.#url, validator };
        await Deno.writeTextFile(this.#statePath, JSON.stringify(state));
      }
      if ((await file.stat()).isFile) {
        await file.truncate(offset);
        await file.seek(offset, Deno.SeekMode.Start);
      }
      return file;
    });
    const bar = showProgress ? new ProgressBar(total, offset) : null;
    let saved = offset;
    return {
      write: async (piece) => {
        await failingWith(23, `Cannot write ${this.#path}`, () => writeAll(file, piece));
        bar?.update(saved += piece.length);
      },
      end: async () => {
        bar?.draw(saved);
        await this.#removeState();
      },
      [Symbol.dispose]: () => {
        bar?.end();
        file.close();
      },
    };
  }

  /** Where in the file the body of a response begins, or `null` where there is nothing to add. */
  #start(response: HTTPResponse): number | null {
    if (this.#offset === 0) return 0;
    const range = response.getheader("content-range") ?? "";
    if (response.status === 206) {
      const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? [];
      const isRest = Number(first) === this.#offset && Number(last) + 1 === Number(size);
      if (isRest) return this.#offset;
    } else if (response.status === 416) {
      if (range === `bytes */${this.#offset}`) return null;
    } else if (response.ok) return 0;
    else {
      throw new CommandError(
        22,
        `Cannot resume ${this.#path}: the server responded with ${response.status}`,
      );
    }
    throw new CommandError(
      33,
      `Cannot resume ${this.#path} at ${this.#offset}: the server sent Content-Range "${range}"`,
    );
  }

  async #removeState(): Promise<void> {
    try {
      await Deno.remove(this.#statePath);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** A strong validator of a response that can be resumed, or `null`. */
function validatorOf(response: HTTPResponse): string | null {
  if (response.status !== 200 && response.status !== 206) return null;
  if (/\bnone\b/i.test(response.getheader("accept-ranges", ""))) return null;
  const tag = response.headers.get("etag");
  if (tag !== null) return /^"[^"]*"$/.test(tag) ? tag : null;
  return response.headers.get("last-modified");
}
