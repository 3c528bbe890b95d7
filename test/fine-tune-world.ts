import { expect } from "vitest";
import { decide } from "../controller/kinds/fine-tune-job/decide.ts";
import type { ObservedJob } from "../controller/kinds/fine-tune-job/observed.ts";
import { inputOf } from "../controller/kinds/fine-tune-job/training.ts";
import type { KubeObject } from "../controller/kube/resources.ts";
import type { EffectOutcome } from "../controller/runtime/kind.ts";
import type { WorkReport } from "../controller/store/store.ts";
import type { Dataset } from "../schemas/dataset.ts";
import type { EvalSuite } from "../schemas/eval-suite.ts";
import {
  type FineTuneJob,
  type FineTuneJobSpec,
  fineTuneJobSpec,
  fineTuneJobStatus,
} from "../schemas/fine-tune-job.ts";
import type { PromptTemplate } from "../schemas/prompt-template.ts";
import { conditionsOf, NOW, object, succeeded, written } from "./kind-objects.ts";

export const ARTIFACT = `sha256:${"a".repeat(64)}`;
export const ROWS = `sha256:${"d".repeat(64)}`;
export const CHECKPOINT = `sha256:${"c".repeat(64)}`;

export const spec = (more: object = {}): FineTuneJobSpec =>
  fineTuneJobSpec.parse({
    baseModel: { source: "hf://org/small" },
    datasetRef: { name: "rows" },
    adapter: {},
    ...more,
  });

export const rows = (digest = ROWS, revision = "e".repeat(64)): Dataset =>
  object<Dataset>("Dataset", {
    spec: {} as Dataset["spec"],
    status: {
      observedGeneration: 1,
      artifact: { digest, rows: 3, bytes: 9, revision },
      conditions: [
        { type: "Ready", status: "True", reason: "Prepared", message: "", lastTransitionTime: "" },
      ],
    },
  });

export const result = {
  artifact: { digest: ARTIFACT, type: "adapter", bytes: 10 },
  base: { source: "hf://org/small", resolved: "hf:org/small@abc" },
  metrics: { firstLoss: 4, lastLoss: 1.5, trainRows: 3 },
  steps: 30,
  lossHistory: [
    [1, 4],
    [30, 1.5],
  ],
};

/** A cluster in small: what the decisions so far have made of it. */
export class World {
  job: FineTuneJob;
  dataset: Dataset | undefined = rows();
  reports = new Map<string, WorkReport>();
  live = new Map<string, { job: KubeObject; pods: KubeObject[] }>();
  admission: EffectOutcome | undefined = succeeded({});
  verification: EffectOutcome | undefined = succeeded({});
  layingOut: EffectOutcome | undefined;
  suite: EvalSuite | undefined;
  prompt: PromptTemplate | undefined;
  url: string | undefined = "http://slipway:8080";

  constructor(of: FineTuneJobSpec = spec()) {
    this.job = object<FineTuneJob>("FineTuneJob", { spec: of });
  }

  decide(now = NOW) {
    const observed: ObservedJob = {
      job: this.job,
      dataset: this.dataset,
      suite: this.suite,
      prompt: this.prompt,
      url: this.url,
      account: "default",
      commit: "f".repeat(40),
      report: (input) => this.reports.get(input),
      effect: ({ name }) =>
        ({ admit: this.admission, layOut: this.layingOut, verify: this.verification })[name],
      work: (name) => this.live.get(name) ?? { job: undefined, pods: [] },
    };
    return decide(observed, now);
  }

  /** Decides, and does to the cluster what the engine would. */
  step(now = NOW) {
    const decision = this.decide(now);
    for (const child of decision.children) {
      if (child.kind === "Job") this.live.set(child.metadata.name, { job: child, pods: [] });
    }
    const kept = new Set([
      ...decision.children.filter(({ kind }) => kind === "Job").map(({ metadata }) => metadata.name),
      ...(decision.keep ?? []).filter(({ type }) => type.kind === "Job").map(({ name }) => name),
    ]);
    for (const name of this.live.keys()) if (!kept.has(name)) this.live.delete(name);
    this.job = written(this.job, decision, now);
    expect(
      fineTuneJobStatus.safeParse(this.job.status).error,
      JSON.stringify(this.job.status),
    ).toBeUndefined();
    return decision;
  }

  change(more: object) {
    const { metadata } = this.job;
    this.job = {
      ...this.job,
      spec: spec(more),
      metadata: { ...metadata, generation: (metadata.generation ?? 1) + 1 },
    } as FineTuneJob;
  }

  ask(value: string) {
    const annotations = { "slipway.dev/requestedAt": value };
    this.job = { ...this.job, metadata: { ...this.job.metadata, annotations } };
  }

  get training() {
    return this.job.status!.training!;
  }

  say(report: Omit<WorkReport, "reportedAt">) {
    this.reports.set(inputOf(this.training), { ...report, reportedAt: 1 });
  }

  get onlyJob() {
    expect(this.live.size).toBe(1);
    return [...this.live.values()][0]!;
  }

  pod(status: object, name = "trainer-1") {
    const metadata = { name, creationTimestamp: `2030-01-01T00:00:0${this.onlyJob.pods.length}Z` };
    this.onlyJob.pods.push({ apiVersion: "v1", kind: "Pod", metadata, spec: { nodeName: "node-1" }, status });
  }

  jobFailed(reason: string) {
    this.onlyJob.job.status = {
      failed: 4,
      conditions: [{ type: "Failed", status: "True", reason, message: "m" }],
    };
  }
}

export const terminated = (state: object) => ({
  phase: "Failed",
  containerStatuses: [{ state: { terminated: state } }],
});
export const ready = (world: World) =>
  conditionsOf(world.step()).filter((each) => !each.startsWith("UpToDate"));
export const message = (world: World) =>
  world.job.status!.conditions!.find(({ type }) => type === "Ready")!.message;

export function trained(world = new World()): World {
  world.step();
  world.say({ state: "Succeeded", result });
  expect(ready(world)).toEqual(["Ready=True/Trained"]);
  return world;
}
