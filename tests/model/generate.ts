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

/**
 * Orders of calls that chance rarely makes, each a letter for the call and a digit for the connection:
 * r(equest), g(etresponse), h (the same, and close it on delivery), R(ead), b (read the response before), x (close the response), c(onnect),
 * C(lose), s(ock), S(teps), p(ush by the server), a(bort).
 */
const SHAPES: readonly string[] = [
  "r1 g1 R1 r1 g1 R1 r0 g0 r0 c0 h0 R0 r1 g1 R1 b0",
  "r0 g0 r0 g0 R0 b0 x0 r1 g1 R1",
  "r0 g0 R0 C0 r1 g1 R1 b0 R0",
  "r0 g0 R0 x0 r1 g1 R1 R0",
  "S0 g0 R0 r0 g0 R0",
  "r0 C0 r0 g0 R0",
  "r0 g0 a0 r0 g0 R0",
  "c0 p0 r0 g0 R0 p0 r0 g0 R0",
  "r0 g0 s0 r0 g0 R0 b0",
];

/** What the calls that were made so far lead to. */
interface Connected {
  /** The signal of the request that was made last, or none. */
  signal: number | null;
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
  /** Whether the requests and answers are plain, and only the order of the calls is not. */
  #calm = false;
  /** Whether a connection has a timeout. */
  #hurried = false;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#oddness = this.#random.pick([0.05, 0.15, 0.3]);
    this.#memory = this.#random.chance(0.8);
  }

  make(): Case {
    const random = this.#random;
    const conns = random.chance(0.4) ? [this.#conn(), this.#conn()] : [this.#conn()];
    this.#hurried = conns.some(({ timeout }) => timeout !== null);
    this.#states = conns.map(() => ({ signal: null, asked: false, answered: false }));
    if (random.chance(0.15)) return this.#shaped(conns);
    const length = 2 + random.below(10);
    while (this.#ops.length < length) this.#add(random.below(conns.length));
    return { seed: this.#seed, conns, ops: this.#ops };
  }

  /** A case in one of the orders, with something else in between now and then. */
  #shaped(conns: ConnPlan[]): Case {
    const random = this.#random;
    while (conns.length < 2) conns.push(this.#conn());
    this.#states = conns.map(() => ({ signal: null, asked: false, answered: false }));
    const shape = random.pick(SHAPES).split(" ");
    this.#calm = random.chance(0.6);
    if (this.#calm) {
      conns = conns.map(({ way, piecewise }) => ({ ...PLAIN_CONN, way, piecewise }));
    }
    // From here on the calls come one right after another.
    const dense = random.below(shape.length);
    shape.forEach(([letter, digit], i) => {
      const begun = this.#ops.length;
      this.#call(letter, Number(digit));
      if (!this.#calm && random.chance(0.05)) this.#disturb(Number(digit));
      for (const op of this.#ops.slice(begun)) {
        op.after = i >= dense && random.chance(0.7) ? random.below(12) : "settle";
      }
    });
    return { seed: this.#seed, conns, ops: this.#ops };
  }

  #call(letter: string, conn: number): void {
    const random = this.#random;
    const how: Reading = random.pick(READINGS);
    const amount = random.pick([1, 60, 200]);
    if (letter === "r") this.#request(conn);
    else if (letter === "g") this.#get(conn);
    else if (letter === "h") {
      this.#push({ op: "getresponse", conn, signal: null, closing: true });
    } else if (letter === "R") this.#push({ op: "read", conn, back: 0, how, amount });
    else if (letter === "b") this.#push({ op: "read", conn, back: random.below(2), how, amount });
    else if (letter === "x") this.#push({ op: "closeResponse", conn, back: 0 });
    else if (letter === "c") this.#push({ op: "connect", conn });
    else if (letter === "C") this.#push({ op: "close", conn });
    else if (letter === "s") this.#push({ op: "sock", conn });
    else if (letter === "S") this.#steps(conn);
    else if (letter === "p") this.#unasked(conn);
    else this.#push({ op: "abort", signal: this.#states[conn].signal ?? 0 });
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
    const plan: ConnPlan = {
      ...PLAIN_CONN,
      way: random.pick(this.#memory ? MEMORY : TCP),
      timeout: this.#odd(0.5) ? 0.03 : null,
      opening: this.#odd() ? this.#delay() : 0,
      writing: this.#odd() ? this.#delay() : 0,
      late: random.chance(0.3),
      accepts: this.#odd(0.5) ? 1 + random.below(200) : 0,
      piecewise: random.chance(0.4),
      stubborn: this.#odd(0.5),
      traced: hooks.length > 0 || random.chance(0.2),
      hooks,
    };
    // A write that is held takes milliseconds: 3,000 of a byte each are no freeze.
    if (plan.writing === HELD && plan.accepts > 0) plan.accepts += MOST_TICKS;
    return plan;
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

  /** Adds a call; now and then with one that ends it some microtasks later. */
  #push(call: Call): void {
    const random = this.#random;
    const raced = !this.#calm && random.chance(call.op === "read" ? 0.2 : 0.1);
    const ender = "conn" in call && raced ? this.#ender(call.conn) : null;
    if (ender === null) return void this.#ops.push({ ...call, after: this.#pace() });
    const after = random.chance(0.5) ? random.below(3) : random.below(MOST_TICKS);
    this.#ops.push({ ...call, after }, { ...ender, after: this.#pace() });
  }

  #ender(conn: number): Call {
    const { signal } = this.#states[conn];
    const kind = this.#random.below(3);
    if (kind === 0 && signal !== null) return { op: "abort", signal };
    return kind === 1 ? { op: "closeResponse", conn, back: 0 } : { op: "close", conn };
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
      this.#get(conn);
      [state.asked, state.answered] = [false, true];
    } else if (random.chance(0.9)) {
      const how: Reading = random.pick(READINGS);
      const amount = random.pick([1, 7, 60, 200, 5000]);
      this.#push({ op: "read", conn, back: this.#odd(0.5) ? 1 : 0, how, amount });
      if (random.chance(0.5)) state.answered = false;
    } else state.asked = state.answered = false;
  }

  #get(conn: number): void {
    const closing = this.#random.chance(0.08);
    this.#push({ op: "getresponse", conn, signal: this.#signal(), closing });
  }

  /** Something that does not belong to a plain exchange. */
  #disturb(conn: number): void {
    const random = this.#random;
    const kind = random.below(22);
    const back = random.chance(0.8) ? 0 : 1;
    if (kind < 4) this.#push({ op: "close", conn });
    else if (kind < 8) this.#push({ op: "abort", signal: random.below(2) });
    else if (kind < 11) this.#push({ op: "closeResponse", conn, back });
    else if (kind < 13) this.#push({ op: "connect", conn });
    else if (kind < 14) this.#push({ op: "sock", conn });
    else if (kind < 15) this.#push({ op: "dispose", conn });
    else if (kind < 16) this.#push({ op: "rest", milliseconds: this.#memory ? 12 : 30 });
    else if (kind < 19) {
      this.#raw(conn);
      // A request right behind it.
      if (random.chance(0.5)) {
        if (random.chance(0.7)) this.#ops.at(-1)!.after = random.below(4);
        this.#request(conn);
      }
    } else if (kind < 20) this.#request(conn);
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
    return !this.#calm && this.#random.chance(0.25) ? this.#random.below(2) : null;
  }

  #request(conn: number): void {
    const random = this.#random;
    const id = this.#id++;
    const signal = this.#states[conn].signal = this.#signal();
    const body = !this.#calm && random.chance(0.5) ? this.#body() : null;
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
      signal,
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
    if (this.#calm) {
      const size = random.pick([10, 90, 140, 400]);
      return { ...PLAIN_ANSWER, size, pieces: random.pick([1, 2, 2, 3]) };
    }
    const framing = random.pick(FRAMINGS);
    const stalls = random.chance(0.06);
    const cut = stalls
      ? "stall"
      : this.#odd(0.6)
      ? random.pick(["fin", "reset", "stall"] as const)
      : "no";
    const when = bodied && random.chance(0.3) ? random.pick(["head", "early"] as const) : "whole";
    const final = random.chance(0.7) ? 200 : random.pick([204, 304, 302, 400, 413, 500]);
    const status = !bodied && method === "GET" && this.#odd(0.15) ? 101 : final;
    return {
      ...PLAIN_ANSWER,
      status,
      framing: status === 101 || cut === "fin" && framing === "close" ? "length" : framing,
      size: random.pick([0, 10, 10, 90, 400, 5000]),
      interim: this.#odd(0.5) ? random.pick([[100], [103], [100, 103, 102]]) : [],
      when,
      close: random.chance(0.1),
      cut,
      // Often in the last line of the body.
      cutAt: random.chance(0.5) ? random.next() : 0.97,
      extra: this.#odd(0.5),
      fin: this.#odd(0.4),
      trailers: random.chance(0.2),
      pieces: random.pick([1, 1, 2, 3, 8]),
      delay: random.chance(0.4) ? this.#delay() : 0,
      // A server that reads no more: what is written then only ends by a deadline or `close()`.
      reads: !(this.#hurried && random.chance(0.3) || this.#odd(0.7)),
    };
  }
}
