/**
 * What a run was measured on.
 *
 * @module
 */
import { cpus, release, totalmem } from "node:os";

/** The machine, without its name; `placed` says whether processes are kept to a processor. */
export function machine(placed: boolean): Record<string, string> {
  const all = cpus();
  return {
    Processor: all[0]?.model.trim() || Deno.build.arch,
    Cores: String(navigator.hardwareConcurrency),
    Memory: `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    System: `${Deno.build.os} ${release()}, ${Deno.build.arch}`,
    Network: "loopback",
    Placement: placed
      ? "server on the last processor, clients on the first (but for uploads)"
      : "the system's",
  };
}
