import { describe, expect, it } from "vitest";
import type { InventoryEntry } from "../../schemas/repository.ts";
import { minimalModel, minimalPrompt, minimalSuite } from "../../test/graph-objects.ts";
import { buildGraph, nodeKey, specDigestOf } from "../graph/graph.ts";
import {
  desiredObject,
  inventoryId,
  type LiveObject,
  type PlanInput,
  parseInventoryId,
  planSync,
} from "./plan.ts";

const prompt = minimalPrompt();
const model = minimalModel();
const suite = minimalSuite();
const graph = buildGraph([prompt, model, suite]);
const ALL = ["ModelDeployment/small", "PromptTemplate/triage", "EvalSuite/support"];
const idOf = (key: string) => {
  const [kind = "", name = ""] = key.split("/");
  return inventoryId("team", name, kind);
};

/** A cluster in which everything was applied by Repository `app`, and what of it the test changes. */
function input(
  change: {
    readonly graph?: PlanInput["graph"];
    readonly held?: ReadonlyMap<string, string>;
    readonly hasErrors?: boolean;
    readonly incomplete?: boolean;
    readonly settings?: Partial<PlanInput["settings"]>;
    /** undefined takes the object away. */
    readonly live?: Readonly<Record<string, Partial<LiveObject> | undefined>>;
    readonly applied?: Readonly<Record<string, Partial<ReturnType<PlanInput["applied"]>> | undefined>>;
    readonly inventory?: readonly InventoryEntry[];
  } = {},
): PlanInput {
  const entry = (key: string): InventoryEntry => ({
    id: idOf(key),
    version: "v1alpha1",
    uid: `uid-${key}`,
    digest: graph.nodes.get(key)?.specDigest ?? "old",
  });
  return {
    repository: "app",
    namespace: "team",
    graph: change.graph ?? graph,
    held: change.held ?? new Map(),
    hasErrors: change.hasErrors ?? false,
    incomplete: change.incomplete ?? false,
    inventory: change.inventory ?? ALL.map(entry),
    settings: { prune: true, deletionBudget: 20, onInvalid: "SkipDependents", ...change.settings },
    live: (kind, name) => {
      const key = nodeKey(kind, name);
      if (change.live && key in change.live && change.live[key] === undefined) return undefined;
      if (!ALL.includes(key) && !change.live?.[key]) return undefined;
      return {
        uid: `uid-${key}`,
        repository: "app",
        fieldsHash: `fields-${key}`,
        deleting: false,
        ready: true,
        ...change.live?.[key],
      };
    },
    applied: (id) => {
      const { kind, name } = parseInventoryId(id);
      const key = nodeKey(kind, name);
      if (!ALL.includes(key)) return undefined;
      if (change.applied && key in change.applied && change.applied[key] === undefined) return undefined;
      return {
        uid: `uid-${key}`,
        specDigest: graph.nodes.get(key)?.specDigest ?? "",
        fieldsHash: `fields-${key}`,
        ...change.applied?.[key],
      };
    },
  };
}

const keys = (plan: ReturnType<typeof planSync>) => ({
  apply: plan.apply.map((node) => node.key),
  conflicts: plan.conflicts.map(({ key, owner }) => `${key}: ${owner}`),
  prune: plan.prune.map(({ id }) => id),
  held: plan.pruneHeld?.reason,
  inventory: plan.inventory.map(({ id, uid }) => `${id} ${uid ?? "-"}`).sort(),
});
const IDS = ALL.map((key) => `${idOf(key)} uid-${key}`).sort();
const NOTHING = { apply: [], conflicts: [], prune: [], held: undefined, inventory: IDS };

