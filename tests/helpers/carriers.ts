/**
 * What an exchange has around it: a connection, a body and an owner that record what they are told.
 *
 * @module
 */
import {
  type Carrier,
  Exchange,
  type ExchangeBody,
  type ExchangeOwner,
  type ExchangeStart,
} from "../../_internal/exchange/exchange.ts";
import type { Facts } from "./facts.ts";

/** A connection as an exchange sees it. */
export class FakeCarrier implements Carrier {
  opening: "connect" | "tls" | null = null;
  received = 0;
  unconsumed = 0;
  reused = false;
  exact = false;
  /** The error that is one of the user's own transport. */
  theirs: unknown = undefined;
  /** The calls in their order. */
  readonly calls: string[] = [];
  /** What it was ended with. */
  readonly reasons: unknown[] = [];
  /** Called by `end()`. */
  onend: () => void = () => {};

  /** Whether an error is `theirs`. */
  throwsFor(error: unknown): boolean {
    return error === this.theirs;
  }

  leaveWrite(): void {
    this.calls.push("leaveWrite");
  }

  endReuse(): void {
    this.calls.push("endReuse");
  }

  endSending(): void {
    this.calls.push("endSending");
  }

  end(reason: unknown): void {
    this.calls.push("end");
    this.reasons.push(reason);
    this.onend();
  }

  release(): void {
    this.calls.push("release");
  }
}

/** Who began an exchange, and the body of its response. */
export class Watcher implements ExchangeOwner, ExchangeBody {
  /** The calls in their order. */
  readonly calls: string[] = [];
  /** The facts of each failure. */
  readonly failures: Facts[] = [];

  working(_exchange: Exchange, isWorking: boolean): void {
    this.calls.push(`working ${isWorking}`);
  }

  failed(_exchange: Exchange, facts: Facts): void {
    this.calls.push("failed");
    this.failures.push(facts);
  }

  over(): void {
    this.calls.push("over");
  }

  cut(): void {
    this.calls.push("cut");
  }

  takeBytes(): boolean {
    this.calls.push("takeBytes");
    return true;
  }
}

/** An exchange that nothing carries yet. */
export function newExchange(start: Partial<ExchangeStart> = {}): Exchange {
  return new Exchange({ method: "POST", target: "/", url: "http://example.com/", ...start });
}

/** An exchange that a connection carries. */
export function carried(
  start: Partial<ExchangeStart> = {},
): { exchange: Exchange; carrier: FakeCarrier } {
  const exchange = newExchange(start);
  const carrier = new FakeCarrier();
  exchange.begin(carrier);
  return { exchange, carrier };
}

/** An `AbortController` whose signal counts its listeners. */
export function countedSignal(): { controller: AbortController; listeners: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: EventListenerOrEventListenerObject) => {
    listeners.add(listener);
    add(type, listener);
  };
  signal.removeEventListener = (type: string, listener: EventListenerOrEventListenerObject) => {
    listeners.delete(listener);
    remove(type, listener);
  };
  return { controller, listeners: () => listeners.size };
}
