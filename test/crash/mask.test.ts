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

it("masks short commits, latencies and how calls divide, in text", () => {
  expect(maskText(`head ${sha.slice(0, 8)}, after 1.5 s`, names)).toBe("head <head>, after TIME");
  expect(maskText("| rate | 1 | 2 |\n| latency, median | 31 ms | 30 ms | −1 ms (−3 %) |\nend", names)).toBe(
    "| rate | 1 | 2 |\n| LATENCY |\nend",
  );
  const calls = (text: string) => maskText(`12 cases · ${text}`, names);
  expect(calls("12 calls made, 12 saved, 0 repeated · cost unknown")).toBe("12 cases · 24 calls");
  expect(calls("1 call made, 23 saved, 0 repeated · cost unknown")).toBe("12 cases · 24 calls");
  expect(calls("1 model call made, 23 saved by the cache")).toBe("12 cases · 24 calls by the cache");
  expect(calls("0 calls made, 24 saved, 0 repeated · 0 USD")).toBe("12 cases · 24 calls");
});
