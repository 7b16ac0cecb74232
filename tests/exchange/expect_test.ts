/**
 * `expect_continue`: the body waits for a 100, for a final answer, or for some seconds
 * (RFC 9110, Section 10.1.1).
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  BadStatusLine,
  CannotSendRequest,
  type ExchangeDetails,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  RemoteDisconnected,
  type RequestBody,
  type RequestOptions,
  type TLSContext,
} from "../../mod.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { bytes, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT } from "../tls/mod.ts";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const FIELDS = "Host: example.com\r\nAccept-Encoding: identity\r\n";

/** Fails a test that would wait for ever. */
async function soon<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("Waited in vain")), 1000);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Lets everything happen that is ready to happen. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** A connection to a server in memory that is silent, and a request that expects a 100. */
function expecting(
  body: RequestBody | null = "body",
  options: RequestOptions = { expect_continue: true },
  more: HTTPConnectionOptions = {},
): { conn: HTTPConnection; fake: FakeTransport; sent: Promise<void> } {
  const fake = new FakeTransport();
  const conn = new HTTPConnection("example.com", { ...over(fake), ...more });
  const sent = conn.request("POST", "/", body, {}, options);
  sent.catch(() => {});
  return { conn, fake, sent };
}

// On the wire

Deno.test("expect: the head goes out alone, with the field; the body after 100", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  await settled();
  assertEquals(fake.writes, [
    `POST / HTTP/1.1\r\n${FIELDS}Content-Length: 4\r\nExpect: 100-continue\r\n\r\n`,
  ]);
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
  fake.arrive(ok());
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("expect: a chunked body", async () => {
  const { conn, fake, sent } = expecting(["one", "two"]);
  using _ = conn;
  await settled();
  assertEquals(fake.writes.length, 1);
  assertStringIncludes(fake.writes[0], "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n");
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(fake.writes.slice(1).join(""), "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
});

Deno.test("expect: a large body", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(CONTINUE);
    await peer.readBytes(1_000_000);
    await peer.send(ok());
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("POST", "/", new Uint8Array(1_000_000), {}, { expect_continue: true });
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("expect: without a body there is nothing to wait for", async () => {
  const { conn, fake, sent } = expecting(null);
  using _ = conn;
  await soon(sent);
  assertEquals(fake.writes.join("").includes("Expect"), false);
});

Deno.test("expect: a field of the user's is sent once", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  const sent = conn.request("POST", "/", "body", { expect: "100-continue" }, {
    expect_continue: true,
  });
  sent.catch(() => {});
  await settled();
  assertEquals(fake.writes.join("").match(/expect: /gi), ["expect: "]);
  fake.arrive(CONTINUE);
  await soon(sent);
});

Deno.test("expect: a field of the user's without the option does not wait", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  await soon(conn.request("POST", "/", "body", { Expect: "100-continue" }));
  assert(fake.writes.join("").endsWith("\r\n\r\nbody"));
});

Deno.test("expect: by endheaders(), which sends the field, too", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", 4);
  const sent = conn.endheaders("body", { expect_continue: true });
  sent.catch(() => {});
  await settled();
  assertStringIncludes(fake.writes.join(""), "\r\nExpect: 100-continue\r\n");
  fake.arrive(CONTINUE);
  await soon(sent);
});

Deno.test("expect: the 100 is shown", async () => {
  const shown: number[] = [];
  const { conn, fake, sent } = expecting("body", { expect_continue: true }, {
    onInformational: (status) => shown.push(status),
  });
  using _ = conn;
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(shown, [100]);
});

Deno.test("expect: other interim responses do not open the way", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n");
  await settled();
  assertEquals(fake.writes.length, 1);
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
});

Deno.test("expect: a 100 that comes byte by byte", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  for (const byte of CONTINUE) fake.arrive(byte);
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
});

