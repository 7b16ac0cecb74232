/**
 * What a request vector must be answered with here, and the rows that make it so. Where that is not
 * CPython's answer, it is made from CPython's answer to the vector's twin.
 *
 * @module
 */
import { domainToASCII } from "node:url";
import type { Explained } from "./explain_response.ts";
import { modelHead, Refusal } from "./model_head.ts";
import type { RowId } from "./rows.ts";
import {
  type Call,
  canonical,
  type ConnectionAnswer,
  type RequestVector,
  type Result,
  type SessionVector,
  type Thrown,
} from "./vectors.ts";

type Value = string | number | { b: string };

/** What stands in the place of a wide host in a twin. */
const IN_ITS_PLACE = "idna-in-its-place.example";

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// deno-lint-ignore no-control-regex
const IN_HOST = /[\x00-\x20\x7f]/;
const WIDE = /[^\0-\xff]/;

/** Why a call is refused. */
interface Refused {
  thrown: Thrown;
  row: RowId;
}

function refused(x: string, text: string): Refused {
  // Whether it is the character that is no good, or that the whole is no token.
  return { thrown: { x }, row: CONTROL.test(text) ? "request-syntax" : "token" };
}

function field([name, value]: [string, Value]): Refused | null {
  if (!TOKEN.test(name)) return refused("TypeError", name);
  const text = typeof value === "object" ? value.b : String(value);
  if (CONTROL.test(text) || WIDE.test(text)) return refused("TypeError", text);
  return null;
}

function line(method: string, target: string): Refused | null {
  if (!TOKEN.test(method)) return refused("TypeError", method);
  const bad = { row: "request-syntax" as const };
  if (IN_HOST.test(target)) return { ...bad, thrown: { x: "InvalidURL" } };
  // deno-lint-ignore no-control-regex
  if (/[^\x00-\x7f]/.test(target)) return { ...bad, thrown: { x: "TypeError" } };
  return null;
}

function body(spec: [string, unknown] | null | undefined): Refused | null {
  if (!spec) return null;
  const text = spec[0] === "strs" ? (spec[1] as string[]).join("") : String(spec[1]);
  if (spec[0] !== "int" && !WIDE.test(text)) return null;
  return { thrown: { x: "TypeError" }, row: "request-syntax" };
}

/** What the grammar says to a call. */
function refusal([name, ...args]: Call): Refused | null {
  const first = (pairs: unknown) => {
    for (const pair of pairs as [string, Value][] ?? []) {
      const bad = field(pair);
      if (bad !== null) return bad;
    }
    return null;
  };
  switch (name) {
    case "request":
      return line(args[0] as string, args[1] as string) ?? body(args[2] as [string, unknown]) ??
        first(args[3]);
    case "putrequest":
      return line(args[0] as string, args[1] as string);
    case "putheader":
      return first(args.slice(1).map((value) => [nameOf(args[0]), value]));
    case "send":
    case "endheaders":
      return body(args[0] as [string, unknown]);
    case "set_tunnel":
      return IN_HOST.test(args[0] as string)
        ? { thrown: { x: "InvalidURL" }, row: "request-syntax" }
        : first(args[2]);
    default:
      return null;
  }
}

function nameOf(spec: unknown): string {
  return typeof spec === "object" ? (spec as { b: string }).b : String(spec);
}

/** Calls that are refused: they throw, and leave nothing behind. */
function withRefused(vector: RequestVector, note: (row: RowId) => void): ConnectionAnswer {
  const out = [...vector.twin!.out!];
  vector.calls.forEach((call, i) => {
    const found = refusal(call);
    if ((found !== null) !== vector.refused!.includes(i)) {
      throw new Error(`${vector.id}: call ${i} is ${found === null ? "not " : ""}to be refused`);
    }
    if (found === null) return;
    out.splice(i, 0, found.thrown);
    if (canonical(vector.expect.out![i]) !== canonical(found.thrown)) note(found.row);
  });
  note("refused-state");
  return { out, sent: vector.twin!.sent };
}

/** A host outside of US-ASCII: as URLs have it. */
function withIdna(vector: RequestVector): ConnectionAnswer {
  const ascii = domainToASCII(vector.wide!);
  const { out, sent } = vector.twin!;
  // CPython sends the space that a no-break space is mapped to.
  if (ascii !== "" && !IN_HOST.test(ascii)) {
    return {
      out,
      sent: sent!.map((s) => s.replaceAll(IN_ITS_PLACE, ascii)),
    };
  }
  // set_tunnel() refuses it; otherwise the request that would name it does.
  const tunnel = vector.calls.findIndex(([name]) => name === "set_tunnel");
  const at = Math.max(tunnel, 0);
  const mixed: Result[] = out!.map((one, i) => i === at ? { x: "InvalidURL" } : one);
  if (tunnel < 0) return { out: mixed, sent: vector.scheme === "https" ? [""] : [] };
  const request = sent![0].slice(sent![0].indexOf("\r\n\r\n") + 4);
  return { out: mixed, sent: [request.replace(/Host: [^\r]*/, `Host: ${vector.new[0]}`)] };
}

