/**
 * Permissions: the library needs the net and nothing else, asks for nothing when it is imported, and
 * runs in a worker that has no more than that, as edge code does.
 *
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { ok } from "../helpers/fake_transport.ts";
import { tunnelTo } from "../helpers/relay.ts";
import { latin1, type Peer, startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA, CLIENT } from "../tls/mod.ts";
import type { Job, Report } from "./worker_net_only.ts";

const SCRIPT = new URL("./worker_net_only.ts", import.meta.url);
const MOD = new URL("../../mod.ts", import.meta.url);

/** Where the `@std` packages come from here, they come from there too. */
const CONFIG = import.meta.resolve("@std/assert").startsWith("file:")
  ? ["--no-config", `--import-map=${new URL("../std_offline/import_map.json", import.meta.url)}`]
  : [`--config=${fileURLToPath(new URL("../../deno.json", import.meta.url))}`];

/** Runs a script with these permissions; what it wants more is denied, not asked for. */
async function run(
  flags: string[],
  script: URL | string,
  ...args: string[]
): Promise<{ success: boolean; stdout: string; stderr: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...CONFIG, ...flags, `${script}`, ...args],
    stdin: "null",
  }).output();
  return { success, stdout: latin1(stdout), stderr: latin1(stderr) };
}

async function answer(peer: Peer): Promise<void> {
  const { body } = await peer.readRequest();
  await peer.send(ok(latin1(body)));
}

/** Runs the script's job with these permissions. */
async function report(flags: string[], ...args: string[]): Promise<Report> {
  await using server = await startRaw(answer);
  await using tls = await startRawTls(answer);
  await using proxy = await startRaw(tunnelTo(tls.port));
  const job: Job = {
    port: server.port,
    tlsPort: tls.port,
    proxyPort: proxy.port,
    ca: CA,
    ...CLIENT,
  };
  const { success, stdout, stderr } = await run(flags, SCRIPT, JSON.stringify(job), ...args);
  if (!success) throw new Error(stderr);
  return JSON.parse(stdout);
}

const WAYS = [
  "HTTP",
  "HTTP by name",
  "HTTP with source_address",
  "HTTP with a timeout",
  "HTTPS",
  "HTTPS with source_address",
  "HTTPS with a client certificate",
  "HTTPS without verification",
  "HTTPS over a transport",
  "HTTPS through a tunnel",
];

const PLACES: [place: string, report: () => Promise<Report>][] = [
  ["process", () => report(["--allow-net"])],
  // Only the process that starts the worker needs more.
  ["worker", () => report(["-A", "--unstable-worker-options"], "worker")],
];

for (const [place, start] of PLACES) {
  let running: Promise<Report> | undefined;

  Deno.test(`worker_net_only.ts has the net and nothing else when it runs in a ${place}`, async () => {
    running ??= start();
    assertEquals((await running).granted, "");
  });

  for (const way of WAYS) {
    Deno.test(`HTTPConnection needs the net and nothing else for ${way}, in a ${place}`, async () => {
      running ??= start();
      assertEquals((await running)[way], "a body");
    });
  }
}

for (
  const [title, host, options, expected] of [
    ["answers when host and port are allowed", "127.0.0.1", {}, "200"],
    ["throws NotCapable when the host is another", "127.0.0.2", {}, "NotCapable"],
    ["throws NotCapable when the host is another and there is a source_address", "127.0.0.2", {
      source_address: ["127.0.0.1", 0],
    }, "NotCapable"],
    // Deno wants the net for the source address too.
    ["throws NotCapable when the source_address is not allowed", "127.0.0.1", {
      source_address: ["127.0.0.1", 0],
    }, "NotCapable"],
  ] as const
) {
  Deno.test(`HTTPConnection ${title}`, async () => {
    await using server = await startRaw(answer);
    const code = `
      import { HTTPConnection } from ${JSON.stringify(MOD)};
      try {
        using conn = new HTTPConnection("${host}", ${server.port}, ${JSON.stringify(options)});
        await conn.request("GET", "/");
        console.log((await conn.getresponse()).status);
      } catch (error) {
        console.log(error.name);
      }`;
    const { stdout, stderr } = await run(
      [`--allow-net=127.0.0.1:${server.port}`],
      `data:application/javascript,${encodeURIComponent(code)}`,
    );
    assertEquals(stdout, `${expected}\n`, stderr);
  });
}

Deno.test("mod.ts and the constructors need no permission", async () => {
  const code = `
    const { HTTPConnection, HTTPSConnection } = await import(${JSON.stringify(MOD)});
    new HTTPConnection("example.com", { source_address: ["127.0.0.5", 0], timeout: 5 });
    new HTTPSConnection("example.com").set_tunnel("origin");
    console.log("done");`;
  const { stdout, stderr } = await run(
    [],
    `data:application/javascript,${encodeURIComponent(code)}`,
  );
  assertEquals([stdout, stderr], ["done\n", ""]);
});

Deno.test("mod.ts leaves the globals as they were, and the process free to end", async () => {
  const code = `
    const shape = () => [globalThis, ...Object.getOwnPropertyNames(globalThis)
      .map((name) => globalThis[name]?.prototype).filter((value) => value)]
      .map((value) => Reflect.ownKeys(value).length).join();
    const before = shape();
    await import(${JSON.stringify(MOD)});
    console.log(before === shape());`;
  const { success, stdout, stderr } = await run(
    [],
    `data:application/javascript,${encodeURIComponent(code)}`,
  );
  assertEquals([success, stdout], [true, "true\n"], stderr);
});

Deno.test("request() throws NotCapable without the net, and asks for nothing else", async () => {
  const code = `
    import { HTTPConnection } from ${JSON.stringify(MOD)};
    await new HTTPConnection("127.0.0.1", 1).request("GET", "/");`;
  const { success, stderr } = await run(
    [],
    `data:application/javascript,${encodeURIComponent(code)}`,
  );
  assertEquals(success, false);
  assertStringIncludes(stderr, "NotCapable");
});
