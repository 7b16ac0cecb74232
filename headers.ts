/**
 * `HTTPMessage`, the header fields of a message, and `parse_headers`, which reads them from a stream.
 *
 * @module
 */
import { IncompleteRead } from "./errors.ts";
import {
  DEFAULT_LIMITS,
  FIELDS,
  type HeaderDefect,
  SectionScanner,
} from "./_internal/wire/field_section.ts";
import { takeSection } from "./_internal/wire/response_head.ts";
import { inspectable, showFields } from "./_internal/wire/inspect.ts";
import { encodeLatin1 } from "./_internal/wire/latin1.ts";
import { BufferedReader } from "./_internal/net/buffered_reader.ts";
import { bufferedOf, LineReader } from "./_internal/net/line_reader.ts";
import {
  charsetName,
  collapse,
  type EncodedValue,
  formatAsRead,
  formatParameter,
  joinParameters,
  type ParameterValue,
  parseParameters,
  unquoteValue,
} from "./_internal/wire/mime_parameters.ts";

export type { EncodedValue, HeaderDefect, ParameterValue };

/**
 * Makes a message of fields that were parsed; the array is not copied. For this library alone.
 *
 * @internal
 */
export let messageOf: (fields: string[], defects: HeaderDefect[]) => HTTPMessage;

/**
 * The header fields of a message: in the order and the case in which they came, duplicates kept.
 * Names are compared without regard to case. It has the calls of Python's `email.message.Message` that
 * are about headers, and those of a `Map`. `console.log` shows the fields, but not the values of
 * `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie`.
 *
 * @category Headers
 * @example Read fields as in Python, or as a `Map`
 * ```ts
 * import { HTTPMessage } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const headers = new HTTPMessage([["Content-Type", "text/html; charset=UTF-8"], ["Vary", "*"]]);
 * assertEquals(headers.get("content-type"), "text/html; charset=UTF-8");
 * assertEquals(headers.get_content_type(), "text/html");
 * assertEquals(headers.get_content_charset(), "utf-8");
 * assertEquals([...headers], [["Content-Type", "text/html; charset=UTF-8"], ["Vary", "*"]]);
 * ```
 */
export class HTTPMessage implements Iterable<[string, string]> {
  /** Names and values alternate: no pair is allocated until it is asked for. */
  #fields: string[] = [];
  /**
   * The field lines that could not be taken as fields, in their order.
   * Lines in which a laxer peer could read framing are no defects: they are a `ProtocolError`.
   */
  readonly defects: HeaderDefect[] = [];

