/**
 * Promise 5: every call settles, and the same object then serves the next request.
 *
 * @module
 */
import { CannotSendRequest, ResponseNotReady } from "../../mod.ts";
import { type CallRecord, type ConnState, type Player, PROBES } from "./player.ts";
import { PLAIN_ANSWER } from "./plan.ts";
import { arrivals, expectedOf } from "./promises.ts";
import type { ReadRecord } from "./reading.ts";
import { responseBody } from "./texts.ts";
import type { Known } from "./world.ts";

/** Calls whose peer has acted or gone away have settled. To be asked when nothing happens any more. */
export function checkPeers(player: Player): void {
  for (const call of player.calls) {
    if (call.status !== "pending") continue;
    const known = call.id === null
      ? call.what === "getresponse" ? expectedOf(player, call) : null
      : player.world.known.get(call.id) ?? null;
    if (known !== null) checkPeer(player, call, known);
  }
  for (const record of player.conns.flatMap((conn) => conn.responses)) {
    const wire = arrivals(player, Number(record.owner))[0]?.wire;
    const pending = record.reads.find((read) => read.status === "pending");
    if (wire !== undefined && wire.endedAt > 0 && pending !== undefined) {
      player.world.fail(
        "promise5/peer",
        `${pending.how} of response ${record.owner} waits, but the server has gone`,
      );
    }
  }
}

function checkPeer(player: Player, call: CallRecord, known: Known): void {
  const { wire } = arrivals(player, known.id)[0] ?? {};
  if (wire === undefined) return;
  const answer = wire.answers.find((answer) => answer.id === known.id);
  const answered = answer !== undefined && answer.headAt > 0;
  if (wire.endedAt > 0 && (!answered || call.what === "getresponse")) {
    player.world.fail(
      "promise5/peer",
      `${call.what} of ${known.id} waits, but the server has gone`,
    );
  } else if (call.what !== "send" && answered) {
    const { status } = answer;
    const stops = known.expect || status >= 400 || status >= 300 && known.answer.close;
    if (stops || call.what === "getresponse") {
      player.world.fail("promise5/answer", `${call.what} of ${known.id} waits, but was answered`);
    }
  }
}

/** Calls that a timeout is to end have settled. To be asked when it has passed. */
export function checkDeadlines(player: Player): void {
  for (const call of player.calls) {
    const conn = player.conns[call.conn];
    if (call.status !== "pending" || conn === undefined || conn.plan.timeout === null) continue;
    const writing = conn.transports.some(({ writing, closes }) => writing > 0 && closes === 0);
    const reading = call.what === "getresponse" && expectedOf(player, call) !== null;
    if (reading || call.what !== "getresponse" && writing) {
      player.world.fail(
        "promise5/deadline",
        `${call.what} ${call.id ?? ""} waits past its timeout`,
      );
    }
  }
  for (const conn of player.conns) {
    if (conn.plan.timeout === null) continue;
    for (const { read, owner } of pendingReads(conn)) {
      player.world.fail("promise5/deadline", `${read.how} of ${owner} waits past its timeout`);
    }
  }
}

function pendingReads(conn: ConnState): { read: ReadRecord; owner: string }[] {
  return conn.responses.flatMap(({ reads, owner }) =>
    reads.filter(({ status }) => status === "pending").map((read) => ({ read, owner }))
  );
}

/** Whether a timeout that was set so short explains an error. */
function timedOut(conn: ConnState, call: CallRecord): boolean {
  return conn.plan.timeout !== null && call.error instanceof Deno.errors.TimedOut;
}

/** The object serves a plain request as it is, unless its state says that another one is at work. */
export async function checkNext(player: Player, conn: ConnState): Promise<void> {
  const id = PROBES + conn.number * 2;
  const { request, get } = await player.probe(conn, id);
  if (request.error instanceof CannotSendRequest) return;
  const unread = conn.responses.some(({ response }) => !response.isclosed());
  if (get !== null && get.error instanceof ResponseNotReady && unread) return;
  await checkProbe(player, conn, id, request, get, "next");
}

/** Once it was closed, the object serves a plain request. */
export async function checkClosed(player: Player, conn: ConnState): Promise<void> {
  player.close(conn, false);
  await player.quiet();
  const id = PROBES + conn.number * 2 + 1;
  const { request, get } = await player.probe(conn, id);
  await checkProbe(player, conn, id, request, get, "closed");
}

async function checkProbe(
  player: Player,
  conn: ConnState,
  id: number,
  request: CallRecord,
  get: CallRecord | null,
  when: string,
): Promise<void> {
  const failed = get ?? request;
  if (timedOut(conn, failed)) return;
  if (failed.status !== "resolved") {
    const how = failed.status === "pending" ? "does not settle" : `fails: ${failed.error}`;
    const at = `connection ${conn.number}, plain request ${id}`;
    return player.world.fail(`promise5/${when}`, `${at}: ${failed.what} ${how}`);
  }
  const record = conn.responses.at(-1)!;
  // Whose it is if it is not its own, promise 1 tells.
  if (record.owner !== String(id)) return;
  const read = player.read(record, "read", 0);
  await player.quiet(() => read.settled > 0);
  if (read.text !== responseBody(id, PLAIN_ANSWER.size) && !(conn.plan.timeout !== null)) {
    player.world.fail(
      `promise5/${when}`,
      `connection ${conn.number}, plain request ${id}: read() ${read.status} ${read.error ?? ""}`,
    );
  }
}

/** After dispose no call is pending. */
export function checkSettled(player: Player): void {
  for (const call of player.calls) {
    if (call.status !== "pending") continue;
    player.world.fail("promise5/settle", `${call.what} ${call.id ?? ""} is pending after dispose`);
  }
  for (const { read, owner } of player.conns.flatMap(pendingReads)) {
    player.world.fail("promise5/settle", `${read.how} of ${owner} is pending after dispose`);
  }
}
