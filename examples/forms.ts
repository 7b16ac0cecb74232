/**
 * The three kinds of bodies that APIs and web forms take: JSON, `application/x-www-form-urlencoded`, and
 * `multipart/form-data` with a file that is streamed from disk.
 *
 *     deno run -A examples/forms.ts
 *     deno run -A examples/forms.ts URL FILE [NAME=VALUE]...     sends a form with the file as "file"
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { basename } from "node:path";
import {
  HTTPConnection,
  type HTTPResponse,
  HTTPSConnection,
  type RequestBody,
} from "@denoports/http-client";
import { assertEquals } from "@std/assert";

/** A body with the fields that describe it. */
export interface Content {
  headers: Record<string, string | number>;
  /** Makes the body, for each request anew. */
  body: () => RequestBody;
}

/** JSON, which is sent as UTF-8. */
export function json(value: unknown): Content {
  return { headers: { "Content-Type": "application/json" }, body: () => JSON.stringify(value) };
}

/** A form without files. `URLSearchParams` escapes all that is not US-ASCII. */
export function urlencoded(params: URLSearchParams): Content {
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  return { headers, body: () => String(params) };
}

/** A form without a file, or with small ones that are in memory: the platform encodes it. */
export async function multipart(form: FormData): Promise<Content> {
  const encoded = new Response(form);
  const headers = { "Content-Type": encoded.headers.get("content-type")! };
  const bytes = await encoded.bytes();
  return { headers, body: () => bytes };
}

/**
 * A form whose last part is a file that is read while it is sent. The platform encodes the form with an
 * empty file, and so makes the boundary and escapes the names; the content goes where that part ends.
 */
export async function multipartFile(
  form: FormData,
  name: string,
  path: string,
  type = "application/octet-stream",
): Promise<Content> {
  const { size, isFile } = await Deno.stat(path);
  if (!isFile) throw new TypeError(`Cannot send ${path}: it is not a file`);
  const whole = new FormData();
  for (const [key, value] of form) whole.append(key, value);
  whole.append(name, new File([], basename(path), { type }));
  const response = new Response(whole);
  const contentType = response.headers.get("content-type")!;
  const encoded = Buffer.from(await response.arrayBuffer());
  const boundary = contentType.split("boundary=")[1];
  const end = encoded.lastIndexOf(`\r\n--${boundary}--`);
  return {
    headers: { "Content-Type": contentType, "Content-Length": encoded.length + size },
    async *body() {
      yield encoded.subarray(0, end);
      using file = await Deno.open(path); // Closed when the body is cancelled, too.
      yield* file.readable;
      yield encoded.subarray(end);
    },
  };
}

/** Sends one of the bodies. */
export async function post(
  conn: HTTPConnection,
  target: string | URL,
  { headers, body }: Content,
): Promise<HTTPResponse> {
  await conn.request("POST", target, body(), headers);
  return await conn.getresponse();
}

async function selfCheck(): Promise<void> {
  // The server returns what its own parsers make of the body.
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      if (request.headers.get("content-type") === "application/json") {
        return Response.json(await request.json());
      }
      const fields = [];
      for (const [name, value] of await request.formData()) {
        if (typeof value === "string") fields.push([name, value]);
        else fields.push([name, value.name, value.type, (await value.bytes()).length]);
      }
      return Response.json(fields);
    },
  );
  using conn = new HTTPConnection("127.0.0.1", server.addr.port, { timeout: 10 });
  const received = async (content: Content) => {
    const response = await post(conn, "/", content);
    assertEquals(response.status, 200);
    return await response.json();
  };

  assertEquals(await received(json({ name: "café ☃" })), { name: "café ☃" });

  const fields: [string, string][] = [["a b", "1&2"], ["name", "café ☃"], ["name", "again"]];
  assertEquals(await received(urlencoded(new URLSearchParams(fields))), fields);

  const form = new FormData();
  for (const [name, value] of fields) form.append(name, value);
  form.append('"quoted"', new File(["text"], 'a "b".txt', { type: "text/plain" }));
  // A quotation mark is sent as %22, and Deno's parser leaves it like that.
  const parts = [...fields, ["%22quoted%22", "a %22b%22.txt", "text/plain", 4]];
  assertEquals(await received(await multipart(form)), parts);

  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/résumé.pdf`;
    await Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(60_000)));
    const content = await multipartFile(form, "file", path, "application/pdf");
    const expected = [...parts, ["file", "résumé.pdf", "application/pdf", 60_000]];
    assertEquals(await received(content), expected);
    assertEquals(await received(content), expected); // The body is made anew.
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log("checked: JSON, a form, multipart with small files, multipart with a streamed file");
}

if (import.meta.main) {
  const [address, path, ...fields] = Deno.args;
  if (address === undefined) await selfCheck();
  else {
    const url = new URL(address);
    using conn = new (url.protocol === "https:" ? HTTPSConnection : HTTPConnection)(url, {
      timeout: 30,
    });
    const form = new FormData();
    for (const field of fields) {
      const [name, ...value] = field.split("=");
      form.append(name, value.join("="));
    }
    const response = await post(conn, url, await multipartFile(form, "file", path));
    console.log(response.status, response.reason);
    await response.copyTo(Deno.stdout);
  }
}
