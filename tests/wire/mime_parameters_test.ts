/**
 * Parameters of fields: how they are read and written. Every value is what CPython 3.13's
 * `email.message.Message` answers.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { formatParameter, quote, unquote } from "../../_internal/wire/mime_parameters.ts";
import { HTTPMessage, type ParameterValue } from "../../mod.ts";

/** A message with a media type. */
function typed(value: string): HTTPMessage {
  return new HTTPMessage([["Content-Type", value]]);
}

type Params = [name: string, value: ParameterValue][];

/** A row: the field's value, and its parameters unquoted. */
const PARAMS: [value: string, params: Params][] = [
  ["t/h", [["t/h", ""]]],
  ["", [["", ""]]],
  ["t/h; a=b", [["t/h", ""], ["a", "b"]]],
  ['t/h; A=B; c="d e"', [["t/h", ""], ["a", "B"], ["c", "d e"]]],
  ["t/h;a=b;;c=d", [["t/h", ""], ["a", "b"], ["", ""], ["c", "d"]]],
  ["t/h; a", [["t/h", ""], ["a", ""]]],
  ["t/h; a=", [["t/h", ""], ["a", ""]]],
  ['t/h; a=""', [["t/h", ""], ["a", ""]]],
  ["t/h; a = b ", [["t/h", ""], ["a", "b"]]],
  ["t/h; a=b=c", [["t/h", ""], ["a", "b=c"]]],
  ["t/h; a=b; a=c", [["t/h", ""], ["a", "b"], ["a", "c"]]],
  ["; a=b", [["", ""], ["a", "b"]]],
  ["a=b; c=d", [["a", "b"], ["c", "d"]]],
  // Quoted strings.
  ['t/h; a="b;c"', [["t/h", ""], ["a", "b;c"]]],
  ['t/h; a="b\\"c"', [["t/h", ""], ["a", 'b"c']]],
  ['t/h; a="b\\\\c"', [["t/h", ""], ["a", "b\\c"]]],
  ["t/h; a='b'", [["t/h", ""], ["a", "'b'"]]],
  ["t/h; a=<b>", [["t/h", ""], ["a", "b"]]],
  ['t/h; a="open; b=c', [["t/h", ""], ["a", '"open; b=c']]],
  ['t/h; a="b" c', [["t/h", ""], ["a", '"b" c']]],
  ['t/h; a="b"; "q;r"; d=e', [["t/h", ""], ["a", "b"], ['"q;r"', ""], ["d", "e"]]],
  // RFC 2231 and RFC 8187.
  ["t/h; a*=utf-8'en'caf%C3%A9", [["t/h", ""], ["a", ["utf-8", "en", "caf\xc3\xa9"]]]],
  ["t/h; a*=utf-8''%zz", [["t/h", ""], ["a", ["utf-8", "", "%zz"]]]],
  ["t/h; a*=''z", [["t/h", ""], ["a", ["", "", "z"]]]],
  ["t/h; a*=x%41", [["t/h", ""], ["a", [null, null, "xA"]]]],
  ["t/h; a*=utf-8'", [["t/h", ""], ["a", [null, null, "utf-8'"]]]],
  ["t/h; a*=\"utf-8''x%20y\"", [["t/h", ""], ["a", ["utf-8", "", "x y"]]]],
  ["t/h; a*0=x; a*1=y", [["t/h", ""], ["a", "xy"]]],
  ["t/h; a*1=y; a*0=x", [["t/h", ""], ["a", "xy"]]],
  ["t/h; a*10=k; a*9=j; a*0=i", [["t/h", ""], ["a", "ijk"]]],
  ["t/h; a*0*=utf-8''caf%C3; a*1*=%A9; b=c", [
    ["t/h", ""],
    ["b", "c"],
    ["a", ["utf-8", "", "caf\xc3\xa9"]],
  ]],
  ["t/h; a*0*=utf-8''x; a*1=%A9", [["t/h", ""], ["a", ["utf-8", "", "x%A9"]]]],
];

for (const [value, params] of PARAMS) {
  Deno.test(`get_params() reads ${JSON.stringify(value)}`, () => {
    assertEquals(typed(value).get_params(), params);
  });
}

