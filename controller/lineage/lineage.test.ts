import { stripVTControlCharacters } from "node:util";
import pc from "picocolors";
import { describe, expect, test } from "vitest";
import { digestOf } from "../graph/canonical.ts";
import { lineageGraph } from "./lineage.ts";
import type { Listed } from "./listed.ts";
import { lineageData, lineageMermaid, lineageTree } from "./show.ts";
import { type Branch, lineageOf } from "./walk.ts";

const plain = pc.createColors(false);
const COMMIT = "3f6c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a";
const REVISIONS = {
  Prompt: "a".repeat(64),
  Model: "b".repeat(64),
  Suite: "c".repeat(64),
  Data: "d".repeat(64),
};
const SIDE = digestOf({ main: [REVISIONS.Prompt, REVISIONS.Model] });

function object(
  kind: string,
  name: string,
  spec: object,
  status: object = {},
  ready = "True",
  reason = "Fine",
): Listed {
  return {
    apiVersion: "slipway.dev/v1alpha1",
    kind,
    metadata: {
      name,
      namespace: "team",
      generation: 2,
      labels: kind === "Repository" ? {} : { "slipway.dev/repository": "support" },
    },
    spec,
    status: {
      observedGeneration: 2,
      conditions: [
        { type: "Ready", status: ready, reason, message: "", lastTransitionTime: "2026-01-01T00:00:00Z" },
        ...(kind === "EvalSuite"
          ? [
              {
                type: "Passing",
                status: "True",
                reason: "Passed",
                message: "",
                lastTransitionTime: "2026-01-01T00:00:00Z",
              },
            ]
          : []),
      ],
      ...status,
    },
  };
}

const revision = (value: string) => ({ revision: value, shortRevision: value.slice(0, 12) });
const repository = object(
  "Repository",
  "support",
  { url: "https://git.example.com/support.git", serviceAccountName: "team" },
  { lastAppliedRevision: COMMIT, lastAttemptedRevision: COMMIT },
);
const dataset = (
  name: string,
  source: object,
  status: object = {
    artifact: { digest: `sha256:${"1".repeat(64)}`, rows: 1184, bytes: 9, revision: REVISIONS.Data },
    ...revision(REVISIONS.Data),
  },
) => object("Dataset", name, { format: "completion", sources: [{ name: "s", ...source }] }, status);
const tickets = dataset("tickets", {
  files: [{ path: "data/tickets.jsonl", digest: `sha256:${"2".repeat(64)}` }],
});
const prompt = object(
  "PromptTemplate",
  "triage",
  { messages: [{ role: "user", content: "hi" }] },
  { ...revision(REVISIONS.Prompt), configMapName: "triage" },
);
const model = object(
  "ModelDeployment",
  "small",
  { type: "External", external: { baseURL: "https://m.example.com/v1", model: "m-1" } },
  { ...revision(REVISIONS.Model), endpoint: { url: "https://m.example.com/v1?key=hush", model: "m-1" } },
);
const suiteSpec = {
  targets: [{ name: "main", promptRef: { name: "triage" }, modelRef: { name: "small" } }],
  cases: { inline: [{ id: "one" }] },
};
const suite = object("EvalSuite", "triage", suiteSpec, {
  ...revision(REVISIONS.Suite),
  score: "92.1%",
  cases: 138,
  lastRun: "triage-1",
});
const run = (name: string, spec: object = {}, status: object = { verdict: "Pass", score: "92.1%" }) =>
  object(
    "EvalRun",
    name,
    {
      suite: { name: "triage", revision: REVISIONS.Suite, bundle: `sha256:${"3".repeat(64)}` },
      trigger: "Merge",
      head: { bundle: `sha256:${"4".repeat(64)}`, revision: SIDE },
      ...spec,
    },
    status,
  );
const ALL = [repository, tickets, prompt, model, suite, run("triage-1")];

const lineage = (key: string, objects: readonly Listed[] = ALL, name?: string) => {
  const found = lineageOf(lineageGraph(objects, name), key);
  if (!found) throw new Error(`no ${key}`);
  return found;
};
/** `Kind/name` of branches, their own in brackets. */
const names = (branches: readonly Branch[]): unknown[] =>
  branches.flatMap(({ node, seen, branches: below }) => {
    const name = `${node.kind}/${node.name}${seen === undefined ? "" : ` ${seen}`}`;
    return below.length > 0 ? [name, names(below)] : [name];
  });

