/**
 * Proxies from the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or
 * lower case. An `http:` URL is requested from the proxy in absolute form, an `https:` URL through a
 * CONNECT tunnel; the proxy itself may be reached over TLS. Without arguments it checks itself.
 *
 *     deno run -A examples/proxies.ts
 *     deno run -A examples/proxies.ts https://example.com/
 *
 * @module
 */
import { BlockList, isIP } from "node:net";
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  type HTTPResponse,
  HTTPSConnection,
  TunnelError,
} from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";
import type { Peer } from "../tests/servers/raw.ts";

type Environment = Record<string, string | undefined>;

/** The proxy for a URL, or `null` where the connection is to be direct. */
function proxyFor(url: URL, env: Environment): URL | null {
  const get = (name: string) => env[name] || env[name.toUpperCase()];
  if (matchesNoProxy(url, get("no_proxy") ?? "")) return null;
  // Under CGI, HTTP_PROXY is the client's `Proxy` field ("httpoxy", CVE-2016-5385).
  const own = url.protocol === "http:" && env.REQUEST_METHOD !== undefined
    ? env.http_proxy
    : get(url.protocol.replace(":", "_proxy"));
  const value = own || get("all_proxy");
  if (!value) return null;
  const proxy = new URL(value.includes("://") ? value : `http://${value}`);
  if (["http:", "https:"].includes(proxy.protocol)) return proxy;
  throw new Error(`Cannot use a proxy of the scheme ${proxy.protocol} here`);
}

/**
 * Whether `NO_PROXY` excludes a URL: `*`, a domain with its subdomains, an address or a CIDR block, each
 * with a port or without. Names are not resolved, so an address excludes only URLs that have it as host.
 */
function matchesNoProxy(url: URL, noProxy: string): boolean {
  const host = bare(url.hostname).replace(/\.$/, "");
  const family = isIP(host) === 6 ? "ipv6" : "ipv4";
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return noProxy.toLowerCase().split(/[\s,]+/).filter(Boolean).some((entry) => {
    if (entry === "*") return true;
    const [, name, only] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? [, entry];
    if (only !== undefined && Number(only) !== Number(port)) return false;
    if (!isIP(host)) {
      const domain = name!.replace(/^\*?\./, "").replace(/\.$/, "");
      return domain !== "" && `.${host}`.endsWith(`.${domain}`);
    }
    const [address, bits = family === "ipv6" ? "128" : "32"] = bare(name!).split("/");
    if (isIP(address) !== isIP(host) || !/^\d+$/.test(bits)) return false;
    const list = new BlockList();
    list.addSubnet(address, Math.min(Number(bits), family === "ipv6" ? 128 : 32), family);
    return list.check(host, family);
  });
}

/** Without the brackets of an IPv6 address. */
const bare = (host: string) => host.replace(/^\[|\]$/g, "");

/** A connection for a URL, with the target and the fields that its requests need. */
function connectionFor(url: URL, env: Environment, caCerts: string[] = []): {
  conn: HTTPConnection;
  target: string;
  headers: Record<string, string>;
} {
  const overTls = url.protocol === "https:";
  const options: HTTPConnectionOptions = { timeout: 30, deadlines: { connect: 10, head: 30 } };
  const context = { caCerts };
  const proxy = proxyFor(url, env);
  if (proxy === null) {
    const origin = new URL(url.origin); // without a user and a password
    const conn = overTls
      ? new HTTPSConnection(origin, { ...options, context })
      : new HTTPConnection(origin, options);
    return { conn, target: url.pathname + url.search, headers: {} };
  }
  const isSecure = proxy.protocol === "https:";
  const at = { hostname: bare(proxy.hostname), port: Number(proxy.port) || (isSecure ? 443 : 80) };
  const headers = proxyAuthorization(proxy);
  if (!overTls) {
    const conn = isSecure
      ? new HTTPSConnection(at.hostname, at.port, { ...options, context })
      : new HTTPConnection(at.hostname, at.port, options);
    return { conn, target: url.origin + url.pathname + url.search, headers };
  }
  // The tunnel runs over what `transport` makes, and TLS with the origin runs within the tunnel.
  const alpnProtocols = ["http/1.1"];
  const transport = () => Deno.connectTls({ ...at, caCerts, alpnProtocols });
  const conn = new HTTPSConnection(at.hostname, at.port, {
    ...options,
    context,
    ...(isSecure ? { transport } : {}),
  });
  conn.set_tunnel(bare(url.hostname), Number(url.port) || 443, headers);
  return { conn, target: url.pathname + url.search, headers: {} };
}

/** Credentials of a proxy's URL, for the Basic scheme in UTF-8 (RFC 7617). */
function proxyAuthorization({ username, password }: URL): Record<string, string> {
  if (username === "" && password === "") return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "Proxy-Authorization": `Basic ${new TextEncoder().encode(pair).toBase64()}` };
}

