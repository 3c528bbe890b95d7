import { z } from "zod";
import {
  durationBetween,
  mapKeys,
  revision,
  secretKeyRef,
  statusBase,
  suspend,
  withRules,
} from "./common.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";
import { inCluster } from "./model-deployment-in-cluster.ts";
import { pricing } from "./pricing.ts";

export type { Pricing } from "./pricing.ts";

export const externalEndpoint = z.strictObject({
  baseURL: z
    .string()
    .min(8)
    .max(2048)
    .regex(/^https?:\/\/[^\p{Z}\p{Cc}@?#]+$/u)
    .describe(
      "Base of an OpenAI-compatible API, e.g. https://api.openai.com/v1. No credentials, query or fragment.",
    ),
  model: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[^\p{Z}\p{Cc}]+$/u)
    .describe("The model's name at that endpoint."),
  secretRef: secretKeyRef
    .optional()
    .describe("API key. The Secret's annotation slipway.dev/allowed-hosts must name the endpoint's host."),
  pricing: pricing.optional(),
  timeout: durationBetween("100ms", "1h").default("60s").describe("Longest wait for one answer."),
  maxConcurrency: z.int().min(1).max(1000).default(8).describe("Most calls in flight to this endpoint."),
});

export const modelDeploymentSpec = withRules(
  z.strictObject({
    description: z.string().max(1024).optional(),
    type: z
      .enum(["External", "InCluster"])
      .describe("External: a model that somebody else serves. InCluster: pods of this cluster serve it."),
    external: externalEndpoint.optional(),
    inCluster: inCluster.optional(),
    suspend,
  }),
  {
    rule: "self.type != 'External' || has(self.external)",
    message: "type: External needs the section external with baseURL and model",
    check: (self) => self.type !== "External" || self.external !== undefined,
  },
  {
    rule: "self.type != 'InCluster' || has(self.inCluster)",
    message: "type: InCluster needs the section inCluster with runtime and model",
    check: (self) => self.type !== "InCluster" || self.inCluster !== undefined,
  },
);
export type ModelDeploymentSpec = z.infer<typeof modelDeploymentSpec>;

export const modelDeploymentStatus = z.strictObject({
  ...statusBase,
  endpoint: z
    .strictObject({
      url: z.string().max(2048),
      model: z.string().max(256),
      address: z
        .string()
        .max(2048)
        .optional()
        .describe("InCluster: the Service of this very revision by its IP, for evaluations."),
    })
    .optional()
    .describe("Where the model answers."),
  replicas: z
    .strictObject({
      desired: z.int().min(0),
      current: z.int().min(0).describe("Pods that there are of the serving revision."),
      ready: z.int().min(0).describe("Pods of the serving revision that answer."),
    })
    .optional(),
  selector: z
    .string()
    .max(512)
    .optional()
    .describe("Label selector of the pods that replicas counts, for autoscalers."),
  resolved: z
    .array(
      z.strictObject({
        name: z.string().max(63).describe("`model`, or an adapter's name."),
        source: z.string().max(1024),
        resolved: z
          .string()
          .max(1200)
          .describe("The same with everything pinned: a commit, a digest of files."),
      }),
    )
    .max(33)
    .optional()
    .meta(mapKeys("name"))
    .describe("What the sources were when they were looked up."),
  active: revision.optional().describe("The revision that gets the traffic."),
  rollout: z
    .strictObject({
      revision: revision.describe("The revision that is to take over."),
      phase: z.enum(["Starting", "Evaluating", "Blocked"]),
      reason: z.string().max(128),
      message: z.string().max(2048),
      tried: revision
        .optional()
        .describe(
          "Of one that was stopped: the spec that was tried, but for its replicas. Another is tried anew.",
        ),
    })
    .optional()
    .describe("A change on its way, or one that was stopped."),
});
export type ModelDeploymentStatus = z.infer<typeof modelDeploymentStatus>;
export type ModelDeployment = CustomResource<ModelDeploymentSpec, ModelDeploymentStatus>;

export const modelDeploymentKind: KindDefinition = {
  kind: "ModelDeployment",
  plural: "modeldeployments",
  singular: "modeldeployment",
  shortNames: ["mdep"],
  description: "A model that answers requests.",
  spec: modelDeploymentSpec,
  status: modelDeploymentStatus,
  scale: {
    specReplicasPath: ".spec.inCluster.replicas",
    statusReplicasPath: ".status.replicas.current",
    labelSelectorPath: ".status.selector",
  },
  columns: columns(
    { name: "Replicas", type: "integer", jsonPath: ".status.replicas.ready" },
    { name: "Model", type: "string", jsonPath: ".status.endpoint.model" },
    { name: "URL", type: "string", jsonPath: ".status.endpoint.url", priority: 1 },
  ),
};
