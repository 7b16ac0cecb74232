/**
 * Promise 5: every call settles, and the same object then serves the next request.
 *
 * @module
 */
import { CannotSendRequest, ResponseNotReady } from "../../mod.ts";
import {
  type CallRecord,
  type ConnState,
  type Player,
  PROBES,
  type ResponseRecord,
} from "./player.ts";
import { PLAIN_ANSWER } from "./plan.ts";
import { arrivals, expectedOf, isConfusing } from "./promises.ts";
import type { ReadRecord } from "./reading.ts";
import { responseBody } from "./texts.ts";
import type { Known, World } from "./world.ts";

/** What a check found: a function of the state, so that it can be asked again a while later. */
type Check = (player: Player, fail: World["fail"]) => void;

/** How long a machine with much to do may take for what is due, in milliseconds. */
const GRACE = 150;

/** Checks what must have settled by now; what has not gets some time more before it counts. */
export async function checkDue(player: Player, check: Check): Promise<void> {
  let due = 0;
  check(player, () => due++);
  if (due === 0) return;
  await player.rest(GRACE);
  await player.quiet();
  check(player, (rule, message) => player.world.fail(rule, message));
}

/** Calls whose peer has acted or gone away have settled. To be asked when nothing happens any more. */
export function checkPeers(player: Player, report: World["fail"]): void {
  for (const call of player.calls) {
    if (call.status !== "pending") continue;
    checkEnded(player, call, report);
    const known = call.id === null
      ? call.what === "getresponse" ? expectedOf(player, call) : null
      : player.world.known.get(call.id) ?? null;
    if (known !== null) checkPeer(player, call, known, report);
  }
  for (const record of player.conns.flatMap((conn) => conn.responses)) {
    const pending = record.reads.find((read) => read.status === "pending");
    if (pending !== undefined) checkRead(player, record, pending, report);
  }
}

function checkRead(
  player: Player,
  record: ResponseRecord,
  read: ReadRecord,
  report: World["fail"],
): void {
  const { owner, call } = record;
  const wire = arrivals(player, Number(owner))[0]?.wire;
  const signal = player.world.known.get(Number(owner))?.signal ?? null;
  const fail = (rule: string, why: string) =>
    report(`promise5/${rule}`, `${read.how} of response ${owner} waits, but ${why}`);
  if (record.closed) fail("close", "the response was closed");
  else if (player.conns[record.conn].disposed > call.called) fail("close", "all was disposed of");
  else if (player.aborted(signal) || player.aborted(call.signal)) {
    fail("abort", "its signal was aborted");
  } else if (wire !== undefined && wire.endedAt > 0) fail("peer", "the server has gone");
}

/** Calls that `close()` or a signal is to end have settled. */
function checkEnded(player: Player, call: CallRecord, report: World["fail"]): void {
  const conn = player.conns[call.conn];
  if (conn === undefined) return;
  const fail = (rule: string, why: string) =>
    report(`promise5/${rule}`, `${call.what} ${call.id ?? ""} waits, but ${why}`);
  if (conn.closes.some((close) => close > call.called)) fail("close", "close() was called");
  else if (player.aborted(call.signal)) fail("abort", "its signal was aborted");
  else if (conn.sockSet > call.called && conn.responses.length === 0 && call.what !== "connect") {
    // A subclass's own connect() is waited for: what it sets is what the request goes out on.
    if (conn.plan.way !== "subclass") fail("sock", "sock was set to another");
  }
}

