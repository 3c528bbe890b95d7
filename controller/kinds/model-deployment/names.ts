import { LABEL_OWNER_UID, LABEL_REVISION } from "../../../schemas/kind.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { InCluster } from "../../../schemas/model-deployment-in-cluster.ts";
import { digestOf } from "../../graph/canonical.ts";
import type { Serving } from "./runtimes/types.ts";
import type { PinnedSource } from "./sources.ts";

/** On a revision's Deployment: what it serves, for when the spec has moved on. */
export const ANNOTATION_SERVED = "slipway.dev/served";
const ID_LENGTH = 12;
/** Digits of the revision in labels, whose values have 63 characters at most. */
const LABEL_LENGTH = 32;
/** Of a name that the API server makes, what is left of the wish: 63 characters without the 5 random ones. */
const GENERATED_LENGTH = 58;

/** The value of ANNOTATION_SERVED, as JSON. */
export interface Served {
  readonly revision: string;
  /** What clients write as `model`. */
  readonly model: string;
  /** What /v1/models lists. */
  readonly listed: string;
  /** A model that it must refuse. */
  readonly absent?: string;
}

export interface Revision {
  readonly deployment: ModelDeployment;
  readonly spec: InCluster;
  readonly revision: string;
  readonly serving: Serving;
  readonly sources: readonly PinnedSource[];
  /** The controller as pods reach it; undefined when it was not told. */
  readonly workUrl: string | undefined;
}

/** Every object of one revision has this name. With the uid, so that an object made anew shares nothing with its predecessor. */
export function childName({ metadata }: ModelDeployment, revision: string): string {
  const id = digestOf({ uid: metadata.uid ?? "", revision }).slice(0, ID_LENGTH);
  return `${metadata.name.slice(0, 63 - ID_LENGTH - 1).replace(/-+$/, "")}-${id}`;
}

/** How the names of a revision's pods begin, and no others: `CHILD-HASH-RANDOM`, where the API server cuts before RANDOM. */
export function podPrefix(deployment: ModelDeployment, revision: string): string {
  return `${childName(deployment, revision)}-`.slice(0, GENERATED_LENGTH);
}

export const revisionLabel = (revision: string): string => revision.slice(0, LABEL_LENGTH);

/** What selects the pods of one revision. */
export function selectorOf({ metadata }: ModelDeployment, revision: string): Record<string, string> {
  return { [LABEL_OWNER_UID]: metadata.uid ?? "", [LABEL_REVISION]: revisionLabel(revision) };
}

export const cacheName = ({ metadata }: ModelDeployment): string => `${metadata.name}-models`;
