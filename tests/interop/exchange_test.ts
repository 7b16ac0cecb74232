/**
 * The whole exchange with real servers: early answers, `Expect`, interim responses, trailers, tunnels,
 * client certificates, idle connections.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type ExchangeDetails,
  HTTPConnection,
  HTTPSConnection,
  type HTTPSConnectionOptions,
  IncompleteRead,
  RemoteDisconnected,
  type RequestBody,
  TunnelError,
} from "../../mod.ts";
import { getText } from "../helpers/exchanges.ts";
import { interopTest } from "../helpers/interop.ts";
import { relayTo } from "../helpers/relay.ts";
import { has } from "../servers/available.ts";
import { until } from "../servers/child.ts";
import { type Echo, echo } from "../servers/data.ts";
import { startDenoServe } from "../servers/deno_serve.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { startNginx } from "../servers/nginx.ts";
import { startPythonScript } from "../servers/python_http.ts";
import { bytes, latin1, startRaw } from "../servers/raw.ts";
import { startSquid } from "../servers/squid.ts";
import { CA, CLIENT } from "../tls/mod.ts";

const PIECE = new Uint8Array(65536);

const withNginx = interopTest("nginx", has.nginx);
const withHaproxy = interopTest("haproxy", has.haproxy);
const withSquid = interopTest("squid", has.squid);
const withSquidAndNginx = interopTest("squid and nginx", has.squid && has.nginx);
const withPython = interopTest("Python", has.python);

// nginx: early answers

/** Refuses large bodies; those that are chunked only show their size while they are passed on. */
const small = (upstream: number) => `
  client_max_body_size 1k;
  location = /ok { return 200 'fine'; }
  location / {
    proxy_pass http://127.0.0.1:${upstream};
    proxy_http_version 1.1;
    proxy_request_buffering off;
  }`;

const BODIES: [string, () => RequestBody][] = [
  ["bytes", () => new Uint8Array(1 << 24)],
  ["a Blob", () => new Blob(Array(200).fill(PIECE))],
  ["a stream", () => ReadableStream.from(Array(200).fill(PIECE))],
  ["an iterable", () => Array(200).fill(PIECE)],
];

for (const [kind, body] of BODIES) {
  withNginx(`getresponse() gives a 413 while ${kind} goes out`, async () => {
    await using upstream = await startRaw(async (peer) => void await peer.eof());
    await using nginx = await startNginx({ server: small(upstream.port) });
    await using conn = new HTTPConnection("127.0.0.1", nginx.port);
    await conn.request("POST", "/", body());
    const response = await conn.getresponse();
    assertEquals([response.status, response.reason], [413, "Request Entity Too Large"]);
    const text = await response.text();
    assertEquals(text.length, Number(response.getheader("content-length")));
    assertStringIncludes(text, "413 Request Entity Too Large");
    assertEquals(await getText(conn, "/ok"), "fine");
  });
}

withNginx("getresponse() gives a 413 while a body goes out over TLS", async () => {
  await using nginx = await startNginx({ server: small(1), tls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { caCerts: [CA] },
  });
  await conn.request("POST", "/", new Uint8Array(1 << 24));
  const response = await conn.getresponse();
  assertEquals(response.status, 413);
  assertStringIncludes(await response.text(), "413 Request Entity Too Large");
});

withNginx("getresponse() gives a 413 while a body goes out over node:tls", async () => {
  await using nginx = await startNginx({ server: small(1), tls: true, mtls: true });
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { caCerts: [CA], ...CLIENT },
  });
  await conn.request("POST", "/", new Uint8Array(1 << 24));
  const response = await conn.getresponse();
  assertEquals(response.status, 413);
  assertStringIncludes(await response.text(), "413 Request Entity Too Large");
});

withNginx("request() does not read the body when a 413 answers its Expect", async () => {
  await using nginx = await startNginx({ server: small(1) });
  await using conn = new HTTPConnection("127.0.0.1", nginx.port);
  let asked = 0;
  const body = {
    *[Symbol.iterator]() {
      asked++;
      yield PIECE;
    },
  };
  await conn.request("POST", "/", body, { "Content-Length": PIECE.length }, {
    expect_continue: true,
  });
  assertEquals((await conn.getresponse()).status, 413);
  assertEquals(asked, 0);
});

