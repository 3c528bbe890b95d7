/**
 * Cuts the operations that the GitHub adapter uses, and every schema they need, out of GitHub's published
 * OpenAPI. Run it again to take up a newer version of that document (about 470 MB unpacked, hence no
 * dependency):
 *
 *   npm pack @octokit/openapi@VERSION && tar -xzf octokit-openapi-VERSION.tgz
 *   node test/contract/extract-github-openapi.ts package
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isRecord } from "./openapi.ts";

const OPERATIONS = new Set([
  "apps/create-installation-access-token",
  "apps/get-authenticated",
  "issues/create-comment",
  "issues/delete-comment",
  "issues/list-comments",
  "issues/update-comment",
  "pulls/create",
  "pulls/get",
  "pulls/list",
  "pulls/merge",
  "repos/create-commit-status",
  "repos/get-collaborator-permission-level",
  "repos/get-combined-status-for-ref",
  "users/get-authenticated",
]);

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

const folder = process.argv[2] ?? "node_modules/@octokit/openapi";
const source = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const document = JSON.parse(readFileSync(join(folder, "generated/api.github.com.json"), "utf8"));

const paths: Record<string, Record<string, unknown>> = {};
const missing = new Set(OPERATIONS);
for (const [path, methods] of Object.entries<Record<string, { operationId?: string }>>(document.paths)) {
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

const text = JSON.stringify(
  {
    source: {
      package: source.name,
      version: source.version,
      file: "generated/api.github.com.json",
      license: source.license,
      note: "Selected operations of GitHub's OpenAPI description, prose removed by test/contract/extract-github-openapi.ts",
    },
    openapi: document.openapi,
    paths,
    components,
  },
  null,
  1,
);
const target = join(import.meta.dirname, "testdata/github-openapi.json");
writeFileSync(target, `${text}\n`);
console.log(`${target}: ${text.length} bytes, ${OPERATIONS.size} operations`);
