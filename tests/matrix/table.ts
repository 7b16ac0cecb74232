/**
 * The table that the cells of the matrix are made of: phases, faults, transports, ways of reading and
 * sending, and which of their combinations make no sense.
 *
 * @module
 */
import { bytes } from "../servers/raw.ts";

/** What goes on in a phase. */
export type PhaseKind =
  | "connect"
  | "CONNECT"
  | "handshake"
  | "head"
  | "body"
  | "idle"
  | "upload"
  | "waiting"
  | "detached";

/** A moment of an exchange. */
export interface Phase {
  readonly name: string;
  readonly kind: PhaseKind;
  /** What the server has sent by then. */
  readonly before: Uint8Array<ArrayBuffer>;
  /** What it would send next, if there were no fault. */
  readonly rest: Uint8Array<ArrayBuffer>;
  /** Of the body, how many bytes are in `before`. */
  readonly content: number;
  /** The body that is right. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** What cannot stand here; `null` where anything can. */
  readonly garbage: string | null;
  /** Whether the end of the connection is the end of the body. */
  readonly untilClose: boolean;
}

/** Some lines, none like another. */
function lines(count: number): Uint8Array<ArrayBuffer> {
  return bytes(
    Array.from({ length: count }, (_, i) => `${i} is line number ${i * 7919}\n`).join(""),
  );
}

/** A body of some lines. */
export const BODY: Uint8Array<ArrayBuffer> = lines(20);
/** A body that takes several buffers. */
const LARGE = lines(20_000);
const NONE = new Uint8Array(0);

function phase(
  name: string,
  kind: PhaseKind,
  before: string,
  rest: string,
  part: Partial<Phase> = {},
): Phase {
  const defaults = { content: 0, body: BODY, garbage: null, untilClose: false };
  return { name, kind, before: bytes(before), rest: bytes(rest), ...defaults, ...part };
}

/** A phase of a head: `at` is where in the whole response it is. */
function ofHead(name: string, before: string, rest: string, garbage: string): Phase {
  return phase(name, "head", before, `${rest}Content-Length: ${BODY.length}\r\n\r\n${TEXT}`, {
    garbage,
  });
}

const text = (data: Uint8Array) => new TextDecoder().decode(data);
const TEXT = text(BODY);
const OK = "HTTP/1.1 200 OK\r\n";
const HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";

/** A phase of a body by length, `at` of whose bytes have come. */
function byLength(name: string, body: Uint8Array<ArrayBuffer>, at: number): Phase {
  const head = `${OK}Content-Length: ${body.length}\r\n\r\n`;
  const content = text(body);
  return phase(name, "body", head + content.slice(0, at), content.slice(at), { body, content: at });
}

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`;
}

/** Where the first and the second chunk end. */
const [FIRST, SECOND] = [37, 337];
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n${chunk(TEXT.slice(0, FIRST))}`;
const CHUNK_2 = chunk(TEXT.slice(FIRST, SECOND));
const CHUNK_3 = chunk(TEXT.slice(SECOND));
const TRAILERS = "X-Sum: 1\r\nX-Other: a trailer field that takes some time to drip\r\n\r\n";
const CHUNKS = `${CHUNK_2}${CHUNK_3}0\r\n${TRAILERS}`;

/** A phase of a chunked body, `at` bytes behind its first chunk. */
function inChunks(name: string, at: number, content: number, garbage: string | null): Phase {
  return phase(name, "body", CHUNKED + CHUNKS.slice(0, at), CHUNKS.slice(at), { content, garbage });
}

const LAST_CHUNK = CHUNK_2.length + CHUNK_3.length + 3;
const ANSWER = `${OK}Content-Length: ${BODY.length}\r\n\r\n${TEXT}`;
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: lines\r\n\r\n";
const CONNECTED =
  "HTTP/1.1 200 Connection established\r\nX-Proxy: one of those that take some time\r\n\r\n";
const NO_STATUS_LINE = "SSH-2.0-OpenSSH_9.6\r\n";

