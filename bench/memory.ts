/**
 * Moves 1 GiB each way and watches the memory (RSS). Each workload runs in a process of its own: it
 * moves 64 MiB to warm up, collects garbage, and notes the memory as the start. Then it moves 1 GiB
 * twice, and the memory is looked at after every MiB:
 *
 * - with garbage collected after every 8 MiB: the peak is what the library needs;
 * - as any program runs: the speed, and the peak with the garbage in it.
 *
 * It fails where either is over the start by more than 32 MiB.
 *
 * @module
 */
import { HTTPConnection, type HTTPResponse } from "@denoports/http-client";
import { deno } from "../tests/std_offline/run.ts";

const MIB = 1024 * 1024;
const WARM_UP = 64 * MIB;
const SIZE = 1024 * MIB;
const PIECE = 65536;
/** How often garbage is collected, in bytes. */
const COLLECT = 8 * MIB;
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

function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** Counts what is moved, and looks at the memory after every MiB. */
class Gauge {
  peak = 0;
  #collect: number;
  #total = 0;
  #nextLook = 0;
  #nextCollect: number;

  /** @param collect After how many bytes garbage is collected. */
  constructor(collect: number) {
    this.#collect = this.#nextCollect = collect;
  }

  readonly moved = (bytes: number): void => {
    this.#total += bytes;
    if (this.#total < this.#nextLook) return;
    this.#nextLook += MIB;
    this.look();
    if (this.#total < this.#nextCollect) return;
    this.#nextCollect += this.#collect;
    collectGarbage();
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
  await WORKLOADS[name](conn, WARM_UP, new Gauge(Infinity).moved);
  collectGarbage();
  const held = new Gauge(COLLECT);
  const start = held.look();
  await WORKLOADS[name](conn, SIZE, held.moved);
  held.end(SIZE);
  const all = new Gauge(Infinity);
  const begin = performance.now();
  await WORKLOADS[name](conn, SIZE, all.moved);
  const seconds = (performance.now() - begin) / 1000;
  all.end(SIZE);
  const figures = [SIZE / seconds, start, held.peak, held.peak - start, all.peak, all.peak - start];
  const flat = Math.max(held.peak, all.peak) - start <= ALLOWED;
  printLine(name, ...figures.map((n) => (n / MIB).toFixed(0)), flat ? "flat" : "NOT FLAT");
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
  printLine("", "", "", "collected", "", "as it runs", "", "");
  printLine("1 GiB, RSS in MiB", "MiB/s", "start", "peak", "over", "peak", "over", "");
  let code = 0;
  for (const name of Object.keys(WORKLOADS)) {
    const args = ["-A", "--v8-flags=--expose-gc", import.meta.url, name, String(port)];
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