/** The proxy wants credentials, or other ones. */
class ProxyAuthenticationError extends Error {
  override name = "ProxyAuthenticationError";
}

/** Sends a GET. A 407 is the proxy's answer, not the origin's, and is an error either way. */
async function get(conn: HTTPConnection, target: string, headers: Record<string, string>) {
  const refuse = (challenge: string | null, cause?: Error) => {
    throw new ProxyAuthenticationError(`The proxy requires: ${challenge ?? "no scheme"}`, {
      cause,
    });
  };
  let response: HTTPResponse;
  try {
    await conn.request("GET", target, null, headers);
    response = await conn.getresponse();
  } catch (error) {
    if (!(error instanceof TunnelError) || error.status !== 407) throw error;
    return refuse(error.headers.get("proxy-authenticate"), error);
  }
  if (response.status !== 407) return response;
  response.close();
  return refuse(response.getheader("proxy-authenticate"));
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const { startRawTls } = await import("../tests/servers/raw_tls.ts");
  const { CA, LOCALHOST } = await import("../tests/tls/mod.ts");
  const { relay } = await import("./relay.ts");
  const noProxy = "internal.example, .corp.example:8080, 10.0.0.0/8 [::1]:80";
  for (
    const [url, expected] of [
      ["http://internal.example/", true],
      ["http://a.internal.example:81/", true],
      ["http://notinternal.example/", false],
      ["http://corp.example:8080/", true],
      ["http://corp.example/", false],
      ["http://10.1.2.3/", true],
      ["http://11.1.2.3/", false],
      ["http://[::1]/", true],
      ["https://[::1]/", false],
    ] as const
  ) assertEquals(matchesNoProxy(new URL(url), noProxy), expected, url);
  assertEquals(proxyFor(new URL("http://a/"), { HTTP_PROXY: "p:1", REQUEST_METHOD: "GET" }), null);
  assertEquals(proxyFor(new URL("http://a/"), { ALL_PROXY: "p:1", no_proxy: "*" }), null);

  const forward = async (peer: Peer) => {
    const { target, get } = await peer.readRequest();
    const text = `${target} ${get("host")} ${get("proxy-authorization")}`;
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
  };
  const refuse = async (peer: Peer) => {
    await peer.readRequest();
    await peer.send("HTTP/1.1 407 Proxy Authentication Required\r\n");
    await peer.send('Proxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n');
  };
  await using origin = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {}, ...LOCALHOST },
    (request) => new Response(`origin ${request.headers.get("proxy-authorization")}`),
  );
  await using plain = await startRaw(forward);
  await using secure = await startRawTls(forward);
  await using tunnel = await startRaw(relay);
  await using secureTunnel = await startRawTls(relay);
  await using denied = await startRaw(refuse);

  const fetchText = async (url: string, proxy: string) => {
    const { conn, target, headers } = connectionFor(new URL(url), { ALL_PROXY: proxy }, [CA]);
    using _conn = conn;
    return await (await get(conn, target, headers)).text();
  };
  const viaHttp = "http://a.example:81/x?y a.example:81 Basic w7w6OnA=";
  assertEquals(
    await fetchText("http://a.example:81/x?y", `%C3%BC:%3Ap@localhost:${plain.port}`),
    viaHttp,
  );
  assertEquals(
    await fetchText("http://a.example:81/x?y", `https://%C3%BC:%3Ap@localhost:${secure.port}`),
    viaHttp,
  );
  const https = `https://localhost:${origin.addr.port}/`;
  assertEquals(await fetchText(https, `http://u:p@localhost:${tunnel.port}`), "origin null");
  assertEquals(await fetchText(https, `https://u:p@localhost:${secureTunnel.port}`), "origin null");
  for (const { peers: [peer] } of [tunnel, secureTunnel]) {
    assertEquals(/^Proxy-Authorization: (.*)\r$/m.exec(peer.text)?.[1], "Basic dTpw");
  }
  for (const url of ["http://a.example/", https]) {
    const error = await assertRejects(
      () => fetchText(url, `localhost:${denied.port}`),
      ProxyAuthenticationError,
    );
    assertEquals(error.message, 'The proxy requires: Basic realm="p"');
  }
  console.log("checked: absolute form, tunnels, proxies over TLS, NO_PROXY, 407");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  else {
    const { conn, target, headers } = connectionFor(new URL(Deno.args[0]), Deno.env.toObject());
    using _conn = conn;
    const response = await get(conn, target, headers);
    console.log(response.status, response.reason, response.getheaders());
    await response.pipeTo(Deno.stdout.writable, { preventClose: true });
  }
}
