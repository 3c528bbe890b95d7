import { LABEL_REPOSITORY } from "../../../schemas/kind.ts";
import type { Repository } from "../../../schemas/repository.ts";
import { type KubeObject, objectKey } from "../../kube/resources.ts";
import type { ObjectStore } from "../../kube/store.ts";
import { ownerName } from "../../runtime/effects.ts";
import type { IntentLog } from "../../store/store.ts";
import type { FetchedSource, FetchInput, FetchOutput, OutsideSource } from "./resolution.ts";

/** A source as an object of the cluster was asked to read it, and what was there. */
export interface ReadSource {
  readonly source: OutsideSource;
  readonly files: FetchedSource["files"];
}

export interface ReadBeforeDependencies {
  readonly datasets: Pick<ObjectStore<KubeObject>, "get">;
  readonly intents: Pick<IntentLog, "lastSucceeded">;
}

/** The urls of one of a Repository's Datasets as they were read last. Nothing is read now. */
export function readBefore(
  { metadata: { namespace = "", name }, spec: { apply } }: Repository,
  dataset: string,
  { datasets, intents }: ReadBeforeDependencies,
): ReadSource[] {
  const metadata = datasets.get(objectKey(namespace, dataset))?.metadata;
  const applier = metadata?.labels?.[LABEL_REPOSITORY];
  // Another Repository's Dataset of the same name was read by its account, for its own reviewers. Where something
  // else applies what is in git, no Repository is named.
  if (!metadata || (applier !== name && !(applier === undefined && apply === false))) return [];
  const owner = { ref: { kind: "Dataset", namespace, name: dataset }, uid: metadata.uid ?? "" };
  const look = intents.lastSucceeded(ownerName(owner), "fetch");
  if (!look) return [];
  const { sources: fetched } = look.output as unknown as FetchOutput;
  return (look.input as unknown as FetchInput).sources.flatMap((source) => {
    const files = fetched.find((each) => each.name === source.name)?.files;
    return files ? [{ source, files }] : [];
  });
}
