import type { z } from "zod";
import { SlipwayError } from "../../controller/errors.ts";
import { childPath, itemPath, valuePath } from "./field-path.ts";
import { isSafeIntegerBound, type JsonSchema, rawSchema } from "./json-schema.ts";
import { ANNOTATIONS, BANNED, BOUNDED_FORMATS, FORMATS, IGNORED, KEYWORDS } from "./keywords.ts";
import { portablePattern } from "./pattern.ts";

export interface CelValidation {
  readonly rule: string;
  readonly message: string;
}

/** What a CustomResourceDefinition accepts as a schema: the structural part of OpenAPI v3. */
export interface StructuralSchema {
  description?: string;
  type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  default?: unknown;
  enum?: readonly unknown[];
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: true;
  exclusiveMaximum?: true;
  multipleOf?: number;
  minItems?: number;
  maxItems?: number;
  items?: StructuralSchema;
  minProperties?: number;
  maxProperties?: number;
  properties?: Record<string, StructuralSchema>;
  required?: readonly string[];
  additionalProperties?: StructuralSchema;
  "x-kubernetes-preserve-unknown-fields"?: true;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: readonly string[];
  "x-kubernetes-map-type"?: "atomic" | "granular";
  "x-kubernetes-validations"?: readonly CelValidation[];
}

/**
 * The structural schema of a zod schema.
 * @param root the field that the schema describes, for messages: `spec`
 * @throws SlipwayError NotStructural, naming the field, for anything that the API server would refuse,
 * ignore, or accept without a bound
 */
export function structuralSchema(schema: z.ZodType, root: string): StructuralSchema {
  return convert(rawSchema(schema, root), root);
}

function convert(source: JsonSchema, path: string): StructuralSchema {
  for (const [keyword, instead] of Object.entries(BANNED)) {
    if (keyword in source) fail(path, `${keyword}: ${instead}`);
  }
  const { type } = source;
  if (type === undefined) return convertFreeForm(source, path);
  if (Array.isArray(type)) fail(path, "a union of types has no structural form");
  const known = KEYWORDS[type as string];
  if (!known) fail(path, `the type ${String(type)} has no structural form; leave the field out instead`);
  const unknown = Object.keys(source).filter(
    (keyword) => !known.includes(keyword) && !ANNOTATIONS.has(keyword) && !IGNORED.has(keyword),
  );
  if (unknown.length > 0) fail(path, `${unknown.join(", ")}: not known for a schema of type ${String(type)}`);

  const target: StructuralSchema = {
    ...annotations(source),
    type: type as NonNullable<StructuralSchema["type"]>,
  };
  if (type === "object") convertObject(source, target, path);
  else if (type === "array") convertArray(source, target, path);
  else convertScalar(source, target, path);
  convertRules(source, target, path);
  return target;
}

/** `z.unknown()`: any value, kept as it is. */
function convertFreeForm(source: JsonSchema, path: string): StructuralSchema {
  const extra = Object.keys(source).filter((keyword) => !ANNOTATIONS.has(keyword) && !IGNORED.has(keyword));
  if (extra.length > 0) fail(path, `${extra.join(", ")}: needs a type`);
  return { ...annotations(source), "x-kubernetes-preserve-unknown-fields": true };
}

function annotations(source: JsonSchema): StructuralSchema {
  const { description, default: value } = source;
  return {
    ...(description === undefined ? {} : { description: String(description) }),
    ...(value === undefined ? {} : { default: value }),
  };
}

function convertObject(source: JsonSchema, target: StructuralSchema, path: string): void {
  const properties = source.properties as Record<string, JsonSchema> | undefined;
  const values = source.additionalProperties;
  copy(source, target, ["minProperties", "maxProperties", "x-kubernetes-map-type"]);
  if (properties) {
    if (values !== false) fail(path, "unknown fields must be an error: use z.strictObject");
    target.properties = Object.fromEntries(
      Object.entries(properties).map(([name, child]) => [name, convert(child, childPath(path, name))]),
    );
    const required = (source.required ?? []) as readonly string[];
    if (required.length > 0) target.required = required;
    return;
  }
  if (typeof values !== "object" || values === null) fail(path, "an object needs fields or z.record values");
  if (source.required) fail(path, "a map cannot require keys; use an object with fields");
  if (target.maxProperties === undefined) {
    fail(path, "a map needs a bound: .meta({ maxProperties: n })");
  }
  checkKeys(source.propertyNames as JsonSchema | undefined, path);
  target.additionalProperties = convert(values as JsonSchema, valuePath(path));
}

