import { describe, expect, it } from "vitest";
import { minimalModel, minimalPrompt, minimalSuite } from "../../test/graph-objects.ts";
import { buildGraph, type GraphNode } from "../graph/graph.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/kube-error.ts";
import type { KubeObject, ResourceType } from "../kube/resources.ts";
import { type ApplyTarget, applyNodes, pruneEntries, resourceTypeOf, stagesOf } from "./apply.ts";
import { inventoryId } from "./plan.ts";

const nodesOf = (graph: ReturnType<typeof buildGraph>) =>
  graph.order.map((key) => graph.nodes.get(key)).filter((node): node is GraphNode => node !== undefined);
const three = () => nodesOf(buildGraph([minimalSuite(), minimalPrompt(), minimalModel()]));
const keys = (nodes: readonly GraphNode[]) => nodes.map((node) => node.key);

type Answer = (call: string) => Error | undefined;

/** An API server as far as these functions look at it. */
function target(answer: Answer = () => undefined) {
  const calls: string[] = [];
  const bodies: KubeObject[] = [];
  const call = async (name: string) => {
    calls.push(name);
    await new Promise((resolve) => setImmediate(resolve));
    const error = answer(name);
    if (error) throw error;
  };
  const client = {
    apply: async (
      type: ResourceType,
      object: KubeObject,
      options: { dryRun: boolean; force: boolean; fieldValidation: string },
    ) => {
      expect(options).toMatchObject({ force: true, fieldValidation: "Strict", fieldManager: "slipway" });
      bodies.push(object);
      await call(`${options.dryRun ? "dry " : ""}${type.kind}/${object.metadata.name}`);
      return { ...object, metadata: { ...object.metadata, uid: "new" } };
    },
    delete: (
      type: ResourceType,
      namespace: string,
      name: string,
      options: { preconditions: { uid: string } },
    ) => call(`delete ${namespace} ${type.kind}/${name} ${options.preconditions.uid}`),
  } as unknown as KubeClient;
  const to: ApplyTarget = {
    client,
    namespace: "team",
    repository: "app",
    signal: new AbortController().signal,
  };
  return { to, calls, bodies };
}

describe("stagesOf", () => {
  it("puts dependencies into earlier stages", () => {
    expect(stagesOf(three()).map(keys)).toEqual([
      ["ModelDeployment/small", "PromptTemplate/triage"],
      ["EvalSuite/support"],
    ]);
  });

  it("makes one stage of what refers to nothing that is applied", () => {
    const suites = nodesOf(buildGraph([minimalSuite("a"), minimalSuite("b")]));
    expect(stagesOf(suites).map(keys)).toEqual([["EvalSuite/a", "EvalSuite/b"]]);
    expect(stagesOf([])).toEqual([]);
  });
});

describe("applyNodes", () => {
  it("tries everything before it writes anything, and writes dependencies first", async () => {
    const { to, calls, bodies } = target();
    const outcome = await applyNodes(three(), to);
    expect(calls.slice(0, 3).every((call) => call.startsWith("dry "))).toBe(true);
    expect(calls.slice(3)).toEqual(["ModelDeployment/small", "PromptTemplate/triage", "EvalSuite/support"]);
    expect([...outcome.applied.keys()]).toEqual(calls.slice(3));
    expect(outcome.failed.size).toBe(0);
    for (const { metadata } of bodies) {
      expect(metadata).toMatchObject({
        namespace: "team",
        labels: { "app.kubernetes.io/managed-by": "slipway", "slipway.dev/repository": "app" },
      });
    }
  });

  it("writes neither what its dry run refuses nor what refers to it", async () => {
    const refuse: Answer = (call) =>
      call === "dry PromptTemplate/triage" ? new KubeError(422, "Invalid", "spec.x: wrong") : undefined;
    const { to, calls } = target(refuse);
    const { applied, failed } = await applyNodes(three(), to);
    expect([...applied.keys()]).toEqual(["ModelDeployment/small"]);
    expect(Object.fromEntries(failed)).toEqual({
      "PromptTemplate/triage": "spec.x: wrong",
      "EvalSuite/support": "refers to PromptTemplate/triage, which was refused",
    });
    expect(calls.filter((call) => !call.startsWith("dry "))).toEqual(["ModelDeployment/small"]);
  });

  it("holds back what refers to something that is refused only when it is written", async () => {
    const { to } = target((call) =>
      call === "ModelDeployment/small" ? new KubeError(403, "Forbidden", "no") : undefined,
    );
    const { applied, failed } = await applyNodes(three(), to);
    expect([...applied.keys()]).toEqual(["PromptTemplate/triage"]);
    expect([...failed.keys()]).toEqual(["ModelDeployment/small", "EvalSuite/support"]);
  });

  it("gives up as a whole on an error that may pass, and writes nothing after it was told", async () => {
    const many = nodesOf(buildGraph(Array.from({ length: 40 }, (_, i) => minimalPrompt(`p${i}`))));
    const { to, calls } = target((call) =>
      call === "dry PromptTemplate/p0" ? new KubeError(503, "Unavailable", "later") : undefined,
    );
    await expect(applyNodes(many, to)).rejects.toMatchObject({ status: 503 });
    const after = calls.length;
    expect(after).toBeLessThan(40);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(calls).toHaveLength(after);
  });
});

describe("pruneEntries", () => {
  const entry = (kind: string, name: string, uid?: string) => ({
    id: inventoryId("team", name, kind),
    version: "v1alpha1",
    digest: "x",
    ...(uid ? { uid } : {}),
  });
  const all = [
    entry("ModelDeployment", "m", "1"),
    entry("PromptTemplate", "p", "2"),
    entry("EvalSuite", "s", "3"),
  ];

  it("deletes dependents first, each only while it is the object we applied", async () => {
    const { to, calls } = target();
    expect(await pruneEntries(all, to)).toEqual([]);
    expect(calls).toEqual([
      "delete team EvalSuite/s 3",
      "delete team PromptTemplate/p 2",
      "delete team ModelDeployment/m 1",
    ]);
  });

  it("asks nothing for what was never made", async () => {
    const { to, calls } = target();
    expect(await pruneEntries([entry("PromptTemplate", "p")], to)).toEqual([]);
    expect(calls).toEqual([]);
  });

  it.each([
    ["gone", new KubeError(404, "NotFound", "x")],
    ["another object by now", new KubeError(409, "Conflict", "x")],
  ])("is content with what is %s", async (_, error) => {
    const { to } = target(() => error);
    expect(await pruneEntries(all, to)).toEqual([]);
  });

  it("says what could not be deleted, and goes on", async () => {
    const { to, calls } = target((call) =>
      call.includes("EvalSuite") ? new KubeError(403, "Forbidden", "not yours") : undefined,
    );
    const unknown = entry("Retired", "r", "4");
    const failed = await pruneEntries([...all, unknown], to);
    expect(failed.map(({ entry: { id }, message }) => [id, message])).toEqual([
      [unknown.id, expect.stringContaining("Retired")],
      [all[2]?.id, expect.stringContaining("not yours")],
    ]);
    expect(calls).toHaveLength(3);
  });
});

describe("resourceTypeOf", () => {
  it("knows our kinds and no others", () => {
    expect(resourceTypeOf("EvalSuite")).toEqual({
      group: "slipway.dev",
      version: "v1alpha1",
      kind: "EvalSuite",
      plural: "evalsuites",
      namespaced: true,
    });
    expect(() => resourceTypeOf("Secret")).toThrow(/no kind Secret/);
  });
});