/** The phases. */
export const PHASES: readonly Phase[] = [
  phase("TCP connect", "connect", "", ANSWER),
  phase("CONNECT answer", "CONNECT", "", CONNECTED, { garbage: NO_STATUS_LINE }),
  phase("part of a CONNECT answer", "CONNECT", CONNECTED.slice(0, 20), CONNECTED.slice(20), {
    garbage: "\x01\x02\r\n\r\n",
  }),
  phase("TLS handshake", "handshake", "", ANSWER, { garbage: "HTTP/1.1 400 Bad Request\r\n\r\n" }),
  phase("half of the TLS handshake", "handshake", "half", ANSWER, {
    garbage: "\xff".repeat(100_000),
  }),
  phase("TLS in a tunnel", "handshake", "", ANSWER, {
    garbage: "HTTP/1.1 400 Bad Request\r\n\r\n",
  }),
  ofHead("status line", "", OK, NO_STATUS_LINE),
  ofHead("part of a status line", "HTTP/1.1 2", "00 OK\r\n", "\x01\x02\r\n\r\n"),
  ofHead("field line", `${OK}X-A: 1\r\nX-`, "B: 2\r\n", "B: a\0b\r\n\r\n"),
  ofHead("interim", HINTS, OK, "no status line\r\n"),
  ofHead("part of an interim", HINTS.slice(0, 30), HINTS.slice(30) + OK, "\0: a\0b\r\n\r\n"),
  byLength("body by length", BODY, 100),
  byLength("body by length, nothing of it", BODY, 0),
  byLength("large body by length", LARGE, 300_000),
  inChunks("chunk size", 1, FIRST, "z\r\n"),
  inChunks("chunk data", 5 + 100, FIRST + 100, null),
  inChunks("chunk end", CHUNK_2.length - 2, SECOND, "XX"),
  inChunks("last chunk", LAST_CHUNK - 3, BODY.length, "z\r\n"),
  inChunks("trailers", LAST_CHUNK + 12, BODY.length, "her: a\0b\r\n\r\n"),
  phase("until close", "body", `${OK}\r\n${TEXT.slice(0, 100)}`, TEXT.slice(100), {
    content: 100,
    untilClose: true,
  }),
  phase(
    "large until close",
    "body",
    `${OK}\r\n${text(LARGE).slice(0, 300_000)}`,
    text(LARGE).slice(300_000),
    {
      body: LARGE,
      content: 300_000,
      untilClose: true,
    },
  ),
  phase("idle", "idle", ANSWER, "", {
    garbage: "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
  }),
  phase("upload by length", "upload", "", ANSWER, { garbage: NO_STATUS_LINE }),
  phase("upload chunked", "upload", "", ANSWER, { garbage: NO_STATUS_LINE }),
  phase("waiting for 100", "waiting", "", `HTTP/1.1 100 Continue\r\n\r\n`, {
    garbage: NO_STATUS_LINE,
  }),
  phase("detached", "detached", SWITCH + TEXT.slice(0, 100), TEXT.slice(100), { content: 100 }),
];

/** What goes wrong. */
export type Fault =
  | "FIN"
  | "RST"
  | "stall, timeout"
  | "stall, deadline"
  | "drip"
  | "slow drip"
  | "garbage"
  | "broken record"
  | "half-close"
  | "no close_notify"
  | "abort"
  | "close"
  | "dispose"
  | "busy";

/** The faults. */
export const FAULTS: readonly Fault[] = [
  "FIN",
  "RST",
  "stall, timeout",
  "stall, deadline",
  "drip",
  "slow drip",
  "garbage",
  "broken record",
  "half-close",
  "no close_notify",
  "abort",
  "close",
  "dispose",
  "busy",
];

/** How a connection is made. */
export interface TransportKind {
  readonly name: string;
  /** Whether the exchange goes through TLS, and whose. */
  readonly tls: "deno" | "node" | null;
  /** Whether through a tunnel. */
  readonly tunnel: boolean;
  /** Whether the errors of the socket are those of the user's own transport. */
  readonly users: boolean;
}