Deno.test("expect: two 100s", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive(CONTINUE + CONTINUE);
  await soon(sent);
  fake.arrive(ok());
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("expect: after 100 and the answer the connection is used again", async () => {
  await using server = await startRaw(async (peer) => {
    for (let i = 0; i < 3; i++) {
      await peer.readHead();
      await peer.send(CONTINUE);
      await peer.readBytes(4);
      await peer.send(ok(String(i)));
    }
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  for (let i = 0; i < 3; i++) {
    await soon(conn.request("POST", "/", "body", {}, { expect_continue: true }));
    assertEquals(await (await conn.getresponse()).text(), String(i));
  }
  assertEquals(server.accepted, 1);
});

// A final answer

/** A body, and how often it was asked for. */
interface Asked {
  body: RequestBody;
  asked: () => number;
}

const SOURCES: [string, () => Asked][] = [
  ["an iterable", () => {
    let count = 0;
    const next = () => {
      count++;
      return { done: true as const, value: undefined };
    };
    return { body: { [Symbol.iterator]: () => ({ next }) }, asked: () => count };
  }],
  ["an async iterable", () => {
    let count = 0;
    const next = () => {
      count++;
      return Promise.resolve({ done: true as const, value: undefined });
    };
    return { body: { [Symbol.asyncIterator]: () => ({ next }) }, asked: () => count };
  }],
  ["a generator", () => {
    let count = 0;
    function* body() {
      count++;
      yield "x";
    }
    return { body: body(), asked: () => count };
  }],
  ["a ReadableStream", () => {
    let count = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        count++;
        controller.enqueue(bytes("x"));
      },
    }, { highWaterMark: 0 });
    return { body, asked: () => count };
  }],
  ["a Reader", () => {
    let count = 0;
    const read = () => {
      count++;
      return Promise.resolve(null);
    };
    return { body: { read }, asked: () => count };
  }],
  ["a Blob", () => {
    let count = 0;
    class Watched extends Blob {
      override stream() {
        count++;
        return super.stream();
      }
    }
    return { body: new Watched(["body"]), asked: () => count };
  }],
];

