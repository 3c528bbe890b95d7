import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ROOT } from "./environment.ts";
import { runFolder } from "./run-folder.ts";

const PARTS = [
  "controller/dev/model/pins.ts",
  "examples/support-llm/data/train.jsonl",
  "examples/support-triage/cases/tickets.jsonl",
  "test/train",
  "workers/trainer",
];
let clone: string;

beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), "slipway-run-folder-"));
  for (const part of PARTS) {
    await mkdir(dirname(join(clone, part)), { recursive: true });
    await cp(join(ROOT, part), join(clone, part), { recursive: true });
  }
});
afterEach(() => rm(clone, { recursive: true, force: true }));

test("a run goes on in the same folder, whatever tests, reports and compiled modules come beside it", async () => {
  const before = await runFolder("/runs", clone);
  expect(before).toMatch(/^\/runs\/[0-9a-f]{12}$/);
  const beside = ["test/train/new.test.ts", "workers/trainer/README.md", "workers/trainer/tests/test_new.py"];
  for (const path of beside) await writeFile(join(clone, path), "new");
  const compiled = join(clone, "workers/trainer/slipway_trainer/__pycache__");
  await mkdir(compiled, { recursive: true });
  await writeFile(join(compiled, "job.cpython-311.pyc"), "compiled");
  expect(await runFolder("/runs", clone)).toBe(before);
});

test.each([
  "controller/dev/model/pins.ts",
  "examples/support-llm/data/train.jsonl",
  "examples/support-triage/cases/tickets.jsonl",
  "test/train/training.ts",
  "workers/trainer/requirements/tensorflow.txt",
  "workers/trainer/requirements/torch.txt",
  "workers/trainer/slipway_trainer/torch_backend.py",
])("a change of %s is another run, in another folder", async (path) => {
  const before = await runFolder("/runs", clone);
  await appendFile(join(clone, path), " ");
  expect(await runFolder("/runs", clone)).not.toBe(before);
});
