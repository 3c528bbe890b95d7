import type { DatasetSpec, DatasetStatus } from "../../schemas/dataset.ts";
import type { EvalRunSpec, EvalRunStatus } from "../../schemas/eval-run.ts";
import type { EvalSuiteStatus } from "../../schemas/eval-suite.ts";
import type { FineTuneJobSpec, FineTuneJobStatus } from "../../schemas/fine-tune-job.ts";
import type { ModelDeploymentSpec, ModelDeploymentStatus } from "../../schemas/model-deployment.ts";
import type { MonitorStatus } from "../../schemas/monitor.ts";
import type { PromptTemplateStatus } from "../../schemas/prompt-template.ts";
import type { RepositorySpec, RepositoryStatus } from "../../schemas/repository.ts";
import { conditionOf, type Listed, printable, short } from "./listed.ts";

/** Something of the chain that is no object of Slipway's: a commit, a file, a base model, a ConfigMap. */
export interface Outside {
  readonly kind: string;
  readonly name: string;
  readonly facts: readonly string[];
  /** It is the artifact of this digest, and no outside thing where an object here has published that. */
  readonly artifact?: string;
}

export interface Facts {
  /** Short texts, most telling first. */
  readonly facts: readonly string[];
  /** What it reads. */
  readonly sources: readonly Outside[];
  /** What it leaves behind for others. */
  readonly products: readonly Outside[];
}

type Reader<Spec, Status> = (spec: Spec, status: Partial<Status>, object: Listed) => Partial<Facts>;

const list = (...facts: (string | false | undefined)[]): string[] =>
  facts.filter((fact): fact is string => typeof fact === "string" && fact !== "").map(printable);

