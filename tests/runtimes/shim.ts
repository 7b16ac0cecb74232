/**
 * What the tests use of Deno, over Node's modules: they run by it on Node and Bun. The library does not see
 * it, as it stands in the bundle of the tests alone; what the library asks of `globalThis` is the runtime's own.
 *
 * @module
 */
import * as fs from "node:fs";
import * as fsp from "node:fs/promises";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import process from "node:process";
import * as tls from "node:tls";
import * as util from "node:util";
import { deferred } from "../../_internal/net/platform.ts";
import { errors as socketErrors } from "../../errors.ts";

/** Node 22 and Bun lack it. */
class Stack {
  readonly #uses: (Disposable | AsyncDisposable)[] = [];

  use<T extends Disposable | AsyncDisposable>(value: T): T {
    this.#uses.push(value);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const value of this.#uses.reverse()) {
      if (Symbol.asyncDispose in value) await value[Symbol.asyncDispose]();
      else value[Symbol.dispose]();
    }
  }
}

/** What the tests use and Node 20 lacks; the library does without it. */
function addWhatIsMissing(): void {
  (globalThis as { AsyncDisposableStack?: unknown }).AsyncDisposableStack ??= Stack;
  Promise.withResolvers ??= deferred as typeof Promise.withResolvers;
  ArrayBuffer.prototype.transfer ??= function (this: ArrayBuffer) {
    return structuredClone(this, { transfer: [this] });
  };
  URL.parse ??= (url, base) => URL.canParse(url, base) ? new URL(url, base) : null;
  Array.fromAsync ??= (async (values: AsyncIterable<unknown>) => {
    const all = [];
    for await (const value of values) all.push(value);
    return all;
  }) as typeof Array.fromAsync;
}

addWhatIsMissing();

type Body = () => unknown;
interface Definition {
  name: string;
  fn: Body;
  ignore?: boolean;
}

/** The tests of the bundle, in their order. */
const tests: Definition[] = [];

function test(first: string | Definition, second?: Body | Partial<Definition>, third?: Body): void {
  if (typeof first !== "string") tests.push(first);
  else if (typeof second === "function") tests.push({ name: first, fn: second });
  else tests.push({ ...second, name: first, fn: third! });
}

/** The class of an error that only the tests know. */
function ownError(name: string): new (message?: string) => Error {
  return class extends Error {
    override name = name;
  };
}

const errors = {
  ...socketErrors,
  BadResource: ownError("BadResource"),
  AlreadyExists: ownError("AlreadyExists"),
};

/** An error of Node's as Deno has it. */
function asDenoError(error: Error & { code?: string }): Error {
  const names: Record<string, keyof typeof socketErrors> = {
    ECONNREFUSED: "ConnectionRefused",
    ECONNRESET: "ConnectionReset",
    EPIPE: "BrokenPipe",
    ERR_STREAM_DESTROYED: "BrokenPipe",
    ENOENT: "NotFound",
    EADDRINUSE: "AddrInUse",
    EADDRNOTAVAIL: "AddrNotAvailable",
  };
  const name = names[error.code ?? ""];
  return name === undefined ? error : new socketErrors[name](error.message, { cause: error });
}

/** A connection as Deno has it: a read gives what has come, a write takes all. */
class Conn {
  readonly #socket: net.Socket;
  readonly #isLocal: boolean;
  readonly #chunks: Uint8Array[] = [];
  #over = false;
  #failure: Error | null = null;
  #closed = false;
  #waiting: (() => void)[] = [];

