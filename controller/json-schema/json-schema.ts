import { _, Ajv, type AnySchema, type CodeKeywordDefinition, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import { RE2JS } from "re2js";
import { SlipwayError } from "../errors.ts";
import { canonicalJson } from "../graph/canonical.ts";
import { schemaExcess } from "./schema-limits.ts";

/** What is wrong with a value, as one line that calls it by name; undefined when it satisfies the schema. */
export type SchemaCheck = (value: unknown, name?: string) => string | undefined;

const MAX_KEPT = 256;
/**
 * References followed while one value is checked. A recursive schema may look at the same part of a value along many
 * paths, twice as many with each level; a schema written for a purpose follows about one a part.
 */
const MAX_STEPS = 200_000;
const kept = new Map<string, SchemaCheck>();

/**
 * Compiles a JSON Schema: draft-07, or 2020-12 where `$schema` says so. Patterns run in linear time (RE2), because
 * both the schema and the text may come from a stranger. References to other documents are not followed. What would
 * take long to compile is refused, and so is a value that takes long to check.
 * @throws SlipwayError InvalidSchema
 */
export function compileSchema(schema: unknown): SchemaCheck {
  if (
    typeof schema !== "boolean" &&
    (typeof schema !== "object" || schema === null || Array.isArray(schema))
  ) {
    throw new SlipwayError("InvalidSchema", "a JSON Schema must be an object or a boolean");
  }
  const excess = schemaExcess(schema);
  if (excess !== undefined) throw new SlipwayError("InvalidSchema", `not a usable JSON Schema: ${excess}`);
  const key = canonicalJson(schema);
  const known = kept.get(key);
  if (known) return known;
  const check = compile(schema as AnySchema);
  if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value!);
  kept.set(key, check);
  return check;
}

/** Why a schema cannot be used; undefined when it can. */
export function schemaProblem(schema: unknown): string | undefined {
  try {
    compileSchema(schema);
    return undefined;
  } catch (error) {
    if (error instanceof SlipwayError) return error.message;
    throw error;
  }
}

function compile(schema: AnySchema): SchemaCheck {
  const draft = typeof schema === "object" ? String(schema.$schema ?? "") : "";
  const options = {
    strict: false,
    allErrors: false,
    logger: false,
    // A function for each definition: copies in place of references would be as many as definitions times references.
    inlineRefs: false,
    code: { regExp: linearRegExp },
  } as const;
  const ajv = /2020-12|2019-09/.test(draft) ? new Ajv2020(options) : new Ajv(options);
  ajvFormats.default(ajv);
  let steps = 0;
  beforeEachRef(ajv, () => {
    steps++;
    if (steps > MAX_STEPS) throw new TooCostly();
  });
  let validate: ValidateFunction;
  try {
    validate = ajv.compile(schema);
  } catch (error) {
    throw new SlipwayError("InvalidSchema", `not a usable JSON Schema: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return (value, name = "answer") => {
    steps = 0;
    try {
      return validate(value) ? undefined : ajv.errorsText(validate.errors, { dataVar: name });
    } catch (error) {
      if (error instanceof TooCostly)
        return `${name} follows more than ${MAX_STEPS} references of the schema`;
      // A value as deep as the stack, in a schema that refers to itself.
      if (error instanceof RangeError) return `${name} is nested too deep to be checked`;
      throw error;
    }
  };
}

class TooCostly extends Error {}

/** Calls `step` in the compiled code ahead of each reference. */
function beforeEachRef(ajv: Ajv | Ajv2020, step: () => void): void {
  const ref = ajv.getKeyword("$ref") as CodeKeywordDefinition;
  ajv.removeKeyword("$ref");
  ajv.addKeyword({
    keyword: "$ref",
    schemaType: "string",
    code(context, ruleType) {
      context.gen.code(_`${context.gen.scopeValue("func", { ref: step })}()`);
      ref.code(context, ruleType);
    },
  });
}

function linearRegExp(pattern: string): { test(text: string): boolean } {
  const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
  return { test: (text) => compiled.test(text) };
}
// Only standalone code generation would print this; the interface asks for it.
linearRegExp.code = "linearRegExp";
