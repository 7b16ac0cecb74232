/**
 * The command of `examples/http.ts`, run as a child process against servers on this machine: each option,
 * and each exit code.
 *
 * @module
 */
import { createHash, X509Certificate } from "node:crypto";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { exitCodeOf } from "../../examples/http/failure.ts";
import { parseOptions } from "../../examples/http/options.ts";
import {
  harmlessDecoder,
  painter,
  progressLine,
  waterfall,
  WireView,
} from "../../examples/http/terminal.ts";
import { type Part, Wire } from "../../examples/http/wire.ts";
import { relay } from "../../examples/relay.ts";
import { ROOT } from "../helpers/project.ts";
import { TempDir } from "../servers/child.ts";
import { latin1, type RawRequest, type RawServer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { stdFrom } from "../std_offline/run.ts";
import { CA, CLIENT, LOCALHOST } from "../tls/mod.ts";

/** How long a command may take, in milliseconds. */
const LIMIT = 60_000;

interface Outcome {
  code: number;
  /** Standard output, one character for each byte. */
  out: string;
  err: string;
}

/** Runs the command. */
async function http(
  args: string[],
  stdin: string | null = null,
  env: Record<string, string> = { INIT_CWD: "." },
): Promise<Outcome> {
  const source = await stdFrom();
  const map = new URL("tests/std_offline/import_map.json", ROOT);
  await using child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-all",
      "--no-check",
      ...(source === "stand_ins" ? [`--import-map=${map}`] : []),
      new URL("examples/http.ts", ROOT).href,
      ...args,
    ],
    env,
    stdin: stdin === null ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(LIMIT),
  }).spawn();
  const written = stdin === null ? null : new Blob([stdin]).stream().pipeTo(child.stdin);
  const { code, stdout, stderr } = await child.output();
  // A command that has failed reads no more.
  await written?.catch(() => {});
  return { code, out: latin1(stdout), err: new TextDecoder().decode(stderr) };
}

/** Runs the command, and fails the test unless it ends with this code. */
async function ends(code: number, args: string[], stdin?: string): Promise<Outcome> {
  const outcome = await http(args, stdin);
  assertEquals(outcome.code, code, outcome.err);
  return outcome;
}

interface Site extends AsyncDisposable {
  url: string;
  server: RawServer;
  requests: RawRequest[];
}

