/**
 * Sections of field lines: finding their lines in whatever bytes have come, the limits, and what a
 * line is taken for.
 *
 * @module
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  DEFAULT_LIMITS,
  FIELDS,
  HEAD,
  type HeaderDefect,
  parseFieldLines,
  type SectionKind,
  type SectionLimits,
  SectionScanner,
  TRAILERS,
} from "../../_internal/wire/field_section.ts";
import { BufferedReader } from "../../_internal/net/buffered_reader.ts";
import { HTTPException, LineTooLong, ProtocolError } from "../../mod.ts";
import { SegmentTransport } from "../parity/transports.ts";
import { bytes, type ErrorClass, everyWay, latin1 } from "../helpers/split.ts";

/** A section that was scanned to its end. */
interface Scanned {
  text: string;
  scanner: SectionScanner;
}

/** Scans until the section is whole; `null` where the source ends before. */
async function scan(
  source: BufferedReader,
  kind: SectionKind = FIELDS,
  limits: Partial<SectionLimits> = {},
): Promise<Scanned | null> {
  const scanner = new SectionScanner(kind, { ...DEFAULT_LIMITS, ...limits });
  // A head's scan stops behind its first line, too.
  for (let lines = -1; !scanner.scan(source);) {
    const more = scanner.ends.length > lines && kind.startLine && scanner.ends.length === 1;
    lines = scanner.ends.length;
    if (!more && !(await source.fill())) return null;
  }
  return { text: latin1(source.take(scanner.ends[scanner.ends.length - 1])), scanner };
}

async function scanText(
  text: string,
  kind: SectionKind = FIELDS,
  limits: Partial<SectionLimits> = {},
): Promise<Scanned | null> {
  return await scan(new BufferedReader(new SegmentTransport([bytes(text)])), kind, limits);
}

/** The fields and defects of a section. */
async function parse(
  text: string,
): Promise<{ fields: string[]; defects: HeaderDefect[] }> {
  const scanned = await scanText(`${text}\r\n\r\n`);
  const { fields, defects } = parseFieldLines(scanned!.text, scanned!.scanner, 0);
  return { fields, defects };
}

const SECTIONS: [name: string, kind: SectionKind, text: string, ends: number[]][] = [
  ["fields", FIELDS, "A: 1\r\nB: 2\r\n\r\n", [6, 12, 14]],
  ["no fields", FIELDS, "\r\n", [2]],
  ["fields with bare LF", FIELDS, "A: 1\nB: 2\n\n", [5, 10, 11]],
  ["no fields, with bare LF", FIELDS, "\n", [1]],
  ["a head", HEAD, "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n", [17, 23, 25]],
  ["a head without fields", HEAD, "HTTP/1.1 200 OK\r\n\r\n", [17, 19]],
  ["trailers", TRAILERS, "A: 1\r\n\r\n", [6, 8]],
  ["no trailers", TRAILERS, "\r\n", [2]],
];

for (const [name, kind, text, ends] of SECTIONS) {
  Deno.test(`scan() finds the lines of ${name} in every delivery, and leaves what follows`, async () => {
    await everyWay(`${text}BEHIND\r\n\r\n`, async (transport) => {
      const source = new BufferedReader(transport);
      const scanned = await scan(source, kind);
      assertEquals([scanned?.text, scanned?.scanner.ends], [text, ends]);
      while (await source.fill());
      assertEquals(latin1(source.take(source.available)), "BEHIND\r\n\r\n");
    });
  });

  Deno.test(`scan() reports ${name} as incomplete when cut anywhere`, async () => {
    for (let count = 0; count < text.length; count++) {
      assertEquals(await scanText(text.slice(0, count), kind), null, `after ${count} bytes`);
    }
  });
}

Deno.test("scan() waits for the next byte when a CR is the last one so far", async () => {
  const scanned = await scan(
    new BufferedReader(new SegmentTransport([bytes("A: 1\r"), bytes("\n\r"), bytes("\n")])),
  );
  assertEquals([scanned?.scanner.suspicious, scanned?.scanner.ends], [false, [6, 8]]);
});

/** Trailers must not end in a bare LF: CVE-2025-22871. */
for (const text of ["\n", "A: 1\n\r\n", "A: 1\r\n\n"]) {
  Deno.test(`scan() throws a ProtocolError when the trailers are ${JSON.stringify(text)}`, async () => {
    await assertRejects(() => scanText(text, TRAILERS), ProtocolError);
  });
}

