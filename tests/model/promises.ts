/**
 * The promises of an exchange, as checks of what was recorded while a case was played.
 *
 * @module
 */
import { CannotSendRequest, ImproperConnectionState } from "../../mod.ts";
import type { CallRecord, ConnState, Player, ResponseRecord } from "./player.ts";
import type { Received } from "./parser.ts";
import type { ReadRecord } from "./reading.ts";
import { responseBody } from "./texts.ts";
import { type Answer, shown, type Wire } from "./wire.ts";
import type { Known } from "./world.ts";

/** A request of the library's, unlike those that the bodies contain. */
const REAL_REQUEST = /(?:[A-Z]+) (?:\/\d+|c\d+\.example:443) HTTP\/1\.1\r\n/;

/** How much earlier than the request something must have come over TCP to count as being there, in ms. */
const ARRIVED_BEFORE = 20;

/** What is known of an exchange when an error comes out of it. */
interface Facts {
  retrySafe?: unknown;
  requestBytesSent?: unknown;
}

/** Where a request arrived, if it did. */
export function arrivals(player: Player, id: number): { wire: Wire; request: Received }[] {
  return player.world.wires.flatMap((wire) =>
    wire.parser.requests
      .filter((request) => request.id === id)
      .map((request) => ({ wire, request }))
  );
}

/** The request whose response a call of `getresponse()` is to give; `null` where that cannot be told. */
export function expectedOf(player: Player, call: CallRecord): Known | null {
  const before = [...player.world.known.values()]
    .filter((known) => known.conn === call.conn && known.called < call.called)
    .sort((a, b) => b.called - a.called);
  for (const known of before) {
    const sent = arrivals(player, known.id).length > 0 || isAtWork(player, known, call.called);
    if (sent || known.outcome === "pending" || known.outcome === "resolved") return known;
    if (known.outcome === "unknown") return null;
  }
  return null;
}

/** Whether the call that sends a request had not ended yet at that time, and was not refused. */
function isAtWork(player: Player, known: Known, clock: number): boolean {
  return player.calls.some(({ called, error, id, settled, what }) =>
    id === known.id && (what === "request" || what === "end") && called < clock &&
    settled > clock && !(error instanceof CannotSendRequest)
  );
}

/** An answer is delivered to its request or to nobody. */
function promise1(player: Player): void {
  const { world } = player;
  const owners = new Set<string>();
  for (const record of player.conns.flatMap((conn) => conn.responses)) {
    const { owner, call } = record;
    const known = expectedOf(player, call);
    const wanted = known === null ? "no request" : `request ${known.id}`;
    if (owner.startsWith("push-")) checkPush(player, record, known);
    else if (!/^\d+$/.test(owner)) {
      world.fail("promise1/not-a-response", `${wanted} got ${owner} for its response`);
    } else if (owners.has(owner)) {
      world.fail("promise1/twice", `the response to ${owner} was delivered twice`);
    } else if (known !== null && owner !== String(known.id) && !isConfused(player, owner)) {
      world.fail("promise1/wrong", `${wanted} got the response to request ${owner}`);
    }
    owners.add(owner);
  }
  for (const wire of world.wires) checkUnread(player, wire);
}

/**
 * Whether something unasked came on a connection after a request was called, and before the head of its
 * answer: the client cannot tell that from the answer, nor the answer from that to the next request.
 */
export function isConfusing(player: Player, wire: Wire): boolean {
  const pushes = player.world.pushes.filter((push) => push.wire === wire.number);
  return pushes.some((push) =>
    wire.parser.requests.some(({ id, first }) => {
      const known = id === null ? undefined : player.world.known.get(id);
      if (known === undefined || cameBefore(player, push, known)) return false;
      const headAt = wire.answers.find((answer) => answer.id === id)?.headAt ?? 0;
      return push.clock < first || headAt === 0 || push.clock < headAt;
    })
  );
}

/** Whether the answer to a request came over a connection on which answers cannot be told apart. */
function isConfused(player: Player, owner: string): boolean {
  return arrivals(player, Number(owner)).some(({ wire }) => isConfusing(player, wire));
}

/**
 * Where nobody looks at the request that was made last before a call, so that it may have been refused: the
 * last one that was not.
 */
