/**
 * An upload of a file: PUT with its length, `Expect: 100-continue` so that a server can refuse it
 * before it is sent, and progress reports.
 *
 *     deno run -A examples/upload.ts
 *     deno run -A examples/upload.ts FILE URL
 *
 * @module
 */
import {
  EXPECTATION_FAILED,
  HTTPConnection,
  type HTTPResponse,
  HTTPSConnection,
  type TraceEvent,
} from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";

/** Options of {@linkcode upload}. */
export interface UploadOptions {
  /** The media type of the file. @default {"application/octet-stream"} */
  type?: string;
  signal?: AbortSignal;
  /** Called with how many bytes of the file have been sent. */
  onProgress?: (bytes: number, total: number) => void;
}

/** The server did not accept the file. */
export class UploadError extends Error {
  /** Made by {@linkcode upload}. */
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** Uploads a file; returns the status, which is one of success. */
export async function upload(path: string, url: URL, options: UploadOptions = {}): Promise<number> {
  const { type = "application/octet-stream", signal, onProgress } = options;
  using file = await Deno.open(path);
  const { size } = await file.stat();
  let head = 0;
  const trace = (event: TraceEvent) => {
    if (event.type === "requestHead") head = event.bytes;
    else if (event.type === "requestBody") onProgress?.(event.bytes - head, size);
  };
  using conn = new (url.protocol === "https:" ? HTTPSConnection : HTTPConnection)(url, {
    timeout: 30,
    blocksize: 65536,
    trace,
  });
  const put = async (expect_continue: number | false): Promise<HTTPResponse> => {
    await file.seek(0, Deno.SeekMode.Start);
    const headers = { "Content-Type": type, "Content-Length": size };
    await conn.request("PUT", url, file, headers, { expect_continue, signal });
    return await conn.getresponse();
  };
  let response = await put(size > 0 && 2); // A server that ignores `Expect` is sent the body after 2 s.
  if (response.status === EXPECTATION_FAILED) {
    await response.drain();
    response = await put(false);
  }
  const text = new TextDecoder().decode(await response.read(2000)).trim();
  const { status, reason, ok, requestComplete } = response;
  if (ok && requestComplete) return status;
  const sent = requestComplete ? "" : " before the whole file was sent";
  throw new UploadError(status, `The server responded ${status} ${reason}${sent}: ${text}`);
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const path = await Deno.makeTempFile();
  const content = crypto.getRandomValues(new Uint8Array(60_000));
  const response = (status: string) => `HTTP/1.1 ${status}\r\nContent-Length: 4\r\n\r\ntext`;
  await using server = await startRaw(async (peer) => {
    for (;;) {
      const head = await peer.readHead();
      const target = head.split(" ")[1];
      const expects = /^expect: 100-continue\r$/im.test(head);
      if (expects && target === "/old") await peer.send(response("417 Expectation Failed"));
      else if (target === "/denied") await peer.send(response("403 Forbidden"));
      else if (target === "/known") await peer.send(response("200 OK"));
      else {
        if (expects) await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        assertEquals(await peer.readBytes(content.length), content);
        await peer.send(response("201 Created"));
      }
    }
  });
  const url = (name: string) => new URL(name, `http://127.0.0.1:${server.port}/`);
  try {
    await Deno.writeFile(path, content);
    const progress: number[] = [];
    const onProgress = (bytes: number, total: number) => {
      progress.push(bytes);
      assertEquals(total, content.length);
    };
    assertEquals(await upload(path, url("/new"), { onProgress }), 201);
    assertEquals(progress.at(-1), content.length);
    assertEquals(await upload(path, url("/old")), 201);
    assertEquals(server.requests.filter((head) => head.startsWith("PUT /old")).length, 2);

    // Nothing of the file is sent after a final response.
    const before = server.peers.length;
    const denied = await assertRejects(() => upload(path, url("/denied")), UploadError, "text");
    const known = await assertRejects(() => upload(path, url("/known")), UploadError, "before");
    assertEquals([denied.status, known.status], [403, 200]);
    for (const peer of server.peers.slice(before)) {
      assertEquals(peer.text.split("\r\n\r\n")[1], "");
    }
  } finally {
    await Deno.remove(path);
  }
  console.log(
    "checked: an upload with progress, a server without Expect, refusals before the body",
  );
}

if (import.meta.main) {
  const [path, url] = Deno.args;
  if (path === undefined) await selfCheck();
  else {
    const print = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
    const onProgress = Deno.stderr.isTerminal()
      ? (bytes: number, total: number) => print(`\r${bytes} of ${total} bytes`)
      : undefined;
    console.log(await upload(path, new URL(url), { onProgress }));
  }
}