/** A row: the limits, a section that fits, one that does not, and the exception. */
const LIMITS: [
  name: string,
  limits: Partial<SectionLimits>,
  fits: string,
  over: string,
  error: ErrorClass,
][] = [
  ["a line", { line: 8 }, "A: 123\r\n\r\n", "A: 1234\r\n\r\n", LineTooLong],
  ["a line that is not at its end", { line: 8 }, "A: 123\r\n\r\n", "A: 123456", LineTooLong],
  ["the count", { count: 2 }, "A:\r\nB:\r\n\r\n", "A:\r\nB:\r\nC:\r\n\r\n", HTTPException],
  ["no fields at all", { count: 0 }, "\r\n", "A:\r\n\r\n", HTTPException],
];

for (const [name, limits, fits, over, error] of LIMITS) {
  Deno.test(`scan() accepts a section at the limit of ${name}, and refuses one over it`, async () => {
    assertEquals((await scanText(fits, FIELDS, limits))?.text, fits);
    const thrown = await assertRejects(() => scanText(over, FIELDS, limits), error);
    assertEquals(thrown.constructor, error);
  });
}

Deno.test("scan() accepts a section at the limit of its size, and refuses one over it", async () => {
  const text = "A: 1\r\nB: 2\r\n\r\n";
  assertEquals((await scanText(text, FIELDS, { bytes: text.length }))?.text, text);
  const limits = { bytes: text.length - 1 };
  await assertRejects(() => scanText(text, FIELDS, limits), HTTPException, "bytes");
});

Deno.test("scan() does not count the start line of a head as a field", async () => {
  const head = "HTTP/1.1 200 OK\r\nA:\r\nB:\r\n\r\n";
  assertEquals((await scanText(head, HEAD, { count: 2 }))?.text, head);
  await assertRejects(() => scanText(head, HEAD, { count: 1 }), HTTPException);
});

Deno.test("scan() names the kind of line that is too long", async () => {
  const wide = "x".repeat(70_000);
  await assertRejects(() => scanText(wide, HEAD), LineTooLong, "status line");
  await assertRejects(() => scanText(wide, FIELDS), LineTooLong, "header line");
  await assertRejects(() => scanText(wide, TRAILERS), LineTooLong, "trailer line");
});

Deno.test("DEFAULT_LIMITS are CPython's, and 1 MiB for a whole section", () => {
  assertEquals(DEFAULT_LIMITS, { line: 65536, count: 100, bytes: 1048576 });
});

/** A row: lines, and the fields in them. */
const PARSED: [lines: string, fields: string[]][] = [
  ["A: b", ["A", "b"]],
  ["A:b", ["A", "b"]],
  ["A: \t b", ["A", "b"]],
  ["A: b \t", ["A", "b"]],
  ["A: b\r\n \t\r\n c \t", ["A", "b c"]],
  ["A:", ["A", ""]],
  ["A:  ", ["A", ""]],
  ["A::b", ["A", ":b"]],
  ["A: b: c", ["A", "b: c"]],
  ["A: caf\xe9\x80\xff", ["A", "caf\xe9\x80\xff"]],
  ["A: \x01\x0b\x0c\x7f", ["A", "\x01\x0b\x0c\x7f"]],
  ["A: b\x85c\x1cd", ["A", "b\x85c\x1cd"]],
  ["!#$%&'*+-.^_`|~09az: b", ["!#$%&'*+-.^_`|~09az", "b"]],
  ["__proto__: b", ["__proto__", "b"]],
  ["A: 1\r\na: 2\r\nA: 1", ["A", "1", "a", "2", "A", "1"]],
  // obs-fold: one space (RFC 9112, Section 5.2). CPython keeps the line end.
  ["A: b\r\n c", ["A", "b c"]],
  ["A: b\r\n\tc", ["A", "b c"]],
  ["A: b  \r\n \t c", ["A", "b c"]],
  ["A: b\n c", ["A", "b c"]],
  ["A: b\r\n c\r\n d", ["A", "b c d"]],
  ["A:\r\n b", ["A", "b"]],
  ["A: b\r\n c: d", ["A", "b c: d"]],
  ["A: b\r\n c\r\nD: e", ["A", "b c", "D", "e"]],
  ["Content-Lengthy: 5\r\n 6", ["Content-Lengthy", "5 6"]],
  // Framing fields as they should be.
  ["Content-Length: 5", ["Content-Length", "5"]],
  ["transfer-encoding:chunked", ["transfer-encoding", "chunked"]],
];

for (const [lines, fields] of PARSED) {
  Deno.test(`parseFieldLines() reads the fields of ${JSON.stringify(lines)}`, async () => {
    assertEquals(await parse(lines), { fields, defects: [] });
  });
}