describe("what to apply", () => {
  it("nothing when everything is as it was left", () => {
    expect(keys(planSync(input()))).toEqual(NOTHING);
  });

  it("everything, dependencies first, into an empty namespace, and notes it ahead without a uid", () => {
    const plan = planSync(
      input({
        inventory: [],
        live: Object.fromEntries(ALL.map((key) => [key, undefined])),
        applied: Object.fromEntries(ALL.map((key) => [key, undefined])),
      }),
    );
    expect(keys(plan)).toEqual({
      ...NOTHING,
      apply: ALL,
      inventory: ALL.map((key) => `${idOf(key)} -`).sort(),
    });
    expect(plan.inventory.map(({ digest }) => digest).sort()).toEqual(
      [prompt, model, suite].map(specDigestOf).sort(),
    );
  });

  it.each<[string, Parameters<typeof input>[0]]>([
    ["somebody changed a field of ours", { live: { "PromptTemplate/triage": { fieldsHash: "other" } } }],
    ["somebody took all our fields", { live: { "PromptTemplate/triage": { fieldsHash: undefined } } }],
    ["it was made again by hand with our label", { live: { "PromptTemplate/triage": { uid: "new" } } }],
    ["it was deleted by hand", { live: { "PromptTemplate/triage": undefined } }],
    ["it differs from what was applied", { applied: { "PromptTemplate/triage": { specDigest: "old" } } }],
    ["what was applied is not known any more", { applied: { "PromptTemplate/triage": undefined } }],
    [
      "its label was taken away",
      { live: { "PromptTemplate/triage": { repository: undefined, fieldsHash: "x" } } },
    ],
  ])("one object when %s", (_, change) => {
    const plan = keys(planSync(input(change)));
    expect(plan.apply).toEqual(["PromptTemplate/triage"]);
    expect(plan.conflicts).toEqual([]);
    expect(plan.prune).toEqual([]);
  });

  it("adopts what carries our label after all state was lost", () => {
    const lost = Object.fromEntries(ALL.map((key) => [key, undefined]));
    expect(keys(planSync(input({ inventory: [], applied: lost })))).toEqual({ ...NOTHING, apply: ALL });
  });

  it.each<[string, Partial<LiveObject>, readonly InventoryEntry[] | undefined, string]>([
    ["made by hand", { repository: undefined, uid: "theirs" }, [], "somebody else"],
    ["of another Repository", { repository: "other", uid: "theirs" }, [], "Repository other"],
    ["made by hand in place of ours", { repository: undefined, uid: "theirs" }, undefined, "somebody else"],
    ["handed to another Repository", { repository: "other" }, undefined, "Repository other"],
    [
      "made by hand after we noted ours ahead",
      { repository: undefined, uid: "theirs" },
      [{ id: idOf("PromptTemplate/triage"), version: "v1alpha1", digest: "x" }],
      "somebody else",
    ],
  ])("does not touch an object %s", (_, live, inventory, owner) => {
    const plan = keys(
      planSync(input({ live: { "PromptTemplate/triage": live }, ...(inventory ? { inventory } : {}) })),
    );
    expect(plan.apply).toEqual([]);
    expect(plan.conflicts).toEqual([`PromptTemplate/triage: ${owner}`]);
    expect(plan.prune).toEqual([]);
    expect(plan.inventory.some((line) => line.startsWith(`${idOf("PromptTemplate/triage")} `))).toBe(false);
  });
});

describe("what to prune", () => {
  const without = buildGraph([model]);
  const GONE = [idOf("EvalSuite/support"), idOf("PromptTemplate/triage")];

  it("what is not in git any more, once everything else is as it should be", () => {
    const plan = keys(planSync(input({ graph: without })));
    expect(plan).toMatchObject({ apply: [], held: undefined, inventory: IDS });
    expect(plan.prune.sort()).toEqual(GONE);
  });

  it("the old name after the new one is there and Ready", () => {
    const renamed = buildGraph([model, minimalPrompt("sorter"), minimalSuite("support", "sorter")]);
    const first = keys(planSync(input({ graph: renamed })));
    expect(first.apply).toEqual(["PromptTemplate/sorter", "EvalSuite/support"]);
    expect([first.prune, first.held]).toEqual([[idOf("PromptTemplate/triage")], "NotHealthy"]);
    expect(first.inventory).toContain(`${idOf("PromptTemplate/sorter")} -`);
    expect(first.inventory).toContain(`${idOf("PromptTemplate/triage")} uid-PromptTemplate/triage`);
  });

  it.each<[string, Parameters<typeof input>[0], string]>([
    ["a file could not be read", { incomplete: true }, "Incomplete"],
    ["pruning is off", { settings: { prune: false } }, "Disabled"],
    ["it is more than the budget", { settings: { deletionBudget: 1 } }, "DeletionBudgetExceeded"],
    ["the budget is nothing", { settings: { deletionBudget: 0 } }, "DeletionBudgetExceeded"],
    ["something is not Ready", { live: { "ModelDeployment/small": { ready: false } } }, "NotHealthy"],
    ["something was just applied", { live: { "ModelDeployment/small": { fieldsHash: "x" } } }, "NotHealthy"],
    ["something is gone", { live: { "ModelDeployment/small": undefined } }, "NotHealthy"],
  ])("nothing while %s", (_, change, reason) => {
    const plan = planSync(input({ graph: without, ...change }));
    expect(plan.pruneHeld?.reason).toBe(reason);
    expect(plan.pruneHeld?.message).toMatch(/.{10}/);
    expect(keys(plan).inventory.filter((line) => GONE.includes(line.split(" ")[0] ?? ""))).toHaveLength(2);
  });

  it("without waiting for what is suspended", () => {
    const gone = [
      { id: idOf("PromptTemplate/old"), version: "v1alpha1", uid: "uid-PromptTemplate/old", digest: "old" },
    ];
    const heldBy = (spec: object) => {
      const suspended = buildGraph([{ ...prompt, spec: { ...prompt.spec, ...spec } }]);
      const live = { "PromptTemplate/triage": { ready: false }, "PromptTemplate/old": {} };
      const applied = {
        "PromptTemplate/triage": {
          specDigest: suspended.nodes.get("PromptTemplate/triage")?.specDigest ?? "",
        },
      };
      return planSync(input({ graph: suspended, live, applied, inventory: gone })).pruneHeld?.reason;
    };
    expect(heldBy({ suspend: true })).toBeUndefined();
    expect(heldBy({ suspend: false })).toBe("NotHealthy");
  });

  it("names the file that could not be read, where it is known", () => {
    const gone = [
      { id: idOf("PromptTemplate/old"), version: "v1alpha1", uid: "uid-PromptTemplate/old", digest: "old" },
    ];
    const message = (unread?: string) =>
      planSync({ ...input({ incomplete: true, inventory: gone }), unread }).pruneHeld?.message;
    expect(message("big.yaml")).toContain("big.yaml could not be read");
    expect(message()).toContain("a file could not be read");
  });

  it("exactly as many as the budget", () => {
    expect(keys(planSync(input({ graph: without, settings: { deletionBudget: 2 } }))).held).toBeUndefined();
  });

  it("everything but what is held", () => {
    const plan = keys(
      planSync(input({ graph: without, held: new Map([["PromptTemplate/triage", "Invalid"]]) })),
    );
    expect(plan.prune).toEqual([idOf("EvalSuite/support")]);
    expect(plan.inventory).toEqual(IDS);
  });

  it("not what somebody else has by now; it is let go", () => {
    const plan = keys(
      planSync(
        input({
          graph: without,
          live: {
            "PromptTemplate/triage": { repository: "other" },
            "EvalSuite/support": { repository: undefined, uid: "theirs" },
          },
        }),
      ),
    );
    expect(plan.prune).toEqual([]);
    expect(plan.inventory).toEqual([`${idOf("ModelDeployment/small")} uid-ModelDeployment/small`]);
  });

  it("what was noted ahead and made by a process that died before it knew the uid", () => {
    const inventory = [{ id: idOf("PromptTemplate/triage"), version: "v1alpha1", digest: "x" }];
    const plan = planSync(input({ graph: without, inventory }));
    expect(plan.prune).toMatchObject([
      { id: idOf("PromptTemplate/triage"), uid: "uid-PromptTemplate/triage" },
    ]);
    const never = planSync(
      input({ graph: without, inventory, live: { "PromptTemplate/triage": undefined } }),
    );
    expect(never.prune).toEqual(inventory);
  });

  it("an object deleted by hand and from git leaves the inventory", () => {
    const plan = keys(planSync(input({ graph: without, live: { "PromptTemplate/triage": undefined } })));
    expect(plan.prune).toContain(idOf("PromptTemplate/triage"));
  });
});

