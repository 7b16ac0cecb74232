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
/** How many microtasks it takes a stream, and more, to call `pull` again after one has ended. */
const SETTLING = 10;

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

/** What a BYOB reader waits for. */
interface ViewRead {
  /** How many bytes its view takes, and how many have to be in it at least. */
  readonly size: number;
  readonly least: number;
  /** How many are in it. */
  filled: number;
}

/**
 * The stream of a body: what each `pull` of it does.
 *
 * A BYOB reader may let go while its read is out. The standard keeps its view in the first place: what is
 * answered to that goes into the stream's own queue, and a read of another BYOB reader waits behind it
 * without a `pull`. So such a view is never answered, and `enqueue()` takes it out of the way.
 */
export class BodyStream {
  #controller: ReadableByteStreamController | null = null;
  /** The `pull` that is at work. */
  pulling: Promise<void> | null = null;
  /** Whether the view in the first place is of a reader that has let go. */
  #hasStaleView = false;
  /** How many bytes are in it. */
  #stale = 0;
  /** What the BYOB reader that was got last waits for; `null` for any other reader. */
  #reads: ViewRead[] | null = null;

  /** How many bytes of the body nobody has but the stream: in its queue, or in a view that is not full. */
  get held(): number {
    const controller = this.#controller;
    if (controller === null) return 0;
    const queued = Math.max(0, -(controller.desiredSize ?? 0));
    return controller.byobRequest ? queued + this.#inView : queued;
  }

  get #inView(): number {
    return this.#reads?.[0]?.filled ?? this.#stale;
  }

  /** Somebody locks the stream, which nobody had locked: a view that is out is of one who has let go. */
  locks(): void {
    this.#stale = this.#inView;
    this.#hasStaleView = (this.#controller?.byobRequest ?? null) !== null;
    this.#reads = null;
  }

  /**
   * Follows what a BYOB reader asks for.
   *
   * @param pull Has the stream pulled, where it would not by itself.
   */
  follow(
    reader: ReadableStreamBYOBReader,
    pull: (controller: ReadableByteStreamController) => void,
  ): void {
    const reads: ViewRead[] = this.#reads = [];
    const { read } = reader;
    const followed = (view: Uint8Array, options?: { min?: number }) => {
      const asked = viewRead(view, options);
      if (asked !== null) reads.push(asked);
      const result = read.call(reader, view, options as { min: number });
      const controller = this.#controller;
      if (controller !== null) {
        // It was answered from the queue, or is done.
        if (controller.byobRequest === null) reads.length = 0;
        else if (this.#hasStaleView) this.#pullFor(reads, () => pull(controller));
      }
      return result;
    };
    Object.defineProperty(reader, "read", { value: followed, configurable: true, writable: true });
  }

  /** Pulls for reads that wait behind a stale view, if nothing else does. */
  async #pullFor(reads: ViewRead[], pull: () => void): Promise<void> {
    // What is at work, or follows it, answers them as well.
    for (let i = 0; i < SETTLING; i++) await this.pulling?.catch(() => {});
    if (this.#hasStaleView && this.#reads === reads) pull();
  }

  /**
   * Gives the stream that asks a piece, once there is one. Nothing is awaited after that, as who waited
   * for the piece may read on at once.
   */
  async pull(body: Body, controller: ReadableByteStreamController, asker: Asker): Promise<void> {
    this.#controller = controller;
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
    // What does not fit into a view would be left in the stream's queue.
    if (!asker.isThere || controller.byobRequest) {
      body.unread(read);
      return false;
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
    const isAsked = this.#reads === null || this.#reads.length > 0 || !this.#hasStaleView;
    if (!asker.isThere) this.#hasStaleView = controller.byobRequest !== null;
    // The reader that asked has let go: the bytes stay in the buffer for whoever reads next.
    if (!asker.isThere || !isAsked) return asker.answer();
    if (run === ENDED) {
      body.end();
      asker.answer();
      controller.close();
      controller.byobRequest?.respond(0);
      return;
    }
    const view = controller.byobRequest?.view as Uint8Array | null | undefined;
    if (view && !this.#hasStaleView) {
      const count = body.pull(view);
      asker.answer();
      this.#fill(count);
      controller.byobRequest?.respond(count);
      return;
    }
    const piece = this.#piece(body, run);
    asker.answer();
    this.#hasStaleView = false;
    this.#stale = 0;
    this.#fill(piece.length);
    controller.enqueue(piece);
  }

  /** What is buffered, as far as it is asked for. */
  #piece(body: Body, run: number): Piece {
    const asked = this.#reads?.[0];
    if (asked === undefined) return body.piece(run);
    const piece = new Uint8Array(asked.size);
    return piece.subarray(0, body.pull(piece));
  }

  /** So many bytes come into the view that is waited for first. */
  #fill(count: number): void {
    const read = this.#reads?.[0];
    if (read === undefined) return;
    read.filled += count;
    if (read.filled >= read.least) this.#reads!.shift();
  }
}

/** What a BYOB read asks for; `null` where it is refused. */
function viewRead(view: ArrayBufferView, options?: { min?: number }): ViewRead | null {
  if (!ArrayBuffer.isView(view) || view.byteLength === 0) return null;
  const { BYTES_PER_ELEMENT: element = 1 } = view as Partial<Uint8Array>;
  const { min = 1 } = options ?? {};
  const size = view.byteLength;
  const least = min * element;
  return least > 0 && least <= size ? { size, least, filled: 0 } : null;
}
