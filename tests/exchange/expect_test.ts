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
  type ExchangeDetails,
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  RemoteDisconnected,
  type RequestBody,
  type RequestOptions,
  type TLSContext,
} from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { soon, turns } from "../helpers/waiting.ts";
import { bytes, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT } from "../tls/mod.ts";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const FIELDS = "Host: example.com\r\nAccept-Encoding: identity\r\n";

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

Deno.test("request() sends the head with Expect alone, and the body after 100", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  await turns(5);
  assertEquals(fake.writes, [
    `POST / HTTP/1.1\r\n${FIELDS}Content-Length: 4\r\nExpect: 100-continue\r\n\r\n`,
  ]);
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
  fake.arrive(ok());
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("request() sends a chunked body after 100", async () => {
  const { conn, fake, sent } = expecting(["one", "two"]);
  using _ = conn;
  await turns(5);
  assertEquals(fake.writes.length, 1);
  assertStringIncludes(fake.writes[0], "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n");
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(fake.writes.slice(1).join(""), "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
});

Deno.test("request() sends a large body after 100", async () => {
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

Deno.test("request() does not wait for 100 when there is no body", async () => {
  const { conn, fake, sent } = expecting(null);
  using _ = conn;
  await soon(sent);
  assertEquals(fake.writes.join("").includes("Expect"), false);
});

Deno.test("request() sends Expect once when the caller gives the field, too", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  const sent = conn.request("POST", "/", "body", { expect: "100-continue" }, {
    expect_continue: true,
  });
  sent.catch(() => {});
  await turns(5);
  assertEquals(fake.writes.join("").match(/expect: /gi), ["expect: "]);
  fake.arrive(CONTINUE);
  await soon(sent);
});

Deno.test("request() does not wait for 100 when there is the field but not the option", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  await soon(conn.request("POST", "/", "body", { Expect: "100-continue" }));
  assert(fake.writes.join("").endsWith("\r\n\r\nbody"));
});

Deno.test("endheaders() sends Expect and waits for 100", async () => {
  const fake = new FakeTransport();
  using conn = new HTTPConnection("example.com", over(fake));
  conn.putrequest("POST", "/");
  conn.putheader("Content-Length", 4);
  const sent = conn.endheaders("body", { expect_continue: true });
  sent.catch(() => {});
  await turns(5);
  assertStringIncludes(fake.writes.join(""), "\r\nExpect: 100-continue\r\n");
  fake.arrive(CONTINUE);
  await soon(sent);
});

Deno.test("onInformational is called for the 100", async () => {
  const shown: number[] = [];
  const { conn, fake, sent } = expecting("body", { expect_continue: true }, {
    onInformational: (status) => shown.push(status),
  });
  using _ = conn;
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(shown, [100]);
});

Deno.test("request() goes on waiting after interim responses other than 100", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n");
  await turns(5);
  assertEquals(fake.writes.length, 1);
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
});

Deno.test("request() sends the body when the 100 comes byte by byte", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  for (const byte of CONTINUE) fake.arrive(byte);
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
});

Deno.test("getresponse() skips a second 100", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive(CONTINUE + CONTINUE);
  await soon(sent);
  fake.arrive(ok());
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("request() uses the connection again after 100 and the answer", async () => {
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
    Deno.test(`request() does not read ${name} when the answer is ${status}`, async () => {
      const { body, asked } = make();
      const fake = new FakeTransport();
      using conn = new HTTPConnection("example.com", over(fake));
      const sent = conn.request("POST", "/", body, {}, { expect_continue: true });
      sent.catch(() => {});
      await turns(5);
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

Deno.test("request() does not send bytes when the answer is final", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive(ok());
  await soon(sent);
  assertEquals(await (await conn.getresponse()).text(), "ok");
  assertEquals(fake.writes.length, 1);
});

Deno.test("request() makes a new connection when the body of the last one was not sent", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(peer.index === 0 ? "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n" : ok());
    await peer.eof();
  });
  using conn = new HTTPConnection("127.0.0.1", server.port);
  await soon(conn.request("POST", "/", "body", {}, { expect_continue: true }));
  const response = await conn.getresponse();
  assertEquals([response.status, await response.text()], [417, ""]);
  assertEquals(await getText(conn), "ok");
  assertEquals(server.peers[0].text.endsWith("\r\n\r\n"), true);
});

Deno.test("request() stops the body when 100 and then a final answer come", async () => {
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

Deno.test("request() sends the body when 100 and a success come at once", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  await turns(5);
  fake.arrive(CONTINUE + ok());
  await soon(sent);
  const response = await conn.getresponse();
  assertEquals(fake.writes.slice(1), ["body"]);
  assertEquals([response.status, response.requestComplete], [200, true]);
});

Deno.test("request() does not send the body when 100 and a refusal come at once", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  await turns(5);
  fake.arrive(`${CONTINUE}HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n`);
  await soon(sent);
  const response = await conn.getresponse();
  assertEquals(fake.writes.slice(1), []);
  assertEquals([response.status, response.requestComplete], [413, false]);
});

Deno.test("request() does not send the body when the answer is 101", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive("HTTP/1.1 101 Switching Protocols\r\n\r\nnew");
  await soon(sent);
  assertEquals((await conn.getresponse()).status, 101);
  assertEquals([...conn.detach().buffered], [...bytes("new")]);
  assertEquals(fake.writes.length, 1);
});

