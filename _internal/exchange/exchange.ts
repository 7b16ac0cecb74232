/**
 * An exchange: a request that is out, up to the head of its response.
 *
 * @module
 */
import type { HTTPResponse } from "../../response.ts";
import type { Channel } from "./channel.ts";
import { type ResponseTimings, startTimings } from "./trace.ts";

/** One request and its response. */
export class Exchange {
  readonly method: string;
  readonly target: string;
  readonly url: string;
  readonly timings: ResponseTimings = startTimings();
  /** The response, once its head is waited for. */
  response: HTTPResponse | null = null;
  /** What the request goes out on, once that is known. */
  channel: Channel | null = null;
  /** Who asks for the channel before that; nobody does where the request is awaited. */
  #asking: PromiseWithResolvers<Channel> | null = null;
  #failure: { reason: unknown } | null = null;

  constructor(method: string, target: string, url: string) {
    this.method = method;
    this.target = target;
    this.url = url;
  }

  /** The channel is known. */
  open(channel: Channel): void {
    this.channel = channel;
    this.#asking?.resolve(channel);
  }

  /** There will be no channel. */
  fail(reason: unknown): void {
    this.#failure = { reason };
    this.#asking?.reject(reason);
  }

  /** Waits for the channel. */
  whenOpen(): Promise<Channel> {
    if (this.#failure !== null) return Promise.reject(this.#failure.reason);
    this.#asking ??= Promise.withResolvers<Channel>();
    return this.#asking.promise;
  }
}