withNginx("request() sends the body when it is asked for, and the upstream gets it", async () => {
  await using upstream = await startDenoServe(echo);
  await using nginx = await startNginx({
    server: `location / { proxy_pass http://127.0.0.1:${upstream.port}; proxy_http_version 1.1; }`,
  });
  const shown: number[] = [];
  await using conn = new HTTPConnection("127.0.0.1", nginx.port, {
    onInformational: (status) => shown.push(status),
  });
  for (let i = 0; i < 2; i++) {
    await conn.request("POST", "/", "a body", {}, { expect_continue: true });
    const answer = await (await conn.getresponse()).json() as Echo;
    assertEquals(answer.body, "a body");
  }
  assertEquals(shown, [100, 100]);
  // The connection was used again.
  assertEquals(new Set((await nginx.access()).map((line) => line.split(" ")[0])).size, 1);
});

// nginx: idle connections

withNginx(
  "request() sends a POST once, on a new connection, when the idle one was ended",
  async () => {
    await using nginx = await startNginx({
      http: "keepalive_timeout 1s;",
      server: "location / { return 200 'fine'; }",
    });
    await using conn = new HTTPConnection("127.0.0.1", nginx.port);
    assertEquals(await getText(conn), "fine");
    await until("nginx to end it", async () => await nginx.connections() === 0);
    await conn.request("POST", "/once", "body");
    assertEquals(await (await conn.getresponse()).text(), "fine");
    const posts = (await nginx.access()).filter((line) => line.includes("POST /once"));
    assertEquals(posts.length, 1);
  },
);

// nginx: a client certificate, by each way

const MUTUAL = {
  tls: true,
  mtls: true,
  server: "location / { return 200 $ssl_client_s_dn; }",
};
const context = { caCerts: [CA], ...CLIENT };
const NAME = "CN=http-client test client";

const DIRECT: [string, (port: number) => HTTPSConnectionOptions][] = [
  ["TCP", () => ({})],
  ["an address", () => ({ address: "127.0.0.1" })],
  ["a source address", () => ({ address: "127.0.0.1", source_address: ["127.0.0.1", 0] })],
  [
    "own transport",
    (port) => ({ transport: () => Deno.connect({ hostname: "127.0.0.1", port }) }),
  ],
];

for (const [way, options] of DIRECT) {
  withNginx(`connect() shows the client certificate over ${way}`, async () => {
    await using nginx = await startNginx(MUTUAL);
    await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
      ...options(nginx.tlsPort),
      context,
    });
    assertStringIncludes(await getText(conn), NAME);
  });
}

withNginx("getresponse() gives a 400 when there is no client certificate", async () => {
  await using nginx = await startNginx(MUTUAL);
  await using conn = new HTTPSConnection("localhost", nginx.tlsPort, {
    context: { caCerts: [CA] },
  });
  assertStringIncludes(await getText(conn), "No required SSL certificate was sent");
});

for (const options of [{}, { source_address: ["127.0.0.1", 0] as [string, number] }]) {
  const from = "source_address" in options ? " from a source address" : "";
  withSquidAndNginx(`connect() shows the client certificate through a tunnel${from}`, async () => {
    await using nginx = await startNginx(MUTUAL);
    await using squid = await startSquid();
    await using conn = new HTTPSConnection("127.0.0.1", squid.port, { ...options, context });
    conn.set_tunnel("localhost", nginx.tlsPort);
    assertStringIncludes(await getText(conn), NAME);
  });
}

withNginx("connect() shows the client certificate over a unix socket", async () => {
  await using nginx = await startNginx(MUTUAL);
  await using proxy = await startRaw(relayTo(nginx.tlsPort), { unix: true });
  await using conn = new HTTPSConnection("localhost", { socketPath: proxy.path, context });
  assertStringIncludes(await getText(conn), NAME);
});

withNginx("server_hostname is what SNI says, apart from address and Host", async () => {
  await using nginx = await startNginx({
    tls: true,
    server: "location / { return 200 '$ssl_server_name $http_host'; }",
  });
  await using conn = new HTTPSConnection("host.example", nginx.tlsPort, {
    address: "127.0.0.1",
    context: { caCerts: [CA], server_hostname: "localhost" },
  });
  assertEquals(await getText(conn), `localhost host.example:${nginx.tlsPort}`);
});

