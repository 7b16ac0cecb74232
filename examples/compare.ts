/**
 * The same exchanges with the same raw server by four clients: this library, Deno's `fetch`,
 * `npm:undici` and `node:http` on Deno. Prints what each makes of them, as a Markdown table; each cell
 * is what happened in this run.
 *
 *     deno run -A examples/compare.ts           prints the table
 *     deno run -A examples/compare.ts --write   and puts it into the pages that show it
 *     deno run -A examples/compare.ts --check   fails if they say otherwise of this library
 *     deno run -A examples/compare.ts --ours    runs this library alone, and needs no package
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { type Peer, type RawServer, type Script, startRaw } from "../tests/servers/raw.ts";
import {
  type Answer,
  type Ask,
  type Client,
  CLIENTS,
  NotPossible,
  OURS,
} from "./compare_clients.ts";

/** Whether this library runs alone. */
const ALONE = Deno.args.includes("--ours");
/** How long a client may take for a scenario, in milliseconds; only the others take all of it. */
const LIMIT = ALONE ? 20_000 : 2000;

/** What the server and the one who asks know of each other. */
interface Stage {
  /** The client is done, or was too late. */
  readonly done: Promise<void>;
  /** Something has happened that the one who asks waits for. */
  readonly cue: PromiseWithResolvers<void>;
}

/** A need, and how it is seen whether a client meets it. */
interface Scenario {
  readonly need: string;
  /** What the server does with each connection. */
  script(peer: Peer, stage: Stage): Promise<void> | void;
  readonly unix?: boolean;
  /** Says what happened, beginning with "yes" or "no"; what it throws is a "no". */
  run(client: Client, server: RawServer, stage: Stage): Promise<string>;
}

/** Holds up the program, and so all clients. */
function busy(): void {
  for (const end = performance.now() + 20; performance.now() < end;);
}

const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The short name of an error. */
function nameOf(error: unknown): string {
  const { code, name, message } = error as Error & { code?: string };
  return code ?? (name === "Error" ? message : name);
}

/** What became of a request. */
async function outcome(
  asked: Promise<Answer>,
): Promise<{ answer: Answer; error: null } | { answer: null; error: string }> {
  try {
    return { answer: await asked, error: null };
  } catch (error) {
    if (error instanceof NotPossible || error instanceof ReferenceError) throw error;
    return { answer: null, error: nameOf(error) };
  }
}

/** The need is an error. */
async function refuses(asked: Promise<Answer>, otherwise: (answer: Answer) => string) {
  const { answer, error } = await outcome(asked);
  return answer === null ? `yes: ${error}` : `no: ${otherwise(answer)}`;
}

function same(shown: unknown, expected: unknown, otherwise: string): string {
  return JSON.stringify(shown) === JSON.stringify(expected) ? "yes" : `no: ${otherwise}`;
}

