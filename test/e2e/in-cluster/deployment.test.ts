import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runInside } from "../../../controller/dev/node/namespace.ts";
import {
  type KubeObject,
  PersistentVolumeClaim,
  type ResourceType,
} from "../../../controller/kube/resources.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import { ServingWorld, smallServer, TEAM } from "../../rollout/serving-world.ts";
import { hasCondition } from "../../scenario/cluster.ts";
import { waitFor } from "../../scenario/wait.ts";

const possible = process.platform === "linux" && process.getuid?.() === 0;
const MINUTE = 60_000;
const PersistentVolume: ResourceType = {
  group: "",
  version: "v1",
  kind: "PersistentVolume",
  plural: "persistentvolumes",
  namespaced: false,
};
let world: ServingWorld;

async function deploy(name: string, inCluster: Record<string, unknown>): Promise<void> {
  await world.apply("ModelDeployment", name, await smallServer({}, inCluster));
}

/** The folder, on the node, of the volume behind a claim. */
async function volumeOf(claim: string): Promise<string> {
  const bound = await waitFor(
    `a volume for ${claim}`,
    async () =>
      (await world.client.get(PersistentVolumeClaim, TEAM, claim).catch(() => undefined)) as KubeObject,
    (object) => (object?.status as { phase?: string } | undefined)?.phase === "Bound",
    { timeoutMs: MINUTE },
  );
  const { volumeName } = bound.spec as { volumeName: string };
  const volume = await world.client.get(PersistentVolume, undefined, volumeName);
  return (volume.spec as { hostPath: { path: string } }).hostPath.path;
}

const onNode = (script: string) => runInside(world.cluster.node!.pid, "sh", ["-c", script]);

/** Waits until another revision than before serves. */
const replaced = (name: string, { status: before }: ModelDeployment) =>
  world.waitFor(
    name,
    "another revision to serve",
    (object) => object.status?.active !== before?.active && hasCondition(object, "Ready"),
  );

describe.skipIf(!possible)("what a deployment in the cluster is made from", () => {
  beforeAll(async () => {
    world = await ServingWorld.open();
  });
  afterAll(() => world?.[Symbol.asyncDispose]());

  test(
    "a folder of a claim is served from where it lies",
    async () => {
      const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
      const metadata = { name: "weights", namespace: TEAM };
      await world.client.create(PersistentVolumeClaim, {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata,
        spec,
      });
      const volume = await volumeOf("weights");
      await onNode(`mkdir ${volume}/first && printf 'from the claim' > ${volume}/first/answer.txt`);
      await deploy("claim", { model: { source: "pvc://weights/first" } });
      await world.waitReady("claim");
      expect(await world.ask("claim")).toBe("from the claim");
    },
    2 * MINUTE,
  );

  test(
    "Recreate replaces a model of which two do not fit, and gives way to it again when the next one is bad",
    async () => {
      const node = JSON.parse(await world.kubectl("get", "node", "-o", "json")) as {
        items: { status: { allocatable: { memory: string } } }[];
      };
      const kibibytes = Number.parseInt(node.items[0]!.status.allocatable.memory, 10);
      const resources = { requests: { memory: `${Math.ceil(kibibytes * 0.6)}Ki` } };
      const alone = async (env: Readonly<Record<string, string>>) => {
        const spec = await smallServer(env, { rollout: { strategy: "Recreate" }, startupTimeout: "30s" });
        const inCluster = spec.inCluster as { podTemplate: object };
        inCluster.podTemplate = { ...inCluster.podTemplate, resources };
        await world.apply("ModelDeployment", "alone", spec);
      };
      await alone({ ANSWER: "yes", VERSION: "1" });
      const first = await world.waitReady("alone");
      await alone({ ANSWER: "yes", VERSION: "2" });
      const second = await replaced("alone", first);
      expect(await world.ask("alone")).toBe("yes 2");

      await alone({ ANSWER: "yes", VERSION: "3", CRASH: "1" });
      const blocked = await world.waitBlocked("alone");
      expect(blocked.status).toMatchObject({
        active: second.status?.active,
        rollout: { reason: "ServerCrashed" },
      });
      const answered = await waitFor(
        "the one before",
        () => world.ask("alone"),
        (said) => said === "yes 2",
        {
          timeoutMs: MINUTE,
        },
      );
      expect(answered).toBe("yes 2");
    },
    4 * MINUTE,
  );
});
