import type { DatasetSpec } from "../../schemas/dataset.ts";
import type { EvalSuiteSpec } from "../../schemas/eval-suite.ts";
import type { FineTuneJobSpec } from "../../schemas/fine-tune-job.ts";
import type { ModelDeploymentSpec } from "../../schemas/model-deployment.ts";
import type { MonitorSpec } from "../../schemas/monitor.ts";
import type { PromptTemplateSpec } from "../../schemas/prompt-template.ts";
import type { Json } from "./canonical.ts";

/**
 * `content` is hashed into the revision and blocks readiness; `gate` and `observes` do neither.
 * Only content edges must be free of cycles.
 */
export type EdgeType = "content" | "gate" | "observes";

export interface Edge {
  readonly type: EdgeType;
  readonly kind: string;
  readonly name: string;
  /** Another namespace than the object's own; its owner decides, see `spec.shareWith`. */
  readonly namespace?: string;
  /** Where the reference stands, e.g. `spec.targets[0].promptRef.name`. */
  readonly field: string;
}

/** What makes objects of one kind behave as they do. */
export interface Behaviour<Spec> {
  /** Raised when the list below changes its meaning: every revision of the kind changes with it. */
  readonly version: number;
  /**
   * The behavioural fields with defaults left out, so that a new optional field changes no revision;
   * undefined while outside content is not resolved yet.
   */
  readonly fields: (spec: Spec) => Json | undefined;
  readonly edges: (spec: Spec) => Edge[];
}

