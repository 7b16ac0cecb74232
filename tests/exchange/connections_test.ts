/**
 * The connections of one client over time: which request goes out on which of them, what an unread
 * response keeps, and that an answer is delivered to its request or to nobody, whoever closes, connects
 * or disposes meanwhile.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  type HTTPResponse,
  ResponseNotReady,
  type Transport,
} from "../../mod.ts";
import { getResponse, getText } from "../helpers/exchanges.ts";
import {
  answering,
  connectionOver,
  FakeTransport,
  ok,
  over,
  TargetTransport,
} from "../helpers/fake_transport.ts";
import { microtasks, soon } from "../helpers/waiting.ts";
import { latin1 } from "../servers/raw.ts";

// close() while a connection is made

/** A connection whose transports answer with the target, and what closes it while it is made. */
interface Dialling {
  name: string;
  /** Makes the connection; `dial` makes a transport, and `once` calls what it is given once. */
  make: (dial: () => Transport, once: (call: () => void) => void) => HTTPConnection;
  /** Whether the test closes it some microtasks after the request began. */
  closes: boolean;
}

class Slow extends HTTPConnection {
  dial!: () => Transport;

  override async connect(): Promise<void> {
    await microtasks(10);
    this.sock = this.dial();
  }
}

/** As ports of Python code do. CPython forgets the request by that, too. */
class ClosesFirst extends HTTPConnection {
  override async connect(): Promise<void> {
    this.close();
    await super.connect();
  }
}

const DIALLING: Dialling[] = [
  {
    name: "a subclass dials",
    make: (dial) => Object.assign(new Slow("example.com"), { dial }),
    closes: true,
  },
  {
    name: "a subclass's connect() calls it first",
    make: (dial) => new ClosesFirst("example.com", { transport: () => Promise.resolve(dial()) }),
    closes: false,
  },
  {
    name: "transport() is pending",
    make: (dial) =>
      new HTTPConnection("example.com", {
        async transport() {
          await microtasks(10);
          return dial();
        },
      }),
    closes: true,
  },
  {
    name: "transport() calls it",
    make(dial, once) {
      const conn: HTTPConnection = new HTTPConnection("example.com", {
        transport() {
          once(() => conn.close());
          return Promise.resolve(dial());
        },
      });
      return conn;
    },
    closes: false,
  },
  ...(["connectStart", "connected", "requestStart"] as const).map((type): Dialling => ({
    name: `trace calls it at ${type}`,
    make(dial, once) {
      const conn: HTTPConnection = new HTTPConnection("example.com", {
        transport: () => Promise.resolve(dial()),
        trace: (event) => {
          if (event.type === type) once(() => conn.close());
        },
      });
      return conn;
    },
    closes: false,
  })),
];

for (const { name, make, closes } of DIALLING) {
  for (const ticks of closes ? [0, 1, 2, 3, 5, 8, 12] : [0]) {
    Deno.test(`close() leaves later requests their own answers when ${name}${closes ? ` (${ticks} microtasks)` : ""}`, async () => {
      const transports: TargetTransport[] = [];
      let called = false;
      using conn = make(() => {
        transports.push(new TargetTransport());
        return transports.at(-1)!;
      }, (call) => {
        if (!called) [called] = [true, call()];
      });
      const first = conn.request("POST", "/first").then(() => "sent", (error) => error);
      if (closes) {
        await microtasks(ticks);
        conn.close();
      }
      const how = await soon(first);
      if (how === "sent") assertEquals(await answerOf(conn), "/first");
      else assert(how instanceof Deno.errors.Interrupted, String(how));
      for (const target of ["/second", "/third"]) {
        assertEquals(await soon(getText(conn, target)), target);
      }
      if (how !== "sent") {
        const sent = transports.map((transport) => transport.sent).join("");
        assert(!sent.includes("/first"), "the request that was closed went out");
      }
      // What a subclass sets `sock` to, after the call was given up, is left to it once that is replaced.
      if (!name.includes("subclass")) {
        assertEquals(transports.slice(0, -1).every(({ closed }) => closed), true);
      }
    });
  }
}

/** The answer to the request that is out, as text. */
async function answerOf(conn: HTTPConnection): Promise<string> {
  return await (await soon(conn.getresponse())).text();
}

// connect() behind an unread response

/** What looks like a response of its own. */
const INNER = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