// No answer

Deno.test("request() sends the body when the seconds have passed", async () => {
  const { conn, fake, sent } = expecting("body", { expect_continue: 0.02 });
  using _ = conn;
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
  fake.arrive(CONTINUE + ok());
  assertEquals(await (await conn.getresponse()).text(), "ok");
});

Deno.test("request() sends the body at once when the 100 comes before the seconds have passed", async () => {
  const { conn, fake, sent } = expecting("body", { expect_continue: 1000 });
  using _ = conn;
  fake.arrive(CONTINUE);
  await soon(sent);
  assertEquals(fake.writes.slice(1), ["body"]);
});

Deno.test("request() waits when the seconds are more than a timer can take", async () => {
  const { conn, fake } = expecting("body", { expect_continue: 1e9 });
  using _ = conn;
  await turns(5);
  assertEquals(fake.writes.length, 1);
});

for (const seconds of [-1, NaN, "1"]) {
  Deno.test(`request() throws a TypeError when expect_continue is ${JSON.stringify(seconds)} (${typeof seconds})`, async () => {
    const { conn, fake, sent } = expecting("body", { expect_continue: seconds as number });
    using _ = conn;
    await assertRejects(() => soon(sent), TypeError);
    assertEquals(fake.writes, []);
  });
}

for (const resettable of [false, true]) {
  const how = resettable ? "resets" : "closes";
  for (const expect_continue of [true, 0.02]) {
    Deno.test(`getresponse() throws ConnectionReset when the server ${how} in place of 100 (${expect_continue})`, async () => {
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
      assertEquals(await soon(getText(conn)), "ok");
    });
  }
}

Deno.test("getresponse() throws RemoteDisconnected when the end comes in place of 100", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  await turns(5);
  fake.end();
  await assertRejects(async () => {
    await soon(sent);
    await soon(conn.getresponse());
  }, RemoteDisconnected);
});

Deno.test("request() throws BadStatusLine and sends nothing more when the answer is malformed", async () => {
  const { conn, fake, sent } = expecting();
  using _ = conn;
  fake.arrive("NONSENSE\r\n\r\n");
  await assertRejects(() => soon(sent), BadStatusLine);
  assertEquals([fake.writes.length, fake.closes], [1, 1]);
});

Deno.test("close() ends the wait for 100, and the body is not opened", async () => {
  let opened = 0;
  const body = {
    *[Symbol.iterator]() {
      opened++;
      yield "x";
    },
  };
  const { conn, fake, sent } = expecting(body);
  await turns(5);
  conn.close();
  await assertRejects(() => soon(sent), Deno.errors.Interrupted);
  assertEquals([opened, fake.closes], [0, 1]);
});

Deno.test("request() throws what onInformational throws for the 100", async () => {
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
  Deno.test(`request() waits for 100, or for a final answer (${kind})`, async () => {
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

for (
  const [title, first, connections] of [
    ["that has come whole", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1],
    ["that closes", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 2],
  ] as const
) {
  Deno.test(`request() waits for 100 behind an unread response ${title}`, async () => {
    await using server = await startRaw(async (peer) => {
      if (peer.index === 0) {
        await peer.readRequest();
        await peer.send(first);
      }
      await peer.readHead();
      const early = peer.text.endsWith("body");
      await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
      await peer.readBytes(4);
      await peer.send(ok(String(early)));
      await peer.eof();
    });
    using conn = new HTTPConnection("127.0.0.1", server.port);
    await conn.request("GET", "/");
    const response = await conn.getresponse();
    await soon(conn.request("POST", "/", "body", {}, { expect_continue: true }));
    assertEquals(await response.text(), "ok");
    assertEquals(await (await conn.getresponse()).text(), "false");
    assertEquals(server.accepted, connections);
  });
}
