import { describe, expect, test } from "vitest";
import { memoryCache } from "../../../test/eval-bundles.ts";
import type { DatasetDiff } from "../../data/diff/types.ts";
import { SlipwayError } from "../../errors.ts";
import { createLogger } from "../../log.ts";
import { DatasetDiffs, type DatasetDiffsOptions } from "./diffs.ts";
import type { DataPlan } from "./plan.ts";

const planned = (dataset: string, digest = dataset): DataPlan => ({
  state: "Planned",
  dataset,
  digest,
  input: { base: undefined, head: [], cases: [] },
});
const DIFF: DatasetDiff = { newPii: [] };

function diffs(run: NonNullable<DatasetDiffsOptions["run"]>, results = memoryCache()) {
  const woken: string[] = [];
  const stop = new AbortController();
  const it = new DatasetDiffs({
    results,
    log: createLogger("silent"),
    wake: (key) => woken.push(key),
    run,
  });
  const look = (plans: readonly DataPlan[], { key = "ns/repo", tenant = "ns" } = {}) =>
    it.look(key, tenant, plans, stop.signal);
  return { look, woken, results, stop };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("a comparison", () => {
  test("runs once, wakes who asked, and is looked up from then on, by the next process too", async () => {
    let runs = 0;
    const { look, woken, results } = diffs(async () => {
      runs++;
      return DIFF;
    });
    expect(look([planned("a")])).toEqual([{ dataset: "a", state: "Running" }]);
    expect(look([planned("a")], { key: "ns/other" })).toEqual([{ dataset: "a", state: "Running" }]);
    await settled();
    expect(woken).toEqual(["ns/repo", "ns/other"]);
    expect(look([planned("a")])).toEqual([{ dataset: "a", state: "Compared", diff: DIFF }]);
    const next = diffs(async () => {
      throw new Error("not again");
    }, results);
    expect(next.look([planned("a")])).toEqual([{ dataset: "a", state: "Compared", diff: DIFF }]);
    expect(runs).toBe(1);
  });

  test("is not shared between tenants", async () => {
    let runs = 0;
    const { look } = diffs(async () => {
      runs++;
      return DIFF;
    });
    look([planned("a")]);
    await settled();
    expect(look([planned("a")], { tenant: "b" })).toEqual([{ dataset: "a", state: "Running" }]);
    await settled();
    expect(runs).toBe(2);
  });

  test("that fails is said to, and not begun again at each look", async () => {
    let runs = 0;
    const { look, woken } = diffs(async () => {
      runs++;
      throw new SlipwayError("DiffTooLarge", "comparing needs more than 5 MiB");
    });
    look([planned("a")]);
    await settled();
    expect(woken).toEqual(["ns/repo"]);
    expect(look([planned("a")])).toMatchObject([{ state: "NotCompared", reason: "DiffTooLarge" }]);
    expect(runs).toBe(1);
  });

  test("tells no one what an unforeseen error says", async () => {
    const { look } = diffs(async () => {
      throw new Error("a secret");
    });
    look([planned("a")]);
    await settled();
    const [state] = look([planned("a")]);
    expect(state).toMatchObject({ state: "NotCompared", reason: "DiffFailed" });
    expect(JSON.stringify(state)).not.toContain("secret");
  });

  test("is not begun while many wait, and its repository asks again when there is room", async () => {
    const ends: (() => void)[] = [];
    const { look, woken } = diffs(() => new Promise((resolve) => ends.push(() => resolve(DIFF))));
    look(["a", "b", "c", "d"].map((name) => planned(name)));
    expect(look([planned("e")], { key: "ns/late" })).toEqual([{ dataset: "e", state: "Running" }]);
    await settled();
    ends[0]?.();
    await settled();
    expect(woken).toEqual(["ns/repo", "ns/late"]);
    look([planned("e")], { key: "ns/late" });
    for (let i = 1; i < 5; i++) {
      await settled();
      ends[i]?.();
    }
    await settled();
    expect(look([planned("e")])).toMatchObject([{ state: "Compared" }]);
  });

  test("waits for the one before it, and stops with the process without waking anybody", async () => {
    const begun: number[] = [];
    let end = () => {};
    const { look, woken, stop } = diffs(
      () =>
        new Promise((resolve) => {
          begun.push(begun.length);
          end = () => resolve(DIFF);
        }),
    );
    look([planned("a"), planned("b")]);
    await settled();
    expect(begun).toHaveLength(1);
    end();
    await settled();
    expect(begun).toHaveLength(2);
    stop.abort();
    end();
    await settled();
    expect(woken).toEqual(["ns/repo"]);
  });
});