for (
  const [state, come] of [["has come", INNER.length], ["is still coming", 20]] as const
) {
  for (const sent of [false, true]) {
    Deno.test(`connect() makes no head of a body that ${state}, ${sent ? "a request" : "nothing"} being out behind it`, async () => {
      const whole = ok(INNER);
      const first = answering(whole.slice(0, whole.length - INNER.length + come), ok("two"));
      using conn = connectionOver(first, answering(ok("two")), answering(ok("two")));
      const unread = await getResponse(conn, "/1");
      if (sent) await conn.request("GET", "/2");
      await conn.connect();
      if (!sent) {
        await assertRejects(() => conn.getresponse(), ResponseNotReady);
        await conn.request("GET", "/2");
      }
      first.arrive(INNER.slice(come));
      const body = latin1(await unread.read());
      assertEquals(body, INNER);
      const answer = await soon(conn.getresponse().then((r) => r.text(), (error) => error));
      // What was out on the connection that connect() replaced is ended with it.
      assert(answer === "two" || sent && answer instanceof Deno.errors.Interrupted, String(answer));
    });
  }
}

for (const unread of ["", "one"]) {
  Deno.test(`connect() twice behind a response of ${unread.length} bytes closes what it replaces`, async () => {
    const transports = [answering(ok(unread)), new FakeTransport(), answering(ok("two"))];
    using conn = connectionOver(...transports);
    const response = await getResponse(conn);
    await conn.connect();
    await conn.connect();
    assertEquals(await response.text(), unread);
    assertEquals(await getText(conn), "two");
    assertEquals(transports.map(({ closes }) => closes), [1, 1, 0]);
  });
}

// Several responses that keep their connections

const KEEPING: { name: string; answer: string; rest: string; most: number }[] = [
  {
    name: "that close",
    answer: ok("abc", "Connection: close\r\n").slice(0, -1),
    rest: "c",
    most: 5,
  },
  { name: "until close", answer: "HTTP/1.1 200 OK\r\n\r\nab", rest: "c", most: 5 },
  // There is one of these before the next request, and that has no answer until it is read.
  { name: "with more to come", answer: ok("abc").slice(0, -1), rest: "c", most: 1 },
  {
    name: "in chunks with more to come",
    answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    rest: "c\r\n0\r\n\r\n",
    most: 1,
  },
];

for (const { name, answer, rest, most } of KEEPING) {
  for (const count of new Set([1, Math.min(2, most), most])) {
    Deno.test(`using closes the connections of ${count} unread responses ${name}, and that of the request behind`, async () => {
      const transports = Array.from({ length: count + 1 }, () => answering(answer));
      const responses: HTTPResponse[] = [];
      {
        using conn = connectionOver(...transports);
        for (let i = 0; i < count; i++) responses.push(await getResponse(conn, `/${i}`));
        await conn.request("GET", "/behind");
      }
      assertEquals(transports.map(({ closes }) => closes), Array(count + 1).fill(1));
      for (const response of responses) {
        await assertRejects(() => response.read(), Deno.errors.Interrupted);
      }
    });

    Deno.test(`close() leaves ${count} unread responses ${name} readable, and ends the request behind`, async () => {
      const transports = Array.from({ length: count + 1 }, () => answering(answer));
      const behind = transports[count];
      using conn = connectionOver(...transports);
      const responses: HTTPResponse[] = [];
      for (let i = 0; i < count; i++) responses.push(await getResponse(conn, `/${i}`));
      await conn.request("GET", "/behind");
      conn.close();
      assertEquals([behind.closes, conn.sock], [1, null]);
      for (const [i, response] of responses.entries()) {
        assertEquals(latin1(await response.read(2)), "ab");
        transports[i].arrive(rest);
        transports[i].end();
        assertEquals(await response.text(), "c");
      }
      assertEquals(transports.map(({ closes }) => closes), Array(count + 1).fill(1));
    });
  }
}

Deno.test("using ends a read of a response that took its connection with it", async () => {
  const old = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  let read: Promise<unknown>;
  {
    using conn = connectionOver(old, answering(ok()));
    const response = await getResponse(conn, "/1");
    await conn.request("GET", "/2");
    read = assertRejects(() => response.read(), Deno.errors.Interrupted);
  }
  await soon(read);
  assertEquals(old.closes, 1);
});

