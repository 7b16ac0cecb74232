/**
 * Runs tests on workerd. It cannot listen, so what runs there is what needs no server, and the tour
 * against a server outside.
 *
 * @module
 */
import { join } from "node:path";
import { CA } from "../tls/mod.ts";

/** The parts of a worker's configuration that a run needs. */
export interface Worker {
  /** The folder of its modules, as `pack()` has made it. */
  folder: string;
  /** The source text of the module that answers its requests. */
  entry: string;
  /** Whether the modules of Node are to be had. */
  node: boolean;
}

/** A port that nobody is likely to have: workerd does not tell which one it was given. */
function somePort(): number {
  return 20000 + Math.floor(Math.random() * 12000);
}

/** The paths of all files in a folder, from there. */
function filesIn(folder: string, under = ""): string[] {
  return [...Deno.readDirSync(join(folder, under))].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(folder, join(under, name)) : [join(under, name)]
  );
}

/** The modules that a program needs: code as it is, all else as text, which `/bundle` has as files. */
function modulesOf(folder: string): string {
  return filesIn(folder).filter((path) => /\.(m?js|jsonl|md)$/.test(path)).map((path) => {
    const [name, kind] = [JSON.stringify(path), /\.m?js$/.test(path) ? "esModule" : "text"];
    return `(name = ${name}, ${kind} = embed ${name})`;
  })
    // The first one is the one that is asked.
    .sort((a, b) => Number(b.includes('"entry.mjs"')) - Number(a.includes('"entry.mjs"')))
    .join(",\n    ");
}

/** Runs a worker and asks it once; what it answers, or what workerd printed where that ended. */
export async function askWorkerd({ folder, entry, node }: Worker): Promise<string> {
  const port = somePort();
  await Deno.writeTextFile(join(folder, "entry.mjs"), entry);
  await Deno.writeTextFile(
    join(folder, "config.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "network", network = (
      allow = ["private"],
      tlsOptions = (trustBrowserCas = true, trustedCertificates = [${JSON.stringify(CA)}]),
    )),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    ${modulesOf(folder)}
  ],
  compatibilityDate = "2026-03-01",
  compatibilityFlags = [${node ? '"nodejs_compat"' : ""}],
  globalOutbound = "network",
);
`,
  );
  const command = new Deno.Command("npx", {
    args: ["-y", "workerd", "serve", "config.capnp"],
    cwd: folder,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
    detached: true,
  });
  const child = command.spawn();
  const output = child.output();
  try {
    const ended = output.then(({ stderr }) => new TextDecoder().decode(stderr));
    return await Promise.race([answer(port), ended]);
  } finally {
    try {
      // With what npx has started.
      Deno.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await output;
  }
}

/** Asks until somebody listens. */
async function answer(port: number): Promise<string> {
  for (let i = 0;; i++) {
    try {
      return await (await fetch(`http://127.0.0.1:${port}/`)).text();
    } catch (error) {
      if (i === 300) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
