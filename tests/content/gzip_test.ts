/**
 * gzip, member by member.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import zlib from "node:zlib";
import { crc32 } from "../../_internal/content/gzip.ts";
import { HTTPException } from "../../mod.ts";
import {
  assertSame,
  CONTENT,
  contentOf,
  decode,
  gzip,
  NOISE,
  raw,
  respond,
} from "../helpers/coded_responses.ts";
import { bytes, concat } from "../servers/raw.ts";

Deno.test("gunzip() decodes several members", async () => {
  assertSame(
    await decode("gzip", concat([gzip(CONTENT), gzip(NOISE), gzip(CONTENT)])),
    concat([
      CONTENT,
      NOISE,
      CONTENT,
    ]),
  );
});

Deno.test("gunzip() decodes several members when it comes byte by byte", async () => {
  const body = concat([gzip(CONTENT), gzip(CONTENT)]);
  assertSame(await decode("gzip", body, { size: 1 }), concat([CONTENT, CONTENT]));
});

Deno.test("gunzip() throws when the last of several members is cut", async () => {
  const body = concat([gzip(CONTENT), gzip(NOISE).slice(0, -9)]);
  const { conn, response } = await respond("gzip", body);
  using _ = conn;
  await assertRejects(() => contentOf(response), HTTPException);
});

Deno.test("gunzip() throws when the checksum is wrong", async () => {
  const body = gzip(CONTENT).slice();
  body[body.length - 6] ^= 1;
  const { conn, response } = await respond("gzip", body);
  using _ = conn;
  await assertRejects(() => contentOf(response), HTTPException);
});

Deno.test("gunzip() throws when the size of a member is wrong", async () => {
  const body = gzip(CONTENT).slice();
  body[body.length - 1] ^= 1;
  const { conn, response } = await respond("gzip", body);
  using _ = conn;
  await assertRejects(() => contentOf(response), HTTPException, "its size");
});

Deno.test("gunzip() throws when a second member is cut, wherever", async () => {
  const member = gzip(bytes("short"));
  for (let size = 1; size < member.length; size++) {
    const { conn, response } = await respond("gzip", concat([member, member.slice(0, size)]));
    using _ = conn;
    await assertRejects(() => contentOf(response), HTTPException, "ends within");
  }
});

/** A member with these flags, and with what they announce. */
function member(flags: number, ...fields: Uint8Array[]): Uint8Array {
  const header = new Uint8Array([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255]);
  return concat([header, ...fields, raw(CONTENT), gzip(CONTENT).slice(-8)]);
}

const EXTRA = new Uint8Array([3, 0, 7, 0, 7]);
const NAME = bytes("name\0");
const COMMENT = bytes("a comment\0");

/** The checksum of a header. */
function sum(...parts: Uint8Array[]): Uint8Array {
  const crc = zlib.crc32(concat(parts));
  return new Uint8Array([crc & 255, crc >>> 8 & 255]);
}

const ALL = new Uint8Array([0x1f, 0x8b, 8, 30, 0, 0, 0, 0, 0, 255]);

for (
  const [name, body] of [
    ["an extra field", member(4, EXTRA)],
    ["a name", member(8, NAME)],
    ["a comment", member(16, COMMENT)],
    ["all fields and a checksum", member(30, EXTRA, NAME, COMMENT, sum(ALL, EXTRA, NAME, COMMENT))],
  ] satisfies [string, Uint8Array][]
) {
  Deno.test(`gunzip() decodes a member whose header has ${name}`, async () => {
    for (const size of [1, 7, body.length]) {
      assertSame(await decode("gzip", body, { size }), CONTENT);
    }
  });
}

for (
  const [name, body, why] of [
    ["has a wrong checksum", member(2, new Uint8Array([1, 2])), "header"],
    ["has reserved flags", member(32), "reserved"],
    ["has another method", gzip(CONTENT).map((byte, i) => i === 2 ? 7 : byte), "method"],
    ["is cut within its name", member(8, bytes("name")).slice(0, 14), "ends within"],
  ] satisfies [string, Uint8Array, string][]
) {
  Deno.test(`gunzip() throws when the header ${name}`, async () => {
    const { conn, response } = await respond("gzip", body);
    using _ = conn;
    await assertRejects(() => contentOf(response), HTTPException, why);
  });
}

Deno.test("crc32() gives the sums of zlib, whatever the length and the parts", () => {
  for (const length of [0, 1, 2, 3, 4, 5, 1000, 50_000]) {
    const content = NOISE.subarray(0, length);
    const half = Math.floor(length / 3);
    const parts = crc32(content.subarray(half), crc32(content.subarray(0, half), 0));
    assertEquals([crc32(content, 0), parts], Array(2).fill(zlib.crc32(content)));
  }
});
