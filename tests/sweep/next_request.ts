/**
 * What every cell ends with: the connection serves another request, and nothing is left behind.
 *
 * @module
 */
import { CannotSendRequest, type HTTPConnection } from "../../mod.ts";
import { type Problem, settle, show, Tracked, turn } from "./outcome.ts";
import { type Aborter, takeRejections } from "./signals.ts";
import { answerBody, type Peer } from "./transports.ts";

/** How often a request is made again that met a deadline which was set for the one before it. */
const TRIES = 5;

/** How long after such a deadline the next try begins, in milliseconds. */
const PAUSE = 20;

/**
 * Makes a request and expects its own answer.
 *
 * @param conn The connection
 * @param between Called between the answer's head and its body
 * @param retry Whether a deadline may strike, or is to strike before the request can be made
 */
export async function expectNext(
  conn: HTTPConnection,
  problems: Problem[],
  between: () => void = () => {},
  retry = false,
): Promise<void> {
  for (let tries = retry ? TRIES : 1; tries > 0; tries--) {
    const request = new Tracked(async () => {
      await conn.request("GET", "/next");
      return await expectAnswer(conn, "/next", between);
    });
    const settled = await settle([request]);
    if (retry && tries > 1 && isOfDeadline(request.error)) {
      await new Promise((go) => setTimeout(go, PAUSE));
      continue;
    }
    const detail = !settled
      ? "the next request never settles"
      : request.state === "rejected"
      ? `the next request: ${show(request.error)}`
      : null;
    if (detail !== null) problems.push({ kind: "stuck connection", detail });
    else if (request.value !== null) {
      problems.push({ kind: "wrong answer", detail: request.value! });
    }
    return;
  }
}

/** Whether it is a deadline's error, or that of a request whose predecessor still waits for its deadline. */
function isOfDeadline(error: unknown): boolean {
  return error instanceof Deno.errors.TimedOut || error instanceof CannotSendRequest;
}

/** Gets the answer to a request; what is wrong with it, or `null`. */
export async function expectAnswer(
  conn: HTTPConnection,
  target: string,
  between: () => void = () => {},
): Promise<string | null> {
  const response = await conn.getresponse();
  between();
  const body = await response.text();
  return body === answerBody(target) ? null : `${target} got ${JSON.stringify(body.slice(0, 60))}`;
}

/**
 * Disposes of a connection, and looks for what it leaves behind.
 *
 * @param mayStay A transport that belongs to the user by now, so that it may be open
 */
export async function expectNothingLeft(
  conn: HTTPConnection,
  transports: readonly Peer[],
  aborters: readonly Aborter[],
  problems: Problem[],
  mayStay: Peer | null = null,
): Promise<void> {
  conn[Symbol.dispose]();
  await turn();
  for (const [i, transport] of transports.entries()) {
    if (transport.closes > 1) {
      problems.push({ kind: "closed twice", detail: `transport ${i + 1}: ${transport.closes}` });
    } else if (transport !== mayStay && !(await transport.isClosed())) {
      problems.push({ kind: "left open", detail: `transport ${i + 1} after dispose` });
    }
  }
  for (const { listeners, reason } of aborters) {
    if (listeners > 0) problems.push({ kind: "listener left behind", detail: `${listeners}` });
    if (reason.change !== null) {
      problems.push({
        kind: "object of the user's modified",
        detail: `a reason: ${reason.change}`,
      });
    }
  }
  for (const reason of takeRejections()) {
    problems.push({ kind: "unhandled rejection", detail: show(reason) });
  }
}
