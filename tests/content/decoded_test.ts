/**
 * `decoded()`: `Content-Encoding` undone, where that is asked for.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import zlib from "node:zlib";
import { HTTPConnection, HTTPException, IncompleteRead } from "../../mod.ts";
import {
  assertSame,
  br,
  CODINGS,
  CONTENT,
  contentOf,
  decode,
  deflate,
  gzip,
  LARGE,
  NOISE,
  raw,
  respond,
  TEXT,
  ZEROS,
  zstd,
} from "../helpers/coded_responses.ts";
import { FakeTransport, over } from "../helpers/fake_transport.ts";
import { soon } from "../helpers/waiting.ts";
import { bytes, concat } from "../servers/raw.ts";

// What is decoded

for (const [name, field, code] of CODINGS) {
  Deno.test(`decoded() decodes ${name}`, async () => {
    assertSame(await decode(field, code(CONTENT)), CONTENT);
  });

  Deno.test(`decoded() decodes ${name} when it comes byte by byte`, async () => {
    assertSame(await decode(field, code(CONTENT), { size: 1 }), CONTENT);
  });

  Deno.test(`decoded() decodes ${name} when it comes chunked`, async () => {
    assertSame(await decode(field, code(NOISE), { size: 777, chunked: true }), NOISE);
  });

  Deno.test(`decoded() gives nothing when nothing was coded as ${name}`, async () => {
    assertSame(await decode(field, code(new Uint8Array())), new Uint8Array());
  });

  Deno.test(`decoded() gives nothing for ${name} when the body is empty`, async () => {
    assertSame(await decode(field, new Uint8Array()), new Uint8Array());
  });

  for (const cut of [1, 5, 0.5]) {
    Deno.test(`decoded() throws when ${name} lacks its last ${cut < 1 ? "half" : `bytes (${cut})`}`, async () => {
      const whole = code(NOISE);
      const body = whole.slice(0, cut < 1 ? whole.length / 2 : -cut);
      const { conn, response } = await respond(field, body);
      using _ = conn;
      await assertRejects(() => contentOf(response), HTTPException);
    });
  }

  Deno.test(`decoded() throws when only the first byte of ${name} came`, async () => {
    const { conn, response } = await respond(field, code(CONTENT).slice(0, 1));
    using _ = conn;
    await assertRejects(() => contentOf(response), HTTPException);
  });

  Deno.test(`decoded() throws when ${name} is nonsense`, async () => {
    const { conn, response } = await respond(field, bytes("\xff nonsense".repeat(100)));
    using _ = conn;
    await assertRejects(() => contentOf(response), HTTPException);
  });

  Deno.test(`decoded() throws IncompleteRead when the connection cuts ${name}`, async () => {
    const body = code(NOISE);
    const { conn, response } = await respond(field, body.slice(0, -10), { length: body.length });
    using _ = conn;
    await assertRejects(() => contentOf(response), IncompleteRead);
  });

  Deno.test(`decoded() gives ${name} of exactly maxDecodedBytes`, async () => {
    const { conn, response } = await respond(field, code(CONTENT));
    using _ = conn;
    const { length } = await contentOf(response, { maxDecodedBytes: CONTENT.length });
    assertEquals(length, CONTENT.length);
  });

  Deno.test(`decoded() gives ${name} of exactly maxDecodedBytes when the body is longer than that`, async () => {
    const body = code(NOISE);
    assert(body.length > NOISE.length);
    const { conn, response } = await respond(field, body);
    using _ = conn;
    assertSame(await contentOf(response, { maxDecodedBytes: NOISE.length }), NOISE);
  });

  Deno.test(`decoded() gives up a bomb of ${name} at the limit, not when it is all decoded`, async () => {
    const { conn, response } = await respond(field, code(ZEROS));
    using _ = conn;
    let got = 0;
    const limit = 100_000;
    await assertRejects(async () => {
      for await (const piece of response.decoded({ maxDecodedBytes: limit })) got += piece.length;
    }, HTTPException);
    assert(got <= limit);
  });

  Deno.test(`decoded() throws when ${name} is a byte over maxDecodedBytes`, async () => {
    const { conn, response } = await respond(field, code(CONTENT));
    using _ = conn;
    await assertRejects(
      () => contentOf(response, { maxDecodedBytes: CONTENT.length - 1 }),
      HTTPException,
    );
  });
}

Deno.test("decoded() decodes gzip of several members", async () => {
  assertSame(
    await decode("gzip", concat([gzip(CONTENT), gzip(NOISE), gzip(CONTENT)])),
    concat([
      CONTENT,
      NOISE,
      CONTENT,
    ]),
  );
});

Deno.test("decoded() decodes gzip of several members when it comes byte by byte", async () => {
  const body = concat([gzip(CONTENT), gzip(CONTENT)]);
  assertSame(await decode("gzip", body, { size: 1 }), concat([CONTENT, CONTENT]));
});

Deno.test("decoded() throws when the last of several gzip members is cut", async () => {
  const body = concat([gzip(CONTENT), gzip(NOISE).slice(0, -9)]);
  const { conn, response } = await respond("gzip", body);
  using _ = conn;
  await assertRejects(() => contentOf(response), HTTPException);
});

Deno.test("decoded() throws when the checksum of gzip is wrong", async () => {
  const body = gzip(CONTENT).slice();
  body[body.length - 6] ^= 1;
  const { conn, response } = await respond("gzip", body);
  using _ = conn;
  await assertRejects(() => contentOf(response), HTTPException);
});

Deno.test("decoded() decodes zstd of several frames", async () => {
  assertSame(
    await decode("zstd", concat([zstd(CONTENT), zstd(NOISE)])),
    concat([CONTENT, NOISE]),
  );
});

for (const level of [0, 1, 9]) {
  Deno.test(`decoded() decodes raw deflate at level ${level}`, async () => {
    for (const content of [CONTENT, NOISE, bytes("a"), bytes("")]) {
      const body = zlib.deflateRawSync(content, { level });
      assertSame(await decode("deflate", body), content);
    }
  });
}

Deno.test("decoded() never takes raw deflate for zlib's form, whatever its first byte", async () => {
  for (let first = 0; first < 256; first++) {
    const content = new Uint8Array([first, ...CONTENT.subarray(0, 50)]);
    assertSame(await decode("deflate", raw(content)), content);
  }
});

Deno.test("decoded() gives the body when there is no coding", async () => {
  assertSame(await decode(null, CONTENT), CONTENT);
});

Deno.test("decoded() gives the body when the coding is identity", async () => {
  assertSame(await decode("identity", CONTENT), CONTENT);
});

Deno.test("decoded() ignores the case of a coding's name", async () => {
  assertSame(await decode("GZip", gzip(CONTENT)), CONTENT);
});

// Several codings

Deno.test("decoded() undoes two codings from the last to the first", async () => {
  assertSame(await decode("gzip, br", br(gzip(CONTENT))), CONTENT);
});

Deno.test("decoded() undoes two codings that stand in two field lines", async () => {
  assertSame(await decode("deflate\r\nContent-Encoding: zstd", zstd(deflate(CONTENT))), CONTENT);
});

Deno.test("decoded() ignores blanks and empty members in the list of codings", async () => {
  assertSame(await decode("gzip ,, \tbr,", br(gzip(CONTENT))), CONTENT);
});

Deno.test("decoded() undoes five codings", async () => {
  const body = [gzip, br, deflate, zstd, gzip].reduce(
    (content, code) => code(content),
    CONTENT as Uint8Array,
  );
  assertSame(await decode("gzip, br, deflate, zstd, gzip", body), CONTENT);
});

Deno.test("decoded() refuses six codings, and the body is still there", async () => {
  const { conn, response } = await respond(Array(6).fill("gzip").join(","), bytes("body"));
  using _ = conn;
  assertThrows(() => response.decoded(), HTTPException);
  assertEquals(await response.text(), "body");
});

Deno.test("decoded() refuses an unknown coding, and the body is still there", async () => {
  const { conn, response } = await respond("gzip, compress", bytes("body"));
  using _ = conn;
  assertThrows(() => response.decoded(), HTTPException, "compress");
  assertEquals(await response.text(), "body");
});

Deno.test("decoded() throws when the inner one of two codings is cut", async () => {
  const { conn, response } = await respond("gzip, br", br(gzip(NOISE).slice(0, -9)));
  using _ = conn;
  await assertRejects(() => contentOf(response), HTTPException);
});

Deno.test("decoded() holds each of several codings to maxDecodedBytes", async () => {
  // Inside is a gzip of nothing much, outside one of 10 MB.
  const inner = gzip(bytes("small"));
  const padded = concat([inner, ...Array(500_000).fill(gzip(new Uint8Array()).slice())]);
  const { conn, response } = await respond("gzip, gzip", gzip(padded));
  using _ = conn;
  await assertRejects(() => contentOf(response, { maxDecodedBytes: 1_000_000 }), HTTPException);
});

// Bombs

/** A zstd frame of no content that says of itself what `header` says. */
function frame(...header: number[]): Uint8Array {
  return new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, ...header, 1, 0, 0]);
}