describe("from commit to verdict", () => {
  test("a verdict comes from the suite, its targets, and the commit that brought them", () => {
    const { upstream } = lineage("EvalRun/triage-1", ALL, "triage-1");
    expect(names(upstream)).toEqual([
      "Repository/support",
      ["Commit/3f6c2a1b0d9e"],
      "EvalSuite/triage",
      ["ModelDeployment/small", "PromptTemplate/triage"],
    ]);
  });

  test("a model leads to the verdict of what is deployed", () => {
    expect(names(lineage("ModelDeployment/small").downstream)).toEqual([
      "EvalSuite/triage",
      ["EvalRun/triage-1"],
    ]);
  });

  test("a Dataset comes from files, by their digest, and other Datasets", () => {
    const mixed = dataset("mixed", { datasetRef: { name: "tickets" } });
    expect(names(lineage("Dataset/mixed", [...ALL, mixed]).upstream)).toEqual([
      "Repository/support",
      ["Commit/3f6c2a1b0d9e"],
      "Dataset/tickets",
      ["File/data/tickets.jsonl"],
    ]);
    expect(names(lineage("Dataset/tickets", [...ALL, mixed]).downstream)).toEqual(["Dataset/mixed"]);
  });

  test("a FineTuneJob comes from rows and a base model as it was read, and leaves a registered version", () => {
    const spec = { baseModel: { source: "hf://o/n@main" }, datasetRef: { name: "tickets" }, adapter: {} };
    const trained = {
      artifact: { digest: `sha256:${"5".repeat(64)}`, type: "adapter", bytes: 7, revision: "f".repeat(64) },
    };
    const job = object("FineTuneJob", "lora", spec, {
      ...trained,
      base: { source: "hf://o/n@main", resolved: `hf://o/n@${"a".repeat(40)}` },
      mlflow: { runId: "r1", model: "triage", version: "3" },
    });
    const { subject, upstream, downstream } = lineage("FineTuneJob/lora", [tickets, job]);
    expect(subject.facts).toEqual(["adapter sha256:555555555555", "sft with lora"]);
    expect(names(upstream.slice(1))).toEqual([
      "Dataset/tickets",
      ["File/data/tickets.jsonl"],
      `BaseModel/hf://o/n@${"a".repeat(40)}`,
    ]);
    expect(names(downstream)).toEqual(["MLflow/triage/3"]);
    const next = object(
      "FineTuneJob",
      "next",
      { ...spec, baseModel: { source: `artifact:${trained.artifact.digest}` } },
      {},
    );
    expect(names(lineage("FineTuneJob/next", [tickets, job, next]).upstream.slice(1))).toEqual([
      "Dataset/tickets",
      ["File/data/tickets.jsonl"],
      "FineTuneJob/lora",
      ["Dataset/tickets above", `BaseModel/hf://o/n@${"a".repeat(40)}`],
    ]);
    expect(lineage("FineTuneJob/next", [tickets, job, next]).subject.facts[0]).toBe("nothing trained");

    const selection = { suiteRef: { name: "choose" }, promptRef: { name: "ask" } };
    const selecting = { ...spec, selection, hyperparameters: { saveSteps: 5 } };
    const checkpoints = [
      { step: 5, digest: trained.artifact.digest, passRate: 0.75, score: 0.75 },
      { step: 10, digest: `sha256:${"6".repeat(64)}`, passRate: 0.5, score: 0.5 },
    ];
    const chosen = object("FineTuneJob", "chosen", selecting, { ...trained, checkpoints });
    const choose = object("EvalSuite", "choose", { targets: [], cases: {}, assert: [], gates: [] }, {});
    const found = lineage("FineTuneJob/chosen", [tickets, chosen, choose]);
    expect(found.subject.facts).toContain("step 5, best of 2 with 75 % passed");
    expect(names(found.upstream)).toContain("EvalSuite/choose");
    expect(names(lineage("Dataset/tickets", [tickets, job]).downstream)).toEqual([
      "FineTuneJob/lora",
      ["MLflow/triage/3"],
    ]);
  });

  test("a model in the cluster comes from what it serves, and its gate is named", () => {
    const digest = `sha256:${"5".repeat(64)}`;
    const job = object(
      "FineTuneJob",
      "lora",
      { baseModel: { source: "hf://o/n@main" }, datasetRef: { name: "tickets" }, adapter: {} },
      { artifact: { digest, type: "adapter", bytes: 7, revision: "f".repeat(64) } },
    );
    const served = object(
      "ModelDeployment",
      "served",
      {
        type: "InCluster",
        inCluster: {
          runtime: "VLLM",
          model: { fineTuneJobRef: { name: "lora" } },
          adapters: [
            { name: "sql", source: "hf://o/sql@main" },
            { name: "tone", source: `artifact:${digest}` },
          ],
          rollout: { gates: [{ suiteRef: { name: "triage" } }] },
        },
      },
      {
        ...revision("b".repeat(64)),
        endpoint: { url: "http://served.team.svc/v1", model: "served" },
        replicas: { desired: 2, current: 2, ready: 1 },
        resolved: [{ name: "sql", source: "hf://o/sql@main", resolved: `hf://o/sql@${"a".repeat(40)}` }],
        rollout: { revision: "9".repeat(64), phase: "Evaluating", reason: "Evaluating", message: "" },
      },
    );
    const { subject, upstream } = lineage("ModelDeployment/served", [tickets, job, suite, served]);
    expect(subject.facts).toEqual([
      "model served",
      "at http://served.team.svc/v1",
      "VLLM",
      "1 of 2 pods ready",
      "Evaluating of 999999999999: Evaluating",
    ]);
    expect(names(upstream.slice(1))).toEqual([
      "FineTuneJob/lora",
      ["Dataset/tickets", ["File/data/tickets.jsonl"], "BaseModel/hf://o/n@main"],
      `Adapter/hf://o/sql@${"a".repeat(40)}`,
      "EvalSuite/triage",
    ]);
    expect(names(lineage("Dataset/tickets", [tickets, job, served]).downstream)).toEqual([
      "FineTuneJob/lora",
      ["ModelDeployment/served"],
    ]);
  });

  test("a Monitor watches a model, and says which signals are not OK", () => {
    const signals = [
      { name: "latency", type: "Probe", probe: { measure: "latency" }, thresholds: { alert: 9 } },
      {
        name: "answers",
        type: "Probe",
        probe: { measure: "availability" },
        thresholds: { operator: "Below", alert: 1 },
      },
    ];
    const since = "2026-01-01T00:00:00Z";
    const watching = object(
      "Monitor",
      "watch",
      { targetRef: { name: "small" }, signals },
      {
        state: "ALERT",
        summary: "1/2",
        signals: [
          { name: "latency", state: "OK", since, value: "3" },
          { name: "answers", state: "ALERT", since, value: "0.5" },
        ],
      },
    );
    const { downstream } = lineage("ModelDeployment/small", [...ALL, watching]);
    expect(names(downstream)).toEqual(["EvalSuite/triage", ["EvalRun/triage-1"], "Monitor/watch"]);
    expect(downstream.at(-1)?.node.facts).toEqual(["ALERT", "1/2 signals OK", "answers ALERT at 0.5"]);
  });

  test("a Repository leads to everything that it brought, each thing once", () => {
    expect(names(lineage("Repository/support").downstream)).toEqual([
      "Dataset/tickets",
      "ModelDeployment/small",
      ["EvalSuite/triage", ["EvalRun/triage-1"]],
      "PromptTemplate/triage",
      ["EvalSuite/triage above", "ConfigMap/triage"],
    ]);
  });
});

