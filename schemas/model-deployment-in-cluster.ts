import { z } from "zod";
import { durationBetween, localRef, mapKeys, objectName, s3Region, withRules } from "./common.ts";
import { podOptions, quantity } from "./pod.ts";
import { pricing } from "./pricing.ts";

export const RUNTIMES = ["VLLM", "SGLang", "LlamaCpp", "TGI", "Ollama", "Transformers", "Custom"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

/** Where the spec says nothing. */
export const DEFAULT_REPLICAS = 1;

/** Runtimes that merge an adapter into the one model that they serve. */
export const SINGLE: readonly string[] = ["LlamaCpp", "Ollama", "Transformers"];

const HUB = "hf://[A-Za-z0-9][\\w.-]*/[\\w.-]+(@[\\w.%-]+)?";
const S3 = "s3://[a-z0-9][a-z0-9.-]+/[\\w.+=@/-]+";
const ARTIFACT = "artifact:sha256:[0-9a-f]{64}";
const CLAIM = "pvc://[a-z0-9][a-z0-9.-]*(/[\\w.+=@-]+)*";

/** A file's or folder's place: relative, without `..`. */
const relativePath = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@+=-]*(\/[A-Za-z0-9_][A-Za-z0-9_.@+=-]*)*$/);

const fetched = `(${HUB}|${S3}|${ARTIFACT})`;

