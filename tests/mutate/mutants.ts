/**
 * Makes mutants of a module: small changes of its code, each of which a good test should notice. The
 * parser is deno's own, by way of `Deno.lint.runPlugin`, which only `deno test` offers.
 *
 * Left alone: types, imports, texts of messages, what goes to the console, and what is marked
 * `@tuning` in its doc comment, which changes speed and nothing else.
 *
 * @module
 */

type Node = Deno.lint.Node;
type Range = Deno.lint.Range;

/** What is changed. */
export type MutationKind =
  | "arithmetic"
  | "await"
  | "boolean"
  | "call"
  | "catch"
  | "comparison"
  | "condition"
  | "finally"
  | "logic"
  | "number"
  | "return"
  | "statement"
  | "string"
  | "throw";

/** One change of one module. */
export interface Mutant {
  /** `path:line:column kind: before -> after` */
  id: string;
  /** From the project's folder. */
  module: string;
  line: number;
  column: number;
  kind: MutationKind;
  /** What the id ends in: `kind: before -> after`, long texts cut short. */
  mutation: string;
  /** The source text that is replaced, in full. */
  before: string;
  /** What stands there instead. */
  after: string;
  /** Where `before` begins in the source text. */
  start: number;
  /** The line of source text that it stands in, without indentation. */
  text: string;
  /** The line before that, likewise. */
  textBefore: string;
  /** The lines where the functions around it begin, from the inside out. */
  functions: number[];
}

/** A mutation, before its place is worked out. */
interface Change {
  kind: MutationKind;
  /** What is replaced. */
  node: Node;
  after: string;
}

const SHIFTED: Record<string, string> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "==": "!=",
  "!=": "==",
};

const CALCULATED: Record<string, string> = {
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "**": "*",
  "<<": ">>",
  ">>": "<<",
  ">>>": "<<",
  "&": "|",
  "|": "&",
  "^": "&",
};

const REASSIGNED: Record<string, string> = {
  "+=": "-=",
  "-=": "+=",
  "*=": "/=",
  "/=": "*=",
  "%=": "*=",
  "<<=": ">>=",
  ">>=": "<<=",
  "&=": "|=",
  "|=": "&=",
  "^=": "&=",
  "??=": "=",
  "||=": "=",
  "&&=": "=",
};

