/**
 * What differs between runtimes, and between versions of one: this is the only place that asks.
 *
 * @module
 */
import { errors } from "../../errors.ts";

/** How a transport behaves. */
export type TransportKind =
  /** A socket of Deno's own: what has reached the process is read within three microtasks. */
  | "deno"
  /** A socket of Node's: told by the event loop, kept in the socket until it is read. */
  | "node"
  /** Anything else, such as a transport of the user's. */
  | "other";

/** A transport that can be kept from holding the process while nobody waits for it. */
interface Refable {
  ref?(): void;
  unref?(): void;
}

/** An address of a socket, as Deno tells it. */
export type SocketAddress = { hostname: string; port: number } | { path: string };

/** A TCP connection of Deno's. */
export interface DenoTcpConn extends Closer {
  read(p: Uint8Array): Promise<number | null>;
  write(p: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  setNoDelay(noDelay?: boolean): void;
}

/** A TLS connection of Deno's. */
export interface DenoTlsConn extends DenoTcpConn {
  handshake(): Promise<{ alpnProtocol: string | null }>;
}

interface Closer {
  close(): void;
}

type Permission = { name: "net"; host: string };

/** What this library uses of Deno. Declared here, so that the package type-checks where there is none. */
interface DenoRuntime {
  readonly version: { readonly deno: string };
  readonly permissions: {
    query(permission: Permission): Promise<{ state: string }>;
    request(permission: Permission): Promise<{ state: string }>;
  };
  readonly FsFile?: abstract new (...args: never[]) => unknown;
  connect(
    options: { hostname: string; port: number; signal: AbortSignal },
  ): Promise<DenoTcpConn>;
  connect(options: { transport: "unix"; path: string }): Promise<DenoTcpConn>;
  connectTls(options: Record<string, unknown>): Promise<DenoTlsConn>;
  startTls(conn: DenoTcpConn, options: Record<string, unknown>): Promise<DenoTlsConn>;
  unrefTimer(timer: unknown): void;
  refTimer(timer: unknown): void;
}

/** Deno, where there is one that has sockets. */
export const deno: DenoRuntime | undefined = denoRuntime();

function denoRuntime(): DenoRuntime | undefined {
  const { Deno: runtime } = globalThis as unknown as { Deno?: Partial<DenoRuntime> };
  return typeof runtime?.connect === "function" ? runtime as DenoRuntime : undefined;
}

/**
 * Refuses what does not work on this version of Deno: it would fail in another way, or hang.
 *
 * @param needed The first version that has it, such as "2.7.4".
 * @throws {Deno.errors.NotSupported} When this is an older one.
 */
export function needDeno(needed: string, feature: string): void {
  const running = deno?.version.deno;
  if (running === undefined || !isOlder(running, needed)) return;
  throw new errors.NotSupported(`${feature} needs Deno ${needed} or later, and this is ${running}`);
}

/**
 * Refuses a content coding that this version of Deno cannot undo.
 *
 * Deno: before 2.7 there is no zstd, and the process ends where a decoder of brotli is closed while it works.
 */
export function needCoding(coding: string): void {
  if (coding === "br" || coding === "zstd") needDeno("2.7.0", `Cannot decode body as ${coding}`);
}

/** Whether this is workerd, which ignores much of what its `node:net` and `node:tls` are asked for. */
export function isWorkerd(): boolean {
  // Not every runtime has this.
  const { navigator } = globalThis as { navigator?: { userAgent?: string } };
  return navigator?.userAgent === "Cloudflare-Workers";
}

/** Refuses what workerd would ignore, or fail at in words that do not tell what is missing. */
export function refuseOnWorkerd(feature: string): void {
  if (isWorkerd()) throw new errors.NotSupported(`workerd does not support ${feature}`);
}

/** Whether one version comes before another. */
function isOlder(version: string, other: string): boolean {
  const parts = (text: string) => text.split(/[.+-]/, 3).map(Number);
  const [a, b] = [parts(version), parts(other)];
  const i = a.findIndex((part, index) => part !== b[index]);
  return i >= 0 && a[i]! < b[i]!;
}

/** A class of errors. */
export type ErrorClass = new (message: string, options?: ErrorOptions) => Error;

/** An error with a cause, which the classes of Deno 2.5 leave out, and with the code that Node gives it. */
export function socketError(
  constructor: ErrorClass,
  message: string,
  cause: unknown,
  code?: string,
): Error {
  const error = new constructor(message, cause === undefined ? undefined : { cause });
  if (cause !== undefined && error.cause === undefined) {
    Object.defineProperty(error, "cause", { value: cause, configurable: true, writable: true });
  }
  return code === undefined ? error : Object.assign(error, { code });
}

/** Whether a reader is a file of Deno's, which is read in larger steps. */
export function isDenoFile(reader: object): boolean {
  return deno?.FsFile !== undefined && reader instanceof deno.FsFile;
}

/** Whether the program may connect to a host and port: where nobody restricts it, it may. */
export async function mayConnect(host: string, asking: "query" | "request"): Promise<boolean> {
  if (deno === undefined) return true;
  return (await deno.permissions[asking]({ name: "net", host })).state === "granted";
}

/** The classes of Deno's sockets, which are not to be had before one was opened. */
const DENO_SOCKETS = ["TcpConn", "TlsConn", "UnixConn"];

/** Whether a transport is a socket of Deno's own, whoever opened it, and not changed by its user. */
export function isDenoSocket(transport: object): boolean {
  const prototype = Object.getPrototypeOf(transport);
  return DENO_SOCKETS.includes(prototype?.constructor?.name) && "localAddr" in transport &&
    !["read", "write", "close"].some((method) => Object.hasOwn(transport, method));
}

/**
 * Whether `close()` ends a read that is pending on a socket of Deno's own.
 *
 * Deno: 2.8 does not, denoland/deno#35292. May go when no 2.8 is supported.
 */
export const CLOSE_ENDS_READS: boolean = !/^2\.8\./.test(deno?.version.deno ?? "");

/** Lets the process end though an operation of this transport is pending. */
export function unref(transport: object): void {
  (transport as Refable).unref?.();
}

/** The contrary, as it is by default. */
export function ref(transport: object): void {
  (transport as Refable).ref?.();
}

/** Lets the process end though this timer is armed. */
export function unrefTimer(timer: ReturnType<typeof setTimeout>): void {
  if (deno === undefined) (timer as Refable).unref?.();
  else deno.unrefTimer(timer);
}

/** The contrary, as it is by default. */
export function refTimer(timer: ReturnType<typeof setTimeout>): void {
  if (deno === undefined) (timer as Refable).ref?.();
  else deno.refTimer(timer);
}

/** A promise, and what settles it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T | PromiseLike<T>): void;
  reject(reason: unknown): void;
}

/** `Promise.withResolvers()`, which Node 20 lacks. */
export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T | PromiseLike<T>) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onresolve, onreject) => {
    resolve = onresolve;
    reject = onreject;
  });
  return { promise, resolve, reject };
}

