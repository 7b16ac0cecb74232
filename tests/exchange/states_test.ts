import { assertEquals, assertThrows } from "@std/assert";
import { type Event, type State, step, unread } from "../../_internal/exchange/states.ts";
import {
  CannotSendHeader,
  CannotSendRequest,
  ImproperConnectionState,
  ResponseNotReady,
} from "../../errors.ts";

const STATES: State[] = [
  "Idle",
  "Request-started",
  "Request-sent",
  "Receiving",
  "Unread-response",
  "Request-started-unread-response",
  "Request-sent-unread-response",
];

/** Where each event leads to in each state, in the order of `STATES`; `-` where it must not happen. */
const WAYS: Record<Event, string> = {
  putrequest: "Request-started - - - Request-started-unread-response - -",
  putheader: "- Request-started - - - Request-started-unread-response -",
  endheaders: "- Request-sent - - - Request-sent-unread-response -",
  // The response of the second request can only be got when the first one is over.
  getresponse: "- - Receiving - - - -",
  refuse: "- Idle Idle - - Unread-response Unread-response",
  head: "- - - Unread-response - - -",
  over: "Idle Request-started Request-sent Idle Idle Request-started Request-sent",
  close: "Idle Idle Idle Idle Idle Idle Idle",
};

/** What CPython throws where it must not happen. */
const REFUSALS = {
  putrequest: CannotSendRequest,
  putheader: CannotSendHeader,
  endheaders: CannotSendHeader,
  getresponse: ResponseNotReady,
  refuse: ImproperConnectionState,
  head: ImproperConnectionState,
  over: ImproperConnectionState,
  close: ImproperConnectionState,
};

for (const [event, ways] of Object.entries(WAYS) as [Event, string][]) {
  for (const [i, next] of ways.split(" ").entries()) {
    const state = STATES[i];
    if (next === "-") {
      Deno.test(`step() throws ${REFUSALS[event].name} for ${event} in ${state}`, () => {
        assertThrows(() => step(state, event), REFUSALS[event], state);
      });
    } else {
      Deno.test(`step() goes from ${state} to ${next} for ${event}`, () => {
        assertEquals(step(state, event), next);
      });
    }
  }
}

Deno.test("unread() is true in the states with an unread response", () => {
  assertEquals(STATES.filter(unread), [
    "Unread-response",
    "Request-started-unread-response",
    "Request-sent-unread-response",
  ]);
});

for (const [event, error] of Object.entries(REFUSALS)) {
  Deno.test(`step() throws an ImproperConnectionState when it refuses ${event}`, () => {
    assertEquals(new error() instanceof ImproperConnectionState, true);
  });
}

Deno.test("step() comes back to Idle after an exchange that keeps the connection", () => {
  const events: Event[] = ["putrequest", "putheader", "endheaders", "getresponse", "head", "over"];
  assertEquals(events.reduce(step, "Idle"), "Idle");
});

Deno.test("step() allows getresponse for a second request when the first response is over", () => {
  const events: Event[] = [
    "putrequest",
    "endheaders",
    "getresponse",
    "head",
    "putrequest",
    "endheaders",
    "over",
    "getresponse",
  ];
  assertEquals(events.reduce(step, "Idle"), "Receiving");
});
