import { MINIMAL, variant } from "./manifests.ts";

export interface Rejection {
  readonly what: string;
  readonly kind: string;
  readonly spec: unknown;
  readonly field: string;
  readonly says: RegExp;
}

const external = MINIMAL.ModelDeployment?.external as object;
const target = { name: "t", promptRef: { name: "p" }, modelRef: { name: "m" } };

/** Samples of bounds, patterns, enums and list keys as the API server enforces them. */
export const REJECTIONS: readonly Rejection[] = [
  {
    what: "credentials in an address",
    kind: "Repository",
    spec: variant("Repository", { url: "https://user:pass@git.example.com/x.git" }),
    field: "spec.url",
    says: /should match/,
  },
  {
    what: "a no-break space in an address, as in zod",
    kind: "ModelDeployment",
    spec: { type: "External", external: { ...external, baseURL: "https://a\u00a0b/v1" } },
    field: "spec.external.baseURL",
    says: /should match/,
  },
  {
    what: "a control character in a model's name",
    kind: "ModelDeployment",
    spec: { type: "External", external: { ...external, model: "a\u0007" } },
    field: "spec.external.model",
    says: /should match/,
  },
  {
    what: "a path that climbs out",
    kind: "EvalSuite",
    spec: variant("EvalSuite", { cases: { files: [{ path: "../secrets.csv" }] } }),
    field: "spec.cases.files[0].path",
    says: /should match/,
  },
  {
    what: "a duration without a unit",
    kind: "Repository",
    spec: variant("Repository", { interval: "60" }),
    field: "spec.interval",
    says: /should match/,
  },
  {
    what: "a base model whose folder climbs out of its volume",
    kind: "FineTuneJob",
    spec: variant("FineTuneJob", { baseModel: { source: "pvc://models/../../etc" } }),
    field: "spec.baseModel.source",
    says: /should match/,
  },
  {
    what: "a memory limit that is no quantity",
    kind: "FineTuneJob",
    spec: variant("FineTuneJob", { pod: { resources: { limits: { memory: "lots" } } } }),
    field: "spec.pod.resources.limits.memory",
    says: /should match/,
  },
  {
    what: "an unknown grader",
    kind: "EvalSuite",
    spec: variant("EvalSuite", { assert: [{ type: "vibes" }] }),
    field: "spec.assert[0].type",
    says: /supported values/,
  },
  {
    what: "a temperature above the bound",
    kind: "PromptTemplate",
    spec: variant("PromptTemplate", { parameters: { temperature: 2.5 } }),
    field: "spec.parameters.temperature",
    says: /less than or equal to 2/,
  },
  {
    what: "a list that is too long",
    kind: "PromptTemplate",
    spec: variant("PromptTemplate", { parameters: { stop: ["a", "b", "c", "d", "e"] } }),
    field: "spec.parameters.stop",
    says: /at most 4 items/,
  },
  {
    what: "a list that is too short",
    kind: "EvalSuite",
    spec: variant("EvalSuite", { targets: [] }),
    field: "spec.targets",
    says: /at least 1 items/,
  },
  {
    what: "a map that is too large",
    kind: "EvalSuite",
    spec: variant("EvalSuite", {
      cases: {
        inline: [{ id: "a", vars: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`v${n}`, n])) }],
      },
    }),
    field: "spec.cases.inline[0].vars",
    says: /at most 64 items/,
  },
  {
    what: "a text that is too long",
    kind: "EvalSuite",
    spec: variant("EvalSuite", { description: "x".repeat(1025) }),
    field: "spec.description",
    says: /1024/,
  },
  {
    what: "two entries of one name",
    kind: "EvalSuite",
    spec: variant("EvalSuite", { targets: [target, target] }),
    field: "spec.targets[1]",
    says: /Duplicate value/,
  },
  {
    what: "one entry of a set twice",
    kind: "Repository",
    spec: variant("Repository", { pullRequests: { requiredSuites: ["a", "a"] } }),
    field: "spec.pullRequests.requiredSuites[1]",
    says: /Duplicate value/,
  },
  {
    what: "a number where a text belongs",
    kind: "ModelDeployment",
    spec: variant("ModelDeployment", { description: 7 }),
    field: "spec.description",
    says: /must be of type string/,
  },
  {
    what: "an object without spec",
    kind: "PromptTemplate",
    spec: undefined,
    field: "spec",
    says: /Required value/,
  },
];
