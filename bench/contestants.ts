/**
 * Who takes part: which runtimes are installed, and how the process of a client is started.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { stdFrom } from "../tests/std_offline/run.ts";
import type { Config, Task } from "./clients/jobs.ts";
import { type Place, placed } from "./cores.ts";
import type { Client } from "./figures.ts";
import { LineChild } from "./line_child.ts";

const UNDICI = "npm:undici@7";
const WORKER = fileURLToPath(import.meta.resolve("./clients/worker.mjs"));
const PYTHON = fileURLToPath(import.meta.resolve("./clients/python.py"));
const IMPORT_MAP = fileURLToPath(import.meta.resolve("../tests/std_offline/import_map.json"));

/** What is installed. */
export interface Installed {
  /** The clients that can take part. */
  clients: Client[];
  /** The versions of what they run on. */
  versions: Record<string, string>;
  /** What is missing. */
  notes: string[];
  /** The programs. */
  python: string | null;
  /** Where undici is, as a file. */
  undici: string | null;
}

async function output(command: string, ...args: string[]): Promise<string | null> {
  try {
    const options = { args, stdin: "null", stderr: "null" } as const;
    const { success, stdout } = await new Deno.Command(command, options).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch {
    return null;
  }
}

/** The newest Python on `PATH`, or among pyenv's. */
async function newestPython(): Promise<[program: string, version: string] | null> {
  const names = ["python3", ...Array.from({ length: 8 }, (_, i) => `python3.${i + 10}`)];
  const folder = `${Deno.env.get("PYENV_ROOT") ?? `${Deno.env.get("HOME")}/.pyenv`}/versions`;
  try {
    for (const { name } of Deno.readDirSync(folder)) names.push(`${folder}/${name}/bin/python3`);
  } catch {
    // No pyenv.
  }
  const ask = "import platform; print(platform.python_version())";
  let best: [string, string] | null = null;
  for (const name of names) {
    const version = await output(name, "-c", ask);
    if (version !== null && (best === null || newer(version, best[1]))) best = [name, version];
  }
  return best;
}

function newer(a: string, b: string): boolean {
  return a.localeCompare(b, "en", { numeric: true }) > 0;
}

/** Fetches undici where it is not in the cache yet, and says where it is. */
async function findUndici(): Promise<[path: string, version: string] | null> {
  const text = await output(Deno.execPath(), "info", "--json", UNDICI);
  if (text === null) return null;
  const { npmPackages } = JSON.parse(text) as {
    npmPackages?: Record<string, { name: string; version: string; localPath: string }>;
  };
  const found = Object.values(npmPackages ?? {}).find(({ name }) => name === "undici");
  return found ? [`${found.localPath}/index.js`, found.version] : null;
}

/** Looks for the runtimes. */
export async function findInstalled(): Promise<Installed> {
  const [python, undici, node] = await Promise.all([
    newestPython(),
    findUndici(),
    output("node", "--version"),
  ]);
  // Deno runs itself where a program `node` is asked for and not there.
  const nodeVersion = /^v(\d+\.\S+)$/.exec(node ?? "")?.[1];
  const clients: Client[] = ["ours", "raw", "paid", "fetch", "node"];
  const { deno, v8 } = Deno.version;
  const versions: Record<string, string> = { Deno: `${deno} (V8 ${v8})` };
  const notes: string[] = [];
  if (undici === null) notes.push("undici could not be fetched: left out");
  else {
    clients.push("undici");
    versions.undici = undici[1];
    if (nodeVersion === undefined) notes.push("Node is not installed: left out");
    else clients.push("undiciNode");
  }
  if (nodeVersion !== undefined) versions.Node = nodeVersion;
  if (python === null) notes.push("CPython is not installed: left out");
  else {
    clients.push("python");
    versions.CPython = python[1];
  }
  return { clients, versions, notes, python: python?.[0] ?? null, undici: undici?.[0] ?? null };
}

let source: ReturnType<typeof stdFrom> | undefined;

/** The arguments of `deno run` for a script that may import this library. */
export async function runArgs(...flags: string[]): Promise<string[]> {
  const mapped = await (source ??= stdFrom()) === "stand_ins" ? [`--import-map=${IMPORT_MAP}`] : [];
  return ["run", "-A", "--no-check", ...mapped, ...flags];
}

/** What a job took, in milliseconds. */
export interface Sample {
  wall: number;
  cpu: number;
}

/** A client in a process of its own. */
export class Contestant implements AsyncDisposable {
  readonly client: Client;
  #child: LineChild;

  private constructor(client: Client, child: LineChild) {
    this.client = client;
    this.#child = child;
  }

  /**
   * Starts the process of a client.
   *
   * @param place Where it runs.
   * @param flags For a client on Deno.
   */
  static async start(
    client: Client,
    installed: Installed,
    config: Config,
    place: Place,
    ...flags: string[]
  ): Promise<Contestant> {
    const told = JSON.stringify(config);
    const [command, args]: [string, string[]] = client === "python"
      ? [installed.python!, [PYTHON, told]]
      : client === "undiciNode"
      ? ["node", [WORKER, "undici.mjs", told]]
      : [Deno.execPath(), [...await runArgs(...flags), WORKER, MODULES[client], told]];
    const child = new LineChild(client, ...await placed(place, command, args));
    await child.line();
    return new Contestant(client, child);
  }

  /** Does a job. */
  async run(task: Task): Promise<Sample> {
    const answer = JSON.parse(await this.#child.ask(JSON.stringify(task)));
    if (answer.error) throw new Error(`${this.client}, ${JSON.stringify(task)}: ${answer.error}`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

const MODULES: Record<Exclude<Client, "python" | "undiciNode">, string> = {
  ours: "http_client.ts",
  raw: "raw.ts",
  paid: "raw.ts",
  fetch: "fetch.ts",
  node: "node_http.ts",
  undici: "undici.mjs",
};
