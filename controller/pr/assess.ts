import type { Repository } from "../../schemas/repository.ts";
import type { GitMirror } from "../gitops/git.ts";
import type { Snapshot } from "../gitops/snapshot.ts";
import type { RepositorySources } from "../gitops/sources.ts";
import { type Impact, impactOf } from "../graph/impact.ts";

/** What merging a pull request would do, read from git alone. */
export interface Assessment {
  /** Tip of the base branch. */
  readonly baseSha: string;
  readonly headSha: string;
  /** Files that conflict; then there is no merge result and `head` is undefined. */
  readonly conflicts: readonly string[];
  readonly base: Snapshot;
  /** The merge result, so that the verdict is about what merging does. */
  readonly head: Snapshot | undefined;
  readonly impact: Impact | undefined;
}

/** Compares the base branch's tip with the result of merging the head into it. */
export async function assess(
  sources: RepositorySources,
  mirror: GitMirror,
  repository: Repository,
  commits: { readonly baseSha: string; readonly headSha: string },
): Promise<Assessment> {
  const { path } = repository.spec;
  const base = await sources.snapshot(mirror, commits.baseSha, path);
  const merge = await mirror.merge(commits.baseSha, commits.headSha);
  if ("conflicts" in merge) {
    return { ...commits, conflicts: merge.conflicts, base, head: undefined, impact: undefined };
  }
  const head = await sources.snapshot(mirror, merge.tree, path);
  return { ...commits, conflicts: [], base, head, impact: impactOf(base.graph, head.graph) };
}
