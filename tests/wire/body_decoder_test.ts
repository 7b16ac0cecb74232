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
import { DEFAULT_SETTINGS } from "../../_internal/exchange/connection.ts";
import { WholeBytes } from "../../_internal/wire/buffered_bytes.ts";
import type { Framing } from "../../_internal/wire/framing.ts";
import { BufferedReader } from "../../_internal/net/buffered_reader.ts";
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
async function decode(decoder: BodyDecoder, source: BufferedReader, room = 1000): Promise<Decoded> {
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
  return await decode(decoder, new BufferedReader(new SegmentTransport([bytes(text)])));
}

/** What a source has left. */
async function left(source: BufferedReader): Promise<string> {
  while (await source.fill());
  return latin1(source.take(source.available));
}

const BODIES: [name: string, make: () => BodyDecoder, wire: string, text: string][] = [
  ["a body by length", () => ofLength(5), "hello", "hello"],
  ["an empty body by length", () => ofLength(0), "", ""],
  ["a chunked body", chunked, "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"],
  ["an empty chunked body", chunked, "0\r\n\r\n", ""],
  ["a chunked body with trailers", chunked, "5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", "hello"],
];

for (const [name, make, wire, text] of BODIES) {
  for (const room of [1, 2, 1000]) {
    Deno.test(`decoderFor() decodes ${name} by ${room} and leaves what follows`, async () => {
      await everyWay(`${wire}BEHIND`, async (transport) => {
        const source = new BufferedReader(transport);
        const decoder = make();
        assertEquals(await decode(decoder, source, room), { text, whole: true });
        assertEquals([decoder.ended, await left(source)], [true, "BEHIND"]);
      });
    });
  }

  Deno.test(`decoderFor() reports ${name} as incomplete when it is cut anywhere`, async () => {
    // The last chunk's line is the end, whether or not the blank line came.
    const end = wire.includes("0\r\n") ? wire.indexOf("0\r\n") + 3 : wire.length;
    for (let count = 0; count < end; count++) {
      const { text: came, whole } = await decodeText(wire.slice(0, count), make());
      assertEquals([whole, text.startsWith(came)], [false, true], wire.slice(0, count));
    }
  });
}

Deno.test("decoderFor() takes everything up to the end of the source when a body goes until close", async () => {
  await everyWay("hello", async (transport) => {
    assertEquals(await decode(untilClose(), new BufferedReader(transport)), {
      text: "hello",
      whole: true,
    });
  });
});