function unlooked(player: Player, { conn, called }: CallRecord): Known | null {
  const before = [...player.world.known.values()]
    .filter((known) => known.conn === conn && known.called < called)
    .sort((a, b) => b.called - a.called);
  // Those that were refused, as far as is known, never were out.
  const made = before.filter(({ id, outcome }) => {
    return outcome !== "rejected" || arrivals(player, id).length > 0;
  });
  if (made[0]?.outcome !== "unknown") return null;
  const isOut = ({ id, outcome }: Known) =>
    outcome !== "unknown" || arrivals(player, id).length > 0;
  // Where none is known to be out, the first of them was not refused.
  return made.find(isOut) ?? made.at(-1)!;
}

function checkPush(player: Player, { call, owner }: ResponseRecord, expected: Known | null): void {
  const push = player.world.pushes[Number(owner.slice(5))];
  const known = expected ?? unlooked(player, call);
  if (known !== null && !cameBefore(player, push, known)) return;
  const wanted = known === null ? "no request" : `request ${known.id}`;
  player.world.fail("promise1/unasked", `${wanted} got ${owner}, which was there before it`);
}

/** Whether something had come when a request was called. */
function cameBefore(player: Player, what: { clock: number; time: number }, known: Known): boolean {
  return player.server === null
    ? what.clock < known.called
    : what.time < known.calledTime - ARRIVED_BEFORE;
}

/** Bytes had arrived that were nobody's, and a request went out all the same. */
function checkUnread(player: Player, wire: Wire): void {
  if (player.server !== null) return;
  for (const { id, behind, first } of wire.parser.requests) {
    const known = id === null ? undefined : player.world.known.get(id);
    if (known === undefined || behind === 0) continue;
    const complete = wire.answers.every((answer) => answer.id === id || answer.wholeAt > 0);
    const pushes = player.world.pushes.filter((push) => push.wire === wire.number);
    // What came while the request looked for its connection may have come too late to be seen.
    const late = pushes.some((push) => known.called <= push.clock && push.clock < first);
    if (!complete || late) continue;
    player.world.fail(
      pushes.length > 0 ? "promise1/unread" : "promise3/unread",
      `request ${id} went out on wire ${wire.number} at ${first} behind ${behind} bytes that had come`,
    );
  }
}

/** What goes over a connection is a sequence of whole requests in call order. */
function promise2(player: Player): void {
  for (const wire of player.world.wires) {
    let last = 0;
    for (const request of wire.parser.requests) {
      const known = request.id === null ? undefined : player.world.known.get(request.id);
      if (known === undefined) continue;
      if (known.called < last) {
        player.world.fail("promise2/order", `wire ${wire.number}: ${known.id} came out of order`);
      }
      last = known.called;
      checkBody(player, wire, request, known);
    }
  }
}

function checkBody(player: Player, wire: Wire, request: Received, known: Known): void {
  const at = `wire ${wire.number}, request ${known.id}`;
  const { body, whole } = request;
  const matched = known.steps ? matchParts(body, known.parts) : matchStart(body, known.parts);
  // What is sent while a declared length is not reached completes the body, whatever it was meant for.
  const completes = known.steps && known.framed && /^<?r?a?w?(\.|$)/.test(body.slice(matched));
  if (matched < body.length && !completes) {
    const wrong = shown(body.slice(matched));
    player.world.fail("promise2/body", `${at}: its body goes on at ${matched} as ${wrong}`);
  }
  const full = known.parts.join("");
  const told = known.outcome === "resolved" && !known.steps && known.odd === "none";
  if (told && !mayStop(player, wire, known) && (!whole || body !== full)) {
    const early = known.answer.when === "whole" ? "short" : "early";
    player.world.fail(
      `promise2/${known.declared ? "declared" : early}`,
      `${at}: request() resolved, but ${body.length} of ${full.length} bytes were sent` +
        (whole ? "" : ", and the framing is not complete"),
    );
  }
}

/** Whether the server's answer stops an upload. */
function mayStop(player: Player, wire: Wire, known: Known): boolean {
  const answer = wire.answers.find((answer) => answer.id === known.id);
  if (wire.endedAt > 0 || isConfusing(player, wire)) return true;
  return answer !== undefined && stops(known, answer);
}

function stops(known: Known, { status, last }: Answer): boolean {
  // Once the server has said 100, an answer stops the body or not as any other.
  const { interim, when } = known.answer;
  const refused = known.expect && when === "head" && !interim.includes(100);
  return refused || status >= 400 || status >= 300 && last;
}

function matchStart(body: string, parts: string[]): number {
  const full = parts.join("");
  let at = 0;
  while (at < body.length && at < full.length && body[at] === full[at]) at++;
  return at;
}

