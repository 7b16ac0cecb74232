/**
 * Runs deno in child processes that are ended with all that they started.
 *
 * @module
 */

/** How a child process ended. */
export interface Outcome {
  /** `null` when it took too long and was killed. */
  code: number | null;
  /** What it printed, errors included. */
  output: string;
  milliseconds: number;
}

const WITH_IMPORT_MAP = ["check", "test"];
const IMPORT_MAP = "tests/std_offline/import_map.json";

const running = new Set<number>();

/** Ends a child process and its children: it leads a process group of its own. */
function kill(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      Deno.kill(target, "SIGKILL");
      return;
    } catch {
      // It has ended already, or the system has no groups.
    }
  }
}

/** Ends all that still run. */
export function killAll(): void {
  for (const pid of running) kill(pid);
}

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream as BodyInit).text();
}

/**
 * Runs a deno command, with the `@std` packages from where `STD_FROM` says.
 *
 * @param folder The folder to run it in
 * @param args The subcommand and its arguments
 * @param limit How long it may take, in milliseconds
 * @returns How it ended
 */
export async function runDeno(folder: string, args: string[], limit = Infinity): Promise<Outcome> {
  const [command, ...rest] = args;
  const mapped = Deno.env.get("STD_FROM") === "stand_ins" && WITH_IMPORT_MAP.includes(command);
  const began = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [command, ...(mapped ? [`--import-map=${IMPORT_MAP}`] : []), ...rest],
    cwd: folder,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  running.add(child.pid);
  let late = false;
  const timer = limit === Infinity ? undefined : setTimeout(() => {
    late = true;
    kill(child.pid);
  }, limit);
  const [out, errors, { code }] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    child.status,
  ]);
  clearTimeout(timer);
  running.delete(child.pid);
  const milliseconds = Math.round(performance.now() - began);
  return { code: late ? null : code, output: out + errors, milliseconds };
}
