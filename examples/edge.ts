/**
 * A reverse proxy on `Deno.serve`: streams both ways with backpressure, ends the exchange with the origin
 * when the client leaves, and has fixed limits and error texts.
 *
 * A handler of `Deno.serve` cannot send interim responses: a 103 of the origin is dropped, and an
 * `Expect: 100-continue` of the client is met by `Deno.serve` itself, at once; the origin is still asked
 * before the body is sent there. Trailers are neither shown to a handler nor sent for it, so they are
 * dropped both ways, and so is `Upgrade`. Each request has a connection of its own to the origin.
 *
 *     deno run -A examples/edge.ts
 *
 * With an origin and the public hosts it serves port 8000. `--unstable-no-legacy-abort` keeps
 * `request.signal` from being aborted after a successful response, too, which does no harm here:
 *
 *     deno run -A --unstable-no-legacy-abort examples/edge.ts http://127.0.0.1:3000/ localhost:8000
 *
 * @module
 */
import { errors, HTTPConnection, HTTPSConnection } from "@denoports/http-client";
import { assert, assertEquals } from "@std/assert";

/** Fields of one connection alone (RFC 9110, Section 7.6.1); `Connection` may name more of them. */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-authenticate", "proxy-authorization"]
  .concat("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade");

/** Set by the first proxy itself: those of a client cannot be trusted. */
const FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]
  .concat("x-forwarded-port", "x-real-ip");

type Fields = [name: string, value: string][];

/** The fields that are passed on, with a `Via` of this proxy's. */
function passedOn(fields: Fields, version: string): Fields {
  const dropped = new Set(HOP_BY_HOP);
  for (const [name, value] of fields) {
    if (name.toLowerCase() !== "connection") continue;
    for (const option of value.split(",")) dropped.add(option.trim().toLowerCase());
  }
  const kept = fields.filter(([name]) => !dropped.has(name.toLowerCase()));
  return [...kept, ["Via", `${version} edge`]];
}

/** Says who the client is, and what it has asked for. */
function forwarded({ hostname }: Deno.NetAddr, { protocol, host }: URL): Fields {
  const proto = protocol.slice(0, -1);
  const node = hostname.includes(":") ? `"[${hostname}]"` : hostname;
  return [
    ["Forwarded", `for=${node};host="${host}";proto=${proto}`],
    ["X-Forwarded-For", hostname],
    ["X-Forwarded-Host", host],
    ["X-Forwarded-Proto", proto],
  ];
}

class BodyTooLarge extends Error {}

/** The body of a request, up to a limit. */
async function* limited(body: ReadableStream<Uint8Array>, limit: number) {
  for await (const piece of body) {
    if ((limit -= piece.length) < 0) throw new BodyTooLarge();
    yield piece;
  }
}

/** The configuration of a reverse proxy. */
interface ReverseProxyOptions {
  /** The hosts that are served, as in a URL; a request for any other host is answered with 421. */
  hosts: string[];
  /** How many exchanges may run at once; further requests are answered with 503. */
  maxExchanges?: number;
  /** How many bytes the body of a request may have; a larger one is answered with 413. */
  maxRequestBytes?: number;
  /** Takes a line about each failure, which may name internal hosts; by default `console.error`. */
  log?: (line: string) => void;
}