/** Starts a server that gives each request the same answer, or that of its target. */
async function site(
  answer: string | ((request: RawRequest) => string),
  start: typeof startRaw | typeof startRawTls = startRaw,
): Promise<Site> {
  const requests: RawRequest[] = [];
  const server = await start(async (peer) => {
    const request = await peer.readRequest();
    requests.push(request);
    await peer.send(typeof answer === "string" ? answer : answer(request));
  });
  const url = start === startRaw
    ? `http://127.0.0.1:${server.port}`
    : `https://localhost:${server.port}`;
  return { url, server, requests, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** A response with a body of known length. */
function ok(body: string, fields = ""): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`;
}

/** A response without a body. */
function empty(status: string, fields = ""): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: 0\r\n${fields}\r\n`;
}

/** A temporary folder with files. */
function folder(files: Record<string, string> = {}): TempDir {
  const dir = new TempDir("http-command");
  for (const [name, content] of Object.entries(files)) dir.write(name, content);
  return dir;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

// Usage.

Deno.test("http: without arguments it prints the help and ends with 2", async () => {
  const { out, err } = await ends(2, []);
  assertEquals([out, err.startsWith("Usage: ")], ["", true]);
});

Deno.test("http: --help prints the help in lines of at most 80 columns", async () => {
  const { out } = await ends(0, ["--help"]);
  assert(out.startsWith("Usage: "));
  assertEquals(out.split("\n").filter((line) => line.length > 80), []);
});

Deno.test("http: an unknown option ends with 2", async () => {
  const { err } = await ends(2, ["--bogus", "http://127.0.0.1/"]);
  assertEquals(err, "http: (2) Unknown option '--bogus'; --help shows the usage\n");
});

Deno.test("http: a method that is no token ends with 2, and nothing is sent", async () => {
  await using server = await site(ok(""));
  await ends(2, ["-X", "GE T", server.url]);
  assertEquals(server.requests, []);
});

const MISUSE: [args: string[], message: string][] = [
  [[], "a URL is missing"],
  [["http://a.test", "http://b.test"], "there is more than one URL"],
  [["ftp://a.test"], "the scheme must be http or https: ftp://a.test"],
  [["http://a b"], "not a URL: http://a b"],
  [["-C", "http://a.test"], "--resume needs --output"],
  [
    ["-C", "-o", "f", "--compressed", "http://a.test"],
    "--resume and --compressed exclude each other",
  ],
  [
    ["--unix", "s", "--proxy", "http://p.test", "http://a.test"],
    "--unix and --proxy exclude each other",
  ],
  [["--proxy", "https://p.test", "http://a.test"], "not the http URL of a proxy: https://p.test"],
  [["-d", "x", "-T", "f", "http://a.test"], "--data and --upload exclude each other"],
  [["--expect", "http://a.test"], "--expect needs a body: --data or --upload"],
  [["--trailer", "A: b", "http://a.test"], "--trailer needs a body: --data or --upload"],
  [
    ["--http1.0", "--expect", "-d", "x", "http://a.test"],
    "--http1.0 and --expect exclude each other",
  ],
  [["--http1.0", "-T", "-", "http://a.test"], "--http1.0 needs a body of known size"],
  [["--pin", `sha256//${"A".repeat(43)}=`, "http://a.test"], "--pin needs an https URL"],
  [["--pin", "md5//x", "https://a.test"], "not a pin, sha256//BASE64: md5//x"],
  [["-m", "0", "http://a.test"], "not a number of seconds: 0"],
  [["-H", "no colon", "http://a.test"], 'not a field, "Name: value": no colon'],
];

for (const [args, message] of MISUSE) {
  Deno.test(`http: ${args.join(" ") || "no argument"} is wrong usage`, async () => {
    const error = await assertRejects(() => parseOptions(args));
    assertEquals([exitCodeOf(error), (error as Error).message], [2, message]);
  });
}

// The request.

Deno.test("http: -X and -H are sent as given, and take the place of the defaults", async () => {
  await using server = await site(ok("done"));
  const { out } = await ends(0, [
    ...["-X", "DELETE", "-H", "X-Two: 2", "-H", "X-ONE: é", "-H", "X-None;"],
    ...["-H", "User-Agent:", "-H", "accept: text/plain", `${server.url}/a?b#c`],
  ]);
  assertEquals(out, "done");
  assertEquals(
    server.requests[0].head,
    `DELETE /a?b HTTP/1.1\r\nHost: 127.0.0.1:${server.server.port}\r\n` +
      "Accept-Encoding: identity\r\nX-Two: 2\r\nX-ONE: \xc3\xa9\r\nX-None: \r\naccept: text/plain\r\n\r\n",
  );
});

Deno.test("http: a user and a password in the URL are sent as an Authorization field", async () => {
  await using server = await site(ok(""));
  await ends(0, [server.url.replace("//", "//us%C3%A9r:pass@")]);
  assertEquals(server.requests[0].get("authorization"), "Basic dXPDqXI6cGFzcw==");
});

Deno.test("http: -d sends a form by POST, several joined", async () => {
  await using server = await site(ok(""));
  await ends(0, ["-d", "a=1", "-d", "b=é", server.url]);
  const [request] = server.requests;
  assertEquals(request.method, "POST");
  assertEquals(request.get("content-type"), "application/x-www-form-urlencoded");
  assertEquals(latin1(request.body), "a=1&b=\xc3\xa9");
});

Deno.test("http: -d @FILE sends the bytes of a file", async () => {
  await using dir = folder({ body: "line\r\nline\n" });
  await using server = await site(ok(""));
  await ends(0, ["-d", `@${dir.path}/body`, "-H", "Content-Type: text/plain", server.url]);
  assertEquals(latin1(server.requests[0].body), "line\r\nline\n");
  assertEquals(server.requests[0].get("content-type"), "text/plain");
});

Deno.test("http: -d @- sends standard input with its length", async () => {
  await using server = await site(ok(""));
  await ends(0, ["-d", "@-", server.url], "from stdin");
  assertEquals(server.requests[0].get("content-length"), "10");
  assertEquals(latin1(server.requests[0].body), "from stdin");
});

Deno.test("http: -T sends a file by PUT with its length", async () => {
  await using dir = folder({ file: "x".repeat(100_000) });
  await using server = await site(ok(""));
  await ends(0, ["-T", `${dir.path}/file`, server.url]);
  const [request] = server.requests;
  assertEquals([request.method, request.get("content-length")], ["PUT", "100000"]);
  assertEquals(request.body.length, 100_000);
});

Deno.test("http: -T - sends standard input in chunks", async () => {
  await using server = await site(ok(""));
  await ends(0, ["-T", "-", server.url], "streamed");
  assertEquals(server.requests[0].get("transfer-encoding"), "chunked");
  assertEquals(latin1(server.requests[0].body), "streamed");
});

Deno.test("http: --expect sends the body after the 100", async () => {
  let early = -1;
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    early = peer.received.length - peer.heads[0].length;
    await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    await peer.send(ok(latin1(await peer.readBytes(4))));
  });
  const { out } = await ends(0, ["--expect", "-d", "body", `http://127.0.0.1:${server.port}`]);
  assertEquals([out, early], ["body", 0]);
  assert(/^Expect: 100-continue$/m.test(server.requests[0].replaceAll("\r", "")));
});

Deno.test("http: --expect sends no body after a final response", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    await peer.send(empty("417 Expectation Failed"));
    await peer.eof();
  });
  await ends(22, ["--expect", "--fail", "-d", "body", `http://127.0.0.1:${server.port}`]);
  assert(server.peers[0].text.endsWith("\r\n\r\n"));
});

Deno.test("http: --trailer sends a field after a chunked body", async () => {
  await using server = await site(ok(""));
  await ends(0, ["--trailer", "X-Sum: 1", "-d", "body", server.url]);
  assertEquals(server.requests[0].get("trailer"), "X-Sum");
  assert(server.server.peers[0].text.endsWith("4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n"));
});

