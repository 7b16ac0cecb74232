/**
 * What `console.log` and `util.inspect` show of this library's objects: what a person asks, and no secrets.
 * Nothing is read, parsed or changed for that.
 *
 * @module
 */

/** Under this name Deno calls what an object shows of itself with its `inspect` and the options. */
export const DENO_INSPECT: unique symbol = Symbol.for("Deno.customInspect") as never;
/** Under this name Node does, with the depth that is left, the options and its `inspect`. */
export const NODE_INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

/** Fields whose values let whoever has them act for the user. */
const SECRET = new Set(["authorization", "cookie", "proxy-authorization", "set-cookie"]);
/** What stands for a secret. */
const HIDDEN = "<hidden>";
/** More fields than this are counted. */
const MOST_FIELDS = 100;
/** What is longer does not stand on one line. */
const LINE = 72;

/** An inspect function of a runtime. */
type Inspect = (value: unknown, options?: InspectOptions) => string;

/** What this library looks at among the options of either runtime, which are passed on. */
interface InspectOptions {
  depth?: number | null;
  colors?: boolean;
  /** Deno's: how deep the object stands in what is shown, and how far it is indented. */
  currentDepth?: number;
  indentationLvl?: number;
}

/** How something is shown, the same for each runtime. */
export interface View {
  show(value: unknown): string;
  /** Whether what is in the object is to be shown. */
  isDeep: boolean;
  /** What stands in front of each line but the first. */
  margin: string;
  /** A word that stands for something, in colour if there are colours. */
  word(text: string): string;
}

/** What Deno calls, as a view. */
function denoView(inspect: Inspect, options: InspectOptions): View {
  const { currentDepth = 0, depth = 4, indentationLvl = 0 } = options;
  return viewOf(inspect, options, (depth ?? Infinity) - currentDepth, indentationLvl);
}

/** What Node calls, as a view; Node indents by itself. */
function nodeView(depth: number | null, options: InspectOptions, inspect: Inspect): View {
  return viewOf(inspect, options, depth ?? Infinity, 0);
}

function viewOf(inspect: Inspect, options: InspectOptions, depth: number, margin: number): View {
  const inner = { ...options, depth: Math.max(depth, 0) };
  return {
    show: (value) => inspect(value, inner),
    isDeep: depth >= 0,
    margin: " ".repeat(margin),
    word: (text) => options.colors ? `\x1b[36m${text}\x1b[39m` : text,
  };
}

/** What has been given the two calls below. */
export interface Inspected {
  [DENO_INSPECT](inspect: Inspect, options: InspectOptions): string;
  [NODE_INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string;
}

/** Lets the objects of a class show themselves, and have a name in `String(object)`. */
export function inspectable<T extends object>(
  prototype: T,
  tag: string,
  show: (object: T, view: View) => string,
): void {
  const shown = (object: T, view: View) => {
    const { name } = object.constructor;
    return view.isDeep ? show(object, view) : view.word(`[${name || tag}]`);
  };
  const hidden = (value: unknown) => ({ value, writable: true, configurable: true });
  Object.defineProperties(prototype, {
    [Symbol.toStringTag]: { value: tag, configurable: true },
    [DENO_INSPECT]: hidden(function (this: T, inspect: Inspect, options: InspectOptions = {}) {
      return shown(this, denoView(inspect, options));
    }),
    [NODE_INSPECT]: hidden(
      function (this: T, depth: number | null, options: InspectOptions, inspect: Inspect) {
        return shown(this, nodeView(depth, options, inspect));
      },
    ),
  });
}

/** An object by its name and what is known of it. */
export function showFacts(object: object, facts: Record<string, unknown>, view: View): string {
  return `${object.constructor.name} ${view.show(facts)}`;
}

/** The fields of a message: in their order, each on a line of its own where there are many. */
export function showFields(object: object, fields: readonly string[], view: View): string {
  const { name } = object.constructor;
  if (fields.length === 0) return `${name} {}`;
  const entries: string[] = [];
  for (let i = 0; i < fields.length && entries.length < MOST_FIELDS; i += 2) {
    const isSecret = SECRET.has(fields[i].toLowerCase());
    const value = isSecret ? view.word(HIDDEN) : view.show(withoutUserInfo(fields[i + 1]));
    entries.push(`${view.show(fields[i])}: ${value}`);
  }
  const left = fields.length / 2 - entries.length;
  if (left > 0) entries.push(`... ${left} more fields`);
  const line = entries.join(", ");
  if (line.length <= LINE && !line.includes("\n")) return `${name} { ${line} }`;
  const { margin } = view;
  return `${name} {\n${entries.map((entry) => `${margin}  ${entry}`).join(",\n")}\n${margin}}`;
}

/** A text without the user and the password of the URLs in it. */
export function withoutUserInfo(text: string): string {
  return text.includes("@") ? text.replace(/(:\/\/)[^\s\/?#"<>]*@/g, `$1${HIDDEN}@`) : text;
}