/** Parts that are sent whole, in order, or left out; only the last may be cut. */
function matchParts(body: string, parts: string[]): number {
  let at = 0;
  for (const part of parts) {
    if (body.startsWith(part, at)) at += part.length;
    else if (at < body.length && part.startsWith(body.slice(at))) return body.length;
  }
  return at;
}

/** Nothing follows on a connection after its end, a cut, broken framing, or a switch. */
function promise3(player: Player): void {
  for (const wire of player.world.wires) {
    const { requests, raw } = wire.parser;
    requests.forEach((request, i) => {
      if (i > 0) checkFollows(player, wire, requests[i - 1], request);
      checkClosed(player, wire, request);
    });
    const behind = REAL_REQUEST.exec(raw);
    if (behind !== null) {
      player.world.fail(
        "promise3/raw",
        `wire ${wire.number}: behind raw bytes: ${behind[0].trim()}`,
      );
    }
  }
}

function checkFollows(player: Player, wire: Wire, before: Received, request: Received): void {
  if (before.id === null || request.id === null) return;
  const known = player.world.known.get(before.id);
  const answer = wire.answers.find((answer) => answer.id === before.id);
  const fail = (what: string, why: string) =>
    player.world.fail(
      `promise3/${what}`,
      `wire ${wire.number}: request ${request.id} follows request ${before.id}, ${why}`,
    );
  if (known?.close) fail("asked", "which said close");
  else if (answer?.last && answer.headAt > 0 && answer.headAt < request.first) {
    fail("last", "whose answer was the last one");
  } else if (answer === undefined || answer.wholeAt === 0 || answer.wholeAt > request.first) {
    if (!isConfusing(player, wire)) fail("behind", "whose answer was not complete");
  } else if (wire.endedAt > 0) {
    const known = player.world.known.get(request.id);
    const end = { clock: wire.endedAt, time: wire.endedTime };
    if (known !== undefined && cameBefore(player, end, known)) {
      fail("ended", "after which the server had ended the connection");
    }
  }
}

/** A request that `close()` ended before a byte of it was sent is not sent. */
function checkClosed(player: Player, wire: Wire, request: Received): void {
  const known = request.id === null ? undefined : player.world.known.get(request.id);
  if (known === undefined || player.server !== null) return;
  const { closes, replaced, sockSet } = player.conns[known.conn];
  // A transport that was replaced is the user's, as is the write that it has taken and not told of.
  if (replaced || sockSet > 0) return;
  if (closes.some((close) => known.called < close && close < request.first)) {
    player.world.fail(
      "promise3/closed",
      `wire ${wire.number}: request ${known.id} went out after close()`,
    );
  }
}

/** No request is sent twice, and `retrySafe` is true to what reached the server. */
function promise4(player: Player): void {
  for (const id of player.world.known.keys()) {
    const count = arrivals(player, id).length;
    if (count > 1) player.world.fail("promise4/twice", `request ${id} arrived ${count} times`);
  }
  for (const call of player.calls) {
    const { known, facts } = factsOf(player, call);
    if (known === null || facts?.retrySafe !== "yes") continue;
    for (const { request, wire } of arrivals(player, known.id)) {
      player.world.fail(
        "promise4/retry",
        `${call.what} of request ${known.id} says it can be sent again, but ${request.bytes} bytes ` +
          `of it arrived on wire ${wire.number}`,
      );
    }
  }
}

/** The request that a call belongs to, and the facts that its error tells. */
function factsOf(player: Player, call: CallRecord): { known: Known | null; facts: Facts | null } {
  const exchange = ["request", "end", "getresponse"].includes(call.what);
  if (!exchange || call.status !== "rejected" || call.error instanceof ImproperConnectionState) {
    return { known: null, facts: null };
  }
  const known = call.id === null
    ? expectedOf(player, call)
    : player.world.known.get(call.id) ?? null;
  // Where another request was at work when `getresponse()` was called, the facts may be of that one.
  if (call.id === null && known?.id !== call.current) return { known: null, facts: null };
  const error = call.error as object | null;
  const users = player.world.objects.some(({ object }) => object === error);
  if (!users && typeof error === "object" && error !== null && "retrySafe" in error) {
    return { known, facts: error as Facts };
  }
  // Of a user's own error, `lastFailure` tells the facts; where nothing else may have failed meanwhile.
  const alone = player.calls.every((other) =>
    other === call || other.conn !== call.conn ||
    other.settled > 0 && other.settled < call.called ||
    other.called > call.settled
  );
  // Another signal may have ended another exchange of this object's since.
  const onlyOne = player.aborts.every(({ reason, clock }) =>
    reason === error || clock < call.called || clock > call.settled
  );
  // A read of an earlier response that failed meanwhile also sets `lastFailure`.
  const read = player.conns[call.conn].responses.some(({ reads }) =>
    reads.some(({ settled, status }) => status === "rejected" && settled > call.called)
  );
  const told = users && alone && !read && onlyOne && call.failureAfter !== call.failureBefore;
  return { known, facts: told ? call.failureAfter as Facts : null };
}