/** A row: the field's value, and its parameters as they are quoted. */
const QUOTED: [value: string, params: Params][] = [
  ["t/h; a=b", [["t/h", ""], ["a", '"b"']]],
  ["t/h; a", [["t/h", ""], ["a", '""']]],
  ["t/h; a=<b>", [["t/h", ""], ["a", '"b"']]],
  ['t/h; a="b\\"c"', [["t/h", ""], ["a", '"b\\"c"']]],
  ['t/h; a="b" c', [["t/h", ""], ["a", '"\\"b\\" c"']]],
  ["a=b; c=d", [["a", "b"], ["c", '"d"']]],
  ["t/h; a*=x%41", [["t/h", ""], ["a", [null, null, '"xA"']]]],
  ["t/h; a*=utf-8'en'x", [["t/h", ""], ["a", ["utf-8", "en", '"x"']]]],
];

for (const [value, params] of QUOTED) {
  Deno.test(`get_params() keeps the quotes of ${JSON.stringify(value)} when unquote is false`, () => {
    assertEquals(typed(value).get_params(null, "content-type", false), params);
  });
}

Deno.test("get_params() gives the fallback when the field is missing", () => {
  const message = typed("t/h");
  assertEquals(message.get_params(null, "x"), null);
  assertEquals(message.get_params("none", "x"), "none");
});

const DISPOSITION = new HTTPMessage([["Content-Disposition", 'attachment; filename="x"; Size=3']]);

/** A row: the arguments of `get_param`, and what it gives. */
const PARAM: [args: Parameters<HTTPMessage["get_param"]>, value: unknown][] = [
  [["filename", null, "content-disposition"], "x"],
  [["SIZE", null, "Content-Disposition"], "3"],
  [["filename", null, "content-disposition", false], '"x"'],
  [["attachment", null, "content-disposition"], ""],
  [["none", null, "content-disposition"], null],
  [["none", "f" as unknown as null, "content-disposition"], "f"],
  [["filename"], null],
  [["filename", "f" as unknown as null], "f"],
];

for (const [args, value] of PARAM) {
  Deno.test(`get_param(${JSON.stringify(args).slice(1, -1)}) gives ${JSON.stringify(value)}`, () => {
    assertEquals(DISPOSITION.get_param(...args) as unknown, value);
  });
}

/** A row: the media type, and its charset. */
const CHARSETS: [value: string | null, charset: string | null][] = [
  [null, null],
  ["t/h", null],
  ["t/h; charset=UTF-8", "utf-8"],
  ['t/h; charset="UTF-8"', "utf-8"],
  ["t/h; CHARSET=a", "a"],
  ["t/h; charset=", ""],
  ["t/h; charset", ""],
  ["t/h; charset='utf-8'", "'utf-8'"],
  ["t/h; charset=a; charset=b", "a"],
  ["t/h; charset=caf\xe9", null],
  ["t/h; charset*=us-ascii'en'UTF-8", "utf-8"],
  ["t/h; charset*=utf-8''%C3%A9", null],
  ["t/h; charset*=iso-8859-1''%E9", null],
  ["t/h; charset*=bogus''x%41", "xa"],
  ["t/h; charset*=''iso-8859-1", "iso-8859-1"],
  ["t/h; charset*0=ut; charset*1=f-8", "utf-8"],
];

for (const [value, charset] of CHARSETS) {
  Deno.test(`get_content_charset() gives ${JSON.stringify(charset)} for ${JSON.stringify(value)}`, () => {
    const message = value === null ? new HTTPMessage() : typed(value);
    assertEquals(message.get_content_charset(), charset);
    assertEquals(message.get_content_charset("none"), charset ?? "none");
  });
}

/** A row: Content-Disposition, and the file name in it. */
const FILENAMES: [value: string, filename: string | null][] = [
  ["attachment", null],
  ["attachment; filename=a.txt", "a.txt"],
  ['attachment; filename="a b.txt"', "a b.txt"],
  ['attachment; filename=" sp "', "sp"],
  ['attachment; filename="a\\"b"', 'a"b'],
  ["attachment; filename='x'", "'x'"],
  ['inline; filename=""', ""],
  ["attachment; FILENAME=x", "x"],
  ["attachment; filename=caf\xe9", "café"],
  ["attachment; filename*=utf-8''caf%C3%A9.txt", "café.txt"],
  ["attachment; filename*=UTF-8''%e2%82%ac", "€"],
  ["attachment; filename*=utf-8''%FF", "\ufffd"],
  ["attachment; filename*=iso-8859-1''caf%E9", "café"],
  ["attachment; filename*=bogus''caf%E9", "café"],
  ["attachment; filename*0=long; filename*1=name", "longname"],
  ["attachment; filename=x; filename*=utf-8''y", "x"],
  ["attachment; filename*=utf-8''y; filename=x", "x"],
];

