/**
 * Makes a case from a seed.
 *
 * @module
 */
import {
  type Act,
  type AnswerPlan,
  type BodyPlan,
  type Call,
  type Case,
  type ConnPlan,
  HELD,
  type Hook,
  type HookPoint,
  type Op,
  type Pace,
  PLAIN_ANSWER,
  PLAIN_CONN,
  type Reading,
  READINGS,
  type Way,
} from "./plan.ts";
import { canDeclare } from "./player.ts";
import { Random } from "./random.ts";

const HOOK_POINTS: readonly HookPoint[] = [
  "connectStart",
  "connected",
  "requestStart",
  "requestHead",
  "requestBody",
  "requestEnd",
  "responseHead",
  "responseBody",
  "responseEnd",
  "close",
  "onInformational",
  "opening",
  "opened",
];
const ACTS: readonly Act[] = ["throw", "close", "abort", "request", "dispose"];
const MEMORY: readonly Way[] = ["transport", "transport", "sock", "subclass"];
const TCP: readonly Way[] = ["tcp", "tcp", "tcp-transport", "tcp-sock"];
const FRAMINGS: readonly AnswerPlan["framing"][] = [
  "length",
  "length",
  "chunked",
  "chunked",
  "close",
  "http10",
];
const MOST_TICKS = 40;

/** What the calls that were made so far lead to. */
interface Connected {
  /** Whether a request is out whose response was not asked for. */
  asked: boolean;
  /** Whether a response is there to be read. */
  answered: boolean;
}

/** Makes the case of a seed. */
export function makeCase(seed: number): Case {
  return new Generator(seed).make();
}

