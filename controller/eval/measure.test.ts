import { expect, test } from "vitest";
import { describeCase, measureCase, type Observation } from "./measure.ts";

test("when the result is full, failing answers keep their beginning and passing ones nothing", () => {
  const observation = (pass: boolean): Observation => ({
    pass,
    score: Number(pass),
    metrics: {},
    output: "x".repeat(5_000),
    failed: [],
  });
  const asked: number[] = [];
  const output = (pass: boolean, room: boolean) =>
    describeCase(measureCase([observation(pass)]), [observation(pass)], (characters) => {
      asked.push(characters);
      return room;
    }).output?.length;
  expect([output(false, true), output(true, true)]).toEqual([2_000, 2_000]);
  expect([output(false, false), output(true, false)]).toEqual([200, undefined]);
  expect(asked).toEqual([2_000, 2_000, 2_000, 2_000]);
});
