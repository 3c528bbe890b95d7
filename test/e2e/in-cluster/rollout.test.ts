import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LABEL_REVISION } from "../../../schemas/kind.ts";
import { nodePossible } from "../../node-possible.ts";
import { isUnavailable } from "../../rollout/phases.ts";
import { expectClean, rollOutUnderLoad } from "../../rollout/revisions.ts";
import { readyPods, type Scale, ServingWorld } from "../../rollout/serving-world.ts";
import { hasCondition } from "../../scenario/cluster.ts";
import { waitFor } from "../../scenario/wait.ts";
import { readyOf } from "../tenant.ts";

const MINUTE = 60_000;
let world: ServingWorld;

/** What `kubectl get` says is what a client, the kubelet and the Service's endpoints say at that moment. */
async function expectAgreement(name: string): Promise<Record<string, string>> {
  const row = await waitFor(
    "kubectl to say what a client measures",
    async () => {
      const shown = await world.kubectl.row("mdep", name);
      const object = (await world.deployment(name))!;
      const answers = (await world.ask(name)) !== undefined;
      const pods = await world.podsOf(object);
      const endpoints = await world.endpointsOf(name);
      return {
        shown,
        answers,
        ready: readyPods(pods, object),
        behind: pods
          .filter(({ metadata }) => endpoints.includes(metadata.name))
          .map(({ metadata }) => metadata.labels?.[LABEL_REVISION]?.slice(0, 12)),
        available: hasCondition(object, "Available"),
        after: await world.kubectl.row("mdep", name),
      };
    },
    ({ shown, answers, ready, behind, available, after }) =>
      JSON.stringify(shown) === JSON.stringify({ ...after, AGE: shown.AGE }) &&
      available === answers &&
      (shown.READY !== "True" || answers) &&
      Number(shown.REPLICAS) === ready &&
      behind.length === ready &&
      behind.every((revision) => revision === shown.REVISION),
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
    "kubectl get agrees with it while a revision behind a gate comes up, is evaluated, and is rejected or promoted",
    async () => {
      await world.applySuite("gated");
      await world.deploy("gated", { ANSWER: "yes", VERSION: "1" });
      const first = await world.waitReady("gated");
      const old = first.status?.shortRevision ?? "";
      /** Of another revision so many pods are there, and clients know nothing of it. */
      const oldServes = async (revision: string, reason: string, scale: Scale) => {
        const expected = { [old]: { asked: 1, ready: 1 }, [revision]: scale };
        await waitFor(
          `${reason} with ${JSON.stringify(expected)}`,
          () => world.scaleOf(first),
          (found) => isDeepStrictEqual(found, expected),
        );
        await world.waitFor("gated", `to say ${reason}`, (object) => readyOf(object)?.reason === reason);
        expect(await expectAgreement("gated")).toMatchObject({
          READY: "False",
          REASON: reason,
          REPLICAS: "1",
          REVISION: old,
        });
        expect(await world.ask("gated")).toBe("yes 1");
      };
      /** Another revision, up to where the gate's suite has asked it and waits for its answers. */
      const bring = async (env: Readonly<Record<string, string>>) => {
        const before = (await world.deployment("gated"))?.status?.rollout?.revision;
        await world.deploy("gated", { ...env, HOLD: "1" });
        const coming = await world.waitFor(
          "gated",
          "coming up",
          ({ status }) => status?.rollout?.phase === "Starting" && status.rollout.revision !== before,
        );
        const revision = coming.status?.rollout?.revision.slice(0, 12) ?? "";
        await oldServes(revision, "Starting", { asked: 1, ready: 0 });
        const held = (path: "waiting" | "go-on", wanted: (requests: number) => boolean) =>
          waitFor(`${path} of ${revision}`, () => world.held(first, revision, path), wanted, {
            timeoutMs: MINUTE,
          });
        await held("go-on", () => true);
        await held("waiting", (requests) => requests > 0);
        await oldServes(revision, "Evaluating", { asked: 1, ready: 1 });
        await held("go-on", () => true);
        return revision;
      };

      const bad = await bring({ ANSWER: "no", VERSION: "2" });
      await world.waitBlocked("gated");
      await oldServes(bad, "RolloutBlocked", { asked: 0, ready: 0 });

      const good = await bring({ ANSWER: "yes", VERSION: "3" });
      await world.waitFor("gated", "promoted", ({ status }) => status?.shortRevision === good);
      await world.waitReady("gated");
      const promoted = { READY: "True", REASON: "EndpointAnswers", REPLICAS: "1", REVISION: good };
      expect(await expectAgreement("gated")).toMatchObject(promoted);
      expect(await world.ask("gated")).toBe("yes 3");
      await waitFor(
        "the old one to have drained",
        () => world.scaleOf(first),
        (scale) => !(old in scale),
        { timeoutMs: MINUTE },
      );
      expect(await world.scaleOf(first)).toEqual({ [good]: { asked: 1, ready: 1 } });
      expect(await expectAgreement("gated")).toMatchObject(promoted);
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