/** A row: a line that is no field, and why. */
const DEFECTS: [line: string, problem: HeaderDefect["problem"]][] = [
  ["no colon", "no-colon"],
  ["x", "no-colon"],
  [": no name", "illegal-name"],
  [":", "illegal-name"],
  ["a b: c", "illegal-name"],
  ["a(b): c", "illegal-name"],
  ["caf\xe9: c", "illegal-name"],
  ["a\x7f: c", "illegal-name"],
  ["a\x0b: c", "illegal-name"],
  ["A : b", "blank-before-colon"],
  ["A\t: b", "blank-before-colon"],
  ["A  : b", "blank-before-colon"],
  ["Content-Lengthy : 5", "blank-before-colon"],
  ["HTTP/1.1 200 OK", "no-colon"],
];

for (const [line, problem] of DEFECTS) {
  Deno.test(`parseFieldLines() reports ${problem} for ${JSON.stringify(line)}, and keeps its neighbours`, async () => {
    const { fields, defects } = await parse(`A: 1\r\n${line}\r\nB: 2`);
    assertEquals(fields, ["A", "1", "B", "2"]);
    assertEquals(defects, [{ problem, line }]);
  });
}

Deno.test("parseFieldLines() reports a stray fold when a section starts with one", async () => {
  assertEquals(await parse(" b\r\nA: 1"), {
    fields: ["A", "1"],
    defects: [{ problem: "stray-fold", line: " b" }],
  });
});

Deno.test("parseFieldLines() reports a stray fold when one follows a defect", async () => {
  const { fields, defects } = await parse("A: 1\r\nno colon\r\n b\r\nB: 2");
  assertEquals(fields, ["A", "1", "B", "2"]);
  assertEquals(defects.map(({ problem }) => problem), ["no-colon", "stray-fold"]);
});

Deno.test("parseFieldLines() takes a line of blanks for a fold, not for the end of the section", async () => {
  assertEquals((await parse("A: 1\r\n \t\r\nB: 2")).fields, ["A", "1", "B", "2"]);
});

/** Lines in which a laxer peer could read framing, or that carry a NUL or a bare CR. */
const REFUSED = [
  "Content-Length : 5",
  "Content-Length\t: 5",
  "content-length  : 5",
  "Content-Length",
  "Content-Length 5",
  "Content-Length\x0b: 5",
  "(Content-Length): 5",
  " Content-Length: 5",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding",
  "transfer-encoding chunked",
  "\xa0Transfer-Encoding: chunked",
  "Transfer-Encoding\xa0: chunked",
  "Content-Length: 5\r\n 6",
  "Content-Length:\r\n 5",
  "Transfer-Encoding:\r\n chunked",
  "TRANSFER-ENCODING: x\r\n\tchunked",
  "A: b\0",
  "A\0: b",
  "\0",
  "A: b\rc",
  "A: b\r\rc",
  "\rA: b",
  "A\r: b",
  "A: b\r\n\rc",
];

for (const lines of REFUSED) {
  Deno.test(`parseFieldLines() throws a ProtocolError when a section has ${JSON.stringify(lines)}`, async () => {
    await assertRejects(() => parse(lines), ProtocolError);
  });
}

Deno.test("parseFieldLines() takes a CR in front of a CRLF for a bare one", async () => {
  await assertRejects(() => parse("A: b\r"), ProtocolError);
});

Deno.test("parseFieldLines() refuses the whole section when one line has a NUL", async () => {
  await assertRejects(() => parse("A: 1\r\nB: \0\r\nC: 3"), ProtocolError);
});

Deno.test("parseFieldLines() starts at the given line, behind a start line", async () => {
  const { text, scanner } = (await scanText("HTTP/1.1 200 OK\r\nA: 1\r\n\r\n", HEAD))!;
  assertEquals(parseFieldLines(text, scanner, 1).fields, ["A", "1"]);
});

Deno.test("scan() throws again when it is called again on a broken section", async () => {
  const source = new BufferedReader(new SegmentTransport([bytes("A: 1\nB")]));
  await source.fill();
  const scanner = new SectionScanner(TRAILERS, DEFAULT_LIMITS);
  assertThrows(() => scanner.scan(source), ProtocolError);
  assertThrows(() => scanner.scan(source), ProtocolError);
});

Deno.test("parseFieldLines() shows no secret when a field has a NUL", async () => {
  const error = await assertRejects(() => parse("Set-Cookie: a=SECRET\0"), ProtocolError);
  assertEquals([error.message.includes("SECRET"), error.message.includes("Set-Cookie")], [
    false,
    true,
  ]);
});