describe("errors in the repository", () => {
  const held = new Map([
    ["PromptTemplate/triage", "Invalid"],
    ["EvalSuite/support", "refers to PromptTemplate/triage, which is held"],
  ]);

  it("hold what they touch: neither applied nor pruned", () => {
    const change = { live: Object.fromEntries(ALL.map((key) => [key, { fieldsHash: "drift" }])) };
    const plan = keys(planSync(input({ held, hasErrors: true, ...change })));
    expect(plan).toEqual({ ...NOTHING, apply: ["ModelDeployment/small"] });
  });

  it("do not wait for what is held to be Ready", () => {
    const extra = { id: idOf("PromptTemplate/old"), version: "v1alpha1", uid: "u", digest: "x" };
    const plan = keys(
      planSync(
        input({
          held,
          hasErrors: true,
          live: { "PromptTemplate/triage": { ready: false }, "EvalSuite/support": { ready: false } },
          inventory: [...input().inventory, extra],
        }),
      ),
    );
    expect([plan.prune, plan.held]).toEqual([[extra.id], undefined]);
  });

  it("stop everything with Halt", () => {
    const plan = planSync(input({ graph: buildGraph([]), hasErrors: true, settings: { onInvalid: "Halt" } }));
    expect(keys(plan)).toEqual({ ...NOTHING, held: "Halted" });
    expect(keys(planSync(input({ settings: { onInvalid: "Halt" } })))).toEqual(NOTHING);
  });
});

describe("desiredObject", () => {
  it("adds the namespace and labels, and ours win", () => {
    const labelled = { ...prompt, metadata: { ...prompt.metadata, labels: { team: "a", x: "theirs" } } };
    const [node] = buildGraph([labelled]).nodes.values();
    expect(node && desiredObject(node, "team", { x: "ours" })).toEqual({
      apiVersion: "slipway.dev/v1alpha1",
      kind: "PromptTemplate",
      metadata: { name: "triage", namespace: "team", labels: { team: "a", x: "ours" } },
      spec: prompt.spec,
    });
  });
});

describe("inventory ids", () => {
  it("are read back", () => {
    expect(parseInventoryId(inventoryId("team", "a.b-c", "EvalSuite"))).toEqual({
      namespace: "team",
      name: "a.b-c",
      kind: "EvalSuite",
    });
  });
});