for (const [name, make] of SOURCES) {
  for (const status of ["401 Unauthorized", "413 Content Too Large", "417 Expectation Failed"]) {
    Deno.test(`expect: ${name} is not read where the answer is ${status}`, async () => {
      const { body, asked } = make();
      const fake = new FakeTransport();
      using conn = new HTTPConnection("example.com", over(fake));
      const sent = conn.request("POST", "/", body, {}, { expect_continue: true });
      sent.catch(() => {});
      await settled();
      fake.arrive(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`);
      await soon(sent);
      const response = await conn.getresponse();
      assertEquals(response.status, parseInt(status));
      assertEquals(await response.text(), "no");
      assertEquals(asked(), 0);
      assertEquals(fake.writes.length, 1);
    });
  }
}

Deno.test("expect: bytes are not sent where the answer is final", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive(ok());
  await soon(sent);
  assertEquals(await (await conn.getresponse()).text(), "ok");
  assertEquals(fake.writes.length, 1);
});

Deno.test("expect: after a final answer without the body the connection is not used again", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(peer.index === 0 ? "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n" : ok());
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await soon(conn.request("POST", "/", "body", {}, { expect_continue: true }));
  const response = await conn.getresponse();
  assertEquals([response.status, await response.text()], [417, ""]);
  await conn.request("GET", "/");
  assertEquals(await (await conn.getresponse()).text(), "ok");
  assertEquals(server.peers[0].text.endsWith("\r\n\r\n"), true);
});

Deno.test("expect: 100, and then a final answer while the body goes out", async () => {
  let given = 0;
  async function* body() {
    for (;;) {
      given++;
      yield new Uint8Array(65536);
      await null;
    }
  }
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(CONTINUE);
    await peer.readBytes(100_000);
    await peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await soon(conn.request("POST", "/", body(), {}, { expect_continue: true }));
  const response = await conn.getresponse();
  assertEquals([response.status, await response.text()], [413, "big"]);
  assert(given > 0);
});

Deno.test("expect: 101 is final: the body is not sent", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive("HTTP/1.1 101 Switching Protocols\r\n\r\nnew");
  await soon(sent);
  assertEquals((await conn.getresponse()).status, 101);
  assertEquals([...conn.detach().buffered], [...bytes("new")]);
  assertEquals(fake.writes.length, 1);
});

// No answer

Deno.test("expect: after the seconds the body goes out", async () => {
  const { conn, fake, sent } = expecting("body", { expect_continue: 0.02 });
  using _ = conn;
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
  fake.arrive(CONTINUE + ok());
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("expect: a 100 before the seconds have passed sends the body at once", async () => {
  const { conn, fake, sent } = expecting("body", { expect_continue: 1000 });
  using _ = conn;
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
});

Deno.test("expect: more seconds than a timer can take do not pass at once", async () => {
  const { conn, fake } = expecting("body", { expect_continue: 1e9 });
  using _ = conn;
  await settled();
  assertEquals(fake.writes.length, 1);
});

for (const seconds of [-1, NaN, "1"]) {
  Deno.test(`expect: ${JSON.stringify(seconds)} (${typeof seconds}) seconds are refused`, async () => {
    const { conn, fake, sent } = expecting("body", { expect_continue: seconds as number });
    using _ = conn;
    await assertRejects(() => soon(sent), TypeError);
    assertEquals(fake.writes, []);
  });
}

for (const resettable of [false, true]) {
  const how = resettable ? "resets" : "closes";
  for (const expect_continue of [true, 0.02]) {
    Deno.test(`expect: ${expect_continue}: a server that ${how} in place of an answer`, async () => {
      await using server = await startRaw(async (peer) => {
        await peer.readHead();
        if (peer.index > 0) await peer.send(ok());
        else if (resettable) peer.reset();
      }, { resettable });
      using conn = new HTTPConnection("127.0.0.1", server.port);
      const error = await assertRejects(async () => {
        await soon(conn.request("POST", "/", "body", {}, { expect_continue }));
        await soon(conn.getresponse());
      }, Deno.errors.ConnectionReset);
      assertEquals((error as ExchangeDetails).retrySafe, "idempotent-only");
      // The connection is usable.
      await soon(conn.request("GET", "/"));
      assertEquals(await (await conn.getresponse()).text(), "ok");
    });
  }
}

Deno.test("expect: the end in place of an answer is a RemoteDisconnected", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  await settled();
  fake.end();
  await assertRejects(async () => {
    await soon(sent);
    await soon(conn.getresponse());
  }, RemoteDisconnected);
});

Deno.test("expect: a malformed answer is thrown by request(), and nothing more is sent", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive("NONSENSE\r\n\r\n");
  await assertRejects(() => soon(sent), BadStatusLine);
  assertEquals([fake.writes.length, fake.closes], [1, 1]);
});

Deno.test("expect: close() meanwhile ends the wait, and the body is not opened", async () => {
  let opened = 0;
  const body = {
    *[Symbol.iterator]() {
      opened++;
      yield "x";
    },
  };
  const { conn, fake, sent } = expecting(body);
  await settled();
  conn.close();
  await assertRejects(() => soon(sent));
  assertEquals([opened, fake.closes], [0, 1]);
});

Deno.test("expect: what onInformational throws for the 100 ends the exchange", async () => {
  const reason = new RangeError("mine");
  const { conn, fake, sent } = expecting("body", { expect_continue: true }, {
    onInformational() {
      throw reason;
    },
  });
  using _ = conn;
  fake.arrive(CONTINUE);
  assertStrictEquals(await assertRejects(() => soon(sent)), reason);
  assertEquals(fake.writes.length, 1);
});

// Over TLS

for (
  const [kind, context] of [
    ["Deno's TLS", { caCerts: [CA] }],
    ["node:tls", { caCerts: [CA], ...CLIENT }],
  ] satisfies [string, TLSContext][]
) {
  Deno.test(`expect: over ${kind}`, async () => {
    await using server = await startRawTls(async (peer) => {
      await peer.readHead();
      await peer.send(CONTINUE);
      await peer.readBytes(4);
      await peer.send(ok());
      await peer.readHead();
      await peer.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
      await peer.eof();
    });
    using conn = new HTTPSConnection("localhost", server.port, { context });
    for (const status of [200, 417]) {
      await soon(conn.request("POST", "/", "body", {}, { expect_continue: true }));
      const response = await conn.getresponse();
      await response.read();
      assertEquals(response.status, status);
    }
  });
}

Deno.test("expect: behind an unread response it is refused, and nothing is sent", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await conn.request("GET", "/");
  const response = await conn.getresponse();
  await assertRejects(
    () => conn.request("POST", "/", "body", {}, { expect_continue: true }),
    CannotSendRequest,
  );
  assertEquals(await response.text(), "ok");
  assertEquals(server.requests.length, 1);
});