/** A turn of the event loop, as short as the runtime has one: about 2 us. */
export function turn(): Promise<void> {
  // Deno: what this loads when it is looked at takes 7 ms of a cold start; so not before it is needed.
  const { setImmediate: immediately } = globalThis as unknown as {
    setImmediate?: (callback: () => void) => unknown;
  };
  return new Promise((resolve) => {
    if (immediately === undefined) setTimeout(resolve, 0);
    else immediately(resolve);
  });
}

/** `Atomics.waitAsync` waits for this cell, which nobody ever wakes; not every runtime has such memory. */
const CELL = typeof SharedArrayBuffer === "undefined"
  ? null
  : new Int32Array(new SharedArrayBuffer(4));
const PARK_MS = 0.1;
/**
 * `waitAsync` holds no process, so a timer does. It must not be due before the thread is parked: one of 5 ms
 * was on a busy machine, and 5 of 777 answers were missed.
 */
const PARK_AT_MOST_MS = 100;
/** The same where there is no `waitAsync`. */
const PARK_WITHOUT_MS = 1;

/**
 * Lets the event loop ask the system what has come, and tell it.
 *
 * A timer that is due may fire without that: `setTimeout(0)` misses 0.8 % of what had come while the
 * program was busy, three in a row 1 %, `setImmediate` all of it. A wait that parks the thread, and the
 * turn after it, missed none of 1,422, and take 1.1 ms (`bench/idle_guard.ts`).
 */
export function park(): Promise<void> {
  if (parking !== null) return parking;
  parking = parkAlone();
  // A moment later another read may have been issued, which this wait would not ask about.
  Promise.resolve().then(() => parking = null);
  return parking;
}

/** Shared by all who begin at the same moment: a fifth of 1,000 requests at once (`bench/run.ts --only j`). */
let parking: Promise<void> | null = null;

async function parkAlone(): Promise<void> {
  const { waitAsync } = Atomics as unknown as {
    waitAsync?: (
      cell: Int32Array,
      index: number,
      value: number,
      ms: number,
    ) => { value: Promise<string> | string };
  };
  const parked = CELL === null ? undefined : waitAsync?.call(Atomics, CELL, 0, 0, PARK_MS).value;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, parked === undefined ? PARK_WITHOUT_MS : PARK_AT_MOST_MS);
  });
  await (parked === undefined ? late : Promise.race([late, parked]));
  clearTimeout(timer);
  await turn();
}
