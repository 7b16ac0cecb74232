/**
 * What `console.log` and `util.inspect` show of this library's objects: what a person asks, and no secrets.
 * Nothing is read, parsed or changed for that.
 *
 * @module
 */

/** Under this name Deno calls what an object shows of itself with its `inspect` and the options. */
const DENO_INSPECT = Symbol.for("Deno.customInspect");
/** Under this name Node does, with the depth that is left, the options and its `inspect`. */
const NODE_INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** Fields whose values let whoever has them act for the user. */
const SECRET = new Set(["authorization", "cookie", "proxy-authorization", "set-cookie"]);
/** The name of one in a line that is no field, with what stands around it. */
const SECRET_NAME = /^.*?(?:authorization|cookie)[\s:=]*/is;
/** What stands for a secret. */
export const HIDDEN = "<hidden>";
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

/** Lets the objects of a class show themselves, and have a name in `String(object)`. */
export function inspectable<T extends object>(
  prototype: T,
  tag: string,
  show: (object: T, view: View) => string,
): void {
  Object.defineProperty(prototype, Symbol.toStringTag, { value: tag, configurable: true });
  showBy(prototype, (object, view) => {
    const { name } = object.constructor;
    return view.isDeep ? show(object, view) : view.word(`[${name || tag}]`);
  });
}

/** Puts the two calls on an object, where nothing that looks at its properties finds them. */
function showBy<T extends object>(target: T, shown: (object: T, view: View) => string): void {
  const hidden = (value: unknown) => ({ value, writable: true, configurable: true });
  Object.defineProperties(target, {
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
    const value = isSecretField(fields[i]!)
      ? view.word(HIDDEN)
      : view.show(withoutUserInfo(fields[i + 1]!));
    entries.push(`${view.show(fields[i])}: ${value}`);
  }
  const left = fields.length / 2 - entries.length;
  if (left > 0) entries.push(`... ${left} more fields`);
  const line = entries.join(", ");
  if (line.length <= LINE && !line.includes("\n")) return `${name} { ${line} }`;
  const { margin } = view;
  return `${name} {\n${entries.map((entry) => `${margin}  ${entry}`).join(",\n")}\n${margin}}`;
}

/** Lets a plain object show itself without the user and the password of the URLs in it. */
export function showWithoutUserInfo(object: object): void {
  showBy(object, (_, view) => {
    const entries = Object.entries(object).map(([key, value]) => {
      return [key, typeof value === "string" ? withoutUserInfo(value) : value];
    });
    return view.isDeep ? view.show(Object.fromEntries(entries)) : view.word("[Object]");
  });
}

/** A line that is no field, without what may be the value of a secret field. */
export function withoutSecret(line: string): string {
  const name = SECRET_NAME.exec(line);
  return name === null ? withoutUserInfo(line) : name[0] + HIDDEN;
}

/** Lets a plain object show another line than it has. */
export function showLineAs(object: { line: string }, line: string): void {
  showBy(object, (_, view) => {
    return view.isDeep ? view.show({ ...object, line }) : view.word("[Object]");
  });
}

/** Whether the value of a field lets whoever has it act for the user. */
export function isSecretField(name: string): boolean {
  return SECRET.has(name.toLowerCase());
}

/** A text without the user and the password of the URLs in it. */
export function withoutUserInfo(text: string): string {
  return text.includes("@") ? text.replace(/(:\/\/)[^\s\/?#"<>]*@/g, `$1${HIDDEN}@`) : text;
}
