/**
 * A crawler: visits the pages of one origin over a pool of connections, with limits on the number of pages
 * and on their bytes, on the wire and decoded. It respects robots.txt, and parses pages as they arrive.
 *
 *     deno run -A examples/crawler.ts
 *     deno run -A examples/crawler.ts URL [--pages N] [--connections N]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { HTTPConnection, HTTPSConnection } from "@denoports/http-client";
import { assertEquals } from "@std/assert";
import { Parser } from "npm:htmlparser2@12";
import robots from "npm:robots-parser@3";
import { Pool } from "./pool.ts";

const AGENT = "example-crawler";

// The package exports the function itself, other than its types say.
const robotsParser = robots as unknown as typeof robots.default;

/** Options of {@linkcode crawl}. */
export interface CrawlOptions {
  /** How many pages are requested at most. @default {100} */
  pages?: number;
  /** How many connections there are at most. @default {4} */
  connections?: number;
  /** How many bytes a page may have. @default {2097152} */
  pageBytes?: number;
  /** How many bytes all pages may have together, decoded. @default {104857600} */
  totalBytes?: number;
  signal?: AbortSignal;
}

/** What became of a page: its status and its size, or an error. */
export type Visit = { status: number; bytes: number } | { error: unknown };

/** Visits pages of one origin, beginning with `start`; returns the visits by URL. */
export async function crawl(start: URL, options: CrawlOptions = {}): Promise<Map<string, Visit>> {
  const { pages = 100, connections = 4, pageBytes = 2 << 20, totalBytes = 100 << 20 } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...options.signal ? [options.signal] : []]);
  using pool = new Pool({
    max: connections,
    connect: (origin) =>
      new (origin.protocol === "https:" ? HTTPSConnection : HTTPConnection)(origin, {
        timeout: 15,
        deadlines: { total: 60 }, // A slow server does not hold a connection for longer.
        maxBodyBytes: pageBytes,
      }),
  });
  const headers = { "User-Agent": AGENT, "Accept": "text/html", "Accept-Encoding": "gzip, br" };
  const visits = new Map<string, Visit>();
  const tasks: Promise<void>[] = [];
  let bytes = 0;

  const robotsUrl = new URL("/robots.txt", start);
  const rules = await pool.request("GET", robotsUrl, async (response) => {
    // RFC 9309, Section 2.3.1: if there is no file, all is allowed; if the server fails, nothing is.
    let text = response.status >= 500 ? "User-agent: *\nDisallow: /" : "";
    if (response.ok) text = await response.decoded({ maxDecodedBytes: pageBytes }).text();
    return robotsParser(robotsUrl.href, text);
  }, { headers, signal });

  /** Queues a page, unless it was seen before; the pool limits how many are requested at once. */
  const add = (link: string, base: URL) => {
    const url = URL.parse(link, base);
    if (url === null || url.origin !== start.origin || tasks.length >= pages) return;
    url.hash = url.username = url.password = "";
    if (visits.has(url.href) || rules.isAllowed(url.href, AGENT) === false) return;
    const visit: Visit = { error: new Error("not visited") };
    visits.set(url.href, visit);
    tasks.push(
      visitPage(url).then((result) => void visits.set(url.href, result), (error) => {
        visits.set(url.href, { error });
      }),
    );
  };

  const visitPage = (url: URL) =>
    pool.request("GET", url, async (response): Promise<Visit> => {
      const { status } = response;
      const location = response.headers.get("location");
      if (status >= 300 && status < 400 && location !== null) add(location, url);
      if (!response.ok || response.headers.get_content_type() !== "text/html") {
        await response.drain();
        return { status, bytes: 0 };
      }
      let base = url;
      const parser = new Parser({
        onopentag(name, { href }) {
          if (href === undefined) return;
          if (name === "base") base = URL.parse(href, url) ?? base;
          if (name === "a" || name === "area") add(href, base);
        },
      });
      const decoder = new TextDecoder(); // Links are nearly always US-ASCII, whatever the charset.
      let size = 0;
      for await (const piece of response.decoded({ maxDecodedBytes: pageBytes })) {
        size += piece.length;
        if ((bytes += piece.length) > totalBytes) stop.abort(new Error("too many bytes in all"));
        parser.write(decoder.decode(piece, { stream: true }));
      }
      parser.end();
      return { status, bytes: size };
    }, { headers, signal });

  add(start.href, start);
  for (const task of tasks) await task; // Tasks that are added meanwhile are awaited, too.
  options.signal?.throwIfAborted();
  return visits;
}

async function selfCheck(): Promise<void> {
  const gzip = (text: string) =>
    new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => {
      const html = { "Content-Type": "text/html; charset=utf-8" };
      const { pathname } = new URL(request.url);
      if (pathname === "/robots.txt") return new Response("User-agent: *\nDisallow: /private/\n");
      if (pathname === "/moved") {
        return new Response(null, {
          status: 302,
          headers: { Location: "/9" },
        });
      }
      if (pathname === "/bomb") {
        return new Response(gzip(" ".repeat(3 << 20)), {
          headers: { ...html, "Content-Encoding": "gzip" },
        });
      }
      const links = [
        "/",
        "/1",
        "/2#part",
        "3",
        "/4?a=1&amp;b",
        "/missing",
        "/moved",
        "/bomb",
        "/private/1",
      ];
      const list = links.map((link) => `<a href="${link}">link</a>`).join("\n");
      const page = `<!doctype html>${list}<a href="http://elsewhere.example/">elsewhere</a>`;
      return new Response(gzip(page), {
        status: pathname === "/missing" ? 404 : 200,
        headers: { ...html, "Content-Encoding": "gzip" },
      });
    },
  );
  const start = new URL(`http://127.0.0.1:${server.addr.port}/`);
  const visits = await crawl(start, { connections: 3 });
  const results = [...visits].map(([url, visit]): [string, number | string] => [
    url.slice(start.href.length - 1),
    "error" in visit ? `${visit.error}`.split(":")[0] : visit.status,
  ]);
  assertEquals(Object.fromEntries(results), {
    "/": 200,
    "/1": 200,
    "/2": 200,
    "/3": 200,
    "/4?a=1&b": 200,
    "/9": 200,
    "/bomb": "HTTPException",
    "/missing": 404,
    "/moved": 302,
  });
  assertEquals((await crawl(start, { pages: 5 })).size, 5);
  console.log(
    "checked: links, robots.txt, a redirect, a 404, limits on pages and on decoded bytes",
  );
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: { pages: { type: "string" }, connections: { type: "string" } },
  });
  if (positionals.length === 0) await selfCheck();
  for (const start of positionals) {
    const visits = await crawl(new URL(start), {
      pages: Number(values.pages ?? 100),
      connections: Number(values.connections ?? 4),
    });
    for (const [url, visit] of visits) {
      console.log(
        url,
        "error" in visit ? `${visit.error}` : `${visit.status}, ${visit.bytes} bytes`,
      );
    }
  }
}
