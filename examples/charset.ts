/**
 * Text in the charset that the server declares: a byte order mark, else the `charset` of `Content-Type`,
 * else UTF-8, as browsers do it. `response.text()` is always UTF-8.
 *
 *     deno run -A examples/charset.ts
 *     deno run -A examples/charset.ts URL     prints the text at a URL
 *
 * @module
 */
import { HTTPConnection, HTTPResponse, HTTPSConnection } from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";

/** Options of {@linkcode textOf}. */
export interface TextOptions {
  /** The charset where none is declared, or one that is unknown. @default {"utf-8"} */
  fallback?: string;
  /** Whether bytes that are invalid in the charset are an error, rather than U+FFFD. @default {false} */
  fatal?: boolean;
  /** How many bytes the content may have once it is decoded. @default {10485760} */
  maxDecodedBytes?: number;
}

/**
 * The text of a response in pieces, as it arrives: its content coding is undone, then it is decoded. The
 * labels are those of the Encoding Standard: "iso-8859-1" and "us-ascii" mean windows-1252, as servers
 * that declare them send it.
 */
export async function* textOf(
  response: HTTPResponse,
  { fallback = "utf-8", fatal = false, maxDecodedBytes = 10 << 20 }: TextOptions = {},
): AsyncGenerator<string> {
  const declared = response.headers.get_content_charset(fallback);
  let decoder: TextDecoder | null = null;
  let start: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  for await (let piece of response.decoded({ maxDecodedBytes })) {
    if (decoder === null) {
      // A byte order mark has up to three bytes, which may come in several pieces.
      start = piece = new Uint8Array([...start, ...piece]);
      if (start.length < 3) continue;
      decoder = decoderOf(charsetOfMark(start) ?? declared, fallback, fatal);
    }
    yield decoder.decode(piece, { stream: true });
  }
  if (decoder !== null) yield decoder.decode(); // What an unfinished character becomes.
  else yield decoderOf(charsetOfMark(start) ?? declared, fallback, fatal).decode(start);
}

/** The charset of a byte order mark, which wins over a declared one; the decoder removes the mark. */
function charsetOfMark([first, second, third]: Uint8Array): string | null {
  if (first === 0xef && second === 0xbb && third === 0xbf) return "utf-8";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  return first === 0xff && second === 0xfe ? "utf-16le" : null;
}

function decoderOf(charset: string, fallback: string, fatal: boolean): TextDecoder {
  try {
    return new TextDecoder(charset, { fatal });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return new TextDecoder(fallback, { fatal }); // The label is unknown.
  }
}

/** The whole text. */
export async function wholeText(response: HTTPResponse, options?: TextOptions): Promise<string> {
  return (await Array.fromAsync(textOf(response, options))).join("");
}

async function selfCheck(): Promise<void> {
  const gzip = new CompressionStream("gzip");
  const bodies: Record<string, [type: string, body: BodyInit, coding?: string]> = {
    "/latin1": ["text/plain; charset=ISO-8859-1", new Uint8Array([0x63, 0xe9, 0x80, 0x93])],
    "/cyrillic": ['text/plain; charset="koi8-r"', new Uint8Array([0xc4, 0xc1])],
    "/japanese": ["text/plain; charset=shift_jis", new Uint8Array([0x93, 0xfa, 0x96, 0x7b])],
    "/utf8": ["text/plain", "☃"],
    "/mark": ["text/plain; charset=iso-8859-1", "\ufeff☃"],
    "/utf16": ["text/plain; charset=utf-8", new Uint8Array([0xfe, 0xff, 0x26, 0x03])],
    "/unknown": ["text/plain; charset=x-none", "é"],
    "/short": ["text/plain; charset=koi8-r", new Uint8Array([0xc4])],
    "/gzip": ["text/plain; charset=utf-8", new Blob(["snow ☃"]).stream().pipeThrough(gzip), "gzip"],
    "/invalid": ["text/plain; charset=utf-8", new Uint8Array([0x61, 0x62, 0x63, 0xe2, 0x98])],
  };
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const [type, body, coding = "identity"] = bodies[new URL(request.url).pathname];
    return new Response(body, { headers: { "Content-Type": type, "Content-Encoding": coding } });
  });
  using conn = new HTTPConnection("127.0.0.1", server.addr.port, { timeout: 10 });
  const get = async (path: string, options?: TextOptions) => {
    await conn.request("GET", path, null, { "Accept-Encoding": "gzip" });
    return await wholeText(await conn.getresponse(), options);
  };

  assertEquals(await get("/latin1"), "cé€“"); // windows-1252: ISO-8859-1 has neither of the last two.
  assertEquals(await get("/cyrillic"), "да");
  assertEquals(await get("/japanese"), "日本");
  assertEquals(await get("/utf8"), "☃");
  assertEquals(await get("/mark"), "☃");
  assertEquals(await get("/utf16"), "☃");
  assertEquals(await get("/unknown"), "é");
  assertEquals(await get("/short"), "д");
  assertEquals(await get("/gzip"), "snow ☃");
  assertEquals(await get("/invalid"), "abc\ufffd");
  await assertRejects(() => get("/invalid", { fatal: true }), TypeError);

  // The pieces may divide a mark and a character.
  const divided = [[0xef], [0xbb], [0xbf, 0x61, 0xe2], [0x98, 0x83]];
  const head = new TextEncoder().encode("HTTP/1.0 200 OK\r\n\r\n");
  const pieces = divided.map((bytes) => new Uint8Array(bytes));
  const response = new HTTPResponse(ReadableStream.from([head, ...pieces]));
  await response.begin();
  assertEquals(await wholeText(response), "a☃");
  console.log("checked: declared charsets, byte order marks, unknown labels, invalid bytes, gzip");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  for (const url of Deno.args.map((arg) => new URL(arg))) {
    using conn = new (url.protocol === "https:" ? HTTPSConnection : HTTPConnection)(url, {
      timeout: 30,
    });
    await conn.request("GET", url, null, { "Accept-Encoding": "gzip, br, zstd" });
    const output = Deno.stdout.writable.getWriter();
    for await (const text of textOf(await conn.getresponse())) {
      await output.write(new TextEncoder().encode(text));
    }
    output.releaseLock();
  }
}
