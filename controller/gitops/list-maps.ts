import { type JsonSchema, rawSchema } from "../../schemas/generate/json-schema.ts";
import type { KindDefinition } from "../../schemas/index.ts";

/** What the API server refuses in a value although each part of it is right. */
export interface StructureFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

const schemas = new WeakMap<KindDefinition, JsonSchema>();

/**
 * Lists whose entries must differ in their keys (`x-kubernetes-list-map-keys`) and maps with too many members
 * (`maxProperties`): zod knows of neither, the API server refuses both.
 * @param spec what the kind's zod schema has accepted
 */
export function structureFaults(definition: KindDefinition, spec: unknown): StructureFault[] {
  let schema = schemas.get(definition);
  if (!schema) {
    schema = rawSchema(definition.spec, "spec");
    schemas.set(definition, schema);
  }
  const faults: StructureFault[] = [];
  walk(schema, spec, ["spec"], faults);
  return faults;
}

function walk(schema: JsonSchema, value: unknown, path: readonly PropertyKey[], faults: StructureFault[]) {
  if (Array.isArray(value)) {
    const keys = schema["x-kubernetes-list-map-keys"] as readonly string[] | undefined;
    if (keys) duplicates(keys, value, path, faults);
    const items = schema.items as JsonSchema | undefined;
    if (items) value.forEach((item, index) => void walk(items, item, [...path, index], faults));
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const { maxProperties } = schema;
  const entries = Object.entries(value);
  if (typeof maxProperties === "number" && entries.length > maxProperties)
    faults.push({ path, message: `has ${entries.length} entries; the limit is ${maxProperties}` });
  const properties = schema.properties as Readonly<Record<string, JsonSchema>> | undefined;
  for (const [name, member] of entries) {
    const own =
      properties && Object.hasOwn(properties, name) ? properties[name] : schema.additionalProperties;
    if (typeof own === "object" && own !== null) walk(own as JsonSchema, member, [...path, name], faults);
  }
}

function duplicates(
  keys: readonly string[],
  list: readonly unknown[],
  path: readonly PropertyKey[],
  faults: StructureFault[],
) {
  const seen = new Map<string, number>();
  list.forEach((item, index) => {
    const values = keys.map((key) => (item as Readonly<Record<string, unknown>> | null)?.[key]);
    const id = JSON.stringify(values);
    const first = seen.get(id);
    if (first === undefined) {
      seen.set(id, index);
      return;
    }
    const shown = values.map((value) => JSON.stringify(value)).join(", ");
    const message = `${shown} is also the ${keys.join(" and ")} of entry ${first}: each must have its own`;
    faults.push({ path: [...path, index, keys[0] ?? ""], message });
  });
}
