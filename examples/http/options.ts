/**
 * The command line: its options, what does not go together, and the help.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { CommandError, EXIT_CODES, failingWith, messageOf } from "./failure.ts";

/** What is sent as the body: bytes, which can be sent again, or a file or standard input. */
export type Upload =
  | { kind: "bytes"; bytes: Uint8Array<ArrayBuffer> }
  | { kind: "file"; path: string }
  | { kind: "stdin" };

/** What the command is to do. */
export interface Options {
  /** Without a user and a password. */
  url: URL;
  method: string;
  /** In the order in which they are sent. */
  fields: [name: string, value: string][];
  upload: Upload | null;
  output: string | null;
  resume: boolean;
  unix: string | null;
  proxy: URL | null;
  tls: { ca: string | null; cert: string | null; key: string | null };
  /** SHA-256 of public keys, in base64. */
  pins: string[];
  http10: boolean;
  expect: boolean;
  showTrailers: boolean;
  trailers: [name: string, value: string][];
  har: string | null;
  warc: string | null;
  record: string | null;
  /** Seconds. */
  timeout: number | null;
  compressed: boolean;
  location: boolean;
  include: boolean;
  verbose: boolean;
  fail: boolean;
}

const OPTIONS = {
  "method": { type: "string", short: "X" },
  "header": { type: "string", short: "H", multiple: true },
  "data": { type: "string", short: "d", multiple: true },
  "upload": { type: "string", short: "T" },
  "expect": { type: "boolean" },
  "trailer": { type: "string", multiple: true },
  "http1.0": { type: "boolean" },
  "output": { type: "string", short: "o" },
  "resume": { type: "boolean", short: "C" },
  "include": { type: "boolean", short: "i" },
  "trailers": { type: "boolean" },
  "compressed": { type: "boolean" },
  "fail": { type: "boolean", short: "f" },
  "location": { type: "boolean", short: "L" },
  "unix": { type: "string" },
  "proxy": { type: "string", short: "x" },
  "timeout": { type: "string", short: "m" },
  "cacert": { type: "string" },
  "cert": { type: "string" },
  "key": { type: "string" },
  "pin": { type: "string" },
  "verbose": { type: "boolean", short: "v" },
  "har": { type: "string" },
  "warc": { type: "string" },
  "record": { type: "string" },
  "help": { type: "boolean", short: "h" },
} as const;

/** What `--help` prints. */
export const HELP = `Usage: deno task http [options] URL

Makes an HTTP/1.1 request and writes the body of the response to standard
output. Everything else that is shown goes to standard error.

Request
  -X, --method METHOD     method; default GET, POST with -d, PUT with -T
  -H, --header LINE       "Name: value"; repeatable. "Name:" removes a default
                          field, "Name;" sends an empty one
  -d, --data TEXT         body, sent as a form unless -H sets a Content-Type;
                          @FILE reads a file, @- standard input; repeated ones
                          are joined with "&"
  -T, --upload FILE       send a file, or - for standard input, as it is read
      --trailer LINE      "Name: value" to send after the body, which is then
                          chunked; repeatable
      --expect            send "Expect: 100-continue", and the body once the
                          server agrees or after 1 second
      --http1.0           send an HTTP/1.0 request

Response
  -o, --output FILE       write the body to FILE, with a progress bar on a
                          terminal
  -C, --resume            with -o: fetch only the rest of an interrupted
                          download if the resource has not changed, otherwise
                          all of it; FILE.unfinished has what is needed for that
  -i, --include           print the heads of responses to standard output
      --trailers          ask for trailers, and print them
      --compressed        ask for a compressed body, and decompress it
  -f, --fail              fail for a status of 400 or above, without output
  -L, --location          follow redirects, at most 10. Authorization, Cookie,
                          Host and a client certificate are not sent to another
                          origin

Connection
  -x, --proxy URL         http://[USER:PASSWORD@]HOST[:PORT]; https goes through
                          a CONNECT tunnel
      --unix PATH         connect to a unix socket, also for redirects
  -m, --timeout SECONDS   limit for the whole operation
      --cacert FILE       trust only the authorities in FILE (PEM)
      --cert FILE         client certificate (PEM), with --key
      --key FILE          private key of it (PEM)
      --pin PINS          accept only servers with this public key, besides
                          verifying the certificate: sha256//BASE64, several
                          separated by ";"

Diagnostics
  -v, --verbose           show what is sent (>) and received (<), with control
                          and non-ASCII characters escaped and bodies shortened,
                          and where the time went
      --har FILE          write the exchanges as HAR 1.2
      --warc FILE         append the exchanges to a WARC 1.1 file
      --record FILE       write the bytes of both directions as JSON lines
                          These files contain passwords and cookies.
  -h, --help              show this help

Examples
  deno task http https://example.com/
  deno task http -v -H "Accept: text/plain" https://example.com/
  deno task http -d name=value https://example.com/form
  deno task http -T backup.tar --expect https://example.com/backup
  deno task http -L -C -o image.iso https://example.com/image.iso
  deno task http --unix /var/run/docker.sock http://localhost/info

Files are relative to the folder in which the task is called. The variable
NO_COLOR turns colors off.

Exit codes
${Object.entries(EXIT_CODES).map(([code, text]) => `  ${code.padStart(2)}  ${text}`).join("\n")}
`;

