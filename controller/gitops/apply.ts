import {
  FIELD_MANAGER,
  GROUP,
  kindNamed,
  LABEL_MANAGED_BY,
  LABEL_REPOSITORY,
  VERSION,
} from "../../schemas/index.ts";
import type { InventoryEntry } from "../../schemas/repository.ts";
import { describeError, SlipwayError } from "../errors.ts";
import type { GraphNode } from "../graph/graph.ts";
import { edgeKey } from "../graph/graph.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isNotFound } from "../kube/kube-error.ts";
import type { KubeObject, ResourceType } from "../kube/resources.ts";
import { desiredObject, parseInventoryId } from "./plan.ts";

/** The resource type of one of our kinds. */
export function resourceTypeOf(kind: string): ResourceType {
  const definition = kindNamed(kind);
  if (!definition) throw new SlipwayError("UnknownKind", `there is no kind ${kind}`);
  return { group: GROUP, version: VERSION, kind, plural: definition.plural, namespaced: true };
}

export interface ApplyTarget {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly repository: string;
  readonly signal: AbortSignal;
}

export interface ApplyOutcome {
  readonly applied: ReadonlyMap<string, KubeObject>;
  /** By node key: what the API server said. */
  readonly failed: ReadonlyMap<string, string>;
}

const PARALLEL = 8;

/**
 * Applies nodes as the tenant (`target.client` impersonates it): first a dry run of everything, then the writes,
 * dependencies before dependents. What fails its dry run is not written, nor is what refers to it.
 */
export async function applyNodes(nodes: readonly GraphNode[], target: ApplyTarget): Promise<ApplyOutcome> {
  const failed = new Map<string, string>();
  const applied = new Map<string, KubeObject>();
  const labels = { [LABEL_MANAGED_BY]: FIELD_MANAGER, [LABEL_REPOSITORY]: target.repository };
  const send = (node: GraphNode, dryRun: boolean) =>
    target.client.apply(
      resourceTypeOf(node.kind),
      desiredObject(node, target.namespace, labels) as unknown as KubeObject,
      {
        fieldManager: FIELD_MANAGER,
        force: true,
        dryRun,
        fieldValidation: "Strict",
        signal: target.signal,
      },
    );
  const attempt = async (node: GraphNode, dryRun: boolean) => {
    const cause = node.edges.map(edgeKey).find((key) => failed.has(key));
    if (cause !== undefined) {
      failed.set(node.key, `refers to ${cause}, which was refused`);
      return;
    }
    try {
      const object = await send(node, dryRun);
      if (!dryRun) applied.set(node.key, object);
    } catch (error) {
      if (target.signal.aborted) throw error;
      if (error instanceof SlipwayError && error.retryable) throw error;
      failed.set(node.key, describeError(error));
    }
  };
  await inParallel(nodes, (node) => attempt(node, true));
  for (const stage of stagesOf(nodes)) {
    await inParallel(
      stage.filter((node) => !failed.has(node.key)),
      (node) => attempt(node, false),
    );
  }
  return { applied, failed };
}

/** Groups nodes so that each stage refers only to earlier ones (cycles end in the last stage). */
export function stagesOf(nodes: readonly GraphNode[]): GraphNode[][] {
  const level = new Map<string, number>();
  for (const node of nodes) {
    const below = node.edges.map((edge) => level.get(edgeKey(edge)) ?? -1);
    level.set(node.key, Math.max(-1, ...below) + 1);
  }
  const stages: GraphNode[][] = [];
  for (const node of nodes) {
    const index = level.get(node.key) ?? 0;
    stages[index] ??= [];
    stages[index].push(node);
  }
  return stages.filter((stage) => stage !== undefined);
}

/** Dependents before what they depend on. */
const DELETION_ORDER = ["EvalSuite", "PromptTemplate", "ModelDeployment"];

/**
 * Deletes inventory entries, each only while it is the object we applied.
 * @returns the entries that could not be deleted, with the reason
 */
export async function pruneEntries(
  entries: readonly InventoryEntry[],
  target: ApplyTarget,
): Promise<{ entry: InventoryEntry; message: string }[]> {
  const failed: { entry: InventoryEntry; message: string }[] = [];
  const rank = (entry: InventoryEntry) => DELETION_ORDER.indexOf(parseInventoryId(entry.id).kind);
  for (const entry of [...entries].sort((a, b) => rank(a) - rank(b))) {
    const { kind, name } = parseInventoryId(entry.id);
    if (entry.uid === undefined) continue; // written ahead, never created
    try {
      await target.client.delete(resourceTypeOf(kind), target.namespace, name, {
        preconditions: { uid: entry.uid },
        signal: target.signal,
      });
    } catch (error) {
      // Gone already, or another object of the same name: neither is ours to delete.
      if (isNotFound(error) || isConflict(error)) continue;
      if (target.signal.aborted) throw error;
      failed.push({ entry, message: describeError(error) });
    }
  }
  return failed;
}

/** Works on a few at a time. The first error ends it, once what is under way has come to its end. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      await work(item).catch((error) => {
        queue.length = 0;
        throw error;
      });
    }
  };
  const results = await Promise.allSettled(Array.from({ length: Math.min(PARALLEL, items.length) }, worker));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
