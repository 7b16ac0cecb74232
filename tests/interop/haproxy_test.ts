import { assert, assertEquals } from "@std/assert";
import { HTTPConnection, HTTPSConnection } from "../../mod.ts";
import { interopTest } from "../helpers/interop.ts";
import { has } from "../servers/available.ts";
import { type Echo, echo, mirror, pattern, utf8 } from "../servers/data.ts";
import { startDenoServe } from "../servers/deno_serve.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { concat } from "../servers/raw.ts";
import { CA } from "../tls/mod.ts";

const HINTS = `
  http-request early-hint Link "</style.css>; rel=preload; as=style"
  http-request early-hint Link "</script.js>; rel=preload; as=script"
  http-request return status 200 content-type text/plain string "after the hints"`;

const test = interopTest("haproxy", has.haproxy);

test("getresponse() skips 103 Early Hints", async () => {
  await using haproxy = await startHaproxy({ frontend: HINTS });
  await using conn = new HTTPConnection("127.0.0.1", haproxy.port);
  for (let i = 0; i < 2; i++) {
    await conn.request("GET", "/");
    const res = await conn.getresponse();
    assertEquals([res.status, res.reason], [200, "OK"]);
    assertEquals(res.getheader("Link") ?? null, null);
    assertEquals(utf8(await res.read()), "after the hints");
  }
});

test("getresponse() skips 103 Early Hints over TLS, without HTTP/2", async () => {
  await using haproxy = await startHaproxy({ frontend: HINTS });
  await using conn = new HTTPSConnection("localhost", haproxy.tlsPort, {
    context: { caCerts: [CA] },
  });
  await conn.request("GET", "/");
  const res = await conn.getresponse();
  assertEquals([res.status, res.version], [200, 11]);
  assertEquals(utf8(await res.read()), "after the hints");
});

test("request() sends a form through, and its echo comes back", async () => {
  await using upstream = await startDenoServe(echo);
  await using haproxy = await startHaproxy({ upstream: upstream.port });
  await using conn = new HTTPConnection("127.0.0.1", haproxy.port);
  await conn.request("POST", "/form", "a=b");
  const answer = await (await conn.getresponse()).json() as Echo;
  assertEquals([answer.method, answer.path, answer.body], ["POST", "/form", "a=b"]);
});

test("request() sends a chunked body that its strict parser takes, and a chunked one comes back", async () => {
  const pieces = Array.from({ length: 30 }, (_, i) => pattern(i * 300));
  await using upstream = await startDenoServe(mirror);
  await using haproxy = await startHaproxy({ upstream: upstream.port });
  await using conn = new HTTPConnection("127.0.0.1", haproxy.port);
  await conn.request("POST", "/", pieces);
  const res = await conn.getresponse();
  assertEquals(res.getheader("X-Coding"), "chunked");
  assert(res.chunked);
  assertEquals(await res.read(), concat(pieces));
});

test("getresponse() gives the answer when a request is denied", async () => {
  await using haproxy = await startHaproxy({ frontend: "  http-request deny deny_status 429" });
  await using conn = new HTTPConnection("127.0.0.1", haproxy.port);
  await conn.request("GET", "/");
  const res = await conn.getresponse();
  assertEquals([res.status, res.reason], [429, "Too Many Requests"]);
});
