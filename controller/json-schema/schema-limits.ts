/** Objects and lists in one schema, and how deep they nest. */
const MAX_NODES = 2_000;
const MAX_DEPTH = 50;
const MAX_REFS = 200;
/** Subschemas to compile, and to evaluate for one value, with every reference followed (a recursive one once). */
const MAX_EXPANDED = 10_000;

/** Where JSON Schema (draft-07 and 2020-12) has one subschema, a list of them, or a map of them. */
const ONE = [
  "additionalItems",
  "items",
  "contains",
  "additionalProperties",
  "propertyNames",
  "not",
  "if",
  "then",
  "else",
  "unevaluatedItems",
  "unevaluatedProperties",
] as const;
const LIST = ["items", "prefixItems", "allOf", "anyOf", "oneOf"] as const;
const MAP = ["properties", "patternProperties", "dependencies", "dependentSchemas"] as const;
const DEFINITIONS = ["definitions", "$defs"] as const;
/** Keywords whose subschemas look at the same value as the schema that they stand in. */
const SAME_VALUE: ReadonlySet<string> = new Set([
  "not",
  "if",
  "then",
  "else",
  "allOf",
  "anyOf",
  "oneOf",
  "dependencies",
  "dependentSchemas",
]);
/** They move references or make checking asynchronous; nothing that a prompt's or a case's schema needs. */
const REFUSED = ["$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$async"];

type Schema = Record<string, unknown>;
interface Child {
  readonly keyword: string;
  readonly schema: Schema;
}

/**
 * Why a schema would be too costly to compile or to check values with; undefined when it is fine. It may come from a
 * stranger, so this takes time linear in the schema, and runs before anything else looks at it.
 */
export function schemaExcess(root: unknown): string | undefined {
  const size = sizeProblem(root);
  if (size !== undefined || !isObject(root)) return size;
  const all = collect(root);
  const targets = new Map<string, Schema>();
  let refs = 0;
  for (const schema of all) {
    const refused = REFUSED.find((word) => Object.hasOwn(schema, word));
    if (refused !== undefined) return `${refused} is not supported: write references as #/$defs/name`;
    if (schema !== root && typeof schema.$id === "string") return "$id is supported at the top only";
    const { $ref } = schema;
    if (typeof $ref !== "string") continue;
    refs++;
    if (refs > MAX_REFS) return `more than ${MAX_REFS} references ($ref)`;
    const target = resolve(root, $ref);
    if (!isObject(target) || !all.has(target))
      return `$ref ${JSON.stringify($ref.slice(0, 100))} names no schema of this document: write it as #/$defs/name`;
    targets.set($ref, target);
  }
  // The compiler makes one function of each spelling of a reference.
  let compiled = all.size;
  for (const target of targets.values()) compiled += collect(target).size;
  if (compiled > MAX_EXPANDED) return `its references make more than ${MAX_EXPANDED} subschemas to compile`;
  if (isEndless(all, targets)) return "a $ref leads back to itself without looking at a part of the value";
  if (expandedSize(root, targets) > MAX_EXPANDED)
    return `it has more than ${MAX_EXPANDED} subschemas with its references followed`;
  return undefined;
}

function sizeProblem(root: unknown): string | undefined {
  const pending = [{ value: root, depth: 0 }];
  let nodes = 0;
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { value, depth } = next;
    if (typeof value !== "object" || value === null) continue;
    if (++nodes > MAX_NODES) return `it has more than ${MAX_NODES} objects and lists`;
    if (depth >= MAX_DEPTH) return `it is nested more than ${MAX_DEPTH} deep`;
    for (const member of Object.values(value)) pending.push({ value: member, depth: depth + 1 });
  }
  return undefined;
}

function collect(root: Schema): Set<Schema> {
  const found = new Set<Schema>();
  const pending = [root];
  for (let schema = pending.pop(); schema; schema = pending.pop()) {
    if (found.has(schema)) continue;
    found.add(schema);
    for (const child of children(schema)) pending.push(child.schema);
    for (const keyword of DEFINITIONS) pending.push(...objectsIn(schema[keyword]));
  }
  return found;
}

function children(schema: Schema): Child[] {
  const found: Child[] = [];
  const add = (keyword: string, list: readonly unknown[]): void => {
    for (const item of list) if (isObject(item)) found.push({ keyword, schema: item });
  };
  for (const keyword of ONE) add(keyword, [schema[keyword]]);
  for (const keyword of LIST) {
    const list = schema[keyword];
    if (Array.isArray(list)) add(keyword, list);
  }
  for (const keyword of MAP) add(keyword, objectsIn(schema[keyword]));
  return found;
}

/** The number of subschemas with references followed; a reference inside its own target counts once. */
function expandedSize(root: Schema, targets: ReadonlyMap<string, Schema>): number {
  const sizes = new Map<Schema, number>();
  const sizeOf = (schema: Schema): number => {
    const known = sizes.get(schema);
    if (known !== undefined) return known;
    sizes.set(schema, 1);
    let size = 1;
    for (const child of children(schema)) size += sizeOf(child.schema);
    const target = targetOf(schema, targets);
    if (target) size += sizeOf(target);
    sizes.set(schema, size);
    return size;
  };
  return sizeOf(root);
}

/** Whether references and combinators alone, none of which goes into the value, make a circle. */
function isEndless(all: ReadonlySet<Schema>, targets: ReadonlyMap<string, Schema>): boolean {
  const done = new Map<Schema, boolean>();
  const circles = (schema: Schema): boolean => {
    const known = done.get(schema);
    if (known !== undefined) return !known;
    done.set(schema, false);
    const same = children(schema).filter(({ keyword }) => SAME_VALUE.has(keyword));
    const target = targetOf(schema, targets);
    if (same.some((child) => circles(child.schema)) || (target && circles(target))) return true;
    done.set(schema, true);
    return false;
  };
  return [...all].some(circles);
}

function targetOf({ $ref }: Schema, targets: ReadonlyMap<string, Schema>): Schema | undefined {
  return typeof $ref === "string" ? targets.get($ref) : undefined;
}

/** What a JSON pointer in a fragment (RFC 6901) names. */
function resolve(root: Schema, ref: string): unknown {
  if (ref === "#" || ref === "#/") return root;
  if (!ref.startsWith("#/")) return undefined;
  let at: unknown = root;
  for (const part of ref.slice(2).split("/")) {
    let name: string;
    try {
      name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    } catch {
      return undefined;
    }
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Schema)[name];
  }
  return at;
}

function objectsIn(map: unknown): Schema[] {
  return isObject(map) ? Object.values(map).filter(isObject) : [];
}

function isObject(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
