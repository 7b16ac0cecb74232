/**
 * Redirects followed by the rules of RFC 9110, Section 15.4: which method and body go to the next URL,
 * credentials for their own origin only, never from https to http, and not without end.
 *
 *     deno run -A examples/redirects.ts
 *     deno run -A examples/redirects.ts URL      prints each step
 *
 * @module
 */
import {
  type FieldValue,
  HTTPConnection,
  type HTTPConnectionOptions,
  type HTTPResponse,
  HTTPSConnection,
  type RequestBody,
} from "@denoports/http-client";
import { assertEquals, assertRejects } from "@std/assert";

const REDIRECTS = [301, 302, 303, 307, 308];
const CREDENTIALS = ["authorization", "cookie", "proxy-authorization"];

/** Options of {@linkcode follow}. */
export interface FollowOptions {
  headers?: Record<string, FieldValue>;
  /** Makes the body, for each request anew. */
  body?: () => RequestBody;
  /** How many redirects are followed. @default {10} */
  limit?: number;
  /** Whether a URL may be requested; a server that takes URLs from its users refuses internal ones. */
  allow?: (url: URL) => boolean;
  /** Options of the connections. */
  connection?: HTTPConnectionOptions;
  signal?: AbortSignal;
}

/** The final response; disposing of it closes its connection. */
export interface Followed extends Disposable {
  response: HTTPResponse;
  /** The URL of the final response. */
  url: URL;
  /** The URLs that redirected. */
  via: URL[];
}

/** Sends a request and follows its redirects. */
export async function follow(
  method: string,
  url: URL,
  options: FollowOptions = {},
): Promise<Followed> {
  const { limit = 10, allow = () => true, connection = { timeout: 30 }, signal } = options;
  let { body } = options;
  let headers = Object.entries(options.headers ?? {});
  const without = (dropped: (name: string) => boolean) =>
    headers = headers.filter(([name]) => !dropped(name.toLowerCase()));
  const via: URL[] = [];
  let conn: HTTPConnection | null = null;
  try {
    for (;;) {
      if (!allow(url)) throw new Error(`Cannot request ${url}: not allowed`);
      conn ??= new (url.protocol === "https:" ? HTTPSConnection : HTTPConnection)(url, connection);
      await conn.request(method, url, body?.(), headers, { signal });
      const response = await conn.getresponse();
      const { status } = response;
      const location = response.headers.get("location");
      if (!REDIRECTS.includes(status) || location === null) {
        const used = conn;
        return { response, url, via, [Symbol.dispose]: () => used[Symbol.dispose]() };
      }
      if (via.length === limit) throw new Error(`Cannot follow more than ${limit} redirects`);
      via.push(url);
      await response.drain(); // The connection can be used again if little is left of the body.

      // A field is ISO-8859-1 here; a URL that is not ASCII is sent as UTF-8 in practice.
      const raw = new TextDecoder().decode(Uint8Array.from(location, (c) => c.charCodeAt(0)));
      const next = new URL(raw, url);
      next.hash ||= url.hash; // RFC 9110, Section 10.2.2.
      if (next.protocol !== "https:" && (url.protocol === "https:" || next.protocol !== "http:")) {
        throw new Error(`Cannot follow a redirect from ${url.origin} to ${next.protocol}`);
      }
      if (next.origin !== url.origin) {
        without((name) => CREDENTIALS.includes(name) || name === "host");
        conn[Symbol.dispose]();
        conn = null;
      }
      const becomesGet = status === 303
        ? method !== "GET" && method !== "HEAD"
        : status < 303 && method === "POST";
      if (becomesGet) {
        method = "GET";
        body = undefined;
        without((name) => name.startsWith("content-") || name === "transfer-encoding");
      }
      url = next;
    }
  } catch (error) {
    conn?.[Symbol.dispose]();
    throw error;
  }
}

async function selfCheck(): Promise<void> {
  const { startRaw } = await import("../tests/servers/raw.ts");
  const redirect = (status: number, location: string) =>
    `HTTP/1.1 ${status} Elsewhere\r\nLocation: ${location}\r\nContent-Length: 4\r\n\r\nmove`;
  await using other = await startRaw(async (peer) => {
    for (;;) {
      await peer.readRequest();
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  await using server = await startRaw(async (peer) => {
    for (;;) {
      const { target, method, body, head } = await peer.readRequest();
      const status = Number(/^\/(30\d)$/.exec(target)?.[1]);
      if (status) await peer.send(redirect(status, "end?q=1"));
      else if (target === "/loop") await peer.send(redirect(302, "/loop"));
      else if (target === "/file") await peer.send(redirect(302, "file:///etc/passwd"));
      else if (target === "/other") {
        await peer.send(redirect(307, `http://127.0.0.1:${other.port}/here`));
      } else {
        const text = `${method} ${body.length} ${/^content-type/im.test(head)}`;
        await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
      }
    }
  });
  const url = (path: string) => new URL(path, `http://127.0.0.1:${server.port}/`);
  const headers = { "Content-Type": "text/plain", "Authorization": "Bearer secret" };

  const results: string[] = [];
  for (const method of ["POST", "PUT"]) {
    for (const status of REDIRECTS) {
      using result = await follow(method, url(`/${status}#top`), { headers, body: () => "12345" });
      assertEquals(result.url, url("/end?q=1#top"));
      results.push(`${method} ${status}: ${await result.response.text()}`);
    }
  }
  assertEquals(results.map((line) => line.split(": ")[1]), [
    ...["GET 0 false", "GET 0 false", "GET 0 false", "POST 5 true", "POST 5 true"],
    ...["PUT 5 true", "PUT 5 true", "GET 0 false", "PUT 5 true", "PUT 5 true"],
  ]);
  assertEquals(server.accepted, 10); // Each redirect within an origin uses its connection again.

  using result = await follow("POST", url("/other"), { headers, body: () => "12345" });
  assertEquals([await result.response.text(), result.via], ["ok", [url("/other")]]);
  assertEquals(other.requests[0].includes("secret"), false);
  assertEquals(other.peers[0].text.endsWith("12345"), true);

  await assertRejects(() => follow("GET", url("/loop"), { limit: 3 }), Error, "more than 3");
  await assertRejects(() => follow("GET", url("/file")), Error, "to file:");
  const allow = ({ port }: URL) => Number(port) === server.port;
  await assertRejects(() => follow("GET", url("/other"), { allow }), Error, "not allowed");
  console.log("checked: methods and bodies by status, credentials, connections, limits");
}

if (import.meta.main) {
  if (Deno.args.length === 0) await selfCheck();
  for (const arg of Deno.args) {
    using result = await follow("GET", new URL(arg));
    for (const url of result.via) console.log(`${url} redirects to`);
    console.log(`${result.url}: ${result.response.status} ${result.response.reason}`);
  }
}
