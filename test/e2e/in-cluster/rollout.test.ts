import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodePossible } from "../../node-possible.ts";
import { isUnavailable } from "../../rollout/phases.ts";
import { expectClean, rollOutUnderLoad } from "../../rollout/revisions.ts";
import { readyPods, ServingWorld } from "../../rollout/serving-world.ts";
import { hasCondition } from "../../scenario/cluster.ts";
import { waitFor } from "../../scenario/wait.ts";

const MINUTE = 60_000;
let world: ServingWorld;

/** What `kubectl get` says is what a client and the kubelet say at that moment. */
async function expectAgreement(name: string): Promise<Record<string, string>> {
  const row = await waitFor(
    "kubectl to say what a client measures",
    async () => {
      const shown = await world.kubectl.row("mdep", name);
      const object = (await world.deployment(name))!;
      const answers = (await world.ask(name)) !== undefined;
      const ready = readyPods(await world.podsOf(object), object);
      return {
        shown,
        answers,
        ready,
        available: hasCondition(object, "Available"),
        after: await world.kubectl.row("mdep", name),
      };
    },
    ({ shown, answers, ready, available, after }) =>
      JSON.stringify(shown) === JSON.stringify({ ...after, AGE: shown.AGE }) &&
      available === answers &&
      (shown.READY !== "True" || answers) &&
      Number(shown.REPLICAS) === ready,
    { timeoutMs: 15_000 },
  );
  return row.shown;
}

describe.skipIf(!nodePossible)("a deployment in the cluster", () => {
  beforeAll(async () => {
    world = await ServingWorld.open();
  });
  afterAll(() => world?.[Symbol.asyncDispose]());

  test(
    "kubectl get agrees with what a client measures, in each phase",
    async () => {
      await world.deploy("phases", { ANSWER: "yes", VERSION: "1" }, { rollout: undefined });
      const starting = await world.waitFor(
        "phases",
        "looked at",
        ({ status }) => status?.rollout !== undefined,
      );
      expect([isUnavailable(starting), await world.ask("phases")]).toEqual([true, undefined]);
      await world.waitReady("phases");
      expect(await expectAgreement("phases")).toMatchObject({
        READY: "True",
        REPLICAS: "1",
        MODEL: "phases",
      });

      // The scale subresource, as an autoscaler uses it.
      await world.kubectl.run("scale", "mdep/phases", "--replicas=3");
      await world.waitFor("phases", "scaled up", ({ status }) => status?.replicas?.ready === 3);
      expect(await expectAgreement("phases")).toMatchObject({ READY: "True", REPLICAS: "3" });
      const selector = (await world.deployment("phases"))?.status?.selector;
      expect(
        (await world.kubectl.run("get", "pods", "-l", selector ?? "", "-o", "name")).trim().split("\n"),
      ).toHaveLength(3);

      await world.kubectl.run("scale", "mdep/phases", "--replicas=0");
      await world.waitFor("phases", "scaled to zero", ({ status }) => status?.replicas?.current === 0);
      expect(await expectAgreement("phases")).toMatchObject({
        READY: "False",
        REPLICAS: "0",
        REASON: "ScaledToZero",
      });

      await world.kubectl.run("scale", "mdep/phases", "--replicas=1");
      await world.waitReady("phases");
      await world.deploy(
        "phases",
        { ANSWER: "yes", VERSION: "2", CRASH: "1" },
        { rollout: undefined, replicas: 1, startupTimeout: "15s" },
      );
      await world.waitBlocked("phases");
      expect(await expectAgreement("phases")).toMatchObject({
        READY: "False",
        REPLICAS: "1",
        REASON: "RolloutBlocked",
      });
      expect(await world.ask("phases")).toBe("yes 1");
    },
    5 * MINUTE,
  );

  test(
    "2 good and 2 bad revisions under load: no request fails, and no bad one serves a client",
    async () => {
      const rollouts = await rollOutUnderLoad(world, 2);
      expectClean(rollouts);
      expect([rollouts.good, rollouts.bad]).toEqual([2, 2]);
    },
    8 * MINUTE,
  );

  test(
    "the controller may die while a revision comes up: the next one goes on",
    async () => {
      const before = (await world.waitReady("triage")).status?.active;
      await world.deploy("triage", { ANSWER: "yes", VERSION: "late" });
      await world.waitFor("triage", "on its way", ({ status }) => status?.rollout !== undefined);
      await world.stopController();
      expect(await world.ask("triage")).toMatch(/^yes good-/);
      await world.startController();
      const after = await world.waitReady("triage");
      expect(after.status?.active).not.toBe(before);
      expect(await world.ask("triage")).toBe("yes late");
    },
    4 * MINUTE,
  );
});
