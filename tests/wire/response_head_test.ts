/**
 * Response heads: status lines, interim responses, limits, what is refused and what stands right next
 * to it, and what a response then says of itself. The accepted values are those of CPython 3.13.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  BadStatusLine,
  HTTPException,
  HTTPResponse,
  IncompleteRead,
  LineTooLong,
  ProtocolError,
  RemoteDisconnected,
  ResponseNotReady,
  UnknownProtocol,
  UnknownTransferEncoding,
} from "../../mod.ts";
import { FakeTransport } from "../helpers/fake_transport.ts";
import { SegmentTransport } from "../parity/transports.ts";
import { begun, bytes, type ErrorClass, everyWay, latin1 } from "../helpers/split.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const END = "Content-Length: 0\r\n\r\n";

/** Status lines that are taken: the line, status, reason, version. */
const ACCEPTED: [line: string, status: number, reason: string, version: number][] = [
  ["HTTP/1.1 200 OK", 200, "OK", 11],
  ["HTTP/1.1 200", 200, "", 11],
  ["HTTP/1.1 200 ", 200, "", 11],
  ["HTTP/1.1 200  Two  Words ", 200, "Two  Words", 11],
  ["HTTP/1.1  200   OK", 200, "OK", 11],
  ["HTTP/1.1\t200\tOK", 200, "OK", 11],
  ["HTTP/1.1 \t200 \tOK \t", 200, "OK", 11],
  ["HTTP/1.1 200 \xa0OK\x85", 200, "\xa0OK\x85", 11],
  ["HTTP/1.1 200 \xc3\xa0", 200, "Ã\xa0", 11],
  ["HTTP/1.1 200 a\tb", 200, "a\tb", 11],
  [" HTTP/1.1 200 OK", 200, "OK", 11],
  ["HTTP/1.1 999 Odd", 999, "Odd", 11],
  ["HTTP/1.1 200 Gr\xfc\xdfe", 200, "Grüße", 11],
  ["HTTP/1.1 200 a\x80\x9fb", 200, "a\x80\x9fb", 11],
  ["HTTP/1.0 404 Not Found", 404, "Not Found", 10],
  ["HTTP/0.9 200 OK", 200, "OK", 10],
  ["HTTP/1.2 200 OK", 200, "OK", 11],
];

for (const [line, ...expected] of ACCEPTED) {
  Deno.test(`begin() accepts the status line ${JSON.stringify(line)}`, async () => {
    await everyWay(`${line}\r\n${END}`, async (transport) => {
      const { status, reason, version } = await begun(transport);
      assertEquals([status, reason, version], expected);
    });
  });
}

/** Status lines that are none. CPython takes those of `+200`, `2_0_0` and `0200`. */
const REFUSED = [
  "",
  "<html>",
  "200 OK",
  "ICY 200 OK",
  "http/1.1 200 OK",
  "HTTP/1.1",
  "HTTP/1.1 ",
  "HTTP/1.1 OK",
  "HTTP/1.1 20 OK",
  "HTTP/1.1 099 Low",
  "HTTP/1.1 000 Low",
  "HTTP/1.1 1000 High",
  "HTTP/1.1 0200 OK",
  "HTTP/1.1 +200 OK",
  "HTTP/1.1 +20 OK",
  "HTTP/1.1 -200 OK",
  "HTTP/1.1 2_0_0 OK",
  "HTTP/1.1 2_0 OK",
  "HTTP/1.1 0x1 OK",
  "HTTP/1.1 200.0 OK",
  "HTTP/1.1 200OK",
  "HTTP/1.1 \xb2\xb2\xb2 OK",
];

for (const line of REFUSED) {
  Deno.test(`begin() throws a BadStatusLine with the line when that is ${JSON.stringify(line)}`, async () => {
    await everyWay(`${line}\r\n${END}`, async (transport) => {
      const error = await assertRejects(() => begun(transport), BadStatusLine);
      // What cannot begin a status line is refused as soon as that shows.
      const seen = /^[ \t]*HTTP\//.test(line) ? `${line}\r\n` : error.line;
      assertEquals([error.line, error.name], [seen, "BadStatusLine"]);
      assert(seen !== "" && `${line}\r\n${END}`.startsWith(seen));
      assertEquals(transport.closed, true);
    });
  });
}

