/**
 * The two ways to have a body in pieces: the iterator behind `for await` (the inherited one of a stream
 * costs three times as much), and what a web stream that asks for a piece is given.
 *
 * @module
 */
import { ENDED, NEED_MORE } from "../wire/body_decoder.ts";
import { type Deferred, deferred } from "../net/platform.ts";
import { type Body, LEFT } from "./body.ts";

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
  /** Settles with a step that has only just begun: a trace that this has called takes the next one. */
  #begun: Deferred<Step> | null = null;

  constructor(source: PieceSource) {
    this.#source = source;
  }

  /** Steps are answered in order, however many are taken at once. */
  next(): Promise<Step> {
    if (this.#out > 0) {
      const before = this.#last ?? (this.#begun ??= deferred()).promise;
      return this.#last = this.#take(before);
    }
    if (this.#over) return Promise.resolve(DONE);
    try {
      const value = this.#source.now();
      if (value !== null) return Promise.resolve({ done: false, value });
    } catch (error) {
      return Promise.reject(error);
    }
    this.#last = null;
    const step = this.#take(null);
    this.#last ??= step;
    this.#begun?.resolve(step);
    this.#begun = null;
    return step;
  }

  async #take(before: Promise<Step> | null): Promise<Step> {
    this.#out++;
    try {
      if (before !== null) await before.catch(() => {});
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
  /** Whether it waits no more. */
  readonly isAnswered: boolean;
  /** Called right before it is given something, and where it is left without. */
  answer(): void;
}

/** What a reader waits for. */
interface Asked {
  /** How many bytes its view takes, and how many it needs at least; a piece takes any number. */
  readonly size: number;
  readonly least: number;
  /** The size of its elements: it takes no part of one. */
  readonly element: number;
}

/** A piece of any size. */
const PIECE: Asked = { size: Infinity, least: 1, element: 1 };

/** A reader, as this module follows it. */
type Followed =
  | ReadableStreamBYOBReader
  | ReadableStreamDefaultReader<Piece>;

/**
 * The stream of a body: what each `pull` of it does.
 *
 * A BYOB reader may let go while its read is out. The standard keeps its view in the first place: what is
 * answered to that goes into the stream's own queue, and a read of another BYOB reader waits behind it
 * without a `pull`. So such a view is never answered, and `enqueue()` takes it out of the way. Nor is a view
 * filled in part: what it needs is kept here until there is enough. And a reader that asks for nothing is
 * given nothing.
 */
export class BodyStream {
  #controller: ReadableByteStreamController | null = null;
  /** The `pull` that is at work, and on whose behalf. */
  pulling: Promise<void> | null = null;
  asker: Asker | null = null;
  /** What it gives pieces of, once it was asked for one. */
  #body: Body | null = null;
  /** Whether the view in the first place is of a reader that has let go, and how many bytes are in it. */
  #hasStaleView = false;
  #stale = 0;
  /** What the reader that is followed waits for; `null` for any other. */
  #reads: Asked[] | null = null;
  /** Bytes of the body that are not enough for a view, and how many there are. */
  #kept: Piece = NONE;
  #count = 0;
  #isEnded = false;
  /** Whether bytes are taken from the body, of which a trace is told, and have not been given yet. */
  #isGiving = false;

  /** Whether a `pull` reads from the body. */
  get isAtWork(): boolean {
    return this.pulling !== null && !this.asker!.isAnswered;
  }

  /** How many bytes of the body nobody has but the stream; of one that has failed nobody gets them. */
  get held(): number {
    const controller = this.#controller;
    const free = controller === null ? 0 : controller.desiredSize;
    if (free === null) return 0;
    return this.#count + Math.max(0, -free) + (controller?.byobRequest ? this.#stale : 0);
  }

  /** Somebody locks the stream, which nobody had locked: a view that is out is of one who has let go. */
  locks(): void {
    this.#hasStaleView = (this.#controller?.byobRequest ?? null) !== null;
    this.#reads = null;
  }

  /** The stream was cancelled: what is kept is nobody's, and nobody is given anything more. */
  drop(): void {
    this.#count = this.#stale = 0;
    this.#kept = NONE;
    this.#isEnded = true;
    if (this.isAtWork) this.asker!.answer();
  }

  /**
   * Follows what a reader asks for.
   *
   * @param check Throws where no read may begin: the stream would fail for good.
   * @param pull Has the stream pulled, where it would not be by itself.
   */
  follow(
    reader: Followed,
    check: () => void,
    pull: (controller: ReadableByteStreamController) => void,
  ): void {
    const reads: Asked[] = this.#reads = [];
    const define = (name: "read" | "releaseLock", value: unknown) => {
      Object.defineProperty(reader, name, { value, configurable: true, writable: true });
    };
    const { read, releaseLock } = reader as {
      read: (view?: Uint8Array, options?: { min: number }) => unknown;
      releaseLock: () => void;
    };
    define("read", (view?: Uint8Array, options?: { min: number }) => {
      let asked = PIECE;
      try {
        check();
        if (ArrayBuffer.isView(view)) {
          options = converted(options);
          asked = viewRead(view, options);
        }
      } catch (error) {
        return Promise.reject(error);
      }
      const isQueued = asked === PIECE && (this.#controller?.desiredSize ?? 0) < 0;
      if (!isQueued) reads.push(asked);
      const result = read.call(reader, view, options);
      // What the standard refuses it does not transfer.
      const isRefused = asked !== PIECE && (asked.size === 0 || view!.buffer.byteLength > 0);
      if (isRefused && reads.at(-1) === asked) reads.pop();
      // It was answered from the queue, or is done.
      else if (asked !== PIECE && this.#controller?.byobRequest === null) reads.length = 0;
      this.unblock(pull);
      return result;
    });
    define("releaseLock", () => {
      // One that has let go before has no lock, and may be told to let go again.
      if (this.#reads !== reads) return releaseLock.call(reader);
      const view = this.#controller?.byobRequest?.view;
      const [first] = reads;
      if (view && first && !this.#hasStaleView) this.#stale = first.size - view.byteLength;
      releaseLock.call(reader);
      this.#reads = null;
      this.leave();
    });
  }

  /** Who had the lock has let go: others may read at once, unless bytes that come first are just being given. */
  leave(): void {
    if (this.isAtWork && !this.#isGiving && this.#body!.leave()) this.asker!.answer();
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
    this.#body = body;
    const isWaiting = () => !asker.isAnswered;
    const take = (run: number) => this.#giving(() => this.#give(body, controller, run, asker));
    try {
      if (this.#count > 0) take(NEED_MORE);
      else if (body.readsLargeNext && !controller.byobRequest) {
        await body.readLarge((read) => {
          this.#giving(() => this.#giveLarge(body, controller, read, asker));
        });
      }
      while (isWaiting()) await body.whenReady(take, isWaiting);
    } catch (error) {
      if (error === LEFT) return;
      throw body.withPartial(body.failed(error), [this.#takeKept(this.#count)]);
    }
  }

  #giving(give: () => void): void {
    this.#isGiving = true;
    try {
      give();
    } finally {
      this.#isGiving = false;
    }
  }

  /** Whether nobody is given anything. */
  #isLeft(controller: ReadableByteStreamController, asker: Asker): boolean {
    if (!asker.isThere) this.#hasStaleView = controller.byobRequest !== null;
    const isIdle = this.#reads?.length === 0;
    return !asker.isThere || asker.isAnswered || isIdle || this.#isEnded ||
      controller.desiredSize === null;
  }

  /** Gives a piece that was read directly from the socket, if it may be given like that. */
  #giveLarge(
    body: Body,
    controller: ReadableByteStreamController,
    read: Piece,
    asker: Asker,
  ): void {
    if (read.length === 0) return;
    const isLeft = this.#isLeft(controller, asker);
    // What does not fit into a view would be left in the stream's queue.
    if (isLeft || controller.byobRequest) {
      body.unread(read);
      if (isLeft) asker.answer();
      return;
    }
    const reads = this.#reads;
    const piece = body.decodeLarge(read);
    if (piece.length === 0) return;
    if (this.#hasLeft(reads, piece)) return asker.answer();
    reads?.shift();
    asker.answer();
    controller.enqueue(piece);
  }

  /** Gives what is buffered, `run` bytes or the end, if that is enough for who asks. */
  #give(
    body: Body,
    controller: ReadableByteStreamController,
    run: number,
    asker: Asker,
  ): void {
    // The reader that asked has let go: the bytes stay in the buffer for whoever reads next.
    if (this.#isLeft(controller, asker)) return asker.answer();
    const reads = this.#reads;
    const asked = reads?.[0] ?? PIECE;
    const view = this.#hasStaleView ? null : controller.byobRequest?.view as Uint8Array | null;
    const isPiece = asked === PIECE;
    if (!isPiece && (asked.least > 1 || this.#count > 0)) {
      // The standard may have put something into it from its queue.
      const filled = view ? asked.size - view.byteLength : 0;
      if (run > 0) this.#keep(body, asked.size - filled);
      if (this.#hasLeft(reads)) return asker.answer();
      const there = filled + Math.min(this.#count, asked.size - filled);
      const whole = there - there % asked.element;
      if (whole >= asked.least) {
        reads!.shift();
        asker.answer();
        return this.#put(controller, view, this.#takeKept(whole - filled));
      }
      if (run !== ENDED) return;
    } else if (this.#count > 0) {
      reads?.shift();
      asker.answer();
      return this.#put(controller, null, this.#takeKept(this.#count));
    }
    if (run === ENDED) {
      body.end();
      return this.#hasLeft(reads) ? asker.answer() : this.#end(body, controller, view, asker);
    }
    if (view) {
      const count = body.pull(view);
      if (this.#hasLeft(reads, view.subarray(0, count))) return asker.answer();
      reads?.shift();
      asker.answer();
      controller.byobRequest?.respond(count);
      return;
    }
    const piece = isPiece ? body.piece(run) : taken(body, asked.size);
    if (this.#hasLeft(reads, piece)) return asker.answer();
    reads?.shift();
    asker.answer();
    this.#put(controller, null, piece);
  }

  /**
   * Whether a trace that was told of bytes which were taken had the reader let go, or cancelled the stream:
   * they are kept for the next one, or nobody's.
   */
  #hasLeft(reads: Asked[] | null, taken: Uint8Array = NONE): boolean {
    if (this.#isEnded) return true;
    if (this.#reads === reads) return false;
    if (taken.length > 0) {
      this.#kept = taken.slice() as Piece;
      this.#count = taken.length;
    }
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
      this.#stale = 0;
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
    this.#isEnded = true;
    asker.answer();
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
    const count = this.#count + body.pull(this.#kept.subarray(this.#count, size));
    // A trace may have cancelled the stream.
    this.#count = this.#isEnded ? 0 : count;
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

/** The options of a BYOB read, converted once, as the standard does. What is no object it refuses. */
function converted(options?: { min: number }): { min: number } | undefined {
  if (typeof options !== "object" || options === null) return options;
  const { min } = options;
  return min === undefined ? undefined : { min: +min };
}

/** What a BYOB read asks for. */
function viewRead(view: ArrayBufferView, options?: { min: number }): Asked {
  const { BYTES_PER_ELEMENT: element = 1 } = view as Partial<Uint8Array>;
  const least = Math.trunc(options?.min ?? 1);
  return { size: view.byteLength, least: least * element, element };
}
