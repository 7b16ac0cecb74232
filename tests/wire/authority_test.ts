import { assertEquals, assertThrows } from "@std/assert";
import { authorityOf, hostField, splitHostPort, uriHost } from "../../_internal/wire/authority.ts";
import { InvalidURL } from "../../errors.ts";

/** What is given, and the host and port that CPython makes of it. */
const SPLIT: [given: [host: string, port?: number | null], host: string, port: number][] = [
  [["example.com"], "example.com", 80],
  [["example.com:8080"], "example.com", 8080],
  [["example.com:"], "example.com", 80],
  [["example.com:08080"], "example.com", 8080],
  [["example.com:0"], "example.com", 0],
  [["example.com:65535"], "example.com", 65535],
  [["example.com", null], "example.com", 80],
  [["example.com", undefined], "example.com", 80],
  [["example.com", 0], "example.com", 0],
  [["example.com", 81], "example.com", 81],
  [["127.0.0.1:81"], "127.0.0.1", 81],
  [["[::1]"], "::1", 80],
  [["[::1]:"], "::1", 80],
  [["[::1]:81"], "::1", 81],
  [["[::1]", 81], "::1", 81],
  [["::1", 81], "::1", 81],
  [["[fe80::1%eth0]:81"], "fe80::1%eth0", 81],
  // CPython: the last colon counts, brackets or not.
  [["::1"], ":", 1],
  [["1:2::5:80"], "1:2::5", 80],
  [["a]:1"], "a]", 1],
  [["[::1]x"], "[::1]x", 80],
  // CPython: with a port, the host is taken as it is.
  [["example.com:80", 81], "example.com:80", 81],
  [[""], "", 80],
  [[":81"], "", 81],
  [["[]"], "", 80],
  [["["], "[", 80],
  [["b\xfccher.example"], "b\xfccher.example", 80],
];

for (const [given, host, port] of SPLIT) {
  Deno.test(`splitHostPort(${JSON.stringify(given).slice(1, -1)}) gives ${host} and ${port}`, () => {
    assertEquals(splitHostPort(given[0], given[1], 80), { host, port });
  });
}

const REFUSED: [host: string, port?: number][] = [
  ["example.com:http"],
  ["example.com:80x"],
  ["example.com:0x50"],
  ["example.com:8 0"],
  ["example.com:-80"],
  ["example.com:+80"],
  ["example.com:8_0"],
  ["example.com:8.5"],
  ["example.com:\u0661"],
  ["example.com:65536"],
  ["example.com:99999999999999999999"],
  ["[::1]:x"],
  ["a:b:c"],
  ["example.com", -1],
  ["example.com", 65536],
  ["example.com", 80.5],
  ["example.com", NaN],
  ["a b"],
  [" a"],
  ["a\r\nX: y"],
  ["a\rb"],
  ["a\nb"],
  ["a\tb"],
  ["a\0b"],
  ["a\x7fb"],
  ["a\r\n:80"],
];

for (const [host, port] of REFUSED) {
  Deno.test(`splitHostPort(${JSON.stringify(host)}, ${port}) throws an InvalidURL`, () => {
    assertThrows(() => splitHostPort(host, port, 80), InvalidURL);
  });
}

Deno.test("splitHostPort() throws a TypeError when the host is not a string", () => {
  assertThrows(() => splitHostPort(1 as unknown as string, 80, 80), TypeError);
});

Deno.test("splitHostPort() quotes the port that it refuses", () => {
  assertThrows(() => splitHostPort("example.com:http", null, 80), InvalidURL, '"http"');
  assertThrows(
    () => splitHostPort("http://example.com:80/", null, 80),
    InvalidURL,
    "a URL as the host must be a URL object",
  );
});

Deno.test("splitHostPort() escapes line breaks of the host in its message", () => {
  const error = assertThrows(() => splitHostPort("a\r\nb", null, 80), InvalidURL);
  assertEquals(/[\r\n]/.test(error.message), false);
});

const URI_HOSTS: [host: string, spelled: string][] = [
  ["example.com", "example.com"],
  ["A.Example", "A.Example"],
  ["127.0.0.1", "127.0.0.1"],
  ["::1", "[::1]"],
  ["[::1]", "[::1]"],
  ["fe80::1%eth0", "[fe80::1]"],
  ["b\xfccher.example", "xn--bcher-kva.example"],
  ["B\xdcCHER.example", "xn--bcher-kva.example"],
  ["xn--bcher-kva.example", "xn--bcher-kva.example"],
  ["\u2603.example", "xn--n3h.example"],
  ["a\u3002b", "a.b"],
  ["", ""],
];

for (const [host, spelled] of URI_HOSTS) {
  Deno.test(`uriHost(${JSON.stringify(host)}) gives ${JSON.stringify(spelled)}`, () => {
    assertEquals(uriHost(host), spelled);
  });
}

// A URL parser would take these apart, and leave another host.
for (
  const host of ["\xfc@evil.example", "\xfc/evil", "\xfc?evil", "\xfc#evil", "\xfc\\evil", "\xfc:1"]
) {
  Deno.test(`uriHost(${JSON.stringify(host)}) throws an InvalidURL, since that is not a domain name`, () => {
    assertThrows(() => uriHost(host), InvalidURL);
  });
}

const HOST_FIELDS: [host: string, port: number, defaultPort: number, value: string][] = [
  ["example.com", 80, 80, "example.com"],
  ["example.com", 81, 80, "example.com:81"],
  ["example.com", 443, 443, "example.com"],
  ["example.com", 443, 80, "example.com:443"],
  ["example.com", 80, 443, "example.com:80"],
  ["::1", 80, 80, "[::1]"],
  ["::1", 8080, 80, "[::1]:8080"],
  ["fe80::1%eth0", 81, 80, "[fe80::1]:81"],
  ["b\xfccher.example", 81, 80, "xn--bcher-kva.example:81"],
  ["", 80, 80, ""],
];

for (const [host, port, defaultPort, value] of HOST_FIELDS) {
  Deno.test(`hostField() gives ${JSON.stringify(value)} for ${host} and ${port} when the default is ${defaultPort}`, () => {
    assertEquals(hostField({ host, port }, defaultPort), value);
  });
}

const AUTHORITIES: [target: string, authority: string | null][] = [
  ["http://a/", "a"],
  ["http://a", "a"],
  ["https://a:1/x", "a:1"],
  ["httpx://a/", "a"],
  ["http://a?q", "a"],
  ["http://a#f", "a"],
  ["http://[::1]:1/", "[::1]:1"],
  ["http://[fe80::1%25a]:1/", "[fe80::1]:1"],
  ["http://user:password@a:1/", "a:1"],
  ["http://a@b@c/", "c"],
  ["http://a/@b", "a"],
  ["/", null],
  ["/http://a/", null],
  ["*", null],
  ["a:443", null],
  ["//a/x", null],
  ["http:/a", null],
  ["http:///x", null],
  ["http:a", null],
  ["http", null],
  // CPython: only a target that starts with a small `http`.
  ["HTTP://a/", null],
  ["ftp://a/", null],
];

for (const [target, authority] of AUTHORITIES) {
  Deno.test(`authorityOf(${JSON.stringify(target)}) gives ${JSON.stringify(authority)}`, () => {
    assertEquals(authorityOf("GET", target), authority);
  });
}