/** Control bytes, other blanks, and versions that are none: CPython takes nearly all of these. */
const CONTROLS = [
  "HTTP/1.1 200\x0bOK",
  "HTTP/1.1 200\rOK",
  "HTTP/1.1 200 OK\rContent-Length: 0",
  "HTTP/1.1 200 OK\r",
  "HTTP/1.1 200 \rOK",
  "HTTP/1.1 200 OK\0",
  "HTTP/1.1 200 \x01",
  "HTTP/1.1 200 OK\x7f",
  "HTTP/1.1 200 O\x0cK",
  "HTTP/1.1 200 OK\x1f",
  "HTTP/1.1\x00 200 OK",
  "HTTP/1.1\x85200\xa0OK",
  "HTTP/1.1\xa0200 OK",
  "HTTP/1.1 200\xa0OK",
  "HTTP/1.1\x1c200\x1cOK",
  "\rHTTP/1.1 200 OK",
  "\x0bHTTP/1.1 200 OK",
  "\xa0HTTP/1.1 200 OK",
  "HTTP/1.15 200 OK",
  "HTTP/1.1.1 200 OK",
  "HTTP/1. 200 OK",
  "HTTP/1.1x 200 OK",
  "HTTP/1.x 200 OK",
  "HTTP/1.-1 200 OK",
  "HTTP/1.\xb2 200 OK",
  "HTTP/1.11 100 Continue",
];

for (const line of CONTROLS) {
  Deno.test(`begin() throws a BadStatusLine when the status line is ${JSON.stringify(line)}`, async () => {
    await everyWay(`${line}\r\n${END}`, async (transport) => {
      await assertRejects(() => begun(transport), BadStatusLine);
    });
  });
}

/** What a peer may say that speaks something else, and then wait. */
for (
  const first of [
    "\x15\x03\x01",
    "SSH-2.0-x",
    "<",
    "h",
    "HTP",
    "\r",
    "\n",
    " \tX",
    "\0",
    "HTTPS/1.1",
  ]
) {
  Deno.test(`begin() throws a BadStatusLine at once when ${JSON.stringify(first)} comes first`, async () => {
    const transport = new FakeTransport([first]);
    const error = await assertRejects(() => begun(transport), BadStatusLine);
    assertEquals(error.line, first);
  });
}

for (const first of ["H", " HTTP", "HTTP/", "HTTP/1.1", "\t"]) {
  Deno.test(`begin() waits for more when ${JSON.stringify(first)} comes first`, async () => {
    const rest = "HTTP/1.1 200 OK\r\n".slice(first.trim().length);
    const transport = new FakeTransport([first, rest, END]);
    assertEquals((await begun(transport)).status, 200);
  });
}

for (const version of ["HTTP/2", "HTTP/2.0", "HTTP/3", "HTTP/", "HTTP/1"]) {
  Deno.test(`begin() throws an UnknownProtocol when the version is ${version}`, async () => {
    await everyWay(`${version} 200 OK\r\n${END}`, async (transport) => {
      const error = await assertRejects(() => begun(transport), UnknownProtocol);
      assertEquals([error.version, transport.closed], [version, true]);
    });
  });
}

Deno.test("begin() throws a BadStatusLine before the rest of the head has come", async () => {
  await assertRejects(() => begun(new FakeTransport(["SSH-2.0-x\r\n"])), BadStatusLine);
});

/** Interim responses before the final one. */
for (
  const interim of ["100 Continue", "102 Processing", "103 Early Hints", "104 New", "199 Last"]
) {
  Deno.test(`begin() skips ${interim} and its fields`, async () => {
    const wire = `HTTP/1.1 ${interim}\r\nLink: x\r\nContent-Length: 9\r\n\r\n${OK}A: b\r\n${END}`;
    await everyWay(wire, async (transport) => {
      const response = await begun(transport);
      assertEquals([response.status, response.getheader("Link")], [200, null]);
      assertEquals(response.getheader("A"), "b");
    });
  });
}

Deno.test("begin() takes 101 for the final response, without a body", async () => {
  const response = await begun("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nraw");
  assertEquals([response.status, response.length, response.will_close], [101, 0, false]);
  assertEquals(await response.text(), "");
});

Deno.test("begin() skips interim responses of several kinds", async () => {
  const wire = "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 102 P\r\n\r\n";
  await everyWay(wire + OK + END, async (transport) => {
    assertEquals((await begun(transport)).status, 200);
  });
});

for (const status of [100, 103]) {
  const interim = `HTTP/1.1 ${status} X\r\n\r\n`;

  Deno.test(`begin() skips 100 interim responses of ${status}`, async () => {
    assertEquals((await begun(interim.repeat(100) + OK + END)).status, 200);
  });

  Deno.test(`begin() throws an HTTPException when there are 101 interim responses of ${status}`, async () => {
    const transport = new SegmentTransport([bytes(interim.repeat(101) + OK + END)]);
    const error = await assertRejects(() => begun(transport), HTTPException);
    assertEquals([error.name, transport.closed], ["HTTPException", true]);
  });
}

