/**
 * What a cell has to end with.
 *
 * @module
 */
import {
  BadStatusLine,
  type ExchangePhase,
  IncompleteRead,
  ProtocolError,
  RemoteDisconnected,
} from "../../mod.ts";
import type { Cell, Phase } from "./table.ts";

/** How an exchange has to end. */
export interface Expected {
  /** What the error is to be, in words; `null` where the exchange is to be whole. */
  readonly error: string | null;
  /** Whether an error is that one. */
  is(error: unknown): boolean;
  /** The phase in `lastFailure`; `null` where nothing has befallen the exchange. */
  readonly phase: ExchangePhase | null;
  /** Whether all that the server had sent of the body has to be delivered, or told of. */
  readonly all: boolean;
  /** Whether it is a deadline that ends it. */
  readonly deadline: boolean;
}

const { errors } = Deno;
type Check = (error: unknown) => boolean;

function oneOf(...classes: (abstract new (...args: never[]) => Error)[]): [string, Check] {
  const names = classes.map(({ name }) => name).join(" or ");
  return [names, (error) => classes.some((one) => error instanceof one)];
}

/** Framing that is broken, behind what came before. */
const brokenFraming: [string, Check] = [
  "IncompleteRead caused by a ProtocolError",
  (error) => error instanceof IncompleteRead && error.cause instanceof ProtocolError,
];

/** A head that is refused for what stands in it. */
function badHead({ name }: Phase): [string, Check] {
  return name === "field line" ? oneOf(ProtocolError) : oneOf(BadStatusLine, ProtocolError);
}

const PHASES: Record<Phase["kind"], ExchangePhase | null> = {
  connect: "connect",
  CONNECT: "connect",
  handshake: "tls",
  head: "head",
  body: "body",
  idle: null,
  upload: "send",
  waiting: "head",
  detached: null,
};

/** Which phases may be told of; more than one where the system decides what is noticed first. */
export function phasesOf(cell: Cell, expected: Expected): readonly (ExchangePhase | null)[] {
  // The end of what the server sends is the end of its answer, while the body still goes out.
  const either = cell.phase.kind === "upload" && expected.phase !== null;
  return either && !expected.deadline ? ["send", "head"] : [expected.phase];
}

const WHOLE: Expected = {
  error: null,
  is: () => false,
  phase: null,
  all: true,
  deadline: false,
};

/** What a cell has to end with; `reason` is what its signal aborts with. */
export function expectedOf(cell: Cell, reason: unknown): Expected {
  const { phase, fault } = cell;
  const failure = ([error, is]: [string, Check], part: Partial<Expected> = {}): Expected => {
    return { error, is, phase: PHASES[phase.kind], all: false, deadline: false, ...part };
  };
  if (phase.kind === "idle") return WHOLE;
  switch (fault) {
    case "drip":
    case "busy":
      return WHOLE;
    case "abort":
      return failure(["the signal's reason", (error) => error === reason]);
    case "close":
    case "dispose":
      // CPython: a response that took its connection with it outlives the connection's `close()`.
      if (fault === "close" && phase.untilClose) return WHOLE;
      return failure(oneOf(errors.Interrupted), { phase: null });
    case "stall, timeout":
    case "stall, deadline":
    case "slow drip":
      return failure(oneOf(errors.TimedOut), { deadline: true, all: fault !== "slow drip" });
    case "RST":
      return failure(ofReset(cell));
    case "broken record":
      return failure(oneOf(errors.InvalidData));
    case "garbage":
      if (phase.kind === "handshake") return failure(oneOf(errors.InvalidData));
      if (phase.kind === "body") return failure(brokenFraming, { all: true });
      return failure(badHead(phase));
    case "FIN":
    case "half-close":
    case "no close_notify":
      return ofEnd(cell, failure);
  }
}

function ofReset({ phase, way, transport }: Cell): [string, Check] {
  if (phase.kind === "connect") return oneOf(errors.ConnectionRefused);
  if (phase.kind === "detached" && transport.tls === null && way === "readable") {
    return oneOf(errors.ConnectionReset);
  }
  // To write to what was reset may be noticed first.
  if (phase.kind === "upload") return oneOf(errors.ConnectionReset, errors.BrokenPipe);
  return oneOf(errors.ConnectionReset);
}

/** The end of what the server sends. */
function ofEnd(
  { phase, fault, transport }: Cell,
  failure: (is: [string, Check], part?: Partial<Expected>) => Expected,
): Expected {
  const isRagged = fault === "no close_notify" && transport.tls === "deno";
  switch (phase.kind) {
    case "handshake":
      return failure(oneOf(errors.UnexpectedEof, errors.ConnectionReset));
    case "upload":
      return failure(oneOf(RemoteDisconnected, errors.ConnectionReset, errors.BrokenPipe));
    case "detached":
      return isRagged ? failure(oneOf(errors.UnexpectedEof)) : WHOLE;
    case "body":
      // RFC 9112, Section 9.8; `node:tls` does not tell: a row of "Differences from Python".
      if (phase.untilClose && !isRagged) return WHOLE;
      return failure(oneOf(IncompleteRead), { all: true });
    default:
      return failure(
        phase.before.length === 0 || phase.name === "interim"
          ? oneOf(RemoteDisconnected)
          : oneOf(IncompleteRead),
      );
  }
}
