import { describe, expect, test } from "vitest";
import type { Dataset } from "../../../schemas/dataset.ts";
import { cycleMessage, cycleOf } from "./cycle.ts";

/** @param made what each Dataset is made from: `a` of the namespace team, `data/b` of another */
function cycle(made: Readonly<Record<string, readonly string[]>>, of = "a") {
  const split = (key: string): [string, string] =>
    key.includes("/") ? (key.split("/") as [string, string]) : ["team", key];
  const all = new Map(
    Object.entries(made).map(([key, from]) => {
      const [namespace, name] = split(key);
      const sources = from.map((each) => {
        const [other, ref] = split(each);
        return { name: "s", datasetRef: { name: ref, ...(other === namespace ? {} : { namespace: other }) } };
      });
      return [
        `${namespace}/${name}`,
        { metadata: { namespace, name }, spec: { sources } } as unknown as Dataset,
      ];
    }),
  );
  return cycleOf(all.get(`team/${of}`)!, (namespace, name) => all.get(`${namespace}/${name}`));
}
const names = (found: ReturnType<typeof cycle>) => found?.map(({ name }) => name);

describe("a cycle", () => {
  test("is found at any length, by the shortest way", () => {
    expect(names(cycle({ a: ["a"] }))).toEqual(["a"]);
    expect(names(cycle({ a: ["b"], b: ["c"], c: ["a"] }))).toEqual(["b", "c", "a"]);
    expect(names(cycle({ a: ["b", "c"], b: ["c"], c: ["a"] }))).toEqual(["c", "a"]);
  });

  test("is none where the Dataset only waits for one, shares an upstream, or what is missing", () => {
    expect(cycle({ a: ["b"], b: ["c"], c: ["b"] })).toBeUndefined();
    expect(cycle({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] })).toBeUndefined();
    expect(cycle({ a: ["gone"] })).toBeUndefined();
  });

  test("crosses namespaces, whose names are not told", () => {
    const found = cycle({ a: ["data/b"], "data/b": ["secret/c"], "secret/c": ["team/a"] });
    expect(names(found)).toEqual(["b", "c", "a"]);
    expect(cycleMessage("a", found!)).toBe(
      "Dataset a is made from itself: a from data/b from one of another namespace from a; take one of these references out",
    );
  });
});
