/**
 * A download that can be resumed: the data goes to a `.part` file, and after a failure only the rest is
 * requested, by `Range` and with `If-Range`, so that two versions are never mixed. The file is renamed once
 * it is complete and its SHA-256, if one is given, is right.
 *
 *     deno run -A examples/download.ts
 *     deno run -A examples/download.ts URL [FILE] [--sha256 HEX] [--max-bytes N]
 *
 * @module
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { errors, type HTTPResponse, IncompleteRead } from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";
import { follow } from "./redirects.ts";

/** Options of {@linkcode download}. */
export interface DownloadOptions {
  /** The SHA-256 of the whole file, in hexadecimal. */
  sha256?: string;
  /** How large the file may be. @default {Infinity} */
  maxBytes?: number;
  /** How many requests are made at most, each for the rest of the file. @default {5} */
  attempts?: number;
  signal?: AbortSignal;
  /** Called after each write; `total` is `null` where the size is not known. */
  onProgress?: (bytes: number, total: number | null) => void;
}

/** Downloads a file, or the rest of it. What has been received is kept for the next call if this one fails. */
export async function download(
  url: URL,
  path: string,
  options: DownloadOptions = {},
): Promise<void> {
  const part = `${path}.part`;
  const { attempts = 5 } = options;
  for (let attempt = 1; !await fetchRest(url, part, options); attempt++) {
    if (attempt === attempts) throw new Error(`Cannot download ${url} in ${attempts} attempts`);
  }
  if (options.sha256 !== undefined) {
    const hash = createHash("sha256");
    using file = await Deno.open(part);
    for await (const piece of file.readable) hash.update(piece);
    const digest = hash.digest("hex");
    if (digest !== options.sha256.toLowerCase()) {
      await Deno.remove(part);
      throw new Error(`Cannot use ${url}: its SHA-256 is ${digest}, not ${options.sha256}`);
    }
  }
  await Deno.rename(part, path);
  await Deno.remove(`${part}.etag`).catch(() => {});
}

/** Makes one request; returns whether the file is complete then. */
async function fetchRest(url: URL, part: string, options: DownloadOptions): Promise<boolean> {
  const { maxBytes = Infinity, signal, onProgress } = options;
  using file = await Deno.open(part, { read: true, write: true, create: true });
  const etag = await Deno.readTextFile(`${part}.etag`).catch(() => "");
  let start = etag === "" ? 0 : (await file.stat()).size; // Without an ETag there is no resuming.
  using result = await follow("GET", url, {
    headers: start === 0 ? {} : { "Range": `bytes=${start}-`, "If-Range": etag },
    connection: { timeout: 30, deadlines: { connect: 10, head: 60 }, maxBodyBytes: maxBytes },
    signal,
  });
  const { response } = result;
  const { status } = response;
  const range = contentRange(response);
  let total = response.length;
  if (status === 200) {
    start = 0; // The file has changed, or the server does not support ranges.
    await file.truncate(0);
    await Deno.writeTextFile(`${part}.etag`, strongETag(response));
  } else if (status === 206 && start > 0 && range.start === start && range.total !== null) {
    total = range.total;
    if (![etag, ""].includes(strongETag(response))) return await discard(file, part);
  } else if (status === 416 && start > 0) { // No byte follows those that have been received.
    return range.total === start || await discard(file, part);
  } else {
    throw new Error(`Cannot download ${result.url}: ${status} ${response.reason}`);
  }
  if (total !== null && total > maxBytes) throw new Error(`${result.url} has ${total} bytes`);
  await file.seek(start, Deno.SeekMode.Start);
  try {
    const count = await response.copyTo(file, {
      onProgress: (bytes) => onProgress?.(start + bytes, total),
    });
    await file.sync();
    return total === null || start + count === total; // A 206 may be shorter than requested.
  } catch (error) {
    // What came before the connection failed has been written.
    const { ConnectionReset, TimedOut } = errors;
    if ([IncompleteRead, ConnectionReset, TimedOut].some((kind) => error instanceof kind)) {
      return false;
    }
    throw error;
  }
}

/** The next request is for the whole file. */
async function discard(file: Deno.FsFile, part: string): Promise<false> {
  await Deno.writeTextFile(`${part}.etag`, "");
  await file.truncate(0);
  return false;
}

/** Only a strong validator guarantees identical bytes (RFC 9110, Section 13.1.5). */
function strongETag(response: HTTPResponse): string {
  const etag = response.getheader("etag", "");
  return etag.startsWith('"') ? etag : "";
}