Deno.test("begin() skips 100 when it is HTTP/1.0", async () => {
  assertEquals((await begun(`HTTP/1.0 100 C\r\n\r\n${OK}${END}`)).status, 200);
});

Deno.test("begin() throws an IncompleteRead with what came when the connection ends within the head", async () => {
  const wire = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\n\r\n";
  for (let count = 1; count < wire.length; count++) {
    const came = wire.slice(0, count);
    const transport = new SegmentTransport([bytes(came)]);
    const error = await assertRejects(() => begun(transport), IncompleteRead, "", came);
    assertEquals([latin1(error.partial), error.expected], [came, null]);
    assertEquals(transport.closed, true);
  }
});

Deno.test("begin() accepts a head that ends with its blank line", async () => {
  assertEquals((await begun("HTTP/1.1 200 OK\r\nA: b\r\n\r\n")).getheader("A"), "b");
});

Deno.test("begin() throws a RemoteDisconnected when the connection ends without a byte", async () => {
  const transport = new SegmentTransport([]);
  const error = await assertRejects(() => begun(transport), RemoteDisconnected);
  assert(error instanceof Deno.errors.ConnectionReset);
  assertEquals([error.line, transport.closed], ["''", true]);
});

Deno.test("begin() throws a RemoteDisconnected when the connection ends after an interim response", async () => {
  await assertRejects(() => begun("HTTP/1.1 100 C\r\n\r\n"), RemoteDisconnected);
});

Deno.test("begin() throws an IncompleteRead when a head that follows an interim response is cut", async () => {
  const error = await assertRejects(() => begun("HTTP/1.1 100 C\r\n\r\nHTTP/1"), IncompleteRead);
  assertEquals(latin1(error.partial), "HTTP/1");
});

/** A line of `size` bytes, its CRLF included. */
function line(start: string, size: number): string {
  return start + "x".repeat(size - start.length - 2) + "\r\n";
}

Deno.test("begin() accepts a status line of 65536 bytes", async () => {
  const response = await begun(line("HTTP/1.1 200 ", 65536) + END);
  assertEquals(response.reason.length, 65536 - 15);
});

Deno.test("begin() throws a LineTooLong when the status line has 65537 bytes", async () => {
  const wire = line("HTTP/1.1 200 ", 65537) + END;
  await assertRejects(() => begun(wire), LineTooLong, "status line");
});

Deno.test("begin() accepts a header line of 65536 bytes", async () => {
  const response = await begun(OK + line("A: ", 65536) + END);
  assertEquals(response.getheader("a")?.length, 65536 - 5);
});

Deno.test("begin() throws a LineTooLong when a header line has 65537 bytes", async () => {
  const wire = OK + line("A: ", 65537) + END;
  await assertRejects(() => begun(wire), LineTooLong, "header line");
});

Deno.test("begin() throws a LineTooLong when a header line of an interim response has 65537 bytes", async () => {
  const wire = "HTTP/1.1 103 E\r\n" + line("A: ", 65537) + "\r\n" + OK + END;
  await assertRejects(() => begun(wire), LineTooLong, "header line");
});

for (const [what, start] of [["status", "HTTP/1.1 200 "], ["header", `${OK}A: `]]) {
  Deno.test(`begin() throws a LineTooLong with little more than 64 KiB read when a ${what} line is endless`, async () => {
    let taken = 0;
    let first = bytes(start);
    const transport = {
      read(p: Uint8Array) {
        const piece = p.subarray(0, 5000).fill(120);
        piece.set(first);
        first = new Uint8Array(0);
        taken += piece.length;
        return Promise.resolve(piece.length);
      },
      write: (p: Uint8Array) => Promise.resolve(p.length),
      close() {},
    };
    await assertRejects(() => begun(transport), LineTooLong, `${what} line`);
    assert(taken < 80_000, `${taken} bytes were read`);
  });
}

Deno.test("begin() accepts 100 header fields", async () => {
  assertEquals((await begun(`${OK}${"A: b\r\n".repeat(100)}\r\n`)).getheaders().length, 100);
});

Deno.test("begin() throws an HTTPException when there are 101 header fields", async () => {
  const transport = new SegmentTransport([bytes(`${OK}${"A: b\r\n".repeat(101)}\r\n`)]);
  const error = await assertRejects(() => begun(transport), HTTPException, "100");
  assertEquals([error.name, transport.closed], ["HTTPException", true]);
});

