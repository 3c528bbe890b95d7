import { evalRunSpec } from "../../schemas/eval-run.ts";
import { evalSuiteSpec } from "../../schemas/eval-suite.ts";
import { nodeKey } from "../graph/graph.ts";
import { sideRevision } from "../graph/impact.ts";
import type { Listed } from "./listed.ts";

/**
 * The EvalRuns that say something of how things are now: for each suite the run that its score is from, and the newest
 * that each other trigger has started. Those of pull requests speak of a proposal, so only the named one is among them.
 */
export function runsToShow(objects: readonly Listed[], named?: string): ReadonlySet<string> {
  const shown = new Set<string>(named === undefined ? [] : [named]);
  const newest = new Map<string, Listed>();
  for (const object of objects) {
    if (object.kind === "EvalSuite") {
      const { lastRun } = (object.status ?? {}) as { lastRun?: unknown };
      if (typeof lastRun === "string") shown.add(lastRun);
    }
    if (object.kind !== "EvalRun") continue;
    const { suite, trigger } = (object.spec ?? {}) as { suite?: { name?: unknown }; trigger?: unknown };
    if (trigger === "PullRequest") continue;
    const group = JSON.stringify([suite?.name, trigger]);
    const other = newest.get(group);
    if (!other || made(object) > made(other)) newest.set(group, object);
  }
  for (const { metadata } of newest.values()) shown.add(metadata.name);
  return shown;
}

/** RFC 3339 in UTC orders as text; among those of one second the name decides, so that the answer is always the same. */
const made = ({ metadata }: Listed): string => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;

/** By key, what is to be said of runs after a merge whose suite, prompts or deployments behave differently by now. */
export function earlierRuns(objects: readonly Listed[]): Map<string, string> {
  const nodes = new Map(
    objects.map(({ kind, metadata, status }) => {
      const { revision } = (status ?? {}) as { revision?: unknown };
      return [
        nodeKey(kind, metadata.name),
        { revision: typeof revision === "string" ? revision : undefined },
      ];
    }),
  );
  const suites = new Map(
    objects.filter(({ kind }) => kind === "EvalSuite").map((object) => [object.metadata.name, object]),
  );
  const earlier = new Map<string, string>();
  for (const { kind, metadata, spec } of objects) {
    const run = kind === "EvalRun" ? evalRunSpec.safeParse(spec) : undefined;
    if (!run?.success || run.data.trigger !== "Merge") continue;
    const { suite, head } = run.data;
    const present = evalSuiteSpec.safeParse(suites.get(suite.name)?.spec);
    const same =
      present.success &&
      nodes.get(nodeKey("EvalSuite", suite.name))?.revision === suite.revision &&
      sideRevision(present.data, { nodes }) === head.revision;
    if (!same) earlier.set(nodeKey(kind, metadata.name), "of earlier revisions");
  }
  return earlier;
}
