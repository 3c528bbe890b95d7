import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startMetricsServer } from "../../../controller/dev/node/metrics-server.ts";
import type { ResourceType } from "../../../controller/kube/resources.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { Repository } from "../../../schemas/repository.ts";
import { nodePossible } from "../../node-possible.ts";
import { ServingWorld, smallServer, TEAM } from "../../rollout/serving-world.ts";
import { applyRepository, hasCondition, uniqueName, waitForObject } from "../../scenario/cluster.ts";
import { GiteaAdmin } from "../../scenario/gitea.ts";
import type { GiteaRepository } from "../../scenario/gitea-repository.ts";
import { manifest, yamlOf } from "../../scenario/manifests.ts";
import { waitFor } from "../../scenario/wait.ts";

const MINUTE = 60_000;
const HorizontalPodAutoscaler: ResourceType = {
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  namespaced: true,
};
let world: ServingWorld;
let git: GiteaRepository;

/** Puts the deployment into git, without `replicas`, and waits until it is applied. */
async function push(description: string): Promise<ModelDeployment> {
  const spec = { description, ...(await smallServer({ ANSWER: "yes", VERSION: "1" })) };
  const commit = await git.commitFiles(
    "main",
    { "model.yaml": yamlOf(manifest("ModelDeployment", "scaled", spec)) },
    description,
  );
  await waitForObject<Repository>(
    world.client,
    ["Repository", TEAM, "models"],
    `applied at ${commit}`,
    (object) => object.status?.lastAppliedRevision === commit && hasCondition(object, "Ready"),
    2 * MINUTE,
  );
  return (await world.deployment("scaled"))!;
}

const replicasOf = ({ spec }: ModelDeployment) => spec.inCluster?.replicas;

describe.skipIf(!nodePossible)("a HorizontalPodAutoscaler", () => {
  beforeAll(async () => {
    world = await ServingWorld.open((options, cluster) => startMetricsServer(cluster, options));
    const admin = GiteaAdmin.fromEnv();
    git = await admin.createRepo(await admin.createUser(uniqueName("owner")), "models");
  });
  afterAll(async () => {
    await git?.[Symbol.asyncDispose]();
    await world?.[Symbol.asyncDispose]();
  });

  test(
    "scales a deployment with its load, by what the kubelet measures, and git does not set it back",
    async () => {
      const pushed = push("The first");
      await applyRepository(world.client, TEAM, "models", { url: git.cloneUrl, interval: "5s" });
      expect(replicasOf(await pushed)).toBe(1);
      await world.waitReady("scaled");
      const autoscaler = {
        apiVersion: "autoscaling/v2",
        kind: "HorizontalPodAutoscaler",
        metadata: { name: "scaled", namespace: TEAM },
        spec: {
          scaleTargetRef: { apiVersion: "slipway.dev/v1alpha1", kind: "ModelDeployment", name: "scaled" },
          minReplicas: 1,
          maxReplicas: 3,
          // An idle server takes about two thousandths of a core, one under this load more than twenty times that.
          metrics: [
            {
              type: "Resource",
              resource: { name: "cpu", target: { type: "AverageValue", averageValue: "10m" } },
            },
          ],
          // By default it waits for five minutes before it takes pods away.
          behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
        },
      };
      await world.client.apply(HorizontalPodAutoscaler, autoscaler, { fieldManager: "test", force: true });

      const load = await world.startLoad("scaled", 8);
      await world.waitFor("scaled", "scaled up", ({ status }) => status?.replicas?.ready === 3, 4 * MINUTE);
      expect(await world.kubectl.row("mdep", "scaled")).toMatchObject({ READY: "True", REPLICAS: "3" });

      const again = await push("Another description");
      expect([again.spec.description, replicasOf(again)]).toEqual(["Another description", 3]);
      const { requests } = await load();
      const { failed } = await waitFor("more answers", load, (said) => said.requests > requests + 100, {
        timeoutMs: MINUTE,
      });
      expect(failed).toEqual([]);
      expect((await world.deployment("scaled"))?.status?.replicas?.ready).toBe(3);

      await world.kubectl.run("delete", "pod", "load", "--now");
      await world.waitFor(
        "scaled",
        "scaled down",
        ({ status }) => status?.replicas?.current === 1,
        4 * MINUTE,
      );
      expect(await world.kubectl.row("mdep", "scaled")).toMatchObject({ READY: "True", REPLICAS: "1" });
    },
    12 * MINUTE,
  );
});
