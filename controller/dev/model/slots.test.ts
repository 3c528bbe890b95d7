import { describe, expect, it } from "vitest";
import { chooseSlot, commonPrefix } from "./slots.ts";

const idle = (usedAt: number, ...tokens: number[]) => ({ tokens, usedAt, busy: false });
const busy = (usedAt: number, ...tokens: number[]) => ({ tokens, usedAt, busy: true });

describe("commonPrefix", () => {
  it("counts equal leading tokens", () => {
    expect(commonPrefix([1, 2, 3], [1, 2, 4])).toBe(2);
    expect(commonPrefix([1, 2], [1, 2, 4])).toBe(2);
    expect(commonPrefix([], [1])).toBe(0);
  });
});

describe("chooseSlot", () => {
  it("takes the slot that holds most of the prompt", () => {
    expect(chooseSlot([1, 2, 3, 4], [idle(1), idle(9, 1, 2, 3), idle(5, 1, 2)])).toBe(1);
  });

  it("does not overwrite another prompt for the sake of a short shared start", () => {
    expect(chooseSlot([1, 7, 8, 9], [idle(1, 1, 2, 3, 4), idle(0)])).toBe(1);
  });

  it("takes the least recently used slot when none holds the prompt", () => {
    expect(chooseSlot([5, 6], [idle(3, 1), idle(2, 2), idle(4, 3)])).toBe(1);
  });

  it("passes over busy slots", () => {
    expect(chooseSlot([1, 2], [busy(1, 1, 2), idle(2, 9)])).toBe(1);
    expect(chooseSlot([1, 2], [busy(1), busy(2)])).toBeUndefined();
  });

  it("keeps two prompts that alternate apart", () => {
    const base = [1, 2, 3, 4];
    const head = [1, 5, 6, 7];
    const slots = [idle(1, ...base, 10), idle(2, ...head, 11)];
    expect(chooseSlot([...base, 20], slots)).toBe(0);
    expect(chooseSlot([...head, 20], slots)).toBe(1);
  });
});
