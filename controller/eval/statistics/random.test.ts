import { describe, expect, it } from "vitest";
import { Xoshiro128 } from "./random.ts";
import reference from "./testdata/reference.json" with { type: "json" };

function draw(generator: Xoshiro128, count: number): number[] {
  const words = new Int32Array(count);
  generator.fill(words);
  return Array.from(words, (word) => word >>> 0);
}

describe("Xoshiro128", () => {
  it("gives the known sequence for the state 1, 2, 3, 4 (Rust's rand_xoshiro, from the authors' C code)", () => {
    expect(draw(new Xoshiro128([1, 2, 3, 4]), 10)).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it.each(reference.random)("is seeded by SplitMix64: $seed", ({ seed, words }) => {
    expect(draw(Xoshiro128.fromSeed(seed), words.length)).toEqual(words);
  });

  it("goes on where the last fill ended", () => {
    const whole = draw(Xoshiro128.fromSeed(7), 9);
    const parts = Xoshiro128.fromSeed(7);
    expect([...draw(parts, 4), ...draw(parts, 5)]).toEqual(whole);
  });
});