// haproxy: interim responses

const HINTS = `
  http-request early-hint Link "</style.css>; rel=preload; as=style"
  http-request early-hint Link "</script.js>; rel=preload; as=script"
  http-request return status 200 content-type text/plain string "after the hints"`;

for (const tls of [false, true]) {
  withHaproxy(`onInformational is called for early hints${tls ? " over TLS" : ""}`, async () => {
    await using haproxy = await startHaproxy({ frontend: HINTS });
    const shown: [number, string, string[] | null][] = [];
    const onInformational: HTTPSConnectionOptions["onInformational"] = (
      status,
      reason,
      headers,
    ) => void shown.push([status, reason, headers.get_all("link")]);
    await using conn = tls
      ? new HTTPSConnection("localhost", haproxy.tlsPort, {
        onInformational,
        context: { caCerts: [CA] },
      })
      : new HTTPConnection("127.0.0.1", haproxy.port, { onInformational });
    assertEquals(await getText(conn), "after the hints");
    assertEquals(
      shown.map(([status, reason]) => [status, reason]),
      shown.map(() => [
        103,
        "Early Hints",
      ]),
    );
    assertEquals(shown.flatMap(([, , links]) => links), [
      "</style.css>; rel=preload; as=style",
      "</script.js>; rel=preload; as=script",
    ]);
  });
}

withHaproxy("onInformational is called for the early hints of an upstream", async () => {
  await using upstream = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await peer.eof();
  });
  await using haproxy = await startHaproxy({ upstream: upstream.port });
  const shown: [number, string | null][] = [];
  await using conn = new HTTPConnection("127.0.0.1", haproxy.port, {
    onInformational: (status, _reason, headers) => shown.push([status, headers.get("link")]),
  });
  assertEquals(await getText(conn), "ok");
  assertEquals(shown, [[103, "</a.css>; rel=preload"]]);
});

withHaproxy("trailers pass through both ways", async () => {
  await using upstream = await startRaw(async (peer) => {
    await peer.readHead();
    const body = await peer.readUntil("\r\n\r\n");
    await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
    await peer.eof();
  });
  await using haproxy = await startHaproxy({ upstream: upstream.port });
  await using conn = new HTTPConnection("127.0.0.1", haproxy.port);
  await conn.request("PUT", "/", ["hello"], {}, { trailers: { "X-Sum": "532" } });
  const response = await conn.getresponse();
  assertEquals(await response.text(), "hello");
  assertEquals(response.trailers?.get("x-sum"), "532");
});

// squid: tunnels

withSquid("detach() gives the way to any protocol after CONNECT by request()", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.send("220 ready\r\n");
    assertEquals(await peer.readUntil("\r\n"), "QUIT\r\n");
    await peer.send("221 bye\r\n");
  });
  await using squid = await startSquid();
  await using conn = new HTTPConnection("127.0.0.1", squid.port);
  await conn.request("CONNECT", `127.0.0.1:${server.port}`);
  assertEquals((await conn.getresponse()).status, 200);
  const { readable, writable } = conn.detach();
  const writer = writable.getWriter();
  await writer.write(bytes("QUIT\r\n"));
  const text = latin1(new Uint8Array(await new Response(readable as BodyInit).arrayBuffer()));
  assertEquals(text, "220 ready\r\n221 bye\r\n");
  await writer.close();
});

withSquid("detach() gives the way to any protocol after set_tunnel() and connect()", async () => {
  await using server = await startRaw(async (peer) => {
    assertEquals(await peer.readUntil("\r\n"), "QUIT\r\n");
    await peer.send("221 bye\r\n");
  });
  await using squid = await startSquid();
  await using conn = new HTTPConnection("127.0.0.1", squid.port);
  conn.set_tunnel("127.0.0.1", server.port);
  await conn.connect();
  const { readable, writable } = conn.detach();
  const writer = writable.getWriter();
  await writer.write(bytes("QUIT\r\n"));
  const text = latin1(new Uint8Array(await new Response(readable as BodyInit).arrayBuffer()));
  assertEquals(text, "221 bye\r\n");
  await writer.close();
});

