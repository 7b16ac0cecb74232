/**
 * The diagrams of the state tables, as `_internal/README.md` shows them.
 *
 * `deno run -A tests/exchange/states_diagram.ts` writes them there.
 *
 * @module
 */
import {
  BODY,
  CALLS,
  CONNECTION,
  RECEIVING,
  SENDING,
  type Table,
} from "../../_internal/exchange/states.ts";

const TABLES: [title: string, table: Table<string, string>][] = [
  ["The calls of a client (`CALLS`)", CALLS],
  ["A connection (`CONNECTION`)", CONNECTION],
  ["The sending half of an exchange (`SENDING`)", SENDING],
  ["The receiving half of an exchange (`RECEIVING`)", RECEIVING],
  ["A body (`BODY`)", BODY],
];

/** Where the diagrams stand. */
export const README: URL = new URL("../../_internal/README.md", import.meta.url);
const BEGIN = "<!-- states:begin -->";
const END = "<!-- states:end -->";

/** A name that Mermaid takes for a state. */
function id(state: string): string {
  return state.replaceAll("-", "_");
}

/** The diagram of one table; events that change nothing are left out. */
function diagram(table: Table<string, string>): string {
  const lines = ["```mermaid", "stateDiagram-v2"];
  const states = Object.keys(table);
  for (const state of states) if (id(state) !== state) lines.push(`  ${id(state)}: ${state}`);
  lines.push(`  [*] --> ${id(states[0])}`);
  for (const state of states) {
    const ways = new Map<string, string[]>();
    for (const [event, to] of Object.entries(table[state])) {
      if (to === state) continue;
      ways.set(to!, [...ways.get(to!) ?? [], event]);
    }
    for (const [to, events] of ways) {
      lines.push(`  ${id(state)} --> ${id(to)}: ${events.join(", ")}`);
    }
  }
  return [...lines, "```"].join("\n");
}

/** All diagrams, as they stand between the marks. */
function diagrams(): string {
  return TABLES.map(([title, table]) => `**${title}**\n\n${diagram(table)}\n`).join("\n");
}

/** The text with today's diagrams in it. */
export function withDiagrams(text: string): string {
  const [before, rest] = text.split(BEGIN);
  const after = rest.split(END)[1];
  return `${before}${BEGIN}\n\n${diagrams()}\n${END}${after}`;
}

if (import.meta.main) {
  Deno.writeTextFileSync(README, withDiagrams(Deno.readTextFileSync(README)));
}