const SKIPPED_MODULE = /(^|\/)tuning\.ts$/;
const TUNING_TAG = /^\*[\s\S]*@tuning\b/;
/** Words with blanks between, as no protocol element has them. */
const SENTENCE = /[a-z]+,? (?:[a-z]+\b|\$\{)/;
/** What is left of a statement; an empty one is refused as the body of an `if`. */
const NOTHING = "{}";
/** One more of a number from here on is a difference that may be too small to matter. */
const LARGE = 20;
const LONGEST_SHOWN = 60;

/** Runs a visitor over all nodes of a module. */
function visit(path: string, source: string, visitor: Deno.lint.LintVisitor): void {
  const plugin = { name: "mutate", rules: { read: { create: () => visitor } } };
  Deno.lint.runPlugin(plugin, path, source);
}

function isString(node: Node): node is Deno.lint.StringLiteral {
  return node.type === "Literal" && typeof node.value === "string";
}

function stringOf(node: Node): string[] {
  const inner = node.type === "TSLiteralType" ? node.literal : node;
  return isString(inner) ? [inner.value] : [];
}

/**
 * Collects the sets of strings that a module gives names to: unions of literal types, and arrays
 * `as const`. A state is mutated into another of its own set.
 *
 * @param path The module
 * @param source Its text
 * @returns The sets, each in the order of the source
 */
export function findStringSets(path: string, source: string): string[][] {
  const sets: string[][] = [];
  visit(path, source, {
    TSUnionType: ({ types }) => void sets.push(types.flatMap(stringOf)),
    TSAsExpression: ({ expression }) => {
      if (expression.type !== "ArrayExpression") return;
      sets.push(
        expression.elements.flatMap((element) => element === null ? [] : stringOf(element)),
      );
    },
  });
  return sets.filter((set) => set.length > 1);
}

/** Whether a doc comment can belong to it. */
function isDeclaration(node: Node): boolean {
  return [
    "ExportNamedDeclaration",
    "VariableDeclaration",
    "FunctionDeclaration",
    "ClassDeclaration",
    "PropertyDefinition",
    "MethodDefinition",
    "Property",
  ].includes(node.type);
}

function isFunction(node: Node): boolean {
  return ["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]
    .includes(node.type);
}

/** What a node stands in, from the inside out. */
function* around(node: Node): Generator<Node> {
  for (let at = parentOf(node); at !== undefined; at = parentOf(at)) yield at;
}

function parentOf(node: Node): Node | undefined {
  return (node as { parent?: Node | null }).parent ?? undefined;
}

function isComparison(node: Node): node is Deno.lint.BinaryExpression {
  return node.type === "BinaryExpression" && node.operator in SHIFTED;
}

/** Whether negating it is what shifting its comparison does already. */
function isEquality(node: Node): boolean {
  return isComparison(node) && /^[!=]==?$/.test(node.operator);
}

/** Makes the mutants of one module. */
class Mutator {
  readonly changes: Change[] = [];
  readonly #source: string;
  readonly #sets: string[][];
  /** Code that is marked as tuning. */
  readonly #tuning: Range[] = [];
  /** Where the code after each such mark begins. */
  #marked: number[] = [];

  constructor(source: string, sets: string[][]) {
    this.#source = source;
    this.#sets = sets;
  }

  /** Looks at one node; a visitor comes to the outer nodes first. */
  see(node: Node): void {
    if (node.type === "Program") this.#readMarks(node);
    if (isDeclaration(node) && this.#marked.includes(node.range[0])) this.#tuning.push(node.range);
    if (this.#isLeftAlone(node)) return;
    this.#mutate(node);
  }

  #readMarks(program: Deno.lint.Program): void {
    this.#marked = program.comments
      .filter(({ type, value }) => type === "Block" && TUNING_TAG.test(value))
      .map(({ range: [_, end] }) => end + this.#source.slice(end).search(/\S/));
  }

  #isLeftAlone(node: Node): boolean {
    const [start, end] = node.range;
    if (this.#tuning.some(([from, to]) => from <= start && end <= to)) return true;
    return [node, ...around(node)].some((at) =>
      at.type === "TSLiteralType" || at.type === "ImportDeclaration" || this.#isMessage(at) ||
      this.#isConsole(at)
    );
  }

  /** Whether it is a text for humans; also a choice between two such texts. */
  #isMessage(node: Node): boolean {
    if (node.type === "TemplateLiteral") {
      const text = node.quasis.map(({ raw }) => raw).join("${");
      return SENTENCE.test(text) && !text.includes("\\r");
    }
    if (isString(node)) return SENTENCE.test(node.value) && !node.value.includes("\r");
    return node.type === "ConditionalExpression" && this.#isMessage(node.consequent) &&
      this.#isMessage(node.alternate);
  }

  #isConsole(node: Node): boolean {
    return node.type === "CallExpression" && /^console\b/.test(this.#text(node.callee));
  }

  #text({ range: [start, end] }: { range: Range }): string {
    return this.#source.slice(start, end);
  }

  #add(node: Node, kind: MutationKind, after: string): void {
    this.changes.push({ kind, node, after });
  }

  #mutate(node: Node): void {
    switch (node.type) {
      case "IfStatement":
      case "WhileStatement":
      case "DoWhileStatement":
      case "ConditionalExpression":
        return this.#negate(node.test);
      case "ForStatement":
        return node.test === null ? undefined : this.#negate(node.test);
      case "LogicalExpression":
        return this.#mutateLogic(node);
      case "BinaryExpression":
        return this.#mutateBinary(node);
      case "AssignmentExpression":
        return this.#swapOperator(node, REASSIGNED, "arithmetic");
      case "UpdateExpression":
        return this.#add(
          node,
          "arithmetic",
          this.#text(node).replace(node.operator, node.operator === "++" ? "--" : "++"),
        );
      case "AwaitExpression":
        return this.#add(node, "await", this.#text(node).replace(/^await\s*/, ""));
      case "ChainExpression":
        return this.#removeOptionalCall(node);
      case "ArrowFunctionExpression":
        return this.#emptyArrow(node);
      case "Literal":
        return this.#mutateLiteral(node);
      default:
        return this.#mutateStatement(node);
    }
  }

  #mutateStatement(node: Node): void {
    switch (node.type) {
      case "ExpressionStatement":
        if (isString(node.expression) || this.#isConsole(node.expression)) return;
        return this.#add(node, "statement", NOTHING);
      case "BreakStatement":
      case "ContinueStatement":
        return this.#add(node, "statement", NOTHING);
      case "ThrowStatement":
        return this.#add(node, "throw", NOTHING);
      case "ReturnStatement":
        return this.#mutateReturn(node);
      case "CatchClause":
        return node.body.body.length === 0 ? undefined : this.#add(node.body, "catch", NOTHING);
      case "TryStatement":
        if (node.finalizer === null || node.finalizer.body.length === 0) return;
        return this.#add(node.finalizer, "finally", NOTHING);
    }
  }

  #negate(test: Node): void {
    if (test.type === "Literal" || isEquality(test)) return;
    const positive = test.type === "UnaryExpression" && test.operator === "!";
    this.#add(
      test,
      "condition",
      positive ? `(${this.#text(test.argument)})` : `!(${this.#text(test)})`,
    );
  }

  #mutateLogic(node: Deno.lint.LogicalExpression): void {
    const [left, right] = [this.#text(node.left), this.#text(node.right)];
    if (node.operator === "??") {
      this.#add(node, "logic", `(${left})`);
      this.#add(node, "logic", `(${right})`);
      return;
    }
    this.#add(node, "logic", `((${left}) ${node.operator === "&&" ? "||" : "&&"} (${right}))`);
    for (const operand of [node.left, node.right]) {
      if (operand.type !== "LogicalExpression") this.#negate(operand);
    }
  }

  #mutateBinary(node: Deno.lint.BinaryExpression): void {
    this.#swapOperator(node, SHIFTED, "comparison");
    this.#swapOperator(node, CALCULATED, "arithmetic");
    const isRelation = isComparison(node) && !isEquality(node);
    if (isRelation || node.operator === "instanceof" || node.operator === "in") this.#negate(node);
  }

  #swapOperator(
    node: Deno.lint.BinaryExpression | Deno.lint.AssignmentExpression,
    operators: Record<string, string>,
    kind: MutationKind,
  ): void {
    const after = operators[node.operator];
    if (after === undefined) return;
    // Operands may stand in parentheses, which are not in their ranges.
    const [left, right] = [node.left.range[1], node.right.range[0]];
    const text = this.#source.slice(node.range[0], left) +
      this.#source.slice(left, right).replace(node.operator, () => after) +
      this.#source.slice(right, node.range[1]);
    const inner = parentOf(node)?.type === "BinaryExpression";
    this.#add(
      node,
      node.operator.length === 3 && after === "=" ? "logic" : kind,
      inner ? `(${text})` : text,
    );
  }

  #removeOptionalCall(node: Deno.lint.ChainExpression): void {
    const parent = parentOf(node)?.type;
    if (node.expression.type !== "CallExpression" || parent === "ExpressionStatement") return;
    if (parent === "ArrowFunctionExpression" || parent === "CallExpression") return;
    this.#add(node, "call", "undefined");
  }

  #emptyArrow({ body }: Deno.lint.ArrowFunctionExpression): void {
    const kinds = ["AssignmentExpression", "AwaitExpression", "CallExpression", "ChainExpression"];
    if (kinds.includes(body.type)) this.#add(body, "call", "undefined");
  }

  #mutateReturn(node: Deno.lint.ReturnStatement): void {
    if (node.argument === null) return this.#add(node, "return", NOTHING);
    const text = this.#text(node.argument);
    for (const value of ["undefined", "null"]) {
      if (text !== value) this.#add(node, "return", `return ${value};`);
    }
  }

  #mutateLiteral(node: Deno.lint.Literal): void {
    if (typeof node.value === "boolean") return this.#add(node, "boolean", String(!node.value));
    if (typeof node.value === "number") return this.#mutateNumber(node, node.value);
    if (isString(node)) return this.#mutateString(node);
  }

  #mutateNumber(node: Node, value: number): void {
    if (this.#isName(node)) return;
    this.#add(node, "number", String(value < LARGE ? value + 1 : value * 2));
    if (value !== 0) this.#add(node, "number", "0");
  }

  #mutateString(node: Deno.lint.StringLiteral): void {
    if (this.#isName(node)) return;
    const { value } = node;
    const next = this.#sets.filter((set) => set.includes(value))
      .map((set) => set[(set.indexOf(value) + 1) % set.length]);
    for (const other of new Set(next)) this.#add(node, "string", JSON.stringify(other));
    if (next.length === 0 && value !== "" && this.#isCompared(node)) {
      this.#add(node, "string", '""');
    }
  }

  /** Whether it is the name of a property or of a module. */
  #isName(node: Node): boolean {
    const parent = parentOf(node);
    if (parent === undefined) return false;
    return "key" in parent && parent.key === node || "source" in parent && parent.source === node;
  }

  #isCompared(node: Node): boolean {
    const parent = parentOf(node);
    if (parent === undefined) return false;
    return isComparison(parent) || parent.type === "SwitchCase";
  }
}

