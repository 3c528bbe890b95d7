import { isRecord } from "./openapi.ts";

/** Cuts some operations, and every schema that they need, out of a published OpenAPI document. */

/** Words for people, and vendor extensions: nothing that validates. */
const PROSE = new Set([
  "description",
  "summary",
  "example",
  "examples",
  "externalDocs",
  "tags",
  "headers",
  "title",
]);

function strip(node: unknown, inProperties: boolean = false): unknown {
  if (Array.isArray(node)) return node.map((item) => strip(item));
  if (!isRecord(node)) return node;
  return Object.fromEntries(
    Object.entries(node)
      // A property may well be called "description"; only the keyword of that name is prose.
      .filter(([key]) => inProperties || !(PROSE.has(key) || key.startsWith("x-")))
      .map(([key, value]) => [key, strip(value, key === "properties" && !inProperties)]),
  );
}

function references(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(references);
  if (!isRecord(node)) return [];
  const own = typeof node.$ref === "string" ? [node.$ref] : [];
  return [...own, ...Object.values(node).flatMap(references)];
}

function lookUp(document: unknown, reference: string): unknown {
  let node = document;
  for (const part of reference.replace("#/", "").split("/")) node = isRecord(node) ? node[part] : undefined;
  if (node === undefined) throw new Error(`${reference} is not in the document`);
  return node;
}

/** @throws Error when one of the operations is not in the document */
export function cut(
  document: { readonly paths: Record<string, Record<string, { operationId?: string }>> },
  operations: ReadonlySet<string>,
): { paths: object; components: object } {
  const paths: Record<string, Record<string, unknown>> = {};
  const missing = new Set(operations);
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (!operation.operationId || !missing.delete(operation.operationId)) continue;
      paths[path] = { ...paths[path], [method]: strip(operation) };
    }
  }
  if (missing.size > 0) throw new Error(`not in the document: ${[...missing].join(", ")}`);
  const components: Record<string, Record<string, unknown>> = {};
  const open = references(paths);
  for (let reference = open.pop(); reference !== undefined; reference = open.pop()) {
    const [, , section = "", name = ""] = reference.split("/");
    if (components[section]?.[name] !== undefined) continue;
    const part = strip(lookUp(document, reference));
    components[section] = { ...components[section], [name]: part };
    open.push(...references(part));
  }
  return { paths, components };
}