  static {
    messageOf = (fields, defects) => {
      const message = new HTTPMessage();
      // A copy has the size that it needs; what grew with each field has room for 16 more.
      message.#fields = fields.slice();
      if (defects.length > 0) message.defects.push(...defects);
      return message;
    };
    inspectable(this.prototype, "HTTPMessage", (message, view) => {
      return showFields(message, #fields in message ? message.#fields : [], view);
    });
  }

  /**
   * Makes a message of fields.
   *
   * @param init The fields to begin with, as pairs in their order.
   */
  constructor(init?: Iterable<readonly [string, string]>) {
    if (init !== undefined) { for (const [name, value] of init) this.append(name, value); }
  }

  /** How many fields there are, duplicates counted. Python: `len(message)`. */
  get size(): number {
    return this.#fields.length / 2;
  }

  /**
   * The first value of a field.
   *
   * @param name The field's name, in any case.
   * @param failobj What to return where there is no such field. Default: `null`.
   * @returns The value, or `failobj`.
   */
  get<T = null>(name: string, failobj: T = null as T): string | T {
    const at = this.#indexOf(name, 0);
    return at < 0 ? failobj : this.#fields[at + 1]!;
  }

  /**
   * All values of a field, in their order.
   *
   * @param name The field's name, in any case.
   * @param failobj What to return where there is no such field. Default: `null`.
   * @returns The values, or `failobj`.
   */
  get_all<T = null>(name: string, failobj: T = null as T): string[] | T {
    const values: string[] = [];
    for (let at = this.#indexOf(name, 0); at >= 0; at = this.#indexOf(name, at + 2)) {
      values.push(this.#fields[at + 1]!);
    }
    return values.length === 0 ? failobj : values;
  }

  /**
   * Whether there is such a field. Python: `name in message`.
   *
   * @param name The field's name, in any case.
   * @returns Whether it is there.
   */
  has(name: string): boolean {
    return this.#indexOf(name, 0) >= 0;
  }

  /**
   * The names of the fields, in their order and case, duplicates included.
   *
   * @returns A new array.
   */
  keys(): string[] {
    return this.#fields.filter((_, i) => i % 2 === 0);
  }

  /**
   * The values of the fields, in their order.
   *
   * @returns A new array.
   */
  values(): string[] {
    return this.#fields.filter((_, i) => i % 2 === 1);
  }

  /**
   * The fields as pairs, in their order.
   *
   * @returns A new array.
   */
  items(): [string, string][] {
    return [...this];
  }

  /**
   * The fields as pairs, in their order; a `Map`'s name for {@linkcode items}.
   *
   * @returns A new array.
   */
  entries(): [string, string][] {
    return [...this];
  }

  /** Iterates over the fields as pairs, in their order. */
  *[Symbol.iterator](): IterableIterator<[string, string]> {
    for (let i = 0; i < this.#fields.length; i += 2) yield [this.#fields[i]!, this.#fields[i + 1]!];
  }

  /**
   * Calls a function for each field, in their order.
   *
   * @param callback Gets the value, the name and this message.
   */
  forEach(callback: (value: string, name: string, message: HTTPMessage) => void): void {
    for (const [name, value] of this) callback(value, name, this);
  }

  /**
   * Adds a field after the others, whether or not there is one of that name. Python: `m[name] = value`.
   *
   * @param name The field's name.
   * @param value The field's value.
   */
  append(name: string, value: string): void {
    this.#fields.push(String(name), String(value));
  }

  /**
   * Puts one field of that name in the place of all of them; after the others if there is none.
   *
   * @param name The field's name.
   * @param value The field's value.
   * @returns This message.
   */
  set(name: string, value: string): this {
    const at = this.#indexOf(name, 0);
    if (at < 0) {
      this.append(name, value);
      return this;
    }
    this.#fields[at] = String(name);
    this.#fields[at + 1] = String(value);
    this.#remove(name, at + 2);
    return this;
  }

  /**
   * Removes all fields of that name. Python: `del m[name]`.
   *
   * @param name The field's name, in any case.
   * @returns Whether there was one.
   */
  delete(name: string): boolean {
    return this.#remove(name, 0);
  }

  /**
   * Adds a field with parameters after the others.
   *
   * @param name The field's name.
   * @param value The main value, or `null` for none.
   * @param params The parameters: `_` in a name becomes `-`; `null` gives a bare name, a triple of
   * charset, language and text the form of RFC 2231, which a value outside of US-ASCII gets too.
   *
   * @example Give a file name
   * ```ts
   * import { HTTPMessage } from "@denoports/http-client";
   * import { assertEquals } from "@std/assert";
   *
   * const headers = new HTTPMessage();
   * headers.add_header("Content-Disposition", "attachment", { filename: "bud.gif" });
   * assertEquals(headers.get("content-disposition"), 'attachment; filename="bud.gif"');
   * ```
   */
  add_header(
    name: string,
    value: string | null,
    params: Record<string, ParameterValue | null> = {},
  ): void {
    const parts = value === null ? [] : [value];
    for (const [key, parameter] of Object.entries(params)) {
      const spelled = key.replaceAll("_", "-");
      parts.push(parameter === null ? spelled : formatParameter(spelled, parameter));
    }
    this.append(name, parts.join("; "));
  }

  /**
   * Replaces the value of the first field of that name; its place and the case of its name stay.
   *
   * @param name The field's name, in any case.
   * @param value The new value.
   * @throws {TypeError} When there is no such field (Python: `KeyError`).
   */
  replace_header(name: string, value: string): void {
    const at = this.#indexOf(name, 0);
    if (at < 0) throw new TypeError(`Cannot replace header ${JSON.stringify(name)}: there is none`);
    this.#fields[at + 1] = String(value);
  }

  /**
   * The media type, in lower case and without parameters.
   *
   * @returns The type; `"text/plain"` where there is none or it is not one.
   */
  get_content_type(): string {
    const value = this.get("content-type");
    const type = value === null ? "" : value.split(";", 1)[0]!.trim().toLowerCase();
    return type.split("/").length === 2 ? type : "text/plain";
  }

  /**
   * The part of the media type before the slash.
   *
   * @returns Such as `"text"`.
   */
  get_content_maintype(): string {
    return this.get_content_type().split("/")[0]!;
  }

  /**
   * The part of the media type after the slash.
   *
   * @returns Such as `"html"`.
   */
  get_content_subtype(): string {
    return this.get_content_type().split("/")[1]!;
  }

  /**
   * The `charset` parameter of the media type, in lower case.
   *
   * @param failobj What to return where there is none, or it is not US-ASCII. Default: `null`.
   * @returns The charset's name, or `failobj`.
   */
  get_content_charset<T = null>(failobj: T = null as T): string | T {
    const value = this.get_param("charset");
    return value === null ? failobj : charsetName(value) ?? failobj;
  }

  /**
   * One parameter of a field.
   *
   * @param param The parameter's name, in any case.
   * @param failobj What to return where there is none. Default: `null`.
   * @param header The field's name. Default: `"content-type"`.
   * @param unquote Whether quotes and backslash escapes are removed. Default: `true`.
   * @returns The value, a triple in the form of RFC 2231, or `failobj`.
   */
  get_param<T = null>(
    param: string,
    failobj: T = null as T,
    header = "content-type",
    unquote = true,
  ): ParameterValue | T {
    const found = this.get_params(null, header, unquote)
      ?.find(([name]) => name.toLowerCase() === param.toLowerCase());
    return found === undefined ? failobj : found[1];
  }

  /**
   * The parameters of a field, the main value first with an empty value of its own.
   *
   * @param failobj What to return where there is no such field. Default: `null`.
   * @param header The field's name. Default: `"content-type"`.
   * @param unquote Whether quotes and backslash escapes are removed. Default: `true`.
   * @returns Pairs of name and value, or `failobj`.
   */
  get_params<T = null>(
    failobj: T = null as T,
    header = "content-type",
    unquote = true,
  ): [string, ParameterValue][] | T {
    const value = this.get(header);
    if (value === null) return failobj;
    const params = parseParameters(value);
    return unquote ? params.map(([name, v]) => [name, unquoteValue(v)]) : params;
  }

  /**
   * The file name of `Content-Disposition`, or the `name` of `Content-Type`.
   *
   * @param failobj What to return where there is none. Default: `null`.
   * @returns The name, decoded, or `failobj`.
   */
  get_filename<T = null>(failobj: T = null as T): string | T {
    const value = this.get_param("filename", null, "content-disposition") ??
      this.get_param("name");
    return value === null ? failobj : collapse(value).trim();
  }

  /**
   * The `boundary` of a multipart type.
   *
   * @param failobj What to return where there is none. Default: `null`.
   * @returns The boundary, or `failobj`.
   */
  get_boundary<T = null>(failobj: T = null as T): string | T {
    const value = this.get_param("boundary");
    return value === null ? failobj : collapse(value).trimEnd();
  }

  /**
   * The main value of `Content-Disposition`, in lower case.
   *
   * @returns Such as `"attachment"`; `null` where there is no such field.
   */
  get_content_disposition(): string | null {
    const value = this.get("content-disposition");
    return value === null ? null : value.split(";", 1)[0]!.trim().toLowerCase();
  }

  /**
   * Sets a parameter of a field, in its place or behind the others. A field that changes goes to the end of
   * the message, as in Python, unless `replace` is set. Without a `Content-Type`, one of `text/plain` is made.
   *
   * @param param The parameter's name, in any case.
   * @param value Its value, in the form of RFC 2231 if it is a triple; `null` for a bare name.
   * @param header The field's name. Default: `"Content-Type"`.
   * @param requote Whether all values are put in quotes, needed or not. Default: `true`.
   * @param charset A charset, for the form of RFC 2231. Default: `null`.
   * @param language The language that goes with it. Default: `""`.
   * @param replace Whether the field keeps its place. Default: `false`.
   * @throws {TypeError} When `replace` is set and there is no such field, or the value is of no use.
   *
   * @example Name the charset
   * ```ts
   * import { HTTPMessage } from "@denoports/http-client";
   * import { assertEquals } from "@std/assert";
   *
   * const headers = new HTTPMessage([["Content-Type", "text/html"]]);
   * headers.set_param("charset", "utf-8");
   * assertEquals(headers.get("content-type"), 'text/html; charset="utf-8"');
   * ```
   */
  set_param(
    param: string,
    value: ParameterValue | null,
    header = "Content-Type",
    requote = true,
    charset: string | null = null,
    language = "",
    replace = false,
  ): void {
    if (value !== null && typeof value !== "string" && !Array.isArray(value)) {
      throw new TypeError(
        `Cannot set parameter ${param} as its value must be a string, a triple or null: ` +
          `got a value of type ${typeof value}`,
      );
    }
    if (charset && typeof value === "string") value = [charset, language, value];
    const formatted = formatParameter(param, value, requote);
    const isType = header.toLowerCase() === "content-type";
    const before = this.get(header, isType ? "text/plain" : "");
    // CPython: one with an empty value is not replaced.
    const isThere = Boolean(this.get_param(param, null, header));
    const wanted = param.toLowerCase();
    const parts = isThere
      ? this.get_params([], header, requote).map(([name, old]) =>
        name.toLowerCase() === wanted ? formatted : formatParameter(name, old, requote)
      )
      : [before, formatted];
    this.#rewrite(header, joinParameters(parts), replace);
  }

  /**
   * Removes a parameter of a field; a field that changes goes to the end of the message, as in Python.
   *
   * @param param The parameter's name, in any case.
   * @param header The field's name. Default: `"content-type"`.
   * @param requote Whether all values are put in quotes, needed or not. Default: `true`.
   */
  del_param(param: string, header = "content-type", requote = true): void {
    const wanted = param.toLowerCase();
    const params = this.get_params(null, header, requote);
    if (params === null) return;
    const parts = params.filter(([name]) => name.toLowerCase() !== wanted)
      .map(([name, value]) => formatParameter(name, value, requote));
    this.#rewrite(header, joinParameters(parts), false);
  }

  /**
   * Sets the main value of `Content-Type`, and `MIME-Version`; the parameters stay. Both fields go to the
   * end of the message, as in Python.
   *
   * @param type Such as `"text/html"`.
   * @param header The field's name; for another one, `MIME-Version` stays as it is.
   * Default: `"Content-Type"`.
   * @param requote Whether all values are put in quotes, needed or not. Default: `true`.
   * @throws {TypeError} When the type has not one slash (Python: `ValueError`).
   */
  set_type(type: string, header = "Content-Type", requote = true): void {
    if (String(type).split("/").length !== 2) {
      throw new TypeError(
        `Cannot set type as it must have one slash: got ${JSON.stringify(String(type))}`,
      );
    }
    if (header.toLowerCase() === "content-type") {
      this.delete("mime-version");
      this.append("MIME-Version", "1.0");
    }
    const params = this.get_params([], header, requote);
    this.delete(header);
    this.append(header, type);
    for (const [name, value] of params.slice(1)) this.set_param(name, value, header, requote);
  }

  /**
   * Sets the `boundary` of `Content-Type`; the field keeps its place.
   *
   * @param boundary The boundary, put in quotes.
   * @throws {TypeError} When there is no `Content-Type` (Python: `HeaderParseError`).
   */
  set_boundary(boundary: string): void {
    const params = this.get_params(null, "content-type", false);
    if (params === null) {
      throw new TypeError("Cannot set boundary: there is no Content-Type, append one first");
    }
    const set = `boundary="${boundary}"`;
    const parts = params.map(([name, value]) => {
      if (name.toLowerCase() === "boundary") return set;
      if (typeof value === "string") return value === "" ? name : `${name}=${value}`;
      return formatAsRead(name, unquoteValue(value) as EncodedValue);
    });
    if (!params.some(([name]) => name.toLowerCase() === "boundary")) parts.push(set);
    const value = parts.join("; ");
    for (let at = this.#indexOf("content-type", 0); at >= 0;) {
      this.#fields[at + 1] = value;
      at = this.#indexOf("content-type", at + 2);
    }
  }

  /** Gives a field another value, in its place or at the end. */
  #rewrite(header: string, value: string, inPlace: boolean): void {
    if (value === this.get(header)) return;
    if (inPlace) return this.replace_header(header, value);
    this.delete(header);
    this.append(header, value);
  }

  /**
   * The fields as pairs, in their order, as they are; a change of the message meanwhile is not seen.
   *
   * @returns An iterator.
   */
  raw_items(): IterableIterator<[string, string]> {
    return this.items()[Symbol.iterator]();
  }

  /**
   * What {@linkcode as_string} gives, in ISO-8859-1. No line is folded.
   *
   * @returns The bytes.
   * @throws {TypeError} When a field has a line end, or a character that ISO-8859-1 does not have.
   */
  as_bytes(): Uint8Array<ArrayBuffer> {
    return encodeLatin1(this.as_string(), "headers");
  }

  /**
   * The fields as text: a line each, ending in LF, and an empty line.
   *
   * @returns The text.
   * @throws {TypeError} When a field has a line end, and so would be read as two.
   */
  as_string(): string {
    let text = "";
    for (const [name, value] of this) {
      if (/[\r\n](?![ \t])/.test(value) || /[\r\n:]/.test(name)) {
        throw new TypeError(`Cannot write header ${JSON.stringify(name)}: it has a line end`);
      }
      text += `${name}: ${value}\n`;
    }
    return text + "\n";
  }

  /** The same as {@linkcode as_string}. */
  toString(): string {
    return this.as_string();
  }

  /**
   * What `JSON.stringify` makes of the message: the fields as pairs, in their order. Nothing is hidden.
   *
   * @returns A new array.
   */
  toJSON(): [string, string][] {
    return [...this];
  }

  /**
   * The fields as a web `Headers`, which folds case and joins duplicates.
   *
   * @returns A new object.
   * @throws {TypeError} When a value is one that `Headers` does not take.
   */
  toHeaders(): Headers {
    return new Headers([...this]);
  }

  #remove(name: string, from: number): boolean {
    let at = this.#indexOf(name, from);
    const found = at >= 0;
    for (; at >= 0; at = this.#indexOf(name, at)) this.#fields.splice(at, 2);
    return found;
  }

  /** The length is compared first: few names are lower-cased. */
  #indexOf(name: string, from: number): number {
    const fields = this.#fields;
    let lower: string | undefined;
    for (let i = from; i < fields.length; i += 2) {
      const field = fields[i]!;
      if (field.length !== name.length) continue;
      if (field === name || field.toLowerCase() === (lower ??= name.toLowerCase())) return i;
    }
    return -1;
  }
}

/**
 * Anything that lines can be read from, such as a {@linkcode LineReader}.
 *
 * @category Headers
 */
export interface LineSource {
  /** Reads up to and including the next LF, at most `limit` bytes; empty at the end. */
  readline(limit?: number): Promise<Uint8Array>;
}

/**
 * Reads field lines up to and including the empty line that ends them: `fp` then stands right before
 * the body. The start line must have been read before. Python: `http.client.parse_headers`.
 *
 * @category Headers
 * @param fp Where the lines come from.
 * @returns The fields.
 * @throws {LineTooLong} When a line has more than 65536 bytes.
 * @throws {HTTPException} When there are more than 100 lines, or more than 1048576 bytes.
 * @throws {ProtocolError} When a field has a NUL or a bare CR, or a framing field is malformed.
 * @throws {IncompleteRead} When the source ends before the empty line.
 *
 * @example Read the fields of a message
 * ```ts
 * import { LineReader, parse_headers } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const reader = new LineReader(new Blob(["Host: example.com\r\n\r\nbody"]).stream());
 * const headers = await parse_headers(reader);
 * assertEquals(headers.get("host"), "example.com");
 * assertEquals(new TextDecoder().decode(await reader.read()), "body");
 * ```
 */
export async function parse_headers(fp: LineSource): Promise<HTTPMessage> {
  // A read of a line is never more than the section has: nothing of the body is taken.
  const source = fp instanceof LineReader ? bufferedOf(fp) : new BufferedReader({
    async read(target) {
      const line = await fp.readline(target.length);
      target.set(line);
      return line.length === 0 ? null : line.length;
    },
  });
  const scanner = new SectionScanner(FIELDS, DEFAULT_LIMITS);
  while (!scanner.scan(source)) {
    if (!(await source.fill())) throw new IncompleteRead(source.take(source.available));
  }
  const { fields, defects } = takeSection(source, scanner, 0);
  return messageOf(fields, defects);
}
