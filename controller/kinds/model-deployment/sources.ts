import { type InCluster, SINGLE } from "../../../schemas/model-deployment-in-cluster.ts";
import { digestOf, sha256 } from "../../graph/canonical.ts";
import type { SourceAccess } from "../../sources/types.ts";
import { RUNTIME } from "./runtimes/index.ts";
import type { PlacedAdapter, Serving } from "./runtimes/types.ts";
import { type Use, unservable } from "./servable.ts";

/** What counts of a FineTuneJob. */
export interface TrainedJob {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly backend?: string;
    readonly adapter?: { readonly r?: number } | undefined;
    readonly baseModel: {
      readonly source: string;
      readonly file?: string | undefined;
      readonly endpoint?: string | undefined;
      readonly secretRef?: { readonly name: string; readonly key: string } | undefined;
    };
  };
  readonly status?:
    | {
        readonly artifact?:
          | {
              readonly digest: string;
              readonly type: "adapter" | "model";
              readonly rank?: number | undefined;
            }
          | undefined;
        readonly base?: { readonly source: string; readonly resolved: string } | undefined;
      }
    | undefined;
}

/** One thing that has to lie in the pod before the server starts. */
export interface Source {
  /** `model`, or the adapter's name. */
  readonly name: string;
  /** hf://, s3://, pvc:// or artifact:sha256:… */
  readonly reference: string;
  readonly file?: string;
  /** Of the hub, where it is not Hugging Face's. */
  readonly endpoint?: string;
  /** Of S3. */
  readonly region?: string;
  readonly secret?: { readonly name: string; readonly tokenKey?: string };
  /** Of an adapter that a FineTuneJob made; nobody says that of others. */
  readonly rank?: number;
}

export interface WantedSources {
  readonly sources: readonly Source[];
  /** The first adapter is the model: a FineTuneJob trained it on the base that `model` is. */
  readonly adapted: boolean;
}

export interface Missing {
  readonly reason: string;
  readonly message: string;
  /** Only an edit helps. */
  readonly final?: boolean;
}

/** What the spec names, with FineTuneJobs replaced by what they made. */
export function wantedSources(
  spec: InCluster,
  name: string,
  jobs: ReadonlyMap<string, TrainedJob>,
): WantedSources | { readonly missing: Missing } {
  const sources: Source[] = [];
  let adapted = false;
  const { model } = spec;
  if (model?.fineTuneJobRef) {
    const made = madeBy(model.fineTuneJobRef.name, jobs, spec, "model");
    if ("missing" in made) return made;
    if (made.type === "model") sources.push({ name: "model", ...made.content });
    else {
      adapted = true;
      const base = baseOf(made.job);
      if ("missing" in base) return base;
      sources.push(base, { name: adapterName(name), ...made.content });
    }
  } else if (model?.source !== undefined) {
    sources.push(source("model", model.source, model));
  }
  for (const adapter of spec.adapters) {
    if (adapter.name === "model") {
      const message = "no adapter may be called model, which is what the model itself is called: rename it";
      return { missing: { reason: "InvalidSpec", message, final: true } };
    }
    if (!adapter.fineTuneJobRef) {
      sources.push(source(adapter.name, adapter.source ?? "", adapter));
      continue;
    }
    const made = madeBy(adapter.fineTuneJobRef.name, jobs, spec, "adapter");
    if ("missing" in made) return made;
    if (made.type !== "adapter") {
      const message = `FineTuneJob ${adapter.fineTuneJobRef.name} made a whole model, not an adapter: name it in model.fineTuneJobRef`;
      return { missing: { reason: "NotAnAdapter", message, final: true } };
    }
    sources.push({
      name: adapter.name,
      ...made.content,
      ...(adapter.file ? { file: adapter.file } : {}),
    });
  }
  if (SINGLE.includes(spec.runtime) && sources.length > 2) {
    const message = `${spec.runtime} serves one adapter, and model.fineTuneJobRef is one already: leave out adapters`;
    return { missing: { reason: "InvalidSpec", message, final: true } };
  }
  return { sources, adapted };
}

/** The adapter that is the model needs a name beside those of `adapters`, which are object names. */
const adapterName = (name: string) => `${name.slice(0, 50)}.adapter`;

interface Named {
  readonly file?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  readonly secretRef?: { readonly name: string } | undefined;
}

