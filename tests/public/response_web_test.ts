/**
 * What a response has of a web `Response`, and `drain()`.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { HTTPConnection, type HTTPResponse, IncompleteRead } from "../../mod.ts";
import { answering, FakeTransport, ok, over } from "../helpers/fake_transport.ts";

/** The response to a request that is answered so. */
async function responseTo(conn: HTTPConnection): Promise<HTTPResponse> {
  await conn.request("GET", "/");
  return await conn.getresponse();
}

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

for (
  const [status, is] of [[200, true], [204, true], [299, true], [300, false], [404, false]] as const
) {
  Deno.test(`ok is ${is} when the status is ${status}`, async () => {
    using conn = new HTTPConnection(
      "a.example",
      over(answering(`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`)),
    );
    assertEquals((await responseTo(conn)).ok, is);
  });
}

Deno.test("arrayBuffer() gives memory of exactly the body", async () => {
  for (const answer of [ok("hello"), `${CHUNKED}2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n`]) {
    using conn = new HTTPConnection("a.example", over(answering(answer)));
    const buffer = await (await responseTo(conn)).arrayBuffer();
    assert(buffer instanceof ArrayBuffer);
    assertEquals(new TextDecoder().decode(buffer), "hello");
  }
});

Deno.test("arrayBuffer() throws IncompleteRead when the body ends early", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
  using conn = new HTTPConnection("a.example", over(transport));
  const response = await responseTo(conn);
  transport.end();
  await assertRejects(() => response.arrayBuffer(), IncompleteRead);
});

for (const [field, type] of [["Content-Type: image/png\r\n", "image/png"], ["", ""]]) {
  Deno.test(`blob() has the body, and the type ${JSON.stringify(type)}`, async () => {
    using conn = new HTTPConnection("a.example", over(answering(ok("hello", field))));
    const blob = await (await responseTo(conn)).blob();
    assertEquals([await blob.text(), blob.type], ["hello", type]);
  });
}

Deno.test("json() has the type that it is taken for", async () => {
  using conn = new HTTPConnection("a.example", over(answering(ok('{"a":1}'))));
  const { a } = await (await responseTo(conn)).json<{ a: number }>();
  assertEquals(a.toFixed(1), "1.0");
});

for (
  const [what, answer] of [
    ["has a length", ok("hello")],
    ["is chunked", `${CHUNKED}5\r\nhello\r\n0\r\n\r\n`],
    ["is empty", ok("")],
  ]
) {
  for (const limit of [undefined, 5, 6, Infinity]) {
    Deno.test(`drain(${limit}) keeps the connection when a body ${what}`, async () => {
      const transport = answering(answer, ok("next"));
      using conn = new HTTPConnection("a.example", over(transport));
      const response = await responseTo(conn);
      assertEquals([await response.drain(limit), response.isclosed()], [true, true]);
      assertEquals(await (await responseTo(conn)).text(), "next");
      assertEquals(transport.closes, 0);
    });
  }
}

for (
  const [what, answer] of [
    ["has a length", ok("hello")],
    ["is chunked", `${CHUNKED}5\r\nhello\r\n0\r\n\r\n`],
    ["comes in many chunks", `${CHUNKED}${"1\r\nx\r\n".repeat(5)}0\r\n\r\n`],
  ]
) {
  for (const limit of [0, 4]) {
    Deno.test(`drain(${limit}) closes the connection when a body ${what}`, async () => {
      const transport = answering(answer);
      using conn = new HTTPConnection(
        "a.example",
        over(transport, answering(ok("next"))),
      );
      const response = await responseTo(conn);
      assertEquals([await response.drain(limit), response.isclosed()], [false, true]);
      assertEquals(transport.closes, 1);
      assertEquals(await (await responseTo(conn)).text(), "next");
    });
  }
}

Deno.test("drain() reads 64 KiB and no more by default", async () => {
  for (const [size, all] of [[65536, true], [65537, false]] as const) {
    const body = `${size.toString(16)}\r\n${"x".repeat(size)}\r\n0\r\n\r\n`;
    using conn = new HTTPConnection("a.example", over(answering(CHUNKED + body)));
    assertEquals(await (await responseTo(conn)).drain(), all);
  }
});

Deno.test("drain() does not read a body whose length is over the limit", async () => {
  let reads = 0;
  class Counting extends FakeTransport {
    override read(target: Uint8Array): Promise<number | null> {
      reads++;
      return super.read(target);
    }
  }
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n";
  using conn = new HTTPConnection("a.example", over(new Counting([], { answers: [head] })));
  const response = await responseTo(conn);
  const before = reads;
  assertEquals([await response.drain(), reads], [false, before]);
});

Deno.test("drain() reads what a call before has left", async () => {
  const transport = answering(ok("hello"), ok("next"));
  using conn = new HTTPConnection("a.example", over(transport));
  const response = await responseTo(conn);
  await response.read(2);
  assertEquals(await response.drain(3), true);
  assertEquals(await (await responseTo(conn)).text(), "next");
});

Deno.test("drain() is true of a body that was read, and throws when the response was closed before", async () => {
  using conn = new HTTPConnection("a.example", over(answering(ok("hello"), ok("hello"))));
  const read = await responseTo(conn);
  await read.read();
  assertEquals(await read.drain(), true);
  const closed = await responseTo(conn);
  closed.close();
  await assertRejects(() => closed.drain(), Deno.errors.Interrupted);
});

Deno.test("drain() throws IncompleteRead when the body ends early", async () => {
  const transport = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
  using conn = new HTTPConnection("a.example", over(transport));
  const response = await responseTo(conn);
  transport.end();
  await assertRejects(() => response.drain(), IncompleteRead);
});

Deno.test("drain() rejects when its limit is no number of bytes", async () => {
  using conn = new HTTPConnection("a.example", over(answering(ok("hello"))));
  const response = await responseTo(conn);
  await assertRejects(() => response.drain(1.5), TypeError);
  assertEquals(await response.text(), "hello");
});
