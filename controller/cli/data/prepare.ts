import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { artifactManifest } from "../../../schemas/artifact.ts";
import type { Dataset } from "../../../schemas/dataset.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import { cacheRoot } from "../../dev/paths.ts";
import { createProgress, type Progress } from "../../dev/progress.ts";
import { describeError, SlipwayError } from "../../errors.ts";
import type { Snapshot } from "../../gitops/snapshot.ts";
import type { Json } from "../../graph/canonical.ts";
import { nodeKey } from "../../graph/graph.ts";
import { type PrepareOutput, prepareInput } from "../../kinds/dataset/decide.ts";
import { fetchSource } from "../../kinds/dataset/fetch.ts";
import { prepareEffect } from "../../kinds/dataset/index.ts";
import { outsideSources } from "../../kinds/dataset/resolution.ts";
import { openStateStore } from "../../store/open.ts";
import type { BlobStore } from "../../store/store.ts";
import { localAccess } from "./access.ts";
import { EXIT } from "./exit.ts";
import { printPrepared } from "./print.ts";
import { snapshotOf } from "./snapshot.ts";

/** The store is this user's alone: what is in it may be used. */
const LOCAL = { has: () => true, add: async () => {} };

/** What a Dataset's author has to mend: it ends with 1, everything else with 2. */
const FAULTS = new Set(["BadRows", "UnreadableData", "EmptySource", "SplitNotFound", "SchemaViolated"]);

export interface PrepareOptions {
  readonly file: string;
  readonly out?: string;
  readonly json?: string;
}

/** Prepares a Dataset of a folder and those that its rows come from. */
export async function prepareLocally(
  name: string,
  { file, out, json }: PrepareOptions,
  signal: AbortSignal,
): Promise<number> {
  const snapshot = await snapshotOf(file);
  const state = await openStateStore(join(cacheRoot(), "data"));
  const progress = createProgress();
  try {
    const output = await new Preparer(snapshot, state.blobs, progress, signal).prepare(name);
    progress.done();
    printPrepared(name, output);
    if (json !== undefined)
      await writeFile(json, `${JSON.stringify({ dataset: name, ...output }, null, 2)}\n`);
    if (output.fault) return EXIT.fault;
    if (out !== undefined && output.artifact) await writeArtifact(output.artifact.digest, out, state.blobs);
    return EXIT.good;
  } catch (error) {
    if (!(error instanceof SlipwayError) || !FAULTS.has(error.code)) throw error;
    progress.done();
    console.error(`${name}: ${error.code}: ${describeError(error)}`);
    return EXIT.fault;
  } finally {
    progress.done();
    await state.close();
  }
}

class Preparer {
  readonly #snapshot: Snapshot;
  readonly #blobs: BlobStore;
  readonly #progress: Progress;
  readonly #signal: AbortSignal;
  /** With the status that the controller would have written. */
  readonly #done = new Map<string, Dataset>();

  constructor(snapshot: Snapshot, blobs: BlobStore, progress: Progress, signal: AbortSignal) {
    this.#snapshot = snapshot;
    this.#blobs = blobs;
    this.#progress = progress;
    this.#signal = signal;
  }

  async prepare(name: string): Promise<PrepareOutput> {
    const dataset = this.#find(name);
    const { sources, steps } = dataset.spec;
    for (const { datasetRef } of sources) {
      if (datasetRef?.namespace !== undefined) {
        throw new SlipwayError(
          "OtherNamespace",
          `Dataset ${name} takes rows of another namespace's Dataset`,
          {
            hint: "only a cluster has them",
          },
        );
      }
      if (datasetRef) await this.#upstream(datasetRef.name);
    }
    for (const data of this.#snapshot.blobs.values()) await this.#blobs.put(data);
    const fetched = [];
    for (const source of outsideSources(dataset)) {
      this.#progress.report(`${name}: reading ${source.name}`);
      fetched.push(await fetchSource(source, localAccess(source), this.#blobs, LOCAL, this.#signal));
    }
    const suites = new Map<string, EvalSuite>();
    for (const { name: suite } of steps.flatMap(({ decontaminate }) => decontaminate?.against ?? [])) {
      const node = this.#snapshot.graph.nodes.get(nodeKey("EvalSuite", suite));
      if (node) suites.set(suite, node.object as unknown as EvalSuite);
    }
    const prepared = prepareInput(dataset, this.#done, suites, fetched.length > 0 ? fetched : undefined);
    if ("missing" in prepared) throw new SlipwayError(prepared.missing.reason, prepared.missing.message);
    this.#progress.report(`${name}: preparing`);
    const output = (await prepareEffect(this.#blobs)(prepared.input as unknown as Json, {
      signal: this.#signal,
      progress: (value) => this.#progress.report(`${name}: ${inWords(value)}`),
    })) as unknown as PrepareOutput;
    if (output.artifact) this.#done.set(name, published(dataset, output.artifact, prepared.revision));
    return output;
  }

  async #upstream(name: string): Promise<void> {
    if (this.#done.has(name)) return;
    const { fault } = await this.prepare(name);
    if (fault) throw new SlipwayError("GateFailed", `Dataset ${name}: ${fault.gate}: ${fault.message}`);
  }

  #find(name: string): Dataset {
    const node = this.#snapshot.graph.nodes.get(nodeKey("Dataset", name));
    if (node) return node.object as unknown as Dataset;
    const names = [...this.#snapshot.graph.nodes.values()].flatMap((each) =>
      each.kind === "Dataset" ? [each.name] : [],
    );
    throw new SlipwayError("DatasetNotFound", `there is no Dataset ${name} in the folder`, {
      hint: names.length > 0 ? `choose one of ${names.join(", ")}` : "no manifest of it is a Dataset",
    });
  }
}

function published(
  dataset: Dataset,
  artifact: NonNullable<PrepareOutput["artifact"]>,
  revision: string,
): Dataset {
  const ready = {
    type: "Ready",
    status: "True" as const,
    reason: "Prepared",
    message: "",
    lastTransitionTime: "",
  };
  return {
    ...dataset,
    metadata: { ...dataset.metadata, generation: 1 },
    status: { observedGeneration: 1, revision, artifact: { ...artifact, revision }, conditions: [ready] },
  };
}

/** The files of an artifact and its manifest, whose digest is the artifact's. */
async function writeArtifact(digest: string, folder: string, blobs: BlobStore): Promise<void> {
  const text = new TextDecoder().decode(await blobs.get(digest));
  const { files } = artifactManifest.parse(JSON.parse(text));
  await mkdir(folder, { recursive: true });
  for (const { path, digest: content } of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), (await blobs.open(content)).stream);
  }
  await writeFile(join(folder, "manifest.json"), text);
  console.log(`${files.length + 1} files in ${folder}`);
}

function inWords(value: Json): string {
  const { phase, percent } = value as { phase?: string; percent?: number };
  return phase === undefined ? JSON.stringify(value).slice(0, 200) : `${phase.toLowerCase()}, ${percent} %`;
}
