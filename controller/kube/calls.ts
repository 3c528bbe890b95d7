import type { Impersonation } from "./identity.ts";
import { KubeError } from "./kube-error.ts";
import { apiVersionOf, type KubeObject, type ResourceType } from "./resources.ts";
import type { HttpRequest } from "./transport.ts";

export interface CallOptions {
  readonly as?: Impersonation;
  readonly signal?: AbortSignal;
  /** For the whole call, retries included; 30 s unless given. */
  readonly timeoutMs?: number;
}

export interface WriteOptions extends CallOptions {
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  /** What the server does with fields it does not know; the server's default is Warn. */
  readonly fieldValidation?: "Strict" | "Warn" | "Ignore";
  readonly subresource?: string;
}

export interface ListOptions extends CallOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly metadataOnly?: boolean;
  /** False where the caller has a retry loop of its own. */
  readonly retry?: boolean;
}

export interface KubeList<T> {
  readonly items: T[];
  readonly resourceVersion: string;
  /** Set while there are more pages. */
  readonly continue: string | undefined;
}

export type PatchContentType =
  | "application/json-patch+json"
  | "application/merge-patch+json"
  | "application/strategic-merge-patch+json"
  | "application/apply-patch+yaml";

export type PropagationPolicy = "Background" | "Foreground" | "Orphan";

export type Query = Record<string, string | number | boolean | undefined>;

/** Gives an item of a list or of a metadata-only answer the identity of its type. */
export function named<T extends KubeObject>(type: ResourceType, item: T): T {
  return { ...item, apiVersion: apiVersionOf(type), kind: type.kind };
}

/** The Accept header that asks for metadata alone. */
export function accept(as: string, metadataOnly = false): Record<string, string> {
  return metadataOnly ? { accept: `application/json;as=${as};g=meta.k8s.io;v=v1` } : {};
}

export function writeQuery(options: WriteOptions): Query {
  const { dryRun, fieldManager, fieldValidation } = options;
  return { dryRun: dryRun ? "All" : undefined, fieldManager, fieldValidation };
}

export function withQuery(path: string, query: Query): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") params.set(key, String(value));
  }
  return params.size === 0 ? path : `${path}?${params}`;
}

export function parseJson<T>(text: string, request: HttpRequest): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new KubeError(
      0,
      "Unreachable",
      `${request.method} ${request.path.split("?", 1)[0]}: the answer is not JSON`,
    );
  }
}