const endpoint = z
  .string()
  .min(8)
  .max(2048)
  .regex(/^https?:\/\/[^\p{Z}\p{Cc}@?#]+$/u)
  .optional()
  .describe("A mirror of the hub, or an S3-compatible server.");

export const modelSource = withRules(
  z.strictObject({
    source: z
      .string()
      .min(6)
      .max(1024)
      .regex(new RegExp(`^(${fetched}|${CLAIM})$`))
      .optional()
      .describe(
        "hf://org/name[@revision], s3://bucket/folder, pvc://claim[/folder] or artifact:sha256:<digest>. What a revision or a folder means now is resolved once and recorded in status.resolved.",
      ),
    fineTuneJobRef: localRef
      .optional()
      .describe("A FineTuneJob: the model that it made, or its adapter on the base that it was trained on."),
    file: relativePath
      .optional()
      .describe("The file to serve, where the source holds several: a GGUF file. Nothing else is fetched."),
    endpoint,
    region: s3Region.optional(),
    secretRef: localRef
      .optional()
      .describe(
        "Secret with HF_TOKEN, or with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Its annotation slipway.dev/allowed-hosts must name the host.",
      ),
  }),
  {
    rule: "has(self.source) != has(self.fineTuneJobRef)",
    message: "model needs either source or fineTuneJobRef",
    check: (self) => (self.source === undefined) !== (self.fineTuneJobRef === undefined),
  },
);

export const adapter = withRules(
  z.strictObject({
    name: objectName.describe(
      "Where the runtime serves several: clients ask for the model of this name, of SGLang for base:name.",
    ),
    source: z
      .string()
      .min(6)
      .max(1024)
      .regex(new RegExp(`^${fetched}$`))
      .optional()
      .describe("hf://org/name[@revision], s3://bucket/folder or artifact:sha256:<digest>."),
    fineTuneJobRef: localRef.optional().describe("A FineTuneJob that made an adapter."),
    file: relativePath.optional().describe("LlamaCpp: the adapter's GGUF file, adapter.gguf unless given."),
    endpoint,
    region: s3Region.optional(),
    secretRef: localRef.optional().describe("As for the model."),
  }),
  {
    rule: "has(self.source) != has(self.fineTuneJobRef)",
    message: "an adapter needs either source or fineTuneJobRef",
    check: (self) => (self.source === undefined) !== (self.fineTuneJobRef === undefined),
  },
);

const qualifiedName = z
  .string()
  .min(1)
  .max(317)
  .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/);

const argument = z.string().max(4096);

export const podTemplate = podOptions
  .omit({ image: true })
  .extend({
    labels: z.record(z.string().max(317), z.string().max(63)).meta({ maxProperties: 32 }).optional(),
    annotations: z.record(z.string().max(317), z.string().max(4096)).meta({ maxProperties: 32 }).optional(),
    env: z
      .array(
        z.strictObject({
          name: z
            .string()
            .min(1)
            .max(256)
            .regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
          value: argument,
        }),
      )
      .max(64)
      .optional()
      .meta(mapKeys("name"))
      .describe("Of the server. No secrets: what is here is in git."),
  })
  .describe(
    "What the pods need besides what the runtime needs. Resources are the server's; GPUs are added from gpu.",
  );
export type PodTemplate = z.infer<typeof podTemplate>;

export const rollout = z.strictObject({
  strategy: z
    .enum(["BlueGreen", "Recreate"])
    .default("BlueGreen")
    .describe(
      "BlueGreen: the new revision comes up beside the old. Recreate: the old stops first, where there is no room for two.",
    ),
  gates: z
    .array(z.strictObject({ suiteRef: localRef.describe("An EvalSuite with this deployment as a target.") }))
    .max(16)
    .default([])
    .describe("EvalSuites that must pass on the new revision before it gets traffic."),
});
export type Rollout = z.infer<typeof rollout>;

export const inCluster = withRules(
  z.strictObject({
    runtime: z.enum(RUNTIMES).describe("The server program."),
    image: z
      .string()
      .min(1)
      .max(512)
      .regex(/^[a-z0-9][A-Za-z0-9._:/@-]*$/)
      .optional()
      .describe("The server's image; the runtime's own unless given. runtime: Custom needs it."),
    modelName: z
      .string()
      .min(1)
      .max(128)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
      .optional()
      .describe("The model's name for clients; the object's name unless given."),
    model: modelSource.optional().describe("The weights. Only runtime: Custom may do without."),
    adapters: z
      .array(adapter)
      .max(32)
      .default([])
      .meta(mapKeys("name"))
      .describe("LoRA adapters on the model."),
    command: z
      .array(argument)
      .max(64)
      .optional()
      .describe("In place of the image's entrypoint; Custom only."),
    args: z
      .array(argument)
      .max(128)
      .default([])
      .describe("Further arguments of the runtime, after Slipway's own."),
    port: z.int().min(1).max(65_535).optional().describe("Where a Custom server listens; 8000 unless given."),
    healthPath: z
      .string()
      .min(1)
      .max(256)
      .regex(/^\/[\w./-]*$/)
      .optional()
      .describe("What a Custom server answers with 200 once it can serve; /health unless given."),
    gpu: z
      .strictObject({
        count: z.int().min(1).max(64).describe("GPUs of one replica; the model is split over them."),
        resource: qualifiedName.default("nvidia.com/gpu").describe("How the device plugin names them."),
      })
      .optional(),
    // The default is the API server's alone: what the loader filled in would be applied, and taken back from whoever
    // scales. It must be there for the scale subresource to have a value.
    replicas: z
      .int()
      .min(0)
      .max(1000)
      .optional()
      .meta({ default: DEFAULT_REPLICAS })
      .describe("Leave it out where a HorizontalPodAutoscaler scales; it uses the scale subresource."),
    startupTimeout: durationBetween("10s", "6h")
      .default("30m")
      .describe(
        "How long a pod may take from its start to serving: fetching and loading of large models takes hours.",
      ),
    drainTimeout: durationBetween("1s", "1h")
      .default("60s")
      .describe("How long requests that a pod has begun may take to end, when it stops."),
    cache: z
      .strictObject({
        size: quantity.describe("Of the PersistentVolumeClaim."),
        storageClassName: objectName.optional(),
        accessMode: z
          .enum(["ReadWriteOnce", "ReadWriteMany"])
          .default("ReadWriteOnce")
          .describe("Replicas on several nodes share it only with ReadWriteMany."),
      })
      .optional()
      .describe(
        "Keeps fetched models on a claim, over pods and revisions; without it each pod fetches anew.",
      ),
    podTemplate: podTemplate.optional(),
    rollout: rollout.optional(),
    pricing: pricing.optional(),
    timeout: durationBetween("100ms", "1h")
      .default("60s")
      .describe("Longest wait for one answer in evaluations."),
    maxConcurrency: z.int().min(1).max(1000).default(8).describe("Most calls in flight from evaluations."),
  }),
  {
    rule: "self.runtime == 'Custom' || has(self.model)",
    message: "every runtime but Custom needs the section model",
    check: (self) => self.runtime === "Custom" || self.model !== undefined,
  },
  {
    rule: "self.runtime != 'LlamaCpp' || !has(self.model) || !has(self.model.source) || has(self.model.file)",
    message: "runtime: LlamaCpp needs model.file, a GGUF file",
    check: ({ runtime, model }) =>
      runtime !== "LlamaCpp" || model?.source === undefined || model.file !== undefined,
  },
  {
    rule: "self.runtime != 'LlamaCpp' || !((has(self.model) && has(self.model.fineTuneJobRef)) || self.adapters.exists(each, has(each.fineTuneJobRef)))",
    message:
      "runtime: LlamaCpp serves GGUF files, and a FineTuneJob makes safetensors: use another runtime, or convert what it made and name that in source and file",
    check: ({ runtime, model, adapters }) =>
      runtime !== "LlamaCpp" || [model, ...adapters].every((each) => each?.fineTuneJobRef === undefined),
  },
  {
    rule: "self.runtime != 'Custom' || has(self.image)",
    message: "runtime: Custom needs an image",
    check: (self) => self.runtime !== "Custom" || self.image !== undefined,
  },
  {
    rule: "self.runtime == 'Custom' || (!has(self.command) && !has(self.port) && !has(self.healthPath))",
    message: "command, port and healthPath are for runtime: Custom; the others know their own",
    check: (self) =>
      self.runtime === "Custom" ||
      (self.command === undefined && self.port === undefined && self.healthPath === undefined),
  },
  {
    rule: `!(self.runtime in ${JSON.stringify(SINGLE).replaceAll('"', "'")}) || self.adapters.size() <= 1`,
    message:
      "LlamaCpp, Ollama and Transformers serve one model: at most one adapter, which is merged into it",
    check: (self) => !SINGLE.includes(self.runtime) || self.adapters.length <= 1,
  },
);
export type InCluster = z.infer<typeof inCluster>;
