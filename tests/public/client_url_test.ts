/**
 * A `URL` as the host of a connection and as the target of a request.
 *
 * @module
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { HTTPConnection, HTTPSConnection } from "../../mod.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";

for (
  const [url, host, port] of [
    ["http://example.com", "example.com", 80],
    ["http://example.com:8080/a?b#c", "example.com", 8080],
    ["http://example.com:80", "example.com", 80],
    ["http://[::1]:81/", "::1", 81],
    ["http://bücher.example", "xn--bcher-kva.example", 80],
  ] as const
) {
  Deno.test(`HTTPConnection takes its host and port from ${url}`, () => {
    const conn = new HTTPConnection(new URL(url));
    assertEquals([conn.host, conn.port], [host, port]);
  });
}

Deno.test("HTTPSConnection takes its host and port from a URL", () => {
  for (
    const [url, port] of [["https://a.example", 443], ["https://a.example:8443", 8443]] as const
  ) {
    const conn = new HTTPSConnection(new URL(url));
    assertEquals([conn.host, conn.port], ["a.example", port]);
  }
});

Deno.test("a URL as host leaves the options in their places", () => {
  assertEquals(new HTTPConnection(new URL("http://a.example"), { timeout: 5 }).timeout, 5);
  assertEquals(new HTTPConnection(new URL("http://a.example"), null, { timeout: 5 }).timeout, 5);
});

Deno.test("a URL without a port means that of its scheme, whatever the default of a subclass is", async () => {
  class Other extends HTTPConnection {}
  Other.prototype.default_port = 8000;
  const url = new URL("http://a.example");
  using conn = new Other(url, over(answering(ok())));
  assertEquals(conn.port, 80);
  await conn.request("GET", url);
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("a connection throws a TypeError when its URL is of the other scheme", () => {
  assertThrows(
    () => new HTTPConnection(new URL("https://a.example")),
    TypeError,
    "its scheme must be http: for this class: got https:",
  );
  assertThrows(
    () => new HTTPSConnection(new URL("http://a.example")),
    TypeError,
    "its scheme must be https: for this class: got http:",
  );
  assertThrows(() => new HTTPConnection(new URL("ws://a.example")), TypeError, "got ws:");
});

Deno.test("a connection throws a TypeError when a port stands beside its URL", () => {
  assertThrows(
    () => new HTTPConnection(new URL("http://a.example"), 80),
    TypeError,
    "Cannot use port beside a URL",
  );
});

for (const user of ["me@", "me:secret@", ":secret@"]) {
  Deno.test(`a URL with ${user} throws a TypeError, and does not tell it`, async () => {
    const url = new URL(`http://${user}a.example/`);
    const { message } = assertThrows(() => new HTTPConnection(url), TypeError);
    assertEquals(
      message,
      "Cannot use URL as host as it has a user or a password: send them in an Authorization field",
    );
    const transport = new FakeTransport();
    using conn = new HTTPConnection("a.example", over(transport));
    await assertRejects(() => conn.request("GET", url), TypeError, "Cannot use URL as target");
    assertEquals(transport.sent, "");
  });
}

for (
  const [url, target] of [
    ["http://a.example", "/"],
    ["http://a.example/b/c?d=e&f#g", "/b/c?d=e&f"],
    ["http://A.example:80/ü?ü", "/%C3%BC?%C3%BC"],
  ]
) {
  Deno.test(`request() sends the path and the query of ${url}`, async () => {
    const transport = answering(ok());
    using conn = new HTTPConnection("a.example", over(transport));
    await conn.request("GET", new URL(url));
    await (await conn.getresponse()).read();
    assertEquals(transport.sent.split("\r\n").slice(0, 2), [
      `GET ${target} HTTP/1.1`,
      "Host: a.example",
    ]);
  });
}

for (
  const [host, url] of [
    ["A.Example", "http://a.example/"],
    ["a.example:8080", "http://a.example:8080/"],
    ["bücher.example", "http://bücher.example/"],
    ["[0:0:0:0:0:0:0:1]:81", "http://[::1]:81/"],
  ]
) {
  Deno.test(`request() takes ${url} when the host is ${host}`, async () => {
    using conn = new HTTPConnection(host, over(answering(ok())));
    await conn.request("GET", new URL(url));
    assertEquals(await (await conn.getresponse()).text(), "ok");
  });
}

for (
  const url of [
    "http://b.example/",
    "http://a.example:81/",
    "https://a.example/",
    "https://a.example:80/",
    "file:///a",
  ]
) {
  Deno.test(`request() rejects with a TypeError and sends nothing when the URL is ${url}`, async () => {
    const transport = answering(ok());
    using conn = new HTTPConnection("a.example", over(transport));
    await assertRejects(() => conn.request("GET", new URL(url)), TypeError, "of another origin");
    assertEquals(transport.sent, "");
    await conn.request("GET", "/");
    assertEquals(await (await conn.getresponse()).text(), "ok");
  });
}

Deno.test("request() compares a URL with what is behind the tunnel", async () => {
  const transport = new FakeTransport([], {
    answers: ["HTTP/1.1 200 Connected\r\n\r\n", ok()],
  });
  using conn = new HTTPConnection("proxy.example", 3128, over(transport));
  conn.set_tunnel("a.example", 80);
  await assertRejects(
    () => conn.request("GET", new URL("http://proxy.example:3128/")),
    TypeError,
    "got http://proxy.example:3128 for http://a.example",
  );
  await conn.request("GET", new URL("http://a.example/b"));
  assertEquals(await (await conn.getresponse()).text(), "ok");
});