class Generator {
  #random: Random;
  #seed: number;
  #id = 1;
  #ops: Op[] = [];
  #states: Connected[] = [];
  /** How likely something unusual is: many cases have little of it, so that it is not hidden. */
  #oddness: number;
  #memory: boolean;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#oddness = this.#random.pick([0.05, 0.15, 0.3]);
    this.#memory = this.#random.chance(0.9);
  }

  make(): Case {
    const random = this.#random;
    const conns = random.chance(0.3) ? [this.#conn(), this.#conn()] : [this.#conn()];
    this.#states = conns.map(() => ({ asked: false, answered: false }));
    const length = 2 + random.below(10);
    while (this.#ops.length < length) this.#add(random.below(conns.length));
    return { seed: this.#seed, conns, ops: this.#ops };
  }

  #odd(factor = 1): boolean {
    return this.#random.chance(this.#oddness * factor);
  }

  #conn(): ConnPlan {
    const random = this.#random;
    const hooks: Hook[] = [];
    while (this.#odd(0.7) && hooks.length < 2) {
      const at = random.pick(HOOK_POINTS);
      hooks.push({ at, nth: random.below(3), act: random.pick(ACTS), id: this.#id++ });
    }
    return {
      ...PLAIN_CONN,
      way: random.pick(this.#memory ? MEMORY : TCP),
      timeout: this.#odd(0.3) ? 0.03 : null,
      opening: this.#odd() ? this.#delay() : 0,
      writing: this.#odd() ? this.#delay() : 0,
      late: random.chance(0.3),
      accepts: this.#odd(0.5) ? 1 + random.below(200) : 0,
      stubborn: this.#odd(0.5),
      traced: hooks.length > 0 || random.chance(0.2),
      hooks,
    };
  }

  #delay(): number {
    return this.#random.chance(0.4) ? HELD : this.#random.below(MOST_TICKS);
  }

  #pace(): Pace {
    const random = this.#random;
    if (random.chance(0.5)) return "settle";
    if (random.chance(0.2)) return "turn";
    return random.chance(0.4) ? random.below(4) : random.below(MOST_TICKS);
  }

  #push(call: Call): void {
    this.#ops.push({ ...call, after: this.#pace() });
  }

  #add(conn: number): void {
    const random = this.#random;
    const state = this.#states[conn];
    if (random.chance(0.2)) return this.#disturb(conn);
    if (!state.asked && (!state.answered || random.chance(0.3))) {
      if (random.chance(0.15)) this.#steps(conn);
      else this.#request(conn);
      state.asked = true;
    } else if (state.asked && random.chance(0.8)) {
      this.#push({ op: "getresponse", conn, signal: this.#signal() });
      [state.asked, state.answered] = [false, true];
    } else if (random.chance(0.9)) {
      const how: Reading = random.pick(READINGS);
      const amount = random.pick([1, 7, 60, 200, 5000]);
      this.#push({ op: "read", conn, back: this.#odd(0.5) ? 1 : 0, how, amount });
      if (random.chance(0.5)) state.answered = false;
    } else state.asked = state.answered = false;
  }

  /** Something that does not belong to a plain exchange. */
  #disturb(conn: number): void {
    const random = this.#random;
    const kind = random.below(20);
    const back = random.chance(0.8) ? 0 : 1;
    if (kind < 4) this.#push({ op: "close", conn });
    else if (kind < 8) this.#push({ op: "abort", signal: random.below(2) });
    else if (kind < 11) this.#push({ op: "closeResponse", conn, back });
    else if (kind < 13) this.#push({ op: "connect", conn });
    else if (kind < 14) this.#push({ op: "sock", conn });
    else if (kind < 15) this.#push({ op: "dispose", conn });
    else if (kind < 16) this.#push({ op: "rest", milliseconds: this.#memory ? 12 : 30 });
    else if (kind < 17) this.#raw(conn);
    else if (kind < 18) this.#request(conn);
    else this.#unasked(conn);
  }

  #unasked(conn: number): void {
    const what = this.#random.pick(["answer", "answer", "fin", "reset"] as const);
    this.#push({ op: "push", conn, what });
    if (!this.#memory) this.#push({ op: "rest", milliseconds: 30 });
  }

  #raw(conn: number): void {
    this.#push({ op: "raw", conn, part: this.#id++, size: 40, lost: this.#random.chance(0.2) });
  }

  #signal(): number | null {
    return this.#random.chance(0.25) ? this.#random.below(2) : null;
  }

  #request(conn: number): void {
    const random = this.#random;
    const id = this.#id++;
    const body = random.chance(0.5) ? this.#body() : null;
    const method = body !== null ? "POST" : this.#bodyless();
    const declared = canDeclare(body) && random.chance(0.25) ? random.pick([0, 0, 0, 5, -5]) : null;
    this.#push({
      op: "request",
      conn,
      id,
      method,
      body,
      declared,
      odd: this.#odd(0.15) ? random.pick(["both", "hosts", "length", "encodings"]) : "none",
      expect: body !== null && this.#odd(0.5),
      trailers: body !== null && body.kind === "async" && declared === null && this.#odd(0.5),
      close: this.#odd(0.5),
      signal: this.#signal(),
      lost: random.chance(0.1),
      answer: this.#answer(body !== null, method),
    });
  }

  #bodyless(): string {
    const random = this.#random;
    if (random.chance(0.8)) return "GET";
    return random.pick(["POST", "HEAD", "HEAD", "CONNECT"]);
  }

  #body(): BodyPlan {
    const random = this.#random;
    const pieces = Array.from(
      { length: 1 + random.below(4) },
      () => random.pick([12, 40, 150, 3000]),
    );
    return {
      kind: random.pick(["string", "bytes", "array", "sync", "async", "async", "stream", "reader"]),
      pieces,
      delay: random.chance(0.5) ? this.#delay() : 0,
      end: this.#odd(0.6) ? random.pick(["throw", "never"] as const) : "end",
      act: this.#odd(0.5) ? random.pick(ACTS) : null,
      actId: this.#id++,
    };
  }

  /** A request in steps; what is sent is what is declared, more, or less. */
  #steps(conn: number): void {
    const random = this.#random;
    const id = this.#id++;
    const first = random.chance(0.3) ? random.pick([12, 150]) : null;
    const sizes = Array.from({ length: random.below(4) }, () => random.pick([12, 40, 150, 3000]));
    const size = sizes.reduce((sum, size) => sum + size, first ?? 0);
    const wrong = this.#odd(0.7) ? random.pick([10, -10]) : 0;
    const length = this.#odd(0.4) ? null : Math.max(0, size + wrong);
    const answer = this.#answer(size > 0, "POST");
    this.#push({ op: "put", conn, id, method: "POST", length, close: this.#odd(0.3), answer });
    const lost = random.chance(0.1);
    this.#push({ op: "end", conn, id, body: first, lost, signal: this.#signal() });
    sizes.forEach((size, i) => {
      this.#push({ op: "send", conn, id, part: i + 1, size, lost: random.chance(0.1) });
    });
  }

  #answer(bodied: boolean, method: string): AnswerPlan {
    const random = this.#random;
    const framing = random.pick(FRAMINGS);
    const cut = this.#odd(0.6) ? random.pick(["fin", "reset", "stall"] as const) : "no";
    const when = bodied && random.chance(0.3) ? random.pick(["head", "early"] as const) : "whole";
    const final = random.chance(0.7) ? 200 : random.pick([204, 304, 302, 400, 413, 500]);
    const status = !bodied && method === "GET" && this.#odd(0.15) ? 101 : final;
    return {
      ...PLAIN_ANSWER,
      status,
      framing: status === 101 || cut === "fin" && framing === "close" ? "length" : framing,
      size: random.pick([0, 10, 90, 400, 5000]),
      interim: this.#odd(0.5) ? random.pick([[100], [103], [100, 103, 102]]) : [],
      when,
      close: random.chance(0.1),
      cut,
      cutAt: random.next(),
      extra: this.#odd(0.5),
      fin: this.#odd(0.4),
      trailers: random.chance(0.2),
      pieces: random.pick([1, 1, 2, 3, 8]),
      delay: random.chance(0.4) ? this.#delay() : 0,
      reads: !this.#odd(0.7),
    };
  }
}
