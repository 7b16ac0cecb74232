/**
 * `decoded()`: `Content-Encoding` undone, where that is asked for.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import zlib from "node:zlib";
import {
  type DecodedContent,
  type DecodedOptions,
  type ExchangeDetails,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPException,
  IncompleteRead,
} from "../../mod.ts";
import { growthOf } from "../helpers/bomb_growth.ts";
import { BOMBS, brotliZeros } from "../helpers/bombs.ts";
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
import { onDeno } from "../helpers/on_deno.ts";
import { microtasks, soon } from "../helpers/waiting.ts";
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

  Deno.test(`decoded() throws wherever ${name} is cut`, async () => {
    const whole = code(bytes("It is short. It is short."));
    for (let size = 1; size < whole.length; size++) {
      for (const untilClose of [false, true]) {
        const { conn, response } = await respond(field, whole.slice(0, size), { untilClose });
        using _ = conn;
        await assertRejects(() => contentOf(response), HTTPException, "ends within");
      }
    }
  });

  Deno.test(`decoded() throws when the connection ends before the first byte of ${name}`, async () => {
    const { conn, response } = await respond(field, new Uint8Array(), { untilClose: true });
    using _ = conn;
    await assertRejects(() => contentOf(response), HTTPException, "ends within");
  });

  for (
    const [what, tail] of [
      ["a CR LF", bytes("\r\n")],
      ["zeros", new Uint8Array(1000)],
      ["text", bytes("What is this?")],
      ["much of it", NOISE.map((byte) => byte | 0x20)],
    ] satisfies [string, Uint8Array][]
  ) {
    Deno.test(`decoded() ignores what stands behind ${name}: ${what}`, async () => {
      const whole = code(CONTENT);
      const body = concat([whole, tail]);
      for (const size of [body.length, whole.length, whole.length - 1, whole.length + 1]) {
        assertSame(await decode(field, body, { size }), CONTENT);
      }
    });
  }

  Deno.test(`decoded() throws an HTTPException or gives content, whatever becomes of ${name}`, async () => {
    const whole = code(CONTENT);
    for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 100)) {
      const body = whole.slice();
      body[at] ^= 1 << at % 8;
      const { conn, response } = await respond(field, body, { size: 50 });
      using _ = conn;
      try {
        await contentOf(response);
      } catch (error) {
        assertInstanceOf(error, HTTPException);
      }
    }
  });

  Deno.test(`decoded() gives pieces of ${name} of at most 64 KiB`, async () => {
    const { conn, response } = await respond(field, code(ZEROS));
    using _ = conn;
    let total = 0;
    for await (const piece of response.decoded()) {
      assert(piece.length <= 65536);
      total += piece.length;
    }
    assertEquals(total, ZEROS.length);
  });

  Deno.test(`decoded() decodes ${name} while timers fire`, async () => {
    const { conn, response } = await respond(field, code(ZEROS));
    using _ = conn;
    let [ticks, pieces] = [0, 0];
    const timer = setInterval(() => ticks++, 1);
    // 1 ms of work for each piece that is at hand.
    for await (const _ of response.decoded()) {
      pieces++;
      for (const end = performance.now() + 1; performance.now() < end;);
    }
    clearInterval(timer);
    assert(pieces > 100);
    assert(ticks > 5);
  });

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

Deno.test("decoded() lets LimitedBytesTransformStream keep the limit", async () => {
  const { conn, response } = await respond("gzip", gzip(CONTENT));
  using _ = conn;
  const error = await assertRejects(
    () => contentOf(response, { maxDecodedBytes: 99 }),
    HTTPException,
    "Cannot decode body as it has more than maxDecodedBytes, 99",
  );
  assertInstanceOf(error.cause, RangeError);
});

Deno.test("decoded() decodes 100 MiB and no more by default", async () => {
  const MIB = 1024 * 1024;
  for (const [size, isFine] of [[100 * MIB, true], [100 * MIB + 1, false]] as const) {
    const { conn, response } = await respond("zstd", zstd(new Uint8Array(size)));
    using _ = conn;
    let total = 0;
    const read = async () => {
      for await (const piece of response.decoded()) total += piece.length;
    };
    if (!isFine) await assertRejects(read, HTTPException, "maxDecodedBytes");
    else await read();
    assert(isFine ? total === size : total < size);
  }
});

Deno.test("decoded() holds a body without a coding to maxDecodedBytes when it is given", async () => {
  const { conn, response } = await respond(null, CONTENT, { size: 100 });
  using _ = conn;
  await assertRejects(
    () => contentOf(response, { maxDecodedBytes: CONTENT.length - 1 }),
    HTTPException,
  );
});

for (const limit of [NaN, -1, "5", null]) {
  for (const name of ["maxDecodedBytes", "maxZstdWindowBytes"]) {
    Deno.test(`decoded() throws a TypeError when ${name} is ${limit} (${typeof limit}), and the body is still there`, async () => {
      const { conn, response } = await respond("gzip", bytes("body"));
      using _ = conn;
      assertThrows(() => response.decoded({ [name]: limit }), TypeError, name);
      assertEquals(await response.text(), "body");
    });
  }
}

Deno.test("decoded() throws a TypeError when there is no such option", async () => {
  const { conn, response } = await respond("gzip", bytes("body"));
  using _ = conn;
  assertThrows(() => response.decoded({ limit: 5 } as DecodedOptions), TypeError, "limit");
});

for (const [name, { coding, make }] of Object.entries(BOMBS)) {
  Deno.test(`decoded() is not harmed by ${name}`, async () => {
    const { total, grown, isRefused } = await growthOf(coding, await make());
    assert(isRefused ?? total === 0);
    assert(total <= 2 ** 20);
    assert(grown < 65 * 2 ** 20, `The memory grew by ${grown}`);
  });
}

// Interrupted

/** A response whose body has come whole, with long to decode. */
async function respondWithMuch(options: HTTPConnectionOptions & { signal?: AbortSignal }) {
  const { signal, ...rest } = options;
  const fake = new FakeTransport();
  const body = await brotliZeros(1024);
  fake.arrive(`HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: ${body.length}\r\n\r\n`);
  fake.release(body, false);
  const conn = new HTTPConnection("example.com", { ...over(fake), ...rest });
  await conn.request("GET", "/", null, {}, { signal });
  return { conn, content: (await conn.getresponse()).decoded({ maxDecodedBytes: Infinity }) };
}