function source(name: string, reference: string, { file, endpoint, region, secretRef }: Named): Source {
  return {
    name,
    reference,
    ...(file === undefined ? {} : { file }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(secretRef ? { secret: { name: secretRef.name } } : {}),
  };
}

interface Made {
  readonly job: TrainedJob;
  readonly type: "adapter" | "model";
  readonly content: Pick<Source, "reference" | "rank">;
}

function madeBy(
  name: string,
  jobs: ReadonlyMap<string, TrainedJob>,
  spec: InCluster,
  use: Use,
): Made | { readonly missing: Missing } {
  const job = jobs.get(name);
  if (!job) return missing("FineTuneJobNotFound", `there is no FineTuneJob ${name}`);
  const refused = unservable(spec, job, use);
  if (refused) return { missing: refused };
  const { artifact } = job.status ?? {};
  if (!artifact) return missing("FineTuneJobNotReady", `FineTuneJob ${name} has made nothing yet`);
  const { type, digest, rank } = artifact;
  return {
    job,
    type,
    content: { reference: `artifact:${digest}`, ...(rank === undefined ? {} : { rank }) },
  };
}

/** The base that an adapter was trained on, as exactly as the training knew it. */
function baseOf({ metadata, spec, status }: TrainedJob): Source | { readonly missing: Missing } {
  const { file, endpoint, secretRef } = spec.baseModel;
  // The spec may have been edited since the adapter was made.
  const { source: written = spec.baseModel.source, resolved = "" } = status?.base ?? {};
  const commit = /^hf:(.+@[0-9a-f]{40,64})$/.exec(resolved)?.[1];
  if (!/^(hf:\/\/|pvc:\/\/|artifact:)/.test(written))
    return missing(
      "BaseModelUnknown",
      `FineTuneJob ${metadata.name} does not say what its adapter was trained on`,
    );
  return {
    name: "model",
    reference: commit === undefined ? written : `hf://${commit}`,
    ...(file === undefined ? {} : { file }),
    ...(endpoint === undefined || !written.startsWith("hf://") ? {} : { endpoint }),
    ...(secretRef && written.startsWith("hf://")
      ? { secret: { name: secretRef.name, tokenKey: secretRef.key } }
      : {}),
  };
}

const missing = (reason: string, message: string) => ({ missing: { reason, message } });

/** Whether a reference means the same for ever: a digest, a commit. A claim's content is its owner's affair. */
export function isPinned(reference: string): boolean {
  return (
    /^(artifact:|pvc:\/\/)/.test(reference) || /^hf:\/\/[^@]+@[0-9a-f]{40}([0-9a-f]{24})?$/.test(reference)
  );
}

/** Where it is asked for. */
export function placeOf({ endpoint, region }: Source): Pick<SourceAccess, "endpoint" | "region"> {
  return { ...(endpoint === undefined ? {} : { endpoint }), ...(region === undefined ? {} : { region }) };
}

/** A source with its reference pinned. */
export interface PinnedSource extends Source {
  readonly resolved: string;
}

/** What a source was when it was looked up. By its name too: the same reference means another thing on another server. */
export interface LookedUp {
  readonly name: string;
  readonly source: string;
  readonly resolved: string;
}

export function pinned(sources: readonly Source[], known: readonly LookedUp[]): PinnedSource[] | undefined {
  const all: PinnedSource[] = [];
  for (const each of sources) {
    const { name, reference } = each;
    const found = known.find(({ name: of, source }) => of === name && source === reference);
    const resolved = isPinned(reference) ? reference : found?.resolved;
    if (resolved === undefined) return undefined;
    all.push({ ...each, resolved });
  }
  return all;
}

/** Where models lie in a pod. */
export const MODELS = "/models";
export const CLAIMS = "/claims";

/** The folder of a source in the pod: of the same content the same, so that a cache serves every revision. */
export function folderOf({ resolved, file }: PinnedSource): string {
  const claim = claimOf(resolved);
  if (claim) return `${CLAIMS}/${claim.name}${claim.folder}`;
  return `${MODELS}/${sha256(JSON.stringify([resolved, file ?? ""])).slice(0, 24)}`;
}

export function claimOf(reference: string): { name: string; folder: string } | undefined {
  const match = /^pvc:\/\/([^/]+)(\/.*)?$/.exec(reference);
  return match ? { name: match[1] ?? "", folder: (match[2] ?? "").replace(/\/+$/, "") } : undefined;
}

/** What the runtime is told. */
export function servingOf(
  spec: InCluster,
  name: string,
  { adapted }: WantedSources,
  sources: readonly PinnedSource[],
): Serving {
  const model = sources.find((each) => each.name === "model");
  const adapters = sources
    .filter((each) => each.name !== "model")
    .map(
      (each): PlacedAdapter => ({
        name: each.name,
        folder: folderOf(each),
        ...(each.file === undefined ? {} : { file: each.file }),
        ...(each.rank === undefined ? {} : { rank: each.rank }),
      }),
    );
  return {
    modelName: spec.modelName ?? name,
    ...(model ? { folder: folderOf(model) } : {}),
    ...(model?.file === undefined ? {} : { file: model.file }),
    adapters,
    adapted,
    gpus: spec.gpu?.count ?? 0,
    port: spec.port ?? RUNTIME[spec.runtime].port,
  };
}

/**
 * The revision of what is served: the spec's, with every source as it was resolved and the image that runs it. Moved
 * names and a new release of Slipway make another revision, which passes the gates like any other.
 */
export function servedRevision(
  specRevision: string,
  image: string,
  sources: readonly PinnedSource[],
): string {
  return digestOf({
    spec: specRevision,
    image,
    sources: sources.map(({ name, resolved, file }) =>
      file === undefined ? [name, resolved] : [name, resolved, file],
    ),
  });
}
