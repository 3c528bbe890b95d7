import type { SuiteBundle } from "../../../eval/bundle.ts";
import type { RunResult } from "../../../eval/result.ts";
import type { Json } from "../../../graph/canonical.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import type { BlobStore } from "../../../store/store.ts";
import { type CompareInput, compareRuns } from "../signals/replay-compare.ts";

/** Reads the results of two runs and compares them case by case. */
export function compare(blobs: Pick<BlobStore, "get">): EffectHandler {
  return async (input) => {
    const { metric, suiteBundle, result, reference } = input as unknown as CompareInput;
    const load = async <T>(digest: string) =>
      JSON.parse(new TextDecoder().decode(await blobs.get(digest))) as T;
    const suite = await load<SuiteBundle>(suiteBundle);
    const { cases } = await load<RunResult>(result);
    const before = reference === undefined ? undefined : await load<RunResult>(reference);
    return compareRuns({
      metric,
      rows: cases,
      ...(before ? { reference: before.cases } : {}),
      repeats: suite.repeats,
      clusters: new Map(
        suite.cases.flatMap(({ id, cluster }) => (cluster === undefined ? [] : [[id, cluster] as const])),
      ),
    }) as unknown as Json;
  };
}
