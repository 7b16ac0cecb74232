/**
 * The worker of `ended_reads.ts`; its name is the framing.
 *
 * @module
 */
import { tryAll } from "./ended_reads.ts";

const { name, postMessage } = self as unknown as {
  name: string;
  postMessage(message: unknown): void;
};
await tryAll(name, (told) => postMessage(told));
