import { z } from "zod";
import {
  anyJson,
  decimal,
  digest,
  durationBetween,
  identifier,
  localRef,
  mapKeys,
  objectName,
  repositoryPath,
  statusBase,
  suspend,
  withRules,
} from "./common.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";

/** Grader names and semantics are promptfoo's. */
export const GRADERS = [
  "equals",
  "contains",
  "icontains",
  "contains-any",
  "icontains-any",
  "contains-all",
  "icontains-all",
  "starts-with",
  "ends-with",
  "regex",
  "is-json",
  "contains-json",
  "levenshtein",
  "latency",
  "cost",
  "llm-rubric",
] as const;
export type GraderName = (typeof GRADERS)[number];
export const ASSERTION_TYPES = [...GRADERS, ...GRADERS.map((name) => `not-${name}` as const)] as const;

export const assertion = z.strictObject({
  type: z.enum(ASSERTION_TYPES).describe("Grader; the prefix not- turns its verdict around."),
  value: anyJson
    .optional()
    .describe("What the grader compares with. Strings may use the case's variables and `{{expected}}`."),
  threshold: z
    .number()
    .min(0)
    .max(1e12)
    .optional()
    .describe("Limit of latency (ms), cost (USD), levenshtein (edits) or a score."),
  weight: z.number().min(0).max(1000).default(1).describe("Weight in the case's score; 0 is reported only."),
  metric: identifier
    .optional()
    .describe("Also counts into the metric of this name, which gates may refer to."),
});
export type Assertion = z.infer<typeof assertion>;

/** Like an identifier, but ids that come from data (`42`, `2024-05-01:3`) stay as they are. */
const caseId = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/);

const caseFields = {
  id: caseId.describe("Stable name; base and head are paired by it."),
  vars: z
    .record(z.string().max(128), anyJson)
    .default({})
    .meta({ maxProperties: 64 })
    .describe("Values of the prompt's variables."),
  expected: anyJson.optional().describe("The right answer; assertions refer to it as {{expected}}."),
  assert: z.array(assertion).max(32).optional().describe("In addition to the suite's assertions."),
  critical: z.boolean().optional().describe("Failing in every repeat fails the suite, whatever the average."),
  cluster: z
    .string()
    .max(128)
    .optional()
    .describe("Cases of one cluster are not independent (same document, same user)."),
  tags: z.array(z.string().max(64)).max(16).optional(),
};

export const evalCase = z.strictObject(caseFields);
export type EvalCase = z.infer<typeof evalCase>;

export const caseFile = z.strictObject({
  path: repositoryPath.describe(
    "JSONL, CSV or YAML file in the Repository, relative to the manifest's Repository path.",
  ),
  digest: digest.optional().describe("Set by Slipway: content of the file at the applied commit."),
});

export const target = z.strictObject({
  name: objectName,
  promptRef: localRef,
  modelRef: localRef,
});

export const gate = withRules(
  z.strictObject({
    name: objectName,
    metric: identifier
      .default("pass-rate")
      .describe("pass-rate, score, latency (ms), cost (USD a case), or the metric of an assertion."),
    margin: z
      .number()
      .min(0)
      .max(1e9)
      .optional()
      .describe(
        "How much worse than the base the head may be, in the metric's unit. Checked on pull requests.",
      ),
    min: z.number().min(0).max(1e9).optional().describe("Least mean of the head."),
    max: z.number().min(0).max(1e9).optional().describe("Greatest mean of the head."),
    onInconclusive: z
      .enum(["Pass", "Fail"])
      .default("Pass")
      .describe("What counts when the cases cannot tell. Pass leaves a warning in the comment."),
  }),
  {
    rule: "has(self.margin) || has(self.min) || has(self.max)",
    message: "a gate needs margin, min or max",
    check: (self) => self.margin !== undefined || self.min !== undefined || self.max !== undefined,
  },
  {
    rule: "!has(self.min) || !has(self.max) || self.min <= self.max",
    message: "min must not be greater than max",
    check: (self) => self.min === undefined || self.max === undefined || self.min <= self.max,
  },
);
export type Gate = z.infer<typeof gate>;

export const budget = z
  .strictObject({
    maxCalls: z.int().min(1).max(10_000_000).default(20_000).describe("Most model calls of one run."),
    maxCost: decimal
      .optional()
      .describe("Most US dollars of one run; needs pricing on every deployment used."),
    timeout: durationBetween("100ms", "24h").default("30m").describe("Longest time of one run."),
    maxRetries: z
      .int()
      .min(0)
      .max(20)
      .default(4)
      .describe("Tries after the first for one call that failed (429, 5xx, network)."),
    concurrency: z.int().min(1).max(1000).default(8).describe("Most calls in flight."),
  })
  .describe("What one run may use.");
export type Budget = z.infer<typeof budget>;

export const evalSuiteSpec = withRules(
  z.strictObject({
    description: z.string().max(1024).optional(),
    targets: z
      .array(target)
      .min(1)
      .max(16)
      .meta(mapKeys("name"))
      .describe("What is evaluated: a prompt on a deployment."),
    cases: withRules(
      z.strictObject({
        inline: z.array(evalCase).max(200).optional().meta(mapKeys("id")),
        files: z.array(caseFile).max(32).optional().meta(mapKeys("path")),
      }),
      {
        rule: "(has(self.inline) && self.inline.size() > 0) || (has(self.files) && self.files.size() > 0)",
        message: "cases needs inline or files",
        check: (self) => (self.inline?.length ?? 0) > 0 || (self.files?.length ?? 0) > 0,
      },
    ),
    assert: z.array(assertion).max(32).default([]).describe("Assertions of every case."),
    gates: z.array(gate).max(16).default([]).meta(mapKeys("name")),
    repeats: z.int().min(1).max(20).default(1).describe("Answers per case and side."),
    judge: z
      .strictObject({ modelRef: localRef })
      .optional()
      .describe("The deployment that answers llm-rubric."),
    budget: budget.optional(),
    suspend,
  }),
  {
    rule: "has(self.judge) || !has(self.assert) || !self.assert.exists(a, a.type == 'llm-rubric' || a.type == 'not-llm-rubric')",
    message: "llm-rubric needs judge.modelRef",
    check: (self) => self.judge !== undefined || !self.assert.some((a) => a.type.endsWith("llm-rubric")),
  },
);
export type EvalSuiteSpec = z.infer<typeof evalSuiteSpec>;

export const evalSuiteStatus = z.strictObject({
  ...statusBase,
  cases: z.int().min(0).optional().describe("Number of cases."),
  score: z
    .string()
    .max(16)
    .optional()
    .describe("Pass rate of the last run on the applied revision, in percent."),
  lastRun: z.string().max(253).optional().describe("Name of the EvalRun that the score is from."),
});
export type EvalSuiteStatus = z.infer<typeof evalSuiteStatus>;
export type EvalSuite = CustomResource<EvalSuiteSpec, EvalSuiteStatus>;

export const evalSuiteKind: KindDefinition = {
  kind: "EvalSuite",
  plural: "evalsuites",
  singular: "evalsuite",
  shortNames: ["evals"],
  description: "Cases, graders and gates that say whether a prompt on a deployment is good enough.",
  spec: evalSuiteSpec,
  status: evalSuiteStatus,
  columns: columns(
    { name: "Passing", type: "string", jsonPath: '.status.conditions[?(@.type=="Passing")].status' },
    { name: "Score", type: "string", jsonPath: ".status.score" },
    { name: "Cases", type: "integer", jsonPath: ".status.cases", priority: 1 },
  ),
};
