import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diffDataset } from "../controller/data/diff/diff.ts";
import { type Ask, type RunResult, runEvaluation } from "../controller/eval/index.ts";
import { loadSnapshot, type Snapshot } from "../controller/gitops/snapshot.ts";
import type { Source } from "../controller/gitops/source.ts";
import { blobDigest } from "../controller/graph/canonical.ts";
import { nodeKey } from "../controller/graph/graph.ts";
import { impactOf } from "../controller/graph/impact.ts";
import { outsideSources } from "../controller/kinds/dataset/resolution.ts";
import { summarize } from "../controller/kinds/eval-run/summary.ts";
import type { Assessment } from "../controller/pr/assess.ts";
import type { Outside } from "../controller/pr/data/outside.ts";
import { type DataPlan, planDiffs } from "../controller/pr/data/plan.ts";
import type { DataState } from "../controller/pr/data/state.ts";
import { type RunState, verdictOf } from "../controller/pr/decide.ts";
import type { PullRequest } from "../controller/pr/forge/forge.ts";
import { type PlannedRun, planEvaluation } from "../controller/pr/plan.ts";
import type { ReportInput } from "../controller/pr/report.ts";
import type { Dataset } from "../schemas/dataset.ts";
import type { EvalRun } from "../schemas/eval-run.ts";
import { type Repository, repositorySpec } from "../schemas/repository.ts";
import { memoryCache } from "./eval-bundles.ts";

/*
 * A pull request from files to verdict, without git, cluster or network: the real loader, graph, plan, evaluation
 * and decision on a model that is a function.
 */

export type Files = Readonly<Record<string, string>>;

export interface PullRequestOptions {
  readonly base: Files;
  /** Only what differs from the base; `undefined` deletes. */
  readonly head: Readonly<Record<string, string | undefined>>;
  readonly conflicts?: readonly string[];
  readonly settings?: Partial<NonNullable<Repository["spec"]["pullRequests"]>>;
  /** False for a fork that nobody vouched for. */
  readonly trusted?: boolean;
  readonly ask?: Ask;
  /** Suites whose run has not finished. */
  readonly running?: readonly string[];
  /** A run's status instead of what the evaluation gave. */
  readonly status?: Readonly<Record<string, EvalRun["status"]>>;
  /** What the controller has read of the urls of each Dataset that the base has. */
  readonly read?: Readonly<Record<string, string>>;
  /** Datasets whose comparison has not finished. */
  readonly comparing?: readonly string[];
  /** Changes a result before it is reported. */
  readonly tamper?: (result: RunResult) => RunResult;
}

export const BASE_SHA = "5f0c1d2e3b4a59687706152433425160718293a4";
export const HEAD_SHA = "c0ffee5e1d8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c";

export async function pullRequest(options: PullRequestOptions): Promise<ReportInput> {
  const assessment = await assessmentOf(options);
  const plan = planEvaluation(assessment, options.settings ?? {}, options.trusted ?? true);
  const runs: RunState[] = [];
  for (const planned of plan.runs) runs.push(await stateOf(planned, options));
  const data = await comparisons(assessment, options);
  const verdict = verdictOf({
    assessment,
    runs,
    data,
    notEvaluated: plan.notEvaluated,
    onNotEvaluated: options.settings?.onNotEvaluated ?? "Pass",
  });
  return {
    repository: repositoryWith(options.settings),
    pull: PULL,
    assessment,
    plan,
    runs,
    data,
    verdict,
    limit: 65_336,
  };
}

