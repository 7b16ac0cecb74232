/**
 * What an exchange tells of itself while it goes on: typed events, and the times of a response.
 * Nothing is made where nobody listens.
 *
 * @module
 */
import type { HTTPMessage } from "../../headers.ts";
import { showWithoutUserInfo } from "../wire/inspect.ts";

/**
 * An event of an exchange; `time` is in milliseconds, as `performance.now()` gives them. Byte counts of a
 * request are of what the transport has accepted, framing included; those of a response body are of its
 * content.
 *
 * @category Connections
 */
export type TraceEvent =
  & { time: number }
  & (
    /** A connection is begun; name resolution is part of it, Deno does not tell them apart. */
    | { type: "connectStart"; host: string; port: number; path: string | null }
    /** The connection is made; `address` is what the name resolved to, if the transport tells. */
    | { type: "connected"; address: string | null }
    /** The proxy has opened the tunnel. */
    | { type: "tunnelled"; host: string; port: number }
    /** The TLS handshake begins, for a server of this name. */
    | { type: "tlsStart"; serverName: string }
    /** The TLS handshake is done; `alpnProtocol` is what was agreed on by ALPN, if anything was. */
    | { type: "secured"; alpnProtocol: string | null }
    /** A request is begun. */
    | { type: "requestStart"; method: string; target: string; connectionReused: boolean }
    /** The head of the request is out. */
    | { type: "requestHead"; bytes: number }
    /** More of the request is out: `bytes` in all. */
    | { type: "requestBody"; bytes: number }
    /** The request is out, whole or up to an early answer. */
    | { type: "requestEnd"; bytes: number; whole: boolean }
    /** An interim response. */
    | { type: "interim"; status: number; reason: string; headers: HTTPMessage }
    /** The head of the response. */
    | { type: "responseHead"; status: number; reason: string; headers: HTTPMessage }
    /** More of the response's body was read: `bytes` more, `total` in all. */
    | { type: "responseBody"; bytes: number; total: number }
    /** The fields after a chunked body. */
    | { type: "trailers"; headers: HTTPMessage }
    /** The response is over. */
    | { type: "responseEnd"; total: number }
    /** The connection is closed. */
    | { type: "close" }
  );

/**
 * Gets each event. What it throws fails the exchange; on `close` there is none any more.
 *
 * @category Connections
 */
export type Trace = (event: TraceEvent) => void;

type WithoutTime<T> = T extends TraceEvent ? Omit<T, "time"> : never;

/** An event without its time. */
export type Untimed = WithoutTime<TraceEvent>;

/** Tells `trace` of an event; the call stands behind a check that there is one. */
export function tell(trace: Trace, event: Untimed): void {
  // Not a copy: those of the six events of a small request are a tenth of it (`bench/run.ts --only a`).
  const told = event as TraceEvent;
  told.time = performance.now();
  if (told.type === "requestStart" && told.target.includes("@")) showWithoutUserInfo(told);
  trace(told);
}

/**
 * When what happened to a response, in milliseconds as `performance.now()` gives them; `null` for what
 * has not happened, or was done for a request before.
 *
 * @category Responses
 */
export interface ResponseTimings {
  /** The request was begun. */
  start: number;
  /** The connection was made, name resolution included. */
  connected: number | null;
  /** TLS was established. */
  secured: number | null;
  /** The request was out, whole or up to an early answer. */
  sent: number | null;
  /** The head of the response was read. */
  head: number | null;
  /** The response was over. */
  end: number | null;
}

/** The times of an exchange that begins now. */
export function startTimings(): ResponseTimings {
  return {
    start: performance.now(),
    connected: null,
    secured: null,
    sent: null,
    head: null,
    end: null,
  };
}