describe("what is not as it should be", () => {
  test("a missing reference is shown as missing, and has no lineage of its own", () => {
    const { upstream } = lineage("EvalSuite/triage", [prompt, suite]);
    const shown = upstream.map(({ node }) => [node.key, node.state]);
    expect(shown).toEqual([
      ["Repository/support", "Missing"],
      ["ModelDeployment/small", "Missing"],
      ["PromptTemplate/triage", "Ready"],
    ]);
    expect(lineageOf(lineageGraph([prompt, suite]), "ModelDeployment/small")).toBeUndefined();
    expect(lineageOf(lineageGraph([]), "ModelDeployment/small")).toBeUndefined();
  });

  test("a cycle ends where it closes", () => {
    const [a, b] = [dataset("a", { datasetRef: { name: "b" } }), dataset("b", { datasetRef: { name: "a" } })];
    expect(names(lineage("Dataset/a", [repository, a, b]).upstream)).toEqual([
      "Repository/support",
      ["Commit/3f6c2a1b0d9e"],
      "Dataset/b",
      ["Dataset/a cycle"],
    ]);
    expect(names(lineage("Repository/support", [repository, a, b]).downstream)).toEqual([
      "Dataset/a",
      ["Dataset/b", ["Dataset/a cycle"]],
    ]);
  });

  test("a long chain is cut, a wide one is not larger than the graph", () => {
    const chain = Array.from({ length: 20_000 }, (_, i) =>
      dataset(`d${i}`, { datasetRef: { name: `d${i + 1}` } }),
    );
    expect(JSON.stringify(names(lineage("Dataset/d0", chain).upstream))).toContain(" deep");
    // Each level refers twice to the next: 2^30 paths.
    const diamonds = Array.from({ length: 30 }, (_, i) =>
      ["l", "r"].map((side) =>
        object("Dataset", `${side}${i}`, {
          format: "chat",
          sources: ["l", "r"].map((to) => ({ name: to, datasetRef: { name: `${to}${i + 1}` } })),
        }),
      ),
    ).flat();
    expect(lineageData(lineage("Dataset/l0", diamonds)).nodes.length).toBe(62);
  });

  test("a Dataset without a file's digest, an object of another release, and one that nobody looked at", () => {
    const unpinned = dataset("unpinned", { files: [{ path: "x.jsonl" }] }, {});
    const { subject, upstream } = lineage("Dataset/unpinned", [unpinned]);
    expect([subject.facts, upstream.at(-1)?.node.facts]).toEqual([["nothing published"], ["no digest"]]);
    const foreign = object("Dataset", "foreign", { format: "chat", parts: [] });
    expect(lineage("Dataset/foreign", [foreign]).subject).toMatchObject({ state: "Invalid" });
    const status = { ...(tickets.status as object), observedGeneration: 1 };
    expect(lineage("Dataset/tickets", [{ ...tickets, status }]).subject).toMatchObject({
      state: "NotReady",
      reason: "NotReconciled",
    });
    for (const broken of [undefined, null, 7, { conditions: "x" }, { conditions: [null] }])
      expect(lineage("Dataset/tickets", [{ ...tickets, status: broken }]).subject.state).toBe("NotReady");
  });

  test("an outside source as it was resolved, before that as it is written, and never with its query", () => {
    const spec = { url: "https://data.example.com/rows.jsonl?sig=hush" };
    const read = (status: object) =>
      lineage("Dataset/web", [dataset("web", spec, status)]).upstream.at(-1)?.node;
    expect(read({})).toMatchObject({ name: "https://data.example.com/rows.jsonl", facts: ["not read yet"] });
    const sources = [
      {
        name: "s",
        resolved: "hf://datasets/o/n@abc/x",
        digest: `sha256:${"7".repeat(64)}`,
        files: 2,
        bytes: 9,
      },
    ];
    expect(read({ resolution: { round: 0, at: "2026-01-01T00:00:00Z", sources } })).toMatchObject({
      name: "hf://datasets/o/n@abc/x",
      facts: ["2 files", "sha256:777777777777"],
    });
  });

  test("what is in another namespace is named, and is not missing; one's own namespace may be written out", () => {
    const from = (datasetRef: object) =>
      lineage("Dataset/mixed", [tickets, dataset("mixed", { datasetRef })]).upstream.at(-1)?.node;
    expect(from({ name: "tickets", namespace: "data" })).toMatchObject({
      state: "Outside",
      kind: "Dataset",
      name: "data/tickets",
    });
    expect(from({ name: "tickets", namespace: "team" })).toMatchObject({
      state: "Ready",
      key: "Dataset/tickets",
    });
  });

  test("files of one name with different content are two", () => {
    const other = dataset("other", {
      files: [{ path: "data/tickets.jsonl", digest: `sha256:${"9".repeat(64)}` }],
    });
    const both = lineageGraph([tickets, other]);
    expect([...both.nodes.values()].filter(({ kind }) => kind === "File").map(({ facts }) => facts)).toEqual([
      ["sha256:222222222222"],
      ["sha256:999999999999"],
    ]);
  });
});