Deno.test("http: --http1.0 sends a request of HTTP/1.0 with a Host", async () => {
  await using server = await site("HTTP/1.0 200 OK\r\n\r\nold");
  const { out } = await ends(0, ["--http1.0", `${server.url}/x`]);
  assertEquals(out, "old");
  const host = `127.0.0.1:${server.server.port}`;
  assert(server.requests[0].head.startsWith(`GET /x HTTP/1.0\r\nHost: ${host}\r\n`));
});

// The response.

Deno.test("http: the body goes to standard output byte for byte", async () => {
  const body = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
  await using server = await site(ok(body));
  const { out, err } = await ends(0, [server.url]);
  assertEquals([out, err], [body, ""]);
});

Deno.test("http: -o writes a file, and leaves nothing beside it", async () => {
  await using dir = folder({ file: "something longer that was there before" });
  await using server = await site(ok("content", 'ETag: "1"\r\n'));
  const { out } = await ends(0, ["-o", `${dir.path}/file`, server.url]);
  assertEquals([out, await Deno.readTextFile(`${dir.path}/file`)], ["", "content"]);
  assertEquals(await exists(`${dir.path}/file.unfinished`), false);
});

Deno.test("http: -C fetches the rest of a download that was cut off", async () => {
  await using dir = folder();
  const file = `${dir.path}/file`;
  await using server = await site((request) =>
    request.get("range") === undefined
      ? 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "1"\r\n\r\n01234'
      : "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n" +
        'ETag: "1"\r\n\r\n56789'
  );
  await ends(56, ["-o", file, server.url]);
  assertEquals(await Deno.readTextFile(file), "01234");
  await ends(0, ["-C", "-o", file, server.url]);
  assertEquals(server.requests[1].get("range"), "bytes=5-");
  assertEquals(server.requests[1].get("if-range"), '"1"');
  assertEquals(await Deno.readTextFile(file), "0123456789");
  assertEquals(await exists(`${file}.unfinished`), false);
});

/** A folder with the first half of a download from a server. */
function half(url: string, validator = '"1"'): TempDir {
  const state = JSON.stringify({ url: `${url}/`, validator });
  return folder({ file: "01234", "file.unfinished": state });
}

Deno.test("http: -C starts over when the resource has changed", async () => {
  await using server = await site(ok("new", 'ETag: "2"\r\n'));
  await using dir = half(server.url);
  await ends(0, ["-C", "-o", `${dir.path}/file`, server.url]);
  assertEquals(await Deno.readTextFile(`${dir.path}/file`), "new");
});

Deno.test("http: -C starts over when it cannot tell whether the resource has changed", async () => {
  await using server = await site(ok("whole"));
  await using dir = folder({ file: "01234" });
  await ends(0, ["-C", "-o", `${dir.path}/file`, server.url]);
  assertEquals(server.requests[0].get("range"), undefined);
  assertEquals(await Deno.readTextFile(`${dir.path}/file`), "whole");
});

Deno.test("http: -C of another range ends with 33, and keeps the file", async () => {
  await using server = await site(
    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-8/9\r\nContent-Length: 5\r\n\r\n45678",
  );
  await using dir = half(server.url);
  await ends(33, ["-C", "-o", `${dir.path}/file`, server.url]);
  assertEquals(await Deno.readTextFile(`${dir.path}/file`), "01234");
});

Deno.test("http: -C of a file that has everything is done", async () => {
  await using server = await site(
    empty("416 Range Not Satisfiable", "Content-Range: bytes */5\r\n"),
  );
  await using dir = half(server.url);
  await ends(0, ["-C", "-o", `${dir.path}/file`, server.url]);
  assertEquals(await Deno.readTextFile(`${dir.path}/file`), "01234");
  assertEquals(await exists(`${dir.path}/file.unfinished`), false);
});

Deno.test("http: -C keeps the file when the server responds with an error", async () => {
  await using server = await site(empty("503 Service Unavailable"));
  await using dir = half(server.url);
  await ends(22, ["-C", "-o", `${dir.path}/file`, server.url]);
  assertEquals(await Deno.readTextFile(`${dir.path}/file`), "01234");
});

Deno.test("http: -i prints the head with terminal escape sequences escaped", async () => {
  await using server = await site(ok("body", "X-Evil: \x1b[2J\x9b1m\r\n"));
  const { out } = await ends(0, ["-i", server.url]);
  assertEquals(
    out,
    "HTTP/1.1 200 OK\nContent-Length: 4\nX-Evil: \\x1b[2J\\x9b1m\n\nbody",
  );
});

Deno.test("http: --trailers asks for trailers and prints them", async () => {
  await using server = await site(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: \x1b1\r\n\r\n",
  );
  const { err } = await ends(0, ["--trailers", server.url]);
  assertEquals(err, "X-Sum: \\x1b1\n");
  assertEquals(server.requests[0].get("te"), "trailers");
});

