import { expect, it } from "vitest";
import { mask, maskText } from "./mask.ts";

const sha = "0123456789".repeat(4);
const names = new Map([
  [sha, "<head>"],
  ["crash-1a2b", "<namespace>"],
]);

it("drops what time and chance decide, and keeps the rest", () => {
  const object = {
    metadata: { name: "r", namespace: "crash-1a2b", uid: "u", resourceVersion: "7", generation: 2 },
    spec: { commit: sha },
    status: {
      conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }],
      calls: { made: 9, saved: 3 },
    },
  };
  expect(mask(object, names)).toEqual({
    metadata: { name: "r", namespace: "<namespace>", generation: 2 },
    spec: { commit: "<head>" },
    status: { conditions: [{ type: "Ready", status: "True" }], calls: { total: 12 } },
  });
});

it("masks short commits, times and how calls divide, in text", () => {
  expect(maskText(`head ${sha.slice(0, 8)}, p50 31 ms, 12 model calls made, 24 saved`, names)).toBe(
    "head <head>, p50 TIME, 36 calls",
  );
});
