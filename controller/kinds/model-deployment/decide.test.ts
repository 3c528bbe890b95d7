import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import {
  conditionsOf,
  failed,
  later,
  NOW,
  object,
  readyConditions,
  reconcilingConditions,
  running,
  stalledConditions,
  succeeded,
  written,
} from "../../../test/kind-objects.ts";
import { sameStatus, statusOf } from "../../runtime/status.ts";
import { decide, type ObservedDeployment } from "./decide.ts";

const external = { baseURL: "https://api.example.com/v1", model: "m-1", timeout: "60s", maxConcurrency: 8 };
const deployment = (shape: Partial<ModelDeployment> = {}) =>
  object<ModelDeployment>("ModelDeployment", { spec: { type: "External", external }, ...shape });
const look = (probe: ObservedDeployment["probe"], of = deployment(), now = NOW) =>
  decide({ deployment: of, serviceAccountName: "team", probe }, now);
const answers = (attempt = 1) => succeeded({ ok: true, message: "m-1 answers" }, attempt);
const refuses = (reason: string, { terminal = false, attempt = 1, message = "no" } = {}) =>
  succeeded({ ok: false, reason, message, terminal }, attempt);

describe("conditions", () => {
  test.each([
    ["first look", undefined, reconcilingConditions("Probing")],
    ["asking", running(), reconcilingConditions("Probing")],
    ["answers", answers(), readyConditions("EndpointAnswers")],
    ["may answer later", refuses("EndpointUnreachable"), reconcilingConditions("EndpointUnreachable")],
    ["needs a person", refuses("SecretNotBound", { terminal: true }), stalledConditions("SecretNotBound")],
    [
      "the probe itself failed",
      failed("ServiceUnavailable", true),
      reconcilingConditions("ServiceUnavailable"),
    ],
    ["the probe failed for good", failed("EmptyIdentity", false), stalledConditions("EmptyIdentity")],
  ])("%s", (_, probe, expected) => {
    expect(conditionsOf(look(probe))).toEqual(expected);
  });

  test("without the section external only an edit helps", () => {
    const decision = look(undefined, deployment({ spec: { type: "External" } }));
    expect(conditionsOf(decision)).toEqual(stalledConditions("InvalidSpec"));
    expect(decision.effects).toEqual([]);
  });
});

test("status names the endpoint and the revision, which a price does not change", () => {
  const pricing = { inputPerMillionTokens: "1", outputPerMillionTokens: "2" };
  const { status } = look(answers());
  expect(status.endpoint).toEqual({ url: external.baseURL, model: "m-1" });
  expect(status.revision).toMatch(/^[0-9a-f]{64}$/);
  const priced = look(
    answers(),
    deployment({ spec: { type: "External", external: { ...external, pricing } } }),
  );
  expect(priced.status.revision).toBe(status.revision);
  const moved = { ...external, baseURL: "https://other.example.com/v1" };
  expect(
    look(answers(), deployment({ spec: { type: "External", external: moved } })).status.revision,
  ).not.toBe(status.revision);
});

describe("the next probe", () => {
  test("a minute after an answer, not sooner", () => {
    const at = (ms: number) => look(answers(7), undefined, later(ms));
    expect(at(0)).toMatchObject({ effects: [{ attempt: 7 }], requeueAfterMs: 60_000 });
    expect(at(59_999).effects[0]?.attempt).toBe(7);
    expect(at(60_000).effects[0]?.attempt).toBe(8);
  });

  test("a second after the first failure, however many answers there were before", () => {
    const ready = written(deployment(), look(answers(500)));
    const broken = look(refuses("EndpointUnreachable", { attempt: 501 }), ready);
    expect(broken).toMatchObject({ effects: [{ attempt: 501 }], requeueAfterMs: 1_000 });
  });

  test.each([
    [0, 1_000],
    [5_000, 5_000],
    [3_600_000, 60_000],
  ])("after failing for %i ms in %i ms", (failingFor, wait) => {
    const since = written(deployment(), look(refuses("EndpointUnreachable")), later(-failingFor));
    expect(look(refuses("EndpointUnreachable", { attempt: 9 }), since).requeueAfterMs).toBe(wait);
  });

  test("at once when somebody asks, and once only", () => {
    const quiet = written(deployment(), look(answers()));
    const annotations = { "slipway.dev/requestedAt": "now" };
    const asked = { ...quiet, metadata: { ...quiet.metadata, annotations } };
    const decision = look(answers(), asked);
    expect(decision.effects[0]?.attempt).toBe(2);
    expect(look(answers(2), written(asked, decision)).effects[0]?.attempt).toBe(2);
  });

  test("an edit of the address is another probe, one of the description is not", () => {
    const before = look(answers()).effects[0]?.inputDigest;
    const spec = { type: "External", description: "ours", external } as const;
    expect(look(answers(), deployment({ spec })).effects[0]?.inputDigest).toBe(before);
    const edited = { ...spec, external: { ...external, baseURL: "https://b.example.com/v1" } };
    expect(look(undefined, deployment({ spec: edited })).effects[0]?.inputDigest).not.toBe(before);
  });

  test("is not written ahead: it costs nothing to lose", () => {
    expect(look(undefined).effects).toMatchObject([{ name: "probe", attempt: 1, durable: false }]);
  });
});

describe("quiet", () => {
  test.each([
    ["answering", answers(1), answers(2)],
    ["unreachable", refuses("EndpointUnreachable"), refuses("EndpointUnreachable", { attempt: 2 })],
    [
      "another request id in the same failure",
      refuses("EndpointError", { message: "HTTP 500: request req_1" }),
      refuses("EndpointError", { message: "HTTP 500: request req_2", attempt: 2 }),
    ],
  ])("%s writes nothing a minute later, so that no Event is made either", (_, first, second) => {
    const before = written(deployment(), look(first));
    for (const [probe, now] of [
      [running(2), later(60_000)],
      [{ ...second, finishedAt: later(61_000).getTime() }, later(61_000)],
    ] as const) {
      const again = written(before, look(probe, before, now), now);
      expect(sameStatus(statusOf(again as never), statusOf(before as never))).toBe(true);
      expect(again.status?.conditions).toEqual(before.status?.conditions);
    }
  });

  test("a restart writes nothing: the last answer stands until the next", () => {
    const before = written(deployment(), look(answers(12)));
    const again = written(before, look(undefined, before), later(3_600_000));
    expect(again.status).toEqual(before.status);
  });

  test("what a Secret allows is shown as it is now, not as it was", () => {
    const before = written(
      deployment(),
      look(refuses("HostNotAllowed", { terminal: true, message: "allows a" })),
    );
    const again = look(
      refuses("HostNotAllowed", { terminal: true, message: "allows b", attempt: 2 }),
      before,
    );
    expect(again.status.conditions?.[0]?.message).toBe("allows b");
  });

  test("an answer to the former spec says nothing about this one", () => {
    const before = written(deployment(), look(answers()));
    const edited = { ...before, metadata: { ...before.metadata, generation: 2 } };
    expect(conditionsOf(look(undefined, edited))).toEqual(reconcilingConditions("Probing"));
  });
});

test("a failure is an event with its reason, an answer is none", () => {
  expect(look(refuses("ModelNotFound", { terminal: true })).events).toEqual([
    { type: "Warning", reason: "ModelNotFound", note: "no" },
  ]);
  expect(look(answers()).events).toBeUndefined();
});
