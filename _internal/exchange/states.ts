/**
 * The states of all that lives over time, as data: the calls that Python allows, a connection, the two
 * halves of an exchange, a body. `_internal/README.md` shows these tables as diagrams, and a test walks
 * each event in each state.
 *
 * @module
 */
import { CannotSendHeader, CannotSendRequest, ResponseNotReady } from "../../errors.ts";

/** What each event leads to in each state. No entry: it must not happen. */
export type Table<State extends string, Event extends string> = Record<
  State,
  Partial<Record<Event, State>>
>;

/** Which call a client may make next: the states of Python's `http.client`. */
export type CallState =
  | "Idle"
  | "Request-started"
  | "Request-sent"
  /** Within `getresponse()`, in which Python cannot be called. */
  | "Receiving";

/** What a client is called for, and how that ends. */
export type CallEvent =
  | "putrequest"
  | "putheader"
  | "endheaders"
  | "getresponse"
  /** The request was refused before a byte of it was sent. */
  | "refuse"
  /** The response was handed over, or the exchange failed. */
  | "over"
  | "close";

/** The calls of a client. */
export const CALLS: Table<CallState, CallEvent> = {
  "Idle": { putrequest: "Request-started", over: "Idle", close: "Idle" },
  "Request-started": {
    putheader: "Request-started",
    endheaders: "Request-sent",
    refuse: "Idle",
    close: "Idle",
  },
  "Request-sent": { getresponse: "Receiving", refuse: "Idle", over: "Idle", close: "Idle" },
  "Receiving": { over: "Idle", close: "Idle" },
};

/** Whether a request may go out on a connection, and if not, why. */
export type Availability =
  /** It is being made. */
  | "opening"
  /** It has carried nothing yet. */
  | "fresh"
  /** Its exchanges are over, and another one may follow. */
  | "idle"
  /** An exchange runs; another one may follow it. */
  | "busy"
  /** Nothing may follow what it carries now. */
  | "last"
  /** It speaks another protocol by now. */
  | "switched"
  /** It was handed over to the user. */
  | "detached"
  | "closed";

/** What happens to a connection. */
export type ConnectionEvent =
  | "open"
  /** An exchange begins. */
  | "begin"
  /** Either side said `close`, a request was cut off, or bytes went out that are no request. */
  | "end of reuse"
  /** The exchange is over. */
  | "release"
  | "switch"
  | "detach"
  | "close";

/** A connection. */
export const CONNECTION: Table<Availability, ConnectionEvent> = {
  opening: { open: "fresh", close: "closed" },
  fresh: { "begin": "busy", "end of reuse": "last", "detach": "detached", "close": "closed" },
  idle: { "begin": "busy", "end of reuse": "last", "detach": "detached", "close": "closed" },
  busy: {
    "end of reuse": "last",
    "release": "idle",
    "switch": "switched",
    "detach": "detached",
    "close": "closed",
  },
  last: {
    "end of reuse": "last",
    "release": "closed",
    "switch": "switched",
    "detach": "detached",
    "close": "closed",
  },
  switched: {
    "end of reuse": "switched",
    "release": "switched",
    "detach": "detached",
    "close": "closed",
  },
  detached: { "end of reuse": "detached", "release": "detached", "close": "detached" },
  closed: { "end of reuse": "closed", "release": "closed", "close": "closed" },
};

/** How far a request has gone out. */
export type Sending =
  | "nothing"
  /** The head is out, and a 100 is waited for. */
  | "waiting"
  | "going"
  | "whole"
  /** No more of it is sent, though it is not whole. */
  | "cut";

/** What happens to a request. */
export type SendingEvent = "send" | "wait" | "finish" | "cut";

/** The sending half of an exchange. */
export const SENDING: Table<Sending, SendingEvent> = {
  nothing: { send: "going", cut: "cut" },
  waiting: { send: "going", cut: "cut" },
  going: { send: "going", wait: "waiting", finish: "whole", cut: "cut" },
  // Chunks that the caller frames may go on, as only the caller knows the last one.
  whole: { send: "going", finish: "whole", cut: "whole" },
  // The last bytes were out when an answer came that would have ended the upload.
  cut: { finish: "whole", cut: "cut" },
};

/** How far a response has come in. */
export type Receiving = "nothing" | "head" | "body" | "whole" | "cut";

/** What happens to a response. */
export type ReceivingEvent = "await" | "head" | "end" | "cut";

