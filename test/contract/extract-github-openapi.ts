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
import { cut } from "./cut.ts";

const OPERATIONS = new Set([
  "apps/create-installation-access-token",
  "apps/get-authenticated",
  "git/create-ref",
  "git/delete-ref",
  "git/get-ref",
  "issues/create-comment",
  "issues/delete-comment",
  "issues/list-comments",
  "issues/update-comment",
  "pulls/create",
  "pulls/get",
  "pulls/list",
  "pulls/merge",
  "pulls/update",
  "repos/create-commit-status",
  "repos/create-or-update-file-contents",
  "repos/get-collaborator-permission-level",
  "repos/get-combined-status-for-ref",
  "repos/get-content",
  "users/get-authenticated",
]);

const folder = process.argv[2] ?? "node_modules/@octokit/openapi";
const source = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const document = JSON.parse(readFileSync(join(folder, "generated/api.github.com.json"), "utf8"));

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
    ...cut(document, OPERATIONS),
  },
  null,
  1,
);
const target = join(import.meta.dirname, "testdata/github-openapi.json");
writeFileSync(target, `${text}\n`);
console.log(`${target}: ${text.length} bytes, ${OPERATIONS.size} operations`);
