import type { EvalCase } from "../../../../schemas/eval-suite.ts";
import type { Repository } from "../../../../schemas/repository.ts";
import type { SuiteBundle } from "../../../eval/bundle.ts";
import type { RunResult } from "../../../eval/result.ts";
import { canonicalJson, type Json } from "../../../graph/canonical.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import type { BlobStore } from "../../../store/store.ts";
import { addedIds, appendCases } from "../actions/case-file.ts";
import { branchOf, type PullRequestInput, type PullRequestOutput } from "../actions/pull-request.ts";

/** What a proposal needs of a forge: the part of `controller/pr/forge` that it uses. */
export interface ProposalForge {
  listOpenPullRequests(signal: AbortSignal): Promise<readonly OpenPullRequest[]>;
  createBranch(branch: string, from: string, signal: AbortSignal): Promise<void>;
  deleteBranch(branch: string, signal: AbortSignal): Promise<void>;
  readFile(
    path: string,
    branch: string,
    signal: AbortSignal,
  ): Promise<{ readonly content: string; readonly sha: string } | undefined>;
  writeFile(
    change: { path: string; branch: string; content: string; message: string; sha?: string },
    signal: AbortSignal,
  ): Promise<void>;
  createPullRequest(
    request: { title: string; body: string; head: string; base: string },
    signal: AbortSignal,
  ): Promise<OpenPullRequest>;
  updatePullRequest(
    number: number,
    change: { title: string; body: string },
    signal: AbortSignal,
  ): Promise<OpenPullRequest>;
}

interface OpenPullRequest {
  readonly number: number;
  readonly headBranch: string;
  readonly fork: boolean;
  readonly url: string;
}

export interface PullRequestDependencies {
  readonly blobs: Pick<BlobStore, "get">;
  readonly forgeOf: (repository: Repository) => Promise<ProposalForge>;
}

/** Of one run: more are a list that nobody reads. */
const MAX_CASES = 50;

/**
 * Proposes the failing cases of a replay for a suite's case file. One pull request a Monitor: while it is open, cases
 * are added to it. Each step looks first at what is there, so that it can be done again after a crash.
 */
export function pullRequest({ blobs, forgeOf }: PullRequestDependencies): EffectHandler {
  return async (raw, { signal }) => {
    const input = raw as unknown as PullRequestInput;
    const cases = await failingCases(input, blobs);
    if (cases.length === 0) return { added: 0 };
    const forge = await forgeOf(input.repository as Repository);
    return (await propose(input, cases, forge, signal)) as unknown as Json;
  };
}

export async function propose(
  input: PullRequestInput,
  cases: readonly EvalCase[],
  forge: ProposalForge,
  signal: AbortSignal,
): Promise<PullRequestOutput> {
  const branch = branchOf(input.monitor);
  const base = input.repository.spec.branch;
  const { path } = input;
  const pulls = await forge.listOpenPullRequests(signal);
  const open = pulls.find(({ headBranch, fork }) => headBranch === branch && !fork);
  const current = await forge.readFile(path, open ? branch : base, signal);
  const next = appendCases(path, current?.content, cases);
  if (next.added.length === 0) return { added: 0, ...(open ? { url: open.url } : {}) };
  if (!open) {
    // What a crash or a pull request that was merged has left: it begins at the tip of today.
    await forge.deleteBranch(branch, signal);
    await forge.createBranch(branch, base, signal);
  }
  // What was added to the open one before is still part of it.
  const onBase = open ? await forge.readFile(path, base, signal) : current;
  const words = wordsOf(input, addedIds(path, onBase?.content, next.content));
  await forge.writeFile(
    {
      path,
      branch,
      content: next.content,
      message: titleOf(input, next.added),
      ...(current ? { sha: current.sha } : {}),
    },
    signal,
  );
  const pull = open
    ? await forge.updatePullRequest(open.number, words, signal)
    : await forge.createPullRequest({ ...words, head: branch, base }, signal);
  return { added: next.added.length, url: pull.url };
}

/** The failing cases as they stand in the replayed suite, with those of its assertions that the other suite lacks. */
async function failingCases(
  { run, suite }: PullRequestInput,
  blobs: Pick<BlobStore, "get">,
): Promise<EvalCase[]> {
  const load = async <T>(digest: string) =>
    JSON.parse(new TextDecoder().decode(await blobs.get(digest))) as T;
  const result = await load<RunResult>(run.result);
  const bundle = await load<SuiteBundle>(run.suiteBundle);
  const failed = new Set(result.cases.filter(({ head }) => head && !head.pass).map(({ id }) => id));
  const theirs = new Set(suite.assert.map((each) => canonicalJson(each)));
  const inherited = bundle.assert.filter((each) => !theirs.has(canonicalJson(each)));
  return bundle.cases
    .filter(({ id }) => failed.has(id))
    .slice(0, MAX_CASES)
    .map((each) => {
      const assert = [...inherited, ...(each.assert ?? [])];
      return { ...each, ...(assert.length > 0 ? { assert } : {}) };
    });
}

/** Ids alone: what a model answered does not belong into words that a forge renders. */
function wordsOf(input: PullRequestInput, added: readonly string[]): { title: string; body: string } {
  const { monitor, signal, run, suite, path } = input;
  return {
    title: titleOf(input, added),
    body: [
      `Signal \`${signal}\` of Monitor \`${monitor.namespace}/${monitor.name}\` got worse. These cases failed, the last of`,
      `them in EvalRun \`${run.name}\`, and EvalSuite \`${suite.name}\` does not have them yet:`,
      "",
      ...added.map((id) => `- \`${id}\``),
      "",
      `They were added at the end of \`${path}\`. Take out what should not decide over changes to come, and merge;`,
      "further cases are added here while this is open.",
    ].join("\n"),
  };
}

function titleOf({ monitor, suite }: PullRequestInput, added: readonly string[]): string {
  const count = added.length === 1 ? "a failing case" : `${added.length} failing cases`;
  return `Add ${count} of Monitor ${monitor.name} to EvalSuite ${suite.name}`;
}
