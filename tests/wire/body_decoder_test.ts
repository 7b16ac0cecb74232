/**
 * The body decoders, without a response around them: the grammar of chunked framing, the limits, what
 * is left unread, and how the connection may end.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type BodyDecoder,
  decoderFor,
  ENDED,
  NEED_MORE,
} from "../../_internal/wire/body_decoder.ts";
import { DEFAULT_SETTINGS } from "../../_internal/exchange/channel.ts";
import type { Framing } from "../../_internal/wire/framing.ts";
import { Buffered } from "../../_internal/net/line_reader.ts";
import { HTTPException, LineTooLong, ProtocolError } from "../../mod.ts";
import { SegmentTransport } from "../parity/transports.ts";
import { bytes, everyWay, latin1 } from "../helpers/split.ts";

type Limits = Parameters<typeof decoderFor>[1];

function chunked(limits: Partial<Limits> = {}): BodyDecoder {
  const framing: Framing = { delimiter: "chunked", length: null, chunked: true, willClose: false };
  return decoderFor(framing, { ...DEFAULT_SETTINGS, ...limits });
}

function ofLength(length: number): BodyDecoder {
  const framing: Framing = { delimiter: "length", length, chunked: false, willClose: false };
  return decoderFor(framing, DEFAULT_SETTINGS);
}

function untilClose(): BodyDecoder {
  const framing: Framing = { delimiter: "close", length: null, chunked: false, willClose: true };
  return decoderFor(framing, DEFAULT_SETTINGS);
}

/** What a decoder made of a source: the content, and whether it saw the end of the body. */
interface Decoded {
  text: string;
  whole: boolean;
}

/** Drives a decoder as a response does: `room` bytes of content at a time. */
async function decode(decoder: BodyDecoder, source: Buffered, room = 1000): Promise<Decoded> {
  const target = new Uint8Array(room);
  let text = "";
  for (;;) {
    const run = decoder.ready(source);
    if (run === ENDED) return { text, whole: true };
    if (run === NEED_MORE) {
      if (!(await source.fill()) && !decoder.eof(source)) return { text, whole: false };
      continue;
    }
    text += latin1(target.subarray(0, decoder.pull(source, target, 0, room)));
  }
}

async function decodeText(text: string, decoder = chunked()): Promise<Decoded> {
  return await decode(decoder, new Buffered(new SegmentTransport([bytes(text)])));
}

/** What a source has left. */
async function left(source: Buffered): Promise<string> {
  while (await source.fill());
  return latin1(source.take(source.available));
}

const BODIES: [name: string, make: () => BodyDecoder, wire: string, text: string][] = [
  ["length", () => ofLength(5), "hello", "hello"],
  ["length 0", () => ofLength(0), "", ""],
  ["chunked", chunked, "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"],
  ["chunked, empty", chunked, "0\r\n\r\n", ""],
  ["chunked with trailers", chunked, "5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", "hello"],
];

for (const [name, make, wire, text] of BODIES) {
  for (const room of [1, 2, 1000]) {
    Deno.test(`${name}: decoded ${room} bytes at a time, what follows is left`, async () => {
      await everyWay(`${wire}BEHIND`, async (transport) => {
        const source = new Buffered(transport);
        const decoder = make();
        assertEquals(await decode(decoder, source, room), { text, whole: true });
        assertEquals([decoder.ended, await left(source)], [true, "BEHIND"]);
      });
    });
  }

  Deno.test(`${name}: an end of the source before the end of the body is told`, async () => {
    // The last chunk's line is the end, whether or not the blank line came.
    const end = wire.includes("0\r\n") ? wire.indexOf("0\r\n") + 3 : wire.length;
    for (let count = 0; count < end; count++) {
      const { text: came, whole } = await decodeText(wire.slice(0, count), make());
      assertEquals([whole, text.startsWith(came)], [false, true], wire.slice(0, count));
    }
  });
}

Deno.test("until close: all there is, and its end is the end of the source", async () => {
  await everyWay("hello", async (transport) => {
    assertEquals(await decode(untilClose(), new Buffered(transport)), {
      text: "hello",
      whole: true,
    });
  });
});

Deno.test("length counts down, and is null where it is not known", () => {
  const source = new Buffered(new SegmentTransport([]));
  source.unread(bytes("hello"));
  const decoder = ofLength(5);
  decoder.pull(source, new Uint8Array(2), 0, 2);
  assertEquals([decoder.length, decoder.ahead()], [3, 3]);
  assertEquals([chunked().length, untilClose().length], [null, null]);
});

Deno.test("took() counts bytes that went another way", () => {
  const decoder = ofLength(5);
  decoder.took(5);
  assertEquals([decoder.length, decoder.ended], [0, true]);
});

Deno.test("a chunk's data is certain as far as the chunk goes", async () => {
  const source = new Buffered(new SegmentTransport([bytes("5\r\nhe")]));
  const decoder = chunked();
  assertEquals(decoder.ahead(), 0);
  await source.fill();
  assertEquals([decoder.ready(source), decoder.ahead()], [2, 5]);
});

