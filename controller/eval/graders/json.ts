import { parse as parseYaml } from "yaml";
import { SlipwayError } from "../../errors.ts";
import { compileSchema, type SchemaCheck } from "../../json-schema/json-schema.ts";
import { extractJson } from "./extract-json.ts";
import type { Grader, GraderInput } from "./types.ts";
import { binary, invalidAssertion } from "./values.ts";

/** The whole answer is JSON, and satisfies the schema where there is one. */
export const isJson: Grader = (input) => {
  const check = schemaOf(input);
  let value: unknown;
  try {
    value = JSON.parse(input.output);
  } catch {
    return binary(false, "to be JSON");
  }
  const problem = check?.(value);
  return binary(problem === undefined, check ? "to be JSON of the schema" : "to be JSON", problem);
};

/** An object or a list stands somewhere in the answer, and one of those satisfies the schema where there is one. */
export const containsJson: Grader = (input) => {
  const check = schemaOf(input);
  const values = extractJson(input.output);
  if (!check) return binary(values.length > 0, "to contain JSON");
  const problems = values.map((value) => check(value));
  const last = problems.findLast((problem) => problem !== undefined);
  return binary(problems.includes(undefined), "to contain JSON of the schema", last);
};

function schemaOf({ type, value }: GraderInput): SchemaCheck | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  try {
    return compileSchema(typeof value === "string" ? parseYaml(value) : value);
  } catch (error) {
    const reason = error instanceof SlipwayError ? error.message : "the schema is neither JSON nor YAML";
    throw invalidAssertion(type, reason, "write a JSON Schema as value");
  }
}
