/**
 * Moves 1 GiB each way and watches the memory (RSS). Each workload runs in a process of its own, as any
 * program does: it moves 64 MiB to warm up and notes the memory as the start, then moves 1 GiB, and the
 * memory is looked at after every MiB. It fails where the peak is over the start by more than 32 MiB.
 *
 * @module
 */
import { HTTPConnection, type HTTPResponse } from "@denoports/http-client";
import { deno } from "../tests/std_offline/run.ts";

const MIB = 1024 * 1024;
const WARM_UP = 64 * MIB;
const SIZE = 1024 * MIB;
const PIECE = 65536;
/** How far the peak may be over the start. */
const ALLOWED = 32 * MIB;

/** Moves `size` bytes, and tells `moved` of each piece. */
type Workload = (
  conn: HTTPConnection,
  size: number,
  moved: (bytes: number) => void,
) => Promise<void>;

async function get(conn: HTTPConnection, framing: string, size: number): Promise<HTTPResponse> {
  await conn.request("GET", `/${framing}/${size}`);
  return await conn.getresponse();
}

function byReadinto(framing: string): Workload {
  return async (conn, size, moved) => {
    const response = await get(conn, framing, size);
    const buffer = new Uint8Array(PIECE);
    for (let count; (count = await response.readinto(buffer)) > 0;) moved(count);
  };
}

function byForAwait(framing: string): Workload {
  return async (conn, size, moved) => {
    for await (const piece of await get(conn, framing, size)) moved(piece.length);
  };
}

function byPipeTo(framing: string): Workload {
  return async (conn, size, moved) => {
    const response = await get(conn, framing, size);
    await response.pipeTo(new WritableStream({ write: (piece) => moved(piece.length) }));
  };
}

/** A chunked upload of one piece over and over: what a source leaves behind is not what is measured. */
const upload: Workload = async (conn, size, moved) => {
  const piece = new Uint8Array(PIECE);
  let left = size;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left === 0) return controller.close();
      controller.enqueue(piece);
      left -= PIECE;
      moved(PIECE);
    },
  });
  await conn.request("POST", "/", body);
  const response = await conn.getresponse();
  if (Number(await response.text()) < size) throw new Error("The server did not get it all");
};

const WORKLOADS: Record<string, Workload> = {
  "download, length, readinto": byReadinto("length"),
  "download, length, for await": byForAwait("length"),
  "download, length, pipeTo": byPipeTo("length"),
  "download, chunked, readinto": byReadinto("chunked"),
  "download, chunked, for await": byForAwait("chunked"),
  "download, chunked, pipeTo": byPipeTo("chunked"),
  "upload, chunked, stream": upload,
};

/** Counts what is moved, and looks at the memory after every MiB. */
class Gauge {
  peak = 0;
  #total = 0;
  #nextLook = 0;

  readonly moved = (bytes: number): void => {
    this.#total += bytes;
    if (this.#total < this.#nextLook) return;
    this.#nextLook += MIB;
    this.look();
  };

  look(): number {
    const { rss } = Deno.memoryUsage();
    this.peak = Math.max(this.peak, rss);
    return rss;
  }

  /** Looks for the last time. */
  end(size: number): void {
    this.look();
    if (this.#total !== size) throw new Error(`Moved ${this.#total} bytes, not ${size}`);
  }
}

/** Runs one workload and prints its line; says whether the memory was flat. */
async function measure(name: string, port: number): Promise<boolean> {
  using conn = new HTTPConnection("127.0.0.1", port);
  await WORKLOADS[name](conn, WARM_UP, new Gauge().moved);
  const gauge = new Gauge();
  const start = gauge.look();
  const begin = performance.now();
  await WORKLOADS[name](conn, SIZE, gauge.moved);
  const seconds = (performance.now() - begin) / 1000;
  gauge.end(SIZE);
  const over = gauge.peak - start;
  const figures = [SIZE / seconds, start, gauge.peak, over].map((n) => (n / MIB).toFixed(0));
  const flat = over <= ALLOWED;
  printLine(name, ...figures, flat ? "flat" : "NOT FLAT");
  return flat;
}

function printLine(name: string, ...columns: string[]): void {
  console.log(name.padEnd(30) + columns.map((column) => column.padStart(12)).join(""));
}

/** Runs each workload in a process of its own against one server; gives the exit code. */
async function main(): Promise<number> {
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", import.meta.resolve("./memory_server.ts")],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = server.stdout.getReader();
  const port = Number(new TextDecoder().decode((await output.read()).value));
  printLine("1 GiB, RSS in MiB", "MiB/s", "start", "peak", "over", "");
  let code = 0;
  for (const name of Object.keys(WORKLOADS)) {
    const args = ["-A", import.meta.url, name, String(port)];
    code = Math.max(code, await deno("run", ...args));
  }
  await server.stdin.close();
  await output.cancel();
  await server.status;
  return code;
}

if (import.meta.main) {
  const [name, port] = Deno.args;
  Deno.exitCode = name === undefined ? await main() : await measure(name, Number(port)) ? 0 : 1;
}
