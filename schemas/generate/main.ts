/** Writes crds/, schemas/json/ and docs/reference/ from schemas/; with `--check` only says what differs. */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeError } from "../../controller/errors.ts";
import { KINDS } from "../index.ts";
import { GENERATED_FOLDERS, generatedFiles } from "./outputs.ts";
import { compareFiles, repairFiles } from "./sync.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

try {
  const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
  const files = generatedFiles(KINDS);
  const differences = await compareFiles(root, files, GENERATED_FOLDERS);
  if (values.check) {
    for (const { path, problem } of differences) console.error(`${path}: ${problem}`);
    if (differences.length > 0) {
      console.error("Generated files are not those of their source: run `npm run generate` and commit them.");
      process.exitCode = 1;
    }
  } else {
    await repairFiles(root, files, differences);
    for (const { path, problem } of differences) console.log(problem === "stale" ? `${path}: removed` : path);
    console.log(`${differences.length} of ${files.size} generated files changed`);
  }
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 2;
}
