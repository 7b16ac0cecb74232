/**
 * The two ways to have a body in pieces: the iterator behind `for await` (the inherited one of a stream
 * costs three times as much), and what a web stream that asks for a piece is given.
 *
 * @module
 */
import { ENDED, NEED_MORE } from "../wire/body_decoder.ts";
import type { Body } from "./body.ts";

type Piece = Uint8Array<ArrayBuffer>;
type Step = IteratorResult<Piece, undefined>;

const DONE: Step = { done: true, value: undefined };
const NONE: Piece = new Uint8Array(0);
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
  /** How many bytes its view takes, and how many it needs at least. */
  readonly size: number;
  readonly least: number;
  /** The size of its elements: it takes no part of one. */
  readonly element: number;
}

/**
 * The stream of a body: what each `pull` of it does.
 *
 * A BYOB reader may let go while its read is out. The standard keeps its view in the first place: what is
 * answered to that goes into the stream's own queue, and a read of another BYOB reader waits behind it
 * without a `pull`. So such a view is never answered, and `enqueue()` takes it out of the way. Nor is a view
 * filled in part: what it needs is kept here until there is enough.
 */
export class BodyStream {
  #controller: ReadableByteStreamController | null = null;
  /** The `pull` that is at work, and on whose behalf. */
  pulling: Promise<void> | null = null;
  asker: Asker | null = null;
  /** Whether the view in the first place is of a reader that has let go. */
  #hasStaleView = false;
  /** What the BYOB reader that was got last waits for; `null` for any other reader. */
  #reads: ViewRead[] | null = null;
  /** Bytes of the body that are not enough for a view, and how many there are. */
  #kept: Piece = NONE;
  #count = 0;

  /** How many bytes of the body nobody has but the stream; of one that has failed nobody gets them. */
  get held(): number {
    const free = this.#controller === null ? 0 : this.#controller.desiredSize;
    return free === null ? 0 : this.#count + Math.max(0, -free);
  }

  /** Somebody locks the stream, which nobody had locked: a view that is out is of one who has let go. */
  locks(): void {
    this.#hasStaleView = (this.#controller?.byobRequest ?? null) !== null;
    this.#reads = null;
  }