/** Bytes delivered are the right bytes, and a short body never looks whole. */
function promise6(player: Player): void {
  for (const record of player.conns.flatMap((conn) => conn.responses)) {
    const known = player.world.known.get(Number(record.owner));
    if (known !== undefined) checkReads(player, record, known);
    for (const read of record.reads) checkKept(player, record, read);
  }
}

function checkReads(player: Player, record: ResponseRecord, known: Known): void {
  const { wire, request } = arrivals(player, known.id)[0] ?? {};
  const answer = wire?.answers.find((answer) => answer.id === known.id);
  if (answer === undefined) return;
  const body = request!.method === "HEAD" ? "" : responseBody(known.id, answer.size);
  const reads = record.reads.filter((read) => read.how !== "peek");
  const inOrder = reads.map((read) => read.text).join("");
  const asGiven = reads.flatMap((read) => read.given)
    .sort((a, b) => a.order - b.order).map(({ text }) => text).join("");
  if (!body.startsWith(inOrder) && !body.startsWith(asGiven)) {
    const at = matchStart(inOrder, [body]);
    const wrong = inOrder.slice(at);
    const rule = ruleOfBytes(player, reads, body, wrong, known);
    player.world.fail(`promise6/${rule}`, `response ${known.id}: at ${at} it gave ${shown(wrong)}`);
  }
  for (const read of record.reads) {
    if (read.how === "peek" && !body.includes(read.text)) {
      player.world.fail("promise6/peek", `response ${known.id}: peek() gave ${shown(read.text)}`);
    }
  }
  checkEnds(player, record, body, answer);
}