  /** @param isLocal Whether it is a unix socket, which knows no reset. */
  constructor(socket: net.Socket, isLocal = false) {
    this.#socket = socket;
    this.#isLocal = isLocal;
    socket.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(chunk);
      if (this.#chunks.length > 64) socket.pause();
      this.#wake();
    });
    const end = () => {
      this.#over = true;
      this.#wake();
    };
    socket.on("end", end).on("close", end).on("error", (error) => {
      this.#failure ??= asDenoError(error);
      end();
    });
  }

  get localAddr(): unknown {
    const { localAddress, localPort } = this.#socket;
    return { transport: "tcp", hostname: localAddress, port: localPort };
  }

  get remoteAddr(): unknown {
    const { remoteAddress, remotePort } = this.#socket;
    return { transport: "tcp", hostname: remoteAddress, port: remotePort };
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async read(p: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#closed) throw new errors.Interrupted("operation canceled");
      if (this.#failure !== null) throw this.#failure;
      if (this.#over) return null;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const [chunk] = this.#chunks;
    const count = Math.min(p.length, chunk.length);
    p.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    if (this.#chunks.length < 8) this.#socket.resume();
    return count;
  }

  write(p: Uint8Array): Promise<number> {
    if (this.#closed) return Promise.reject(new errors.BadResource("Bad resource ID"));
    return new Promise((resolve, reject) => {
      const copy = p.slice();
      this.#socket.write(copy, (error) => {
        if (error) reject(asDenoError(error));
        else resolve(copy.length);
      });
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => void this.#socket.end(resolve));
  }

  close(): void {
    if (this.#closed) throw new errors.BadResource("Bad resource ID");
    this.#closed = true;
    // As a closed socket does: what was not read is told by a reset.
    const isPlain = !("encrypted" in this.#socket) && !this.#isLocal;
    if (this.#chunks.length > 0 && isPlain) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
    this.#wake();
  }

  setNoDelay(on = true): void {
    this.#socket.setNoDelay(on);
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }
}

interface Address {
  hostname?: string;
  port?: number;
  transport?: string;
  path?: string;
}

interface TlsOptions extends Address {
  cert: string;
  key: string;
  alpnProtocols?: string[];
}

let listeners = Math.floor(Math.random() * 1000);

/**
 * A port that nobody is likely to have: Node tells of a free one too late. Each process has a thousand of
 * its own, and goes round in them.
 */
function somePort(): number {
  return 20000 + 1000 * (process.pid % 12) + listeners++ % 1000;
}

/** A listener as Deno has it. */
class Listener {
  readonly #server: net.Server;
  readonly #waiting: Conn[] = [];
  readonly addr: Record<string, unknown>;
  #closed = false;
  #wake: () => void = () => {};

  constructor({ hostname = "0.0.0.0", port = 0, path }: Address, secure?: TlsOptions) {
    const take = (socket: net.Socket) => {
      this.#waiting.push(new Conn(socket, path !== undefined));
      this.#wake();
    };
    const options = { allowHalfOpen: true, noDelay: true };
    if (secure === undefined) this.#server = net.createServer(options, take);
    else {
      const { cert, key, alpnProtocols: ALPNProtocols } = secure;
      this.#server = tls.createServer({ ...options, cert, key, ALPNProtocols }, take);
      // A client that refuses, as tests let it.
      (this.#server as tls.Server).on("tlsClientError", () => {});
    }
    port = port === 0 ? somePort() : port;
    this.addr = path === undefined
      ? { transport: "tcp", hostname, port }
      : { transport: "unix", path };
    this.#server.listen(path === undefined ? { host: hostname, port } : { path });
  }

  async accept(): Promise<Conn> {
    while (this.#waiting.length === 0) {
      if (this.#closed) throw new errors.BadResource("Listener has been closed");
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#waiting.shift()!;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Conn> {
    try {
      for (;;) yield await this.accept();
    } catch (error) {
      if (!(error instanceof errors.BadResource)) throw error;
    }
  }

  close(): void {
    if (this.#closed) throw new errors.BadResource("Bad resource ID");
    this.#closed = true;
    this.#server.close();
    this.#wake();
  }

  ref(): void {
    this.#server.ref();
  }

  unref(): void {
    this.#server.unref();
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }
}

function connect({ hostname = "127.0.0.1", port, path }: Address): Promise<Conn> {
  return new Promise((resolve, reject) => {
    const where = path === undefined ? { host: hostname, port: port! } : { path };
    const socket = net.connect(
      { ...where, allowHalfOpen: true, noDelay: true } as net.NetConnectOpts,
    );
    socket.once("error", (error) => reject(asDenoError(error)));
    socket.once("connect", () => resolve(new Conn(socket, path !== undefined)));
  });
}

/** A file as Deno has it, as far as the tests use it. */
class File {
  readonly #handle: fsp.FileHandle;

  constructor(handle: fsp.FileHandle) {
    this.#handle = handle;
  }

  async read(p: Uint8Array): Promise<number | null> {
    const { bytesRead } = await this.#handle.read(p);
    return bytesRead === 0 ? null : bytesRead;
  }

  async write(p: Uint8Array): Promise<number> {
    return (await this.#handle.write(p)).bytesWritten;
  }

  close(): void {
    this.#handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

async function open(
  name: string | URL,
  { write = false, create = false, append = false } = {},
): Promise<File> {
  return new File(await fsp.open(name, append ? "a" : create ? "w+" : write ? "r+" : "r"));
}

/** What stands for `Deno` in the tests. */
export const Deno = {
  test,
  errors,
  args: process.argv.slice(2),
  build: { os: process.platform },
  env: { get: (name: string) => process.env[name] },
  version: { deno: "0.0.0" },
  pid: process.pid,
  inspect: (value: unknown) => util.inspect(value),
  memoryUsage: () => process.memoryUsage(),
  execPath: () => process.execPath,
  exit: (code: number) => process.exit(code),
  listen: (address: Address) => new Listener(address),
  listenTls: (options: TlsOptions) => new Listener(options, options),
  connect,
  open,
  readTextFileSync: (name: string | URL) => fs.readFileSync(name, "utf8"),
  readTextFile: (name: string | URL) => fsp.readFile(name, "utf8"),
  readFile: (name: string | URL) => fsp.readFile(name).then((bytes) => new Uint8Array(bytes)),
  writeFileSync: (name: string | URL, bytes: Uint8Array) => fs.writeFileSync(name, bytes),
  truncateSync: (name: string | URL, size?: number) => fs.truncateSync(name, size),
  writeTextFileSync: (name: string | URL, text: string) => fs.writeFileSync(name, text),
  writeTextFile: (name: string | URL, text: string) => fsp.writeFile(name, text),
  writeFile: (name: string | URL, bytes: Uint8Array) => fsp.writeFile(name, bytes),
  makeTempFile: async () => {
    const name = path.join(os.tmpdir(), `test-${crypto.randomUUID()}`);
    await fsp.writeFile(name, "");
    return name;
  },
  makeTempDirSync: () => fs.mkdtempSync(path.join(os.tmpdir(), "test-")),
  remove: (name: string | URL) => fsp.rm(name, { recursive: true }),
  chmodSync: (name: string | URL, mode: number) => fs.chmodSync(name, mode),
  mkdirSync: (name: string | URL) => fs.mkdirSync(name),
  permissions: {
    query: () => Promise.resolve({ state: "granted" }),
    request: () => Promise.resolve({ state: "granted" }),
  },
  stat: (name: string | URL) => fsp.stat(name),
  statSync: (name: string | URL) => fs.statSync(name),
  refTimer: (timer: { ref?(): void }) => timer.ref?.(),
  unrefTimer: (timer: { unref?(): void }) => timer.unref?.(),
};

/** Seconds that a test may take. */
const LIMIT = 30;

/** Runs one test; what it fails with, or `null`. */
async function failureOf({ fn }: Definition): Promise<unknown> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It took more than ${LIMIT} s`)), LIMIT * 1000);
  });
  try {
    await Promise.race([fn(), late]);
    return null;
  } catch (error) {
    return error ?? new Error("undefined was thrown");
  } finally {
    clearTimeout(timer);
  }
}

/** What became of tests. */
export interface Counts {
  passed: number;
  ignored: number;
  failed: [name: string, why: string][];
}

/** Runs all tests, those apart whose name one of the patterns matches. */
export async function runAll(ignoredNames: RegExp[]): Promise<Counts> {
  const counts: Counts = { passed: 0, ignored: 0, failed: [] };
  process.on(
    "unhandledRejection",
    (reason) => void counts.failed.push(["(nobody awaits it)", String(reason)]),
  );
  process.on(
    "uncaughtException",
    (error) => void counts.failed.push(["(nobody catches it)", String(error)]),
  );
  for (const each of tests) {
    if (each.ignore || ignoredNames.some((pattern) => pattern.test(each.name))) {
      counts.ignored++;
      continue;
    }
    const failure = await failureOf(each);
    if (failure === null) counts.passed++;
    else counts.failed.push([each.name, util.inspect(failure).slice(0, 400)]);
  }
  return counts;
}

/** Prints counts so that they are found again, and ends the process. */
export function finish(counts: Counts): void {
  process.stdout.write(`\n@@${JSON.stringify(counts)}\n`, () => process.exit(0));
}