/** Makes a handler that passes requests on to an origin. */
function reverseProxy(origin: URL, options: ReverseProxyOptions): Deno.ServeHandler {
  const { hosts, maxExchanges = 1000, maxRequestBytes = 100 << 20, log = console.error } = options;
  const Connection = origin.protocol === "https:" ? HTTPSConnection : HTTPConnection;
  const answer = (status: number, text: string) =>
    new Response(`${text}\n`, { status, headers: { "Cache-Control": "no-store" } });
  let exchanges = 0;

  return async (request, { remoteAddr }) => {
    const { method, body, signal } = request;
    const url = new URL(request.url);
    if (!hosts.includes(url.host)) return answer(421, "Misdirected Request");
    if (method === "CONNECT" || method === "TRACE") return answer(405, "Method Not Allowed");
    if (Number(request.headers.get("content-length")) > maxRequestBytes) {
      return answer(413, "Content Too Large");
    }
    if (exchanges >= maxExchanges) return answer(503, "Service Unavailable");

    const conn = new Connection(origin, {
      timeout: 60, // for each read and each write
      deadlines: { connect: 5, head: 30 },
      maxHeaderBytes: 65536,
    });
    exchanges++;
    let isOver = false;
    const end = () => {
      if (!isOver) exchanges--;
      isOver = true;
      conn[Symbol.dispose]();
    };
    // Also where the client leaves before a byte of the body was read.
    signal.addEventListener("abort", end, { once: true });
    try {
      const fields = passedOn([...request.headers], "1.1").filter(([name]) =>
        !["host", "expect", ...FORWARDED].includes(name.toLowerCase())
      );
      fields.push(...forwarded(remoteAddr as Deno.NetAddr, url), ["Connection", "close"]);
      const source = body === null ? null : limited(body, maxRequestBytes);
      const expect_continue = request.headers.has("expect") ? 5 : false;
      // Not awaited: the answer may come before the body is out. Its failure is that of getresponse().
      conn.request(method, url.pathname + url.search, source, fields, { signal, expect_continue });
      const response = await conn.getresponse();
      const { status } = response;
      const version = response.version === 10 ? "1.0" : "1.1";
      const headers = new Headers(passedOn(response.getheaders(), version));
      if (method === "HEAD" || [204, 205, 304].includes(status)) {
        end();
        return new Response(null, { status, headers });
      }
      // A piece is read when the client has taken the one before; a client that leaves ends the loop.
      const pieces = async function* () {
        try {
          yield* response;
        } finally {
          end();
        }
      };
      return new Response(ReadableStream.from(pieces()), { status, headers });
    } catch (error) {
      end();
      if (error instanceof BodyTooLarge) return answer(413, "Content Too Large");
      if (!signal.aborted) log(`${method} ${url.pathname}: ${error}`);
      return error instanceof errors.TimedOut
        ? answer(504, "Gateway Timeout")
        : answer(502, "Bad Gateway");
    }
  };
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const left = Promise.withResolvers<Uint8Array>();
  await using origin = await startRaw(async (peer) => {
    const head = await peer.readHead();
    const [, path] = head.split(" ");
    if (path === "/broken") return await peer.send("HTTP/9 what?\r\n\r\n");
    if (path === "/endless") {
      await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
      return left.resolve(await peer.eof());
    }
    await peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    if (/^expect:/im.test(head)) await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (/^transfer-encoding:/im.test(head)) await peer.readChunks();
    const text = head + new TextDecoder().decode(await peer.readBytes(length));
    await peer.send("HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: X-Hop\r\n");
    await peer.send(`X-Hop: 1\r\nVia: 1.0 inner\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    await peer.eof();
  });
  const hosts: string[] = [];
  const handler = reverseProxy(new URL(`http://127.0.0.1:${origin.port}`), {
    hosts,
    maxExchanges: 1,
    maxRequestBytes: 1000,
    log: (line) => console.log(`refused, as it should be: ${line}`),
  });
  await using edge = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
  const host = `127.0.0.1:${edge.addr.port}`;
  const ask = async (method: string, path: string, body?: BodyInit, fields = {}) => {
    using conn = new HTTPConnection(host);
    await conn.request(method, path, body as string, fields);
    const response = await conn.getresponse();
    return { response, text: await response.text() };
  };
  assertEquals((await ask("GET", "/")).response.status, 421);
  hosts.push(host);

  const { response, text } = await ask("POST", "/path?q=1", "body", {
    "Connection": "keep-alive, X-Secret",
    "X-Secret": "1",
    "X-Forwarded-For": "6.6.6.6",
    "Expect": "100-continue",
  });
  console.log(text);
  assert(text.startsWith("POST /path?q=1 HTTP/1.1\r\n") && text.endsWith("\r\n\r\nbody"));
  assert(text.includes(`\r\nForwarded: for=127.0.0.1;host="${host}";proto=http\r\n`));
  assert(text.includes(`\r\nHost: 127.0.0.1:${origin.port}\r\n`) && !/secret|6\.6/i.test(text));
  assertEquals(response.headers.get_all("set-cookie"), ["a", "b"]);
  assertEquals([response.getheader("via"), response.getheader("x-hop")], [
    "1.0 inner, 1.1 edge",
    null,
  ]);
  const large = await ask("POST", "/", [new Uint8Array(600), new Uint8Array(600)] as never);
  assertEquals([large.response.status, large.text], [413, "Content Too Large\n"]);
  const broken = await ask("GET", "/broken");
  assertEquals([broken.response.status, broken.text], [502, "Bad Gateway\n"]);

  using client = new HTTPConnection(host);
  await client.request("GET", "/endless");
  const endless = await client.getresponse();
  assertEquals(new TextDecoder().decode(await endless.read(5)), "first");
  assertEquals((await ask("GET", "/")).response.status, 503);
  client.close();
  await left.promise; // The connection to the origin has ended with that of the client.
  console.log("checked: forwarding fields, limits, an error of the origin, a client that leaves");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  else {
    const [origin, ...hosts] = Deno.args;
    Deno.serve({ port: 8000, hostname: "127.0.0.1" }, reverseProxy(new URL(origin), { hosts }));
  }
}
