import { describe, expect, it } from "vitest";
import { evalSuiteSpec } from "../../schemas/eval-suite.ts";
import { minimalModel, minimalPrompt, minimalSuite, object } from "../../test/graph-objects.ts";
import { buildGraph, revisionOf } from "./graph.ts";

const MODEL_REVISION = "a".repeat(64);
const revision = (item: Parameters<typeof revisionOf>[0], content = MODEL_REVISION) =>
  revisionOf(item, () => content);

const DIGEST = `sha256:${"0".repeat(64)}` as const;

const fullPrompt = () =>
  object("PromptTemplate", "full", {
    description: "Sorts tickets.",
    messages: [
      { role: "system", content: "You sort tickets.\nAnswer with one word. Grüße, \u{1f600}" },
      { role: "user", content: "{{ticket}} {{tone}}" },
    ],
    variables: [
      { name: "ticket", description: "The text." },
      { name: "tone", type: "json", default: { polite: true, level: 1.5 } },
    ],
    parameters: {
      temperature: 0,
      topP: 0.9,
      maxTokens: 16,
      stop: ["\n"],
      seed: 7,
      frequencyPenalty: 0.5,
      presencePenalty: -0.5,
    },
    outputSchema: { type: "object", properties: { label: { enum: ["bug", "question"] } } },
    output: { configMapName: "ticket-prompt" },
    suspend: false,
  });

const fullModel = () =>
  object("ModelDeployment", "full", {
    description: "Hosted.",
    type: "External",
    external: {
      baseURL: "https://api.example.com/v1/",
      model: "gpt-4o-mini-2024-07-18",
      secretRef: { name: "key" },
      pricing: { inputPerMillionTokens: "0.15", outputPerMillionTokens: "0.60" },
      timeout: "20s",
      maxConcurrency: 4,
    },
    suspend: true,
  });

const fullSuite = () =>
  object("EvalSuite", "full", {
    description: "Everything.",
    targets: [
      { name: "one", promptRef: { name: "full" }, modelRef: { name: "full" } },
      { name: "two", promptRef: { name: "triage" }, modelRef: { name: "full" } },
    ],
    cases: {
      inline: [
        {
          id: "42",
          vars: { ticket: "It crashes", n: 3, list: [1, "a", null] },
          expected: { label: "bug" },
          assert: [{ type: "not-contains", value: "sorry", weight: 2, metric: "polite" }],
          critical: true,
          cluster: "doc-1",
          tags: ["smoke"],
        },
      ],
      files: [{ path: "cases/tickets.jsonl", digest: DIGEST }],
    },
    assert: [
      { type: "llm-rubric", value: "is polite", threshold: 0.5 },
      { type: "latency", threshold: 2000, weight: 0 },
    ],
    gates: [{ name: "quality", margin: 0.05, min: 0.5 }],
    repeats: 3,
    judge: { modelRef: { name: "full" } },
    budget: { maxCalls: 10, maxCost: "1.50", timeout: "5m" },
  });

/**
 * Frozen. A revision names caches, results and what was rolled out: when one of these changes, everything is
 * evaluated again everywhere. Raise the kind's `version` only when its behaviour means something else.
 */
describe("frozen revisions", () => {
  it.each([
    [
      "PromptTemplate, minimal",
      minimalPrompt(),
      "f6d155edb5b0777335afd758eeb5ca646416a3dc90fc6f6c365331d6488e4e09",
    ],
    [
      "PromptTemplate, full",
      fullPrompt(),
      "f24ccab94905d88ba96eb20e0010cf90c5d36e92c0f826c2d09c7f3b8925aae2",
    ],
    [
      "ModelDeployment, minimal",
      minimalModel(),
      "7bdba453c5abf51fba4b4fffb9d982b10ec0ea228c3d4be01bb339c03f7e86e3",
    ],
    [
      "ModelDeployment, full",
      fullModel(),
      "2402d4e678e1a2ecfc7f13cba61140b0d2e1e9061234efdcca01c756688538cd",
    ],
    [
      "EvalSuite, minimal",
      minimalSuite(),
      "59f6fff5ef5e6a3ef9d47aa8b9d20cc3fc10d5062fc3b08b87ff61464c133fb8",
    ],
    ["EvalSuite, full", fullSuite(), "cd179a25c48c59559c6393d01a9e718c2116e68e66bfd44f7ff9c152a2494d85"],
  ])("%s", (_, item, hex) => {
    expect(revision(item)).toBe(hex);
  });
});