function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}

function shown(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  const short = line.length > LONGEST_SHOWN ? `${line.slice(0, LONGEST_SHOWN)}…` : line;
  return short === NOTHING ? "(nothing)" : short;
}

/** The lines where the functions around a node begin, a method at its name. */
function functionLines(source: string, node: Node): number[] {
  const lines = [...around(node)].flatMap((at) => {
    if (!isFunction(at)) return [];
    const parent = parentOf(at)!;
    return [at, ...(isDeclaration(parent) ? [parent] : [])]
      .map(({ range: [start] }) => lineAt(source, start));
  });
  return [...new Set(lines)];
}

function toMutant(module: string, source: string, { kind, node, after }: Change): Mutant {
  const [start, end] = node.range;
  const line = lineAt(source, start);
  const column = start - source.lastIndexOf("\n", start - 1);
  const before = source.slice(start, end);
  const mutation = `${kind}: ${shown(before)} -> ${shown(after)}`;
  const lines = source.split("\n");
  return {
    id: `${module}:${line}:${column} ${mutation}`,
    module,
    line,
    column,
    kind,
    mutation,
    before,
    after,
    start,
    text: lines[line - 1].trim(),
    textBefore: lines[line - 2]?.trim() ?? "",
    functions: functionLines(source, node),
  };
}

