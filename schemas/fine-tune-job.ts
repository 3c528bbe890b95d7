import * as z from "zod";
import {
  commitId,
  decimal,
  digest,
  durationBetween,
  labelName,
  localRef,
  objectName,
  secretKeyRef,
  sharedRef,
  statusBase,
  withRules,
} from "./common.ts";
import { hostedTraining, hyperparameters, loraAdapter, mlflow } from "./fine-tune-training.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";
import { podOptions, quantity } from "./pod.ts";

const baseModel = z.strictObject({
  source: z
    .string()
    .min(1)
    .max(512)
    .regex(
      /^(hf:\/\/[A-Za-z0-9][A-Za-z0-9_.-]*\/[A-Za-z0-9_.-]+(@[A-Za-z0-9_./-]+)?|artifact:sha256:[0-9a-f]{64}|pvc:\/\/[a-z0-9]([-a-z0-9.]*[a-z0-9])?(\/[A-Za-z0-9_][A-Za-z0-9_.@+-]*)*|[A-Za-z0-9][A-Za-z0-9_.:-]*)$/,
    )
    .describe(
      "hf://org/name@revision (a hub; pin a commit), artifact:sha256:… (made by another FineTuneJob) or pvc://claim/folder. backend: openai: the provider's name of a model.",
    ),
  file: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$/)
    .optional()
    .describe("The GGUF file in it, whose weights are dequantized first; absent for safetensors."),
  endpoint: z
    .string()
    .min(8)
    .max(2048)
    .regex(/^https?:\/\/[^\p{Z}\p{Cc}@?#]+$/u)
    .default("https://huggingface.co")
    .describe("The hub of hf://, or a mirror of it, as the pod reaches it."),
  secretRef: secretKeyRef
    .optional()
    .describe(
      "Token for the hub. The Secret's annotation slipway.dev/allowed-hosts must name the endpoint's host.",
    ),
});

const runPolicy = z.strictObject({
  onChange: z
    .enum(["Manual", "Auto"])
    .default("Manual")
    .describe(
      "What a change of the spec or the rows does once a training has started. Manual: nothing, until the annotation slipway.dev/requestedAt asks. Auto: it cancels that training and starts another.",
    ),
  retries: z.int().min(0).max(10).default(3).describe("Pods that may fail before the training has failed."),
  timeout: durationBetween("1m", "500h")
    .default("24h")
    .describe("Longest time for a training with its retries."),
  queueName: objectName.optional().describe("Kueue's LocalQueue: the training waits until it is admitted."),
});

const workVolume = z
  .strictObject({
    size: quantity,
    storageClassName: objectName.optional(),
  })
  .describe(
    "A volume for scratch and checkpoints that outlives a pod; absent: the node's disk, and a checkpoint is fetched again.",
  );

const selection = z
  .strictObject({
    suiteRef: localRef.describe(
      "EvalSuite whose cases each checkpoint answers, and whose graders decide; without a judge, latency and cost.",
    ),
    promptRef: localRef.describe("PromptTemplate that makes a case's messages."),
  })
  .describe(
    "Chooses the checkpoint that passes most cases. Take a suite of its own: what has chosen a model cannot say how good it is.",
  );

const HOSTED_HYPERPARAMETERS = ["epochs", "batchSize", "seed", "beta"];

export const fineTuneJobSpec = withRules(
  z.strictObject({
    description: z.string().max(1024).optional(),
    baseModel,
    datasetRef: sharedRef.describe("The rows: a Dataset, once it is Ready."),
    split: labelName.default("train").describe("Split of the Dataset to learn."),
    validationSplit: labelName.optional().describe("Split to measure the loss on at the end."),
    method: z
      .enum(["sft", "dpo"])
      .default("sft")
      .describe(
        "sft: supervised; only answers are learned. dpo: direct preference optimization, rows with chosen and rejected.",
      ),
    adapter: loraAdapter.optional().describe("Absent: the whole model is trained."),
    framework: z.enum(["torch", "tensorflow"]).default("torch"),
    backend: z
      .enum(["kubernetes", "openai"])
      .default("kubernetes")
      .describe(
        "kubernetes: a Job in this namespace. openai: a job of a provider with OpenAI's fine-tuning API.",
      ),
    openai: hostedTraining.optional(),
    hyperparameters: hyperparameters.default({}),
    selection: selection.optional(),
    mlflow: mlflow.optional(),
    runPolicy: runPolicy.default({ onChange: "Manual", retries: 3, timeout: "24h" }),
    pod: podOptions.optional(),
    workVolume: workVolume.optional(),
    suspend: z
      .boolean()
      .optional()
      .describe("True cancels the training; it keeps its last checkpoint, from which false goes on."),
  }),
  {
    rule: "self.backend == oldSelf.backend",
    message: "backend cannot be changed: make another FineTuneJob",
  },
  {
    rule: "(self.backend == 'kubernetes') == self.baseModel.source.matches('^(hf://|artifact:sha256:|pvc://)')",
    message:
      "backend: kubernetes needs a baseModel.source that begins with hf://, artifact:sha256: or pvc://, backend: openai the provider's name of a model",
    check: ({ backend, baseModel: { source } }) =>
      (backend === "kubernetes") === /^(hf:\/\/|artifact:sha256:|pvc:\/\/)/.test(source),
  },
  {
    rule: "(self.backend == 'openai') == has(self.openai)",
    message: "backend: openai needs the section openai, and no other backend has it",
    check: ({ backend, openai }) => (backend === "openai") === (openai !== undefined),
  },
  {
    rule: "self.backend != 'openai' || !(has(self.adapter) || has(self.mlflow) || has(self.pod) || has(self.workVolume) || has(self.baseModel.file) || has(self.baseModel.secretRef))",
    message:
      "backend: openai takes no adapter, mlflow, pod, workVolume, baseModel.file or baseModel.secretRef",
    check: ({
      backend,
      adapter,
      mlflow: registry,
      pod,
      workVolume: volume,
      baseModel: { file, secretRef },
    }) =>
      backend !== "openai" ||
      [adapter, registry, pod, volume, file, secretRef].every((each) => each === undefined),
  },
  {
    rule: "self.backend != 'openai' || !(has(self.hyperparameters.maxSteps) || has(self.hyperparameters.gradientAccumulation) || has(self.hyperparameters.learningRate) || has(self.hyperparameters.warmup) || has(self.hyperparameters.weightDecay) || has(self.hyperparameters.maxGradNorm) || has(self.hyperparameters.maxSequenceLength) || has(self.hyperparameters.saveSteps))",
    message:
      "backend: openai takes epochs, batchSize, seed and beta of hyperparameters, and openai.learningRateMultiplier",
    check: ({ backend, hyperparameters: given }) =>
      backend !== "openai" || Object.keys(given).every((name) => HOSTED_HYPERPARAMETERS.includes(name)),
  },
  {
    rule: "!has(self.selection) || (self.backend == 'kubernetes' && has(self.hyperparameters.saveSteps))",
    message: "selection needs backend: kubernetes and hyperparameters.saveSteps",
    check: ({ selection: chosen, backend, hyperparameters: { saveSteps } }) =>
      chosen === undefined || (backend === "kubernetes" && saveSteps !== undefined),
  },
  {
    rule: "self.framework != 'tensorflow' || (self.method == 'sft' && has(self.adapter) && !has(self.baseModel.file))",
    message:
      "framework: tensorflow trains method: sft with an adapter on safetensors; use framework: torch for the rest",
    check: ({ framework, method, adapter, baseModel: { file } }) =>
      framework !== "tensorflow" || (method === "sft" && adapter !== undefined && file === undefined),
  },
);
export type FineTuneJobSpec = z.infer<typeof fineTuneJobSpec>;

const count = z.int().min(0);
const digits = z
  .string()
  .length(64)
  .regex(/^[0-9a-f]{64}$/);

export const fineTuneJobStatus = z.strictObject({
  ...statusBase,
  training: z
    .strictObject({
      identity: digits.describe(
        "Digest of the revision and the rows: what is the same is not trained twice.",
      ),
      options: digits.describe("Digest of what does not change the result: resources, retries, registry."),
      attempt: z.int().min(1).describe("Counts trainings of this identity."),
      revision: digits,
      dataset: digest,
      commit: commitId.optional().describe("Where the Repository was when it was started."),
      startedAt: z.string().max(64).meta({ format: "date-time" }),
      state: z.enum(["Running", "Succeeded", "Failed"]),
      job: objectName.optional().describe("The Job."),
      pod: z.string().max(253).optional().describe("Its pod, the last if there were several."),
      failure: z.strictObject({ reason: z.string().max(128), message: z.string().max(4096) }).optional(),
      resumeFrom: digest.optional().describe("Checkpoint of an earlier attempt from which this one goes on."),
      selection: z
        .strictObject({
          questions: digest.describe("What the pod reads: each case's messages."),
          suite: digest.describe("The cases with their graders, which the pod does not see."),
          maxTokens: count.optional(),
          stop: z.array(z.string().max(256)).max(4).optional(),
        })
        .optional()
        .describe("The suite and the prompt as they were laid out for this training."),
    })
    .optional()
    .describe("The training that was started last."),
  progress: z
    .strictObject({
      phase: z.string().max(64),
      step: count,
      totalSteps: count,
      percent: z.int().min(0).max(100),
      etaSeconds: count.optional(),
      loss: z.number().optional(),
      lossHistory: z
        .array(z.strictObject({ step: count, loss: z.number() }))
        .max(50)
        .optional()
        .describe("Evenly spread over the steps."),
      checkpoint: z
        .strictObject({ step: count, digest })
        .optional()
        .describe("The last one that was stored."),
    })
    .optional(),
  artifact: z
    .strictObject({
      digest,
      type: z.enum(["adapter", "model"]),
      bytes: count,
      revision: digits.describe("Of the training that made it."),
      step: count.optional().describe("Of the checkpoint that the suite chose."),
      rank: z
        .int()
        .min(1)
        .max(1_048_576)
        .optional()
        .describe(
          "Of an adapter, as its adapter_config.json has it. Some servers must be told before they load it.",
        ),
    })
    .optional()
    .describe("What was trained last: the manifest's digest, which stands for every byte of it."),
  checkpoints: z
    .array(
      z.strictObject({
        step: count,
        digest: digest.describe("Of its artifact, which can be served too."),
        passRate: z.number().min(0).max(1).describe("Share of the suite's cases that pass."),
        score: z.number().describe("Mean of the cases' scores."),
        loss: z.number().optional(),
      }),
    )
    .max(20)
    .optional()
    .describe("What the suite of spec.selection was answered with: the best checkpoint and the latest ones."),
  base: z
    .strictObject({ source: z.string().max(512), resolved: z.string().max(4096) })
    .optional()
    .describe("The base model of the artifact, by commit or digest."),
  metrics: z
    .strictObject({
      firstLoss: z.number().optional(),
      lastLoss: z.number().optional(),
      evalLoss: z.number().optional(),
      trainRows: count.optional(),
      skippedRows: count.optional(),
      truncatedRows: count.optional(),
    })
    .optional(),
  model: z.string().max(512).optional().describe("backend: openai: the provider's name of what was trained."),
  hosted: z
    .strictObject({
      id: z.string().max(128).describe("The provider's job."),
      state: z.string().max(64),
      trainedTokens: count.optional(),
      cost: decimal.optional().describe("US dollars; absent while the price is not known."),
      paused: z.boolean().optional(),
    })
    .optional(),
  mlflow: z
    .strictObject({
      runId: z.string().max(128),
      model: z.string().max(256).optional(),
      version: z.string().max(32).optional(),
    })
    .optional()
    .describe("The run, and the registered version."),
});
export type FineTuneJobStatus = z.infer<typeof fineTuneJobStatus>;
export type FineTuneJob = CustomResource<FineTuneJobSpec, FineTuneJobStatus>;

export const fineTuneJobKind: KindDefinition = {
  kind: "FineTuneJob",
  plural: "finetunejobs",
  singular: "finetunejob",
  shortNames: ["ftj"],
  description: "A training of a model on the rows of a Dataset, and the artifact that it makes.",
  spec: fineTuneJobSpec,
  status: fineTuneJobStatus,
  columns: columns(
    { name: "Progress", type: "integer", jsonPath: ".status.progress.percent", description: "Percent." },
    { name: "Loss", type: "number", jsonPath: ".status.progress.loss" },
    { name: "Artifact", type: "string", jsonPath: ".status.artifact.digest", priority: 1 },
  ),
};
