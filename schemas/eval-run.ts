import { z } from "zod";
import { commitId, digest, identifier, objectName, revision, statusBase, withRules } from "./common.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";

/** One side of a run: everything it needs is in the bundle, so that it can run again after a crash. */
const side = z.strictObject({
  commit: commitId.optional(),
  bundle: digest.describe("Prompts and deployments of this side, in the blob store."),
  revision: revision.describe("Digest over the targets' prompt and deployment revisions."),
});

export const evalRunSpec = withRules(
  z.strictObject({
    suite: z.strictObject({
      name: objectName,
      revision,
      bundle: digest.describe("Cases, assertions, gates and budget, in the blob store."),
    }),
    trigger: z.enum(["PullRequest", "Merge", "Rollout", "Monitor"]),
    pullRequest: z.int().min(1).optional(),
    repository: objectName.optional(),
    base: side.optional().describe("Absent when there is nothing to compare with."),
    head: side,
  }),
  { rule: "self == oldSelf", message: "an EvalRun's spec cannot be changed: make a new one" },
  {
    rule: "self.trigger != 'PullRequest' || has(self.pullRequest)",
    message: "trigger: PullRequest needs pullRequest",
    check: (self) => self.trigger !== "PullRequest" || self.pullRequest !== undefined,
  },
);
export type EvalRunSpec = z.infer<typeof evalRunSpec>;

const measure = z.number().min(-1e12).max(1e12);

export const gateResult = z.strictObject({
  name: objectName,
  metric: identifier,
  target: objectName,
  base: measure.optional(),
  head: measure.optional(),
  delta: measure.optional(),
  lower: measure.optional(),
  upper: measure.optional(),
  outcome: z.enum(["Improved", "WithinMargin", "Regressed", "Inconclusive", "Met", "NotMet", "NotEvaluated"]),
  passed: z.boolean(),
  message: z.string().max(512).optional(),
});
export type GateResult = z.infer<typeof gateResult>;

export const VERDICTS = ["Pass", "Fail", "Inconclusive", "Error"] as const;
export type Verdict = (typeof VERDICTS)[number];

export const evalRunStatus = z.strictObject({
  ...statusBase,
  verdict: z.enum(VERDICTS).optional(),
  passed: z
    .boolean()
    .optional()
    .describe("Whether a merge may go on: Pass, or Inconclusive where every gate concerned allows that."),
  score: z.string().max(16).optional().describe("Pass rate of the head, in percent."),
  progress: z.string().max(32).optional().describe("Calls answered of calls needed."),
  startedAt: z.string().max(64).optional().meta({ format: "date-time" }),
  finishedAt: z.string().max(64).optional().meta({ format: "date-time" }),
  gates: z.array(gateResult).max(64).optional().meta({ "x-kubernetes-list-type": "atomic" }),
  worst: z.array(z.string().max(256)).max(10).optional().describe("Ids of the cases that got worst."),
  calls: z
    .strictObject({ made: z.int().min(0), saved: z.int().min(0) })
    .optional()
    .describe("Model calls paid, and answered from the cache."),
  result: digest.optional().describe("The full result in the blob store."),
});
export type EvalRunStatus = z.infer<typeof evalRunStatus>;
export type EvalRun = CustomResource<EvalRunSpec, EvalRunStatus>;

export const evalRunKind: KindDefinition = {
  kind: "EvalRun",
  plural: "evalruns",
  singular: "evalrun",
  shortNames: ["er"],
  description: "One evaluation of a suite, made by the controller.",
  internal: true,
  spec: evalRunSpec,
  status: evalRunStatus,
  columns: columns(
    { name: "Suite", type: "string", jsonPath: ".spec.suite.name" },
    { name: "Trigger", type: "string", jsonPath: ".spec.trigger", priority: 1 },
    { name: "PR", type: "integer", jsonPath: ".spec.pullRequest" },
    { name: "Progress", type: "string", jsonPath: ".status.progress" },
    { name: "Score", type: "string", jsonPath: ".status.score", priority: 1 },
    { name: "Verdict", type: "string", jsonPath: ".status.verdict" },
  ),
};
