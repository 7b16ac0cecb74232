/**
 * The states of a connection: one table, and one function that follows it. They are those of Python's
 * `http.client`; "Receiving" is the time within `getresponse()`, in which Python cannot be called.
 *
 * "Unread" stands for a response that is not read to its end: another request may be sent behind it,
 * but its response can only be got when the one before is over.
 *
 * @module
 */
import { CannotSendHeader, CannotSendRequest, ResponseNotReady } from "../../errors.ts";

/** A state of a connection. */
export type State =
  | "Idle"
  | "Request-started"
  | "Request-sent"
  | "Receiving"
  | "Unread-response"
  | "Request-started-unread-response"
  | "Request-sent-unread-response";

/** What happens to a connection. */
export type Event =
  | "putrequest"
  | "putheader"
  | "endheaders"
  | "getresponse"
  /** The request was refused before a byte of it was sent. */
  | "refuse"
  /** The head has come, and the response needs the connection until it is read. */
  | "head"
  /** The response was read to its end, or took the connection with it. */
  | "over"
  | "close";

/** The table: what each event leads to in each state. No entry, no transition. */
const TABLE: Record<State, Partial<Record<Event, State>>> = {
  "Idle": { putrequest: "Request-started", over: "Idle", close: "Idle" },
  "Request-started": {
    putheader: "Request-started",
    endheaders: "Request-sent",
    refuse: "Idle",
    over: "Request-started",
    close: "Idle",
  },
  "Request-sent": {
    getresponse: "Receiving",
    refuse: "Idle",
    over: "Request-sent",
    close: "Idle",
  },
  "Receiving": { head: "Unread-response", over: "Idle", close: "Idle" },
  "Unread-response": {
    putrequest: "Request-started-unread-response",
    over: "Idle",
    close: "Idle",
  },
  "Request-started-unread-response": {
    putheader: "Request-started-unread-response",
    endheaders: "Request-sent-unread-response",
    refuse: "Unread-response",
    over: "Request-started",
    close: "Idle",
  },
  "Request-sent-unread-response": {
    refuse: "Unread-response",
    over: "Request-sent",
    close: "Idle",
  },
};

/**
 * The state after an event.
 *
 * @throws {CannotSendRequest} When a request cannot be started.
 * @throws {CannotSendHeader} When there is no request to put a header to.
 * @throws {ResponseNotReady} When there is no response to get.
 */
export function step(state: State, event: Event): State {
  const next = TABLE[state][event];
  if (next !== undefined) return next;
  switch (event) {
    case "putrequest":
      throw new CannotSendRequest(`Cannot send request: the connection is in state ${state}`);
    case "getresponse":
      throw new ResponseNotReady(`Cannot get response: the connection is in state ${state}`);
    default:
      throw new CannotSendHeader(`Cannot send header: the connection is in state ${state}`);
  }
}

/** Whether a response is unread in this state. */
export function unread(state: State): boolean {
  return state === "Unread-response" || state.endsWith("-unread-response");
}
