import { beforeEach, describe, expect, test } from "vitest";
import { type EvalSuite, evalSuiteSpec } from "../../../../schemas/eval-suite.ts";
import { type PromptTemplate, promptTemplateSpec } from "../../../../schemas/prompt-template.ts";
import {
  ARTIFACT,
  CHECKPOINT,
  message,
  ready,
  result,
  rows,
  spec,
  World,
} from "../../../../test/fine-tune-world.ts";
import { failed, later, object, running, succeeded } from "../../../../test/kind-objects.ts";
import { buildGraph, nodeKey } from "../../../graph/graph.ts";
import { admitRequest, type VerifyInput } from "../effect-inputs.ts";
import { childName } from "../manifests.ts";

const SELECTING = {
  selection: { suiteRef: { name: "choose" }, promptRef: { name: "ask" } },
  hyperparameters: { saveSteps: 5 },
};
const QUESTIONS = `sha256:${"1".repeat(64)}`;
const SUITE = `sha256:${"2".repeat(64)}`;
const ANSWERS = `sha256:${"3".repeat(64)}`;

const suite = (more: object = {}) =>
  object<EvalSuite>("EvalSuite", {
    metadata: { name: "choose" },
    spec: evalSuiteSpec.parse({
      targets: [{ name: "t", promptRef: { name: "ask" }, modelRef: { name: "served" } }],
      cases: { inline: [{ id: "a", vars: { ticket: "x" }, expected: "billing" }] },
      assert: [{ type: "equals", value: "{{expected}}" }],
      ...more,
    }),
  });
const prompt = (content = "{{ticket}}") =>
  object<PromptTemplate>("PromptTemplate", {
    metadata: { name: "ask" },
    spec: promptTemplateSpec.parse({ messages: [{ role: "user", content }], parameters: { maxTokens: 8 } }),
  });

let world: World;
beforeEach(() => {
  world = new World(spec(SELECTING));
  world.suite = suite();
  world.prompt = prompt();
  world.layingOut = succeeded({ questions: QUESTIONS, suite: SUITE, maxTokens: 8 });
});

const told = () => {
  const [made] = world.step().children;
  return JSON.parse((made as unknown as { data: { "spec.json": string } }).data["spec.json"]);
};

