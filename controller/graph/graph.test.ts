import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { CustomResource } from "../../schemas/kind.ts";
import { minimalModel, minimalPrompt, minimalSuite, object } from "../../test/graph-objects.ts";
import { sideRevisionOf } from "../eval/side.ts";
import type { Behaviour, Edge, EdgeType } from "./behaviour.ts";
import { buildGraph, type GraphNode, nodeKey } from "./graph.ts";
import { impactOf, sideRevision } from "./impact.ts";

interface TestSpec {
  readonly text: string;
  readonly edges: readonly { readonly to: string; readonly type: EdgeType }[];
}

// A kind whose edges are free, because the real ones make neither chains nor cycles.
vi.mock(import("./behaviour.ts"), async (original) => {
  const real = await original();
  const node: Behaviour<TestSpec> = {
    version: 1,
    fields: ({ text }) => ({ text }),
    edges: (spec) =>
      spec.edges.map(
        ({ to, type }, i): Edge => ({ type, kind: "Node", name: to, field: `spec.edges[${i}]` }),
      ),
  };
  return { ...real, BEHAVIOURS: { ...real.BEHAVIOURS, Node: node as Behaviour<never> } };
});

const node = (name: string, edges: TestSpec["edges"] = [], text = ""): CustomResource<TestSpec> => ({
  apiVersion: "slipway.dev/v1alpha1",
  kind: "Node",
  metadata: { name },
  spec: { text, edges },
});
const content = (to: string) => ({ to, type: "content" as const });
const observes = (to: string) => ({ to, type: "observes" as const });

const suiteOf = (graph: ReturnType<typeof buildGraph>) => graph.nodes.get("EvalSuite/support") as GraphNode;

