import { childPath, itemPath, valuePath } from "./field-path.ts";
import type { CelValidation, StructuralSchema } from "./structural.ts";

export interface Field {
  /** `spec.messages[].role`; `[]` is an entry of a list, `.*` a value of a map. */
  readonly path: string;
  readonly schema: StructuralSchema;
  readonly required: boolean;
}

export interface FieldRule extends CelValidation {
  /** Where the rule is attached; `self` in it is this field. */
  readonly path: string;
}

/** Every field under a schema, parents first, in the order of the source. */
export function fieldsOf(schema: StructuralSchema, path: string, required = true): Field[] {
  const children: Field[] = Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    fieldsOf(child, childPath(path, name), schema.required?.includes(name) ?? false),
  );
  if (schema.items) children.push(...fieldsOf(schema.items, itemPath(path)));
  if (schema.additionalProperties) children.push(...fieldsOf(schema.additionalProperties, valuePath(path)));
  return [{ path, schema, required }, ...children];
}

/** Every CEL rule under a schema, with its place. */
export function rulesOf(schema: StructuralSchema, path: string): FieldRule[] {
  return fieldsOf(schema, path).flatMap((field) =>
    (field.schema["x-kubernetes-validations"] ?? []).map((rule) => ({ ...rule, path: field.path })),
  );
}