/** Tells ids apart that were cut short to the same. */
function unique(mutants: Mutant[]): Mutant[] {
  const seen = new Map<string, number>();
  return mutants.map((mutant) => {
    const count = (seen.get(mutant.id) ?? 0) + 1;
    seen.set(mutant.id, count);
    return count === 1 ? mutant : { ...mutant, id: `${mutant.id} (${count})` };
  });
}

/**
 * Makes all mutants of a module; only under `deno test`.
 *
 * @param module The module's path, from the project's folder
 * @param source Its text
 * @param sets The strings that may stand for each other, of `findStringSets()`
 * @returns The mutants in the order of the source; not all of them pass the type check
 */
export function findMutants(module: string, source: string, sets: string[][]): Mutant[] {
  if (SKIPPED_MODULE.test(module)) return [];
  const mutator = new Mutator(source, sets);
  const mutants = new Map<string, Mutant>();
  visit(module, source, {
    "*": (node: Node) => {
      mutator.see(node);
      for (const change of mutator.changes.splice(0)) {
        const mutant = toMutant(module, source, change);
        mutants.set(`${mutant.start} ${mutant.before} ${mutant.after}`, mutant);
      }
    },
  });
  return unique([...mutants.values()].sort((a, b) => a.start - b.start || (a.id < b.id ? -1 : 1)));
}

/**
 * Applies a mutant.
 *
 * @param source The text of its module
 * @param mutant The mutant
 * @returns The text with the change
 */
export function apply(source: string, { start, before, after }: Mutant): string {
  return source.slice(0, start) + after + source.slice(start + before.length);
}

/** A small generator of numbers from 0 to 1 (mulberry32): the same from the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Puts things in an order that looks random.
 *
 * @param things In a stable order
 * @param seed The same seed makes the same order
 * @returns A copy in the new order
 */
export function shuffle<T>(things: readonly T[], seed: number): T[] {
  const random = randomFrom(seed);
  const order = [...things];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