function checkPeer(
  player: Player,
  call: CallRecord,
  known: Known,
  report: World["fail"],
): void {
  const { wire } = arrivals(player, known.id)[0] ?? {};
  if (wire === undefined) return;
  const answer = wire.answers.find((answer) => answer.id === known.id);
  const answered = answer !== undefined && answer.headAt > 0;
  // What came unasked may have been taken for the answer, as long as nothing of the request was out.
  const isConfused = isConfusing(player, wire);
  const isAnswered = answered || isConfused;
  if (wire.endedAt > 0 && (!isAnswered || call.what === "getresponse")) {
    report(
      "promise5/peer",
      `${call.what} of ${known.id} waits, but the server has gone`,
    );
  } else if (call.what !== "send" && answered) {
    const { status } = answer;
    const { interim, when } = known.answer;
    const refused = known.expect && when === "head" && !interim.includes(100);
    const stops = refused || status >= 400 || status >= 300 && known.answer.close;
    if (call.what === "getresponse" || stops && !isConfused) {
      report("promise5/answer", `${call.what} of ${known.id} waits, but was answered`);
    }
  }
}

/** Calls that a timeout is to end have settled. To be asked when it has passed. */
export function checkDeadlines(player: Player, report: World["fail"]): void {
  for (const call of player.calls) {
    const conn = player.conns[call.conn];
    if (call.status !== "pending" || conn === undefined || conn.plan.timeout === null) continue;
    const open = conn.transports.filter(({ closes }) => closes === 0);
    const writing = open.length === 1 && open[0].writing > 0;
    const reading = call.what === "getresponse" && isSent(player, expectedOf(player, call));
    if (reading || call.what !== "getresponse" && writing) {
      report(
        `promise5/deadline-${reading ? "head" : "write"}`,
        `${call.what} ${call.id ?? ""} waits past its timeout`,
      );
    }
  }
  for (const conn of player.conns) {
    if (conn.plan.timeout === null) continue;
    for (const { read, owner } of pendingReads(conn)) {
      report("promise5/deadline-body", `${read.how} of ${owner} waits past its timeout`);
    }
  }
}

/** Whether all of a request was sent, so that only its answer is waited for. */
function isSent(player: Player, known: Known | null): boolean {
  if (known === null) return false;
  return arrivals(player, known.id).some(({ request }) => request.whole);
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
  // The other one may be over by the time that the refusal is looked at.
  const wasBusy = isBusy(player, conn);
  const { request, get } = await player.probe(conn, id);
  if (request.error instanceof CannotSendRequest) {
    if (!wasBusy && !isBusy(player, conn)) {
      player.world.fail(
        "promise5/next-refused",
        `connection ${conn.number}, plain request ${id}: ${request.error}, but no other is at work`,
      );
    }
    return;
  }
  const unread = conn.responses.some(({ response }) => !response.isclosed());
  if (get !== null && get.error instanceof ResponseNotReady && unread) return;
  await checkProbe(player, conn, id, request, get, "next");
}

/** Whether a request on the object may be at work, so that another is refused. */
function isBusy(player: Player, conn: ConnState): boolean {
  const own = (call: CallRecord) => call.conn === conn.number;
  const delivered = new Set(conn.responses.map(({ owner }) => owner));
  const failed = new Set(
    player.calls
      .filter((call) => own(call) && call.what === "getresponse" && call.status === "rejected")
      .filter((call) => !(call.error instanceof ResponseNotReady))
      .map((call) => expectedOf(player, call)?.id),
  );
  const open = [...player.world.known.values()].some((known) =>
    known.conn === conn.number && known.id < PROBES && known.outcome !== "rejected" &&
    !delivered.has(String(known.id)) && !failed.has(known.id) &&
    !conn.closes.some((close) => close > known.called)
  );
  return open || player.calls.some((call) => own(call) && (call.status === "pending" || call.lost));
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
    const stuck = failed.error instanceof ResponseNotReady ? "-stuck" : "";
    return player.world.fail(`promise5/${when}${stuck}`, `${at}: ${failed.what} ${how}`);
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
export function checkSettled(player: Player, report: World["fail"]): void {
  for (const call of player.calls) {
    if (call.status !== "pending") continue;
    report("promise5/settle", `${call.what} ${call.id ?? ""} is pending after dispose`);
  }
  for (const { read, owner } of player.conns.flatMap(pendingReads)) {
    report("promise5/settle", `${read.how} of ${owner} is pending after dispose`);
  }
}