Deno.test("length counts down when it is known, and is null when it is not", () => {
  const source = new BufferedReader(new SegmentTransport([]));
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

Deno.test("ahead() counts the rest of the current chunk, whether or not it has come", async () => {
  const source = new BufferedReader(new SegmentTransport([bytes("5\r\nhe")]));
  const decoder = chunked();
  assertEquals(decoder.ahead(), 0);
  await source.fill();
  assertEquals([decoder.ready(source), decoder.ahead()], [2, 5]);
});

Deno.test("pull() removes the framing of a whole run of chunks", async () => {
  const source = new BufferedReader(
    new SegmentTransport([bytes("1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n")]),
  );
  await source.fill();
  const target = new Uint8Array(10);
  assertEquals(chunked().pull(source, target, 0, 10), 4);
  assertEquals(latin1(target.subarray(0, 4)), "abcd");
});

Deno.test("pull() moves what precedes broken framing, and keeps the error for ready()", async () => {
  const source = new BufferedReader(new SegmentTransport([bytes("1\r\na\r\nz\r\n")]));
  await source.fill();
  const decoder = chunked();
  assertEquals(decoder.pull(source, new Uint8Array(10), 0, 10), 1);
  assert(decoder.broken instanceof ProtocolError);
  assertThrows(() => decoder.ready(source), ProtocolError);
});

Deno.test("pull() does not look behind the content when it fills the target", async () => {
  const source = new BufferedReader(new SegmentTransport([bytes("1\r\naXX")]));
  await source.fill();
  const decoder = chunked();
  assertEquals(decoder.pull(source, new Uint8Array(1), 0, 1), 1);
  assertEquals([decoder.broken, latin1(source.take(source.available))], [null, "XX"]);
});

/** Size lines that are taken for 5. */
const SIZES = ["5", "05", `${"0".repeat(100)}5`, "5 ", "5\t", "5 \t ;a", "5;", "5;a", "5;a=b"];
const EXTENSIONS = ['5;a="b c"', "5;a=b;c", "5;;", "5; a = b", "5;\xe9", "5;5"];

for (const size of [...SIZES, ...EXTENSIONS]) {
  Deno.test(`ready() accepts the chunk-size line ${JSON.stringify(size.slice(0, 20))}`, async () => {
    await everyWay(`${size}\r\nhello\r\n0\r\n\r\n`, async (transport) => {
      const decoded = await decode(chunked(), new BufferedReader(transport));
      assertEquals(decoded, { text: "hello", whole: true });
    });
  });
}

for (const [size, count] of [["a", 10], ["A", 10], ["fF", 255], ["0fF0", 4080]] as const) {
  Deno.test(`ready() reads the chunk size ${size} as ${count}`, async () => {
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
  Deno.test(`ready() throws a ProtocolError when a chunk-size line is ${JSON.stringify(size.slice(0, 20))}`, async () => {
    await everyWay(`1\r\na\r\n${size}\r\nhello\r\n0\r\n\r\n`, async (transport) => {
      await assertRejects(() => decode(chunked(), new BufferedReader(transport)), ProtocolError);
    });
  });
}

Deno.test("ready() accepts a chunk size of 2^53-1", async () => {
  const source = new BufferedReader(new SegmentTransport([bytes("1FFFFFFFFFFFFF\r\nx")]));
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
  Deno.test(`ready() throws a ProtocolError when there is ${name}`, async () => {
    await everyWay(wire, async (transport) => {
      await assertRejects(() => decode(chunked(), new BufferedReader(transport)), ProtocolError);
    });
  });
}

Deno.test("ready() throws a ProtocolError when a bare LF stands within an extension", async () => {
  await assertRejects(() => decodeText("5;a=b\nc\r\nhello\r\n0\r\n\r\n"), ProtocolError);
});

Deno.test("ready() refuses a wrong byte behind the data before a second one has come", async () => {
  const source = new BufferedReader(new SegmentTransport([bytes("1\r\naX")]));
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

Deno.test("ready() accepts a chunk-size line of 65536 bytes", async () => {
  const { text } = await decodeText(`${sizeLine(65536)}hello\r\n0\r\n\r\n`, chunked(WIDE));
  assertEquals(text, "hello");
});

Deno.test("ready() throws a LineTooLong when a chunk-size line has 65537 bytes", async () => {
  const wire = `${sizeLine(65537)}hello\r\n0\r\n\r\n`;
  await assertRejects(() => decodeText(wire, chunked(WIDE)), LineTooLong, "chunk size");
});

Deno.test("ready() throws a LineTooLong when a chunk-size line does not end", async () => {
  await assertRejects(() => decodeText("5;".padEnd(70_000, "x")), LineTooLong, "chunk size");
});

Deno.test("ready() accepts 65536 bytes of extensions, and throws an HTTPException at one more", async () => {
  const wire = (size: number) => `${sizeLine(40_000)}hello\r\n${sizeLine(size)}hello\r\n0\r\n\r\n`;
  // A size and a line end are three bytes of a line, 256 are free; the data makes up for five.
  const fits = 65536 - (40_000 - 3 - 256) + 5 + 3 + 256;
  assertEquals((await decodeText(wire(fits))).text, "hellohello");
  await assertRejects(() => decodeText(wire(fits + 1)), HTTPException, "extensions");
});

/** What may stand beside the digits of a size: an extension, blanks, leading zeros. */
const PADDINGS: [name: string, line: (size: number) => string][] = [
  ["extensions", (size) => "1;".padEnd(size, "x")],
  ["blanks", (size) => "1".padEnd(size, " ")],
  ["leading zeros", (size) => "1".padStart(size, "0")],
];

for (const [name, line] of PADDINGS) {
  Deno.test(`ready() accepts 256 bytes of ${name} in each of many size lines`, async () => {
    const count = 2000;
    const wire = `${line(257)}\r\na\r\n`.repeat(count) + "0\r\n\r\n";
    assertEquals((await decodeText(wire)).text, "a".repeat(count));
  });

  Deno.test(`ready() throws an HTTPException when ${name} are far more than the data`, async () => {
    const wire = `${line(60_000)}\r\na\r\n`.repeat(3) + "0\r\n\r\n";
    await assertRejects(() => decodeText(wire), HTTPException, "extensions");
  });

  Deno.test(`ready() accepts ${name} that are less than the data`, async () => {
    const data = "x".repeat(5000);
    const wire = `${line(5000).replace("1", "1388")}\r\n${data}\r\n`.repeat(100) + "0\r\n\r\n";
    assertEquals((await decodeText(wire)).text.length, 500_000);
  });
}

Deno.test("endIn() is null when the overhead before it and behind are over the limit together", async () => {
  const decoder = chunked();
  const padded = `${"1;".padEnd(60_000, "x")}\r\na\r\n`;
  const source = new BufferedReader(new SegmentTransport([bytes(padded.repeat(2) + "0\r\n\r\n")]));
  while (await source.fill() > 0);
  assertEquals(decoder.endIn(source), null);
  assertEquals(decoder.ready(source), 1);
  source.start++;
  decoder.took(1);
  assertEquals(decoder.endIn(source), null);
});

for (const [count, over] of [[100, false], [101, true]] as const) {
  Deno.test(`ready() ${over ? "throws an HTTPException" : "succeeds"} when there are ${count} trailer lines`, async () => {
    const wire = `0\r\n${"A: b\r\n".repeat(count)}\r\n`;
    if (over) await assertRejects(() => decodeText(wire), HTTPException, "trailers");
    else assertEquals((await decodeText(wire)).whole, true);
  });
}

Deno.test("ready() refuses an endless trailer section at its 101st line", async () => {
  const source = new BufferedReader(
    new SegmentTransport([bytes("0\r\n" + "A: b\r\n".repeat(101))]),
  );
  await source.fill();
  assertThrows(() => chunked().ready(source), HTTPException);
});

/** A trailer line of so many bytes, its CRLF included. */
function trailerLine(size: number): string {
  return `A: ${"x".repeat(size - 5)}\r\n`;
}

Deno.test("ready() accepts a trailer line of 65536 bytes", async () => {
  assertEquals((await decodeText(`0\r\n${trailerLine(65536)}\r\n`)).whole, true);
});

Deno.test("ready() throws a LineTooLong when a trailer line has 65537 bytes", async () => {
  const wire = `0\r\n${trailerLine(65537)}\r\n`;
  await assertRejects(() => decodeText(wire), LineTooLong, "trailer line");
});

Deno.test("trailers is null until the end of the body was seen", async () => {
  const decoder = chunked();
  assertEquals(decoder.trailers, null);
  await decodeText("0\r\nA: b\r\na: c \r\n\r\n", decoder);
  assertEquals(decoder.trailers?.fields, ["A", "b", "a", "c"]);
});

Deno.test("trailers reports a defect when a line is not a field", async () => {
  const decoder = chunked();
  await decodeText("0\r\nno colon\r\nA: b\r\n\r\n", decoder);
  assertEquals(decoder.trailers?.fields, ["A", "b"]);
  assertEquals(decoder.trailers?.defects.map(({ line }) => line), ["no colon"]);
});

for (const line of ["A: \0", "A: b\rc", "Content-Length : 5"]) {
  Deno.test(`ready() throws a ProtocolError when a trailer is ${JSON.stringify(line)}`, async () => {
    await assertRejects(() => decodeText(`0\r\n${line}\r\n\r\n`), ProtocolError);
  });
}

Deno.test("trailers treats framing fields as any other field", async () => {
  const decoder = chunked();
  const { text } = await decodeText("1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n", decoder);
  assertEquals([text, decoder.trailers?.fields], ["a", ["Content-Length", "9"]]);
});

Deno.test("pull() takes the framing out in place and leaves every byte as it is, whatever the chunks", () => {
  for (const at of [0, 3]) {
    for (let size = 1; size <= 130; size++) {
      // All values stand at all places, those of a NaN as well.
      const data = Uint8Array.from({ length: 5 * size }, (_, i) => 255 - ((i * 37 + size) & 255));
      const parts: Uint8Array[] = [new Uint8Array(at)];
      for (let i = 0; i < data.length; i += size) {
        parts.push(bytes(`${size.toString(16)}\r\n`), data.subarray(i, i + size), bytes("\r\n"));
      }
      // The buffer need not begin where its memory does.
      const memory = new Uint8Array([
        9,
        ...parts.flatMap((part) => [...part]),
        ...bytes("0\r\n\r\n"),
      ]);
      const buffer = memory.subarray(1);
      const source = new WholeBytes(buffer, at);
      const decoder = chunked();
      const end = decoder.pull(source, buffer, at, buffer.length);
      assertEquals(latin1(buffer.subarray(at, end)), latin1(data));
      assertEquals(decoder.ready(source), ENDED);
      assertEquals(memory[0], 9);
    }
  }
});