Deno.test("http: --compressed decompresses the body", async () => {
  const stream = new Blob(["content"]).stream().pipeThrough(new CompressionStream("gzip"));
  const gzip = latin1(await new Response(stream).bytes());
  await using server = await site(ok(gzip, "Content-Encoding: gzip\r\n"));
  const { out } = await ends(0, ["--compressed", server.url]);
  assertEquals(out, "content");
  assertEquals(server.requests[0].get("accept-encoding"), "gzip, deflate, br, zstd");
});

Deno.test("http: --compressed ends with 61 for a body that is not in its coding", async () => {
  await using server = await site(ok("no gzip at all", "Content-Encoding: gzip\r\n"));
  await ends(61, ["--compressed", server.url]);
});

Deno.test("http: --compressed ends with 56 for a body that is cut off", async () => {
  await using server = await site(
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f\x8b\x08",
  );
  await ends(56, ["--compressed", server.url]);
});

Deno.test("http: a status of 400 or above is a response like any other", async () => {
  await using server = await site(ok("page").replace("200 OK", "404 Not Found"));
  const { out } = await ends(0, [server.url]);
  assertEquals(out, "page");
});

Deno.test("http: --fail ends with 22 and without output", async () => {
  await using server = await site(ok("page").replace("200 OK", "404 Not\x9b2J Found"));
  const { out, err } = await ends(22, ["--fail", server.url]);
  assertEquals(out, "");
  assertEquals(err, "http: (22) The server responded with 404 Not\\x9b2J Found\n");
});

// Redirects.

Deno.test("http: without -L a redirect is the response", async () => {
  await using server = await site(empty("302 Found", "Location: /b\r\n"));
  await ends(0, [server.url]);
  assertEquals(server.requests.length, 1);
});

Deno.test("http: -L keeps credentials within the origin", async () => {
  await using server = await site(({ target }) =>
    target === "/a" ? empty("302 Found", "Location: b\r\n") : ok("end")
  );
  const { out } = await ends(0, ["-L", "-H", "Cookie: a=b", `${server.url}/a`]);
  assertEquals(out, "end");
  assertEquals(server.requests.map(({ target, get }) => [target, get("cookie")]), [
    ["/a", "a=b"],
    ["/b", "a=b"],
  ]);
});

Deno.test("http: -L drops credentials for another origin, also on the way back", async () => {
  await using home = await site(({ target }) =>
    target === "/a" ? empty("302 Found", `Location: ${away.url}/\r\n`) : ok("end")
  );
  const away: Site = await site(() => empty("302 Found", `Location: ${home.url}/b\r\n`));
  await using _away = away;
  const fields = ["Cookie: a=b", "Authorization: secret", "Host: h.test", "X-Other: kept"];
  const { out } = await ends(0, [
    "-L",
    ...fields.flatMap((field) => ["-H", field]),
    `${home.url}/a`,
  ]);
  assertEquals(out, "end");
  assertEquals(home.requests[0].get("host"), "h.test");
  for (const request of [away.requests[0], home.requests[1]]) {
    const names = request.headers.map(([name]) => name.toLowerCase());
    assertEquals(names.filter((name) => /cookie|authorization/.test(name)), []);
    assert(request.get("host")!.startsWith("127.0.0.1:"));
    assertEquals(request.get("x-other"), "kept");
  }
});

Deno.test("http: -L turns POST into GET for 303", async () => {
  await using server = await site(({ target }) =>
    target === "/a" ? empty("303 See Other", "Location: /b\r\n") : ok("end")
  );
  await ends(0, ["-L", "-d", "x=1", `${server.url}/a`]);
  const { method, get, body } = server.requests[1];
  assertEquals([method, get("content-type"), body.length], ["GET", undefined, 0]);
});

Deno.test("http: -L sends a file again for 307", async () => {
  await using dir = folder({ file: "body" });
  await using server = await site(({ target }) =>
    target === "/a" ? empty("307 Temporary Redirect", "Location: /b\r\n") : ok("end")
  );
  await ends(0, ["-L", "-T", `${dir.path}/file`, `${server.url}/a`]);
  const { method, body } = server.requests[1];
  assertEquals([method, latin1(body)], ["PUT", "body"]);
});

Deno.test("http: -L sends a request again when the server has closed the kept connection", async () => {
  await using server = await startRaw(async (peer) => {
    if (peer.index === 0) {
      await peer.readRequest();
      await peer.send(empty("302 Found", "Location: /b\r\n"));
      await peer.readRequest();
    } else {
      await peer.readRequest();
      await peer.send(ok("end"));
    }
  });
  const { out } = await ends(0, ["-L", `http://127.0.0.1:${server.port}/a`]);
  assertEquals(out, "end");
  assertEquals(server.requests.map((head) => head.split(" ")[1]), ["/a", "/b", "/b"]);
});

Deno.test("http: -L sends a POST on a new connection, as it may be sent once only", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(
      peer.index === 0 ? empty("307 Temporary Redirect", "Location: /b\r\n") : ok("end"),
    );
    await peer.eof();
  });
  const { out } = await ends(0, ["-L", "-d", "x", `http://127.0.0.1:${server.port}/a`]);
  assertEquals([out, server.accepted], ["end", 2]);
});

Deno.test("http: -L ends with 65 where standard input would have to be sent again", async () => {
  await using server = await site(empty("307 Temporary Redirect", "Location: /b\r\n"));
  await ends(65, ["-L", "-T", "-", server.url], "body");
});