/** Leaves out members that equal their default. */
function withoutDefaults<T extends Record<string, unknown>>(value: T, defaults: Partial<T>): Json {
  const kept = Object.entries(value).filter(
    ([key, member]) => member !== undefined && member !== defaults[key],
  );
  return Object.fromEntries(kept) as Json;
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
const nonEmpty = <T extends object>(value: T | undefined) =>
  value !== undefined && Object.keys(value).length > 0 ? (value as unknown as Json) : undefined;

const promptTemplate: Behaviour<PromptTemplateSpec> = {
  version: 1,
  fields: (spec) => ({
    messages: spec.messages.map(({ role, content }) => ({ role, content })),
    variables: nonEmpty(
      spec.variables
        .map(({ name, type, default: value }) =>
          withoutDefaults({ name, type, default: value as Json }, { type: "string" }),
        )
        .sort((a, b) => byName(a as { name: string }, b as { name: string })),
    ),
    parameters: nonEmpty(spec.parameters),
    outputSchema: spec.outputSchema as Json | undefined,
  }),
  edges: () => [],
};

const modelDeployment: Behaviour<ModelDeploymentSpec> = {
  version: 1,
  fields: (spec) => ({
    type: spec.type,
    baseURL: spec.external?.baseURL.replace(/\/+$/, ""),
    model: spec.external?.model,
    inCluster: spec.inCluster && inClusterFields(spec.inCluster),
  }),
  edges: ({ inCluster }) => [
    ...trained(inCluster?.model?.fineTuneJobRef, "spec.inCluster.model.fineTuneJobRef.name"),
    ...(inCluster?.adapters ?? []).flatMap(({ fineTuneJobRef }, i) =>
      trained(fineTuneJobRef, `spec.inCluster.adapters[${i}].fineTuneJobRef.name`),
    ),
    ...(inCluster?.rollout?.gates ?? []).map(
      ({ suiteRef }, i): Edge => ({
        type: "gate",
        kind: "EvalSuite",
        name: suiteRef.name,
        field: `spec.inCluster.rollout.gates[${i}].suiteRef.name`,
      }),
    ),
  ],
};

/** What decides the answers; not how many pods there are, where they run and how a change reaches them. */
function inClusterFields({
  runtime,
  image,
  modelName,
  model,
  adapters,
  command,
  args,
  podTemplate,
}: NonNullable<ModelDeploymentSpec["inCluster"]>): Json {
  return {
    runtime,
    image,
    modelName,
    model: nonEmpty({ source: model?.source, file: model?.file }),
    adapters: nonEmpty(adapters.map(({ name, source, file }) => ({ name, source, file }))),
    command,
    args: nonEmpty(args),
    env: nonEmpty(podTemplate?.env?.map(({ name, value }) => ({ name, value })).sort(byName)),
  } as Json;
}

function trained(ref: { readonly name: string } | undefined, field: string): Edge[] {
  return ref ? [{ type: "content", kind: "FineTuneJob", name: ref.name, field }] : [];
}

const assertions = (list: EvalSuiteSpec["assert"] | undefined): Json | undefined =>
  list && list.length > 0
    ? list.map(({ type, value, threshold, weight, metric }) =>
        withoutDefaults({ type, value, threshold, weight, metric }, { weight: 1 }),
      )
    : undefined;

const evalSuite: Behaviour<EvalSuiteSpec> = {
  version: 1,
  fields: (spec) => {
    const files = (spec.cases.files ?? []).map(({ path, digest }) => ({
      format: path.slice(path.lastIndexOf(".") + 1).toLowerCase(),
      digest,
    }));
    if (files.some((file) => file.digest === undefined)) return undefined;
    return {
      inline: nonEmpty(
        (spec.cases.inline ?? []).map(({ id, vars, expected, assert, critical, cluster }) => ({
          id,
          vars: nonEmpty(vars),
          expected: expected as Json | undefined,
          assert: assertions(assert),
          critical: critical === true ? true : undefined,
          cluster,
        })),
      ),
      files: nonEmpty(files),
      assert: assertions(spec.assert),
      repeats: spec.repeats === 1 ? undefined : spec.repeats,
    };
  },
  edges: (spec) => [
    ...spec.targets.flatMap((target, i): Edge[] => [
      {
        type: "observes",
        kind: "PromptTemplate",
        name: target.promptRef.name,
        field: `spec.targets[${i}].promptRef.name`,
      },
      {
        type: "observes",
        kind: "ModelDeployment",
        name: target.modelRef.name,
        field: `spec.targets[${i}].modelRef.name`,
      },
    ]),
    ...(spec.judge
      ? [
          {
            type: "content",
            kind: "ModelDeployment",
            name: spec.judge.modelRef.name,
            field: "spec.judge.modelRef.name",
          } satisfies Edge,
        ]
      : []),
  ],
};

const dataset: Behaviour<DatasetSpec> = {
  version: 1,
  fields: (spec) => {
    const files = spec.sources.flatMap((source) => source.files ?? []);
    if (files.some(({ digest }) => digest === undefined)) return undefined;
    const { format, sources, schema, onBadRow, steps, splits, splitSeed, gates } = spec;
    return {
      format,
      sources: sources.map(({ name, files: list, url, digest, endpoint, datasetRef, split, weight }) =>
        withoutDefaults(
          {
            name,
            files: list?.map((file) => ({ path: file.path, digest: file.digest })),
            url,
            digest,
            endpoint,
            // The name of a Dataset is replaced by its revision, below.
            split: datasetRef && split !== "train" ? split : undefined,
            weight,
          },
          { weight: 1 },
        ),
      ),
      schema: schema as Json | undefined,
      steps: nonEmpty(steps),
      gates: nonEmpty(gates),
      ...(withoutDefaults({ onBadRow, splitSeed }, { onBadRow: "Fail", splitSeed: 1 }) as object),
      splits:
        splits.length === 1 && splits[0]?.name === "train"
          ? undefined
          : splits.map(({ name, percent }) => ({ name, percent })),
    } as unknown as Json;
  },
  edges: (spec) => [
    ...spec.sources.flatMap(({ datasetRef }, i): Edge[] =>
      datasetRef
        ? [
            {
              type: "content",
              kind: "Dataset",
              name: datasetRef.name,
              ...(datasetRef.namespace === undefined ? {} : { namespace: datasetRef.namespace }),
              field: `spec.sources[${i}].datasetRef.name`,
            },
          ]
        : [],
    ),
    // Not hashed: the cases count, not the suite, and the artifact's digest shows what they took away.
    ...spec.steps.flatMap(({ decontaminate }, i): Edge[] =>
      (decontaminate?.against ?? []).map(({ name }, j) => ({
        type: "gate",
        kind: "EvalSuite",
        name,
        field: `spec.steps[${i}].decontaminate.against[${j}].name`,
      })),
    ),
  ],
};

/** What changes neither the weights nor what they are made from is not here: where it runs, retries, the registry. */
const fineTuneJob: Behaviour<FineTuneJobSpec> = {
  version: 1,
  fields: ({
    baseModel,
    split,
    validationSplit,
    method,
    adapter,
    framework,
    backend,
    hyperparameters,
    openai,
  }) =>
    ({
      openai: openai && { baseURL: openai.baseURL, learningRateMultiplier: openai.learningRateMultiplier },
      baseModel: { source: baseModel.source, file: baseModel.file },
      adapter: adapter && withoutDefaults(adapter, { type: "lora", r: 8, alpha: 16, dropout: 0 }),
      hyperparameters: nonEmpty(hyperparameters),
      ...(withoutDefaults(
        { split, validationSplit, method, framework, backend },
        { split: "train", method: "sft", framework: "torch", backend: "kubernetes" },
      ) as object),
    }) as unknown as Json,
  edges: ({ datasetRef, selection }) => [
    {
      type: "content",
      kind: "Dataset",
      name: datasetRef.name,
      ...(datasetRef.namespace === undefined ? {} : { namespace: datasetRef.namespace }),
      field: "spec.datasetRef.name",
    },
    // They decide which weights come out.
    ...(selection
      ? ([
          {
            type: "content",
            kind: "EvalSuite",
            name: selection.suiteRef.name,
            field: "spec.selection.suiteRef.name",
          },
          {
            type: "content",
            kind: "PromptTemplate",
            name: selection.promptRef.name,
            field: "spec.selection.promptRef.name",
          },
        ] satisfies Edge[])
      : []),
  ],
};

const monitor: Behaviour<MonitorSpec> = {
  version: 1,
  fields: (spec) => ({
    probe: nonEmpty(spec.probe),
    prometheus: nonEmpty(
      spec.prometheus && {
        runtime: spec.prometheus.runtime,
        matchLabels: nonEmpty(spec.prometheus.matchLabels),
      },
    ),
    signals: spec.signals.map((signal) =>
      withoutDefaults({ ...signal } as Record<string, unknown>, { for: "0s", noData: "NoData" }),
    ),
  }),
  edges: (spec) => [
    {
      type: "observes",
      kind: "ModelDeployment",
      name: spec.targetRef.name,
      field: "spec.targetRef.name",
    },
    ...spec.signals.flatMap(({ replay }, i): Edge[] =>
      replay
        ? [
            {
              type: "observes",
              kind: "EvalSuite",
              name: replay.suiteRef.name,
              field: `spec.signals[${i}].replay.suiteRef.name`,
            },
          ]
        : [],
    ),
  ],
};

/** By kind. A kind enters with its reconciler. */
export const BEHAVIOURS: Readonly<Record<string, Behaviour<never>>> = {
  Dataset: dataset,
  FineTuneJob: fineTuneJob,
  PromptTemplate: promptTemplate,
  ModelDeployment: modelDeployment,
  EvalSuite: evalSuite,
  Monitor: monitor,
};
