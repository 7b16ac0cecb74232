/**
 * Plays random cases until the time is over: `deno task model --seconds N --seed S`.
 *
 * - `--seed S`: the first seed; each case has the one after. The present time if it is not given.
 * - `--only N`: play the case of this seed only, and show what happened.
 * - `--ignore promise3,promise1/unread`: findings of these promises or rules do not count.
 * - `--jobs N`: how many processes play cases at once, 2 if it is not given.
 * - `--all`: go on after a failure; each rule that is broken is shown once, with its shortest case.
 *
 * @module
 */
import { Children, serveCases } from "./child.ts";
import { describeCase } from "./describe.ts";
import { makeCase } from "./generate.ts";
import type { Outcome } from "./model.ts";
import type { Case } from "./plan.ts";
import { shrink } from "./shrink.ts";
import type { Finding } from "./world.ts";

/** How long a case that is made shorter may take, in milliseconds. */
const SHORT_PATIENCE = 1500;

interface Options {
  seconds: number;
  seed: number;
  only: number | null;
  ignore: string[];
  all: boolean;
  jobs: number;
}

function optionsOf(args: string[]): Options {
  const value = (name: string) => {
    const at = args.indexOf(name);
    return at < 0 ? null : args[at + 1];
  };
  const only = value("--only");
  return {
    seconds: Number(value("--seconds") ?? 60),
    seed: Number(value("--seed") ?? Date.now() % 1_000_000_000),
    only: only === null ? null : Number(only),
    ignore: value("--ignore")?.split(",") ?? [],
    all: args.includes("--all"),
    jobs: Number(value("--jobs") ?? 2),
  };
}

/** The findings that count. */
export function counted({ findings }: Outcome, ignore: readonly string[]): Finding[] {
  return findings.filter(({ rule }) =>
    !ignore.some((name) => rule === name || rule.startsWith(`${name}/`))
  );
}

/** Children that run this module. */
export function children(): Children {
  const importMap = new URL("../std_offline/import_map.json", import.meta.url).href;
  const args = ["run", "-A", "--no-check", "--quiet", `--import-map=${importMap}`];
  return new Children([...args, import.meta.url, "--child"]);
}

/** The shortest case that breaks a rule as `found` says, and how it does, as lines. */
export async function explain(
  runner: Children,
  plan: Case,
  { rule, message }: Finding,
  found: Outcome,
): Promise<string[]> {
  const breaks = (outcome: Outcome) => outcome.findings.find((finding) => finding.rule === rule);
  const short = await shrink(
    plan,
    async (plan) => breaks(await runner.ask({ plan }, SHORT_PATIENCE)) !== undefined,
    rule === "promise5/freeze" ? 80 : undefined,
  );
  let outcome = await runner.ask({ plan: short });
  // What depends on real time may need a second try.
  for (let i = 0; i < 3 && breaks(outcome) === undefined; i++) {
    outcome = await runner.ask({ plan: short });
  }
  const again = breaks(outcome);
  const shown = again === undefined ? plan : short;
  return [
    `${rule}, seed ${plan.seed}: ${again?.message ?? `${message} (not every time)`}`,
    ...describeCase(shown).map((line) => `    ${line}`),
    ...(again === undefined ? found : outcome).story.map((line) => `      | ${line}`),
  ];
}

/** Plays the case of one seed, and shows all of it. */
async function replay(runner: Children, seed: number, ignore: string[]): Promise<boolean> {
  const plan = makeCase(seed);
  const outcome = await runner.ask({ seed });
  console.log([...describeCase(plan), "", ...outcome.story].join("\n"));
  const findings = counted(outcome, ignore);
  for (const { rule, message } of findings) console.log(`${rule}: ${message}`);
  const [first] = findings;
  if (first) console.log((await explain(runner, plan, first, outcome)).join("\n"));
  return findings.length === 0;
}

/** What a search has come to so far. */
interface Tally {
  next: number;
  sequences: number;
  calls: number;
  failed: number;
  ignore: string[];
}

/** Plays one case after another, until the time is over or one fails. */
async function searchBy(
  runner: Children,
  { all }: Options,
  tally: Tally,
  over: () => boolean,
): Promise<void> {
  while (!over() && (all || tally.failed === 0)) {
    const seed = tally.next++;
    const outcome = await runner.ask({ seed });
    tally.sequences++;
    tally.calls += outcome.calls;
    for (const finding of counted(outcome, tally.ignore)) {
      if (tally.ignore.includes(finding.rule)) continue;
      tally.ignore.push(finding.rule);
      tally.failed++;
      console.log((await explain(runner, makeCase(seed), finding, outcome)).join("\n"));
    }
  }
}

/** Plays cases until the time is over, in several children: each spends most of its time waiting. */
async function search(options: Options): Promise<boolean> {
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1000;
  const tally: Tally = {
    next: options.seed,
    sequences: 0,
    calls: 0,
    failed: 0,
    ignore: [...options.ignore],
  };
  await Promise.all(Array.from({ length: options.jobs }, async () => {
    await using runner = children();
    await searchBy(runner, options, tally, () => elapsed() > options.seconds);
  }));
  const { sequences, calls, failed } = tally;
  console.log(
    `${sequences} sequences, ${calls} calls, ${
      elapsed().toFixed(1)
    } s, from seed ${options.seed}: ` +
      (failed === 0 ? "nothing found" : `${failed} rules broken`),
  );
  return failed === 0;
}

/** Plays the case of one seed in a child of its own. */
async function replayOne(seed: number, ignore: string[]): Promise<boolean> {
  await using runner = children();
  return await replay(runner, seed, ignore);
}

if (import.meta.main) {
  if (Deno.args[0] === "--child") await serveCases();
  else {
    const options = optionsOf(Deno.args);
    const good = options.only === null
      ? await search(options)
      : await replayOne(options.only, options.ignore);
    if (!good) Deno.exitCode = 1;
  }
}