Deno.test("begin() throws an HTTPException when an interim response has 101 header fields", async () => {
  const wire = `HTTP/1.1 103 E\r\n${"A: b\r\n".repeat(101)}\r\n${OK}${END}`;
  await assertRejects(() => begun(wire), HTTPException, "100");
});

Deno.test("begin() refuses an endless head at its 101st line", async () => {
  const endless = new FakeTransport([OK + "A: b\r\n".repeat(101)]);
  await assertRejects(() => begun(endless), HTTPException);
});

/** Field lines that are defects, between two fields that count. */
const DEFECTS: [line: string, problem: string][] = [
  ["no colon", "no-colon"],
  [": no name", "illegal-name"],
  ["a b: illegal", "illegal-name"],
  ["a\xe9: illegal", "illegal-name"],
  ["Name : blank", "blank-before-colon"],
  ["Name\t: blank", "blank-before-colon"],
];

for (const [text, problem] of DEFECTS) {
  Deno.test(`begin() reports a defect and reads on when a field line is ${JSON.stringify(text)}`, async () => {
    await everyWay(`${OK}A: 1\r\n${text}\r\nB: 2\r\n${END}`, async (transport) => {
      const { headers } = await begun(transport);
      assertEquals(headers.items(), [["A", "1"], ["B", "2"], ["Content-Length", "0"]]);
      assertEquals(headers.defects as unknown[], [{ problem, line: text }]);
    });
  });
}

/** Heads in which a laxer peer could see other framing. */
const HIDDEN = [
  "Content-Length : 5",
  "Content-Length\t: 5",
  "Content-Length",
  "Content-Length 5",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding\x0b: chunked",
  "transfer-encoding chunked",
  " Content-Length: 5",
  "\tTransfer-Encoding: chunked",
  "\xa0Content-Length: 5",
  "Content-Length:\r\n 5",
  "Content-Length: 5\r\n\t",
  "Transfer-Encoding:\r\n\tchunked",
  "Transfer-Encoding: chunked\r\n , identity",
  "A: b\0c",
  "A: b\rc",
  "A: b\r\r",
  "A\0: b",
  "A: b\rContent-Length: 5",
];

for (const text of HIDDEN) {
  Deno.test(`begin() throws a ProtocolError when a head has ${JSON.stringify(text)}`, async () => {
    await everyWay(`${OK}${text}\r\n\r\nhello`, async (transport) => {
      await assertRejects(() => begun(transport), ProtocolError);
      assertEquals(transport.closed, true);
    });
  });
}

/** Fields that stand right next to what is refused. */
const TAKEN: [lines: string, name: string, value: string][] = [
  ["X-Content-Length : 5\r\nA: b", "a", "b"],
  ["Content-Lengths: 5", "content-lengths", "5"],
  ["Content_Length: 5", "content_length", "5"],
  ["A: b\r\n c", "a", "b c"],
  ["A: b \t\r\n \t c\r\n\td", "a", "b c d"],
  ["A:\r\n b", "a", "b"],
  ["A: b\tc\x7f\x01", "a", "b\tc\x7f\x01"],
  ["A: b\nC: d", "c", "d"],
  ["A: caf\xe9", "a", "café"],
  ["A:b", "a", "b"],
  ["A: \t b", "a", "b"],
  ["A: b  ", "a", "b"],
  ["A: b\t \t", "a", "b"],
  ["A: \t ", "a", ""],
  ["A: b\xa0", "a", "b\xa0"],
  ["A:", "a", ""],
  ["A: b: c", "a", "b: c"],
];

for (const [lines, name, value] of TAKEN) {
  Deno.test(`getheader() gives ${JSON.stringify(value)} when a head has ${JSON.stringify(lines)}`, async () => {
    await everyWay(`${OK}${lines}\r\n${END}`, async (transport) => {
      assertEquals((await begun(transport)).getheader(name), value);
    });
  });
}

Deno.test("begin() accepts a head whose lines end in bare LF", async () => {
  await everyWay("HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nok", async (transport) => {
    const response = await begun(transport);
    assertEquals([response.reason, response.getheader("A")], ["OK", "b"]);
    assertEquals(await response.text(), "ok");
  });
});

Deno.test("begin() accepts a head whose lines end in CRLF and in bare LF", async () => {
  await everyWay("HTTP/1.1 200 OK\nA: b\r\nContent-Length: 2\n\r\nok", async (transport) => {
    assertEquals(await (await begun(transport)).text(), "ok");
  });
});

/** Framing that is refused, and with what. */
const FRAMINGS: [lines: string, error: ErrorClass][] = [
  ["Content-Length: +5", ProtocolError],
  ["Content-Length: 5\r\nContent-Length: 6", ProtocolError],
  ["Transfer-Encoding: gzip, chunked", UnknownTransferEncoding],
];

