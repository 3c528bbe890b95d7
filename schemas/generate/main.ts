/** Writes crds/, schemas/json/ and docs/reference/ from schemas/; with `--check` only says what differs. */
import { describeError } from "../../controller/errors.ts";
import { KINDS } from "../index.ts";
import { GENERATED_FOLDERS, generatedFiles } from "./outputs.ts";
import { writeOrCheck } from "./sync.ts";

try {
  await writeOrCheck(generatedFiles(KINDS), GENERATED_FOLDERS);
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 2;
}
