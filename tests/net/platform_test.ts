/**
 * What differs between runtimes: sockets that are Deno's own, what holds a process, and turns of the
 * event loop.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import net from "node:net";
import {
  CLOSE_ENDS_READS,
  isDenoSocket,
  needDeno,
  park,
  ref,
  socketError,
  turn,
  unref,
} from "../../_internal/net/platform.ts";
import { onDeno } from "../helpers/on_deno.ts";
import { microtasks } from "../helpers/waiting.ts";
import { startRaw } from "../servers/raw.ts";
import { startRawTls } from "../servers/raw_tls.ts";
import { CA } from "../tls/mod.ts";

const MODULE = new URL("../../_internal/net/platform.ts", import.meta.url).href;

Deno.test("isDenoSocket() is true when it is given a TCP connection", async () => {
  await using server = await startRaw((peer) => void peer.eof());
  using conn = await Deno.connect({ hostname: server.hostname, port: server.port });
  assertEquals(isDenoSocket(conn), true);
});

Deno.test("isDenoSocket() is true when it is given a TLS connection", async () => {
  await using server = await startRawTls((peer) => void peer.eof());
  using conn = await Deno.connectTls({ hostname: "localhost", port: server.port, caCerts: [CA] });
  assertEquals(isDenoSocket(conn), true);
});

Deno.test("isDenoSocket() is true when it is given a connection to a unix socket", async () => {
  await using server = await startRaw((peer) => void peer.eof(), { unix: true });
  using conn = await Deno.connect({ transport: "unix", path: server.path });
  assertEquals(isDenoSocket(conn), true);
});

for (const method of ["read", "write", "close"] as const) {
  Deno.test(`isDenoSocket() is false when the socket was given another ${method}()`, async () => {
    await using server = await startRaw((peer) => void peer.eof());
    using conn = await Deno.connect({ hostname: server.hostname, port: server.port });
    Object.assign(conn, { [method]: conn[method].bind(conn) });
    assertEquals(isDenoSocket(conn), false);
  });
}

/** What is no socket of Deno's own. */
const OTHERS: [what: string, make: () => object][] = [
  ["a plain object with an address", () => ({ localAddr: {} })],
  ["an object without a prototype", () => Object.assign(Object.create(null), { localAddr: {} })],
  ["an object whose prototype has none", () => Object.create(Object.create(null))],
  ["a class of the same name without an address", () => new (class TcpConn {})()],
  ["a class of another name with an address", () =>
    new (class Mine {
      localAddr = {};
    })()],
  ["a socket of Node's", () => new net.Socket()],
];

for (const [what, make] of OTHERS) {
  Deno.test(`isDenoSocket() is false when it is given ${what}`, () => {
    assertEquals(isDenoSocket(make()), false);
  });
}

Deno.test("CLOSE_ENDS_READS tells whether close() ends a pending read here", async () => {
  await using server = await startRaw((peer) => void peer.eof());
  const conn = await Deno.connect({ hostname: server.hostname, port: server.port });
  const read = conn.read(new Uint8Array(1)).then(() => "ended", () => "ended");
  conn.close();
  const ended = await Promise.race([read, turn().then(turn).then(() => "pending")]);
  assertEquals(ended === "ended", CLOSE_ENDS_READS);
});

for (
  const [version, ends] of [["2.8.3", false], ["2.9.0", true], ["2.80.1", true], [
    "12.8.0",
    true,
  ]] as const
) {
  Deno.test(`CLOSE_ENDS_READS is ${ends} when Deno is ${version}`, async () => {
    await onDeno(version, async () => {
      assertEquals((await import(`${MODULE}?version=${version}`)).CLOSE_ENDS_READS, ends);
    });
  });
}

for (const version of ["2.7.3", "2.6.99", "1.46.3", "2.7.3-rc.1"]) {
  Deno.test(`needDeno() throws with both versions when Deno is ${version}`, async () => {
    await onDeno(version, () => {
      assertThrows(
        () => needDeno("2.7.4", "This"),
        Deno.errors.NotSupported,
        `This needs Deno 2.7.4 or later, and this is ${version}`,
      );
    });
  });
}