withSquid("getresponse() gives the answer when CONNECT by request() is refused", async () => {
  await using squid = await startSquid({ rules: "http_access deny CONNECT" });
  await using conn = new HTTPConnection("127.0.0.1", squid.port);
  await conn.request("CONNECT", "localhost:443");
  const response = await conn.getresponse();
  assertEquals(response.status, 403);
  assert((await response.text()).length > 0);
});

withSquid("connect() throws a TunnelError that says that nothing was sent", async () => {
  await using squid = await startSquid({ rules: "http_access deny CONNECT" });
  await using conn = new HTTPConnection("127.0.0.1", squid.port);
  conn.set_tunnel("localhost", 80);
  const error = await assertRejects(() => getText(conn), TunnelError);
  const { phase, requestBytesSent, retrySafe } = error as ExchangeDetails;
  assertEquals({ phase, requestBytesSent, retrySafe }, {
    phase: "connect",
    requestBytesSent: 0,
    retrySafe: "yes",
  });
});

// Python: trailers, Expect, errors

withPython("trailers gives the trailers of a response", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  for (let i = 0; i < 2; i++) {
    await conn.request("GET", "/trailers");
    const response = await conn.getresponse();
    assertEquals(response.getheader("trailer"), "X-Sum, X-Last");
    assertEquals(response.trailers, null);
    assertEquals(await response.text(), "hello");
    assertEquals(response.trailers?.items(), [["X-Sum", "532"], ["X-Last", "yes"]]);
  }
});

withPython("request() sends trailers, which do no harm", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  for (let i = 0; i < 2; i++) {
    await conn.request("PUT", "/echo", ["one", "two"], {}, { trailers: { "X-Sum": "1" } });
    const answer = await (await conn.getresponse()).json() as Echo & { chunks: number[] };
    assertEquals([answer.body, answer.chunks], ["onetwo", [3, 3]]);
  }
});

withPython("onInformational is called for 103 and 102 in order", async () => {
  await using server = await startPythonScript();
  const shown: [number, string | null][] = [];
  await using conn = new HTTPConnection("127.0.0.1", server.port, {
    onInformational: (status, _reason, headers) => shown.push([status, headers.get("link")]),
  });
  assertEquals(await getText(conn, "/hints"), "after the hints");
  const link = "</style.css>; rel=preload";
  assertEquals(shown, [[103, link], [102, link]]);
});

withPython(
  "request() is not harmed by a 100 that is held back until the body has come",
  async () => {
    await using server = await startPythonScript();
    const shown: number[] = [];
    await using conn = new HTTPConnection("127.0.0.1", server.port, {
      onInformational: (status) => shown.push(status),
    });
    for (let i = 0; i < 2; i++) {
      await conn.request("PUT", "/echo", "body", {}, { expect_continue: 0.1 });
      const response = await conn.getresponse();
      assertEquals(response.getheader("x-connection"), "0");
      assertEquals((await response.json() as Echo).body, "body");
    }
    assertEquals(shown, [100, 100]);
  },
);

withPython(
  "request() sends the body after the given seconds when the server does not know Expect",
  async () => {
    await using server = await startPythonScript("HTTP/1.0");
    await using conn = new HTTPConnection("127.0.0.1", server.port);
    await conn.request("PUT", "/echo", "body", {}, { expect_continue: 0.1 });
    assertEquals((await (await conn.getresponse()).json() as Echo).body, "body");
  },
);

withPython("text() throws IncompleteRead with what came when a body is short", async () => {
  await using server = await startPythonScript();
  await using conn = new HTTPConnection("127.0.0.1", server.port);
  const error = await assertRejects(() => getText(conn, "/short"), IncompleteRead);
  assertEquals([latin1(error.partial), error.expected], ["only this", 91]);
  assertEquals([error.phase, error.retrySafe], ["body", "no"]);
});

withPython(
  "getresponse() throws RemoteDisconnected with facts when there is no answer",
  async () => {
    await using server = await startPythonScript();
    await using conn = new HTTPConnection("127.0.0.1", server.port);
    const error = await assertRejects(() => getText(conn, "/drop"), RemoteDisconnected);
    const { phase, responseBytesReceived, retrySafe } = error as ExchangeDetails;
    assertEquals({ phase, responseBytesReceived, retrySafe }, {
      phase: "head",
      responseBytesReceived: 0,
      retrySafe: "idempotent-only",
    });
  },
);
