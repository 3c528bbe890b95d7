import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type FineTuneDependencies, fineTuneJob } from "../../controller/kinds/fine-tune-job/index.ts";
import type { KubeObject } from "../../controller/kube/resources.ts";
import { createLogger } from "../../controller/log.ts";
import { EchoFilter } from "../../controller/runtime/echo.ts";
import { EffectRunner } from "../../controller/runtime/effects.ts";
import { Engine, ownerOf } from "../../controller/runtime/engine.ts";
import { OwnWrites } from "../../controller/runtime/freshness.ts";
import type { Kind } from "../../controller/runtime/kind.ts";
import { openStateStore } from "../../controller/store/open.ts";
import type { StateStore } from "../../controller/store/store.ts";
import { type FineTuneJob, fineTuneJobSpec } from "../../schemas/fine-tune-job.ts";
import { object } from "../kind-objects.ts";
import { KEY, OpenAiServer } from "./openai-server.ts";

/*
 * A FineTuneJob of a provider that is deleted: the engine, the effects and the provider are real ones, the API server
 * is one object in memory.
 */
const FINALIZER = "slipway.dev/cancel-hosted-training";
let server: OpenAiServer;
let folder: string;
let store: StateStore;
let kind: Kind;
let effects: EffectRunner;
let engine: Engine;
let key: string;
let job: KubeObject;

const hostedSpec = () =>
  fineTuneJobSpec.parse({
    backend: "openai",
    baseModel: { source: "gpt-small" },
    datasetRef: { name: "rows" },
    openai: { secretRef: { name: "key" }, baseURL: server.baseURL },
  });

beforeEach(async () => {
  server = await OpenAiServer.start();
  folder = await mkdtemp(join(tmpdir(), "slipway-release-"));
  store = await openStateStore(folder);
  key = KEY;
  const dependencies = {
    secrets: { read: async () => ({ data: { apiKey: key }, allowedHosts: [server.host] }) },
    settleMs: [1, 1, 1],
  };
  kind = fineTuneJob(dependencies as unknown as FineTuneDependencies) as unknown as Kind;
  const log = createLogger("silent");
  effects = new EffectRunner({ intents: store.intents, handlers: () => kind.effects, wake: () => {}, log });
  engine = new Engine({
    ...{ effects, log },
    client: {
      patch: async (_type: unknown, _namespace: unknown, _name: unknown, body: { metadata?: object }) => {
        job = { ...job, metadata: { ...job.metadata, ...body.metadata } };
        return job;
      },
    } as never,
    applied: store.applied,
    reports: store.reports,
    view: {
      get: (type, _namespace, name) =>
        (type.kind === "FineTuneJob" && name === job.metadata.name ? job : undefined) as never,
      list: () => [],
      children: () => [],
      effect: (_ref, name, digest) => effects.outcome(ownerOf(kind, job), name, digest),
      report: () => undefined,
    },
    events: { record: () => {} },
    writes: new OwnWrites(),
    echoes: new EchoFilter(),
    mayWrite: () => true,
    wake: () => {},
  });
  put(hostedSpec());
});
afterEach(async () => {
  await effects.stop(1_000);
  await store.close();
  await rm(folder, { recursive: true });
  expect(server.violations).toEqual([]);
  await server.close();
});

function put(spec: FineTuneJob["spec"], metadata: object = {}): void {
  job = object<FineTuneJob>("FineTuneJob", {
    spec,
    metadata: { name: "tuned", uid: "uid-1", ...metadata },
  }) as unknown as KubeObject;
}
const deleted = () =>
  put(hostedSpec(), { finalizers: ["other", FINALIZER], deletionTimestamp: "2030-01-01T00:00:00Z" });
const provided = (id: string, status: string, uid = "uid-1") =>
  server.jobs.push({
    ...{ id, status, body: { model: "gpt-small", training_file: "file-1" } },
    metadata: { slipway_work: "w".repeat(64), slipway_object: uid },
  });
const reconcile = () => engine.reconcile(kind, "team/tuned", new AbortController().signal);
const settled = () => vi.waitFor(() => expect(effects.running).toBe(0), { timeout: 10_000 });
const cancels = () => server.calls.filter((call) => call === "cancelFineTuningJob").length;

test("it is held before the provider is asked for anything; one that trains in a pod is not held", async () => {
  expect(await reconcile()).toEqual({ result: "changed" });
  expect(job.metadata.finalizers).toEqual([FINALIZER]);
  expect(server.calls).toEqual([]);
  put(fineTuneJobSpec.parse({ baseModel: { source: "hf://org/small" }, datasetRef: { name: "rows" } }));
  await reconcile();
  expect(job.metadata.finalizers).toBeUndefined();
});

test("one that is deleted goes when its running jobs are cancelled, not before, and nobody else's are", async () => {
  provided("ftjob-1", "running");
  provided("ftjob-2", "queued");
  provided("ftjob-3", "running", "uid-of-another");
  server.faults.push({ operation: "cancelFineTuningJob", status: 503 });
  deleted();
  expect(await reconcile()).toEqual({ result: "deleting" });
  expect(job.metadata.finalizers).toEqual(["other", FINALIZER]);
  await settled();
  expect(server.jobs.map(({ status }) => status)).toEqual(["running", "queued", "running"]);
  // The provider could not do it: it is asked again, and the object waits for that too.
  await reconcile();
  expect(job.metadata.finalizers).toEqual(["other", FINALIZER]);
  await settled();
  await reconcile();
  expect(job.metadata.finalizers).toEqual(["other"]);
  expect(server.jobs.map(({ status }) => status)).toEqual(["cancelled", "cancelled", "running"]);
  expect(cancels()).toBe(3);
});

test.each(["succeeded", "failed", "cancelled"])(
  "a job that is over (%s) is not cancelled",
  async (status) => {
    provided("ftjob-1", status);
    deleted();
    await reconcile();
    await settled();
    await reconcile();
    expect(job.metadata.finalizers).toEqual(["other"]);
    expect([server.jobs[0]?.status, server.calls]).toEqual([status, ["listPaginatedFineTuningJobs"]]);
  },
);

test("a job that the provider's list shows late is cancelled too", async () => {
  server.lag = 2;
  const made = { model: "gpt-small", training_file: "file-1", metadata: { slipway_object: "uid-1" } };
  await fetch(`${server.baseURL}/fine_tuning/jobs`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify(made),
  });
  deleted();
  await reconcile();
  await settled();
  await reconcile();
  expect([server.jobs[0]?.status, job.metadata.finalizers]).toEqual(["cancelled", ["other"]]);
});

test("a key that is refused holds nothing for ever: the object goes, the job is left", async () => {
  provided("ftjob-1", "running");
  key = "sk-withdrawn";
  deleted();
  await reconcile();
  await settled();
  await reconcile();
  expect([server.jobs[0]?.status, job.metadata.finalizers]).toEqual(["running", ["other"]]);
});
