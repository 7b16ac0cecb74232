import { assertEquals, assertThrows } from "@std/assert";
import { README, withDiagrams } from "./states_diagram.ts";
import {
  BODY,
  call,
  type CallEvent,
  CALLS,
  type CallState,
  CONNECTION,
  next,
  RECEIVING,
  SENDING,
  type Table,
} from "../../_internal/exchange/states.ts";
import {
  CannotSendHeader,
  CannotSendRequest,
  ImproperConnectionState,
  ResponseNotReady,
} from "../../errors.ts";

/** What each table must hold: a line an event, with where it leads from each state; `-` for nowhere. */
const EXPECTED: Record<string, { table: Table<string, string>; states: string; events: string }> = {
  CALLS: {
    table: CALLS,
    states: "Idle Request-started Request-sent Receiving",
    events: `
      putrequest:  Request-started - - -
      putheader:   - Request-started - -
      endheaders:  - Request-sent - -
      getresponse: - - Receiving -
      refuse:      - Idle Idle -
      over:        Idle - Idle Idle
      close:       Idle Idle Idle Idle`,
  },
  CONNECTION: {
    table: CONNECTION,
    states: "opening fresh idle busy last switched detached closed",
    events: `
      open:         fresh - - - - - - -
      begin:        - busy busy - - - - -
      end-of-reuse: - last last last last switched detached closed
      release:      - - - idle closed switched detached closed
      switch:       - - - switched switched - - -
      detach:       - detached detached detached detached detached - -
      close:        closed closed closed closed closed closed detached closed`,
  },
  SENDING: {
    table: SENDING,
    states: "nothing waiting going whole cut",
    events: `
      send:   going going going going -
      wait:   - - waiting - -
      finish: - - whole whole whole
      cut:    cut cut cut whole cut`,
  },
  RECEIVING: {
    table: RECEIVING,
    states: "nothing head body whole cut",
    events: `
      await: head head - - -
      head:  - body - - -
      end:   - - whole - -
      cut:   cut cut cut whole cut`,
  },
  BODY: {
    table: BODY,
    states: "open complete cut closed",
    events: `
      end:   complete complete - -
      cut:   cut complete cut closed
      close: closed complete cut closed`,
  },
};

for (const [name, { table, states, events }] of Object.entries(EXPECTED)) {
  Deno.test(`${name} has these states and no others`, () => {
    assertEquals(Object.keys(table).join(" "), states);
  });

  const lines = events.trim().split("\n").map((line) => line.trim().split(/:\s+/));
  Deno.test(`${name} has these events and no others`, () => {
    const used = new Set(Object.values(table).flatMap((ways) => Object.keys(ways)));
    const known = lines.map(([event]) => event.replaceAll("-", " "));
    assertEquals([...used].filter((event) => !known.includes(event)), []);
  });

  for (const [event, ways] of lines) {
    for (const [i, to] of ways.split(" ").entries()) {
      const state = states.split(" ")[i];
      const word = event.replaceAll("-", " ");
      if (to !== "-") {
        Deno.test(`next() leads from ${state} to ${to} by "${word}" in ${name}`, () => {
          assertEquals(next(table, state, word), to);
        });
      } else {
        Deno.test(`next() throws for "${word}" in state ${state} of ${name}`, () => {
          assertThrows(() => next(table, state, word), Error, `No way from "${state}"`);
        });
      }
    }
  }
}

/** What CPython throws where a call must not happen. */
const REFUSALS: Record<
  CallEvent,
  { new (message?: string): ImproperConnectionState; prototype: ImproperConnectionState }
> = {
  putrequest: CannotSendRequest,
  putheader: CannotSendHeader,
  endheaders: CannotSendHeader,
  getresponse: ResponseNotReady,
  refuse: ImproperConnectionState,
  over: ImproperConnectionState,
  close: ImproperConnectionState,
};

for (const [state, ways] of Object.entries(CALLS) as [CallState, Record<string, string>][]) {
  for (const event of Object.keys(REFUSALS) as CallEvent[]) {
    if (event in ways) continue;
    Deno.test(`call() throws ${REFUSALS[event].name} for ${event} in ${state}`, () => {
      assertThrows(() => call(state, event), REFUSALS[event], state);
    });
  }
}

Deno.test("call() returns to Idle after each exchange", () => {
  const events: CallEvent[] = [
    "putrequest",
    "putheader",
    "endheaders",
    "getresponse",
    "over",
  ];
  assertEquals(events.reduce(call, "Idle"), "Idle");
});

Deno.test("_internal/README.md shows the diagrams of the tables", () => {
  const text = Deno.readTextFileSync(README);
  assertEquals(text, withDiagrams(text));
});
