import type { z } from "zod";

export const GROUP = "slipway.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}`;

/** Labels, annotations and names that all parts share. */
export const LABEL_MANAGED_BY = "app.kubernetes.io/managed-by";
export const LABEL_REPOSITORY = "slipway.dev/repository";
/** On pod templates: the uid of the custom resource whose work the pod does. */
export const LABEL_OWNER_UID = "slipway.dev/owner-uid";
export const LABEL_REVISION = "slipway.dev/revision";
/** On EvalRuns: the signal of the Monitor that they replay. */
export const LABEL_MONITOR_SIGNAL = "slipway.dev/monitor-signal";
export const ANNOTATION_REQUESTED_AT = "slipway.dev/requestedAt";
export const ANNOTATION_ALLOWED_HOSTS = "slipway.dev/allowed-hosts";
export const FIELD_MANAGER = "slipway";

export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "date";
  readonly jsonPath: string;
  /** 1 shows the column only with `-o wide`. */
  readonly priority?: number;
  readonly description?: string;
}

/** One custom resource: the only source of its CRD, JSON Schema and reference page. */
export interface KindDefinition<Spec extends z.ZodType = z.ZodType, Status extends z.ZodType = z.ZodType> {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  /** One sentence for the reference and `kubectl explain`. */
  readonly description: string;
  readonly spec: Spec;
  readonly status: Status;
  readonly columns: readonly PrinterColumn[];
  /** Makes `kubectl scale` and autoscalers work: JSON paths of apiextensions' CustomResourceSubresourceScale. */
  readonly scale?: {
    readonly specReplicasPath: string;
    readonly statusReplicasPath: string;
    readonly labelSelectorPath: string;
  };
  /** Made by the controller; not accepted from git. */
  readonly internal?: boolean;
}

/** A parsed object of a kind. */
export interface CustomResource<Spec, Status = unknown> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly spec: Spec;
  readonly status?: Status;
}

const CONDITION = (type: string, field: string) => `.status.conditions[?(@.type=="${type}")].${field}`;

/** The columns of every kind, with the kind's own in between. */
export function columns(...own: PrinterColumn[]): PrinterColumn[] {
  return [
    { name: "Ready", type: "string", jsonPath: CONDITION("Ready", "status") },
    ...own,
    { name: "Reason", type: "string", jsonPath: CONDITION("Ready", "reason"), priority: 1 },
    { name: "Revision", type: "string", jsonPath: ".status.shortRevision" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ];
}
