import { rm } from "node:fs/promises";
import { type ArtifactManifest, artifactManifest } from "../../../schemas/artifact.ts";
import type { Dataset, DatasetStatus } from "../../../schemas/dataset.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import type { SourceData } from "../../data/prepare.ts";
import type { PrepareSummary } from "../../data/publish.ts";
import { prepareInThread } from "../../data/run.ts";
import { SlipwayError } from "../../errors.ts";
import { canonicalJson, type Json } from "../../graph/canonical.ts";
import { Job, type KubeObject, Pod } from "../../kube/resources.ts";
import type { EffectContext, Kind, View } from "../../runtime/kind.ts";
import type { BlobStore, ReportStore } from "../../store/store.ts";
import { admit, type EffectDependencies, verify } from "../fine-tune-job/effects.ts";
import { ofRepositories, type RepositoryFile } from "../repository-files.ts";
import { sharedDependency, sharedKey } from "../shared-with.ts";
import { readCases } from "../suite-cases.ts";
import { tenantOf } from "../tenant.ts";
import { DATASET, EVAL_SUITE } from "../types.ts";
import { cycleOf } from "./cycle.ts";
import {
  decide,
  type ObservedDataset,
  type PrepareInput,
  type PrepareOutput,
  referencesOf,
} from "./decide.ts";
import type { ObservedWork } from "./decide-job.ts";
import { fetchEffect } from "./fetch.ts";
import { fetchDigest, roundOf } from "./resolution.ts";
import { stageEffect } from "./staging.ts";

/** Where pods reach this controller, and how much it prepares by itself. */
export interface DatasetWork {
  readonly workUrl: string | undefined;
  /** Bytes of the sources above which a pod prepares them. */
  readonly above: number;
}

function workOf(
  { metadata }: KubeObject,
  view: View,
  effect: ObservedWork["effect"],
): Omit<ObservedWork, "url" | "above"> {
  const { namespace = "", name } = metadata;
  return {
    effect,
    report: (input) => view.report({ kind: "Dataset", namespace, name }, input),
    child: (child) => {
      const job = view.get<KubeObject>(Job, namespace, child);
      return { job, pods: job?.metadata.uid ? view.children(Pod, job.metadata.uid) : [] };
    },
  };
}

function observe(object: KubeObject, view: View, { workUrl, above }: DatasetWork): ObservedDataset {
  const dataset = object as unknown as Dataset;
  const { namespace = "", name } = object.metadata;
  const names = referencesOf(dataset.spec);
  const get = <T>(type: typeof DATASET, list: readonly string[]) =>
    new Map(
      list.flatMap((each) => {
        const found = view.get<KubeObject>(type, namespace, each);
        return found ? [[each, found as unknown as T] as const] : [];
      }),
    );
  const datasets = new Map(
    names.datasets.flatMap((ref) => {
      const found = view.get<KubeObject>(DATASET, ref.namespace ?? namespace, ref.name);
      return found ? [[sharedKey(ref), found as unknown as Dataset] as const] : [];
    }),
  );
  const suites = get<EvalSuite>(EVAL_SUITE, names.suites);
  const effect = (effectName: string, digest: string) =>
    view.effect({ kind: "Dataset", namespace, name }, effectName, digest);
  const round = roundOf(dataset);
  return {
    dataset,
    datasets,
    cycle: cycleOf(
      dataset,
      (at, of) => view.get<KubeObject>(DATASET, at, of) as unknown as Dataset | undefined,
    ),
    suites,
    serviceAccountName: tenantOf(object, view),
    fetch: {
      current: effect("fetch", fetchDigest(dataset, round)),
      next: effect("fetch", fetchDigest(dataset, round + 1)),
    },
    preparation: (digest) => effect("prepare", digest),
    work: workUrl === undefined ? undefined : { url: workUrl, above, ...workOf(object, view, effect) },
  };
}

/**
 * Prepares what the sources name by digest beside the main thread, on the blob store's disk, and publishes it whole or
 * not at all.
 */
