/**
 * The model of what the library promises: it plays a case, and says which promises were broken.
 *
 * @module
 */
import type { Case } from "./plan.ts";
import { Player } from "./player.ts";
import { checkComplete, PROMISES } from "./promises.ts";
import {
  checkClosed,
  checkDeadlines,
  checkDue,
  checkNext,
  checkPeers,
  checkSettled,
} from "./settling.ts";
import type { Finding } from "./world.ts";

/** What a case came to. */
export interface Outcome {
  findings: Finding[];
  /** How many calls were made. */
  calls: number;
  /** What happened, line by line. */
  story: string[];
}

/** Plays a case, and checks all promises. */
export async function runCase(plan: Case): Promise<Outcome> {
  const player = new Player(plan);
  const { world } = player;
  await player.play();
  await player.quiet();
  await checkDue(player, checkPeers);
  checkComplete(player);
  await passDeadlines(player, plan);
  world.tell("from here on nothing goes wrong any more");
  world.healthy = true;
  for (const wire of world.wires) wire.heal();
  world.releaseAll();
  await player.quiet();
  for (const conn of player.conns) await checkNext(player, conn);
  for (const conn of player.conns) await checkClosed(player, conn);
  world.tell("dispose");
  for (const conn of player.conns) player.close(conn, true);
  world.releaseAll();
  await player.quiet();
  await checkDue(player, checkSettled);
  // That a connection was closed may reach the other side late on a busy machine.
  if (!player.conns.some(({ replaced }) => replaced)) await player.server?.untilClosed(2000);
  for (const check of Object.values(PROMISES)) check(player);
  await player.end();
  const reads = player.conns.flatMap((conn) => conn.responses).flatMap(({ reads }) => reads);
  return {
    findings: world.findings,
    calls: player.calls.length + reads.length,
    story: world.story,
  };
}

/** Lets the timeouts of the case pass, if a call may wait for one. */
async function passDeadlines(player: Player, plan: Case): Promise<void> {
  const seconds = Math.max(0, ...plan.conns.map((conn) => conn.timeout ?? 0));
  const reads = player.conns.flatMap((conn) => conn.responses).flatMap(({ reads }) => reads);
  const waiting = [...player.calls, ...reads].some(({ status }) => status === "pending");
  if (seconds === 0 || !waiting) return;
  await player.rest(seconds * 2000 + 30);
  await player.quiet();
  await checkDue(player, checkDeadlines);
}
