/**
 * What must be printed here.
 *
 * @module
 */
import type { Explained } from "./explain_response.ts";
import type { DebugVector } from "./vectors.ts";

/** CPython prints a proxy's field lines raw: their CR is in the line, their LF makes another one. */
function proxyLines(lines: string[], status: string): string[] {
  const at = lines.findIndex((line) => line.startsWith("send: b'CONNECT")) + 1;
  const to = lines.findIndex((line, i) => i > at && line.startsWith("send:"));
  const fields = lines.slice(at, to).filter((line) => line !== "" && line !== "header: \r");
  return [
    ...lines.slice(0, at),
    `reply: '${status}\\r\\n'`,
    ...fields.map((line) => line.replace(/\r$/, "")),
    ...lines.slice(to),
  ];
}

/** The lines that a vector must print. */
export function explainDebug({ calls, script, expect }: DebugVector): Explained<string[]> {
  const sized = expect.filter((line) => !line.startsWith("Unable to determine size of"));
  const tunnelled = calls.some(([name]) => name === "set_tunnel");
  const answer = tunnelled ? proxyLines(sized, script[0].text.split("\r\n", 1)[0]) : sized;
  return { answer, rows: tunnelled || sized.length < expect.length ? ["debug-lines"] : [] };
}
