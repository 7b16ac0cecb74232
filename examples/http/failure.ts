/**
 * Errors of the command and the exit code of each, with the numbers that curl uses.
 *
 * @module
 */
import {
  BadStatusLine,
  errors,
  HTTPException,
  InvalidURL,
  isExchangeError,
  RemoteDisconnected,
  TunnelError,
  UnknownProtocol,
} from "@denoports/http-client";

/** The exit codes, and what `--help` says about them. */
export const EXIT_CODES = {
  0: "success",
  1: "redirect to a URL that is not http or https",
  2: "wrong usage",
  6: "could not resolve the host",
  7: "could not connect",
  8: "the server does not speak HTTP/1.x",
  22: "status 400 or above, with --fail; or a failed resume",
  23: "could not write the output",
  26: "could not read a local file",
  28: "timeout",
  33: "the server's range does not match the partial file",
  35: "TLS failed, or the certificate was refused",
  47: "too many redirects",
  52: "empty reply: the server closed without a response",
  55: "could not send the request",
  56: "broken transfer: cut off, reset or malformed",
  61: "could not decode the content coding",
  65: "the body cannot be sent again after a redirect",
  90: "the public key does not match --pin",
  97: "the proxy refused the tunnel",
} as const;

/** One of the exit codes. */
export type ExitCode = keyof typeof EXIT_CODES;

/** An error whose exit code is known. */
export class CommandError extends Error {
  /** The exit code of the command. */
  readonly code: ExitCode;

  /** Makes an error; `cause` is what led to it. */
  constructor(code: ExitCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "CommandError";
    this.code = code;
  }
}

/** Runs a step, and gives what it throws an exit code. */
export async function failingWith<T>(
  code: ExitCode,
  what: string,
  step: () => T | Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new CommandError(code, `${what}: ${messageOf(error)}`, error);
  }
}

/** What an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The exit code of an error: by its class, then by the part of the exchange in which it arose. */
export function exitCodeOf(error: unknown, overUnixSocket = false): ExitCode {
  if (error instanceof CommandError) return error.code;
  if (error instanceof errors.TimedOut) return 28;
  if (error instanceof DOMException && error.name === "TimeoutError") return 28;
  if (!isExchangeError(error)) {
    return error instanceof TypeError || error instanceof InvalidURL ? 2 : 56;
  }
  switch (error.phase) {
    case "connect":
      if (error instanceof TunnelError) return 97;
      return error instanceof errors.NotFound && !overUnixSocket ? 6 : 7;
    case "tls":
      return 35;
    case "send":
      return error instanceof TypeError ? 26 : 55;
  }
  if (error instanceof RemoteDisconnected) return 52;
  return error instanceof BadStatusLine || error instanceof UnknownProtocol ? 8 : 56;
}

/** Whether an error of `decoded()` is one of the coding, rather than of the transfer below it. */
export function isCodingError(error: unknown): boolean {
  return error instanceof errors.NotSupported ||
    (error instanceof HTTPException && error.constructor === HTTPException);
}