export function prepareEffect(
  blobs: BlobStore,
): (value: Json, context: Pick<EffectContext, "signal" | "progress">) => Promise<Json> {
  return async (value, { signal, progress }) => {
    const input = value as unknown as PrepareInput;
    const { name, spec, suites, fetched } = input;
    const sources = await sourcesOf(input, blobs);
    const cases = new Map<string, string[]>();
    for (const [suite, section] of Object.entries(suites)) cases.set(suite, await caseTexts(section, blobs));
    const folder = await blobs.scratch();
    try {
      const answer = await prepareInThread(
        { name, spec, sources, cases, resolved: fetched, folder },
        signal,
        (percent) => progress({ phase: "Preparing", percent }),
      );
      const { summary } = answer;
      const shown = outputOf(summary);
      if ("fault" in answer) return { ...shown, fault: answer.fault } as unknown as Json;
      const { manifest, files, bytes } = answer.artifact;
      for (const { file, digest } of files) await blobs.adopt(file, digest);
      // Last: whoever can read the manifest can read everything that it lists.
      const digest = await blobs.put(canonicalJson(manifest));
      const rows = summary.splits.reduce((sum, split) => sum + split.rows, 0);
      return { ...shown, artifact: { digest, rows, bytes } } satisfies PrepareOutput as unknown as Json;
    } catch (error) {
      if (error instanceof SlipwayError && error.code === "DigestMismatch")
        await checkSources(sources, blobs);
      throw error;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

/**
 * Threads read the store's own files. One that is damaged is set aside, so that it is stored again and not found anew.
 * @throws SlipwayError BlobCorrupt naming the first
 */
async function checkSources(sources: readonly SourceData[], blobs: BlobStore): Promise<void> {
  for (const file of sources.flatMap(({ files }) => files))
    if ("file" in file && file.digest !== undefined) await blobs.check(file.digest);
}

function outputOf({
  read,
  steps,
  splits,
  piiRows,
  words,
}: PrepareSummary): Omit<PrepareOutput, "artifact" | "fault"> {
  return { read, steps, splits, piiRows, words };
}

async function sourcesOf(
  { spec, artifacts, fetched = [] }: PrepareInput,
  blobs: BlobStore,
): Promise<SourceData[]> {
  const sources: SourceData[] = [];
  for (const { name, files = [], url, datasetRef, split } of spec.sources) {
    const list = datasetRef
      ? [await splitOf(artifacts[sharedKey(datasetRef)] ?? "", datasetRef.name, split, blobs)]
      : url === undefined
        ? files
        : (fetched.find((each) => each.name === name)?.files ?? []);
    const located = list.map(async ({ path, digest = "" }) => ({
      path,
      file: await blobs.locate(digest),
      digest,
    }));
    sources.push({ name, files: await Promise.all(located) });
  }
  return sources;
}

async function splitOf(digest: string, dataset: string, split: string, blobs: BlobStore) {
  const manifest: ArtifactManifest = artifactManifest.parse(
    JSON.parse(new TextDecoder().decode(await blobs.get(digest))),
  );
  const path = `${split}.jsonl`;
  const file = manifest.files.find((each) => each.path === path);
  if (!file) {
    const splits = manifest.files.flatMap((each) =>
      each.path.endsWith(".jsonl") ? [each.path.slice(0, -6)] : [],
    );
    throw new SlipwayError("SplitNotFound", `Dataset ${dataset} has no split ${split}`, {
      hint: `it has ${splits.join(", ")}`,
    });
  }
  return { path: `${dataset}/${path}`, digest: file.digest };
}

/** What the spec and its suites name by digest: all that a person can write there. */
function filesIn(input: unknown): readonly RepositoryFile[] {
  const { spec, suites } = input as PrepareInput;
  return [...spec.sources, ...Object.values(suites)].flatMap(({ files = [] }) => files);
}

/** The words that a case gives to a prompt: they must not have been trained on. */
async function caseTexts(section: EvalSuite["spec"]["cases"], blobs: BlobStore): Promise<string[]> {
  const cases = await readCases(section, blobs);
  return cases.flatMap(({ vars }) => Object.values(vars ?? {}).filter((value) => typeof value === "string"));
}

export interface DatasetDependencies extends EffectDependencies, DatasetWork {
  readonly blobs: BlobStore;
  readonly reports: Pick<ReportStore, "hasUpload" | "hasUploadIn" | "addUpload">;
}

export function dataset(dependencies: DatasetDependencies): Kind<ObservedDataset, DatasetStatus> {
  const { blobs, reports } = dependencies;
  return {
    type: DATASET,
    childTypes: [Job],
    watches: [Job, Pod],
    observe: (object, view) => observe(object, view, dependencies),
    decide,
    dependencies: (object) => {
      const { datasets, suites } = referencesOf((object as unknown as Dataset).spec);
      return [
        ...datasets.map((ref) => sharedDependency(DATASET, ref)),
        ...suites.map((name) => ({ type: EVAL_SUITE, name })),
      ];
    },
    effects: {
      fetch: fetchEffect(dependencies),
      prepare: ofRepositories(prepareEffect(blobs), filesIn, reports),
      stage: ofRepositories(stageEffect(blobs), filesIn, reports),
      admit: admit(dependencies),
      verify: verify(dependencies),
    },
  };
}