for (
  const [name, body] of [
    ["a content of 2^64-1 bytes", frame(0xe0, ...Array(8).fill(0xff))],
    ["a content of 2^40 bytes", frame(0xe0, 0, 0, 0, 0, 0, 1, 0, 0)],
    ["a window of 3.75 TiB", frame(0x00, 0xff)],
    ["a window of 2 GiB", frame(0x00, 21 << 3)],
    ["a dictionary", frame(0x23, 1, 2, 3, 4, 0)],
  ] satisfies [string, Uint8Array][]
) {
  Deno.test(`decoded() is not harmed by a zstd frame that claims ${name}`, async () => {
    const { conn, response } = await respond("zstd", body);
    using _ = conn;
    try {
      assertEquals((await contentOf(response)).length, 0);
    } catch (error) {
      assertInstanceOf(error, HTTPException);
    }
  });
}

Deno.test("decoded() skips zstd frames that are to be skipped", async () => {
  const skipped = new Uint8Array([0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const body = concat([skipped, zstd(CONTENT), skipped]);
  assertSame(await decode("zstd", body), CONTENT);
});

Deno.test("decoded() throws when a zstd frame to be skipped is longer than the body", async () => {
  const skipped = new Uint8Array([0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
  const { conn, response } = await respond("zstd", concat([zstd(CONTENT), skipped]));
  using _ = conn;
  await assertRejects(() => contentOf(response), HTTPException);
});

Deno.test("decoded() takes 30,000 empty zstd frames", async () => {
  const empty = zstd(new Uint8Array());
  const body = new Uint8Array(empty.length * 30_000);
  for (let at = 0; at < body.length; at += empty.length) body.set(empty, at);
  assertEquals((await decode("zstd", body)).length, 0);
});

for (const limit of [NaN, -1, "5"]) {
  Deno.test(`decoded() throws a TypeError when maxDecodedBytes is ${limit} (${typeof limit})`, async () => {
    const { conn, response } = await respond("gzip", gzip(CONTENT));
    using _ = conn;
    assertThrows(() => response.decoded({ maxDecodedBytes: limit as number }), TypeError);
  });
}

// As a stream

Deno.test("decoded() gives a ReadableStream that web calls take", async () => {
  const { conn, response } = await respond("gzip", gzip(CONTENT));
  using _ = conn;
  assertEquals(await new Response(response.decoded() as BodyInit).text(), TEXT);
});

Deno.test("decoded() gives content while the body still comes", async () => {
  const fake = new FakeTransport();
  fake.arrive("HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n");
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  const reader = (await conn.getresponse()).decoded().getReader();
  for (const line of ["one\n", "two\n"]) {
    // Flushed, but not ended.
    const piece = zlib.deflateRawSync(line, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    fake.arrive(`${piece.length.toString(16)}\r\n`);
    fake.release(new Uint8Array(piece), false);
    fake.arrive("\r\n");
    let text = "";
    while (!text.endsWith("\n")) {
      text += new TextDecoder().decode((await soon(reader.read())).value);
    }
    assertEquals(text, line);
  }
  await reader.cancel();
});

Deno.test("decoded() gives pieces in memory of their own", async () => {
  const { conn, response } = await respond("gzip", gzip(NOISE));
  using _ = conn;
  const pieces = [];
  for await (const piece of response.decoded()) {
    pieces.push(piece.slice());
    piece.fill(0);
  }
  assertSame(concat(pieces), NOISE);
});

Deno.test("decoded() closes the connection when its stream is cancelled", async () => {
  const { conn, response, fake } = await respond("gzip", gzip(LARGE), { size: 1000 });
  using _ = conn;
  const stream = response.decoded();
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel();
  assertEquals(fake.closes, 1);
});

Deno.test("decoded() closes the connection when its stream is cancelled before a read", async () => {
  const { conn, response, fake } = await respond("gzip", gzip(NOISE));
  using _ = conn;
  await response.decoded().cancel();
  assertEquals(fake.closes, 1);
});

Deno.test("decoded() closes the connection when a loop over it is left", async () => {
  const { conn, response, fake } = await respond("br", br(LARGE), { size: 1000 });
  using _ = conn;
  for await (const _ of response.decoded()) break;
  assertEquals(fake.closes, 1);
});

Deno.test("decoded() leaves the connection reusable when it is read to its end", async () => {
  for (const [, field, code] of CODINGS) {
    const body = code(CONTENT);
    const fake = new FakeTransport();
    using conn = new HTTPConnection("example.com", over(fake));
    for (let i = 0; i < 2; i++) {
      await conn.request("GET", "/");
      fake.arrive(
        `HTTP/1.1 200 OK\r\nContent-Encoding: ${field}\r\nContent-Length: ${body.length}\r\n\r\n`,
      );
      fake.release(body.slice(), false);
      assertSame(await contentOf(await conn.getresponse()), CONTENT);
    }
  }
});

Deno.test("decoded() leaves the trailers on the response", async () => {
  const { conn, response } = await respond("gzip", gzip(CONTENT), { size: 99, chunked: true });
  using _ = conn;
  await contentOf(response);
  assertEquals(response.trailers?.items(), [["X-Sum", "1"]]);
});

Deno.test("decoded() gives nothing when the request was HEAD", async () => {
  assertSame(
    await decode("gzip", new Uint8Array(), { method: "HEAD", length: 100 }),
    new Uint8Array(),
  );
});

Deno.test("decoded() is never applied when the body is read as it is", async () => {
  const body = gzip(CONTENT);
  const { conn, response } = await respond("gzip", body);
  using _ = conn;
  assertEquals(response.getheader("content-encoding"), "gzip");
  assertSame(await response.read(), body);
});

Deno.test("decoded() throws a TypeError when the response's stream is locked", async () => {
  const { conn, response } = await respond("gzip", gzip(CONTENT));
  using _ = conn;
  const reader = response.getReader();
  assertThrows(() => response.decoded(), TypeError);
  reader.releaseLock();
});

Deno.test("decoded() throws the TimedOut of a deadline as it is", async () => {
  const body = gzip(NOISE);
  const fake = new FakeTransport();
  fake.arrive(
    `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  fake.release(body.slice(0, 1000), false);
  using conn = new HTTPConnection("example.com", {
    ...over(fake),
    deadlines: { bodyIdle: 0.02 },
  });
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await assertRejects(() => contentOf(response), Deno.errors.TimedOut);
});

Deno.test("decoded() leaves maxBodyBytes to count the body as sent", async () => {
  const body = gzip(CONTENT);
  const fake = new FakeTransport();
  fake.arrive(
    `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  fake.release(body.slice(), false);
  using conn = new HTTPConnection("example.com", { ...over(fake), maxBodyBytes: body.length });
  await conn.request("GET", "/");
  assertSame(await contentOf(await conn.getresponse()), CONTENT);
});
