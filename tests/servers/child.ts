/**
 * What the helpers that start real servers share: free ports, temporary folders, readiness, and child processes that
 * are ended by their own handle.
 *
 * @module
 */

/** How long a server may take to start or to stop, in milliseconds. */
export const PATIENCE = 20_000;

/** Waits `ms` milliseconds. Only for polling: tests themselves never sleep. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What ends each server that runs now, at once. */
const running = new Set<() => void>();

/**
 * Notes a running server, so that {@linkcode watched} can end it.
 *
 * @param end ends the server at once
 * @returns to be called when the server has ended
 */
export function noteServer(end: () => void): () => void {
  running.add(end);
  return () => void running.delete(end);
}

/**
 * A test that hangs fails after some time, rather than to hold up all others: its servers are ended, and what waited for
 * them sees the end.
 *
 * @param fn the test
 * @param seconds how long it may take
 */
export function watched(fn: () => Promise<void>, seconds = 60): () => Promise<void> {
  return async () => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      for (const end of running) end();
    }, seconds * 1000);
    let cause: unknown;
    try {
      await fn();
    } catch (error) {
      if (!late) throw error;
      cause = error;
    } finally {
      clearTimeout(timer);
    }
    if (late) throw new Error(`The test took more than ${seconds} seconds`, { cause });
  };
}

/** An answer that ends the waiting. */
export type Answer<T> = Exclude<T, undefined | null | false>;

/**
 * Asks again and again until `probe` gives something other than `undefined`, `null` or `false`.
 *
 * @param what what is waited for, for the error's message
 * @param probe the question
 * @param ms the patience in milliseconds
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  ms = PATIENCE,
): Promise<Answer<T>> {
  const deadline = performance.now() + ms;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== null && answer !== false) return answer as Answer<T>;
    if (performance.now() > deadline) throw new Error(`Waited ${ms} ms in vain for: ${what}`);
    await delay(10);
  }
}

/** Gives `count` different free TCP ports of `hostname`. Somebody else may take one before it is used: so retry. */
export function freePorts(count: number, hostname = "127.0.0.1"): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ port: 0, hostname }));
  try {
    return listeners.map((listener) => listener.addr.port);
  } finally {
    for (const listener of listeners) listener.close();
  }
}

/** Whether something listens at `target` now. */
export async function accepts(
  target: Deno.ConnectOptions | Deno.UnixConnectOptions,
): Promise<boolean> {
  try {
    const conn = "transport" in target && target.transport === "unix"
      ? await Deno.connect(target)
      : await Deno.connect(target as Deno.ConnectOptions);
    conn.close();
    return true;
  } catch (error) {
    const notYet = error instanceof Deno.errors.ConnectionRefused ||
      error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionReset;
    if (notYet) return false;
    throw error;
  }
}

/** A temporary folder that is removed at the end. */
export class TempDir implements AsyncDisposable {
  /** The folder's path, without a slash at the end. */
  readonly path: string;

  /** Makes a folder whose name starts with `prefix`; everybody may look into it. */
  constructor(prefix: string) {
    this.path = Deno.makeTempDirSync({ prefix: `${prefix}-` });
    Deno.chmodSync(this.path, 0o755);
  }

  /** Writes a file and returns its path. */
  write(name: string, content: string | Uint8Array): string {
    const path = `${this.path}/${name}`;
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    return path;
  }

  /** Makes a folder within and returns its path. */
  folder(name: string): string {
    const path = `${this.path}/${name}`;
    Deno.mkdirSync(path);
    return path;
  }

  /** Removes the folder with everything in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** Options of {@linkcode Child}. */
export interface ChildOptions {
  /** The arguments. */
  readonly args?: readonly string[];
  /** The working folder. */
  readonly cwd?: string;
  /** Environment variables besides the inherited ones. */
  readonly env?: Record<string, string>;
  /** The signal that asks it to end. @default {"SIGTERM"} */
  readonly signal?: Deno.Signal;
  /** How long it may take to end before it is killed, in milliseconds. @default {3000} */
  readonly grace?: number;
}

/** A child process whose output is collected, and that is ended by its own handle and by nothing else. */
export class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #status: Promise<Deno.CommandStatus>;
  readonly #drained: Promise<unknown>;
  readonly #options: ChildOptions;
  readonly #name: string;
  readonly #forget: () => void;
  #ended: Deno.CommandStatus | undefined;

  /** What it wrote to standard output and standard error so far. */
  output = "";
  /** Its process id. */
  readonly pid: number;

  /** Starts `command`. */
  constructor(command: string, options: ChildOptions = {}) {
    this.#options = options;
    this.#name = command;
    this.#process = new Deno.Command(command, {
      args: [...options.args ?? []],
      cwd: options.cwd,
      env: options.env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#process.pid;
    this.#forget = noteServer(() => this.kill("SIGKILL"));
    this.#status = this.#process.status.then((status) => this.#ended = status);
    this.#drained = Promise.all([
      this.#drain(this.#process.stdout),
      this.#drain(this.#process.stderr),
    ]);
  }

  async #drain(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of stream) this.output += decoder.decode(piece, { stream: true });
  }

  /** Whether it still runs. */
  get running(): boolean {
    return this.#ended === undefined;
  }

  /** Waits until `probe` gives a value; throws with the child's output if it ends or takes too long. */
  async ready<T>(probe: () => T | Promise<T>): Promise<Answer<T>> {
    try {
      return await until(`${this.#name} to be ready`, () => {
        if (!this.running) throw new Error(`${this.#name} ended with code ${this.#ended?.code}`);
        return probe();
      });
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw new Error(`${(error as Error).message}\n${this.output}`, { cause: error });
    }
  }

  /** Sends it a signal, if it still runs. */
  kill(signal: Deno.Signal): void {
    if (!this.running) return;
    try {
      this.#process.kill(signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) throw error;
    }
  }

  /** Asks it to end, kills it if it does not, and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill(this.#options.signal ?? "SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), this.#options.grace ?? 3000);
    await this.#status;
    clearTimeout(timer);
    this.#forget();
    await this.#drained;
  }
}

/**
 * Runs `start` until it works, at most `times` times: a free port may be gone when the server wants it.
 *
 * @param start what to try
 * @param times how often at most
 */
export async function retrying<T>(start: () => Promise<T>, times = 3): Promise<T> {
  for (let left = times;; left--) {
    try {
      return await start();
    } catch (error) {
      if (left <= 1) throw error;
    }
  }
}