Deno.test("http: -L ends with 47 after ten redirects", async () => {
  await using server = await site(empty("302 Found", "Location: /\r\n"));
  await ends(47, ["-L", server.url]);
  assertEquals(server.requests.length, 11);
});

Deno.test("http: -L ends with 1 for another scheme", async () => {
  await using server = await site(empty("302 Found", "Location: file:///etc/passwd\r\n"));
  await ends(1, ["-L", server.url]);
});

// The connection.

Deno.test("http: --unix connects to a unix socket", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.send(ok("local"));
  }, { unix: true });
  const { out } = await ends(0, ["--unix", server.path, "http://daemon.test/info"]);
  assertEquals(out, "local");
  assert(server.requests[0].startsWith("GET /info HTTP/1.1\r\nHost: daemon.test\r\n"));
});

Deno.test("http: --proxy sends a whole URL for http", async () => {
  await using proxy = await site(ok("through the proxy"));
  const address = proxy.url.replace("//", "//u:p@");
  const { out } = await ends(0, ["--proxy", address, "http://origin.test/a"]);
  assertEquals(out, "through the proxy");
  const [{ target, get }] = proxy.requests;
  assertEquals(
    [target, get("host"), get("proxy-authorization")],
    ["http://origin.test/a", "origin.test", "Basic dTpw"],
  );
});

Deno.test("http: --proxy opens a tunnel for https", async () => {
  await using dir = folder({ ca: CA });
  await using proxy = await startRaw(relay);
  await using origin = await site(ok("secret"), startRawTls);
  const address = `http://u:p@127.0.0.1:${proxy.port}`;
  const { out } = await ends(0, ["--proxy", address, "--cacert", `${dir.path}/ca`, origin.url]);
  assertEquals(out, "secret");
  assert(proxy.requests[0].includes("Proxy-Authorization: Basic dTpw\r\n"));
  assertEquals(origin.requests[0].get("proxy-authorization"), undefined);
});

Deno.test("http: a proxy that refuses the tunnel ends with 97", async () => {
  await using proxy = await startRaw(relay);
  const { err } = await ends(97, ["-x", `127.0.0.1:${proxy.port}`, "https://origin.test/"]);
  assert(err.includes("403 Forbidden"));
});

Deno.test("http: --cacert trusts an authority", async () => {
  await using dir = folder({ ca: CA });
  await using origin = await site(ok("secure"), startRawTls);
  const { out } = await ends(0, ["--cacert", `${dir.path}/ca`, origin.url]);
  assertEquals(out, "secure");
});

Deno.test("http: a certificate that is not trusted ends with 35, and nothing is sent", async () => {
  await using origin = await site(ok("secure"), startRawTls);
  await ends(35, [origin.url]);
  assertEquals(origin.requests, []);
});

Deno.test("http: --cert and --key show a client certificate", async () => {
  await using dir = folder({ ca: CA, cert: CLIENT.cert, key: CLIENT.key });
  const subject = Promise.withResolvers<unknown>();
  const server = tls.createServer({ ...LOCALHOST, ca: CA, requestCert: true }, (socket) => {
    subject.resolve(socket.getPeerCertificate().subject.CN);
    socket.on("error", () => {});
    socket.on("data", () => void socket.end(ok("known")));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const { out } = await ends(0, [
      ...["--cacert", `${dir.path}/ca`, "--cert", `${dir.path}/cert`, "--key", `${dir.path}/key`],
      `https://localhost:${port}/`,
    ]);
    assertEquals(out, "known");
    assertEquals(await subject.promise, "http-client test client");
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});

/** The pin of a certificate. */
function pinOf(cert: string): string {
  const key = new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" });
  return `sha256//${createHash("sha256").update(key).digest("base64")}`;
}

Deno.test("http: --pin accepts the key of the server", async () => {
  await using dir = folder({ ca: CA });
  await using origin = await site(ok("pinned"), startRawTls);
  const pins = `${pinOf(CLIENT.cert)};${pinOf(LOCALHOST.cert)}`;
  const { out } = await ends(0, ["--pin", pins, "--cacert", `${dir.path}/ca`, origin.url]);
  assertEquals(out, "pinned");
  assertEquals(origin.requests[0].get("host"), `localhost:${origin.server.port}`);
});

Deno.test("http: --pin ends with 90 for another key, and nothing is sent", async () => {
  await using dir = folder({ ca: CA });
  await using origin = await site(ok("pinned"), startRawTls);
  const args = ["--pin", pinOf(CLIENT.cert), "--cacert", `${dir.path}/ca`, origin.url];
  const { err } = await ends(90, args);
  assert(err.includes(pinOf(LOCALHOST.cert)));
  assertEquals(origin.requests, []);
});

Deno.test("http: --pin does not make an untrusted certificate trusted", async () => {
  await using origin = await site(ok("pinned"), startRawTls);
  await ends(35, ["--pin", pinOf(LOCALHOST.cert), origin.url]);
});

Deno.test("http: --pin works through a proxy", async () => {
  await using dir = folder({ ca: CA });
  await using proxy = await startRaw(relay);
  await using origin = await site(ok("pinned"), startRawTls);
  const { out } = await ends(0, [
    ...["--proxy", `http://127.0.0.1:${proxy.port}`, "--pin", pinOf(LOCALHOST.cert)],
    ...["--cacert", `${dir.path}/ca`, origin.url],
  ]);
  assertEquals(out, "pinned");
});

Deno.test("http: --timeout ends with 28, however slowly the server drips", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.readRequest();
    await peer.sendSlow(ok("x".repeat(100_000)), { ms: 20 });
  });
  const { err } = await ends(28, ["--timeout", "0.7", `http://127.0.0.1:${server.port}`]);
  assertStringIncludes(err, `127.0.0.1:${server.port} took longer than --timeout 0.7`);
});

