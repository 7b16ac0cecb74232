/**
 * Bodies of requests, in each of the forms that the library takes.
 *
 * @module
 */
import type { Reader, RequestBody } from "../../mod.ts";
import type { BodyPlan } from "./plan.ts";
import { bytesOf, requestPart } from "./texts.ts";
import type { World } from "./world.ts";

/** The texts of the parts of a body. */
export function partsOf(id: number, plan: BodyPlan): string[] {
  return plan.pieces.map((size, part) => requestPart(id, part, size));
}

/** Whether the size of the body is known before it is read. */
export function isSized(plan: BodyPlan): boolean {
  return plan.kind === "string" || plan.kind === "bytes";
}

/**
 * Makes a body.
 *
 * @param act What the source does when its second piece is asked for; it may throw.
 */
export function bodyOf(world: World, id: number, plan: BodyPlan, act: () => void): RequestBody {
  const parts = partsOf(id, plan);
  const source = new Source(world, plan, parts, act);
  switch (plan.kind) {
    case "string":
      return parts.join("");
    case "bytes":
      return bytesOf(parts.join(""));
    case "array":
      return parts.map(bytesOf);
    case "sync":
      return source.sync();
    case "async":
      return source.async();
    case "stream":
      return source.stream();
    default:
      return source.reader();
  }
}

/** Gives the parts one after another. */
class Source {
  #world: World;
  #plan: BodyPlan;
  #parts: string[];
  #act: () => void;
  #at = 0;

  constructor(world: World, plan: BodyPlan, parts: string[], act: () => void) {
    this.#world = world;
    this.#plan = plan;
    this.#parts = parts;
    this.#act = act;
  }

  *sync(): Generator<Uint8Array> {
    for (;;) {
      const piece = this.#take();
      if (piece === null) return;
      yield piece;
    }
  }

  async *async(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await this.#next();
      if (piece === null) return;
      yield piece;
    }
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      pull: async (controller) => {
        const piece = await this.#next();
        if (piece === null) controller.close();
        else controller.enqueue(piece);
      },
    }, { highWaterMark: 0 });
  }

  reader(): Reader {
    let left: Uint8Array = new Uint8Array(0);
    return {
      read: async (p) => {
        if (left.length === 0) {
          const piece = await this.#next();
          if (piece === null) return null;
          left = piece;
        }
        const part = left.subarray(0, p.length);
        p.set(part);
        left = left.subarray(part.length);
        return part.length;
      },
    };
  }

  async #next(): Promise<Uint8Array | null> {
    if (this.#at > 0) await this.#world.delay(this.#plan.delay);
    if (this.#at === this.#parts.length && this.#plan.end === "never") {
      await new Promise(() => {});
    }
    return this.#take();
  }

  #take(): Uint8Array | null {
    this.#world.tick();
    if (this.#at === 1) this.#act();
    if (this.#at < this.#parts.length) return bytesOf(this.#parts[this.#at++]);
    if (this.#plan.end === "throw") throw this.#world.userError("a body source");
    return null;
  }
}