for (const [value, filename] of FILENAMES) {
  Deno.test(`get_filename() gives ${JSON.stringify(filename)} for ${JSON.stringify(value)}`, () => {
    const message = new HTTPMessage([["Content-Disposition", value]]);
    assertEquals(message.get_filename(), filename);
    assertEquals(message.get_filename("none"), filename ?? "none");
  });
}

Deno.test("get_filename() gives the name of the media type when there is no file name", () => {
  assertEquals(typed('text/plain; name="n m"').get_filename(), "n m");
  const message = typed("text/plain; name=n.txt");
  message.append("Content-Disposition", "attachment");
  assertEquals(message.get_filename(), "n.txt");
});

Deno.test("get_filename() gives null or the fallback when there are no fields", () => {
  assertEquals([new HTTPMessage().get_filename(), new HTTPMessage().get_filename("d")], [
    null,
    "d",
  ]);
});

/** A row: the media type, and its boundary. */
const BOUNDARIES: [value: string, boundary: string | null][] = [
  ["multipart/mixed; boundary=abc", "abc"],
  ['multipart/mixed; boundary=" a b "', " a b"],
  ["multipart/mixed; boundary*=us-ascii''x%20", "x"],
  ["multipart/mixed", null],
];

for (const [value, boundary] of BOUNDARIES) {
  Deno.test(`get_boundary() gives ${JSON.stringify(boundary)} for ${JSON.stringify(value)}`, () => {
    assertEquals(typed(value).get_boundary(), boundary);
    assertEquals(typed(value).get_boundary("none"), boundary ?? "none");
  });
}

type Given = Record<string, ParameterValue | null>;

/** A row: what `add_header` is given, and the field's value. */
const ADDED: [value: string | null, params: Given, field: string][] = [
  ["b", {}, "b"],
  [null, {}, ""],
  ["b", { c: "d" }, 'b; c="d"'],
  ["b", { c_d: "e" }, 'b; c-d="e"'],
  ["b", { c: null }, "b; c"],
  ["b", { c: "" }, "b; c"],
  [null, { c: "d" }, 'c="d"'],
  [null, { c: null }, "c"],
  ["", { c: "d" }, '; c="d"'],
  ["b", { c: "d e", f: "g" }, 'b; c="d e"; f="g"'],
  ["b", { c: 'q"u\\o' }, 'b; c="q\\"u\\\\o"'],
  ["b", { c: "café" }, "b; c*=utf-8''caf%C3%A9"],
  ["b", { c: "€ 100%~_-.!*'()" }, "b; c*=utf-8''%E2%82%AC%20100%25~_-.%21%2A%27%28%29"],
  ["b", { c: ["utf-8", "en", "café"] }, "b; c*=utf-8'en'caf%C3%A9"],
  ["b", { c: ["iso-8859-1", "", "café"] }, "b; c*=iso-8859-1''caf%E9"],
  ["b", { c: ["utf-8", null, "x"] }, "b; c*=utf-8''x"],
  ["b", { c: [null, null, "x y"] }, "b; c*=x%20y"],
];

for (const [value, params, field] of ADDED) {
  Deno.test(`add_header("A", ${JSON.stringify(value)}, ${JSON.stringify(params)}) adds ${JSON.stringify(field)}`, () => {
    const message = new HTTPMessage();
    message.add_header("A", value, params);
    assertEquals(message.items(), [["A", field]]);
  });
}

/** What was written is read again. */
for (const text of ["plain", "two words", 'a"b\\c;d', "café", "€", "a'b", "%41"]) {
  Deno.test(`get_filename() reads the file name ${JSON.stringify(text)} as add_header() wrote it`, () => {
    const message = new HTTPMessage();
    message.add_header("Content-Disposition", "attachment", { filename: text });
    assertEquals(message.get_filename(), text);
  });
}

Deno.test("unquote() undoes quote()", () => {
  for (const text of ["", "a", 'a"b', "a\\b", '\\"', "\\\\"]) {
    assertEquals(unquote(`"${quote(text)}"`), text);
  }
});

Deno.test("unquote() leaves text without quotes as it is", () => {
  assertEquals(['"', "a", '"a', "<", "<a"].map(unquote), ['"', "a", '"a', "<", "<a"]);
});

Deno.test("formatParameter() quotes every plain value", () => {
  assertEquals(formatParameter("a", "b"), 'a="b"');
});