/**
 * Parses the command line.
 *
 * @returns The options; `null` where only the help is wanted.
 * @throws {CommandError} When they make no sense.
 */
export async function parseOptions(args: string[]): Promise<Options | null> {
  const { values, positionals } = parse(args);
  if (values.help) return null;
  if (positionals.length !== 1) {
    throw usage(positionals.length === 0 ? "a URL is missing" : "there is more than one URL");
  }
  const url = parseUrl(positionals[0]);
  const authorization = credentialsOf(url);
  const upload = await uploadOf(values.data, values.upload);
  const proxy = values.proxy === undefined ? null : parseProxy(values.proxy);
  const options: Options = {
    url,
    method: values.method ??
      (values.data !== undefined ? "POST" : values.upload !== undefined ? "PUT" : "GET"),
    fields: [],
    upload,
    output: values.output === "-" ? null : values.output ?? null,
    resume: values.resume ?? false,
    unix: values.unix ?? null,
    proxy,
    tls: {
      ca: await read(values.cacert),
      cert: await read(values.cert),
      key: await read(values.key),
    },
    pins: values.pin === undefined ? [] : parsePins(values.pin),
    http10: values["http1.0"] ?? false,
    expect: values.expect ?? false,
    showTrailers: values.trailers ?? false,
    trailers: (values.trailer ?? []).map((line) => parseField(line)),
    har: values.har ?? null,
    warc: values.warc ?? null,
    record: values.record ?? null,
    timeout: values.timeout === undefined ? null : parseSeconds(values.timeout),
    compressed: values.compressed ?? false,
    location: values.location ?? false,
    include: values.include ?? false,
    verbose: values.verbose ?? false,
    fail: values.fail ?? false,
  };
  check(options);
  const defaults: [string, string][] = [["User-Agent", "denoports-http"], ["Accept", "*/*"]];
  if (options.compressed) defaults.push(["Accept-Encoding", "gzip, deflate, br, zstd"]);
  if (options.showTrailers) defaults.push(["TE", "trailers"], ["Connection", "TE"]);
  if (authorization !== null) defaults.push(["Authorization", authorization]);
  if (values.data !== undefined) {
    defaults.push(["Content-Type", "application/x-www-form-urlencoded"]);
  }
  options.fields = fieldsOf(defaults, values.header ?? []);
  return options;
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw usage(messageOf(error).split(/\. |\n/)[0]);
  }
}

function usage(message: string): CommandError {
  return new CommandError(2, message);
}