function transport(name: string, part: Partial<TransportKind> = {}): TransportKind {
  return { name, tls: null, tunnel: false, users: false, ...part };
}

/** The transports. */
export const TRANSPORTS: readonly TransportKind[] = [
  transport("TCP"),
  transport("TCP of Node's"),
  transport("unix socket"),
  transport("TLS", { tls: "deno" }),
  transport("TLS with a client certificate", { tls: "node" }),
  transport("TLS without verification", { tls: "node" }),
  transport("tunnel", { tunnel: true }),
  transport("TLS in a tunnel", { tls: "deno", tunnel: true }),
  transport("TLS of Node's in a tunnel", { tls: "node", tunnel: true }),
  transport("transport option", { users: true }),
  transport("TLS over a transport option", { tls: "node", users: true }),
  transport("conn.sock"),
];

/** How the request is made, where nothing of a body is read. */
export const REQUEST_WAYS = ["awaited", "not awaited", "step by step"] as const;
/** The same where there is no connection yet. */
export const OPENING_WAYS = [...REQUEST_WAYS, "connect()"] as const;
/** How a body is read. */
export const READING_WAYS = [
  "read",
  "read(n)",
  "read1",
  "readinto",
  "readinto of much",
  "readline",
  "readlines",
  "lines",
  "for await",
  "getReader",
  "byob",
  "pipeTo",
  "text",
] as const;
/** How a body is sent. */
export const SENDING_WAYS = [
  "bytes, awaited",
  "bytes, not awaited",
  "string, awaited",
  "string, not awaited",
  "stream, awaited",
  "stream, not awaited",
  "async iterable, awaited",
  "async iterable, not awaited",
  "send(), awaited",
  "send(), not awaited",
] as const;
/** How a switched connection is read. */
export const DETACHED_WAYS = ["transport.read", "readable"] as const;

/** One way of any of these. */
export type Way =
  | typeof OPENING_WAYS[number]
  | typeof READING_WAYS[number]
  | typeof SENDING_WAYS[number]
  | typeof DETACHED_WAYS[number];

/** The ways that there are in a phase. */
function waysOf({ kind }: Phase): readonly Way[] {
  switch (kind) {
    case "connect":
    case "CONNECT":
    case "handshake":
      return OPENING_WAYS;
    case "head":
    case "idle":
      return REQUEST_WAYS;
    case "body":
      return READING_WAYS;
    case "upload":
    case "waiting":
      return SENDING_WAYS;
    case "detached":
      return DETACHED_WAYS;
  }
}

/** One cell of the matrix. */
export interface Cell {
  readonly phase: Phase;
  readonly fault: Fault;
  readonly way: Way;
  readonly transport: TransportKind;
  /** Its name, to replay it by. */
  readonly name: string;
  /** The row that it belongs to: its phase and its fault. */
  readonly row: string;
}

