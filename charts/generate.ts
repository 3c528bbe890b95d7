/** Writes charts/slipway/files/ from the CRDs and the rights in controller/install; `--check` only says what differs. */
import { stringify } from "yaml";
import { CONTROLLER_RULES, LEASE_RULES, type Rule, TENANT_RULES } from "../controller/install/rbac.ts";
import { generatedFiles } from "../schemas/generate/outputs.ts";
import { writeOrCheck } from "../schemas/generate/sync.ts";
import { KINDS } from "../schemas/index.ts";

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

await writeOrCheck(files, [`${folder}/rules`, `${folder}/crds`]);
