import { expect, test } from "vitest";
import { costOf, dollars, formatMoney, toNumber } from "./cost.ts";

const pricing = { inputPerMillionTokens: "0.15", outputPerMillionTokens: "0.6000000001" };

test("a call's cost is exact", () => {
  const cost = costOf({ promptTokens: 3, completionTokens: 7 }, pricing)!;
  expect(formatMoney(cost)).toBe("0.0000046500000007");
  expect(toNumber(cost)).toBeCloseTo(4.65e-6, 12);
});

test("a million calls of a tenth of a cent add up without error", () => {
  const one = costOf(
    { promptTokens: 10_000, completionTokens: 0 },
    { ...pricing, inputPerMillionTokens: "0.1" },
  )!;
  expect(formatMoney(one * 1_000_000n)).toBe("1000");
});

test("without price or usage it is unknown, not nothing", () => {
  expect(costOf(undefined, pricing)).toBeUndefined();
  expect(costOf({ promptTokens: 1, completionTokens: 1 }, undefined)).toBeUndefined();
});

test.each(["0", "1", "12.5", "0.0000000001", "999999999999.9999999999"])(
  "%s survives reading and writing",
  (text) => {
    expect(formatMoney(dollars(text))).toBe(text);
  },
);