describe("runs", () => {
  const pull = run("pull", { trigger: "PullRequest", pullRequest: 7 });

  test("those of pull requests are shown only when asked for", () => {
    expect(names(lineage("EvalSuite/triage", [...ALL, pull]).downstream)).toEqual(["EvalRun/triage-1"]);
    expect(lineage("EvalRun/pull", [...ALL, pull], "pull").subject.facts).toContain("pull request 7");
  });

  test("of runs after a merge, the one with the score and the newest", () => {
    const made = (name: string, creationTimestamp: string) => {
      const one = run(name, {}, {});
      return { ...one, metadata: { ...one.metadata, creationTimestamp } };
    };
    const more = [
      made("old", "2026-01-01T00:00:00Z"),
      made("new", "2026-03-01T00:00:00Z"),
      made("between", "2026-02-01T00:00:00Z"),
    ];
    expect(names(lineage("EvalSuite/triage", [...ALL, ...more]).downstream)).toEqual([
      "EvalRun/new",
      "EvalRun/triage-1",
    ]);
  });

  test("a verdict about what is no longer deployed says so", () => {
    const facts = (objects: readonly Listed[]) =>
      lineage("EvalRun/triage-1", objects, "triage-1").subject.facts;
    expect(facts(ALL)).toEqual(["Pass", "score 92.1%", "trigger Merge"]);
    const moved = { ...model, status: { ...(model.status as object), ...revision("e".repeat(64)) } };
    expect(facts(ALL.map((each) => (each === model ? moved : each)))).toContain("of earlier revisions");
    const edited = { ...suite, status: { ...(suite.status as object), ...revision("f".repeat(64)) } };
    expect(facts(ALL.map((each) => (each === suite ? edited : each)))).toContain("of earlier revisions");
  });
});

