import { expect, it } from "vitest";
import { describePoint, KillSwitch, parsePoint } from "./kill-switch.ts";

it("dies at each of its points once, also counting on from another process", () => {
  const points = ["a#2:before", "b c#1:after"].map(parsePoint);
  expect(points.map(describePoint)).toEqual(["a#2:before", "b c#1:after"]);
  const first = new KillSwitch(points);
  expect(["a", "b c", "b c", "a", "a"].map((site) => first.enter(site))).toEqual([
    undefined,
    "after",
    undefined,
    "before",
    undefined,
  ]);
  const next = new KillSwitch(points, first.counts);
  expect(["a", "b c"].map((site) => next.enter(site))).toEqual([undefined, undefined]);
  expect(new KillSwitch(points, new Map([["a", 1]])).enter("a")).toBe("before");
});
