/**
 * Moves 512 MiB and 1 GiB each way and watches the memory (RSS), for consumers that do something with
 * the body, and for a loop that does nothing.
 *
 * Each line is measured in processes of their own, as any program is one: a process moves 64 MiB to warm
 * up, notes the memory as the start, and moves the body while the memory is looked at every millisecond.
 * `over` is how far the peak was over the start, in the lowest of three rounds; `most` is the highest of
 * all. What a consumer drops is collected when V8 sees fit, so that rounds differ; what is kept shows in
 * the lowest as well. It fails where that grows with the body: by more than 64 MiB from 512 MiB to 1 GiB.
 *
 * `deno run -A bench/memory.ts pipeTo` measures the lines whose name has this word.
 *
 * @module
 */
import { HTTPConnection, type HTTPResponse } from "@denoports/http-client";
import { stdFrom } from "../tests/std_offline/run.ts";

const MIB = 1024 * 1024;
const WARM_UP = 64 * MIB;
const SIZES = [512 * MIB, 1024 * MIB];
const ROUNDS = 3;
const PIECE = 65536;
/** How much more `over` may be for the larger body. */
const ALLOWED = 64 * MIB;
const LOOK_EVERY_MS = 1;
const LF = 10;
/** The length of the lines that `server.ts` sends. */
const LINE = 60;

/** Consumes a body; returns how many bytes there were, if it looked at them. */
type Consumer = (response: HTTPResponse) => Promise<number | void>;

/** Moves `size` bytes. */
type Workload = (conn: HTTPConnection, size: number) => Promise<void>;

const CONSUMERS: Record<string, Consumer> = {
  async readinto(response) {
    const buffer = new Uint8Array(PIECE);
    let total = 0;
    for (let count; (count = await response.readinto(buffer)) > 0;) total += count;
    return total;
  },

  // Nothing but the loop: what it holds is garbage that V8 has not collected yet.
  async "empty for await"(response) {
    for await (const _piece of response);
  },

  async "for await, count bytes"(response) {
    let total = 0;
    for await (const piece of response) total += piece.length;
    return total;
  },

  async "for await, decode text"(response) {
    const decoder = new TextDecoder();
    let total = 0;
    for await (const piece of response) total += decoder.decode(piece, { stream: true }).length;
    return total + decoder.decode().length;
  },

  "for await, write a file": (response) =>
    withFile(async (file) => {
      for await (const piece of response) {
        for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
      }
      return (await file.stat()).size;
    }),

  // The stream closes the file.
  "pipeTo a file": (response) =>
    withFile(async (file, path) => {
      await response.pipeTo(file.writable);
      return (await Deno.stat(path)).size;
    }),

  "copyTo a file": (response) =>
    withFile(async (file) => {
      using _ = file;
      return await response.copyTo(file);
    }),

  async "for await, count LF"(response) {
    let [total, lines] = [0, 0];
    for await (const piece of response) {
      for (let at = -1; (at = piece.indexOf(LF, at + 1)) >= 0;) lines++;
      total += piece.length;
    }
    return lines === 0 ? total : -1;
  },
};

/** Runs `use` with an empty file, which is removed then. */
async function withFile(
  use: (file: Deno.FsFile, path: string) => Promise<number>,
): Promise<number> {
  const path = await Deno.makeTempFile();
  try {
    return await use(await Deno.open(path, { write: true }), path);
  } finally {
    await Deno.remove(path);
  }
}

function download(framing: string, consume: Consumer): Workload {
  return async (conn, size) => {
    await conn.request("GET", `/${framing}/${size}`);
    check(await consume(await conn.getresponse()) ?? size, size);
  };
}

/** The lines of a body by length. */
const lines: Workload = async (conn, size) => {
  await conn.request("GET", `/lines/${size}`);
  const response = await conn.getresponse();
  let count = 0;
  for await (const _line of response.lines()) count++;
  check(count, Math.ceil(size / LINE));
};

/** A chunked upload of one piece over and over: what a source leaves behind is not what is measured. */
const upload: Workload = async (conn, size) => {
  const piece = new Uint8Array(PIECE);
  let left = size;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left === 0) return controller.close();
      controller.enqueue(piece);
      left -= PIECE;
    },
  });
  await conn.request("POST", "/", body);
  const response = await conn.getresponse();
  if (Number(await response.text()) < size) throw new Error("The server did not get it all");
};