Deno.test("decoded() is ended by the total deadline when all of the body has come", async () => {
  const { conn, content } = await respondWithMuch({ deadlines: { total: 0.1 } });
  using _ = conn;
  const error = await assertRejects(
    () => soon(content.pipeTo(new WritableStream())),
    Deno.errors.TimedOut,
    "total deadline of 0.1 s",
  );
  assertEquals((error as ExchangeDetails).phase, "body");
});

Deno.test("decoded() is ended by a signal when all of the body has come", async () => {
  const controller = new AbortController();
  const { conn, content } = await respondWithMuch({ signal: controller.signal });
  using _ = conn;
  const reason = new Error("No more");
  setTimeout(() => controller.abort(reason), 20);
  const error = await assertRejects(() => soon(content.pipeTo(new WritableStream())));
  assertStrictEquals(error, reason);
  assertEquals(Object.keys(reason), []);
});

Deno.test("decoded() is ended by cancel() while it decodes", async () => {
  const { conn, content } = await respondWithMuch({});
  using _ = conn;
  const reader = content.getReader();
  const read = reader.read();
  await soon(reader.cancel());
  await read;
});

Deno.test("decoded() reads nothing of the body before it is read itself", async () => {
  const body = gzip(NOISE);
  const fake = new FakeTransport();
  fake.arrive(
    `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  using conn = new HTTPConnection("example.com", { ...over(fake), deadlines: { bodyIdle: 0.01 } });
  await conn.request("GET", "/");
  const reader = (await conn.getresponse()).decoded().getReader();
  fake.release(body.slice(0, 20_000), false);
  await soon(reader.read());
  // No read of the body is pending, so that its deadline does not run.
  await new Promise((resolve) => setTimeout(resolve, 30));
  fake.release(body.slice(20_000), false);
  let rest = 0;
  for (let next; !(next = await soon(reader.read())).done;) rest += next.value.length;
  assert(rest > 0);
});

// As a stream

Deno.test("decoded() gives a ReadableStream that web calls take", async () => {
  const { conn, response } = await respond("gzip", gzip(CONTENT));
  using _ = conn;
  assertEquals(await new Response(response.decoded() as BodyInit).text(), TEXT);
});

Deno.test("decoded() has text()", async () => {
  const { conn, response } = await respond("br", br(new TextEncoder().encode("Grüße")), {
    size: 1,
  });
  using _ = conn;
  assertEquals(await response.decoded().text(), "Grüße");
});

Deno.test("decoded() has json()", async () => {
  const { conn, response } = await respond("zstd", zstd(new TextEncoder().encode('{"a":[1,"ü"]}')));
  using _ = conn;
  assertEquals(await response.decoded().json(), { a: [1, "ü"] });
});

for (const call of ["text", "json"] as const) {
  Deno.test(`decoded() has ${call}(), which throws what the stream throws`, async () => {
    const { conn, response } = await respond("gzip", gzip(CONTENT).slice(0, -1));
    using _ = conn;
    await assertRejects(() => response.decoded()[call](), HTTPException, "ends within");
  });

  Deno.test(`decoded() has ${call}(), which throws a TypeError when the stream is locked`, async () => {
    const { conn, response } = await respond("gzip", gzip(CONTENT));
    using _ = conn;
    const content = response.decoded();
    const reader = content.getReader();
    await assertRejects(() => content[call](), TypeError);
    await reader.cancel();
  });
}

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

/** A response of gzip, and of a CR LF that has not come yet. */
async function respondWithTail() {
  const body = gzip(CONTENT);
  const fake = new FakeTransport();
  fake.arrive(
    `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length + 2}\r\n\r\n`,
  );
  fake.release(body.slice(), false);
  const conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  return { fake, conn, content: (await conn.getresponse()).decoded() };
}

Deno.test("decoded() leaves the connection reusable when something stands behind, and comes later", async () => {
  const { fake, conn, content } = await respondWithTail();
  using _ = conn;
  const text = content.text();
  await microtasks(100);
  fake.arrive("\r\n");
  assertEquals(await soon(text), TEXT);
  assertEquals(fake.closes, 0);
});

Deno.test("decoded() throws IncompleteRead when the connection ends behind the content, and not the body", async () => {
  const { fake, conn, content } = await respondWithTail();
  using _ = conn;
  fake.end();
  await assertRejects(() => soon(content.text()), IncompleteRead);
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

Deno.test("decoded() gives nothing when nothing was sent, however many codings there are", async () => {
  for (const sent of [{ method: "HEAD", length: 100 }, { length: 0 }, { chunked: true }]) {
    assertSame(await decode("gzip, br, zstd", new Uint8Array(), sent), new Uint8Array());
  }
});

Deno.test("decoded() throws when the content of one coding is empty within another", async () => {
  const error = await assertRejects(
    () => decode("br, gzip", gzip(new Uint8Array())),
    HTTPException,
  );
  assert(error.message.includes("br"));
});

Deno.test("decoded() ends when the response is closed, also once all of the body has come", async () => {
  const { conn, response } = await respond("gzip", gzip(LARGE));
  using _ = conn;
  const pieces = response.decoded()[Symbol.asyncIterator]();
  await pieces.next();
  response.close();
  await assertRejects(async () => {
    while (!(await pieces.next()).done);
  }, Deno.errors.Interrupted);
});

/** Ways to read decoded content to its end. */
const READS: [name: string, read: (content: DecodedContent) => Promise<unknown>][] = [
  ["text()", (content) => content.text()],
  ["json()", (content) => content.json()],
  ["for await", async (content) => {
    for await (const _ of content);
  }],
];

for (const call of ["text", "json"] as const) {
  Deno.test(`decoded().${call}() leaves the content that had come in partial when it fails`, async () => {
    const { conn, response } = await respond("gzip", gzip(CONTENT).slice(0, -9));
    using _ = conn;
    await assertRejects(() => response.decoded()[call](), HTTPException);
    const partial = response.partial!;
    assert(partial.length > 0);
    assertSame(partial, CONTENT.subarray(0, partial.length));
  });
}

for (const [name, read] of READS) {
  Deno.test(`decoded() throws errors with facts that show who has called ${name}`, async () => {
    const { conn, response } = await respond("gzip", gzip(CONTENT).slice(0, -9));
    using _ = conn;
    async function callerFunction() {
      await read(response.decoded());
    }
    const error = await assertRejects(callerFunction, HTTPException);
    assert(error.stack!.includes("callerFunction"));
    assertEquals((error as ExchangeDetails).phase, "body");
  });
}

Deno.test("decoded() gives its pieces to a loop that may be left, and be gone on with", async () => {
  const { conn, response } = await respond("gzip", gzip(CONTENT));
  using _ = conn;
  const content = response.decoded();
  let text = "";
  for await (const piece of content.values({ preventCancel: true })) {
    text += new TextDecoder().decode(piece);
    break;
  }
  assertEquals(text + await content.text(), new TextDecoder().decode(CONTENT));
});

Deno.test("decoded() gives nothing when the body was read before", async () => {
  for (const untilClose of [false, true]) {
    const { conn, response } = await respond("gzip", gzip(CONTENT), { untilClose });
    using _ = conn;
    await response.read();
    assertSame(await contentOf(response), new Uint8Array());
  }
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

for (const coding of ["br", "zstd"]) {
  Deno.test(`decoded() refuses ${coding} when Deno cannot decode it`, async () => {
    await onDeno("2.6.8", async () => {
      // What the body is does not matter: it is not looked at.
      const error = await assertRejects(() => decode(coding, NOISE), Deno.errors.NotSupported);
      assertEquals(
        error.message,
        `Cannot decode body as ${coding} needs Deno 2.7.0 or later, and this is 2.6.8`,
      );
    });
  });
}

Deno.test("decoded() decodes gzip when Deno cannot decode br", async () => {
  await onDeno("2.6.8", async () => assertSame(await decode("gzip", gzip(NOISE)), NOISE));
});

Deno.test("decoded() gives nothing for br when Deno cannot decode it and the body is empty", async () => {
  await onDeno("2.6.8", async () => {
    assertSame(await decode("br", new Uint8Array()), new Uint8Array());
  });
});

Deno.test("read() throws the error again after content that could not be decoded, though the body has come", async () => {
  const fake = new FakeTransport([
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnonsense",
  ]);
  using conn = new HTTPConnection("example.com", over(fake));
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  const error = await assertRejects(() => response.decoded().text(), HTTPException);
  assertStrictEquals(await assertRejects(() => response.read()), error);
});
