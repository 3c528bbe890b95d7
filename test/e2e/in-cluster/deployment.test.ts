import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Hub, startHub } from "../../../controller/dev/hub.ts";
import { runInside } from "../../../controller/dev/node/namespace.ts";
import { PersistentVolumeClaim } from "../../../controller/kube/resources.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import { nodePossible } from "../../node-possible.ts";
import { ServingWorld, smallServer, TEAM } from "../../rollout/serving-world.ts";
import { type S3Server, startS3 } from "../../s3-server.ts";
import { createSecret, hasCondition } from "../../scenario/cluster.ts";
import { waitFor } from "../../scenario/wait.ts";
import { openVolume, volumeOf } from "./volumes.ts";

const MINUTE = 60_000;
const HUB_TOKEN = "hf_test";
let world: ServingWorld;
let hub: Hub;
let s3: S3Server;

/** A model of the hub: the small server answers its text. */
async function hubModel(root: string, name: string, answer: string): Promise<string> {
  const folder = join(root, "hub", name);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "answer.txt"), answer);
  return folder;
}

async function deploy(name: string, inCluster: Record<string, unknown>): Promise<void> {
  await world.apply("ModelDeployment", name, await smallServer({}, inCluster));
}

const onNode = (script: string) => runInside(world.cluster.node!.pid, "sh", ["-c", script]);

/** Waits until another revision than before serves. */
const replaced = (name: string, { status: before }: ModelDeployment) =>
  world.waitFor(
    name,
    "another revision to serve",
    (object) => object.status?.active !== before?.active && hasCondition(object, "Ready"),
  );

describe.skipIf(!nodePossible)("what a deployment in the cluster is made from", () => {
  beforeAll(async () => {
    world = await ServingWorld.open(async ({ stateDir }, cluster) => {
      const { hostIP } = cluster.node!.network;
      const models = {
        "org/base": await hubModel(stateDir, "base", "base"),
        "org/tone": await hubModel(stateDir, "tone", "and tone"),
      };
      hub = await startHub({ models, token: HUB_TOKEN }, 0, hostIP);
      s3 = await startS3(hostIP);
    });
    await createSecret(world.client, TEAM, "hub", { HF_TOKEN: HUB_TOKEN }, [new URL(hub.url).host]);
    const keys = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey };
    await createSecret(world.client, TEAM, "bucket", keys, [new URL(s3.url).host]);
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await hub?.close();
    await s3?.stop();
  });

  const fromHub = (repository: string) => ({
    source: `hf://org/${repository}@main`,
    endpoint: hub.url,
    secretRef: { name: "hub" },
  });
  const readsOf = (repository: string) =>
    hub.requests.filter((line) => line.includes(`/org/${repository}/resolve/`)).length;

  test(
    "a model of the hub comes at its commit, with its Secret's token, into a cache",
    async () => {
      await deploy("hub", { model: fromHub("base"), cache: { size: "1Gi" } });
      await openVolume(world.client, world.cluster, TEAM, "hub-models");
      const ready = await world.waitReady("hub");
      const resolved = expect.stringMatching(/^hf:\/\/org\/base@[0-9a-f]{40}$/);
      expect(ready.status?.resolved).toEqual([{ name: "model", source: "hf://org/base@main", resolved }]);
      expect(await world.ask("hub")).toBe("base");
      expect(readsOf("base")).toBe(1);
    },
    3 * MINUTE,
  );

  test(
    "an adapter makes another revision, whose pods find the model in the cache",
    async () => {
      const before = (await world.deployment("hub"))!;
      await deploy("hub", {
        model: fromHub("base"),
        adapters: [{ name: "tone", ...fromHub("tone") }],
        cache: { size: "1Gi" },
      });
      const ready = await replaced("hub", before);
      expect(ready.status?.resolved?.map(({ name }) => name)).toEqual(["model", "tone"]);
      await waitFor(
        "the adapter",
        () => world.ask("hub"),
        (said) => said === "base and tone",
        {
          timeoutMs: MINUTE,
        },
      );
      expect([readsOf("base"), readsOf("tone")]).toEqual([1, 1]);
    },
    3 * MINUTE,
  );

  test(
    "an artifact that no FineTuneJob of this namespace has made is refused, and what serves goes on",
    async () => {
      const { status } = (await world.deployment("hub"))!;
      const source = `artifact:sha256:${"0".repeat(64)}`;
      await deploy("hub", {
        model: fromHub("base"),
        adapters: [{ name: "tone", source }],
        cache: { size: "1Gi" },
      });
      const refused = await world.waitFor("hub", "refused", (object) => hasCondition(object, "Stalled"));
      const stalled = refused.status?.conditions?.find(({ type }) => type === "Stalled");
      expect(stalled?.reason).toBe("UnknownArtifact");
      expect(refused.status?.active).toBe(status?.active);
      expect(await world.ask("hub")).toBe("base and tone");
    },
    2 * MINUTE,
  );

  test(
    "a folder of a bucket comes as it was when it was looked up",
    async () => {
      await s3.createBucket("models");
      await s3.put("models", "v1/answer.txt", "from the bucket");
      const model = { source: "s3://models/v1", endpoint: s3.url, secretRef: { name: "bucket" } };
      await deploy("bucket", { model });
      const ready = await world.waitReady("bucket");
      expect(ready.status?.resolved?.[0]?.resolved).toMatch(/^s3:\/\/models\/v1\/#/);
      expect(await world.ask("bucket")).toBe("from the bucket");
    },
    2 * MINUTE,
  );

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
      const volume = await volumeOf(world.client, TEAM, "weights");
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
      const node = JSON.parse(await world.kubectl.run("get", "node", "-o", "json")) as {
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
