import { z } from "zod";
import { objectName } from "../common.ts";
import { API_VERSION, GROUP, type KindDefinition, VERSION } from "../kind.ts";
import { ZodGuard } from "./zod-guard.ts";

/** A JSON Schema (draft 2020-12) as plain data. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

const DIALECT = "https://json-schema.org/draft/2020-12/schema";

/** Keywords under which the value is a schema, and those under which each value is one. */
const SCHEMA_KEYWORDS = new Set(["items", "additionalProperties", "propertyNames"]);
const SCHEMA_MAP_KEYWORDS = new Set(["properties", "$defs"]);

const labelKey = z
  .string()
  .max(317)
  .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/);
const labelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/);

/** What a manifest in git may say in its metadata; the rest belongs to the cluster. */
const manifestMetadata = z.strictObject({
  name: objectName.describe("Name of the object, unique among its kind in the namespace."),
  namespace: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
    .optional()
    .describe("Namespace of the object; the Repository's own where it is left out."),
  labels: z.record(labelKey, labelValue).optional().meta({ maxProperties: 64 }).describe("Labels."),
  annotations: z
    .record(labelKey, z.string().max(262144))
    .optional()
    .meta({ maxProperties: 64 })
    .describe("Annotations."),
});

/**
 * The JSON Schema of a zod schema's input, everything inlined, `x-kubernetes-*` metadata kept.
 * @param root the field that the schema describes, for messages: `spec`
 * @throws SlipwayError NotStructural for what zod checks and a JSON Schema would lose
 */
export function rawSchema(schema: z.ZodType, root: string): JsonSchema {
  const guard = new ZodGuard(root);
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io: "input",
    target: "draft-2020-12",
    reused: "inline",
    cycles: "throw",
    override: (visit) => guard.visit(visit),
  });
  guard.finish(json);
  return json as JsonSchema;
}

/** The schema of a whole manifest of a kind, for files in git: editors and ajv (2020-12, strict). */
export function manifestSchema(definition: KindDefinition): JsonSchema {
  return { $schema: DIALECT, $id: schemaId(fileStem(definition.kind)), ...manifestBody(definition) };
}

/** One schema for any manifest that may be written to git, chosen by `kind`. */
export function anyManifestSchema(kinds: readonly KindDefinition[]): JsonSchema {
  return {
    $schema: DIALECT,
    $id: schemaId("all"),
    title: "Slipway",
    description: `A resource of ${API_VERSION}.`,
    type: "object",
    properties: {
      apiVersion: { type: "string", const: API_VERSION },
      kind: { type: "string", enum: kinds.map(({ kind }) => kind) },
    },
    required: ["apiVersion", "kind"],
    allOf: kinds.map(({ kind }) => ({
      if: { type: "object", properties: { kind: { const: kind } }, required: ["kind"] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, not a promise
      then: { $ref: `#/$defs/${kind}` },
    })),
    $defs: Object.fromEntries(kinds.map((definition) => [definition.kind, manifestBody(definition)])),
  };
}

/** `PromptTemplate` → `prompt-template`, the name of a kind's generated files. */
export function fileStem(kind: string): string {
  return kind.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "-").toLowerCase();
}

function schemaId(stem: string): string {
  return `https://${GROUP}/schemas/${VERSION}/${stem}.json`;
}

function manifestBody({ kind, description, spec }: KindDefinition): JsonSchema {
  return {
    title: kind,
    description,
    type: "object",
    properties: {
      apiVersion: { type: "string", const: API_VERSION },
      kind: { type: "string", const: kind },
      metadata: plain(rawSchema(manifestMetadata, "metadata")),
      spec: plain(rawSchema(spec, "spec")),
    },
    required: ["apiVersion", "kind", "metadata", "spec"],
    additionalProperties: false,
  };
}

/** Without what only Kubernetes understands, and without zod's bounds of a safe integer. */
function plain(schema: JsonSchema): JsonSchema {
  const result: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword.startsWith("x-kubernetes-")) continue;
    if (isSafeIntegerBound(keyword, value)) continue;
    result[keyword] = plainKeyword(keyword, value);
  }
  return result;
}

function plainKeyword(keyword: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (SCHEMA_KEYWORDS.has(keyword)) return plain(value as JsonSchema);
  if (!SCHEMA_MAP_KEYWORDS.has(keyword)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, plain(child as JsonSchema)]));
}

/** True for the bounds that `z.int()` adds: they say nothing about the field. */
export function isSafeIntegerBound(keyword: string, value: unknown): boolean {
  return (
    (keyword === "minimum" && value === Number.MIN_SAFE_INTEGER) ||
    (keyword === "maximum" && value === Number.MAX_SAFE_INTEGER)
  );
}
