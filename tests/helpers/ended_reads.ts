/**
 * Reads of a body that is ended under them, in each microtask. It runs in a worker, as a call that spins
 * would freeze the tests: whoever starts it is told of each case before and after it.
 *
 * @module
 */
import { HTTPConnection, type HTTPResponse } from "../../mod.ts";
import { latin1 } from "../servers/raw.ts";
import { answering, over } from "./fake_transport.ts";
import { microtasks } from "./waiting.ts";

/** Which case is tried, or how it ended. */
export type Told =
  | { begun: string }
  | { name: string; bytes: string; error: string | null }
  | "over";

/** Ways of delimiting the body: its head, and what has come of "abcdefghij". */
export const FRAMINGS: Record<string, string> = {
  "Content-Length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
  "chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc",
  "until close": "HTTP/1.1 200 OK\r\n\r\nabc",
};

type Got = (piece: Uint8Array) => void;

const CALLS: [name: string, call: (response: HTTPResponse, got: Got) => Promise<void>][] = [
  ["read()", async (r, got) => got(await r.read())],
  ["read(50)", async (r, got) => got(await r.read(50))],
  ["readinto()", async (r, got) => {
    const p = new Uint8Array(50);
    got(p.subarray(0, await r.readinto(p)));
  }],
  ["read1()", async (r, got) => got(await r.read1())],
  ["readline()", async (r, got) => got(await r.readline())],
  ["readlines()", async (r, got) => (await r.readlines()).forEach(got)],
  ["lines()", async (r, got) => {
    for await (const line of r.lines()) got(line);
  }],
  ["for await", async (r, got) => {
    for await (const piece of r) got(piece);
  }],
  ["getReader()", async (r, got) => {
    const reader = r.getReader();
    for (let one; !(one = await reader.read()).done;) got(one.value);
  }],
  ["getReader({ mode: 'byob' })", async (r, got) => {
    const reader = r.getReader({ mode: "byob" });
    for (let one; !(one = await reader.read(new Uint8Array(50))).done;) got(one.value);
  }],
  ["pipeTo()", (r, got) => r.pipeTo(new WritableStream({ write: got }))],
  ["text()", async (r, got) => got(new TextEncoder().encode(await r.text()))],
];

const ENDS: [
  name: string,
  end: (conn: HTTPConnection, response: HTTPResponse, controller: AbortController) => void,
][] = [
  ["an abort", (_conn, _response, controller) => controller.abort(new Error("enough"))],
  ["response.close()", (_, response) => response.close()],
  ["conn.close()", (conn) => conn.close()],
  ["dispose", (conn) => conn[Symbol.dispose]()],
];

/** After so many microtasks. */
const TICKS = [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20];

/** One call that is ended after some microtasks. */
async function tried(
  head: string,
  call: (typeof CALLS)[number][1],
  end: (typeof ENDS)[number][1],
  ticks: number,
): Promise<{ bytes: string; error: string | null }> {
  const conn = new HTTPConnection("example.com", over(answering(head)));
  const controller = new AbortController();
  await conn.request("GET", "/", null, {}, { signal: controller.signal });
  const response = await conn.getresponse();
  let bytes = "";
  const outcome = call(response, (piece) => bytes += latin1(piece))
    .then(() => null, (error) => `${error.name}: ${error.message}`);
  await microtasks(ticks);
  end(conn, response, controller);
  const error = await outcome;
  conn[Symbol.dispose]();
  return { bytes, error };
}

/** Tries each call with each end, and tells of it. */
export async function tryAll(framing: string, tell: (told: Told) => void): Promise<void> {
  for (const [call, run] of CALLS) {
    for (const [name, end] of ENDS) {
      // CPython: a response until close has its connection, which survives.
      if (framing === "until close" && name === "conn.close()") continue;
      for (const ticks of TICKS) {
        const begun = `${call}, ${name} after ${ticks} microtasks`;
        tell({ begun });
        tell({ name: begun, ...await tried(FRAMINGS[framing], run, end, ticks) });
      }
    }
  }
  tell("over");
}
