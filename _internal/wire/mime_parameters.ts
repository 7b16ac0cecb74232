/**
 * Parameters of structured fields as Python's `email` package reads and writes them:
 * `text/html; charset="utf-8"`, with the forms of RFC 2231 and RFC 8187 (`filename*=utf-8''...`).
 *
 * @module
 */
import { encodeLatin1 } from "./latin1.ts";

/**
 * A parameter's value in the form of RFC 2231: charset, language, text.
 *
 * @category Headers
 */
export type EncodedValue = [charset: string | null, language: string | null, text: string];

/**
 * A parameter's value: plain text, or with a charset and a language.
 *
 * @category Headers
 */
export type ParameterValue = string | EncodedValue;

/** Splits at the semicolons that are outside of quoted strings. */
function splitParameters(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= text.length; i++) {
    const c = text[i];
    // CPython: a quote after a backslash does not count, quoted or not.
    if (c === '"' && text[i - 1] !== "\\") quoted = !quoted;
    // CPython: a quote that is never closed takes all that follows.
    if (i === text.length || (c === ";" && (!quoted || i === start))) {
      parts.push(text.slice(start, i));
      start = i + 1;
      quoted = false;
    }
  }
  return parts;
}

/** Backslash escapes removed, and the quotes around; Python's `email.utils.unquote`. */
export function unquote(text: string): string {
  if (text.length > 1) {
    if (text.startsWith('"') && text.endsWith('"')) {
      return text.slice(1, -1).replaceAll("\\\\", "\\").replaceAll('\\"', '"');
    }
    if (text.startsWith("<") && text.endsWith(">")) return text.slice(1, -1);
  }
  return text;
}

/** Backslash escapes put in; Python's `email.utils.quote`. */
export function quote(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}

/** Percent-decoding to bytes, which are then characters of ISO-8859-1. */
function percentDecode(text: string): string {
  return text.replace(
    /%([0-9A-Fa-f]{2})/g,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  );
}

/**
 * The parameters of a field value, the main value first with an empty one of its own.
 * Values stay quoted, as the caller chooses whether to unquote them.
 */
export function parseParameters(text: string): [string, ParameterValue][] {
  const result: [string, ParameterValue][] = [];
  const continued = new Map<string, { part: number; text: string; encoded: boolean }[]>();
  for (const part of splitParameters(text)) {
    const equals = part.indexOf("=");
    const raw = equals < 0 ? part.trim() : part.slice(0, equals).trim();
    const name = equals < 0 ? raw : raw.toLowerCase();
    const value = equals < 0 ? "" : part.slice(equals + 1).trim();
    if (result.length === 0) {
      result.push([name, value]);
      continue;
    }
    const match = /^(\w+)\*(?:([0-9]+)\*?)?$/.exec(name);
    if (match === null) {
      result.push([name, `"${quote(unquote(value))}"`]);
      continue;
    }
    const parts = continued.get(match[1]!) ?? [];
    parts.push({
      part: Number(match[2] ?? 0),
      text: unquote(value),
      encoded: name.endsWith("*"),
    });
    continued.set(match[1]!, parts);
  }
  for (const [name, parts] of continued) result.push([name, joinContinuations(parts)]);
  return result;
}

/** RFC 2231, Section 3: the parts by their numbers; Section 4: charset'language'text. */
function joinContinuations(
  parts: { part: number; text: string; encoded: boolean }[],
): ParameterValue {
  parts.sort((a, b) => a.part - b.part);
  const text = quote(parts.map((p) => p.encoded ? percentDecode(p.text) : p.text).join(""));
  if (!parts.some((p) => p.encoded)) return `"${text}"`;
  const pieces = text.split("'");
  if (pieces.length < 3) return [null, null, `"${text}"`];
  return [pieces[0]!, pieces[1]!, `"${pieces.slice(2).join("'")}"`];
}

/** Unquotes either form. */
export function unquoteValue(value: ParameterValue): ParameterValue {
  return typeof value === "string" ? unquote(value) : [value[0], value[1], unquote(value[2])];
}

