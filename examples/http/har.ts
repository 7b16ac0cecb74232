/**
 * Writes exchanges as HAR 1.2. Bodies over {@linkcode MAX_TEXT_BYTES} are left out. The file has all
 * fields, credentials included.
 *
 * @module
 */
import { encodeBase64 } from "./base64.ts";
import { addressOf, dateOf, type Exchange, openPrivate, writeAllSync } from "./archive.ts";
import { messageOf } from "./failure.ts";
import { type Direction, latin1, type Part, type WireListener } from "./wire.ts";

/** The largest body that is kept. */
export const MAX_TEXT_BYTES = 4 << 20;

interface Pair {
  name: string;
  value: string;
}

/** Collects exchanges, and writes them when it is disposed. */
export class HarWriter implements WireListener, Disposable {
  readonly #file: Deno.FsFile;
  readonly #entries: unknown[] = [];
  #head = "";
  #sentBody = 0;
  #pieces: Uint8Array[] = [];
  #received = 0;

  /** Opens the file. */
  constructor(path: string) {
    this.#file = openPrivate(path);
  }

  /** Begins an exchange. */
  begin(): void {
    [this.#head, this.#sentBody, this.#pieces, this.#received] = ["", 0, [], 0];
  }

  /** Takes the head of the request. */
  part(direction: Direction, { kind, bytes }: Part): void {
    if (direction === "received") return;
    if (["startLine", "field", "headEnd"].includes(kind)) this.#head += latin1(bytes);
    else this.#sentBody += bytes.length;
  }

  /** Takes a piece of the content. */
  content(piece: Uint8Array): void {
    this.#received += piece.length;
    if (this.#received > MAX_TEXT_BYTES) this.#pieces = [];
    else this.#pieces.push(piece.slice());
  }

  /** Adds an exchange that is over. */
  add(exchange: Exchange): void {
    const timings = timingsOf(exchange);
    const lasting = [timings.connect, timings.send, timings.wait, timings.receive];
    const address = addressOf(exchange);
    this.#entries.push({
      startedDateTime: dateOf(exchange),
      time: lasting.reduce((sum, ms) => sum + Math.max(0, ms), 0),
      request: this.#request(exchange),
      response: this.#response(exchange),
      cache: {},
      timings,
      ...(address === null ? {} : { serverIPAddress: address }),
    });
  }

  #request({ method, url, requestBody }: Exchange) {
    const [line, ...lines] = this.#head.split("\r\n").filter((line) => line !== "");
    const headers = lines.map((line): Pair => {
      const colon = line.indexOf(":");
      return { name: line.slice(0, colon), value: line.slice(colon + 1).trim() };
    });
    const mimeType = headers.find(({ name }) => /^content-type$/i.test(name))?.value ?? "";
    return {
      method,
      url,
      httpVersion: line?.split(" ").at(-1) ?? "",
      cookies: headers.filter(({ name }) => /^cookie$/i.test(name))
        .flatMap(({ value }) => value.split(";").map(cookie)),
      headers,
      queryString: [...new URL(url).searchParams].map(([name, value]) => ({ name, value })),
      ...(requestBody === null ? {} : { postData: postDataOf(requestBody, mimeType) }),
      headersSize: this.#head === "" ? -1 : this.#head.length,
      bodySize: this.#sentBody,
    };
  }

  #response({ response, events, error }: Exchange) {
    const comment = error === null ? {} : { comment: messageOf(error) };
    if (response === null) {
      return {
        status: 0,
        statusText: "",
        httpVersion: "",
        cookies: [],
        headers: [],
        content: { size: 0, mimeType: "" },
        redirectURL: "",
        headersSize: -1,
        bodySize: -1,
        ...comment,
      };
    }
    const end = events.findLast((event) => event.type === "responseBody");
    return {
      status: response.status,
      statusText: response.reason,
      httpVersion: `HTTP/1.${response.version % 10}`,
      cookies: (response.headers.get_all("set-cookie") ?? []).map((value) =>
        cookie(value.split(";")[0])
      ),
      headers: response.getheaders().map(([name, value]) => ({ name, value })),
      content: {
        size: this.#received,
        mimeType: response.getheader("content-type", ""),
        ...this.#text(),
      },
      redirectURL: response.getheader("location", ""),
      headersSize: -1,
      bodySize: end?.total ?? 0,
      ...comment,
    };
  }

  #text() {
    if (this.#received > MAX_TEXT_BYTES) return { comment: "The body is too large to be kept" };
    return textOf(this.#pieces);
  }

  /** Writes and closes the file. */
  [Symbol.dispose](): void {
    const creator = { name: "examples/http.ts of @denoports/http-client", version: "1" };
    const log = { version: "1.2", creator, entries: this.#entries };
    using file = this.#file;
    writeAllSync(file, `${JSON.stringify({ log }, null, 2)}\n`);
  }
}

function cookie(text: string): Pair {
  const [name, ...value] = text.trim().split("=");
  return { name, value: value.join("=") };
}

/** HAR has no encoding for the body of a request: one that is not UTF-8 is left out. */
function postDataOf(body: Uint8Array, mimeType: string) {
  const { text, encoding } = textOf([body]);
  return encoding === undefined
    ? { mimeType, params: [], text }
    : { mimeType, params: [], text: "", comment: "The body is not UTF-8" };
}

function textOf(pieces: Uint8Array[]): { text: string; encoding?: "base64" } {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    const text = pieces.map((piece) => decoder.decode(piece, { stream: true })).join("");
    return { text: text + decoder.decode() };
  } catch {
    return { text: encodeBase64(pieces), encoding: "base64" };
  }
}

/** In milliseconds; -1 for what did not happen. `ssl` is a part of `connect`. */
function timingsOf({ events }: Exchange) {
  const time = (type: string) => events.find((event) => event.type === type)?.time ?? null;
  const ms = (from: number | null, to: number | null) => {
    return from === null || to === null ? -1 : Math.max(0, to - from);
  };
  const sent = time("requestEnd");
  return {
    blocked: -1,
    dns: -1,
    connect: ms(time("connectStart"), time("secured") ?? time("tunnelled") ?? time("connected")),
    ssl: ms(time("tlsStart"), time("secured")),
    send: Math.max(0, ms(time("requestStart"), sent)),
    wait: Math.max(0, ms(sent, time("responseHead"))),
    receive: Math.max(0, ms(time("responseHead"), time("responseEnd"))),
  };
}
