/**
 * The grammar: each check under the ABNF that it enforces, with the attack that it stops.
 * What goes out is checked in full; what comes in is checked where it can change framing.
 *
 * @module
 */
import { InvalidURL } from "../../errors.ts";
import { isSecretField, withoutUserInfo } from "./inspect.ts";
import { show } from "./option_check.ts";

/** The code of `0`. */
export const DIGIT_0 = 48;

/** token = 1*tchar (RFC 9110, Section 5.6.2): 1 at each code of a tchar. */
export const TCHAR: Uint8Array = new Uint8Array(256);
for (
  const c of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
) TCHAR[c.charCodeAt(0)] = 1;

/** Whether `text[start..end]` is a token. */
export function isToken(text: string, start = 0, end: number = text.length): boolean {
  // A code over 255 reads past the table: `undefined`, which is not 1 either.
  for (let i = start; i < end; i++) if (TCHAR[text.charCodeAt(i)] !== 1) return false;
  return end > start;
}

/**
 * method = token (RFC 9110, Section 9.1).
 * CVE-2020-26116: a method with CR LF in it writes header fields of its own.
 */
export function checkMethod(method: string): void {
  if (typeof method !== "string" || !isToken(method)) {
    throw new TypeError(`Cannot send request: the method ${quote(method)} is not a token`);
  }
}

/** What a request target may not hold: controls, space, DEL. */
// deno-lint-ignore no-control-regex
const ILLEGAL_IN_TARGET = /[\x00-\x20\x7f]/;
/** Anything but visible US-ASCII. */
const NOT_VISIBLE = /[^\x21-\x7e]/;

/**
 * request-target (RFC 9112, Section 3.2): any visible US-ASCII, as given.
 * CVE-2019-9740, CVE-2019-9947: a target with CR LF in it ends the request line.
 */
export function checkTarget(target: string): void {
  if (typeof target !== "string") {
    throw new TypeError(`Cannot send request: the target ${quote(target)} is not a string`);
  }
  if (!NOT_VISIBLE.test(target)) return;
  if (ILLEGAL_IN_TARGET.test(target)) {
    throw new InvalidURL(
      `Cannot send request: the target ${quote(target)} has a control character or a space`,
    );
  }
  throw new TypeError(`Cannot send request: the target ${quote(target)} is not US-ASCII`);
}

/** CVE-2019-18348: a host with CR LF in it ends the `Host` field. CVE-2026-1502: so in a tunnel. */
export function checkHost(host: string): void {
  if (typeof host !== "string") {
    throw new TypeError(`Cannot use host as it must be a string: got ${show(host)}`);
  }
  if (ILLEGAL_IN_TARGET.test(host)) {
    throw new InvalidURL(
      `Cannot use host as it must have no control character and no space: got ${quote(host)}`,
    );
  }
}

/** field-name = token (RFC 9110, Section 5.1). A blank before the colon smuggles. */
export function checkFieldName(name: string): void {
  if (typeof name !== "string" || !isToken(name)) {
    throw new TypeError(`Cannot send header: the name ${quote(name)} is not a token`);
  }
}

/** field-value (RFC 9110, Section 5.5): no control but HTAB; obs-text as ISO-8859-1. */
// deno-lint-ignore no-control-regex
const ILLEGAL_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;
/** Anything but VCHAR, SP and HTAB. */
const NOT_PLAIN = /[^\t\x20-\x7e]/;

/** Whether there is nothing to check in a field value. */
export function isPlainValue(value: string): boolean {
  return !NOT_PLAIN.test(value);
}

/** Checks a field value that is to be sent. A fold is refused too (RFC 9112, Section 5.2). */
export function checkFieldValue(name: string, value: string): void {
  if (ILLEGAL_IN_VALUE.test(value)) {
    const shown = isSecretField(name) ? "" : `${quote(value)} `;
    throw new TypeError(`Cannot send header ${name}: the value ${shown}has a control character`);
  }
}

/** Content-Length = 1*DIGIT (RFC 9110, Section 8.6). `-1` for anything else, or over 2^53-1. */
export function parseContentLength(value: string): number {
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - DIGIT_0;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return value !== "" && Number.isSafeInteger(length) ? length : -1;
}

/** Removes OWS at both ends (RFC 9110, Section 5.6.3): SP and HTAB only. */
export function trimOWS(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** SP or HTAB. */
export function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** A value of the user's for an error message, short and on one line. */
function quote(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(withoutUserInfo(value)) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** A number of bytes that a user asks for: all there are if it is negative, as in Python. */
export function checkCount(count: number): number {
  if (count < 0) return Infinity;
  if (count === Infinity || Number.isInteger(count)) return count;
  throw new TypeError(`Cannot read so much as it must be a whole number: got ${show(count)}`);
}

/**
 * The memory that a user gave to read into, without the methods of a class of theirs: one that they override
 * could keep what it is given.
 */
export function plainView(target: Uint8Array): Uint8Array {
  if (!(target instanceof Uint8Array)) {
    throw new TypeError(`Cannot read into memory as it must be a Uint8Array: got ${show(target)}`);
  }
  if (target.constructor === Uint8Array) return target;
  return new Uint8Array(target.buffer, target.byteOffset, target.length);
}
