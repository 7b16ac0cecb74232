/**
 * Cases played in another process, so that a frozen one can be ended. The child reads cases as lines of
 * JSON, and answers each with a line.
 *
 * @module
 */
import type { Case } from "./plan.ts";
import { makeCase } from "./generate.ts";
import { type Outcome, runCase } from "./model.ts";

/** How long a case may take without a sign of life, in milliseconds; most take some 20. */
const PATIENCE = 5000;

/** What is asked of a child: the case of a seed, or one that is given. */
export type Question = { seed: number } | { plan: Case };

/** The outcome of a case that never ends. */
const FROZEN: Outcome = {
  findings: [{ rule: "promise5/freeze", message: "The process is frozen, or the case never ends" }],
  calls: 0,
  story: [],
};

/** Lines of text from a stream of bytes. */
async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (text + piece).split("\n");
    text = lines.pop()!;
    yield* lines;
  }
}

/** A child process that plays cases; a new one is started when one had to be ended. */
export class Children implements AsyncDisposable {
  #child: Deno.ChildProcess | null = null;
  #lines: AsyncGenerator<string> | null = null;
  #input: WritableStreamDefaultWriter<Uint8Array> | null = null;
  #args: string[];

  /** Starts children with these arguments of `deno`. */
  constructor(args: string[]) {
    this.#args = args;
  }

  /** Plays a case. */
  async ask(question: Question, patience = PATIENCE): Promise<Outcome> {
    if (this.#child === null) await this.#start();
    const child = this.#child!;
    let frozen = false;
    const timer = setTimeout(() => {
      frozen = true;
      child.kill("SIGKILL");
    }, patience);
    try {
      await this.#input!.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
      const { done, value } = await this.#lines!.next();
      if (!done) return JSON.parse(value) as Outcome;
      const { code, signal } = await child.status;
      await this.#forget();
      return frozen ? FROZEN : ended(code, signal);
    } catch (error) {
      await this.#forget();
      return frozen ? FROZEN : ended(-1, String(error));
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child === null) return;
    await this.#input!.close();
    await this.#lines!.next();
    await this.#child.status;
    await this.#forget();
  }

  /** Starts a child, and waits until it is ready. */
  async #start(): Promise<void> {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: this.#args,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = linesOf(this.#child.stdout);
    this.#input = this.#child.stdin.getWriter();
    await this.#lines.next();
  }

  async #forget(): Promise<void> {
    const [child, lines, input] = [this.#child, this.#lines, this.#input];
    this.#child = this.#lines = this.#input = null;
    await lines?.return(undefined);
    await input?.close().catch(() => {});
    await child?.status;
  }
}

/** The outcome of a case that ended its process. */
function ended(code: number, how: string | null): Outcome {
  const message = `The process ended with ${code}${how === null ? "" : ` (${how})`}`;
  return { findings: [{ rule: "promise5/process", message }], calls: 0, story: [] };
}

/** The outcome of a case, be it a fault of the model's own. */
async function outcomeOf(plan: Case): Promise<Outcome> {
  try {
    return await runCase(plan);
  } catch (error) {
    const message = error instanceof Error ? error.stack ?? error.message : String(error);
    return { findings: [{ rule: "model/error", message }], calls: 0, story: [] };
  }
}

/** What the child does. */
export async function serveCases(): Promise<void> {
  console.log("ready");
  for await (const line of linesOf(Deno.stdin.readable)) {
    const question = JSON.parse(line) as Question;
    const plan = "plan" in question ? question.plan : makeCase(question.seed);
    console.log(JSON.stringify(await outcomeOf(plan)));
  }
}
