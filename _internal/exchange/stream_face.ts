/**
 * The stream face of a body: what a web stream that asks for a piece is given, once it is there. Nothing
 * here waits, as who waited for the piece may read on at once.
 *
 * @module
 */
import { ENDED } from "../wire/body_decoder.ts";
import type { BodyReader } from "./body.ts";

/** A stream that has asked for a piece. */
export interface Asking {
  controller: ReadableByteStreamController;
  /** Whether a reader is still there. */
  locked: boolean;
  /** Whether a BYOB reader let go while its read was out: its view is still the first to be answered. */
  letGo: boolean;
}

/** Gives a piece that was read straight from the socket. Returns `letGo` from now on. */
export function giveStraight(
  { controller, locked, letGo }: Asking,
  body: BodyReader,
  piece: Uint8Array<ArrayBuffer>,
): boolean {
  if (!locked) {
    body.unread(piece);
    return controller.byobRequest !== null;
  }
  body.passed(piece);
  controller.enqueue(piece);
  return letGo;
}

/** Gives what is buffered: `run` bytes, or the end. Returns `letGo` from now on. */
export function give(
  { controller, locked, letGo }: Asking,
  body: BodyReader,
  run: number,
): boolean {
  // The reader that asked has let go: the bytes stay in the buffer for whoever reads next.
  if (!locked) return controller.byobRequest !== null;
  if (run === ENDED) {
    body.end();
    controller.close();
    controller.byobRequest?.respond(0);
    return letGo;
  }
  const view = controller.byobRequest?.view as Uint8Array | null | undefined;
  // The view of a reader that has let go is not to be answered, or what comes is stuck in it.
  if (view && !letGo) controller.byobRequest!.respond(body.pull(view));
  else controller.enqueue(body.piece(run));
  return false;
}
