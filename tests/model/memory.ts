/**
 * A connection in memory: a transport on the client's side, a {@linkcode Wire} on the server's.
 *
 * @module
 */
import type { Transport } from "../../mod.ts";
import type { ConnPlan } from "./plan.ts";
import { Wire } from "./wire.ts";
import type { World } from "./world.ts";

interface PendingRead {
  into: Uint8Array;
  resolve: (count: number | null) => void;
  reject: (error: Error) => void;
}

/** An error of the user's transport, which nobody may write to. */
function failure(world: World, name: string): Error {
  const error = new Deno.errors.ConnectionReset(name);
  return world.own(error, `the transport's error "${name}"`, "promise8/transport-error");
}

/** A transport in memory. Its server is told of each byte in the microtask in which it was written. */
export class MemoryTransport implements Transport {
  readonly wire: Wire;
  /** How often it was closed. */
  closes = 0;
  /** Whether the library must close it. */
  owned = true;
  /** How many writes have begun that are not told of. */
  writing = 0;
  #world: World;
  #plan: ConnPlan;
  #arrived: Uint8Array[] = [];
  #end: "none" | "fin" | "reset" = "none";
  #reads: PendingRead[] = [];
  #stalled: (() => void)[] = [];
  #onclose: ((error: Error) => void)[] = [];

  /** Makes one, and the server's side of it. */
  constructor(world: World, plan: ConnPlan) {
    this.#world = world;
    this.#plan = plan;
    this.wire = new Wire(world, {
      push: (bytes) => this.#arrive(bytes),
      end: () => this.#finish("fin"),
      reset: () => this.#finish("reset"),
    });
    this.wire.unread = () => this.unread;
    this.wire.onstate = () => this.#stalled.splice(0).forEach((go) => go());
  }

  /** How many bytes of the server's wait to be read. */
  get unread(): number {
    return this.#arrived.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  read(p: Uint8Array): Promise<number | null> {
    this.#world.tick();
    if (this.closes > 0) return Promise.reject(failure(this.#world, "read after close"));
    if (p.length === 0) return Promise.resolve(0);
    if (this.#arrived.length > 0) return Promise.resolve(this.#fill(p));
    if (this.#end === "fin") return Promise.resolve(null);
    if (this.#end === "reset") return Promise.reject(failure(this.#world, "reset while reading"));
    return new Promise((resolve, reject) => this.#reads.push({ into: p, resolve, reject }));
  }

  async write(p: Uint8Array): Promise<number> {
    this.#world.tick();
    if (this.closes > 0) throw failure(this.#world, "write after close");
    if (this.#end === "reset") throw failure(this.#world, "reset while writing");
    const { accepts, late, writing } = this.#plan;
    const piece = accepts > 0 ? p.subarray(0, accepts) : p;
    this.writing++;
    try {
      if (this.wire.stalled) await this.#untilState();
      if (!late) this.#deliver(piece);
      if (writing !== 0) await this.#untilClosed(this.#world.delay(writing));
      // What is sent must stay as it is until the write is told of.
      if (late) this.#deliver(piece);
      return piece.length;
    } finally {
      this.writing--;
      this.#world.tick();
    }
  }

  close(): void {
    this.closes++;
    if (this.closes > 1) return;
    this.wire.closedAt = this.#world.tick();
    const error = failure(this.#world, "closed while reading");
    const reads = this.#reads.splice(0);
    if (this.#plan.stubborn) reads.forEach((read) => void this.#scribble(read));
    else reads.forEach((read) => read.reject(error));
    const closed = failure(this.#world, "closed while writing");
    this.#onclose.splice(0).forEach((reject) => reject(closed));
  }

  /** A read that outlives `close()`: it still owns its memory. */
  async #scribble(read: PendingRead): Promise<void> {
    await this.#world.delay(-1);
    read.into.fill(0x5a);
    read.resolve(read.into.length);
  }

  #deliver(piece: Uint8Array): void {
    if (this.#end === "reset") throw failure(this.#world, "reset while writing");
    if (this.closes === 0) this.wire.receive(piece);
  }

  #untilState(): Promise<void> {
    return this.#untilClosed(new Promise((go) => this.#stalled.push(go)));
  }

  #untilClosed(waited: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onclose.push(reject);
      waited.then(resolve);
    });
  }

  #arrive(bytes: Uint8Array): void {
    if (this.closes > 0) return;
    this.#arrived.push(bytes);
    const read = this.#reads.shift();
    if (read !== undefined) read.resolve(this.#fill(read.into));
  }

  #fill(p: Uint8Array): number {
    let count = 0;
    while (this.#arrived.length > 0 && count < p.length) {
      const bytes = this.#arrived[0];
      const part = bytes.subarray(0, p.length - count);
      p.set(part, count);
      count += part.length;
      if (part.length === bytes.length) this.#arrived.shift();
      else this.#arrived[0] = bytes.subarray(part.length);
      if (this.#plan.piecewise) break;
    }
    return count;
  }

  #finish(end: "fin" | "reset"): void {
    this.#end = end;
    if (end === "reset") this.#arrived = [];
    const error = failure(this.#world, "reset while reading");
    for (const read of this.#reads.splice(0)) {
      if (end === "fin") read.resolve(null);
      else read.reject(error);
    }
  }
}
