/**
 * What a case consists of: connections, and calls on them with everything that decides how each goes.
 * Every choice stands in the plan itself, so that a case stays the same case when calls are taken out.
 *
 * @module
 */

/** A delay that ends when nothing else happens any more; others are numbers of microtasks. */
export const HELD = -1;

/** What the driver does once a call has been made: wait for it, for one turn, or for some microtasks. */
export type Pace = "settle" | "turn" | number;

/** What a callback or a body source of the user's does when it is called. */
export type Act = "throw" | "close" | "abort" | "request" | "dispose";

/** Where a callback of the user's is called. */
export type HookPoint =
  | "connectStart"
  | "connected"
  | "requestStart"
  | "requestHead"
  | "requestBody"
  | "requestEnd"
  | "responseHead"
  | "responseBody"
  | "responseEnd"
  | "close"
  | "onInformational"
  | "opening"
  | "opened";

/** A callback that acts when it is called for the `nth` time (from 0) at that point. */
export interface Hook {
  at: HookPoint;
  nth: number;
  act: Act;
  /** The request that the act `"request"` makes. */
  id: number;
}

/** How a connection object gets what it talks over. */
export type Way = "transport" | "sock" | "subclass" | "tcp" | "tcp-transport" | "tcp-sock";

/** A connection object. */
export interface ConnPlan {
  way: Way;
  /** `timeout` in seconds, or none. */
  timeout: number | null;
  /** How long opening a transport takes. */
  opening: number;
  /** How long a write takes to be told of. */
  writing: number;
  /** Whether what is written is taken when the write is told of, rather than when it begins. */
  late: boolean;
  /** How many bytes a write accepts at most; 0 for all. */
  accepts: number;
  /** Whether a read gives at most one piece of what the server sent, rather than all that is there. */
  piecewise: boolean;
  /** Whether `close()` of the transport leaves its reads pending, and they write into their memory later. */
  stubborn: boolean;
  /** Whether a trace is set, though no hook asks for it. */
  traced: boolean;
  hooks: Hook[];
}

/** The body of a request. */
export interface BodyPlan {
  kind: "string" | "bytes" | "array" | "sync" | "async" | "stream" | "reader";
  /** The size of each piece. */
  pieces: number[];
  /** Before each piece but the first. */
  delay: number;
  /** What comes after the last piece. */
  end: "end" | "throw" | "never";
  /** What the source does when its second piece is asked for. */
  act: Act | null;
  /** The request of the act `"request"`. */
  actId: number;
}

/** How the server answers a request. */
export interface AnswerPlan {
  status: number;
  framing: "length" | "chunked" | "close" | "http10";
  size: number;
  /** Interim responses before the final one. */
  interim: number[];
  /** When it answers: at the end of the head, at the first byte of the body, or at the end of the body. */
  when: "head" | "early" | "whole";
  /** Whether it says `Connection: close`. */
  close: boolean;
  /** Whether the answer breaks off at a part of it, and how. */
  cut: "no" | "fin" | "reset" | "stall";
  /** At which part, from 0 to 1. */
  cutAt: number;
  /** Whether another answer that nobody asked for follows at once. */
  extra: boolean;
  /** Whether the connection ends after the answer, announced or not. */
  fin: boolean;
  trailers: boolean;
  /** In how many pieces it is sent. */
  pieces: number;
  /** Before each of them. */
  delay: number;
  /** Whether the server reads on once it answers. */
  reads: boolean;
}

/** Framing fields of a request that contradict themselves or each other. */
export type OddFields = "none" | "both" | "hosts" | "length" | "encodings";

/** A call, with what the driver does after it. */
export type Op = { after: Pace } & Call;

/** A request in one call. */
export interface RequestCall {
  op: "request";
  conn: number;
  id: number;
  method: string;
  body: BodyPlan | null;
  /** The caller's own `Content-Length` minus the size of the body; `null` for none. */
  declared: number | null;
  odd: OddFields;
  expect: boolean;
  trailers: boolean;
  /** Whether it says `Connection: close`. */
  close: boolean;
  /** The abort signal it is given, or none. */
  signal: number | null;
  /** Whether nobody looks at the promise. */
  lost: boolean;
  answer: AnswerPlan;
}

/** `putrequest()` and the fields of the framing, of a request in steps. */
export interface PutCall {
  op: "put";
  conn: number;
  id: number;
  method: string;
  /** What `Content-Length` says, or `null` for none. */
  length: number | null;
  close: boolean;
  answer: AnswerPlan;
}

/** How a body is read. */
export type Reading =
  | "read"
  | "readN"
  | "readinto"
  | "read1"
  | "readline"
  | "readlines"
  | "next"
  | "line"
  | "iterate"
  | "reader"
  | "byob"
  | "release"
  | "cancel"
  | "pipe"
  | "copy"
  | "text"
  | "peek";

/** What is called. */
export type Call =
  | RequestCall
  | PutCall
  | {
    op: "end";
    conn: number;
    id: number;
    body: number | null;
    lost: boolean;
    signal: number | null;
  }
  | { op: "send"; conn: number; id: number; part: number; size: number; lost: boolean }
  | { op: "raw"; conn: number; part: number; size: number; lost: boolean }
  /** `closing`: whether the response is closed in the microtask in which it is delivered. */
  | { op: "getresponse"; conn: number; signal: number | null; closing: boolean }
  | { op: "read"; conn: number; back: number; how: Reading; amount: number }
  | { op: "closeResponse"; conn: number; back: number }
  | { op: "close"; conn: number }
  | { op: "dispose"; conn: number }
  | { op: "connect"; conn: number }
  | { op: "sock"; conn: number }
  | { op: "abort"; signal: number }
  | { op: "push"; conn: number; what: "answer" | "fin" | "reset" }
  | { op: "rest"; milliseconds: number };

/** A whole case. */
export interface Case {
  seed: number;
  conns: ConnPlan[];
  ops: Op[];
}

/** The names of the calls that read a body. */
export const READINGS: readonly Reading[] = [
  "read",
  "readN",
  "readinto",
  "read1",
  "readline",
  "readlines",
  "next",
  "line",
  "iterate",
  "reader",
  "byob",
  "release",
  "cancel",
  "pipe",
  "copy",
  "text",
  "peek",
];

/** An answer without anything unusual. */
export const PLAIN_ANSWER: AnswerPlan = {
  status: 200,
  framing: "length",
  size: 200,
  interim: [],
  when: "whole",
  close: false,
  cut: "no",
  cutAt: 0,
  extra: false,
  fin: false,
  trailers: false,
  pieces: 1,
  delay: 0,
  reads: true,
};

/** A connection object without anything unusual. */
export const PLAIN_CONN: ConnPlan = {
  way: "transport",
  timeout: null,
  opening: 0,
  writing: 0,
  late: false,
  accepts: 0,
  piecewise: false,
  stubborn: false,
  traced: false,
  hooks: [],
};