Deno.test("http: files are relative to the folder in which the task was called", async () => {
  await using web = await site(ok("hello"));
  await using dir = folder();
  const { code } = await http(["-o", "here", web.url], null, { INIT_CWD: dir.path });
  assertEquals([code, Deno.readTextFileSync(`${dir.path}/here`)], [0, "hello"]);
});

// Diagnostics.

Deno.test("http: -v shows both heads, chunk sizes, trailers and where the time went", async () => {
  await using server = await site(
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Evil: \x1b[2J\r\n\r\n" +
      "3;ext\r\nhi\n\r\n0\r\nX-Sum: 1\r\n\r\n",
  );
  const { out, err } = await ends(0, ["-v", "-d", "sent", server.url]);
  const host = `127.0.0.1:${server.server.port}`;
  const lines = err.split("\n");
  assertEquals(
    lines.filter((line) => line.startsWith(">")),
    [
      "> POST / HTTP/1.1",
      `> Host: ${host}`,
      "> Accept-Encoding: identity",
      "> Content-Length: 4",
      "> User-Agent: denoports-http",
      "> Accept: */*",
      "> Content-Type: application/x-www-form-urlencoded",
      ">",
      "> sent",
    ].sort((a, b) => lines.indexOf(a) - lines.indexOf(b)),
  );
  assertEquals(lines.filter((line) => line.startsWith("<")), [
    ...["< HTTP/1.1 103 Early Hints", "< Link: </a>", "<"],
    ...["< HTTP/1.1 200 OK", "< Transfer-Encoding: chunked", "< X-Evil: \\x1b[2J", "<"],
    ...["< 3;ext", "< hi\\n", "< 0", "< X-Sum: 1", "<"],
  ]);
  for (const step of ["connect", "send", "wait", "receive", "total"]) {
    assert(lines.some((line) => line.startsWith(`* ${step}`)), step);
  }
  assertEquals([out, err.includes("\x1b")], ["hi\n", false]);
});

Deno.test("http: --har writes the exchanges as HAR 1.2", async () => {
  await using dir = folder();
  await using server = await site(({ target }) =>
    target === "/a?b=c"
      ? empty("302 Found", "Location: /b\r\nSet-Cookie: s=1; Path=/\r\n")
      : ok("\xff\xfe", "Content-Type: image/x\r\n")
  );
  const file = `${dir.path}/har`;
  await ends(0, ["-L", "--har", file, "-H", "Cookie: x=y", "-d", "a=é", `${server.url}/a?b=c`]);
  const { log } = JSON.parse(await Deno.readTextFile(file));
  assertEquals([log.version, log.entries.length], ["1.2", 2]);
  const [first, second] = log.entries;
  assertEquals(first.request.url, `${server.url}/a?b=c`);
  assertEquals(first.request.queryString, [{ name: "b", value: "c" }]);
  assertEquals(first.request.cookies, [{ name: "x", value: "y" }]);
  assertEquals(first.request.postData.text, "a=é");
  assertEquals([first.response.status, first.response.redirectURL], [302, "/b"]);
  assertEquals(first.response.cookies, [{ name: "s", value: "1" }]);
  assertEquals(first.serverIPAddress, "127.0.0.1");
  assertEquals(second.request.method, "GET");
  assertEquals(second.response.content, {
    size: 2,
    mimeType: "image/x",
    text: "//4=",
    encoding: "base64",
  });
  for (const { timings, time } of log.entries) {
    const { connect, send, wait, receive } = timings;
    const sum = Math.max(0, connect) + send + wait + receive;
    assert(Math.abs(time - sum) < 0.001 && send >= 0 && wait >= 0 && receive >= 0);
  }
});

Deno.test("http: --har has an exchange that failed", async () => {
  await using dir = folder();
  await using server = await site("");
  const file = `${dir.path}/har`;
  await ends(52, ["--har", file, server.url]);
  const { log } = JSON.parse(await Deno.readTextFile(file));
  assertEquals(log.entries[0].response.status, 0);
  assert(log.entries[0].response.comment.includes("closed the connection"));
});

Deno.test("http: files that may have credentials can be read by their owner alone", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using dir = folder();
  await using server = await site(ok(""));
  const files = ["har", "warc", "record"];
  await ends(0, [...files.flatMap((name) => [`--${name}`, `${dir.path}/${name}`]), server.url]);
  for (const name of files) {
    assertEquals((await Deno.stat(`${dir.path}/${name}`)).mode! & 0o777, 0o600);
  }
});