describe("what does not change a revision", () => {
  it("a prompt's description, ConfigMap, suspension, name, and defaults spelled out", () => {
    const spelled = object("PromptTemplate", "other-name", {
      description: "new",
      messages: [{ role: "user", content: "Answer: {{question}}" }],
      variables: [{ name: "question", type: "string", description: "what is asked" }],
      parameters: {},
      output: { configMapName: "x" },
      suspend: true,
    });
    expect(revision(spelled)).toBe(revision(minimalPrompt()));
  });

  it("the order of a prompt's variables", () => {
    const withVariables = (names: string[]) =>
      object("PromptTemplate", "p", {
        messages: [{ role: "user", content: "{{a}} {{b}} {{C}}" }],
        variables: names.map((name) => ({ name })),
      });
    expect(revision(withVariables(["C", "b", "a"]))).toBe(revision(withVariables(["a", "b", "C"])));
  });

  it("a deployment's price, timeout, concurrency, Secret, description, and a slash at the end", () => {
    const other = object("ModelDeployment", "other", {
      description: "x",
      type: "External",
      external: {
        baseURL: "https://models.example.com/v1//",
        model: "llama-3.2-1b",
        secretRef: { name: "s", key: "k" },
        pricing: { inputPerMillionTokens: "3", outputPerMillionTokens: "9" },
        timeout: "5m",
        maxConcurrency: 100,
      },
      suspend: true,
    });
    expect(revision(other)).toBe(revision(minimalModel()));
  });

  it("a suite's gates, budget, targets, tags, description, and defaults spelled out", () => {
    const other = object("EvalSuite", "other", {
      description: "x",
      targets: [
        { name: "main", promptRef: { name: "elsewhere" }, modelRef: { name: "other" } },
        { name: "more", promptRef: { name: "elsewhere" }, modelRef: { name: "other" } },
      ],
      cases: {
        inline: [
          {
            id: "one",
            vars: { question: "hi" },
            expected: "hello",
            tags: ["a"],
            assert: [],
            critical: false,
          },
        ],
        files: [],
      },
      assert: [{ type: "equals", value: "{{expected}}", weight: 1 }],
      gates: [{ name: "g", min: 0.5 }],
      repeats: 1,
      budget: { maxCalls: 1 },
      suspend: true,
    });
    expect(revision(other)).toBe(revision(minimalSuite()));
  });

  it("the path of a case file with the same content", () => {
    const withFile = (path: string) => ({
      ...minimalSuite(),
      spec: evalSuiteSpec.parse({
        targets: minimalSuite().spec.targets,
        cases: { files: [{ path, digest: DIGEST }] },
      }),
    });
    expect(revision(withFile("a/x.jsonl"))).toBe(revision(withFile("b/y.jsonl")));
    expect(revision(withFile("a/x.jsonl"))).not.toBe(revision(withFile("a/x.csv")));
  });

  it("labels and annotations; they change only whether to apply", () => {
    const plain = minimalPrompt();
    const labelled = { ...plain, metadata: { ...plain.metadata, labels: { team: "a" } } };
    const [a, b] = [plain, labelled].map((item) => buildGraph([item]).nodes.get("PromptTemplate/triage"));
    expect(a?.revision).toBe(b?.revision);
    expect(a?.specDigest).not.toBe(b?.specDigest);
  });

  it("the name of the judge, as long as it is the same model", () => {
    const judged = (name: string) =>
      object("EvalSuite", "s", {
        ...minimalSuite().spec,
        judge: { modelRef: { name } },
      });
    const graph = (name: string) =>
      buildGraph([judged(name), minimalPrompt(), minimalModel(name), minimalModel("small")]).nodes.get(
        "EvalSuite/s",
      );
    expect(graph("judge-a")?.revision).toBe(graph("judge-b")?.revision);
    expect(graph("judge-a")?.revision).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("what changes a revision", () => {
  const promptWith = (change: object) =>
    object("PromptTemplate", "triage", { ...minimalPrompt().spec, ...change } as never);
  it.each([
    ["a word", { messages: [{ role: "user", content: "Answer: {{question}}!" }] }],
    [
      "a role",
      {
        messages: [
          { role: "user", content: "a" },
          { role: "assistant", content: "Answer: {{question}}" },
        ],
      },
    ],
    ["a parameter", { parameters: { temperature: 0 } }],
    ["the output schema", { outputSchema: { type: "object" } }],
    ["a variable's type", { variables: [{ name: "question", type: "number" }] }],
    ["a variable's default", { variables: [{ name: "question", default: "" }] }],
    ["a default of null", { variables: [{ name: "question", default: null }] }],
    ["another variable", { variables: [{ name: "question" }, { name: "more" }] }],
  ])("of a prompt: %s", (_, change) => {
    expect(revision(promptWith(change))).not.toBe(revision(minimalPrompt()));
  });

  it("of a prompt: the order of messages", () => {
    const messages = [
      { role: "user" as const, content: "a" },
      { role: "user" as const, content: "b" },
    ];
    expect(revision(promptWith({ messages }))).not.toBe(
      revision(promptWith({ messages: messages.toReversed() })),
    );
  });

  it("of a deployment: endpoint and model", () => {
    const model = (change: object) =>
      object("ModelDeployment", "m", {
        type: "External",
        external: { baseURL: "https://models.example.com/v1", model: "llama-3.2-1b", ...change },
      });
    const all = [
      model({}),
      model({ model: "llama-3.2-3b" }),
      model({ baseURL: "https://models.example.com/v2" }),
      model({ baseURL: "http://models.example.com/v1" }),
    ].map((item) => revision(item));
    expect(new Set(all).size).toBe(4);
    expect(all[0]).toBe(revision(minimalModel()));
  });

  it.each([
    ["a case's input", { cases: { inline: [{ id: "one", vars: { question: "ho" }, expected: "hello" }] } }],
    ["a case's answer", { cases: { inline: [{ id: "one", vars: { question: "hi" }, expected: "bye" }] } }],
    ["a case's id", { cases: { inline: [{ id: "two", vars: { question: "hi" }, expected: "hello" }] } }],
    ["a grader", { assert: [{ type: "contains", value: "{{expected}}" }] }],
    ["a weight", { assert: [{ type: "equals", value: "{{expected}}", weight: 0 }] }],
    ["repeats", { repeats: 2 }],
    ["a judge", { judge: { modelRef: { name: "small" } } }],
  ])("of a suite: %s", (_, change) => {
    const changed = object("EvalSuite", "support", { ...minimalSuite().spec, ...change } as never);
    expect(revision(changed)).not.toBe(revision(minimalSuite()));
  });

  it("of a suite: the judge's own revision", () => {
    expect(revision(fullSuite(), "a".repeat(64))).not.toBe(revision(fullSuite(), "b".repeat(64)));
  });

  it("is unknown while a case file has no digest or the judge no revision", () => {
    const unpinned = object("EvalSuite", "s", {
      ...minimalSuite().spec,
      cases: { files: [{ path: "cases.jsonl" }] },
    });
    expect(revision(unpinned)).toBeUndefined();
    expect(revisionOf(fullSuite(), () => undefined)).toBeUndefined();
  });
});