describe("buildGraph", () => {
  it("orders dependencies first, whatever the order of files", () => {
    const objects = [minimalSuite(), minimalPrompt(), minimalModel()];
    const order = buildGraph(objects).order;
    expect(order.at(-1)).toBe("EvalSuite/support");
    expect(buildGraph(objects.toReversed()).order).toEqual(order);
  });

  it("leaves what is in another namespace to the cluster: no problem, no revision, not mixed up with its own", () => {
    const dataset = (name: string, datasetRef: { name: string; namespace?: string }) =>
      object("Dataset", name, {
        format: "completion",
        sources: [{ name: "s", datasetRef }],
      });
    const graph = buildGraph([
      dataset("rows", { name: "rows", namespace: "data" }),
      dataset("more", { name: "rows" }),
    ]);
    expect([...graph.nodes.values()].flatMap(({ problems }) => problems)).toEqual([]);
    expect(graph.nodes.get("Dataset/rows")?.revision).toBeUndefined();
    expect(graph.order).toEqual(["Dataset/rows", "Dataset/more"]);
  });

  it("reports a missing reference with its field, and not when it exists elsewhere", () => {
    const objects = [minimalSuite("support", "gone"), minimalModel()];
    expect(suiteOf(buildGraph(objects)).problems).toEqual([
      {
        code: "MissingReference",
        field: "spec.targets[0].promptRef.name",
        message: 'PromptTemplate "gone" is not in the repository',
      },
    ]);
    const external = (kind: string, name: string) =>
      kind === "PromptTemplate" && name === "gone" ? "f".repeat(64) : undefined;
    expect(suiteOf(buildGraph(objects, external)).problems).toEqual([]);
  });

  it("leaves the revision open when a judge is missing, but not when a target is", () => {
    const judged = object("EvalSuite", "support", {
      ...minimalSuite().spec,
      judge: { modelRef: { name: "gone" } },
    });
    expect(suiteOf(buildGraph([judged])).revision).toBeUndefined();
    expect(suiteOf(buildGraph([minimalSuite()])).revision).toMatch(/^[0-9a-f]{64}$/);
  });

  it("uses the external revision of a judge", () => {
    const judged = object("EvalSuite", "support", {
      ...minimalSuite().spec,
      judge: { modelRef: { name: "elsewhere" } },
    });
    const revisions = ["1", "2"].map(
      (digit) => suiteOf(buildGraph([judged], () => digit.repeat(64))).revision,
    );
    expect(new Set(revisions).size).toBe(2);
  });

  it("changes everything that is made from a change, and nothing else", () => {
    const graph = (text: string) =>
      buildGraph([
        node("a", [], text),
        node("b", [content("a")]),
        node("c", [content("b")]),
        node("watcher", [observes("c")]),
        node("other"),
      ]);
    const [before, after] = [graph("one"), graph("two")];
    const changed = [...before.nodes.keys()].filter(
      (key) => before.nodes.get(key)?.revision !== after.nodes.get(key)?.revision,
    );
    expect(changed.sort()).toEqual(["Node/a", "Node/b", "Node/c"]);
  });

  it("does not change a dependent when its dependency is renamed", () => {
    const graph = (name: string) => buildGraph([node(name, [], "same"), node("top", [content(name)])]);
    expect(graph("one").nodes.get("Node/top")?.revision).toBe(graph("two").nodes.get("Node/top")?.revision);
  });

  it("reports a cycle of content edges once, and resolves nothing that is in it", () => {
    const graph = buildGraph([
      node("a", [content("b")]),
      node("b", [content("c")]),
      node("c", [content("a")]),
      node("top", [content("a")]),
      node("free"),
    ]);
    const problems = [...graph.nodes.values()].flatMap((item) => item.problems);
    expect(problems).toEqual([
      {
        code: "Cycle",
        field: "spec.edges[0]",
        message: "Node/c is made from Node/a, which is made from Node/c",
      },
    ]);
    for (const name of ["a", "b", "c", "top"]) {
      expect(graph.nodes.get(`Node/${name}`)?.revision).toBeUndefined();
    }
    expect(graph.nodes.get("Node/free")?.revision).toMatch(/^[0-9a-f]{64}$/);
    expect([...graph.order].sort()).toEqual(["Node/a", "Node/b", "Node/c", "Node/free", "Node/top"]);
  });

  it("takes a node that refers to itself for a cycle", () => {
    const [only] = buildGraph([node("a", [content("a")])]).nodes.values();
    expect(only?.problems.map((problem) => problem.code)).toEqual(["Cycle"]);
  });

  it("allows cycles that are not content, and puts content first in them", () => {
    const graph = buildGraph([node("a", [observes("b")]), node("b", [content("a")])]);
    expect([...graph.nodes.values()].flatMap((item) => item.problems)).toEqual([]);
    expect(graph.order).toEqual(["Node/a", "Node/b"]);
  });

  it("bears chains as long as a repository may have objects", () => {
    const names = Array.from({ length: 4000 }, (_, i) => `n${i}`);
    const objects = names.map((name, i) => node(name, i === 0 ? [] : [content(`n${i - 1}`)]));
    const graph = buildGraph(objects);
    expect(graph.order).toHaveLength(4000);
    expect(graph.nodes.get("Node/n3999")?.revision).toMatch(/^[0-9a-f]{64}$/);
    const backwards = buildGraph(names.map((name, i) => node(name, [content(`n${i + 1}`)])));
    expect(backwards.order).toHaveLength(4000);
  });

  const edge = fc.record({
    from: fc.nat(11),
    to: fc.nat(11),
    type: fc.constantFrom<EdgeType>("content", "gate", "observes"),
  });
  const graphOf = (edges: readonly { from: number; to: number; type: EdgeType }[]) =>
    buildGraph(
      Array.from({ length: 12 }, (_, i) =>
        node(
          `n${i}`,
          edges.filter(({ from }) => from === i).map(({ to, type }) => ({ to: `n${to}`, type })),
          String(i),
        ),
      ),
    );

  it("is total, and orders every acyclic set of content edges dependencies first", () => {
    fc.assert(
      fc.property(fc.array(edge, { maxLength: 40 }), (edges) => {
        // Content edges go down only, so that they are acyclic; the others go anywhere.
        const acyclic = edges.filter(({ type, from, to }) => type !== "content" || to < from);
        const graph = graphOf(acyclic);
        const place = new Map(graph.order.map((key, i) => [key, i]));
        expect(place.size).toBe(12);
        for (const { from, to, type } of acyclic) {
          if (type !== "content") continue;
          expect(place.get(nodeKey("Node", `n${to}`))).toBeLessThan(
            place.get(nodeKey("Node", `n${from}`)) ?? -1,
          );
        }
        for (const item of graph.nodes.values()) {
          expect(item.problems).toEqual([]);
          expect(item.revision).toBeDefined();
        }
      }),
      { numRuns: 300 },
    );
  });

  it("resolves exactly what no cycle is below, for any edges", () => {
    fc.assert(
      fc.property(fc.array(edge, { maxLength: 30 }), (edges) => {
        const graph = graphOf(edges);
        const below = (from: number, seen = new Set<number>()): Set<number> => {
          for (const next of edges) {
            if (next.type !== "content" || next.from !== from || seen.has(next.to)) continue;
            seen.add(next.to);
            below(next.to, seen);
          }
          return seen;
        };
        const inCycle = Array.from({ length: 12 }, (_, i) => below(i).has(i));
        for (let i = 0; i < 12; i += 1) {
          const open = inCycle[i] || [...below(i)].some((j) => inCycle[j]);
          expect(graph.nodes.get(`Node/n${i}`)?.revision === undefined).toBe(open);
        }
        expect(graph.order).toHaveLength(12);
        const cycles = [...graph.nodes.values()].filter((item) => item.problems.length > 0);
        expect(cycles.length > 0).toBe(inCycle.some(Boolean));
      }),
      { numRuns: 300 },
    );
  });
});

