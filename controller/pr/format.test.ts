import { describe, expect, test } from "vitest";
import {
  change,
  count,
  difference,
  distance,
  dollars,
  interval,
  milliseconds,
  points,
  value,
} from "./format.ts";

describe("a value", () => {
  test.each([
    ["pass-rate", 0.8416, "84.2 %"],
    ["pass-rate", undefined, "–"],
    ["score", 0.5, "0.500"],
    ["latency", 412.4, "412 ms"],
    ["latency", 12_345, "12.3 s"],
    ["cost", 0.00000515, "0.00515 USD/1k"],
    ["cost", 0, "0 USD/1k"],
    ["tokens", 12_345.678, "12,350"],
  ])("of %s %d is %s", (metric, amount, text) => {
    expect(value(metric, amount)).toBe(text);
  });
});

describe("a difference", () => {
  test.each([
    ["pass-rate", -0.23, "−23.0", "−23.0 points"],
    ["pass-rate", 0.00001, "±0.0", "±0.0 points"],
    ["latency", 118, "+118 ms", "+118 ms"],
    ["latency", 0, "±0 ms", "±0 ms"],
    ["cost", 0.0000041, "+0.0041", "+0.0041 USD/1k"],
    ["score", -0.1234, "−0.123", "−0.123"],
    ["score", undefined, "–", "–"],
  ])("of %s by %d is %s", (metric, amount, short, long) => {
    expect(difference(metric, amount)).toBe(short);
    expect(points(metric, amount)).toBe(long);
  });

  test("has a size without a sign", () => {
    expect(distance("pass-rate", -0.05)).toBe("5.0 points");
    expect(distance("latency", 60)).toBe("60 ms");
  });
});

test("an interval says its unit once, and is a dash where there is none", () => {
  expect(interval({ metric: "pass-rate", lower: -0.331, upper: -0.19 })).toBe("−33.1 … −19.0");
  expect(interval({ metric: "latency", lower: 187, upper: 257 })).toBe("+187 … +257 ms");
  expect(interval({ metric: "latency", lower: -9_000, upper: 12_000 })).toBe("−9000 ms … +12.0 s");
  expect(interval({ metric: "pass-rate", lower: -0.1 })).toBe("–");
});

test.each([
  [412, 530, "+118 ms (+29 %)"],
  [530, 412, "−118 ms (−22 %)"],
  [412, 412.001, "±0"],
  [470, 473, "+3.0 ms (+0.6 %)"],
  [0, 12, "+12 ms"],
])("from %d to %d ms is %s", (base, head, text) => {
  expect(change(base, head, milliseconds)).toBe(text);
});

test("money never shows the sign that begins a formula, nor an exponent", () => {
  expect(dollars(0.00000012)).toBe("0.00000012 USD");
  expect(dollars(1234.5)).toBe("1,230 USD");
});

test.each([
  [0, "0 cases"],
  [1, "1 case"],
  [1_200, "1,200 cases"],
])("%d is %s", (n, text) => {
  expect(count(n, "case")).toBe(text);
});