  /**
   * Follows what a BYOB reader asks for.
   *
   * @param pull Has the stream pulled, where it would not be by itself.
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
      // It was answered from the queue, or is done.
      if (this.#controller !== null && !this.#controller.byobRequest) reads.length = 0;
      this.unblock(pull);
      return result;
    };
    Object.defineProperty(reader, "read", { value: followed, configurable: true, writable: true });
  }

  /** Has the stream pulled for reads that wait behind a stale view, if nothing else does that. */
  async unblock(pull: (controller: ReadableByteStreamController) => void): Promise<void> {
    if (!this.#hasStaleView) return;
    const reads = this.#reads;
    // What is at work, or follows it, answers them as well.
    for (let i = 0; i < SETTLING; i++) await this.pulling?.catch(() => {});
    if (this.#hasStaleView && this.#reads === reads) pull(this.#controller!);
  }

  /**
   * Gives the stream that asks a piece, once there is one. Nothing is awaited after that, as who waited
   * for the piece may read on at once.
   */
  async pull(body: Body, controller: ReadableByteStreamController, asker: Asker): Promise<void> {
    this.#controller = controller;
    let isOver = false;
    if (this.#count > 0) isOver = this.#give(body, controller, NEED_MORE, asker);
    else if (body.readsLargeNext && !controller.byobRequest) {
      await body.readLarge((read) => isOver = this.#giveLarge(body, controller, read, asker));
    }
    while (!isOver) {
      await body.whenReady((run) => isOver = this.#give(body, controller, run, asker));
    }
  }

  /** Whether nobody is given anything. */
  #isLeft(controller: ReadableByteStreamController, asker: Asker): boolean {
    if (!asker.isThere) this.#hasStaleView = controller.byobRequest !== null;
    const isIdle = this.#hasStaleView && this.#reads?.length === 0;
    return !asker.isThere || isIdle || controller.desiredSize === null;
  }

  /** Gives a piece that was read directly from the socket; whether it did. */
  #giveLarge(
    body: Body,
    controller: ReadableByteStreamController,
    read: Piece,
    asker: Asker,
  ): boolean {
    if (read.length === 0) return false;
    // What does not fit into a view would be left in the stream's queue.
    if (this.#isLeft(controller, asker) || controller.byobRequest) {
      body.unread(read);
      return false;
    }
    const piece = body.decodeLarge(read);
    if (piece.length === 0) return false;
    asker.answer();
    controller.enqueue(piece);
    return true;
  }

  /**
   * Gives what is buffered: `run` bytes, or the end.
   *
   * @returns Whether no more is to be waited for.
   */
  #give(
    body: Body,
    controller: ReadableByteStreamController,
    run: number,
    asker: Asker,
  ): boolean {
    // The reader that asked has let go: the bytes stay in the buffer for whoever reads next.
    if (this.#isLeft(controller, asker)) {
      asker.answer();
      return true;
    }
    const asked = this.#reads?.[0];
    const view = this.#hasStaleView ? null : controller.byobRequest?.view as Uint8Array | null;
    if (asked !== undefined && (asked.least > 1 || this.#count > 0)) {
      if (run > 0) this.#keep(body, asked.size);
      if (this.#count < asked.least && run !== ENDED) return false;
      const count = Math.min(this.#count, asked.size);
      const whole = count - count % asked.element;
      if (whole >= asked.least) {
        this.#reads!.shift();
        asker.answer();
        this.#put(controller, view, this.#takeKept(whole));
        return true;
      }
    } else if (this.#count > 0) {
      asker.answer();
      this.#put(controller, null, this.#takeKept(this.#count));
      return true;
    }
    if (run === ENDED) {
      this.#end(body, controller, view, asker);
      return true;
    }
    if (view) {
      const count = body.pull(view);
      this.#reads?.shift();
      asker.answer();
      controller.byobRequest?.respond(count);
      return true;
    }
    const piece = asked === undefined ? body.piece(run) : taken(body, asked.size);
    this.#reads?.shift();
    asker.answer();
    this.#put(controller, null, piece);
    return true;
  }

  /** Hands bytes over, in a view or as a piece. */
  #put(
    controller: ReadableByteStreamController,
    view: Uint8Array | null | undefined,
    bytes: Piece,
  ): void {
    if (view) {
      view.set(bytes);
      controller.byobRequest?.respond(bytes.length);
    } else {
      this.#hasStaleView = false;
      controller.enqueue(bytes);
    }
  }

  /** The body has ended. A view gets what there is, though it is less than it needs, as the standard has it. */
  #end(
    body: Body,
    controller: ReadableByteStreamController,
    view: Uint8Array | null | undefined,
    asker: Asker,
  ): void {
    body.end();
    asker.answer();
    if (this.#reads !== null) this.#reads.length = 0;
    const rest = this.#takeKept(this.#count);
    try {
      if (rest.length > 0) this.#put(controller, view, rest);
      controller.close();
      controller.byobRequest?.respond(0);
    } catch (error) {
      // A part of an element: the standard refuses it.
      body.lose(rest, error);
      throw error;
    }
  }

  /** Takes what is buffered, up to `size` bytes with what is kept. */
  #keep(body: Body, size: number): void {
    if (this.#count >= size) return;
    if (this.#kept.length < size) {
      const larger = new Uint8Array(size);
      larger.set(this.#kept.subarray(0, this.#count));
      this.#kept = larger;
    }
    this.#count += body.pull(this.#kept.subarray(this.#count, size));
  }

  #takeKept(count: number): Piece {
    const bytes = this.#kept.slice(0, count);
    this.#count -= count;
    if (this.#count === 0) this.#kept = NONE;
    else this.#kept.copyWithin(0, count, count + this.#count);
    return bytes;
  }
}

/** At most `size` bytes of what is buffered. */
function taken(body: Body, size: number): Piece {
  const piece = new Uint8Array(size);
  return piece.subarray(0, body.pull(piece));
}

/** What a BYOB read asks for; `null` where it is refused. */
function viewRead(view: ArrayBufferView, options?: { min?: number }): ViewRead | null {
  if (!ArrayBuffer.isView(view) || view.byteLength === 0) return null;
  const { BYTES_PER_ELEMENT: element = 1 } = view as Partial<Uint8Array>;
  const { min = 1 } = options ?? {};
  const size = view.byteLength;
  const least = min * element;
  return least > 0 && least <= size ? { size, least, element } : null;
}
