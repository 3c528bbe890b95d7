/** Writes charts/slipway/files/ from the CRDs and the rights in controller/install; `--check` only says what differs. */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { CONTROLLER_RULES, LEASE_RULES, type Rule, TENANT_RULES } from "../controller/install/rbac.ts";
import { generatedFiles } from "../schemas/generate/outputs.ts";
import { compareFiles, repairFiles } from "../schemas/generate/sync.ts";
import { KINDS } from "../schemas/index.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const folder = "charts/slipway/files";
const rules = (list: readonly Rule[]) => stringify(list, { lineWidth: 0, aliasDuplicateObjects: false });

const files = new Map<string, string>([
  [`${folder}/rules/controller.yaml`, rules(CONTROLLER_RULES)],
  [`${folder}/rules/leader-election.yaml`, rules(LEASE_RULES)],
  [`${folder}/rules/tenant.yaml`, rules(TENANT_RULES)],
]);
for (const [path, content] of generatedFiles(KINDS)) {
  if (path.startsWith("crds/")) files.set(`${folder}/${path}`, content);
}

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const differences = await compareFiles(root, files, [`${folder}/rules`, `${folder}/crds`]);
if (values.check) {
  for (const { path, problem } of differences) console.error(`${path}: ${problem}`);
  if (differences.length > 0) {
    console.error("The chart's files are not those of their source: run `npm run generate` and commit them.");
    process.exitCode = 1;
  }
} else {
  await repairFiles(root, files, differences);
  console.log(`${differences.length} of ${files.size} files of the chart changed`);
}