for (const version of ["2.7.4", "2.7.10", "2.8.0", "2.10.0", "3.0.0", "2.7.4+abc"]) {
  Deno.test(`needDeno() lets pass when Deno is ${version}`, async () => {
    await onDeno(version, () => needDeno("2.7.4", "This"));
  });
}

Deno.test("socketError() has a cause and a code, also where the class leaves the cause out", () => {
  const cause = new Error("why");
  for (
    const constructor of [
      Deno.errors.NotFound,
      class extends Error {
        constructor(message: string) {
          super(message);
        }
      },
    ]
  ) {
    const error = socketError(constructor, "what", cause, "ENOENT");
    assertInstanceOf(error, constructor);
    assertEquals([error.message, "code" in error && error.code], ["what", "ENOENT"]);
    assertEquals(Object.getOwnPropertyDescriptor(error, "cause"), {
      value: cause,
      writable: true,
      enumerable: false,
      configurable: true,
    });
  }
});

Deno.test("socketError() has neither cause nor code when there is none", () => {
  const error = socketError(Deno.errors.NotFound, "what", undefined);
  assert(!("cause" in error) && !("code" in error));
});

Deno.test("ref() and unref() call the transport's own, when it has them", () => {
  const calls: string[] = [];
  const transport = { ref: () => void calls.push("ref"), unref: () => void calls.push("unref") };
  unref(transport);
  ref(transport);
  assertEquals(calls, ["unref", "ref"]);
});

Deno.test("ref() and unref() do nothing when the transport has none", () => {
  ref({});
  unref({});
});

Deno.test("unrefTimer() lets the process end, and refTimer() holds it again", async () => {
  const program = `import { refTimer, unrefTimer } from ${JSON.stringify(MODULE)};
    unrefTimer(setTimeout(() => console.log("unref"), 1000));
    const timer = setTimeout(() => console.log("ref"), 1);
    unrefTimer(timer);
    refTimer(timer);`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", "--ext=ts", program],
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "ref\n");
});

/** Runs `use` with something else in the place of a global function. */
async function replacing<K extends "setTimeout" | "setImmediate">(
  name: K,
  value: unknown,
  use: () => Promise<void>,
): Promise<void> {
  const scope = globalThis as unknown as Record<string, unknown>;
  const before = scope[name];
  scope[name] = value;
  try {
    await use();
  } finally {
    scope[name] = before;
  }
}

Deno.test("turn() lets the event loop turn", async () => {
  let turned = false;
  let resolved = false;
  const turning = turn().then(() => resolved = true);
  setImmediate(() => turned = true);
  await microtasks(20);
  assertEquals(resolved, false);
  await turning;
  await turn();
  assertEquals(turned, true);
});

Deno.test("turn() makes no timer when the runtime has something shorter", async () => {
  let timers = 0;
  const counting = () => void timers++;
  await replacing("setTimeout", counting, async () => {
    await turn();
  });
  assertEquals(timers, 0);
});

Deno.test("turn() lets the event loop turn when the runtime has timers only", async () => {
  await replacing("setImmediate", undefined, async () => {
    const { turn } = await import(`${MODULE}?timers`);
    let resolved = false;
    const turning = turn().then(() => resolved = true);
    await microtasks(20);
    assertEquals(resolved, false);
    await turning;
  });
});

type WaitAsync = (
  cell: Int32Array,
  index: number,
  value: number,
  ms: number,
) => { async: boolean; value: Promise<string> | string };

/** Runs `use` with another `Atomics.waitAsync`. */
async function waitingBy(
  make: (waitAsync: WaitAsync) => WaitAsync | undefined,
  use: () => Promise<void>,
): Promise<void> {
  const atomics = Atomics as unknown as { waitAsync?: WaitAsync };
  const { waitAsync } = atomics;
  atomics.waitAsync = make(waitAsync!.bind(Atomics));
  try {
    await use();
  } finally {
    atomics.waitAsync = waitAsync;
  }
}

