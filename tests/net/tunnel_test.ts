/**
 * The CONNECT request, and the answers that open a tunnel.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { isOpened, tunnelTo } from "../../_internal/net/tunnel.ts";
import type { FieldValue } from "../../_internal/wire/request_head.ts";
import { bytes, latin1 } from "../servers/raw.ts";

type Fields = [string, FieldValue][];

/** The request's bytes as text. */
function sent(host: string, port: number, headers: Fields = []): string {
  return latin1(tunnelTo({ host, port }, headers).head.bytes());
}

Deno.test("tunnelTo() asks for the target's authority, and says it in Host", () => {
  assertEquals(
    sent("example.com", 8443),
    "CONNECT example.com:8443 HTTP/1.1\r\nHost: example.com:8443\r\n\r\n",
  );
});

Deno.test("tunnelTo() names the port when it is the scheme's own", () => {
  assertEquals(
    sent("example.com", 443),
    "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
  );
});

Deno.test("tunnelTo() writes an IPv6 address in brackets", () => {
  assertEquals(sent("::1", 443), "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
});

Deno.test("tunnelTo() sends the fields in their order, before Host", () => {
  const headers: Fields = [["Proxy-Authorization", "Basic eA=="], ["X-Raw", bytes("\xe9")], [
    "N",
    7,
  ]];
  assertEquals(
    sent("a.example", 1, headers),
    "CONNECT a.example:1 HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\nX-Raw: \xe9\r\nN: 7\r\n" +
      "Host: a.example:1\r\n\r\n",
  );
});

Deno.test("tunnelTo() sends the caller's Host in place of its own", () => {
  assertEquals(
    sent("a.example", 1, [["hOsT", "proxy.example"]]),
    "CONNECT a.example:1 HTTP/1.1\r\nhOsT: proxy.example\r\n\r\n",
  );
});

Deno.test("tunnelTo() gives the target", () => {
  const { host, port } = tunnelTo({ host: "::1", port: 443 }, []);
  assertEquals([host, port], ["::1", 443]);
});

/** What would make another request of it. */
const REFUSED: [what: string, host: string, headers: Fields][] = [
  ["a host with a line end", "a\r\nX: y", []],
  ["a host with a blank", "a b", []],
  ["a field name with a colon", "a", [["X:", "y"]]],
  ["a field value with a line end", "a", [["X", "y\r\nZ: 1"]]],
  ["two Host fields", "a", [["Host", "a"], ["Host", "b"]]],
];

for (const [what, host, headers] of REFUSED) {
  Deno.test(`tunnelTo() throws a TypeError when it is given ${what}`, () => {
    assertThrows(() => tunnelTo({ host, port: 1 }, headers), Error);
  });
}

for (
  const [status, opened] of [[199, false], [200, true], [299, true], [300, false], [407, false]]
) {
  Deno.test(`isOpened() is ${opened} when the status is ${status}`, () => {
    assertEquals(isOpened(status as number), opened);
  });
}
