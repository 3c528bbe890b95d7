import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { parseManifests } from "../../../controller/gitops/manifest.ts";
import { install, installObjects } from "../../../controller/install/objects.ts";
import type { KubeClient } from "../../../controller/kube/client.ts";
import { type KubeObject, Namespace } from "../../../controller/kube/resources.ts";
import { FIELD_MANAGER } from "../../../schemas/kind.ts";
import { adminClient, typeOf, uniqueName } from "../../scenario/cluster.ts";

const namespace = uniqueName("scale");
const type = typeOf("ModelDeployment");
let client: KubeClient;

beforeAll(async () => {
  client = adminClient();
  await install(client, await installObjects({ tenants: [] }), AbortSignal.timeout(60_000));
  await client.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
});
afterAll(async () => {
  await client?.delete(Namespace, undefined, namespace);
  await client?.close();
});

const replicasOf = (object: KubeObject) =>
  (object.spec as { inCluster: { replicas?: number } }).inCluster.replicas;

/** As a Repository applies what is in git. */
async function sync(inCluster: object): Promise<KubeObject> {
  const text = stringify({
    apiVersion: "slipway.dev/v1alpha1",
    kind: "ModelDeployment",
    metadata: { name: "scaled" },
    spec: {
      type: "InCluster",
      inCluster: { runtime: "Custom", image: "example.com/server:1", ...inCluster },
    },
  });
  const { manifests, errors } = parseManifests("model.yaml", text);
  expect(errors).toEqual([]);
  const { object } = manifests[0]!;
  const applied = { ...object, metadata: { ...object.metadata, namespace } } as unknown as KubeObject;
  return client.apply(type, applied, { fieldManager: FIELD_MANAGER, force: true });
}

test("git leaves replicas to an autoscaler where it does not name them, and holds them where it does", async () => {
  expect(replicasOf(await sync({}))).toBe(1);
  // What a HorizontalPodAutoscaler and `kubectl scale` send.
  const scale = { spec: { replicas: 3 } };
  await client.patch(type, namespace, "scaled", scale, {
    contentType: "application/merge-patch+json",
    subresource: "scale",
    fieldManager: "autoscaler",
  });
  expect(replicasOf(await sync({}))).toBe(3);
  expect(replicasOf(await sync({ replicas: 2 }))).toBe(2);
});