/** The receiving half of an exchange. */
export const RECEIVING: Table<Receiving, ReceivingEvent> = {
  nothing: { await: "head", cut: "cut" },
  head: { await: "head", head: "body", cut: "cut" },
  body: { end: "whole", cut: "cut" },
  whole: { cut: "whole" },
  cut: { cut: "cut" },
};

/** How a body stands. */
export type BodyState =
  | "open"
  /** It was read to its end. */
  | "complete"
  /** It ended early, its framing broke, or its exchange failed. */
  | "cut"
  /** Its reader closed it before its end. */
  | "closed";

/** What happens to a body. */
export type BodyEvent = "end" | "cut" | "close";

/** The body of a response. */
export const BODY: Table<BodyState, BodyEvent> = {
  open: { end: "complete", cut: "cut", close: "closed" },
  complete: { end: "complete", cut: "complete", close: "complete" },
  cut: { cut: "cut", close: "cut" },
  closed: { cut: "closed", close: "closed" },
};

/**
 * What an event does in each state: a table, read by its events. A small request takes twelve steps, and to
 * look each of them up by the names of its state and its event is 1 % of its CPU time (`bench/run.ts --only a`).
 */
export class Step<State extends string> {
  readonly event: string;
  readonly #ways = new Map<State, State>();
  /** The way that was taken last: it nearly always is the next one, too. */
  #from: State | null = null;
  #to: State | null = null;

  constructor(table: Table<State, string>, event: string) {
    this.event = event;
    for (const [from, ways] of Object.entries(table) as [State, Partial<Record<string, State>>][]) {
      const to = ways[event];
      if (to !== undefined) this.#ways.set(from, to);
    }
  }

  /** The state that follows; `null` where the event must not happen. */
  after(state: State): State | null {
    if (state !== this.#from) {
      this.#to = this.#ways.get(state) ?? null;
      this.#from = state;
    }
    return this.#to;
  }
}

/** The steps of a table, by their events. */
export type Steps<State extends string, Event extends string> = Readonly<
  Record<Event, Step<State>>
>;

function stepsOf<State extends string, Event extends string>(
  table: Table<State, Event>,
): Steps<State, Event> {
  const events = Object.values<object>(table).flatMap(Object.keys) as Event[];
  return Object.fromEntries(events.map((event) => [event, new Step(table, event)])) as Steps<
    State,
    Event
  >;
}

/** The steps of a client's calls. */
export const CALL_STEPS: Steps<CallState, CallEvent> = stepsOf(CALLS);
/** Those of a connection. */
export const CONNECTION_STEPS: Steps<Availability, ConnectionEvent> = stepsOf(CONNECTION);
/** Those of the sending half of an exchange. */
export const SENDING_STEPS: Steps<Sending, SendingEvent> = stepsOf(SENDING);
/** Those of its receiving half. */
export const RECEIVING_STEPS: Steps<Receiving, ReceivingEvent> = stepsOf(RECEIVING);
/** Those of a body. */
export const BODY_STEPS: Steps<BodyState, BodyEvent> = stepsOf(BODY);

/** The state after an event that is known to be possible. */
export function next<State extends string>(step: Step<State>, state: State): State {
  const to = step.after(state);
  if (to === null) throw new Error(`No way from "${state}" by "${step.event}"`);
  return to;
}

/**
 * The state of a client after a call.
 *
 * @throws {CannotSendRequest} When a request cannot be started.
 * @throws {CannotSendHeader} When there is no request to put a header to.
 * @throws {ResponseNotReady} When there is no response to get.
 */
export function call(step: Step<CallState>, state: CallState): CallState {
  const to = step.after(state);
  if (to !== null) return to;
  switch (step.event) {
    case "putrequest":
      throw new CannotSendRequest(
        `Cannot send request as the connection is in state ${state}: ${PUTREQUEST_HINTS[state]}`,
      );
    case "getresponse":
      throw new ResponseNotReady(
        `Cannot get response as the connection is in state ${state}: send a request first`,
      );
    default:
      throw new CannotSendHeader(
        `Cannot send header as the connection is in state ${state}: call putrequest() first`,
      );
  }
}

const PUTREQUEST_HINTS: Record<CallState, string> = {
  "Idle": "",
  "Request-started": "call endheaders() first",
  "Request-sent": "call getresponse() first",
  "Receiving": "await getresponse() first",
};
