/**
 * Lets `decoded()` read bombs, small bodies that decode to huge ones, and prints for each how far the peak of
 * the memory (RSS) was over the start, and for how long the event loop was blocked at most.
 *
 * Each line is measured three times in processes of their own, which drop what they decode; the bombs are
 * made and sent by the first process. The figures of memory and blocking are the lowest of the three. It fails where the memory is over the limit by more than 64 MiB, or the event loop was
 * blocked for more than 100 ms.
 *
 * `deno run -A bench/bombs.ts brotli` measures the bombs whose name has this word.
 *
 * @module
 */
import { brotliCompressSync, gzipSync } from "node:zlib";
import { type DecodedOptions, HTTPConnection } from "@denoports/http-client";
import { type Bomb, BOMBS } from "../tests/helpers/bombs.ts";
import { stdFrom } from "../tests/std_offline/run.ts";

const MIB = 1024 * 1024;
const ALLOWED_MIB = 64;
const ALLOWED_MS = 100;
/** The default of `maxDecodedBytes`. */
const DEFAULT_MIB = 100;
const DEADLINE_S = 0.5;
const ROUNDS = 3;
/** Pieces that were dropped, and that V8 has not collected yet. */
const GARBAGE_MIB = 64;

/** A way to be safe of a bomb. */
interface Way {
  /** How many MiB may be decoded; where there is no limit, so many may be garbage. */
  limit: number;
  options: DecodedOptions;
  deadline?: number;
  abort?: number;
}

const WARM_UP = gzipSync(brotliCompressSync("x"));
const NO_LIMIT = { maxDecodedBytes: Infinity };

const WAYS: Record<string, Way> = {
  "limit of 1 MiB": { limit: 1, options: { maxDecodedBytes: MIB } },
  "default limit": { limit: DEFAULT_MIB, options: {} },
  "deadline of 0.5 s": { limit: GARBAGE_MIB, options: NO_LIMIT, deadline: DEADLINE_S },
  "abort after 0.5 s": { limit: GARBAGE_MIB, options: NO_LIMIT, abort: DEADLINE_S },
};

/** What was measured. */
interface Figures {
  decoded: number;
  ms: number;
  memory: number;
  blocked: number;
  end: string;
}

/** Reads the bomb in this process. */
async function measure(port: number, { options, deadline, abort }: Way): Promise<Figures> {
  // Loads the decoders, which is done once.
  await read(port, "/warm-up", {}, () => {});
  const start = Deno.memoryUsage().rss;
  let [peak, blocked, last] = [start, 0, performance.now()];
  const look = () => {
    peak = Math.max(peak, Deno.memoryUsage().rss);
    const now = performance.now();
    blocked = Math.max(blocked, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  let decoded = 0;
  const begin = performance.now();
  const init = {
    deadlines: deadline === undefined ? {} : { total: deadline },
    signal: abort === undefined ? undefined : AbortSignal.timeout(abort * 1000),
  };
  const end = await read(port, "/", { ...options, ...init }, (piece) => {
    decoded += piece.length;
  });
  const ms = performance.now() - begin;
  clearInterval(timer);
  look();
  return { decoded: decoded / MIB, ms, memory: (peak - start) / MIB, blocked, end };
}

/** Reads a body to its end, or to what ends it. */
async function read(
  port: number,
  path: string,
  { deadlines, signal, ...options }: DecodedOptions & {
    deadlines?: { total?: number };
    signal?: AbortSignal;
  },
  take: (piece: Uint8Array) => void,
): Promise<string> {
  using conn = new HTTPConnection("127.0.0.1", port, { deadlines });
  try {
    await conn.request("GET", path, null, {}, { signal });
    const response = await conn.getresponse();
    for await (const piece of response.decoded(options)) take(piece);
    return "whole";
  } catch (error) {
    return `${error}`;
  }
}

/** Sends the bomb to whoever asks for it, and next to nothing for `/warm-up`. */
function serve({ coding }: Bomb, body: Uint8Array): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, ({ url }) => {
    if (url.endsWith("/warm-up")) {
      return new Response(WARM_UP as BodyInit, { headers: { "Content-Encoding": "br, gzip" } });
    }
    return new Response(body as BodyInit, { headers: { "Content-Encoding": coding } });
  });
}

/** Reads the bomb in processes of their own; a busy machine is in the higher figures. */
async function lowest(port: number, way: string): Promise<Figures> {
  const rounds: Figures[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await measureApart(port, way));
  const least = (figure: "memory" | "blocked") => Math.min(...rounds.map((round) => round[figure]));
  return { ...rounds[0], memory: least("memory"), blocked: least("blocked") };
}

/** Reads the bomb in a process of its own. */
async function measureApart(port: number, way: string): Promise<Figures> {
  const map = import.meta.resolve("../tests/std_offline/import_map.json");
  const mapped = await stdFrom() === "stand_ins" ? [`--import-map=${map}`] : [];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...mapped, import.meta.url, "--one", String(port), way],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`Cannot measure the way ${way}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function main(word: string): Promise<void> {
  let isFine = true;
  console.log(
    "bomb                               sent KiB  way                decoded MiB      ms  memory +MiB  blocked ms  end",
  );
  for (const [name, bomb] of Object.entries(BOMBS)) {
    if (!name.includes(word)) continue;
    const body = await bomb.make();
    await using server = serve(bomb, body);
    for (const [way, { limit }] of Object.entries(WAYS)) {
      const figures = await lowest(server.addr.port, way);
      const { decoded, ms, memory, blocked, end } = figures;
      const good = memory <= limit + ALLOWED_MIB && blocked <= ALLOWED_MS;
      isFine &&= good;
      console.log([
        name.padEnd(33),
        (body.length / 1024).toFixed(1).padStart(9),
        ` ${way.padEnd(17)}`,
        decoded.toFixed(1).padStart(11),
        ms.toFixed(0).padStart(6),
        memory.toFixed(1).padStart(11),
        blocked.toFixed(1).padStart(10),
        ` ${good ? "" : "TOO MUCH "}${end.slice(0, 70)}`,
      ].join(" "));
    }
  }
  if (!isFine) Deno.exit(1);
}

if (Deno.args[0] === "--one") {
  const [, port, way] = Deno.args;
  console.log(JSON.stringify(await measure(Number(port), WAYS[way])));
} else {
  await main(Deno.args[0] ?? "");
}