/** In which way bytes are wrong. */
function ruleOfBytes(
  player: Player,
  reads: ReadRecord[],
  body: string,
  wrong: string,
  known: Known,
): string {
  if (wrong.includes("\0")) return "zeros";
  const owners = [...wrong.matchAll(/\[(\d+):|X-Id: (?:body-)?(\d+)\r/g)]
    .map((tag) => player.world.known.get(Number(tag[1] ?? tag[2])));
  if (owners.some((owner) => owner?.conn !== known.conn)) return "other-connection";
  if (owners.some((owner) => owner !== known)) return "foreign";
  const right = reads.every((read) => body.includes(read.text));
  const atOnce = reads.some((read, i) => i > 0 && reads[i - 1].settled > read.called);
  return right && atOnce ? "at-once" : "bytes";
}

/** A call that says that the body is over says so only when all of it was given. */
function checkEnds(
  player: Player,
  record: ResponseRecord,
  body: string,
  answer: Answer,
): void {
  let got = 0;
  for (const read of record.reads) {
    if (read.how !== "peek") got += read.text.length;
    if (!read.end || record.cancelled) continue;
    // Over TCP a reset may look like an end, which is what ends such a body.
    const plan = player.world.known.get(answer.id)?.answer;
    if (player.server !== null && plan?.framing === "close" && plan.cut === "reset") continue;
    // A connection that ends right after the last chunk is accepted for the end of the body.
    const whole = answer.chunked && got === body.length || !answer.cut && answer.wholeAt > 0;
    if (got < body.length || !whole && body.length > 0) {
      player.world.fail(
        "promise6/end",
        `response ${answer.id}: ${read.how} says that it is over after ${got} of ${body.length} bytes` +
          (whole ? "" : ", and not all had been sent"),
      );
    }
  }
}

function checkKept(player: Player, { owner }: ResponseRecord, read: ReadRecord): void {
  for (const { memory, text } of read.kept) {
    const now = memory.length === text.length && changedAt(memory, text);
    if (now === false || now === null) continue;
    player.world.fail(
      "promise6/memory",
      `response ${owner}: the memory of ${read.how} changed at ${now} after it had settled`,
    );
  }
}

function changedAt(memory: Uint8Array, text: string): number | null {
  for (let i = 0; i < text.length; i++) if (memory[i] !== text.charCodeAt(i)) return i;
  return null;
}

/** Nothing is left behind. */
function promise7(player: Player): void {
  for (const conn of player.conns) {
    conn.transports.forEach((transport, i) => {
      if (transport.closes === 0 && transport.owned) {
        player.world.fail(
          "promise7/open",
          `connection ${conn.number}: its transport ${i} was not closed`,
        );
      }
    });
  }
  const replaced = player.conns.some((conn) => conn.replaced);
  if (player.server !== null && player.server.open > 0 && !replaced) {
    player.world.fail("promise7/open", `${player.server.open} sockets were not closed`);
  }
}

/** Facts are told of their own exchange, and objects of the user's are not modified. */
function promise8(player: Player): void {
  for (const { object, what, rule, keys } of player.world.objects) {
    // `stack` and `name` may be among them from the start: what was added stands behind.
    const added = Reflect.ownKeys(object).slice(keys);
    if (added.length > 0) player.world.fail(rule, `${what} got ${added.map(String).join(", ")}`);
  }
  for (const call of player.calls) checkSent(player, call);
  for (const conn of player.conns) checkTrace(player, conn);
}

function checkSent(player: Player, call: CallRecord): void {
  const { known, facts } = factsOf(player, call);
  if (known === null || typeof facts?.requestBytesSent !== "number" || known.steps) return;
  const raw = player.calls.some(({ what, conn }) => what === "raw" && conn === call.conn);
  // A head that was cut off early does not say whose it is.
  const unclear = player.world.wires.some((wire) =>
    wire.parser.requests.some(({ id }) => id === null)
  );
  if (player.server !== null || raw || unclear) return;
  const arrived = arrivals(player, known.id).reduce((sum, { request }) => sum + request.bytes, 0);
  if (facts.requestBytesSent > arrived) {
    player.world.fail(
      "promise8/sent",
      `${call.what} of request ${known.id} says ${facts.requestBytesSent} bytes were sent: ${arrived}`,
    );
  }
}

/** No request without a body is told to have sent one, where no other is being sent. */
function checkTrace(player: Player, conn: ConnState): void {
  // What is sent behind a request, as it is, is told as that one's.
  if (player.calls.some((call) => call.what === "raw" && call.conn === conn.number)) return;
  let current: number | null = null;
  for (const { event, id, clock } of conn.events) {
    if (event.type === "requestStart") current = id;
    if (event.type !== "requestBody" || current === null) continue;
    const known = player.world.known.get(current);
    const others = player.calls.some((call) =>
      call.conn === conn.number && call.id !== current && call.called < clock &&
      (call.status === "unknown" || call.settled === 0 || call.settled > clock)
    );
    if (known !== undefined && known.parts.length === 0 && !known.steps && !others) {
      player.world.fail(
        "promise8/trace",
        `request ${current} has no body, but is told to send one`,
      );
    }
  }
}

/** `requestComplete` is true to what was sent. To be asked when nothing happens any more. */
export function checkComplete(player: Player): void {
  if (player.server !== null) return;
  // An answer, a close() or a `sock =` that stops the upload may come before it is told of the last write:
  // `false`.
  const stopped = (known: Known) =>
    arrivals(player, known.id).some(({ wire }) => mayStop(player, wire, known));
  for (const { owner, response, closed, conn } of player.conns.flatMap((conn) => conn.responses)) {
    const { requestComplete } = response as { requestComplete?: unknown };
    const known = player.world.known.get(Number(owner));
    const request = known && arrivals(player, known.id)[0]?.request;
    if (typeof requestComplete !== "boolean" || known === undefined || request === undefined) {
      continue;
    }
    const sent = request.whole && (known.steps || request.body === known.parts.join(""));
    // What a pending write has taken, the library cannot know yet.
    const writing = player.conns[known.conn].transports.some(({ writing }) => writing > 0);
    const failed = player.calls.some(({ id, status }) => id === known.id && status === "rejected");
    const { closes, sockSet } = player.conns[conn];
    const ended = closed || failed || known.outcome !== "resolved" || closes.length > 0 ||
      sockSet > 0;
    if (!requestComplete && (ended || stopped(known))) continue;
    if (requestComplete !== sent && !writing && !(known.steps && !known.framed)) {
      player.world.fail(
        "promise8/complete",
        `requestComplete of response ${owner} is ${requestComplete}, but ${request.body.length} of ` +
          `${known.parts.join("").length} bytes were sent`,
      );
    }
  }
}

/** Checks what can be checked once all is over; the rest of promise 5 is checked while it runs. */
export const PROMISES: Record<string, (player: Player) => void> = {
  promise1,
  promise2,
  promise3,
  promise4,
  promise6,
  promise7,
  promise8,
};
