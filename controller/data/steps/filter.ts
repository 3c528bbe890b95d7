import { type ASTNode, Environment } from "@marcbachmann/cel-js";
import { RE2JS } from "re2js";
import { SlipwayError } from "../../errors.ts";

/** What an expression sees of a row. */
export interface FilterInput {
  readonly row: object;
  readonly text: string;
  readonly words: number;
  readonly source: string;
}

const MACROS = new Set(["all", "exists", "exists_one", "map", "filter"]);
const LIMITS = {
  maxAstNodes: 256,
  maxDepth: 24,
  maxListElements: 128,
  maxMapEntries: 32,
  maxCallArguments: 8,
};

/**
 * Compiles a CEL expression. What it may cost is bounded by the row's size: no loop within a loop, and regular
 * expressions of the linear kind.
 * @returns whether a row stays, or in words why that cannot be told
 * @throws SlipwayError InvalidFilter
 */
export function compileFilter(expression: string): (input: FilterInput) => boolean | string {
  const patterns = new Map<string, RE2JS>();
  const environment = new Environment({ limits: LIMITS })
    .registerVariable("row", "map")
    .registerVariable("text", "string")
    .registerVariable("words", "int")
    .registerVariable("source", "string")
    .registerFunction("string.re2(string): bool", (text: string, pattern: string) => {
      let compiled = patterns.get(pattern);
      if (!compiled) {
        if (patterns.size >= 64) patterns.clear();
        compiled = RE2JS.compile(pattern);
        patterns.set(pattern, compiled);
      }
      return compiled.matcher(text).find();
    });
  let run: (context: Record<string, unknown>) => unknown;
  try {
    const parsed = environment.parse(expression);
    assertBounded(parsed.ast, false);
    const { valid, type, error } = parsed.check();
    if (!valid) throw error ?? new Error("it has no type");
    if (type !== "bool" && type !== "dyn") throw new Error(`it is a ${type}, not a bool`);
    run = parsed;
  } catch (cause) {
    throw new SlipwayError("InvalidFilter", `the filter ${expression}: ${firstLine(cause)}`, {
      cause,
      hint: "write a CEL expression over row, text, words and source that is true for rows that stay",
    });
  }
  return ({ row, text, words, source }) => {
    try {
      const result = run({ row, text, words: BigInt(words), source });
      return typeof result === "boolean" ? result : "the filter is neither true nor false";
    } catch (error) {
      return `the filter fails: ${firstLine(error)}`;
    }
  };
}

function assertBounded(node: unknown, inside: boolean): void {
  if (Array.isArray(node)) {
    for (const each of node) assertBounded(each, inside);
    return;
  }
  if (typeof node !== "object" || node === null || !("op" in node)) return;
  const { op, args } = node as ASTNode;
  let within = inside;
  if (op === "rcall") {
    const [name] = args as unknown as [string];
    if (name === "matches") throw new Error("matches can take forever: write text.re2('…')");
    if (MACROS.has(name)) {
      if (inside) throw new Error(`${name} stands inside another loop`);
      within = true;
    }
  }
  assertBounded(args, within);
}

/** The errors of the library draw the place below. */
const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0]!.slice(0, 200);