export async function assessmentOf({ base, head, conflicts = [] }: PullRequestOptions): Promise<Assessment> {
  const merged = Object.fromEntries(
    Object.entries({ ...base, ...head }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const before = await loadSnapshot(memorySource(base), "");
  const shas = { baseSha: BASE_SHA, headSha: HEAD_SHA };
  if (conflicts.length > 0) return { ...shas, conflicts, base: before, head: undefined, impact: undefined };
  const after = await loadSnapshot(memorySource(merged), "");
  return { ...shas, conflicts, base: before, head: after, impact: impactOf(before.graph, after.graph) };
}

async function comparisons({ base, head }: Assessment, options: PullRequestOptions): Promise<DataState[]> {
  if (!head) return [];
  const store = await mkdtemp(join(tmpdir(), "slipway-read-"));
  try {
    const outside = await outsideIn(store, base, options.read ?? {});
    const data: DataState[] = [];
    for (const plan of await planDiffs(base, head, options.trusted ?? true, outside))
      data.push(await comparedTo(plan, options));
    return data;
  } finally {
    await rm(store, { recursive: true });
  }
}

/** The urls of the base's Datasets as a controller with the blob store `store` has read them. */
async function outsideIn(
  store: string,
  base: Snapshot,
  read: Readonly<Record<string, string>>,
): Promise<Outside> {
  const file = (digest: string) => join(store, digest);
  const locate = async (digest: string) => file(digest);
  for (const text of Object.values(read)) await writeFile(file(blobDigest(text)), text);
  return {
    locate,
    read: (name) => {
      const { spec } = base.graph.nodes.get(nodeKey("Dataset", name))?.object ?? {};
      const text = read[name];
      if (text === undefined) return [];
      const files = [{ path: "rows.jsonl", digest: blobDigest(text), bytes: Buffer.byteLength(text) }];
      return outsideSources({ spec } as Dataset).map((source) => ({ source, files }));
    },
  };
}

async function comparedTo(plan: DataPlan, { comparing = [] }: PullRequestOptions): Promise<DataState> {
  const { dataset } = plan;
  if (plan.state === "NotCompared") return plan;
  if (comparing.includes(dataset)) return { dataset, state: "Running" };
  return { dataset, state: "Compared", diff: await diffDataset(plan.input) };
}

async function stateOf(planned: PlannedRun, options: PullRequestOptions): Promise<RunState> {
  const { running = [], status = {}, ask, tamper = (result: RunResult) => result } = options;
  const name = `pr7-${planned.suite.slice(0, 40)}-${planned.bundle.revision.slice(0, 10)}`;
  const state = { planned, name };
  if (planned.suite in status)
    return { ...state, run: runWith(name, status[planned.suite]), result: undefined };
  if (running.includes(planned.suite)) return { ...state, run: runWith(name, {}), result: undefined };
  if (!ask) throw new Error("a pull request that is evaluated needs ask");
  let clock = Date.UTC(2026, 0, 5, 9);
  const result = tamper(
    await runEvaluation(
      { suite: planned.bundle, base: planned.base, head: planned.head, tenant: "team" },
      { cache: memoryCache(), ask, now: () => clock++, signal: new AbortController().signal },
    ),
  );
  const { verdict, passed, gates, worst, calls } = summarize(result, "");
  return {
    ...state,
    run: runWith(name, { verdict, passed, gates: [...gates], worst: [...worst], calls }),
    result,
  };
}

function runWith(name: string, status: EvalRun["status"]): EvalRun {
  return {
    apiVersion: "slipway.dev/v1alpha1",
    kind: "EvalRun",
    metadata: { name, namespace: "support" },
    // The report reads the plan, not the spec that was made from it.
    spec: {} as EvalRun["spec"],
    ...(status ? { status } : {}),
  };
}

export function repositoryWith(pullRequests: PullRequestOptions["settings"] = {}): Repository {
  return {
    apiVersion: "slipway.dev/v1alpha1",
    kind: "Repository",
    metadata: { name: "llm", namespace: "support" },
    spec: repositorySpec.parse({
      url: "https://git.example.com/support/llm.git",
      serviceAccountName: "slipway",
      forge: { type: "GitHub" },
      pullRequests,
    }),
  };
}

const PULL: PullRequest = {
  number: 7,
  title: "Shorter answers",
  author: "mia",
  state: "open",
  merged: false,
  draft: false,
  baseBranch: "main",
  baseSha: BASE_SHA,
  headBranch: "shorter",
  headSha: HEAD_SHA,
  headRepository: "support/llm",
  fork: false,
  labels: [],
  url: "https://git.example.com/support/llm/pulls/7",
  updatedAt: "2026-01-05T09:00:00Z",
};

export function memorySource(files: Files): Source {
  const encoder = new TextEncoder();
  return {
    list: async () =>
      Object.entries(files).map(([path, text]) => ({ path, size: encoder.encode(text).length, id: path })),
    read: async (entries) => new Map(entries.map(({ id }) => [id, encoder.encode(files[id])])),
  };
}
