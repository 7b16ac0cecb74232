/**
 * What a person sees of a connection, a response, fields and events: `console.log`, `Deno.inspect`,
 * `util.inspect` and `JSON.stringify`. Looking changes nothing, and shows no secret.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inspect as nodeInspect } from "node:util";
import {
  HTTPConnection,
  HTTPMessage,
  HTTPResponse,
  HTTPSConnection,
  type TraceEvent,
  TunnelError,
} from "../../mod.ts";
import { getResponse, getText } from "../helpers/exchanges.ts";
import { answering, connectionOver, FakeTransport, ok, over } from "../helpers/fake_transport.ts";
import { thrown } from "../helpers/waiting.ts";
import { CLIENT } from "../tls/mod.ts";

const SECRETS =
  "Authorization: Basic SECRET\r\nProxy-Authorization: SECRET\r\nCookie: a=SECRET\r\nset-cookie: b=SECRET\r\nX-Seen: seen\r\n";

/** Every way to look at something. */
const WAYS: [name: string, look: (value: unknown) => string][] = [
  ["Deno.inspect", (value) => Deno.inspect(value)],
  ["Deno.inspect with colours", (value) => Deno.inspect(value, { colors: true })],
  ["Deno.inspect, nested", (value) => Deno.inspect({ a: { b: value } })],
  [
    "Deno.inspect with all there is",
    (value) => Deno.inspect(value, { showHidden: true, depth: 9 }),
  ],
  ["util.inspect", (value) => nodeInspect(value, { depth: 9 })],
  ["util.inspect, in an array", (value) => nodeInspect([value], { depth: 9 })],
];

Deno.test("a connection that could not be made is shown as closed", async () => {
  using conn = new HTTPConnection("example.com", { transport: () => Promise.reject(new Error()) });
  await thrown(conn.request("GET", "/"));
  assertMatch(Deno.inspect(conn), /connection: "closed",\s+peer: null,\s+requests: 0/);
});

for (const [name, look] of WAYS) {
  Deno.test(`HTTPMessage shows its fields and hides secrets by ${name}`, async () => {
    using conn = connectionOver(answering(ok("", SECRETS)));
    const { headers } = await getResponse(conn);
    const shown = look(headers);
    assertStringIncludes(shown, "HTTPMessage");
    assertStringIncludes(shown, "seen");
    for (const field of ["Authorization", "Proxy-Authorization", "Cookie", "set-cookie"]) {
      assertStringIncludes(shown, field);
    }
    assertEquals(shown.includes("SECRET"), false);
  });

  Deno.test(`HTTPResponse shows its head and hides secrets by ${name}`, async () => {
    using conn = connectionOver(answering(ok("body", SECRETS)));
    const shown = look(await getResponse(conn, "http://user:SECRET@example.com/"));
    for (const part of ["HTTPResponse", "200", "OK", "open", "length", "seen", "example.com/"]) {
      assertStringIncludes(shown, part);
    }
    assertEquals(shown.includes("SECRET"), false);
  });

  Deno.test(`HTTPConnection shows its state and hides secrets by ${name}`, async () => {
    using conn = new HTTPConnection("proxy.example", 3128, {
      ...over(new FakeTransport(["HTTP/1.1 200 OK\r\nSet-Cookie: SECRET\r\n\r\n"])),
      timeout: 7,
    });
    conn.set_tunnel("origin.example", 443, { "Proxy-Authorization": "Basic SECRET" });
    await conn.request("GET", "/", null, { Authorization: "SECRET", Cookie: "SECRET" });
    const shown = look(conn);
    const parts = ["HTTPConnection", "proxy.example", "3128", "Request-sent", "busy", "7"];
    for (const part of [...parts, "origin.example:443"]) assertStringIncludes(shown, part);
    assertEquals(shown.includes("SECRET"), false);
  });
}

Deno.test("HTTPConnection shows what is connected, and what it has carried", async () => {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("ok"),
  );
  const { port } = server.addr;
  using conn = new HTTPConnection("127.0.0.1", port);
  assertMatch(Deno.inspect(conn), /state: "Idle",\s+connection: "closed",\s+peer: null/);
  await getText(conn);
  await getText(conn);
  const shown = Deno.inspect(conn);
  assertMatch(shown, /connection: "idle"/);
  assertStringIncludes(shown, `peer: "127.0.0.1:${port}"`);
  assertMatch(shown, /requests: 2/);
  conn.close();
  assertMatch(Deno.inspect(conn), /connection: "closed",\s+peer: null/);
});

