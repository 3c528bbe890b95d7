import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { effectContext } from "../../../../test/effect-context.ts";
import { openBlobStore } from "../../../store/blobs.ts";
import type { BlobStore } from "../../../store/store.ts";
import { compareRuns } from "../signals/replay-compare.ts";
import { compare } from "./compare.ts";

let folder: string;
let blobs: BlobStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-compare-"));
  blobs = await openBlobStore(folder);
});
afterEach(() => rm(folder, { recursive: true }));

const rows = (right: number) =>
  Array.from({ length: 40 }, (_, i) => ({
    id: `case-${i}`,
    target: "target",
    head: { passRate: i < right ? 1 : 0 },
  })) as never[];
const suite = {
  repeats: 1,
  cases: [
    { id: "case-0", cluster: "a" },
    { id: "case-1", cluster: "a" },
  ],
};

async function stored(head: number, reference?: number) {
  const put = (value: unknown) => blobs.put(JSON.stringify(value));
  return {
    metric: "pass-rate" as const,
    suiteBundle: await put(suite),
    result: await put({ cases: rows(head) }),
    ...(reference === undefined ? {} : { reference: await put({ cases: rows(reference) }) }),
  };
}

const run = (input: unknown, signal = new AbortController().signal) =>
  compare(blobs)(input as never, effectContext("Monitor", "m", { signal }));

test("two stored runs are compared as they would be here", async () => {
  const clusters = new Map([
    ["case-0", "a"],
    ["case-1", "a"],
  ]);
  const expected = compareRuns({
    metric: "pass-rate",
    rows: rows(20),
    reference: rows(36),
    repeats: 1,
    clusters,
  });
  expect(expected).toMatchObject({ value: -0.4, upper: expect.any(Number) });
  expect(await run(await stored(20, 36))).toEqual(expected);
  expect(await run(await stored(20))).toEqual({ value: 0.5, mean: 0.5 });
});

test("a damaged result is named and set aside, one that is gone is named", async () => {
  const input = await stored(20, 36);
  await writeFile(await blobs.locate(input.reference!), "{}");
  await expect(run(input)).rejects.toMatchObject({
    code: "BlobCorrupt",
    message: expect.stringContaining(input.reference!),
  });
  await expect(run(input)).rejects.toMatchObject({ code: "BlobNotFound" });
});

test("a stored run that is none fails with why, and a caller who gives up is heard", async () => {
  const input = { ...(await stored(20)), result: await blobs.put("no JSON") };
  await expect(run(input)).rejects.toThrow(/not valid JSON/);
  const stop = new AbortController();
  stop.abort(new Error("the controller stops"));
  await expect(run(await stored(20), stop.signal)).rejects.toThrow("the controller stops");
});