/** Why there is no such cell; `null` where there is one. */
export function excluded(
  phase: Phase,
  fault: Fault,
  way: Way,
  transport: TransportKind,
): string | null {
  const { kind } = phase;
  const { tls, tunnel, name } = transport;
  if (kind === "CONNECT" && !tunnel) return "without a tunnel nobody is asked for one";
  if (kind === "handshake") {
    if (tls === null) return "there is no handshake without TLS";
    const inTunnel = phase.name === "TLS in a tunnel";
    if (inTunnel !== tunnel) return "the handshakes in a tunnel are a row of their own";
  }
  if (kind === "connect") {
    if (name === "conn.sock") return "it is connected by its user";
    if (name === "unix socket") return "its path cannot be changed for the next request";
    const peers: Fault[] = [
      ...["FIN", "drip", "slow drip", "garbage", "broken record", "half-close"] as const,
      "no close_notify",
    ];
    if (peers.includes(fault)) return "a server can do nothing before the connection is made";
    if (transport.users && fault === "busy") return "who connects is the user";
  }
  if (fault === "abort" && way === "connect()") return "connect() takes no signal";
  if (name === "conn.sock" && way === "connect()") return "connect() replaces it";
  if (fault === "RST" && name === "unix socket") return "a unix socket has no reset";
  if (fault === "RST" && kind === "connect" && transport.users) return "who is refused is the user";
  if (fault === "no close_notify") {
    if (tls === null) return "there is no close_notify without TLS";
    if (kind === "handshake") return "before the end of the handshake it is a FIN";
    if (kind === "CONNECT") return "the proxy's answer is not within TLS";
  }
  if (fault === "broken record") {
    if (tls === null) return "there are no records without TLS";
    if (kind === "handshake") return "that is garbage";
    if (kind === "CONNECT") return "the proxy's answer is not within TLS";
  }
  if (fault === "garbage" && phase.garbage === null) return "any byte is right there";
  if (kind === "idle") {
    if (fault.startsWith("stall")) return "an idle connection is silent";
    if (fault.endsWith("drip")) return "nothing is to come on an idle connection";
  }
  if (kind === "detached") {
    if (tunnel || name === "conn.sock") return "a 101 is the same through any of these";
    if (fault.startsWith("stall")) return "no deadline runs for what was handed over";
    if (fault === "slow drip" || fault === "abort") return "no exchange is left to end";
    if (fault === "close" || fault === "dispose") return "the transport is the user's";
  }
  if (kind === "waiting") {
    if (way.startsWith("send()")) return "send() waits for no 100";
    if (fault === "drip" || fault === "busy") return "a 100 that comes is no fault";
  }
  return null;
}

/** Why the first connection of a cell may stay open; `null` where it has to be closed. */
export function staysOpen({ phase, fault, transport }: Cell): string | null {
  if (phase.kind !== "handshake" || transport.tls !== "deno") return null;
  const given = fault.startsWith("stall") || fault === "slow drip" || fault === "abort" ||
    fault === "close" || fault === "dispose";
  return given ? "`Deno.TlsConn` keeps its socket: examples/LIMITS.md, What Deno cannot do" : null;
}

/** Spreads the cells of a row over its ways and transports: an order that has nothing to do with theirs. */
function spread(name: string): number {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** All cells: first one of each row, then another one of each, and so on. */
export function allCells(): Cell[] {
  const rows: Cell[][] = [];
  for (const phase of PHASES) {
    for (const fault of FAULTS) {
      const row = `${phase.name} / ${fault}`;
      const cells: Cell[] = [];
      for (const way of waysOf(phase)) {
        for (const transport of TRANSPORTS) {
          if (excluded(phase, fault, way, transport) !== null) continue;
          cells.push({
            phase,
            fault,
            way,
            transport,
            row,
            name: `${row} / ${way} / ${transport.name}`,
          });
        }
      }
      if (cells.length > 0) rows.push(cells.sort((a, b) => spread(a.name) - spread(b.name)));
    }
  }
  const ranked: Cell[] = [];
  for (let rank = 0; rows.some((row) => row.length > rank); rank++) {
    for (const row of rows) if (rank < row.length) ranked.push(row[rank]);
  }
  return ranked;
}

/** Why combinations are left out, and how many of them. */
export function exclusions(): Map<string, number> {
  const reasons = new Map<string, number>();
  for (const phase of PHASES) {
    for (const fault of FAULTS) {
      for (const way of waysOf(phase)) {
        for (const transport of TRANSPORTS) {
          const reason = excluded(phase, fault, way, transport);
          if (reason !== null) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
        }
      }
    }
  }
  return reasons;
}

/** How many of {@linkcode allCells} are the first `count` of each row. */
export function firstOfRows(count: number): number {
  const seen = new Map<string, number>();
  let cells = 0;
  for (const { row } of allCells()) {
    const number = (seen.get(row) ?? 0) + 1;
    if (number > count) continue;
    seen.set(row, number);
    cells++;
  }
  return cells;
}

/** No bytes. */
export const EMPTY: Uint8Array<ArrayBuffer> = NONE;
