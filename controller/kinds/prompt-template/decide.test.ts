import { describe, expect, test } from "vitest";
import { type PromptTemplate, promptTemplateSpec } from "../../../schemas/prompt-template.ts";
import { conditionsOf, later, NOW, object, readyConditions, written } from "../../../test/kind-objects.ts";
import { decide } from "./decide.ts";

const prompt = (spec: object = {}, metadata: Partial<PromptTemplate["metadata"]> = {}) =>
  object<PromptTemplate>("PromptTemplate", {
    spec: promptTemplateSpec.parse({
      messages: [{ role: "user", content: "Say {{word}}" }],
      variables: [{ name: "word" }],
      ...spec,
    }),
    metadata,
  });
const published = { output: { configMapName: "greeting" } };

test("a prompt is ready at once, with its revision and variables", () => {
  const decision = decide({ prompt: prompt() });
  expect(conditionsOf(decision)).toEqual(readyConditions("Compiled"));
  expect(decision.status).toMatchObject({ variables: ["word"] });
  expect(decision.status.shortRevision).toBe(decision.status.revision?.slice(0, 12));
  expect(decision).toMatchObject({ children: [], effects: [] });
  expect(decision.status).not.toHaveProperty("configMapName");
});

describe("ConfigMap", () => {
  test("holds the prompt and the revision that the status has", () => {
    const { children, status } = decide({ prompt: prompt(published) });
    expect(children).toHaveLength(1);
    const data = (children[0] as unknown as { data: Record<string, string> }).data;
    expect(data.revision).toBe(status.revision);
    expect(JSON.parse(data["prompt.json"] ?? "")).toMatchObject({
      revision: status.revision,
      messages: [{ role: "user", content: "Say {{word}}" }],
    });
    expect(status.configMapName).toBe("greeting");
  });

  test("another name is another child, so that the former one is pruned", () => {
    const { children } = decide({ prompt: prompt({ output: { configMapName: "salute" } }) });
    expect(children.map(({ metadata }) => metadata.name)).toEqual(["salute"]);
  });

  test("without output there is none, and the status says so", () => {
    const before = written(prompt(published), decide({ prompt: prompt(published) }));
    const decision = decide({ prompt: { ...prompt({}, { generation: 2 }), status: before.status ?? {} } });
    expect(decision.children).toEqual([]);
    expect(decision.status).not.toHaveProperty("configMapName");
  });

  test("a broken edit throws, so that what applications mount is left alone", () => {
    const broken = prompt({ ...published, messages: [{ role: "user", content: "Say {{wrod}}" }] });
    expect(() => decide({ prompt: broken })).toThrowError(
      expect.objectContaining({
        code: "InvalidTemplate",
        retryable: false,
        message: expect.stringMatching(/^spec\.messages.*wrod/),
      }),
    );
  });
});

test("the revision follows what is sent, not what describes it", () => {
  const { revision } = decide({ prompt: prompt() }).status;
  expect(decide({ prompt: prompt({ description: "A greeting", ...published }) }).status.revision).toBe(
    revision,
  );
  const louder = prompt({ messages: [{ role: "user", content: "Shout {{word}}" }] });
  expect(decide({ prompt: louder }).status.revision).not.toBe(revision);
});

test("a second look says the same at a later time", () => {
  const before = written(prompt(published), decide({ prompt: prompt(published) }), NOW);
  const again = written(before, decide({ prompt: before }), later(3_600_000));
  expect(again.status).toEqual(before.status);
});

test("findings do not stop it, and are bounded", () => {
  const variables = Array.from({ length: 40 }, (_, i) => ({ name: `v${i}` }));
  const { status } = decide({ prompt: prompt({ variables: [{ name: "word" }, ...variables] }) });
  expect(status.conditions?.[0]?.status).toBe("True");
  expect(status.lint).toHaveLength(32);
});