describe("impactOf", () => {
  const base = [
    minimalSuite(),
    minimalPrompt(),
    minimalModel(),
    minimalSuite("other", "other"),
    minimalPrompt("other"),
  ];
  const impact = (head: readonly CustomResource<unknown>[]) => impactOf(buildGraph(base), buildGraph(head));
  const replace = (...changed: CustomResource<unknown>[]) => [
    ...base.filter((o) => !changed.some((c) => c.kind === o.kind && c.metadata.name === o.metadata.name)),
    ...changed,
  ];

  it("is empty when nothing changes, whatever the order", () => {
    expect(impact(base.toReversed())).toEqual({ changes: [], suites: [], suiteEdits: [] });
  });

  it("names exactly the prompt with the changed word and the suites that use it", () => {
    const result = impact(replace(minimalPrompt("triage", "Answer now: {{question}}")));
    expect(result.changes.map(({ key, change }) => [key, change])).toEqual([
      ["PromptTemplate/triage", "changed"],
    ]);
    expect(result.suites).toHaveLength(1);
    const [suite] = result.suites;
    expect(suite).toMatchObject({ suite: "support", via: ["PromptTemplate/triage"] });
    expect(suite?.baseSide).toMatch(/^[0-9a-f]{64}$/);
    expect(suite?.headSide).toMatch(/^[0-9a-f]{64}$/);
    expect(suite?.headSide).not.toBe(suite?.baseSide);
    expect(result.suiteEdits).toEqual([]);
  });

  it("names every suite of a changed deployment", () => {
    const { suites } = impact(replace(minimalModel("small", "llama-3.2-3b")));
    expect(suites.map(({ suite }) => suite)).toEqual(["other", "support"]);
  });

  it("calls a new price a setting, which touches no suite", () => {
    const repriced = object("ModelDeployment", "small", {
      type: "External",
      external: {
        baseURL: "https://models.example.com/v1",
        model: "llama-3.2-1b",
        pricing: { inputPerMillionTokens: "1", outputPerMillionTokens: "2" },
      },
    });
    const result = impact(replace(repriced));
    expect(result.changes.map(({ key, change }) => [key, change])).toEqual([
      ["ModelDeployment/small", "settings"],
    ]);
    expect(result.suites).toEqual([]);
  });

  it("keeps the base's suite when the head removes its prompt, with no side to evaluate", () => {
    const result = impact(base.filter((item) => item.metadata.name !== "triage"));
    expect(result.changes.map(({ key, change }) => [key, change])).toEqual([
      ["PromptTemplate/triage", "removed"],
    ]);
    expect(result.suites).toMatchObject([{ suite: "support", headSide: undefined }]);
  });

  it("shows edits of suites apart, and lets the base's suite decide", () => {
    const easier = object("EvalSuite", "support", {
      ...minimalSuite().spec,
      assert: [{ type: "contains", value: "" }],
    });
    const result = impact(replace(easier, minimalSuite("brand-new")));
    expect(result.suiteEdits.map(({ key, change }) => [key, change])).toEqual([
      ["EvalSuite/brand-new", "added"],
      ["EvalSuite/support", "changed"],
    ]);
    expect(result.suites).toEqual([]);
  });

  it("does not call a change harmless when neither side's revision is known", () => {
    const unresolved = (path: string) =>
      object("EvalSuite", "support", { ...minimalSuite().spec, cases: { files: [{ path }] } });
    const [one, two] = [unresolved("a.jsonl"), unresolved("b.jsonl")];
    const result = impactOf(buildGraph([one]), buildGraph([two]));
    expect(result.changes).toMatchObject([{ key: "EvalSuite/support", change: "changed" }]);
  });
});

describe("sideRevision", () => {
  it("is unknown when a target is", () => {
    expect(sideRevision(minimalSuite().spec, buildGraph([minimalPrompt()]))).toBeUndefined();
  });

  it("equals what an evaluation bundle of the same targets says", () => {
    const prompt = minimalPrompt();
    const model = minimalModel();
    const graph = buildGraph([prompt, model]);
    const revisionOf = (key: string) => graph.nodes.get(key)?.revision ?? "";
    const bundled = sideRevisionOf({
      targets: [
        {
          name: "main",
          prompt: { name: "triage", revision: revisionOf("PromptTemplate/triage") },
          model: { name: "small", revision: revisionOf("ModelDeployment/small") },
        },
      ],
    } as unknown as Parameters<typeof sideRevisionOf>[0]);
    expect(sideRevision(minimalSuite().spec, graph)).toBe(bundled);
  });
});