describe("shown", () => {
  test("as a tree", async () => {
    await expect(lineageTree(lineage("ModelDeployment/small"), plain)).toMatchFileSnapshot(
      "testdata/model.txt",
    );
    await expect(
      lineageTree(lineage("EvalSuite/triage", [suite, { ...prompt, status: {} }]), plain),
    ).toMatchFileSnapshot("testdata/incomplete.txt");
  });

  test("with colours, aligned as without", () => {
    const coloured = lineageTree(lineage("ModelDeployment/small"), pc.createColors(true));
    expect(coloured).toContain("\u001b[32mReady\u001b[39m");
    expect(stripVTControlCharacters(coloured)).toBe(lineageTree(lineage("ModelDeployment/small"), plain));
  });

  test("as JSON, every node and edge once", () => {
    const { nodes, edges } = lineageData(lineage("Repository/support"));
    expect(new Set(nodes.map(({ key }) => key)).size).toBe(nodes.length);
    expect(edges).toContainEqual({ from: "EvalSuite/triage", to: "EvalRun/triage-1", type: "ran" });
    expect(nodes.map(({ key }) => key)).toContain(edges[0]?.from);
  });

  test("as Mermaid, in which nothing that a file is called can be a command", async () => {
    await expect(lineageMermaid(lineage("ModelDeployment/small"))).toMatchFileSnapshot("testdata/model.mmd");
    const hostile = { ...suite, status: { ...(suite.status as object), score: '"];click <b>' } };
    const drawn = lineageMermaid(lineage("EvalSuite/triage", [hostile]));
    expect(drawn).toContain("score #34;#93;#59;click #60;b#62;");
    expect(drawn).not.toContain("<b>");
  });

  test("without what an address carries in its query, and without control characters", () => {
    const hostile = {
      ...model,
      status: { ...(model.status as object), endpoint: { url: "https://m/v1", model: "m\u001b[2J\u202e1" } },
    };
    const shown = lineageTree(lineage("ModelDeployment/small", [hostile]), plain);
    expect(["\u001b", "\u202e"].filter((character) => shown.includes(character))).toEqual([]);
    expect(JSON.stringify(lineageData(lineage("ModelDeployment/small")))).not.toContain("hush");
  });
});