/** Parses `bytes 5-9/10`, and what a 416 has instead: no range, but the size. */
function contentRange(response: HTTPResponse): { start: number | null; total: number | null } {
  const value = response.getheader("content-range", "");
  const { start, total } = /^bytes (?:(?<start>\d+)-\d+|\*)\/(?<total>\d+)$/i.exec(value)?.groups ??
    {};
  return {
    start: start === undefined ? null : Number(start),
    total: total === undefined ? null : Number(total),
  };
}

/** Prints a progress bar, at most ten times a second. */
function progressBar(): (bytes: number, total: number | null) => void {
  let printed = 0;
  return (bytes, total) => {
    const now = performance.now();
    if (now - printed < 100 && bytes !== total) return;
    printed = now;
    const bar = "#".repeat(total ? 30 * bytes / total : 0).padEnd(30);
    const line = `\r[${bar}] ${bytes} of ${total ?? "?"} bytes${bytes === total ? "\n" : ""}`;
    Deno.stderr.writeSync(new TextEncoder().encode(line));
  };
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const content = crypto.getRandomValues(new Uint8Array(50_000));
  const sha256 = createHash("sha256").update(content).digest("hex");
  const ranges: unknown[] = [];
  await using server = await startRaw(async (peer) => {
    const { get, target } = await peer.readRequest();
    ranges.push(get("range"));
    const tag = `"${target}"`;
    const start = get("if-range") === tag ? Number(get("range")!.slice(6, -1)) : 0;
    const length = content.length - start;
    const size = `/${content.length}\r\nETag: ${tag}\r\n`;
    if (length === 0) {
      return await peer.send(
        `HTTP/1.1 416 No\r\nContent-Range: bytes *${size}Content-Length: 0\r\n\r\n`,
      );
    }
    const status = start > 0
      ? `206 Partial Content\r\nContent-Range: bytes ${start}-${content.length - 1}${size}`
      : `200 OK\r\nETag: ${tag}\r\n`;
    await peer.send(`HTTP/1.1 ${status}Content-Length: ${length}\r\n\r\n`);
    await peer.send(content.subarray(start, start + 20_000)); // At most, then it closes.
  });
  const url = (path: string) => new URL(path, `http://127.0.0.1:${server.port}`);
  const folder = await Deno.makeTempDir();
  const path = `${folder}/file`;
  try {
    // Each connection breaks off after 20,000 bytes; the next request is for the rest.
    await download(url("/v1"), path, { sha256 });
    assertEquals(ranges.splice(0), [undefined, "bytes=20000-", "bytes=40000-"]);
    assertEquals(await Deno.readFile(path), content);

    // A part of another version is replaced.
    await Deno.writeTextFile(`${path}.part`, "bytes of v1");
    await Deno.writeTextFile(`${path}.part.etag`, '"/v1"');
    await download(url("/v2"), path, { sha256 });
    assertEquals(ranges.splice(0), ["bytes=11-", "bytes=20000-", "bytes=40000-"]);

    // A part that is complete needs no more bytes, but may be the wrong ones.
    await Deno.writeFile(`${path}.part`, new Uint8Array(content.length));
    await Deno.writeTextFile(`${path}.part.etag`, '"/v2"');
    await assertRejects(() => download(url("/v2"), path, { sha256 }), Error, "SHA-256");
    await assertRejects(
      () => download(url("/v2"), path, { maxBytes: 49_999 }),
      Error,
      "50000 bytes",
    );
    await assertRejects(() => download(url("/v2"), path, { attempts: 2 }), Error, "2 attempts");
    assertEquals(await Deno.readFile(path), content); // The file of before is untouched.
    await download(url("/v2"), path, { sha256 }); // It resumes the last one.
    assertEquals(ranges.at(-1), "bytes=40000-");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log("checked: resuming, a file that has changed, the checksum, the limit on the size");
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: { "sha256": { type: "string" }, "max-bytes": { type: "string" } },
  });
  const [address, path] = positionals;
  if (address === undefined) await selfCheck();
  else {
    const url = new URL(address);
    await download(url, path ?? (url.pathname.split("/").at(-1) || "index.html"), {
      sha256: values.sha256,
      maxBytes: Number(values["max-bytes"] ?? Infinity),
      onProgress: Deno.stderr.isTerminal() ? progressBar() : undefined,
    });
  }
}