/** A proxy's answer to CONNECT, read as any head. */
function withReply(vector: RequestVector, note: (row: RowId) => void): ConnectionAnswer {
  const twin = vector.twin!;
  const at = vector.calls.findIndex(([name]) => name === "request");
  const shown = (fields: [string, string][] | null) => ({ pairs: fields }) as unknown as Result;
  const answer = (thrown: Result, fields: [string, string][] | null, sent: string[]) => ({
    out: twin.out!.map((one, i) =>
      i === at ? thrown : vector.calls[i][0] === "proxy_headers" ? shown(fields) : one
    ),
    sent,
  });
  const failed = (thrown: Thrown, fields: [string, string][] | null) => {
    const [first, ...later] = twin.sent!;
    return answer(thrown, fields, [first.slice(0, first.indexOf("\r\n\r\n") + 4), ...later]);
  };
  // The method is of no account here, as long as the framing is not looked at.
  const reply = vector.answers[0];
  try {
    const { head: [status, reason, , , , , fields] } = modelHead("HEAD", reply, note);
    if (status < 200 || status > 299) {
      if (reply.startsWith("HTTP/1.1 1") && status !== 101) note("tunnel-2xx");
      return failed({ x: "TunnelError", status, reason }, fields);
    }
    if (status !== 200 || reply.startsWith("HTTP/1.1 1")) note("tunnel-2xx");
    return answer(null, fields, twin.sent!);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    note("tunnel-head");
    return failed(error.thrown, null);
  }
}

/** How many bytes a body has, and whether that is known before it is read. */
function sizeOf([kind, content]: [string, unknown]): { size: number; known: boolean } {
  const text = typeof content === "string" ? content : (content as string[]).join("");
  const known = ["str", "bytes", "bytearray", "memoryview", "array16"].includes(kind);
  return { size: text.length, known };
}

/** The value of a field of a request, if it is there. */
function valueOf(pairs: unknown, name: string): string | null {
  const found = (pairs as [string, Value][] ?? []).find(([n]) => n.toLowerCase() === name);
  return found === undefined ? null : String(found[1]);
}

/** The head of what was sent. */
function headOf(sent: string): string {
  return sent.slice(0, sent.indexOf("\r\n\r\n") + 4);
}

/** A request that is framed in a way that it may not be; `null` for any other. */
function withFraming(vector: RequestVector): Explained<ConnectionAnswer> | null {
  const { calls, expect } = vector;
  const thrown: Thrown = { x: "TypeError" };
  if (calls.length === 1 && calls[0][0] === "request") {
    const [, , , content, pairs] = calls[0] as [string, string, string, [string, unknown], unknown];
    const length = valueOf(pairs, "content-length");
    if (length !== null && valueOf(pairs, "transfer-encoding") !== null) {
      return { answer: { out: [thrown], sent: [] }, rows: ["request-framing"] };
    }
    if (length === null || !content) return null;
    const { size, known } = sizeOf(content);
    if (size === Number(length)) return null;
    // What shows while the body is read shows before the first write here: the bodies are short.
    return { answer: { out: [thrown], sent: known ? [] : [""] }, rows: ["request-length"] };
  }
  const early = calls.findIndex(([name], i) =>
    name === "send" && calls[i + 1]?.[0] === "endheaders"
  );
  if (early >= 0) {
    const out: Result[] = expect.out!.map((one, i) =>
      i === early ? { x: "CannotSendRequest" } : one
    );
    const sent = expect.sent!.map((one) => one.slice(one.indexOf(calls[0][1] as string)));
    return { answer: { out, sent }, rows: ["send-early"] };
  }
  const declared = calls.find(([name, field]) =>
    name === "putheader" && field === "Content-Length"
  );
  if (declared === undefined) return null;
  let left = Number(declared[2]);
  for (const [i, [name, content]] of calls.entries()) {
    if (name !== "send") continue;
    const { size } = sizeOf(content as [string, unknown]);
    if (size > left && expect.out![i] === null) {
      const out = expect.out!.map((one, at) => at === i ? thrown : one);
      return { answer: { out, sent: expect.sent!.map(headOf) }, rows: ["request-length"] };
    }
    left -= size;
  }
  return null;
}