Deno.test("HTTPConnection shows the failure that it has met last", async () => {
  using conn = connectionOver(new FakeTransport([], { ended: true }));
  await thrown(getText(conn));
  assertMatch(Deno.inspect(conn), /lastFailure: \{\s+phase: "head"/);
});

Deno.test("HTTPConnection hides a user and a password that stand in the host", () => {
  using conn = new HTTPConnection("user:SECRET@example.com:81");
  assertStringIncludes(Deno.inspect(conn), 'host: "<hidden>@example.com"');
});

Deno.test("HTTPSConnection and subclasses show their own names, and no key", () => {
  class Own extends HTTPSConnection {}
  using conn = new Own("example.com", { context: { ...CLIENT, server_hostname: "a" } });
  assertMatch(Deno.inspect(conn), /^Own \{/);
  assertEquals(String(conn), "[object HTTPSConnection]");
  assertEquals(Deno.inspect(conn).includes("KEY"), false);
});

/** A response at each of its moments, and what is shown of it. */
const MOMENTS: [title: string, head: string, act: (r: HTTPResponse) => unknown, shown: RegExp][] = [
  ["by length", "Content-Length: 5\r\n\r\nhello", () => {}, /framing: "length",\s+length: 5/],
  [
    "in part",
    "Content-Length: 5\r\n\r\nhello",
    (r) => r.read(2),
    /state: "open",.*\s+.*\s+length: 3/,
  ],
  ["read", "Content-Length: 5\r\n\r\nhello", (r) => r.read(), /state: "complete"/],
  ["closed", "Content-Length: 5\r\n\r\nhello", (r) => r.close(), /state: "closed"/],
  ["cut", "Content-Length: 9\r\n\r\nhello", (r) => thrown(r.read()), /state: "cut"/],
  ["until close", "\r\nhello", () => {}, /framing: "close"/],
  [
    "chunked",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    () => {},
    /framing: "chunked"/,
  ],
  [
    "with trailers",
    "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\nCookie: SECRET\r\n\r\n",
    (r) => r.read(),
    /trailers: HTTPMessage \{ "A": "b", "Cookie": <hidden> \}/,
  ],
  [
    "with trailers of the user's",
    "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
    async (r) => {
      await r.read();
      r.trailers!.append("More", "c");
    },
    /trailers: HTTPMessage \{ "A": "b", "More": "c" \}/,
  ],
  ["locked", "Content-Length: 5\r\n\r\nhello", (r) => void r.getReader(), /state: "open"/],
];

for (const [title, head, act, wanted] of MOMENTS) {
  Deno.test(`HTTPResponse shows a body ${title}`, async () => {
    const stream = new Blob([`HTTP/1.1 200 OK\r\n${head}`]).stream();
    const response = new HTTPResponse(stream);
    await response.begin();
    await act(response);
    assertMatch(Deno.inspect(response), wanted);
  });
}

Deno.test("HTTPResponse shows that it has not begun, or never will", async () => {
  const response = new HTTPResponse(new FakeTransport([], { ended: true }), { url: "http://a/" });
  assertEquals(Deno.inspect(response), 'HTTPResponse { state: "not begun", url: "http://a/" }');
  await thrown(response.begin());
  assertMatch(Deno.inspect(response), /state: "failed"/);
  response.close();
  assertMatch(Deno.inspect(response), /state: "closed"/);
});

Deno.test("inspecting a response reads nothing and changes nothing", async () => {
  const transport = answering(ok("hello"));
  using conn = connectionOver(transport);
  const response = await getResponse(conn);
  const first = Deno.inspect(response);
  assertEquals([Deno.inspect(response), response.locked, response.length], [first, false, 5]);
  assertEquals(await response.text(), "hello");
});

Deno.test("inspecting a prototype does not throw", () => {
  for (const type of [HTTPConnection, HTTPSConnection, HTTPResponse, HTTPMessage]) {
    assertStringIncludes(Deno.inspect(type.prototype), type.name);
    assertStringIncludes(Deno.inspect(type), type.name);
  }
});

Deno.test("objects are shown by their names where they are too deep", async () => {
  using conn = connectionOver(answering(ok()));
  const response = await getResponse(conn);
  const shown = Deno.inspect({ a: [conn, response, response.headers] }, { depth: 1 });
  for (const name of ["HTTPConnection", "HTTPResponse", "HTTPMessage"]) {
    assertStringIncludes(shown, `[${name}]`);
  }
});

Deno.test("a response in an object is indented as the object", async () => {
  using conn = connectionOver(answering(ok("hello", "X-Marker: seen\r\n")));
  const shown = Deno.inspect({ response: await getResponse(conn) });
  assertStringIncludes(shown, "\n    status: 200,\n");
  assertStringIncludes(shown, '\n    headers: HTTPMessage { "X-Marker": "seen"');
  assertEquals(shown.endsWith("\n  }\n}"), true);
});

Deno.test("trace events show their fields and hide secrets", async () => {
  const events: TraceEvent[] = [];
  using conn = new HTTPConnection("example.com", {
    ...over(answering(ok("", SECRETS))),
    trace: (event) => void events.push(event),
  });
  await getText(conn, "http://user:SECRET@example.com/");
  const shown = Deno.inspect(events, { depth: 9 });
  assertStringIncludes(shown, 'target: "http://<hidden>@example.com/"');
  assertStringIncludes(shown, '"X-Seen": "seen"');
  assertEquals(shown.includes("SECRET"), false);
  // Who wants the value has it.
  const start = events.find((event) => event.type === "requestStart");
  assertEquals(start?.target, "http://user:SECRET@example.com/");
});

Deno.test("a TunnelError shows the proxy's fields and hides secrets", async () => {
  const answer = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nSet-Cookie: SECRET\r\n\r\n";
  using conn = connectionOver(new FakeTransport([answer]));
  conn.set_tunnel("origin.example", 443);
  const error = await thrown(conn.connect());
  assertEquals(error instanceof TunnelError, true);
  const shown = Deno.inspect(error);
  assertStringIncludes(shown, '"Proxy-Authenticate": "Basic"');
  assertEquals(shown.includes("SECRET"), false);
});

/** What cannot be sent, with a secret in it. */
const REFUSED: [title: string, act: (conn: HTTPConnection) => Promise<unknown> | unknown][] = [
  ["a field value", (conn) => conn.request("GET", "/", null, { authorization: "SECRET\n" })],
  ["a cookie", (conn) => conn.request("GET", "/", null, { Cookie: "SECRET\0" })],
  ["a target", (conn) => conn.request("GET", "http://a:SECRET@b/ c")],
  ["a host", () => new HTTPConnection("user:SECRET@example.com")],
];

for (const [title, act] of REFUSED) {
  Deno.test(`the error for ${title} shows no secret`, async () => {
    using conn = new HTTPConnection("example.com");
    const error = await thrown((async () => await act(conn))());
    assertEquals(Deno.inspect(error).includes("SECRET"), false);
    assertMatch(String(error), /^(TypeError|InvalidURL): Cannot /);
  });
}

Deno.test("JSON.stringify() of a message gives pairs, in their order and case", () => {
  const message = new HTTPMessage([["b", "1"], ["A", "2"], ["B", "3"]]);
  assertEquals(JSON.stringify(message), '[["b","1"],["A","2"],["B","3"]]');
  assertEquals(JSON.stringify({ message }), '{"message":[["b","1"],["A","2"],["B","3"]]}');
  assertEquals(new HTTPMessage(JSON.parse(JSON.stringify(message))).items(), message.items());
});

Deno.test("String() gives the names of the classes, and the fields of a message", () => {
  using conn = new HTTPConnection("example.com");
  assertEquals(String(conn), "[object HTTPConnection]");
  assertEquals(String(new HTTPResponse(new FakeTransport())), "[object HTTPResponse]");
  assertEquals(String(new HTTPMessage([["A", "b"]])), "A: b\n\n");
  assertEquals(Object.prototype.toString.call(new HTTPMessage()), "[object HTTPMessage]");
});

for (const [name, look] of WAYS) {
  Deno.test(`the defects of a message hide secrets by ${name}`, async () => {
    const lines = [
      "Set-Cookie : a=SECRET\r\n SECRET\r\n\tSECRET\r\nA: b",
      "Authorization Bearer SECRET",
      "(Cookie): SECRET",
      "Link <http://user:SECRET@example.com/>",
      "seen as it came",
    ];
    using conn = connectionOver(answering(ok("", `${lines.join("\r\n")}\r\n`)));
    const { headers: { defects } } = await getResponse(conn);
    const shown = look(defects);
    for (
      const part of ["Set-Cookie", "Authorization", "Cookie", "example.com", "seen as it came"]
    ) {
      assertStringIncludes(shown, part);
    }
    assertEquals(shown.includes("SECRET"), false);
    assertEquals(defects.map(({ line }) => line).join("\n").match(/SECRET/g)?.length, 6);
  });
}

Deno.test("a stray fold is shown where the line before it was a field", async () => {
  const lines = "Set-Cookie : a=SECRET\r\nA: b\r\nno field\r\n seen\r\n";
  using conn = connectionOver(answering(ok("", lines)));
  const { headers: { defects } } = await getResponse(conn);
  assertStringIncludes(Deno.inspect(defects), "seen");
});
