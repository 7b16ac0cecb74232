/**
 * What the writers of archives have in common.
 *
 * @module
 */
import type { HTTPResponse, TraceEvent } from "@denoports/http-client";
import { CommandError, messageOf } from "./failure.ts";

/** An exchange that is over. */
export interface Exchange {
  /** The URL, without a user and a password. */
  url: string;
  method: string;
  /** The events of its connection and its messages. */
  events: readonly TraceEvent[];
  /** When it began, as `performance.now()` gives it. */
  start: number;
  /** What came back, if anything did. */
  response: HTTPResponse | null;
  /** What broke it off, or `null`. */
  error: unknown;
  /** The body of the request, where it is small enough to be kept. */
  requestBody: Uint8Array | null;
}

/** Opens a file that may hold credentials: only its owner can read it. */
export function openPrivate(path: string, append = false): Deno.FsFile {
  try {
    return Deno.openSync(path, {
      create: true,
      mode: 0o600,
      ...(append ? { append } : { write: true, truncate: true }),
    });
  } catch (error) {
    throw new CommandError(23, `Cannot write ${path}: ${messageOf(error)}`, error);
  }
}

/** Writes all of a text or of bytes. */
export function writeAllSync(file: Deno.FsFile, content: string | Uint8Array): void {
  let bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  while (bytes.length > 0) bytes = bytes.subarray(file.writeSync(bytes));
}

/** The date of an exchange in ISO 8601. */
export function dateOf({ start }: Exchange): string {
  return new Date(performance.timeOrigin + start).toISOString();
}

/** The address that a connection was made to, if it is known. */
export function addressOf({ events }: Exchange): string | null {
  for (const event of events) if (event.type === "connected") return event.address;
  return null;
}
