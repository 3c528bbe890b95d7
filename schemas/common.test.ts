import { expect, test } from "vitest";
import { durationMs } from "./common.ts";

test.each([
  ["1h30m", 5_400_000],
  ["250ms", 250],
  ["99999999999h", 2 ** 31 - 1],
  ["9".repeat(31).concat("h"), 2 ** 31 - 1],
])("%s are %i ms, never more than a timer holds", (text, expected) => {
  expect(durationMs(text)).toBe(expected);
});