Deno.test("pull() takes the framing out of a whole run of chunks", async () => {
  const source = new Buffered(new SegmentTransport([bytes("1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n")]));
  await source.fill();
  const target = new Uint8Array(10);
  assertEquals(chunked().pull(source, target, 0, 10), 4);
  assertEquals(latin1(target.subarray(0, 4)), "abcd");
});

Deno.test("pull() moves what stands before broken framing, and says what is broken", async () => {
  const source = new Buffered(new SegmentTransport([bytes("1\r\na\r\nz\r\n")]));
  await source.fill();
  const decoder = chunked();
  assertEquals(decoder.pull(source, new Uint8Array(10), 0, 10), 1);
  assert(decoder.broken instanceof ProtocolError);
  assertThrows(() => decoder.ready(source), ProtocolError);
});

Deno.test("content that fills the target leaves what follows it alone", async () => {
  const source = new Buffered(new SegmentTransport([bytes("1\r\naXX")]));
  await source.fill();
  const decoder = chunked();
  assertEquals(decoder.pull(source, new Uint8Array(1), 0, 1), 1);
  assertEquals([decoder.broken, latin1(source.take(source.available))], [null, "XX"]);
});

/** Size lines that are taken for 5. */
const SIZES = ["5", "05", `${"0".repeat(100)}5`, "5 ", "5\t", "5 \t ;a", "5;", "5;a", "5;a=b"];
const EXTENSIONS = ['5;a="b c"', "5;a=b;c", "5;;", "5; a = b", "5;\xe9", "5;5"];

for (const size of [...SIZES, ...EXTENSIONS]) {
  Deno.test(`chunk size line ${JSON.stringify(size)} is taken`, async () => {
    await everyWay(`${size}\r\nhello\r\n0\r\n\r\n`, async (transport) => {
      const decoded = await decode(chunked(), new Buffered(transport));
      assertEquals(decoded, { text: "hello", whole: true });
    });
  });
}

for (const [size, count] of [["a", 10], ["A", 10], ["fF", 255], ["0fF0", 4080]] as const) {
  Deno.test(`chunk size ${size} is ${count}`, async () => {
    const body = "x".repeat(count);
    assertEquals((await decodeText(`${size}\r\n${body}\r\n0\r\n\r\n`)).text, body);
  });
}

/** Size lines that are none, or whose size cannot be. */
const REFUSED = [
  "",
  " ",
  " 5",
  "\t5",
  "+5",
  "-5",
  "0x5",
  "5_0",
  "5 5",
  "5,",
  "5,5",
  "g",
  "5g",
  "5h;a",
  "1e1g",
  ";a",
  "\x0b5",
  "5\x0b",
  "5\xa0",
  "5\0",
  "5\r",
  "5\r\r",
  "5;a\rb",
  "5\rX",
  "\xb2",
  "20000000000000",
  "FFFFFFFFFFFFFFFF",
  "10000000000000005",
  "F".repeat(400),
];

for (const size of REFUSED) {
  Deno.test(`chunk size line ${JSON.stringify(size.slice(0, 20))} is refused`, async () => {
    await everyWay(`1\r\na\r\n${size}\r\nhello\r\n0\r\n\r\n`, async (transport) => {
      await assertRejects(() => decode(chunked(), new Buffered(transport)), ProtocolError);
    });
  });
}

Deno.test("the largest size is 2^53-1", async () => {
  const source = new Buffered(new SegmentTransport([bytes("1FFFFFFFFFFFFF\r\nx")]));
  const decoder = chunked();
  await source.fill();
  assertEquals([decoder.ready(source), decoder.ahead()], [1, Number.MAX_SAFE_INTEGER]);
});

/** Line ends of the framing that are none: bare LF, and what is not CRLF behind the data. */
const LINE_ENDS: [name: string, wire: string][] = [
  ["a bare LF behind the size", "5\nhello\r\n0\r\n\r\n"],
  ["a bare LF behind an extension", "5;a\nhello\r\n0\r\n\r\n"],
  ["a bare LF behind the data", "5\r\nhello\n0\r\n\r\n"],
  ["a bare CR behind the data", "5\r\nhello\r0\r\n\r\n"],
  ["CR and another byte behind the data", "5\r\nhello\rX0\r\n\r\n"],
  ["other bytes behind the data", "5\r\nhelloXX0\r\n\r\n"],
  ["one more byte of data", "5\r\nhello!\r\n0\r\n\r\n"],
  ["LF CR behind the data", "5\r\nhello\n\r0\r\n\r\n"],
  ["no line end behind the data", "5\r\nhello0\r\n\r\n"],
  ["a bare LF behind the last size", "5\r\nhello\r\n0\n\r\n"],
  ["a bare LF behind a trailer", "5\r\nhello\r\n0\r\nA: b\n\r\n"],
  ["a bare LF for the last line", "5\r\nhello\r\n0\r\n\n"],
];