/** Without the query, in which presigned addresses carry a key. */
const address = (url: string): string => url.replace(/[?#].*$/s, "");

const repository: Reader<RepositorySpec, RepositoryStatus> = (spec, status) => {
  const { lastAppliedRevision: applied, lastAttemptedRevision: attempted } = status;
  return {
    facts: list(
      spec.path !== "" && `path ${spec.path}`,
      attempted !== undefined && attempted !== applied && `trying ${short(attempted)}`,
    ),
    sources:
      applied === undefined
        ? []
        : [{ kind: "Commit", name: short(applied), facts: list(address(spec.url), `branch ${spec.branch}`) }],
  };
};

const dataset: Reader<DatasetSpec, DatasetStatus> = (spec, { artifact, revision, resolution }) => ({
  facts: artifact
    ? list(
        `${artifact.rows} rows`,
        short(artifact.digest),
        artifact.revision !== revision && `made from revision ${short(artifact.revision)}`,
      )
    : ["nothing published"],
  sources: spec.sources.flatMap(({ name, url, files = [] }) => [
    ...files.map(({ path, digest }) => ({
      kind: "File",
      name: path,
      facts: [digest === undefined ? "no digest" : short(digest)],
    })),
    ...(url === undefined
      ? []
      : [
          fetched(
            url,
            resolution?.sources.find((each) => each.name === name),
          ),
        ]),
  ]),
});

type Resolved = NonNullable<DatasetStatus["resolution"]>["sources"][number];

const fetched = (url: string, resolved: Resolved | undefined): Outside => ({
  kind: "Source",
  name: address(resolved?.resolved ?? url),
  facts: resolved ? list(counted(resolved.files, "file"), short(resolved.digest)) : ["not read yet"],
});

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

const fineTuneJob: Reader<FineTuneJobSpec, FineTuneJobStatus> = (
  { baseModel, method, adapter },
  { artifact, base, checkpoints = [], training, progress, mlflow, model },
) => ({
  facts: list(
    artifact ? `${artifact.type} ${short(artifact.digest)}` : model ? `model ${model}` : "nothing trained",
    `${method}${adapter ? ` with ${adapter.type}` : ""}`,
    ...checkpoints
      .filter(({ digest }) => digest === artifact?.digest)
      .map(
        ({ step, passRate }) =>
          `step ${step}, best of ${checkpoints.length} with ${Math.round(passRate * 100)} % passed`,
      ),
    artifact !== undefined &&
      training !== undefined &&
      artifact.revision !== training.revision &&
      `made from revision ${short(artifact.revision)}`,
    training?.state === "Running" && `${progress?.percent ?? 0} %`,
  ),
  sources: [
    {
      kind: "BaseModel",
      // What was read, once something was trained from it.
      name: artifact && base ? base.resolved : baseModel.source,
      facts: list(baseModel.file),
      ...madeFrom(baseModel.source),
    },
  ],
  products: mlflow
    ? [
        {
          kind: "MLflow",
          name: mlflow.model === undefined ? mlflow.runId : `${mlflow.model}/${mlflow.version ?? "?"}`,
          facts: list(mlflow.model !== undefined && `run ${mlflow.runId}`),
        },
      ]
    : [],
});

/** `artifact:sha256:…` is what an object has published. */
function madeFrom(source: string): { artifact?: string } {
  const [, artifact] = /^artifact:(sha256:[0-9a-f]{64})$/.exec(source) ?? [];
  return artifact === undefined ? {} : { artifact };
}

const promptTemplate: Reader<unknown, PromptTemplateStatus> = (_, { configMapName }) => ({
  products: configMapName === undefined ? [] : [{ kind: "ConfigMap", name: configMapName, facts: [] }],
});

const modelDeployment: Reader<ModelDeploymentSpec, ModelDeploymentStatus> = (
  { inCluster },
  { endpoint, replicas, rollout, resolved = [] },
) => ({
  facts: [
    ...(endpoint ? list(`model ${endpoint.model}`, `at ${address(endpoint.url)}`) : ["no endpoint"]),
    ...(inCluster
      ? list(
          inCluster.runtime,
          replicas && `${replicas.ready} of ${replicas.desired} pods ready`,
          rollout && `${rollout.phase} of ${short(rollout.revision)}: ${rollout.reason}`,
        )
      : []),
  ],
  sources: [{ name: "model", ...inCluster?.model }, ...(inCluster?.adapters ?? [])].flatMap(
    ({ name, source, file }) =>
      source === undefined
        ? []
        : [
            {
              kind: name === "model" ? "Model" : "Adapter",
              name: resolved.find((each) => each.name === name)?.resolved ?? source,
              facts: list(file),
              ...madeFrom(source),
            },
          ],
  ),
});

const evalSuite: Reader<unknown, EvalSuiteStatus> = (_, { cases, score }, object) => {
  const passing = conditionOf(object, "Passing");
  return {
    facts: list(
      passing ? passing.reason : "no verdict",
      score !== undefined && `score ${score}`,
      cases !== undefined && counted(cases, "case"),
    ),
  };
};

const evalRun: Reader<EvalRunSpec, EvalRunStatus> = ({ trigger, pullRequest }, status) => ({
  facts: list(
    status.verdict ?? `no verdict, ${status.progress ?? "not started"}`,
    status.score !== undefined && `score ${status.score}`,
    pullRequest === undefined ? `trigger ${trigger}` : `pull request ${pullRequest}`,
  ),
});

const monitor: Reader<unknown, MonitorStatus> = (_, { state, summary, signals = [] }) => ({
  facts: list(
    state ?? "no reading",
    summary !== undefined && `${summary} signals OK`,
    ...signals
      .filter((signal) => signal.state !== "OK")
      .map(({ name, state: of, value }) => `${name} ${of}${value === undefined ? "" : ` at ${value}`}`),
  ),
});

/** By kind. A kind that is not here has no facts, and its edges all the same. */
const READERS: Readonly<Record<string, Reader<never, object>>> = {
  Repository: repository,
  Dataset: dataset,
  FineTuneJob: fineTuneJob,
  PromptTemplate: promptTemplate,
  ModelDeployment: modelDeployment,
  EvalSuite: evalSuite,
  EvalRun: evalRun,
  Monitor: monitor,
};

/** What an object says of its place in the chain. Its spec and status must have passed their schemas. */
export function factsOf(object: Listed, spec: unknown, status: unknown): Facts {
  const read = READERS[object.kind]?.(spec as never, status as object, object);
  return { facts: read?.facts ?? [], sources: read?.sources ?? [], products: read?.products ?? [] };
}
