import { assertEquals, assertThrows } from "@std/assert";
import { README, withDiagrams } from "./states_diagram.ts";
import {
  BODY,
  BODY_STEPS,
  call,
  CALL_STEPS,
  type CallEvent,
  CALLS,
  type CallState,
  CONNECTION,
  CONNECTION_STEPS,
  next,
  RECEIVING,
  RECEIVING_STEPS,
  SENDING,
  SENDING_STEPS,
  type Step,
  type Table,
} from "../../_internal/exchange/states.ts";
import {
  CannotSendHeader,
  CannotSendRequest,
  ImproperConnectionState,
  ResponseNotReady,
} from "../../errors.ts";

/** What each table must hold: a line an event, with where it leads from each state; `-` for nowhere. */
const EXPECTED: Record<string, {
  table: Table<string, string>;
  steps: Record<string, Step<string>>;
  states: string;
  events: string;
}> = {
  CALLS: {
    table: CALLS,
    steps: CALL_STEPS,
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
    steps: CONNECTION_STEPS,
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
    steps: SENDING_STEPS,
    states: "nothing waiting going whole cut",
    events: `
      send:   going going going going -
      wait:   - - waiting - -
      finish: - - whole whole whole
      cut:    cut cut cut whole cut`,
  },
  RECEIVING: {
    table: RECEIVING,
    steps: RECEIVING_STEPS,
    states: "nothing head body whole cut",
    events: `
      await: head head - - -
      head:  - body - - -
      end:   - - whole - -
      cut:   cut cut cut whole cut`,
  },
  BODY: {
    table: BODY,
    steps: BODY_STEPS,
    states: "open complete cut closed",
    events: `
      end:   complete complete - -
      cut:   cut complete cut closed
      close: closed complete cut closed`,
  },
};

for (const [name, { table, steps, states, events }] of Object.entries(EXPECTED)) {
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
          assertEquals(next(steps[word], state), to);
        });
      } else {
        Deno.test(`next() throws for "${word}" in state ${state} of ${name}`, () => {
          assertThrows(() => next(steps[word], state), Error, `No way from "${state}"`);
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
      assertThrows(() => call(CALL_STEPS[event], state), REFUSALS[event], state);
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
  const end = events.reduce<CallState>((state, event) => call(CALL_STEPS[event], state), "Idle");
  assertEquals(end, "Idle");
});

Deno.test("_internal/README.md shows the diagrams of the tables", () => {
  const text = Deno.readTextFileSync(README);
  assertEquals(text, withDiagrams(text));
});