/** `Host` without the user information of an absolute-form target. */
function withoutUserinfo(answer: ConnectionAnswer): ConnectionAnswer {
  return { ...answer, sent: answer.sent!.map((s) => s.replace(/(\r\nHost: )[^\r]*@/, "$1")) };
}

/** The `Host` of a CONNECT is its target. */
function withTargetAsHost(answer: ConnectionAnswer): ConnectionAnswer {
  const sent = answer.sent!.map((one) =>
    one.replace(/^(CONNECT (\S+) HTTP\/1.1\r\nHost: )[^\r]*/, "$1$2")
  );
  return { ...answer, sent };
}

/** CONNECT to an IPv6 address: in brackets and without its scope, in `Host` as in the target. */
function withBrackets(answer: ConnectionAnswer): ConnectionAnswer {
  const fix = (sent: string) =>
    sent.replace(/^CONNECT \[([^%\]]*)[^\]]*\]:(\d+) HTTP\/1.1\r\n/, "CONNECT [$1]:$2 HTTP/1.1\r\n")
      .replace(
        /^(CONNECT (\S+) HTTP\/1.1\r\n(?:[^\r]+\r\n)*?Host: )[^[\r]*:[^\r]*:\d+/,
        "$1$2",
      );
  return { ...answer, sent: answer.sent!.map(fix) };
}

/** The port of an absolute-form target with a scope, which CPython cuts off with the scope. */
function withPort(target: string, answer: ConnectionAnswer): ConnectionAnswer {
  const port = /\]:(\d+)/.exec(target)![1];
  const sent = answer.sent!.map((one) => one.replace(/(\r\nHost: [^\r]*)/, `$1:${port}`));
  return { ...answer, sent };
}

/** Digits, and not over what a port can be. */
function badPort(host: string, port?: number | null): boolean {
  const text = /:([^:\]]*)$/.exec(host);
  const given = port ?? (text === null || text[1] === "" ? 0 : text[1]);
  return !/^\d+$/.test(String(given)) || Number(given) > 65535;
}

/** The answer that a request vector must get here. */
export function explainRequest(vector: RequestVector): Explained<ConnectionAnswer> {
  const rows: RowId[] = [];
  const note = (row: RowId) => void (rows.includes(row) || rows.push(row));
  const explained = (answer: ConnectionAnswer) => ({ answer, rows });
  const { expect, twin } = vector;
  const [host, port] = vector.new;
  if (IN_HOST.test(host)) {
    if (expect.new === undefined) note("request-syntax");
    return explained({ new: { x: "InvalidURL" } });
  }
  if (expect.new === undefined && badPort(host, port)) {
    note("port-digits");
    return explained({ new: { x: "InvalidURL" } });
  }
  if (vector.refused !== undefined) return explained(withRefused(vector, note));
  if (vector.wide !== undefined && expect.new === undefined) {
    note("idna");
    return explained(withIdna(vector));
  }
  if (vector.id.includes("/reply-")) return explained(withReply(vector, note));
  const framed = withFraming(vector);
  if (framed !== null) return framed;
  if (twin !== undefined && canonical(twin) !== canonical(expect)) {
    note("body-kinds");
    return explained(twin);
  }
  const target = vector.calls[0]?.[2];
  if (typeof target === "string" && /^https?:\/\/[^/?#]*@/.test(target)) {
    note("userinfo");
    return explained(withoutUserinfo(expect));
  }
  if (vector.id.startsWith("targets/connect/") && /^[^/?#@]+:[0-9]+$/.test(String(target))) {
    note("connect-host");
    return explained(withTargetAsHost(expect));
  }
  if (vector.calls[0]?.[0] === "set_tunnel" && expect.sent?.some((sent) => sent[8] === "[")) {
    note("ipv6");
    return explained(withBrackets(expect));
  }
  if (typeof target === "string" && /^https?:\/\/\[[^\]]*%[^\]]*\]:/.test(target)) {
    note("ipv6");
    return explained(withPort(target, expect));
  }
  if (JSON.stringify(vector.calls).includes('"array16"')) {
    if (expect.sent!.some((sent) => sent.includes("\r\n3\r\nabcdef"))) note("array-chunk");
    const sent = expect.sent!.map((one) => one.replace("\r\n3\r\nabcdef", "\r\n6\r\nabcdef"));
    return explained({ ...expect, sent });
  }
  return explained(expect);
}

/** The answer that a session must get here. */
export function explainSession(vector: SessionVector): Explained<ConnectionAnswer> {
  if (vector.forced === undefined) return { answer: vector.expect, rows: [] };
  const row = vector.id.startsWith("idle/") ? "idle" : "error-state";
  return { answer: vector.twin!, rows: [row] };
}
