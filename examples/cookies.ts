/**
 * Cookies over several hosts and paths, kept by `npm:tough-cookie`: the jar decides which cookies go with
 * which request, and which may be set, by RFC 6265 and the public suffix list.
 *
 *     deno run -A examples/cookies.ts
 *     deno run -A examples/cookies.ts URL...     requests them one after another, and prints the cookies
 *
 * @module
 */
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
} from "@denoports/http-client";
import { assertEquals } from "@std/assert";
import { CookieJar } from "npm:tough-cookie@6";

/** Makes a GET request with the cookies of a jar, and keeps those that the response sets. */
export async function get(
  jar: CookieJar,
  url: URL,
  options: HTTPConnectionOptions = { timeout: 30, maxBodyBytes: 16 << 20 },
): Promise<{ status: number; body: Uint8Array }> {
  const cookies = await jar.getCookieString(url.href);
  using conn = new (url.protocol === "https:" ? HTTPSConnection : HTTPConnection)(url, options);
  await conn.request("GET", url, null, cookies === "" ? {} : { "Cookie": cookies });
  const response = await conn.getresponse();
  // Each `Set-Cookie` is a field of its own: joined by commas they could not be told apart. How many there
  // may be is limited by `max_response_headers`, and how long they may be by `maxLineBytes`.
  for (const line of response.headers.get_all("set-cookie", [])) {
    await jar.setCookie(line, url.href, { ignoreError: true }); // What is not allowed is ignored.
  }
  return { status: response.status, body: await response.read() };
}

async function selfCheck(): Promise<void> {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { searchParams } = new URL(request.url);
    const headers = new Headers();
    for (const line of searchParams.getAll("set")) headers.append("Set-Cookie", line);
    return new Response(request.headers.get("cookie"), { headers });
  });
  const { port } = server.addr;
  const jar = new CookieJar();
  // Whatever the host is, the connections go to the server above.
  const options = { address: `127.0.0.1:${port}`, timeout: 10 };
  const visit = async (path: string, ...set: string[]) => {
    const url = new URL(`http://${path}`);
    for (const line of set) url.searchParams.append("set", line);
    return new TextDecoder().decode((await get(jar, url, options)).body);
  };

  await visit("www.example.com/", "host=1", "site=2; Domain=example.com", "old=3; Max-Age=0");
  await visit(
    "www.example.com/shop/cart",
    "cart=4; Path=/shop",
    "safe=5; Secure",
    "date=6; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
  );
  // Cookies for another site, for a public suffix and for a sibling host are ignored.
  await visit(
    "www.example.com/",
    "evil=7; Domain=example.org",
    "evil=8; Domain=com",
    "evil=9; Path=/; Domain=api.example.com",
  );

  assertEquals(await visit("www.example.com/"), "host=1; site=2");
  assertEquals(await visit("www.example.com/shop/"), "cart=4; date=6; host=1; site=2");
  assertEquals(await visit("www.example.com/shopping"), "host=1; site=2");
  assertEquals(await visit("api.example.com/"), "site=2");
  assertEquals(await visit("www.example.org/"), "");

  // The jar can be stored.
  const copy = await CookieJar.deserialize(JSON.stringify(jar.toJSON()));
  const url = "https://www.example.com/shop/";
  assertEquals(await copy.getCookieString(url), await jar.getCookieString(url));
  console.log("checked: cookies by host, path and age, cookies refused, a stored jar");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  const jar = new CookieJar();
  for (const arg of Deno.args) {
    const url = new URL(arg);
    const { status, body } = await get(jar, url);
    console.log(status, `${body.length} bytes`, url.href);
    for (const cookie of await jar.getCookies(url.href)) console.log(`  ${cookie}`);
  }
}
