/**
 * A child process that answers each line with a line, and ends when its input does.
 *
 * @module
 */

/** How long an answer may take, in milliseconds. */
const PATIENCE = 120_000;

/** A running child. */
export class LineChild implements AsyncDisposable {
  #name: string;
  #process: Deno.ChildProcess;
  #input: WritableStreamDefaultWriter<Uint8Array>;
  #output: ReadableStreamDefaultReader<string>;
  #buffered = "";

  /** Starts a program; what it writes to standard error is shown. */
  constructor(name: string, command: string, args: string[], env: Record<string, string> = {}) {
    this.#name = name;
    const options = { args, env, stdin: "piped", stdout: "piped", stderr: "inherit" } as const;
    this.#process = new Deno.Command(command, options).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#output = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Sends a line and takes the answer. */
  async ask(line: string): Promise<string> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
    return await this.line();
  }

  /** The next line. */
  async line(): Promise<string> {
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), PATIENCE);
    try {
      while (!this.#buffered.includes("\n")) {
        const { value, done } = await this.#output.read();
        if (done) throw new Error(`${this.#name} has ended, or took too long`);
        this.#buffered += value;
      }
      const [line] = this.#buffered.split("\n", 1);
      this.#buffered = this.#buffered.slice(line.length + 1);
      return line;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends its input and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#output.cancel();
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 3000);
    await this.#process.status;
    clearTimeout(timer);
  }
}