/** The characters of ISO-8859-1 that `text` is made of, read in `charset`; `null` if it is unknown. */
function decodeAs(text: string, charset: string, fatal: boolean): string | null {
  const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0) & 0xff);
  // The WHATWG takes US-ASCII for windows-1252.
  if (/^(us-)?ascii$/i.test(charset)) {
    const ascii = [...text].map((c) => c < "\x80" ? c : "\ufffd").join("");
    return fatal && ascii !== text ? null : ascii;
  }
  try {
    return new TextDecoder(charset, { fatal }).decode(bytes);
  } catch {
    return null;
  }
}

/** One string of either form; Python's `email.utils.collapse_rfc2231_value`. */
export function collapse(value: ParameterValue): string {
  if (typeof value === "string") return unquote(value);
  return decodeAs(value[2], value[0] || "us-ascii", false) ?? unquote(value[2]);
}

/** A charset parameter as a lower-case name, or `null` where it is not US-ASCII. */
export function charsetName(value: ParameterValue): string | null {
  const text = typeof value === "string"
    ? value
    : decodeAs(value[2], value[0] || "us-ascii", true) ?? value[2];
  // deno-lint-ignore no-control-regex
  return /^[\x00-\x7f]*$/.test(text) ? text.toLowerCase() : null;
}

/** What RFC 2045, Section 5.1, wants in quotes. */
const SPECIAL = /[ ()<>@,;:\\"\/[\]?=]/;

/**
 * `name="value"`, or the form of RFC 2231 where that is asked for or needed; the name alone without a value.
 * Quotes are put where they are needed, and around any other value, too, where `quoted` says so.
 */
export function formatParameter(
  name: string,
  value: ParameterValue | null,
  quoted = true,
): string {
  if (value === null || value.length === 0) return name;
  if (typeof value !== "string") {
    const [charset, language, text] = value;
    const encoded = percentEncode(encodeIn(text, charset || "us-ascii"));
    if (charset === null && language === null) return `${name}*=${encoded}`;
    return `${name}*=${charset ?? ""}'${language ?? ""}'${encoded}`;
  }
  // deno-lint-ignore no-control-regex
  if (/[^\x00-\x7f]/.test(value)) {
    return `${name}*=utf-8''${percentEncode(encodeIn(value, "utf-8"))}`;
  }
  return quoted || SPECIAL.test(value) ? `${name}="${quote(value)}"` : `${name}=${value}`;
}

/** Parameters as one value; CPython: what is empty at the beginning is left out. */
export function joinParameters(parts: string[]): string {
  return parts.reduce((value, part) => value === "" ? part : `${value}; ${part}`, "");
}

/** A parameter in the form of RFC 2231 as it was read: its text stands for bytes, whatever the charset. */
export function formatAsRead(name: string, [charset, language, text]: EncodedValue): string {
  const encoded = percentEncode(encodeLatin1(text, "parameter"));
  if (charset === null && language === null) return `${name}*=${encoded}`;
  return `${name}*=${charset ?? ""}'${language ?? ""}'${encoded}`;
}

/** Percent-encoding of all but the unreserved characters (RFC 3986, Section 2.3). */
function percentEncode(bytes: Uint8Array): string {
  let encoded = "";
  for (const byte of bytes) {
    const c = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9_.~-]/.test(c)
      ? c
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/**
 * The bytes of a text in a charset.
 *
 * @throws {TypeError} When the charset does not have a character, or is none that the platform can write.
 */
function encodeIn(text: string, charset: string): Uint8Array {
  if (/^utf-?8$/i.test(charset)) return new TextEncoder().encode(text);
  if (/^(iso-8859-1|latin-?1)$/i.test(charset)) return encodeLatin1(text, "parameter");
  // deno-lint-ignore no-control-regex
  const isAscii = /^[\x00-\x7f]*$/.test(text);
  if (!isAscii || !extendsAscii(charset)) {
    throw new TypeError(
      `Cannot encode parameter in ${charset}: it can be written in utf-8, iso-8859-1 or us-ascii`,
    );
  }
  return new TextEncoder().encode(text);
}

/** Whether US-ASCII is the same in a charset. */
function extendsAscii(charset: string): boolean {
  if (/^(us-)?ascii$/i.test(charset)) return true;
  try {
    return !new TextDecoder(charset).encoding.startsWith("utf-16");
  } catch {
    return false;
  }
}