/**
 * A structural schema says nothing about a map's keys; files in git are checked for them, and the size of
 * the whole object bounds them in the API server. Anything beyond a length would silently not hold there.
 */
function checkKeys(keys: JsonSchema | undefined, path: string): void {
  const { type: _, maxLength, minLength: __, ...rest } = keys ?? {};
  if (maxLength === undefined) fail(path, "a map's keys need a bound: z.string().max(n)");
  if (Object.keys(rest).length > 0) {
    fail(
      path,
      `${Object.keys(rest).join(", ")}: the API server cannot check a map's keys; use a list with keys`,
    );
  }
}

function convertArray(source: JsonSchema, target: StructuralSchema, path: string): void {
  if (source.maxItems === undefined) fail(path, "a list needs a bound: .max(n)");
  if (typeof source.items !== "object" || source.items === null) fail(path, "a list needs items");
  copy(source, target, ["minItems", "maxItems", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"]);
  const items = convert(source.items as JsonSchema, itemPath(path));
  target.items = items;
  const keys = target["x-kubernetes-list-map-keys"];
  if ((target["x-kubernetes-list-type"] === "map") !== (keys !== undefined && keys.length > 0)) {
    fail(path, "x-kubernetes-list-map-keys and x-kubernetes-list-type: map belong together");
  }
  for (const key of keys ?? []) {
    const field = items.properties?.[key];
    if (!field) fail(path, `the list's key ${key} is not a field of its items`);
    if (field.type === "object" || field.type === "array" || !field.type) {
      fail(path, `the list's key ${key} must be a scalar`);
    }
    if (!items.required?.includes(key) && field.default === undefined) {
      fail(path, `the list's key ${key} must be required or have a default`);
    }
  }
}

function convertScalar(source: JsonSchema, target: StructuralSchema, path: string): void {
  for (const keyword of ["minimum", "maximum", "multipleOf", "minLength", "maxLength"] as const) {
    if (!isSafeIntegerBound(keyword, source[keyword])) copy(source, target, [keyword]);
  }
  convertExclusive(source, target, path, "minimum", "exclusiveMinimum");
  convertExclusive(source, target, path, "maximum", "exclusiveMaximum");
  if (source.enum) target.enum = source.enum as readonly unknown[];
  if (source.const !== undefined) target.enum = [source.const];
  if (source.format !== undefined) {
    const format = String(source.format);
    if (!FORMATS[String(source.type)]?.includes(format)) {
      fail(path, `the API server does not know the format ${format} and would ignore it`);
    }
    target.format = format;
  }
  if (source.pattern !== undefined) target.pattern = portablePattern(String(source.pattern), path);
  const bounded = target.maxLength !== undefined || target.enum || BOUNDED_FORMATS.has(target.format ?? "");
  if (source.type === "string" && !bounded) fail(path, "a text needs a bound: .max(n) or an enum");
}

/** JSON Schema 2020-12 has a number where OpenAPI v3.0 has a flag beside `minimum`. */
function convertExclusive(
  source: JsonSchema,
  target: StructuralSchema,
  path: string,
  bound: "minimum" | "maximum",
  exclusive: "exclusiveMinimum" | "exclusiveMaximum",
): void {
  const value = source[exclusive];
  if (value === undefined) return;
  if (target[bound] !== undefined) fail(path, `both ${bound} and ${exclusive}: keep the stricter`);
  target[bound] = value as number;
  target[exclusive] = true;
}

function convertRules(source: JsonSchema, target: StructuralSchema, path: string): void {
  const rules = source["x-kubernetes-validations"] as Partial<CelValidation>[] | undefined;
  if (rules === undefined) return;
  for (const { rule, message, ...rest } of rules) {
    if (!rule?.trim() || !message?.trim()) fail(path, "a rule needs rule and message");
    if (/[\r\n]/.test(message)) fail(path, "a rule's message is one line");
    if (Object.keys(rest).length > 0) fail(path, `${Object.keys(rest).join(", ")}: not known for a rule`);
  }
  target["x-kubernetes-validations"] = rules as CelValidation[];
}

function copy(
  source: JsonSchema,
  target: StructuralSchema,
  keywords: readonly (keyof StructuralSchema)[],
): void {
  for (const keyword of keywords) {
    if (source[keyword] !== undefined) Object.assign(target, { [keyword]: source[keyword] });
  }
}

function fail(path: string, why: string): never {
  throw new SlipwayError("NotStructural", `${path}: ${why}`);
}
