/**
 * Cuts what the hosted fine-tuning uses out of OpenAI's published OpenAPI (github.com/openai/openai-openapi). Run it
 * again to take up a newer version of that document (3 MB, hence no dependency):
 *
 *   node test/contract/extract-openai-openapi.ts openapi.json
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cut } from "./cut.ts";

const OPERATIONS = new Set([
  "cancelFineTuningJob",
  "createFile",
  "createFineTuningJob",
  "listFiles",
  "listPaginatedFineTuningJobs",
  "pauseFineTuningJob",
  "resumeFineTuningJob",
  "retrieveFineTuningJob",
]);

const document = JSON.parse(readFileSync(process.argv[2] ?? "openapi.json", "utf8"));
const text = JSON.stringify(
  {
    source: {
      repository: "openai/openai-openapi",
      version: document.info.version,
      license: document.info.license.name,
      note: "Selected operations, prose removed by test/contract/extract-openai-openapi.ts",
    },
    openapi: document.openapi,
    ...cut(document, OPERATIONS),
  },
  null,
  1,
);
const target = join(import.meta.dirname, "testdata/openai-openapi.json");
writeFileSync(target, `${text}\n`);
console.log(`${target}: ${text.length} bytes, ${OPERATIONS.size} operations`);