// A response that takes its bytes with it

const READING: [name: string, call: (response: HTTPResponse) => Promise<Uint8Array | undefined>][] =
  [
    ["read()", (r) => r.read()],
    ["read(60)", (r) => r.read(60)],
    ["read1()", (r) => r.read1()],
    ["readline()", (r) => r.readline()],
    ["getReader()", async (r) => (await r.getReader().read()).value],
    ["values()", async (r) => (await r.values().next()).value],
  ];

for (const [name, call] of READING) {
  for (const connects of [false, true]) {
    Deno.test(`${name} gives no bytes of another connection when its response is behind ${connects ? "connect()" : "a request"}`, async () => {
      const body = `${INNER}\nT=/1;${INNER}\nT=/1;`;
      const secret = "SECRET of B;".repeat(50);
      /** Takes and gives back buffers of the pool. */
      const another = async () => {
        using conn = connectionOver(answering(ok(secret)));
        assertEquals(await getText(conn, "/b"), secret);
      };
      for (let ticks = 0; ticks < 16; ticks++) {
        for (const gap of [0, 1, 5]) {
          for (let i = 0; i < 3; i++) await another();
          using conn = connectionOver(answering(ok(body), ok("two")), answering(ok("two")));
          const first = await getResponse(conn, "/1");
          await conn.request("GET", "/2");
          if (connects) await conn.connect();
          const second = conn.getresponse().then((r) => r.close(), () => {});
          await microtasks(ticks);
          const reading = call(first).then((piece) => latin1(piece!), (error) => error);
          const others = gap > 0 ? another() : null;
          await microtasks(gap);
          await soon(second);
          const got = await soon(reading);
          await others;
          assert(typeof got === "string", String(got));
          assertEquals(body.slice(0, got.length), got, `${ticks} microtasks, ${gap}`);
          assert(got.length > 0);
        }
      }
    });
  }
}

for (const [name, options] of [["plain", {}], ["with a timeout", { timeout: 60 }]] as const) {
  Deno.test(`request() uses one connection for a hundred requests whose responses are read late, ${name}`, async () => {
    const transport = new TargetTransport();
    const given: HTTPConnectionOptions = { ...over(transport), ...options };
    using conn = new HTTPConnection("example.com", given);
    let last = await getResponse(conn, "/0");
    for (let i = 1; i <= 100; i++) {
      await conn.request("GET", `/${i}`);
      assertEquals(await last.text(), `/${i - 1}`);
      last = await conn.getresponse();
    }
    assertEquals(await last.text(), "/100");
    assertEquals(transport.closed, false);
  });
}

// sock

Deno.test("sock leaves the transport before to its unread response, and to the caller otherwise", async () => {
  const first = answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no");
  const second = new FakeTransport();
  using conn = connectionOver(first);
  const response = await getResponse(conn);
  conn.sock = second;
  conn.sock = answering(ok("third"));
  first.arrive("ne");
  assertEquals(await response.text(), "one");
  assertEquals(await getText(conn), "third");
  assertEquals([first.closes, second.closes], [1, 0]);
});

Deno.test("sock ends the exchange that runs on the transport before", async () => {
  const first = new FakeTransport();
  using conn = connectionOver(first);
  await conn.request("GET", "/1");
  const lost = assertRejects(() => conn.getresponse(), Deno.errors.Interrupted);
  conn.sock = answering(ok("two"));
  await soon(lost);
  assertEquals(await getText(conn, "/2"), "two");
  assertEquals(first.closes, 0);
});

Deno.test("close() closes what sock was set to, and the next request connects to the host", async () => {
  const given = answering(ok("given"));
  using conn = connectionOver(answering(ok("dialled")));
  conn.sock = given;
  assertEquals(await getText(conn), "given");
  conn.close();
  assertEquals([given.closes, conn.sock], [1, null]);
  assertEquals(await getText(conn), "dialled");
});

Deno.test("sock is the user's to read and write while the connection is idle", async () => {
  const transport = answering(ok());
  using conn = connectionOver(transport);
  assertEquals(await getText(conn), "ok");
  const sock = conn.sock!;
  transport.arrive("raw");
  const p = new Uint8Array(10);
  assertEquals(await soon(sock.read(p)), 3);
  assertEquals(latin1(p.subarray(0, 3)), "raw");
});
