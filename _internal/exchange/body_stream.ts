/**
 * The two ways to have a body in pieces: the iterator behind `for await` (the inherited one of a stream
 * costs three times as much), and what a web stream that asks for a piece is given.
 *
 * @module
 */
import { ENDED } from "../wire/body_decoder.ts";
import type { Body } from "./body.ts";

type Piece = Uint8Array<ArrayBuffer>;
type Step = IteratorResult<Piece, undefined>;

const DONE: Step = { done: true, value: undefined };

/** Where the pieces come from. */
export interface PieceSource {
  /** The next piece, or `null` where it has to be waited for, or may be the end. */
  now(): Piece | null;
  /** The next piece, or `null` at the end. */
  next(): Promise<Piece | null>;
  /** The loop was left early. */
  leave(): void;
}

/** Iterates over pieces; those that are there cost one promise each. */
export class BodyIterator implements AsyncIterableIterator<Piece>, AsyncDisposable {
  #source: PieceSource;
  #over = false;
  /** How many steps are not answered. */
  #out = 0;
  #last: Promise<Step> | null = null;

  constructor(source: PieceSource) {
    this.#source = source;
  }

  /** Steps are answered in order, however many are taken at once. */
  next(): Promise<Step> {
    if (this.#out > 0) {
      this.#out++;
      const take = () => this.#take();
      return this.#last = this.#last!.then(take, take);
    }
    if (this.#over) return Promise.resolve(DONE);
    try {
      const value = this.#source.now();
      if (value !== null) return Promise.resolve({ done: false, value });
    } catch (error) {
      return Promise.reject(error);
    }
    this.#out++;
    return this.#last = this.#take();
  }

  async #take(): Promise<Step> {
    try {
      if (this.#over) return DONE;
      const value = await this.#source.next();
      if (value !== null) return { done: false, value };
      this.#over = true;
      return DONE;
    } finally {
      this.#out--;
    }
  }

  return(): Promise<Step> {
    if (!this.#over) this.#source.leave();
    this.#over = true;
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

/** The reader of a stream that asks for a piece. */
export interface Asker {
  /** Whether it is still there, rather than having let go. */
  readonly isThere: boolean;
  /** Called right before it is given something. */
  answer(): void;
}

/** The stream of a body: what each `pull` of it does. */
export class BodyStream {
  /** Whether a BYOB reader let go while its read was out: its view is still the first to be answered. */
  #hasStaleView = false;

  /**
   * Gives the stream that asks a piece, once there is one. Nothing is awaited after that, as who waited
   * for the piece may read on at once.
   */
  async pull(body: Body, controller: ReadableByteStreamController, asker: Asker): Promise<void> {
    if (body.readsLargeNext && !controller.byobRequest) {
      let isOver = false;
      await body.readLarge((read) => isOver = this.#giveLarge(body, controller, read, asker));
      if (isOver) return;
    }
    await body.whenReady((run) => this.#give(body, controller, run, asker));
  }

  /** Gives a piece that was read directly from the socket; whether it did, or nobody asks any more. */
  #giveLarge(
    body: Body,
    controller: ReadableByteStreamController,
    read: Piece,
    asker: Asker,
  ): boolean {
    if (read.length === 0) return false;
    if (!asker.isThere) {
      this.#hasStaleView = controller.byobRequest !== null;
      asker.answer();
      body.unread(read);
      return true;
    }
    const piece = body.decodeLarge(read);
    if (piece.length === 0) return false;
    asker.answer();
    controller.enqueue(piece);
    return true;
  }

  /** Gives what is buffered: `run` bytes, or the end. */
  #give(
    body: Body,
    controller: ReadableByteStreamController,
    run: number,
    asker: Asker,
  ): void {
    asker.answer();
    // The reader that asked has let go: the bytes stay in the buffer for whoever reads next.
    if (!asker.isThere) {
      this.#hasStaleView = controller.byobRequest !== null;
      return;
    }
    if (run === ENDED) {
      body.end();
      controller.close();
      controller.byobRequest?.respond(0);
      return;
    }
    const view = controller.byobRequest?.view as Uint8Array | null | undefined;
    // The view of a reader that has let go is not to be answered, or what comes is stuck in it.
    if (view && !this.#hasStaleView) controller.byobRequest!.respond(body.pull(view));
    else controller.enqueue(body.piece(run));
    this.#hasStaleView = false;
  }
}