/** The records of a WARC file: their fields and their blocks. */
function warcRecords(text: string): { get(name: string): string | undefined; block: string }[] {
  const records = [];
  while (text !== "") {
    const end = text.indexOf("\r\n\r\n") + 4;
    const [version, ...lines] = text.slice(0, end - 4).split("\r\n");
    assertEquals(version, "WARC/1.1");
    const fields = new Map(lines.map((line) => line.split(": ", 2) as [string, string]));
    const length = Number(fields.get("Content-Length"));
    assertEquals(text.slice(end + length, end + length + 4), "\r\n\r\n");
    records.push({
      get: (name: string) => fields.get(name),
      block: text.slice(end, end + length),
    });
    text = text.slice(end + length + 4);
  }
  return records;
}

Deno.test("http: --warc appends the bytes of the exchange, without interim responses", async () => {
  await using dir = folder();
  const final = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
  await using server = await site(`HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${final}`);
  const file = `${dir.path}/warc`;
  for (let i = 0; i < 2; i++) await ends(0, ["--warc", file, `${server.url}/a`]);
  const records = warcRecords(latin1(await Deno.readFile(file)));
  const types = ["warcinfo", "response", "request"];
  assertEquals(records.map(({ get }) => get("WARC-Type")), [...types, ...types]);
  const [, response, request] = records;
  assertEquals([response.block, request.block], [final, server.requests[0].head]);
  assertEquals(response.get("WARC-Target-URI"), `${server.url}/a`);
  assertEquals(response.get("Content-Type"), "application/http; msgtype=response");
  assertEquals(request.get("WARC-Concurrent-To"), response.get("WARC-Record-ID"));
  const ids = records.map(({ get }) => get("WARC-Record-ID"));
  assertEquals(new Set(ids).size, 6);
});

Deno.test("http: --warc has the SHA-1 of a block in base32", async () => {
  await using dir = folder();
  await using server = await site(ok("body"));
  const file = `${dir.path}/warc`;
  await ends(0, ["--warc", file, server.url]);
  const [, response] = warcRecords(latin1(await Deno.readFile(file)));
  const digest = createHash("sha1").update(response.block, "latin1").digest("hex");
  const base32 = BigInt(`0x${digest}`).toString(32).padStart(32, "0").replace(
    /./g,
    (digit) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[parseInt(digit, 32)],
  );
  assertEquals(response.get("WARC-Block-Digest"), `sha1:${base32}`);
});

Deno.test("http: --warc says that a response was cut off", async () => {
  await using dir = folder();
  await using server = await site("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  const file = `${dir.path}/warc`;
  await ends(56, ["--warc", file, server.url]);
  const [, response] = warcRecords(latin1(await Deno.readFile(file)));
  assertEquals(response.get("WARC-Truncated"), "disconnect");
  assert(response.block.endsWith("half"));
});

Deno.test("http: --record writes the bytes of both directions", async () => {
  await using dir = folder();
  const response = ok("body");
  await using server = await site(response);
  const file = `${dir.path}/record`;
  await ends(0, ["--record", file, server.url]);
  const lines = (await Deno.readTextFile(file)).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  const bytes = (type: string) =>
    lines.filter((line) => line.type === type).map(({ base64 }) => atob(base64)).join("");
  const { type, version, method, url } = lines[0];
  assertEquals([type, version, method, url], ["exchange", 1, "GET", `${server.url}/`]);
  assertEquals([bytes("sent"), bytes("received")], [server.requests[0].head, response]);
  assertEquals([lines.at(-1).type, lines.at(-1).error], ["end", null]);
});

// The other exit codes.

Deno.test("http: a name without an address ends with 6", async () => {
  await ends(6, ["http://no.invalid/"]);
});

Deno.test("http: a port that nobody listens on ends with 7", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  await ends(7, [`http://127.0.0.1:${port}/`]);
});

Deno.test("http: a unix socket that is not there ends with 7", async () => {
  await using dir = folder();
  await ends(7, ["--unix", `${dir.path}/none`, "http://a.test/"]);
});

Deno.test("http: a server that does not speak HTTP ends with 8", async () => {
  await using server = await site("220 mail.test ESMTP\r\n");
  await ends(8, [server.url]);
});

Deno.test("http: a file that cannot be written ends with 23", async () => {
  await using dir = folder();
  await using server = await site(ok("body"));
  await ends(23, ["-o", `${dir.path}/none/file`, server.url]);
});

for (const option of ["--upload", "--cacert", "--cert"]) {
  Deno.test(`http: ${option} of a file that is not there ends with 26`, async () => {
    await using dir = folder();
    await ends(26, [option, `${dir.path}/none`, "http://127.0.0.1:1/"]);
  });
}

Deno.test("http: --data of a file that is not there ends with 26", async () => {
  await using dir = folder();
  await ends(26, ["--data", `@${dir.path}/none`, "http://127.0.0.1:1/"]);
});

