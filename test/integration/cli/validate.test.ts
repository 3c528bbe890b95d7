import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { modelFile, promptFile, start, suiteFile, temporaryFolder, write } from "./slipway.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const validate = (...args: string[]) => start(["validate", folder.path, ...args], folder.path).ended;
const good = {
  "prompt.yaml": promptFile("Well"),
  "model.yaml": modelFile("https://api.example.com/v1"),
  "evals/suite.yaml": suiteFile(3, { min: 0.9 }),
};

test("0 and a line for each object when all is valid", async () => {
  await write(folder.path, good);
  const { code, stdout, stderr } = await validate();
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ok {3}PromptTemplate\/p [0-9a-f]{12}$/m);
  expect(stdout).toContain("3 objects, 0 errors");
  expect(stderr).toBe("");
});

test("1 with file, line and field for each fault; what depends on it is held", async () => {
  await write(folder.path, { ...good, "prompt.yaml": promptFile("Well").replace("role: user", "role: usr") });
  const { code, stdout, stderr } = await validate();
  expect(code).toBe(1);
  expect(stderr).toMatch(/^prompt\.yaml:\d+:\d+: error: .*role/m);
  expect(stdout).toMatch(/^held EvalSuite\/s .*\(.+\)$/m);
});

test("--json is one document with objects, errors and warnings", async () => {
  await write(folder.path, { ...good, "broken.yaml": "apiVersion: slipway.dev/v1alpha1\nkind: [" });
  const { code, stdout } = await validate("--json");
  expect(code).toBe(1);
  const report = JSON.parse(stdout) as {
    objects: { key: string }[];
    errors: { location: { file: string } }[];
  };
  expect(report.objects.map(({ key }) => key).sort()).toEqual([
    "EvalSuite/s",
    "ModelDeployment/m",
    "PromptTemplate/p",
  ]);
  expect(report.errors[0]?.location.file).toBe("broken.yaml");
  expect(report).toHaveProperty("warnings");
});

test("0 for a folder without manifests, which is said", async () => {
  await write(folder.path, { "README.md": "nothing here" });
  const { code, stderr } = await validate();
  expect(code).toBe(0);
  expect(stderr).toContain("no Slipway manifests");
});

test("2 for a folder that is not there, and for wrong usage", async () => {
  const missing = await start(["validate", join(folder.path, "nowhere")], folder.path).ended;
  expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining("nowhere") });
  expect((await start(["validate"], folder.path).ended).code).toBe(2);
  expect((await start(["nonsense"], folder.path).ended).code).toBe(2);
});
