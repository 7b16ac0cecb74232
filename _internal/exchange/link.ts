/**
 * The link: what a connection object talks over, from one channel to the next. It makes channels,
 * retires those that a server ended or spoke on unasked, and lets go of those that a response or the
 * user took over. Which request may be sent when is the connection's affair.
 *
 * @module
 */
import { TunnelError } from "../../errors.ts";
import type { HTTPMessage } from "../../headers.ts";
import { annotate, Channel } from "./channel.ts";
import { type Dial, dial, type DialTimings } from "./connector.ts";
import { Lifeline } from "./deadlines.ts";
import { GuardedTransport, type Transport } from "../net/transport.ts";

/** A signal that may be missing. */
export type MaybeSignal = AbortSignal | null | undefined;

/** What a connection object talks over. */
export class Link {
  /** Told when the channel has ended, or is free again after a response. */
  onrelease: () => void = () => {};
  /** The fields of the last proxy's answer to CONNECT. */
  proxyHeaders: HTTPMessage | null = null;
  #plan: () => Omit<Dial, "onproxy">;
  #channel: Channel | null = null;
  #connecting: { life: Lifeline; channel: Promise<Channel> } | null = null;
  /** The channel that switched protocols, until it is detached. */
  #switched: Channel | null = null;
  /** What `sock` was set to, which it then answers. */
  #sock: Transport | null = null;

  /**
   * @param plan Where to connect to and how, as of the moment of connecting.
   */
  constructor(plan: () => Omit<Dial, "onproxy">) {
    this.#plan = plan;
  }

  /** Whether there is a channel, or one in the making. */
  get open(): boolean {
    return this.#channel !== null || this.#connecting !== null;
  }

  get sock(): Transport | null {
    return this.#sock ?? (this.#channel ?? this.#switched)?.transport ?? null;
  }

  set sock(sock: Transport | null) {
    // It is not closed, as in Python: who sets it has it. But nothing of ours stays behind.
    this.#channel?.life.stop();
    this.#channel = this.#sock = null;
    if (sock === null) return;
    const channel = new Channel(new GuardedTransport(sock));
    const { settings, trace } = this.#plan();
    Object.assign(channel, { settings, trace });
    this.#own(channel);
    this.#sock = sock;
  }

  /** The channel, if there is one. */
  get channel(): Channel | null {
    return this.#channel;
  }

  /** Ends a channel that the server ended, or spoke on unasked. */
  retire(channel: Channel): void {
    this.leave(channel);
    channel.close();
  }

  /** Connects, once for all who ask at the same time. */
  connect(
    signal: MaybeSignal,
    timings: DialTimings = { connected: null, secured: null },
  ): Promise<Channel> {
    if (this.#connecting !== null) {
      this.#connecting.life.listen(signal);
      return this.#connecting.channel;
    }
    const life = new Lifeline();
    const connecting = { life, channel: this.#dial(life, signal, timings) };
    this.#connecting = connecting;
    const over = () => {
      if (this.#connecting === connecting) this.#connecting = null;
    };
    connecting.channel.then(over, over);
    return connecting.channel;
  }

  /** Lets a channel go: who has it from now on must end it. */
  leave(channel: Channel): void {
    channel.onrelease = null;
    if (this.#channel === channel) this.#channel = this.#sock = null;
  }

  /** Keeps a channel that switched protocols for `detach()`. */
  keepSwitched(channel: Channel): void {
    this.leave(channel);
    this.#switched = channel;
  }

  /**
   * Lets go of the channels; `unread` says that a response still needs the one, which ends with it.
   */
  drop(unread: boolean): void {
    const channel = this.#channel;
    this.#switched?.close();
    this.#switched = null;
    if (channel === null) return;
    this.leave(channel);
    if (unread) channel.reusable = false;
    else channel.close();
  }

  /** Ends all of it, an attempt to connect included. */
  close(): void {
    const connecting = this.#connecting;
    this.#connecting = null;
    connecting?.life.kill(new Deno.errors.Interrupted("The connection was closed"));
    this.drop(false);
  }

  /** Hands over the channel that switched protocols, or the one through a tunnel. */
  detach(tunnelled: boolean): { transport: Transport; buffered: Uint8Array } | null {
    const channel = this.#switched ?? (tunnelled ? this.#channel : null);
    if (channel === null || channel.closed) return null;
    this.#switched = null;
    this.leave(channel);
    return channel.detach();
  }

  #own(channel: Channel): Channel {
    this.#channel = channel;
    channel.onrelease = (free) => {
      if (!free) this.leave(channel);
      this.onrelease();
    };
    return channel;
  }

  async #dial(life: Lifeline, signal: MaybeSignal, timings: DialTimings): Promise<Channel> {
    try {
      const plan = this.#plan();
      life.listen(signal);
      life.set("total", plan.deadlines.total);
      const onproxy = (headers: HTTPMessage) => void (this.proxyHeaders = headers);
      const channel = await dial({ ...plan, onproxy }, life, timings);
      if (life.death !== null) throw channel.fail(life.death.reason);
      this.#switched?.close();
      this.#switched = null;
      channel.waiting = true;
      return this.#own(channel);
    } catch (error) {
      life.stop();
      if (error instanceof TunnelError) this.proxyHeaders = error.headers as HTTPMessage;
      const reason = life.death === null ? error : life.death.reason;
      annotate(reason, {
        phase: life.phase,
        requestBytesSent: 0,
        responseBytesReceived: 0,
        connectionReused: false,
        retrySafe: "yes",
      });
      throw reason;
    }
  }
}