/** Refuses options that do not go together. */
function check(options: Options): void {
  const { tls, upload } = options;
  const rules: [applies: boolean, message: string][] = [
    [options.resume && options.output === null, "--resume needs --output"],
    [options.resume && options.compressed, "--resume and --compressed exclude each other"],
    [options.unix !== null && options.proxy !== null, "--unix and --proxy exclude each other"],
    [(tls.cert === null) !== (tls.key === null), "--cert and --key go together"],
    [options.pins.length > 0 && options.url.protocol !== "https:", "--pin needs an https URL"],
    [options.expect && upload === null, "--expect needs a body: --data or --upload"],
    [options.trailers.length > 0 && upload === null, "--trailer needs a body: --data or --upload"],
    [options.http10 && options.expect, "--http1.0 and --expect exclude each other"],
    [options.http10 && options.trailers.length > 0, "--http1.0 and --trailer exclude each other"],
    [options.http10 && upload?.kind === "stdin", "--http1.0 needs a body of known size"],
  ];
  for (const [applies, message] of rules) if (applies) throw usage(message);
}

function parseUrl(text: string): URL {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null) throw usage(`not a URL: ${text}`);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw usage(`the scheme must be http or https: ${text}`);
  }
  return url;
}

function parseProxy(text: string): URL {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || url.protocol !== "http:") throw usage(`not the http URL of a proxy: ${text}`);
  return url;
}

/** Takes the user and the password out of a URL, and gives them as the value of a field. */
export function credentialsOf(url: URL): string | null {
  const { username, password } = url;
  if (username === "" && password === "") return null;
  url.username = url.password = "";
  let text: string;
  try {
    text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    throw usage("the user or the password of the URL is not percent-encoded UTF-8");
  }
  return `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(text)))}`;
}

function parseField(line: string): [string, string] {
  const [, name, value] = /^([^:]+):[ \t]*(.*)$/s.exec(line) ?? [];
  if (name === undefined) throw usage(`not a field, "Name: value": ${line}`);
  return [name, value];
}

/** The fields that are given after the defaults that they do not replace. */
function fieldsOf(defaults: [string, string][], lines: string[]): [string, string][] {
  const given = lines.map((line) => line.endsWith(";") ? `${line.slice(0, -1)}: ` : line);
  const isEmpty = lines.map((line) => line.endsWith(";") && !line.includes(":"));
  const fields = given.map((line, i) => parseField(isEmpty[i] ? line : lines[i]));
  const names = fields.map(([name]) => name.toLowerCase());
  return [
    ...defaults.filter(([name]) => !names.includes(name.toLowerCase())),
    ...fields.filter(([_name, value], i) => value !== "" || isEmpty[i]),
  ];
}

function parsePins(text: string): string[] {
  return text.split(";").map((pin) => {
    const [, base64] = /^sha256\/\/([A-Za-z0-9+/]{43}=)$/.exec(pin) ?? [];
    if (base64 === undefined) throw usage(`not a pin, sha256//BASE64: ${pin}`);
    return base64;
  });
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 2_000_000)) throw usage(`not a number of seconds: ${text}`);
  return seconds;
}

async function read(path: string | undefined): Promise<string | null> {
  if (path === undefined) return null;
  return await failingWith(26, `Cannot read ${path}`, () => Deno.readTextFile(path));
}

async function uploadOf(
  data: string[] | undefined,
  file: string | undefined,
): Promise<Upload | null> {
  if (data !== undefined && file !== undefined) {
    throw usage("--data and --upload exclude each other");
  }
  if (file === "-") return { kind: "stdin" };
  if (file !== undefined) return { kind: "file", path: file };
  if (data === undefined) return null;
  const parts: BlobPart[] = [];
  for (const [i, text] of data.entries()) {
    if (i > 0) parts.push("&");
    if (!text.startsWith("@")) parts.push(text);
    else if (text === "@-") parts.push(await new Response(Deno.stdin.readable).bytes());
    else {
      const path = text.slice(1);
      parts.push(await failingWith(26, `Cannot read ${path}`, () => Deno.readFile(path)));
    }
  }
  return { kind: "bytes", bytes: await new Blob(parts).bytes() };
}