/** A server that gives each request the same answer, and then what is asked of it. */
function answers(answer: string | Uint8Array, then?: (peer: Peer) => Promise<void>): Script {
  return async (peer) => {
    await peer.readRequest();
    await peer.send(answer);
    await (then ?? (() => peer.eof()))(peer);
  };
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Reads whole requests and answers them, to the end of the connection. */
async function serve(peer: Peer, answer = OK): Promise<void> {
  for (;;) {
    await peer.readRequest();
    await peer.send(answer);
  }
}

/** More than any system buffers. */
async function* large() {
  for (let i = 0; i < 1024; i++) {
    yield new Uint8Array(65536);
    if (i % 8 === 0) await delay(0);
  }
}

const UPLOAD: Ask = { method: "PUT", target: "/upload", body: large };
const TOO_LARGE = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig";

async function early413(client: Client): Promise<string> {
  const { answer, error } = await outcome(client.ask(UPLOAD));
  return answer === null ? `no: ${error}` : same([answer.status, answer.body], [413, "big"], "cut");
}

/** What of a request's head is one of `names`, as it came. */
function linesOf(head: string, names: string[]): string[] {
  const known = names.map((name) => name.toLowerCase());
  return head.split("\r\n").filter((line) => known.includes(line.split(":")[0].toLowerCase()));
}

const SENT: [string, string][] = [
  ["X-Zulu", "1"],
  ["accept", "*/*"],
  ["X-aLPHA", "2"],
  ["Content-Language", "en"],
  ["X-aLPHA", "3"],
];
const RECEIVED: [string, string][] = [
  ["X-Zulu", "1"],
  ["Set-Cookie", "a=1"],
  ["X-aLPHA", "2"],
  ["Set-Cookie", "b=2"],
  ["content-length", "0"],
  ["X-aLPHA", "3"],
];

const HELLO_GZIP = new Uint8Array(gzipSync("hello"));

const SCENARIOS: Scenario[] = [
  {
    need: "103 Early Hints are shown",
    script: answers(`HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n${OK}`),
    async run(client) {
      const { interim } = await client.ask({});
      if (interim.length === 0) return "no: dropped";
      return same(interim, [{ status: 103, fields: [["Link", "</a.css>"]] }], "changed");
    },
  },
  {
    need: "An unsolicited `100 Continue` is skipped",
    script: answers(`HTTP/1.1 100 Continue\r\n\r\n${OK}`),
    run: async (client) => same((await client.ask({})).status, 200, "it is the answer"),
  },
  {
    need: "An endless series of 1xx responses is cut off",
    async script(peer) {
      await peer.readRequest();
      for (;;) {
        await peer.send("HTTP/1.1 103 Early Hints\r\n\r\n");
        await delay(5);
      }
    },
    run: (client) => refuses(client.ask({}), () => "answered"),
  },
  {
    need: "The response's trailers are shown",
    script: answers(
      "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    async run(client) {
      const { trailers } = await client.ask({});
      if (trailers.length === 0) return "no: dropped";
      const shown = trailers.map(([name, value]) => [name.toLowerCase(), value]);
      return same(shown, [["x-sum", "1"]], "changed");
    },
  },
  {
    need: "Trailers can be sent",
    script: answers(OK),
    async run(client, server) {
      async function* body() {
        yield new Uint8Array(2);
      }
      await client.ask({
        method: "PUT",
        fields: [["Trailer", "X-Sum"]],
        body,
        trailers: [["X-Sum", "1"]],
      });
      return server.peers[0].text.endsWith("0\r\nX-Sum: 1\r\n\r\n") ? "yes" : "no: dropped";
    },
  },
  {
    need: "`Expect: 100-continue`: the body waits for the 100",
    async script(peer) {
      await peer.readHead();
      await delay(100);
      const early = !peer.text.endsWith("\r\n\r\n");
      await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
      await peer.readBytes(5);
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${early ? "early" : "after"}`);
      await peer.eof();
    },
    async run(client, server) {
      const { body } = await client.ask({ method: "PUT", body: "hello", expect: true });
      if (!/^expect: 100-continue\r$/im.test(server.requests[0])) return "no: not sent";
      return body === "after" ? "yes" : "no: sent at once";
    },
  },
  {
    need: "... and is never sent after a final answer",
    async script(peer) {
      await peer.readHead();
      await peer.send("HTTP/1.1 417 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      await delay(100);
    },
    async run(client, server) {
      const { status } = await client.ask({ method: "PUT", body: "hello", expect: true });
      await server.idle();
      if (!/^expect: 100-continue\r$/im.test(server.requests[0])) return "no: not sent";
      return same([status, server.peers[0].text.includes("hello")], [417, false], "sent");
    },
  },
  {
    need: "A 413 during an upload is delivered when the server stops reading",
    async script(peer, { done }) {
      await peer.readHead();
      await peer.send(TOO_LARGE);
      await done;
    },
    run: early413,
  },
  {
    need: "... and when it resets the connection while the program is busy",
    async script(peer) {
      await peer.readHead();
      await peer.send(TOO_LARGE);
      peer.close(); // What it has not read makes a reset of it.
      busy();
    },
    run: early413,
  },
  {
    need: "... and the next request is not read as part of that body",
    async script(peer, { done }) {
      if (peer.index > 0) return await serve(peer);
      await peer.readHead();
      await peer.send(TOO_LARGE.replace("Connection: close\r\n", ""));
      await done;
    },
    async run(client) {
      const early = await early413(client);
      if (early !== "yes") return early;
      return same((await client.ask({})).body, "ok", "another answer");
    },
  },
  {
    need: "A POST on a reused connection that dies under it is sent once",
    async script(peer) {
      if (peer.index > 0) return await serve(peer);
      await peer.readRequest();
      await peer.send(OK);
      await peer.readRequest();
    },
    async run(client, server) {
      await client.ask({});
      await delay(50);
      await outcome(client.ask({ method: "POST", body: "order=1" }));
      const posts = server.requests.filter((head) => head.startsWith("POST ")).length;
      if (posts === 0 || !server.peers[0].text.includes("POST ")) return "no: not reused";
      return posts === 1 ? "yes" : `no: the server got it ${posts} times`;
    },
  },
  {
    need: "An unsolicited response on an idle connection is discarded",
    async script(peer) {
      if (peer.index > 0) return await serve(peer);
      await peer.readRequest();
      await peer.send(OK);
      await delay(30);
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
      await serve(peer);
    },
    async run(client) {
      await client.ask({ target: "/1" });
      await delay(100);
      const { answer, error } = await outcome(client.ask({ target: "/2" }));
      return answer === null
        ? `no: ${error}`
        : same(answer.body, "ok", "taken for the next answer");
    },
  },
  {
    need: "... even if it came while the program was busy",
    async script(peer, { cue }) {
      if (peer.index > 0) return await serve(peer);
      await peer.readRequest();
      await peer.send(OK);
      await delay(30);
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
      cue.resolve();
      await serve(peer);
    },
    async run(client, _server, { cue }) {
      await client.ask({ target: "/1" });
      await cue.promise;
      busy();
      const { answer, error } = await outcome(client.ask({ target: "/2" }));
      return answer === null
        ? `no: ${error}`
        : same(answer.body, "ok", "taken for the next answer");
    },
  },
  {
    need: "... even if it came right behind the previous response",
    async script(peer) {
      if (peer.index > 0) return await serve(peer);
      await peer.readRequest();
      await peer.send(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`);
      await serve(peer);
    },
    async run(client) {
      await outcome(client.ask({ target: "/1" }));
      const { answer, error } = await outcome(client.ask({ target: "/2" }));
      return answer === null
        ? `no: ${error}`
        : same(answer.body, "ok", "taken for the next answer");
    },
  },
  {
    need: "The request's fields keep their order, case and duplicates",
    script: answers(OK),
    async run(client, server) {
      await client.ask({ fields: SENT });
      const lines = linesOf(server.requests[0], SENT.map(([name]) => name));
      const expected = SENT.map(([name, value]) => `${name}: ${value}`);
      if (JSON.stringify(lines) === JSON.stringify(expected)) return "yes";
      return lines.some((line) => line.startsWith("X-Zulu"))
        ? "no: changed"
        : "no: lower case, joined";
    },
  },
  {
    need: "... and there are no others but `Host` and `Connection`",
    script: answers(OK),
    async run(client, server) {
      await client.ask({ fields: [["X-Only", "1"]], bare: true });
      const names = server.requests[0].trim().split("\r\n").slice(1)
        .map((line) => line.split(":")[0].toLowerCase())
        .filter((name) => !["host", "connection", "x-only"].includes(name));
      return names.length === 0 ? "yes" : `no: ${names.map((name) => `\`${name}\``).join(", ")}`;
    },
  },
  {
    need: "The response's fields keep their order, case and duplicates",
    script: answers(
      `HTTP/1.1 200 OK\r\n${RECEIVED.map(([n, v]) => `${n}: ${v}\r\n`).join("")}\r\n`,
    ),
    async run(client) {
      const { fields } = await client.ask({});
      if (JSON.stringify(fields) === JSON.stringify(RECEIVED)) return "yes";
      return fields.some(([name]) => name === "X-Zulu")
        ? "no: changed"
        : "no: lower case, sorted, joined";
    },
  },
  {
    need: "A byte over 0x7F in a field value is shown as it came",
    script: answers("HTTP/1.1 200 OK\r\nX-A: caf\xe9\r\nContent-Length: 0\r\n\r\n"),
    async run(client) {
      const { fields } = await client.ask({});
      const value = fields.find(([name]) => name.toLowerCase() === "x-a")?.[1];
      return same(value, "caf\xe9", "changed");
    },
  },
  {
    need: "The reason phrase is shown",
    script: answers("HTTP/1.1 200 Quite Fine\r\nContent-Length: 0\r\n\r\n"),
    run: async (client) => same((await client.ask({})).reason, "Quite Fine", "another one"),
  },
  {
    need: "The body is the bytes as sent, even if compressed",
    async script(peer) {
      await peer.readRequest();
      const length = HELLO_GZIP.length;
      await peer.send(
        `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${length}\r\n\r\n`,
        HELLO_GZIP,
      );
      await peer.eof();
    },
    async run(client) {
      const { body } = await client.ask({ fields: [["Accept-Encoding", "gzip"]] });
      return same(body.startsWith("\x1f\x8b"), true, "decoded unasked");
    },
  },
  {
    need: "`Host` can differ from the address to connect to",
    script: answers(OK),
    async run(client, server) {
      await client.ask({ fields: [["Host", "chosen.example"]] });
      return same(linesOf(server.requests[0], ["host"]).map((line) => line.slice(5).trim()), [
        "chosen.example",
      ], "another one");
    },
  },
  {
    need: "The target is sent as given (`/a/../b`)",
    script: answers(OK),
    async run(client, server) {
      await client.ask({ target: "/a/../b" });
      return same(server.requests[0].split(" ")[1], "/a/../b", "changed");
    },
  },
  {
    need: "A GET can have a body",
    script: answers(OK),
    async run(client, server) {
      await client.ask({ method: "GET", body: "query" });
      return server.peers[0].text.endsWith("\r\n\r\nquery") ? "yes" : "no: not sent";
    },
  },
  {
    need: "A unix socket",
    unix: true,
    script: answers(OK),
    run: async (client) => same((await client.ask({})).body, "ok", "another answer"),
  },
  {
    need: "CONNECT hands over the connection and the bytes behind the answer",
    async script(peer) {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\n\r\nhello ");
      await peer.send(`and ${await peer.readUntil("\n")}`);
      await peer.eof();
    },
    run: (client) =>
      talk(client, { method: "CONNECT", target: "a.example:25", fields: [["Host", "a.example"]] }),
  },
  {
    need: "101 hands over the connection and the bytes behind the answer",
    async script(peer) {
      await peer.readHead();
      await peer.send("HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello ");
      await peer.send(`and ${await peer.readUntil("\n")}`);
      await peer.eof();
    },
    run: (client) =>
      talk(client, { target: "/attach", fields: [["Connection", "Upgrade"], ["Upgrade", "tcp"]] }),
  },
  {
    need: "A body shorter than its `Content-Length` is an error",
    script: answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", () => Promise.resolve()),
    run: (client) => refuses(client.ask({}), () => "it looks whole"),
  },
  {
    need: "A chunked body without its last chunk is an error",
    script: answers(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
      () => Promise.resolve(),
    ),
    run: (client) => refuses(client.ask({}), () => "it looks whole"),
  },
  {
    need: "Different `Content-Length` values are refused",
    script: answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nhello"),
    run: (client) => refuses(client.ask({}), ({ body }) => `${body.length} bytes`),
  },
  {
    need: "`Content-Length: +2` is refused",
    script: answers("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
    run: (client) => refuses(client.ask({}), () => "accepted"),
  },
  {
    need: "`Transfer-Encoding` with `Content-Length`: refused, or the connection not reused",
    async script(peer) {
      if (peer.index > 0) return await serve(peer);
      await serve(
        peer,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" +
          "2\r\nok\r\n0\r\n\r\n",
      );
    },
    async run(client, server) {
      const { answer, error } = await outcome(client.ask({}));
      if (answer === null) return `yes: ${error}`;
      await delay(50);
      await client.ask({});
      return server.accepted === 2 ? "yes: not reused" : "no: reused";
    },
  },
  {
    need: "An unknown `Transfer-Encoding` is refused",
    script: answers(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      () => Promise.resolve(),
    ),
    run: (client) => refuses(client.ask({}), () => "framing read as the body"),
  },
  {
    need: "A bare LF in chunk framing is refused",
    script: answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n"),
    run: (client) => refuses(client.ask({}), () => "accepted"),
  },
  {
    need: "Chunk data longer than its size is refused",
    script: answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n"),
    run: (client) => refuses(client.ask({}), () => "accepted"),
  },
  {
    need: "A framing field with a space before its colon is refused",
    script: answers(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nContent-Length: 12\r\n\r\n" +
        "2\r\nok\r\n0\r\n\r\n",
    ),
    run: (client) =>
      refuses(client.ask({}), ({ body }) => body === "ok" ? "it is chunked" : "it is ignored"),
  },
  {
    need: "A folded field line is one value (RFC 9112, 5.2)",
    script: answers("HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 0\r\n\r\n"),
    async run(client) {
      const { fields } = await client.ask({});
      const value = fields.find(([name]) => name.toLowerCase() === "x-a")?.[1];
      return same(value, "one two", JSON.stringify(value ?? ""));
    },
  },
  {
    need: "A NUL in a field value is refused",
    script: answers("HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n"),
    run: (client) => refuses(client.ask({}), () => "accepted"),
  },
];

/** Takes over a connection and says something on it. */
async function talk(client: Client, ask: Ask): Promise<string> {
  const raw = await client.takeOver(ask);
  await raw.send("goodbye\n");
  let text = "";
  while (!text.endsWith("\n")) text += await raw.read();
  return same(text, "hello and goodbye\n", "bytes are lost");
}

/** What one client makes of one scenario. */
async function cell(scenario: Scenario, open: (typeof CLIENTS)[string]): Promise<string> {
  const over = Promise.withResolvers<void>();
  const stage = { done: over.promise, cue: Promise.withResolvers<void>() };
  const script = (peer: Peer) => scenario.script(peer, stage);
  await using server = await startRaw(script, { unix: scenario.unix });
  const client = await open(server);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, LIMIT, `no: no end within ${LIMIT / 1000} s`);
  });
  try {
    return await Promise.race([scenario.run(client, server, stage), late]);
  } catch (error) {
    return error instanceof NotPossible ? "not possible" : `no: ${nameOf(error)}`;
  } finally {
    clearTimeout(timer);
    over.resolve();
    await client.close();
  }
}

/** A Markdown table as `deno fmt` lays it out. */
function table(rows: string[][]): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const line = (row: string[]) => `| ${row.map((text, i) => text.padEnd(widths[i])).join(" | ")} |`;
  const [head, ...body] = rows.map(line);
  return [head, line(widths.map((width) => "-".repeat(width))), ...body].join("\n");
}

const PAGE = new URL("COMPARISON.md", import.meta.url);
const README = new URL("../README.md", import.meta.url);

/** The rows that the README shows. */
const IN_README = [
  "A POST on a reused connection that dies under it is sent once",
  "The response's fields keep their order, case and duplicates",
  "The body is the bytes as sent, even if compressed",
  "`Expect: 100-continue`: the body waits for the 100",
  "An unknown `Transfer-Encoding` is refused",
];

/** The pages that show the table, and the rows that they show. */
function pagesFor(rows: string[][]): [page: URL, shown: string[][]][] {
  const [head, ...body] = rows;
  const picked = IN_README.map((need) => {
    const row = body.find(([first]) => first === need);
    if (row === undefined) throw new Error(`Cannot show the table: no row says "${need}"`);
    return row;
  });
  return [[PAGE, rows], [README, [head, ...picked]]];
}

const SHOWN = /(<!-- compare:begin -->\n)[^]*?(<!-- compare:end -->)/;

/** What a row says of this library: the rivals' cells vary with their versions and the machine's load. */
function ours(row: string): string {
  return row.split("|").slice(1, 3).map((cell) => cell.trim()).join(" | ");
}

/** Whether the pages that show the table say the same of this library. */
function checkPages(rows: string[][]): boolean {
  let same = true;
  for (const [page, expected] of pagesFor(rows)) {
    const shown = SHOWN.exec(Deno.readTextFileSync(page))?.[0].split("\n").map(ours) ?? [];
    for (const row of table(expected).split("\n").slice(2).map(ours)) {
      if (shown.includes(row)) continue;
      console.error(`Not shown in ${page.pathname}:`, row);
      same = false;
    }
  }
  return same;
}

/** Puts the table into the pages that show it. */
function writePages(rows: string[][]): void {
  for (const [page, shown] of pagesFor(rows)) {
    const before = Deno.readTextFileSync(page);
    const after = before.replace(
      SHOWN,
      (_, begin, end) => `${begin}\n${table(shown)}\n\n${end}`,
    );
    Deno.writeTextFileSync(page, after);
  }
}

if (import.meta.main) {
  // A client that was too late may still fail, and nobody waits for it any more.
  for (const type of ["unhandledrejection", "error"]) {
    globalThis.addEventListener(type, (event) => event.preventDefault());
  }
  const [write, check] = ["--write", "--check"].map((option) => Deno.args.includes(option));
  if (write && ALONE) throw new TypeError("Cannot write the table: it needs all clients");
  const names = ALONE ? [OURS] : Object.keys(CLIENTS);
  const rows = [["", ...names]];
  for (const scenario of SCENARIOS) {
    const cells = [];
    for (const name of names) cells.push(await cell(scenario, CLIENTS[name]));
    rows.push([scenario.need, ...cells]);
  }
  console.log(table(rows));
  if (write) writePages(rows);
  const same = !check || checkPages(rows);
  // A client that hangs may keep the process alive.
  Deno.exit(same ? 0 : 1);
}