function check(count: number, expected: number): void {
  if (count !== expected) throw new Error(`Got ${count}, not ${expected}`);
}

/** The workloads; those over lines are served by `server.ts`, the others by `memory_server.ts`. */
const WORKLOADS: Record<string, Workload> = {
  ...Object.fromEntries(
    ["length", "chunked"].flatMap((framing) =>
      Object.entries(CONSUMERS).map(([name, consume]) => [
        `${framing}, ${name}`,
        download(framing, consume),
      ])
    ),
  ),
  "length, count lines()": lines,
  "upload of a stream": upload,
};

/** What was measured; bytes, and bytes a second. */
interface Figures {
  start: number;
  over: number;
  speed: number;
}

/** Runs one workload in this process. */
async function measure(name: string, size: number, port: number): Promise<Figures> {
  using conn = new HTTPConnection("127.0.0.1", port);
  const run = WORKLOADS[name];
  await run(conn, WARM_UP);
  const start = Deno.memoryUsage().rss;
  let peak = start;
  const look = () => void (peak = Math.max(peak, Deno.memoryUsage().rss));
  const timer = setInterval(look, LOOK_EVERY_MS);
  const begin = performance.now();
  await run(conn, size);
  const seconds = (performance.now() - begin) / 1000;
  clearInterval(timer);
  look();
  return { start, over: peak - start, speed: size / seconds };
}

/** Runs one workload in a process of its own. */
async function measureApart(name: string, size: number, port: number): Promise<Figures> {
  const map = import.meta.resolve("../tests/std_offline/import_map.json");
  const mapped = await stdFrom() === "stand_ins" ? [`--import-map=${map}`] : [];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...mapped, import.meta.url, "--one", name, String(size), String(port)],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`Cannot measure ${name}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** A server in a process of its own. */
class Server implements AsyncDisposable {
  #child: Deno.ChildProcess;
  #output: ReadableStreamDefaultReader<Uint8Array>;

  constructor(path: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.resolve(path)],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#output = this.#child.stdout.getReader();
  }

  async port(): Promise<number> {
    return Number(new TextDecoder().decode((await this.#output.read()).value));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#output.cancel();
    await this.#child.status;
  }
}

function lowest(rounds: Figures[]): number {
  return Math.min(...rounds.map((round) => round.over));
}

function printLine(name: string, ...columns: string[]): void {
  console.log(name.padEnd(34) + columns.map((column) => column.padStart(10)).join(""));
}

/** Measures the workloads whose name has `wanted`; gives the exit code. */
async function main(wanted: string): Promise<number> {
  await using server = new Server("./memory_server.ts");
  await using lineServer = new Server("./server.ts");
  const [port, linePort] = [await server.port(), await lineServer.port()];
  printLine("RSS in MiB", "start", "over", "over", "most", "", "");
  printLine("", "", "512 MiB", "1 GiB", "", "MiB/s", "");
  let code = 0;
  for (const name of Object.keys(WORKLOADS).filter((name) => name.includes(wanted))) {
    const at = WORKLOADS[name] === lines ? linePort : port;
    const rounds: (Figures & { size: number })[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      for (const size of SIZES) rounds.push({ size, ...await measureApart(name, size, at) });
    }
    const over = SIZES.map((size) => lowest(rounds.filter((r) => r.size === size)));
    const most = Math.max(...rounds.map((round) => round.over));
    const flat = over[1] - over[0] <= ALLOWED;
    const start = Math.max(...rounds.map((round) => round.start));
    const speed = Math.max(...rounds.map((round) => round.speed));
    const figures = [start, ...over, most, speed];
    const shown = figures.map((figure) => (figure / MIB).toFixed(0));
    printLine(name, ...shown, flat ? "flat" : "NOT FLAT");
    if (!flat) code = 1;
  }
  return code;
}

if (import.meta.main) {
  const [first = "", name, size, port] = Deno.args;
  if (first === "--one") {
    console.log(JSON.stringify(await measure(name, Number(size), Number(port))));
  } else Deno.exitCode = await main(first);
}