for (const [name, wire] of LINE_ENDS) {
  Deno.test(`${name} is refused`, async () => {
    await everyWay(wire, async (transport) => {
      await assertRejects(() => decode(chunked(), new Buffered(transport)), ProtocolError);
    });
  });
}

Deno.test("a bare LF within an extension's line is its end, and refused", async () => {
  await assertRejects(() => decodeText("5;a=b\nc\r\nhello\r\n0\r\n\r\n"), ProtocolError);
});

Deno.test("a wrong byte behind the data is refused before a second one has come", async () => {
  const source = new Buffered(new SegmentTransport([bytes("1\r\naX")]));
  await source.fill();
  const decoder = chunked();
  decoder.pull(source, new Uint8Array(1), 0, 1);
  assertThrows(() => decoder.ready(source), ProtocolError);
});

/** A size line of so many bytes, its CRLF included. */
function sizeLine(size: number): string {
  return `5;${"x".repeat(size - 4)}\r\n`;
}

const WIDE = { extensions: 1 << 20 };

Deno.test("a size line of 65536 bytes is taken", async () => {
  const { text } = await decodeText(`${sizeLine(65536)}hello\r\n0\r\n\r\n`, chunked(WIDE));
  assertEquals(text, "hello");
});

Deno.test("a size line of 65537 bytes is a LineTooLong", async () => {
  const wire = `${sizeLine(65537)}hello\r\n0\r\n\r\n`;
  await assertRejects(() => decodeText(wire, chunked(WIDE)), LineTooLong, "chunk size");
});

Deno.test("a size line without end is a LineTooLong", async () => {
  await assertRejects(() => decodeText("5;".padEnd(70_000, "x")), LineTooLong, "chunk size");
});

Deno.test("extensions of 65536 bytes in all are taken, one byte more is an HTTPException", async () => {
  const wire = (size: number) => `${sizeLine(40_000)}hello\r\n${sizeLine(size)}hello\r\n0\r\n\r\n`;
  // A size and a line end are three bytes of a line.
  const fits = 65536 - (40_000 - 3) + 3;
  assertEquals((await decodeText(wire(fits))).text, "hellohello");
  await assertRejects(() => decodeText(wire(fits + 1)), HTTPException, "extensions");
});

for (const [count, over] of [[100, false], [101, true]] as const) {
  Deno.test(`${count} trailer lines are ${over ? "an HTTPException" : "taken"}`, async () => {
    const wire = `0\r\n${"A: b\r\n".repeat(count)}\r\n`;
    if (over) await assertRejects(() => decodeText(wire), HTTPException, "trailers");
    else assertEquals((await decodeText(wire)).whole, true);
  });
}

Deno.test("an endless trailer section is refused at its 101st line", async () => {
  const source = new Buffered(new SegmentTransport([bytes("0\r\n" + "A: b\r\n".repeat(101))]));
  await source.fill();
  assertThrows(() => chunked().ready(source), HTTPException);
});

/** A trailer line of so many bytes, its CRLF included. */
function trailerLine(size: number): string {
  return `A: ${"x".repeat(size - 5)}\r\n`;
}

Deno.test("a trailer line of 65536 bytes is taken", async () => {
  assertEquals((await decodeText(`0\r\n${trailerLine(65536)}\r\n`)).whole, true);
});

Deno.test("a trailer line of 65537 bytes is a LineTooLong", async () => {
  const wire = `0\r\n${trailerLine(65537)}\r\n`;
  await assertRejects(() => decodeText(wire), LineTooLong, "trailer line");
});

Deno.test("trailers are there once the end was seen, and not before", async () => {
  const decoder = chunked();
  assertEquals(decoder.trailers, null);
  await decodeText("0\r\nA: b\r\na: c \r\n\r\n", decoder);
  assertEquals(decoder.trailers?.fields, ["A", "b", "a", "c "]);
});

Deno.test("a trailer line that is no field is a defect", async () => {
  const decoder = chunked();
  await decodeText("0\r\nno colon\r\nA: b\r\n\r\n", decoder);
  assertEquals(decoder.trailers?.fields, ["A", "b"]);
  assertEquals(decoder.trailers?.defects.map(({ line }) => line), ["no colon"]);
});

for (const line of ["A: \0", "A: b\rc", "Content-Length : 5"]) {
  Deno.test(`trailer ${JSON.stringify(line)} is refused`, async () => {
    await assertRejects(() => decodeText(`0\r\n${line}\r\n\r\n`), ProtocolError);
  });
}

Deno.test("framing fields in the trailers are fields like any other", async () => {
  const decoder = chunked();
  const { text } = await decodeText("1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n", decoder);
  assertEquals([text, decoder.trailers?.fields], ["a", ["Content-Length", "9"]]);
});
