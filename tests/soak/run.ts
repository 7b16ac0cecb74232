/**
 * The soak: `deno task soak --seconds 1800`. Mixed traffic against a server in another process: over TCP, TLS and
 * tunnels, by all framings, with early answers, aborts, deadlines and reconnects. Each minute, and at the end, it prints what
 * has come of it. It fails if a body was wrong, an error came without a cause, or memory or descriptors have
 * grown.
 *
 * - `--seconds 60` runs so long.
 * - `--seed 1` makes the same requests again.
 * - `--workers 6` makes so many requests at a time.
 *
 * @module
 */
import { numberOption } from "../sweep/run.ts";
import { importMap } from "../sweep/sweep.ts";
import { descriptors, FEWEST, grown, type Sample, sample } from "./flat.ts";
import type { Ports } from "./server.ts";
import { type Tally, warmUp, Worker } from "./traffic.ts";

/** What a soak has come to. */
export interface SoakResult {
  readonly tally: Tally;
  /** What is wrong; nothing, where all is well. */
  readonly problems: readonly string[];
}

/** Between two reports, in milliseconds. */
const REPORT_MS = 60_000;
/** How many samples there are, and how long from one to the next at least, in milliseconds. */
const SAMPLES = 45;
const SAMPLE_MS = 400;
/** What of the time is the warm-up, and how long it is at most, in milliseconds. */
const WARM_UP = { part: 0.2, most: 120_000 };
/** How long the last descriptors may take to be closed, in milliseconds, before and after the traffic. */
const CLOSE_MS = { before: 300, after: 3000 };

/** A server in a process of its own. */
class Server implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly ports: Ports;

  private constructor(child: Deno.ChildProcess, ports: Ports) {
    this.#child = child;
    this.ports = ports;
  }

  static async start(): Promise<Server> {
    const script = new URL("server.ts", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--no-lock", ...importMap(), script],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let line = "";
    while (!line.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error("The server has ended");
      line += value;
    }
    await reader.cancel();
    return new Server(child, JSON.parse(line) as Ports);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

function mib(bytes: number): string {
  return `${(bytes / 1048576).toFixed(1)} MiB`;
}

/** Two lines that say how it stands. */
function report(seconds: number, tally: Tally, now: Sample): string {
  const counts = (map: ReadonlyMap<string, number>) =>
    [...map].sort().map(([name, count]) => `${name} ${count}`).join(", ");
  return [
    `${seconds.toFixed(0)} s: ${tally.requests} requests, ${
      mib(tally.bytes)
    }, ${tally.wrong} wrong; ` +
    `rss ${mib(now.rss)}, heap ${mib(now.heapUsed)}, ${now.descriptors} descriptors`,
    `  did ${counts(tally.actions)}`,
    `  errors ${counts(tally.errors)}`,
  ].join("\n");
}

/**
 * Runs a soak.
 *
 * @param seconds How long.
 * @param seed The same seed makes the same requests.
 * @param workers How many requests are made at a time.
 * @param print Gets the reports.
 */
export async function soak(
  seconds: number,
  seed: number,
  workers: number,
  print: (text: string) => void,
): Promise<SoakResult> {
  const tally: Tally = {
    requests: 0,
    bytes: 0,
    wrong: 0,
    errors: new Map(),
    actions: new Map(),
    details: [],
  };
  await using server = await Server.start();
  await warmUp(server.ports);
  const before = await settled(0, CLOSE_MS.before);
  const start = performance.now();
  const elapsed = () => performance.now() - start;
  const isOver = () => elapsed() > seconds * 1000;
  const warmUntil = Math.min(seconds * 1000 * WARM_UP.part, WARM_UP.most);
  const samples: Sample[] = [];
  let reported = 0;
  const every = Math.max(SAMPLE_MS, (seconds * 1000 - warmUntil) / SAMPLES);
  const timer = setInterval(() => {
    const now = sample();
    if (elapsed() >= warmUntil) samples.push(now);
    if (elapsed() - reported < REPORT_MS) return;
    reported += REPORT_MS;
    print(report(elapsed() / 1000, tally, now));
  }, every);
  try {
    await Promise.all(
      Array.from(
        { length: workers },
        (_, i) => new Worker(seed * 1000 + i, server.ports, tally).run(isOver),
      ),
    );
  } finally {
    clearInterval(timer);
  }
  const after = await settled(before.descriptors, CLOSE_MS.after);
  print(report(elapsed() / 1000, tally, after));
  const problems = grown(samples);
  if (after.descriptors > before.descriptors) {
    problems.push(`descriptors: ${before.descriptors} before, ${after.descriptors} at the end`);
  }
  if (tally.wrong > 0) problems.push(`${tally.wrong} wrong`, ...tally.details);
  if (samples.length < FEWEST) print("Too short to tell whether memory is flat");
  return { tally, problems };
}

/** What is left when all connections were disposed of: sockets are closed in turns of the event loop. */
async function settled(wanted: number, ms: number): Promise<Sample> {
  const end = performance.now() + ms;
  while (descriptors() > wanted && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return sample();
}

if (import.meta.main) {
  const { problems } = await soak(
    numberOption("seconds", 60),
    numberOption("seed", Date.now() % 1_000_000),
    numberOption("workers", 6),
    (text) => console.log(text),
  );
  for (const problem of problems) console.log(`FAIL ${problem}`);
  console.log(problems.length === 0 ? "Nothing wrong, memory and descriptors flat" : "Failed");
  if (problems.length > 0) Deno.exitCode = 1;
}
