import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { effectContext } from "../../../test/effect-context.ts";
import { modelOf, sideOf, suiteOf, targetOf } from "../../../test/eval-bundles.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../../../test/model-endpoint.ts";
import { canonicalJson } from "../../graph/canonical.ts";
import { openStateStore } from "../../store/open.ts";
import type { StateStore } from "../../store/store.ts";
import { evalRun } from "./index.ts";

let dir: string;
let state: StateStore;
let endpoint: ModelEndpointHandle;
let spec: Record<"suite" | "head", { bundle: string }>;
let base: { bundle: string };
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-eval-run-"));
  state = await openStateStore(dir);
  endpoint = await startModelEndpoint();
  const bundle = async (value: object) => ({ bundle: await state.blobs.put(canonicalJson(value)) });
  spec = {
    suite: await bundle(suiteOf({})),
    head: await bundle(sideOf(targetOf(modelOf(endpoint.baseURL), "{{q}}"))),
  };
  base = await bundle(sideOf(targetOf(modelOf(endpoint.baseURL), "Now {{q}}")));
});
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
  await state.close();
  await rm(dir, { recursive: true });
});

function evaluated(patienceMs = 0, more: object = {}) {
  const secrets = { read: () => Promise.reject(new Error("there is no Secret")) };
  const { effects } = evalRun({ state, secrets, patienceMs } as never);
  const input = { namespace: "team", serviceAccountName: "team", spec: { ...spec, ...more } };
  return effects!.evaluate!(input as never, effectContext("EvalRun", "r"));
}

test("what something in the namespace has bundled is evaluated", async () => {
  await state.reports.addUpload("EvalSuite/team/s/u1", spec.suite.bundle);
  await state.reports.addUpload("Monitor/team/m/u2", spec.head.bundle);
  expect(await evaluated()).toMatchObject({ verdict: "Pass", calls: { made: 4 } });
});

test("what is bundled a moment later, as after a start, is waited for", async () => {
  await state.reports.addUpload("EvalSuite/team/s/u1", spec.suite.bundle);
  const evaluation = evaluated(10_000);
  await state.reports.addUpload("EvalSuite/team/s/u1", spec.head.bundle);
  expect(await evaluation).toMatchObject({ verdict: "Pass" });
});

test("what only another namespace has bundled is not: its cases would go to an endpoint of the run's author", async () => {
  for (const { bundle } of [spec.suite, spec.head, base])
    for (const other of ["other", "tea", "team-a"])
      await state.reports.addUpload(`EvalSuite/${other}/s/u1`, bundle);
  for (const [side, { bundle }] of Object.entries({ ...spec, base })) {
    await expect(evaluated(0, { base }), side).rejects.toMatchObject({
      code: "ForeignBundle",
      message: expect.stringContaining(bundle),
      retryable: true,
    });
    await state.reports.addUpload("EvalSuite/team/s/u2", bundle);
  }
  expect(endpoint.count).toBe(0);
  expect(await evaluated(0, { base })).toMatchObject({ calls: { made: 8 } });
});
