/**
 * The errors of decoding, which are told apart from those of the body itself.
 *
 * @module
 */
import { HTTPException } from "../../errors.ts";

/** The error of a body that ends before its coded content does. */
export function cutOff(coding: string): HTTPException {
  return decodeError(`Cannot decode body as it ends within its ${coding} content`);
}

/** The errors that were made here, and not by whoever gives the body. */
const OWN = new WeakSet<object>();

/** An error of decoding. */
export function decodeError(message: string, cause?: unknown): HTTPException {
  const error = new HTTPException(message, cause === undefined ? undefined : { cause });
  OWN.add(error);
  return error;
}

/** Whether an error was made by {@linkcode decodeError}. */
export function isDecodeError(error: unknown): boolean {
  return typeof error === "object" && error !== null && OWN.has(error);
}

/** The error of a body that is not what its `Content-Encoding` says. */
export function malformed(coding: string, why: string, cause?: unknown): HTTPException {
  return decodeError(`Cannot decode body as it is not valid ${coding}: ${why}`, cause);
}