describe("a training that chooses its checkpoint", () => {
  test("waits for the suite and the prompt, and for what they are laid out as", () => {
    world.suite = undefined;
    expect(ready(world)).toContain("Ready=False/EvalSuiteNotFound");
    world.suite = suite({ cases: { files: [{ path: "cases.jsonl" }] } });
    expect(ready(world)).toContain("Ready=False/Unresolved");
    world.suite = suite();
    world.prompt = undefined;
    expect(ready(world)).toContain("Ready=False/PromptTemplateNotFound");
    world.prompt = prompt();
    world.layingOut = running();
    expect(ready(world)).toContain("Ready=False/Starting");
    expect(world.live.size).toBe(0);
    world.layingOut = succeeded({ questions: QUESTIONS, suite: SUITE });
    expect(world.step().children.map(({ kind }) => kind)).toEqual(["ConfigMap", "Job"]);
  });

  test("tells the pod the questions, and lets its token grade by the suite that the pod cannot read", () => {
    expect(told().selection).toEqual({ cases: QUESTIONS, maxTokens: 8 });
    const { input } = admitRequest(
      { job: world.job, account: "default" },
      world.training,
      childName(world.job, world.training),
    );
    const { claims } = input as { claims: { read: string[]; grade: string } };
    expect(claims.grade).toBe(SUITE);
    expect(claims.read).toContain(QUESTIONS);
    expect(claims.read).not.toContain(SUITE);
  });

  test("starts nothing with a suite that cannot choose, and looks again after a minute", () => {
    world.layingOut = failed("UnsupportedGrader", false);
    const decision = world.step();
    expect(ready(world)).toEqual(["Ready=False/UnsupportedGrader", "Stalled=True/UnsupportedGrader"]);
    expect(world.live.size).toBe(0);
    expect(decision.effects).toMatchObject([{ name: "layOut", attempt: 1 }]);
    expect(world.step(later(61_000)).effects).toMatchObject([{ name: "layOut", attempt: 2 }]);
  });

  test("is another one with another suite or prompt, as the graph of the Repository has it", () => {
    const revision = () => {
      world.step();
      return world.job.status?.revision;
    };
    const first = revision();
    world.prompt = prompt("Team for: {{ticket}}");
    const second = revision();
    world.suite = suite({ assert: [{ type: "contains", value: "{{expected}}" }] });
    const third = revision();
    expect(new Set([first, second, third]).size).toBe(3);
    // Gates and targets decide nothing here.
    world.suite = suite({
      assert: [{ type: "contains", value: "{{expected}}" }],
      gates: [{ name: "g", min: 0.5 }],
    });
    expect(revision()).toBe(third);

    const dataset = rows().status!.artifact!.revision;
    const graph = buildGraph([world.suite, world.prompt, world.job] as never, (kind) =>
      kind === "Dataset" ? dataset : undefined,
    );
    expect(graph.nodes.get(nodeKey("FineTuneJob", world.job.metadata.name))?.revision).toBe(third);
  });

  test("goes on with the suite that it was started with, whatever becomes of it", () => {
    world.step();
    const { training, live } = world;
    world.suite = undefined;
    world.layingOut = undefined;
    world.step();
    expect(world.training).toMatchObject({ identity: training.identity, selection: training.selection });
    expect(world.live).toBe(live);
    expect(world.live.size).toBe(1);
  });

  test("publishes what we have found to be the best, with what each checkpoint is worth", () => {
    world.step();
    world.verification = running();
    world.say({
      state: "Succeeded",
      result: {
        ...result,
        candidates: [
          // What the pod says of the marks is nobody's concern.
          { step: 5, digest: ARTIFACT, bytes: 10, answers: ANSWERS, passRate: 1, score: 1, loss: 2 },
          { step: 10, digest: CHECKPOINT, bytes: 10, answers: ANSWERS, passRate: 0, score: 0 },
        ],
      } as never,
    });
    const verifying = world.step();
    expect(ready(world)).toContain("Ready=False/Verifying");
    const { choice } = verifying.effects[0]!.input as unknown as VerifyInput;
    expect(choice).toEqual({
      suite: SUITE,
      candidates: [
        { step: 5, digest: ARTIFACT, answers: ANSWERS, loss: 2 },
        { step: 10, digest: CHECKPOINT, answers: ANSWERS },
      ],
    });
    const checkpoints = [
      { step: 5, digest: ARTIFACT, passRate: 0.5, score: 0.5, loss: 2 },
      { step: 10, digest: CHECKPOINT, passRate: 0.25, score: 0.5 },
    ];
    world.verification = succeeded({ files: 1, checkpoints });
    expect(ready(world)).toEqual(["Ready=True/Trained"]);
    expect(world.job.status?.checkpoints).toEqual(checkpoints);
    expect(world.job.status?.artifact).toMatchObject({ digest: ARTIFACT, step: 5 });

    // What was found stays while it is looked at again, and the answers are not graded again.
    world.verification = running();
    const again = world.step();
    expect(again.effects[0]!.input).not.toHaveProperty("choice");
    expect(ready(world)).toEqual(["Ready=True/Trained"]);
    expect(world.job.status?.checkpoints).toEqual(checkpoints);

    // Another training without a selection has none.
    world.change({});
    world.ask("now");
    world.step();
    world.verification = succeeded({ files: 1 });
    const other = { ...result, artifact: { ...result.artifact, digest: CHECKPOINT } };
    world.say({ state: "Succeeded", result: other });
    expect(ready(world)).toEqual(["Ready=True/Trained"]);
    expect(world.job.status).not.toHaveProperty("checkpoints");
    expect(world.job.status?.artifact).not.toHaveProperty("step");
  });

  test("is not believed when it has published another", () => {
    world.step();
    world.say({ state: "Succeeded", result });
    world.verification = failed("ArtifactInvalid", false);
    expect(ready(world)).toEqual(["Ready=False/ArtifactInvalid", "Stalled=True/ArtifactInvalid"]);
    expect(message(world)).toBe("ArtifactInvalid happened");
    expect(world.job.status).not.toHaveProperty("artifact");
  });
});
