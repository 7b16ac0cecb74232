/**
 * Runs the jobs of one client, in Deno or in Node: `worker.mjs CLIENT CONFIG`. Takes a task as a line
 * of JSON, and answers with a line: how long it took and how much CPU of this process, in milliseconds.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";

/** @import { Jobs, Task } from "./jobs.ts" */

/** @param {(task: Task) => Promise<void | number>} job @param {Task} task */
async function measure(job, task) {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const spent = await job(task);
  const wall = spent ?? performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { wall, cpu: (user + system) / 1000 };
}

const [client, config] = process.argv.slice(2);
const { jobsOf } = await import(`./${client}`);
/** @type {Jobs} */
const jobs = await jobsOf(JSON.parse(config));
console.log(JSON.stringify({ jobs: Object.keys(jobs) }));
for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  try {
    console.log(JSON.stringify(await measure(jobs[task.job], task)));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error?.stack ?? error) }));
  }
}
process.exit();
