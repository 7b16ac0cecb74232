/**
 * What `worker_test.ts` runs in a process, or a worker, that may use the net and nothing else: each way
 * to make a request. The certificates come with the job, as files cannot be read.
 *
 * `deno run --allow-net worker_net_only.ts JOB` does the job in this process;
 * `deno run -A --unstable-worker-options worker_net_only.ts JOB worker` does it in a worker.
 *
 * @module
 */
import { HTTPConnection, type HTTPConnectionOptions, HTTPSConnection } from "../../mod.ts";

/** Where the servers are, and what to trust. */
export interface Job {
  /** The port of a server on 127.0.0.1. */
  port: number;
  /** The port of a TLS server there, for `localhost`. */
  tlsPort: number;
  /** The port of a proxy there. */
  proxyPort: number;
  ca: string;
  cert: string;
  key: string;
}

/** What came of each way, by its name: the body of the response, or the error. */
export type Report = Record<string, string>;

/** The permissions that there are, but for the net. */
const NAMES = ["read", "write", "env", "sys", "run", "ffi"] as const;

/** The ways to make a request. */
function ways(job: Job): Record<string, () => HTTPConnection> {
  const { port, tlsPort, proxyPort } = job;
  const context = { caCerts: [job.ca] };
  const source: HTTPConnectionOptions = { source_address: ["127.0.0.5", 0] };
  const tls = (options: object) => new HTTPSConnection("localhost", tlsPort, options);
  return {
    "HTTP": () => new HTTPConnection("127.0.0.1", port),
    "HTTP by name": () => new HTTPConnection("localhost", port),
    "HTTP with source_address": () => new HTTPConnection("127.0.0.1", port, source),
    "HTTP with a timeout": () => new HTTPConnection("127.0.0.1", port, { timeout: 60 }),
    "HTTPS": () => tls({ context }),
    "HTTPS with source_address": () => tls({ context, ...source }),
    "HTTPS with a client certificate": () =>
      tls({ context: { ...context, cert: job.cert, key: job.key } }),
    "HTTPS without verification": () => tls({ context: { verify_mode: "CERT_NONE" } }),
    "HTTPS over a transport": () =>
      tls({ context, transport: () => Deno.connect({ port: tlsPort }) }),
    "HTTPS through a tunnel": () => {
      const conn = new HTTPSConnection("127.0.0.1", proxyPort, { context });
      conn.set_tunnel("localhost", tlsPort);
      return conn;
    },
  };
}

async function exchange(make: () => HTTPConnection): Promise<string> {
  try {
    using conn = make();
    await conn.request("POST", "/", ["a ", "body"]);
    return await (await conn.getresponse()).text();
  } catch (error) {
    return String(error);
  }
}

async function work(job: Job): Promise<Report> {
  const report: Report = {};
  for (const [name, make] of Object.entries(ways(job))) report[name] = await exchange(make);
  const states = await Promise.all(NAMES.map((name) => Deno.permissions.query({ name })));
  report.granted = NAMES.filter((_, i) => states[i].state === "granted").join(" ");
  return report;
}

/** Does the job in a worker that may use the net only. */
function workInWorker(job: Job): Promise<Report> {
  const permissions: Record<string, boolean> = { net: true, import: false };
  for (const name of NAMES) permissions[name] = false;
  const options = { type: "module", deno: { permissions } } as WorkerOptions;
  const worker = new Worker(import.meta.url, options);
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      resolve(data);
      worker.terminate();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.postMessage(job);
  });
}

if ("WorkerGlobalScope" in globalThis) {
  const scope = globalThis as unknown as Pick<Worker, "onmessage" | "postMessage">;
  scope.onmessage = async ({ data }) => scope.postMessage(await work(data));
} else if (import.meta.main) {
  const job: Job = JSON.parse(Deno.args[0]);
  console.log(JSON.stringify(await (Deno.args[1] === "worker" ? workInWorker(job) : work(job))));
}
