/**
 * What the interop tests share: bytes to send, ways to read, an echo handler.
 *
 * @module
 */

import { latin1 } from "./raw.ts";

/** Text of bytes, read as UTF-8. */
export function utf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** `size` bytes that look random but are always the same, so that shifted or repeated pieces are noticed. */
export function pattern(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let state = 0x2545f491;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

/** The SHA-256 of bytes as hexadecimal text. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Compresses bytes, `"gzip"` or `"deflate"`. */
export async function compress(
  bytes: Uint8Array<ArrayBuffer>,
  format: CompressionFormat,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** An error's message with those of its causes. */
export function messages(error: unknown): string {
  const lines = [];
  for (let at = error; at instanceof Error; at = at.cause) lines.push(`${at.name}: ${at.message}`);
  return lines.join("\n");
}

/** What {@linkcode echo} answers: the request as the server saw it. */
export interface Echo {
  /** The request method. */
  readonly method: string;
  /** The path with its query. */
  readonly path: string;
  /** The header fields, in lower case. */
  readonly headers: Record<string, string>;
  /** The body, one character for each byte. */
  readonly body: string;
}

/** A handler for `Deno.serve`: answers with an {@linkcode Echo}. */
export async function echo(request: Request): Promise<Response> {
  const url = new URL(request.url);
  return Response.json(
    {
      method: request.method,
      path: url.pathname + url.search,
      headers: Object.fromEntries(request.headers),
      body: latin1(new Uint8Array(await request.arrayBuffer())),
    } satisfies Echo,
  );
}

/** A handler for `Deno.serve`: when all of the body has come, it goes back chunked. */
export async function mirror(request: Request): Promise<Response> {
  const body = new Blob([await request.arrayBuffer()]);
  return new Response(body.stream(), {
    headers: {
      "X-Length": request.headers.get("content-length") ?? "none",
      "X-Coding": request.headers.get("transfer-encoding") ?? "none",
    },
  });
}
