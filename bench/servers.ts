/**
 * Starts the benchmark's servers: `server.c` where a C compiler is installed (and OpenSSL for TLS), else
 * `server.ts` and `server_tls.ts`.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { placed } from "./cores.ts";
import { LineChild } from "./line_child.ts";

const CERTIFICATE = fileURLToPath(import.meta.resolve("../tests/tls/localhost.pem"));
const KEY = fileURLToPath(import.meta.resolve("../tests/tls/localhost.key"));
const SOURCE = fileURLToPath(import.meta.resolve("./server.c"));
const CPU = new TextEncoder().encode("GET /cpu HTTP/1.1\r\nHost: bench\r\n\r\n");

/** A running server that tells what it costs. */
export class Server implements AsyncDisposable {
  readonly port: number;
  /** What it is. */
  readonly kind: string;
  #child: LineChild;
  #control: Deno.Conn;
  #buffer = new Uint8Array(4096);

  private constructor(kind: string, child: LineChild, port: number, control: Deno.Conn) {
    this.kind = kind;
    this.port = port;
    this.#child = child;
    this.#control = control;
  }

  /** Starts a program that prints its port. */
  static async start(kind: string, command: string, args: string[], ca?: string): Promise<Server> {
    const child = new LineChild(kind, ...await placed("server", command, args));
    const port = Number(await child.line());
    const at = { hostname: "127.0.0.1", port };
    const control = ca === undefined
      ? await Deno.connect(at)
      : await Deno.connectTls({ ...at, caCerts: [ca] });
    return new Server(kind, child, port, control);
  }

  /** The CPU that the server has used so far, in milliseconds. */
  async cpu(): Promise<number> {
    await this.#control.write(CPU);
    const count = await this.#control.read(this.#buffer) ?? 0;
    const text = new TextDecoder().decode(this.#buffer.subarray(0, count));
    return Number(text.slice(text.indexOf("\r\n\r\n") + 4)) / 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#control.close();
    await this.#child[Symbol.asyncDispose]();
  }
}

/** Builds `server.c`; `null` where that can't be done. */
async function build(program: string, ...flags: string[]): Promise<string | null> {
  const args = ["-O2", "-pthread", "-o", program, SOURCE, ...flags];
  try {
    const { success } = await new Deno.Command("cc", { args, stderr: "null" }).output();
    return success ? program : null;
  } catch {
    return null;
  }
}

function onDeno(script: string): [command: string, args: string[]] {
  return [Deno.execPath(), ["run", "-A", "--no-check", import.meta.resolve(script)]];
}

/** Starts the plain server. */
export async function startServer(folder: string): Promise<Server> {
  const program = await build(`${folder}/server`);
  return program === null
    ? await Server.start("server.ts on Deno", ...onDeno("./server.ts"))
    : await Server.start("server.c", program, []);
}

/** Starts the server that talks TLS. */
export async function startTlsServer(folder: string, ca: string): Promise<Server> {
  const program = await build(`${folder}/server_tls`, "-DTLS", "-lssl", "-lcrypto");
  return program === null
    ? await Server.start("server_tls.ts on Deno", ...onDeno("./server_tls.ts"), ca)
    : await Server.start("server.c with OpenSSL", program, [CERTIFICATE, KEY], ca);
}
