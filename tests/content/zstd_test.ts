/**
 * zstd, frame by frame and block by block.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import zlib from "node:zlib";
import { HTTPConnection, HTTPException } from "../../mod.ts";
import {
  assertSame,
  CONTENT,
  contentOf,
  decode,
  LARGE,
  NOISE,
  respond,
  zstd,
} from "../helpers/coded_responses.ts";
import { FakeTransport, over } from "../helpers/fake_transport.ts";
import { soon } from "../helpers/waiting.ts";
import { bytes, concat } from "../servers/raw.ts";

const { ZSTD_c_checksumFlag, ZSTD_c_compressionLevel, ZSTD_c_contentSizeFlag, ZSTD_c_windowLog } =
  zlib.constants;

/** A frame with these parameters. */
function frameOf(content: Uint8Array, params: Record<number, number>): Uint8Array {
  return zlib.zstdCompressSync(content, { params });
}

Deno.test("unzstd() decodes of several frames", async () => {
  assertSame(
    await decode("zstd", concat([zstd(CONTENT), zstd(NOISE)])),
    concat([CONTENT, NOISE]),
  );
});

Deno.test("unzstd() skips frames that are to be skipped", async () => {
  const skipped = new Uint8Array([0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const body = concat([skipped, zstd(CONTENT), skipped]);
  assertSame(await decode("zstd", body), CONTENT);
});

Deno.test("unzstd() throws when a frame to be skipped is longer than the body", async () => {
  const skipped = new Uint8Array([0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
  const { conn, response } = await respond("zstd", concat([zstd(CONTENT), skipped]));
  using _ = conn;
  await assertRejects(() => contentOf(response), HTTPException);
});

Deno.test("unzstd() decodes what every level makes of every kind of content", async () => {
  const contents = [bytes(""), bytes("a"), CONTENT, NOISE, LARGE, new Uint8Array(1_000_000)];
  for (let level = -5; level <= 19; level += 8) {
    for (const content of contents) {
      const params = { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: level & 1 };
      const body = frameOf(content, params);
      assertSame(await decode("zstd", body, { size: 40_000 }), content);
    }
  }
});

Deno.test("unzstd() decodes frames with every form of header", async () => {
  for (const size of [0, 1, 255, 256, 257, 65_535, 65_536, 70_000, 65_536 + 256]) {
    const content = LARGE.slice(0, size);
    for (const flag of [0, 1]) {
      const body = frameOf(content, { [ZSTD_c_contentSizeFlag]: flag });
      assertSame(await decode("zstd", concat([body, body])), concat([content, content]));
    }
  }
});

Deno.test("unzstd() decodes frames wherever the pieces of the body end", async () => {
  const skipped = new Uint8Array([0x5f, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2]);
  const content = bytes("short ");
  const frame = frameOf(content, { [ZSTD_c_checksumFlag]: 1 });
  const body = concat([frame, skipped, frame]);
  for (let size = 1; size <= body.length; size++) {
    assertSame(await decode("zstd", body, { size }), concat([content, content]));
  }
});

Deno.test("unzstd() throws when the checksum of a frame is wrong", async () => {
  const body = frameOf(CONTENT, { [ZSTD_c_checksumFlag]: 1 }).slice();
  body[body.length - 1] ^= 1;
  const { conn, response } = await respond("zstd", body);
  using _ = conn;
  await assertRejects(() => contentOf(response), HTTPException, "not valid zstd");
});

Deno.test("unzstd() throws when a second frame is cut, wherever", async () => {
  const frame = frameOf(bytes("short"), { [ZSTD_c_checksumFlag]: 1 });
  for (let size = 1; size < frame.length; size++) {
    const { conn, response } = await respond("zstd", concat([frame, frame.slice(0, size)]));
    using _ = conn;
    await assertRejects(() => contentOf(response), HTTPException, "ends within");
  }
});

Deno.test("unzstd() throws when a frame to be skipped is cut, wherever", async () => {
  const skipped = new Uint8Array([0x55, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2]);
  for (let size = 1; size < skipped.length; size++) {
    const { conn, response } = await respond(
      "zstd",
      concat([zstd(CONTENT), skipped.slice(0, size)]),
    );
    using _ = conn;
    await assertRejects(() => contentOf(response), HTTPException, "ends within");
  }
});

Deno.test("unzstd() gives a frame's first block when the second has not come", async () => {
  const body = zlib.zstdCompressSync(LARGE);
  // A raw block is 128 KiB at most: the first ends within these bytes.
  const first = 140_000;
  const fake = new FakeTransport();
  fake.arrive(
    `HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  fake.release(new Uint8Array(body.subarray(0, first)), false);
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  const reader = (await conn.getresponse()).decoded().getReader();
  let size = 0;
  while (size < 131_072) size += (await soon(reader.read())).value!.length;
  assert(size < first);
  await reader.cancel();
});

Deno.test("unzstd() gives a block when the next one's header is cut", async () => {
  const encoder = zlib.createZstdCompress();
  const parts: Uint8Array[] = [];
  encoder.on("data", (part: Uint8Array) => parts.push(new Uint8Array(part)));
  encoder.write("first");
  await new Promise<void>((resolve) => encoder.flush(() => resolve()));
  await new Promise((resolve) => setTimeout(resolve, 0));
  encoder.destroy();
  const fake = new FakeTransport();
  fake.arrive("HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 1000\r\n\r\n");
  // Two bytes of what would be the next block.
  fake.release(concat([...parts, new Uint8Array([1, 0])]), false);
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  const reader = (await conn.getresponse()).decoded().getReader();
  assertEquals(new TextDecoder().decode((await soon(reader.read())).value), "first");
  await reader.cancel();
});

/** A frame of no content that says of itself what `header` says. */
function frame(...header: number[]): Uint8Array {
  return new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, ...header, 1, 0, 0]);
}

for (
  const [name, body, why] of [
    ["a content of 2^64-1 bytes", frame(0xe0, ...Array(8).fill(0xff)), "maxZstdWindowBytes"],
    ["a content of 2^40 bytes", frame(0xe0, 0, 0, 0, 0, 0, 1, 0, 0), "maxZstdWindowBytes"],
    ["a window of 3.75 TiB", frame(0x00, 0xff), "maxZstdWindowBytes"],
    ["a window of 9 MiB", frame(0x00, 13 << 3 | 1), "maxZstdWindowBytes"],
    ["a dictionary", frame(0x23, 1, 2, 3, 4, 0), "dictionary"],
    [
      "a block of the reserved type",
      new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0, 0, 7, 0, 0]),
      "reserved",
    ],
  ] satisfies [string, Uint8Array, string][]
) {
  Deno.test(`unzstd() refuses ${name}`, async () => {
    const { conn, response } = await respond("zstd", body);
    using _ = conn;
    await assertRejects(() => contentOf(response), HTTPException, why);
  });
}

Deno.test("unzstd() takes a window of exactly maxZstdWindowBytes", async () => {
  assertEquals((await decode("zstd", frame(0x00, 13 << 3))).length, 0);
  const body = frameOf(LARGE, { [ZSTD_c_windowLog]: 12, [ZSTD_c_contentSizeFlag]: 0 });
  const { conn, response } = await respond("zstd", body);
  using _ = conn;
  assertSame(await contentOf(response, { maxZstdWindowBytes: 4096 }), LARGE);
});

Deno.test("unzstd() refuses a window of a byte over maxZstdWindowBytes", async () => {
  const body = frameOf(LARGE, { [ZSTD_c_windowLog]: 12, [ZSTD_c_contentSizeFlag]: 0 });
  const { conn, response } = await respond("zstd", body);
  using _ = conn;
  await assertRejects(
    () => contentOf(response, { maxZstdWindowBytes: 4095 }),
    HTTPException,
    "over maxZstdWindowBytes, 4095: got 4096",
  );
});

/** A frame that has no window but its content, in one raw block; its size takes so many bytes. */
function singleSegment(content: Uint8Array, sizeBytes: 1 | 2 | 4): Uint8Array {
  const header = new Uint8Array(5 + sizeBytes + 3);
  const view = new DataView(header.buffer);
  const { length } = content;
  view.setUint32(0, 0xfd2fb528, true);
  header[4] = [0, 0x20, 0x60, 0, 0xa0][sizeBytes];
  if (sizeBytes === 1) header[5] = length;
  else if (sizeBytes === 2) view.setUint16(5, length - 256, true);
  else view.setUint32(5, length, true);
  const block = length << 3 | 1;
  header.set([block & 255, block >>> 8 & 255, block >>> 16], 5 + sizeBytes);
  return concat([header, content]);
}

for (const [size, sizeBytes] of [[200, 1], [1000, 2], [256, 2], [70_000, 4]] as const) {
  Deno.test(`unzstd() takes a content of ${size} bytes for the window where there is none`, async () => {
    const content = LARGE.slice(0, size);
    const body = singleSegment(content, sizeBytes);
    const { conn, response } = await respond("zstd", body);
    using _ = conn;
    assertSame(await contentOf(response, { maxZstdWindowBytes: size }), content);
    const { conn: other, response: refused } = await respond("zstd", body);
    using _other = other;
    await assertRejects(
      () => contentOf(refused, { maxZstdWindowBytes: size - 1 }),
      HTTPException,
      `got ${size}`,
    );
  });
}

Deno.test("unzstd() takes a window of 256 MiB when maxZstdWindowBytes is as large", async () => {
  const body = frame(0x00, 18 << 3);
  const { conn, response } = await respond("zstd", body);
  using _ = conn;
  assertEquals((await contentOf(response, { maxZstdWindowBytes: 2 ** 28 })).length, 0);
});