for (const [lines, error] of FRAMINGS) {
  Deno.test(`begin() closes the transport and throws each time when a head has ${JSON.stringify(lines)}`, async () => {
    const transport = new SegmentTransport([bytes(`${OK}${lines}\r\n\r\nhello`)]);
    const response = new HTTPResponse(transport);
    const first = await assertRejects(() => response.begin(), error);
    assertEquals([transport.closed, response.isclosed()], [true, true]);
    assertEquals(await assertRejects(() => response.begin()) === first, true);
    assertEquals(await assertRejects(() => response.read()) === first, true);
  });
}

Deno.test("begin() reads the head once when it is called twice", async () => {
  const response = await begun(`${OK}Content-Length: 2\r\n\r\nok`);
  await response.begin();
  assertEquals(await response.text(), "ok");
});

Deno.test("begin() reads the head once when it is called twice at once", async () => {
  const source = new SegmentTransport([bytes(`${OK}Content-Length: 2\r\n\r\nok`)]);
  const response = new HTTPResponse(source);
  await Promise.all([response.begin(), response.begin()]);
  assertEquals(await response.text(), "ok");
});

const FIELDS = `${OK}A: 1\r\nb: 2\r\na: 3\r\nEmpty:\r\n${END}`;

Deno.test("getheaders() gives the fields in their order and case, repeated ones too", async () => {
  const expected = [["A", "1"], ["b", "2"], ["a", "3"], ["Empty", ""], ["Content-Length", "0"]];
  assertEquals((await begun(FIELDS)).getheaders() as string[][], expected);
});

/** `getheader` with a fallback. */
const GETHEADER: [name: string, fallback: unknown, value: unknown][] = [
  ["a", undefined, "1, 3"],
  ["B", undefined, "2"],
  ["Empty", "x", ""],
  ["None", undefined, null],
  ["None", "x", "x"],
  ["None", "", ""],
  ["None", 5, 5],
  ["None", ["x", "y"], "x, y"],
  ["None", [], ""],
  ["b", ["x", "y"], "2"],
];

for (const [name, fallback, value] of GETHEADER) {
  Deno.test(`getheader("${name}", ${JSON.stringify(fallback)}) gives ${JSON.stringify(value)}`, async () => {
    assertEquals((await begun(FIELDS)).getheader(name, fallback), value);
  });
}

Deno.test("headers, msg and info() give the same object", async () => {
  const response = await begun(FIELDS);
  assertEquals([response.msg, response.info()].every((one) => one === response.headers), true);
});

Deno.test("getcode() gives the status, and geturl() the URL", async () => {
  const source = new SegmentTransport([bytes(FIELDS)]);
  const response = new HTTPResponse(source, { url: "http://a/b" });
  await response.begin();
  assertEquals([response.getcode(), response.geturl(), response.url], [
    200,
    "http://a/b",
    "http://a/b",
  ]);
});

Deno.test("HTTPResponse has an empty url and debuglevel 0 when they are not given", async () => {
  const { url, debuglevel } = await begun(FIELDS);
  assertEquals([url, debuglevel], ["", 0]);
});

Deno.test("body is the response itself", async () => {
  const response = await begun(FIELDS);
  assertEquals(response.body === response, true);
});

Deno.test("fileno() throws a NotSupported", async () => {
  const response = await begun(FIELDS);
  assertThrows(() => response.fileno(), Deno.errors.NotSupported, "fileno");
});

for (const method of ["getheader", "getheaders", "info"] as const) {
  Deno.test(`${method}() throws a ResponseNotReady when begin() was not called`, () => {
    const response = new HTTPResponse(new SegmentTransport([]));
    assertThrows(() => response[method]("A"), ResponseNotReady);
  });
}

Deno.test("HTTPResponse is open without length and trailers when begin() was not called", () => {
  const { closed, length, trailers } = new HTTPResponse(new SegmentTransport([]));
  assertEquals([closed, length, trailers], [false, null, null]);
});

Deno.test("close() closes the transport when begin() was not called", () => {
  const transport = new FakeTransport();
  const response = new HTTPResponse(transport);
  response.close();
  assertEquals([transport.closes, response.isclosed(), response.closed], [1, true, true]);
});

Deno.test("begin() throws the transport's own error", async () => {
  const reset = new Deno.errors.ConnectionReset("reset");
  const transport = {
    read: () => Promise.reject(reset),
    write: (p: Uint8Array) => Promise.resolve(p.length),
    close() {},
  };
  assertEquals(await assertRejects(() => begun(transport)) === reset, true);
});