Deno.test("park() waits on the cell for a fraction of a millisecond", async () => {
  const waits: [parked: boolean, ms: number][] = [];
  const recording = (waitAsync: WaitAsync): WaitAsync => (cell, index, value, ms) => {
    const result = waitAsync(cell, index, value, ms);
    waits.push([result.async, ms]);
    return result;
  };
  await waitingBy(recording, park);
  assertEquals(waits.length, 1);
  const [[parked, ms]] = waits;
  assert(parked && ms > 0 && ms < 1, `${parked} ${ms}`);
});

/** How many waits on the cell there are while `use` runs. */
async function waitsOf(use: () => Promise<unknown>): Promise<number> {
  let waits = 0;
  const counting = (waitAsync: WaitAsync): WaitAsync => (...args) => {
    waits++;
    return waitAsync(...args);
  };
  await waitingBy(counting, async () => void await use());
  return waits;
}

Deno.test("park() is one wait for all who begin at the same moment", async () => {
  assertEquals(await waitsOf(() => Promise.all([park(), park(), park()])), 1);
});

Deno.test("park() is a wait of its own for who begins a moment later, or in another turn", async () => {
  const later = async () => {
    await microtasks(2);
    await park();
  };
  assertEquals(await waitsOf(() => Promise.all([park(), later()])), 2);
  const nextTurn = async () => {
    await new Promise((resolve) => setImmediate(() => resolve(park())));
  };
  assertEquals(await waitsOf(() => Promise.all([park(), nextTurn()])), 2);
});

Deno.test("park() ends with the wait on the cell, before its timer", async () => {
  const { setTimeout } = globalThis;
  let fired = false;
  const late = (callback: () => void) =>
    setTimeout(() => {
      fired = true;
      callback();
    }, 1000);
  const atOnce = () => () => ({ async: true, value: Promise.resolve("timed-out") });
  await waitingBy(atOnce, () => replacing("setTimeout", late, park));
  assertEquals(fired, false);
});

Deno.test("park() waits until the wait on the cell is over", async () => {
  const { setTimeout } = globalThis;
  const wait = Promise.withResolvers<string>();
  let parked = false;
  await replacing("setTimeout", () => undefined, async () => {
    await waitingBy(() => () => ({ async: true, value: wait.promise }), async () => {
      const parking = park().then(() => parked = true);
      await new Promise((resolve) => setTimeout(resolve, 2));
      assertEquals(parked, false);
      wait.resolve("timed-out");
      await parking;
    });
  });
});

/** The delays of the timers that `park()` makes. */
async function delaysOfPark(): Promise<number[]> {
  const { setTimeout } = globalThis;
  const delays: number[] = [];
  const recording = (callback: () => void, ms: number) => {
    delays.push(ms);
    return setTimeout(callback, ms);
  };
  await replacing("setTimeout", recording, park);
  return delays;
}

Deno.test("park() gives the wait on the cell much more time than it takes", async () => {
  const [delay, ...more] = await delaysOfPark();
  assert(delay >= 50, String(delay));
  assertEquals(more, []);
});

Deno.test("park() is over within milliseconds when there is no waitAsync()", async () => {
  let delays: number[] = [];
  await waitingBy(() => undefined, async () => void (delays = await delaysOfPark()));
  assertEquals(delays.map((delay) => delay < 10), [true]);
});

Deno.test("park() lets the event loop turn once more after the wait", async () => {
  let turned = false;
  setImmediate(() => turned = true);
  await waitingBy(() => () => ({ async: false, value: "timed-out" }), park);
  assertEquals(turned, true);
});

Deno.test("park() ends when waitAsync() never answers", async () => {
  await waitingBy(() => () => ({ async: true, value: new Promise(() => {}) }), park);
});
