import { isRecord, type Json, type OpenApi } from "./openapi.ts";

/**
 * Completes `given` to a value of the schema with the dullest values for what it requires, so that a fake
 * says only what a test is about and still answers in full.
 * @throws Error when `given` names a field that the schema does not have
 */
export function fill(api: OpenApi, schema: unknown, given: unknown = undefined): unknown {
  const at = api.resolve(schema);
  if (given === null || (given === undefined && at.nullable === true)) return null;
  const choices = at.oneOf ?? at.anyOf;
  if (Array.isArray(choices)) {
    const typeOf = Array.isArray(given) ? "array" : typeof given;
    const fitting = choices.find((choice) => given === undefined || api.resolve(choice).type === typeOf);
    return fill(api, fitting ?? choices[0], given);
  }
  if (Array.isArray(at.allOf)) {
    const properties = Object.assign({}, ...at.allOf.map((part) => api.resolve(part).properties ?? {}));
    const required = at.allOf.flatMap((part) => (api.resolve(part).required as string[] | undefined) ?? []);
    return fillObject(api, properties, required, given);
  }
  if (isRecord(at.properties)) {
    return fillObject(api, at.properties, (at.required as string[] | undefined) ?? [], given);
  }
  if (at.type === "array") return ((given ?? []) as unknown[]).map((item) => fill(api, at.items, item));
  return given ?? dull(at);
}

function fillObject(api: OpenApi, properties: Json, required: readonly string[], given: unknown): Json {
  const fields = isRecord(given) ? given : {};
  const result: Json = {};
  for (const [name, value] of Object.entries(fields)) {
    if (!(name in properties)) throw new Error(`the schema has no field ${name}`);
    if (value !== undefined) result[name] = fill(api, properties[name], value);
  }
  for (const name of required) {
    if (!(name in result)) result[name] = fill(api, properties[name] ?? {});
  }
  return result;
}

function dull(schema: Json): unknown {
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if (schema.type === "integer" || schema.type === "number") return schema.minimum ?? 1;
  if (schema.type === "boolean") return false;
  if (schema.type !== "string") return {};
  if (schema.format === "uri") return "https://github.example/";
  if (schema.format === "date-time") return "2026-01-01T00:00:00Z";
  return schema.format === "email" ? "somebody@github.example" : "text";
}
