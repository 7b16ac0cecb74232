/**
 * Python's own servers: `python3 -m http.server` for files, and a small handler on `http.server` for the rest.
 *
 * @module
 */

import { programs } from "./available.ts";
import { Child, TempDir } from "./child.ts";

/** A running server. */
export interface PythonServer extends AsyncDisposable {
  /** The port on `127.0.0.1`. */
  readonly port: number;
  /** What it wrote: Python logs each request. */
  log(): string;
}

/**
 * The paths of the handler of {@linkcode startPythonScript}:
 *
 * - any method on `/echo`: JSON with `method`, `path`, `headers` (pairs), `body` (Latin-1), `chunks` (sizes), `client`
 * - `GET /close`: a body without length, ended by closing
 * - `GET /chunked?n=3`: `n` chunks, the first with an extension
 * - `GET /trailers`: chunked with the trailers `X-Sum` and `X-Last`
 * - `GET /status/NNN`: that status, with a body unless it has none
 * - `GET /hints`: a 103 and a 102 before the 200
 * - `GET /latin1`: a reason and a header value with ISO-8859-1 letters
 * - `GET /short`: fewer bytes than `Content-Length` says
 * - `GET /drop`: closes without an answer
 * - `HEAD` on any of them: the same head
 *
 * Each answer has `X-Connection`, the number of the connection.
 */
const SCRIPT = `
import itertools, json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

numbers = itertools.count()

class Handler(BaseHTTPRequestHandler):
    protocol_version = sys.argv[1]
    wbufsize = -1

    def setup(self):
        super().setup()
        self.number = next(numbers)

    def start(self, status, *headers, reason=None):
        self.send_response(status, reason)
        self.send_header("X-Connection", str(self.number))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def send(self, data):
        if self.command != "HEAD":
            self.wfile.write(data)
            self.wfile.flush()

    def whole(self, data, status=200, *headers, reason=None):
        self.start(status, *headers, ("Content-Length", str(len(data))), reason=reason)
        self.send(data)

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0))), []
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            assert self.rfile.readline() == b"\\r\\n"
        while self.rfile.readline() != b"\\r\\n":
            pass
        return b"".join(pieces), [len(piece) for piece in pieces]

    def answer(self):
        body, chunks = self.body()
        path, _, query = self.path.partition("?")
        if path == "/echo":
            self.whole(json.dumps({
                "method": self.command, "path": self.path, "headers": self.headers.items(),
                "body": body.decode("latin-1"), "chunks": chunks, "client": self.client_address[0],
            }).encode(), 200, ("Content-Type", "application/json"))
        elif path == "/close":
            self.close_connection = True
            self.start(200, ("Connection", "close"))
            self.send(b"until the end\\n" * 1000)
        elif path == "/chunked":
            self.start(200, ("Transfer-Encoding", "chunked"))
            for i in range(int(query.partition("=")[2] or 3)):
                data = f"chunk {i}\\n".encode()
                self.send(b"%x%s\\r\\n%s\\r\\n" % (len(data), b"" if i else b';name="value"', data))
            self.send(b"0\\r\\n\\r\\n")
        elif path == "/trailers":
            self.start(200, ("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum, X-Last"))
            self.send(b"5\\r\\nhello\\r\\n0\\r\\nX-Sum: 532\\r\\nX-Last: yes\\r\\n\\r\\n")
        elif path.startswith("/status/"):
            status = int(path[8:])
            if status in (204, 304):
                self.start(status)
            else:
                self.whole(b"status %d" % status, status)
        elif path == "/hints":
            for status, reason in ((103, "Early Hints"), (102, "Processing")):
                self.send_response_only(status, reason)
                self.send_header("Link", "</style.css>; rel=preload")
                self.end_headers()
            self.whole(b"after the hints")
        elif path == "/latin1":
            self.whole(b"", 200, ("X-City", "M\\u00fcnchen"), reason="Sch\\u00f6n")
        elif path == "/short":
            self.close_connection = True
            self.start(200, ("Content-Length", "100"))
            self.send(b"only this")
        elif path == "/drop":
            self.close_connection = True
        else:
            self.whole(b"not here", 404)

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

ThreadingHTTPServer.daemon_threads = True
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("port %d ready" % server.server_address[1], flush=True)
server.serve_forever()
`;

async function started(
  args: readonly string[],
  pattern: RegExp,
  stack: AsyncDisposableStack,
  cwd?: string,
): Promise<PythonServer> {
  const child = stack.use(
    new Child(programs.python!, {
      args: ["-u", ...args],
      cwd,
      env: { PYTHONDONTWRITEBYTECODE: "1" },
    }),
  );
  const port = Number(await child.ready(() => pattern.exec(child.output)?.[1]));
  const owned = stack.move();
  return {
    port,
    log: () => child.output,
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

/** Starts `python3 -m http.server` on a folder with `files` (path to content). */
export async function startPythonFiles(
  files: Record<string, string | Uint8Array>,
  protocol: "HTTP/1.0" | "HTTP/1.1" = "HTTP/1.0",
): Promise<PythonServer> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir("python"));
  const root = dir.folder("root");
  for (const [path, content] of Object.entries(files)) dir.write(`root/${path}`, content);
  // The option `--protocol` came with Python 3.11 only.
  const args = protocol === "HTTP/1.0" ? ["-m", "http.server", "0", "--bind", "127.0.0.1"] : [
    "-c",
    "import http.server as s; " +
    `s.test(s.SimpleHTTPRequestHandler, s.ThreadingHTTPServer, "${protocol}", 0, "127.0.0.1")`,
  ];
  return await started(args, /Serving HTTP on \S+ port (\d+)/, stack, root);
}

/** Starts the handler that is described in this file, speaking `protocol`. */
export async function startPythonScript(
  protocol: "HTTP/1.0" | "HTTP/1.1" = "HTTP/1.1",
): Promise<PythonServer> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir("python"));
  return await started([dir.write("server.py", SCRIPT), protocol], /port (\d+) ready/, stack);
}