Deno.test("http: a server that does not speak TLS ends with 35", async () => {
  await using server = await startRaw(async (peer) => {
    await peer.read();
    await peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  await ends(35, [`https://127.0.0.1:${server.port}/`]);
});

Deno.test("http: a server that closes without a response ends with 52", async () => {
  await using server = await site("");
  await ends(52, [server.url]);
});

Deno.test("http: a server that resets during the upload ends with 55 or 56", async () => {
  await using dir = folder();
  await Deno.truncate(dir.write("file", ""), 64 << 20);
  await using server = await startRaw(async (peer) => {
    await peer.readHead();
    peer.reset();
  }, { resettable: true });
  const { code } = await http(["-T", `${dir.path}/file`, `http://127.0.0.1:${server.port}`]);
  assert(code === 55 || code === 56, `${code}`);
});

Deno.test("http: a body that is cut off ends with 56, after what came of it", async () => {
  await using server = await site("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  const { out } = await ends(56, [server.url]);
  assertEquals(out, "half");
});

// What only a terminal shows.

Deno.test("http: a body is shown on a terminal without control characters", () => {
  const show = harmlessDecoder();
  const text = new TextDecoder().decode(
    show(new TextEncoder().encode("\x1b[2Jé\t\r\n\u202e\x9b\r"), true),
  );
  assertEquals(text, "\\x1b[2Jé\t\r\n\\u{202e}\\x9b\\r");
});

Deno.test("http: the progress bar shows the share, the size and the speed", () => {
  assertEquals(
    progressLine(512, 2048, 1024),
    `[${"#".repeat(8)}${".".repeat(22)}] 25 % of 2.0 KiB  1.0 KiB/s`,
  );
  assertEquals(progressLine(1536, null, 0), "1.5 KiB  0 B/s");
});

Deno.test("http: colors are used only if they are wanted", () => {
  assertEquals(painter(false)("red", "x"), "x");
  assertEquals(painter(true)("red", "x"), "\x1b[31mx\x1b[0m");
});

Deno.test("http: the view of the wire shortens bodies", () => {
  let shown = "";
  const view = new WireView(painter(false), (text) => shown += text);
  view.begin();
  const part = (kind: Part["kind"], text: string) =>
    view.part("received", { kind, bytes: new TextEncoder().encode(text), interim: false });
  for (let i = 0; i < 4; i++) {
    part("chunkSize", "190\r\n");
    part("data", "x".repeat(400));
    part("chunkEnd", "\r\n");
  }
  part("lastChunk", "0\r\n");
  assertEquals(shown.split("\n"), [
    ...["< 190", `< ${"x".repeat(400)}`, "< 190", `< ${"x".repeat(112)}`],
    ...["< [1088 more bytes and 2 more chunk headers]", "< 0", ""],
  ]);
});

Deno.test("http: the parts of a message are the same however it is cut", () => {
  const message =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nTransfer-Encoding: chunked\r\n\r\n" +
    "3\r\nabc\r\n0\r\nX: y\r\n\r\nexcess";
  const parts = (size: number) => {
    const found: [string, boolean, string][] = [];
    const wire = new Wire([{
      begin() {},
      part(_direction, { kind, bytes, interim }) {
        const last = found.at(-1);
        const isMore = (kind === "data" || kind === "excess") && last?.[0] === kind;
        if (isMore) last[2] += latin1(bytes);
        else found.push([kind, interim, latin1(bytes)]);
      },
    }]);
    wire.begin("GET");
    const bytes = new TextEncoder().encode(message);
    let at = 0;
    const transport = wire.tap({
      read(p) {
        const piece = bytes.subarray(at, at + size);
        p.set(piece);
        at += piece.length;
        return Promise.resolve(piece.length);
      },
      write: (p) => Promise.resolve(p.length),
      close() {},
    });
    return (async () => {
      for (let count = 1; count !== 0;) count = await transport.read(new Uint8Array(100_000)) ?? 0;
      return found;
    })();
  };
  return (async () => {
    const whole = await parts(100_000);
    assertEquals(whole.map(([, , text]) => text).join(""), message);
    assertEquals(whole.map(([kind]) => kind), [
      ...["startLine", "headEnd", "startLine", "field", "headEnd"],
      ...["chunkSize", "data", "chunkEnd", "lastChunk", "trailer", "messageEnd", "excess"],
    ]);
    assertEquals(whole.map(([, interim]) => interim).lastIndexOf(true), 1);
    for (const size of [1, 2, 3, 7]) assertEquals(await parts(size), whole);
  })();
});

Deno.test("http: the waterfall has a line for each step that took place", () => {
  const at = (type: string, time: number) => ({ type, time }) as Parameters<typeof waterfall>[0][0];
  const lines = waterfall([
    at("requestStart", 0),
    at("requestEnd", 10),
    at("responseHead", 30),
    at("responseEnd", 40),
  ]);
  assertEquals(lines, [
    `send    |${"=".repeat(10).padEnd(40)}|      10.0 ms`,
    `wait    |${" ".repeat(10)}${"=".repeat(20)}${" ".repeat(10)}|      20.0 ms`,
    `receive |${" ".repeat(30)}${"=".repeat(10)}|      10.0 ms`,
    `total   |${" ".repeat(40)}|      40.0 ms`,
  ]);
});
